//! Control planes, and the secrets by which they read each other's clusters.

use super::identity::together;
use super::{Move, Shape, State, Step};
use crate::access::{State as Edge, edges};
use crate::clusters::{Cluster, Role};
use crate::mesh::Lookup;

/// Who runs a control plane, and what a remote needs.
pub(super) fn control_planes(moved: &Move<'_, '_>) -> Vec<Step> {
    match moved.target.shape {
        Shape::MultiPrimary => vec![primaries(moved)],
        Shape::PrimaryRemote => vec![external(moved), remotes(moved)],
    }
}

fn primaries(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "control-planes",
        "a control plane in each cluster",
        "each serves its own proxies, so the loss of one cluster leaves the others theirs",
    );
    let mut states = Vec::new();
    for cluster in moved.clusters {
        let at = cluster.facts.role.first().map(|(_, at)| *at);
        if let Some(at) = at {
            let role = cluster.role().map(|role| role.to_string()).unwrap_or_default();
            step.place(at, format!("{}: {role}", cluster.name));
        }
        states.push(match cluster.role() {
            Some(Role::Primary) => State::Done,
            Some(_) => State::Todo,
            None => State::Unknown,
        });
    }
    if moved.is_single() {
        step.why.push_str("; no second cluster is in the input yet");
        states.push(State::Todo);
    }
    step.state = together(&states);
    step.how(&[
        "install istiod in the new cluster with the values above, its own clusterName and network",
    ])
}

/// The primary is told that it serves others.
fn external(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "external-istiod",
        "a primary that serves other clusters, reachable from them",
        "without `externalIstiod` it gives remotes neither root certificate nor injector; they call it on 15012 and 15017",
    )
    .how(&[
        "values.global.externalIstiod: true",
        "kubectl --context PRIMARY apply -n istio-system -f samples/multicluster/expose-istiod.yaml",
    ]);
    let mut states = Vec::new();
    for plane in moved.planes() {
        states.push(match plane.facts.serves_others() {
            Some(at) => {
                step.place(at, plane.name.clone());
                State::Done
            }
            None if plane.facts.installs.iter().any(|i| i.is_control_plane() && i.is_whole) => {
                State::Todo
            }
            None => State::Unknown,
        });
    }
    step.state = together(&states);
    step
}

fn remotes(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "remote-clusters",
        "remotes that know their control plane",
        "`remotePilotAddress` is where proxies and the injector go; the annotation lets the primary hand the cluster its root certificate",
    )
    .how(&[
        "profile: remote",
        "values.istiodRemote.injectionPath: /inject/cluster/CLUSTER/net/NETWORK",
        "values.global.remotePilotAddress: ADDRESS OF THE PRIMARY'S EAST-WEST GATEWAY",
        "kubectl --context CLUSTER annotate namespace istio-system topology.istio.io/controlPlaneClusters=PRIMARY",
    ]);
    let remotes = moved.clusters.iter().filter(|c| c.role() == Some(Role::Remote));
    let mut states = Vec::new();
    for cluster in remotes {
        if let Some(at) = cluster.facts.role.first().map(|(_, at)| *at) {
            step.place(at, cluster.name.clone());
        }
        let told = cluster.facts.served_by.first();
        states.push(
            match (told, moved.mesh.namespace(cluster.id, cluster.facts.system_namespace())) {
                (Some(told), _) => {
                    step.place(told.value.span, format!("{}: by {}", cluster.name, told.value));
                    State::Done
                }
                (None, Lookup::Found(namespace)) => {
                    step.place(namespace.named_at(), format!("{}: no annotation", cluster.name));
                    State::Todo
                }
                _ => State::Unknown,
            },
        );
    }
    if states.is_empty() {
        states.push(State::Todo);
    }
    step.state = together(&states);
    step
}

/// The last steps: let control planes read the clusters, and watch.
pub(super) fn steps(moved: &Move<'_, '_>) -> Vec<Step> {
    let mut watch = Step::new(
        "alerts",
        "alerts on what istiod tells of other clusters",
        "an API server that falls silent shows nowhere else: endpoints just stay what they were",
    )
    .how(&[
        "istiod_remote_cluster_sync_status, istiod_managed_clusters, remote_cluster_sync_timeouts_total",
        "citadel_server_root_cert_expiry_seconds, citadel_server_authentication_failure_count",
    ]);
    watch.state = State::Unknown;
    vec![watch, secrets(moved)]
}

fn secrets(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "remote-secrets",
        "remote secrets, one direction at a time, last of all",
        "from here on endpoints of the other cluster are used; look at 503s before the other direction",
    );
    let edges = edges(moved.access);
    let mut states = Vec::new();
    let mut commands = Vec::new();
    for from in moved.planes() {
        for to in moved.clusters.iter().filter(|c| c.id != from.id) {
            let edge = edges.iter().find(|e| e.from == from.id && e.to == Some(to.id));
            if let Some(edge) = edge {
                step.place(edge.at, format!("{} reads {}: {}", from.name, to.name, edge.state));
            }
            states.push(match edge.map(|edge| &edge.state) {
                Some(Edge::Ok | Edge::Unknown(_)) => State::Done,
                Some(_) => State::Todo,
                None if moved.access.leads_to(from.id, to.id) => State::Done,
                None => unread(moved, from),
            });
            if states.last() != Some(&State::Done) {
                commands.push(command(from, to));
            }
        }
    }
    if moved.is_single() {
        states.push(State::Todo);
        let name = moved.clusters.first().map_or("ONE", |c| c.name.as_str());
        commands.push(format!(
            "istioctl create-remote-secret --context=OTHER --name=OTHER | kubectl apply -f - --context={name}"
        ));
    }
    step.state = together(&states);
    let more = commands.len().saturating_sub(6);
    step.how.extend(commands.into_iter().take(6));
    if more > 0 {
        step.how.push(format!("and so on for {more} more: `mesh-lint clusters --reach` shows all"));
    }
    step
}

/// Where a secret is not in the input: missing, where others of the cluster are there.
fn unread(moved: &Move<'_, '_>, from: &Cluster) -> State {
    let has_others = !moved.access.of_cluster(from.id).is_empty();
    if has_others || from.is_complete() { State::Todo } else { State::Unknown }
}

fn command(from: &Cluster, to: &Cluster) -> String {
    let name = to.istio_name().map_or(to.name.as_str(), |name| name.as_str());
    format!(
        "istioctl create-remote-secret --context={} --name={name} | kubectl apply -f - --context={}",
        to.name, from.name
    )
}

//! Networks, and the gateways between them.

use super::identity::together;
use super::{Move, Networks, Shape, State, Step};
use crate::clusters::{Cluster, Origin};
use crate::mesh::{Lookup, NETWORK_LABEL, value};

/// What has to be so for pods to reach each other.
pub(super) fn steps(moved: &Move<'_, '_>) -> Vec<Step> {
    match moved.target.networks {
        Networks::One => vec![one(moved)],
        Networks::Several => vec![named(moved), labelled(moved), gateways(moved), exposed(moved)],
    }
}

fn one(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "networks",
        "the same network for all clusters, and pod ranges that do not overlap",
        "clients call pods of other clusters by their addresses: these have to be routed, and to be unique",
    )
    .how(&["values.global.network: NETWORK (the same everywhere, or nowhere)"]);
    for cluster in moved.clusters {
        if let Some(network) = cluster.network() {
            step.place(network.span, format!("{}: {network}", cluster.name));
        }
    }
    let mut told: Vec<Option<&str>> = moved.clusters.iter().map(|c| value(c.network())).collect();
    told.sort_unstable();
    told.dedup();
    step.state = match &told[..] {
        _ if moved.is_single() => State::Unknown,
        [Some(_)] => State::Done,
        [None] => State::Unknown,
        _ => State::Todo,
    };
    step
}

/// The network in the values.
fn named(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "networks",
        "a network for each cluster",
        "without one its pods count as reachable from everywhere, and clients elsewhere get addresses that lead nowhere",
    );
    let mut states = Vec::new();
    for cluster in moved.clusters {
        match cluster.network() {
            Some(network) => {
                step.place(network.span, format!("{}: {network}", cluster.name));
                states.push(State::Done);
            }
            None if cluster.facts.installs.iter().any(|i| i.is_control_plane() && i.is_whole) => {
                states.push(State::Todo);
            }
            None => states.push(State::Unknown),
        }
    }
    step.state = together(&states);
    let name = moved.clusters.first().map_or("CLUSTER", |c| c.name.as_str());
    step.how(&[&format!("values.global.network: network-{name}"), "then restart all workloads"])
}

/// The network on the namespace.
fn labelled(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "network-label",
        "the network as a label of the control plane's namespace",
        "other control planes learn the network of the cluster's pods from this label",
    )
    .how(&[&format!(
        "kubectl --context CLUSTER label namespace istio-system {NETWORK_LABEL}=NETWORK"
    )]);
    let mut states = Vec::new();
    for cluster in moved.clusters {
        states.push(label(moved, cluster, &mut step));
    }
    step.state = together(&states);
    step
}

fn label(moved: &Move<'_, '_>, cluster: &Cluster, step: &mut Step) -> State {
    let told = cluster.facts.network.iter().find(|fact| fact.origin == Origin::Namespace);
    if let Some(told) = told {
        step.place(told.value.span, format!("{}: {}", cluster.name, told.value));
        return State::Done;
    }
    match moved.mesh.namespace(cluster.id, cluster.facts.system_namespace()) {
        Lookup::Found(namespace) => {
            step.place(namespace.named_at(), format!("{}: no label", cluster.name));
            State::Todo
        }
        _ => State::Unknown,
    }
}

/// A gateway into each network.
fn gateways(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "east-west-gateways",
        "an east-west gateway in each network",
        "it is the way in for clients of other networks; without one they get pod addresses they cannot reach",
    )
    .how(&[
        "helm install istio-eastwestgateway istio/gateway -n istio-system --set networkGateway=NETWORK",
        "its load balancer has to pass TCP through (layer 4), and to be reachable from the other clusters",
    ]);
    let mut states = Vec::new();
    for cluster in moved.clusters {
        let at = moved.mesh.network_gateway(cluster);
        let mut charts = cluster.facts.installs.iter();
        let chart = charts.find_map(|i| i.values().network_gateway.as_ref());
        if let Some(at) = at.or(chart.map(|told| told.span)) {
            step.place(at, cluster.name.clone());
            states.push(State::Done);
        } else {
            let namespace = cluster.facts.system_namespace();
            let seen = moved.mesh.has_seen(cluster.id, "Service", namespace);
            states.push(if seen { State::Todo } else { State::Unknown });
        }
    }
    step.state = together(&states);
    step
}

/// What lets requests through a gateway.
fn exposed(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "exposed-services",
        "services exposed through the east-west gateway",
        "without a server with AUTO_PASSTHROUGH the gateway has no listener on 15443: 503 UF in other networks",
    )
    .how(&[
        "apiVersion: networking.istio.io/v1",
        "kind: Gateway",
        "metadata: {name: cross-network-gateway, namespace: istio-system}",
        "spec:",
        "  selector: {istio: eastwestgateway}",
        "  servers:",
        "  - port: {number: 15443, name: tls, protocol: TLS}",
        "    tls: {mode: AUTO_PASSTHROUGH}",
        "    hosts: [\"*.local\"]",
    ]);
    // A control plane serves the gateways of its remotes too.
    let wanted = match moved.target.shape {
        Shape::MultiPrimary => moved.clusters.to_vec(),
        Shape::PrimaryRemote => moved.planes(),
    };
    let mut states = Vec::new();
    for cluster in wanted {
        let all = || moved.mesh.gateways.of_cluster(cluster.id).iter();
        let server = all().find(|g| {
            g.servers.iter().any(crate::kinds::networking::Server::is_for_other_networks)
        });
        if let Some(gateway) = server {
            step.place(gateway.named_at(), cluster.name.clone());
            states.push(State::Done);
        } else {
            let namespace = cluster.facts.system_namespace();
            let seen = moved.mesh.has_seen(cluster.id, "Gateway", namespace);
            states.push(if seen { State::Todo } else { State::Unknown });
        }
    }
    step.state = together(&states);
    step
}

//! Services: which must not merge, and which have to be everywhere.

use super::{Move, State, Step};
use crate::kinds::core::Service;
use crate::mesh::{Host, In, Lookup};

/// How many places a step of many names.
const SHOWN: usize = 12;

/// Namespaces whose Services are a matter of each cluster, as a rule.
const INFRASTRUCTURE: [&str; 10] = [
    "kube-system",
    "istio-system",
    "istio-ingress",
    "monitoring",
    "observability",
    "logging",
    "cert-manager",
    "flux-system",
    "argocd",
    "gatekeeper-system",
];

/// Whether a Service leads to pods that each hold data of their own.
pub fn is_stateful(mesh: &crate::mesh::Mesh, service: &In<Service>) -> bool {
    let backends = mesh.backends(service);
    !backends.is_empty() && backends.iter().all(|w| w.meta.kind.as_str() == "StatefulSet")
}

/// The Service of a host in one of the clusters that are moved.
fn service<'m>(moved: &Move<'_, 'm>, host: Host<'m>) -> Option<&'m In<Service>> {
    host.services().find(|s| moved.has(s.cluster))
}

/// Nothing leaves its cluster until somebody lets it.
pub(super) fn local(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "cluster-local-first",
        "all services kept within their clusters while clusters join",
        "with the first remote secret all Services of one name become one, at once; so start closed, and open host by host",
    )
    .how(&[
        "meshConfig:",
        "  serviceSettings:",
        "  - settings: {clusterLocal: true}",
        "    hosts: [\"*\"]",
        "  - settings: {clusterLocal: false}",
        "    hosts: [\"cart.shop.svc.cluster.local\"]   # one by one; from Istio 1.24 on",
    ]);
    let mut closed = true;
    for plane in moved.planes() {
        let settings = plane.facts.mesh_config.iter().flat_map(|c| &c.service_settings);
        let hosts = settings.filter(|s| s.settings.cluster_local.as_ref().is_some_and(|l| l.value));
        let all = hosts.flat_map(|s| &s.hosts).find(|host| host.as_str() == "*");
        match all {
            Some(all) => step.place(all.span, plane.name.clone()),
            None => closed = false,
        }
    }
    let joined = !moved.access.remotes().is_empty() && !moved.is_single();
    step.state = match (closed, joined) {
        (true, _) => State::Done,
        (false, true) => State::Look,
        (false, false) => State::Todo,
    };
    if step.state == State::Look {
        step.why.push_str(
            "; here clusters have joined without it, so see that nothing merged that should not",
        );
    }
    step
}

/// What must stay within its cluster for good.
pub(super) fn own(moved: &Move<'_, '_>) -> Vec<Step> {
    let stateful = Step::new(
        "stateful-services",
        "databases and brokers that must not merge",
        "requests would be spread over data sets that know nothing of each other; pods of a StatefulSet are no replicas of those elsewhere",
    );
    let infrastructure = Step::new(
        "own-services",
        "ingress gateways and infrastructure of each cluster",
        "metrics, webhooks and ingress of one cluster would be answered by another",
    );
    let is_own = |service: &In<Service>| {
        let is_gateway = moved.mesh.is_gateway(service)
            && service.meta.label(crate::mesh::NETWORK_LABEL).is_none();
        let is_between = service.meta.label(crate::mesh::NETWORK_LABEL).is_some();
        !is_between && (is_gateway || INFRASTRUCTURE.contains(&service.namespace.as_str()))
    };
    vec![
        kept(moved, stateful, State::Todo, |service| is_stateful(moved.mesh, service)),
        kept(moved, infrastructure, State::Look, is_own),
    ]
}

/// Hosts of some sort, and whether they are kept within their clusters.
fn kept<'m>(
    moved: &Move<'_, 'm>,
    mut step: Step,
    otherwise: State,
    is_one: impl Fn(&'m In<Service>) -> bool,
) -> Step {
    let mut open = Vec::new();
    let mut closed = 0_usize;
    for host in moved.mesh.hosts() {
        let Some(service) = service(moved, host).filter(|s| is_one(s)) else { continue };
        let planes = moved.planes();
        let is_local = |c: &&crate::clusters::Cluster| moved.mesh.is_cluster_local(host.name, c.id);
        if planes.iter().all(is_local) {
            closed += 1;
        } else {
            open.push(host.name);
            step.place(service.named_at(), host.short());
        }
    }
    step.state = match (open.len(), closed) {
        (0, _) => State::Done,
        _ => otherwise,
    };
    if open.is_empty() && closed == 0 {
        step.title.push_str(": none in the input");
    }
    if !open.is_empty() {
        step.how.push("meshConfig.serviceSettings:".to_owned());
        step.how.push("- settings: {clusterLocal: true}".to_owned());
        step.how.push("  hosts:".to_owned());
        step.how.extend(open.iter().take(SHOWN).map(|host| format!("  - {host}")));
        if open.len() > SHOWN {
            step.how.push(format!("  # and {} more", open.len() - SHOWN));
        }
    }
    step
}

/// Each Service where it is called from.
pub(super) fn everywhere(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "services-everywhere",
        "the Service (no pods needed) in every cluster that calls it",
        "Istio knows it, but the name does not resolve in the caller's cluster, unless proxies answer DNS",
    )
    .how(&["kubectl --context CLUSTER apply -f SERVICE.yaml   # best from one base for all clusters"]);
    let mut unseen = moved.is_single();
    for host in moved.mesh.hosts() {
        let Some(service) = service(moved, host) else { continue };
        let planes = moved.planes();
        let local = planes.iter().any(|c| moved.mesh.is_cluster_local(host.name, c.id));
        if local
            || moved.mesh.is_gateway(service)
            || INFRASTRUCTURE.contains(&service.namespace.as_str())
        {
            continue;
        }
        for cluster in moved.clusters {
            match moved.mesh.service(cluster.id, &service.namespace, service.name()) {
                Lookup::Found(_) => {}
                Lookup::Absent { .. } => {
                    step.place(
                        service.named_at(),
                        format!("{} is not in {}", host.short(), cluster.name),
                    );
                }
                Lookup::Unseen => unseen = true,
            }
        }
    }
    step.state = match (step.places.is_empty(), unseen) {
        (false, _) => State::Look,
        (true, true) => State::Unknown,
        (true, false) => State::Done,
    };
    step
}

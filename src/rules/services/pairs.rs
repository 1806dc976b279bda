//! The same service in two clusters.

use std::collections::BTreeMap;

use crate::kinds::core::Service;
use crate::mesh::{Host, In, Mesh};

/// Pairs of Services of one host in different clusters of one mesh, told by different texts: the first
/// cluster's with each other's. Hosts that never leave their cluster, gateways, which clients of the mesh
/// do not call by their Service, and clusters with alternatives are left out.
pub(super) fn pairs(mesh: &Mesh) -> Vec<(Host<'_>, &In<Service>, &In<Service>)> {
    let mut found = Vec::new();
    for host in mesh.hosts() {
        let mut by_mesh: BTreeMap<usize, Vec<&In<Service>>> = BTreeMap::new();
        for service in host.services() {
            by_mesh.entry(mesh.cluster(service.cluster).mesh).or_default().push(service);
        }
        for services in by_mesh.into_values() {
            let [first, others @ ..] = services.as_slice() else { continue };
            let alternatives = services.windows(2).any(|two| two[0].cluster == two[1].cluster);
            let local = services.iter().any(|s| mesh.is_cluster_local(host.name, s.cluster));
            if alternatives || local || services.iter().any(|s| mesh.is_gateway(s)) {
                continue;
            }
            let others = others.iter().filter(|s| !s.is_same_text(first));
            found.extend(others.map(|other| (host, *first, *other)));
        }
    }
    found
}

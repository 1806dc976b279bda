//! How many endpoints a host or subset has in each zone, as the clients of one network count them.

use std::collections::{BTreeMap, BTreeSet};

use super::levels::Level;
use crate::clusters::{Cluster, ClusterId};
use crate::kinds::core::Service;
use crate::kinds::workloads::Workload;
use crate::mesh::{CLUSTER_LABEL, Host, In, Locality, Mesh, NETWORK_LABEL, Subset};
use crate::placement::{Bounds, Placements, ServicePlacement};
use crate::source::Span;

/// As many addresses as the gateways of another network may have.
const GATEWAYS: u32 = 8;

/// The endpoints of a host or subset, for clients of one network.
#[derive(Debug, Default)]
pub(super) struct Endpoints<'m> {
    /// Pods of the clients' own network by zone.
    pub(super) zones: BTreeMap<Locality, Bounds>,
    /// Whether the zones of all these pods are known.
    pub(super) zoned: bool,
    /// All pods of the own network.
    pub(super) total: Bounds,
    /// Hosts of other networks at most: their pods, or the gateways in front of them.
    pub(super) remote_most: u32,
    /// Zones of pods in other networks.
    pub(super) remote_zones: BTreeSet<Locality>,
    /// Zones in which the control plane's clients can run.
    pub(super) client_zones: BTreeSet<Locality>,
    /// Workloads of the own network.
    pub(super) workloads: Vec<&'m In<Workload>>,
}

impl<'m> Endpoints<'m> {
    /// At most so many hosts count as endpoints.
    pub(super) fn most(&self) -> u32 {
        self.total.most.saturating_add(self.remote_most)
    }

    /// A workload with a certain replica in a zone.
    pub(super) fn why(&self, placements: &Placements<'m>, zone: &Locality) -> Option<Span> {
        let here = |w: &&&'m In<Workload>| placements.of(w).in_zone(zone).least > 0;
        self.workloads.iter().find(here).map(|w| w.named_at())
    }

    fn take(&mut self, part: &Here<'m>) {
        self.zoned &= part.zoned;
        self.total = self.total.plus(part.total);
        self.workloads.extend(&part.workloads);
        for (zone, bounds) in &part.zones {
            let sum = self.zones.entry(zone.clone()).or_default();
            *sum = sum.plus(*bounds);
        }
    }
}

/// What one cluster has of a host or subset.
struct Here<'m> {
    cluster: &'m Cluster,
    zones: BTreeMap<Locality, Bounds>,
    zoned: bool,
    total: Bounds,
    workloads: Vec<&'m In<Workload>>,
}

/// The endpoints of a host or subset for the clients of each network; nothing where some of them cannot
/// be seen.
pub(super) fn endpoints<'m>(
    mesh: &'m Mesh,
    placements: &Placements<'m>,
    host: Host<'m>,
    control_plane: ClusterId,
    subset: Option<Subset<'m>>,
) -> Vec<Endpoints<'m>> {
    let Some(parts) = parts(mesh, placements, host, control_plane, subset) else {
        return Vec::new();
    };
    let local = mesh.is_cluster_local(host.name, control_plane);
    let networks: BTreeSet<Option<&str>> = parts.iter().map(|p| network(p.cluster)).collect();
    if networks.len() > 1 && networks.contains(&None) {
        return Vec::new();
    }
    let near = |a: &Here<'_>, b: &Here<'_>| {
        a.cluster.id == b.cluster.id || !local && network(a.cluster) == network(b.cluster)
    };
    let mut found = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let served =
            |p: &&Here<'_>| mesh.config_cluster(p.cluster.id).found() == Some(control_plane);
        let (own, others): (Vec<_>, Vec<_>) = parts.iter().partition(|other| near(part, other));
        let known = parts[..i].iter().any(|earlier| near(earlier, part));
        if known || !own.iter().copied().any(|p| served(&p)) {
            continue;
        }
        let mut sum = Endpoints { zoned: true, ..Endpoints::default() };
        own.iter().for_each(|part| sum.take(part));
        for part in own.into_iter().filter(served) {
            sum.client_zones.extend(mesh.zones(part.cluster.id));
            sum.client_zones.extend(part.zones.keys().cloned());
        }
        for part in others.into_iter().filter(|_| !local) {
            sum.remote_most = sum.remote_most.saturating_add(part.total.most.max(GATEWAYS));
            sum.remote_zones.extend(part.zones.keys().cloned());
        }
        found.push(sum);
    }
    found
}

fn network(cluster: &Cluster) -> Option<&str> {
    cluster.network().map(|n| n.as_str())
}

/// The endpoints of a level.
pub(super) fn of_level<'m>(
    mesh: &'m Mesh,
    placements: &Placements<'m>,
    level: &Level<'m>,
) -> Vec<Endpoints<'m>> {
    let Some(host) = level.host(mesh) else { return Vec::new() };
    endpoints(mesh, placements, host, level.control_plane(), level.subset)
}

/// Whether the only cluster of a mesh may have peers outside the input: nobody configured the mesh, no
/// other cluster is there to be told apart from it, and its control plane has a name among others.
fn may_have_peers(mesh: &Mesh, cluster: &Cluster) -> bool {
    let facts = &cluster.facts;
    let named = facts.name.iter().any(|f| f.value.as_str() != "Kubernetes");
    let signs = named || !facts.network.is_empty() || !facts.mesh_id.is_empty();
    cluster.config.is_none() && mesh.clusters().len() == 1 && signs
}

/// What each cluster of the mesh has; `None` where that of some cluster cannot be seen.
fn parts<'m>(
    mesh: &'m Mesh,
    placements: &Placements<'m>,
    host: Host<'m>,
    control_plane: ClusterId,
    subset: Option<Subset<'m>>,
) -> Option<Vec<Here<'m>>> {
    let namespace = host.namespace()?;
    let peers: Vec<_> = mesh.peers(control_plane).collect();
    if host.entries().next().is_some() || peers.len() == 1 && may_have_peers(mesh, peers[0]) {
        return None;
    }
    let mut found = Vec::new();
    for cluster in peers {
        let Some(service) = host.services().find(|s| s.cluster == cluster.id) else {
            let name = host.name.split('.').next()?;
            if mesh.service(cluster.id, namespace, name).is_absent() {
                continue;
            }
            return None;
        };
        found.push(here(mesh, placements, service, subset)?);
    }
    Some(found)
}

fn here<'m>(
    mesh: &'m Mesh,
    placements: &Placements<'m>,
    service: &'m In<Service>,
    subset: Option<Subset<'m>>,
) -> Option<Here<'m>> {
    let cluster = mesh.cluster(service.cluster);
    let placed = placements.of_service(service);
    let nothing = placed.workloads.is_empty() && placed.pods.is_empty();
    let assumed = |w: &In<Workload>| mesh.is_assumed(&w.meta);
    if mesh.is_assumed(&service.meta)
        || nothing && !cluster.is_complete()
        || placed.workloads.iter().any(|(w, _)| assumed(w))
    {
        return None;
    }
    let known_places = mesh.places(cluster.id);
    let by_nodes = known_places.iter().any(|p| p.nodes.is_some());
    let whole = known_places.iter().all(|p| p.locality.subzone.is_empty());
    let told = by_nodes || placed.zones.keys().all(|zone| !zone.region.is_empty());
    let zoned = placed.known && whole && told;
    match subset {
        Some(subset) => part_of(mesh, &placed, subset, cluster, zoned),
        None => {
            let workloads = placed.workloads.iter().map(|(w, _)| *w).collect();
            Some(Here { cluster, zones: placed.zones, zoned, total: placed.total, workloads })
        }
    }
}

/// What a subset selects of a cluster's endpoints; `None` where pods or places decide.
fn part_of<'m>(
    mesh: &'m Mesh,
    placed: &ServicePlacement<'m>,
    subset: Subset<'m>,
    cluster: &'m Cluster,
    zoned: bool,
) -> Option<Here<'m>> {
    let by_place = |key: &str| {
        key.contains("topology.") && key != CLUSTER_LABEL && key != NETWORK_LABEL
            || key == "kubernetes.io/hostname"
    };
    if !placed.pods.is_empty() || subset.subset.labels.iter().any(|(key, _)| by_place(key)) {
        return None;
    }
    let mut here = Here {
        cluster,
        zones: BTreeMap::new(),
        zoned,
        total: Bounds::default(),
        workloads: Vec::new(),
    };
    for (workload, placement) in &placed.workloads {
        if !subset.may_select(mesh, workload) {
            continue;
        }
        here.workloads.push(*workload);
        here.total = here.total.plus(placement.total);
        for (zone, bounds) in &placement.zones {
            let sum = here.zones.entry(zone.clone()).or_default();
            *sum = sum.plus(bounds.bounds);
        }
    }
    Some(here)
}

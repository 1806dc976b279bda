//! How many endpoints a host or subset has in each zone, as the clients of one network count them.

use std::collections::{BTreeMap, BTreeSet};

use super::Traffic;
use super::supply::{Supply, Unknown};
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
pub struct View<'m> {
    /// Pods of the clients' own network by zone.
    pub zones: BTreeMap<Locality, Bounds>,
    /// Whether the zones of all these pods are known.
    pub zoned: bool,
    /// All pods of the own network.
    pub total: Bounds,
    /// Hosts of other networks at most: their pods, or the gateways in front of them.
    pub remote_most: u32,
    /// Zones of pods in other networks.
    pub remote_zones: BTreeSet<Locality>,
    /// Zones in which the control plane's clients can run.
    pub client_zones: BTreeSet<Locality>,
    /// Workloads of the own network.
    pub workloads: Vec<&'m In<Workload>>,
}

impl<'m> View<'m> {
    /// At most so many hosts count as endpoints.
    pub fn most(&self) -> u32 {
        self.total.most.saturating_add(self.remote_most)
    }

    /// A workload with a certain replica in a zone.
    pub fn why(&self, placements: &Placements<'m>, zone: &Locality) -> Option<Span> {
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

impl<'m> Traffic<'m> {
    /// The endpoints of a host or subset for the clients of each network that a control plane serves;
    /// nothing where some of them cannot be seen.
    pub fn views(
        &self,
        host: Host<'m>,
        control_plane: ClusterId,
        subset: Option<Subset<'m>>,
    ) -> Vec<View<'m>> {
        let mesh = self.mesh();
        let supply = self.supply(host, control_plane);
        if !supply.is_whole() || host.entries().next().is_some() {
            return Vec::new();
        }
        let services = supply.services.iter();
        let parts = services.map(|(s, placed)| here(mesh, &supply, s, placed, subset));
        let parts: Option<Vec<Here<'m>>> = parts.collect();
        let parts = parts.unwrap_or_default();
        let networks: BTreeSet<Option<&str>> = parts.iter().map(|p| network(p.cluster)).collect();
        if networks.len() > 1 && networks.contains(&None) {
            return Vec::new();
        }
        let local = mesh.is_cluster_local(host.name, control_plane);
        views(mesh, &parts, control_plane, local)
    }
}

fn views<'m>(
    mesh: &'m Mesh,
    parts: &[Here<'m>],
    control_plane: ClusterId,
    local: bool,
) -> Vec<View<'m>> {
    let near = |a: &Here<'_>, b: &Here<'_>| {
        a.cluster.id == b.cluster.id || !local && network(a.cluster) == network(b.cluster)
    };
    let served = |p: &&Here<'_>| mesh.config_cluster(p.cluster.id).found() == Some(control_plane);
    let mut found = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let (own, others): (Vec<_>, Vec<_>) = parts.iter().partition(|other| near(part, other));
        let known = parts[..i].iter().any(|earlier| near(earlier, part));
        if known || !own.iter().copied().any(|p| served(&p)) {
            continue;
        }
        let mut sum = View { zoned: true, ..View::default() };
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

/// What one cluster has; `None` where pods or places decide what a subset selects.
fn here<'m>(
    mesh: &'m Mesh,
    supply: &Supply<'m>,
    service: &In<Service>,
    placed: &ServicePlacement<'m>,
    subset: Option<Subset<'m>>,
) -> Option<Here<'m>> {
    let cluster = mesh.cluster(service.cluster);
    let untold =
        |u: &Unknown<'_>| matches!(u, Unknown::Zones { cluster: c, .. } if *c == cluster.id);
    let zoned = !supply.unknown.iter().any(untold)
        && mesh.places(cluster.id).iter().all(|p| p.locality.subzone.is_empty());
    let Some(subset) = subset else {
        let workloads = placed.workloads.iter().map(|(w, _)| *w).collect();
        let (spread, total) = (placed.zones.clone(), placed.total);
        return Some(Here { cluster, zones: spread, zoned, total, workloads });
    };
    let by_place = |key: &str| {
        key.contains("topology.") && key != CLUSTER_LABEL && key != NETWORK_LABEL
            || key == "kubernetes.io/hostname"
    };
    if !placed.pods.is_empty() || subset.subset.labels.iter().any(|(key, _)| by_place(key)) {
        return None;
    }
    let selected = placed.workloads.iter().filter(|(w, _)| subset.may_select(mesh, w));
    let (mut spread, mut total) = (BTreeMap::<Locality, Bounds>::new(), Bounds::default());
    let mut workloads = Vec::new();
    for (workload, placement) in selected {
        workloads.push(*workload);
        total = total.plus(placement.total);
        for (zone, bounds) in &placement.zones {
            let sum = spread.entry(zone.clone()).or_default();
            *sum = sum.plus(bounds.bounds);
        }
    }
    Some(Here { cluster, zones: spread, zoned, total, workloads })
}

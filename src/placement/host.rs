//! Replicas behind a host: the sum over the clusters of a mesh.

use std::collections::BTreeMap;

use super::{Bounds, Placement, Placements, ServicePlacement};
use crate::clusters::ClusterId;
use crate::kinds::workloads::Workload;
use crate::mesh::{Host, In, Locality, LocalityPattern, REGION_LABEL, Subset, ZONE_LABEL};

/// Replicas behind a host, or behind one subset of it, by zone.
#[derive(Clone, Debug)]
pub struct HostPlacement<'m> {
    /// Known zones of all clusters, without subzone.
    pub zones: BTreeMap<Locality, Bounds>,
    /// Whether all its replicas can be seen, and their regions.
    pub known: bool,
    /// Its workloads.
    pub workloads: Vec<(&'m In<Workload>, Placement)>,
    parts: Vec<Part>,
}

/// Replicas of one workload, or of one service of a cluster.
#[derive(Clone, Debug)]
struct Part {
    /// All of them; open where only some of the zones count.
    total: Bounds,
    zones: Vec<(Locality, Bounds)>,
}

impl Part {
    /// Zones share one number of replicas: what cannot be elsewhere is here, and what is elsewhere is
    /// not.
    fn matching(&self, pattern: &LocalityPattern) -> Bounds {
        let sum = |inside: bool| {
            let zones = self.zones.iter().filter(|(zone, _)| pattern.matches(zone) == inside);
            zones.map(|(_, bounds)| *bounds).fold(Bounds::default(), Bounds::plus)
        };
        let (inside, outside) = (sum(true), sum(false));
        let most = match self.total.most {
            u32::MAX => inside.most,
            most => inside.most.min(most.saturating_sub(outside.least)),
        };
        let least = inside.least.max(self.total.least.saturating_sub(outside.most));
        Bounds { least: least.min(most), most }
    }
}

impl HostPlacement<'_> {
    /// Replicas in the localities that a pattern stands for.
    pub fn matching(&self, pattern: &LocalityPattern) -> Bounds {
        let parts = self.parts.iter().map(|part| part.matching(pattern));
        parts.fold(Bounds::default(), Bounds::plus)
    }

    fn add(&mut self, total: Bounds, zones: Vec<(Locality, Bounds)>) {
        for (zone, bounds) in &zones {
            let known = self.zones.entry(zone.clone()).or_default();
            *known = known.plus(*bounds);
        }
        self.parts.push(Part { total, zones });
    }
}

/// No number of replicas that zones would share.
const OPEN: Bounds = Bounds { least: 0, most: u32::MAX };

impl<'m> Placements<'m> {
    /// Where the replicas behind a host can be, in all clusters of a mesh; `None` where none of its
    /// workloads is in the input.
    pub fn of_host(
        &self,
        host: Host<'m>,
        of: ClusterId,
        subset: Option<Subset<'m>>,
    ) -> Option<HostPlacement<'m>> {
        let mut all = HostPlacement {
            zones: BTreeMap::new(),
            known: true,
            workloads: Vec::new(),
            parts: Vec::new(),
        };
        for service in host.services_of_mesh(of) {
            let here = self.of_service(service);
            if here.workloads.is_empty() && here.pods.is_empty() {
                // Somewhere else there may be pods of it.
                all.known = false;
                continue;
            }
            // Nodes without a region have none; of pools and selectors it may only be unknown.
            let by_nodes = self.mesh.places(service.cluster).iter().any(|p| p.nodes.is_some());
            let regions = by_nodes || here.zones.keys().all(|zone| !zone.region.is_empty());
            all.known &= here.known && regions;
            self.add_part(&mut all, here, subset);
        }
        (!all.workloads.is_empty() || !all.zones.is_empty()).then_some(all)
    }

    fn add_part(
        &self,
        all: &mut HostPlacement<'m>,
        here: ServicePlacement<'m>,
        subset: Option<Subset<'m>>,
    ) {
        let Some(subset) = subset else {
            let total = if here.known { here.total } else { OPEN };
            all.add(total, here.zones.into_iter().collect());
            all.workloads.extend(here.workloads);
            return;
        };
        all.known &= here.pods.is_empty();
        for (workload, placement) in here.workloads {
            if subset.may_select(self.mesh, workload) {
                let zones = placement.zones.iter().filter(|(zone, _)| may_be_in(subset, zone));
                let zones: Vec<_> = zones.map(|(zone, z)| (zone.clone(), z.bounds)).collect();
                let whole = placement.known && zones.len() == placement.zones.len();
                all.add(if whole { placement.total } else { OPEN }, zones);
                all.workloads.push((workload, placement));
            }
        }
    }
}

/// Whether pods in a zone can be in a subset, as far as it selects by region and zone.
fn may_be_in(subset: Subset<'_>, zone: &Locality) -> bool {
    [(REGION_LABEL, &zone.region), (ZONE_LABEL, &zone.zone)].into_iter().all(|(key, own)| {
        own.is_empty() || subset.label(key).is_none_or(|want| want.as_str() == own)
    })
}

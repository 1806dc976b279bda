//! Replicas behind a service: the sum over its workloads, and what they ask of each other.

use std::collections::BTreeMap;

use super::demand::Demand;
use super::limits::Limits;
use super::nodes::{Asks, Cell};
use super::solve::Ground;
use super::{Bounds, Cause, Placement, Placements, Pods, Why, find};
use crate::kinds::core::Service;
use crate::kinds::workloads::{Pod, Workload};
use crate::mesh::{In, Locality};
use crate::source::Span;

/// Replicas behind a service by zone of its cluster.
#[derive(Clone, Debug)]
pub struct ServicePlacement<'m> {
    /// Its workloads; a `ReplicaSet` of a Deployment is left out.
    pub workloads: Vec<(&'m In<Workload>, Placement)>,
    /// Pods that are of none of them.
    pub pods: Vec<(&'m In<Pod>, Placement)>,
    /// How many run in all.
    pub total: Bounds,
    /// Known zones, without subzone.
    pub zones: BTreeMap<Locality, Bounds>,
    /// Whether the zones of all its workloads are known.
    pub known: bool,
}

impl ServicePlacement<'_> {
    /// Replicas in a zone.
    pub fn in_zone(&self, zone: &Locality) -> Bounds {
        match find(&self.zones, zone) {
            Some(bounds) => *bounds,
            None => {
                self.parts().map(|part| part.in_zone(zone)).fold(Bounds::default(), Bounds::plus)
            }
        }
    }

    /// Whether it has certainly no replica in a zone.
    pub fn certainly_none_in(&self, zone: &Locality) -> bool {
        self.in_zone(zone).most == 0
    }

    /// Whether it may have no replica in a zone.
    pub fn may_miss(&self, zone: &Locality) -> bool {
        self.in_zone(zone).least == 0
    }

    fn parts(&self) -> impl Iterator<Item = &Placement> {
        let pods = self.pods.iter().map(|(_, part)| part);
        self.workloads.iter().map(|(_, part)| part).chain(pods)
    }
}

/// Workloads that a spread constraint counts together, and the bounds of their sum.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Places of the members, sorted.
    members: Vec<Span>,
    zones: BTreeMap<Locality, Bounds>,
}

pub(super) fn placement<'m>(
    placements: &Placements<'m>,
    service: &'m In<Service>,
) -> ServicePlacement<'m> {
    let mesh = placements.mesh;
    let backends = mesh.backends(service).into_iter();
    let workloads: Vec<_> = backends.map(|w| (w, placements.of(w))).collect();
    let pods = mesh.pods_of(service).into_iter().filter(|pod| {
        let selected =
            |w: &In<Workload>| w.selector.as_ref().is_some_and(|s| s.matches(&pod.meta.labels));
        !workloads.iter().any(|(w, _)| selected(w))
    });
    let pods: Vec<_> = pods.map(|pod| (pod, placements.of_pod(pod))).collect();
    let mut sum = ServicePlacement {
        workloads,
        pods,
        total: Bounds::default(),
        zones: BTreeMap::new(),
        known: true,
    };
    sum.total = sum.parts().map(|p| p.total).fold(Bounds::default(), Bounds::plus);
    let known = sum.parts().all(|p| p.known);
    sum.known = known;
    let zones: Vec<Locality> = sum.parts().flat_map(|p| p.zones.keys().cloned()).collect();
    for zone in zones {
        let bounds = in_groups(&sum, &zone);
        sum.zones.insert(zone, bounds);
    }
    sum
}

/// The sum in a zone, narrowed where a group of workloads spreads as one.
fn in_groups(sum: &ServicePlacement<'_>, zone: &Locality) -> Bounds {
    let all = sum.parts().map(|part| part.in_zone(zone)).fold(Bounds::default(), Bounds::plus);
    let groups = sum.workloads.iter().filter_map(|(_, part)| part.group.as_ref());
    let narrowed = groups.filter_map(|group| {
        let is_member = |w: &In<Workload>| group.members.contains(&w.meta.span);
        let inside = sum.workloads.iter().filter(|(w, _)| is_member(w)).count();
        let bounds = group.zones.get(zone).filter(|_| inside == group.members.len())?;
        let others = sum.workloads.iter().filter(|(w, _)| !is_member(w)).map(|(_, part)| part);
        let others = others.chain(sum.pods.iter().map(|(_, part)| part));
        Some(others.map(|part| part.in_zone(zone)).fold(*bounds, Bounds::plus))
    });
    narrowed.fold(all, |all, group| Bounds {
        least: all.least.max(group.least),
        most: all.most.min(group.most),
    })
}

/// How many workloads may share a constraint before we do not look into it.
const SHARED: usize = 16;

/// Narrows a placement by a spread constraint that its pods share with those of other workloads,
/// where all of them have that constraint and can go to the same nodes.
pub(super) fn share<'m>(
    placements: &Placements<'m>,
    pods: &Pods<'m>,
    limits: &Limits<'m>,
    cells: &[Cell],
    placement: &mut Placement,
) {
    let shared = limits.spreads.iter().filter(|s| !s.others.is_empty() && s.others.len() <= SHARED);
    for spread in shared {
        let signature = |pods: &Pods<'m>, limits: &Limits<'m>| {
            Asks { spec: pods.spec, daemon: pods.daemon, keys: limits.keys() }.signature()
        };
        let own = signature(pods, limits);
        let mut wanted = pods.demand.bounds;
        let (mut others, mut plain) = (0_u32, alone(limits));
        let mut members: Vec<Span> = pods.own.workload.iter().map(|w| w.meta.span).collect();
        let alike = spread.others.iter().all(|other| {
            let theirs = placements.pods(other);
            let limits = placements.limits(&theirs);
            let same = |s: &&super::limits::Spread<'_>| {
                s.is_like(spread) && s.others.len() == spread.others.len()
            };
            wanted = wanted.plus(theirs.demand.bounds);
            others = others.saturating_add(theirs.demand.bounds.most);
            members.push(other.meta.span);
            plain &= alone(&limits);
            signature(&theirs, &limits) == own && limits.spreads.iter().any(|s| same(&s))
        });
        if !alike || pods.own.workload.is_none() {
            continue;
        }
        members.sort_unstable();
        let demand = Demand { bounds: wanted, ..pods.demand.clone() };
        let running = Bounds { least: if plain { wanted.least } else { 0 }, ..wanted };
        let zones: BTreeMap<_, _> =
            Ground::shared(cells, &demand, spread, running).into_iter().collect();
        let why = Why::new(Cause::Spread, Some(spread.span));
        for (zone, bounds) in &zones {
            let Some(zone) = placement.zones.get_mut(zone) else { continue };
            if bounds.most < zone.bounds.most {
                (zone.bounds.most, zone.why_most) = (bounds.most, why);
            }
            let rest = bounds.least.saturating_sub(others);
            if rest > zone.bounds.least {
                (zone.bounds.least, zone.why_least) = (rest, why);
            }
        }
        placement.group = Some(Group { members, zones });
    }
}

/// Whether one spread constraint is all that the pods ask of each other, so that none of them waits
/// for the sake of another limit.
fn alone(limits: &Limits<'_>) -> bool {
    limits.spreads.len() == 1 && limits.apart.is_empty() && limits.together.is_empty()
}

//! Whom Envoy sends requests to, once it has an assignment: priorities, overflow, panic, weights.
//!
//! Priorities are whole per cents, cut off as Envoy cuts them off; weights are real numbers there as
//! here. What is computed is the share of each host over many requests, with equal latencies.
//!
//! Source: `load_balancer_impl.cc` (`recalculatePerPriorityState`, `calculateOverloadedFactor`...),
//! `eds.cc` (one address counts once), `outlier_detection_impl.cc` (`ejectHost`) of Envoy.

use std::collections::BTreeSet;

use super::assignment::{Group, Member, Target};
use super::chance::Chance;
use crate::mesh::Locality;

/// A level takes all of its requests down to 100/140 of its hosts. Istio never changes it.
const OVERPROVISIONING: u64 = 140;

/// The hosts of a member, as Envoy sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hosts {
    /// Which group, and which of its members.
    at: (usize, usize),
    count: u32,
    /// Neither unready nor ejected.
    healthy: u32,
    weight: u32,
}

impl Hosts {
    fn weight_of(&self, count: u32) -> f64 {
        f64::from(count) * f64::from(self.weight)
    }
}

/// Hosts of one locality and one priority.
#[derive(Debug)]
struct LocalityHosts<'e> {
    locality: &'e Locality,
    weight: u32,
    hosts: Vec<Hosts>,
}

impl LocalityHosts<'_> {
    fn count(&self) -> u64 {
        self.hosts.iter().map(|h| u64::from(h.count)).sum()
    }

    fn healthy(&self) -> u64 {
        self.hosts.iter().map(|h| u64::from(h.healthy)).sum()
    }

    /// Its weight, lowered where fewer hosts are healthy than overprovisioning makes up for.
    fn effective_weight(&self) -> f64 {
        let (count, healthy) = (self.count(), self.healthy());
        if count == 0 {
            return 0.0;
        }
        f64::from(self.weight) * (real(OVERPROVISIONING * healthy) / real(100 * count)).min(1.0)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of hosts are far below 2^52")]
fn real(count: u64) -> f64 {
    count as f64
}

/// The part of its requests that a priority keeps, in per cent, with so many healthy hosts of all.
pub fn health(healthy: u64, all: u64) -> u64 {
    (OVERPROVISIONING * healthy).checked_div(all).unwrap_or(0).min(100)
}

/// How many of all hosts may be out at once, with `maxEjectionPercent`.
pub fn ejectable(all: u64, max_percent: u32) -> u64 {
    all * u64::from(max_percent) / 100
}

/// Hosts of one priority.
#[derive(Debug, Default)]
struct Level<'e> {
    localities: Vec<LocalityHosts<'e>>,
}

impl Level<'_> {
    fn count(&self) -> u64 {
        self.localities.iter().map(LocalityHosts::count).sum()
    }

    fn healthy(&self) -> u64 {
        self.localities.iter().map(LocalityHosts::healthy).sum()
    }

    fn health(&self) -> u64 {
        health(self.healthy(), self.count())
    }

    fn is_in_panic(&self, threshold: u64) -> bool {
        match self.count() {
            0 => threshold > 0,
            count => 100 * self.healthy() < threshold * count,
        }
    }
}

/// How Envoy chooses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice<'z> {
    /// Whether localities are weighted (`locality_weighted_lb_config`).
    pub by_locality: bool,
    /// Below this share of healthy hosts, in per cent, a level sends to all of its hosts; 0 never.
    pub panic_threshold: u32,
    /// Zone-aware routing of the first level, where Envoy knows the hosts of its own service.
    pub zone_aware: Option<ZoneAware<'z>>,
}

/// What zone-aware routing needs to know.
#[derive(Clone, Copy, Debug)]
pub struct ZoneAware<'z> {
    /// The client's zone.
    pub own: &'z Locality,
    /// Hosts of the client's own service by zone.
    pub local: &'z [(Locality, u32)],
    /// So many healthy hosts are needed.
    pub min_cluster_size: u64,
}

/// The share of requests that goes to the hosts of a member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Position of the group.
    pub group: usize,
    /// Position of the member within it.
    pub member: usize,
    /// Where it leads to.
    pub target: Target,
    /// Its priority.
    pub priority: u32,
    /// 0 to 1.
    pub share: f64,
    /// The part of `share` that goes to hosts which are unready or ejected.
    pub unhealthy: f64,
}

/// Where requests go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// By member, in the order of the assignment. Together with `unanswered` they make 1.
    pub shares: Vec<Share>,
    /// The share that finds no host: 503 with the flag `UH`.
    pub unanswered: f64,
}

/// Hosts that outlier detection has thrown out, by position of group and member.
pub type Ejected = std::collections::BTreeMap<(usize, usize), u32>;

/// The share of each member.
pub fn select(groups: &[Group<'_>], ejected: &Ejected, choice: Choice<'_>) -> Selection {
    let levels = levels(groups, ejected);
    let threshold = u64::from(choice.panic_threshold);
    let Some((loads, panics)) = loads(&levels, threshold) else {
        return Selection { shares: Vec::new(), unanswered: 1.0 };
    };
    let mut selection = Selection::default();
    for (priority, level) in levels.iter().enumerate() {
        let load = real(loads[priority]) / 100.0;
        if load > 0.0 {
            let zone_aware = choice.zone_aware.filter(|_| priority == 0);
            let within = Within { level, load, panic: panics[priority] };
            within.share_out(groups, choice.by_locality, zone_aware, &mut selection);
        }
    }
    selection.shares.sort_by_key(|s| (s.group, s.member));
    selection
}

/// Hosts by priority. An address counts once, where it first stands; groups of one locality and
/// priority are one, with the weight of the last.
fn levels<'e>(groups: &[Group<'e>], ejected: &Ejected) -> Vec<Level<'e>> {
    let mut levels: Vec<Level<'e>> = Vec::new();
    let mut seen = BTreeSet::new();
    for (g, group) in groups.iter().enumerate() {
        let priority = group.priority as usize;
        if levels.len() <= priority {
            levels.resize_with(priority + 1, Level::default);
        }
        let first = |m: &Member| !matches!(m.target, Target::Gateway(_)) || seen.insert(m.target);
        let mut first = first;
        let mut hosts = Vec::with_capacity(group.members.len());
        for (m, member) in group.members.iter().enumerate().filter(|(_, m)| first(m)) {
            let out = ejected.get(&(g, m)).copied().unwrap_or(0);
            let healthy = if member.healthy { member.count.saturating_sub(out) } else { 0 };
            hosts.push(Hosts { at: (g, m), count: member.count, healthy, weight: member.weight });
        }
        let weight = group.weight.unwrap_or(0);
        let localities = &mut levels[priority].localities;
        match localities.iter_mut().find(|l| l.locality == group.locality) {
            Some(known) => {
                known.hosts.extend(hosts);
                known.weight = weight;
            }
            None => localities.push(LocalityHosts { locality: group.locality, weight, hosts }),
        }
    }
    levels
}

/// The load of each level in per cent, and whether it is in panic; `None` where nobody can answer.
fn loads(levels: &[Level<'_>], threshold: u64) -> Option<(Vec<u64>, Vec<bool>)> {
    let health: Vec<u64> = levels.iter().map(Level::health).collect();
    let total = health.iter().sum::<u64>().min(100);
    let mut panics = vec![false; levels.len()];
    if total == 0 && threshold == 0 || levels.is_empty() {
        return None;
    }
    if total < 100 {
        panics = levels.iter().map(|level| level.is_in_panic(threshold)).collect();
    }
    if panics.iter().all(|p| *p) {
        let counts: Vec<u64> = levels.iter().map(Level::count).collect();
        let all: u64 = counts.iter().sum();
        let parts = counts.iter().map(|c| (100 * c).checked_div(all));
        return Some((with_remainder(parts.collect::<Option<_>>()?, &counts), panics));
    }
    let mut rest = 100;
    let parts = health.iter().map(|h| {
        let part = (100 * h).checked_div(total).unwrap_or(0).min(rest);
        rest -= part;
        part
    });
    let parts = parts.collect();
    Some((with_remainder(parts, &health), panics))
}

/// Gives what rounding left over to the first level that has anything.
fn with_remainder(mut parts: Vec<u64>, present: &[u64]) -> Vec<u64> {
    let rest = 100 - parts.iter().sum::<u64>().min(100);
    if let Some(first) = present.iter().position(|p| *p > 0) {
        parts[first] += rest;
    }
    parts
}

/// A level with what it gets.
struct Within<'l, 'e> {
    level: &'l Level<'e>,
    load: f64,
    /// Whether unhealthy hosts get their part too.
    panic: bool,
}

impl Within<'_, '_> {
    fn share_out(
        &self,
        groups: &[Group<'_>],
        by_locality: bool,
        zone_aware: Option<ZoneAware<'_>>,
        into: &mut Selection,
    ) {
        let weights = match zone_aware {
            _ if self.panic => None,
            _ if by_locality => self.locality_weights(),
            Some(zone_aware) => self.zone_weights(zone_aware),
            None => None,
        };
        let all: Vec<&LocalityHosts<'_>> = self.level.localities.iter().collect();
        match weights {
            Some(weights) => {
                let total: f64 = weights.iter().sum();
                for (locality, weight) in all.into_iter().zip(weights) {
                    if weight > 0.0 {
                        self.among(&[locality], self.load * weight / total, groups, into);
                    }
                }
            }
            None => self.among(&all, self.load, groups, into),
        }
    }

    /// `None` where no locality has a weight and a healthy host.
    fn locality_weights(&self) -> Option<Vec<f64>> {
        let weights = self.level.localities.iter().map(LocalityHosts::effective_weight);
        Some(weights.collect::<Vec<_>>()).filter(|w| w.iter().sum::<f64>() > 0.0)
    }

    /// Parts by zone so that each zone of the client's service is served from its own as far as its
    /// endpoints go. `None` where Envoy does not route by zone.
    fn zone_weights(&self, with: ZoneAware<'_>) -> Option<Vec<f64>> {
        let upstream: Vec<u64> = self.level.localities.iter().map(LocalityHosts::healthy).collect();
        let zones = upstream.iter().filter(|healthy| **healthy > 0).count();
        let all: u64 = upstream.iter().sum();
        let all_local: u64 = with.local.iter().map(|(_, count)| u64::from(*count)).sum();
        let local = |zone: &Locality| {
            let found = with.local.iter().find(|(l, _)| l == zone);
            10_000 * found.map_or(0, |(_, count)| u64::from(*count)) / all_local.max(1)
        };
        if zones < 2 || with.local.len() < 2 || all < with.min_cluster_size {
            return None;
        }
        let shares: Vec<(u64, u64)> = self
            .level
            .localities
            .iter()
            .zip(&upstream)
            .map(|(l, healthy)| (10_000 * healthy / all, local(l.locality)))
            .collect();
        let own = self.level.localities.iter().position(|l| l.locality == with.own)?;
        let (there, here) = shares[own];
        if there > 0 && there >= here {
            return Some((0..shares.len()).map(|i| if i == own { 1.0 } else { 0.0 }).collect());
        }
        let kept = real((10_000 * there).checked_div(here).unwrap_or(0)) / 10_000.0;
        let spare = |i: usize| if i == own { 0 } else { shares[i].0.saturating_sub(shares[i].1) };
        let total: u64 = (0..shares.len()).map(spare).sum();
        let part = |i: usize| match i {
            i if i == own => kept,
            i => (1.0 - kept) * real(spare(i)) / real(total),
        };
        (total > 0).then(|| (0..shares.len()).map(part).collect())
    }

    /// Hosts by their own weight.
    fn among(
        &self,
        localities: &[&LocalityHosts<'_>],
        load: f64,
        groups: &[Group<'_>],
        into: &mut Selection,
    ) {
        let hosts = || localities.iter().flat_map(|l| &l.hosts);
        let open = |h: &Hosts| if self.panic { h.count } else { h.healthy };
        let total: f64 = hosts().map(|h| h.weight_of(open(h))).sum();
        if total <= 0.0 {
            into.unanswered += load;
            return;
        }
        for host in hosts().filter(|h| open(h) > 0) {
            let share = load * host.weight_of(open(host)) / total;
            let (group, member) = host.at;
            let sick = f64::from(open(host) - host.healthy) / f64::from(open(host));
            into.shares.push(Share {
                group,
                member,
                target: groups[group].members[member].target,
                priority: groups[group].priority,
                share,
                unhealthy: share * sick,
            });
        }
    }
}

/// The hosts that outlier detection throws out and keeps out, where all hosts of some members always
/// fail: one after the other, as long as not more than `max_percent` of all hosts are out. Which ones that
/// are where not all can be, chance decides; without it the first are.
pub fn eject(
    groups: &[Group<'_>],
    max_percent: u32,
    chance: Option<&Chance>,
    fails: impl Fn(usize, usize) -> bool,
) -> Ejected {
    let mut seen = BTreeSet::new();
    let mut all = 0_u64;
    let mut failing = Vec::new();
    for (g, group) in groups.iter().enumerate() {
        for (m, member) in group.members.iter().enumerate() {
            if matches!(member.target, Target::Gateway(_)) && !seen.insert(member.target) {
                continue;
            }
            all += u64::from(member.count);
            if member.healthy && fails(g, m) {
                failing.push(((g, m), member.count));
            }
        }
    }
    let mut left = u32::try_from(ejectable(all, max_percent)).unwrap_or(u32::MAX);
    if let Some(chance) = chance {
        let counts: Vec<u32> = failing.iter().map(|(_, count)| *count).collect();
        let out = chance.draw(&counts, left);
        let drawn = failing.into_iter().zip(out).map(|((at, _), out)| (at, out));
        return drawn.filter(|(_, out)| *out > 0).collect();
    }
    let mut ejected = Ejected::new();
    for (at, count) in failing {
        let out = count.min(left);
        left -= out;
        if out > 0 {
            ejected.insert(at, out);
        }
    }
    ejected
}

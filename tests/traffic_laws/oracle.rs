//! The same answers a second time, in fractions, from the data of a mesh on one network: written from
//! what istiod and Envoy do, without the engine.

use std::collections::BTreeMap;
use std::ops::{Add, Mul};

use mesh_lint::traffic::flow::Failure;
use mesh_lint::traffic::loss::Phase;

use crate::answers::{Answer, Asked};
use crate::world::{Host, Level, Policy, Preference, REGION_OF, Route, Weights, Where, World};

/// A fraction in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part(u128, u128);

impl Part {
    pub const ONE: Self = Self(1, 1);
    const NONE: Self = Self(0, 1);

    fn of(above: u64, below: u64) -> Self {
        Self(above.into(), below.into()).lowest()
    }

    fn lowest(self) -> Self {
        let (mut a, mut b) = (self.0, self.1);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Self(self.0 / a, self.1 / a)
    }

    fn at_most(self, other: Self) -> Self {
        if self.0 * other.1 > other.0 * self.1 { other } else { self }
    }

    fn per(self, whole: Self) -> Self {
        self * Self(whole.1, whole.0)
    }

    #[expect(clippy::cast_precision_loss, reason = "it is compared with floats")]
    fn float(self) -> f64 {
        self.0 as f64 / self.1 as f64
    }
}

impl Add for Part {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 * other.1 + other.0 * self.1, self.1 * other.1).lowest()
    }
}

impl Mul for Part {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self(self.0 * other.0, self.1 * other.1).lowest()
    }
}

/// What becomes of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    At(usize, usize),
    Fails(Failure),
}

pub type Parts = BTreeMap<End, Part>;

/// Pods of one cluster, zone and version.
#[derive(Clone, Copy)]
struct Pods {
    cluster: usize,
    zone: usize,
    version: usize,
    count: u64,
    fails: bool,
}

/// The parts as the engine tells them.
pub fn answer(parts: &Parts) -> Answer {
    let mut answer = Answer::default();
    for (end, part) in parts {
        match end {
            End::At(cluster, zone) => {
                _ = answer.arrivals.insert((*cluster, Some(*zone)), part.float());
            }
            End::Fails(why) => _ = answer.failures.insert(*why, part.float()),
        }
    }
    answer
}

/// Where requests go. `None` where chance decides which hosts are ejected.
pub fn parts(world: &World, asked: Asked) -> Option<Parts> {
    let host = &world.hosts[asked.host];
    let legs = legs(host);
    let total: u64 = legs.iter().map(|(_, weight)| weight).sum();
    let mut all = Parts::new();
    for (subset, weight) in legs {
        let pods = pods(host, subset, asked);
        let policy = policy(host, subset != Subset::All);
        for (end, part) in leg(&pods, &policy, asked)? {
            let sum = all.entry(end).or_insert(Part::NONE);
            *sum = *sum + part * Part::of(weight, total);
        }
    }
    Some(all)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Subset {
    All,
    Version(usize),
    Cluster(usize),
}

/// One destination gets everything, whatever its weight.
fn legs(host: &Host) -> Vec<(Subset, u64)> {
    let legs: Vec<(Subset, u64)> = match &host.route {
        Route::Plain => return vec![(Subset::All, 1)],
        Route::Versions([one, two]) => {
            vec![(Subset::Version(1), u64::from(*one)), (Subset::Version(2), u64::from(*two))]
        }
        Route::Clusters(weights) => {
            let leg = |(c, weight): (usize, &u32)| (Subset::Cluster(c), u64::from(*weight));
            weights.iter().enumerate().map(leg).collect()
        }
    };
    if let [(only, _)] = legs[..] {
        return vec![(only, 1)];
    }
    legs.into_iter().filter(|(_, weight)| *weight > 0).collect()
}

/// The policy, where it counts.
pub fn policy(host: &Host, in_subset: bool) -> Policy {
    let counts = host.policy.level != Level::Subsets || in_subset;
    let mut policy = host.policy.clone();
    if !counts {
        policy.outliers = None;
        // What the Service says counts anyway.
        if policy.preference != Preference::SameZone {
            policy.preference = Preference::Nothing;
        }
    }
    policy
}

fn pods(host: &Host, subset: Subset, asked: Asked) -> Vec<Pods> {
    let here = host.runs.iter().filter(|run| match subset {
        Subset::All => true,
        Subset::Version(version) => run.version == version,
        Subset::Cluster(cluster) => run.cluster == cluster,
    });
    let pods = here.map(|run| {
        let Where::Zone(zone) = run.at else { panic!("it is not known where {run:?} is") };
        let fails = asked.lost.takes(run.cluster, Some(zone));
        let (cluster, version, count) = (run.cluster, run.version, u64::from(run.replicas));
        Pods { cluster, zone, version, count, fails }
    });
    let told = |pods: &Pods| pods.count > 0 && !(pods.fails && asked.phase == Phase::Noticed);
    pods.filter(told).collect()
}

/// Pods of one zone and priority.
#[derive(Default)]
struct Group {
    weight: u64,
    pods: Vec<Pods>,
}

impl Group {
    fn all(&self) -> u64 {
        self.pods.iter().map(|pods| pods.count).sum()
    }
}

fn leg(pods: &[Pods], policy: &Policy, asked: Asked) -> Option<Parts> {
    let mut groups: BTreeMap<(u32, usize), Group> = BTreeMap::new();
    for one in pods {
        let group = groups.entry((priority(one, policy, asked), one.zone)).or_default();
        group.pods.push(*one);
        group.weight += one.count;
    }
    if let Preference::Distribute(entries) = &policy.preference {
        weigh(&mut groups, entries, asked.zone);
    }
    // Of hosts that are not sent there is nothing to eject.
    let sent = || groups.values().flat_map(|group| &group.pods);
    let failing: u64 = sent().filter(|pods| pods.fails).map(|pods| pods.count).sum();
    let all: u64 = sent().map(|pods| pods.count).sum();
    let limit = policy.outliers.map_or(0, |max| all * u64::from(max) / 100);
    if limit > 0 && limit < failing {
        return None;
    }
    let alive = |pods: &Pods| if pods.fails && limit >= failing { 0 } else { pods.count };
    let by_locality = match &policy.preference {
        Preference::Distribute(_) | Preference::SameZone => true,
        Preference::Failover(_) | Preference::Labels(..) => policy.outliers.is_some(),
        Preference::Nothing | Preference::Bare | Preference::Off => false,
    };
    let mut levels: BTreeMap<u32, Vec<&Group>> = BTreeMap::new();
    for ((priority, _), group) in &groups {
        levels.entry(*priority).or_default().push(group);
    }
    let health = |level: &Vec<&Group>| {
        let hosts: u64 = level.iter().map(|group| group.all()).sum();
        let alive: u64 = level.iter().flat_map(|group| &group.pods).map(alive).sum();
        (140 * alive).checked_div(hosts).unwrap_or(0).min(100)
    };
    let healths: Vec<u64> = levels.values().map(health).collect();
    let mut parts = Parts::new();
    let Some(loads) = loads(&healths) else {
        parts.insert(End::Fails(Failure::NoEndpoint), Part::ONE);
        return Some(parts);
    };
    for (level, load) in levels.values().zip(loads).filter(|(_, load)| *load > 0) {
        let weight = |group: &&Group| {
            let here: u64 = group.pods.iter().map(alive).sum();
            let factor = Part::of(14 * here, (10 * group.all()).max(1)).at_most(Part::ONE);
            if by_locality { Part::of(group.weight, 1) * factor } else { Part::of(here, 1) }
        };
        let total = level.iter().map(weight).fold(Part::NONE, Part::add);
        for group in level {
            let here: u64 = group.pods.iter().map(alive).sum();
            for one in group.pods.iter().filter(|pods| alive(pods) > 0) {
                let share = weight(group).per(total) * Part::of(alive(one), here);
                let end = if one.fails {
                    End::Fails(Failure::Lost)
                } else {
                    End::At(one.cluster, one.zone)
                };
                let sum = parts.entry(end).or_insert(Part::NONE);
                *sum = *sum + share * Part::of(load, 100);
            }
        }
    }
    Some(parts)
}

/// Per cents by level; `None` where no host is healthy.
fn loads(healths: &[u64]) -> Option<Vec<u64>> {
    let total = healths.iter().sum::<u64>().min(100);
    let first = healths.iter().position(|health| *health > 0)?;
    let mut left = 100;
    let mut loads: Vec<u64> = healths
        .iter()
        .map(|health| {
            let load = (100 * health / total).min(left);
            left -= load;
            load
        })
        .collect();
    loads[first] += left;
    Some(loads)
}

/// Higher is later; gaps do not matter.
fn priority(pods: &Pods, policy: &Policy, asked: Asked) -> u32 {
    let nearness = |regions: &[(usize, usize)]| {
        let (region, own) = (REGION_OF[pods.zone], REGION_OF[asked.zone]);
        let next = regions.iter().find(|(from, _)| *from == own).map(|(_, to)| *to);
        match () {
            () if pods.zone == asked.zone => 0,
            () if region == own => 2,
            () if next.is_none_or(|next| next == region) => 3,
            () => 4,
        }
    };
    let ranks = policy.outliers.is_some();
    match &policy.preference {
        Preference::Nothing | Preference::Bare if ranks => nearness(&[]),
        Preference::Failover(regions) if ranks => nearness(regions),
        Preference::Labels(labels, regions) if ranks => {
            let rank = by_labels(pods, labels, asked);
            if regions.is_empty() { rank } else { 5 * rank + nearness(regions) }
        }
        Preference::SameZone => {
            let labels = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"];
            by_labels(pods, &labels, asked)
        }
        _ => 0,
    }
}

/// The earlier the first label that differs, the higher.
fn by_labels(pods: &Pods, labels: &[&str], asked: Asked) -> u32 {
    // A value that is asked for twice is the last one both times.
    let version = labels.iter().rev().find_map(|label| label.strip_prefix("version=v"));
    let same = |label: &str| match label {
        "topology.kubernetes.io/region" => REGION_OF[pods.zone] == REGION_OF[asked.zone],
        "topology.kubernetes.io/zone" => pods.zone == asked.zone,
        "topology.istio.io/cluster" => pods.cluster == asked.cluster,
        "topology.istio.io/network" => true,
        _ => version.unwrap() == pods.version.to_string(),
    };
    let first = labels.iter().position(|label| !same(label));
    first.map_or(0, |at| u32::try_from(labels.len() - at).unwrap())
}

fn weigh(groups: &mut BTreeMap<(u32, usize), Group>, entries: &[Weights], from: usize) {
    let Some(entry) = entries.iter().find(|entry| entry.from.has(from)) else { return };
    for (place, percent) in &entry.to {
        let here = |zone: usize| place.has(zone);
        let total: u64 =
            groups.iter().filter(|((_, z), _)| here(*z)).map(|(_, group)| group.all()).sum();
        for (_, group) in groups.iter_mut().filter(|((_, z), _)| here(*z)) {
            group.weight = (group.all() * u64::from(*percent)).div_ceil(total);
        }
    }
    groups.retain(|(_, zone), _| entry.to.iter().any(|(place, _)| place.has(*zone)));
}

/// All parts together.
pub fn sum(parts: &Parts) -> Part {
    parts.values().copied().fold(Part::NONE, Part::add)
}

//! Where replicas can be: per workload and zone an interval [at least, at most].
//!
//! An interval holds each number of replicas that can run in a zone after the Kubernetes scheduler
//! has placed a workload's pods one by one, for each number of pods its autoscaler may ask for. It is
//! sound and, for a spread constraint or a selector alone, exact. What it rests on:
//!
//! * **Resources suffice.** A pod waits only where its own limits leave it no node: too few nodes for
//!   its anti-affinity, a spread constraint that counts a domain no pod can go to. A zone without CPU
//!   to spare, other workloads' anti-affinity and volumes that tie a pod to a zone are not looked at.
//! * **Freshly scheduled.** Kubernetes holds spread constraints when it places a pod, and never moves
//!   one: after a zone was lost, a node was drained or an autoscaler went down, pods may be skewed
//!   more. A rollout under way, whose old pods count too, is not looked at either.
//! * **Nodes in the input are all nodes** of their cluster. Where there are none, zones come from the
//!   configuration (each has nodes, nobody knows how many) or from pools and the pod's own affinity
//!   (a zone may have no node: a spread constraint without `minDomains` then puts up with the zones
//!   there are, so that nothing is certain of any of them).
//! * **What is known to run counts more.** Pods with a node, or else endpoints, make it exact.
//!
//! Sources: `pkg/scheduler/framework/plugins/podtopologyspread` (skew against the smallest domain
//! that counts, 0 where there are fewer than `minDomains`), `interpodaffinity`, `nodeaffinity`,
//! `tainttoleration` of Kubernetes.

mod demand;
mod host;
mod level;
mod limits;
mod nodes;
mod pin;
mod running;
mod seen;
mod service;
mod solve;
mod zone_share;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::clusters::ClusterId;
use crate::kinds::core::Service;
use crate::kinds::workloads::{Pod, PodSpec, Template, Workload};
use crate::mesh::{In, Locality, Mesh};
use crate::source::Span;

use demand::Demand;
use limits::{Index, Limits, Own};
use nodes::{Asks, Cell, Site};
use solve::Ground;

pub use demand::template;
pub use host::HostPlacement;
pub use pin::{Pin, pinned_zone};
pub use seen::Replica;
pub use service::ServicePlacement;
pub use zone_share::ZoneShare;

/// An interval of replicas, both ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bounds {
    /// At least so many.
    pub least: u32,
    /// At most so many; `u32::MAX` where nothing bounds them.
    pub most: u32,
}

impl Bounds {
    /// Whether it is one number.
    pub fn is_exact(self) -> bool {
        self.least == self.most
    }

    /// Whether it may be so many.
    pub fn contains(self, count: u32) -> bool {
        (self.least..=self.most).contains(&count)
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        let Self { least, most } = other;
        Self { least: self.least.saturating_add(least), most: self.most.saturating_add(most) }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { least, most } if least == most => write!(f, "{least}"),
            Self { least: 0, most: u32::MAX } => f.write_str("any number"),
            Self { least, most: u32::MAX } => write!(f, "at least {least}"),
            Self { least, most } => write!(f, "{least} to {most}"),
        }
    }
}

/// What sets a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// No node there is open to the pods: by node selector, node affinity, taint, or pinned elsewhere.
    Ineligible,
    /// The pods keep apart: required anti-affinity to each other.
    Apart,
    /// A `DoNotSchedule` spread constraint.
    Spread,
    /// The pods stay together in one of several zones: required affinity to each other.
    Together,
    /// Nobody knows whether a node of the zone is there and fits.
    Unsure,
    /// Nothing holds a replica in the zone.
    Free,
    /// No other zone is open to the pods.
    Confined,
    /// So many are wanted: replicas, or a bound of an autoscaler.
    Wanted,
    /// So many are there: pods or endpoints in the input.
    Seen,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ineligible => "no node of the zone is open to the pods",
            Self::Apart => "the pods must not share a place",
            Self::Spread => "the pods must spread evenly",
            Self::Together => "the pods must share a place",
            Self::Unsure => "it is unknown whether a node of the zone fits",
            Self::Free => "nothing holds a replica in the zone",
            Self::Confined => "no other zone is open to the pods",
            Self::Wanted => "so many replicas are wanted",
            Self::Seen => "so many replicas are there",
        })
    }
}

/// What sets a bound, and the text that does so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Why {
    /// What it is.
    pub cause: Cause,
    /// The constraint, selector, number of replicas or autoscaler's bound, where there is a text.
    pub span: Option<Span>,
}

impl Why {
    fn new(cause: Cause, span: Option<Span>) -> Self {
        Self { cause, span }
    }
}

/// Replicas in one zone, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneBounds {
    /// How many.
    pub bounds: Bounds,
    /// Why not fewer (where `least` is 0: why there may be none).
    pub why_least: Why,
    /// Why not more.
    pub why_most: Why,
}

impl ZoneBounds {
    fn add(&mut self, other: &Self) {
        if other.bounds.most > self.bounds.most {
            (self.why_least, self.why_most) = (other.why_least, other.why_most);
        }
        self.bounds = self.bounds.plus(other.bounds);
    }
}

/// Replicas of one workload by zone of its cluster.
#[derive(Clone, Debug)]
pub struct Placement {
    /// How many are wanted: replicas, or the autoscaler's bounds. Unbounded for a `DaemonSet`.
    pub wanted: Bounds,
    /// What says that so many are wanted at least, and at most.
    pub why_wanted: (Why, Why),
    /// How many run: fewer than wanted where the pods' own limits leave some without a node.
    pub total: Bounds,
    /// Known zones, without subzone. A key without zone stands for nodes that have none.
    pub zones: BTreeMap<Locality, ZoneBounds>,
    /// Whether pods or endpoints in the input tell where each replica is.
    pub exact: bool,
    /// Whether zones of the cluster are known at all, or the workload names its own.
    pub known: bool,
    /// What makes all replicas share a place, where one of several zones has them all.
    pub together: Option<Span>,
    /// The replicas that are in the input themselves.
    pub seen: Vec<Replica>,
    group: Option<service::Group>,
}

impl Placement {
    /// Replicas in a zone. A zone whose region is unknown, here or there, is found by its name.
    pub fn in_zone(&self, zone: &Locality) -> Bounds {
        match find(&self.zones, zone) {
            Some(found) => found.bounds,
            None if self.known => Bounds::default(),
            None => Bounds { least: 0, most: self.total.most },
        }
    }

    /// Replicas in a zone and why, where the zone is known.
    pub fn zone(&self, zone: &Locality) -> Option<&ZoneBounds> {
        find(&self.zones, zone)
    }

    /// A zone as it is known here: with its region, where a replica tells but its name.
    pub fn zone_of(&self, zone: &Locality) -> Option<&Locality> {
        let known = self.zones.keys();
        known.into_iter().find(|known| {
            known.zone == zone.zone && (known.region == zone.region || zone.region.is_empty())
        })
    }

    /// Whether it certainly has no replica in a zone.
    pub fn certainly_none_in(&self, zone: &Locality) -> bool {
        self.in_zone(zone).most == 0
    }

    /// Whether it may have no replica in a zone.
    pub fn may_miss(&self, zone: &Locality) -> bool {
        self.in_zone(zone).least == 0
    }

    fn unknown(demand: &Demand, total: Bounds) -> Self {
        Self {
            wanted: demand.bounds,
            why_wanted: (demand.least, demand.most),
            total,
            zones: BTreeMap::new(),
            exact: false,
            known: false,
            together: None,
            seen: Vec::new(),
            group: None,
        }
    }
}

fn find<'z, V>(zones: &'z BTreeMap<Locality, V>, zone: &Locality) -> Option<&'z V> {
    let zone = zone.without_subzone();
    let same =
        |key: &Locality| key.zone == zone.zone && (key.region.is_empty() || zone.region.is_empty());
    zones.get(&zone).or_else(|| zones.iter().find(|(key, _)| same(key)).map(|(_, found)| found))
}

type Cells = Arc<Vec<Cell>>;

/// The placements of a mesh: what they have in common is worked out once.
#[derive(Debug)]
pub struct Placements<'m> {
    mesh: &'m Mesh,
    sites: Vec<Vec<Site<'m>>>,
    zones: Vec<BTreeSet<Locality>>,
    seen: seen::Index<'m>,
    index: OnceLock<Index<'m>>,
    shares: OnceLock<Vec<ZoneShare<'m>>>,
    /// Only looked up, never walked, so its order does not show.
    cells: Mutex<HashMap<(ClusterId, String), Cells>>,
}

/// Pods that are alike: a workload's, or a pod that stands for itself.
struct Pods<'m> {
    own: Own<'m>,
    spec: &'m PodSpec,
    daemon: bool,
    demand: Demand,
}

impl<'m> Placements<'m> {
    /// Ready to tell of each workload of a mesh.
    pub fn new(mesh: &'m Mesh) -> Self {
        let sites: Vec<Vec<Site<'m>>> =
            mesh.clusters().iter().map(|c| nodes::sites(mesh, c.id)).collect();
        let zones = sites.iter().map(|sites| sites.iter().map(|s| s.locality.clone()).collect());
        Self {
            mesh,
            zones: zones.collect(),
            sites,
            seen: seen::Index::of(mesh),
            index: OnceLock::new(),
            shares: OnceLock::new(),
            cells: Mutex::default(),
        }
    }

    /// Where a workload's replicas can be.
    pub fn of(&self, workload: &'m In<Workload>) -> Placement {
        let pods = self.pods(workload);
        match self.seen.replicas(workload) {
            Some(seen) => {
                seen::placement(seen, &pods.demand, &self.zones[workload.cluster.index()])
            }
            None => self.place(&pods),
        }
    }

    /// Where the replicas behind a service can be, in its cluster.
    pub fn of_service(&self, service: &'m In<Service>) -> ServicePlacement<'m> {
        service::placement(self, service)
    }

    /// Every weight of every `distribute` entry that some known client locality uses.
    pub fn shares(&self) -> &[ZoneShare<'m>] {
        self.shares.get_or_init(|| zone_share::all(self))
    }

    /// What a workload's pods are made from: a Rollout may refer to another workload's template.
    pub fn template(&self, workload: &'m In<Workload>) -> &'m Template {
        template(self.mesh, workload)
    }

    fn of_pod(&self, pod: &'m In<Pod>) -> Placement {
        let why = Why::new(Cause::Seen, Some(pod.named_at()));
        let demand = Demand::exactly(1, why);
        if pod.node_name.is_some() {
            let seen = vec![self.seen.replica(pod)];
            return seen::placement(seen, &demand, &self.zones[pod.cluster.index()]);
        }
        let (cluster, namespace, labels) = (pod.cluster, pod.namespace.as_str(), &pod.meta.labels);
        let own = Own { cluster, namespace, labels, workload: None };
        self.place(&Pods { own, spec: &pod.spec.spec, daemon: false, demand })
    }

    fn pods(&self, workload: &'m In<Workload>) -> Pods<'m> {
        let template = template(self.mesh, workload);
        let daemon = workload.meta.kind.as_str() == "DaemonSet";
        let mut demand = Demand::of(self.mesh, workload);
        if daemon {
            demand = Demand::exactly(0, Why::new(Cause::Wanted, Some(workload.meta.kind.span)));
            demand.bounds.most = u32::MAX;
        }
        let own = Own {
            cluster: workload.cluster,
            namespace: &workload.namespace,
            labels: &template.metadata.labels,
            workload: Some(workload),
        };
        Pods { own, spec: &template.spec, daemon, demand }
    }

    fn index(&self) -> &Index<'m> {
        self.index.get_or_init(|| Index::of(self.mesh))
    }

    fn limits(&self, pods: &Pods<'m>) -> Limits<'m> {
        // The DaemonSet's controller names the node; a pod with a node name never meets the scheduler.
        if pods.daemon || pods.spec.node_name.is_some() {
            return Limits::default();
        }
        Limits::of(pods.spec, &pods.own, self.index())
    }

    fn sites(&self, cluster: ClusterId) -> &[Site<'m>] {
        self.sites.get(cluster.index()).map_or(&[], Vec::as_slice)
    }

    fn cells(&self, pods: &Pods<'m>, limits: &Limits<'m>) -> Cells {
        let sites = self.sites(pods.own.cluster);
        let asks = Asks { spec: pods.spec, daemon: pods.daemon, keys: limits.keys() };
        if sites.is_empty() {
            return Arc::new(nodes::cells(&nodes::sites_named(pods.spec), &asks));
        }
        let key = (pods.own.cluster, asks.signature());
        // A panic elsewhere leaves the map as good as it was.
        let mut known = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(key).or_insert_with(|| Arc::new(nodes::cells(sites, &asks))))
    }

    fn place(&self, pods: &Pods<'m>) -> Placement {
        let limits = self.limits(pods);
        let cells = self.cells(pods, &limits);
        let Demand { bounds: wanted, .. } = pods.demand;
        let mut placement = Placement::unknown(&pods.demand, wanted);
        if cells.is_empty() {
            if !limits.spreads.is_empty() || !limits.apart.is_empty() {
                placement.total.least = wanted.least.min(1);
            }
            return placement;
        }
        placement.known = true;
        let sites = self.sites(pods.own.cluster);
        let closed = |cell: &Cell| {
            let span = sites.get(cell.sample).and_then(|site| site.kept_away_by(pods.spec));
            Why::new(Cause::Ineligible, span)
        };
        if pods.daemon {
            placement.zones = daemons(&cells, &pods.demand, closed);
            let all = placement.zones.values().map(|zone| zone.bounds);
            placement.total = all.fold(Bounds::default(), Bounds::plus);
            return placement;
        }
        let ground = Ground::new(&cells, &limits, &pods.demand, closed);
        (placement.total, placement.zones) = ground.solve();
        placement.together = limits.together.first().map(|bond| bond.span);
        service::share(self, pods, &limits, &cells, &mut placement);
        placement
    }
}

/// One pod on each node that fits.
fn daemons(
    cells: &[Cell],
    demand: &Demand,
    closed: impl Fn(&Cell) -> Why,
) -> BTreeMap<Locality, ZoneBounds> {
    let mut zones = BTreeMap::new();
    for cell in cells {
        let nodes = cell.eligible;
        let most = if cell.open && nodes.all() > 0 { u32::MAX } else { narrow(nodes.all()) };
        let why = |count| match (nodes.all(), count) {
            (0, _) => closed(cell),
            (_, 0) => Why::new(Cause::Unsure, None),
            _ => demand.least,
        };
        let zone = ZoneBounds {
            bounds: Bounds { least: narrow(nodes.sure), most },
            why_least: why(nodes.sure),
            why_most: why(nodes.all()),
        };
        let same = zones.entry(cell.locality.clone());
        same.and_modify(|known: &mut ZoneBounds| known.add(&zone)).or_insert(zone);
    }
    zones
}

fn narrow(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

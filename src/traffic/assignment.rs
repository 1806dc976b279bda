//! What istiod tells Envoy of a cluster: groups of endpoints by locality, their priorities and
//! weights (a `ClusterLoadAssignment`).
//!
//! Source: `pilot/pkg/xds/endpoints/endpoint_builder.go`, `ep_filters.go` (grouping, networks) and
//! `pilot/pkg/networking/core/loadbalancer/loadbalancer.go` (localities).

use std::collections::{BTreeMap, BTreeSet};

use super::endpoint::{Endpoint, Health, Identity, NetworkGateway};
use crate::kinds::networking::{Distribute, Failover, LocalityLb, ZoneAwareLb};
use crate::mesh::{CLUSTER_LABEL, Locality, LocalityPattern, NETWORK_LABEL, value};

/// Where a member of a group leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Endpoints, by position in what was given.
    Endpoint(usize),
    /// A gateway to another network, by position in what was given.
    Gateway(usize),
}

/// Hosts of a group that Envoy treats alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where they are.
    pub target: Target,
    /// How many hosts.
    pub count: u32,
    /// The weight of each.
    pub weight: u32,
    /// Whether istiod calls them healthy. A gateway always is, whatever is behind it.
    pub healthy: bool,
}

/// Endpoints of one locality (`LocalityLbEndpoints`).
#[derive(Clone, Debug)]
pub struct Group<'e> {
    /// Where they are. Members behind a gateway are really elsewhere in that locality.
    pub locality: &'e Locality,
    /// 0 goes first.
    pub priority: u32,
    /// The weight of the locality; counts only where localities are weighted. `None` without members.
    pub weight: Option<u32>,
    /// Its hosts.
    pub members: Vec<Member>,
}

impl Group<'_> {
    fn weigh(mut self) -> Self {
        let weights = self.members.iter().map(|m| m.count.saturating_mul(m.weight));
        self.weight = weights.reduce(u32::saturating_add);
        self
    }
}

/// What orders or weighs localities, once it is known to have an effect.
#[derive(Clone, Debug, Default)]
pub enum Preference<'s> {
    /// Nothing: all endpoints are alike, wherever they are.
    #[default]
    None,
    /// Weights by the client's locality. Works without outlier detection.
    Distribute(&'s [Distribute]),
    /// Priorities by likeness of labels, then by nearness.
    Failover {
        /// Labels that rank endpoints; empty where nearness alone does.
        labels: Vec<&'s str>,
        /// Which region follows which.
        regions: &'s [Failover],
    },
    /// Priorities by region alone; zones are left to Envoy.
    ZoneAware {
        /// Labels that rank endpoints.
        labels: Vec<&'s str>,
        /// Which region follows which.
        regions: &'s [Failover],
    },
}

impl<'s> Preference<'s> {
    /// Of a `localityLbSetting` that is switched on. Without outlier detection only `distribute` has
    /// an effect; with `distribute` the rest has none.
    pub fn of_locality(setting: &'s LocalityLb, has_outlier_detection: bool) -> Self {
        if !setting.distribute.is_empty() {
            return Self::Distribute(&setting.distribute);
        }
        if !has_outlier_detection {
            return Self::None;
        }
        let labels = setting.failover_priority.iter().map(|label| label.as_str()).collect();
        Self::Failover { labels, regions: &setting.failover }
    }

    /// Of a `zoneAwareLbSetting`; `enabled: false` switches everything off.
    pub fn of_zone_aware(setting: &'s ZoneAwareLb) -> Self {
        if !setting.is_enabled() {
            return Self::None;
        }
        let labels = setting.failover_priority.iter().map(|label| label.as_str()).collect();
        Self::ZoneAware { labels, regions: &setting.failover }
    }

    /// What holds where nothing is said: with outlier detection, nearness.
    pub fn of_default(has_outlier_detection: bool) -> Self {
        if has_outlier_detection {
            Self::Failover { labels: Vec::new(), regions: &[] }
        } else {
            Self::None
        }
    }

    /// Whether Envoy weighs localities (`locality_weighted_lb_config`). For failover by nearness alone
    /// it does not: endpoints of one priority are then alike.
    pub fn weighs_localities(&self) -> bool {
        match self {
            Self::Distribute(_) => true,
            Self::Failover { labels, regions } => !labels.is_empty() || !regions.is_empty(),
            Self::None | Self::ZoneAware { .. } => false,
        }
    }
}

/// Which endpoints a client is told of.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each answers a question of its own")]
pub struct Filter {
    /// Only those of the client's cluster.
    pub cluster_local: bool,
    /// Only those of the client's node (`internalTrafficPolicy: Local`).
    pub node_local: bool,
    /// Whether unready endpoints are sent, marked as unhealthy. Istio does so by itself since 1.31,
    /// unless `minHealthPercent` is set.
    pub send_unhealthy: bool,
    /// Whether endpoints that drain are sent, marked as unhealthy too: the Service keeps sessions.
    pub send_draining: bool,
    /// Whether the client's policy tells it to use mTLS; the endpoints' own word counts where it tells
    /// nothing. Without mTLS no endpoint of another network is sent.
    pub mtls: Option<bool>,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            cluster_local: false,
            node_local: false,
            send_unhealthy: true,
            send_draining: false,
            mtls: None,
        }
    }
}

/// Groups endpoints by locality, ordered by the locality's text; endpoints of other networks are
/// exchanged for the gateways that lead there.
pub fn groups<'e>(
    client: &Identity,
    endpoints: &'e [Endpoint],
    gateways: &[NetworkGateway],
    filter: Filter,
) -> Vec<Group<'e>> {
    let near = |e: &Endpoint| {
        client.proxy.wants(&e.identity.network)
            && (e.addressed || !gateways.is_empty())
            && (!(filter.cluster_local || filter.node_local)
                || e.identity.cluster == client.cluster)
            && (!filter.node_local || e.identity.node == client.node)
    };
    let sent = |e: &Endpoint| match e.health {
        Health::Healthy => true,
        Health::Unhealthy => filter.send_unhealthy,
        Health::Draining => filter.send_draining,
        Health::Terminating => false,
    };
    let mut by_locality: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, endpoint) in endpoints.iter().enumerate() {
        if endpoint.count > 0 && near(endpoint) && sent(endpoint) {
            by_locality.entry(&endpoint.written).or_default().push(i);
        }
    }
    let networks = Networks::of(gateways, client);
    let group = |members: Vec<usize>| {
        let locality = &endpoints[members[0]].identity.locality;
        let members = networks.members(client, endpoints, &members, filter.mtls);
        Group { locality, priority: 0, weight: None, members }.weigh()
    };
    by_locality.into_values().map(group).collect()
}

/// The gateways to each network, as far as they serve the client.
struct Networks<'g> {
    gateways: &'g [NetworkGateway],
    by_network: BTreeMap<(&'g str, Option<&'g str>), Vec<usize>>,
    /// Each weight is multiplied by it, so that it can be shared among gateways.
    scale: u32,
}

impl<'g> Networks<'g> {
    fn of(gateways: &'g [NetworkGateway], client: &Identity) -> Self {
        let mut by_network: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (i, gateway) in gateways.iter().enumerate() {
            by_network.entry((&*gateway.network, None)).or_default().push(i);
            by_network.entry((&*gateway.network, Some(&*gateway.cluster))).or_default().push(i);
        }
        let counts = by_network.values().map(|g| u32::try_from(g.len()).unwrap_or(u32::MAX));
        let scale = counts.fold(1, least_common_multiple);
        for known in by_network.values_mut() {
            known.retain(|&i| gateways[i].serves(&client.proxy));
        }
        Self { gateways, by_network, scale }
    }

    fn to<'s>(&'s self, endpoint: &'s Identity) -> &'s [usize] {
        let of = |cluster| self.by_network.get(&(&*endpoint.network, cluster));
        let found = of(Some(&*endpoint.cluster)).or_else(|| of(None));
        found.map_or(&[], Vec::as_slice)
    }

    fn members(
        &self,
        client: &Identity,
        endpoints: &[Endpoint],
        of: &[usize],
        mtls: Option<bool>,
    ) -> Vec<Member> {
        let mut members = Vec::with_capacity(of.len());
        let mut through: BTreeMap<&NetworkGateway, (usize, u32)> = BTreeMap::new();
        for &i in of {
            let endpoint = &endpoints[i];
            let weight = endpoint.weight.max(1).saturating_mul(self.scale);
            let network = &*endpoint.identity.network;
            let gateways = self.to(&endpoint.identity);
            let elsewhere = !network.is_empty() && network != &*client.network;
            let direct = !elsewhere || gateways.is_empty() && !client.proxy.waypoint;
            let by_mtls = endpoint.mtls.is_used(mtls);
            if direct {
                if endpoint.addressed && (by_mtls || !client.proxy.passthrough) {
                    let (count, healthy) = (endpoint.count, endpoint.health == Health::Healthy);
                    members.push(Member { target: Target::Endpoint(i), count, weight, healthy });
                }
            } else if by_mtls || client.proxy.waypoint {
                let near = |&&i: &&usize| self.gateways[i].is_in_reach_of(&client.proxy);
                let near: Vec<usize> = gateways.iter().filter(near).copied().collect();
                let share = weight / u32::try_from(near.len().max(1)).unwrap_or(u32::MAX);
                for gateway in near {
                    let known = through.entry(&self.gateways[gateway]).or_insert((gateway, 0));
                    known.1 = known.1.saturating_add(share.saturating_mul(endpoint.count));
                }
            }
        }
        members.extend(through.into_values().map(|(gateway, weight)| Member {
            target: Target::Gateway(gateway),
            count: 1,
            weight,
            healthy: true,
        }));
        members
    }
}

fn least_common_multiple(a: u32, b: u32) -> u32 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x.max(1)).saturating_mul(b)
}

/// What the members of groups lead to.
#[derive(Clone, Copy, Debug)]
pub struct Known<'e> {
    /// All endpoints.
    pub endpoints: &'e [Endpoint],
    /// All gateways to other networks.
    pub gateways: &'e [NetworkGateway],
}

impl<'e> Known<'e> {
    /// A label of what a member leads to; empty where it is not there. A gateway has those of its
    /// cluster and network alone.
    pub fn label(self, target: Target, key: &str) -> &'e str {
        match target {
            Target::Endpoint(i) => self.endpoints[i].identity.label(key),
            Target::Gateway(i) if key == NETWORK_LABEL => &self.gateways[i].network,
            Target::Gateway(i) if key == CLUSTER_LABEL => &self.gateways[i].cluster,
            Target::Gateway(_) => "",
        }
    }

    /// Orders and weighs groups as a client prefers.
    pub fn prefer(
        self,
        groups: Vec<Group<'e>>,
        client: &Identity,
        preference: &Preference<'_>,
    ) -> Vec<Group<'e>> {
        let ranked = |groups, labels: &[&str]| match labels {
            [] => groups,
            _ => by_labels(groups, self, client, labels),
        };
        let locality = &client.locality;
        match preference {
            Preference::None => groups,
            Preference::Distribute(entries) => distribute(groups, locality, entries),
            Preference::Failover { labels, regions }
                if labels.is_empty() || !regions.is_empty() =>
            {
                by_nearness(ranked(groups, labels), locality, regions)
            }
            Preference::Failover { labels, .. } => ranked(groups, labels),
            Preference::ZoneAware { labels, regions } => {
                by_region(ranked(groups, labels), locality, regions)
            }
        }
    }
}

/// The first entry for the client's locality sets weights; localities that it does not name get
/// nothing. Without such an entry everything stays as it was.
fn distribute<'e>(
    mut groups: Vec<Group<'e>>,
    client: &Locality,
    entries: &[Distribute],
) -> Vec<Group<'e>> {
    let is_from = |e: &&Distribute| {
        e.from.as_ref().is_some_and(|from| LocalityPattern::parse(from).matches(client))
    };
    let Some(entry) = entries.iter().find(is_from) else { return groups };
    let mut rest: BTreeSet<usize> = (0..groups.len()).collect();
    for (to, percent) in &entry.to {
        let pattern = LocalityPattern::parse(to);
        let here: Vec<usize> =
            rest.iter().copied().filter(|&i| pattern.matches(groups[i].locality)).collect();
        let weight = |group: &Group<'_>| u64::from(group.weight.unwrap_or(1));
        let total: u64 = here.iter().map(|&i| weight(&groups[i])).sum();
        for i in here {
            rest.remove(&i);
            let weight = weight(&groups[i]) * u64::from(percent.value);
            if total > 0 && weight > 0 {
                groups[i].weight = u32::try_from(weight.div_ceil(total)).ok();
            }
        }
    }
    for i in rest {
        groups[i].members.clear();
    }
    groups
}

/// How far apart two localities are: 0 the same, 3 another region.
fn distance(a: &Locality, b: &Locality) -> u32 {
    if a.region != b.region {
        3
    } else if a.zone != b.zone {
        2
    } else {
        u32::from(a.subzone != b.subzone)
    }
}

fn by_nearness<'e>(
    groups: Vec<Group<'e>>,
    client: &Locality,
    regions: &[Failover],
) -> Vec<Group<'e>> {
    let next = next_region(client, regions);
    parted(groups, 5, |locality| {
        let far = distance(client, locality);
        far + u32::from(far == 3 && next.is_some_and(|next| next != locality.region))
    })
}

fn by_region<'e>(
    groups: Vec<Group<'e>>,
    client: &Locality,
    regions: &[Failover],
) -> Vec<Group<'e>> {
    let next = next_region(client, regions);
    parted(groups, 3, |locality| match &locality.region {
        region if *region == client.region => 0,
        region if next == Some(region) => 1,
        _ => 2,
    })
}

/// Parts each priority into so many steps, by how far a locality is.
fn parted(
    mut groups: Vec<Group<'_>>,
    steps: u32,
    far: impl Fn(&Locality) -> u32,
) -> Vec<Group<'_>> {
    for group in &mut groups {
        group.priority = group.priority * steps + far(group.locality);
    }
    compact(groups)
}

/// The region that takes over first: of several entries for the client's region only the first counts.
fn next_region<'s>(client: &Locality, regions: &'s [Failover]) -> Option<&'s str> {
    let from = |f: &&Failover| value(f.from.as_ref()).unwrap_or("") == client.region;
    let first = regions.iter().find(from)?;
    Some(value(first.to.as_ref()).unwrap_or(""))
}

/// Ranks each member by the first label in which it differs from the client, and parts groups by rank.
fn by_labels<'e>(
    groups: Vec<Group<'e>>,
    known: Known<'_>,
    client: &Identity,
    entries: &[&str],
) -> Vec<Group<'e>> {
    let ranks = Ranks::asked(client, entries);
    let mut parted = Vec::new();
    for group in groups {
        let mut by_rank: BTreeMap<u32, Vec<Member>> = BTreeMap::new();
        for member in group.members {
            let rank = ranks.of(|key| known.label(member.target, key));
            by_rank.entry(rank).or_default().push(member);
        }
        for (priority, members) in by_rank {
            parted
                .push(Group { locality: group.locality, priority, weight: None, members }.weigh());
        }
    }
    compact(parted)
}

/// What `failoverPriority` asks for.
struct Ranks<'s> {
    /// Keys, and what the client has (or the entry says) for each.
    wanted: Vec<(&'s str, &'s str)>,
    network_first: bool,
}

impl<'s> Ranks<'s> {
    fn asked(client: &'s Identity, entries: &[&'s str]) -> Self {
        let key = |entry: &&'s str| entry.split('=').next().unwrap_or_default();
        let own = |entry: &&'s str| match entry.split('=').collect::<Vec<_>>()[..] {
            [key, value] => Some((key, value)),
            _ => None,
        };
        // A key that stands twice serves both times with its last value.
        let told: BTreeMap<&str, &str> = entries.iter().filter_map(own).collect();
        let value = |key: &'s str| told.get(key).copied().unwrap_or_else(|| client.label(key));
        Self {
            wanted: entries.iter().map(key).map(|key| (key, value(key))).collect(),
            network_first: entries.first().is_some_and(|first| *first == NETWORK_LABEL),
        }
    }

    /// 0 where all labels agree; a difference in the network, where it goes first, is added to the
    /// rest instead of ending the comparison.
    fn of<'l>(&self, label: impl Fn(&str) -> &'l str) -> u32 {
        let count = self.wanted.len();
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let differs = |j: &usize| label(self.wanted[*j].0) != self.wanted[*j].1;
        let other_network = self.network_first && differs(&0);
        let first = (usize::from(self.network_first)..count).find(differs);
        let rank = first.map_or(0, |j| count - j);
        narrow(rank + if other_network { count } else { 0 })
    }
}

/// Makes priorities follow each other without gaps.
fn compact(mut groups: Vec<Group<'_>>) -> Vec<Group<'_>> {
    let used: BTreeSet<u32> = groups.iter().map(|g| g.priority).collect();
    let ranks: BTreeMap<u32, u32> = used.into_iter().zip(0..).collect();
    for group in &mut groups {
        group.priority = ranks[&group.priority];
    }
    groups
}

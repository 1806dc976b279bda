//! Where the requests of one client arrive, once route and policy are known.

use std::collections::BTreeMap;
use std::fmt;

use super::assignment::{self, Filter, Group, Known, Preference, Target};
use super::chance::Chance;
use super::endpoint::{Endpoint, Identity, NetworkGateway};
use super::mtls::Mtls;
use super::retries::Tried;
use super::selection::{self, Choice, Ejected};
use super::supply::Pool;
use crate::clusters::ClusterId;
use crate::mesh::Locality;

/// Where requests arrive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Landing {
    /// The cluster.
    pub cluster: ClusterId,
    /// The zone, without subzone; `None` where nobody tells which one.
    pub zone: Option<Locality>,
}

/// Why requests fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// No endpoint is there for them: 503 with the flag UH.
    NoEndpoint,
    /// Envoy has no cluster for the destination: 503 with the flag NC.
    NoCluster,
    /// A route of the Gateway API names a backend that is not there, or none: 500.
    NoBackend,
    /// No rule of the VirtualService takes them: 404 with the flag NR.
    NoRoute,
    /// They are sent to what is lost: 503 after a timeout.
    Lost,
    /// The VirtualService says so (`fault.abort`).
    Abort,
    /// Nobody knows the host, and such requests are not let out: 502.
    Blocked,
    /// Envoy refuses the configuration.
    Refused,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoEndpoint => "503 UH: no endpoint",
            Self::NoCluster => "503 NC: no such cluster in Envoy",
            Self::NoBackend => "500: no such backend",
            Self::NoRoute => "404 NR: no rule takes it",
            Self::Lost => "503 UF: sent to what is lost",
            Self::Abort => "aborted by the VirtualService",
            Self::Blocked => "502: not let out of the mesh",
            Self::Refused => "Envoy refuses the configuration",
        })
    }
}

/// Where requests go: all shares together make 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flow {
    /// Shares that arrive.
    pub arrivals: BTreeMap<Landing, f64>,
    /// Shares that fail.
    pub failures: BTreeMap<Failure, f64>,
    /// The part of what is sent to what is lost that fails even after it was tried again.
    pub lost_at_last: f64,
    /// The share that leaves the mesh, or goes to an address of the client's choice.
    pub elsewhere: f64,
}

impl Flow {
    /// Adds a part of another flow.
    pub fn add(&mut self, other: &Self, part: f64) {
        for (landing, share) in &other.arrivals {
            self.arrive(landing.clone(), share * part);
        }
        for (failure, share) in &other.failures {
            self.fail(*failure, share * part);
        }
        self.lost_at_last += other.lost_at_last * part;
        self.elsewhere += other.elsewhere * part;
    }

    /// Adds a share that arrives.
    pub fn arrive(&mut self, landing: Landing, share: f64) {
        if share > 0.0 {
            *self.arrivals.entry(landing).or_default() += share;
        }
    }

    /// Adds a share that fails.
    pub fn fail(&mut self, failure: Failure, share: f64) {
        if share > 0.0 {
            *self.failures.entry(failure).or_default() += share;
        }
    }

    /// The share that fails, for whatever reason.
    pub fn failing(&self) -> f64 {
        self.failures.values().sum()
    }

    /// The share that arrives where a condition holds.
    pub fn arriving(&self, at: impl Fn(&Landing) -> bool) -> f64 {
        self.arrivals.iter().filter(|(landing, _)| at(landing)).map(|(_, share)| share).sum()
    }
}

/// What Envoy is told of evening out zones by itself (`zone_aware_lb_config`), which it can only where
/// it knows the hosts of the client's own workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZoneRouting {
    /// Nothing. It does so all the same, unless localities are weighted.
    #[default]
    Untold,
    /// Not to.
    Off,
    /// From so many healthy hosts on; 6 where nothing is told.
    On(Option<u64>),
}

/// What policy and mesh settings ask of Envoy for one of its clusters.
#[derive(Clone, Debug, Default)]
pub struct Terms<'s> {
    /// What orders or weighs localities.
    pub preference: Preference<'s>,
    /// Which endpoints are sent.
    pub filter: Filter,
    /// Whether Envoy evens out zones.
    pub zones: ZoneRouting,
    /// `minHealthPercent`.
    pub panic_threshold: u32,
    /// The share of hosts that outlier detection may eject, in per cent; `None` where there is none.
    pub max_ejection: Option<u32>,
}

/// Which locality an address counts in that stands in several: Envoy takes the first it is told of, and
/// istiod tells of them in the order of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counted {
    /// The first.
    #[default]
    First,
    /// The last: what the names decide shows in the difference.
    Last,
    /// Each, as istiod asks for: what is lost since Envoy does otherwise shows in the difference.
    Each,
}

/// How a client chooses.
#[derive(Clone, Copy, Debug)]
pub struct How<'t> {
    /// What policy and mesh settings ask for.
    pub terms: &'t Terms<'t>,
    /// Which locality a gateway counts in that leads to several.
    pub counted: Counted,
    /// How often a request is tried again that finds no connection.
    pub retries: u32,
    /// What picks the hosts that are ejected, where not all that fail can be; else the first by name.
    pub chance: Option<&'t Chance>,
}

/// Endpoints that are offered to a client.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'o, 'm> {
    /// Where and what they are.
    pub pool: &'o Pool<'m>,
    /// How many.
    pub count: u32,
    /// Whether they take mTLS.
    pub mtls: Mtls,
    /// Whether requests to them fail, although istiod takes them for healthy.
    pub fails: bool,
}

impl Offer<'_, '_> {
    fn landing(&self) -> Landing {
        Landing { cluster: self.pool.cluster, zone: Some(self.pool.zone.clone()) }
    }
}

/// The endpoints that are offered.
pub(super) fn endpoints(offers: &[Offer<'_, '_>]) -> Vec<Endpoint> {
    offers.iter().map(|offer| offer.pool.endpoint(offer.count, offer.mtls)).collect()
}

/// What Envoy is told of them.
pub(super) fn laid_out<'e>(
    client: &Identity,
    endpoints: &'e [Endpoint],
    gateways: &'e [NetworkGateway],
    terms: &Terms<'_>,
) -> Vec<Group<'e>> {
    let known = Known { endpoints, gateways };
    let groups = assignment::groups(client, endpoints, gateways, terms.filter);
    known.prefer(groups, client, &terms.preference)
}

/// Makes of each place in which a gateway stands a host of its own. Their targets are those of so many
/// gateways several times over.
fn set_apart(groups: &mut [Group<'_>], gateways: usize) {
    let mut places = vec![0; gateways];
    for member in groups.iter_mut().flat_map(|group| &mut group.members) {
        if let Target::Gateway(g) = &mut member.target {
            let place = places[*g];
            places[*g] += 1;
            *g += place * gateways;
        }
    }
}

/// Whether a target answers nothing: an endpoint, or all that is behind a gateway.
fn fails(offers: &[Offer<'_, '_>], gateways: &[NetworkGateway], target: Target) -> bool {
    let gateway = match target {
        Target::Endpoint(i) => return offers[i].fails,
        Target::Gateway(g) => &gateways[g % gateways.len()],
    };
    let is_behind = |offer: &&Offer<'_, '_>| {
        let identity = &offer.pool.identity;
        offer.count > 0
            && identity.network == gateway.network
            && (gateway.cluster.is_empty() || identity.cluster == gateway.cluster)
    };
    offers.iter().filter(is_behind).all(|offer| offer.fails)
}

/// Where requests go. `through` says what becomes of the part that goes to a gateway, given its
/// position and the share.
pub fn flow(
    client: &Identity,
    offers: &[Offer<'_, '_>],
    gateways: &[NetworkGateway],
    how: How<'_>,
    mut through: impl FnMut(usize, f64, &mut Flow),
) -> Flow {
    let How { terms, counted, retries, chance } = how;
    let endpoints = endpoints(offers);
    let mut groups = laid_out(client, &endpoints, gateways, terms);
    match counted {
        Counted::First => {}
        Counted::Last => groups.reverse(),
        Counted::Each => set_apart(&mut groups, gateways.len()),
    }
    let fails = |target| fails(offers, gateways, target);
    let ejected = match terms.max_ejection {
        Some(max) if offers.iter().any(|offer| offer.fails) => {
            selection::eject(&groups, max, chance, |g, m| fails(groups[g].members[m].target))
        }
        _ => Ejected::new(),
    };
    let choice = Choice {
        by_locality: terms.preference.weighs_localities(),
        panic_threshold: terms.panic_threshold,
        zone_aware: None,
    };
    let selection = selection::select(&groups, &ejected, choice);
    let mut flow = Flow::default();
    flow.fail(Failure::NoEndpoint, selection.unanswered);
    let (mut lost, mut hosts) = (0.0, 0);
    for share in &selection.shares {
        match share.target {
            target if fails(target) => {
                let out = ejected.get(&(share.group, share.member)).copied().unwrap_or(0);
                hosts += groups[share.group].members[share.member].count.saturating_sub(out);
                lost += share.share;
                flow.fail(Failure::Lost, share.share);
            }
            Target::Endpoint(i) => flow.arrive(offers[i].landing(), share.share),
            Target::Gateway(g) => through(g % gateways.len(), share.share, &mut flow),
        }
    }
    flow.lost_at_last += Tried::of(lost, hosts, retries).failing;
    flow
}

//! Where requests arrive at least and at most, where it is not known how many endpoints there are: all
//! that can be is tried, or bounded, or sampled.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::mem::discriminant;

use super::Traffic;
use super::assignment::Preference;
use super::bounds::Ground;
use super::chance::Chance;
use super::counts::Interval;
use super::delivery::Delivery;
use super::destination::Destination;
use super::flow::{self, Counted, Failure, Flow};
use super::journey::{Case, End, Way};
use super::loss::{Lost, Phase};
use super::range::Range;
use super::supply::{self, Pool};
use crate::clusters::ClusterId;
use crate::mesh::{Client, Locality};

impl<'m> Traffic<'m> {
    /// Where the requests of a way arrive from a locality, at least and at most.
    pub fn range(
        &self,
        client: &Client<'m>,
        at: &Locality,
        way: &Way<'m>,
        lost: &[Lost],
        phase: Phase,
    ) -> Range {
        self.range_counted(client, at, way, (lost, phase), Counted::First)
    }

    /// The same if a gateway that leads to several localities counts in this one.
    pub fn range_counted(
        &self,
        client: &Client<'m>,
        at: &Locality,
        way: &Way<'m>,
        (lost, phase): (&[Lost], Phase),
        counted: Counted,
    ) -> Range {
        let mut whole = Range::default();
        for part in &way.parts {
            match &part.end {
                End::At(destination) if destination.is_unseen() => {
                    whole.add(&Range::unseen(), part.share);
                }
                End::At(destination) => {
                    let favoured = |_: &Pool<'_>| true;
                    let retries = way.choice.retries;
                    let case = Case { lost, phase, counted, retries, ..Case::now(&favoured) };
                    whole.add(&self.range_to(client, at, destination, case), part.share);
                }
                End::Fails(failure, _) => {
                    whole.add(&Range::of(&[failing(*failure)]), part.share);
                }
                End::Unseen(_) => whole.add(&Range::unseen(), part.share),
                End::Leaves(_) => {
                    let leaves = Flow { elsewhere: 1.0, ..Flow::default() };
                    whole.add(&Range::of(&[leaves]), part.share);
                }
            }
        }
        whole
    }

    /// Where requests to one cluster of Envoy arrive: all that can be is tried if that is not too much,
    /// and bounded else.
    fn range_to(
        &self,
        client: &Client<'m>,
        at: &Locality,
        destination: &Destination<'m>,
        case: Case<'_>,
    ) -> Range {
        match destination.delivery {
            Delivery::Balanced => {}
            Delivery::SameNode(_) => {
                let each = destination.pools().map(|favoured| {
                    let favours = |pool: &Pool<'_>| is_same(pool, favoured);
                    let case = Case { favoured: &favours, ..case };
                    self.flow_to(client, at, destination, case)
                });
                let case = Case { favoured: &|_| false, ..case };
                let none = self.flow_to(client, at, destination, case);
                return Range::of(&each.chain([none]).collect::<Vec<_>>());
            }
            _ => return Range::of(&[self.flow_to(client, at, destination, case)]),
        }
        self.each(client, at, destination, case)
            .or_else(|| self.bounds(client, at, destination, case))
            .unwrap_or_else(|| self.sampled(client, at, destination, case))
    }

    /// All that can be, one after the other. `None` where that is too much.
    fn each(
        &self,
        client: &Client<'m>,
        at: &Locality,
        destination: &Destination<'m>,
        case: Case<'_>,
    ) -> Option<Range> {
        // What is behind a gateway may be selected by another rule.
        let all = !self.gateways(client.cluster).is_empty();
        let selected: BTreeSet<usize> = destination.selected.iter().copied().collect();
        let counts = |i: &usize| all || selected.contains(i);
        let chance = Chance::default();
        let mut flows = Vec::new();
        loop {
            let placed = place(&destination.supply.pools, counts, &chance);
            let count = |pool: &Pool<'_>| {
                let at = destination.supply.pools.iter().position(|p| is_same(p, pool));
                at.map_or(0, |at| placed[at])
            };
            let case = Case { counts: Some(&count), chance: Some(&chance), ..case };
            flows.push(self.flow_to(client, at, destination, case));
            if !chance.again() {
                return Some(Range::of(&flows));
            }
            if flows.len() >= TRIED || chance.ways() > MANY {
                return None;
            }
        }
    }

    /// Bounds that hold whatever is the case. `None` where gateways lead to a part of the endpoints.
    fn bounds(
        &self,
        client: &Client<'m>,
        at: &Locality,
        destination: &Destination<'m>,
        case: Case<'_>,
    ) -> Option<Range> {
        let pools = destination.pools().map(|pool| (pool, pool.bounds.most.min(PRESENT)));
        let offers = self.offers(destination, pools, case);
        let gateways: Vec<_> =
            self.gateways(client.cluster).iter().map(|gateway| gateway.known.clone()).collect();
        let identity = supply::client(self.mesh(), client, at);
        let endpoints = flow::endpoints(&offers);
        let terms = &destination.terms;
        let groups = flow::laid_out(&identity, &endpoints, &gateways, terms);
        let ground = Ground::of(&destination.supply, terms, &identity.locality, &offers, &groups)?;
        Some(ground.range(destination.retries(case.retries)))
    }

    /// What comes of putting as many as can be here, and there. It may leave out something where an
    /// address counts only once, as those of gateways do.
    fn sampled(
        &self,
        client: &Client<'m>,
        at: &Locality,
        destination: &Destination<'m>,
        case: Case<'_>,
    ) -> Range {
        let places: BTreeSet<(ClusterId, &Locality)> =
            destination.pools().map(|pool| (pool.cluster, &pool.zone)).collect();
        let flow = |favoured: &dyn Fn(&Pool<'_>) -> bool| {
            self.flow_to(client, at, destination, Case { favoured, ..case })
        };
        let gone = |pool: &Pool<'_>| case.takes_away(pool);
        // What is near matters most.
        let mut places: Vec<_> = places.into_iter().collect();
        let is_near = |(cluster, zone): &(ClusterId, &Locality)| {
            *cluster == client.cluster || zone.region == at.region
        };
        places.sort_by_key(|place| !is_near(place));
        places.truncate(PLACES);
        let mut flows = vec![flow(&gone), flow(&|pool: &Pool<'_>| !gone(pool))];
        for place in places {
            let here = |pool: &Pool<'_>| (pool.cluster, &pool.zone) == place;
            flows.push(flow(&here));
            flows.push(flow(&|pool: &Pool<'_>| !here(pool)));
            flows.push(flow(&|pool: &Pool<'_>| !here(pool) && !gone(pool)));
        }
        Range { is_sampled: true, ..Range::of(&flows) }
    }

    /// What of a client decides where the requests of a way arrive, written down: clients with the same get
    /// the same shares, whatever is lost.
    pub fn outlook(&self, client: &Client<'m>, at: &Locality, way: &Way<'m>) -> String {
        let identity = supply::client(self.mesh(), client, at);
        let gateways = self.gateways(client.cluster);
        let known: Vec<_> = gateways.iter().map(|gateway| gateway.known.clone()).collect();
        let mut told = String::new();
        for part in &way.parts {
            let End::At(destination) = &part.end else {
                let _ = write!(told, "{} {:?};", part.share, discriminant(&part.end));
                continue;
            };
            let terms = &destination.terms;
            let pools: Vec<&Pool<'m>> = destination.pools().collect();
            let counted = pools.iter().map(|pool| (*pool, pool.bounds.most.min(PRESENT)));
            let offers = self.offers(destination, counted, Case::now(&|_| true));
            let endpoints = flow::endpoints(&offers);
            let groups = flow::laid_out(&identity, &endpoints, &known, terms);
            let near = !matches!(terms.preference, Preference::None)
                || destination.delivery != Delivery::Balanced;
            let place = near.then_some((client.cluster, &identity.locality));
            let asked = (terms.filter, terms.zones, terms.panic_threshold, terms.max_ejection);
            let pools = pools.iter().map(|pool| (pool.span, pool.cluster, &pool.written));
            let services = gateways.iter().map(|g| g.service.map(|s| (s.cluster, s.meta.span)));
            let way_in = (&known, services.collect::<Vec<_>>());
            let retries = destination.retries(way.choice.retries);
            let sent = (part.share, destination.is_unseen(), &destination.delivery, retries);
            let all = (sent, asked, place, groups, way_in, pools.collect::<Vec<_>>());
            let _ = write!(told, "{all:?};");
        }
        told
    }

    /// The share of a way's requests from a locality that fails, at least and at most, and of what is sent
    /// to what is lost the part that fails even after it was tried again.
    pub fn failing(
        &self,
        client: &Client<'m>,
        at: &Locality,
        way: &Way<'m>,
        lost: &[Lost],
        phase: Phase,
    ) -> (Interval, Interval) {
        let range = self.range(client, at, way, lost, phase);
        let sum =
            |of: fn(&Interval) -> f64| range.failures.values().map(of).fold(0.0, |a, b| a + b);
        let fails = Interval { least: sum(|i| i.least).min(1.0), most: sum(|i| i.most).min(1.0) };
        (fails, range.lost_at_last.unwrap_or(Interval { least: 0.0, most: 0.0 }))
    }
}

/// So many ways are tried, each by itself.
const TRIED: usize = 250;
/// Where so many are to be expected none is.
const MANY: u64 = 20_000;
/// In so many places at most it is tried to have as many as can be.
const PLACES: usize = 24;
/// As many as need be for endpoints to be there.
const PRESENT: u32 = 1000;

fn failing(failure: Failure) -> Flow {
    let mut flow = Flow::default();
    flow.fail(failure, 1.0);
    flow
}

fn is_same(a: &Pool<'_>, b: &Pool<'_>) -> bool {
    a.span == b.span
        && a.cluster == b.cluster
        && a.zone == b.zone
        && a.health == b.health
        && a.identity.node == b.identity.node
}

/// How many pods there are of each pool, by chance, as the bounds of pools and workloads allow.
fn place(pools: &[Pool<'_>], counts: impl Fn(&usize) -> bool, chance: &Chance) -> Vec<u32> {
    let mut placed: Vec<u32> = pools.iter().map(|pool| pool.bounds.least).collect();
    let mut workloads: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (i, pool) in pools.iter().enumerate() {
        workloads.entry((pool.cluster, pool.span)).or_default().push(i);
    }
    for members in workloads.into_values() {
        let total = pools[members[0]].total;
        // Those that nobody asks for come last, and are not picked.
        let sorted =
            members.iter().filter(|i| counts(i)).chain(members.iter().filter(|i| !counts(i)));
        let sorted: Vec<usize> = sorted.copied().collect();
        let sum = |rest: &[usize], of: fn(&Pool<'_>) -> u32| {
            rest.iter().fold(0_u32, |sum, &i| sum.saturating_add(of(&pools[i])))
        };
        let mut before = 0_u32;
        for (n, &i) in sorted.iter().enumerate().filter(|(_, i)| counts(i)) {
            let rest = &sorted[n + 1..];
            let needed =
                total.least.saturating_sub(before).saturating_sub(sum(rest, |p| p.bounds.most));
            let open =
                total.most.saturating_sub(before).saturating_sub(sum(rest, |p| p.bounds.least));
            let bounds = pools[i].bounds;
            let least = bounds.least.max(needed).min(bounds.most);
            placed[i] = chance.pick(least, bounds.most.min(open).max(least));
            before = before.saturating_add(placed[i]);
        }
    }
    placed
}

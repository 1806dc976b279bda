//! Where requests arrive at least and at most, where it is not known how many endpoints there are.

use std::collections::{BTreeMap, BTreeSet};

use super::Traffic;
use super::counts::Interval;
use super::delivery::Delivery;
use super::destination::Destination;
use super::flow::{Counted, Failure, Flow, Landing};
use super::journey::{Case, End, Way};
use super::loss::{Lost, Phase};
use super::supply::Pool;
use crate::mesh::{Client, Locality};

/// The least and the most of each share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Range {
    /// What arrives, by cluster and zone.
    pub arrivals: BTreeMap<Landing, Interval>,
    /// What fails.
    pub failures: BTreeMap<Failure, Interval>,
    /// What fails even after it was tried again, of what is sent to what is lost; where some is.
    pub lost_at_last: Option<Interval>,
    /// What leaves the mesh, or is answered by the proxy.
    pub elsewhere: Option<Interval>,
}

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
        let pools = || way.destinations().flat_map(|(destination, _)| destination.pools());
        let places: BTreeSet<Landing> = pools()
            .map(|pool| Landing { cluster: pool.cluster, zone: Some(pool.zone.clone()) })
            .collect();
        let flow = |way: &Way<'m>, favoured: &dyn Fn(&Pool<'_>) -> bool| {
            self.flow(client, at, way, Case { lost, phase, counted, ..Case::now(favoured) })
        };
        let by_node = |d: &Destination<'_>| matches!(d.delivery, Delivery::SameNode(_));
        let is_exact = pools().all(|pool| pool.bounds.is_exact())
            && !way.destinations().any(|(destination, _)| by_node(destination));
        if is_exact || places.is_empty() {
            return Range::of(&[flow(way, &|_| true)]);
        }
        let mut ways = vec![way.clone()];
        if phase == Phase::Unnoticed && !lost.is_empty() {
            // How many of the hosts that fail are thrown out depends on how many there are.
            ways.extend([0, 100].map(|percent| way.ejecting(percent)));
        }
        let gone = |pool: &Pool<'_>| lost.iter().any(|l| l.covers(pool.cluster, &pool.zone));
        let mut flows = Vec::new();
        for way in &ways {
            for place in &places {
                let here = |pool: &Pool<'_>| {
                    pool.cluster == place.cluster && Some(&pool.zone) == place.zone.as_ref()
                };
                flows.push(flow(way, &here));
                flows.push(flow(way, &|pool: &Pool<'_>| !here(pool)));
                if !lost.is_empty() {
                    flows.push(flow(way, &|pool: &Pool<'_>| !here(pool) && !gone(pool)));
                }
            }
            // What fails is most and least where all that can be is in what is lost, and out of it.
            if !lost.is_empty() {
                flows.push(flow(way, &gone));
                flows.push(flow(way, &|pool: &Pool<'_>| !gone(pool)));
            }
        }
        Range::of(&flows)
    }

    /// The share of a way's requests from a locality that fails, at least and at most, and of what is sent
    /// to what is lost the part that fails even after it was tried again. It looks at the extremes alone:
    /// all that can be is in what is lost, or out of it.
    pub fn failing(
        &self,
        client: &Client<'m>,
        at: &Locality,
        way: &Way<'m>,
        lost: &[Lost],
        phase: Phase,
    ) -> (Interval, Interval) {
        let gone = |pool: &Pool<'_>| lost.iter().any(|l| l.covers(pool.cluster, &pool.zone));
        let mut ways = vec![way.clone()];
        let pools = || way.destinations().flat_map(|(destination, _)| destination.pools());
        if phase == Phase::Unnoticed && !pools().all(|pool| pool.bounds.is_exact()) {
            ways.extend([0, 100].map(|percent| way.ejecting(percent)));
        }
        let flows: Vec<Flow> = ways
            .iter()
            .flat_map(|way| {
                let flow = |favoured: &dyn Fn(&Pool<'_>) -> bool| {
                    self.flow(client, at, way, Case { lost, phase, ..Case::now(favoured) })
                };
                [flow(&gone), flow(&|pool: &Pool<'_>| !gone(pool))]
            })
            .collect();
        let interval = |share: &dyn Fn(&Flow) -> f64| Interval {
            // Sums of nothing are negative zeros.
            least: flows.iter().map(share).fold(1.0, f64::min) + 0.0,
            most: flows.iter().map(share).fold(0.0, f64::max),
        };
        (interval(&Flow::failing), interval(&|flow: &Flow| flow.lost_at_last))
    }
}

impl Way<'_> {
    /// The same way where outlier detection, if there is any, may eject so much in per cent.
    fn ejecting(&self, percent: u32) -> Self {
        let mut way = self.clone();
        for part in &mut way.parts {
            if let End::At(destination) = &mut part.end {
                let max = &mut destination.terms.max_ejection;
                *max = max.map(|_| percent);
            }
        }
        way
    }
}

impl Range {
    /// Of what is possible.
    fn of(flows: &[Flow]) -> Self {
        let interval = |share: &dyn Fn(&Flow) -> f64| {
            let shares = || flows.iter().map(share);
            Interval { least: shares().fold(1.0, f64::min), most: shares().fold(0.0, f64::max) }
        };
        let landings: BTreeSet<&Landing> = flows.iter().flat_map(|f| f.arrivals.keys()).collect();
        let arrivals = landings.into_iter().map(|landing| {
            let share = |flow: &Flow| flow.arrivals.get(landing).copied().unwrap_or(0.0);
            (landing.clone(), interval(&share))
        });
        let failures: BTreeSet<Failure> =
            flows.iter().flat_map(|f| f.failures.keys().copied()).collect();
        let failures = failures.into_iter().map(|failure| {
            let share = |flow: &Flow| flow.failures.get(&failure).copied().unwrap_or(0.0);
            (failure, interval(&share))
        });
        let elsewhere = interval(&|flow: &Flow| flow.elsewhere);
        let lost_at_last = interval(&|flow: &Flow| flow.lost_at_last);
        let is_lost = flows.iter().any(|flow| flow.failures.contains_key(&Failure::Lost));
        Self {
            arrivals: arrivals.collect(),
            failures: failures.collect(),
            lost_at_last: Some(lost_at_last).filter(|_| is_lost),
            elsewhere: Some(elsewhere).filter(|e| e.most > 0.0),
        }
    }
}

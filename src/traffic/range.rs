//! The least and the most of each share of some requests.

use std::collections::{BTreeMap, BTreeSet};

use super::counts::Interval;
use super::flow::{Failure, Flow, Landing};

/// The least and the most of each share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Range {
    /// What arrives, by cluster and zone.
    pub arrivals: BTreeMap<Landing, Interval>,
    /// What fails.
    pub failures: BTreeMap<Failure, Interval>,
    /// What fails even after it was tried again, of what is sent to what is lost; where some is.
    pub lost_at_last: Option<Interval>,
    /// What leaves the mesh, goes to an address of the client's choice, or is answered by the proxy.
    pub elsewhere: Option<Interval>,
    /// What becomes of it is not in the input: the host, or where any of its endpoints are.
    pub unseen: Option<Interval>,
    /// Whether not all that can be was looked at, so that shares may be somewhat less or more: behind
    /// gateways, where there are too many ways to place pods.
    pub is_sampled: bool,
}

impl Range {
    /// Of requests of which nothing is known.
    pub(super) fn unseen() -> Self {
        Self { unseen: Some(Interval { least: 1.0, most: 1.0 }), ..Self::default() }
    }

    /// Adds a part of another range.
    pub(super) fn add(&mut self, other: &Self, part: f64) {
        let sum = |to: &mut Interval, more: &Interval| {
            to.least += more.least * part;
            to.most += more.most * part;
        };
        let none = Interval { least: 0.0, most: 0.0 };
        for (landing, share) in &other.arrivals {
            sum(self.arrivals.entry(landing.clone()).or_insert(none), share);
        }
        for (failure, share) in &other.failures {
            sum(self.failures.entry(*failure).or_insert(none), share);
        }
        if let Some(share) = &other.lost_at_last {
            sum(self.lost_at_last.get_or_insert(none), share);
        }
        if let Some(share) = &other.elsewhere {
            sum(self.elsewhere.get_or_insert(none), share);
        }
        if let Some(share) = &other.unseen {
            sum(self.unseen.get_or_insert(none), share);
        }
        self.is_sampled |= other.is_sampled;
    }

    /// Of what is possible.
    pub(super) fn of(flows: &[Flow]) -> Self {
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
            unseen: None,
            is_sampled: false,
        }
    }
}

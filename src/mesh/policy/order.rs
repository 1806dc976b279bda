//! Where the age of DestinationRules decides, which files do not tell.

use std::collections::BTreeSet;

use super::index::{Merged, exports, is_seen_by};
use crate::kinds::networking::{DestinationRule, WorkloadSelector};
use crate::mesh::{In, Mesh, subsets_of};

impl Mesh {
    /// Whether a client can be fitted by two selectors at once, so that the first one counts.
    pub(super) fn several_may_fit(&self, fitting: &[&Merged]) -> bool {
        let selectors: Vec<_> = fitting.iter().filter_map(|m| self.selector_of(m)).collect();
        let exclude = |a: &WorkloadSelector, b: &WorkloadSelector| {
            let other = |key: &str| b.match_labels.get(key);
            a.match_labels.iter().any(|(key, v)| other(key).is_some_and(|other| other != v))
        };
        let pairs = |i: usize, a| selectors[i + 1..].iter().any(|b| !exclude(a, b));
        selectors.iter().enumerate().any(|(i, a)| pairs(i, a))
    }

    /// Whether the age of rules decides which of one host and namespace stay apart, and so who sees
    /// them: those for all workloads that have not the same `exportTo`.
    pub(super) fn order_parts(&self, group: &[Merged], client_namespace: &str) -> bool {
        let parts: BTreeSet<usize> = group.iter().flat_map(|m| m.parts.iter().copied()).collect();
        if parts.len() < 2 {
            return false;
        }
        let rules = parts.into_iter().map(|i| &self.destination_rules[i]);
        let general = rules.filter(|rule| rule.workload_selector.is_none());
        let is_seen = |rule: &In<DestinationRule>, to: &BTreeSet<String>| {
            rule.namespace == client_namespace || is_seen_by(to, client_namespace)
        };
        let views: BTreeSet<(BTreeSet<String>, bool)> = general
            .map(|rule| (exports(rule), rule))
            .map(|(to, rule)| (to.clone(), is_seen(rule, &to)))
            .collect();
        let views: Vec<_> = views.into_iter().collect();
        views.iter().enumerate().any(|(i, (a, sees_a))| {
            views[i + 1..].iter().any(|(b, sees_b)| {
                let nested = !a.is_empty() && !b.is_empty() && (a.is_subset(b) || b.is_subset(a));
                *sees_a && *sees_b || nested && (*sees_a || *sees_b)
            })
        })
    }

    /// Whether the age of the rules that were merged decides what came of it. Rules with a selector
    /// always go first.
    pub(super) fn order_changes(&self, merged: &Merged) -> bool {
        let rules: Vec<_> = merged.parts.iter().map(|&i| &self.destination_rules[i]).collect();
        let (chosen, general): (Vec<&In<DestinationRule>>, Vec<_>) =
            rules.into_iter().partition(|rule| rule.workload_selector.is_some());
        let policies = |of: &[&In<DestinationRule>]| {
            of.iter().filter(|rule| rule.traffic_policy.is_some()).count()
        };
        let repeats = |of: &[&In<DestinationRule>]| {
            let mut names = BTreeSet::new();
            let mut parts = of
                .iter()
                .map(|rule| subsets_of(rule).map(|s| s.name.as_str()).collect::<BTreeSet<&str>>());
            parts.any(|part| part.into_iter().any(|name| !names.insert(name)))
        };
        policies(&chosen) > 1
            || policies(&chosen) == 0 && policies(&general) > 1
            || repeats(&chosen)
            || repeats(&general)
    }
}

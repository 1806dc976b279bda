//! Which DestinationRule applies to a client.

mod index;
mod mesh_wide;
mod order;
mod setting;

use std::collections::BTreeSet;

use super::{Client, In, Mesh, Order, Subset, subsets_of};
use crate::clusters::ClusterId;
use crate::kinds::is_placeholder;
use crate::kinds::networking::{DestinationRule, TrafficPolicy, WorkloadSelector};
use crate::source::{Spanned, Text};
use index::{Candidates, Merged, Plane};

pub(super) use index::Policies;
pub use setting::LocalitySetting;

/// Whether an `exportTo` (or the mesh's default) lets a namespace see an object.
pub(super) fn exported(to: &[Text], from: &str, namespace: &str) -> bool {
    to.is_empty()
        || to.iter().any(|t| match t.as_str() {
            "*" => true,
            "." => from == namespace,
            named => named == namespace,
        })
}

/// The DestinationRule that istiod hands to a client: one, or several of the same host and namespace
/// that it merged.
#[derive(Clone, Debug)]
pub struct AppliedRule<'m> {
    /// What it was merged from, in istiod's order; at least one.
    pub parts: Vec<&'m In<DestinationRule>>,
    order_dependent: bool,
}

impl<'m> AppliedRule<'m> {
    /// The policy for all ports and subsets, with the rule it stands in: the first one there is.
    /// Policies of several rules never mix.
    pub fn traffic_policy(&self) -> Option<(&'m In<DestinationRule>, &'m Spanned<TrafficPolicy>)> {
        self.parts.iter().find_map(|rule| Some((*rule, rule.traffic_policy.as_ref()?)))
    }

    /// Its subsets. Of one name the first counts, and later ones are dropped.
    pub fn subsets(&self) -> Vec<Subset<'m>> {
        let mut names = BTreeSet::new();
        let all = self.parts.iter().flat_map(|rule| subsets_of(rule));
        all.filter(|subset| names.insert(subset.name.as_str())).collect()
    }

    /// The subset of a name.
    pub fn subset(&self, name: &str) -> Option<Subset<'m>> {
        let mut all = self.parts.iter().flat_map(|rule| subsets_of(rule));
        all.find(|subset| subset.name.as_str() == name)
    }

    /// The labels of the clients it is for, where it is not for all.
    pub fn selector(&self) -> Option<&'m WorkloadSelector> {
        self.parts.first()?.workload_selector.as_ref()
    }

    /// Whether the order in which rules were created, which files do not tell, could make it another
    /// one. Here the order is that of their names.
    pub fn is_order_dependent(&self) -> bool {
        self.order_dependent
    }
}

/// Which rule a client gets, and how sure that is.
#[derive(Clone, Debug, Default)]
pub struct Choice<'m> {
    /// The rule, where one applies. A rule with a selector counts if the labels are known to fit.
    pub rule: Option<AppliedRule<'m>>,
    /// Rules with a selector that may apply instead, since labels of the client are not known.
    pub by_labels: Vec<AppliedRule<'m>>,
    /// Whether the order in which rules were created, which files do not tell, may decide.
    pub order_decides: bool,
}

impl<'m> Choice<'m> {
    /// All rules that may apply: the one that does, and those that labels may bring in.
    pub fn possible(&self) -> impl Iterator<Item = &AppliedRule<'m>> {
        self.rule.iter().chain(&self.by_labels)
    }
}

impl Mesh {
    /// DestinationRules as istiod keeps them if they were created in this order.
    fn policies(&self, order: Order) -> &Policies {
        match order {
            Order::Names => &self.policies,
            Order::Reversed => self.reversed_policies.get_or_init(|| self.index_policies(order)),
        }
    }

    pub(super) fn index_policies(&self, order: Order) -> Policies {
        let root = |control_plane| self.root_namespace(control_plane).to_owned();
        Policies::build(&self.destination_rules, &self.clusters, root, order)
    }

    /// Every DestinationRule of a control plane whose host is, or covers, this host, whoever gets it.
    pub fn rules_for(&self, host: &str, control_plane: ClusterId) -> Vec<&In<DestinationRule>> {
        let plane = self.policies.plane(control_plane);
        let found = plane.map(|p| p.covering(host)).unwrap_or_default();
        found.into_iter().map(|i| &self.destination_rules[i]).collect()
    }

    /// The DestinationRule that applies to a client for a host of a namespace; see [`Choice`] for
    /// how sure that is.
    pub fn applied_rule<'m>(
        &'m self,
        client: &Client<'m>,
        host: &str,
        host_namespace: Option<&str>,
        control_plane: ClusterId,
    ) -> Option<AppliedRule<'m>> {
        self.choose_rule(client, host, host_namespace, control_plane).rule
    }

    /// Which DestinationRule applies to a client for a host of a namespace, and how sure that is.
    ///
    /// One rule applies, or rules of one namespace that istiod merged; nothing is inherited from
    /// other namespaces. Source: `push_context.go`, `destinationRule`, and `sidecar.go`,
    /// `DestinationRule`.
    pub fn choose_rule<'m>(
        &'m self,
        client: &Client<'m>,
        host: &str,
        host_namespace: Option<&str>,
        control_plane: ClusterId,
    ) -> Choice<'m> {
        self.choose_rule_by(Order::Names, client, host, host_namespace, control_plane)
    }

    /// The same if the rules were created in this order.
    pub fn choose_rule_by<'m>(
        &'m self,
        order: Order,
        client: &Client<'m>,
        host: &str,
        host_namespace: Option<&str>,
        control_plane: ClusterId,
    ) -> Choice<'m> {
        let policies = self.policies(order);
        let Some(plane) = policies.plane(control_plane) else { return Choice::default() };
        let root = self.root_namespace(control_plane);
        let found = plane.candidates(client.namespace, host, host_namespace, root);
        self.choose(client, &found)
    }

    fn choose<'m>(&'m self, client: &Client<'m>, found: &Candidates<'m>) -> Choice<'m> {
        let selected = |m: &&Merged| self.fits(self.selector_of(m)?, client);
        let chosen = found.seen.iter().copied().find(|m| selected(m) == Some(true));
        let general = |m: &&&Merged| self.selector_of(m).is_none();
        let chosen = chosen.or_else(|| found.seen.iter().rfind(general).copied());
        let may_fit = |m: &&Merged| {
            self.selector_of(m).is_some_and(|selector| self.fits(selector, client) != Some(false))
        };
        let fitting: Vec<&Merged> = found.seen.iter().copied().filter(may_fit).collect();
        let perhaps: Vec<&Merged> =
            fitting.iter().copied().filter(|m| selected(m).is_none()).collect();
        let order_decides = self.several_may_fit(&fitting)
            || found.looked_at.iter().any(|group| self.order_parts(group, client.namespace));
        let applied =
            |merged: &Merged| self.applied(merged, order_decides || self.order_changes(merged));
        Choice {
            rule: chosen.map(applied),
            by_labels: perhaps.into_iter().map(applied).collect(),
            order_decides: order_decides || chosen.is_some_and(|merged| self.order_changes(merged)),
        }
    }

    fn applied<'m>(&'m self, merged: &Merged, order: bool) -> AppliedRule<'m> {
        let parts = merged.parts.iter().map(|&i| &self.destination_rules[i]).collect();
        AppliedRule { parts, order_dependent: order }
    }

    fn selector_of(&self, merged: &Merged) -> Option<&WorkloadSelector> {
        self.destination_rules[merged.parts[0]].workload_selector.as_ref()
    }

    /// Whether a selector fits a client; `None` where nobody can tell.
    fn fits<'m>(&'m self, selector: &WorkloadSelector, client: &Client<'m>) -> Option<bool> {
        let mut sure = true;
        for (key, want) in &selector.match_labels {
            let known = (!is_placeholder(want)).then(|| self.label_of(client, key).equals(want));
            match known.flatten() {
                Some(true) => {}
                Some(false) => return Some(false),
                None => sure = false,
            }
        }
        sure.then_some(true)
    }

    /// What istiod makes of the rules for a host, each for some client or other: the most specific of
    /// each namespace, merged.
    pub fn merged_rules(&self, host: &str, control_plane: ClusterId) -> Vec<AppliedRule<'_>> {
        let Some(plane) = self.policies.plane(control_plane) else { return Vec::new() };
        let rules = self.rules_for(host, control_plane);
        let namespaces = rules.iter().map(|rule| rule.namespace.as_str()).collect();
        self.distinct(plane.for_anyone(host, &namespaces))
    }

    /// What all control planes make of all their DestinationRules, each for some client or other, in
    /// the order of the input.
    pub fn applied_rules(&self) -> Vec<AppliedRule<'_>> {
        let mut all: Vec<&Merged> = self.policies.planes().flat_map(Plane::merged).collect();
        all.sort_by_key(|merged| merged.parts.iter().min());
        self.distinct(all)
    }

    /// Rules of one host and namespace that istiod merges, as all control planes do it.
    pub fn all_merged_rules(&self) -> Vec<AppliedRule<'_>> {
        let merged = self.policies.planes().map(|plane| {
            let several = plane.merged().filter(|m| m.parts.len() > 1);
            self.distinct(several.collect())
        });
        merged.flatten().collect()
    }

    fn distinct(&self, all: Vec<&Merged>) -> Vec<AppliedRule<'_>> {
        let mut told = BTreeSet::new();
        let first = all.into_iter().filter(|merged| told.insert(&merged.parts));
        first.map(|merged| self.applied(merged, self.order_changes(merged))).collect()
    }

    /// The namespaces whose clients may get another rule for a host than the clients of all others.
    pub fn namespaces_with_other_rules(
        &self,
        host: &str,
        control_plane: ClusterId,
    ) -> BTreeSet<&str> {
        let rules = self.rules_for(host, control_plane).into_iter();
        let named = rules.flat_map(|rule| {
            rule.export_to.iter().map(|to| to.as_str()).chain([rule.namespace.as_str()])
        });
        named.chain([self.root_namespace(control_plane)]).collect()
    }
}

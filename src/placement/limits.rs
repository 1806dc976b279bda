//! What a workload's pods ask of each other: to spread, to keep apart, to stay together.

use std::collections::BTreeMap;

use super::demand::{Demand, template};
use super::nodes::{Cell, HOST_LABEL, policy};
use crate::clusters::ClusterId;
use crate::kinds::workloads::{PodAffinityTerm, PodSpec, Selector, SpreadConstraint, Workload};
use crate::mesh::{In, Mesh, REGION_LABEL, ZONE_LABEL};
use crate::source::{Span, Text};
use crate::yaml::Entries;

/// Labels that controllers add to pods; no two workloads share a value.
const REVISIONS: [&str; 3] =
    ["pod-template-hash", "controller-revision-hash", "rollouts-pod-template-hash"];

/// What makes two nodes the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Host,
    Zone,
    Region,
    Other,
}

impl Key {
    fn of(label: &str) -> Self {
        match label {
            HOST_LABEL => Self::Host,
            ZONE_LABEL => Self::Zone,
            REGION_LABEL => Self::Region,
            _ => Self::Other,
        }
    }

    /// The domain that a zone belongs to.
    pub(super) fn domain(self, cell: &Cell) -> Option<&str> {
        match self {
            Self::Zone => cell.zone.as_deref(),
            Self::Region => cell.region.as_deref(),
            Self::Host | Self::Other => None,
        }
    }
}

/// A binding topology spread constraint that counts the workload's own pods.
#[derive(Clone, Debug)]
pub(super) struct Spread<'m> {
    pub key: Key,
    label: &'m str,
    pub skew: u64,
    pub min_domains: u64,
    /// Which nodes count as domains.
    pub policy: usize,
    pub span: Span,
    /// Other workloads whose pods it counts too.
    pub others: Vec<&'m In<Workload>>,
}

impl Spread<'_> {
    /// Whether two constraints ask the same, given that they count the same pods.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let asks = |s: &Self| (s.label.to_owned(), s.skew, s.min_domains, s.policy);
        asks(self) == asks(other)
    }
}

/// A required (anti-)affinity of the pods to each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bond<'m> {
    pub key: Key,
    label: &'m str,
    pub span: Span,
}

/// All that the pods of one workload ask of each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits<'m> {
    pub spreads: Vec<Spread<'m>>,
    pub apart: Vec<Bond<'m>>,
    pub together: Vec<Bond<'m>>,
}

/// Whose limits are looked for.
pub(super) struct Own<'m> {
    pub cluster: ClusterId,
    pub namespace: &'m str,
    pub labels: &'m Entries<Text>,
    pub workload: Option<&'m In<Workload>>,
}

impl<'m> Limits<'m> {
    pub(super) fn of(spec: &'m PodSpec, own: &Own<'m>, index: &Index<'m>) -> Self {
        let spread = |c: &'m SpreadConstraint| Spread::of(c, own, index);
        let others = |term: &'m PodAffinityTerm| {
            let selector = term.label_selector.as_ref();
            selector.is_some_and(|s| index.others(s, &[], own).next().is_some())
        };
        let terms = &spec.affinity.pod_affinity.required;
        let kept = terms.iter().all(|t| is_own(t, own)) && !terms.iter().any(others);
        let apart = spec.affinity.pod_anti_affinity.required.iter().filter(|t| is_own(t, own));
        Self {
            spreads: spec.topology_spread_constraints.iter().filter_map(spread).collect(),
            apart: apart.filter_map(bond).collect(),
            together: if kept { terms.iter().filter_map(bond).collect() } else { Vec::new() },
        }
    }

    /// The labels a node must have for them.
    pub(super) fn keys(&self) -> Vec<&'m str> {
        let spreads = self.spreads.iter().map(|s| s.label);
        let mut keys: Vec<_> = spreads.chain(self.together.iter().map(|b| b.label)).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

fn is_own(term: &PodAffinityTerm, own: &Own<'_>) -> bool {
    (term.namespaces.is_empty() || term.namespaces.iter().any(|ns| ns == own.namespace))
        && term.label_selector.as_ref().is_some_and(|s| s.matches(own.labels))
}

fn bond(term: &PodAffinityTerm) -> Option<Bond<'_>> {
    let key = term.topology_key.as_ref()?;
    Some(Bond { key: Key::of(key), label: key.as_str(), span: key.span })
}

impl<'m> Spread<'m> {
    /// `None` where it does not bind: `ScheduleAnyway`, or it does not count the pods themselves.
    fn of(constraint: &'m SpreadConstraint, own: &Own<'m>, index: &Index<'m>) -> Option<Self> {
        let when = constraint.when_unsatisfiable.as_ref().map_or("DoNotSchedule", |w| w.as_str());
        let selector = constraint.label_selector.as_ref().filter(|s| s.matches(own.labels))?;
        let skew = constraint.max_skew.as_ref().filter(|s| s.value > 0)?;
        let key = constraint.topology_key.as_ref().filter(|_| when == "DoNotSchedule")?;
        let honours = |policy: &Option<Text>, default| {
            policy.as_ref().map_or(default, |policy| policy.as_str() == "Honor")
        };
        Some(Self {
            key: Key::of(key),
            label: key.as_str(),
            skew: skew.value.into(),
            min_domains: constraint.min_domains.as_ref().map_or(1, |d| d.value.into()),
            policy: policy(
                honours(&constraint.node_affinity_policy, true),
                honours(&constraint.node_taints_policy, false),
            ),
            span: key.span,
            others: index.others(selector, &constraint.match_label_keys, own).collect(),
        })
    }
}

/// Workloads by a label of their pods.
#[derive(Debug, Default)]
pub(super) struct Index<'m> {
    by_label: BTreeMap<(ClusterId, &'m str, &'m str, &'m str), Vec<&'m In<Workload>>>,
    by_namespace: BTreeMap<(ClusterId, &'m str), Vec<&'m In<Workload>>>,
    mesh: Option<&'m Mesh>,
}

impl<'m> Index<'m> {
    pub(super) fn of(mesh: &'m Mesh) -> Self {
        let mut index = Self { mesh: Some(mesh), ..Self::default() };
        for workload in mesh.workloads.iter().filter(|w| !w.is_owned()) {
            let place = (workload.cluster, workload.namespace.as_str());
            index.by_namespace.entry(place).or_default().push(workload);
            for (key, value) in &template(mesh, workload).metadata.labels {
                let label = (place.0, place.1, key.as_str(), value.as_str());
                index.by_label.entry(label).or_default().push(workload);
            }
        }
        index
    }

    /// Other workloads of the namespace that want pods and whose pods a selector selects, with its
    /// `matchLabelKeys`.
    fn others<'s>(
        &'s self,
        selector: &'s Selector,
        keys: &'s [String],
        own: &'s Own<'m>,
    ) -> impl Iterator<Item = &'m In<Workload>> + 's {
        let place = (own.cluster, own.namespace);
        let listed = selector.match_labels.iter().map(|(key, value)| {
            self.by_label.get(&(place.0, place.1, key.as_str(), value.as_str()))
        });
        let fewest = listed.min_by_key(|found| found.map_or(0, Vec::len));
        let near = fewest.unwrap_or_else(|| self.by_namespace.get(&place));
        let apart = keys.iter().any(|key| REVISIONS.contains(&key.as_str()));
        near.into_iter().flatten().copied().filter(move |other| {
            let Some(mesh) = self.mesh else { return false };
            let labels = &template(mesh, other).metadata.labels;
            !apart
                && own.workload.is_none_or(|w| !std::ptr::eq(w, *other))
                && selector.matches(labels)
                && keys
                    .iter()
                    .all(|key| own.labels.get(key).is_none_or(|v| labels.get(key) == Some(v)))
                && Demand::of(mesh, other).bounds.most > 0
        })
    }
}

//! DestinationRules as istiod keeps them: by control plane, pool, namespace and host, merged.
//!
//! Source: `pilot/pkg/model/push_context.go`, `setDestinationRules`, and `destination_rule.go`,
//! `mergeDestinationRule`.

use std::collections::{BTreeMap, BTreeSet};

use crate::clusters::{Cluster, ClusterId};
use crate::kinds::networking::{DestinationRule, WorkloadSelector};
use crate::mesh::{In, Order, fqdn};

/// DestinationRules by the cluster whose control plane reads them.
#[derive(Debug, Default)]
pub(in crate::mesh) struct Policies {
    planes: BTreeMap<ClusterId, Plane>,
}

/// The rules of one control plane.
#[derive(Debug, Default)]
pub(super) struct Plane {
    /// For clients of a namespace: rules that stand in it.
    local: BTreeMap<String, Pool<Merged>>,
    /// For clients of other namespaces: rules of a namespace that leave it.
    exported: BTreeMap<String, Pool<Merged>>,
    /// For clients of the root namespace: its rules that do not leave it.
    root_local: Pool<Merged>,
    /// Every rule, whoever it is for.
    all: Pool<usize>,
}

/// Something by host, with `*` in front or without.
#[derive(Debug)]
struct Pool<T> {
    exact: BTreeMap<String, Vec<T>>,
    /// By what follows the `*`.
    wildcard: BTreeMap<String, Vec<T>>,
}

/// Rules of one host and namespace that istiod makes one of.
#[derive(Debug)]
pub(super) struct Merged {
    /// Their positions. Selector and visibility are those of the first.
    pub(super) parts: Vec<usize>,
    export_to: BTreeSet<String>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { exact: BTreeMap::new(), wildcard: BTreeMap::new() }
    }
}

impl<T> Pool<T> {
    fn slot(&mut self, host: &str) -> &mut Vec<T> {
        match host.strip_prefix('*') {
            Some(tail) => self.wildcard.entry(tail.to_owned()).or_default(),
            None => self.exact.entry(host.to_owned()).or_default(),
        }
    }

    /// What is kept for exactly this host, then for each pattern that covers it, the longest first.
    fn covering<'p, 'h>(&'p self, host: &'h str) -> impl Iterator<Item = &'p [T]> + use<'p, 'h, T> {
        let tail = host.strip_prefix('*');
        let exact = if tail.is_none() { self.exact.get(host) } else { None };
        let tail = tail.unwrap_or(host);
        let starts = tail.char_indices().map(|(i, _)| i).chain([tail.len()]);
        let starts = starts.filter(|_| !self.wildcard.is_empty());
        let wildcard = starts.filter_map(move |i| self.wildcard.get(&tail[i..]));
        exact.into_iter().chain(wildcard).map(Vec::as_slice)
    }

    /// What is kept for the most specific host. Source: `config.go`, `MostSpecificHostMatch`.
    fn most_specific(&self, host: &str) -> &[T] {
        self.covering(host).next().unwrap_or_default()
    }
}

/// Whether a rule that leaves its namespace is seen in another one.
pub(super) fn is_seen_by(export_to: &BTreeSet<String>, namespace: &str) -> bool {
    export_to.is_empty() || export_to.contains("*") || export_to.contains(namespace)
}

impl Policies {
    /// The index of all control planes; `root_of` tells the root namespace of each.
    pub(in crate::mesh) fn build(
        rules: &[In<DestinationRule>],
        clusters: &[Cluster],
        root_of: impl Fn(ClusterId) -> String,
        by_age: Order,
    ) -> Self {
        let mut order: Vec<usize> = (0..rules.len()).collect();
        // Rules with a selector go first; then age, which files do not tell; then the names.
        order.sort_by(|&a, &b| {
            let class = |i: usize| (rules[i].cluster, rules[i].workload_selector.is_none());
            let name = |i: usize| (rules[i].name(), rules[i].namespace.as_str());
            class(a).cmp(&class(b)).then_with(|| by_age.of(name(a).cmp(&name(b))))
        });
        let mut found = Self::default();
        for of_plane in order.chunk_by(|a, b| rules[*a].cluster == rules[*b].cluster) {
            let cluster = &clusters[rules[of_plane[0]].cluster.index()];
            let indexing = Indexing {
                rules,
                root: root_of(cluster.id),
                default_private: is_private_by_default(cluster),
            };
            let plane = found.planes.entry(cluster.id).or_default();
            for &i in of_plane {
                indexing.add(plane, i);
            }
        }
        found
    }

    pub(super) fn planes(&self) -> impl Iterator<Item = &Plane> {
        self.planes.values()
    }

    pub(super) fn plane(&self, control_plane: ClusterId) -> Option<&Plane> {
        self.planes.get(&control_plane)
    }
}

/// Whether rules without `exportTo` stay in their namespace. Source: `initDefaultExportMaps`.
fn is_private_by_default(cluster: &Cluster) -> bool {
    let mut told = cluster.facts.mesh_config.iter().map(|c| &c.default_destination_rule_export_to);
    told.find(|to| !to.is_empty()).is_some_and(|to| to.iter().any(|t| t.as_str() == "."))
}

struct Indexing<'r> {
    rules: &'r [In<DestinationRule>],
    root: String,
    default_private: bool,
}

impl Indexing<'_> {
    /// Puts a rule into the pools it belongs to.
    fn add(&self, plane: &mut Plane, i: usize) {
        let rule = &self.rules[i];
        let Some(host) = rule.host.as_ref().filter(|h| !h.is_empty()) else { return };
        let (host, namespace) = (fqdn(host, &rule.namespace), rule.namespace.as_str());
        plane.all.slot(&host).push(i);
        let export_to = exports(rule);
        let names = |target: &str| export_to.contains(target);
        if export_to.is_empty() || names("*") || names(".") || names(namespace) {
            self.merge(pool(&mut plane.local, namespace).slot(&host), i, &export_to);
        }
        let is_private = export_to.is_empty() && self.default_private
            || export_to.len() == 1 && (names(".") || names(namespace));
        if !is_private {
            self.merge(pool(&mut plane.exported, namespace).slot(&host), i, &export_to);
        } else if namespace == self.root {
            self.merge(plane.root_local.slot(&host), i, &export_to);
        }
    }

    /// Merges a rule into those of its host that it fits, and keeps it apart where it fits none.
    fn merge(&self, known: &mut Vec<Merged>, i: usize, export_to: &BTreeSet<String>) {
        let selector = self.rules[i].workload_selector.as_ref();
        let mut apart = true;
        for merged in known.iter_mut() {
            if *export_to == merged.export_to {
                apart = false;
            } else {
                apart = true;
                if merged.export_to.is_empty() || !export_to.is_superset(&merged.export_to) {
                    continue;
                }
            }
            let other = self.rules[merged.parts[0]].workload_selector.as_ref();
            match (selector, other) {
                (Some(a), Some(b)) if !same_selector(a, b) => {
                    apart = true;
                    continue;
                }
                (Some(_), Some(_)) | (None, None) => apart = false,
                _ => {}
            }
            merged.parts.push(i);
        }
        if apart {
            known.push(Merged { parts: vec![i], export_to: export_to.clone() });
        }
    }
}

fn pool<'p>(
    pools: &'p mut BTreeMap<String, Pool<Merged>>,
    namespace: &str,
) -> &'p mut Pool<Merged> {
    pools.entry(namespace.to_owned()).or_default()
}

/// Who sees a rule. One with a selector is for its own namespace, whatever it says.
pub(super) fn exports(rule: &In<DestinationRule>) -> BTreeSet<String> {
    match rule.workload_selector {
        Some(_) => BTreeSet::from([".".to_owned()]),
        None => rule.export_to.iter().map(|t| t.value.clone()).collect(),
    }
}

/// Whether two selectors ask for the same labels.
pub(super) fn same_selector(a: &WorkloadSelector, b: &WorkloadSelector) -> bool {
    let labels = |selector: &WorkloadSelector| -> BTreeSet<(String, String)> {
        let labels = selector.match_labels.iter();
        labels.map(|(key, value)| (key.value.clone(), value.value.clone())).collect()
    };
    labels(a) == labels(b)
}

/// Where a client's rule is chosen from.
#[derive(Debug, Default)]
pub(super) struct Candidates<'p> {
    /// Rules of one host and namespace that the client sees, in istiod's order.
    pub(super) seen: Vec<&'p Merged>,
    /// All that were looked at: those that hide others because nobody asked who may see them too.
    pub(super) looked_at: Vec<&'p [Merged]>,
}

impl Plane {
    /// The rules from which a client's is chosen. The client's namespace goes first, then the
    /// host's, then the root namespace; in each the most specific host, before anybody asks who may
    /// see it. Source: `push_context.go`, `destinationRule`.
    pub(super) fn candidates(
        &self,
        client_namespace: &str,
        host: &str,
        host_namespace: Option<&str>,
        root: &str,
    ) -> Candidates<'_> {
        let own = if client_namespace == root {
            self.root_local.most_specific(host)
        } else {
            self.local.get(client_namespace).map(|p| p.most_specific(host)).unwrap_or_default()
        };
        if !own.is_empty() {
            return Candidates { seen: own.iter().collect(), looked_at: vec![own] };
        }
        let mut found = Candidates::default();
        for namespace in host_namespace.into_iter().chain([root]) {
            let Some(pool) = self.exported.get(namespace) else { continue };
            let all = pool.most_specific(host);
            found.looked_at.push(all);
            found.seen =
                all.iter().filter(|m| is_seen_by(&m.export_to, client_namespace)).collect();
            if !found.seen.is_empty() {
                break;
            }
        }
        found
    }

    /// Every rule whose host is, or covers, this host, in the order of the input.
    pub(super) fn covering(&self, host: &str) -> Vec<usize> {
        let mut found: Vec<usize> = self.all.covering(host).flatten().copied().collect();
        found.sort_unstable();
        found
    }

    /// What some client may get for a host, if these are the namespaces with rules for it.
    pub(super) fn for_anyone<'p>(
        &'p self,
        host: &str,
        namespaces: &BTreeSet<&str>,
    ) -> Vec<&'p Merged> {
        let of = |pools: &'p BTreeMap<String, Pool<Merged>>| {
            namespaces.iter().filter_map(|n| pools.get(*n)).collect::<Vec<_>>()
        };
        let pools = of(&self.local).into_iter().chain(of(&self.exported)).chain([&self.root_local]);
        pools.flat_map(|pool| pool.most_specific(host)).collect()
    }

    /// All that was made of the rules, for whichever client.
    pub(super) fn merged(&self) -> impl Iterator<Item = &Merged> {
        let namespaces = self.local.values().chain(self.exported.values());
        let pools = namespaces.chain([&self.root_local]);
        pools.flat_map(|pool| pool.exact.values().chain(pool.wildcard.values())).flatten()
    }
}

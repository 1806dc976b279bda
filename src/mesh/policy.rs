//! Which DestinationRule applies to a client.

use std::collections::BTreeMap;

use super::{Client, HostPattern, In, Mesh, fqdn, value};
use crate::clusters::ClusterId;
use crate::kinds::networking::{DestinationRule, LocalityLb};
use crate::source::{Spanned, Text};

/// DestinationRules by the cluster whose control plane reads them.
#[derive(Debug, Default)]
pub(super) struct Policies {
    exact: BTreeMap<(ClusterId, String), Vec<usize>>,
    wildcard: BTreeMap<ClusterId, Vec<(String, usize)>>,
}

impl Policies {
    pub(super) fn build(rules: &[In<DestinationRule>]) -> Self {
        let mut found = Self::default();
        for (i, rule) in rules.iter().enumerate() {
            let Some(host) = &rule.host else { continue };
            let host = fqdn(host, &rule.namespace);
            if HostPattern(&host).is_wildcard() {
                found.wildcard.entry(rule.cluster).or_default().push((host, i));
            } else {
                found.exact.entry((rule.cluster, host)).or_default().push(i);
            }
        }
        found
    }
}

/// Whether an `exportTo` (or the mesh's default) lets a namespace see an object.
pub(super) fn exported(to: &[Text], from: &str, namespace: &str) -> bool {
    to.is_empty()
        || to.iter().any(|t| match t.as_str() {
            "*" => true,
            "." => from == namespace,
            named => named == namespace,
        })
}

impl Mesh {
    /// Every DestinationRule of a control plane whose host is, or covers, this host.
    pub fn rules_for(&self, host: &str, control_plane: ClusterId) -> Vec<&In<DestinationRule>> {
        let exact = self.policies.exact.get(&(control_plane, host.to_owned()));
        let wildcard = self.policies.wildcard.get(&control_plane).into_iter().flatten();
        let wildcard = wildcard.filter(|(h, _)| HostPattern(h).matches(host)).map(|(_, i)| i);
        let found = exact.into_iter().flatten().chain(wildcard);
        found.map(|&i| &self.destination_rules[i]).collect()
    }

    /// The DestinationRules that apply to a client for a host: several only where Istio merges them.
    ///
    /// The client's namespace goes first, then the host's, then the root namespace; in each the most
    /// specific host. Source: `push_context.go`, `destinationRule`.
    pub fn applied<'m>(
        &'m self,
        client: Client<'_>,
        host: &str,
        host_namespace: Option<&str>,
        control_plane: ClusterId,
    ) -> Vec<&'m In<DestinationRule>> {
        let rules = self.rules_for(host, control_plane);
        let root = self.root_namespace(control_plane);
        let own = |r: &&&In<DestinationRule>| r.namespace == client.namespace;
        let mut found = most_specific(rules.iter().filter(own).copied());
        for namespace in host_namespace.into_iter().chain([root]) {
            if !found.is_empty() {
                break;
            }
            let public = |r: &&&In<DestinationRule>| {
                r.namespace == namespace && exported(&r.export_to, &r.namespace, client.namespace)
            };
            found = most_specific(rules.iter().filter(public).copied());
        }
        let selected = |r: &In<DestinationRule>| {
            let wanted = r.workload_selector.as_ref()?;
            let labels = client.labels?;
            let same = |(key, want): &(Text, Text)| value(labels.get(key)) == Some(want.as_str());
            Some(r.namespace == client.namespace && wanted.match_labels.iter().all(same))
        };
        if let Some(chosen) = found.iter().find(|r| selected(r) == Some(true)) {
            return vec![chosen];
        }
        found.retain(|r| r.workload_selector.is_none());
        found
    }
}

fn most_specific<'m>(
    rules: impl Iterator<Item = &'m In<DestinationRule>>,
) -> Vec<&'m In<DestinationRule>> {
    let mut best: Vec<&In<DestinationRule>> = Vec::new();
    let rank = |r: &In<DestinationRule>| {
        r.host.as_ref().map(|h| HostPattern(&fqdn(h, &r.namespace)).specificity())
    };
    for rule in rules {
        match best.first().map(|b| rank(b)) {
            Some(known) if rank(rule) < known => {}
            Some(known) if rank(rule) > known => best = vec![rule],
            _ => best.push(rule),
        }
    }
    best
}

/// A locality setting and what it is for.
#[derive(Clone, Copy)]
pub struct LocalitySetting<'m> {
    /// The cluster whose control plane reads it.
    pub cluster: ClusterId,
    /// The DestinationRule it stands in; none for the mesh's own.
    pub rule: Option<&'m In<DestinationRule>>,
    /// The subset it is for, where it is for one alone.
    pub subset: Option<&'m Text>,
    /// The setting.
    pub setting: &'m Spanned<LocalityLb>,
}

impl LocalitySetting<'_> {
    /// The full name of the host it is for; none for the mesh's own.
    pub fn host(&self) -> Option<String> {
        let rule = self.rule?;
        Some(fqdn(rule.host.as_ref()?, &rule.namespace))
    }

    /// Whether it is switched on.
    pub fn is_enabled(&self) -> bool {
        self.setting.enabled.as_ref().is_none_or(|e| e.value)
    }

    /// Keys of `failoverPriority`, each without the value that may follow.
    pub fn priority_keys(&self) -> impl Iterator<Item = (&str, &Text)> {
        let keys = self.setting.failover_priority.iter();
        keys.map(|text| (text.split('=').next().unwrap_or_default(), text))
    }
}

impl Mesh {
    /// All locality settings that are switched on, of DestinationRules and of the mesh itself.
    pub fn locality_settings(&self) -> Vec<LocalitySetting<'_>> {
        let mut found = Vec::new();
        for rule in &self.destination_rules {
            let whole = rule.traffic_policy.iter().map(|p| (None, p));
            let subsets = rule
                .subsets
                .iter()
                .filter_map(|s| Some((s.name.as_ref(), s.traffic_policy.as_ref()?)));
            for (subset, policy) in whole.chain(subsets) {
                let ports =
                    policy.port_level_settings.iter().filter_map(|p| p.load_balancer.as_ref());
                let all = policy.load_balancer.iter().chain(ports);
                for setting in all.filter_map(|lb| lb.locality_lb_setting.as_ref()) {
                    found.push(LocalitySetting {
                        cluster: rule.cluster,
                        rule: Some(rule),
                        subset,
                        setting,
                    });
                }
            }
        }
        for cluster in &self.clusters {
            let configs = cluster.facts.mesh_config.iter();
            for setting in configs.filter_map(|c| c.locality_lb_setting.as_ref()) {
                found.push(LocalitySetting {
                    cluster: cluster.id,
                    rule: None,
                    subset: None,
                    setting,
                });
            }
        }
        found.retain(LocalitySetting::is_enabled);
        found
    }
}

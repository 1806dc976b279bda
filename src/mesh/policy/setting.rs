//! All locality settings, wherever they stand.

use crate::clusters::ClusterId;
use crate::kinds::networking::{DestinationRule, LocalityLb};
use crate::mesh::{In, Mesh, fqdn};
use crate::source::{Spanned, Text};

/// A locality setting and what it is for.
#[derive(Clone, Copy, Debug)]
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
        self.setting.value.is_enabled()
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

//! Why endpoints get the shares they get: a destination's rule, policy and setting in sentences.

use super::assignment::Preference;
use super::delivery::Delivery;
use super::destination::Destination;
use super::endpoint::Health;
use super::policy::{Level, Missing, Part};
use super::setting::{By, Setting};
use super::step::Step;
use super::supply::Pool;
use crate::kinds::networking::DestinationRule;
use crate::mesh::{AppliedRule, In, Mesh, list, short};

impl<'m> Destination<'m> {
    /// The reasons, in the order in which istiod asks.
    pub fn story(&self, mesh: &'m Mesh) -> Vec<Step> {
        let mut steps = vec![self.rule_step()];
        match &self.delivery {
            Delivery::Balanced => {}
            Delivery::OriginalDestination(why) => {
                let text = format!("{}: neither policy nor locality counts", why.text);
                steps.push(Step::new(text, why.span));
                return steps;
            }
            Delivery::External(why) | Delivery::SameNode(why) => {
                steps.push(why.clone());
                return steps;
            }
        }
        if self.terms.filter.cluster_local {
            let text = format!(
                "`{}` is cluster-local: only endpoints of the client's cluster count",
                short(self.host.name)
            );
            steps.push(Step::new(text, None));
        }
        steps.push(self.setting_step(mesh));
        steps.extend(self.outlier_step());
        steps.extend(self.health_step());
        if self.rule.order_decides {
            let text = "which rule is older could decide otherwise, and files do not tell";
            steps.push(Step::new(text, None));
        }
        steps
    }

    fn rule_step(&self) -> Step {
        let host = short(self.host.name);
        match self.applied() {
            None => Step::new(format!("no DestinationRule applies to `{host}`"), None),
            Some(rule) => Step::new(applies(rule), rule.parts.first().map(|part| part.named_at())),
        }
    }

    fn setting_step(&self, mesh: &Mesh) -> Step {
        let at = self.decided_at();
        let by = |by: By<'_>| match by {
            By::Rule(rule, level) => {
                format!("DestinationRule `{}`{}", rule.name(), at_level(level))
            }
            By::Mesh(cluster) => format!("MeshConfig of `{}`", mesh.cluster_name(cluster)),
        };
        let text = match self.setting {
            Setting::Off { by: who, .. } => {
                format!("{} switches locality load balancing off", by(who))
            }
            Setting::ZoneAwareOff { by: who, .. } => {
                format!("{} switches zone-aware load balancing off", by(who))
            }
            Setting::Unknown(_) => "a pipeline is still to fill in what decides".to_owned(),
            Setting::Locality { by: who, .. } => format!("{}: {}", by(who), self.preferred()),
            Setting::ZoneAware { by: who, .. } => {
                format!("{} asks for zone-aware routing: {}", by(who), self.preferred())
            }
            Setting::TrafficDistribution { told, .. } => {
                format!("the Service prefers `{told}`: {}", self.preferred())
            }
            Setting::Default => {
                format!("no locality setting anywhere, so the default: {}", self.preferred())
            }
        };
        Step::new(text, at)
    }

    /// What the preference does, as the end of a sentence.
    fn preferred(&self) -> String {
        match &self.terms.preference {
            Preference::None => {
                "endpoints would be ranked by nearness, which needs outlier detection".to_owned()
            }
            Preference::Distribute(_) => "localities get weights (`distribute`)".to_owned(),
            Preference::Failover { labels, .. } if labels.is_empty() => {
                "endpoints are ranked by nearness: zone, region, others".to_owned()
            }
            Preference::Failover { labels, .. } => {
                format!("endpoints are ranked by {}", list(labels.iter().copied()))
            }
            Preference::ZoneAware { .. } => {
                "endpoints are ranked by region alone, and zones only where proxies discover their \
                 own service"
                    .to_owned()
            }
        }
    }

    /// How many endpoints are not ready, and whether Envoy hears of them.
    fn health_step(&self) -> Option<Step> {
        let unready = |pool: &&Pool<'_>| pool.health != Health::Healthy;
        let first = self.pools().find(unready)?;
        let pools = self.pools().filter(unready);
        let count = pools.fold(0_u32, |sum, pool| sum.saturating_add(pool.bounds.least));
        let then = if self.terms.filter.send_unhealthy {
            "which Envoy counts and passes over"
        } else {
            "of which Envoy is not told"
        };
        Some(Step::new(format!("endpoints that are not ready: {count}, {then}"), first.span))
    }

    fn outlier_step(&self) -> Option<Step> {
        let step = match self.policy.outlier_detection {
            Part::Set { value, level, .. } => {
                let max = self.terms.max_ejection.map_or_else(
                    || "ejects nothing".to_owned(),
                    |max| format!("may eject {max} % of the endpoints"),
                );
                Step::new(format!("outlier detection{} {max}", at_level(level)), value.span)
            }
            Part::Missing(why) => {
                let needs = matches!(self.setting, Setting::Locality { .. } | Setting::Default);
                if !needs || matches!(self.terms.preference, Preference::Distribute(_)) {
                    return None;
                }
                let (text, span) = missing(&why, self.port);
                Step::new(format!("{text}: endpoints are not ranked, all are alike"), span)
            }
        };
        Some(step)
    }
}

/// ``DestinationRule `cart` of `shop` applies``; several where istiod merges them.
fn applies(rule: &AppliedRule<'_>) -> String {
    let called = |part: &&In<DestinationRule>| format!("{}/{}", part.namespace, part.name());
    let names: Vec<String> = rule.parts.iter().map(called).collect();
    match &names[..] {
        [one] => format!("DestinationRule `{one}` applies"),
        _ => format!("DestinationRules {} apply, merged", list(names.iter().map(String::as_str))),
    }
}

/// Why a part of the policy is not there, and the place.
pub fn missing(why: &Missing, port: u32) -> (String, Option<crate::source::Span>) {
    match why {
        Missing::NoRule => ("no DestinationRule, so no `outlierDetection`".to_owned(), None),
        Missing::NoPolicy => (
            "the DestinationRule has no `trafficPolicy`, so no `outlierDetection`".to_owned(),
            None,
        ),
        Missing::NotSet { policy, .. } => {
            ("no `outlierDetection` in the policy that applies".to_owned(), Some(*policy))
        }
        Missing::PortReplaces { port: at, hidden, .. } => {
            let hidden =
                if hidden.is_some() { ", and hides that of the policy around it" } else { "" };
            (format!("the entry for port {port} has no `outlierDetection`{hidden}"), Some(*at))
        }
    }
}

fn at_level(level: Level) -> &'static str {
    match level {
        Level::Mesh => " of the mesh",
        Level::Rule => "",
        Level::RulePort => " (for the port)",
        Level::Subset => " (of the subset)",
        Level::SubsetPort => " (of the subset, for the port)",
    }
}

//! Locality settings that go without a word: replaced as a whole by a narrower policy.

use std::collections::BTreeSet;

use super::texts::{SettingText, settings};
use crate::finding::Findings;
use crate::kinds::networking::{LoadBalancer, LocalityLb, PortPolicy};
use crate::mesh::{Mesh, fqdn, short, value};
use crate::rules::SHOWN;
use crate::rules::{Rule, rule};
use crate::source::{Span, Spanned, Text};

pub(in crate::rules) const RULES: &[Rule] =
    &[rule!("locality/locality-setting-replaced", locality_setting_replaced)];

fn locality_setting_replaced(mesh: &Mesh, found: &mut Findings) {
    let of_rules = |text: &SettingText<'_>| text.setting.rule.is_some() && text.is_certain(mesh);
    for text in settings(mesh).into_iter().filter(of_rules) {
        replaces_the_mesh(mesh, &text, found);
    }
    let mut told = BTreeSet::new();
    for rule in &mesh.destination_rules {
        let Some(host) = &rule.host else { continue };
        let lost = lost_in(&rule.resource.spec);
        let Some((first, others)) = lost.split_first() else { continue };
        if !told.insert((first.at, first.setting.span)) {
            continue;
        }
        let host = fqdn(host, &rule.namespace);
        let finding = found.say(
            format!("{} of `{}` loses {} of the rule", first.whose, short(&host), first.what()),
            first.at,
            "replaces the rule's loadBalancer as a whole: the Service's or the mesh's own setting applies",
        );
        for other in others.iter().take(SHOWN) {
            finding.also(other.at, format!("so does {}", other.whose));
        }
        finding.also(first.setting.span, "the setting that is lost").help(
            "repeat localityLbSetting in each `loadBalancer` below, or drop the narrower one",
        );
    }
}

/// A rule's setting of its own that leaves out what the mesh has, though it has nothing in its place.
fn replaces_the_mesh(mesh: &Mesh, text: &SettingText<'_>, found: &mut Findings) {
    let own = text.setting.setting;
    let meshes = text.planes.iter().flat_map(|plane| &mesh.cluster(*plane).facts.mesh_config);
    let mut meshes = meshes.filter_map(|config| config.locality_lb_setting.as_ref());
    let enabled = LocalityLb::is_enabled;
    let lost = meshes.find_map(|whole| {
        let lost = lost_of(whole, own).filter(|_| enabled(whole))?;
        Some((whole, lost))
    });
    let Some((whole, lost)) = lost else { return };
    found
        .say(
            format!("the rule for {} drops {lost} of the mesh", text.subject()),
            own.span,
            "replaces the mesh's localityLbSetting as a whole: nothing of it is merged",
        )
        .also(whole.span, "the mesh's setting, which does not apply to this host")
        .help("repeat here what shall hold of the mesh's setting, or drop localityLbSetting");
}

/// What one setting has and another one, with nothing of another kind instead, has not.
fn lost_of(whole: &LocalityLb, own: &LocalityLb) -> Option<String> {
    let kind = contents(whole)?;
    if contents(own).is_none() {
        return Some(format!("`{kind}`"));
    }
    let from = |setting: &'_ LocalityLb| -> Vec<String> {
        setting.failover.iter().filter_map(|f| value(f.from.as_ref())).map(str::to_owned).collect()
    };
    let comparable = contents(own) == Some("failover") && kind == "failover";
    let known = from(own);
    let lost = from(whole).into_iter().find(|region| !known.contains(region));
    lost.filter(|_| comparable).map(|region| format!("`failover` from `{region}`"))
}

/// What a setting asks for; nothing where it is just switched on.
fn contents(setting: &LocalityLb) -> Option<&'static str> {
    if !setting.distribute.is_empty() {
        Some("distribute")
    } else if !setting.failover_priority.is_empty() {
        Some("failoverPriority")
    } else if !setting.failover.is_empty() {
        Some("failover")
    } else {
        None
    }
}

/// A policy below a rule's own in which its locality setting is lost.
struct Lost<'m> {
    whose: String,
    at: Span,
    setting: &'m Spanned<LocalityLb>,
}

impl Lost<'_> {
    fn what(&self) -> String {
        match contents(self.setting) {
            _ if is_off(self.setting) => "`localityLbSetting.enabled: false`".to_owned(),
            Some(kind) => format!("`{kind}`"),
            None => "localityLbSetting".to_owned(),
        }
    }
}

fn is_off(setting: &LocalityLb) -> bool {
    !setting.is_enabled()
}

/// The setting of a load balancer, where it would be missed.
fn wanted(balancer: Option<&Spanned<LoadBalancer>>) -> Option<&Spanned<LocalityLb>> {
    let setting = balancer?.locality_lb_setting.as_ref()?;
    Some(setting).filter(|setting| is_off(setting) || contents(setting).is_some())
}

/// Subsets and ports of a rule in which its setting is lost.
/// Source: `networking/util/util.go`, `MergeSubsetTrafficPolicy`, `GetPortLevelTrafficPolicy`.
fn lost_in(rule: &crate::kinds::networking::DestinationRule) -> Vec<Lost<'_>> {
    let mut found = Vec::new();
    let policy = rule.traffic_policy.as_ref();
    let base = policy.and_then(|policy| policy.load_balancer.as_ref());
    if let Some(policy) = policy {
        let ports = policy.port_level_settings.iter();
        found.extend(ports.filter_map(|port| lost_at_port(port, base, None)));
    }
    for subset in &rule.subsets {
        let Some(policy) = &subset.traffic_policy else { continue };
        let own = policy.load_balancer.as_ref();
        if let Some((setting, own)) = wanted(base).zip(own).filter(|(_, own)| is_silent(own)) {
            let whose = format!("subset {}", quoted(subset.name.as_ref()));
            found.push(Lost { whose, at: own.span, setting });
        }
        let ports = policy.port_level_settings.iter();
        let base = own.or(base);
        found.extend(ports.filter_map(|port| lost_at_port(port, base, subset.name.as_ref())));
    }
    found
}

/// A port's entry stands for itself: what it does not name is not there.
fn lost_at_port<'m>(
    port: &PortPolicy,
    base: Option<&'m Spanned<LoadBalancer>>,
    subset: Option<&Text>,
) -> Option<Lost<'m>> {
    let setting = wanted(base)?;
    let number = port.port.as_ref()?.number.as_ref()?;
    let at = match &port.load_balancer {
        Some(own) => Some(own.span).filter(|_| is_silent(own)),
        // Without outlierDetection failover is off in any case, which is another matter.
        None => Some(number.span).filter(|_| {
            port.outlier_detection.is_some() || !setting.distribute.is_empty() || is_off(setting)
        }),
    };
    let of = subset.map(|name| format!(" in subset `{name}`")).unwrap_or_default();
    Some(Lost { whose: format!("port {}{of}", number.value), at: at?, setting })
}

/// Whether a load balancer says nothing of localities.
fn is_silent(balancer: &LoadBalancer) -> bool {
    balancer.locality_lb_setting.is_none() && balancer.zone_aware_lb_setting.is_none()
}

fn quoted(name: Option<&Text>) -> String {
    format!("`{}`", value(name).unwrap_or_default())
}

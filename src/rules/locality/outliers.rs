//! Outlier detection: what makes failover work, and what keeps it from working.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::ejection::{self, Stuck};
use crate::clusters::ClusterId;
use crate::finding::{Findings, Severity};
use crate::kinds::core::Service;
use crate::kinds::networking::{LocalityLb, OutlierDetection};
use crate::mesh::{In, Mesh, fqdn, list};
use crate::rules::{Rule, rule};
use crate::source::{Span, Spanned};
use crate::traffic::Traffic;
use crate::traffic::distribution::asked;
use crate::traffic::effective::{EffectivePolicy, Layout};
use crate::traffic::setting::Setting;
use crate::traffic::view::View;

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("locality/ejection-below-zone-share", policies: ejection_below_zone_share),
    rule!("locality/failover-without-outlier-detection", policies: failover_without_outlier_detection),
    rule!("locality/mesh-outlier-detection-ignored", policies: mesh_outlier_detection_ignored),
    rule!("locality/min-health-percent-panic", policies: min_health_percent_panic),
    rule!("locality/outlier-detection-ejects-nothing", policies: outlier_detection_ejects_nothing),
    rule!("locality/outlier-detection-pins-zone", policies: outlier_detection_pins_zone),
    rule!("locality/port-policy-drops-outlier-detection", policies: port_policy_drops_outlier_detection),
];

/// Outlier detection that lets a whole zone be left.
const ADVICE: &str = "`outlierDetection: {consecutive5xxErrors: 5, interval: 10s, baseEjectionTime: 30s, \
                      maxEjectionPercent: 100}`";

/// How much more load a pod of a small zone may get than one of a large zone.
const FACTOR: f64 = 2.0;

/// Unready endpoints are sent to proxies from this minor version on, unless `minHealthPercent` is set.
const UNREADY_SENT_SINCE: u32 = 31;

/// What is taken for granted where the built-in setting may have been switched off.
const ASSUMES: &str =
    ", if MeshConfig, which is not in the input, leaves locality load balancing on";

/// Whether a setting asks for failover, or at least for locality to count.
fn asks_for_failover(setting: &LocalityLb) -> bool {
    !setting.failover.is_empty() || !setting.failover_priority.is_empty()
}

/// Outlier detection of the mesh's `defaultTrafficPolicy`.
fn of_mesh(mesh: &Mesh, control_plane: ClusterId) -> Option<&Spanned<OutlierDetection>> {
    mesh.default_traffic_policy(control_plane)?.outlier_detection.as_ref()
}

/// The locality setting of a level that waits for outlier detection in vain.
fn idle_failover<'m>(
    mesh: &'m Mesh,
    policy: &EffectivePolicy<'m>,
) -> Option<&'m Spanned<LocalityLb>> {
    let setting = policy.enabled_locality()?;
    // Where the mesh has a setting of its own, `{enabled: true}` may be there to take it away.
    let of_mesh = Setting::of_mesh(mesh, policy.control_plane).as_locality();
    let switched_on = setting.enabled.is_some() && of_mesh.is_none();
    let waits = setting.distribute.is_empty() && (asks_for_failover(setting) || switched_on);
    let idle = waits && policy.outliers().is_none() && policy.dropped().is_none();
    Some(setting).filter(|_| idle && policy.is_certain && policy.is_balanced())
}

fn failover_without_outlier_detection(traffic: &Traffic<'_>, found: &mut Findings) {
    let (mesh, policies) = (traffic.mesh(), traffic.policies());
    let mut idle: BTreeMap<Span, Vec<(&EffectivePolicy<'_>, &Spanned<LocalityLb>)>> =
        BTreeMap::new();
    for policy in policies {
        if let Some(setting) = idle_failover(mesh, policy)
            && of_mesh(mesh, policy.control_plane).is_none()
        {
            idle.entry(setting.span).or_default().push((policy, setting));
        }
    }
    for (span, all) in idle {
        let (policy, setting) = all[0];
        let what = if asks_for_failover(setting) { "never fails over" } else { "knows no zones" };
        let finding = found.say(
            format!(
                "{}{} {what}: its locality setting has no outlier detection beside it",
                policy.target(),
                policy.on_port()
            ),
            span,
            "without effect: requests spread over all zones and regions by the number of pods",
        );
        let mut others =
            policies.iter().filter(|p| p.rule.parts[0].is_same_text(policy.rule.parts[0]));
        if let Some(elsewhere) = others.find_map(EffectivePolicy::outliers) {
            finding.also(elsewhere.span, "not for these requests: another subset or port has it");
        }
        if let Ok(Some(asked)) = policy.asked(mesh) {
            finding.also(asked.told.span, "does not help: a DestinationRule's setting goes first");
        }
        finding.help(format!("add {ADVICE} to the same policy"));
    }
    mesh_failover_without_any(mesh, policies, found);
}

/// Failover for the whole mesh, and no DestinationRule that makes it work for any host.
fn mesh_failover_without_any(mesh: &Mesh, policies: &[EffectivePolicy<'_>], found: &mut Findings) {
    let mut told = BTreeSet::new();
    for cluster in mesh.clusters() {
        let Some(setting) = Setting::of_mesh(mesh, cluster.id).as_locality() else { continue };
        let own = mesh.is_read_in(cluster.id);
        let idle = asks_for_failover(setting) && setting.distribute.is_empty();
        let mut here = policies.iter().filter(|p| p.control_plane == cluster.id);
        let some = here.any(|p| p.outliers().is_some() || !p.is_certain)
            || of_mesh(mesh, cluster.id).is_some();
        let mut services = services_beside(mesh, cluster.id).peekable();
        // What a Service prefers goes before the mesh's setting.
        let asks = |s| matches!(asked(mesh, cluster.id, s), Ok(Some(_)));
        let waits = services.peek().is_none() || services.any(|s| !asks(s));
        if !own || !idle || some || !waits || !sees_all_rules(mesh, cluster.id) {
            continue;
        }
        if !told.insert(setting.span) {
            continue;
        }
        found
            .say(
                "the mesh's failover works for no host: no DestinationRule has outlier detection",
                setting.span,
                "without effect: requests spread over all zones and regions by the number of pods",
            )
            .help(format!(
                "add {ADVICE} to the DestinationRules of the hosts that are to fail over, or to one for \
                 `*.local` in the root namespace"
            ));
    }
}

/// The Services of a control plane's cluster, without those of the control plane itself.
fn services_beside(mesh: &Mesh, control_plane: ClusterId) -> impl Iterator<Item = &In<Service>> {
    let system = mesh.cluster(control_plane).facts.system_namespace();
    mesh.services.of_cluster(control_plane).iter().filter(move |s| s.namespace != system)
}

/// Whether a DestinationRule of a control plane would be in the input.
fn sees_all_rules(mesh: &Mesh, control_plane: ClusterId) -> bool {
    if mesh.cluster(control_plane).is_complete() {
        return true;
    }
    let rules = mesh.destination_rules.of_cluster(control_plane).iter();
    let seen: BTreeSet<&str> = rules.map(|r| r.namespace.as_str()).collect();
    let mut others = services_beside(mesh, control_plane);
    !seen.is_empty() && others.all(|s| seen.contains(s.namespace.as_str()))
}

fn mesh_outlier_detection_ignored(traffic: &Traffic<'_>, found: &mut Findings) {
    let mesh = traffic.mesh();
    let mut told = BTreeSet::new();
    for cluster in mesh.clusters() {
        let Some(outliers) = of_mesh(mesh, cluster.id) else { continue };
        let here = || traffic.policies().iter().filter(|p| p.control_plane == cluster.id);
        let mut relying: Vec<(&EffectivePolicy<'_>, Span)> =
            here().filter_map(|p| Some((p, idle_failover(mesh, p)?.span))).collect();
        relying.dedup_by_key(|(_, span)| *span);
        let of_mesh = Setting::of_mesh(mesh, cluster.id).as_locality();
        let of_mesh = of_mesh.filter(|l| l.distribute.is_empty());
        let of_mesh = of_mesh.filter(|l| asks_for_failover(l) || l.enabled.is_some());
        let ejecting = here().filter(|p| p.outliers().is_some());
        let ejects: BTreeSet<String> = ejecting.map(EffectivePolicy::host_name).collect();
        let has_own = |s: &In<Service>| ejects.contains(&fqdn(s.name(), &s.namespace));
        let waits = ejects.is_empty() || services_beside(mesh, cluster.id).any(|s| !has_own(s));
        let of_mesh = of_mesh.filter(|_| waits);
        if relying.is_empty() && of_mesh.is_none() || !told.insert(outliers.span) {
            continue;
        }
        let finding = found.say(
            "the mesh's outlier detection ejects endpoints, but makes nothing fail over",
            outliers.span,
            "endpoints are laid out by the outlier detection of DestinationRules alone",
        );
        if let Some(setting) = of_mesh {
            let text = "without effect for hosts whose DestinationRule has no outlier detection";
            finding.also(setting.span, text);
        }
        for (policy, span) in relying {
            finding.also(span, format!("{} never fails over", policy.target()));
        }
        finding.help(format!(
            "add {ADVICE} to each DestinationRule whose host is to fail over, or to one for `*.local` in \
             the root namespace"
        ));
    }
}

/// Policies with outlier detection, each text once.
fn with_outliers<'t, 'm>(
    traffic: &'t Traffic<'m>,
) -> BTreeMap<Span, Vec<(&'t EffectivePolicy<'m>, &'m Spanned<OutlierDetection>)>> {
    let mut found: BTreeMap<Span, Vec<_>> = BTreeMap::new();
    for policy in traffic.policies().iter().filter(|p| p.is_certain) {
        if let Some(outliers) = policy.outliers() {
            found.entry(outliers.span).or_default().push((policy, outliers));
        }
    }
    found
}

/// For each text with outlier detection, the first of its policies that leaves a zone not.
fn stuck<'t, 'm>(
    traffic: &'t Traffic<'m>,
) -> Vec<(&'t EffectivePolicy<'m>, &'m Spanned<OutlierDetection>, Vec<Stuck>)> {
    let mut found = Vec::new();
    for all in with_outliers(traffic).into_values() {
        let first = all.into_iter().find_map(|(policy, outliers)| {
            let strict =
                !traffic.mesh().may_be_before(policy.control_plane, ejection::STRICT_SINCE);
            let works = strict && policy.is_balanced();
            let stuck = if works { ejection::stuck(traffic, policy) } else { Vec::new() };
            (!stuck.is_empty()).then_some((policy, outliers, stuck))
        });
        found.extend(first);
    }
    found
}

fn ejection_below_zone_share(traffic: &Traffic<'_>, found: &mut Findings) {
    for (policy, outliers, zones) in stuck(traffic) {
        let Some(worst) = zones.iter().min_by_key(|z| Reverse(z.failing)) else { continue };
        let at = outliers.max_ejection_percent.as_ref().filter(|p| p.value > 0);
        let unset = if at.is_none() { " (not set)" } else { "" };
        let names: Vec<String> = zones.iter().map(|z| z.zone.to_string()).collect();
        let finding = found.say(
            format!(
                "clients of {}{} do not leave a zone that answers 5xx: {}{}",
                policy.at_host(),
                policy.on_port(),
                worst.ejected(),
                if policy.assumes_mesh_config() { ASSUMES } else { "" }
            ),
            at.map_or(outliers.span, |p| p.span),
            format!(
                "`maxEjectionPercent` is {}{unset}: {}",
                outliers.max_ejection(),
                worst.effect()
            ),
        );
        if names.len() > 1 {
            let text = format!("the same in {}", list(names.iter().map(String::as_str)));
            let rule = policy.written_in();
            finding.also(rule.host.as_ref().map_or(rule.named_at(), |h| h.span), text);
        }
        if policy.assumes_mesh_config() {
            finding.lower(Severity::Warning);
        }
        if let Some(span) = worst.at {
            finding.also(span, worst.share());
        }
        finding.help(format!(
            "set `maxEjectionPercent: 100`, or at least {}: the share of the largest zone",
            zones.iter().map(|z| z.wanted).max().unwrap_or(100)
        ));
    }
}

fn outlier_detection_ejects_nothing(traffic: &Traffic<'_>, found: &mut Findings) {
    let told: BTreeSet<Span> = stuck(traffic).into_iter().map(|(_, o, _)| o.span).collect();
    for (span, all) in with_outliers(traffic) {
        let (policy, outliers) = all[0];
        let target = format!("outlier detection of {}{}", policy.target(), policy.on_port());
        if let Some(zero) = counts_nothing(outliers) {
            let first = matches!(policy.layout(), Layout::OwnZoneFirst(_));
            let pins = if first { "; it only keeps clients in their zone" } else { "" };
            found
                .say(
                    format!("{target} ejects nothing: it counts no errors{pins}"),
                    zero,
                    "0 switches it off, and nothing else is counted",
                )
                .help("leave `consecutive5xxErrors` out (5 in a row), or set how many errors in a row eject an endpoint");
            continue;
        }
        let most = all.iter().map(|(policy, _)| most(traffic, policy));
        let most: Option<Vec<u32>> = most.collect();
        let Some(most) = most.and_then(|all| all.into_iter().max()) else { continue };
        let strict = !traffic.mesh().may_be_before(policy.control_plane, ejection::STRICT_SINCE);
        let percent = outliers.max_ejection();
        // Without the only endpoint there would be none.
        if told.contains(&span) || !strict || most < 2 || most.saturating_mul(percent) >= 100 {
            continue;
        }
        let at = outliers.max_ejection_percent.as_ref().filter(|p| p.value > 0);
        let unset = if at.is_none() { " (10 where not set)" } else { "" };
        found
            .say(
                format!(
                    "{target} ejects nothing: {percent} % of {most} endpoints is less than one"
                ),
                at.map_or(span, |p| p.span),
                format!("`maxEjectionPercent`{unset} lets no endpoint go"),
            )
            .help(format!("set `maxEjectionPercent` to at least {}", 100_u32.div_ceil(most)));
    }
}

/// The counter that is zero, where no error is counted.
/// Source: `cluster_traffic_policy.go`, `applyOutlierDetection`.
fn counts_nothing(outliers: &OutlierDetection) -> Option<Span> {
    let zero = outliers.consecutive_5xx_errors.as_ref().filter(|n| n.value == 0)?;
    let gateway = outliers.consecutive_gateway_errors.as_ref().is_some_and(|n| n.value > 0);
    let split = outliers.split_external_local_origin_errors.as_ref().is_some_and(|s| s.value);
    (!gateway && !split).then_some(zero.span)
}

/// The most endpoints that a policy can be for; `None` where not all of them can be seen.
fn most<'m>(traffic: &Traffic<'m>, policy: &EffectivePolicy<'m>) -> Option<u32> {
    policy.views(traffic).iter().map(View::most).max()
}

fn outlier_detection_pins_zone(traffic: &Traffic<'_>, found: &mut Findings) {
    let option = traffic.mesh().option("locality/outlier-detection-pins-zone", "factor");
    let factor = option.and_then(|f| f.parse().ok()).unwrap_or(FACTOR);
    for all in with_outliers(traffic).into_values() {
        let uneven = all.into_iter().find_map(|(policy, outliers)| {
            let built_in = matches!(policy.setting, None | Some(Setting::Default))
                && matches!(policy.likely_layout(), Layout::OwnZoneFirst(None));
            let views =
                if built_in && policy.is_balanced() { policy.views(traffic) } else { Vec::new() };
            let uneven = views.iter().find_map(|view| ejection::uneven(view, factor))?;
            Some((policy, outliers, uneven))
        });
        let Some((policy, outliers, uneven)) = uneven else { continue };
        let (small, large) = (&uneven.small, &uneven.large);
        found
            .say(
                format!(
                    "outlier detection keeps clients of {} in their zone, and `{}` has {} replicas for `{}`'s {}{}",
                    policy.at_host(), small.0, small.1, large.0, large.1,
                    if policy.assumes_mesh_config() { ASSUMES } else { "" }
                ),
                outliers.span,
                format!(
                    "switches the built-in locality setting on: if zones send alike, a pod of `{}` gets at least \
                     {:.1} times the load of one in `{}`",
                    small.0, uneven.ratio, large.0
                ),
            )
            .help(
                "give zones replicas by the traffic they send, or spread over all zones by \
                 `loadBalancer: {localityLbSetting: {enabled: false}}`",
            );
    }
}

fn min_health_percent_panic(traffic: &Traffic<'_>, found: &mut Findings) {
    let mesh = traffic.mesh();
    for all in with_outliers(traffic).into_values() {
        let first = all.into_iter().find_map(|(policy, outliers)| {
            let least = outliers.min_health_percent.as_ref().filter(|p| p.value > 0)?;
            // A Service's preference sets the threshold to 0.
            let forced = !matches!(policy.asked(mesh), Ok(None));
            let placed = matches!(policy.layout(), Layout::OwnZoneFirst(_) | Layout::Weights(_));
            (placed && !forced && policy.is_balanced()).then_some((policy, least))
        });
        let Some((policy, least)) = first else { continue };
        let old = mesh.may_be_before(policy.control_plane, UNREADY_SENT_SINCE);
        let unready =
            if old { "" } else { ", and unready pods no longer move traffic to other zones" };
        found
            .say(
                format!(
                    "`minHealthPercent` of {}{} sends requests to ejected endpoints again{unready}",
                    policy.target(),
                    policy.on_port()
                ),
                least.span,
                format!(
                    "a panic threshold: where fewer than {} % are healthy, all get requests",
                    least.value
                ),
            )
            .help(
                "leave `minHealthPercent` out (0), so that requests go where endpoints are healthy",
            );
    }
    mesh_wide_panic(mesh, found);
}

/// The mesh's own outlier detection sets the threshold, while unready endpoints are sent all the same.
fn mesh_wide_panic(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for cluster in mesh.clusters() {
        let outliers = of_mesh(mesh, cluster.id);
        let Some(least) = outliers.and_then(|o| o.min_health_percent.as_ref()) else { continue };
        if least.value == 0 || !told.insert(least.span) {
            continue;
        }
        found
            .say(
                "the mesh's `minHealthPercent` sends requests to unready and ejected endpoints",
                least.span,
                format!(
                    "a panic threshold: where fewer than {} % are healthy, all get requests, unready ones too",
                    least.value
                ),
            )
            .help("leave `minHealthPercent` out (0), so that requests go where endpoints are healthy");
    }
}

fn port_policy_drops_outlier_detection(traffic: &Traffic<'_>, found: &mut Findings) {
    let mut dropping: BTreeMap<Span, Vec<(&EffectivePolicy<'_>, Span)>> = BTreeMap::new();
    for policy in traffic.policies().iter().filter(|p| p.is_certain && p.is_balanced()) {
        if let Some((port, dropped)) = policy.port.zip(policy.dropped()) {
            dropping.entry(port.span).or_default().push((policy, dropped));
        }
    }
    for (span, all) in dropping {
        let (policy, dropped) = all[0];
        let finding = found.say(
            format!(
                "{} has no outlier detection{}, and does not fail over there",
                policy.target(),
                policy.on_port()
            ),
            span,
            "a port's policy replaces all of the others: what it leaves out is not there",
        );
        finding.also(dropped, "does not count for that port");
        if let Some(setting) = policy.enabled_locality() {
            finding.also(setting.span, "without effect, for want of outlier detection");
        }
        finding.help("repeat `outlierDetection` (and `loadBalancer`, `tls`, `connectionPool`) in the port's entry");
    }
}

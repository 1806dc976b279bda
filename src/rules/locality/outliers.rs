//! Outlier detection: what makes failover work, and what keeps it from working.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::choice::{self, Layout, MeshWide, deciding, layout, mesh_wide, preference};
use super::ejection::{self, Stuck};
use super::endpoints::of_level;
use super::levels::{Level, levels, siblings};
use super::settings::why_without_effect;
use crate::clusters::ClusterId;
use crate::finding::Findings;
use crate::kinds::core::Service;
use crate::kinds::networking::{DestinationRule, LocalityLb, OutlierDetection};
use crate::mesh::{In, Mesh, fqdn, list};
use crate::placement::Placements;
use crate::rules::{Rule, rule};
use crate::source::{Span, Spanned};

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("locality/ejection-below-zone-share", ejection_below_zone_share),
    rule!("locality/failover-without-outlier-detection", failover_without_outlier_detection),
    rule!("locality/mesh-outlier-detection-ignored", mesh_outlier_detection_ignored),
    rule!("locality/min-health-percent-panic", min_health_percent_panic),
    rule!("locality/outlier-detection-ejects-nothing", outlier_detection_ejects_nothing),
    rule!("locality/outlier-detection-pins-zone", outlier_detection_pins_zone),
    rule!("locality/port-policy-drops-outlier-detection", port_policy_drops_outlier_detection),
];

/// Outlier detection that lets a whole zone be left.
const ADVICE: &str = "`outlierDetection: {consecutive5xxErrors: 5, interval: 10s, baseEjectionTime: 30s, \
                      maxEjectionPercent: 100}`";

/// How much more load a pod of a small zone may get than one of a large zone.
const FACTOR: f64 = 2.0;

/// Whether the policies of a level's rule could be read as a whole, and are what is applied.
fn is_sure(mesh: &Mesh, level: &Level<'_>) -> bool {
    let unread = |path: &String| path.contains("trafficPolicy") || path.contains("subsets");
    !level.rule.meta.unread.iter().any(unread) && !mesh.is_assumed(&level.rule.meta)
}

/// Whether a setting asks for failover, or at least for locality to count.
fn asks_for_failover(setting: &LocalityLb) -> bool {
    !setting.failover.is_empty() || !setting.failover_priority.is_empty()
}

/// Outlier detection of the mesh's `defaultTrafficPolicy`.
fn of_mesh(mesh: &Mesh, control_plane: ClusterId) -> Option<&Spanned<OutlierDetection>> {
    mesh.default_traffic_policy(control_plane)?.outlier_detection.as_ref()
}

/// The locality setting of a level that waits for outlier detection in vain.
fn idle_failover<'m>(mesh: &'m Mesh, level: &Level<'m>) -> Option<&'m Spanned<LocalityLb>> {
    let setting = level.enabled_locality()?;
    let by_mesh = mesh_wide(mesh, level.control_plane());
    // Where the mesh has a setting of its own, `{enabled: true}` may be there to take it away.
    let switched_on = setting.enabled.is_some() && !matches!(by_mesh, MeshWide::Locality(_));
    let waits = setting.distribute.is_empty() && (asks_for_failover(setting) || switched_on);
    let brings =
        |l: &In<DestinationRule>| l.traffic_policy.iter().any(|p| p.outlier_detection.is_some());
    let idle = waits && level.outliers.is_none() && level.dropped.is_none();
    let works = || is_sure(mesh, level) && why_without_effect(mesh, level).is_none();
    Some(setting).filter(|_| idle && works() && !siblings(mesh, level.rule).any(brings))
}

fn failover_without_outlier_detection(mesh: &Mesh, found: &mut Findings) {
    let levels = levels(mesh);
    let mut idle: BTreeMap<Span, Vec<(&Level<'_>, &Spanned<LocalityLb>)>> = BTreeMap::new();
    for level in &levels {
        if let Some(setting) = idle_failover(mesh, level)
            && of_mesh(mesh, level.control_plane()).is_none()
        {
            idle.entry(setting.span).or_default().push((level, setting));
        }
    }
    for (span, all) in idle {
        let (level, setting) = all[0];
        let what = if asks_for_failover(setting) { "never fails over" } else { "knows no zones" };
        let finding = found.say(
            format!(
                "{}{} {what}: its locality setting has no outlier detection beside it",
                level.target(),
                level.on_port()
            ),
            span,
            "without effect: requests spread over all zones and regions by the number of pods",
        );
        let mut others = levels.iter().filter(|l| l.rule.is_same_text(level.rule));
        if let Some(elsewhere) = others.find_map(|l| l.outliers) {
            finding.also(elsewhere.span, "not for these requests: another subset or port has it");
        }
        let service = level.host(mesh).and_then(|h| deciding(h, level.control_plane()));
        if let Some(asked) = service.and_then(|s| preference(mesh, s).found()) {
            finding.also(asked.at.span, "does not help: a DestinationRule's setting goes first");
        }
        finding.help(format!("add {ADVICE} to the same policy"));
    }
    mesh_failover_without_any(mesh, &levels, found);
}

/// Failover for the whole mesh, and no DestinationRule that makes it work for any host.
fn mesh_failover_without_any(mesh: &Mesh, levels: &[Level<'_>], found: &mut Findings) {
    let mut told = BTreeSet::new();
    for cluster in mesh.clusters() {
        let MeshWide::Locality(setting) = mesh_wide(mesh, cluster.id) else { continue };
        let own = mesh.config_cluster(cluster.id).found() == Some(cluster.id);
        let idle = asks_for_failover(setting) && setting.distribute.is_empty();
        let here = || levels.iter().filter(|l| l.control_plane() == cluster.id);
        let some = here().any(|l| l.outliers.is_some() || !is_sure(mesh, l))
            || of_mesh(mesh, cluster.id).is_some();
        let mut services = services_beside(mesh, cluster.id).peekable();
        // What a Service prefers goes before the mesh's setting.
        let waits =
            services.peek().is_none() || services.any(|s| preference(mesh, s).found().is_none());
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
    mesh.services.iter().filter(move |s| s.cluster == control_plane && s.namespace != system)
}

/// Whether a DestinationRule of a control plane would be in the input.
fn sees_all_rules(mesh: &Mesh, control_plane: ClusterId) -> bool {
    if mesh.cluster(control_plane).is_complete() {
        return true;
    }
    let rules = mesh.destination_rules.iter().filter(|r| r.cluster == control_plane);
    let seen: BTreeSet<&str> = rules.map(|r| r.namespace.as_str()).collect();
    let mut others = services_beside(mesh, control_plane);
    !seen.is_empty() && others.all(|s| seen.contains(s.namespace.as_str()))
}

fn mesh_outlier_detection_ignored(mesh: &Mesh, found: &mut Findings) {
    let levels = levels(mesh);
    let mut told = BTreeSet::new();
    for cluster in mesh.clusters() {
        let Some(outliers) = of_mesh(mesh, cluster.id) else { continue };
        let here = || levels.iter().filter(|l| l.control_plane() == cluster.id);
        let mut relying: Vec<(&Level<'_>, Span)> =
            here().filter_map(|l| Some((l, idle_failover(mesh, l)?.span))).collect();
        relying.dedup_by_key(|(_, span)| *span);
        let of_mesh = match mesh_wide(mesh, cluster.id) {
            MeshWide::Locality(l) if l.distribute.is_empty() => Some(l),
            _ => None,
        };
        let of_mesh = of_mesh.filter(|l| asks_for_failover(l) || l.enabled.is_some());
        let ejects: BTreeSet<String> =
            here().filter(|l| l.outliers.is_some()).map(Level::host_name).collect();
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
        for (level, span) in relying {
            finding.also(span, format!("{} never fails over", level.target()));
        }
        finding.help(format!(
            "add {ADVICE} to each DestinationRule whose host is to fail over, or to one for `*.local` in \
             the root namespace"
        ));
    }
}

/// Levels with outlier detection, each text once.
fn with_outliers<'l, 'm>(
    mesh: &Mesh,
    levels: &'l [Level<'m>],
) -> BTreeMap<Span, Vec<(&'l Level<'m>, &'m Spanned<OutlierDetection>)>> {
    let mut found: BTreeMap<Span, Vec<_>> = BTreeMap::new();
    for level in levels.iter().filter(|l| is_sure(mesh, l)) {
        if let Some(outliers) = level.outliers {
            found.entry(outliers.span).or_default().push((level, outliers));
        }
    }
    found
}

/// For each text with outlier detection, the first of its levels that leaves a zone not.
fn stuck<'l, 'm>(
    mesh: &'m Mesh,
    placements: &Placements<'m>,
    levels: &'l [Level<'m>],
) -> Vec<(&'l Level<'m>, &'m Spanned<OutlierDetection>, Vec<Stuck>)> {
    let mut found = Vec::new();
    for all in with_outliers(mesh, levels).into_values() {
        let first = all.into_iter().find_map(|(level, outliers)| {
            let strict = !mesh.may_be_before(level.control_plane(), ejection::STRICT_SINCE);
            let works = strict && why_without_effect(mesh, level).is_none();
            let stuck = if works { ejection::stuck(mesh, placements, level) } else { Vec::new() };
            (!stuck.is_empty()).then_some((level, outliers, stuck))
        });
        found.extend(first);
    }
    found
}

fn ejection_below_zone_share(mesh: &Mesh, found: &mut Findings) {
    let placements = Placements::new(mesh);
    let levels = levels(mesh);
    for (level, outliers, zones) in stuck(mesh, &placements, &levels) {
        let Some(worst) = zones.iter().min_by_key(|z| Reverse(z.failing)) else { continue };
        let at = outliers.max_ejection_percent.as_ref().filter(|p| p.value > 0);
        let unset = if at.is_none() { " (not set)" } else { "" };
        let names: Vec<String> = zones.iter().map(|z| z.zone.to_string()).collect();
        let finding = found.say(
            format!(
                "clients of {}{} do not leave a zone that answers 5xx: {}",
                level.target(),
                level.on_port(),
                worst.ejected()
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
            finding.also(level.rule.host.as_ref().map_or(level.rule.named_at(), |h| h.span), text);
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

fn outlier_detection_ejects_nothing(mesh: &Mesh, found: &mut Findings) {
    let placements = Placements::new(mesh);
    let levels = levels(mesh);
    let told: BTreeSet<Span> =
        stuck(mesh, &placements, &levels).into_iter().map(|(_, o, _)| o.span).collect();
    for (span, all) in with_outliers(mesh, &levels) {
        let (level, outliers) = all[0];
        let target = format!("outlier detection of {}{}", level.target(), level.on_port());
        if let Some(zero) = counts_nothing(outliers) {
            let first = matches!(layout(mesh, level), Layout::OwnZoneFirst(_));
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
        let most = all.iter().map(|(level, _)| most(mesh, &placements, level));
        let most: Option<Vec<u32>> = most.collect();
        let Some(most) = most.and_then(|all| all.into_iter().max()) else { continue };
        let strict = !mesh.may_be_before(level.control_plane(), ejection::STRICT_SINCE);
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

/// The most endpoints a level can have; `None` where not all of them can be seen.
fn most<'m>(mesh: &'m Mesh, placements: &Placements<'m>, level: &Level<'m>) -> Option<u32> {
    of_level(mesh, placements, level).iter().map(super::endpoints::Endpoints::most).max()
}

fn outlier_detection_pins_zone(mesh: &Mesh, found: &mut Findings) {
    let option = mesh.option("locality/outlier-detection-pins-zone", "factor");
    let factor = option.and_then(|f| f.parse().ok()).unwrap_or(FACTOR);
    let placements = Placements::new(mesh);
    let levels = levels(mesh);
    for all in with_outliers(mesh, &levels).into_values() {
        let uneven = all.into_iter().find_map(|(level, outliers)| {
            let Layout::OwnZoneFirst(None) = layout(mesh, level) else { return None };
            let service = level.host(mesh).and_then(|h| deciding(h, level.control_plane()))?;
            if preference(mesh, service).found().is_some()
                || why_without_effect(mesh, level).is_some()
            {
                return None;
            }
            let parts = of_level(mesh, &placements, level);
            let uneven = parts.iter().find_map(|part| ejection::uneven(part, factor))?;
            Some((level, outliers, uneven))
        });
        let Some((level, outliers, uneven)) = uneven else { continue };
        let (small, large) = (&uneven.small, &uneven.large);
        found
            .say(
                format!(
                    "outlier detection keeps clients of {} in their zone, and `{}` has {} replicas for `{}`'s {}",
                    level.target(), small.0, small.1, large.0, large.1
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

fn min_health_percent_panic(mesh: &Mesh, found: &mut Findings) {
    let levels = levels(mesh);
    for all in with_outliers(mesh, &levels).into_values() {
        let first = all.into_iter().find_map(|(level, outliers)| {
            let least = outliers.min_health_percent.as_ref().filter(|p| p.value > 0)?;
            let service = level.host(mesh).and_then(|h| deciding(h, level.control_plane()));
            // A Service's preference sets the threshold to 0.
            let forced = service.is_some_and(|s| !preference(mesh, s).is_absent());
            let placed =
                matches!(layout(mesh, level), Layout::OwnZoneFirst(_) | Layout::Weights(_));
            let works = placed && !forced && why_without_effect(mesh, level).is_none();
            works.then_some((level, least))
        });
        let Some((level, least)) = first else { continue };
        let old = mesh.may_be_before(level.control_plane(), choice::UNREADY_SENT_SINCE);
        let unready =
            if old { "" } else { ", and unready pods no longer move traffic to other zones" };
        found
            .say(
                format!(
                    "`minHealthPercent` of {}{} sends requests to ejected endpoints again{unready}",
                    level.target(),
                    level.on_port()
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

fn port_policy_drops_outlier_detection(mesh: &Mesh, found: &mut Findings) {
    let mut dropping: BTreeMap<Span, Vec<Level<'_>>> = BTreeMap::new();
    for level in levels(mesh).into_iter().filter(|l| is_sure(mesh, l)) {
        if let Some(port) = level.port.filter(|_| level.dropped.is_some()) {
            dropping.entry(port.span).or_default().push(level);
        }
    }
    for (span, all) in dropping {
        let level = &all[0];
        if why_without_effect(mesh, level).is_some() {
            continue;
        }
        let finding = found.say(
            format!(
                "{} has no outlier detection{}, and does not fail over there",
                level.target(),
                level.on_port()
            ),
            span,
            "a port's policy replaces all of the others: what it leaves out is not there",
        );
        if let Some(dropped) = level.dropped {
            finding.also(dropped.span, "does not count for that port");
        }
        if let Some(setting) = level.enabled_locality() {
            finding.also(setting.span, "without effect, for want of outlier detection");
        }
        finding.help("repeat `outlierDetection` (and `loadBalancer`, `tls`, `connectionPool`) in the port's entry");
    }
}

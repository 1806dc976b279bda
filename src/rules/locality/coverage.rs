//! Whom and what `distribute` leaves out, and what its wildcards come to.

use std::collections::{BTreeMap, BTreeSet};

use super::texts::{Entry, SettingText, settings};
use crate::clusters::{Cluster, ClusterId};
use crate::finding::Findings;
use crate::mesh::{Host, Locality, LocalityPattern, Lookup, Mesh, Place, list};
use crate::placement::{Bounds, HostPlacement};
use crate::rules::SHOWN;
use crate::source::Text;
use crate::traffic::Traffic;

pub(super) fn distribute_source_missing(mesh: &Mesh, found: &mut Findings) {
    for text in settings(mesh).into_iter().filter(|text| text.is_certain(mesh)) {
        let entries: Vec<Entry<'_>> = text.entries().collect();
        let Some(first) = entries.first() else { continue };
        let mut missed = missed(mesh, &text, &entries);
        let Some((zone, ..)) = missed.first() else { continue };
        let mut zones: Vec<String> = missed.iter().map(|(zone, ..)| zone.to_string()).collect();
        zones.sort();
        zones.dedup();
        let (zone, count) = (zone.to_string(), zones.len());
        zones.truncate(SHOWN);
        let more = if count > SHOWN { " and more" } else { "" };
        let finding = found.say(
            format!(
                "`distribute` of {} has no entry for clients in {}{more}",
                text.subject(),
                list(zones.iter().map(String::as_str))
            ),
            first.from.span,
            format!("the entries leave out `{zone}`: from there traffic spreads over all endpoints of all clusters"),
        );
        missed.truncate(SHOWN);
        for (zone, place, cluster) in missed {
            finding.also(place.span, format!("clients in `{zone}` of cluster `{}`", cluster.name));
        }
        finding.help(format!(
            "add an entry for each of them: `from: {zone}/*`, or one for all others as the last: `from: \"*\"`"
        ));
    }
}

/// Zones with clients for which no entry is.
fn missed<'m>(
    mesh: &'m Mesh,
    text: &SettingText<'m>,
    entries: &[Entry<'m>],
) -> Vec<(Locality, &'m Place, &'m Cluster)> {
    let all = mesh.whereabouts(&text.planes);
    // A misspelt entry is said to be misspelt.
    let meant = entries.iter().filter_map(|entry| match all.find(entry.from) {
        Lookup::Absent { nearest } => nearest.map(|near| LocalityPattern::parse(&near)),
        _ => None,
    });
    let patterns: Vec<_> = entries.iter().map(|e| e.clients()).chain(meant).collect();
    let mut found: Vec<(Locality, &Place, &Cluster)> = Vec::new();
    for &plane in &text.planes {
        for cluster in mesh.client_clusters(plane) {
            let places = mesh.places(cluster.id).iter();
            let missed: Vec<&Place> = places.filter(|p| is_missed(p, &patterns)).collect();
            if !missed.is_empty() && has_clients(mesh, text, plane, cluster) {
                let zone = |p: &Place| p.locality.without_subzone();
                found.extend(missed.into_iter().map(|place| (zone(place), place, cluster)));
            }
        }
    }
    found
}

/// Whether clients of a place certainly match none of the patterns. A place without zone or region is
/// said to be without.
fn is_missed(place: &Place, patterns: &[LocalityPattern]) -> bool {
    let place_is_told = !place.locality.region.is_empty() && !place.locality.zone.is_empty();
    let zone = place.locality.without_subzone();
    let may_match = |p: &LocalityPattern| {
        let untold = place.nodes.is_none() && place.locality.subzone.is_empty();
        p.matches(&place.locality)
            || untold
                && p.subzone().is_some()
                && p.overlaps(&LocalityPattern::parse(&zone.to_string()))
    };
    place_is_told && !patterns.iter().any(may_match)
}

/// Whether the setting is that of some clients in a cluster, as far as namespaces tell.
fn has_clients(mesh: &Mesh, text: &SettingText<'_>, plane: ClusterId, cluster: &Cluster) -> bool {
    let Some(rule) = text.setting.rule else { return true };
    let Some(host) = text.setting.host() else { return false };
    let namespace = mesh.host(&host).and_then(Host::namespace);
    let namespace = namespace.or_else(|| host.split('.').nth(1));
    let mut clients = mesh.clients(plane).filter(|client| client.cluster == cluster.id);
    rule.workload_selector.is_none()
        && clients.any(|client| {
            let applied = mesh.applied_rule(&client, &host, namespace, plane);
            applied.is_some_and(|applied| applied.parts.iter().any(|part| part.is_same_text(rule)))
        })
}

pub(super) fn distribute_idle_zone(traffic: &Traffic<'_>, found: &mut Findings) {
    let (mesh, placements) = (traffic.mesh(), traffic.placements());
    for text in settings(mesh).into_iter().filter(|text| text.is_certain(mesh)) {
        let Some(host) = text.host(mesh).filter(|host| decides_for_all(mesh, &text, *host)) else {
            continue;
        };
        // Of weights that are refused another rule speaks.
        if text.entries().any(|entry| entry.wrong_weights().is_some()) {
            continue;
        }
        let Some(replicas) = placements.of_host(host, text.planes[0], None) else { continue };
        let Some(served) = served(mesh, &text) else { continue };
        let idle = |zone: &Locality| !served.iter().any(|to| to.overlaps(&pattern_of(zone)));
        let sure = |(zone, bounds): &(&Locality, &Bounds)| {
            bounds.least > 0 && !zone.region.is_empty() && !zone.zone.is_empty() && idle(zone)
        };
        let idle: Vec<(&Locality, &Bounds)> = replicas.zones.iter().filter(sure).collect();
        let (Some((zone, bounds)), Some(entry)) = (idle.first(), text.entries().next()) else {
            continue;
        };
        let zones: Vec<String> = idle.iter().map(|(zone, _)| zone.to_string()).collect();
        let idle_replicas = match bounds.most {
            1 => "1 replica stands idle".to_owned(),
            _ => format!("{bounds} replicas stand idle"),
        };
        let finding = found.say(
            format!(
                "no entry of `distribute` sends traffic for `{}` to {}",
                host.short(),
                list(zones.iter().map(String::as_str))
            ),
            entry.from.span,
            format!("neither this entry nor another names `{zone}`, where {idle_replicas}"),
        );
        for workload in workloads_in(&replicas, zone).take(SHOWN) {
            finding.also(workload.named_at(), format!("has replicas in `{zone}`"));
        }
        finding.help(
            "add the zone to `to`, best in the entry for its own clients, or run nothing there",
        );
    }
}

fn pattern_of(zone: &Locality) -> LocalityPattern {
    LocalityPattern::parse(&zone.to_string())
}

/// Whether all clients of a host, wherever they are, have this setting for all its endpoints.
fn decides_for_all(mesh: &Mesh, text: &SettingText<'_>, host: Host<'_>) -> bool {
    let Some(rule) = text.setting.rule else { return false };
    let public = rule.export_to.is_empty() || rule.export_to.iter().any(|to| to.as_str() == "*");
    let of: BTreeSet<_> =
        mesh.peers(text.planes[0]).map(|cluster| mesh.config_cluster(cluster.id).found()).collect();
    let read_by_all = of.iter().all(|plane| plane.is_some_and(|p| text.planes.contains(&p)));
    let alone = text.planes.iter().all(|plane| mesh.rules_for(host.name, *plane).len() == 1);
    let whole = rule.traffic_policy.as_ref().and_then(|policy| policy.load_balancer.as_ref());
    let whole = whole.and_then(|lb| lb.locality_lb_setting.as_ref());
    let ports = rule.traffic_policy.iter().any(|p| !p.port_level_settings.is_empty());
    let subsets = rule.subsets.iter().any(|s| s.traffic_policy.is_some());
    public
        && read_by_all
        && alone
        && !ports
        && !subsets
        && rule.workload_selector.is_none()
        && whole.is_some_and(|whole| std::ptr::eq(whole, text.setting.setting))
}

/// The localities that clients send to; `None` where some may send to all.
fn served(mesh: &Mesh, text: &SettingText<'_>) -> Option<Vec<LocalityPattern>> {
    let all = mesh.whereabouts(&text.planes);
    let entries: Vec<Entry<'_>> = text.entries().collect();
    let patterns: Vec<LocalityPattern> = entries.iter().map(|e| e.clients()).collect();
    let restricted = |zone: &Locality| {
        !zone.zone.is_empty() && patterns.iter().any(|p| p.covers(&pattern_of(zone)))
    };
    if !all.complete || !all.zones().iter().all(restricted) {
        return None;
    }
    let to = entries.iter().flat_map(|entry| entry.to());
    Some(to.map(|(to, _)| LocalityPattern::parse(to)).collect())
}

fn workloads_in<'m>(
    replicas: &HostPlacement<'m>,
    zone: &Locality,
) -> impl Iterator<Item = &'m crate::mesh::In<crate::kinds::workloads::Workload>> {
    let here = replicas.workloads.iter();
    here.filter(move |(_, p)| p.in_zone(zone).least > 0).map(|(workload, _)| *workload)
}

pub(super) fn distribute_rounding(traffic: &Traffic<'_>, found: &mut Findings) {
    let (mesh, placements) = (traffic.mesh(), traffic.placements());
    let mut known: BTreeMap<(ClusterId, String), Option<HostPlacement<'_>>> = BTreeMap::new();
    for text in settings(mesh) {
        let Some(host) = text.host(mesh) else { continue };
        let subset = text.subset(mesh, host);
        let plane = text.setting.cluster;
        let name = text.setting.subset.map_or("", |name| name.as_str());
        let replicas = known.entry((plane, format!("{} {name}", host.name)));
        let replicas = replicas.or_insert_with(|| placements.of_host(host, plane, subset));
        let Some(replicas) = replicas.as_ref().filter(|r| r.known) else { continue };
        let distorted = text.entries().flat_map(|entry| {
            entry.to().filter_map(move |(to, weight)| distortion(entry, to, weight, replicas))
        });
        let distorted: Vec<Distortion<'_>> = distorted.collect();
        let Some(first) = distorted.first() else { continue };
        let Distortion { to, weight, zones, granted, .. } = first;
        let finding = found.say(
            format!(
                "`{to}` of `{}` gets {:.1} % instead of {weight} %",
                host.short(),
                first.share()
            ),
            to.span,
            format!(
                "{weight} is shared by {zones} zones with replicas and rounded up in each: {granted} in all"
            ),
        );
        for again in distorted.iter().skip(1).take(SHOWN) {
            let Distortion { to, weight, .. } = again;
            finding.also(to.span, format!("{:.1} % instead of {weight} %", again.share()));
        }
        finding.help(
            "write a weight for each zone instead of one for all of them; the least a zone can have is 1",
        );
    }
}

/// A weight that comes to more than it says.
struct Distortion<'m> {
    to: &'m Text,
    weight: u32,
    /// Localities with replicas that share it.
    zones: u64,
    /// What they get together.
    granted: u64,
}

impl Distortion<'_> {
    /// In per cent, where all other weights come to what they say.
    #[expect(clippy::cast_precision_loss, reason = "weights are small")]
    fn share(&self) -> f64 {
        let others = 100_u64.saturating_sub(u64::from(self.weight));
        100.0 * self.granted as f64 / (self.granted + others) as f64
    }
}

/// How a weight is shared by the localities of a pattern: each gets its part by number of endpoints,
/// rounded up. Source: `loadbalancer.go`, `applyLocalityWeights`.
fn distortion<'m>(
    entry: Entry<'m>,
    to: &'m Text,
    weight: u32,
    replicas: &HostPlacement<'_>,
) -> Option<Distortion<'m>> {
    let pattern = LocalityPattern::parse(to);
    let here = replicas.zones.iter().filter(|(zone, _)| pattern.matches(zone));
    let here: Vec<Bounds> = here.map(|(_, bounds)| *bounds).filter(|b| b.most > 0).collect();
    let zones = here.iter().filter(|b| b.least > 0).count() as u64;
    let wide = u64::from(weight);
    let granted = if here.iter().all(|b| b.least == b.most) {
        let all: u64 = here.iter().map(|b| u64::from(b.most)).sum();
        here.iter().map(|b| (u64::from(b.most) * wide).div_ceil(all.max(1))).sum()
    } else {
        wide.max(zones)
    };
    // Alone in its entry, a weight is all there is, however it is rounded.
    let others = entry.to().any(|(other, _)| other != to);
    (others && zones > 1 && 2 * granted >= 3 * wide).then_some(Distortion {
        to,
        weight,
        zones,
        granted,
    })
}

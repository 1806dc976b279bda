//! Capacity: does each zone that gets traffic have replicas, an autoscaler and a budget of its own?

mod guards;
mod wide;

use std::collections::{BTreeMap, BTreeSet};

use super::{Rule, rule};
use crate::finding::Findings;
use crate::mesh::{Host, Locality, LocalityPattern, Mesh, ZONE_LABEL, list};
use crate::placement::{Bounds, Cause, Placements, ZoneShare};
use crate::source::Span;
use crate::traffic::Traffic;

pub(super) const RULES: &[Rule] = &[
    rule!("capacity/autoscaler-bounds", policies: guards::autoscaler_bounds),
    rule!("capacity/autoscaler-shared-by-zones", policies: autoscaler_shared_by_zones),
    rule!("capacity/autoscaler-target-missing", guards::autoscaler_target_missing),
    rule!("capacity/disruption-budget-blocks-zone", policies: guards::disruption_budget_blocks_zone),
    rule!("capacity/replicas-may-miss-zone", policies: replicas_may_miss_zone),
    rule!("capacity/single-replica-zone", policies: single_replica_zone),
    rule!("capacity/uneven-zones", policies: uneven_zones),
    rule!("capacity/zone-without-autoscaler", guards::zone_without_autoscaler),
    rule!("capacity/zone-without-disruption-budget", guards::zone_without_disruption_budget),
    rule!("capacity/zone-without-replicas", traffic: zone_without_replicas),
];

/// How much more load a pod of one zone may get than one of another.
const FACTOR: f64 = 2.0;

/// The shares of each host whose replicas are known, each place of the text once.
fn once<'p, 'm>(
    placements: &'p Placements<'m>,
    wanted: impl Fn(&ZoneShare<'m>) -> bool,
) -> Vec<Vec<&'p ZoneShare<'m>>> {
    let mut by_zone: BTreeMap<(Span, &str), Vec<&ZoneShare<'m>>> = BTreeMap::new();
    for share in placements.shares().iter().filter(|s| s.known && s.weight > 0 && wanted(s)) {
        let rule = share.setting.rule.map(|r| r.meta.span).unwrap_or_default();
        by_zone.entry((rule, share.to.as_str())).or_default().push(share);
    }
    let mut all: Vec<_> = by_zone.into_values().collect();
    all.sort_by_key(|shares| shares[0].to.span);
    all
}

fn zone_without_replicas(traffic: &Traffic<'_>, found: &mut Findings) {
    let (mesh, placements) = (traffic.mesh(), traffic.placements());
    wide::say(traffic, found);
    for same in once(placements, |s| s.bounds.most == 0) {
        let share = &same[0];
        let host = share.host.short();
        let others = share.others_have_replicas;
        let effect =
            if others { "its share moves to the other zones" } else { "nothing is left: 503" };
        let finding = found.say(
            format!("`{host}` has no replica in `{}`, which gets {}", share.to, part_of(&same)),
            share.to.span,
            format!("no replica for {} % of `{}`: {effect}", share.weight, share.from),
        );
        for again in &same[1..] {
            finding.also(
                again.to.span,
                format!("and {} % of the traffic from `{}`", again.weight, again.from),
            );
        }
        if let Some((workload, why)) = share.why_most() {
            finding.also(why, format!("`{}` cannot be there", workload.name()));
        }
        finding.help("deploy replicas into the zone, or take the zone out of `distribute`");
    }
    for (host, zone, subset, route) in pinned_subsets(mesh) {
        let bounds = in_zone(placements, host, zone.as_str(), subset.rule.cluster);
        if bounds.is_some_and(|b| b.most == 0) {
            found
                .say(
                    format!(
                        "`{}` has no replica in `{zone}`, and a route goes there alone",
                        host.short()
                    ),
                    zone.span,
                    "the subset is empty: 503",
                )
                .also(route, "this route")
                .help("deploy replicas into the zone, or route to the host without the subset");
        }
    }
}

/// What a zone gets, over all clients that send it something.
fn part_of(same: &[&ZoneShare<'_>]) -> String {
    let most = same.iter().map(|s| s.weight).max().unwrap_or_default();
    match same {
        [only] => format!("{most} % of the traffic from `{}`", only.from),
        _ => format!("up to {most} % of its clients' traffic"),
    }
}

/// Subsets of one zone that routes lead to: host, zone, subset, and the route.
fn pinned_subsets(
    mesh: &Mesh,
) -> Vec<(Host<'_>, &crate::source::Text, crate::mesh::Subset<'_>, Span)> {
    let (mut found, mut told) = (Vec::new(), BTreeSet::new());
    for route in mesh.routes() {
        let Some(host) = mesh.host(&route.host) else { continue };
        for subset in mesh.subsets_of_route(&route) {
            let Some(zone) = subset.label(ZONE_LABEL) else { continue };
            if told.insert(subset.name.span) {
                let at = route.subset().map_or(route.destination.span, |s| s.span);
                found.push((host, zone, subset, at));
            }
        }
    }
    found
}

/// Replicas of a host in a zone of any region; `None` where not all of them can be seen.
fn in_zone<'m>(
    placements: &Placements<'m>,
    host: Host<'m>,
    zone: &str,
    of: crate::clusters::ClusterId,
) -> Option<Bounds> {
    let place = Locality { zone: zone.to_owned(), ..Locality::default() };
    let mut sum = Bounds::default();
    for service in host.services_of_mesh(of) {
        let here = placements.of_service(service);
        if !here.known || here.workloads.is_empty() && here.pods.is_empty() {
            return None;
        }
        sum = sum.plus(here.in_zone(&place));
    }
    Some(sum)
}

fn replicas_may_miss_zone(traffic: &Traffic<'_>, found: &mut Findings) {
    let mut by_rule: BTreeMap<Span, Vec<&ZoneShare<'_>>> = BTreeMap::new();
    let may_miss = |s: &ZoneShare<'_>| s.bounds.least == 0 && s.bounds.most > 0;
    // Where it is not even known whether a node fits, there is nothing to say.
    let sure = |s: &ZoneShare<'_>| s.why_least().is_none_or(|(_, why, _)| why != Cause::Unsure);
    for same in once(traffic.placements(), |s| may_miss(s) && sure(s)) {
        for share in same {
            by_rule.entry(share.setting.setting.span).or_default().push(share);
        }
    }
    for shares in by_rule.into_values() {
        let share = &shares[0];
        let mut zones: Vec<&str> = shares.iter().map(|s| s.to.as_str()).collect();
        zones.sort_unstable();
        zones.dedup();
        let finding = found.say(
            format!(
                "`{}` may have no replica in {}, where `distribute` sends its traffic",
                share.host.short(),
                list(zones)
            ),
            share.to.span,
            format!(
                "gets {} % of the traffic from `{}`, with {} replicas",
                share.weight, share.from, share.bounds
            ),
        );
        let mut told = vec![share.to.as_str()];
        for other in &shares[1..] {
            if !told.contains(&other.to.as_str()) {
                told.push(other.to);
                finding.also(
                    other.to.span,
                    format!("{} %, with {} replicas", other.weight, other.bounds),
                );
            }
        }
        if let Some((workload, why, span)) = share.why_least() {
            finding.also(span, format!("`{}`: {why}", workload.name()));
        }
        finding.help(format!(
            "hold one in each zone: a topologySpreadConstraint on `{ZONE_LABEL}` with `whenUnsatisfiable: \
             DoNotSchedule`, `maxSkew: 1` and at least as many replicas as zones, or one Deployment per zone"
        ));
    }
}

fn single_replica_zone(traffic: &Traffic<'_>, found: &mut Findings) {
    for same in once(traffic.placements(), |s| s.bounds.least == 1) {
        let share = &same[0];
        let only = share.bounds.most == 1;
        let how = if only { "has a single replica" } else { "may be down to a single replica" };
        let finding = found.say(
            format!(
                "`{}` {how} in `{}`, which gets {}",
                share.host.short(),
                share.to,
                part_of(&same)
            ),
            share.to.span,
            "without that pod the zone's share moves to other zones",
        );
        if let Some((workload, span)) = share.why_so_many() {
            finding.also(span, format!("here `{}` is held at one", workload.name()));
        }
        finding.help("run at least two replicas in each zone that traffic is sent to");
    }
}

fn uneven_zones(traffic: &Traffic<'_>, found: &mut Findings) {
    let (mesh, placements) = (traffic.mesh(), traffic.placements());
    let factor = mesh
        .option("capacity/uneven-zones", "factor")
        .and_then(|f| f.parse().ok())
        .unwrap_or(FACTOR);
    let mut settings: BTreeMap<Span, Vec<&ZoneShare<'_>>> = BTreeMap::new();
    for share in placements.shares() {
        settings.entry(share.setting.setting.span).or_default().push(share);
    }
    for shares in settings.into_values().filter(|all| all.iter().all(|s| s.known && s.one_zone)) {
        let loads = loads(mesh, &shares);
        let busiest = loads.iter().max_by(|a, b| a.least.total_cmp(&b.least));
        let idlest = loads.iter().min_by(|a, b| a.most.total_cmp(&b.most));
        let (Some(busy), Some(idle)) = (busiest, idlest) else { continue };
        let ratio = busy.least / idle.most;
        if ratio <= factor {
            continue;
        }
        let (host, from, to) = (busy.share.host.short(), &busy.share.to, &idle.share.to);
        found
            .say(
                format!(
                    "pods of `{host}` in `{from}` get {ratio:.1} times the load of those in `{to}`"
                ),
                busy.share.to.span,
                format!(
                    "{:.0} % of a zone's requests for {} replicas",
                    busy.traffic, busy.share.bounds
                ),
            )
            .also(
                idle.share.to.span,
                format!("{:.0} % for {} replicas", idle.traffic, idle.share.bounds),
            )
            .help(
                "let weights follow the number of replicas, or the replicas the weights \
                 (counted as if each zone sent the same)",
            );
    }
}

/// What a zone gets when each client zone sends 100, and what that is for each of its pods.
struct Load<'s, 'm> {
    share: &'s ZoneShare<'m>,
    traffic: f64,
    least: f64,
    most: f64,
}

/// The loads of the zones that a setting names, those without a certain replica left out.
fn loads<'s, 'm>(mesh: &'m Mesh, shares: &[&'s ZoneShare<'m>]) -> Vec<Load<'s, 'm>> {
    let mut traffic: BTreeMap<&str, (f64, &ZoneShare<'m>)> = BTreeMap::new();
    for zone in client_zones(mesh, shares[0].setting.cluster) {
        let from = shares.iter().find(|s| LocalityPattern::parse(s.from).matches(&zone));
        let Some(entry) = from.map(|s| s.entry) else { continue };
        for share in shares.iter().filter(|s| s.entry == entry && s.weight > 0) {
            traffic.entry(share.to.as_str()).or_insert((0.0, share)).0 += f64::from(share.weight);
        }
    }
    let load = |(traffic, share): (f64, &'s ZoneShare<'m>)| {
        let Bounds { least, most } = share.bounds;
        let per = |pods: u32| traffic / f64::from(pods);
        (least > 0).then(|| Load { share, traffic, least: per(most), most: per(least) })
    };
    traffic.into_values().filter_map(load).collect()
}

/// The zones from which clients of a control plane call.
fn client_zones(mesh: &Mesh, control_plane: crate::clusters::ClusterId) -> Vec<Locality> {
    let mut zones: Vec<Locality> =
        mesh.client_clusters(control_plane).iter().flat_map(|c| mesh.zones(c.id)).collect();
    zones.sort();
    zones.dedup();
    zones
}

fn autoscaler_shared_by_zones(traffic: &Traffic<'_>, found: &mut Findings) {
    let (mesh, placements) = (traffic.mesh(), traffic.placements());
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for share in placements.shares().iter().filter(|s| s.one_zone && s.parts > 1) {
        for (workload, placement) in &share.workloads {
            let open: Vec<String> = placement
                .zones
                .iter()
                .filter(|(zone, bounds)| bounds.bounds.most > 0 && !zone.zone.is_empty())
                .map(|(zone, _)| zone.zone.clone())
                .collect();
            let Some(scaler) = mesh.scalers_of(workload).first() else { continue };
            if open.len() < 2 || !told.insert(scaler.span) {
                continue;
            }
            found
                .say(
                    format!("`{}` scales `{}` by the average over zones {}", scaler.name, workload.name(), list(open.iter().map(String::as_str))),
                    scaler.span,
                    "a busy zone and an idle one look like a fair load, and new pods may go to the idle one",
                )
                .also(share.to.span, format!("`{}` gets {} % of the traffic from `{}`", share.to, share.weight, share.from))
                .also(workload.named_at(), "one workload for several zones")
                .help("run one Deployment per zone, each with an autoscaler of its own");
        }
    }
}

//! Computed: which share of the requests leaves its zone, region or cluster, and which fails after a
//! loss.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::{Findings, Severity};
use crate::mesh::{CLUSTER_LABEL, Locality, LocalityPattern, Mesh, list};
use crate::rules::{Rule, rule};
use crate::source::Span;
use crate::traffic::Traffic;
use crate::traffic::assignment::Preference;
use crate::traffic::clients::{Departure, Visit, same_zone};
use crate::traffic::counts::percent;
use crate::traffic::delivery::Delivery;
use crate::traffic::destination::Destination;
use crate::traffic::flow::{Failure, Landing};
use crate::traffic::journey::Case;
use crate::traffic::loss::{Lost, Phase};
use crate::traffic::setting::Setting;
use crate::traffic::story::missing;
use crate::traffic::supply::Pool;

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("locality/cluster-loss-fails", traffic: cluster_loss_fails),
    rule!("locality/cross-cluster-leak", traffic: cross_cluster_leak),
    rule!("locality/cross-region-leak", traffic: cross_region_leak),
    rule!("locality/cross-zone-leak", traffic: cross_zone_leak),
    rule!("locality/zone-loss-fails", traffic: zone_loss_fails),
];

/// Shares below this are rounding.
const LEAST: f64 = 0.005;
/// A share below this that a route sends to a subset is a trial, whose failure is no outage.
const MINOR: f64 = 0.25;
/// How many services one finding points at.
const SHOWN: usize = 5;

/// How far requests go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Border {
    Cluster,
    Region,
    Zone,
}

/// Requests that leave a zone, region or cluster although nothing asks for it.
struct Leak<'t, 'm> {
    visit: &'t Visit<'m>,
    departure: &'t Departure,
    /// The share that leaves, at the least.
    share: f64,
}

fn cross_zone_leak(traffic: &Traffic<'_>, found: &mut Findings) {
    say(traffic, "locality/cross-zone-leak", Border::Zone, found);
}

fn cross_region_leak(traffic: &Traffic<'_>, found: &mut Findings) {
    say(traffic, "locality/cross-region-leak", Border::Region, found);
}

fn cross_cluster_leak(traffic: &Traffic<'_>, found: &mut Findings) {
    say(traffic, "locality/cross-cluster-leak", Border::Cluster, found);
}

/// Leaks of one border by what causes them: the same DestinationRule, or none at all.
fn say(traffic: &Traffic<'_>, rule: &str, border: Border, found: &mut Findings) {
    let budget = traffic.mesh().option(rule, "budget").and_then(|b| b.parse::<f64>().ok());
    let budget = budget.unwrap_or(0.0) / 100.0;
    let mut by_cause: BTreeMap<Option<Span>, Vec<Leak<'_, '_>>> = BTreeMap::new();
    for visit in traffic.visits() {
        let Some(leak) = leak(traffic, visit, border, budget) else { continue };
        let cause = visit.way.destinations().next().and_then(|(d, _)| d.applied());
        let cause = cause.and_then(|rule| rule.parts.first()).map(|part| part.meta.span);
        by_cause.entry(cause).or_default().push(leak);
    }
    for (cause, leaks) in by_cause {
        match cause {
            Some(_) => by_rule(traffic, border, &leaks, found),
            None => without_rule(traffic, border, &leaks, found),
        }
    }
}

/// Whether one of the rules on leaks speaks of a visit.
pub(super) fn leaks<'m>(traffic: &Traffic<'m>, visit: &Visit<'m>) -> bool {
    let borders = [Border::Cluster, Border::Region, Border::Zone];
    borders.into_iter().any(|border| leak(traffic, visit, border, 0.0).is_some())
}

/// The worst leak of a visit over this border, and over none further out. Gateways are called from outside,
/// and istiod by connections that no DestinationRule is for, so they do not count; nor does what is no part
/// of a mesh.
fn leak<'t, 'm>(
    traffic: &Traffic<'m>,
    visit: &'t Visit<'m>,
    border: Border,
    budget: f64,
) -> Option<Leak<'t, 'm>> {
    let ranked = visit.way.destinations().all(|(d, _)| is_ranked(d));
    let unranked = visit.way.destinations().all(|(d, _)| is_unranked(d));
    let wanted = if border == Border::Cluster { ranked } else { unranked };
    let mesh = traffic.mesh();
    let apart = visit.service().is_some_and(|s| {
        mesh.is_gateway(s)
            || Mesh::leads_to_istiod(s)
            || mesh.stays_outside(s.cluster, &s.namespace)
    });
    let is_meshed = mesh.tells_of_istio(visit.client.cluster);
    if !wanted || apart || !is_meshed || visit.way.destinations().next().is_none() {
        return None;
    }
    let all = visit.departures.iter().filter_map(|departure| {
        let share = crossing(traffic, visit, departure, border);
        let further = if border == Border::Zone {
            crossing(traffic, visit, departure, Border::Region)
        } else {
            0.0
        };
        (share > budget + LEAST && further <= LEAST).then_some(Leak { visit, departure, share })
    });
    all.max_by(|a, b| a.share.total_cmp(&b.share))
}

/// The share that crosses a border although what it is sent to certainly has an endpoint on this side. To
/// a subset that is elsewhere alone requests go because the route says so: that is no leak.
fn crossing<'m>(
    traffic: &Traffic<'m>,
    visit: &Visit<'m>,
    departure: &Departure,
    border: Border,
) -> f64 {
    let (at, cluster) = (&departure.at, visit.client.cluster);
    let is_near = |pool: &Pool<'_>| match border {
        Border::Zone => same_zone(&pool.zone, at),
        Border::Region => pool.zone.region == at.region,
        // In the own cluster's zone there is an endpoint, and a part goes to another cluster.
        Border::Cluster => pool.cluster == cluster && same_zone(&pool.zone, at),
    };
    let is_beyond = |landing: &Landing| match (border, &landing.zone) {
        (Border::Zone, zone) => zone.as_ref().is_none_or(|zone| !same_zone(zone, at)),
        (Border::Region, zone) => zone.as_ref().is_some_and(|zone| zone.region != at.region),
        (Border::Cluster, _) => landing.cluster != cluster,
    };
    let mut kept = visit.way.destinations().filter(|(d, _)| d.has_endpoint(is_near)).peekable();
    if kept.peek().is_none() {
        return 0.0;
    }
    if border != Border::Cluster && visit.way.destinations().nth(1).is_none() {
        return departure.nearest.arriving(is_beyond);
    }
    let favoured = |pool: &Pool<'_>| match border {
        Border::Cluster => pool.cluster == cluster,
        Border::Zone | Border::Region => same_zone(&pool.zone, at),
    };
    let case = Case::now(&favoured);
    let leaving = kept.map(|(destination, share)| {
        share * traffic.flow_to(&visit.client, at, destination, case).arriving(is_beyond)
    });
    leaving.sum()
}

/// Whether nothing ranks or weighs endpoints by place, and nobody said that it should be so.
fn is_unranked(destination: &Destination<'_>) -> bool {
    let nothing_said = match destination.setting {
        Setting::Default => true,
        // Failover that lacks outlier detection has a rule of its own.
        Setting::Locality { setting, .. } => {
            setting.failover.is_empty() && setting.failover_priority.is_empty()
        }
        _ => false,
    };
    nothing_said
        && destination.delivery == Delivery::Balanced
        && matches!(destination.terms.preference, Preference::None)
}

/// Whether endpoints are ranked by nearness alone, which clusters in the same zone do not differ in.
fn is_ranked(destination: &Destination<'_>) -> bool {
    destination.delivery == Delivery::Balanced
        && matches!(&destination.terms.preference,
            Preference::Failover { labels, .. } if !labels.contains(&CLUSTER_LABEL))
}

/// `us-east-1a keeps 33 % of its requests to `cart.shop`; 67 % leave the zone`.
fn told(traffic: &Traffic<'_>, leak: &Leak<'_, '_>, border: Border) -> String {
    let host = leak.visit.host.short();
    let (at, share) = (&leak.departure.at, leak.share);
    let most = if has_exact_numbers(leak.visit) { "" } else { "at least " };
    let (from, what) = match border {
        Border::Zone => (format!("`{}`", at.zone), "zone"),
        Border::Region => (format!("`{}` of `{}`", at.zone, at.region), "region"),
        Border::Cluster => {
            let cluster = traffic.mesh().cluster_name(leak.visit.client.cluster);
            (format!("`{}` of `{cluster}`", at.zone), "cluster")
        }
    };
    format!("{most}{} of the requests from {from} to `{host}` leave the {what}", percent(share))
}

fn has_exact_numbers(visit: &Visit<'_>) -> bool {
    let mut pools = visit.way.destinations().flat_map(|(d, _)| d.pools());
    pools.all(|pool| pool.bounds.is_exact())
}

/// Shares that are kept, zone by zone, for the label of a service.
fn kept(visit: &Visit<'_>) -> String {
    let shares = visit.departures.iter().map(|departure| {
        let stays = departure
            .nearest
            .arriving(|l| l.zone.as_ref().is_some_and(|zone| same_zone(zone, &departure.at)));
        format!("{} of `{}`", percent(stays), departure.at.zone)
    });
    let most = if has_exact_numbers(visit) { "" } else { "at most " };
    format!("its endpoints: {most}{} stay in their zone", shares.collect::<Vec<_>>().join(", "))
}

const HELP_RANK: &str = "set `trafficDistribution: PreferSameZone` (`PreferClose` up to Istio 1.26) in \
                         the Service, which ztunnel reads too, or `outlierDetection` in its \
                         DestinationRule, which switches on failover from zone to zone";
const HELP_CLUSTER: &str = "put the own cluster first: `failoverPriority: \
                            [topology.istio.io/network, topology.istio.io/cluster]` and so on, or \
                            give the clusters different subzones";

fn help(border: Border) -> &'static str {
    if border == Border::Cluster { HELP_CLUSTER } else { HELP_RANK }
}

/// One DestinationRule, perhaps of several clusters and for several hosts.
fn by_rule(traffic: &Traffic<'_>, border: Border, leaks: &[Leak<'_, '_>], found: &mut Findings) {
    let Some(worst) = worst(leaks) else { return };
    let Some((destination, _)) = worst.visit.way.destinations().next() else { return };
    let Some(part) = destination.applied().and_then(|rule| rule.parts.first()) else { return };
    let why = match destination.policy.outlier_detection.missing() {
        Some(why) => missing(&why, destination.port).0,
        None => "clusters in the same zone are equally near".to_owned(),
    };
    let message =
        format!("{}{}", told(traffic, worst, border), alike(leaks.iter().map(|leak| leak.visit)));
    let finding = found.say(message, part.named_at(), why);
    point_at_services(from_worst(worst, leaks), finding);
    finding.help(help(border));
}

/// Services that no DestinationRule is for.
fn without_rule(
    traffic: &Traffic<'_>,
    border: Border,
    leaks: &[Leak<'_, '_>],
    found: &mut Findings,
) {
    let with_service = leaks.iter().filter(|leak| leak.visit.service().is_some());
    let Some(worst) = worst(with_service) else { return };
    let Some(service) = worst.visit.service() else { return };
    let message =
        format!("{}{}", told(traffic, worst, border), alike(leaks.iter().map(|leak| leak.visit)));
    let finding =
        found.say(message, service.named_at(), "no DestinationRule asks for near endpoints first");
    point_at_services(from_worst(worst, leaks), finding);
    finding.help(help(border));
}

/// The leak with the greatest share, and of these the first.
fn worst<'l, 't: 'l, 'm: 't>(
    leaks: impl IntoIterator<Item = &'l Leak<'t, 'm>, IntoIter: DoubleEndedIterator>,
) -> Option<&'l Leak<'t, 'm>> {
    leaks.into_iter().rev().max_by(|a, b| a.share.total_cmp(&b.share))
}

/// The worst first, since the headline speaks of it.
fn from_worst<'t, 'm: 't>(
    worst: &Leak<'t, 'm>,
    leaks: &[Leak<'t, 'm>],
) -> impl Iterator<Item = &'t Visit<'m>> {
    [worst.visit].into_iter().chain(leaks.iter().map(|leak| leak.visit))
}

/// How many other services a finding on visits is about.
pub(super) fn alike<'v, 'm: 'v>(visits: impl Iterator<Item = &'v Visit<'m>>) -> String {
    let hosts: BTreeSet<&str> = visits.map(|visit| visit.host.name).collect();
    match hosts.len() - 1 {
        0 => String::new(),
        1 => ", and 1 other service is alike".to_owned(),
        others => format!(", and {others} other services are alike"),
    }
}

fn point_at_services<'t, 'm: 't>(
    visits: impl Iterator<Item = &'t Visit<'m>>,
    finding: &mut crate::finding::Finding,
) {
    let mut hosts = BTreeSet::new();
    for visit in visits {
        if hosts.len() < SHOWN
            && hosts.insert(visit.host.name)
            && let Some(service) = visit.service()
        {
            finding.also(service.named_at(), kept(visit));
        }
    }
}

fn zone_loss_fails(traffic: &Traffic<'_>, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for visit in traffic.visits().iter().filter(|visit| can_fail(visit, true)) {
        for zone in zones(visit) {
            let lost = [Lost::Zone(zone.clone())];
            let others = |pool: &Pool<'_>| !same_zone(&pool.zone, &zone);
            fails(traffic, visit, &lost, others, &mut told, found);
        }
    }
}

fn cluster_loss_fails(traffic: &Traffic<'_>, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for visit in traffic.visits().iter().filter(|visit| can_fail(visit, false)) {
        let all = visit.way.destinations().flat_map(|(d, _)| d.clusters());
        let clusters: BTreeSet<_> = all.collect();
        for cluster in clusters.into_iter().filter(|c| *c != visit.client.cluster) {
            let lost = [Lost::Cluster(cluster)];
            fails(traffic, visit, &lost, |pool| pool.cluster != cluster, &mut told, found);
        }
    }
}

/// Whether a loss could leave requests without endpoint although there are others: by weights of
/// localities, or by a subset. Subsets by cluster have rules of their own.
fn can_fail(visit: &Visit<'_>, subsets: bool) -> bool {
    let by_cluster = |d: &Destination<'_>| {
        let subset = d.subset.and_then(|name| d.applied()?.subset(name));
        subset.is_some_and(|subset| subset.cluster_label().is_some())
    };
    visit.way.destinations().any(|(d, _)| {
        matches!(d.terms.preference, Preference::Distribute(_))
            || subsets && d.subset.is_some() && !by_cluster(d)
    })
}

/// The zones of what is behind a visit.
fn zones(visit: &Visit<'_>) -> BTreeSet<Locality> {
    let pools = visit.way.destinations().flat_map(|(d, _)| d.pools());
    pools.map(|pool| pool.zone.clone()).filter(|zone| !zone.zone.is_empty()).collect()
}

/// Says where requests of clients that are left fail after a loss, although endpoints are left too.
fn fails<'m>(
    traffic: &Traffic<'m>,
    visit: &Visit<'m>,
    lost: &[Lost],
    left: impl Fn(&Pool<'_>) -> bool,
    told: &mut BTreeSet<(Span, String)>,
    found: &mut Findings,
) {
    let mut supplies = visit.way.destinations().flat_map(|(d, _)| &d.supply.pools);
    if !supplies.any(|pool| left(pool) && pool.bounds.least > 0) {
        return;
    }
    // As many as can be where nothing is lost: what fails then fails wherever the scheduler puts pods.
    let case = Case { lost, phase: Phase::Noticed, ..Case::now(&left) };
    let failing = failing(traffic, visit, case);
    let Some((worst, share)) = failing.iter().max_by(|a, b| a.1.total_cmp(&b.1)) else { return };
    let keeps_out = visit.way.destinations().find_map(|(destination, _)| {
        let flow = traffic.flow_to(&visit.client, &worst.at, destination, case);
        flow.failures.get(&Failure::NoEndpoint)?;
        let by_weights = matches!(destination.terms.preference, Preference::Distribute(_));
        decided_by(destination, &worst.at).map(|(span, why)| (span, why, by_weights))
    });
    let Some((span, why, by_weights)) = keeps_out else { return };
    let name = lost[0].name(traffic.mesh());
    if !told.insert((span, name.clone())) {
        return;
    }
    let host = visit.host.short();
    let zones: Vec<&str> = failing.iter().map(|(d, _)| d.at.zone.as_str()).collect();
    let message = format!(
        "when `{name}` is lost, {} of the requests to `{host}` from {} fail, although other \
         endpoints are left",
        percent(*share),
        list(zones)
    );
    let finding = found.say(message, span, why);
    if !by_weights && *share < MINOR {
        finding.milder(Severity::Warning, "; they are a minor part, as those for a canary");
    }
    if let Some(service) = visit.service() {
        finding.also(service.named_at(), "its endpoints in other zones get none of these requests");
    }
    finding.help(
        "give a part of the weight to a zone that is left, or drop `distribute` (or the subset) for \
         failover: outlier detection and `failover` or `failoverPriority`",
    );
}

/// From where requests of clients that are left fail after a loss and not without it, with their share.
fn failing<'v, 'm>(
    traffic: &Traffic<'m>,
    visit: &'v Visit<'m>,
    case: Case<'_>,
) -> Vec<(&'v Departure, f64)> {
    let is_left = |departure: &&Departure| {
        !case.lost.iter().any(|lost| lost.covers(visit.client.cluster, &departure.at))
    };
    let survivors = visit.departures.iter().filter(is_left);
    let failing = survivors.filter_map(|departure| {
        let failing = |case| {
            let flow = traffic.flow(&visit.client, &departure.at, &visit.way, case);
            flow.failures.get(&Failure::NoEndpoint).copied().unwrap_or(0.0)
        };
        let after = failing(case);
        (after - failing(Case { lost: &[], ..case }) > LEAST).then_some((departure, after))
    });
    failing.collect()
}

/// What keeps requests from the endpoints that are left, and how.
fn decided_by(destination: &Destination<'_>, at: &Locality) -> Option<(Span, String)> {
    if let Preference::Distribute(entries) = &destination.terms.preference {
        let mut from = entries.iter().filter_map(|entry| entry.from.as_ref());
        if let Some(from) = from.find(|from| LocalityPattern::parse(from).matches(at)) {
            return Some((from.span, "its weights name no zone that is left: 503".to_owned()));
        }
    }
    let subset = destination.subset?;
    Some((subset.span, format!("nothing of subset `{subset}` is left: 503")))
}

//! What a lost cluster leaves behind: endpoints that nothing throws out.

use std::collections::{BTreeMap, BTreeSet};

use super::flows;
use crate::clusters::ClusterId;
use crate::finding::Findings;
use crate::kinds::networking::DestinationRule;
use crate::mesh::{In, Lookup, is_ambient_namespace};
use crate::rules::{Rule, rule};
use crate::traffic::Traffic;
use crate::traffic::clients::Visit;
use crate::traffic::counts::percent;
use crate::traffic::delivery::Delivery;
use crate::traffic::destination::Destination;
use crate::traffic::setting::Setting;

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("locality/no-outlier-detection-multicluster", traffic: no_outlier_detection_multicluster),
];

/// Shares below this are rounding.
const LEAST: f64 = 0.005;
/// How many services one finding points at.
const SHOWN: usize = 5;

/// Requests that go on to a cluster after it is lost.
struct Stale<'t, 'm> {
    visit: &'t Visit<'m>,
    lost: ClusterId,
    /// The share of them, at the least.
    share: f64,
}

fn no_outlier_detection_multicluster(traffic: &Traffic<'_>, found: &mut Findings) {
    // Rules of one name are one cause, and hosts without a rule are one in each mesh.
    let mut by_cause: BTreeMap<(usize, Option<String>), Vec<Stale<'_, '_>>> = BTreeMap::new();
    for visit in traffic.visits() {
        let Some(stale) = stale(traffic, visit) else { continue };
        let rule = rule_of(visit).map(|rule| format!("{}/{}", rule.namespace, rule.name()));
        let mesh = traffic.mesh().cluster(visit.client.cluster).mesh;
        by_cause.entry((mesh, rule)).or_default().push(stale);
    }
    for all in by_cause.values() {
        say(traffic, all, found);
    }
}

/// The DestinationRule that applies.
fn rule_of<'m>(visit: &Visit<'m>) -> Option<&'m In<DestinationRule>> {
    visit.way.destinations().find_map(|(d, _)| d.applied()?.parts.first().copied())
}

/// The worst of the losses that clients with endpoints of their own would go on to feel.
fn stale<'t, 'm>(traffic: &Traffic<'m>, visit: &'t Visit<'m>) -> Option<Stale<'t, 'm>> {
    let mesh = traffic.mesh();
    let own = visit.client.cluster;
    let is_gateway = visit.service().is_some_and(|s| mesh.is_gateway(s));
    // ztunnel ejects nothing whatever is written.
    let is_ambient = matches!(mesh.namespace(own, visit.client.namespace),
        Lookup::Found(namespace) if is_ambient_namespace(namespace));
    let is_open = visit.way.destinations().all(|(d, _)| ejects_nothing(d));
    let stays = visit.has_endpoint(|pool| pool.cluster == own);
    if is_gateway || is_ambient || !is_open || !stays || flows::leaks(traffic, visit) {
        return None;
    }
    let others = visit.way.destinations().flat_map(|(d, _)| d.clusters());
    let others: BTreeSet<ClusterId> = others.filter(|cluster| *cluster != own).collect();
    let shares = others.into_iter().flat_map(|lost| {
        let to = move |d: &crate::traffic::clients::Departure| {
            d.nearest.arriving(|landing| landing.cluster == lost)
        };
        visit.departures.iter().map(move |d| Stale { visit, lost, share: to(d) })
    });
    shares.filter(|stale| stale.share > LEAST).max_by(|a, b| a.share.total_cmp(&b.share))
}

/// Whether endpoints stay however they fail, and no other rule says so: failover without outlier detection
/// has one of its own.
fn ejects_nothing(destination: &Destination<'_>) -> bool {
    let waits = match destination.setting {
        Setting::Locality { setting, .. } => setting.distribute.is_empty(),
        _ => false,
    };
    destination.terms.max_ejection.is_none()
        && destination.delivery == Delivery::Balanced
        && !destination.terms.filter.cluster_local
        && !waits
}

fn say(traffic: &Traffic<'_>, all: &[Stale<'_, '_>], found: &mut Findings) {
    let mesh = traffic.mesh();
    let worst = all.iter().reduce(|a, b| if b.share > a.share + LEAST { b } else { a });
    let Some(worst) = worst else { return };
    let Some(first) = worst.visit.service() else { return };
    let others = flows::alike(all.iter().map(|stale| stale.visit));
    let lost = mesh.cluster_name(worst.lost);
    let rule = rule_of(worst.visit);
    let finding = found.say(
        format!(
            "when `{lost}` is lost, {} of the requests to `{}` from `{}` go there all the same{others}",
            percent(worst.share),
            worst.visit.host.short(),
            mesh.cluster_name(worst.visit.client.cluster),
        ),
        rule.map_or(first.named_at(), In::named_at),
        match rule {
            Some(_) => "no `outlierDetection`: endpoints that fail are called on",
            None => "no DestinationRule throws endpoints out that fail",
        },
    );
    for copy in all.iter().filter_map(|stale| rule_of(stale.visit)).take(SHOWN) {
        finding.also(copy.named_at(), "none here either");
    }
    for service in all.iter().filter_map(|stale| stale.visit.service()).take(SHOWN) {
        finding.also(service.named_at(), "has endpoints in several clusters");
    }
    finding.help(format!(
        "add `outlierDetection: {{consecutive5xxErrors: 5, interval: 10s, baseEjectionTime: 30s, \
         maxEjectionPercent: 100}}`; until then `mesh-lint clusters --lose {lost}` tells how to isolate it"
    ));
}

//! What becomes of shares behind a gateway: Envoy takes its address for one host, which is always healthy,
//! wherever and whatever is behind it.

use std::collections::BTreeMap;

use super::behind::{Behind, all_behind, label_services};
use crate::clusters::ClusterId;
use crate::finding::{Findings, Severity};
use crate::mesh::{Locality, NETWORK_LABEL, list};
use crate::source::Span;
use crate::traffic::Traffic;
use crate::traffic::assignment::Preference;
use crate::traffic::counts::percent;
use crate::traffic::destination::Destination;
use crate::traffic::flow::{Counted, Flow};
use crate::traffic::journey::Case;
use crate::traffic::supply::Pool;

/// Shares that differ by less are not worth a word.
const LEAST: f64 = 0.05;
/// The share that arrives in a cluster.
fn share(flow: &Flow, cluster: ClusterId) -> f64 {
    flow.arriving(|landing| landing.cluster == cluster)
}

/// A cluster that gets less than its endpoints, or a policy, ask for.
struct Loss<'t, 'm> {
    behind: Behind<'t, 'm>,
    at: &'t Locality,
    meant: f64,
    real: f64,
}

impl Loss<'_, '_> {
    fn size(&self) -> f64 {
        self.meant - self.real
    }
}

/// The zones of a destination's endpoints in a cluster, in the order in which Envoy is told of them.
fn zones_in<'d>(destination: &'d Destination<'_>, cluster: ClusterId) -> Vec<&'d str> {
    let there = destination.pools().filter(|pool| pool.cluster == cluster && pool.bounds.least > 0);
    let mut zones: Vec<(&str, &str)> =
        there.map(|pool| (&*pool.written, pool.identity.locality.zone.as_str())).collect();
    zones.sort_unstable();
    zones.dedup();
    zones.into_iter().map(|(_, zone)| zone).collect()
}

/// What clients lose in a cluster behind a gateway, whether there are as many endpoints as can be there or
/// elsewhere.
fn loss<'t, 'm>(traffic: &Traffic<'m>, behind: Behind<'t, 'm>) -> Option<Loss<'t, 'm>> {
    let Behind { visit, destination, cluster, .. } = behind;
    if zones_in(destination, cluster).len() < 2 {
        return None;
    }
    let of = |at: &Locality| {
        let near = |pool: &Pool<'_>| pool.cluster != cluster;
        let far = |pool: &Pool<'_>| pool.cluster == cluster;
        let share_of = |favoured, counted| {
            let case = Case { counted, ..Case::now(favoured) };
            share(&traffic.flow_to(&visit.client, at, destination, case), cluster)
        };
        let both: [&dyn Fn(&Pool<'_>) -> bool; 2] = [&near, &far];
        let shares = both.map(|f| (share_of(f, Counted::Each), share_of(f, Counted::First)));
        shares.into_iter().min_by(|a, b| (a.0 - a.1).total_cmp(&(b.0 - b.1)))
    };
    let all = visit.departures.iter().filter_map(|departure| {
        let (meant, real) = of(&departure.at)?;
        Some(Loss { behind, at: &departure.at, meant, real })
    });
    all.filter(|loss| loss.size() > LEAST).max_by(|a, b| a.size().total_cmp(&b.size()))
}

/// What a loss is told by: the setting that asks for something else, or else the gateway.
fn cause(loss: &Loss<'_, '_>) -> Span {
    let Behind { destination, gateway, .. } = loss.behind;
    let by_gateway = gateway.meta.label(NETWORK_LABEL);
    let by_gateway = by_gateway.map_or(gateway.named_at(), |label| label.span);
    match destination.terms.preference {
        Preference::None => by_gateway,
        _ => destination.decided_at().unwrap_or(by_gateway),
    }
}

pub(super) fn gateway_weight_lost(traffic: &Traffic<'_>, found: &mut Findings) {
    let mut by_cause: BTreeMap<Span, Vec<Loss<'_, '_>>> = BTreeMap::new();
    for loss in all_behind(traffic).filter_map(|behind| loss(traffic, behind)) {
        by_cause.entry(cause(&loss)).or_default().push(loss);
    }
    for (at, losses) in by_cause {
        if let Some(worst) = losses.iter().max_by(|a, b| a.size().total_cmp(&b.size())) {
            say_lost(traffic, at, worst, &losses, found);
        }
    }
}

fn say_lost(
    traffic: &Traffic<'_>,
    at: Span,
    worst: &Loss<'_, '_>,
    losses: &[Loss<'_, '_>],
    found: &mut Findings,
) {
    let mesh = traffic.mesh();
    let Behind { visit, destination, cluster, gateway } = worst.behind;
    let (client, there) = (mesh.cluster_name(visit.client.cluster), mesh.cluster_name(cluster));
    let zones = zones_in(destination, cluster);
    let is_exact = destination.pools().all(|pool| pool.bounds.is_exact());
    let some = if is_exact { "" } else { "some " };
    let finding = found.say(
        format!(
            "of the requests to `{}` from `{}` of `{client}`, {some}{} go to `{there}`, where {some}{} \
             are meant to go",
            visit.host.short(),
            worst.at.zone,
            percent(worst.real),
            percent(worst.meant)
        ),
        at,
        format!(
            "pods in {} share one address, the gateway's: Envoy counts it once, in `{}`",
            list(zones.iter().copied()),
            zones[0]
        ),
    );
    finding.also(gateway.named_at(), format!("all of `{there}` is reached through it"));
    let each = losses.iter().map(|loss| {
        let (real, meant) = (percent(loss.real), percent(loss.meant));
        (&loss.behind, format!("gets {real} there, where {meant} are meant"))
    });
    label_services(each, finding);
    let preference = &destination.terms.preference;
    finding.help(remedy(preference, there, zones[0]));
    if matches!(preference, Preference::None) {
        finding.lower(Severity::Note);
    }
}

/// How a cluster gets what is meant for it, whose gateway counts in one zone.
fn remedy(preference: &Preference<'_>, there: &str, zone: &str) -> String {
    let split = "split by a VirtualService between subsets by `topology.istio.io/cluster`, whose weights \
                 do not depend on zones";
    match preference {
        Preference::None => format!(
            "keep requests in their network while it has endpoints (`outlierDetection` and \
             `failoverPriority: [topology.istio.io/network]`), or {split}"
        ),
        Preference::Distribute(_) => format!(
            "give the whole weight of `{there}` to `{zone}`, where its gateway counts, or {split}"
        ),
        _ => {
            "put the network before zones, so that others take over as a whole: `failoverPriority: \
              [topology.istio.io/network, topology.kubernetes.io/zone]`"
                .to_owned()
        }
    }
}

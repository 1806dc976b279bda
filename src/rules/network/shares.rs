//! What becomes of shares behind a gateway: Envoy takes its address for one host, which is always healthy,
//! wherever and whatever is behind it.

use std::collections::{BTreeMap, BTreeSet};

use crate::clusters::ClusterId;
use crate::finding::{Findings, Severity};
use crate::kinds::core::Service;
use crate::mesh::{In, Locality, NETWORK_LABEL, list};
use crate::source::Span;
use crate::traffic::Traffic;
use crate::traffic::assignment::Preference;
use crate::traffic::clients::Visit;
use crate::traffic::counts::percent;
use crate::traffic::delivery::Delivery;
use crate::traffic::destination::Destination;
use crate::traffic::flow::{Counted, Flow};
use crate::traffic::journey::Case;
use crate::traffic::supply::Pool;

/// Shares that differ by less are not worth a word.
const LEAST: f64 = 0.05;
/// How many services one finding points at.
const SHOWN: usize = 5;

/// The gateway through which clients of a cluster reach another, where a Service tells it.
pub(super) fn gateway_to<'m>(
    traffic: &Traffic<'m>,
    from: ClusterId,
    to: ClusterId,
) -> Option<&'m In<Service>> {
    let mesh = traffic.mesh();
    let (here, there) = (mesh.cluster(from), mesh.cluster(to));
    if !mesh.in_different_networks(here, there) {
        return None;
    }
    let network = there.network()?;
    let leads = |g: &&crate::traffic::network::Gateway<'_>| {
        *g.known.network == *network.as_str()
            && (g.known.cluster.is_empty() || there.is_called(&g.known.cluster))
    };
    traffic.gateways(from).iter().filter(leads).find_map(|gateway| gateway.service)
}

/// The clusters of Envoy that clients of a visit spread requests over. Services of gateways are called from
/// outside, so they do not count.
pub(super) fn balanced<'t, 'm>(
    traffic: &'t Traffic<'m>,
    visit: &'t Visit<'m>,
) -> impl Iterator<Item = &'t Destination<'m>> {
    let all = visit.way.destinations().map(|(destination, _)| destination);
    all.filter(|destination| {
        let is_gateway = destination.service.is_some_and(|s| traffic.mesh().is_gateway(s));
        destination.delivery == Delivery::Balanced && !is_gateway
    })
}

/// The share that arrives in a cluster.
fn share(flow: &Flow, cluster: ClusterId) -> f64 {
    flow.arriving(|landing| landing.cluster == cluster)
}

/// A cluster that gets less than its endpoints, or a policy, ask for.
struct Loss<'t, 'm> {
    visit: &'t Visit<'m>,
    destination: &'t Destination<'m>,
    at: &'t Locality,
    cluster: ClusterId,
    gateway: &'m In<Service>,
    meant: f64,
    real: f64,
    is_exact: bool,
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

/// What a destination's clients lose in clusters behind gateways, whether there are as many endpoints as
/// can be there or elsewhere.
fn losses<'t, 'm>(traffic: &'t Traffic<'m>, visit: &'t Visit<'m>) -> Vec<Loss<'t, 'm>> {
    let own = visit.client.cluster;
    let mut found = Vec::new();
    for destination in balanced(traffic, visit) {
        let clusters: BTreeSet<ClusterId> = destination.pools().map(|pool| pool.cluster).collect();
        for cluster in clusters {
            let Some(gateway) = gateway_to(traffic, own, cluster) else { continue };
            if zones_in(destination, cluster).len() < 2 || traffic.mesh().is_assumed(&gateway.meta)
            {
                continue;
            }
            let is_exact = destination.pools().all(|pool| pool.bounds.is_exact());
            let of = |at: &Locality| {
                let near = |pool: &Pool<'_>| pool.cluster != cluster;
                let far = |pool: &Pool<'_>| pool.cluster == cluster;
                let share_of = |favoured, counted| {
                    let case = Case { counted, ..Case::now(favoured) };
                    share(&traffic.flow_to(&visit.client, at, destination, case), cluster)
                };
                let both: [&dyn Fn(&Pool<'_>) -> bool; 2] = [&near, &far];
                let shares =
                    both.map(|f| (share_of(f, Counted::Each), share_of(f, Counted::First)));
                shares.into_iter().min_by(|a, b| (a.0 - a.1).total_cmp(&(b.0 - b.1)))
            };
            let all = visit.departures.iter().filter_map(|departure| {
                let (meant, real) = of(&departure.at)?;
                let at = &departure.at;
                let loss = Loss { visit, destination, at, cluster, gateway, meant, real, is_exact };
                (meant - real > LEAST).then_some(loss)
            });
            found.extend(all.max_by(|a, b| (a.meant - a.real).total_cmp(&(b.meant - b.real))));
        }
    }
    found
}

/// What a loss is told by: the setting that asks for something else, or else the gateway.
fn cause(loss: &Loss<'_, '_>) -> Span {
    let by_gateway = loss.gateway.meta.label(NETWORK_LABEL);
    let by_gateway = by_gateway.map_or(loss.gateway.named_at(), |label| label.span);
    match loss.destination.terms.preference {
        Preference::None => by_gateway,
        _ => loss.destination.decided_at().unwrap_or(by_gateway),
    }
}

pub(super) fn gateway_weight_lost(traffic: &Traffic<'_>, found: &mut Findings) {
    let mut by_cause: BTreeMap<Span, Vec<Loss<'_, '_>>> = BTreeMap::new();
    for loss in traffic.visits().iter().flat_map(|visit| losses(traffic, visit)) {
        by_cause.entry(cause(&loss)).or_default().push(loss);
    }
    for (at, losses) in by_cause {
        let worst = losses.iter().max_by(|a, b| (a.meant - a.real).total_cmp(&(b.meant - b.real)));
        let Some(worst) = worst else { continue };
        say_lost(traffic, at, worst, &losses, found);
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
    let (client, there) =
        (mesh.cluster_name(worst.visit.client.cluster), mesh.cluster_name(worst.cluster));
    let zones = zones_in(worst.destination, worst.cluster);
    let some = if worst.is_exact { "" } else { "some " };
    let finding = found.say(
        format!(
            "of the requests to `{}` from `{}` of `{client}`, {some}{} go to `{there}`, where {some}{} \
             are meant to go",
            worst.visit.host.short(),
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
    finding.also(worst.gateway.named_at(), format!("all of `{there}` is reached through it"));
    let mut told = BTreeSet::new();
    for loss in losses {
        let Some(service) = loss.destination.service else { continue };
        if told.len() < SHOWN && told.insert(loss.visit.host.name) {
            let (real, meant) = (percent(loss.real), percent(loss.meant));
            finding.also(service.named_at(), format!("gets {real} there, where {meant} are meant"));
        }
    }
    let split = "split by a VirtualService between subsets by `topology.istio.io/cluster`, whose weights \
                 do not depend on zones";
    finding.help(match worst.destination.terms.preference {
        Preference::None => format!(
            "keep requests in their network while it has endpoints (`outlierDetection` and \
             `failoverPriority: [topology.istio.io/network]`), or {split}"
        ),
        Preference::Distribute(_) => format!(
            "give the whole weight of `{there}` to `{}`, where its gateway counts, or {split}",
            zones[0]
        ),
        _ => {
            "put the network before zones, so that others take over as a whole: `failoverPriority: \
              [topology.istio.io/network, topology.kubernetes.io/zone]`"
                .to_owned()
        }
    });
    if matches!(worst.destination.terms.preference, Preference::None) {
        finding.lower(Severity::Note);
    }
}

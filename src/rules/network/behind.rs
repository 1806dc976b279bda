//! What clients reach through a gateway, and cannot see there: pods that are not ready, and pods that fail
//! one by one.

use std::collections::{BTreeMap, BTreeSet};

use super::addresses::named_balancer;
use crate::clusters::ClusterId;
use crate::finding::{Finding, Findings, Severity};
use crate::kinds::core::Service;
use crate::mesh::{In, Mesh};
use crate::source::Span;
use crate::traffic::Traffic;
use crate::traffic::clients::{Departure, Visit};
use crate::traffic::counts::percent;
use crate::traffic::delivery::Delivery;
use crate::traffic::destination::Destination;
use crate::traffic::endpoint::Health;
use crate::traffic::flow::Failure;
use crate::traffic::journey::Case;
use crate::traffic::loss::Lost;
use crate::traffic::outliers::Counters;
use crate::traffic::selection::ejectable;
use crate::traffic::supply::Pool;

/// Shares below this are rounding.
const LEAST: f64 = 0.005;
/// How many services one finding points at.
const SHOWN: usize = 5;

/// The gateway through which clients of a cluster reach another, where a Service tells it.
fn gateway_to<'m>(
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
fn balanced<'t, 'm>(
    traffic: &'t Traffic<'m>,
    visit: &'t Visit<'m>,
) -> impl Iterator<Item = &'t Destination<'m>> {
    let all = visit.way.destinations().map(|(destination, _)| destination);
    all.filter(|destination| {
        let is_gateway = destination.service.is_some_and(|s| traffic.mesh().is_gateway(s));
        destination.delivery == Delivery::Balanced && !is_gateway
    })
}

/// A cluster that clients of a destination reach through a gateway.
#[derive(Clone, Copy)]
pub(super) struct Behind<'t, 'm> {
    pub visit: &'t Visit<'m>,
    pub destination: &'t Destination<'m>,
    pub cluster: ClusterId,
    pub gateway: &'m In<Service>,
}

impl<'t, 'm> Behind<'t, 'm> {
    fn pools(&self) -> impl Iterator<Item = &'t Pool<'m>> {
        let cluster = self.cluster;
        self.destination.pools().filter(move |pool| pool.cluster == cluster && pool.bounds.most > 0)
    }

    /// The share of requests that find no endpoint, with the cluster or without.
    fn failing(&self, traffic: &Traffic<'m>, departure: &Departure, lost: &[Lost]) -> f64 {
        let near = |pool: &Pool<'_>| pool.cluster != self.cluster;
        let case = Case { lost, ..Case::now(&near) };
        let Behind { visit, destination, .. } = self;
        let flow = traffic.flow_to(&visit.client, &departure.at, destination, case);
        flow.failures.get(&Failure::NoEndpoint).copied().unwrap_or_default()
    }
}

/// All that clients of the mesh reach through gateways that the input certainly shows.
pub(super) fn all_behind<'t, 'm>(traffic: &'t Traffic<'m>) -> impl Iterator<Item = Behind<'t, 'm>> {
    traffic.visits().iter().flat_map(move |visit| {
        balanced(traffic, visit).flat_map(move |destination| {
            destination.clusters().into_iter().filter_map(move |cluster| {
                let gateway = gateway_to(traffic, visit.client.cluster, cluster)?;
                let sure = !traffic.mesh().is_assumed(&gateway.meta);
                sure.then_some(Behind { visit, destination, cluster, gateway })
            })
        })
    })
}

/// Points at the Services of some of what is behind gateways, each host once.
pub(super) fn label_services<'a, 'm: 'a>(
    all: impl Iterator<Item = (&'a Behind<'a, 'm>, String)>,
    finding: &mut Finding,
) {
    let mut told = BTreeSet::new();
    for (behind, text) in all {
        let Some(service) = behind.destination.service else { continue };
        if told.len() < SHOWN && told.insert(behind.visit.host.name) {
            finding.also(service.named_at(), text);
        }
    }
}

pub(super) fn gateway_of_unready_pods(traffic: &Traffic<'_>, found: &mut Findings) {
    let mesh = traffic.mesh();
    let mut told = BTreeSet::new();
    for behind in all_behind(traffic) {
        let Behind { visit, destination, cluster, gateway } = behind;
        let none_ready = behind.pools().all(|pool| pool.health != Health::Healthy);
        let Some(pod) = behind.pools().next().filter(|_| none_ready) else { continue };
        if !destination.has_endpoint(|pool| pool.cluster != cluster) {
            continue;
        }
        let lost = [Lost::Cluster(cluster)];
        let failing = visit.departures.iter().map(|departure| {
            let without = behind.failing(traffic, departure, &lost);
            (behind.failing(traffic, departure, &[]) - without, departure)
        });
        let Some((share, departure)) = failing.max_by(|a, b| a.0.total_cmp(&b.0)) else { continue };
        if share <= LEAST || !told.insert((visit.host.name, cluster)) {
            continue;
        }
        let (client, there) = (mesh.cluster_name(visit.client.cluster), mesh.cluster_name(cluster));
        let ejected = destination.terms.max_ejection.is_some();
        let until = if ejected { ", until outlier detection throws the gateway out" } else { "" };
        let finding = found.say(
            format!(
                "no pod of `{}` is ready in `{there}`, and {} of the requests from `{}` of `{client}` fail \
                 there{until}",
                visit.host.short(),
                percent(share),
                departure.at.zone
            ),
            pod.span,
            "not ready, but it adds to the weight of the gateway, which is never taken for unready",
        );
        finding
            .also(gateway.named_at(), format!("clients of other networks know `{there}` by this"));
        finding.help(
            "make the pods ready, or scale the workload to none: without endpoints its network gets no \
             requests; `outlierDetection` in the client's DestinationRule throws the gateway out for a while",
        );
        if ejected {
            finding.lower(Severity::Warning);
        }
    }
}

/// Where a policy has a host thrown out at its first failure.
fn at_once(destination: &Destination<'_>) -> Option<Span> {
    let told = &destination.policy.outlier_detection.get()?.value;
    let counters = Counters::of(told);
    let by_errors = told.consecutive_5xx_errors.as_ref().filter(|_| counters.errors == Some(1));
    let by_gateway =
        told.consecutive_gateway_errors.as_ref().filter(|_| counters.gateway_errors == Some(1));
    by_errors.or(by_gateway).map(|count| count.span)
}

/// Whether a host may be thrown out at all, of as few as there may be: each gateway counts for one.
fn is_ejectable(mesh: &Mesh, behind: &Behind<'_, '_>) -> bool {
    let client = mesh.cluster(behind.visit.client.cluster);
    let is_far = |pool: &&Pool<'_>| mesh.in_different_networks(client, mesh.cluster(pool.cluster));
    let (far, near): (Vec<&Pool<'_>>, Vec<&Pool<'_>>) =
        behind.destination.pools().partition(is_far);
    let gateways: BTreeSet<ClusterId> = far.iter().map(|pool| pool.cluster).collect();
    let hosts: u64 = near.iter().map(|pool| u64::from(pool.bounds.least)).sum();
    let hosts = hosts + u64::try_from(gateways.len()).unwrap_or(0);
    behind.destination.terms.max_ejection.is_some_and(|max| ejectable(hosts, max) > 0)
}

pub(super) fn gateway_hides_failover(traffic: &Traffic<'_>, found: &mut Findings) {
    let mesh = traffic.mesh();
    let mut by_policy: BTreeMap<Span, Vec<(u32, Behind<'_, '_>)>> = BTreeMap::new();
    let by_one_address = |behind: &Behind<'_, '_>| named_balancer(behind.gateway).is_none();
    let all = all_behind(traffic).filter(by_one_address);
    for behind in all.filter(|behind| is_ejectable(mesh, behind)) {
        let pods = behind.pools().fold(0_u32, |sum, pool| sum.saturating_add(pool.bounds.least));
        if let Some(at) = at_once(behind.destination).filter(|_| pods > 1) {
            by_policy.entry(at).or_default().push((pods, behind));
        }
    }
    for (at, all) in by_policy {
        let Some((pods, first)) = all.iter().max_by_key(|(pods, _)| *pods) else { continue };
        let (client, there) =
            (mesh.cluster_name(first.visit.client.cluster), mesh.cluster_name(first.cluster));
        let host = first.visit.host.short();
        let finding = found.say(
            format!(
                "one failed request to `{host}` makes a client in `{client}` give up all its {pods} pods in \
                 `{there}`"
            ),
            at,
            "ejects the host that failed, and the pods of another network are one host: their gateway",
        );
        finding.also(first.gateway.named_at(), format!("the one address of all pods in `{there}`"));
        let each = all.iter().map(|(pods, behind)| {
            (behind, format!("{pods} pods in `{}`", mesh.cluster_name(behind.cluster)))
        });
        label_services(each, finding);
        finding.help(
            "let it take several failures in a row, as one pod of many seldom makes: \
             `consecutive5xxErrors: 5`, or `consecutiveGatewayErrors: 5` with `consecutive5xxErrors: 0`",
        );
    }
}

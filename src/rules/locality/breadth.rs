//! Settings that are for more than was meant, or for less: the mesh's weights, hashes of ports,
//! retries.

use std::collections::{BTreeMap, BTreeSet};

use crate::clusters::ClusterId;
use crate::finding::Findings;
use crate::kinds::networking::{Distribute, HttpMatch, ServiceEntry, WorkloadEntry};
use crate::mesh::{Host, In, Locality, LocalityPattern, Mesh, Route, list, short, value};
use crate::rules::{Rule, rule};
use crate::source::{Span, Spanned};
use crate::traffic::Traffic;
use crate::traffic::distribution::asked;
use crate::traffic::effective::EffectivePolicy;
use crate::traffic::policy::Policy;
use crate::traffic::setting::Setting;

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("locality/mesh-distribute-too-wide", policies: mesh_distribute_too_wide),
    rule!("locality/port-hash-without-port", policies: port_hash_without_port),
    rule!("locality/retries-stay-in-zone", policies: retries_stay_in_zone),
    rule!("locality/too-few-retries-to-leave", too_few_retries_to_leave),
];

/// A host that no locality of an entry has an endpoint for, and what tells so.
struct Left<'m> {
    host: Host<'m>,
    at: Span,
    why: &'static str,
}

fn mesh_distribute_too_wide(traffic: &Traffic<'_>, found: &mut Findings) {
    let mesh = traffic.mesh();
    let own = traffic.policies().iter();
    let own = own.filter(|p| p.locality().is_some() || p.zone_aware().is_some());
    let own: BTreeSet<Span> =
        own.flat_map(|p| p.rule.parts.iter().map(|part| part.meta.span)).collect();
    let mut told = BTreeSet::new();
    for cluster in mesh.clusters() {
        let Some(setting) = Setting::of_mesh(mesh, cluster.id).as_locality() else { continue };
        for entry in setting.distribute.iter().filter(|e| is_used(traffic, cluster.id, e)) {
            let Some(from) = &entry.from else { continue };
            let hosts = mesh.hosts().filter(|h| !has_own_setting(mesh, *h, cluster.id, &own));
            let left: Vec<Left<'_>> =
                hosts.filter_map(|h| left_out(traffic, h, cluster.id, entry)).collect();
            let Some(first) = left.first().filter(|_| told.insert(from.span)) else { continue };
            let names: BTreeSet<&str> = left.iter().map(|l| l.host.short()).collect();
            let finding = found.say(
                format!(
                    "the mesh's `distribute` leaves nothing for clients in `{from}` of {}: 503",
                    list(names.iter().copied().take(5))
                ),
                from.span,
                "holds for every host without a setting of its own: what no `to` names gets nothing",
            );
            for left in left.iter().take(5) {
                finding.also(left.at, format!("`{}`: {}", left.host.short(), left.why));
            }
            finding.help(format!(
                "keep weights to the DestinationRules of hosts that are in all these localities, or give `{}` \
                 a DestinationRule with `localityLbSetting: {{enabled: false}}`",
                first.host.short()
            ));
        }
    }
}

/// Whether clients of a control plane may run where an entry is for.
fn is_used(traffic: &Traffic<'_>, control_plane: ClusterId, entry: &Distribute) -> bool {
    let Some(from) = &entry.from else { return false };
    let pattern = LocalityPattern::parse(from);
    let clients = traffic.mesh().client_clusters(control_plane);
    let mut places = clients.iter().flat_map(|c| traffic.client_localities(c.id));
    from.as_str() == "*" || places.any(|place| pattern.matches(place))
}

/// Whether a DestinationRule or the Service may have a setting that goes before the mesh's.
fn has_own_setting(mesh: &Mesh, host: Host<'_>, plane: ClusterId, own: &BTreeSet<Span>) -> bool {
    let rules = mesh.rules_for(host.name, plane);
    let service = host.certain_service_for(plane);
    rules.iter().any(|r| own.contains(&r.meta.span))
        || service.is_some_and(|s| !matches!(asked(mesh, plane, s), Ok(None)))
}

/// Whether a host certainly has no endpoint in any locality that an entry names.
fn left_out<'m>(
    traffic: &Traffic<'m>,
    host: Host<'m>,
    plane: ClusterId,
    entry: &Distribute,
) -> Option<Left<'m>> {
    let mesh = traffic.mesh();
    let to: Vec<_> = entry.to.iter().map(|(to, _)| LocalityPattern::parse(to)).collect();
    let named = |zone: &Locality| to.iter().any(|pattern| pattern.matches(zone));
    let mut entries = host.entries().filter(|e| e.cluster == plane);
    if let Some(one) = entries.next().filter(|_| host.services().next().is_none()) {
        let several = host.entries().filter(|e| mesh.same_mesh(e.cluster, plane)).count() > 1;
        let out = !several && !mesh.is_assumed(&one.meta) && is_outside(one, &named);
        let why = "its endpoints are in no locality that the entry names";
        return out.then_some(Left { host, at: one.named_at(), why });
    }
    let service = host.certain_service_for(plane).filter(|s| s.type_name() != "headless")?;
    let parts = traffic.views(host, plane, None);
    let has_any = parts.iter().all(|p| p.total.least > 0 && p.zoned && p.remote_most == 0);
    let nowhere =
        parts.iter().all(|p| p.zones.iter().all(|(zone, bounds)| bounds.most == 0 || !named(zone)));
    let why = "has replicas, and none in a locality that the entry names";
    (!parts.is_empty() && has_any && nowhere).then(|| Left { host, at: service.named_at(), why })
}

/// Whether all endpoints of a ServiceEntry stand where an entry names nothing.
fn is_outside(entry: &In<ServiceEntry>, named: &impl Fn(&Locality) -> bool) -> bool {
    let laid_out = matches!(value(entry.resolution.as_ref()), Some("STATIC" | "DNS"));
    let outside = |text: Option<&str>| !named(&Locality::parse(text.unwrap_or_default()));
    let labelled = |e: &WorkloadEntry| {
        ["topology.istio.io/locality", "istio-locality"]
            .iter()
            .any(|key| e.labels.get(key).is_some())
    };
    laid_out
        && entry.meta.unread.is_empty()
        && entry.workload_selector.is_none()
        && entry.endpoints.iter().all(|e| !labelled(e) && outside(value(e.locality.as_ref())))
        && (!entry.endpoints.is_empty() || outside(None))
}

/// The hash of a policy's load balancer.
fn hash_of(policy: &Policy<'_>) -> Option<Span> {
    policy.load_balancer.get()?.consistent_hash.as_ref().map(|hash| hash.span)
}

/// What requests lead to: control plane, host, subset.
type Target = (ClusterId, String, Option<String>);

fn target_of(policy: &EffectivePolicy<'_>) -> Target {
    let subset = policy.subset.map(|s| s.name.value.clone());
    (policy.control_plane, policy.host_name(), subset)
}

fn target_of_route(route: &Route<'_>) -> Target {
    (route.service.cluster, route.host.clone(), route.subset().map(|s| s.value.clone()))
}

/// The hash of a port that a route to it cannot find, since it names no port.
/// Source: `route.go`, `HashForHTTPDestination`.
fn lost_hash(policy: &EffectivePolicy<'_>) -> Option<(u32, Span)> {
    let port = policy.port.filter(|_| policy.is_certain)?.value;
    let subset = policy.subset.map(|s| s.name.as_str());
    let general = |subset| hash_of(&Policy::of(Some(&policy.rule), subset, None)).is_some();
    let found = general(None) || general(subset);
    Some((port, hash_of(&policy.policy)?)).filter(|_| !found)
}

fn port_hash_without_port(traffic: &Traffic<'_>, found: &mut Findings) {
    let mesh = traffic.mesh();
    let mut hashes: BTreeMap<Target, Vec<(u32, Span, &EffectivePolicy<'_>)>> = BTreeMap::new();
    for policy in traffic.policies() {
        if let Some((port, span)) = lost_hash(policy) {
            hashes.entry(target_of(policy)).or_default().push((port, span, policy));
        }
    }
    let mut lost: BTreeMap<Span, (String, u32, Vec<Span>)> = BTreeMap::new();
    let sure = |route: &Route<'_>| !mesh.is_assumed(&route.service.meta);
    let routes = mesh.routes().into_iter().filter(|r| r.destination.port.is_none() && sure(r));
    for route in routes {
        for (port, span, policy) in hashes.get(&target_of_route(&route)).into_iter().flatten() {
            if may_be_called_on(policy, &route, *port) {
                let of_host = (route.host.clone(), *port, Vec::new());
                lost.entry(*span).or_insert(of_host).2.push(route.host_at());
            }
        }
    }
    for (span, (host, port, routes)) in lost {
        let finding = found.say(
            format!(
                "requests to `{}` on port {port} hash nothing: their route names no port",
                short(&host)
            ),
            span,
            "the ring is there, and each request gets a random place on it",
        );
        for route in routes {
            finding.also(route, "finds a hash of the whole host only");
        }
        finding.help(format!(
            "add `port: {{number: {port}}}` to the destination, or move `consistentHash` to the policy of the \
             whole host"
        ));
    }
}

/// Whether a route takes requests to a port that its destination has. A policy for a port speaks for a
/// Service that the input does not have.
fn may_be_called_on(policy: &EffectivePolicy<'_>, route: &Route<'_>, port: u32) -> bool {
    let on = |m: &Spanned<HttpMatch>| m.port.as_ref().is_none_or(|p| p.value == port);
    let taken =
        route.rule.is_some_and(|http| http.matches.is_empty() || http.matches.iter().any(on));
    let ports = policy.service.map(|s| s.ports.iter().filter_map(|p| p.port.as_ref()));
    let has = match ports {
        Some(mut ports) => ports.any(|p| u32::from(p.value) == port),
        None => policy.host.is_none(),
    };
    taken && has
}

/// What ranks zones: a failover that works, or what a Service asks for.
#[derive(Clone, Copy)]
enum Ranking {
    Failover(Span),
    Preference(Span),
}

/// Where requests have priorities by locality that somebody asked for; `None` where not.
fn rankings(traffic: &Traffic<'_>) -> BTreeMap<Target, Option<Ranking>> {
    let mut found = BTreeMap::new();
    for policy in traffic.policies() {
        let ranking = match policy.setting {
            Some(Setting::Locality { setting, by }) if !by.is_mesh() => {
                let asks = !setting.failover.is_empty() || !setting.failover_priority.is_empty();
                let works = setting.distribute.is_empty() && policy.outliers().is_some();
                (asks && works).then_some(Ranking::Failover(setting.span))
            }
            Some(Setting::TrafficDistribution { told, .. }) => Some(Ranking::Preference(told.span)),
            _ => None,
        };
        let ranking = ranking.filter(|_| policy.is_certain && policy.is_balanced());
        let known = found.entry(target_of(policy)).or_insert(ranking);
        *known = known.or(ranking);
    }
    found
}

/// What the Service of a host asks for that no policy is for.
fn preference_of(mesh: &Mesh, (plane, host, subset): &Target) -> Option<Ranking> {
    let service = mesh.host(host).filter(|_| subset.is_none())?.certain_service_for(*plane)?;
    let sure = !mesh.is_assumed(&service.meta) && service.type_name() != "headless";
    let asked = asked(mesh, *plane, service).ok().flatten().filter(|_| sure)?;
    Some(Ranking::Preference(asked.told.span))
}

fn retries_stay_in_zone(traffic: &Traffic<'_>, found: &mut Findings) {
    let mesh = traffic.mesh();
    let rankings = rankings(traffic);
    let mut by_rule: BTreeMap<Span, Vec<(Span, Route<'_>, Ranking)>> = BTreeMap::new();
    for route in mesh.routes() {
        let meta = &route.service.meta;
        let unsure = mesh.is_assumed(meta) || meta.unread.iter().any(|p| p.contains("retries"));
        let Some(retries) = route.rule.and_then(|rule| rule.retries.as_ref()) else { continue };
        let some = retries.attempts.as_ref().is_some_and(|n| n.value > 0);
        let stay = !unsure && some && retries.retry_remote_localities.is_none();
        let target = target_of_route(&route);
        let of_policy = rankings.get(&target).copied();
        let ranking = of_policy.unwrap_or_else(|| preference_of(mesh, &target));
        if let Some(ranking) = ranking.filter(|_| stay) {
            by_rule.entry(meta.span).or_default().push((retries.span, route, ranking));
        }
    }
    for all in by_rule.into_values() {
        let (span, route, ranking) = &all[0];
        let finding = found.say(
            format!("retries to `{}` stay in the zone that failed", short(&route.host)),
            *span,
            "tries other endpoints of the same priority only, even where all of them fail",
        );
        match *ranking {
            Ranking::Failover(setting) => {
                finding.also(setting, "has the next zone take over only once endpoints are ejected")
            }
            Ranking::Preference(told) => {
                finding.also(told, "has the next zone take over only once endpoints are not ready")
            }
        };
        for (span, ..) in &all[1..] {
            finding.also(*span, "and so do these");
        }
        finding.help(
            "add `retryRemoteLocalities: true` to `retries`, and at least two `attempts`: the second retry leaves the zone",
        );
    }
}

/// The retry from which on priorities that were tried are passed over: Envoy does so after every second
/// attempt. Source: Istio, `pilot/pkg/networking/core/route/retry/retry.go`, `buildPreviousPrioritiesConfig`;
/// Envoy, `previous_priorities.cc`, `determinePriorityLoad`.
const LEAVES: u32 = 2;

fn too_few_retries_to_leave(mesh: &Mesh, found: &mut Findings) {
    let rules = mesh.virtual_services.iter().filter(|service| !mesh.is_assumed(&service.meta));
    let of_rules = rules.flat_map(|s| s.http.iter().filter_map(|rule| rule.retries.as_deref()));
    let configs = mesh.clusters().iter().flat_map(|cluster| &cluster.facts.mesh_config);
    let of_mesh = configs.filter_map(|config| config.default_http_retry_policy.as_ref());
    let mut told = BTreeSet::new();
    for retries in of_rules.chain(of_mesh) {
        let (Some(attempts), Some(leaves)) = (retries.attempts, retries.retry_remote_localities)
        else {
            continue;
        };
        // That none at all are refused is another rule's.
        let never = leaves.value && attempts.value > 0 && attempts.value < LEAVES;
        if never && told.insert(leaves.span) {
            let message =
                "the only retry never leaves its zone, whatever `retryRemoteLocalities` says";
            found
                .say(message, leaves.span, "holds from the second retry on")
                .also(attempts.span, "the only retry")
                .help(format!("write `attempts: {LEAVES}` or more"));
        }
    }
}

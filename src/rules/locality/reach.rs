//! Settings that reach further than was meant, or not as far: the mesh's weights, hashes of ports,
//! retries.

use std::collections::{BTreeMap, BTreeSet};

use super::choice::{deciding, preference};
use super::endpoints::endpoints;
use super::levels::{host_of, levels, number};
use super::settings::{mesh_weights, why_without_effect};
use crate::clusters::ClusterId;
use crate::finding::Findings;
use crate::kinds::networking::{
    DestinationRule, Distribute, HttpMatch, HttpRoute, LoadBalancer, ServiceEntry, Subset,
    TrafficPolicy, WorkloadEntry,
};
use crate::mesh::{Host, In, Locality, LocalityPattern, Mesh, Route, list, short, value};
use crate::placement::Placements;
use crate::rules::{Rule, rule};
use crate::source::{Span, Spanned};
use crate::traffic::Traffic;

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("locality/mesh-distribute-too-wide", traffic: mesh_distribute_too_wide),
    rule!("locality/port-hash-without-port", port_hash_without_port),
    rule!("locality/retries-stay-in-zone", retries_stay_in_zone),
];

/// A host that no locality of an entry has an endpoint for, and what tells so.
struct Left<'m> {
    host: Host<'m>,
    at: Span,
    why: &'static str,
}

fn mesh_distribute_too_wide(traffic: &Traffic<'_>, found: &mut Findings) {
    let (mesh, placements) = (traffic.mesh(), traffic.placements());
    let levels = levels(mesh);
    let own = levels.iter().filter(|l| l.locality().is_some() || l.zone_aware().is_some());
    let own: BTreeSet<Span> = own.map(|l| l.rule.meta.span).collect();
    let mut told = BTreeSet::new();
    for cluster in mesh.clusters() {
        let Some(setting) = mesh_weights(mesh, cluster.id) else { continue };
        for entry in setting.distribute.iter().filter(|e| is_used(traffic, cluster.id, e)) {
            let Some(from) = &entry.from else { continue };
            let hosts = mesh.hosts().filter(|h| !has_own_setting(mesh, *h, cluster.id, &own));
            let left: Vec<Left<'_>> =
                hosts.filter_map(|h| left_out(mesh, placements, h, cluster.id, entry)).collect();
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
    let service = deciding(host, plane);
    rules.iter().any(|r| own.contains(&r.meta.span))
        || service.is_some_and(|s| !preference(mesh, s).is_absent())
}

/// Whether a host certainly has no endpoint in any locality that an entry names.
fn left_out<'m>(
    mesh: &'m Mesh,
    placements: &Placements<'m>,
    host: Host<'m>,
    plane: ClusterId,
    entry: &Distribute,
) -> Option<Left<'m>> {
    let to: Vec<_> = entry.to.iter().map(|(to, _)| LocalityPattern::parse(to)).collect();
    let named = |zone: &Locality| to.iter().any(|pattern| pattern.matches(zone));
    let mut entries = host.entries().filter(|e| e.cluster == plane);
    if let Some(one) = entries.next().filter(|_| host.services().next().is_none()) {
        let several = host.entries().filter(|e| mesh.same_mesh(e.cluster, plane)).count() > 1;
        let out = !several && !mesh.is_assumed(&one.meta) && is_outside(one, &named);
        let why = "its endpoints are in no locality that the entry names";
        return out.then_some(Left { host, at: one.named_at(), why });
    }
    let service = deciding(host, plane).filter(|s| s.type_name() != "headless")?;
    let parts = endpoints(mesh, placements, host, plane, None);
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

/// The hash of a policy's own load balancer.
fn hash_of(lb: Option<&Spanned<LoadBalancer>>) -> Option<Span> {
    lb?.consistent_hash.as_ref().map(|h| h.span)
}

/// Hashes of a policy by port.
fn port_hashes(policy: Option<&TrafficPolicy>) -> Vec<(u32, Span)> {
    let entries = policy.into_iter().flat_map(|p| &p.port_level_settings);
    entries.filter_map(|e| Some((number(e)?.value, hash_of(e.load_balancer.as_ref())?))).collect()
}

/// The hashes of ports that a route to a rule's host cannot find, since it names no port.
/// Source: `route.go`, `HashForHTTPDestination`.
fn lost_hashes(mesh: &Mesh, rule: &In<DestinationRule>, route: &Route<'_>) -> Vec<(u32, Span)> {
    let Some(http) = route.rule.filter(|_| route.service.cluster == rule.cluster) else {
        return Vec::new();
    };
    let named = |s: &&Subset| s.name.is_some() && s.name.as_ref() == route.subset();
    let subset = rule.subsets.iter().find(named);
    let own = subset.and_then(|s| s.traffic_policy.as_ref()).map(|p| &p.value);
    let whole = rule.traffic_policy.as_ref().map(|p| &p.value);
    let general = |p: &TrafficPolicy| hash_of(p.load_balancer.as_ref()).is_some();
    let unsure = mesh.is_assumed(&route.service.meta) || mesh.is_assumed(&rule.meta);
    if unsure || route.destination.port.is_some() || own.into_iter().chain(whole).any(general) {
        return Vec::new();
    }
    let mut hashes = port_hashes(own);
    hashes.extend(port_hashes(whole));
    hashes.retain(|(port, _)| may_be_called_on(mesh, http, route, *port));
    hashes
}

fn port_hash_without_port(mesh: &Mesh, found: &mut Findings) {
    let mut lost: BTreeMap<Span, (String, u32, Vec<Span>)> = BTreeMap::new();
    let routes = mesh.routes_by_host();
    for rule in &mesh.destination_rules {
        let Some(host) = host_of(rule) else { continue };
        for route in routes.get(&host).into_iter().flatten() {
            for (port, span) in lost_hashes(mesh, rule, route) {
                let (.., routes) = lost.entry(span).or_insert((host.clone(), port, Vec::new()));
                routes.push(route.host_at());
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

/// Whether a rule takes requests to a port that its destination has.
fn may_be_called_on(mesh: &Mesh, rule: &HttpRoute, route: &Route<'_>, port: u32) -> bool {
    let on = |m: &Spanned<HttpMatch>| m.port.as_ref().is_none_or(|p| p.value == port);
    let Some(service) = mesh.host(&route.host).and_then(|h| deciding(h, route.service.cluster))
    else {
        return false;
    };
    let has = service.ports.iter().filter_map(|p| p.port.as_ref());
    (rule.matches.is_empty() || rule.matches.iter().any(on))
        && has.into_iter().any(|p| u32::from(p.value) == port)
}

/// What a route leads to: control plane, host, subset.
type Target = (ClusterId, String, Option<String>);

/// Where requests have priorities by locality that somebody asked for, and the setting that asks.
fn prioritised(mesh: &Mesh) -> BTreeMap<Target, Span> {
    let mut found = BTreeMap::new();
    for level in levels(mesh).iter().filter(|l| !mesh.is_assumed(&l.rule.meta)) {
        let Some(setting) = level.enabled_locality().filter(|_| level.outliers.is_some()) else {
            continue;
        };
        let asks = !setting.failover.is_empty() || !setting.failover_priority.is_empty();
        let works = setting.distribute.is_empty() && why_without_effect(mesh, level).is_none();
        if asks && works {
            let subset = level.subset.map(|s| s.name.value.clone());
            let target = (level.control_plane(), level.host_name(), subset);
            found.entry(target).or_insert(setting.span);
        }
    }
    found
}

fn retries_stay_in_zone(mesh: &Mesh, found: &mut Findings) {
    let prioritised = prioritised(mesh);
    let mut by_rule: BTreeMap<Span, Vec<(Span, Route<'_>, Span)>> = BTreeMap::new();
    for route in mesh.routes() {
        let meta = &route.service.meta;
        let unsure = mesh.is_assumed(meta) || meta.unread.iter().any(|p| p.contains("retries"));
        let Some(retries) = route.rule.and_then(|rule| rule.retries.as_ref()) else { continue };
        let subset = route.subset().map(|s| s.value.clone());
        let target = (route.service.cluster, route.host.clone(), subset);
        let some = retries.attempts.as_ref().is_some_and(|n| n.value > 0);
        let stay = !unsure && some && retries.retry_remote_localities.is_none();
        if let Some(setting) = prioritised.get(&target).filter(|_| stay) {
            by_rule.entry(meta.span).or_default().push((retries.span, route, *setting));
        }
    }
    for all in by_rule.into_values() {
        let (span, route, setting) = &all[0];
        let finding = found.say(
            format!("retries to `{}` stay in the zone that failed", short(&route.host)),
            *span,
            "tries other endpoints of the same priority only, even where all of them fail",
        );
        finding.also(*setting, "has the next zone take over only once endpoints are ejected");
        for (span, ..) in &all[1..] {
            finding.also(*span, "and so do these");
        }
        finding.help(
            "add `retryRemoteLocalities: true` to `retries`, so that a retry may leave the zone at once",
        );
    }
}

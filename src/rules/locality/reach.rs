//! Settings that reach further than was meant, or not as far: the mesh's weights, hashes of ports,
//! retries.

use std::collections::{BTreeMap, BTreeSet};

use super::choice::{Layout, deciding, layout, preference};
use super::endpoints::endpoints;
use super::levels::{Level, levels, number};
use super::settings::mesh_weights;
use crate::clusters::ClusterId;
use crate::finding::Findings;
use crate::kinds::networking::{Distribute, HttpRoute, LoadBalancer, ServiceEntry, TrafficPolicy};
use crate::mesh::{Host, In, Locality, LocalityPattern, Mesh, Route, list, value};
use crate::placement::Placements;
use crate::source::{Span, Spanned};

/// A host that no locality of an entry has an endpoint for, and what tells so.
struct Left<'m> {
    host: Host<'m>,
    at: Span,
    why: &'static str,
}

pub(super) fn mesh_distribute_too_wide(mesh: &Mesh, found: &mut Findings) {
    let placements = Placements::new(mesh);
    let levels = levels(mesh);
    let mut told = BTreeSet::new();
    for cluster in mesh.clusters() {
        let Some(setting) = mesh_weights(mesh, cluster.id) else { continue };
        for entry in setting.distribute.iter().filter(|e| is_used(mesh, cluster.id, e)) {
            let Some(from) = &entry.from else { continue };
            let hosts = mesh.hosts().filter(|h| !has_own_setting(mesh, *h, cluster.id, &levels));
            let left: Vec<Left<'_>> =
                hosts.filter_map(|h| left_out(mesh, &placements, h, cluster.id, entry)).collect();
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

/// Whether clients of a control plane are known to stand where an entry is for.
fn is_used(mesh: &Mesh, control_plane: ClusterId, entry: &Distribute) -> bool {
    let Some(from) = &entry.from else { return false };
    let pattern = LocalityPattern::parse(from);
    let clients = mesh.client_clusters(control_plane);
    let mut places = clients.iter().flat_map(|c| mesh.places(c.id));
    from.as_str() == "*" || places.any(|p| pattern.matches(&p.locality))
}

/// Whether a DestinationRule or the Service may have a setting that goes before the mesh's.
fn has_own_setting(mesh: &Mesh, host: Host<'_>, plane: ClusterId, levels: &[Level<'_>]) -> bool {
    let rules = mesh.rules_for(host.name, plane);
    let by_rule = |l: &Level<'_>| {
        rules.iter().any(|r| std::ptr::eq(*r, l.rule))
            && (l.locality().is_some() || l.zone_aware().is_some())
    };
    let service = deciding(host, plane);
    levels.iter().any(by_rule) || service.is_some_and(|s| !preference(mesh, s).is_absent())
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
    let labelled = |e: &crate::kinds::networking::WorkloadEntry| {
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

pub(super) fn port_hash_without_port(mesh: &Mesh, found: &mut Findings) {
    let mut lost: BTreeMap<Span, (String, u32, Vec<Span>)> = BTreeMap::new();
    let routes = mesh.routes_by_host();
    for rule in mesh.destination_rules.iter().filter(|r| !mesh.is_assumed(&r.meta)) {
        let Some(host) = super::levels::host_of(rule) else { continue };
        let whole = rule.traffic_policy.as_ref().map(|p| &p.value);
        for route in routes.get(&host).into_iter().flatten() {
            let Some(http) = route.rule.filter(|_| route.service.cluster == rule.cluster) else {
                continue;
            };
            if route.destination.port.is_some() || mesh.is_assumed(&route.service.meta) {
                continue;
            }
            let named = |s: &&crate::kinds::networking::Subset| s.name.as_ref() == route.subset();
            let subset = rule.subsets.iter().filter(|s| s.name.is_some()).find(named);
            let own = subset.and_then(|s| s.traffic_policy.as_ref()).map(|p| &p.value);
            let general = [own, whole].into_iter().flatten();
            if general.into_iter().any(|p| hash_of(p.load_balancer.as_ref()).is_some()) {
                continue;
            }
            for (port, span) in port_hashes(own).into_iter().chain(port_hashes(whole)) {
                if may_be_called_on(mesh, http, route, port) {
                    let (.., routes) = lost.entry(span).or_insert((host.clone(), port, Vec::new()));
                    routes.push(route.host_at());
                }
            }
        }
    }
    for (span, (host, port, routes)) in lost {
        let finding = found.say(
            format!(
                "requests to `{}` on port {port} hash nothing: their route names no port",
                crate::mesh::short(&host)
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
    let on = |m: &Spanned<crate::kinds::networking::HttpMatch>| {
        m.port.as_ref().is_none_or(|p| p.value == port)
    };
    let Some(service) = mesh.host(&route.host).and_then(|h| deciding(h, route.service.cluster))
    else {
        return false;
    };
    let has = service.ports.iter().filter_map(|p| p.port.as_ref());
    (rule.matches.is_empty() || rule.matches.iter().any(on))
        && has.into_iter().any(|p| u32::from(p.value) == port)
}

pub(super) fn retries_stay_in_zone(mesh: &Mesh, found: &mut Findings) {
    let levels = levels(mesh);
    let mut failing: BTreeMap<(ClusterId, String), Span> = BTreeMap::new();
    for level in levels.iter().filter(|l| !mesh.is_assumed(&l.rule.meta)) {
        let setting = level
            .enabled_locality()
            .filter(|s| !s.failover.is_empty() || !s.failover_priority.is_empty());
        let prioritised = setting.filter(|s| level.outliers.is_some() && s.distribute.is_empty());
        let by_weight = matches!(layout(mesh, level), Layout::Weights(_));
        let off = super::settings::why_without_effect(mesh, level).is_some() || by_weight;
        if let Some(setting) = prioritised.filter(|_| !off) {
            failing.entry((level.control_plane(), level.host_name())).or_insert(setting.span);
        }
    }
    let mut by_rule: BTreeMap<Span, Vec<(Span, Route<'_>, Span)>> = BTreeMap::new();
    for route in mesh.routes().into_iter().filter(|r| !mesh.is_assumed(&r.service.meta)) {
        let retries = route.rule.and_then(|rule| rule.retries.as_ref());
        let Some(retries) = retries else { continue };
        let some = retries.attempts.as_ref().is_none_or(|n| n.value > 0);
        let key = (route.service.cluster, route.host.clone());
        let setting =
            failing.get(&key).filter(|_| some && retries.retry_remote_localities.is_none());
        if let Some(setting) = setting {
            let at = route.service.meta.span;
            by_rule.entry(at).or_default().push((retries.span, route, *setting));
        }
    }
    for mut all in by_rule.into_values() {
        all.dedup_by_key(|(span, ..)| *span);
        let (span, route, setting) = &all[0];
        let finding = found.say(
            format!(
                "retries to `{}` stay in the zone that failed",
                crate::mesh::short(&route.host)
            ),
            *span,
            "tries other endpoints of the same priority only, even where all of them fail",
        );
        finding.also(*setting, "has the next zone take over only once endpoints are ejected");
        for (span, ..) in &all[1..] {
            finding.also(*span, "and so do these");
        }
        finding.help("add `retryRemoteLocalities: true` to `retries`, so that a retry may leave the zone at once");
    }
}

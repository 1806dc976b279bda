//! Which locality setting applies, and what makes it go without effect.

use std::collections::{BTreeMap, BTreeSet};

use super::choice::{
    ANNOTATION, Layout, MeshWide, Preference, VALUES, deciding, is_known_annotation, layout,
    mesh_wide, of_field, preference,
};
use super::levels::{Level, levels};
use super::zone_aware;
use crate::clusters::ClusterId;
use crate::finding::{Findings, Fix};
use crate::kinds::is_placeholder;
use crate::kinds::networking::LoadBalancer;
use crate::mesh::{HostPattern, In, Lookup, Mesh, short, value};
use crate::rules::{Rule, rule};
use crate::source::{Span, Spanned, Text};

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("locality/hash-and-locality", hash_and_locality),
    rule!("locality/locality-setting-has-no-effect", locality_setting_has_no_effect),
    rule!("locality/traffic-distribution-differs", traffic_distribution_differs),
    rule!("locality/traffic-distribution-ignored", traffic_distribution_ignored),
    rule!("locality/traffic-distribution-unknown-value", traffic_distribution_unknown_value),
    rule!("locality/zone-aware-and-locality", zone_aware::zone_aware_and_locality),
    rule!("locality/zone-aware-needs-discovery", zone_aware::zone_aware_needs_discovery),
];

/// Why sidecars do not look at locality for a level at all, and what says so.
/// Source: `cluster.go`, `convertResolution`; `cluster_traffic_policy.go`, `applyLoadBalancer`.
pub(super) fn why_without_effect<'m>(
    mesh: &'m Mesh,
    level: &Level<'m>,
) -> Option<(&'static str, Span)> {
    let simple = level.load_balancer.and_then(|lb| lb.simple.as_ref());
    if let Some(simple) = simple.filter(|s| s.as_str() == "PASSTHROUGH") {
        return Some((
            "`PASSTHROUGH` sends a request to the address that it was meant for",
            simple.span,
        ));
    }
    let host = level.host(mesh)?;
    if let Some(service) = deciding(host, level.control_plane()) {
        let headless = service.cluster_ip.as_ref().filter(|ip| ip.as_str() == "None")?;
        return Some(("the Service is headless: the client chooses the pod itself", headless.span));
    }
    let mut entries = host.entries().filter(|e| e.cluster == level.control_plane());
    let entry = entries.next().filter(|_| host.services().next().is_none())?;
    let unread = entry.meta.is_unread("spec.resolution") || mesh.is_assumed(&entry.meta);
    let direct = value(entry.resolution.as_ref()).is_none_or(|r| r == "NONE") && !unread;
    let at = entry.resolution.as_ref().map_or(entry.named_at(), |r| r.span);
    direct.then_some(("a ServiceEntry of resolution `NONE` keeps the address that was called", at))
}

/// What a policy says of locality: where, and in which words.
fn says_of_locality(lb: &LoadBalancer) -> Option<(Span, &'static str)> {
    let locality = lb.locality_lb_setting.as_ref();
    let locality = locality.filter(|l| l.value.is_enabled());
    let zone_aware = lb.zone_aware_lb_setting.as_ref();
    let zone_aware = zone_aware.filter(|l| l.value.is_enabled());
    let locality = locality.map(|l| (l.span, "`localityLbSetting`"));
    locality.or_else(|| zone_aware.map(|z| (z.span, "`zoneAwareLbSetting`")))
}

fn locality_setting_has_no_effect(mesh: &Mesh, found: &mut Findings) {
    let gateways: BTreeSet<String> = mesh
        .routes()
        .into_iter()
        .filter(|r| !r.service.gateways.is_empty())
        .map(|r| r.host)
        .collect();
    let mut told = BTreeSet::new();
    let levels = levels(mesh);
    let says = |level: &Level<'_>| level.load_balancer.and_then(|lb| says_of_locality(lb));
    // A text that clusters share may have an effect in one of them.
    let works = levels.iter().filter(|level| why_without_effect(mesh, level).is_none());
    let works: BTreeSet<Span> = works.filter_map(|l| Some(says(l)?.0)).collect();
    for level in &levels {
        let Some((span, what)) = says(level).filter(|(span, _)| !works.contains(span)) else {
            continue;
        };
        let Some((why, at)) = why_without_effect(mesh, level) else { continue };
        let lb_says = level.load_balancer.is_some_and(|lb| lb.span.contains(at));
        // Gateways choose an endpoint of a headless service like of any other.
        if !lb_says && gateways.contains(&level.host_name()) || !told.insert(span) {
            continue;
        }
        found
            .say(
                format!("{what} of {}{} has no effect for sidecars", level.target(), level.on_port()),
                span,
                "no zone, weight or failover counts here",
            )
            .also(at, why)
            .help(if lb_says {
                "take `simple: PASSTHROUGH` away, or the locality setting"
            } else {
                "take the setting away, or call a Service with a cluster IP (an entry with `STATIC` or `DNS`)"
            });
    }
}

/// Levels by control plane and namespace, with their hosts.
type ByNamespace<'l, 'm> = BTreeMap<(ClusterId, &'m str), Vec<(String, &'l Level<'m>)>>;

/// The levels that clients in the host's own namespace can meet for it.
/// Source: `push_context.go`, `destinationRule`.
fn levels_for<'l, 'm>(
    levels: &ByNamespace<'l, 'm>,
    host: &str,
    control_plane: ClusterId,
    namespaces: [&'m str; 2],
) -> Vec<&'l Level<'m>> {
    let rank = |pattern: &str| HostPattern(pattern).specificity();
    for namespace in namespaces {
        let here = levels.get(&(control_plane, namespace)).into_iter().flatten();
        let matching: Vec<_> = here.filter(|(p, _)| HostPattern(p).matches(host)).collect();
        if let Some(best) = matching.iter().map(|(p, _)| rank(p)).max() {
            let best = matching.into_iter().filter(|(p, _)| rank(p) == best);
            return best.map(|(_, level)| *level).collect();
        }
    }
    Vec::new()
}

fn traffic_distribution_ignored(mesh: &Mesh, found: &mut Findings) {
    let levels = levels(mesh);
    let mut by_namespace = ByNamespace::new();
    for level in levels.iter().filter(|l| l.rule.workload_selector.is_none()) {
        let key = (level.control_plane(), level.rule.namespace.as_str());
        by_namespace.entry(key).or_default().push((level.host_name(), level));
    }
    let mut told = BTreeSet::new();
    for service in &mesh.services {
        let Lookup::Found(asked) = preference(mesh, service) else { continue };
        let name = crate::mesh::fqdn(service.name(), &service.namespace);
        let plane = mesh.config_cluster(service.cluster).found();
        let Some((plane, host)) = plane.zip(mesh.host(&name)) else { continue };
        let decides = deciding(host, plane).is_some_and(|s| std::ptr::eq(s, service));
        let namespaces = [service.namespace.as_str(), mesh.root_namespace(plane)];
        if !decides || is_ambient(mesh, service) {
            continue;
        }
        let here = levels_for(&by_namespace, &name, plane, namespaces);
        let Some((level, at, what)) = here.iter().find_map(|level| replacing(level)) else {
            continue;
        };
        if !told.insert((service.meta.span, at)) {
            continue;
        }
        found
            .say(
                format!(
                    "`{}` asks for `{}`, and a DestinationRule's {what} goes before it",
                    short(&name),
                    asked.name()
                ),
                asked.at.span,
                "ignored by sidecars and waypoints",
            )
            .also(at, format!("replaces it as a whole, for {}{}", level.target(), level.on_port()))
            .help("keep one of the two: what the Service asks for needs no DestinationRule");
    }
}

/// The setting of a level that goes before the Service's preference. A setting that is itself idle for
/// want of outlier detection is said elsewhere.
fn replacing<'l, 'm>(level: &'l Level<'m>) -> Option<(&'l Level<'m>, Span, &'static str)> {
    if let Some(zone_aware) = level.zone_aware() {
        return Some((level, zone_aware.span, "`zoneAwareLbSetting`"));
    }
    let setting = level.locality()?;
    let on = level.enabled_locality().is_some();
    let idle = on && setting.distribute.is_empty() && level.outliers.is_none();
    (!idle).then_some((level, setting.span, "`localityLbSetting`"))
}

/// Whether a Service's namespace is in ambient mode, in which ztunnel goes by the Service.
fn is_ambient(mesh: &Mesh, service: &In<crate::kinds::core::Service>) -> bool {
    let namespace = mesh.namespace(service.cluster, &service.namespace).found();
    let mode = namespace.and_then(|n| n.meta.label("istio.io/dataplane-mode"));
    mode.is_some_and(|mode| mode.as_str() == "ambient")
}

fn traffic_distribution_unknown_value(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    let mut say = |what: String, value: &Text, effect: &str| {
        if !told.insert(value.span) {
            return;
        }
        let same = VALUES.into_iter().find(|k| k.eq_ignore_ascii_case(value));
        let nearest = match Lookup::<()>::absent(value, VALUES) {
            Lookup::Absent { nearest } => nearest,
            _ => None,
        };
        let meant = same.map(str::to_owned).or(nearest);
        found
            .say(format!("{what} `{value}` means nothing to Istio"), value.span, effect)
            .help("the values are `PreferSameZone` (or `PreferClose`) and `PreferSameNode`")
            .fix(meant.map(|m| Fix::unsafe_replace(format!("use `{m}`"), value.span, m)));
    };
    let unknown = |value: &&Text| !is_placeholder(value);
    for service in &mesh.services {
        let name = short_name(service);
        let field = service.traffic_distribution.as_ref().filter(unknown);
        if let Some(value) = field.filter(|v| of_field(v).is_none()) {
            say(format!("`trafficDistribution` of {name}:"), value, "ignored: no zone goes first");
        }
        let annotation = service.meta.annotation(ANNOTATION).filter(unknown);
        if let Some(value) = annotation.filter(|v| !is_known_annotation(v)) {
            say(
                format!("traffic distribution of {name}:"),
                value,
                "no preference, nor its namespace's",
            );
        }
    }
    for namespace in &mesh.namespaces {
        let annotation = namespace.meta.annotation(ANNOTATION).filter(unknown);
        if let Some(value) = annotation.filter(|v| !is_known_annotation(v)) {
            let what = format!("traffic distribution of namespace `{}`:", namespace.name());
            say(what, value, "no preference for any of its Services");
        }
    }
}

fn short_name(service: &In<crate::kinds::core::Service>) -> String {
    format!("`{}.{}`", service.name(), service.namespace)
}

fn traffic_distribution_differs(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for host in mesh.hosts() {
        for clusters in mesh.meshes() {
            let Some(of) = clusters.first() else { continue };
            let sure = |s: &&In<_>| {
                !mesh.is_assumed(&s.meta) && !s.meta.is_unread("spec.trafficDistribution")
            };
            let services: Vec<_> = host.services_of_mesh(of.id).filter(sure).collect();
            let asked: Vec<_> = services.iter().map(|s| (*s, preference(mesh, s))).collect();
            let first = asked.iter().find_map(|(s, p)| match p {
                Lookup::Found(asked) => Some((*s, *asked)),
                _ => None,
            });
            let Some((with, preferred)) = first else { continue };
            // What a namespace asks for in one cluster, it may ask for in another that is not seen.
            let by_service = with.meta.span.contains(preferred.at.span);
            let knows_namespace =
                |s: &Service| mesh.namespace(s.cluster, &s.namespace).found().is_some();
            let other = asked.iter().find(|(other_service, p)| match p {
                Lookup::Found(other) => other.node != preferred.node,
                Lookup::Absent { .. } => by_service || knows_namespace(other_service),
                Lookup::Unseen => false,
            });
            let Some((other, differs)) = other else { continue };
            if !told.insert((preferred.at.span, other.meta.span)) {
                continue;
            }
            say_differs(mesh, found, host.short(), (with, preferred), (*other, differs));
        }
    }
}

type Service = In<crate::kinds::core::Service>;

fn say_differs(
    mesh: &Mesh,
    found: &mut Findings,
    host: &str,
    (with, preferred): (&Service, Preference<'_>),
    (other, differs): (&Service, &Lookup<Preference<'_>>),
) {
    let (one, two) = (mesh.cluster_name(with.cluster), mesh.cluster_name(other.cluster));
    let (at, asks) = match differs {
        Lookup::Found(asked) => (asked.at.span, format!("asks for `{}`", asked.name())),
        _ => (other.named_at(), "asks for nothing".to_owned()),
    };
    let planes = [with, other].map(|s| mesh.config_cluster(s.cluster).found());
    let effect = if planes[0] == planes[1] {
        "one control plane serves both, and goes by the Service of its own cluster alone"
    } else {
        "each control plane goes by the Service of its own cluster"
    };
    found
        .say(
            format!(
                "`{host}` asks for `{}` in `{one}` and {asks} in `{two}`",
                preferred.name(),
                asks = asks.replacen("asks ", "", 1)
            ),
            preferred.at.span,
            effect,
        )
        .also(at, format!("{asks} in `{two}`"))
        .help("give the Service the same `trafficDistribution` in all clusters");
}

fn hash_and_locality(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for level in levels(mesh).iter().filter(|l| !mesh.is_assumed(&l.rule.meta)) {
        let hash = level.load_balancer.and_then(|lb| lb.consistent_hash.as_ref());
        let Some(hash) = hash else { continue };
        let setting: Option<&Spanned<_>> = match layout(mesh, level) {
            Layout::OwnZoneFirst(Some(setting)) | Layout::Weights(setting) => Some(setting),
            Layout::OwnZoneFirst(None) => None,
            Layout::Other | Layout::Unknown => continue,
        };
        let zones: usize = mesh.peers(level.control_plane()).map(|c| mesh.zones(c.id).len()).sum();
        let unclear = setting.is_none() && zones < 2;
        if unclear || why_without_effect(mesh, level).is_some() || !told.insert(hash.span) {
            continue;
        }
        let finding = found.say(
            format!("{}{} hashes within each zone: one key goes to another pod from each", level.target(), level.on_port()),
            hash.span,
            "the ring holds the endpoints of the client's zone; when the zone is short of healthy ones, keys move",
        );
        match (setting, level.outliers) {
            (Some(setting), _) => finding.also(setting.span, "puts zones before keys"),
            (None, Some(outliers)) => {
                finding.also(outliers.span, "switches the built-in locality setting on")
            }
            (None, None) => {
                let service = level.host(mesh).and_then(|h| deciding(h, level.control_plane()));
                match service.and_then(|s| preference(mesh, s).found()) {
                    Some(asked) => finding.also(asked.at.span, "puts zones before keys"),
                    None => finding,
                }
            }
        };
        finding.help(
            "where a key has to have one pod for all clients, spread over all zones: \
             `localityLbSetting: {enabled: false}`",
        );
    }
}

/// The mesh-wide setting by weights.
pub(super) fn mesh_weights(
    mesh: &Mesh,
    control_plane: ClusterId,
) -> Option<&Spanned<crate::kinds::networking::LocalityLb>> {
    match mesh_wide(mesh, control_plane) {
        MeshWide::Locality(setting) if !setting.distribute.is_empty() => Some(setting),
        _ => None,
    }
}

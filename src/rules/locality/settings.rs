//! Which locality setting applies, and what makes it go without effect.

use std::collections::{BTreeMap, BTreeSet};

use super::zone_aware;
use crate::clusters::ClusterId;
use crate::finding::{Findings, Fix};
use crate::kinds::is_placeholder;
use crate::kinds::networking::LoadBalancer;
use crate::mesh::{Client, HostPattern, In, Lookup, Mesh, short};
use crate::rules::{Rule, rule};
use crate::source::{Span, Text};
use crate::traffic::Traffic;
use crate::traffic::delivery::Delivery;
use crate::traffic::distribution::{self, ANNOTATION, Asked, Known, Preference, WORDS};
use crate::traffic::effective::{EffectivePolicy, Layout};
use crate::traffic::step::Step;

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("locality/hash-and-locality", policies: hash_and_locality),
    rule!("locality/locality-setting-has-no-effect", policies: locality_setting_has_no_effect),
    rule!("locality/traffic-distribution-differs", traffic_distribution_differs),
    rule!("locality/traffic-distribution-ignored", policies: traffic_distribution_ignored),
    rule!("locality/traffic-distribution-unknown-value", traffic_distribution_unknown_value),
    rule!("locality/zone-aware-and-locality", zone_aware::zone_aware_and_locality),
    rule!("locality/zone-aware-needs-discovery", policies: zone_aware::zone_aware_needs_discovery),
];

type Service = In<crate::kinds::core::Service>;

/// What a policy says of locality: where, and in which words.
fn says_of_locality(lb: &LoadBalancer) -> Option<(Span, &'static str)> {
    let locality = lb.locality_lb_setting.as_ref();
    let locality = locality.filter(|l| l.value.is_enabled());
    let zone_aware = lb.zone_aware_lb_setting.as_ref();
    let zone_aware = zone_aware.filter(|l| l.value.is_enabled());
    let locality = locality.map(|l| (l.span, "`localityLbSetting`"));
    locality.or_else(|| zone_aware.map(|z| (z.span, "`zoneAwareLbSetting`")))
}

/// Why sidecars do not look at locality at all, and what says so.
fn why_without_effect<'p>(policy: &'p EffectivePolicy<'_>) -> Option<(&'p str, Span)> {
    match &policy.delivery {
        Delivery::OriginalDestination(Step { text, span: Some(span) }) => Some((text, *span)),
        _ => None,
    }
}

fn locality_setting_has_no_effect(traffic: &Traffic<'_>, found: &mut Findings) {
    let routes = traffic.mesh().routes();
    let by_gateway = routes.iter().filter(|r| !r.service.gateways.is_empty());
    let gateways: BTreeSet<&str> = by_gateway.map(|r| r.host.as_str()).collect();
    let mut told = BTreeSet::new();
    let says = |p: &EffectivePolicy<'_>| p.load_balancer().and_then(|lb| says_of_locality(lb));
    // A text that clusters share may have an effect in one of them, and a pattern for another host.
    let works = |p: &&EffectivePolicy<'_>| {
        let names_host = !HostPattern(&p.pattern()).is_wildcard();
        why_without_effect(p).is_none_or(|(_, at)| !names_host && !is_by_balancer(p, at))
    };
    let works = traffic.policies().iter().filter(works);
    let works: BTreeSet<Span> = works.filter_map(|p| Some(says(p)?.0)).collect();
    for policy in traffic.policies() {
        let Some((span, what)) = says(policy).filter(|(span, _)| !works.contains(span)) else {
            continue;
        };
        let Some((why, at)) = why_without_effect(policy) else { continue };
        let lb_says = is_by_balancer(policy, at);
        // Gateways choose an endpoint of a headless service like of any other.
        let by_gateway = !lb_says && gateways.contains(policy.host_name().as_str());
        if by_gateway || !told.insert(span) {
            continue;
        }
        found
            .say(
                format!(
                    "{what} of {}{} has no effect for sidecars",
                    policy.target(),
                    policy.on_port()
                ),
                span,
                "no zone, weight or failover counts here",
            )
            .also(at, why)
            .help(if lb_says {
                "remove `simple: PASSTHROUGH`, or the locality setting"
            } else {
                "remove the setting; for zones to count, clients have to call a Service with a cluster IP, or a ServiceEntry with `resolution: STATIC` or `DNS`"
            });
    }
}

/// Whether a place is in the policy's own `loadBalancer`.
fn is_by_balancer(policy: &EffectivePolicy<'_>, at: Span) -> bool {
    policy.load_balancer().is_some_and(|lb| lb.span.contains(at))
}

fn traffic_distribution_ignored(traffic: &Traffic<'_>, found: &mut Findings) {
    let mesh = traffic.mesh();
    let mut by_host: BTreeMap<(ClusterId, &str), Vec<&EffectivePolicy<'_>>> = BTreeMap::new();
    for policy in traffic.policies() {
        if let Some(host) = policy.host {
            by_host.entry((policy.control_plane, host.name)).or_default().push(policy);
        }
    }
    let mut told = BTreeSet::new();
    for service in &mesh.services {
        let name = crate::mesh::fqdn(service.name(), &service.namespace);
        let Some(plane) = mesh.config_cluster(service.cluster).found() else { continue };
        let decides = mesh.host(&name).and_then(|host| host.certain_service_for(plane));
        let decides = decides.is_some_and(|decides| std::ptr::eq(decides, service));
        let policies = by_host.get(&(plane, name.as_str())).filter(|_| decides);
        let asked = distribution::asked(mesh, plane, service).ok().flatten();
        let Some((policies, asked)) = policies.zip(asked) else { continue };
        let (labels, locality) = (None, None);
        let client = Client { cluster: plane, namespace: &service.namespace, labels, locality };
        let choice = mesh.choose_rule(&client, &name, Some(&service.namespace), plane);
        // What a Namespace says for all, the rule of one host may take back.
        let by_itself = service.meta.span.contains(asked.told.span);
        let exception = |p: &EffectivePolicy<'_>| !by_itself && p.is_switched_off();
        let mut here = policies.iter().filter(|p| p.is_of(&choice) && !exception(p));
        let Some((policy, at, what)) = here.find_map(|policy| replacing(policy)) else { continue };
        if is_ambient(mesh, service) || !told.insert((service.meta.span, at)) {
            continue;
        }
        found
            .say(
                format!(
                    "`{}` asks for `{}`, and a DestinationRule's {what} goes before it",
                    short(&name),
                    asked.prefers.word()
                ),
                asked.told.span,
                "ignored by sidecars and waypoints",
            )
            .also(
                at,
                format!("replaces it as a whole, for {}{}", policy.target(), policy.on_port()),
            )
            .help("keep one of the two: what the Service asks for needs no DestinationRule");
    }
}

/// The setting of a policy that goes before the Service's preference. A setting that is itself idle for
/// want of outlier detection is said elsewhere.
fn replacing<'p, 'm>(
    policy: &'p EffectivePolicy<'m>,
) -> Option<(&'p EffectivePolicy<'m>, Span, &'static str)> {
    if let Some(zone_aware) = policy.zone_aware() {
        return Some((policy, zone_aware.span, "`zoneAwareLbSetting`"));
    }
    let setting = policy.locality()?;
    let on = policy.enabled_locality().is_some();
    let idle = on && setting.distribute.is_empty() && policy.outliers().is_none();
    (!idle).then_some((policy, setting.span, "`localityLbSetting`"))
}

/// Whether a Service's namespace is in ambient mode, in which ztunnel goes by the Service.
fn is_ambient(mesh: &Mesh, service: &Service) -> bool {
    let namespace = mesh.namespace(service.cluster, &service.namespace).found();
    let mode = namespace.and_then(|n| n.meta.label("istio.io/dataplane-mode"));
    mode.is_some_and(|mode| mode.as_str() == "ambient")
}

/// The last minor version of Istio that knows `PreferClose` alone.
const CLOSE_ALONE: &str = "1.26";

fn traffic_distribution_unknown_value(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    let mut say = |what: String, value: &Text, effect: &str| {
        if told.insert(value.span) {
            say_unknown(&what, value, effect, found);
        }
    };
    let told_now = |value: &&Text| !is_placeholder(value);
    for service in &mesh.services {
        let name = short_name(service);
        let known = known_in(mesh, service.cluster);
        let field = service.traffic_distribution.as_ref().filter(told_now);
        if let Some(value) = field.filter(|v| known.preference(v).is_none()) {
            say(format!("`trafficDistribution` of {name}:"), value, "ignored: no zone goes first");
        }
        let annotation = service.meta.annotation(ANNOTATION).filter(told_now);
        if let Some(value) = annotation.filter(|v| !known.has_annotation(v)) {
            say(
                format!("traffic distribution of {name}:"),
                value,
                "no preference, nor its namespace's",
            );
        }
    }
    for namespace in &mesh.namespaces {
        let annotation = namespace.meta.annotation(ANNOTATION).filter(told_now);
        let known = known_in(mesh, namespace.cluster);
        if let Some(value) = annotation.filter(|v| !known.has_annotation(v)) {
            let what = format!("traffic distribution of namespace `{}`:", namespace.name());
            say(what, value, "no preference for any of its Services");
        }
    }
}

/// What the control plane of a cluster knows.
fn known_in(mesh: &Mesh, cluster: ClusterId) -> Known {
    Known::to(mesh, mesh.config_cluster(cluster).found().unwrap_or(cluster))
}

fn say_unknown(what: &str, value: &Text, effect: &str, found: &mut Findings) {
    let same = WORDS.into_iter().find(|k| k.eq_ignore_ascii_case(value));
    if same.is_some_and(|same| same == value.as_str()) {
        found
            .say(
                format!("{what} `{value}` means nothing to Istio up to {CLOSE_ALONE}"),
                value.span,
                effect,
            )
            .help("write `PreferClose`, which asks for the zone too, or go to Istio 1.27");
        return;
    }
    let nearest = match Lookup::<()>::absent(value, WORDS) {
        Lookup::Absent { nearest } => nearest,
        _ => None,
    };
    let meant = same.map(str::to_owned).or(nearest);
    found
        .say(format!("{what} `{value}` means nothing to Istio"), value.span, effect)
        .help("the values are `PreferSameZone` (or `PreferClose`) and `PreferSameNode`")
        .fix(meant.map(|m| Fix::unsafe_replace(format!("use `{m}`"), value.span, m)));
}

fn short_name(service: &Service) -> String {
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
            let plane = |s: &Service| mesh.config_cluster(s.cluster).found().unwrap_or(s.cluster);
            let asked = |s| distribution::asked(mesh, plane(s), s);
            let asked: Vec<_> = services.iter().map(|s| (*s, asked(s))).collect();
            let first = asked.iter().find_map(|(s, asked)| Some((*s, asked.ok().flatten()?)));
            let Some((with, preferred)) = first else { continue };
            // What a namespace asks for in one cluster, it may ask for in another that is not seen.
            let by_service = with.meta.span.contains(preferred.told.span);
            let knows_namespace =
                |s: &Service| mesh.namespace(s.cluster, &s.namespace).found().is_some();
            let other = asked.iter().find(|(other_service, p)| match p {
                Ok(Some(other)) => is_for_node(*other) != is_for_node(preferred),
                Ok(None) => by_service || knows_namespace(other_service),
                Err(_) => false,
            });
            let Some((other, differs)) = other else { continue };
            if !told.insert((preferred.told.span, other.meta.span)) {
                continue;
            }
            let differs = differs.ok().flatten();
            say_differs(mesh, found, host.short(), (with, preferred), (*other, differs));
        }
    }
}

/// Whether the own node goes before all else, and not just the own zone.
fn is_for_node(asked: Asked<'_>) -> bool {
    asked.prefers == Preference::SameNode
}

fn say_differs(
    mesh: &Mesh,
    found: &mut Findings,
    host: &str,
    (with, preferred): (&Service, Asked<'_>),
    (other, differs): (&Service, Option<Asked<'_>>),
) {
    let (one, two) = (mesh.cluster_name(with.cluster), mesh.cluster_name(other.cluster));
    let (at, asks) = match differs {
        Some(asked) => (asked.told.span, format!("asks for `{}`", asked.prefers.word())),
        None => (other.named_at(), "asks for nothing".to_owned()),
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
                preferred.prefers.word(),
                asks = asks.replacen("asks ", "", 1)
            ),
            preferred.told.span,
            effect,
        )
        .also(at, format!("{asks} in `{two}`"))
        .help("give the Service the same `trafficDistribution` in all clusters");
}

fn hash_and_locality(traffic: &Traffic<'_>, found: &mut Findings) {
    let mesh = traffic.mesh();
    let mut told = BTreeSet::new();
    for policy in traffic.policies().iter().filter(|p| p.is_certain && p.is_balanced()) {
        let hash = policy.load_balancer().and_then(|lb| lb.consistent_hash.as_ref());
        let (Some(hash), Some((cause, effect))) = (hash, zones_before_keys(mesh, policy)) else {
            continue;
        };
        if !told.insert(hash.span) {
            continue;
        }
        found
            .say(format!("{}{} hashes within each zone: one key goes to another pod from each", policy.target(), policy.on_port()),
            hash.span,
            "the ring holds the endpoints of the client's zone; when the zone is short of healthy ones, keys move",
            )
            .also(cause, effect)
            .help(
                "where a key has to have one pod for all clients, spread over all zones: \
                 `localityLbSetting: {enabled: false}`",
            );
    }
}

/// What makes clients of a policy keep to their zone.
fn zones_before_keys(mesh: &Mesh, policy: &EffectivePolicy<'_>) -> Option<(Span, &'static str)> {
    let asked = || policy.asked(mesh).ok().flatten();
    match policy.layout() {
        Layout::OwnZoneFirst(Some(setting)) | Layout::Weights(setting) => {
            Some((setting.span, "puts zones before keys"))
        }
        Layout::OwnZoneFirst(None) if asked().is_some() => {
            asked().map(|asked| (asked.told.span, "puts zones before keys"))
        }
        // Nobody asks for it, so that nobody has to have zones.
        Layout::OwnZoneFirst(None) => {
            let zones = mesh.peers(policy.control_plane).map(|c| mesh.zones(c.id).len());
            let outliers = policy.outliers().filter(|_| zones.sum::<usize>() > 1)?;
            Some((outliers.span, "switches the built-in locality setting on"))
        }
        Layout::Other | Layout::Unknown => None,
    }
}

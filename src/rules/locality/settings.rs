//! Which locality setting applies, and what makes it go without effect.

use std::collections::{BTreeMap, BTreeSet};

use super::choice::{
    ANNOTATION, Layout, MeshWide, Preference, deciding, knows_mesh_config, layout, mesh_configs,
    mesh_wide, mesh_zone_aware, of_annotation, of_field, preference,
};
use super::endpoints::{Endpoints, of_level};
use super::levels::{Level, host_of, levels};
use super::reach;
use crate::clusters::ClusterId;
use crate::finding::{Findings, Fix, Severity};
use crate::kinds::is_placeholder;
use crate::kinds::networking::LoadBalancer;
use crate::mesh::{HostPattern, In, Lookup, Mesh, short, value};
use crate::placement::Placements;
use crate::rules::{Rule, rule};
use crate::source::{Span, Spanned, Text};

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("locality/hash-and-locality", hash_and_locality),
    rule!("locality/locality-setting-has-no-effect", locality_setting_has_no_effect),
    rule!("locality/mesh-distribute-too-wide", reach::mesh_distribute_too_wide),
    rule!("locality/port-hash-without-port", reach::port_hash_without_port),
    rule!("locality/retries-stay-in-zone", reach::retries_stay_in_zone),
    rule!("locality/traffic-distribution-differs", traffic_distribution_differs),
    rule!("locality/traffic-distribution-ignored", traffic_distribution_ignored),
    rule!("locality/traffic-distribution-unknown-value", traffic_distribution_unknown_value),
    rule!("locality/zone-aware-and-locality", zone_aware_and_locality),
    rule!("locality/zone-aware-needs-discovery", zone_aware_needs_discovery),
];

/// Makes proxies tell Envoy the zones of their own workload.
const DISCOVERY: &str = "ISTIO_META_ENABLE_SELF_DISCOVERY";

/// Where the default of `minClusterSize` is not told otherwise. Source: Envoy, `ZoneAwareLbConfig`.
const MIN_CLUSTER_SIZE: u64 = 6;

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
    let locality = locality.filter(|l| l.enabled.as_ref().is_none_or(|e| e.value));
    let zone_aware = lb.zone_aware_lb_setting.as_ref();
    let zone_aware = zone_aware.filter(|l| l.enabled.as_ref().is_none_or(|e| e.value));
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
    for level in levels(mesh) {
        let Some((span, what)) = level.load_balancer.and_then(|lb| says_of_locality(lb)) else {
            continue;
        };
        let Some((why, at)) = why_without_effect(mesh, &level) else { continue };
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

/// The DestinationRules that clients in the host's own namespace can get for it.
fn rules_of<'m>(
    levels: &'m [Level<'m>],
    host: &str,
    control_plane: ClusterId,
    namespaces: [&str; 2],
) -> Vec<&'m Level<'m>> {
    for namespace in namespaces {
        let here = levels.iter().filter(|l| {
            l.control_plane() == control_plane
                && l.rule.namespace == namespace
                && l.rule.workload_selector.is_none()
        });
        let matching: Vec<_> = here.filter(|l| HostPattern(&l.host_name()).matches(host)).collect();
        let rank = |l: &Level<'_>| HostPattern(&l.host_name()).specificity();
        if let Some(best) = matching.iter().map(|l| rank(l)).max() {
            return matching.into_iter().filter(|l| rank(l) == best).collect();
        }
    }
    Vec::new()
}

fn traffic_distribution_ignored(mesh: &Mesh, found: &mut Findings) {
    let levels = levels(mesh);
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
        let here = rules_of(&levels, &name, plane, namespaces);
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
fn replacing<'m>(level: &'m Level<'m>) -> Option<(&'m Level<'m>, Span, &'static str)> {
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
        let known = ["PreferClose", "PreferSameZone", "PreferSameNode"];
        let same = known.into_iter().find(|k| k.eq_ignore_ascii_case(value));
        let nearest = match Lookup::<()>::absent(value, known) {
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
        if let Some(value) = annotation.filter(|v| of_annotation(v).is_none()) {
            say(
                format!("traffic distribution of {name}:"),
                value,
                "no preference, nor its namespace's",
            );
        }
    }
    for namespace in &mesh.namespaces {
        let annotation = namespace.meta.annotation(ANNOTATION).filter(unknown);
        if let Some(value) = annotation.filter(|v| of_annotation(v).is_none()) {
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
            let other = asked.iter().find(|(_, p)| match p {
                Lookup::Found(other) => other.node != preferred.node,
                Lookup::Absent { .. } => true,
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

fn zone_aware_and_locality(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for rule in &mesh.destination_rules {
        let whole = rule.traffic_policy.iter();
        let policies = whole.chain(rule.subsets.iter().filter_map(|s| s.traffic_policy.as_ref()));
        let balancers = policies.flat_map(|p| {
            let ports = p.port_level_settings.iter().filter_map(|p| p.load_balancer.as_ref());
            p.load_balancer.iter().chain(ports)
        });
        for lb in balancers {
            let both = lb.locality_lb_setting.as_ref().zip(lb.zone_aware_lb_setting.as_ref());
            let Some((locality, zone_aware)) = both else { continue };
            if !told.insert(lb.span) {
                continue;
            }
            let host = host_of(rule).unwrap_or_default();
            found
                .say(
                    format!(
                        "`{}` has `localityLbSetting` and `zoneAwareLbSetting` at once",
                        short(&host)
                    ),
                    zone_aware.span,
                    "refused by Istio's webhook; without it, this one counts",
                )
                .also(locality.span, "never counts beside the other")
                .help("keep one of the two");
        }
    }
    for cluster in mesh.clusters() {
        let configs = mesh_configs(mesh, cluster.id).iter();
        let locality = configs.filter_map(|c| c.locality_lb_setting.as_ref()).find(|l| {
            let asks =
                [l.distribute.is_empty(), l.failover.is_empty(), l.failover_priority.is_empty()];
            asks.contains(&false)
        });
        let zone_aware = mesh_zone_aware(mesh, cluster.id);
        let Some((locality, zone_aware)) = locality.zip(zone_aware) else { continue };
        if told.insert(zone_aware.span) {
            found
                .say(
                    "the mesh's `localityLbSetting` never counts beside its `zoneAwareLbSetting`, which Istio accepts",
                    zone_aware.span,
                    "goes first, even where it is switched off",
                )
                .also(locality.span, "never counts")
                .help("keep one of the two")
                .lower(Severity::Warning);
        }
    }
}

fn zone_aware_needs_discovery(mesh: &Mesh, found: &mut Findings) {
    let levels = levels(mesh);
    let mut told = BTreeSet::new();
    for cluster in mesh.clusters() {
        let known = knows_mesh_config(mesh, cluster.id) && !overrides_proxies(mesh, cluster.id);
        let configs = mesh_configs(mesh, cluster.id).iter();
        let variable =
            configs.filter_map(|c| c.default_config.proxy_metadata.get(DISCOVERY)).next();
        let on = variable.filter(|v| v.as_str() == "true");
        let here = levels.iter().filter(|l| l.control_plane() == cluster.id);
        let of_rules = here.filter_map(Level::zone_aware);
        let wanted: Vec<_> =
            mesh_zone_aware(mesh, cluster.id).into_iter().chain(of_rules).collect();
        let first = wanted.iter().find(|z| z.enabled.as_ref().is_none_or(|e| e.value));
        match (first, on) {
            (Some(setting), None) if known && told.insert(setting.span) => {
                let finding = found.say(
                    format!("zone-aware routing balances no zones: proxies lack `{DISCOVERY}`"),
                    setting.span,
                    "requests stay in their region, and spread over its zones by the number of pods",
                );
                if let Some(off) = variable {
                    finding.also(off.span, "only `true` switches it on");
                }
                finding.help(format!(
                    "set `meshConfig: {{defaultConfig: {{proxyMetadata: {{{DISCOVERY}: \"true\"}}}}}}`, and \
                     restart the clients"
                ));
            }
            (None, Some(on)) if wanted.is_empty() && told.insert(on.span) => {
                found
                    .say(
                        format!("`{DISCOVERY}` keeps requests of every host in their zone, without any `zoneAwareLbSetting`"),
                        on.span,
                        "Envoy routes by zone wherever nothing else is said of locality",
                    )
                    .help("say it for the whole mesh by `zoneAwareLbSetting`, or take the variable away");
            }
            _ => {}
        }
    }
    too_small_for_zones(mesh, &levels, found);
}

/// Whether something else than the MeshConfig may set the environment of proxies.
fn overrides_proxies(mesh: &Mesh, control_plane: ClusterId) -> bool {
    let by_pod = |w: &In<crate::kinds::workloads::Workload>| {
        let template = &w.template.metadata.annotations;
        template.iter().any(|(key, text)| {
            key.as_str() == "proxy.istio.io/config"
                && (text.contains(DISCOVERY) || is_placeholder(text))
        })
    };
    let objects = mesh.istio_objects.iter();
    objects.filter(|o| o.cluster == control_plane).any(|o| o.meta.kind.as_str() == "ProxyConfig")
        || mesh.workloads.iter().any(by_pod)
}

/// Zone-aware routing of hosts that never have enough endpoints for it.
fn too_small_for_zones(mesh: &Mesh, levels: &[Level<'_>], found: &mut Findings) {
    let placements = Placements::new(mesh);
    let mut by_setting: BTreeMap<Span, Vec<_>> = BTreeMap::new();
    for level in levels {
        let on = level.zone_aware().filter(|z| z.enabled.as_ref().is_none_or(|e| e.value));
        if let Some(setting) = on.filter(|_| !mesh.is_assumed(&level.rule.meta)) {
            by_setting.entry(setting.span).or_default().push((level, setting));
        }
    }
    for (span, all) in by_setting {
        let (level, setting) = all[0];
        let least = setting.min_cluster_size.as_ref().map_or(MIN_CLUSTER_SIZE, |n| n.value);
        let most = all.iter().map(|(level, _)| {
            let parts = of_level(mesh, &placements, level);
            parts.iter().map(Endpoints::most).max().map(u64::from)
        });
        let most: Option<Vec<u64>> = most.collect();
        let Some(most) = most.and_then(|all| all.into_iter().max()) else { continue };
        if most >= least || most == 0 {
            continue;
        }
        let at = setting.min_cluster_size.as_ref().map_or(span, |n| n.span);
        let unset = if setting.min_cluster_size.is_none() { " (6 where not set)" } else { "" };
        found
            .say(
                format!(
                    "zone-aware routing of {} balances no zones: it has {most} endpoints at most, and needs {least}",
                    level.target()
                ),
                at,
                format!("`minClusterSize`{unset}: with fewer, requests spread over all zones of the region"),
            )
            .help(format!("set `minClusterSize` to {most} or less, or run more replicas"));
    }
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
            (None, None) => finding,
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

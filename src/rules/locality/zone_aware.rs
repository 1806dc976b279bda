//! Zone-aware routing: what it needs, and what it does not go together with.

use std::collections::{BTreeMap, BTreeSet};

use crate::clusters::ClusterId;
use crate::finding::{Findings, Severity};
use crate::kinds::is_placeholder;
use crate::mesh::{In, Mesh, short};
use crate::source::{Span, Text};
use crate::traffic::Traffic;
use crate::traffic::effective::{EffectivePolicy, host_of};
use crate::traffic::view::View;

/// Makes proxies tell Envoy the zones of their own workload.
const DISCOVERY: &str = "ISTIO_META_ENABLE_SELF_DISCOVERY";

/// Where the default of `minClusterSize` is not told otherwise. Source: Envoy, `ZoneAwareLbConfig`.
const MIN_CLUSTER_SIZE: u64 = 6;

pub(super) fn zone_aware_and_locality(mesh: &Mesh, found: &mut Findings) {
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
    both_for_the_mesh(mesh, found);
}

/// The same in MeshConfig, where nothing refuses it.
fn both_for_the_mesh(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for cluster in mesh.clusters() {
        let configs = mesh.mesh_configs(cluster.id);
        let locality = configs.filter_map(|c| c.locality_lb_setting.as_ref()).find(|l| {
            let asks =
                [l.distribute.is_empty(), l.failover.is_empty(), l.failover_priority.is_empty()];
            asks.contains(&false)
        });
        let zone_aware = mesh.mesh_zone_aware(cluster.id);
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

pub(super) fn zone_aware_needs_discovery(traffic: &Traffic<'_>, found: &mut Findings) {
    let mesh = traffic.mesh();
    let mut told = BTreeSet::new();
    for cluster in mesh.clusters() {
        let known = mesh.knows_mesh_config(cluster.id) && !overrides_proxies(mesh, cluster.id);
        let mut configs = mesh.mesh_configs(cluster.id);
        let variable = configs.find_map(|c| c.default_config.proxy_metadata.get(DISCOVERY));
        let on = variable.filter(|v| v.as_str() == "true");
        let here = traffic.policies().iter().filter(|p| p.control_plane == cluster.id);
        let of_rules = here.filter_map(EffectivePolicy::zone_aware);
        let wanted: Vec<_> = mesh.mesh_zone_aware(cluster.id).into_iter().chain(of_rules).collect();
        let first = wanted.iter().find(|z| z.value.is_enabled());
        let unclear = variable.is_some_and(|v| is_placeholder(v));
        match (first, on) {
            (Some(setting), None) if known && !unclear && told.insert(setting.span) => {
                say_lacks_discovery(found, setting.span, variable);
            }
            (None, Some(on)) if wanted.is_empty() && told.insert(on.span) => {
                say_needless_discovery(found, on.span);
            }
            _ => {}
        }
    }
    too_small_for_zones(traffic, found);
}

fn say_lacks_discovery(found: &mut Findings, setting: Span, variable: Option<&Text>) {
    let finding = found.say(
        format!("zone-aware routing balances no zones: proxies lack `{DISCOVERY}`"),
        setting,
        "requests stay in their region, and spread over its zones by the number of pods",
    );
    if let Some(off) = variable {
        finding.also(off.span, "only `true` switches it on");
    }
    finding.help(format!(
        "set `meshConfig: {{defaultConfig: {{proxyMetadata: {{{DISCOVERY}: \"true\"}}}}}}`, and restart \
         the clients"
    ));
}

fn say_needless_discovery(found: &mut Findings, variable: Span) {
    found
        .say(
            format!(
                "`{DISCOVERY}` keeps requests to every host in their zone, without any \
                 `zoneAwareLbSetting`"
            ),
            variable,
            "Envoy routes by zone wherever nothing else is said of locality",
        )
        .help("say it for the whole mesh by `zoneAwareLbSetting`, or take the variable away");
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
    let mut objects = mesh.istio_objects.of_cluster(control_plane).iter();
    objects.any(|o| o.meta.kind.as_str() == "ProxyConfig") || mesh.workloads.iter().any(by_pod)
}

/// Zone-aware routing of hosts that never have enough endpoints for it.
fn too_small_for_zones(traffic: &Traffic<'_>, found: &mut Findings) {
    let mut by_setting: BTreeMap<Span, Vec<_>> = BTreeMap::new();
    for policy in traffic.policies().iter().filter(|p| p.is_certain) {
        if let Some(setting) = policy.zone_aware().filter(|z| z.value.is_enabled()) {
            by_setting.entry(setting.span).or_default().push((policy, setting));
        }
    }
    for (span, all) in by_setting {
        let (policy, setting) = all[0];
        let least = setting.min_cluster_size.as_ref().map_or(MIN_CLUSTER_SIZE, |n| n.value);
        let most = all
            .iter()
            .map(|(policy, _)| policy.views(traffic).iter().map(View::most).max().map(u64::from));
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
                    policy.target()
                ),
                at,
                format!("`minClusterSize`{unset}: with fewer, requests spread over all zones of the region"),
            )
            .help(format!("set `minClusterSize` to {most} or less, or run more replicas"));
    }
}

//! What control planes of one mesh give to the proxies they inject.

use std::collections::BTreeMap;

use super::installs::{control_plane, is_open, whole};
use crate::clusters::{Cluster, Role};
use crate::finding::Findings;
use crate::kinds::control_plane::MeshConfig;
use crate::kinds::is_placeholder;
use crate::mesh::{Mesh, list};
use crate::rules::SHOWN;
use crate::source::{Span, Text};

/// Variables of proxies that are each cluster's own, or that other rules compare.
const OWN: &[&str] = &[
    "ISTIO_META_CLUSTER_ID",
    "ISTIO_META_MESH_ID",
    "ISTIO_META_NETWORK",
    "ISTIO_META_REQUESTED_NETWORK_VIEW",
    "PROXY_CONFIG_XDS_AGENT",
    "SECRET_TTL",
];

/// A setting as a control plane has it.
struct Set<'m> {
    value: String,
    at: Span,
    cluster: &'m Cluster,
    /// Whether it is told once: of several revisions each may have its own.
    is_sure: bool,
}

/// What one MeshConfig tells of the proxies of its control plane, by the path of the setting.
fn told(config: &MeshConfig) -> Vec<(String, String, Span)> {
    let mut found = Vec::new();
    let mut take = |path: &str, text: &Text| {
        if !is_placeholder(text) {
            found.push((path.to_owned(), text.value.clone(), text.span));
        }
    };
    for (name, text) in &config.default_config.proxy_metadata {
        if !OWN.contains(&name.as_str()) {
            take(&format!("defaultConfig.proxyMetadata.{name}"), text);
        }
    }
    if let Some(mode) = &config.outbound_traffic_policy.mode {
        take("outboundTrafficPolicy.mode", mode);
    }
    let flags = [
        (
            "defaultConfig.holdApplicationUntilProxyStarts",
            &config.default_config.hold_application_until_proxy_starts,
        ),
        ("enableAutoMtls", &config.enable_auto_mtls),
    ];
    for (path, flag) in flags {
        if let Some(flag) = flag {
            found.push((path.to_owned(), flag.value.to_string(), flag.span));
        }
    }
    found
}

/// What a setting is where nothing is written, and what comes of a difference.
fn meaning(path: &str) -> (&'static str, &'static str) {
    match path {
        "outboundTrafficPolicy.mode" => (
            "ALLOW_ANY",
            "a request to a host that the mesh does not know passes in one and fails in the other",
        ),
        "enableAutoMtls" => {
            ("true", "clients of the one send plain text where those of the other use mTLS")
        }
        "defaultConfig.holdApplicationUntilProxyStarts" => (
            "false",
            "containers wait for their proxy in one, and start without network in the other",
        ),
        path if path.ends_with(".ISTIO_META_DNS_CAPTURE") => (
            "false",
            "names that only another cluster has a Service for resolve in one and not in the other",
        ),
        _ => ("", "the same pods, from one base, get proxies that behave differently"),
    }
}

/// Whether what a control plane does not tell of its MeshConfig has its default.
fn tells_all(mesh: &Mesh, cluster: &Cluster) -> bool {
    let is_open = ["meshConfig", "defaultConfig", "proxyMetadata", "outboundTrafficPolicy"]
        .iter()
        .any(|key| is_open(cluster, key));
    cluster.is_complete() || whole(mesh, cluster).is_some() && !is_open
}

/// Whether a value is a cluster's own, by a name that it has.
fn is_own(set: &Set<'_>) -> bool {
    let cluster = set.cluster;
    let names = [Some(cluster.name.as_str())].into_iter().flatten();
    let names = names.chain(cluster.istio_name().map(|name| name.as_str()));
    let mut names = names.chain(cluster.network().map(|name| name.as_str()));
    names.any(|name| set.value.contains(name))
}

pub(super) fn injector_template_value_drift(mesh: &Mesh, found: &mut Findings) {
    for clusters in mesh.meshes() {
        let planes: Vec<&Cluster> =
            clusters.into_iter().filter(|c| c.role() == Some(Role::Primary)).collect();
        let mut by_path: BTreeMap<String, Vec<Set<'_>>> = BTreeMap::new();
        for cluster in &planes {
            let mut own: BTreeMap<String, Vec<(String, Span)>> = BTreeMap::new();
            for (path, value, at) in cluster.facts.mesh_config.iter().flat_map(told) {
                own.entry(path).or_default().push((value, at));
            }
            for (path, all) in own {
                let is_sure = all.windows(2).all(|two| two[0].0 == two[1].0);
                let Some((value, at)) = all.into_iter().next() else { continue };
                by_path.entry(path).or_default().push(Set { value, at, cluster, is_sure });
            }
        }
        for (path, sets) in by_path {
            say_drift(mesh, &path, &planes, &sets, found);
        }
    }
}

fn say_drift(mesh: &Mesh, path: &str, planes: &[&Cluster], sets: &[Set<'_>], found: &mut Findings) {
    let (default, effect) = meaning(path);
    let sure: Vec<&Set<'_>> = sets.iter().filter(|set| set.is_sure).collect();
    let [first, others @ ..] = sure.as_slice() else { return };
    let (alike, other): (Vec<&Set<'_>>, Vec<&Set<'_>>) =
        others.iter().copied().partition(|set| set.value == first.value);
    let silent: Vec<&Cluster> = planes
        .iter()
        .copied()
        .filter(|c| sets.iter().all(|set| set.cluster.id != c.id) && tells_all(mesh, c))
        .filter(|_| first.value != default)
        .collect();
    if is_own(first) || other.iter().any(|set| is_own(set)) || other.is_empty() && silent.is_empty()
    {
        return;
    }
    let with = list([*first].into_iter().chain(alike).map(|set| set.cluster.name.as_str()));
    let mut sides = vec![format!("`{}` in {with}", first.value)];
    for set in &other {
        sides.push(format!("`{}` in `{}`", set.value, set.cluster.name));
    }
    if !silent.is_empty() {
        let names = list(silent.iter().map(|c| c.name.as_str()));
        let shown = if default.is_empty() { "nothing".to_owned() } else { format!("`{default}`") };
        sides.push(format!("{shown} in {names}"));
    }
    let finding = found.say(format!("`{path}` is {}", sides.join(", ")), first.at, effect);
    for set in other.iter().take(SHOWN) {
        finding.also(set.at, format!("`{}` in `{}`", set.value, set.cluster.name));
    }
    for cluster in silent.iter().take(SHOWN) {
        if let Some(plane) = control_plane(cluster) {
            finding.also(plane.at(), format!("`{}` leaves it as it is by default", cluster.name));
        }
    }
    finding.help(
        "keep the MeshConfig of all control planes in one base, and roll the pods after a change",
    );
}

/// Clusters by the mesh ID that their control planes give to proxies. A cluster with several (revisions on
/// their way from one to the other, say) agrees with whoever has any of them.
fn by_mesh_id<'m>(clusters: &[&'m Cluster]) -> BTreeMap<&'m str, Vec<(&'m Cluster, &'m Text)>> {
    let mut sides: BTreeMap<&str, Vec<(&Cluster, &Text)>> = BTreeMap::new();
    let planes = clusters.iter().filter(|c| c.role() != Some(Role::Remote));
    for cluster in planes {
        let ids: Vec<&Text> = cluster.facts.mesh_id.iter().map(|fact| &fact.value).collect();
        let [first, more @ ..] = ids.as_slice() else { continue };
        if !is_placeholder(first) && more.iter().all(|id| id.value == first.value) {
            sides.entry(first.as_str()).or_default().push((cluster, first));
        }
    }
    sides
}

pub(super) fn mesh_id_mismatch(mesh: &Mesh, found: &mut Findings) {
    for clusters in mesh.meshes() {
        let sides = by_mesh_id(&clusters);
        if sides.len() < 2 {
            continue;
        }
        let names = |side: &[(&Cluster, &Text)]| {
            list(side.iter().map(|(cluster, _)| cluster.name.as_str()))
        };
        let parts: Vec<String> =
            sides.iter().map(|(id, side)| format!("`{id}` in {}", names(side))).collect();
        let mut all: Vec<_> = sides.values().collect();
        all.sort_by_key(|side| (std::cmp::Reverse(side.len()), side[0].1.span));
        let [first, others @ ..] = all.as_slice() else { continue };
        let finding = found.say(
            format!("clusters of one mesh have different mesh IDs: {}", parts.join(", ")),
            first[0].1.span,
            format!("the mesh ID of {}: metrics and traces show each ID as a mesh", names(first)),
        );
        for side in others.iter().take(SHOWN) {
            finding.also(side[0].1.span, format!("and of {}", names(side)));
        }
        finding.help(
            "set one `values.global.meshID` in all clusters, and restart the pods: they carry the old one",
        );
    }
}

//! Versions of control planes, and how many there are.

use std::collections::BTreeSet;

use super::installs::{control_plane, is_open, served, whole};
use crate::clusters::{Cluster, Role};
use crate::finding::{Finding, Findings};
use crate::kinds::is_placeholder;
use crate::kinds::workloads::Workload;
use crate::mesh::{In, Mesh, Scaler, list};
use crate::source::Span;

pub(super) fn control_plane_version_skew(mesh: &Mesh, found: &mut Findings) {
    super::skew::data_plane_skew(mesh, found);
    for clusters in mesh.meshes() {
        let primaries = clusters.iter().filter(|c| c.role() == Some(Role::Primary));
        let mut told: Vec<(&Cluster, (u32, u32), Span)> =
            primaries.filter_map(|c| c.runs().map(|(version, at)| (*c, version, at))).collect();
        told.sort_by_key(|(_, version, at)| (*version, *at));
        let (Some((old, (major, low), old_at)), Some((new, (top, high), new_at))) =
            (told.first(), told.last())
        else {
            continue;
        };
        if major != top || high - low <= 1 {
            continue;
        }
        let steps = high - low;
        found
            .say(
                format!(
                    "`{}` runs Istio {major}.{low} and `{}` {top}.{high}: {steps} minor versions apart",
                    old.name, new.name
                ),
                *old_at,
                format!("the oldest of the mesh, {major}.{low} in `{}`", old.name),
            )
            .also(*new_at, format!("the newest, {top}.{high} in `{}`", new.name))
            .help("upgrade one minor version at a time, all clusters before the next one");
    }
}

pub(super) fn single_control_plane(mesh: &Mesh, found: &mut Findings) {
    let served = served(mesh);
    for clusters in mesh.meshes() {
        let mut primaries = clusters.iter().filter(|c| c.role() == Some(Role::Primary));
        let (Some(only), None) = (primaries.next(), primaries.next()) else { continue };
        let remotes: Vec<&Cluster> =
            served.iter().filter(|(_, by)| by.id == only.id).map(|(remote, _)| *remote).collect();
        let is_all = remotes.len() + 1 == clusters.len();
        let Some(plane) = control_plane(only).filter(|_| is_all && !remotes.is_empty()) else {
            continue;
        };
        let regions: BTreeSet<&str> = clusters
            .iter()
            .flat_map(|c| mesh.places(c.id))
            .map(|place| place.locality.region.as_str())
            .filter(|region| !region.is_empty() && !is_placeholder(region))
            .collect();
        if regions.len() < 2 {
            continue;
        }
        let name = &only.name;
        let names = list(std::iter::once(only).chain(&remotes).map(|c| c.name.as_str()));
        let finding = found.say(
            format!("the control plane of `{name}` is the only one for {} regions", regions.len()),
            plane.at(),
            format!("without it, {names} get no new configuration, sidecars or certificates"),
        );
        for remote in &remotes {
            if let Some((_, at)) = remote.facts.role.first() {
                finding.also(*at, format!("`{}` has none of its own", remote.name));
            }
        }
        finding.help("run a primary in each region; certificates last for a day without any");
    }
}

/// The Deployment of a cluster's only istiod, where it asks for one replica and nothing scales it. What was
/// read from a cluster has the number of the moment, so autoscalers have to be in the input too.
fn single_istiod<'m>(mesh: &'m Mesh, cluster: &Cluster) -> Option<&'m In<Workload>> {
    let is_istiod =
        |w: &&In<Workload>| w.template.spec.containers.iter().any(|c| c.name == "discovery");
    let mut all = mesh.workloads.of_cluster(cluster.id).iter().filter(is_istiod);
    let (Some(istiod), None) = (all.next(), all.next()) else { return None };
    let is_one = istiod.replicas.as_ref().is_some_and(|replicas| replicas.value == 1);
    let mut scalers = mesh.scalers().filter(|s| s.cluster == cluster.id).peekable();
    let is_read = mesh.raw(istiod.meta.span).contains("resourceVersion");
    let is_told = !is_read || scalers.peek().is_some();
    (is_one && is_told && !mesh.is_assumed(&istiod.meta) && !scalers.any(targets_istiod))
        .then_some(istiod)
}

/// Whether an autoscaler is for istiod, by the name that it scales.
fn targets_istiod(scaler: &Scaler) -> bool {
    scaler.target().is_some_and(|(_, name)| name.starts_with("istiod"))
}

pub(super) fn istiod_single_replica_in_multicluster(mesh: &Mesh, found: &mut Findings) {
    let mut said: Vec<Span> = Vec::new();
    for clusters in mesh.meshes_of_several() {
        for cluster in clusters.iter().filter(|c| c.role() == Some(Role::Primary)) {
            if let Some(istiod) = single_istiod(mesh, cluster) {
                let at = istiod.replicas.as_ref().map_or_else(|| istiod.named_at(), |r| r.span);
                let is_told = said.contains(&at);
                said.push(at);
                if !is_told {
                    say_single(found, &cluster.name, at);
                }
                continue;
            }
            let Some(installs) = whole(mesh, cluster) else { continue };
            let fixed = installs
                .iter()
                .find_map(|i| i.values().pilot.autoscale_enabled.as_ref().filter(|on| !on.value));
            let Some(fixed) = fixed.filter(|fixed| !said.contains(&fixed.span)) else { continue };
            let count = installs.iter().find_map(|i| i.values().pilot.replica_count.as_ref());
            let scaled = mesh.scalers().any(|s| s.cluster == cluster.id && targets_istiod(s));
            if scaled
                || count.is_some_and(|count| count.value > 1)
                || is_open(cluster, "replicaCount")
            {
                continue;
            }
            said.push(fixed.span);
            let finding = say_single(found, &cluster.name, fixed.span);
            if let Some(count) = count {
                finding.also(count.span, "one replica");
            }
        }
    }
}

fn say_single<'f>(found: &'f mut Findings, cluster: &str, at: Span) -> &'f mut Finding {
    found
        .say(
            format!("`{cluster}` has a single istiod for a mesh of several clusters"),
            at,
            "one replica and no autoscaler: while its node is down, no new pod gets a sidecar",
        )
        .help("set `pilot.autoscaleMin: 2` and leave `autoscaleEnabled` on, or `pilot.replicaCount: 2`")
}

//! What clusters are called.

use super::installs::{control_plane, control_planes, is_open, whole};
use crate::clusters::{Cluster, DEFAULT_NAME, Installed, Origin, letters};
use crate::finding::{Findings, Severity};
use crate::kinds::is_placeholder;
use crate::mesh::{Mesh, list};
use crate::source::{Span, Text};

pub(super) fn default_cluster_name(mesh: &Mesh, found: &mut Findings) {
    for clusters in mesh.meshes_of_several() {
        let unnamed: Vec<(&Cluster, Span, String)> = clusters
            .iter()
            .filter_map(|c| unnamed(mesh, c).map(|(at, why)| (*c, at, why)))
            .collect();
        let [(first, at, why), more @ ..] = unnamed.as_slice() else { continue };
        let names = list(unnamed.iter().map(|(c, ..)| c.name.as_str()));
        let message = if more.is_empty() {
            format!("cluster {names} has no name of its own: Istio calls it `{DEFAULT_NAME}`")
        } else {
            format!("clusters {names} have no names of their own: Istio calls all `{DEFAULT_NAME}`")
        };
        let finding = found.say(message, *at, why.clone());
        for (_, at, why) in more {
            finding.also(*at, why.clone());
        }
        finding.help(format!(
            "set `values.global.multiCluster.clusterName: {}`, and restart the pods: they carry the old name",
            first.name
        ));
        let is_read = mesh.clusters_elsewhere(first.id).next().is_some();
        if more.is_empty() && !is_read {
            finding.milder(Severity::Warning, ", which no other cluster does yet");
        }
    }
}

/// Where a cluster is left without a name, and how.
fn unnamed(mesh: &Mesh, cluster: &Cluster) -> Option<(Span, String)> {
    cluster.role()?;
    let name = &cluster.name;
    if let Some(told) = cluster.istio_name()
        && told.as_str() == DEFAULT_NAME
        && cluster.facts.name.iter().all(|fact| fact.value == *told)
    {
        return Some((
            told.span,
            format!("the name of every cluster that has none, here of `{name}`"),
        ));
    }
    let global = |i: &Installed| i.values().global.multi_cluster.cluster_name.clone();
    let is_told = |text: &Text| !text.is_empty();
    if cluster.facts.installs.iter().any(|i| global(i).as_ref().is_some_and(is_told)) {
        return None;
    }
    let misplaced = control_planes(cluster)
        .filter(|i| matches!(i.origin, Origin::IstioOperator | Origin::Sail) || i.chart.is_some())
        .find_map(|i| i.values().multi_cluster.cluster_name.clone());
    if let Some(told) = misplaced.filter(is_told).filter(|_| whole(mesh, cluster).is_some()) {
        let why = format!("istiod of `{name}` reads `global.multiCluster.clusterName`, not this");
        return Some((told.span, why));
    }
    if !cluster.facts.name.is_empty() || is_open(cluster, "clusterName") {
        return None;
    }
    let told_in_path = cluster.facts.installs.iter().any(|i| {
        let remote = &i.values().istiod_remote;
        remote.injection_path.is_some() || remote.injection_url.is_some()
    });
    if told_in_path {
        return None;
    }
    if let Some(empty) = cluster.facts.installs.iter().find_map(global) {
        return Some((empty.span, format!("nothing: `{name}` becomes `{DEFAULT_NAME}`")));
    }
    let at = control_plane(cluster).filter(|_| whole(mesh, cluster).is_some())?.at();
    Some((at, format!("no `global.multiCluster.clusterName` for `{name}`")))
}

pub(super) fn cluster_name_shadowed(mesh: &Mesh, found: &mut Findings) {
    let mut told: Vec<Span> = Vec::new();
    for cluster in mesh.clusters() {
        for install in &cluster.facts.installs {
            let values = install.values();
            let Some(env) = values.pilot.env.get("CLUSTER_ID").filter(|e| !is_placeholder(e))
            else {
                continue;
            };
            let global =
                values.global.multi_cluster.cluster_name.as_ref().filter(|n| !n.is_empty());
            let counts = match global {
                Some(name) if is_placeholder(name) => continue,
                Some(name) => name.as_str(),
                None if install.is_whole => DEFAULT_NAME,
                None => continue,
            };
            if counts == env.as_str() || told.contains(&env.span) {
                continue;
            }
            told.push(env.span);
            let finding = found.say(
                format!("istiod calls its cluster `{counts}`, and not `{env}`"),
                env.span,
                "the chart sets `CLUSTER_ID` once more after this, and the last one counts",
            );
            if let Some(name) = global {
                finding.also(name.span, "this is what it sets");
            }
            finding.help(format!(
                "say it once: `global.multiCluster.clusterName: {env}`, and drop the variable"
            ));
        }
    }
}

/// A cluster whose folder has another name than its control plane gives it.
struct Misnamed<'m> {
    folder: &'m str,
    name: &'m Text,
    /// Whether another cluster's folder has this name.
    is_swapped: bool,
}

fn misnamed<'m>(cluster: &'m Cluster, others: &[&Cluster]) -> Option<Misnamed<'m>> {
    let name = cluster.istio_name()?;
    let folder = cluster.name.rsplit('/').next()?;
    let is_told = matches!(cluster.origin, Origin::Folder | Origin::File);
    // A name that two clusters have is another rule's.
    let shares = |c: &&Cluster| c.id != cluster.id && c.istio_name() == Some(name);
    if others.iter().any(shares) {
        return None;
    }
    let of_another = |c: &&Cluster| c.id != cluster.id && c.name == name.as_str();
    let is_swapped = others.iter().any(of_another);
    let (own, told) = (letters(folder), letters(name));
    // `prod-east` in `east` is the same name, with more of it.
    let is_alike = own.contains(&told) || told.contains(&own);
    let is_known = !is_placeholder(name) && name.as_str() != DEFAULT_NAME;
    let differs = is_swapped || !is_alike;
    (is_told && is_known && differs).then_some(Misnamed { folder, name, is_swapped })
}

pub(super) fn cluster_dir_name_differs(mesh: &Mesh, found: &mut Findings) {
    for clusters in mesh.meshes_of_several() {
        let mut all: Vec<Misnamed<'_>> =
            clusters.iter().filter_map(|c| misnamed(c, &clusters)).collect();
        all.sort_by_key(|it| (!it.is_swapped, it.name.span));
        let [first, more @ ..] = all.as_slice() else { continue };
        let others = match more.len() {
            0 => String::new(),
            n => format!(" (and {n} more)"),
        };
        let finding = found.say(
            format!(
                "`{}` holds the cluster that Istio calls `{}`{others}",
                first.folder, first.name
            ),
            first.name.span,
            if first.is_swapped {
                "the name of another folder: remote secrets and subsets mean this cluster by it"
            } else {
                "by this name alone remote secrets, annotations and subsets mean the cluster"
            },
        );
        for it in more {
            finding.also(it.name.span, format!("`{}` in `{}`", it.name, it.folder));
        }
        finding.help(
            "name the folder as the cluster, or tell its files in `clusters` of `mesh-lint.yaml`",
        );
    }
}

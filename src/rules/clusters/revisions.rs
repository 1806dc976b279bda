//! Revisions within clusters: those that there are, and what namespaces, gateways and tags ask for.

use std::collections::{BTreeMap, BTreeSet};

use super::installs::{control_plane, control_planes, is_open, is_sure, whole};
use crate::api::version;
use crate::clusters::{Cluster, Installed, Role};
use crate::finding::{Findings, Severity};
use crate::kinds::is_placeholder;
use crate::mesh::{Mesh, PodShape, REVISION, list};
use crate::rules::SHOWN;
use crate::source::{Span, Text};

/// Whether a name looks like a revision called by its version, and not like a tag made by hand.
fn is_version(name: &str) -> bool {
    name.contains('-') && version(name).is_some()
}

/// All revisions of a cluster, where its texts tell them. What looks like no version may be a tag, which is
/// mostly made by hand.
pub(super) fn revisions(mesh: &Mesh, cluster: &Cluster) -> Option<BTreeSet<String>> {
    if cluster.role() != Some(Role::Primary) || is_open(cluster, "revision") {
        return None;
    }
    whole(mesh, cluster)?;
    let mut found = BTreeSet::new();
    for plane in control_planes(cluster) {
        match plane.revision() {
            Some(told) if is_placeholder(told) => return None,
            Some(told) => found.insert(told.value.clone()),
            None => found.insert("default".to_owned()),
        };
    }
    // What a gateway's chart asks for is not there for that.
    let others = cluster.facts.installs.iter().filter(|i| !i.is_control_plane());
    let asked: BTreeSet<Span> =
        others.filter_map(|i| Some(i.values().revision.as_ref()?.span)).collect();
    let told = cluster.facts.revision.iter().filter(|fact| !asked.contains(&fact.value.span));
    found.extend(told.map(|fact| fact.value.value.clone()));
    Some(found)
}

pub(super) fn revision_unknown_in_cluster(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for namespace in &mesh.namespaces {
        let cluster = mesh.cluster(namespace.cluster);
        let label = namespace.meta.label(REVISION).filter(|label| is_version(label));
        let Some(label) = label.filter(|_| !mesh.is_assumed(&namespace.meta)) else { continue };
        let Some(revisions) = revisions(mesh, cluster) else { continue };
        if revisions.contains(label.as_str()) || !told.insert(label.span) {
            continue;
        }
        let known = list(revisions.iter().map(String::as_str));
        let finding = found.say(
            format!(
                "namespace `{}` wants revision `{label}`, which `{}` does not have",
                namespace.name(),
                cluster.name
            ),
            label.span,
            "no injector answers: its new pods start without a sidecar",
        );
        if let Some(plane) = control_plane(cluster) {
            finding.also(plane.at(), format!("here is {known}"));
        }
        finding.help(format!("label it with {known}, or with a tag that follows the revision"));
    }
}

/// What a tag means in a cluster.
struct Tag<'m> {
    cluster: &'m Cluster,
    revision: String,
    at: Span,
}

/// The revision that an installation makes.
fn revision_of(install: &Installed) -> Option<&str> {
    match install.revision() {
        Some(told) if is_placeholder(told) => None,
        Some(told) => Some(told.as_str()),
        None => install.is_whole.then_some("default"),
    }
}

/// The tags of a cluster's control plane: those of its values, and webhooks that `istioctl tag` makes.
fn tags<'m>(mesh: &'m Mesh, cluster: &'m Cluster) -> Vec<(&'m Text, Tag<'m>)> {
    let is_known = |name: &&Text| !name.is_empty() && !is_placeholder(name);
    let tag = |revision: &str, at| Tag { cluster, revision: revision.to_owned(), at };
    let mut found = Vec::new();
    for install in control_planes(cluster) {
        let sure = is_sure(mesh, install);
        let Some(revision) = revision_of(install).filter(|_| sure) else { continue };
        let named = install.values().revision_tags.iter().filter(is_known);
        found.extend(named.map(|name| (name, tag(revision, name.span))));
    }
    for hook in mesh.webhooks.of_cluster(cluster.id) {
        let labels = (hook.meta.label("istio.io/tag"), hook.meta.label(REVISION));
        let (Some(name), Some(revision)) = labels else { continue };
        if is_known(&name) && is_known(&revision) && !mesh.is_assumed(&hook.meta) {
            found.push((name, tag(revision, name.span)));
        }
    }
    found
}

/// How many minor versions lie between revisions that are named by their versions.
fn steps(tags: &[&Tag<'_>]) -> Option<u32> {
    let versions: Option<Vec<(u32, u32)>> = tags.iter().map(|tag| version(&tag.revision)).collect();
    let versions = versions?;
    let (low, high) = (versions.iter().min()?, versions.iter().max()?);
    Some(if low.0 == high.0 { high.1 - low.1 } else { u32::MAX })
}

pub(super) fn revision_tag_points_differently(mesh: &Mesh, found: &mut Findings) {
    for clusters in mesh.meshes_of_several() {
        let mut by_name: BTreeMap<&str, Vec<Tag<'_>>> = BTreeMap::new();
        for cluster in clusters.iter().filter(|c| mesh.is_read_in(c.id)) {
            for (name, tag) in tags(mesh, cluster) {
                by_name.entry(name).or_default().push(tag);
            }
        }
        for (name, tags) in by_name {
            // A tag that one cluster has twice is on its way from one revision to the other.
            let in_clusters: BTreeSet<_> = tags.iter().map(|tag| tag.cluster.id).collect();
            let mut distinct: Vec<&Tag<'_>> = Vec::new();
            for tag in &tags {
                if distinct.iter().all(|known| known.revision != tag.revision) {
                    distinct.push(tag);
                }
            }
            if distinct.len() < 2 || in_clusters.len() < tags.len() {
                continue;
            }
            say_tag(name, &distinct, found);
        }
    }
}

fn say_tag(name: &str, tags: &[&Tag<'_>], found: &mut Findings) {
    let [first, more @ ..] = tags else { return };
    let each: Vec<String> = tags
        .iter()
        .map(|tag| format!("revision `{}` in `{}`", tag.revision, tag.cluster.name))
        .collect();
    let finding = found.say(
        format!("tag `{name}` is {}", each.join(" and ")),
        first.at,
        format!("`{}` here: namespaces labelled alike get different proxies", first.revision),
    );
    for tag in more.iter().take(SHOWN) {
        finding.also(tag.at, format!("`{}` in `{}`", tag.revision, tag.cluster.name));
    }
    match steps(tags) {
        Some(0 | 1) => {
            finding.milder(Severity::Note, ", at most one minor version apart, as in a rollout");
        }
        Some(_) => {}
        None => {
            finding.milder(Severity::Note, ", names that tell no versions");
        }
    }
    finding.help("move the tag cluster by cluster, and in all of them before the next version");
}

/// The revisions that gateways of a cluster ask for, with what asks.
fn asked_by_gateways<'m>(
    mesh: &'m Mesh,
    cluster: &'m Cluster,
    gateways: &[PodShape<'m>],
) -> Vec<(&'m Text, String)> {
    let gateways = gateways.iter().filter(|pods| pods.cluster == cluster.id);
    let pods = gateways.filter_map(|pods| Some((pods.labels.get(REVISION)?, pods.called())));
    let charts = cluster.facts.installs.iter().filter(|i| i.chart_name() == Some("gateway"));
    let charts = charts.filter_map(|install| {
        let meta = install.meta.as_ref().filter(|meta| !mesh.is_assumed(meta))?;
        let called = format!("{} `{}`", meta.kind, meta.name);
        Some((install.values().revision.as_ref()?, called))
    });
    pods.chain(charts).collect()
}

pub(super) fn gateway_revision_mismatch(mesh: &Mesh, found: &mut Findings) {
    let mut said: BTreeSet<Span> = BTreeSet::new();
    let is_gateway = |p: &PodShape<'_>| p.is_injected_as_gateway() && !mesh.is_assumed(p.meta);
    let gateways: Vec<PodShape<'_>> = mesh.pod_shapes().filter(is_gateway).collect();
    for cluster in mesh.clusters() {
        let Some(revisions) = revisions(mesh, cluster) else { continue };
        let known = list(revisions.iter().map(String::as_str));
        for (revision, gateway) in asked_by_gateways(mesh, cluster, &gateways) {
            let unknown = is_version(revision) && !revisions.contains(revision.as_str());
            if !unknown || !said.insert(revision.span) {
                continue;
            }
            let finding = found.say(
                format!(
                    "gateway {gateway} wants revision `{revision}`, which `{}` does not have",
                    cluster.name
                ),
                revision.span,
                "no injector answers: new pods keep the image `auto` and do not start",
            );
            if let Some(plane) = control_plane(cluster) {
                finding.also(plane.at(), format!("here is {known}"));
            }
            finding.help(format!("give it revision {known}; those that run keep their old proxy"));
        }
    }
}

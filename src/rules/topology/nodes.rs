//! Nodes: do all of a cluster say where they stand?

use std::collections::BTreeMap;

use super::SHOWN;
use crate::clusters::{Cluster, ClusterId};
use crate::finding::{Finding, Findings, Severity};
use crate::kinds::core::Node;
use crate::mesh::{In, Mesh, REGION_LABEL, SUBZONE_LABEL, ZONE_LABEL, locality_of_node, value};
use crate::source::Text;

const BETA_REGION: &str = "failure-domain.beta.kubernetes.io/region";
const BETA_ZONE: &str = "failure-domain.beta.kubernetes.io/zone";
/// Nodes on which pods of the mesh can run: those of the control plane, and those that stand for a
/// service of a cloud, are left out.
fn workers(mesh: &Mesh) -> impl Iterator<Item = &In<Node>> {
    let closed = |node: &Node| {
        node.spec.taints.iter().any(|t| {
            matches!(
                value(t.key.as_ref()),
                Some(
                    "node-role.kubernetes.io/control-plane"
                        | "node-role.kubernetes.io/master"
                        | "virtual-kubelet.io/provider"
                )
            )
        })
    };
    let is_virtual = |n: &In<Node>| value(n.meta.label("type")) == Some("virtual-kubelet");
    mesh.nodes.iter().filter(move |n| !closed(&n.resource.spec) && !is_virtual(n))
}

/// Whether some setting of a cluster's mesh chooses by place, so that a node without one is no matter
/// of taste.
fn places_matter(mesh: &Mesh, cluster: ClusterId) -> bool {
    mesh.locality_settings().iter().any(|s| {
        mesh.same_mesh(s.cluster, cluster)
            && s.setting.enabled.as_ref().is_none_or(|enabled| enabled.value)
    })
}

/// Lowers what a node lacks where nothing asks for it.
fn lower_unasked(mesh: &Mesh, cluster: ClusterId, to: Severity, finding: &mut Finding) {
    if !places_matter(mesh, cluster) {
        finding.milder(to, "; no setting in the input chooses by locality");
    }
}

/// Nodes of each cluster that fail a test, with the number of all.
fn nodes_that(
    mesh: &Mesh,
    fails: impl Fn(&In<Node>) -> bool,
) -> Vec<(&Cluster, usize, Vec<&In<Node>>)> {
    let mut found = Vec::new();
    for cluster in mesh.clusters() {
        let nodes: Vec<_> = workers(mesh).filter(|n| n.cluster == cluster.id).collect();
        let failing: Vec<_> = nodes.iter().copied().filter(|n| fails(n)).collect();
        if !failing.is_empty() {
            found.push((cluster, nodes.len(), failing));
        }
    }
    found
}

fn count(failing: usize, all: usize) -> String {
    match (failing, all) {
        (1, 1) => "the only node".to_owned(),
        (n, all) if n == all => format!("none of the {all} nodes"),
        (n, all) => format!("{n} of {all} nodes"),
    }
}

pub(super) fn node_without_zone(mesh: &Mesh, found: &mut Findings) {
    for (cluster, all, nodes) in nodes_that(mesh, |n| locality_of_node(&n.meta).zone.is_empty()) {
        let verb = if nodes.len() == all && all > 1 {
            "has a zone"
        } else if nodes.len() == 1 {
            "has no zone"
        } else {
            "have no zone"
        };
        let message = format!("{} of cluster `{}` {verb}", count(nodes.len(), all), cluster.name);
        let label = |n: &In<Node>| {
            let region = locality_of_node(&n.meta).region;
            if region.is_empty() {
                "no region and no zone: pods here have no locality".to_owned()
            } else {
                format!("a region (`{region}`) and no zone: pods here match no rule for a zone")
            }
        };
        let finding = found.say(message, nodes[0].named_at(), label(nodes[0]));
        for node in nodes.iter().skip(1).take(SHOWN - 1) {
            finding.also(node.named_at(), label(node));
        }
        finding.help(format!("label each node with `{REGION_LABEL}` and `{ZONE_LABEL}`"));
        // A cluster without zones may have none.
        let to = if nodes.len() == all { Severity::Note } else { Severity::Warning };
        lower_unasked(mesh, cluster.id, to, finding);
    }
}

pub(super) fn node_without_region(mesh: &Mesh, found: &mut Findings) {
    let fails = |n: &In<Node>| {
        let place = locality_of_node(&n.meta);
        place.region.is_empty() && !place.zone.is_empty()
    };
    for (cluster, all, nodes) in nodes_that(mesh, fails) {
        let message = if nodes.len() == all && all > 1 {
            format!("no node of cluster `{}` has a region", cluster.name)
        } else {
            let verb = if nodes.len() == 1 { "has" } else { "have" };
            format!(
                "{} of cluster `{}` {verb} a zone and no region",
                count(nodes.len(), all),
                cluster.name
            )
        };
        let at = |n: &In<Node>| n.meta.label(ZONE_LABEL).map_or(n.named_at(), |zone| zone.span);
        let finding = found.say(message, at(nodes[0]), "a zone of no region");
        for node in nodes.iter().skip(1).take(SHOWN - 1) {
            finding.also(at(node), "a zone of no region");
        }
        finding.help(format!("add the label `{REGION_LABEL}`: Istio compares regions first"));
        lower_unasked(mesh, cluster.id, Severity::Warning, finding);
    }
}

pub(super) fn beta_failure_domain_label(mesh: &Mesh, found: &mut Findings) {
    for (cluster, all, nodes) in nodes_that(mesh, |n| forms(n).any(|(_, _, new)| new.is_none())) {
        let places: Vec<_> =
            nodes.iter().flat_map(|n| forms(n)).filter(|(_, _, new)| new.is_none()).collect();
        let Some((beta, first, _)) = places.first() else { continue };
        let number = match (nodes.len(), all) {
            (n, all) if n == all && all > 1 => format!("the {all} nodes"),
            (n, all) => count(n, all),
        };
        let verb = if nodes.len() == 1 { "knows its place" } else { "know their place" };
        let finding = found.say(
            format!("{number} of cluster `{}` {verb} by the label `{beta}` alone", cluster.name),
            first.span,
            "read for sidecars, ignored for ambient, dropped by new Kubernetes versions",
        );
        for (_, old, _) in places.iter().skip(1).take(SHOWN - 1) {
            finding.also(old.span, "only the old label");
        }
        finding.help(format!("label each node with `{REGION_LABEL}` and `{ZONE_LABEL}`"));
    }
    let differ = |old: &Text, new: Option<&Text>| new.is_some_and(|new| new != old);
    for (_, _, nodes) in nodes_that(mesh, |n| forms(n).any(|(_, old, new)| differ(old, new))) {
        let places: Vec<_> = nodes
            .iter()
            .flat_map(|n| forms(n).map(move |form| (n, form)))
            .filter(|(_, (_, old, new))| differ(old, *new))
            .collect();
        let Some((node, (beta, old, Some(new)))) = places.first() else { continue };
        let name = node.name();
        let finding = found.say(
            format!("node `{name}` says `{new}` by one label and `{old}` by its old form"),
            old.span,
            "the old label, which Istio does not read here",
        );
        finding.also(new.span, "this one wins").help(format!("drop `{beta}`"));
        for (node, (_, old, _)) in places.iter().skip(1).take(SHOWN - 1) {
            finding.also(old.span, format!("not read either, of node `{}`", node.name()));
        }
    }
}

/// The old labels of a node, with their values and those of today's labels.
fn forms(node: &In<Node>) -> impl Iterator<Item = (&'static str, &Text, Option<&Text>)> {
    let forms = [(BETA_REGION, REGION_LABEL), (BETA_ZONE, ZONE_LABEL)];
    forms.into_iter().filter_map(|(beta, current)| {
        let new = node.meta.label(current).filter(|v| !v.is_empty());
        Some((beta, node.meta.label(beta)?, new))
    })
}

pub(super) fn mixed_subzones(mesh: &Mesh, found: &mut Findings) {
    let mut zones: BTreeMap<_, (Vec<&In<Node>>, Vec<&In<Node>>)> = BTreeMap::new();
    for node in workers(mesh) {
        let place = locality_of_node(&node.meta);
        let subzone = !place.subzone.is_empty();
        let (with, without) = zones.entry((node.cluster, place.without_subzone())).or_default();
        if subzone { with.push(node) } else { without.push(node) }
    }
    for ((cluster, zone), (with, without)) in zones {
        let (Some(first), Some(bare)) = (with.first(), without.first()) else { continue };
        let cluster = mesh.cluster_name(cluster);
        let finding = found.say(
            format!(
                "{} of {} nodes in `{zone}` of cluster `{cluster}` have a subzone",
                with.len(),
                with.len() + without.len()
            ),
            bare.named_at(),
            "no subzone: another locality than its neighbours",
        );
        for node in without.iter().skip(1).take(SHOWN - 1) {
            finding.also(node.named_at(), "no subzone either");
        }
        let subzone = first.meta.label(SUBZONE_LABEL).map_or(first.named_at(), |l| l.span);
        finding
            .also(subzone, "a subzone")
            .help(format!("give every node of the zone the label `{SUBZONE_LABEL}`, or none"));
    }
}

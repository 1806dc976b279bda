//! Topology: do nodes and endpoints say where they stand, and do all clusters say it alike?

use std::collections::{BTreeMap, BTreeSet};

use super::{Rule, rule};
use crate::finding::Findings;
use crate::kinds::core::Node;
use crate::kinds::networking::WorkloadEntry;
use crate::kinds::workloads::Workload;
use crate::mesh::{
    CLUSTER_LABEL, In, Locality, LocalitySetting, Mesh, Place, REGION_LABEL, SUBZONE_LABEL,
    ZONE_LABEL, list, locality_of_node, value,
};
use crate::source::{Spanned, Text};

pub(super) const RULES: &[Rule] = &[
    rule!("topology/beta-failure-domain-label", beta_failure_domain_label),
    rule!("topology/clusters-share-locality", clusters_share_locality),
    rule!("topology/duplicate-zone-name", duplicate_zone_name),
    rule!("topology/locality-label-on-template", locality_label_on_template),
    rule!("topology/manual-endpoints-without-locality", manual_endpoints_without_locality),
    rule!("topology/mixed-subzones", mixed_subzones),
    rule!("topology/node-without-region", node_without_region),
    rule!("topology/node-without-zone", node_without_zone),
    rule!("topology/pod-zone-label-differs", pod_zone_label_differs),
    rule!("topology/region-spelled-differently", region_spelled_differently),
];

const BETA_REGION: &str = "failure-domain.beta.kubernetes.io/region";
const BETA_ZONE: &str = "failure-domain.beta.kubernetes.io/zone";
/// How many places of one cause a finding shows.
const SHOWN: usize = 6;

/// Nodes on which pods of the mesh can run: control-plane nodes are left out.
fn workers(mesh: &Mesh) -> impl Iterator<Item = &In<Node>> {
    let control_plane = |node: &Node| {
        node.spec.taints.iter().any(|t| {
            matches!(
                value(t.key.as_ref()),
                Some("node-role.kubernetes.io/control-plane" | "node-role.kubernetes.io/master")
            )
        })
    };
    mesh.nodes.iter().filter(move |n| !control_plane(&n.resource.spec))
}

/// Nodes of each cluster that fail a test, with the number of all.
fn nodes_that(
    mesh: &Mesh,
    fails: impl Fn(&In<Node>) -> bool,
) -> Vec<(&str, usize, Vec<&In<Node>>)> {
    let mut found = Vec::new();
    for cluster in mesh.clusters() {
        let nodes: Vec<_> = workers(mesh).filter(|n| n.cluster == cluster.id).collect();
        let failing: Vec<_> = nodes.iter().copied().filter(|n| fails(n)).collect();
        if !failing.is_empty() {
            found.push((cluster.name.as_str(), nodes.len(), failing));
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

fn node_without_zone(mesh: &Mesh, found: &mut Findings) {
    for (cluster, all, nodes) in nodes_that(mesh, |n| locality_of_node(&n.meta).zone.is_empty()) {
        let verb = if nodes.len() == all && all > 1 {
            "has a zone"
        } else if nodes.len() == 1 {
            "has no zone"
        } else {
            "have no zone"
        };
        let message = format!("{} of cluster `{cluster}` {verb}", count(nodes.len(), all));
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
    }
}

fn node_without_region(mesh: &Mesh, found: &mut Findings) {
    let fails = |n: &In<Node>| {
        let place = locality_of_node(&n.meta);
        place.region.is_empty() && !place.zone.is_empty()
    };
    for (cluster, all, nodes) in nodes_that(mesh, fails) {
        let message = if nodes.len() == all && all > 1 {
            format!("no node of cluster `{cluster}` has a region")
        } else {
            let verb = if nodes.len() == 1 { "has" } else { "have" };
            format!(
                "{} of cluster `{cluster}` {verb} a zone and no region",
                count(nodes.len(), all)
            )
        };
        let at = |n: &In<Node>| n.meta.label(ZONE_LABEL).map_or(n.named_at(), |zone| zone.span);
        let finding = found.say(message, at(nodes[0]), "a zone of no region");
        for node in nodes.iter().skip(1).take(SHOWN - 1) {
            finding.also(at(node), "a zone of no region");
        }
        finding.help(format!("add the label `{REGION_LABEL}`: Istio compares regions first"));
    }
}

fn beta_failure_domain_label(mesh: &Mesh, found: &mut Findings) {
    for node in &mesh.nodes {
        for (beta, current) in [(BETA_REGION, REGION_LABEL), (BETA_ZONE, ZONE_LABEL)] {
            let Some(old) = node.meta.label(beta) else { continue };
            let name = node.name();
            match node.meta.label(current).filter(|v| !v.is_empty()) {
                Some(new) if new == old => {}
                Some(new) => {
                    found
                        .say(
                            format!("node `{name}` says `{new}` by one label and `{old}` by its old form"),
                            old.span,
                            "the old label, which Istio does not read here",
                        )
                        .also(new.span, "this one wins")
                        .help(format!("drop `{beta}`"));
                }
                None => {
                    found
                        .say(
                            format!("node `{name}` has only the label `{beta}`"),
                            old.span,
                            "read for sidecars, ignored for ambient, dropped by new Kubernetes versions",
                        )
                        .help(format!("add `{current}: {old}`"));
                }
            }
        }
    }
}

fn mixed_subzones(mesh: &Mesh, found: &mut Findings) {
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

fn clusters_share_locality(mesh: &Mesh, found: &mut Findings) {
    let settings = mesh.locality_settings();
    for clusters in mesh.meshes() {
        for (i, a) in clusters.iter().enumerate() {
            for b in &clusters[i + 1..] {
                let shared: Vec<(&Place, &Place)> = mesh
                    .places(a.id)
                    .iter()
                    .filter(|p| !p.locality.zone.is_empty())
                    .filter_map(|p| {
                        Some((p, mesh.places(b.id).iter().find(|q| q.locality == p.locality)?))
                    })
                    .collect();
                let Some((one, other)) = shared.first() else { continue };
                let spans_both =
                    |s: &&LocalitySetting<'_>| tells_clusters_apart_by_zone(mesh, s, a.id, b.id);
                let Some(setting) = settings.iter().find(spans_both) else { continue };
                let zones: Vec<String> =
                    shared.iter().map(|(p, _)| p.locality.to_string()).collect();
                found
                    .say(
                        format!(
                            "clusters `{}` and `{}` both stand in {}",
                            a.name,
                            b.name,
                            list(zones.iter().map(String::as_str))
                        ),
                        one.span,
                        format!("`{}` in cluster `{}`", one.locality, a.name),
                    )
                    .also(other.span, format!("the same in cluster `{}`", b.name))
                    .also(setting.setting.span, "this setting sees them as one place")
                    .help(format!(
                        "give each cluster zones of its own, or its name as subzone, \
                         or put `{CLUSTER_LABEL}` into failoverPriority"
                    ));
            }
        }
    }
}

/// Whether a setting is meant to choose between two clusters, and sees nothing of them but places.
fn tells_clusters_apart_by_zone(
    mesh: &Mesh,
    setting: &LocalitySetting<'_>,
    a: crate::clusters::ClusterId,
    b: crate::clusters::ClusterId,
) -> bool {
    let by_place = !setting.setting.distribute.is_empty()
        || !setting.setting.failover.is_empty()
        || setting.priority_keys().next().is_some();
    let by_cluster = setting.priority_keys().any(|(key, _)| key == CLUSTER_LABEL);
    let Some(host) = setting.host() else {
        return by_place && !by_cluster && mesh.same_mesh(setting.cluster, a);
    };
    let has = |id| mesh.host(&host).is_some_and(|h| h.services().any(|s| s.cluster == id));
    by_place && !by_cluster && mesh.same_mesh(setting.cluster, a) && has(a) && has(b)
}

fn region_spelled_differently(mesh: &Mesh, found: &mut Findings) {
    for clusters in mesh.meshes() {
        let mut spellings: BTreeMap<String, BTreeMap<&str, (&Place, &str)>> = BTreeMap::new();
        for cluster in clusters {
            for place in mesh.places(cluster.id).iter().filter(|p| !p.locality.region.is_empty()) {
                let bare: String =
                    place.locality.region.chars().filter(char::is_ascii_alphanumeric).collect();
                let known = spellings.entry(bare.to_ascii_lowercase()).or_default();
                known.entry(&place.locality.region).or_insert((place, &cluster.name));
            }
        }
        for known in spellings.into_values() {
            let places: Vec<_> = known.into_values().collect();
            let [(first, first_cluster), others @ ..] = places.as_slice() else { continue };
            for (other, cluster) in others {
                if are_two_clouds(&first.locality, &other.locality) {
                    continue;
                }
                let (a, b) = (&first.locality.region, &other.locality.region);
                found
                    .say(
                        format!("one region is spelled `{a}` and `{b}`"),
                        other.span,
                        format!("`{b}` in cluster `{cluster}`"),
                    )
                    .also(first.span, format!("`{a}` in cluster `{first_cluster}`"))
                    .help("spell it alike on all nodes: to Istio these are two regions");
            }
        }
    }
}

/// `us-east-1` with `us-east-1a` is Amazon's, `us-east1` with `us-east1-b` is Google's: two places
/// with like names.
fn are_two_clouds(a: &Locality, b: &Locality) -> bool {
    let style = |l: &Locality| {
        let letter = l.zone.strip_prefix(l.region.as_str())?;
        let dashed = letter.strip_prefix('-');
        let one = |s: &str| s.len() == 1 && s.chars().all(|c| c.is_ascii_lowercase());
        match dashed {
            Some(rest) if one(rest) => Some("google"),
            None if one(letter) => Some("amazon"),
            _ => None,
        }
    };
    matches!((style(a), style(b)), (Some(a), Some(b)) if a != b)
}

fn locality_label_on_template(mesh: &Mesh, found: &mut Findings) {
    for workload in &mesh.workloads {
        let labels = &workload.template.metadata.labels;
        let keys = ["topology.istio.io/locality", "istio-locality"];
        let Some(label) = keys.iter().find_map(|key| labels.get(key)) else { continue };
        let dotted =
            if label.contains('/') { label.value.clone() } else { label.replace('.', "/") };
        let locality = Locality::parse(&dotted);
        let parts = dotted.split('/').count();
        let name = workload.name();
        if parts > 3 {
            found
                .say(
                    format!("the locality of `{name}` has {parts} parts"),
                    label.span,
                    format!("read as `{locality}`; the rest is dropped"),
                )
                .help("write region/zone/subzone with slashes: each dot counts as a slash");
        } else if pinned_zone(workload).map(|z| z.as_str()) != Some(locality.zone.as_str()) {
            found
                .say(
                    format!("every replica of `{name}` claims to be in `{locality}`"),
                    label.span,
                    "holds wherever a pod really runs",
                )
                .help("drop the label: Istio takes the locality from the node");
        }
    }
}

/// The zone that a workload's node selector names.
fn pinned_zone(workload: &In<Workload>) -> Option<&Text> {
    workload.template.spec.node_selector.get(ZONE_LABEL)
}

fn pod_zone_label_differs(mesh: &Mesh, found: &mut Findings) {
    let mut say = |name: &str, label: &Text, truth: &Text, why: &str| {
        found
            .say(
                format!("`{name}` is labelled `{label}` and runs in `{truth}`"),
                label.span,
                "counts for this pod as a client, not as an endpoint",
            )
            .also(truth.span, why)
            .help("drop the label: Istio takes region and zone from the node");
    };
    let keys = [REGION_LABEL, ZONE_LABEL];
    for workload in &mesh.workloads {
        for key in keys {
            let label = workload.template.metadata.labels.get(key);
            let pin = workload.template.spec.node_selector.get(key);
            if let Some((label, pin)) = label.zip(pin).filter(|(label, pin)| label != pin) {
                say(workload.name(), label, pin, "the node selector");
            }
        }
    }
    for pod in &mesh.pods {
        let on = value(pod.node_name.as_ref());
        let node = mesh.nodes.iter().find(|n| n.cluster == pod.cluster && Some(n.name()) == on);
        for key in keys {
            let pair = pod.meta.label(key).zip(node.and_then(|n| n.meta.label(key)));
            if let Some((label, truth)) = pair.filter(|(label, truth)| label != truth) {
                say(pod.name(), label, truth, "its node");
            }
        }
    }
}

fn manual_endpoints_without_locality(mesh: &Mesh, found: &mut Findings) {
    for entry in &mesh.service_entries {
        let host = value(entry.hosts.first()).unwrap_or_default();
        let inline: Vec<(&WorkloadEntry, _)> =
            entry.endpoints.iter().map(|e: &Spanned<WorkloadEntry>| (&e.value, e.span)).collect();
        let selected = mesh.workload_entries.iter().filter(|w| {
            let labels = |s: &crate::kinds::networking::WorkloadSelector| {
                !s.labels.is_empty()
                    && s.labels.iter().all(|(k, v)| w.labels.get(k.as_str()) == Some(v))
            };
            w.cluster == entry.cluster
                && w.namespace == entry.namespace
                && entry.workload_selector.as_ref().is_some_and(labels)
        });
        let selected: Vec<(&WorkloadEntry, _)> =
            selected.map(|w| (&w.resource.spec, w.named_at())).collect();
        for endpoints in [inline, selected] {
            let placed = endpoints.iter().find_map(|(e, _)| e.locality.as_ref());
            let Some(placed) = placed else { continue };
            let bare: Vec<_> = endpoints.iter().filter(|(e, _)| e.locality.is_none()).collect();
            let Some((first, at)) = bare.first() else { continue };
            let at_address = |e: &WorkloadEntry, at| e.address.as_ref().map_or(at, |a| a.span);
            let finding = found.say(
                format!(
                    "{} of {} endpoints of `{host}` have no locality",
                    bare.len(),
                    endpoints.len()
                ),
                at_address(first, *at),
                "no locality: last in every order of failover",
            );
            for (e, at) in bare.iter().skip(1).take(SHOWN - 1) {
                finding.also(at_address(e, *at), "no locality either");
            }
            finding
                .also(placed.span, "this one says where it is")
                .help("give each endpoint `locality: region/zone`, or none");
        }
    }
}

fn duplicate_zone_name(mesh: &Mesh, found: &mut Findings) {
    for clusters in mesh.meshes() {
        let Some(of) = clusters.first().map(|c| c.id) else { continue };
        let mut regions: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
        for place in clusters.iter().flat_map(|c| mesh.places(c.id)) {
            let known = regions.entry(place.locality.zone.as_str()).or_default();
            if known.iter().all(|p| p.locality.region != place.locality.region) {
                known.push(place);
            }
        }
        regions.retain(|zone, places| !zone.is_empty() && places.len() > 1);
        let mut told = BTreeSet::new();
        for by_zone in
            matches_by_zone_alone(mesh).into_iter().filter(|(c, ..)| mesh.same_mesh(*c, of))
        {
            let (_, zone, at, what) = by_zone;
            for (name, places) in
                regions.iter().filter(|(name, _)| zone.is_none_or(|z| z == **name))
            {
                if !told.insert((at, *name)) {
                    continue;
                }
                let in_regions: Vec<&str> =
                    places.iter().map(|p| p.locality.region.as_str()).collect();
                let finding = found.say(
                    format!("zone `{name}` exists in regions {}", list(in_regions)),
                    at,
                    format!("{what} looks at the zone alone"),
                );
                for place in places {
                    finding.also(place.span, format!("`{name}` of `{}`", place.locality.region));
                }
                finding.help(format!("compare `{REGION_LABEL}` too, and before the zone"));
            }
        }
    }
}

type ByZone<'m> = (crate::clusters::ClusterId, Option<&'m str>, crate::source::Span, &'static str);

/// Places that compare zones without regions: which zone, where, and what it is.
fn matches_by_zone_alone(mesh: &Mesh) -> Vec<ByZone<'_>> {
    let mut found = Vec::new();
    for subset in mesh.subsets() {
        if let Some(zone) =
            subset.label(ZONE_LABEL).filter(|_| subset.label(REGION_LABEL).is_none())
        {
            found.push((subset.rule.cluster, Some(zone.as_str()), zone.span, "this subset"));
        }
    }
    for setting in mesh.locality_settings() {
        let keys = &setting.setting.failover_priority;
        let zone = keys.iter().find(|k| k.starts_with(ZONE_LABEL));
        // A region that comes too late is a matter of the order.
        let region = keys.iter().any(|k| k.starts_with(REGION_LABEL));
        if let Some(zone) = zone.filter(|_| !region) {
            found.push((setting.cluster, None, zone.span, "this order of failover"));
        }
    }
    for service in &mesh.virtual_services {
        let matches = service.http.iter().flat_map(|r| &r.matches);
        for source in matches.map(|m| &m.source_labels) {
            if let Some(zone) =
                source.get(ZONE_LABEL).filter(|_| source.get(REGION_LABEL).is_none())
            {
                found.push((service.cluster, Some(zone.as_str()), zone.span, "this match"));
            }
        }
    }
    found
}

//! Topology: do nodes and endpoints say where they stand, and do all clusters say it alike?

mod nodes;

use std::collections::{BTreeMap, BTreeSet};

use super::{Rule, rule};
use crate::clusters::{ClusterId, letters};
use crate::finding::{Findings, Severity};
use crate::kinds::is_placeholder;
use crate::kinds::networking::WorkloadEntry;
use crate::mesh::{
    CLUSTER_LABEL, Locality, LocalityPattern, LocalitySetting, Mesh, Place, REGION_LABEL,
    ZONE_LABEL, list, value,
};
use crate::placement::pinned_zone;
use crate::rules::SHOWN;
use crate::source::{Spanned, Text};

pub(super) const RULES: &[Rule] = &[
    rule!("topology/beta-failure-domain-label", nodes::beta_failure_domain_label),
    rule!("topology/clusters-share-locality", clusters_share_locality),
    rule!("topology/duplicate-zone-name", duplicate_zone_name),
    rule!("topology/locality-label-on-template", locality_label_on_template),
    rule!("topology/manual-endpoints-without-locality", manual_endpoints_without_locality),
    rule!("topology/mixed-subzones", nodes::mixed_subzones),
    rule!("topology/node-without-region", nodes::node_without_region),
    rule!("topology/node-without-zone", nodes::node_without_zone),
    rule!("topology/pod-zone-label-differs", pod_zone_label_differs),
    rule!("topology/region-spelled-differently", region_spelled_differently),
];

/// Labels by which a pod or an endpoint says where it stands; the first one wins.
const LOCALITY_LABELS: [&str; 2] = ["topology.istio.io/locality", "istio-locality"];

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
                    |s: &&LocalitySetting<'_>| chooses_by_place_only(mesh, s, a.id, b.id);
                let Some(setting) = settings.iter().find(spans_both) else { continue };
                let zones: Vec<String> =
                    shared.iter().map(|(p, _)| p.locality.to_string()).collect();
                let finding = found
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
                if !settings.iter().filter(spans_both).any(|s| parts(mesh, s, [a.id, b.id])) {
                    finding.milder(Severity::Note, ", which matters where one is to be preferred");
                }
            }
        }
    }
}

/// Whether an entry of a setting parts two clusters: it names a place that only the one has and one
/// that only the other has.
fn parts(mesh: &Mesh, setting: &LocalitySetting<'_>, [a, b]: [ClusterId; 2]) -> bool {
    let names_own = |patterns: &[LocalityPattern], of: ClusterId, other: ClusterId| {
        let has = |id: ClusterId, pattern: &LocalityPattern| {
            mesh.places(id).iter().any(|p| pattern.matches(&p.locality))
        };
        patterns.iter().any(|pattern| has(of, pattern) && !has(other, pattern))
    };
    let read = |texts: Vec<&Text>| -> Vec<LocalityPattern> {
        texts.into_iter().map(|text| LocalityPattern::parse(text)).collect()
    };
    let of_distribute =
        setting.setting.distribute.iter().map(|entry| {
            read(entry.from.iter().chain(entry.to.iter().map(|(to, _)| to)).collect())
        });
    let of_failover =
        setting.setting.failover.iter().map(|f| read(f.from.iter().chain(&f.to).collect()));
    of_distribute
        .chain(of_failover)
        .any(|patterns| names_own(&patterns, a, b) && names_own(&patterns, b, a))
}

/// Whether a setting is for a host that two clusters have, and sees nothing of them but places.
fn chooses_by_place_only(
    mesh: &Mesh,
    setting: &LocalitySetting<'_>,
    a: ClusterId,
    b: ClusterId,
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
                let known = spellings.entry(letters(&place.locality.region)).or_default();
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
/// with like names. Without zones the regions' own form has to tell.
fn are_two_clouds(a: &Locality, b: &Locality) -> bool {
    let style = |l: &Locality| {
        if l.zone.is_empty() {
            let name = l.region.trim_end_matches(|c: char| c.is_ascii_digit());
            let numbered = name.len() < l.region.len();
            let amazon = name.ends_with('-');
            return numbered.then_some(if amazon { "amazon" } else { "google" });
        }
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
        let label = LOCALITY_LABELS.iter().find_map(|key| labels.get(key));
        let Some(label) = label.filter(|label| !is_placeholder(label)) else { continue };
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
                .help("drop the label: each dot counts as a slash, so that a name with a dot cannot be written in it");
        } else if pinned_zone(mesh, workload)
            .is_none_or(|pin| pin.zone.zone != locality.zone && !is_placeholder(&pin.zone.zone))
        {
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

/// Whether two values are known, and not the same.
fn differ(one: &Text, other: &Text) -> bool {
    one != other && ![one, other].iter().any(|text| is_placeholder(text))
}

fn pod_zone_label_differs(mesh: &Mesh, found: &mut Findings) {
    let mut say = |name: &str, label: &Text, truth: &Text, why: &str| {
        found
            .say(
                format!("`{name}` is labelled `{label}` and runs in `{truth}`"),
                label.span,
                "no effect: Istio takes the value of the node",
            )
            .also(truth.span, why)
            .help("drop the label: Istio takes region and zone from the node");
    };
    let keys = [REGION_LABEL, ZONE_LABEL];
    for workload in &mesh.workloads {
        for key in keys {
            let label = workload.template.metadata.labels.get(key);
            let pin = workload.template.spec.node_selector.get(key);
            if let Some((label, pin)) = label.zip(pin).filter(|(label, pin)| differ(label, pin)) {
                say(workload.name(), label, pin, "the node selector");
            }
        }
    }
    let nodes: BTreeMap<_, _> = mesh.nodes.iter().map(|n| ((n.cluster, n.name()), n)).collect();
    for pod in &mesh.pods {
        let on = value(pod.node_name.as_ref());
        let node = on.and_then(|name| nodes.get(&(pod.cluster, name)));
        for key in keys {
            let pair = pod.meta.label(key).zip(node.and_then(|n| n.meta.label(key)));
            if let Some((label, truth)) = pair.filter(|(label, truth)| differ(label, truth)) {
                say(pod.name(), label, truth, "its node");
            }
        }
    }
}

/// What says where an endpoint stands: its field, or else its label.
fn locality(entry: &WorkloadEntry) -> Option<&Text> {
    let labels = || LOCALITY_LABELS.iter().find_map(|key| entry.labels.get(key));
    entry.locality.as_ref().or_else(labels)
}

fn manual_endpoints_without_locality(mesh: &Mesh, found: &mut Findings) {
    for entry in &mesh.service_entries {
        let host = value(entry.hosts.first()).unwrap_or_default();
        let inline: Vec<(&WorkloadEntry, _)> =
            entry.endpoints.iter().map(|e: &Spanned<WorkloadEntry>| (&e.value, e.span)).collect();
        let selected = mesh.workload_entries.of_namespace(entry.cluster, &entry.namespace);
        let selected = selected.filter(|w| {
            let labels = |s: &crate::kinds::networking::WorkloadSelector| {
                !s.labels.is_empty()
                    && s.labels.iter().all(|(k, v)| w.labels.get(k.as_str()) == Some(v))
            };
            entry.workload_selector.as_ref().is_some_and(labels)
        });
        let selected: Vec<(&WorkloadEntry, _)> =
            selected.map(|w| (&w.resource.spec, w.named_at())).collect();
        for endpoints in [inline, selected] {
            let Some(placed) = endpoints.iter().find_map(|(e, _)| locality(e)) else { continue };
            let bare: Vec<_> = endpoints.iter().filter(|(e, _)| locality(e).is_none()).collect();
            let Some((first, at)) = bare.first() else { continue };
            let at_address = |e: &WorkloadEntry, at| e.address.as_ref().map_or(at, |a| a.span);
            let finding = found.say(
                format!(
                    "{} of {} endpoints of `{host}` have no locality",
                    bare.len(),
                    endpoints.len()
                ),
                at_address(first, *at),
                "no locality: ranked with those of another region",
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

type ByZone<'m> = (ClusterId, Option<&'m str>, crate::source::Span, &'static str);

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

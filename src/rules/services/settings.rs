//! What control planes are told of services: who stays in its cluster, and whether ServiceExports count.

use std::collections::{BTreeMap, BTreeSet};

use crate::clusters::{Cluster, is_on};
use crate::finding::Findings;
use crate::kinds::is_placeholder;
use crate::mesh::{HostPattern, In, Mesh, list};
use crate::source::{Span, Text};

/// The clusters of each mesh whose control planes read their own objects.
fn planes(mesh: &Mesh) -> Vec<Vec<&Cluster>> {
    let own = |c: &&Cluster| mesh.is_read_in(c.id);
    let each = mesh.meshes().into_iter();
    each.map(|clusters| clusters.into_iter().filter(own).collect()).collect()
}

pub(super) fn cluster_local_inconsistent(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for planes in planes(mesh) {
        for plane in &planes {
            let entries = plane.facts.mesh_config.iter().flat_map(|c| &c.service_settings);
            for pattern in entries.flat_map(|entry| &entry.hosts) {
                let other =
                    planes.iter().filter(|c| c.id != plane.id && mesh.knows_mesh_config(c.id));
                let differing = other.filter_map(|c| Some((*c, differs(mesh, pattern, plane, c)?)));
                let Some((other, (host, stays))) = differing.into_iter().next() else { continue };
                if is_placeholder(pattern) || !told.insert(pattern.span) {
                    continue;
                }
                let short = crate::mesh::short(&host);
                let (here, there) = if stays { (*plane, other) } else { (other, *plane) };
                let finding = found.say(
                    format!("`{short}` stays in the cluster for clients of `{}`, and not for those of `{}`", here.name, there.name),
                    pattern.span,
                    format!("told to `{}` alone: each control plane heeds its own setting", plane.name),
                );
                let theirs = other.facts.mesh_config.iter().flat_map(|c| &c.service_settings);
                let theirs = theirs.flat_map(|entry| &entry.hosts);
                if let Some(text) = theirs.into_iter().find(|text| HostPattern(text).matches(&host))
                {
                    told.insert(text.span);
                    finding.also(text.span, format!("what `{}` is told", other.name));
                }
                finding
                    .help("keep `serviceSettings` alike in the MeshConfig of all control planes");
            }
        }
    }
}

/// A host of several clusters that a pattern is for and that one control plane keeps in its cluster and
/// another does not, and whether the first does.
fn differs(
    mesh: &Mesh,
    pattern: &Text,
    plane: &Cluster,
    other: &Cluster,
) -> Option<(String, bool)> {
    let named = mesh.hosts().filter(|host| HostPattern(pattern).matches(host.name));
    named.into_iter().find_map(|host| {
        let services: BTreeSet<_> = host.services_of_mesh(plane.id).map(|s| s.cluster).collect();
        let here = mesh.is_cluster_local(host.name, plane.id);
        let there = mesh.is_cluster_local(host.name, other.id);
        let entries = plane.facts.mesh_config.iter().flat_map(|c| &c.service_settings);
        let matching = entries.flat_map(|e| &e.hosts).filter(|p| HostPattern(p).matches(host.name));
        let most = matching.map(|p| HostPattern(p).specificity()).max();
        let decides = most == Some(HostPattern(pattern).specificity());
        (services.len() > 1 && decides && here != there).then(|| (host.name.to_owned(), here))
    })
}

/// Names of what watches a cluster, as its charts call it.
const OF_THE_CLUSTER: &[&str] = &[
    "prometheus",
    "alertmanager",
    "grafana",
    "kiali",
    "jaeger",
    "zipkin",
    "tempo",
    "loki",
    "promtail",
    "otel",
    "opentelemetry",
    "fluentd",
    "fluent",
    "elasticsearch",
    "vault",
];

pub(super) fn infra_service_not_cluster_local(mesh: &Mesh, found: &mut Findings) {
    let mut by_mesh: BTreeMap<usize, Vec<&In<crate::kinds::core::Service>>> = BTreeMap::new();
    for host in mesh.hosts() {
        let short = host.name.split('.').next().unwrap_or_default();
        if !short.split('-').any(|word| OF_THE_CLUSTER.contains(&word)) {
            continue;
        }
        for clusters in mesh.meshes() {
            let Some(first) = clusters.first() else { continue };
            let with = mesh.clusters_with_backends(host, first.id);
            let distinct: BTreeSet<_> = with.iter().collect();
            let planes = clusters.iter().filter(|c| mesh.is_read_in(c.id));
            let local = planes
                .into_iter()
                .all(|c| mesh.is_cluster_local(host.name, c.id) || !mesh.knows_mesh_config(c.id));
            let service = host.services_of_mesh(first.id).find(|s| s.cluster_ip.is_none());
            let Some(service) = service.filter(|_| distinct.len() > 1 && !local) else { continue };
            if !mesh.is_assumed(&service.meta) {
                by_mesh.entry(first.mesh).or_default().push(service);
            }
        }
    }
    for services in by_mesh.into_values() {
        let names: Vec<String> =
            services.iter().map(|s| format!("{}.{}", s.name(), s.namespace)).collect();
        let finding = found.say(
            format!("{} in several clusters {} one service to the mesh", list(names.iter().map(String::as_str)), if names.len() == 1 { "is" } else { "are" }),
            services[0].named_at(),
            "clients with a sidecar are spread over all clusters: queries and data go now here, now there",
        );
        for service in &services[1..] {
            finding.also(service.named_at(), "and so are those of this");
        }
        finding.help(format!(
            "keep it in each cluster: MeshConfig `serviceSettings: [{{settings: {{clusterLocal: true}}, hosts: \
             [\"{}.svc.cluster.local\"]}}]`",
            names[0]
        ));
    }
}

/// What makes istiod heed ServiceExports and ServiceImports.
const MCS: [&str; 3] =
    ["ENABLE_MCS_SERVICE_DISCOVERY", "ENABLE_MCS_HOST", "ENABLE_MCS_CLUSTER_LOCAL"];

pub(super) fn mcs_flags_inconsistent(mesh: &Mesh, found: &mut Findings) {
    for planes in planes(mesh) {
        for flag in MCS {
            let value = |c: &Cluster| c.facts.istiod_env(flag).map(|told| (is_on(told), told.span));
            let open = |c: &&&Cluster| {
                c.facts.istiod_env(flag).is_some_and(|told| told.is_empty() || is_placeholder(told))
            };
            let known =
                || planes.iter().filter(|c| !c.facts.istiod_env.is_empty() || value(c).is_some());
            if known().any(|c| open(&c)) {
                continue;
            }
            let on = known().find_map(|c| value(c).filter(|(on, _)| *on).map(|(_, at)| (c, at)));
            let off = known().find(|c| value(c).is_none_or(|(on, _)| !on));
            let (Some((on, at)), Some(off)) = (on, off) else { continue };
            let finding = found.say(
                format!("`{flag}` is on in `{}` and off in `{}`", on.name, off.name),
                at,
                format!(
                    "clients of `{}` do not get what this makes of exported services",
                    off.name
                ),
            );
            if let Some((_, at)) = value(off) {
                finding.also(at, format!("off in `{}`", off.name));
            }
            finding
                .help(format!("set `pilot.env.{flag}` alike for all control planes of the mesh"));
        }
    }
}

//! Is a service in the mesh in all clusters alike?

use std::collections::BTreeMap;

use super::pairs::pairs;
use crate::clusters::ClusterId;
use crate::finding::Findings;
use crate::kinds::core::Service;
use crate::mesh::{Host, In, Mesh, PodShape};
use crate::source::Span;

/// Whether all pods behind a Service are in the mesh, or none is; `None` where nobody can tell, or where
/// they differ.
fn is_in_mesh(mesh: &Mesh, service: &In<Service>) -> Option<bool> {
    let told: Vec<Option<bool>> =
        mesh.shapes_behind(service).map(|pods: PodShape<'_>| mesh.is_in_mesh(&pods)).collect();
    let first = (*told.first()?)?;
    told.iter().all(|other| *other == Some(first)).then_some(first)
}

/// Services of a namespace that are in the mesh in one cluster and not in another.
type Apart<'m> =
    BTreeMap<(ClusterId, ClusterId, &'m str), Vec<(Host<'m>, &'m In<Service>, &'m In<Service>)>>;

pub(super) fn injection_differs_across_clusters(mesh: &Mesh, found: &mut Findings) {
    let mut apart: Apart<'_> = BTreeMap::new();
    for (host, one, other) in pairs(mesh) {
        let (within, without) = match (is_in_mesh(mesh, one), is_in_mesh(mesh, other)) {
            (Some(true), Some(false)) => (one, other),
            (Some(false), Some(true)) => (other, one),
            _ => continue,
        };
        let assumed = mesh.is_assumed(&within.meta) || mesh.is_assumed(&without.meta);
        if !assumed {
            let key = (within.cluster, without.cluster, without.namespace.as_str());
            apart.entry(key).or_default().push((host, within, without));
        }
    }
    for ((a, b, namespace), services) in apart {
        let (host, _, without) = services[0];
        let (a_name, b_name) = (mesh.cluster_name(a), mesh.cluster_name(b));
        let rest = match services.len() {
            1 => String::new(),
            many => format!(" and {} more", many - 1),
        };
        let here = mesh.namespace(b, namespace).found();
        let at: Span = here.map_or(without.named_at(), In::named_at);
        let effect = if mesh.in_different_networks(mesh.cluster(a), mesh.cluster(b)) {
            "clients of other networks are not sent here, as nothing crosses networks without mTLS"
        } else {
            "clients of other clusters speak plain text to these, without identity"
        };
        let finding = found.say(
            format!("`{}`{rest} is in the mesh in `{a_name}` and not in `{b_name}`", host.short()),
            at,
            format!("no pod here has a sidecar or is in ambient: {effect}"),
        );
        for (_, _, without) in services.iter().take(3) {
            finding.also(without.named_at(), format!("out of the mesh in `{b_name}`"));
        }
        if let Some(labelled) = mesh.namespace(a, namespace).found() {
            finding.also(labelled.named_at(), format!("in the mesh in `{a_name}`"));
        }
        finding.help(format!(
            "label namespace `{namespace}` alike in both clusters, and restart its pods"
        ));
    }
}

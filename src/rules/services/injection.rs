//! Is a service in the mesh in all clusters alike?

use std::collections::BTreeMap;

use super::pairs::pairs;
use crate::clusters::ClusterId;
use crate::finding::{Findings, Severity};
use crate::kinds::core::Service;
use crate::mesh::{DATAPLANE_MODE, Host, In, Mesh, PodShape, REVISION, is_told};
use crate::source::Span;

/// Whether all pods behind a Service are in the mesh, or none is; `None` where nobody can tell, or where
/// they differ.
fn is_in_mesh(mesh: &Mesh, service: &In<Service>) -> Option<bool> {
    let told: Vec<Option<bool>> =
        mesh.shapes_behind(service).map(|pods: PodShape<'_>| mesh.is_in_mesh(&pods)).collect();
    let first = (*told.first()?)?;
    told.iter().all(|other| *other == Some(first)).then_some(first)
}

/// Whether the namespace of a Service is written without any of the labels that take pods into the mesh, and
/// nobody can tell whether people set them by hand.
fn is_unlabelled(mesh: &Mesh, service: &In<Service>) -> bool {
    let namespace = mesh.namespace(service.cluster, &service.namespace).found();
    let written = namespace.is_some_and(|ns| !mesh.is_assumed(&ns.meta) && !is_told(ns));
    let mut pods = mesh.shapes_behind(service).peekable();
    let is_open = |pods: &PodShape<'_>| {
        mesh.is_in_mesh(pods).is_none()
            && mesh.injection_asked_of(pods).is_none()
            && pods.labels.get(REVISION).is_none()
            && pods.labels.get(DATAPLANE_MODE).is_none()
    };
    written
        && !mesh.injects_by_default(service.cluster)
        && pods.peek().is_some()
        && pods.all(|p| is_open(&p))
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
            (Some(true), None) if is_unlabelled(mesh, other) => (one, other),
            (None, Some(true)) if is_unlabelled(mesh, one) => (other, one),
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
        if is_in_mesh(mesh, without).is_none() {
            finding.milder(Severity::Warning, ", unless somebody labelled its namespace by hand");
        }
        finding.help(format!(
            "label namespace `{namespace}` alike in both clusters, and restart its pods"
        ));
    }
}

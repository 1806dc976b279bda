//! What tells that a namespace is meant to be in the mesh, though no label says so.

use crate::clusters::ClusterId;
use crate::kinds::core::Namespace;
use crate::kinds::policy::TrafficPolicy;
use crate::mesh::{In, IstioObject, Mesh, value};
use crate::source::Span;

/// A place that only makes sense where pods of the namespace have proxies, and what it is. Platforms that
/// serve the mesh from outside (delivery, certificates, monitoring) have none.
pub(super) fn sign_of_membership(
    mesh: &Mesh,
    namespace: &In<Namespace>,
) -> Option<(Span, &'static str)> {
    let name = namespace.name();
    let plane = mesh.config_cluster(namespace.cluster).found().unwrap_or(namespace.cluster);
    of_policies(mesh, plane, name)
        .or_else(|| of_pods(mesh, namespace.cluster, name))
        .or_else(|| of_routes(mesh, plane, name))
        .or_else(|| of_identities(mesh, plane, name))
}

/// Objects for proxies of the namespace itself.
fn of_policies(mesh: &Mesh, plane: ClusterId, name: &str) -> Option<(Span, &'static str)> {
    let kinds = ["Sidecar", "PeerAuthentication", "RequestAuthentication", "AuthorizationPolicy"];
    let for_proxies = |o: &&IstioObject| kinds.contains(&o.meta.kind.as_str());
    let found = mesh.istio_objects.of_namespace(plane, name).find(for_proxies)?;
    Some((found.named_at(), "this is for proxies in the namespace"))
}

/// Annotations that only proxies and their injector read.
fn of_pods(mesh: &Mesh, cluster: ClusterId, name: &str) -> Option<(Span, &'static str)> {
    let of_proxy = |key: &str| {
        ["sidecar.istio.io/", "proxy.istio.io/", "traffic.sidecar.istio.io/"]
            .iter()
            .any(|prefix| key.starts_with(prefix))
    };
    let annotations = mesh.pod_shapes_in(cluster, name).flat_map(|p| p.annotations);
    let mut keys = annotations.map(|(key, _)| key);
    Some((keys.find(|key| of_proxy(key))?.span, "this is for a proxy of its pods"))
}

/// Routes and policies for its hosts between workloads. What a gateway leads to, or what is called with
/// TLS of its own or none, may well be outside.
fn of_routes(mesh: &Mesh, plane: ClusterId, name: &str) -> Option<(Span, &'static str)> {
    let why = "this is for requests within the mesh";
    let mut services = mesh.virtual_services.of_namespace(plane, name);
    if let Some(service) = services.find(|s| s.is_for_mesh()) {
        return Some((service.named_at(), why));
    }
    let other_tls = |policy: &TrafficPolicy| {
        policy.tls.as_ref().is_some_and(|tls| value(tls.mode.as_ref()) != Some("ISTIO_MUTUAL"))
    };
    let mut rules = mesh.destination_rules.of_namespace(plane, name);
    let rule = rules.find(|rule| !rule.traffic_policy.as_ref().is_some_and(|p| other_tls(p)))?;
    Some((rule.named_at(), why))
}

/// Policies that let its workloads in by what only a certificate of the mesh tells.
fn of_identities(mesh: &Mesh, plane: ClusterId, name: &str) -> Option<(Span, &'static str)> {
    let part = format!("/ns/{name}/");
    let policies = mesh.authorization_policies.of_cluster(plane).iter();
    let rules = policies.flat_map(|policy| policy.rules.iter().flatten());
    let mut sources = rules.flat_map(|rule| &rule.from).map(|from| &from.source);
    let named = sources.find_map(|source| {
        let by_name = source.namespaces.iter().find(|text| text.as_str() == name);
        by_name.or_else(|| source.principals.iter().find(|text| text.contains(&part)))
    })?;
    Some((named.span, "this asks for the identity of its workloads"))
}

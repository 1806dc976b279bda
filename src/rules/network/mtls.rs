//! Nothing crosses networks without Istio's mTLS.

use std::collections::{BTreeMap, BTreeSet};

use crate::clusters::ClusterId;
use crate::finding::Findings;
use crate::kinds::core::{Service, ServicePort};
use crate::kinds::networking::DestinationRule;
use crate::kinds::security::PeerAuthentication;
use crate::mesh::{HostPattern, In, Mesh, PodShape, fqdn, list, value};
use crate::source::Text;
use crate::traffic::mtls::takes_mtls;

pub(super) fn mtls_disabled_cross_network(mesh: &Mesh, found: &mut Findings) {
    let called: Vec<&In<Service>> =
        mesh.services.iter().filter(|s| mesh.is_called_across_networks(s)).collect();
    let mut told = BTreeSet::new();
    for policy in mesh.peer_authentications.iter().filter(|p| !mesh.is_assumed(&p.meta)) {
        let Some(at) = disabled_by(policy).filter(|at| told.insert(at.span)) else { continue };
        let hit = called.iter().copied().filter(|service| is_disabled(mesh, policy, service));
        let all = by_name(hit);
        let label = "without mTLS their endpoints are left out for clients of other networks";
        say(&format!("PeerAuthentication `{}`", policy.name()), at, label, &all, found);
    }
    for rule in mesh.destination_rules.iter().filter(|r| !mesh.is_assumed(&r.meta)) {
        let Some(at) = other_tls(rule).filter(|at| told.insert(at.span)) else { continue };
        let Some(host) = &rule.host else { continue };
        let pattern = fqdn(host, &rule.namespace);
        let far = |s: &&In<Service>| {
            let clients = mesh.client_clusters(rule.cluster);
            let there = mesh.cluster(s.cluster);
            mesh.same_mesh(s.cluster, rule.cluster)
                && clients.iter().any(|c| mesh.in_different_networks(c, there))
        };
        let name = |s: &In<Service>| format!("{}.{}.svc.cluster.local", s.name(), s.namespace);
        let hit =
            called.iter().copied().filter(far).filter(|s| HostPattern(&pattern).matches(&name(s)));
        let all = by_name(hit);
        let label = "its clients do not use Istio's mTLS, so endpoints of other networks are left out for them";
        say(&format!("DestinationRule `{}`", rule.name()), at, label, &all, found);
    }
}

/// Services by name and namespace: the first of each.
fn by_name<'m>(
    services: impl Iterator<Item = &'m In<Service>>,
) -> BTreeMap<String, &'m In<Service>> {
    let mut found = BTreeMap::new();
    for service in services {
        let name = format!("{}.{}", service.name(), service.namespace);
        found.entry(name).or_insert(service);
    }
    found
}

fn say(
    what: &str,
    at: &Text,
    label: &str,
    services: &BTreeMap<String, &In<Service>>,
    found: &mut Findings,
) {
    let Some((_, first)) = services.first_key_value() else { return };
    let rest = services.len().saturating_sub(3);
    let names = list(services.keys().take(3).map(String::as_str));
    let more = if rest > 0 { format!(", and {rest} more") } else { String::new() };
    found
        .say(format!("{what} keeps {names}{more} from other networks"), at.span, label)
        .also(first.named_at(), "in several networks")
        .help(
            "nothing crosses networks without Istio's mTLS: use `PERMISSIVE` or `ISTIO_MUTUAL`, or keep the \
             service in its cluster with `clusterLocal: true`",
        );
}

/// Where a policy switches mTLS off.
fn disabled_by(policy: &PeerAuthentication) -> Option<&Text> {
    let ports = policy.port_level_mtls.iter().map(|(_, told)| told);
    let modes = policy.mtls.iter().chain(ports).filter_map(|told| told.mode.as_ref());
    modes.into_iter().find(|mode| mode.as_str() == "DISABLE")
}

/// Where a rule makes clients use something else than Istio's mTLS.
fn other_tls(rule: &DestinationRule) -> Option<&Text> {
    let subsets = rule.subsets.iter().filter_map(|s| s.traffic_policy.as_ref());
    let policies = rule.traffic_policy.iter().chain(subsets);
    let modes = policies.flat_map(|p| {
        let ports = p.port_level_settings.iter().filter_map(|port| port.tls.as_ref());
        p.tls.iter().chain(ports).filter_map(|tls| tls.mode.as_ref())
    });
    modes.into_iter().find(|mode| matches!(mode.as_str(), "DISABLE" | "SIMPLE" | "MUTUAL"))
}

/// Whether pods behind a Service take no mTLS on one of its ports, by a policy that is for them.
fn is_disabled(mesh: &Mesh, policy: &In<PeerAuthentication>, service: &In<Service>) -> bool {
    let root = mesh.root_namespace(policy.cluster);
    let near = policy.namespace == service.namespace || policy.namespace == root;
    let is_for = |pods: &PodShape<'_>| {
        policy.selector.as_ref().is_none_or(|s| s.is_empty() || s.matches(pods.labels))
    };
    let takes = |pods: &PodShape<'_>, plane: ClusterId, port: &ServicePort| {
        let label = |key: &str| value(pods.labels.get(key));
        takes_mtls(mesh, plane, &service.namespace, label, port.target())
    };
    near && mesh.same_mesh(policy.cluster, service.cluster)
        && mesh.shapes_behind(service).any(|pods| {
            is_for(&pods) && service.ports.iter().any(|port| !takes(&pods, policy.cluster, port))
        })
}

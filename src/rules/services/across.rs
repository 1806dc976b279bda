//! Services that clients of other networks call through a gateway.

use std::collections::{BTreeMap, BTreeSet};

use super::sameness::EXPORT_TO;
use crate::finding::Findings;
use crate::kinds::core::Service;
use crate::kinds::may_be;
use crate::kinds::security::{AuthorizationFrom, AuthorizationPolicy};
use crate::mesh::{In, Mesh};
use crate::source::{Span, Text};

pub(super) fn headless_cross_network(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for host in mesh.hosts() {
        for service in host.services().filter(|s| s.type_name() == "headless") {
            let here = mesh.cluster(service.cluster);
            let far = host.services_of_mesh(here.id).find(|s| {
                mesh.in_different_networks(here, mesh.cluster(s.cluster))
                    && !mesh.backends(s).is_empty()
            });
            let is_called = mesh.may_be_called_from_afar(service) && !has_virtual_ip(mesh, service);
            // Of one that is headless in some clusters alone, another rule speaks.
            let far = far.filter(|far| is_called && far.type_name() == "headless");
            let Some(far) = far else { continue };
            let at = service.cluster_ip.as_ref().map_or(service.named_at(), |ip| ip.span);
            if mesh.is_assumed(&service.meta) || told.contains(&at) {
                continue;
            }
            let there = far.cluster_ip.as_ref().map_or(far.named_at(), |ip| ip.span);
            told.extend([at, there]);
            found
                .say(
                    format!("headless `{}` has pods in several networks", host.short()),
                    at,
                    format!("clients in `{}` reach the pods of their own cluster alone", here.name),
                )
                .also(there, format!("has pods in `{}`, which no name and no address leads to", mesh.cluster_name(far.cluster)))
                .help(
                    "call across networks by a Service with a virtual IP; what must reach single pods of another \
                     network needs a Service for each, or a ServiceEntry with the gateway's address",
                );
        }
    }
}

/// Whether another Service of the namespace gives clients a virtual IP for the pods of a headless one.
fn has_virtual_ip(mesh: &Mesh, headless: &In<Service>) -> bool {
    let labels = |s: &In<Service>| -> BTreeMap<String, String> {
        let all = s.selector.iter().flat_map(|labels| labels.iter());
        all.map(|(key, want)| (key.to_string(), want.value.clone())).collect()
    };
    mesh.services.iter().any(|s| {
        s.cluster == headless.cluster
            && s.namespace == headless.namespace
            && s.type_name() != "headless"
            && !s.is_external_name()
            && labels(s) == labels(headless)
    })
}

pub(super) fn not_visible_to_eastwest_gateway(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for service in mesh.services.iter().filter(|s| mesh.is_called_across_networks(s)) {
        let facts = &mesh.cluster(service.cluster).facts;
        let by_mesh = || facts.mesh_config.iter().map(|c| &c.default_service_export_to);
        let own = service.meta.annotation(EXPORT_TO);
        let texts: Vec<&Text> = match own {
            Some(own) => vec![own],
            None => by_mesh().find(|to| !to.is_empty()).into_iter().flatten().collect(),
        };
        let network = mesh.cluster(service.cluster).network();
        let gateways = mesh.gateway_services().filter(|g| g.cluster == service.cluster);
        let Some(gateway) =
            gateways.filter(|g| g.network() == network).find(|g| g.takes_other_networks())
        else {
            continue;
        };
        let sees = |to: &str| match to.trim() {
            "*" => true,
            "." => service.namespace == gateway.namespace,
            to => may_be(to, &gateway.namespace),
        };
        let Some(text) = texts.first() else { continue };
        let visible = texts.iter().flat_map(|text| text.split(',')).any(sees);
        if visible || mesh.is_assumed(&service.meta) || !told.insert(text.span) {
            continue;
        }
        found
            .say(
                format!(
                    "the gateway to other networks does not see `{}.{}`",
                    service.name(),
                    service.namespace
                ),
                text.span,
                format!(
                    "hides it from namespace `{}`: requests of other networks for it are reset",
                    gateway.namespace
                ),
            )
            .also(gateway.named_at(), "the gateway knows only what its namespace sees")
            .help(format!(
                "export it to `{}` too, or keep it in its cluster with `clusterLocal: true`",
                gateway.namespace
            ));
    }
}

/// Whether a policy lets in by other sources, whatever the address: those with addresses are then for who has
/// no identity.
fn lets_in_by_identity(policy: &AuthorizationPolicy) -> bool {
    let allows = policy.action.as_ref().is_none_or(|action| action.as_str() == "ALLOW");
    let is_open = |from: &AuthorizationFrom| {
        from.source.ip_blocks.is_empty() && from.source.not_ip_blocks.is_empty()
    };
    let mut rules = policy.rules.iter().flatten();
    allows && rules.any(|rule| rule.from.is_empty() || rule.from.iter().any(is_open))
}

pub(super) fn authz_ipblocks_across_networks(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for policy in mesh.authorization_policies.iter().filter(|p| !mesh.is_assumed(&p.meta)) {
        let sources =
            policy.rules.iter().flatten().flat_map(|rule| &rule.from).map(|from| &from.source);
        let block = sources.flat_map(|s| s.ip_blocks.iter().chain(&s.not_ip_blocks)).next();
        let Some(block) = block.filter(|_| !lets_in_by_identity(policy)) else { continue };
        let root = mesh.root_namespace(policy.cluster);
        let attached = policy.target_ref.is_some() || !policy.target_refs.is_empty();
        let called = mesh.services.iter().find(|service| {
            let near = service.namespace == policy.namespace || policy.namespace == root;
            let read = mesh.config_cluster(service.cluster).found() == Some(policy.cluster);
            let selected = policy.selector.as_ref().is_none_or(|selector| {
                selector.is_empty()
                    || mesh.shapes_behind(service).any(|pods| selector.matches(pods.labels))
            });
            near && read && selected && mesh.is_called_across_networks(service)
        });
        let Some(service) = called.filter(|_| !attached && told.insert(block.span)) else {
            continue;
        };
        found
            .say(
                format!(
                    "AuthorizationPolicy `{}` looks at addresses that requests of other networks do not keep",
                    policy.name()
                ),
                block.span,
                format!("requests for `{}` from other networks come from the gateway's pods", service.name()),
            )
            .also(service.named_at(), "other networks call it through the gateway")
            .help("tell clients by `principals` or `namespaces`, which the gateway leaves as they are");
    }
}

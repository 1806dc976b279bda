//! What one service is like in two clusters: protocols, visibility, identities, where it may be called.

use std::collections::BTreeSet;

use super::pairs::pairs;
use super::selectors;
use crate::finding::Findings;
use crate::kinds::core::{Service, ServicePort};
use crate::kinds::is_placeholder;
use crate::mesh::{In, Mesh, protocol_of, value};
use crate::source::{Span, Text};

/// The visibility of a Service.
pub(super) const EXPORT_TO: &str = "networking.istio.io/exportTo";

/// How proxies treat a protocol: what is alike here is served alike.
fn sort_of(port: &ServicePort) -> Option<&'static str> {
    Some(match protocol_of(port)? {
        "http" | "http2" | "grpc" | "grpc-web" | "http_proxy" => "HTTP",
        "https" | "tls" => "TLS",
        "udp" => "UDP",
        _ => "TCP",
    })
}

pub(super) fn service_port_protocol_mismatch(mesh: &Mesh, found: &mut Findings) {
    for (host, one, other) in pairs(mesh) {
        let at = |port: &ServicePort, service: &In<Service>| {
            let told = port.app_protocol.as_ref().or(port.name.as_ref());
            told.map_or_else(|| service.named_at(), |text| text.span)
        };
        let (a, b) = (mesh.cluster_name(one.cluster), mesh.cluster_name(other.cluster));
        for port in &other.ports {
            let same =
                |their: &&ServicePort| value(their.name.as_ref()) == value(port.name.as_ref());
            let Some(their) = one.ports.iter().find(same) else { continue };
            let (Some(left), Some(right)) = (sort_of(their), sort_of(port)) else { continue };
            let open = [their, port]
                .iter()
                .any(|p| p.app_protocol.as_ref().is_some_and(|p| is_placeholder(p)));
            if left == right || open {
                continue;
            }
            let number = port.port.as_ref().map_or(0, |port| port.value);
            found
                .say(
                    format!("port {number} of `{}` is {left} in `{a}` and {right} in `{b}`", host.short()),
                    at(port, other),
                    format!("{right} in `{b}`: clients of the other cluster treat it as {left}"),
                )
                .also(at(their, one), format!("{left} in `{a}`"))
                .help("tell the same protocol in all clusters, by the port's name or its `appProtocol`");
        }
    }
}

pub(super) fn service_exportto_mismatch(mesh: &Mesh, found: &mut Findings) {
    for (host, one, other) in pairs(mesh) {
        let told = |s: &In<Service>| -> BTreeSet<String> {
            let told = value(s.meta.annotation(EXPORT_TO)).unwrap_or("*");
            told.split(',').map(|to| to.trim().to_owned()).collect()
        };
        let texts = [one, other].map(|s| s.meta.annotation(EXPORT_TO));
        let open = texts.into_iter().flatten().any(|text| is_placeholder(text));
        if told(one) == told(other) || open {
            continue;
        }
        let at =
            |s: &In<Service>| s.meta.annotation(EXPORT_TO).map_or(s.named_at(), |text| text.span);
        let show = |s: &In<Service>| {
            value(s.meta.annotation(EXPORT_TO))
                .map_or("to all".to_owned(), |to| format!("to `{to}`"))
        };
        let (a, b) = (mesh.cluster_name(one.cluster), mesh.cluster_name(other.cluster));
        found
            .say(
                format!("`{}` is exported {} by `{a}` and {} by `{b}`", host.short(), show(one), show(other)),
                at(other),
                format!("{} by `{b}`: counts for clients of its control plane alone", show(other)),
            )
            .also(at(one), format!("{} by `{a}`", show(one)))
            .help(format!("annotate the Services alike in all clusters (`{EXPORT_TO}`): each control plane heeds its own"));
    }
}

pub(super) fn internal_traffic_policy_local(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for host in mesh.hosts() {
        for service in host.services() {
            let policy = service.internal_traffic_policy.as_ref().filter(|p| p.as_str() == "Local");
            let Some(policy) = policy else { continue };
            let elsewhere = host
                .services_of_mesh(service.cluster)
                .find(|s| s.cluster != service.cluster && !mesh.backends(s).is_empty());
            let Some(elsewhere) = elsewhere else { continue };
            let local =
                mesh.is_cluster_local(host.name, service.cluster) || mesh.is_gateway(service);
            // Agents on each node are meant to be called on that node.
            let backends = mesh.backends(service);
            let agents = backends.iter().any(|w| w.meta.kind.as_str() == "DaemonSet");
            let unknown = backends.is_empty() || mesh.is_assumed(&service.meta);
            if local || agents || unknown || !told.insert(policy.span) {
                continue;
            }
            let (here, there) =
                (mesh.cluster_name(service.cluster), mesh.cluster_name(elsewhere.cluster));
            found
                .say(
                    format!("`{}` is called on the client's own node alone", host.short()),
                    policy.span,
                    format!("clients in `{here}` get no endpoint of another node, nor of another cluster"),
                )
                .also(elsewhere.named_at(), format!("its endpoints in `{there}` are never called from `{here}`"))
                .help("drop it, or keep the service local knowingly with `serviceSettings` and `clusterLocal: true`");
        }
    }
}

/// The service accounts of the pods behind a Service.
fn accounts<'m>(mesh: &'m Mesh, service: &'m In<Service>) -> BTreeSet<&'m str> {
    let backends = mesh.backends(service).into_iter();
    let account =
        |spec: &'m crate::kinds::workloads::PodSpec| value(spec.service_account_name.as_ref());
    backends.map(|w| account(&w.resource.spec.template.spec).unwrap_or("default")).collect()
}

pub(super) fn service_account_mismatch(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for (host, one, other) in pairs(mesh) {
        // Where other pods are selected, that they run as somebody else follows from it.
        if selectors::differ(mesh, one, other) {
            continue;
        }
        let (left, right) = (accounts(mesh, one), accounts(mesh, other));
        if left.is_empty() || right.is_empty() || left == right {
            continue;
        }
        for (here, those, there, missing) in
            [(one, &left, other, &right), (other, &right, one, &left)]
        {
            let only: Vec<&str> = missing.difference(those).copied().collect();
            let Some(account) = only.first().filter(|account| !is_placeholder(account)) else {
                continue;
            };
            let Some(text) = principal_of(mesh, &here.namespace, those, account) else { continue };
            if !told.insert(text.span) {
                continue;
            }
            let (a, b) = (mesh.cluster_name(here.cluster), mesh.cluster_name(there.cluster));
            found
                .say(
                    format!(
                        "requests of `{}` are allowed from `{a}` and not from `{b}`",
                        host.short()
                    ),
                    text.span,
                    format!(
                        "in `{b}` its pods run as `{account}`, which this policy does not name"
                    ),
                )
                .also(there.named_at(), format!("runs as `{account}` in `{b}`"))
                .help(format!(
                    "let its pods run under one service account in all clusters, or allow \
                     `TRUST-DOMAIN/ns/{}/sa/{account}` too",
                    here.namespace
                ));
        }
    }
}

/// A principal of a policy that allows accounts of a namespace, where none allows another account of it.
fn principal_of<'m>(
    mesh: &'m Mesh,
    namespace: &str,
    accounts: &BTreeSet<&str>,
    missing: &str,
) -> Option<&'m Text> {
    let named =
        |text: &Text, account: &str| text.ends_with(&format!("/ns/{namespace}/sa/{account}"));
    let allows = |action: Option<&Text>| action.is_none_or(|action| action.as_str() == "ALLOW");
    mesh.authorization_policies.iter().filter(|p| allows(p.action.as_ref())).find_map(|policy| {
        let rules = policy.resource.spec.rules.as_ref()?;
        // Some other part of the policies of this namespace may let it in.
        let near = mesh.authorization_policies.iter().filter(|p| p.namespace == policy.namespace);
        let all = near.filter_map(|p| p.resource.spec.rules.as_ref()).flatten();
        let mut entries = all.flat_map(|rule| &rule.from).map(|from| &from.source);
        let opens = entries.any(|source| {
            let other = source.principals.is_empty();
            other
                || source
                    .principals
                    .iter()
                    .any(|p| named(p, missing) || p.contains('*') || is_placeholder(p))
        });
        let bare = rules.iter().any(|rule| rule.from.is_empty());
        if opens || bare || mesh.is_assumed(&policy.meta) {
            return None;
        }
        let texts =
            rules.iter().flat_map(|rule| &rule.from).flat_map(|from| &from.source.principals);
        texts.into_iter().find(|text| accounts.iter().any(|account| named(text, account)))
    })
}

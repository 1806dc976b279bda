//! Servers of Gateways: the pods that serve them, their ports, and which of them stand in each other's way.

use std::collections::BTreeSet;

use crate::finding::{Findings, Severity};
use crate::kinds::core::Service;
use crate::kinds::is_placeholder;
use crate::kinds::networking::{Gateway, Server};
use crate::mesh::{In, Mesh, PodShape, list};
use crate::source::{Span, Text};
use crate::yaml::Entries;

/// Gateways that a control plane reads as they stand.
pub(super) fn read(mesh: &Mesh) -> impl Iterator<Item = &In<Gateway>> {
    let all = mesh.gateways.iter();
    all.filter(|g| mesh.is_read_in(g.cluster) && !mesh.is_assumed(&g.meta) && is_told(&g.selector))
}

/// Whether nothing of a selector is still to be filled in.
fn is_told(selector: &Entries<Text>) -> bool {
    selector.iter().all(|(key, want)| !is_placeholder(key) && !is_placeholder(want))
}

/// `istio=ingressgateway`.
fn shown(selector: &Entries<Text>) -> String {
    let parts: Vec<String> = selector.iter().map(|(key, want)| format!("{key}={want}")).collect();
    parts.join(",")
}

/// Whether pods look like those of a gateway: they have nothing but a proxy.
fn is_gateway(pods: &PodShape<'_>) -> bool {
    let template = pods.annotations.get("inject.istio.io/templates");
    let mut containers = pods.spec.containers.iter();
    template.is_some_and(|t| t.contains("gateway"))
        || !pods.spec.containers.is_empty() && containers.all(|c| c.name == "istio-proxy")
}

pub(super) fn selects_no_pod(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for gateway in read(mesh).filter(|g| !g.selector.is_empty()) {
        let Some((key, want)) = gateway.selector.iter().next() else { continue };
        if !mesh.pods_of_gateway(gateway).is_empty() || !told.insert(want.span) {
            continue;
        }
        let others: Vec<PodShape<'_>> =
            mesh.pods_under(gateway.cluster).filter(is_gateway).collect();
        let complete = mesh.is_complete_under(gateway.cluster);
        let open = |kind: &str| {
            let supplies = mesh.peers(gateway.cluster).flat_map(|c| mesh.supplies(c.id));
            supplies
                .into_iter()
                .any(|s| s.may_bring(kind, s.namespace.as_deref().unwrap_or_default()))
        };
        if !complete && (others.is_empty() || open("Deployment") || open("DaemonSet")) {
            continue;
        }
        let finding = found.say(
            format!(
                "Gateway `{}` selects no pod: none has `{}`",
                gateway.name(),
                shown(&gateway.selector)
            ),
            want.span,
            "no proxy serves this Gateway: its hosts and ports are unreachable",
        );
        if !complete {
            finding.milder(Severity::Warning, ", unless a gateway is installed from elsewhere");
        }
        for pods in &others {
            if let Some(label) = pods.labels.get(key.as_str()) {
                finding.also(label.span, format!("{} has this", pods.called()));
            }
        }
        finding.help("correct the labels, or install the gateway");
    }
}

pub(super) fn port_not_on_service(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for gateway in read(mesh) {
        let pods = mesh.pods_of_gateway(gateway);
        let services: Vec<&In<Service>> = pods.iter().flat_map(|p| services_of(mesh, p)).collect();
        let unsure = services.is_empty()
            || pods.iter().any(|p| p.spec.host_network)
            || services.iter().any(|s| mesh.is_assumed(&s.meta) || has_open_port(s))
            || pods.iter().any(|p| mesh.may_have_more(p.cluster, "Service", p.namespace));
        if unsure || gateway.selector.is_empty() {
            continue;
        }
        let open: BTreeSet<u32> = services.iter().flat_map(|s| reachable(s)).collect();
        for server in &gateway.servers {
            let Some(number) = server.port.as_ref().and_then(|p| p.number.as_ref()) else {
                continue;
            };
            let socket = server.bind.as_ref().is_some_and(|bind| bind.starts_with("unix"));
            if open.contains(&number.value) || socket || !told.insert(number.span) {
                continue;
            }
            let names: BTreeSet<&str> = services.iter().map(|s| s.name()).collect();
            let finding = found.say(
                format!("no Service of the gateway has port {}", number.value),
                number.span,
                "the proxy listens here, and no request gets there",
            );
            for service in &services {
                finding.also(service.named_at(), "a Service of the gateway's pods");
            }
            finding.help(format!(
                "add port {} to {}; a server's port is that of the Service",
                number.value,
                list(names)
            ));
        }
    }
}

/// The Services that lead to pods.
fn services_of<'m>(mesh: &'m Mesh, pods: &PodShape<'m>) -> Vec<&'m In<Service>> {
    let near = mesh.services.of_namespace(pods.cluster, pods.namespace);
    near.filter(|s| s.selector.as_ref().is_some_and(|it| !it.is_empty() && pods.is_selected_by(it)))
        .collect()
}

fn has_open_port(service: &In<Service>) -> bool {
    service.meta.unread.iter().any(|path| path.starts_with("spec.ports"))
        || service.ports.iter().any(|p| p.port.is_none())
}

/// The numbers by which a Gateway's server can mean a port of a Service: its own, and the pod's.
fn reachable(service: &In<Service>) -> impl Iterator<Item = u32> {
    let of_tcp = |p: &&crate::kinds::core::ServicePort| {
        p.protocol.as_ref().is_none_or(|protocol| !protocol.eq_ignore_ascii_case("UDP"))
    };
    service.ports.iter().filter(of_tcp).flat_map(|port| {
        let own = port.port.as_ref().map(|p| u32::from(p.value));
        let pod = port.target_port.as_ref().and_then(|t| t.value.to_string().parse().ok());
        own.into_iter().chain(pod)
    })
}

/// A server, with what decides whether another stands in its way.
struct Listening<'m> {
    gateway: &'m In<Gateway>,
    server: &'m Server,
    number: u32,
    at: Span,
}

fn listening(mesh: &Mesh) -> Vec<Listening<'_>> {
    let servers = read(mesh).flat_map(|gateway| gateway.servers.iter().map(move |s| (gateway, s)));
    servers
        .filter_map(|(gateway, server)| {
            let number = server.port.as_ref()?.number.as_ref()?;
            Some(Listening { gateway, server, number: number.value, at: number.span })
        })
        .collect()
}

/// How two servers of one port get on.
enum Clash<'m> {
    /// Two protocols that cannot share a port, or one that cannot be shared at all.
    Protocols,
    /// The same host twice, each with a certificate of its own.
    TlsHost(&'m Text),
    /// The same host twice over plain HTTP, where both count.
    PlainHost(&'m Text),
}

fn is_plain_http(server: &Server) -> bool {
    let protocol = server.port.as_ref().and_then(|p| p.protocol.as_ref());
    let word = protocol.map(|p| p.to_ascii_uppercase()).unwrap_or_default();
    ["HTTP", "HTTP2", "GRPC", "GRPC-WEB"].contains(&word.as_str())
}

fn is_tls(server: &Server) -> bool {
    let protocol = server.port.as_ref().and_then(|p| p.protocol.as_ref());
    protocol.is_some_and(|p| ["HTTPS", "TLS"].contains(&p.to_ascii_uppercase().as_str()))
        || server.tls.is_some() && !is_plain_http(server)
}

/// A host with its namespace, as istiod compares it.
fn whole(host: &Text, namespace: &str) -> String {
    match host.split_once('/') {
        Some((".", name)) => format!("{namespace}/{name}"),
        Some(("*", name)) => name.to_owned(),
        _ => host.value.clone(),
    }
}

/// Source: `pilot/pkg/model/gateway.go`, `MergeGateways`.
fn clash<'m>(a: &Listening<'m>, b: &Listening<'m>) -> Option<Clash<'m>> {
    let same = |h: &&Text| {
        let own = whole(h, &b.gateway.namespace);
        a.server.hosts.iter().any(|other| whole(other, &a.gateway.namespace) == own)
    };
    let host = || b.server.hosts.iter().find(same);
    match (is_tls(a.server), is_tls(b.server)) {
        // Both say that what comes here goes on by its name alone.
        (true, true) if a.server.is_for_other_networks() && b.server.is_for_other_networks() => {
            None
        }
        (true, true) => host().map(Clash::TlsHost),
        (false, false) if is_plain_http(a.server) && is_plain_http(b.server) => {
            host().map(Clash::PlainHost)
        }
        _ => Some(Clash::Protocols),
    }
}

/// Whether some pods serve both of two Gateways.
fn share_pods(mesh: &Mesh, a: &In<Gateway>, b: &In<Gateway>) -> bool {
    if a.cluster != b.cluster || a.selector.is_empty() || b.selector.is_empty() {
        return false;
    }
    let same = a.selector.len() == b.selector.len()
        && a.selector.iter().all(|(key, want)| b.selector.get(key.as_str()) == Some(want));
    same || mesh.pods_of_gateway(a).iter().any(|pods| pods.is_selected_by(&b.selector))
}

pub(super) fn conflicting_servers(mesh: &Mesh, found: &mut Findings) {
    let all = listening(mesh);
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for (i, a) in all.iter().enumerate() {
        if told.contains(&a.at) {
            continue;
        }
        let bind = |l: &Listening<'_>| l.server.bind.as_ref().map(|bind| bind.value.clone());
        let other = |b: &&Listening<'_>| {
            b.gateway.meta.span != a.gateway.meta.span && b.number == a.number && bind(b) == bind(a)
        };
        let clashing: Vec<(&Listening<'_>, Clash<'_>)> = all[i + 1..]
            .iter()
            .filter(other)
            .filter_map(|b| Some((b, clash(a, b)?)))
            .filter(|(b, _)| share_pods(mesh, a.gateway, b.gateway))
            .filter(|(b, _)| {
                !mesh.may_be_apart(a.gateway.cluster, a.gateway.told(), b.gateway.told())
            })
            .collect();
        // Of a port that cannot be shared, or a host that stands twice, the worst is said once.
        let rank = |clash: &Clash<'_>| match clash {
            Clash::Protocols => 0,
            Clash::TlsHost(_) => 1,
            Clash::PlainHost(_) => 2,
        };
        let Some(worst) = clashing.iter().map(|(_, clash)| rank(clash)).min() else { continue };
        let same: Vec<_> = clashing.into_iter().filter(|(_, clash)| rank(clash) == worst).collect();
        told.insert(a.at);
        told.extend(same.iter().map(|(b, _)| b.at));
        say_clash(a, &same, found);
    }
}

fn say_clash(a: &Listening<'_>, others: &[(&Listening<'_>, Clash<'_>)], found: &mut Findings) {
    let Some((_, clash)) = others.first() else { return };
    let own = std::iter::once(a.gateway.name());
    let mut names: Vec<&str> = own.chain(others.iter().map(|(b, _)| b.gateway.name())).collect();
    names.dedup();
    let (names, number) = (list(names), a.number);
    let (what, label, help) = match clash {
        Clash::Protocols => (
            format!("Gateways {names} have servers on port {number} that cannot share it"),
            "only the oldest server counts: istiod ignores the others",
            "give them all one protocol (HTTPS and TLS can share a port, and so can HTTP, HTTP2 and GRPC), or each a port of its own",
        ),
        Clash::TlsHost(host) => (
            format!("Gateways {names} all serve `{host}` on port {number}"),
            "only the oldest server counts: istiod ignores the others, with all their hosts",
            "serve the host from one of them",
        ),
        Clash::PlainHost(host) => (
            format!(
                "Gateways {names} all serve `{host}` on port {number}, and get each other's routes"
            ),
            "each Gateway serves the routes of the other, too",
            "serve the host from one of them, or bind its VirtualServices to both",
        ),
    };
    let finding = found.say(what, a.at, label);
    if matches!(clash, Clash::PlainHost(_)) {
        finding.lower(Severity::Note);
    }
    for (b, clash) in others {
        let at = match clash {
            Clash::Protocols => b.at,
            Clash::TlsHost(host) | Clash::PlainHost(host) => host.span,
        };
        finding.also(at, "and here");
    }
    finding.help(help);
}

//! Ports of Services: do they say what is spoken there?

use crate::finding::{Findings, Severity};
use crate::kinds::core::{Service, ServicePort};
use crate::kinds::is_placeholder;
use crate::mesh::{In, Mesh, protocol_called, protocol_of, value};
use crate::source::Span;

/// The first Istio in which `ExternalName` Services are aliases of the host they name.
const ALIASES: (u32, u32) = (1, 21);

/// Services that Istio does not make itself and Kubernetes does not need for itself.
fn services(mesh: &Mesh) -> impl Iterator<Item = &In<Service>> {
    mesh.services.iter().filter(|service| {
        let release = value(service.meta.label("release")) == Some("istio");
        let by_istio = release
            || service.meta.label("istio").is_some()
            || service.meta.label("gateway.istio.io/managed").is_some();
        let system = ["kube-system", "kube-public", "kube-node-lease", "local-path-storage"];
        !by_istio && !system.contains(&service.namespace.as_str())
    })
}

fn is_open(port: &ServicePort) -> bool {
    [&port.name, &port.app_protocol].into_iter().flatten().any(|text| is_placeholder(text))
}

/// Where a port tells its protocol, or could.
fn told_at(port: &ServicePort, service: &In<Service>) -> Span {
    let told = port.app_protocol.as_ref().or(port.name.as_ref()).map(|text| text.span);
    told.or(port.port.as_ref().map(|number| number.span)).unwrap_or(service.named_at())
}

fn told(port: &ServicePort) -> String {
    match (&port.app_protocol, &port.name) {
        (Some(told), _) => format!("`appProtocol: {told}` is no protocol that Istio knows"),
        (None, Some(name)) => format!("the name `{name}` begins with no protocol"),
        (None, None) => "neither a name nor `appProtocol`".to_owned(),
    }
}

pub(super) fn port_without_protocol(mesh: &Mesh, found: &mut Findings) {
    for service in services(mesh).filter(|s| is_called_in_mesh(mesh, s)) {
        let open: Vec<&ServicePort> =
            service.ports.iter().filter(|p| protocol_of(p).is_none() && !is_open(p)).collect();
        let [first, others @ ..] = open.as_slice() else { continue };
        let number = |port: &ServicePort| {
            port.port.as_ref().map(|number| number.value.to_string()).unwrap_or_default()
        };
        let numbers: Vec<String> = open.iter().map(|port| number(port)).collect();
        let (what, verb) = if others.is_empty() { ("port", "does") } else { ("ports", "do") };
        let finding = found.say(
            format!(
                "{what} {} of `{}` {verb} not say what is spoken there",
                numbers.join(", "),
                service.name()
            ),
            told_at(first, service),
            format!("{}: proxies guess from the first bytes", told(first)),
        );
        for other in others {
            finding.also(told_at(other, service), told(other));
        }
        finding.help("add `appProtocol: http` (or `grpc`, `tcp`, `tls`, ...), or begin the port's name with it: `http-web`");
    }
}

/// Whether a Service is one of the mesh, and not of its gateways: pods behind it are, or there are none in
/// the input of a cluster that is complete.
fn is_called_in_mesh(mesh: &Mesh, service: &In<Service>) -> bool {
    if service.is_external_name() || mesh.is_gateway(service) {
        return false;
    }
    let Some(selector) = service.selector.as_ref().filter(|s| !s.is_empty()) else {
        return mesh.cluster(service.cluster).is_complete();
    };
    let near = mesh.pod_shapes_in(service.cluster, &service.namespace);
    let mut behind = near.filter(|pods| pods.is_selected_by(selector)).peekable();
    if behind.peek().is_none() {
        return mesh.cluster(service.cluster).is_complete();
    }
    behind.any(|pods| mesh.is_in_mesh(&pods) == Some(true))
}

pub(super) fn external_name_takes_whole_port(mesh: &Mesh, found: &mut Findings) {
    for service in services(mesh).filter(|s| s.is_external_name()) {
        let runs = mesh.cluster(service.cluster).runs().map(|(version, _)| version);
        if runs.is_some_and(|version| version >= ALIASES) {
            continue;
        }
        let before = if runs.is_none() { ", where Istio is older than 1.21" } else { "" };
        let taken = |port: &&ServicePort| {
            let is_tcp = value(port.name.as_ref()) == Some("tcp");
            let protocol = protocol_of(port);
            !is_open(port) && (is_tcp || protocol.is_none())
        };
        let ports: Vec<&ServicePort> = service.ports.iter().filter(taken).collect();
        let [first, others @ ..] = ports.as_slice() else { continue };
        let finding = found.say(
            format!("`{}` takes all requests of the mesh to its port{before}", service.name()),
            told_at(first, service),
            format!("{}: it is a name without addresses, and is taken for TCP", {
                if protocol_called(value(first.name.as_ref()).unwrap_or_default()).is_some() {
                    "the name says TCP".to_owned()
                } else {
                    told(first)
                }
            }),
        );
        for other in others {
            finding.also(told_at(other, service), "and so is this port");
        }
        if runs.is_none() {
            finding.lower(Severity::Note);
        }
        finding.help("name the port for a protocol that tells hosts apart (`http`, `tls`, `https`), or use a ServiceEntry");
    }
}

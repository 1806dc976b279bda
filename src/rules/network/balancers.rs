//! Load balancers in front of the gateways between networks: they must not touch TLS.

use std::collections::BTreeSet;

use crate::finding::Findings;
use crate::kinds::core::Service;
use crate::kinds::is_placeholder;
use crate::mesh::{In, Mesh};
use crate::source::Text;

/// What an annotation makes of a load balancer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    /// It ends TLS.
    EndsTls,
    /// It looks for HTTP.
    ReadsHttp,
    /// It puts a header in front of the client's first bytes.
    AddsHeader,
}

/// When an annotation does so.
#[derive(Clone, Copy)]
enum When {
    Present,
    OneOf(&'static [&'static str]),
    Contains(&'static str),
}

const ON: When = When::OneOf(&["true", "*", "v1", "v2", "1"]);
const HTTP: When = When::OneOf(&["http", "https", "http2", "HTTP", "HTTPS", "HTTP2"]);

/// Annotations of cloud providers, as their controllers document them.
const ANNOTATIONS: &[(&str, When, Does)] = &[
    ("service.beta.kubernetes.io/aws-load-balancer-ssl-cert", When::Present, Does::EndsTls),
    ("service.beta.kubernetes.io/aws-load-balancer-backend-protocol", HTTP, Does::ReadsHttp),
    ("service.beta.kubernetes.io/aws-load-balancer-proxy-protocol", ON, Does::AddsHeader),
    (
        "service.beta.kubernetes.io/aws-load-balancer-target-group-attributes",
        When::Contains("proxy_protocol_v2.enabled=true"),
        Does::AddsHeader,
    ),
    ("service.beta.kubernetes.io/do-loadbalancer-protocol", HTTP, Does::ReadsHttp),
    ("service.beta.kubernetes.io/do-loadbalancer-certificate-id", When::Present, Does::EndsTls),
    ("service.beta.kubernetes.io/do-loadbalancer-enable-proxy-protocol", ON, Does::AddsHeader),
    ("service.beta.kubernetes.io/linode-loadbalancer-default-protocol", HTTP, Does::ReadsHttp),
    ("service.beta.kubernetes.io/linode-loadbalancer-default-proxy-protocol", ON, Does::AddsHeader),
    ("service.beta.kubernetes.io/oci-load-balancer-tls-secret", When::Present, Does::EndsTls),
    ("service.beta.kubernetes.io/scw-loadbalancer-proxy-protocol-v2", ON, Does::AddsHeader),
    ("load-balancer.hetzner.cloud/protocol", HTTP, Does::ReadsHttp),
    ("load-balancer.hetzner.cloud/uses-proxyprotocol", ON, Does::AddsHeader),
    ("loadbalancer.openstack.org/proxy-protocol", ON, Does::AddsHeader),
    ("loadbalancer.openstack.org/x-forwarded-for", ON, Does::ReadsHttp),
    ("loadbalancer.openstack.org/default-tls-container-ref", When::Present, Does::EndsTls),
];

/// The ports to which the certificate of a load balancer is limited.
const SSL_PORTS: &[&str] = &[
    "service.beta.kubernetes.io/aws-load-balancer-ssl-ports",
    "service.beta.kubernetes.io/do-loadbalancer-tls-ports",
    "service.beta.kubernetes.io/oci-load-balancer-ssl-ports",
];

impl When {
    fn holds(self, told: &Text) -> bool {
        match self {
            Self::Present => !told.is_empty(),
            Self::OneOf(words) => words.contains(&told.as_str()),
            Self::Contains(word) => told.contains(word),
        }
    }
}

/// Whether TLS ends for other ports of the Service alone.
fn spares_gateway_port(service: &In<Service>) -> bool {
    let told = SSL_PORTS.iter().find_map(|key| service.meta.annotation(key));
    let number = service.gateway_port().to_string();
    let name =
        service.ports.iter().find(|p| p.port.as_ref().is_some_and(|p| p.to_string() == number));
    let name = name.and_then(|port| port.name.as_ref());
    told.is_some_and(|told| {
        let mut ports = told.split(',').map(str::trim);
        !ports.any(|port| port == "*" || port == number || name.is_some_and(|n| n.as_str() == port))
    })
}

/// Whether something in the mesh makes proxies take off the header that a load balancer adds.
fn takes_header_off(mesh: &Mesh, service: &In<Service>) -> bool {
    let by_filter = mesh
        .envoy_filters
        .of_cluster(service.cluster)
        .iter()
        .any(|f| mesh.raw(f.meta.span).contains("proxy_protocol"));
    let by_pods = mesh.shapes_behind(service).any(|pods| {
        let config = pods.annotations.get("proxy.istio.io/config");
        config.is_some_and(|config| config.contains("proxyProtocol"))
    });
    by_filter || by_pods || mesh.shapes_behind(service).next().is_none()
}

pub(super) fn eastwest_l7_loadbalancer(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for service in mesh.gateway_services() {
        let annotations = ANNOTATIONS.iter().filter_map(|(key, when, does)| {
            let value = service.meta.annotation(key)?;
            let holds = !is_placeholder(value) || matches!(when, When::Present);
            let spared = *does == Does::EndsTls && spares_gateway_port(service)
                || *does == Does::AddsHeader && takes_header_off(mesh, service);
            (holds && when.holds(value) && !spared).then_some((key, value, *does))
        });
        let all: Vec<_> = annotations.collect();
        let Some(&(key, value, does)) = all.first().filter(|(_, value, _)| told.insert(value.span))
        else {
            continue;
        };
        let label = match does {
            Does::EndsTls => {
                "ends TLS in front of the gateway, which then sees neither name nor certificate"
            }
            Does::ReadsHttp => "takes what arrives for HTTP, and it is TLS",
            Does::AddsHeader => {
                "puts a header before the TLS handshake, which the gateway does not take off"
            }
        };
        let finding = found.say(
            format!(
                "the load balancer of gateway `{}` does not pass TLS on as it comes",
                service.name()
            ),
            value.span,
            label,
        );
        for (_, other, _) in &all[1..] {
            finding.also(other.span, "and so does this");
        }
        let short = key.rsplit('/').next().unwrap_or(key);
        finding.help(match does {
            Does::AddsHeader => format!(
                "drop `{short}`, or let the gateway's pods take it off: annotation `proxy.istio.io/config: \
                 '{{\"gatewayTopology\": {{\"proxyProtocol\": {{}}}}}}'`"
            ),
            _ => format!("drop `{short}`: an east-west gateway needs a load balancer of layer 4"),
        });
    }
}

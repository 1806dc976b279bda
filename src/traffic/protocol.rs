//! What Istio takes a port for: by `appProtocol`, by the prefix of its name, or by looking at traffic.
//!
//! Source: `pkg/config/kube/conversion.go`, `ConvertProtocol`; `pkg/config/protocol`, `Parse`.

use super::step::Step;
use crate::kinds::core::ServicePort;
use crate::kinds::networking::ServerPort;
use crate::source::{Span, Text};

/// What Istio takes a port for, as far as routing differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// HTTP/1.1, HTTP/2 or gRPC in plain text: `http` rules count.
    Http,
    /// Nothing tells: the proxy looks at the first bytes, and `http` rules count for what is HTTP.
    Auto,
    /// TLS that the proxy does not open: `tls` rules count.
    Tls,
    /// Any other bytes: `tcp` rules count.
    Tcp,
    /// Not for proxies.
    Udp,
}

impl Protocol {
    /// Whether `http` rules count.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Auto)
    }

    /// The field of a VirtualService that counts.
    pub fn field(self) -> &'static str {
        match self {
            Self::Http | Self::Auto => "http",
            Self::Tls => "tls",
            Self::Tcp | Self::Udp => "tcp",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "http" | "http2" | "http_proxy" | "grpc" | "grpc-web" => Self::Http,
            "https" | "tls" => Self::Tls,
            "tcp" | "mongo" | "redis" | "mysql" | "hbone" | "double-hbone" => Self::Tcp,
            "udp" => Self::Udp,
            _ => return None,
        })
    }

    /// By a name or an `appProtocol`, whose first part counts: `http-web`.
    fn of_name(name: &str) -> Option<Self> {
        if name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("grpc-web")) {
            return Some(Self::Http);
        }
        Self::parse(name.split('-').next().unwrap_or_default())
    }
}

/// A port of a service.
#[derive(Clone, Debug)]
pub struct Port {
    /// Its number.
    pub number: u32,
    /// What Istio takes it for.
    pub protocol: Protocol,
    /// Why.
    pub why: Step,
}

impl Port {
    /// A port of a Service; `None` where its number is not known.
    pub fn of_service(port: &ServicePort) -> Option<Self> {
        let number = port.port.as_ref()?;
        let (protocol, why) = told(port, number.value, number.span);
        Some(Self { number: u32::from(number.value), protocol, why })
    }

    /// A port of a ServiceEntry; `None` where its number is not known.
    pub fn of_entry(port: &ServerPort) -> Option<Self> {
        let number = port.number.as_ref()?;
        let told = port.protocol.as_ref();
        let protocol = told.and_then(|p| Protocol::parse(p)).unwrap_or(Protocol::Auto);
        let why = match told {
            Some(told) => Step::new(format!("port {number} is `{told}`"), told.span),
            None => Step::new(format!("port {number} tells no protocol"), number.span),
        };
        Some(Self { number: number.value, protocol, why })
    }
}

fn told(port: &ServicePort, number: u16, span: Span) -> (Protocol, Step) {
    let transport = port.protocol.as_ref();
    if let Some(udp) = transport.filter(|p| p.eq_ignore_ascii_case("udp")) {
        return (Protocol::Udp, Step::new(format!("port {number} is UDP"), udp.span));
    }
    if let Some(app) = &port.app_protocol {
        let protocol = match app.as_str() {
            "kubernetes.io/h2c" | "kubernetes.io/ws" => Some(Protocol::Http),
            "kubernetes.io/wss" => Some(Protocol::Tls),
            other => Protocol::of_name(other),
        };
        let why = Step::new(format!("port {number} has appProtocol `{app}`"), app.span);
        return (protocol.unwrap_or_else(|| by_number(number)), why);
    }
    let known = |name: &&Text| Protocol::of_name(name).is_some();
    match port.name.as_ref().filter(known) {
        Some(name) => {
            let why = Step::new(format!("port {number} has the name `{name}`"), name.span);
            (Protocol::of_name(name).unwrap_or(Protocol::Auto), why)
        }
        None => {
            let why = format!("neither name nor appProtocol of port {number} tells a protocol");
            (by_number(number), Step::new(why, span))
        }
    }
}

/// Ports whose servers speak first are never looked into.
fn by_number(number: u16) -> Protocol {
    match number {
        25 | 53 | 3306 | 27017 => Protocol::Tcp,
        _ => Protocol::Auto,
    }
}

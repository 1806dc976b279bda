//! Views of the Kubernetes Gateway API: gateways, routes, and the definitions of kinds.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};

use super::parts::Anything;
use super::workloads::Selector;
use crate::source::{Spanned, Text};

/// The group of the Gateway API.
pub const GROUP: &str = "gateway.networking.k8s.io";

/// `spec` of a Gateway of the Gateway API.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Gateway {
    /// Who makes it real: `istio`, `istio-waypoint`, ...
    pub gateway_class_name: Option<Text>,
    /// What it listens on.
    pub listeners: Vec<Listener>,
    /// The addresses it is to have.
    pub addresses: Vec<GatewayAddress>,
}

/// An address of a Gateway.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct GatewayAddress {
    /// An IP address, or a name.
    pub value: Option<Text>,
}

/// A listener of a Gateway.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Listener {
    /// Its name.
    pub name: Option<Text>,
    /// The host it takes; all where absent or empty.
    pub hostname: Option<Text>,
    /// Its port.
    pub port: Option<Spanned<u32>>,
    /// Its protocol.
    pub protocol: Option<Text>,
    /// TLS, where it ends or passes it.
    pub tls: Option<ListenerTls>,
    /// Who may attach to it.
    #[serde(rename = "allowedRoutes")]
    pub allowed_routes: AllowedRoutes,
}

/// `tls` of a listener.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ListenerTls {
    /// `Terminate` where absent, or `Passthrough`.
    pub mode: Option<Text>,
    /// Where its certificates are.
    pub certificate_refs: Vec<Spanned<Reference>>,
}

/// `allowedRoutes` of a listener.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AllowedRoutes {
    /// The namespaces that they may come from.
    pub namespaces: RouteNamespaces,
    /// The kinds that they may be of; all that the protocol allows where empty.
    pub kinds: Vec<RouteKind>,
}

/// A kind of routes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RouteKind {
    /// Such as `HTTPRoute`.
    pub kind: Option<Text>,
}

/// Namespaces that may attach to a listener.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RouteNamespaces {
    /// `Same` where absent, `All`, `Selector` or `None`.
    pub from: Option<Text>,
    /// The labels that they need, where `from` is `Selector`.
    pub selector: Selector,
}

/// `spec` of an HTTPRoute, GRPCRoute, TCPRoute, TLSRoute or UDPRoute.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Route {
    /// Gateways and Services it is attached to.
    pub parent_refs: Vec<Spanned<Reference>>,
    /// Hosts it is for; all of its parents where empty.
    pub hostnames: Vec<Text>,
    /// Its rules.
    pub rules: Vec<Spanned<RouteRule>>,
}

/// A rule of a route.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RouteRule {
    /// Alternatives; everything where empty.
    pub matches: Vec<Spanned<RouteMatch>>,
    /// What is done on the way.
    pub filters: Vec<Spanned<Filter>>,
    /// Where it goes.
    pub backend_refs: Vec<Spanned<Reference>>,
    /// What is tried again.
    pub retry: Option<Spanned<RouteRetry>>,
}

/// One alternative of a match. All that is set must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RouteMatch {
    /// The path; all below `/` where absent.
    pub path: Option<PathMatch>,
    /// Headers.
    pub headers: Vec<NamedMatch>,
    /// Parameters of the query.
    pub query_params: Vec<NamedMatch>,
    /// The method.
    pub method: Option<Method>,
}

/// `path` of a match.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PathMatch {
    /// `PathPrefix` where absent, `Exact` or `RegularExpression`.
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    /// The path; `/` where absent.
    pub value: Option<Text>,
}

/// A header or a parameter of the query.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NamedMatch {
    /// `Exact` where absent, or `RegularExpression`.
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    /// Its name.
    pub name: Option<Text>,
    /// Its value.
    pub value: Option<Text>,
}

/// `method` of a match: a word in an HTTPRoute, a service and what is called of it in a GRPCRoute.
#[derive(Clone, Debug)]
pub enum Method {
    /// `GET` and the like.
    Http(String),
    /// A method of gRPC.
    Grpc(GrpcMethod),
}

/// What a GRPCRoute asks of the path. One of service and method is there at least.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct GrpcMethod {
    /// `Exact` where absent, or `RegularExpression`.
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    /// The service; all where absent.
    pub service: Option<Text>,
    /// The method; all where absent.
    pub method: Option<Text>,
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Method;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a method")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Method, E> {
                Ok(Method::Http(value.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Method, A::Error> {
                GrpcMethod::deserialize(MapAccessDeserializer::new(map)).map(Method::Grpc)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// What is done with requests on the way, or instead of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Filter {
    /// `RequestHeaderModifier`, `RequestRedirect`, `ExtensionRef`, ...
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    /// An answer without any backend.
    pub request_redirect: Option<Spanned<Anything>>,
    /// A copy of the traffic.
    pub request_mirror: Option<RouteMirror>,
}

/// `requestMirror`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RouteMirror {
    /// Where to.
    pub backend_ref: Option<Spanned<Reference>>,
    /// How many per cent of the requests; all where neither this nor a fraction is there.
    pub percent: Option<Spanned<u32>>,
    /// Which part of the requests.
    pub fraction: Option<Fraction>,
}

/// A part of the requests.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Fraction {
    /// How many.
    pub numerator: Option<Spanned<u32>>,
    /// Of how many; 100 where absent.
    pub denominator: Option<Spanned<u32>>,
}

/// `retry`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RouteRetry {
    /// How often.
    pub attempts: Option<Spanned<u32>>,
}

/// What a route names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Reference {
    /// Its API group.
    pub group: Option<Text>,
    /// Its kind.
    pub kind: Option<Text>,
    /// Its name.
    pub name: Option<Text>,
    /// Its namespace; the route's own where absent.
    pub namespace: Option<Text>,
    /// The listener of a gateway.
    pub section_name: Option<Text>,
    /// Its port.
    pub port: Option<Spanned<u32>>,
    /// Its share, relative to the others'; 1 where absent.
    pub weight: Option<Spanned<u32>>,
    /// What is done with the requests that it gets.
    pub filters: Vec<Spanned<Filter>>,
}

impl Reference {
    /// Group and kind, where these are what is meant if nothing is told. Each has a default of its own.
    pub fn thing<'r>(&'r self, group: &'r str, kind: &'r str) -> (&'r str, &'r str) {
        let told =
            |text: &'r Option<Text>, default| text.as_deref().map_or(default, String::as_str);
        (told(&self.group, group), told(&self.kind, kind))
    }

    /// Group and kind of something that a route is attached to.
    pub fn parent(&self) -> (&str, &str) {
        self.thing(GROUP, "Gateway")
    }

    /// Group and kind of what holds a certificate.
    pub fn certificate(&self) -> (&str, &str) {
        self.thing("", "Secret")
    }

    /// Group and kind of something that gets requests.
    pub fn backend(&self) -> (&str, &str) {
        self.thing("", "Service")
    }
}

/// `spec` of a ReferenceGrant: who may name what of its namespace.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Grant {
    /// Who may.
    pub from: Vec<Reference>,
    /// What may be named; all of a kind where no name is told.
    pub to: Vec<Reference>,
}

/// `spec` of a GatewayClass.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Class {}

/// `spec` of a CustomResourceDefinition.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Definition {
    /// The group of the kind.
    pub group: Option<Text>,
    /// What the kind is called.
    pub names: DefinitionNames,
}

/// `names` of a CustomResourceDefinition.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct DefinitionNames {
    /// The kind.
    pub kind: Option<Text>,
}

//! Views of the Kubernetes Gateway API: gateways, routes, and the definitions of kinds.

use serde::Deserialize;

use crate::source::{Spanned, Text};

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
}

/// `spec` of an HTTPRoute, GRPCRoute, TCPRoute, TLSRoute or UDPRoute.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Route {
    /// Gateways and Services it is attached to.
    pub parent_refs: Vec<Reference>,
    /// Hosts it is for; all of its parents where empty.
    pub hostnames: Vec<Text>,
    /// Its rules.
    pub rules: Vec<RouteRule>,
}

/// A rule of a route.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RouteRule {
    /// Where it goes.
    pub backend_refs: Vec<Spanned<Reference>>,
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
    /// Its share, relative to the others'.
    pub weight: Option<Spanned<u32>>,
}

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

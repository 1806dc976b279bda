//! Views of MeshNetworks: which endpoints are in which network, and the gateways that lead there.

use serde::Deserialize;

use crate::source::{Spanned, Text};
use crate::yaml::Entries;

/// MeshNetworks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MeshNetworks {
    /// Networks by name.
    pub networks: Entries<MeshNetwork>,
}

/// A network of MeshNetworks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MeshNetwork {
    /// What belongs to it.
    pub endpoints: Vec<NetworkEndpoints>,
    /// Through what it is reached.
    pub gateways: Vec<NetworkGateway>,
}

/// A gateway of a network.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NetworkGateway {
    /// Its address or name.
    pub address: Option<Text>,
    /// The Service whose addresses it has, where no address is told.
    pub registry_service_name: Option<Text>,
    /// Its port.
    pub port: Option<Spanned<u32>>,
}

/// Endpoints of a network.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NetworkEndpoints {
    /// All of a cluster, by the name that Istio knows it by.
    pub from_registry: Option<Text>,
}

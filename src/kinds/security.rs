//! Views of Istio's security kinds.

use serde::Deserialize;

use super::workloads::Selector;
use crate::source::Text;
use crate::yaml::Entries;

/// `spec` of a PeerAuthentication.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PeerAuthentication {
    /// The workloads it is for; the whole namespace where absent.
    pub selector: Option<Selector>,
    /// What they accept.
    pub mtls: Option<PeerTls>,
    /// What single ports of the pod accept.
    pub port_level_mtls: Entries<PeerTls>,
}

/// What a workload accepts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PeerTls {
    /// `UNSET`, `DISABLE`, `PERMISSIVE` or `STRICT`.
    pub mode: Option<Text>,
}

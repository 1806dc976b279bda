//! Views of Istio's security kinds.

use serde::Deserialize;

use super::parts::TargetRef;
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

/// `spec` of an AuthorizationPolicy, as far as it names what else must be there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AuthorizationPolicy {
    /// The workloads it is for; the whole namespace where absent.
    pub selector: Option<Selector>,
    /// What it is attached to instead.
    pub target_ref: Option<TargetRef>,
    /// What it is attached to instead.
    pub target_refs: Vec<TargetRef>,
    /// `ALLOW` where absent, `DENY`, `AUDIT` or `CUSTOM`.
    pub action: Option<Text>,
    /// Its rules; where absent, an `ALLOW` policy allows nothing.
    pub rules: Option<Vec<AuthorizationRule>>,
}

/// A rule of an AuthorizationPolicy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuthorizationRule {
    /// Who calls.
    pub from: Vec<AuthorizationFrom>,
}

/// An entry of `from`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuthorizationFrom {
    /// All that is set must hold.
    pub source: AuthorizationSource,
}

/// `source` of a rule.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AuthorizationSource {
    /// Namespaces, with a `*` in front or behind or without.
    pub namespaces: Vec<Text>,
    /// Namespaces that are not meant.
    pub not_namespaces: Vec<Text>,
    /// Identities: `cluster.local/ns/NAMESPACE/sa/ACCOUNT`.
    pub principals: Vec<Text>,
    /// Identities that are not meant.
    pub not_principals: Vec<Text>,
    /// Addresses that connections come from.
    pub ip_blocks: Vec<Text>,
    /// Addresses that are not meant.
    pub not_ip_blocks: Vec<Text>,
}

/// `spec` of a RequestAuthentication.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RequestAuthentication {
    /// The workloads it is for; the whole namespace where absent.
    pub selector: Option<Selector>,
    /// What it is attached to instead.
    pub target_ref: Option<TargetRef>,
    /// What it is attached to instead.
    pub target_refs: Vec<TargetRef>,
    /// Tokens it accepts.
    pub jwt_rules: Vec<JwtRule>,
}

/// Tokens of an issuer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct JwtRule {
    /// Who issues them.
    pub issuer: Option<Text>,
    /// Where istiod fetches the keys.
    pub jwks_uri: Option<Text>,
}

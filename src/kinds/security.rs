//! Views of Istio's security kinds.

use serde::Deserialize;

use super::extensions::Provider;
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
    /// Who decides, of a `CUSTOM` one.
    pub provider: Option<Provider>,
    /// Its rules; where absent, an `ALLOW` policy allows nothing.
    pub rules: Option<Vec<AuthorizationRule>>,
}

/// A rule of an AuthorizationPolicy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuthorizationRule {
    /// Who calls.
    pub from: Vec<AuthorizationFrom>,
    /// What is called.
    pub to: Vec<AuthorizationTo>,
    /// What must hold beside.
    pub when: Vec<AuthorizationCondition>,
}

impl AuthorizationRule {
    /// The first thing it looks at that only a proxy for HTTP sees: ztunnel does not.
    ///
    /// Source: `pilot/pkg/serviceregistry/kube/controller/ambient/authorization.go`, `handleRule`.
    pub fn of_http(&self) -> Option<&Text> {
        let to = self.to.iter().flat_map(|to| to.operation.of_http());
        let from = self.from.iter().flat_map(|from| from.source.of_http());
        let keys = self.when.iter().filter_map(|when| when.key.as_ref());
        let is_seen = |key: &&Text| {
            let key = key.as_str();
            key.starts_with("source.") || key.starts_with("destination.")
        };
        to.chain(from).chain(keys.filter(|key| !is_seen(key))).next()
    }
}

/// An entry of `to`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuthorizationTo {
    /// All that is set must hold.
    pub operation: AuthorizationOperation,
}

/// `operation` of a rule, without its ports.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AuthorizationOperation {
    /// Values of the header `Host`.
    pub hosts: Vec<Text>,
    /// Those that are not meant.
    pub not_hosts: Vec<Text>,
    /// HTTP methods.
    pub methods: Vec<Text>,
    /// Those that are not meant.
    pub not_methods: Vec<Text>,
    /// Paths.
    pub paths: Vec<Text>,
    /// Those that are not meant.
    pub not_paths: Vec<Text>,
}

impl AuthorizationOperation {
    fn of_http(&self) -> impl Iterator<Item = &Text> {
        let positive = self.methods.iter().chain(&self.paths).chain(&self.hosts);
        positive.chain(&self.not_methods).chain(&self.not_paths).chain(&self.not_hosts)
    }
}

/// An entry of `when`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AuthorizationCondition {
    /// What is looked at: `source.ip`, `request.headers[User-Agent]`, ...
    pub key: Option<Text>,
    /// What it may be.
    pub values: Vec<Text>,
    /// What it may not be.
    pub not_values: Vec<Text>,
}

impl AuthorizationCondition {
    /// The identities it names.
    pub fn principals(&self) -> impl Iterator<Item = &Text> {
        let of_principal = self.key.as_ref().is_some_and(|key| key.as_str() == "source.principal");
        self.values.iter().chain(&self.not_values).filter(move |_| of_principal)
    }
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
    /// Service accounts: `NAMESPACE/ACCOUNT`, or the account alone for one of the policy's namespace.
    pub service_accounts: Vec<Text>,
    /// Service accounts that are not meant.
    pub not_service_accounts: Vec<Text>,
    /// Addresses that connections come from.
    pub ip_blocks: Vec<Text>,
    /// Addresses that are not meant.
    pub not_ip_blocks: Vec<Text>,
    /// Addresses that requests come from, by `X-Forwarded-For` or the PROXY protocol.
    pub remote_ip_blocks: Vec<Text>,
    /// Those that are not meant.
    pub not_remote_ip_blocks: Vec<Text>,
    /// Issuers and subjects of tokens.
    pub request_principals: Vec<Text>,
    /// Those that are not meant.
    pub not_request_principals: Vec<Text>,
}

impl AuthorizationSource {
    fn of_http(&self) -> impl Iterator<Item = &Text> {
        let by_token = self.request_principals.iter().chain(&self.not_request_principals);
        by_token.chain(&self.remote_ip_blocks).chain(&self.not_remote_ip_blocks)
    }
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

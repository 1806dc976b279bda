//! Views of what changes how proxies work: Telemetry, EnvoyFilter, WasmPlugin, ProxyConfig.

use serde::Deserialize;

use super::control_plane::{Ignored, ProxyImage};
use super::networking::WorkloadSelector;
use super::parts::TargetRef;
use super::workloads::Selector;
use crate::source::{Spanned, Text};
use crate::yaml::IntOrString;

/// `spec` of a Telemetry.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Telemetry {
    /// The workloads it is for; the whole namespace where absent.
    pub selector: Option<Selector>,
    /// What it is attached to instead.
    pub target_ref: Option<TargetRef>,
    /// What it is attached to instead.
    pub target_refs: Vec<TargetRef>,
    /// Traces.
    pub tracing: Vec<Observed>,
    /// Access logs.
    pub access_logging: Vec<Observed>,
    /// Metrics.
    pub metrics: Vec<Observed>,
}

/// An entry of a Telemetry.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Observed {
    /// Who takes it; the mesh's default providers where empty.
    pub providers: Vec<Provider>,
    /// Whether nothing is told.
    pub disabled: Option<Spanned<bool>>,
    /// Which entries a log gets; of access logs only.
    pub filter: Option<Ignored>,
}

/// One of the mesh's `extensionProviders`, by name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Provider {
    /// Its name.
    pub name: Option<Text>,
}

/// `spec` of an EnvoyFilter.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EnvoyFilter {
    /// The workloads it is for; the whole namespace where absent.
    pub workload_selector: Option<WorkloadSelector>,
    /// What it is attached to instead.
    pub target_refs: Vec<TargetRef>,
    /// When it is applied: low ones first.
    pub priority: Option<Spanned<IntOrString>>,
    /// What it changes.
    pub config_patches: Vec<Spanned<ConfigPatch>>,
}

/// An entry of `configPatches`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConfigPatch {
    /// What kind of thing it changes: `HTTP_FILTER`, `CLUSTER`, ...
    pub apply_to: Option<Text>,
    /// Which of these.
    #[serde(rename = "match")]
    pub matches: PatchMatch,
    /// The change.
    pub patch: Option<Patch>,
}

/// `match` of a patch.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PatchMatch {
    /// Which proxies.
    pub proxy: ProxyMatch,
    /// Which listener.
    pub listener: ListenerMatch,
}

/// `proxy` of a match.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProxyMatch {
    /// Versions of the proxy, as a regular expression.
    pub proxy_version: Option<Text>,
}

/// `listener` of a match.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ListenerMatch {
    /// A chain of the listener.
    pub filter_chain: FilterChainMatch,
}

/// `filterChain` of a match.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct FilterChainMatch {
    /// A filter of the chain.
    pub filter: NamedFilter,
}

/// A filter, by its name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NamedFilter {
    /// Its name.
    pub name: Option<Text>,
}

/// `patch` of a patch.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Patch {
    /// `ADD`, `MERGE`, `REMOVE`, `INSERT_BEFORE`, ...
    pub operation: Option<Text>,
    /// What is added, as far as it has a name.
    pub value: Option<NamedFilter>,
}

/// `spec` of a WasmPlugin or TrafficExtension.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WasmPlugin {
    /// The workloads it is for; the whole namespace where absent.
    pub selector: Option<Selector>,
    /// What it is attached to instead.
    pub target_ref: Option<TargetRef>,
    /// What it is attached to instead.
    pub target_refs: Vec<TargetRef>,
    /// Where its code is.
    pub url: Option<Text>,
}

/// `spec` of a ProxyConfig.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ProxyConfig {
    /// The workloads it is for; the whole namespace where absent.
    pub selector: Option<Selector>,
    /// The image of their proxies.
    pub image: ProxyImage,
}

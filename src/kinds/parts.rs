//! Shapes that several kinds have in them.

use serde::Deserialize;

use crate::source::{Spanned, Text};

/// Something whose content does not matter here.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Anything {}

/// `port` of a destination or policy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PortSelector {
    /// The port's number.
    pub number: Option<Spanned<u32>>,
}

/// What an autoscaler scales, or a policy is attached to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TargetRef {
    /// Its API group, in a policy.
    pub group: Option<Text>,
    /// Its `apiVersion`.
    pub api_version: Option<Text>,
    /// Its kind; a ScaledObject means a Deployment where absent.
    pub kind: Option<Text>,
    /// Its name.
    pub name: Option<Text>,
}

/// An environment variable.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its value, where it is written down.
    pub value: Option<Text>,
}

/// `conditions` of an endpoint, and what becomes of a pod's in its endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// Absent counts as ready.
    pub ready: Option<bool>,
    /// Whether it still answers; as `ready`, but for pods that are about to go.
    pub serving: Option<bool>,
    /// Whether it is about to go.
    pub terminating: Option<bool>,
}

/// The issuer of a cert-manager `Certificate`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct IssuerRef {
    /// Its name.
    pub name: Option<Text>,
    /// `Issuer` where absent, `ClusterIssuer`, or a kind of another group.
    pub kind: Option<Text>,
    /// `cert-manager.io` where absent.
    pub group: Option<Text>,
}

/// `outboundTrafficPolicy`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct OutboundTrafficPolicy {
    /// `ALLOW_ANY` where absent, or `REGISTRY_ONLY`.
    pub mode: Option<Text>,
}

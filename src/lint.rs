//! The one pipeline `lint(&Sources, &Config) -> Report`: build, run rules in parallel, suppress, sort.

use std::sync::Arc;

use crate::finding::{Finding, Severity};
use crate::source::Skipped;

/// What a run found.
#[derive(Debug, Default)]
pub struct Report {
    /// Findings, sorted by place, then by rule.
    pub findings: Vec<Reported>,
    /// How many findings were suppressed by comments, annotations or the configuration.
    pub suppressed: usize,
    /// The clusters as understood, by name.
    pub clusters: Vec<ClusterSummary>,
    /// Files that were seen and not analysed.
    pub skipped: Vec<Skipped>,
    /// How many files were analysed.
    pub files: usize,
    /// How many resources they hold.
    pub resources: usize,
}

/// A cluster in the summary.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ClusterSummary {
    /// Its name.
    pub name: String,
    /// Files that belong to it; one may belong to several clusters.
    pub files: usize,
    /// Resources that belong to it.
    pub resources: usize,
}

/// A finding with what every report says of it.
#[derive(Clone, Debug)]
pub struct Reported {
    /// `room/name` of the rule.
    pub rule: &'static str,
    /// Other names of the rule that users know: istioctl's and Kiali's codes.
    pub aliases: Vec<String>,
    /// How bad it is, after configuration and lowering.
    pub severity: Severity,
    /// What was said.
    pub finding: Finding,
    /// Stays the same when lines move: made of the rule, the resource and the labelled texts.
    pub fingerprint: String,
    /// The cluster of the primary label, where there is just one.
    pub cluster: Option<String>,
    /// The resource in which the primary label lies.
    pub resource: Option<Arc<ResourceName>>,
}

/// What a resource is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceName {
    /// `group/version`.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty for cluster-scoped resources.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Report {
    /// How many findings have this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|f| f.severity == severity).count()
    }
}

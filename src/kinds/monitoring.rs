//! Views of what Prometheus is told to look for.

use serde::Deserialize;

use crate::source::Text;

/// `spec` of a PrometheusRule, or of VictoriaMetrics' VMRule.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AlertRules {
    /// Its groups.
    pub groups: Vec<AlertGroup>,
}

/// A group of rules.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AlertGroup {
    /// Its rules.
    pub rules: Vec<AlertRule>,
}

/// An alert, or a recorded series.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AlertRule {
    /// What is asked, in PromQL.
    pub expr: Option<Text>,
}

impl AlertRules {
    /// All that is asked.
    pub fn expressions(&self) -> impl Iterator<Item = &Text> {
        self.groups.iter().flat_map(|group| &group.rules).filter_map(|rule| rule.expr.as_ref())
    }
}

//! Autoscalers of workloads, whatever kind they are of.

use super::{In, Mesh};
use crate::clusters::ClusterId;
use crate::kinds::parts::TargetRef;
use crate::kinds::workloads::{DisruptionBudget, Workload};
use crate::source::{Span, Spanned};

/// A HorizontalPodAutoscaler or a KEDA ScaledObject.
#[derive(Clone, Debug)]
pub struct Scaler {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its namespace.
    pub namespace: String,
    /// Whether that namespace is written down, and not just what objects without one get.
    pub has_namespace: bool,
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub span: Span,
    /// What it scales, and where that is said.
    pub target: Option<Spanned<TargetRef>>,
    /// The fewest replicas, and where that is written.
    pub min: (u32, Option<Span>),
    /// The most replicas, and where that is written; unknown where a required field is missing.
    pub max: (Option<u32>, Option<Span>),
    /// Whether it is a ScaledObject.
    pub keda: bool,
}

impl Scaler {
    /// Kind and name of what it scales.
    pub fn target(&self) -> Option<(&str, &str)> {
        let target = self.target.as_ref()?;
        let default = if self.keda { "Deployment" } else { "" };
        Some((super::value(target.kind.as_ref()).unwrap_or(default), target.name()?))
    }
}

fn bound(written: Option<&Spanned<u32>>, default: u32) -> (u32, Option<Span>) {
    (written.map_or(default, |w| w.value), written.map(|w| w.span))
}

impl Mesh {
    pub(super) fn find_scalers(&self) -> Vec<Scaler> {
        let hpas = self.autoscalers.iter().map(|a| Scaler {
            cluster: a.cluster,
            namespace: a.namespace.clone(),
            has_namespace: a.has_namespace(),
            name: a.name().to_owned(),
            span: a.named_at(),
            target: a.scale_target_ref.clone(),
            min: bound(a.min_replicas.as_ref(), u32::from(!a.meta.is_unread("spec.minReplicas"))),
            max: (
                a.max_replicas.as_ref().map(|m| m.value),
                a.max_replicas.as_ref().map(|m| m.span),
            ),
            keda: false,
        });
        let scaled = self.scaled_objects.iter().map(|s| Scaler {
            cluster: s.cluster,
            namespace: s.namespace.clone(),
            has_namespace: s.has_namespace(),
            name: s.name().to_owned(),
            span: s.named_at(),
            target: s.scale_target_ref.clone(),
            min: bound(s.min_replica_count.as_ref(), 0),
            max: (
                Some(s.max_replica_count.as_ref().map_or(100, |m| m.value))
                    .filter(|_| !s.meta.is_unread("spec.maxReplicaCount")),
                s.max_replica_count.as_ref().map(|m| m.span),
            ),
            keda: true,
        });
        hpas.chain(scaled).collect()
    }

    /// All autoscalers, ordered by cluster and target.
    pub fn scalers(&self) -> impl Iterator<Item = &Scaler> {
        self.scalers.values().flatten()
    }

    /// The autoscalers of a workload.
    pub fn scalers_of(&self, workload: &In<Workload>) -> &[Scaler] {
        let name = format!("{}/{}", workload.meta.kind.as_str(), workload.name());
        let key = (workload.cluster, workload.namespace.clone(), name);
        self.scalers.get(&key).map_or(&[], Vec::as_slice)
    }

    /// The disruption budgets that guard a workload's pods.
    pub fn budgets_of(&self, workload: &In<Workload>) -> Vec<&In<DisruptionBudget>> {
        let labels = &workload.template.metadata.labels;
        let near = self.disruption_budgets.of_namespace(workload.cluster, &workload.namespace);
        near.filter(|b| b.selector.as_ref().is_some_and(|s| s.matches(labels))).collect()
    }
}

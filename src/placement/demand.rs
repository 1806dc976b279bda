//! How many pods a workload wants: replicas, or the bounds of what scales it.

use super::{Bounds, Cause, Why};
use crate::kinds::workloads::{Template, Workload};
use crate::mesh::{In, Mesh};

/// How many pods are wanted, and what says so.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    pub bounds: Bounds,
    pub least: Why,
    pub most: Why,
}

impl Demand {
    /// So many, neither more nor fewer.
    pub(super) fn exactly(count: u32, why: Why) -> Self {
        Self { bounds: Bounds { least: count, most: count }, least: why, most: why }
    }

    pub(super) fn of(mesh: &Mesh, workload: &In<Workload>) -> Self {
        let span = workload.replicas.as_ref().map(|r| r.span);
        let written = workload.replicas.as_ref().map_or(1, |r| r.value);
        let replicas = Why::new(Cause::Wanted, span.or(Some(workload.named_at())));
        let scalers = mesh.scalers_of(workload);
        let Some(first) = scalers.first() else {
            let unknown = workload.meta.is_unread("spec.replicas");
            let most = if unknown { u32::MAX } else { written };
            let bounds = Bounds { least: if unknown { 0 } else { written }, most };
            return Self { bounds, least: replicas, most: replicas };
        };
        let lowest = scalers.iter().min_by_key(|s| s.min.0).unwrap_or(first);
        let highest = scalers.iter().max_by_key(|s| s.max.0.unwrap_or(u32::MAX)).unwrap_or(first);
        let most = highest.max.0.unwrap_or(u32::MAX);
        let scaled = |span: Option<_>, at| Why::new(Cause::Wanted, span.or(Some(at)));
        let mut demand = Self {
            bounds: Bounds { least: lowest.min.0.min(most), most },
            least: scaled(lowest.min.1, lowest.span),
            most: scaled(highest.max.1, highest.span),
        };
        // A HorizontalPodAutoscaler lets a workload of 0 replicas be.
        if written == 0 && scalers.iter().any(|s| !s.keda) {
            (demand.bounds.least, demand.least) = (0, replicas);
        }
        demand
    }
}

/// What a workload's pods are made from: a Rollout may refer to another workload's template.
pub fn template<'m>(mesh: &'m Mesh, workload: &'m In<Workload>) -> &'m Template {
    let named = workload.workload_ref.as_ref().and_then(|r| r.name.as_ref());
    let referred = named.and_then(|name| {
        let kind = workload.workload_ref.as_ref()?.kind.as_ref()?;
        let mut near = mesh.workloads.of_namespace(workload.cluster, &workload.namespace);
        near.find(|w| w.name() == name.as_str() && w.meta.kind == *kind)
    });
    referred.map_or(&workload.template, |w| &w.template)
}

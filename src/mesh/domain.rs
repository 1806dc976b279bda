//! The domain of Services' names, as a control plane has it and as the cluster's DNS does.

use super::{Mesh, value};
use crate::clusters::ClusterId;
use crate::kinds::is_placeholder;
use crate::source::{Span, Text};

/// What charts and Kubernetes take where nothing is told.
const DEFAULT: &str = "cluster.local";

/// A domain behind `svc.` in the names of Services.
#[derive(Clone, Copy, Debug)]
pub struct Domain<'m> {
    /// `cluster.local`.
    pub name: &'m str,
    /// What tells it, for a label.
    pub by: &'static str,
    /// Where.
    pub at: Span,
}

impl<'m> Domain<'m> {
    fn told(name: &'m Text, by: &'static str) -> Option<Self> {
        let told = !name.is_empty() && !is_placeholder(name);
        told.then(|| Self { name: name.trim_matches('.'), by, at: name.span })
    }
}

impl Mesh {
    /// The domain by which a cluster's istiod names Services of all clusters; `None` where nobody tells, or
    /// a pipeline is to. Source: istiod's flag `--domain`, `global.proxy.clusterDomain` of its chart.
    pub fn istiod_domain(&self, cluster: ClusterId) -> Option<Domain<'_>> {
        let here = self.workloads.of_cluster(cluster).iter().filter(|w| !self.is_assumed(&w.meta));
        let istiod = here.flat_map(|w| &w.template.spec.containers).find(|c| c.name == "discovery");
        let args = istiod.map_or(&[][..], |c| c.args.as_slice());
        let mut pairs = args.windows(2).filter(|two| two[0].as_str() == "--domain");
        if let Some(told) = pairs.next().map(|two| &two[1]) {
            return Domain::told(told, "istiod's `--domain`");
        }
        let installs = &self.cluster(cluster).facts.installs;
        let told = installs.iter().find_map(|i| i.values().global.proxy.cluster_domain.as_ref());
        if let Some(told) = told {
            return Domain::told(told, "`global.proxy.clusterDomain`");
        }
        let whole = installs.iter().find(|i| i.is_whole && i.is_control_plane())?;
        Some(Domain { name: DEFAULT, by: "istiod, which is told no other", at: whole.at() })
    }

    /// The domain of a cluster's DNS, where what made the cluster tells it.
    pub fn dns_domain(&self, cluster: ClusterId) -> Option<Domain<'_>> {
        let mut kubeadm = self.kubeadm.of_cluster(cluster).iter();
        let by_kubeadm = kubeadm.find_map(|k| k.networking.dns_domain.as_ref());
        if let Some(told) = by_kubeadm {
            return Domain::told(told, "kubeadm");
        }
        let of = |name: &str| self.cluster(cluster).is_called(name);
        let mut api = self.api_clusters.iter().filter(|c| of(c.name()));
        let by_api = api.find_map(|c| c.cluster_network.service_domain.as_ref());
        by_api
            .filter(|told| value(Some(told)).is_some())
            .and_then(|t| Domain::told(t, "Cluster API"))
    }
}

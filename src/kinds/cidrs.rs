//! Views of what tells the addresses of a cluster's pods: Calico, kubeadm, Cluster API.

use serde::Deserialize;

use crate::source::{Spanned, Text};

/// `spec` of a Calico IPPool.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct IpPool {
    /// The addresses, as `10.244.0.0/16`.
    pub cidr: Option<Text>,
    /// Whether pods get none of them.
    pub disabled: Option<Spanned<bool>>,
    /// The nodes whose pods get them; `!all()` for none.
    pub node_selector: Option<Text>,
}

/// `spec` of the Tigera operator's Installation, which makes IPPools.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CalicoInstallation {
    /// The network of pods.
    pub calico_network: CalicoNetwork,
}

/// `calicoNetwork` of an Installation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CalicoNetwork {
    /// The pools it makes.
    pub ip_pools: Vec<IpPool>,
}

/// A kubeadm ClusterConfiguration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Kubeadm {
    /// Its networks.
    pub networking: PodNetworking,
}

/// `networking` of kubeadm, and of kind.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodNetworking {
    /// The addresses of pods: one range, or two with a comma between them.
    pub pod_subnet: Option<Text>,
    /// kind: `ipv4`, `ipv6` or `dual`.
    pub ip_family: Option<Text>,
    /// kind: whether pods get their addresses from a plugin that is not kind's own.
    #[serde(rename = "disableDefaultCNI")]
    pub disable_default_cni: Option<Spanned<bool>>,
    /// kubeadm: the domain of Services' names.
    pub dns_domain: Option<Text>,
}

/// `spec` of a Cluster API Cluster.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ApiCluster {
    /// Its networks.
    pub cluster_network: ClusterNetwork,
}

/// `clusterNetwork` of a Cluster.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterNetwork {
    /// The addresses of pods.
    pub pods: CidrBlocks,
    /// The domain of Services' names.
    pub service_domain: Option<Text>,
}

/// Ranges of addresses.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CidrBlocks {
    /// The ranges, as `10.244.0.0/16`.
    pub cidr_blocks: Vec<Text>,
}

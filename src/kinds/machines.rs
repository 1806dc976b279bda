//! Views of what makes nodes: Karpenter, eksctl, Cluster API, kind. They tell zones without nodes.

use serde::Deserialize;

use super::cidrs::PodNetworking;
use super::workloads::Expression;
use crate::source::{Spanned, Text};
use crate::yaml::Entries;

/// `spec` of a Karpenter NodePool (or of a Provisioner, its older form).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodePool {
    /// What its nodes are made from.
    pub template: NodeTemplate,
    /// Requirements of a Provisioner.
    pub requirements: Vec<Expression>,
    /// Labels of a Provisioner.
    pub labels: Entries<Text>,
}

/// Template of a NodePool.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeTemplate {
    /// Labels its nodes get.
    pub metadata: NodeTemplateMeta,
    /// What its nodes fulfil.
    pub spec: NodeTemplateSpec,
}

/// Labels of a NodePool's nodes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeTemplateMeta {
    /// The labels.
    pub labels: Entries<Text>,
}

/// Requirements of a NodePool.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeTemplateSpec {
    /// Conditions, on `topology.kubernetes.io/zone` among others.
    pub requirements: Vec<Expression>,
}

/// An eksctl ClusterConfig.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Eksctl {
    /// Name and region.
    pub metadata: EksctlMeta,
    /// Zones of the cluster.
    pub availability_zones: Vec<Text>,
    /// Node groups.
    pub managed_node_groups: Vec<NodeGroup>,
    /// Node groups run by hand.
    pub node_groups: Vec<NodeGroup>,
    /// The network it makes, or is put into.
    pub vpc: EksctlVpc,
}

/// `vpc` of a ClusterConfig.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct EksctlVpc {
    /// The network that is there already.
    pub id: Option<Text>,
    /// The addresses of a network that it makes.
    pub cidr: Option<Text>,
    /// The parts of a network that is there already: `public` and `private`, by zone.
    pub subnets: Entries<Entries<EksctlSubnet>>,
}

/// A part of a network.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct EksctlSubnet {
    /// What it is called.
    pub id: Option<Text>,
}

impl EksctlVpc {
    /// Whether it names parts of a network that is there already.
    pub fn has_subnets(&self) -> bool {
        self.subnets.iter().next().is_some()
    }
}

/// `metadata` of a ClusterConfig.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct EksctlMeta {
    /// The cluster.
    pub name: Option<Text>,
    /// Its region.
    pub region: Option<Text>,
}

/// A node group.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeGroup {
    /// Its name.
    pub name: Option<Text>,
    /// Its zones; the cluster's where empty.
    pub availability_zones: Vec<Text>,
    /// Labels of its nodes.
    pub labels: Entries<Text>,
}

/// `spec` of a MachineDeployment or MachinePool.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Machines {
    /// The cluster.
    pub cluster_name: Option<Text>,
    /// MachinePool: its zones.
    pub failure_domains: Vec<Text>,
    /// How many machines.
    pub replicas: Option<Spanned<u32>>,
    /// The machines.
    pub template: MachineTemplate,
}

/// Template of machines.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MachineTemplate {
    /// Labels go on to the nodes.
    pub metadata: NodeTemplateMeta,
    /// Where they stand.
    pub spec: MachineSpec,
}

/// `spec` of a machine.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MachineSpec {
    /// The zone.
    pub failure_domain: Option<Text>,
}

/// A kind cluster.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct KindCluster {
    /// The cluster's name.
    pub name: Option<Text>,
    /// Its nodes.
    pub nodes: Vec<KindNode>,
    /// Its networks.
    pub networking: PodNetworking,
}

/// A node of a kind cluster.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct KindNode {
    /// `control-plane` or `worker`.
    pub role: Option<Text>,
    /// Its labels.
    pub labels: Entries<Text>,
}

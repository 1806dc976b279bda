//! Subsets of hosts, and what they select.

use super::{Host, In, Mesh};
use crate::clusters::ClusterId;
use crate::kinds::networking::{self, DestinationRule};
use crate::kinds::workloads::Workload;
use crate::kinds::{is_placeholder, may_be};
use crate::source::Text;

/// The label that Istio puts on each endpoint for its cluster.
pub const CLUSTER_LABEL: &str = "topology.istio.io/cluster";
/// The label for an endpoint's network.
pub const NETWORK_LABEL: &str = "topology.istio.io/network";
/// The label for a node's region.
pub const REGION_LABEL: &str = "topology.kubernetes.io/region";
/// The label for a node's zone.
pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";
/// The label for a node's subzone.
pub const SUBZONE_LABEL: &str = "topology.istio.io/subzone";

/// A subset with the DestinationRule that defines it.
#[derive(Clone, Copy, Debug)]
pub struct Subset<'m> {
    /// The rule.
    pub rule: &'m In<DestinationRule>,
    /// The subset.
    pub subset: &'m networking::Subset,
    /// Its name.
    pub name: &'m Text,
}

impl<'m> Subset<'m> {
    /// The value of a label it selects by.
    pub fn label(self, key: &str) -> Option<&'m Text> {
        self.subset.labels.get(key)
    }

    /// The cluster it selects.
    pub fn cluster_label(self) -> Option<&'m Text> {
        self.label(CLUSTER_LABEL)
    }

    /// Labels it selects by that pods carry themselves, so not those that Istio adds by place.
    pub fn pod_labels(self) -> impl Iterator<Item = (&'m Text, &'m Text)> {
        self.subset.labels.iter().filter(|(key, want)| !is_added(key, want)).map(|(k, v)| (k, v))
    }

    /// The full name of the rule's host.
    pub fn host(self) -> Option<String> {
        Some(super::fqdn(self.rule.host.as_ref()?, &self.rule.namespace))
    }

    /// Whether a workload's pods can be in it. Labels that Istio adds by node (region, zone, subzone,
    /// node) are taken to fit, since they are no matter of the workload, and so are those that are still to
    /// be filled in.
    pub fn may_select(self, mesh: &Mesh, workload: &In<Workload>) -> bool {
        let pod = &workload.template.metadata.labels;
        self.subset.labels.iter().all(|(key, want)| match key.as_str() {
            key if is_placeholder(key) => true,
            key if !is_added(key, want) => pod.get(key).is_some_and(|has| may_be(has, want)),
            CLUSTER_LABEL => mesh.may_be_called(mesh.cluster(workload.cluster), want),
            NETWORK_LABEL => {
                let network = mesh.cluster(workload.cluster).network();
                network.is_none_or(|network| may_be(network, want))
            }
            _ => true,
        })
    }

    /// Workloads of the mesh that can be in it.
    pub fn backends(self, mesh: &'m Mesh, host: Host<'m>) -> Vec<&'m In<Workload>> {
        let all = host.backends_of_mesh(self.rule.cluster);
        all.into_iter().filter(|w| self.may_select(mesh, w)).collect()
    }
}

/// Whether Istio adds a label with this value by the place an endpoint is in: never an empty one.
/// Source: `serviceregistry/util/label`, `AugmentLabels`.
fn is_added(key: &str, value: &str) -> bool {
    let by_place = [
        CLUSTER_LABEL,
        NETWORK_LABEL,
        REGION_LABEL,
        ZONE_LABEL,
        SUBZONE_LABEL,
        "kubernetes.io/hostname",
    ];
    by_place.contains(&key) && !value.is_empty()
}

impl Mesh {
    /// All subsets that have a name, in the order of their rules. A rule that several clusters share
    /// comes once per cluster.
    pub fn subsets(&self) -> impl Iterator<Item = Subset<'_>> {
        self.destination_rules.iter().flat_map(subsets_of)
    }

    /// The subsets that a cluster's control plane knows for a host, from every rule that has one.
    pub fn subsets_of<'m>(&'m self, host: &str, control_plane: ClusterId) -> Vec<Subset<'m>> {
        self.rules_for(host, control_plane).into_iter().flat_map(subsets_of).collect()
    }
}

/// The subsets of a rule that have a name.
pub fn subsets_of(rule: &In<DestinationRule>) -> impl Iterator<Item = Subset<'_>> {
    let named = rule.subsets.iter().filter_map(|s| Some((s, s.name.as_ref()?)));
    named.map(move |(subset, name)| Subset { rule, subset, name })
}

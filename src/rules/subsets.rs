//! Subsets: what a DestinationRule cuts a host into, and where routes send it.

use super::{Rule, rule};
use crate::finding::Findings;
use crate::mesh::Mesh;

pub(super) const RULES: &[Rule] =
    &[rule!("subsets/mixed-version-and-cluster", mixed_version_and_cluster)];

fn mixed_version_and_cluster(mesh: &Mesh, found: &mut Findings) {
    for subset in mesh.subsets() {
        let (Some(cluster), Some((key, _))) = (subset.cluster_label(), subset.pod_labels().next())
        else {
            continue;
        };
        found
            .say(
                format!("subset `{}` mixes `{key}` and cluster", subset.name),
                subset.name.span,
                format!("selects by `{key}` and by cluster"),
            )
            .also(cluster.span, "the cluster")
            .also(key.span, "the other label")
            .help("cut the host by one of the two, and choose the cluster with locality load balancing");
    }
}

//! Networks: which clusters are where, and how one is reached from another.

use super::{Rule, rule};
use crate::finding::Findings;
use crate::kinds::is_placeholder;
use crate::mesh::{Mesh, list};
use crate::source::Text;

pub(super) const RULES: &[Rule] =
    &[rule!("network/mesh-networks-unknown-registry", mesh_networks_unknown_registry)];

/// What Istio calls registries that are no clusters. The name of a cluster that tells none is `Kubernetes`.
const OTHERS: [&str; 3] = ["Kubernetes", "Mock", "External"];

fn mesh_networks_unknown_registry(mesh: &Mesh, found: &mut Findings) {
    for cluster in mesh.clusters() {
        let known = mesh.registries(cluster.id);
        let Some(known) = known else { continue };
        for (network, registry) in &cluster.facts.networks {
            let name: &Text = registry;
            // A name that no cluster can have is refused before it is looked up.
            let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            let is_other = OTHERS.iter().any(|other| name.eq_ignore_ascii_case(other));
            if !is_name || is_other || known.contains(name.as_str()) || is_placeholder(name) {
                continue;
            }
            found
                .say(
                    format!("network `{network}` is to have the endpoints of `{name}`, which is no cluster of the mesh"),
                    name.span,
                    "no such cluster: its endpoints stay without this network",
                )
                .help(format!("the clusters of this mesh are {}", list(known.iter().copied())));
        }
    }
}

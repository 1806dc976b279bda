//! Which resource, and which cluster, a place of the input belongs to.

use std::sync::Arc;

use super::{ClusterSummary, ResourceName};
use crate::clusters::{ClusterId, Fleet};
use crate::kinds::Meta;
use crate::kinds::file::Manifests;
use crate::mesh::Mesh;
use crate::source::Span;

struct Entry {
    span: Span,
    name: Arc<ResourceName>,
    clusters: Vec<ClusterId>,
}

/// Resources by place.
pub(super) struct Resources {
    entries: Vec<Entry>,
    per_cluster: Vec<usize>,
}

impl Resources {
    pub(super) fn of(files: &[Manifests], fleet: &Fleet) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        for object in files.iter().flat_map(|f| &f.objects) {
            let name = Arc::new(name(&object.meta));
            entries.push(Entry { span: object.meta.span, name, clusters: Vec::new() });
        }
        entries.sort_by_key(|e| e.span);
        let mut per_cluster = vec![0; fleet.clusters.len()];
        for member in &fleet.members {
            per_cluster[member.cluster.index()] += 1;
            if let Ok(i) = entries.binary_search_by_key(&member.object.meta.span, |e| e.span) {
                entries[i].clusters.push(member.cluster);
            }
        }
        Self { entries, per_cluster }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// The resource at a place, and its cluster where it has just one.
    pub(super) fn at(
        &self,
        span: Span,
        mesh: &Mesh,
    ) -> (Option<Arc<ResourceName>>, Option<String>) {
        let after = self.entries.partition_point(|e| e.span.start <= span.start);
        let Some(entry) = after.checked_sub(1).map(|i| &self.entries[i]) else {
            return (None, None);
        };
        if !entry.span.contains(span) {
            return (None, None);
        }
        let mut clusters = entry.clusters.clone();
        clusters.dedup();
        let cluster = match clusters.as_slice() {
            [only] => Some(mesh.cluster_name(*only).to_owned()),
            _ => None,
        };
        (Some(Arc::clone(&entry.name)), cluster)
    }

    /// The clusters with their numbers of files and resources.
    pub(super) fn summary(&self, mesh: &Mesh) -> Vec<ClusterSummary> {
        let counted = mesh.clusters().iter().zip(&self.per_cluster);
        counted
            .map(|(c, resources)| ClusterSummary {
                name: c.name.clone(),
                files: c.files.len(),
                resources: *resources,
            })
            .collect()
    }
}

fn name(meta: &Meta) -> ResourceName {
    ResourceName {
        api_version: meta.api_version.value.clone(),
        kind: meta.kind.value.clone(),
        namespace: meta.namespace.as_ref().map(|ns| ns.value.clone()).unwrap_or_default(),
        name: meta.name.value.clone(),
    }
}

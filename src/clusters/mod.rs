//! Which manifest belongs to which cluster: configuration, control-plane facts, delivery objects, folders.

mod facts;
mod paths;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::{ClusterConfig, Config};
use crate::kinds::file::Manifests;
use crate::kinds::{Meta, Object};
use crate::source::{FileId, Skipped, Sources, Text};

pub use facts::{Fact, Facts, Origin, Role};

/// Which cluster of a [`Fleet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(u16);

impl ClusterId {
    /// The cluster at a position of [`Fleet::clusters`].
    pub fn at(index: usize) -> Self {
        Self(u16::try_from(index).unwrap_or(u16::MAX))
    }

    /// Position in [`Fleet::clusters`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A cluster and what the input tells of it.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Which one.
    pub id: ClusterId,
    /// How reports call it: as the configuration, or its folder, or its control plane names it.
    pub name: String,
    /// What its control plane and its namespaces tell.
    pub facts: Facts,
    /// How we know that it is a cluster.
    pub origin: Origin,
    /// Clusters with the same number are taken for one mesh.
    pub mesh: usize,
    /// What the configuration says of it.
    pub config: Option<ClusterConfig>,
    /// Files that belong to it.
    pub files: BTreeSet<FileId>,
}

impl Cluster {
    /// The name that Istio knows it by (`CLUSTER_ID`), where it is told.
    pub fn istio_name(&self) -> Option<&Text> {
        self.facts.name.first().map(|fact| &fact.value)
    }

    /// Whether a label value, a secret's key and the like can mean this cluster.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.facts.name.iter().any(|fact| fact.value.as_str() == name)
    }

    /// Whether the configuration says that nothing of it lives outside the input.
    pub fn is_complete(&self) -> bool {
        self.config.as_ref().is_some_and(|c| c.complete)
    }

    /// The network of its pods, where it is told.
    pub fn network(&self) -> Option<&Text> {
        self.config
            .as_ref()
            .and_then(|c| c.network.as_ref())
            .or_else(|| self.facts.network.first().map(|fact| &fact.value))
    }

    /// Whether certificates come from elsewhere than istiod: istio-csr, a signer of Kubernetes, SPIRE.
    pub fn has_foreign_ca(&self) -> bool {
        !self.facts.foreign_ca.is_empty()
    }

    /// Its role, where it is told.
    pub fn role(&self) -> Option<Role> {
        let told = self.config.as_ref().and_then(|c| c.role.as_ref()).and_then(|r| Role::parse(r));
        told.or_else(|| self.facts.role.iter().map(|(role, _)| *role).max())
    }
}

/// A resource in a cluster. One that several clusters share is a member of each.
#[derive(Clone, Debug)]
pub struct Member {
    /// The cluster.
    pub cluster: ClusterId,
    /// The namespace it has there; empty for cluster-scoped kinds.
    pub namespace: String,
    /// The resource.
    pub object: Arc<Object>,
}

/// All clusters and what belongs to them.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// The clusters, ordered by name.
    pub clusters: Vec<Cluster>,
    /// Resources by cluster, in the order of the input.
    pub members: Vec<Member>,
    /// Files that turned out to be no manifests of their own: patches of kustomize and the like.
    pub skipped: Vec<Skipped>,
    /// Files with resources that belong to no cluster of the configuration.
    pub homeless: Vec<FileId>,
}

/// Finds the clusters and gives each resource to those it belongs to.
pub fn assign(sources: &Sources, files: &[Manifests], config: &Config) -> Fleet {
    let named: Vec<(String, Option<ClusterConfig>, Origin)> = if config.clusters.is_empty() {
        paths::clusters(sources, files)
            .into_iter()
            .map(|(name, origin)| (name, None, origin))
            .collect()
    } else {
        let told = config.clusters.iter();
        told.map(|c| (c.name.value.clone(), Some(c.clone()), Origin::Configuration)).collect()
    };
    let mut fleet = Fleet::default();
    for (name, config, origin) in named {
        let id = ClusterId::at(fleet.clusters.len());
        let (facts, files) = (Facts::default(), BTreeSet::new());
        fleet.clusters.push(Cluster { id, name, facts, origin, mesh: 0, config, files });
    }
    let owners = owners(sources, files, &fleet.clusters);
    for read in files {
        let Some(owners) = owners.get(&read.file) else {
            if !read.objects.is_empty() {
                fleet.homeless.push(read.file);
            }
            continue;
        };
        for &cluster in owners {
            fleet.clusters[cluster.index()].files.insert(read.file);
            for object in &read.objects {
                let namespace = namespace_of(&object.meta, config);
                fleet.members.push(Member { cluster, namespace, object: Arc::clone(object) });
            }
            for values in &read.values {
                fleet.clusters[cluster.index()].facts.learn_values(values, Origin::HelmValues);
            }
        }
    }
    for member in &fleet.members {
        fleet.clusters[member.cluster.index()].facts.learn(member);
    }
    fleet
}

fn owners(
    sources: &Sources,
    files: &[Manifests],
    clusters: &[Cluster],
) -> BTreeMap<FileId, Vec<ClusterId>> {
    let mut owners = BTreeMap::new();
    for read in files {
        let name = &sources.file(read.file).name;
        let told =
            |c: &&Cluster| c.config.as_ref().is_some_and(|config| config.paths.contains(name));
        let configured = clusters.iter().any(|c| c.config.is_some());
        let mut of: Vec<ClusterId> = if configured {
            clusters.iter().filter(told).map(|c| c.id).collect()
        } else {
            clusters.iter().filter(|c| paths::names(name, &c.name)).map(|c| c.id).collect()
        };
        if of.is_empty() && !configured {
            of = clusters.iter().map(|c| c.id).collect();
        }
        if !of.is_empty() {
            owners.insert(read.file, of);
        }
    }
    owners
}

/// Kinds without a namespace, among those we look into.
pub fn is_cluster_scoped(kind: &str) -> bool {
    matches!(
        kind,
        "Node"
            | "Namespace"
            | "NodePool"
            | "Provisioner"
            | "MutatingWebhookConfiguration"
            | "ValidatingWebhookConfiguration"
            | "ClusterRole"
            | "ClusterRoleBinding"
            | "CustomResourceDefinition"
            | "PersistentVolume"
            | "StorageClass"
            | "PriorityClass"
            | "GatewayClass"
            | "IngressClass"
            | "ClusterIssuer"
            | "ClusterConfig"
            | "Cluster"
            | "Kustomization"
    )
}

fn namespace_of(meta: &Meta, config: &Config) -> String {
    if is_cluster_scoped(&meta.kind) {
        return String::new();
    }
    let told = meta.namespace.as_ref().map(|ns| ns.value.clone());
    told.or_else(|| config.namespace.clone()).unwrap_or_else(|| "default".to_owned())
}

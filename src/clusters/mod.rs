//! Which manifest belongs to which cluster: configuration, control-plane facts, delivery objects, folders.

mod assign;
mod astray;
mod away;
mod chain;
mod claims;
mod delivery;
mod facts;
mod generators;
mod given;
mod hosting;
mod installs;
mod kustomize;
mod meshes;
mod origin;
mod params;
mod roster;
mod signs;
mod substitution;
mod supply;
mod tree;
mod units;
mod variables;
mod words;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::version;
use crate::config::ClusterConfig;
use crate::kinds::Object;
use crate::source::{FileId, Skipped, Span, Text};

pub use assign::assign;
pub use astray::{Astray, Telling};
pub use away::SECRET_WATCHER;
pub use facts::{Contradiction, Fact, Facts, Origin, Role, is_on};
pub use generators::OneServer;
pub use installs::Installed;
pub use supply::{Kinds, Supply};
pub use words::letters;

/// What the charts call a cluster that is told no name.
pub const DEFAULT_NAME: &str = "Kubernetes";

/// Which cluster of a [`Fleet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(u32);

impl ClusterId {
    /// The cluster at a position of [`Fleet::clusters`].
    pub fn at(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// Position in [`Fleet::clusters`].
    pub fn index(self) -> usize {
        self.0 as usize
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
    /// The cluster in which its control plane runs, where that is another one (an external control plane).
    pub hosted_in: Option<ClusterId>,
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

    /// The newest version of Istio that its manifests tell of, and where.
    pub fn runs(&self) -> Option<((u32, u32), Span)> {
        let told = self.facts.version.iter();
        told.filter_map(|fact| Some((version(&fact.value)?, fact.value.span))).max()
    }

    /// What is told of it twice and differently, by its manifests or by the configuration.
    pub fn contradictions(&self) -> Vec<Contradiction> {
        let mut facts = self.facts.clone();
        if let Some(network) = self.config.as_ref().and_then(|c| c.network.clone()) {
            facts.network.insert(0, Fact { value: network, origin: Origin::Configuration });
        }
        facts.contradictions()
    }

    /// The cluster in whose API server its control plane looks for the remote secrets: its own, or, for an
    /// external one that is told so, that in which this runs. Source: `secretcontroller.go`, `NewController`.
    pub fn remote_secrets_in(&self) -> ClusterId {
        let watches = self.facts.istiod_env(SECRET_WATCHER);
        let here = watches.is_some_and(|told| is_on(told));
        self.hosted_in.filter(|_| here).unwrap_or(self.id)
    }

    /// The namespace of an external control plane that serves it, in the cluster that hosts this.
    pub fn hosted_namespace(&self) -> Option<&str> {
        self.hosted_in?;
        let mut told = self.facts.system_namespace.iter();
        told.find(|fact| fact.origin == Origin::Istiod).map(|fact| fact.value.as_str())
    }

    /// Its role, where it is told.
    pub fn role(&self) -> Option<Role> {
        let told = self.config.as_ref().and_then(|c| c.role.as_ref()).and_then(|r| Role::parse(r));
        // Older profiles do not tell the cluster whose configuration is read from its remotes.
        let read = self.hosted_in.map(|_| Role::ConfigOfExternal);
        told.or(read).or_else(|| self.facts.role.iter().map(|(role, _)| *role).max())
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

/// A file and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The file.
    pub file: FileId,
    /// The clusters it belongs to; none where the configuration has none for it.
    pub clusters: Vec<ClusterId>,
    /// How we know.
    pub origin: Origin,
}

/// All clusters and what belongs to them.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// The clusters, ordered by name.
    pub clusters: Vec<Cluster>,
    /// Resources by cluster, in the order of the input, as kustomize makes them.
    pub members: Vec<Member>,
    /// Every file with something in it that can belong to a cluster, ordered by place.
    pub placed: Vec<Placed>,
    /// Files that turned out to be no manifests of their own: patches of kustomize and the like.
    pub skipped: Vec<Skipped>,
    /// Files whose resources Flux or Argo CD change in ways that are not followed.
    pub patched: BTreeSet<FileId>,
    /// Paths in kustomizations that lead nowhere within the input.
    pub missing: Vec<Text>,
    /// Clusters that ApplicationSets bring to one API server.
    pub one_servers: Vec<OneServer>,
    /// Folders of one cluster that are brought to another too.
    pub astray: Vec<Astray>,
    /// What brings objects to each cluster that are not in the input, ordered by cluster.
    pub supplies: Vec<(ClusterId, Supply)>,
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
            | "ClusterSPIFFEID"
            | "ClusterFederatedTrustDomain"
            | "ClusterConfig"
            | "Cluster"
            | "Kustomization"
            | "Istio"
            | "IstioRevision"
            | "IstioCNI"
            | "ZTunnel"
    )
}

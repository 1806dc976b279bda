//! What clusters and networks are called, and whether a name is one of theirs.

use std::collections::BTreeSet;

use super::{In, Lookup, Mesh};
use crate::clusters::{Cluster, ClusterId};
use crate::kinds::is_placeholder;

impl Mesh {
    /// The cluster that a label value or the like names, seen from a cluster of the same mesh.
    ///
    /// `Absent` when all clusters of the mesh are known by name: from the configuration, or because at
    /// least two of them are in the input and each tells its name. A cluster to which a remote secret
    /// leads is there, if not in the input.
    pub fn cluster_called(&self, name: &str, from: ClusterId) -> Lookup<&Cluster> {
        if let Some(found) = self.peers(from).find(|c| c.is_called(name)) {
            return Lookup::Found(found);
        }
        let known = self.configured
            || self.peers(from).count() > 1 && self.peers(from).all(|c| self.knows_name(c));
        if is_placeholder(name) || !known || self.is_elsewhere(name, from) {
            return Lookup::Unseen;
        }
        Lookup::absent(
            name,
            self.peers(from).map(|c| c.istio_name().map_or(c.name.as_str(), |n| n.as_str())),
        )
    }

    /// Whether it is known what Istio calls a cluster: from the configuration or its control plane, and
    /// not just from a folder.
    pub fn knows_name(&self, cluster: &Cluster) -> bool {
        self.configured || cluster.istio_name().is_some_and(|name| !is_placeholder(name))
    }

    /// Whether a name is a cluster's, or may be: nobody tells its name, and no other has this one.
    pub fn may_be_called(&self, cluster: &Cluster, name: &str) -> bool {
        cluster.is_called(name)
            || !self.knows_name(cluster) && !self.peers(cluster.id).any(|c| c.is_called(name))
    }

    /// Whether a remote secret or a network of the mesh speaks of a cluster that is not in the input.
    fn is_elsewhere(&self, name: &str, from: ClusterId) -> bool {
        self.clusters_elsewhere(from).any(|known| known == name)
    }

    /// The names of clusters of a mesh that are not in the input, as remote secrets and networks tell.
    pub fn clusters_elsewhere(&self, of: ClusterId) -> impl Iterator<Item = &str> {
        let networks = self.peers(of).flat_map(|c| &c.facts.networks);
        let of_networks = networks.map(|(_, name)| name.as_str());
        let is_known = move |name: &&str| self.peers(of).any(|c| self.may_be_called(c, name));
        let all = self.remote_names(of).chain(of_networks);
        all.filter(move |name| !is_known(name) && !is_placeholder(name))
    }

    /// Whether some cluster of a mesh has a remote secret in the input, or what makes one.
    pub(super) fn has_remote_secrets(&self, of: ClusterId) -> bool {
        self.remote_names(of).next().is_some()
    }

    /// The clusters that a control plane may know, by name; none where it may know others: only the
    /// configuration, or remote secrets in the input, tell that there are no more.
    pub fn registries(&self, of: ClusterId) -> Option<BTreeSet<&str>> {
        let all_named = self.peers(of).all(|c| self.knows_name(c));
        if !all_named || !self.configured && !self.has_remote_secrets(of) {
            return None;
        }
        let told = |c: &'_ Cluster| c.istio_name().is_none_or(|name| !is_placeholder(name));
        let own = self.peers(of).filter(|c| told(c)).flat_map(|c| {
            std::iter::once(c.name.as_str()).chain(c.istio_name().map(|name| name.as_str()))
        });
        Some(own.chain(self.remote_names(of)).collect())
    }

    /// The names of clusters to which remote secrets of a mesh lead.
    fn remote_names(&self, of: ClusterId) -> impl Iterator<Item = &str> {
        let near =
            self.remote_names.iter().filter(move |(cluster, _)| self.same_mesh(*cluster, of));
        near.map(|(_, name)| name.as_str())
    }

    /// The same of all meshes, with the cluster whose control plane reads the secret.
    pub(super) fn find_remote_names(&self) -> Vec<(ClusterId, String)> {
        let plain = self.secrets.iter().map(|s| (s.cluster, s.clusters()));
        let made = self.opaque_secrets.iter().map(|s| (s.cluster, s.clusters()));
        let all = plain.chain(made);
        all.flat_map(|(at, names)| names.into_iter().map(move |name| (at, name.value.clone())))
            .collect()
    }

    /// The network that a label value names, seen from a cluster of the same mesh: its clusters.
    ///
    /// `Absent` when each cluster of the mesh is in the input and tells its network.
    pub fn network_called(&self, name: &str, from: ClusterId) -> Lookup<&Cluster> {
        let network = |c: &Cluster| c.network().map(|n| n.value.clone());
        if let Some(found) = self.peers(from).find(|c| network(c).as_deref() == Some(name)) {
            return Lookup::Found(found);
        }
        let known: Option<Vec<String>> = self.peers(from).map(network).collect();
        let open = |name: &str| is_placeholder(name);
        match known {
            Some(known)
                if !open(name)
                    && !known.iter().any(|name| open(name))
                    && self.clusters_elsewhere(from).next().is_none() =>
            {
                Lookup::absent(name, known.iter().map(String::as_str))
            }
            _ => Lookup::Unseen,
        }
    }

    /// The namespaces of a mesh that the input tells of, whether they stand there themselves or not.
    pub fn namespaces_of_mesh(&self, of: ClusterId) -> BTreeSet<&str> {
        let near = |cluster: ClusterId| self.same_mesh(cluster, of);
        let own = self.namespaces.iter().filter(|ns| near(ns.cluster)).map(In::name);
        let services = self.services.iter().filter(|s| near(s.cluster));
        let services = services.map(|s| s.namespace.as_str());
        let pods = self.pod_shapes().filter(|p| near(p.cluster)).map(|p| p.namespace);
        let objects = self.istio_objects.iter().filter(|o| near(o.cluster));
        let objects = objects.map(|o| o.namespace.as_str());
        let always = ["default", "kube-system", "kube-public"];
        let mut all: BTreeSet<&str> =
            own.chain(services).chain(pods).chain(objects).chain(always).collect();
        all.extend(self.peers(of).map(|c| c.facts.system_namespace()));
        all.extend(self.peers(of).map(|c| self.root_namespace(c.id)));
        all
    }

    /// Whether a namespace of this name would be in the input, whichever cluster of the mesh has it.
    pub fn would_show_namespace(&self, name: &str, of: ClusterId) -> bool {
        let seen = |c: &Cluster| {
            self.has_seen(c.id, "Namespace", "") && !self.may_have_more(c.id, "Namespace", name)
        };
        self.peers(of).all(seen) && self.clusters_elsewhere(of).next().is_none()
    }
}

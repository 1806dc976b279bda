//! Hosts: services by name across clusters, and the workloads behind them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Client, GATEWAY_NAME_LABEL, HostPattern, In, LocalityPattern, Lookup, Mesh, selects, value,
};
use crate::clusters::ClusterId;
use crate::kinds::core::Service;
use crate::kinds::networking::ServiceEntry;
use crate::kinds::workloads::{Pod, Workload};

/// The minor version of Istio that heeds `clusterLocal: false` for a part of what is cluster-local.
const EXCLUSIONS_SINCE: u32 = 24;

/// Positions of a host's definitions.
#[derive(Debug, Default)]
pub(super) struct HostIndex {
    pub(super) services: Vec<usize>,
    pub(super) entries: Vec<usize>,
}

/// A host of the mesh: what all clusters define under one name.
#[derive(Clone, Copy)]
pub struct Host<'m> {
    /// The full name, `cart.shop.svc.cluster.local`.
    pub name: &'m str,
    mesh: &'m Mesh,
    index: &'m HostIndex,
}

impl std::fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Host").field(&self.name).finish()
    }
}

impl<'m> Host<'m> {
    /// The Services of that name, by cluster.
    pub fn services(self) -> impl Iterator<Item = &'m In<Service>> {
        self.index.services.iter().map(move |&i| &self.mesh.services[i])
    }

    /// The ServiceEntries that name it.
    pub fn entries(self) -> impl Iterator<Item = &'m In<ServiceEntry>> {
        self.index.entries.iter().map(move |&i| &self.mesh.service_entries[i])
    }

    /// The Services of the clusters of one mesh.
    pub fn services_of_mesh(self, of: ClusterId) -> impl Iterator<Item = &'m In<Service>> {
        self.services().filter(move |s| self.mesh.same_mesh(s.cluster, of))
    }

    /// The ports of its Services and ServiceEntries, in order.
    pub fn ports(self) -> Vec<u32> {
        let services = self.services().flat_map(|s| &s.ports);
        let services = services.filter_map(|p| Some(u32::from(p.port.as_ref()?.value)));
        let entries = self.entries().flat_map(|e| &e.ports);
        let entries = entries.filter_map(|p| Some(p.number.as_ref()?.value));
        let mut all: Vec<u32> = services.chain(entries).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The Service whose attributes count for a control plane: that of its own cluster, or of another
    /// cluster of the mesh. Source: `aggregate/controller.go`, `mergeService`.
    pub fn service_for(self, control_plane: ClusterId) -> Option<&'m In<Service>> {
        let own = self.services().find(|s| s.cluster == control_plane);
        own.or_else(|| self.services_of_mesh(control_plane).next())
    }

    /// The same, where it is certain which one that is: among several of other clusters nobody knows.
    pub fn certain_service_for(self, control_plane: ClusterId) -> Option<&'m In<Service>> {
        let mut all = self.services_of_mesh(control_plane);
        let is_alone = all.next().is_some() && all.next().is_none();
        self.service_for(control_plane).filter(|s| is_alone || s.cluster == control_plane)
    }

    /// The namespace its Services stand in.
    pub fn namespace(self) -> Option<&'m str> {
        self.services().map(|s| s.namespace.as_str()).next()
    }

    /// `cart.shop`.
    pub fn short(self) -> &'m str {
        super::short(self.name)
    }

    /// Whether there may be workloads behind it of which the input shows nothing.
    pub fn may_have_more_backends(self, of: ClusterId) -> bool {
        self.services_of_mesh(of)
            .any(|s| self.mesh.may_have_more(s.cluster, "Deployment", &s.namespace))
    }

    /// The workloads behind it in all clusters of one mesh.
    pub fn backends_of_mesh(self, of: ClusterId) -> Vec<&'m In<Workload>> {
        let mut found: Vec<_> =
            self.services_of_mesh(of).flat_map(|s| self.mesh.backends(s)).collect();
        // One base may be several workloads of a cluster, under several names.
        found.sort_by_key(|w| (w.cluster, w.meta.span, w.name()));
        found.dedup_by_key(|w| (w.cluster, w.meta.span, w.name()));
        found
    }
}

impl Mesh {
    /// All hosts, ordered by name.
    pub fn hosts(&self) -> impl Iterator<Item = Host<'_>> {
        self.hosts.iter().map(|(name, index)| Host { name, mesh: self, index })
    }

    /// Those with a `*` in front.
    pub fn wildcard_hosts(&self) -> impl Iterator<Item = Host<'_>> {
        let all = self.hosts.range("*".to_owned()..);
        let wide = all.take_while(|(name, _)| name.starts_with('*'));
        wide.map(|(name, index)| Host { name, mesh: self, index })
    }

    /// The host of that full name, if any cluster in the input defines it.
    pub fn host(&self, name: &str) -> Option<Host<'_>> {
        self.hosts.get_key_value(name).map(|(name, index)| Host { name, mesh: self, index })
    }

    /// The Service of a name in a cluster. `Absent` where other Services of that namespace are there.
    pub fn service(&self, cluster: ClusterId, namespace: &str, name: &str) -> Lookup<&In<Service>> {
        let key = (cluster, namespace.to_owned(), name.to_owned());
        if let Some(&first) = self.service_index.get(&key).and_then(|found| found.first()) {
            return Lookup::Found(&self.services[first]);
        }
        if !self.has_seen(cluster, "Service", namespace)
            || self.is_made_for_gateway(cluster, namespace, name)
            || self.cluster(cluster).is_complete()
                && self.may_be_installed(cluster, namespace, name)
        {
            return Lookup::Unseen;
        }
        let same = self.services.of_namespace(cluster, namespace);
        Lookup::absent(name, same.map(In::name))
    }

    /// Whether a cluster of a mesh can be in a locality of which it is not known whether it has a host: no
    /// Service of that namespace is in the input for it.
    pub fn may_have_unseen(
        &self,
        host: Host<'_>,
        of: ClusterId,
        locality: &LocalityPattern,
    ) -> bool {
        let Some(service) = host.services().next() else { return false };
        let (name, namespace) = (service.name(), service.namespace.as_str());
        self.peers(of).filter(|c| host.services().all(|s| s.cluster != c.id)).any(|cluster| {
            let places = self.places(cluster.id);
            let there = places.is_empty() || places.iter().any(|p| locality.matches(&p.locality));
            there && matches!(self.service(cluster.id, namespace, name), Lookup::Unseen)
        })
    }

    /// The workloads whose pods a Service selects, in its own cluster and namespace.
    pub fn backends(&self, service: &In<Service>) -> Vec<&In<Workload>> {
        let key = (service.cluster, service.namespace.clone(), service.name().to_owned());
        let known = self.service_index.get(&key).into_iter().flatten();
        let same = |i: &&usize| std::ptr::eq(&raw const self.services[**i], service);
        let found = known.into_iter().find(same).map(|&i| &self.backends[i]);
        found.into_iter().flatten().map(|&i| &self.workloads[i]).collect()
    }

    pub(super) fn find_backends(&self, service: &In<Service>) -> Vec<usize> {
        let Some(selector) = service.selector.as_ref().filter(|s| !s.is_empty()) else {
            return Vec::new();
        };
        let near = self.workloads.positions(service.cluster, &service.namespace);
        let selected = |i: &usize| {
            let workload = &self.workloads[*i];
            selects(selector, &workload.template.metadata.labels) && !workload.is_owned()
        };
        near.iter().copied().filter(selected).collect()
    }

    /// The pods a Service selects that stand in the input themselves.
    pub fn pods_of(&self, service: &In<Service>) -> Vec<&In<Pod>> {
        let Some(selector) = service.selector.as_ref().filter(|s| !s.is_empty()) else {
            return Vec::new();
        };
        let pods = self.pods.of_namespace(service.cluster, &service.namespace);
        pods.filter(|p| selects(selector, &p.meta.labels)).collect()
    }

    /// Clusters of a mesh in which a host has workloads behind it, as far as the input shows.
    pub fn clusters_with_backends(&self, host: Host<'_>, of: ClusterId) -> Vec<ClusterId> {
        let mut found: Vec<_> = host
            .services_of_mesh(of)
            .filter(|s| !self.backends(s).is_empty() || !self.pods_of(s).is_empty())
            .map(|s| s.cluster)
            .collect();
        found.dedup();
        found
    }

    /// The client groups that can differ under a control plane: one per cluster and namespace that has
    /// workloads.
    pub fn clients(&self, control_plane: ClusterId) -> impl Iterator<Item = Client<'_>> {
        let readers = self.readers.get(&control_plane).into_iter().flatten();
        readers.flat_map(|&cluster| self.clients_in(cluster))
    }

    /// The client groups of a cluster, ordered by namespace.
    pub fn clients_in(&self, cluster: ClusterId) -> impl Iterator<Item = Client<'_>> {
        self.workloads.namespaces(cluster).map(move |namespace| Client::of(cluster, namespace))
    }

    /// The client group of a namespace, if it has workloads.
    pub fn client_in(&self, cluster: ClusterId, namespace: &str) -> Option<Client<'_>> {
        let first = self.workloads.of_namespace(cluster, namespace).next();
        first.map(|workload| Client::of(cluster, &workload.namespace))
    }

    pub(super) fn find_readers(&self) -> BTreeMap<ClusterId, Vec<ClusterId>> {
        let mut readers: BTreeMap<ClusterId, Vec<ClusterId>> = BTreeMap::new();
        let with_workloads: BTreeSet<ClusterId> =
            self.workloads.iter().map(|w| w.cluster).collect();
        for cluster in with_workloads {
            if let Some(plane) = self.config_cluster(cluster).found() {
                readers.entry(plane).or_default().push(cluster);
            }
        }
        readers
    }

    /// Whether requests to a host stay within the client's cluster: as the most specific entry of
    /// `serviceSettings` says, Istio's own entries among them. An entry that says no takes those of
    /// Istio's own away that it is, or is a part of; before 1.24 it does nothing else. Source:
    /// `pilot/pkg/model/cluster_local.go`.
    pub fn is_cluster_local(&self, host: &str, control_plane: ClusterId) -> bool {
        let configs = &self.cluster(control_plane).facts.mesh_config;
        let settings = configs.iter().flat_map(|c| &c.service_settings);
        let told: Vec<(&str, bool)> = settings
            .flat_map(|s| {
                let local = s.settings.cluster_local.as_ref().is_some_and(|l| l.value);
                s.hosts.iter().map(move |host| (host.as_str(), local))
            })
            .collect();
        let plane = self.cluster(control_plane).facts.system_namespace();
        let is_plane = host.starts_with("istiod") && host.contains(&format!(".{plane}.svc."));
        let own = ["*.kube-system.svc.cluster.local", "kubernetes.default.svc.cluster.local"];
        let own = own.into_iter().chain(is_plane.then_some(host));
        let is_kept = |own: &&str| {
            let part = |host: &str| own.strip_prefix('*').is_some_and(|tail| host.ends_with(tail));
            !told.iter().any(|&(host, local)| !local && (host == *own || part(host)))
        };
        let own = own.filter(is_kept).map(|host| (host, true));
        let says_no = !self.is_before(control_plane, EXCLUSIONS_SINCE);
        // Of equal entries the last counts.
        own.chain(told.iter().copied().filter(|(_, local)| *local || says_no))
            .filter(|(pattern, _)| HostPattern(pattern).matches(host))
            .max_by_key(|(pattern, _)| HostPattern(pattern).specificity())
            .is_some_and(|(_, local)| local)
    }

    /// Whether a Service leads to istiod, by the label that Istio's charts give its pods.
    pub fn leads_to_istiod(service: &Service) -> bool {
        let selector = service.selector.as_ref();
        selector.is_some_and(|s| value(s.get("app")) == Some("istiod"))
    }

    /// Whether a Service leads to pods of a gateway, which is called from outside of the mesh or between
    /// networks.
    pub fn is_gateway(&self, service: &In<Service>) -> bool {
        let Some(selector) = service.selector.as_ref().filter(|s| !s.is_empty()) else {
            return service.meta.label("topology.istio.io/network").is_some();
        };
        let names = |key| value(selector.get(key)).is_some_and(|v| v.contains("gateway"));
        let mut gateways = self.gateway_selectors.iter().map(|&i| &self.gateways[i]);
        names("istio")
            || selector.get(GATEWAY_NAME_LABEL).is_some()
            || service.meta.label("topology.istio.io/network").is_some()
            || gateways.any(|g| g.cluster == service.cluster && selects(&g.selector, selector))
    }

    /// Gateways with all the selectors that Gateways of a cluster have, each once.
    pub(super) fn find_gateway_selectors(&self) -> Vec<usize> {
        let mut told = BTreeSet::new();
        let mut found = Vec::new();
        for (i, gateway) in self.gateways.iter().enumerate() {
            let labels = gateway.selector.iter().map(|(key, want)| (key.as_str(), want.as_str()));
            let selector: Vec<_> = labels.collect();
            if !selector.is_empty() && told.insert((gateway.cluster, selector)) {
                found.push(i);
            }
        }
        found
    }
}

impl In<Workload> {
    /// Whether another workload made it: a ReplicaSet of a Deployment or Rollout, as a dump has them.
    pub fn is_owned(&self) -> bool {
        self.meta.kind.as_str() == "ReplicaSet" && !self.meta.owners.is_empty()
    }
}

//! What a control plane knows by a name: hosts, who sees them and at what ports; gateways and their pods.

use super::policy::exported;
use super::{Host, HostPattern, In, Lookup, Mesh, PodShape, fqdn, value};
use crate::clusters::{Cluster, ClusterId};
use crate::kinds::core::Service;
use crate::kinds::networking::{self, ServiceEntry};
use crate::kinds::{Meta, gateway_api, is_placeholder, may_be};
use crate::source::Text;

/// What defines a host for a control plane.
#[derive(Clone, Debug, Default)]
pub struct Known<'m> {
    /// Services of the clusters of the mesh.
    pub services: Vec<&'m In<Service>>,
    /// ServiceEntries that name it or, with a `*`, mean it too.
    pub entries: Vec<&'m In<ServiceEntry>>,
}

/// What becomes of a host that something names.
#[derive(Clone, Debug)]
pub enum Named<'m> {
    /// Somebody who uses it sees it.
    Seen(Known<'m>),
    /// It is there, and exported to none of those who use it.
    Hidden(Known<'m>),
    /// The input is complete enough to know that it is not there.
    Absent {
        /// The name that may have been meant.
        nearest: Option<String>,
    },
    /// It may live outside the input.
    Unseen,
}

/// An object's head, and whether its namespace is told.
#[derive(Clone, Copy, Debug)]
pub struct Told<'m> {
    /// The head.
    pub meta: &'m Meta,
    /// Whether it tells its namespace itself, or a kustomization does.
    pub is_told: bool,
}

impl<S> In<S> {
    /// The head, and whether the namespace is told.
    pub fn told(&self) -> Told<'_> {
        Told { meta: &self.resource.meta, is_told: self.has_namespace() }
    }
}

/// A gateway that a VirtualService is bound to.
#[derive(Clone, Copy, Debug)]
pub enum BoundGateway<'m> {
    /// One of Istio.
    Istio(&'m In<networking::Gateway>),
    /// One of the Gateway API.
    Api(&'m In<gateway_api::Gateway>),
}

impl Known<'_> {
    fn is_empty(&self) -> bool {
        self.services.is_empty() && self.entries.is_empty()
    }

    /// Whether something about it is not known for sure.
    pub fn is_assumed(&self, mesh: &Mesh) -> bool {
        self.services.iter().any(|s| mesh.is_assumed(&s.meta))
            || self.entries.iter().any(|e| mesh.is_assumed(&e.meta))
    }

    /// The ports of each definition; none where one of them cannot be read.
    pub fn ports(&self) -> Option<Vec<Vec<u32>>> {
        let unread = |meta: &Meta| meta.unread.iter().any(|path| path.starts_with("spec.ports"));
        if self.services.iter().any(|s| unread(&s.meta))
            || self.entries.iter().any(|e| unread(&e.meta))
        {
            return None;
        }
        let of_service = |s: &&In<Service>| -> Option<Vec<u32>> {
            s.ports.iter().map(|p| Some(u32::from(p.port.as_ref()?.value))).collect()
        };
        let of_entry = |e: &&In<ServiceEntry>| -> Option<Vec<u32>> {
            e.ports.iter().map(|p| Some(p.number.as_ref()?.value)).collect()
        };
        let services = self.services.iter().map(of_service);
        services.chain(self.entries.iter().map(of_entry)).collect()
    }
}

/// Namespaces that hold what a cluster brings itself.
const OF_THE_CLUSTER: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

impl Mesh {
    /// Whether a cluster may have a Service from one of Istio's own charts, which the input need not show;
    /// in one that is complete, istiod's own alone, where what installs it is in the input.
    pub(super) fn may_be_installed(&self, id: ClusterId, namespace: &str, service: &str) -> bool {
        let cluster = self.cluster(id);
        if cluster.is_complete() {
            let mut supplies = self.supplies(id).iter().filter(|supply| supply.is_machinery());
            return service.starts_with("istiod")
                && supplies.any(|supply| supply.may_bring("Service", namespace));
        }
        namespace == cluster.facts.system_namespace()
            && ["istiod", "istio-"].iter().any(|start| service.starts_with(start))
    }

    /// What a host that an object names is for a control plane, and for the namespaces that use it; none of
    /// these where they are not known. A namespace that the object does not tell proves nothing unless the
    /// cluster is complete, or a Service stands in the same file.
    pub fn named_host(
        &self,
        host: &Text,
        named_by: &In<impl Sized>,
        users: Option<&[String]>,
    ) -> Named<'_> {
        let name = fqdn(host, &named_by.namespace);
        self.named_in_full(&name, named_by.cluster, Some(&named_by.meta), users)
    }

    /// The same for a name that is taken as it is, and for an object that is in no namespace.
    pub fn named_in_full(
        &self,
        name: &str,
        plane: ClusterId,
        named_by: Option<&Meta>,
        users: Option<&[String]>,
    ) -> Named<'_> {
        if is_placeholder(name) || name.is_empty() {
            return Named::Unseen;
        }
        let sees = |known: &Known<'_>| {
            users.is_none_or(|users| users.iter().any(|ns| self.is_exported(known, ns, plane)))
        };
        let exact = self.definitions(name, plane);
        if !exact.is_empty() && sees(&exact) {
            return Named::Seen(exact);
        }
        let wide = self.wildcard_definitions(name, plane);
        if !wide.is_empty() && sees(&wide) {
            return Named::Seen(wide);
        }
        if !exact.is_empty() {
            return Named::Hidden(exact);
        }
        // The same name in another mesh of the input may tell of a mesh that was not understood.
        if self.host(name).is_some() {
            return Named::Unseen;
        }
        let Some((service, namespace)) = service_named(name) else {
            return self.foreign_host(name, plane);
        };
        let is_made = |c: &Cluster| self.is_made_for_gateway(c.id, namespace, service);
        if !self.knows_services(namespace, named_by, plane)
            || self.peers(plane).any(is_made)
            || self.peers(plane).any(|c| self.may_be_installed(c.id, namespace, service))
        {
            return Named::Unseen;
        }
        Named::Absent { nearest: self.nearest_service(service, namespace, plane) }
    }

    /// The full name of a Service that may have been meant: one with nearly this name in the namespace, or
    /// with this name in another.
    fn nearest_service(&self, name: &str, namespace: &str, plane: ClusterId) -> Option<String> {
        let of_mesh = || self.services.iter().filter(|s| self.same_mesh(s.cluster, plane));
        let near = of_mesh().filter(|s| s.namespace == namespace).map(In::name);
        if let Lookup::<()>::Absent { nearest: Some(nearest) } = Lookup::absent(name, near) {
            return Some(fqdn(&nearest, namespace));
        }
        let elsewhere = of_mesh().find(|s| s.name() == name)?;
        Some(fqdn(name, &elsewhere.namespace))
    }

    /// What defines a name itself.
    fn definitions(&self, name: &str, plane: ClusterId) -> Known<'_> {
        let Some(host) = self.host(name) else { return Known::default() };
        let entries = host.entries().filter(|e| self.same_mesh(e.cluster, plane));
        Known { services: host.services_of_mesh(plane).collect(), entries: entries.collect() }
    }

    /// ServiceEntries that mean a name by a `*`.
    fn wildcard_definitions(&self, name: &str, plane: ClusterId) -> Known<'_> {
        let wide = self.wildcard_hosts().filter(|h| h.name != name);
        let wide = wide.filter(|h| HostPattern(h.name).matches(name));
        let entries = wide.flat_map(Host::entries);
        let entries = entries.filter(|e| self.same_mesh(e.cluster, plane));
        Known { services: Vec::new(), entries: entries.collect() }
    }

    /// Whether some definition is exported to a namespace.
    fn is_exported(&self, known: &Known<'_>, namespace: &str, plane: ClusterId) -> bool {
        let configs = &self.cluster(plane).facts.mesh_config;
        let defaults = configs.iter().map(|c| &c.default_service_export_to);
        let default: Vec<&str> = defaults.flatten().map(|to| to.as_str()).collect();
        let sees = |to: Vec<&str>, own: &str| {
            let to = if to.is_empty() { default.clone() } else { to };
            to.is_empty()
                || to.iter().any(|to| match to.trim() {
                    "*" => true,
                    "." => own == namespace,
                    to => may_be(to, namespace),
                })
        };
        let service = |s: &&In<Service>| {
            let told = value(s.meta.annotation("networking.istio.io/exportTo"));
            let told = told.filter(|to| !to.is_empty());
            sees(told.map(|to| to.split(',').collect()).unwrap_or_default(), &s.namespace)
        };
        let entry = |e: &&In<ServiceEntry>| {
            sees(e.export_to.iter().map(|to| to.as_str()).collect(), &e.namespace)
        };
        known.services.iter().any(service) || known.entries.iter().any(entry)
    }

    /// Whether a Service of a namespace would be in the input, in whichever cluster of the mesh it stands.
    fn knows_services(&self, namespace: &str, by: Option<&Meta>, plane: ClusterId) -> bool {
        let is_complete = self.peers(plane).all(Cluster::is_complete);
        if is_complete {
            return !OF_THE_CLUSTER.contains(&namespace);
        }
        let beside = |s: &In<Service>| {
            by.is_some_and(|by| s.meta.file == by.file) && s.namespace == namespace
        };
        let told = namespace != "default" || self.services.iter().any(beside);
        let lacks = |c: &Cluster| {
            self.has_seen(c.id, "Service", namespace)
                || !self.lives_in(c.id, namespace)
                    && !self.may_have_more(c.id, "Service", namespace)
                    && !self.services.of_cluster(c.id).is_empty()
        };
        told && !OF_THE_CLUSTER.contains(&namespace)
            && self.peers(plane).any(|c| self.has_seen(c.id, "Service", namespace))
            && self.peers(plane).all(lacks)
            && self.clusters_elsewhere(plane).next().is_none()
    }

    /// A name that is no Service's full name. `cart.shop` is taken as it is, so that it means no Service.
    fn foreign_host(&self, name: &str, plane: ClusterId) -> Named<'_> {
        let bare = name.strip_suffix(".svc").unwrap_or(name);
        let full = format!("{bare}.svc.cluster.local");
        let parts = bare.split('.').count();
        if parts == 2 && !self.definitions(&full, plane).services.is_empty() {
            return Named::Absent { nearest: Some(full) };
        }
        let of_kubernetes = name.contains(".svc.") || name.rsplit('.').next() == Some("local");
        if of_kubernetes || !self.cluster(plane).is_complete() {
            return Named::Unseen;
        }
        let known = self.service_entries.of_cluster(plane).iter();
        let known = known.flat_map(|e| &e.hosts).map(|host| host.as_str());
        match Lookup::<()>::absent(name, known) {
            Lookup::Absent { nearest } => Named::Absent { nearest },
            _ => Named::Unseen,
        }
    }

    /// The gateway that a VirtualService names: `NAME`, `NAMESPACE/NAME`, or `NAME.NAMESPACE` of old.
    /// Source: `pilot/pkg/model/virtualservice.go`, `resolveGatewayName`.
    pub fn named_gateway<'m>(
        &'m self,
        name: &str,
        service: &'m In<networking::VirtualService>,
    ) -> Lookup<BoundGateway<'m>> {
        let (namespace, bare) = match name.split_once('/') {
            Some((".", bare)) => (service.namespace.as_str(), bare),
            Some(told) => told,
            None => match name.split_once('.') {
                Some((bare, rest)) => (rest.split('.').next().unwrap_or_default(), bare),
                None => (service.namespace.as_str(), name),
            },
        };
        let near = || self.gateways.of_namespace(service.cluster, namespace);
        if let Some(it) = near().find(|g| g.name() == bare) {
            return Lookup::Found(BoundGateway::Istio(it));
        }
        let mut of_api = self.api_gateways.of_namespace(service.cluster, namespace);
        if let Some(it) = of_api.find(|g| g.name() == bare) {
            return Lookup::Found(BoundGateway::Api(it));
        }
        let elsewhere = |g: &In<networking::Gateway>| g.name() == bare && g.namespace == namespace;
        let complete = self.cluster(service.cluster).is_complete();
        let beside = |g: &In<networking::Gateway>| {
            g.meta.file == service.meta.file && g.namespace == namespace
        };
        let is_told = complete || namespace != "default" || self.gateways.iter().any(beside);
        if is_placeholder(name)
            || !is_told
            || !self.has_seen(service.cluster, "Gateway", namespace)
            || self.gateways.iter().any(elsewhere)
        {
            return Lookup::Unseen;
        }
        Lookup::absent(bare, near().map(In::name))
    }

    /// The clusters whose proxies get their Istio objects from a control plane.
    fn clusters_under(&self, plane: ClusterId) -> Vec<ClusterId> {
        let all = self.peers(plane).map(|c| c.id);
        all.filter(|c| self.config_cluster(*c) == Lookup::Found(plane)).collect()
    }

    /// The pods and templates in the clusters of a control plane.
    pub fn pods_under(&self, plane: ClusterId) -> impl Iterator<Item = PodShape<'_>> {
        let read = self.clusters_under(plane).into_iter();
        read.flat_map(|cluster| self.pod_shapes_of(cluster))
    }

    /// Those of one namespace.
    pub fn pods_under_in<'m>(
        &'m self,
        plane: ClusterId,
        namespace: &'m str,
    ) -> impl Iterator<Item = PodShape<'m>> {
        let read = self.clusters_under(plane).into_iter();
        read.flat_map(move |cluster| self.pod_shapes_in(cluster, namespace))
    }

    /// The pods of an Istio Gateway, in whatever namespace, as far as the input shows.
    pub fn pods_of_gateway<'m>(&'m self, gateway: &In<networking::Gateway>) -> Vec<PodShape<'m>> {
        let pods = self.pods_under(gateway.cluster);
        pods.filter(|pods| pods.is_selected_by(&gateway.selector)).collect()
    }

    /// Whether all clusters of a control plane are known to be complete.
    pub fn is_complete_under(&self, plane: ClusterId) -> bool {
        let mut read = self
            .peers(plane)
            .filter(|c| c.id == plane || self.config_cluster(c.id) == Lookup::Found(plane));
        read.all(Cluster::is_complete)
    }

    /// Whether whatever has pods in a namespace would be in the input, in all clusters of a control plane.
    pub fn knows_pods(&self, plane: ClusterId, namespace: &str) -> bool {
        let kinds = ["Deployment", "StatefulSet", "DaemonSet", "Pod", "Job", "CronJob", "Rollout"];
        let mut pods = self.pods_under_in(plane, namespace);
        let open = |c: &Cluster| kinds.iter().any(|kind| self.may_have_more(c.id, kind, namespace));
        self.is_complete_under(plane)
            || pods.next().is_some()
                && !self.peers(plane).any(open)
                && self.clusters_elsewhere(plane).next().is_none()
    }

    /// Whether two texts of a cluster may be for two places, as they stand in different files and not both
    /// tell their namespace: demos, each of which somebody applies where they are.
    pub fn may_be_apart(&self, cluster: ClusterId, a: Told<'_>, b: Told<'_>) -> bool {
        !self.cluster(cluster).is_complete()
            && a.meta.file != b.meta.file
            && !(a.is_told && b.is_told)
    }

    /// Whether a control plane reads an object of its kind in a cluster: not that of a remote cluster.
    pub fn is_read_in(&self, cluster: ClusterId) -> bool {
        self.config_cluster(cluster) == Lookup::Found(cluster)
    }

    /// The namespaces whose clients use a VirtualService, as far as they are known; `None` where gateways
    /// use it too.
    pub fn users_of(&self, service: &In<networking::VirtualService>) -> Option<Vec<String>> {
        if service.is_for_gateways() {
            return None;
        }
        let own = service.namespace.as_str();
        let told = service.export_to.iter().map(|to| to.as_str());
        let told = told.filter(|to| !["*", ".", "~"].contains(to)).map(str::to_owned);
        let clients = self.clients_of(service).map(|c| c.namespace.to_owned());
        let mut all: Vec<String> = told.chain(clients).collect();
        all.retain(|ns| exported(&service.export_to, own, ns));
        if exported(&service.export_to, own, own) {
            all.push(own.to_owned());
        }
        Some(all)
    }
}

/// Name and namespace of a Service, by its full name.
fn service_named(host: &str) -> Option<(&str, &str)> {
    let (name, namespace) = host.strip_suffix(".svc.cluster.local")?.split_once('.')?;
    (!namespace.contains('.') && !name.starts_with('*')).then_some((name, namespace))
}

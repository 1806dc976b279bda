//! The endpoints of a host: pods and entries of all clusters, by zone, and how many there may be.

use core::net::IpAddr;
use std::sync::Arc;

use super::endpoint::{Endpoint, Health, Identity, Labels, Proxy};
use super::mtls::{self, Mtls};
use crate::clusters::{Cluster, ClusterId};
use crate::kinds::core::Service;
use crate::kinds::is_placeholder;
use crate::kinds::networking::WorkloadEntry;
use crate::kinds::workloads::TemplateMeta;
use crate::mesh::{Host, In, Locality, Mesh, value};
use crate::placement::{Bounds, Placement, Placements, ServicePlacement};
use crate::source::{Span, Spanned, Text};
use crate::yaml::Entries;

/// Endpoints of one workload in one zone.
#[derive(Clone, Debug)]
pub struct Pool<'m> {
    /// The cluster they run in, or whose control plane reads the entry.
    pub cluster: ClusterId,
    /// Where they really are, without subzone.
    pub zone: Locality,
    /// What istiod knows them by. Its locality is another than `zone` where a label says so.
    pub identity: Arc<Identity>,
    /// The locality as istiod writes it.
    pub written: Arc<str>,
    /// How many there may be.
    pub bounds: Bounds,
    /// How many the workload has in all its zones.
    pub total: Bounds,
    /// In how many zones it may have some.
    pub zones: usize,
    /// The weight of each.
    pub weight: u32,
    /// Whether their address is known.
    pub addressed: bool,
    /// Whether a sidecar there speaks Istio's mTLS: pods have one unless they opt out or are in
    /// ambient, entries where their labels say so.
    pub mtls: bool,
    /// The Service that selects them; none for endpoints of a ServiceEntry.
    pub service: Option<&'m In<Service>>,
    /// The workload's name, the pod's, or the entry's address.
    pub name: &'m str,
    /// Where that stands.
    pub span: Span,
}

impl Pool<'_> {
    /// Its endpoints, if there are so many.
    pub fn endpoint(&self, count: u32, mtls: Mtls) -> Endpoint {
        Endpoint {
            identity: Arc::clone(&self.identity),
            written: Arc::clone(&self.written),
            count,
            weight: self.weight,
            health: Health::Healthy,
            addressed: self.addressed,
            mtls,
        }
    }
}

/// What is behind a host in the clusters of one mesh.
#[derive(Clone, Debug, Default)]
pub struct Supply<'m> {
    /// Its endpoints by workload and zone, ordered by cluster.
    pub pools: Vec<Pool<'m>>,
    /// Why there may be others, or why it is not known where they are: a Service whose pods are not in
    /// the input, a workload whose zones nobody tells.
    pub unknown: Vec<Unknown<'m>>,
    /// The Services of the host, one for each cluster, with what is behind them.
    pub services: Vec<(&'m In<Service>, ServicePlacement<'m>)>,
    /// Whether something outside the input may have endpoints too: a cluster that may have the Service
    /// as well, or clusters that nobody told of.
    pub may_be_elsewhere: bool,
}

/// What is not known of a host's endpoints.
#[derive(Clone, Copy, Debug)]
pub enum Unknown<'m> {
    /// The pods of a Service are not in the input.
    Pods(&'m In<Service>),
    /// Nobody tells in which zones a workload's pods run.
    Zones {
        /// The workload's name.
        name: &'m str,
        /// Its cluster.
        cluster: ClusterId,
        /// Where the name stands.
        span: Span,
    },
    /// A ServiceEntry takes endpoints by selector.
    Selected(Span),
    /// Nobody can tell which of several texts is applied, or in which cluster.
    Assumed(Span),
}

impl<'m> Supply<'m> {
    /// What is behind a host, for the clusters of the mesh that a cluster belongs to.
    pub fn of(mesh: &'m Mesh, placements: &Placements<'m>, host: Host<'m>, of: ClusterId) -> Self {
        let mut supply =
            Self { may_be_elsewhere: may_be_elsewhere(mesh, host, of), ..Self::default() };
        for service in host.services_of_mesh(of).filter(|s| !s.is_external_name()) {
            supply.take_service(mesh, placements, service);
        }
        for entry in host.entries().filter(|e| mesh.same_mesh(e.cluster, of)) {
            if let Some(selector) = &entry.workload_selector
                && let Some((key, _)) = selector.labels.iter().next()
            {
                supply.unknown.push(Unknown::Selected(key.span));
            }
            let resolved = value(entry.resolution.as_ref()).is_some_and(|r| r.starts_with("DNS"));
            // Only Envoy's DNS clusters have names for addresses. Source: `endpoint_builder.go`.
            let sent =
                |e: &&Spanned<WorkloadEntry>| resolved || !is_name(value(e.address.as_ref()));
            for endpoint in entry.endpoints.iter().filter(sent) {
                supply.take_entry(mesh, entry.cluster, endpoint, endpoint.span);
            }
        }
        supply
    }

    /// Whether it is known what there is and where, as far as the input goes.
    pub fn is_known(&self) -> bool {
        self.unknown.is_empty()
    }

    /// Whether all its pods are certainly in the input, wherever they run.
    pub fn is_whole(&self) -> bool {
        let counts = |unknown: &Unknown<'_>| !matches!(unknown, Unknown::Zones { .. });
        !self.may_be_elsewhere && !self.unknown.iter().any(counts)
    }

    fn take_service(
        &mut self,
        mesh: &'m Mesh,
        placements: &Placements<'m>,
        service: &'m In<Service>,
    ) {
        let here = placements.of_service(service);
        let nothing = here.workloads.is_empty() && here.pods.is_empty();
        // A Service without selector has endpoints that somebody writes.
        if nothing && (service.selector.is_none() || !mesh.cluster(service.cluster).is_complete()) {
            self.unknown.push(Unknown::Pods(service));
        }
        if mesh.is_assumed(&service.meta) {
            self.unknown.push(Unknown::Assumed(service.named_at()));
        }
        for (workload, placement) in &here.workloads {
            if mesh.is_assumed(&workload.meta) {
                self.unknown.push(Unknown::Assumed(workload.named_at()));
            }
            let TemplateMeta { labels, annotations } = &placements.template(workload).metadata;
            let told = (labels, annotations);
            self.take(mesh, service, workload.name(), workload.named_at(), told, placement);
        }
        for (pod, placement) in &here.pods {
            let told = (&pod.meta.labels, &pod.meta.annotations);
            self.take(mesh, service, pod.name(), pod.named_at(), told, placement);
        }
        self.services.push((service, here));
    }

    fn take(
        &mut self,
        mesh: &'m Mesh,
        service: &'m In<Service>,
        name: &'m str,
        span: Span,
        (labels, annotations): (&Entries<Text>, &Entries<Text>),
        placement: &Placement,
    ) {
        let cluster = service.cluster;
        // Nodes without a region have none; of pools and selectors it may only be unknown.
        let by_nodes = mesh.places(cluster).iter().any(|p| p.nodes.is_some());
        let told = |zone: &Locality| by_nodes || !zone.region.is_empty();
        if !placement.known || !placement.zones.keys().all(told) {
            self.unknown.push(Unknown::Zones { name, cluster, span });
        }
        let told = own_locality(labels);
        let own: Labels = Arc::new(plain(labels));
        let namespace = (cluster, service.namespace.as_str());
        let mtls = mtls::has_sidecar(mesh, namespace, labels, annotations);
        let open = || placement.zones.iter().filter(|(_, z)| z.bounds.most > 0);
        for (zone, bounds) in open() {
            let locality = told.clone().unwrap_or_else(|| mesh.with_subzone(cluster, zone));
            let identity = identity(mesh, cluster, locality, Arc::clone(&own));
            let Endpoint { identity, written, .. } = Endpoint::of_pods(identity, 0);
            self.pools.push(Pool {
                cluster,
                zone: zone.clone(),
                identity,
                written,
                bounds: bounds.bounds,
                total: placement.total,
                zones: open().count(),
                weight: 1,
                addressed: true,
                mtls,
                service: Some(service),
                name,
                span,
            });
        }
    }

    fn take_entry(
        &mut self,
        mesh: &Mesh,
        cluster: ClusterId,
        entry: &'m WorkloadEntry,
        span: Span,
    ) {
        let one = Bounds { least: 1, most: 1 };
        let written = value(entry.locality.as_ref()).unwrap_or_default();
        let locality = Locality::parse(written);
        let mut identity =
            identity(mesh, cluster, locality.clone(), Arc::new(plain(&entry.labels)));
        identity.network = value(entry.network.as_ref()).unwrap_or_default().into();
        self.pools.push(Pool {
            cluster,
            zone: locality.without_subzone(),
            identity: Arc::new(identity),
            written: written.into(),
            bounds: one,
            total: one,
            zones: 1,
            weight: entry.weight.as_ref().map_or(1, |w| w.value),
            addressed: entry.address.as_ref().is_some_and(|address| !address.is_empty()),
            mtls: value(entry.labels.get(mtls::MODE_LABEL)) == Some("istio"),
            service: None,
            name: value(entry.address.as_ref()).unwrap_or_default(),
            span: entry.address.as_ref().map_or(span, |a| a.span),
        });
    }
}

/// Whether clusters that the input does not show, or not all of, may have endpoints of a host.
fn may_be_elsewhere(mesh: &Mesh, host: Host<'_>, of: ClusterId) -> bool {
    let peers: Vec<&Cluster> = mesh.peers(of).collect();
    let absent = |cluster: &Cluster, namespace| {
        let name = host.name.split('.').next().unwrap_or_default();
        mesh.service(cluster.id, namespace, name).is_absent()
    };
    let has = |cluster: &Cluster| host.services().any(|s| s.cluster == cluster.id);
    let open = |cluster: &&Cluster| {
        !has(cluster) && host.namespace().is_some_and(|namespace| !absent(cluster, namespace))
    };
    match peers[..] {
        [only] => may_have_peers(mesh, only) || open(&only),
        _ => peers.iter().any(open),
    }
}

/// Whether the only cluster of a mesh may have peers outside the input: nobody configured the mesh, no
/// other cluster is there to be told apart from it, and its control plane has a name among others.
fn may_have_peers(mesh: &Mesh, cluster: &Cluster) -> bool {
    let facts = &cluster.facts;
    let named = facts.name.iter().any(|f| f.value.as_str() != "Kubernetes");
    let signs = named || !facts.network.is_empty() || !facts.mesh_id.is_empty();
    cluster.config.is_none() && mesh.clusters().len() == 1 && signs
}

/// The locality that pods claim by a label, whatever node they run on; `.` stands for `/` where there
/// is no `/`. Source: `pkg/model/proxy.go`, `GetLocalityLabel`.
fn own_locality(labels: &Entries<Text>) -> Option<Locality> {
    let keys = ["topology.istio.io/locality", "istio-locality"];
    let told =
        keys.iter().find_map(|key| value(labels.get(key))).filter(|told| !told.is_empty())?;
    let parts = if told.contains('/') { told.to_owned() } else { told.replace('.', "/") };
    Some(Locality::parse(&parts))
}

/// Whether an address is a name, which istiod does not send as an endpoint.
fn is_name(address: Option<&str>) -> bool {
    let address = address.unwrap_or_default();
    let is_other = address.is_empty() || address.starts_with("unix://") || is_placeholder(address);
    !is_other && address.parse::<IpAddr>().is_err()
}

/// Labels by name.
pub fn plain(labels: &Entries<Text>) -> std::collections::BTreeMap<String, String> {
    labels.iter().map(|(key, value)| (key.value.clone(), value.value.clone())).collect()
}

/// Pods of a cluster with these labels, at a locality.
pub fn identity(mesh: &Mesh, cluster: ClusterId, locality: Locality, labels: Labels) -> Identity {
    let known = mesh.cluster(cluster);
    Identity {
        cluster: known.istio_name().map_or(known.name.as_str(), |name| name.as_str()).into(),
        network: known.network().map_or("", |network| network.as_str()).into(),
        locality,
        node: "".into(),
        labels,
        proxy: Proxy::default(),
    }
}

//! The endpoints of a host: pods and entries of all clusters, by zone, and how many there may be.

mod entries;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::endpoint::{Endpoint, Health, Identity, Labels, Proxy};
use super::mtls::{self, Mtls};
use crate::clusters::{Cluster, ClusterId, DEFAULT_NAME};
use crate::kinds::core::Service;
use crate::kinds::parts::Conditions;
use crate::kinds::workloads::{Pod, TemplateMeta, Workload};
use crate::mesh::{
    Client, Host, In, Locality, Mesh, NETWORK_LABEL, REGION_LABEL, SUBZONE_LABEL, ZONE_LABEL, value,
};
use crate::placement::{Bounds, Placement, Placements, ServicePlacement};
use crate::source::{Span, Text};
use crate::yaml::Entries;
use entries::entries;

/// Endpoints of one workload in one zone; of those that are in the input themselves, on one node and alike
/// in health.
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
    /// How many the workload has in all its pools.
    pub total: Bounds,
    /// How many pools it has.
    pub pools: usize,
    /// Whether each node of the zone certainly has one.
    pub on_each_node: bool,
    /// The weight of each.
    pub weight: u32,
    /// How Kubernetes sees them.
    pub health: Health,
    /// Whether their address is known.
    pub addressed: bool,
    /// Whether a sidecar there speaks Istio's mTLS: pods have one unless they opt out or are in
    /// ambient, entries where their labels or their identity say so.
    pub mtls: bool,
    /// The namespace they stand in.
    pub namespace: &'m str,
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
            health: self.health,
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
    /// What the selector of a ServiceEntry takes is not in the input.
    Selected(Span),
    /// Nobody can tell which of several texts is applied, or in which cluster.
    Assumed(Span),
}

/// Pods that are alike but for their place.
struct Pods<'m> {
    cluster: ClusterId,
    namespace: &'m str,
    service: Option<&'m In<Service>>,
    name: &'m str,
    span: Span,
    labels: &'m Entries<Text>,
    annotations: &'m Entries<Text>,
    conditions: Conditions,
    daemon: bool,
}

/// Pods that share a place.
struct Spot<'p> {
    zone: &'p Locality,
    node: &'p str,
    health: Health,
    bounds: Bounds,
}

impl<'m> Supply<'m> {
    /// What is behind a host, for the clusters of the mesh that a cluster belongs to. ServiceEntries are
    /// those of its control plane: of other clusters istiod reads WorkloadEntries alone, not these.
    /// Source: `serviceregistry/kube/controller/multicluster.go`, `createWleConfigStore`.
    pub fn of(mesh: &'m Mesh, placements: &Placements<'m>, host: Host<'m>, of: ClusterId) -> Self {
        let mut supply =
            Self { may_be_elsewhere: may_be_elsewhere(mesh, host, of), ..Self::default() };
        for service in host.services_of_mesh(of).filter(|s| !s.is_external_name()) {
            supply.take_service(mesh, placements, service);
        }
        let plane = mesh.config_cluster(of).found().unwrap_or(of);
        for entry in host.entries().filter(|e| e.cluster == plane) {
            supply.take_service_entry(mesh, placements, entry);
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
        let (cluster, namespace) = (service.cluster, service.namespace.as_str());
        let here = placements.of_service(service);
        let entries = entries(mesh, cluster, namespace, service.selector.as_ref());
        let nothing = here.workloads.is_empty() && here.pods.is_empty() && entries.is_empty();
        // A Service without selector has endpoints that somebody writes.
        if nothing && (service.selector.is_none() || !mesh.cluster(cluster).is_complete()) {
            self.unknown.push(Unknown::Pods(service));
        }
        if mesh.is_assumed(&service.meta) {
            self.unknown.push(Unknown::Assumed(service.named_at()));
        }
        for (workload, placement) in &here.workloads {
            let pods = Pods::of_workload(placements, workload, Some(service));
            self.take_workload(mesh, workload, &pods, placement);
        }
        for (pod, placement) in &here.pods {
            self.take(mesh, &Pods::of_pod(pod, Some(service)), placement);
        }
        for entry in entries {
            self.take_entry(mesh, entry, Some(service));
        }
        self.services.push((service, here));
    }

    fn take_workload(
        &mut self,
        mesh: &'m Mesh,
        workload: &'m In<Workload>,
        pods: &Pods<'m>,
        placement: &Placement,
    ) {
        if mesh.is_assumed(&workload.meta) {
            self.unknown.push(Unknown::Assumed(workload.named_at()));
        }
        self.take(mesh, pods, placement);
    }

    fn take(&mut self, mesh: &'m Mesh, pods: &Pods<'m>, placement: &Placement) {
        let &Pods { cluster, namespace, service, name, span, labels, .. } = pods;
        // Nodes without a region have none; of pools and selectors it may only be unknown.
        let by_nodes = mesh.places(cluster).iter().any(|p| p.nodes.is_some());
        let told = |zone: &Locality| by_nodes || !zone.region.is_empty();
        if !placement.known || !placement.zones.keys().all(told) {
            self.unknown.push(Unknown::Zones { name, cluster, span });
        }
        let told = own_locality(labels);
        let own: Labels = Arc::new(plain(labels));
        let mtls = mtls::has_sidecar(mesh, (cluster, namespace), labels, pods.annotations);
        let spots = pods.spots(&own, placement);
        for spot in &spots {
            let locality = told.clone().unwrap_or_else(|| mesh.with_subzone(cluster, spot.zone));
            let identity = identity(mesh, cluster, locality, Arc::clone(&own));
            let identity = Identity { node: spot.node.into(), ..identity };
            let Endpoint { identity, written, .. } = Endpoint::of_pods(identity, 0);
            self.pools.push(Pool {
                cluster,
                zone: spot.zone.clone(),
                identity,
                written,
                bounds: spot.bounds,
                total: placement.total,
                pools: spots.len(),
                on_each_node: pods.daemon && spot.bounds.least >= nodes(mesh, cluster, spot.zone),
                weight: 1,
                health: spot.health,
                addressed: true,
                mtls,
                namespace,
                service,
                name,
                span,
            });
        }
    }
}

/// How many nodes of a cluster are known to stand in a zone; as many as can be where nobody tells.
fn nodes(mesh: &Mesh, cluster: ClusterId, zone: &Locality) -> u32 {
    let here = mesh.places(cluster).iter().filter(|p| p.locality.without_subzone() == *zone);
    here.map(|place| place.nodes).sum::<Option<u32>>().unwrap_or(u32::MAX)
}

impl<'m> Pods<'m> {
    fn of_workload(
        placements: &Placements<'m>,
        workload: &'m In<Workload>,
        service: Option<&'m In<Service>>,
    ) -> Self {
        let TemplateMeta { labels, annotations } = &placements.template(workload).metadata;
        Self {
            cluster: workload.cluster,
            namespace: &workload.namespace,
            service,
            name: workload.name(),
            span: workload.named_at(),
            labels,
            annotations,
            conditions: Conditions::default(),
            daemon: workload.meta.kind.as_str() == "DaemonSet",
        }
    }

    fn of_pod(pod: &'m In<Pod>, service: Option<&'m In<Service>>) -> Self {
        Self {
            cluster: pod.cluster,
            namespace: &pod.namespace,
            service,
            name: pod.name(),
            span: pod.named_at(),
            labels: &pod.meta.labels,
            annotations: &pod.meta.annotations,
            conditions: pod.conditions(),
            daemon: false,
        }
    }

    /// By place. Pods that are about to go are none, unless clients are told of them.
    fn spots<'p>(&self, own: &Labels, placement: &'p Placement) -> Vec<Spot<'p>> {
        let service = self.service.map(|s| &*s.resource);
        let health = |conditions| Health::of(conditions, own, service);
        if !placement.exact {
            let open = placement.zones.iter().filter(|(_, z)| z.bounds.most > 0);
            let health = health(self.conditions);
            let spots = open.map(|(zone, at)| Spot { zone, node: "", health, bounds: at.bounds });
            return spots.filter(|spot| spot.health != Health::Terminating).collect();
        }
        let mut alike: BTreeMap<_, u32> = BTreeMap::new();
        for seen in &placement.seen {
            let zone = seen.zone.as_ref().and_then(|zone| placement.zone_of(zone));
            let Some(zone) = zone else { continue };
            *alike.entry((zone, &*seen.node, health(seen.conditions))).or_default() += 1;
        }
        let spots = alike.into_iter().map(|((zone, node, health), count)| Spot {
            zone,
            node,
            health,
            bounds: Bounds { least: count, most: count },
        });
        spots.filter(|spot| spot.health != Health::Terminating).collect()
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
    let named = facts.name.iter().any(|f| f.value.as_str() != DEFAULT_NAME);
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

/// Labels by name.
pub fn plain(labels: &Entries<Text>) -> BTreeMap<String, String> {
    labels.iter().map(|(key, value)| (key.value.clone(), value.value.clone())).collect()
}

/// Pods of a cluster with these labels, at a locality. Their network is the cluster's, unless a label
/// says another. Source: `kube/controller/controller.go`, `Network`.
fn identity(mesh: &Mesh, cluster: ClusterId, locality: Locality, labels: Labels) -> Identity {
    let known = mesh.cluster(cluster);
    let told = labels.get(NETWORK_LABEL).map(String::as_str).filter(|network| !network.is_empty());
    Identity {
        cluster: known.istio_name().map_or(known.name.as_str(), |name| name.as_str()).into(),
        network: told.or_else(|| value(known.network())).unwrap_or_default().into(),
        locality,
        node: "".into(),
        labels,
        proxy: Proxy::default(),
    }
}

/// A client that runs at a locality. Its own labels say where it is before its node does if they claim a
/// locality, and after it if they name region, zone and subzone.
/// Source: `pilot/pkg/xds/ads.go`, `setTopologyLabels` and `localityFromProxyLabels`.
pub fn client(mesh: &Mesh, client: &Client<'_>, at: &Locality) -> Identity {
    let claimed = client.labels.and_then(own_locality);
    let at = claimed.unwrap_or_else(|| at.clone());
    let told = |part: String, key: &str| {
        if !part.is_empty() {
            return part;
        }
        client.labels.and_then(|labels| value(labels.get(key))).unwrap_or_default().to_owned()
    };
    let locality = Locality {
        region: told(at.region, REGION_LABEL),
        zone: told(at.zone, ZONE_LABEL),
        subzone: told(at.subzone, SUBZONE_LABEL),
    };
    let labels = client.labels.map(plain).unwrap_or_default();
    identity(mesh, client.cluster, locality, labels.into())
}

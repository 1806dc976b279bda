//! Pods and endpoints that are in the input themselves: where replicas are, not where they can be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::demand::Demand;
use super::{Bounds, Cause, Placement, Why, ZoneBounds};
use crate::clusters::ClusterId;
use crate::kinds::core::{Endpoint, EndpointSlice, Service};
use crate::kinds::parts::Conditions;
use crate::kinds::workloads::{Pod, Workload};
use crate::mesh::{In, Locality, Mesh, REGION_LABEL, ZONE_LABEL, locality_of_node, value};
use crate::source::Span;

/// A replica that is in the input itself, as a pod or as an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replica {
    /// Its zone, without subzone; `None` where its node is not in the input and nothing else tells.
    pub zone: Option<Locality>,
    /// The name of its node; empty where that is not told.
    pub node: Arc<str>,
    /// Whether it takes traffic.
    pub conditions: Conditions,
}

impl Replica {
    /// Whether it is about to go.
    fn goes(&self) -> bool {
        self.conditions.ready == Some(false) && self.conditions.terminating != Some(false)
    }
}

type Place<'m> = (ClusterId, &'m str);

/// Pods by owner, endpoints by service, nodes by name.
#[derive(Debug)]
pub(super) struct Index<'m> {
    mesh: &'m Mesh,
    nodes: BTreeMap<Place<'m>, Locality>,
    /// Pods that have a node, by kind and name of their owner.
    owned: BTreeMap<(Place<'m>, &'m str, &'m str), Vec<&'m In<Pod>>>,
    /// Pods that have a node and no owner, by namespace.
    loose: BTreeMap<Place<'m>, Vec<&'m In<Pod>>>,
    slices: BTreeMap<(Place<'m>, &'m str), Vec<&'m In<EndpointSlice>>>,
    /// The service with endpoints that selects a workload, by cluster and place of the workload.
    served: BTreeMap<(ClusterId, Span), &'m In<Service>>,
}

impl<'m> Index<'m> {
    pub(super) fn of(mesh: &'m Mesh) -> Self {
        let mut index = Self {
            mesh,
            nodes: BTreeMap::new(),
            owned: BTreeMap::new(),
            loose: BTreeMap::new(),
            slices: BTreeMap::new(),
            served: BTreeMap::new(),
        };
        index.take_slices();
        for node in &mesh.nodes {
            let locality = locality_of_node(&node.meta).without_subzone();
            index.nodes.insert((node.cluster, node.name()), locality);
        }
        for pod in mesh.pods.iter().filter(|p| p.node_name.is_some()) {
            let place = (pod.cluster, pod.namespace.as_str());
            for (kind, name) in owners(pod) {
                index.owned.entry((place, kind, name)).or_default().push(pod);
            }
            if pod.meta.owners.is_empty() {
                index.loose.entry(place).or_default().push(pod);
            }
        }
        index
    }

    fn take_slices(&mut self) {
        for slice in &self.mesh.endpoint_slices {
            if let Some(service) = slice.meta.label("kubernetes.io/service-name") {
                let place = (slice.cluster, slice.namespace.as_str());
                self.slices.entry((place, service.as_str())).or_default().push(slice);
            }
        }
        for ((cluster, namespace), name) in self.slices.keys() {
            let Some(service) = self.mesh.service(*cluster, namespace, name).found() else {
                continue;
            };
            for workload in self.mesh.backends(service) {
                self.served.entry((*cluster, workload.meta.span)).or_insert(service);
            }
        }
    }

    /// Where a workload's replicas are; `None` where the input does not show them.
    pub(super) fn replicas(&self, workload: &'m In<Workload>) -> Option<Vec<Replica>> {
        let place = (workload.cluster, workload.namespace.as_str());
        let owned = self.owned.get(&(place, workload.meta.kind.as_str(), workload.name()));
        let selects = |pod: &&&In<Pod>| {
            workload.selector.as_ref().is_some_and(|s| !s.is_empty() && s.matches(&pod.meta.labels))
        };
        let loose = self.loose.get(&place).into_iter().flatten().filter(selects);
        let pods: Vec<_> = owned.into_iter().flatten().chain(loose).collect();
        if !pods.is_empty() {
            return Some(pods.into_iter().map(|pod| self.replica(pod)).collect());
        }
        self.endpoints(workload)
    }

    /// A pod with a node.
    pub(super) fn replica(&self, pod: &In<Pod>) -> Replica {
        Replica {
            zone: self.zone_of(pod),
            node: value(pod.node_name.as_ref()).unwrap_or_default().into(),
            conditions: pod.conditions(),
        }
    }

    fn zone_of(&self, pod: &In<Pod>) -> Option<Locality> {
        let node = pod.node_name.as_ref()?;
        let label = |key| value(pod.meta.label(key)).unwrap_or_default().to_owned();
        let told = || Locality {
            region: label(REGION_LABEL),
            zone: label(ZONE_LABEL),
            subzone: String::new(),
        };
        let known = self.nodes.get(&(pod.cluster, node.as_str())).cloned();
        known.or_else(|| Some(told()).filter(|told| !told.zone.is_empty()))
    }

    /// The endpoints of a workload, where each one of its service is certainly of one workload.
    fn endpoints(&self, workload: &'m In<Workload>) -> Option<Vec<Replica>> {
        let place = (workload.cluster, workload.namespace.as_str());
        let service = self.served.get(&(workload.cluster, workload.meta.span))?;
        let slices = self.slices.get(&(place, service.name()))?;
        let backends = self.mesh.backends(service);
        let (mut known, mut found) = (BTreeSet::new(), Vec::new());
        for endpoint in slices.iter().flat_map(|slice| &slice.endpoints) {
            let name = endpoint.target_ref.as_ref().map(|target| target.name.as_str());
            // A pod with addresses of both families stands in two slices.
            let address = endpoint.addresses.first().map(|a| a.as_str());
            if !known.insert(name.or(address)) {
                continue;
            }
            let mut of = backends
                .iter()
                .filter(|w| backends.len() == 1 || name.is_some_and(|name| is_pod_of(name, w)));
            let (Some(owner), None) = (of.next(), of.next()) else { return None };
            if std::ptr::eq(*owner, workload) {
                found.push(self.endpoint(workload.cluster, endpoint));
            }
        }
        Some(found)
    }

    fn endpoint(&self, cluster: ClusterId, endpoint: &Endpoint) -> Replica {
        let node = value(endpoint.node_name.as_ref());
        let known = node.and_then(|node| self.nodes.get(&(cluster, node)).cloned());
        let told = || {
            let zone = endpoint.zone.as_ref()?.value.clone();
            Some(Locality { zone, ..Locality::default() })
        };
        Replica {
            zone: known.or_else(told),
            node: node.unwrap_or_default().into(),
            conditions: endpoint.conditions,
        }
    }
}

/// Kinds and names of what may own a pod: that of a `ReplicaSet` is in its name.
fn owners(pod: &In<Pod>) -> impl Iterator<Item = (&str, &str)> {
    pod.meta.owners.iter().flat_map(|owner| {
        let above = Some(owner.name.as_str()).filter(|_| owner.kind == "ReplicaSet");
        let above = above.and_then(|name| Some(name.rsplit_once('-')?.0));
        let above = above.into_iter().flat_map(|name| [("Deployment", name), ("Rollout", name)]);
        std::iter::once((owner.kind.as_str(), owner.name.as_str())).chain(above)
    })
}

/// Whether a pod's name is one that a workload's controller gives.
/// Source: `apimachinery/pkg/util/rand`: random parts have neither vowels nor 0, 1, 3.
fn is_pod_of(pod: &str, workload: &In<Workload>) -> bool {
    let random = |part: &str| {
        !part.is_empty() && part.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c))
    };
    let Some(rest) = pod.strip_prefix(workload.name()).and_then(|rest| rest.strip_prefix('-'))
    else {
        return false;
    };
    match (workload.meta.kind.as_str(), rest.split_once('-')) {
        ("StatefulSet", None) => rest.chars().all(|c| c.is_ascii_digit()),
        ("DaemonSet" | "ReplicaSet", None) => rest.len() == 5 && random(rest),
        ("Deployment" | "Rollout", Some((hash, end))) => {
            end.len() == 5 && random(hash) && random(end)
        }
        _ => false,
    }
}

/// The placement of replicas that are known one by one. Those that are about to go do not count.
pub(super) fn placement(
    seen: Vec<Replica>,
    demand: &Demand,
    zones: &BTreeSet<Locality>,
) -> Placement {
    let stay = || seen.iter().filter(|replica| !replica.goes());
    let count = super::narrow(stay().count() as u64);
    let why = Why::new(Cause::Seen, None);
    let mut placement = Placement::unknown(demand, Bounds { least: count, most: count });
    let none = ZoneBounds { bounds: Bounds::default(), why_least: why, why_most: why };
    placement.zones = zones.iter().map(|zone| (zone.clone(), none)).collect();
    for spot in stay().filter_map(|replica| replica.zone.as_ref()) {
        let key = placement.zone_of(spot).unwrap_or(spot).clone();
        let zone = placement.zones.entry(key).or_insert(none);
        zone.bounds = zone.bounds.plus(Bounds { least: 1, most: 1 });
    }
    let lost = super::narrow(stay().filter(|replica| replica.zone.is_none()).count() as u64);
    for zone in placement.zones.values_mut() {
        zone.bounds.most = zone.bounds.most.saturating_add(lost);
    }
    placement.exact = lost == 0;
    placement.known = lost == 0 || !placement.zones.is_empty();
    placement.seen = seen;
    placement
}

//! Endpoints and clients as istiod knows them: where they are, and what they are called by.

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::mtls::Mtls;
use crate::kinds::core::Service;
use crate::kinds::parts::Conditions;
use crate::kinds::{Meta, Resource};
use crate::mesh::{
    CLUSTER_LABEL, Locality, NETWORK_LABEL, REGION_LABEL, SUBZONE_LABEL, ZONE_LABEL,
};

/// Labels of pods, by name.
pub type Labels = Arc<BTreeMap<String, String>>;

/// A pod among all others: where it runs, and its labels. Empty texts are unknown or not set, as they
/// are for istiod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its cluster's name (`CLUSTER_ID`).
    pub cluster: Arc<str>,
    /// Its network.
    pub network: Arc<str>,
    /// Where it runs.
    pub locality: Locality,
    /// The name of its node.
    pub node: Arc<str>,
    /// Its own labels, without those that Istio adds.
    pub labels: Labels,
    /// What its proxy tells of itself; counts for clients alone.
    pub proxy: Proxy,
}

/// What a client's proxy tells istiod of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxy {
    /// Whether it is a waypoint of ambient: it speaks HBONE, and reaches other networks by gateways or
    /// not at all.
    pub waypoint: bool,
    /// Whether it hands on mTLS as it comes, by the name that is asked for (`AUTO_PASSTHROUGH`), and so
    /// gets no endpoints but those that take mTLS.
    pub passthrough: bool,
    /// The versions of IP that its addresses have.
    pub families: Families,
    /// The networks whose endpoints it wants (`ISTIO_META_REQUESTED_NETWORK_VIEW`); all where empty.
    pub view: Vec<Arc<str>>,
}

impl Proxy {
    /// Whether it wants endpoints of a network; those without one it always gets.
    pub fn wants(&self, network: &str) -> bool {
        self.view.is_empty() || network.is_empty() || self.view.iter().any(|n| **n == *network)
    }
}

/// Versions of IP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Families {
    /// Nobody tells, so any may do.
    #[default]
    Unknown,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Both.
    Both,
}

impl Identity {
    /// A label, with those that Istio adds; empty where it is not there.
    ///
    /// Source: `serviceregistry/util/label`, `AugmentLabels`.
    pub fn label(&self, key: &str) -> &str {
        let own = || self.labels.get(key).map_or("", String::as_str);
        let added = match key {
            REGION_LABEL => &self.locality.region,
            ZONE_LABEL => &self.locality.zone,
            SUBZONE_LABEL => &self.locality.subzone,
            CLUSTER_LABEL => &*self.cluster,
            "kubernetes.io/hostname" => &*self.node,
            NETWORK_LABEL if own().is_empty() => &*self.network,
            _ => "",
        };
        if added.is_empty() { own() } else { added }
    }
}

/// How Kubernetes (or a probe) sees an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Ready.
    #[default]
    Healthy,
    /// Not ready.
    Unhealthy,
    /// About to go, and answering what is left of its sessions: sent as not ready, and only where the
    /// Service keeps sessions.
    Draining,
    /// About to go: never sent to Envoy.
    Terminating,
}

/// The label of a Service that keeps sessions.
const SESSION_LABEL: &str = "istio.io/persistent-session";
/// The label of a pod that is to get no more than what is left of its sessions.
const DRAINING_LABEL: &str = "istio.io/draining";

/// Whether a Service keeps sessions, so that clients know of pods that are about to go.
pub fn keeps_sessions(service: &Meta) -> bool {
    service.label(SESSION_LABEL).is_some_and(|told| !told.is_empty())
}

impl Health {
    /// Of a pod with these labels behind a Service. One that is not ready and of which nobody says
    /// that it stays is about to go.
    ///
    /// Source: `endpointslice.go`, `endpointHealthStatus`; `endpoint_builder.go`,
    /// `filterIstioEndpoint`.
    pub fn of(
        conditions: Conditions,
        labels: &Labels,
        service: Option<&Resource<Service>>,
    ) -> Self {
        // Kubernetes then calls each of its endpoints ready.
        let all = service.is_some_and(|service| service.publish_not_ready_addresses);
        let may = |condition: Option<bool>| condition != Some(false);
        let drains = labels.get(DRAINING_LABEL).is_some_and(|told| !told.is_empty());
        match conditions {
            _ if drains => Self::Draining,
            Conditions { ready, .. } if all || may(ready) => Self::Healthy,
            Conditions { terminating: Some(false), .. } => Self::Unhealthy,
            Conditions { serving, .. }
                if may(serving) && service.is_some_and(|s| keeps_sessions(&s.meta)) =>
            {
                Self::Draining
            }
            _ => Self::Terminating,
        }
    }
}

/// Endpoints that differ in nothing but their address.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// Where they are and what they are called by.
    pub identity: Arc<Identity>,
    /// The locality as istiod writes it. Endpoints are grouped by this text, so `r/z` and `r/z/` are
    /// two groups.
    pub written: Arc<str>,
    /// How many there are.
    pub count: u32,
    /// The weight of each; 0 counts as 1.
    pub weight: u32,
    /// How Kubernetes sees them.
    pub health: Health,
    /// Whether their address is known; if not, only a gateway leads to them.
    pub addressed: bool,
    /// Whether they take Istio's mTLS.
    pub mtls: Mtls,
}

impl Endpoint {
    /// Endpoints of pods, whose locality comes from their node: `region/zone/subzone`, empty parts
    /// kept. Source: `kube/controller/controller.go`, `getPodLocality`.
    pub fn of_pods(identity: Identity, count: u32) -> Self {
        let Locality { region, zone, subzone } = &identity.locality;
        let written: Arc<str> = if identity.locality.is_empty() {
            "".into()
        } else {
            format!("{region}/{zone}/{subzone}").into()
        };
        Self {
            identity: Arc::new(identity),
            written,
            count,
            weight: 1,
            health: Health::Healthy,
            addressed: true,
            mtls: Mtls::Taken,
        }
    }
}

/// An address through which a network is reached from others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetworkGateway {
    /// The address, or what stands for it.
    pub address: Arc<str>,
    /// The port that other networks connect to; `None` where Kubernetes chooses it.
    pub port: Option<u32>,
    /// The network behind it.
    pub network: Arc<str>,
    /// Its cluster; empty where it stands for the whole network (MeshNetworks).
    pub cluster: Arc<str>,
    /// Whether it hands on mTLS as it is, for sidecars and gateways.
    pub mtls: bool,
    /// Whether it takes HBONE, for waypoints.
    pub hbone: bool,
}

impl NetworkGateway {
    /// The port on which a gateway takes mTLS, unless another is told.
    pub const PORT: u32 = 15443;

    /// A gateway that hands on mTLS, on the usual port.
    pub fn new(
        address: impl Into<Arc<str>>,
        network: impl Into<Arc<str>>,
        cluster: impl Into<Arc<str>>,
    ) -> Self {
        let (address, network, cluster) = (address.into(), network.into(), cluster.into());
        Self { address, port: Some(Self::PORT), network, cluster, mtls: true, hbone: false }
    }

    /// Whether it speaks what a client speaks.
    pub fn serves(&self, client: &Proxy) -> bool {
        if client.waypoint { self.hbone } else { self.mtls }
    }

    /// Whether a client has an address of its version of IP. Names may stand for both.
    pub fn is_in_reach_of(&self, client: &Proxy) -> bool {
        match (self.address.parse::<IpAddr>(), client.families) {
            (Ok(address), Families::V4) => address.is_ipv4(),
            (Ok(address), Families::V6) => address.is_ipv6(),
            _ => true,
        }
    }
}

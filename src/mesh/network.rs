//! Networks, and the gateways that lead into them.

use std::collections::BTreeMap;

use super::{In, Mesh, NETWORK_LABEL, PodShape, selects, value};
use crate::clusters::{Cluster, ClusterId, Origin};
use crate::kinds::core::{Namespace, Service, ServicePort};
use crate::kinds::networking::{Gateway, Server};
use crate::kinds::parts::EnvVar;
use crate::kinds::{gateway_api, is_placeholder, may_be};
use crate::source::{Span, Text};
use crate::yaml::IntOrString;

/// The label by which the Service of a gateway names another port than 15443.
pub const GATEWAY_PORT_LABEL: &str = "networking.istio.io/gatewayPort";
/// The variable that tells a proxy which networks it may send to.
pub const NETWORK_VIEW: &str = "ISTIO_META_REQUESTED_NETWORK_VIEW";
/// The port on which gateways between networks take mTLS, unless another is told.
const GATEWAY_PORT: u32 = 15443;
/// The port on which they take HBONE.
const HBONE_PORT: u32 = 15008;
/// The label of what istiod makes for a Gateway of the Gateway API, with the Gateway's name.
pub const GATEWAY_NAME_LABEL: &str = "gateway.networking.k8s.io/gateway-name";

impl Server {
    /// Whether it hands requests of other networks on to the pods they ask for: the server of an
    /// east-west gateway.
    pub fn is_for_other_networks(&self) -> bool {
        let mode = self.tls.as_ref().and_then(|tls| tls.mode.as_ref());
        mode.is_some_and(|mode| mode.as_str() == "AUTO_PASSTHROUGH")
    }

    /// The number of its port; 0 where there is none.
    pub fn port_number(&self) -> u32 {
        let number = self.port.as_ref().and_then(|port| port.number.as_ref());
        number.map_or(0, |number| number.value)
    }
}

impl gateway_api::Gateway {
    /// Whether ambient calls other networks through it: it takes HBONE.
    pub fn takes_hbone(&self) -> bool {
        let hbone = |l: &gateway_api::Listener| value(l.protocol.as_ref()) == Some("HBONE");
        self.listeners.iter().any(hbone)
    }
}

/// Ports of gateways that other clusters call: for istiod, its webhook, and services of other networks.
const BETWEEN_CLUSTERS: [u16; 4] = [15012, 15017, 15443, 15008];

impl Mesh {
    /// Gateways of a cluster that are not just for other clusters.
    pub fn entrances(&self, of: ClusterId) -> impl Iterator<Item = &In<Service>> {
        let here = self.services.of_cluster(of).iter().filter(move |s| self.is_gateway(s));
        here.filter(|s| {
            let mut ports = s.ports.iter().filter_map(|p| p.port.as_ref());
            s.meta.label(NETWORK_LABEL).is_none()
                && !ports.any(|port| BETWEEN_CLUSTERS.contains(&port.value))
                && matches!(s.type_name(), "LoadBalancer" | "NodePort")
        })
    }
}

impl In<gateway_api::Gateway> {
    /// Whether the Deployment and the Service that are made for it have this name. Istio calls them
    /// `NAME-CLASS`, those of waypoints and east-west gateways `NAME`; others have ways of their own.
    /// Source: `pilot/pkg/config/kube/gateway/deploymentcontroller.go`, `getDefaultName`.
    fn is_made_as(&self, name: &str) -> bool {
        if let Some(told) = self.meta.annotation("gateway.istio.io/name-override") {
            return told.as_str() == name;
        }
        let Some(class) = &self.gateway_class_name else { return false };
        name.strip_prefix(self.name()).is_some_and(|rest| match class.as_str() {
            "istio-waypoint" | "istio-east-west" => rest.is_empty(),
            "istio" => rest == "-istio",
            _ => true,
        })
    }

    /// The service account that its pods run as, where it is of a class whose ways are known.
    pub fn account(&self) -> Option<String> {
        let told = ["gateway.istio.io/service-account", "gateway.istio.io/name-override"];
        if let Some(told) = told.iter().find_map(|key| self.meta.annotation(key)) {
            return Some(told.as_str().to_owned());
        }
        match self.gateway_class_name.as_ref()?.as_str() {
            "istio-waypoint" | "istio-east-west" => Some(self.name().to_owned()),
            "istio" => Some(format!("{}-istio", self.name())),
            _ => None,
        }
    }
}

impl Mesh {
    /// Whether a Deployment and a Service of that name are made for a Gateway of the Gateway API.
    pub fn is_made_for_gateway(&self, cluster: ClusterId, namespace: &str, name: &str) -> bool {
        let mut here = self.api_gateways.of_namespace(cluster, namespace);
        here.any(|gateway| gateway.is_made_as(name))
    }
}

impl In<Service> {
    /// The network whose gateway a label makes it; what a pipeline fills in tells none.
    pub fn network(&self) -> Option<&Text> {
        let told = self.meta.label(NETWORK_LABEL);
        told.filter(|told| !told.is_empty() && !is_placeholder(told))
    }

    /// The port at which istiod sends other networks to it, if it is a gateway.
    pub fn gateway_port(&self) -> u32 {
        let told = self.meta.label(GATEWAY_PORT_LABEL);
        told.and_then(|port| port.parse().ok()).unwrap_or(GATEWAY_PORT)
    }

    fn port_called(&self, number: u32) -> Option<&ServicePort> {
        let is_it =
            |p: &&ServicePort| p.port.as_ref().is_some_and(|p| u32::from(p.value) == number);
        self.ports.iter().find(is_it)
    }

    /// Whether it takes mTLS of other networks at the port where istiod sends it.
    pub fn takes_other_networks(&self) -> bool {
        self.port_called(self.gateway_port()).is_some()
    }

    /// Whether it takes HBONE of other networks.
    pub fn takes_hbone(&self) -> bool {
        self.port_called(HBONE_PORT).is_some()
    }

    /// Whether it has no ports that could be read.
    pub fn has_unread_ports(&self) -> bool {
        self.ports.is_empty() || self.meta.unread.iter().any(|path| path.starts_with("spec.ports"))
    }

    /// Whether a server of a Gateway listens where its gateway port leads.
    fn leads_to(&self, server: &Server) -> bool {
        let number = server.port_number();
        let target = self.port_called(self.gateway_port()).and_then(|p| p.target_port.as_ref());
        let to = target.and_then(|target| match &target.value {
            IntOrString::Int(number) => u32::try_from(*number).ok(),
            IntOrString::Str(_) => None,
        });
        number == self.gateway_port() || to == Some(number)
    }
}

/// What the Gateways of a control plane make of a gateway between networks.
#[derive(Debug)]
pub enum Exposure<'m> {
    /// A server hands on what arrives.
    Open(&'m In<Gateway>, &'m Server),
    /// A Gateway for its pods has something else at that port, or hands on at another one.
    Otherwise(&'m In<Gateway>, &'m Server),
    /// There are Gateways that hand requests on, for other pods.
    OtherPods(Vec<&'m In<Gateway>>),
    /// No Gateway hands anything on.
    Absent,
    /// Nobody can tell.
    Unknown,
}

impl Mesh {
    /// What tells that clients of other networks reach a cluster's pods through a gateway: a labelled
    /// Service of the cluster's network, or a Gateway in the cluster. Without one, istiod takes the pods
    /// for directly reachable. Source: `model/network.go`.
    pub fn network_gateway(&self, cluster: &Cluster) -> Option<Span> {
        let network = cluster.network()?;
        let peer = |id: ClusterId| self.same_mesh(id, cluster.id);
        let services = self.services.iter().filter(|s| peer(s.cluster));
        let mut services = services.filter_map(|s| s.meta.label(NETWORK_LABEL));
        let service = services.find(|told| told.as_str() == network.as_str()).map(|told| told.span);
        let mut gateways = self.gateways.of_cluster(cluster.id).iter();
        let gateway = gateways.find(|g| g.servers.iter().any(Server::is_for_other_networks));
        service.or(gateway.map(In::named_at))
    }

    /// Whether pods of two clusters are told to be in different networks.
    pub fn in_different_networks(&self, a: &Cluster, b: &Cluster) -> bool {
        matches!((value(a.network()), value(b.network())), (Some(a), Some(b)) if a != b)
    }

    /// The networks that the clusters of a mesh are told to be in, and these clusters.
    pub fn networks(&self, of: ClusterId) -> BTreeMap<&str, Vec<&Cluster>> {
        let mut found: BTreeMap<&str, Vec<&Cluster>> = BTreeMap::new();
        for cluster in self.peers(of) {
            let told = cluster.network().filter(|network| !is_placeholder(network));
            if let Some(network) = told {
                found.entry(network.as_str()).or_default().push(cluster);
            }
        }
        found
    }

    /// Whether the clusters of a mesh are told to be in several networks.
    pub fn has_several_networks(&self, of: ClusterId) -> bool {
        self.networks(of).len() > 1
    }

    /// The Services that labels make gateways between networks and that have a port for it.
    pub fn gateway_services(&self) -> impl Iterator<Item = &In<Service>> {
        self.gateway_services.iter().map(|&i| &self.services[i])
    }

    /// Where these stand among the Services.
    pub(super) fn find_gateway_services(&self) -> Vec<usize> {
        let open = |s: &In<Service>| s.takes_other_networks() || s.takes_hbone();
        let is = |i: &usize| self.services[*i].network().is_some() && open(&self.services[*i]);
        (0..self.services.len()).filter(is).collect()
    }

    /// Whether clients in other clusters may call a Service: it has pods, is no gateway and no part of the
    /// control plane, and does not stay in its cluster.
    pub fn may_be_called_from_afar(&self, service: &In<Service>) -> bool {
        let system = self.cluster(service.cluster).facts.system_namespace();
        let host = format!("{}.{}.svc.cluster.local", service.name(), service.namespace);
        service.namespace != system
            && !service.is_external_name()
            && !self.is_gateway(service)
            && !self.is_cluster_local(&host, service.cluster)
            && !self.backends(service).is_empty()
    }

    /// Whether a Service with pods is one that a cluster of another network knows too.
    pub fn is_called_across_networks(&self, service: &In<Service>) -> bool {
        let here = self.cluster(service.cluster);
        let host = format!("{}.{}.svc.cluster.local", service.name(), service.namespace);
        let knows = |c: &Cluster| {
            let there = self.service(c.id, &service.namespace, service.name()).found();
            there.is_some() && !self.is_cluster_local(&host, c.id)
        };
        self.may_be_called_from_afar(service)
            && self.peers(here.id).any(|c| self.in_different_networks(here, c) && knows(c))
    }

    /// The pods behind a Service, and the templates of such, that the input shows.
    pub fn shapes_behind<'m>(
        &'m self,
        service: &'m In<Service>,
    ) -> impl Iterator<Item = PodShape<'m>> {
        let selector = service.selector.as_ref().filter(|selector| !selector.is_empty());
        let near = self.pod_shapes_in(service.cluster, &service.namespace);
        near.filter(move |pods| selector.is_some_and(|selector| pods.is_selected_by(selector)))
    }

    /// The namespace of a cluster's control plane that has no label for the cluster's network, and the
    /// network, where that matters: there are several, and MeshNetworks tells it no more than the label.
    pub fn unlabelled_for_network<'m>(
        &'m self,
        cluster: &'m Cluster,
    ) -> Option<(&'m In<Namespace>, &'m Text)> {
        let by_mesh = |origin| matches!(origin, Origin::Namespace | Origin::MeshNetworks);
        let facts = &cluster.facts;
        if !self.has_several_networks(cluster.id) || facts.network.iter().any(|f| by_mesh(f.origin))
        {
            return None;
        }
        let network = cluster.network().filter(|network| !is_placeholder(network))?;
        let namespace = self.namespace(cluster.id, facts.system_namespace()).found()?;
        let meta = &namespace.meta;
        let is_sure = !self.is_assumed(meta) && !meta.is_unread("metadata.labels");
        let lacks = namespace.meta.label(NETWORK_LABEL).is_none();
        (is_sure && lacks).then_some((namespace, network))
    }

    /// Whether a Gateway is for the pods behind a Service; `None` where nobody can tell.
    pub fn is_gateway_for(&self, gateway: &Gateway, service: &In<Service>) -> Option<bool> {
        if gateway.selector.iter().any(|(_, want)| is_placeholder(want)) {
            return None;
        }
        let mut shapes = self.shapes_behind(service).peekable();
        if shapes.peek().is_some() {
            return Some(shapes.any(|pods| selects(&gateway.selector, pods.labels)));
        }
        // The pods have at least the labels that their Service asks for.
        let told = service.selector.as_ref().filter(|selector| !selector.is_empty())?;
        let asked = || gateway.selector.iter().map(|(key, want)| (told.get(key), want));
        if asked().any(|(has, want)| has.is_some_and(|has| !may_be(has, want))) {
            return Some(false);
        }
        asked().all(|(has, want)| has == Some(want)).then_some(true)
    }

    /// Whether something outside the input may bring objects of a kind to some namespace of a cluster.
    /// What installs a control plane brings none of those that rules ask for.
    pub fn may_bring(&self, cluster: ClusterId, kind: &str) -> bool {
        let brings = |s: &crate::clusters::Supply| !s.is_machinery() && s.brings(kind);
        !self.cluster(cluster).is_complete() && self.supplies(cluster).iter().any(brings)
    }

    /// Whether a Gateway is for none of the pods that a control plane serves, as far as the input shows.
    fn selects_nothing(&self, gateway: &Gateway, plane: ClusterId) -> bool {
        let served = |id: ClusterId| self.config_cluster(id).found().is_none_or(|of| of == plane);
        let mut services = self.gateway_services().filter(|s| served(s.cluster));
        let mut pods = self.pod_shapes().filter(|pods| served(pods.cluster));
        services.all(|s| self.is_gateway_for(gateway, s) == Some(false))
            && !pods.any(|pods| pods.is_selected_by(&gateway.selector))
    }

    /// What the Gateways that count for a gateway between networks make of it.
    pub fn exposure<'m>(&'m self, service: &'m In<Service>) -> Exposure<'m> {
        let by_istiod = service.meta.label(GATEWAY_NAME_LABEL).is_some();
        let plane = self.config_cluster(service.cluster).found();
        let Some(plane) = plane.filter(|_| !by_istiod && !self.is_assumed(&service.meta)) else {
            return Exposure::Unknown;
        };
        let here = || self.gateways.of_cluster(plane).iter();
        let (mut otherwise, mut others, mut sure) = (None, Vec::new(), true);
        for gateway in here() {
            let is_for_it = self.is_gateway_for(gateway, service);
            sure &= is_for_it.is_some() && !self.is_assumed(&gateway.meta);
            for server in &gateway.servers {
                let hands_on = server.is_for_other_networks();
                match is_for_it {
                    Some(true) if hands_on && service.leads_to(server) => {
                        return Exposure::Open(gateway, server);
                    }
                    Some(true) if hands_on || service.leads_to(server) => {
                        let mode = server.tls.as_ref().and_then(|tls| tls.mode.as_ref());
                        sure &= !mode.is_some_and(|mode| is_placeholder(mode));
                        otherwise = otherwise.or(Some((gateway, server)));
                    }
                    Some(false) if hands_on => others.push(gateway),
                    _ => {}
                }
            }
        }
        if !sure || self.may_bring(plane, "Gateway") {
            return Exposure::Unknown;
        }
        if let Some((gateway, server)) = otherwise {
            return Exposure::Otherwise(gateway, server);
        }
        others.retain(|gateway| self.selects_nothing(gateway, plane));
        if !others.is_empty() {
            return Exposure::OtherPods(others);
        }
        // People apply the Gateway of Istio's samples by hand, or by what is not in the input.
        let is_told = self.cluster(plane).is_complete() || here().next().is_some();
        if is_told { Exposure::Absent } else { Exposure::Unknown }
    }
}

impl<'m> PodShape<'m> {
    /// A variable of the proxy's environment, where the proxy is written down.
    pub fn proxy_env(&self, name: &str) -> Option<&'m EnvVar> {
        let proxies = self.spec.containers.iter().filter(|c| c.name == "istio-proxy");
        proxies.flat_map(|c| &c.env).find(move |variable| variable.name == name)
    }
}

//! The gateways between networks.

use std::collections::BTreeSet;

use super::endpoint::NetworkGateway;
use crate::clusters::ClusterId;
use crate::kinds::core::{Service, ServicePort};
use crate::kinds::is_placeholder;
use crate::mesh::{In, Mesh, NETWORK_LABEL};
use crate::source::Text;

/// The label that names the port of a gateway.
const PORT_LABEL: &str = "networking.istio.io/gatewayPort";
/// The annotation that makes nodes the addresses of a Service of type NodePort.
const NODES_ANNOTATION: &str = "traffic.istio.io/nodeSelector";

/// A gateway to a network.
#[derive(Clone, Debug)]
pub struct Gateway<'m> {
    /// What istiod knows of it.
    pub known: NetworkGateway,
    /// Its Service; none where it is taken for granted, or only its address is told.
    pub service: Option<&'m In<Service>>,
}

/// The gateways between the networks of a mesh. A load balancer counts as one address: how many it
/// really has is not written in manifests. A network that a cluster is in and that no gateway is known
/// for gets one that is taken for granted.
///
/// Source: `kube/controller/network.go`, `pilot/pkg/model/network.go`.
pub fn gateways(mesh: &Mesh, of: ClusterId) -> Vec<Gateway<'_>> {
    let services = mesh.services.iter().filter(|s| mesh.same_mesh(s.cluster, of));
    let labelled = services.filter_map(|s| {
        let network = s.meta.label(NETWORK_LABEL).filter(|network| !network.is_empty())?;
        let port = s.meta.label(PORT_LABEL).and_then(|port| port.parse().ok());
        Some(of_service(mesh, s, network, port.unwrap_or(NetworkGateway::PORT)))
    });
    let mut found: Vec<Gateway<'_>> = labelled.flatten().collect();
    for gateway in of_mesh_networks(mesh, of) {
        if found.iter().all(|g| g.known != gateway.known) {
            found.push(gateway);
        }
    }
    let networks = || mesh.peers(of).filter_map(|c| Some((c, c.network()?)));
    let several: BTreeSet<&str> = networks().map(|(_, network)| network.as_str()).collect();
    for (cluster, network) in networks().filter(|_| several.len() > 1) {
        if found.iter().all(|g| *g.known.network != *network.as_str()) {
            let address = format!("{network} of {}", cluster.name);
            let known = NetworkGateway::new(address, network.as_str(), "");
            found.push(Gateway { known, service: None });
        }
    }
    found
}

/// The gateways of MeshNetworks: addresses, which stand for a whole network, and names of Services.
fn of_mesh_networks(mesh: &Mesh, of: ClusterId) -> Vec<Gateway<'_>> {
    let mut found = Vec::new();
    let networks = mesh.peers(of).flat_map(|cluster| &cluster.facts.mesh_networks);
    for (network, told) in networks {
        let registries = told.endpoints.iter().filter_map(|e| e.from_registry.as_ref());
        let registries: Vec<&Text> = registries.collect();
        for gateway in &told.gateways {
            let port = gateway.port.as_ref().map_or(NetworkGateway::PORT, |port| port.value);
            if let Some(address) = gateway.address.as_ref().filter(|a| !a.is_empty()) {
                let known = NetworkGateway::new(address.as_str(), network.as_str(), "");
                let known = NetworkGateway { port: Some(port), ..known };
                found.push(Gateway { known, service: None });
                continue;
            }
            let Some(name) = &gateway.registry_service_name else { continue };
            let Some(host) = mesh.host(name) else { continue };
            let here = host.services_of_mesh(of).filter(|service| {
                registries.iter().any(|name| mesh.cluster(service.cluster).is_called(name))
            });
            found.extend(here.flat_map(|s| of_service(mesh, s, network, port)));
        }
    }
    found
}

/// What a Service makes gateways: one for each address by which it is reached from outside its cluster.
fn of_service<'m>(
    mesh: &Mesh,
    service: &'m In<Service>,
    network: &str,
    port: u32,
) -> Vec<Gateway<'m>> {
    let is_it = |p: &&ServicePort| p.port.as_ref().is_some_and(|p| u32::from(p.value) == port);
    let Some(served) = service.ports.iter().find(is_it) else { return Vec::new() };
    let by_nodes = service.type_name() == "NodePort";
    let cluster = mesh.cluster(service.cluster);
    let name = cluster.istio_name().map_or(cluster.name.as_str(), |name| name.as_str());
    let stand_in = format!("{}.{} of {name}", service.name(), service.namespace);
    let has_address = match service.type_name() {
        "NodePort" => service.meta.annotation(NODES_ANNOTATION).is_some(),
        "LoadBalancer" => true,
        other => is_placeholder(other),
    };
    let told = service.external_ips.iter().map(|ip| ip.value.clone());
    let addresses = has_address.then_some(stand_in).into_iter().chain(told);
    let at_node = || served.node_port.as_ref().map(|port| u32::from(port.value));
    let port = if by_nodes && has_address { at_node() } else { Some(port) };
    let gateway = |address| {
        let known = NetworkGateway { port, ..NetworkGateway::new(address, network, name) };
        Gateway { known, service: Some(service) }
    };
    addresses.map(gateway).collect()
}

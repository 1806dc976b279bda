//! Networks: the gateways between them, and whether endpoints take the mTLS that they need.

use super::endpoint::NetworkGateway;
use crate::clusters::ClusterId;
use crate::kinds::core::Service;
use crate::kinds::security::PeerAuthentication;
use crate::mesh::{In, Mesh, NETWORK_LABEL};

/// The port on which a gateway takes mTLS from other networks.
const GATEWAY_PORT: u16 = 15443;
/// The label that names another port.
const PORT_LABEL: &str = "networking.istio.io/gatewayPort";

/// A gateway to a network.
#[derive(Clone, Debug)]
pub struct Gateway<'m> {
    /// What istiod knows of it.
    pub known: NetworkGateway,
    /// Its Service; none where it is taken for granted.
    pub service: Option<&'m In<Service>>,
}

/// The gateways between the networks of a mesh, one address each: how many a load balancer really has
/// is not written in manifests. A network that a cluster is in and that no gateway is known for gets
/// one that is taken for granted.
///
/// Source: `kube/controller/network.go`, `getGatewayDetails`.
pub fn gateways(mesh: &Mesh, of: ClusterId) -> Vec<Gateway<'_>> {
    let services = mesh.services.iter().filter(|s| mesh.same_mesh(s.cluster, of));
    let mut found: Vec<Gateway<'_>> = services.filter_map(|s| gateway(mesh, s)).collect();
    let networks = || mesh.peers(of).filter_map(|c| Some((c, c.network()?)));
    let mut several = networks().map(|(_, network)| network.as_str()).collect::<Vec<_>>();
    several.sort_unstable();
    several.dedup();
    if several.len() > 1 {
        for (cluster, network) in networks() {
            if found.iter().all(|g| *g.known.network != *network.as_str()) {
                let address = format!("{network} of {}", cluster.name).into();
                let (network, cluster) = (network.as_str().into(), "".into());
                let known = NetworkGateway { address, network, cluster };
                found.push(Gateway { known, service: None });
            }
        }
    }
    found
}

fn gateway<'m>(mesh: &Mesh, service: &'m In<Service>) -> Option<Gateway<'m>> {
    let network = service.meta.label(NETWORK_LABEL).filter(|network| !network.is_empty())?;
    let port = service.meta.label(PORT_LABEL).and_then(|port| port.parse().ok());
    let port = port.unwrap_or(GATEWAY_PORT);
    let listens = service.ports.iter().any(|p| p.port.as_ref().is_some_and(|p| p.value == port));
    let cluster = mesh.cluster(service.cluster);
    let name = cluster.istio_name().map_or(cluster.name.as_str(), |name| name.as_str());
    listens.then(|| Gateway {
        known: NetworkGateway {
            address: format!("{}.{} of {name}", service.name(), service.namespace).into(),
            network: network.as_str().into(),
            cluster: name.into(),
        },
        service: Some(service),
    })
}

/// Whether pods take mTLS on a port of theirs, by the PeerAuthentications of a control plane: those
/// for the workload go before the namespace's, and these before the mesh's.
///
/// Source: `pilot/pkg/xds/endpoints/mtls_checker.go`, `pilot/pkg/model/authentication.go`.
pub fn takes_mtls<'l>(
    mesh: &Mesh,
    control_plane: ClusterId,
    namespace: &str,
    label: impl Fn(&str) -> Option<&'l str>,
    port: Option<u16>,
) -> bool {
    let root = mesh.root_namespace(control_plane);
    let all = || mesh.peer_authentications.iter().filter(|p| p.cluster == control_plane);
    let selects = |policy: &PeerAuthentication| {
        let selector = policy.selector.as_ref().filter(|s| !s.is_empty())?;
        let same = |(key, want): &(crate::source::Text, crate::source::Text)| {
            label(key.as_str()) == Some(want.as_str())
        };
        Some(selector.match_labels.iter().all(same))
    };
    let own = all().filter(|p| p.namespace == namespace && selects(p) == Some(true));
    let whole = |ns: &'_ str| {
        let ns = ns.to_owned();
        all().filter(move |p| p.namespace == ns && selects(p).is_none())
    };
    let levels = own.chain(whole(namespace)).chain(whole(root));
    for policy in levels {
        let of_port = port.and_then(|port| policy.port_level_mtls.get(&port.to_string()));
        let told = of_port.or(policy.mtls.as_ref()).and_then(|mtls| mtls.mode.as_ref());
        match told.map(|mode| mode.as_str()) {
            Some("DISABLE") => return false,
            Some("STRICT" | "PERMISSIVE") => return true,
            _ => {}
        }
    }
    true
}

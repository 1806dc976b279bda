//! Networks, and the gateways that lead into them.

use super::{Mesh, NETWORK_LABEL, value};
use crate::clusters::{Cluster, ClusterId};
use crate::kinds::networking::Server;
use crate::source::Span;

impl Server {
    /// Whether it hands requests of other networks on to the pods they ask for: the server of an
    /// east-west gateway.
    pub fn is_for_other_networks(&self) -> bool {
        let mode = self.tls.as_ref().and_then(|tls| tls.mode.as_ref());
        mode.is_some_and(|mode| mode.as_str() == "AUTO_PASSTHROUGH")
    }
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
        let mut gateways = self.gateways.iter().filter(|g| g.cluster == cluster.id);
        let gateway = gateways.find(|g| g.servers.iter().any(Server::is_for_other_networks));
        service.or(gateway.map(super::In::named_at))
    }

    /// Whether pods of two clusters are told to be in different networks.
    pub fn in_different_networks(&self, a: &Cluster, b: &Cluster) -> bool {
        matches!((value(a.network()), value(b.network())), (Some(a), Some(b)) if a != b)
    }
}

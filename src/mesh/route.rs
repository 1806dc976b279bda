//! Where VirtualServices send requests, and whose.

use std::collections::BTreeMap;

use super::{CLUSTER_LABEL, Client, In, Mesh, Subset, fqdn, policy::exported};
use crate::clusters::ClusterId;
use crate::kinds::networking::{Destination, HttpRoute, VirtualService};
use crate::source::{Spanned, Text};

/// One destination of a VirtualService.
#[derive(Clone)]
pub struct Route<'m> {
    /// The VirtualService.
    pub service: &'m In<VirtualService>,
    /// The HTTP rule it belongs to; none for TCP and TLS.
    pub rule: Option<&'m HttpRoute>,
    /// The destination.
    pub destination: &'m Spanned<Destination>,
    /// The full name of its host.
    pub host: String,
}

impl<'m> Route<'m> {
    /// The subset it names.
    pub fn subset(&self) -> Option<&'m Text> {
        self.destination.subset.as_ref()
    }

    /// Where its host stands.
    pub fn host_at(&self) -> crate::source::Span {
        self.destination.host.as_ref().map_or(self.destination.span, |h| h.span)
    }
}

impl In<VirtualService> {
    /// Whether sidecars use it, and not only gateways. A delegate goes with its root.
    pub fn is_for_mesh(&self) -> bool {
        self.gateways.is_empty() || self.gateways.iter().any(|g| g.as_str() == "mesh")
    }
}

impl HttpRoute {
    /// The clusters whose clients it is for, by `sourceLabels`; none where it is for all.
    /// `sourceLabels` do not count beside `gateways`. Source: `route.go`, `sourceMatchHTTP`.
    pub fn guards(&self) -> Option<Vec<&Text>> {
        if self.matches.is_empty() {
            return None;
        }
        let guard = |m: &'_ Spanned<crate::kinds::networking::HttpMatch>| m.gateways.is_empty();
        self.matches
            .iter()
            .map(|m| m.source_labels.get(CLUSTER_LABEL).filter(|_| guard(m)))
            .collect()
    }

    /// Whether it is for clients of a cluster, as far as `sourceLabels` of the cluster go.
    pub fn is_for(&self, cluster: &crate::clusters::Cluster) -> bool {
        self.guards().is_none_or(|guards| guards.iter().any(|g| cluster.is_called(g)))
    }

    /// Whether every request of a client it is for takes it.
    pub fn is_catch_all(&self) -> bool {
        self.matches.is_empty()
            || self.matches.iter().any(|m| m.is_any_request() && m.port.is_none())
    }
}

impl Mesh {
    /// All destinations of all VirtualServices, in the order of the input.
    pub fn routes(&self) -> Vec<Route<'_>> {
        self.virtual_services.iter().flat_map(routes_of).collect()
    }

    /// Routes by the host they lead to.
    pub fn routes_by_host(&self) -> BTreeMap<String, Vec<Route<'_>>> {
        let mut found: BTreeMap<_, Vec<Route<'_>>> = BTreeMap::new();
        for route in self.routes() {
            found.entry(route.host.clone()).or_default().push(route);
        }
        found
    }

    /// The subsets that a route can mean: those of its name that its control plane knows for its host.
    pub fn subsets_of_route<'m>(&'m self, route: &Route<'m>) -> Vec<Subset<'m>> {
        let Some(name) = route.subset() else { return Vec::new() };
        let all = self.subsets_of(&route.host, route.service.cluster);
        all.into_iter().filter(|s| s.name == name).collect()
    }

    /// Whether any DestinationRule that can apply to a client for a route's host would be in the input:
    /// others of the VirtualService's namespace and of the host's are, and nothing may bring more to
    /// these, to the client's or to the root namespace.
    pub fn would_show_rules(
        &self,
        client: Client<'_>,
        host_namespace: Option<&str>,
        route: &Route<'_>,
    ) -> bool {
        let plane = route.service.cluster;
        let kind = "DestinationRule";
        let seen = |namespace: &str| self.has_seen(plane, kind, namespace);
        let open = |namespace: &str| self.may_have_more(plane, kind, namespace);
        seen(&route.service.namespace)
            && host_namespace.is_some_and(seen)
            && !open(client.namespace)
            && !open(self.root_namespace(plane))
    }

    /// The clusters whose sidecars read the Istio objects of a control plane, and that have workloads.
    pub fn client_clusters(&self, control_plane: ClusterId) -> Vec<&crate::clusters::Cluster> {
        let readers = self.readers.get(&control_plane).into_iter().flatten();
        readers.map(|id| self.cluster(*id)).collect()
    }

    /// The client groups that see a VirtualService: its own namespace at least.
    pub fn clients_of<'m>(&'m self, service: &'m In<VirtualService>) -> Vec<Client<'m>> {
        let own = Client {
            cluster: service.cluster,
            namespace: &service.namespace,
            labels: None,
            locality: None,
        };
        let mut found = vec![own];
        if service.is_for_mesh() {
            let sees =
                |c: &Client<'_>| exported(&service.export_to, &service.namespace, c.namespace);
            let others = self.clients(service.cluster).filter(sees);
            found.extend(
                others.filter(|c| (c.cluster, c.namespace) != (own.cluster, own.namespace)),
            );
        }
        found
    }
}

fn routes_of(service: &In<VirtualService>) -> impl Iterator<Item = Route<'_>> {
    let http = service.http.iter();
    let http = http.flat_map(|rule| rule.route.iter().map(move |r| (Some(rule), r)));
    let l4 = service.tls.iter().chain(&service.tcp);
    let l4 = l4.flat_map(|rule| rule.route.iter().map(|r| (None, r)));
    http.chain(l4).filter_map(move |(rule, route)| {
        let destination = route.destination.as_ref()?;
        let host = fqdn(destination.host.as_ref()?, &service.namespace);
        Some(Route { service, rule, destination, host })
    })
}

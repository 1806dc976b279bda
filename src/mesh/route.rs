//! Where VirtualServices send requests, and whose.

use std::collections::{BTreeMap, BTreeSet};

use super::{CLUSTER_LABEL, Client, In, Mesh, Order, Subset, fqdn, policy::exported};
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
    /// What requests are sent here.
    pub share: Share,
}

/// What requests a destination gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// All of its rule, or a part by weight.
    Some,
    /// None yet: its weight is 0.
    None,
    /// Copies, whose answers nobody waits for.
    Copies,
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

    /// Whether gateways use it, and not only sidecars.
    pub fn is_for_gateways(&self) -> bool {
        self.gateways.iter().any(|g| g.as_str() != "mesh")
    }

    /// Whether it is exported to a client's namespace.
    fn is_seen_by(&self, client: &Client<'_>) -> bool {
        exported(&self.export_to, &self.namespace, client.namespace)
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
    /// All destinations of all VirtualServices, in the order of the input; mirrors are apart.
    pub fn routes(&self) -> Vec<Route<'_>> {
        self.virtual_services.iter().flat_map(routes_of).collect()
    }

    /// All destinations of routes of the Gateway API that are attached to Services.
    pub fn attached_routes(&self) -> impl Iterator<Item = Route<'_>> {
        self.attached(Order::Names).iter().flat_map(routes_of)
    }

    /// Where copies of requests go.
    pub fn mirrors(&self) -> impl Iterator<Item = Route<'_>> {
        self.virtual_services.iter().flat_map(|service| {
            service.http.iter().flat_map(move |rule| {
                let mirrors = rule.mirrors.iter().filter_map(|m| m.destination.as_ref());
                rule.mirror.iter().chain(mirrors).filter_map(move |destination| {
                    let host = fqdn(destination.host.as_ref()?, &service.namespace);
                    Some(Route {
                        service,
                        rule: Some(rule),
                        destination,
                        host,
                        share: Share::Copies,
                    })
                })
            })
        })
    }

    /// Routes by the host they lead to.
    pub fn routes_by_host(&self) -> BTreeMap<String, Vec<Route<'_>>> {
        let mut found: BTreeMap<_, Vec<Route<'_>>> = BTreeMap::new();
        for route in self.routes() {
            found.entry(route.host.clone()).or_default().push(route);
        }
        found
    }

    /// The subsets that a route can mean: those of its name in the rules that apply to its clients.
    pub fn subsets_of_route<'m>(&'m self, route: &Route<'m>) -> Vec<Subset<'m>> {
        let Some(name) = route.subset() else { return Vec::new() };
        let control_plane = route.service.cluster;
        let mut left: Vec<Subset<'m>> = Vec::new();
        for rule in self.merged_rules(&route.host, control_plane) {
            left.extend(rule.subset(name));
        }
        left.sort_by_key(|subset| subset.name.span);
        left.dedup_by_key(|subset| subset.name.span);
        if left.is_empty() {
            return left;
        }
        let namespace = self.namespace_of_host(&route.host);
        let mut found = Vec::new();
        for client in self.clients_of(route.service) {
            let choice = self.choose_rule(&client, &route.host, namespace, control_plane);
            let subsets = choice.possible().filter_map(|rule| rule.subset(name));
            let spans: Vec<_> = subsets.map(|subset| subset.name.span).collect();
            found.extend(left.extract_if(.., |subset| spans.contains(&subset.name.span)));
            if left.is_empty() {
                break;
            }
        }
        found.sort_by_key(|subset| subset.name.span);
        found
    }

    /// The namespace a host belongs to: that of its Services, else of its ServiceEntries, else the
    /// one its name tells.
    pub fn namespace_of_host<'m>(&'m self, host: &'m str) -> Option<&'m str> {
        let known = self.host(host);
        let entry = |host: super::Host<'m>| host.entries().next().map(|e| e.namespace.as_str());
        let told = known.and_then(super::Host::namespace).or_else(|| known.and_then(entry));
        told.or_else(|| host.split_once(".svc.")?.0.split_once('.').map(|(_, namespace)| namespace))
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

    /// The client groups that see a VirtualService: its own namespace first, which is there at least.
    pub fn clients_of<'m>(
        &'m self,
        service: &'m In<VirtualService>,
    ) -> impl Iterator<Item = Client<'m>> {
        let own = Client::of(service.cluster, &service.namespace);
        let others = service.is_for_mesh().then(|| self.clients(service.cluster));
        let others = others.into_iter().flatten().filter(|client| service.is_seen_by(client));
        let others =
            others.filter(move |c| (c.cluster, c.namespace) != (own.cluster, own.namespace));
        [own].into_iter().chain(others)
    }

    /// Of these groups, those of the namespaces that are told apart, and for each cluster one that
    /// stands for all others.
    pub fn clients_apart<'m>(
        &'m self,
        service: &'m In<VirtualService>,
        apart: &BTreeSet<&str>,
    ) -> Vec<Client<'m>> {
        let own = Client::of(service.cluster, &service.namespace);
        let mut found = vec![own];
        let readers = self.readers.get(&service.cluster).into_iter().flatten();
        for &cluster in readers.filter(|_| service.is_for_mesh()) {
            let named = apart.iter().filter_map(|namespace| self.client_in(cluster, namespace));
            let mut others = self.clients_in(cluster).filter(|c| !apart.contains(c.namespace));
            let other = others.find(|client| service.is_seen_by(client));
            let seen = named.filter(|client| service.is_seen_by(client)).chain(other);
            found.extend(seen.filter(|c| (c.cluster, c.namespace) != (own.cluster, own.namespace)));
        }
        found
    }

    /// The groups for which one of these stands.
    pub fn clients_like<'m>(
        &'m self,
        client: &Client<'m>,
        service: &'m In<VirtualService>,
        apart: &BTreeSet<&str>,
    ) -> Vec<Client<'m>> {
        if apart.contains(client.namespace) {
            return vec![*client];
        }
        let all = self.clients_in(client.cluster).filter(|c| !apart.contains(c.namespace));
        all.filter(|client| service.is_seen_by(client)).collect()
    }
}

fn routes_of(service: &In<VirtualService>) -> impl Iterator<Item = Route<'_>> {
    let http = service.http.iter();
    let http = http.flat_map(|rule| rule.route.iter().map(move |r| (Some(rule), &rule.route, r)));
    let l4 = service.tls.iter().chain(&service.tcp);
    let l4 = l4.flat_map(|rule| rule.route.iter().map(|r| (None, &rule.route, r)));
    http.chain(l4).filter_map(move |(rule, all, route)| {
        let destination = route.destination.as_ref()?;
        let host = fqdn(destination.host.as_ref()?, &service.namespace);
        // A weight of 0 counts beside others alone.
        let idle = all.len() > 1 && route.weight.as_ref().is_some_and(|w| w.value == 0);
        let share = if idle { Share::None } else { Share::Some };
        Some(Route { service, rule, destination, host, share })
    })
}

//! Who sends requests: the zones that clients can be in, and the namespaces that see a host alike.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::Traffic;
use super::delivery::Delivery;
use super::flow::Flow;
use super::journey::{Case, Way};
use super::route::Request;
use super::supply::Pool;
use crate::clusters::ClusterId;
use crate::kinds::core::Service;
use crate::mesh::{Client, Host, In, Locality};
use crate::source::Span;

/// How clients that cannot differ call a host, and where their requests arrive.
#[derive(Debug)]
pub struct Visit<'m> {
    /// The host.
    pub host: Host<'m>,
    /// The ports on which it is the same.
    pub ports: Vec<u32>,
    /// The clients; their namespace stands for all that are alike.
    pub client: Client<'m>,
    /// The way that is taken where no condition holds.
    pub way: Way<'m>,
    /// Where it leads from each locality of the clients.
    pub departures: Vec<Departure>,
}

/// Where requests from one locality arrive.
#[derive(Clone, Debug)]
pub struct Departure {
    /// The locality of the clients.
    pub at: Locality,
    /// The shares if there are as many endpoints as can be in that zone, and as few as can be elsewhere:
    /// no more of them can stay.
    pub nearest: Flow,
}

impl<'m> Visit<'m> {
    /// The Service that is called, where one is.
    pub fn service(&self) -> Option<&'m In<Service>> {
        self.way.destinations().find_map(|(destination, _)| destination.service)
    }

    /// Whether there is certainly an endpoint where a condition holds.
    pub fn has_endpoint(&self, at: impl Fn(&Pool<'_>) -> bool) -> bool {
        self.way.destinations().any(|(destination, _)| destination.has_endpoint(&at))
    }
}

impl<'m> Traffic<'m> {
    /// The localities of a cluster in which some pod of it may run; empty where no zone is known.
    pub fn client_localities(&self, cluster: ClusterId) -> &[Locality] {
        let known = self.localities.get(cluster.index());
        known.map_or(&[], |known| known.get_or_init(|| self.find_localities(cluster)))
    }

    fn find_localities(&self, cluster: ClusterId) -> Vec<Locality> {
        let mesh = self.mesh();
        let here = mesh.workloads.of_cluster(cluster).iter();
        let mut zones: BTreeSet<Locality> = mesh.zones(cluster).into_iter().collect();
        let mut found = BTreeSet::new();
        // Without workloads in the input anything may run anywhere.
        let mut empty = true;
        for workload in here {
            empty = false;
            if zones.is_empty() {
                break;
            }
            let placement = self.placements().of(workload);
            let (no, yes) = zones.into_iter().partition(|zone| placement.certainly_none_in(zone));
            zones = no;
            let yes: BTreeSet<Locality> = yes;
            found.extend(yes);
        }
        if empty {
            found.extend(zones);
        }
        found.into_iter().map(|zone| mesh.with_subzone(cluster, &zone)).collect()
    }

    /// Clients of a cluster that can differ in what they get for a host: one for each namespace that
    /// has rules of its own for it, and of all others one for each of the ways in which they differ for
    /// every host: whether ztunnel calls for them, and whether a Sidecar hides what it does not import.
    pub fn clients_of(&self, host: Host<'m>, cluster: ClusterId) -> Vec<Client<'m>> {
        let mesh = self.mesh();
        let Some(plane) = mesh.config_cluster(cluster).found() else { return Vec::new() };
        let mut apart = self.router().index().namespaces_with_other_routes(plane, host.name);
        apart.extend(mesh.namespaces_with_other_rules(host.name, plane));
        apart.extend(host.namespace());
        let own = apart.iter().filter_map(|namespace| mesh.client_in(cluster, namespace));
        let others = self.kinds_of_clients(cluster).iter().filter_map(|kind| {
            kind.iter().find(|client| !apart.contains(client.namespace)).copied()
        });
        own.chain(others).collect()
    }

    /// The clients of a cluster, grouped by what makes them differ for every host.
    fn kinds_of_clients(&self, cluster: ClusterId) -> &[Vec<Client<'m>>] {
        let known = self.kinds_of_clients.get(cluster.index());
        known.map_or(&[], |known| known.get_or_init(|| self.find_kinds_of_clients(cluster)))
    }

    fn find_kinds_of_clients(&self, cluster: ClusterId) -> Vec<Vec<Client<'m>>> {
        let mesh = self.mesh();
        let Some(plane) = mesh.config_cluster(cluster).found() else { return Vec::new() };
        let mut kinds: BTreeMap<(bool, bool), Vec<Client<'m>>> = BTreeMap::new();
        for client in mesh.clients_in(cluster) {
            let has_sidecars = self.router().index().has_sidecars(plane, client.namespace);
            let kind = (mesh.ambient_client(&client).is_some(), has_sidecars);
            kinds.entry(kind).or_default().push(client);
        }
        kinds.into_values().collect()
    }

    /// Every way on which clients of the mesh call a host, computed once. Hosts whose endpoints are not
    /// all known, and ways that depend on what is not in the input, are left out.
    pub fn visits(&self) -> &[Visit<'m>] {
        self.visits.get_or_init(|| {
            let hosts: Vec<Host<'m>> = self.mesh().hosts().collect();
            hosts.into_par_iter().flat_map_iter(|host| self.visits_to(host)).collect()
        })
    }

    fn visits_to(&self, host: Host<'m>) -> Vec<Visit<'m>> {
        let mut visits: Vec<Visit<'m>> = Vec::new();
        let mut told = BTreeSet::new();
        for cluster in self.mesh().clusters() {
            let localities = self.client_localities(cluster.id);
            let known = self.supply(host, cluster.id).is_known();
            for client in self.clients_of(host, cluster.id) {
                for port in host.ports().into_iter().filter(|_| known && !localities.is_empty()) {
                    let journey = self.journey(client, host.name, port, &Request::default());
                    let Some(way) = journey.ways.into_iter().next_back() else { continue };
                    if !way.is_known(self) || !told.insert((cluster.id, port, decided_by(&way))) {
                        continue;
                    }
                    let of_cluster = |v: &&mut Visit<'_>| v.client.cluster == cluster.id;
                    let mut others = visits.iter_mut().filter(of_cluster);
                    if let Some(same) = others.find(|v| decided_by(&v.way) == decided_by(&way)) {
                        same.ports.push(port);
                        continue;
                    }
                    let departures = localities.iter().map(|at| self.departure(client, at, &way));
                    let departures = departures.collect();
                    visits.push(Visit { host, ports: vec![port], client, way, departures });
                }
            }
        }
        visits
    }

    fn departure(&self, client: Client<'m>, at: &Locality, way: &Way<'m>) -> Departure {
        let near = |pool: &Pool<'_>| same_zone(&pool.zone, at);
        let nearest = self.flow(&client, at, way, Case::now(&near));
        Departure { at: at.clone(), nearest }
    }
}

/// Whether two localities are in the same zone.
pub fn same_zone(a: &Locality, b: &Locality) -> bool {
    a.zone == b.zone && a.region == b.region
}

/// The texts that decide a way: where these are the same, so are the shares.
fn decided_by(way: &Way<'_>) -> Vec<(Option<Span>, Option<Span>, Option<Span>, bool)> {
    let rule = way.choice.rule.as_ref().map(|rule| rule.span);
    let destinations = way.destinations().map(|(destination, _)| {
        let part = destination.applied().and_then(|rule| rule.parts.first());
        let policy = destination.policy.outlier_detection.get().map(|od| od.span);
        let balanced = destination.delivery == Delivery::Balanced;
        (rule, part.map(|part| part.meta.span), policy.or(destination.decided_at()), balanced)
    });
    let all: Vec<_> = destinations.collect();
    if all.is_empty() { vec![(rule, None, None, false)] } else { all }
}

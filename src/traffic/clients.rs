//! Who sends requests: the zones that clients can be in, and the namespaces that see a host alike.

use std::collections::BTreeSet;

use super::Traffic;
use crate::clusters::ClusterId;
use crate::mesh::{Client, Host, Locality};

impl<'m> Traffic<'m> {
    /// The localities of a cluster in which some pod of it may run; empty where no zone is known.
    pub fn client_localities(&self, cluster: ClusterId) -> Vec<Locality> {
        let mesh = self.mesh();
        let mut places: BTreeSet<Locality> = BTreeSet::new();
        let here = mesh.workloads.iter().filter(|w| w.cluster == cluster);
        let placed: Vec<_> = here.map(|w| self.placements().of(w)).collect();
        for place in mesh.places(cluster).iter().filter(|p| !p.locality.zone.is_empty()) {
            let zone = place.locality.without_subzone();
            // Without workloads in the input anything may run there.
            if placed.is_empty() || placed.iter().any(|p| !p.certainly_none_in(&zone)) {
                places.insert(mesh.with_subzone(cluster, &zone));
            }
        }
        places.into_iter().collect()
    }

    /// Clients of a cluster that can differ in what they get for a host: one for each namespace that
    /// has rules of its own for it, and one for all others.
    pub fn clients_of(&self, host: Host<'m>, cluster: ClusterId) -> Vec<Client<'m>> {
        let mesh = self.mesh();
        let Some(plane) = mesh.config_cluster(cluster).found() else { return Vec::new() };
        let mut special: BTreeSet<&str> = BTreeSet::new();
        for rule in mesh.rules_for(host.name, plane) {
            special.insert(&rule.namespace);
            special.extend(rule.export_to.iter().map(|to| to.as_str()));
        }
        for service in mesh.virtual_services.iter().filter(|v| v.cluster == plane) {
            special.insert(&service.namespace);
            special.extend(service.export_to.iter().map(|to| to.as_str()));
            let matches = service.http.iter().flat_map(|rule| &rule.matches);
            special
                .extend(matches.filter_map(|m| m.source_namespace.as_deref()).map(String::as_str));
        }
        special.extend(mesh.sidecars.iter().filter(|s| s.cluster == plane).map(|s| &*s.namespace));
        special.extend(host.namespace());
        let (mut own, mut other) = (Vec::new(), None);
        for client in mesh.clients(plane).filter(|client| client.cluster == cluster) {
            if special.contains(client.namespace) {
                own.push(client);
            } else {
                other = other.or(Some(client));
            }
        }
        own.extend(other);
        own
    }
}

//! `failoverPriority` across networks: what can be seen of endpoints behind a gateway.

use std::collections::BTreeMap;

use super::priority::{Key, keys};
use super::texts::{SettingText, settings};
use crate::clusters::{Cluster, ClusterId};
use crate::finding::{Findings, Severity};
use crate::mesh::{CLUSTER_LABEL, Host, Locality, Mesh, NETWORK_LABEL, REGION_LABEL, ZONE_LABEL};
use crate::placement::Placements;
use crate::source::Span;
use crate::traffic::Traffic;

/// Endpoints that failoverPriority treats alike, or clients.
struct Group<'m> {
    cluster: &'m Cluster,
    locality: Locality,
}

impl Group<'_> {
    /// A label that Istio gives it by its place; `None` where it has another source or is not known.
    fn label(&self, label: &str) -> Option<&str> {
        let known = |part: &'_ str| !part.is_empty();
        let cluster = self.cluster;
        match label {
            CLUSTER_LABEL => {
                Some(cluster.istio_name().map_or(cluster.name.as_str(), |name| name.as_str()))
            }
            NETWORK_LABEL => cluster.network().map(|network| network.as_str()),
            REGION_LABEL => Some(self.locality.region.as_str()).filter(|part| known(part)),
            ZONE_LABEL => Some(self.locality.zone.as_str()).filter(|part| known(part)),
            _ => None,
        }
    }
}

/// Whether the client's network goes before all else, so that the other entries count in each network.
fn is_network_first(keys: &[Key<'_>]) -> bool {
    keys.first().is_some_and(|key| key.text.as_str() == NETWORK_LABEL)
}

/// The rank of endpoints for a client, and the entry that decides; lower goes first. Behind a gateway
/// only cluster and network can be seen. `None` where some label is not known.
/// Source: `loadbalancer.go`, `applyFailoverPriorityPerLocality`; `ep_filters.go`.
fn rank_of<'k, 'm>(
    keys: &'k [Key<'m>],
    client: &Group<'_>,
    endpoints: &Group<'_>,
    behind_gateway: bool,
) -> Option<(usize, Option<&'k Key<'m>>)> {
    let network_first = is_network_first(keys);
    let mut far = 0;
    for (j, key) in keys.iter().enumerate() {
        let overrides = keys.iter().rev().find_map(|k| k.value.filter(|_| k.label == key.label));
        let wanted = overrides.or_else(|| client.label(key.label))?;
        let hidden = behind_gateway && !matches!(key.label, CLUSTER_LABEL | NETWORK_LABEL);
        let own = if hidden { "" } else { endpoints.label(key.label)? };
        if wanted == own {
            continue;
        }
        if network_first && j == 0 {
            far = keys.len();
        } else {
            return Some((far + keys.len() - j, Some(key)));
        }
    }
    Some((far, None))
}

pub(super) fn failover_priority_across_networks(traffic: &Traffic<'_>, found: &mut Findings) {
    let (mesh, placements) = (traffic.mesh(), traffic.placements());
    let gateways: Gateways = mesh
        .clusters()
        .iter()
        .filter_map(|cluster| Some((cluster.id, mesh.network_gateway(cluster)?)))
        .collect();
    for text in settings(mesh) {
        let keys = keys(&text);
        let by_place = |k: &Key<'_>| matches!(k.label, REGION_LABEL | ZONE_LABEL);
        let host = text.host(mesh);
        if !keys.iter().any(by_place) || host.is_none() && text.setting.rule.is_some() {
            continue;
        }
        let mut endpoints_of: BTreeMap<usize, Vec<Group<'_>>> = BTreeMap::new();
        for &plane in &text.planes {
            if host.is_some_and(|host| mesh.is_cluster_local(host.name, plane)) {
                continue;
            }
            let endpoints = endpoints_of.entry(mesh.cluster(plane).mesh);
            let endpoints =
                endpoints.or_insert_with(|| endpoints_in(mesh, placements, host, plane));
            let clients = clients(mesh, plane);
            if let Some(wrong) = misranked(mesh, &gateways, &keys, &clients, endpoints) {
                say_misranked(&text, &wrong, found);
                break;
            }
        }
    }
}

/// Clusters whose pods other networks reach through a gateway, and what tells so.
type Gateways = BTreeMap<ClusterId, Span>;

fn say_misranked(text: &SettingText<'_>, wrong: &Misranked<'_>, found: &mut Findings) {
    let Misranked { key, client, wanted, instead, gateway, .. } = wrong;
    let at =
        |group: &Group<'_>| format!("`{}` of cluster `{}`", group.locality, group.cluster.name);
    let (subject, label) = (text.subject(), key.label);
    let message = if wrong.own_network_first {
        format!(
            "the own network goes first, and endpoints of {subject} in all others rank alike, whatever \
             their `{label}`"
        )
    } else {
        format!("endpoints of {subject} in other networks rank last, whatever their `{label}`")
    };
    let finding = found.say(
        message,
        key.text.span,
        format!(
            "for clients in {}, endpoints in {} should go before {}, and the gateway they are behind has no \
             such label",
            at(client),
            at(wanted),
            at(instead)
        ),
    );
    if wrong.own_network_first {
        finding.lower(Severity::Warning);
    }
    finding.also(*gateway, format!("the gateway of `{}`", wanted.cluster.name));
    for (cluster, word) in
        [(wanted.cluster, "reached through its gateway"), (client.cluster, "the clients' network")]
    {
        if let Some(network) = cluster.network() {
            finding.also(network.span, word);
        }
    }
    finding.help(format!(
        "drop failoverPriority: the default order, and `failover`, look at the locality of the pods behind \
         a gateway; or rank by `{NETWORK_LABEL}` and `{CLUSTER_LABEL}`, which its address has"
    ));
}

/// Endpoints that shall go before others and do not.
struct Misranked<'m> {
    /// The entry in which they differ only for want of the label.
    key: Key<'m>,
    client: &'m Group<'m>,
    wanted: &'m Group<'m>,
    instead: &'m Group<'m>,
    /// What leads to the endpoints that are wanted.
    gateway: Span,
    own_network_first: bool,
}

fn clients(mesh: &Mesh, plane: ClusterId) -> Vec<Group<'_>> {
    let clusters = mesh.client_clusters(plane).into_iter();
    clusters
        .flat_map(|cluster| {
            mesh.zones(cluster.id).into_iter().map(move |locality| Group { cluster, locality })
        })
        .collect()
}

/// Where endpoints of a host can be; of any host where there is none.
fn endpoints_in<'m>(
    mesh: &'m Mesh,
    placements: &Placements<'m>,
    host: Option<Host<'m>>,
    plane: ClusterId,
) -> Vec<Group<'m>> {
    let Some(host) = host else {
        let zones = |cluster: &'m Cluster| {
            mesh.zones(cluster.id).into_iter().map(move |locality| Group { cluster, locality })
        };
        return mesh.peers(plane).flat_map(zones).collect();
    };
    let services = host.services_of_mesh(plane);
    services
        .flat_map(|service| {
            let cluster = mesh.cluster(service.cluster);
            let zones = placements.of_service(service).zones.into_iter();
            let zones = zones.filter(|(zone, bounds)| bounds.least > 0 && !zone.zone.is_empty());
            zones.map(move |(locality, _)| Group { cluster, locality })
        })
        .collect()
}

/// The first client for whom endpoints behind a gateway rank behind, or along with, others that they
/// would go before if their labels could be seen.
fn misranked<'m>(
    mesh: &Mesh,
    gateways: &Gateways,
    keys: &[Key<'m>],
    clients: &'m [Group<'m>],
    endpoints: &'m [Group<'m>],
) -> Option<Misranked<'m>> {
    clients.iter().find_map(|client| {
        let ranked = endpoints.iter().filter_map(|group| {
            let other = mesh.in_different_networks(client.cluster, group.cluster);
            let gateway = gateways.get(&group.cluster.id).filter(|_| other);
            let (meant, _) = rank_of(keys, client, group, false)?;
            let (real, key) = rank_of(keys, client, group, gateway.is_some())?;
            Some((group, meant, real, key.zip(gateway)))
        });
        let ranked: Vec<_> = ranked.collect();
        // By the rank that is meant: who comes first of these, and when.
        let mut first: BTreeMap<usize, (usize, &Group<'_>)> = BTreeMap::new();
        for &(group, meant, real, _) in &ranked {
            let known = first.entry(meant).or_insert((real, group));
            if real < known.0 {
                *known = (real, group);
            }
        }
        ranked.iter().find_map(|&(wanted, meant, real, decided)| {
            let mut behind = first.range(meant + 1..).map(|(_, first)| *first);
            let (_, instead) = behind.find(|(other, _)| *other <= real)?;
            let (key, gateway) = decided?;
            let own_network_first = is_network_first(keys);
            Some(Misranked {
                key: *key,
                client,
                wanted,
                instead,
                gateway: *gateway,
                own_network_first,
            })
        })
    })
}

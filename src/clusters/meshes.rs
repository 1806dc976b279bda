//! Which clusters are of one mesh.
//!
//! Told by the configuration: one mesh, unless clusters have different `mesh` keys. Inferred: a remote
//! secret, the annotation `controlPlaneClusters` or another cluster's address joins two clusters
//! whatever else is told. Clusters that were found together and of which something says that they are
//! clusters are of one mesh if anything in them speaks of a mesh of several clusters, unless their
//! environments or all their mesh IDs differ, or one only hosts the control plane of another. A name of
//! a cluster alone says nothing: Istio's charts ask for one in a mesh of one cluster too. What was only
//! kept apart because it can't live together is a mesh of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::roster::{Families, Seed};
use super::{Cluster, Member, Role};
use crate::kinds::View;
use crate::kinds::networking::Server;
use crate::source::Text;

/// Gives each cluster the number of its mesh.
pub(super) fn group(
    clusters: &mut [Cluster],
    seeds: &[Seed],
    members: &[Member],
    configured: bool,
) {
    let mut sets = Families::default();
    let key = |i: usize| format!("cluster {i}");
    let hosts: Vec<bool> = (0..clusters.len()).map(|i| only_hosts(clusters, i)).collect();
    if configured {
        for (i, cluster) in clusters.iter().enumerate() {
            let told = cluster.config.as_ref().and_then(|c| c.mesh.as_ref());
            match told {
                None if hosts[i] => _ = sets.number(&key(i)),
                _ => sets.join(&key(i), &format!("mesh {}", told.map_or("", |m| m.as_str()))),
            }
        }
    } else {
        let signs = speak_of_others(clusters, members);
        let is_open = |i: usize| seeds[i].is_told && !hosts[i];
        by_place(clusters, seeds, &is_open, &signs, &mut sets, &key);
        for (a, b) in joined(clusters, seeds, members) {
            sets.join(&key(a), &key(b));
        }
    }
    let mut numbers = BTreeMap::new();
    for (i, cluster) in clusters.iter_mut().enumerate() {
        let next = numbers.len();
        cluster.mesh = *numbers.entry(sets.number(&key(i))).or_insert(next);
    }
}

/// Whether a cluster only hosts the control plane of others: what it runs by itself is another mesh.
fn only_hosts(clusters: &[Cluster], at: usize) -> bool {
    let cluster = &clusters[at];
    let facts = &cluster.facts;
    let hosts = clusters.iter().any(|c| c.hosted_in == Some(cluster.id));
    let told = [&facts.name, &facts.network, &facts.mesh_id, &facts.served_by];
    hosts
        && told.iter().all(|facts| facts.is_empty())
        && cluster.config.as_ref().is_none_or(|c| c.role.is_none() && c.network.is_none())
}

/// Clusters found together, by environment and mesh ID. One without an ID goes with the others, if
/// these have but one.
fn by_place(
    clusters: &[Cluster],
    seeds: &[Seed],
    is_open: &impl Fn(usize) -> bool,
    signs: &[bool],
    sets: &mut Families,
    key: &impl Fn(usize) -> String,
) {
    let mut groups: BTreeMap<(usize, Option<&str>), Vec<usize>> = BTreeMap::new();
    for (i, seed) in seeds.iter().enumerate().filter(|(i, _)| is_open(*i)) {
        groups.entry((seed.family, seed.environment)).or_default().push(i);
    }
    // A fleet of clusters with a mesh each is as common as one mesh of several clusters.
    groups.retain(|_, group| group.iter().any(|&i| signs[i]) || are_told_apart(clusters, group));
    for ((family, environment), group) in groups {
        let id = |i: usize| clusters[i].facts.mesh_id.first().map(|fact| fact.value.as_str());
        let told: BTreeSet<&str> = group.iter().filter_map(|&i| id(i)).collect();
        for &i in &group {
            let id = match id(i) {
                Some(id) => id,
                None if told.len() == 1 => told.first().copied().unwrap_or_default(),
                None => "",
            };
            sets.join(&key(i), &format!("{family} {environment:?} {id}"));
        }
    }
}

/// Whether control planes speak of a mesh and tell their clusters apart: a network or mesh ID is told, and
/// the names or the networks differ. Copies of one cluster (blue and green, say) tell all alike.
fn are_told_apart(clusters: &[Cluster], group: &[usize]) -> bool {
    let told = |of: fn(&Cluster) -> Option<&Text>| -> BTreeSet<Option<&str>> {
        group.iter().map(|&i| of(&clusters[i]).map(|text| text.as_str())).collect()
    };
    let networks = told(|c| c.facts.network.first().map(|fact| &fact.value));
    let ids = told(|c| c.facts.mesh_id.first().map(|fact| &fact.value));
    let names = told(Cluster::istio_name);
    let speak = networks.iter().chain(&ids).any(Option::is_some);
    let alike = names.len() == 1 && !names.contains(&None) && networks.len() == 1;
    speak && !alike
}

/// Whether anything in a cluster only makes sense in a mesh of several clusters: a remote secret, a control
/// plane elsewhere, a gateway between networks, rules that name clusters.
fn speak_of_others(clusters: &[Cluster], members: &[Member]) -> Vec<bool> {
    let served = |c: &Cluster| !c.facts.served_by.is_empty();
    let mut signs: Vec<bool> = clusters.iter().map(served).collect();
    for member in members {
        let object = &member.object;
        let label = "topology.istio.io/cluster";
        signs[member.cluster.index()] |= object.remote_label().is_some()
            || match &object.view {
                View::Gateway(r) => r.servers.iter().any(leads_to_others),
                View::DestinationRule(r) => {
                    let keys = r.subsets.iter().flat_map(|s| s.labels.iter());
                    keys.into_iter().any(|(key, _)| key.as_str() == label)
                }
                View::VirtualService(r) => {
                    let matches = r.http.iter().flat_map(|http| &http.matches);
                    matches.into_iter().any(|m| m.source_labels.get(label).is_some())
                }
                _ => false,
            };
    }
    signs
}

/// Whether a server is for other clusters of the mesh. Hosts as `*.global` are those of an older way to
/// connect meshes of one cluster each, in which none reads another's API server.
fn leads_to_others(server: &Server) -> bool {
    let mode = server.tls.as_ref().and_then(|tls| tls.mode.as_ref());
    mode.is_some_and(|mode| mode.as_str() == "AUTO_PASSTHROUGH")
        && !server.hosts.iter().all(|host| host.ends_with(".global"))
}

/// Pairs of clusters that manifests join.
fn joined(clusters: &[Cluster], seeds: &[Seed], members: &[Member]) -> Vec<(usize, usize)> {
    let called = |name: &str, from: usize| {
        let mut all: Vec<usize> = (0..clusters.len())
            .filter(|&i| i != from && (clusters[i].is_called(name) || seeds[i].is_called(name)))
            .collect();
        let distance = |i: usize| {
            let (a, b) = (&seeds[from], &seeds[i]);
            (a.collection != b.collection, a.family != b.family, a.environment != b.environment)
        };
        all.sort_by_key(|&i| (distance(i), i));
        all.first().copied()
    };
    let mut pairs = Vec::new();
    for member in members {
        // What is beside an external istiod is for that alone, and whose it is was told before.
        let is_guests = |c: &Cluster| {
            c.hosted_in == Some(member.cluster)
                && c.hosted_namespace() == Some(member.namespace.as_str())
        };
        if clusters.iter().any(is_guests) {
            continue;
        }
        let from = member.cluster.index();
        let names = member.object.remote_clusters().into_iter();
        pairs.extend(names.filter_map(|name| Some((from, called(name, from)?))));
    }
    for (i, cluster) in clusters.iter().enumerate() {
        let networked = cluster.facts.networks.iter();
        pairs.extend(networked.filter_map(|(_, name)| Some((i, called(name, i)?))));
        let names = cluster.facts.served_by.iter().flat_map(|fact| fact.value.split(','));
        let by: Vec<usize> = names.filter_map(|name| called(name, i)).collect();
        if by.is_empty() && cluster.role() == Some(Role::Remote) {
            // Served from elsewhere: by the only primary it was found with.
            let is_primary = |&p: &usize| {
                seeds[p].family == seeds[i].family
                    && seeds[p].environment == seeds[i].environment
                    && clusters[p].role() == Some(Role::Primary)
            };
            let primaries: Vec<usize> = (0..clusters.len()).filter(is_primary).take(2).collect();
            pairs.extend((primaries.len() == 1).then(|| (i, primaries[0])));
        }
        pairs.extend(by.into_iter().map(|p| (i, p)));
    }
    pairs
}

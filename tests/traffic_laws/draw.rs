//! Meshes by chance.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::world::{
    CLUSTER, Cluster, HOSTS, Host, Level, Place, Policy, Preference, REGION_OF, REGIONS, Route,
    Run, Weights, Where, World,
};

const LABELS: [&str; 6] = [
    "topology.istio.io/network",
    "topology.kubernetes.io/region",
    CLUSTER,
    "topology.kubernetes.io/zone",
    "version=v1",
    "version=v2",
];

fn clusters(most: usize, zones: usize) -> impl Strategy<Value = Vec<Cluster>> {
    let all: Vec<usize> = (0..REGION_OF.len()).collect();
    let cluster =
        (subsequence(all, 1..=zones), any::<prop::sample::Index>()).prop_map(|(zones, gateway)| {
            let gateway = *gateway.get(&zones);
            Cluster { zones, gateway }
        });
    prop::collection::vec(cluster, 1..=most)
}

/// Weights in per cent that make 100.
fn weights() -> impl Strategy<Value = Vec<(Place, u32)>> {
    let by_zone =
        prop::collection::btree_map((0..REGION_OF.len()).prop_map(Place::Zone), 1..9_u32, 1..4);
    let by_region =
        prop::collection::btree_map((0..REGIONS).prop_map(Place::Region), 1..9_u32, 1..3);
    prop_oneof![2 => by_zone, 1 => by_region].prop_map(|parts: BTreeMap<Place, u32>| {
        let total: u32 = parts.values().sum();
        let mut left = 100;
        let mut of_hundred: Vec<(Place, u32)> = parts
            .into_iter()
            .map(|(place, part)| {
                let percent = 100 * part / total;
                left -= percent;
                (place, percent)
            })
            .collect();
        of_hundred[0].1 += left;
        of_hundred
    })
}

fn distribute() -> impl Strategy<Value = Preference> {
    let from = prop_oneof![
        1 => Just(Place::Anywhere),
        1 => (0..REGIONS).prop_map(Place::Region),
        2 => (0..REGION_OF.len()).prop_map(Place::Zone),
    ];
    let entry = (from, weights()).prop_map(|(from, to)| Weights { from, to });
    prop::collection::vec(entry, 1..3).prop_map(Preference::Distribute)
}

fn failover(least: usize) -> impl Strategy<Value = Vec<(usize, usize)>> {
    let other = (0..REGIONS, 1..REGIONS).prop_map(|(from, by)| (from, (from + by) % REGIONS));
    prop::collection::vec(other, least..3)
}

fn labels() -> impl Strategy<Value = Preference> {
    let some = subsequence(LABELS.to_vec(), 1..=4).prop_shuffle();
    (some, failover(0)).prop_map(|(labels, regions)| Preference::Labels(labels, regions))
}

fn preference() -> impl Strategy<Value = Preference> {
    prop_oneof![
        3 => Just(Preference::Nothing),
        1 => Just(Preference::Bare),
        1 => Just(Preference::Off),
        3 => distribute(),
        2 => failover(1).prop_map(Preference::Failover),
        3 => labels(),
        2 => Just(Preference::SameZone),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let level = select(vec![Level::Rule, Level::Rule, Level::Port, Level::Subsets]);
    let outliers = prop::option::weighted(0.6, select(vec![10, 34, 50, 100]));
    (outliers, preference(), level).prop_map(|(outliers, preference, level)| Policy {
        outliers,
        preference,
        level,
    })
}

fn route(clusters: usize) -> impl Strategy<Value = Route> {
    let by_cluster = prop::collection::vec(0..4_u32, clusters).prop_map(|mut weights| {
        weights[0] += u32::from(weights.iter().sum::<u32>() == 0);
        Route::Clusters(weights)
    });
    prop_oneof![
        3 => Just(Route::Plain),
        2 => (1..4_u32, 0..4_u32).prop_map(|(one, two)| Route::Versions([one, two])),
        1 => by_cluster,
    ]
}

/// A Deployment in one of the clusters; `loose` ones may be in any zone of it.
fn run(clusters: Vec<Cluster>, replicas: u32, loose: bool) -> impl Strategy<Value = Run> {
    let at = prop_oneof![Just(Where::Free), Just(Where::Spread)];
    let at = prop::option::weighted(0.7, at);
    (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1..=2_usize, at, 0..=replicas)
        .prop_map(move |(cluster, zone, version, at, replicas)| {
            let cluster = cluster.index(clusters.len());
            let at =
                at.filter(|_| loose).unwrap_or(Where::Zone(*zone.get(&clusters[cluster].zones)));
            Run { cluster, version, at, replicas }
        })
}

fn host(
    clusters: Vec<Cluster>,
    most: usize,
    replicas: u32,
    loose: bool,
) -> impl Strategy<Value = Host> {
    let count = clusters.len();
    let runs = prop::collection::vec(run(clusters, replicas, loose), 1..=most);
    (runs, policy(), route(count)).prop_map(|(runs, policy, route)| Host { runs, policy, route })
}

/// Meshes in which it is known how many endpoints each zone has.
pub fn exact() -> impl Strategy<Value = World> {
    (clusters(3, 4), any::<bool>()).prop_flat_map(|(clusters, networks)| {
        let hosts = prop::collection::vec(host(clusters.clone(), 5, 4, false), 1..=HOSTS.len());
        hosts.prop_map(move |hosts| World { clusters: clusters.clone(), networks, hosts })
    })
}

/// Small meshes in which the scheduler has a choice: of few ways, or of more than can be tried.
pub fn loose() -> impl Strategy<Value = World> {
    let replicas = select(vec![3, 9]);
    (clusters(2, 3), any::<bool>(), replicas).prop_flat_map(|(clusters, networks, replicas)| {
        let host = host(clusters.clone(), 3, replicas, true);
        host.prop_map(move |host| World { clusters: clusters.clone(), networks, hosts: vec![host] })
    })
}

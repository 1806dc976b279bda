//! Where replicas can be, against a scheduler that tries everything.

use std::collections::{BTreeMap, BTreeSet};

use mesh_lint::config::Config;
use mesh_lint::lint;
use mesh_lint::mesh::{Locality, Mesh};
use mesh_lint::placement::{Bounds, Cause, Placement, Placements, pinned_zone};
use mesh_lint::source::Sources;
use proptest::prelude::*;

fn sources(yaml: &str) -> Sources {
    let mut sources = Sources::default();
    sources.add("mesh.yaml", yaml).expect("a small text");
    sources
}

fn mesh(yaml: &str) -> Mesh {
    let mesh = lint::build(&sources(yaml), &Config::default()).mesh;
    assert_eq!(mesh.problems().syntax, [], "in {yaml}");
    assert_eq!(mesh.problems().mismatches, [], "in {yaml}");
    mesh
}

/// The placement of the first workload.
fn place(yaml: &str) -> Placement {
    let mesh = mesh(yaml);
    Placements::new(&mesh).of(&mesh.workloads[0])
}

fn zone(name: &str) -> Locality {
    Locality::parse(&format!("r/{name}"))
}

/// Least and most in zones `a`, `b` and so on.
fn shares(placement: &Placement, zones: &str) -> Vec<(u32, u32)> {
    let of = |name: char| placement.in_zone(&zone(&name.to_string()));
    zones.chars().map(of).map(|b| (b.least, b.most)).collect()
}

fn node(name: &str, zone: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Node\nmetadata:\n  name: {name}\n  labels:\n    \
         topology.kubernetes.io/region: r\n    topology.kubernetes.io/zone: {zone}\n    \
         kubernetes.io/hostname: {name}\nspec: {{{spec}}}\n"
    )
}

/// One node for each letter, in the zone of that name.
fn nodes(zones: &str) -> String {
    let named = zones.chars().enumerate();
    named.map(|(i, zone)| node(&format!("n{i}"), &zone.to_string(), "")).collect()
}

fn deployment(name: &str, replicas: u32, pod: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec:\n  replicas: {replicas}\n  selector: {{matchLabels: {{app: cart, version: {name}}}}}\n  \
         template:\n    metadata: {{labels: {{app: cart, version: {name}}}}}\n    spec: {{{pod}}}\n"
    )
}

fn spread(key: &str, skew: u32, rest: &str) -> String {
    format!(
        "{{maxSkew: {skew}, topologyKey: {key}, whenUnsatisfiable: DoNotSchedule, \
         labelSelector: {{matchLabels: {{app: cart}}}}{rest}}}"
    )
}

fn term(key: &str) -> String {
    format!("{{topologyKey: {key}, labelSelector: {{matchLabels: {{app: cart}}}}}}")
}

const ZONE: &str = "topology.kubernetes.io/zone";
const HOST: &str = "kubernetes.io/hostname";
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

fn zone_spread(skew: u32, rest: &str) -> String {
    format!("topologySpreadConstraints: [{}]", spread(ZONE, skew, rest))
}

fn pinned(zone: &str) -> String {
    format!("nodeSelector: {{{ZONE}: {zone}}}")
}

#[test]
fn nothing_holds_a_replica_in_a_zone_by_itself() {
    let placement = place(&(nodes("abc") + &deployment("cart", 3, "")));
    assert_eq!(shares(&placement, "abc"), [(0, 3); 3]);
    assert_eq!(placement.zone(&zone("a")).map(|z| z.why_least.cause), Some(Cause::Free));
    assert_eq!(placement.total, Bounds { least: 3, most: 3 });
}

#[test]
fn a_spread_constraint_shares_evenly() {
    for (replicas, share) in [(2, (0, 1)), (3, (1, 1)), (4, (1, 2)), (6, (2, 2))] {
        let placement = place(&(nodes("abc") + &deployment("cart", replicas, &zone_spread(1, ""))));
        assert_eq!(shares(&placement, "abc"), [share; 3], "{replicas} replicas");
    }
}

#[test]
fn why_names_the_line() {
    let yaml = nodes("ab") + &deployment("cart", 4, &zone_spread(1, ""));
    let (mesh, sources) = (mesh(&yaml), sources(&yaml));
    let placement = Placements::new(&mesh).of(&mesh.workloads[0]);
    let why = placement.zone(&zone("a")).expect("zone a is known").why_least;
    assert_eq!((why.cause, sources.slice(why.span.expect("a place"))), (Cause::Spread, ZONE));
}

#[test]
fn schedule_anyway_binds_nothing() {
    let pod = zone_spread(1, "").replace("DoNotSchedule", "ScheduleAnyway");
    assert_eq!(shares(&place(&(nodes("ab") + &deployment("cart", 4, &pod))), "ab"), [(0, 4); 2]);
}

#[test]
fn a_selector_that_misses_the_own_pods_binds_nothing() {
    let pod = zone_spread(1, "").replace("app: cart", "app: card");
    assert_eq!(shares(&place(&(nodes("ab") + &deployment("cart", 4, &pod))), "ab"), [(0, 4); 2]);
}

#[test]
fn an_autoscaler_moves_both_ends() {
    let scaler = "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\n\
        metadata: {name: cart, namespace: shop}\nspec:\n  minReplicas: 2\n  maxReplicas: 9\n  \
        scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: cart}\n";
    let placement = place(&(nodes("abc") + &deployment("cart", 5, &zone_spread(1, "")) + scaler));
    assert_eq!(shares(&placement, "abc"), [(0, 3); 3]);
    assert_eq!(placement.wanted, Bounds { least: 2, most: 9 });
    assert_eq!(placement.zone(&zone("a")).map(|z| z.why_least.cause), Some(Cause::Wanted));
}

#[test]
fn a_selector_pins() {
    let yaml = nodes("abc") + &deployment("cart", 3, &pinned("b"));
    let placement = place(&yaml);
    assert_eq!(shares(&placement, "abc"), [(0, 0), (3, 3), (0, 0)]);
    let (mesh, sources) = (mesh(&yaml), sources(&yaml));
    let pin = pinned_zone(&mesh, &mesh.workloads[0]).expect("it is pinned");
    assert_eq!((pin.zone, sources.slice(pin.span)), (zone("b"), "b"));
    let why = placement.zone(&zone("a")).expect("zone a is known").why_most;
    assert_eq!((why.cause, why.span), (Cause::Ineligible, Some(pin.span)));
}

#[test]
fn a_pinned_workload_needs_no_nodes() {
    let placement = place(&deployment("cart", 3, &pinned("us-east-1a")));
    assert!(placement.known);
    let found = placement.in_zone(&Locality::parse("us-east-1/us-east-1a"));
    assert_eq!(found, Bounds { least: 3, most: 3 });
    assert!(placement.certainly_none_in(&Locality::parse("us-east-1/us-east-1b")));
}

#[test]
fn unknown_zones_stay_unknown() {
    let placement = place(&deployment("cart", 3, ""));
    assert!(!placement.known);
    assert_eq!(placement.in_zone(&zone("a")), Bounds { least: 0, most: 3 });
}

fn pool() -> String {
    "---\napiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata: {name: pool}\nspec:\n  template:\n    \
     spec:\n      requirements:\n      \
     - {key: topology.kubernetes.io/region, operator: In, values: [r]}\n      \
     - {key: topology.kubernetes.io/zone, operator: In, values: [a, b, c]}\n"
        .to_owned()
}

#[test]
fn a_pool_may_have_no_node_in_a_zone() {
    let placement = place(&(pool() + &deployment("cart", 3, &zone_spread(1, ""))));
    assert_eq!(shares(&placement, "abc"), [(0, 3); 3]);
    assert_eq!(placement.zone(&zone("a")).map(|z| z.why_least.cause), Some(Cause::Unsure));
    let domains = zone_spread(1, ", minDomains: 3");
    let placement = place(&(pool() + &deployment("cart", 3, &domains)));
    assert_eq!(shares(&placement, "abc"), [(1, 1); 3]);
}

#[test]
fn a_hand_written_node_does_not_say_all() {
    let node = node("n0", "a", "").replace("    kubernetes.io/hostname: n0\n", "");
    let other = node.replace("n0", "n1").replace("zone: a", "zone: b");
    let pod = "nodeSelector: {kubernetes.io/arch: arm64}";
    let placement = place(&(node.clone() + &other + &deployment("cart", 2, pod)));
    assert_eq!(shares(&placement, "ab"), [(0, 2); 2]);
    let linux = "nodeSelector: {kubernetes.io/os: linux}";
    assert_eq!(shares(&place(&(node + &deployment("cart", 2, linux))), "a"), [(2, 2)]);
}

#[test]
fn a_tainted_zone_takes_no_pod_and_holds_the_others_down() {
    let tainted = node("n9", "c", "taints: [{key: gpu, effect: NoSchedule}]");
    let yaml = nodes("ab") + &tainted;
    let pod = zone_spread(1, "");
    let placement = place(&(yaml.clone() + &deployment("cart", 6, &pod)));
    assert_eq!(shares(&placement, "abc"), [(1, 1), (1, 1), (0, 0)]);
    assert_eq!(placement.total, Bounds { least: 2, most: 2 });
    let honoured = zone_spread(1, ", nodeTaintsPolicy: Honor");
    let placement = place(&(yaml.clone() + &deployment("cart", 6, &honoured)));
    assert_eq!(shares(&placement, "abc"), [(3, 3), (3, 3), (0, 0)]);
    let tolerant = format!("{pod}, tolerations: [{{key: gpu, operator: Exists}}]");
    let placement = place(&(yaml + &deployment("cart", 6, &tolerant)));
    assert_eq!(shares(&placement, "abc"), [(2, 2); 3]);
}

#[test]
fn a_daemon_runs_on_each_node_that_fits() {
    let cordoned = node("n8", "b", "unschedulable: true, taints: [{key: gpu, effect: NoSchedule}]");
    let daemon =
        deployment("cart", 1, "").replace("Deployment", "DaemonSet").replace("  replicas: 1\n", "");
    let placement =
        place(&(nodes("aab") + &node("n9", "b", "unschedulable: true") + &cordoned + &daemon));
    assert_eq!(shares(&placement, "ab"), [(2, 2), (2, 2)]);
}

#[test]
fn versions_that_share_a_constraint_spread_as_one() {
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\n\
        spec: {selector: {app: cart}}\n";
    let pod = zone_spread(1, "");
    let mesh =
        mesh(&(nodes("abc") + &deployment("v1", 3, &pod) + &deployment("v2", 3, &pod) + service));
    let placements = Placements::new(&mesh);
    assert_eq!(shares(&placements.of(&mesh.workloads[0]), "abc"), [(0, 2); 3]);
    let all = placements.of_service(&mesh.services[0]);
    assert_eq!(all.in_zone(&zone("a")), Bounds { least: 2, most: 2 });
    assert_eq!(all.total, Bounds { least: 6, most: 6 });
}

#[test]
fn revisions_apart_count_the_own_pods_only() {
    let pod = zone_spread(1, ", matchLabelKeys: [pod-template-hash]");
    let yaml = nodes("abc") + &deployment("v1", 3, &pod) + &deployment("v2", 3, "");
    assert_eq!(shares(&place(&yaml), "abc"), [(1, 1); 3]);
}

fn pod(name: &str, owner: &str, node: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  namespace: shop\n  \
         labels: {{app: cart}}\n  ownerReferences: [{{kind: ReplicaSet, name: {owner}}}]\n\
         spec: {{nodeName: {node}}}\n"
    )
}

#[test]
fn pods_in_the_input_are_exact() {
    let pods = pod("cart-7d-x", "cart-7d", "n0") + &pod("cart-7d-y", "cart-7d", "n0");
    let placement = place(&(nodes("ab") + &deployment("cart", 5, "") + &pods));
    assert!(placement.exact);
    assert_eq!(shares(&placement, "ab"), [(2, 2), (0, 0)]);
    let lost = pods + &pod("cart-7d-z", "cart-7d", "gone");
    let placement = place(&(nodes("ab") + &deployment("cart", 5, "") + &lost));
    assert!(!placement.exact);
    assert_eq!(shares(&placement, "ab"), [(2, 3), (0, 1)]);
}

#[test]
fn endpoints_in_the_input_are_exact() {
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\n\
        spec: {selector: {app: cart}}\n";
    let slice = "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  \
        name: cart-1\n  namespace: shop\n  labels: {kubernetes.io/service-name: cart}\nendpoints:\n\
        - {addresses: [10.0.0.1], nodeName: n1, targetRef: {kind: Pod, name: v1-6b7c-x2x4z}}\n\
        - {addresses: [10.0.0.2], nodeName: n0, targetRef: {kind: Pod, name: v2-6b7c-x2x4z}}\n";
    let both = deployment("v1", 2, "") + &deployment("v2", 2, "");
    let placement = place(&(nodes("ab") + &both + service + slice));
    assert!(placement.exact);
    assert_eq!(shares(&placement, "ab"), [(0, 0), (1, 1)]);
}

#[test]
fn replica_sets_of_a_deployment_do_not_count_twice() {
    let set = deployment("cart", 3, "").replace("Deployment", "ReplicaSet").replace(
        "{name: cart, namespace: shop}",
        "{name: cart-7d, namespace: shop, ownerReferences: [{kind: Deployment, name: cart}]}",
    );
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\n\
        spec: {selector: {app: cart}}\n";
    let mesh = mesh(&(nodes("ab") + &deployment("cart", 3, "") + &set + service));
    let all = Placements::new(&mesh).of_service(&mesh.services[0]).total;
    assert_eq!(all, Bounds { least: 3, most: 3 });
}

const KEYS: [&str; 3] = [HOST, ZONE, "topology.kubernetes.io/region"];

/// A spread constraint: key, `maxSkew`, `minDomains`, and whether it honours affinity and taints.
type Even = (usize, u32, u32, bool, bool);

/// A cluster and a workload that are small enough to try everything.
#[derive(Clone, Debug)]
struct Small {
    /// Zone of each node, and whether it is tainted. Zones 0 and 1 are of one region.
    nodes: Vec<(u8, bool)>,
    replicas: u32,
    /// Zones the pods may go to.
    among: Option<BTreeSet<u8>>,
    spreads: Vec<Even>,
    apart: BTreeSet<usize>,
    together: Option<usize>,
}

impl Small {
    fn yaml(&self) -> String {
        let mut text = String::new();
        for (i, (zone, tainted)) in self.nodes.iter().enumerate() {
            let spec = if *tainted { "taints: [{key: gpu, effect: NoSchedule}]" } else { "" };
            let node = node(&format!("n{i}"), &letter(*zone).to_string(), spec);
            text += &node.replace("region: r", if *zone > 1 { "region: s" } else { "region: r" });
        }
        text + &deployment("cart", self.replicas, &self.pod())
    }

    fn pod(&self) -> String {
        let policy = |honours| if honours { "Honor" } else { "Ignore" };
        let spreads = self.spreads.iter().map(|&(key, skew, domains, affinity, taints)| {
            let (affinity, taints) = (policy(affinity), policy(taints));
            let rest = format!(
                ", minDomains: {domains}, nodeAffinityPolicy: {affinity}, nodeTaintsPolicy: {taints}"
            );
            spread(KEYS[key], skew, &rest)
        });
        let spreads: Vec<String> = spreads.collect();
        let mut affinity = Vec::new();
        if let Some(zones) = &self.among {
            let zones: Vec<String> = zones.iter().map(|z| letter(*z).to_string()).collect();
            affinity.push(format!(
                "nodeAffinity: {{{REQUIRED}: {{nodeSelectorTerms: [{{matchExpressions: \
                 [{{key: {ZONE}, operator: In, values: [{}]}}]}}]}}}}",
                zones.join(", ")
            ));
        }
        let bonds = [
            ("podAntiAffinity", self.apart.iter().map(|key| term(KEYS[*key])).collect::<Vec<_>>()),
            ("podAffinity", self.together.iter().map(|key| term(KEYS[*key])).collect()),
        ];
        for (name, terms) in bonds {
            affinity.push(format!("{name}: {{{REQUIRED}: [{}]}}", terms.join(", ")));
        }
        let (spreads, affinity) = (spreads.join(", "), affinity.join(", "));
        format!("topologySpreadConstraints: [{spreads}], affinity: {{{affinity}}}")
    }

    /// The domain of a node.
    fn domain(&self, key: usize, node: usize) -> usize {
        let zone = usize::from(self.nodes[node].0);
        [node, zone, zone / 2][key]
    }

    fn in_domain(&self, counts: &[u32], key: usize, domain: usize) -> u32 {
        (0..counts.len()).filter(|&i| self.domain(key, i) == domain).map(|i| counts[i]).sum()
    }

    fn is_allowed(&self, node: usize) -> bool {
        self.among.as_ref().is_none_or(|zones| zones.contains(&self.nodes[node].0))
    }

    /// Whether the scheduler takes a node for the next pod.
    fn takes(&self, counts: &[u32], at: usize) -> bool {
        let here = |key| self.in_domain(counts, key, self.domain(key, at));
        let even = |&(key, skew, domains, affinity, taints): &Even| {
            let counted = (0..counts.len())
                .filter(|&i| (!affinity || self.is_allowed(i)) && (!taints || !self.nodes[i].1));
            let known: BTreeSet<usize> = counted.map(|i| self.domain(key, i)).collect();
            let least = known.iter().map(|domain| self.in_domain(counts, key, *domain)).min();
            let least = least.filter(|_| known.len() >= domains as usize).unwrap_or(0);
            here(key) < skew + least
        };
        let first = counts.iter().all(|count| *count == 0);
        !self.nodes[at].1
            && self.is_allowed(at)
            && self.spreads.iter().all(even)
            && self.apart.iter().all(|key| here(*key) == 0)
            && self.together.iter().all(|key| first || here(*key) > 0)
    }

    /// All states in which the scheduler can end, as replicas by zone.
    fn ends(&self) -> Vec<BTreeMap<u8, u32>> {
        let mut known = BTreeSet::new();
        let mut rest = vec![vec![0; self.nodes.len()]];
        let mut ends = BTreeSet::new();
        while let Some(counts) = rest.pop() {
            if !known.insert(counts.clone()) {
                continue;
            }
            let done = counts.iter().sum::<u32>() == self.replicas;
            let next = (0..counts.len()).filter(|&at| !done && self.takes(&counts, at));
            let next: Vec<usize> = next.collect();
            if next.is_empty() {
                let mut zones = BTreeMap::new();
                for ((zone, _), count) in self.nodes.iter().zip(&counts) {
                    *zones.entry(*zone).or_default() += count;
                }
                ends.insert(zones);
            }
            for at in next {
                let mut more = counts.clone();
                more[at] += 1;
                rest.push(more);
            }
        }
        ends.into_iter().collect()
    }

    fn placement(&self) -> Placement {
        place(&self.yaml())
    }

    fn bounds(&self, placement: &Placement) -> Vec<Bounds> {
        let zones: BTreeSet<u8> = self.nodes.iter().map(|(zone, _)| *zone).collect();
        zones.into_iter().map(|z| in_zone(placement, z)).collect()
    }
}

fn in_zone(placement: &Placement, zone: u8) -> Bounds {
    placement.in_zone(&Locality::parse(&format!("/{}", letter(zone))))
}

fn letter(zone: u8) -> char {
    char::from(b'a' + zone)
}

fn small() -> impl Strategy<Value = Small> {
    let nodes = prop::collection::vec((0..3_u8, prop::bool::weighted(0.15)), 1..6);
    let among = prop::option::weighted(0.3, prop::collection::btree_set(0..3_u8, 1..3));
    let even =
        (0..3_usize, 1..3_u32, 1..4_u32, prop::bool::weighted(0.8), prop::bool::weighted(0.3));
    let spreads = prop::collection::vec(even, 0..3);
    let apart = prop_oneof![3 => Just(0..1), 1 => Just(1..2)]
        .prop_flat_map(|size| prop::collection::btree_set(0..3_usize, size));
    let together = prop::option::weighted(0.15, 0..3_usize);
    (nodes, 0..8_u32, among, spreads, apart, together).prop_map(
        |(nodes, replicas, among, spreads, apart, together)| Small {
            nodes,
            replicas,
            among,
            spreads,
            apart,
            together,
        },
    )
}

/// Ends of two workloads that share a spread constraint over zones with one node each.
fn shared_ends(zones: usize, replicas: [u32; 2], skew: u32) -> BTreeSet<Vec<[u32; 2]>> {
    let (mut known, mut ends) = (BTreeSet::new(), BTreeSet::new());
    let mut rest = vec![vec![[0, 0]; zones]];
    while let Some(counts) = rest.pop() {
        if !known.insert(counts.clone()) {
            continue;
        }
        let all = |of: usize| counts.iter().map(|c| c[of]).sum::<u32>();
        let least = counts.iter().map(|c| c[0] + c[1]).min().unwrap_or(0);
        let mut done = true;
        for (of, at) in (0..2).flat_map(|of| (0..zones).map(move |at| (of, at))) {
            if all(of) < replicas[of] && counts[at][0] + counts[at][1] < skew + least {
                let mut more = counts.clone();
                more[at][of] += 1;
                rest.push(more);
                done = false;
            }
        }
        if done {
            ends.insert(counts);
        }
    }
    ends
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the scheduler does lies within the bounds.
    #[test]
    fn every_end_is_within_the_bounds(small in small()) {
        let placement = small.placement();
        for end in small.ends() {
            for (zone, count) in &end {
                let bounds = in_zone(&placement, *zone);
                prop_assert!(bounds.contains(*count), "{count} not in {bounds}: {end:?}");
            }
            let all: u32 = end.values().sum();
            prop_assert!(placement.total.contains(all), "{all} not in {}", placement.total);
        }
    }

    /// Where zones are known by a pool only, so is what happens with whatever zones have nodes.
    #[test]
    fn every_end_in_a_pool_is_within_the_bounds(small in small(), exist in 1..8_u8) {
        let mut small = Small { among: None, ..small };
        small.replicas = small.replicas.min(5);
        for even in &mut small.spreads {
            *even = (even.0.min(1), even.1, even.2, true, false);
        }
        small.apart = small.apart.into_iter().map(|key| key.min(1)).collect();
        small.together = small.together.map(|_| 1);
        let placement = place(&(pool() + &deployment("cart", small.replicas, &small.pod())));
        let zones: Vec<u8> = (0..3).filter(|zone| exist & (1 << zone) != 0).collect();
        small.nodes = zones.iter().flat_map(|zone| [(*zone, false); 2]).collect();
        for end in small.ends() {
            // The pool makes nodes for pods that wait, so that only a state without any is an end.
            if end.values().sum::<u32>() < small.replicas {
                continue;
            }
            for zone in 0..3 {
                let (bounds, count) = (in_zone(&placement, zone), end.get(&zone).copied());
                prop_assert!(bounds.contains(count.unwrap_or(0)), "{count:?} not in {bounds}: {end:?}");
            }
        }
    }

    /// A spread constraint alone, or a selector alone, is known to the pod.
    #[test]
    fn plain_bounds_are_exact(small in small()) {
        let mut plain = Small { apart: BTreeSet::new(), together: None, ..small };
        plain.spreads.truncate(1);
        plain.spreads.retain(|even| even.0 < 2);
        let (placement, ends) = (plain.placement(), plain.ends());
        for (zone, _) in &plain.nodes {
            let counts = || ends.iter().map(|end| end[zone]);
            let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
            prop_assert_eq!(in_zone(&placement, *zone), Bounds { least, most }, "zone {}", letter(*zone));
        }
    }

    /// Workloads that share a constraint: each within its bounds, their sum known to the pod.
    #[test]
    fn shared_constraints_hold(zones in 1..4_usize, v1 in 0..5_u32, v2 in 0..4_u32, skew in 1..3_u32) {
        let pod = zone_spread(skew, "");
        let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\n\
            spec: {selector: {app: cart}}\n";
        let both = deployment("v1", v1, &pod) + &deployment("v2", v2, &pod);
        let mesh = mesh(&(nodes(&"abc"[..zones]) + &both + service));
        let placements = Placements::new(&mesh);
        let parts = [placements.of(&mesh.workloads[0]), placements.of(&mesh.workloads[1])];
        let all = placements.of_service(&mesh.services[0]);
        let ends = shared_ends(zones, [v1, v2], skew);
        for (at, name) in "abc"[..zones].chars().enumerate() {
            let zone = zone(&name.to_string());
            for end in &ends {
                for (part, count) in parts.iter().zip(end[at]) {
                    let bounds = part.in_zone(&zone);
                    prop_assert!(bounds.contains(count), "{count} not in {bounds}: {end:?}");
                }
            }
            let sums = || ends.iter().map(|end| end[at][0] + end[at][1]);
            let (least, most) = (sums().min().unwrap_or(0), sums().max().unwrap_or(0));
            prop_assert_eq!(all.in_zone(&zone), Bounds { least, most });
        }
    }

    /// The zones hold together what the workload has.
    #[test]
    fn zones_add_up(small in small()) {
        let placement = small.placement();
        let all = small.bounds(&placement).into_iter().fold(Bounds::default(), Bounds::plus);
        prop_assert!(all.least <= placement.total.most && placement.total.least <= all.most);
    }

    /// More replicas never lower a bound.
    #[test]
    fn more_replicas_never_lower_a_bound(small in small(), more in 1..4_u32) {
        let larger = Small { replicas: small.replicas + more, ..small.clone() };
        let pairs = small.bounds(&small.placement()).into_iter().zip(larger.bounds(&larger.placement()));
        for (few, many) in pairs {
            prop_assert!(few.least <= many.least && few.most <= many.most, "{few} and {many}");
        }
    }

    /// A further constraint never widens, as long as it keeps no pod from running.
    #[test]
    fn more_constraints_never_widen(small in small(), key in 0..3_usize, skew in 0..3_u32) {
        let all = Bounds { least: small.replicas, most: small.replicas };
        let mut tighter = small.clone();
        if skew == 0 {
            tighter.apart.insert(key);
        } else {
            tighter.spreads.push((key, skew, 1, true, false));
        }
        let (loose, tight) = (small.placement(), tighter.placement());
        if loose.total != all || tight.total != all {
            return Ok(());
        }
        for (loose, tight) in small.bounds(&loose).into_iter().zip(tighter.bounds(&tight)) {
            prop_assert!(loose.least <= tight.least && tight.most <= loose.most, "{tight} in {loose}");
        }
    }
}

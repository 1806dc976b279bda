//! What istiod tells Envoy: the facts of Istio's own unit tests, and whole meshes.

#![expect(clippy::too_many_lines, reason = "a table is as long as its rows")]

use mesh_lint::kinds::networking::LocalityLb;
use mesh_lint::mesh::{Locality, LocalityPattern};
use mesh_lint::traffic::assignment::{Filter, Group, Known, Preference, Target, groups};
use mesh_lint::traffic::endpoint::{Endpoint, Health, Identity, NetworkGateway};

use crate::scene::{Policy, Scene, gateways, identity, pods, read, same_shares};

/// Source: `networking/util/util_test.go`, `TestLocalityMatch`.
#[test]
fn a_pattern_matches_localities() {
    let rows = [
        ("region1/zone1/subzone1", "*", true),
        ("region1/zone1/subzone1", "region1/*", true),
        ("region1/zone1/subzone1", "region1/zone1/*", true),
        ("region1/zone1/subzone1", "region1/zone2/*", false),
        ("region1/zone1/subzone1", "region1", true),
        ("region1/zone1/subzone1", "region1/zone1", true),
        ("region1/zone1", "region1/zone1", true),
        ("region1/zone1", "region1/zone1/subzone2", false),
    ];
    for (locality, pattern, matches) in rows {
        let found = LocalityPattern::parse(pattern).matches(&Locality::parse(locality));
        assert_eq!(found, matches, "{locality} and {pattern}");
    }
}

/// Groups without members, as Istio's tests make them: locality and weight.
fn bare<'l>(localities: &'l [Locality], weights: &[Option<u32>]) -> Vec<Group<'l>> {
    let group = |(locality, weight)| Group { locality, priority: 0, weight, members: Vec::new() };
    localities.iter().zip(weights.iter().copied()).map(group).collect()
}

fn preferred<'l>(
    groups: Vec<Group<'l>>,
    client: &str,
    preference: &Preference<'_>,
) -> Vec<Group<'l>> {
    Known { endpoints: &[], gateways: &[] }.prefer(groups, &identity(client), preference)
}

fn localities(texts: &[&str]) -> Vec<Locality> {
    texts.iter().map(|text| Locality::parse(text)).collect()
}

/// Source: `loadbalancer_test.go`, `TestApplyLocalitySetting/Distribute`; `cluster_test.go`.
#[test]
fn distribute_sets_weights_and_rounds_up() {
    let setting: LocalityLb = read(
        "distribute: [{from: 'region1/zone1/subzone1/*', to: {'region1/zone1/subzone1': 80, \
         'region1/zone1/subzone2': 15, 'region1/zone1/subzone3': 5}}]",
    );
    let all = localities(&[
        "region1/zone1/subzone1",
        "region1/zone1/subzone1",
        "region1/zone1/subzone2",
        "region1/zone1/subzone3",
        "region1/zone2",
        "region2",
        "region3",
    ]);
    let client = "c region1/zone1/subzone1";
    let weights = |groups: &[Group<'_>]| groups.iter().map(|g| g.weight).collect::<Vec<_>>();
    let done = preferred(bare(&all, &[None; 7]), client, &Preference::of_locality(&setting, false));
    assert_eq!(
        weights(&done),
        [Some(40), Some(40), Some(15), Some(5), None, None, None],
        "a weight that is not set counts as 1"
    );
    let all =
        localities(&["region1/zone1/subzone1", "region1/zone1/subzone2", "region2/zone1/subzone1"]);
    for (to, wanted) in [
        ("'region1/zone1/*': 50, 'region2/zone1/subzone1': 50", [34, 17, 50]),
        ("'region1/zone1/*': 60, 'region2/zone1/subzone1': 40", [40, 20, 40]),
    ] {
        let text = format!("distribute: [{{from: 'region1/zone1/subzone1/*', to: {{{to}}}}}]");
        let setting: LocalityLb = read(&text);
        let groups = bare(&all, &[Some(40), Some(20), Some(40)]);
        let done = preferred(groups, client, &Preference::of_locality(&setting, true));
        assert_eq!(weights(&done), wanted.map(Some), "{to}");
    }
    let hosts: Vec<Endpoint> = [("s1", 40), ("s2", 20)]
        .map(|(subzone, weight)| Endpoint {
            weight,
            ..endpoint("c", "", &format!("region1/zone1/{subzone}"), "")
        })
        .into();
    let client = identity(client);
    let found = groups(&client, &hosts, &[], Filter::default());
    let setting: LocalityLb = read("distribute: [{from: '*', to: {region1: 50}}]");
    let known = Known { endpoints: &hosts, gateways: &[] };
    let done = known.prefer(found, &client, &Preference::of_locality(&setting, false));
    assert_eq!(weights(&done), [Some(34), Some(17)]);
    let own: Vec<u32> = done.iter().flat_map(|g| &g.members).map(|m| m.weight).collect();
    assert_eq!(own, [40, 20], "hosts keep theirs");
}

/// Source: `loadbalancer_test.go`.
#[test]
fn failover_gives_priorities_by_nearness() {
    let full = ["r1/z1/s1", "r1/z1/s1", "r1/z1/s2", "r1/z1/s3", "r1/z2", "r2", "r3"];
    let region2 = "{failover: [{from: r1, to: r2}]}";
    let zone_aware = |failover: &str| format!("{{failover: [{{from: {failover}, to: r2}}]}}");
    let rows: [(&str, &[&str], String, &[u32]); 9] = [
        ("nearness, then the region that is named", &full, region2.into(), &[0, 0, 1, 1, 2, 3, 4]),
        ("no gaps", &["r1/z1/s2", "r2/z1/s2", "r2/z1/s2"], region2.into(), &[0, 1, 1]),
        (
            "no locality is another region",
            &["r1/z1/s2", "", "r2/z1/s2"],
            region2.into(),
            &[0, 2, 1],
        ),
        ("switched off", &["r1/z1/s2", "", "r2/z1/s2"], "off".into(), &[0, 0, 0]),
        ("the default", &["r1/z1/s1", "r1/z1/s2", "r2/z1/s1"], "{}".into(), &[0, 1, 2]),
        (
            "by zone-aware routing: region alone",
            &full,
            "zone-aware {}".into(),
            &[0, 0, 0, 0, 0, 1, 1],
        ),
        (
            "by zone-aware routing: the region that is named",
            &full,
            format!("zone-aware {}", zone_aware("r1")),
            &[0, 0, 0, 0, 0, 1, 2],
        ),
        (
            "by zone-aware routing: another region's entry",
            &full,
            format!("zone-aware {}", zone_aware("r9")),
            &[0, 0, 0, 0, 0, 1, 1],
        ),
        (
            "by zone-aware routing: zones of a region are alike",
            &["r1/z1/s1", "r1/z2/s1", "r2/z1/s1", "r3/z1/s1"],
            format!("zone-aware {}", zone_aware("r1")),
            &[0, 0, 1, 2],
        ),
    ];
    for (what, texts, setting, wanted) in rows {
        let all = localities(texts);
        let groups = bare(&all, &vec![Some(1); all.len()]);
        let (locality, zone_aware);
        let preference = match setting.strip_prefix("zone-aware ") {
            Some(text) => {
                zone_aware = read(text);
                Preference::of_zone_aware(&zone_aware)
            }
            None if setting == "off" => Preference::None,
            None => {
                locality = read(&setting);
                Preference::of_locality(&locality, true)
            }
        };
        let done = preferred(groups, "c r1/z1/s1", &preference);
        let found: Vec<u32> = done.iter().map(|g| g.priority).collect();
        assert_eq!(found, wanted, "{what}");
    }
}

pub fn endpoint(cluster: &str, network: &str, locality: &str, labels: &str) -> Endpoint {
    Endpoint::of_pods(identity(&format!("{cluster}@{network} {locality} {labels}")), 1)
}

fn ranked(endpoints: &[Endpoint], client: &str, setting: &str) -> String {
    let setting: LocalityLb = read(setting);
    let client = identity(client);
    // Each endpoint in a group of its own locality text, as Istio's tests lay them out.
    let found = groups(&client, endpoints, &[], Filter::default());
    let known = Known { endpoints, gateways: &[] };
    let done = known.prefer(found, &client, &Preference::of_locality(&setting, true));
    let show = |g: &Group<'_>| format!("({},{})", g.weight.unwrap(), g.priority);
    done.iter().map(show).collect::<String>()
}

/// Source: `loadbalancer_test.go`, `FailoverPriority*`.
#[test]
fn failover_priority_ranks_by_labels() {
    let networks: Vec<Endpoint> = vec![
        endpoint("c1", "n1", "g1", ""),
        endpoint("c2", "n2", "g1", "key=value"),
        endpoint("c3", "n1", "g2", "key=value"),
        endpoint("c4", "n2", "g2", "key=value"),
        endpoint("c1", "n1", "g3", "key=value"),
        endpoint("c2", "n2", "g3", "key=value"),
    ];
    let network_cluster =
        "failoverPriority: [topology.istio.io/network, topology.istio.io/cluster]";
    for (client, setting, wanted) in [
        ("test@test", network_cluster, "(2,0)(2,0)(2,0)"),
        ("test@n1", network_cluster, "(1,0)(1,1)(1,0)(1,1)(1,0)(1,1)"),
        // The network goes first and does not end the comparison.
        ("c1@test", network_cluster, "(1,0)(1,1)(2,1)(1,0)(1,1)"),
        (
            "c2@n2 key=value",
            "failoverPriority: [key, topology.istio.io/network, topology.istio.io/cluster]",
            "(1,0)(1,3)(1,1)(1,2)(1,0)(1,2)",
        ),
        (
            "test@n2",
            "failoverPriority: [topology.istio.io/network=n1]",
            "(1,0)(1,1)(1,0)(1,1)(1,0)(1,1)",
        ),
        ("test@n1", "failoverPriority: [topology.istio.io/network=n3]", "(2,0)(2,0)(2,0)"),
    ] {
        assert_eq!(ranked(&networks, client, setting), wanted, "{client}: {setting}");
    }
    let regions: Vec<Endpoint> = [
        ("n1", "r1/z1"),
        ("n2", "r1/z2"),
        ("n1", "r2/z2"),
        ("n2", "r3/z3"),
        ("n2", "r2/z2"),
        ("n1", "r3/z3"),
    ]
    .iter()
    .map(|(network, locality)| endpoint("c", network, locality, ""))
    .collect();
    let client = identity("c@n1 r2/z2");
    let setting: LocalityLb = read(
        "failoverPriority: [topology.istio.io/network, topology.kubernetes.io/region, \
         topology.kubernetes.io/zone]",
    );
    for (i, wanted) in [1, 3, 0, 3, 2, 1].into_iter().enumerate() {
        assert_eq!(priority_of(&regions, i, &client, &setting), wanted, "endpoint {i}");
    }
    let both: Vec<Endpoint> = [
        ("c1", "n1", "r1/z1/s1"),
        ("c2", "n2", "r1/z2/s2"),
        ("c3", "n1", "r2/z2/s2"),
        ("c4", "n2", "r3/z3/s3"),
        ("c2", "n2", "r2/z2/s2"),
        ("c6", "n1", "r3/z3/s3"),
    ]
    .iter()
    .map(|(cluster, network, locality)| endpoint(cluster, network, locality, ""))
    .collect();
    let client = identity("c2@n2 r1/z1/s1");
    let setting: LocalityLb =
        read(&format!("{{{network_cluster}, failover: [{{from: r1, to: r2}}]}}"));
    for (i, wanted) in [3, 0, 4, 2, 1, 5].into_iter().enumerate() {
        assert_eq!(priority_of(&both, i, &client, &setting), wanted, "labels, then region: {i}");
    }
    let entry = [endpoint("c", "", "", "priority=1"), endpoint("c", "", "", "priority=2")];
    assert_eq!(ranked(&entry, "c priority=1", "failoverPriority: [priority]"), "(1,0)(1,1)");
}

fn priority_of(all: &[Endpoint], which: usize, client: &Identity, setting: &LocalityLb) -> u32 {
    let found = groups(client, all, &[], Filter::default());
    let known = Known { endpoints: all, gateways: &[] };
    let done = known.prefer(found, client, &Preference::of_locality(setting, true));
    let has = |g: &&Group<'_>| g.members.iter().any(|m| m.target == Target::Endpoint(which));
    done.iter().find(has).unwrap().priority
}

/// Members with their weights, `c1:4x6` for four endpoints of a cluster that weigh 6 each.
pub fn members(
    client: &Identity,
    all: &[Endpoint],
    gateways: &[NetworkGateway],
    filter: Filter,
) -> String {
    let found = groups(client, all, gateways, filter);
    let show = |m: &mesh_lint::traffic::assignment::Member| match m.target {
        Target::Endpoint(i) => format!("{}:{}x{}", all[i].identity.cluster, m.count, m.weight),
        Target::Gateway(i) => format!("{}:{}", gateways[i].address, m.weight),
    };
    let mut shown: Vec<String> = found.iter().flat_map(|g| &g.members).map(show).collect();
    shown.sort();
    shown.join(" ")
}

/// Source: `eds_sh_test.go`.
#[test]
fn weights_are_shared_among_gateways() {
    let mut gateways = gateways("n1//g1 n2//g2 n3//g3 n3//g3b");
    // MeshNetworks name no cluster.
    gateways.iter_mut().for_each(|g| g.cluster = "".into());
    let all: Vec<Endpoint> = (1..=4)
        .map(|n| Endpoint { count: n, ..endpoint(&format!("c{n}"), &format!("n{n}"), "", "") })
        .collect();
    for (network, wanted) in [
        ("n1", "c1:1x2 c4:4x2 g2:4 g3:3 g3b:3"),
        ("n2", "c2:2x2 c4:4x2 g1:2 g3:3 g3b:3"),
        ("n3", "c3:3x2 c4:4x2 g1:2 g2:4"),
        ("n4", "c4:4x2 g1:2 g2:4 g3:3 g3b:3"),
    ] {
        let client = identity(&format!("x@{network}"));
        assert_eq!(members(&client, &all, &gateways, Filter::default()), wanted, "{network}");
    }
}

#[test]
fn some_endpoints_are_not_sent() {
    let all = pods("c1 r1/a:2+1u+1t");
    let client = identity("c1 r1/a");
    let shown = |filter| members(&client, &all, &[], filter);
    assert_eq!(shown(Filter::default()), "c1:1x1 c1:2x1", "terminating ones never are");
    let ready = Filter { send_unhealthy: false, ..Filter::default() };
    assert_eq!(shown(ready), "c1:2x1", "unready ones where istiod is told so");
    let both = [pods("c1 r1/a:1"), pods("c2 r1/a:1")].concat();
    let local = Filter { cluster_local: true, ..Filter::default() };
    assert_eq!(members(&client, &both, &[], local), "c1:1x1", "those of another cluster");
    let mut nodes = pods("c1 r1/a:1 r1/a:2");
    nodes[1].identity =
        Identity { node: "node-2".into(), ..Identity::clone(&nodes[1].identity) }.into();
    let node = Identity { node: "node-2".into(), ..client.clone() };
    let local = Filter { node_local: true, ..Filter::default() };
    assert_eq!(members(&node, &nodes, &[], local), "c1:2x1", "those of another node");
}

/// Endpoints are grouped by the text of their locality: `r/z` and `r/z/` are two.
#[test]
fn a_locality_written_in_two_ways_is_two_groups() {
    let mut all = pods("c r1/a:2 r1/a:1");
    all[1].written = "r1/a".into();
    let found = groups(&identity("c r1/a"), &all, &[], Filter::default());
    assert_eq!(found.iter().map(|g| g.weight).collect::<Vec<_>>(), [Some(1), Some(2)]);
}

struct Row {
    what: &'static str,
    pods: &'static [&'static str],
    client: &'static str,
    gateways: &'static str,
    policy: Policy,
    failing: Option<&'static str>,
    assignment: &'static str,
    weighted: bool,
    shares: &'static str,
}

impl Row {
    fn holds(self) {
        let Row { what, pods: texts, client, gateways: through, policy, failing, .. } = self;
        let mut endpoints: Vec<Endpoint> = texts.iter().flat_map(|text| pods(text)).collect();
        let has = |e: &Endpoint, (k, v): &(&str, &str)| e.identity.label(k) == *v;
        endpoints.retain(|e| policy.subset.iter().all(|label| has(e, label)));
        endpoints.sort_by_key(|e| e.health == Health::Unhealthy);
        let gateways = gateways(through);
        let scene = Scene { client: identity(client), endpoints, gateways, policy };
        assert_eq!(scene.shown(), self.assignment, "{what}");
        assert_eq!(scene.weighted(), self.weighted, "{what}");
        let shares = scene.shares(failing);
        assert!(same_shares(&shares, self.shares), "{what}: {shares:?} is not {}", self.shares);
    }
}

fn none() -> Policy {
    Policy::default()
}

fn outliers(max: u32) -> Policy {
    Policy { outliers: Some(max), ..none() }
}

fn locality(setting: &str, outliers: Option<u32>) -> Policy {
    Policy { locality: Some(read(setting)), outliers, ..none() }
}

macro_rules! rows {
    ($($what:literal: $pods:expr, $client:literal, $policy:expr, $failing:expr => $assignment:literal,
        $weighted:literal, $shares:literal;)*) => {
        $(Row {
            what: $what,
            pods: &$pods,
            client: $client,
            gateways: "",
            policy: $policy,
            failing: $failing,
            assignment: $assignment,
            weighted: $weighted,
            shares: $shares,
        }
        .holds();)*
    };
}

const ONE: [&str; 1] = ["c1 r1/a:3 r1/b:3 r1/c:3"];
const TWO: [&str; 2] = ["c1 r1/a:3 r1/b:3 r1/c:3", "c2 r1/a:3 r1/b:3 r1/c:3"];
const REGIONS: [&str; 2] = ["c1 r1/a:3 r1/b:3", "c2 r2/x:4"];
const CLUSTER_FIRST: &str =
    "failoverPriority: [topology.istio.io/cluster, topology.kubernetes.io/zone]";
const EIGHTY: &str = "distribute: [{from: r1/a/*, to: {'r1/a/*': 80, 'r1/b/*': 20}}]";
const OWN: &str = "distribute: [{from: r1/a/*, to: {'r1/a/*': 100}}]";

/// A real Envoy was given each of these assignments and sent the requests where it says.
#[test]
fn nearness_by_default_and_by_failover() {
    rows! {
        "no policy: all alike": ONE, "c1 r1/a", none(), None
            => "r1/a@P0w3[3] r1/b@P0w3[3] r1/c@P0w3[3]", false, "c1/r1/a=33.33 c1/r1/b=33.33 c1/r1/c=33.33";
        "outlier detection keeps the zone": ONE, "c1 r1/a", outliers(100), None
            => "r1/a@P0w3[3] r1/b@P1w3[3] r1/c@P1w3[3]", false, "c1/r1/a=100";
        "two of three unready": ["c1 r1/a:1+2u r1/b:3 r1/c:3"], "c1 r1/a", outliers(100), None
            => "r1/a@P0w3[3] r1/b@P1w3[3] r1/c@P1w3[3]", false, "c1/r1/a=46 c1/r1/b=27 c1/r1/c=27";
        "all of the zone unready": ["c1 r1/a:3u r1/b:3 r1/c:3"], "c1 r1/a", outliers(100), None
            => "r1/a@P0w3[3] r1/b@P1w3[3] r1/c@P1w3[3]", false, "c1/r1/b=50 c1/r1/c=50";
        "all of the zone terminating": ["c1 r1/a:3t r1/b:3 r1/c:3"], "c1 r1/a", outliers(100), None
            => "r1/b@P0w3[3] r1/c@P0w3[3]", false, "c1/r1/b=50 c1/r1/c=50";
        "unready without outlier detection": ["c1 r1/a:3u r1/b:3 r1/c:3"], "c1 r1/a", none(), None
            => "r1/a@P0w3[3] r1/b@P0w3[3] r1/c@P0w3[3]", false, "c1/r1/b=50 c1/r1/c=50";
        "failover without outlier detection is nothing": REGIONS, "c1 r1/a",
            locality("failover: [{from: r1, to: r2}]", None), None
            => "r1/a@P0w3[3] r1/b@P0w3[3] r2/x@P0w4[4]", false, "c1/r1/a=30 c1/r1/b=30 c2/r2/x=40";
        "two clusters in the same zones": TWO, "c1 r1/a", outliers(100), None
            => "r1/a@P0w6[6] r1/b@P1w6[6] r1/c@P1w6[6]", false, "c1/r1/a=50 c2/r1/a=50";
        "the own cluster first": TWO, "c1 r1/a", locality(CLUSTER_FIRST, Some(100)), None
            => "r1/a@P0w3[3] r1/a@P2w3[3] r1/b@P1w3[3] r1/b@P2w3[3] r1/c@P1w3[3] r1/c@P2w3[3]", true,
            "c1/r1/a=100";
        "the own cluster first, its zone unready": ["c1 r1/a:3u r1/b:3 r1/c:3", TWO[1]], "c1 r1/a",
            locality(CLUSTER_FIRST, Some(100)), None
            => "r1/a@P0w3[3] r1/a@P2w3[3] r1/b@P1w3[3] r1/b@P2w3[3] r1/c@P1w3[3] r1/c@P2w3[3]", true,
            "c1/r1/b=50 c1/r1/c=50";
        "the own region unready": ["c1 r1/a:3u r1/b:3u", REGIONS[1]], "c1 r1/a", outliers(100), None
            => "r1/a@P0w3[3] r1/b@P1w3[3] r2/x@P2w4[4]", false, "c2/r2/x=100";
        "a third of the own region ready": ["c1 r1/a:1+2u r1/b:1+2u", REGIONS[1]], "c1 r1/a",
            outliers(100), None
            => "r1/a@P0w3[3] r1/b@P1w3[3] r2/x@P2w4[4]", false, "c1/r1/a=46 c1/r1/b=46 c2/r2/x=8";
        "a client without locality": ONE, "c1", outliers(100), None
            => "r1/a@P0w3[3] r1/b@P0w3[3] r1/c@P0w3[3]", false, "c1/r1/a=33.33 c1/r1/b=33.33 c1/r1/c=33.33";
        "a client without locality, and pods without": ["c1 -:2 r1/a:3 r1/b:3 r1/c:3"], "c1",
            outliers(100), None
            => "-@P0w2[2] r1/a@P1w3[3] r1/b@P1w3[3] r1/c@P1w3[3]", false, "c1/=100";
        "a client in a zone without endpoints": ["c1 r1/a:3 r1/b:3"], "c1 r1/c", outliers(100), None
            => "r1/a@P0w3[3] r1/b@P0w3[3]", false, "c1/r1/a=50 c1/r1/b=50";
        "zones without region": ["c1 /a:3 /b:3"], "c1 /a", outliers(100), None
            => "/a@P0w3[3] /b@P1w3[3]", false, "c1//a=100";
        "a subset by cluster": TWO, "c1 r1/a",
            Policy { subset: vec![("topology.istio.io/cluster", "c2")], ..none() }, None
            => "r1/a@P0w3[3] r1/b@P0w3[3] r1/c@P0w3[3]", false, "c2/r1/a=33.33 c2/r1/b=33.33 c2/r1/c=33.33";
        "switched off in the mesh or in the rule": ONE, "c1 r1/a", locality("enabled: false", Some(100)), None
            => "r1/a@P0w3[3] r1/b@P0w3[3] r1/c@P0w3[3]", false, "c1/r1/a=33.33 c1/r1/b=33.33 c1/r1/c=33.33";
        "explicit failover weighs localities within a level": ["c1 r1/a:1+2u r1/b:1 r1/c:3"], "c1 r1/a",
            locality("failover: [{from: r1, to: r2}]", Some(100)), None
            => "r1/a@P0w3[3] r1/b@P1w1[1] r1/c@P1w3[3]", true, "c1/r1/a=46 c1/r1/b=13.5 c1/r1/c=40.5";
        "the same zone, by the Service": TWO, "c1 r1/a", Policy { same_zone: true, ..none() }, None
            => "r1/a@P0w6[6] r1/b@P1w6[6] r1/c@P1w6[6]", true, "c1/r1/a=50 c2/r1/a=50";
        "the same zone, half unready": ["c1 r1/a:3u r1/b:3 r1/c:3", TWO[1]], "c1 r1/a",
            Policy { same_zone: true, ..none() }, None
            => "r1/a@P0w6[6] r1/b@P1w6[6] r1/c@P1w6[6]", true,
            "c1/r1/b=7.5 c1/r1/c=7.5 c2/r1/a=70 c2/r1/b=7.5 c2/r1/c=7.5";
    }
}

#[test]
fn weights_by_distribute() {
    let everywhere = |to: &str| format!("distribute: [{{from: '*', to: {{{to}}}}}]");
    rows! {
        "80 to 20": ONE, "c1 r1/a", locality(EIGHTY, None), None
            => "r1/a@P0w80[3] r1/b@P0w20[3] r1/c@P0w3[0]", true, "c1/r1/a=80 c1/r1/b=20";
        "two of three unready": ["c1 r1/a:1+2u r1/b:3 r1/c:3"], "c1 r1/a", locality(EIGHTY, None), None
            => "r1/a@P0w80[3] r1/b@P0w20[3] r1/c@P0w3[0]", true, "c1/r1/a=65.12 c1/r1/b=34.88";
        "the zone gone": ["c1 r1/a:3t r1/b:3 r1/c:3"], "c1 r1/a", locality(EIGHTY, None), None
            => "r1/b@P0w20[3] r1/c@P0w3[0]", true, "c1/r1/b=100";
        "only the own zone, and it is gone": ["c1 r1/a:3t r1/b:3 r1/c:3"], "c1 r1/a",
            locality(OWN, Some(100)), None
            => "r1/b@P0w3[0] r1/c@P0w3[0]", true, "UH=100";
        "from another zone": ONE, "c1 r1/c", locality(OWN, None), None
            => "r1/a@P0w3[3] r1/b@P0w3[3] r1/c@P0w3[3]", true, "c1/r1/a=33.33 c1/r1/b=33.33 c1/r1/c=33.33";
        "rounded up over several localities": ["c1 r1/a:6 r1/b:1", "c2 r2/x:3"], "c1 r1/a",
            locality(&everywhere("'r1/*': 10, 'r2/*': 90"), None), None
            => "r1/a@P0w9[6] r1/b@P0w2[1] r2/x@P0w90[3]", true, "c1/r1/a=8.91 c1/r1/b=1.98 c2/r2/x=89.11";
        "1 per cent over three zones": ["c1 r1/a:10 r1/b:1 r1/c:1", "c2 r2/x:3"], "c1 r1/a",
            locality(&everywhere("'r1/*': 1, 'r2/*': 99"), None), None
            => "r1/a@P0w1[10] r1/b@P0w1[1] r1/c@P0w1[1] r2/x@P0w99[3]", true,
            "c1/r1/a=0.98 c1/r1/b=0.98 c1/r1/c=0.98 c2/r2/x=97.06";
    }
}

#[test]
fn hosts_that_answer_with_errors() {
    let half = "distribute: [{from: '*', to: {r1/a: 50, r1/b: 50}}]";
    let ready = || Filter { send_unhealthy: false, ..Filter::default() };
    rows! {
        "a third of the hosts, 10 per cent may go": ONE, "c1 r1/a", outliers(10), Some("r1/a")
            => "r1/a@P0w3[3] r1/b@P1w3[3] r1/c@P1w3[3]", false, "c1/r1/a=100";
        "34 per cent may go": ONE, "c1 r1/a", outliers(34), Some("r1/a")
            => "r1/a@P0w3[3] r1/b@P1w3[3] r1/c@P1w3[3]", false, "c1/r1/b=50 c1/r1/c=50";
        "25 per cent may go: two of three": ONE, "c1 r1/a", outliers(25), Some("r1/a")
            => "r1/a@P0w3[3] r1/b@P1w3[3] r1/c@P1w3[3]", false, "c1/r1/a=46 c1/r1/b=27 c1/r1/c=27";
        "weights follow": ONE, "c1 r1/a", locality(half, Some(100)), Some("r1/a")
            => "r1/a@P0w50[3] r1/b@P0w50[3] r1/c@P0w3[0]", true, "c1/r1/b=100";
        "minHealthPercent: unready ones are not sent": ["c1 r1/a:1+2u r1/b:1+2u r1/c:1+2u"], "c1 r1/a",
            Policy { min_health: 50, filter: ready(), ..outliers(10) }, None
            => "r1/a@P0w1[1] r1/b@P1w1[1] r1/c@P1w1[1]", false, "c1/r1/a=100";
        "unready ones are not sent before 1.31": ["c1 r1/a:1+2u r1/b:3 r1/c:3"], "c1 r1/a",
            Policy { filter: ready(), ..outliers(100) }, None
            => "r1/a@P0w1[1] r1/b@P1w3[3] r1/c@P1w3[3]", false, "c1/r1/a=100";
    }
}

#[test]
fn two_networks() {
    const BOTH: [&str; 2] = ["c1@n1 r1/a:2 r1/b:2 r1/c:2", "c2@n2 r1/a:2 r1/b:2 r1/c:2"];
    const GATEWAYS: &str = "n1/c1/gw1 n2/c2/gw2";
    let row = |what, pods, client, policy, assignment, shares| Row {
        what,
        pods,
        client,
        gateways: GATEWAYS,
        policy,
        failing: None,
        assignment,
        weighted: false,
        shares,
    };
    let flat = "r1/a@P0w4[3] r1/b@P0w4[3] r1/c@P0w4[3]";
    row(
        "one address counts once, in the first locality",
        &BOTH,
        "c1@n1 r1/a",
        none(),
        flat,
        "c1/r1/a=25 c1/r1/b=25 c1/r1/c=25 gw2=25",
    )
    .holds();
    row(
        "so it is near for clients there",
        &BOTH,
        "c1@n1 r1/a",
        outliers(100),
        "r1/a@P0w4[3] r1/b@P1w4[3] r1/c@P1w4[3]",
        "c1/r1/a=50 gw2=50",
    )
    .holds();
    row(
        "and far for others",
        &BOTH,
        "c1@n1 r1/b",
        outliers(100),
        "r1/a@P1w4[3] r1/b@P0w4[3] r1/c@P1w4[3]",
        "c1/r1/b=100",
    )
    .holds();
    row(
        "who reach it when their zone is lost",
        &["c1@n1 r1/a:2 r1/b:2u r1/c:2", BOTH[1]],
        "c1@n1 r1/b",
        outliers(100),
        "r1/a@P1w4[3] r1/b@P0w4[3] r1/c@P1w4[3]",
        "c1/r1/a=33.33 c1/r1/c=33.33 gw2=33.33",
    )
    .holds();
    row(
        "it is healthy whatever is behind it",
        &[BOTH[0], "c2@n2 r1/a:2u r1/b:2u r1/c:2u"],
        "c1@n1 r1/a",
        none(),
        flat,
        "c1/r1/a=25 c1/r1/b=25 c1/r1/c=25 gw2=25",
    )
    .holds();
    let two = row(
        "two addresses",
        &BOTH,
        "c1@n1 r1/a",
        none(),
        "r1/a@P0w8[4] r1/b@P0w8[4] r1/c@P0w8[4]",
        "c1/r1/a=25 c1/r1/b=25 c1/r1/c=25 gw2a=12.5 gw2b=12.5",
    );
    Row { gateways: "n1/c1/gw1 n2/c2/gw2a n2/c2/gw2b", ..two }.holds();
    let labels = "failoverPriority: [topology.kubernetes.io/region, topology.kubernetes.io/zone]";
    let last = row(
        "it has no region, so it ranks last",
        &BOTH,
        "c1@n1 r1/a",
        locality(labels, Some(100)),
        "r1/a@P0w2[2] r1/a@P2w2[1] r1/b@P1w2[2] r1/b@P2w2[1] r1/c@P1w2[2] r1/c@P2w2[1]",
        "c1/r1/a=100",
    );
    Row { weighted: true, ..last }.holds();
    let plain = Policy { filter: Filter { mtls: Some(false), ..Filter::default() }, ..none() };
    row(
        "without mTLS there is no way",
        &BOTH,
        "c1@n1 r1/a",
        plain,
        "r1/a@P0w2[2] r1/b@P0w2[2] r1/c@P0w2[2]",
        "c1/r1/a=33.33 c1/r1/b=33.33 c1/r1/c=33.33",
    )
    .holds();
}

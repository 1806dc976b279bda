//! What policies and settings ask of Envoy for a host: whether localities and labels of clients count,
//! whether localities are weighted, and when unhealthy hosts get their part.

#![expect(clippy::too_many_lines, reason = "a table is as long as its rows")]

use mesh_lint::traffic::assignment::Preference;
use mesh_lint::traffic::destination::Delivery;
use mesh_lint::traffic::flow::ZoneRouting;

use crate::calls::{Caller, HOST, labels, mesh_config, object, pods, rule, service};

const OUTLIERS: &str = "outlierDetection: {}";

fn locality(setting: &str) -> String {
    format!("loadBalancer: {{localityLbSetting: {{{setting}}}}}")
}

fn zone_aware(setting: &str) -> String {
    format!("loadBalancer: {{zoneAwareLbSetting: {{{setting}}}}}")
}

/// Where a client with these labels sends its requests; pods with `a`, `b` and `c` are in zone `a`, and
/// others in zone `b`.
fn shares(objects: &str, client: &[(&str, &str)]) -> String {
    let own = pods("one", "a", ", a: a, b: b, c: c") + &pods("two", "b", "");
    let mesh = super::mesh(&[("east/all.yaml", &(service("") + &own + objects))]);
    let client = labels(client);
    let caller = Caller::of(&mesh, &client);
    caller.shares(&caller.destination(HOST, false))
}

/// Istio keeps one answer for all clients that cannot differ in it, and so has to know by which labels
/// they can. Source: `endpoint_builder_test.go`, `TestPopulateFailoverPriorityLabels`.
#[test]
fn labels_of_clients_count_where_failover_priority_names_them() {
    let by = |keys: &str| format!("failoverPriority: [{keys}]");
    let ranked = format!("{OUTLIERS}, {}", locality(&by("a, b")));
    let of_mesh = |setting: &str| mesh_config(&format!("localityLbSetting: {{{setting}}}"));
    for (what, objects, counts) in [
        ("no rule", String::new(), false),
        ("the rule's, with outlier detection", rule(&ranked), true),
        ("the rule's without", rule(&locality(&by("a, b"))), false),
        ("outlier detection alone", rule(OUTLIERS), false),
        (
            "switched off",
            rule(&format!("{OUTLIERS}, {}", locality(&format!("enabled: false, {}", by("a, b"))))),
            false,
        ),
        ("the mesh's, with outlier detection", of_mesh(&by("a, b")) + &rule(OUTLIERS), true),
        ("the mesh's without", of_mesh(&by("a, b")), false),
        (
            "the mesh's, switched off",
            of_mesh(&format!("enabled: false, {}", by("a, b"))) + &rule(OUTLIERS),
            false,
        ),
        ("the rule's before the mesh's", of_mesh(&by("c")) + &rule(&ranked), true),
    ] {
        let [with, without] = [&[("a", "a"), ("b", "b")][..], &[]].map(|l| shares(&objects, l));
        assert_eq!(with != without, counts, "{what}: {with} and {without}");
    }
    let [of_mesh, hidden] = ["", &ranked].map(|policy| {
        let policy = if policy.is_empty() { OUTLIERS } else { policy };
        let objects = of_mesh(&by("c")) + &rule(policy);
        shares(&objects, &[("c", "c")]) != shares(&objects, &[])
    });
    assert!(of_mesh, "the mesh's counts where the rule has none");
    assert!(!hidden, "and not at all where it has");
}

/// Source: `cluster_traffic_policy_test.go`; `loadbalancer.go`, `ZoneAwareLBSettings`.
#[test]
fn zone_aware_routing_is_told_to_envoy_or_forbidden() {
    let discovery = |on: bool| {
        let variables = format!("{{ISTIO_META_ENABLE_SELF_DISCOVERY: '{on}'}}");
        mesh_config(&format!("defaultConfig: {{proxyMetadata: {variables}}}"))
    };
    let flat = "r1/a=50 r1/b=50";
    for (what, setting, zones, shared, evened_out) in [
        ("off", "enabled: false", ZoneRouting::Off, flat, false),
        ("on, its size told", "minClusterSize: 7", ZoneRouting::On(Some(7)), flat, true),
        ("on", "enabled: true", ZoneRouting::On(None), flat, true),
    ] {
        for discovers in [false, true] {
            let policy = format!("{OUTLIERS}, {}", zone_aware(setting));
            let objects = rule(&policy) + &discovery(discovers);
            let text = service("") + &pods("one", "a", "") + &pods("two", "b", "") + &objects;
            let mesh = super::mesh(&[("east/all.yaml", &text)]);
            let none = labels(&[]);
            let caller = Caller::of(&mesh, &none);
            let destination = caller.destination(HOST, false);
            assert_eq!(destination.terms.zones, zones, "{what}");
            assert_eq!(caller.shares(&destination), shared, "{what}");
            // Then the shares are not those of istiod's assignment alone.
            let is_open = !destination.doubts(&mesh).is_empty();
            assert_eq!(is_open, evened_out && discovers, "{what}, {discovers}");
        }
    }
}

/// A Service or entry, a policy, whether Envoy weighs localities, its panic threshold, and the shares.
type Row<'r> = (&'r str, String, String, Option<bool>, u32, &'r str);

/// `None` where Envoy chooses nothing. Source: `cluster_test.go`, `TestApplyLoadBalancer`.
#[test]
fn what_a_policy_makes_of_localities_and_unhealthy_hosts() {
    let weights = locality("distribute: [{from: '*', to: {r1/a: 80, r1/b: 20}}]");
    let ranks = locality("failoverPriority: [topology.istio.io/cluster]");
    let entry = |policy: &str| {
        let ports = "ports: [{number: 80, name: http, protocol: HTTP}]";
        let endpoints =
            "[{address: one.test, locality: r1/a}, {address: two.test, locality: r1/b}]";
        let spec = format!("hosts: [{HOST}], {ports}, resolution: DNS, endpoints: {endpoints}");
        object("ServiceEntry", "ns", "example", &spec) + &rule_for_host(policy)
    };
    let redis = "ports: [{name: redis, port: 80}]";
    let redis = object("Service", "ns", "example", &format!("selector: {{app: example}}, {redis}"));
    let flat = "r1/a=50 r1/b=50";
    let rows: [Row<'_>; 10] = [
        ("the client chooses", service(", clusterIP: None"), rule(&weights), None, 0, "outside"),
        ("Redis is spread like anything else", redis.clone(), String::new(), Some(false), 0, flat),
        (
            "and weighted like anything else",
            redis,
            rule(&weights),
            Some(true),
            0,
            "r1/a=80 r1/b=20",
        ),
        ("weights", service(""), rule(&weights), Some(true), 0, "r1/a=80 r1/b=20"),
        (
            "names, and the address that the client chose",
            String::new(),
            entry("loadBalancer: {simple: PASSTHROUGH}"),
            None,
            0,
            "outside",
        ),
        ("names", String::new(), entry(""), Some(false), 0, flat),
        (
            "ranks, with outlier detection",
            service(""),
            rule(&format!("{OUTLIERS}, {ranks}")),
            Some(true),
            0,
            flat,
        ),
        ("ranks without", service(""), rule(&ranks), Some(false), 0, flat),
        (
            "no policy: unhealthy hosts get nothing",
            service(""),
            String::new(),
            Some(false),
            0,
            flat,
        ),
        (
            "they get their part below a share of healthy ones",
            service(""),
            rule("outlierDetection: {minHealthPercent: 70}"),
            Some(false),
            70,
            "r1/a=100",
        ),
    ];
    for (what, service, policy, weighted, panic, shared) in rows {
        let all = service + &policy + &pods("one", "a", "") + &pods("two", "b", "");
        let mesh = super::mesh(&[("east/all.yaml", &all)]);
        let none = labels(&[]);
        let caller = Caller::of(&mesh, &none);
        let destination = caller.destination(HOST, false);
        let balanced = destination.delivery == Delivery::Balanced;
        let found = balanced.then(|| destination.terms.preference.weighs_localities());
        assert_eq!(found, weighted, "{what}");
        assert_eq!(destination.terms.panic_threshold, panic, "{what}");
        assert_eq!(caller.shares(&destination), shared, "{what}");
    }
}

fn rule_for_host(policy: &str) -> String {
    let spec = format!("host: {HOST}, trafficPolicy: {{{policy}}}");
    object("DestinationRule", "ns", "example", &spec)
}

/// Source: `cluster_test.go`, `TestSidecarLocalityLB`, `TestLocalityLBDestinationRuleOverride`.
#[test]
fn weights_of_a_rule_replace_those_of_the_mesh() {
    let weights = |a: u32| {
        let b = 100 - a;
        format!("distribute: [{{from: 'r1/a', to: {{r1/a: {a}, r1/b: {b}}}}}]")
    };
    let of_mesh = mesh_config(&format!("localityLbSetting: {{{}}}", weights(50)));
    let of_rule =
        rule(&format!("outlierDetection: {{minHealthPercent: 10}}, {}", locality(&weights(60))));
    for (what, objects, shared) in [
        ("the mesh's", of_mesh.clone(), "r1/a=50 r1/b=50"),
        ("the rule's", of_mesh + &of_rule, "r1/a=60 r1/b=40"),
    ] {
        assert_eq!(shares(&objects, &[]), shared, "{what}");
    }
    let text = service("") + &of_rule;
    let mesh = super::mesh(&[("east/all.yaml", &text)]);
    let none = labels(&[]);
    let destination = Caller::of(&mesh, &none).destination(HOST, false);
    assert_eq!(destination.terms.panic_threshold, 10);
    assert!(matches!(destination.terms.preference, Preference::Distribute(_)));
}

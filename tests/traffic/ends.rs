//! What becomes of requests that do not arrive: by route, subset, port and kind of host.

use crate::world::{Asks, assert_arrives, mesh_config, object, pods, rule, service, world};

const CART: &str = "ports: [{name: http, port: 80}]";

/// A VirtualService for `cart`, by the rules for HTTP.
fn routed(http: &str) -> String {
    let spec = format!("spec: {{hosts: [cart], http: [{http}]}}");
    object("networking.istio.io/v1/VirtualService", "shop", "cart", "", &spec)
}

/// A rule that parts requests among destinations, each by subset and weight.
fn parted(legs: &[(&str, u32)]) -> String {
    let leg = |(subset, weight): &(&str, u32)| {
        format!("{{destination: {{host: cart, subset: {subset}}}, weight: {weight}}}")
    };
    routed(&format!("{{route: [{}]}}", legs.iter().map(leg).collect::<Vec<_>>().join(", ")))
}

fn subsets(names: &[&str]) -> String {
    let subset = |name: &&str| format!("{{name: {name}, labels: {{version: {name}}}}}");
    let all: Vec<String> = names.iter().map(subset).collect();
    rule("shop", "cart", &format!("subsets: [{}]", all.join(", ")))
}

/// Weights hold whatever becomes of the requests.
#[test]
fn a_destination_without_endpoints_keeps_its_weight() {
    let carts = service("shop", "cart", CART) + &pods("shop", "cart", "version: v1", "r1/a:2");
    for (what, objects, expected) in [
        (
            "a subset that the rule does not have",
            subsets(&["v1"]) + &parted(&[("v1", 80), ("v3", 20)]),
            "c1/r1/a=80 NC=20",
        ),
        (
            "a subset that no pod is in",
            subsets(&["v1", "v3"]) + &parted(&[("v1", 80), ("v3", 20)]),
            "c1/r1/a=80 UH=20",
        ),
        (
            "weights that are not of a hundred",
            subsets(&["v1"]) + &parted(&[("v1", 30), ("v3", 10)]),
            "c1/r1/a=75 NC=25",
        ),
        (
            "equal weights",
            subsets(&["v1", "v3"]) + &parted(&[("v1", 1), ("v3", 1)]),
            "c1/r1/a=50 UH=50",
        ),
        (
            "weights far apart",
            subsets(&["v1", "v3"]) + &parted(&[("v3", 3), ("v1", 400)]),
            "c1/r1/a=99.26 UH=0.74",
        ),
        ("one of weight 0", subsets(&["v1"]) + &parted(&[("v1", 0)]), "c1/r1/a=100"),
        (
            "a host that is not there",
            routed(
                "{route: [{destination: {host: cart}, weight: 90}, \
                 {destination: {host: gone}, weight: 10}]}",
            ),
            "c1/r1/a=90 NC=10",
        ),
        (
            "requests that no rule takes",
            routed("{match: [{headers: {x: {exact: '1'}}}], route: [{destination: {host: cart}}]}"),
            "NR=100",
        ),
    ] {
        let mesh = world(&[("c1", carts.clone() + &objects)]);
        let asks = Asks::new("c1 r1/a", "cart.shop");
        assert_arrives(what, &mesh, asks, expected);
    }
}

/// Requests to an address that the client chose are let through to it: neither weights nor localities count.
#[test]
fn requests_to_an_address_of_the_clients_choice_are_not_balanced() {
    let split = || subsets(&["v1", "v2"]) + &parted(&[("v1", 90), ("v2", 10)]);
    let carts = pods("shop", "cart", "version: v1", "r1/a:2")
        + &pods("shop", "cart", "version: v2", "r1/b:2");
    let entry = |resolution: &str| {
        let spec = format!(
            "spec: {{hosts: [outside.example], resolution: {resolution}, \
             ports: [{{number: 80, name: http, protocol: HTTP}}]}}"
        );
        object("networking.istio.io/v1/ServiceEntry", "shop", "outside", "", &spec)
    };
    for (what, objects, host) in [
        (
            "a headless Service",
            service("shop", "cart", &format!("{CART}, clusterIP: None")) + &split(),
            "cart.shop",
        ),
        (
            "a policy that says so",
            service("shop", "cart", CART)
                + &rule("shop", "cart", "trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}"),
            "cart.shop",
        ),
        ("an entry that resolves nothing", entry("NONE"), "outside.example"),
        ("an entry that resolves elsewhere", entry("DNS"), "outside.example"),
    ] {
        let mesh = world(&[("c1", carts.clone() + &objects)]);
        assert_arrives(what, &mesh, Asks::new("c1 r1/a", host), "elsewhere=100");
    }
}

/// Whether Envoy is told to let out what nobody knows.
#[test]
fn hosts_that_nobody_knows() {
    let known = service("shop", "cart", CART) + &pods("shop", "cart", "", "r1/a:1");
    let closed = mesh_config("{outboundTrafficPolicy: {mode: REGISTRY_ONLY}}");
    for (what, config, expected) in [
        ("let out where nothing is told", String::new(), "elsewhere=100"),
        ("kept in", closed, "502=100"),
    ] {
        let mesh = world(&[("c1", known.clone() + &config)]);
        let asks = Asks::new("c1 r1/a", "gone.shop");
        assert_arrives(what, &mesh, asks, expected);
    }
}

//! Which endpoints of which clusters, networks, nodes and ports a client is told of.

use mesh_lint::traffic::assignment::{Filter, Target, groups};
use mesh_lint::traffic::endpoint::Endpoint;

use crate::scene::{gateways, identity, pods as endpoints};
use crate::world::{Asks, assert_arrives, mesh_config, node, object, pods, rule, service, world};

const CART: &str = "ports: [{name: http, port: 80}]";

/// Settings of MeshConfig, each with its hosts; a host; whether it stays in the client's cluster.
/// Source: `cluster_local_test.go`.
#[test]
#[expect(clippy::too_many_lines, reason = "a table is as long as its rows")]
fn hosts_that_are_served_by_the_clients_own_cluster() {
    const NONE: &str = "[]";
    let system = "*.kube-system.svc.cluster.local";
    let told = |host: &str, local: bool| {
        format!("[{{settings: {{clusterLocal: {local}}}, hosts: ['{host}']}}]")
    };
    let two = "[{settings: {clusterLocal: true}, \
         hosts: ['*.ns1.svc.cluster.local', '*.ns2.svc.cluster.local']}]";
    let but = |wide: &str, narrow: &str| {
        format!(
            "[{{settings: {{clusterLocal: true}}, hosts: ['{wide}']}}, \
             {{settings: {{clusterLocal: false}}, hosts: ['{narrow}']}}]"
        )
    };
    let echo = "echo.test.svc.cluster.local";
    for (what, settings, host, expected) in [
        ("the system's", NONE.to_owned(), "s.kube-system.svc.cluster.local", true),
        ("the API server", NONE.to_owned(), "kubernetes.default.svc.cluster.local", true),
        ("istiod", NONE.to_owned(), "istiod.istio-system.svc.cluster.local", true),
        ("any other", NONE.to_owned(), "not.cluster.local", false),
        ("the system's, let out", told(system, false), "s.kube-system.svc.cluster.local", false),
        (
            "one of the system's let out takes the rest with it",
            told("a.kube-system.svc.cluster.local", false),
            "b.kube-system.svc.cluster.local",
            false,
        ),
        (
            "the API server, let out",
            told("kubernetes.default.svc.cluster.local", false),
            "kubernetes.default.svc.cluster.local",
            false,
        ),
        (
            "which leaves the system's alone",
            told("kubernetes.default.svc.cluster.local", false),
            "s.kube-system.svc.cluster.local",
            true,
        ),
        ("a namespace", two.to_owned(), "s.ns1.svc.cluster.local", true),
        ("another", two.to_owned(), "s.ns2.svc.cluster.local", true),
        ("and no third", two.to_owned(), "s.ns3.svc.cluster.local", false),
        ("all", told("*", true), "s.ns1.svc.cluster.local", true),
        (
            "all but a namespace",
            but("*", "*.ns1.svc.cluster.local"),
            "s.ns1.svc.cluster.local",
            false,
        ),
        (
            "all but a namespace: another",
            but("*", "*.ns1.svc.cluster.local"),
            "s.ns2.svc.cluster.local",
            true,
        ),
        ("all but one host", but("*", echo), echo, false),
        ("a part of what is let out", but("*.cluster.local", "*"), echo, true),
        ("what is let out", but("*.cluster.local", "*"), "s.otherdomain", false),
        ("everything let out", told("*", false), "s.kube-system.svc.cluster.local", true),
    ] {
        let mesh = world(&[("c1", mesh_config(&format!("{{serviceSettings: {settings}}}")))]);
        let found = mesh.is_cluster_local(host, mesh.clusters()[0].id);
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn an_older_istiod_makes_no_exception_of_what_is_cluster_local() {
    let settings = "[{settings: {clusterLocal: true}, hosts: ['*']}, \
         {settings: {clusterLocal: false}, hosts: ['*.ns1.svc.cluster.local']}]";
    let config = mesh_config(&format!("{{serviceSettings: {settings}}}"));
    for (version, expected) in [("1.23.2", true), ("1.24.0", false)] {
        let mut mesh = world(&[("c1", config.clone())]);
        mesh.take_version(version);
        let found = mesh.is_cluster_local("s.ns1.svc.cluster.local", mesh.clusters()[0].id);
        assert_eq!(found, expected, "{version}");
    }
}

/// Two clusters with the same Service, each with its own pods.
fn two_clusters(namespace: &str, spec: &str, more: &str) -> mesh_lint::mesh::Mesh {
    let objects =
        |places: &str| service(namespace, "dns", spec) + &pods(namespace, "dns", "", places) + more;
    world(&[("c1", objects("r1/a:1 r1/b:1")), ("c2", objects("r1/a:2 r1/c:2"))])
}

#[test]
fn clusters_share_a_host_unless_it_is_cluster_local() {
    let shared = "c1/r1/a=16.67 c1/r1/b=16.67 c2/r1/a=33.33 c2/r1/c=33.33";
    let local = "c1/r1/a=50 c1/r1/b=50";
    let told = mesh_config(
        "{serviceSettings: [{settings: {clusterLocal: true}, hosts: ['*.shop.svc.cluster.local']}]}",
    );
    for (what, namespace, more, expected) in [
        ("shared", "shop", "", shared),
        ("of the system", "kube-system", "", local),
        ("said to be local", "shop", told.as_str(), local),
    ] {
        let mesh = two_clusters(namespace, CART, more);
        let host = format!("dns.{namespace}");
        assert_arrives(what, &mesh, Asks::new("c1 r1/a", &host), expected);
    }
    let only_there = [
        ("c1", service("kube-system", "dns", CART) + &node("r1/a")),
        ("c2", service("kube-system", "dns", CART) + &pods("kube-system", "dns", "", "r1/a:1")),
    ];
    let mesh = world(&only_there);
    let asks = Asks::new("c1 r1/a", "dns.kube-system");
    assert_arrives("local, and nothing there", &mesh, asks, "UH=100");
}

/// Endpoints of other clusters are joined by the name of the port that the client's control plane knows.
#[test]
fn ports_are_joined_by_their_names() {
    let named = |name: &str, number: u16| format!("{{name: {name}, port: {number}}}");
    let three = format!(
        "ports: [{}, {}, {}]",
        named("http-80", 80),
        named("http-8000", 8000),
        named("http-8001", 8001)
    );
    for (what, other, expected) in [
        ("the same", three.clone(), "c1/r1/a=50 c2/r1/b=50"),
        ("another number", format!("ports: [{}]", named("http-80", 8080)), "c1/r1/a=50 c2/r1/b=50"),
        ("another name", format!("ports: [{}]", named("web", 80)), "c1/r1/a=100"),
        ("another port alone", format!("ports: [{}]", named("http-8000", 8000)), "c1/r1/a=100"),
    ] {
        let carts =
            |spec: &str, places| service("shop", "cart", spec) + &pods("shop", "cart", "", places);
        let mesh = world(&[("c1", carts(&three, "r1/a:1")), ("c2", carts(&other, "r1/b:1"))]);
        let asks = Asks::new("c1 r1/a", "cart.shop");
        assert_arrives(what, &mesh, asks, expected);
        let pools = asks.with(&mesh, |_, _, to| to.pools().count());
        assert_eq!(pools, expected.split(' ').count(), "{what}: each pod stands once for a port");
    }
}

/// `distribute` without an entry for the client's locality leaves all as it is, and localities weighted.
#[test]
fn clients_that_distribute_does_not_name_are_not_restricted() {
    let policy = "trafficPolicy: {loadBalancer: {localityLbSetting: {distribute: [\
         {from: r1/a, to: {r1/a: 100}}]}}}";
    let text = [
        service("shop", "cart", CART),
        rule("shop", "cart", policy),
        pods("shop", "cart", "", "r1/a:3 r1/b:1"),
    ];
    let mesh = world(&[("c1", text.concat())]);
    for (at, expected) in [("c1 r1/a", "c1/r1/a=100"), ("c1 r1/b", "c1/r1/a=75 c1/r1/b=25")] {
        let asks = Asks::new(at, "cart.shop");
        assert_arrives(at, &mesh, asks, expected);
        assert!(asks.with(&mesh, |_, _, to| to.terms.preference.weighs_localities()), "{at}");
    }
}

#[test]
fn endpoints_without_address_are_reached_through_gateways_alone() {
    let unknown = |owner: &str| Endpoint { addressed: false, ..endpoints(owner)[0].clone() };
    let known = endpoints("c1@n1 r1/a:1")[0].clone();
    for (what, other, through, expected) in [
        ("one network", unknown("c1 r1/a:1"), "", 1),
        ("of the client's network", unknown("c1@n1 r1/a:1"), "n1/c1/gw1 n2/c2/gw2", 1),
        ("of another network", unknown("c2@n2 r1/a:1"), "n1/c1/gw1 n2/c2/gw2", 2),
        ("of a network without gateway", unknown("c3@n3 r1/a:1"), "n1/c1/gw1 n2/c2/gw2", 1),
    ] {
        let all = [known.clone(), other];
        let (client, gateways) = (identity("c1@n1 r1/a"), gateways(through));
        let found = groups(&client, &all, &gateways, Filter::default());
        let members: Vec<Target> =
            found.iter().flat_map(|g| &g.members).map(|m| m.target).collect();
        assert_eq!(members.len(), expected, "{what}: {members:?}");
    }
}

fn network(name: &str) -> String {
    let label = format!("labels: {{topology.istio.io/network: {name}}}");
    object("v1/Namespace", "''", "istio-system", &label, "")
}

fn gateway(network: &str) -> String {
    let labels = format!("labels: {{topology.istio.io/network: {network}}}");
    let spec =
        "spec: {type: LoadBalancer, selector: {app: eastwest}, ports: [{name: tls, port: 15443}]}";
    object("v1/Service", "istio-system", "eastwest", &labels, spec)
        + &pods("istio-system", "eastwest", "", "r1/z1:1")
}

/// A gateway tells of endpoints of its own network and of those that are in none; a client is told of
/// all. Weights of 30, 30 and 40 as Istio's test has them.
/// Source: `cluster_builder_test.go`, `TestBuildLocalityLbEndpoints`.
#[test]
fn a_gateway_sees_its_own_network_and_what_is_in_none() {
    let machine = object(
        "networking.istio.io/v1/WorkloadEntry",
        "shop",
        "vm",
        "",
        "spec: {labels: {app: cart}, address: 10.1.0.1, locality: r2/z1/s1, serviceAccount: vm}",
    );
    let cart = service("shop", "cart", CART) + &pods("shop", "cart", "", "r1/z1:1");
    let mesh = world(&[
        ("c1", [cart.clone(), machine, network("n1"), gateway("n1")].concat()),
        ("c2", [cart, network("n2"), gateway("n2")].concat()),
    ]);
    let asks = Asks::new("c1 r1/z1", "cart.shop");
    // A third goes to the gateway, and from there to the pod behind it or to the machine.
    let expected = "c1/r1/z1=33.33 c2/r1/z1=16.67 c1/r2/z1=50";
    assert_arrives("from another network", &mesh, asks, expected);
}

#[test]
fn requests_that_stay_on_their_node_find_an_endpoint_or_none() {
    let local = format!("{CART}, internalTrafficPolicy: Local");
    let daemon = object(
        "apps/v1/DaemonSet",
        "shop",
        "cart",
        "",
        "spec: {selector: {matchLabels: {app: cart}}, template: {metadata: {labels: {app: cart}}}}",
    );
    let one = pods("shop", "cart", "", "r1/a:1");
    let nodes = node("r1/a") + &node("r1/b");
    let range = |objects: String, at: &str| {
        let mesh = world(&[
            ("c1", service("shop", "cart", &local) + &objects + &nodes),
            ("c2", service("shop", "cart", &local) + &pods("shop", "cart", "", "r1/a:9 r1/b:9")),
        ]);
        Asks::new(at, "cart.shop").with(&mesh, |traffic, journey, _| {
            let at = mesh_lint::mesh::Locality::parse(at.split(' ').nth(1).unwrap());
            let way = journey.ways.last().unwrap();
            let phase = mesh_lint::traffic::loss::Phase::Noticed;
            let range = traffic.range(&journey.client, &at, way, &[], phase);
            let arrivals = range.arrivals.iter().map(|(landing, share)| {
                assert_eq!(mesh.cluster_name(landing.cluster), "c1", "never another cluster");
                format!("{} {share}", landing.zone.as_ref().unwrap())
            });
            let failures = range.failures.values().map(|share| format!("fails {share}"));
            arrivals.chain(failures).filter(|s| !s.ends_with(" 0 %")).collect::<Vec<_>>().join(", ")
        })
    };
    assert_eq!(range(daemon.clone(), "c1 r1/a"), "r1/a 100 %", "one on each node");
    assert_eq!(range(daemon, "c1 r1/b"), "r1/b 100 %", "in each zone");
    let perhaps = range(one.clone(), "c1 r1/a");
    assert_eq!(perhaps, "r1/a 0 % to 100 %, fails 0 % to 100 %", "which node is not known");
    assert_eq!(range(one, "c1 r1/b"), "fails 100 %", "no other zone and no other cluster helps");
}

//! Where endpoints and clients are, as istiod has it from nodes, labels and entries.

use mesh_lint::mesh::{Client, Locality};
use mesh_lint::source::{Span, Text};
use mesh_lint::traffic::supply;
use mesh_lint::yaml::Entries;

use crate::world::{Asks, assert_arrives, node, object, pod, pods, rule, service, world};

const CART: &str = "ports: [{name: http, port: 80}]";

/// A node by its labels.
fn labelled_node(labels: &str) -> String {
    format!("---\napiVersion: v1\nkind: Node\nmetadata: {{name: n, labels: {{{labels}}}}}\n")
}

/// The locality of a pod on a node, as istiod writes it.
fn written(node_labels: &str, pod_labels: &str) -> String {
    let text = [
        service("shop", "cart", CART),
        labelled_node(node_labels),
        pod("shop", "cart", ("cart-1", "n"), pod_labels, ""),
    ];
    let mesh = world(&[("c1", text.concat())]);
    Asks::new("c1", "cart.shop").with(&mesh, |_, _, to| {
        let [pool] = &to.pools().collect::<Vec<_>>()[..] else { panic!("one endpoint") };
        pool.written.to_string()
    })
}

const BETA: &str = "failure-domain.beta.kubernetes.io";

/// Source: `controller_test.go`, `TestController_GetPodLocality`.
#[test]
fn the_locality_of_a_pod_is_that_of_its_node_unless_a_label_claims_another() {
    let region = format!("{BETA}/region: region1");
    let zone = format!("{BETA}/zone: zone1");
    let subzone = "topology.istio.io/subzone: subzone1";
    let full = format!("{region}, {zone}, {subzone}");
    let newer = "topology.kubernetes.io/region: region2, topology.kubernetes.io/zone: zone2";
    for (what, on, labels, expected) in [
        ("all three", full.clone(), "", "region1/zone1/subzone1"),
        ("no subzone", format!("{region}, {zone}"), "", "region1/zone1/"),
        ("a region alone", region.clone(), "", "region1//"),
        ("a zone alone", zone.clone(), "", "/zone1/"),
        ("a subzone alone", subzone.to_owned(), "", "//subzone1"),
        ("newer labels go first", format!("{full}, {newer}"), "", "region2/zone2/subzone1"),
        (
            "an empty newer label does not",
            format!("{full}, topology.kubernetes.io/region: ''"),
            "",
            "region1/zone1/subzone1",
        ),
        ("nothing", String::new(), "", ""),
        ("claimed with dots", full.clone(), "istio-locality: r.z.s", "r/z/s"),
        ("claimed with slashes", full.clone(), "istio-locality: r/z.1/s", "r/z.1/s"),
        ("claimed by the newer label", full.clone(), "topology.istio.io/locality: r.z.s", "r/z/s"),
        (
            "which goes before the older",
            full.clone(),
            "topology.istio.io/locality: r.z.s, istio-locality: x.y.z",
            "r/z/s",
        ),
    ] {
        assert_eq!(written(&on, labels), expected, "{what}");
    }
}

/// A pod without node, and one whose node is not in the input, have a locality that nobody knows.
#[test]
fn a_pod_on_an_unknown_node_is_somewhere() {
    for on in ["''", "elsewhere"] {
        let cart = pod("shop", "cart", ("cart-1", on), "", "");
        let mesh = world(&[("c1", service("shop", "cart", CART) + &cart)]);
        let known = Asks::new("c1", "cart.shop").with(&mesh, |_, _, to| to.supply.is_known());
        assert!(!known, "{on}");
    }
}

/// Source: `serviceregistry_test.go`, `TestNewEndpointBuilderTopologyLabels`.
#[test]
fn istio_adds_labels_by_place() {
    let mut text = service("shop", "cart", CART);
    text += &labelled_node("topology.kubernetes.io/region: myregion");
    text += &pod("shop", "cart", ("cart-1", "n"), "k1: v1", "");
    text += &object(
        "v1/Namespace",
        "''",
        "istio-system",
        "labels: {topology.istio.io/network: mynetwork}",
        "",
    );
    let mesh = world(&[("c1", text.clone())]);
    let label = |mesh: &_, key: &str| {
        Asks::new("c1", "cart.shop").with(mesh, |_, _, to| {
            to.pools().next().map(|pool| pool.identity.label(key).to_owned()).unwrap()
        })
    };
    for (key, expected) in [
        ("k1", "v1"),
        ("topology.kubernetes.io/region", "myregion"),
        ("topology.kubernetes.io/zone", ""),
        ("topology.istio.io/network", "mynetwork"),
        ("topology.istio.io/cluster", "c1"),
        ("kubernetes.io/hostname", "n"),
    ] {
        assert_eq!(label(&mesh, key), expected, "{key}");
    }
    let own = text.replacen("k1: v1", "topology.istio.io/network: pod-network", 1);
    let mesh = world(&[("c1", own)]);
    assert_eq!(label(&mesh, "topology.istio.io/network"), "pod-network", "a pod's own goes first");
    let network = Asks::new("c1", "cart.shop")
        .with(&mesh, |_, _, to| to.pools().next().map(|p| p.identity.network.to_string()));
    assert_eq!(network.as_deref(), Some("pod-network"), "and is its network");
}

#[test]
fn subsets_select_by_labels_of_pods_and_of_places() {
    let carts = pods("shop", "cart", "version: v1", "r1/a:1 r1/b:1");
    let carts = carts + &pods("shop", "cart", "version: v2", "r1/c:2");
    for (labels, expected) in [
        ("version: v1", "c1/r1/a=50 c1/r1/b=50"),
        ("version: v2", "c1/r1/c=100"),
        ("topology.kubernetes.io/zone: b", "c1/r1/b=100"),
        ("kubernetes.io/hostname: r1-a", "c1/r1/a=100"),
        ("version: v3", "UH=100"),
    ] {
        let subset = format!("subsets: [{{name: v, labels: {{{labels}}}}}]");
        let route =
            "spec: {hosts: [cart], http: [{route: [{destination: {host: cart, subset: v}}]}]}";
        let route = object("networking.istio.io/v1/VirtualService", "shop", "cart", "", route);
        let text = [service("shop", "cart", CART), rule("shop", "cart", &subset), route];
        let mesh = world(&[("c1", text.concat() + &carts)]);
        assert_arrives(labels, &mesh, Asks::new("c1 r1/a", "cart.shop"), expected);
    }
}

fn labels(text: &[(&str, &str)]) -> Entries<Text> {
    let plain = |text: &str| Text::new(text.to_owned(), Span::default());
    text.iter().map(|(key, value)| (plain(key), plain(value))).collect()
}

/// Labels of the pod itself say where a client is if its node says nothing; of an endpoint they are
/// labels and no more.
#[test]
fn labels_of_place_on_a_pod_count_for_clients_alone() {
    let own = "topology.kubernetes.io/region: r1, topology.kubernetes.io/zone: a";
    assert_eq!(written("", own), "", "an endpoint is where its node is");
    let text = [
        service("shop", "cart", CART),
        labelled_node(""),
        pod("shop", "cart", ("cart-1", "n"), own, ""),
    ];
    let mesh = world(&[("c1", text.concat())]);
    let zone = Asks::new("c1", "cart.shop").with(&mesh, |_, _, to| {
        let pool = to.pools().next().unwrap();
        pool.identity.label("topology.kubernetes.io/zone").to_owned()
    });
    assert_eq!(zone, "a", "with these labels");
    let cluster = mesh.clusters()[0].id;
    let keys = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"];
    for (what, carried, at, expected) in [
        ("its node tells nothing", vec![(keys[0], "r1"), (keys[1], "a")], "", "r1/a"),
        ("its node goes first", vec![(keys[0], "r1"), (keys[1], "a")], "r2/b", "r2/b"),
        ("part by part", vec![(keys[0], "r1"), (keys[1], "a")], "r2", "r2/a"),
        ("a claim goes before the node", vec![("istio-locality", "r3.c")], "r2/b", "r3/c"),
        ("nothing at all", vec![], "", ""),
    ] {
        let carried = labels(&carried);
        let client = Client { cluster, namespace: "shop", labels: Some(&carried), locality: None };
        let found = supply::client(&mesh, &client, &Locality::parse(at));
        assert_eq!(found.locality.to_string(), expected, "{what}");
    }
}

const OUTSIDE: &str = "hosts: [outside.example], location: MESH_INTERNAL, resolution: STATIC, \
     ports: [{number: 80, name: http, protocol: HTTP}]";

fn entry(spec: &str) -> String {
    let kind = "networking.istio.io/v1/ServiceEntry";
    object(kind, "shop", "outside", "", &format!("spec: {{{OUTSIDE}, {spec}}}"))
}

fn machine(name: &str, labels: &str, spec: &str) -> String {
    let spec = format!("spec: {{labels: {{{labels}}}, {spec}}}");
    object("networking.istio.io/v1/WorkloadEntry", "shop", name, "", &spec)
}

/// Source: `serviceentry/conversion.go`, `convertEndpoint`.
#[test]
fn entries_tell_their_place_and_weight_themselves() {
    for (what, endpoints, expected) in [
        (
            "localities",
            "{address: 10.0.0.1, locality: r/z/s}, {address: 10.0.0.2, locality: r/y}",
            "c1/r/y=50 c1/r/z=50",
        ),
        (
            "weights; none is 1",
            "{address: 10.0.0.1, locality: r/z, weight: 3}, {address: 10.0.0.2, locality: r/y}",
            "c1/r/y=25 c1/r/z=75",
        ),
        (
            "a label where there is no locality",
            "{address: 10.0.0.1, labels: {istio-locality: r.z}}",
            "c1/r/z=100",
        ),
        ("nowhere", "{address: 10.0.0.1}", "c1/=100"),
        (
            "no address, and no gateway",
            "{locality: r/z}, {address: 10.0.0.2, locality: r/y}",
            "c1/r/y=100",
        ),
    ] {
        let mesh = world(&[("c1", entry(&format!("endpoints: [{endpoints}]")))]);
        assert_arrives(what, &mesh, Asks::new("c1 r/z", "outside.example"), expected);
    }
    let text = entry("endpoints: [{address: 10.0.0.1, locality: r/z/s}]");
    let mesh = world(&[("c1", text)]);
    let written = Asks::new("c1", "outside.example")
        .with(&mesh, |_, _, to| to.pools().map(|p| p.written.to_string()).collect::<Vec<_>>());
    assert_eq!(written, ["r/z/s"]);
}

#[test]
fn selectors_take_pods_and_machines() {
    let selecting = entry("workloadSelector: {labels: {app: cart}}");
    let machines = machine("vm-1", "app: cart", "address: 10.1.0.1, locality: r1/b")
        + &machine("vm-2", "app: other", "address: 10.1.0.2, locality: r1/c");
    let carts = object(
        "apps/v1/Deployment",
        "shop",
        "cart",
        "",
        "spec: {replicas: 2, selector: {matchLabels: {app: cart}}, template: {metadata: {labels: {app: cart}}}}",
    );
    let nodes = node("r1/a");
    let text = [selecting.clone(), machines.clone(), carts, nodes].concat();
    let mesh = world(&[("c1", text)]);
    let asks = Asks::new("c1 r1/a", "outside.example");
    assert_arrives("a ServiceEntry takes both", &mesh, asks, "c1/r1/a=66.67 c1/r1/b=33.33");
    let text = [service("shop", "cart", CART), machines, pods("shop", "cart", "", "r1/a:1")];
    let mesh = world(&[("c1", text.concat())]);
    let asks = Asks::new("c1 r1/a", "cart.shop");
    assert_arrives("so does a Service", &mesh, asks, "c1/r1/a=50 c1/r1/b=50");
    let mesh = world(&[("c1", selecting)]);
    let known = Asks::new("c1", "outside.example").with(&mesh, |_, _, to| to.supply.is_known());
    assert!(!known, "who is selected may be elsewhere");
}

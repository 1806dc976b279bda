//! Endpoints of other networks: which gateways lead there, for whom, and whether anything does.

#![expect(clippy::too_many_lines, reason = "a table is as long as its rows")]

use std::sync::Arc;

use mesh_lint::traffic::assignment::{Filter, groups};
use mesh_lint::traffic::endpoint::{Endpoint, Families, Identity, NetworkGateway, Proxy};
use mesh_lint::traffic::mtls::Mtls;
use mesh_lint::traffic::network;

use crate::assignment::{endpoint, members};
use crate::calls::{
    Caller, HOST, labels, manifest, object, pods, pods_with, rule, service, two_clusters,
};
use crate::scene::{gateways, identity};

/// The weight of all groups together.
fn weight(client: &Identity, all: &[Endpoint], gateways: &[NetworkGateway]) -> Option<u32> {
    groups(client, all, gateways, Filter::default())
        .iter()
        .filter_map(|g| g.weight)
        .reduce(|a, b| a + b)
}

/// The endpoints and gateways of Istio's own test. Source: `ep_filters_test.go`, `environment`.
fn four_networks() -> (Vec<Endpoint>, Vec<NetworkGateway>) {
    let mut known = gateways(
        "network1/1a/1.1.1.1 network2/2a/2.2.2.2 network2/2b/2.2.2.20 network2/2b/2.2.2.21 \
         network3/3/3.3.3.3",
    );
    known.iter_mut().for_each(|gateway| gateway.hbone = *gateway.network != *"network1");
    let by_hbone = Endpoint { mtls: Mtls::Unable, ..endpoint("1a", "network1", "", "") };
    let all = vec![
        endpoint("1a", "network1", "", ""),
        by_hbone,
        endpoint("1b", "network1", "", ""),
        endpoint("2a", "network2", "", ""),
        Endpoint { count: 2, ..endpoint("2b", "network2", "", "") },
        endpoint("4", "network4", "", ""),
    ];
    (all, known)
}

/// Source: `ep_filters_test.go`, `TestEndpointsByNetworkFilter` and `_WithConfig`.
#[test]
fn other_networks_are_reached_through_their_gateways() {
    let (all, known) = four_networks();
    let first = "1a:1x6 1a:1x6 1b:1x6 2.2.2.20:6 2.2.2.21:6 2.2.2.2:6 4:1x6";
    let second = "1.1.1.1:12 2a:1x6 2b:2x6 4:1x6";
    let elsewhere = "1.1.1.1:12 2.2.2.20:6 2.2.2.21:6 2.2.2.2:6 4:1x6";
    for (client, wanted, weighs) in [
        ("1a@network1", first, 42),
        ("1b@network1", first, 42),
        ("2a@network2", second, 36),
        ("2b@network2", second, 36),
        ("3@network3", elsewhere, 36),
        ("4@network4", elsewhere, 36),
    ] {
        let client = identity(client);
        // The word of a DestinationRule gives no sidecar to those without.
        for mtls in [None, Some(true)] {
            let filter = Filter { mtls, ..Filter::default() };
            assert_eq!(members(&client, &all, &known, filter), wanted, "{client:?}");
        }
        assert_eq!(weight(&client, &all, &known), Some(weighs), "{client:?}");
    }
}

#[test]
fn without_mtls_nothing_crosses_networks() {
    let (mut all, known) = four_networks();
    for by_policy in [false, true] {
        let filter = Filter { mtls: by_policy.then_some(false), ..Filter::default() };
        for (client, wanted) in [
            ("1a@network1", "1a:1x6 1a:1x6 1b:1x6 4:1x6"),
            ("1b@network1", "1a:1x6 1a:1x6 1b:1x6 4:1x6"),
            ("2a@network2", "2a:1x6 2b:2x6 4:1x6"),
            ("2b@network2", "2a:1x6 2b:2x6 4:1x6"),
            ("3@network3", "4:1x6"),
            ("4@network4", "4:1x6"),
        ] {
            let mut changed = all.clone();
            if !by_policy {
                changed.iter_mut().for_each(|e| e.mtls = e.mtls.max(Mtls::Disabled));
            }
            assert_eq!(members(&identity(client), &changed, &known, filter), wanted, "{client}");
        }
    }
    all.iter_mut().for_each(|e| e.mtls = e.mtls.max(Mtls::Disabled));
    let told = Filter { mtls: Some(true), ..Filter::default() };
    let found = members(&identity("2a@network2"), &all, &known, told);
    assert_eq!(found, "1.1.1.1:12 2a:1x6 2b:2x6 4:1x6", "a DestinationRule goes before policies");
}

/// Source: `ep_filters_test.go`, `ProxyWithEmptyNetwork`.
#[test]
fn a_client_without_network_goes_through_gateways_wherever_there_are_any() {
    let known = gateways("network-1/c/1.1.1.1 network-2/c/2.2.2.2");
    let nowhere = |e: Endpoint| Endpoint { addressed: false, ..e };
    let all = [
        endpoint("a", "without-gateway", "", ""),
        endpoint("b", "network-1", "", ""),
        nowhere(endpoint("c", "network-2", "", "")),
        nowhere(endpoint("d", "without-gateway", "", "")),
    ];
    let client = identity("x");
    assert_eq!(members(&client, &all, &known, Filter::default()), "1.1.1.1:1 2.2.2.2:1 a:1x1");
    assert_eq!(weight(&client, &all, &known), Some(3));
    assert_eq!(members(&client, &all, &[], Filter::default()), "a:1x1 b:1x1", "without gateways");
}

/// Source: `ep_filters_test.go`, `GatewayIPFamily`.
#[test]
fn gateways_are_reached_by_the_clients_versions_of_ip() {
    let both = "network1/c1/1.1.1.1 network2/c2/2.2.2.2 network2/c2/2001:db8:2::1";
    let six = "network1/c1/1.1.1.1 network2/c2/2001:db8:2::1";
    let all = [endpoint("c2", "network2", "", "")];
    for (families, ways, wanted, weighs) in [
        (Families::V4, both, "2.2.2.2:2", Some(2)),
        (Families::V6, both, "2001:db8:2::1:2", Some(2)),
        (Families::Both, both, "2.2.2.2:1 2001:db8:2::1:1", Some(2)),
        (Families::V4, six, "", None),
        (Families::Unknown, both, "2.2.2.2:1 2001:db8:2::1:1", Some(2)),
    ] {
        let proxy = Proxy { families, ..Proxy::default() };
        let client = Identity { proxy, ..identity("c1@network1") };
        let known = gateways(ways);
        assert_eq!(members(&client, &all, &known, Filter::default()), wanted, "{families:?}");
        assert_eq!(weight(&client, &all, &known), weighs, "{families:?}");
    }
}

/// Source: `ep_filters_test.go`, `AmbientMuiltiNetwork`.
#[test]
fn waypoints_reach_other_networks_by_hbone_or_not_at_all() {
    let (all, known) = four_networks();
    for (client, wanted, weighs) in [
        ("1a@network1", "1a:1x6 1a:1x6 1b:1x6 2.2.2.20:6 2.2.2.21:6 2.2.2.2:6", 36),
        ("1b@network1", "1a:1x6 1a:1x6 1b:1x6 2.2.2.20:6 2.2.2.21:6 2.2.2.2:6", 36),
        ("2a@network2", "2a:1x6 2b:2x6", 18),
    ] {
        let proxy = Proxy { waypoint: true, ..Proxy::default() };
        let client = Identity { proxy, ..identity(client) };
        assert_eq!(members(&client, &all, &known, Filter::default()), wanted, "{client:?}");
        assert_eq!(weight(&client, &all, &known), Some(weighs), "{client:?}");
    }
}

/// Source: `ep_filters_test.go`, `TestEndpointsWithMTLSFilter`.
#[test]
fn a_gateway_that_hands_on_mtls_gets_endpoints_that_take_it() {
    let (all, known) = four_networks();
    let first = "1a:1x6 1b:1x6 2.2.2.20:6 2.2.2.21:6 2.2.2.2:6 4:1x6";
    for (client, mtls, wanted) in [
        ("1a@network1", None, first),
        ("1a@network1", Some(true), first),
        ("2a@network2", None, "1.1.1.1:12 2a:1x6 2b:2x6 4:1x6"),
        ("1a@network1", Some(false), ""),
    ] {
        let proxy = Proxy { passthrough: true, ..Proxy::default() };
        let client = Identity { proxy, ..identity(client) };
        let filter = Filter { mtls, ..Filter::default() };
        assert_eq!(members(&client, &all, &known, filter), wanted, "{client:?}");
    }
}

/// Source: `proxy_view.go`; `mesh_network_test.go`.
#[test]
fn a_client_sees_the_networks_it_asks_for_and_those_without_name() {
    let all = [endpoint("a", "vm", "", ""), endpoint("b", "n1", "", ""), endpoint("c", "", "", "")];
    for (view, wanted) in [
        (&[][..], "a:1x1 b:1x1 c:1x1"),
        (&["vm"], "a:1x1 c:1x1"),
        (&["vm", "n1"], "a:1x1 b:1x1 c:1x1"),
        (&["n2"], "c:1x1"),
    ] {
        let view: Vec<Arc<str>> = view.iter().map(|network| Arc::from(*network)).collect();
        let proxy = Proxy { view, ..Proxy::default() };
        let client = Identity { proxy, ..identity("x@vm") };
        assert_eq!(members(&client, &all, &[], Filter::default()), wanted);
    }
}

/// A cluster on a network of its own: its gateway, the Service and its pods.
fn cluster(network: &str, pods: &str) -> String {
    let label = format!("labels: {{topology.istio.io/network: {network}}}");
    let root = manifest("Namespace", &format!("name: istio-system, {label}"), "");
    let ports = "type: LoadBalancer, ports: [{name: tls, port: 15443}]";
    let metadata = format!("name: gateway, namespace: istio-system, {label}");
    let gateway = manifest("Service", &metadata, &format!("spec: {{{ports}}}"));
    root + &gateway + &service("") + pods
}

/// Whether pods of another network get requests, for the client's cluster having these objects.
fn crosses(objects: &str, of_subset: bool, west: &str) -> bool {
    let east = cluster("n1", &pods("one", "a", "")) + objects;
    let mesh = two_clusters(&east, &cluster("n2", west));
    let none = labels(&[]);
    let caller = Caller::of(&mesh, &none);
    match &*caller.shares(&caller.destination(HOST, of_subset)) {
        "east/r1/a=50 west=50" => true,
        "east/r1/a=100" => false,
        other => panic!("{objects}: {other}"),
    }
}

fn peers(namespace: &str, spec: &str) -> String {
    object("PeerAuthentication", namespace, "peers", spec)
}

/// Source: `ep_filters_test.go`, `mtlsCases`.
#[test]
fn policies_decide_whether_other_networks_are_reached() {
    let off = "mtls: {mode: DISABLE}";
    let selecting = |app: &str| format!("selector: {{matchLabels: {{app: {app}}}}}, ");
    let of_port = "portLevelMtls: {8080: {mode: DISABLE}}";
    let other_port = "portLevelMtls: {80: {mode: DISABLE}}";
    let example = selecting("example");
    let unset = object("PeerAuthentication", "ns", "unset", "mtls: {mode: UNSET}");
    let strict = format!("{example}mtls: {{mode: STRICT}}");
    let strict = object("PeerAuthentication", "ns", "strict", &strict);
    for (what, objects, reached) in [
        ("nothing is said", String::new(), true),
        ("the root says it of others", peers("istio-system", &(selecting("b") + off)), true),
        ("STRICT for the mesh", peers("istio-system", "mtls: {mode: STRICT}"), true),
        ("DISABLE for the mesh", peers("istio-system", off), false),
        ("DISABLE for the namespace", peers("ns", off), false),
        ("DISABLE for another namespace", peers("other", off), true),
        ("DISABLE for the workload", peers("ns", &format!("{example}{off}")), false),
        ("DISABLE for the pods' port", peers("ns", &format!("{example}{of_port}")), false),
        (
            "the Service's port is none of theirs",
            peers("ns", &format!("{example}{other_port}")),
            true,
        ),
        ("a port in what is for all", peers("ns", of_port), true),
        ("what is unset is inherited", peers("istio-system", off) + &unset, false),
        ("the workload's goes first", peers("ns", off) + &strict, true),
        (
            "a rule says ISTIO_MUTUAL all the same",
            peers("ns", off) + &rule("tls: {mode: ISTIO_MUTUAL}"),
            true,
        ),
    ] {
        assert_eq!(crosses(&objects, false, &pods("two", "b", "")), reached, "{what}");
    }
}

/// Source: `ep_filters_test.go`, `mtlsCases`; `mtls_checker.go`.
#[test]
fn rules_decide_whether_other_networks_are_reached() {
    let on = "tls: {mode: ISTIO_MUTUAL}";
    let off = "tls: {mode: DISABLE}";
    let of_port = |tls: &str| format!("portLevelSettings: [{{port: {{number: 80}}, {tls}}}]");
    let other_host = object(
        "DestinationRule",
        "ns",
        "other",
        &format!("host: other.ns.svc.cluster.local, trafficPolicy: {{{off}}}"),
    );
    assert!(crosses(&other_host, false, &pods("two", "b", "")), "a rule for another host");
    let pool = "connectionPool: {tcp: {maxConnections: 1}}";
    for (what, of_rule, reached) in [
        ("ISTIO_MUTUAL", on.to_owned(), true),
        ("ISTIO_MUTUAL for the port", of_port(on), true),
        ("DISABLE", off.to_owned(), false),
        ("DISABLE for the port", of_port(off), false),
        ("SIMPLE", "tls: {mode: SIMPLE}".to_owned(), false),
        ("no mode is DISABLE", "tls: {sni: example.com}".to_owned(), false),
        ("the port's goes first", format!("{off}, {}", of_port(on)), true),
        ("a port without tls leaves the rule's", format!("{off}, {}", of_port(pool)), false),
    ] {
        assert_eq!(crosses(&rule(&of_rule), false, &pods("two", "b", "")), reached, "{what}");
    }
    for (what, of_rule, of_subset, version, reached) in [
        ("the subset switches it off", on, off, "1.31.0", false),
        ("the subset switches it on", off, on, "1.31.0", true),
        ("the subset says nothing, the rule DISABLE", off, pool, "1.31.0", false),
        ("the subset says nothing, the rule ISTIO_MUTUAL", on, pool, "1.31.0", true),
        ("once, that left it to the endpoints", off, pool, "1.30.1", true),
        ("once, the subset switched it off", on, off, "1.30.1", false),
    ] {
        let policy = format!("trafficPolicy: {{{of_subset}}}");
        let subset = format!("{{name: v1, labels: {{app: example}}, {policy}}}");
        let spec = format!("host: example, trafficPolicy: {{{of_rule}}}, subsets: [{subset}]");
        let rule = object("DestinationRule", "ns", "example", &spec) + &istiod(version);
        assert_eq!(crosses(&rule, true, &pods("two", "b", "")), reached, "{what}");
    }
}

fn istiod(version: &str) -> String {
    let container = format!("{{name: discovery, image: 'pilot:{version}'}}");
    let spec = format!("spec: {{template: {{spec: {{containers: [{container}]}}}}}}");
    let metadata = "name: istiod, namespace: istio-system, labels: {app: istiod}";
    manifest("Deployment", metadata, &spec)
}

#[test]
fn pods_without_a_sidecar_are_not_reached_from_other_networks() {
    for (what, metadata, reached) in [
        ("injected, as far as is known", "labels: {app: example}", true),
        ("a label opts out", "labels: {app: example, sidecar.istio.io/inject: 'false'}", false),
        (
            "an annotation opts out",
            "labels: {app: example}, annotations: {sidecar.istio.io/inject: 'false'}",
            false,
        ),
        ("mTLS is off", "labels: {app: example, security.istio.io/tlsMode: disabled}", false),
        ("in ambient", "labels: {app: example, istio.io/dataplane-mode: ambient}", false),
    ] {
        let west = pods_with("two", "b", metadata);
        assert_eq!(crosses("", false, &west), reached, "{what}");
        let told = rule("tls: {mode: ISTIO_MUTUAL}");
        assert_eq!(crosses(&told, false, &west), reached, "{what}, whatever a rule says");
    }
    let namespace = "name: ns, labels: {istio.io/dataplane-mode: ambient}";
    let west = pods("two", "b", "") + &manifest("Namespace", namespace, "");
    assert!(!crosses("", false, &west), "all of the namespace in ambient");
}

/// The gateway's own control plane tells it where to go on.
#[test]
fn a_gateway_chooses_again_among_what_takes_mtls() {
    let label = "labels: {topology.istio.io/network: n2}";
    let spec = "type: LoadBalancer, selector: {istio: gateway}, ports: [{port: 15443}]";
    let metadata = format!("name: gateway, namespace: istio-system, {label}");
    let pod = "{nodeSelector: {topology.kubernetes.io/zone: c}}";
    let template = format!("template: {{metadata: {{labels: {{istio: gateway}}}}, spec: {pod}}}");
    let deployment = format!("replicas: 1, selector: {{}}, {template}");
    let west = manifest("Namespace", &format!("name: istio-system, {label}"), "")
        + &manifest("Service", &metadata, &format!("spec: {{{spec}}}"))
        + &object("Deployment", "istio-system", "gateway", &deployment)
        + &service("")
        + &pods("two", "b", "");
    let naked = pods("three", "c", ", sidecar.istio.io/inject: 'false'");
    let mesh = two_clusters(&cluster("n1", &pods("one", "a", "")), &(west + &naked));
    let none = labels(&[]);
    let caller = Caller::of(&mesh, &none);
    let shares = caller.shares(&caller.destination(HOST, false));
    assert_eq!(shares, "east/r1/a=50 west/r1/b=50");
}

/// Addresses of a network's gateways with their ports, `1.1.1.1:15443`.
fn ways(objects: &str, network: &str) -> String {
    let namespace = |network: &str| {
        let label = format!("labels: {{topology.istio.io/network: {network}}}");
        manifest("Namespace", &format!("name: istio-system, {label}"), "")
    };
    let west = namespace("n2") + objects;
    let mesh = two_clusters(&namespace("n1"), &west);
    let found = network::gateways(&mesh, mesh.clusters()[0].id);
    let found = found.iter().filter(|gateway| *gateway.known.network == *network);
    let shown = found.map(|gateway| {
        let port = gateway.known.port.map_or("?".to_owned(), |port| port.to_string());
        format!("{}:{port}", gateway.known.address)
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// Source: `mesh_network_test.go`; `kube/controller/network.go`; `kube/conversion.go`.
#[test]
fn a_gateway_is_reached_from_outside_its_cluster() {
    let nodes = "traffic.istio.io/nodeSelector: '{}'";
    let by_label = "networking.istio.io/gatewayPort: '443'";
    let taken_for_granted = "n2 of west:15443";
    let stands_for_it = "gateway.istio-system of west";
    for (what, labels, annotations, spec, wanted) in [
        (
            "a load balancer",
            "",
            "",
            "type: LoadBalancer, ports: [{port: 15443, targetPort: 8443, nodePort: 25443}]",
            format!("{stands_for_it}:15443"),
        ),
        (
            "addresses from outside",
            "",
            "",
            "externalIPs: [2.2.2.2, 2001:db8::2], ports: [{port: 15443}]",
            "2.2.2.2:15443 2001:db8::2:15443".to_owned(),
        ),
        (
            "a port of each node",
            "",
            nodes,
            "type: NodePort, ports: [{port: 15443, nodePort: 25443}]",
            format!("{stands_for_it}:25443"),
        ),
        (
            "another port, and its port of each node",
            by_label,
            nodes,
            "type: NodePort, ports: [{port: 443, nodePort: 25443}]",
            format!("{stands_for_it}:25443"),
        ),
        (
            "another port of a load balancer",
            by_label,
            "",
            "type: LoadBalancer, ports: [{port: 443}]",
            format!("{stands_for_it}:443"),
        ),
        (
            "a port of each node that Kubernetes chooses",
            "",
            nodes,
            "type: NodePort, ports: [{port: 15443}]",
            format!("{stands_for_it}:?"),
        ),
        (
            "nodes that are no addresses",
            "",
            "",
            "type: NodePort, ports: [{port: 15443, nodePort: 25443}]",
            taken_for_granted.to_owned(),
        ),
        ("within the cluster only", "", "", "ports: [{port: 15443}]", taken_for_granted.to_owned()),
    ] {
        let labels = format!("labels: {{topology.istio.io/network: n2, {labels}}}");
        let metadata = format!(
            "name: gateway, namespace: istio-system, {labels}, annotations: {{{annotations}}}"
        );
        let gateway = manifest("Service", &metadata, &format!("spec: {{{spec}}}"));
        assert_eq!(ways(&gateway, "n2"), wanted, "{what}");
    }
}

/// Source: `pilot/pkg/model/network.go`; `kube/controller/network.go`, `reloadMeshNetworks`.
#[test]
fn mesh_networks_tell_of_gateways() {
    let told = |gateways: &str| {
        let network = format!("{{endpoints: [{{fromRegistry: west}}], gateways: [{gateways}]}}");
        let data = format!("data:\n  meshNetworks: |\n    {{networks: {{n2: {network}}}}}");
        manifest("ConfigMap", "name: istio, namespace: istio-system", &data)
    };
    let spec = "type: LoadBalancer, ports: [{port: 443}]";
    let gateway = object("Service", "istio-system", "gateway", spec);
    let by_name = "{registryServiceName: gateway.istio-system.svc.cluster.local, port: 443}";
    for (what, gateways, wanted) in [
        ("an address", "{address: 1.1.1.1, port: 15443}", "1.1.1.1:15443"),
        (
            "two addresses",
            "{address: 1.1.1.1, port: 15443}, {address: 1.1.1.2, port: 443}",
            "1.1.1.1:15443 1.1.1.2:443",
        ),
        (
            "two ports of one address",
            "{address: 1.1.1.1, port: 15443}, {address: 1.1.1.1, port: 443}",
            "1.1.1.1:15443 1.1.1.1:443",
        ),
        ("a Service of the network's cluster", by_name, "gateway.istio-system of west:443"),
    ] {
        assert_eq!(ways(&(told(gateways) + &gateway), "n2"), wanted, "{what}");
    }
}

/// Source: `endpoint_builder.go`, `BuildClusterLoadAssignment`.
#[test]
fn names_are_addresses_for_dns_alone() {
    for (resolution, wanted) in [("STATIC", "r1/a=100"), ("DNS", "r1/a=50 r1/b=50")] {
        let endpoints = "{address: 1.2.3.4, locality: r1/a}, {address: foo.bar, locality: r1/b}";
        let spec = format!(
            "hosts: [vms.test], ports: [{{number: 80, name: http, protocol: HTTP}}], \
             resolution: {resolution}, endpoints: [{endpoints}]"
        );
        let mesh = super::mesh(&[("east/all.yaml", &object("ServiceEntry", "ns", "vms", &spec))]);
        let none = labels(&[]);
        let caller = Caller::of(&mesh, &none);
        assert_eq!(caller.shares(&caller.destination("vms.test", false)), wanted, "{resolution}");
    }
}

//! What files do not tell, both ways: which of two rules is older, and which locality a gateway that
//! leads to several counts in.

use mesh_lint::mesh::{Locality, Mesh, Order};
use mesh_lint::traffic::Traffic;
use mesh_lint::traffic::flow::Counted;
use mesh_lint::traffic::journey::Journey;
use mesh_lint::traffic::loss::Phase;
use mesh_lint::traffic::route::Request;

use crate::folder::put;
use crate::program::run;
use crate::world::{Asks, files, object, pods, service, world};

const CART: &str = "ports: [{name: http, port: 80}]";

fn rule(name: &str, spec: &str) -> String {
    let spec = format!("spec: {{host: cart, {spec}}}");
    object("networking.istio.io/v1/DestinationRule", "shop", name, "", &spec)
}

fn route(name: &str, subset: &str) -> String {
    let to = format!("route: [{{destination: {{host: cart, subset: {subset}}}}}]");
    let spec = format!("spec: {{hosts: [cart], http: [{{{to}}}]}}");
    object("networking.istio.io/v1/VirtualService", "shop", name, "", &spec)
}

/// Shares in whole per cent, and whether the order decides.
fn arrives(mesh: &Mesh, order: Order, counted: Counted, at: &str) -> (String, bool) {
    Asks::new(at, "cart.shop").with(mesh, |traffic, journey, _| {
        let client = journey.client;
        let host = "cart.shop.svc.cluster.local";
        let journey = traffic.journey_by(order, client, host, 80, &Request::default());
        (shown(traffic, &journey, counted, at), journey.order_decides())
    })
}

fn shown<'m>(traffic: &Traffic<'m>, journey: &Journey<'m>, counted: Counted, at: &str) -> String {
    let at = Locality::parse(at.split(' ').nth(1).unwrap());
    let way = journey.ways.last().unwrap();
    let none = (&[][..], Phase::Noticed);
    let range = traffic.range_counted(&journey.client, &at, way, none, counted);
    let name = |landing: &mesh_lint::traffic::flow::Landing| {
        let zone = landing.zone.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{}/{zone}", traffic.mesh().cluster_name(landing.cluster))
    };
    let all = range.arrivals.iter().filter(|(_, share)| share.most > 0.0);
    all.map(|(to, share)| format!("{}={share}", name(to))).collect::<Vec<_>>().join(" ")
}

#[test]
fn age_decides_between_rules_for_one_host() {
    let near = "trafficPolicy: {outlierDetection: {}}";
    let flat = "trafficPolicy: {loadBalancer: {simple: RANDOM}}";
    let subset = |zone: &str| {
        format!("subsets: [{{name: v, labels: {{topology.kubernetes.io/zone: {zone}}}}}]")
    };
    let subsets = "subsets: [{name: a, labels: {topology.kubernetes.io/zone: a}}, \
         {name: b, labels: {topology.kubernetes.io/zone: b}}]";
    let both = "c1/r1/a=50 % c1/r1/b=50 %";
    for (what, objects, by_name, reversed) in [
        ("one rule", rule("x", near), ("c1/r1/a=100 %", false), "c1/r1/a=100 %"),
        (
            "merged: the older policy counts",
            rule("x", near) + &rule("y", flat),
            ("c1/r1/a=100 %", true),
            both,
        ),
        (
            "apart: the newer rule counts",
            rule("x", near) + &rule("y", &format!("exportTo: [., web], {flat}")),
            (both, true),
            "c1/r1/a=100 %",
        ),
        (
            "a subset of one name: the older counts",
            rule("x", &subset("a")) + &rule("y", &subset("b")) + &route("cart", "v"),
            ("c1/r1/a=100 %", true),
            "c1/r1/b=100 %",
        ),
        (
            "two VirtualServices: the older has the host",
            rule("x", subsets) + &route("one", "a") + &route("two", "b"),
            ("c1/r1/a=100 %", true),
            "c1/r1/b=100 %",
        ),
    ] {
        let carts = service("shop", "cart", CART) + &pods("shop", "cart", "", "r1/a:1 r1/b:1");
        let mesh = world(&[("c1", carts + &objects)]);
        let found = arrives(&mesh, Order::Names, Counted::First, "c1 r1/a");
        assert_eq!((found.0.as_str(), found.1), by_name, "{what}");
        let other = arrives(&mesh, Order::Reversed, Counted::First, "c1 r1/a");
        assert_eq!(other.0, reversed, "{what}, the other way round");
    }
}

/// Two clusters on networks of their own, with the same zones and a gateway each.
fn two_networks() -> Vec<(&'static str, String)> {
    let cluster = |network: &str, more: &str| {
        let label = format!("labels: {{topology.istio.io/network: {network}}}");
        let east_west =
            "spec: {type: LoadBalancer, selector: {app: gw}, ports: [{name: tls, port: 15443}]}";
        [
            service("shop", "cart", CART),
            pods("shop", "cart", "", "r1/a:2 r1/b:2"),
            rule("cart", "trafficPolicy: {outlierDetection: {}}"),
            object("v1/Namespace", "''", "istio-system", &label, ""),
            object("v1/Service", "istio-system", "gw", &label, east_west),
            pods("istio-system", "gw", "", "r1/a:1"),
            more.to_owned(),
        ]
        .concat()
    };
    vec![("c1", cluster("n1", "")), ("c2", cluster("n2", ""))]
}

#[test]
fn a_gateway_to_several_localities_counts_in_one() {
    let mesh = world(&two_networks());
    let at = |zone, counted| arrives(&mesh, Order::Names, counted, zone).0;
    // It is as near as the locality it counts in, and what is behind it is near to the gateway itself.
    assert_eq!(at("c1 r1/a", Counted::First), "c1/r1/a=50 % c2/r1/a=50 %");
    assert_eq!(at("c1 r1/b", Counted::First), "c1/r1/b=100 %");
    assert_eq!(at("c1 r1/a", Counted::Last), "c1/r1/a=100 %");
    assert_eq!(at("c1 r1/b", Counted::Last), "c1/r1/b=50 % c2/r1/a=50 %");
    // What istiod asks for: the other network is as near in both.
    assert_eq!(at("c1 r1/a", Counted::Each), "c1/r1/a=50 % c2/r1/a=50 %");
    assert_eq!(at("c1 r1/b", Counted::Each), "c1/r1/b=50 % c2/r1/a=50 %");
}

/// What the program prints about these clusters.
fn printed(clusters: &[(&str, String)], args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files(clusters) {
        put(&folder, &path, &text);
    }
    let done = run(&folder, &[&["traffic", "--to", "cart.shop"], args].concat());
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn the_report_shows_both_ways() {
    let near = "trafficPolicy: {outlierDetection: {}}";
    let carts = || service("shop", "cart", CART) + &pods("shop", "cart", "", "r1/a:1 r1/b:1");
    let two = carts() + &rule("x", near) + &rule("y", "trafficPolicy: {tls: {mode: DISABLE}}");
    let text = printed(&[("c1", two.clone())], &["--from", "c1/a"]);
    let (now, other) = text.split_once("were the rules created in the other order:").unwrap();
    assert!(now.contains("c1  r1/a  100 %"), "{text}");
    assert!(other.contains("c1  r1/a  50 %"), "{text}");
    assert!(other.contains("endpoints are not ranked, all are alike"), "and why: {text}");

    let alike = carts() + &rule("x", near) + &rule("y", near);
    let text = printed(&[("c1", alike)], &["--from", "c1/a"]);
    let same = "were the rules created in the other order, the shares would be the same";
    assert!(text.contains(same), "{text}");
    let text = printed(&[("c1", carts() + &rule("x", near))], &["--from", "c1/a"]);
    assert!(!text.contains("created in the other order"), "where no order decides: {text}");

    let text = printed(&two_networks(), &["--from", "c1/r1/b"]);
    let (_, other) = text.split_once("did gateways count in the last of their localities").unwrap();
    assert!(other.contains("c2  r1/a  50 %"), "{text}");

    let text = printed(&[("c1", two)], &["--from", "c1/a", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let other = &json["from"][0]["otherwise"][0];
    assert_eq!(other["if"], "were the rules created in the other order");
    assert_eq!(other["same"], false);
    let shares = other["ways"][0]["flows"][0]["shares"].as_array().unwrap();
    let least: Vec<_> = shares.iter().map(|share| share["least"].as_f64().unwrap()).collect();
    assert_eq!(least, [0.5, 0.5]);
}

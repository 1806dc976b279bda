//! What is tried again, and what of Envoy's other ways of choosing comes to the same: measured on a real
//! one (1,000 requests or more each).

use mesh_lint::traffic::assignment::Group;
use mesh_lint::traffic::loss::{Lost, Phase};
use mesh_lint::traffic::retries::Tried;
use mesh_lint::traffic::selection::{Choice, Ejected, select};

use crate::hosts::{Hosts, hosts};
use crate::world::{Asks, mesh_config, object, pods, rule, service, world};

/// The share of hosts that fail, and how many of them can be drawn.
fn failing(text: &str) -> (f64, u32) {
    let all = hosts(text);
    let groups: Vec<Group<'_>> = all.iter().map(Hosts::group).collect();
    let selection = select(&groups, &Ejected::new(), Choice::default());
    let fails = selection.shares.iter().filter(|s| all[s.group].failing[s.member]);
    let count = |s: &mesh_lint::traffic::selection::Share| groups[s.group].members[s.member].count;
    fails.fold((0.0, 0), |(share, hosts), s| (share + s.share, hosts + count(s)))
}

fn near(found: f64, wanted: f64, tolerance: f64) -> bool {
    (found - wanted).abs() < tolerance
}

#[test]
fn retries_stay_where_all_requests_go() {
    for (what, hosts, retries, fails, of_attempts) in [
        ("a priority that fails as a whole keeps its retries", "0/a:2x 1/b:2", 2, 100.0, 100.0),
        ("one bad host of three", "0/a:1x+2", 2, 0.0, 24.9),
        ("no retries", "0/a:1x+2", 0, 33.3, 33.3),
        ("one retry past two of four", "0/a:2x+2", 1, 16.7, 44.4),
        ("all good", "0/a:3", 2, 0.0, 0.0),
        ("what overflows to the next priority is drawn there", "0/a:2x+2u 1/b:2", 2, 4.5, 54.0),
    ] {
        let (share, bad) = failing(hosts);
        let tried = Tried::of(share, bad, retries);
        assert!(near(100.0 * tried.failing, fails, 0.2), "{what}: {tried:?}");
        let part = 100.0 * tried.failed_attempts / tried.attempts;
        assert!(near(part, of_attempts, 1.0), "{what}: {part} of the attempts");
    }
}

/// Shares in per cent of the zones `a` and `b`, by whichever priority.
fn shares(text: &str, choice: Choice<'_>) -> [f64; 2] {
    let all = hosts(text);
    let groups: Vec<Group<'_>> = all.iter().map(Hosts::group).collect();
    let selection = select(&groups, &Ejected::new(), choice);
    let of = |zone: &str| {
        let there = selection.shares.iter().filter(|s| all[s.group].locality.zone == zone);
        100.0 * there.map(|s| s.share).sum::<f64>()
    };
    [of("a"), of("b")]
}

/// Ring hash and Maglev, over many keys; hosts that call themselves degraded; no hosts at all; zone-aware
/// routing that is switched off.
#[test]
fn other_ways_of_choosing_come_to_the_same() {
    let plain = Choice::default();
    let weighted = Choice { by_locality: true, ..plain };
    for (what, hosts, choice, measured) in [
        ("ring hash without a hash", "0/a=80:2 0/b=20:2", weighted, [79.3, 20.7]),
        ("ring hash of a header", "0/a=80:2 0/b=20:2", weighted, [78.5, 21.5]),
        ("ring hash, localities not weighted", "0/a=80:1 0/b=20:4", plain, [17.3, 82.7]),
        ("ring hash, half of a priority unready", "0/a:2+2u 1/b:4", plain, [69.0, 31.0]),
        ("maglev of a header", "0/a=80:2 0/b=20:2", weighted, [79.7, 20.4]),
        ("least request, hosts weighted", "0/a:1*1 0/b:1*9", plain, [10.0, 90.0]),
        ("half of a priority degraded", "0/a:2+2u 1/b:4", plain, [70.5, 29.5]),
        ("zone-aware routing switched off", "0/a:3 0/b:3", plain, [49.4, 50.6]),
        ("localities weighted, none with a weight", "0/a:3 0/b:3", weighted, [50.0, 50.0]),
    ] {
        let [a, b] = shares(hosts, choice);
        assert!(near(a, measured[0], 3.0) && near(b, measured[1], 3.0), "{what}: {a} and {b}");
    }
    let nothing = select(&[], &Ejected::new(), plain);
    assert!(near(nothing.unanswered, 1.0, 1e-9), "no hosts at all: 503");
}

/// What a rule says of retries, what the mesh does, and how often a request is tried again.
#[test]
fn how_often_a_request_is_tried_again() {
    let carts = service("shop", "cart", "ports: [{name: http, port: 80}]")
        + &pods("shop", "cart", "", "r1/a:2 r1/b:2 r1/c:2");
    let route = |retries: &str| {
        let to = format!("{{route: [{{destination: {{host: cart}}}}], {retries}}}");
        let spec = format!("spec: {{hosts: [cart], http: [{to}]}}");
        object("networking.istio.io/v1/VirtualService", "shop", "cart", "", &spec)
    };
    let hash = rule(
        "shop",
        "cart",
        "trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}",
    );
    for (what, objects, retries, at_last) in [
        ("no rule", String::new(), 2, 0.01),
        ("a rule that says nothing", route(""), 2, 0.01),
        ("a rule that says how often", route("retries: {attempts: 1}"), 1, 6.67),
        ("a rule that says never", route("retries: {attempts: 0}"), 0, 33.33),
        (
            "after other failures",
            route("retries: {attempts: 3, retryOn: 'retriable-4xx'}"),
            0,
            33.33,
        ),
        (
            "after all sorts of failures",
            route("retries: {attempts: 1, retryOn: 'gateway-error,503'}"),
            1,
            6.67,
        ),
        (
            "in another priority from the second on, which is not computed",
            route("retries: {attempts: 2, retryRemoteLocalities: true}"),
            1,
            6.67,
        ),
        ("as the mesh says", mesh_config("{defaultHttpRetryPolicy: {attempts: 1}}"), 1, 6.67),
        ("by a hash: the same host again", hash, 2, 33.33),
    ] {
        let mesh = world(&[("c1", carts.clone() + &objects)]);
        Asks::new("c1 r1/a", "cart.shop").with(&mesh, |traffic, journey, _| {
            let way = journey.ways.last().unwrap();
            assert_eq!(way.choice.retries, retries, "{what}");
            let lost = [Lost::parse(&mesh, "c").unwrap()];
            let at = mesh_lint::mesh::Locality::parse("r1/a");
            let range = traffic.range(&journey.client, &at, way, &lost, Phase::Unnoticed);
            let found = 100.0 * range.lost_at_last.unwrap().most;
            assert!(near(found, at_last, 0.006), "{what}: {found} % fail at last");
        });
    }
    let tcp = carts.replace("name: http", "name: tcp");
    let mesh = world(&[("c1", tcp)]);
    let retries = Asks::new("c1 r1/a", "cart.shop")
        .with(&mesh, |_, journey, _| journey.ways.last().unwrap().choice.retries);
    assert_eq!(retries, 0, "what is not HTTP");
}

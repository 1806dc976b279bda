//! Which endpoints clients are told of, by how pods do, and what ejects them.

use mesh_lint::kinds::networking::OutlierDetection;
use mesh_lint::traffic::outliers::Counters;

use crate::scene::read;
use crate::world::{Asks, assert_arrives, mesh_config, object, pods, rule, service, world};

const CART: &str = "ports: [{name: http, port: 80}]";

/// istiod of a version, with an environment.
fn istiod(version: &str, env: &str) -> String {
    let image = format!("image: 'pilot:{version}'");
    let spec = format!(
        "spec: {{template: {{spec: {{containers: [{{name: discovery, {image}, env: [{env}]}}]}}}}}}"
    );
    object("apps/v1/Deployment", "istio-system", "istiod", "labels: {app: istiod}", &spec)
}

fn on(name: &str) -> String {
    format!("{{name: {name}, value: 'true'}}")
}

fn off(name: &str) -> String {
    format!("{{name: {name}, value: 'false'}}")
}

const ALWAYS: &str = "PILOT_SEND_UNHEALTHY_ENDPOINTS";
const BY_ITSELF: &str = "PILOT_AUTO_SEND_UNHEALTHY_ENDPOINTS";

/// Whether endpoints that are not ready are sent, and below which health Envoy gives up on that.
fn sent(control_plane: &str, policy: &str, service_spec: &str) -> (bool, u32) {
    let cart = service("shop", "cart", &format!("{CART}, {service_spec}"));
    let rule = match policy {
        "" => String::new(),
        policy => rule("shop", "cart", &format!("trafficPolicy: {{{policy}}}")),
    };
    let text = [control_plane, &cart, &rule, &pods("shop", "cart", "", "r1/a:1")].concat();
    let mesh = world(&[("c1", text)]);
    Asks::new("c1 r1/a", "cart.shop")
        .with(&mesh, |_, _, to| (to.terms.filter.send_unhealthy, to.terms.panic_threshold))
}

/// Source: `endpoint_builder_test.go`, `TestSupportsUnhealthyEndpoints`; `cluster_test.go`.
#[test]
fn endpoints_that_are_not_ready_are_sent_unless_a_share_of_healthy_ones_is_asked_for() {
    let half = "outlierDetection: {minHealthPercent: 50}";
    let none = "outlierDetection: {minHealthPercent: 0}";
    let prefers = "trafficDistribution: PreferClose";
    for (what, control_plane, policy, service, expected) in [
        ("told not to", istiod("1.32.0", &off(BY_ITSELF)), "", "", (false, 0)),
        ("told to, always", istiod("1.32.0", &on(ALWAYS)), "", "", (true, 0)),
        ("no rule", istiod("1.32.0", &on(BY_ITSELF)), "", "", (true, 0)),
        ("a version that does so by itself", istiod("1.31.0", ""), "", "", (true, 0)),
        ("one that does not", istiod("1.30.4", ""), "", "", (false, 0)),
        ("nobody tells the version", String::new(), "", "", (true, 0)),
        ("a share of nothing", istiod("1.32.0", ""), none, "", (true, 0)),
        ("a share of half", istiod("1.32.0", ""), half, "", (false, 50)),
        ("always, and a share of half", istiod("1.32.0", &on(ALWAYS)), half, "", (true, 0)),
        ("the Service prefers zones", istiod("1.30.4", ""), half, prefers, (true, 0)),
        ("an empty outlier detection", istiod("1.32.0", ""), "outlierDetection: {}", "", (true, 0)),
    ] {
        assert_eq!(sent(&control_plane, policy, service), expected, "{what}");
    }
    let tenth = "outlierDetection: {minHealthPercent: 10}";
    assert_eq!(sent("", tenth, ""), (false, 10), "a share of a tenth");
}

/// Of two zones one has pods of which some do not take traffic.
#[test]
fn what_pods_tell_of_themselves_counts() {
    let outliers = "trafficPolicy: {outlierDetection: {}}";
    for (what, places, policy, expected) in [
        ("all ready", "r1/a:3 r1/b:3", outliers, "c1/r1/a=100"),
        ("two of three unready", "r1/a:1+2u r1/b:3", outliers, "c1/r1/a=46 c1/r1/b=54"),
        ("all unready", "r1/a:3u r1/b:3", outliers, "c1/r1/b=100"),
        ("two of three about to go: never sent", "r1/a:1+2t r1/b:3", outliers, "c1/r1/a=100"),
        ("all about to go", "r1/a:3t r1/b:3", outliers, "c1/r1/b=100"),
        ("unready ones, all alike", "r1/a:3+3u r1/b:3", "", "c1/r1/a=50 c1/r1/b=50"),
        (
            "unready ones, not sent",
            "r1/a:1+2u r1/b:3",
            "trafficPolicy: {outlierDetection: {minHealthPercent: 50}}",
            "c1/r1/a=100",
        ),
        ("nobody is ready", "r1/a:3u r1/b:3u", outliers, "UH=100"),
    ] {
        let text = [
            service("shop", "cart", CART),
            rule("shop", "cart", policy),
            pods("shop", "cart", "", places),
        ];
        let mesh = world(&[("c1", text.concat())]);
        assert_arrives(what, &mesh, Asks::new("c1 r1/a", "cart.shop"), expected);
    }
}

#[test]
fn a_service_may_publish_what_is_not_ready_and_keep_sessions() {
    let outliers = rule("shop", "cart", "trafficPolicy: {outlierDetection: {}}");
    let sessions = |text: String| {
        text.replacen("name: cart,", "name: cart, labels: {istio.io/persistent-session: x},", 1)
    };
    let published = service("shop", "cart", &format!("{CART}, publishNotReadyAddresses: true"));
    for (what, cart, labels, places, expected) in [
        ("published all the same", published, "", "r1/a:1+2u r1/b:3", "c1/r1/a=100"),
        ("draining", service("shop", "cart", CART), "", "r1/a:1+2t r1/b:3", "c1/r1/a=100"),
        (
            "draining, known to clients",
            sessions(service("shop", "cart", CART)),
            "",
            "r1/a:1+2t r1/b:3",
            "c1/r1/a=46 c1/r1/b=54",
        ),
        (
            "draining by a label",
            service("shop", "cart", CART),
            "istio.io/draining: 'true'",
            "r1/a:3 r1/b:3",
            "UH=100",
        ),
    ] {
        let text = [cart, outliers.clone(), pods("shop", "cart", labels, places)];
        let mesh = world(&[("c1", text.concat())]);
        assert_arrives(what, &mesh, Asks::new("c1 r1/a", "cart.shop"), expected);
    }
}

/// What EndpointSlices tell, where there are no pods in the input.
#[test]
fn what_endpoint_slices_tell_counts() {
    let deployment = object(
        "apps/v1/Deployment",
        "shop",
        "cart",
        "",
        "spec: {replicas: 2, selector: {matchLabels: {app: cart}}, template: {metadata: {labels: {app: cart}}}}",
    );
    for (what, conditions, expected) in [
        ("nothing told", "", "c1/r1/a=50 c1/r1/b=50"),
        ("ready", "conditions: {ready: true}", "c1/r1/a=50 c1/r1/b=50"),
        (
            "not ready, and to stay",
            "conditions: {ready: false, serving: false, terminating: false}",
            "c1/r1/b=100",
        ),
        ("about to go", "conditions: {ready: false, terminating: true}", "c1/r1/b=100"),
        ("not ready, and nobody says that it stays", "conditions: {ready: false}", "c1/r1/b=100"),
    ] {
        let slice = object(
            "discovery.k8s.io/v1/EndpointSlice",
            "shop",
            "cart-1",
            "labels: {kubernetes.io/service-name: cart}",
            &format!(
                "endpoints:\n- {{addresses: [10.0.0.1], nodeName: r1-a, {conditions}}}\n\
                 - {{addresses: [10.0.0.2], nodeName: r1-b}}"
            ),
        );
        let nodes = crate::world::node("r1/a") + &crate::world::node("r1/b");
        let text = [service("shop", "cart", CART), deployment.clone(), slice, nodes];
        let mesh = world(&[("c1", text.concat())]);
        assert_arrives(what, &mesh, Asks::new("c1 r1/a", "cart.shop"), expected);
        let staying = Asks::new("c1 r1/a", "cart.shop").with(&mesh, |_, _, to| to.pools().count());
        let goes = what.starts_with("about") || what.contains("nobody");
        assert_eq!(staying, if goes { 1 } else { 2 }, "{what}");
    }
}

#[test]
fn the_story_tells_of_endpoints_that_are_not_ready() {
    for (places, policy, expected) in [
        ("r1/a:3", "{}", None),
        (
            "r1/a:1+2u",
            "{}",
            Some("endpoints that are not ready: 2, which Envoy counts and passes over"),
        ),
        (
            "r1/a:1+2u",
            "{minHealthPercent: 50}",
            Some("endpoints that are not ready: 2, of which Envoy is not told"),
        ),
    ] {
        let policy = format!("trafficPolicy: {{outlierDetection: {policy}}}");
        let text = [
            service("shop", "cart", CART),
            rule("shop", "cart", &policy),
            pods("shop", "cart", "", places),
        ];
        let mesh = world(&[("c1", text.concat())]);
        let told = Asks::new("c1 r1/a", "cart.shop").with(&mesh, |_, _, to| to.story(&mesh));
        let told = told.into_iter().map(|step| step.text).find(|text| text.contains("not ready"));
        assert_eq!(told.as_deref(), expected, "{places}, {policy}");
    }
}

/// Source: `cluster_traffic_policy_test.go`, `TestApplyOutlierDetection`.
#[test]
#[expect(clippy::too_many_lines, reason = "a table is as long as its rows")]
fn what_outlier_detection_counts() {
    let counters = |errors, gateway_errors, failures, apart| Counters {
        errors,
        gateway_errors,
        failures,
        apart,
    };
    for (what, policy, expected, silent) in [
        ("Envoy's own", "{}", counters(Some(5), None, None, false), true),
        (
            "both sorts of answers",
            "{consecutive5xxErrors: 4, consecutiveGatewayErrors: 3}",
            counters(Some(4), Some(3), None, false),
            true,
        ),
        (
            "gateway errors, and Envoy's own",
            "{consecutiveGatewayErrors: 3}",
            counters(Some(5), Some(3), None, false),
            true,
        ),
        (
            "gateway errors off",
            "{consecutiveGatewayErrors: 0}",
            counters(Some(5), None, None, false),
            true,
        ),
        ("errors off", "{consecutive5xxErrors: 0}", counters(None, None, None, false), false),
        (
            "errors off, but not those of gateways",
            "{consecutive5xxErrors: 0, consecutiveGatewayErrors: 2}",
            counters(None, Some(2), None, false),
            true,
        ),
        (
            "failures of connections apart",
            "{splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 10}",
            counters(Some(5), None, Some(10), true),
            true,
        ),
        (
            "failures of connections apart, by Envoy's own",
            "{splitExternalLocalOriginErrors: true}",
            counters(Some(5), None, Some(5), true),
            true,
        ),
        (
            "failures of connections apart and off",
            "{splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 0}",
            counters(Some(5), None, None, true),
            false,
        ),
        (
            "a count without which nothing is apart",
            "{consecutiveLocalOriginFailures: 10}",
            counters(Some(5), None, None, false),
            true,
        ),
    ] {
        let found = Counters::of(&read::<OutlierDetection>(policy));
        assert_eq!(found, expected, "{what}");
        assert_eq!(found.ejects_the_silent(), silent, "{what}");
    }
}

/// Without outlier detection nothing is ejected; with it a tenth at most where no more is told.
#[test]
fn how_much_may_be_ejected() {
    for (policy, expected) in [
        ("", None),
        ("trafficPolicy: {outlierDetection: {}}", Some(10)),
        ("trafficPolicy: {outlierDetection: {maxEjectionPercent: 0}}", Some(10)),
        ("trafficPolicy: {outlierDetection: {maxEjectionPercent: 60}}", Some(60)),
        ("trafficPolicy: {outlierDetection: {consecutive5xxErrors: 0}}", None),
    ] {
        let text = [
            service("shop", "cart", CART),
            rule("shop", "cart", policy),
            pods("shop", "cart", "", "r1/a:1"),
        ];
        let mesh = world(&[("c1", text.concat() + &mesh_config("{}"))]);
        let found = Asks::new("c1 r1/a", "cart.shop").with(&mesh, |_, _, to| to.terms.max_ejection);
        assert_eq!(found, expected, "{policy}");
    }
}

/// The part of its requests that a priority keeps: 140 of 100 healthy hosts, cut off.
#[test]
fn the_part_of_its_requests_that_a_priority_keeps() {
    for (healthy, all, percent) in [
        (4, 4, 100),
        (3, 4, 100),
        (5, 7, 100),
        (2, 3, 93),
        (2, 4, 70),
        (2, 5, 56),
        (1, 3, 46),
        (1, 4, 35),
        (1, 5, 28),
        (1, 6, 23),
        (1, 10, 14),
        (7, 10, 98),
        (8, 10, 100),
        (0, 3, 0),
        (0, 0, 0),
    ] {
        let found = mesh_lint::traffic::selection::health(healthy, all);
        assert_eq!(found, percent, "{healthy} of {all}");
    }
}

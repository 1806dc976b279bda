//! Which VirtualService has a host for a client, which rules take a request, and where they send it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use mesh_lint::mesh::{Client, Locality, Mesh};
use mesh_lint::source::{Span, Text};
use mesh_lint::traffic::route::{Action, Built, Choice, Request, Router, Routing};
use mesh_lint::yaml::Entries;
use proptest::prelude::*;

use super::mesh;
use crate::fixtures::{FIXTURES, files};

pub(super) const CART: &str = "cart.shop.svc.cluster.local";

/// The Service `cart`, with ports of several protocols.
pub(super) const CART_SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  ports:
  - {name: http, port: 80}
  - {name: http-admin, port: 8080}
  - {name: tls-in, port: 443}
  - {name: tcp-db, port: 5432}
---
";

/// The others.
const OTHERS: &str = "
apiVersion: v1
kind: Service
metadata: {name: stock, namespace: shop}
spec: {ports: [{name: http, port: 9000}]}
---
apiVersion: v1
kind: Service
metadata: {name: store, namespace: shop}
spec: {ports: [{name: tcp, port: 6000}]}
";

fn services() -> String {
    format!("{CART_SERVICE}{OTHERS}")
}

/// A VirtualService for `cart`, by its name and what its `spec` has beside `hosts`.
fn for_cart(name: &str, spec: &str) -> String {
    virtual_service(name, "shop", &format!("hosts: [cart]\n{spec}"))
}

fn virtual_service(name: &str, namespace: &str, spec: &str) -> String {
    let spec = spec.trim().replace('\n', "\n  ");
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  {spec}\n"
    )
}

/// Two clusters with the services above, each with the same further objects.
fn shop(objects: &str) -> Mesh {
    let meshes = "apiVersion: v1\nkind: Secret\nmetadata: {name: istio-remote-secret-east, \
         namespace: istio-system, labels: {istio/multiCluster: 'true'}, annotations: \
         {networking.istio.io/cluster: east}}\n";
    let text = format!("{}{objects}", services());
    mesh(&[("east/all.yaml", &text), ("west/all.yaml", &text), ("west/secret.yaml", meshes)])
}

fn entries(labels: &[(&str, &str)]) -> Entries<Text> {
    let text = |value: &str| Text::new(value.to_owned(), Span::default());
    labels.iter().map(|(key, value)| (text(key), text(value))).collect()
}

static NONE: LazyLock<Entries<Text>> = LazyLock::new(Entries::default);

/// A client of a cluster whose pods carry no label of their own.
fn client<'m>(mesh: &Mesh, cluster: &str, namespace: &'m str) -> Client<'m> {
    let found = mesh.clusters().iter().find(|c| c.is_called(cluster)).unwrap();
    Client { cluster: found.id, namespace, labels: Some(&NONE), locality: None }
}

pub(super) fn request(path: &str) -> Request {
    Request {
        path: Some(path.to_owned()),
        method: Some("GET".to_owned()),
        authority: Some("cart".to_owned()),
        scheme: Some("http".to_owned()),
        headers: Some(BTreeMap::new()),
        server_name: None,
    }
}

/// One line for each choice: what has to hold, and where requests go.
pub(super) fn lines(routing: &Routing<'_>) -> Vec<String> {
    routing.choices.iter().map(line).collect()
}

fn line(choice: &Choice<'_>) -> String {
    let when: Vec<&str> = choice.when.iter().map(|c| c.step.text.as_str()).collect();
    let legs: Vec<String> = choice
        .legs()
        .iter()
        .map(|leg| {
            let name = leg.cluster_name().replace(".shop.svc.cluster.local", "");
            let share = format!("{}/{}", leg.weight, leg.total);
            let missing = if matches!(leg.cluster, Built::No(_)) { " NC" } else { "" };
            format!("{share} {}{missing}", name.trim_start_matches("outbound|"))
        })
        .collect();
    let goes = match &choice.action {
        Action::Forward(_) => legs.join(", "),
        Action::Redirect(_) => "redirect".to_owned(),
        Action::Respond(status, _) => format!("responds {}", status.unwrap_or_default()),
        Action::NotFound => "404".to_owned(),
        Action::Closed => "closed".to_owned(),
        Action::Passthrough(_) => "passthrough".to_owned(),
        Action::Blocked(_) => "502".to_owned(),
        Action::Refused(_) => "refused".to_owned(),
        Action::Unseen(_) => "unseen".to_owned(),
    };
    if when.is_empty() { goes } else { format!("if {}: {goes}", when.join(" and ")) }
}

/// Where a request of a client goes, by the text of VirtualServices.
fn goes(
    objects: &str,
    (cluster, namespace): (&str, &str),
    port: u32,
    request: &Request,
) -> Vec<String> {
    let mesh = shop(objects);
    let router = Router::of(&mesh);
    lines(&router.route(client(&mesh, cluster, namespace), CART, port, request))
}

#[track_caller]
fn assert_goes(spec: &str, from: (&str, &str), port: u32, asked: &Request, expected: &[&str]) {
    assert_eq!(goes(&for_cart("cart", spec), from, port, asked), expected, "{spec}");
}

const EAST_ONLY: &str = "match: [{sourceLabels: {topology.istio.io/cluster: east}}]";

#[test]
fn a_source_namespace_matches_only_that_namespace() {
    let cases = [("foo", true), ("bar", false), ("", false)];
    for (port, field) in [(80, "http"), (5432, "tcp"), (443, "tls")] {
        let sni = if field == "tls" { ", sniHosts: [cart.shop.svc.cluster.local]" } else { "" };
        let rule = |ns: &str| {
            format!(
                "{field}:\n- match: [{{port: {port}{ns}{sni}}}]\n  \
                 route: [{{destination: {{host: cart, subset: v1}}}}]"
            )
        };
        let (subset, plain) = (format!("1/1 {port}|v1|cart"), format!("1/1 {port}||cart"));
        for (namespace, matches) in cases {
            let expected = if matches { &subset } else { &plain };
            // HTTP keeps a match that some requests miss, but here each request fits.
            let asked = request("/");
            assert_goes(
                &rule(", sourceNamespace: foo"),
                ("east", namespace),
                port,
                &asked,
                &[expected],
            );
        }
        assert_goes(&rule(""), ("east", "bar"), port, &request("/"), &[&subset]);
    }
}

#[test]
fn clients_that_no_rule_is_for_get_the_default_route() {
    let spec =
        format!("http:\n- {EAST_ONLY}\n  route: [{{destination: {{host: cart, subset: v1}}}}]");
    assert_goes(&spec, ("east", "web"), 80, &Request::default(), &["1/1 80|v1|cart"]);
    assert_goes(&spec, ("west", "web"), 80, &Request::default(), &["1/1 80||cart"]);
}

#[test]
fn clients_that_a_rule_is_for_get_404_where_it_does_not_take_the_request() {
    let spec = "http:\n- match: [{sourceLabels: {topology.istio.io/cluster: east}, uri: {prefix: /a}}]\n  \
         route: [{destination: {host: cart, subset: v1}}]";
    assert_goes(spec, ("east", "web"), 80, &request("/b"), &["404"]);
    assert_goes(spec, ("east", "web"), 80, &request("/a?x=1"), &["1/1 80|v1|cart"]);
    let open = ["if `uri` begins with `/a`: 1/1 80|v1|cart", "404"];
    assert_goes(spec, ("east", "web"), 80, &Request::default(), &open);
    assert_goes(spec, ("west", "web"), 80, &request("/b"), &["1/1 80||cart"]);
}

#[test]
fn labels_do_not_count_beside_gateways_for_http_and_do_for_tcp() {
    let asks = "match: [{gateways: [mesh], sourceLabels: {topology.istio.io/cluster: east}}]";
    let spec = |field| {
        format!("{field}:\n- {asks}\n  route: [{{destination: {{host: cart, subset: v1}}}}]")
    };
    assert_goes(&spec("http"), ("west", "web"), 80, &Request::default(), &["1/1 80|v1|cart"]);
    assert_goes(&spec("tcp"), ("west", "web"), 5432, &Request::default(), &["1/1 5432||cart"]);
    assert_goes(&spec("tcp"), ("east", "web"), 5432, &Request::default(), &["1/1 5432|v1|cart"]);
    let ingress = "http:\n- match: [{gateways: [istio-system/ingress]}]\n  \
         route: [{destination: {host: cart, subset: v1}}]";
    assert_goes(ingress, ("east", "web"), 80, &Request::default(), &["1/1 80||cart"]);
}

#[test]
fn weights_are_relative_and_a_single_destination_gets_all() {
    let to = |weights: &[&str]| {
        let one =
            |(i, w): (usize, &&str)| format!("{{destination: {{host: cart, subset: v{i}}}{w}}}");
        let all: Vec<String> = weights.iter().enumerate().map(one).collect();
        format!("http:\n- route: [{}]", all.join(", "))
    };
    let cases: [(&[&str], &[&str]); 5] = [
        (&[", weight: 0"], &["1/1 80|v0|cart"]),
        (
            &[", weight: 0", ", weight: 50", ", weight: 150"],
            &["50/200 80|v1|cart, 150/200 80|v2|cart"],
        ),
        (&[", weight: 3", ", weight: 400"], &["3/403 80|v0|cart, 400/403 80|v1|cart"]),
        (&[", weight: 0", ", weight: 0"], &["refused"]),
        (&[", weight: '${WEIGHT}'", ", weight: 10"], &["unseen"]),
    ];
    for (weights, expected) in cases {
        assert_goes(&to(weights), ("east", "web"), 80, &Request::default(), expected);
    }
}

#[test]
fn a_destination_without_port_gets_the_port_that_is_called() {
    let http = "http:\n- route: [{destination: {host: cart}}]";
    assert_goes(http, ("east", "web"), 8080, &Request::default(), &["1/1 8080||cart"]);
    // Though its service has just one port, HTTP does not look for it.
    let other = "http:\n- route: [{destination: {host: stock}}]";
    assert_goes(other, ("east", "web"), 80, &Request::default(), &["1/1 80||stock NC"]);
    let told = "http:\n- route: [{destination: {host: stock, port: {number: 9000}}}]";
    assert_goes(told, ("east", "web"), 80, &Request::default(), &["1/1 9000||stock"]);
    // TCP does.
    let tcp = "tcp:\n- route: [{destination: {host: store}}]";
    assert_goes(tcp, ("east", "web"), 5432, &Request::default(), &["1/1 6000||store"]);
}

#[test]
fn destinations_resolve_by_the_namespace_of_their_virtual_service() {
    let objects = virtual_service(
        "cart",
        "ops",
        "hosts: [cart.shop.svc.cluster.local]\nhttp:\n- route: [{destination: {host: cart}}]",
    );
    let found = goes(&objects, ("east", "web"), 80, &Request::default());
    // Other Services of `ops` are not in the input, so it may be there.
    assert_eq!(found, ["1/1 80||cart.ops.svc.cluster.local"]);
    let gone = "http:\n- route: [{destination: {host: gone}}]";
    assert_goes(gone, ("east", "web"), 80, &Request::default(), &["1/1 80||gone NC"]);
}

#[test]
fn the_first_virtual_service_with_a_route_for_the_client_has_the_host() {
    let guarded = for_cart(
        "a",
        &format!("http:\n- {EAST_ONLY}\n  route: [{{destination: {{host: cart, subset: a}}}}]"),
    );
    let open = for_cart("b", "http:\n- route: [{destination: {host: cart, subset: b}}]");
    let both = format!("{guarded}{open}");
    assert_eq!(goes(&both, ("west", "web"), 80, &Request::default()), ["1/1 80|b|cart"]);
    assert_eq!(goes(&both, ("east", "web"), 80, &Request::default()), ["1/1 80|a|cart"]);
    let mesh = shop(&both);
    let router = Router::of(&mesh);
    let rivals = |cluster| {
        let routing = router.route(client(&mesh, cluster, "web"), CART, 80, &Request::default());
        routing.rivals.iter().map(|s| s.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(rivals("east"), ["b"], "which is older decides, and manifests do not tell");
    assert!(rivals("west").is_empty(), "only one has a route");
}

#[test]
fn an_exact_host_hides_wildcards_even_where_it_has_no_route() {
    let exact = for_cart(
        "exact",
        &format!("http:\n- {EAST_ONLY}\n  route: [{{destination: {{host: cart, subset: exact}}}}]"),
    );
    let wild = |name: &str, host: &str| {
        let to = format!("http:\n- route: [{{destination: {{host: {CART}, subset: {name}}}}}]");
        virtual_service(name, "shop", &format!("hosts: ['{host}']\n{to}"))
    };
    let (long, wide) = (wild("long", "*.shop.svc.cluster.local"), wild("wide", "*.local"));
    let both = format!("{wide}{long}");
    assert_eq!(goes(&both, ("west", "web"), 80, &Request::default()), ["1/1 80|long|cart"]);
    let all = format!("{exact}{both}");
    assert_eq!(goes(&all, ("west", "web"), 80, &Request::default()), ["1/1 80||cart"]);
}

#[test]
fn rules_count_only_for_the_protocol_of_the_port() {
    let http = "http:\n- route: [{destination: {host: cart, subset: v1}}]";
    assert_goes(http, ("east", "web"), 5432, &Request::default(), &["1/1 5432||cart"]);
    assert_goes(http, ("east", "web"), 443, &Request::default(), &["1/1 443||cart"]);
    let tls = "tls:\n- match: [{sniHosts: [other.shop.svc.cluster.local]}]\n  \
         route: [{destination: {host: cart, subset: v1}}]";
    assert_goes(tls, ("east", "web"), 443, &Request::default(), &["closed"]);
    assert_goes(tls, ("east", "web"), 80, &Request::default(), &["1/1 80||cart"]);
}

#[test]
fn the_most_special_server_name_is_taken() {
    let rule = |sni: &str, subset: &str| {
        format!(
            "- match: [{{sniHosts: ['{sni}']}}]\n  route: [{{destination: {{host: cart, subset: {subset}}}}}]\n"
        )
    };
    let spec = format!("tls:\n{}{}", rule("*.local", "wide"), rule(CART, "exact"));
    assert_goes(&spec, ("east", "web"), 443, &Request::default(), &["1/1 443|exact|cart"]);
    let other = Request { server_name: Some("a.local".to_owned()), ..Request::default() };
    assert_goes(&spec, ("east", "web"), 443, &other, &["1/1 443|wide|cart"]);
}

#[test]
fn what_a_match_asks_of_a_request() {
    let cases = [
        ("uri: {exact: /a}", "/a?b=1", true),
        ("uri: {exact: /a}", "/A", false),
        ("uri: {exact: /a}, ignoreUriCase: true", "/A", true),
        ("uri: {prefix: /A}, ignoreUriCase: true", "/abc", true),
        ("uri: {regex: '/a.'}", "/ab", true),
        ("uri: {regex: '/a.'}", "/abc", false),
        ("uri: {prefix: /}", "/x", true),
        ("method: {exact: POST}", "/", false),
        ("headers: {x: {exact: '1'}}", "/", false),
        ("headers: {x: {}}", "/", false),
        ("withoutHeaders: {x: {exact: '1'}}", "/", true),
        ("withoutHeaders: {x: {}}", "/", true),
        ("queryParams: {q: {exact: '1'}}", "/?p=2&q=1", true),
        ("queryParams: {q: {regex: '*'}}", "/?q", true),
        ("queryParams: {q: {regex: '*'}}", "/", false),
        ("port: 80", "/", true),
        ("port: 8080", "/", false),
    ];
    for (asks, path, taken) in cases {
        let spec = format!(
            "http:\n- match: [{{{asks}}}]\n  route: [{{destination: {{host: cart, subset: v1}}}}]"
        );
        let expected = match (taken, asks) {
            (true, _) => "1/1 80|v1|cart",
            (false, "port: 8080") => "1/1 80||cart",
            (false, _) => "404",
        };
        assert_goes(&spec, ("east", "web"), 80, &request(path), &[expected]);
    }
}

#[test]
fn a_pattern_that_is_not_valid_leaves_it_open() {
    let spec = "http:\n- match: [{uri: {regex: '/a('}}]\n  route: [{destination: {host: cart, subset: v1}}]";
    let expected = ["if `uri` matches `/a(`: 1/1 80|v1|cart", "404"];
    assert_goes(spec, ("east", "web"), 80, &request("/a"), &expected);
}

#[test]
fn a_catch_all_ends_the_list() {
    for all in ["", "match: [{uri: {prefix: /}}]\n  ", "match: [{uri: {regex: '.*'}}]\n  "] {
        let spec = format!(
            "http:\n- {all}route: [{{destination: {{host: cart, subset: v1}}}}]\n\
             - route: [{{destination: {{host: cart, subset: v2}}}}]"
        );
        assert_goes(&spec, ("east", "web"), 80, &Request::default(), &["1/1 80|v1|cart"]);
    }
    let asks = "http:\n- match: [{uri: {prefix: /}, headers: {x: {}}}]\n  route: [{destination: {host: cart}}]";
    let expected = ["if header `x` is there: 1/1 80||cart", "404"];
    assert_goes(asks, ("east", "web"), 80, &Request::default(), &expected);
}

#[test]
fn answers_of_the_proxy_itself() {
    let cases = [
        ("redirect: {uri: /b}", "redirect"),
        ("directResponse: {status: 418}", "responds 418"),
        ("timeout: 1s", "refused"),
    ];
    for (answer, expected) in cases {
        assert_goes(
            &format!("http:\n- {answer}"),
            ("east", "web"),
            80,
            &Request::default(),
            &[expected],
        );
    }
}

#[test]
fn aborts_and_copies_have_their_own_shares() {
    let cases = [
        ("mirror: {host: stock}", None, vec![1_000_000]),
        ("mirror: {host: stock}\n  mirrorPercentage: {value: 0}", None, vec![]),
        ("mirror: {host: stock}\n  mirrorPercent: 0", None, vec![]),
        (
            "mirror: {host: stock}\n  mirrorPercent: 10\n  mirrorPercentage: {value: 2.5}",
            None,
            vec![25_000],
        ),
        ("mirrors: [{destination: {host: stock}, percentage: {value: 5}}]", None, vec![50_000]),
        ("fault: {abort: {httpStatus: 500, percentage: {value: 12.5}}}", Some(125_000), vec![]),
        ("fault: {abort: {httpStatus: 500}}", None, vec![]),
    ];
    for (field, abort, copies) in cases {
        let mesh = shop(&for_cart(
            "cart",
            &format!("http:\n- route: [{{destination: {{host: cart}}}}]\n  {field}"),
        ));
        let router = Router::of(&mesh);
        let routing = router.route(client(&mesh, "east", "web"), CART, 80, &Request::default());
        let [choice] = routing.choices.as_slice() else { panic!("one choice: {field}") };
        assert_eq!(choice.abort.map(|a| a.per_million), abort, "{field}");
        let found: Vec<u32> = choice.mirrors.iter().map(|m| m.per_million).collect();
        assert_eq!(found, copies, "{field}");
    }
}

/// A VirtualService for `cart` that delegates, with the match of its rule, and the delegate with its.
fn delegating(root: &str, leaf: &str, delegate: &str) -> String {
    let root =
        for_cart("root", &format!("http:\n- {root}delegate: {{name: leaf, namespace: team}}"));
    let to =
        format!("http:\n- {leaf}route: [{{destination: {{host: {CART}, subset: v1}}}}]{delegate}");
    format!("{root}{}", virtual_service("leaf", "team", &to))
}

#[test]
fn a_delegate_narrows_the_rule_that_delegates() {
    let uri = |how: &str| format!("match: [{{uri: {{{how}}}}}]\n  ");
    let cases = [
        (
            uri("prefix: /a"),
            uri("prefix: /a/b"),
            vec!["if `uri` begins with `/a/b`: 1/1 80|v1|cart", "404"],
        ),
        (uri("prefix: /a"), uri("exact: /a/b"), vec!["if `uri` is `/a/b`: 1/1 80|v1|cart", "404"]),
        (
            uri("prefix: /a"),
            String::new(),
            vec!["if `uri` begins with `/a`: 1/1 80|v1|cart", "404"],
        ),
        (
            String::new(),
            uri("prefix: /c"),
            vec!["if `uri` begins with `/c`: 1/1 80|v1|cart", "404"],
        ),
        (String::new(), String::new(), vec!["1/1 80|v1|cart"]),
        // Dropped: the VirtualService has no route left, so it does not exist.
        (uri("prefix: /a"), uri("prefix: /c"), vec!["1/1 80||cart"]),
        (uri("exact: /a"), uri("prefix: /a"), vec!["1/1 80||cart"]),
        (uri("prefix: /a"), uri("regex: /a.*"), vec!["1/1 80||cart"]),
        ("match: [{sourceNamespace: web}]\n  ".to_owned(), uri("prefix: /a"), vec!["1/1 80||cart"]),
        (
            "match: [{port: 80}]\n  ".to_owned(),
            "match: [{port: 8080}]\n  ".to_owned(),
            vec!["1/1 80||cart"],
        ),
        (
            "match: [{headers: {x: {exact: a}}}]\n  ".to_owned(),
            "match: [{headers: {y: {exact: b}}}]\n  ".to_owned(),
            vec!["if header `x` is `a` and header `y` is `b`: 1/1 80|v1|cart", "404"],
        ),
    ];
    for (root, leaf, expected) in cases {
        let objects = delegating(&root, &leaf, "");
        let found = goes(&objects, ("east", "web"), 80, &Request::default());
        assert_eq!(found, expected, "{root} {leaf}");
    }
}

#[test]
fn a_delegate_that_is_not_there_takes_one_rule_with_it() {
    let last = "\n- route: [{destination: {host: cart, subset: last}}]";
    let to = |name: &str, namespace: &str| {
        for_cart(
            "root",
            &format!(
                "http:\n- match: [{{uri: {{prefix: /a}}}}]\n  delegate: {{name: {name}, namespace: {namespace}}}{last}"
            ),
        )
    };
    let nearby = virtual_service("other", "team", "http:\n- route: [{destination: {host: cart}}]");
    let ask = |objects: &str| goes(objects, ("east", "web"), 80, &Request::default());
    let gone = format!("{}{nearby}", to("leaf", "team"));
    assert_eq!(ask(&gone), ["1/1 80|last|cart"], "others of `team` are there");
    let unseen = ["if `uri` begins with `/a`: unseen", "1/1 80|last|cart"];
    assert_eq!(ask(&to("leaf", "team")), unseen, "nothing of `team` is there");
    let hidden = virtual_service(
        "leaf",
        "team",
        "exportTo: [.]\nhttp:\n- route: [{destination: {host: cart}}]",
    );
    assert_eq!(ask(&format!("{}{hidden}", to("leaf", "team"))), ["1/1 80|last|cart"]);
}

#[test]
fn export_to_hides_a_virtual_service() {
    let cases = [
        ("", "web", true),
        ("exportTo: ['*']\n", "web", true),
        ("exportTo: ['.']\n", "web", false),
        ("exportTo: ['.']\n", "shop", true),
        ("exportTo: [web]\n", "web", true),
        ("exportTo: [ops]\n", "web", false),
        ("exportTo: ['~']\n", "shop", false),
        ("exportTo: ['~', web]\n", "web", false),
    ];
    for (export, namespace, seen) in cases {
        let spec = format!("{export}http:\n- route: [{{destination: {{host: cart, subset: v1}}}}]");
        let expected = if seen { "1/1 80|v1|cart" } else { "1/1 80||cart" };
        assert_goes(&spec, ("east", namespace), 80, &Request::default(), &[expected]);
    }
}

#[test]
fn what_is_closer_goes_first() {
    let to = |name: &str, namespace: &str, export: &str| {
        let rule = format!("http:\n- route: [{{destination: {{host: {CART}, subset: {name}}}}}]");
        virtual_service(
            name,
            namespace,
            &format!("hosts: [{CART}]\nexportTo: ['{export}']\n{rule}"),
        )
    };
    let public = to("a-public", "shop", "*");
    let named = to("b-named", "shop", "web");
    let private = to("c-private", "web", ".");
    let ask = |objects: String| goes(&objects, ("east", "web"), 80, &Request::default());
    assert_eq!(ask(format!("{public}{named}{private}")), ["1/1 80|c-private|cart"]);
    assert_eq!(ask(format!("{public}{named}")), ["1/1 80|b-named|cart"]);
}

fn sidecar(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
    )
}

#[test]
fn a_sidecar_imports_services_and_virtual_services() {
    let own = for_cart("cart", "http:\n- route: [{destination: {host: cart, subset: v1}}]");
    let cases = [
        ("[]", "1/1 80|v1|cart"),
        ("[{hosts: ['*/*']}]", "1/1 80|v1|cart"),
        ("[{hosts: ['shop/*']}]", "1/1 80|v1|cart"),
        ("[{hosts: ['shop/cart.shop.svc.cluster.local']}]", "1/1 80|v1|cart"),
        ("[{hosts: ['*/*.shop.svc.cluster.local']}]", "1/1 80|v1|cart"),
        ("[{hosts: ['./*']}]", "passthrough"),
        ("[{hosts: ['~/*']}]", "passthrough"),
        ("[{hosts: ['shop/stock.shop.svc.cluster.local']}]", "passthrough"),
        ("[{hosts: ['*/*', '~shop/*']}]", "passthrough"),
        ("[{port: {number: 9090}, hosts: ['*/*']}, {hosts: ['./*']}]", "passthrough"),
        ("[{port: {number: 80}, hosts: ['*/*']}, {hosts: ['./*']}]", "1/1 80|v1|cart"),
    ];
    for (egress, expected) in cases {
        let objects =
            format!("{own}{}", sidecar("default", "web", &format!("{{egress: {egress}}}")));
        let found = goes(&objects, ("east", "web"), 80, &Request::default());
        assert_eq!(found, [expected], "{egress}");
    }
}

#[test]
fn an_imported_virtual_service_brings_its_destinations() {
    let own = virtual_service(
        "own",
        "web",
        "hosts: [cart.shop.svc.cluster.local]\nhttp:\n\
         - route: [{destination: {host: stock.shop.svc.cluster.local, port: {number: 9000}}}]",
    );
    let egress = "{egress: [{hosts: ['shop/cart.shop.svc.cluster.local', './*']}]}";
    let objects = format!("{own}{}", sidecar("default", "web", egress));
    let found = goes(&objects, ("east", "web"), 80, &Request::default());
    assert_eq!(found, ["1/1 9000||stock"]);
}

#[test]
fn the_sidecar_with_a_fitting_selector_goes_first() {
    let nothing = "{workloadSelector: {labels: {app: web}}, egress: [{hosts: ['~/*']}]}";
    let objects = format!(
        "{}{}",
        sidecar("a-all", "web", "{egress: [{hosts: ['*/*']}]}"),
        sidecar("b-web", "web", nothing)
    );
    let mesh = shop(&objects);
    let router = Router::of(&mesh);
    let (web, other) = (entries(&[("app", "web")]), entries(&[("app", "other")]));
    let cases = [
        (Some(&web), vec!["passthrough"]),
        (Some(&other), vec!["1/1 80||cart"]),
        (None, vec!["if the client has the label `app: web`: passthrough", "1/1 80||cart"]),
    ];
    for (labels, expected) in cases {
        let asks = Client { labels, ..client(&mesh, "east", "web") };
        assert_eq!(lines(&router.route(asks, CART, 80, &Request::default())), expected);
    }
}

#[test]
fn a_sidecar_of_the_root_namespace_is_for_namespaces_without_one() {
    let root = sidecar("default", "istio-system", "{egress: [{hosts: ['./*']}]}");
    let found = goes(&root, ("east", "web"), 80, &Request::default());
    assert_eq!(found, ["passthrough"]);
    let own = format!("{root}{}", sidecar("own", "web", "{egress: [{hosts: ['shop/*']}]}"));
    assert_eq!(goes(&own, ("east", "web"), 80, &Request::default()), ["1/1 80||cart"]);
}

#[test]
fn a_service_can_be_kept_to_namespaces() {
    for (export, namespace, expected) in [
        ("., ops", "web", "passthrough"),
        (".,web", "web", "1/1 80||pay"),
        ("~", "shop", "passthrough"),
    ] {
        let pay = format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: pay, namespace: shop, \
             annotations: {{networking.istio.io/exportTo: '{export}'}}}}\nspec: {{ports: [{{name: http, port: 80}}]}}\n"
        );
        let mesh = shop(&pay);
        let router = Router::of(&mesh);
        let asks = client(&mesh, "east", namespace);
        let found = router.route(asks, "pay.shop.svc.cluster.local", 80, &Request::default());
        assert_eq!(lines(&found), [expected], "{export}");
    }
}

const CLOSED: &str = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n\
     data:\n  mesh: |\n    outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n";

#[test]
fn a_host_nobody_knows_goes_out_or_is_blocked() {
    let open = sidecar("open", "web", "{outboundTrafficPolicy: {mode: ALLOW_ANY}}");
    let open = format!("{CLOSED}{open}");
    let gone = "gone.shop.svc.cluster.local";
    let cases = [
        ("", gone, 80, "passthrough"),
        (CLOSED, gone, 80, "502"),
        (CLOSED, CART, 7000, "502"),
        (&open, gone, 80, "passthrough"),
        // Nothing says that all hosts of this kind are in the input.
        (CLOSED, "api.example.com", 80, "unseen"),
        (CLOSED, "gone.elsewhere.svc.cluster.local", 80, "unseen"),
    ];
    for (objects, host, port, expected) in cases {
        let mesh = shop(objects);
        let router = Router::of(&mesh);
        let found = router.route(client(&mesh, "east", "web"), host, port, &Request::default());
        assert_eq!(lines(&found), [expected], "{host}:{port} {objects}");
    }
}

#[test]
fn service_entries_define_hosts_and_patterns() {
    let entry = "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n\
         metadata: {name: out, namespace: web}\nspec:\n  hosts: [api.example.com, '*.example.com']\n  \
         ports: [{number: 443, name: any, protocol: TLS}, {number: 80, name: web, protocol: HTTP}]\n";
    let mesh = shop(entry);
    let router = Router::of(&mesh);
    let cases = [
        ("api.example.com", "1/1 80||api.example.com"),
        ("www.example.com", "1/1 80||*.example.com"),
    ];
    for (host, expected) in cases {
        let found = router.route(client(&mesh, "east", "web"), host, 80, &Request::default());
        assert_eq!(lines(&found), [expected], "{host}");
    }
}

#[test]
fn another_name_of_a_service_leads_to_its_routes() {
    let alias = "---\napiVersion: v1\nkind: Service\nmetadata: {name: basket, namespace: shop}\n\
         spec: {type: ExternalName, externalName: cart.shop.svc.cluster.local, ports: [{name: http, port: 80}]}\n";
    let own = for_cart("cart", "http:\n- route: [{destination: {host: cart, subset: v1}}]");
    let mesh = shop(&format!("{alias}{own}"));
    let router = Router::of(&mesh);
    let asks = client(&mesh, "east", "web");
    let found = router.route(asks, "basket.shop.svc.cluster.local", 80, &Request::default());
    assert_eq!(lines(&found), ["1/1 80|v1|cart"]);
}

#[test]
fn labels_nobody_knows_leave_the_rule_open() {
    let spec = "http:\n- match: [{sourceLabels: {app: web}, uri: {prefix: /a}}]\n  \
         route: [{destination: {host: cart, subset: v1}}]";
    let mesh = shop(&for_cart("cart", spec));
    let router = Router::of(&mesh);
    let asks = Client { labels: None, ..client(&mesh, "east", "web") };
    let found = router.route(asks, CART, 80, &Request::default());
    let expected = [
        "if the client has the label `app: web` and `uri` begins with `/a`: 1/1 80|v1|cart",
        "if the client has the label `app: web`: 404",
        "1/1 80||cart",
    ];
    assert_eq!(lines(&found), expected);
}

#[test]
fn what_a_pipeline_fills_in_leaves_the_rule_open() {
    let cases = [
        ("sourceLabels: {topology.istio.io/cluster: '${CLUSTER}'}", "1/1 80||cart"),
        ("port: '${PORT}'", "1/1 80||cart"),
        ("sourceNamespace: '${TEAM}'", "1/1 80||cart"),
        ("uri: {prefix: '${PATH}'}", "404"),
    ];
    for (asks, rest) in cases {
        let spec = format!(
            "http:\n- match: [{{{asks}}}]\n  route: [{{destination: {{host: cart, subset: v1}}}}]"
        );
        let found = goes(&for_cart("cart", &spec), ("east", "web"), 80, &request("/"));
        let [open, last] = found.as_slice() else { panic!("{asks}: {found:?}") };
        assert!(open.starts_with("if ") && open.ends_with("1/1 80|v1|cart"), "{open}");
        assert_eq!(last, rest, "{asks}");
    }
    let host = "http:\n- route: [{destination: {host: '${HOST}.shop.svc.cluster.local'}}]";
    assert_goes(host, ("east", "web"), 80, &Request::default(), &["1/1 80||${host}"]);
}

#[test]
fn each_control_plane_reads_its_own_virtual_services() {
    let rules = for_cart("cart", "http:\n- route: [{destination: {host: cart, subset: v1}}]");
    let mesh = mesh(&[
        ("east/all.yaml", &format!("{}{rules}", services())),
        ("west/all.yaml", &services()),
    ]);
    let router = Router::of(&mesh);
    for (cluster, expected) in [("east", "1/1 80|v1|cart"), ("west", "1/1 80||cart")] {
        let asks = client(&mesh, cluster, "web");
        assert_eq!(
            lines(&router.route(asks, CART, 80, &Request::default())),
            [expected],
            "{cluster}"
        );
    }
}

#[test]
fn clients_of_a_remote_cluster_get_the_rules_of_its_primary() {
    let rules = for_cart(
        "cart",
        &format!(
            "http:\n- {EAST_ONLY}\n  route: [{{destination: {{host: cart, subset: v1}}}}]\n- route: [{{destination: {{host: cart, subset: v2}}}}]"
        ),
    );
    let install = |name: &str, more: &str| {
        format!(
            "---\napiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: {name}, namespace: istio-system}}\n\
             spec:\n  {more}values: {{global: {{meshID: m, multiCluster: {{clusterName: {name}}}, network: n}}}}\n"
        )
    };
    let east = format!("{}{rules}{}", services(), install("east", ""));
    let west = format!("{}{}", services(), install("west", "profile: remote\n  "));
    let mesh = mesh(&[("east/all.yaml", &east), ("west/all.yaml", &west)]);
    let router = Router::of(&mesh);
    for (cluster, expected) in [("east", "1/1 80|v1|cart"), ("west", "1/1 80|v2|cart")] {
        let routing = router.route(client(&mesh, cluster, "web"), CART, 80, &Request::default());
        assert_eq!(lines(&routing), [expected], "{cluster}");
    }
}

#[test]
fn labels_that_istio_adds_by_place_count() {
    let spec = "http:\n- match: [{sourceLabels: {topology.kubernetes.io/zone: a}}]\n  \
         route: [{destination: {host: cart, subset: a}}]";
    let mesh = shop(&for_cart("cart", spec));
    let router = Router::of(&mesh);
    for (zone, expected) in [("a", "1/1 80|a|cart"), ("b", "1/1 80||cart")] {
        let place = Locality { zone: zone.to_owned(), ..Locality::default() };
        let asks = Client { locality: Some(&place), ..client(&mesh, "east", "web") };
        let found = router.route(asks, CART, 80, &Request::default());
        assert_eq!(lines(&found), [expected], "zone {zone}");
    }
}

#[test]
fn the_story_tells_why_with_places() {
    let spec = format!(
        "http:\n- {EAST_ONLY}\n  route: [{{destination: {{host: cart, subset: v1}}}}]\n\
         - route: [{{destination: {{host: cart, subset: v2}}}}]"
    );
    let mesh = shop(&for_cart("cart", &spec));
    let router = Router::of(&mesh);
    let routing = router.route(client(&mesh, "west", "web"), CART, 80, &Request::default());
    let told: Vec<(&str, &str)> =
        routing.steps.iter().map(|s| (s.text.as_str(), mesh.raw(s.span.unwrap()))).collect();
    let expected = [
        ("port 80 has the name `http`: rules for `http` count", "http"),
        ("VirtualService `cart` has the host", "cart"),
        (
            "rule 1 does not apply: `sourceLabels` asks for `topology.istio.io/cluster: east`, the client has `west`",
            "east",
        ),
        ("rule 2 takes the request", "{destination: {host: cart, subset: v2}}"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn protocols_of_ports() {
    let cases = [
        ("{name: grpc-web-x, port: 80}", "http"),
        ("{name: HTTP2-x, port: 80}", "http"),
        ("{name: web, port: 80}", "http"),
        ("{port: 80}", "http"),
        ("{name: mysql, port: 80}", "tcp"),
        ("{name: web, port: 3306}", "tcp"),
        ("{name: https-x, port: 80}", "tls"),
        ("{name: http, port: 80, appProtocol: tcp}", "tcp"),
        ("{name: tcp, port: 80, appProtocol: kubernetes.io/h2c}", "http"),
        ("{name: http, port: 443}", "http"),
    ];
    for (port, expected) in cases {
        let text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: a, namespace: shop}}\nspec: {{ports: [{port}]}}\n"
        );
        let mesh = mesh(&[("east/a.yaml", &text)]);
        let service = mesh.services.first().unwrap();
        let found = mesh_lint::traffic::scope::Definition::Service(service).ports();
        assert_eq!(found[0].protocol.field(), expected, "{port}");
    }
}

#[test]
fn each_client_of_a_whole_mesh_finds_a_way_to_each_host() {
    for name in FIXTURES {
        let files = files(name);
        let files: Vec<(&str, &str)> =
            files.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
        let mesh = mesh(&files);
        let router = Router::of(&mesh);
        let mut asked = 0;
        for client in mesh.clusters().iter().flat_map(|c| mesh.clients(c.id)) {
            for host in mesh.hosts() {
                for port in [80, 443, 8080, 9080] {
                    let routing = router.route(client, host.name, port, &Request::default());
                    let (last, before) = routing.choices.split_last().unwrap();
                    assert!(last.is_certain(), "{name} {}:{port}", host.name);
                    assert!(!before.iter().any(Choice::is_certain), "{name} {}:{port}", host.name);
                    asked += 1;
                }
            }
        }
        assert!(asked > 0, "{name} has clients and hosts");
    }
}

fn rule() -> impl Strategy<Value = String> {
    let asks = prop::sample::select(vec![
        "",
        "match: [{sourceLabels: {app: web}}]\n  ",
        "match: [{sourceLabels: {topology.istio.io/cluster: west}}]\n  ",
        "match: [{uri: {prefix: /a}}, {headers: {x: {}}}]\n  ",
        "match: [{sourceLabels: {app: web}, uri: {prefix: /b}}]\n  ",
        "match: [{sourceNamespace: ops}]\n  ",
    ]);
    let weights = prop::collection::vec(0..5_u32, 1..4);
    (asks, weights).prop_map(|(asks, weights)| {
        let one = |w: &u32| format!("{{destination: {{host: cart}}, weight: {w}}}");
        let all: Vec<String> = weights.iter().map(one).collect();
        format!("- {asks}route: [{}]\n", all.join(", "))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_request_takes_a_choice_and_its_shares_are_all(
        services in prop::collection::vec(prop::collection::vec(rule(), 1..4), 0..3),
        known in any::<bool>(),
    ) {
        let name = |i: usize| format!("vs-{i}");
        let objects: String = services
            .iter()
            .enumerate()
            .map(|(i, rules)| for_cart(&name(i), &format!("http:\n{}", rules.concat())))
            .collect();
        let mesh = shop(&objects);
        let router = Router::of(&mesh);
        let labels = entries(&[("app", "web")]);
        let asks = Client { labels: known.then_some(&labels), ..client(&mesh, "east", "web") };
        let routing = router.route(asks, CART, 80, &Request::default());
        let certain: Vec<bool> = routing.choices.iter().map(Choice::is_certain).collect();
        let (last, before) = certain.split_last().unwrap();
        prop_assert!(*last && !before.contains(&true), "only the last takes everything");
        for choice in &routing.choices {
            if let Action::Forward(legs) = &choice.action {
                let sum: u64 = legs.iter().map(|leg| leg.weight).sum();
                prop_assert!(legs.iter().all(|leg| leg.total == sum && leg.weight > 0));
            }
        }
    }
}

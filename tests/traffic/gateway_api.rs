//! Routes of the Gateway API that are attached to Services: who gets them, which rule goes first, and what
//! becomes of backends that are not there.
//!
//! The cases follow `pilot/pkg/config/kube/gateway` of Istio and its tests (`testdata/mesh.yaml` and
//! others), and the mesh profile of the Gateway API's conformance tests.

use mesh_lint::mesh::{Client, Mesh};
use mesh_lint::traffic::Traffic;
use mesh_lint::traffic::flow::Failure;
use mesh_lint::traffic::journey::End;
use mesh_lint::traffic::route::{Request, Router, Routing};

use super::mesh;
use super::route::{self, CART, CART_SERVICE, lines};

const PARTNER: &str = "api.partner.example.com";

/// What routes may lead to beside `cart`.
const OTHERS: &str = "
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: web}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: partner, namespace: shop}
spec:
  hosts: [api.partner.example.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
---
";

fn services() -> String {
    format!("{CART_SERVICE}{OTHERS}")
}

/// A route by kind, name and namespace, and what its `spec` has.
fn route(kind: &str, name: &str, namespace: &str, spec: &str) -> String {
    let spec = spec.trim().replace('\n', "\n  ");
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  {spec}\n---\n"
    )
}

/// An HTTPRoute of the Service's own namespace.
fn own(name: &str, rules: &str) -> String {
    let parent = "parentRefs: [{group: '', kind: Service, name: cart}]";
    route("HTTPRoute", name, "shop", &format!("{parent}\nrules:\n{rules}"))
}

fn to(name: &str) -> String {
    format!("- backendRefs: [{{name: {name}, port: 80}}]")
}

fn shop(objects: &str) -> Mesh {
    mesh(&[("east/all.yaml", &format!("{}{objects}", services()))])
}

fn client<'m>(mesh: &Mesh, namespace: &'m str) -> Client<'m> {
    Client::of(mesh.clusters()[0].id, namespace)
}

fn request(path: &str) -> Request {
    Request { authority: None, scheme: None, ..route::request(path) }
}

fn routed<'m>(
    mesh: &'m Mesh,
    from: &'m str,
    host: &str,
    port: u32,
    asked: &Request,
) -> Routing<'m> {
    Router::of(mesh).route(client(mesh, from), host, port, asked)
}

#[track_caller]
fn assert_goes(objects: &str, from: &str, port: u32, asked: &Request, expected: &[&str]) {
    let mesh = shop(objects);
    assert_eq!(lines(&routed(&mesh, from, CART, port, asked)), expected, "{objects}");
}

/// Where a call goes of which nothing is known.
#[track_caller]
fn assert_all_go(objects: &str, from: &str, expected: &[&str]) {
    assert_goes(objects, from, 80, &Request::default(), expected);
}

#[test]
fn a_route_beside_its_service_is_for_all_clients() {
    for namespace in ["shop", "web", "other"] {
        assert_all_go(&own("cart", &to("a")), namespace, &["1/1 80||a"]);
    }
}

#[test]
fn a_route_of_another_namespace_is_for_clients_of_that_one_and_goes_first_there() {
    let parent = "parentRefs: [{group: '', kind: Service, name: cart, namespace: shop}]";
    let rules = "rules:\n- backendRefs: [{name: b, namespace: shop, port: 80}]";
    let theirs = route("HTTPRoute", "zzz", "web", &format!("{parent}\n{rules}"));
    assert_all_go(&theirs, "web", &["1/1 80||b"]);
    assert_all_go(&theirs, "other", &["1/1 80||cart"]);
    let both = format!("{}{theirs}", own("cart", &to("a")));
    assert_all_go(&both, "web", &["1/1 80||b"]);
    assert_all_go(&both, "other", &["1/1 80||a"]);
    let mesh = shop(&both);
    assert!(routed(&mesh, "web", CART, 80, &Request::default()).rivals.is_empty());
    let told = routed(&mesh, "other", CART, 80, &Request::default()).steps;
    let told: Vec<&str> = told.iter().map(|step| step.text.as_str()).collect();
    let apart =
        "HTTPRoute `zzz` of `web` is attached to `cart.shop` for clients of that namespace alone";
    assert!(told.contains(&apart), "{told:#?}");
    assert!(told.contains(&"HTTPRoute `cart` has the host, attached to `cart.shop`"), "{told:#?}");
    assert!(told.contains(&"rule 1 of HTTPRoute `cart` takes the request"), "{told:#?}");
}

#[test]
fn only_what_names_the_group_of_a_service_is_attached_to_one() {
    let parents =
        ["{kind: Service, name: cart}", "{name: cart}", "{group: apps, kind: Service, name: cart}"];
    for parent in parents {
        let spec = format!("parentRefs: [{parent}]\nrules:\n{}", to("a"));
        assert_all_go(&route("HTTPRoute", "cart", "shop", &spec), "web", &["1/1 80||cart"]);
    }
}

#[test]
fn hostnames_count_for_nothing_beside_a_parent() {
    let spec = format!(
        "hostnames: [other.example.com]\nparentRefs: [{{group: '', kind: Service, name: cart}}]\nrules:\n{}",
        to("a")
    );
    assert_all_go(&route("HTTPRoute", "cart", "shop", &spec), "web", &["1/1 80||a"]);
}

#[test]
fn a_port_of_the_parent_restricts_to_that_port() {
    let at = |port: u32, name: &str| {
        let parent =
            format!("parentRefs: [{{group: '', kind: Service, name: cart, port: {port}}}]");
        route("HTTPRoute", name, "shop", &format!("{parent}\nrules:\n{}", to(name)))
    };
    let one = at(8080, "a");
    assert_all_go(&one, "web", &["1/1 80||cart"]);
    assert_goes(&one, "web", 8080, &Request::default(), &["1/1 80||a"]);
    let both = format!("{one}{}", at(80, "b"));
    assert_all_go(&both, "web", &["1/1 80||b"]);
    assert_goes(&both, "web", 8080, &Request::default(), &["1/1 80||a"]);
    let several = "parentRefs: [{group: '', kind: Service, name: cart, port: 80}, \
                   {group: '', kind: Service, name: cart, port: 8080}]";
    let several = route("HTTPRoute", "cart", "shop", &format!("{several}\nrules:\n{}", to("a")));
    assert_all_go(&several, "web", &["1/1 80||a"]);
    assert_goes(&several, "web", 8080, &Request::default(), &["1/1 80||a"]);
}

#[test]
fn prefixes_go_by_segments() {
    let cases = [
        ("{type: PathPrefix, value: /foo}", "/foo", true),
        ("{type: PathPrefix, value: /foo}", "/foo/bar", true),
        ("{type: PathPrefix, value: /foo}", "/foo?x=1", true),
        ("{type: PathPrefix, value: /foo}", "/foobar", false),
        ("{type: PathPrefix, value: /foo/}", "/foo", true),
        ("{value: /foo}", "/foo/bar", true),
        ("{type: PathPrefix, value: /}", "/anything", true),
        ("{type: Exact, value: /foo}", "/foo/", false),
        ("{type: Exact, value: /foo}", "/foo", true),
        ("{type: RegularExpression, value: '/f.*'}", "/foobar", true),
        ("{type: RegularExpression, value: '/f'}", "/foobar", false),
    ];
    for (path, called, taken) in cases {
        let rules = format!("- matches: [{{path: {path}}}]\n  {}", &to("a")[2..]);
        let expected = if taken { "1/1 80||a" } else { "404" };
        assert_goes(&own("cart", &rules), "web", 80, &request(called), &[expected]);
    }
}

#[test]
fn what_else_a_match_asks_for() {
    let cases = [
        ("method: GET", "/", true),
        ("method: POST", "/", false),
        ("headers: [{name: X, value: '1'}]", "/", false),
        ("queryParams: [{name: q, value: '1'}]", "/?q=1", true),
        ("queryParams: [{name: q, value: '.', type: RegularExpression}]", "/?q=1", true),
        ("queryParams: [{name: q, value: '1'}]", "/?q=2", false),
    ];
    for (asks, called, taken) in cases {
        let rules = format!("- matches: [{{{asks}}}]\n  {}", &to("a")[2..]);
        let expected = if taken { "1/1 80||a" } else { "404" };
        assert_goes(&own("cart", &rules), "web", 80, &request(called), &[expected]);
    }
    let mut with = request("/");
    with.headers = Some([("x".to_owned(), "1".to_owned())].into());
    let rules = format!("- matches: [{{headers: [{{name: X, value: '1'}}]}}]\n  {}", &to("a")[2..]);
    assert_goes(&own("cart", &rules), "web", 80, &with, &["1/1 80||a"]);
}

/// Rules that ask for this, each with a backend of its own: `a` for the first, `b` for the second.
fn two(first: &str, second: &str) -> String {
    format!(
        "- matches: [{{{first}}}]\n  {}\n- matches: [{{{second}}}]\n  {}",
        &to("a")[2..],
        &to("b")[2..]
    )
}

#[test]
fn what_asks_for_more_goes_first_wherever_it_stands() {
    let prefix = |path: &str| format!("path: {{type: PathPrefix, value: {path}}}");
    let exact = |path: &str| format!("path: {{type: Exact, value: {path}}}");
    let regex = |path: &str| format!("path: {{type: RegularExpression, value: '{path}'}}");
    let query = "queryParams: [{name: q, value: '1'}]";
    let cases = [
        (prefix("/"), prefix("/foo")),
        (prefix("/foo"), exact("/foo")),
        (regex("/fo+.*"), prefix("/foo")),
        (regex("/fo+.*"), exact("/foo")),
        (prefix("/foo"), format!("{}, method: GET", prefix("/foo"))),
        (format!("{}, {query}", prefix("/foo")), format!("{}, method: GET", prefix("/foo"))),
        (prefix("/foo"), format!("{}, {query}", prefix("/foo"))),
        (query.to_owned(), prefix("/foo")),
        (
            format!("{}, {query}", prefix("/foo")),
            format!("{}, headers: [{{name: X, value: '1'}}]", prefix("/foo")),
        ),
    ];
    for (less, more) in cases {
        let mut called = request("/foo?q=1");
        called.headers = Some([("x".to_owned(), "1".to_owned())].into());
        assert_goes(&own("cart", &two(&less, &more)), "web", 80, &called, &["1/1 80||b"]);
        assert_goes(&own("cart", &two(&more, &less)), "web", 80, &called, &["1/1 80||a"]);
        // The same if they stand in two routes, whichever is older.
        for (one, other) in [("x", "y"), ("y", "x")] {
            let rules = two(&less, &more);
            let (first, second) = rules.split_once("\n- ").unwrap();
            let both = format!("{}{}", own(one, first), own(other, &format!("- {second}")));
            assert_goes(&both, "web", 80, &called, &["1/1 80||b"]);
        }
    }
}

#[test]
fn of_rules_that_ask_for_the_same_that_of_the_older_route_goes_first() {
    assert_all_go(&own("cart", &format!("{}\n{}", to("a"), to("b"))), "web", &["1/1 80||a"]);
    let both = format!("{}{}", own("y", &to("a")), own("x", &to("b")));
    let mesh = shop(&both);
    let routing = routed(&mesh, "web", CART, 80, &Request::default());
    assert_eq!(lines(&routing), ["1/1 80||b"]);
    assert!(routing.is_tied, "files do not tell which is older");
    let other = Router::by(&mesh, mesh_lint::mesh::Order::Reversed);
    let other = other.route(client(&mesh, "web"), CART, 80, &Request::default());
    assert_eq!(lines(&other), ["1/1 80||a"]);
    let one = "- matches: [{path: {type: Exact, value: /a}}]\n  backendRefs: [{name: a, port: 80}]";
    let two = "- matches: [{path: {type: Exact, value: /b}}]\n  backendRefs: [{name: b, port: 80}]";
    let apart = shop(&format!("{}{}", own("y", one), own("x", two)));
    assert!(!routed(&apart, "web", CART, 80, &Request::default()).is_tied, "no request takes both");
}

#[test]
fn several_texts_of_one_route_are_not_merged() {
    let both = format!("{}{}", own("cart", &to("a")), own("cart", &to("b")));
    assert_all_go(&both, "web", &["unseen"]);
}

#[test]
fn weights_are_relative_and_what_is_missing_gets_500() {
    let backends = |all: &str| own("cart", &format!("- backendRefs: [{all}]"));
    let cases = [
        ("{name: a, port: 80}, {name: b, port: 80}", "1/2 80||a, 1/2 80||b"),
        ("{name: a, port: 80, weight: 3}, {name: b, port: 80, weight: 1}", "3/4 80||a, 1/4 80||b"),
        ("{name: a, port: 80, weight: 0}, {name: b, port: 80, weight: 5}", "1/1 80||b"),
        ("{name: a, port: 80, weight: 9}, {name: gone, port: 80}", "9/10 80||a, 1/10 80||gone NC"),
        ("{name: a, port: 81}", "1/1 81||a NC"),
        ("{name: a, port: 80, weight: 0}", "responds 500"),
        ("", "responds 500"),
        ("{name: a, port: 80, weight: '${WEIGHT}'}, {name: b, port: 80}", "unseen"),
        ("{name: a, port: '${PORT}'}, {name: b, port: 80}", "unseen"),
        ("{name: a}, {name: b, port: 80}", "unseen"),
        ("{name: a, port: 80, kind: Bucket, group: example.com}", "1/1 80|| NC"),
        ("{name: a, port: 80, kind: ServiceImport, group: multicluster.x-k8s.io}", "unseen"),
    ];
    for (all, expected) in cases {
        assert_all_go(&backends(all), "web", &[expected]);
    }
    let mesh = shop(&backends("{name: a, port: 80, weight: 9}, {name: gone, port: 80}"));
    let traffic = Traffic::of(&mesh);
    let journey = traffic.journey(client(&mesh, "web"), CART, 80, &Request::default());
    let [way] = journey.ways.as_slice() else { panic!("one way") };
    let failing: Vec<_> = way.parts.iter().filter(|p| matches!(p.end, End::Fails(..))).collect();
    let [part] = failing.as_slice() else { panic!("one part fails") };
    assert!((part.share - 0.1).abs() < 1e-9, "{}", part.share);
    assert!(matches!(part.end, End::Fails(Failure::NoBackend, Some(_))), "{:?}", part.end);
}

#[test]
fn no_grant_is_needed_within_the_mesh_and_another_namespace_may_not_be_seen() {
    let to = |namespace: &str, name: &str| {
        own("cart", &format!("- backendRefs: [{{name: {name}, namespace: {namespace}, port: 80}}]"))
    };
    assert_all_go(&to("web", "web"), "other", &["1/1 80||web.web.svc.cluster.local"]);
    let mesh = shop(&to("depot", "stock"));
    let traffic = Traffic::of(&mesh);
    let journey = traffic.journey(client(&mesh, "web"), CART, 80, &Request::default());
    assert!(matches!(journey.ways[0].parts[0].end, End::Unseen(_)), "nothing is known of `depot`");
}

#[test]
fn filters() {
    let with = |filter: &str| {
        own("cart", &format!("- filters: [{filter}]\n  backendRefs: [{{name: a, port: 80}}]"))
    };
    let cases = [
        ("{type: RequestRedirect, requestRedirect: {statusCode: 302}}", "redirect"),
        ("{type: URLRewrite, urlRewrite: {hostname: b.example.com}}", "1/1 80||a"),
        ("{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x]}}", "1/1 80||a"),
        ("{type: ExtensionRef, extensionRef: {group: g, kind: K, name: n}}", "unseen"),
        ("{type: '${FILTER}'}", "unseen"),
    ];
    for (filter, expected) in cases {
        assert_all_go(&with(filter), "web", &[expected]);
    }
    let cases = [
        ("", 1_000_000),
        (", percent: 5", 50_000),
        (", fraction: {numerator: 1, denominator: 8}", 125_000),
    ];
    for (part, per_million) in cases {
        let mirror = format!(
            "{{type: RequestMirror, requestMirror: {{backendRef: {{name: b, port: 80}}{part}}}}}"
        );
        let mesh = shop(&with(&mirror));
        let routing = routed(&mesh, "web", CART, 80, &Request::default());
        let found: Vec<_> = routing.choices[0].mirrors.iter().map(|m| m.per_million).collect();
        assert_eq!(found, [per_million], "{part}");
    }
}

#[test]
fn retries_of_a_route() {
    for (retry, times) in [
        ("", 2),
        ("retry: {attempts: 5}", 5),
        ("retry: {codes: [503]}", 2),
        ("retry: {attempts: 0}", 0),
    ] {
        let rules = format!("- backendRefs: [{{name: a, port: 80}}]\n  {retry}");
        let mesh = shop(&own("cart", &rules));
        let routing = routed(&mesh, "web", CART, 80, &Request::default());
        assert_eq!(routing.choices[0].retries, times, "{retry}");
    }
}

#[test]
fn what_the_api_server_fills_in() {
    assert_all_go(
        &own("cart", "- matches: []\n  backendRefs: [{name: a, port: 80}]"),
        "web",
        &["1/1 80||a"],
    );
    let bare =
        route("HTTPRoute", "cart", "shop", "parentRefs: [{group: '', kind: Service, name: cart}]");
    assert_all_go(&bare, "web", &["responds 500"]);
}

#[test]
fn methods_of_grpc_are_paths() {
    let cases = [
        ("{service: shop.Cart, method: Add}", "/shop.Cart/Add", true),
        ("{service: shop.Cart, method: Add}", "/shop.Cart/Del", false),
        ("{service: shop.Cart}", "/shop.Cart/Del", true),
        ("{service: shop.Cart}", "/shop.Carts/Del", false),
        ("{method: Add}", "/any/Add", true),
        ("{type: RegularExpression, service: 'shop.*', method: 'A.*'}", "/shop.Cart/Add", true),
        ("{type: RegularExpression, service: 'shop.*'}", "/depot.Cart/Add", false),
    ];
    for (method, called, taken) in cases {
        let spec = format!(
            "parentRefs: [{{group: '', kind: Service, name: cart}}]\nrules:\n- matches: [{{method: {method}}}]\n  {}",
            &to("a")[2..]
        );
        let expected = if taken { "1/1 80||a" } else { "404" };
        assert_goes(
            &route("GRPCRoute", "cart", "shop", &spec),
            "web",
            80,
            &request(called),
            &[expected],
        );
    }
    // Without a match it takes everything, and without rules it is nothing.
    let parent = "parentRefs: [{group: '', kind: Service, name: cart}]";
    let all = route("GRPCRoute", "cart", "shop", &format!("{parent}\nrules:\n{}", to("a")));
    assert_all_go(&all, "web", &["1/1 80||a"]);
    assert_all_go(&route("GRPCRoute", "cart", "shop", parent), "web", &["1/1 80||cart"]);
}

fn virtual_service(name: &str, namespace: &str, more: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec:\n  hosts: [{CART}]\n  http:\n  - route: [{{destination: {{host: b.shop.svc.cluster.local}}}}]\n{more}---\n"
    )
}

#[test]
fn beside_a_virtual_service_age_decides_and_the_route_of_the_clients_namespace_goes_first() {
    let both = format!("{}{}", own("cart", &to("a")), virtual_service("cart", "shop", ""));
    let mesh = shop(&both);
    let routing = routed(&mesh, "web", CART, 80, &Request::default());
    assert_eq!(lines(&routing), ["1/1 80||b"], "by name, as istiod takes what is equally old");
    let rivals: Vec<String> = routing.rivals.iter().map(|s| s.called()).collect();
    assert_eq!(rivals, ["HTTPRoute `cart`"]);
    let other = Router::by(&mesh, mesh_lint::mesh::Order::Reversed);
    let other = other.route(client(&mesh, "web"), CART, 80, &Request::default());
    assert_eq!(lines(&other), ["1/1 80||a"]);
    // In the route's own namespace the route goes first, whatever is older.
    let routing = routed(&mesh, "shop", CART, 80, &Request::default());
    assert_eq!(lines(&routing), ["1/1 80||a"]);
    assert!(routing.rivals.is_empty());
    // What is exported to a namespace by name goes before what is for all.
    let narrow = virtual_service("cart", "shop", "  exportTo: [shop]\n");
    let narrow = format!("{}{narrow}", own("cart", &to("a")));
    assert_all_go(&narrow, "shop", &["1/1 80||b"]);
    assert_all_go(&narrow, "web", &["1/1 80||a"]);
}

#[test]
fn a_route_that_is_attached_to_a_service_entry() {
    let spec = |parent: &str| format!("parentRefs: [{parent}]\nrules:\n{}", to("a"));
    let parent = "{group: networking.istio.io, kind: ServiceEntry, name: partner}";
    let mesh = shop(&route("HTTPRoute", "partner", "shop", &spec(parent)));
    let found = routed(&mesh, "web", PARTNER, 80, &Request::default());
    assert_eq!(lines(&found), ["1/1 80||a"]);
    let backend = "parentRefs: [{group: '', kind: Service, name: cart}]\nrules:\n- backendRefs: \
         [{group: networking.istio.io, kind: Hostname, name: api.partner.example.com, port: 80}]";
    let out = route("HTTPRoute", "cart", "shop", backend);
    assert_all_go(&out, "web", &["1/1 80||api.partner.example.com"]);
}

#[test]
fn connections() {
    let tcp = |more: &str, backends: &str| {
        let spec = format!(
            "parentRefs: [{{group: '', kind: Service, name: cart{more}}}]\nrules:\n- backendRefs: [{backends}]"
        );
        route("TCPRoute", "db", "shop", &spec)
    };
    let (a, none) = ("{name: a, port: 80}", "{name: a, port: 80, weight: 0}");
    let any = Request::default();
    assert_goes(&tcp("", a), "web", 5432, &any, &["1/1 80||a"]);
    assert_goes(&tcp(", port: 5432", a), "web", 5432, &any, &["1/1 80||a"]);
    assert_goes(&tcp(", port: 80", a), "web", 5432, &any, &["1/1 5432||cart"]);
    assert_goes(&tcp("", none), "web", 5432, &any, &["closed"]);
    assert_goes(&tcp("", "{name: a}"), "web", 5432, &any, &["unseen"]);
    assert_goes(&tcp("", "{name: a}"), "web", 80, &any, &["1/1 80||cart"]);
    assert_goes(&tcp("", a), "web", 80, &any, &["1/1 80||cart"]);
    let tls = |hosts: &str| {
        let spec = format!(
            "{hosts}parentRefs: [{{group: '', kind: Service, name: cart}}]\nrules:\n- backendRefs: [{a}]"
        );
        route("TLSRoute", "in", "shop", &spec)
    };
    assert_goes(&tls(""), "web", 443, &any, &["1/1 80||a"]);
    assert_goes(&tls("hostnames: [other.example.com]\n"), "web", 443, &any, &["closed"]);
    let named = Request { server_name: Some("other.example.com".to_owned()), ..Request::default() };
    assert_goes(&tls("hostnames: [other.example.com]\n"), "web", 443, &named, &["1/1 80||a"]);
}

#[test]
fn routes_count_where_the_control_plane_reads_them() {
    let route = own("cart", &to("a"));
    let off = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {name: istio, namespace: \
               istio-system}\nspec: {values: {pilot: {env: {PILOT_ENABLE_GATEWAY_API: 'false'}}}}\n---\n";
    assert_all_go(&format!("{off}{route}"), "web", &["1/1 80||cart"]);
    // Those of a remote cluster are read by nobody.
    let remote = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: istio-system\n  annotations: \
                  {topology.istio.io/controlPlaneClusters: east}\n---\n";
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: istio-remote-secret-west\n  namespace: istio-system\n  \
                  labels: {istio/multiCluster: 'true'}\n  annotations: {networking.istio.io/cluster: west}\n---\n";
    let goes = |east: &str, west: &str| {
        let (east, west) =
            (format!("{}{secret}{east}", services()), format!("{}{remote}{west}", services()));
        let mesh = mesh(&[("east/all.yaml", &east), ("west/all.yaml", &west)]);
        let west = mesh.clusters().iter().find(|c| c.is_called("west")).unwrap().id;
        lines(&Router::of(&mesh).route(Client::of(west, "web"), CART, 80, &Request::default()))
    };
    assert_eq!(goes(&route, ""), ["1/1 80||a"]);
    assert_eq!(goes("", &route), ["1/1 80||cart"]);
}

#[test]
fn whether_a_parent_of_another_cluster_alone_counts_is_not_known() {
    let meshes = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: istio-remote-secret-west\n  namespace: istio-system\n  \
                  labels: {istio/multiCluster: 'true'}\n  annotations: {networking.istio.io/cluster: west}\n---\n";
    let without = services().replacen("name: cart,", "name: other,", 1);
    let east = format!("{without}{meshes}{}", own("cart", &to("a")));
    let mesh = mesh(&[("east/all.yaml", &east), ("west/all.yaml", &services())]);
    let east = mesh.clusters().iter().find(|c| c.is_called("east")).unwrap().id;
    let routing = Router::of(&mesh).route(Client::of(east, "web"), CART, 80, &Request::default());
    assert_eq!(lines(&routing), ["unseen"]);
}

#[test]
fn ambient_clients_are_not_computed_and_sidecars_pass_a_waypoint_by() {
    let ambient = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web, labels: {istio.io/dataplane-mode: ambient}}\n---\n\
                   apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio.io/use-waypoint: way}}\n---\n";
    let mesh = shop(&format!("{ambient}{}", own("cart", &to("a"))));
    let routing = routed(&mesh, "web", CART, 80, &Request::default());
    assert_eq!(lines(&routing), ["unseen"]);
    let routing = routed(&mesh, "other", CART, 80, &Request::default());
    assert_eq!(lines(&routing), ["1/1 80||a"]);
    let by = "sidecars call its endpoints, and not its waypoint `way`";
    assert!(routing.steps.iter().any(|step| step.text == by), "{:#?}", routing.steps);
}

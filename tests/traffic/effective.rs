//! Which policies are in effect, for which hosts, subsets and ports, and how sure that is.

use mesh_lint::mesh::Mesh;
use mesh_lint::traffic::Traffic;
use mesh_lint::traffic::effective::{EffectivePolicy, Layout};

fn service(name: &str, ports: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{selector: {{app: {name}}}, ports: [{ports}]}}\n"
    )
}

fn rule(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec: {{{spec}}}\n"
    )
}

fn mesh(texts: &[String]) -> Mesh {
    super::mesh(&[("east/all.yaml", &texts.concat())])
}

/// `cart.shop v1 80: 7`: host, subset, port, and `consecutive5xxErrors`; `?` where it is not sure.
fn told(policy: &EffectivePolicy<'_>) -> String {
    let subset = policy.subset.map_or(String::new(), |s| format!(" {}", s.name.value));
    let port = policy.port.map_or(String::new(), |port| format!(" {port}"));
    let errors = policy.outliers().and_then(|o| o.consecutive_5xx_errors.as_ref());
    let errors = errors.map_or("none".to_owned(), |errors| errors.value.to_string());
    let sure = if policy.is_certain { "" } else { "?" };
    let host = policy.host_name();
    let host = host.split(".svc.").next().unwrap_or_default();
    format!("{host}{subset}{port}: {errors}{sure}")
}

fn all(texts: &[String]) -> Vec<String> {
    let mesh = mesh(texts);
    Traffic::of(&mesh).policies().iter().map(told).collect()
}

const HTTP: &str = "{name: http, port: 80}";
const TWO: &str = "{name: http, port: 80}, {name: admin, port: 8080}";

fn ejects(errors: u32) -> String {
    format!("outlierDetection: {{consecutive5xxErrors: {errors}}}")
}

#[test]
fn a_pattern_is_for_each_host_that_gets_it() {
    let (wide, narrow) = (ejects(7), ejects(8));
    let texts = [
        service("cart", HTTP),
        service("quote", HTTP),
        service("mail", HTTP),
        rule(
            "shop",
            "all",
            &format!("host: '*.shop.svc.cluster.local', trafficPolicy: {{{wide}}}"),
        ),
        rule("shop", "mail", &format!("host: mail, trafficPolicy: {{{narrow}}}")),
    ];
    assert_eq!(all(&texts), ["cart.shop: 7", "quote.shop: 7", "mail.shop: 8"]);
}

#[test]
fn a_pattern_without_a_host_speaks_for_itself() {
    let text = rule("shop", "all", &format!("host: '*.local', trafficPolicy: {{{}}}", ejects(7)));
    assert_eq!(all(&[text]), ["*.local: 7"]);
}

#[test]
fn a_pattern_of_a_third_namespace_is_for_its_own_clients() {
    let spec = format!("host: '*.local', trafficPolicy: {{{}}}", ejects(7));
    let own = format!("host: cart, trafficPolicy: {{{}}}", ejects(8));
    let texts = [service("cart", HTTP), rule("other", "all", &spec), rule("shop", "cart", &own)];
    assert_eq!(all(&texts), ["cart.shop: 7", "cart.shop: 8"]);
}

#[test]
fn rules_of_one_host_and_namespace_are_one() {
    let policy = format!("host: cart, trafficPolicy: {{{}}}", ejects(7));
    let subset = "host: cart, subsets: [{name: v1, labels: {version: v1}}]";
    let texts = [service("cart", HTTP), rule("shop", "a", &policy), rule("shop", "b", subset)];
    assert_eq!(all(&texts), ["cart.shop: 7", "cart.shop v1: 7"]);
}

#[test]
fn of_two_policies_for_one_host_neither_is_sure() {
    let policy = |errors| format!("host: cart, trafficPolicy: {{{}}}", ejects(errors));
    let texts =
        [service("cart", HTTP), rule("shop", "a", &policy(7)), rule("shop", "b", &policy(8))];
    assert_eq!(all(&texts), ["cart.shop: 7?"]);
}

#[test]
fn ports_have_entries_of_their_own() {
    let entry = |port| format!("{{port: {{number: {port}}}, {}}}", ejects(port));
    let spec = |ports: &[u32]| {
        let entries: Vec<String> = ports.iter().map(|port| entry(*port)).collect();
        let entries = entries.join(", ");
        let own = ejects(7);
        rule(
            "shop",
            "cart",
            &format!("host: cart, trafficPolicy: {{{own}, portLevelSettings: [{entries}]}}"),
        )
    };
    let cart = |ports| service("cart", ports);
    assert_eq!(all(&[cart(TWO), spec(&[80])]), ["cart.shop: 7", "cart.shop 80: 80"]);
    assert_eq!(all(&[cart(HTTP), spec(&[80])]), ["cart.shop 80: 80"]);
    assert_eq!(all(&[cart(HTTP), spec(&[8080])]), ["cart.shop: 7"]);
    assert_eq!(all(&[spec(&[80])]), ["cart.shop: 7", "cart.shop 80: 80"]);
}

#[test]
fn an_entry_for_a_port_hides_what_another_entry_hides_already() {
    let port = "portLevelSettings: [{port: {number: 80}, tls: {}}]";
    let spec = format!(
        "host: cart, trafficPolicy: {{{}, {port}}}, subsets: [{{name: v1, trafficPolicy: {{{port}}}}}]",
        ejects(7)
    );
    let mesh = mesh(&[service("cart", HTTP), rule("shop", "cart", &spec)]);
    let traffic = Traffic::of(&mesh);
    let dropped = |p: &EffectivePolicy<'_>| p.dropped().map(|span| mesh.raw(span).to_owned());
    let hidden: Vec<_> = traffic.policies().iter().map(dropped).collect();
    assert_eq!(hidden, vec![Some("{consecutive5xxErrors: 7}".to_owned()); 2]);
}

#[test]
fn a_host_that_is_only_called_by_subset_has_no_policy_of_its_own() {
    let spec = format!("host: cart, trafficPolicy: {{{}}}, subsets: [{{name: v1}}]", ejects(7));
    let route = "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n\
                 metadata: {name: cart, namespace: shop}\nspec: {hosts: [cart], http: [{route: \
                 [{destination: {host: cart, subset: v1}}]}]}\n";
    let texts = [service("cart", HTTP), rule("shop", "cart", &spec), route.to_owned()];
    assert_eq!(all(&texts), ["cart.shop v1: 7"]);
}

#[test]
fn what_mesh_config_may_say_is_not_known_and_likely_nothing() {
    let spec = format!("host: cart, trafficPolicy: {{{}}}", ejects(7));
    let config = "---\napiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n\
                  metadata: {name: istio, namespace: istio-system}\n\
                  spec: {meshConfig: {localityLbSetting: {enabled: false}}}\n";
    let texts = [service("cart", HTTP), rule("shop", "cart", &spec), config.to_owned()];
    let unseen = mesh(&texts[..2]);
    let traffic = Traffic::of(&unseen);
    let policy = &traffic.policies()[0];
    assert!(matches!(policy.layout(), Layout::Unknown));
    assert!(policy.assumes_mesh_config());
    assert!(matches!(policy.likely_layout(), Layout::OwnZoneFirst(None)));
    let told = mesh(&texts);
    let traffic = Traffic::of(&told);
    let policy = &traffic.policies()[0];
    assert!(!policy.assumes_mesh_config());
    assert!(matches!(policy.likely_layout(), Layout::Other));
}

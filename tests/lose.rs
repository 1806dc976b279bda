//! What a cluster's loss does, as `clusters --lose` shows it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/folder.rs"]
mod folder;
#[path = "common/program.rs"]
mod program;

use std::fs;
use std::path::Path;

use folder::put;
use serde_json::Value;

fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let done = program::run(folder, &[&["clusters", "--now", "2026-11-24"], args].concat());
    let text = [done.stdout, done.stderr].concat();
    (done.status.code(), String::from_utf8(text).unwrap())
}

fn lose(folder: &Path, args: &[&str]) -> String {
    let (code, text) = run(folder, args);
    assert_eq!(code, Some(0), "{text}");
    text
}

fn plane(name: &str, env: &str) -> String {
    format!(
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: istio}}\nspec:\n  values:\n    \
         pilot: {{env: {{{env}}}}}\n    global: {{meshID: main, multiCluster: {{clusterName: {name}}}}}\n"
    )
}

fn nodes(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Node\nmetadata:\n  name: {name}\n  labels: {{topology.kubernetes.io/region: {name}, \
         topology.kubernetes.io/zone: {name}-a}}\n"
    )
}

fn service(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{selector: {{app: \
         {name}}}, ports: [{{name: http, port: 80}}]}}\n"
    )
}

fn pods(name: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  replicas: \
         2\n  selector: {{matchLabels: {{app: {name}}}}}\n  template: {{metadata: {{labels: {{app: {name}}}}}, spec: \
         {{containers: [{{name: a, image: a}}]}}}}\n"
    )
}

fn secret(name: &str, keys: &[&str]) -> String {
    let data: Vec<String> = keys.iter().map(|key| format!("{key}: AgB3aXRoaGVsZA")).collect();
    let data = data.join(", ");
    format!(
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: {name}, namespace: istio-system}}\n\
         spec:\n  encryptedData: {{{data}}}\n  template: {{metadata: {{labels: {{istio/multiCluster: \"true\"}}}}}}\n"
    )
}

/// `cart` is in both clusters, `stock` in west alone; istiod of east waits for ever.
fn two() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| put(folder.path(), name, text);
    put("clusters/east/istio.yaml", &plane("east", "PILOT_REMOTE_CLUSTER_TIMEOUT: \"0\""));
    put("clusters/west/istio.yaml", &plane("west", ""));
    put("clusters/east/west.yaml", &secret("istio-remote-secret-west", &["west"]));
    put("clusters/west/east.yaml", &secret("all", &["east", "north"]));
    for cluster in ["east", "west"] {
        put(&format!("clusters/{cluster}/nodes.yaml"), &nodes(cluster));
        put(&format!("clusters/{cluster}/cart.yaml"), &(service("cart") + &pods("cart")));
    }
    put("clusters/east/stock.yaml", &service("stock"));
    put("clusters/west/stock.yaml", &(service("stock") + &pods("stock")));
    folder
}

#[test]
fn what_has_no_endpoint_elsewhere_fails_for_good() {
    let folder = two();
    let value: Value =
        serde_json::from_str(&lose(folder.path(), &["--lose", "west", "--json"])).unwrap();
    let services = value["services"].as_array().unwrap();
    let of = |host: &str| {
        services.iter().find(|s| s["host"].as_str().unwrap().starts_with(host)).unwrap()
    };
    assert_eq!(of("stock")["clients"][0]["onceTakenOut"]["least"], 1.0, "{value:#}");
    assert_eq!(of("cart")["clients"][0]["onceTakenOut"]["most"], 0.0);
    assert_eq!(of("cart")["clients"][0]["whileListed"]["least"], 0.5);
    assert_eq!(of("cart")["leftElsewhere"], true);
}

#[test]
fn an_istiod_that_waits_for_ever_is_told() {
    let folder = two();
    let text = lose(folder.path(), &["--lose", "west"]);
    assert!(text.contains("NEVER GETS READY"), "{text}");
    let text = lose(folder.path(), &["--lose", "east"]);
    assert!(text.contains("west: keeps what it last saw of east"), "{text}");
    assert!(text.contains("waits 30s"), "{text}");
}

#[test]
fn the_command_takes_out_one_cluster_only() {
    let folder = two();
    let text = lose(folder.path(), &["--lose", "west"]);
    let whole = "kubectl --context east -n istio-system delete --ignore-not-found \
                 sealedsecret/istio-remote-secret-west secret/istio-remote-secret-west";
    assert!(text.contains(whole), "{text}");
    let text = lose(folder.path(), &["--lose", "east"]);
    let part = r#"--context west -n istio-system patch sealedsecret/all --type=json -p '[{"op":"remove","path":"/spec/encryptedData/east"}]'"#;
    assert!(text.contains(part), "{text}");
    assert!(text.contains("clusters/west/east.yaml:"), "{text}");
}

#[test]
fn what_is_sealed_is_not_shown() {
    let folder = two();
    for args in [&["--lose", "west"][..], &["--lose", "west", "--json"]] {
        assert!(!lose(folder.path(), args).contains("AgB3aXRo"));
    }
}

#[test]
fn without_a_secret_in_the_input_nothing_is_taken_for_granted() {
    let folder = two();
    fs::remove_file(folder.path().join("clusters/east/west.yaml")).unwrap();
    put(
        folder.path(),
        "mesh-lint.yaml",
        "clusters:\n  east: {paths: [clusters/east/**]}\n  west: {paths: [clusters/west/**]}\n",
    );
    let text = lose(folder.path(), &["--lose", "west"]);
    assert!(text.contains("whether east read it"), "{text}");
    assert!(text.contains("the name is the usual one"), "{text}");
}

#[test]
fn remotes_of_a_lost_primary_are_told() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = lose(root, &["--lose", "main", "fixtures/primary-remote"]);
    assert!(text.contains("CLUSTERS LEFT WITHOUT A CONTROL PLANE"), "{text}");
    assert!(
        text.contains("edge (fixtures/primary-remote/infrastructure/edge/istio-system.yaml:8)"),
        "{text}"
    );
    let text = lose(root, &["--lose", "edge", "fixtures/primary-remote"]);
    assert!(!text.contains("CLUSTERS LEFT WITHOUT"), "{text}");
    assert!(text.contains("a remote of `main`"), "{text}");
}

#[test]
fn a_name_that_is_none_fails_with_those_there_are() {
    let (code, text) =
        run(Path::new(env!("CARGO_MANIFEST_DIR")), &["--lose", "wets", "fixtures/broken"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("do you mean `west`?"), "{text}");
}

#[test]
fn an_external_control_plane_is_lost_with_the_cluster_it_runs_in() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mesh = "fixtures/external-control-plane";
    let text = lose(root, &["--lose", "platform", mesh]);
    assert!(text.contains("hosts the control plane of shop"), "{text}");
    assert!(text.contains("CLUSTERS LEFT WITHOUT A CONTROL PLANE"), "{text}");
    assert!(text.contains("depot, shop ("), "{text}");
    let text = lose(root, &["--lose", "shop", mesh]);
    assert!(!text.contains("CLUSTERS LEFT WITHOUT"), "{text}");
    assert!(text.contains("its istiod runs on in platform"), "{text}");
    let text = lose(root, &["--lose", "depot", mesh]);
    let command = "kubectl --context platform -n external-istiod delete --ignore-not-found";
    assert!(text.contains(command), "its secret stands beside istiod: {text}");
    assert!(text.contains("controller_sync_errors_total"), "{text}");
}

#[test]
fn connections_last_as_long_as_the_chart_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for cluster in ["east", "west"] {
        let text = format!(
            "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: istio, namespace: \
             istio-system}}\nspec:\n  values:\n    pilot: {{keepaliveMaxServerConnectionAge: 5m}}\n    global: \
             {{meshID: m, network: n, multiCluster: {{clusterName: {cluster}}}}}\n"
        );
        put(folder.path(), &format!("clusters/{cluster}/istio.yaml"), &text);
    }
    let text = lose(folder.path(), &["--lose", "west"]);
    assert!(text.contains("connections are renewed every 5m"), "{text}");
}

#[test]
fn a_headless_service_has_no_shares() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["east", "west"] {
        let headless = service("db").replace("spec: {", "spec: {clusterIP: None, ");
        let parts = [plane(name, ""), nodes(name), service("web"), headless];
        put(folder.path(), &format!("clusters/{name}/a.yaml"), &parts.join("---\n"));
        let all = format!("{}{}", pods("web"), pods("db"));
        put(folder.path(), &format!("clusters/{name}/pods.yaml"), &all);
    }
    put(folder.path(), "clusters/east/secret.yaml", &secret("remote-west", &["west"]));
    let text = lose(folder.path(), &["--lose", "west", "."]);
    let row = |name: &str| text.lines().any(|line| line.starts_with(&format!("  {name}  ")));
    assert!(row("web.shop") && !row("db.shop"), "{text}");
    assert!(text.contains("for as long as DNS tells them: db.shop\n"), "{text}");
}

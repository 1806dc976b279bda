//! What the verbs beside `check` have in common, and what `traffic` says of its own numbers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/folder.rs"]
mod folder;
#[path = "common/program.rs"]
mod program;

use folder::put;
use serde_json::Value;

const MESH: &str = "fixtures/two-primaries";

/// The exit code, what is printed, and what is said beside it.
fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let done = program::run(env!("CARGO_MANIFEST_DIR"), args);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code(), text(done.stdout), text(done.stderr))
}

fn printed(args: &[&str]) -> String {
    let (code, out, said) = run(args);
    assert_eq!(code, Some(0), "{args:?}: {said}");
    out
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&printed(args)).unwrap()
}

#[test]
fn every_verb_that_prints_a_table_prints_json_too() {
    let now = ["--now", "2026-11-24"];
    let verbs: [&[&str]; 8] = [
        &["clusters", MESH],
        &["clusters", "--reach", MESH, now[0], now[1]],
        &["clusters", "--lose", "west", MESH, now[0], now[1]],
        &["trust", MESH, now[0], now[1]],
        &["migrate", MESH, now[0], now[1]],
        &["rules"],
        &["rules", "--istio"],
        &["rules", "--kiali"],
    ];
    for verb in verbs {
        let shown = json(&[verb, &["--format", "json"]].concat());
        assert_eq!(shown, json(&[verb, &["--json"]].concat()), "{verb:?}");
        assert_ne!(shown, Value::Null, "{verb:?}");
    }
}

#[test]
fn rules_are_sorted_and_tell_which_have_to_be_asked_for() {
    let list = printed(&["rules"]);
    let names: Vec<&str> = list.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.is_sorted());
    let asked = list.lines().find(|line| line.starts_with("workloads/alpha-annotation ")).unwrap();
    assert!(asked.ends_with("(only where it is asked for)"), "{asked}");
}

#[test]
fn words_that_name_no_rule_are_told_beside_others_that_do() {
    for args in [["rules", "nope", "trust"], ["rules", "trust", "nope"]] {
        let (code, out, said) = run(&args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(said.contains("`nope`") && !said.contains("`trust`"), "{said}");
    }
}

#[test]
fn an_empty_input_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for args in [
        &["check", "--format", "github", path] as &[&str],
        &["check", "--format", "json", path],
        &["trust", path],
        &["traffic", "--to", "cart.shop", path],
        &["clusters", path],
        &["graph", path],
        &["migrate", path],
    ] {
        let (code, _, said) = run(args);
        assert_eq!(code, Some(3), "{args:?}");
        assert_eq!(said, "mesh-lint: nothing to analyse was found\n", "{args:?}");
    }
}

#[test]
fn traffic_tells_a_sample_from_a_bound() {
    let asked = ["traffic", "--to", "cart.shop", "--from", "east", MESH];
    let text = printed(&asked);
    assert!(text.contains("~: seen among the cases that were tried"), "{text}");
    assert!(text.contains("  ~"), "{text}");
    let shown = json(&[&asked[..], &["--format", "json"]].concat());
    assert_eq!(shown["from"][0]["ways"][0]["flows"][0]["sampled"], true);
    let matrix = printed(&[&asked[..], &["--matrix"]].concat());
    assert!(matrix.contains("~: seen among the cases that were tried"), "{matrix}");

    let bound = ["traffic", "--to", "cart.shop", "--from", "east", "fixtures/broken"];
    assert!(!printed(&bound).contains('~'));
    let shown = json(&[&bound[..], &["--format", "json"]].concat());
    assert_eq!(shown["from"][0]["ways"][0]["flows"][0]["sampled"], false);
}

#[test]
fn traffic_tells_that_the_client_is_lost_too() {
    let asked =
        ["traffic", "--to", "cart.shop", "--from", "east", "--lose", "east", "fixtures/broken"];
    assert!(printed(&asked).contains("-: the client is lost too"));
    let shown = json(&[&asked[..], &["--format", "json"]].concat());
    let flows = &shown["from"][0]["ways"][0]["flows"];
    assert_eq!((&flows[0]["clientLost"], &flows[1]["clientLost"]), (&false.into(), &true.into()));
    assert_eq!(flows[1]["shares"], Value::Null);

    let matrix = ["traffic", "--matrix", "--to", "cart.shop", "--lose", "east", "fixtures/broken"];
    assert!(printed(&matrix).contains("left out, since these clients are lost too: east "));
    let shown = json(&[&matrix[..], &["--format", "json"]].concat());
    assert_eq!(shown["lostClients"][0]["cluster"], "east");

    let other =
        ["traffic", "--to", "cart.shop", "--from", "west", "--lose", "east", "fixtures/broken"];
    assert!(!printed(&other).contains("the client is lost"));
}

#[test]
fn a_subset_that_is_still_to_be_filled_in_is_known_by_bounds_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mesh = "apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec:
      nodeSelector: {topology.kubernetes.io/region: r, topology.kubernetes.io/zone: a}
      containers: [{name: cart, image: cart:1}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: shop}
spec:
  host: cart
  subsets: [{name: own, labels: {topology.istio.io/cluster: \"${cluster}\"}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart]
  http: [{route: [{destination: {host: cart, subset: own}}]}]
";
    put(&folder, "a.yaml", mesh);
    let text = printed(&["traffic", "--to", "cart.shop", folder.path().to_str().unwrap()]);
    assert!(text.contains("not sure: a pipeline is still to fill in `${cluster}`"), "{text}");
    assert_eq!(text.matches("0 % to 100 %").count(), 2, "{text}");
}

/// Three environments whose clusters have the same names, and no word on zones.
fn environments() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for environment in ["dev", "prod"] {
        for cluster in ["east", "west"] {
            let text = format!(
                "apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {{name: istio}}
spec: {{values: {{global: {{meshID: {environment}, network: {cluster}, multiCluster: {{clusterName: {cluster}}}}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: cart, namespace: shop}}
spec: {{selector: {{app: cart}}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: cart, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: cart}}}}
  template: {{metadata: {{labels: {{app: cart}}}}, spec: {{containers: [{{name: cart, image: cart}}]}}}}
"
            );
            put(&folder, &format!("environments/{environment}/{cluster}/all.yaml"), &text);
        }
    }
    folder
}

#[test]
fn a_name_of_several_clusters_is_asked_about() {
    let folder = environments();
    let folder = folder.path().to_str().unwrap();
    for args in [
        &["clusters", "--lose", "east", folder][..],
        &["traffic", "--to", "cart.shop", "--from", "east", folder],
        &["traffic", "--to", "cart.shop", "--lose", "east", folder],
    ] {
        let (code, _, said) = run(args);
        assert_eq!(code, Some(2), "{args:?}");
        assert!(said.contains("`east` may be `dev/east` and `prod/east`: say which"), "{said}");
    }
    let text = printed(&["clusters", "--lose", "prod/east", folder]);
    assert!(text.contains("if prod/east is lost"), "{text}");
    assert!(text.contains("NOT KNOWN: the input does not tell enough"), "{text}");
    let text = printed(&["traffic", "--to", "cart.shop", "--from", "prod/east", folder]);
    assert!(text.contains("of `prod/east`"), "{text}");
}

#[test]
fn what_is_not_known_is_no_failure() {
    let folder = environments();
    let folder = folder.path().to_str().unwrap();
    let asked = ["traffic", "--to", "cart.shop", "--from", "dev/east", folder];
    let text = printed(&asked);
    assert!(text.contains("not known: the input does not tell where it arrives  100 %"), "{text}");
    assert!(!text.contains("503"), "{text}");
    let shown = json(&[&asked[..], &["--format", "json"]].concat());
    let shares = &shown["from"][0]["ways"][0]["flows"][0]["shares"];
    assert_eq!(shares[0]["to"], "unknown", "{shares}");
    let matrix = printed(&["traffic", "--matrix", folder]);
    assert!(!matrix.contains("100 %") && matrix.contains("  ?  "), "{matrix}");
}

//! The way to several clusters, as `migrate` shows it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/folder.rs"]
mod folder;
#[path = "common/program.rs"]
mod program;

use std::path::Path;

use folder::put;
use program::run;
use serde_json::Value;

fn steps(folder: &Path, args: &[&str]) -> Vec<Value> {
    let done = run(folder, &[&["migrate", "--json", "--now", "2026-11-24"], args].concat());
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let value: Value = serde_json::from_slice(&done.stdout).unwrap();
    value["meshes"][0]["steps"].as_array().unwrap().clone()
}

fn state(steps: &[Value], name: &str) -> String {
    let step = steps.iter().find(|step| step["name"] == name);
    step.unwrap_or_else(|| panic!("no step {name}"))["state"].as_str().unwrap().to_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_healthy_mesh_has_nothing_to_do() {
    for fixture in ["fixtures/two-primaries", "fixtures/primary-remote"] {
        let steps = steps(root(), &[fixture]);
        let todo: Vec<_> = steps.iter().filter(|step| step["state"] == "to do").collect();
        assert!(todo.is_empty(), "{fixture}: {todo:#?}");
    }
}

#[test]
fn roots_come_first_and_secrets_last() {
    let steps = steps(root(), &["fixtures/two-primaries"]);
    assert_eq!(steps.first().unwrap()["name"], "common-root");
    assert_eq!(steps.last().unwrap()["name"], "remote-secrets");
    assert_eq!(state(&steps, "remote-secrets"), "done");
    assert_eq!(state(&steps, "east-west-gateways"), "done");
}

#[test]
fn roots_that_do_not_accept_each_other_are_to_do() {
    let steps = steps(root(), &["fixtures/broken"]);
    assert_eq!(state(&steps, "common-root"), "to do");
}

#[test]
fn one_cluster_begins_at_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let text = "apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: istio, namespace: istio-system}
spec: {profile: default}
---
apiVersion: v1
kind: Service
metadata: {name: redis, namespace: shop}
spec: {selector: {app: redis}, ports: [{name: tcp, port: 6379}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: redis, namespace: shop}
spec:
  selector: {matchLabels: {app: redis}}
  template: {metadata: {labels: {app: redis}}, spec: {containers: [{name: redis, image: redis}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: shop}
spec: {host: cart, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: office, namespace: shop}
spec: {rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}
";
    put(&folder, "all.yaml", text);
    let found = steps(folder.path(), &[]);
    for name in ["cluster-names", "stateful-services", "full-host-names", "cluster-local-first"] {
        assert_eq!(state(&found, name), "to do", "{name}");
    }
    for name in ["subsets", "locality-settings", "policies-by-address"] {
        assert_eq!(state(&found, name), "look at", "{name}");
    }
    let found = steps(folder.path(), &["--to", "primary-remote", "--networks", "one"]);
    assert_eq!(state(&found, "external-istiod"), "to do");
    assert_eq!(state(&found, "remote-clusters"), "to do");
    assert!(!found.iter().any(|step| step["name"] == "east-west-gateways"));
}

#[test]
fn a_remote_cluster_needs_no_mesh_id() {
    let folder = tempfile::tempdir().unwrap();
    let plane = |values: &str| {
        format!(
            "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: istio}}\nspec: {{{values}}}\n"
        )
    };
    for (cluster, values) in [
        (
            "main",
            "values: {global: {meshID: m, externalIstiod: true, multiCluster: {clusterName: main}}}",
        ),
        (
            "edge",
            "profile: remote, values: {istiodRemote: {injectionPath: /inject/cluster/edge/net/n}, \
             global: {remotePilotAddress: 192.0.2.1, multiCluster: {clusterName: edge}}}",
        ),
    ] {
        put(&folder, &format!("clusters/{cluster}/istio.yaml"), &plane(values));
    }
    assert_eq!(state(&steps(folder.path(), &[]), "mesh-id"), "done");
}

#[test]
fn the_host_of_an_external_control_plane_goes_nowhere() {
    let done = run(
        root(),
        &["migrate", "--json", "--now", "2026-11-24", "fixtures/external-control-plane"],
    );
    let value: Value = serde_json::from_slice(&done.stdout).unwrap();
    let meshes = value["meshes"].as_array().unwrap();
    let names = |mesh: &Value| mesh["clusters"].to_string();
    assert!(!meshes.iter().any(|mesh| names(mesh).contains("platform")), "{meshes:#?}");
    assert_eq!(meshes.len(), 1);
}

#[test]
fn clusters_of_one_control_plane_have_one_root_whatever_it_is() {
    let steps = steps(root(), &["fixtures/primary-remote"]);
    assert_eq!(state(&steps, "common-root"), "done");
}

#[test]
fn where_istio_csr_signs_nothing_is_to_be_plugged_into_istiod() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["east", "west"] {
        let text = format!(
            "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: istio}}\nspec:\n  values:\n    \
             global: {{meshID: main, caAddress: 'cert-manager-istio-csr.cert-manager.svc:443', multiCluster: \
             {{clusterName: {name}}}}}\n"
        );
        put(folder.path(), &format!("clusters/{name}/istio.yaml"), &text);
    }
    let steps = steps(folder.path(), &[]);
    let how = steps[0]["how"].to_string();
    assert!(how.contains("one issuer") && !how.contains("create secret"), "{how}");
}

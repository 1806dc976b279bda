//! Who may read whose API server, as `clusters --reach` shows it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/folder.rs"]
mod folder;
#[path = "common/program.rs"]
mod program;

use std::path::Path;

use folder::put;
use program::run;

/// `{"sub":"system:serviceaccount:istio-system:istio-reader-service-account"}`, and the same that ended on
/// 2026-11-01.
const TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJrdWJlcm5ldGVzL3NlcnZpY2VhY2NvdW50Iiwic3ViIjoic3lzdGVtOnNlcnZpY2VhY2NvdW50OmlzdGlvLXN5c3RlbTppc3Rpby1yZWFkZXItc2VydmljZS1hY2NvdW50In0.ZXhhbXBsZQ";
const ENDED: &str = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJrdWJlcm5ldGVzL3NlcnZpY2VhY2NvdW50IiwiZXhwIjoxNzkzNDkxMjAwLCJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6aXN0aW8tc3lzdGVtOmlzdGlvLXJlYWRlci1zZXJ2aWNlLWFjY291bnQifQ.ZXhhbXBsZQ";

fn control_plane(name: &str) -> String {
    format!(
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: istio}}\nspec:\n  values:\n    \
         global: {{meshID: main, multiCluster: {{clusterName: {name}}}}}\n"
    )
}

fn remote_secret(to: &str, user: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: istio-remote-secret-{to}\n  namespace: istio-system\n  \
         labels: {{istio/multiCluster: \"true\"}}\nstringData:\n  {to}: |\n    apiVersion: v1\n    kind: Config\n    \
         clusters:\n    - name: {to}\n      cluster:\n        server: https://api.{to}.example\n{more}    users:\n    \
         - name: {to}\n      user: {{{user}}}\n    contexts:\n    - name: {to}\n      context: {{cluster: {to}, user: \
         {to}}}\n    current-context: {to}\n"
    )
}

fn reach(folder: &Path, args: &[&str]) -> String {
    let done = run(folder, &[&["clusters", "--reach", "--now", "2026-11-24"], args].concat());
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    String::from_utf8(done.stdout).unwrap()
}

/// One cluster for each state.
fn some() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["east", "north", "south", "west"] {
        put(folder.path(), &format!("clusters/{name}/istio.yaml"), &control_plane(name));
    }
    let east = |to: &str, text: &str| put(folder.path(), &format!("clusters/east/{to}.yaml"), text);
    east("north", &remote_secret("north", "exec: {command: aws}", ""));
    east("south", &remote_secret("south", &format!("token: {ENDED}"), ""));
    east("west", &remote_secret("west", &format!("token: {TOKEN}"), ""));
    let sealed = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: east, namespace: istio-system}\n\
                  spec:\n  encryptedData:\n    east: AgBub3QtcmVhbGx5\n  template:\n    metadata:\n      labels: \
                  {istio/multiCluster: \"true\"}\n";
    put(folder.path(), "clusters/west/east.yaml", sealed);
    folder
}

#[test]
fn each_way_has_its_state_and_its_place() {
    let folder = some();
    let shown = reach(folder.path(), &[]);
    let expected = "\
FROM  TO     AUTH     EXPIRES     STATE                                                 SECRET
east  north  exec     -           refused: its user `north` has a program for its token  istio-remote-secret-north (clusters/east/north.yaml:8)
east  south  token    2026-11-01  expired                                               istio-remote-secret-south (clusters/east/south.yaml:8)
east  west   token    -           ok                                                    istio-remote-secret-west (clusters/east/west.yaml:8)
west  east   unknown  -           unknown: made in the cluster                          east (clusters/west/east.yaml:6)

4 ways: 1 expired, 1 ok, 1 refused, 1 unknown
";
    let words = |text: &str| -> Vec<Vec<String>> {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        text.lines().map(words).collect()
    };
    let (shown_words, expected_words) = (words(&shown), words(expected));
    assert_eq!(shown_words[..7], expected_words[..7], "{shown}");
    assert!(
        shown.contains("north: no remote secret in the input for east, south, west"),
        "{shown}"
    );
    assert!(shown.contains("west: no remote secret in the input for north, south"), "{shown}");
    assert!(!shown.contains("east: no remote secret"), "{shown}");
}

#[test]
fn json_has_every_way() {
    let folder = some();
    let text = reach(folder.path(), &["--json"]);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let ways = value["ways"].as_array().unwrap();
    assert_eq!(ways.len(), 4);
    let south = ways.iter().find(|way| way["to"] == "south").unwrap();
    assert_eq!(south["from"], "east");
    assert_eq!(south["auth"], "token");
    assert_eq!(south["expires"], "2026-11-01");
    assert_eq!(south["state"], "expired");
    assert_eq!(south["file"], "clusters/east/south.yaml");
    assert_eq!(south["line"], 8);
    assert_eq!(value["without"].as_array().unwrap().len(), 3);
    for secret in [&TOKEN[..40], &ENDED[40..80], "AgBub3QtcmVhbGx5"] {
        assert!(!text.contains(secret));
    }
}

#[test]
fn many_clusters_stay_readable() {
    const COUNT: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let name = |i: usize| format!("c{i:02}");
    for from in 0..COUNT {
        let place = format!("clusters/{}", name(from));
        put(folder.path(), &format!("{place}/istio.yaml"), &control_plane(&name(from)));
        let others = (0..COUNT).filter(|to| *to != from && (from, *to) != (7, 9));
        let all: Vec<String> = others
            .map(|to| {
                let token = if to == 3 { ENDED } else { TOKEN };
                remote_secret(&name(to), &format!("token: {token}"), "")
            })
            .collect();
        put(folder.path(), &format!("{place}/remote-secrets.yaml"), &all.join("---\n"));
    }
    let shown = reach(folder.path(), &[]);
    assert!(shown.lines().count() <= 10, "{shown}");
    assert!(shown.contains("c00, c01, c02, c04 and 34 more  all others but c03 "), "{shown}");
    assert!(shown.contains("1559 ways: 39 expired, 1520 ok"), "{shown}");
    assert!(shown.contains("c07: no remote secret in the input for c09"), "{shown}");
}

#[test]
fn nothing_is_said_where_nothing_is_known() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["east", "west"] {
        put(folder.path(), &format!("clusters/{name}/istio.yaml"), &control_plane(name));
    }
    let shown = reach(folder.path(), &[]);
    assert!(shown.starts_with("no remote secret in the input"), "{shown}");
}

#[test]
fn a_cluster_that_a_way_names_is_not_missing_too() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["east", "west"] {
        put(folder.path(), &format!("clusters/{name}/istio.yaml"), &control_plane("same"));
    }
    put(
        folder.path(),
        "clusters/east/west.yaml",
        &remote_secret("west", &format!("token: {TOKEN}"), ""),
    );
    let shown = reach(folder.path(), &[]);
    assert!(!shown.contains("east: no remote secret in the input for west"), "{shown}");
}

#[test]
fn a_certificate_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["east", "west"] {
        put(folder.path(), &format!("clusters/{name}/istio.yaml"), &control_plane(name));
    }
    let user = "client-certificate-data: ZXhhbXBsZQ==, client-key-data: ZXhhbXBsZQ==";
    put(folder.path(), "clusters/east/west.yaml", &remote_secret("west", user, ""));
    let shown = reach(folder.path(), &[]);
    assert!(shown.contains("refused: its user `west` has no certificate"), "{shown}");
}

#[test]
fn a_name_with_a_line_break_stays_on_its_line() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["east", "west"] {
        put(folder.path(), &format!("clusters/{name}/istio.yaml"), &control_plane(name));
    }
    let secret = remote_secret("west", &format!("token: {TOKEN}"), "");
    let secret = secret.replace("  west: |", "  \"we\\nst\": |");
    put(folder.path(), "clusters/east/west.yaml", &secret);
    let shown = reach(folder.path(), &[]);
    assert!(
        shown.lines().any(|line| line.contains("we\u{fffd}st") && line.contains("token")),
        "{shown}"
    );
}

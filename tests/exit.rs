//! Exit codes: the same in every format.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::process::{Command, Output};

const FORMATS: [&str; 6] = ["human", "concise", "json", "sarif", "github", "markdown"];
/// A node without a zone, and a setting that asks for zones.
const NODE: &str = "apiVersion: v1\nkind: Node\nmetadata: {name: node-a}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: shop}
spec:
  host: cart
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 5, maxEjectionPercent: 100}
    loadBalancer: {localityLbSetting: {enabled: true}}
";
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\n";

fn run(args: &[&str], folder: &std::path::Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-lint"));
    command.args(args).current_dir(folder).env("NO_COLOR", "1").output().unwrap()
}

fn with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn code(args: &[&str], files: &[(&str, &str)]) -> Option<i32> {
    run(args, with(files).path()).status.code()
}

#[test]
fn findings_give_1_and_none_give_0_in_each_format() {
    for format in FORMATS {
        let args = ["check", "--format", format];
        assert_eq!(code(&args, &[("a.yaml", NODE)]), Some(1), "{format}");
        assert_eq!(code(&args, &[("a.yaml", SERVICE)]), Some(0), "{format}");
        assert_eq!(code(&args, &[("a.txt", "")]), Some(3), "{format}");
    }
}

#[test]
fn fail_on_decides() {
    let old = "apiVersion: v1\nkind: Node\nmetadata:\n  name: a\n  labels: {topology.kubernetes.io/region: r, \
               failure-domain.beta.kubernetes.io/zone: z}\n";
    assert_eq!(code(&["check"], &[("a.yaml", old)]), Some(0));
    assert_eq!(code(&["check", "--fail-on", "warning"], &[("a.yaml", old)]), Some(1));
    assert_eq!(code(&["check", "--ignore", "topology"], &[("a.yaml", NODE)]), Some(0));
    assert_eq!(
        code(&["check"], &[("a.yaml", old), ("mesh-lint.yaml", "fail-on: warning\n")]),
        Some(1)
    );
}

#[test]
fn what_cannot_be_done_gives_2() {
    assert_eq!(code(&["check", "nowhere"], &[]), Some(2));
    assert_eq!(code(&["check", "--select", "no/such-rule"], &[]), Some(2));
    assert_eq!(code(&["check", "--now", "soon"], &[]), Some(2));
    assert_eq!(code(&["check", "--format", "xml"], &[]), Some(2));
    let told = |rules: &str| code(&["check"], &[("a.yaml", SERVICE), ("mesh-lint.yaml", rules)]);
    assert_eq!(told("rules: {capacity/uneven-zones: {factor: 3}}\n"), Some(0));
    assert_eq!(told("rules: {capacity/uneven-zones: {facter: 3}}\n"), Some(2));
    assert_eq!(told("rules: {capacity/uneven-zones: {factor: many}}\n"), Some(2));
    assert_eq!(told("rules: {no/such-rule: off}\n"), Some(2));
    assert_eq!(code(&["explain", "nothing"], &[]), Some(2));
    assert_eq!(code(&["check", "a.yaml", "nowhere"], &[("a.yaml", SERVICE)]), Some(2));
}

#[test]
fn a_mistake_in_the_configuration_has_a_place() {
    let folder = with(&[
        ("mesh-lint.yaml", "clusters:\n  east: {path: [a]}\nfail-on: often\n"),
        ("a.yaml", NODE),
    ]);
    let done = run(&["check"], folder.path());
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(2), "{said}");
    assert!(said.contains("mesh-lint.yaml:2:10: unknown key `path`"), "{said}");
    assert!(said.contains("mesh-lint.yaml:3:10: `often` is not a severity"), "{said}");
}

#[test]
fn files_belong_to_their_clusters_however_they_are_named() {
    let config = "clusters:\n  east: {paths: [clusters/east/**]}\n";
    let folder = with(&[("mesh-lint.yaml", config)]);
    let east = folder.path().join("clusters/east");
    fs::create_dir_all(&east).unwrap();
    fs::write(east.join("a.yaml"), NODE).unwrap();
    for (from, path) in [
        ("", "."),
        ("", "./clusters/../"),
        ("clusters", ".."),
        ("clusters/east", "."),
        ("", "clusters"),
    ] {
        let done = run(&["check", path], &folder.path().join(from));
        assert_eq!(done.status.code(), Some(1), "{path} from {from}");
    }
    let lost = [("a.yaml", NODE), ("mesh-lint.yaml", config)];
    assert_eq!(code(&["check"], &lost), Some(2));
}

#[test]
fn a_path_alone_is_checked_and_standard_input_is_read() {
    assert_eq!(code(&["a.yaml"], &[("a.yaml", NODE)]), Some(1));
    let folder = with(&[("mesh-lint.yaml", "clusters: {east: {paths: [east/**]}}\n")]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_mesh-lint"))
        .args(["check", "--format", "concise", "-"])
        .current_dir(folder.path())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), NODE.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(said.starts_with("<stdin>:3:18: error[topology/node-without-zone]"), "{said}");
    assert_eq!(done.status.code(), Some(1));
}

#[test]
fn further_reports_go_to_files() {
    let folder = with(&[("a.yaml", NODE)]);
    let args =
        ["check", "--format", "concise", "--output", "sarif=out.sarif", "--output", "summary.md"];
    assert_eq!(run(&args, folder.path()).status.code(), Some(1));
    let sarif = fs::read_to_string(folder.path().join("out.sarif")).unwrap();
    assert!(sarif.contains("\"version\": \"2.1.0\""));
    let summary = fs::read_to_string(folder.path().join("summary.md")).unwrap();
    assert!(summary.starts_with("### mesh-lint"));
}

#[test]
fn comments_and_annotations_silence_a_finding() {
    let code = |metadata: &str| {
        let text = NODE.replacen("metadata: {name: node-a}", metadata, 1);
        code(&["check"], &[("a.yaml", &text)])
    };
    let comment = |rules: &str| format!("metadata:\n  name: node-a # mesh-lint: ignore[{rules}]");
    assert_eq!(code(&comment("topology/node-without-zone")), Some(0));
    assert_eq!(code("metadata:\n  # mesh-lint: ignore[topology]\n  name: node-a"), Some(0));
    let annotated =
        "metadata:\n  name: node-a\n  annotations: {mesh-lint.io/ignore: node-without-zone}";
    assert_eq!(code(annotated), Some(0));
    assert_eq!(code(&comment("subsets/empty-subset")), Some(1));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let folder = with(&[("a.yaml", NODE)]);
    for verb in ["rules", "completions bash", "explain trust/ca-expired", "clusters ."] {
        let script = format!("{} {verb} | head -1", env!("CARGO_BIN_EXE_mesh-lint"));
        let mut command = Command::new("sh");
        let done = command.args(["-c", &script]).current_dir(folder.path()).output().unwrap();
        assert!(done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

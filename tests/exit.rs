//! Exit codes: the same in every format.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/folder.rs"]
mod folder;
#[path = "common/program.rs"]
mod program;

use std::fs;
use std::process::Command;

use folder::put;
use program::run;

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

fn with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        put(&folder, name, text);
    }
    folder
}

fn code(args: &[&str], files: &[(&str, &str)]) -> Option<i32> {
    run(with(files), args).status.code()
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
    let done = run(&folder, &["check"]);
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(2), "{said}");
    assert!(said.contains("mesh-lint.yaml:2:10: unknown key `path`"), "{said}");
    assert!(said.contains("mesh-lint.yaml:3:10: `often` is not a severity"), "{said}");
}

#[test]
fn every_mistake_in_the_configuration_is_told_in_one_run_and_in_order() {
    let config = "\
clusters:
  east: {paths: [east], role: boss, control-plane: nobody, localities: [us/a/b/c, '', r]}
  '': {paths: ['[']}
rules:
  capacity/uneven-zones: {factor: -1, facter: 2}
  topology: {factor: 2}
  subsets: offf
  node-without-zone: note
  topology/node-without-zone: off
  IST0101: note
  subsets/undefined-subset: note
  nope: off
  '(': note
select: [topology/node-without-zones]
fail-on: often
";
    let folder = with(&[("mesh-lint.yaml", &format!("{config}---\nmore: 1\n")), ("a.yaml", NODE)]);
    let done = run(&folder, &["check"]);
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(2), "{said}");
    let expected = [
        "2:18: `east` matches no file",
        "2:31: `boss` is not a role",
        "2:52: `nobody` is not a cluster",
        "2:73: `us/a/b/c` is not region/zone",
        "2:83: `` is not region/zone",
        "2:87: `r` is not region/zone",
        "3:3: a cluster needs a name",
        "3:16: not a glob",
        "3:16: `[` matches no file",
        "5:35: `factor` of `capacity/uneven-zones` is a number above 0, not `-1`",
        "5:39: `capacity/uneven-zones` has no option `facter`: it has factor",
        "6:14: `topology` has no options",
        "7:12: `offf` is not a severity: error, warning or note, or off",
        "11:3: `IST0101` and `subsets/undefined-subset` are one rule",
        "12:3: no rule is called `nope`",
        "13:3: `(` is not a regular expression",
        "14:10: no rule is called `topology/node-without-zones`: do you mean `topology/node-without-zone`?",
        "15:10: `often` is not a severity",
        "17:1: a second document",
    ];
    for (line, expected) in said.lines().zip(expected) {
        let line = line.trim_start_matches("mesh-lint: ");
        assert!(line.starts_with(&format!("mesh-lint.yaml:{expected}")), "{expected} in\n{said}");
    }
    assert_eq!(said.lines().count(), expected.len(), "{said}");
}

#[test]
fn a_configuration_of_another_shape_is_refused() {
    let folder = with(&[("mesh-lint.yaml", "[a]\n"), ("a.yaml", NODE)]);
    let done = run(&folder, &["check"]);
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(said, "mesh-lint: mesh-lint.yaml:1:1: expected a mapping, found a list\n");
    let folder = with(&[("a.yaml", NODE)]);
    fs::create_dir(folder.path().join("mesh-lint.yaml")).unwrap();
    assert_eq!(run(&folder, &["check"]).status.code(), Some(2));
}

#[test]
fn the_most_specific_word_decides() {
    let told = |rules: &str| {
        let config = format!("fail-on: note\nrules: {rules}\n");
        let folder = with(&[("a.yaml", NODE), ("mesh-lint.yaml", &config)]);
        let done = run(&folder, &["check", "--format", "concise"]);
        let said = String::from_utf8(done.stdout).unwrap();
        let severity = said.lines().find(|l| l.contains("[topology/node-without-zone]"));
        severity.map_or("off".to_owned(), |l| l.split([' ', '[']).nth(1).unwrap().to_owned())
    };
    let rows = [
        ("{topology: note, topology/node-without-zone: warning}", "warning"),
        ("{topology/node-without-zone: warning, topology: note}", "warning"),
        ("{topology: off, topology/node-without-zone: warning}", "warning"),
        ("{topology: off, node-without-zone: on}", "error"),
        ("{topology: note, topology/node-without-zone: off}", "off"),
        ("{node-without-zone: note, topology/node-without-zone: warning}", "warning"),
        ("{'topology/.*': note}", "note"),
        ("{'topology/.*': note, topology: warning}", "warning"),
        ("{'topology/.*': note, 'topology/node.*': warning}", "warning"),
        ("{topology/node-without-zone: {severity: note}}", "note"),
    ];
    for (rules, severity) in rows {
        assert_eq!(told(rules), severity, "{rules}");
    }
}

#[test]
fn files_belong_to_their_clusters_however_they_are_named() {
    let config = "clusters:\n  east: {paths: [clusters/east/**]}\n";
    let folder = with(&[("mesh-lint.yaml", config)]);
    let east = folder.path().join("clusters/east");
    put(&east, "a.yaml", NODE);
    for (from, path) in [
        ("", "."),
        ("", "./clusters/../"),
        ("clusters", ".."),
        ("clusters/east", "."),
        ("", "clusters"),
    ] {
        let done = run(folder.path().join(from), &["check", path]);
        assert_eq!(done.status.code(), Some(1), "{path} from {from}");
    }
    let lost = [("a.yaml", NODE), ("mesh-lint.yaml", config)];
    assert_eq!(code(&["check"], &lost), Some(2));
    for paths in ["clusters/east/", "clusters/east", "./clusters/east/**"] {
        let config = format!("clusters: {{east: {{paths: [{paths}]}}}}\n");
        put(&folder, "mesh-lint.yaml", &config);
        assert_eq!(run(&folder, &["check"]).status.code(), Some(1), "{paths}");
    }
    // Who checks a part need not have files of every cluster.
    let config = "clusters: {east: {paths: [clusters/east]}, west: {paths: [clusters/west]}}\n";
    put(&folder, "mesh-lint.yaml", config);
    assert_eq!(run(&folder, &["check"]).status.code(), Some(2));
    assert_eq!(run(&folder, &["check", "clusters/east"]).status.code(), Some(1));
}

#[test]
fn clusters_on_the_command_line_replace_those_of_the_configuration_alone() {
    let config = "clusters: {south: {paths: [south]}}\nrules: {topology/node-without-zone: note}\n";
    let folder = with(&[("a.yaml", NODE), ("b.yaml", NODE), ("mesh-lint.yaml", config)]);
    let absolute =
        format!("east={}", folder.path().canonicalize().unwrap().join("a.yaml").display());
    let args = ["check", "--format", "concise", "--cluster", &absolute, "--cluster", "west=b.yaml"];
    let done = run(&folder, &args);
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(said.contains("a.yaml:3:18: note[topology/node-without-zone]"), "{said}");
    assert!(said.contains("in 2 files of 2 clusters"), "{said}");
    assert_eq!(done.status.code(), Some(0));
    let nowhere = ["check", "--cluster", "east=a.yaml", "--cluster", "west=nowhere"];
    assert_eq!(run(&folder, &nowhere).status.code(), Some(2));
}

#[test]
fn a_configuration_of_any_name_is_no_manifest() {
    let folder = with(&[("a.yaml", SERVICE), ("lint.yaml", "fail-on: note\n")]);
    let done = run(&folder, &["check", "--config", "lint.yaml"]);
    let said = String::from_utf8(done.stdout).unwrap();
    assert_eq!(said, "no findings: 1 resource in 1 file of 1 cluster\n");
}

#[test]
fn what_is_mistyped_is_told_before_anything_is_done() {
    let folder = with(&[("a.yaml", NODE)]);
    let rows: [(&[&str], &str); 6] = [
        (&["chek", "a.yaml"], "`chek` is neither a path nor a command: do you mean `check`?"),
        (&["explain", "subsets/undefinedsubset"], "do you mean `subsets/undefined-subset`?"),
        (&["explain", "mixed-version"], "do you mean `subsets/mixed-version-and-cluster`?"),
        (&["check", "--select", "("], "`(` is not a regular expression: unclosed group"),
        (&["check", "--ignore", "node-without-zne"], "do you mean `node-without-zone`?"),
        (&["check", "--output", "json=-"], "a second report cannot go to standard output"),
    ];
    for (args, expected) in rows {
        let done = run(&folder, args);
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(said.contains(expected), "{args:?}: {said}");
        assert_eq!((done.status.code(), done.stdout.len()), (Some(2), 0), "{args:?}");
    }
    let found = run(&folder, &["rules", "mixed"]);
    assert!(String::from_utf8(found.stdout).unwrap().contains("subsets/mixed-version-and-cluster"));
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
    assert_eq!(run(&folder, &args).status.code(), Some(1));
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

/// A Service that is not alike in two clusters, which istioctl calls IST0170.
fn unlike_services(metadata: &str) -> Vec<(String, String)> {
    let service = |port: &str, metadata: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: cart, namespace: shop{metadata}}}\n\
             spec: {{ports: [{{name: http, port: {port}}}]}}\n"
        )
    };
    vec![
        ("a.yaml".to_owned(), service("80", metadata)),
        ("b.yaml".to_owned(), service("81", metadata)),
        (
            "mesh-lint.yaml".to_owned(),
            "clusters: {a: {paths: [a.yaml]}, b: {paths: [b.yaml]}}\n".to_owned(),
        ),
    ]
}

#[test]
fn codes_of_istioctl_name_rules() {
    let said = |metadata: &str, args: &[&str]| {
        let files = unlike_services(metadata);
        let files: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let done = run(with(&files), &[&["check", "--format", "json"], args].concat());
        String::from_utf8(done.stdout).unwrap().contains("services/service-ports-differ")
    };
    assert!(said("", &[]));
    assert!(said("", &["--select", "IST0170"]));
    assert!(!said("", &["--ignore", "IST0170"]));
    let suppress =
        |codes: &str| format!(", annotations: {{galley.istio.io/analyze-suppress: '{codes}'}}");
    assert!(!said(&suppress("IST0170"), &[]));
    assert!(!said(&suppress("IST0101,IST0170"), &[]));
    assert!(!said(&suppress("*"), &[]));
    // As with istioctl, a space belongs to the code, and only whole codes count.
    assert!(said(&suppress("IST0101, IST0170"), &[]));
    assert!(said(&suppress("services/service-ports-differ"), &[]));
    let told = |args: &[&str]| String::from_utf8(run(".", args).stdout).unwrap();
    assert!(told(&["explain", "IST0170"]).starts_with("services/service-ports-differ"));
    assert!(told(&["rules", "--istio"]).contains("IST0170  services/service-ports-differ"));
    assert_eq!(told(&["rules", "--istio", "IST0170"]).lines().count(), 1);
    assert!(told(&["rules", "--kiali"]).contains("KIA1313  ambient/unknown-waypoint"));
}

#[test]
fn a_rule_that_has_to_be_asked_for_speaks_only_then() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: cart\n  \
               annotations: {sidecar.istio.io/proxyCPU: 500m}\n";
    let said = |args: &[&str], config: &str| {
        let folder = with(&[("a.yaml", pod), ("mesh-lint.yaml", config)]);
        let done = run(&folder, &[&["check", "--format", "concise"], args].concat());
        String::from_utf8(done.stdout).unwrap().contains("workloads/alpha-annotation")
    };
    assert!(!said(&[], ""));
    assert!(!said(&["--select", "workloads"], ""));
    assert!(said(&["--select", "IST0136"], ""));
    assert!(said(&["--select", "alpha-annotation"], ""));
    assert!(said(&[], "rules: {IST0136: on}\n"));
    assert!(!said(&["--ignore", "workloads"], "rules: {IST0136: on}\n"));
}

#[test]
fn no_suppression_looks_idle_in_a_run_that_sees_a_part() {
    let told = |args: &[&str], rule: &str| {
        let name = format!("name: node-a, annotations: {{mesh-lint.io/ignore: {rule}}}");
        let text = NODE.replacen("{name: node-a}", &format!("{{{name}}}"), 1);
        let folder = with(&[]);
        fs::create_dir_all(folder.path().join(".git")).unwrap();
        put(&folder, "east/a.yaml", &text);
        let out = run(&folder, args);
        String::from_utf8_lossy(&out.stdout).contains("yaml/idle-suppression")
    };
    let idle = "topology/mixed-subzones";
    assert!(told(&["check"], idle));
    assert!(told(&["check", "--select", "topology,yaml"], idle));
    assert!(!told(&["check", "--select", "yaml"], idle));
    assert!(!told(&["check", "--ignore", idle], idle));
    assert!(!told(&["check", "--select", "topology"], idle));
    assert!(!told(&["check", "east"], idle));
    assert!(!told(&["check", "east/a.yaml"], idle));
    assert!(told(&["check", "east"], "topology/mixed-subzoned"));
    assert!(!told(&["check"], "topology/node-without-zone"));
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

#[test]
fn huge_numbers_are_no_internal_error() {
    let routes = "route: [{weight: N, destination: {host: a}}, {weight: N, destination: {host: a, subset: b}}]";
    let mesh = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: a, namespace: s}}\nspec: {{selector: {{app: a}}, ports: [{{name: http, \
         port: 80}}]}}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: a, namespace: s}}\nspec: {{replicas: N, selector: \
         {{matchLabels: {{app: a}}}}, template: {{metadata: {{labels: {{app: a}}}}, spec: {{containers: [{{name: a}}]}}}}}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a, namespace: s}}\nspec: {{hosts: [a], http: \
         [{{{routes}}}]}}\n"
    );
    for number in
        ["9223372036854775807", "18446744073709551615", "4294967295", "0x7fffffffffffffff", "1e400"]
    {
        let folder = with(&[("a.yaml", &mesh.replace('N', number))]);
        for args in [&["check"][..], &["clusters"], &["traffic", "--matrix"]] {
            let out = run(&folder, args);
            assert!(out.status.code().is_some_and(|code| code < 4), "{number} {args:?}: {out:?}");
        }
    }
}

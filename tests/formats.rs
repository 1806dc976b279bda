//! Every format keeps its promise: schemas hold, text of manifests never breaks out, secrets stay secret.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use mesh_lint::config::{ClusterConfig, Config};
use mesh_lint::lint::{Report, lint};
use mesh_lint::report::{Format, Style, write};
use mesh_lint::rules;
use mesh_lint::source::Sources;
use proptest::prelude::*;

const FORMATS: [Format; 6] =
    [Format::Human, Format::Concise, Format::Json, Format::Sarif, Format::Github, Format::Markdown];

const EAST: &str = "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: shop}
spec:
  host: cart.shop.svc.cluster.local
  subsets:
  - name: 東-v1
    labels: {version: v1, topology.istio.io/cluster: wset}
";
const WEST: &str = "apiVersion: v1\nkind: Node\nmetadata:\n  name: node-x\n";

fn run(files: &[(&str, &str)]) -> (Sources, Report) {
    let mut sources = Sources::default();
    for (name, text) in files {
        sources.add(*name, *text).unwrap();
    }
    let clusters = ["east", "west"].map(|name| ClusterConfig::below(name, name).unwrap());
    let config = Config { clusters: clusters.into(), now: 1_795_478_400, ..Config::default() };
    let report = lint(&sources, &config);
    (sources, report)
}

fn text(format: Format, sources: &Sources, report: &Report) -> String {
    let mut out = Vec::new();
    let page = |name: &str| rules::all().find(|r| r.name == name).map(|r| r.page);
    write(format, report, sources, &Style::plain(), &page, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn json(format: Format, sources: &Sources, report: &Report) -> serde_json::Value {
    serde_json::from_str(&text(format, sources, report)).unwrap()
}

fn holds(schema: &str, value: &serde_json::Value) {
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(value).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn json_has_the_published_schema() {
    let (sources, report) = run(&[("east/cart.yaml", EAST), ("west/nodes.yaml", WEST)]);
    let value = json(Format::Json, &sources, &report);
    holds(include_str!("../schemas/report-v1.schema.json"), &value);
    assert_eq!(value["findings"].as_array().unwrap().len(), report.findings.len());
    assert!(report.findings.len() >= 3, "{report:#?}");
}

#[test]
fn sarif_is_valid_and_tells_everything() {
    let (sources, report) = run(&[("east/cart shop.yaml", EAST), ("west/nodes.yaml", WEST)]);
    let value = json(Format::Sarif, &sources, &report);
    // The standard's own pattern for languages has a bracket too many.
    let schema = include_str!("schemas/sarif-2.1.0.json").replace("[a-zA-Z]{2}]?$", "[a-zA-Z]{2}$");
    holds(&schema, &value);
    let results = value["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), report.findings.len());
    let mixed =
        results.iter().find(|r| r["ruleId"] == "subsets/mixed-version-and-cluster").unwrap();
    let place = &mixed["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "east/cart%20shop.yaml");
    // Columns count characters, not bytes.
    assert_eq!(
        (&place["region"]["startColumn"], &place["region"]["endColumn"]),
        (&11.into(), &15.into())
    );
    assert_eq!(mixed["relatedLocations"].as_array().unwrap().len(), 1);
    let rule = &value["runs"][0]["tool"]["driver"]["rules"]
        [usize::try_from(mixed["ruleIndex"].as_u64().unwrap()).unwrap()];
    assert_eq!(rule["id"], "subsets/mixed-version-and-cluster");
    assert!(rule["help"]["markdown"].as_str().unwrap().contains("# Subset that mixes"));
}

#[test]
fn a_finding_shows_every_file_that_takes_part() {
    let node = |name: &str| {
        let labels = "topology.kubernetes.io/region: {}, topology.kubernetes.io/zone: us-east-1a";
        format!("apiVersion: v1\nkind: Node\nmetadata:\n  name: {name}\n  labels: {{{labels}}}\n")
    };
    let east = node("node-a").replace("{}", "us-east-1");
    let west = node("node-x").replace("{}", "us-east1");
    let (sources, report) = run(&[("east/nodes.yaml", &east), ("west/nodes.yaml", &west)]);
    let shown = text(Format::Human, &sources, &report);
    let expected = "\
warning[topology/region-spelled-differently]

  ⚠ one region is spelled `us-east-1` and `us-east1`
   ╭─[west/nodes.yaml:4:9]
 3 │ metadata:
 4 │   name: node-x
   ·         ───┬──
   ·            ╰── `us-east1` in cluster `west`
 5 │   labels: {topology.kubernetes.io/region: us-east1, topology.kubernetes.io/zone: us-east-1a}
   ╰────
   ╭─[east/nodes.yaml:4:9]
 3 │ metadata:
 4 │   name: node-a
   ·         ───┬──
   ·            ╰── `us-east-1` in cluster `east`
 5 │   labels: {topology.kubernetes.io/region: us-east-1, topology.kubernetes.io/zone: us-east-1a}
   ╰────
  help: spell it alike on all nodes: to Istio these are two regions

1 warning: 2 resources in 2 files of 2 clusters
";
    assert_eq!(shown, expected);
}

#[test]
fn fingerprints_survive_moved_lines_and_files() {
    let (_, before) = run(&[("east/cart.yaml", EAST), ("west/nodes.yaml", WEST)]);
    let moved = format!("# a comment\n\n{EAST}");
    let (_, after) = run(&[("east/apps/basket.yaml", &moved), ("west/n.yaml", WEST)]);
    let prints = |report: &Report| {
        let mut prints: Vec<_> = report.findings.iter().map(|f| f.fingerprint.clone()).collect();
        prints.sort();
        prints
    };
    assert_eq!(prints(&before), prints(&after));
    let mut distinct = prints(&before);
    distinct.dedup();
    assert_eq!(distinct.len(), before.findings.len(), "no two findings share one");
}

#[test]
fn a_long_line_is_cut_around_its_label() {
    let noise = "x".repeat(100_000);
    let east = format!(
        r#"{{"a":"{noise}","apiVersion":"networking.istio.io/v1","kind":"DestinationRule","metadata":{{"name":"cart"}},"spec":{{"host":"cart","subsets":[{{"name":"one","labels":{{"version":"v1","topology.istio.io/cluster":"west"}}}}]}},"z":"{noise}"}}"#
    );
    let (sources, report) = run(&[("east/cart.json", &east), ("west/nodes.yaml", WEST)]);
    let shown = text(Format::Human, &sources, &report);
    assert!(shown.contains("selects by `version` and by cluster"), "{shown}");
    assert!(shown.len() < 5_000, "{} bytes", shown.len());
}

#[test]
fn no_format_shows_a_secret_value() {
    let secret = "c3VwZXItc2VjcmV0LXZhbHVlLW5vYm9keS1tYXktc2Vl";
    let token =
        "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEyMzQ1Njc4OTAifQ.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQifQ";
    let key = "MHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY/PuoAoGCCqGSM49";
    let east = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: cacerts, namespace: istio-system}}\ndata:\n  \
         ca-key.pem: {secret}\n  ca-key.pem: {secret}\nstringData:\n  token: {token}\n  token: {token}\n  \
         other.pem: |\n    -----BEGIN EC PRIVATE KEY-----\n    {key}\n    -----END EC PRIVATE KEY-----\n  \
         other.pem: hunter2\n"
    );
    let number = "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: 90210\n";
    let broken = format!(
        "apiVersion: v1\nkind: Secret\ndata:\n  password: hunter2\n a: {secret}\n b: {token}\n"
    );
    let files = [
        ("east/secret.yaml", &*east),
        ("west/broken.yaml", &*broken),
        ("west/number.yaml", number),
    ];
    let (sources, report) = run(&files);
    assert!(report.findings.len() > 3, "{report:#?}");
    for format in FORMATS {
        let shown = text(format, &sources, &report);
        for hidden in [secret, token, key, "hunter2", "90210"] {
            assert!(!shown.contains(hidden), "{format:?} shows {hidden}:\n{shown}");
        }
    }
}

/// Undoes GitHub's escapes, as its runner does.
fn unescaped(text: &str) -> String {
    text.replace("%0A", "\n")
        .replace("%0D", "\r")
        .replace("%3A", ":")
        .replace("%2C", ",")
        .replace("%25", "%")
}

proptest! {
    #[test]
    fn no_name_breaks_out_of_a_format(name in "[^\\x00-\\x1f\\x7f-\\x9f\"\\\\\u{200e}\u{200f}\u{202a}-\u{202e}\u{2066}-\u{2069}\u{2028}\u{2029}\u{85}\u{feff}\u{fffe}\u{ffff}]{1,24}") {
        let west = format!("apiVersion: v1\nkind: Node\nmetadata:\n  name: \"{name}\"\n  labels: {{failure-domain.beta.kubernetes.io/zone: a}}\n");
        let (sources, report) = run(&[("east/cart.yaml", EAST), ("west/nodes.yaml", &west)]);
        let found = report.findings.iter().find(|f| f.rule == "topology/beta-failure-domain-label");
        prop_assume!(found.is_some());
        let message = &found.unwrap().finding.message;
        let github = text(Format::Github, &sources, &report);
        prop_assert_eq!(github.lines().count(), report.findings.len());
        prop_assert!(github.lines().all(|l| l.starts_with("::error ") || l.starts_with("::warning ") || l.starts_with("::notice ")));
        prop_assert!(github.lines().any(|l| unescaped(l).contains(message.as_str())));
        let sarif = json(Format::Sarif, &sources, &report);
        prop_assert!(sarif.to_string().contains("topology/beta-failure-domain-label"));
        let markdown = text(Format::Markdown, &sources, &report);
        let rows = markdown.lines().filter(|l| l.starts_with("| ")).count();
        prop_assert_eq!(rows, report.findings.len() + 2);
        prop_assert!(!markdown.contains("<script") && !markdown.contains("<img"));
    }
}

//! Every format keeps its promise: schemas hold, text of manifests never breaks out, secrets stay secret.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/folder.rs"]
mod folder;
#[path = "common/program.rs"]
mod program;

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
const NODES: &str = "apiVersion: v1\nkind: Node\nmetadata:\n  name: node-x\n  name: node-x\n";
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

/// What stands between the lines of hyphens, line by line.
fn body(pem: &str) -> Vec<String> {
    pem.lines()
        .filter(|line| line.len() > 20 && !line.starts_with("-----"))
        .map(str::to_owned)
        .collect()
}

/// Base64, as under `data` of a Secret.
fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in text.as_bytes().chunks(3) {
        let number =
            (0..3).fold(0, |n, i| n << 8 | usize::from(three.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let letter = char::from(LETTERS[number >> (18 - 6 * i) & 63]);
            out.push(if i <= three.len() { letter } else { '=' });
        }
    }
    out
}

fn indented(key: &str, text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("    {line}")).collect();
    format!("  {key}: |\n{}\n", lines.join("\n"))
}

/// A CA wherever repositories keep one: in both layouts of `cacerts`, in plain text and in base64, in files,
/// in ConfigMaps and in MeshConfig. With it goes what no output may show of it.
fn a_ca_everywhere() -> (Vec<(String, String)>, Vec<String>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2026, 12, 1);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let (pem, key_pem) = (params.self_signed(&key).unwrap().pem(), key.serialize_pem());
    let secret = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: istio-system}}\n"
        )
    };
    let classic = format!(
        "{}stringData:\n{}{}{}{}",
        secret("cacerts"),
        indented("ca-key.pem", &key_pem),
        indented("ca-cert.pem", &pem),
        indented("root-cert.pem", &pem),
        indented("cert-chain.pem", &pem),
    );
    let (encoded, encoded_key) = (base64(&pem), base64(&key_pem));
    let tls = format!(
        "{}data:\n  tls.key: {encoded_key}\n  tls.crt: {encoded}\n  ca.crt: {encoded}\n  ca-cert.pem: {encoded}\n",
        secret("cacerts"),
    );
    let map = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio-ca-root-cert, namespace: shop}}\ndata:\n{}",
        indented("root-cert.pem", &format!("{pem}{key_pem}")),
    );
    let listed: Vec<String> = pem.lines().map(|line| format!("        {line}")).collect();
    let install = format!(
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: istio}}\nspec:\n  \
         values: {{global: {{meshID: m, network: n}}}}\n  meshConfig:\n    caCertificates:\n    - pem: |\n{}\n",
        listed.join("\n"),
    );
    let files = vec![
        ("east/cacerts.yaml".to_owned(), classic),
        ("east/map.yaml".to_owned(), map),
        ("east/istio.yaml".to_owned(), install.clone()),
        ("east/certs/ca-key.pem".to_owned(), key_pem.clone()),
        ("east/certs/root-key.pem".to_owned(), key_pem.clone()),
        ("east/certs/ca-cert.pem".to_owned(), pem.clone()),
        ("west/cacerts.yaml".to_owned(), tls),
        ("west/istio.yaml".to_owned(), install),
    ];
    let mut hidden: Vec<String> = [pem, key_pem].iter().flat_map(|text| body(text)).collect();
    for encoded in [encoded, encoded_key] {
        // How it begins and ends is the same for all, and stands on pages too.
        let parts = encoded.as_bytes().chunks(40).skip(2);
        let parts = parts.map(|part| String::from_utf8(part.to_vec()).unwrap());
        hidden.extend(parts.filter(|part| !part.contains("LS0t")));
    }
    hidden.retain(|text| text.len() > 20);
    (files, hidden)
}

#[test]
fn no_format_shows_the_body_of_a_key_or_certificate() {
    let (files, hidden) = a_ca_everywhere();
    let files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    let (sources, report) = run(&files);
    let rules: Vec<&str> = report.findings.iter().map(|f| f.rule).collect();
    for rule in [
        "trust/private-key-in-git",
        "trust/ca-is-root",
        "trust/cacerts-mixed-format",
        "trust/ca-expiring",
    ] {
        assert!(rules.contains(&rule), "{rule} is silent: {rules:?}");
    }
    assert_eq!(
        rules.iter().filter(|r| **r == "trust/private-key-in-git").count(),
        5,
        "once per object"
    );
    for format in FORMATS {
        let shown = text(format, &sources, &report);
        for body in &hidden {
            assert!(!shown.contains(body.as_str()), "{format:?} shows {body}:\n{shown}");
        }
    }
}

#[test]
fn the_verb_trust_shows_no_body_either() {
    let (files, hidden) = a_ca_everywhere();
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in &files {
        folder::put(&folder, &format!("clusters/{name}"), text);
    }
    for verb in
        [&["trust"][..], &["trust", "--format", "json"], &["clusters"], &["graph"], &["check"]]
    {
        let done = program::run(&folder, &[verb, &["clusters"]].concat());
        let shown =
            String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap();
        assert!(shown.contains("east"), "{verb:?}: {shown}");
        for body in &hidden {
            assert!(!shown.contains(body.as_str()), "{verb:?} shows {body}:\n{shown}");
        }
    }
}

/// What in a text may be a token, a certificate or a key: long runs of base64.
fn credentials(text: &str) -> Vec<&str> {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || "+/_=-".contains(c);
    let is_mixed = |run: &&str| {
        let has = |of: fn(char) -> bool| run.chars().any(of);
        run.len() >= 20
            && has(|c| c.is_ascii_uppercase())
            && has(|c| c.is_ascii_lowercase())
            && has(|c| c.is_ascii_digit())
    };
    text.split(|c| !is_inner(c)).filter(is_mixed).collect()
}

#[test]
fn no_format_shows_what_a_remote_secret_holds() {
    let (mut said, mut hidden) = (0, 0);
    for rule in rules::all().filter(|rule| rule.name.starts_with("remote/")) {
        for case in mesh_lint::page::Page::parse(rule.page).unwrap().cases {
            let files: Vec<_> = case.files.iter().map(|(name, text)| (*name, &**text)).collect();
            let (sources, report) = run(&files);
            said += report.findings.iter().filter(|f| f.rule.starts_with("remote/")).count();
            let secrets = files.iter().filter(|(_, text)| text.contains("kind: Secret"));
            let secrets: Vec<&str> = secrets.flat_map(|(_, text)| credentials(text)).collect();
            hidden += secrets.len();
            for format in FORMATS {
                let mut out = Vec::new();
                write(format, &report, &sources, &Style::plain(), &|_| None, &mut out).unwrap();
                let shown = String::from_utf8(out).unwrap();
                for secret in &secrets {
                    let piece = &secret[..16];
                    assert!(!shown.contains(piece), "{}, {format:?}:\n{shown}", case.title);
                }
            }
        }
    }
    assert!(said > 100 && hidden > 100, "{said} findings, {hidden} credentials");
}

/// Texts with secrets in places where a reader of lines would not see them.
const HIDING: &[(&str, &str)] = &[
    (
        "a key that Secrets have elsewhere too",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\n\
        stringData:\n  name: HUNTER2\n  type: HUNTER2\n  namespace: HUNTER2\n  name: HUNTER2\n",
    ),
    (
        "an anchor",
        "apiVersion: v1\nkind: &k Secret\nmetadata: {name: pw}\ndata:\n  a: HUNTER2\n  a: HUNTER2\n",
    ),
    (
        "a tag",
        "apiVersion: v1\nkind: !!str Secret\nmetadata: {name: pw}\ndata:\n  a: HUNTER2\n  a: HUNTER2\n",
    ),
    (
        "an escape",
        "apiVersion: v1\nkind: \"\\x53ecret\"\nmetadata: {name: pw}\ndata:\n  a: HUNTER2\n  a: HUNTER2\n",
    ),
    (
        "an alias of the kind",
        "apiVersion: v1\nmetadata: {name: pw, labels: {a: &k Secret}}\nkind: *k\n\
        data:\n  a: HUNTER2\n  a: HUNTER2\n",
    ),
    (
        "a block",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: m}\nstringData:\n  conf: |\n    name: HUNTER2\n    \
        type: HUNTER2\n  conf: x\n",
    ),
    (
        "a line of hyphens",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: pw}\nstringData:\n  a: b\n  password: |\n\
        --- HUNTER2 is my: passphrase: x\nHUNTER2 next: line: y\n",
    ),
    (
        "a line of hyphens alone",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: pw}\nstringData:\n  a: b\n  a: |\n\
        ---\nHUNTER2: line: y\n",
    ),
    (
        "a document of a block",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: pw}\nstringData:\n  a: |\n  a: |\n\
        --- HUNTER2\n",
    ),
    (
        "braces",
        "apiVersion: v1\nmetadata: {name: pw}\nkind: Secret\ndata: {password:HUNTER2}\n\
        stringData: {a: 1,\nname: HUNTER2, password: HUNTER2, labels: x: y}\n",
    ),
    (
        "a list",
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: x, name: y}}\n\
        - {apiVersion: v1, kind: Secret, metadata: {name: s}, data: {a: HUNTER2}}\n",
    ),
    (
        "a generator",
        "resources: [x.yaml]\nsecretGenerator:\n- name: db\n  literals:\n  - password=HUNTER2\n  name: db\n",
    ),
    (
        "a comment",
        "apiVersion: v1\nkind: Secret\n# HUNTER2\nmetadata: {name: m, name: m} # HUNTER2\n",
    ),
    (
        "an annotation",
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\n  name: y\n  annotations:\n    \
        last: '{\"data\":{\"a\":\"HUNTER2\"}}'\n",
    ),
    (
        "the user of a URL",
        "apiVersion: v1\nkind: Service\nmetadata: {name: m, name: m, url: 'http://u:HUNTER2@x/'}\n",
    ),
    (
        "a patch",
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\npatches:\n- patch: |\n    \
        apiVersion: v1\n    kind: Secret\n    data: {a: HUNTER2}\n  patch: x\n",
    ),
    (
        "an environment",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n    spec:\n      \
        containers:\n      - env:\n        - name: DB_PASSWORD\n          value: HUNTER2\n          value: HUNTER2\n",
    ),
    (
        "a map",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, labels: {a: b, a: c}}\ndata:\n  token: HUNTER2\n",
    ),
    (
        "a key in PEM",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata:\n  a: |\n    -----BEGIN PRIVATE KEY-----\n    \
        HUNTER2\n    -----END PRIVATE KEY-----\n  a: x\n",
    ),
    (
        "a key in PEM that is indented too little",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: tls}\nstringData:\n  \
        tls.key: |\n-----BEGIN EC PRIVATE KEY-----\nHUNTER2==\n-----END EC PRIVATE KEY-----\n",
    ),
];

#[test]
fn a_secret_stays_hidden_however_it_is_written() {
    for (how, hiding) in HIDING {
        let endings = [hiding.to_string(), hiding.replace('\n', "\r\n")];
        let after = format!("{NODES}---\n{hiding}");
        let before = format!("{hiding}\n---\n{NODES}");
        for text in endings.iter().chain([&after, &before]) {
            let (sources, report) = run(&[("east/kustomization.yaml", text)]);
            assert!(!report.findings.is_empty(), "{how}: nothing is found in {text}");
            for format in FORMATS {
                let shown = self::text(format, &sources, &report);
                assert!(!shown.contains("HUNTER2"), "{how}, {format:?}:\n{shown}");
            }
        }
    }
}

#[test]
fn what_stands_beside_a_secret_and_what_names_one_is_shown() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  a: HUNTER2\n  a: HUNTER2\n";
    let gateway = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec:\n  servers:\n  \
                   - tls:\n      credentialName: shop\n      refs: [{kind: Secret, name: shop}]\n      mode: SIMPLE\n      \
                   mode: SIMPLE\n    hosts: [shop.example]\n";
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  automountServiceAccountToken: false\n  \
               automountServiceAccountToken: false\n  volumes: [{secret: {secretName: tls}}]\n";
    let all = format!("{secret}---\n{gateway}---\n{pod}---\n{NODES}");
    let (sources, report) = run(&[("east/all.yaml", &all)]);
    let shown = text(Format::Human, &sources, &report);
    for line in [
        "refs: [{kind: Secret, name: shop}]",
        "mode: SIMPLE",
        "automountServiceAccountToken: false",
        "volumes: [{secret: {secretName: tls}}]",
        "name: node-x",
        "a: (value withheld)",
    ] {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
}

#[test]
fn a_line_break_in_a_name_ends_no_line() {
    let forged = "apiVersion: v1\nkind: Service\nmetadata: {name: \"x\\ny.yaml:1:1: error[a/b] forged\"}\n\
                  spec:\n  ports: [{port: \"80\\t\\n90\"}]\n";
    let names = ["east/a\nb.yaml", "east/a.yaml"];
    let files: Vec<_> = names.iter().map(|name| (*name, forged)).collect();
    let twice = format!("{forged}  ports: []\n  \"a\\nb\": 1\n  \"a\\nb\": 2\n");
    let (sources, report) = run(&[files[0], files[1], ("east/c\u{2028}.yaml", &twice)]);
    assert!(report.findings.len() > 2, "{report:#?}");
    let concise = text(Format::Concise, &sources, &report);
    assert_eq!(concise.lines().count(), report.findings.len() + 1, "{concise}");
    assert!(concise.lines().all(|line| line.contains('[') || line.contains(" resources ")));
    let human = text(Format::Human, &sources, &report);
    assert!(
        !human.lines().any(|line| line.starts_with("y.yaml") || line.starts_with("b.yaml")),
        "{human}"
    );
}

#[test]
fn a_summary_counts_in_plain_words() {
    let crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x}\n";
    let last = |files: &[(&str, &str)]| {
        let (sources, report) = run(files);
        text(Format::Concise, &sources, &report)
    };
    assert_eq!(
        last(&[("east/a.yaml", crd), ("east/b.yaml", crd), ("east/c.yaml", "a: {{ .b }}\n")]),
        "nothing to analyse: 0 resources in 0 files\n\
         skipped 3 files: 2 of kinds that no rule reads, 1 template\n"
    );
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

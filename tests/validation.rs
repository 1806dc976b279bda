//! What Istio's own tests accept and refuse, mesh-lint accepts and refuses.
//!
//! The cases stand beside the project where they are there at all; they are found through
//! `MESH_LINT_SHARED` (`../shared` where unset). Each document is linted by itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mesh_lint::config::Config;
use mesh_lint::finding::Severity;
use mesh_lint::lint::lint;
use mesh_lint::source::{Sources, Span, Text};

/// Cases on which mesh-lint and Istio do not agree: kind, part of the case's place, and why.
const KNOWN: &[(&str, &str, &str)] = &[
    // The webhook takes them, and the API server has refused them before by the CRD's schema.
    ("Gateway", "more than 2 certs", "refused by the CRD"),
    ("RequestAuthentication", "empty issuer and set jwksUri", "refused by the CRD"),
    // istioctl refuses a port without a name of a protocol; Istio has found protocols out since 1.3.
    ("(istioctl)", "invalid service list", "a name of a port is advice"),
    // istioctl does not look at the rest of a Deployment; the API server wants a selector.
    ("(istioctl)", "valid deployment list", "refused by the API server"),
];

fn cases() -> Option<PathBuf> {
    let root = std::env::var_os("MESH_LINT_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join("cases/validation");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: {} is not there (see MESH_LINT_SHARED)", path.display());
    None
}

/// A document, what it is called, and whether Istio refuses it.
struct Case {
    kind: String,
    place: String,
    text: String,
    is_refused: bool,
}

/// The value of a key at this indentation.
fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line[key.len()..].trim().trim_matches(['\'', '"']))
}

/// A top-level key taken out, and what was taken.
fn without<'t>(text: &'t str, key: &str) -> (String, Vec<&'t str>) {
    let (mut rest, mut taken, mut inside) = (String::new(), Vec::new(), false);
    for line in text.lines() {
        if !line.starts_with([' ', '#', '-']) && !line.is_empty() {
            inside = line.starts_with(key);
        }
        if inside {
            taken.push(line);
        } else {
            rest.push_str(line);
            rest.push('\n');
        }
    }
    (rest, taken)
}

fn documents(path: &Path) -> Vec<String> {
    let text = format!("\n{}", std::fs::read_to_string(path).unwrap());
    text.split("\n---").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|it| it == "yaml")).collect();
    files.sort();
    files
}

/// The tables of Istio's Go tests.
fn of_go(folder: &Path) -> Vec<Case> {
    let mut all = Vec::new();
    for file in files(&folder.join("go")) {
        let documents = documents(&file);
        for document in documents.iter().filter(|it| it.contains("_case:")) {
            let (rest, about) = without(document, "_case:");
            let about = about.join("\n");
            let told = value(&about, "  expect:").unwrap();
            let kind = value(&rest, "kind:").unwrap_or_default().to_owned();
            let place = format!(
                "{} {}",
                value(&about, "  source:").unwrap_or_default(),
                value(&about, "  name:").unwrap_or_default()
            );
            // Go's rows have nothing where YAML has null, which the CRD refuses.
            let has_null = about.contains("- 'null'")
                || about.contains("- \"null\"")
                || about.contains("- null");
            // But in mappings: there the API server drops it, before the webhook that the row is for.
            let is_dropped = rest.lines().any(|line| line.trim_end().ends_with(": null"));
            let is_refused = !is_dropped && (told.starts_with("error") || has_null);
            let rest = bytes_of_go(&keys_of_go(&rest));
            let text = if kind.starts_with("Mesh") { config_map(&rest, &kind) } else { rest };
            all.push(Case { kind, place, text, is_refused });
        }
    }
    all
}

/// Keys of Go's maps, whose quotes the fixtures took for a part of the key: `'"key"': value`.
fn keys_of_go(text: &str) -> String {
    text.replace("'\"", "'").replace("\"':", "':")
}

/// Bytes of Go's rows, which in YAML are in base64.
fn bytes_of_go(text: &str) -> String {
    let encoded = |line: &str| match line.split_once("bytes: ") {
        Some((before, bytes)) => format!("{before}bytes: {}\n", BASE64_STANDARD.encode(bytes)),
        None => format!("{line}\n"),
    };
    text.lines().map(encoded).collect()
}

/// MeshConfig and MeshNetworks stand in a ConfigMap.
fn config_map(text: &str, kind: &str) -> String {
    let (_, payload) = without(text, "mesh:");
    let key = if kind == "MeshConfig" { "mesh" } else { "meshNetworks" };
    let lines: Vec<String> = payload
        .iter()
        .skip(1)
        .map(|line| {
            format!(
                "  {line}
"
            )
        })
        .collect();
    let lines = lines.concat();
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\ndata:\n  {key}: |\n{lines}"
    )
}

/// Inputs of `istioctl validate`: a line of JSON each.
fn of_istioctl(folder: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(folder.join("go/istioctl-validate.yaml")).unwrap();
    let lines = text.lines().filter(|line| line.starts_with('{'));
    let read = |line| -> Case {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        let told = |path: &str| {
            json.pointer(path).and_then(|it| it.as_str()).unwrap_or_default().to_owned()
        };
        Case {
            kind: "(istioctl)".to_owned(),
            place: told("/_case/name"),
            text: told("/input"),
            is_refused: told("/_case/expect").starts_with("error"),
        }
    };
    lines.map(read).collect()
}

/// Documents for the CRDs: `_err` says what is wrong.
fn of_crd(folder: &Path) -> Vec<Case> {
    let mut all = Vec::new();
    for file in files(&folder.join("crd")) {
        for (i, document) in documents(&file).iter().enumerate() {
            let (text, wrong) = without(document, "_err:");
            let kind = value(&text, "kind:").unwrap_or_default();
            if kind.is_empty() {
                continue;
            }
            let name = file.file_name().unwrap().to_string_lossy();
            let place = format!("crd/{name}#{i} {}", wrong.join(" "));
            let kind = format!("{kind} (CRD)");
            all.push(Case { kind, place, is_refused: !wrong.is_empty(), text });
        }
    }
    all
}

/// What mesh-lint says at error.
fn refusals(text: &str) -> Vec<String> {
    let mut sources = Sources::default();
    sources.add("case.yaml", text).unwrap();
    let config = Config {
        select: ["fields", "yaml"].map(|room| Text::new(room.to_owned(), Span::default())).to_vec(),
        now: 1_795_478_400,
        ..Config::default()
    };
    let report = lint(&sources, &config);
    let errors = report.findings.iter().filter(|f| f.severity == Severity::Error);
    errors.map(|f| format!("{}: {}", f.rule, f.finding.message)).collect()
}

#[test]
fn istio_and_mesh_lint_refuse_the_same_documents() {
    let Some(folder) = cases() else { return };
    let mut table: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut odd = Vec::new();
    for case in of_go(&folder).into_iter().chain(of_istioctl(&folder)).chain(of_crd(&folder)) {
        let said = refusals(&case.text);
        let row = table.entry(case.kind.clone()).or_default();
        row.1 += 1;
        if said.is_empty() == case.is_refused {
            odd.push((case, said));
        } else {
            row.0 += 1;
        }
    }
    println!("{:<30} agree  of", "kind");
    let (mut agree, mut all) = (0, 0);
    for (kind, (same, of)) in &table {
        println!("{kind:<30} {same:>5} {of:>4}");
        (agree, all) = (agree + same, all + of);
    }
    println!("{:<30} {agree:>5} {all:>4}", "all");
    let is_known = |case: &Case| {
        KNOWN.iter().any(|(kind, part, _)| case.kind == *kind && case.place.contains(part))
    };
    let unknown: Vec<_> = odd.iter().filter(|(case, _)| !is_known(case)).collect();
    for (case, said) in &unknown {
        let wanted = if case.is_refused { "refuses" } else { "takes" };
        println!("\n{} {}: Istio {wanted} it, mesh-lint says {said:#?}", case.kind, case.place);
        println!(
            "{}",
            case.text
                .lines()
                .take(40)
                .map(|l| l.chars().take(120).collect())
                .collect::<Vec<String>>()
                .join("\n")
        );
    }
    assert!(unknown.is_empty(), "{} cases, see above", unknown.len());
    assert_eq!(all - agree, odd.len());
    assert!(agree * 100 >= all * 99, "{agree} of {all}");
}

/// Every line of what Istio takes, its value left to a pipeline.
#[test]
fn what_is_still_to_be_filled_in_is_never_refused() {
    let Some(folder) = cases() else { return };
    let mut wrong = Vec::new();
    for case in of_go(&folder).into_iter().filter(|case| !case.is_refused && case.text.len() < 4000)
    {
        if !refusals(&case.text).is_empty() {
            continue;
        }
        let lines: Vec<&str> = case.text.lines().collect();
        for (i, line) in lines.iter().enumerate() {
            let is_head =
                ["apiVersion", "kind", "metadata"].iter().any(|key| line.starts_with(key));
            let Some((key, value)) = line.split_once(": ").filter(|_| !is_head) else { continue };
            if value.trim().starts_with(['|', '&', '>']) {
                continue;
            }
            let filled = format!("{key}: ${{VALUE}}");
            let mut changed = lines.clone();
            changed[i] = &filled;
            let said = refusals(&changed.join("\n"));
            if !said.is_empty() {
                wrong.push((case.kind.clone(), case.place.clone(), (*line).to_owned(), said));
            }
        }
    }
    assert!(wrong.is_empty(), "{} lines: {wrong:#?}", wrong.len());
}

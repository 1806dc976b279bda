//! SARIF 2.1.0. The object is small and fixed, so it is written as JSON and held to the standard's own
//! schema by a test.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::{At, Pages, url};
use crate::finding::{Fix, Label, Severity};
use crate::lint::{Report, Reported};
use crate::page::Page;
use crate::source::Sources;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub(super) fn write(
    report: &Report,
    sources: &Sources,
    pages: Pages<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let names = report.findings.iter().map(|f| f.rule);
    let mut index: BTreeMap<&str, usize> = names.map(|name| (name, 0)).collect();
    for (i, position) in index.values_mut().enumerate() {
        *position = i;
    }
    let rules: Vec<Value> = index.keys().map(|name| rule(name, pages)).collect();
    let results: Vec<Value> =
        report.findings.iter().map(|f| result(f, index[f.rule], sources)).collect();
    let whole = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "mesh-lint",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{"executionSuccessful": report.failed.is_empty()}],
            "results": results,
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &whole)?;
    writeln!(out)
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn rule(name: &str, pages: Pages<'_>) -> Value {
    let page = pages(name).and_then(|text| Page::parse(text).ok());
    let Some(page) = page else { return json!({"id": name}) };
    let tags: Vec<&str> =
        std::iter::once(name.split('/').next().unwrap_or(name)).chain(page.aliases()).collect();
    json!({
        "id": name,
        "shortDescription": {"text": page.title},
        "fullDescription": {"text": page.title},
        "help": {"text": page.body.trim(), "markdown": page.body.trim()},
        "helpUri": url(name),
        "defaultConfiguration": {"level": level(page.severity)},
        "properties": {"tags": tags},
    })
}

fn result(found: &Reported, index: usize, sources: &Sources) -> Value {
    let finding = &found.finding;
    let mut text = finding.message.clone();
    if let Some(label) = finding.labels.first().filter(|l| !l.text.is_empty()) {
        text.push_str(&format!(": {}", label.text));
    }
    if let Some(help) = &finding.help {
        text.push_str(&format!(". Help: {help}"));
    }
    let primary: Vec<Value> =
        finding.labels.iter().take(1).map(|l| location(l, 0, sources)).collect();
    let related = finding.labels.iter().enumerate().skip(1);
    let related: Vec<Value> = related.map(|(i, l)| location(l, i, sources)).collect();
    let mut result = json!({
        "ruleId": found.rule,
        "ruleIndex": index,
        "level": level(found.severity),
        "message": {"text": text},
        "locations": primary,
        "relatedLocations": related,
        "partialFingerprints": {"meshLint/v1": found.fingerprint},
    });
    let fixes: Vec<Value> = finding.fixes.iter().map(|f| fix(f, sources)).collect();
    if !fixes.is_empty() {
        result["fixes"] = Value::Array(fixes);
    }
    result
}

/// A place; the id of a related one lets messages refer to it.
fn location(label: &Label, id: usize, sources: &Sources) -> Value {
    let at = At::of(label.span, sources);
    let mut location = json!({
        "physicalLocation": {
            "artifactLocation": {"uri": uri(at.file)},
            "region": {
                "startLine": at.start.line,
                "startColumn": at.start.column,
                "endLine": at.end.line,
                "endColumn": at.end.column,
            },
        },
        "message": {"text": label.text},
    });
    if id > 0 {
        location["id"] = json!(id);
    }
    location
}

fn fix(fix: &Fix, sources: &Sources) -> Value {
    let mut files: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (span, text) in &fix.edits {
        let at = At::of(*span, sources);
        let replacement = json!({
            "deletedRegion": {
                "byteOffset": at.start.offset,
                "byteLength": at.end.offset - at.start.offset,
            },
            "insertedContent": {"text": text},
        });
        files.entry(at.file).or_default().push(replacement);
    }
    let changes: Vec<Value> = files
        .into_iter()
        .map(|(file, replacements)| {
            json!({"artifactLocation": {"uri": uri(file)}, "replacements": replacements})
        })
        .collect();
    json!({"description": {"text": fix.title}, "artifactChanges": changes})
}

/// A file name as a relative reference: everything but the plain characters of paths in per cent.
fn uri(name: &str) -> String {
    let mut uri = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                uri.push(char::from(byte));
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

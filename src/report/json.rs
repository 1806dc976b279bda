//! One JSON object per run, with the schema in `schemas/report-v1.schema.json`.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{At, url};
use crate::finding::{Fix, Label, Severity};
use crate::lint::{Report, Reported, ResourceName};
use crate::source::Sources;

pub(super) fn write(report: &Report, sources: &Sources, out: &mut dyn Write) -> io::Result<()> {
    let findings: Vec<Value> = report.findings.iter().map(|f| finding(f, sources)).collect();
    let whole = json!({
        "version": 1,
        "findings": findings,
        "clusters": report.clusters,
        "skipped": report.skipped,
        "summary": {
            "error": report.count(Severity::Error),
            "warning": report.count(Severity::Warning),
            "note": report.count(Severity::Note),
            "suppressed": report.suppressed,
            "files": report.files,
            "resources": report.resources,
        },
    });
    serde_json::to_writer_pretty(&mut *out, &whole)?;
    writeln!(out)
}

fn finding(found: &Reported, sources: &Sources) -> Value {
    let labels = found.finding.labels.iter().enumerate();
    let labels: Vec<Value> =
        labels.map(|(i, l)| label(l, i == 0, found.resources[i].as_deref(), sources)).collect();
    let fixes: Vec<Value> = found.finding.fixes.iter().map(|f| fix(f, sources)).collect();
    json!({
        "rule": found.rule,
        "aliases": found.aliases,
        "severity": found.severity,
        "message": found.finding.message,
        "help": found.finding.help,
        "url": url(found.rule),
        "fingerprint": found.fingerprint,
        "cluster": found.cluster,
        "resource": found.resource(),
        "labels": labels,
        "fixes": fixes,
    })
}

fn label(
    label: &Label,
    primary: bool,
    resource: Option<&ResourceName>,
    sources: &Sources,
) -> Value {
    let at = At::of(label.span, sources);
    json!({
        "primary": primary,
        "text": label.text,
        "resource": resource,
        "file": at.file,
        "start": at.start,
        "end": at.end,
    })
}

fn fix(fix: &Fix, sources: &Sources) -> Value {
    let edit = |(span, text): &(crate::source::Span, String)| {
        let at = At::of(*span, sources);
        json!({"file": at.file, "start": at.start.offset, "end": at.end.offset, "text": text})
    };
    let edits: Vec<Value> = fix.edits.iter().map(edit).collect();
    json!({"title": fix.title, "edits": edits})
}

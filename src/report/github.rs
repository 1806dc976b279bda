//! Annotations of GitHub Actions: workflow commands, with everything escaped that could end one.

use std::io::{self, Write};

use super::{At, harmless};
use crate::finding::Severity;
use crate::lint::Report;
use crate::source::{STDIN, Sources};

pub(super) fn write(report: &Report, sources: &Sources, out: &mut dyn Write) -> io::Result<()> {
    for found in &report.findings {
        let finding = &found.finding;
        let at = At::of(finding.span(), sources);
        let command = match found.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let mut message = finding.message.clone();
        for (i, label) in finding.labels.iter().enumerate().filter(|(_, l)| !l.text.is_empty()) {
            if i == 0 {
                message.push_str(&format!("\n{}", label.text));
            } else {
                let at = At::of(label.span, sources);
                message.push_str(&format!("\n{}:{}: {}", at.file, at.start.line, label.text));
            }
        }
        if let Some(help) = &finding.help {
            message.push_str(&format!("\nhelp: {help}"));
        }
        let mut properties = format!("title={}", property(found.rule));
        if !at.file.is_empty() && at.file != STDIN {
            properties = format!(
                "file={},line={},endLine={},{properties}",
                property(at.file),
                at.start.line,
                at.end.line
            );
            // GitHub takes columns only where a span stays on its line.
            if at.start.line == at.end.line {
                properties
                    .push_str(&format!(",col={},endColumn={}", at.start.column, at.end.column));
            }
        }
        writeln!(out, "::{command} {properties}::{}", data(&message))?;
    }
    Ok(())
}

/// The message of a command: `%` and line breaks are escaped.
fn data(text: &str) -> String {
    harmless(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property: `:` and `,` too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

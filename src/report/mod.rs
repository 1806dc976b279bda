//! One file per output format.

mod concise;
mod excerpt;
mod github;
mod human;
mod json;
mod markdown;
mod sarif;
mod withhold;

use std::io::{self, Write};
use std::str::FromStr;

use clap::ValueEnum;

use crate::finding::Severity;
use crate::lint::Report;
use crate::source::{Place, Sources, Span};

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Snippets for people.
    Human,
    /// A line per finding.
    Concise,
    /// One object, with the schema in `schemas/`.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Annotations of GitHub Actions.
    Github,
    /// A summary in Markdown, for job pages and comments.
    Markdown,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        ValueEnum::from_str(text, false)
    }
}

/// How a report looks.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Whether to use colours.
    pub color: bool,
    /// Whether to draw with characters beyond ASCII.
    pub unicode: bool,
    /// Whether rule names are links.
    pub hyperlinks: bool,
    /// Columns.
    pub width: usize,
}

impl Style {
    /// For files and pipes.
    pub fn plain() -> Self {
        Self { color: false, unicode: true, hyperlinks: false, width: 100 }
    }
}

/// The text of a rule's page, by its name.
pub type Pages<'p> = &'p dyn Fn(&str) -> Option<&'static str>;

/// Writes a report.
pub fn write(
    format: Format,
    report: &Report,
    sources: &Sources,
    style: &Style,
    pages: Pages<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Human => human::write(report, sources, style, out),
        Format::Concise => concise::write(report, sources, out),
        Format::Json => json::write(report, sources, out),
        Format::Sarif => sarif::write(report, sources, pages, out),
        Format::Github => github::write(report, sources, out),
        Format::Markdown => markdown::write(report, sources, out),
    }
}

/// Where a rule's page is read on the web.
fn url(rule: &str) -> String {
    format!("{}/blob/main/rules/{rule}.md", env!("CARGO_PKG_REPOSITORY"))
}

/// A span for people: its file, where it begins and where it ends. An empty name stands for a finding
/// that has no place.
struct At<'s> {
    file: &'s str,
    start: Place,
    end: Place,
}

impl<'s> At<'s> {
    fn of(span: Span, sources: &'s Sources) -> Self {
        let nowhere = Place { line: 1, column: 1, offset: 0 };
        let file = sources.file_at(span.start).map_or("", |(_, file)| file.name.as_str());
        let place = |offset| sources.place(offset).unwrap_or(nowhere);
        Self { file, start: place(span.start), end: place(span.end) }
    }
}

/// `2 errors, 1 warning`: what there is, worst first.
fn counts(report: &Report) -> String {
    let of = |severity: Severity| {
        let n = report.count(severity);
        let plural = if n == 1 { "" } else { "s" };
        (n > 0).then(|| format!("{n} {severity}{plural}"))
    };
    let counted = [Severity::Error, Severity::Warning, Severity::Note].into_iter().filter_map(of);
    let counted: Vec<String> = counted.collect();
    if counted.is_empty() { "no findings".to_owned() } else { counted.join(", ") }
}

/// `52 resources in 14 files of 2 clusters`, and what was skipped, by reason.
fn summary(report: &Report) -> (String, Option<String>) {
    let nothing = report.resources == 0 && report.findings.is_empty();
    let mut first = format!(
        "{}: {} in {}",
        if nothing { "nothing to analyse".to_owned() } else { counts(report) },
        plural(report.resources, "resource"),
        plural(report.files, "file")
    );
    if report.resources > 0 {
        first.push_str(&format!(" of {}", plural(report.clusters.len(), "cluster")));
    }
    if report.suppressed > 0 {
        first.push_str(&format!("; {} suppressed", report.suppressed));
    }
    let mut reasons: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for skipped in &report.skipped {
        *reasons.entry(skipped.reason).or_default() += 1;
    }
    let told: Vec<String> = reasons.iter().map(|(reason, n)| of_reason(*n, reason)).collect();
    let skipped = (!told.is_empty())
        .then(|| format!("skipped {}: {}", plural(report.skipped.len(), "file"), told.join(", ")));
    (first, skipped)
}

fn plural(n: usize, word: &str) -> String {
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}

/// `2 templates`, `1 not UTF-8`: files that were skipped for a reason.
fn of_reason(n: usize, reason: &str) -> String {
    match reason {
        "template" | "link" => plural(n, reason),
        "kustomize patch" if n > 1 => format!("{n} kustomize patches"),
        "kind that no rule reads" if n == 1 => format!("{n} of a {reason}"),
        "kind that no rule reads" => format!("{n} of kinds that no rule reads"),
        _ => format!("{n} {reason}"),
    }
}

/// Text without what could steer a terminal: control characters, and those that turn the direction of
/// writing.
pub fn harmless(text: &str) -> String {
    let bad = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if bad(c) { '\u{fffd}' } else { c }).collect()
}

/// Harmless text that stays on its line: what a file or a resource is called may hold line breaks.
pub fn one_line(text: &str) -> String {
    let breaks = |c: char| matches!(c, '\n' | '\t' | '\u{2028}' | '\u{2029}');
    harmless(text).chars().map(|c| if breaks(c) { '\u{fffd}' } else { c }).collect()
}

//! A summary in Markdown, for job pages and comments.

use std::io::{self, Write};

use super::{At, harmless, summary, url};
use crate::lint::Report;
use crate::source::Sources;

/// Rows at the most: job pages cut long summaries in the middle of a table.
const ROWS: usize = 200;

pub(super) fn write(report: &Report, sources: &Sources, out: &mut dyn Write) -> io::Result<()> {
    let (first, skipped) = summary(report);
    writeln!(out, "### mesh-lint\n\n{first}")?;
    if let Some(skipped) = skipped {
        writeln!(out, "\n{skipped}")?;
    }
    if report.findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| severity | place | finding | rule |\n| --- | --- | --- | --- |")?;
    let mut rows: Vec<_> = report.findings.iter().collect();
    rows.sort_by_key(|f| std::cmp::Reverse(f.severity));
    for found in rows.iter().take(ROWS) {
        let at = At::of(found.finding.span(), sources);
        let place = cell(&format!("{}:{}", at.file, at.start.line));
        let message = cell(&found.finding.message);
        let rule = found.rule;
        writeln!(out, "| {} | {place} | {message} | [{rule}]({}) |", found.severity, url(rule))?;
    }
    if rows.len() > ROWS {
        writeln!(out, "\n{} more are not shown.", rows.len() - ROWS)?;
    }
    Ok(())
}

/// Text that stays text in a table: neither Markdown nor HTML of a manifest gets through.
/// Backticks of our own messages keep their meaning as long as they come in pairs.
fn cell(text: &str) -> String {
    let text = harmless(text).replace('\n', " ");
    let paired = text.matches('`').count().is_multiple_of(2);
    let mut safe = String::new();
    let mut code = false;
    for c in text.chars() {
        match c {
            '`' if paired => {
                code = !code;
                safe.push('`');
            }
            '|' => safe.push_str("\\|"),
            '<' | '>' | '&' if code => safe.push(c),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '!' | '~' | '@' | ':' if !code => {
                safe.push('\\');
                safe.push(c);
            }
            _ => safe.push(c),
        }
    }
    safe
}

//! A line per finding.

use std::io::{self, Write};

use super::{At, one_line, summary};
use crate::lint::Report;
use crate::source::Sources;

pub(super) fn write(report: &Report, sources: &Sources, out: &mut dyn Write) -> io::Result<()> {
    for found in &report.findings {
        let at = At::of(found.finding.span(), sources);
        let (file, message) = (one_line(at.file), one_line(&found.finding.message));
        let (line, column) = (at.start.line, at.start.column);
        writeln!(out, "{file}:{line}:{column}: {}[{}] {message}", found.severity, found.rule)?;
    }
    let (first, skipped) = summary(report);
    writeln!(out, "{first}")?;
    skipped.map_or(Ok(()), |skipped| writeln!(out, "{skipped}"))
}

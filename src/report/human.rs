//! The report for people, by miette: every label in the file it stands in.

use std::fmt;
use std::io::{self, Write};

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError,
    MietteSpanContents, Severity as Level, SourceCode, SourceSpan, SpanContents, ThemeCharacters,
    ThemeStyles,
};

use super::excerpt::{Excerpt, excerpts};
use super::{Style, harmless, one_line, summary, url};
use crate::finding::Severity;
use crate::lint::{Report, Reported};
use crate::source::Sources;

pub(super) fn write(
    report: &Report,
    sources: &Sources,
    style: &Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let handler = handler(style);
    for found in &report.findings {
        let shown = Shown::new(found, report, sources, style.hyperlinks);
        let mut text = String::new();
        if handler.render_report(&mut text, &shown).is_err() {
            // A finding is never lost: where it cannot be drawn it is told in a line.
            text = format!(
                "{}[{}] {}\n",
                found.severity,
                found.rule,
                one_line(&found.finding.message)
            );
        }
        let text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        writeln!(out, "{}\n", text.trim_matches('\n'))?;
    }
    let (first, skipped) = summary(report);
    let (on, off) = match (style.color, report.findings.iter().map(|f| f.severity).max()) {
        (false, _) => ("", ""),
        (true, Some(Severity::Error)) => ("\x1b[1;31m", "\x1b[0m"),
        (true, Some(Severity::Warning)) => ("\x1b[1;33m", "\x1b[0m"),
        (true, _) => ("\x1b[1;32m", "\x1b[0m"),
    };
    writeln!(out, "{on}{first}{off}")?;
    skipped.map_or(Ok(()), |skipped| writeln!(out, "{skipped}"))
}

fn handler(style: &Style) -> GraphicalReportHandler {
    let theme = GraphicalTheme {
        characters: if style.unicode {
            ThemeCharacters::unicode()
        } else {
            ThemeCharacters::ascii()
        },
        styles: if style.color { ThemeStyles::ansi() } else { ThemeStyles::none() },
    };
    GraphicalReportHandler::new_themed(theme)
        .with_links(style.hyperlinks)
        .with_width(style.width)
        .with_context_lines(1)
        .with_wrap_lines(true)
        .with_break_words(false)
        .tab_width(4)
}

/// A finding as miette wants it.
struct Shown<'r> {
    found: &'r Reported,
    message: String,
    help: Option<String>,
    code: String,
    url: Option<String>,
    snippets: Snippets,
    labels: Vec<LabeledSpan>,
}

impl<'r> Shown<'r> {
    fn new(found: &'r Reported, report: &Report, sources: &'r Sources, links: bool) -> Self {
        let finding = &found.finding;
        let (texts, spans) = excerpts(&finding.labels, sources, &report.hidden);
        let placed = finding.labels.iter().zip(spans).enumerate();
        let labels = placed.filter_map(|(i, (label, span))| {
            let text = Some(one_line(&label.text)).filter(|t| !t.is_empty());
            let span = span?;
            Some(if i == 0 {
                LabeledSpan::new_primary_with_span(text, span)
            } else {
                LabeledSpan::new_with_span(text, span)
            })
        });
        let mut help = finding.help.clone();
        for fix in &finding.fixes {
            let line = format!("fix: {}", fix.title);
            help = Some(help.map_or_else(|| line.clone(), |help| format!("{help}\n{line}")));
        }
        Self {
            found,
            message: one_line(&finding.message),
            help: help.map(|h| harmless(&h)),
            code: format!("{}[{}]", found.severity, found.rule),
            url: links.then(|| url(found.rule)),
            labels: labels.collect(),
            snippets: Snippets { texts },
        }
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.code))
    }

    fn severity(&self) -> Option<Level> {
        Some(match self.found.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
            Severity::Note => Level::Advice,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|h| Box::new(h) as Box<dyn fmt::Display>)
    }

    fn url<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.url.as_ref().map(|u| Box::new(u) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.snippets)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// The texts that a finding touches, as miette's source: made harmless, laid end to end. A span that
/// leaves its text is refused, so that no snippet joins two files.
struct Snippets {
    texts: Vec<Excerpt>,
}

impl SourceCode for Snippets {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let i = self.texts.partition_point(|t| t.base <= span.offset());
        let excerpt =
            i.checked_sub(1).and_then(|i| self.texts.get(i)).ok_or(MietteError::OutOfBounds)?;
        let local = SourceSpan::from((span.offset() - excerpt.base, span.len()));
        let inner = excerpt.text.read_span(&local, before, after)?;
        let window = SourceSpan::from((inner.span().offset() + excerpt.base, inner.span().len()));
        let (line, column) = (excerpt.before + inner.line(), inner.column());
        // miette's own count begins at the first line of the text, and would join far places into one.
        let lines = inner.data().split(|b| *b == b'\n').count().saturating_sub(1);
        let name = excerpt.name.clone();
        Ok(Box::new(MietteSpanContents::new_named(name, inner.data(), window, line, column, lines)))
    }
}

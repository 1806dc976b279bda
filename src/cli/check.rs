//! `mesh-lint check`: the main job.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};

use super::args::{Check, When};
use super::progress::Progress;
use super::{CLEAN, FAILED, FINDINGS, Failed, NOTHING, input, time};
use crate::config::Config;
use crate::lint::{self, Report};
use crate::report::{self, Format, Style};
use crate::rules;
use crate::source::{Sources, Span, Text};

/// Reads, checks, reports.
pub(super) fn run(args: &Check, out: &mut dyn Write) -> Result<u8, Failed> {
    let progress = Progress::start();
    progress.step("reading files");
    let mut read = input::read(&args.reading)?;
    configure(args, &mut read.config)?;
    progress.step("building the mesh");
    let model = lint::build(&read.sources, &read.config);
    if !model.placed.is_empty() && model.placed.iter().all(|p| p.clusters.is_empty()) {
        let told =
            "no file belongs to a cluster of the configuration: see `mesh-lint clusters --files`";
        return Err(Failed(told.to_owned()));
    }
    progress.step("checking");
    let mut report = lint::check(&model, &read.sources, &read.config);
    drop(progress);
    report.skipped.extend(read.skipped);
    report.skipped.sort();
    write(args.format, &report, &read.sources, &style(args.color), out)?;
    for output in &args.output {
        let file = File::create(&output.file)
            .map_err(|e| Failed(format!("{}: {e}", output.file.display())))?;
        let mut file = BufWriter::new(file);
        write(output.format, &report, &read.sources, &Style::plain(), &mut file)?;
        file.flush()?;
    }
    for failure in &read.failures {
        // What could not be read is told at the end, where it is seen.
        let _ = writeln!(
            std::io::stderr(),
            "mesh-lint: {}: {}",
            report::one_line(&failure.path.display().to_string()),
            report::one_line(&failure.message)
        );
    }
    Ok(code(&report, &read.config, !read.failures.is_empty()))
}

/// Whether the report itself says that there was nothing to analyse.
pub(super) fn says_nothing(args: &Check) -> bool {
    matches!(args.format, Format::Human | Format::Concise | Format::Markdown)
}

/// What could not be read, and a rule that failed in itself, leave open what there is to find.
fn code(report: &Report, config: &Config, failed: bool) -> u8 {
    if failed || !report.failed.is_empty() {
        FAILED
    } else if report.findings.iter().any(|f| f.severity >= config.fail_on()) {
        FINDINGS
    } else if report.resources == 0 && report.findings.is_empty() {
        NOTHING
    } else {
        CLEAN
    }
}

/// Lays what was typed over what the configuration says.
fn configure(args: &Check, config: &mut Config) -> Result<(), Failed> {
    let typed = |words: &[String]| -> Vec<Text> {
        words.iter().map(|word| Text::new(word.clone(), Span::default())).collect()
    };
    if !args.select.is_empty() {
        config.select = typed(&args.select);
    }
    config.ignore.extend(typed(&args.ignore));
    config.fail_on = args.fail_on.or(config.fail_on);
    config.now = args.now.unwrap_or_else(time::now);
    let wrong: Vec<String> =
        args.select.iter().chain(&args.ignore).filter_map(|word| rules::complaint(word)).collect();
    if wrong.is_empty() { Ok(()) } else { Err(Failed(wrong.join("\n"))) }
}

fn write(
    format: Format,
    report: &Report,
    sources: &Sources,
    style: &Style,
    out: &mut dyn Write,
) -> Result<(), Failed> {
    let page = |name: &str| rules::all().find(|rule| rule.name == name).map(|rule| rule.page);
    Ok(report::write(format, report, sources, style, &page, out)?)
}

/// Colours and links only for a terminal, unless told otherwise.
fn style(when: When) -> Style {
    let terminal = std::io::stdout().is_terminal();
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty() && v != "0");
    let color = match when {
        When::Always => true,
        When::Never => false,
        When::Auto if set("NO_COLOR") => false,
        When::Auto => terminal || set("CLICOLOR_FORCE") || set("FORCE_COLOR"),
    };
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let width = columns.or_else(|| terminal_width(terminal)).unwrap_or(100);
    Style { color, unicode: true, hyperlinks: color && terminal, width }
}

fn terminal_width(terminal: bool) -> Option<usize> {
    if !terminal {
        return None;
    }
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0).clamp(40, 140))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_fails_in_itself_is_no_success() {
        let report = Report { resources: 1, failed: vec!["a/rule"], ..Report::default() };
        assert_eq!(code(&report, &Config::default(), false), FAILED);
        let report = Report { resources: 1, ..Report::default() };
        assert_eq!(code(&report, &Config::default(), false), CLEAN);
    }
}

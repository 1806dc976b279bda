//! Every page in `rules/` tells the truth: one test per heading.

use std::collections::BTreeSet;
use std::path::Path;

use libtest_mimic::{Arguments, Failed, Trial};
use mesh_lint::config::{ClusterConfig, Config};
use mesh_lint::finding::Severity;
use mesh_lint::lint::{Reported, lint};
use mesh_lint::page::{Case, Page};
use mesh_lint::rules::{self, Rule};
use mesh_lint::source::{FileId, Sources, Span, Text};

/// The day on which all pages are read.
const NOW: i64 = 1_795_478_400;

fn main() {
    let mut trials = vec![Trial::test("pages and rules are the same", same_names)];
    for rule in rules::all() {
        let page = match Page::parse(rule.page) {
            Ok(page) => page,
            Err(error) => {
                trials.push(Trial::test(rule.name, move || Err(error.into())));
                continue;
            }
        };
        let shape = page.clone();
        trials.push(Trial::test(rule.name, move || well_made(&rule, &shape)));
        for case in page.cases.clone() {
            let severity = page.severity;
            let name = format!("{}: {}", rule.name, case.title);
            trials.push(Trial::test(name, move || holds(&rule, severity, &case)));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Each page has a rule, each rule a page.
fn same_names() -> Result<(), Failed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let mut pages = BTreeSet::new();
    for entry in walkdir::WalkDir::new(&root) {
        let path = entry?.into_path();
        if path.extension().is_some_and(|e| e == "md") && path.parent() != Some(&root) {
            let name = path.strip_prefix(&root)?.with_extension("");
            pages.insert(name.to_string_lossy().replace('\\', "/"));
        }
    }
    let names: BTreeSet<String> = rules::all().map(|r| r.name.to_owned()).collect();
    let odd: Vec<_> = pages.symmetric_difference(&names).collect();
    expect(odd.is_empty(), || format!("page without rule or rule without page: {odd:?}"))
}

fn expect(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}

/// A page has a case that speaks and one that is silent, in lines that fit.
fn well_made(rule: &Rule, page: &Page<'_>) -> Result<(), Failed> {
    let speaks = page.cases.iter().filter(|c| !c.expected().is_empty()).count();
    expect(speaks > 0, || "no case in which the rule speaks".to_owned())?;
    expect(speaks < page.cases.len(), || "no case in which the rule is silent".to_owned())?;
    let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '/');
    expect(rule.name.chars().all(kebab), || "a name is in lower case with hyphens".to_owned())?;
    let mut fenced = false;
    for line in page.body.lines() {
        fenced ^= line.starts_with("```");
        expect(fenced || line.chars().count() <= 100, || format!("over 100 characters: {line}"))?;
    }
    let fixes = page.cases.iter().any(|c| c.diff.is_some());
    expect((page.fix != "never") == fixes, || format!("fix: {}, diff fences: {fixes}", page.fix))
}

/// What the rule says of a case is what the case announces.
fn holds(rule: &Rule, severity: Severity, case: &Case<'_>) -> Result<(), Failed> {
    let (sources, ids) = sources(case.files.iter().map(|(path, text)| (*path, text.as_str())))?;
    let said = said(rule, &sources)?;
    let expected = case.expected();
    let mut told = vec![false; expected.len()];
    for found in &said {
        expect(found.severity <= severity, || format!("{:?} is above the page", found.severity))?;
        let finding = &found.finding;
        let mends = finding.help.is_some() || !finding.fixes.is_empty();
        expect(mends, || format!("neither help nor fix: {}", finding.message))?;
        for (i, label) in finding.labels.iter().enumerate() {
            let place = sources.place(label.span.start).ok_or("a label outside the input")?;
            let file = sources.file_at(label.span.start).ok_or("a label outside the input")?.0;
            let wanted = if i == 0 { found.severity } else { Severity::Note };
            let line = line_of_key(&sources.file(file).text, place.line);
            let hit = expected.iter().position(|e| {
                let there = ids[e.file] == file && (e.line == place.line || e.line == line);
                there && e.severity == wanted && label.text.contains(e.text)
            });
            match hit {
                Some(hit) => told[hit] = true,
                None if i == 0 => {
                    let name = &sources.file(file).name;
                    let line = place.line;
                    return Err(format!(
                        "not announced: {name}:{line}: # {wanted}: {} ({})",
                        label.text, finding.message
                    )
                    .into());
                }
                None => {}
            }
        }
    }
    for (expected, told) in expected.iter().zip(told) {
        let path = case.files[expected.file].0;
        let (line, severity, text) = (expected.line, expected.severity, expected.text);
        expect(told, || format!("not said: {path}:{line}: # {severity}: {text}\nsaid: {said:#?}"))?;
    }
    mends(rule, case, &sources, &ids, &said)
}

/// The line on which an assertion may stand too: that of the key for what lies in a block scalar, in which
/// comments are content.
fn line_of_key(text: &str, line: usize) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let indent = |l: &str| l.len() - l.trim_start().len();
    let opens = |l: &str| l.split(" #").next().unwrap_or_default().trim_end().ends_with('|');
    let mut at = line - 1;
    while let Some(text) = lines.get(at) {
        let outer = |i: &usize| !lines[*i].is_empty() && indent(lines[*i]) < indent(text);
        match (0..at).rev().find(outer) {
            Some(above) if opens(lines[above]) => return above + 1,
            Some(above) => at = above,
            None => break,
        }
    }
    line
}

/// Applying the fixes changes what the `diff` fence says, and silences what they are for.
fn mends(
    rule: &Rule,
    case: &Case<'_>,
    sources: &Sources,
    ids: &[FileId],
    said: &[Reported],
) -> Result<(), Failed> {
    let fixes: Vec<_> = said.iter().flat_map(|f| &f.finding.fixes).collect();
    expect(fixes.is_empty() == case.diff.is_none(), || {
        format!("fixes: {fixes:?}, but the diff fence: {:?}", case.diff)
    })?;
    let mut edits: Vec<_> = fixes.iter().flat_map(|f| &f.edits).collect();
    edits.sort_by_key(|(span, _)| std::cmp::Reverse(*span));
    let mut mended: Vec<String> = case.files.iter().map(|(_, text)| text.clone()).collect();
    for (span, text) in edits {
        let (id, file) = sources.file_at(span.start).ok_or("an edit outside the input")?;
        let at = ids.iter().position(|i| *i == id).ok_or("an edit outside the case")?;
        let local = (span.start - file.base) as usize..(span.end - file.base) as usize;
        mended[at].replace_range(local, text);
    }
    let Some(diff) = &case.diff else { return Ok(()) };
    let mut changed = String::new();
    for ((_, before), after) in case.files.iter().zip(&mended) {
        for (before, after) in before.lines().zip(after.lines()).filter(|(b, a)| b != a) {
            changed.push_str(&format!("-{before}\n+{after}\n"));
        }
    }
    expect(&changed == diff, || format!("the fixes change\n{changed}and the page says\n{diff}"))?;
    let paths = case.files.iter().map(|(path, _)| *path);
    let (sources, _) = self::sources(paths.zip(mended.iter().map(String::as_str)))?;
    let left = self::said(rule, &sources)?;
    let fixable = said.iter().filter(|f| !f.finding.fixes.is_empty()).count();
    expect(left.len() + fixable <= said.len(), || format!("mended, and still: {left:#?}"))
}

fn sources<'f>(
    files: impl IntoIterator<Item = (&'f str, &'f str)>,
) -> Result<(Sources, Vec<FileId>), Failed> {
    let mut sources = Sources::default();
    let mut ids = Vec::new();
    for (path, text) in files {
        ids.push(sources.add(path, text)?);
    }
    Ok((sources, ids))
}

/// Runs one rule; the first folder of each path names the cluster, unless all files are below `clusters/`:
/// then nothing is told. A `mesh-lint.yaml` is the configuration.
fn said(rule: &Rule, sources: &Sources) -> Result<Vec<Reported>, Failed> {
    let mut config = Config::default();
    let mut folders = BTreeSet::new();
    for (id, file) in sources.files() {
        if file.name == "mesh-lint.yaml" {
            config = Config::parse(sources, id, "").map_err(|m| format!("{m:?}"))?;
        } else {
            folders.insert(file.name.split('/').next().unwrap_or_default());
        }
    }
    if config.clusters.is_empty() && folders != BTreeSet::from(["clusters"]) {
        let clusters = folders.iter().map(|name| ClusterConfig::below(name, name));
        config.clusters = clusters.collect::<Result<_, _>>()?;
    }
    config.now = NOW;
    if rule.is_opt_in() {
        config.select = vec![Text::new(rule.name.to_owned(), Span::default())];
    }
    let mut report = lint(sources, &config);
    let broken = report.findings.iter().find(|f| f.rule == "yaml/syntax" && rule.name != f.rule);
    expect(broken.is_none(), || format!("the case itself is broken: {broken:?}"))?;
    report.findings.retain(|f| f.rule == rule.name);
    Ok(report.findings)
}

//! `mesh-lint explain` and `mesh-lint rules`: the pages, as text.

use std::io::Write;

use super::show;
use super::{CLEAN, Failed};
use crate::page::Page;
use crate::rules::{self, Rule};

/// Prints the page of a rule.
pub(super) fn page(word: &str, out: &mut dyn Write) -> Result<u8, Failed> {
    let called: Vec<Rule> = rules::all().filter(|rule| rule.is_called(word)).collect();
    let is_code = |rule: &Rule| rule.istio_codes().iter().any(|code| code == word);
    if called.len() > 1 && called.iter().all(is_code) {
        writeln!(out, "{} rules say what istioctl calls {word}:\n", called.len())?;
        return list(&[word.to_owned()], false, out);
    }
    let exact = called.iter().find(|rule| rule.name == word);
    let (Some(rule), true) = (exact.or(called.first()), exact.is_some() || called.len() == 1)
    else {
        return Err(Failed(match called.as_slice() {
            [] => rules::complaint(word).unwrap_or_default(),
            several => {
                let names: Vec<_> = several.iter().map(|r| r.name).collect();
                format!("`{word}` means several rules: {}", names.join(", "))
            }
        }));
    };
    let page = Page::parse(rule.page).map_err(Failed)?;
    let asked = if page.opt_in { ", only where it is asked for" } else { "" };
    writeln!(out, "{} ({}, since {}{asked})", rule.name, page.severity, page.since)?;
    let aliases: Vec<&str> = page.aliases().collect();
    if !aliases.is_empty() {
        writeln!(out, "also known as {}", aliases.join(", "))?;
    }
    writeln!(out, "\n{}", page.body.trim())?;
    Ok(CLEAN)
}

/// Lists the rules, or those that some words mean.
pub(super) fn list(only: &[String], json: bool, out: &mut dyn Write) -> Result<u8, Failed> {
    let means = |rule: &Rule, word: &str| rule.is_called(word) || rule.name.contains(word);
    all_known(only, |word| rules::all().any(|rule| means(&rule, word)))?;
    let wanted = |rule: &Rule| only.is_empty() || only.iter().any(|word| means(rule, word));
    let mut rules: Vec<Rule> = rules::all().filter(wanted).collect();
    rules.sort_by_key(|rule| rule.name);
    let width = rules.iter().map(|r| r.name.len()).max().unwrap_or_default();
    let mut listed = Vec::new();
    for rule in rules {
        let page = Page::parse(rule.page).map_err(Failed)?;
        if json {
            let aliases: Vec<&str> = page.aliases().collect();
            listed.push(serde_json::json!({
                "rule": rule.name, "severity": page.severity, "title": page.title,
                "since": page.since, "fix": page.fix, "aliases": aliases,
                "optIn": page.opt_in,
            }));
        } else {
            let mark = if page.opt_in { " (only where it is asked for)" } else { "" };
            writeln!(out, "{:width$}  {:7}  {}{mark}", rule.name, page.severity, page.title)?;
        }
    }
    if json {
        show::json(&listed.into(), out)?;
    }
    Ok(CLEAN)
}

/// A tool that has codes for what rules say.
#[derive(Clone, Copy)]
pub(super) enum Tool {
    /// `istioctl analyze`.
    Istioctl,
    /// Kiali's validations.
    Kiali,
}

impl Tool {
    fn codes(self, page: Page<'_>) -> Vec<String> {
        match self {
            Self::Istioctl => page.istio,
            Self::Kiali => page.kiali,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Istioctl => "istioctl",
            Self::Kiali => "Kiali",
        }
    }
}

/// Lists the codes of a tool with the rules that say the same.
pub(super) fn codes(
    tool: Tool,
    only: &[String],
    json: bool,
    out: &mut dyn Write,
) -> Result<u8, Failed> {
    let has = |rule: &Rule, word: &str| {
        Page::parse(rule.page).is_ok_and(|page| tool.codes(page).iter().any(|code| code == word))
    };
    let is_code = |word: &str| rules::all().any(|rule| has(&rule, word));
    all_known(only, |word| is_code(word) || rules::all().any(|rule| rule.is_called(word)))?;
    let mut rows: Vec<(String, &'static str, Page<'_>)> = Vec::new();
    for rule in rules::all() {
        let page = Page::parse(rule.page).map_err(Failed)?;
        let wanted = |code: &&String| {
            only.is_empty() || only.iter().any(|word| *code == word || rule.is_called(word))
        };
        let codes = tool.codes(page.clone());
        let codes = codes.iter().filter(wanted);
        rows.extend(codes.map(|code| (code.clone(), rule.name, page.clone())));
    }
    if rows.is_empty() {
        return Err(Failed(format!("no rule of these says what {} says", tool.name())));
    }
    rows.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let width = rows.iter().map(|(_, name, _)| name.len()).max().unwrap_or_default();
    if json {
        let listed: Vec<_> = rows
            .iter()
            .map(|(code, name, page)| {
                serde_json::json!({
                    "code": code, "rule": name, "severity": page.severity, "title": page.title,
                })
            })
            .collect();
        show::json(&listed.into(), out)?;
        return Ok(CLEAN);
    }
    for (code, name, page) in rows {
        writeln!(out, "{code}  {name:width$}  {:7}  {}", page.severity, page.title)?;
    }
    Ok(CLEAN)
}

/// Fails with what is wrong with words that name nothing.
fn all_known(words: &[String], is_known: impl Fn(&str) -> bool) -> Result<(), Failed> {
    let unknown = words.iter().filter(|word| !is_known(word));
    let wrong: Vec<String> = unknown
        .map(|word| rules::complaint(word).unwrap_or_else(|| format!("no rule is called `{word}`")))
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(Failed(wrong.join("\n"))) }
}

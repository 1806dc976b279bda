//! What the configuration says of each rule: every word is resolved to rules once, the closest wins.

use std::collections::BTreeMap;

use crate::config::{Config, Level, Mistake, Options, RuleConfig};
use crate::finding::Severity;
use crate::page::Page;
use crate::rules::{self, Naming, Rule};
use crate::source::Text;

/// What is told of rules, by their whole names.
#[derive(Debug, Default)]
pub(super) struct Settings {
    levels: BTreeMap<&'static str, Level>,
    /// Options by rule.
    pub options: BTreeMap<String, Options>,
}

impl Settings {
    /// Resolves the words of a configuration.
    pub fn of(config: &Config) -> Self {
        let mut settings = Self::default();
        for rule in rules::all().filter(|_| !config.rules.is_empty()) {
            let told = told_of(&rule, config);
            let level = told.iter().find_map(|(_, told)| told.level);
            settings.levels.extend(level.map(|level| (rule.name, level)));
            for (name, value) in told.iter().flat_map(|(_, told)| &told.options) {
                let options = settings.options.entry(rule.name.to_owned()).or_default();
                options.entry(name.value.clone()).or_insert_with(|| value.value.clone());
            }
        }
        settings
    }

    /// Whether a rule is switched off.
    pub fn is_off(&self, rule: &Rule) -> bool {
        self.levels.get(rule.name) == Some(&Level::Off)
    }

    /// Whether something is told of how loud a rule is.
    pub fn is_told(&self, rule: &Rule) -> bool {
        self.levels.contains_key(rule.name)
    }

    /// The severity told for a rule.
    pub fn severity(&self, rule: &Rule) -> Option<Severity> {
        match self.levels.get(rule.name)? {
            Level::At(severity) => Some(*severity),
            Level::Off | Level::On => None,
        }
    }
}

/// The entries that name a rule, the closest first; of patterns the one that stands last.
fn told_of<'c>(rule: &Rule, config: &'c Config) -> Vec<(Naming, &'c RuleConfig)> {
    let entries = config.rules.iter().rev();
    let mut told: Vec<_> =
        entries.filter_map(|entry| Some((rule.named_by(&entry.word)?, entry))).collect();
    told.sort_by_key(|(naming, _)| *naming);
    told
}

/// Words of a configuration that name no rule, options that their rules do not have, and the like.
pub fn mistakes(config: &Config) -> Vec<Mistake> {
    let words =
        config.select.iter().chain(&config.ignore).chain(config.rules.iter().map(|r| &r.word));
    let unknown = words
        .filter_map(|word| Some(Mistake { span: word.span, message: rules::complaint(word)? }));
    let mut found: Vec<Mistake> = unknown.collect();
    for entry in &config.rules {
        let called: Vec<Rule> = rules::all().filter(|rule| rule.is_called(&entry.word)).collect();
        if !called.is_empty() {
            found.extend(
                entry
                    .options
                    .iter()
                    .filter_map(|(name, value)| option(&called, entry, name, value)),
            );
        }
    }
    for rule in rules::all() {
        let told = told_of(&rule, config);
        if let [(Naming::Name, again), (Naming::Name, first), ..] = told.as_slice() {
            let message = format!("`{}` and `{}` are one rule", first.word, again.word);
            found.push(Mistake { span: again.word.span, message });
        }
    }
    found
}

/// What is wrong with an option of some rules.
fn option(called: &[Rule], entry: &RuleConfig, name: &Text, value: &Text) -> Option<Mistake> {
    let pages = called.iter().filter_map(|rule| Page::parse(rule.page).ok());
    let known: Vec<String> = pages.flat_map(|page| page.options.into_keys()).collect();
    let word = &entry.word;
    if !known.contains(&name.value) {
        let message = if known.is_empty() {
            format!("`{word}` has no options")
        } else {
            format!("`{word}` has no option `{name}`: it has {}", known.join(", "))
        };
        return Some(Mistake { span: name.span, message });
    }
    let fits = value.parse::<f64>().is_ok_and(|number| number.is_finite() && number > 0.0);
    let message = format!("`{name}` of `{word}` is a number above 0, not `{value}`");
    (!fits).then_some(Mistake { span: value.span, message })
}

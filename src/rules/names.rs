//! How users call rules: one matcher for configuration, command line and suppressions.

use regex::Regex;

use super::{Rule, all};
use crate::mesh::Lookup;
use crate::page::Page;

/// How a word names a rule, the closest way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Naming {
    /// By its whole name, or by an alias such as IST0101.
    Name,
    /// By the last part of its name.
    LastPart,
    /// By its room.
    Room,
    /// By a regular expression that matches its whole name.
    Pattern,
}

impl Rule {
    /// How a word of the user names this rule; `None` where it does not.
    pub fn named_by(&self, word: &str) -> Option<Naming> {
        let (room, last) = self.name.split_once('/').unwrap_or(("", self.name));
        let whole = word.strip_suffix("/*").or_else(|| word.strip_suffix('/')).unwrap_or(word);
        if word == self.name || self.has_alias(word) {
            Some(Naming::Name)
        } else if word == last {
            Some(Naming::LastPart)
        } else if whole == room {
            Some(Naming::Room)
        } else {
            let pattern = (!is_plain(word)).then(|| pattern(word).ok()).flatten();
            pattern.filter(|p| p.is_match(self.name)).map(|_| Naming::Pattern)
        }
    }

    /// Whether a word of the user means this rule.
    pub fn is_called(&self, word: &str) -> bool {
        self.named_by(word).is_some()
    }

    fn has_alias(&self, word: &str) -> bool {
        // Only pages that mention the word can have it as an alias; reading one costs more.
        is_plain(word)
            && self.page.contains(word)
            && Page::parse(self.page).is_ok_and(|page| page.aliases().any(|alias| alias == word))
    }
}

fn is_plain(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '/'))
}

fn pattern(word: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{word})$"))
}

/// What is wrong with a word that is to name rules; `None` where it names one.
pub fn complaint(word: &str) -> Option<String> {
    if all().any(|rule| rule.is_called(word)) {
        return None;
    }
    if let (false, Err(error)) = (is_plain(word), pattern(word)) {
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        return Some(format!("`{word}` is not a regular expression: {reason}"));
    }
    Some(match nearest(word) {
        Some(near) => format!("no rule is called `{word}`: do you mean `{near}`?"),
        None => format!("no rule is called `{word}`: see `mesh-lint rules`"),
    })
}

/// The name that a mistyped or half remembered word most likely stands for.
pub(super) fn nearest(word: &str) -> Option<String> {
    let names: Vec<&str> = all().map(|rule| rule.name).collect();
    let within = names.iter().find(|name| word.len() > 2 && name.contains(word));
    if let Some(name) = within {
        return Some((*name).to_owned());
    }
    let rooms = names.iter().filter_map(|name| name.split('/').next());
    let lasts = names.iter().filter_map(|name| name.split('/').nth(1));
    match Lookup::<()>::absent(word, names.iter().copied().chain(rooms).chain(lasts)) {
        Lookup::Absent { nearest } => nearest,
        _ => None,
    }
}

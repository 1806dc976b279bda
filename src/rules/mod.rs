//! The checks, one file per subject, plus `Rule`, `Check`, `rule!` and the list of rooms.

mod capacity;
mod clusters;
mod fields;
mod services;
mod subsets;
mod topology;
mod trust;
mod yaml;

use crate::config::suppress::names_rule;
use crate::finding::Findings;
use crate::mesh::Mesh;
use crate::page::Page;

/// What a rule does: reads a mesh and says what is wrong with it.
pub trait Check: Sync {
    /// Puts what is wrong with the mesh into `found`.
    fn check(&self, mesh: &Mesh, found: &mut Findings);
}

impl<F: Fn(&Mesh, &mut Findings) + Sync> Check for F {
    fn check(&self, mesh: &Mesh, found: &mut Findings) {
        self(mesh, found);
    }
}

/// A rule: its name, its page and its check.
#[derive(Clone, Copy)]
pub struct Rule {
    /// `room/name`, which is also the path of the page below `rules/`.
    pub name: &'static str,
    /// The text of the page.
    pub page: &'static str,
    /// What it does.
    pub check: &'static dyn Check,
}

impl Rule {
    /// Whether a word of the user means this rule: its name, its room, the last part of its name, an
    /// alias (`IST0101`), or a regular expression that matches the whole name.
    pub fn is_called(&self, word: &str) -> bool {
        if names_rule(word, self.name) {
            return true;
        }
        let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '/'));
        if !plain {
            let pattern = regex::Regex::new(&format!("^(?:{word})$"));
            return pattern.is_ok_and(|p| p.is_match(self.name));
        }
        // Only pages that mention the word can have it as an alias; reading one costs more.
        self.page.contains(word)
            && Page::parse(self.page).is_ok_and(|page| page.aliases().any(|alias| alias == word))
    }
}

macro_rules! rule {
    ($name:literal, $check:expr) => {
        $crate::rules::Rule {
            name: $name,
            page: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/rules/", $name, ".md")),
            check: &$check,
        }
    };
}
use rule;

/// All rules, room by room.
pub fn all() -> impl Iterator<Item = Rule> {
    let rooms = [
        capacity::RULES,
        clusters::RULES,
        fields::RULES,
        services::RULES,
        subsets::RULES,
        topology::RULES,
        trust::RULES,
        yaml::RULES,
    ];
    rooms.into_iter().flatten().copied()
}

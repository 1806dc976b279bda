//! The text itself: what no parser can read, and what it reads otherwise than a person does.

use std::sync::LazyLock;

use regex::Regex;

use super::names::{complaint, nearest};
use super::{Judged, Rule, rule};
use crate::config::suppress::{By, Extent};
use crate::finding::{Findings, Fix, Severity};
use crate::kinds::is_placeholder;
use crate::mesh::Mesh;

/// The rule that is run last: it asks what the others said.
pub const IDLE_SUPPRESSION: &str = "yaml/idle-suppression";

pub(super) const RULES: &[Rule] = &[
    rule!("yaml/duplicate-key", duplicate_key),
    rule!("yaml/idle-suppression", suppressions: idle_suppression),
    rule!("yaml/syntax", syntax),
];

fn idle_suppression(suppressions: &[Judged<'_>], found: &mut Findings) {
    // What other tools are told may name what only they know.
    for judged in suppressions.iter().filter(|judged| judged.suppression.by == By::Us) {
        misnamed(judged, found);
        idle(judged, found);
    }
}

/// Words of a suppression that name no rule.
fn misnamed(judged: &Judged<'_>, found: &mut Findings) {
    let words = judged.suppression.rules.iter().filter(|word| !is_placeholder(word));
    for (word, complaint) in words.filter_map(|word| Some((word, complaint(word)?))) {
        let near = nearest(word);
        found
            .say(
                format!("a suppression names `{word}`, which is no rule, and silences nothing"),
                word.span,
                complaint,
            )
            .help("write the rule's name as it stands in the finding: `mesh-lint rules` lists all")
            .fix(near.map(|n| Fix::unsafe_replace(format!("write `{n}`"), word.span, n)));
    }
}

/// Words of a suppression that name rules which say nothing where it counts.
fn idle(judged: &Judged<'_>, found: &mut Findings) {
    let suppression = judged.suppression;
    let Some((first, others)) = judged.idle.split_first() else { return };
    let place = match suppression.extent {
        Extent::Line => "on its line",
        Extent::Resource => "in this resource",
        Extent::File => "in this file",
    };
    let word = suppression.rules.iter().find(|word| word.span == *first);
    let message = match word {
        Some(word) => format!("a suppression of `{word}` silences nothing"),
        None => "a suppression of all rules silences nothing".to_owned(),
    };
    let finding = found.say(message, *first, format!("no such finding begins {place}"));
    for other in others {
        finding.also(*other, "nor one of this");
    }
    match judged.elsewhere {
        Some(span) => finding
            .also(span, "such a finding begins here")
            .help("a suppression counts where the finding begins: move it there"),
        None => finding.help("remove it: it would hide the next fault here without a word"),
    };
}

fn duplicate_key(mesh: &Mesh, found: &mut Findings) {
    for key in &mesh.problems().duplicate_keys {
        found
            .say(format!("key `{}` stands twice", key.key), key.again, "this one wins")
            .also(key.first, "this one is lost")
            .help("keep one of them");
    }
}

/// What a pipeline replaces and no YAML text can begin with: `%REPLICAS%`, `@replicas@`.
static MARK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[:\-\[,]\s*[%@][A-Za-z_][\w.-]*[%@]").expect("a fixed pattern"));

fn syntax(mesh: &Mesh, found: &mut Findings) {
    for error in &mesh.problems().syntax {
        // What fills it in may be a secret, so it is not named.
        if MARK.is_match(mesh.line_at(error.span.start)) {
            found
                .say(
                    "this document is not YAML before its placeholders are filled in",
                    error.span,
                    "nothing in this document can be checked",
                )
                .help("check what the pipeline makes of it, or put the placeholder in quotes")
                .lower(Severity::Note);
            continue;
        }
        found
            .say("this document is not YAML", error.span, error.message.clone())
            .help("mend it: nothing in this document can be applied or checked");
    }
}

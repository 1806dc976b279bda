//! Suppression: `# mesh-lint: ignore[rule]` in a comment, `mesh-lint.io/ignore` as an annotation.

use crate::source::{Sources, Span};

/// Lines on which some rules are not to speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// Where a finding's primary label must begin.
    pub scope: Span,
    /// Rules, rooms or aliases; every rule where empty.
    pub rules: Vec<String>,
    /// The words that say so.
    pub span: Span,
}

impl Suppression {
    /// Whether it covers a place and one of a rule's names.
    pub fn covers(&self, place: Span, mut names: impl Iterator<Item = impl AsRef<str>>) -> bool {
        self.scope.start <= place.start
            && place.start <= self.scope.end
            && (self.rules.is_empty()
                || names.any(|name| self.rules.iter().any(|rule| names_rule(rule, name.as_ref()))))
    }
}

/// Whether a word of the user names a rule: its whole name, its room, or the last part of it.
pub fn names_rule(word: &str, rule: &str) -> bool {
    let word = word.trim_end_matches("/*").trim_end_matches('/');
    word == rule || rule.split('/').any(|part| part == word)
}

/// The suppression that a comment asks for.
///
/// At the end of a line it is for that line, on a line of its own for the next one;
/// `ignore-file` is for the whole file.
pub fn in_comment(sources: &Sources, comment: Span) -> Option<Suppression> {
    let text = sources.slice(comment);
    let words = text.trim_start_matches('#').trim_start().strip_prefix("mesh-lint:")?.trim_start();
    let (file, source) = sources.file_at(comment.start)?;
    let (whole_file, rest) = match words.strip_prefix("ignore-file") {
        Some(rest) => (true, rest),
        None => (false, words.strip_prefix("ignore")?),
    };
    let rules = rest.trim_start().strip_prefix('[').and_then(|r| r.split_once(']')).map(|(r, _)| r);
    let rules = rules.unwrap_or_default().split(',').map(|r| r.trim().to_owned());
    let rules = rules.filter(|r| !r.is_empty()).collect();
    let line = sources.place(comment.start)?.line;
    let own = sources.line(file, line)?;
    let alone = sources.slice(Span::new(own.start, comment.start)).trim().is_empty();
    let scope = match (whole_file, alone) {
        (true, _) => source.span(),
        (false, true) => sources.line(file, line + 1)?,
        (false, false) => own,
    };
    Some(Suppression { scope, rules, span: comment })
}

/// The annotation that suppresses rules for a whole resource: a list of rules, or `*`.
pub const ANNOTATION: &str = "mesh-lint.io/ignore";

/// The suppression that a resource's annotation asks for.
pub fn in_annotation(value: &str, at: Span, resource: Span) -> Suppression {
    let rules = value.split(',').map(|r| r.trim().to_owned());
    let rules = rules.filter(|r| !r.is_empty() && r != "*").collect();
    Suppression { scope: resource, rules, span: at }
}

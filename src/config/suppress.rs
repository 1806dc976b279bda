//! Suppression: `# mesh-lint: ignore[rule]` in a comment, `mesh-lint.io/ignore` as an annotation.

use crate::source::{Sources, Span, Text};

/// Lines on which some rules are not to speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// Where a finding's primary label must begin.
    pub scope: Span,
    /// Rules, rooms or aliases; every rule where empty.
    pub rules: Vec<Text>,
    /// Whose words they are.
    pub by: By,
    /// The words that say so.
    pub span: Span,
}

/// Whose words a suppression is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Our own: rules, rooms, aliases.
    Us,
    /// istioctl's codes and nothing else, as its own annotation has them.
    Istio,
    /// Kiali's codes, likewise.
    Kiali,
}

impl Suppression {
    /// Whether a finding at this place is silenced, where its rule is.
    pub fn covers(&self, place: Span) -> bool {
        self.scope.start <= place.start && place.start <= self.scope.end
    }
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
    let rules = listed(rules.unwrap_or_default(), comment);
    let line = sources.place(comment.start)?.line;
    let own = sources.line(file, line)?;
    let alone = sources.slice(Span::new(own.start, comment.start)).trim().is_empty();
    let scope = match (whole_file, alone) {
        (true, _) => source.span(),
        (false, true) => sources.line(file, line + 1)?,
        (false, false) => own,
    };
    Some(Suppression { scope, rules, by: By::Us, span: comment })
}

/// The annotation that suppresses rules for a whole resource: a list of rules, or `*`.
pub const ANNOTATION: &str = "mesh-lint.io/ignore";

/// The suppression that a resource's annotation asks for.
pub fn in_annotation(value: &str, at: Span, resource: Span) -> Suppression {
    let mut rules = listed(value, at);
    if rules.iter().any(|rule| rule.as_str() == "*") {
        rules.clear();
    }
    Suppression { scope: resource, rules, by: By::Us, span: at }
}

/// The annotation by which `istioctl analyze` is told to say nothing of a resource: codes, or `*`.
pub const ISTIO_ANNOTATION: &str = "galley.istio.io/analyze-suppress";

/// The same for Kiali: codes; all where it is empty.
pub const KIALI_ANNOTATION: &str = "kiali.io/ignore-validations";

/// The suppression that istioctl's annotation asks for: like istioctl, spaces are part of a code, so that
/// `IST0101, IST0102` suppresses only the first. `*` stands for all codes; what only mesh-lint says stays.
pub fn in_istio_annotation(value: &str, at: Span, resource: Span) -> Suppression {
    let codes: Vec<Text> = value.split(',').map(|code| Text::new(code.to_owned(), at)).collect();
    let all = codes.iter().any(|code| code.as_str() == "*");
    let rules = if all { Vec::new() } else { codes };
    Suppression { scope: resource, rules, by: By::Istio, span: at }
}

/// The suppression that Kiali's annotation asks for.
pub fn in_kiali_annotation(value: &str, at: Span, resource: Span) -> Suppression {
    Suppression { scope: resource, rules: listed(value, at), by: By::Kiali, span: at }
}

fn listed(list: &str, at: Span) -> Vec<Text> {
    let words = list.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(|word| Text::new(word.to_owned(), at)).collect()
}

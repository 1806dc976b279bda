//! Suppression: `# mesh-lint: ignore[rule]` in a comment, `mesh-lint.io/ignore` as an annotation.

use crate::source::{FileId, Sources, Span, Text};

/// A place in which some rules are not to speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// Where a finding's primary label must begin.
    pub scope: Span,
    /// What the scope is.
    pub extent: Extent,
    /// Rules, rooms or aliases; every rule where empty.
    pub rules: Vec<Text>,
    /// Whose words they are.
    pub by: By,
    /// The words that say so.
    pub span: Span,
}

/// How far a suppression reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// One line.
    Line,
    /// A resource.
    Resource,
    /// A file.
    File,
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

    /// Whether it is for every rule.
    pub fn is_for_all(&self) -> bool {
        self.by == By::Us && self.rules.is_empty()
    }
}

/// The suppression that a comment asks for.
///
/// At the end of a line it is for that line, on a line of its own for the next one that is not just a
/// comment; `ignore-file` is for the whole file.
pub fn in_comment(sources: &Sources, comment: Span) -> Option<Suppression> {
    let text = sources.slice(comment);
    let words = text.trim_start_matches('#').trim_start().strip_prefix("mesh-lint:")?.trim_start();
    let (file, source) = sources.file_at(comment.start)?;
    let (whole_file, rest) = match words.strip_prefix("ignore-file") {
        Some(rest) => (true, rest),
        None => (false, words.strip_prefix("ignore")?),
    };
    let rest = rest.trim_start();
    let list = rest.strip_prefix('[').and_then(|r| r.split_once(']')).map(|(list, _)| list);
    let base = comment.end - u32::try_from(rest.len()).ok()? + 1;
    let rules = listed(list.unwrap_or_default(), |start, end| Span::new(base + start, base + end));
    let line = sources.place(comment.start)?.line;
    let own = sources.line(file, line)?;
    let alone = sources.slice(Span::new(own.start, comment.start)).trim().is_empty();
    let (scope, extent) = match (whole_file, alone) {
        (true, _) => (source.span(), Extent::File),
        (false, true) => (next_line(sources, file, line)?, Extent::Line),
        (false, false) => (own, Extent::Line),
    };
    Some(Suppression { scope, extent, rules, by: By::Us, span: comment })
}

/// The next line that is not just a comment.
fn next_line(sources: &Sources, file: FileId, line: usize) -> Option<Span> {
    let is_comment = |span: &Span| sources.slice(*span).trim_start().starts_with('#');
    (line + 1..).map_while(|line| sources.line(file, line)).find(|span| !is_comment(span))
}

/// The annotation that suppresses rules for a whole resource: a list of rules, or `*`.
pub const ANNOTATION: &str = "mesh-lint.io/ignore";

/// The suppression that a resource's annotation asks for.
pub fn in_annotation(sources: &Sources, value: &Text, resource: Span) -> Suppression {
    let at = value.span;
    let written = sources.slice(at).find(value.as_str()).and_then(|n| u32::try_from(n).ok());
    let mut rules = listed(value, |start, end| {
        written.map_or(at, |n| Span::new(at.start + n + start, at.start + n + end))
    });
    if rules.iter().any(|rule| rule.as_str() == "*") {
        rules.clear();
    }
    Suppression { scope: resource, extent: Extent::Resource, rules, by: By::Us, span: at }
}

/// The annotation by which `istioctl analyze` is told to say nothing of a resource: codes, or `*`.
pub const ISTIO_ANNOTATION: &str = "galley.istio.io/analyze-suppress";

/// The same for Kiali: codes; all where it is empty.
pub const KIALI_ANNOTATION: &str = "kiali.io/ignore-validations";

/// The suppression that istioctl's annotation asks for: like istioctl, spaces are part of a code, so that
/// `IST0101, IST0102` suppresses only the first. `*` stands for all codes; what only mesh-lint says stays.
pub fn in_istio_annotation(_: &Sources, value: &Text, resource: Span) -> Suppression {
    let at = value.span;
    let codes: Vec<Text> = value.split(',').map(|code| Text::new(code.to_owned(), at)).collect();
    let all = codes.iter().any(|code| code.as_str() == "*");
    let rules = if all { Vec::new() } else { codes };
    Suppression { scope: resource, extent: Extent::Resource, rules, by: By::Istio, span: at }
}

/// The suppression that Kiali's annotation asks for.
pub fn in_kiali_annotation(_: &Sources, value: &Text, resource: Span) -> Suppression {
    let at = value.span;
    let rules = listed(value, |_, _| at);
    Suppression { scope: resource, extent: Extent::Resource, rules, by: By::Kiali, span: at }
}

/// The words of a list; `at` tells where in the input a stretch of it stands.
fn listed(list: &str, at: impl Fn(u32, u32) -> Span) -> Vec<Text> {
    let mut begins = 0;
    let mut words = Vec::new();
    for part in list.split(',') {
        let word = part.trim();
        let before = begins + part.len() - part.trim_start().len();
        begins += part.len() + 1;
        let place = u32::try_from(before).ok().zip(u32::try_from(before + word.len()).ok());
        if let Some((start, end)) = place.filter(|_| !word.is_empty()) {
            words.push(Text::new(word.to_owned(), at(start, end)));
        }
    }
    words
}

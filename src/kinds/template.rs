//! Which files are templates, whose text is not what a cluster gets.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::source::SourceFile;
use crate::yaml::{Shape, Stream, Style, Value};

/// A value that begins with a template's braces, or an action of Go's templates anywhere.
static TEMPLATE: LazyLock<Regex> = LazyLock::new(|| {
    let action = r"\{\{-?\s*(?:\.|\$|/\*|if\b|else\b|end\b|range\b|with\b|include\b|template\b|define\b|toYaml\b)";
    Regex::new(&format!(r"(?m)^\s*(?:- +)?(?:[^\s#:]+:\s+)?\{{\{{|{action}"))
        .expect("a fixed pattern")
});

/// An action that asks for what Helm alone knows.
static HELM: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\{\{[^}]*\.(?:Values|Release|Chart|Capabilities)\b").expect("a fixed pattern")
});

/// A line that opens a block scalar.
static BLOCK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^ *(?:- +)?[^\s#:{]+: +[|>][-+1-9]*(?: +#.*)?$").expect("a fixed pattern")
});

/// Kinds whose values may hold actions for the chart that gets them.
const HANDED_ON: [&str; 2] = ["kind: HelmRelease", "kind: Application"];

/// Kinds whose values are templates for their own controller. `kubectl get -o yaml` writes these without
/// quotes where braces do not come first.
const OF_CONTROLLERS: [&str; 6] = [
    "PrometheusRule",
    "VMRule",
    "ClusterSPIFFEID",
    "ExternalSecret",
    "ClusterExternalSecret",
    "PushSecret",
];

/// Whether a file is a template, by its place or its text.
///
/// Braces within quotes and blocks of valid YAML, or anywhere in a kind that is made of templates, are for
/// somebody further on (an ExternalSecret's template, an alert's text) and make no template of the file.
pub(super) fn is_template(source: &SourceFile, stream: &Stream) -> bool {
    let (name, text) = (&source.name, &*source.text);
    if !text.contains("{{") || text.contains("kind: ApplicationSet") {
        return false;
    }
    if name.contains("/templates/") || name.starts_with("templates/") {
        return true;
    }
    if !stream.errors.is_empty() {
        return TEMPLATE.is_match(&without_blocks(text));
    }
    let hands_on = HANDED_ON.iter().any(|kind| text.contains(kind));
    let helm = |within: &Within| !within.is_block && HELM.is_match(&text[within.range.clone()]);
    let quoted = quoted(source, stream);
    TEMPLATE.is_match(&without(text, &quoted)) || !hands_on && quoted.iter().any(helm)
}

/// A stretch of a text that is a value as a whole, or a comment.
struct Within {
    range: Range<usize>,
    is_block: bool,
}

/// Where quoted scalars, block scalars, comments and the scalars of a controller's templates stand, in order.
fn quoted(source: &SourceFile, stream: &Stream) -> Vec<Within> {
    let mut rest: Vec<(Value<'_>, bool)> =
        stream.documents.iter().map(|d| (d.root(), false)).collect();
    let mut spans: Vec<_> = stream.comments.iter().map(|comment| (*comment, true)).collect();
    while let Some((value, of_controller)) = rest.pop() {
        match value.shape() {
            // What an alias stands for is met where it is written.
            _ if value.is_alias() => {}
            Shape::Scalar => match value.style() {
                Some(Style::Single | Style::Double) => spans.push((value.span(), false)),
                Some(Style::Literal | Style::Folded) => spans.push((value.span(), true)),
                _ if of_controller => spans.push((value.span(), false)),
                _ => {}
            },
            Shape::Sequence => rest.extend(value.items().map(|item| (item, of_controller))),
            Shape::Mapping => {
                let kind = value.get("kind").and_then(Value::text);
                let within = of_controller || kind.is_some_and(|k| OF_CONTROLLERS.contains(&&*k));
                let parts = value.written().flat_map(|(key, value)| [key, value]);
                rest.extend(parts.map(|part| (part, within)));
            }
        }
    }
    spans.sort_by_key(|(span, _)| span.start);
    let local = |at: u32| at.saturating_sub(source.base) as usize;
    spans
        .into_iter()
        .map(|(span, is_block)| Within { range: local(span.start)..local(span.end), is_block })
        .filter(|within| source.text.get(within.range.clone()).is_some())
        .collect()
}

/// A text without some stretches of it.
fn without(text: &str, stretches: &[Within]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    for Within { range, .. } in stretches {
        kept.push_str(text.get(at..range.start).unwrap_or_default());
        // A value stays one, so that what follows it does not begin another.
        kept.push('x');
        at = at.max(range.end);
    }
    kept.push_str(text.get(at..).unwrap_or_default());
    kept
}

/// A broken text without what its block scalars seem to hold.
fn without_blocks(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let mut kept = String::with_capacity(text.len());
    let mut block = None;
    for line in text.lines() {
        if line.trim().is_empty() || block.is_some_and(|outer| indent(line) > outer) {
            continue;
        }
        block = BLOCK.is_match(line).then(|| indent(line));
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

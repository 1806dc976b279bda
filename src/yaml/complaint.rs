//! What to say about broken YAML, and where.

use granit_parser::ErrorKind;

/// The character an error is about, as a range: the one at `at`, or the last one before it where a
/// line or the text ends there.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let at = (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    match text[at..].chars().next() {
        Some(found) if found != '\n' && found != '\r' => (at, at + found.len_utf8()),
        _ => {
            let before = text[..at].trim_end();
            let start = before.char_indices().next_back().map_or(at, |(start, _)| start);
            (start, before.len().max(start))
        }
    }
}

/// What is wrong, in plain words.
pub(super) fn message(kind: &ErrorKind, text: &str, at: usize) -> String {
    let plain = match kind {
        ErrorKind::ExpectedDocumentStart if text[at..].starts_with(['{', '[']) => {
            "a second value in one document: put `---` between them, or make them items of one list"
        }
        ErrorKind::ExpectedDocumentStart => "content after the end of the document",
        ErrorKind::UnclosedFlowCollection { open } => return format!("`{open}` is never closed"),
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            return format!("`{open}` is closed by `{close}`");
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
            "the quote is never closed"
        }
        ErrorKind::MappingValueNotAllowed => {
            "no `:` can stand here: put quotes around the text, or look at the indentation"
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            "expected a `:` after this key"
        }
        ErrorKind::ExpectedBlockMappingKey => {
            "expected a key: this line is indented differently from the keys above"
        }
        ErrorKind::UnknownAnchor => "no anchor of this name stands before this alias",
        ErrorKind::RecursionLimitExceeded => "nested more than 255 levels deep",
        ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabNotAllowed => "a tab can't indent: use spaces",
        ErrorKind::UnexpectedCharacter { character } => {
            return format!("`{character}` can't start a value: put quotes around it");
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            "unknown escape after `\\` in this string: double the `\\`, or use single quotes"
        }
        ErrorKind::BlockEntryInFlowCollection if text[..at].ends_with("{{") => {
            "this is a template, not yet YAML"
        }
        other => return lower_first(&other.to_string()),
    };
    plain.to_owned()
}

fn lower_first(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

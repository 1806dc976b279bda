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
    if follows_template(text, at) {
        return "this looks like a template that is not rendered yet".to_owned();
    }
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
        ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => "text after the closing quote",
        ErrorKind::MappingValueNotAllowed => {
            "no `:` can stand here: put quotes around the text, or look at the indentation"
        }
        ErrorKind::InvalidColonPlacement => "no `:` can stand here: is a bracket above not closed?",
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            "expected a `:` after this key"
        }
        ErrorKind::ExpectedBlockMappingKey if line_before(text, at).trim() == "-" => {
            "a list item can't stand among keys"
        }
        ErrorKind::ExpectedBlockMappingKey => {
            "expected a key: this line is indented differently from the keys above"
        }
        ErrorKind::ExpectedBlockSequenceEntry => {
            "expected a `-`: this line is indented like the items of the list above"
        }
        ErrorKind::ExpectedFlowMappingSeparator => "expected `,` or `}`",
        ErrorKind::ExpectedFlowSequenceSeparator => "expected `,` or `]`",
        ErrorKind::UnknownAnchor => "no anchor of this name stands before this alias",
        ErrorKind::RecursionLimitExceeded => "nested more than 255 levels deep",
        ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabNotAllowed => "a tab can't indent: use spaces",
        ErrorKind::UnexpectedCharacter { character: '`' } => {
            "a backtick can't start a value: put quotes around it"
        }
        ErrorKind::UnexpectedCharacter { character } => {
            return format!("`{character}` can't start a value: put quotes around it");
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            "unknown escape after `\\` in this string: double the `\\`, or use single quotes"
        }
        other => return tidy(&other.to_string()),
    };
    plain.to_owned()
}

fn line_before(text: &str, at: usize) -> &str {
    text[..at].rsplit('\n').next().unwrap_or_default()
}

/// Whether `{{` stands on the line of an error or on the line before it.
fn follows_template(text: &str, at: usize) -> bool {
    let end = text[at..].find('\n').map_or(text.len(), |len| at + len);
    text[..end].rsplit('\n').take(2).any(|line| line.contains("{{"))
}

/// granit's own message without its preface "while parsing something".
fn tidy(message: &str) -> String {
    let preface = message.split_once(", ").filter(|(preface, _)| preface.starts_with("while "));
    let mut chars = preface.map_or(message, |(_, rest)| rest).chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    #[test]
    fn common_mistakes_are_named_where_they_are() {
        for (text, place, message) in [
            ("a: b: c", ":", "no `:` can stand here"),
            ("a: 1\nb\nc: 2", "b", "expected a `:`"),
            ("key: value\n- item", "i", "a list item can't stand among keys"),
            ("a:\n  b: 1\n c: 2", "c", "expected a key"),
            ("- a\nb: 1", "b", "expected a `-`"),
            ("a:\n\tb: 1", "b", "a tab can't indent"),
            ("a: {x: 1", "{", "`{` is never closed"),
            ("a: *nope\n", "*", "no anchor of this name"),
            ("a: \"\\ud800\"", "\"", "found high surrogate without"),
            ("{{- if x }}\na: 1", "-", "this looks like a template"),
        ] {
            let errors = super::super::parse(&Arc::from(text), 0).errors;
            assert_eq!(errors.len(), 1, "{text}");
            let (span, found) = (errors[0].span, &errors[0].message);
            assert_eq!(&text[span.start as usize..span.end as usize], place, "{text}");
            assert!(found.starts_with(message), "{text}: {found}");
        }
    }
}

//! What strings a match takes, where its regular expression says no more than a text or a prefix.

use std::borrow::Cow;

use crate::api::whole_pattern;
use crate::kinds::networking::StringMatch;

/// What is asked of a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked<'m> {
    /// That it is there.
    Presence,
    Exact(Cow<'m, str>),
    Prefix(Cow<'m, str>),
    /// A regular expression, and the text that all it matches begin with.
    Regex(&'m str, String),
}

impl<'m> Asked<'m> {
    pub fn of(asked: &'m StringMatch) -> Self {
        let text = |it: &'m Option<crate::source::Text>| it.as_ref().map(|it| it.value.as_str());
        match (text(&asked.exact), text(&asked.prefix), text(&asked.regex)) {
            (Some(exact), ..) => Self::Exact(Cow::Borrowed(exact)),
            (_, Some(prefix), _) => Self::Prefix(Cow::Borrowed(prefix)),
            (.., Some(regex)) => Self::of_regex(regex),
            _ => Self::Presence,
        }
    }

    fn of_regex(regex: &'m str) -> Self {
        let (begin, rest) = literal(regex);
        match rest {
            "" | "$" => Self::Exact(Cow::Owned(begin)),
            ".*" | ".*$" => Self::Prefix(Cow::Owned(begin)),
            _ => Self::Regex(regex, begin),
        }
    }

    /// Whether any string will do.
    pub fn is_any(&self) -> bool {
        match self {
            Self::Presence => true,
            Self::Prefix(prefix) => prefix.is_empty(),
            _ => false,
        }
    }

    /// Whether each string that the other asks for will do here too, as far as that can be seen.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (own, _) if own.is_any() => true,
            (Self::Exact(own), Self::Exact(other)) => own == other,
            (Self::Prefix(own), Self::Exact(begin) | Self::Prefix(begin)) => {
                begin.starts_with(&**own)
            }
            (Self::Prefix(own), Self::Regex(_, begin)) => begin.starts_with(&**own),
            (Self::Regex(own, _), Self::Regex(other, _)) => own == other,
            (Self::Regex(own, begin), Self::Exact(text)) => {
                text.starts_with(begin.as_str()) && matches(own, text)
            }
            _ => false,
        }
    }
}

/// The text that all matches of a regular expression begin with, and what of it comes after that.
fn literal(regex: &str) -> (String, &str) {
    let mut begin = String::new();
    if regex.contains('|') {
        return (begin, regex);
    }
    let mut rest = regex.strip_prefix('^').unwrap_or(regex);
    loop {
        let mut chars = rest.chars();
        let read = match chars.next() {
            Some('\\') => chars.next().filter(char::is_ascii_punctuation),
            Some(c) if !".^$*+?()[]{}".contains(c) => Some(c),
            _ => None,
        };
        let after = chars.as_str();
        // What is repeated, or may be left out, is no more than a part of some matches.
        match read.filter(|_| !after.starts_with(['*', '+', '?', '{'])) {
            Some(c) => begin.push(c),
            None => return (begin, rest),
        }
        rest = after;
    }
}

/// Whether a regular expression takes the whole of a text, for sure.
fn matches(regex: &str, text: &str) -> bool {
    whole_pattern(regex).is_some_and(|regex| regex.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_of_a_text_or_a_prefix_is_one() {
        let exact = |text: &str| Asked::Exact(Cow::Owned(text.to_owned()));
        let prefix = |text: &str| Asked::Prefix(Cow::Owned(text.to_owned()));
        assert_eq!(Asked::of_regex("/api"), exact("/api"));
        assert_eq!(Asked::of_regex(r"^/v1\.2$"), exact("/v1.2"));
        assert_eq!(Asked::of_regex("/api/.*"), prefix("/api/"));
        assert_eq!(Asked::of_regex(".*"), prefix(""));
        for (regex, begin) in [
            ("/api(/.*)?", "/api"),
            ("/apis?", "/api"),
            (r"/v\d+", "/v"),
            ("/a|/b", ""),
            (".+", ""),
        ] {
            assert_eq!(Asked::of_regex(regex), Asked::Regex(regex, begin.to_owned()));
        }
    }

    #[test]
    fn an_expression_covers_what_it_surely_takes() {
        let covers = |a: &str, b: &str| Asked::of_regex(a).covers(&Asked::of_regex(b));
        assert!(covers("/api(/.*)?", "/api/v2") && covers("/a.*", r"/api/\d+"));
        assert!(!covers("/api(/.*)?", "/apis") && !covers("/api/.*", "/api.*"));
        assert!(!covers("/a[b&&c]", "/ab") && !covers("/api/{id}", "/api/{id"));
        assert!(!covers("/api(/.*)?", "/api/.*"));
    }
}

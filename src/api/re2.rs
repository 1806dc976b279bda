//! Whether a text is a regular expression of RE2, in Go's grammar: what Istio's webhook compiles.
//!
//! The `regex` crate has another grammar: it refuses `/a/{id}` and takes `[a&&b]` for an intersection.

use regex::Regex;

/// More bytes than this Istio refuses.
const MAX_LEN: usize = 1024;
/// More repetitions than this RE2 refuses.
const MAX_REPEAT: u32 = 1000;

/// Whether RE2 compiles it, and it is short enough for Istio.
pub(super) fn is_pattern(text: &str) -> bool {
    text.len() <= MAX_LEN && Pattern::of(text).is_sound()
}

/// What takes the whole of a text if the pattern does, for RE2 and for Go. `None` where these do not compile
/// it, or the `regex` crate reads it otherwise or not at all.
pub fn whole(pattern: &str) -> Option<Regex> {
    let anchored = format!(r"\A(?:{pattern})\z");
    is_read_alike(pattern).then(|| Regex::new(&anchored).ok()).flatten()
}

/// What finds the pattern anywhere in a text, as [`whole`] takes all of it.
pub(super) fn within(pattern: &str) -> Option<Regex> {
    is_read_alike(pattern).then(|| Regex::new(pattern).ok()).flatten()
}

fn is_read_alike(pattern: &str) -> bool {
    let mut read = Pattern::of(pattern);
    read.is_sound() && !read.has_sets
}

/// What an escape, or a character of a class, stands for.
#[derive(Clone, Copy)]
enum Member {
    Char(char),
    /// Several characters, as `\d`, or none.
    Class,
}

struct Pattern<'p> {
    rest: &'p str,
    depth: u32,
    /// Whether a class has what the `regex` crate takes for an operation on sets: `[a&&b]`, `[a[b]]`.
    has_sets: bool,
}

/// What stands before the place that is read: whether and how it can be repeated.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    Nothing,
    Atom,
    Repetition,
}

impl<'p> Pattern<'p> {
    fn of(text: &'p str) -> Self {
        Self { rest: text, depth: 0, has_sets: false }
    }

    fn is_sound(&mut self) -> bool {
        let mut before = Before::Nothing;
        while let Some(c) = self.next() {
            let read = match c {
                '(' => self.group(),
                ')' if self.depth == 0 => None,
                ')' => {
                    self.depth -= 1;
                    Some(Before::Atom)
                }
                '|' => Some(Before::Nothing),
                '[' => self.class(),
                '*' | '+' | '?' => self.repetition(before),
                '{' => match self.counts() {
                    Some((least, most)) => {
                        let sound = least <= MAX_REPEAT
                            && most.is_none_or(|most| (least..=MAX_REPEAT).contains(&most));
                        if sound { self.repetition(before) } else { None }
                    }
                    None => Some(Before::Atom),
                },
                '\\' => self.escape(false).map(|_| Before::Atom),
                _ => Some(Before::Atom),
            };
            match read {
                Some(read) => before = read,
                None => return false,
            }
        }
        self.depth == 0
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn take(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// After `(`.
    fn group(&mut self) -> Option<Before> {
        self.depth += 1;
        if !self.take("?") {
            return Some(Before::Nothing);
        }
        if self.take("P<")
            || (!self.rest.starts_with("<=") && !self.rest.starts_with("<!") && self.take("<"))
        {
            let (name, rest) = self.rest.split_once('>')?;
            self.rest = rest;
            let word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            return (word && !name.is_empty()).then_some(Before::Nothing);
        }
        let end = self.rest.find([':', ')'])?;
        let flags = &self.rest[..end];
        let (on, off) = flags.split_once('-').unwrap_or((flags, "i"));
        let known = |text: &str| text.chars().all(|c| "imsU".contains(c));
        if !known(on)
            || !known(off)
            || off.is_empty()
            || (flags.is_empty() && !self.rest.starts_with(':'))
        {
            return None;
        }
        if self.rest[end..].starts_with(')') {
            self.depth -= 1;
        }
        self.rest = &self.rest[end + 1..];
        Some(Before::Nothing)
    }

    /// After an operator such as `*`.
    fn repetition(&mut self, before: Before) -> Option<Before> {
        self.take("?");
        (before == Before::Atom).then_some(Before::Repetition)
    }

    /// After `{`: the numbers of `2}`, `2,}` or `2,5}`; anything else is a brace like any other.
    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let (inside, rest) = self.rest.split_once('}')?;
        let number = |text: &str| {
            let plain = !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_digit())
                && (text == "0" || !text.starts_with('0'));
            plain.then(|| text.parse().unwrap_or(u32::MAX))
        };
        let counts = match inside.split_once(',') {
            None => (number(inside)?, Some(number(inside)?)),
            Some((least, "")) => (number(least)?, None),
            Some((least, most)) => (number(least)?, Some(number(most)?)),
        };
        self.rest = rest;
        Some(counts)
    }

    /// After `[`.
    fn class(&mut self) -> Option<Before> {
        self.take("^");
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            if let Some(inner) = self.rest.strip_prefix("[:")
                && let Some((name, rest)) = inner.split_once(":]")
            {
                self.rest = rest;
                if !is_posix_class(name.strip_prefix('^').unwrap_or(name)) {
                    return None;
                }
                continue;
            }
            let low = self.member()?;
            self.has_sets |= self.rest.starts_with("--");
            let ranged = self.rest.starts_with('-') && !self.rest.starts_with("-]");
            if let (Member::Char(low), true) = (low, ranged && self.rest.len() > 1) {
                self.take("-");
                match self.member()? {
                    Member::Char(high) if high >= low => {}
                    _ => return None,
                }
            }
        }
        self.take("]").then_some(Before::Atom)
    }

    fn member(&mut self) -> Option<Member> {
        let begins = |it: &str| self.rest.starts_with(it);
        self.has_sets |= ["&&", "--", "~~", "["].into_iter().any(begins);
        match self.next()? {
            '\\' => self.escape(true),
            c => Some(Member::Char(c)),
        }
    }

    /// After `\`.
    fn escape(&mut self, in_class: bool) -> Option<Member> {
        match self.next()? {
            'Q' if !in_class => {
                self.rest = self.rest.split_once("\\E").map_or("", |(_, rest)| rest);
                Some(Member::Class)
            }
            'A' | 'b' | 'B' | 'z' if !in_class => Some(Member::Class),
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => Some(Member::Class),
            'p' | 'P' => self.unicode_class().then_some(Member::Class),
            '1'..='7' if !self.rest.starts_with(|c: char| ('0'..='7').contains(&c)) => None,
            c @ '0'..='7' => {
                let mut value = c.to_digit(8)?;
                for _ in 0..2 {
                    match self.rest.chars().next().and_then(|c| c.to_digit(8)) {
                        Some(digit) => value = value * 8 + digit,
                        None => break,
                    }
                    self.next();
                }
                char::from_u32(value).map(Member::Char)
            }
            'x' => self.hexadecimal().map(Member::Char),
            'a' => Some(Member::Char('\u{7}')),
            'f' => Some(Member::Char('\u{c}')),
            'n' => Some(Member::Char('\n')),
            'r' => Some(Member::Char('\r')),
            't' => Some(Member::Char('\t')),
            'v' => Some(Member::Char('\u{b}')),
            c => (c.is_ascii() && !c.is_ascii_alphanumeric()).then_some(Member::Char(c)),
        }
    }

    fn hexadecimal(&mut self) -> Option<char> {
        let digits = if self.take("{") {
            let (digits, rest) = self.rest.split_once('}')?;
            self.rest = rest;
            digits
        } else {
            let digits = self.rest.get(..2)?;
            self.rest = &self.rest[2..];
            digits
        };
        char::from_u32(u32::from_str_radix(digits, 16).ok()?)
    }

    fn unicode_class(&mut self) -> bool {
        if !self.take("{") {
            return self.next().is_some_and(|c| "CLMNPSZ".contains(c));
        }
        let Some((name, rest)) = self.rest.split_once('}') else { return false };
        self.rest = rest;
        let name = name.strip_prefix('^').unwrap_or(name);
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic() || c == '_')
    }
}

fn is_posix_class(name: &str) -> bool {
    [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
        "space", "upper", "word", "xdigit",
    ]
    .contains(&name)
}

#[cfg(test)]
mod tests {
    use super::{is_pattern, whole};

    #[test]
    fn a_pattern_that_rust_reads_otherwise_takes_nothing() {
        let takes = |pattern: &str, text: &str| whole(pattern).map(|it| it.is_match(text));
        for other in
            ["[a&&b]", "[a--b]", "[--/]", "[~~]", "[a[b]", "[[a]", "a{id}", "(?=a)", "a)|(b"]
        {
            assert_eq!(takes(other, "a"), None, "{other}");
        }
        for alike in ["[[:alpha:]]", r"[\[a]", "a--|a", "a&&b|a", "(?i)A", "[a-]", "^a$"] {
            assert_eq!(takes(alike, "a"), Some(true), "{alike}");
        }
        for whole in ["b|", "a.", "A"] {
            assert_eq!(takes(whole, "a"), Some(false), "{whole}");
        }
    }

    #[test]
    fn what_go_compiles_is_a_pattern() {
        for good in [
            "",
            ".*",
            "/a/{id}",
            "a{2,5}?",
            "(?i)a|b",
            "(?P<n>a)(?<m>b)",
            r"\Q*\E+",
            "[]a-]",
            "[[:alpha:]-z]",
            r"[\d-x]",
            r"\pL\p{Greek}",
            "^*",
            "a{,5}",
            r"\x{10FFFF}\_",
            "[a&&b]",
            "(?:a)",
        ] {
            assert!(is_pattern(good), "{good}");
        }
        for bad in [
            "*",
            "a**",
            "a*+",
            "(",
            ")",
            "[a",
            "[b-a]",
            "(?=a)",
            "(?<=a)",
            r"\1",
            r"\C",
            "\\",
            "a{1001}",
            "a{3,2}",
            "(*)",
            "|*",
            "[[:foo:]]",
            r"\8",
            r"(?z)a",
        ] {
            assert!(!is_pattern(bad), "{bad}");
        }
        assert!(!is_pattern(&"a".repeat(1025)));
    }
}

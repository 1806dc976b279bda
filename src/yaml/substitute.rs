//! Variables in texts, as Flux fills them in: `${name}`, `${name:=default}`.

use std::borrow::Cow;

use super::Document;
use super::tape::Kind;

impl Document {
    /// This document with other values for some of its scalars, keys included; `None` where none
    /// changes. Spans keep pointing at what is written.
    pub fn filled(&self, fill: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let scalar = |i: &u32| self.tape.node(*i).kind() == Kind::Scalar;
        let scalars = (0..self.tape.len()).filter(scalar);
        let filled: Vec<(u32, String)> =
            scalars.filter_map(|i| Some((i, fill(self.tape.text(i)?)?))).collect();
        if filled.is_empty() {
            return None;
        }
        let mut document = self.clone();
        for (i, text) in filled {
            document.tape.cook(i, &text);
        }
        Some(document)
    }
}

/// A text with its variables filled in, as far as `value` knows them by name and default; `None` where
/// it knows none. Other expressions (`${name,,}`, `${name/a/b}`) and what is escaped (`$${name}`) stay.
/// Source: `drone/envsubst`, which Flux uses.
pub fn substituted<'t>(
    text: &'t str,
    value: impl Fn(&str, Option<&'t str>) -> Option<Cow<'t, str>>,
) -> Option<String> {
    let mut done = String::new();
    let mut is_changed = false;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        done.push_str(before);
        let Some((inner, left)) = after.split_once('}') else {
            rest = &rest[before.len()..];
            break;
        };
        let known = variable(inner).filter(|_| !before.ends_with('$'));
        match known.and_then(|(name, default)| value(name, default)) {
            Some(value) => {
                done.push_str(&value);
                is_changed = true;
            }
            None => done.extend(["${", inner, "}"]),
        }
        rest = left;
    }
    done.push_str(rest);
    is_changed.then_some(done)
}

/// The name and the default of a variable; `None` for an expression of another kind.
fn variable(inner: &str) -> Option<(&str, Option<&str>)> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = inner.find(|c| !is_of_name(c)).unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return None;
    }
    if rest.is_empty() {
        return Some((name, None));
    }
    let default = [":=", ":-", "=", "-"].iter().find_map(|mark| rest.strip_prefix(mark))?;
    Some((name, Some(default)))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::substituted;

    #[test]
    fn variables_are_filled_in_as_flux_does_it() {
        let value = |name: &str, default: Option<_>| {
            if name == "cluster" { Some("east".into()) } else { default.map(Cow::Borrowed) }
        };
        let cases = [
            ("${cluster}", Some("east")),
            ("shop-${cluster}.example.com", Some("shop-east.example.com")),
            ("${cluster:=west}", Some("east")),
            ("${zone:=a}/${cluster}", Some("a/east")),
            ("${zone:-}", Some("")),
            ("${zone}", None),
            ("${zone} ${cluster}", Some("${zone} east")),
            ("$${cluster}", None),
            ("$cluster", None),
            ("${cluster,,}", None),
            ("${cluster", None),
            ("${cluster} ${", Some("east ${")),
            ("${}", None),
        ];
        for (text, want) in cases {
            assert_eq!(substituted(text, value).as_deref(), want, "{text}");
        }
    }
}

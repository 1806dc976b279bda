//! What a scalar means: YAML 1.1 as kubectl reads it.

use std::borrow::Cow;

use super::tape::Tag;

/// What a scalar means.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'t> {
    /// Nothing, `~` or `null`.
    Null,
    /// `true`, `no`, `on`, ...
    Bool(bool),
    /// An integer that fits 64 bits with a sign.
    Int(i64),
    /// A larger one.
    UInt(u64),
    /// A decimal number.
    Float(f64),
    /// Everything else, and everything in quotes.
    Str(Cow<'t, str>),
}

/// Resolves a scalar that has a tag or no quotes, as `resolve.go` of go-yaml v2 does. A tag the text
/// doesn't fit is an error there; here the text is then a string.
pub(super) fn resolve(text: &str, tag: Tag) -> Scalar<'_> {
    let fits = |scalar: &Scalar<'_>| match tag {
        Tag::Bool => matches!(scalar, Scalar::Bool(_)),
        Tag::Int => matches!(scalar, Scalar::Int(_) | Scalar::UInt(_)),
        Tag::Float => matches!(scalar, Scalar::Float(_)),
        Tag::Null => matches!(scalar, Scalar::Null),
        Tag::None | Tag::Str | Tag::Binary | Tag::Other => true,
    };
    let string = Scalar::Str(Cow::Borrowed(text));
    let scalar = match tag {
        Tag::Str | Tag::Other => return string,
        Tag::Binary => return decode_base64(text).map_or(string, |it| Scalar::Str(Cow::Owned(it))),
        _ => resolve_plain(text),
    };
    match scalar {
        #[expect(clippy::cast_precision_loss, reason = "go-yaml converts the same way")]
        Scalar::Int(int) if tag == Tag::Float => Scalar::Float(int as f64),
        scalar if fits(&scalar) => scalar,
        _ => string,
    }
}

fn resolve_plain(text: &str) -> Scalar<'_> {
    let string = Scalar::Str(Cow::Borrowed(text));
    match text.bytes().next() {
        None => Scalar::Null,
        Some(b'~' | b'n' | b'N' | b'y' | b'Y' | b't' | b'T' | b'f' | b'F' | b'o' | b'O') => {
            word(text).unwrap_or(string)
        }
        Some(b'.') => special_float(text).or_else(|| float(text)).unwrap_or(string),
        Some(b'0'..=b'9' | b'+' | b'-') => {
            special_float(text).or_else(|| number(text)).unwrap_or(string)
        }
        Some(_) => string,
    }
}

fn word(text: &str) -> Option<Scalar<'static>> {
    match text {
        "~" | "null" | "Null" | "NULL" => Some(Scalar::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(Scalar::Bool(true))
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(Scalar::Bool(false))
        }
        _ => None,
    }
}

fn special_float(text: &str) -> Option<Scalar<'static>> {
    match text {
        ".nan" | ".NaN" | ".NAN" => Some(Scalar::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            Some(Scalar::Float(f64::INFINITY))
        }
        "-.inf" | "-.Inf" | "-.INF" => Some(Scalar::Float(f64::NEG_INFINITY)),
        _ => None,
    }
}

fn number(text: &str) -> Option<Scalar<'static>> {
    let plain: Cow<'_, str> =
        if text.contains('_') { text.replace('_', "").into() } else { text.into() };
    integer(&plain).or_else(|| float(&plain))
}

/// `strconv.ParseInt(text, 0, 64)`, then `strconv.ParseUint`.
fn integer(text: &str) -> Option<Scalar<'static>> {
    if let Some(digits) = text.strip_prefix('-') {
        return 0i64.checked_sub_unsigned(magnitude(digits)?).map(Scalar::Int);
    }
    let digits = text.strip_prefix('+').unwrap_or(text);
    let value = magnitude(digits)?;
    match i64::try_from(value) {
        Ok(int) => Some(Scalar::Int(int)),
        Err(_) => (digits.len() == text.len()).then_some(Scalar::UInt(value)),
    }
}

fn magnitude(digits: &str) -> Option<u64> {
    let (digits, radix) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&digits[2..], 16),
        [b'0', b'o' | b'O', ..] => (&digits[2..], 8),
        [b'0', b'b' | b'B', ..] => (&digits[2..], 2),
        [b'0', _, ..] => (&digits[1..], 8),
        _ => (digits, 10),
    };
    // `from_str_radix` takes a sign, which has no place here.
    let all_digits = digits.bytes().all(|b| b.is_ascii_alphanumeric());
    all_digits.then(|| u64::from_str_radix(digits, radix).ok()).flatten()
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?` with a finite value.
fn float(text: &str) -> Option<Scalar<'static>> {
    // Rust reads the same numbers, and words such as `inf`, which have letters beside the `e`.
    let numeric = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    let value: f64 = numeric.then(|| text.parse().ok()).flatten()?;
    value.is_finite().then_some(Scalar::Float(value))
}

/// Standard base64 that holds UTF-8, line breaks and spaces ignored.
fn decode_base64(text: &str) -> Option<String> {
    let (mut bytes, mut bits, mut held) = (Vec::with_capacity(text.len()), 0u32, 0u32);
    for byte in text.trim_end().trim_end_matches('=').bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b' ' | b'\n' | b'\r' | b'\t' => continue,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held).to_le_bytes()[0]);
        }
    }
    String::from_utf8(bytes).ok()
}

//! Why a value can't be read as what is wanted, in the words of people.

use std::collections::BTreeSet;
use std::fmt::{self, Display};

use serde::de::{Expected, Unexpected};

use super::Mismatch;
use super::value::Value;

/// Why an attempt to read a value failed.
#[derive(Debug)]
pub(super) struct Error {
    message: String,
    /// The field that is missing, where that is what is wrong.
    missing: Option<&'static str>,
    /// The node that is to blame.
    node: Option<u32>,
    /// The nearest field's value or item around it, which can be left out.
    pub field: Option<u32>,
    /// Keys and positions, innermost first.
    trail: Vec<String>,
    pub hopeless: bool,
}

impl Error {
    pub fn new(message: String) -> Self {
        let (missing, node, field) = (None, None, None);
        Self { message, missing, node, field, trail: Vec::new(), hopeless: false }
    }

    /// An error that leaving things out doesn't help against.
    pub fn hopeless(message: &str) -> Self {
        Self { hopeless: true, ..Self::new(message.to_owned()) }
    }

    /// Blames a node, unless one is blamed already.
    pub fn at(mut self, node: u32) -> Self {
        self.node.get_or_insert(node);
        self
    }

    /// Notes that it happened in a field with this value and name.
    pub fn in_field(mut self, value: u32, name: &str) -> Self {
        self.field.get_or_insert(value);
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        self.trail.push(if plain { format!(".{name}") } else { format!("[{name}]") });
        self
    }

    /// Notes that it happened in an item of a sequence.
    pub fn in_item(mut self, value: u32, position: usize) -> Self {
        self.field.get_or_insert(value);
        self.trail.push(format!("[{position}]"));
        self
    }

    pub fn mismatch(&self, root: Value<'_>) -> Mismatch {
        let index = self.node.unwrap_or(root.index);
        let path: String = self.trail.iter().rev().map(String::as_str).collect();
        Mismatch {
            span: Value { index, ..root }.span(),
            path: path.strip_prefix('.').unwrap_or(&path).to_owned(),
            message: self.message.clone(),
            is_read: false,
        }
    }

    /// Whether a field is missing only because it was left out, which is reported already.
    pub fn follows_from(&self, skip: &BTreeSet<u32>, root: Value<'_>) -> bool {
        let (Some(name), Some(node)) = (self.missing, self.node) else { return false };
        let found = Value { index: node, ..root }.get(name);
        found.is_some_and(|value| skip.contains(&value.index))
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(format!("expected {}, found {}", in_words(wanted), describe(found)))
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Str(text) => format!("`{text}`"),
            other => describe(other),
        };
        Self::new(format!("expected {}, found {found}", in_words(wanted)))
    }

    fn invalid_length(len: usize, wanted: &dyn Expected) -> Self {
        Self::new(format!("expected {}, found {len} items", in_words(wanted)))
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        Self::new(format!("`{found}` is not one of {}", list(known)))
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Self {
        Self::new(format!("unknown field `{found}`, expected one of {}", list(known)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field), ..Self::new(format!("`{field}` is missing")) }
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What serde's derived visitors expect, in the words of people.
fn in_words(wanted: &dyn Expected) -> String {
    let wanted = wanted.to_string();
    let words = match wanted.as_str() {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0",
        "i32" => "a whole number of 32 bits",
        "i8" | "i16" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "unit" => "null",
        "string" | "a borrowed string" => "a string",
        "variant identifier" => "a name",
        other if other.starts_with("struct ") => "a mapping",
        other if other.starts_with("enum ") => "a name",
        other if other.starts_with("tuple ") || other.starts_with("a tuple ") => "a list",
        _ => return wanted,
    };
    words.to_owned()
}

fn describe(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Signed(value) => format!("the number {value}"),
        Unexpected::Float(value) => format!("the number {value:?}"),
        Unexpected::Str(_) | Unexpected::Char(_) => "a string".to_owned(),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a mapping".to_owned(),
        Unexpected::Enum
        | Unexpected::UnitVariant
        | Unexpected::NewtypeVariant
        | Unexpected::TupleVariant
        | Unexpected::StructVariant => "a name".to_owned(),
        other => other.to_string(),
    }
}

//! How verbs print: JSON for programs, text that does nothing to terminals for people.

use std::io::{self, Write};

use serde_json::Value;

use super::Failed;
use crate::finding::without_tokens;
use crate::report::harmless;

/// Prints JSON.
pub(super) fn json(value: &Value, out: &mut dyn Write) -> Result<(), Failed> {
    let shown = without(value.clone());
    let text = serde_json::to_string_pretty(&shown).map_err(|e| Failed(e.to_string()))?;
    Ok(writeln!(out, "{text}")?)
}

/// Prints what is written to the text, which may hold words of the input.
pub(super) fn text(
    write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    out: &mut dyn Write,
) -> Result<(), Failed> {
    let mut text = Vec::new();
    write(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    Ok(out.write_all(harmless(&without_tokens(&text)).as_bytes())?)
}

/// A value without what looks like a token.
fn without(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(without_tokens(&text).into_owned()),
        Value::Array(items) => items.into_iter().map(without).collect(),
        Value::Object(entries) => {
            let shown =
                |(key, value): (String, Value)| (without_tokens(&key).into_owned(), without(value));
            Value::Object(entries.into_iter().map(shown).collect())
        }
        other => other,
    }
}

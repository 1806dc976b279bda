//! How verbs print: JSON for programs, text that does nothing to terminals for people.

use std::io::{self, Write};

use super::Failed;
use crate::report::harmless;

/// Prints JSON.
pub(super) fn json(value: &serde_json::Value, out: &mut dyn Write) -> Result<(), Failed> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Failed(e.to_string()))?;
    Ok(writeln!(out, "{text}")?)
}

/// Prints what is written to the text, which may hold words of the input.
pub(super) fn text(
    write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    out: &mut dyn Write,
) -> Result<(), Failed> {
    let mut text = Vec::new();
    write(&mut text)?;
    Ok(out.write_all(harmless(&String::from_utf8_lossy(&text)).as_bytes())?)
}

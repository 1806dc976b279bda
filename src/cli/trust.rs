//! `mesh-lint trust`: who accepts whose certificates, and how far a rotation of the root is.

mod human;
mod json;
mod view;

use std::io::Write;

use super::args::{Trust as Asked, TrustFormat};
use super::{CLEAN, Failed, NOTHING, input, time};
use crate::lint;
use crate::report::harmless;
use crate::trust::Trust;

/// Prints who accepts whom in each mesh.
pub(super) fn run(args: &Asked, out: &mut dyn Write) -> Result<u8, Failed> {
    let mut read = input::read(&args.reading)?;
    read.config.now = args.now.unwrap_or_else(time::now);
    let model = lint::build(&read.sources, &read.config);
    let trust = Trust::of(&model.mesh);
    let views = view::views(&trust);
    match args.format {
        TrustFormat::Json => {
            let value = json::of(&trust, &views, &read.sources);
            let text = serde_json::to_string_pretty(&value).map_err(|e| Failed(e.to_string()))?;
            writeln!(out, "{text}")?;
        }
        TrustFormat::Human => {
            let mut text = Vec::new();
            for (number, view) in views.iter().enumerate() {
                if number > 0 {
                    writeln!(text)?;
                }
                human::print(&trust, view, &read.sources, &mut text)?;
            }
            out.write_all(harmless(&String::from_utf8_lossy(&text)).as_bytes())?;
        }
    }
    Ok(if model.placed.is_empty() { NOTHING } else { CLEAN })
}

//! `mesh-lint trust`: who accepts whose certificates, and how far a rotation of the root is.

mod human;
mod json;
mod view;

use std::io::Write;

use super::args::Trust as Asked;
use super::show;
use super::{CLEAN, Failed, NOTHING, input, time};
use crate::lint;
use crate::trust::Trust;

/// Prints who accepts whom in each mesh.
pub(super) fn run(args: &Asked, out: &mut dyn Write) -> Result<u8, Failed> {
    let mut read = input::read(&args.reading)?;
    read.config.now = args.now.unwrap_or_else(time::now);
    let model = lint::build(&read.sources, &read.config);
    let trust = Trust::of(&model.mesh);
    let views = view::views(&trust);
    if args.writing.is_json() {
        show::json(&json::of(&trust, &views, &read.sources), out)?;
    } else {
        let all = |text: &mut Vec<u8>| {
            for (number, view) in views.iter().enumerate() {
                if number > 0 {
                    writeln!(text)?;
                }
                human::print(&trust, view, &read.sources, text)?;
            }
            Ok(())
        };
        show::text(all, out)?;
    }
    Ok(if model.placed.is_empty() { NOTHING } else { CLEAN })
}

//! The program as people run it.

use std::path::Path;
use std::process::{Command, Output};

/// Runs it in a folder.
pub fn run(folder: impl AsRef<Path>, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-lint"));
    command.args(args).current_dir(&folder).env("NO_COLOR", "1").output().unwrap()
}

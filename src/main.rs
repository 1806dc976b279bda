//! Start, exit code, broken pipe.

use std::process::ExitCode;

fn main() -> ExitCode {
    mesh_lint::cli::run()
}

//! Certificates as facts: what istiod and peers say of a CA, and which clusters trust each other.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers may give up, and skip aloud"
)]

#[path = "../common/folder.rs"]
mod folder;
mod groups;
mod lab;
mod make;
#[path = "../common/program.rs"]
mod program;
mod text;
mod verb;

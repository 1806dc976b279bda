//! Certificates as facts: what istiod and peers say of a CA, and which clusters trust each other.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers may give up, and skip aloud"
)]

mod groups;
mod lab;
mod make;
mod text;
mod verb;

//! What a console block in Markdown shows is what the program prints.
//!
//! `UPDATE=1 cargo test --test consoles` writes the blocks anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let fixtures = walkdir::WalkDir::new(root().join("fixtures")).sort_by_file_name();
    let fixtures = fixtures.into_iter().map(|e| e.unwrap().into_path());
    let fixtures = fixtures.filter(|p| p.file_name().is_some_and(|n| n == "README.md"));
    ["README.md", "CONTRIBUTING.md"].iter().map(|p| root().join(p)).chain(fixtures).collect()
}

/// What a command prints, and `[exit N]` where it does not end well.
fn output(command: &str) -> String {
    let mut words = command.split_whitespace();
    assert_eq!(words.next(), Some("mesh-lint"), "only mesh-lint itself is run: {command}");
    let done = Command::new(env!("CARGO_BIN_EXE_mesh-lint"))
        .args(words)
        .current_dir(root())
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .output()
        .unwrap();
    let mut text = String::from_utf8(done.stdout).unwrap();
    text.push_str(&String::from_utf8(done.stderr).unwrap());
    match done.status.code() {
        Some(0) => {}
        Some(code) => text.push_str(&format!("[exit {code}]\n")),
        None => text.push_str("[killed]\n"),
    }
    text
}

/// A page with each console block as it should be.
fn rewritten(text: &str) -> String {
    let mut new = String::new();
    let mut in_console = false;
    for line in text.lines() {
        if !in_console {
            in_console = line == "```console";
        } else if line == "```" {
            in_console = false;
        } else {
            let Some(command) = line.strip_prefix("$ ") else { continue };
            new.push_str(&format!("{line}\n{}", output(command)));
            continue;
        }
        new.push_str(line);
        new.push('\n');
    }
    new
}

fn check(path: &Path) -> Result<(), String> {
    let text = fs::read_to_string(path).unwrap();
    let new = rewritten(&text);
    if new == text {
        return Ok(());
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, new).unwrap();
        return Ok(());
    }
    let differs = text.lines().zip(new.lines()).find(|(old, new)| old != new);
    Err(format!("{}: shown and printed: {differs:#?}", path.display()))
}

#[test]
fn consoles_show_what_is_printed() {
    let wrong: Vec<String> = pages().iter().filter_map(|path| check(path).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

//! The door to the disk: walking folders, standard input, what is left unread and why.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use ignore::WalkBuilder;
use rayon::prelude::*;

use super::{Sources, TooLarge};

/// A file that was seen and is not analysed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Skipped {
    /// Its name, as in [`super::SourceFile::name`].
    pub file: String,
    /// Why: one word or a few, the same for every file of that sort (`template`, `binary`, ...).
    pub reason: &'static str,
}

/// A path that could not be read at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was asked for.
    pub path: PathBuf,
    /// What the system said.
    pub message: String,
}

/// What the disk gave.
#[derive(Debug, Default)]
pub struct Reading {
    /// All texts, ordered by name.
    pub sources: Sources,
    /// Files that no parser will see.
    pub skipped: Vec<Skipped>,
    /// Paths that could not be read.
    pub failures: Vec<Failure>,
}

/// The name under which standard input is shown.
pub const STDIN: &str = "<stdin>";

/// Reads files, folders and standard input (`-`). Folders are walked as git sees them: ignored and
/// hidden files are passed over, and links are not followed.
pub fn read(paths: &[PathBuf]) -> Result<Reading, TooLarge> {
    let mut reading = Reading::default();
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in paths {
        if path == Path::new("-") {
            files.insert(STDIN.to_owned(), path.clone());
        } else if path.is_dir() {
            walk(path, &mut files, &mut reading);
        } else {
            files.insert(display_name(path), path.clone());
        }
    }
    let files: Vec<(String, PathBuf)> = files.into_iter().collect();
    let texts: Vec<_> = files.par_iter().map(|(_, path)| bytes(path).map(text)).collect();
    for ((name, path), text) in files.into_iter().zip(texts) {
        match text {
            Ok(Ok(text)) => {
                reading.sources.add(name, text)?;
            }
            // Presentations are called so too.
            Ok(Err(_)) if path.extension().is_some_and(|it| it.eq_ignore_ascii_case("key")) => {}
            Ok(Err(reason)) => reading.skipped.push(Skipped { file: name, reason }),
            Err(error) => reading.failures.push(Failure { path, message: error.to_string() }),
        }
    }
    Ok(reading)
}

/// A path as reports show it: relative to the current folder where it lies below, without `.` and `..`.
pub fn display_name(path: &Path) -> String {
    let leads_up = path.components().any(|part| part == Component::ParentDir);
    let straight = if leads_up { path.canonicalize().ok() } else { None };
    let path = straight.as_deref().unwrap_or(path);
    let below = || path.strip_prefix(std::env::current_dir().ok()?.canonicalize().ok()?).ok();
    let path = if path.is_absolute() { below().unwrap_or(path) } else { path };
    let parts = path.components().filter(|part| *part != Component::CurDir);
    parts.collect::<PathBuf>().to_string_lossy().replace('\\', "/")
}

fn walk(folder: &Path, files: &mut BTreeMap<String, PathBuf>, reading: &mut Reading) {
    for entry in WalkBuilder::new(folder).require_git(false).build() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                reading
                    .failures
                    .push(Failure { path: folder.to_path_buf(), message: error.to_string() });
                continue;
            }
        };
        let Some(kind) = entry.file_type() else { continue };
        let name = display_name(entry.path());
        if kind.is_symlink() && is_candidate(&name) {
            reading.skipped.push(Skipped { file: name, reason: "link" });
        } else if kind.is_file() && is_candidate(&name) {
            files.insert(name, entry.into_path());
        }
    }
}

fn is_candidate(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|e| matches!(e.as_str(), "yaml" | "yml" | "json" | "pem" | "crt" | "key"))
        || name.rsplit('/').next() == Some("Kustomization")
}

fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    std::fs::read(path)
}

fn text(bytes: Vec<u8>) -> Result<String, &'static str> {
    if bytes.contains(&0) {
        return Err("binary");
    }
    String::from_utf8(bytes).map_err(|_| "not UTF-8")
}

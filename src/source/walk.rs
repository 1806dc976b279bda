//! The door to the disk: walking folders, standard input, what is left unread and why.

use std::path::PathBuf;

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

/// Reads files, folders and standard input (`-`). Folders are walked as git sees them.
pub fn read(_paths: &[PathBuf]) -> Result<Reading, TooLarge> {
    todo!()
}

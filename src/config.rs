//! `mesh-lint.yaml`, suppression comments and annotations; mistakes in them are findings.

mod file;
mod paths;
pub mod suppress;

use std::collections::BTreeMap;
use std::fmt;

use crate::finding::Severity;
use crate::source::{FileId, Sources, Span, Text};

pub use paths::Paths;

/// What a run is told: by `mesh-lint.yaml`, then by the command line.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The text it comes from.
    pub file: Option<FileId>,
    /// Clusters by name; inferred where empty.
    pub clusters: Vec<ClusterConfig>,
    /// Settings of rules, in the order of the text.
    pub rules: Vec<RuleConfig>,
    /// The severity that makes the run fail; `error` where unset.
    pub fail_on: Option<Severity>,
    /// Only rules that match one of these (name, room, alias or regular expression).
    pub select: Vec<Text>,
    /// No rules that match one of these.
    pub ignore: Vec<Text>,
    /// Namespace of objects that name none; `default` where unset.
    pub namespace: Option<String>,
    /// The point in time for expiry, in seconds since 1970.
    pub now: i64,
    /// Whether the input is known to be a part of what belongs together.
    pub is_part: bool,
}

/// A cluster, as the configuration tells it.
#[derive(Clone, Debug, Default)]
pub struct ClusterConfig {
    /// Its name.
    pub name: Text,
    /// Files that belong to it.
    pub paths: Paths,
    /// Its network.
    pub network: Option<Text>,
    /// Its role.
    pub role: Option<Text>,
    /// The cluster whose control plane serves it.
    pub control_plane: Option<Text>,
    /// The mesh it is of; one mesh for all that name none.
    pub mesh: Option<Text>,
    /// Localities of its nodes.
    pub localities: Vec<Text>,
    /// Whether nothing of this mesh lives elsewhere in this cluster.
    pub complete: bool,
}

/// Options of a rule, by name, as written.
pub type Options = BTreeMap<String, String>;

/// Whether a rule speaks, and how loud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// It does not run.
    Off,
    /// It runs, with the severity of its page.
    On,
    /// It runs, with this severity.
    At(Severity),
}

/// Settings of the rules that a word names.
#[derive(Clone, Debug, Default)]
pub struct RuleConfig {
    /// A name, alias, room or regular expression.
    pub word: Text,
    /// Whether they speak, where that is told.
    pub level: Option<Level>,
    /// Their options.
    pub options: Vec<(Text, Text)>,
}

/// A mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub span: Span,
    /// What is wrong: lower case, no full stop.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Config {
    /// Reads `mesh-lint.yaml`. Its globs count from the folder of the file; `above` is the way from
    /// that folder down to the current one (`sub/folder/`), where the file stands above it.
    pub fn parse(sources: &Sources, file: FileId, above: &str) -> Result<Self, Vec<Mistake>> {
        let (config, mistakes) = Self::read(sources, file, above);
        if mistakes.is_empty() { Ok(config) } else { Err(mistakes) }
    }

    /// Reads what can be read of `mesh-lint.yaml`, as [`parse`](Self::parse) does, and tells every
    /// mistake, in the order of the text.
    pub fn read(sources: &Sources, file: FileId, above: &str) -> (Self, Vec<Mistake>) {
        let (mut config, mut mistakes) = file::read(sources.file(file), above);
        config.file = Some(file);
        mistakes.sort_by_key(|mistake| mistake.span);
        (config, mistakes)
    }

    /// The severity that makes the run fail.
    pub fn fail_on(&self) -> Severity {
        self.fail_on.unwrap_or(Severity::Error)
    }

    /// Paths of clusters that none of the names of files match.
    pub fn idle_paths(&self, names: &[&str]) -> Vec<Mistake> {
        let idle = self.clusters.iter().flat_map(|cluster| cluster.paths.idle(names));
        idle.map(|path| {
            let slashes = if path.contains('\\') { ": paths are written with `/`" } else { "" };
            Mistake { span: path.span, message: format!("`{path}` matches no file{slashes}") }
        })
        .collect()
    }
}

impl ClusterConfig {
    /// A cluster that is a file or all files below a folder, as `--cluster NAME=PATH` gives it.
    pub fn below(name: &str, path: &str) -> Result<Self, String> {
        let told = Text::new(globset::escape(path), Span::default());
        let (paths, mistakes) = Paths::of(&[told], "", "");
        match mistakes.into_iter().next() {
            Some(mistake) => Err(mistake.message),
            None => {
                let name = Text::new(name.to_owned(), Span::default());
                Ok(Self { name, paths, ..Self::default() })
            }
        }
    }
}

//! Globs over file names.

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::Mistake;
use crate::source::Text;

/// Files, told by globs. A folder stands for all that is below it.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    globs: GlobSet,
    /// What was written, and for each glob which of it.
    told: Vec<Text>,
    told_by: Vec<usize>,
    /// Put before each name: the way from the configuration's folder down to the current one.
    above: String,
}

impl Paths {
    /// Reads globs that count from a folder (`sub/`, or empty).
    pub(super) fn of(told: &[Text], folder: &str, above: &str) -> (Self, Vec<Mistake>) {
        let mut mistakes = Vec::new();
        let mut set = GlobSetBuilder::new();
        let mut told_by = Vec::new();
        let folder = globset::escape(folder);
        for (i, path) in told.iter().enumerate() {
            let inner = path.trim_start_matches("./").trim_end_matches('/');
            let inner = if matches!(inner, "" | ".") { "**" } else { inner };
            for glob in [format!("{folder}{inner}"), format!("{folder}{inner}/**")] {
                match Glob::new(&glob) {
                    Ok(glob) => {
                        set.add(glob);
                        told_by.push(i);
                    }
                    Err(error) => {
                        let message = format!("not a glob: {}", error.kind());
                        mistakes.push(Mistake { span: path.span, message });
                        break;
                    }
                }
            }
        }
        let globs = set.build().unwrap_or_default();
        (Self { globs, told: told.to_vec(), told_by, above: above.to_owned() }, mistakes)
    }

    /// Whether a file belongs.
    pub fn contains(&self, name: &str) -> bool {
        if self.above.is_empty() {
            return self.globs.is_match(name);
        }
        self.globs.is_match(format!("{}{name}", self.above))
    }

    /// Whether a file is named by itself, and not by a glob or its folder.
    pub fn name(&self, name: &str) -> bool {
        let whole = format!("{}{name}", self.above);
        let is_own =
            |glob: usize| whole.ends_with(self.told[self.told_by[glob]].trim_start_matches("./"));
        self.globs.matches(&whole).into_iter().any(is_own)
    }

    /// What was written and matches none of these names.
    pub(super) fn idle(&self, names: &[&str]) -> Vec<&Text> {
        let mut idle = vec![true; self.told.len()];
        for name in names {
            for glob in self.globs.matches(format!("{}{name}", self.above)) {
                idle[self.told_by[glob]] = false;
            }
        }
        self.told.iter().zip(idle).filter(|(_, idle)| *idle).map(|(told, _)| told).collect()
    }
}

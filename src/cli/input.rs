//! From what was typed to texts and configuration.

use std::path::{Path, PathBuf};

use super::Failed;
use super::args::Reading;
use crate::config::{ClusterConfig, Config, Mistake};
use crate::lint;
use crate::source::{self, Sources};

/// What is analysed.
pub(super) struct Read {
    /// All texts.
    pub sources: Sources,
    /// What the run is told.
    pub config: Config,
    /// Files that no parser will see.
    pub skipped: Vec<source::Skipped>,
    /// Paths that could not be read.
    pub failures: Vec<source::Failure>,
}

/// Reads the paths and the configuration.
pub(super) fn read(args: &Reading) -> Result<Read, Failed> {
    let paths = if args.paths.is_empty() { vec![PathBuf::from(".")] } else { args.paths.clone() };
    let source::Reading { mut sources, skipped, failures } = source::read(&paths)?;
    if sources.files().len() == 0 && skipped.is_empty() && !failures.is_empty() {
        let said: Vec<String> =
            failures.iter().map(|f| format!("{}: {}", f.path.display(), f.message)).collect();
        return Err(Failed(said.join("\n")));
    }
    let mut told = configuration(args, &paths, &mut sources)?;
    if paths.iter().all(|path| path == Path::new("-")) && args.cluster.is_empty() {
        // What comes through a pipe has no name that a glob could know.
        told.config.clusters.clear();
    }
    if args.namespace.is_some() {
        told.config.namespace.clone_from(&args.namespace);
    }
    let names = sources.files().map(|(_, file)| file.name.as_str());
    let names: Vec<&str> = names.chain(skipped.iter().map(|s| s.file.as_str())).collect();
    told.check(args, &names, &sources)?;
    let is_whole = told.whole || paths.iter().any(|path| is_top(path));
    told.config.is_part = !is_whole || !failures.is_empty();
    Ok(Read { config: told.config, sources, skipped, failures })
}

/// The configuration, and what is wrong with it.
#[derive(Default)]
struct Told {
    config: Config,
    mistakes: Vec<Mistake>,
    /// Whether the paths hold all that the configuration speaks of.
    whole: bool,
}

impl Told {
    /// Fails with every mistake, in the order of the text; `names` are those of all files.
    fn check(&mut self, args: &Reading, names: &[&str], sources: &Sources) -> Result<(), Failed> {
        let typed = !args.cluster.is_empty();
        let idle = if self.whole || typed { self.config.idle_paths(names) } else { Vec::new() };
        if let Some(idle) = idle.first().filter(|_| typed) {
            return Err(Failed(format!("--cluster: {idle}")));
        }
        self.mistakes.extend(idle);
        self.mistakes.extend(lint::mistakes(&self.config));
        self.mistakes.sort_by_key(|mistake| mistake.span);
        if self.mistakes.is_empty() {
            return Ok(());
        }
        let said = self.mistakes.iter().map(|m| {
            let name = sources.file_at(m.span.start).map_or("", |(_, file)| &file.name);
            let place = sources.place(m.span.start);
            let place = place.map(|p| format!(":{}:{}", p.line, p.column)).unwrap_or_default();
            format!("{name}{place}: {m}")
        });
        Err(Failed(said.collect::<Vec<_>>().join("\n")))
    }
}

fn configuration(args: &Reading, paths: &[PathBuf], sources: &mut Sources) -> Result<Told, Failed> {
    let found = args.config.clone().or_else(|| paths.first().and_then(|path| find_upward(path)));
    let mut told = match found {
        Some(file) => from_file(&file, paths, sources)?,
        None => Told::default(),
    };
    if !args.cluster.is_empty() {
        let below = |(name, path): &(String, PathBuf)| {
            ClusterConfig::below(name, &source::display_name(path))
        };
        let clusters: Result<_, _> = args.cluster.iter().map(below).collect();
        told.config.clusters = clusters.map_err(Failed)?;
    }
    Ok(told)
}

/// Its text is one of the sources, so that findings can point at it.
fn from_file(file: &Path, paths: &[PathBuf], sources: &mut Sources) -> Result<Told, Failed> {
    let name = source::display_name(file);
    let walked = sources.files().find(|(_, source)| source.name == name).map(|(id, _)| id);
    let id = match walked {
        Some(id) => id,
        None => {
            let text = std::fs::read_to_string(file);
            let text = text.map_err(|e| Failed(format!("{}: {e}", file.display())))?;
            sources.add(name, text)?
        }
    };
    let (mut config, mistakes) = Config::read(sources, id, &above(file));
    let whole = covers(paths, file);
    if !whole {
        // Whoever checks a part of the repository does not see what is complete in the whole.
        config.clusters.iter_mut().for_each(|c| c.complete = false);
    }
    Ok(Told { config, mistakes, whole })
}

/// `mesh-lint.yaml` in the folder of a path or above it, up to the root of the repository.
fn find_upward(path: &Path) -> Option<PathBuf> {
    let path = if path == Path::new("-") { Path::new(".") } else { path };
    let full = path.canonicalize().ok()?;
    for folder in full.ancestors().filter(|f| f.is_dir()) {
        for name in ["mesh-lint.yaml", "mesh-lint.yml"] {
            let file = folder.join(name);
            // A folder of that name is told when it cannot be read.
            if file.exists() {
                return Some(file);
            }
        }
        if folder.join(".git").exists() {
            return None;
        }
    }
    None
}

/// Whether the paths hold the whole folder of the configuration.
fn covers(paths: &[PathBuf], config: &Path) -> bool {
    let folder = config.canonicalize().ok().and_then(|f| f.parent().map(Path::to_path_buf));
    let Some(folder) = folder else { return false };
    paths.iter().filter_map(|p| p.canonicalize().ok()).any(|p| folder.starts_with(p))
}

/// Whether a path is the folder of a whole repository, or one that is of no repository.
fn is_top(path: &Path) -> bool {
    let Some(full) = path.canonicalize().ok().filter(|full| full.is_dir()) else { return false };
    let holds = |folder: &Path, names: &[&str]| names.iter().any(|n| folder.join(n).exists());
    let signs = [".git", "mesh-lint.yaml", "mesh-lint.yml"];
    holds(&full, &signs[..1]) || !full.ancestors().skip(1).any(|folder| holds(folder, &signs))
}

/// The way from the configuration's folder down to the current one, `sub/folder/` or empty.
fn above(file: &Path) -> String {
    let way = || {
        let current = std::env::current_dir().ok()?.canonicalize().ok()?;
        let folder = file.canonicalize().ok()?.parent()?.to_path_buf();
        Some(current.strip_prefix(&folder).ok()?.to_string_lossy().replace('\\', "/"))
    };
    way().filter(|w| !w.is_empty()).map(|w| format!("{w}/")).unwrap_or_default()
}

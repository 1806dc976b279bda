//! From what was typed to texts and configuration.

use std::path::{Path, PathBuf};

use super::Failed;
use super::args::Reading;
use crate::config::{ClusterConfig, Config};
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
    let mut config = configuration(args, &paths, &mut sources)?;
    if paths.iter().all(|path| path == Path::new("-")) && args.told().next().is_none() {
        // What comes through a pipe has no name that a glob could know.
        config.clusters.clear();
    }
    if args.namespace.is_some() {
        config.namespace.clone_from(&args.namespace);
    }
    Ok(Read { sources, config, skipped, failures })
}

/// The configuration. Its text is one of the sources, so that findings can point at it.
fn configuration(
    args: &Reading,
    paths: &[PathBuf],
    sources: &mut Sources,
) -> Result<Config, Failed> {
    if args.told().next().is_some() {
        let clusters = args.told().map(|(name, path)| ClusterConfig::below(name, path));
        let clusters: Result<_, _> = clusters.collect();
        return Ok(Config { clusters: clusters.map_err(Failed)?, ..Config::default() });
    }
    let found = args.config.clone().or_else(|| paths.first().and_then(|path| find_upward(path)));
    let Some(file) = found else { return Ok(Config::default()) };
    let name = source::display_name(&file);
    let walked = sources.files().find(|(_, source)| source.name == name).map(|(id, _)| id);
    let id = match walked {
        Some(id) => id,
        None => {
            let text = std::fs::read_to_string(&file);
            let text = text.map_err(|e| Failed(format!("{}: {e}", file.display())))?;
            sources.add(name, text)?
        }
    };
    let above = above(&file);
    let parsed = Config::parse(sources, id, &above).map(|mut config| {
        if !covers(paths, &file) {
            // Whoever checks a part of the repository does not see what is complete in the whole.
            config.clusters.iter_mut().for_each(|c| c.complete = false);
        }
        config
    });
    parsed.map_err(|mistakes| {
        let said = mistakes.iter().map(|m| {
            let place = sources.place(m.span.start);
            let place = place.map(|p| format!(":{}:{}", p.line, p.column)).unwrap_or_default();
            format!("{}{place}: {m}", sources.file(id).name)
        });
        Failed(said.collect::<Vec<_>>().join("\n"))
    })
}

/// `mesh-lint.yaml` in the folder of a path or above it, up to the root of the repository.
fn find_upward(path: &Path) -> Option<PathBuf> {
    let path = if path == Path::new("-") { Path::new(".") } else { path };
    let full = path.canonicalize().ok()?;
    for folder in full.ancestors().filter(|f| f.is_dir()) {
        for name in ["mesh-lint.yaml", "mesh-lint.yml"] {
            let file = folder.join(name);
            if file.is_file() {
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

/// The way from the configuration's folder down to the current one, `sub/folder/` or empty.
fn above(file: &Path) -> String {
    let way = || {
        let current = std::env::current_dir().ok()?.canonicalize().ok()?;
        let folder = file.canonicalize().ok()?.parent()?.to_path_buf();
        Some(current.strip_prefix(&folder).ok()?.to_string_lossy().replace('\\', "/"))
    };
    way().filter(|w| !w.is_empty()).map(|w| format!("{w}/")).unwrap_or_default()
}

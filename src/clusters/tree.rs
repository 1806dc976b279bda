//! The input as a tree of folders: files by name, files below a folder, paths from folder to folder.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::kinds::file::Manifests;
use crate::kinds::{Object, is_placeholder};
use crate::source::{FileId, Sources};
use crate::yaml::Document;

/// All files by name. A file is known by its position in the list of [`Manifests`].
pub(super) struct Tree<'i> {
    pub sources: &'i Sources,
    pub files: &'i [Manifests],
    by_name: BTreeMap<&'i str, usize>,
}

impl<'i> Tree<'i> {
    pub fn of(sources: &'i Sources, files: &'i [Manifests]) -> Self {
        let named = files.iter().enumerate();
        let by_name = named.map(|(i, f)| (plain(&sources.file(f.file).name), i)).collect();
        Self { sources, files, by_name }
    }

    /// The file's name, without a `./` in front.
    pub fn name(&self, file: usize) -> &'i str {
        plain(&self.sources.file(self.files[file].file).name)
    }

    /// The file of that name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The position of a file: they come in the order of the texts, though perhaps not all of them.
    pub fn find_by_id(&self, id: FileId) -> Option<usize> {
        self.files.binary_search_by_key(&id, |f| f.file).ok()
    }

    /// All files, ordered by name.
    pub fn in_order(&self) -> impl Iterator<Item = (&'i str, usize)> {
        self.by_name.iter().map(|(name, file)| (*name, *file))
    }

    /// All files in a folder and the folders below it, ordered by name.
    pub fn below(&self, folder: &str) -> impl Iterator<Item = usize> {
        let (from, to) = match folder {
            "" => (String::new(), None),
            // `0` is the character after `/`.
            _ => (format!("{folder}/"), Some(format!("{folder}0"))),
        };
        let to = to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.by_name.range::<str, _>((Bound::Included(from.as_str()), to)).map(|(_, file)| *file)
    }

    /// Whether some file is below that folder.
    pub fn has_folder(&self, folder: &str) -> bool {
        self.below(folder).next().is_some()
    }

    /// Whether a file holds anything that can belong to a cluster.
    pub fn counts(&self, file: usize) -> bool {
        let read = &self.files[file];
        !read.objects.is_empty()
            || !read.values.is_empty()
            || crate::kinds::file::is_pem(self.name(file))
    }

    /// A resource as a document: the one it stands alone in, or what a list has of it.
    pub fn document(&self, file: usize, object: &Object) -> Option<Arc<Document>> {
        let span = object.meta.span;
        let documents = &self.files[file].documents;
        let alone = documents.iter().find(|d| d.root().span() == span).map(Arc::clone);
        alone.or_else(|| documents.iter().find_map(|d| d.part(span)).map(Arc::new))
    }

    /// A folder of the repository. Its root is not known: it is one of the folders above the object, the
    /// nearest that has such a folder; or, where only a part of the repository is analysed, it is above.
    pub fn resolve(&self, from: usize, path: &str) -> Option<String> {
        let path = path.trim_start_matches("./").trim_matches('/');
        if path.is_empty() || path == "." || is_placeholder(path) {
            return None;
        }
        let here = folder_of(self.name(from));
        let below =
            |path: &str| ancestors(here).filter_map(|a| join(a, path)).find(|f| self.has_folder(f));
        below(path).or_else(|| {
            let (_, rest) = path.split_once('/')?;
            below(rest).filter(|f| f.contains('/'))
        })
    }
}

fn plain(name: &str) -> &str {
    name.strip_prefix("./").unwrap_or(name)
}

/// The folder a file or folder stands in; empty at the top.
pub(super) fn folder_of(name: &str) -> &str {
    name.rfind('/').map_or("", |at| &name[..at])
}

/// The last part of a path.
pub(super) fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The last part of a path, without its ending.
pub(super) fn stem(path: &str) -> &str {
    let last = last_part(path);
    last.rsplit_once('.').map_or(last, |(stem, _)| stem)
}

/// A folder and all those it stands in, the innermost first and the top (empty) last.
pub(super) fn ancestors(folder: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(folder), |&folder| (!folder.is_empty()).then(|| folder_of(folder)))
}

/// A relative path seen from a folder; `None` where it is a URL.
pub(super) fn join(folder: &str, path: &str) -> Option<String> {
    if is_url(path) {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let absolute = if folder.starts_with('/') { "/" } else { "" };
    Some(format!("{absolute}{}", parts.join("/")))
}

/// Whether kustomize would fetch it: a URL, or a repository as `github.com/owner/name//folder?ref=v1`.
fn is_url(path: &str) -> bool {
    let host = path.split('/').next().unwrap_or_default();
    let is_host = host.contains('.') && !host.starts_with('.') && path.contains('/');
    path.contains("://")
        || path.starts_with("git@")
        || path.contains("?ref=")
        || (is_host && path.contains("//"))
        || host == "github.com"
}

#[cfg(test)]
mod tests {
    use super::{ancestors, join};

    #[test]
    fn paths_are_followed_up_and_down() {
        assert_eq!(join("clusters/east", "../../base").as_deref(), Some("base"));
        assert_eq!(join("", "../base/./x.yaml").as_deref(), Some("../base/x.yaml"));
        assert_eq!(join("/repo/a", "..").as_deref(), Some("/repo"));
        assert_eq!(join("a", "https://example.com/x.yaml"), None);
        assert_eq!(join("a", "github.com/istio/istio//manifests?ref=1.2"), None);
        assert_eq!(join("a", "v1.2/x.yaml").as_deref(), Some("a/v1.2/x.yaml"));
        assert_eq!(ancestors("a/b").collect::<Vec<_>>(), ["a/b", "a", ""]);
    }
}

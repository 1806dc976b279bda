//! Clusters from the names of folders and files.

use std::collections::BTreeSet;

use super::Origin;
use crate::kinds::file::Manifests;
use crate::source::Sources;

/// Folders whose children are clusters, most telling first.
const PARENTS: &[&[&str]] = &[
    &["clusters", "cluster"],
    &["regions", "sites", "fleet"],
    &["gitops", "overlays", "envs", "environments"],
];

/// The clusters that names of folders tell; one cluster for all where they tell none.
pub(super) fn clusters(sources: &Sources, files: &[Manifests]) -> Vec<(String, Origin)> {
    let used = || files.iter().filter(|f| !f.objects.is_empty() || !f.values.is_empty());
    for parents in PARENTS {
        let names: BTreeSet<String> = used()
            .filter_map(|f| child_of(&sources.file(f.file).name, parents))
            .map(str::to_owned)
            .collect();
        if !names.is_empty() {
            return names.into_iter().map(|name| (name, Origin::Folder)).collect();
        }
    }
    vec![("cluster".to_owned(), Origin::Alone)]
}

/// The folder (or file, without its ending) that stands right below one of the parents.
fn child_of<'n>(name: &'n str, parents: &[&str]) -> Option<&'n str> {
    let mut parts = name.split('/').peekable();
    while let Some(part) = parts.next() {
        if parents.contains(&part) {
            let child = parts.next()?;
            let is_file = parts.peek().is_none();
            return Some(if is_file {
                child.rsplit_once('.').map_or(child, |(stem, _)| stem)
            } else {
                child
            });
        }
    }
    None
}

/// Whether the path of a file names a cluster: as a folder, or as the file's name.
pub(super) fn names(path: &str, cluster: &str) -> bool {
    path.split('/')
        .any(|part| part == cluster || part.rsplit_once('.').is_some_and(|(s, _)| s == cluster))
}

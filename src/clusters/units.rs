//! Folders and files that are clusters, as their names and what they hold tell.

use std::collections::{BTreeMap, BTreeSet};

use super::kustomize::{Graph, is_kustomization};
use super::signs::Signs;
use super::tree::{Tree, ancestors, folder_of, last_part, stem};
use super::words::{
    core, environment, holds_clusters, is_no_cluster, is_shared, may_hold_clusters,
    tells_a_cluster, token,
};

/// What is one cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A folder with all below it.
    Folder(String),
    /// One file.
    File(usize),
}

/// A folder or file that is a cluster, or a part of one.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// What it is called.
    pub name: String,
    /// What it is.
    pub place: Place,
    /// The folder in which it and its siblings stand.
    pub scope: String,
    /// The environment it is of.
    pub environment: Option<&'static str>,
    /// Whether its name or what it holds says that it is one of several clusters, and not only that it
    /// can't live together with its siblings.
    pub is_told: bool,
}

/// A folder with what is of interest in it.
#[derive(Default)]
struct Folder {
    path: String,
    files: Vec<usize>,
    folders: Vec<Folder>,
}

/// Finds units.
pub(super) struct Finder<'f, 'i> {
    tree: &'f Tree<'i>,
    graph: &'f Graph<'i>,
    signs: &'f [Signs],
    /// Files that are no manifests of their own.
    patches: BTreeSet<usize>,
    taken: BTreeSet<usize>,
    /// Clusters to which remote secrets lead.
    led_to: BTreeSet<&'f str>,
}

impl<'f, 'i> Finder<'f, 'i> {
    pub fn new(tree: &'f Tree<'i>, graph: &'f Graph<'i>, signs: &'f [Signs]) -> Self {
        let led_to = signs.iter().flat_map(|s| s.leads_to.iter().map(String::as_str)).collect();
        Self { tree, graph, signs, patches: graph.patch_files(), taken: graph.taken(), led_to }
    }

    /// All units, those within a unit left out.
    pub fn units(&self) -> Vec<Unit> {
        let mut top = Folder::default();
        for (name, file) in self.tree.in_order().filter(|(_, file)| self.tree.counts(*file)) {
            top.insert(name, file);
        }
        self.within(&top)
    }

    fn within(&self, folder: &Folder) -> Vec<Unit> {
        if holds_clusters(last_part(&folder.path)) {
            return self.in_folder_of_clusters(folder);
        }
        let mut nested: Vec<Vec<Unit>> = folder.folders.iter().map(|f| self.within(f)).collect();
        let split = self.split(folder, |i| nested[i].len() < 2);
        for (child, is_told) in split {
            let path = &folder.folders[child].path;
            let stays = environment(last_part(path)).is_some() && !nested[child].is_empty();
            if !stays {
                nested[child] =
                    vec![unit(Place::Folder(path.clone()), last_part(path), &folder.path, is_told)];
            }
        }
        part_environments(folder, &mut nested);
        self.part_strangers(folder, &mut nested);
        let mut units: Vec<Unit> = nested.into_iter().flatten().collect();
        units.extend(self.files(folder, false));
        units
    }

    /// Each folder in `clusters` is one, unless it only sorts clusters: by environment, by provider.
    fn in_folder_of_clusters(&self, folder: &Folder) -> Vec<Unit> {
        let mut units = Vec::new();
        for child in &folder.folders {
            let name = last_part(&child.path);
            if is_shared(name) {
                continue;
            }
            let inner: Vec<(usize, bool)> =
                self.split(child, |_| true).into_iter().filter(|(_, told)| *told).collect();
            if inner.len() > 1 {
                units.extend(inner.into_iter().map(|(i, told)| {
                    let path = &child.folders[i].path;
                    unit(Place::Folder(path.clone()), last_part(path), &child.path, told)
                }));
            } else {
                units.push(unit(
                    Place::Folder(child.path.clone()),
                    name,
                    folder_of(&folder.path),
                    true,
                ));
            }
        }
        units.extend(self.files(folder, true));
        units
    }

    /// The subfolders that are clusters beside each other, and whether more than a clash says so.
    fn split(&self, folder: &Folder, is_open: impl Fn(usize) -> bool) -> Vec<(usize, bool)> {
        let may = may_hold_clusters(last_part(&folder.path));
        let mut siblings = Siblings::default();
        let name = |i: usize| last_part(&folder.folders[i].path);
        let telling = |i: usize| {
            let is_led_to = self.led_to.contains(core(name(i)).as_str());
            is_led_to || tells_a_cluster(name(i)) || environment(name(i)).is_some()
        };
        let (open, parts): (Vec<usize>, Vec<usize>) = (0..folder.folders.len())
            .filter(|&i| is_open(i))
            .partition(|&i| telling(i) || !is_no_cluster(name(i)));
        for &i in &open {
            self.note(&folder.folders[i].path, i, telling(i), may, &mut siblings);
        }
        // `istio` beside `apps` may each be a cluster: only their control planes can tell.
        for i in parts.into_iter().filter(|&i| !is_shared(name(i))) {
            self.note_told(&folder.folders[i].path, i, &mut siblings);
        }
        let mut split = siblings.clusters(&telling);
        if !split.is_empty() {
            split.extend(open.into_iter().filter(|&i| telling(i)).map(|i| (i, true)));
        }
        let mut told = BTreeMap::new();
        for (i, is_told) in split {
            *told.entry(i).or_insert(false) |= is_told;
        }
        if told.len() < 2 { Vec::new() } else { told.into_iter().collect() }
    }

    /// Notes the names of clusters that a folder tells.
    fn note_told(&self, path: &str, child: usize, siblings: &mut Siblings) {
        for (by, name) in self.tree.below(path).flat_map(|file| &self.signs[file].told) {
            let by = siblings.told.entry(by.clone()).or_default();
            by.entry(child).or_default().insert(name.clone());
        }
    }

    /// A folder beside one that has clusters, whose resources tell the name of another cluster, is that.
    fn part_strangers(&self, folder: &Folder, nested: &mut [Vec<Unit>]) {
        let told = |i: usize| -> BTreeSet<&str> {
            let signs = self.tree.below(&folder.folders[i].path).map(|file| &self.signs[file]);
            let told = signs.flat_map(|s| &s.told).filter(|(by, _)| !by.starts_with("values "));
            told.map(|(_, name)| name.as_str()).collect()
        };
        let (known, rest): (Vec<usize>, Vec<usize>) =
            (0..nested.len()).partition(|&i| !nested[i].is_empty());
        let known: BTreeSet<&str> = known.into_iter().flat_map(told).collect();
        for i in rest.into_iter().filter(|_| !known.is_empty()) {
            let path = &folder.folders[i].path;
            let names = told(i);
            if names.len() == 1 && names.is_disjoint(&known) && !is_no_cluster(last_part(path)) {
                nested[i] =
                    vec![unit(Place::Folder(path.clone()), last_part(path), &folder.path, true)];
            }
        }
    }

    /// Notes what a folder holds that its siblings may hold too.
    fn note(&self, path: &str, child: usize, telling: bool, may: bool, siblings: &mut Siblings) {
        self.note_told(path, child, siblings);
        for file in self.tree.below(path) {
            let signs = &self.signs[file];
            let relative = &self.tree.name(file)[path.len()..];
            for marker in &signs.markers {
                siblings.alike.entry(format!("{relative} {marker}")).or_default().insert(child);
            }
            for id in signs.ids.iter().filter(|id| telling || may && !id.starts_with("Namespace "))
            {
                siblings.named.entry(id.clone()).or_default().insert(child);
            }
        }
        let Some(node) = self.graph.in_folder(path) else { return };
        for &base in &self.graph.nodes[node].nodes {
            let base_folder = self.graph.nodes[base].folder;
            if !ancestors(base_folder).any(|a| a == path) {
                let key = format!("{base_folder} {}", self.graph.renames(node));
                siblings.overlays.entry(key).or_default().insert(child);
            }
        }
    }

    /// Files beside each other that are clusters: their control planes have different names, or their
    /// names differ in the word for a cluster and they hold the same.
    fn files(&self, folder: &Folder, all: bool) -> Vec<Unit> {
        let is_open = |f: &&usize| {
            !is_kustomization(self.tree.name(**f))
                && !self.patches.contains(f)
                && !self.taken.contains(f)
        };
        let open: Vec<usize> = folder.files.iter().filter(is_open).copied().collect();
        let mut names: BTreeMap<usize, String> = BTreeMap::new();
        let mut by: BTreeMap<&str, BTreeMap<usize, &str>> = BTreeMap::new();
        for &file in &open {
            let Some(name) = self.signs[file].name() else { continue };
            // Values of one cluster may be in several files: only their names tell them apart.
            let own = stem(self.tree.name(file));
            let tells = |by: &str| {
                !by.starts_with("values ") || token(own).is_some() || own.ends_with(name) || all
            };
            for (by_what, _) in self.signs[file].told.iter().filter(|(by, _)| tells(by)) {
                by.entry(by_what).or_default().insert(file, name);
            }
        }
        for files in by.into_values() {
            let distinct: BTreeSet<&str> = files.values().copied().collect();
            if distinct.len() > 1 {
                names.extend(files.into_iter().map(|(file, name)| (file, name.to_owned())));
            }
        }
        for group in self.patterns(&open, all) {
            let told = |file: usize| self.signs[file].name();
            for (file, word) in &group {
                // Two that tell one name are a mistake of copying, not one cluster.
                let again =
                    |(other, _): &&(usize, String)| other != file && told(*other) == told(*file);
                let own = told(*file).filter(|_| group.iter().find(again).is_none());
                names.entry(*file).or_insert_with(|| own.unwrap_or(word).to_owned());
            }
        }
        let made = names.into_iter();
        made.map(|(file, name)| unit(Place::File(file), &name, &folder.path, true)).collect()
    }

    /// Groups of files whose names differ in one word and that hold the same.
    fn patterns(&self, open: &[usize], all: bool) -> Vec<Vec<(usize, String)>> {
        let mut groups: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
        for &file in open {
            let stem = stem(self.tree.name(file));
            let word = token(stem)
                .or_else(|| environment_token(stem))
                .or_else(|| all.then(|| ("*".to_owned(), stem)));
            if let Some((pattern, word)) = word {
                groups.entry(pattern).or_default().push((file, word.to_owned()));
            }
        }
        let hold_the_same = |group: &Vec<(usize, String)>| {
            let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
            group.iter().any(|(file, word)| {
                let signs = &self.signs[*file];
                let told = signs.told.iter().map(|_| "what is told");
                signs
                    .ids
                    .iter()
                    .map(String::as_str)
                    .chain(told)
                    .any(|id| *seen.entry(id).or_insert(word) != word)
            })
        };
        groups.into_values().filter(hold_the_same).collect()
    }
}

/// An environment beside one that has clusters has its own, if only one, and never theirs.
fn part_environments(folder: &Folder, nested: &mut [Vec<Unit>]) {
    let name = |i: usize| last_part(&folder.folders[i].path);
    let of_environments: Vec<&Unit> = (0..nested.len())
        .filter(|&i| environment(name(i)).is_some())
        .flat_map(|i| &nested[i])
        .collect();
    if of_environments.is_empty() {
        return;
    }
    let names: BTreeSet<String> = of_environments.iter().map(|u| u.name.clone()).collect();
    let bare = (0..nested.len()).filter(|&i| environment(name(i)).is_some());
    let bare: Vec<usize> = bare.filter(|&i| nested[i].is_empty()).collect();
    for i in bare {
        let inner = &folder.folders[i];
        let is_cluster = |f: &&Folder| {
            let name = last_part(&f.path);
            names.contains(name) || tells_a_cluster(name)
        };
        let within = inner.folders.iter().filter(is_cluster);
        nested[i] = within
            .map(|f| unit(Place::Folder(f.path.clone()), last_part(&f.path), &inner.path, true))
            .collect();
        if nested[i].is_empty() {
            let path = inner.path.clone();
            nested[i].push(unit(Place::Folder(path), name(i), &folder.path, true));
        }
    }
}

/// `values-prod`, `istio.dev`.
fn environment_token(stem: &str) -> Option<(String, &str)> {
    let (rest, last) = stem.rsplit_once(['-', '.', '_']).unwrap_or(("", stem));
    environment(last).map(|_| (format!("{rest}-*"), last))
}

fn unit(place: Place, name: &str, scope: &str, is_told: bool) -> Unit {
    let path = match &place {
        Place::Folder(path) => path.as_str(),
        Place::File(_) => scope,
    };
    let above = || ancestors(path).find_map(|a| environment(last_part(a)));
    let environment = environment(name).or_else(above);
    Unit { name: name.to_owned(), place, scope: scope.to_owned(), environment, is_told }
}

impl Folder {
    fn insert(&mut self, name: &str, file: usize) {
        let mut folder = self;
        let mut from = usize::from(name.starts_with('/'));
        while let Some(at) = name[from..].find('/') {
            let path = &name[..from + at];
            // Names come in order, so the folder is the last one or new.
            if folder.folders.last().is_none_or(|last| last.path != path) {
                folder.folders.push(Self { path: path.to_owned(), ..Self::default() });
            }
            folder = folder.folders.last_mut().expect("it was just pushed");
            from += at + 1;
        }
        folder.files.push(file);
    }
}

/// What subfolders of one folder have in common, by subfolder.
#[derive(Default)]
struct Siblings {
    /// Names of clusters by what installs them.
    told: BTreeMap<String, BTreeMap<usize, BTreeSet<String>>>,
    /// What a cluster has once, at the same place in each.
    alike: BTreeMap<String, BTreeSet<usize>>,
    /// Resources, in folders whose names speak of clusters.
    named: BTreeMap<String, BTreeSet<usize>>,
    /// Bases of which each is an overlay.
    overlays: BTreeMap<String, BTreeSet<usize>>,
}

impl Siblings {
    fn clusters(&self, telling: &impl Fn(usize) -> bool) -> Vec<(usize, bool)> {
        let mut found: Vec<(usize, bool)> = Vec::new();
        let mut single: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
        for by in self.told.values() {
            let one: Vec<(usize, &str)> = by
                .iter()
                .filter(|(_, names)| names.len() == 1)
                .flat_map(|(child, names)| names.iter().map(|n| (*child, n.as_str())))
                .collect();
            let distinct: BTreeSet<&str> = one.iter().map(|(_, name)| *name).collect();
            if distinct.len() > 1 {
                found.extend(one.iter().map(|(child, _)| (*child, true)));
            }
            for (child, name) in one {
                single.entry(child).or_default().insert(name);
            }
        }
        for children in self.alike.values().chain(self.overlays.values()).filter(|c| c.len() > 1) {
            let names: BTreeSet<Option<&BTreeSet<&str>>> =
                children.iter().map(|c| single.get(c)).collect();
            let one_cluster = names.len() == 1 && !names.contains(&None);
            if !one_cluster || children.iter().all(|c| telling(*c)) {
                found.extend(children.iter().map(|c| (*c, telling(*c))));
            }
        }
        for children in self.named.values().filter(|c| c.len() > 1) {
            found.extend(children.iter().map(|c| (*c, telling(*c))));
        }
        found
    }
}

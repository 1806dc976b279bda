//! Kustomize: which files a kustomization takes in, and what its resources look like in the end.
//!
//! `resources`, `bases`, `components`, all sorts of patches, `namespace`, `namePrefix`, `nameSuffix`,
//! labels and `replicas` are followed. Images are not; of URLs, charts and generators it is noted that
//! they bring something, of replacements what they fill in.

mod labels;
mod patch;
mod supply;
mod transform;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::supply::Supply;
use super::tree::{Tree, ancestors, folder_of, join, last_part};
use crate::kinds::delivery::Kustomization;
use crate::kinds::{Object, Resource, View};
use crate::source::{Span, Text};
use crate::yaml::{Document, Value};
use labels::Labels;

/// Whether kustomize would read a file of this name as a kustomization.
pub(super) fn is_kustomization(name: &str) -> bool {
    matches!(last_part(name), "kustomization.yaml" | "kustomization.yml" | "Kustomization")
}

/// One kustomization.
pub(super) struct Node<'i> {
    /// Its file.
    pub file: usize,
    /// The folder it stands in.
    pub folder: &'i str,
    /// Whether it only adds to the kustomizations that take it in.
    pub is_component: bool,
    /// Files it takes in.
    pub files: Vec<usize>,
    /// Kustomizations it takes in.
    pub nodes: Vec<usize>,
    /// Components it takes in.
    pub components: Vec<usize>,
    /// Files with patches.
    pub patches: BTreeSet<usize>,
    /// What it takes in or makes that is not in the input.
    supplies: Vec<Supply>,
    spec: &'i Resource<Kustomization>,
    root: Value<'i>,
}

/// All kustomizations of the input.
pub(super) struct Graph<'i> {
    pub nodes: Vec<Node<'i>>,
    by_folder: BTreeMap<&'i str, usize>,
    /// Paths that lead nowhere.
    pub missing: Vec<Text>,
    /// Files that some kustomization has, as a resource or as a patch, or in a folder that it lists.
    used: BTreeSet<usize>,
    /// Kustomizations that others take in.
    inner: BTreeSet<usize>,
    /// How many resources the input has.
    resources: usize,
}

/// Kustomizations within each other; more is no layout that anyone has.
const DEPTH: usize = 64;

/// What a build may still cost.
///
/// Kustomizations that each take in two that take in the same two double with every level. Yet no
/// resource is needed oftener than each kustomization can name it, at each of a few levels.
struct Allowance {
    left: usize,
    exceeded: bool,
}

/// A resource as a kustomization makes it.
#[derive(Clone)]
pub(super) struct Made<'i> {
    /// The file it was taken from.
    pub file: usize,
    /// What it has become.
    pub object: Arc<Object>,
    /// What it was.
    origin: &'i Object,
    /// Its text, as patched so far.
    document: Option<Arc<Document>>,
    /// Labels that were put on it.
    labels: Vec<Labels<'i>>,
}

impl<'i> Made<'i> {
    /// A resource as its file has it.
    pub fn of(file: usize, object: &'i Arc<Object>) -> Self {
        let (document, labels) = (None, Vec::new());
        Self { file, object: Arc::clone(object), origin: object, document, labels }
    }
}

impl Node<'_> {
    /// Where it is written.
    pub fn written(&self) -> &Span {
        &self.spec.meta.span
    }
}

impl<'i> Graph<'i> {
    pub fn of(tree: &Tree<'i>) -> Self {
        let resources = tree.files.iter().map(|f| f.objects.len()).sum();
        let mut graph = Self {
            nodes: Vec::new(),
            by_folder: BTreeMap::new(),
            missing: Vec::new(),
            used: BTreeSet::new(),
            inner: BTreeSet::new(),
            resources,
        };
        for (name, file) in tree.in_order().filter(|(name, _)| is_kustomization(name)) {
            let object =
                tree.files[file].objects.iter().find(|o| matches!(o.view, View::Kustomization(_)));
            if let Some(object) = object
                && let View::Kustomization(spec) = &object.view
                && !graph.by_folder.contains_key(folder_of(name))
            {
                graph.by_folder.insert(folder_of(name), graph.nodes.len());
                graph.nodes.push(Node {
                    file,
                    folder: folder_of(name),
                    is_component: object.meta.kind.as_str() == "Component",
                    files: Vec::new(),
                    nodes: Vec::new(),
                    components: Vec::new(),
                    patches: BTreeSet::new(),
                    supplies: supply::made(spec),
                    spec,
                    root: object.tree.value(),
                });
            }
        }
        for node in 0..graph.nodes.len() {
            graph.connect(tree, node);
        }
        let files = graph.nodes.iter().flat_map(|n| n.files.iter().chain(&n.patches));
        graph.used.extend(files);
        graph.inner =
            graph.nodes.iter().flat_map(|n| n.nodes.iter().chain(&n.components)).copied().collect();
        graph
    }

    fn connect(&mut self, tree: &Tree<'i>, at: usize) {
        let (folder, spec) = (self.nodes[at].folder, self.nodes[at].spec);
        for path in spec.resources.iter().chain(&spec.bases) {
            let Some(target) = join(folder, path) else {
                self.nodes[at].supplies.extend(supply::remote(path));
                continue;
            };
            if let Some(file) = tree.find(&target) {
                self.nodes[at].files.push(file);
            } else if let Some(&node) = self.by_folder.get(target.as_str()) {
                self.nodes[at].nodes.push(node);
            } else if tree.has_folder(&target) {
                self.used.extend(tree.below(&target));
            } else {
                self.missing.push(path.clone());
                self.nodes[at].supplies.push(supply::missing(path));
            }
        }
        for path in &spec.components {
            let target = join(folder, path);
            match target.as_deref().map(|t| self.by_folder.get(t)) {
                Some(Some(&node)) => self.nodes[at].components.push(node),
                Some(None) => {
                    self.missing.push(path.clone());
                    self.nodes[at].supplies.push(supply::missing(path));
                }
                None => self.nodes[at].supplies.extend(supply::remote(path)),
            }
        }
        let paths =
            spec.patches.iter().chain(&spec.patches_json_6902).filter_map(|p| p.path.as_ref());
        let merged = spec.patches_strategic_merge.iter().filter(|text| !text.contains('\n'));
        for path in paths.chain(merged) {
            match join(folder, path).map(|target| tree.find(&target)) {
                Some(Some(file)) => drop(self.nodes[at].patches.insert(file)),
                Some(None) => self.missing.push(path.clone()),
                None => {}
            }
        }
    }

    /// The kustomization in a folder.
    pub fn in_folder(&self, folder: &str) -> Option<usize> {
        self.by_folder.get(folder).copied()
    }

    /// The kustomizations, among some, that none of the others takes in. Of those that take in each
    /// other, the first.
    pub fn roots(&self, among: impl Fn(&Node<'i>) -> bool) -> Vec<usize> {
        let all: Vec<usize> = (0..self.nodes.len()).filter(|&n| among(&self.nodes[n])).collect();
        let taken: BTreeSet<usize> = all
            .iter()
            .flat_map(|&n| {
                self.nodes[n]
                    .nodes
                    .iter()
                    .chain(&self.nodes[n].components)
                    .filter(move |&&t| t != n)
            })
            .copied()
            .collect();
        let mut roots: Vec<usize> = all
            .iter()
            .copied()
            .filter(|n| !taken.contains(n) && !self.nodes[*n].is_component)
            .collect();
        let mut seen = BTreeSet::new();
        roots.iter().for_each(|&root| self.reach(root, &mut seen));
        for n in all.into_iter().filter(|&n| !self.nodes[n].is_component) {
            if !seen.contains(&n) {
                self.reach(n, &mut seen);
                roots.push(n);
            }
        }
        roots
    }

    /// Adds a kustomization and all that it takes in, in turn.
    pub fn reach(&self, node: usize, seen: &mut BTreeSet<usize>) {
        let mut rest = vec![node];
        while let Some(node) = rest.pop() {
            if seen.insert(node) {
                rest.extend(self.nodes[node].nodes.iter().chain(&self.nodes[node].components));
            }
        }
    }

    /// All files of a kustomization and of those it takes in: resources, patches, the kustomizations.
    pub fn files(&self, node: usize) -> BTreeSet<usize> {
        let mut nodes = BTreeSet::new();
        self.reach(node, &mut nodes);
        let of = |n: usize| {
            let node = &self.nodes[n];
            node.files.iter().chain(&node.patches).copied().chain([node.file])
        };
        nodes.into_iter().flat_map(of).collect()
    }

    /// What a kustomization and those it takes in bring that is not in the input. The namespace of the
    /// outermost counts.
    pub fn supplies(&self, root: usize) -> Vec<Supply> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        let mut rest: Vec<(usize, Option<&str>)> = vec![(root, None)];
        while let Some((at, above)) = rest.pop() {
            let node = &self.nodes[at];
            let own = node.spec.namespace.as_ref().filter(|ns| !ns.is_empty());
            let namespace = above.or(own.map(|ns| ns.as_str()));
            if !seen.insert((at, namespace)) {
                continue;
            }
            found.extend(node.supplies.iter().cloned().map(|mut supply| {
                supply.namespace = namespace.map(str::to_owned).or(supply.namespace);
                supply
            }));
            rest.extend(node.nodes.iter().chain(&node.components).map(|&n| (n, namespace)));
        }
        found
    }

    /// Files that some kustomization has as a patch and none as a resource.
    pub fn patch_files(&self) -> BTreeSet<usize> {
        let taken = self.taken();
        let patches = self.nodes.iter().flat_map(|n| n.patches.iter().copied());
        patches.filter(|file| !taken.contains(file)).collect()
    }

    /// Files that some kustomization takes in.
    pub fn taken(&self) -> BTreeSet<usize> {
        self.nodes.iter().flat_map(|n| n.files.iter().copied()).collect()
    }

    /// Whether a kustomization stands beside this file and takes in other things.
    pub fn passes_over(&self, folder: &str) -> bool {
        self.in_folder(folder).is_some_and(|n| {
            let node = &self.nodes[n];
            !node.files.is_empty() || !node.nodes.is_empty() || !node.patches.is_empty()
        })
    }

    /// Whether no kustomization takes a file in, though one stands beside it; or above it, if it is the
    /// nearest and is surely built, so that what it does not list comes from nowhere.
    pub fn leaves_out(
        &self,
        tree: &Tree<'i>,
        file: usize,
        is_built: impl Fn(&Node<'i>) -> bool,
    ) -> bool {
        let name = tree.name(file);
        if is_kustomization(name) || self.used.contains(&file) {
            return false;
        }
        let Some(node) = ancestors(folder_of(name)).find_map(|folder| self.in_folder(folder))
        else {
            return false;
        };
        let folder = self.nodes[node].folder;
        let is_beside = folder == folder_of(name);
        self.passes_over(folder)
            && (is_beside || self.inner.contains(&node) || is_built(&self.nodes[node]))
    }

    /// What tells apart two kustomizations of one base that can live in one cluster.
    pub fn renames(&self, node: usize) -> String {
        let spec = &self.nodes[node].spec.spec;
        let parts = [&spec.namespace, &spec.name_prefix, &spec.name_suffix];
        parts.map(|p| p.as_ref().map_or("", |t| t.as_str())).join(" ")
    }

    /// The resources of a kustomization, in the order of its lists, as they are applied; and the path
    /// at which following it would have taken too long.
    pub fn build(&self, tree: &Tree<'i>, node: usize) -> (Vec<Made<'i>>, Option<&'i Text>) {
        let mut made = Vec::new();
        let left = 10_000 + self.resources.saturating_mul(self.nodes.len()).saturating_mul(8);
        let mut allowance = Allowance { left, exceeded: false };
        self.add(tree, node, &mut made, &mut Vec::new(), &mut allowance);
        let spec = &self.nodes[node].spec.spec;
        let mut paths = spec.resources.iter().chain(&spec.bases).chain(&spec.components);
        (made, allowance.exceeded.then(|| paths.next()).flatten())
    }

    fn add(
        &self,
        tree: &Tree<'i>,
        at: usize,
        all: &mut Vec<Made<'i>>,
        above: &mut Vec<usize>,
        allowance: &mut Allowance,
    ) {
        // A kustomization that takes in itself is refused by kustomize; here it just ends.
        if above.contains(&at) {
            return;
        }
        if above.len() >= DEPTH || allowance.left == 0 {
            allowance.exceeded = true;
            return;
        }
        above.push(at);
        let node = &self.nodes[at];
        // A component changes what is there already, anything else only what it takes in itself.
        let mut made = if node.is_component { std::mem::take(all) } else { Vec::new() };
        for &file in &node.files {
            let objects = tree.files[file].objects.iter();
            made.extend(objects.map(|object| Made::of(file, object)));
        }
        for &node in node.nodes.iter().chain(&node.components) {
            self.add(tree, node, &mut made, above, allowance);
        }
        allowance.left = allowance.left.saturating_sub(1 + made.len());
        transform::apply(tree, node, &mut made);
        above.pop();
        all.extend(made);
    }
}

//! What Flux and Argo CD bring to which cluster: folders, values files, values.

use std::collections::BTreeSet;

use super::facts::{Facts, Origin};
use super::installs::Installed;
use super::kustomize::{Graph, Made, Node};
use super::params::{Params, asks_outside, made_by, render};
use super::signs::values_of;
use super::substitution::Substitution;
use super::supply::{self, Kinds, Supply};
use super::tree::{Tree, ancestors, folder_of, join, last_part};
use super::variables::LazyHolders;
use crate::kinds::control_plane::Values;
use crate::kinds::delivery::{
    Application, ApplicationSet, Destination, FluxKustomization, HelmChartSpec, HelmRelease,
    KubeConfig, Source,
};
use crate::kinds::{Meta, Object, Resource, View, is_placeholder};
use crate::source::{Sources, Span, Text};
use crate::yaml::{self, Value};

/// Where something is brought to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The cluster of the object that says so.
    Own,
    /// A cluster by the name Flux or Argo CD knows it by.
    Named(String),
    /// A cluster by its API server only.
    Server(String),
    /// Any of the clusters: which, is told outside the input.
    Every,
}

/// One thing that is brought to a cluster.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The file with the object that says so.
    pub from: usize,
    /// Where it is brought to.
    pub to: Target,
    /// The folder that is brought.
    pub folder: Option<String>,
    /// Where the folder is named, unless something is filled in there that is not followed.
    pub at: Option<Span>,
    /// The repository of the folder, and its revision, as far as they are told.
    pub source: String,
    /// The namespace that objects get which name none.
    pub namespace: Option<String>,
    /// What of the folders below is brought too, where there is no kustomization.
    pub below: Below,
    /// Whether what is brought differs from what the folder makes.
    pub is_patched: bool,
    /// What is filled into it after the build.
    pub substitution: Option<Substitution>,
    /// Values files that are used.
    pub files: Vec<usize>,
    /// What values tell of the cluster.
    pub facts: Facts,
    /// What it brings that is not in the input.
    pub unseen: Option<Supply>,
    /// Whether it is a folder that is not in the input, so that nothing more is known of its cluster.
    pub is_lost: bool,
}

/// What is brought of the folders below the one that is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Below {
    /// Nothing.
    Nothing,
    /// All manifests: Argo CD with `directory.recurse`.
    AsIs,
    /// What the kustomizations there make, and all manifests elsewhere: Flux, which makes a kustomization
    /// of it. Source: `fluxcd/pkg/kustomize`, `kustomize_generator.go`, `generateKustomization`.
    Built,
}

/// What a resource brings anywhere, as it stands in its file or as a delivery makes it.
pub(super) fn of(tree: &Tree<'_>, made: &Made<'_>) -> Vec<Delivery> {
    let file = made.file;
    match &made.object.view {
        View::FluxKustomization(r) => vec![flux(tree, file, &r.meta, &r.spec)],
        View::HelmRelease(r) if r.spec.kube_config.is_some() => vec![release(file, r)],
        View::Application(r) => {
            let app = Rendered { tree, file, meta: &r.meta, params: &Params::default() };
            let mut facts = facts_of(values_of(&r.spec));
            let charts = r.spec.source.iter().chain(&r.spec.sources).filter(|s| s.chart.is_some());
            for chart in charts {
                facts.note(Installed::of_source(&r.meta, chart));
            }
            vec![app.delivery(&r.spec, facts)]
        }
        View::ApplicationSet(r) => made
            .text(tree)
            .map(|document| application_set(tree, file, &r.meta, &r.spec, document.root()))
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// Whether a resource brings anything anywhere.
pub(super) fn delivers(object: &Object) -> bool {
    match &object.view {
        View::HelmRelease(release) => release.spec.kube_config.is_some(),
        View::FluxKustomization(_) | View::Application(_) | View::ApplicationSet(_) => true,
        _ => false,
    }
}

fn release(from: usize, release: &Resource<HelmRelease>) -> Delivery {
    let (meta, spec) = (&release.meta, &release.spec);
    let HelmChartSpec { chart, version } = &spec.chart.spec;
    let mut facts = facts_of([&spec.values]);
    facts.learn_chart(chart.as_ref(), version.as_ref());
    let namespace = supply::told(spec.target_namespace.as_ref().or(meta.namespace.as_ref()));
    let kinds = Kinds::of_chart(chart.as_ref().map(|chart| chart.as_str()));
    Delivery {
        facts,
        unseen: Some(supply(meta, namespace, kinds)),
        ..Delivery::nothing(from, of_kube_config(spec.kube_config.as_ref()))
    }
}

impl Delivery {
    /// One that brings nothing yet.
    fn nothing(from: usize, to: Target) -> Self {
        Self {
            from,
            to,
            folder: None,
            at: None,
            source: String::new(),
            namespace: None,
            below: Below::Nothing,
            is_patched: false,
            substitution: None,
            files: Vec::new(),
            facts: Facts::default(),
            unseen: None,
            is_lost: false,
        }
    }

    /// One of Flux, to its own cluster.
    pub fn of_flux(from: usize) -> Self {
        Self { below: Below::Built, ..Self::nothing(from, Target::Own) }
    }

    /// Takes in the variables that `ConfigMaps` hold for it.
    pub fn look_up(&mut self, tree: &Tree<'_>, holders: &LazyHolders<'_>) {
        let folder = folder_of(tree.name(self.from));
        if let Some(fill) = self.substitution.as_mut().filter(|fill| fill.is_held()) {
            fill.look_up(holders, folder);
        }
    }

    /// The files it brings: values files, and those of its folder.
    pub fn brought(&self, tree: &Tree<'_>, graph: &Graph<'_>) -> BTreeSet<usize> {
        let mut files: BTreeSet<usize> = self.files.iter().copied().collect();
        let Some(folder) = &self.folder else { return files };
        if let Some(node) = graph.in_folder(folder) {
            files.extend(graph.files(node));
        } else if let Some(chart) = tree.find(&format!("{folder}/Chart.yaml")) {
            // Of a chart's values files only the default one is used unasked.
            files.insert(chart);
            files.extend(tree.find(&format!("{folder}/values.yaml")));
        } else {
            let is_inside = |node: &Node<'_>| ancestors(node.folder).any(|above| above == folder);
            let is_brought = |file: &usize| match self.below {
                Below::Nothing => folder_of(tree.name(*file)) == folder,
                Below::AsIs => true,
                Below::Built => !graph.leaves_out(tree, *file, is_inside),
            };
            files.extend(tree.below(folder).filter(is_brought));
        }
        files
    }

    /// The resources in files that it brings, as they get there.
    pub fn made<'i>(
        &self,
        tree: &Tree<'i>,
        graph: &Graph<'i>,
        files: &BTreeSet<usize>,
    ) -> Vec<Made<'i>> {
        let (mut made, mut built) = (Vec::new(), BTreeSet::new());
        for root in graph.roots(|node| files.contains(&node.file)) {
            built.extend(graph.files(root));
            made.extend(graph.build(tree, root).0);
        }
        for &file in files.difference(&built) {
            let objects = tree.files[file].objects.iter();
            made.extend(objects.map(|object| Made::of(file, object)));
        }
        if let Some(fill) = &self.substitution {
            made.iter_mut().for_each(|made| fill.apply(tree, made));
        }
        made
    }
}

fn facts_of<'v>(values: impl IntoIterator<Item = &'v Values>) -> Facts {
    let mut facts = Facts::default();
    for values in values {
        facts.learn_values_of(values, Origin::HelmValues);
    }
    facts
}

fn supply(meta: &Meta, namespace: Option<String>, kinds: Kinds) -> Supply {
    Supply { namespace, kinds, what: supply::called(meta), at: meta.name.span }
}

fn flux(tree: &Tree<'_>, from: usize, meta: &Meta, spec: &FluxKustomization) -> Delivery {
    let path = spec.path.as_ref().map_or("", |path| path.as_str());
    let folder = tree.resolve(from, path);
    // `./` of the repository that is read.
    let own = spec.source_ref.name.as_ref().is_none_or(|name| name.as_str() == "flux-system");
    let is_root = path.trim_start_matches("./").trim_matches(['/', '.']).is_empty();
    let is_lost = folder.is_none() && !(own && is_root);
    let target = supply::told(spec.target_namespace.as_ref());
    let changes = [&spec.patches, &spec.patches_strategic_merge, &spec.patches_json_6902];
    let named = |text: &Option<Text>| text.as_ref().map_or(String::new(), |t| t.value.clone());
    Delivery {
        to: of_kube_config(spec.kube_config.as_ref()),
        folder,
        at: spec.path.as_ref().filter(|_| !meta.is_filled_in).map(|path| path.span),
        source: format!("{} {}", named(&spec.source_ref.kind), named(&spec.source_ref.name)),
        namespace: target.clone(),
        is_patched: changes.iter().any(|list| !list.is_empty()) || !spec.components.is_empty(),
        substitution: Substitution::of(meta, &spec.post_build),
        unseen: is_lost.then(|| supply(meta, target, Kinds::Any)),
        is_lost,
        ..Delivery::of_flux(from)
    }
}

/// `east` of a Secret called `east-kubeconfig`.
fn of_kube_config(config: Option<&KubeConfig>) -> Target {
    let Some(name) = config.and_then(|c| c.secret_ref.name.as_ref()) else { return Target::Own };
    let mut short = name.trim_start_matches("kubeconfig-");
    for end in ["-kubeconfig", "-kube-config", "-kubecfg", ".kubeconfig"] {
        short = short.strip_suffix(end).unwrap_or(short);
    }
    Target::Named(short.to_owned())
}

/// An Application, written so or made by an ApplicationSet with these parameters.
struct Rendered<'r, 'i> {
    tree: &'r Tree<'i>,
    file: usize,
    meta: &'r Meta,
    params: &'r Params,
}

impl Rendered<'_, '_> {
    fn text(&self, text: Option<&Text>) -> Option<String> {
        let text = render(text?, self.params);
        (!text.is_empty() && !is_placeholder(&text)).then_some(text)
    }

    fn delivery(&self, app: &Application, mut facts: Facts) -> Delivery {
        let sources: Vec<&Source> = app.source.iter().chain(&app.sources).collect();
        for source in &sources {
            facts.learn_chart(source.chart.as_ref(), source.target_revision.as_ref());
        }
        let mut folders = sources.iter().filter_map(|source| {
            let path = source.path.as_ref()?;
            Some((self.tree.resolve(self.file, &self.text(Some(path))?)?, path.span, *source))
        });
        let (folder, at, source) = match folders.next() {
            Some((folder, at, source)) => (Some(folder), Some(at), source.revision()),
            None => (None, None, String::new()),
        };
        let files = sources.iter().flat_map(|s| self.value_files(s, folder.as_deref())).collect();
        let unseen = self.unseen(app, &sources);
        Delivery {
            namespace: self.text(app.destination.namespace.as_ref()),
            below: if sources.iter().any(|s| s.directory.recurse) {
                Below::AsIs
            } else {
                Below::Nothing
            },
            is_patched: sources.iter().any(|source| source.changes_its_folder()),
            folder,
            at: at.filter(|_| !self.meta.is_filled_in),
            source,
            files,
            facts,
            unseen,
            ..Delivery::nothing(self.file, self.target(&app.destination))
        }
    }

    /// What the sources bring that is not in the input: charts, and folders of other repositories.
    fn unseen(&self, app: &Application, sources: &[&Source]) -> Option<Supply> {
        let target = self.text(app.destination.namespace.as_ref());
        for source in sources {
            if let Some(chart) = &source.chart {
                return Some(supply(self.meta, target, Kinds::of_chart(Some(chart))));
            }
            let Some(path) = &source.path else { continue };
            let rendered = self.text(Some(path));
            let is_root =
                rendered.as_ref().is_some_and(|path| path.trim_matches(['.', '/']).is_empty());
            let folder = rendered.and_then(|path| self.tree.resolve(self.file, &path));
            let has_chart =
                |folder: &String| self.tree.find(&format!("{folder}/Chart.yaml")).is_some();
            if is_root || folder.as_ref().is_some_and(|folder| !has_chart(folder)) {
                continue;
            }
            // What brings Applications beside itself may bring anything anywhere.
            let own = self.meta.namespace.as_ref().map_or("argocd", |ns| ns.as_str());
            let target = target.filter(|target| folder.is_some() || target != own);
            return Some(supply(self.meta, target, Kinds::Any));
        }
        None
    }

    fn target(&self, destination: &Destination) -> Target {
        if let Some(name) = self.text(destination.name.as_ref()) {
            return if name == "in-cluster" { Target::Own } else { Target::Named(name) };
        }
        let Some(server) = self.text(destination.server.as_ref()) else { return Target::Own };
        let host = server
            .split("://")
            .last()
            .unwrap_or_default()
            .split(['/', ':'])
            .next()
            .unwrap_or_default();
        if host.starts_with("kubernetes.default") {
            return Target::Own;
        }
        // Elements of a list name their clusters, though two may have got the same server by mistake.
        let named = ["cluster", "clusterName", "cluster_name", "name"];
        let name =
            named.iter().find_map(|key| self.params.get(*key)).filter(|n| !is_placeholder(n));
        name.map_or_else(|| Target::Server(host.to_owned()), |name| Target::Named(name.clone()))
    }

    /// `$values/clusters/east/values.yaml` counts from the root of another source.
    fn value_files(&self, source: &Source, folder: Option<&str>) -> Vec<usize> {
        let find = |path: &Text| {
            let path = self.text(Some(path))?;
            if let Some(rest) = path.strip_prefix('$') {
                let (_, rest) = rest.split_once('/')?;
                let inside = self.tree.resolve(self.file, folder_of(rest))?;
                return self.tree.find(&join(&inside, last_part(rest))?);
            }
            self.tree.find(&join(folder?, &path)?)
        };
        source.helm.value_files.iter().filter_map(find).collect()
    }
}

fn application_set(
    tree: &Tree<'_>,
    file: usize,
    meta: &Meta,
    spec: &ApplicationSet,
    root: Value<'_>,
) -> Vec<Delivery> {
    let list = root.at(&["spec", "generators"]);
    let generators = list.into_iter().flat_map(Value::items);
    let elements: Vec<Params> = generators.flat_map(|g| made_by(tree, file, g)).collect();
    let app = &spec.template.spec;
    let mut found: Vec<Delivery> = elements
        .iter()
        .map(|params| {
            let mut facts = facts_of(values_of(app));
            for text in app.source.iter().chain(&app.sources).filter_map(|s| s.helm.values.as_ref())
            {
                facts.absorb(from_text(text, params));
            }
            facts.change(&|text| render(text, params));
            let mut made = Rendered { tree, file, meta, params }.delivery(app, facts);
            made.is_patched |= spec.template_patch.is_some();
            made
        })
        .collect();
    if list.is_some_and(|list| list.items().any(asks_outside)) {
        let blank = Rendered { tree, file, meta, params: &Params::default() };
        let unseen = blank.delivery(app, Facts::default()).unseen;
        found.extend(unseen.map(|unseen| Delivery {
            unseen: Some(unseen),
            ..Delivery::nothing(file, Target::Every)
        }));
    }
    found
}

/// Values as a text with parameters in it: it is YAML only when they are filled in, so all that it
/// tells stands at the place of the whole text.
fn from_text(text: &Text, params: &Params) -> Facts {
    let mut sources = Sources::default();
    let mut facts = Facts::default();
    if let Ok(file) = sources.add("values", render(text, params)) {
        let stream = yaml::parse(&sources.file(file).text, 0);
        let values: Vec<Values> =
            stream.documents.iter().filter_map(|d| d.root().read().0).collect();
        facts = facts_of(&values);
    }
    facts.stand_at(text.span);
    facts
}

//! What Flux and Argo CD bring to which cluster: folders, values files, values.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::facts::{Facts, Origin};
use super::installs::Installed;
use super::signs::values_of;
use super::substitution::Substitution;
use super::supply::{self, Kinds, Supply};
use super::tree::{Tree, ancestors, folder_of, join, last_part};
use crate::kinds::control_plane::Values;
use crate::kinds::delivery::{
    Application, ApplicationSet, Destination, FluxKustomization, KubeConfig, Source,
};
use crate::kinds::{Meta, Object, View, is_placeholder};
use crate::source::{Sources, Text};
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

/// Everything that is brought anywhere.
pub(super) fn all(tree: &Tree<'_>) -> Vec<Delivery> {
    let mut found = Vec::new();
    for (_, file) in tree.in_order() {
        for object in &tree.files[file].objects {
            match &object.view {
                View::FluxKustomization(r) => found.push(flux(tree, file, &r.meta, &r.spec)),
                View::HelmRelease(r) if r.spec.kube_config.is_some() => {
                    let to = of_kube_config(r.spec.kube_config.as_ref());
                    let mut facts = facts_of([&r.spec.values]);
                    facts.learn_chart(
                        r.spec.chart.spec.chart.as_ref(),
                        r.spec.chart.spec.version.as_ref(),
                    );
                    let chart = r.spec.chart.spec.chart.as_ref().map(|chart| chart.as_str());
                    let target = r.spec.target_namespace.as_ref().or(r.meta.namespace.as_ref());
                    let unseen = supply(&r.meta, supply::told(target), Kinds::of_chart(chart));
                    found.push(Delivery {
                        from: file,
                        to,
                        folder: None,
                        namespace: None,
                        below: Below::Nothing,
                        is_patched: false,
                        substitution: None,
                        files: Vec::new(),
                        facts,
                        unseen: Some(unseen),
                        is_lost: false,
                    });
                }
                View::Application(r) => {
                    let app = Rendered { tree, file, meta: &r.meta, params: &Params::default() };
                    let mut facts = facts_of(values_of(&r.spec));
                    for source in r.spec.source.iter().chain(&r.spec.sources) {
                        if source.chart.is_some() {
                            facts.note(Installed::of_source(&r.meta, source));
                        }
                    }
                    found.push(app.delivery(&r.spec, facts));
                }
                View::ApplicationSet(r) => {
                    found.extend(application_set(tree, file, object, &r.spec));
                }
                _ => {}
            }
        }
    }
    found
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
    let folder = resolve(tree, from, path);
    // `./` of the repository that is read.
    let own = spec.source_ref.name.as_ref().is_none_or(|name| name.as_str() == "flux-system");
    let is_root = path.trim_start_matches("./").trim_matches(['/', '.']).is_empty();
    let is_lost = folder.is_none() && !(own && is_root);
    let target = supply::told(spec.target_namespace.as_ref());
    Delivery {
        from,
        to: of_kube_config(spec.kube_config.as_ref()),
        folder,
        namespace: target.clone(),
        below: Below::Built,
        files: Vec::new(),
        facts: Facts::default(),
        is_patched: !spec.patches.is_empty(),
        substitution: Substitution::of(&spec.post_build),
        unseen: is_lost.then(|| supply(meta, target, Kinds::Any)),
        is_lost,
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

/// A folder of the repository. Its root is not known: it is one of the folders above the object, the
/// nearest that has such a folder; or, where only a part of the repository is analysed, it is above.
fn resolve(tree: &Tree<'_>, from: usize, path: &str) -> Option<String> {
    let path = path.trim_start_matches("./").trim_matches('/');
    if path.is_empty() || path == "." || is_placeholder(path) {
        return None;
    }
    let here = folder_of(tree.name(from));
    let below =
        |path: &str| ancestors(here).filter_map(|a| join(a, path)).find(|f| tree.has_folder(f));
    below(path).or_else(|| {
        let (_, rest) = path.split_once('/')?;
        below(rest).filter(|f| f.contains('/'))
    })
}

/// What a generator fills in, by name.
pub(super) type Params = BTreeMap<String, String>;

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
        let folder_of_source =
            |s: &&Source| resolve(self.tree, self.file, &self.text(s.path.as_ref())?);
        let folder = sources.iter().find_map(folder_of_source);
        let files = sources.iter().flat_map(|s| self.value_files(s, folder.as_deref())).collect();
        let unseen = self.unseen(app, &sources);
        Delivery {
            from: self.file,
            to: self.target(&app.destination),
            namespace: self.text(app.destination.namespace.as_ref()),
            below: if sources.iter().any(|s| s.directory.recurse) {
                Below::AsIs
            } else {
                Below::Nothing
            },
            is_patched: sources
                .iter()
                .any(|s| !s.kustomize.patches.is_empty() || !s.kustomize.replicas.is_empty()),
            substitution: None,
            folder,
            files,
            facts,
            unseen,
            is_lost: false,
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
            let folder = rendered.and_then(|path| resolve(self.tree, self.file, &path));
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
                let inside = resolve(self.tree, self.file, folder_of(rest))?;
                return self.tree.find(&join(&inside, last_part(rest))?);
            }
            self.tree.find(&join(folder?, &path)?)
        };
        source.helm.value_files.iter().filter_map(find).collect()
    }
}

/// `{{name}}`, `{{ .name }}` and `{{ .values.name }}` of Argo CD.
pub(super) fn render(text: &str, params: &Params) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((key, after)) = after.split_once("}}") else { break };
        out.push_str(before);
        match params.get(key.trim().trim_start_matches('.')) {
            Some(value) => out.push_str(value),
            None => out.extend(["{{", key, "}}"]),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn application_set(
    tree: &Tree<'_>,
    file: usize,
    object: &Arc<Object>,
    spec: &ApplicationSet,
) -> Vec<Delivery> {
    let Some(root) = tree.document(file, object).map(yaml::Document::root) else {
        return Vec::new();
    };
    let generators = root.at(&["spec", "generators"]).into_iter().flat_map(Value::items);
    let elements: Vec<Params> = generators.flat_map(|g| made_by(tree, file, g)).collect();
    let app = &spec.template.spec;
    let meta = &object.meta;
    let mut found: Vec<Delivery> = elements
        .iter()
        .map(|params| {
            let mut facts = facts_of(values_of(app));
            for text in app.source.iter().chain(&app.sources).filter_map(|s| s.helm.values.as_ref())
            {
                facts.absorb(from_text(text, params));
            }
            facts.change(&|text| render(text, params));
            Rendered { tree, file, meta, params }.delivery(app, facts)
        })
        .collect();
    if root.at(&["spec", "generators"]).is_some_and(|list| list.items().any(asks_outside)) {
        let blank = Rendered { tree, file, meta, params: &Params::default() };
        let unseen = blank.delivery(app, Facts::default()).unseen;
        found.extend(unseen.map(|unseen| Delivery {
            from: file,
            to: Target::Every,
            folder: None,
            namespace: None,
            below: Below::Nothing,
            is_patched: false,
            substitution: None,
            files: Vec::new(),
            facts: Facts::default(),
            unseen: Some(unseen),
            is_lost: false,
        }));
    }
    found
}

/// Whether a generator asks somebody else than the repository: Argo CD for its clusters, a forge.
fn asks_outside(generator: Value<'_>) -> bool {
    let inner = ["matrix", "merge"].map(|nested| generator.at(&[nested, "generators"]));
    let is_nested = inner.iter().any(Option::is_some);
    let known = generator.get("list").is_some() || generator.at(&["git", "directories"]).is_some();
    inner.into_iter().flatten().flat_map(Value::items).any(asks_outside) || !is_nested && !known
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

/// No ApplicationSet that somebody reads makes more.
const MOST: usize = 10_000;

/// What a generator makes: elements of lists, nested keys as `values.name`; folders that git finds; each
/// with each of a matrix.
fn made_by(tree: &Tree<'_>, from: usize, generator: Value<'_>) -> Vec<Params> {
    let nested = |key: &str| generator.at(&[key, "generators"]).into_iter().flat_map(Value::items);
    let mut found = Vec::new();
    for element in generator.at(&["list", "elements"]).into_iter().flat_map(Value::items) {
        let mut params = Params::new();
        flatten("", element, &mut params);
        found.push(params);
    }
    found.extend(folders(tree, from, generator));
    found.extend(nested("merge").flat_map(|inner| made_by(tree, from, inner)));
    // What nobody in the input can tell leaves its parameters open.
    let told = nested("matrix").map(|inner| made_by(tree, from, inner)).filter(|m| !m.is_empty());
    found.extend(told.reduce(|all, next| product(&all, &next)).unwrap_or_default());
    found
}

/// Each with each.
fn product(one: &[Params], other: &[Params]) -> Vec<Params> {
    let with = |a: &Params, b: &Params| a.clone().into_iter().chain(b.clone()).collect();
    one.iter().flat_map(|a| other.iter().map(move |b| with(a, b))).take(MOST).collect()
}

/// Keys and texts of an element, nested keys as `values.name`.
pub(super) fn flatten(prefix: &str, value: Value<'_>, params: &mut Params) {
    for (key, value) in value.entries() {
        let key = format!("{prefix}{}", key.text().unwrap_or_default());
        match value.text() {
            Some(text) => drop(params.insert(key, text.into_owned())),
            None => flatten(&format!("{key}."), value, params),
        }
    }
}

/// Folders that a git generator finds: `clusters/*`.
fn folders(tree: &Tree<'_>, from: usize, generator: Value<'_>) -> Vec<Params> {
    let directories = generator.at(&["git", "directories"]).into_iter().flat_map(Value::items);
    let excludes = |d: &Value<'_>| {
        d.get("exclude").and_then(Value::text).is_some_and(|exclude| exclude == "true")
    };
    let globs = directories.filter(|d| !excludes(d)).filter_map(|d| d.get("path")?.text());
    let mut found = Vec::new();
    for glob in globs {
        let Some(parent) = glob.strip_suffix("/*").filter(|p| !p.contains('*')) else { continue };
        let Some(parent) = resolve(tree, from, parent) else { continue };
        let child = |file: usize| {
            let rest = tree.name(file).strip_prefix(parent.as_str())?.strip_prefix('/')?;
            rest.split_once('/').map(|(child, _)| child.to_owned())
        };
        let mut children: Vec<String> = tree.below(&parent).filter_map(child).collect();
        children.dedup();
        for child in children {
            let path = format!("{parent}/{child}");
            let keys = ["path", "path.path", "path.basename", "path.basenameNormalized"];
            let values = [path.clone(), path, child.clone(), child];
            found.push(keys.map(str::to_owned).into_iter().zip(values).collect());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Params, render};

    #[test]
    fn parameters_are_filled_in() {
        let params: Params = [("name", "east"), ("values.net", "n1")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        assert_eq!(render("a-{{name}}-{{ .values.net }}", &params), "a-east-n1");
        assert_eq!(render("{{name}} {{other}} {{", &params), "east {{other}} {{");
    }
}

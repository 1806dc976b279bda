//! Views of what delivers manifests to clusters: kustomize, Flux, Argo CD.

use serde::Deserialize;

use super::control_plane::Values;
use super::parts::Anything;
use crate::source::{Spanned, Text};
use crate::yaml::{Entries, Value};

/// A `kustomization.yaml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Kustomization {
    /// Files and folders it takes in.
    pub resources: Vec<Text>,
    /// Folders it takes in: the old word.
    pub bases: Vec<Text>,
    /// Components it takes in.
    pub components: Vec<Text>,
    /// Files that change resources.
    pub patches: Vec<Patch>,
    /// Files (or inline YAML) that change resources: the old word.
    pub patches_strategic_merge: Vec<Text>,
    /// JSON patches: the old word.
    #[serde(rename = "patchesJson6902")]
    pub patches_json_6902: Vec<Patch>,
    /// Namespace of everything in it.
    pub namespace: Option<Text>,
    /// Put before each name.
    pub name_prefix: Option<Text>,
    /// Put after each name.
    pub name_suffix: Option<Text>,
    /// Replica counts by workload name.
    pub replicas: Vec<Replicas>,
    /// Labels for everything, and for what selects or makes pods where they say so.
    pub labels: Vec<Labels>,
    /// Labels for everything, for selectors and for pods: the old word.
    pub common_labels: Entries<Text>,
    /// Charts it renders.
    pub helm_charts: Vec<RenderedChart>,
    /// Charts it renders: the old word.
    pub helm_chart_inflation_generator: Vec<RenderedChart>,
    /// Files that describe generators of resources.
    pub generators: Vec<Text>,
    /// Secrets it makes.
    pub secret_generator: Vec<Generated>,
    /// `ConfigMaps` it makes.
    pub config_map_generator: Vec<Generated>,
    /// Fields it fills in from others.
    pub replacements: Vec<Replacement>,
}

/// An entry of `labels`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Labels {
    /// The labels.
    pub pairs: Entries<Text>,
    /// Whether selectors and pods get them too.
    pub include_selectors: bool,
    /// Whether pods get them too.
    pub include_templates: bool,
}

/// A chart that a kustomization renders.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RenderedChart {
    /// Its name.
    pub name: Option<Text>,
    /// Its name: the old word.
    pub chart_name: Option<Text>,
    /// Namespace of the release.
    pub namespace: Option<Text>,
}

/// An entry of `secretGenerator` or `configMapGenerator`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Generated {
    /// Name of what is made, before a hash is put after it.
    pub name: Option<Text>,
    /// Its namespace.
    pub namespace: Option<Text>,
}

/// An entry of `replacements`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Replacement {
    /// The file it stands in.
    pub path: Option<Text>,
    /// What is filled in.
    pub targets: Vec<ReplacementTarget>,
}

/// Where a replacement fills in a value.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ReplacementTarget {
    /// The resources.
    pub select: PatchTarget,
}

/// A patch of a kustomization.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Patch {
    /// The file it stands in.
    pub path: Option<Text>,
    /// The patch itself.
    pub patch: Option<Text>,
    /// What it changes.
    pub target: Option<PatchTarget>,
}

/// What a patch changes; each part is a regular expression over the whole value.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PatchTarget {
    /// API group.
    pub group: Option<String>,
    /// API version.
    pub version: Option<String>,
    /// Kind.
    pub kind: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Namespace.
    pub namespace: Option<String>,
    /// Labels, as `key=value` with commas between.
    pub label_selector: Option<String>,
}

/// An entry of `replicas`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Replicas {
    /// Name of the workload.
    pub name: Option<Text>,
    /// How many.
    pub count: Option<Spanned<u32>>,
}

/// `spec` of a Flux Kustomization.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FluxKustomization {
    /// The folder it applies, from the root of the repository.
    pub path: Option<Text>,
    /// The cluster it applies to; its own where absent.
    pub kube_config: Option<KubeConfig>,
    /// Namespace of everything in it.
    pub target_namespace: Option<Text>,
    /// What changes what the folder makes.
    pub patches: Vec<Anything>,
    /// The same: the old words.
    pub patches_strategic_merge: Vec<Anything>,
    /// The same.
    #[serde(rename = "patchesJson6902")]
    pub patches_json_6902: Vec<Anything>,
    /// Components laid over it.
    pub components: Vec<Anything>,
    /// The repository in which the folder is.
    pub source_ref: NamedRef,
    /// What it fills in after the build.
    pub post_build: PostBuild,
}

/// `spec.postBuild` of a Flux Kustomization.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PostBuild {
    /// Values by the name of their variable: `${cluster}`.
    pub substitute: Entries<Text>,
    /// `ConfigMaps` and Secrets with further ones.
    pub substitute_from: Vec<VariablesRef>,
}

/// A `ConfigMap` or a Secret in the namespace of a Kustomization whose keys are variables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct VariablesRef {
    /// `ConfigMap` or `Secret`.
    pub kind: Option<Text>,
    /// Its name.
    pub name: Option<Text>,
}

/// A kubeconfig in a Secret.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KubeConfig {
    /// The Secret.
    pub secret_ref: NamedRef,
}

/// Something by name: a Secret, a repository.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NamedRef {
    /// Its kind.
    pub kind: Option<Text>,
    /// Its name.
    pub name: Option<Text>,
}

/// `spec` of a Flux HelmRelease.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HelmRelease {
    /// The chart.
    pub chart: HelmChart,
    /// Its values.
    pub values: Values,
    /// Where further values come from, under the ones that stand here.
    pub values_from: Vec<serde::de::IgnoredAny>,
    /// The cluster it installs to; its own where absent.
    pub kube_config: Option<KubeConfig>,
    /// Namespace of the release.
    pub target_namespace: Option<Text>,
}

/// `chart` of a HelmRelease.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HelmChart {
    /// Its `spec`.
    pub spec: HelmChartSpec,
}

/// Name and version of a chart.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HelmChartSpec {
    /// `istiod`, `base`, `gateway`, `ztunnel`, ...
    pub chart: Option<Text>,
    /// Its version.
    pub version: Option<Text>,
}

/// `spec` of an Argo CD Application.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Application {
    /// What it applies.
    pub source: Option<Source>,
    /// What it applies, if several.
    pub sources: Vec<Source>,
    /// Where to.
    pub destination: Destination,
}

/// Source of an Application.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Source {
    /// A folder of the repository.
    pub path: Option<Text>,
    /// A chart.
    pub chart: Option<Text>,
    /// The repository.
    #[serde(rename = "repoURL")]
    pub repo_url: Option<Text>,
    /// Version of the chart, or revision of the repository.
    #[serde(rename = "targetRevision")]
    pub target_revision: Option<Text>,
    /// Values of the chart.
    pub helm: Helm,
    /// How a folder of plain manifests is read.
    pub directory: Directory,
    /// What changes what the folder makes.
    pub kustomize: KustomizeOptions,
    /// A program that makes something of the folder.
    pub plugin: Option<Anything>,
}

impl Source {
    /// Whether something is laid over what the folder makes.
    pub fn changes_its_folder(&self) -> bool {
        let KustomizeOptions { patches, replicas, components } = &self.kustomize;
        [patches, replicas, components].iter().any(|list| !list.is_empty()) || self.plugin.is_some()
    }

    /// The repository and its revision, as far as they are told.
    pub fn revision(&self) -> String {
        let told = [&self.repo_url, &self.target_revision];
        told.map(|text| text.as_ref().map_or("", |text| text.as_str())).join(" ")
    }
}

impl Source {
    /// The values of its chart: an object, or else a text. Source: `ApplicationSourceHelm.ValuesYAML`.
    pub fn values(&self) -> Option<&Values> {
        self.helm.values_object.as_ref().or(self.helm.inline_values.as_deref())
    }
}

/// `kustomize` of a source.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct KustomizeOptions {
    /// Patches.
    pub patches: Vec<Anything>,
    /// Numbers of replicas.
    pub replicas: Vec<Anything>,
    /// Components.
    pub components: Vec<Anything>,
}

/// `directory` of a source.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Directory {
    /// Whether folders below are read too.
    pub recurse: bool,
}

/// `helm` of a source.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Helm {
    /// Values, as an object.
    pub values_object: Option<Values>,
    /// Values files.
    pub value_files: Vec<Text>,
    /// Values, as a text of YAML.
    pub values: Option<Text>,
    /// What that text holds, its spans at their true places.
    #[serde(skip)]
    pub inline_values: Option<Box<Values>>,
    /// Single values by their path.
    pub parameters: Vec<HelmParameter>,
}

/// A single value of a chart.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HelmParameter {
    /// Its path: `global.network`.
    pub name: Option<Text>,
    /// The value.
    pub value: Option<Text>,
}

/// Where an Application is applied.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Destination {
    /// The cluster's name in Argo CD.
    pub name: Option<Text>,
    /// The cluster's API server.
    pub server: Option<Text>,
    /// The namespace.
    pub namespace: Option<Text>,
}

/// `spec` of an ApplicationSet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ApplicationSet {
    /// The Application it makes.
    pub template: ApplicationTemplate,
    /// A patch for it, with templates in it.
    pub template_patch: Option<Text>,
}

/// Template of an ApplicationSet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ApplicationTemplate {
    /// `spec` of the Applications.
    pub spec: Application,
}

impl Application {
    /// Reads `helm.values` of its sources, which are texts of YAML.
    pub(super) fn read_inline_values(&mut self, spec: Option<Value<'_>>) {
        let Some(spec) = spec else { return };
        let read = |source: Value<'_>| {
            let stream = source.at(&["helm", "values"])?.embedded();
            stream.documents.first()?.root().read::<Values>().0.map(Box::new)
        };
        if let (Some(source), Some(value)) = (&mut self.source, spec.get("source")) {
            source.helm.inline_values = read(value);
        }
        let values = spec.get("sources").into_iter().flat_map(Value::items);
        for (source, value) in self.sources.iter_mut().zip(values) {
            source.helm.inline_values = read(value);
        }
    }
}

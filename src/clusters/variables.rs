//! Variables that Flux takes from `ConfigMaps` and Secrets: `postBuild.substituteFrom`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::kustomize::{Graph, Made, is_kustomization};
use super::tree::{Tree, ancestors, folder_of};
use crate::kinds::delivery::VariablesRef;
use crate::kinds::{View, is_placeholder};

/// Values by the names of variables; none where one exists that is not to be known.
pub(super) type Variables = BTreeMap<String, Option<String>>;

/// A `ConfigMap` or a Secret in the input.
struct Holder {
    /// The folder of what brings it first: a kustomization that no other takes in, or its file.
    folder: String,
    namespace: Option<String>,
    variables: Variables,
}

/// What all `ConfigMaps` and Secrets of the input hold, by kind and name.
pub(super) struct Holders(BTreeMap<(String, String), Vec<Holder>>);

/// [`Holders`], found when the first of them is asked for.
pub(super) type LazyHolders<'l> = LazyLock<Holders, Box<dyn FnOnce() -> Holders + 'l>>;

impl Holders {
    pub fn lazy<'l>(tree: &'l Tree<'_>, graph: &'l Graph<'_>) -> LazyHolders<'l> {
        LazyLock::new(Box::new(|| Self::of(tree, graph)))
    }

    fn of(tree: &Tree<'_>, graph: &Graph<'_>) -> Self {
        let mut found = Self(BTreeMap::new());
        let holds = |file: &usize| {
            let mut views = tree.files[*file].objects.iter().map(|object| &object.view);
            views.any(|view| matches!(view, View::ConfigMap(_) | View::Secret(_)))
        };
        for root in graph.roots(|_| true) {
            if graph.files(root).iter().any(holds) {
                let folder = graph.nodes[root].folder;
                graph.build(tree, root).0.iter().for_each(|made| found.enter(folder, made));
            }
        }
        let (taken, patches) = (graph.taken(), graph.patch_files());
        let is_alone = |name: &str, file: &usize| {
            !taken.contains(file) && !patches.contains(file) && !is_kustomization(name)
        };
        for (name, file) in tree.in_order().filter(|(name, file)| is_alone(name, file)) {
            for object in &tree.files[file].objects {
                found.enter(folder_of(name), &Made::of(file, object));
            }
        }
        found
    }

    fn enter(&mut self, folder: &str, made: &Made<'_>) {
        let meta = &made.object.meta;
        let is_told = |value: &str| {
            !meta.is_filled_in && !is_placeholder(value) && !value.starts_with("ENC[")
        };
        let variables: Variables = match &made.object.view {
            View::ConfigMap(map) => {
                let told = |value: &str| is_told(value).then(|| value.to_owned());
                map.spec.data.iter().map(|(key, v)| (key.value.clone(), told(v))).collect()
            }
            View::Secret(secret) => {
                let entries = secret.spec.data.iter().chain(secret.spec.string_data.iter());
                entries.map(|(key, _)| (key.value.clone(), None)).collect()
            }
            _ => return,
        };
        let holder = Holder {
            folder: folder.to_owned(),
            namespace: meta.namespace.as_ref().map(|ns| ns.value.clone()),
            variables,
        };
        let key = (meta.kind.value.clone(), meta.name.value.clone());
        self.0.entry(key).or_default().push(holder);
    }

    /// What an object holds, as a Kustomization of this namespace sees it that comes from this folder:
    /// the nearest of that name. One that stands beside the way down to the folder may be another
    /// cluster's, unless there are others of its name elsewhere, so that each cluster has its own.
    pub fn get(
        &self,
        asked: &VariablesRef,
        namespace: Option<&str>,
        here: &str,
    ) -> Option<&Variables> {
        let (kind, name) = (asked.kind.as_ref()?, asked.name.as_ref()?);
        let all = self.0.get(&(kind.value.clone(), name.value.clone()))?;
        let may_be = |holder: &&Holder| {
            holder.namespace.as_deref().is_none_or(|own| namespace.is_none_or(|ns| ns == own))
        };
        let within = |folder: &str| -> Vec<&Holder> {
            let is_within =
                |holder: &&Holder| ancestors(&holder.folder).any(|above| above == folder);
            all.iter().filter(may_be).filter(is_within).collect()
        };
        let (above, near) = ancestors(here)
            .map(|above| (above, within(above)))
            .find(|(_, near)| !near.is_empty())?;
        let [holder] = near.as_slice() else { return None };
        let is_on_the_way = above == here || above == holder.folder;
        let is_its_own = is_on_the_way || all.iter().filter(may_be).count() > 1;
        is_its_own.then_some(&holder.variables)
    }
}

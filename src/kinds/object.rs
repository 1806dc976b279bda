//! The resources of a document, each with the view of its kind.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::meta::{Meta, head};
use super::{ISTIO_GROUPS, RETIRED_GROUPS, View, kubeconfig, view};
use crate::source::{FileId, Text};
use crate::yaml::{Document, Mismatch, Shape, Subtree, Value};

/// Why a document of the input is not a resource that we look into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unread {
    /// No `apiVersion` and `kind`: Helm values, CI files and the like.
    NotKubernetes,
    /// A kind that no rule reads.
    UnknownKind,
}

/// A resource of whatever kind, or the reason why it is none.
#[derive(Clone, Debug)]
pub struct Object {
    /// What every resource has.
    pub meta: Arc<Meta>,
    /// The kind's own view.
    pub view: View,
    /// Fields whose value has not the shape Kubernetes wants.
    pub mismatches: Vec<Mismatch>,
    /// Its whole text.
    pub tree: Subtree,
}

impl Object {
    /// Changes what the resource is called, in its head and in its view alike.
    pub fn change_meta(&mut self, change: impl Fn(&mut Meta)) {
        change(Arc::make_mut(&mut self.meta));
        if let Some(meta) = self.view.meta_mut() {
            change(meta);
        }
    }
}

/// The resources of a document: one, or those of a `List` (nested ones too), or none and why.
pub fn objects(document: &Arc<Document>, file: Option<FileId>) -> Result<Vec<Object>, Unread> {
    let mut found = Vec::new();
    let (mut kubernetes, mut known) = (false, false);
    let mut rest = vec![document.root()];
    // Aliases of one item are one resource, however often lists of lists name it.
    let mut opened = BTreeSet::new();
    while let Some(root) = rest.pop() {
        if !opened.insert(root.target()) {
            continue;
        }
        let mut mismatches = Vec::new();
        let meta = head(root, file, &mut mismatches);
        let Some(meta) = meta.or_else(|| kustomization_without_kind(root, file)) else { continue };
        kubernetes = true;
        if let Some(items) = items(&meta, root) {
            known = true;
            rest.extend(items.into_iter().rev());
            continue;
        }
        let view = whole_view(&meta, root, &mut mismatches);
        let is_istio = ISTIO_GROUPS.iter().chain(RETIRED_GROUPS).any(|it| *it == meta.group());
        let tree = Subtree::new(Arc::clone(document), root);
        // A resource of whatever kind has to have a sound head.
        known |= !matches!(view, View::Other) || is_istio || !mismatches.is_empty();
        found.push(Object { meta: Arc::new(meta), view, mismatches, tree });
    }
    match (kubernetes, known) {
        (false, _) => Err(Unread::NotKubernetes),
        (true, false) => Err(Unread::UnknownKind),
        (true, true) => Ok(found),
    }
}

/// What a list holds; `None` for what is no list.
fn items<'d>(meta: &Meta, root: Value<'d>) -> Option<Vec<Value<'d>>> {
    let is_called_list = meta.kind.ends_with("List") && meta.group() != "kustomize.config.k8s.io";
    let items = || root.get("items").into_iter().flat_map(Value::items).collect::<Vec<_>>();
    let items = is_called_list.then(items)?;
    (!items.is_empty() || meta.kind.as_str() == "List").then_some(items)
}

/// The view of a resource, with what it holds as a text.
fn whole_view(meta: &Meta, root: Value<'_>, mismatches: &mut Vec<Mismatch>) -> View {
    let mut view = view(meta, root, mismatches);
    match &mut view {
        View::ConfigMap(map) => Arc::make_mut(map).spec.read_embedded(root, mismatches),
        View::Secret(secret) => {
            Arc::make_mut(secret).spec.kubeconfigs = kubeconfig::held(meta, root);
        }
        View::Application(app) => Arc::make_mut(app).spec.read_inline_values(root.get("spec")),
        // Definitions of others' kinds are of no interest.
        View::Definition(_)
            if !meta.name.ends_with(".istio.io")
                && !meta.name.ends_with(".gateway.networking.k8s.io") =>
        {
            return View::Other;
        }
        _ => {}
    }
    view
}

/// kustomize takes a `kustomization.yaml` without `apiVersion` and `kind`.
fn kustomization_without_kind(root: Value<'_>, file: Option<FileId>) -> Option<Meta> {
    let lists =
        ["resources", "bases", "components", "patches", "patchesStrategicMerge", "generators"];
    // A chart's values may have `resources` too, but those are a mapping.
    lists.iter().find(|key| root.get(key).is_some_and(|list| list.shape() == Shape::Sequence))?;
    let named = |text: &str| Text::new(text.to_owned(), root.span());
    Some(Meta {
        api_version: named("kustomize.config.k8s.io/v1beta1"),
        kind: named("Kustomization"),
        span: root.span(),
        file,
        ..Meta::default()
    })
}

//! Patches of a kustomization: their texts, what they are for, laying them over resources.

use std::sync::Arc;

use super::{Made, Node};
use crate::api::whole_pattern;
use crate::clusters::tree::{Tree, join};
use crate::kinds::delivery::{Patch, PatchTarget};
use crate::kinds::{Meta, View};
use crate::source::{Span, Text};
use crate::yaml::{self, Document, Shape, Value};

/// The text of a patch, read, and what it is for.
pub(super) struct Patching<'i> {
    documents: Vec<Document>,
    target: Option<&'i PatchTarget>,
}

/// `patchesStrategicMerge` and `patches`, in kustomize's order.
pub(super) fn merges<'i>(tree: &Tree<'i>, node: &Node<'i>) -> Vec<Patching<'i>> {
    let spec = &node.spec.spec;
    let mut all = Vec::new();
    for (i, text) in spec.patches_strategic_merge.iter().enumerate() {
        let inline = || Some(nth(node.root, "patchesStrategicMerge", i)?.embedded().documents);
        let documents = if text.contains('\n') { inline() } else { from_file(tree, node, text) };
        all.extend(documents.map(|documents| Patching { documents, target: None }));
    }
    all.extend(targeted(tree, node, "patches", &spec.patches));
    all
}

/// `patchesJson6902`.
pub(super) fn json<'i>(tree: &Tree<'i>, node: &Node<'i>) -> Vec<Patching<'i>> {
    targeted(tree, node, "patchesJson6902", &node.spec.spec.patches_json_6902)
}

fn targeted<'i>(
    tree: &Tree<'i>,
    node: &Node<'i>,
    key: &str,
    list: &'i [Patch],
) -> Vec<Patching<'i>> {
    let read = |(i, patch): (usize, &'i Patch)| {
        let inline = || Some(nth(node.root, key, i)?.get("patch")?.embedded().documents);
        let documents = match &patch.path {
            Some(path) => from_file(tree, node, path),
            None => inline(),
        };
        Some(Patching { documents: documents?, target: patch.target.as_ref() })
    };
    list.iter().enumerate().filter_map(read).collect()
}

fn nth<'d>(root: Value<'d>, key: &str, i: usize) -> Option<Value<'d>> {
    root.get(key)?.items().nth(i)
}

fn from_file(tree: &Tree<'_>, node: &Node<'_>, path: &Text) -> Option<Vec<Document>> {
    let file = tree.find(&join(node.folder, path)?)?;
    let source = tree.sources.file(tree.files[file].file);
    Some(yaml::parse(&source.text, source.base).documents)
}

impl Patching<'_> {
    /// Lays the patch over each resource it is for.
    pub fn apply(&self, tree: &Tree<'_>, made: &mut Vec<Made<'_>>) {
        for patch in &self.documents {
            made.retain_mut(|made| !self.is_for(patch, made) || change(tree, patch, made));
        }
    }

    fn is_for(&self, patch: &Document, made: &Made<'_>) -> bool {
        let (now, then) = (&made.object.meta, &made.origin.meta);
        match self.target {
            Some(target) => matches(target, now) || matches(target, then),
            None => is_named(patch.root(), now) || is_named(patch.root(), then),
        }
    }
}

/// Whether a patch names a resource by kind, name and (where it has one) namespace.
fn is_named(patch: Value<'_>, meta: &Meta) -> bool {
    let is =
        |path: &[&str], text: &str| patch.at(path).and_then(Value::text).is_some_and(|t| t == text);
    let group = patch.get("apiVersion").and_then(Value::text);
    let group = group.as_deref().map_or("", |v| v.split_once('/').map_or("", |(group, _)| group));
    let namespace = patch.at(&["metadata", "namespace"]).and_then(Value::text);
    let unnamed = meta.name.is_empty() && patch.at(&["metadata", "name"]).is_none();
    is(&["kind"], &meta.kind)
        && group == meta.group()
        && (unnamed || is(&["metadata", "name"], &meta.name))
        && namespace.is_none_or(|ns| meta.namespace.as_ref().is_none_or(|own| *ns == *own.value))
}

pub(super) fn matches(target: &PatchTarget, meta: &Meta) -> bool {
    let namespace = meta.namespace.as_ref().map_or("", |ns| ns.as_str());
    let version = meta.api_version.rsplit('/').next().unwrap_or_default();
    let told = [
        (&target.group, meta.group()),
        (&target.version, version),
        (&target.kind, meta.kind.as_str()),
        (&target.name, meta.name.as_str()),
        (&target.namespace, namespace),
    ];
    told.into_iter().all(|(pattern, text)| is_whole_match(pattern.as_deref(), text))
        && target.label_selector.as_deref().is_none_or(|s| selects(s, meta))
}

/// kustomize anchors its regular expressions; an empty one matches everything.
fn is_whole_match(pattern: Option<&str>, text: &str) -> bool {
    let Some(pattern) = pattern.filter(|p| !p.is_empty()) else { return true };
    let is_plain =
        pattern.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/'));
    if is_plain {
        return pattern == text;
    }
    whole_pattern(pattern).is_some_and(|whole| whole.is_match(text))
}

/// Only `key=value` and `key==value` are understood; a patch with another selector is left out.
fn selects(selector: &str, meta: &Meta) -> bool {
    selector.split(',').all(|part| {
        let Some((key, value)) = part.split_once('=') else { return false };
        let value = value.trim_start_matches('=').trim();
        meta.label(key.trim()).is_some_and(|label| label.as_str() == value)
    })
}

/// Changes a resource; false where the patch deletes it.
fn change(tree: &Tree<'_>, patch: &Document, made: &mut Made<'_>) -> bool {
    let Some(before) = made.text(tree) else { return true };
    let after = if patch.root().shape() == Shape::Sequence {
        match before.patched_by_json(patch.root()) {
            Ok(after) => after,
            // kustomize refuses the whole build; the resource is still worth a look as it is.
            Err(_) => return true,
        }
    } else {
        before.patched(patch)
    };
    if after.root().is_null() {
        return false;
    }
    made.rewrite(tree, &before, Arc::new(after), patch.root().span());
    true
}

impl Made<'_> {
    /// Its text, as patched so far.
    pub fn text(&self, tree: &Tree<'_>) -> Option<Arc<Document>> {
        let written = || tree.document(self.file, self.origin);
        self.document.clone().or_else(written)
    }

    /// Gives it another text, which something at `layer` made of the one before.
    pub fn rewrite(
        &mut self,
        tree: &Tree<'_>,
        before: &Arc<Document>,
        after: Arc<Document>,
        layer: Span,
    ) {
        let file = Some(tree.files[self.file].file);
        let read = |document: &Arc<Document>| {
            crate::kinds::objects(document, file).ok()?.into_iter().next()
        };
        let (Some(was), Some(mut object)) = (read(before), read(&after)) else { return };
        // What the kustomizations within have renamed stays renamed, unless the patch itself renames.
        let (written, now) = (was.meta, Arc::clone(&self.object.meta));
        object.change_meta(|meta| {
            meta.span = now.span;
            meta.is_filled_in = now.is_filled_in;
            meta.layers.clone_from(&now.layers);
            meta.layers.push(layer);
            if meta.name == written.name {
                meta.name.clone_from(&now.name);
            }
            if meta.namespace == written.namespace {
                meta.namespace.clone_from(&now.namespace);
            }
        });
        if let (View::Workload(old), View::Workload(now), View::Workload(new)) =
            (&was.view, &self.object.view, &mut object.view)
            && old.replicas.as_ref().map(|r| r.span) == new.replicas.as_ref().map(|r| r.span)
        {
            Arc::make_mut(new).spec.replicas = now.replicas;
        }
        for labels in &self.labels {
            labels.put_on(&mut object);
        }
        self.object = Arc::new(object);
        self.document = Some(after);
    }
}

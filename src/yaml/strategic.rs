//! Strategic merge patches as kustomize applies them.

use std::borrow::Cow;

use super::Document;
use super::tree::{Key, Tree};
use super::value::Value;

impl Document {
    /// This document with a strategic merge patch laid over it, as kustomize does: mappings are
    /// merged, `null` and `$patch: delete` delete, lists of `containers`, `ports`, `env`, `volumes` and
    /// the like are merged by their key for Kubernetes' own kinds and replaced for all others. Kind,
    /// name and namespace stay. Spans keep pointing at the text each value came from.
    ///
    /// The root is null where the patch deletes the whole document.
    pub fn patched(&self, patch: &Self) -> Self {
        let root = self.root();
        let text = |key: &str| root.get(key).and_then(Value::text).unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        let schema = is_built_in(&version).then_some(&*kind);
        let place = Place { schema, depth: 0, parent: "", field: "" };
        let Some(patch) = Tree::of(patch.root()) else { return self.clone() };
        merge(Tree::of(root), patch, place).map_or_else(Self::nothing, Tree::into_document)
    }
}

/// Whether an `apiVersion` is of Kubernetes' own groups: `v1`, `apps/v1`, `networking.k8s.io/v1`.
fn is_built_in(version: &str) -> bool {
    version
        .split_once('/')
        .is_none_or(|(group, _)| !group.contains('.') || group.ends_with(".k8s.io"))
}

/// Where in a document two values are merged.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The kind, where it is one of Kubernetes' own.
    schema: Option<&'a str>,
    /// How many keys lead here.
    depth: usize,
    /// The last key but one on the way, and the last.
    parent: &'a str,
    field: &'a str,
}

impl<'a> Place<'a> {
    fn under(self, field: &'a str) -> Self {
        Self { depth: self.depth + 1, parent: self.field, field, ..self }
    }

    /// Whether this tells which object it is: a patch does not change that.
    fn is_identity(self) -> bool {
        match self.depth {
            1 => self.field == "kind",
            2 => self.parent == "metadata" && matches!(self.field, "name" | "namespace"),
            _ => false,
        }
    }

    /// What identifies the items of a list, from `x-kubernetes-patch-merge-key` of the API's schema.
    /// All but the first key may be missing.
    fn merge_keys(self) -> Option<&'static [&'static str]> {
        let kind = self.schema?;
        Some(match (self.field, self.parent) {
            (
                "containers"
                | "initContainers"
                | "ephemeralContainers"
                | "env"
                | "volumes"
                | "imagePullSecrets"
                | "webhooks",
                _,
            ) => &["name"],
            ("ports", "containers" | "initContainers" | "ephemeralContainers") => {
                &["containerPort", "protocol"]
            }
            ("ports", _) if kind == "Service" => &["port", "protocol"],
            ("volumeMounts", _) => &["mountPath"],
            ("volumeDevices", _) => &["devicePath"],
            ("topologySpreadConstraints", _) => &["topologyKey"],
            ("hostAliases", _) => &["ip"],
            ("secrets", _) if kind == "ServiceAccount" => &["name"],
            ("conditions", _) => &["type"],
            ("ownerReferences", _) => &["uid"],
            _ => return None,
        })
    }
}

/// The value with the patch laid over it; `None` where the patch deletes it.
fn merge<'t>(base: Option<Tree<'t>>, patch: Tree<'t>, place: Place<'_>) -> Option<Tree<'t>> {
    let directive = directive(&patch);
    match (patch, base) {
        (Tree::Scalar(value), _) => (!value.is_null()).then_some(Tree::Scalar(value)),
        (Tree::Mapping(..), _) if directive.as_deref() == Some("delete") => None,
        (Tree::Mapping(_, changes), Some(Tree::Mapping(span, entries)))
            if directive.as_deref() != Some("replace") =>
        {
            Some(Tree::Mapping(span, merge_entries(entries, changes, place)))
        }
        (Tree::Mapping(span, changes), _) => {
            Some(Tree::Mapping(span, merge_entries(Vec::new(), changes, place)))
        }
        (Tree::Sequence(_, changes), Some(Tree::Sequence(span, items)))
            if place.merge_keys().is_some() && !changes.iter().any(is_replace_marker) =>
        {
            Some(Tree::Sequence(span, merge_items(items, changes, place)))
        }
        (Tree::Sequence(span, changes), _) => {
            Some(Tree::Sequence(span, merge_items(Vec::new(), changes, place)))
        }
    }
}

fn merge_entries<'t>(
    mut entries: Vec<(Key<'t>, Tree<'t>)>,
    changes: Vec<(Key<'t>, Tree<'t>)>,
    place: Place<'_>,
) -> Vec<(Key<'t>, Tree<'t>)> {
    for (key, change) in changes {
        let text = key.text.clone();
        let place = place.under(&text);
        if text.starts_with('$') || place.is_identity() {
            continue;
        }
        match entries.iter().position(|(name, _)| name.text == text) {
            Some(at) => {
                let (name, old) = entries.remove(at);
                if let Some(new) = merge(Some(old), change, place) {
                    entries.insert(at, (name, new));
                }
            }
            None => entries.extend(merge(None, change, place).map(|new| (key, new))),
        }
    }
    entries
}

/// Items of the patch come first, each merged with the item of the same key, as kustomize orders them.
fn merge_items<'t>(
    mut items: Vec<Tree<'t>>,
    changes: Vec<Tree<'t>>,
    place: Place<'_>,
) -> Vec<Tree<'t>> {
    let keys = place.merge_keys().unwrap_or_default();
    let mut merged = Vec::new();
    for change in changes.into_iter().filter(|change| !is_replace_marker(change)) {
        let same = items.iter().position(|old| is_same(old, &change, keys));
        let old = same.map(|at| items.remove(at));
        merged.extend(merge(old, change, place));
    }
    merged.extend(items);
    merged
}

fn is_same(old: &Tree<'_>, new: &Tree<'_>, keys: &[&str]) -> bool {
    let same = |key: &&str| {
        let of = |tree: &Tree<'_>| match tree.get(key).and_then(Tree::text) {
            Some(text) => Some(text.into_owned()),
            None => (*key == "protocol").then(|| "TCP".to_owned()),
        };
        of(old) == of(new)
    };
    keys.first().is_some_and(|key| new.get(key).is_some()) && keys.iter().all(same)
}

fn directive<'t>(patch: &Tree<'t>) -> Option<Cow<'t, str>> {
    patch.get("$patch").and_then(Tree::text)
}

/// An item `$patch: replace` says that the others replace the list.
fn is_replace_marker(item: &Tree<'_>) -> bool {
    directive(item).as_deref() == Some("replace")
}

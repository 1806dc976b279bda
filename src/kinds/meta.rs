//! What resources of all kinds have: names, labels, who owns them, what their controllers say.

use std::ops::Deref;

use serde::Deserialize;

use crate::source::{FileId, Span, Text};
use crate::yaml::{Entries, Mismatch, Value};

/// What every resource has: `apiVersion`, `kind` and `metadata`.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// `group/version`, or `v1` for the core group.
    pub api_version: Text,
    /// The kind.
    pub kind: Text,
    /// `metadata.name`.
    pub name: Text,
    /// `metadata.namespace`, where it is written.
    pub namespace: Option<Text>,
    /// `metadata.labels`.
    pub labels: Entries<Text>,
    /// `metadata.annotations`.
    pub annotations: Entries<Text>,
    /// `metadata.ownerReferences`.
    pub owners: Vec<Owner>,
    /// The whole resource.
    pub span: Span,
    /// The file it stands in.
    pub file: Option<FileId>,
    /// Paths of fields whose value could not be read: not absent, but unknown.
    pub unread: Vec<String>,
    /// What deliveries laid over the text, in turn: patches, labels and values that Flux fills in, each
    /// where it stands.
    pub layers: Vec<Span>,
    /// Whether a kustomization fills in fields with values that are not followed.
    pub is_filled_in: bool,
    /// What its controllers say of it, where a dump of a cluster has that: `status.conditions`, and those
    /// of `status.parents`.
    pub conditions: Vec<Condition>,
}

/// What a controller says of a resource.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// What is judged.
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    /// `True`, `False` or `Unknown`.
    pub status: Option<Text>,
    /// The reason, in one word.
    pub reason: Option<Text>,
    /// The reason, in words.
    pub message: Option<Text>,
}

/// `status`, as far as it judges.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Vec<Condition>,
    parents: Vec<Status>,
}

/// What controllers say of a resource; nothing where the status is not of this shape.
fn conditions(root: Value<'_>) -> Vec<Condition> {
    let Some(status) = root.get("status").and_then(|s| s.read::<Status>().0) else {
        return Vec::new();
    };
    let of_parents = status.parents.into_iter().flat_map(|parent| parent.conditions);
    status.conditions.into_iter().chain(of_parents).collect()
}

/// An entry of `metadata.ownerReferences`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Owner {
    /// Kind of the owner.
    pub kind: String,
    /// Name of the owner.
    pub name: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Head {
    api_version: Option<Text>,
    kind: Option<Text>,
    metadata: Option<Metadata>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: Option<Text>,
    generate_name: Option<Text>,
    namespace: Option<Text>,
    labels: Option<Entries<Text>>,
    annotations: Option<Entries<Text>>,
    owner_references: Option<Vec<Owner>>,
}

impl Meta {
    /// The API group; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// The text that it is, and what is laid over it.
    pub fn text(&self) -> (Span, &[Span]) {
        (self.span, &self.layers)
    }

    /// Whether both are one text with the same laid over it, so that what is said of the one holds for
    /// the other.
    pub fn is_same_text(&self, other: &Self) -> bool {
        self.text() == other.text()
    }

    /// Whether something is written in a field that could not be read: `spec.replicas: ${REPLICAS}`.
    pub fn is_unread(&self, path: &str) -> bool {
        self.unread.iter().any(|unread| unread == path)
    }

    /// A label's value and place.
    pub fn label(&self, key: &str) -> Option<&Text> {
        self.labels.get(key)
    }

    /// An annotation's value and place.
    pub fn annotation(&self, key: &str) -> Option<&Text> {
        self.annotations.get(key)
    }
}

/// A resource: what all have, and what this kind has.
#[derive(Clone, Debug, Default)]
pub struct Resource<S> {
    /// Name, labels and so on.
    pub meta: Meta,
    /// The kind's own part.
    pub spec: S,
}

impl<S> Deref for Resource<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.spec
    }
}

/// What a resource is called, without looking into it; `None` where it is no Kubernetes resource.
pub(super) fn head(
    root: Value<'_>,
    file: Option<FileId>,
    mismatches: &mut Vec<Mismatch>,
) -> Option<Meta> {
    let (head, wrong) = root.read_strictly::<Head>();
    let head = head?;
    let (api_version, kind) = (head.api_version?, head.kind?);
    mismatches.extend(wrong);
    let m = head.metadata.unwrap_or_default();
    Some(Meta {
        api_version,
        kind,
        name: m.name.or(m.generate_name).unwrap_or_default(),
        namespace: m.namespace.filter(|ns| !ns.is_empty()),
        labels: m.labels.unwrap_or_default(),
        annotations: m.annotations.unwrap_or_default(),
        owners: m.owner_references.unwrap_or_default(),
        span: root.span(),
        file,
        conditions: conditions(root),
        ..Meta::default()
    })
}

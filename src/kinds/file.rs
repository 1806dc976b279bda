//! What one file holds: resources, Helm values, broken documents, comments.

use std::sync::Arc;

use super::control_plane::Values;
use super::key_text::{KeyText, PRIVATE_KEY, keys};
use super::{Object, Unread, objects, secret, template};
use crate::source::{FileId, Sources, Span};
use crate::yaml::{self, Document, DuplicateKey, SyntaxError};

/// What one file holds.
#[derive(Debug)]
pub struct Manifests {
    /// The file.
    pub file: FileId,
    /// Its resources, in order.
    pub objects: Vec<Arc<Object>>,
    /// The document of each resource, for those that stand alone in one.
    pub documents: Vec<Arc<Document>>,
    /// Helm values that tell facts of a control plane.
    pub values: Vec<Values>,
    /// Broken documents.
    pub errors: Vec<SyntaxError>,
    /// Keys that stand twice.
    pub duplicates: Vec<DuplicateKey>,
    /// Comments.
    pub comments: Vec<Span>,
    /// What no report may show, in order: values of Secrets, keys, passwords.
    pub hidden: Vec<Span>,
    /// Private keys in what is neither a Secret nor a ConfigMap.
    pub keys: Vec<KeyText>,
    /// Why nothing of the file is analysed, where that is so.
    pub skipped: Option<&'static str>,
}

/// Reads one file. Templates, empty files and foreign ones are told apart from broken ones.
pub fn manifests(sources: &Sources, file: FileId) -> Manifests {
    let source = sources.file(file);
    let mut read = Manifests {
        file,
        objects: Vec::new(),
        documents: Vec::new(),
        values: Vec::new(),
        errors: Vec::new(),
        duplicates: Vec::new(),
        comments: Vec::new(),
        hidden: Vec::new(),
        keys: Vec::new(),
        skipped: None,
    };
    if is_pem(&source.name) {
        read.hidden = secret::hidden_in_pem(source);
        return read;
    }
    let stream = yaml::parse(&source.text, source.base);
    if template::is_template(source, &stream) {
        read.skipped = Some("template");
        return read;
    }
    read.hidden = secret::hidden(source, &stream);
    if source.text.contains(PRIVATE_KEY) {
        read.keys = stream.documents.iter().flat_map(keys).collect();
    }
    let mut reasons = Vec::new();
    for document in stream.documents.into_iter().map(Arc::new) {
        match objects(&document, Some(file)) {
            Ok(found) => {
                read.duplicates.extend(document.duplicate_keys());
                read.objects.extend(found.into_iter().map(Arc::new));
                read.documents.push(document);
            }
            Err(Unread::NotKubernetes) => {
                read.values.extend(values(&document));
                reasons.push("not Kubernetes");
            }
            Err(Unread::UnknownKind) => reasons.push("kind that no rule reads"),
        }
    }
    read.comments = stream.comments;
    read.errors = stream.errors;
    let nothing = read.objects.is_empty() && read.values.is_empty();
    if nothing && !read.errors.is_empty() && !looks_like_kubernetes(&source.text) {
        // A broken file that never was a manifest is not ours to judge.
        read.errors.clear();
        reasons.push("not Kubernetes");
    }
    if nothing && read.errors.is_empty() {
        read.skipped = Some(reasons.into_iter().max().unwrap_or("empty"));
    }
    read
}

/// Whether the name is that of certificates or keys in PEM.
pub fn is_pem(name: &str) -> bool {
    let ending = name.rsplit('.').next().unwrap_or_default();
    ["pem", "crt", "key"].iter().any(|it| ending.eq_ignore_ascii_case(it))
}

fn looks_like_kubernetes(text: &str) -> bool {
    let has = |key: &str| {
        text.lines()
            .any(|line| line.trim_start_matches(['\u{feff}', ' ', '"', '{', '-']).starts_with(key))
    };
    has("apiVersion") || has("kind:") || has("kind\"")
}

/// Helm values of Istio's charts, at the top or one level down as umbrella charts nest them.
fn values(document: &Document) -> Vec<Values> {
    let root = document.root();
    let telling = ["global", "multiCluster", "meshConfig", "istiodRemote", "networkGateway"];
    let tells = |v: yaml::Value<'_>| telling.iter().any(|key| v.get(key).is_some());
    let nested = root.entries().map(|(_, value)| value);
    std::iter::once(root)
        .chain(nested)
        .filter(|v| v.shape() == yaml::Shape::Mapping && tells(*v))
        .filter_map(|v| v.read::<Values>().0)
        .filter(Values::tell_a_control_plane)
        .collect()
}

//! What one file holds: resources, Helm values, broken documents, comments.

use std::sync::{Arc, LazyLock};

use regex::Regex;

use super::control_plane::Values;
use super::{Object, Unread, objects, secret};
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
    pub documents: Vec<Document>,
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
    /// Why nothing of the file is analysed, where that is so.
    pub skipped: Option<&'static str>,
}

/// A value that begins with a template's braces, or an action of Go's templates anywhere.
static TEMPLATE: LazyLock<Regex> = LazyLock::new(|| {
    let action = r"\{\{-?\s*(?:\.|\$|/\*|if\b|else\b|end\b|range\b|with\b|include\b|template\b|define\b|toYaml\b)";
    Regex::new(&format!(r"(?m)^\s*(?:- +)?(?:[^\s#:]+:\s+)?\{{\{{|{action}"))
        .expect("a fixed pattern")
});

/// A line that opens a block scalar.
static BLOCK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^ *(?:- +)?[^\s#:{]+: +[|>][-+1-9]*(?: +#.*)?$").expect("a fixed pattern")
});

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
        skipped: None,
    };
    if is_pem(&source.name) {
        read.hidden = secret::hidden_in_pem(source);
        return read;
    }
    if is_template(&source.name, &source.text) {
        read.skipped = Some("template");
        return read;
    }
    let stream = yaml::parse(&source.text, source.base);
    read.hidden = secret::hidden(source, &stream);
    let mut reasons = Vec::new();
    for document in stream.documents {
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
    ending.eq_ignore_ascii_case("pem") || ending.eq_ignore_ascii_case("crt")
}

fn is_template(name: &str, text: &str) -> bool {
    if !text.contains("{{") || text.contains("kind: ApplicationSet") {
        return false;
    }
    name.contains("/templates/")
        || name.starts_with("templates/")
        || TEMPLATE.is_match(&without_blocks(text))
}

/// A text without what its block scalars hold: a ConfigMap may hold a template, and is none.
fn without_blocks(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let mut kept = String::with_capacity(text.len());
    let mut block = None;
    for line in text.lines() {
        if line.trim().is_empty() || block.is_some_and(|outer| indent(line) > outer) {
            continue;
        }
        block = BLOCK.is_match(line).then(|| indent(line));
        kept.push_str(line);
        kept.push('\n');
    }
    kept
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

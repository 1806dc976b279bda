//! Private keys in what is neither a Secret nor a ConfigMap: Helm values, other resources.

use crate::source::Span;
use crate::yaml::{Document, Shape, Value};

/// A text that holds a private key, or part of one.
#[derive(Clone, Debug)]
pub struct KeyText {
    /// What it is called there.
    pub name: String,
    /// Where that name stands.
    pub named_at: Span,
    /// The text: nothing for reports.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// What PEM begins a private key of any kind with, in part.
pub const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// All of a document, in order.
pub(super) fn keys(document: &Document) -> Vec<KeyText> {
    let mut found = Vec::new();
    let mut rest: Vec<(Option<Value<'_>>, Value<'_>)> = vec![(None, document.root())];
    while let Some((key, value)) = rest.pop() {
        match value.shape() {
            // What an alias stands for is met where it is written.
            _ if value.is_alias() => {}
            Shape::Sequence => rest.extend(value.items().map(|item| (key, item))),
            Shape::Mapping if is_read_elsewhere(value) => {}
            Shape::Mapping => rest.extend(value.written().map(|(key, value)| (Some(key), value))),
            Shape::Scalar => {
                let text = value.text().filter(|text| text.contains(PRIVATE_KEY));
                let name = key.and_then(|key| Some((key.text()?.into_owned(), key.span())));
                if let (Some(text), Some((name, named_at))) = (text, name) {
                    let text = text.into_owned();
                    found.push(KeyText { name, named_at, text, span: value.span() });
                }
            }
        }
    }
    found.sort_by_key(|key| key.span.start);
    found
}

/// Whether a mapping is a resource whose values are read by themselves.
fn is_read_elsewhere(mapping: Value<'_>) -> bool {
    mapping.get("apiVersion").is_some()
        && mapping
            .get("kind")
            .and_then(Value::text)
            .is_some_and(|kind| kind == "Secret" || kind == "ConfigMap")
}

//! Parts of documents that outlive the reading of them.

use std::sync::Arc;

use super::{Document, Value};

/// A node together with the document it stands in.
#[derive(Clone, Debug)]
pub struct Subtree {
    document: Arc<Document>,
    index: u32,
}

impl Subtree {
    /// Keeps a value of a document, or of a copy of that document.
    pub fn new(document: Arc<Document>, value: Value<'_>) -> Self {
        let last = document.tape.len().saturating_sub(1);
        Self { document, index: value.index.min(last) }
    }

    /// The value.
    pub fn value(&self) -> Value<'_> {
        Value { tape: &self.document.tape, index: self.index }
    }
}

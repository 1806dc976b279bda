//! Text to a spanned tree and back: parse, comments, edits. Never panics, always returns what it could read.

mod complaint;
mod de;
mod embedded;
mod error;
mod json_patch;
mod mismatch;
mod parse;
mod scalar;
mod strategic;
mod substitute;
mod subtree;
mod tape;
mod tree;
mod typed;
mod value;

use std::sync::Arc;

use crate::source::Span;

pub use scalar::Scalar;
pub use substitute::substituted;
pub use subtree::Subtree;
pub use tape::Style;
pub use typed::{Entries, IntOrString};
pub use value::{Shape, Value};

/// What one text holds: every document that could be read, and what could not.
#[derive(Debug, Default)]
pub struct Stream {
    /// Documents with content, in order; empty ones are left out.
    pub documents: Vec<Document>,
    /// Every comment, from its `#` to the end of its line.
    pub comments: Vec<Span>,
    /// Broken documents, one error each.
    pub errors: Vec<SyntaxError>,
}

/// Why a document could not be read, and where that was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// The place; at least one character where the text has one there.
    pub span: Span,
    /// What is wrong: lower case, no full stop.
    pub message: String,
}

/// A key that stands twice in one mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateKey {
    /// The key's value.
    pub key: String,
    /// Where it stands first.
    pub first: Span,
    /// Where it stands again: this one wins, as in kubectl.
    pub again: Span,
}

/// A value that has not the shape its reader wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The value.
    pub span: Span,
    /// Keys and indices from the root of the value that was read, as `spec.subsets[0].labels`.
    pub path: String,
    /// What was wanted and what is there: lower case, no full stop.
    pub message: String,
    /// Whether its reader took it all the same: a number, say, for a text.
    pub is_read: bool,
}

/// One document: a tree of nodes whose spans lie in the one address space of all texts.
#[derive(Debug, Clone)]
pub struct Document {
    tape: tape::Tape,
}

/// Parses YAML or JSON that begins at `base` of the address space.
///
/// A document that is broken is left out with one error; the documents around it are not affected.
/// Nothing is nested more than 510 levels deep in what comes out.
pub fn parse(text: &Arc<str>, base: u32) -> Stream {
    parse::parse(text, base)
}

impl Document {
    /// One null that is written nowhere.
    fn nothing() -> Self {
        let mut tape = tape::Tape::default();
        let null = tape::Node::scalar(Span::default(), Style::Plain, tape::Tag::None);
        let index = tape.push(null);
        tape.node_mut(index).set(tape::Flag::Empty);
        Self { tape }
    }
}

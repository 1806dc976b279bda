//! Text to a spanned tree and back: parse, comments, edits. Never panics, always returns what it could read.

mod de;
mod scalar;
mod tape;

use std::borrow::Cow;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::source::Span;

pub use scalar::Scalar;

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
}

/// One document: a tree of nodes whose spans lie in the one address space of all texts.
#[derive(Debug, Clone)]
pub struct Document {
    tape: tape::Tape,
}

/// Which shape a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A number, string, boolean or null.
    Scalar,
    /// Keys and values.
    Mapping,
    /// Items.
    Sequence,
}

/// One node of a document. Aliases are followed wherever a value is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Value<'t> {
    tape: &'t tape::Tape,
    index: u32,
}

/// Parses YAML or JSON that begins at `base` of the address space.
pub fn parse(_text: &Arc<str>, _base: u32) -> Stream {
    todo!()
}

impl Document {
    /// The outermost value.
    pub fn root(&self) -> Value<'_> {
        todo!()
    }

    /// Keys that stand twice in one mapping, compared by value (`a`, `"a"` and `'a'` are the same).
    pub fn duplicate_keys(&self) -> Vec<DuplicateKey> {
        todo!()
    }

    /// This document with a strategic merge patch laid over it, as kustomize does: mappings are
    /// merged, `null` and `$patch: delete` delete, lists of `containers`, `ports`, `env`, `volumes` and
    /// the like are merged by their key for Kubernetes' own kinds and replaced for all others. Spans
    /// keep pointing at the text each value came from.
    pub fn patched(&self, _patch: &Self) -> Self {
        todo!()
    }
}

impl<'t> Value<'t> {
    /// Its shape.
    pub fn shape(self) -> Shape {
        todo!()
    }

    /// The text it was written in: quotes included, from the first key to the last value.
    pub fn span(self) -> Span {
        todo!()
    }

    /// What the scalar means, as kubectl reads it; `None` for mappings and sequences.
    pub fn scalar(self) -> Option<Scalar<'t>> {
        todo!()
    }

    /// The scalar's text whatever it means (`yes`, `0755`), with quotes and escapes taken away.
    pub fn text(self) -> Option<Cow<'t, str>> {
        todo!()
    }

    /// The scalar's value where it is a string.
    pub fn as_str(self) -> Option<Cow<'t, str>> {
        todo!()
    }

    /// Whether nothing or `null` is written.
    pub fn is_null(self) -> bool {
        todo!()
    }

    /// The value of a key, looked for in the mapping itself, then in what `<<` merges into it.
    pub fn get(self, _key: &str) -> Option<Value<'t>> {
        todo!()
    }

    /// The value at the end of a path of keys.
    pub fn at(self, path: &[&str]) -> Option<Value<'t>> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// Keys and values of a mapping, merge keys expanded, own keys first; of a key that stands twice
    /// the last value. Empty for other shapes.
    pub fn entries(self) -> impl Iterator<Item = (Value<'t>, Value<'t>)> {
        let none: std::iter::Empty<(Value<'t>, Value<'t>)> = std::iter::empty();
        none
    }

    /// Items of a sequence. Empty for other shapes.
    pub fn items(self) -> impl Iterator<Item = Value<'t>> {
        let none: std::iter::Empty<Value<'t>> = std::iter::empty();
        none
    }

    /// Reads the value as `T`, leniently: a field that has not the wanted shape is left out (so it
    /// takes its default) and reported, and everything else is still read. `None` only where the
    /// value as a whole cannot be a `T`.
    ///
    /// [`Spanned`](crate::source::Spanned) fields get their places. `flatten`, `untagged` and internal
    /// tags lose them, so views do without.
    pub fn read<T: DeserializeOwned>(self) -> (Option<T>, Vec<Mismatch>) {
        todo!()
    }

    /// Parses the YAML that a string value holds (a ConfigMap's `mesh` key, say). Spans point at the
    /// true places in the outer text; where the string has escapes or is folded, at the whole string.
    pub fn embedded(self) -> Stream {
        todo!()
    }
}

/// Keys and values in order, keys with their places.
#[derive(Clone, Debug, PartialEq)]
pub struct Entries<V>(Vec<(crate::source::Text, V)>);
impl<V> Default for Entries<V> { fn default() -> Self { Self(Vec::new()) } }
impl<V> Entries<V> {
    pub fn get(&self, key: &str) -> Option<&V> { self.0.iter().find(|(k, _)| k.value == key).map(|(_, v)| v) }
    pub fn iter(&self) -> std::slice::Iter<'_, (crate::source::Text, V)> { self.0.iter() }
    pub fn is_empty(&self) -> bool { self.0.is_empty() }
}
impl<'de, V> serde::Deserialize<'de> for Entries<V> { fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> { todo!() } }
impl<'de, T> serde::Deserialize<'de> for crate::source::Spanned<T> { fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> { todo!() } }
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub enum IntOrString { Int(i64), Str(String) }

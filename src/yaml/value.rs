//! Looking at a document: shapes, scalars, keys and items.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

use super::scalar::{self, Scalar};
use super::tape::{Flag, Kind, Style, Tag, Tape};
use super::{Document, DuplicateKey};
use crate::source::Span;

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

/// One node of a document. Aliases are followed wherever a value is looked at; only
/// [`span`](Self::span) is the alias itself.
#[derive(Clone, Copy, Debug)]
pub struct Value<'t> {
    pub(super) tape: &'t Tape,
    pub(super) index: u32,
}

impl Document {
    /// The outermost value.
    pub fn root(&self) -> Value<'_> {
        Value { tape: &self.tape, index: 0 }
    }

    /// Keys that stand twice in one mapping, compared by value (`a`, `"a"` and `'a'` are the same).
    pub fn duplicate_keys(&self) -> Vec<DuplicateKey> {
        let tape = &self.tape;
        let has_one =
            |&mapping: &u32| tape.keys(mapping).any(|key| tape.node(key).is(Flag::Shadowed));
        (0..tape.len()).filter(has_one).flat_map(|mapping| duplicates_in(tape, mapping)).collect()
    }
}

fn duplicates_in(tape: &Tape, mapping: u32) -> Vec<DuplicateKey> {
    let mut firsts = std::collections::BTreeMap::new();
    let mut found = Vec::new();
    for key in tape.keys(mapping).filter(|&key| !tape.is_merge_key(key)) {
        let Some(text) = tape.text(key) else { continue };
        let span = tape.node(key).span();
        if let Some(&first) = firsts.get(text) {
            found.push(DuplicateKey { key: text.to_owned(), first, again: span });
        } else {
            firsts.insert(text, span);
        }
    }
    found
}

impl<'t> Value<'t> {
    fn sibling(self, index: u32) -> Self {
        Self { tape: self.tape, index }
    }

    /// The number of the node itself within its document: all aliases of a node have the same.
    pub fn target(self) -> u32 {
        self.tape.target(self.index)
    }

    /// Its shape.
    pub fn shape(self) -> Shape {
        match self.tape.node(self.target()).kind() {
            Kind::Mapping => Shape::Mapping,
            Kind::Sequence => Shape::Sequence,
            Kind::Scalar | Kind::Alias => Shape::Scalar,
        }
    }

    /// The text it was written in: quotes included, from the first key to the last value, from the
    /// `|` or `>` of a block to the end of its last line that is not blank. Of an alias, `*name`.
    /// Nothing written is an empty span after the `:` or `-`.
    pub fn span(self) -> Span {
        self.tape.node(self.index).span()
    }

    /// How a scalar is written; `None` for mappings and sequences.
    pub fn style(self) -> Option<Style> {
        let node = self.tape.node(self.target());
        (node.kind() == Kind::Scalar).then(|| node.style())
    }

    /// What the scalar means, as kubectl reads it; `None` for mappings and sequences.
    pub fn scalar(self) -> Option<Scalar<'t>> {
        let text = self.tape.text(self.index)?;
        let node = self.tape.node(self.target());
        let (style, tag) = (node.style(), node.tag());
        Some(match style {
            _ if tag != Tag::None => scalar::resolve(text, tag),
            Style::Plain => scalar::resolve(text, tag),
            _ => Scalar::Str(Cow::Borrowed(text)),
        })
    }

    /// The scalar's text whatever it means (`yes`, `0755`), with quotes and escapes taken away.
    pub fn text(self) -> Option<Cow<'t, str>> {
        self.tape.text(self.index).map(Cow::Borrowed)
    }

    /// The scalar's value where it is a string.
    pub fn as_str(self) -> Option<Cow<'t, str>> {
        match self.scalar()? {
            Scalar::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Whether nothing or `null` is written.
    pub fn is_null(self) -> bool {
        self.scalar() == Some(Scalar::Null)
    }

    /// The value of a key, looked for in the mapping itself, then in what `<<` merges into it.
    pub fn get(self, key: &str) -> Option<Value<'t>> {
        let found = |mapping: u32| {
            let is_it = |&at: &u32| {
                !self.tape.node(at).is(Flag::Shadowed) && self.tape.text(at) == Some(key)
            };
            self.tape.keys(mapping).find(is_it).map(|at| self.sibling(self.tape.after(at)))
        };
        self.layers().find_map(found)
    }

    /// Whether it is an alias of what is written elsewhere.
    pub fn is_alias(self) -> bool {
        self.index != self.target()
    }

    /// What an alias stands for, where it is written; any other value as it is.
    pub fn origin(self) -> Self {
        self.sibling(self.target())
    }

    /// Keys and values of a mapping as they are written: those that stand twice too, and `<<` itself.
    pub fn written(self) -> impl Iterator<Item = (Value<'t>, Value<'t>)> {
        let keys = self.tape.keys(self.target());
        keys.map(move |key| (self.sibling(key), self.sibling(self.tape.after(key))))
    }

    /// The value at the end of a path of keys.
    pub fn at(self, path: &[&str]) -> Option<Value<'t>> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// Where a value or key stands below this one, as `spec.hosts[0]`, and the nearest key on the way.
    /// What stands behind an alias is found where it is written.
    pub fn path_to(self, inner: Value<'_>) -> (String, Option<Value<'t>>) {
        let (mut at, mut path, mut nearest) = (self.target(), String::new(), None);
        while at != inner.index {
            let holds = |from: u32, to: u32| (from..self.tape.after(to)).contains(&inner.index);
            let step = match self.tape.node(at).kind() {
                Kind::Mapping => {
                    self.tape.keys(at).find(|&key| holds(key, self.tape.after(key))).map(|key| {
                        let name = self.tape.text(key).unwrap_or_default();
                        let is_plain =
                            name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
                        path.push_str(&if is_plain {
                            format!(".{name}")
                        } else {
                            format!("[{name}]")
                        });
                        nearest = Some(self.sibling(key));
                        if key == inner.index { key } else { self.tape.after(key) }
                    })
                }
                Kind::Sequence => {
                    let mut items = self.tape.children(at).enumerate();
                    items.find(|&(_, item)| holds(item, item)).map(|(position, item)| {
                        path.push_str(&format!("[{position}]"));
                        item
                    })
                }
                Kind::Scalar | Kind::Alias => None,
            };
            let Some(step) = step else { break };
            at = step;
        }
        (path.strip_prefix('.').map(str::to_owned).unwrap_or(path), nearest)
    }

    /// Keys and values of a mapping, merge keys expanded, own keys first; of a key that stands twice
    /// the last value. Empty for other shapes.
    pub fn entries(self) -> impl Iterator<Item = (Value<'t>, Value<'t>)> {
        Pairs::new(self).map(move |(key, value)| (self.sibling(key), self.sibling(value)))
    }

    /// Items of a sequence. Empty for other shapes.
    pub fn items(self) -> impl Iterator<Item = Value<'t>> {
        let target = self.target();
        let is_sequence = self.tape.node(target).kind() == Kind::Sequence;
        let children = self.tape.children(target).take_while(move |_| is_sequence);
        children.map(move |index| self.sibling(index))
    }

    /// The mapping, then what `<<` merges into it, nearest first and each once.
    fn layers(self) -> Layers<'t> {
        Layers { tape: self.tape, todo: self.target(), more: Vec::new(), seen: BTreeSet::new() }
    }
}

/// See [`Value::layers`]. Without a `<<` it is one mapping and allocates nothing.
struct Layers<'t> {
    tape: &'t Tape,
    /// The mapping to be looked at next.
    todo: u32,
    more: Vec<u32>,
    seen: BTreeSet<u32>,
}

const DONE: u32 = u32::MAX;

impl Iterator for Layers<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let mapping = (self.todo != DONE).then_some(self.todo)?;
        if self.tape.node(mapping).is(Flag::Merges) {
            self.seen.insert(mapping);
            self.note_merged(mapping);
        }
        // A mapping that was seen before has no key to add, and might contain itself.
        self.todo = loop {
            match self.more.pop() {
                Some(next) if self.seen.insert(next) => break next,
                Some(_) => {}
                None => break DONE,
            }
        };
        Some(mapping)
    }
}

impl Layers<'_> {
    fn note_merged(&mut self, mapping: u32) {
        let tape = self.tape;
        let before = self.more.len();
        for key in tape.keys(mapping).filter(|&key| tape.is_merge_key(key)) {
            let value = tape.target(tape.after(key));
            match tape.node(value).kind() {
                Kind::Mapping => self.more.push(value),
                Kind::Sequence => self.more.extend(tape.children(value).map(|it| tape.target(it))),
                Kind::Scalar | Kind::Alias => {}
            }
        }
        self.more[before..].reverse();
    }
}

/// The keys and values of a mapping as indices, as [`Value::entries`] has them.
pub(super) struct Pairs<'t> {
    tape: &'t Tape,
    /// The next own key and the end of the own keys, where nothing is merged.
    own: std::ops::Range<u32>,
    merged: std::vec::IntoIter<u32>,
    /// How many keys were looked at for merging: aliases of aliases multiply them.
    pub visited: usize,
}

impl<'t> Pairs<'t> {
    pub fn new(mapping: Value<'t>) -> Self {
        let (tape, index) = (mapping.tape, mapping.target());
        let node = tape.node(index);
        let mut visited = 0;
        let (own, merged) = match node.kind() {
            Kind::Mapping if node.is(Flag::Merges) => (0..0, merged_keys(mapping, &mut visited)),
            Kind::Mapping => (index + 1..node.next, Vec::new()),
            _ => (0..0, Vec::new()),
        };
        Self { tape, own, merged: merged.into_iter(), visited }
    }
}

impl Iterator for Pairs<'_> {
    type Item = (u32, u32);

    fn next(&mut self) -> Option<(u32, u32)> {
        while self.own.start < self.own.end {
            let key = self.own.start;
            let value = self.tape.after(key);
            self.own.start = self.tape.after(value);
            if !self.tape.node(key).is(Flag::Shadowed) {
                return Some((key, value));
            }
        }
        let key = self.merged.next()?;
        Some((key, self.tape.after(key)))
    }
}

fn merged_keys(mapping: Value<'_>, visited: &mut usize) -> Vec<u32> {
    let tape = mapping.tape;
    let mut seen = HashSet::new();
    let keys = mapping.layers().flat_map(|layer| tape.keys(layer)).inspect(|_| *visited += 1);
    keys.filter(|&key| !tape.is_merge_key(key) && !tape.node(key).is(Flag::Shadowed))
        .filter(|&key| tape.text(key).is_none_or(|text| seen.insert(text)))
        .collect()
}

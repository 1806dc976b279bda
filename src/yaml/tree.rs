//! A document taken apart, so that it can be changed, and put together again.

use std::borrow::Cow;

use super::Document;
use super::tape::{Flag, Kind, Node, Stretch, Style, Tag, Tape};
use super::value::{Shape, Value};
use crate::source::Span;

/// What is nested deeper is left out, as is what too many aliases make of a document.
const MAX_DEPTH: usize = 128;
const MAX_VISITS: usize = 1_000_000;

impl Document {
    /// The value that is written at a place, as a document of its own: an item of a list, say. `None` where
    /// no value is written there, or it is too deep or too large.
    pub fn part(&self, written: Span) -> Option<Self> {
        let mut at = self.root();
        while at.span() != written {
            let mut within = at.written().map(|(_, value)| value).chain(at.items());
            at = within.find(|value| value.span().contains(written))?;
        }
        Tree::of(at).map(Tree::into_document)
    }
}

/// A key, as it was written somewhere.
#[derive(Clone)]
pub(super) struct Key<'t> {
    pub text: Cow<'t, str>,
    pub span: Span,
    pub style: Style,
}

/// What patches may still put into a document: copies of copies double it each time.
pub(super) struct Room(usize);

impl Room {
    pub fn whole() -> Self {
        Self(MAX_VISITS)
    }

    /// Whether a value still fits in at this depth; then its nodes are taken off.
    pub fn has_for(&mut self, value: &Tree<'_>, depth: usize) -> bool {
        let (nodes, levels) = value.measure();
        let fits = depth + levels <= MAX_DEPTH && nodes <= self.0;
        self.0 = self.0.saturating_sub(nodes);
        fits
    }
}

/// A value without aliases and merge keys.
#[derive(Clone)]
pub(super) enum Tree<'t> {
    Scalar(Value<'t>),
    Mapping(Span, Vec<(Key<'t>, Tree<'t>)>),
    Sequence(Span, Vec<Tree<'t>>),
}

impl<'t> Tree<'t> {
    /// The tree of a value; `None` where it is too deep or too large.
    pub fn of(value: Value<'t>) -> Option<Self> {
        Self::grow(value, MAX_DEPTH, &mut MAX_VISITS.clone())
    }

    fn grow(value: Value<'t>, depth: usize, visits: &mut usize) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        *visits = visits.checked_sub(1)?;
        Some(match value.shape() {
            Shape::Scalar => Self::Scalar(value),
            Shape::Mapping => {
                let mut entries = Vec::new();
                for (key, value) in value.entries() {
                    if let (Some(key), Some(tree)) =
                        (Key::of(key), Self::grow(value, depth, visits))
                    {
                        entries.push((key, tree));
                    }
                }
                Self::Mapping(value.span(), entries)
            }
            Shape::Sequence => {
                let items = value.items().filter_map(|item| Self::grow(item, depth, visits));
                Self::Sequence(value.span(), items.collect())
            }
        })
    }

    /// How many nodes it has, and how many levels.
    fn measure(&self) -> (usize, usize) {
        let of_children = |children: &mut dyn Iterator<Item = &Self>| {
            let (nodes, levels) = children
                .map(Self::measure)
                .fold((0, 0), |(nodes, levels), (n, l)| (nodes + n, levels.max(l)));
            (nodes + 1, levels + 1)
        };
        match self {
            Self::Scalar(_) => (1, 1),
            Self::Mapping(_, entries) => of_children(&mut entries.iter().map(|(_, value)| value)),
            Self::Sequence(_, items) => of_children(&mut items.iter()),
        }
    }

    /// The value of a mapping's key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Mapping(_, entries) = self else { return None };
        entries.iter().find_map(|(name, value)| (name.text == key).then_some(value))
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<Cow<'t, str>> {
        match self {
            Self::Scalar(value) => value.text(),
            _ => None,
        }
    }

    /// A document with this root.
    pub fn into_document(self) -> Document {
        let mut tape = Tape::default();
        self.lay(&mut tape);
        Document { tape }
    }

    fn lay(&self, tape: &mut Tape) {
        match self {
            Self::Scalar(value) => lay_scalar(tape, *value),
            Self::Mapping(span, entries) => {
                let index = tape.push(Node::new(Kind::Mapping, *span));
                for (key, value) in entries {
                    let node = tape.push(Node::scalar(key.span, key.style, Tag::None));
                    cook_if_needed(tape, node, &key.text);
                    value.lay(tape);
                }
                tape.node_mut(index).next = tape.len();
            }
            Self::Sequence(span, items) => {
                let index = tape.push(Node::new(Kind::Sequence, *span));
                for item in items {
                    item.lay(tape);
                }
                tape.node_mut(index).next = tape.len();
            }
        }
    }
}

impl<'t> Key<'t> {
    pub fn of(key: Value<'t>) -> Option<Self> {
        let (text, style) = (key.text()?, key.style()?);
        Some(Self { text, span: key.span(), style })
    }
}

impl PartialEq for Tree<'_> {
    /// Equal by value, wherever and however it is written.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(one), Self::Scalar(two)) => one.scalar() == two.scalar(),
            (Self::Sequence(_, one), Self::Sequence(_, two)) => one == two,
            (Self::Mapping(_, one), Self::Mapping(_, two)) => {
                let in_other = |(key, value): &(Key<'_>, _)| other.get(&key.text) == Some(value);
                one.len() == two.len() && one.iter().all(in_other)
            }
            _ => false,
        }
    }
}

fn lay_scalar(tape: &mut Tape, value: Value<'_>) {
    let source = value.tape.node(value.target());
    let index = tape.push(Node::scalar(value.span(), source.style(), source.tag()));
    if source.is(Flag::Empty) {
        tape.node_mut(index).set(Flag::Empty);
    }
    if !source.is(Flag::Cooked) {
        note_text(tape, value);
    }
    cook_if_needed(tape, index, value.tape.text(value.index).unwrap_or_default());
}

/// Adds the text that a scalar is a slice of.
fn note_text(tape: &mut Tape, value: Value<'_>) {
    let holds = |text: &&Stretch| text.slice(value.span()).is_some();
    if tape.texts.iter().any(|text| holds(&text)) {
        return;
    }
    tape.texts.extend(value.tape.texts.iter().find(holds).cloned());
}

fn cook_if_needed(tape: &mut Tape, index: u32, text: &str) {
    if tape.text(index) != Some(text) {
        tape.cook(index, text);
    }
}

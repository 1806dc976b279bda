//! Nodes in one flat list, 16 bytes each, in the order of the text.

use std::sync::Arc;

use crate::source::Span;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar,
    Mapping,
    Sequence,
    Alias,
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In `'`.
    Single,
    /// In `"`.
    Double,
    /// After `|`.
    Literal,
    /// After `>`.
    Folded,
}

/// The tags that change what a scalar means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    None,
    Str,
    Binary,
    Bool,
    Int,
    Float,
    Null,
    /// Any other: the value is then a string, as for go-yaml.
    Other,
}

const STYLE: u32 = 2;
const TAG: u32 = 5;
const THREE_BITS: u32 = 0b111;
const KIND_BITS: u32 = 0b11;

/// Facts about a node beside its kind, style and tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Flag {
    /// A scalar for which nothing is written.
    Empty = 1 << 8,
    /// A scalar whose value is not its raw text: it stands in [`Tape::cooked`] at `next`.
    Cooked = 1 << 9,
    /// A key that stands again further down in its mapping, so its value counts for nothing.
    Shadowed = 1 << 10,
    /// A mapping with a `<<` key.
    Merges = 1 << 11,
}

/// One node; children follow their parent, of a mapping as key, value, key, value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// First byte, in the address space of all texts.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// Containers: one past the last descendant. Aliases: what they stand for. Cooked scalars:
    /// where their value is.
    pub next: u32,
    meta: u32,
}

impl Node {
    pub fn new(kind: Kind, span: Span) -> Self {
        Self { start: span.start, end: span.end, next: 0, meta: kind as u32 }
    }

    pub fn scalar(span: Span, style: Style, tag: Tag) -> Self {
        let meta = Kind::Scalar as u32 | (style as u32) << STYLE | (tag as u32) << TAG;
        Self { start: span.start, end: span.end, next: 0, meta }
    }

    pub fn kind(&self) -> Kind {
        match self.meta & KIND_BITS {
            0 => Kind::Scalar,
            1 => Kind::Mapping,
            2 => Kind::Sequence,
            _ => Kind::Alias,
        }
    }

    pub fn style(&self) -> Style {
        match self.meta >> STYLE & THREE_BITS {
            0 => Style::Plain,
            1 => Style::Single,
            2 => Style::Double,
            3 => Style::Literal,
            _ => Style::Folded,
        }
    }

    pub fn tag(&self) -> Tag {
        match self.meta >> TAG & THREE_BITS {
            0 => Tag::None,
            1 => Tag::Str,
            2 => Tag::Binary,
            3 => Tag::Bool,
            4 => Tag::Int,
            5 => Tag::Float,
            6 => Tag::Null,
            _ => Tag::Other,
        }
    }

    pub fn is(&self, flag: Flag) -> bool {
        self.meta & flag as u32 != 0
    }

    pub fn set(&mut self, flag: Flag) {
        self.meta |= flag as u32;
    }

    pub fn span(&self) -> Span {
        Span::new(self.start, self.end)
    }
}

/// A text and where it begins in the address space.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    pub base: u32,
    pub text: Arc<str>,
}

impl Stretch {
    /// The text of a span that lies in here.
    pub fn slice(&self, span: Span) -> Option<&str> {
        let start = span.start.checked_sub(self.base)? as usize;
        let end = span.end.checked_sub(self.base)? as usize;
        self.text.get(start..end)
    }
}

/// The nodes of one document with the texts they are slices of: one, or several after a patch.
#[derive(Clone, Debug, Default)]
pub(super) struct Tape {
    pub nodes: Vec<Node>,
    pub texts: Vec<Stretch>,
    pub cooked: Vec<Box<str>>,
}

impl Tape {
    /// No nodes yet, over a text that begins at `base`.
    pub fn over(text: &Arc<str>, base: u32) -> Self {
        let text = Stretch { base, text: Arc::clone(text) };
        Self { texts: vec![text], ..Self::default() }
    }

    pub fn node(&self, index: u32) -> &Node {
        &self.nodes[index as usize]
    }

    pub fn node_mut(&mut self, index: u32) -> &mut Node {
        &mut self.nodes[index as usize]
    }

    pub fn push(&mut self, node: Node) -> u32 {
        self.nodes.push(node);
        narrow(self.nodes.len() - 1)
    }

    /// How many nodes there are, which is the index of the next one.
    pub fn len(&self) -> u32 {
        narrow(self.nodes.len())
    }

    /// The index after a node and all its descendants.
    pub fn after(&self, index: u32) -> u32 {
        match self.node(index).kind() {
            Kind::Mapping | Kind::Sequence => self.node(index).next,
            Kind::Scalar | Kind::Alias => index + 1,
        }
    }

    /// The node an alias stands for, or the node itself. An alias never stands for an alias.
    pub fn target(&self, index: u32) -> u32 {
        let node = self.node(index);
        if node.kind() == Kind::Alias { node.next } else { index }
    }

    /// The indices of a sequence's items, or of a mapping's keys and values by turns.
    pub fn children(&self, index: u32) -> impl Iterator<Item = u32> {
        let (mut at, end) = match self.node(index).kind() {
            Kind::Mapping | Kind::Sequence => (index + 1, self.node(index).next),
            Kind::Scalar | Kind::Alias => (0, 0),
        };
        std::iter::from_fn(move || {
            let child = (at < end).then_some(at)?;
            at = self.after(child);
            Some(child)
        })
    }

    /// The indices of a mapping's keys, values left out. Empty for other kinds.
    pub fn keys(&self, index: u32) -> impl Iterator<Item = u32> {
        let is_mapping = self.node(index).kind() == Kind::Mapping;
        self.children(index).step_by(2).take_while(move |_| is_mapping)
    }

    /// A scalar's value as text, aliases followed; `None` for mappings and sequences.
    pub fn text(&self, index: u32) -> Option<&str> {
        let node = self.node(self.target(index));
        match node.kind() {
            Kind::Scalar if node.is(Flag::Cooked) => Some(&self.cooked[node.next as usize]),
            Kind::Scalar => Some(self.slice(inside_quotes(node))),
            _ => None,
        }
    }

    /// Whether a key is the merge key: `<<` without quotes or tag.
    pub fn is_merge_key(&self, key: u32) -> bool {
        let node = self.node(key);
        node.kind() == Kind::Scalar
            && node.style() == Style::Plain
            && node.tag() == Tag::None
            && self.text(key) == Some("<<")
    }

    /// The raw text of a span.
    pub fn slice(&self, span: Span) -> &str {
        self.texts.iter().find_map(|text| text.slice(span)).unwrap_or_default()
    }

    /// Stores a value that is not a slice of a text.
    pub fn cook(&mut self, index: u32, value: &str) {
        self.cooked.push(value.into());
        let at = narrow(self.cooked.len() - 1);
        let node = self.node_mut(index);
        node.next = at;
        node.set(Flag::Cooked);
    }
}

/// The span of a scalar's text without the quotes around it.
pub(super) fn inside_quotes(node: &Node) -> Span {
    match node.style() {
        Style::Single | Style::Double if node.end - node.start >= 2 => {
            Span::new(node.start + 1, node.end - 1)
        }
        _ => node.span(),
    }
}

/// A length or an offset as 32 bits: `Sources` lets no more than 4 GiB of text in.
pub(super) fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

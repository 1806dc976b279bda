//! From granit's events to tapes, one per document; a broken document loses only itself.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, StructureStyle};

use super::tape::{Flag, Kind, Node, Style, Tag, Tape, narrow};
use super::{Document, Stream, SyntaxError, complaint};
use crate::source::Span;

/// Mappings up to this size are searched for duplicate keys pair by pair, without a table.
const SMALL: usize = 12;

/// Parses a text that begins at `base`.
pub(super) fn parse(text: &Arc<str>, base: u32) -> Stream {
    let mut builder = Builder::new(text, base);
    let mut parser = Parser::new_from_str_with_options(text, options());
    loop {
        let outcome = match parser.next_event() {
            None => break,
            Some(Ok((event, span))) => {
                let range = span.byte_range().unwrap_or_default();
                builder.take(event, range.start, range.end)
            }
            Some(Err(error)) => Err(builder.explain(&error)),
        };
        if let Err(error) = outcome {
            builder.stream.errors.push(error);
            builder.abandon();
            if !parser.proceed_next_document().unwrap_or(false) {
                break;
            }
        }
    }
    builder.stream
}

fn options() -> Options {
    granit_parser::options! {
        // As libyaml and go-yaml: no line feed that is not there.
        block_scalar_eof_without_line_feed: true,
        // A long licence at the head of a list is no reason to give up.
        max_buffered_comment_events: usize::MAX,
    }
}

struct Builder<'s> {
    text: &'s Arc<str>,
    base: u32,
    stream: Stream,
    /// The document that is being read.
    tape: Tape,
    /// Containers that are not closed yet, outermost first.
    open: Vec<u32>,
    /// What granit's anchor numbers stand for.
    anchors: HashMap<usize, u32>,
    /// Offset in the text at which the last token with content ended, comments aside.
    cursor: usize,
}

impl<'s> Builder<'s> {
    fn new(text: &'s Arc<str>, base: u32) -> Self {
        Self {
            text,
            base,
            stream: Stream::default(),
            tape: Tape::over(text, base),
            open: Vec::new(),
            anchors: HashMap::new(),
            cursor: 0,
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.base.saturating_add(narrow(start)), self.base.saturating_add(narrow(end)))
    }

    /// Takes one event at `start..end` of the text.
    fn take(&mut self, event: Event<'_>, start: usize, end: usize) -> Result<(), SyntaxError> {
        match event {
            Event::DocumentStart(true, _) => self.cursor = end,
            // Without `---` the event is placed at the first token, and for a block scalar that
            // is its content. Such a document is the first one or follows `...`.
            Event::DocumentStart(false, _) => {
                self.cursor = self.text[..start].rfind("\n...").map_or(0, |at| at + "\n...".len());
            }
            Event::DocumentEnd => self.finish(),
            Event::Comment(..) => self.stream.comments.push(self.span(start, end)),
            Event::Scalar(value, style, anchor, tag) => {
                let tag = tag.map_or(Tag::None, |tag| tag_of(&tag));
                let index = self.scalar(&value, style, tag, start, end);
                self.anchor(anchor, index);
            }
            Event::MappingStart(_, anchor, _) => {
                let index = self.open(Kind::Mapping, start);
                self.anchor(anchor, index);
            }
            Event::SequenceStart(style, anchor, _) => {
                let start = self.sequence_start(style, start);
                let index = self.open(Kind::Sequence, start);
                self.anchor(anchor, index);
            }
            // The end of a block is an empty event at the next token: its last child ends it.
            Event::MappingEnd | Event::SequenceEnd => {
                self.cursor = if start < end { end } else { self.cursor };
                self.close();
            }
            Event::Alias(anchor) => return self.alias(anchor, start, end),
            _ => {}
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        value: &str,
        style: ScalarStyle,
        tag: Tag,
        start: usize,
        end: usize,
    ) -> u32 {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::Single,
            ScalarStyle::DoubleQuoted => Style::Double,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        };
        let (start, end) = match style {
            // granit places a missing value before the colon of its key.
            Style::Plain if start == end && self.text[start..].starts_with(':') => {
                (start + 1, start + 1)
            }
            Style::Literal | Style::Folded => self.block_scalar(start, end),
            _ => (start, end),
        };
        let index = self.tape.push(Node::scalar(self.span(start, end), style, tag));
        self.cursor = self.cursor.max(end);
        let raw = &self.text[start..end];
        let slice = match style {
            Style::Single | Style::Double => raw.get(1..raw.len().saturating_sub(1)),
            _ => Some(raw),
        };
        if raw.is_empty() {
            self.tape.node_mut(index).set(Flag::Empty);
        } else if slice != Some(value) {
            self.tape.cook(index, value);
        }
        index
    }

    /// From the `|` or `>` to the end of the last line that is not blank: granit's own span begins
    /// with the first of these lines and goes to the next token.
    fn block_scalar(&self, start: usize, end: usize) -> (usize, usize) {
        let header = self.find_indicator(&['|', '>']).filter(|&at| at <= start).unwrap_or(start);
        (header, header + self.text[header..end.max(header)].trim_end().len())
    }

    /// granit places a block sequence that is a key's value at its first item where its dashes are
    /// not indented.
    fn sequence_start(&self, style: StructureStyle, start: usize) -> usize {
        let in_mapping =
            self.open.last().is_some_and(|&at| self.tape.node(at).kind() == Kind::Mapping);
        if style == StructureStyle::Flow || !in_mapping {
            return start;
        }
        self.find_indicator(&['-']).filter(|&at| at <= start).unwrap_or(start)
    }

    /// The first of some indicators after the last token, comments, tags and anchors passed over.
    fn find_indicator(&self, wanted: &[char]) -> Option<usize> {
        let mut at = self.cursor;
        while let Some(next) = self.text[at..].chars().next() {
            let rest = &self.text[at..];
            at += match next {
                found if wanted.contains(&found) => return Some(at),
                '#' => rest.find('\n').unwrap_or(rest.len()),
                '&' | '!' => rest.find(char::is_whitespace).unwrap_or(rest.len()),
                passed => passed.len_utf8(),
            };
        }
        None
    }

    fn alias(&mut self, anchor: usize, start: usize, end: usize) -> Result<(), SyntaxError> {
        let span = self.span(start, end);
        let name = self.text[start..end].trim_start_matches('*');
        let fail = |message: String| Err(SyntaxError { span, message });
        let Some(&target) = self.anchors.get(&anchor) else {
            return fail(format!("no anchor `{name}` stands before this alias"));
        };
        if self.open.contains(&target) {
            return fail(format!("the value of anchor `{name}` contains itself"));
        }
        let index = self.tape.push(Node::new(Kind::Alias, span));
        self.tape.node_mut(index).next = target;
        self.cursor = end;
        Ok(())
    }

    fn anchor(&mut self, anchor: usize, index: u32) {
        if anchor != 0 {
            self.anchors.insert(anchor, index);
        }
    }

    fn open(&mut self, kind: Kind, start: usize) -> u32 {
        let index = self.tape.push(Node::new(kind, self.span(start, start)));
        self.open.push(index);
        index
    }

    fn close(&mut self) {
        let Some(index) = self.open.pop() else { return };
        let (next, end) = (self.tape.len(), self.span(self.cursor, self.cursor).end);
        let node = self.tape.node_mut(index);
        node.next = next;
        node.end = end.max(node.start);
        if node.kind() == Kind::Mapping && !self.ends_in_a_colon(index) {
            look_at_keys(&mut self.tape, index);
        }
    }

    /// `[::1, 2001:db8::]`: a colon before `,` or `]` ends a key for YAML 1.2, and is the last character
    /// of a string for go-yaml, hence for kubectl. Such a mapping is made into that string.
    fn ends_in_a_colon(&mut self, mapping: u32) -> bool {
        let [key, value] = self.tape.nodes[mapping as usize + 1..] else { return false };
        let is_pair = key.kind() == Kind::Scalar
            && key.style() == Style::Plain
            && key.start == self.tape.node(mapping).start
            && value.is(Flag::Empty);
        let rest = &self.text[(key.end - self.base) as usize..];
        if !is_pair || !rest.starts_with(":,") && !rest.starts_with(":]") {
            return false;
        }
        self.tape.nodes.truncate(mapping as usize);
        self.tape.push(Node::scalar(Span::new(key.start, key.end + 1), Style::Plain, Tag::None));
        true
    }

    /// Ends a document; one without content is left out.
    fn finish(&mut self) {
        let tape = std::mem::replace(&mut self.tape, Tape::over(self.text, self.base));
        self.anchors.clear();
        let nothing = tape.nodes.iter().all(|node| {
            node.kind() == Kind::Scalar && node.is(Flag::Empty) && node.tag() == Tag::None
        });
        if !nothing {
            self.stream.documents.push(Document { tape });
        }
    }

    /// Forgets a document that turned out to be broken.
    fn abandon(&mut self) {
        self.tape = Tape::over(self.text, self.base);
        self.open.clear();
        self.anchors.clear();
    }

    fn explain(&self, error: &ScanError) -> SyntaxError {
        let at = error.marker().byte_offset().unwrap_or(self.cursor);
        let (start, end) = complaint::place(self.text, at);
        SyntaxError {
            span: self.span(start, end),
            message: complaint::message(error.kind(), self.text, start),
        }
    }
}

/// Marks the merge key and keys that stand again further down.
fn look_at_keys(tape: &mut Tape, mapping: u32) {
    if tape.keys(mapping).any(|key| tape.is_merge_key(key)) {
        tape.node_mut(mapping).set(Flag::Merges);
    }
    for key in shadowed_keys(tape, mapping) {
        tape.node_mut(key).set(Flag::Shadowed);
    }
}

/// Keys that stand again further down; an empty list needs no allocation.
fn shadowed_keys(tape: &Tape, mapping: u32) -> Vec<u32> {
    let keys = || {
        tape.keys(mapping)
            .filter(|&key| !tape.is_merge_key(key))
            .filter_map(|key| Some((key, tape.text(key)?)))
    };
    if tape.keys(mapping).nth(SMALL).is_none() {
        let again = |(key, text)| keys().any(|(other, same)| other > key && same == text);
        return keys().filter(|&it| again(it)).map(|(key, _)| key).collect();
    }
    let mut last = HashMap::new();
    keys().filter_map(|(key, text)| last.insert(text, key)).collect()
}

fn tag_of(tag: &granit_parser::Tag) -> Tag {
    match tag.suffix_in_namespace("tag:yaml.org,2002:").as_deref() {
        Some("str") => Tag::Str,
        Some("binary") => Tag::Binary,
        Some("bool") => Tag::Bool,
        Some("int") => Tag::Int,
        Some("float") => Tag::Float,
        Some("null") => Tag::Null,
        _ => Tag::Other,
    }
}

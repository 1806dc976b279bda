//! YAML within a string: parsed by itself, placed where it stands in the outer text.

use std::sync::Arc;

use super::tape::{Flag, Kind, Node, Stretch, Style, Tape, inside_quotes, narrow};
use super::value::Value;
use super::{Document, Stream, parse};
use crate::source::Span;

impl Value<'_> {
    /// Parses the YAML that a string value holds (`mesh` of a `ConfigMap`, say). Spans point at the
    /// true places in the outer text; where lines of the string are folded, at the whole string.
    pub fn embedded(self) -> Stream {
        let Some(text) = self.tape.text(self.index) else { return Stream::default() };
        let node = self.tape.node(self.target());
        self.placed(text, &Places::of(self.tape, node, text))
    }

    /// Parses the YAML that a string value stands for (decoded from base64, say). All spans are the
    /// whole value.
    pub fn embedded_as(self, text: &str) -> Stream {
        let span = self.tape.node(self.target()).span();
        self.placed(text, &Places::Within(span))
    }

    fn placed(self, text: &str, places: &Places) -> Stream {
        let mut stream = parse(&Arc::from(text), 0);
        for comment in &mut stream.comments {
            *comment = places.outer(*comment);
        }
        for error in &mut stream.errors {
            error.span = places.outer(error.span);
        }
        for document in &mut stream.documents {
            *document = relocate(document, places, &self.tape.texts);
        }
        stream
    }
}

/// Where the bytes of a string's value stand in the outer text.
enum Places {
    /// Byte `inner` of the value, and what follows up to the next piece, stands at `outer`.
    Pieces(Vec<Piece>),
    /// Somewhere in here.
    Within(Span),
}

struct Piece {
    inner: usize,
    outer: u32,
}

impl Places {
    fn of(tape: &Tape, node: &Node, text: &str) -> Self {
        let span = inside_quotes(node);
        let pieces = match node.style() {
            _ if !node.is(Flag::Cooked) => Some(vec![Piece { inner: 0, outer: span.start }]),
            Style::Single | Style::Double => escapes(tape.slice(span), span.start, text),
            Style::Literal => rest_of_text(&tape.texts, node.start)
                .and_then(|outer| lines(outer, node.start, text)),
            Style::Plain | Style::Folded => None,
        };
        pieces.map_or(Self::Within(node.span()), Self::Pieces)
    }

    fn outer(&self, inner: Span) -> Span {
        match self {
            Self::Pieces(pieces) => {
                let place = |at: u32| {
                    let next = pieces.partition_point(|piece| piece.inner <= at as usize);
                    let piece = &pieces[next.saturating_sub(1)];
                    piece.outer + at - narrow(piece.inner)
                };
                Span::new(place(inner.start), place(inner.end))
            }
            Self::Within(span) => *span,
        }
    }
}

fn rest_of_text(texts: &[Stretch], start: u32) -> Option<&str> {
    texts.iter().find_map(|it| it.text.get(start.checked_sub(it.base)? as usize..))
}

/// The lines of a literal block, whose header is the first line of `outer`: each one stands in the
/// outer text after its indentation.
fn lines(outer: &str, start: u32, text: &str) -> Option<Vec<Piece>> {
    let (mut inner, mut at) = (0, outer.find('\n')? + 1);
    let mut pieces = vec![Piece { inner: 0, outer: start + narrow(at) }];
    for line in text.split_inclusive('\n') {
        let whole = outer.get(at..)?.split('\n').next()?;
        let content = whole.strip_suffix('\r').unwrap_or(whole);
        let indent = content.strip_suffix(line.trim_end_matches('\n'))?;
        indent.bytes().all(|b| b == b' ').then_some(())?;
        pieces.push(Piece { inner, outer: start + narrow(at + indent.len()) });
        inner += line.len();
        at += whole.len() + 1;
    }
    Some(pieces)
}

/// The stretches between the escapes of a quoted string on one line.
fn escapes(raw: &str, start: u32, text: &str) -> Option<Vec<Piece>> {
    let mut pieces = vec![Piece { inner: 0, outer: start }];
    let mut at = 0;
    for (inner, value) in text.char_indices() {
        let rest = raw.get(at..)?;
        let width = match rest.as_bytes() {
            [b'\\', b'x', ..] => 4,
            [b'\\', b'u', ..] if value.len_utf8() == 4 => 12,
            [b'\\', b'u', ..] => 6,
            [b'\\', b'U', ..] => 10,
            [b'\\', ..] | [b'\'', b'\'', ..] => 2,
            _ if rest.starts_with(value) && value != '\n' => {
                at += value.len_utf8();
                continue;
            }
            _ => return None,
        };
        at += width;
        pieces.push(Piece { inner: inner + value.len_utf8(), outer: start + narrow(at) });
    }
    (at == raw.len()).then_some(pieces)
}

/// The same nodes at their places in the outer texts.
fn relocate(document: &Document, places: &Places, texts: &[Stretch]) -> Document {
    let inner = &document.tape;
    let mut tape = Tape { texts: texts.to_vec(), ..inner.clone() };
    for index in 0..tape.len() {
        let span = places.outer(inner.node(index).span());
        let node = tape.node_mut(index);
        (node.start, node.end) = (span.start, span.end);
        let is_slice = node.kind() == Kind::Scalar && !node.is(Flag::Cooked);
        if let Some(text) = inner.text(index).filter(|_| is_slice)
            && tape.text(index) != Some(text)
        {
            tape.cook(index, text);
        }
    }
    Document { tape }
}

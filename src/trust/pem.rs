//! Reads PEM as istiod does (Go's `encoding/pem`), with the place of each block and what is wrong.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

use super::certificate::Certificate;
use crate::source::Span;

/// Go accepts bits left over in the last letter; so do we.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// A value that should hold PEM, and where it stands.
pub struct Value<'a> {
    text: Cow<'a, str>,
    /// The bytes as written, in which the blocks are found again; empty for base64.
    raw: &'a str,
    span: Span,
    fault: Option<Fault>,
}

impl<'a> Value<'a> {
    /// A PEM file whose text begins at `base` of the address space.
    pub fn file(text: &'a str, base: u32) -> Self {
        let end = base.saturating_add(u32::try_from(text.len()).unwrap_or(u32::MAX));
        Self { text: Cow::Borrowed(text), raw: text, span: Span::new(base, end), fault: None }
    }

    /// A string of a manifest (`stringData`, `data` of a `ConfigMap`): its value, and the bytes of
    /// the manifest that `span` covers, so that blocks are found within block scalars.
    pub fn string(text: &'a str, raw: &'a str, span: Span) -> Self {
        let raw = if raw.len() == span.len() { raw } else { "" };
        Self { text: Cow::Borrowed(text), raw, span, fault: None }
    }

    /// `data` of a Secret: base64 of PEM. All blocks get the span of the whole value.
    pub fn base64(text: &'a str, span: Span) -> Self {
        let (text, fault) = match decode(text) {
            _ if is_placeholder(text) => (Cow::Borrowed(""), Some(Fault::Placeholder)),
            Some(bytes) => (Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()), None),
            None => (Cow::Borrowed(""), Some(Fault::NotBase64)),
        };
        Self { text, raw: "", span, fault }
    }

    /// Where the whole value stands.
    pub fn span(&self) -> Span {
        self.span
    }
}

impl fmt::Debug for Value<'_> {
    /// Without the text, which may be a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").field("span", &self.span).finish_non_exhaustive()
    }
}

/// One PEM block.
#[derive(Clone)]
pub struct Block {
    /// What `BEGIN` says: `CERTIFICATE`, `PRIVATE KEY`.
    pub label: String,
    /// Whether header lines (`Proc-Type: 4,ENCRYPTED`) stand before the body.
    pub headers: bool,
    /// The decoded body.
    pub der: Vec<u8>,
    /// From `-----BEGIN` to the end of the `END` line, or the whole value where it is encoded.
    pub span: Span,
}

impl fmt::Debug for Block {
    /// Without the body, which may be a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.der.len();
        write!(f, "Block({:?}, {bytes} bytes, {:?})", self.label, self.span)
    }
}

/// Why a value, or a part of it, gives no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A template, an encrypted value or a reference: the content is not visible here.
    Placeholder,
    /// `data` of a Secret that is not base64.
    NotBase64,
    /// Base64 of PEM once more than the place asks for.
    EncodedTwice,
    /// Nothing but white space.
    Empty,
    /// Text without any PEM.
    NotPem,
    /// `BEGIN` without its `END`.
    Truncated,
    /// No line break between two blocks, or before or after a `BEGIN` or `END` line.
    Glued,
    /// White space before `BEGIN` or `END`, which Go does not accept.
    Indented,
    /// `END` does not repeat the label of `BEGIN`, or has no `BEGIN`.
    Mismatched,
    /// The body is not base64.
    Body,
    /// A block that is no X.509 certificate where one is expected.
    NotCertificate,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Placeholder => "the content is not visible here",
            Self::NotBase64 => "is not base64",
            Self::EncodedTwice => "is base64 of PEM once too often",
            Self::Empty => "is empty",
            Self::NotPem => "holds no PEM",
            Self::Truncated => "a PEM block begins and does not end",
            Self::Glued => "a line break is missing around a `BEGIN` or `END` line",
            Self::Indented => "a `BEGIN` or `END` line is indented",
            Self::Mismatched => "an `END` line does not fit its `BEGIN` line",
            Self::Body => "the body of a PEM block is not base64",
            Self::NotCertificate => "a PEM block is not an X.509 certificate",
        })
    }
}

/// What a value holds: the blocks that istiod would see, and what keeps it from seeing more.
#[derive(Clone, Debug, Default)]
pub struct Pem {
    /// In the order of the text.
    pub blocks: Vec<Block>,
    /// In the order of the text.
    pub faults: Vec<(Fault, Span)>,
}

impl Pem {
    /// The certificates among its blocks; what cannot be read as one is passed over.
    pub fn certificates(&self) -> Vec<Certificate> {
        let blocks = self.blocks.iter().filter(|block| block.label == "CERTIFICATE");
        blocks.filter_map(|block| Certificate::parse(&block.der, block.span).ok()).collect()
    }

    /// Reads a value. Never fails: what is wrong becomes a fault with its place.
    pub fn read(value: &Value<'_>) -> Self {
        if let Some(fault) = value.fault {
            return Self { blocks: Vec::new(), faults: vec![(fault, value.span)] };
        }
        let mut reader =
            Reader { places: Places::new(value), open: None, glued: false, pem: Self::default() };
        let mut at = 0;
        for line in value.text.split_inclusive('\n') {
            reader.line(line.trim_end(), at, at + line.len());
            at += line.len();
        }
        if let Some(open) = reader.open.take() {
            reader.fault(Fault::Truncated, open.start, value.text.len());
        }
        let mut pem = reader.pem;
        if pem.blocks.is_empty() && pem.faults.is_empty() {
            pem.faults.push((without_pem(&value.text), value.span));
        }
        pem
    }
}

/// A block whose `END` has not come yet.
struct Open {
    label: String,
    start: usize,
    headers: bool,
    body: String,
}

struct Reader<'v> {
    places: Places<'v>,
    open: Option<Open>,
    /// The last fault ate a `BEGIN`, so the next `END` without one is no news.
    glued: bool,
    pem: Pem,
}

impl Reader<'_> {
    fn line(&mut self, line: &str, start: usize, end: usize) {
        if let Some(label) = marker(line, BEGIN) {
            self.begin(label, start);
        } else if let Some(label) = marker(line, END) {
            self.end(label, start, end);
        } else if line.contains(BEGIN) || line.contains(END) {
            let text = line.trim_start();
            let alone = marker(text, BEGIN).or(marker(text, END)).is_some();
            let fault = if alone { Fault::Indented } else { Fault::Glued };
            self.open = None;
            if !std::mem::replace(&mut self.glued, true) {
                self.fault(fault, start, start + line.len());
            }
        } else if let Some(open) = &mut self.open {
            if open.body.is_empty() && line.contains(':') {
                open.headers = true;
            } else {
                open.body.extend(line.chars().filter(|c| !c.is_ascii_whitespace()));
            }
        }
    }

    fn begin(&mut self, label: &str, start: usize) {
        if let Some(open) = self.open.take() {
            self.fault(Fault::Truncated, open.start, start);
        }
        self.glued = false;
        let (label, body) = (label.to_owned(), String::new());
        self.open = Some(Open { label, start, headers: false, body });
    }

    fn end(&mut self, label: &str, start: usize, end: usize) {
        let glued = std::mem::take(&mut self.glued);
        match self.open.take() {
            Some(open) if open.label == label => match BASE64.decode(&open.body) {
                Ok(der) => {
                    let span = self.places.span(open.start, end);
                    let Open { label, headers, .. } = open;
                    self.pem.blocks.push(Block { label, headers, der, span });
                }
                Err(_) => self.fault(Fault::Body, open.start, end),
            },
            Some(open) => self.fault(Fault::Mismatched, open.start, end),
            None if glued => {}
            None => self.fault(Fault::Mismatched, start, end),
        }
    }

    fn fault(&mut self, fault: Fault, start: usize, end: usize) {
        let span = self.places.span(start, end);
        self.pem.faults.push((fault, span));
    }
}

/// The label of a whole `BEGIN` or `END` line.
fn marker<'l>(line: &'l str, kind: &str) -> Option<&'l str> {
    let label = line.strip_prefix(kind)?.strip_suffix(DASHES)?;
    (!label.contains(DASHES)).then_some(label)
}

/// Finds stretches of a value again in the text it was written as.
///
/// A block scalar is indented, a quoted one escaped: offsets differ, but the `BEGIN`s are the same.
struct Places<'v> {
    raw: &'v str,
    span: Span,
    verbatim: bool,
    in_text: Vec<usize>,
    in_raw: Vec<usize>,
}

impl<'v> Places<'v> {
    fn new(value: &'v Value<'_>) -> Self {
        let begins = |text: &str| text.match_indices(BEGIN).map(|(at, _)| at).collect::<Vec<_>>();
        let verbatim = value.raw == value.text;
        let (in_text, in_raw) =
            if verbatim { Default::default() } else { (begins(&value.text), begins(value.raw)) };
        Self { raw: value.raw, span: value.span, verbatim, in_text, in_raw }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        let (start, end) = if self.verbatim {
            (start, start + self.raw[start..end].trim_end().len())
        } else if self.in_text.len() == self.in_raw.len() {
            let nth = self.in_text.partition_point(|&at| at <= start).saturating_sub(1);
            let Some(&start) = self.in_raw.get(nth) else { return self.span };
            let next = self.in_raw.get(nth + 1).copied().unwrap_or(self.raw.len());
            let block = &self.raw[start..next];
            let close = block.find(END).and_then(|at| {
                let label = at + END.len();
                Some(label + block[label..].find(DASHES)? + DASHES.len())
            });
            (start, start + close.unwrap_or(block.trim_end().len()))
        } else {
            return self.span;
        };
        let at = |offset: usize| {
            self.span.start.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX))
        };
        Span::new(at(start), at(end).min(self.span.end))
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    BASE64.decode(text).ok()
}

/// What to say of a text in which no PEM was seen.
fn without_pem(text: &str) -> Fault {
    if text.trim().is_empty() {
        Fault::Empty
    } else if is_placeholder(text) {
        Fault::Placeholder
    } else if decode(text).is_some_and(|bytes| bytes.starts_with(DASHES.as_bytes())) {
        Fault::EncodedTwice
    } else {
        Fault::NotPem
    }
}

/// What pipelines and people fill in, and what SOPS, argocd-vault-plugin and vals do.
fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    crate::kinds::is_placeholder(text)
        || ["ENC[", "<", "vault:", "ref+", "REDACTED", "***"]
            .iter()
            .any(|mark| text.starts_with(mark))
}

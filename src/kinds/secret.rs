//! What of a text no report may show: values of Secrets, keys, passwords.
//!
//! The tree decides, so that anchors, tags, quotes and layouts make no difference; of what is broken
//! there is no tree, and its text is taken for secret rather too often than too seldom.

use std::sync::LazyLock;

use regex::Regex;

use crate::source::{SourceFile, Span};
use crate::yaml::{Document, Scalar, Shape, Stream, Value};

/// Text that has to do with a Secret, however it is broken or embedded.
static TELLING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?is)\bkind\b.{0,40}?secret|stringData|secretGenerator|PRIVATE KEY|\b(?:[\w.-]*(?:password|passwd|passphrase|api[_-]?key|private[_-]?key|client[_-]?secret)|(?:[\w.-]*[._-])?token)["']?\s*[:=]"#,
    )
    .expect("a fixed pattern")
});

/// What parts documents for people: three hyphens (or dots) with nothing after them. `--- text` begins a
/// document too, but may have been meant as the text of a block.
static PARTING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^(?:---|\.\.\.)[ \t]*(?:#.*)?\r?$").expect("a fixed pattern")
});

/// A line that names a kind.
static KIND: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"(?m)^[\s{,"'-]*kind["']?\s*:"#).expect("a fixed pattern"));

/// The name and password of a user in a URL.
static USER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"://[^/\s:@]*:[^/\s@]+@").expect("a fixed pattern"));

/// Ends of keys whose values are credentials, in lower case and without hyphens and the like.
const CREDENTIALS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "token",
    "apikey",
    "privatekey",
    "clientsecret",
    "secretkey",
    "accesskey",
];

/// Names of keys of certificates and the like are no longer than this.
const NAME: usize = 63;

/// The stretches of a file that no report may show, in order and apart from each other.
pub(super) fn hidden(source: &SourceFile, stream: &Stream) -> Vec<Span> {
    let documents: Vec<Look> = stream.documents.iter().map(Look::at).collect();
    let is_telling =
        documents.iter().any(|d| d.secret) || (!stream.errors.is_empty() && tells(&source.text));
    let gaps = Gaps { source, documents: &documents };
    let mut found = Vec::new();
    for (i, look) in documents.iter().enumerate() {
        // Beside a Secret a document without a kind may be the rest of a value with a line of hyphens.
        if look.secret || (is_telling && !look.has_kind) {
            found.extend(without(gaps.around(i), &look.shown));
        } else {
            found.extend(&look.hidden);
        }
    }
    for error in &stream.errors {
        let region = gaps.region(error.span);
        let text = slice(source, region);
        if tells(text) || (is_telling && !KIND.is_match(text)) {
            found.push(region);
        }
    }
    merged(found)
}

/// Everything of a file of certificates and keys but the lines between which they stand.
pub(super) fn hidden_in_pem(source: &SourceFile) -> Vec<Span> {
    let mut at = source.base;
    let mut shown = Vec::new();
    for line in source.text.split_inclusive('\n') {
        let end = at.saturating_add(u32::try_from(line.len()).unwrap_or(u32::MAX));
        if line.starts_with("-----") {
            shown.push(Span::new(at, end));
        }
        at = end;
    }
    without(source.span(), &shown)
}

fn tells(text: &str) -> bool {
    TELLING.is_match(&text.replace("ServiceAccountToken", ""))
}

fn slice(source: &SourceFile, span: Span) -> &str {
    let local = |at: u32| at.saturating_sub(source.base) as usize;
    source.text.get(local(span.start)..local(span.end)).unwrap_or_default()
}

/// What one document shows and hides.
struct Look {
    span: Span,
    /// Whether a Secret stands in it, alone or in a list.
    secret: bool,
    has_kind: bool,
    /// What may be seen of it if it is a Secret: its keys, and what it is called.
    shown: Vec<Span>,
    /// What may not be seen of it if it is none.
    hidden: Vec<Span>,
}

impl Look {
    fn at(document: &Document) -> Self {
        let root = document.root();
        let mut look = Self {
            span: root.span(),
            secret: false,
            has_kind: root.get("kind").is_some(),
            shown: Vec::new(),
            hidden: Vec::new(),
        };
        // With each value whether it is a resource by its place: the root, and items of lists.
        let mut rest = vec![(root, true)];
        while let Some((value, resource)) = rest.pop() {
            match value.shape() {
                // What an alias stands for is met where it is written.
                _ if value.is_alias() => {}
                Shape::Scalar => {
                    if value.text().is_some_and(|text| {
                        text.contains([':', '=', '\n']) && (tells(&text) || USER.is_match(&text))
                    }) {
                        look.hidden.push(value.span());
                    }
                }
                Shape::Sequence => rest.extend(value.items().map(|item| (item, resource))),
                Shape::Mapping => {
                    look.mapping(value, resource);
                    for (key, value) in value.written() {
                        let items = resource && key.text().is_some_and(|key| key == "items");
                        rest.push((value, items));
                    }
                }
            }
        }
        look.shown.sort_unstable();
        look
    }

    fn mapping(&mut self, mapping: Value<'_>, resource: bool) {
        let has = |name: &str| mapping.get(name).is_some();
        let mut kinds =
            mapping.written().filter(|(key, _)| key.text().is_some_and(|k| k == "kind"));
        let is_secret = |kind: Value<'_>| {
            kind.text().is_some_and(|kind| kind.to_ascii_lowercase().contains("secret"))
        };
        // A reference names a kind too, but has nothing of these.
        let is_object = ["apiVersion", "metadata", "data", "spec"].iter().any(|key| has(key));
        self.secret |= has("stringData") || (is_object && kinds.any(|(_, kind)| is_secret(kind)));
        let is_credential =
            mapping.get("name").and_then(Value::text).is_some_and(|n| is_credential(&n));
        for (key, value) in mapping.written() {
            let name = key.text().unwrap_or_default();
            if is_plain(&name) {
                self.shown.push(key.span());
            }
            match &*name {
                "apiVersion" | "kind" | "type" if resource => self.show(value),
                "metadata" if resource => {
                    let told = value.written().filter(|(key, _)| {
                        key.text().is_some_and(|key| key == "name" || key == "namespace")
                    });
                    told.for_each(|(_, value)| self.show(value));
                }
                "secretGenerator" => self.hidden.push(value.origin().span()),
                "value" if is_credential => self.hide(value),
                _ if is_credential_key(&name) => self.hide(value),
                _ => {}
            }
        }
    }

    fn show(&mut self, value: Value<'_>) {
        if !value.is_alias() && value.text().is_some_and(|text| is_plain(&text)) {
            self.shown.push(value.span());
        }
    }

    /// Hides a scalar that may be a credential: not `automountServiceAccountToken: false`.
    fn hide(&mut self, value: Value<'_>) {
        if !matches!(value.scalar(), None | Some(Scalar::Null | Scalar::Bool(_))) {
            self.hidden.push(value.origin().span());
        }
    }
}

/// Whether it can be the key or the name of something: no value with blanks, colons or equals signs.
fn is_plain(name: &str) -> bool {
    name.len() <= NAME
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/'))
}

fn is_credential_key(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    CREDENTIALS.iter().any(|end| plain.to_ascii_lowercase().ends_with(end))
}

/// Whether an environment variable of this name holds a credential.
fn is_credential(name: &str) -> bool {
    is_credential_key(name) || name.to_ascii_lowercase().ends_with("secret")
}

/// What lies between the documents of a file.
struct Gaps<'s> {
    source: &'s SourceFile,
    documents: &'s [Look],
}

impl Gaps<'_> {
    /// A document with all that stands around it, up to what parts it from the next ones.
    fn around(&self, i: usize) -> Span {
        let span = self.documents[i].span;
        self.widened(span, i.checked_sub(1), Some(i + 1))
    }

    /// What stands around a place that is in no document.
    fn region(&self, at: Span) -> Span {
        let next = self.documents.partition_point(|d| d.span.end <= at.start);
        self.widened(at, next.checked_sub(1), Some(next))
    }

    fn widened(&self, span: Span, before: Option<usize>, after: Option<usize>) -> Span {
        let whole = self.source.span();
        let of = |i: Option<usize>| i.and_then(|i| self.documents.get(i)).map(|d| d.span);
        let start = of(before).map_or(whole.start, |d| d.end).min(span.start);
        let end = of(after).map_or(whole.end, |d| d.start).max(span.end);
        let (head, tail) = (Span::new(start, span.start), Span::new(span.end, end));
        let partings = |span: Span| {
            let text = slice(self.source, span);
            let at = move |at: usize| span.start + u32::try_from(at).unwrap_or(0);
            PARTING.find_iter(text).map(move |found| (at(found.start()), at(found.end())))
        };
        let start = partings(head).last().map_or(start, |(_, end)| end);
        let end = partings(tail).next().map_or(end, |(start, _)| start);
        Span::new(start, end)
    }
}

/// A span without those within it, which are in order.
fn without(span: Span, shown: &[Span]) -> Vec<Span> {
    let mut at = span.start;
    let mut left = Vec::new();
    for shown in shown.iter().filter(|s| span.contains(**s)) {
        if at < shown.start {
            left.push(Span::new(at, shown.start));
        }
        at = at.max(shown.end);
    }
    if at < span.end {
        left.push(Span::new(at, span.end));
    }
    left
}

fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

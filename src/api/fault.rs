//! What is wrong with a resource, and where.

use super::table::Version;
use crate::source::Span;
use crate::yaml::{Shape, Value};

/// In which way something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A field that the API does not have.
    Unknown,
    /// A value of another type.
    WrongType,
    /// A word that is none of those that a field takes.
    UnknownValue,
    /// A field that has to be there.
    Missing,
    /// A value, or several together, that Istio refuses.
    Invalid,
    /// A number that its type does not hold: refused, and not in the views either.
    Misfit,
    /// Something that Istio takes and then passes over.
    Ignored,
    /// A list without an item, which Istio reads as no list at all: a condition that does not hold anyone.
    EmptyList,
    /// A field that should not be used any more.
    Deprecated,
    /// A version of the API that is not served.
    NotServed,
    /// A field or version of the API that came with a later Istio than the one that runs.
    Newer,
}

impl Cause {
    /// Whether it goes when another value is filled in.
    pub(super) fn is_of_a_value(self) -> bool {
        matches!(self, Self::WrongType | Self::UnknownValue | Self::Invalid | Self::Misfit)
    }
}

/// What is wrong with a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// In which way.
    pub cause: Cause,
    /// Where.
    pub span: Span,
    /// What is wrong, with the field's path.
    pub message: String,
    /// What is wrong there.
    pub label: String,
    /// What would be right.
    pub help: String,
    /// A further place that takes part.
    pub also: Option<(Span, &'static str)>,
    /// What to write there instead.
    pub instead: Option<String>,
    /// Whether Istio reads on all the same, or refuses it only now and then.
    pub is_mild: bool,
}

impl Fault {
    /// Says what was probably meant by a word, unless more than the word stands at the place.
    pub(super) fn meant(&mut self, word: &str, instead: Option<&str>) {
        let is_bare = self.span.len() <= word.len() + 2;
        self.instead = instead.filter(|_| is_bare).map(str::to_owned);
    }
}

/// Where faults of one tree are put.
pub(super) struct Faults<'t> {
    root: Value<'t>,
    /// What stands before each path.
    prefix: &'static str,
    /// The version of Istio that reads it, where that is known.
    runs: Option<Version>,
    found: Vec<Fault>,
    /// Paths of fields that stand there under a wrong name.
    meant: Vec<String>,
}

impl<'t> Faults<'t> {
    pub fn within(root: Value<'t>, prefix: &'static str, runs: Option<Version>) -> Self {
        Self { root, prefix, runs, found: Vec::new(), meant: Vec::new() }
    }

    /// All that was said; a field that stands there under a wrong name is not missing as well.
    pub fn into_vec(mut self) -> Vec<Fault> {
        let meant = |message: &str| {
            self.meant
                .iter()
                .any(|path| message.trim_start_matches('`').split('`').next() == Some(path))
        };
        self.found.retain(|fault| fault.cause != Cause::Missing || !meant(&fault.message));
        self.found
    }

    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Notes that a wrong key stands for a field.
    pub fn is_meant(&mut self, key: Value<'_>, field: &str) {
        let path = self.path(key);
        let block = path.rfind('.').map_or("", |at| &path[..=at]);
        self.meant.push(format!("{block}{field}"));
    }

    pub fn push(&mut self, fault: Fault) -> &mut Fault {
        self.found.push(fault);
        self.found.last_mut().expect("it was just pushed")
    }

    /// The path of a value or key from the root.
    pub fn path(&self, place: Value<'_>) -> String {
        format!("{}{}", self.prefix, self.root.path_to(place).0)
    }

    /// Says what is wrong with a value: its path comes before `what`.
    pub fn say(
        &mut self,
        cause: Cause,
        value: Value<'_>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) -> &mut Fault {
        let label = what.into();
        let (path, key) = self.root.path_to(value);
        let span = place(value, key, path.ends_with(']'));
        let message = format!("`{}{path}` {label}", self.prefix);
        let (help, also, instead) = (help.into(), None, None);
        self.push(Fault { cause, span, message, label, help, also, instead, is_mild: false })
    }

    /// Says that something came with a version of Istio, if the one that runs is older, and what to do
    /// without it.
    pub fn since(&mut self, version: Version, value: Value<'_>, what: &str, instead: &str) {
        if let Some(runs) = self.runs.filter(|runs| *runs < version) {
            let ((major, minor), (own_major, own_minor)) = (version, runs);
            let help = format!(
                "{instead}, or run Istio {major}.{minor} first: {own_major}.{own_minor} does not know it"
            );
            self.say(Cause::Newer, value, format!("{what} Istio {major}.{minor}"), help);
        }
    }

    /// Whether Istio of that version or a later one is known to run.
    pub fn run(&self, version: Version) -> bool {
        self.runs.is_some_and(|runs| runs >= version)
    }

    /// Says why Istio refuses a value.
    pub fn invalid(
        &mut self,
        value: Value<'_>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) -> &mut Fault {
        self.say(Cause::Invalid, value, what, help)
    }

    /// Says why Istio passes over a value.
    pub fn ignored(
        &mut self,
        value: Value<'_>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) -> &mut Fault {
        self.say(Cause::Ignored, value, what, help)
    }

    /// Says that a block lacks a field. The label stands at the block's own key, or at its first one.
    pub fn missing(
        &mut self,
        block: Value<'_>,
        field: &str,
        help: impl Into<String>,
    ) -> &mut Fault {
        let (path, key) = self.root.path_to(block);
        let span = place(block, key, path.ends_with(']'));
        let dot = if path.is_empty() { "" } else { "." };
        let message = format!("`{}{path}{dot}{field}` is missing", self.prefix);
        let label = format!("`{field}` is missing here");
        let (help, also, instead) = (help.into(), None, None);
        let cause = Cause::Missing;
        self.push(Fault { cause, span, message, label, help, also, instead, is_mild: false })
    }
}

/// Where a value is pointed at: a scalar itself; of anything larger its key, or its own first key where
/// it is an item of a list.
fn place(value: Value<'_>, key: Option<Value<'_>>, is_item: bool) -> Span {
    let span = value.span();
    match (value.shape(), key) {
        (Shape::Scalar, _) if !span.is_empty() => span,
        // Nothing is written after the dash.
        (Shape::Scalar, _) if is_item => Span::new(span.start.saturating_sub(1), span.start),
        (_, Some(key)) if !is_item => key.span(),
        (Shape::Mapping, _) => value.entries().next().map_or(span, |(key, _)| key.span()),
        _ => span,
    }
}

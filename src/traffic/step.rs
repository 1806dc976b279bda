//! Why a request goes where it goes: reasons with their places, and what nobody knows.

use crate::kinds::is_placeholder;
use crate::mesh::{CLUSTER_LABEL, Client, LabelValue, Mesh};
use crate::source::{Span, Text};
use crate::yaml::Entries;

/// A reason, as a sentence without capital and full stop, and the text that it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The reason; names in backticks.
    pub text: String,
    /// Where it is written; `None` for what Istio does by itself.
    pub span: Option<Span>,
}

impl Step {
    /// A reason and its place.
    pub fn new(text: impl Into<String>, span: impl Into<Option<Span>>) -> Self {
        Self { text: text.into(), span: span.into() }
    }
}

/// Whom a condition asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The client's pods: something of them is not known.
    Client,
    /// The request: some take it and some do not.
    Request,
}

/// Something that nobody knows, and on which the way depends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Whom it asks.
    pub of: Subject,
    /// What has to hold, and where it is written.
    pub step: Step,
}

impl Condition {
    pub(super) fn new(of: Subject, text: impl Into<String>, span: impl Into<Option<Span>>) -> Self {
        Self { of, step: Step::new(text, span) }
    }
}

/// Whether something holds: yes, no and why not, or only if.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Yes,
    No(Step),
    If(Vec<Condition>),
}

impl Verdict {
    /// Both have to hold.
    pub(super) fn and(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::No(why) => Self::No(why),
            Self::Yes => other(),
            Self::If(mut open) => match other() {
                Self::No(why) => Self::No(why),
                Self::Yes => Self::If(open),
                Self::If(more) => {
                    open.extend(more);
                    Self::If(open)
                }
            },
        }
    }
}

/// Whether a client has all labels that a field asks for.
pub(super) fn has_labels(
    mesh: &Mesh,
    client: &Client<'_>,
    field: &str,
    wanted: &Entries<Text>,
) -> Verdict {
    wanted.iter().fold(Verdict::Yes, |all, (key, want)| {
        all.and(|| has_label(mesh, client, field, key, want))
    })
}

fn has_label(mesh: &Mesh, client: &Client<'_>, field: &str, key: &Text, want: &Text) -> Verdict {
    let known = mesh.label_of(client, key);
    let is_called = key.as_str() == CLUSTER_LABEL && mesh.cluster(client.cluster).is_called(want);
    let asked = format!("{field} asks for `{key}: {want}`");
    match known {
        _ if is_placeholder(want) => Verdict::If(vec![Condition::new(
            Subject::Client,
            format!("`{key}` is what a pipeline fills in for `{want}`"),
            want.span,
        )]),
        _ if is_called => Verdict::Yes,
        LabelValue::Is(value) if value == want.as_str() => Verdict::Yes,
        LabelValue::Is(value) => {
            Verdict::No(Step::new(format!("{asked}, the client has `{value}`"), want.span))
        }
        LabelValue::Unset => {
            Verdict::No(Step::new(format!("{asked}, the client has no such label"), want.span))
        }
        LabelValue::Unknown => Verdict::If(vec![Condition::new(
            Subject::Client,
            format!("the client has the label `{key}: {want}`"),
            want.span,
        )]),
    }
}

//! What a rule says: `Finding`, `Label`, `Fix`, `Severity`, `Findings`.

mod token;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::source::Span;

pub use token::{WITHHELD, find_token, without_tokens};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Works partly, or by luck.
    Warning,
    /// Requests fail, or a policy is bypassed.
    Error,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "note" => Ok(Self::Note),
            "warning" => Ok(Self::Warning),
            "error" => Ok(Self::Error),
            other => Err(format!("`{other}` is not a severity: error, warning or note")),
        }
    }
}

/// A place that takes part, and why it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// Why there.
    pub text: String,
}

/// A change of text that mends the finding. A person should look at the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What it does, in a few words.
    pub title: String,
    /// Replacements, none overlapping another.
    pub edits: Vec<(Span, String)>,
}

impl Fix {
    /// Replaces one stretch of text; a person should look at the result.
    pub fn unsafe_replace(title: impl Into<String>, span: Span, text: impl Into<String>) -> Self {
        let edits = vec![(span, text.into())];
        Self { title: title.into(), edits }
    }
}

/// One thing that is wrong, with every place that takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong: lower case, no full stop, names in backticks, present tense.
    pub message: String,
    /// The first label is the primary one.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
    /// Changes of text that would mend it.
    pub fixes: Vec<Fix>,
    /// Set where facts make it milder than the rule's page says.
    pub lowered: Option<Severity>,
}

impl Finding {
    /// Where the finding stands: its primary label.
    pub fn span(&self) -> Span {
        self.labels.first().map(|label| label.span).unwrap_or_default()
    }

    /// Points at a further place that takes part. A place already labelled is not told twice.
    pub fn also(&mut self, span: Span, text: impl Into<String>) -> &mut Self {
        if self.labels.iter().all(|label| label.span != span) {
            self.labels.push(Label { span, text: text.into() });
        }
        self
    }

    /// What to do about it.
    pub fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.help = Some(text.into());
        self
    }

    /// Offers a change of text.
    pub fn fix(&mut self, fix: impl IntoIterator<Item = Fix>) -> &mut Self {
        self.fixes.extend(fix);
        self
    }

    /// Takes what looks like a token out of all its words, and fixes that would write one: what ought to
    /// be a name may be one.
    pub fn withhold_tokens(&mut self) {
        let shows = |(_, text): &(Span, String)| find_token(text).is_some();
        self.fixes.retain(|fix| !fix.edits.iter().any(shows));
        let labels = self.labels.iter_mut().map(|label| &mut label.text);
        let titles = self.fixes.iter_mut().map(|fix| &mut fix.title);
        for text in labels.chain(titles).chain(&mut self.help).chain([&mut self.message]) {
            if let Cow::Owned(shown) = without_tokens(text) {
                *text = shown;
            }
        }
    }

    /// Makes it milder, because of a fact which the message has to name.
    pub fn lower(&mut self, to: Severity) -> &mut Self {
        self.lowered = Some(to);
        self
    }

    /// Makes it milder, because of a fact which the message names at its end.
    pub fn milder(&mut self, to: Severity, because: &str) -> &mut Self {
        self.message.push_str(because);
        self.lower(to)
    }
}

/// Where a rule puts what it found.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Says what is wrong, where, and why there. The rest is chained on.
    pub fn say(
        &mut self,
        message: impl Into<String>,
        span: Span,
        label: impl Into<String>,
    ) -> &mut Finding {
        let labels = vec![Label { span, text: label.into() }];
        let (message, help, fixes) = (message.into(), None, Vec::new());
        self.0.push(Finding { message, labels, help, fixes, lowered: None });
        self.0.last_mut().expect("it was just pushed")
    }

    /// What was said, in that order.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.0.iter()
    }

    /// All that was said, in that order.
    pub fn into_vec(self) -> Vec<Finding> {
        self.0
    }
}

impl<'f> IntoIterator for &'f Findings {
    type Item = &'f Finding;
    type IntoIter = std::slice::Iter<'f, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

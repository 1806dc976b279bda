//! Reads a rule page: front matter, prose, cases.

use crate::finding::Severity;

/// A rule page: metadata, manual, examples and tests in one text.
#[derive(Clone, Debug)]
pub struct Page<'p> {
    /// How bad the thing is.
    pub severity: Severity,
    /// The version that brought the rule.
    pub since: String,
    /// Whether the rule offers a fix: `never`, `sometimes` or `always`.
    pub fix: String,
    /// Names the rule had before.
    pub was: Vec<String>,
    /// Codes of `istioctl analyze` for the same fact.
    pub istio: Vec<String>,
    /// Codes of Kiali for the same fact.
    pub kiali: Vec<String>,
    /// The heading of the page.
    pub title: &'p str,
    /// The page without its front matter: Markdown.
    pub body: &'p str,
    /// The examples.
    pub cases: Vec<Case<'p>>,
}

/// One heading of a page: a small mesh, and what is said of it.
#[derive(Clone, Debug)]
pub struct Case<'p> {
    /// The heading.
    pub title: &'p str,
    /// Path and text of each file, in order. The first folder of the path names the cluster.
    pub files: Vec<(&'p str, String)>,
    /// The text of its `diff` fence: what the fix changes.
    pub diff: Option<String>,
}

impl<'p> Page<'p> {
    /// Reads a page; says in one line what is wrong with it.
    pub fn parse(_text: &'p str) -> Result<Self, String> {
        todo!()
    }

    /// Other names the rule is known by: what it was called, and istioctl's and Kiali's codes.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.was.iter().chain(&self.istio).chain(&self.kiali).map(String::as_str)
    }
}

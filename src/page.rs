//! Reads a rule page: front matter, prose, cases.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::finding::Severity;

/// A rule page: metadata, manual, examples and tests in one text.
#[derive(Clone, Debug)]
pub struct Page<'p> {
    /// How bad the thing is.
    pub severity: Severity,
    /// The version that brought the rule.
    pub since: String,
    /// Whether the rule offers a fix: `never` or `sometimes`.
    pub fix: String,
    /// Codes of `istioctl analyze` for the same fact.
    pub istio: Vec<String>,
    /// Codes of Kiali for the same fact.
    pub kiali: Vec<String>,
    /// Options of the rule with their defaults.
    pub options: BTreeMap<String, String>,
    /// Whether it runs only where it is asked for by name: what it says is true, and seldom worth a word.
    pub opt_in: bool,
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

/// A label that a case announces: `# warning: text` at the end of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected<'c> {
    /// Position in [`Case::files`].
    pub file: usize,
    /// The line, from 1.
    pub line: usize,
    /// The severity for a primary label, `note` for a further one.
    pub severity: Severity,
    /// What the label's text contains.
    pub text: &'c str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Front {
    severity: Severity,
    since: String,
    #[serde(default)]
    fix: Option<String>,
    #[serde(default)]
    istio: Names,
    #[serde(default)]
    kiali: Names,
    #[serde(default)]
    options: BTreeMap<String, serde_yaml::Number>,
    #[serde(default, rename = "opt-in")]
    opt_in: bool,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Names {
    #[default]
    None,
    One(String),
    Several(Vec<String>),
}

impl From<Names> for Vec<String> {
    fn from(names: Names) -> Self {
        match names {
            Names::None => Self::new(),
            Names::One(name) => vec![name],
            Names::Several(names) => names,
        }
    }
}

impl<'p> Page<'p> {
    /// Reads a page; says in one line what is wrong with it.
    pub fn parse(text: &'p str) -> Result<Self, String> {
        let front = text.strip_prefix("---\n").and_then(|t| t.split_once("\n---\n"));
        let (front, body) = front.ok_or("no front matter between two lines `---`")?;
        let front: Front = serde_yaml::from_str(front).map_err(|e| format!("front matter: {e}"))?;
        if front.fix.as_ref().is_some_and(|fix| fix != "sometimes") {
            return Err("front matter: `fix` is `sometimes`, or left out".to_owned());
        }
        let title = body.lines().find_map(|line| line.strip_prefix("# "));
        Ok(Self {
            severity: front.severity,
            since: front.since,
            fix: front.fix.unwrap_or_else(|| "never".to_owned()),
            istio: front.istio.into(),
            kiali: front.kiali.into(),
            options: front
                .options
                .into_iter()
                .map(|(name, value)| (name, value.to_string()))
                .collect(),
            opt_in: front.opt_in,
            title: title.ok_or("no heading `# ...`")?,
            body,
            cases: cases(body)?,
        })
    }

    /// Other names the rule is known by: istioctl's and Kiali's codes.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.istio.iter().chain(&self.kiali).map(String::as_str)
    }
}

/// A fence that is open: its marks, what it holds, and its text so far.
struct Fence<'p> {
    marks: &'p str,
    language: &'p str,
    text: String,
}

fn cases(body: &str) -> Result<Vec<Case<'_>>, String> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    let mut path = None;
    let mut open: Option<Fence<'_>> = None;
    for line in body.lines() {
        if let Some(fence) = &mut open {
            if line != fence.marks {
                fence.text.push_str(line);
                fence.text.push('\n');
                continue;
            }
            let Fence { language, text, .. } = open.take().expect("it is open");
            let case = cases.last_mut();
            match (language, case, path.take()) {
                ("diff", Some(case), _) => case.diff = Some(text),
                (_, Some(case), Some(path)) => case.files.push((path, text)),
                ("yaml" | "json" | "pem", Some(case), None) => {
                    return Err(format!("a fence under `{}` has no path before it", case.title));
                }
                _ => {}
            }
        } else if line.starts_with("```") {
            let marks = &line[..line.len() - line.trim_start_matches('`').len()];
            open = Some(Fence { marks, language: line[marks.len()..].trim(), text: String::new() });
        } else if let Some(title) = line.strip_prefix("## ") {
            cases.push(Case { title, files: Vec::new(), diff: None });
        } else if let Some(name) = line.strip_prefix('`').and_then(|l| l.strip_suffix("`:")) {
            path = Some(name);
        }
    }
    if open.is_some() {
        return Err("a fence is never closed".to_owned());
    }
    cases.retain(|case| !case.files.is_empty());
    Ok(cases)
}

impl Case<'_> {
    /// The labels announced by comments, in order.
    pub fn expected(&self) -> Vec<Expected<'_>> {
        let mut found = Vec::new();
        for (file, (_, text)) in self.files.iter().enumerate() {
            for (line, content) in text.lines().enumerate() {
                found.extend(announced(content).map(|(severity, text)| Expected {
                    file,
                    line: line + 1,
                    severity,
                    text,
                }));
            }
        }
        found
    }
}

/// The assertions at the end of a line; several may follow one another.
fn announced(line: &str) -> impl Iterator<Item = (Severity, &str)> {
    line.split("# ").skip(1).filter_map(|comment| {
        let (word, text) = comment.split_once(':')?;
        Some((word.parse().ok()?, text.trim()))
    })
}

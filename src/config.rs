//! `mesh-lint.yaml`, suppression comments and annotations; mistakes in them are findings.

pub mod suppress;

use std::collections::BTreeMap;
use std::fmt;

use globset::{Glob, GlobSet, GlobSetBuilder};
use serde::Deserialize;

use crate::finding::Severity;
use crate::source::{FileId, Sources, Span, Spanned, Text};
use crate::yaml::{self, Entries, Mismatch};

/// What a run is told: by `mesh-lint.yaml`, then by the command line.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The text it comes from.
    pub file: Option<FileId>,
    /// Clusters by name; inferred where empty.
    pub clusters: Vec<ClusterConfig>,
    /// Settings of rules, by name, alias or room.
    pub rules: BTreeMap<String, RuleConfig>,
    /// The severity that makes the run fail; `error` where unset.
    pub fail_on: Option<Severity>,
    /// Only rules that match one of these (name, room, alias or regular expression).
    pub select: Vec<String>,
    /// No rules that match one of these.
    pub ignore: Vec<String>,
    /// Namespace of objects that name none; `default` where unset.
    pub namespace: Option<String>,
    /// The point in time for expiry, in seconds since 1970.
    pub now: i64,
}

/// A cluster, as the configuration tells it.
#[derive(Clone, Debug, Default)]
pub struct ClusterConfig {
    /// Its name.
    pub name: Text,
    /// Files that belong to it.
    pub paths: Paths,
    /// Its network.
    pub network: Option<Text>,
    /// Its role.
    pub role: Option<Text>,
    /// The cluster whose control plane serves it.
    pub control_plane: Option<Text>,
    /// The mesh it is of; one mesh for all that name none.
    pub mesh: Option<Text>,
    /// Localities of its nodes.
    pub localities: Vec<Text>,
    /// Whether nothing of this mesh lives elsewhere in this cluster.
    pub complete: bool,
}

/// Globs over file names.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    globs: GlobSet,
    /// Put before each name: the way from the configuration's folder down to the current one.
    above: String,
}

impl Paths {
    /// Whether a file belongs.
    pub fn contains(&self, name: &str) -> bool {
        if self.above.is_empty() {
            return self.globs.is_match(name);
        }
        self.globs.is_match(format!("{}{name}", self.above))
    }
}

/// Settings of a rule.
#[derive(Clone, Debug, Default)]
pub struct RuleConfig {
    /// Whether it runs at all.
    pub off: bool,
    /// Its severity instead of the page's.
    pub severity: Option<Severity>,
    /// Its options, as written.
    pub options: BTreeMap<String, String>,
}

/// A mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub span: Span,
    /// What is wrong: lower case, no full stop.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct File {
    clusters: Entries<FileCluster>,
    rules: Entries<FileRule>,
    fail_on: Option<Text>,
    select: Vec<Text>,
    ignore: Vec<Text>,
    namespace: Option<Text>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct FileCluster {
    paths: Vec<Text>,
    network: Option<Text>,
    role: Option<Text>,
    control_plane: Option<Text>,
    mesh: Option<Text>,
    localities: Vec<Text>,
    complete: Option<Spanned<bool>>,
}

const KEYS: &[&str] = &["clusters", "rules", "fail-on", "select", "ignore", "namespace"];
const CLUSTER_KEYS: &[&str] =
    &["paths", "network", "role", "control-plane", "mesh", "localities", "complete"];

/// `off`, a severity, or a mapping of settings.
#[derive(Clone, Debug, Default)]
struct FileRule {
    word: Option<String>,
    settings: Vec<(Text, Text)>,
}

impl<'de> Deserialize<'de> for FileRule {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = FileRule;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`off`, a severity or a mapping of settings")
            }

            fn visit_bool<E>(self, on: bool) -> Result<FileRule, E> {
                // YAML 1.1 reads `off` as false.
                let word = Some(if on { "on" } else { "off" }.to_owned());
                Ok(FileRule { word, settings: Vec::new() })
            }

            fn visit_str<E>(self, word: &str) -> Result<FileRule, E> {
                Ok(FileRule { word: Some(word.to_owned()), settings: Vec::new() })
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<FileRule, A::Error> {
                let mut settings = Vec::new();
                while let Some(entry) = map.next_entry::<Text, Text>()? {
                    settings.push(entry);
                }
                Ok(FileRule { word: None, settings })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Config {
    /// Reads `mesh-lint.yaml`. Its globs count from the folder of the file; `above` is the way from
    /// that folder down to the current one (`sub/folder/`), where the file stands above it.
    pub fn parse(sources: &Sources, file: FileId, above: &str) -> Result<Self, Vec<Mistake>> {
        let source = sources.file(file);
        let folder = source.name.rfind('/').filter(|_| above.is_empty());
        let folder = folder.map_or("", |at| &source.name[..=at]);
        let stream = yaml::parse(&source.text, source.base);
        let mut mistakes: Vec<_> = stream
            .errors
            .into_iter()
            .map(|e| Mistake { span: e.span, message: e.message })
            .collect();
        let mut config = Self::default();
        let from = Some(file);
        if let Some(document) = stream.documents.first() {
            let root = document.root();
            unknown_keys(root, &mut mistakes);
            let (file, wrong) = root.read::<File>();
            mistakes.extend(wrong.iter().map(mistake));
            for again in document.duplicate_keys() {
                mistakes.push(Mistake {
                    span: again.again,
                    message: format!("`{}` stands twice", again.key),
                });
            }
            config = file.unwrap_or_default().check(&mut mistakes, folder, above);
        }
        config.file = from;
        if mistakes.is_empty() { Ok(config) } else { Err(mistakes) }
    }

    /// The severity that makes the run fail.
    pub fn fail_on(&self) -> Severity {
        self.fail_on.unwrap_or(Severity::Error)
    }
}

impl ClusterConfig {
    /// A cluster that is all files below a folder, as `--cluster NAME=PATH` gives it.
    pub fn below(name: &str, folder: &str) -> Result<Self, String> {
        let folder = folder.trim_start_matches("./").trim_end_matches('/');
        let globs = if folder.is_empty() || folder == "." {
            vec!["**".to_owned()]
        } else {
            vec![folder.to_owned(), format!("{folder}/**")]
        };
        let name = Text::new(name.to_owned(), Span::default());
        Ok(Self { name, paths: paths(globs.iter().map(String::as_str), "")?, ..Self::default() })
    }
}

fn mistake(wrong: &Mismatch) -> Mistake {
    Mistake { span: wrong.span, message: format!("`{}`: {}", wrong.path, wrong.message) }
}

fn unknown_keys(root: yaml::Value<'_>, mistakes: &mut Vec<Mistake>) {
    let mut check = |value: yaml::Value<'_>, known: &[&str]| {
        for (key, _) in value.entries() {
            let name = key.text().unwrap_or_default();
            if !known.contains(&name.as_ref()) {
                let message = format!("unknown key `{name}`: one of {}", known.join(", "));
                mistakes.push(Mistake { span: key.span(), message });
            }
        }
    };
    check(root, KEYS);
    for (_, cluster) in root.get("clusters").into_iter().flat_map(yaml::Value::entries) {
        check(cluster, CLUSTER_KEYS);
    }
}

fn paths<'g>(globs: impl IntoIterator<Item = &'g str>, above: &str) -> Result<Paths, String> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(Glob::new(glob).map_err(|e| e.to_string())?);
    }
    let globs = set.build().map_err(|e| e.to_string())?;
    Ok(Paths { globs, above: above.to_owned() })
}

impl File {
    fn check(self, mistakes: &mut Vec<Mistake>, folder: &str, above: &str) -> Config {
        let mut severity = |text: &Text| match text.parse() {
            Ok(severity) => Some(severity),
            Err(message) => {
                mistakes.push(Mistake { span: text.span, message });
                None
            }
        };
        let fail_on = self.fail_on.as_ref().and_then(&mut severity);
        let rules = self
            .rules
            .iter()
            .map(|(name, rule)| (name.value.clone(), rule.read(name.span, &mut severity)));
        let rules = rules.collect();
        let clusters =
            self.clusters.iter().map(|(name, c)| c.check(name, mistakes, folder, above)).collect();
        let plain = |texts: Vec<Text>| texts.into_iter().map(|t| t.value).collect();
        Config {
            file: None,
            clusters,
            rules,
            fail_on,
            select: plain(self.select),
            ignore: plain(self.ignore),
            namespace: self.namespace.map(|n| n.value),
            now: 0,
        }
    }
}

impl FileRule {
    fn read(&self, at: Span, severity: &mut impl FnMut(&Text) -> Option<Severity>) -> RuleConfig {
        let mut rule = RuleConfig::default();
        match self.word.as_deref() {
            Some("off") => rule.off = true,
            Some("on") | None => {}
            Some(word) => rule.severity = severity(&Text::new(word.to_owned(), at)),
        }
        for (key, value) in &self.settings {
            match (key.as_str(), value.as_str()) {
                ("severity", "off") => rule.off = true,
                ("severity", _) => rule.severity = severity(value),
                _ => {
                    rule.options.insert(key.value.clone(), value.value.clone());
                }
            }
        }
        rule
    }
}

impl FileCluster {
    fn check(
        &self,
        name: &Text,
        mistakes: &mut Vec<Mistake>,
        folder: &str,
        above: &str,
    ) -> ClusterConfig {
        let mut globs = Vec::new();
        for path in &self.paths {
            let glob = format!("{folder}{}", path.trim_start_matches("./"));
            match Glob::new(&glob) {
                Ok(_) => globs.push(glob),
                Err(e) => mistakes.push(Mistake {
                    span: path.span,
                    message: format!("not a glob: {}", e.kind()),
                }),
            }
        }
        ClusterConfig {
            name: name.clone(),
            paths: paths(globs.iter().map(String::as_str), above).unwrap_or_default(),
            network: self.network.clone(),
            role: self.role.clone(),
            control_plane: self.control_plane.clone(),
            mesh: self.mesh.clone(),
            localities: self.localities.clone(),
            complete: self.complete.as_ref().is_some_and(|c| c.value),
        }
    }
}

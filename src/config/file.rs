//! Reads `mesh-lint.yaml`, with a place for every mistake.

use std::fmt;

use serde::Deserialize;

use super::{ClusterConfig, Config, Level, Mistake, Paths, RuleConfig};
use crate::finding::Severity;
use crate::source::{SourceFile, Span, Spanned, Text};
use crate::yaml::{self, Entries, Mismatch};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct File {
    clusters: Entries<FileCluster>,
    rules: Entries<Spanned<FileRule>>,
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

/// What a cluster can be in its mesh.
const ROLES: &[&str] = &["primary", "remote", "config", "external"];

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

/// Reads a file; what cannot be read is a mistake.
pub(super) fn read(source: &SourceFile, above: &str) -> (Config, Vec<Mistake>) {
    let folder = source.name.rfind('/').filter(|_| above.is_empty());
    let folder = folder.map_or("", |at| &source.name[..=at]);
    let stream = yaml::parse(&source.text, source.base);
    let errors = stream.errors.into_iter();
    let mut mistakes: Vec<_> =
        errors.map(|e| Mistake { span: e.span, message: e.message }).collect();
    let mut config = Config::default();
    if let Some(document) = stream.documents.first() {
        let root = document.root();
        unknown_keys(root, &mut mistakes);
        let (file, wrong) = root.read::<File>();
        mistakes.extend(wrong.iter().map(mistake));
        for again in document.duplicate_keys() {
            let message = format!("`{}` stands twice", again.key);
            mistakes.push(Mistake { span: again.again, message });
        }
        config = file.unwrap_or_default().check(&mut mistakes, folder, above);
    }
    if let Some(second) = stream.documents.get(1) {
        let message = "a second document: the configuration is one".to_owned();
        mistakes.push(Mistake { span: second.root().span(), message });
    }
    (config, mistakes)
}

fn mistake(wrong: &Mismatch) -> Mistake {
    let field = if wrong.path.is_empty() { String::new() } else { format!("`{}`: ", wrong.path) };
    Mistake { span: wrong.span, message: format!("{field}{}", wrong.message) }
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

impl File {
    fn check(self, mistakes: &mut Vec<Mistake>, folder: &str, above: &str) -> Config {
        let fail_on = self.fail_on.as_ref().and_then(|text| severity(text, "", mistakes));
        let rules =
            self.rules.iter().map(|(word, rule)| rule.value.read(word, rule.span, mistakes));
        let rules = rules.collect();
        let clusters =
            self.clusters.iter().map(|(name, c)| c.check(name, mistakes, folder, above)).collect();
        self.control_planes(mistakes);
        Config {
            clusters,
            rules,
            fail_on,
            select: self.select,
            ignore: self.ignore,
            namespace: self.namespace.map(|n| n.value),
            ..Config::default()
        }
    }

    /// Control planes are clusters of the configuration.
    fn control_planes(&self, mistakes: &mut Vec<Mistake>) {
        let told = self.clusters.iter().filter_map(|(_, cluster)| cluster.control_plane.as_ref());
        for name in told.filter(|name| self.clusters.get(name).is_none()) {
            let message = format!("`{name}` is not a cluster of this configuration");
            mistakes.push(Mistake { span: name.span, message });
        }
    }
}

fn severity(text: &Text, or: &str, mistakes: &mut Vec<Mistake>) -> Option<Severity> {
    match text.parse() {
        Ok(severity) => Some(severity),
        Err(message) => {
            mistakes.push(Mistake { span: text.span, message: format!("{message}{or}") });
            None
        }
    }
}

impl FileRule {
    fn read(&self, word: &Text, at: Span, mistakes: &mut Vec<Mistake>) -> RuleConfig {
        let mut level = |text: &Text| match text.as_str() {
            "off" | "false" => Some(Level::Off),
            "on" | "true" => Some(Level::On),
            _ => severity(text, ", or off", mistakes).map(Level::At),
        };
        let mut rule = RuleConfig { word: word.clone(), ..RuleConfig::default() };
        rule.level = self.word.as_ref().and_then(|word| level(&Text::new(word.clone(), at)));
        for (key, value) in &self.settings {
            if key.as_str() == "severity" {
                rule.level = level(value);
            } else {
                rule.options.push((key.clone(), value.clone()));
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
        let (paths, wrong) = Paths::of(&self.paths, folder, above);
        mistakes.extend(wrong);
        if name.trim().is_empty() {
            mistakes
                .push(Mistake { span: name.span, message: "a cluster needs a name".to_owned() });
        }
        if let Some(role) = self.role.as_ref().filter(|role| !ROLES.contains(&role.as_str())) {
            let message = format!("`{role}` is not a role: {}", ROLES.join(", "));
            mistakes.push(Mistake { span: role.span, message });
        }
        for place in self.localities.iter().filter(|place| !is_locality(place)) {
            let message = format!("`{place}` is not region/zone or region/zone/subzone");
            mistakes.push(Mistake { span: place.span, message });
        }
        ClusterConfig {
            name: name.clone(),
            paths,
            network: self.network.clone(),
            role: self.role.clone(),
            control_plane: self.control_plane.clone(),
            mesh: self.mesh.clone(),
            localities: self.localities.clone(),
            complete: self.complete.as_ref().is_some_and(|c| c.value),
        }
    }
}

/// A region alone is none: what is known of places is asked zone by zone.
fn is_locality(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    matches!(parts.len(), 2 | 3) && parts.iter().all(|part| !part.trim().is_empty())
}

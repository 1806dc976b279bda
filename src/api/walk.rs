//! The walk: holds a spanned tree against the table of fields, and never stops at a fault.

mod scalars;
mod typed;

use std::collections::BTreeMap;

use super::fault::{Cause, Fault, Faults};
use super::nearest::{an, nearest};
use super::table::{self, Block, Field, Kind, Version, Wanted};
use super::whereabouts::{camel, owner, path_below};
use crate::kinds::is_placeholder;
use crate::yaml::{Scalar, Shape, Value};

/// Aliases of aliases multiply nodes; no manifest has so many.
const MAX_VISITS: usize = 200_000;

/// Nobody reads more than so many about one resource, and each has to be found its path.
const MAX_FAULTS: usize = 1000;

/// The release whose values of the charts the table has: what was taken out before, and what came later, it
/// does not know.
const VALUES_OF: Version = (1, 31);

/// Who reads a tree, and so what is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// The API server: by the CRD's schema.
    ApiServer,
    /// The API server, for Kubernetes' own kinds and those of the Gateway API: what is null is not there,
    /// an empty word is the default one, and a field may be one of a later release.
    Kubernetes,
    /// istiod, which decodes leniently: numbers in quotes and names of Protobuf will do, fields that it
    /// does not know are passed over, and none is required.
    Istiod,
    /// `istioctl`, for the values of Istio's charts: it decodes them as istiod does its own, and takes no field
    /// that it does not know. Each release knows others: see [`VALUES_OF`].
    Istioctl,
    /// istiod, for what an EnvoyFilter lays over Envoy's configuration. It decodes that as it does its own,
    /// and drops a patch that does not decode. Envoy then refuses what is out of bounds, and what is not
    /// there: that can only be said of what is added as a whole.
    OfEnvoy { is_whole: bool },
}

impl Reader {
    /// Whether it decodes as Protobuf does.
    fn is_lenient(self) -> bool {
        matches!(self, Self::Istiod | Self::Istioctl | Self::OfEnvoy { .. })
    }

    fn is_of_envoy(self) -> bool {
        matches!(self, Self::OfEnvoy { .. })
    }

    /// Whether it misses what is required.
    fn requires(self) -> bool {
        !self.is_lenient() || self == Self::OfEnvoy { is_whole: true }
    }

    /// Whether to leave something empty is to say nothing of it.
    fn merges(self) -> bool {
        self == Self::OfEnvoy { is_whole: false }
    }
}

/// Holds a tree against a block of the table.
pub(super) fn walk(root: Value<'_>, block: &'static str, reader: Reader, faults: &mut Faults<'_>) {
    if root.text().as_deref().is_some_and(is_placeholder) {
        return;
    }
    let mut walk = Walk { faults, reader, visits: 0, since: (0, 0), around: Vec::new() };
    walk.block(root, block);
}

struct Walk<'w, 't> {
    faults: &'w mut Faults<'t>,
    reader: Reader,
    visits: usize,
    /// The version that the fields around are said to need.
    since: Version,
    /// The blocks around.
    around: Vec<&'static Block>,
}

impl Walk<'_, '_> {
    fn value(&mut self, value: Value<'_>, wanted: &'static Wanted) {
        self.visits += 1;
        let text = value.text();
        let is_enough = self.visits > MAX_VISITS || self.faults.len() > MAX_FAULTS;
        if is_enough || text.as_deref().is_some_and(is_placeholder) {
            return;
        }
        match &wanted.kind {
            Kind::Any => {}
            Kind::Object => {
                if value.shape() != Shape::Mapping {
                    self.wrong_type(value, "a mapping");
                }
            }
            Kind::Block(name) => self.block(value, name),
            Kind::List(items) => self.list(value, wanted, items),
            Kind::Map { keys, values } => self.map(value, wanted, keys, values),
            Kind::Word(words) => self.word(value, words),
            Kind::String => {
                if self.string(value, "a string").is_some() {
                    self.form(value, wanted);
                }
            }
            Kind::Bool => {
                if !matches!(value.scalar(), Some(Scalar::Bool(_))) {
                    self.wrong_type(value, "`true` or `false`");
                }
            }
            Kind::Int(least, most) => self.number(value, wanted, Some((*least, *most))),
            Kind::IntOrString => self.int_or_string(value, wanted),
            Kind::Double => self.number(value, wanted, None),
            Kind::Typed => self.typed(value),
            Kind::Duration { at_least_1ms, whole_seconds } => {
                self.duration(value, *at_least_1ms, *whole_seconds);
            }
        }
    }

    fn block(&mut self, value: Value<'_>, name: &str) {
        let Some(block) = table::block(name) else { return };
        if value.shape() != Shape::Mapping {
            return self.wrong_type(value, "a mapping");
        }
        let mut is_known = true;
        // Stays empty, and so takes no memory, where nobody asks.
        let mut seen: Vec<(&'static Field, Value<'_>)> = Vec::new();
        for (key, value) in value.entries() {
            let Some(name) = key.text() else { continue };
            if self.reader.is_of_envoy() && name == "@type" {
                continue;
            }
            if let Some(field) = self.field(block, &name) {
                if value.is_null() {
                    continue;
                }
                self.note(field, key);
                if block.has_claims {
                    seen.push((field, key));
                }
                let before = self.since;
                self.since = before.max(field.since.unwrap_or_default());
                self.around.push(block);
                self.value(value, &field.value);
                self.around.pop();
                self.since = before;
            } else if is_placeholder(&name) || is_directive(&name) {
                is_known = false;
            } else if !block.is_open {
                self.unknown(block, key, &name);
            }
        }
        self.exclusive(&seen);
        if is_known && self.reader.requires() {
            for field in block.fields.iter().filter(|field| field.required) {
                if !seen.iter().any(|(there, _)| there.name == field.name) {
                    let help = format!("add `{}`: {} has to have it", field.name, an(block.name));
                    let is_mild = self.reader.is_of_envoy();
                    self.faults.missing(value, field.name, help).is_mild = is_mild;
                }
            }
        }
    }

    fn field(&self, block: &'static Block, name: &str) -> Option<&'static Field> {
        if self.reader.is_of_envoy() {
            let is_twin = |field: &&Field| camel(field.name) == name;
            return block.field(name).or_else(|| block.fields.iter().find(is_twin));
        }
        let twin = || (self.reader.is_lenient() && name.contains('_')).then(|| camel(name));
        block.field(name).or_else(|| block.field(&twin()?))
    }

    /// What is to be said of a field that is there, whatever its value.
    fn note(&mut self, field: &Field, key: Value<'_>) {
        if let Some(instead) = field.deprecated {
            let help = match instead {
                "" => "leave it out: a later Istio will not read it".to_owned(),
                instead => format!("{instead} instead"),
            };
            self.faults.say(Cause::Deprecated, key, "is deprecated", help);
        }
        if let Some(since) = field.since.filter(|since| *since > self.since) {
            self.faults.since(since, key, "came with", "leave it out");
        }
    }

    fn unknown(&mut self, block: &'static Block, key: Value<'_>, name: &str) {
        let known: Vec<&str> = block.fields.iter().map(|field| field.name).collect();
        let twin = camel(name);
        let similar = if twin != name && known.contains(&twin.as_str()) {
            Some(twin.as_str())
        } else if name == "config" && known.contains(&"typed_config") {
            // So a filter of Envoy's second API had it.
            Some("typed_config")
        } else {
            nearest(name, known.iter().copied())
        };
        let inner = |levels| path_below(block, name, levels);
        let outer = || self.around.iter().rev().find(|around| around.field(name).is_some());
        let beside = || path_below(self.around.first()?, name, 1);
        let path = self.faults.path(key);
        let owner = owner(&path).map_or_else(|| an(block.name), |name| format!("`{name}`"));
        let elsewhere = |path: String| {
            (format!("unknown here: it belongs in `{path}`"), format!("move it into `{path}`"))
        };
        if self.reader == Reader::Istioctl && similar.is_none() && !self.faults.run(VALUES_OF) {
            return;
        }
        let mut is_told = true;
        let (label, help) = if let Some(similar) = similar {
            (format!("unknown: did you mean `{similar}`?"), format!("write `{similar}`"))
        } else if let Some(path) = inner(1) {
            elsewhere(path)
        } else if let Some(outer) = outer() {
            (
                format!("unknown here: it belongs to the {} around it", outer.name),
                "move it further out".to_owned(),
            )
        } else if let Some(path) = beside().or_else(|| inner(2)) {
            elsewhere(path)
        } else {
            is_told = false;
            ("unknown".to_owned(), self.without_it(&owner, &known))
        };
        let (is_mild, addition) = match self.reader {
            Reader::ApiServer => (false, ""),
            Reader::Kubernetes => (!is_told, ""),
            Reader::Istiod => (true, ", and istiod ignores it"),
            Reader::Istioctl => (similar.is_none(), ", and `istioctl` takes no other"),
            Reader::OfEnvoy { .. } => (true, ", and Istio drops it"),
        };
        let message = format!("`{path}` is not a field of {owner}{addition}");
        let (cause, span, also, instead) = (Cause::Unknown, key.span(), None, None);
        let fault = Fault { cause, span, message, label, help, also, instead, is_mild };
        self.faults.push(fault).meant(name, similar);
        if let Some(similar) = similar {
            self.faults.is_meant(key, similar);
        }
    }

    /// What to do about a field of which nobody can tell what it was meant to be.
    fn without_it(&self, owner: &str, known: &[&str]) -> String {
        if self.reader == Reader::Kubernetes {
            return format!("leave it out, unless it came after {}", table::KNOWN);
        }
        if self.reader == Reader::Istioctl {
            let (major, minor) = VALUES_OF;
            return format!("leave it out, unless it came after Istio {major}.{minor}");
        }
        if self.reader.is_of_envoy() && known.len() > LISTED {
            return format!("leave it out, unless it came after {}", table::ENVOY_KNOWN);
        }
        if known.is_empty() {
            return format!("leave it out: {owner} has no fields");
        }
        if known.len() > LISTED {
            return format!("leave it out, or see which fields {owner} has");
        }
        let list: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        format!("leave it out; {owner} has {}", list.join(", "))
    }

    /// Of the fields that share a letter only one may be there.
    fn exclusive(&mut self, seen: &[(&'static Field, Value<'_>)]) {
        let mut first: BTreeMap<&str, (&str, Value<'_>)> = BTreeMap::new();
        for (field, key) in seen {
            let Some(group) = field.group else { continue };
            match first.get(group) {
                None => drop(first.insert(group, (field.name, *key))),
                Some((name, there)) => {
                    let what = format!("stands beside `{name}`, which excludes it");
                    let help = format!("keep either `{name}` or `{}`", field.name);
                    let is_refused = matches!(self.reader, Reader::ApiServer | Reader::Kubernetes);
                    let cause = if is_refused { Cause::Invalid } else { Cause::Ignored };
                    self.faults.say(cause, *key, what, help).also =
                        Some((there.span(), "this excludes it"));
                }
            }
        }
    }

    fn list(&mut self, value: Value<'_>, wanted: &Wanted, items: &'static Wanted) {
        if value.shape() != Shape::Sequence {
            return self.wrong_type(value, "a list");
        }
        self.size(value, wanted, || value.items().count(), "items");
        for item in value.items() {
            if item.is_null() {
                self.null_item(item, items);
            } else {
                self.value(item, items);
            }
        }
        for key in &wanted.unique {
            self.unique(value, key);
        }
    }

    fn map(
        &mut self,
        value: Value<'_>,
        wanted: &Wanted,
        keys: &'static Wanted,
        values: &'static Wanted,
    ) {
        if value.shape() != Shape::Mapping {
            return self.wrong_type(value, "a mapping");
        }
        self.size(value, wanted, || value.entries().count(), "entries");
        for (key, value) in value.entries() {
            let Some(name) = key.text() else { continue };
            if !is_placeholder(&name) {
                self.form(key, keys);
            }
            if value.is_null() {
                self.null_value(value);
            } else {
                self.value(value, values);
            }
        }
    }

    fn null_item(&mut self, value: Value<'_>, wanted: &Wanted) {
        if self.reader.is_lenient() && matches!(wanted.kind, Kind::String) {
            self.format(value, wanted, "");
        } else if self.reader == Reader::ApiServer {
            let what = "is null, and an item cannot be";
            self.faults.say(Cause::WrongType, value, what, "write a value, or leave it out");
        }
    }

    /// The API server drops what is null in a mapping, whatever the key.
    fn null_value(&mut self, value: Value<'_>) {
        if self.reader == Reader::ApiServer {
            let what = "is null, and the API server drops it with its key";
            self.faults.ignored(value, what, "write a value, or leave the key out");
        }
    }

    fn unique(&mut self, list: Value<'_>, by: &str) {
        let mut first = BTreeMap::new();
        for value in list.items().filter_map(|item| item.get(by)) {
            let told = |text: &str| !text.is_empty() && !is_placeholder(text);
            let Some(text) = value.text().filter(|text| told(text)) else { continue };
            match first.get(&text) {
                None => drop(first.insert(text, value.span())),
                Some(&there) => {
                    let what = format!("stands in the list twice: `{text}`");
                    let help = format!("give each its own `{by}`");
                    self.faults.invalid(value, what, help).also = Some((there, "first here"));
                }
            }
        }
    }

    fn wrong_type(&mut self, value: Value<'_>, wanted: &str) {
        let found = match (value.shape(), value.scalar()) {
            (Shape::Mapping, _) => "a mapping".to_owned(),
            (Shape::Sequence, _) => "a list".to_owned(),
            (_, Some(Scalar::Null) | None) => "null".to_owned(),
            (_, Some(Scalar::Bool(value))) => format!("`{value}`"),
            (_, Some(Scalar::Int(number))) => format!("the number {number}"),
            (_, Some(Scalar::UInt(number))) => format!("the number {number}"),
            (_, Some(Scalar::Float(number))) => format!("the number {number:?}"),
            (_, Some(Scalar::Str(_))) => "a string".to_owned(),
        };
        let is_word = value.shape() == Shape::Scalar && matches!(wanted, "a string" | "a word");
        // A `yes` is no boolean to kustomize, which puts it in quotes.
        let is_mild = is_word && is_old_boolean(value);
        let reader = if is_mild { ", unless kustomize builds it" } else { "" };
        let label = format!("expected {wanted}, found {found}");
        let path = self.faults.path(value);
        let message = format!("`{path}` has the wrong type{reader}: {label}");
        let help = match self.reader {
            _ if is_word => "put it in quotes",
            Reader::OfEnvoy { .. } => "correct the value: Istio refuses the patch, or drops it",
            _ => "correct the value: the API server refuses the resource",
        };
        let (cause, span) = (Cause::WrongType, value.span());
        let (also, instead, help) = (None, None, help.to_owned());
        self.faults.push(Fault { cause, span, message, label, help, also, instead, is_mild });
    }
}

/// Whether a value is a boolean in YAML 1.1 alone, such as `yes` or `off`.
fn is_old_boolean(value: Value<'_>) -> bool {
    let is_of_today = |text: &str| ["true", "false"].iter().any(|it| text.eq_ignore_ascii_case(it));
    matches!(value.scalar(), Some(Scalar::Bool(_)))
        && value.text().is_some_and(|text| !is_of_today(&text))
}

/// Whether a key tells kustomize or kubectl how to lay a patch over a resource.
fn is_directive(name: &str) -> bool {
    name.starts_with('$')
}

/// More fields than so many are not listed in a help.
const LISTED: usize = 20;

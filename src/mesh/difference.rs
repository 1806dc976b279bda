//! Where two texts of one Istio object differ in what they mean.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::{CLUSTER_LABEL, NETWORK_LABEL};
use crate::kinds::is_placeholder;
use crate::source::Span;
use crate::yaml::{Scalar, Shape, Value};

/// A field that two objects do not have alike.
#[derive(Clone, Debug)]
pub struct Difference<'t> {
    /// `trafficPolicy.tls.mode`, `subsets[v2].labels.version`, `http[0].timeout`.
    pub path: String,
    /// What either of them has there.
    pub sides: [Side<'t>; 2],
}

/// One object's side of a difference.
#[derive(Clone, Copy, Debug)]
pub struct Side<'t> {
    /// The value; none where nothing is written.
    pub value: Option<Value<'t>>,
    /// The value or its key; where nothing is written, the field around it.
    pub at: Span,
}

impl Side<'_> {
    /// The value for a message: `` `5s` ``, `another value` for what is no scalar, or nothing.
    pub fn shown(&self) -> Option<String> {
        let value = self.value.filter(|v| !is_nothing(*v))?;
        Some(value.text().map_or_else(|| "another value".to_owned(), |text| format!("`{text}`")))
    }
}

/// Compares objects of two clusters.
pub(super) struct Comparison<'n> {
    /// Names either cluster has for itself: where both stand for themselves, they are alike.
    pub own: [Vec<&'n str>; 2],
    /// Trust domains that either cluster's control plane takes for the mesh's own: it puts all of them in
    /// the place of one. Source: `pilot/pkg/security/trustdomain/bundle.go`.
    pub domains: [Vec<&'n str>; 2],
    /// Paths that may differ.
    pub ignored: &'static [&'static str],
    /// Whether the order of every list counts.
    pub ordered: bool,
    /// How many nodes may still be looked at: aliases of aliases multiply them.
    pub budget: Cell<usize>,
}

/// Lists of mappings whose order does not matter to Istio.
const UNORDERED: &[&str] = &[
    "endpoints",
    "from",
    "jwtRules",
    "match",
    "portLevelSettings",
    "ports",
    "route",
    "rules",
    "servers",
    "subsets",
    "to",
    "when",
];
/// Lists of scalars whose order does.
const ORDERED: &[&str] = &["failoverPriority"];
/// Fields in which a cluster's name often is a part of a longer one: `shop-east.example.com`.
const NAMES: &[&str] = &["hosts", "sniHosts", "credentialName", "dnsNames"];

impl<'n> Comparison<'n> {
    /// A comparison of objects of two clusters that call themselves so.
    pub fn between(own: [Vec<&'n str>; 2]) -> Self {
        let domains = [Vec::new(), Vec::new()];
        Self { own, domains, ignored: &[], ordered: false, budget: Cell::new(200_000) }
    }

    /// All fields in which two values differ, by path. Empty where they are too large to tell.
    pub fn differences<'t>(&self, sides: [Side<'t>; 2]) -> Vec<Difference<'t>> {
        let mut found = Vec::new();
        self.compare("", "", sides, &mut found);
        if self.budget.get() == 0 { Vec::new() } else { found }
    }

    fn spend(&self) -> bool {
        let left = self.budget.get().saturating_sub(1);
        self.budget.set(left);
        left > 0
    }

    fn compare<'t>(
        &self,
        key: &str,
        path: &str,
        sides: [Side<'t>; 2],
        found: &mut Vec<Difference<'t>>,
    ) {
        if !self.spend() || self.ignored.contains(&path) {
            return;
        }
        let values = sides.map(|side| side.value.filter(|v| !is_nothing(*v)));
        let shapes = values.map(|v| v.map(Value::shape));
        match (values, shapes) {
            ([None, None], _) => {}
            (_, [Some(Shape::Mapping), Some(Shape::Mapping)]) => {
                self.compare_mappings(path, sides, found);
            }
            ([Some(a), Some(b)], [Some(Shape::Sequence), Some(Shape::Sequence)]) => {
                self.compare_lists(key, path, [(a, sides[0].at), (b, sides[1].at)], found);
            }
            ([Some(a), Some(b)], [Some(Shape::Scalar), Some(Shape::Scalar)])
                if self.is_same_scalar(key, a, b) => {}
            _ => found.push(Difference { path: path.to_owned(), sides }),
        }
    }

    fn is_same_scalar(&self, key: &str, a: Value<'_>, b: Value<'_>) -> bool {
        let open = |value: Value<'_>| value.text().is_some_and(|text| is_placeholder(&text));
        open(a) || open(b) || self.scalar(0, key, a) == self.scalar(1, key, b)
    }

    fn compare_mappings<'t>(
        &self,
        path: &str,
        sides: [Side<'t>; 2],
        found: &mut Vec<Difference<'t>>,
    ) {
        let mut fields: BTreeMap<String, [Side<'t>; 2]> = BTreeMap::new();
        let missing = sides.map(|side| Side { value: None, at: side.at });
        for (i, side) in sides.iter().enumerate() {
            for (key, value) in side.value.into_iter().flat_map(Value::entries) {
                let Some(name) = key.text() else { continue };
                let at = if value.shape() == Shape::Scalar { value.span() } else { key.span() };
                fields.entry(name.into_owned()).or_insert(missing)[i] =
                    Side { value: Some(value), at };
            }
        }
        for (key, sides) in fields.iter().filter(|(key, _)| !is_place(key)) {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            self.compare(key, &path, *sides, found);
        }
    }

    fn compare_lists<'t>(
        &self,
        key: &str,
        path: &str,
        lists: [(Value<'t>, Span); 2],
        found: &mut Vec<Difference<'t>>,
    ) {
        let around = lists.map(|(_, at)| at);
        let mut items: [Vec<Item<'t>>; 2] = [0, 1].map(|side| {
            let items = lists[side].0.items().enumerate();
            items
                .map(|(index, value)| {
                    Item::new(index, value, self.meaning_of_item(side, key, value))
                })
                .collect()
        });
        if self.is_ordered(key, &items) {
            drop_ends(&mut items);
        } else {
            drop_common(&mut items);
        }
        let [left, mut right] = items;
        for a in left {
            let named = right.iter().position(|b| a.name.is_some() && a.name == b.name);
            let any = || right.iter().position(|b| b.name.is_none() || a.name.is_none());
            let b = named.or_else(any).map(|at| right.remove(at));
            let path = format!("{path}{}", a.step());
            let other =
                Side { value: b.as_ref().map(|b| b.value), at: b.map_or(around[1], |b| b.at) };
            self.compare(key, &path, [Side { value: Some(a.value), at: a.at }, other], found);
        }
        for b in right {
            let sides =
                [Side { value: None, at: around[0] }, Side { value: Some(b.value), at: b.at }];
            self.compare(key, &format!("{path}{}", b.step()), sides, found);
        }
    }

    fn is_ordered(&self, key: &str, items: &[Vec<Item<'_>>; 2]) -> bool {
        let scalars = items.iter().flatten().all(|item| item.value.shape() == Shape::Scalar);
        self.ordered || if scalars { ORDERED.contains(&key) } else { !UNORDERED.contains(&key) }
    }

    fn meaning_of_item(&self, side: usize, key: &str, value: Value<'_>) -> String {
        let mut text = String::new();
        self.write(side, key, "", value, &mut text);
        text
    }

    fn write(&self, side: usize, key: &str, path: &str, value: Value<'_>, out: &mut String) {
        if !self.spend() || is_nothing(value) || self.ignored.contains(&path) && !path.is_empty() {
            return;
        }
        match value.shape() {
            Shape::Scalar => out.push_str(&format!("{:?}", self.scalar(side, key, value))),
            Shape::Mapping => {
                let entries = value.entries().filter(|(_, value)| !is_nothing(*value));
                let named = entries.filter_map(|(key, value)| Some((key.text()?, value)));
                let fields: BTreeMap<_, _> = named.filter(|(key, _)| !is_place(key)).collect();
                out.push('{');
                for (key, value) in fields {
                    out.push_str(&format!("{key:?}:"));
                    self.write(side, &key, if path.is_empty() { &key } else { "." }, value, out);
                    out.push(',');
                }
                out.push('}');
            }
            Shape::Sequence => {
                let mut items: Vec<Item<'_>> = Vec::new();
                for value in value.items() {
                    items.push(Item::new(0, value, self.meaning_of_item(side, key, value)));
                }
                let mut lists = [items, Vec::new()];
                if !self.is_ordered(key, &lists) {
                    lists[0].sort_by(|a, b| a.meaning.cmp(&b.meaning));
                }
                let meanings: Vec<&str> = lists[0].iter().map(|i| i.meaning.as_str()).collect();
                out.push_str(&format!("[{}]", meanings.join(",")));
            }
        }
    }

    /// What a scalar says: numbers as they count, durations by their length, own names as one.
    fn scalar(&self, side: usize, key: &str, value: Value<'_>) -> String {
        let text = match value.scalar() {
            Some(Scalar::Str(text)) => text,
            Some(Scalar::Bool(is)) => return is.to_string(),
            Some(Scalar::Int(number)) => return number.to_string(),
            Some(Scalar::UInt(number)) => return number.to_string(),
            Some(Scalar::Float(number)) => return number.to_string(),
            Some(Scalar::Null) | None => return String::new(),
        };
        if let Some(nanoseconds) = duration(&text) {
            return format!("{nanoseconds}ns");
        }
        if let Some((domain, identity)) = text.split_once("/ns/")
            && self.domains[side].contains(&domain)
        {
            return format!("\u{0}/ns/{identity}");
        }
        let between: &[char] = if NAMES.contains(&key) { &['.', '-'] } else { &['.'] };
        let own = |part: &str| self.own[side].contains(&part.trim_end_matches(between));
        if own(&text) {
            return "\u{0}".to_owned();
        }
        let parts = text.split_inclusive(between);
        parts.map(|part| if own(part) { "\u{0}." } else { part }).collect()
    }
}

/// An item of a list.
struct Item<'t> {
    index: usize,
    value: Value<'t>,
    name: Option<String>,
    meaning: String,
    at: Span,
}

impl<'t> Item<'t> {
    fn new(index: usize, value: Value<'t>, meaning: String) -> Self {
        let told = value.get("name").filter(|name| name.shape() == Shape::Scalar);
        let name = told.and_then(Value::text).map(std::borrow::Cow::into_owned);
        let first = value.entries().next().map_or(value.span(), |(key, _)| key.span());
        let at = told.map_or(first, Value::span);
        Self { index, value, name, meaning, at }
    }

    /// How a path goes on to it.
    fn step(&self) -> String {
        match (&self.name, self.value.shape()) {
            (Some(name), _) => format!("[{name}]"),
            (None, Shape::Scalar) => String::new(),
            (None, _) => format!("[{}]", self.index),
        }
    }
}

/// Leaves of two lists what lies between their common beginning and their common end.
fn drop_ends(lists: &mut [Vec<Item<'_>>; 2]) {
    let [a, b] = lists;
    let same = |(a, b): &(&Item<'_>, &Item<'_>)| a.meaning == b.meaning;
    let begin = a.iter().zip(&*b).take_while(same).count();
    a.drain(..begin);
    b.drain(..begin);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(same).count();
    a.truncate(a.len() - end);
    b.truncate(b.len() - end);
}

/// Leaves of two lists what the other one does not have.
fn drop_common(lists: &mut [Vec<Item<'_>>; 2]) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for item in &lists[1] {
        *counts.entry(item.meaning.clone()).or_default() += 1;
    }
    let take = |counts: &mut BTreeMap<String, usize>, item: &Item<'_>| {
        let left = counts.get_mut(&item.meaning).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    };
    let mut common: BTreeMap<String, usize> = BTreeMap::new();
    lists[0].retain(|item| {
        let is_common = take(&mut counts, item);
        if is_common {
            *common.entry(item.meaning.clone()).or_default() += 1;
        }
        !is_common
    });
    lists[1].retain(|item| !take(&mut common, item));
}

/// Labels whose values are different in each cluster by their nature.
fn is_place(key: &str) -> bool {
    key == CLUSTER_LABEL || key == NETWORK_LABEL
}

/// Whether it says as much as if it were not written.
fn is_nothing(value: Value<'_>) -> bool {
    value.is_null() || value.shape() == Shape::Sequence && value.items().next().is_none()
}

/// The length of a duration such as `1m30s` or `0.5s`, in nanoseconds.
fn duration(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit() || c == '.');
        let unit = &rest[digits..unit_end.map_or(rest.len(), |end| digits + end)];
        let scale = match unit {
            "h" => 3.6e12,
            "m" => 6e10,
            "s" => 1e9,
            "ms" => 1e6,
            "us" | "µs" => 1e3,
            "ns" => 1.0,
            _ => return None,
        };
        total += number * scale;
        rest = &rest[digits + unit.len()..];
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is positive and rounded"
    )]
    (!text.is_empty()).then_some(total.round() as u64)
}

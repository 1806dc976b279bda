//! The table of fields: what the texts in `fields/` mean.
//!
//! A block is a name on a line of its own and its fields below it, a line each: `name: type, facts`. What
//! tells it from blocks of other APIs that are called the same stands before it: `kube/ServicePort`. Those of
//! Envoy have their full names, and the fields are spelled as in Protobuf. A field `*` stands for further
//! ones that are not listed.
//!
//! | type | a value is |
//! |---|---|
//! | `string`, `bool`, `double`, `int32`, `uint32`, `int64`, `uint64`, `any` | what it says |
//! | `int-or-string` | a number, of which bounds hold, or a string, of which the format does |
//! | `object` | a mapping of whatever |
//! | `duration` | a string such as `1h30m` or `1.5s` |
//! | `typed` | a mapping with the fields of the block that its `@type` names |
//! | `A \| B` | one of these words; `""` is the empty one |
//! | `[T]`, `{T}` | a list of T, a mapping whose keys are data and whose values are T |
//! | `Name` | a mapping with the fields of the block of that name |
//!
//! | fact | the API server, or Istio's webhook, refuses |
//! |---|---|
//! | `required` | a block without the field |
//! | `1..5`, `1..`, `..5`, `1..5 or 0` | other numbers |
//! | `1..5 chars`, `1..5 items` | strings, or lists and mappings, of another length |
//! | `like NAME` | strings that are not empty and not what [`formats`](super::formats) calls so |
//! | `>= 1ms`, `whole seconds` | shorter durations, and ones that are no whole number of that |
//! | `one of A` | a block with more than one of the fields that share the letter |
//! | `unique by NAME` | two items with the same value of that field |
//! | `each FACT`, `keys FACT` | items or values, or keys, of which the fact does not hold |
//! | `since 1.24` | (before that version of Istio the field is not known) |
//! | `deprecated: WHY` | (nothing: it still works) |

use std::collections::HashMap;
use std::sync::LazyLock;

use super::formats::{self, Format};

/// A version of Istio: major and minor.
pub type Version = (u32, u32);

/// A mapping of the API: its fields by name.
#[derive(Debug)]
pub(super) struct Block {
    /// What its API calls it.
    pub name: &'static str,
    /// The fields, sorted by name.
    pub fields: Vec<Field>,
    /// Whether it has further ones.
    pub is_open: bool,
    /// Whether some field is required, or excludes another.
    pub has_claims: bool,
}

/// A field of a block.
#[derive(Debug)]
pub(super) struct Field {
    pub name: &'static str,
    pub required: bool,
    /// The letter it shares with the fields beside which it must not stand.
    pub group: Option<&'static str>,
    pub since: Option<Version>,
    /// What to write instead.
    pub deprecated: Option<&'static str>,
    pub value: Wanted,
}

/// What a value has to be.
#[derive(Debug)]
pub(super) struct Wanted {
    pub kind: Kind,
    /// Bounds of a number, of a string's length, or of the number of items.
    pub bounds: Option<Bounds>,
    pub format: Option<&'static Format>,
    /// The fields by which items differ.
    pub unique: Vec<&'static str>,
    /// Whether it is an item, a value or a key of another value: an empty one is not the same as none.
    pub is_part: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
    Any,
    Object,
    String,
    Bool,
    /// With the least and the greatest that its width holds.
    Int(i128, i128),
    IntOrString,
    Double,
    Duration {
        at_least_1ms: bool,
        whole_seconds: bool,
    },
    Typed,
    Word(Vec<&'static str>),
    Block(&'static str),
    List(Box<Wanted>),
    Map {
        keys: Box<Wanted>,
        values: Box<Wanted>,
    },
}

/// Up to which releases the table has every field of kinds that are not Istio's.
pub(super) const KNOWN: &str = "Kubernetes 1.37 and Gateway API 1.7";

/// Up to which release the table has the messages of Envoy that istiod knows.
pub(super) const ENVOY_KNOWN: &str = "Istio 1.32";

/// The least and the greatest of 32 bits.
pub(super) const INT32: (i128, i128) = (i32::MIN as i128, i32::MAX as i128);

/// From, to, and whether 0 is let through too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub least: Option<u32>,
    pub most: Option<u32>,
    pub or_zero: bool,
}

impl Bounds {
    /// Whether a number lies within.
    pub fn hold(self, number: f64) -> bool {
        (self.or_zero && number == 0.0)
            || (self.least.is_none_or(|least| number >= f64::from(least))
                && self.most.is_none_or(|most| number <= f64::from(most)))
    }

    /// `at least 1`, `from 1 to 5`, `at most 5`.
    pub fn in_words(self) -> String {
        match (self.least, self.most) {
            (Some(least), Some(most)) => format!("from {least} to {most}"),
            (Some(least), None) => format!("at least {least}"),
            (None, Some(most)) => format!("at most {most}"),
            (None, None) => "of any size".to_owned(),
        }
    }
}

impl Block {
    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        let at = self.fields.binary_search_by(|field| field.name.cmp(name)).ok()?;
        self.fields.get(at)
    }
}

/// The block of that name.
pub(super) fn block(name: &str) -> Option<&'static Block> {
    if is_of_envoy(name) { ENVOY.get(name) } else { TABLE.get(name) }
}

/// Whether it is the full name of a message, as Envoy's have it.
fn is_of_envoy(name: &str) -> bool {
    name.contains('.')
}

/// The full names of Envoy's messages.
pub(super) fn messages_of_envoy() -> impl Iterator<Item = &'static str> {
    ENVOY.keys().copied()
}

/// By itself, since it is larger than all others together and few meshes patch Envoy.
static ENVOY: LazyLock<HashMap<&'static str, Block>> =
    LazyLock::new(|| blocks(include_str!("fields/envoy.txt")).collect());

static TABLE: LazyLock<HashMap<&'static str, Block>> = LazyLock::new(|| {
    let texts = [
        include_str!("fields/networking.txt"),
        include_str!("fields/policies.txt"),
        include_str!("fields/mesh.txt"),
        include_str!("fields/install.txt"),
        include_str!("fields/values.txt"),
        include_str!("fields/kubernetes.txt"),
        include_str!("fields/pods.txt"),
        include_str!("fields/gateway_api.txt"),
    ];
    texts.into_iter().flat_map(blocks).collect()
});

/// Blocks by what the table calls them.
fn blocks(text: &'static str) -> impl Iterator<Item = (&'static str, Block)> {
    text.split("\n\n").filter_map(|part| {
        let mut lines = part.lines().filter(|line| !line.starts_with('#'));
        let called = lines.next()?;
        let name = called.rsplit(['/', '.']).next()?;
        let mut fields: Vec<Field> = lines.map(field).collect();
        fields.sort_by_key(|field| field.name);
        let is_open = fields.iter().any(|field| field.name == "*");
        let has_claims = fields.iter().any(|field| field.required || field.group.is_some());
        Some((called, Block { name, fields, is_open, has_claims }))
    })
}

fn field(line: &'static str) -> Field {
    let (name, rest) = line.trim().split_once(':').expect("a field is `name: type, facts`");
    let mut parts = rest.trim().split(", ");
    let kind = kind(parts.next().unwrap_or_default());
    let mut field = Field {
        name,
        required: false,
        group: None,
        since: None,
        deprecated: None,
        value: Wanted::of(kind),
    };
    for fact in parts {
        match fact.split_once(' ').unwrap_or((fact, "")) {
            ("required", "") => field.required = true,
            ("one", group) => field.group = group.strip_prefix("of "),
            ("since", since) => field.since = super::version(since),
            ("deprecated" | "deprecated:", instead) => field.deprecated = Some(instead),
            _ => field.value.learn(fact),
        }
    }
    field
}

fn kind(text: &'static str) -> Kind {
    let inside = |open: char, close: char| text.strip_prefix(open)?.strip_suffix(close);
    if let Some(items) = inside('[', ']') {
        return Kind::List(Box::new(Wanted::part(kind(items))));
    }
    if let Some(values) = inside('{', '}') {
        let [keys, values] = [Kind::String, kind(values)].map(|kind| Box::new(Wanted::part(kind)));
        return Kind::Map { keys, values };
    }
    match text {
        "any" => Kind::Any,
        "object" => Kind::Object,
        "string" => Kind::String,
        "bool" => Kind::Bool,
        "double" => Kind::Double,
        "int32" => Kind::Int(INT32.0, INT32.1),
        "uint32" => Kind::Int(0, u32::MAX.into()),
        "int-or-string" => Kind::IntOrString,
        "int64" => Kind::Int(i64::MIN.into(), i64::MAX.into()),
        "uint64" => Kind::Int(0, u64::MAX.into()),
        "duration" => Kind::Duration { at_least_1ms: false, whole_seconds: false },
        "typed" => Kind::Typed,
        name if is_of_envoy(name) => Kind::Block(name),
        words if words.contains(" | ") => {
            Kind::Word(words.split(" | ").map(|word| word.trim_matches('"')).collect())
        }
        word if word.contains('_') => Kind::Word(vec![word]),
        name => Kind::Block(name),
    }
}

impl Wanted {
    fn of(kind: Kind) -> Self {
        Self { kind, bounds: None, format: None, unique: Vec::new(), is_part: false }
    }

    fn part(kind: Kind) -> Self {
        Self { is_part: true, ..Self::of(kind) }
    }

    fn learn(&mut self, fact: &'static str) {
        match (fact.split_once(' ').unwrap_or((fact, "")), &mut self.kind) {
            (("each", fact), Kind::List(inner) | Kind::Map { values: inner, .. }) => {
                inner.learn(fact);
            }
            (("keys", fact), Kind::Map { keys, .. }) => keys.learn(fact),
            (("like", name), _) => {
                self.format = Some(formats::named(name).expect("a format of this name"));
            }
            (("unique", by), _) => self.unique.extend(by.strip_prefix("by ")),
            ((">=", "1ms"), Kind::Duration { at_least_1ms, .. }) => *at_least_1ms = true,
            (("whole", "seconds"), Kind::Duration { whole_seconds, .. }) => *whole_seconds = true,
            ((range, unit), _) => {
                let (least, most) = range.split_once("..").expect("a fact that is known");
                let or_zero = unit == "or 0";
                let [least, most] = [least, most].map(|bound| bound.parse().ok());
                self.bounds = Some(Bounds { least, most, or_zero });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(wanted: &Wanted, all: &mut Vec<&'static str>) {
        match &wanted.kind {
            Kind::Block(name) => all.push(name),
            Kind::List(inner) | Kind::Map { values: inner, .. } => names(inner, all),
            _ => {}
        }
    }

    #[test]
    fn every_block_that_is_named_is_there() {
        let mut all: Vec<&str> = vec!["MeshConfig", "MeshNetworks", "IstioOperator", "IstioValues"];
        all.extend(super::super::KINDS.iter().map(|kind| kind.block));
        all.extend(super::super::kubernetes::KINDS.iter().map(|(.., block)| block));
        for field in TABLE.values().chain(ENVOY.values()).flat_map(|block| &block.fields) {
            names(&field.value, &mut all);
        }
        let missing: Vec<_> = all.iter().filter(|name| block(name).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
        // Any message of Envoy's may stand where an `@type` names it.
        let unused: Vec<_> = TABLE.keys().filter(|name| !all.contains(name)).collect();
        assert!(unused.is_empty(), "{unused:?}");
    }

    #[test]
    fn a_line_is_read_in_full() {
        let field =
            field("  ports: {uint32}, ..128 items, keys like dns-label, each 1..65535, since 1.24");
        let Kind::Map { keys, values } = &field.value.kind else { panic!("a mapping") };
        assert_eq!(field.since, Some((1, 24)));
        assert_eq!(field.value.bounds.map(Bounds::in_words).as_deref(), Some("at most 128"));
        assert!(keys.format.is_some());
        assert!(values.bounds.is_some_and(|b| b.hold(80.0) && !b.hold(0.0)));
    }
}

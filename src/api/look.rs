//! Looking at the fields of a spanned tree: what is set, what is known, what is still to be filled in.

use std::borrow::Cow;

use crate::kinds::is_placeholder;
use crate::yaml::{Scalar, Shape, Value};

/// Questions to a mapping. A field that is null is not there; a value that a pipeline still has to fill
/// in is there, and unknown.
pub(super) trait Look<'t>: Copy {
    /// The value of a field that is written and not null.
    fn field(self, key: &str) -> Option<Value<'t>>;

    /// The same, where an empty list counts as nothing: so Istio decodes it.
    fn set(self, key: &str) -> Option<Value<'t>> {
        self.field(key)
            .filter(|value| value.shape() != Shape::Sequence || value.items().next().is_some())
    }

    /// Whether a field has any value but an empty one: so Istio sees strings, lists and numbers.
    fn has(self, key: &str) -> bool {
        self.set(key).is_some_and(|value| match value.scalar() {
            Some(Scalar::Str(text)) => !text.is_empty(),
            Some(Scalar::Bool(value)) => value,
            Some(Scalar::Int(number)) => number != 0,
            _ => true,
        })
    }

    /// The same, where nothing of it is still to be filled in, perhaps with nothing.
    fn surely_has(self, key: &str) -> bool {
        let is_open = |value: Value<'t>| value.text().is_some_and(|it| is_placeholder(&it));
        self.has(key) && !self.field(key).is_some_and(is_open)
    }

    /// The items of a list.
    fn list(self, key: &str) -> impl Iterator<Item = Value<'t>> {
        self.field(key).into_iter().flat_map(Value::items)
    }

    /// Keys and values of a mapping.
    fn map(self, key: &str) -> impl Iterator<Item = (Value<'t>, Value<'t>)> {
        self.field(key).into_iter().flat_map(Value::entries)
    }

    /// The text of a field, where it is known.
    fn text_of(self, key: &str) -> Option<Cow<'t, str>> {
        self.field(key).and_then(known_text)
    }

    /// The word of a field or what its absence means; `None` where it is not known.
    fn word_or(self, key: &str, default: &'static str) -> Option<Cow<'t, str>> {
        self.field(key).map_or(Some(Cow::Borrowed(default)), known_text)
    }

    /// The number of a field or 0; `None` where it is not known.
    fn number_or_zero(self, key: &str) -> Option<i64> {
        self.field(key).map_or(Some(0), known_number)
    }

    /// Whether a field is true.
    fn is_true(self, key: &str) -> bool {
        self.field(key).and_then(Value::scalar) == Some(Scalar::Bool(true))
    }
}

impl<'t> Look<'t> for Value<'t> {
    fn field(self, key: &str) -> Option<Value<'t>> {
        self.get(key).filter(|value| !value.is_null())
    }
}

/// A string that is not still to be filled in.
pub(super) fn known_text(value: Value<'_>) -> Option<Cow<'_, str>> {
    value.as_str().filter(|text| !is_placeholder(text))
}

/// Whether nothing in a mapping is still to be filled in, nor says how to lay it over another.
pub(super) fn is_whole(value: Value<'_>) -> bool {
    let is_open = |text: &str| is_placeholder(text) || text.starts_with('$');
    value.shape() == Shape::Mapping
        && value.entries().all(|(key, _)| key.text().is_some_and(|it| !is_open(&it)))
}

/// A whole number.
pub(super) fn known_number(value: Value<'_>) -> Option<i64> {
    match value.scalar()? {
        Scalar::Int(number) => Some(number),
        Scalar::UInt(_) => Some(i64::MAX),
        #[expect(clippy::cast_possible_truncation, reason = "only whole numbers that fit")]
        Scalar::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            Some(number as i64)
        }
        _ => None,
    }
}

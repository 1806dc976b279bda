//! Typed views: a serde `Deserializer` over the tape.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::error::Error;
use super::scalar::Scalar;
use super::tape::Tape;
use super::typed::SPANNED;
use super::value::{Pairs, Shape, Value};

/// How deep a value may be nested, aliases followed: stacks are small.
const MAX_DEPTH: u32 = 128;

/// What all deserializers of one attempt share.
pub(super) struct Attempt<'t> {
    pub tape: &'t Tape,
    /// Fields and items that are passed over because they can't be read.
    pub skip: &'t BTreeSet<u32>,
    /// How many more nodes may be visited: aliases of aliases multiply.
    pub budget: Cell<usize>,
    /// Nodes that were taken for texts and are numbers or booleans.
    pub loose: RefCell<Vec<u32>>,
}

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a, 't> {
    attempt: &'a Attempt<'t>,
    value: Value<'t>,
    depth: u32,
    /// Whether the node is a mapping's key: all keys are strings, as in JSON.
    is_key: bool,
}

impl<'a, 't> Reader<'a, 't> {
    pub fn new(attempt: &'a Attempt<'t>, value: Value<'t>) -> Self {
        Self { attempt, value, depth: 0, is_key: false }
    }

    fn at(self, index: u32) -> Self {
        let value = Value { tape: self.attempt.tape, index };
        Self { value, is_key: false, ..self }
    }

    /// One level down, within the limits of depth and visits.
    fn enter(self, visits: usize) -> Result<Self, Error> {
        let Some(budget) = self.attempt.budget.get().checked_sub(visits) else {
            return Err(
                Error::hopeless("aliases make this document too large").at(self.value.index)
            );
        };
        if self.depth == MAX_DEPTH {
            let message = format!("nested more than {MAX_DEPTH} levels deep");
            return Err(Error::new(message).at(self.value.index));
        }
        self.attempt.budget.set(budget);
        Ok(Self { depth: self.depth + 1, ..self })
    }

    /// Blames this node for an error that has no place yet.
    fn blame<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| error.at(self.value.index))
    }

    fn visit_mapping<V: Visitor<'t>>(self, visitor: V, nulls: bool) -> Result<V::Value, Error> {
        let pairs = Pairs::new(self.value);
        let inner = self.enter(1 + pairs.visited)?;
        let fields = Fields { of: inner, pairs, nulls, current: (0, 0) };
        self.blame(visitor.visit_map(fields))
    }

    fn visit<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value.shape() {
            Shape::Mapping => return self.visit_mapping(visitor, true),
            Shape::Sequence => {
                let rest = self.value.tape.children(self.value.target());
                let items = Items { of: self.enter(1)?, rest, position: 0 };
                return self.blame(visitor.visit_seq(items));
            }
            Shape::Scalar => {}
        }
        self.blame(match self.value.scalar() {
            None | Some(Scalar::Null) => visitor.visit_unit(),
            Some(Scalar::Bool(value)) => visitor.visit_bool(value),
            Some(Scalar::Int(value)) => visitor.visit_i64(value),
            Some(Scalar::UInt(value)) => visitor.visit_u64(value),
            Some(Scalar::Float(value)) => visitor.visit_f64(value),
            Some(Scalar::Str(value)) => match value {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
        })
    }
}

impl<'t> Deserializer<'t> for Reader<'_, 't> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_key { self.deserialize_identifier(visitor) } else { self.visit(visitor) }
    }

    /// Any scalar but null is text where text is wanted.
    fn deserialize_str<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value.scalar() {
            _ if self.is_key => {}
            Some(Scalar::Null) => return self.visit(visitor),
            None | Some(Scalar::Str(_)) => {}
            Some(_) => self.attempt.loose.borrow_mut().push(self.value.index),
        }
        self.deserialize_identifier(visitor)
    }

    fn deserialize_string<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value.shape() {
            Shape::Scalar => match self.value.tape.text(self.value.index) {
                Some(text) => self.blame(visitor.visit_borrowed_str(text)),
                None => self.visit(visitor),
            },
            Shape::Mapping | Shape::Sequence => self.visit(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'t>>(
        self,
        name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == SPANNED {
            return visitor.visit_seq(SpannedParts { of: self, part: 0 });
        }
        match self.value.shape() {
            // To the API server a field that is null is a field that is not there.
            Shape::Mapping => self.visit_mapping(visitor, false),
            // Derived visitors would take a list for the fields in their order.
            Shape::Sequence => {
                self.blame(Err(de::Error::invalid_type(de::Unexpected::Seq, &visitor)))
            }
            Shape::Scalar => self.visit(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let mut entries = Pairs::new(self.value);
        let (name, content) = match (entries.next(), entries.next()) {
            (Some((key, value)), None) => (key, Some(self.at(value))),
            _ => (self.value.index, None),
        };
        match self.value.tape.text(name) {
            Some(name) if !self.value.is_null() => {
                self.blame(visitor.visit_enum(Variant { name, content }))
            }
            _ => self.visit(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'t>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        seq tuple tuple_struct map
    }
}

/// The entries of a mapping.
struct Fields<'a, 't> {
    of: Reader<'a, 't>,
    pairs: Pairs<'t>,
    /// Whether entries whose value is null are given out.
    nulls: bool,
    /// The key and value that were given out last.
    current: (u32, u32),
}

impl Fields<'_, '_> {
    fn place<T>(&self, result: Result<T, Error>, blamed: u32) -> Result<T, Error> {
        let (key, value) = self.current;
        result.map_err(|error| {
            let name = self.of.value.tape.text(key).unwrap_or_default();
            error.at(blamed).in_field(value, name)
        })
    }
}

impl<'t> MapAccess<'t> for Fields<'_, 't> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'t>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let of = self.of;
        let wanted = |&(_, value): &(u32, u32)| {
            !of.attempt.skip.contains(&value) && (self.nulls || !of.at(value).value.is_null())
        };
        let Some((key, value)) = self.pairs.find(wanted) else { return Ok(None) };
        self.current = (key, value);
        let result = seed.deserialize(Reader { is_key: true, ..of.at(key) });
        self.place(result, key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let value = self.current.1;
        self.place(seed.deserialize(self.of.at(value)), value)
    }
}

/// The items of a sequence.
struct Items<'a, 't, I> {
    of: Reader<'a, 't>,
    rest: I,
    position: usize,
}

impl<'t, I: Iterator<Item = u32>> SeqAccess<'t> for Items<'_, 't, I> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'t>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        for item in self.rest.by_ref() {
            self.position += 1;
            if !self.of.attempt.skip.contains(&item) {
                let result = seed.deserialize(self.of.at(item));
                let position = self.position - 1;
                return result.map(Some).map_err(|error| error.at(item).in_item(item, position));
            }
        }
        Ok(None)
    }
}

/// What [`Spanned`](crate::source::Spanned) is made of: start, end, value.
struct SpannedParts<'a, 't> {
    of: Reader<'a, 't>,
    part: u8,
}

impl<'t> SeqAccess<'t> for SpannedParts<'_, 't> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'t>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        self.part += 1;
        let span = self.of.value.span();
        let number = |at: u32| IntoDeserializer::<Error>::into_deserializer(at);
        match self.part {
            1 => seed.deserialize(number(span.start)).map(Some),
            2 => seed.deserialize(number(span.end)).map(Some),
            3 => seed.deserialize(self.of).map(Some),
            _ => Ok(None),
        }
    }
}

/// An enum: `Name`, or `Name: content`.
struct Variant<'a, 't> {
    name: &'t str,
    content: Option<Reader<'a, 't>>,
}

impl<'t> EnumAccess<'t> for Variant<'_, 't> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'t>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name = de::value::BorrowedStrDeserializer::<Error>::new(self.name);
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'t> Variant<'_, 't> {
    fn content(&self) -> Result<Reader<'_, 't>, Error> {
        let missing = || Error::new(format!("`{}` needs a value", self.name));
        self.content.ok_or_else(missing).and_then(|content| content.enter(1))
    }
}

impl<'t> VariantAccess<'t> for Variant<'_, 't> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.content {
            Some(content) if !content.value.is_null() => {
                Err(Error::new("expected a name, found a mapping".to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'t>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'t>>(self, _len: usize, visitor: V) -> Result<V::Value, Error> {
        self.content()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'t>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.content()?.deserialize_struct("", fields, visitor)
    }
}

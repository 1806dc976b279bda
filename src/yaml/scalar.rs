//! What a scalar means: YAML 1.1 as kubectl reads it.

use std::borrow::Cow;

/// What a scalar means.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'t> {
    /// Nothing, `~` or `null`.
    Null,
    /// `true`, `no`, `on`, ...
    Bool(bool),
    /// An integer that fits 64 bits with a sign.
    Int(i64),
    /// A larger one.
    UInt(u64),
    /// A decimal number.
    Float(f64),
    /// Everything else, and everything in quotes.
    Str(Cow<'t, str>),
}

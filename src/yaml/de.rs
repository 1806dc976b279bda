//! Typed views: a serde `Deserializer` over the tape.

//! The immutable model and its graph: the vocabulary rules are written in, with three-valued answers.

/// All clusters of all meshes that were given.
#[derive(Debug, Default)]
pub struct Mesh {}

//! Nodes in one flat list.

/// Nodes in one flat list.
#[derive(Debug, Clone)]
pub struct Tape {}

//! Egress: hosts outside of the mesh, and how requests get there.

use super::Rule;

pub(super) const RULES: &[Rule] = &[];

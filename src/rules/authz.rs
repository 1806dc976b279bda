//! Authorization: policies that allow or deny nothing, or not what they seem to.

use super::Rule;

pub(super) const RULES: &[Rule] = &[];

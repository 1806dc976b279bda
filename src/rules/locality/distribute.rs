//! `distribute`: weights by locality.

use crate::rules::Rule;

pub(in crate::rules) const RULES: &[Rule] = &[];

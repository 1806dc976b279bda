//! Which locality setting applies, and what makes it go without effect.

use crate::rules::Rule;

pub(in crate::rules) const RULES: &[Rule] = &[];

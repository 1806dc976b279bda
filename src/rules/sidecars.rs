//! Sidecars: what proxies get to see.

use super::Rule;

pub(super) const RULES: &[Rule] = &[];

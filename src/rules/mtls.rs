//! TLS between workloads and towards the outside.

use super::Rule;

pub(super) const RULES: &[Rule] = &[];

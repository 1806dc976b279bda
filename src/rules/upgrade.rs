//! Upgrades: what newer versions of Istio refuse or need.

use super::Rule;

pub(super) const RULES: &[Rule] = &[];

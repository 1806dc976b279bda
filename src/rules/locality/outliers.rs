//! Outlier detection: what makes failover work, and what keeps it from working.

use crate::rules::Rule;

pub(in crate::rules) const RULES: &[Rule] = &[];

//! `failover` and `failoverPriority`: which endpoints take over.

use crate::rules::Rule;

pub(in crate::rules) const RULES: &[Rule] = &[];

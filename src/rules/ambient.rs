//! Ambient: ztunnel, waypoints, and what they pass over.

use super::Rule;

pub(super) const RULES: &[Rule] = &[];

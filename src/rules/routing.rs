//! Routing: hosts, routes and matches of VirtualServices.

use super::Rule;

pub(super) const RULES: &[Rule] = &[];

//! Workloads: injection, pods, and the labels and annotations that Istio reads.

use super::Rule;

pub(super) const RULES: &[Rule] = &[];

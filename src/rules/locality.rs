//! Locality: does traffic stay in its zone, and does it find another when the zone is lost?

mod choice;
pub(super) mod distribute;
mod ejection;
mod endpoints;
pub(super) mod failover;
mod levels;
pub(super) mod outliers;
mod reach;
pub(super) mod settings;
mod zone_aware;

use super::Rule;

pub(super) const RULES: &[Rule] = &[];

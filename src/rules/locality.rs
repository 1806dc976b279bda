//! Locality: does traffic stay in its zone, and does it find another when the zone is lost?

mod choice;
mod coverage;
pub(super) mod distribute;
mod ejection;
mod endpoints;
pub(super) mod failover;
pub(super) mod flows;
mod levels;
mod networks;
pub(super) mod outliers;
mod priority;
pub(super) mod reach;
pub(super) mod replaced;
pub(super) mod settings;
mod texts;
mod zone_aware;

//! Locality: does traffic stay in its zone, and does it find another when the zone is lost?

pub(super) mod breadth;
mod coverage;
pub(super) mod distribute;
mod ejection;
pub(super) mod failover;
pub(super) mod flows;
mod networks;
pub(super) mod outliers;
mod priority;
pub(super) mod replaced;
pub(super) mod settings;
pub(super) mod stale;
mod texts;
mod zone_aware;

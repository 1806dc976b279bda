//! Locality: does traffic stay in its zone, and does it find another when the zone is lost?

pub(super) mod distribute;
pub(super) mod failover;
pub(super) mod flows;
pub(super) mod outliers;
pub(super) mod settings;

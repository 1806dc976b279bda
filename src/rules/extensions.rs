//! Extensions: EnvoyFilters, WasmPlugins, Telemetry.

mod providers;

use super::{Rule, rule};

pub(super) const RULES: &[Rule] =
    &[rule!("extensions/lightstep-provider", providers::lightstep_provider)];

//! Extensions: EnvoyFilters, WasmPlugins, Telemetry.

use super::Rule;

pub(super) const RULES: &[Rule] = &[];

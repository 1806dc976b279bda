//! Extensions: EnvoyFilters, WasmPlugins, Telemetry.

mod patches;
mod providers;
mod selecting;
mod telemetry;

use super::{Rule, rule};

pub(super) const RULES: &[Rule] = &[
    rule!("extensions/access-log-without-provider", telemetry::access_log_without_provider),
    rule!("extensions/lightstep-provider", providers::lightstep_provider),
    rule!("extensions/patch-without-effect", patches::patch_without_effect),
    rule!("extensions/provider-of-other-kind", providers::provider_of_other_kind),
    rule!("extensions/provider-service-missing", providers::provider_service_missing),
    rule!("extensions/relative-patch", patches::relative_patch),
    rule!("extensions/selects-no-workload", selecting::selects_no_workload),
    rule!("extensions/several-telemetries", telemetry::several_telemetries),
    rule!("extensions/telemetry-selected-twice", telemetry::telemetry_selected_twice),
    rule!("extensions/telemetry-selects-no-workload", telemetry::telemetry_selects_no_workload),
    rule!("extensions/unknown-provider", providers::unknown_provider),
];

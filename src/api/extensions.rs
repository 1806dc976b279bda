//! Checks of a WasmPlugin and a TrafficExtension.

use super::Subject;
use super::fault::Faults;
use super::look::Look;
use super::policies::attachment;
use crate::yaml::Value;

pub(super) fn check_wasm_plugin(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    attachment(subject.spec, faults);
    environment(subject.spec, faults);
}

pub(super) fn check_traffic_extension(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    let spec = subject.spec;
    attachment(spec, faults);
    match (spec.field("wasm"), spec.field("lua")) {
        (Some(wasm), _) => environment(wasm, faults),
        (None, None) => {
            faults.missing(spec, "wasm", "add `wasm` or `lua`");
        }
        (None, Some(_)) => {}
    }
}

/// Variables that a plugin sees: with a value, or with the proxy's own.
fn environment(plugin: Value<'_>, faults: &mut Faults<'_>) {
    for variable in plugin.field("vmConfig").into_iter().flat_map(|it| it.list("env")) {
        let from_host = variable.text_of("valueFrom").is_some_and(|it| it == "HOST");
        if let Some(value) = variable.field("value").filter(|_| from_host) {
            let help = "leave it out, or write `valueFrom: INLINE`";
            faults.invalid(value, "is set although the proxy's own value is taken", help);
        }
    }
}

//! What the API server asks of routes of the Gateway API beyond the table of fields. Source: the rules in CEL
//! at their Go types.

use super::fault::Faults;
use super::look::{Look, known_text};
use crate::yaml::{Shape, Value};

/// Routes for other things than HTTP have no paths; a Gateway and a `ReferenceGrant` have no rules.
pub(super) fn check(root: Value<'_>, faults: &mut Faults<'_>) {
    let Some(spec) = root.field("spec") else { return };
    for rule in spec.list("rules").filter(|it| it.shape() == Shape::Mapping) {
        let mirrors = rule.list("filters").filter_map(|it| it.field("requestMirror"));
        let mirrors = mirrors.filter_map(|it| it.field("backendRef"));
        for backend in rule.list("backendRefs").chain(mirrors) {
            port(backend, faults);
        }
        for path in rule.list("matches").filter_map(|it| it.field("path")) {
            absolute(path, faults);
        }
    }
}

/// A Service is called at a port.
fn port(backend: Value<'_>, faults: &mut Faults<'_>) {
    let is_service = backend.word_or("group", "").is_some_and(|it| it.is_empty())
        && backend.word_or("kind", "Service").is_some_and(|it| it == "Service");
    let is_plain = backend.shape() == Shape::Mapping
        && backend.entries().all(|(key, _)| known_text(key).is_some());
    // Without a name it is a patch for another list.
    if is_service && is_plain && backend.has("name") && !backend.has("port") {
        faults.missing(backend, "port", "add the `port` of the Service");
    }
}

/// Paths that are compared begin with a slash.
fn absolute(path: Value<'_>, faults: &mut Faults<'_>) {
    let compared = path.word_or("type", "PathPrefix");
    if compared.is_some_and(|it| ["Exact", "PathPrefix"].contains(&&*it))
        && let Some(value) = path.field("value")
        && known_text(value).is_some_and(|text| !text.starts_with('/') && !text.is_empty())
    {
        faults.invalid(value, "does not begin with `/`", "write the path from its first `/` on");
    }
}

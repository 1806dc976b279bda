//! What the API server asks of routes of the Gateway API beyond the table of fields. Source: the rules in CEL
//! at their Go types.

use super::fault::Faults;
use super::look::{Look, known_text};
use super::names;
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

/// A host of a route or listener: a DNS name in lower case, its first label perhaps `*`.
pub(super) fn is_hostname(name: &str) -> bool {
    names::is_subdomain(name.strip_prefix("*.").unwrap_or(name))
}

/// A time as the Gateway API takes it: at most four numbers of at most five digits, each with its unit.
pub(super) fn is_time(text: &str) -> bool {
    let mut rest = text;
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit = ["ms", "h", "m", "s"].into_iter().find(|unit| rest[digits..].starts_with(unit));
        let Some(unit) = unit.filter(|_| (1..=5).contains(&digits)) else { return false };
        rest = &rest[digits + unit.len()..];
        parts += 1;
    }
    (1..=4).contains(&parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_times_are_what_the_api_server_takes() {
        assert!(is_hostname("*.example.com") && is_hostname("a-1.example"));
        assert!(!is_hostname("a.example:80") && !is_hostname("a.*.b") && !is_hostname("A.b"));
        assert!(is_time("10s") && is_time("1m30s") && is_time("1h2m3s4ms") && is_time("0s"));
        for bad in ["", "10", "10 s", "1.5s", "123456s", "1h1m1s1ms1h", "5d", "é"] {
            assert!(!is_time(bad), "{bad}");
        }
    }
}

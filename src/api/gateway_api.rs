//! What the schemas of the Gateway API ask of routes and listeners, beyond the table of fields.
//!
//! Source: the CEL rules of its CRDs, those alone that every release since 1.1 has. What is in a list of a
//! route is judged by itself: the API server takes or replaces such a list as a whole.

use std::collections::BTreeMap;

use super::duration;
use super::fault::Faults;
use super::look::{Look, is_whole, known_text};
use crate::yaml::{Shape, Value};

/// Types of filters, and the field that each of them needs and no other may have.
const FILTERS: &[(&str, &str)] = &[
    ("CORS", "cors"),
    ("ExtensionRef", "extensionRef"),
    ("ExternalAuth", "externalAuth"),
    ("RequestHeaderModifier", "requestHeaderModifier"),
    ("RequestMirror", "requestMirror"),
    ("RequestRedirect", "requestRedirect"),
    ("ResponseHeaderModifier", "responseHeaderModifier"),
    ("URLRewrite", "urlRewrite"),
];

/// Those of which a list has one at most.
const SINGLE: &[&str] =
    &["RequestHeaderModifier", "RequestRedirect", "ResponseHeaderModifier", "URLRewrite"];

/// Checks an HTTPRoute, a GRPCRoute, or another route, of which less is asked.
pub(super) fn route(root: Value<'_>, faults: &mut Faults<'_>) {
    let Some(spec) = root.field("spec") else { return };
    for rule in spec.list("rules").filter(|it| is_whole(*it)) {
        for path in rule.list("matches").filter_map(|it| it.field("path")) {
            path_match(path, faults);
        }
        for method in rule.list("matches").filter_map(|it| it.field("method")) {
            let is_empty = method.shape() == Shape::Mapping && is_whole(method);
            if is_empty && !["service", "method"].iter().any(|key| method.field(key).is_some()) {
                faults.missing(method, "service", "add `service`, `method`, or both");
            }
        }
        filters(rule, rule, faults);
        for backend in rule.list("backendRefs").filter(|it| is_whole(*it)) {
            port_of_service(backend, faults);
            filters(backend, rule, faults);
        }
        redirected(rule, faults);
        timeouts(rule, faults);
    }
}

/// What a path has to be that is compared with others as it stands.
fn path_match(path: Value<'_>, faults: &mut Faults<'_>) {
    let Some(kind) = path.word_or("type", "PathPrefix") else { return };
    let Some(value) = path.field("value").filter(|_| kind != "RegularExpression") else { return };
    let Some(text) = known_text(value) else { return };
    let wrong = if !text.starts_with('/') {
        Some("does not begin with `/`".to_owned())
    } else if let Some(part) =
        ["//", "/./", "/../", "%2f", "%2F", "#"].iter().find(|it| text.contains(**it))
    {
        Some(format!("has `{part}` in it"))
    } else {
        let part = ["/..", "/."].iter().find(|it| text.ends_with(**it));
        part.map(|part| format!("ends in `{part}`"))
    };
    if let Some(wrong) = wrong {
        let help = "write an absolute path, or `type: RegularExpression`";
        faults.invalid(value, wrong, help);
    }
}

/// Filters of a rule, or of one of its backends: each has what its type is, and some exclude each other.
fn filters(owner: Value<'_>, rule: Value<'_>, faults: &mut Faults<'_>) {
    let mut first = BTreeMap::new();
    for filter in owner.list("filters").filter(|it| is_whole(*it)) {
        if let Some(backend) = filter.field("requestMirror").and_then(|it| it.field("backendRef")) {
            port_of_service(backend, faults);
        }
        for key in ["requestRedirect", "urlRewrite"] {
            if let Some(path) = filter.field(key).and_then(|it| it.field("path")) {
                path_modifier(path, rule, faults);
            }
        }
        let Some(value) = filter.field("type") else { continue };
        let Some(name) = known_text(value) else { continue };
        filter_of_type(filter, &name, faults);
        if !SINGLE.contains(&&*name) {
            continue;
        }
        if let Some(there) = first.insert(name, value.span()) {
            let help = "put both into one filter";
            faults.invalid(value, "is the type of two filters in this list", help).also =
                Some((there, "first here"));
        }
    }
    if let (Some(there), Some(at)) = (first.get("RequestRedirect"), first.get("URLRewrite")) {
        let rewrites = owner.list("filters").filter_map(|it| it.field("type"));
        for value in rewrites.filter(|it| it.span() == *at) {
            let help = "keep one of both: what is redirected goes nowhere that could be rewritten";
            let what = "stands beside `RequestRedirect`, which excludes it";
            faults.invalid(value, what, help).also = Some((*there, "this excludes it"));
        }
    }
}

fn filter_of_type(filter: Value<'_>, name: &str, faults: &mut Faults<'_>) {
    let Some((_, own)) = FILTERS.iter().find(|(it, _)| *it == name) else { return };
    let mut is_another = false;
    for (kind, key) in FILTERS.iter().filter(|(_, key)| key != own) {
        if let Some(value) = filter.field(key) {
            let help = format!("leave it out, or write `type: {kind}`");
            faults.invalid(value, format!("is set in a filter of the type `{name}`"), help);
            is_another = true;
        }
    }
    if filter.field(own).is_none() && !is_another {
        faults.missing(filter, own, format!("add `{own}`: the type of the filter asks for it"));
    }
}

/// What a path is replaced by. A prefix can be replaced only where it is all that a rule matches.
fn path_modifier(path: Value<'_>, rule: Value<'_>, faults: &mut Faults<'_>) {
    let Some(kind) = path.text_of("type").filter(|_| is_whole(path)) else { return };
    let (own, other) = match &*kind {
        "ReplaceFullPath" => ("replaceFullPath", "replacePrefixMatch"),
        "ReplacePrefixMatch" => ("replacePrefixMatch", "replaceFullPath"),
        _ => return,
    };
    if let Some(value) = path.field(other) {
        let help = format!("write `{own}`, or another `type`");
        faults.invalid(value, format!("is set beside `type: {kind}`"), help);
    } else if path.field(own).is_none() {
        faults.missing(path, own, format!("add `{own}`: `type: {kind}` asks for it"));
    } else if own == "replacePrefixMatch"
        && let Some(matches) = rule.field("matches").filter(|it| it.shape() == Shape::Sequence)
    {
        let is_prefix = |it: Value<'_>| {
            let path = it.field("path");
            path.is_none_or(|it| {
                it.word_or("type", "PathPrefix").is_none_or(|it| it == "PathPrefix")
            })
        };
        if matches.items().count() != 1 || !matches.items().all(is_prefix) {
            let help = "match by one `PathPrefix`, or write `type: ReplaceFullPath`";
            let what = "is set although the rule does not match by one prefix";
            faults.invalid(path.field(own).unwrap_or(path), what, help).also =
                Some((matches.span(), "these are matched"));
        }
    }
}

/// A reference to a Service says which of its ports.
fn port_of_service(backend: Value<'_>, faults: &mut Faults<'_>) {
    let is = |key, default, wanted| backend.word_or(key, default).is_some_and(|it| it == wanted);
    let is_service = is("group", "", "") && is("kind", "Service", "Service");
    if is_service && backend.field("port").is_none() && is_whole(backend) {
        faults.missing(backend, "port", "add the port of the Service");
    }
}

/// What is redirected has no backends.
fn redirected(rule: Value<'_>, faults: &mut Faults<'_>) {
    let redirect = rule.list("filters").find_map(|it| it.field("requestRedirect"));
    let Some((redirect, backends)) = redirect.zip(rule.set("backendRefs")) else { return };
    if backends.shape() == Shape::Sequence {
        let help = "leave out `backendRefs`, or the filter";
        let what = "stands in a rule that has backends, which excludes it";
        faults.invalid(redirect, what, help).also = Some((backends.span(), "the backends"));
    }
}

/// All tries together take at least as long as one.
fn timeouts(rule: Value<'_>, faults: &mut Faults<'_>) {
    let Some(timeouts) = rule.field("timeouts") else { return };
    let time = |key: &str| duration::nanoseconds(&timeouts.text_of(key)?);
    let (Some(all), Some(one)) = (time("request"), time("backendRequest")) else { return };
    if let Some(value) = timeouts.field("backendRequest").filter(|_| all != 0 && one > all) {
        let help = "write a duration that is not longer than `request`";
        faults.invalid(value, "is longer than `request`", help);
    }
}

/// Checks the listeners of a Gateway.
pub(super) fn gateway(root: Value<'_>, faults: &mut Faults<'_>) {
    let Some(spec) = root.field("spec") else { return };
    // What names no class is a patch for a Gateway that stands elsewhere.
    let is_complete = spec.has("gatewayClassName");
    for listener in spec.list("listeners").filter(|it| is_whole(*it)) {
        for key in ["name", "port", "protocol"] {
            if is_complete && listener.field(key).is_none() {
                let help = format!("add `{key}`: a listener has to have it");
                faults.missing(listener, key, help);
            }
        }
        if let Some(protocol) = listener.text_of("protocol") {
            listener_of(listener, &protocol, faults);
        }
    }
}

fn listener_of(listener: Value<'_>, protocol: &str, faults: &mut Faults<'_>) {
    let excludes = |key: &str, protocols: &[&str]| {
        listener.field(key).filter(|it| {
            protocols.contains(&protocol) && it.text().is_none_or(|text| !text.is_empty())
        })
    };
    if let Some(tls) = excludes("tls", &["HTTP", "TCP", "UDP"]) {
        let help = "leave it out, or write `protocol: HTTPS` or `TLS`";
        faults.invalid(tls, format!("is set for a listener of {protocol}"), help);
    }
    if let Some(hostname) = excludes("hostname", &["TCP", "UDP"]) {
        let help = "leave it out: no host can be told there";
        faults.invalid(hostname, format!("is set for a listener of {protocol}"), help);
    }
    let mode = listener.field("tls").and_then(|it| it.field("mode"));
    let passes = |it: &Value<'_>| known_text(*it).is_some_and(|it| it == "Passthrough");
    if let Some(mode) = mode.filter(passes).filter(|_| protocol == "HTTPS") {
        let help = "write `Terminate`, or `protocol: TLS`";
        faults.invalid(mode, "is not what a listener of HTTPS can do", help);
    }
}

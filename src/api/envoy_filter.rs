//! Checks of an EnvoyFilter: what a patch is for, and whether it can apply.

use super::Subject;
use super::fault::{Cause, Faults};
use super::look::{Look, known_text};
use super::policies::selector;
use super::re2;
use super::walk::{Reader, walk};
use crate::kinds::is_placeholder;
use crate::yaml::{Shape, Value};

/// The filter whose filters are those of HTTP.
const CONNECTION_MANAGER: &[&str] =
    &["envoy.filters.network.http_connection_manager", "envoy.http_connection_manager"];

/// Filters that Envoy has given other names.
const RENAMED: &[(&str, &str)] = &[
    ("envoy.buffer", "envoy.filters.http.buffer"),
    ("envoy.client_ssl_auth", "envoy.filters.network.client_ssl_auth"),
    ("envoy.cors", "envoy.filters.http.cors"),
    ("envoy.csrf", "envoy.filters.http.csrf"),
    ("envoy.echo", "envoy.filters.network.echo"),
    ("envoy.ext_authz", "envoy.filters.http.ext_authz"),
    ("envoy.fault", "envoy.filters.http.fault"),
    ("envoy.grpc_http1_bridge", "envoy.filters.http.grpc_http1_bridge"),
    ("envoy.grpc_json_transcoder", "envoy.filters.http.grpc_json_transcoder"),
    ("envoy.grpc_web", "envoy.filters.http.grpc_web"),
    ("envoy.gzip", "envoy.filters.http.compressor"),
    ("envoy.health_check", "envoy.filters.http.health_check"),
    ("envoy.http_connection_manager", "envoy.filters.network.http_connection_manager"),
    ("envoy.ip_tagging", "envoy.filters.http.ip_tagging"),
    ("envoy.listener.http_inspector", "envoy.filters.listener.http_inspector"),
    ("envoy.listener.original_dst", "envoy.filters.listener.original_dst"),
    ("envoy.listener.original_src", "envoy.filters.listener.original_src"),
    ("envoy.listener.proxy_protocol", "envoy.filters.listener.proxy_protocol"),
    ("envoy.listener.tls_inspector", "envoy.filters.listener.tls_inspector"),
    ("envoy.lua", "envoy.filters.http.lua"),
    ("envoy.mongo_proxy", "envoy.filters.network.mongo_proxy"),
    ("envoy.rate_limit", "envoy.filters.http.ratelimit"),
    ("envoy.ratelimit", "envoy.filters.network.ratelimit"),
    ("envoy.redis_proxy", "envoy.filters.network.redis_proxy"),
    ("envoy.router", "envoy.filters.http.router"),
    ("envoy.squash", "envoy.filters.http.squash"),
    ("envoy.tcp_proxy", "envoy.filters.network.tcp_proxy"),
];

pub(super) fn check(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    let spec = subject.spec;
    selector(spec, "workloadSelector", "labels", faults);
    if let (Some(selector), Some(targets)) =
        (spec.field("workloadSelector"), spec.field("targetRefs"))
    {
        let help = "keep either `workloadSelector` or `targetRefs`";
        faults.invalid(targets, "stands beside `workloadSelector`, which excludes it", help).also =
            Some((selector.span(), "this excludes it"));
    }
    for patch in spec.list("configPatches").filter(|it| it.shape() == Shape::Mapping) {
        config_patch(patch, faults);
    }
}

fn config_patch(entry: Value<'_>, faults: &mut Faults<'_>) {
    let found = entry.field("match");
    let context = found.and_then(|it| it.field("context"));
    let at_waypoint = context.is_some_and(|it| it.text().is_some_and(|it| it == "WAYPOINT"));
    if let Some(waypoint) = found.and_then(|it| it.field("waypoint")).filter(|_| !at_waypoint) {
        let help = "set `context: WAYPOINT`, or match another object";
        faults.invalid(waypoint, "is matched outside the context `WAYPOINT`", help);
    }
    if at_waypoint {
        if let Some(found) = found.filter(|it| it.field("waypoint").is_none()) {
            let help = "add `waypoint`, or set another context";
            faults.missing(found, "waypoint", help);
        }
        return;
    }
    let applies = applies_to(entry, faults);
    let is_past = found.is_some_and(is_for_older_proxies);
    operation(entry, applies.as_deref(), is_past, faults);
    if let Some(found) = found.filter(|it| it.shape() == Shape::Mapping) {
        proxy_version(found, faults);
        if let Some(applies) = &applies {
            object(found, applies, is_past, faults);
        }
    }
}

/// The first minor version of Istio whose Envoy takes nothing but the third API, and all names of today.
const TODAY: u32 = 15;

/// Whether only proxies are meant whose Envoy took what today's does not: patches for them often stay beside
/// those for newer ones.
fn is_for_older_proxies(found: Value<'_>) -> bool {
    let Some(value) = found.field("proxy").and_then(|it| it.field("proxyVersion")) else {
        return false;
    };
    let Some(pattern) = known_text(value).and_then(|it| re2::within(&it)) else { return false };
    let is_any = |mut minors: std::ops::Range<u32>| {
        minors.any(|minor| (0..20).any(|patch| pattern.is_match(&format!("1.{minor}.{patch}"))))
    };
    is_any(0..TODAY) && !is_any(TODAY..60)
}

fn applies_to(entry: Value<'_>, faults: &mut Faults<'_>) -> Option<String> {
    match entry.field("applyTo") {
        None => {
            faults.missing(entry, "applyTo", "say what the patch is for, such as `HTTP_FILTER`");
            None
        }
        Some(value) => {
            let word = known_text(value)?;
            if word == "INVALID" {
                let help = "say what the patch is for, such as `HTTP_FILTER`";
                faults.invalid(value, "is `INVALID`", help);
            }
            Some(word.into_owned())
        }
    }
}

fn operation(entry: Value<'_>, applies: Option<&str>, is_past: bool, faults: &mut Faults<'_>) {
    let Some(patch) = entry.field("patch") else {
        faults.missing(entry, "patch", "say what is to be changed");
        return;
    };
    if patch.shape() != Shape::Mapping {
        return;
    }
    let operation = patch.text_of("operation");
    match patch.field("operation") {
        None => {
            faults.missing(patch, "operation", "add one, such as `MERGE` or `INSERT_BEFORE`");
        }
        Some(value) if operation.as_deref() == Some("INVALID") => {
            faults.invalid(value, "is `INVALID`", "write one such as `MERGE` or `INSERT_BEFORE`");
        }
        Some(_)
            if operation.as_deref().is_some_and(|it| it != "REMOVE")
                && patch.field("value").is_none() =>
        {
            faults.missing(patch, "value", "say what is to be there, or remove it (`REMOVE`)");
        }
        Some(_) => {}
    }
    if let Some(value) = patch.field("value").filter(|_| !is_past) {
        let Some(applies) = applies else { return };
        let operation = operation.unwrap_or_default();
        let adds = operation == "ADD" || operation.starts_with("INSERT");
        if let Some((_, message)) = MESSAGES.iter().find(|(word, _)| *word == applies) {
            let is_whole = adds || operation == "REPLACE";
            walk(value, message, Reader::OfEnvoy { is_whole }, faults);
        }
        if adds && FILTERS.contains(&applies) {
            typed_filter(value, faults);
        }
    }
}

/// Which message of Envoy's a patch is laid over.
const MESSAGES: &[(&str, &str)] = &[
    ("BOOTSTRAP", "envoy.config.bootstrap.v3.Bootstrap"),
    ("CLUSTER", "envoy.config.cluster.v3.Cluster"),
    ("EXTENSION_CONFIG", "envoy.config.core.v3.TypedExtensionConfig"),
    ("FILTER_CHAIN", "envoy.config.listener.v3.FilterChain"),
    ("HTTP_FILTER", "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter"),
    ("HTTP_ROUTE", "envoy.config.route.v3.Route"),
    ("LISTENER", "envoy.config.listener.v3.Listener"),
    ("LISTENER_FILTER", "envoy.config.listener.v3.ListenerFilter"),
    ("NETWORK_FILTER", "envoy.config.listener.v3.Filter"),
    ("ROUTE_CONFIGURATION", "envoy.config.route.v3.RouteConfiguration"),
    ("VIRTUAL_HOST", "envoy.config.route.v3.VirtualHost"),
];

/// What is found by the type of its configuration.
const FILTERS: &[&str] = &["EXTENSION_CONFIG", "HTTP_FILTER", "LISTENER_FILTER", "NETWORK_FILTER"];

/// A filter that is added has to say of which kind it is.
fn typed_filter(value: Value<'_>, faults: &mut Faults<'_>) {
    let says = |name: &str| {
        // `config` is its older name, of which enough is said.
        matches!(snake(name).as_str(), "typed_config" | "config_discovery" | "config")
            || is_placeholder(name)
    };
    let is_typed = value.entries().any(|(key, _)| key.text().is_none_or(|name| says(&name)));
    if value.shape() == Shape::Mapping && !is_typed {
        let what = "has no `typed_config`, by whose `@type` alone Envoy finds a filter";
        faults.ignored(value, what, "add `typed_config` with its `@type`");
    }
}

/// `typedConfig` as `typed_config`: both are read.
fn snake(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

fn proxy_version(found: Value<'_>, faults: &mut Faults<'_>) {
    let Some(value) = found.field("proxy").and_then(|it| it.field("proxyVersion")) else { return };
    let Some(pattern) = known_text(value) else { return };
    if pattern.len() > 1024 {
        faults.ignored(value, "is longer than 1024 bytes, and Istio ignores it", "shorten it");
    } else if !re2::is_pattern(&pattern) {
        let help = "write one that RE2 compiles, such as `^1\\.2[0-9].*`";
        faults.invalid(value, "is not a regular expression of RE2", help);
    }
}

/// The object that is matched has to be one of those that the patch is for.
fn object(found: Value<'_>, applies: &str, is_past: bool, faults: &mut Faults<'_>) {
    let wanted = match applies {
        "LISTENER" | "FILTER_CHAIN" | "NETWORK_FILTER" | "HTTP_FILTER" => "listener",
        "ROUTE_CONFIGURATION" | "VIRTUAL_HOST" | "HTTP_ROUTE" => "routeConfiguration",
        "CLUSTER" => "cluster",
        _ => "",
    };
    for key in ["listener", "routeConfiguration", "cluster"] {
        if let Some(value) = found.field(key).filter(|_| !wanted.is_empty() && key != wanted) {
            let help = format!("match by `{wanted}`, or apply the patch to something else");
            faults.invalid(value, format!("is no part of what `{applies}` is"), help);
        }
    }
    if wanted != "listener" {
        return;
    }
    let chain = found.field("listener").and_then(|it| it.field("filterChain"));
    let Some(filter) =
        chain.and_then(|it| it.field("filter")).filter(|it| it.shape() == Shape::Mapping)
    else {
        return;
    };
    if matches!(applies, "LISTENER" | "FILTER_CHAIN") {
        let help = "leave it out: these are patched whatever filters they have";
        faults.ignored(filter, format!("has no effect with `{applies}`"), help);
    }
    named(filter, is_past, faults);
    let Some(inner) = filter.field("subFilter").filter(|it| it.shape() == Shape::Mapping) else {
        return;
    };
    let outer = filter.text_of("name");
    if applies != "HTTP_FILTER" {
        let help = "leave it out, or apply the patch to `HTTP_FILTER`";
        faults.invalid(inner, format!("has no meaning with `{applies}`"), help);
    } else if outer.is_some_and(|it| !it.is_empty() && !CONNECTION_MANAGER.contains(&&*it)) {
        let help = format!("write `name: {}`", CONNECTION_MANAGER[0]);
        faults.invalid(inner, "is within a filter that has no filters of HTTP", help);
    }
    named(inner, is_past, faults);
}

fn named(filter: Value<'_>, is_past: bool, faults: &mut Faults<'_>) {
    if !filter.has("name") {
        faults.missing(filter, "name", "name the filter, such as `envoy.filters.http.router`");
    }
    if let Some(value) = filter.field("name")
        && let Some(name) = known_text(value)
        && let Some((_, now)) = RENAMED.iter().find(|(old, _)| *old == name && !is_past)
    {
        let what = format!("is the older name of `{now}`, which Envoy does not know any more");
        faults.say(Cause::Deprecated, value, what, format!("write `{now}`"));
    }
}

//! Formats of strings, by the names that the table of fields calls them.

use core::ops::RangeInclusive;

use super::{cel, duration, hosts, http, names, re2, urls};

/// A format: what it is called, when it holds, what people call it.
#[derive(Debug)]
pub(super) struct Format {
    pub name: &'static str,
    pub holds: fn(&str) -> bool,
    /// What the value is not.
    pub what: &'static str,
    /// What would be right.
    pub help: &'static str,
}

/// The format of that name.
pub(super) fn named(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

macro_rules! formats {
    ($($name:literal: $holds:expr, $what:literal, $help:expr;)*) => {
        const FORMATS: &[Format] = &[$(Format { name: $name, holds: $holds, what: $what, help: $help },)*];
    };
}

formats! {
    "address": hosts::is_address, "an address with a port", "write a host and a port, such as `zipkin.istio-system:9411`";
    "annotation-key": is_label_key, "the key of an annotation", "write a name of letters, digits, `-`, `_` and `.`, perhaps after a DNS name and `/`";
    "base64": names::is_base64, "base64", "encode it in base64, or move a text to `stringData`";
    "bytes": is_bytes, "base64", "write the bytes in base64, with `=` to a multiple of four";
    "cel": cel::is_expression, "an expression in CEL", "write one such as `response.code >= 400`";
    "container-name": names::is_label, "the name of a container", names::LABEL;
    "destination-host": hosts::is_specific_host, "a host", "write DNS labels with dots between, and not `*` alone";
    "dns-label": hosts::is_dns_label, "a DNS label", "write 1 to 63 letters, digits and inner `-`";
    "fqdn": hosts::is_fqdn, "a DNS name", "write labels of letters, digits and inner `-`, with dots between";
    "gateway-component": is_gateway_component, "the name of a gateway", "write 1 to 254 letters in lower case, digits, `-` and `.`";
    "group": is_group, "an API group", "write a DNS name in lower case, or leave it out for the core group";
    "gateway-host": names::is_hostname, "a host of the Gateway API", "write a DNS name in lower case, its first label perhaps `*`, without a port";
    "gateway-time": duration::is_time, "a time of the Gateway API", "write whole numbers of at most five digits with their units, such as `1m30s` or `500ms`";
    "header-or-star": |it| it == "*" || http::is_token(it), "the name of a header", "write the name of a header, or `*`";
    "header-value": http::is_header_value, "a value that Envoy can format", "write `%%` for a `%`, and close commands, such as `%PROTOCOL%` and `%REQ(x-id)%`";
    "header-word": is_header_word, "the name of a header here", "write letters, digits, `-` and `_`";
    "host": hosts::is_host, "a DNS name or an IP address", "write one of both";
    "image-hub": is_image_hub, "a registry or repository of images", "write one such as `docker.io/istio`: no scheme, no tag, lower case after the registry";
    "ip": hosts::is_ip, "an IP address", "write one such as `10.0.0.1`";
    "jwks-uri": urls::is_jwks_uri, "a URL that keys can be fetched from", "write one that begins with `https://` or `http://`";
    "kind": is_kind, "a kind", "write letters, digits and inner `-`, a letter first";
    "label-key": is_label_key, "the key of a label", "write a name of letters, digits, `-`, `_` and `.`, perhaps after a DNS name and `/`";
    "label-value": is_label_value, "the value of a label", "write letters, digits, `-`, `_` and `.`, a letter or digit first and last";
    "match-header": http::is_match_header, "the name of a header", "write a header, `:authority` and the like, or `@request.auth.claims.NAME`";
    "no-wildcard": |it| !it.contains('*'), "free of `*`", "write labels in full: selectors do not expand `*`";
    "path-template": is_path_template, "a path", "let `{*}` or `{**}` fill a whole segment, with plain ones around and no template after `{**}`";
    "port": |it| it.parse::<u16>().is_ok_and(|port| port > 0), "a port", "write 1 to 65535";
    "port-name": |it| it.len() < 63 && hosts::is_dns_label(it), "the name of a port", "write 1 to 62 letters, digits and inner `-`";
    "port-number": is_port_number, "the number of a port", "write 0 to 65535 in quotes";
    "protocol": is_protocol, "a protocol that Istio knows", "write one of `HTTP`, `HTTPS`, `HTTP2`, `GRPC`, `GRPC-Web`, `TCP`, `TLS`, `UDP`, `Mongo`, `Redis`, `MySQL`";
    "regex": re2::is_pattern, "a regular expression of RE2", "write one of at most 1024 bytes; RE2 has no look-around and no back references";
    "regex-or-star": |it| it == "*" || re2::is_pattern(it), "a regular expression of RE2", "write one of at most 1024 bytes; RE2 has no look-around and no back references";
    "request-header": |it| it.eq_ignore_ascii_case(":authority") || !it.starts_with(':'), "a header that a route may set", "leave it out: of those with a `:` only `:authority` can be set";
    "response-header": |it| !it.starts_with(':') && !it.eq_ignore_ascii_case("host"), "a header that may be changed here", "leave it out: `host` and those with a `:` cannot be changed";
    "retry-on": http::is_retry_on, "a list of retry conditions", "write known ones with commas and without spaces, such as `5xx,reset,503`";
    "service-account": is_service_account, "a service account", "write `name` or `namespace/name`, without `*`";
    "service-host": hosts::is_specific_host, "a host", "write DNS labels with dots between, and not `*` alone";
    "service-port-name": names::is_service_port_name, "the name of a port", names::LABEL;
    "sha256": is_sha256, "a SHA-256 sum", "write 64 hexadecimal digits in lower case";
    "share": names::is_share, "a number of pods or a share of them", "write a number from 0 on without quotes, or a share such as `50%`";
    "short-label-value": names::is_label_value, "the value of a label", "write at most 63 letters, digits, `-`, `_` and `.`, a letter or digit first and last";
    "short-port-name": names::is_port_name, "the name of a port", "write at most 15 lower-case letters, digits and inner `-`, a letter among them; a number goes without quotes";
    "subnet": hosts::is_subnet, "an IP address or a range", "write one such as `10.0.0.1` or `10.0.0.0/8`";
    "trust-domain": hosts::is_trust_domain, "a trust domain", "write DNS labels with dots between";
    "trust-domain-pattern": is_trust_domain_pattern, "a trust domain", "write a name with at most one `*`, at its begin or end";
    "wasm-url": urls::is_wasm_url, "a URL that a plugin can be fetched from", "write `oci://`, `https://`, `http://` or `file://` and a path";
    "wildcard-domain": hosts::is_wildcard_domain, "a host", "write DNS labels with dots between, the first one perhaps `*`";
}

/// `namespace/name`, or the older `name`, which may have dots.
pub(super) fn is_gateway_name(name: &str) -> bool {
    match name.split_once('/') {
        Some((namespace, name)) => hosts::is_dns_label(namespace) && hosts::is_dns_label(name),
        None => hosts::is_fqdn(name),
    }
}

fn is_group(group: &str) -> bool {
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    group.split('.').all(|part| is_word(part, lower, b"-"))
}

/// Base64, in the alphabet with `+` and `/`, as Go reads it: without its line breaks.
fn is_bytes(text: &str) -> bool {
    let text = text.replace(['\r', '\n'], "");
    let digits = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - digits.len() <= 2
        && digits.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b))
}

fn is_gateway_component(name: &str) -> bool {
    name.len() <= 254
        && is_word(
            name,
            |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b),
            b"",
        )
}

/// What can stand before `/pilot`. The first part is a registry where it cannot be anything else.
fn is_image_hub(hub: &str) -> bool {
    let (first, rest) = hub.split_once('/').unwrap_or((hub, ""));
    let is_registry = first == "localhost" || first.contains(['.', ':']);
    let path = |text: &str| {
        text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-./".contains(&b))
    };
    let (host, port) = first.rsplit_once(':').unwrap_or((first, ""));
    let authority = !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b))
        && port.bytes().all(|b| b.is_ascii_digit());
    if is_registry { authority && path(rest) } else { path(hub) }
}

/// 1 to 128 letters, digits, `_`, `-` and `.`.
pub(super) fn is_image_tag(tag: &str) -> bool {
    tag.len() <= 128 && is_word(tag, |b| b.is_ascii_alphanumeric() || b"_-.".contains(&b), b"")
}

fn is_kind(kind: &str) -> bool {
    kind.starts_with(|c: char| c.is_ascii_alphabetic())
        && is_word(kind, |b| b.is_ascii_alphanumeric(), b"-")
}

/// Not empty, the given bytes first and last, and these or further ones between.
fn is_word(text: &str, outer: impl Fn(u8) -> bool, inner: &[u8]) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|b| outer(*b))
        && bytes.last().is_some_and(|b| outer(*b))
        && bytes.iter().all(|b| outer(*b) || inner.contains(b))
}

fn is_header_word(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// What Istio takes for the key of a label.
pub(super) fn is_label_key(key: &str) -> bool {
    let name = match key.split_once('/') {
        Some((prefix, name)) => {
            let is_prefix = prefix.len() <= 253 && prefix.split('.').all(hosts::is_dns_label);
            if !is_prefix {
                return false;
            }
            name
        }
        None => key,
    };
    name.len() <= 63 && is_word(name, |b| b.is_ascii_alphanumeric(), b"-_.")
}

fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_word(value, |b| b.is_ascii_alphanumeric(), b"-_.")
}

fn is_port_number(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u32>().is_ok_and(|it| it <= 65535)
}

/// Numbers of ports.
pub const PORTS: RangeInclusive<i64> = 1..=65535;

/// Protocols that Istio knows by name, in lower case.
pub const PROTOCOLS: &[&str] = &[
    "tcp",
    "udp",
    "grpc",
    "grpc-web",
    "http",
    "http_proxy",
    "http2",
    "https",
    "tls",
    "mongo",
    "redis",
    "mysql",
];

/// Protocols as Istio compares them: in whatever case.
pub(super) fn is_protocol(name: &str) -> bool {
    PROTOCOLS.iter().any(|it| it.eq_ignore_ascii_case(name))
}

/// Each part of the path stands between slashes. With a template in it, the others are literal.
fn is_path_template(path: &str) -> bool {
    let is_template = |part: &str| matches!(part, "{*}" | "{**}");
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let templates = parts.iter().filter(|part| is_template(part)).count();
    let last = parts.iter().position(|part| *part == "{**}");
    let follows = last.is_some_and(|at| parts[at + 1..].iter().any(|part| is_template(part)));
    let literal = |b: u8| b.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=".contains(&b);
    !follows
        && parts.iter().filter(|part| !is_template(part)).all(|part| {
            !part.contains(['{', '}'])
                && (templates == 0 || (!part.is_empty() && part.bytes().all(literal)))
        })
}

/// Not checked for its characters: Istio does not either.
pub(super) fn is_service_account(name: &str) -> bool {
    let mut parts = name.split('/');
    let (first, second, more) = (parts.next(), parts.next(), parts.next());
    !name.contains('*')
        && name.len() <= 320
        && more.is_none()
        && first.is_some_and(|it| !it.is_empty())
        && second.is_none_or(|it| !it.is_empty())
}

fn is_trust_domain_pattern(name: &str) -> bool {
    is_wildcard_at_an_end(name) && !name.contains('/')
}

/// At most one `*`, and that first or last.
pub(super) fn is_wildcard_at_an_end(text: &str) -> bool {
    match text.matches('*').count() {
        0 => true,
        1 => text.starts_with('*') || text.ends_with('*'),
        _ => false,
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_istio_takes_for_them() {
        let holds = |name: &str, text: &str| (named(name).expect("a format").holds)(text);
        assert!(is_gateway_name("istio-system/public"));
        assert!(!is_gateway_name("istio-system/public.example.com"));
        assert!(holds("label-key", "topology.istio.io/cluster"));
        assert!(!holds("label-key", "@cluster"));
        assert!(holds("path-template", "/shop/{*}/item/{**}"));
        assert!(!holds("path-template", "/shop/{**}/{*}"));
        assert!(!holds("path-template", "/shop/{*}/it*m"));
        assert!(holds("path-template", "/shop/*"));
        assert!(holds("service-account", "shop/cart"));
        assert!(!holds("service-account", "shop/"));
        assert!(holds("image-hub", "localhost:5000/istio") && holds("image-hub", "istio"));
        assert!(!holds("image-hub", "Istio/x") && !holds("image-hub", "istio:1.26"));
        assert!(is_image_tag("1.26.0-distroless") && !is_image_tag("1.26+dev"));
    }
}

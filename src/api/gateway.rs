//! Checks of a Gateway, and of the TLS of a server, which a Sidecar has too.

use std::collections::{BTreeMap, BTreeSet};

use super::Subject;
use super::fault::Faults;
use super::formats::PORTS;
use super::hosts::{self, is_dns_label, is_ip, is_partial_wildcard, is_wildcard_domain};
use super::look::{Look, known_number, known_text};
use crate::kinds::is_placeholder;
use crate::yaml::{Shape, Value};

pub(super) fn check(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    name(subject, faults);
    let mut ports = BTreeMap::new();
    for server in subject.spec.list("servers").filter(|it| it.shape() == Shape::Mapping) {
        for host in server.list("hosts") {
            server_host(host, faults);
        }
        let port = server.field("port");
        if let Some(value) = port.and_then(|port| port.field("name"))
            && let Some(name) = known_text(value).filter(|name| !name.is_empty())
        {
            match ports.get(&name) {
                None => drop(ports.insert(name, value.span())),
                Some(&there) => {
                    let help = "give each port of the Gateway its own name";
                    faults.invalid(value, format!("is the second port `{name}`"), help).also =
                        Some((there, "the first one"));
                }
            }
        }
        binding(server, faults);
        server_protocol(server, faults);
    }
}

/// The name becomes part of Envoy's names, in which dots part things.
fn name(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    let own = subject.meta.annotation("internal.istio.io/gateway-semantics");
    let metadata = subject.root.field("metadata");
    if let Some(value) = metadata.and_then(|it| it.field("name"))
        && own.is_none_or(|it| it.as_str() != "gateway")
        && value.text().is_some_and(|name| !is_placeholder(&name) && !is_dns_label(&name))
    {
        faults.invalid(value, "is not a DNS label", "name the Gateway without dots");
    }
}

fn server_host(value: Value<'_>, faults: &mut Faults<'_>) {
    let Some(text) = known_text(value) else { return };
    let host = match text.split_once('/') {
        Some((namespace, host)) => {
            if !matches!(namespace, "." | "*") && !is_dns_label(namespace) {
                let help = "write `namespace/host`, with `.` for the own namespace and `*` for any";
                faults.invalid(value, "does not begin with a namespace", help);
                return;
            }
            host
        }
        None => &*text,
    };
    dotted_host(value, host, true, faults);
}

/// A host that is `*` or has a dot, and no `*` but in front.
pub(super) fn dotted_host(value: Value<'_>, host: &str, address: bool, faults: &mut Faults<'_>) {
    let what = if host == "*" || (address && is_ip(host) && host.contains('.')) {
        return;
    } else if is_ip(host) && host.contains(':') {
        "is an IPv6 address, which cannot stand for a host here"
    } else if !host.contains('.') {
        "is a short name, which is not looked up here"
    } else if !is_wildcard_domain(host) {
        "is not a host"
    } else if is_partial_wildcard(host) {
        "has a `*` that is not a whole label"
    } else {
        return;
    };
    faults.invalid(value, what, "write a full DNS name, `*.` and a domain, or `*`");
}

/// `bind` and the number of the port.
fn binding(server: Value<'_>, faults: &mut Faults<'_>) {
    let bind = server.field("bind");
    let number = server.field("port").and_then(|port| port.field("number"));
    let target = server.field("port").and_then(|port| port.field("targetPort"));
    if let Some(target) = target.filter(|it| known_number(*it).is_some_and(|it| it != 0)) {
        let help = "leave it out: a gateway listens on the port itself";
        faults.invalid(target, "has no meaning on a Gateway", help);
    }
    let Some(is_socket) = bind.map_or(Some(false), |bind| bound(bind, faults)) else { return };
    let Some((number, value)) = number.and_then(|it| Some((known_number(it)?, it))) else { return };
    if is_socket && number != 0 {
        faults.invalid(value, "is a port beside a Unix socket", "write 0");
    } else if !is_socket && !PORTS.contains(&number) {
        faults.invalid(value, "is not a port", "write 1 to 65535");
    }
}

/// Checks a socket or an address to listen on, and tells whether it is a socket, where that is known.
fn bound(bind: Value<'_>, faults: &mut Faults<'_>) -> Option<bool> {
    let text = known_text(bind)?;
    if let Some(path) = text.strip_prefix("unix://") {
        if !hosts::is_socket_path(path) {
            let help = "write `unix:///path/of/a/socket` or `unix://@name`";
            faults.invalid(bind, "is not the path of a socket", help);
        }
        return Some(true);
    }
    if !text.is_empty() && !is_ip(&text) {
        faults.invalid(bind, "is neither an IP address nor a Unix socket", "write an IP address");
    }
    Some(false)
}

/// Protocols over TLS, over HTTP, over TCP, in lower case.
pub(super) fn is_tls(protocol: &str) -> bool {
    matches!(protocol, "https" | "tls")
}

/// See [`is_tls`].
pub(super) fn is_http(protocol: &str) -> bool {
    matches!(protocol, "http" | "http2" | "http_proxy" | "grpc" | "grpc-web")
}

fn server_protocol(server: Value<'_>, faults: &mut Faults<'_>) {
    let protocol = server.field("port").and_then(|port| port.text_of("protocol"));
    let Some(protocol) = protocol.map(|it| it.to_ascii_lowercase()) else {
        if let Some(tls) = server.field("tls") {
            server_tls(tls, faults);
        }
        return;
    };
    let Some(tls) = server.field("tls") else {
        if is_tls(&protocol) {
            let help =
                format!("say how TLS ends: a server of {} needs it", protocol.to_uppercase());
            faults.missing(server, "tls", help);
        }
        return;
    };
    if tls.shape() != Shape::Mapping {
        return;
    }
    if let Some(redirect) =
        tls.field("httpsRedirect").filter(|_| tls.is_true("httpsRedirect") && !is_http(&protocol))
    {
        let help = "set it on the server of plain HTTP";
        faults.ignored(redirect, "redirects what is no plain HTTP", help);
    }
    let passes = tls.word_or("mode", "PASSTHROUGH");
    let passes = passes.is_none_or(|mode| matches!(&*mode, "PASSTHROUGH" | "AUTO_PASSTHROUGH"));
    let bare = ["caCertificates", "privateKey", "serverCertificate"]
        .iter()
        .all(|key| !tls.surely_has(key));
    if is_http(&protocol) && !(passes && bare) {
        let help = "leave it out, or set the protocol to `HTTPS`";
        faults.invalid(tls, "is set on a server of plain HTTP", help);
    } else if !is_http(&protocol) && !is_tls(&protocol) && super::formats::is_protocol(&protocol) {
        let help = "leave it out, or set the protocol to `TLS`";
        faults.invalid(tls, format!("is set on a server of {}", protocol.to_uppercase()), help);
    }
    server_tls(tls, faults);
}

/// Where certificates of a server come from.
const SOURCES: &[&str] = &[
    "serverCertificate",
    "privateKey",
    "caCertificates",
    "tlsCertificates",
    "credentialName",
    "credentialNames",
];

/// How TLS ends at a server.
pub(super) fn server_tls(tls: Value<'_>, faults: &mut Faults<'_>) {
    let Some(mode) = tls.word_or("mode", "PASSTHROUGH").filter(|_| tls.shape() == Shape::Mapping)
    else {
        return;
    };
    ciphers(tls, faults);
    let given: Vec<Value<'_>> =
        SOURCES.iter().filter(|key| tls.surely_has(key)).filter_map(|key| tls.field(key)).collect();
    match &*mode {
        "ISTIO_MUTUAL" => {
            for value in given {
                let help = "leave it out: with `ISTIO_MUTUAL` the mesh's own certificates are used";
                faults.invalid(value, "is set although the mesh's own certificates are used", help);
            }
        }
        "PASSTHROUGH" | "AUTO_PASSTHROUGH" => {
            let crl = tls.field("caCrl").filter(|_| tls.surely_has("caCrl"));
            if let Some(crl) = crl.filter(|_| tls.has("credentialName")) {
                let help = "leave it out: the Secret brings its own";
                faults.invalid(crl, "stands beside `credentialName`, which excludes it", help);
            }
            for value in given.into_iter().chain(crl) {
                let help = "leave it out, or set a mode that ends TLS here, such as `SIMPLE`";
                faults.ignored(value, "is set although TLS is passed through", help);
            }
            sources(tls, faults);
        }
        "SIMPLE" | "MUTUAL" | "OPTIONAL_MUTUAL" => {
            sources(tls, faults);
            certificates(tls, &mode, faults);
        }
        _ => {}
    }
}

/// A certificate comes from one place.
fn sources(tls: Value<'_>, faults: &mut Faults<'_>) {
    let files = tls.surely_has("serverCertificate") && tls.surely_has("privateKey");
    let mut all: Vec<(&str, Value<'_>)> = Vec::new();
    for key in ["serverCertificate", "credentialName", "credentialNames", "tlsCertificates"] {
        let is_given = if key == "serverCertificate" { files } else { tls.surely_has(key) };
        all.extend(tls.field(key).filter(|_| is_given).map(|value| (key, value)));
    }
    if let [(first, there), (_, value), ..] = all.as_slice() {
        let what = format!("stands beside `{first}`, which excludes it");
        faults.invalid(*value, what, "take the certificate from one place").also =
            Some((there.span(), "this excludes it"));
    }
}

/// What a server that ends TLS needs.
fn certificates(tls: Value<'_>, mode: &str, faults: &mut Faults<'_>) {
    let crl = tls.field("caCrl").filter(|_| tls.surely_has("caCrl"));
    if tls.has("credentialName") || tls.has("credentialNames") {
        return;
    }
    let mutual = mode != "SIMPLE";
    if mutual && !tls.has("caCertificates") {
        let help =
            format!("add `caCertificates` or `credentialName`: with `{mode}` clients are checked");
        faults.missing(tls, "caCertificates", help);
    }
    let pairs: Vec<Value<'_>> =
        if tls.has("tlsCertificates") { tls.list("tlsCertificates").collect() } else { vec![tls] };
    for pair in pairs {
        for key in ["serverCertificate", "privateKey"].into_iter().filter(|key| !pair.has(key)) {
            let help = format!("add `{key}` or `credentialName`: with `{mode}` TLS ends here");
            faults.missing(pair, key, help);
        }
    }
    if let Some(crl) = crl.filter(|_| !mutual) {
        let help = "leave it out, or set `mode: MUTUAL`";
        faults.invalid(crl, "is set although clients show no certificate", help);
    }
}

/// Suites that Envoy passes over, and versions that need some.
fn ciphers(tls: Value<'_>, faults: &mut Faults<'_>) {
    let mut seen = BTreeSet::new();
    for value in tls.list("cipherSuites") {
        let Some(suite) = known_text(value) else { continue };
        let is_special = suite.is_empty()
            || suite == "ALL"
            || !suite.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !is_special && !is_suite(&suite) {
            faults.ignored(value, "is a suite that Envoy does not know", "leave it out");
        } else if !seen.insert(suite) {
            faults.ignored(value, "stands in the list twice", "leave one of them out");
        }
    }
    let old = tls.field("minProtocolVersion").filter(|_| {
        tls.text_of("minProtocolVersion").is_some_and(|it| matches!(&*it, "TLSV1_0" | "TLSV1_1"))
    });
    if let Some(value) = old.filter(|_| tls.set("cipherSuites").is_none()) {
        let help = "add `cipherSuites` with suites of that version, or ask for `TLSV1_2`";
        faults.ignored(value, "allows a version for which no cipher suites are left", help);
    }
}

fn is_suite(name: &str) -> bool {
    const PLAIN: &[&str] =
        &["AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA", "DES-CBC3-SHA"];
    let ephemeral = name.strip_prefix("ECDHE-ECDSA-").or_else(|| name.strip_prefix("ECDHE-RSA-"));
    PLAIN.contains(&name)
        || ephemeral.is_some_and(|it| it == "CHACHA20-POLY1305" || PLAIN[..4].contains(&it))
}

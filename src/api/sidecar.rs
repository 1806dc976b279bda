//! Checks of a Sidecar: what its workloads listen on and what they reach.

use std::collections::BTreeMap;

use super::Subject;
use super::destination_rule::connection_pool;
use super::fault::Faults;
use super::formats::PORTS;
use super::gateway::{dotted_host, is_http, is_tls, server_tls};
use super::hosts::{is_dns_label, is_fqdn, is_ip, is_socket_path, split_port};
use super::look::{Look, known_number, known_text};
use super::policies::selector;
use crate::source::Span;
use crate::yaml::{Shape, Value};

pub(super) fn check(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    let spec = subject.spec;
    selector(spec, "workloadSelector", "labels", faults);
    let parts = ["egress", "ingress", "outboundTrafficPolicy", "inboundConnectionPool"];
    if parts.into_iter().all(|key| spec.set(key).is_none()) {
        let help = "add `egress`, `ingress`, `outboundTrafficPolicy` or `inboundConnectionPool`";
        faults.missing(spec, "egress", help);
    }
    if let Some(pool) = spec.field("inboundConnectionPool") {
        connection_pool(pool, faults);
    }
    let mut numbers = BTreeMap::new();
    for listener in spec.list("ingress").filter(|it| it.shape() == Shape::Mapping) {
        ingress(listener, &mut numbers, faults);
    }
    egress(subject, faults);
    if let Some(policy) = spec.field("outboundTrafficPolicy") {
        outbound(policy, faults);
    }
}

type Seen = BTreeMap<String, Span>;

fn once(seen: &mut Seen, key: String, value: Value<'_>, faults: &mut Faults<'_>) {
    match seen.get(&key) {
        None => drop(seen.insert(key, value.span())),
        Some(&there) => {
            let what = "is used by another listener already";
            faults.invalid(value, what, "give each listener its own").also = Some((there, "here"));
        }
    }
}

/// The number of a port, said to be wrong where it is none.
fn port_number(port: Value<'_>, seen: &mut Seen, faults: &mut Faults<'_>) {
    let value = port.field("number").unwrap_or(port);
    match port.number_or_zero("number") {
        Some(number) if PORTS.contains(&number) => once(seen, number.to_string(), value, faults),
        Some(_) => {
            faults.invalid(value, "is not a port", "write 1 to 65535");
        }
        None => {}
    }
}

fn no_target(port: Value<'_>, faults: &mut Faults<'_>) {
    if let Some(target) = port.field("targetPort").filter(|it| known_number(*it) != Some(0)) {
        let help = "leave it out: `defaultEndpoint` says where traffic goes";
        faults.invalid(target, "has no meaning in a Sidecar", help);
    }
}

fn ingress(listener: Value<'_>, numbers: &mut Seen, faults: &mut Faults<'_>) {
    let port = listener.field("port").filter(|it| it.shape() == Shape::Mapping);
    if let Some(port) = port {
        no_target(port, faults);
        port_number(port, numbers, faults);
    }
    if let Some(value) = listener.field("defaultEndpoint")
        && known_text(value).is_some_and(|text| !text.is_empty() && !is_endpoint(&text))
    {
        let help = "write `127.0.0.1:port`, `0.0.0.0:port`, or `unix://` and the path of a socket";
        faults.invalid(value, "is no endpoint of the workload itself", help);
    }
    let protocol = port.and_then(|port| port.word_or("protocol", ""));
    let protocol = protocol.map(|it| it.to_ascii_lowercase());
    if let Some(tls) = listener.field("tls").filter(|it| it.shape() == Shape::Mapping) {
        ingress_tls(tls, protocol.as_deref(), faults);
    }
    if let Some(pool) = listener.field("connectionPool") {
        connection_pool(pool, faults);
        let http =
            pool.field("http").filter(|_| protocol.as_deref().is_some_and(|it| !is_http(it)));
        if let Some(http) = http {
            let help = "leave it out, or set the protocol to `HTTP`";
            faults.ignored(http, "is for HTTP, which this port is not", help);
        }
    }
}

fn is_endpoint(text: &str) -> bool {
    if let Some(path) = text.strip_prefix("unix://") {
        return is_socket_path(path);
    }
    split_port(text).is_some_and(|(host, port)| {
        matches!(host, "" | "127.0.0.1" | "0.0.0.0" | "::1" | "::")
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

fn ingress_tls(tls: Value<'_>, protocol: Option<&str>, faults: &mut Faults<'_>) {
    let unsupported = [
        "subjectAltNames",
        "httpsRedirect",
        "credentialName",
        "credentialNames",
        "tlsCertificates",
    ];
    for value in
        unsupported.into_iter().filter(|key| tls.surely_has(key)).filter_map(|key| tls.field(key))
    {
        faults.invalid(value, "is not supported in a Sidecar", "leave it out");
    }
    if let Some(value) = tls.field("mode")
        && let Some(mode) = known_text(value)
        && matches!(&*mode, "ISTIO_MUTUAL" | "AUTO_PASSTHROUGH")
    {
        let help = "write `SIMPLE` or `MUTUAL`";
        faults.invalid(value, format!("is `{mode}`, which a Sidecar cannot have"), help);
    }
    if protocol.is_some_and(|it| !is_tls(it)) {
        let help = "set the protocol to `HTTPS` or `TLS`";
        faults.invalid(tls, "is set on a port without TLS", help);
    }
    server_tls(tls, faults);
}

fn egress(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    let listeners: Vec<Value<'_>> =
        subject.spec.list("egress").filter(|it| it.shape() == Shape::Mapping).collect();
    let (mut numbers, mut sockets) = (Seen::new(), Seen::new());
    // In the root namespace `.` of a Sidecar for all workloads is the namespace of each client.
    let own = subject.spec.set("workloadSelector").map_or(".", |_| subject.namespace);
    for (i, listener) in listeners.iter().enumerate() {
        egress_hosts(*listener, own, faults);
        let Some(port) = listener.field("port") else {
            if i + 1 != listeners.len() {
                let help = "write the listener without a port last, and only one";
                faults.invalid(*listener, "has no port and is not the last", help);
            }
            if let Some(bind) = listener.field("bind")
                && known_text(bind).is_some_and(|it| !it.is_empty())
            {
                let help = "add `port`, or leave `bind` out";
                faults.ignored(bind, "is set on a listener without a port", help);
            }
            continue;
        };
        if port.shape() == Shape::Mapping {
            no_target(port, faults);
            if port.number_or_zero("number") == Some(0) {
                egress_socket(*listener, port, &mut sockets, faults);
                continue;
            }
            port_number(port, &mut numbers, faults);
            if port.number_or_zero("number").is_none() {
                continue;
            }
        }
        if let Some(bind) = listener.field("bind")
            && known_text(bind).is_some_and(|it| !it.is_empty() && !is_ip(&it))
        {
            let help = "write an IP address, or leave the port's number out for a Unix socket";
            faults.invalid(bind, "is not an IP address", help);
        }
    }
}

/// A listener without a port's number stands on a Unix socket.
fn egress_socket(
    listener: Value<'_>,
    port: Value<'_>,
    sockets: &mut Seen,
    faults: &mut Faults<'_>,
) {
    let bind = listener.field("bind");
    let text = bind.map(known_text);
    match (bind, text) {
        (Some(bind), Some(Some(text)))
            if text.strip_prefix("unix://").is_some_and(is_socket_path) =>
        {
            once(sockets, text.into_owned(), bind, faults);
        }
        (Some(_), Some(None)) => {}
        _ => {
            let help = "write a number from 1 to 65535, or a Unix socket as `bind`";
            faults.invalid(port, "has no number, and `bind` is no Unix socket", help);
        }
    }
    if let Some(mode) =
        listener.field("captureMode").filter(|it| it.text().is_some_and(|it| it == "IPTABLES"))
    {
        let help = "write `NONE` or leave it out";
        faults.invalid(mode, "is `IPTABLES`, which captures no Unix socket", help);
    }
}

fn egress_hosts(listener: Value<'_>, own: &str, faults: &mut Faults<'_>) {
    let mut seen: Vec<(String, String, Value<'_>)> = Vec::new();
    for value in listener.list("hosts") {
        let Some(text) = known_text(value) else { continue };
        let Some((namespace, host)) = text.split_once('/') else {
            let help = "write `namespace/host`, with `.` for the own namespace and `*` for any";
            faults.invalid(value, "has no namespace", help);
            continue;
        };
        let plain = namespace.strip_prefix('~').unwrap_or(namespace);
        let is_namespace = namespace == "~" || matches!(plain, "*" | ".") || is_dns_label(plain);
        if !is_namespace {
            let help = "write `namespace/host`, with `.` for the own namespace and `*` for any";
            faults.invalid(value, "does not begin with a namespace", help);
            continue;
        }
        dotted_host(value, host, false, faults);
        if !namespace.starts_with('~') {
            let namespace = if namespace == "." { own } else { namespace };
            seen.push((namespace.to_owned(), host.to_owned(), value));
        }
    }
    covered(&seen, faults);
}

/// Hosts that others of the listener take in.
fn covered(hosts: &[(String, String, Value<'_>)], faults: &mut Faults<'_>) {
    let everything = hosts.iter().find(|(namespace, host, _)| namespace == "*" && host == "*");
    for (i, (namespace, host, value)) in hosts.iter().enumerate() {
        let twin = hosts[..i].iter().find(|(n, h, _)| n == namespace && (h == host || h == "*"));
        let wider = everything.filter(|(.., all)| namespace != "*" && all.span() != value.span());
        if let Some((.., there)) = twin.or(wider) {
            let help = "leave one of them out";
            faults.ignored(*value, "is taken in by another host of the list", help).also =
                Some((there.span(), "this one"));
        }
    }
}

fn outbound(policy: Value<'_>, faults: &mut Faults<'_>) {
    let Some(proxy) = policy.field("egressProxy").filter(|it| it.shape() == Shape::Mapping) else {
        return;
    };
    if policy.word_or("mode", "REGISTRY_ONLY").is_some_and(|mode| mode != "ALLOW_ANY") {
        let help = "set `mode: ALLOW_ANY`, or leave it out";
        faults.invalid(proxy, "is set although unknown hosts are refused", help);
    }
    if let Some(host) = proxy.field("host")
        && known_text(host).is_some_and(|it| it.contains('*') || !is_fqdn(&it))
    {
        faults.invalid(host, "is not the full name of a host", "write a DNS name in full");
    }
    if proxy.field("port").is_none() {
        faults.missing(proxy, "port", "say on which port the proxy listens");
    }
}

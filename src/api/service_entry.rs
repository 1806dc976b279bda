//! Checks of a ServiceEntry: hosts, resolution and endpoints.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::Subject;
use super::fault::Faults;
use super::gateway::{is_http, is_tls};
use super::hosts::{is_fqdn, is_host, is_ip, is_partial_wildcard, is_specific_host};
use super::look::{Look, known_text};
use super::workloads::{Addresses, endpoint};
use super::{policies, visibility};
use crate::kinds::is_placeholder;
use crate::yaml::{Shape, Value};

pub(super) fn check(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    let spec = subject.spec;
    policies::selector(spec, "workloadSelector", "labels", faults);
    visibility::check(subject, true, faults);
    if let (Some(selector), Some(endpoints)) =
        (spec.field("workloadSelector"), spec.field("endpoints"))
    {
        let help = "keep one of them";
        faults
            .invalid(endpoints, "stands beside `workloadSelector`, which excludes it", help)
            .also = Some((selector.span(), "this excludes it"));
    }
    endpoint_ports(spec, faults);
    let Some(resolution) = spec.word_or("resolution", "NONE") else { return };
    addresses(subject, &resolution, faults);
    hosts(spec, &resolution, faults);
    match &*resolution {
        "NONE" => none(spec, faults),
        "STATIC" => fixed(spec, faults),
        "DNS" | "DNS_ROUND_ROBIN" => by_name(spec, &resolution, faults),
        "DYNAMIC_DNS" => dynamic(subject, faults),
        _ => {}
    }
}

/// Protocols of the ports, in lower case; empty ones are TCP.
fn protocols(spec: Value<'_>) -> impl Iterator<Item = (Value<'_>, String)> {
    spec.list("ports").filter_map(|port| {
        let protocol = port.word_or("protocol", "")?;
        Some((port, protocol.to_ascii_lowercase()))
    })
}

/// An endpoint gives numbers to the ports of the ServiceEntry, by their names.
fn endpoint_ports(spec: Value<'_>, faults: &mut Faults<'_>) {
    let names: Option<BTreeSet<Cow<'_, str>>> =
        spec.list("ports").map(|port| port.text_of("name")).collect();
    let (Some(names), true) =
        (names, spec.set("ports").is_none_or(|it| it.shape() == Shape::Sequence))
    else {
        return;
    };
    for endpoint in spec.list("endpoints") {
        for (key, _) in endpoint.map("ports") {
            let Some(name) = key.text().filter(|name| !is_placeholder(name)) else { continue };
            if !names.contains(&name) {
                let help = "write the name of a port of this ServiceEntry";
                faults.invalid(key, "is no port of the ServiceEntry", help);
            }
        }
    }
}

fn addresses(subject: &Subject<'_>, resolution: &str, faults: &mut Faults<'_>) {
    let spec = subject.spec;
    if !matches!(resolution, "NONE" | "STATIC") {
        for value in spec.list("addresses") {
            if known_text(value).is_some_and(|text| text.contains('/')) {
                let help = "write single addresses, or set the resolution to `NONE` or `STATIC`";
                faults.invalid(
                    value,
                    format!("is a range, which `{resolution}` cannot have"),
                    help,
                );
            }
        }
    }
    // Without an address of its own such a port takes in all traffic to its number.
    let label = subject.meta.label("networking.istio.io/enable-autoallocate-ip");
    let allocated = resolution != "NONE" && label.is_none_or(|it| it.as_str() != "false");
    let seen = subject.root.at(&["status", "addresses"]).is_some();
    if spec.set("addresses").is_none() && !allocated && !seen {
        for (port, _) in protocols(spec).filter(|(_, it)| it.is_empty() || it == "tcp") {
            let help = "add `addresses`, or say a protocol with host names (`HTTP`, `TLS`)";
            faults.ignored(port, "is for TCP, and the ServiceEntry has no addresses: it takes all traffic to this port", help);
        }
    }
}

fn hosts(spec: Value<'_>, resolution: &str, faults: &mut Faults<'_>) {
    if resolution != "DYNAMIC_DNS" {
        for value in spec.list("hosts") {
            if known_text(value).is_some_and(|it| is_specific_host(&it) && is_partial_wildcard(&it))
            {
                let help = "write `*.` and a domain";
                faults.ignored(
                    value,
                    "has a `*` that is not a whole label, and matches nothing",
                    help,
                );
            }
        }
    }
    let Some(second) = spec.list("hosts").nth(1).filter(|_| resolution != "NONE") else { return };
    for (port, protocol) in protocols(spec) {
        let is_known = super::formats::is_protocol(&protocol) || protocol.is_empty();
        if is_known && !is_http(&protocol) && !is_tls(&protocol) {
            let help = "write a ServiceEntry for each host: nothing in TCP tells hosts apart";
            faults
                .invalid(second, "is a second host beside a port without host names", help)
                .also = Some((port.span(), "nothing on this port tells hosts apart"));
            break;
        }
    }
}

fn none(spec: Value<'_>, faults: &mut Faults<'_>) {
    if let Some(endpoints) = spec.field("endpoints") {
        let help = "set `resolution: STATIC` or `DNS`, or leave the endpoints out";
        faults.invalid(endpoints, "is set although the resolution is `NONE`", help);
    }
    if let Some(selector) = spec.field("workloadSelector") {
        let help = "set `resolution: STATIC`, or leave the selector out";
        faults.ignored(selector, "is set although the resolution is `NONE`", help);
    }
}

fn fixed(spec: Value<'_>, faults: &mut Faults<'_>) {
    for value in spec.list("endpoints") {
        endpoint(value, Addresses::Only, faults);
        let socket = value
            .field("address")
            .filter(|it| it.text().is_some_and(|it| it.starts_with("unix://")));
        if let Some(socket) = socket.filter(|_| spec.list("ports").count() != 1) {
            let help = "give the ServiceEntry exactly one port";
            faults.invalid(socket, "is a Unix socket, which can serve one port only", help);
        }
    }
}

fn by_name(spec: Value<'_>, resolution: &str, faults: &mut Faults<'_>) {
    let endpoints: Vec<Value<'_>> = spec.list("endpoints").collect();
    if let Some(second) = endpoints.get(1).filter(|_| resolution == "DNS_ROUND_ROBIN") {
        let help = "keep one endpoint, or set `resolution: DNS`";
        faults.invalid(*second, "is a second endpoint, of which `DNS_ROUND_ROBIN` takes one", help);
    }
    for value in &endpoints {
        let address = value.field("address");
        let text = address.and_then(known_text);
        match (address, text) {
            (Some(address), Some(text)) if !is_host(&text) => {
                let help = "write a DNS name or an IP address";
                faults.invalid(address, "is neither a DNS name nor an IP address", help);
            }
            (None, _) if value.shape() == Shape::Mapping => {
                faults.missing(*value, "address", "write a DNS name or an IP address");
            }
            _ => {}
        }
    }
    let selects = spec.field("workloadSelector").is_some();
    if spec.set("endpoints").is_none() {
        for value in spec.list("hosts") {
            if known_text(value).is_some_and(|host| is_specific_host(&host) && !is_fqdn(&host)) {
                let help = "write the name in full, add endpoints, or set another resolution";
                let what = if selects {
                    "is no name that can be looked up"
                } else {
                    "is no name that can be looked up, and there are no endpoints"
                };
                faults.invalid(value, what, help);
                break;
            }
        }
    }
    let tcp = protocols(spec)
        .any(|(_, it)| matches!(&*it, "tcp" | "https" | "tls" | "mongo" | "redis" | "mysql"));
    if let Some(second) =
        spec.list("hosts").nth(1).filter(|_| tcp && spec.set("addresses").is_some())
    {
        let help = "write a ServiceEntry for each host";
        faults.ignored(
            second,
            "shares its addresses with another host, and TCP cannot tell them apart",
            help,
        );
    }
}

fn dynamic(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    let spec = subject.spec;
    for value in spec.list("hosts") {
        if known_text(value).is_some_and(|host| !host.starts_with('*') && !is_ip(&host)) {
            let help = "write `*.` and a domain, or set `resolution: DNS`";
            faults.invalid(value, "does not begin with `*`, as `DYNAMIC_DNS` needs it", help);
        }
    }
    for value in ["addresses", "endpoints"]
        .into_iter()
        .filter(|key| spec.surely_has(key))
        .filter_map(|key| spec.set(key))
    {
        faults.invalid(value, "is set although names are looked up as they come", "leave it out");
    }
    for (port, protocol) in protocols(spec) {
        if !matches!(&*protocol, "http" | "tls" | "grpc" | "http2")
            && (protocol.is_empty() || super::formats::is_protocol(&protocol))
        {
            let value = port.field("protocol").unwrap_or(port);
            let help = "write `HTTP`, `HTTP2`, `GRPC` or `TLS`";
            faults.invalid(value, "has no host names, which `DYNAMIC_DNS` needs", help);
        }
    }
    let waypoint = subject.meta.label("istio.io/use-waypoint");
    if let Some(location) = spec
        .field("location")
        .filter(|_| spec.text_of("location").is_some_and(|it| it == "MESH_INTERNAL"))
        && let Some(waypoint) = waypoint.filter(|it| it.as_str() != "none")
    {
        let help = "write `MESH_EXTERNAL`, or set the label to `none`";
        faults
            .invalid(location, "is within the mesh, where a waypoint cannot look names up", help)
            .also = Some((waypoint.span, "the waypoint"));
    }
}

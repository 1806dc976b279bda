//! Checks of a WorkloadEntry, a WorkloadGroup, and of endpoints that look like them.

use super::Subject;
use super::fault::Faults;
use super::formats;
use super::hosts::{is_host, is_ip, is_socket_path};
use super::look::{Look, known_text};
use crate::yaml::{Shape, Value};

/// What an endpoint may be reached by.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Addresses {
    /// Addresses and names.
    AndNames,
    /// Addresses alone.
    Only,
}

pub(super) fn check_entry(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    endpoint(subject.spec, Addresses::AndNames, faults);
}

/// The address of an endpoint, which may be on another network and then empty.
pub(super) fn endpoint(value: Value<'_>, addresses: Addresses, faults: &mut Faults<'_>) {
    if value.shape() != Shape::Mapping {
        return;
    }
    let Some(address) =
        value.field("address").filter(|it| it.text().is_none_or(|it| !it.is_empty()))
    else {
        if !value.has("network") {
            faults.missing(value, "address", "write an IP address, or the `network` it is on");
        }
        return;
    };
    let Some(text) = known_text(address) else { return };
    if text.starts_with("unix://") {
        return socket(value, address, faults);
    }
    if addresses == Addresses::Only && !is_ip(&text) {
        let help = "write an IP address, or set `resolution: DNS`";
        faults.invalid(address, "is not an IP address, as `STATIC` needs it", help);
    } else if !is_host(&text) {
        let help = "write a DNS name or an IP address";
        faults.invalid(address, "is neither a DNS name nor an IP address", help);
    }
}

fn socket(value: Value<'_>, address: Value<'_>, faults: &mut Faults<'_>) {
    let text = address.text().unwrap_or_default();
    if !text.strip_prefix("unix://").is_some_and(is_socket_path) {
        let help = "write `unix:///path/of/a/socket` or `unix://@name`";
        faults.invalid(address, "is not the path of a socket", help);
    }
    if let Some(ports) = value.field("ports") {
        let help = "leave it out: a Unix socket has no ports";
        faults.invalid(ports, "is set for a Unix socket", help);
    }
}

pub(super) fn check_group(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    let spec = subject.spec;
    if let Some(template) = spec.field("template")
        && let Some(address) = template.field("address")
        && known_text(address).is_some_and(|it| it.starts_with("unix://"))
    {
        socket(template, address, faults);
    }
    for (key, value) in spec.field("template").into_iter().flat_map(|it| it.map("labels")) {
        template_label(key, "label-key", faults);
        template_label(value, "label-value", faults);
    }
    if let Some(probe) = spec.field("probe").filter(|it| it.shape() == Shape::Mapping) {
        let methods = ["httpGet", "tcpSocket", "exec"];
        if let Some(grpc) = probe.field("grpc") {
            let help = "use `httpGet`, `tcpSocket` or `exec`";
            faults.invalid(
                grpc,
                "is a probe that Istio's webhook does not know, although the API has it",
                help,
            );
        } else if methods.iter().all(|key| probe.field(key).is_none()) {
            let help = "add `httpGet`, `tcpSocket` or `exec`, or leave `probe` out";
            faults.missing(probe, "httpGet", help);
        }
    }
}

/// A WorkloadGroup is taken with such a label; the WorkloadEntry that istiod makes of it is refused.
fn template_label(value: Value<'_>, format: &str, faults: &mut Faults<'_>) {
    let Some(format) = formats::named(format) else { return };
    if known_text(value).is_some_and(|it| !(format.holds)(&it)) {
        let what = format!("is not {}, and no WorkloadEntry can be made with it", format.what);
        faults.invalid(value, what, format.help).is_mild = true;
    }
}

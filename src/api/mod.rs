//! What the APIs of Istio and Kubernetes accept: one table of fields, a walk along it, the checks of Istio's webhook.

mod annotations;
mod authorization;
mod cel;
mod destination_rule;
mod duration;
mod envoy_filter;
mod extensions;
mod fault;
mod formats;
mod gateway;
mod gateway_api;
mod hosts;
mod http;
mod install;
mod kubernetes;
mod look;
mod mesh_config;
mod metadata;
mod names;
mod nearest;
mod policies;
mod re2;
mod service_entry;
mod sidecar;
mod table;
mod templates;
mod urls;
mod virtual_service;
mod visibility;
mod walk;
mod whereabouts;
mod workloads;

use crate::kinds::{ISTIO_GROUPS, Meta, RETIRED_GROUPS};
use crate::yaml::{Shape, Value};

pub use annotations::fault_of_annotation;
pub use duration::{nanoseconds, seconds};
use fault::Faults;
pub use fault::{Cause, Fault};
pub use formats::{PORTS, PROTOCOLS};
pub use hosts::is_ip;
pub use nearest::nearest;
pub use re2::whole as whole_pattern;
pub use table::Version;
use walk::{Reader, walk};

/// `1.24` or `1.24.3-distroless` as major and minor.
pub fn version(text: &str) -> Option<Version> {
    let mut parts = text.trim_start_matches('v').split(['.', '-', '_']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// A kind of Istio's API.
struct Kind {
    group: &'static str,
    name: &'static str,
    /// Versions that are served, with the version of Istio that came with each.
    served: &'static [(&'static str, Version)],
    /// The fields of its `spec`.
    block: &'static str,
    /// Whether Istio refuses one without `spec`.
    needs_spec: bool,
    /// What the table does not say: how fields go together.
    check: fn(&Subject<'_>, &mut Faults<'_>),
}

/// A resource that is checked.
struct Subject<'t> {
    meta: &'t Meta,
    /// The namespace it has in its cluster.
    namespace: &'t str,
    root: Value<'t>,
    spec: Value<'t>,
}

const NETWORKING: &str = "networking.istio.io";
const SECURITY: &str = "security.istio.io";
const EXTENSIONS: &str = "extensions.istio.io";
/// Versions of the API that are older than any Istio that is looked at here.
const ALWAYS: Version = (1, 0);
const NETWORKING_VERSIONS: &[(&str, Version)] =
    &[("v1", (1, 22)), ("v1beta1", ALWAYS), ("v1alpha3", ALWAYS)];

macro_rules! kinds {
    ($($group:expr, $name:literal, $served:expr, $needs_spec:literal, $check:expr;)*) => {
        const KINDS: &[Kind] = &[$(Kind {
            group: $group,
            name: $name,
            served: $served,
            block: $name,
            needs_spec: $needs_spec,
            check: $check,
        },)*];
    };
}

kinds! {
    NETWORKING, "Gateway", NETWORKING_VERSIONS, true, gateway::check;
    NETWORKING, "VirtualService", NETWORKING_VERSIONS, true, virtual_service::check;
    NETWORKING, "DestinationRule", NETWORKING_VERSIONS, true, destination_rule::check;
    NETWORKING, "ServiceEntry", NETWORKING_VERSIONS, true, service_entry::check;
    NETWORKING, "Sidecar", NETWORKING_VERSIONS, true, sidecar::check;
    NETWORKING, "WorkloadEntry", NETWORKING_VERSIONS, true, workloads::check_entry;
    NETWORKING, "WorkloadGroup", NETWORKING_VERSIONS, true, workloads::check_group;
    NETWORKING, "EnvoyFilter", &[("v1alpha3", ALWAYS)], false, envoy_filter::check;
    NETWORKING, "ProxyConfig", &[("v1beta1", (1, 13))], false, policies::check_proxy_config;
    SECURITY, "AuthorizationPolicy", &[("v1", (1, 17)), ("v1beta1", ALWAYS)], false, authorization::check;
    SECURITY, "PeerAuthentication", &[("v1", (1, 22)), ("v1beta1", ALWAYS)], false,
        policies::check_peer_authentication;
    SECURITY, "RequestAuthentication", &[("v1", (1, 17)), ("v1beta1", ALWAYS)], false,
        policies::check_request_authentication;
    "telemetry.istio.io", "Telemetry", &[("v1", (1, 22)), ("v1alpha1", ALWAYS)], false,
        policies::check_telemetry;
    EXTENSIONS, "WasmPlugin", &[("v1alpha1", (1, 12))], true, extensions::check_wasm_plugin;
    EXTENSIONS, "TrafficExtension", &[("v1alpha1", (1, 31))], true, extensions::check_traffic_extension;
}

/// What is wrong with a resource; nothing where it is of another API.
///
/// `runs` is the version of Istio that reads it, where that is known.
pub fn check(root: Value<'_>, meta: &Meta, namespace: &str, runs: Option<Version>) -> Vec<Fault> {
    let mut faults = Faults::within(root, "", runs);
    kubernetes::check(root, meta, &mut faults);
    let mut within = Vec::new();
    match (meta.group(), meta.kind.as_str()) {
        ("install.istio.io", "IstioOperator") => install::operator(root, &mut faults),
        ("sailoperator.io" | "operator.istio.io", _) => install::values(root, &mut faults),
        ("", "ConfigMap") if mesh_config::is_read(meta) => within = mesh_config::check(root, runs),
        ("" | "apps" | "argoproj.io" | "batch", _) => within = install::of_pods(root, runs),
        (group, _) if RETIRED_GROUPS.contains(&group) => metadata::retired(root, meta, &mut faults),
        (group, _) if ISTIO_GROUPS.contains(&group) => istio(root, meta, namespace, &mut faults),
        _ => {}
    }
    let mut found = faults.into_vec();
    found.extend(within);
    if meta.is_filled_in {
        found.retain(|fault| !fault.cause.is_of_a_value());
    }
    found
}

/// What is wrong with a resource of one of Istio's groups.
fn istio(root: Value<'_>, meta: &Meta, namespace: &str, faults: &mut Faults<'_>) {
    let Some(kind) = KINDS.iter().find(|k| k.group == meta.group() && k.name == meta.kind.as_str())
    else {
        return metadata::unknown_kind(root, meta, faults);
    };
    metadata::check(root, meta, kind, faults);
    match root.get("spec") {
        Some(spec) if !spec.is_null() => {
            walk(spec, kind.block, Reader::ApiServer, faults);
            if spec.shape() == Shape::Mapping {
                (kind.check)(&Subject { meta, namespace, root, spec }, faults);
            }
        }
        _ if kind.needs_spec => {
            let help = format!("add `spec`: {} without one is refused", nearest::an(kind.name));
            faults.missing(root, "spec", help);
        }
        _ => {}
    }
}

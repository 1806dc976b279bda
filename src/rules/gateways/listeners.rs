//! Listeners of Gateways of the Gateway API.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::nearest;
use crate::finding::{Findings, Severity};
use crate::kinds::gateway_api::{Gateway, Listener};
use crate::kinds::is_placeholder;
use crate::mesh::{Crossing, In, Mesh, WAYPOINT_CLASS, value};
use crate::source::Text;

pub(super) fn listener_twice(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for gateway in &mesh.api_gateways {
        let mut known = BTreeMap::new();
        for listener in &gateway.listeners {
            let (Some(name), Some(port)) = (&listener.name, listener.port) else { continue };
            let protocol = value(listener.protocol.as_ref()).unwrap_or_default();
            let host = value(listener.hostname.as_ref()).unwrap_or_default().to_ascii_lowercase();
            if is_placeholder(&host) || is_placeholder(protocol) {
                continue;
            }
            let first = *known.entry((port.value, protocol, host)).or_insert(name.span);
            if first == name.span || !told.insert(name.span) {
                continue;
            }
            found
                .say(
                    format!("two listeners of Gateway `{}` are the same", gateway.name()),
                    name.span,
                    "the same port, protocol and host: the API server refuses the Gateway",
                )
                .also(first, "as this one has")
                .help("keep one of them, or tell them apart by `hostname`");
        }
    }
}

/// The classes that istiod makes by itself.
const CLASSES: [&str; 4] = ["istio", "istio-remote", WAYPOINT_CLASS, EAST_WEST_CLASS];
const EAST_WEST_CLASS: &str = "istio-east-west";

/// Gateways of the Gateway API that a control plane reads as they stand.
fn read(mesh: &Mesh) -> impl Iterator<Item = &In<Gateway>> {
    let all = mesh.api_gateways.iter();
    all.filter(|g| mesh.is_read_in(g.cluster) && !mesh.is_assumed(&g.meta))
}

/// The class of Istio that is written nearly so. One that only has more or less at its end is a name too.
fn near_class(class: &str) -> Option<&'static str> {
    let near = nearest(class, CLASSES.into_iter())?;
    (!CLASSES.contains(&class) && !class.starts_with(near)).then_some(near)
}

pub(super) fn unknown_class(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for gateway in read(mesh) {
        let Some(class) = gateway.gateway_class_name.as_ref() else { continue };
        let is_there = mesh.api_classes.iter().any(|it| it.name() == class.as_str());
        let Some(near) = near_class(class).filter(|_| !is_there && !is_placeholder(class)) else {
            continue;
        };
        if !told.insert(class.span) {
            continue;
        }
        let finding = found.say(
            format!(
                "Gateway `{}` is of class `{class}`, which Istio does not have",
                gateway.name()
            ),
            class.span,
            "no controller takes it: neither pods nor a Service are made for it",
        );
        if !mesh.cluster(gateway.cluster).is_complete() {
            finding.milder(
                Severity::Warning,
                ", unless a GatewayClass of this name is made elsewhere",
            );
        }
        finding.help(format!("write `{near}`"));
    }
}

/// Why istiod does not accept a listener, where, and what to write instead.
/// Source: `pilot/pkg/config/kube/gateway/conversion.go`.
fn refused<'m>(class: &str, listener: &'m Listener) -> Option<(&'m Text, String, String)> {
    let protocol = listener.protocol.as_ref().filter(|it| !is_placeholder(it))?;
    let by_hbone = class == WAYPOINT_CLASS || class == EAST_WEST_CLASS;
    let upper = protocol.to_ascii_uppercase();
    match protocol.as_str() {
        "HBONE" if by_hbone => None,
        "HBONE" => {
            let why = "only waypoints and east-west gateways listen by HBONE";
            let help = format!("use the class `{WAYPOINT_CLASS}` or `{EAST_WEST_CLASS}`, or HTTP");
            Some((protocol, why.to_owned(), help))
        }
        _ if by_hbone => {
            let why = "what the mesh sends here comes by HBONE";
            Some((protocol, why.to_owned(), "write `HBONE`".to_owned()))
        }
        "HTTP" | "HTTPS" | "TLS" | "TCP" => None,
        _ if ["HTTP", "HTTPS", "TLS", "TCP"].contains(&upper.as_str()) => {
            Some((protocol, "protocols are in capitals".to_owned(), format!("write `{upper}`")))
        }
        _ => {
            let help = "use one of `HTTP`, `HTTPS`, `TLS` and `TCP`";
            Some((protocol, "Istio has no listener for it".to_owned(), help.to_owned()))
        }
    }
}

pub(super) fn listener_not_accepted(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for gateway in read(mesh) {
        let class = value(gateway.gateway_class_name.as_ref()).unwrap_or_default();
        if !CLASSES.contains(&class) {
            continue;
        }
        let by_hbone = class == WAYPOINT_CLASS || class == EAST_WEST_CLASS;
        for listener in &gateway.listeners {
            let message =
                format!("istiod does not accept a listener of Gateway `{}`", gateway.name());
            if let Some((at, why, help)) = refused(class, listener) {
                if told.insert(at.span) {
                    found.say(message, at.span, why).help(help);
                }
            } else if let Some(port) = listener.port.filter(|port| by_hbone && port.value != 15008)
                && told.insert(port.span)
            {
                found
                    .say(
                        message,
                        port.span,
                        "HBONE is spoken at port 15008 alone: nothing listens here",
                    )
                    .help("write `15008`");
            }
        }
    }
}

pub(super) fn certificate_not_granted(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for gateway in read(mesh).filter(|g| g.has_namespace()) {
        let tls = gateway.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        for to in tls.flat_map(|tls| &tls.certificate_refs) {
            let (Some(name), Some(namespace)) = (&to.name, &to.namespace) else { continue };
            let own = gateway.namespace.as_str();
            let open = is_placeholder(name) || is_placeholder(namespace);
            let (plane, from) = (gateway.cluster, ("Gateway", own));
            let crossing = Crossing { plane, from, kind: "Secret", namespace, name };
            let Some(sure) = mesh.lacks_grant(crossing) else { continue };
            if open || to.certificate() != ("", "Secret") || !told.insert(namespace.span) {
                continue;
            }
            let finding = found.say(
                format!("nothing in `{namespace}` lets a Gateway of `{own}` use Secret `{name}`"),
                namespace.span,
                "the listener has no certificate: the TLS handshake fails",
            );
            if !sure {
                finding.milder(Severity::Warning, ", unless a grant stands elsewhere");
            }
            finding.help(format!(
                "add a ReferenceGrant to `{namespace}`: from group `gateway.networking.k8s.io`, kind \
                 `Gateway`, namespace `{own}`, to group `\"\"`, kind `Secret`"
            ));
        }
    }
}

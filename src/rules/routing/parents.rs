//! Gateways and hosts that routes of the Gateway API are attached to.

use std::collections::BTreeSet;

use crate::finding::{Findings, Severity};
use crate::kinds::gateway_api::{GROUP, Gateway, Listener, Reference, Route};
use crate::kinds::{is_placeholder, may_be};
use crate::mesh::{Attachable, HostPattern, In, Lookup, Mesh, list, value};
use crate::source::{Span, Spanned, Text};

/// A route, and a Gateway, Service or `ServiceEntry` that it names as its parent.
struct Parent<'m> {
    route: &'m In<Route>,
    at: &'m Spanned<Reference>,
    name: &'m Text,
    namespace: &'m str,
}

fn parents(mesh: &Mesh) -> impl Iterator<Item = Parent<'_>> {
    let known = |r: &&In<Route>| mesh.is_read_in(r.cluster) && !mesh.is_assumed(&r.meta);
    mesh.api_routes.iter().filter(known).flat_map(|route| {
        let known = [(GROUP, "Gateway"), ("", "Service"), ("networking.istio.io", "ServiceEntry")];
        let all = route.parent_refs.iter().filter(move |at| known.contains(&at.parent()));
        all.filter_map(move |at| {
            let name = at.name.as_ref().filter(|name| !name.is_empty())?;
            let namespace = value(at.namespace.as_ref()).unwrap_or(&route.namespace);
            let open = [name.as_str(), namespace].into_iter().any(is_placeholder);
            (!open).then_some(Parent { route, at, name, namespace })
        })
    })
}

/// The Gateway that is meant.
fn gateway<'m>(mesh: &'m Mesh, parent: &Parent<'m>) -> Option<&'m In<Gateway>> {
    let mut there = mesh.api_gateways.of_namespace(parent.route.cluster, parent.namespace);
    let is_of_api = parent.at.parent() == (GROUP, "Gateway");
    there.find(|g| is_of_api && g.name() == parent.name.as_str())
}

pub(super) fn unknown_parent(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for parent in parents(mesh) {
        let plane = parent.route.cluster;
        let (group, of_kind) = parent.at.parent();
        let is_told = parent.at.namespace.is_some() || parent.route.has_namespace();
        let namespace = is_told.then_some(parent.namespace);
        let named = Attachable { group, kind: of_kind, namespace, name: parent.name };
        let Lookup::Absent { nearest } = mesh.attachable(plane, named) else { continue };
        if !told.insert(parent.name.span) {
            continue;
        }
        let (kind, name) = (&parent.route.meta.kind, parent.route.name());
        let effect = match of_kind {
            "Gateway" => "attached to nothing: no gateway answers by it",
            _ => "attached to nothing: no client goes by it",
        };
        let finding = found.say(
            format!(
                "{kind} `{name}` is attached to {of_kind} `{}`, which `{}` does not have",
                parent.name, parent.namespace
            ),
            parent.name.span,
            effect,
        );
        if of_kind != "Gateway" && nearest.is_none() && !mesh.is_complete_under(plane) {
            finding.milder(Severity::Warning, ", unless it is made elsewhere");
        }
        finding.help(match nearest {
            Some(nearest) => format!("use `{nearest}`"),
            None => {
                "correct name and namespace; a parent without `namespace` is in the route's own"
                    .to_owned()
            }
        });
    }
}

pub(super) fn parent_refuses_route(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for parent in parents(mesh) {
        let Some(gateway) = gateway(mesh, &parent) else { continue };
        // Waypoints and east-west gateways are known by what is called through them.
        let by_hbone = |l: &Listener| value(l.protocol.as_ref()) == Some("HBONE");
        let unread = !gateway.meta.unread.is_empty() || !parent.route.meta.unread.is_empty();
        if mesh.is_assumed(&gateway.meta) || unread || gateway.listeners.iter().any(by_hbone) {
            continue;
        }
        let Some((at, label, help)) = refusal(mesh, &parent, gateway) else { continue };
        if !told.insert(at) {
            continue;
        }
        let (kind, name) = (&parent.route.meta.kind, parent.route.name());
        found
            .say(
                format!(
                    "Gateway `{}` of `{}` does not take {kind} `{name}`",
                    parent.name, parent.namespace
                ),
                at,
                label,
            )
            .also(gateway.named_at(), "the Gateway")
            .help(help);
    }
}

/// Why none of a Gateway's listeners takes a route: where, what comes of it, and what to do.
fn refusal(
    mesh: &Mesh,
    parent: &Parent<'_>,
    gateway: &In<Gateway>,
) -> Option<(Span, String, String)> {
    let is_named =
        |l: &Listener, section: &Text| l.name.as_ref().is_none_or(|name| may_be(name, section));
    let all: Vec<&Listener> = gateway.listeners.iter().collect();
    // Its listeners may all come from ListenerSets.
    if all.is_empty() {
        return None;
    }
    let section = parent.at.section_name.as_ref();
    let named: Vec<&Listener> =
        all.iter().copied().filter(|l| section.is_none_or(|name| is_named(l, name))).collect();
    if let Some(section) = section.filter(|_| named.is_empty()) {
        let known = list(all.iter().filter_map(|l| value(l.name.as_ref())));
        let label = format!("no listener is called `{section}`: attached to nothing");
        return Some((section.span, label, format!("its listeners are {known}")));
    }
    let fits = |l: &&Listener| match (&parent.at.port, &l.port) {
        (Some(wanted), Some(port)) => wanted.value == port.value,
        _ => true,
    };
    let at_port: Vec<&Listener> = named.into_iter().filter(fits).collect();
    if let Some(port) = parent.at.port.as_ref().filter(|_| at_port.is_empty()) {
        let label = format!("no listener is at port {port}: attached to nothing");
        return Some((port.span, label, "name a port of its `listeners`, or none".to_owned()));
    }
    let kind = parent.route.meta.kind.as_str();
    let of_kind: Vec<&Listener> = at_port.into_iter().filter(|l| takes_kind(l, kind)).collect();
    if of_kind.is_empty() {
        let at = section.unwrap_or(parent.name);
        let label = format!("no listener there takes routes of kind {kind}: attached to nothing");
        let help = "attach it to a listener whose protocol and `allowedRoutes.kinds` take its kind";
        return Some((at.span, label, help.to_owned()));
    }
    let own = &parent.route.namespace;
    let open: Vec<&Listener> = of_kind
        .into_iter()
        .filter(|l| mesh.listener_admits(gateway, l, own) != Some(false))
        .collect();
    if open.is_empty() && parent.route.has_namespace() {
        let at = parent.at.namespace.as_ref().unwrap_or(parent.name);
        let label = format!("its listeners let nothing of `{own}` in: attached to nothing");
        let help = "set `allowedRoutes: {namespaces: {from: All}}` at a listener, or a `Selector` that fits; \
                    without it only routes of the Gateway's own namespace are taken";
        return Some((at.span, label, help.to_owned()));
    }
    strange_hosts(parent.route, &open)
}

/// Whether all hosts of a route are others than those of these listeners, as with [`refusal`].
fn strange_hosts(route: &Route, listeners: &[&Listener]) -> Option<(Span, String, String)> {
    let shares = |host: &Text| {
        listeners.iter().any(|l| l.hostname.as_ref().is_none_or(|own| is_shared(own, host)))
    };
    let first = route.hostnames.first()?;
    let strange = route.hostnames.iter().all(|host| !shares(host)) && !listeners.is_empty();
    strange.then(|| {
        let hosts = list(listeners.iter().filter_map(|l| value(l.hostname.as_ref())));
        let label = format!("its listeners are for {hosts}: attached to nothing");
        (first.span, label, "name a host of its listeners".to_owned())
    })
}

/// Whether a listener takes routes of a kind. Source: `generateSupportedKinds` of Istio.
fn takes_kind(listener: &Listener, kind: &str) -> bool {
    let kinds = &listener.allowed_routes.kinds;
    let is_named = |told: &Text| told.as_str() == kind || is_placeholder(told);
    let named = kinds.is_empty() || kinds.iter().any(|k| k.kind.as_ref().is_none_or(is_named));
    named
        && match value(listener.protocol.as_ref()) {
            Some("HTTP" | "HTTPS") => ["HTTPRoute", "GRPCRoute"].contains(&kind),
            Some("TCP") => kind == "TCPRoute",
            Some("TLS") => ["TLSRoute", "TCPRoute"].contains(&kind),
            _ => true,
        }
}

/// Whether some host is meant by both patterns.
fn is_shared(listener: &Text, route: &Text) -> bool {
    let (a, b) = (listener.to_ascii_lowercase(), route.to_ascii_lowercase());
    a.is_empty()
        || is_placeholder(&a)
        || is_placeholder(&b)
        || HostPattern(&a).matches(&b)
        || HostPattern(&b).matches(&a)
}

//! Hosts and ports that routes and DestinationRules name.

use std::collections::BTreeSet;

use crate::finding::{Finding, Findings, Fix, Severity};
use crate::kinds::is_placeholder;
use crate::kinds::networking::VirtualService;
use crate::mesh::{
    BoundGateway, In, Known, Lookup, Mesh, Named, Route, Share, fqdn, list, short, value,
};
use crate::rules::BY_OTHERS;
use crate::source::{Span, Text};

/// Destinations of VirtualServices that a control plane reads as they stand, mirrors included; a place that
/// several clusters share comes once per cluster.
fn read_routes(mesh: &Mesh) -> Vec<Route<'_>> {
    let mut all = mesh.routes();
    all.extend(mesh.mirrors());
    all.retain(|r| mesh.is_read_in(r.service.cluster) && !mesh.is_assumed(&r.service.meta));
    all
}

/// Whether what defines a host may stand for another place than a VirtualService does.
fn may_be_apart(mesh: &Mesh, known: &Known<'_>, service: &In<VirtualService>) -> bool {
    let services = known.services.iter().map(|s| s.told());
    let mut all = services.chain(known.entries.iter().map(|e| e.told()));
    all.any(|told| mesh.may_be_apart(service.cluster, told, service.told()))
}

/// What a route's destination is to those who use the route.
fn named<'m>(mesh: &'m Mesh, route: &Route<'m>) -> Option<(&'m Text, Named<'m>)> {
    let host = route.destination.host.as_ref()?;
    let users = mesh.users_of(route.service);
    Some((host, mesh.named_host(host, route.service, users.as_deref())))
}

/// Makes a finding about a route milder where no answer depends on it yet.
fn weigh(finding: &mut Finding, share: Share) {
    match share {
        Share::Some => {}
        Share::None => {
            finding.milder(Severity::Warning, ", and gets no request yet: its weight is 0");
        }
        Share::Copies => {
            finding.milder(Severity::Warning, ", so that copies are lost");
        }
    }
}

pub(super) fn unknown_host(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for route in read_routes(mesh) {
        match named(mesh, &route) {
            Some((host, Named::Absent { nearest })) if told.insert(host.span) => {
                say_absent(mesh, &route, host, nearest, found);
            }
            Some((host, Named::Hidden(known)))
                if !known.is_assumed(mesh)
                    && !may_be_apart(mesh, &known, route.service)
                    && told.insert(host.span) =>
            {
                say_hidden(&route, host, &known, found);
            }
            _ => {}
        }
    }
}

/// What becomes of what is sent to a host or port that istiod does not know.
fn fails(route: &Route<'_>) -> &'static str {
    match (route.share, route.rule) {
        (Share::Copies, _) => "nothing is mirrored",
        (_, None) => "connections that take this route are closed",
        (Share::None, _) => "requests that take this route will get 503",
        (Share::Some, _) => "requests that take this route get 503",
    }
}

fn say_absent(
    mesh: &Mesh,
    route: &Route<'_>,
    host: &Text,
    nearest: Option<String>,
    found: &mut Findings,
) {
    let finding = found.say(
        format!("`{}` is no host of the mesh", route.host),
        host.span,
        format!("{}: no Service or ServiceEntry defines it", fails(route)),
    );
    finding.help(match &nearest {
        Some(nearest) => format!("use `{nearest}`, or define the host"),
        None => "correct the name, or define the host by a Service or ServiceEntry".to_owned(),
    });
    if nearest.is_none() && !mesh.is_complete_under(route.service.cluster) {
        finding.milder(Severity::Warning, BY_OTHERS);
    }
    weigh(finding, route.share);
    finding.fix(nearest.map(|full| as_written(host, full, &route.service.namespace)));
}

fn say_hidden(route: &Route<'_>, host: &Text, known: &Known<'_>, found: &mut Findings) {
    let finding = found.say(
        format!("`{}` is exported to none of those who use this route", short(&route.host)),
        host.span,
        format!("{}: their proxies do not know the host", fails(route)),
    );
    if let Some((span, text)) = where_exported(known) {
        finding.also(span, text);
    }
    finding.help("export the host to the namespaces of its clients, or to all (`*`)");
    weigh(finding, route.share);
}

/// Another name in the place of a host: as short as that one where it is in the same namespace.
fn as_written(host: &Text, full: String, namespace: &str) -> Fix {
    let name = if host.contains('.') { full } else { shortened(&full, namespace) };
    Fix::unsafe_replace(format!("use `{name}`"), host.span, name)
}

/// A full name as an object of a namespace may write it.
fn shortened(full: &str, namespace: &str) -> String {
    full.strip_suffix(&format!(".{namespace}.svc.cluster.local")).unwrap_or(full).to_owned()
}

/// What says to whom a host is exported.
fn where_exported(known: &Known<'_>) -> Option<(Span, &'static str)> {
    let of_services =
        known.services.iter().filter_map(|s| s.meta.annotation("networking.istio.io/exportTo"));
    let of_entries = known.entries.iter().filter_map(|e| e.export_to.first());
    of_services.chain(of_entries).map(|to| (to.span, "exported to these alone")).next()
}

pub(super) fn unknown_port(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for route in read_routes(mesh) {
        let Some(port) = route.destination.port.as_ref().and_then(|p| p.number.as_ref()) else {
            continue;
        };
        let Some((_, Named::Seen(known))) = named(mesh, &route) else { continue };
        let unsure = known.is_assumed(mesh) || may_be_apart(mesh, &known, route.service);
        let Some(ports) = known.ports().filter(|_| !unsure) else { continue };
        let mut ports = ports.concat();
        ports.sort_unstable();
        ports.dedup();
        if ports.contains(&port.value) || !told.insert(port.span) {
            continue;
        }
        let finding = found.say(
            format!("`{}` has no port {}", short(&route.host), port.value),
            port.span,
            format!("{}: the host has no such port", fails(&route)),
        );
        let defined = known.services.iter().map(|s| s.named_at());
        let defined = defined.chain(known.entries.iter().map(|e| e.named_at())).next();
        if let Some(span) = defined {
            finding.also(span, "defined here");
        }
        let all: Vec<String> = ports.iter().map(ToString::to_string).collect();
        finding.help(match all.as_slice() {
            [] => "give the host a port".to_owned(),
            all => format!(
                "its ports are {}; a route names the port of the Service, and not the `targetPort`",
                list(all.iter().map(String::as_str))
            ),
        });
        weigh(finding, route.share);
    }
}

pub(super) fn destination_without_port(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for route in read_routes(mesh).into_iter().filter(|r| r.destination.port.is_none()) {
        let Some((host, Named::Seen(known))) = named(mesh, &route) else { continue };
        let unsure = known.is_assumed(mesh) || may_be_apart(mesh, &known, route.service);
        let Some(all) = known.ports().filter(|_| !unsure) else { continue };
        // A destination with one port goes there, whatever port was called.
        let Some(ports) = all.into_iter().find(|ports| ports.len() > 1) else { continue };
        let called = called_ports(mesh, &route);
        let wrong: Option<Vec<u32>> =
            called.map(|called| called.into_iter().filter(|p| !ports.contains(p)).collect());
        if wrong.as_ref().is_some_and(Vec::is_empty) || !told.insert(host.span) {
            continue;
        }
        let names: Vec<String> = ports.iter().map(ToString::to_string).collect();
        let names = list(names.iter().map(String::as_str));
        let finding = found.say(
            format!("this route names no port of `{}`, which has {names}", short(&route.host)),
            host.span,
            match wrong.as_deref() {
                Some([first, ..]) => {
                    format!("requests to port {first} stay with that port, and get 503")
                }
                _ => "requests stay with the port that was called".to_owned(),
            },
        );
        if wrong.is_none() {
            finding.milder(Severity::Note, "; it works where the port called is one of these");
        }
        finding.help(format!("add `port: {{number: {}}}` to the destination", ports[0]));
    }
}

/// The ports on which requests for a VirtualService come in; none where these are not known.
fn called_ports(mesh: &Mesh, route: &Route<'_>) -> Option<BTreeSet<u32>> {
    let service = route.service;
    let mut called = BTreeSet::new();
    for gateway in service.gateways.iter().filter(|g| g.as_str() != "mesh") {
        let Lookup::Found(gateway) = mesh.named_gateway(gateway, service) else { return None };
        match gateway {
            BoundGateway::Istio(it) => {
                let numbers = it.servers.iter().map(|s| s.port.as_ref()?.number.as_ref());
                called.extend(numbers.collect::<Option<Vec<_>>>()?.iter().map(|n| n.value));
            }
            BoundGateway::Api(it) => {
                let numbers = it.listeners.iter().map(|l| l.port.as_ref());
                called.extend(numbers.collect::<Option<Vec<_>>>()?.iter().map(|n| n.value));
            }
        }
    }
    if service.is_for_mesh() {
        for host in &service.hosts {
            if fqdn(host, &service.namespace) == route.host {
                continue;
            }
            let Named::Seen(known) = mesh.named_host(host, service, None) else { return None };
            called.extend(known.ports()?.concat());
        }
        if service.hosts.is_empty() {
            return None;
        }
    }
    Some(called)
}

pub(super) fn rule_for_unknown_host(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for rule in &mesh.destination_rules {
        let Some(host) = &rule.host else { continue };
        let known = mesh.is_read_in(rule.cluster) && !mesh.is_assumed(&rule.meta);
        if !known || host.contains('*') || is_placeholder(host) {
            continue;
        }
        let Named::Absent { nearest } = mesh.named_host(host, rule, None) else { continue };
        if !told.insert(host.span) {
            continue;
        }
        let name = value(Some(host)).unwrap_or_default();
        let finding = found.say(
            format!("this DestinationRule is for `{name}`, which is no host of the mesh"),
            host.span,
            "no Service or ServiceEntry defines it: the rule is for nothing",
        );
        finding.help(match &nearest {
            Some(nearest) => format!("use `{nearest}`, or remove the rule"),
            None => "correct the name, or remove the rule".to_owned(),
        });
        if nearest.is_none() && !mesh.is_complete_under(rule.cluster) {
            finding.milder(Severity::Note, BY_OTHERS);
        }
        finding.fix(nearest.map(|full| as_written(host, full, &rule.namespace)));
    }
}

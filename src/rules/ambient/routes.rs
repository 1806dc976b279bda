//! Routes and rules for what ztunnel calls directly.

use std::collections::{BTreeMap, BTreeSet};

use crate::clusters::ClusterId;
use crate::finding::{Findings, Severity};
use crate::kinds::Meta;
use crate::kinds::gateway_api::{Reference, Route};
use crate::mesh::{
    Enrolment, Host, In, Lookup, Mesh, PodShape, fqdn, is_ambient_namespace, list, short,
};
use crate::rules::SHOWN;
use crate::source::{Span, Text};

/// A route or rule for a host, and where it names it.
struct Ruling<'m> {
    plane: ClusterId,
    meta: &'m Meta,
    at: Span,
    host: String,
}

impl<'m> Ruling<'m> {
    fn of<S>(object: &'m In<S>, host: &Text) -> Self {
        let (plane, host, at) = (object.cluster, fqdn(host, &object.namespace), host.span);
        Self { plane, meta: &object.meta, at, host }
    }
}

pub(super) fn route_without_waypoint(mesh: &Mesh, found: &mut Findings) {
    if !mesh.namespaces.iter().any(is_ambient_namespace) {
        return;
    }
    let mut by_host: BTreeMap<(usize, String), Vec<Ruling<'_>>> = BTreeMap::new();
    for ruling in rulings(mesh) {
        let key = (mesh.cluster(ruling.plane).mesh, ruling.host.clone());
        let known = by_host.entry(key).or_default();
        if known.iter().all(|other| other.at != ruling.at) {
            known.push(ruling);
        }
    }
    let mut others_call = BTreeMap::new();
    for ((number, name), rulings) in by_host {
        let [first, others @ ..] = rulings.as_slice() else { continue };
        let Some(host) = mesh.host(&name) else { continue };
        let Some((service, certain)) = without_waypoint(mesh, host, first.plane) else { continue };
        if *others_call.entry(number).or_insert_with(|| may_have_sidecars(mesh, first.plane)) {
            continue;
        }
        let called: Vec<String> =
            rulings.iter().map(|r| format!("{} {}", r.meta.kind, r.meta.name)).collect();
        let verb = if others.is_empty() { "has" } else { "have" };
        let finding = found.say(
            format!(
                "{} {verb} no effect in ambient: `{}` has no waypoint",
                list(called.iter().map(String::as_str)),
                short(&name)
            ),
            first.at,
            format!("ztunnel reads no {}, and calls this host by itself", first.meta.kind),
        );
        for other in others.iter().take(SHOWN) {
            finding.also(other.at, "nor this");
        }
        finding.also(service, "in ambient, without a waypoint");
        if !certain {
            finding.milder(Severity::Note, ", unless somebody labels it by hand");
        }
        finding.help(
            "give it a waypoint: label the Service or its namespace `istio.io/use-waypoint: NAME`",
        );
    }
}

/// All that says how clients in the mesh reach a host.
fn rulings(mesh: &Mesh) -> impl Iterator<Item = Ruling<'_>> {
    let services = mesh.virtual_services.iter();
    let services = services.filter(|s| s.is_for_mesh() && !s.is_for_gateways());
    let services = services.flat_map(|s| s.hosts.iter().map(|host| Ruling::of(s, host)));
    let gateways = behind_gateways(mesh);
    let rules = mesh.destination_rules.iter();
    let rules = rules.flat_map(|r| r.host.iter().map(|host| Ruling::of(r, host)));
    let rules = rules.filter(move |rule| !gateways.contains(&rule.host));
    let attached = mesh.api_routes.iter().flat_map(|route| {
        let parents = route.parent_refs.iter().filter(|at| at.parent() == ("", "Service"));
        parents.filter_map(|at| {
            let host = host_of(at, &route.namespace)?;
            Some(Ruling {
                plane: route.cluster,
                meta: &route.meta,
                at: at.name.as_ref()?.span,
                host,
            })
        })
    });
    services
        .chain(rules)
        .chain(attached)
        .filter(|r| mesh.is_read_in(r.plane) && !mesh.is_assumed(r.meta))
}

/// Hosts that gateways lead to: they read the rules for these, whatever ambient does.
fn behind_gateways(mesh: &Mesh) -> BTreeSet<String> {
    let routes = mesh.routes().into_iter().filter(|r| r.service.is_for_gateways()).map(|r| r.host);
    let at_gateway =
        |route: &&In<Route>| route.parent_refs.iter().any(|at| at.parent() != ("", "Service"));
    let backends = mesh.api_routes.iter().filter(at_gateway).flat_map(|route| {
        let all = route.rules.iter().flat_map(|rule| &rule.backend_refs);
        all.filter_map(|at| host_of(at, &route.namespace))
    });
    routes.chain(backends).collect()
}

/// The full name of a Service that a route of a namespace names.
fn host_of(at: &Reference, namespace: &str) -> Option<String> {
    let namespace = at.namespace.as_ref().map_or(namespace, |told| told.as_str());
    Some(fqdn(at.name.as_ref()?, namespace))
}

/// A Service of a host, where all of them are in ambient and none has a waypoint, and whether that is
/// certain.
fn without_waypoint(mesh: &Mesh, host: Host<'_>, plane: ClusterId) -> Option<(Span, bool)> {
    if host.entries().next().is_some() {
        return None;
    }
    let mut first = None;
    let mut certain = true;
    for service in host.services_of_mesh(plane) {
        let (cluster, namespace) = (service.cluster, service.namespace.as_str());
        let in_ambient = matches!(mesh.namespace(cluster, namespace),
            Lookup::Found(ns) if is_ambient_namespace(ns) && !mesh.is_assumed(&ns.meta));
        if !in_ambient || mesh.is_assumed(&service.meta) {
            return None;
        }
        match mesh.enrolment(&service.meta.labels, (cluster, namespace)) {
            Enrolment::Without => {}
            Enrolment::Untold => certain = false,
            Enrolment::Through(_) | Enrolment::Unknown => return None,
        }
        first = first.or(Some(service.named_at()));
    }
    first.map(|at| (at, certain))
}

/// Whether some client of a mesh has or may have a sidecar, gateways aside.
fn may_have_sidecars(mesh: &Mesh, of: ClusterId) -> bool {
    let is_gateway = |pods: &PodShape<'_>| pods.is_injected_as_gateway() || pods.is_of_istio();
    let system =
        |pods: &PodShape<'_>| pods.namespace == mesh.cluster(pods.cluster).facts.system_namespace();
    let near = mesh.pod_shapes().filter(|pods| mesh.same_mesh(pods.cluster, of));
    let mut clients = near.filter(|pods| !is_gateway(pods) && !system(pods));
    clients.any(|pods| mesh.has_sidecar(&pods) != Some(false))
}

//! What routes of the Gateway API name: their parents and their backends.

use std::collections::BTreeSet;

use crate::finding::{Finding, Findings, Severity};
use crate::kinds::attachment::is_http;
use crate::kinds::gateway_api::{GROUP, Reference, Route, RouteRule};
use crate::kinds::is_placeholder;
use crate::mesh::{Crossing, In, Known, Mesh, Named, fqdn, list, short, value};
use crate::rules::BY_OTHERS;
use crate::source::{Span, Spanned, Text};

/// A backend of a route that a control plane reads as it stands.
struct Backend<'m> {
    route: &'m In<Route>,
    rule: &'m Spanned<RouteRule>,
    to: &'m Spanned<Reference>,
    name: &'m Text,
    namespace: &'m str,
}

impl Backend<'_> {
    /// What becomes of its share, as the end of a label.
    fn fails(&self) -> &'static str {
        let weighs = |to: &&Spanned<Reference>| to.weight.is_none_or(|w| w.value > 0);
        let alone = self.rule.backend_refs.iter().filter(weighs).count() < 2;
        match (is_http(&self.route.meta.kind), alone) {
            (true, true) => "requests that take this rule get 500",
            (true, false) => "its share of the requests gets 500",
            (false, _) => "connections that come here are closed",
        }
    }

    /// Makes a finding milder where no request comes here yet.
    fn weigh(&self, finding: &mut Finding) {
        if self.to.weight.is_some_and(|weight| weight.value == 0) {
            finding.milder(Severity::Warning, ", and gets no request yet: its weight is 0");
        }
    }
}

/// The Services that routes lead to; a place that several clusters share comes once per cluster.
fn backends(mesh: &Mesh) -> impl Iterator<Item = Backend<'_>> {
    let known = |r: &&In<Route>| mesh.is_read_in(r.cluster) && !mesh.is_assumed(&r.meta);
    mesh.api_routes.iter().filter(known).flat_map(|route| {
        let all = route.rules.iter();
        let all = all.flat_map(|rule| rule.backend_refs.iter().map(move |to| (rule, to)));
        all.filter(|(_, to)| to.backend() == ("", "Service")).filter_map(move |(rule, to)| {
            let name = to.name.as_ref().filter(|name| !name.is_empty())?;
            let namespace = value(to.namespace.as_ref()).unwrap_or(&route.namespace);
            let open = [name.as_str(), namespace].into_iter().any(is_placeholder);
            (!open).then_some(Backend { route, rule, to, name, namespace })
        })
    })
}

pub(super) fn unknown_backend(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for backend in backends(mesh) {
        // A full name instead of that of a Service is refused before anything is looked up.
        if backend.name.contains('.') {
            continue;
        }
        let host = Text::new(fqdn(backend.name, backend.namespace), backend.name.span);
        match mesh.named_host(&host, backend.route, None) {
            Named::Absent { nearest } if told.insert(host.span) => {
                say_absent(mesh, &backend, &host, nearest.as_deref(), found);
            }
            Named::Seen(known) => {
                let apart = known.services.iter().any(|s| {
                    mesh.may_be_apart(backend.route.cluster, s.told(), backend.route.told())
                });
                if !apart && !known.is_assumed(mesh) {
                    say_port(&backend, &known, &mut told, found);
                }
            }
            _ => {}
        }
    }
}

fn say_absent(
    mesh: &Mesh,
    backend: &Backend<'_>,
    host: &Text,
    nearest: Option<&str>,
    found: &mut Findings,
) {
    let finding = found.say(
        format!("`{}` is no Service of the mesh", short(host)),
        host.span,
        format!("{}: there is no such backend", backend.fails()),
    );
    finding.help(match nearest {
        Some(nearest) => format!("name `{}`, or define the Service", short(nearest)),
        None => "correct name and namespace, or define the Service".to_owned(),
    });
    if nearest.is_none() && !mesh.is_complete_under(backend.route.cluster) {
        finding.milder(Severity::Warning, BY_OTHERS);
    }
    backend.weigh(finding);
}

fn say_port(
    backend: &Backend<'_>,
    known: &Known<'_>,
    told: &mut BTreeSet<Span>,
    found: &mut Findings,
) {
    let (Some(port), Some(ports)) = (&backend.to.port, known.ports()) else { return };
    let mut ports = ports.concat();
    ports.sort_unstable();
    ports.dedup();
    if ports.contains(&port.value) || !told.insert(port.span) {
        return;
    }
    let name = format!("{}.{}", backend.name, backend.namespace);
    let finding = found.say(
        format!("`{name}` has no port {}", port.value),
        port.span,
        format!("{}: the Service has no such port", backend.fails()),
    );
    if let Some(service) = known.services.first() {
        finding.also(service.named_at(), "defined here");
    }
    let all: Vec<String> = ports.iter().map(ToString::to_string).collect();
    finding.help(match all.as_slice() {
        [] => "give the Service a port".to_owned(),
        all => format!(
            "its ports are {}; a backend names the port of the Service, and not the `targetPort`",
            list(all.iter().map(String::as_str))
        ),
    });
    backend.weigh(finding);
}

pub(super) fn backend_not_granted(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for backend in backends(mesh) {
        let Backend { route, namespace, .. } = backend;
        // What is attached to Services alone needs no grant of istiod.
        let mut parents = route.parent_refs.iter();
        let by_gateway =
            parents.any(|at| matches!(at.parent(), (GROUP, "Gateway" | "XListenerSet")));
        let crossing = Crossing {
            plane: route.cluster,
            from: (&route.meta.kind, &route.namespace),
            kind: "Service",
            namespace,
            name: backend.name,
        };
        let Some(sure) = mesh.lacks_grant(crossing).filter(|_| by_gateway) else { continue };
        let at = backend.to.namespace.as_ref().map_or(backend.to.span, |ns| ns.span);
        if !route.has_namespace() || !told.insert(at) {
            continue;
        }
        let (kind, own) = (&route.meta.kind, &route.namespace);
        let finding = found.say(
            format!("nothing in `{namespace}` lets a {kind} of `{own}` lead to `{}`", backend.name),
            at,
            format!("{}: a gateway's route leaves its namespace only by a grant", backend.fails()),
        );
        if !sure {
            finding.milder(Severity::Warning, ", unless a grant stands elsewhere");
        }
        finding.help(format!(
            "add a ReferenceGrant to `{namespace}`: from group `{GROUP}`, kind `{kind}`, namespace `{own}`, to \
             group `\"\"`, kind `Service`"
        ));
        backend.weigh(finding);
    }
}

pub(super) fn parent_without_group(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for route in &mesh.api_routes {
        for at in &route.parent_refs {
            let Some(kind) = at.kind.as_ref().filter(|_| at.group.is_none()) else { continue };
            let group = match kind.as_str() {
                "Service" => "\"\"",
                "ServiceEntry" => "networking.istio.io",
                _ => continue,
            };
            if !told.insert(kind.span) {
                continue;
            }
            found
                .say(
                    format!(
                        "this {} is attached to nothing: `group: {group}` is missing",
                        route.meta.kind
                    ),
                    kind.span,
                    format!("means a `{kind}` of group `{GROUP}`, which does not exist"),
                )
                .help(format!("add `group: {group}`"));
        }
    }
}

//! What a client sees: services and VirtualServices that are exported to its namespace and that its
//! Sidecar imports.
//!
//! Source: `pilot/pkg/model/sidecar.go`, `push_context.go`.

mod importers;
mod index;

use std::cmp::Ordering;

use super::protocol::Port;
use super::step::Step;
use crate::clusters::ClusterId;
use crate::kinds::control_plane::MeshConfig;
use crate::kinds::core::Service;
use crate::kinds::is_placeholder;
use crate::kinds::networking::{EgressListener, ServiceEntry, Sidecar, VirtualService};
use crate::mesh::{Client, Host, HostPattern, In, Mesh, fqdn};
use crate::source::{Span, Text};

pub use index::{Index, Possible};

/// What a client sees.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'i, 'm> {
    index: &'i Index<'m>,
    /// The cluster whose Istio objects it gets.
    pub plane: ClusterId,
    /// The client.
    pub client: Client<'m>,
    /// The Sidecar that applies; where there is none, all is imported.
    pub sidecar: Option<&'m In<Sidecar>>,
}

/// What defines a host.
#[derive(Clone, Copy, Debug)]
pub enum Definition<'m> {
    /// A Service of Kubernetes.
    Service(&'m In<Service>),
    /// A ServiceEntry.
    Entry(&'m In<ServiceEntry>),
}

impl<'m> Definition<'m> {
    /// The namespace it stands in.
    pub fn namespace(self) -> &'m str {
        match self {
            Self::Service(service) => &service.namespace,
            Self::Entry(entry) => &entry.namespace,
        }
    }

    /// Where its name stands.
    pub fn named_at(self) -> Span {
        match self {
            Self::Service(service) => service.named_at(),
            Self::Entry(entry) => entry.named_at(),
        }
    }

    /// The waypoint that it has, or its namespace.
    pub fn waypoint(self, mesh: &'m Mesh) -> Option<&'m Text> {
        match self {
            Self::Service(s) => mesh.waypoint_of(&s.meta, (s.cluster, &s.namespace)),
            Self::Entry(e) => mesh.waypoint_of(&e.meta, (e.cluster, &e.namespace)),
        }
    }

    /// Its ports.
    pub fn ports(self) -> Vec<Port> {
        match self {
            Self::Service(service) => service.ports.iter().filter_map(Port::of_service).collect(),
            Self::Entry(entry) => entry.ports.iter().filter_map(Port::of_entry).collect(),
        }
    }

    /// Whether some of its ports stand in the text and could not be read.
    pub fn has_unread_ports(self) -> bool {
        let unread = match self {
            Self::Service(service) => &service.meta.unread,
            Self::Entry(entry) => &entry.meta.unread,
        };
        unread.iter().any(|path| path.starts_with("spec.ports"))
    }

    fn is_service(self) -> bool {
        matches!(self, Self::Service(_))
    }
}

/// What a client sees of a host.
#[derive(Clone, Debug)]
pub enum Sight<'m> {
    /// This definition, under this name: the host, or the pattern of a ServiceEntry that covers it.
    Seen(Definition<'m>, String),
    /// It is defined, but not for this client: why.
    Hidden(Step),
    /// Nothing defines it.
    Absent,
    /// Something outside the input may define it.
    Unseen,
}

/// How an object gets to a namespace; what is closer goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// It stands in that namespace, and is not for all.
    Private,
    /// It names that namespace.
    Named,
    /// It is for all namespaces.
    Public,
}

/// How a VirtualService gets to a client's namespace, and whether it is not one that is made of routes of
/// the Gateway API in that namespace, which go before others. Source: `push_context.go`,
/// `VirtualServicesForGateway`.
pub type Rank = (Reach, bool);

/// How `exportTo`, or the default where it is empty, lets a namespace see an object.
/// Source: `push_context.go`, `initVirtualServices`, `initServiceRegistry`.
pub fn reach(to: &[&str], default: &[Text], own: &str, client: &str) -> Option<Reach> {
    let has = |list: &[&str], what: &str| list.iter().any(|t| t.trim() == what);
    let private = || (own == client).then_some(Reach::Private);
    if to.is_empty() {
        let default: Vec<&str> = default.iter().map(|t| t.as_str()).collect();
        return match () {
            () if has(&default, ".") => private(),
            () if default.is_empty() || has(&default, "*") => Some(Reach::Public),
            () => None,
        };
    }
    match () {
        () if has(to, "*") => Some(Reach::Public),
        () if has(to, "~") => None,
        () if own == client && (has(to, ".") || has(to, own)) => Some(Reach::Private),
        () if has(to, client) => Some(Reach::Named),
        () => None,
    }
}

/// What may define a host: itself, then the patterns that cover it, the longest first.
fn defining<'m>(mesh: &'m Mesh, host: &str) -> impl Iterator<Item = Host<'m>> + use<'m> {
    let covers = |h: &Host<'_>| HostPattern(h.name).matches(host);
    let mut covering: Vec<Host<'m>> = mesh.wildcard_hosts().filter(covers).collect();
    covering.sort_by_key(|h| std::cmp::Reverse(h.name.len()));
    mesh.host(host).into_iter().chain(covering)
}

/// Whether two hosts, each perhaps with a `*` in front, have a host in common.
fn overlap(a: &str, b: &str) -> bool {
    HostPattern(a).matches(b) || HostPattern(b).matches(a)
}

/// A candidate for a host, ranked: the least is taken.
type Ranked<'m> = ((bool, bool, Reach, String), Definition<'m>);

impl<'m> Scope<'_, 'm> {
    /// The mesh.
    pub fn mesh(&self) -> &'m Mesh {
        self.index.mesh()
    }

    /// The VirtualService of that name among those the client's control plane reads.
    pub fn virtual_service(&self, namespace: &str, name: &str) -> Option<&'m In<VirtualService>> {
        self.index.by_name(self.plane, namespace, name)
    }

    /// MeshConfig's `defaultVirtualServiceExportTo`.
    pub fn default_export_of_virtual_services(&self) -> &'m [Text] {
        self.defaults(|c| &c.default_virtual_service_export_to)
    }

    fn defaults(&self, pick: fn(&MeshConfig) -> &Vec<Text>) -> &'m [Text] {
        let configs = &self.mesh().cluster(self.plane).facts.mesh_config;
        configs.iter().map(pick).find(|list| !list.is_empty()).map_or(&[], Vec::as_slice)
    }

    /// How a definition is exported to the client's namespace, and what says so.
    fn reach_of(&self, definition: Definition<'m>) -> (Option<Reach>, Option<Span>) {
        let default = self.defaults(|c| &c.default_service_export_to);
        let own = definition.namespace();
        let (to, span): (Vec<&str>, _) = match definition {
            Definition::Service(service) => {
                let told = service.meta.annotation("networking.istio.io/exportTo");
                let told = told.filter(|t| !t.is_empty());
                (told.map(|t| t.split(',').collect()).unwrap_or_default(), told.map(|t| t.span))
            }
            Definition::Entry(entry) => {
                let to = entry.export_to.iter().map(|t| t.as_str()).collect();
                (to, entry.export_to.first().map(|t| t.span))
            }
        };
        let span = span.or_else(|| default.first().map(|t| t.span));
        (reach(&to, default, own, self.client.namespace), span)
    }

    /// The egress listener for a port: `Ok(None)` where everything is imported; an error where the
    /// Sidecar has listeners, but none for this port.
    fn listener(&self, port: u32) -> Result<Option<&'m EgressListener>, Step> {
        let Some(sidecar) = self.sidecar.filter(|s| !s.egress.is_empty()) else { return Ok(None) };
        let number = |e: &&EgressListener| match &e.port {
            None => true,
            Some(own) => own.number.as_ref().is_some_and(|n| n.value == port),
        };
        sidecar.egress.iter().find(number).map(Some).ok_or_else(|| {
            let text =
                format!("no egress listener of Sidecar `{}` is for port {port}", sidecar.name());
            Step::new(text, sidecar.named_at())
        })
    }

    /// What imports an object of a namespace whose hosts fit: the line of the Sidecar, or nothing where
    /// everything is imported.
    fn import(
        &self,
        port: u32,
        namespace: &str,
        fits: impl Fn(&str) -> bool,
    ) -> Result<Option<&'m Text>, Step> {
        let Some(listener) = self.listener(port)? else { return Ok(None) };
        let lines = || listener.hosts.iter().filter_map(|h| Some((h, h.split_once('/')?)));
        let covers = |ns: &str| match ns {
            "*" => true,
            "." => self.client.namespace == namespace,
            named => named == namespace,
        };
        let excluded = lines().find(|(_, (ns, dns))| {
            ns.strip_prefix('~').is_some_and(|ns| !ns.is_empty() && covers(ns)) && fits(dns)
        });
        if let Some((line, _)) = excluded {
            return Err(Step::new(format!("`{line}` of the Sidecar excludes it"), line.span));
        }
        let imported = lines().find(|(_, (ns, dns))| covers(ns) && fits(dns));
        imported.map(|(line, _)| Some(line)).ok_or_else(|| {
            let sidecar = self.sidecar.map_or("", |s| s.name());
            let at = listener.hosts.first().map(|h| h.span);
            let at = at.or_else(|| self.sidecar.map(In::named_at));
            Step::new(format!("no egress line of Sidecar `{sidecar}` imports it"), at)
        })
    }

    /// Whether a service that is seen is imported, and what does so: the line of the Sidecar.
    pub fn imports(
        &self,
        definition: Definition<'m>,
        host: &str,
        port: u32,
    ) -> Result<Option<&'m Text>, Step> {
        self.import(port, definition.namespace(), |dns| HostPattern(dns).matches(host))
    }

    /// What a direct call to a host finds on a port.
    pub fn sight(&self, host: &str, port: u32) -> Sight<'m> {
        self.look(host, |definition, name| self.imports(definition, name, port).map(|_| ()))
    }

    /// What a route to a host finds: a VirtualService that is imported brings its destinations with it.
    /// Source: `sidecar.go`, `collectImportedServices`.
    pub fn destination(&self, host: &str, port: u32) -> Sight<'m> {
        match self.sight(host, port) {
            Sight::Hidden(_) => self.look(host, |_, _| Ok(())),
            sight => sight,
        }
    }

    fn look(
        &self,
        host: &str,
        imported: impl Fn(Definition<'m>, &str) -> Result<(), Step>,
    ) -> Sight<'m> {
        if is_placeholder(host) {
            return Sight::Unseen;
        }
        let mut hidden = None;
        for found in defining(self.mesh(), host) {
            match self.best(found, &imported) {
                Ok(Some(definition)) => return Sight::Seen(definition, found.name.to_owned()),
                Ok(None) => {}
                Err(why) => hidden = hidden.or(Some(why)),
            }
        }
        match hidden {
            Some(why) => Sight::Hidden(why),
            None if self.is_absent(host) => Sight::Absent,
            None => Sight::Unseen,
        }
    }

    /// Of several definitions of one host that of the client's namespace is taken, then one of
    /// Kubernetes, then the closest. Source: `sidecar.go`, `selectServices`.
    fn best(
        &self,
        host: Host<'m>,
        imported: &impl Fn(Definition<'m>, &str) -> Result<(), Step>,
    ) -> Result<Option<Definition<'m>>, Step> {
        // The control plane's own cluster tells what a Service is; others only add endpoints.
        let service = host
            .services_of_mesh(self.plane)
            .min_by_key(|s| (s.cluster != self.plane, s.cluster))
            .map(Definition::Service);
        let entries = host.entries().filter(|e| e.cluster == self.plane).map(Definition::Entry);
        let mut hidden = None;
        let mut ranked: Vec<Ranked<'m>> = Vec::new();
        for definition in service.into_iter().chain(entries) {
            let namespace = definition.namespace();
            let (reach, span) = self.reach_of(definition);
            let Some(reach) = reach else {
                let text = format!(
                    "`{}` is not exported to namespace `{}`",
                    host.name, self.client.namespace
                );
                hidden = hidden.or(Some(Step::new(text, span.unwrap_or(definition.named_at()))));
                continue;
            };
            if let Err(why) = imported(definition, host.name) {
                hidden = hidden.or(Some(why));
                continue;
            }
            let foreign = namespace != self.client.namespace;
            ranked.push((
                (foreign, !definition.is_service(), reach, namespace.to_owned()),
                definition,
            ));
        }
        match (ranked.into_iter().min_by(|(a, _), (b, _)| a.cmp(b)), hidden) {
            (Some((_, definition)), _) => Ok(Some(definition)),
            (None, Some(why)) => Err(why),
            (None, None) => Ok(None),
        }
    }

    /// Whether nothing outside the input can define a host.
    fn is_absent(&self, host: &str) -> bool {
        let mesh = self.mesh();
        let complete = |c: &crate::clusters::Cluster| c.is_complete();
        if mesh.peers(self.plane).all(complete) {
            return true;
        }
        let Some((short, _)) = host.split_once(".svc.") else { return false };
        let Some((name, namespace)) = short.split_once('.') else { return false };
        !namespace.contains('.')
            && mesh.peers(self.plane).all(|c| mesh.service(c.id, namespace, name).is_absent())
    }

    /// The VirtualServices with this very host that the client sees on a port, in their order, each
    /// with how it gets there.
    pub fn owners(&self, host: &str, port: u32) -> Vec<(Rank, &'m In<VirtualService>)> {
        let all = self.index.exact(self.plane, host);
        self.visible(all.copied(), port)
    }

    /// Those that are for the clients of other namespaces alone.
    pub fn owners_elsewhere(&self, host: &str) -> impl Iterator<Item = &'m In<VirtualService>> {
        let own = self.client.namespace;
        self.index.exact(self.plane, host).copied().filter(|s| !s.is_for_clients_in(own))
    }

    /// The VirtualServices with a wildcard that covers a host, the longest first, then in their order.
    pub fn covering(&self, host: &str, port: u32) -> Vec<(Rank, &'m In<VirtualService>)> {
        let all = self.index.wildcards(self.plane);
        let fitting = all.filter(|(pattern, _)| HostPattern(pattern).matches(host));
        let mut found: Vec<_> = fitting
            .filter_map(|(pattern, service)| {
                let (rank, service) = self.visible([*service].into_iter(), port).pop()?;
                Some((pattern, rank, service))
            })
            .collect();
        found.sort_by_key(|(pattern, rank, _)| (std::cmp::Reverse(pattern.len()), *rank));
        found.into_iter().map(|(_, rank, service)| (rank, service)).collect()
    }

    /// In which order two VirtualServices were created.
    pub fn older(&self, a: &In<VirtualService>, b: &In<VirtualService>) -> Ordering {
        self.index.older(a, b)
    }

    fn visible(
        &self,
        services: impl Iterator<Item = &'m In<VirtualService>>,
        port: u32,
    ) -> Vec<(Rank, &'m In<VirtualService>)> {
        let default = self.default_export_of_virtual_services();
        let own = self.client.namespace;
        let mut found: Vec<_> = services
            .filter(|service| service.is_for_clients_in(own))
            .filter_map(|service| {
                let to: Vec<&str> = service.export_to.iter().map(|t| t.as_str()).collect();
                let reach = reach(&to, default, &service.namespace, own)?;
                let is_own = service.attachment.is_some() && service.namespace == own;
                let hosts = || service.hosts.iter().map(|h| fqdn(h, &service.namespace));
                let fits = |dns: &str| hosts().any(|host| overlap(dns, &host));
                self.import(port, &service.namespace, fits)
                    .ok()
                    .map(|_| ((reach, !is_own), service))
            })
            .collect();
        found.sort_by_key(|(rank, _)| *rank);
        found.dedup_by(|(_, a), (_, b)| a.is_one_with(b));
        found
    }

    /// Whether requests to hosts nobody knows go out unchanged, and what says so.
    pub fn lets_unknown_out(&self) -> (bool, Step) {
        let known = |mode: &Text, whose: &str| {
            (
                mode.as_str() == "ALLOW_ANY",
                Step::new(format!("{whose} `outboundTrafficPolicy` is `{mode}`"), mode.span),
            )
        };
        if let Some(own) = self.sidecar.and_then(|s| s.outbound_traffic_policy.as_ref()) {
            let closed = || {
                (
                    false,
                    Step::new(
                        "the Sidecar's `outboundTrafficPolicy` lets nothing else out",
                        own.span,
                    ),
                )
            };
            return own.mode.as_ref().map_or_else(closed, |mode| known(mode, "the Sidecar's"));
        }
        let configs = &self.mesh().cluster(self.plane).facts.mesh_config;
        let told = configs.iter().find_map(|c| c.outbound_traffic_policy.mode.as_ref());
        let open = || {
            (true, Step::new("`outboundTrafficPolicy` is `ALLOW_ANY` where nothing is told", None))
        };
        told.map_or_else(open, |mode| known(mode, "the mesh's"))
    }
}

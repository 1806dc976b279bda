//! Routes of the Gateway API that are attached to Services and ServiceEntries, as the VirtualServices that
//! istiod makes of them for the proxies of the mesh.
//!
//! Those of one kind, namespace, host and port of the parent become one, whose rules have one match each
//! and are sorted by how special that is. Routes that are attached to gateways are for these alone.
//! Source: `pilot/pkg/config/kube/gateway/route_collections.go`, `mergeHTTPRoutes`; `conversion.go`,
//! `sortHTTPRoutes`.

mod convert;
mod rank;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::convert::Conversion;
use super::{In, Mesh, Order, fqdn, value};
use crate::clusters::ClusterId;
use crate::kinds::attachment::{Attachment, Origin, Parent, is_http};
use crate::kinds::gateway_api::{Reference, Route};
use crate::kinds::networking::{HttpRoute, L4Route, VirtualService};
use crate::kinds::{Resource, is_placeholder};
use crate::source::{Spanned, Text};

/// The minor version of Istio from which on a Service may be what a route is attached to.
const SERVICES_SINCE: u32 = 18;
/// The switch of istiod without which it reads nothing of the Gateway API.
const SWITCH: &str = "PILOT_ENABLE_GATEWAY_API";

/// What becomes one VirtualService: cluster, kind and namespace of the routes, host, port of the parent, and
/// which of several it is: connections are not merged.
type Key = (ClusterId, String, String, String, Option<u32>, usize);

/// A route and where it says what it is attached to.
struct Link<'m> {
    route: &'m In<Route>,
    at: &'m Spanned<Reference>,
    parent: Parent,
}

/// A rule that istiod makes, and the position of its route among those that are merged.
struct Made {
    rule: Rule,
    origin: Origin,
    route: usize,
}

/// A rule for HTTP or for connections.
enum Rule {
    Http(Box<HttpRoute>),
    L4(L4Route),
}

impl Mesh {
    /// What istiod makes of routes that are attached to Services, if these were created in this order.
    pub fn attached(&self, order: Order) -> &[In<VirtualService>] {
        let known = match order {
            Order::Names => &self.attached,
            Order::Reversed => &self.reversed_attached,
        };
        known.get_or_init(|| {
            let all = self.links().into_iter();
            all.map(|(key, links)| merged(&key, links, order)).collect()
        })
    }

    /// Whether some route of the Gateway API is attached to a host, for whichever clients.
    pub fn has_attached(&self, plane: ClusterId, host: &str) -> bool {
        let mut all = self.attached(Order::Names).iter().filter(|made| made.cluster == plane);
        all.any(|made| made.hosts.iter().any(|own| own.as_str() == host))
    }

    /// Whether a control plane reads the Gateway API.
    fn reads_gateway_api(&self, plane: ClusterId) -> bool {
        let told = self.cluster(plane).facts.istiod_env(SWITCH);
        !told.is_some_and(|told| told.eq_ignore_ascii_case("false"))
            && !self.is_before(plane, SERVICES_SINCE)
    }

    /// Routes by what they become.
    fn links(&self) -> BTreeMap<Key, Vec<Link<'_>>> {
        let mut found: BTreeMap<Key, Vec<Link<'_>>> = BTreeMap::new();
        let mut connections = 0;
        let kinds = ["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"];
        for route in &self.api_routes {
            let kind = route.meta.kind.as_str();
            if !kinds.contains(&kind) || !self.reads_gateway_api(route.cluster) {
                continue;
            }
            for at in &route.parent_refs {
                let Some(parent) = parent(route, at) else { continue };
                let port = at.port.as_ref().map(|port| port.value);
                for host in self.hosts_of(&parent, route.cluster) {
                    // A wildcard is no host of the registry to them. Source: `route.go`,
                    // `separateVSHostsAndServices`.
                    if host.starts_with('*') && is_http(kind) {
                        continue;
                    }
                    connections += usize::from(!is_http(kind));
                    let nth = if is_http(kind) { 0 } else { connections };
                    let own = (kind.to_owned(), route.namespace.clone());
                    let key = (route.cluster, own.0, own.1, host, port, nth);
                    let parent = parent.clone();
                    found.entry(key).or_default().push(Link { route, at, parent });
                }
            }
        }
        found
    }

    /// The full names of what a route is attached to.
    fn hosts_of(&self, parent: &Parent, plane: ClusterId) -> Vec<String> {
        if parent.is_service {
            return vec![fqdn(&parent.name, &parent.namespace)];
        }
        let mut entries = self.service_entries.of_namespace(plane, &parent.namespace);
        let entry = entries.find(|e| e.name() == parent.name);
        let hosts = entry.into_iter().flat_map(|entry| &entry.hosts);
        hosts.map(|host| host.to_ascii_lowercase()).collect()
    }
}

/// What a route is attached to, where that is no gateway. The group has to be told: its default is that of
/// the Gateway API. Source: `conversion.go`, `toInternalParentReference`.
fn parent(route: &In<Route>, at: &Reference) -> Option<Parent> {
    let is_service = match at.parent() {
        ("", "Service") => true,
        ("networking.istio.io", "ServiceEntry") => false,
        _ => return None,
    };
    let name = value(at.name.as_ref()).filter(|name| !name.is_empty())?;
    let namespace = value(at.namespace.as_ref()).unwrap_or(&route.namespace);
    if [name, namespace].into_iter().any(is_placeholder) {
        return None;
    }
    let (namespace, name) = (namespace.to_owned(), name.to_ascii_lowercase());
    Some(Parent { is_service, namespace, name })
}

/// The VirtualService that istiod makes of some routes.
fn merged(key: &Key, mut links: Vec<Link<'_>>, order: Order) -> In<VirtualService> {
    let (cluster, _, namespace, host, port, _) = key;
    links.sort_by(|a, b| order.of(a.route.name().cmp(b.route.name())));
    links.dedup_by(|a, b| a.route.is_same_text(b.route));
    let mut open = twice(&links);
    links.dedup_by(|a, b| a.route.name() == b.route.name());
    let mut made = Vec::new();
    for (position, link) in links.iter().enumerate() {
        let of = Conversion { route: link.route, port: link.at.port.as_ref(), host };
        match of.rules() {
            Ok(rules) => {
                let rules = rules.into_iter();
                made.extend(rules.map(|(rule, origin)| Made { rule, origin, route: position }));
            }
            Err(why) => open = open.or(Some(why)),
        }
    }
    let is_tied = rank::sort(&mut made);
    let first = &links[0];
    let at = first.at.name.as_ref().map_or(first.at.span, |name| name.span);
    let mut spec =
        VirtualService { hosts: vec![Text::new(host.clone(), at)], ..Default::default() };
    let mut rules = Vec::new();
    let is_tls = first.route.meta.kind.as_str() == "TLSRoute";
    for Made { rule, origin, .. } in made {
        rules.push(origin);
        match rule {
            Rule::Http(rule) => spec.http.push(*rule),
            Rule::L4(rule) if is_tls => spec.tls.push(rule),
            Rule::L4(rule) => spec.tcp.push(rule),
        }
    }
    let number = port.map_or_else(String::new, |port| format!("{port}~"));
    spec.attachment = Some(Box::new(Attachment {
        kind: first.route.meta.kind.value.clone(),
        names: links.iter().map(|link| link.route.name().to_owned()).collect(),
        key: format!("{namespace}~{number}{host}"),
        parent: first.parent.clone(),
        rules,
        open,
        is_tied,
    }));
    let meta = first.route.meta.clone();
    In {
        cluster: *cluster,
        namespace: namespace.clone(),
        resource: Arc::new(Resource { meta, spec }),
    }
}

/// Why nobody can tell which texts count: two are of one route, of which a cluster has one at a time.
fn twice(links: &[Link<'_>]) -> Option<Text> {
    let pair = links.windows(2).find(|pair| pair[0].route.name() == pair[1].route.name())?;
    let (route, other) = (pair[0].route, pair[1].route);
    let text = format!(
        "several texts are {} `{}`, and only one of them is applied",
        route.meta.kind,
        route.name()
    );
    Some(Text::new(text, other.named_at()))
}

impl In<VirtualService> {
    /// Whether it is made of several routes, so that they have the host, and not it.
    pub fn is_several(&self) -> bool {
        self.attachment.as_ref().is_some_and(|made| made.names.len() > 1)
    }

    /// ``VirtualService `cart` ``, or the routes of the Gateway API that it is made of.
    pub fn called(&self) -> String {
        match &self.attachment {
            None => format!("VirtualService `{}`", self.name()),
            Some(made) if made.names.len() == 1 => format!("{} `{}`", made.kind, made.names[0]),
            Some(made) => {
                let names = super::list(made.names.iter().map(String::as_str));
                format!("{}s {names}", made.kind)
            }
        }
    }

    /// Whether both are one VirtualService for the control plane that reads them: the same text, and made
    /// of it for the same.
    pub fn is_one_with(&self, other: &Self) -> bool {
        let key =
            |of: &Self| of.attachment.as_ref().map(|made| (made.kind.clone(), made.key.clone()));
        self.is_same_text(other) && key(self) == key(other)
    }

    /// Whether istiod gives it to clients of a namespace. One that is made of routes for HTTP is for all
    /// where these stand beside their parent, and else for their own namespace alone. Source: `route.go`,
    /// `buildSidecarVirtualHostsForVirtualService`.
    pub fn is_for_clients_in(&self, namespace: &str) -> bool {
        self.attachment.as_ref().is_none_or(|made| {
            !made.is_http()
                || self.namespace == namespace
                || self.namespace == made.parent.namespace
        })
    }
}

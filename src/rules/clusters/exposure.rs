//! How clusters reach the istiod that serves them, and whether they run another of their own.

use std::collections::{BTreeMap, BTreeSet};

use super::installs::{
    control_plane, control_planes, hosted, injects_itself, is_open, is_sure, served, told, whole,
};
use super::revisions::revisions;
use crate::clusters::{Cluster, ClusterId, Installed};
use crate::finding::{Findings, Severity};
use crate::kinds::core::{Service, ServicePort};
use crate::kinds::is_placeholder;
use crate::kinds::networking::{Gateway, RouteDestination, Server};
use crate::mesh::{In, Mesh, Named, Route, list, value};
use crate::rules::SHOWN;
use crate::source::{Span, Spanned, Text};
use crate::yaml::IntOrString;

/// Where proxies ask istiod.
const XDS: u32 = 15012;
/// Where API servers ask the injector.
const WEBHOOK: u32 = 15017;
/// Older versions ran an istiod beside the address of another.
const SINCE: (u32, u32) = (1, 10);

/// Whether a Service leads from outside of its cluster to istiod itself.
fn leads_to_istiod(service: &In<Service>) -> bool {
    let selector = |key: &str| service.selector.as_ref().and_then(|s| value(s.get(key)));
    let of_istiod = selector("app") == Some("istiod") || selector("istio") == Some("pilot");
    let outward = ["LoadBalancer", "NodePort"].contains(&service.type_name());
    of_istiod && (outward || !service.external_ips.is_empty())
}

/// Whether a Service has a port of istiod's, by its own number or the pod's.
fn has_port(service: &Service, port: u32) -> bool {
    let leads_there = |p: &ServicePort| match p.target_port.as_ref().map(|target| &target.value) {
        Some(IntOrString::Int(number)) => *number == i64::from(port),
        Some(IntOrString::Str(_)) => true,
        None => false,
    };
    let is_it = |p: &ServicePort| p.port.as_ref().is_some_and(|p| u32::from(p.value) == port);
    service.ports.iter().any(|p| is_it(p) || leads_there(p))
}

/// The name of the Service and the namespace that a route to some istiod names.
fn istiod_of<'r>(route: &'r Route<'_>) -> Option<(&'r str, &'r str)> {
    let (name, rest) = route.host.split_once('.')?;
    let namespace = rest.strip_suffix(".svc.cluster.local").or(rest.strip_suffix(".svc"))?;
    (name == "istiod" || name.starts_with("istiod-")).then_some((name, namespace))
}

/// Whether a route takes requests at other ports than istiod's own, which Gateways have to open.
fn takes_other_ports(route: &Route<'_>) -> bool {
    let leads_here = |all: &[Spanned<RouteDestination>]| {
        let mut told = all.iter().filter_map(|d| d.destination.as_ref());
        told.any(|d| d.span == route.destination.span)
    };
    let service = route.service;
    let http = service.http.iter().filter(|rule| leads_here(&rule.route));
    let http = http.map(|rule| rule.matches.iter().map(|m| m.port.as_ref()).collect::<Vec<_>>());
    let l4 = service.tls.iter().chain(&service.tcp).filter(|rule| leads_here(&rule.route));
    let l4 = l4.map(|rule| rule.matches.iter().map(|m| m.port.as_ref()).collect::<Vec<_>>());
    let is_own = |port: &Spanned<u32>| [XDS, WEBHOOK].contains(&port.value);
    let is_other = |ports: Vec<Option<&Spanned<u32>>>| {
        ports.is_empty() || ports.into_iter().any(|port| !port.is_some_and(is_own))
    };
    http.chain(l4).any(is_other)
}

/// What opens a control plane to other clusters, as far as the input shows.
struct Opened<'m> {
    mesh: &'m Mesh,
    /// The cluster in which it runs.
    plane: &'m Cluster,
}

impl<'m> Opened<'m> {
    fn gateways(&self) -> impl Iterator<Item = &'m In<Gateway>> {
        self.mesh.gateways.of_cluster(self.plane.id).iter()
    }

    /// Whether a Gateway takes requests at a port.
    fn at(&self, port: u32) -> bool {
        let here = self.mesh.api_gateways.of_cluster(self.plane.id).iter();
        let mut of_api = here.flat_map(|g| &g.listeners).filter_map(|l| l.port.as_ref());
        self.gateways().any(|g| g.servers.iter().any(|s| s.port_number() == port))
            || of_api.any(|number| number.value == port)
    }

    /// Services that lead from outside to istiod itself.
    fn services(&self) -> impl Iterator<Item = &'m In<Service>> {
        let here = self.mesh.services.of_cluster(self.plane.id).iter();
        here.filter(|s| leads_to_istiod(s))
    }

    /// Whether such a Service has a port of istiod's.
    fn by_service(&self, port: u32) -> bool {
        self.services().any(|s| has_port(s, port))
    }

    /// Whether it is opened by a route from another port.
    fn otherwise(&self) -> bool {
        let here = |cluster: ClusterId| cluster == self.plane.id;
        let routes = self.mesh.routes();
        let mut routes = routes.iter().filter(|r| here(r.service.cluster));
        let to_istiod = |text: &Text| text.starts_with("istiod");
        let mut of_api = self.mesh.api_routes.iter().filter(|r| here(r.cluster));
        routes.any(|r| istiod_of(r).is_some() && takes_other_ports(r))
            || of_api.any(|route| {
                let mut backends = route.rules.iter().flat_map(|rule| &rule.backend_refs);
                backends.any(|b| b.value.name.as_ref().is_some_and(to_istiod))
            })
    }

    /// What shows that the Gateways or Services before the control plane are in the input, and what it is to
    /// have.
    fn sign(&self) -> Option<(Span, String)> {
        let name = &self.plane.name;
        let is_opened = self.at(XDS) || self.at(WEBHOOK);
        let of_istiod = |s: &&In<Service>| {
            (has_port(s, XDS) || has_port(s, WEBHOOK)) && !self.mesh.is_assumed(&s.meta)
        };
        if let Some(service) = self.services().find(of_istiod).filter(|_| !is_opened) {
            let lacks = format!("Service `{}` of `{name}` has no port", service.name());
            return Some((service.named_at(), lacks));
        }
        Some((self.gateway()?.named_at(), format!("no Gateway of `{name}` has a server on")))
    }

    fn gateway(&self) -> Option<&'m In<Gateway>> {
        let system = self.plane.facts.system_namespace();
        let is_sign = |g: &&In<Gateway>| {
            let hands_on = g.servers.iter().any(Server::is_for_other_networks);
            !self.mesh.is_assumed(&g.meta)
                && (hands_on || g.namespace == system || g.servers.iter().any(is_of_istiod))
        };
        self.gateways().find(is_sign)
    }
}

fn is_of_istiod(server: &Server) -> bool {
    [XDS, WEBHOOK].contains(&server.port_number())
}

/// Where a remote cluster looks for its control plane.
fn address(remote: &Cluster) -> Option<&Text> {
    let told = told(remote, |v| v.global.remote_pilot_address.as_ref());
    told.filter(|address| !address.is_empty()).or_else(|| remote.facts.discovery_addresses().next())
}

/// Whether the injector of a remote cluster is asked at its own port at the control plane's address.
fn asks_injector(remote: &Cluster) -> bool {
    let url = told(remote, |v| v.istiod_remote.injection_url.as_ref()).filter(|u| !u.is_empty());
    !injects_itself(remote)
        && !is_open(remote, "injectionURL")
        && match url {
            Some(url) => url.contains(":15017"),
            None => told(remote, |v| v.global.remote_pilot_address.as_ref()).is_some(),
        }
}

/// Clusters that ask an istiod in another one, by that one.
fn asking_from_afar(mesh: &Mesh) -> BTreeMap<ClusterId, Vec<&Cluster>> {
    let mut by_plane: BTreeMap<ClusterId, Vec<&Cluster>> = BTreeMap::new();
    for (remote, plane) in served(mesh) {
        by_plane.entry(plane.hosted_in.unwrap_or(plane.id)).or_default().push(remote);
    }
    for (config, host) in hosted(mesh) {
        by_plane.entry(host.id).or_default().push(config);
    }
    by_plane
}

pub(super) fn istiod_not_exposed(mesh: &Mesh, found: &mut Findings) {
    for (plane, remotes) in asking_from_afar(mesh) {
        let plane = mesh.cluster(plane);
        let opened = Opened { mesh, plane };
        let sign = opened.sign();
        if sign.is_none() && !plane.is_complete() || mesh.may_bring(plane.id, "Gateway") {
            continue;
        }
        let asking: Vec<&Cluster> =
            remotes.iter().copied().filter(|remote| asks_injector(remote)).collect();
        let is_open = |port| opened.at(port) || opened.by_service(port);
        let (port, remotes, effect) = if !is_open(XDS) && !opened.otherwise() {
            (XDS, &remotes, "proxies there get neither configuration nor certificates")
        } else if is_open(XDS)
            && !is_open(WEBHOOK)
            && !asking.is_empty()
            && (opened.at(XDS) || !opened.otherwise())
        {
            (WEBHOOK, &asking, "API servers there cannot call the injector: pods get no sidecar")
        } else {
            continue;
        };
        let default = || {
            let at = control_plane(plane)?.at();
            Some((at, format!("no Gateway of `{}` has a server on", plane.name)))
        };
        let Some((at, lacks)) = sign.or_else(default) else { continue };
        let names = list(remotes.iter().map(|c| c.name.as_str()));
        let finding = found.say(
            format!(
                "{names} cannot reach istiod of `{}`: nothing takes port {port} there",
                plane.name
            ),
            at,
            format!("{lacks} {port}: {effect}"),
        );
        for remote in remotes.iter().take(SHOWN) {
            if let Some(address) = address(remote) {
                finding.also(address.span, format!("where `{}` looks for it", remote.name));
            }
        }
        finding.help(format!(
            "{}a Gateway with TLS `PASSTHROUGH` servers on {XDS} and {WEBHOOK}, and a VirtualService from them \
             to `istiod.{}.svc.cluster.local`, ports {XDS} and 443",
            if opened.by_service(XDS) || opened.by_service(WEBHOOK) {
                "add the port to the Service, or "
            } else {
                "add "
            },
            remotes[0].hosted_namespace().unwrap_or(plane.facts.system_namespace())
        ));
        if !plane.is_complete() {
            finding.milder(Severity::Warning, ", unless it is opened by hand");
        }
    }
}

pub(super) fn exposed_istiod_revision_mismatch(mesh: &Mesh, found: &mut Findings) {
    let mut said: BTreeSet<Span> = BTreeSet::new();
    let mut by_rule: BTreeMap<Span, Vec<Route<'_>>> = BTreeMap::new();
    for route in mesh.routes() {
        let service = route.service;
        let is_sure = !mesh.is_assumed(&service.meta) && mesh.is_read_in(service.cluster);
        if is_sure && leads_nowhere(mesh, &route).is_some() && said.insert(route.host_at()) {
            by_rule.entry(service.meta.span).or_default().push(route);
        }
    }
    for routes in by_rule.into_values() {
        let [route, more @ ..] = routes.as_slice() else { continue };
        let cluster = mesh.cluster(route.service.cluster);
        let Some((name, known)) = leads_nowhere(mesh, route) else { continue };
        let known = list(known.iter().map(String::as_str));
        let finding = found.say(
            format!(
                "VirtualService `{}` exposes Service `{name}` to other clusters, and `{}` has none of that name",
                route.service.name(),
                cluster.name
            ),
            route.host_at(),
            "leads nowhere: proxies and API servers of other clusters cannot reach istiod",
        );
        for other in more.iter().take(SHOWN) {
            finding.also(other.host_at(), "nor for this");
        }
        if let Some(plane) = control_plane(cluster) {
            finding.also(plane.at(), format!("here is {known}"));
        }
        finding.help(format!("send it to {known}, and move it before a revision is removed"));
        if !cluster.is_complete() {
            finding.milder(Severity::Warning, ", unless it is installed by hand");
        }
    }
}

/// The istiod that a route names and that its cluster does not have, and the Services of those it has.
fn leads_nowhere<'r>(mesh: &Mesh, route: &'r Route<'_>) -> Option<(&'r str, Vec<String>)> {
    let (name, namespace) = istiod_of(route)?;
    let cluster = mesh.cluster(route.service.cluster);
    let revision = match name.strip_prefix("istiod-") {
        // Those of tags, and of a remote cluster's injector.
        Some(rest) if rest.starts_with("revision-tag-") || rest.ends_with("remote") => return None,
        Some(revision) => revision,
        None => "default",
    };
    let host = route.destination.host.as_ref()?;
    // What is certainly not there is said of the route.
    let is_unseen = matches!(mesh.named_host(host, route.service, None), Named::Unseen);
    if namespace != cluster.facts.system_namespace()
        || !route.service.is_for_gateways()
        || !is_unseen
    {
        return None;
    }
    let known = revisions(mesh, cluster)?;
    let service = |revision: &String| match revision.as_str() {
        "default" => "istiod".to_owned(),
        revision => format!("istiod-{revision}"),
    };
    (!known.contains(revision)).then(|| (name, known.iter().map(service).collect()))
}

/// The address of another control plane in a text that installs a whole one.
fn address_beside_istiod<'m>(mesh: &Mesh, cluster: &'m Cluster) -> Option<&'m Text> {
    let is_past = cluster.runs().is_some_and(|(version, _)| version < SINCE);
    let installs_all = |install: &&Installed| {
        let values = install.values();
        let is = |flag: &Option<Spanned<bool>>, told: bool| {
            flag.as_ref().is_some_and(|flag| flag.value == told)
        };
        let remote = &values.istiod_remote;
        install.is_whole
            && is_sure(mesh, install)
            && install.profile().is_none_or(|p| {
                !["remote", "external", "empty"].contains(&p.as_str()) && !is_placeholder(p)
            })
            && !is(&remote.enabled, true)
            && !is(&remote.enabled_local_injector_istiod, true)
            && !is(&values.pilot.enabled, false)
    };
    let mut whole = control_planes(cluster).filter(installs_all);
    let address = whole.find_map(|i| i.values().global.remote_pilot_address.as_ref());
    let is_told = |a: &&Text| !a.is_empty() && !is_placeholder(a);
    address.filter(is_told).filter(|_| !is_past && !is_open(cluster, "istiodRemote"))
}

pub(super) fn remote_runs_own_istiod(mesh: &Mesh, found: &mut Findings) {
    const HELP: &str = "choose one: `profile: remote` with `istiodRemote.injectionPath` for a cluster that another \
                        serves, or an istiod of its own without `global.remotePilotAddress`";
    let mut said: BTreeSet<Span> = BTreeSet::new();
    for cluster in mesh.clusters() {
        let Some(address) = address_beside_istiod(mesh, cluster) else { continue };
        if said.insert(address.span) {
            found
                .say(
                    format!(
                        "`{}` gets an istiod of its own and the address of another",
                        cluster.name
                    ),
                    address.span,
                    "the chart makes the Service `istiod` for both: proxies ask either of them",
                )
                .help(HELP);
        }
    }
    for cluster in remotes_by_profile(mesh) {
        let Some(plane) = control_plane(cluster) else { continue };
        let revision = plane.revision().map_or("default", |told| told.as_str());
        let system = cluster.facts.system_namespace();
        let runs = mesh.workloads.of_namespace(cluster.id, system).find(|workload| {
            let containers = &workload.template.spec.containers;
            let istiod = containers.iter().find(|c| c.name == "discovery");
            let env = istiod.and_then(|c| c.env.iter().rev().find(|e| e.name == "REVISION"));
            let own = env.and_then(|e| value(e.value.as_ref())).unwrap_or("default");
            istiod.is_some() && own == revision && !mesh.is_assumed(&workload.meta)
        });
        let Some(istiod) = runs.filter(|istiod| said.insert(istiod.meta.span)) else { continue };
        let at = plane.profile().map_or(plane.at(), |profile| profile.span);
        found
            .say(
                format!(
                    "`{}` is served from elsewhere, and runs an istiod of its own",
                    cluster.name
                ),
                istiod.named_at(),
                "both write the injector's certificate and the root certificate of each namespace",
            )
            .also(at, "installed as a cluster that another serves")
            .help(HELP);
    }
}

/// Clusters that whole texts install as remote, and where no istiod is to inject sidecars.
fn remotes_by_profile(mesh: &Mesh) -> impl Iterator<Item = &Cluster> {
    let is_remote = |i: &Installed| i.profile().is_some_and(|p| p.as_str() == "remote");
    let told = mesh.clusters().iter().filter(|c| whole(mesh, c).is_some());
    told.filter(move |c| control_planes(c).all(is_remote) && !injects_itself(c))
}

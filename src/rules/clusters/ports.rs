//! Have the Service by which a cluster finds its istiod, and its endpoints, the ports that are asked at?

use std::collections::{BTreeMap, BTreeSet};

use super::installs::{injects_itself, is_open, told};
use crate::clusters::{Cluster, Installed};
use crate::finding::Findings;
use crate::kinds::core::{EndpointPort, EndpointSlice, Endpoints, Service};
use crate::kinds::{Meta, is_placeholder};
use crate::mesh::{In, Lookup, Mesh, list, value};
use crate::source::{Span, Spanned, Text};
use crate::yaml::Entries;

/// Where proxies ask istiod.
const XDS: u16 = 15012;
/// Where API servers ask webhooks that name no port.
const HTTPS: u16 = 443;
/// Where istiod itself, or a gateway before it, serves webhooks.
const HOOK: u16 = 15017;

/// A Service by which proxies or the API server of a cluster find istiod.
struct Found<'m> {
    cluster: &'m Cluster,
    service: &'m In<Service>,
}

/// The Services of that sort whose text is all there is of them: not those that a chart makes as well, as
/// ports that are applied twice add up.
fn istiods(mesh: &Mesh) -> impl Iterator<Item = Found<'_>> {
    let all = mesh.services.iter();
    let all = all.map(|service| Found { cluster: mesh.cluster(service.cluster), service });
    all.filter(|it| {
        let is_told = it.service.ports.iter().all(|p| p.port.is_some());
        it.cluster.role().is_some()
            && it.service.namespace == it.cluster.facts.system_namespace()
            && (it.service.name() == "istiod" || it.is_for_proxies_alone())
            && it.service.type_name() != "ExternalName"
            && !it.service.ports.is_empty()
            && is_told
            && !it.service.meta.is_unread("ports")
            && !mesh.is_assumed(&it.service.meta)
            && !it.cluster.facts.installs.iter().any(makes_istiod)
    })
}

/// Whether a chart makes a Service `istiod`: beside a control plane, and for the address of another.
fn makes_istiod(install: &Installed) -> bool {
    let values = install.values();
    let is_remote = install.profile().is_some_and(|p| {
        matches!(p.as_str(), "remote" | "external" | "empty") || is_placeholder(p)
    });
    install.is_control_plane() && (!is_remote || values.global.remote_pilot_address.is_some())
}

impl Found<'_> {
    /// The Service of another cluster's istiod, beside one of its own that injects.
    fn is_for_proxies_alone(&self) -> bool {
        self.service.name() == "istiod-remote"
    }

    fn has(&self, port: u16) -> bool {
        self.service.ports.iter().any(|p| p.port.as_ref().is_some_and(|p| p.value == port))
    }

    /// Whether proxies of the cluster look for istiod here.
    fn is_asked_by_proxies(&self, mesh: &Mesh) -> bool {
        let remote = |other: &In<Service>| {
            (other.cluster, other.name()) == (self.cluster.id, "istiod-remote")
        };
        let has_other = injects_itself(self.cluster) || mesh.services.iter().any(remote);
        let by = match mesh.config_cluster(self.cluster.id) {
            Lookup::Found(by) => mesh.cluster(by),
            _ => self.cluster,
        };
        let mut addresses =
            [self.cluster, by].into_iter().flat_map(|c| c.facts.discovery_addresses());
        let here = format!("{}.{}", self.service.name(), self.service.namespace);
        let is_here = |address: &str| {
            let rest = address.strip_suffix(":15012").and_then(|host| host.strip_prefix(&here));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(".svc"))
        };
        // A client of a headless Service has the address of a pod, whatever the Service's ports.
        self.service.type_name() != "headless"
            && (self.is_for_proxies_alone() || !has_other)
            && addresses.all(|address| is_here(address))
            && !is_open(self.cluster, "discoveryAddress")
    }

    /// The ports at which the API server asks webhooks here.
    fn asked_for_webhooks(&self, mesh: &Mesh) -> Vec<u16> {
        let url = |cluster| told(cluster, |v| v.istiod_remote.injection_url.as_ref());
        let away = url(self.cluster).is_some_and(|url| !url.is_empty());
        if self.is_for_proxies_alone() || away || is_open(self.cluster, "injectionURL") {
            return Vec::new();
        }
        let here = mesh.webhooks.of_cluster(self.cluster.id).iter();
        let hooks = here.flat_map(|w| w.webhooks.iter());
        let of_istio = hooks.filter(|hook| {
            value(hook.name.as_ref()).is_some_and(|name| name.ends_with("istio.io"))
        });
        let mut asked: Vec<u16> = Vec::new();
        let mut is_seen = false;
        for hook in of_istio {
            is_seen = true;
            let Some(service) = &hook.client_config.service else { continue };
            if value(service.name.as_ref()) == Some(self.service.name())
                && value(service.namespace.as_ref()) == Some(&*self.service.namespace)
            {
                asked.push(service.port.as_ref().map_or(HTTPS, |port| port.value));
            }
        }
        if !is_seen {
            asked.push(HTTPS);
        }
        asked
    }
}

/// What does not work where one or both of the ports lead nowhere.
fn effect(xds: bool, hook: bool) -> &'static str {
    match (xds, hook) {
        (true, false) => "proxies ask there for configuration and certificates, and get neither",
        (true, true) => "proxies get neither configuration nor certificates, and pods no sidecar",
        _ => "the API server asks there for sidecars, and to have rules checked",
    }
}

pub(super) fn istiod_service_without_port(mesh: &Mesh, found: &mut Findings) {
    let mut by_text: BTreeMap<Span, Vec<(Found<'_>, Option<u16>, Option<u16>)>> = BTreeMap::new();
    for it in istiods(mesh) {
        let xds = (!it.has(XDS) && it.is_asked_by_proxies(mesh)).then_some(XDS);
        let hook = it.asked_for_webhooks(mesh).into_iter().find(|port| !it.has(*port));
        if xds.or(hook).is_some() {
            by_text.entry(it.service.meta.span).or_default().push((it, xds, hook));
        }
    }
    for alike in by_text.into_values() {
        let Some((it, xds, hook)) = alike.first() else { continue };
        let names = list(alike.iter().map(|(it, ..)| it.cluster.name.as_str()));
        let name = it.service.name();
        let ports: Vec<String> =
            xds.iter().chain(hook).map(|port| format!("port {port}")).collect();
        let finding = found.say(
            format!("Service `{name}` of {names} has no {}", ports.join(" and no ")),
            it.service.named_at(),
            effect(xds.is_some(), hook.is_some()),
        );
        let mut lines: Vec<String> = Vec::new();
        lines.extend(xds.map(|port| format!("`{{name: tcp-istiod, port: {port}}}`")));
        lines.extend(
            hook.map(|port| format!("`{{name: tcp-webhook, port: {port}, targetPort: {HOOK}}}`")),
        );
        finding.help(format!("add to its ports {}", lines.join(" and ")));
    }
}

/// The endpoints of a Service, where all of them are written out.
struct Written<'m> {
    /// The first that is written, and where it is called so.
    meta: &'m Meta,
    at: Span,
    /// The names of their ports.
    names: BTreeSet<&'m str>,
}

fn written<'m>(mesh: &'m Mesh, of: &Found<'m>) -> Option<Written<'m>> {
    let (cluster, namespace) = (of.cluster.id, &of.service.namespace);
    let is_slice = |slice: &&In<EndpointSlice>| {
        let label = slice.meta.label("kubernetes.io/service-name");
        (slice.cluster, &slice.namespace) == (cluster, namespace)
            && value(label) == Some(of.service.name())
    };
    let is_old = |old: &&In<Endpoints>| {
        (old.cluster, &old.namespace, old.name()) == (cluster, namespace, of.service.name())
    };
    let slices = mesh.endpoint_slices.iter().filter(is_slice).map(|slice| {
        let ports: Vec<_> = slice.ports.iter().filter(|_| !slice.endpoints.is_empty()).collect();
        (&slice.meta, slice.named_at(), ports)
    });
    let olds = mesh.endpoints.iter().filter(is_old).map(|old| {
        let subsets = old.subsets.iter().filter(|subset| !subset.addresses.is_empty());
        (&old.meta, old.named_at(), subsets.flat_map(|subset| &subset.ports).collect())
    });
    let all: Vec<(&Meta, Span, Vec<&EndpointPort>)> = slices.chain(olds).collect();
    let is_open = |port: &&EndpointPort| value(port.name.as_ref()).is_some_and(is_placeholder);
    let is_known = |(meta, _, ports): &(&Meta, Span, Vec<&EndpointPort>)| {
        let is_read = meta.unread.is_empty() && !mesh.is_assumed(meta);
        is_read && !ports.is_empty() && !ports.iter().any(is_open)
    };
    let may_have_more = ["EndpointSlice", "Endpoints"]
        .into_iter()
        .any(|kind| mesh.may_have_more(cluster, kind, namespace));
    let (meta, at, _) = *all.first().filter(|_| !may_have_more && all.iter().all(is_known))?;
    let ports = all.iter().flat_map(|(.., ports)| ports);
    let names = ports.map(|port| value(port.name.as_ref()).unwrap_or_default()).collect();
    Some(Written { meta, at, names })
}

impl<'m> Found<'m> {
    /// Whether its endpoints are written by hand and reached by its own ports.
    fn leads_by_name(&self) -> bool {
        let service = self.service;
        service.selector.as_ref().is_none_or(Entries::is_empty)
            && !service.meta.is_unread("selector")
            && service.type_name() != "headless"
    }

    /// The name of one of its ports, among those of these numbers, that its endpoints lack.
    fn unled(&self, ports: &[u16], written: &Written<'_>) -> Option<&'m Text> {
        let has_number = |port: &Spanned<u16>| ports.contains(&port.value);
        let asked = self.service.ports.iter().filter(|p| p.port.as_ref().is_some_and(has_number));
        let mut names = asked.filter_map(|port| port.name.as_ref());
        let lacks = |name: &&Text| !is_placeholder(name) && !written.names.contains(name.as_str());
        names.find(|name| !name.is_empty() && lacks(name))
    }
}

pub(super) fn istiod_endpoints_without_port(mesh: &Mesh, found: &mut Findings) {
    let mut said: Vec<(Span, Span)> = Vec::new();
    for it in istiods(mesh).filter(Found::leads_by_name) {
        let Some(written) = written(mesh, &it) else { continue };
        let proxies = it.is_asked_by_proxies(mesh).then_some(XDS);
        let xds = it.unled(proxies.as_slice(), &written);
        let hook = it.unled(&it.asked_for_webhooks(mesh), &written);
        let text = (written.meta.span, it.service.meta.span);
        if xds.or(hook).is_none() || said.contains(&text) {
            continue;
        }
        said.push(text);
        let ports = xds.map(|name| (name, XDS)).into_iter().chain(hook.map(|name| (name, HOOK)));
        let finding = found.say(
            format!(
                "endpoints of Service `{}` of `{}` have no port called {}",
                it.service.name(),
                it.cluster.name,
                list(ports.clone().map(|(name, _)| name.as_str()))
            ),
            written.at,
            effect(xds.is_some(), hook.is_some()),
        );
        for (name, _) in ports.clone() {
            finding.also(name.span, "leads to endpoints by this name");
        }
        let lines: Vec<String> =
            ports.map(|(name, port)| format!("`{{name: {name}, port: {port}}}`")).collect();
        finding.help(format!("give them {}", lines.join(" and ")));
    }
}

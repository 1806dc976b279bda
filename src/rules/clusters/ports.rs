//! Has the Service by which a cluster finds its istiod the ports that it is asked at?

use std::collections::BTreeMap;

use super::installs::{injects_itself, is_open, told};
use crate::clusters::{Cluster, Installed};
use crate::finding::Findings;
use crate::kinds::core::Service;
use crate::kinds::is_placeholder;
use crate::mesh::{In, Lookup, Mesh, list, value};
use crate::source::Span;

/// Where proxies ask istiod.
const XDS: u16 = 15012;
/// Where API servers ask webhooks that name no port.
const HTTPS: u16 = 443;

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

    /// The port at which the API server asks webhooks here and which the Service lacks.
    fn lacks_for_webhooks(&self, mesh: &Mesh) -> Option<u16> {
        let url = |cluster| told(cluster, |v| v.istiod_remote.injection_url.as_ref());
        let away = url(self.cluster).is_some_and(|url| !url.is_empty());
        if self.is_for_proxies_alone() || away || is_open(self.cluster, "injectionURL") {
            return None;
        }
        let here = mesh.webhooks.iter().filter(|w| w.cluster == self.cluster.id);
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
        asked.into_iter().find(|port| !self.has(*port))
    }
}

pub(super) fn istiod_service_without_port(mesh: &Mesh, found: &mut Findings) {
    let mut by_text: BTreeMap<Span, Vec<(Found<'_>, Option<u16>, Option<u16>)>> = BTreeMap::new();
    for it in istiods(mesh) {
        let xds = (!it.has(XDS) && it.is_asked_by_proxies(mesh)).then_some(XDS);
        let hook = it.lacks_for_webhooks(mesh);
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
        let effect = match (xds, hook) {
            (Some(_), None) => {
                "proxies ask there for configuration and certificates, and get neither".to_owned()
            }
            (Some(_), Some(_)) => {
                "proxies get neither configuration nor certificates, and pods no sidecar".to_owned()
            }
            _ => "the API server asks there for sidecars, and to have rules checked".to_owned(),
        };
        let finding = found.say(
            format!("Service `{name}` of {names} has no {}", ports.join(" and no ")),
            it.service.named_at(),
            effect,
        );
        let mut lines: Vec<String> = Vec::new();
        lines.extend(xds.map(|port| format!("`{{name: tcp-istiod, port: {port}}}`")));
        lines.extend(
            hook.map(|port| format!("`{{name: tcp-webhook, port: {port}, targetPort: 15017}}`")),
        );
        finding.help(format!("add to its ports {}", lines.join(" and ")));
    }
}

//! The gateways between networks: are they there, can they be reached, do they hand on?

use std::collections::{BTreeMap, BTreeSet};

use crate::clusters::Cluster;
use crate::finding::{Findings, Severity};
use crate::kinds::core::Service;
use crate::kinds::networking::{Gateway, Server};
use crate::kinds::{is_placeholder, may_be};
use crate::mesh::{
    Exposure, GATEWAY_PORT_LABEL, HostPattern, In, Mesh, NETWORK_LABEL, NETWORK_VIEW, list, value,
    without_namespace,
};
use crate::source::{Span, Text};

/// Whether some gateway is told to lead to a network, in whatever way.
fn has_gateway(mesh: &Mesh, of: &Cluster, network: &str) -> bool {
    let peers = || mesh.peers(of.id);
    let is_it = |told: Option<&Text>| told.is_some_and(|told| may_be(told, network));
    let peer = |id| mesh.same_mesh(id, of.id);
    mesh.services.iter().any(|s| peer(s.cluster) && is_it(s.meta.label(NETWORK_LABEL)))
        || mesh.api_gateways.iter().any(|g| peer(g.cluster) && is_it(g.meta.label(NETWORK_LABEL)))
        || peers().flat_map(|c| &c.facts.network_gateways).any(|told| is_it(Some(told)))
        || peers()
            .flat_map(|c| &c.facts.mesh_networks)
            .any(|(name, told)| is_it(Some(name)) && !told.gateways.is_empty())
}

pub(super) fn multi_network_without_gateway(mesh: &Mesh, found: &mut Findings) {
    for clusters in mesh.meshes() {
        let Some(first) = clusters.first() else { continue };
        let networks = mesh.networks(first.id);
        if networks.len() < 2 {
            continue;
        }
        let (with, without): (Vec<_>, Vec<_>) =
            networks.into_iter().partition(|(network, _)| has_gateway(mesh, first, network));
        let elsewhere = mesh.clusters_elsewhere(first.id).next().is_some();
        for (network, inside) in without {
            let may_come = inside.iter().any(|c| mesh.may_bring(c.id, "Service"));
            let whole = inside.iter().all(|c| c.is_complete());
            let called = mesh.services.iter().filter(|s| {
                inside.iter().any(|c| c.id == s.cluster) && mesh.may_be_called_from_afar(s)
            });
            let service = called.min_by_key(|s| (s.name(), s.cluster));
            // One that is there and says another network is told of as such.
            let misnamed = mesh.gateway_services().any(|s| {
                let is_other = s.network().is_some_and(|told| told.as_str() != network);
                is_other && inside.iter().any(|c| c.id == s.cluster)
            });
            // Gateways are often made by hand; who shows one of them means to show all.
            if elsewhere || may_come || misnamed || with.is_empty() && !whole {
                continue;
            }
            let (Some(service), Some(told)) = (service, inside[0].network()) else { continue };
            let others = list(with.iter().map(|(network, _)| *network));
            let finding = found.say(
                format!("no gateway leads to network `{network}`"),
                told.span,
                "clients of other networks call its pods at their own addresses, which they cannot reach",
            );
            finding.also(service.named_at(), "a service that other networks call");
            if !others.is_empty() {
                finding.also(
                    gateway_at(mesh, with[0].1[0]).unwrap_or(told.span),
                    "the gateway of another network",
                );
            }
            finding.help(format!(
                "install an east-west gateway in `{}` with `networkGateway: {network}`, which labels its \
                 Service `{NETWORK_LABEL}: {network}`, and a Gateway with `AUTO_PASSTHROUGH` for it",
                inside[0].name
            ));
        }
    }
}

fn gateway_at(mesh: &Mesh, cluster: &Cluster) -> Option<Span> {
    mesh.network_gateway(cluster)
}

pub(super) fn network_label_on_non_gateway(mesh: &Mesh, found: &mut Findings) {
    let mut by_label: BTreeMap<Span, Vec<&In<Service>>> = BTreeMap::new();
    for service in &mesh.services {
        let Some(label) = service.network() else { continue };
        let open = service.takes_other_networks() || service.takes_hbone();
        if !open && !service.has_unread_ports() && !mesh.is_assumed(&service.meta) {
            by_label.entry(label.span).or_default().push(service);
        }
    }
    for (at, services) in by_label {
        let first = services[0];
        let port = first.gateway_port();
        let mut names: Vec<&str> = services.iter().map(|s| s.name()).collect();
        names.dedup();
        let finding = found.say(
            format!("{} is labelled as gateway of a network and has no port {port}", list(names)),
            at,
            "makes it a gateway: older istiods send other networks there, newer ones pass it over",
        );
        for service in &services {
            finding.also(service.named_at(), format!("no port {port} here"));
        }
        finding.help(format!(
            "drop the label where the Service is no east-west gateway; where it is one, add port {port}, or \
             name its port with the label `{GATEWAY_PORT_LABEL}`"
        ));
    }
}

pub(super) fn eastwest_nodeport_unaddressable(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for service in mesh.gateway_services().filter(|s| !is_addressed(s)) {
        let Some(network) = service.network() else { continue };
        let same = |s: &&In<Service>| s.cluster == service.cluster && s.network() == Some(network);
        let others = mesh.gateway_services().filter(same).any(is_addressed);
        let peers = mesh.peers(service.cluster).flat_map(|c| &c.facts.mesh_networks);
        let mut addresses =
            peers.filter(|(name, _)| *name == *network).flat_map(|(_, n)| &n.gateways);
        let by_networks = addresses.any(|gateway| gateway.address.is_some());
        let by_gateway =
            mesh.api_gateways.iter().any(|g| g.meta.label(NETWORK_LABEL) == Some(network));
        if others
            || by_networks
            || by_gateway
            || mesh.is_assumed(&service.meta)
            || !told.insert(service.named_at())
        {
            continue;
        }
        let at = service.kind.as_ref().map_or(service.named_at(), |kind| kind.span);
        let kind = service.type_name();
        found
            .say(
                format!("the gateway `{}` of network `{network}` has no address that other networks can call", service.name()),
                at,
                format!("{kind}: istiod finds no address, and sends other networks to the pods behind it instead"),
            )
            .also(network.span, "makes it the gateway of a network")
            .help(match kind {
                "NodePort" => "say which nodes take its requests with the annotation \
                               `traffic.istio.io/nodeSelector: '{\"key\": \"value\"}'` (`'{}'` for all), or make it a \
                               LoadBalancer",
                _ => "make it `type: LoadBalancer`, or tell its address in `externalIPs`",
            });
    }
}

/// Whether istiod finds an address for a gateway, or may find one.
fn is_addressed(service: &In<Service>) -> bool {
    let kind = service.type_name();
    let by_nodes = service.meta.annotation("traffic.istio.io/nodeSelector").is_some();
    match kind {
        "NodePort" => by_nodes || !service.external_ips.is_empty(),
        "ClusterIP" | "headless" => {
            !service.external_ips.is_empty() || service.meta.is_unread("spec.externalIPs")
        }
        _ => true,
    }
}

/// The gateways that take mTLS of other networks, each text once.
pub(super) fn passthrough_services(mesh: &Mesh) -> impl Iterator<Item = &In<Service>> {
    let mut told = BTreeSet::new();
    let once = move |s: &&In<Service>| {
        told.insert((s.meta.span, s.meta.layers.clone(), s.namespace.clone()))
    };
    mesh.gateway_services().filter(|s| s.takes_other_networks()).filter(once)
}

pub(super) fn eastwest_auto_passthrough_missing(mesh: &Mesh, found: &mut Findings) {
    for service in passthrough_services(mesh) {
        let several = mesh.has_several_networks(service.cluster);
        if !several || !matches!(mesh.exposure(service), Exposure::Absent) {
            continue;
        }
        let Some(plane) = mesh.config_cluster(service.cluster).found() else { continue };
        let name = mesh.cluster_name(plane);
        let finding = found.say(
            format!("no Gateway in `{name}` lets other networks in through `{}`", service.name()),
            service.named_at(),
            format!(
                "nothing listens at its port {}: requests of other networks are reset",
                service.gateway_port()
            ),
        );
        let hands_on = |g: &&In<Gateway>| g.servers.iter().any(Server::is_for_other_networks);
        if let Some(dead) = mesh
            .gateways
            .of_cluster(service.cluster)
            .iter()
            .find(hands_on)
            .filter(|_| plane != service.cluster)
        {
            let text = format!(
                "this one is in `{}`, whose proxies get what is in `{name}`",
                mesh.cluster_name(service.cluster)
            );
            finding.also(dead.named_at(), text);
        }
        finding.help(format!(
            "apply a Gateway to `{name}` that selects its pods, with a server at port {} of protocol `TLS`, \
             `tls.mode: AUTO_PASSTHROUGH` and hosts `[\"*.local\"]`",
            service.gateway_port()
        ));
    }
}

pub(super) fn eastwest_selector_mismatch(mesh: &Mesh, found: &mut Findings) {
    let mut by_gateway: BTreeMap<Span, (&In<Gateway>, Vec<&In<Service>>)> = BTreeMap::new();
    for service in passthrough_services(mesh) {
        if let Exposure::OtherPods(gateways) = mesh.exposure(service) {
            for gateway in gateways {
                by_gateway
                    .entry(gateway.meta.span)
                    .or_insert((gateway, Vec::new()))
                    .1
                    .push(service);
            }
        }
    }
    for (gateway, services) in by_gateway.into_values() {
        let labels: Vec<String> =
            gateway.selector.iter().map(|(k, v)| format!("{k}: {v}")).collect();
        let at = gateway.selector.iter().next().map_or(gateway.named_at(), |(_, v)| v.span);
        let finding = found.say(
            format!(
                "Gateway `{}` selects `{}`, and the pods of {} are labelled otherwise",
                gateway.name(),
                labels.join(", "),
                list(services.iter().map(|s| s.name()).collect::<BTreeSet<_>>())
            ),
            at,
            "no pod of a gateway has this: nothing listens, and requests of other networks are reset",
        );
        for service in &services {
            let selector = service.selector.as_ref().and_then(|s| s.iter().next());
            let at = selector.map_or(service.named_at(), |(key, _)| key.span);
            finding.also(at, format!("what `{}` selects", service.name()));
        }
        finding.help(
            "select what the pods are labelled; the gateway chart labels them `istio: ` and the name of its \
             release without `istio-`",
        );
    }
}

pub(super) fn auto_passthrough_wrong_port_or_mode(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for service in passthrough_services(mesh) {
        let Exposure::Otherwise(gateway, server) = mesh.exposure(service) else { continue };
        let number = server.port.as_ref().and_then(|port| port.number.as_ref());
        let mode = server.tls.as_ref().and_then(|tls| tls.mode.as_ref());
        let port = service.gateway_port();
        let (at, label) = if server.is_for_other_networks() {
            // A pipeline is still to fill in a number that is none.
            let Some(number) = number else { continue };
            (
                number.span,
                format!("istiod sends other networks to port {port}, where nothing listens"),
            )
        } else {
            let at = mode.map(|mode| mode.span).or(number.map(|number| number.span));
            let mode = value(mode).unwrap_or("no TLS");
            let label = format!(
                "{mode} at port {port}: it does not hand requests on by the name they ask for"
            );
            (at.unwrap_or_else(|| gateway.named_at()), label)
        };
        if !told.insert(at) {
            continue;
        }
        found
            .say(
                format!("Gateway `{}` does not let other networks in through `{}`", gateway.name(), service.name()),
                at,
                label,
            )
            .also(service.named_at(), "the gateway of a network")
            .help(format!("give the server port {port}, protocol `TLS`, `tls: {{mode: AUTO_PASSTHROUGH}}` and hosts `[\"*.local\"]`"));
    }
    on_public_gateways(mesh, &mut told, found);
}

/// Servers that hand on to every service of the mesh, on pods that serve the outside too.
fn on_public_gateways(mesh: &Mesh, told: &mut BTreeSet<Span>, found: &mut Findings) {
    for gateway in &mesh.gateways {
        let Some(server) = gateway.servers.iter().find(|s| s.is_for_other_networks()) else {
            continue;
        };
        let public = |other: &&In<Gateway>| {
            let speaks_http = |s: &Server| {
                let protocol = s.port.as_ref().and_then(|p| p.protocol.as_ref());
                matches!(value(protocol), Some("HTTP" | "HTTPS" | "HTTP2" | "GRPC"))
            };
            let same = !other.selector.is_empty() && other.selector == gateway.selector;
            same && other.servers.iter().any(speaks_http)
        };
        let Some(other) = mesh.gateways.of_cluster(gateway.cluster).iter().find(public) else {
            continue;
        };
        let mode = server.tls.as_ref().and_then(|tls| tls.mode.as_ref());
        let at = mode.map_or(gateway.named_at(), |mode| mode.span);
        if !told.insert(at) {
            continue;
        }
        found
            .say(
                format!("Gateway `{}` opens every service of the mesh on pods that serve the outside too", gateway.name()),
                at,
                "anyone who reaches this port can ask for any service by its name; only mTLS keeps them out",
            )
            .also(other.named_at(), "serves the outside on the same pods")
            .help("give other networks an east-west gateway of their own, behind an address that only they reach")
            .lower(Severity::Warning);
    }
}

pub(super) fn eastwest_gateway_hosts(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for service in passthrough_services(mesh) {
        let Exposure::Open(gateway, server) = mesh.exposure(service) else { continue };
        // Hosts of a mesh whose Services have another domain are told with that.
        let plane = mesh.config_cluster(service.cluster).found();
        let domain = plane.and_then(|plane| mesh.istiod_domain(plane));
        if domain.is_some_and(|domain| domain.name != "cluster.local") {
            continue;
        }
        let hosts: Vec<&str> = server.hosts.iter().map(|h| without_namespace(h)).collect();
        let Some(first) = server.hosts.first().filter(|_| !hosts.iter().any(|h| is_placeholder(h)))
        else {
            continue;
        };
        let is_missed = |s: &&In<Service>| {
            let host = format!("{}.{}.svc.cluster.local", s.name(), s.namespace);
            !hosts.iter().any(|pattern| HostPattern(pattern).matches(&host))
        };
        let (missing, open): (Vec<_>, Vec<_>) = called_through(mesh, service).partition(is_missed);
        let Some(example) = missing.first().filter(|_| told.insert(first.span)) else { continue };
        let name = format!("{}.{}", example.name(), example.namespace);
        let rest = if missing.len() > 1 {
            format!(" and {} more", missing.len() - 1)
        } else {
            String::new()
        };
        let message = if open.is_empty() {
            format!("Gateway `{}` lets other networks in to no service of the mesh", gateway.name())
        } else {
            format!(
                "Gateway `{}` lets other networks in, but not to `{name}`{rest}",
                gateway.name()
            )
        };
        let finding = found.say(
            message,
            first.span,
            "clients are sent here for all services, and requests for those not named here are reset",
        );
        finding.also(example.named_at(), format!("`{name}` is in other networks too"));
        finding.help("use hosts `[\"*.local\"]` for all services; keep a service in its cluster by `serviceSettings` with `clusterLocal: true`");
        if !open.is_empty() {
            finding.lower(Severity::Warning);
        }
    }
}

/// The Services that clients of other networks call through a gateway.
fn called_through<'m>(
    mesh: &'m Mesh,
    gateway: &'m In<Service>,
) -> impl Iterator<Item = &'m In<Service>> {
    let peers = mesh.services.iter().filter(|s| mesh.same_mesh(gateway.cluster, s.cluster));
    let network = value(gateway.network());
    let behind = peers.filter(move |s| value(mesh.cluster(s.cluster).network()) == network);
    behind.filter(|s| mesh.is_called_across_networks(s))
}

pub(super) fn requested_network_view_on_ingress(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for pods in mesh.pod_shapes().filter(|pods| !mesh.has_maker(pods)) {
        let Some(view) = pods.proxy_env(NETWORK_VIEW).and_then(|variable| variable.value.as_ref())
        else {
            continue;
        };
        let between =
            |s: &In<Service>| s.network().is_some() || s.meta.label(NETWORK_LABEL).is_some();
        let mut services = mesh.services.of_namespace(pods.cluster, pods.namespace);
        let is_between = services
            .any(|s| between(s) && s.selector.as_ref().is_some_and(|s| pods.is_selected_by(s)));
        let here = || {
            let plane = mesh.config_cluster(pods.cluster).found();
            mesh.gateways
                .iter()
                .filter(move |g| Some(g.cluster) == plane && pods.is_selected_by(&g.selector))
        };
        let hands_on = here().any(|g| g.servers.iter().any(Server::is_for_other_networks));
        let Some(public) = here().find(|g| !g.servers.is_empty()) else { continue };
        let quiet =
            view.is_empty() || is_between || hands_on || !mesh.has_several_networks(pods.cluster);
        if quiet || mesh.is_assumed(pods.meta) || !told.insert(view.span) {
            continue;
        }
        found
            .say(
                format!("{} serves the outside and gets endpoints of network `{view}` alone", pods.called()),
                view.span,
                "hides what is in other networks: it cannot fail over to them",
            )
            .also(public.named_at(), "serves the outside on these pods")
            .help(format!("drop `{NETWORK_VIEW}`, in the gateway chart `networkGateway`: it is for east-west gateways"));
    }
}

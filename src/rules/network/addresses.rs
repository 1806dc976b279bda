//! Addresses: of pods that are called without a gateway, and of gateways.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use crate::clusters::Cluster;
use crate::finding::{Findings, Severity};
use crate::kinds::core::Service;
use crate::kinds::is_placeholder;
use crate::mesh::{In, Mesh, NETWORK_LABEL, PodRange, list, value};
use crate::source::{Span, Text};

/// A cluster that has addresses of another's pods, by the ranges that overlap.
struct Clash<'m> {
    cluster: &'m Cluster,
    own: PodRange,
    other: PodRange,
}

fn clash<'m>(first: &[PodRange], second: &[PodRange], cluster: &'m Cluster) -> Option<Clash<'m>> {
    let pairs = first.iter().flat_map(|a| second.iter().map(move |b| (a, b)));
    let mut same = pairs.filter(|(a, b)| a.cidr.overlaps(b.cidr));
    let (other, own) = same.find(|(a, b)| a.span != b.span || a.is_of_cluster())?;
    Some(Clash { cluster, own: own.clone(), other: other.clone() })
}

/// The clusters of a mesh that call each other's pods directly: those of one network, and those of which
/// all is told but a network.
fn neighbours<'m>(
    mesh: &'m Mesh,
    clusters: &[&'m Cluster],
) -> Vec<(Option<&'m str>, Vec<&'m Cluster>)> {
    let mut found: BTreeMap<Option<&str>, Vec<&Cluster>> = BTreeMap::new();
    let single = clusters.iter().all(|c| c.network().is_none() && !c.facts.name.is_empty());
    let gateways = clusters.iter().any(|c| mesh.gateway_services().any(|s| s.cluster == c.id));
    for &cluster in clusters {
        match value(cluster.network()) {
            Some(network) if !is_placeholder(network) => {
                found.entry(Some(network)).or_default().push(cluster);
            }
            None if single && !gateways => found.entry(None).or_default().push(cluster),
            _ => {}
        }
    }
    found.into_iter().collect()
}

pub(super) fn same_network_overlapping_pod_cidr(mesh: &Mesh, found: &mut Findings) {
    for clusters in mesh.meshes() {
        for (network, inside) in neighbours(mesh, &clusters) {
            let mut rest: Vec<(&Cluster, Vec<PodRange>)> =
                inside.into_iter().map(|c| (c, mesh.pod_ranges(c.id))).collect();
            while !rest.is_empty() {
                let (cluster, ranges) = rest.remove(0);
                let clashes: Vec<Clash<'_>> =
                    rest.iter().filter_map(|(c, other)| clash(&ranges, other, c)).collect();
                rest.retain(|(c, _)| clashes.iter().all(|clash| clash.cluster.id != c.id));
                say_clashes(network, cluster, &clashes, found);
            }
        }
    }
}

fn say_clashes(
    network: Option<&str>,
    cluster: &Cluster,
    clashes: &[Clash<'_>],
    found: &mut Findings,
) {
    let Some(first) = clashes.first() else { return };
    let all = clashes.iter().map(|clash| clash.cluster.name.as_str());
    let names = list(std::iter::once(cluster.name.as_str()).chain(all));
    let sure = clashes.iter().all(|clash| clash.own.is_sure && clash.other.is_sure);
    let place = match network {
        Some(network) => format!("are in network `{network}`"),
        None => "are told no network, which makes them one".to_owned(),
    };
    let unless = if sure { "" } else { ", unless another plugin hands out addresses there" };
    let finding = found.say(
        format!("pods of {names} may have the same addresses, and the clusters {place}{unless}"),
        first.own.span,
        format!(
            "`{}` by {}: `{}` of `{}` overlaps, and what is sent to a pod there ends at a pod here",
            first.own.text, first.own.by, first.other.text, cluster.name
        ),
    );
    if first.other.span != first.own.span {
        finding.also(first.other.span, format!("`{}` by {}", first.other.text, first.other.by));
    }
    for clash in clashes[1..].iter().filter(|clash| clash.own.span != first.own.span) {
        let text = format!("`{}` of `{}` by {}", clash.own.text, clash.cluster.name, clash.own.by);
        finding.also(clash.own.span, text);
    }
    if let Some(network) = cluster.network() {
        finding.also(network.span, "one network: pods are called at their own addresses");
    }
    finding.help(format!(
        "give each cluster of a network pods of its own range, or make `{}` a network of its own \
         (`global.network`, the label `topology.istio.io/network`) behind an east-west gateway",
        first.cluster.name
    ));
    if !sure || network.is_none() {
        finding.lower(Severity::Warning);
    }
}

/// The variable that keeps istiod from looking up the names of gateways.
const LOOK_UP: &str = "RESOLVE_HOSTNAME_GATEWAYS";
/// What the annotations of balancers have in common whose address is a name.
const NAMED_BALANCER: &str = "service.beta.kubernetes.io/aws-load-balancer";

/// An address of a gateway, as far as the input tells it.
struct Told<'m> {
    network: &'m str,
    /// `None` for what a cloud gives it.
    address: Option<&'m Text>,
    at: Span,
}

impl Told<'_> {
    fn ip(&self) -> Option<IpAddr> {
        self.address?.parse().ok()
    }

    fn is_name(&self) -> bool {
        let is_name = |text: &Text| text.contains('.') && !is_placeholder(text);
        self.address.is_some_and(is_name) && self.ip().is_none()
    }
}

/// The addresses of all gateways between the networks of a mesh.
fn told_addresses<'m>(mesh: &'m Mesh, of: &'m Cluster) -> Vec<Told<'m>> {
    let mut found = Vec::new();
    for (network, told) in mesh.peers(of.id).flat_map(|c| &c.facts.mesh_networks) {
        for gateway in &told.gateways {
            let address = gateway.address.as_ref().filter(|address| !address.is_empty());
            let name = gateway.registry_service_name.as_ref();
            let at = address.or(name).map_or(network.span, |text| text.span);
            found.push(Told { network, address, at });
        }
    }
    let gateways = mesh.api_gateways.iter().filter(|g| mesh.same_mesh(g.cluster, of.id));
    for gateway in gateways.filter(|g| !mesh.is_assumed(&g.meta)) {
        let Some(network) = gateway.meta.label(NETWORK_LABEL) else { continue };
        found.extend(gateway.addresses.iter().map(|address| Told {
            network,
            address: address.value.as_ref(),
            at: address.value.as_ref().map_or(network.span, |value| value.span),
        }));
        if gateway.addresses.is_empty() {
            found.push(Told { network, address: None, at: network.span });
        }
    }
    let services = mesh.services.iter().filter(|s| mesh.same_mesh(s.cluster, of.id));
    for service in services.filter(|s| !mesh.is_assumed(&s.meta)) {
        let Some(network) = service.network() else { continue };
        let ips = service.external_ips.iter();
        found.extend(ips.map(|ip| Told { network, address: Some(ip), at: ip.span }));
        if service.type_name() != "ClusterIP" {
            found.push(Told { network, address: None, at: network.span });
        }
    }
    found
}

pub(super) fn eastwest_hostname_address(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for plane in mesh.clusters().iter().filter(|c| mesh.has_several_networks(c.id)) {
        let off = plane.facts.istiod_env(LOOK_UP).filter(|told| told.as_str() == "false");
        let named = told_addresses(mesh, plane).into_iter().filter(Told::is_name);
        for Told { network, at, .. } in named {
            if told.insert(at) {
                say_name(network, at, off, found);
            }
        }
        let Some(off) = off else { continue };
        if let Some((service, why)) = named_by_balancer(mesh, plane)
            && told.insert(off.span)
        {
            found
                .say(
                    format!(
                        "istiod of `{}` does not look up the name of gateway `{}`",
                        plane.name,
                        service.name()
                    ),
                    off.span,
                    "names are not looked up: no gateway with such an address is known",
                )
                .also(why, "load balancers of AWS have names for addresses")
                .help(format!("drop `{LOOK_UP}: \"false\"`"));
        }
    }
}

/// Says of a gateway's address that it is a name, which istiod looks up unless that is off.
fn say_name(network: &str, at: Span, off: Option<&Text>, found: &mut Findings) {
    let label = if off.is_some() {
        "istiod does not look it up, so that no gateway is known: clients are sent to the pods"
    } else {
        "while istiod gets no answer for it, no gateway is known: clients are sent to the pods"
    };
    let finding = found.say(
        format!("the gateway of network `{network}` has a host name for an address"),
        at,
        label,
    );
    if let Some(off) = off {
        finding.also(off.span, "names are not looked up");
    } else {
        finding.lower(Severity::Note);
    }
    finding.help("give the gateway addresses that stay: IP addresses of a layer 4 load balancer");
}

/// A gateway of a mesh whose load balancer will have a name for an address, and the annotation that tells.
fn named_by_balancer<'m>(mesh: &'m Mesh, of: &Cluster) -> Option<(&'m In<Service>, Span)> {
    let peers = mesh.gateway_services().filter(|s| mesh.same_mesh(s.cluster, of.id));
    let mut balanced = peers.filter(|s| s.type_name() == "LoadBalancer");
    balanced.find_map(|service| Some((service, named_balancer(service)?)))
}

/// The annotation that tells that a load balancer will have a name for an address, which leads to several:
/// one in each zone.
pub(super) fn named_balancer(service: &In<Service>) -> Option<Span> {
    let mut keys = service.meta.annotations.iter().map(|(key, _)| key);
    keys.find(|key| key.starts_with(NAMED_BALANCER)).map(|key| key.span)
}

pub(super) fn mesh_networks_one_address(mesh: &Mesh, found: &mut Findings) {
    let mut said = BTreeSet::new();
    for cluster in mesh.clusters() {
        let listed = &cluster.facts.mesh_networks;
        if listed.is_empty() {
            continue;
        }
        let networks = mesh.networks(cluster.id);
        for (network, told) in listed {
            let Some(inside) = networks.get(network.as_str()).filter(|c| c.len() > 1) else {
                continue;
            };
            let [gateway] = told.gateways.as_slice() else { continue };
            let Some(address) = gateway.address.as_ref().filter(|a| !a.is_empty()) else {
                continue;
            };
            let own = |c: &&Cluster| mesh.gateway_services().any(|s| s.cluster == c.id);
            if networks.len() < 2 || inside.iter().any(own) || !said.insert(address.span) {
                continue;
            }
            let names = list(inside.iter().map(|c| c.name.as_str()));
            found
                .say(
                    format!("one address leads to all clusters of network `{network}`: {names}"),
                    address.span,
                    "is of no cluster, so that it is taken for pods of all of them: what is behind it cuts off all",
                )
                .help(format!(
                    "give each of these clusters an east-west gateway, whose Service is labelled \
                     `{NETWORK_LABEL}: {network}`: clients then take that of the pod's own cluster"
                ));
        }
    }
}

pub(super) fn eastwest_ip_family(mesh: &Mesh, found: &mut Findings) {
    for clusters in mesh.meshes() {
        let Some(first) = clusters.first() else { continue };
        let addresses = told_addresses(mesh, first);
        for (network, inside) in mesh.networks(first.id) {
            let of: Vec<&Told<'_>> = addresses.iter().filter(|a| a.network == network).collect();
            let known: Option<Vec<IpAddr>> = of.iter().map(|told| told.ip()).collect();
            let Some(known) = known.filter(|ips| !ips.is_empty()) else { continue };
            let is_v6 = known[0].is_ipv6();
            if known.iter().any(|ip| ip.is_ipv6() != is_v6) {
                continue;
            }
            let clients =
                clusters.iter().filter(|c| inside.iter().all(|i| mesh.in_different_networks(c, i)));
            let other = clients.filter_map(|c| {
                let ranges = mesh.pod_ranges(c.id);
                let none = ranges.iter().all(|range| range.is_sure && range.cidr.is_v6() != is_v6);
                let range = ranges.into_iter().next().filter(|_| none)?;
                Some((*c, range))
            });
            let Some((client, range)) = other.into_iter().next() else { continue };
            let (has, lacks) = if is_v6 { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
            found
                .say(
                    format!(
                        "pods of `{}` have addresses of {has} alone, and the gateway of network `{network}` of \
                         {lacks} alone",
                        client.name
                    ),
                    of[0].at,
                    "istiod leaves gateways out that a client cannot reach: nothing of this network is known there",
                )
                .also(range.span, format!("`{}` by {}", range.text, range.by))
                .help(format!("give the gateway an address of {has} too"));
        }
    }
}

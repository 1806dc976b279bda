//! Services: is the same service the same in all clusters?

mod across;
mod domains;
mod environment;
mod injection;
mod pairs;
mod protocols;
mod sameness;
mod selectors;
mod settings;
mod targets;

use std::collections::{BTreeMap, BTreeSet};

use super::{Rule, rule};
use crate::clusters::{Cluster, ClusterId};
use crate::finding::{Findings, Severity};
use crate::kinds::core::{Service, ServicePort};
use crate::kinds::is_placeholder;
use crate::kinds::networking::VirtualService;
use crate::mesh::{Client, Host, In, Mesh, fqdn, value};
use crate::source::Span;
use pairs::pairs;

pub(super) const RULES: &[Rule] = &[
    rule!("services/authz-ipblocks-across-networks", across::authz_ipblocks_across_networks),
    rule!("services/cluster-domain-mismatch", domains::cluster_domain_mismatch),
    rule!("services/cluster-local-inconsistent", settings::cluster_local_inconsistent),
    rule!("services/external-name-takes-whole-port", protocols::external_name_takes_whole_port),
    rule!("services/headless-cross-network", across::headless_cross_network),
    rule!("services/infra-service-not-cluster-local", settings::infra_service_not_cluster_local),
    rule!(
        "services/injection-differs-across-clusters",
        injection::injection_differs_across_clusters
    ),
    rule!("services/internal-traffic-policy-local", sameness::internal_traffic_policy_local),
    rule!("services/mcs-flags-inconsistent", settings::mcs_flags_inconsistent),
    rule!("services/namespace-missing-in-cluster", namespace_missing_in_cluster),
    rule!("services/not-visible-to-eastwest-gateway", across::not_visible_to_eastwest_gateway),
    rule!("services/port-without-protocol", protocols::port_without_protocol),
    rule!("services/service-account-mismatch", sameness::service_account_mismatch),
    rule!("services/service-exportto-mismatch", sameness::service_exportto_mismatch),
    rule!("services/service-missing-in-cluster", service_missing_in_cluster),
    rule!("services/service-port-protocol-mismatch", sameness::service_port_protocol_mismatch),
    rule!("services/service-ports-differ", service_ports_differ),
    rule!("services/service-selector-differs", selectors::service_selector_differs),
    rule!("services/service-type-differs", service_type_differs),
    rule!("services/unknown-target-port", targets::unknown_target_port),
];

/// Ports by name; a single port may go without one.
fn ports(service: &In<Service>) -> BTreeMap<&str, &ServicePort> {
    service.ports.iter().map(|p| (value(p.name.as_ref()).unwrap_or_default(), p)).collect()
}

fn port_at(service: &In<Service>, port: &ServicePort) -> Span {
    let name = port.name.as_ref().map(|n| n.span);
    name.or(port.port.as_ref().map(|p| p.span)).unwrap_or_else(|| service.named_at())
}

fn service_ports_differ(mesh: &Mesh, found: &mut Findings) {
    for (host, one, other) in pairs(mesh) {
        let (a, b) = (mesh.cluster_name(one.cluster), mesh.cluster_name(other.cluster));
        let (left, right) = (ports(one), ports(other));
        for (name, port) in &right {
            let same_number = |(n, p): &(&&str, &&ServicePort)| {
                let is_known = ![*n, name].iter().any(|name| is_placeholder(name));
                let is_other = *n != name && !right.contains_key(*n);
                is_known && is_other && p.port == port.port && p.port.is_some()
            };
            match left.get(name) {
                Some(their) if their.port != port.port => {
                    number_differs(mesh, (host, one, other), [*their, *port], found);
                }
                Some(_) => {}
                None => {
                    let Some((old, their)) = left.iter().find(same_number) else { continue };
                    let number = port.port.as_ref().map_or(0, |p| p.value);
                    let (here, there) = (called(old), called(name));
                    found
                        .say(
                            format!("port {number} of `{}` is {here} in `{a}` and {there} in `{b}`", host.short()),
                            port_at(other, port),
                            format!("{there} in `{b}`: its endpoints are dropped for clients in `{a}`"),
                        )
                        .also(port_at(one, their), format!("{here} in `{a}`"))
                        .help("call it alike in all clusters: istiod matches endpoints by the port's name");
                }
            }
        }
    }
}

fn called(port: &str) -> String {
    if port.is_empty() { "without a name".to_owned() } else { format!("called `{port}`") }
}

/// A port has one name and two numbers.
fn number_differs(
    mesh: &Mesh,
    (host, one, other): (Host<'_>, &In<Service>, &In<Service>),
    [their, port]: [&ServicePort; 2],
    found: &mut Findings,
) {
    let (Some(left), Some(right)) = (&their.port, &port.port) else { return };
    let (a, b) = (mesh.cluster_name(one.cluster), mesh.cluster_name(other.cluster));
    let network = |s: &In<Service>| mesh.cluster(s.cluster).network().map(|n| n.value.clone());
    let (effect, several) = match (network(one), network(other)) {
        (Some(x), Some(y)) if x != y => (
            "the gateway of the other network lets in only its own number: requests are reset",
            true,
        ),
        (Some(_), Some(_)) => {
            ("on one network only the number of the caller's cluster counts", false)
        }
        _ => ("works on one network, and is reset by the gateway of another one", false),
    };
    let name = match value(port.name.as_ref()) {
        Some(name) => format!("port `{name}`"),
        None => "the port".to_owned(),
    };
    let finding = found.say(
        format!("{name} of `{}` is {left} in `{a}` and {right} in `{b}`", host.short()),
        right.span,
        format!("{right} in `{b}`: {effect}"),
    );
    finding.also(left.span, format!("{left} in `{a}`")).help("use the same number in all clusters");
    if !several {
        finding.lower(Severity::Warning);
    }
}

fn service_type_differs(mesh: &Mesh, found: &mut Findings) {
    for (host, one, other) in pairs(mesh) {
        // To callers in the mesh these are one: a virtual IP.
        let sort = |s: &In<Service>| match s.type_name() {
            "NodePort" | "LoadBalancer" => "ClusterIP".to_owned(),
            other => other.to_owned(),
        };
        let (left, right) = (sort(one), sort(other));
        if left == right {
            continue;
        }
        let at = |s: &In<Service>| {
            let told = s.cluster_ip.as_ref().filter(|ip| ip.as_str() == "None").or(s.kind.as_ref());
            told.map_or(s.named_at(), |t| t.span)
        };
        let (a, b) = (mesh.cluster_name(one.cluster), mesh.cluster_name(other.cluster));
        found
            .say(
                format!("`{}` is {left} in `{a}` and {right} in `{b}`", host.short()),
                at(other),
                format!("{right} in `{b}`"),
            )
            .also(at(one), format!("{left} in `{a}`"))
            .help("make it one type: each istiod takes the type of its own cluster for the endpoints of all");
    }
}

/// A name that clients look up before a VirtualService can route their requests.
struct Call<'m> {
    service: &'m In<VirtualService>,
    host: Host<'m>,
    namespace: &'m str,
    at: Span,
}

/// The VirtualServices' own hosts that have a Service somewhere, of sidecars' rules of which it is known
/// which cluster reads them. Where a route leads needs no name: Envoy gets the endpoints from istiod.
fn calls(mesh: &Mesh) -> impl Iterator<Item = Call<'_>> {
    let known = |v: &&In<VirtualService>| v.is_for_mesh() && !mesh.is_assumed(&v.meta);
    mesh.virtual_services.iter().filter(known).flat_map(|service| {
        service.hosts.iter().filter_map(|name| {
            let host = mesh.host(&fqdn(name, &service.namespace))?;
            Some(Call { service, host, namespace: host.namespace()?, at: name.span })
        })
    })
}

/// The clusters that lack what a call's name needs and where it is looked up in DNS, as far as the input
/// shows.
fn looked_up_in<'m>(
    mesh: &'m Mesh,
    call: &Call<'m>,
    lacks: impl Fn(&Cluster) -> bool,
) -> Vec<&'m Cluster> {
    let mut clusters = mesh.client_clusters(call.service.cluster);
    // Seldom any does, and to ask all clients of all calls takes long.
    clusters.retain(|c| lacks(c));
    if clusters.is_empty() {
        return clusters;
    }
    let clients: Vec<Client<'_>> = mesh.clients_of(call.service).collect();
    let answered = |c: &Cluster| {
        // Who writes a ServiceEntry for a name of the cluster means the proxies to answer for it.
        c.facts.mesh_config.is_empty() && call.host.entries().next().is_some()
            || clients.iter().any(|client| client.cluster == c.id && mesh.answers_dns(client))
    };
    clusters.retain(|c| {
        let calls = |client: &Client<'_>| {
            client.cluster == c.id
                && mesh.workloads.of_namespace(c.id, client.namespace).next().is_some()
        };
        clients.iter().any(calls) && !answered(c)
    });
    clusters
}

fn service_missing_in_cluster(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for call in calls(mesh) {
        let host = call.host;
        let name = host.name.split('.').next().unwrap_or_default();
        let lacks = |c: &Cluster| mesh.service(c.id, call.namespace, name).is_absent();
        for cluster in looked_up_in(mesh, &call, lacks) {
            let Some(there) = host.services_of_mesh(cluster.id).next() else { continue };
            if told.insert((cluster.id, host.name)) {
                say_missing(mesh, host, cluster.id, (call.at, there), found);
            }
        }
    }
    for environment::Told { cluster, host, at } in environment::told(mesh) {
        let name = host.name.split('.').next().unwrap_or_default();
        let lacks = host.namespace().is_some_and(|ns| mesh.service(cluster, ns, name).is_absent());
        let there = host.services_of_mesh(cluster).next().filter(|_| lacks);
        if let Some(there) = there.filter(|_| told.insert((cluster, host.name))) {
            say_missing(mesh, host, cluster, (at, there), found);
        }
    }
}

/// Says that clients in a cluster look up a name, here, that is defined elsewhere alone, there.
fn say_missing(
    mesh: &Mesh,
    host: Host<'_>,
    cluster: ClusterId,
    (here, there): (Span, &In<Service>),
    found: &mut Findings,
) {
    let name = mesh.cluster_name(cluster);
    let defined = defined_in(mesh, host, cluster);
    found
        .say(
            format!("`{}` is called in `{name}` and defined in `{defined}` alone", host.short()),
            here,
            format!("in `{name}` this name does not resolve: there is no Service for it"),
        )
        .also(there.named_at(), format!("the Service, in `{}`", mesh.cluster_name(there.cluster)))
        .help(format!(
            "apply the Service in `{name}` too, with or without pods behind it, or let the proxies answer DNS \
             (`ISTIO_META_DNS_CAPTURE: \"true\"`)"
        ));
}

/// The clusters of a mesh that define a host, as inner part of a quoted list.
fn defined_in(mesh: &Mesh, host: Host<'_>, of: ClusterId) -> String {
    let mut names: Vec<&str> =
        host.services_of_mesh(of).map(|s| mesh.cluster_name(s.cluster)).collect();
    names.dedup();
    names.join("`, `")
}

fn namespace_missing_in_cluster(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for call in calls(mesh) {
        let namespace = call.namespace;
        // What is applied to a namespace has one.
        let lacks = |c: &Cluster| {
            mesh.namespace(c.id, namespace).is_absent() && !mesh.lives_in(c.id, namespace)
        };
        for cluster in looked_up_in(mesh, &call, lacks) {
            let there = call.host.services_of_mesh(cluster.id).next();
            let Some(there) = there.filter(|_| told.insert((cluster.id, namespace))) else {
                continue;
            };
            found
                .say(
                    format!(
                        "namespace `{namespace}` is not in `{}`, where its services are called",
                        cluster.name
                    ),
                    call.at,
                    format!("in `{}` no name of this namespace resolves", cluster.name),
                )
                .also(
                    there.named_at(),
                    format!("a service of it, in `{}`", mesh.cluster_name(there.cluster)),
                )
                .help(format!(
                    "create namespace `{namespace}` and its Services in `{}` too, or let the \
                     proxies answer DNS (`ISTIO_META_DNS_CAPTURE: \"true\"`)",
                    cluster.name
                ));
        }
    }
}

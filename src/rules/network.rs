//! Networks: which clusters are where, and how one is reached from another.

mod addresses;
mod ambient;
mod balancers;
mod behind;
mod gateways;
mod mtls;
mod names;
mod shares;
mod strength;
mod views;

use super::{Rule, rule};
use crate::clusters::Cluster;
use crate::finding::Findings;
use crate::kinds::is_placeholder;
use crate::mesh::{Lookup, Mesh, list};
use crate::source::Text;

pub(super) const RULES: &[Rule] = &[
    rule!("network/ambient-gateway-mode-mismatch", ambient::ambient_gateway_mode_mismatch),
    rule!("network/ambient-global-label-inconsistent", ambient::ambient_global_label_inconsistent),
    rule!("network/ambient-multinetwork-not-enabled", ambient::ambient_multinetwork_not_enabled),
    rule!(
        "network/auto-passthrough-wrong-port-or-mode",
        gateways::auto_passthrough_wrong_port_or_mode
    ),
    rule!("network/client-without-network", names::client_without_network),
    rule!("network/eastwest-auto-passthrough-missing", gateways::eastwest_auto_passthrough_missing),
    rule!("network/eastwest-gateway-hosts", gateways::eastwest_gateway_hosts),
    rule!("network/eastwest-hostname-address", addresses::eastwest_hostname_address),
    rule!("network/eastwest-ip-family", addresses::eastwest_ip_family),
    rule!("network/eastwest-l7-loadbalancer", balancers::eastwest_l7_loadbalancer),
    rule!("network/eastwest-nodeport-unaddressable", gateways::eastwest_nodeport_unaddressable),
    rule!("network/eastwest-selector-mismatch", gateways::eastwest_selector_mismatch),
    rule!("network/eastwest-single-replica", policies: strength::eastwest_single_replica),
    rule!("network/gateway-hides-failover", traffic: behind::gateway_hides_failover),
    rule!("network/gateway-of-unready-pods", traffic: behind::gateway_of_unready_pods),
    rule!("network/gateway-single-zone", policies: strength::gateway_single_zone),
    rule!("network/gateway-weight-lost", traffic: shares::gateway_weight_lost),
    rule!("network/gateway-without-network-view", views::gateway_without_network_view),
    rule!("network/mesh-networks-one-address", addresses::mesh_networks_one_address),
    rule!("network/mesh-networks-unknown-gateway", mesh_networks_unknown_gateway),
    rule!("network/mesh-networks-unknown-registry", mesh_networks_unknown_registry),
    rule!("network/mtls-disabled-cross-network", mtls::mtls_disabled_cross_network),
    rule!("network/multi-network-without-gateway", gateways::multi_network_without_gateway),
    rule!("network/network-label-on-non-gateway", gateways::network_label_on_non_gateway),
    rule!("network/network-name-mismatch", names::network_name_mismatch),
    rule!("network/network-namespace-label-missing", names::network_namespace_label_missing),
    rule!("network/pod-network-label-differs", names::pod_network_label_differs),
    rule!("network/requested-network-view-on-ingress", gateways::requested_network_view_on_ingress),
    rule!(
        "network/same-network-overlapping-pod-cidr",
        addresses::same_network_overlapping_pod_cidr
    ),
    rule!("network/subset-unseen-by-gateway", views::subset_unseen_by_gateway),
    rule!("network/ztunnel-identity-values", ambient::ztunnel_identity_values),
];

/// What Istio calls registries that are no clusters. The name of a cluster that tells none is `Kubernetes`.
const OTHERS: [&str; 3] = ["Kubernetes", "Mock", "External"];

fn mesh_networks_unknown_registry(mesh: &Mesh, found: &mut Findings) {
    for cluster in mesh.clusters() {
        let known = mesh.registries(cluster.id);
        let Some(known) = known else { continue };
        for (network, registry) in &cluster.facts.networks {
            let name: &Text = registry;
            // A name that no cluster can have is refused before it is looked up.
            let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            let is_other = OTHERS.iter().any(|other| name.eq_ignore_ascii_case(other));
            if !is_name || is_other || known.contains(name.as_str()) || is_placeholder(name) {
                continue;
            }
            found
                .say(
                    format!("network `{network}` is to have the endpoints of `{name}`, which is no cluster of the mesh"),
                    name.span,
                    "no such cluster: its endpoints stay without this network",
                )
                .help(format!("the clusters of this mesh are {}", list(known.iter().copied())));
        }
    }
}

fn mesh_networks_unknown_gateway(mesh: &Mesh, found: &mut Findings) {
    for cluster in mesh.clusters() {
        for (network, told) in &cluster.facts.mesh_networks {
            let registries = told.endpoints.iter().filter_map(|e| e.from_registry.as_ref());
            let inside: Vec<_> =
                registries.map(|name| mesh.cluster_called(name, cluster.id)).collect();
            for gateway in &told.gateways {
                let by_address =
                    gateway.address.as_ref().is_some_and(|address| !address.is_empty());
                let name = gateway.registry_service_name.as_ref();
                let Some(name) = name.filter(|name| !by_address && !is_placeholder(name)) else {
                    continue;
                };
                let label = match name.split_once(".svc.").map(|(short, _)| short.split_once('.')) {
                    Some(Some((service, namespace))) => {
                        let gone = |c: &Lookup<&Cluster>| match c {
                            Lookup::Found(c) => mesh.service(c.id, namespace, service).is_absent(),
                            Lookup::Absent { .. } => true,
                            Lookup::Unseen => false,
                        };
                        if inside.is_empty() || !inside.iter().all(gone) {
                            continue;
                        }
                        "no cluster of this network has such a Service: the network has no gateway"
                    }
                    _ => {
                        "compared with full names, `NAME.NAMESPACE.svc.cluster.local`: the network has no gateway"
                    }
                };
                found
                    .say(format!("the gateway `{name}` of network `{network}` is not there"), name.span, label)
                    .help(
                        "give the full name of the east-west gateway's Service, or drop `gateways` and label that \
                         Service `topology.istio.io/network`",
                    );
            }
        }
    }
}

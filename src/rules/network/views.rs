//! What a gateway between networks knows: the subsets that its namespace sees, and the networks it is for.

use std::collections::{BTreeMap, BTreeSet};

use super::gateways::passthrough_services;
use crate::clusters::ClusterId;
use crate::finding::Findings;
use crate::kinds::core::Service;
use crate::mesh::{
    Client, GATEWAY_NAME_LABEL, Host, In, Mesh, NETWORK_VIEW, PodShape, Route, Subset, list,
};
use crate::source::{Span, Text};

/// How many networks of gateways that share a text are shown.
const SHOWN: usize = 5;
/// Settings of a proxy, on its pods.
const PROXY_CONFIG: &str = "proxy.istio.io/config";

/// A subset that the control plane of a gateway has, and the gateway does not.
struct Hidden<'m> {
    subset: Subset<'m>,
    gateway: &'m In<Service>,
    /// The DestinationRule that the gateway gets instead.
    instead: Option<Span>,
}

pub(super) fn subset_unseen_by_gateway(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for route in mesh.routes() {
        let (Some(name), Some(host)) = (route.subset(), mesh.host(&route.host)) else { continue };
        if mesh.is_assumed(&route.service.meta) {
            continue;
        }
        for there in mesh.clusters_with_backends(host, route.service.cluster) {
            let Some(hidden) = hidden(mesh, &route, host, there) else { continue };
            let Hidden { subset, gateway, instead } = hidden;
            let at = subset.rule.export_to.first().map_or(subset.rule.named_at(), |to| to.span);
            if !told.insert((at, gateway.cluster)) {
                continue;
            }
            let (there, namespace) = (mesh.cluster_name(there), &gateway.namespace);
            let label = match instead {
                None => format!(
                    "hides it from namespace `{namespace}`, so that its gateway has no way in for `{name}`"
                ),
                Some(_) => {
                    format!("namespace `{namespace}` gets another rule, which has no `{name}`")
                }
            };
            let finding = found.say(
                format!(
                    "the gateway of `{there}` does not see subset `{name}` of `{}`: requests of other \
                     networks for it are reset",
                    host.short()
                ),
                at,
                label,
            );
            finding.also(name.span, "requests for it go to other networks too");
            finding.also(gateway.named_at(), "the gateway knows only what its namespace sees");
            if let Some(instead) = instead {
                finding.also(instead, "the rule that the gateway gets");
            }
            finding.help(match instead {
                None => {
                    format!("export the DestinationRule to `{namespace}` too, or drop `exportTo`")
                }
                Some(_) => format!("give the rule that `{namespace}` gets the subset too"),
            });
        }
    }
}

/// Whether requests of a route to a cluster pass a gateway that lacks its subset, although the gateway's
/// control plane has it: where it has not, another rule says so.
/// Source: `cluster_builder.go`, `buildOutboundSniDnatClusters`.
fn hidden<'m>(
    mesh: &'m Mesh,
    route: &Route<'m>,
    host: Host<'m>,
    there: ClusterId,
) -> Option<Hidden<'m>> {
    let (from, to) = (mesh.cluster(route.service.cluster), mesh.cluster(there));
    let clients = mesh.client_clusters(from.id);
    let mut clients = clients.into_iter().chain(std::iter::once(from));
    let far = clients.any(|c| mesh.in_different_networks(c, to));
    let name = route.subset()?;
    let plane = mesh.config_cluster(there).found().filter(|_| far)?;
    let mut known = mesh.subsets_of(host.name, plane).into_iter();
    let subset = known.find(|subset| subset.name.as_str() == name.as_str())?;
    let reaches = subset.cluster_label().is_none_or(|cluster| to.is_called(cluster));
    let mut gateways = mesh.gateway_services().filter(|s| s.takes_other_networks());
    let gateway = gateways.find(|s| {
        s.cluster == there && s.network().zip(to.network()).is_some_and(|(a, b)| a == b)
    })?;
    let sure = !mesh.is_assumed(&gateway.meta) && !mesh.is_assumed(&subset.rule.meta);
    let labels = mesh.backends(gateway).first().map(|w| &w.template.metadata.labels);
    let namespace = gateway.namespace.as_str();
    let client = Client { cluster: there, namespace, labels, locality: None };
    let choice = mesh.choose_rule(&client, host.name, host.namespace(), plane);
    let unclear = choice.order_decides || !choice.by_labels.is_empty();
    let has = choice.rule.as_ref().is_some_and(|rule| rule.subset(name).is_some());
    let instead = choice.rule.as_ref().and_then(|rule| rule.parts.first()).map(|p| p.named_at());
    (sure && reaches && !unclear && !has).then_some(Hidden { subset, gateway, instead })
}

/// Whether something tells pods of a gateway, or all proxies, which networks they may send to.
fn has_view(mesh: &Mesh, pods: &PodShape<'_>) -> bool {
    let annotated = pods.annotations.get(PROXY_CONFIG).is_some_and(|c| c.contains(NETWORK_VIEW));
    let configs = &mesh.cluster(pods.cluster).facts.mesh_config;
    let by_mesh =
        configs.iter().any(|c| c.default_config.proxy_metadata.get(NETWORK_VIEW).is_some());
    annotated || by_mesh || pods.proxy_env(NETWORK_VIEW).is_some()
}

pub(super) fn gateway_without_network_view(mesh: &Mesh, found: &mut Findings) {
    // By the text of the gateway: a base that several clusters share is said once.
    let mut lacking: BTreeMap<Span, Vec<(&In<Service>, &Text)>> = BTreeMap::new();
    for service in passthrough_services(mesh).filter(|s| mesh.has_several_networks(s.cluster)) {
        let Some(network) = service.network() else { continue };
        let by_istiod = service.meta.label(GATEWAY_NAME_LABEL).is_some();
        let written = |pods: &PodShape<'_>| {
            pods.spec.containers.iter().any(|c| c.name == "istio-proxy") && !mesh.has_maker(pods)
        };
        let pods = mesh.shapes_behind(service).find(|pods| written(pods) && !has_view(mesh, pods));
        if let Some(pods) = pods.filter(|pods| !by_istiod && !mesh.is_assumed(pods.meta)) {
            lacking.entry(pods.named_at()).or_default().push((service, network));
        }
    }
    for (at, gateways) in lacking {
        let clusters: BTreeSet<&str> =
            gateways.iter().map(|(service, _)| mesh.cluster_name(service.cluster)).collect();
        let (of, may) = match clusters.len() {
            1 => ("the gateway", "may hand"),
            _ => ("the gateways", "may each hand"),
        };
        let finding = found.say(
            format!(
                "{of} of {} {may} requests of other networks on to other networks",
                list(clusters.iter().copied())
            ),
            at,
            format!(
                "no `{NETWORK_VIEW}`: it gets the endpoints of all networks, by their gateways"
            ),
        );
        for (_, network) in gateways.iter().take(SHOWN) {
            finding.also(network.span, format!("the gateway of network `{network}`"));
        }
        let networks: BTreeSet<&str> = gateways.iter().map(|(_, n)| n.as_str()).collect();
        let network = match networks.first() {
            Some(only) if networks.len() == 1 => *only,
            _ => "NETWORK",
        };
        finding.help(format!(
            "set `{NETWORK_VIEW}: {network}` in its proxy's environment; in the gateway chart \
             `networkGateway: {network}` does, and labels the Service too"
        ));
    }
}

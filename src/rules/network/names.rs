//! What clusters, namespaces, gateways and pods say of the network they are in.

use std::collections::BTreeSet;

use crate::clusters::{Cluster, Origin};
use crate::finding::{Findings, Severity};
use crate::kinds::is_placeholder;
use crate::mesh::{Mesh, NETWORK_LABEL, NETWORK_VIEW, value};
use crate::source::{Span, Text};

/// Who says which network a cluster is in.
struct Claim<'m> {
    network: &'m str,
    at: Span,
    by: String,
}

impl<'m> Claim<'m> {
    fn new(network: &'m Text, by: impl Into<String>) -> Self {
        Self { network: network.as_str(), at: network.span, by: by.into() }
    }
}

/// All that is told of the network of a cluster, by its control plane and its gateways.
fn claims<'m>(mesh: &'m Mesh, cluster: &'m Cluster) -> Vec<Claim<'m>> {
    let mut found: Vec<Claim<'m>> = Vec::new();
    let configured = cluster.config.as_ref().and_then(|config| config.network.as_ref());
    found.extend(configured.map(|network| Claim::new(network, "configuration")));
    // A Namespace that several texts make has the labels of all of them.
    let sure = |network: &Text, is_label: bool| {
        !mesh.is_guessed_at(network.span) && (is_label || !mesh.is_alternative_at(network.span))
    };
    let told = |origin| cluster.facts.network.iter().any(|fact| fact.origin == origin);
    let by_values = [Origin::IstioOperator, Origin::Sail, Origin::HelmValues].into_iter().any(told);
    for fact in cluster
        .facts
        .network
        .iter()
        .filter(|fact| sure(&fact.value, fact.origin == Origin::Namespace))
    {
        // That a path fits the values beside it is a question of its own.
        if by_values && fact.origin == Origin::InjectionPath {
            continue;
        }
        found.push(Claim::new(&fact.value, fact.origin.to_string()));
    }
    let installed = cluster.facts.network_gateways.iter().filter(|network| sure(network, false));
    found.extend(installed.map(|network| Claim::new(network, "a gateway's installation")));
    let services = mesh.gateway_services().filter(|s| s.cluster == cluster.id);
    for service in services.filter(|s| !mesh.is_assumed(&s.meta)) {
        found.extend(
            service.network().map(|network| Claim::new(network, "the label of its gateway")),
        );
        for pods in mesh.shapes_behind(service) {
            let view = pods.proxy_env(NETWORK_VIEW).and_then(|variable| variable.value.as_ref());
            let networks = |view: &str| view.split(',').count();
            let view = view.filter(|view| !view.is_empty() && networks(view) == 1);
            found.extend(view.map(|view| Claim::new(view, "the view of its gateway")));
        }
    }
    found.retain(|claim| !is_placeholder(claim.network));
    found
}

pub(super) fn network_name_mismatch(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for cluster in mesh.clusters() {
        let claims = claims(mesh, cluster);
        let Some(first) = claims.first() else { continue };
        let Some(other) = claims.iter().find(|claim| claim.network != first.network) else {
            continue;
        };
        if !told.insert((first.at, other.at)) {
            continue;
        }
        let name = &cluster.name;
        let elsewhere = mesh.peers(cluster.id).any(|peer| peer.id != cluster.id)
            || mesh.clusters_elsewhere(cluster.id).next().is_some();
        let tail = if elsewhere { "" } else { ", which matters once a second cluster joins" };
        let finding = found.say(
            format!(
                "cluster `{name}` is in network `{}` by {}, and in `{}` by {}{tail}",
                first.network, first.by, other.network, other.by
            ),
            other.at,
            format!("`{}` here: nothing leads from the one to the other", other.network),
        );
        for claim in &claims {
            finding.also(claim.at, format!("`{}` by {}", claim.network, claim.by));
        }
        finding.help(format!(
            "call it alike in `global.network`, in the label `{NETWORK_LABEL}` of the control plane's \
             namespace and of the gateway's Service, and in the gateway's `{NETWORK_VIEW}`"
        ));
        if !elsewhere {
            finding.lower(Severity::Warning);
        }
    }
}

pub(super) fn network_namespace_label_missing(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for cluster in mesh.clusters() {
        let facts = &cluster.facts;
        let Some((namespace, network)) = mesh.unlabelled_for_network(cluster) else { continue };
        if !told.insert(namespace.named_at()) {
            continue;
        }
        let system = namespace.name();
        let here = mesh.namespaces.of_cluster(cluster.id).iter();
        let tail = if facts.ambient { "" } else { ", so only pods with a sidecar are in it" };
        let finding = found.say(
            format!(
                "namespace `{system}` of `{}` has no label for its network `{network}`{tail}",
                cluster.name
            ),
            namespace.named_at(),
            format!(
                "without `{NETWORK_LABEL}`: pods without the label are taken for local everywhere"
            ),
        );
        finding.also(network.span, format!("`{network}` is told here"));
        if let Some(annotation) = namespace.meta.annotation(NETWORK_LABEL) {
            finding.also(annotation.span, "an annotation: istiod reads the label alone");
        }
        for other in here {
            if let Some(label) = other.meta.label(NETWORK_LABEL) {
                finding.also(
                    label.span,
                    format!("the label of another namespace, `{}`", other.name()),
                );
            }
        }
        finding.help(format!(
            "`kubectl --context {} label namespace {system} {NETWORK_LABEL}={network}`",
            cluster.name
        ));
        if !facts.ambient {
            finding.lower(Severity::Warning);
        }
    }
}

pub(super) fn client_without_network(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for cluster in mesh.clusters().iter().filter(|c| mesh.has_several_networks(c.id)) {
        let facts = &cluster.facts;
        let install =
            |origin| matches!(origin, Origin::IstioOperator | Origin::Sail | Origin::HelmValues);
        let label = facts.network.iter().find(|fact| fact.origin == Origin::Namespace);
        let named = facts.name.iter().find(|fact| install(fact.origin));
        let (Some(label), Some(named)) = (label, named) else { continue };
        // What is told for the injector or for some gateway may be what its proxies get.
        let by_label = |origin| matches!(origin, Origin::Namespace | Origin::MeshNetworks);
        let by_environment = facts
            .mesh_config
            .iter()
            .any(|c| c.default_config.proxy_metadata.get("ISTIO_META_NETWORK").is_some());
        let is_told = facts.network.iter().any(|fact| !by_label(fact.origin));
        if is_told || by_environment || !told.insert(named.value.span) {
            continue;
        }
        found
            .say(
                format!(
                    "proxies of `{}` are not told that they are in network `{}`",
                    cluster.name, label.value
                ),
                named.value.span,
                "the cluster's name without its network: its proxies tell istiod none",
            )
            .also(label.value.span, "its endpoints are in this network")
            .help(format!(
                "set `global.network: {}` beside the cluster's name, and restart the pods",
                label.value
            ));
    }
}

pub(super) fn pod_network_label_differs(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for pods in mesh.pod_shapes().filter(|pods| !mesh.has_maker(pods)) {
        let cluster = mesh.cluster(pods.cluster);
        let Some(label) = pods.labels.get(NETWORK_LABEL) else { continue };
        let Some(network) = cluster.network() else { continue };
        let open = [label, network].iter().any(|text| is_placeholder(text));
        let contradicted = cluster.contradictions().iter().any(|told| told.what == "network");
        let mut leads = mesh.gateway_services().filter(|s| s.cluster == pods.cluster);
        let is_gateway = leads.any(|s| {
            value(s.network()) == Some(label.as_str())
                && s.namespace == pods.namespace
                && s.selector.as_ref().is_some_and(|selector| pods.is_selected_by(selector))
        });
        let same = label == network || label.is_empty();
        if open || same || contradicted || is_gateway || mesh.is_assumed(pods.meta) {
            continue;
        }
        if told.insert(label.span) {
            found
                .say(
                    format!("{} says that it is in network `{label}`, and `{}` is in `{network}`", pods.called(), cluster.name),
                    label.span,
                    "the label goes first: other pods of the cluster reach these through a gateway, or not at all",
                )
                .also(network.span, format!("the network of `{}`", cluster.name))
                .help("drop the label: injection sets it to the network of the cluster");
        }
    }
}

//! What the API server asks of Kubernetes' own kinds and of those of the Gateway API, beyond the table of
//! fields: names, and the ports of a Service.

use std::collections::BTreeMap;

use super::fault::Faults;
use super::gateway_api;
use super::look::{Look, is_whole, known_number, known_text};
use super::names;
use super::nearest::an;
use super::templates;
use super::walk::{Reader, walk};
use crate::kinds::{ISTIO_GROUPS, Meta};
use crate::yaml::{Shape, Value};

const GATEWAY_API: &str = "gateway.networking.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";

/// Groups, kinds and their blocks.
pub(super) const KINDS: &[(&str, &str, &str)] = &[
    ("", "ConfigMap", "ConfigMap"),
    ("", "Namespace", "Namespace"),
    ("", "Node", "Node"),
    ("", "Pod", "Pod"),
    ("", "Secret", "Secret"),
    ("", "Service", "Service"),
    (ADMISSION, "MutatingWebhookConfiguration", "MutatingWebhookConfiguration"),
    (ADMISSION, "ValidatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
    ("apps", "DaemonSet", "DaemonSet"),
    ("apps", "Deployment", "Deployment"),
    ("apps", "ReplicaSet", "ReplicaSet"),
    ("apps", "StatefulSet", "StatefulSet"),
    ("argoproj.io", "Rollout", "Rollout"),
    ("autoscaling", "HorizontalPodAutoscaler", "HorizontalPodAutoscaler"),
    ("batch", "CronJob", "CronJob"),
    ("batch", "Job", "Job"),
    ("discovery.k8s.io", "EndpointSlice", "EndpointSlice"),
    (GATEWAY_API, "GRPCRoute", "GRPCRoute"),
    (GATEWAY_API, "Gateway", "api/Gateway"),
    (GATEWAY_API, "HTTPRoute", "api/HTTPRoute"),
    (GATEWAY_API, "ReferenceGrant", "ReferenceGrant"),
    (GATEWAY_API, "TCPRoute", "api/TCPRoute"),
    (GATEWAY_API, "TLSRoute", "api/TLSRoute"),
    (GATEWAY_API, "UDPRoute", "UDPRoute"),
    ("policy", "PodDisruptionBudget", "PodDisruptionBudget"),
];

/// What is wrong with a resource of one of these kinds, or with the head of one of Istio's.
pub(super) fn check(root: Value<'_>, meta: &Meta, faults: &mut Faults<'_>) {
    // What SOPS has encrypted is another text once it is decrypted.
    if root.get("sops").is_some() {
        return;
    }
    let kind = (meta.group(), meta.kind.as_str());
    if let Some((.., block)) = KINDS.iter().find(|(group, name, _)| kind == (*group, *name)) {
        walk(root, block, Reader::Kubernetes, faults);
    } else if let Some(head) = root.field("metadata").filter(|_| ISTIO_GROUPS.contains(&kind.0)) {
        walk(head, "ObjectMeta", Reader::Kubernetes, faults);
    } else {
        return;
    }
    name(root, meta, faults);
    match kind {
        ("", "Service") => ports(root, faults),
        ("apps" | "batch" | "argoproj.io", name) => templates::check(root, name, faults),
        ("autoscaling", "HorizontalPodAutoscaler") => most_replicas(root, faults),
        ("discovery.k8s.io", _) => templates::addresses(root, faults),
        ("policy", "PodDisruptionBudget") => either_bound(root, faults),
        (GATEWAY_API, "Gateway") => gateway_api::gateway(root, faults),
        (GATEWAY_API, _) => gateway_api::route(root, faults),
        _ => {}
    }
}

/// The name and namespace that the resource has in its cluster, after what kustomizations make of them.
fn name(root: Value<'_>, meta: &Meta, faults: &mut Faults<'_>) {
    // Names of Services may begin with a digit since Kubernetes 1.34.
    let is_label =
        meta.group().is_empty() && ["Namespace", "Service"].contains(&meta.kind.as_str());
    let (holds, help): (fn(&str) -> bool, _) = if is_label {
        (names::is_label, names::LABEL)
    } else {
        (names::is_subdomain, names::SUBDOMAIN)
    };
    let mut say = |key, now: &str, what: String, help| {
        let Some(value) = root.at(&["metadata", key]) else { return };
        let Some(written) = known_text(value) else { return };
        let made = if written == now { String::new() } else { format!(": `{now}`") };
        faults.invalid(value, what + &made, help);
    };
    let name = meta.name.as_str();
    if !name.is_empty() && !holds(name) {
        say("name", name, format!("is not a name that {} can have", an(&meta.kind)), help);
    }
    if let Some(namespace) = meta.namespace.as_ref().filter(|it| !names::is_label(it)) {
        let what = "is not the name of a namespace".to_owned();
        say("namespace", namespace, what, names::LABEL);
    }
}

/// An autoscaler has to have a greatest number of replicas. What names no target is a patch.
fn most_replicas(root: Value<'_>, faults: &mut Faults<'_>) {
    let Some(spec) = root.field("spec").filter(|it| is_whole(*it)) else { return };
    if spec.has("scaleTargetRef") && spec.field("maxReplicas").is_none() {
        faults.missing(spec, "maxReplicas", "say how many replicas there may be");
    }
}

fn either_bound(root: Value<'_>, faults: &mut Faults<'_>) {
    let Some(spec) = root.field("spec") else { return };
    if let (Some(least), Some(most)) = (spec.field("minAvailable"), spec.field("maxUnavailable")) {
        let help = "keep either `minAvailable` or `maxUnavailable`";
        faults.invalid(most, "stands beside `minAvailable`, which excludes it", help).also =
            Some((least.span(), "this excludes it"));
    }
}

/// Several ports of a Service have to have names, and no two a number and protocol in common.
fn ports(root: Value<'_>, faults: &mut Faults<'_>) {
    let Some(spec) = root.get("spec") else { return };
    let is_port = |port: &Value<'_>| {
        port.shape() == Shape::Mapping && port.entries().all(|(key, _)| known_text(key).is_some())
    };
    let are_several = spec.list("ports").nth(1).is_some();
    if !are_several || !spec.list("ports").all(|port| is_port(&port)) {
        return;
    }
    // What has none of these is a patch for a Service that stands elsewhere.
    let is_whole = ["clusterIP", "externalName", "selector", "type"].iter().any(|it| spec.has(it));
    let mut first = BTreeMap::new();
    for port in spec.list("ports") {
        if is_whole && !port.has("name") {
            let help = "give it a name: a Service with several ports has to name each";
            faults.missing(port, "name", help);
        }
        let Some((number, at)) = port.field("port").and_then(|it| Some((known_number(it)?, it)))
        else {
            continue;
        };
        let Some(protocol) = port.word_or("protocol", "TCP") else { continue };
        if let Some(there) = first.insert((number, protocol.clone()), at.span()) {
            let what = format!("stands in the list twice: {number} of {protocol}");
            let help = "keep one of both, or give one another number";
            faults.invalid(at, what, help).also = Some((there, "first here"));
        }
    }
}

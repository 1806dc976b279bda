//! What the API server asks of Kubernetes' own kinds and of those of the Gateway API, beyond the table of
//! fields: names, and the ports of a Service.

use std::collections::BTreeMap;

use super::fault::Faults;
use super::look::{Look, known_number, known_text};
use super::names;
use super::nearest::an;
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
    if kind == ("", "Service") {
        ports(root, faults);
    }
}

/// The name and namespace that the resource has in its cluster, after what kustomizations make of them.
fn name(root: Value<'_>, meta: &Meta, faults: &mut Faults<'_>) {
    let written = |key| root.at(&["metadata", key]).filter(|value| known_text(*value).is_some());
    // Names of Services may begin with a digit since Kubernetes 1.34.
    let is_label =
        meta.group().is_empty() && ["Namespace", "Service"].contains(&meta.kind.as_str());
    let (holds, help): (fn(&str) -> bool, _) = if is_label {
        (names::is_label, names::LABEL)
    } else {
        (names::is_subdomain, names::SUBDOMAIN)
    };
    let name = meta.name.as_str();
    if let Some(value) = written("name").filter(|_| !name.is_empty() && !holds(name)) {
        let what = format!("is not a name that {} can have: `{name}`", an(&meta.kind));
        faults.invalid(value, what, help);
    }
    let Some(namespace) = &meta.namespace else { return };
    if let Some(value) = written("namespace").filter(|_| !names::is_label(namespace)) {
        let what = format!("is not the name of a namespace: `{namespace}`");
        faults.invalid(value, what, names::LABEL);
    }
}

/// Several ports of a Service have to have names, and no two a number and protocol in common.
fn ports(root: Value<'_>, faults: &mut Faults<'_>) {
    let ports = || root.get("spec").into_iter().flat_map(|spec| spec.list("ports"));
    let is_port = |port: &Value<'_>| {
        port.shape() == Shape::Mapping && port.entries().all(|(key, _)| known_text(key).is_some())
    };
    if ports().nth(1).is_none() || !ports().all(|port| is_port(&port)) {
        return;
    }
    let mut first = BTreeMap::new();
    for port in ports() {
        if !port.has("name") {
            let help = "give it a name: a Service with several ports has to name each";
            faults.missing(port, "name", help);
        }
        let Some(number) = port.field("port").and_then(known_number) else { continue };
        let Some(protocol) = port.word_or("protocol", "TCP") else { continue };
        match first.get(&(number, protocol.clone())) {
            None => drop(first.insert((number, protocol), port)),
            Some(there) => {
                let (Some(again), Some(there)) = (port.get("port"), there.get("port")) else {
                    continue;
                };
                let what = format!("stands in the list twice: {number} of {protocol}");
                let help = "keep one of both, or give one another number";
                faults.invalid(again, what, help).also = Some((there.span(), "first here"));
            }
        }
    }
}

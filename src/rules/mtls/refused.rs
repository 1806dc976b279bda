//! What clients send by a DestinationRule, and servers do not take by their PeerAuthentication.

use std::collections::BTreeSet;

use crate::finding::Findings;
use crate::kinds::core::{Service, ServicePort};
use crate::mesh::{In, Lookup, Mesh, PodShape, Subset, value};
use crate::source::{Span, Text};
use crate::traffic::Traffic;
use crate::traffic::effective::EffectivePolicy;
use crate::traffic::mtls::PeerPolicies;
use crate::traffic::policy::{Part, Policy};

/// What makes a sidecar leave ports of its pods alone.
const UNGUARDED: [&str; 2] = [
    "traffic.sidecar.istio.io/excludeInboundPorts",
    "traffic.sidecar.istio.io/includeInboundPorts",
];

/// What clients send, as far as it can be refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// No TLS.
    Plain,
    /// TLS without a certificate of the mesh.
    Simple,
    /// Istio's mTLS.
    Mutual,
}

/// Why servers do not take what is sent.
enum Refusal<'m> {
    /// This mode.
    Mode(&'m Text),
    /// Nothing in front of the pods knows mTLS.
    NoProxy(Span),
}

pub(in crate::rules) fn refused_by_server(traffic: &Traffic<'_>, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for policy in traffic.policies().iter().filter(|policy| policy.is_certain) {
        let Some(host) = policy.host else { continue };
        let services = host.services_of_mesh(policy.control_plane);
        let mut ports = services.flat_map(|s| s.ports.iter().map(move |port| (s, port)));
        let refused =
            ports.find_map(|(service, port)| refused(traffic.mesh(), policy, service, port));
        let Some((sent, at, refusal)) = refused.filter(|(_, at, _)| told.insert((*at, host.name)))
        else {
            continue;
        };
        say(policy, (sent, at), &refusal, found);
    }
}

/// What is sent to a port of a Service by a policy, where that is told, and why it is refused there.
fn refused<'m>(
    mesh: &'m Mesh,
    policy: &EffectivePolicy<'m>,
    service: &'m In<Service>,
    port: &ServicePort,
) -> Option<(Sent, Span, Refusal<'m>)> {
    let number = port.port.as_ref().map(|port| u32::from(port.value));
    if mesh.is_assumed(&service.meta) || policy.port.is_some_and(|own| Some(own.value) != number) {
        return None;
    }
    let subset = policy.subset.map(|subset| subset.name.as_str());
    let Part::Set { value: tls, .. } = Policy::of(Some(&policy.rule), subset, number).tls else {
        return None;
    };
    let (sent, at) = match tls.mode.as_ref() {
        None => (Sent::Plain, tls.span),
        Some(mode) => match mode.as_str() {
            "DISABLE" => (Sent::Plain, mode.span),
            "SIMPLE" => (Sent::Simple, mode.span),
            "ISTIO_MUTUAL" => (Sent::Mutual, mode.span),
            _ => return None,
        },
    };
    let is_meant = |pods: &PodShape<'_>| {
        let mut labels = policy.subset.into_iter().flat_map(Subset::pod_labels);
        labels.all(|(key, want)| value(pods.labels.get(key)) == Some(want.as_str()))
    };
    let mut pods = mesh.shapes_behind(service).filter(is_meant);
    let refusal = pods.find_map(|pods| refusal(mesh, sent, &pods, port))?;
    Some((sent, at, refusal))
}

/// Why pods refuse what is sent to a port, where they certainly do.
fn refusal<'m>(
    mesh: &'m Mesh,
    sent: Sent,
    pods: &PodShape<'m>,
    port: &ServicePort,
) -> Option<Refusal<'m>> {
    let Lookup::Found(plane) = mesh.config_cluster(pods.cluster) else { return None };
    let (sidecar, ambient) = (mesh.has_sidecar(pods), mesh.is_ambient(pods));
    if sent == Sent::Mutual && sidecar == Some(false) && ambient == Some(false) {
        return Some(Refusal::NoProxy(pods.named_at()));
    }
    if UNGUARDED.iter().any(|key| pods.annotations.get(key).is_some()) {
        return None;
    }
    let label = |key: &str| value(pods.labels.get(key));
    let policies = PeerPolicies::of(mesh, plane, pods.namespace, label);
    if !policies.is_certain(mesh) || policies.has_ports() && port.target().is_none() {
        return None;
    }
    let mode = policies.mode(port.target())?;
    let refused = match mode.as_str() {
        "STRICT" => sent != Sent::Mutual,
        "DISABLE" => sent == Sent::Mutual,
        _ => false,
    };
    (refused && sidecar == Some(true)).then_some(Refusal::Mode(mode))
}

fn say(
    policy: &EffectivePolicy<'_>,
    (sent, at): (Sent, Span),
    refusal: &Refusal<'_>,
    found: &mut Findings,
) {
    let host = policy.at_host();
    let rule = policy.written_in().name();
    let what = match sent {
        Sent::Plain => "plain text",
        Sent::Simple => "TLS without a certificate",
        Sent::Mutual => "Istio's mTLS",
    };
    let (effect, place, why) = match refusal {
        Refusal::Mode(mode) if sent == Sent::Mutual => (
            "its pods take no mTLS: connections break in the handshake",
            mode.span,
            "its pods take plain text alone",
        ),
        Refusal::Mode(mode) => (
            "its pods take Istio's mTLS alone: connections are reset",
            mode.span,
            "nothing else is let in",
        ),
        Refusal::NoProxy(at) => (
            "pods of it have no proxy to take mTLS: connections break in the handshake",
            *at,
            "without a sidecar, and not in ambient",
        ),
    };
    let finding = found.say(
        format!("requests to {host} fail: DestinationRule `{rule}` sends {what}"),
        at,
        effect,
    );
    finding.also(place, why).help(
        "take `tls` out of the rule: without it clients use mTLS where the server takes it, and plain text \
         elsewhere",
    );
}

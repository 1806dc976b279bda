//! Policies that choose the pods of the Gateway API's gateways by label.

use std::collections::BTreeSet;

use crate::finding::{Findings, Severity};
use crate::kinds::Meta;
use crate::kinds::parts::TargetRef;
use crate::kinds::workloads::Selector;
use crate::mesh::{GATEWAY_NAME_LABEL, In, Mesh, value};
use crate::source::{Span, Text};

/// A policy that may choose its workloads by label.
struct Policy<'m> {
    cluster: crate::clusters::ClusterId,
    namespace: &'m str,
    meta: &'m Meta,
    selector: &'m Selector,
}

fn policy<'m, S>(
    object: &'m In<S>,
    selector: Option<&'m Selector>,
    target: Option<&TargetRef>,
    targets: &[TargetRef],
) -> Option<Policy<'m>> {
    let selector = selector.filter(|s| !s.match_labels.is_empty())?;
    let attached = target.is_some() || !targets.is_empty();
    let (cluster, namespace) = (object.cluster, object.namespace.as_str());
    (!attached).then(|| Policy { cluster, namespace, meta: &object.meta, selector })
}

macro_rules! policies {
    ($mesh:expr, $($field:ident),*) => {
        std::iter::empty()$(.chain($mesh.$field.iter().filter_map(|p| {
            policy(p, p.selector.as_ref(), p.target_ref.as_ref(), &p.target_refs)
        })))*
    };
}

/// The gateway whose pods a policy chooses and no others: its name, where it is told, and whether it is a
/// waypoint.
fn gateway<'m>(mesh: &'m Mesh, policy: &Policy<'m>) -> Option<(&'m Text, Span, bool)> {
    let waypoint = |name: &str| {
        let gateways = mesh.api_gateways.iter().filter(|g| g.cluster == policy.cluster);
        let mut named = gateways.filter(|g| g.namespace == policy.namespace && g.name() == name);
        named.find(|g| value(g.gateway_class_name.as_ref()) == Some("istio-waypoint"))
    };
    if let Some(name) = policy.selector.match_labels.get(GATEWAY_NAME_LABEL)
        && let Some(gateway) = waypoint(name)
    {
        return Some((name, gateway.named_at(), true));
    }
    let pods = mesh.pods_under_in(policy.cluster, policy.namespace);
    let chosen: Vec<_> = pods.filter(|p| p.is_selected_by(&policy.selector.match_labels)).collect();
    let first = chosen.first()?;
    let name = first.labels.get(GATEWAY_NAME_LABEL)?;
    let all = chosen.iter().all(|p| p.labels.get(GATEWAY_NAME_LABEL).is_some());
    all.then(|| (name, first.named_at(), waypoint(name).is_some()))
}

pub(super) fn policy_selects_gateway_pods(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    let all =
        policies!(mesh, authorization_policies, request_authentications, telemetries, wasm_plugins);
    for policy in all.filter(|p| mesh.is_read_in(p.cluster) && !mesh.is_assumed(p.meta)) {
        let Some((name, at, is_waypoint)) = gateway(mesh, &policy) else { continue };
        let Some((_, first)) = policy.selector.match_labels.iter().next() else { continue };
        if !told.insert(first.span) {
            continue;
        }
        let kind = &policy.meta.kind;
        let mut message =
            format!("{kind} `{}` selects the pods of Gateway `{name}` by label", policy.meta.name);
        let label = if is_waypoint {
            "waypoints ignore policies with a `selector`: this one has no effect"
        } else {
            message.push_str(
                ", which works while `ENABLE_SELECTOR_BASED_K8S_GATEWAY_POLICY` is on in istiod",
            );
            "policies for a Gateway of the Gateway API name it in `targetRefs`"
        };
        let finding = found.say(message, first.span, label);
        if !is_waypoint {
            finding.lower(Severity::Note);
        }
        finding.also(at, "the gateway").help(format!(
            "replace `selector` by `targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: {name}}}]`"
        ));
    }
}

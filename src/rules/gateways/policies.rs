//! Policies that choose the pods of the Gateway API's gateways by label.

use std::collections::BTreeSet;

use crate::finding::{Findings, Severity};
use crate::mesh::{GATEWAY_NAME_LABEL, Mesh};
use crate::rules::policies::{self, Policy};
use crate::source::{Span, Text};
use crate::yaml::Entries;

/// The gateway whose pods a policy chooses and no others: its name, where it is told, and whether it is a
/// waypoint.
fn gateway<'m>(
    mesh: &'m Mesh,
    policy: &Policy<'m>,
    labels: &'m Entries<Text>,
) -> Option<(&'m Text, Span, bool)> {
    let waypoint = |name: &str| {
        let mut near = mesh.api_gateways.of_namespace(policy.cluster, policy.namespace);
        near.find(|g| g.name() == name && g.is_waypoint())
    };
    if let Some(name) = labels.get(GATEWAY_NAME_LABEL)
        && let Some(gateway) = waypoint(name)
    {
        return Some((name, gateway.named_at(), true));
    }
    let pods = mesh.pods_under_in(policy.cluster, policy.namespace);
    let chosen: Vec<_> = pods.filter(|p| p.is_selected_by(labels)).collect();
    let first = chosen.first()?;
    let name = first.labels.get(GATEWAY_NAME_LABEL)?;
    let all = chosen.iter().all(|p| p.labels.get(GATEWAY_NAME_LABEL).is_some());
    all.then(|| (name, first.named_at(), waypoint(name).is_some()))
}

pub(super) fn policy_selects_gateway_pods(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for policy in policies::read(mesh).filter(|p| p.targets.is_empty()) {
        let Some(labels) = policy.labels else { continue };
        let Some((name, at, is_waypoint)) = gateway(mesh, &policy, labels) else { continue };
        let Some((_, first)) = labels.iter().next() else { continue };
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

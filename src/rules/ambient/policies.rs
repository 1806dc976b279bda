//! Policies that ztunnel cannot enforce.

use std::collections::BTreeSet;

use crate::finding::{Findings, Severity};
use crate::kinds::parts::TargetRef;
use crate::kinds::security::AuthorizationPolicy;
use crate::mesh::{
    Attachable, Enrolment, GATEWAY_NAME_LABEL, Lookup, Mesh, PodShape, is_ambient_namespace, value,
};
use crate::rules::policies::{self, Does, Policy};
use crate::source::Span;

pub(super) fn policy_needs_waypoint(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for policy in policies::read(mesh).filter(|policy| policy.targets.is_empty()) {
        let Some(beyond) = beyond_ztunnel(&policy) else { continue };
        let Some(ambient) = for_ambient_alone(mesh, &policy) else { continue };
        if !told.insert(beyond.at) {
            continue;
        }
        let message = format!("{} needs a waypoint, and is for ztunnel", policy.called());
        let finding = found.say(message, beyond.at, beyond.effect);
        finding
            .also(ambient, "in ambient: here only ztunnel goes by policies without `targetRefs`");
        if beyond.severity != Severity::Error {
            finding.milder(beyond.severity, ", which passes over it");
        }
        finding.help(
            "attach it to a waypoint: `targetRefs` with the Service (`group: \"\"`) or the Gateway of the \
             waypoint, in place of `selector`",
        );
    }
}

/// What ztunnel cannot do of a policy.
struct Beyond {
    /// Where it stands.
    at: Span,
    /// What comes of it.
    effect: &'static str,
    severity: Severity,
}

fn beyond_ztunnel(policy: &Policy<'_>) -> Option<Beyond> {
    let whole = |effect, severity| Some(Beyond { at: policy.meta.name.span, effect, severity });
    match policy.does {
        Does::Authorize(authorization) => of_authorization(authorization),
        Does::Authenticate => {
            whole("ztunnel verifies no tokens: it has no effect", Severity::Error)
        }
        Does::Extend => whole("ztunnel runs no extensions: it has no effect", Severity::Error),
        // One for a whole namespace is for its waypoints too.
        Does::Observe if policy.labels.is_some() => {
            whole("ztunnel reads no Telemetry: it has no effect", Severity::Warning)
        }
        Does::Observe => None,
    }
}

fn of_authorization(policy: &AuthorizationPolicy) -> Option<Beyond> {
    let rules = policy.rules.as_deref().unwrap_or_default();
    let http = rules.iter().find_map(|rule| rule.of_http()).map(|text| text.span);
    let (at, effect, severity) = match (value(policy.action.as_ref()), &policy.action) {
        (None | Some("ALLOW"), _) => (
            http?,
            "ztunnel sees no HTTP: it leaves this rule out, and allows nothing by it",
            Severity::Error,
        ),
        (Some("DENY"), _) => (
            http?,
            "ztunnel sees no HTTP: it denies whatever fits the rest of the rule",
            Severity::Error,
        ),
        (Some("CUSTOM"), Some(action)) => (
            action.span,
            "ztunnel asks no one: requests pass as if there were no policy",
            Severity::Error,
        ),
        (Some("AUDIT"), Some(action)) => {
            (action.span, "ztunnel logs nothing of it", Severity::Warning)
        }
        _ => return None,
    };
    Some(Beyond { at, effect, severity })
}

/// What shows that all pods a policy is for are in ambient, where that is certain.
fn for_ambient_alone(mesh: &Mesh, policy: &Policy<'_>) -> Option<Span> {
    if policy.namespace == mesh.root_namespace(policy.cluster) {
        return None;
    }
    let fits = |pods: &PodShape<'_>| policy.labels.is_none_or(|labels| pods.is_selected_by(labels));
    let of_gateway = |labels: &crate::yaml::Entries<_>| labels.get(GATEWAY_NAME_LABEL).is_some();
    let mut pods = mesh.pods_under_in(policy.cluster, policy.namespace).filter(fits).peekable();
    let none = pods.peek().is_none();
    let mut first = None;
    for pods in pods {
        match mesh.is_ambient(&pods) {
            Some(true) => first = first.or(Some(pods.named_at())),
            // It is for no proxy at all.
            Some(false) if mesh.has_sidecar(&pods) == Some(false) => {}
            _ => return None,
        }
    }
    match (policy.labels, first) {
        (Some(labels), _) if of_gateway(labels) => None,
        (Some(_), first) => first,
        // What is for a whole namespace is for its gateways too.
        (None, _) if has_gateway(mesh, policy) => None,
        (None, Some(first)) => Some(first),
        (None, None) => match mesh.namespace(policy.cluster, policy.namespace) {
            Lookup::Found(ns) if none && is_ambient_namespace(ns) && !mesh.is_assumed(&ns.meta) => {
                Some(ns.named_at())
            }
            _ => None,
        },
    }
}

/// Whether the namespace of a policy has a gateway that goes by policies without `targetRefs`.
fn has_gateway(mesh: &Mesh, policy: &Policy<'_>) -> bool {
    let here = |cluster, namespace: &str| {
        mesh.same_mesh(cluster, policy.cluster) && namespace == policy.namespace
    };
    mesh.api_gateways.iter().any(|g| here(g.cluster, &g.namespace) && !g.is_waypoint())
}

pub(super) fn target_without_waypoint(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for policy in policies::read(mesh) {
        for target in &policy.targets {
            let Some(name) = &target.name else { continue };
            let Some((at, certain)) = without_waypoint(mesh, &policy, target) else { continue };
            if !told.insert(name.span) {
                continue;
            }
            let kind = value(target.kind.as_ref()).unwrap_or("Service");
            let finding = found.say(
                format!(
                    "{} is attached to {kind} `{name}`, which has no waypoint",
                    policy.called()
                ),
                name.span,
                "only waypoints go by it: it has no effect",
            );
            finding.also(at, "no `istio.io/use-waypoint` here, nor at its namespace");
            if !certain {
                finding.milder(Severity::Note, ", unless somebody labels it by hand");
            }
            finding.help(
                "label the namespace or the Service `istio.io/use-waypoint: NAME`, or choose workloads by \
                 `selector`",
            );
        }
    }
}

/// What a policy is attached to, where all that defines it is there and asks for no waypoint, and whether
/// that is certain.
fn without_waypoint(mesh: &Mesh, policy: &Policy<'_>, target: &TargetRef) -> Option<(Span, bool)> {
    let name = value(target.name.as_ref())?;
    let near = |cluster, namespace: &str| {
        mesh.same_mesh(cluster, policy.cluster) && namespace == policy.namespace
    };
    let group = value(target.group.as_ref()).unwrap_or_default();
    let all: Vec<_> = match (group, value(target.kind.as_ref())?) {
        ("" | "core", "Service") => {
            let all = mesh.services.iter().filter(|s| near(s.cluster, &s.namespace));
            all.filter(|s| s.name() == name).map(|s| (s.cluster, &s.meta, s.named_at())).collect()
        }
        ("networking.istio.io", "ServiceEntry") => {
            let all = mesh.service_entries.iter().filter(|e| near(e.cluster, &e.namespace));
            all.filter(|e| e.name() == name).map(|e| (e.cluster, &e.meta, e.named_at())).collect()
        }
        _ => return None,
    };
    let mut certain = true;
    for (cluster, meta, _) in &all {
        match mesh.enrolment(&meta.labels, (*cluster, policy.namespace)) {
            _ if mesh.is_assumed(meta) => return None,
            Enrolment::Without => {}
            Enrolment::Untold => certain = false,
            Enrolment::Through(_) | Enrolment::Unknown => return None,
        }
    }
    all.first().map(|(.., at)| (*at, certain))
}

pub(super) fn unknown_target(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for policy in policies::read(mesh) {
        for target in &policy.targets {
            let (Some(kind), Some(name)) = (value(target.kind.as_ref()), &target.name) else {
                continue;
            };
            let named = Attachable {
                group: value(target.group.as_ref()).unwrap_or_default(),
                kind,
                namespace: policy.meta.namespace.as_ref().map(|_| policy.namespace),
                name,
            };
            let Lookup::Absent { nearest } = mesh.attachable(policy.cluster, named) else {
                continue;
            };
            if name.is_empty() || !told.insert(name.span) {
                continue;
            }
            let finding = found.say(
                format!(
                    "{} is attached to {kind} `{name}`, which `{}` does not have",
                    policy.called(),
                    policy.namespace
                ),
                name.span,
                "attached to nothing: it has no effect",
            );
            if nearest.is_none() && !mesh.is_complete_under(policy.cluster) {
                finding.milder(Severity::Warning, ", unless it is made elsewhere");
            }
            finding.help(match nearest {
                Some(nearest) => format!("use `{nearest}`"),
                None => "correct the name; what a policy is attached to is in its own namespace"
                    .to_owned(),
            });
        }
    }
}

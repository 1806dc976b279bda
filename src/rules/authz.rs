//! Authorization: policies that allow or deny nothing, or not what they seem to.

use std::collections::{BTreeMap, BTreeSet};

mod identity;
mod principals;
mod values;

use super::selected::{Selecting, is_placed, may_be_added};
use super::{Rule, rule};
use crate::finding::{Finding, Findings, Severity};
use crate::kinds::is_placeholder;
use crate::kinds::security::AuthorizationPolicy;
use crate::mesh::{In, Lookup, Mesh, PodShape, value};
use crate::source::{Span, Text};
use crate::yaml::Entries;

pub(super) const RULES: &[Rule] = &[
    rule!("authz/authentication-selects-no-workload", authentication_selects_no_workload),
    rule!("authz/identity-without-mtls", identity::identity_without_mtls),
    rule!("authz/impossible-value", values::impossible_value),
    rule!("authz/jwks-fetch-unrestricted", jwks_fetch_unrestricted),
    rule!("authz/policy-selects-no-workload", policy_selects_no_workload),
    rule!("authz/unknown-method", unknown_method),
    rule!("authz/unknown-principal", principals::unknown_principal),
    rule!("authz/unknown-source-namespace", unknown_source_namespace),
];

/// Policies that a control plane reads as they stand.
fn read(mesh: &Mesh) -> impl Iterator<Item = &In<AuthorizationPolicy>> {
    let all = mesh.authorization_policies.iter();
    all.filter(|p| mesh.is_read_in(p.cluster) && !mesh.is_assumed(&p.meta))
}

/// The labels of the workloads a policy is for; none where it is for all of them.
fn labels(policy: &AuthorizationPolicy) -> Option<&Entries<Text>> {
    policy.selector.as_ref().map(|s| &s.match_labels).filter(|labels| !labels.is_empty())
}

/// The pods that a policy is for.
fn meant<'m>(
    mesh: &'m Mesh,
    policy: &'m In<AuthorizationPolicy>,
    is_root: bool,
) -> Vec<PodShape<'m>> {
    let fits =
        |pods: &PodShape<'_>| labels(policy).is_none_or(|labels| pods.is_selected_by(labels));
    if is_root {
        return mesh.pods_under(policy.cluster).filter(fits).collect();
    }
    mesh.pods_under_in(policy.cluster, &policy.namespace).filter(fits).collect()
}

/// Whether all workloads that a policy can be for would be in the input.
fn knows_workloads(mesh: &Mesh, policy: &In<AuthorizationPolicy>, is_root: bool) -> bool {
    match labels(policy) {
        None if is_root => false,
        Some(labels) if labels.iter().any(|(_, want)| is_placeholder(want)) => false,
        Some(labels) if may_be_added(mesh, policy.cluster, labels) => false,
        Some(_) if !is_root => mesh.knows_pods(policy.cluster, &policy.namespace),
        _ => mesh.is_complete_under(policy.cluster),
    }
}

fn policy_selects_no_workload(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for policy in read(mesh).filter(|p| p.target_ref.is_none() && p.target_refs.is_empty()) {
        let is_root = policy.namespace == mesh.root_namespace(policy.cluster);
        let chosen = meant(mesh, policy, is_root);
        let in_mesh = chosen.iter().any(|p| mesh.is_in_mesh(p) != Some(false));
        let placed = is_placed(mesh, policy.cluster, policy.told());
        if in_mesh || !placed || !knows_workloads(mesh, policy, is_root) {
            continue;
        }
        let mut entries = mesh.workload_entries.iter();
        let first = labels(policy).and_then(|labels| labels.iter().next());
        let at = first.map_or(policy.named_at(), |(_, want)| want.span);
        if entries.any(|e| is_root || e.namespace == policy.namespace) || !told.insert(at) {
            continue;
        }
        let (label, help) = match chosen.as_slice() {
            [] => (
                "no pod has these labels: the policy has no effect",
                "correct the labels, or remove the policy",
            ),
            _ => (
                "its pods are not in the mesh: no proxy enforces it",
                "bring the pods into the mesh (`istio-injection: enabled`)",
            ),
        };
        let pods = if chosen.is_empty() { "" } else { " that is in the mesh" };
        let own = format!("namespace `{}`{pods}", policy.namespace);
        let place = if is_root { "any namespace" } else { own.as_str() };
        let message =
            format!("AuthorizationPolicy `{}` selects no workload of {place}", policy.name());
        let finding = found.say(message, at, label);
        if let Some(pods) = chosen.first() {
            finding.also(pods.named_at(), "no sidecar, and not in ambient mode");
        }
        finding.help(help);
        if chosen.is_empty() && !is_root {
            Selecting::new(policy, labels(policy)).weigh(mesh, finding);
        }
    }
}

fn authentication_selects_no_workload(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    let all = mesh.request_authentications.iter();
    for policy in all.filter(|p| p.target_ref.is_none() && p.target_refs.is_empty()) {
        // In the root namespace it is for the pods of all namespaces.
        if policy.namespace == mesh.root_namespace(policy.cluster) {
            continue;
        }
        let selecting = Selecting::new(policy, policy.selector.as_ref().map(|s| &s.match_labels));
        let says = ["tokens are not verified", ", or remove the policy"];
        selecting.tell_of_nobody(mesh, found, &mut told, says);
    }
}

/// Whether a pattern of a policy's source means a namespace.
fn means(pattern: &str, namespace: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(tail), _) => namespace.ends_with(tail),
        (_, Some(head)) => namespace.starts_with(head),
        _ => namespace.eq_ignore_ascii_case(pattern),
    }
}

fn unknown_source_namespace(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    let mut by_mesh: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for policy in read(mesh) {
        let number = mesh.cluster(policy.cluster).mesh;
        let known: &BTreeSet<&str> =
            by_mesh.entry(number).or_insert_with(|| mesh.namespaces_of_mesh(policy.cluster));
        let sources =
            policy.rules.iter().flatten().flat_map(|rule| &rule.from).map(|from| &from.source);
        for source in sources {
            for name in source.namespaces.iter().chain(&source.not_namespaces) {
                let meant = known.iter().any(|ns| means(name, ns));
                if meant
                    || is_placeholder(name)
                    || name.is_empty()
                    || !mesh.would_show_namespace(name.trim_matches('*'), policy.cluster)
                    || !told.insert(name.span)
                {
                    continue;
                }
                let negated = source.not_namespaces.iter().any(|n| n.span == name.span);
                let finding = say_unknown(policy, name, negated, found);
                let nearest = Lookup::<()>::absent(name, known.iter().copied());
                if let Lookup::Absent { nearest: Some(nearest) } = nearest {
                    finding.help(format!("use `{nearest}`, or remove it"));
                } else if !mesh.is_complete_under(policy.cluster) {
                    finding.milder(Severity::Note, ", unless it is created elsewhere");
                }
            }
        }
    }
}

fn say_unknown<'f>(
    policy: &In<AuthorizationPolicy>,
    name: &Text,
    negated: bool,
    found: &'f mut Findings,
) -> &'f mut Finding {
    let effect = match (negated, value(policy.action.as_ref()).unwrap_or("ALLOW")) {
        (true, _) => "this exempts nobody",
        (false, "ALLOW") => "this allows nobody",
        (false, "DENY") => "this denies nobody",
        (false, _) => "this matches nobody",
    };
    let called = policy.name();
    found
        .say(
            format!(
                "AuthorizationPolicy `{called}` names namespace `{name}`, which no cluster of the mesh has"
            ),
            name.span,
            format!("nobody comes from there: {effect}"),
        )
        .help("correct the name, or remove it")
}

/// Methods of HTTP and `WebDAV`. Source: IANA's registry of HTTP methods.
const METHODS: &[&str] = &[
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PRI",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "TRACE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

fn unknown_method(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for policy in mesh.authorization_policies.iter().filter(|p| mesh.is_read_in(p.cluster)) {
        let rules = policy.rules.iter().flatten().flat_map(|rule| &rule.to);
        for operation in rules.map(|to| &to.operation) {
            for method in operation.methods.iter().chain(&operation.not_methods) {
                let word = method.as_str();
                let open = word.is_empty() || word.contains('*') || is_placeholder(method);
                if open || METHODS.contains(&word) || !told.insert(method.span) {
                    continue;
                }
                let called = policy.name();
                let message = format!("AuthorizationPolicy `{called}` names method `{word}`");
                let upper = word.trim().to_ascii_uppercase();
                if METHODS.contains(&upper.as_str()) {
                    let label = "no request has it: methods are compared letter by letter";
                    found.say(message, method.span, label).help(format!("write `{upper}`"));
                } else {
                    let label = "HTTP has no such method";
                    let help = "correct it, or suppress this where your servers know it";
                    found
                        .say(message, method.span, label)
                        .milder(Severity::Warning, ", which is none of HTTP")
                        .help(help);
                }
            }
        }
    }
}

/// What keeps istiod from fetching keys from addresses it should not call.
const BLOCKED: &str = "BLOCKED_CIDRS_IN_JWKS_URIS";

fn jwks_fetch_unrestricted(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for istiod in mesh.workloads.iter().filter(|w| value(w.meta.label("app")) == Some("istiod")) {
        let policies = mesh.request_authentications.iter();
        let Some(policy) =
            policies.filter(|p| p.cluster == istiod.cluster).find(|p| !p.jwt_rules.is_empty())
        else {
            continue;
        };
        let containers = &istiod.template.spec.containers;
        // A variable without a value is filled in from elsewhere.
        let is_set = containers.iter().any(|c| {
            !c.env_from.is_empty()
                || c.env
                    .iter()
                    .any(|e| e.name == BLOCKED && e.value.as_ref().is_none_or(|v| !v.is_empty()))
        });
        if is_set || !told.insert(istiod.named_at()) {
            continue;
        }
        found
            .say(
                "istiod fetches keys for tokens from whatever address a RequestAuthentication names",
                istiod.named_at(),
                format!("`{BLOCKED}` is not set: addresses inside the cluster and the cloud's metadata are within reach"),
            )
            .also(policy.named_at(), "who may write such a policy chooses the address")
            .help(format!("set `{BLOCKED}` of istiod to the networks it must not call, such as `169.254.0.0/16`"));
    }
}

//! Authorization: policies that allow or deny nothing, or not what they seem to.

use std::collections::BTreeSet;

use super::{Rule, rule};
use crate::clusters::{Cluster, ClusterId};
use crate::finding::{Finding, Findings, Severity};
use crate::kinds::is_placeholder;
use crate::kinds::security::AuthorizationPolicy;
use crate::mesh::{In, Lookup, Mesh, PodShape, value};
use crate::source::{Span, Text};

pub(super) const RULES: &[Rule] = &[
    rule!("authz/jwks-fetch-unrestricted", jwks_fetch_unrestricted),
    rule!("authz/policy-selects-no-workload", policy_selects_no_workload),
    rule!("authz/unknown-source-namespace", unknown_source_namespace),
];

/// Policies that a control plane reads as they stand.
fn read(mesh: &Mesh) -> impl Iterator<Item = &In<AuthorizationPolicy>> {
    let all = mesh.authorization_policies.iter();
    all.filter(|p| mesh.is_read_in(p.cluster) && !mesh.is_assumed(&p.meta))
}

fn policy_selects_no_workload(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for policy in read(mesh).filter(|p| p.target_ref.is_none() && p.target_refs.is_empty()) {
        let is_root = policy.namespace == mesh.root_namespace(policy.cluster);
        let labels = policy.selector.as_ref().map(|s| &s.match_labels).filter(|l| !l.is_empty());
        let complete = mesh.is_complete_under(policy.cluster);
        let known = match labels {
            Some(_) if !is_root => mesh.knows_pods(policy.cluster, &policy.namespace),
            _ => complete,
        };
        let told_later =
            labels.into_iter().flat_map(|l| l.iter()).any(|(_, want)| is_placeholder(want));
        if !known || told_later || is_root && labels.is_none() {
            continue;
        }
        let near = |pods: &PodShape<'_>| is_root || pods.namespace == policy.namespace;
        let chosen: Vec<PodShape<'_>> = mesh
            .pods_under(policy.cluster)
            .filter(|p| near(p) && labels.is_none_or(|labels| p.is_selected_by(labels)))
            .collect();
        let entries =
            mesh.workload_entries.iter().any(|e| is_root || e.namespace == policy.namespace);
        let in_mesh = chosen.iter().any(|p| mesh.is_in_mesh(p) != Some(false));
        let at =
            labels.and_then(|l| l.iter().next()).map_or(policy.named_at(), |(_, want)| want.span);
        if in_mesh || entries || !told.insert(at) {
            continue;
        }
        let place = if is_root {
            "any namespace".to_owned()
        } else {
            format!("namespace `{}`", policy.namespace)
        };
        let finding = found.say(
            format!("AuthorizationPolicy `{}` is for no workload of {place}", policy.name()),
            at,
            if chosen.is_empty() {
                "no pod is meant: nothing is allowed or denied by it"
            } else {
                "the pods that are meant are not in the mesh: nobody enforces it"
            },
        );
        if let Some(pods) = chosen.first() {
            finding.also(pods.named_at(), "no sidecar, and not in ambient mode");
        }
        finding.help(if chosen.is_empty() {
            "correct the labels, or remove the policy"
        } else {
            "bring the pods into the mesh (`istio-injection: enabled`)"
        });
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

/// The namespaces of a mesh that the input tells of, whether they stand there themselves or not.
fn namespaces(mesh: &Mesh, of: ClusterId) -> BTreeSet<&str> {
    let near = |cluster: ClusterId| mesh.same_mesh(cluster, of);
    let own = mesh.namespaces.iter().filter(|ns| near(ns.cluster)).map(In::name);
    let services = mesh.services.iter().filter(|s| near(s.cluster)).map(|s| s.namespace.as_str());
    let pods = mesh.pod_shapes().filter(|p| near(p.cluster)).map(|p| p.namespace);
    let objects =
        mesh.istio_objects.iter().filter(|o| near(o.cluster)).map(|o| o.namespace.as_str());
    let accounts = ["default", "kube-system", "kube-public"];
    let mut all: BTreeSet<&str> =
        own.chain(services).chain(pods).chain(objects).chain(accounts).collect();
    all.extend(mesh.peers(of).map(|c| c.facts.system_namespace()));
    all.extend(mesh.peers(of).map(|c| mesh.root_namespace(c.id)));
    all
}

/// Whether a namespace of this name would be in the input, whichever cluster of the mesh has it.
fn would_be_seen(mesh: &Mesh, pattern: &str, of: ClusterId) -> bool {
    let name = pattern.trim_matches('*');
    let seen = |c: &Cluster| {
        mesh.has_seen(c.id, "Namespace", "") && !mesh.may_have_more(c.id, "Namespace", name)
    };
    mesh.peers(of).all(seen) && mesh.clusters_elsewhere(of).next().is_none()
}

fn unknown_source_namespace(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for policy in read(mesh) {
        let sources =
            policy.rules.iter().flatten().flat_map(|rule| &rule.from).map(|from| &from.source);
        let mut known: Option<BTreeSet<&str>> = None;
        for source in sources {
            for name in source.namespaces.iter().chain(&source.not_namespaces) {
                let name: &Text = name;
                let known = known.get_or_insert_with(|| namespaces(mesh, policy.cluster));
                let meant = known.iter().any(|ns| means(name, ns));
                if meant
                    || is_placeholder(name)
                    || name.is_empty()
                    || !would_be_seen(mesh, name, policy.cluster)
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
                    finding.message.push_str(", unless it is made elsewhere");
                    finding.lower(Severity::Note);
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
        (true, _) => "this excepts nobody",
        (false, "ALLOW") => "this allows nobody",
        (false, "DENY") => "this denies nobody",
        (false, _) => "this is for nobody",
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
        let mut env = istiod.template.spec.containers.iter().flat_map(|c| &c.env);
        let is_set =
            env.any(|e| e.name == BLOCKED && e.value.as_ref().is_some_and(|v| !v.is_empty()));
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

//! Policies that ask who calls, of workloads that cannot know.

use std::collections::BTreeSet;

use super::{meant, read};
use crate::finding::Findings;
use crate::kinds::security::AuthorizationPolicy;
use crate::kinds::security::AuthorizationRule;
use crate::mesh::{In, Lookup, Mesh, PodShape, value};
use crate::source::Text;
use crate::traffic::mtls::PeerPolicies;

/// Conditions that look at the certificate of the client.
const OF_CERTIFICATES: [&str; 3] =
    ["source.namespace", "source.principal", "source.serviceAccount"];

/// What a rule asks of the client's certificate first, and whether it is what it must not have.
fn asked(rule: &AuthorizationRule) -> Option<(&Text, bool)> {
    let sources = || rule.from.iter().map(|from| &from.source);
    let wanted =
        sources().flat_map(|s| s.principals.iter().chain(&s.service_accounts).chain(&s.namespaces));
    let unwanted = sources().flat_map(|s| {
        s.not_principals.iter().chain(&s.not_service_accounts).chain(&s.not_namespaces)
    });
    let keys = rule.when.iter().filter_map(|when| when.key.as_ref());
    let keys = keys.filter(|key| OF_CERTIFICATES.contains(&key.as_str()));
    wanted.chain(keys).map(|text| (text, false)).chain(unwanted.map(|text| (text, true))).next()
}

/// The PeerAuthentication that switches mTLS off for all ports of pods that a policy is for.
fn switched_off<'m>(
    mesh: &'m Mesh,
    policy: &'m In<AuthorizationPolicy>,
) -> Option<(&'m Text, PodShape<'m>)> {
    let is_root = policy.namespace == mesh.root_namespace(policy.cluster);
    meant(mesh, policy, is_root).into_iter().find_map(|pods| {
        let Lookup::Found(plane) = mesh.config_cluster(pods.cluster) else { return None };
        if mesh.has_sidecar(&pods) != Some(true) {
            return None;
        }
        let label = |key: &str| value(pods.labels.get(key));
        let policies = PeerPolicies::of(mesh, plane, pods.namespace, label);
        let mode = policies.mode(None).filter(|mode| mode.as_str() == "DISABLE")?;
        (policies.is_certain(mesh) && !policies.has_ports()).then_some((mode, pods))
    })
}

pub(in crate::rules) fn identity_without_mtls(mesh: &Mesh, found: &mut Findings) {
    if mesh.peer_authentications.is_empty() {
        return;
    }
    let mut told = BTreeSet::new();
    for policy in read(mesh).filter(|p| p.target_ref.is_none() && p.target_refs.is_empty()) {
        let rules = policy.rules.as_deref().unwrap_or_default();
        let Some((asked, unwanted)) = rules.iter().find_map(asked) else { continue };
        let Some((mode, pods)) = switched_off(mesh, policy) else { continue };
        if !told.insert(asked.span) {
            continue;
        }
        let effect = match (value(policy.action.as_ref()).unwrap_or("ALLOW"), unwanted) {
            ("ALLOW", false) => "nobody has one there: this allows nobody",
            ("ALLOW", true) => "nobody has one there: this allows everybody",
            ("DENY", false) => "nobody has one there: this denies nobody",
            ("DENY", true) => "nobody has one there: this denies everybody",
            (_, false) => "nobody has one there: this fits nobody",
            (_, true) => "nobody has one there: this fits everybody",
        };
        found
            .say(
                format!(
                    "AuthorizationPolicy `{}` asks for the identity of clients, where mTLS is off",
                    policy.name()
                ),
                asked.span,
                effect,
            )
            .also(mode.span, "no mTLS, so no certificate tells who calls")
            .also(pods.named_at(), "these pods")
            .help("let the pods take mTLS: `PERMISSIVE`, or `STRICT` where all clients have it");
    }
}

//! Upgrades: what newer versions of Istio refuse or need.

use super::{Rule, rule};
use crate::finding::{Findings, Severity};
use crate::mesh::{Mesh, value};

pub(super) const RULES: &[Rule] = &[
    rule!("upgrade/gateway-api-too-old", gateway_api_too_old),
    rule!("upgrade/mixer-policy-definition", mixer_policy_definition),
];

/// A version of three numbers.
type Bundle = (u32, u32, u32);

/// The first versions of the Gateway API from which istiod reads a kind, and the first Istio that asks for
/// them: older ones read the versions before. Source: `MinimumCRDVersions` of `pkg/kube/gatewayapi` and the
/// upgrade notes of Istio.
const MINIMA: &[(&str, Bundle, (u32, u32))] = &[
    ("grpcroutes.gateway.networking.k8s.io", (1, 1, 0), (1, 22)),
    ("backendtlspolicies.gateway.networking.k8s.io", (1, 4, 0), (1, 28)),
    ("tlsroutes.gateway.networking.k8s.io", (1, 5, 0), (1, 30)),
    ("tcproutes.gateway.networking.k8s.io", (1, 6, 0), (1, 32)),
];

const BUNDLE: &str = "gateway.networking.k8s.io/bundle-version";

fn gateway_api_too_old(mesh: &Mesh, found: &mut Findings) {
    for definition in &mesh.definitions {
        let minimum = MINIMA.iter().find(|(name, ..)| *name == definition.name());
        let told = definition.meta.annotation(BUNDLE);
        let (Some((name, minimum, since)), Some(told)) = (minimum, told) else { continue };
        let runs = mesh.cluster(definition.cluster).runs().map(|(version, _)| version);
        if bundle(told).is_none_or(|version| version >= *minimum)
            || runs.is_some_and(|version| version < *since)
        {
            continue;
        }
        let (major, minor, patch) = minimum;
        let finding = found.say(
            format!(
                "`{name}` of the Gateway API is {told}, and Istio needs {major}.{minor}.{patch}"
            ),
            told.span,
            "istiod does not read resources of this kind",
        );
        finding.help(format!(
            "`kubectl apply -k \"github.com/kubernetes-sigs/gateway-api/config/crd?ref=v{major}.{minor}.{patch}\"`, or a later one"
        ));
        if runs.is_none() {
            finding.message.push_str(&format!(" from Istio {}.{} on", since.0, since.1));
            finding.lower(Severity::Note);
        }
    }
}

/// `v1.1.0-rc1`, `1.4`: what is left out is 0, what follows a hyphen or plus does not count.
fn bundle(text: &str) -> Option<Bundle> {
    let text = text.trim().strip_prefix('v').unwrap_or(text.trim());
    let numbers = text.split(['-', '+']).next()?;
    let parts: Option<Vec<u32>> = numbers.split('.').map(|part| part.parse().ok()).collect();
    match parts?.as_slice() {
        [major] => Some((*major, 0, 0)),
        [major, minor] => Some((*major, *minor, 0)),
        [major, minor, patch] => Some((*major, *minor, *patch)),
        _ => None,
    }
}

/// Kinds of the access control that Mixer's time had.
const RBAC: [&str; 4] = ["ClusterRbacConfig", "RbacConfig", "ServiceRole", "ServiceRoleBinding"];

fn mixer_policy_definition(mesh: &Mesh, found: &mut Findings) {
    for definition in &mesh.definitions {
        let kind = value(definition.names.kind.as_ref()).unwrap_or_default();
        if value(definition.group.as_ref()) == Some("rbac.istio.io") && RBAC.contains(&kind) {
            found
                .say(
                    format!("`{}` defines {kind}, which Istio no longer reads", definition.name()),
                    definition.named_at(),
                    "objects of this kind are accepted, and nothing enforces them",
                )
                .help("write AuthorizationPolicies instead, and delete the definition");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::bundle;

    #[test]
    fn versions_are_read_as_they_are_written() {
        assert_eq!(bundle("v1.1.0"), Some((1, 1, 0)));
        assert_eq!(bundle("1.4"), Some((1, 4, 0)));
        assert_eq!(bundle("v1.5.0-rc.1"), Some((1, 5, 0)));
        assert_eq!(bundle("monthly-2026"), None);
        assert_eq!(bundle(""), None);
    }
}

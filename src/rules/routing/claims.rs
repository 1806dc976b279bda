//! Routes by claims of tokens.

use std::collections::BTreeSet;

use crate::finding::Findings;
use crate::kinds::networking::VirtualService;
use crate::mesh::{BoundGateway, In, Lookup, Mesh, PodShape};
use crate::source::Text;

/// Keys of headers that stand for claims of a verified token.
/// Source: `pkg/jwt/routing_claim.go`, `ToRoutingClaim`.
fn is_claim(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let rest = key.strip_prefix("@request.auth.claims");
    rest.is_some_and(|rest| rest.len() > 1 && rest.starts_with(['.', '[']))
}

fn claims(service: &In<VirtualService>) -> impl Iterator<Item = &Text> {
    let matches = service.http.iter().flat_map(|rule| &rule.matches);
    let headers = matches.flat_map(|m| m.headers.iter().chain(m.without_headers.iter()));
    headers.map(|(key, _)| key).filter(|key| is_claim(key))
}

pub(super) fn claims_without_authentication(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for service in mesh.virtual_services.iter().filter(|s| mesh.is_read_in(s.cluster)) {
        let Some(claim) = claims(service).next().filter(|_| !mesh.is_assumed(&service.meta)) else {
            continue;
        };
        for gateway in &service.gateways {
            let Lookup::Found(BoundGateway::Istio(gateway)) = mesh.named_gateway(gateway, service)
            else {
                continue;
            };
            let pods = mesh.pods_of_gateway(gateway);
            let Some(pods) = pods.iter().find(|pods| lacks_authentication(mesh, service, pods))
            else {
                continue;
            };
            if !told.insert(claim.span) {
                continue;
            }
            found
                .say(
                    format!("routes by a token's claim, and {} verifies no token", pods.called()),
                    claim.span,
                    "this never matches: no RequestAuthentication is for the gateway's pods",
                )
                .also(pods.named_at(), "the gateway")
                .help(format!(
                    "add a RequestAuthentication in namespace `{}` that selects these pods, with the issuer of the tokens",
                    pods.namespace
                ));
        }
    }
}

/// Whether no RequestAuthentication is for pods, and one would be in the input.
fn lacks_authentication(mesh: &Mesh, service: &In<VirtualService>, pods: &PodShape<'_>) -> bool {
    let plane = service.cluster;
    let root = mesh.root_namespace(plane);
    let mut any = false;
    for policy in mesh.request_authentications.of_cluster(plane) {
        let near = policy.namespace == root || policy.namespace == pods.namespace;
        let for_all = policy.target_ref.is_none() && policy.target_refs.is_empty();
        let selected =
            policy.selector.as_ref().is_none_or(|s| pods.is_selected_by(&s.match_labels));
        if near && (selected || !for_all) {
            return false;
        }
        any = true;
    }
    let kind = "RequestAuthentication";
    let open = [root, pods.namespace].iter().any(|ns| mesh.may_have_more(plane, kind, ns));
    mesh.cluster(plane).is_complete() || any && !open
}

//! Service accounts that policies name, and no workload has.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::read;
use crate::clusters::ClusterId;
use crate::finding::{Findings, Severity};
use crate::kinds::is_placeholder;
use crate::kinds::security::{AuthorizationPolicy, AuthorizationSource};
use crate::mesh::{In, Lookup, Mesh, value};
use crate::source::{Span, Text};

/// A service account that a policy names.
struct Account<'m> {
    told: &'m Text,
    namespace: &'m str,
    name: &'m str,
}

/// Those of a source that are written out whole.
fn accounts<'m>(
    policy: &'m In<AuthorizationPolicy>,
    source: &'m AuthorizationSource,
) -> Vec<Account<'m>> {
    let principals = source.principals.iter().chain(&source.not_principals).filter_map(|told| {
        let (_, rest) = told.split_once("/ns/")?;
        let (namespace, name) = rest.split_once("/sa/")?;
        Some(Account { told, namespace, name })
    });
    let accounts = source.service_accounts.iter().chain(&source.not_service_accounts);
    let accounts = accounts.map(|told| {
        let (namespace, name) = told.split_once('/').unwrap_or((&policy.namespace, told));
        Account { told, namespace, name }
    });
    let is_plain = |account: &Account<'_>| {
        let open = account.told.contains('*') || is_placeholder(account.told);
        !open && !account.namespace.is_empty() && !account.name.is_empty()
    };
    principals.chain(accounts).filter(is_plain).collect()
}

/// The service accounts that workloads of a namespace have, in all clusters of a mesh; `None` where some
/// may be outside of the input.
fn known<'m>(mesh: &'m Mesh, of: ClusterId, namespace: &str) -> Option<BTreeSet<Cow<'m, str>>> {
    // The accounts of these are made with them.
    let gateways = mesh.peers(of).flat_map(|c| mesh.api_gateways.of_namespace(c.id, namespace));
    let gateways = gateways.map(|g| g.account().map(Cow::from)).collect::<Option<Vec<_>>>()?;
    let mut machines =
        mesh.peers(of).flat_map(|c| mesh.workload_entries.of_namespace(c.id, namespace));
    if machines.next().is_some() || !mesh.peers(of).all(|c| knows_pods(mesh, c.id, namespace)) {
        return None;
    }
    let pods = mesh.peers(of).flat_map(|c| mesh.pod_shapes_in(c.id, namespace));
    let names =
        pods.map(|pods| value(pods.spec.service_account_name.as_ref()).unwrap_or("default"));
    let mut names: BTreeSet<Cow<'_, str>> = names.map(Cow::from).collect();
    if names.is_empty() || names.iter().any(|name| is_placeholder(name)) {
        return None;
    }
    names.extend(gateways);
    Some(names)
}

/// Whether all pods that a cluster has in a namespace would be in the input.
fn knows_pods(mesh: &Mesh, cluster: ClusterId, namespace: &str) -> bool {
    let lives = mesh.lives_in(cluster, namespace);
    let plane = mesh.config_cluster(cluster).found().unwrap_or(cluster);
    mesh.cluster(cluster).is_complete() || !lives || mesh.knows_pods(plane, namespace)
}

pub(in crate::rules) fn unknown_principal(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    let mut by_namespace: BTreeMap<(usize, &str), Option<BTreeSet<Cow<'_, str>>>> = BTreeMap::new();
    for policy in read(mesh) {
        let rules = policy.rules.iter().flatten().flat_map(|rule| &rule.from);
        for account in rules.flat_map(|from| accounts(policy, &from.source)) {
            let key = (mesh.cluster(policy.cluster).mesh, account.namespace);
            let names = by_namespace
                .entry(key)
                .or_insert_with(|| known(mesh, policy.cluster, account.namespace));
            let Some(names) = names.as_ref().filter(|names| !names.contains(account.name)) else {
                continue;
            };
            if !told.insert(account.told.span) {
                continue;
            }
            let finding = found.say(
                format!(
                    "no workload of namespace `{}` runs as service account `{}`, which \
                     AuthorizationPolicy `{}` names",
                    account.namespace,
                    account.name,
                    policy.name()
                ),
                account.told.span,
                "nobody calls with this identity",
            );
            match Lookup::<()>::absent(account.name, names.iter().map(|it| &**it)) {
                Lookup::Absent { nearest: Some(nearest) } => {
                    finding.help(format!("`{nearest}` may be meant"));
                }
                _ => {
                    finding.help("correct the name, or remove it");
                    if !mesh.is_complete_under(policy.cluster) {
                        finding.milder(Severity::Note, ", unless it is elsewhere");
                    }
                }
            }
        }
    }
}

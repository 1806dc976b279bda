//! Who a cluster is and whom it trusts: what has to be so before anything joins.

use std::collections::BTreeSet;

use super::{Move, State, Step};
use crate::clusters::{Cluster, DEFAULT_NAME, Fact, Role};
use crate::kinds::is_placeholder;
use crate::trust::{Domain, Groups, Signer};

/// How clusters get one root: by what is plugged into istiod, or by who signs instead.
fn how_to_root(moved: &Move<'_, '_>) -> &'static [&'static str] {
    if moved.clusters.iter().all(|c| moved.trust.signer(c.id).is_foreign()) {
        return &[
            "ask one issuer in all clusters (Vault, AWS Private CA, step): what is plugged into istiod counts for nothing",
            "commit the ConfigMap `istio-ca-root-cert` of each cluster, which holds no key, to have that checked",
        ];
    }
    &[
        "kubectl --context CLUSTER -n istio-system create secret generic cacerts \\",
        "  --from-file=ca-cert.pem --from-file=ca-key.pem --from-file=root-cert.pem --from-file=cert-chain.pem",
        "where istiod signs by a root of its own until now: old and new root in root-cert.pem first, then restart",
        "istiod and all workloads, and drop the old root last (`mesh-lint trust` tells how far that is)",
    ]
}

/// One root for all, before the first secret.
pub(super) fn root(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "common-root",
        "one root for all clusters, an intermediate CA for each",
        "without it handshakes between clusters fail (503 UF); to change the root later means to roll all pods, so it comes first",
    )
    .how(how_to_root(moved));
    let mut unsure = false;
    let mut missing = false;
    for cluster in moved.clusters {
        let signer = moved.trust.signer(cluster.id);
        let at = moved.trust.ca_of(cluster.id).map(|found| {
            found
                .ca
                .signer
                .as_ref()
                .or(found.ca.roots.first())
                .map_or_else(Default::default, |c| c.span)
        });
        if let Some(at) = at.filter(|at| !at.is_empty()) {
            let by = match signer {
                Signer::Unknown => "this is seen of what signs it".to_owned(),
                told => told.to_string(),
            };
            step.place(at, format!("{}: {by}", cluster.name));
        }
        missing |= signer == Signer::SelfSigned;
        unsure |= signer != Signer::SelfSigned && moved.trust.accepted(cluster.id).is_empty();
        let made =
            moved.mesh.maker_of_secret(cluster.id, cluster.facts.system_namespace(), "cacerts");
        if let Some(made) = made {
            step.place(made.named_at(), format!("{}: {signer}", cluster.name));
        }
    }
    let ids: Vec<_> = moved.clusters.iter().map(|c| c.id).collect();
    let groups = Groups::from_matrix(&ids, &moved.trust.matrix(&ids));
    for refused in &groups.refused {
        let [from, to] =
            [refused.presenter, refused.verifier].map(|id| moved.mesh.cluster_name(id));
        let text = format!("{to} does not accept {from}: {}", refused.why);
        step.place(refused.why.certificate().span, text);
    }
    // One control plane has one CA, whatever that is.
    let is_one = moved.clusters.iter().all(|c| moved.trust.share_control_plane(c.id, ids[0]));
    let is_shared = is_one && !moved.is_single();
    step.state = match (missing || !groups.refused.is_empty(), unsure) {
        _ if is_shared => State::Done,
        (true, _) => State::Todo,
        (false, true) => State::Unknown,
        (false, false) => State::Done,
    };
    step
}

/// A name for each cluster.
pub(super) fn names(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "cluster-names",
        "a name of its own for each cluster",
        "the name is the key of remote secrets, a label of endpoints, and part of what a proxy says when it asks for a certificate; pods carry the old one until they restart",
    );
    let mut seen = BTreeSet::new();
    let mut states = Vec::new();
    for cluster in moved.clusters {
        match cluster.istio_name() {
            Some(name) if name.as_str() == DEFAULT_NAME || !seen.insert(name.as_str()) => {
                step.place(name.span, format!("{}: called {name}", cluster.name));
                states.push(State::Todo);
            }
            Some(name) if is_placeholder(name) => states.push(State::Unknown),
            Some(name) => {
                step.place(name.span, format!("{}: called {name}", cluster.name));
                states.push(State::Done);
            }
            None => match installed(cluster) {
                Some(at) => {
                    step.place(
                        at,
                        format!("{}: nothing names it, so it is {DEFAULT_NAME}", cluster.name),
                    );
                    states.push(State::Todo);
                }
                None => states.push(State::Unknown),
            },
        }
    }
    step.state = together(&states);
    let example = moved.clusters.first().map_or("CLUSTER", |c| c.name.as_str());
    step.how(&[
        &format!("values.global.multiCluster.clusterName: {example}"),
        "ztunnel: multiCluster.clusterName; then restart all workloads, or set `--clusterAliases=NEW:Kubernetes` meanwhile",
    ])
}

/// Where a control plane is installed whose text tells all.
fn installed(cluster: &Cluster) -> Option<crate::source::Span> {
    let mut installs = cluster.facts.installs.iter();
    let plane = installs.find(|i| i.is_control_plane() && i.is_whole)?;
    Some(plane.at())
}

/// One identifier of the mesh.
pub(super) fn mesh_id(moved: &Move<'_, '_>) -> Step {
    let step = Step::new(
        "mesh-id",
        "one mesh ID",
        "metrics and traces of all clusters go by it; without one it is the trust domain",
    );
    // What a remote cluster is told does not count: its pods are injected by its primary, with that one's.
    let is_plane = |c: &&Cluster| c.role() != Some(Role::Remote);
    let planes: Vec<_> = moved.clusters.iter().copied().filter(is_plane).collect();
    shared(&planes, step, |c| &c.facts.mesh_id).how(&["values.global.meshID: MESH"])
}

/// One trust domain.
pub(super) fn trust_domain(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "trust-domain",
        "one trust domain, or aliases for the others",
        "clients accept only names of their own domain and its aliases; policies by `principals` name it",
    )
    .how(&["meshConfig.trustDomain: DOMAIN", "meshConfig.trustDomainAliases: [THE OTHER]"]);
    let domains: Vec<Domain<'_>> =
        moved.clusters.iter().map(|c| moved.trust.domain(c.id)).collect();
    for (cluster, domain) in moved.clusters.iter().zip(&domains) {
        if let Domain::Told(text) = domain {
            step.place(text.span, format!("{}: {text}", cluster.name));
        }
    }
    let names: BTreeSet<Option<&str>> = domains.iter().map(|d| d.name()).collect();
    let all: Vec<&str> = names.iter().flatten().copied().collect();
    let has_alias = |c: &&Cluster| {
        let aliases = moved.trust.aliases(c.id);
        let own = moved.trust.domain(c.id).name();
        all.iter().all(|d| Some(*d) == own || aliases.iter().any(|a| a.as_str() == *d))
    };
    step.state = if names.len() == 1 && !names.contains(&None) {
        State::Done
    } else if all.len() > 1 && !moved.clusters.iter().all(has_alias) {
        State::Todo
    } else if names.contains(&None) {
        State::Unknown
    } else {
        State::Done
    };
    step
}

/// A fact that is to be the same for all.
fn shared<'m>(
    clusters: &[&'m Cluster],
    mut step: Step,
    of: impl Fn(&'m Cluster) -> &'m [Fact],
) -> Step {
    let told: Vec<Option<&Fact>> = clusters.iter().map(|c| of(c).first()).collect();
    for (cluster, fact) in clusters.iter().zip(&told) {
        if let Some(fact) = fact {
            step.place(fact.value.span, format!("{}: {}", cluster.name, fact.value));
        }
    }
    let values: BTreeSet<&str> = told.iter().flatten().map(|f| f.value.as_str()).collect();
    let is_installed = clusters.iter().all(|c| installed(c).is_some());
    step.state = match (values.len(), told.iter().all(Option::is_some)) {
        (1, true) => State::Done,
        (0 | 1, _) if !is_installed => State::Unknown,
        _ => State::Todo,
    };
    if step.state == State::Todo {
        for (cluster, _) in clusters.iter().zip(&told).filter(|(_, fact)| fact.is_none()) {
            if let Some(at) = installed(cluster) {
                step.place(at, format!("{}: none", cluster.name));
            }
        }
    }
    step
}

/// The state of a step whose parts have these.
pub(super) fn together(states: &[State]) -> State {
    let has = |state| states.contains(&state);
    if has(State::Todo) {
        State::Todo
    } else if has(State::Look) {
        State::Look
    } else if has(State::Unknown) || states.is_empty() {
        State::Unknown
    } else {
        State::Done
    }
}

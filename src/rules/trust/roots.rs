//! Do the clusters of a mesh accept each other's certificates?

use super::super::{Rule, rule};
use super::cacerts::passes_over_a_ca;
use super::texts::short;
use crate::access::Access;
use crate::clusters::{Cluster, ClusterId, Role};
use crate::finding::{Findings, Severity};
use crate::mesh::{Mesh, list};
use crate::trust::{
    Certificate, Flaw, Found, Groups, Matrix, Origin, Refused, Signer, Standing, Trust, Why, flaws,
    from_config_map, further_roots, is_root_map,
};

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("trust/committed-root-configmap-stale", trust: committed_root_configmap_stale),
    rule!("trust/mixed-ca-kinds", trust: mixed_ca_kinds),
    rule!("trust/root-bundle-rotation-state", trust: root_bundle_rotation_state),
    rule!("trust/root-file-is-intermediate", trust: root_file_is_intermediate),
    rule!("trust/roots-not-mutually-trusted", access, trust: roots_not_mutually_trusted),
    rule!("trust/self-signed-ca-in-mesh", trust: self_signed_ca_in_mesh),
];

/// The clusters of each mesh that has several.
fn meshes(mesh: &Mesh) -> impl Iterator<Item = Vec<ClusterId>> {
    let several = mesh.meshes_of_several();
    several.map(|clusters| clusters.iter().map(|c| c.id).collect())
}

fn roots_not_mutually_trusted(access: &Access<'_>, trust: &Trust<'_>, found: &mut Findings) {
    for ids in meshes(trust.mesh) {
        let mut groups = Groups::from_matrix(&ids, &trust.matrix(&ids));
        groups.refused.retain(|refused| !has_a_rule_of_its_own(access, trust, refused));
        let Some(first) = groups.refused.first() else { continue };
        let listed = are_all_listed(trust, &ids);
        let name = |id: &ClusterId| trust.mesh.cluster_name(*id);
        let label = |r: &Refused<ClusterId>| {
            let (presenter, verifier) = (name(&r.presenter), name(&r.verifier));
            format!("workloads of `{presenter}` are refused by `{verifier}`: {}", r.why)
        };
        let finding = found.say(parted(trust, &groups), first.why.certificate().span, label(first));
        for refused in &groups.refused[1..] {
            finding.also(refused.why.certificate().span, label(refused));
        }
        for id in groups.groups.iter().filter_map(|g| g.first()) {
            if let Some(root) = trust.ca_of(*id).and_then(|f| f.ca.roots.first()) {
                let text = format!("`{}` trusts this root ({})", name(id), short(root));
                finding.also(root.span, text);
            }
        }
        if listed {
            finding.milder(
                Severity::Warning,
                ", unless istiod hands out the roots of `caCertificates`",
            );
        }
        finding.help(if listed {
            "set `ISTIO_MULTIROOT_MESH: \"true\"` for istiod and `PROXY_CONFIG_XDS_AGENT: \"true\"` in \
             `proxyMetadata` in every cluster, or give every cluster both roots in root-cert.pem"
        } else if first.one_way {
            "one direction works: finish the rotation, both roots first in every cluster's root-cert.pem"
        } else {
            "sign an intermediate for each cluster with one common root; to move, give every cluster \
             both roots first, then the new signer, then drop the old root"
        });
    }
}

/// What to say of clusters that do not trust each other.
fn parted(trust: &Trust<'_>, groups: &Groups<ClusterId>) -> String {
    let name = |id: &ClusterId| trust.mesh.cluster_name(*id);
    match (groups.groups.as_slice(), groups.refused.first()) {
        ([] | [_], Some(first)) => {
            let (verifier, presenter) = (name(&first.verifier), name(&first.presenter));
            format!("cluster `{verifier}` does not trust `{presenter}`")
        }
        (parts, _) => {
            let parts: Vec<String> = parts.iter().map(|g| list(g.iter().map(name))).collect();
            format!("clusters do not trust each other: {}", parts.join(" | "))
        }
    }
}

/// Whether another rule tells why: the one made its own root while the other has a CA plugged in, both made
/// one and a remote secret joins them, the verifier's root is no root, or the CA of one of them does not lead
/// to its own.
fn has_a_rule_of_its_own(
    access: &Access<'_>,
    trust: &Trust<'_>,
    refused: &Refused<ClusterId>,
) -> bool {
    let (one, other) = (refused.presenter, refused.verifier);
    let signers = [trust.signer(one), trust.signer(other)];
    let are_joined = access.leads_to(one, other) || access.leads_to(other, one);
    let join_early = are_joined && signers == [Signer::SelfSigned; 2];
    let no_root = trust.ca_of(refused.verifier).is_some_and(is_without_root);
    no_root
        || join_early
        || [one, other].iter().any(|id| trust.ca_of(*id).is_some_and(is_broken))
        || (signers.contains(&Signer::SelfSigned) && signers.contains(&Signer::Plugged))
}

/// Whether a CA leads to no root of its own, so that its roots are not those it was made for.
fn is_broken(found: &Found) -> bool {
    let leads_nowhere =
        |flaw: &Flaw| matches!(flaw.why, Why::NoPathToRoot { .. } | Why::BadSignature { .. });
    flaws(&found.ca.clone().with_rest_elsewhere(), None).iter().any(leads_nowhere)
}

/// Whether all clusters would accept each other if each one's `caCertificates` counted.
fn are_all_listed(trust: &Trust<'_>, ids: &[ClusterId]) -> bool {
    let standing = |&id: &ClusterId| {
        let ca = &trust.ca_of(id)?.ca;
        let mut accepts = ca.roots.clone();
        accepts.extend(further_roots(trust.mesh, id));
        Some(Standing { ca, accepts })
    };
    let standings: Vec<_> = ids.iter().map(standing).collect();
    Groups::from_matrix(ids, &Matrix::of(&standings)).refused.is_empty()
}

/// Whether what should be roots is signed by others.
fn is_without_root(found: &Found) -> bool {
    !found.ca.roots.is_empty() && !found.ca.roots.iter().any(|root| root.is_self_signed())
}

fn root_file_is_intermediate(trust: &Trust<'_>, found: &mut Findings) {
    for ca in trust.unique().into_iter().filter(|f| is_without_root(f)) {
        let Some(root) = ca.ca.roots.first() else { continue };
        let name = trust.mesh.cluster_name(ca.cluster);
        let peers = trust.mesh.peers(ca.cluster).count();
        let finding = found.say(
            format!("what `{name}` has for a root is an intermediate"),
            root.span,
            format!(
                "{} is signed by {}: the CAs of other clusters do not lead to it",
                root.subject, root.issuer
            ),
        );
        if let Some(signer) = ca.ca.signer.as_ref().filter(|signer| *signer != root) {
            finding.also(signer.span, "the CA that signs workloads");
        }
        finding.help(
            "put the self-signed root into root-cert.pem, and the intermediate into cert-chain.pem",
        );
        if peers < 2 {
            finding.milder(Severity::Warning, ", which works as long as no second cluster joins");
        }
    }
}

fn root_bundle_rotation_state(trust: &Trust<'_>, found: &mut Findings) {
    for ids in meshes(trust.mesh) {
        if !Groups::from_matrix(&ids, &trust.matrix(&ids)).refused.is_empty() {
            continue;
        }
        let Some(rotation) = trust.rotation(&ids) else { continue };
        let mut phases: Vec<_> = rotation.phases.iter().flatten().collect();
        phases.dedup();
        if phases.len() < 2 {
            continue;
        }
        let name = |at: usize| trust.mesh.cluster_name(ids[at]);
        let (step, at) = rotation.next();
        let stands: Vec<String> = rotation
            .phases
            .iter()
            .enumerate()
            .filter_map(|(at, phase)| Some(format!("`{}`: {}", name(at), (*phase)?)))
            .collect();
        let finding = found.say(
            format!("the rotation of the root is on its way: {}", stands.join(", ")),
            rotation.new.span,
            format!("the new root ({})", short(&rotation.new)),
        );
        finding.also(rotation.old.span, format!("the old root ({})", short(&rotation.old)));
        let handed = ids.iter().all(|id| trust.mesh.cluster(*id).facts.multiple_roots);
        let restart = if handed {
            ""
        } else {
            "; without `ISTIO_MULTIROOT_MESH` istiod takes a changed root only when it restarts"
        };
        finding.help(format!("next, in {}: {step}{restart}", list(at.into_iter().map(name))));
    }
}

fn committed_root_configmap_stale(trust: &Trust<'_>, found: &mut Findings) {
    for ca in trust.cas().iter().filter(|f| f.ca.origin == Origin::Cacerts && !f.assumed) {
        let own = &ca.ca.roots;
        let maps = trust.mesh.config_maps.of_cluster(ca.cluster).iter().filter(|m| is_root_map(m));
        let stale: Vec<Certificate> = maps
            .filter_map(|map| {
                let roots = from_config_map(trust.mesh, map).roots;
                let known = |root: &Certificate| roots.iter().any(|other| other.same_anchor(root));
                (!own.is_empty() && !own.iter().any(known)).then(|| roots.first().cloned())?
            })
            .collect();
        let (Some(first), Some(root)) = (stale.first(), own.first()) else { continue };
        let name = trust.mesh.cluster_name(ca.cluster);
        let finding = found.say(
            format!("`istio-ca-root-cert` of `{name}` does not hold the root of its CA"),
            first.span,
            format!(
                "{}: proxies that read it before istiod writes it anew trust nobody",
                short(first)
            ),
        );
        for other in &stale[1..] {
            finding.also(other.span, "and here");
        }
        finding
            .also(root.span, format!("the root of the CA ({})", short(root)))
            .help("take `istio-ca-root-cert` out of the repository: istiod writes it into every namespace");
    }
}

fn mixed_ca_kinds(trust: &Trust<'_>, found: &mut Findings) {
    for ids in meshes(trust.mesh) {
        let kinds: Vec<(ClusterId, Signer)> =
            ids.iter().map(|&id| (id, trust.signer(id))).collect();
        let own = |signer: Signer| !matches!(signer, Signer::Unknown | Signer::Remote(_));
        let known: Vec<_> = kinds.into_iter().filter(|(_, signer)| own(*signer)).collect();
        let is_plain = |s: Signer| matches!(s, Signer::Plugged | Signer::MadeElsewhere);
        let foreign = known.iter().find(|(_, signer)| signer.is_foreign());
        let (Some((there, kind)), Some((here, other))) =
            (foreign, known.iter().find(|(_, s)| is_plain(*s) || *s == Signer::SelfSigned))
        else {
            continue;
        };
        let pair = trust.matrix(&[*here, *there]);
        if *kind == Signer::Spire || pair.ask(0, 1).is_some() || pair.ask(1, 0).is_some() {
            continue;
        }
        let (here_name, there_name) =
            (trust.mesh.cluster_name(*here), trust.mesh.cluster_name(*there));
        let Some(at) = what_tells(trust, *there) else { continue };
        let finding = found.say(
            format!(
                "`{here_name}` and `{there_name}` get their certificates from different kinds of CA"
            ),
            at,
            format!(
                "in `{there_name}`, {kind}; nothing in the input shows that both have one root"
            ),
        );
        if let Some(ca) = trust.ca_of(*here) {
            finding.also(ca.ca.span, format!("in `{here_name}`, {other}"));
        }
        finding.help(
            "let one root stand above both; commit `istio-ca-root-cert` of both clusters to have that checked",
        );
    }
}

/// What tells that another than istiod signs in a cluster.
fn what_tells(trust: &Trust<'_>, cluster: ClusterId) -> Option<crate::source::Span> {
    let facts = &trust.mesh.cluster(cluster).facts;
    let csr = facts.istio_csr.iter().filter_map(|app| {
        app.server.cluster_id.as_ref().or(app.tls.trust_domain.as_ref()).map(|text| text.span)
    });
    facts.foreign_ca.iter().map(|fact| fact.value.span).chain(csr).next()
}

fn self_signed_ca_in_mesh(trust: &Trust<'_>, found: &mut Findings) {
    let mesh = trust.mesh;
    for clusters in mesh.meshes_of_several() {
        let plugged = |c: &&&Cluster| trust.signer(c.id) == Signer::Plugged;
        let sibling = clusters.iter().find(plugged).and_then(|c| trust.ca_of(c.id));
        let Some(sibling) = sibling else { continue };
        let with = mesh.cluster_name(sibling.cluster);
        for cluster in clusters.iter().filter(|c| c.role() != Some(Role::Remote)) {
            let namespace = cluster.facts.system_namespace();
            let name = &cluster.name;
            let ca = trust.ca_of(cluster.id);
            if let Some(made) = ca.and_then(|f| f.ca.made_by_istiod()) {
                found
                    .say(
                        format!("cluster `{name}` has a root of its own"),
                        made.span,
                        format!("made by istiod for itself: no other cluster trusts it ({})", short(made)),
                    )
                    .also(sibling.ca.span, format!("the CA plugged into `{with}`"))
                    .help(format!("plug an intermediate of the common root into `{namespace}` of `{name}` as Secret `cacerts`"));
            } else if ca.is_none()
                && !mesh.has_opaque_secret(cluster.id, namespace, "cacerts")
                && trust.signer(cluster.id) == Signer::Unknown
                && cluster.role() == Some(Role::Primary)
                && !passes_over_a_ca(trust, cluster)
            {
                found
                    .say(
                        format!("no CA for cluster `{name}` is in the input, unlike for `{with}`"),
                        sibling.ca.span,
                        format!("the CA plugged into `{with}`; without one, istiod in `{name}` makes a root of its own"),
                    )
                    .help(format!("add `cacerts` for `{name}`, as it is or sealed, if it is not made by hand"))
                    .lower(Severity::Warning);
            }
        }
    }
}

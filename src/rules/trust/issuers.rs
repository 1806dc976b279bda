//! CAs that are made in the cluster: cert-manager, istio-csr, signers of Kubernetes.

use super::super::{Rule, rule};
use super::texts::OR_TOLD_ELSEWHERE;
use crate::api::seconds;
use crate::clusters::{Cluster, ClusterId};
use crate::finding::{Findings, Severity};
use crate::kinds::core::{Issuer, OpaqueSecret};
use crate::kinds::is_placeholder;
use crate::kinds::parts::IssuerRef;
use crate::mesh::{In, Mesh, list};
use crate::source::{Span, Text};
use crate::trust::{DEFAULT_DOMAIN, Domain, Signer, Trust};

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("trust/cert-manager-ca-per-cluster-root", trust: cert_manager_ca_per_cluster_root),
    rule!("trust/cert-manager-ca-shape", trust: cert_manager_ca_shape),
    rule!("trust/istio-csr-config", trust: istio_csr_config),
    rule!("trust/ra-signer-config", trust: ra_signer_config),
];

/// cert-manager renews 90 days where nothing is told.
const DEFAULT_DAYS: i64 = 90;
const DAY: i64 = 86_400;

/// A cluster whose cert-manager makes the root of its mesh, and the issuer that does.
struct OwnRoot<'m> {
    cluster: ClusterId,
    issuer: &'m In<Issuer>,
    asked: Span,
}

fn cert_manager_ca_per_cluster_root(trust: &Trust<'_>, found: &mut Findings) {
    for clusters in trust.mesh.meshes_of_several() {
        let own: Vec<OwnRoot<'_>> = clusters.iter().filter_map(|c| own_root(trust, c)).collect();
        let [first, others @ ..] = own.as_slice() else { continue };
        let ids: Vec<ClusterId> = own.iter().map(|own| own.cluster).collect();
        let matrix = trust.matrix(&ids);
        let seen =
            (1..ids.len()).any(|at| matrix.ask(0, at).is_some() || matrix.ask(at, 0).is_some());
        if others.is_empty() || seen {
            continue;
        }
        let names = list(ids.iter().map(|id| trust.mesh.cluster_name(*id)));
        let finding = found.say(
            format!("cert-manager makes a root of its own in each of {names}"),
            first.issuer.named_at(),
            format!(
                "this issuer signs itself in each cluster, with another key: `{}` trusts no other",
                trust.mesh.cluster_name(first.cluster)
            ),
        );
        finding.also(first.asked, "what istiod's CA is asked from");
        for own in others {
            let name = trust.mesh.cluster_name(own.cluster);
            finding.also(own.issuer.named_at(), format!("and here for `{name}`"));
        }
        finding.help(
            "let an issuer outside of the clusters sign (Vault, AWS Private CA, step), or give each cluster's \
             CA issuer an intermediate of one common root",
        );
    }
}

/// What makes the root of a cluster's CA, where that is an issuer of its own that signs itself.
fn own_root<'m>(trust: &Trust<'m>, cluster: &'m Cluster) -> Option<OwnRoot<'m>> {
    let mesh = trust.mesh;
    let signer = trust.signer(cluster.id);
    if matches!(signer, Signer::Remote(_) | Signer::Spire | Signer::KubernetesSigner) {
        return None;
    }
    let namespace = cluster.facts.system_namespace();
    let made = mesh.maker_of_secret(cluster.id, namespace, "cacerts");
    let made = made.filter(|made| is_certificate(made) && !mesh.is_assumed(&made.meta));
    let csr = cluster.facts.istio_csr.iter().map(|app| &app.certmanager.issuer);
    let csr = csr.filter(|_| signer == Signer::IstioCsr).find(|issuer| issuer.name.is_some());
    let (issuer, asked) = match (made, csr) {
        (Some(made), _) => (&made.issuer_ref, made.named_at()),
        (None, Some(issuer)) => (issuer, issuer.name.as_ref()?.span),
        (None, None) => return None,
    };
    let issuer = self_signed(mesh, cluster.id, namespace, issuer, 0)?;
    Some(OwnRoot { cluster: cluster.id, issuer, asked })
}

fn is_certificate(made: &In<OpaqueSecret>) -> bool {
    made.meta.kind.as_str() == "Certificate"
}

/// The self-signing issuer at the end of the way that begins with a reference; `None` where the way leads
/// elsewhere, or cannot be followed.
fn self_signed<'m>(
    mesh: &'m Mesh,
    cluster: ClusterId,
    namespace: &str,
    reference: &IssuerRef,
    depth: usize,
) -> Option<&'m In<Issuer>> {
    if depth > 5 || reference.group.as_ref().is_some_and(|g| g.as_str() != "cert-manager.io") {
        return None;
    }
    let kind = reference.kind.as_ref().map_or("Issuer", |kind| kind.as_str());
    let name = reference.name.as_ref()?;
    let is = |issuer: &&In<Issuer>| {
        issuer.meta.kind.as_str() == kind
            && issuer.name() == name.as_str()
            && (kind == "ClusterIssuer" || issuer.namespace == namespace)
    };
    let issuer = mesh
        .issuers
        .of_cluster(cluster)
        .iter()
        .find(is)
        .filter(|issuer| !mesh.is_assumed(&issuer.meta))?;
    if issuer.self_signed.is_some() {
        return Some(issuer);
    }
    let secret = issuer.ca.as_ref()?.secret_name.as_ref()?;
    // The Secret of a ClusterIssuer lies where cert-manager runs, which is seldom told.
    let makes = |made: &&In<OpaqueSecret>| {
        is_certificate(made)
            && made.secret_name.as_ref().is_some_and(|name| name == secret)
            && (kind == "ClusterIssuer" || made.namespace == issuer.namespace)
    };
    let made = mesh.opaque_secrets.of_cluster(cluster).iter().find(makes)?;
    self_signed(mesh, cluster, &made.namespace, &made.issuer_ref, depth + 1)
}

fn cert_manager_ca_shape(trust: &Trust<'_>, found: &mut Findings) {
    let mut told: Vec<Span> = Vec::new();
    for made in trust.mesh.opaque_secrets.iter().filter(|made| is_certificate(made)) {
        let cluster = trust.mesh.cluster(made.cluster);
        let is_istios = made.namespace == cluster.facts.system_namespace()
            && made.secret_name.as_ref().is_some_and(|name| name.as_str() == "cacerts");
        if !is_istios || told.contains(&made.meta.span) {
            continue;
        }
        told.push(made.meta.span);
        let mut faults = shape(made).into_iter();
        let Some((at, why)) = faults.next() else { continue };
        let finding = found.say(
            format!("the Certificate `{}` makes no good CA for `{}`", made.name(), cluster.name),
            at,
            why,
        );
        for (at, why) in faults {
            finding.also(at, why);
        }
        finding.help(
            "set `isCA: true`, `usages: [cert sign, crl sign]`, a `duration` of months, and a `renewBefore` well below it",
        );
    }
}

/// What is wrong with a Certificate that is to become istiod's CA.
fn shape(made: &In<OpaqueSecret>) -> Vec<(Span, String)> {
    let mut faults = Vec::new();
    let unread = |field: &str| made.meta.is_unread(&format!("spec.{field}"));
    match &made.is_ca {
        Some(is_ca) if is_ca.value => {}
        Some(is_ca) => {
            faults
                .push((is_ca.span, "`isCA: false`: istiod does not start with a leaf".to_owned()));
        }
        None if unread("isCA") => {}
        None => faults.push((
            made.named_at(),
            "`isCA` is not set: istiod does not start with a leaf".to_owned(),
        )),
    }
    let signs =
        |usage: &Text| matches!(usage.as_str(), "cert sign" | "any") || is_placeholder(usage);
    if let Some(first) = made.usages.first().filter(|_| !made.usages.iter().any(signs)) {
        faults.push((
            first.span,
            "`usages` without `cert sign`: every peer refuses what it signs".to_owned(),
        ));
    }
    let length = made.duration.as_ref().map_or(Some(DEFAULT_DAYS * DAY), |told| seconds(told));
    if let (Some(told), Some(length)) = (&made.duration, length)
        && length < 30 * DAY
    {
        let why = format!(
            "`{told}` is short for a CA: istiod reloads it often, and cuts certificates at its end"
        );
        faults.push((told.span, why));
    }
    if let (Some(before), Some(length)) = (&made.renew_before, length)
        && seconds(before).is_some_and(|before| before >= length)
    {
        faults.push((
            before.span,
            "`renewBefore` is no less than `duration`: cert-manager refuses it".to_owned(),
        ));
    }
    faults
}

fn istio_csr_config(trust: &Trust<'_>, found: &mut Findings) {
    for cluster in trust.mesh.clusters() {
        let facts = &cluster.facts;
        nobody_signs(trust, cluster, found);
        let [app] = facts.istio_csr.as_slice() else { continue };
        identity(cluster, app.server.cluster_id.as_ref(), found);
        domain(trust, cluster, app.tls.trust_domain.as_ref(), found);
        if let (None, Some(at)) = (&app.tls.root_ca_file, app.certmanager.issuer.name.as_ref()) {
            found
                .say(
                    format!(
                        "istio-csr of `{}` trusts whatever root its issuer first answers with",
                        cluster.name
                    ),
                    at.span,
                    "no `app.tls.rootCAFile` tells the root: it is not pinned",
                )
                .help("mount the root and set `app.tls.rootCAFile`")
                .lower(Severity::Warning);
        }
    }
}

fn nobody_signs(trust: &Trust<'_>, cluster: &Cluster, found: &mut Findings) {
    let facts = &cluster.facts;
    let off = facts.istiod_env("ENABLE_CA_SERVER").filter(|on| on.as_str() == "false");
    let by_values = facts.foreign_ca.iter().any(|fact| fact.value.contains(['.', ':']));
    let mut metadata = facts.mesh_config.iter().map(|c| &c.default_config.proxy_metadata);
    let addressed = by_values || metadata.any(|m| m.get("CA_ADDR").is_some());
    let Some(off) = off.filter(|_| !addressed && trust.signer(cluster.id) != Signer::Spire) else {
        return;
    };
    found
        .say(
            format!("nobody signs the workloads of `{}`, unless another text sets `global.caAddress`", cluster.name),
            off.span,
            "istiod's CA is switched off, and proxies still ask istiod",
        )
        .help("set `global.caAddress` to the address of istio-csr: `cert-manager-istio-csr.cert-manager.svc:443`")
        .lower(Severity::Warning);
}

fn identity(cluster: &Cluster, told: Option<&Text>, found: &mut Findings) {
    let (Some(right), Some(told)) = (cluster.istio_name(), told) else { return };
    if told.value == right.value || is_placeholder(told) || facts_disagree(cluster) {
        return;
    }
    found
        .say(
            format!("istio-csr takes `{}` for the cluster `{told}`", cluster.name),
            told.span,
            format!("proxies say that they are of `{right}`, and are refused"),
        )
        .also(right.span, "the cluster's name for Istio")
        .help(format!("set `app.server.clusterID: {right}`"));
}

fn facts_disagree(cluster: &Cluster) -> bool {
    cluster.contradictions().iter().any(|told| told.what == "name")
}

fn domain(trust: &Trust<'_>, cluster: &Cluster, told: Option<&Text>, found: &mut Findings) {
    let domain = trust.domain(cluster.id);
    let (Some(right), Some(told)) = (domain.name(), told) else { return };
    if told.as_str() == right || is_placeholder(told) {
        return;
    }
    let finding = found
        .say(
            format!("istio-csr signs other identities than `{}` expects", cluster.name),
            told.span,
            format!("identities of `{told}`, while MeshConfig says `{right}`"),
        )
        .help(format!("set `app.tls.trustDomain: {right}` (`{DEFAULT_DOMAIN}` where not set)"));
    if let Domain::Told(right) = domain {
        finding.also(right.span, "the trust domain of the mesh");
    } else {
        finding.milder(Severity::Warning, OR_TOLD_ELSEWHERE);
    }
}

fn ra_signer_config(trust: &Trust<'_>, found: &mut Findings) {
    for cluster in trust.mesh.clusters() {
        let env = |name: &str| cluster.facts.istiod_env(name);
        let ra = env("EXTERNAL_CA").filter(|ca| ca.as_str() == "ISTIOD_RA_KUBERNETES_API");
        if let Some(ra) = ra.filter(|_| env("K8S_SIGNER").or(env("CERT_SIGNER_DOMAIN")).is_none()) {
            found
                .say(
                    format!("istiod of `{}` knows no signer to ask", cluster.name),
                    ra.span,
                    "neither `K8S_SIGNER` nor `CERT_SIGNER_DOMAIN` is set",
                )
                .help("set `pilot.env.K8S_SIGNER`, or `CERT_SIGNER_DOMAIN` with `certSigners` under `caCertificates`");
        }
        if let Some(provider) = env("PILOT_CERT_PROVIDER").filter(|p| p.as_str() == "kubernetes") {
            let old = cluster.runs().is_some_and(|(version, _)| version < (1, 24));
            if !old {
                found
                    .say(
                        format!("istiod of `{}` does not start", cluster.name),
                        provider.span,
                        "the provider `kubernetes` is gone: its API signs no such certificates any more",
                    )
                    .help("take it out for `istiod`, or set `k8s.io/SIGNER`");
            }
        }
    }
}

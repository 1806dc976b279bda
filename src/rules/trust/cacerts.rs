//! Is the CA that is plugged into istiod there, whole and readable?

use super::super::{Rule, rule};
use crate::clusters::{Cluster, Role, is_on};
use crate::finding::{Finding, Findings, Severity};
use crate::kinds::core::{OpaqueSecret, Secret};
use crate::kinds::is_placeholder;
use crate::mesh::{In, list};
use crate::source::Span;
use crate::trust::{
    CaMaterial, Fault, Found, Layout, Origin, Pem, Refusal, Signer, Trust, from_secret,
    istiod_accepts, values_of,
};

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("trust/cacerts-incomplete", trust: cacerts_incomplete),
    rule!("trust/cacerts-mixed-format", trust: cacerts_mixed_format),
    rule!("trust/cacerts-not-picked-up", trust: cacerts_not_picked_up),
    rule!("trust/cacerts-refused", trust: cacerts_refused),
    rule!("trust/remote-has-own-cacerts", trust: remote_has_own_cacerts),
];

/// Whether it is a Secret `cacerts` that nothing else in the input makes or completes.
fn is_plugged(trust: &Trust<'_>, found: &Found) -> bool {
    let namespace = trust.mesh.cluster(found.cluster).facts.system_namespace();
    found.ca.origin == Origin::Cacerts
        && !trust.mesh.has_opaque_secret(found.cluster, namespace, "cacerts")
}

fn cacerts_incomplete(trust: &Trust<'_>, found: &mut Findings) {
    made_incomplete(trust, found);
    for Found { cluster, ca, .. } in trust.unique().into_iter().filter(|f| is_plugged(trust, f)) {
        let without_key = ca.clone().with_key_elsewhere();
        let Some(Err(Refusal::Incomplete { missing })) = istiod_accepts(&without_key, trust.now())
        else {
            continue;
        };
        let name = trust.mesh.cluster_name(*cluster);
        let finding = say_incomplete(found, name, &missing, ca.span);
        finding.help(format!(
            "put {} into it, all of one CA",
            list(ca.layout.names().iter().copied())
        ));
        if without_key.missing.len() < ca.missing.len() {
            finding.milder(Severity::Warning, ", unless that comes from where its key is kept");
        }
    }
}

/// Which parts of a CA a Secret lacks that something makes in the cluster, as far as its keys are told.
fn lacking(trust: &Trust<'_>, made: &In<OpaqueSecret>) -> Vec<&'static str> {
    let text = trust.mesh.raw(made.meta.span);
    // More may be fetched, or be there already.
    let is_open = ["dataFrom", "templateFrom", "Merge"].iter().any(|word| text.contains(word));
    let keys: Vec<&str> = made
        .keys()
        .chain(made.template.data.iter().map(|(key, _)| key))
        .map(|key| key.as_str())
        .collect();
    let layouts = [Layout::Tls, Layout::Classic];
    let layout = layouts.into_iter().find(|l| l.names().iter().any(|n| keys.contains(n)));
    let names = layout.filter(|_| !is_open).map_or(&[][..], Layout::names);
    names.iter().copied().filter(|name| !keys.contains(name)).collect()
}

/// The same of Secrets `cacerts` that something makes, and nothing else adds to.
fn made_incomplete(trust: &Trust<'_>, found: &mut Findings) {
    let mesh = trust.mesh;
    let mut told: Vec<Span> = Vec::new();
    for cluster in mesh.clusters() {
        let mut all =
            mesh.makers_of_secret(cluster.id, cluster.facts.system_namespace(), "cacerts");
        let (Some(made), None) = (all.next(), all.next()) else { continue };
        let is_used = trust.signer(cluster.id) == Signer::MadeElsewhere;
        if !is_used || mesh.is_assumed(&made.meta) || told.contains(&made.meta.span) {
            continue;
        }
        let missing = lacking(trust, made);
        if !missing.is_empty() {
            told.push(made.meta.span);
            say_incomplete(found, &cluster.name, &missing, made.named_at())
                .help("give it all parts of one CA");
        }
    }
}

fn say_incomplete<'f>(
    found: &'f mut Findings,
    cluster: &str,
    missing: &[&'static str],
    at: Span,
) -> &'f mut Finding {
    found.say(
        format!("`cacerts` of `{cluster}` has no {}", list(missing.iter().copied())),
        at,
        "istiod does not start with a part of a CA",
    )
}

fn cacerts_refused(trust: &Trust<'_>, found: &mut Findings) {
    for Found { cluster, ca, .. } in trust.unique().into_iter().filter(|f| is_plugged(trust, f)) {
        let ca = ca.clone().with_rest_elsewhere();
        let Some(Err(refusal)) = istiod_accepts(&ca, trust.now()) else { continue };
        let (at, why) = match refusal {
            Refusal::NoSigner => fault_of(&ca, &["ca-cert.pem", "tls.crt"]),
            Refusal::NoRoots => fault_of(&ca, &["root-cert.pem", "ca.crt"]),
            Refusal::NoChain => fault_of(&ca, &["cert-chain.pem"]),
            // Each of these has a rule of its own.
            Refusal::KeyUnreadable { .. }
            | Refusal::KeyMismatch { .. }
            | Refusal::Incomplete { .. }
            | Refusal::Path(_) => continue,
        };
        let name = trust.mesh.cluster_name(*cluster);
        found.say(format!("istiod does not start with the CA of `{name}`"), at, why).help(format!(
            "write whole PEM blocks into {}: in base64 once under `data`, as they are under `stringData`",
            list(ca.layout.names().iter().copied())
        ));
    }
}

/// What is wrong with the first of some values that has something wrong.
fn fault_of(ca: &CaMaterial, names: &[&'static str]) -> (Span, String) {
    match ca.problems.iter().find(|p| names.contains(&p.name)) {
        Some(p) => (p.span, format!("`{}`: {}", p.name, p.fault)),
        None => (ca.span, format!("{}: {}", list(names.iter().copied()), Fault::NotPem)),
    }
}

fn cacerts_mixed_format(trust: &Trust<'_>, found: &mut Findings) {
    for Found { cluster, ca, .. } in trust.unique() {
        let [first, others @ ..] = ca.ignored.as_slice() else { continue };
        if ca.origin != Origin::Cacerts {
            continue;
        }
        let name = trust.mesh.cluster_name(*cluster);
        let finding = found.say(
            format!("`cacerts` of `{name}` has the names of both layouts"),
            *first,
            "istiod passes this over: it takes `tls.crt`, `tls.key` and `ca.crt` where there is a `tls.crt`",
        );
        for at in others {
            finding.also(*at, "passed over too");
        }
        finding.help(
            "leave one layout: `tls.crt`, `tls.key` and `ca.crt`, or `ca-cert.pem`, `ca-key.pem`, \
             `root-cert.pem` and `cert-chain.pem`",
        );
    }
}

fn cacerts_not_picked_up(trust: &Trust<'_>, found: &mut Findings) {
    let mut told: Vec<Span> = Vec::new();
    for secret in &trust.mesh.secrets {
        let cluster = trust.mesh.cluster(secret.cluster);
        if told.contains(&secret.meta.span) || trust.mesh.is_assumed(&secret.meta) {
            continue;
        }
        let Some((at, message, label, help)) = passed_over(trust, cluster, secret) else {
            continue;
        };
        told.push(secret.meta.span);
        found.say(message, at, label).help(help);
    }
    for made in &trust.mesh.opaque_secrets {
        let cluster = trust.mesh.cluster(made.cluster);
        if told.contains(&made.meta.span) || trust.mesh.is_assumed(&made.meta) {
            continue;
        }
        if let Some((at, message, label, help)) = made_out_of_place(trust, cluster, made) {
            told.push(made.meta.span);
            found.say(message, at, label).help(help);
        }
    }
}

/// Whether a cluster has a CA in a Secret that its istiod does not take.
pub(super) fn passes_over_a_ca(trust: &Trust<'_>, cluster: &Cluster) -> bool {
    let mesh = trust.mesh;
    let mut own = mesh.secrets.of_cluster(cluster.id).iter();
    let mut made = mesh.opaque_secrets.of_cluster(cluster.id).iter();
    own.any(|s| !mesh.is_assumed(&s.meta) && passed_over(trust, cluster, s).is_some())
        || made.any(|s| !mesh.is_assumed(&s.meta) && made_out_of_place(trust, cluster, s).is_some())
}

type Said = (Span, String, String, String);

const ALONE: &str = "istiod makes a root of its own, and says nothing";

/// Why istiod does not take the CA in a Secret, if there is one and it does not.
fn passed_over(trust: &Trust<'_>, cluster: &Cluster, secret: &In<Secret>) -> Option<Said> {
    let here = secret.namespace == cluster.facts.system_namespace() && secret.name() == "cacerts";
    if here { misread(trust, cluster, secret) } else { misplaced(trust, cluster, secret) }
}

/// A Secret in its place whose keys say something else to istiod.
fn misread(trust: &Trust<'_>, cluster: &Cluster, secret: &In<Secret>) -> Option<Said> {
    let name = &cluster.name;
    if generated_by_istiod(trust, cluster, secret) {
        return Some((
            key_at(secret, "istio-generated")?,
            format!("the CA plugged into `{name}` counts as one that istiod made for itself"),
            "with `USE_CACERTS_FOR_SELF_SIGNED_CA`, istiod renews what has this key".to_owned(),
            "remove the key `istio-generated` from a CA of your own".to_owned(),
        ));
    }
    let unknown = from_secret(trust.mesh, secret, Origin::Cacerts).layout == Layout::Unknown;
    let held = || values_of(trust.mesh, secret).any(|(_, value)| holds_ca(&Pem::read(&value)));
    let keys = secret.data.iter().chain(&secret.string_data).map(|(key, _)| key.as_str());
    (unknown && held()).then(|| {
        (
            secret.named_at(),
            format!("istiod finds no CA in `cacerts` of `{name}`"),
            format!("none of its keys ({}) is one that istiod reads: {ALONE}", list(keys)),
            "call them `ca-cert.pem`, `ca-key.pem`, `root-cert.pem` and `cert-chain.pem`"
                .to_owned(),
        )
    })
}

/// A Secret with the keys that istiod reads, at a place that it does not look at.
fn misplaced(trust: &Trust<'_>, cluster: &Cluster, secret: &In<Secret>) -> Option<Said> {
    let ca = from_secret(trust.mesh, secret, Origin::Cacerts);
    let has = |value: &str| !ca.missing.contains(&value);
    let whole = ca.layout == Layout::Classic && has("ca-cert.pem") && has("ca-key.pem");
    let place = (secret.namespace.as_str(), secret.name());
    (whole && secret.has_namespace())
        .then(|| out_of_place(trust, cluster, place, secret.named_at()))?
}

/// The same of a Secret that something makes in the cluster, by the keys that it is to have.
fn made_out_of_place(
    trust: &Trust<'_>,
    cluster: &Cluster,
    made: &In<OpaqueSecret>,
) -> Option<Said> {
    let told = made.secret_name.as_ref().or(made.target.name.as_ref()).unwrap_or(&made.meta.name);
    let has = |name: &str| made.keys().any(|key| key.as_str() == name);
    let whole = has("ca-cert.pem") && has("ca-key.pem") && !is_placeholder(told);
    let place = (made.namespace.as_str(), told.as_str());
    (whole && made.has_namespace()).then(|| out_of_place(trust, cluster, place, told.span))?
}

/// What to say of a CA in a Secret of that namespace and name, if it was meant for istiod and istiod has no
/// other.
fn out_of_place(
    trust: &Trust<'_>,
    cluster: &Cluster,
    (within, called): (&str, &str),
    at: Span,
) -> Option<Said> {
    let (facts, name) = (&cluster.facts, &cluster.name);
    let namespace = facts.system_namespace();
    // Another istiod may run there.
    let elsewhere = || facts.system_namespace.iter().any(|f| f.value.as_str() == within);
    let is_there = (within, called) == (namespace, "cacerts");
    let meant = !is_there && called != "istio-ca-secret" && (within == namespace || !elsewhere());
    let plugged = |f: &Found| f.cluster == cluster.id && f.ca.origin == Origin::Cacerts;
    let has_one = || {
        trust.cas().iter().any(plugged)
            || trust.mesh.has_opaque_secret(cluster.id, namespace, "cacerts")
            || trust.signer(cluster.id).is_foreign()
    };
    (meant && cluster.role() == Some(Role::Primary) && !has_one()).then(|| {
        (
            at,
            format!("istiod in `{name}` does not look at the CA in `{within}/{called}`"),
            format!("it reads `{namespace}/cacerts` and nothing else: {ALONE}"),
            format!("call it `cacerts` and put it into the namespace `{namespace}`"),
        )
    })
}

fn generated_by_istiod(trust: &Trust<'_>, cluster: &Cluster, secret: &In<Secret>) -> bool {
    let ca = from_secret(trust.mesh, secret, Origin::Cacerts);
    let on = cluster.facts.istiod_env("USE_CACERTS_FOR_SELF_SIGNED_CA");
    ca.istio_generated
        && on.is_some_and(|on| is_on(on))
        && ca.signer.as_ref().is_some_and(|signer| !signer.is_self_signed())
}

fn key_at(secret: &In<Secret>, name: &str) -> Option<Span> {
    let mut all = secret.data.iter().chain(&secret.string_data);
    all.find(|(key, _)| key.as_str() == name).map(|(key, _)| key.span)
}

fn holds_ca(pem: &Pem) -> bool {
    pem.certificates().iter().any(|certificate| certificate.is_ca)
}

fn remote_has_own_cacerts(trust: &Trust<'_>, found: &mut Findings) {
    for idle in trust.cas().iter().filter(|f| f.ca.origin == Origin::Cacerts && !f.assumed) {
        let Signer::Remote(primary) = trust.signer(idle.cluster) else { continue };
        let (name, by) = (trust.mesh.cluster_name(idle.cluster), trust.mesh.cluster_name(primary));
        let shared = trust.cas().iter().any(|f| f.cluster == primary && f.ca.span == idle.ca.span);
        if shared {
            continue;
        }
        found
            .say(
                format!("nothing uses the CA in the remote cluster `{name}`"),
                idle.ca.span,
                format!("its workloads get their certificates from the control plane in `{by}`"),
            )
            .help(format!("remove `cacerts` from `{name}`: a key that lies about can only leak"));
    }
}

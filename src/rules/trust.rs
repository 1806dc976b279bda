//! Trust: does each cluster's CA hold, and do the others accept what it signs?

use std::collections::BTreeMap;

use super::{Rule, rule};
use crate::clusters::{ClusterId, Role};
use crate::finding::{Finding, Findings, Severity};
use crate::kinds::core::Secret;
use crate::mesh::{In, Mesh, list};
use crate::source::Span;
use crate::trust::{
    CaMaterial, Certificate, Digest, Fault, Found, Groups, Origin, Refusal, Refused, Time, Why,
    cas, further_roots, in_use, istiod_accepts, peer_accepts,
};

pub(super) const RULES: &[Rule] = &[
    rule!("trust/cacerts-incomplete", cacerts_incomplete),
    rule!("trust/cacerts-refused", cacerts_refused),
    rule!("trust/ca-chain-broken", ca_chain_broken),
    rule!("trust/ca-expired", ca_expired),
    rule!("trust/ca-expiring", ca_expiring),
    rule!("trust/roots-not-mutually-trusted", roots_not_mutually_trusted),
    rule!("trust/self-signed-ca-in-mesh", self_signed_ca_in_mesh),
];

/// Days before the end of a root's and of another CA's validity at which to speak.
const ROOT_DAYS: i64 = 365;
const CA_DAYS: i64 = 90;

fn roots_not_mutually_trusted(mesh: &Mesh, found: &mut Findings) {
    let all = cas(mesh);
    for clusters in mesh.meshes() {
        let here: Vec<(ClusterId, &CaMaterial)> = all
            .iter()
            .filter(|f| clusters.iter().any(|c| c.id == f.cluster))
            .map(|f| (f.cluster, &f.ca))
            .collect();
        let groups = Groups::of(&here);
        let Some(first) = groups.refused.first() else { continue };
        let listed = Listed::of(mesh, &here);
        if listed == Listed::HandedOut {
            continue;
        }
        let name = |id: &ClusterId| mesh.cluster_name(*id);
        let parts = || groups.groups.iter().map(|g| list(g.iter().map(name))).collect::<Vec<_>>();
        let message = match groups.groups.len() {
            0 | 1 => {
                let (verifier, presenter) = (name(&first.verifier), name(&first.presenter));
                format!("cluster `{verifier}` does not trust `{presenter}`")
            }
            _ => format!("clusters do not trust each other: {}", parts().join(" | ")),
        };
        let label = |r: &Refused<ClusterId>| {
            format!(
                "workloads of `{}` are refused by `{}`: {}",
                name(&r.presenter),
                name(&r.verifier),
                r.why
            )
        };
        let finding = found.say(message, first.why.certificate().span, label(first));
        for refused in &groups.refused[1..] {
            finding.also(refused.why.certificate().span, label(refused));
        }
        for id in groups.groups.iter().filter_map(|g| g.first()) {
            let root = here.iter().find(|(c, _)| c == id).and_then(|(_, ca)| ca.roots.first());
            if let Some(root) = root {
                finding
                    .also(root.span, format!("`{}` trusts this root ({})", name(id), short(root)));
            }
        }
        if listed == Listed::Known {
            finding.message.push_str(", unless istiod hands out the roots of `caCertificates`");
            finding
                .help(
                    "set `ISTIO_MULTIROOT_MESH: \"true\"` for istiod in every cluster, or give every \
                     cluster both roots in root-cert.pem",
                )
                .lower(Severity::Warning);
            continue;
        }
        finding.help(if first.one_way {
            "one direction works: finish the rotation, both roots first in every cluster's root-cert.pem"
        } else {
            "sign an intermediate for each cluster with one common root; to move, give every cluster \
             both roots first, then the new signer, then drop the old root"
        });
    }
}

/// What `caCertificates` do for clusters whose CAs do not trust each other.
#[derive(PartialEq, Eq)]
enum Listed {
    /// Some root is not listed.
    Missing,
    /// Every root is listed where it is needed; nobody knows whether istiod hands them out.
    Known,
    /// And istiod does.
    HandedOut,
}

impl Listed {
    fn of(mesh: &Mesh, here: &[(ClusterId, &CaMaterial)]) -> Self {
        let with_listed: Vec<(ClusterId, CaMaterial)> = here
            .iter()
            .map(|(cluster, ca)| {
                let mut ca = (*ca).clone();
                ca.roots.extend(further_roots(mesh, *cluster));
                (*cluster, ca)
            })
            .collect();
        let pairs: Vec<(ClusterId, &CaMaterial)> =
            with_listed.iter().map(|(cluster, ca)| (*cluster, ca)).collect();
        let on = |cluster: &ClusterId| mesh.cluster(*cluster).facts.multiple_roots;
        match Groups::of(&pairs).refused.is_empty() {
            false => Self::Missing,
            true if pairs.iter().all(|(cluster, _)| on(cluster)) => Self::HandedOut,
            true => Self::Known,
        }
    }
}

/// The first bytes of a fingerprint: enough to tell two roots of one name apart.
fn short(certificate: &Certificate) -> String {
    let digits: String = certificate
        .fingerprint
        .to_string()
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(12)
        .collect();
    format!("{}, SHA-256 {}…", certificate.subject, digits.to_ascii_lowercase())
}

fn ca_chain_broken(mesh: &Mesh, found: &mut Findings) {
    let now = Time(mesh.now());
    for Found { cluster, ca } in unique(cas(mesh)) {
        let ca = ca.with_rest_elsewhere();
        let istiod = match istiod_accepts(&ca, now) {
            Some(Err(Refusal::Path(why))) => Some(why),
            _ => None,
        };
        let peer = || peer_accepts(&ca, &ca.roots, None, now).and_then(Result::err);
        let broken = |why: &Why| matches!(why, Why::NoPathToRoot { .. } | Why::BadSignature { .. });
        let by_istiod = istiod.as_ref().is_some_and(broken);
        let Some(why) = istiod.filter(broken).or_else(|| peer().filter(broken)) else { continue };
        let name = mesh.cluster_name(cluster);
        let effect = if by_istiod {
            "istiod does not start with it"
        } else {
            "istiod starts, and every peer refuses its certificates"
        };
        let finding = found.say(
            format!("the CA of `{name}` does not lead to its own root"),
            why.certificate().span,
            format!("{why}: {effect}"),
        );
        for root in &ca.roots {
            finding.also(root.span, format!("the root ({})", short(root)));
        }
        finding.help(
            "let root-cert.pem hold the root that signed ca-cert.pem, and cert-chain.pem every certificate between",
        );
    }
}

fn cacerts_incomplete(mesh: &Mesh, found: &mut Findings) {
    for Found { cluster, ca } in unique(cas(mesh)).into_iter().filter(|f| is_plugged(mesh, f)) {
        let without_key = ca.clone().with_key_elsewhere();
        let Some(Err(Refusal::Incomplete { missing })) =
            istiod_accepts(&without_key, Time(mesh.now()))
        else {
            continue;
        };
        let name = mesh.cluster_name(cluster);
        let finding = found.say(
            format!("`cacerts` of `{name}` has no {}", list(missing)),
            ca.span,
            "istiod does not start with a part of a CA",
        );
        finding.help(format!(
            "put {} into it, all of one CA",
            list(ca.layout.names().iter().copied())
        ));
        if without_key.missing.len() < ca.missing.len() {
            finding.message.push_str(", unless that comes from where its key is kept");
            finding.lower(Severity::Warning);
        }
    }
}

/// Whether it is a Secret `cacerts` that nothing else in the input makes or completes.
fn is_plugged(mesh: &Mesh, found: &Found) -> bool {
    let namespace = mesh.cluster(found.cluster).facts.system_namespace();
    found.ca.origin == Origin::Cacerts
        && !mesh.has_opaque_secret(found.cluster, namespace, "cacerts")
}

fn cacerts_refused(mesh: &Mesh, found: &mut Findings) {
    for Found { cluster, ca } in unique(cas(mesh)).into_iter().filter(|f| is_plugged(mesh, f)) {
        let ca = ca.with_rest_elsewhere();
        let Some(Err(refusal)) = istiod_accepts(&ca, Time(mesh.now())) else { continue };
        let problem = |names: &[&str]| ca.problems.iter().find(|p| names.contains(&p.name));
        let of = |names: &[&'static str], fallback: Span| match problem(names) {
            Some(p) => (p.span, format!("`{}`: {}", p.name, p.fault)),
            None => (fallback, format!("{}: {}", list(names.iter().copied()), Fault::NotPem)),
        };
        let names = ca.layout.names();
        let (at, why) = match refusal {
            Refusal::NoSigner => of(&["ca-cert.pem", "tls.crt"], ca.span),
            Refusal::NoRoots => of(&["root-cert.pem", "ca.crt"], ca.span),
            Refusal::NoChain => of(&["cert-chain.pem"], ca.span),
            Refusal::KeyUnreadable { key } => {
                let (at, why) = of(&["ca-key.pem", "tls.key"], ca.span);
                (key.unwrap_or(at), why)
            }
            Refusal::KeyMismatch { key } => (key, "the key of another certificate".to_owned()),
            Refusal::Incomplete { .. } | Refusal::Path(_) => continue,
        };
        found
            .say(
                format!("istiod does not start with the CA of `{}`", mesh.cluster_name(cluster)),
                at,
                why,
            )
            .help(format!(
                "write whole PEM blocks into {}: in base64 once under `data`, as they are under `stringData`",
                list(names.iter().copied())
            ));
    }
}

/// Each CA once, where several clusters share one text.
fn unique(all: Vec<Found>) -> Vec<Found> {
    let mut told: Vec<Span> = Vec::new();
    let mut once = all;
    once.retain(|f| {
        let new = !told.contains(&f.ca.span);
        told.push(f.ca.span);
        new
    });
    once
}

/// Certificates that a test picks out, each once, with everywhere it stands.
fn certificates_that(
    mesh: &Mesh,
    wanted: impl Fn(&Certificate) -> bool,
) -> Vec<(Certificate, Vec<(ClusterId, Span)>)> {
    let mut by_print: BTreeMap<Digest, (Certificate, Vec<(ClusterId, Span)>)> = BTreeMap::new();
    for Found { cluster, ca } in cas(mesh) {
        for certificate in in_use(&ca, Time(mesh.now())).into_iter().filter(&wanted) {
            let places = &mut by_print
                .entry(certificate.fingerprint)
                .or_insert_with(|| (certificate.clone(), Vec::new()))
                .1;
            places.push((cluster, certificate.span));
        }
    }
    by_print.into_values().collect()
}

fn what(certificate: &Certificate) -> &'static str {
    if certificate.is_self_signed() { "root" } else { "CA" }
}

fn ca_expired(mesh: &Mesh, found: &mut Findings) {
    let now = Time(mesh.now());
    for (certificate, places) in certificates_that(mesh, |c| c.not_after < now) {
        say_dates(
            mesh,
            found,
            &certificate,
            &places,
            &format!("expired on {}", certificate.not_after),
        );
    }
}

fn ca_expiring(mesh: &Mesh, found: &mut Findings) {
    let now = Time(mesh.now());
    let days = |c: &Certificate| if c.is_self_signed() { ROOT_DAYS } else { CA_DAYS };
    let soon = |c: &Certificate| c.not_after >= now && now.days_until(c.not_after) < days(c);
    for (certificate, places) in certificates_that(mesh, soon) {
        let left = now.days_until(certificate.not_after);
        let renewed = places.iter().all(|(cluster, _)| renews(mesh, *cluster));
        let when = format!(
            "expires on {}, in {left} days{}",
            certificate.not_after,
            if renewed { ", unless cert-manager renews it" } else { "" }
        );
        if let Some(finding) = say_dates(mesh, found, &certificate, &places, &when)
            && renewed
        {
            finding.lower(Severity::Note);
        }
    }
}

/// Whether cert-manager keeps the Secret `cacerts` of a cluster.
fn renews(mesh: &Mesh, cluster: ClusterId) -> bool {
    let namespace = mesh.cluster(cluster).facts.system_namespace();
    let kept = |s: &&In<Secret>| {
        s.cluster == cluster
            && s.namespace == namespace
            && s.name() == "cacerts"
            && s.meta.annotation("cert-manager.io/certificate-name").is_some()
    };
    mesh.secrets.iter().find(kept).is_some()
}

fn say_dates<'f>(
    mesh: &Mesh,
    found: &'f mut Findings,
    certificate: &Certificate,
    places: &[(ClusterId, Span)],
    when: &str,
) -> Option<&'f mut Finding> {
    let (first, at) = places.first()?;
    let mut names: Vec<&str> = places.iter().map(|(c, _)| mesh.cluster_name(*c)).collect();
    names.dedup();
    let finding = found.say(
        format!("the {} of {} {when}", what(certificate), list(names)),
        *at,
        format!("{} of `{}`", certificate.subject, mesh.cluster_name(*first)),
    );
    for (cluster, span) in &places[1..] {
        finding.also(*span, format!("the same in `{}`", mesh.cluster_name(*cluster)));
    }
    finding.help(
        "renew it with the same key, or rotate: both roots everywhere, then the new signer, then the old root out",
    );
    Some(finding)
}

fn self_signed_ca_in_mesh(mesh: &Mesh, found: &mut Findings) {
    let all = cas(mesh);
    for clusters in mesh.meshes().into_iter().filter(|m| m.len() > 1) {
        let of = |id| all.iter().find(|f| f.cluster == id);
        let plugged =
            |f: &&Found| f.ca.origin == Origin::Cacerts && f.ca.made_by_istiod().is_none();
        let Some(sibling) = clusters.iter().filter_map(|c| of(c.id)).find(plugged) else {
            continue;
        };
        let with = mesh.cluster_name(sibling.cluster);
        for cluster in clusters.iter().filter(|c| c.role() != Some(Role::Remote)) {
            let namespace = cluster.facts.system_namespace();
            let name = &cluster.name;
            if let Some(made) = of(cluster.id).and_then(|f| f.ca.made_by_istiod()) {
                found
                    .say(
                        format!("cluster `{name}` has a root of its own"),
                        made.span,
                        format!("made by istiod for itself: no other cluster trusts it ({})", short(made)),
                    )
                    .also(sibling.ca.span, format!("the CA plugged into `{with}`"))
                    .help(format!("plug an intermediate of the common root into `{namespace}` of `{name}` as Secret `cacerts`"));
            } else if of(cluster.id).is_none()
                && !mesh.has_opaque_secret(cluster.id, namespace, "cacerts")
                && !cluster.has_foreign_ca()
                && cluster.role() == Some(Role::Primary)
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

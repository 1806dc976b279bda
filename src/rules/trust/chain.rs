//! Does the CA of each cluster lead to its root, for istiod and for those who meet its workloads?

use super::super::{Rule, rule};
use super::texts::{Places, clusters, short, what};
use crate::finding::{Finding, Findings, Severity};
use crate::trust::{Certificate, Domain, KeyKind, Trust, Why, flaws, in_use};

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("trust/ca-cert-not-ca", trust: ca_cert_not_ca),
    rule!("trust/ca-chain-broken", trust: ca_chain_broken),
    rule!("trust/ca-chain-lacks-signer", trust: ca_chain_lacks_signer),
    rule!("trust/ca-eku-restricts", trust: ca_eku_restricts),
    rule!("trust/ca-name-constraints", trust: ca_name_constraints),
    rule!("trust/ca-no-keycertsign", trust: ca_no_keycertsign),
    rule!("trust/ca-pathlen", trust: ca_pathlen),
    rule!("trust/ca-weak-algorithm", trust: ca_weak_algorithm),
];

/// A flaw, and everywhere the certificate with it stands.
struct Told {
    why: Why,
    stops_istiod: bool,
    places: Places,
    roots: Vec<Certificate>,
}

impl Told {
    fn effect(&self) -> &'static str {
        if self.stops_istiod {
            "istiod does not start with it"
        } else {
            "istiod starts, and every peer refuses its certificates"
        }
    }
}

/// Flaws of one sort, once for each certificate that has it.
fn flaws_that(trust: &Trust<'_>, wanted: impl Fn(&Why) -> bool) -> Vec<Told> {
    let mut all: Vec<Told> = Vec::new();
    for found in trust.unique() {
        let ca = found.ca.clone().with_rest_elsewhere();
        for flaw in flaws(&ca, trust.domain(found.cluster).name()) {
            let certificate = flaw.why.certificate();
            let place = (found.cluster, certificate.span);
            if !wanted(&flaw.why) {
                continue;
            }
            let known = all.iter_mut().find(|told| told.why.certificate() == certificate);
            match known {
                Some(told) => told.places.push(place),
                None => all.push(Told {
                    stops_istiod: flaw.stops_istiod,
                    places: vec![place],
                    roots: ca.roots.clone(),
                    why: flaw.why,
                }),
            }
        }
    }
    all
}

/// Says a flaw of one sort, with the other places of its certificate.
fn tell<'f>(
    trust: &Trust<'_>,
    found: &'f mut Findings,
    told: &Told,
    message: impl FnOnce(&str) -> String,
) -> &'f mut Finding {
    let of = clusters(trust.mesh, &told.places);
    let label = format!("{}: {}", told.why, told.effect());
    let finding = found.say(message(&of), told.why.certificate().span, label);
    for (cluster, span) in &told.places {
        finding.also(*span, format!("the same in `{}`", trust.mesh.cluster_name(*cluster)));
    }
    finding
}

fn ca_chain_broken(trust: &Trust<'_>, found: &mut Findings) {
    let broken = |why: &Why| matches!(why, Why::NoPathToRoot { .. } | Why::BadSignature { .. });
    for told in flaws_that(trust, broken) {
        let finding =
            tell(trust, found, &told, |of| format!("the CA of {of} does not lead to its own root"));
        for root in &told.roots {
            finding.also(root.span, format!("the root ({})", short(root)));
        }
        finding.help(
            "let root-cert.pem hold the root that signed ca-cert.pem, and cert-chain.pem every certificate between",
        );
    }
}

fn ca_chain_lacks_signer(trust: &Trust<'_>, found: &mut Findings) {
    for told in flaws_that(trust, |why| matches!(why, Why::SignerNotSent { .. })) {
        tell(trust, found, &told, |of| {
            format!("the chain that workloads of {of} send lacks the CA that signed them")
        })
        .help("begin cert-chain.pem with the certificate of ca-cert.pem, then those above it");
    }
}

fn ca_cert_not_ca(trust: &Trust<'_>, found: &mut Findings) {
    for told in flaws_that(trust, |why| matches!(why, Why::NotCa { .. })) {
        let subject = told.why.certificate().subject.clone();
        tell(trust, found, &told, |of| {
            format!("`{subject}` is to sign certificates for {of}, and is no CA")
        })
        .help("issue it with the basic constraint `CA:TRUE` and the key usage `keyCertSign`");
    }
}

fn ca_pathlen(trust: &Trust<'_>, found: &mut Findings) {
    for told in flaws_that(trust, |why| matches!(why, Why::PathLen { .. })) {
        let certificate = told.why.certificate();
        let (what, limit) = (what(certificate), certificate.path_len.unwrap_or_default());
        tell(trust, found, &told, |of| {
            format!("`pathlen` {limit} of the {what} of {of} leaves no room for the CAs below it")
        })
        .help("issue it anew with a `pathlen` that counts the CAs below it, or without one");
    }
}

fn ca_no_keycertsign(trust: &Trust<'_>, found: &mut Findings) {
    for told in flaws_that(trust, |why| matches!(why, Why::NoKeyCertSign { .. })) {
        let what = what(told.why.certificate());
        tell(trust, found, &told, |of| {
            format!("the key usage of the {what} of {of} does not permit signing certificates")
        })
        .help("issue it anew with the key usages `keyCertSign` and `cRLSign`, or without any");
    }
}

fn ca_eku_restricts(trust: &Trust<'_>, found: &mut Findings) {
    for told in flaws_that(trust, |why| matches!(why, Why::Purpose { .. })) {
        let Why::Purpose { lacks, .. } = told.why else { continue };
        let what = what(told.why.certificate());
        tell(trust, found, &told, |of| {
            format!("the extended key usage of the {what} of {of} leaves out `{lacks}`")
        })
        .help(
            "leave the extended key usage out of CAs, or list both `serverAuth` and `clientAuth`",
        );
    }
}

fn ca_name_constraints(trust: &Trust<'_>, found: &mut Findings) {
    for told in flaws_that(trust, |why| matches!(why, Why::NameConstraint { .. })) {
        let Some((cluster, _)) = told.places.first() else { continue };
        let domain = trust.domain(*cluster);
        let Some(name) = domain.name() else { continue };
        let finding = tell(trust, found, &told, |of| {
            format!("the name constraints of the CA of {of} do not permit `spiffe://{name}/`")
        });
        finding.help(format!("permit the URI host `{name}`, or leave URIs out of the constraints"));
        match domain {
            Domain::Told(text) => {
                finding.also(text.span, "the trust domain");
            }
            _ => {
                finding
                    .message
                    .push_str(", if that is the trust domain: no MeshConfig tells another");
                finding.lower(Severity::Warning);
            }
        }
    }
}

fn ca_weak_algorithm(trust: &Trust<'_>, found: &mut Findings) {
    let weak = flaws_that(trust, |why| matches!(why, Why::WeakSignature { .. }));
    for told in &weak {
        let by = told.why.certificate().signature;
        tell(trust, found, told, |of| format!("the CA of {of} is signed by {by}"))
            .help("have it signed with SHA-256: Go, and so istiod, refuses MD5 and SHA-1");
    }
    for (certificate, places) in keys_that(trust, is_weak) {
        let (what, kind) = (what(&certificate), &certificate.public_key.kind);
        let of = clusters(trust.mesh, &places);
        let short = matches!(kind, KeyKind::Rsa { .. });
        let (message, label) = if short {
            (
                format!("the {what} of {of} has a key of {kind}"),
                "whoever breaks it can be any workload",
            )
        } else {
            (
                format!(
                    "the {what} of {of} has a key of {kind}, which Envoy is not known to verify"
                ),
                "istiod takes it; whether each proxy does depends on its build",
            )
        };
        let finding =
            found.say(message, certificate.span, format!("{}: {label}", certificate.subject));
        for (cluster, span) in &places {
            finding.also(*span, format!("the same in `{}`", trust.mesh.cluster_name(*cluster)));
        }
        finding.help("issue it with RSA of 2048 bits or more, or with ECDSA on P-256 or P-384");
        if !short {
            finding.lower(Severity::Warning);
        }
    }
}

fn is_weak(kind: &KeyKind) -> bool {
    matches!(kind, KeyKind::Rsa { bits: ..2048 } | KeyKind::Ed25519)
}

/// Certificates in use with a key of some sort, each once, with everywhere it stands.
fn keys_that(trust: &Trust<'_>, wanted: impl Fn(&KeyKind) -> bool) -> Vec<(Certificate, Places)> {
    let mut all: Vec<(Certificate, Places)> = Vec::new();
    for found in trust.unique() {
        let ca = in_use(&found.ca, trust.now());
        for certificate in ca.into_iter().filter(|c| wanted(&c.public_key.kind)) {
            let place = (found.cluster, certificate.span);
            match all.iter_mut().find(|(known, _)| *known == certificate) {
                Some((_, places)) => places.push(place),
                None => all.push((certificate, vec![place])),
            }
        }
    }
    all
}

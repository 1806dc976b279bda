//! Whose keys are where: the CA's own, shared ones, public ones, and those that anybody can read.

use std::collections::BTreeSet;

use super::super::{Rule, rule};
use super::texts::{Places, clusters, short};
use crate::clusters::ClusterId;
use crate::finding::{Finding, Findings, Severity};
use crate::kinds::Meta;
use crate::kinds::key_text::{KeyText, PRIVATE_KEY};
use crate::mesh::list;
use crate::source::Span;
use crate::trust::{
    CaMaterial, Certificate, Digest, Fault, Found, KeyForm, Origin, Pem, PrivateKey, Trust, Value,
    values_of,
};

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("trust/ca-is-root", trust: ca_is_root),
    rule!("trust/ca-key-mismatch", trust: ca_key_mismatch),
    rule!("trust/ca-key-pem-shape", trust: ca_key_pem_shape),
    rule!("trust/private-key-in-git", trust: private_key_in_git),
    rule!("trust/sample-ca-in-use", trust: sample_ca_in_use),
    rule!("trust/shared-intermediate", trust: shared_intermediate),
];

fn ca_key_mismatch(trust: &Trust<'_>, found: &mut Findings) {
    for ca in trust.unique() {
        let (Some(key), Some(signer)) = (&ca.ca.key, &ca.ca.signer) else { continue };
        if key.form != KeyForm::Plain || key.matches(signer) != Some(false) {
            continue;
        }
        let name = trust.mesh.cluster_name(ca.cluster);
        found
            .say(
                format!("the key of the CA of `{name}` is that of another certificate"),
                key.span,
                "istiod does not start with it",
            )
            .also(
                signer.span,
                format!("the certificate it should be the key of ({})", short(signer)),
            )
            .help("put certificate and key of one CA together");
    }
}

fn ca_key_pem_shape(trust: &Trust<'_>, found: &mut Findings) {
    for ca in trust.unique().into_iter().filter(|f| f.ca.origin != Origin::RootConfigMap) {
        let Some((at, why)) = misshapen(&ca.ca) else { continue };
        let name = trust.mesh.cluster_name(ca.cluster);
        found
            .say(
                format!("istiod cannot read the key of the CA of `{name}`"),
                at,
                format!("{why}: istiod does not start with it"),
            )
            .help(
                "write one unencrypted block, `PRIVATE KEY`, `RSA PRIVATE KEY` or `EC PRIVATE KEY`, first in \
                 the value, in base64 once under `data`: `openssl pkey -in ca-key.pem`",
            );
    }
}

/// Where istiod stumbles over a key, and why.
fn misshapen(ca: &CaMaterial) -> Option<(Span, String)> {
    let problem = ca.problems.iter().find(|p| matches!(p.name, "ca-key.pem" | "tls.key"));
    let by_form = ca.key.as_ref().and_then(|key| {
        let why = match key.form {
            KeyForm::Plain => return None,
            KeyForm::ParametersFirst => "another block stands before the key",
            KeyForm::Encrypted => "the key needs a passphrase",
            KeyForm::Unknown => "the block is no key that istiod knows",
        };
        Some((key.span, why.to_owned()))
    });
    match &ca.key {
        // What comes after a good first block is passed over.
        Some(key) if key.form == KeyForm::Plain => None,
        _ => by_form.or_else(|| {
            let fault = problem.filter(|p| p.fault != Fault::NotCertificate)?;
            Some((fault.span, format!("`{}`: {}", fault.name, fault.fault)))
        }),
    }
}

/// CAs with one key.
struct Shared<'t> {
    signer: &'t Certificate,
    places: Places,
}

/// The signers of control planes by key, as far as they are wanted.
fn signers<'t>(
    trust: &'t Trust<'_>,
    wanted: impl Fn(&CaMaterial, &Certificate) -> bool,
) -> Vec<Shared<'t>> {
    let mut all: Vec<Shared<'t>> = Vec::new();
    for found in trust.cas().iter().filter(|f| !trust.is_idle(f) && !f.assumed) {
        let Some(signer) = found.ca.signer.as_ref().filter(|s| wanted(&found.ca, s)) else {
            continue;
        };
        let place = (found.cluster, signer.span);
        let mesh = |id: ClusterId| trust.mesh.cluster(id).mesh;
        let same = |known: &&mut Shared<'_>| {
            known.signer.public_key.spki == signer.public_key.spki
                && known.places.first().is_some_and(|(id, _)| mesh(*id) == mesh(found.cluster))
        };
        match all.iter_mut().find(same) {
            Some(known) => known.places.push(place),
            None => all.push(Shared { signer, places: vec![place] }),
        }
    }
    all
}

fn is_own_root(ca: &CaMaterial, signer: &Certificate) -> bool {
    matches!(ca.origin, Origin::Cacerts | Origin::Files)
        && signer.is_self_signed()
        && ca.made_by_istiod().is_none()
        && !signer.is_istio_sample()
}

fn ca_is_root(trust: &Trust<'_>, found: &mut Findings) {
    for shared in signers(trust, is_own_root) {
        let of = clusters(trust.mesh, &shared.places);
        let finding = found.say(
            format!("the root itself signs the workloads of {of}"),
            shared.signer.span,
            format!("self-signed ({}): its key stands in the cluster", short(shared.signer)),
        );
        also(trust, finding, &shared.places);
        finding.help(
            "keep the key of the root offline, and let it sign an intermediate for each cluster: \
             a root cannot be revoked, only replaced everywhere",
        );
        if shared.places.len() == 1 {
            finding.milder(Severity::Warning, ", and of no other cluster");
        }
    }
}

fn also(trust: &Trust<'_>, finding: &mut Finding, places: &Places) {
    for (cluster, span) in places {
        finding.also(*span, format!("the same in `{}`", trust.mesh.cluster_name(*cluster)));
    }
}

fn shared_intermediate(trust: &Trust<'_>, found: &mut Findings) {
    let wanted = |ca: &CaMaterial, signer: &Certificate| {
        !is_own_root(ca, signer) && !signer.is_istio_sample()
    };
    for shared in signers(trust, wanted).into_iter().filter(|s| s.places.len() > 1) {
        let of = clusters(trust.mesh, &shared.places);
        let finding = found.say(
            format!("{of} sign with one and the same CA key"),
            shared.signer.span,
            format!(
                "{}: whoever gets it in one cluster can be any workload of all",
                short(shared.signer)
            ),
        );
        also(trust, finding, &shared.places);
        finding.help("sign an intermediate of its own for each cluster with the common root");
    }
}

fn sample_ca_in_use(trust: &Trust<'_>, found: &mut Findings) {
    let mut told: Vec<Digest> = Vec::new();
    for ca in trust.unique() {
        let all = ca.ca.certificates();
        let Some(sample) = all.into_iter().find(|c| c.is_istio_sample()) else { continue };
        if told.contains(&sample.fingerprint) {
            continue;
        }
        told.push(sample.fingerprint);
        let here = |f: &&Found| f.ca.certificates().contains(&sample);
        let places: Places =
            trust.cas().iter().filter(here).map(|f| (f.cluster, f.ca.span)).collect();
        let of = clusters(trust.mesh, &places);
        let finding = found.say(
            format!("the CA of {of} is one of Istio's samples"),
            sample.span,
            format!("{}: anybody can download the key below it", short(sample)),
        );
        also(trust, finding, &places);
        finding.help("make a root and intermediates of your own, and rotate to them");
        if ca.ca.origin == Origin::Files {
            finding.milder(Severity::Warning, ", if these files are what is plugged in");
        }
    }
}

/// Private keys in plain text in one object or file.
struct Exposed {
    at: Span,
    /// What holds them.
    what: String,
    /// Names of values, and whether a CA's key is among them.
    names: Vec<String>,
    of_ca: bool,
}

fn private_key_in_git(trust: &Trust<'_>, found: &mut Findings) {
    let authorities = authorities(trust);
    for exposed in exposed(trust, &authorities) {
        let names = list(exposed.names.iter().map(String::as_str));
        let (message, label) = if exposed.of_ca {
            (
                format!("{} holds the private key of a CA in plain text", exposed.what),
                format!("{names}: whoever reads this can be any workload of the mesh"),
            )
        } else {
            (
                format!(
                    "{} holds a private key in plain text, of no CA as far as is seen",
                    exposed.what
                ),
                format!("{names}: whoever reads this can be whom the certificate names"),
            )
        };
        let finding = found.say(message, exposed.at, label);
        finding.help(
            "make a new key, and keep it out of the repository: encrypted by SOPS, as a SealedSecret, or in a \
             vault; what was committed once stays in the history",
        );
        if !exposed.of_ca {
            finding.lower(Severity::Warning);
        }
    }
}

/// All certificates of CAs that the input shows.
fn authorities(trust: &Trust<'_>) -> Vec<Certificate> {
    let in_files = trust
        .mesh
        .pem_files()
        .iter()
        .flat_map(|file| Pem::read(&Value::file(&file.text, file.base)).certificates());
    let found = trust.cas().iter().flat_map(|f| f.ca.certificates().into_iter().cloned());
    found.chain(in_files).filter(|certificate| certificate.is_ca).collect()
}

/// Keys that stand readably in what somebody wrote; what was read from a cluster is plain text there.
fn exposed(trust: &Trust<'_>, authorities: &[Certificate]) -> Vec<Exposed> {
    let mesh = trust.mesh;
    // One text may be in many clusters.
    let mut seen = BTreeSet::new();
    let is_written = |meta: &Meta| !mesh.raw(meta.span).contains("resourceVersion");
    let secrets = mesh.secrets.iter().filter(|secret| seen.insert(secret.meta.span));
    let secrets = secrets.filter(|secret| is_written(&secret.meta));
    let secrets = secrets.filter_map(|secret| {
        let values: Vec<_> = values_of(mesh, secret).collect();
        let what = format!("the Secret `{}`", secret.name());
        of_values(secret.named_at(), what, &values, authorities)
    });
    let mut seen = BTreeSet::new();
    let maps = mesh.config_maps.iter().filter(|map| seen.insert(map.meta.span));
    let maps = maps.filter(|map| is_written(&map.meta)).filter_map(|map| {
        let telling = map.data.iter().filter(|(_, text)| text.contains(PRIVATE_KEY));
        let values: Vec<_> = telling
            .map(|(k, v)| (k.as_str(), Value::string(v, mesh.raw(v.span), v.span)))
            .collect();
        let what = format!("the ConfigMap `{}`", map.name());
        of_values(map.named_at(), what, &values, authorities)
    });
    let files = mesh.pem_files().iter().filter(|file| file.text.contains(PRIVATE_KEY));
    let files = files.filter_map(|file| {
        let name = file.name.rsplit('/').next().unwrap_or_default();
        let value = Value::file(&file.text, file.base);
        let key = PrivateKey::read(&Pem::read(&value))?;
        let what = "the file".to_owned();
        of_values(key.span, what, &[(name, value)], authorities)
    });
    let texts = mesh.key_texts().iter().filter_map(|keys| {
        let mut values = Vec::new();
        for KeyText { name, text, span, .. } in keys {
            values.push((name.as_str(), Value::string(text, mesh.raw(*span), *span)));
        }
        of_values(keys.first()?.named_at, "the file".to_owned(), &values, authorities)
    });
    secrets.chain(maps).chain(files).chain(texts).collect()
}

/// The keys among some values; what is encrypted, filled in on the way or no key at all is none.
fn of_values(
    at: Span,
    what: String,
    values: &[(&str, Value<'_>)],
    authorities: &[Certificate],
) -> Option<Exposed> {
    let read: Vec<(&str, Pem)> = values.iter().map(|(name, v)| (*name, Pem::read(v))).collect();
    let beside: Vec<Certificate> = read.iter().flat_map(|(_, pem)| pem.certificates()).collect();
    let mut exposed = Exposed { at, what, names: Vec::new(), of_ca: false };
    for (name, pem) in &read {
        let Some(key) = PrivateKey::read(pem) else { continue };
        if matches!(key.form, KeyForm::Encrypted | KeyForm::Unknown) {
            continue;
        }
        exposed.names.push((*name).to_owned());
        let is_of = |c: &Certificate| c.is_ca && key.matches(c) == Some(true);
        exposed.of_ca |= is_called_ca(name) || beside.iter().chain(authorities).any(is_of);
    }
    (!exposed.names.is_empty()).then_some(exposed)
}

/// `ca-key.pem`, `root-key.pem`, `rootCA-key.pem`.
fn is_called_ca(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["ca-key.pem", "root-key.pem", "cakey.pem", "ca.key"].iter().any(|end| name.ends_with(end))
}

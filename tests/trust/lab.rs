//! Both views of one CA, in a table of what goes wrong.

use std::path::{Path as Folder, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mesh_lint::trust::{
    CaMaterial, KeyKind, Pem, Refusal, Time, Value, istiod_accepts, peer_accepts,
};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Purpose, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};

use crate::make::*;

/// A root, a signer below it, and their values, with a change to each.
fn lab(
    root: impl FnOnce(&mut CertificateParams),
    signer: impl FnOnce(&mut CertificateParams),
    values_: impl FnOnce(&mut Values, &Made, &Made),
) -> CaMaterial {
    let root = make("Root CA", None, root);
    let signer = make("Intermediate CA", Some(&root), signer);
    let mut values = values(&signer, &root);
    values_(&mut values, &root, &signer);
    values.ca()
}

fn kept(_: &mut Values, _: &Made, _: &Made) {}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn what_istiod_and_peers_say() {
    let pathlen = |n| IsCa::Ca(BasicConstraints::Constrained(n));
    let dns = NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".into())],
        excluded_subtrees: vec![],
    };
    let cases = [
        ("well formed", lab(asis, asis, kept), "ok", "ok"),
        ("root with pathlen 0", lab(|p| p.is_ca = pathlen(0), asis, kept), "ok", "PathLen"),
        (
            "root with pathlen 1",
            lab(|p| p.is_ca = pathlen(1), |p| p.is_ca = pathlen(0), kept),
            "ok",
            "ok",
        ),
        (
            "signer without keyCertSign",
            lab(asis, |p| p.key_usages = vec![KeyUsagePurpose::DigitalSignature], kept),
            "ok",
            "NoKeyCertSign",
        ),
        (
            "chain lacks the signer",
            lab(asis, asis, |v, root, _| v.chain = root.pem.clone()),
            "ok",
            "SignerNotSent",
        ),
        (
            "URI constraint on another trust domain",
            lab(|p| p.custom_extensions = vec![only_uri("example.com")], asis, kept),
            "ok",
            "NameConstraint",
        ),
        (
            "URI constraint on this trust domain",
            lab(|p| p.custom_extensions = vec![only_uri("cluster.local")], asis, kept),
            "ok",
            "ok",
        ),
        ("DNS constraint", lab(|p| p.name_constraints = Some(dns), asis, kept), "ok", "ok"),
        (
            "chain from the root down",
            lab(asis, asis, |v, root, signer| v.chain = format!("{}{}", root.pem, signer.pem)),
            "ok",
            "ok",
        ),
        (
            "the intermediate as root",
            lab(asis, asis, |v, _, signer| v.root = signer.pem.clone()),
            "ok",
            "ok",
        ),
        (
            "signer for clients only",
            lab(asis, |p| p.extended_key_usages = vec![Purpose::ClientAuth], kept),
            "Purpose",
            "Purpose",
        ),
        (
            "signer for servers only",
            lab(asis, |p| p.extended_key_usages = vec![Purpose::ServerAuth], kept),
            "ok",
            "Purpose",
        ),
        (
            "signer expired",
            lab(asis, |p| p.not_after = date_time_ymd(2026, 5, 31), kept),
            "Expired",
            "Expired",
        ),
        (
            "root expired",
            lab(|p| p.not_after = date_time_ymd(2026, 5, 31), asis, kept),
            "Expired",
            "Expired",
        ),
        (
            "signer not valid yet",
            lab(asis, |p| p.not_before = date_time_ymd(2026, 7, 1), kept),
            "NotYetValid",
            "NotYetValid",
        ),
        (
            "signer that is no CA",
            lab(asis, |p| p.is_ca = IsCa::ExplicitNoCa, kept),
            "NotCa",
            "NotCa",
        ),
        (
            "root without basic constraints",
            lab(|p| p.is_ca = IsCa::NoCa, asis, kept),
            "NotCa",
            "NotCa",
        ),
        (
            "root without keyCertSign",
            lab(|p| p.key_usages = vec![KeyUsagePurpose::CrlSign], asis, kept),
            "NoKeyCertSign",
            "NoKeyCertSign",
        ),
        (
            "root file without PEM",
            lab(asis, asis, |v, _, _| v.root = "no certificate".into()),
            "NoRoots",
            "unseen",
        ),
        (
            "no line break between the blocks of the chain",
            lab(asis, asis, |v, _, _| {
                v.chain = v.chain.replace("----\n-----BEGIN", "---------BEGIN");
            }),
            "NoChain",
            "SignerNotSent",
        ),
        (
            "EC PARAMETERS before the key",
            lab(asis, asis, |v, _, _| {
                v.key = format!(
                    "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{}",
                    v.key
                );
            }),
            "KeyUnreadable",
            "ok",
        ),
        (
            "encrypted key",
            lab(asis, asis, |v, _, _| v.key = v.key.replace("PRIVATE", "ENCRYPTED PRIVATE")),
            "KeyUnreadable",
            "ok",
        ),
        (
            "key of the root",
            lab(asis, asis, |v, root, _| v.key = root.key.serialize_pem()),
            "KeyMismatch",
            "ok",
        ),
        ("empty key", lab(asis, asis, |v, _, _| v.key = "\n".into()), "Incomplete", "ok"),
        (
            "signer outlives the root",
            lab(asis, |p| p.not_after = date_time_ymd(2030, 1, 1), kept),
            "ok",
            "ok",
        ),
        (
            "an unrelated root of the same name",
            lab(asis, asis, |v, _, _| v.root = root().pem),
            "NoPathToRoot",
            "NoPathToRoot",
        ),
        ("the root as signer", lab(asis, asis, |v, root, _| *v = values(root, root)), "ok", "ok"),
    ];
    for (name, ca, istiod, peer) in cases {
        assert_eq!(both(&ca, NOW), [istiod, peer], "{name}: {ca:?}");
    }
}

#[test]
fn elliptic_and_edwards_keys() {
    for algorithm in
        [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519]
    {
        let key = || KeyPair::generate_for(algorithm).unwrap();
        let root = make_with(key(), "Root CA", None, asis);
        let signer = make_with(key(), "Intermediate CA", Some(&root), asis);
        let ca = values(&signer, &root).ca();
        assert_eq!(both(&ca, NOW), ["ok", "ok"], "{ca:?}");
        assert_eq!(ca.key.as_ref().and_then(|key| key.matches(ca.signer.as_ref()?)), Some(true));
        assert_eq!(ca.key.as_ref().and_then(|key| key.matches(&ca.roots[0])), Some(false));
    }
}

/// Runs `openssl`; `None` where there is none, and the test is skipped.
fn openssl(folder: &Folder, arguments: &str) -> Option<()> {
    let output =
        Command::new("openssl").current_dir(folder).args(arguments.split_whitespace()).output();
    let Ok(output) = output else {
        eprintln!("skipped: there is no openssl to make these certificates");
        return None;
    };
    assert!(
        output.status.success(),
        "openssl {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(())
}

/// A root and a signer made by `openssl`, with the options for the signer's key and its signature.
fn by_openssl(name: &str, key: &str, signature: &str) -> Option<CaMaterial> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("ext"), "basicConstraints=critical,CA:true\nkeyUsage=keyCertSign\n")
        .unwrap();
    openssl(
        &folder,
        "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout root-key.pem -out root-cert.pem -subj /O=Istio/CN=Root",
    )?;
    openssl(
        &folder,
        &format!(
            "req -newkey {key} -nodes -keyout ca-key.pem -out ca.csr -subj /O=Istio/CN=Intermediate"
        ),
    )?;
    openssl(
        &folder,
        &format!(
            "x509 -req {signature} -days 1 -in ca.csr -CA root-cert.pem -CAkey root-key.pem -CAcreateserial -extfile ext -out ca-cert.pem"
        ),
    )?;
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let (cert, root) = (read("ca-cert.pem"), read("root-cert.pem"));
    let values = Values { chain: format!("{cert}{root}"), cert, key: read("ca-key.pem"), root };
    std::fs::remove_dir_all(&folder).unwrap();
    Some(values.ca())
}

#[test]
fn keys_and_signatures_that_only_openssl_makes() {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let now = Time(i64::try_from(seconds).unwrap() + 60);
    let pss = "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32";
    for (name, key, signature, shown, istiod) in [
        ("rsa", "rsa:2048", "-sha256", "RSA 2048, RSA with SHA-256", "ok"),
        ("rsa-384", "rsa:2048", "-sha384", "RSA 2048, RSA with SHA-384", "ok"),
        ("small", "rsa:1024", "-sha512", "RSA 1024, RSA with SHA-512", "ok"),
        ("pss", "rsa:2048", pss, "RSA 2048, RSA-PSS with SHA-256", "ok"),
        ("sha1", "rsa:2048", "-sha1", "RSA 2048, RSA with SHA-1", "WeakSignature"),
        (
            "p521",
            "ec -pkeyopt ec_paramgen_curve:P-521",
            "-sha256",
            "ECDSA P-521, RSA with SHA-256",
            "ok",
        ),
    ] {
        let Some(ca) = by_openssl(name, key, signature) else { return };
        let signer = ca.signer.as_ref().unwrap();
        assert_eq!(format!("{}, {}", signer.public_key.kind, signer.signature), shown);
        assert_eq!(both(&ca, now), [istiod, "ok"], "{name}: {ca:?}");
        assert_eq!(ca.key.as_ref().and_then(|key| key.matches(signer)), Some(true), "{name}");
    }
}

#[test]
fn a_forged_signature_is_no_lookalike() {
    let root = root();
    let signer = signer(&root);
    let mut der = Pem::read(&Value::file(&signer.pem, 0)).blocks[0].der.clone();
    *der.last_mut().unwrap() ^= 1;
    let forged = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        BASE64_STANDARD.encode(der)
    );
    let ca = Values { cert: forged.clone(), chain: forged, ..values(&signer, &root) }.ca();
    assert_eq!(both(&ca, NOW), ["BadSignature", "BadSignature"]);
}

#[test]
fn facts_of_a_certificate() {
    let root = make("Root CA", None, |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(3)));
    let signer = make("East", Some(&root), |p| {
        p.custom_extensions = vec![only_uri(".example.com")];
        p.extended_key_usages = vec![Purpose::Any];
        p.subject_alt_names =
            vec![rcgen::SanType::URI("spiffe://cluster.local/a".try_into().unwrap())];
    });
    let ca = values(&signer, &root).ca();
    let (root, signer) = (&ca.roots[0], ca.signer.as_ref().unwrap());
    assert_eq!(signer.subject, "O=Istio, CN=East");
    assert_eq!(signer.issuer, root.subject);
    assert_eq!(
        format!("{} to {}", signer.not_before, signer.not_after),
        "2026-01-01 to 2026-12-31"
    );
    assert_eq!((root.path_len, signer.path_len), (Some(3), None));
    assert_eq!((signer.key_cert_sign, signer.crl_sign), (Some(true), Some(true)));
    assert!(root.is_self_signed() && !signer.is_self_issued() && !root.looks_made_by_istiod());
    assert_eq!(signer.uris, ["spiffe://cluster.local/a"]);
    let constraints = signer.name_constraints.as_ref().unwrap();
    assert!(
        constraints.permit("a.example.com")
            && !constraints.permit("example.com")
            && !constraints.others
    );
    assert!(signer.purposes.unwrap().client_auth);
    assert_eq!(signer.public_key.kind, KeyKind::Ec(mesh_lint::trust::Curve::P256));
    assert_eq!(signer.fingerprint.to_string().len(), 95);
    assert!(!signer.is_istio_sample());
}

#[test]
fn reasons_read_as_clauses() {
    let ca = lab(|p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)), asis, kept);
    let Some(Err(why)) = peer_accepts(&ca, &ca.roots, None, NOW) else { panic!("{ca:?}") };
    assert_eq!(why.to_string(), "`O=Istio, CN=Root CA` permits 0 CAs below it, and has 1");
    assert!(!why.is_date() && *why.certificate() == ca.roots[0]);
    let late = lab(asis, |p| p.not_after = date_time_ymd(2026, 5, 31), kept);
    let Some(Err(Refusal::Path(why))) = istiod_accepts(&late, NOW) else { panic!("{late:?}") };
    assert_eq!(why.to_string(), "`O=Istio, CN=Intermediate CA` expired on 2026-05-31");
    assert!(why.is_date());
}

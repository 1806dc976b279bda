//! Where material comes from: Secrets, manifests, files; and what is wrong with the text.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mesh_lint::source::{Sources, Span};
use mesh_lint::trust::{
    CaMaterial, Certificate, Fault, KeyForm, Layout, Origin, Pem, PrivateKey, Value, from_files,
    istiod_accepts,
};
use rcgen::IsCa;

use crate::make::*;

#[test]
fn the_tls_layout_wins() {
    let (root, other) = (root(), make("Other", None, asis));
    let (new, old) = (values(&signer(&root), &root), values(&signer(&other), &other));
    let encode = |text: &str| BASE64_STANDARD.encode(text);
    let data = [
        ("tls.crt", encode(&new.cert)),
        ("tls.key", encode(&new.key)),
        ("ca.crt", encode(&new.root)),
        ("ca-cert.pem", encode(&old.cert)),
    ];
    let span = Span::new(10, 20);
    let values: Vec<_> =
        data.iter().map(|(name, text)| (*name, Value::base64(text, span))).collect();
    let ca = CaMaterial::new(Origin::Cacerts, Span::default(), &values);
    assert_eq!((ca.layout, ca.ignored.len(), ca.chain.len()), (Layout::Tls, 1, 2));
    assert_eq!(both(&ca, NOW), ["ok", "ok"]);
    assert_eq!(ca.signer.as_ref().map(|signer| signer.span), Some(span));
    let ca = CaMaterial::new(Origin::Cacerts, Span::default(), &values[..1]);
    assert_eq!(ca.missing, ["tls.key", "ca.crt"]);
    let ca =
        CaMaterial::new(Origin::Cacerts, Span::default(), &[("ca.pem", Value::base64("", span))]);
    assert_eq!((ca.layout, istiod_accepts(&ca, NOW)), (Layout::Unknown, None));
}

#[test]
fn files_of_a_repository() {
    let root = root();
    let (east, west) = (values(&signer(&root), &root), values(&signer(&root), &root));
    let leaf = make("web", Some(&root), |p| p.is_ca = IsCa::ExplicitNoCa);
    let mut sources = Sources::default();
    for (name, text) in [
        ("certs/root-cert.pem", &east.root),
        ("certs/east/ca-cert.pem", &east.cert),
        ("certs/east/cert-chain.pem", &east.chain),
        ("certs/east/root-cert.pem", &east.root),
        ("certs/west/ca-cert.pem", &west.cert),
        ("certs/west/root-cert.pem", &west.root),
        ("web/tls.crt", &leaf.pem),
        ("web/tls.key", &west.key),
    ] {
        sources.add(name, text.as_str()).unwrap();
    }
    let folders = from_files(sources.files().map(|(_, file)| file));
    assert_eq!(folders.keys().collect::<Vec<_>>(), ["certs", "certs/east", "certs/west"]);
    assert_eq!(folders["certs"].layout, Layout::RootsOnly);
    for name in ["certs/east", "certs/west"] {
        let ca = &folders[name];
        assert_eq!(both(ca, NOW), ["ok", "ok"], "{name}");
        let text = sources.slice(ca.signer.as_ref().unwrap().span);
        assert!(text.starts_with("-----BEGIN CERT") && text.ends_with("CERTIFICATE-----"));
    }
}

fn faults(value: &Value<'_>) -> Vec<Fault> {
    Pem::read(value).faults.into_iter().map(|(fault, _)| fault).collect()
}

#[test]
fn values_that_hold_no_pem_say_why() {
    let pem = root().pem;
    let body =
        |text: &str| format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    let once = BASE64_STANDARD.encode(&pem);
    let span = Span::new(3, 9);
    for (text, fault) in [
        (String::new(), Fault::Empty),
        ("{{ .Values.ca }}".to_owned(), Fault::Placeholder),
        ("ENC[AES256_GCM,data:x]".to_owned(), Fault::Placeholder),
        ("hello".to_owned(), Fault::NotPem),
        (once.clone(), Fault::EncodedTwice),
        (pem.trim_end().trim_end_matches('-').to_owned(), Fault::Glued),
        (pem.replace("-----END", "-----FIN"), Fault::Truncated),
        (pem.replace("END CERT", "END A CERT"), Fault::Mismatched),
        (pem.replace("-----", "  -----"), Fault::Indented),
        (pem.replace('\n', " "), Fault::Glued),
        (body("%%%%"), Fault::Body),
    ] {
        assert_eq!(faults(&Value::file(&text, 0)), [fault], "{text}");
    }
    assert_eq!(faults(&Value::base64(&BASE64_STANDARD.encode(&once), span)), [Fault::EncodedTwice]);
    assert_eq!(faults(&Value::base64(&pem, span)), [Fault::NotBase64]);
    assert_eq!(faults(&Value::base64("ENC[AES256_GCM]", span)), [Fault::Placeholder]);
    assert_eq!(faults(&Value::file(&pem.replace('\n', "\r\n"), 0)), []);
    assert_eq!(faults(&Value::file(&format!("Certificate:\n  Data: x\n{pem}"), 0)), []);
    let ca = root_config_map(&body("AAAA"));
    assert_eq!(ca.problems.iter().map(|p| p.fault).collect::<Vec<_>>(), [Fault::NotCertificate]);
}

#[test]
fn blocks_are_found_again_in_a_block_scalar() {
    let (one, two) = (root().pem, root().pem);
    let text = format!("{one}{two}");
    let manifest =
        format!("data:\n  root-cert.pem: |\n    {}\n", text.trim_end().replace('\n', "\n    "));
    let mut sources = Sources::default();
    sources.add("first.yaml", "a: 1\n").unwrap();
    let file = sources.add("root.yaml", manifest.as_str()).unwrap();
    let base = sources.file(file).base;
    let at = u32::try_from(manifest.find('|').unwrap()).unwrap();
    let span = Span::new(base + at, base + u32::try_from(manifest.len()).unwrap());
    let pem = Pem::read(&Value::string(&text, sources.slice(span), span));
    for (block, original) in pem.blocks.iter().zip([&one, &two]) {
        assert_eq!(sources.slice(block.span).replace("\n    ", "\n"), original.trim_end());
    }
    assert_eq!(pem.blocks.len(), 2);
}

#[test]
fn truncation_at_any_byte_is_harmless() {
    let root = root();
    let whole = values(&signer(&root), &root);
    let key = whole.key.clone() + &whole.chain;
    for end in 0..key.len() {
        let cut = Values {
            cert: key[end..].to_owned(),
            key: key[..end].to_owned(),
            chain: key[..end].to_owned(),
            root: key[end..].to_owned(),
        };
        for value in [
            Value::file(&cut.cert, 7),
            Value::string(&cut.key, &key, Span::new(1, 9)),
            Value::base64(&cut.cert, Span::default()),
        ] {
            assert!(Pem::read(&value).faults.iter().all(|(_, span)| span.start <= span.end));
        }
        both(&cut.ca(), NOW);
    }
    let der = Pem::read(&Value::file(&root.pem, 0)).blocks[0].der.clone();
    for end in 0..der.len() {
        assert!(Certificate::parse(&der[..end], Span::default()).is_err());
    }
    let key = BASE64_STANDARD.encode(root.key.serialize_der());
    for end in (0..key.len()).step_by(4) {
        for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"] {
            let text = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", &key[..end]);
            let read = PrivateKey::read(&Pem::read(&Value::file(&text, 0))).unwrap();
            assert!(
                read.form == KeyForm::Unknown
                    || read.matches(&root_config_map(&root.pem).roots[0]).is_none()
            );
        }
    }
}

#[test]
fn keys_are_not_shown() {
    let root = root();
    let ca = values(&signer(&root), &root);
    let secret = ca.key.lines().nth(1).unwrap();
    let value = Value::file(&ca.key, 0);
    let pem = Pem::read(&value);
    let numbers = format!("{:?}", &pem.blocks[0].der[40..44]);
    let shown = format!("{value:?} {pem:?} {:?}", ca.ca());
    assert!(!shown.contains(secret) && !shown.contains(numbers.trim_matches(['[', ']'])));
}

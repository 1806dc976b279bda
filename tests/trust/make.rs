//! Certificates made while the tests run, and short words for what is said of them.

use std::fmt::Debug;

use mesh_lint::source::Span;
use mesh_lint::trust::{CaMaterial, Origin, Time, Value, istiod_accepts, peer_accepts};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// 2026-06-01; certificates of these tests are valid throughout 2026 unless they say otherwise.
pub(crate) const NOW: Time = Time(1_780_272_000);

/// A certificate with its key.
pub(crate) struct Made {
    pub(crate) params: CertificateParams,
    pub(crate) key: KeyPair,
    pub(crate) pem: String,
}

pub(crate) fn make(
    name: &str,
    issuer: Option<&Made>,
    change: impl FnOnce(&mut CertificateParams),
) -> Made {
    make_with(KeyPair::generate().unwrap(), name, issuer, change)
}

pub(crate) fn make_with(
    key: KeyPair,
    name: &str,
    issuer: Option<&Made>,
    change: impl FnOnce(&mut CertificateParams),
) -> Made {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Istio");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2026, 12, 31);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = issuer.is_some();
    change(&mut params);
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, &Issuer::from_params(&issuer.params, &issuer.key)),
        None => params.self_signed(&key),
    };
    Made { pem: certificate.unwrap().pem(), params, key }
}

pub(crate) fn root() -> Made {
    make("Root CA", None, |_| {})
}

pub(crate) fn signer(root: &Made) -> Made {
    make("Intermediate CA", Some(root), |_| {})
}

/// The four values of a `cacerts` Secret.
#[derive(Clone)]
pub(crate) struct Values {
    pub(crate) cert: String,
    pub(crate) key: String,
    pub(crate) root: String,
    pub(crate) chain: String,
}

pub(crate) fn values(signer: &Made, root: &Made) -> Values {
    Values {
        cert: signer.pem.clone(),
        key: signer.key.serialize_pem(),
        root: root.pem.clone(),
        chain: format!("{}{}", signer.pem, root.pem),
    }
}

impl Values {
    pub(crate) fn ca(&self) -> CaMaterial {
        let file = |text| Value::file(text, 0);
        let values = [
            ("ca-cert.pem", file(&self.cert)),
            ("ca-key.pem", file(&self.key)),
            ("root-cert.pem", file(&self.root)),
            ("cert-chain.pem", file(&self.chain)),
        ];
        CaMaterial::new(Origin::Cacerts, Span::default(), &values)
    }
}

/// The first word of the reason, or `ok`.
pub(crate) fn verdict<T, E: Debug>(answer: Option<Result<T, E>>) -> String {
    match answer {
        None => "unseen".to_owned(),
        Some(Ok(_)) => "ok".to_owned(),
        Some(Err(why)) => {
            let text = format!("{why:?}").replace("Path(", "");
            text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
        }
    }
}

pub(crate) fn both(ca: &CaMaterial, now: Time) -> [String; 2] {
    [
        verdict(istiod_accepts(ca, now)),
        verdict(peer_accepts(ca, &ca.roots, Some("cluster.local"), now)),
    ]
}

/// `nameConstraints` with one permitted URI host, which `rcgen` has no words for.
pub(crate) fn only_uri(host: &str) -> CustomExtension {
    let wrap = |tag: u8, body: &[u8]| [&[tag, u8::try_from(body.len()).unwrap()], body].concat();
    let content = wrap(0x30, &wrap(0xa0, &wrap(0x30, &wrap(0x86, host.as_bytes()))));
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], content);
    extension.set_criticality(true);
    extension
}

pub(crate) fn asis(_: &mut CertificateParams) {}

pub(crate) fn root_config_map(pem: &str) -> CaMaterial {
    let value = [("root-cert.pem", Value::file(pem, 0))];
    CaMaterial::new(Origin::RootConfigMap, Span::default(), &value)
}

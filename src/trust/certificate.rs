//! One X.509 certificate as facts.

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::{GeneralName, KeyUsage, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name, X509Version};

use super::digest::{Digest, colons};
use super::public_key::{Curve, KeyKind, PublicKey};
use super::signature::{Checked, SignatureAlgorithm, can_check, check};
use super::time::Time;
use crate::source::Span;

/// Roots and signers of Istio's `samples/certs` through the years: keys below all of them are public.
#[rustfmt::skip]
const ISTIO_SAMPLES: [&str; 9] = [
    "63:72:7A:17:85:CA:B4:7A:CE:C5:C2:4C:C0:66:9C:20:82:4E:8A:E1:AC:28:07:9A:4D:2F:8C:83:05:92:E7:B0",
    "F8:67:17:4E:4A:31:F1:79:2F:8C:03:54:A2:3F:8F:04:9B:D4:01:97:29:CD:2E:E5:79:D6:70:33:06:5B:2D:C2",
    "11:C9:20:2C:6B:E8:EA:5F:CF:B4:6D:85:91:A8:CF:83:B2:0E:B9:7A:DE:97:23:48:40:85:1A:F8:76:3A:E4:28",
    "40:FF:5D:9D:CA:A8:08:33:BB:72:91:EF:1F:89:AC:D9:F4:DA:11:D6:C6:00:6B:78:89:7D:3F:9E:2C:FF:86:B5",
    "67:7F:BF:66:15:31:AB:42:1E:73:BF:E7:B2:EB:DB:7E:C5:50:91:74:E3:DF:CD:39:D2:4B:85:2E:2D:46:D4:6C",
    "2D:DF:E1:A9:4B:5B:07:64:97:B7:73:92:D9:A7:D1:5F:65:76:B7:2F:05:AA:61:1A:A3:B4:F0:28:D1:4D:8B:87",
    "E5:CC:55:1E:46:8F:D6:47:EC:E4:96:72:27:55:BF:7A:72:9A:DB:62:05:B1:14:CB:D0:6B:91:8C:E2:B4:BB:57",
    "99:5E:14:00:33:5A:AA:F3:B7:0D:AD:F1:6E:73:4F:CC:6F:E7:43:83:15:97:C4:F5:A2:D8:03:2C:46:7C:EE:DC",
    "D9:97:99:35:E6:BC:FB:C9:AA:A1:D7:92:39:7E:D4:13:1B:EC:87:B2:57:50:F0:5F:7A:77:C5:1F:67:0E:0F:2F",
];

/// A certificate and its place; cheap to clone. Equal when the bytes are, wherever they stand.
#[derive(Clone)]
pub struct Certificate {
    facts: Arc<Facts>,
    /// Where it stands.
    pub span: Span,
}

/// What a certificate says.
pub struct Facts {
    /// Distinguished name, for people: two different roots may well share it.
    pub subject: String,
    /// Distinguished name of the issuer, for people.
    pub issuer: String,
    /// Hexadecimal with colons.
    pub serial: String,
    /// First second of validity.
    pub not_before: Time,
    /// Last second of validity.
    pub not_after: Time,
    /// SHA-256 of the whole certificate: the same bytes.
    pub fingerprint: Digest,
    /// The key it certifies.
    pub public_key: PublicKey,
    /// `CA:TRUE` of the basic constraints.
    pub is_ca: bool,
    /// `pathlen` of the basic constraints: how many CAs may stand between it and a leaf.
    pub path_len: Option<u32>,
    /// Whether the key usage permits signing certificates; `None` without a key usage.
    pub key_cert_sign: Option<bool>,
    /// Whether the key usage permits signing revocation lists; `None` without a key usage.
    pub crl_sign: Option<bool>,
    /// Extended key usage; `None` without one, which permits everything.
    pub purposes: Option<Purposes>,
    /// URIs of the subject alternative names.
    pub uris: Vec<String>,
    /// Which names it may certify; `None` for all.
    pub name_constraints: Option<NameConstraints>,
    /// How it was signed.
    pub signature: SignatureAlgorithm,
    /// X.509 version 3; older ones know no basic constraints.
    pub is_v3: bool,
    /// The organisation, where the subject says nothing else.
    organization_alone: Option<String>,
    pub(super) subject_der: Vec<u8>,
    pub(super) issuer_der: Vec<u8>,
    signed: Vec<u8>,
    signature_bytes: Vec<u8>,
    subject_key_id: Option<Vec<u8>>,
    issuer_key_id: Option<Vec<u8>>,
    self_signed: OnceLock<bool>,
    /// Checking a signature is dear, and many ask.
    checked: Mutex<Known>,
}

/// What is known of the signature of one certificate.
#[derive(Default)]
struct Known {
    /// By issuer's key.
    by_key: Vec<(Digest, Checked)>,
    /// The key that made it.
    signer: Option<PublicKey>,
}

/// Extended key usage, as far as a mesh cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purposes {
    /// `serverAuth`, or any.
    pub server_auth: bool,
    /// `clientAuth`, or any.
    pub client_auth: bool,
}

/// Name constraints, as far as they bind SPIFFE identities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameConstraints {
    /// Hosts of URIs that may be certified; empty for all.
    pub permitted_uris: Vec<String>,
    /// Hosts of URIs that may not be certified.
    pub excluded_uris: Vec<String>,
    /// Names of other kinds are constrained as well, such as DNS names.
    pub others: bool,
}

impl NameConstraints {
    /// Whether `spiffe://TRUST_DOMAIN/...` may be certified: RFC 5280, section 4.2.1.10.
    pub fn permit(&self, trust_domain: &str) -> bool {
        let host = trust_domain.to_ascii_lowercase();
        let within =
            |hosts: &[String]| hosts.iter().any(|h| host_within(&host, &h.to_ascii_lowercase()));
        !within(&self.excluded_uris)
            && (self.permitted_uris.is_empty() || within(&self.permitted_uris))
    }
}

/// A leading dot stands for any subdomain, a name without it for itself alone.
fn host_within(host: &str, constraint: &str) -> bool {
    constraint.is_empty()
        || if constraint.starts_with('.') { host.ends_with(constraint) } else { host == constraint }
}

impl Certificate {
    /// Reads DER. `Err` says what is wrong, in the words of the X.509 reader.
    pub fn parse(der: &[u8], span: Span) -> Result<Self, String> {
        let facts = match X509Certificate::from_der(der) {
            Ok(([], parsed)) => Facts::new(&parsed, der).map_err(|error| error.to_string())?,
            Ok(_) => return Err("bytes follow the certificate".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        Ok(Self { facts: Arc::new(facts), span })
    }

    /// Lets it share what is known of the same certificate at another place, so that signatures are checked
    /// once for all places.
    pub(super) fn share(&mut self, known: &mut HashMap<Digest, Self>) {
        let first = known.entry(self.fingerprint).or_insert_with(|| self.clone());
        self.facts = Arc::clone(&first.facts);
    }
}

impl Deref for Certificate {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.facts
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, serial {}, until {})", self.subject, self.serial, self.not_after)
    }
}

impl Facts {
    fn new(parsed: &X509Certificate<'_>, der: &[u8]) -> Result<Self, X509Error> {
        let basic = parsed.basic_constraints()?.map(|extension| extension.value);
        let usage = parsed.key_usage()?.map(|extension| extension.value);
        let purposes = parsed.extended_key_usage()?.map(|extension| Purposes {
            server_auth: extension.value.server_auth || extension.value.any,
            client_auth: extension.value.client_auth || extension.value.any,
        });
        let (subject_key_id, issuer_key_id) = key_ids(parsed);
        Ok(Self {
            subject: printable(parsed.subject()),
            issuer: printable(parsed.issuer()),
            serial: colons(parsed.raw_serial()),
            not_before: Time(parsed.validity().not_before.timestamp()),
            not_after: Time(parsed.validity().not_after.timestamp()),
            fingerprint: Digest::of(der),
            public_key: PublicKey::new(parsed.public_key()),
            is_ca: basic.is_some_and(|basic| basic.ca),
            path_len: basic.filter(|basic| basic.ca).and_then(|basic| basic.path_len_constraint),
            key_cert_sign: usage.map(KeyUsage::key_cert_sign),
            crl_sign: usage.map(KeyUsage::crl_sign),
            purposes,
            uris: uris(parsed)?,
            name_constraints: name_constraints(parsed)?,
            signature: SignatureAlgorithm::new(&parsed.signature_algorithm),
            is_v3: parsed.version() == X509Version::V3,
            organization_alone: organization_alone(parsed.subject()),
            subject_der: parsed.subject().as_raw().to_vec(),
            issuer_der: parsed.issuer().as_raw().to_vec(),
            signed: parsed.tbs_certificate.as_ref().to_vec(),
            signature_bytes: parsed.signature_value.data.to_vec(),
            subject_key_id,
            issuer_key_id,
            self_signed: OnceLock::new(),
            checked: Mutex::default(),
        })
    }

    /// Whether subject and issuer are the same name.
    pub fn is_self_issued(&self) -> bool {
        self.subject_der == self.issuer_der
    }

    /// Whether its own key signed it, as far as the signature can be checked: a root.
    pub fn is_self_signed(&self) -> bool {
        let signed = || self.is_self_issued() && self.is_signed_by(self) != Checked::Bad;
        *self.self_signed.get_or_init(signed)
    }

    /// Whether the key of `issuer` signed it. Names are not compared.
    ///
    /// A signature that one key made, no other did: among a hundred roots of one name only the right one
    /// has to be found. (A key for which another's signature holds can be made up for that purpose; then
    /// whichever was asked first counts.)
    pub(super) fn is_signed_by(&self, issuer: &Self) -> Checked {
        let key = &issuer.public_key;
        let mut known = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, checked)) = known.by_key.iter().find(|(known, _)| *known == key.spki) {
            return *checked;
        }
        let is_of_another = known.signer.as_ref().is_some_and(|signer| signer.bits != key.bits);
        if is_of_another && can_check(self.signature, key) {
            return Checked::Bad;
        }
        let checked = check(self.signature, key, &self.signed, &self.signature_bytes);
        if checked == Checked::Good {
            known.signer = Some(key.clone());
        }
        known.by_key.push((key.spki, checked));
        checked
    }

    /// The same name and the same key, whatever dates and serial: either vouches for the other's.
    pub fn same_anchor(&self, other: &Self) -> bool {
        self.subject_der == other.subject_der && self.public_key.spki == other.public_key.spki
    }

    /// The same name with another key: looks alike, and vouches for nothing of the other's.
    pub fn looks_like(&self, other: &Self) -> bool {
        self.subject_der == other.subject_der && self.public_key.spki != other.public_key.spki
    }

    /// Whether the issuer's key identifier names the key of `issuer`; `None` where it says nothing.
    pub(super) fn names_key_of(&self, issuer: &Self) -> Option<bool> {
        Some(self.issuer_key_id.as_ref()? == issuer.subject_key_id.as_ref()?)
    }

    /// Whether it looks like a root that istiod made for itself: self-signed, and the subject is
    /// the trust domain as organisation and nothing else (`O=cluster.local`).
    pub fn looks_made_by_istiod(&self) -> bool {
        self.is_ca && self.organization_alone.is_some() && self.is_self_signed()
    }

    /// Whether it is one of Istio's `samples/certs`, where everybody finds a key below it.
    pub fn is_istio_sample(&self) -> bool {
        ISTIO_SAMPLES.contains(&self.fingerprint.to_string().as_str())
    }

    /// Whether `now` lies within the validity.
    pub fn is_valid_at(&self, now: Time) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

impl PublicKey {
    fn new(info: &SubjectPublicKeyInfo<'_>) -> Self {
        let oid = |any: &x509_parser::der_parser::asn1_rs::Any<'_>| {
            any.as_oid().ok().map(|o| o.to_id_string())
        };
        let kind = match info.algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.1" => match info.parsed() {
                Ok(x509_parser::public_key::PublicKey::RSA(key)) => {
                    KeyKind::Rsa { bits: bit_length(key.modulus) }
                }
                _ => KeyKind::Other("1.2.840.113549.1.1.1".to_owned()),
            },
            "1.2.840.10045.2.1" => {
                let curve = info.algorithm.parameters.as_ref().and_then(oid);
                KeyKind::Ec(match curve.as_deref() {
                    Some("1.2.840.10045.3.1.7") => Curve::P256,
                    Some("1.3.132.0.34") => Curve::P384,
                    Some("1.3.132.0.35") => Curve::P521,
                    _ => Curve::Other,
                })
            }
            "1.3.101.112" => KeyKind::Ed25519,
            other => KeyKind::Other(other.to_owned()),
        };
        Self { kind, spki: Digest::of(info.raw), bits: info.subject_public_key.data.to_vec() }
    }
}

fn bit_length(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    let leading = number.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
    (number.len() - zeros) * 8 - leading
}

/// A name in one line; whatever could play tricks on a terminal is escaped.
pub(super) fn printable(name: &X509Name<'_>) -> String {
    let mut line = String::new();
    for c in name.to_string().chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

fn organization_alone(name: &X509Name<'_>) -> Option<String> {
    let organization = name.iter_organization().next()?.as_str().ok()?;
    (name.iter_attributes().count() == 1).then(|| organization.to_owned())
}

fn uris(parsed: &X509Certificate<'_>) -> Result<Vec<String>, X509Error> {
    let names = parsed.subject_alternative_name()?;
    Ok(names.map(|names| uris_of(names.value.general_names.iter())).unwrap_or_default())
}

fn uris_of<'n>(names: impl Iterator<Item = &'n GeneralName<'n>>) -> Vec<String> {
    names
        .filter_map(
            |name| if let GeneralName::URI(uri) = name { Some((*uri).to_owned()) } else { None },
        )
        .collect()
}

fn name_constraints(parsed: &X509Certificate<'_>) -> Result<Option<NameConstraints>, X509Error> {
    let Some(found) = parsed.name_constraints()? else { return Ok(None) };
    let permitted = found.value.permitted_subtrees.iter().flatten().map(|tree| &tree.base);
    let excluded = found.value.excluded_subtrees.iter().flatten().map(|tree| &tree.base);
    Ok(Some(NameConstraints {
        others: permitted
            .clone()
            .chain(excluded.clone())
            .any(|name| !matches!(name, GeneralName::URI(_))),
        permitted_uris: uris_of(permitted),
        excluded_uris: uris_of(excluded),
    }))
}

/// Subject and authority key identifiers.
fn key_ids(parsed: &X509Certificate<'_>) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let (mut subject, mut issuer) = (None, None);
    for extension in parsed.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => subject = Some(id.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                issuer = id.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            _ => {}
        }
    }
    (subject, issuer)
}

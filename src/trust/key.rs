//! The public half of a private key; the private half is forgotten as soon as this is known.

use ring::signature::{Ed25519KeyPair, KeyPair};
use x509_parser::asn1_rs::{Any, FromDer, Tag};

use super::certificate::Certificate;
use super::digest::Digest;
use super::pem::{Block, Pem};
use crate::source::Span;

/// What is known of a private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateKey {
    /// How it is written.
    pub form: KeyForm,
    /// Where.
    pub span: Span,
    /// Digest of the public key's bits, where they can be told.
    public: Option<Digest>,
}

/// How a private key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// `PRIVATE KEY`, `RSA PRIVATE KEY` or `EC PRIVATE KEY`, as istiod wants it.
    Plain,
    /// A block of parameters comes first: istiod reads that one and stops.
    ParametersFirst,
    /// Needs a passphrase, which istiod has not.
    Encrypted,
    /// A label that istiod does not know, or a body that is no key.
    Unknown,
}

impl PrivateKey {
    /// The first key of a value, as istiod reads it; `None` without any block that says to be one.
    pub fn read(pem: &Pem) -> Option<Self> {
        let at = pem.blocks.iter().position(|block| block.label.ends_with("PRIVATE KEY"))?;
        let block = &pem.blocks[at];
        let public = public_bits(block).map(|bits| Digest::of(&bits));
        let form = if block.headers || block.label == "ENCRYPTED PRIVATE KEY" {
            KeyForm::Encrypted
        } else if at > 0 {
            KeyForm::ParametersFirst
        } else if public.is_some() || hides_public(block) {
            KeyForm::Plain
        } else {
            KeyForm::Unknown
        };
        Some(Self { form, span: block.span, public })
    }

    /// Whether it is the key of this certificate; `None` where its public half cannot be told.
    pub fn matches(&self, certificate: &Certificate) -> Option<bool> {
        Some(self.public? == Digest::of(&certificate.public_key.bits))
    }
}

/// The public key's bits as a certificate holds them.
fn public_bits(block: &Block) -> Option<Vec<u8>> {
    match block.label.as_str() {
        "RSA PRIVATE KEY" => pkcs1(&block.der),
        "EC PRIVATE KEY" => sec1(&block.der),
        "PRIVATE KEY" => pkcs8(&block.der),
        _ => None,
    }
}

/// `SEQUENCE { version, modulus, exponent, ... }`: the public key is the sequence of the latter two.
fn pkcs1(der: &[u8]) -> Option<Vec<u8>> {
    let (_, numbers) = element(sequence(der)?)?;
    let (modulus, rest) = element(numbers)?;
    let (exponent, rest) = element(rest)?;
    if [modulus, exponent].iter().any(|number| number.tag() != Tag::Integer) {
        return None;
    }
    let numbers = &numbers[..numbers.len() - rest.len()];
    let mut bits = vec![0x30];
    match u16::try_from(numbers.len()).ok()?.to_be_bytes() {
        [0, short @ 0..=0x7f] => bits.push(short),
        [0, long] => bits.extend([0x81, long]),
        [high, low] => bits.extend([0x82, high, low]),
    }
    bits.extend(numbers);
    Some(bits)
}

/// `SEQUENCE { version, key, [0] curve, [1] public }`; writers of keys may leave the last out.
fn sec1(der: &[u8]) -> Option<Vec<u8>> {
    let mut rest = sequence(der)?;
    while !rest.is_empty() {
        let (any, next) = element(rest)?;
        if any.tag().0 == 1 && any.header.is_contextspecific() {
            let (bits, _) = element(any.data)?;
            return bits.data.get(1..).map(<[u8]>::to_vec);
        }
        rest = next;
    }
    None
}

/// Whether it is a key that just does not tell its public half.
fn hides_public(block: &Block) -> bool {
    match block.label.as_str() {
        "EC PRIVATE KEY" => sequence(&block.der).is_some(),
        "PRIVATE KEY" => pkcs8_parts(&block.der).is_some(),
        _ => false,
    }
}

/// `SEQUENCE { version, SEQUENCE { algorithm, ... }, OCTET STRING { key }, ... }`.
fn pkcs8_parts(der: &[u8]) -> Option<(String, &[u8])> {
    let (_, rest) = element(sequence(der)?)?;
    let (algorithm, rest) = element(rest)?;
    let (oid, _) = element(algorithm.data)?;
    let (key, _) = element(rest)?;
    Some((oid.as_oid().ok()?.to_id_string(), key.data))
}

fn pkcs8(der: &[u8]) -> Option<Vec<u8>> {
    let (algorithm, key) = pkcs8_parts(der)?;
    match algorithm.as_str() {
        "1.2.840.113549.1.1.1" => pkcs1(key),
        "1.2.840.10045.2.1" => sec1(key),
        "1.3.101.112" => {
            let (seed, _) = element(key)?;
            let pair = Ed25519KeyPair::from_seed_unchecked(seed.data).ok()?;
            Some(pair.public_key().as_ref().to_vec())
        }
        _ => None,
    }
}

fn sequence(der: &[u8]) -> Option<&[u8]> {
    let (any, _) = element(der)?;
    (any.tag() == Tag::Sequence).then_some(any.data)
}

fn element(der: &[u8]) -> Option<(Any<'_>, &[u8])> {
    let (rest, any) = Any::from_der(der).ok()?;
    Some((any, rest))
}

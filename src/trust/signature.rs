//! Who signed a certificate, and whether that is true.

use std::fmt;

use ring::signature as ring;
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::AlgorithmIdentifier;

use super::public_key::{Curve, KeyKind, PublicKey};

/// How a certificate was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureAlgorithm {
    /// The kind of signature.
    pub scheme: Scheme,
    /// The hash below it.
    pub hash: Hash,
}

/// The kind of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Scheme {
    RsaPkcs1,
    RsaPss,
    Ecdsa,
    Ed25519,
    Other,
}

/// The hash below a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Hash {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
    Other,
}

impl SignatureAlgorithm {
    pub(super) fn new(identifier: &AlgorithmIdentifier<'_>) -> Self {
        let (scheme, hash) = match identifier.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.4" => (Scheme::RsaPkcs1, Hash::Md5),
            "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => (Scheme::RsaPkcs1, Hash::Sha1),
            "1.2.840.113549.1.1.11" => (Scheme::RsaPkcs1, Hash::Sha256),
            "1.2.840.113549.1.1.12" => (Scheme::RsaPkcs1, Hash::Sha384),
            "1.2.840.113549.1.1.13" => (Scheme::RsaPkcs1, Hash::Sha512),
            "1.2.840.113549.1.1.10" => (Scheme::RsaPss, pss_hash(identifier)),
            "1.2.840.10045.4.1" => (Scheme::Ecdsa, Hash::Sha1),
            "1.2.840.10045.4.3.2" => (Scheme::Ecdsa, Hash::Sha256),
            "1.2.840.10045.4.3.3" => (Scheme::Ecdsa, Hash::Sha384),
            "1.2.840.10045.4.3.4" => (Scheme::Ecdsa, Hash::Sha512),
            "1.3.101.112" => (Scheme::Ed25519, Hash::Sha512),
            _ => (Scheme::Other, Hash::Other),
        };
        Self { scheme, hash }
    }

    /// MD5 or SHA-1: Go refuses such certificates, and so does istiod.
    pub fn is_weak(self) -> bool {
        matches!(self.hash, Hash::Md5 | Hash::Sha1)
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::RsaPkcs1 => "RSA",
            Scheme::RsaPss => "RSA-PSS",
            Scheme::Ecdsa => "ECDSA",
            Scheme::Ed25519 => return f.write_str("Ed25519"),
            Scheme::Other => return f.write_str("an unknown algorithm"),
        };
        let hash = match self.hash {
            Hash::Md5 => "MD5",
            Hash::Sha1 => "SHA-1",
            Hash::Sha256 => "SHA-256",
            Hash::Sha384 => "SHA-384",
            Hash::Sha512 => "SHA-512",
            Hash::Other => "an unknown hash",
        };
        write!(f, "{scheme} with {hash}")
    }
}

/// The hash of PSS, where salt and hash are of one length: what else there is cannot be checked.
fn pss_hash(identifier: &AlgorithmIdentifier<'_>) -> Hash {
    let parameters =
        identifier.parameters.as_ref().and_then(|any| RsaSsaPssParams::try_from(any).ok());
    let Some(parameters) = parameters else { return Hash::Other };
    match (parameters.hash_algorithm_oid().to_id_string().as_str(), parameters.salt_length()) {
        ("1.3.14.3.2.26", _) => Hash::Sha1,
        ("2.16.840.1.101.3.4.2.1", 32) => Hash::Sha256,
        ("2.16.840.1.101.3.4.2.2", 48) => Hash::Sha384,
        ("2.16.840.1.101.3.4.2.3", 64) => Hash::Sha512,
        _ => Hash::Other,
    }
}

/// What is known of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    Good,
    Bad,
    /// The algorithm is beyond us.
    Unknown,
}

/// Whether `signature` of `text` was made with `key`.
pub(super) fn check(
    used: SignatureAlgorithm,
    key: &PublicKey,
    text: &[u8],
    signature: &[u8],
) -> Checked {
    let scheme = used.scheme;
    let fits = match &key.kind {
        KeyKind::Rsa { .. } => matches!(scheme, Scheme::RsaPkcs1 | Scheme::RsaPss | Scheme::Other),
        KeyKind::Ec(_) => matches!(scheme, Scheme::Ecdsa | Scheme::Other),
        KeyKind::Ed25519 => matches!(scheme, Scheme::Ed25519 | Scheme::Other),
        KeyKind::Other(_) => true,
    };
    if !fits {
        return Checked::Bad;
    }
    let Some(algorithm) = algorithm(used, &key.kind, &key.bits) else {
        return Checked::Unknown;
    };
    match ring::UnparsedPublicKey::new(algorithm, &key.bits).verify(text, signature) {
        Ok(()) => Checked::Good,
        Err(_) => Checked::Bad,
    }
}

/// Whether [`check`] can tell a good signature by this key from a bad one.
pub(super) fn can_check(used: SignatureAlgorithm, key: &PublicKey) -> bool {
    algorithm(used, &key.kind, &key.bits).is_some()
}

fn algorithm(
    signature: SignatureAlgorithm,
    kind: &KeyKind,
    bits: &[u8],
) -> Option<&'static dyn ring::VerificationAlgorithm> {
    let uncompressed = bits.first() == Some(&4);
    Some(match (signature.scheme, signature.hash, kind) {
        (Scheme::RsaPkcs1, Hash::Sha1, KeyKind::Rsa { bits: 1024..=8192 }) => {
            &ring::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY
        }
        (Scheme::RsaPkcs1, Hash::Sha256, KeyKind::Rsa { bits: 1024..=8192 }) => {
            &ring::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY
        }
        (Scheme::RsaPkcs1, Hash::Sha512, KeyKind::Rsa { bits: 1024..=8192 }) => {
            &ring::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY
        }
        (Scheme::RsaPkcs1, Hash::Sha384, KeyKind::Rsa { bits: 2048..=8192 }) => {
            &ring::RSA_PKCS1_2048_8192_SHA384
        }
        (Scheme::RsaPss, Hash::Sha256, KeyKind::Rsa { bits: 2048..=8192 }) => {
            &ring::RSA_PSS_2048_8192_SHA256
        }
        (Scheme::RsaPss, Hash::Sha384, KeyKind::Rsa { bits: 2048..=8192 }) => {
            &ring::RSA_PSS_2048_8192_SHA384
        }
        (Scheme::RsaPss, Hash::Sha512, KeyKind::Rsa { bits: 2048..=8192 }) => {
            &ring::RSA_PSS_2048_8192_SHA512
        }
        (Scheme::Ecdsa, Hash::Sha256, KeyKind::Ec(Curve::P256)) if uncompressed => {
            &ring::ECDSA_P256_SHA256_ASN1
        }
        (Scheme::Ecdsa, Hash::Sha384, KeyKind::Ec(Curve::P256)) if uncompressed => {
            &ring::ECDSA_P256_SHA384_ASN1
        }
        (Scheme::Ecdsa, Hash::Sha256, KeyKind::Ec(Curve::P384)) if uncompressed => {
            &ring::ECDSA_P384_SHA256_ASN1
        }
        (Scheme::Ecdsa, Hash::Sha384, KeyKind::Ec(Curve::P384)) if uncompressed => {
            &ring::ECDSA_P384_SHA384_ASN1
        }
        (Scheme::Ed25519, _, KeyKind::Ed25519) => &ring::ED25519,
        _ => return None,
    })
}

//! The key that a certificate certifies.

use std::fmt;

use super::digest::Digest;

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Algorithm and size.
    pub kind: KeyKind,
    /// SHA-256 of the `SubjectPublicKeyInfo`: the same key.
    pub spki: Digest,
    /// The bits alone: a point, or modulus and exponent.
    pub(super) bits: Vec<u8>,
}

/// Algorithm and size of a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA.
    Rsa {
        /// Size of the modulus.
        bits: usize,
    },
    /// Elliptic curves.
    Ec(Curve),
    /// Ed25519.
    Ed25519,
    /// Anything else, by its object identifier.
    Other(String),
}

/// An elliptic curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
    /// Any other.
    Other,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
            Self::Ec(Curve::P256) => f.write_str("ECDSA P-256"),
            Self::Ec(Curve::P384) => f.write_str("ECDSA P-384"),
            Self::Ec(Curve::P521) => f.write_str("ECDSA P-521"),
            Self::Ec(Curve::Other) => f.write_str("ECDSA on another curve"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Other(oid) => write!(f, "key of type {oid}"),
        }
    }
}

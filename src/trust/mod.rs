//! Certificates and keys as facts: chains, reachability between clusters' roots.
//!
//! Values ([`Value`]) are read as istiod reads them ([`Pem`]), become [`Certificate`]s and
//! [`PrivateKey`]s, and stand together in one cluster's [`CaMaterial`]. Three questions follow:
//! does istiod start with it ([`istiod_accepts`]), do peers accept what it signs
//! ([`peer_accepts`]), and which clusters trust each other ([`Groups::of`]).
//! They answer `None` where the input does not show enough; a rule speaks of `Some(Err(_))` only.
//!
//! Dates are the last question of each: a chain that is broken says so whatever the time, and
//! [`Why::is_date`] tells expiry from all else.
//!
//! What signatures cannot be checked (P-224, P-521, ECDSA with SHA-512, RSA outside 1024 to 8192
//! bits, unusual PSS) count as good when the names agree: the room would rather be silent than
//! wrong. What revocation lists revoke, names other than URIs in name constraints, and certificate
//! policies are not looked at. Private keys are read for their public half and forgotten.

mod certificate;
mod digest;
mod flaws;
mod found;
mod groups;
mod key;
mod material;
mod matrix;
mod path;
mod pem;
mod public_key;
mod revocation;
mod rotation;
mod signature;
mod summary;
mod time;
mod verify;

pub use certificate::{Certificate, Facts, NameConstraints, Purposes};
pub use digest::Digest;
pub use flaws::{Flaw, flaws};
pub use found::{
    Found, certificates_of, from_config_map, from_secret, further_roots, is_root_map, values_of,
};
pub use groups::{Groups, Refused};
pub use key::{KeyForm, PrivateKey};
pub use material::{CaMaterial, Layout, Origin, Problem, from_files};
pub use matrix::{Matrix, Standing, Verdict};
pub use path::{Path, Why};
pub use pem::{Block, Fault, Pem, Value};
pub use public_key::{Curve, KeyKind, PublicKey};
pub use revocation::RevocationList;
pub use rotation::{Phase, Rotation};
pub use signature::{Hash, Scheme, SignatureAlgorithm};
pub use summary::{DEFAULT_DOMAIN, Domain, Signer, Trust, asks_for_roots};
pub use time::Time;
pub use verify::{Refusal, in_use, istiod_accepts, peer_accepts};

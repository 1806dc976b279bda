//! SHA-256 digests.

use std::fmt;

use ring::digest::{SHA256, digest};

/// A SHA-256 digest, shown as `openssl x509 -fingerprint -sha256` shows it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut all = [0; 32];
        all.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(all)
    }

    /// Its first twelve digits, in lower case: enough to tell two of one name apart.
    pub fn short(&self) -> String {
        let digits = colons(&self.0[..6]).replace(':', "");
        digits.to_ascii_lowercase()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&colons(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

pub(super) fn colons(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

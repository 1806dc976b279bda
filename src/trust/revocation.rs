//! Certificate revocation lists that are plugged in with a CA, as `ca-crl.pem`.

use x509_parser::prelude::{FromDer, ReasonCode};
use x509_parser::revocation_list::CertificateRevocationList;

use super::certificate::{Certificate, printable};
use super::digest::colons;
use super::pem::Block;
use super::signature::{Checked, SignatureAlgorithm, check};
use super::time::Time;
use crate::source::Span;

/// A list of what a CA has revoked.
#[derive(Clone, Debug)]
pub struct RevocationList {
    /// Distinguished name of the CA, for people.
    pub issuer: String,
    /// The last second at which it counts; `None` where it does not tell.
    pub next_update: Option<Time>,
    /// Where it stands.
    pub span: Span,
    issuer_der: Vec<u8>,
    /// Serial numbers, as certificates have them.
    revoked: Vec<String>,
    signed: Vec<u8>,
    signature: SignatureAlgorithm,
    signature_bytes: Vec<u8>,
}

impl RevocationList {
    /// Reads a block of PEM; `None` where it holds something else.
    pub(super) fn parse(block: &Block) -> Option<Self> {
        let (_, parsed) = CertificateRevocationList::from_der(&block.der).ok()?;
        let is_back = |reason| reason == ReasonCode::RemoveFromCRL;
        let revoked = parsed.iter_revoked_certificates();
        let revoked = revoked.filter(|it| !it.reason_code().is_some_and(|(_, it)| is_back(it)));
        Some(Self {
            revoked: revoked.map(|it| colons(it.raw_serial())).collect(),
            issuer: printable(parsed.issuer()),
            next_update: parsed.next_update().map(|time| Time(time.timestamp())),
            span: block.span,
            issuer_der: parsed.issuer().as_raw().to_vec(),
            signed: parsed.tbs_cert_list.as_ref().to_vec(),
            signature: SignatureAlgorithm::new(&parsed.signature_algorithm),
            signature_bytes: parsed.signature_value.data.to_vec(),
        })
    }

    /// Whether it bears the name of a CA.
    pub fn is_called_after(&self, ca: &Certificate) -> bool {
        self.issuer_der == ca.subject_der
    }

    /// Whether it names a certificate: one of its issuer's, by the serial number.
    pub fn revokes(&self, certificate: &Certificate) -> bool {
        self.issuer_der == certificate.issuer_der && self.revoked.contains(&certificate.serial)
    }

    /// Whether it counts as the list of a CA: its name, its key, and the right to sign lists, as Go and
    /// BoringSSL ask for. What cannot be checked counts as good.
    pub fn is_of(&self, ca: &Certificate) -> bool {
        let signed = || check(self.signature, &ca.public_key, &self.signed, &self.signature_bytes);
        self.is_called_after(ca) && ca.crl_sign != Some(false) && signed() != Checked::Bad
    }
}

//! Paths from a certificate to a trusted one, and why there is none.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;

use super::certificate::Certificate;
use super::digest::Digest;
use super::signature::Checked;
use super::time::Time;

/// Longer paths are not followed; Istio's own have two or three certificates.
const LONGEST: usize = 10;
/// Bounds the search where somebody made many certificates of one name.
const STEPS: usize = 500;

/// Certificates from the signer to a trusted one, each signed by the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(pub Vec<Certificate>);

impl Path {
    /// The certificate that expires first.
    pub fn first_to_expire(&self) -> Option<&Certificate> {
        self.0.iter().min_by_key(|certificate| certificate.not_after)
    }

    fn end(&self) -> Option<Time> {
        self.first_to_expire().map(|certificate| certificate.not_after)
    }

    fn untimely(&self, now: Time) -> Option<Why> {
        self.0.iter().find_map(|certificate| untimely(certificate, now))
    }
}

/// What the dates have against a certificate.
pub(super) fn untimely(certificate: &Certificate, now: Time) -> Option<Why> {
    let certificate = certificate.clone();
    if certificate.not_after < now {
        Some(Why::Expired { certificate })
    } else if now < certificate.not_before {
        Some(Why::NotYetValid { certificate })
    } else {
        None
    }
}

/// Why no path can be used. The certificates are those to point at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The chain does not hold the signer, so peers cannot get from a workload's certificate to it.
    SignerNotSent {
        /// The signer.
        signer: Certificate,
    },
    /// Nobody vouches for a certificate of the path.
    NoPathToRoot {
        /// The last certificate that could be reached.
        from: Certificate,
        /// A certificate with the name of its issuer, and another key.
        lookalike: Option<Certificate>,
    },
    /// The issuer has the right name and key identifier, and yet did not sign.
    BadSignature {
        /// What was not signed.
        certificate: Certificate,
        /// By whom.
        issuer: Certificate,
    },
    /// A certificate that signs others is no CA.
    NotCa {
        /// Which.
        certificate: Certificate,
    },
    /// A CA has a key usage without `keyCertSign`.
    NoKeyCertSign {
        /// Which.
        certificate: Certificate,
    },
    /// More CAs stand below a CA than its `pathlen` permits.
    PathLen {
        /// Which.
        certificate: Certificate,
        /// How many CAs stand below it.
        below: usize,
    },
    /// A CA's extended key usage leaves out what mutual TLS needs.
    Purpose {
        /// Which.
        certificate: Certificate,
        /// `serverAuth` or `clientAuth`.
        lacks: &'static str,
    },
    /// A CA's name constraints do not permit the trust domain.
    NameConstraint {
        /// Which.
        certificate: Certificate,
    },
    /// A certificate of the path is signed with MD5 or SHA-1, which Go refuses.
    WeakSignature {
        /// Which.
        certificate: Certificate,
    },
    /// A certificate of the path is expired.
    Expired {
        /// Which.
        certificate: Certificate,
    },
    /// A certificate of the path is not valid yet.
    NotYetValid {
        /// Which.
        certificate: Certificate,
    },
}

impl Why {
    /// Whether only a date stands in the way.
    pub fn is_date(&self) -> bool {
        matches!(self, Self::Expired { .. } | Self::NotYetValid { .. })
    }

    /// The certificate to point at first.
    pub fn certificate(&self) -> &Certificate {
        match self {
            Self::SignerNotSent { signer: certificate }
            | Self::NoPathToRoot { from: certificate, .. }
            | Self::BadSignature { certificate, .. }
            | Self::NotCa { certificate }
            | Self::NoKeyCertSign { certificate }
            | Self::PathLen { certificate, .. }
            | Self::Purpose { certificate, .. }
            | Self::NameConstraint { certificate }
            | Self::WeakSignature { certificate }
            | Self::Expired { certificate }
            | Self::NotYetValid { certificate } => certificate,
        }
    }

    /// Of several failures the one that came furthest is told.
    fn rank(&self, depth: usize) -> (u8, usize) {
        match self {
            Self::SignerNotSent { .. } | Self::NoPathToRoot { lookalike: None, .. } => (0, depth),
            Self::NoPathToRoot { .. } => (1, depth),
            Self::BadSignature { .. } => (2, depth),
            _ => (3, depth),
        }
    }
}

impl fmt::Display for Why {
    /// A clause for a message: lower case, no full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.certificate().subject;
        match self {
            Self::SignerNotSent { .. } => {
                write!(f, "the signer `{name}` is not in the chain sent to peers")
            }
            Self::NoPathToRoot { from, lookalike: None } => {
                write!(f, "no certificate of the issuer `{}` is known", from.issuer)
            }
            Self::NoPathToRoot { from, .. } => {
                write!(f, "the known certificate of the issuer `{}` has another key", from.issuer)
            }
            Self::BadSignature { issuer, .. } => {
                write!(f, "`{name}` is not signed by `{}`", issuer.subject)
            }
            Self::NotCa { .. } => write!(f, "`{name}` is not a CA"),
            Self::NoKeyCertSign { .. } => {
                write!(f, "the key usage of `{name}` lacks `keyCertSign`")
            }
            Self::PathLen { certificate, below } => {
                let limit = certificate.path_len.unwrap_or_default();
                write!(f, "`{name}` permits {limit} CAs below it, and has {below}")
            }
            Self::Purpose { lacks, .. } => {
                write!(f, "the extended key usage of `{name}` lacks `{lacks}`")
            }
            Self::NameConstraint { .. } => {
                write!(f, "the name constraints of `{name}` do not permit the trust domain")
            }
            Self::WeakSignature { certificate } => {
                write!(f, "`{name}` is signed by {}", certificate.signature)
            }
            Self::Expired { certificate } => {
                write!(f, "`{name}` expired on {}", certificate.not_after)
            }
            Self::NotYetValid { certificate } => {
                write!(f, "`{name}` is not valid before {}", certificate.not_before)
            }
        }
    }
}

pub(super) fn timely(paths: Vec<Path>, now: Time) -> Result<Path, Why> {
    let path = best(paths, now).unwrap_or(Path(Vec::new()));
    path.untimely(now).map_or(Ok(path), Err)
}

/// The path that is valid now; among several, or if there is none, the one that ends last.
pub(super) fn best(paths: Vec<Path>, now: Time) -> Option<Path> {
    paths.into_iter().max_by_key(|path| (path.untimely(now).is_none(), path.end()))
}

/// Signatures already checked, by certificate and issuer's key.
#[derive(Default)]
pub(super) struct Signatures(RefCell<HashMap<(Digest, Digest), Checked>>);

impl Signatures {
    fn check(&self, child: &Certificate, issuer: &Certificate) -> Checked {
        let own = child.public_key.spki == issuer.public_key.spki;
        if child.is_self_issued() && child.is_self_signed() {
            return if own { Checked::Good } else { Checked::Bad };
        }
        let pair = (child.fingerprint, issuer.public_key.spki);
        *self.0.borrow_mut().entry(pair).or_insert_with(|| child.is_signed_by(issuer))
    }
}

/// Who verifies.
#[derive(Clone, Copy)]
pub(super) enum View<'a> {
    /// Go's `x509.Verify` of the signer as if it were a leaf.
    Istiod,
    /// `BoringSSL` in Envoy, of a leaf below the signer in this trust domain.
    Peer(Option<&'a str>),
    /// Nobody: signatures alone count.
    Nobody,
}

impl View<'_> {
    /// What is wrong with a complete path, dates aside.
    fn flaw(self, path: &[Certificate]) -> Option<Why> {
        (0..path.len()).find_map(|at| self.no_ca(path, at).or_else(|| self.limits(path, at)))
    }

    /// Everything that is wrong with a complete path, dates aside; of each certificate one thing that
    /// keeps it from being a CA, and one that keeps it out of such a path.
    pub(super) fn flaws(self, path: &[Certificate]) -> Vec<Why> {
        let of = |at| self.no_ca(path, at).into_iter().chain(self.limits(path, at));
        (0..path.len()).flat_map(of).collect()
    }

    /// Whether the certificate may sign the one before it. To istiod the signer is a leaf, so its
    /// rights as a CA are not looked at here.
    fn no_ca(self, path: &[Certificate], at: usize) -> Option<Why> {
        let below = match self {
            View::Istiod => at.checked_sub(1)?,
            View::Peer(_) => path[..at].iter().filter(|c| !c.is_self_issued()).count(),
            View::Nobody => return None,
        };
        let certificate = path[at].clone();
        let old_root = !certificate.is_v3 && certificate.is_self_issued();
        if !certificate.is_ca && !old_root {
            Some(Why::NotCa { certificate })
        } else if certificate.key_cert_sign == Some(false) {
            Some(Why::NoKeyCertSign { certificate })
        } else if certificate.path_len.is_some_and(|limit| below > limit as usize) {
            Some(Why::PathLen { certificate, below })
        } else {
            None
        }
    }

    /// Whether the certificate may stand in such a path at all.
    fn limits(self, path: &[Certificate], at: usize) -> Option<Why> {
        if matches!(self, View::Nobody) {
            return None;
        }
        let certificate = path[at].clone();
        let lacks = certificate.purposes.and_then(|purposes| match self {
            _ if !purposes.server_auth => Some("serverAuth"),
            View::Peer(_) if !purposes.client_auth => Some("clientAuth"),
            _ => None,
        });
        if let Some(lacks) = lacks {
            return Some(Why::Purpose { certificate, lacks });
        }
        let constraints = certificate.name_constraints.as_ref();
        match self {
            // The trusted end of the path is trusted whatever signed it.
            View::Istiod if at + 1 < path.len() && certificate.signature.is_weak() => {
                Some(Why::WeakSignature { certificate })
            }
            View::Peer(Some(domain)) if constraints.is_some_and(|c| !c.permit(domain)) => {
                Some(Why::NameConstraint { certificate })
            }
            _ => None,
        }
    }
}

/// A search for paths, depth first.
pub(super) struct Search<'a> {
    sent: &'a [Certificate],
    roots: &'a [Certificate],
    view: View<'a>,
    signatures: &'a Signatures,
    paths: Vec<Path>,
    failure: Option<((u8, usize), Why)>,
    steps: usize,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        sent: &'a [Certificate],
        roots: &'a [Certificate],
        view: View<'a>,
        signatures: &'a Signatures,
    ) -> Self {
        Self { sent, roots, view, signatures, paths: Vec::new(), failure: None, steps: 0 }
    }

    /// All paths from one of the starts to a root, or the failure that came furthest.
    pub(super) fn run(mut self, starts: &[&Certificate]) -> Result<Vec<Path>, Why> {
        for start in starts {
            self.walk(&mut vec![(*start).clone()]);
        }
        match self.failure {
            // A search that was cut short knows nothing.
            Some((_, why)) if self.paths.is_empty() && self.steps <= STEPS => Err(why),
            _ => Ok(self.paths),
        }
    }

    fn walk(&mut self, path: &mut Vec<Certificate>) {
        let Some(last) = path.last().cloned() else { return };
        if let Some(root) = self.roots.iter().find(|root| **root == last) {
            // The root's own place is the one to point at.
            *path.last_mut().expect("it was just read") = root.clone();
            return match self.view.flaw(path) {
                Some(why) => self.fail(why, path.len()),
                None => self.paths.push(Path(path.clone())),
            };
        }
        let (mut nearest, mut signed) = (None, false);
        for issuer in
            self.roots.iter().chain(self.sent).filter(|c| c.subject_der == last.issuer_der)
        {
            self.steps += 1;
            if self.steps > STEPS || path.len() >= LONGEST || path.contains(issuer) {
                continue;
            }
            if self.signatures.check(&last, issuer) == Checked::Bad {
                nearest.get_or_insert(issuer);
                continue;
            }
            signed = true;
            path.push(issuer.clone());
            self.walk(path);
            path.pop();
        }
        if signed {
            return;
        }
        let why = match nearest.cloned() {
            Some(issuer) if last.names_key_of(&issuer) == Some(true) => {
                Why::BadSignature { certificate: last, issuer }
            }
            lookalike => Why::NoPathToRoot { from: last, lookalike },
        };
        self.fail(why, path.len());
    }

    fn fail(&mut self, why: Why, depth: usize) {
        let rank = why.rank(depth);
        if self.failure.as_ref().is_none_or(|(best, _)| rank > *best) {
            self.failure = Some((rank, why));
        }
    }
}

//! Two views of a CA: what istiod verifies when it starts, and what peers verify of what it signs.

use super::certificate::Certificate;
use super::key::KeyForm;
use super::material::{CaMaterial, Layout, Origin};
use super::path::{Path, Search, Signatures, View, Why, best, timely, untimely};
use super::time::Time;
use crate::source::Span;

/// Why istiod does not start with a CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Some of the values are absent or empty.
    Incomplete {
        /// Their names.
        missing: Vec<&'static str>,
    },
    /// The signing certificate cannot be read; [`CaMaterial::problems`] says more.
    NoSigner,
    /// No root can be read; [`CaMaterial::problems`] says more.
    NoRoots,
    /// The chain cannot be read; [`CaMaterial::problems`] says more.
    NoChain,
    /// The signer does not lead to a root.
    Path(Why),
    /// The key cannot be read.
    KeyUnreadable {
        /// Where it is, if anything is.
        key: Option<Span>,
    },
    /// The key belongs to another certificate.
    KeyMismatch {
        /// Where it is.
        key: Span,
    },
}

/// What istiod verifies when it loads the CA (`KeyCertBundle.Verify` and what surrounds it).
///
/// `None` where the input does not show enough of it.
pub fn istiod_accepts(ca: &CaMaterial, now: Time) -> Option<Result<Path, Refusal>> {
    if ca.origin == Origin::Cacerts && ca.layout != Layout::Unknown && !ca.missing.is_empty() {
        return Some(Err(Refusal::Incomplete { missing: ca.missing.clone() }));
    }
    if !ca.shows_signer() || !ca.shows_roots() {
        return None;
    }
    let Some(signer) = &ca.signer else { return Some(Err(Refusal::NoSigner)) };
    if ca.roots.is_empty() {
        return Some(Err(Refusal::NoRoots));
    }
    let signatures = Signatures::default();
    let paths = match Search::new(&ca.chain, &ca.roots, View::Istiod, &signatures).run(&[signer]) {
        Ok(paths) => paths,
        Err(_) if !ca.shows_chain() => return None,
        Err(why) => return Some(Err(Refusal::Path(why))),
    };
    if let Some(refusal) = refuses_signer(ca, signer) {
        return Some(Err(refusal));
    }
    let first = ca.chain.first().and_then(|first| untimely(first, now));
    Some(first.map_or_else(|| timely(paths, now), Err).map_err(Refusal::Path))
}

/// What istiod has against the signer, its key and the chain, once there is a path.
fn refuses_signer(ca: &CaMaterial, signer: &Certificate) -> Option<Refusal> {
    if ca.shows_key() {
        let key = ca.key.as_ref();
        match key {
            Some(key) if key.form == KeyForm::Plain => {
                if key.matches(signer) == Some(false) {
                    return Some(Refusal::KeyMismatch { key: key.span });
                }
            }
            _ => return Some(Refusal::KeyUnreadable { key: key.map(|key| key.span) }),
        }
    }
    if !signer.is_ca {
        return Some(Refusal::Path(Why::NotCa { certificate: signer.clone() }));
    }
    // Istiod looks for the chain's end of life, and so for its first certificate.
    let needs_chain = ca.layout != Layout::SelfSigned && ca.shows_chain();
    (needs_chain && ca.chain.is_empty()).then_some(Refusal::NoChain)
}

/// What a peer that trusts `roots` verifies of a workload certificate signed by this CA and sent
/// with its chain. Envoy lets a path end at any trusted certificate, so an intermediate will do.
///
/// Name constraints are looked at when the trust domain is given. `None` where the input shows no
/// signer, or no root.
pub fn peer_accepts(
    ca: &CaMaterial,
    roots: &[Certificate],
    trust_domain: Option<&str>,
    now: Time,
) -> Option<Result<Path, Why>> {
    let paths = peer_paths(ca, roots, trust_domain, &Signatures::default())?;
    Some(paths.and_then(|paths| timely(paths, now)))
}

/// The paths a peer may take, dates aside.
pub(super) fn peer_paths(
    ca: &CaMaterial,
    roots: &[Certificate],
    trust_domain: Option<&str>,
    signatures: &Signatures,
) -> Option<Result<Vec<Path>, Why>> {
    let signer = ca.signer.as_ref()?;
    if roots.is_empty() {
        return None;
    }
    let sent = if ca.shows_chain() { ca.chain.as_slice() } else { std::slice::from_ref(signer) };
    // Any certificate of the signer's name and key will do: a cross-signed one, a renewed one.
    let starts = sent.iter().chain(roots).filter(|c| c.same_anchor(signer)).collect::<Vec<_>>();
    let result = if starts.is_empty() && signer.is_self_signed() {
        // A root that is not among the roots: sending it would help nobody.
        let lookalike = roots.iter().find(|root| root.looks_like(signer)).cloned();
        Err(Why::NoPathToRoot { from: signer.clone(), lookalike })
    } else if starts.is_empty() {
        Err(Why::SignerNotSent { signer: signer.clone() })
    } else {
        Search::new(sent, roots, View::Peer(trust_domain), signatures).run(&starts)
    };
    (result.is_ok() || ca.shows_chain()).then_some(result)
}

/// The certificates that keep this CA going: its longest-lived path, or its longest-lived root
/// where only roots are seen, or all that can be seen where there is no path.
pub fn in_use(ca: &CaMaterial, now: Time) -> Vec<Certificate> {
    let signatures = Signatures::default();
    let peer = peer_paths(ca, &ca.roots, None, &signatures).and_then(Result::ok);
    let own = || {
        let search = Search::new(&ca.chain, &ca.roots, View::Istiod, &signatures);
        ca.signer.as_ref().and_then(|signer| search.run(&[signer]).ok())
    };
    let roots = || {
        let alone = ca.signer.is_none() && ca.chain.is_empty() && !ca.roots.is_empty();
        alone.then(|| ca.roots.iter().map(|root| Path(vec![root.clone()])).collect())
    };
    match peer.or_else(own).or_else(roots).and_then(|paths| best(paths, now)) {
        Some(path) => path.0,
        None => ca.certificates().into_iter().cloned().collect(),
    }
}

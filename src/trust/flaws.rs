//! Everything that is wrong with one CA by itself, dates aside.

use super::certificate::Certificate;
use super::material::{CaMaterial, Layout};
use super::path::{Search, Signatures, View, Why};

/// Something that is wrong with a CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// What.
    pub why: Why,
    /// Whether istiod refuses to start with it. Where it does not, everything looks healthy and every
    /// peer refuses what it signs.
    pub stops_istiod: bool,
}

/// What is wrong with the way from a CA's signer to a root of its own: nothing where one way is good, else
/// all that is wrong with the best of them. Empty where the input does not show enough.
pub fn flaws(ca: &CaMaterial, trust_domain: Option<&str>) -> Vec<Flaw> {
    let Some(signer) = &ca.signer else { return Vec::new() };
    if ca.roots.is_empty() {
        return Vec::new();
    }
    let signatures = Signatures::default();
    let search = Search::new(&ca.chain, &ca.roots, View::Nobody, &signatures);
    let paths = match search.run(&[signer]) {
        Ok(paths) => paths,
        Err(why) if ca.shows_chain() => return vec![Flaw { why, stops_istiod: true }],
        Err(_) => return Vec::new(),
    };
    let of = |path: &[Certificate]| {
        let istiod = View::Istiod.flaws(path);
        let mut all = View::Peer(trust_domain).flaws(path);
        all.extend(istiod.iter().filter(|why| !all.contains(why)).cloned().collect::<Vec<_>>());
        let signer_is_none =
            |why: &Why| matches!(why, Why::NotCa { certificate } if certificate == signer);
        let flaw = |why: Why| {
            let stops_istiod =
                istiod.iter().any(|told| is_alike(told, &why)) || signer_is_none(&why);
            Flaw { why, stops_istiod }
        };
        all.into_iter().map(flaw).collect::<Vec<_>>()
    };
    let ways = paths.iter().map(|path| of(&path.0));
    let mut all = ways.min_by_key(Vec::len).unwrap_or_default();
    all.dedup_by(|a, b| is_alike(&a.why, &b.why));
    let sends = |c: &Certificate| c.same_anchor(signer);
    // Of a chain that cannot be read at all nobody can tell what was meant to be sent.
    let is_read = !ca.chain.is_empty() || ca.problems.iter().all(|p| p.name != "cert-chain.pem");
    if ca.shows_chain()
        && is_read
        && ca.layout != Layout::SelfSigned
        && !ca.chain.iter().chain(&ca.roots).any(sends)
    {
        let why = Why::SignerNotSent { signer: signer.clone() };
        all.insert(0, Flaw { why, stops_istiod: false });
    }
    all
}

/// Whether both are the same fault of the same certificate, whatever the numbers.
fn is_alike(a: &Why, b: &Why) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b) && a.certificate() == b.certificate()
}

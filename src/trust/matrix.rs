//! Who accepts whom: for each ordered pair of clusters, does a chain lead to a root that is accepted?

use std::collections::BTreeMap;

use super::certificate::Certificate;
use super::digest::Digest;
use super::material::CaMaterial;
use super::path::{Signatures, Why};
use super::verify::peer_paths;

/// What one cluster presents and what it accepts.
pub struct Standing<'c> {
    /// The CA that signs its workloads.
    pub ca: &'c CaMaterial,
    /// The roots that its proxies accept; none where they are not seen.
    pub accepts: Vec<Certificate>,
}

/// `None` where the input does not show enough.
pub type Verdict = Option<Result<(), Why>>;

/// Who of some clusters accepts whom, dates aside. Equal sets of roots are asked once, equal signatures
/// checked once.
pub struct Matrix {
    /// By presenter and set of roots.
    verdicts: Vec<Vec<Verdict>>,
    /// By verifier.
    set_of: Vec<Option<usize>>,
}

impl Matrix {
    /// Asks for each ordered pair whether the first's chain leads to any root of the second; `None` for a
    /// cluster of which nothing is seen.
    ///
    /// Where a chain is not visible, or is broken already at home, roots are compared instead, so that
    /// this speaks of roots alone.
    pub fn of(clusters: &[Option<Standing<'_>>]) -> Self {
        let (sets, set_of) = root_sets(clusters);
        let signatures = Signatures::default();
        let row = |standing: &Option<Standing<'_>>| match standing {
            Some(standing) => row(standing.ca, &sets, &signatures),
            None => vec![None; sets.len()],
        };
        Self { verdicts: clusters.iter().map(row).collect(), set_of }
    }

    /// How many clusters there are.
    pub fn len(&self) -> usize {
        self.set_of.len()
    }

    /// Whether there is no cluster.
    pub fn is_empty(&self) -> bool {
        self.set_of.is_empty()
    }

    /// Whether what the one presents is accepted by the other; `None` where nothing tells.
    pub fn ask(&self, presenter: usize, verifier: usize) -> Option<&Result<(), Why>> {
        self.set_of[verifier].and_then(|set| self.verdicts[presenter][set].as_ref())
    }

    /// Clusters that accept the same roots, and are accepted by the same: each class in order.
    pub fn alike(&self) -> Vec<Vec<usize>> {
        let mut classes: BTreeMap<(Option<usize>, Vec<Option<bool>>), Vec<usize>> = BTreeMap::new();
        for at in 0..self.len() {
            let row = self.verdicts[at].iter().map(|v| v.as_ref().map(Result::is_ok)).collect();
            classes.entry((self.set_of[at], row)).or_default().push(at);
        }
        let mut classes: Vec<Vec<usize>> = classes.into_values().collect();
        classes.sort();
        classes
    }
}

/// The distinct sets of roots, and which one each cluster has, if any is visible.
fn root_sets<'s>(
    clusters: &'s [Option<Standing<'_>>],
) -> (Vec<&'s [Certificate]>, Vec<Option<usize>>) {
    let mut known: BTreeMap<Vec<Digest>, usize> = BTreeMap::new();
    let mut sets: Vec<&[Certificate]> = Vec::new();
    let mut set_of = Vec::new();
    for standing in clusters {
        let accepts = standing.as_ref().map_or(&[][..], |s| s.accepts.as_slice());
        let mut set: Vec<_> = accepts.iter().map(|root| root.fingerprint).collect();
        set.sort_unstable();
        set.dedup();
        set_of.push((!set.is_empty()).then(|| {
            *known.entry(set).or_insert_with(|| {
                sets.push(accepts);
                sets.len() - 1
            })
        }));
    }
    (sets, set_of)
}

fn row(ca: &CaMaterial, sets: &[&[Certificate]], signatures: &Signatures) -> Vec<Verdict> {
    let healthy = matches!(peer_paths(ca, &ca.roots, None, signatures), Some(Ok(_)));
    let ask = |roots: &&[Certificate]| {
        if healthy || ca.roots.is_empty() {
            peer_paths(ca, roots, None, signatures).map(|result| result.map(drop))
        } else {
            compare_roots(&ca.roots, roots)
        }
    };
    sets.iter().map(ask).collect()
}

/// What can be said by roots alone: all of them known, none, or something between.
fn compare_roots(own: &[Certificate], theirs: &[Certificate]) -> Verdict {
    let known = |root: &Certificate| theirs.iter().any(|other| other.same_anchor(root));
    match own.iter().filter(|root| known(root)).count() {
        0 => {
            let from = own.first()?.clone();
            let lookalike = theirs.iter().find(|other| other.looks_like(&from)).cloned();
            Some(Err(Why::NoPathToRoot { from, lookalike }))
        }
        all if all == own.len() => Some(Ok(())),
        _ => None,
    }
}

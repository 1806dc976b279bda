//! Which clusters trust each other.

use std::collections::BTreeMap;

use super::certificate::{Certificate, Digest};
use super::material::CaMaterial;
use super::path::{Signatures, Why};
use super::verify::peer_paths;

/// Clusters parted by whom they trust, dates aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups<K> {
    /// Clusters joined by trust in both directions, in the order they were given.
    pub groups: Vec<Vec<K>>,
    /// Who is refused by whom: one pair for each ordered pair of groups, and every pair within one.
    pub refused: Vec<Refused<K>>,
    /// Clusters whose CA is not visible enough to belong anywhere.
    pub unseen: Vec<K>,
}

/// One cluster's workloads are refused by another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused<K> {
    /// Whose certificates are refused.
    pub presenter: K,
    /// Who refuses them.
    pub verifier: K,
    /// Why.
    pub why: Why,
    /// The other direction works: a rotation half done, or a root that is no root.
    pub one_way: bool,
}

/// `None` where the input does not show enough.
type Verdict = Option<Result<(), Why>>;

impl<K: Clone> Groups<K> {
    /// Asks for each ordered pair whether the first's chain leads to any root of the second.
    ///
    /// Where a chain is not visible, or is broken already at home, roots are compared instead, so
    /// that this speaks of roots alone. Equal root sets are asked once, equal signatures checked once.
    pub fn of(clusters: &[(K, &CaMaterial)]) -> Self {
        let (sets, set_of) = root_sets(clusters);
        let signatures = Signatures::default();
        let verdicts: Vec<Vec<Verdict>> = clusters
            .iter()
            .map(|(_, ca)| sets.iter().map(|roots| verdict(ca, roots, &signatures)).collect())
            .collect();
        let ask = |presenter: usize, verifier: usize| {
            set_of[verifier].and_then(|set| verdicts[presenter][set].as_ref())
        };
        let count = clusters.len();
        let seen =
            |a: usize| (0..count).any(|b| b != a && (ask(a, b).is_some() || ask(b, a).is_some()));
        let group_of = part(count, |a, b| {
            let (there, back) = (ask(a, b), ask(b, a));
            let refused = |verdict: Option<&Result<(), Why>>| verdict.is_some_and(Result::is_err);
            (there.is_some() || back.is_some()) && !refused(there) && !refused(back)
        });
        let key = |a: usize| clusters[a].0.clone();
        let mut groups: BTreeMap<usize, Vec<K>> = BTreeMap::new();
        for a in (0..count).filter(|&a| count == 1 || seen(a)) {
            groups.entry(group_of[a]).or_default().push(key(a));
        }
        let mut refused = BTreeMap::new();
        for (a, b) in
            (0..count).flat_map(|a| (0..count).map(move |b| (a, b))).filter(|(a, b)| a != b)
        {
            let Some(Err(why)) = ask(a, b) else { continue };
            let (from, to) = (group_of[a], group_of[b]);
            let pair = if from == to { (from, to, a, b) } else { (from, to, 0, 0) };
            refused.entry(pair).or_insert_with(|| {
                let one_way = ask(b, a).is_some_and(Result::is_ok);
                Refused { presenter: key(a), verifier: key(b), why: why.clone(), one_way }
            });
        }
        let unseen = (0..count).filter(|&a| count > 1 && !seen(a)).map(key).collect();
        Self {
            groups: groups.into_values().collect(),
            refused: refused.into_values().collect(),
            unseen,
        }
    }
}

/// The distinct sets of roots, and which one each cluster has, if any is visible.
fn root_sets<'c, K>(
    clusters: &[(K, &'c CaMaterial)],
) -> (Vec<&'c [Certificate]>, Vec<Option<usize>>) {
    let mut known: BTreeMap<Vec<Digest>, usize> = BTreeMap::new();
    let mut sets = Vec::new();
    let mut set_of = Vec::new();
    for (_, ca) in clusters {
        let mut set: Vec<_> = ca.roots.iter().map(|root| root.fingerprint).collect();
        set.sort_unstable();
        set.dedup();
        set_of.push((!set.is_empty()).then(|| {
            *known.entry(set).or_insert_with(|| {
                sets.push(ca.roots.as_slice());
                sets.len() - 1
            })
        }));
    }
    (sets, set_of)
}

fn verdict(ca: &CaMaterial, roots: &[Certificate], signatures: &Signatures) -> Verdict {
    let healthy = matches!(peer_paths(ca, &ca.roots, None, signatures), Some(Ok(_)));
    if healthy || ca.roots.is_empty() {
        return peer_paths(ca, roots, None, signatures).map(|result| result.map(drop));
    }
    compare_roots(&ca.roots, roots)
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

/// Parts `0..count` into classes by the links between them; a class is named by its first member.
fn part(count: usize, linked: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut class: Vec<usize> = (0..count).collect();
    for a in 0..count {
        for b in a + 1..count {
            let (x, y) = (class[a].min(class[b]), class[a].max(class[b]));
            if x != y && linked(a, b) {
                class.iter_mut().filter(|c| **c == y).for_each(|c| *c = x);
            }
        }
    }
    class
}

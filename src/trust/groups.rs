//! Which clusters trust each other.

use std::collections::BTreeMap;

use super::material::CaMaterial;
use super::matrix::{Matrix, Standing};
use super::path::Why;

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

impl<K: Clone> Groups<K> {
    /// Parts clusters by their CAs alone.
    pub fn of(clusters: &[(K, &CaMaterial)]) -> Self {
        let standing = |ca: &'_ CaMaterial| ca.roots.clone();
        let standings: Vec<Option<Standing<'_>>> =
            clusters.iter().map(|(_, ca)| Some(Standing { ca, accepts: standing(ca) })).collect();
        let keys: Vec<K> = clusters.iter().map(|(key, _)| key.clone()).collect();
        Self::from_matrix(&keys, &Matrix::of(&standings))
    }

    /// Parts clusters by who accepts whom.
    pub fn from_matrix(keys: &[K], matrix: &Matrix) -> Self {
        let count = keys.len();
        let ask = |presenter: usize, verifier: usize| matrix.ask(presenter, verifier);
        let seen =
            |a: usize| (0..count).any(|b| b != a && (ask(a, b).is_some() || ask(b, a).is_some()));
        let group_of = part(count, |a, b| {
            let (there, back) = (ask(a, b), ask(b, a));
            let refused = |verdict: Option<&Result<(), Why>>| verdict.is_some_and(Result::is_err);
            (there.is_some() || back.is_some()) && !refused(there) && !refused(back)
        });
        let key = |a: usize| keys[a].clone();
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

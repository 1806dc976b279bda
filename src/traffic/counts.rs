//! How many endpoints there are, where that is an interval: the numbers that favour some of them most.

use std::collections::BTreeMap;

use super::supply::Pool;

/// More than so many of a kind are as good as any number.
const MANY: u32 = 10_000;

/// As many as can be of the endpoints that are favoured, and as few as can be of all others, in the
/// order of the pools.
///
/// The share of requests that some endpoints get grows with their own number and falls with that of
/// the others, so this gives the most that those favoured can get; the same with all others favoured
/// gives the least. Where a workload has more pods than that makes, the rest is somewhere among the
/// others: it is counted where that cannot matter (`flat`: all endpoints are alike to the client), or
/// where there would be no endpoint at all.
pub fn favouring<'m>(
    pools: &[&Pool<'m>],
    flat: bool,
    favoured: impl Fn(&Pool<'m>) -> bool,
) -> Vec<u32> {
    let favoured: Vec<bool> = pools.iter().map(|pool| favoured(pool)).collect();
    let pick = |(pool, favoured): (&&Pool<'m>, &bool)| {
        if *favoured { pool.bounds.most.min(MANY) } else { pool.bounds.least.min(MANY) }
    };
    let mut counts: Vec<u32> = pools.iter().zip(&favoured).map(pick).collect();
    let mut workloads: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (i, pool) in pools.iter().enumerate() {
        workloads.entry((pool.cluster, pool.span)).or_default().push(i);
    }
    let nothing = counts.iter().all(|count| *count == 0);
    for members in workloads.into_values() {
        let one_region =
            members.windows(2).all(|m| pools[m[0]].zone.region == pools[m[1]].zone.region);
        let total = pools[members[0]].total;
        let sum: u32 = members.iter().map(|&i| counts[i]).sum();
        // A subset by zone leaves some of the workload's pods out.
        let whole = members.len() == pools[members[0]].pools;
        if whole && (nothing || flat && one_region) {
            let mut missing = total.least.min(MANY).saturating_sub(sum);
            for &i in members.iter().filter(|&&i| !favoured[i]) {
                let more = (pools[i].bounds.most.min(MANY) - counts[i]).min(missing);
                counts[i] += more;
                missing -= more;
            }
        }
        let mut surplus = sum.saturating_sub(total.most.max(1));
        for &i in members.iter().rev() {
            let less = counts[i].saturating_sub(pools[i].bounds.least).min(surplus);
            counts[i] -= less;
            surplus -= less;
        }
    }
    counts
}

/// The least and the most that a share can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// 0 to 1.
    pub least: f64,
    /// 0 to 1.
    pub most: f64,
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (least, most) = (percent(self.least), percent(self.most));
        if least == most { f.pad(&most) } else { f.pad(&format!("{least} to {most}")) }
    }
}

/// `33 %`, `0.4 %`; whole numbers from 1 on.
pub fn percent(share: f64) -> String {
    // Sums of nothing are negative zeros.
    let percent = 100.0 * share + 0.0;
    if percent > 0.0 && percent < 0.95 || percent > 99.05 && percent < 99.95 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

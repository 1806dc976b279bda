//! How many pods a domain can hold while no two domains differ by more than the skew.

/// More pods than there can be.
pub(super) const ANY: u64 = u32::MAX as u64;

/// A domain of a spread constraint, or several that are looked at as one: the nodes of a zone, say.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// How many domains it is for sure.
    pub low: u64,
    /// How many domains pods can go to at most.
    pub high: u64,
    /// How many pods it holds at most.
    pub cap: u64,
}

/// The domains of a spread constraint.
///
/// Where the emptiest domain has `m` pods, every other has between `m` and `m + skew`: that is what
/// the scheduler can reach and all it can reach, since it may fill each domain up to `m` first. What
/// can be is the union over all `m`, so each bound is the best over `m`.
#[derive(Clone, Debug)]
pub(super) struct Level {
    /// All that count.
    pub rows: Vec<Row>,
    /// `maxSkew`.
    pub skew: u64,
    /// The most pods the emptiest can have: 0 where `minDomains` is not met.
    pub top: u64,
}

impl Level {
    fn most_in(&self, row: &Row, m: u64) -> u64 {
        row.cap.min(row.high.saturating_mul(m + self.skew))
    }

    fn most(&self, m: u64) -> u64 {
        self.rows.iter().map(|row| self.most_in(row, m)).sum()
    }

    /// The most pods the emptiest domain can have.
    fn ceiling(&self) -> u64 {
        let of = |row: &Row| {
            let by_cap = row.cap.checked_div(row.low).unwrap_or(ANY);
            let surplus = row.low.saturating_sub(row.high);
            let by_skew = row.high.saturating_mul(self.skew).checked_div(surplus).unwrap_or(ANY);
            by_cap.min(by_skew)
        };
        self.rows.iter().map(of).min().unwrap_or(0).min(self.top).min(ANY)
    }

    /// How many pods all domains hold together.
    pub(super) fn capacity(&self) -> u64 {
        self.most(self.ceiling()).min(ANY)
    }

    /// The fewest and the most pods of each row when `n` are there (or as many as there is room for).
    pub(super) fn bounds(&self, n: u64) -> Vec<(u64, u64)> {
        let ceiling = self.ceiling();
        let n = n.min(self.capacity());
        let sure: u64 = self.rows.iter().map(|row| row.low).sum();
        let end = ceiling.min(n.checked_div(sure).unwrap_or(n));
        let start = first(0, end, |m| self.most(m) >= n);
        let bounds = self.rows.iter().map(|row| {
            let here = |m: u64| self.most_in(row, m);
            let left = |m: u64| n.saturating_sub((sure - row.low).saturating_mul(m));
            let at = first(start, end, |m| here(m) >= left(m));
            let most = near(start, at).map(|m| here(m).min(left(m))).max();
            let floor = |m: u64| row.low.saturating_mul(m);
            let rest = |m: u64| n.saturating_sub(self.most(m) - here(m));
            let at = first(start, end, |m| floor(m) >= rest(m));
            let least = near(start, at).map(|m| floor(m).max(rest(m))).min();
            (least.unwrap_or(0), most.unwrap_or(0))
        });
        bounds.collect()
    }
}

/// Where two lines cross, one rising and one falling: the best is there or one step before.
fn near(start: u64, at: u64) -> impl Iterator<Item = u64> {
    [at.saturating_sub(1).max(start), at].into_iter()
}

/// The first number of `start..=end` from which on a condition holds; `end` where it never does.
fn first(start: u64, end: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (start, end.max(start));
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(caps: &[u64], skew: u64, n: u64) -> Vec<(u64, u64)> {
        let rows = caps.iter().map(|&cap| Row { low: 1, high: 1, cap }).collect();
        Level { rows, skew, top: ANY }.bounds(n)
    }

    #[test]
    fn even_zones_hold_the_share_rounded_both_ways() {
        assert_eq!(zones(&[ANY; 3], 1, 7), [(2, 3); 3]);
        assert_eq!(zones(&[ANY; 3], 1, 3), [(1, 1); 3]);
        assert_eq!(zones(&[ANY; 3], 1, 2), [(0, 1); 3]);
        assert_eq!(zones(&[ANY; 2], 3, 4), [(1, 3); 2]);
        assert_eq!(zones(&[ANY], 1, 4), [(4, 4)]);
    }

    #[test]
    fn a_full_zone_holds_the_others_down() {
        assert_eq!(zones(&[1, ANY, ANY], 1, 9), [(1, 1), (2, 2), (2, 2)]);
        assert_eq!(zones(&[0, ANY], 2, 9), [(0, 0), (2, 2)]);
    }

    #[test]
    fn huge_numbers_do_not_take_time() {
        assert_eq!(zones(&[ANY; 3], ANY, ANY), [(0, ANY); 3]);
    }
}

//! How many pods run at least: the others wait for a place that their own limits do not let them have.

use std::collections::BTreeMap;

use super::level::ANY;
use super::limits::{Key, Limits, Spread};
use super::nodes::Cell;
use super::solve::Ground;

impl Ground<'_> {
    /// How many of `n` pods run at least, whatever order they are scheduled in: the others may wait
    /// for a place that the limits do not let them have.
    pub(super) fn running(&self, n: u64) -> u64 {
        let Limits { spreads, apart, .. } = self.limits;
        let possible: Vec<usize> = (0..self.cells.len()).filter(|&i| self.caps[i].0 > 0).collect();
        if possible.is_empty() {
            return 0;
        }
        if spreads.is_empty() && apart.is_empty() {
            return n;
        }
        n.min(self.placed(&possible).max(1))
    }

    /// How many pods are placed at least before no further one can be. In a zone it is so when each
    /// node is full, or the zone has as many more than the emptiest as the skew allows.
    fn placed(&self, possible: &[usize]) -> u64 {
        let Limits { spreads, apart, together } = self.limits;
        if let ([only], [], []) = (&spreads[..], &apart[..], &together[..])
            && self.never_stuck(only)
        {
            return ANY;
        }
        let node = self.in_node();
        let room = |cell: &Cell| {
            if cell.ready { ANY } else { cell.eligible.sure.saturating_mul(node).min(ANY) }
        };
        let counted = |cell: &&Cell| spreads.iter().any(|s| cell.counted[s.policy].all() > 0);
        let nested = spreads.iter().all(|s| match s.key {
            Key::Host => true,
            Key::Zone => self.domains(s) >= s.min_domains,
            Key::Region | Key::Other => false,
        });
        let nested = nested && together.is_empty() && apart.iter().all(|b| b.key == Key::Host);
        let emptiest = self.cells.iter().filter(counted).map(room).min().unwrap_or(0);
        let zone = self.hold(Key::Zone, if nested { emptiest } else { 0 });
        let (region, other) = (self.hold(Key::Region, 0), self.hold(Key::Other, 0));
        if !together.is_empty() {
            let of = |&i: &usize| room(&self.cells[i]).min(zone).min(node);
            return possible.iter().map(of).min().unwrap_or(0).min(region).min(other);
        }
        let mut zones: BTreeMap<Option<&str>, (Option<&str>, u64)> = BTreeMap::new();
        for &i in possible {
            let cell = &self.cells[i];
            let sum = zones.entry(cell.zone.as_deref()).or_insert((cell.region.as_deref(), 0));
            sum.1 = (sum.1 + room(cell)).min(zone);
        }
        let mut regions: BTreeMap<Option<&str>, u64> = BTreeMap::new();
        for (name, sum) in zones.into_values() {
            let whole = regions.entry(name).or_default();
            *whole = (*whole + sum).min(region);
        }
        regions.values().sum::<u64>().min(other).min(ANY)
    }

    /// How many pods a domain takes whatever the others have, given how many the emptiest takes.
    fn hold(&self, key: Key, emptiest: u64) -> u64 {
        let spreads = self.limits.spreads.iter().filter(|s| s.key == key);
        let binds = |s: &&Spread<'_>| s.min_domains > 1 || self.domains(s) > 1;
        let skew = spreads.filter(binds).map(|s| s.skew.saturating_add(emptiest)).min();
        let apart = self.limits.apart.iter().any(|b| b.key == key).then_some(1);
        skew.into_iter().chain(apart).min().unwrap_or(ANY).min(ANY)
    }

    /// How many pods a node takes at least before it is full.
    ///
    /// Where zones and nodes spread, nodes of the emptiest zone can be full (`count` each) only while
    /// a node elsewhere has `skew` fewer and its zone may take no more: so that zone has at least
    /// `(skew + zone skew) / count` nodes more than the emptiest.
    fn in_node(&self) -> u64 {
        let Limits { spreads, apart, together } = self.limits;
        let plain = self.hold(Key::Host, 0);
        let certain = self.cells.iter().all(|c| !c.open && c.eligible.maybe == 0);
        let (Some(host), Some(zone), true) = (
            spreads.iter().find(|s| s.key == Key::Host),
            spreads.iter().find(|s| s.key == Key::Zone),
            spreads.len() == 2 && apart.is_empty() && together.is_empty() && certain,
        ) else {
            return plain;
        };
        if !self.never_stuck(host) || !self.never_stuck(zone) {
            return plain;
        }
        let mut nodes: BTreeMap<Option<&str>, u64> = BTreeMap::new();
        for cell in self.cells.iter().filter(|c| c.eligible.sure > 0) {
            *nodes.entry(cell.zone.as_deref()).or_default() += cell.eligible.sure;
        }
        let (fewest, most) = (nodes.values().min(), nodes.values().max());
        match most.zip(fewest).map_or(0, |(most, fewest)| most - fewest) {
            0 => ANY,
            more => plain.max((host.skew + zone.skew).div_ceil(more)),
        }
    }

    /// How many domains a spread constraint can count; more than one where nobody knows.
    fn domains(&self, spread: &Spread<'_>) -> u64 {
        let counted = || self.cells.iter().filter(|c| c.counted[spread.policy].all() > 0);
        match spread.key {
            Key::Host if counted().any(|c| c.open) => ANY,
            Key::Host => counted().map(|c| c.counted[spread.policy].all()).sum(),
            Key::Zone | Key::Region => {
                let mut names: Vec<_> = counted().map(|c| spread.key.domain(c)).collect();
                names.sort_unstable();
                names.dedup();
                names.len() as u64
            }
            Key::Other => 2,
        }
    }

    /// Whether the emptiest domain can always take a pod, as each node that counts is one for pods.
    fn never_stuck(&self, spread: &Spread<'_>) -> bool {
        let enough = spread.min_domains <= 1
            || spread.key != Key::Other && self.domains(spread) >= spread.min_domains;
        enough
            && self.cells.iter().all(|cell| {
                let counted = cell.counted[spread.policy];
                counted.sure <= cell.eligible.sure && counted.all() <= cell.eligible.all()
            })
    }
}

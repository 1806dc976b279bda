//! Bounds per zone from the nodes that fit and from what the pods ask of each other.

use std::collections::BTreeMap;

use super::demand::Demand;
use super::level::{ANY, Level, Row};
use super::limits::{Bond, Key, Limits, Spread};
use super::nodes::Cell;
use super::{Bounds, Cause, Why, ZoneBounds, narrow};
use crate::mesh::Locality;
use crate::source::Span;

/// Bounds of one cell, and what makes them so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    least: u64,
    most: u64,
    why_least: Why,
    why_most: Why,
}

/// A binding spread constraint over the cells.
struct Layer {
    /// What can be, by which domains exist: `minDomains` met or not.
    worlds: Vec<Level>,
    /// The cells of each row.
    cells: Vec<Vec<usize>>,
    span: Span,
}

/// The cells as one workload finds them.
pub(super) struct Ground<'a> {
    pub(super) cells: &'a [Cell],
    pub(super) limits: &'a Limits<'a>,
    demand: &'a Demand,
    /// How many pods each cell takes at most, and why.
    pub(super) caps: Vec<(u64, Why)>,
    layers: Vec<Layer>,
}

impl<'a> Ground<'a> {
    /// `closed` tells what keeps the pods out of a cell.
    pub(super) fn new(
        cells: &'a [Cell],
        limits: &'a Limits<'a>,
        demand: &'a Demand,
        closed: impl Fn(&Cell) -> Why,
    ) -> Self {
        let caps = cells.iter().map(|cell| cap(cell, limits, demand, &closed)).collect();
        let mut ground = Self { cells, limits, demand, caps, layers: Vec::new() };
        let own = limits.spreads.iter().filter(|s| s.others.is_empty());
        ground.layers = own.filter_map(|spread| ground.layer(spread)).collect();
        ground
    }

    /// Bounds of each cell for pods of several workloads that share a spread constraint, by that
    /// constraint alone: when as few run as may, and when as many do.
    pub(super) fn shared(
        cells: &'a [Cell],
        demand: &'a Demand,
        spread: &Spread<'_>,
        running: Bounds,
    ) -> Vec<(Locality, Bounds)> {
        let limits = &Limits::default();
        let mut ground = Ground::new(cells, limits, demand, |_| demand.most);
        ground.layers = ground.layer(spread).into_iter().collect();
        let low = ground.bounds(running.least.into(), true);
        let high = ground.bounds(running.most.into(), false);
        let both = cells.iter().zip(low).zip(high);
        both.map(|((cell, low), high)| {
            let bounds = Bounds { least: narrow(low.least), most: narrow(high.most) };
            (cell.locality.clone(), bounds)
        })
        .collect()
    }

    fn layer(&self, spread: &Spread<'_>) -> Option<Layer> {
        let counted = |i: usize| self.cells[i].counted[spread.policy];
        let mut domains: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (i, cell) in self.cells.iter().enumerate().filter(|(i, _)| counted(*i).all() > 0) {
            let name = match spread.key {
                Key::Host if cell.open => return None,
                Key::Host => i.to_string(),
                Key::Other => return None,
                Key::Zone | Key::Region => spread.key.domain(cell)?.to_owned(),
            };
            domains.entry(name).or_default().push(i);
        }
        let cells: Vec<Vec<usize>> = domains.into_values().collect();
        let each = |c: u64| if spread.key == Key::Host { c } else { c.min(1) };
        let (mut rows, mut every, mut barred) = (Vec::new(), Vec::new(), false);
        for domain in &cells {
            let sum = |of: &dyn Fn(usize) -> u64| domain.iter().map(|&i| of(i)).sum::<u64>();
            let eligible = sum(&|i| self.cells[i].eligible.all());
            let (sure, all) = (sum(&|i| counted(i).sure), sum(&|i| counted(i).all()));
            barred |= spread.key == Key::Host && sure > eligible;
            let cap = sum(&|i| self.caps[i].0).min(ANY);
            rows.push(Row { low: each(sure), high: each(eligible), cap });
            every.push(each(all));
        }
        let (sure, all) = (rows.iter().map(|r| r.low).sum::<u64>(), every.iter().sum::<u64>());
        let level = |rows, top| Level { rows, skew: spread.skew, top };
        let mut worlds = Vec::new();
        if sure < spread.min_domains {
            worlds.push(level(rows.clone(), 0));
        }
        if all >= spread.min_domains {
            if all == spread.min_domains {
                rows.iter_mut().zip(every).for_each(|(row, all)| row.low = all);
            }
            worlds.push(level(rows, if barred { 0 } else { ANY }));
        }
        Some(Layer { worlds, cells, span: spread.span })
    }

    /// How many pods there is room for at most.
    fn capacity(&self) -> u64 {
        let room = self.caps.iter().map(|cap| cap.0).sum::<u64>();
        let layers =
            self.layers.iter().map(|l| l.worlds.iter().map(Level::capacity).max().unwrap_or(0));
        layers.fold(room, u64::min)
    }

    /// Bounds of each cell when just `n` pods run, or as many as there is room for.
    fn bounds(&self, n: u64, all_run: bool) -> Vec<Share> {
        let n = n.min(self.capacity());
        let start = self.cells.iter().zip(&self.caps);
        let mut shares: Vec<Share> = start.map(|(cell, cap)| self.share(cell, *cap, n)).collect();
        for layer in &self.layers {
            self.apply(layer, n, &mut shares);
        }
        if self.is_split() {
            let why = Why::new(Cause::Together, self.limits.together.first().map(|b| b.span));
            for share in shares.iter_mut().filter(|s| s.most > 0) {
                (share.least, share.why_least) = (0, why);
            }
        } else {
            tighten(&mut shares, n, all_run, self.demand.least);
        }
        shares
    }

    fn share(&self, cell: &Cell, (cap, why): (u64, Why), n: u64) -> Share {
        let why_least = match cell.eligible {
            nodes if nodes.all() == 0 => why,
            nodes if nodes.sure == 0 => Why::new(Cause::Unsure, None),
            _ => Why::new(Cause::Free, None),
        };
        let why_most = if cap < n { why } else { self.demand.most };
        Share { least: 0, most: cap.min(n), why_least, why_most }
    }

    fn apply(&self, layer: &Layer, n: u64, shares: &mut [Share]) {
        let feasible = || layer.worlds.iter().filter(|w| w.capacity() >= n);
        let mut all: Vec<Vec<(u64, u64)>> = feasible().map(|w| w.bounds(n)).collect();
        if all.is_empty() {
            all = layer.worlds.iter().map(|w| w.bounds(n)).collect();
        }
        let why = Why::new(Cause::Spread, Some(layer.span));
        for (row, cells) in layer.cells.iter().enumerate() {
            let least = all.iter().map(|world| world[row].0).min().unwrap_or(0);
            let most = all.iter().map(|world| world[row].1).max().unwrap_or(ANY);
            let others =
                |i: usize| cells.iter().filter(|&&j| j != i).map(|&j| shares[j].most).sum::<u64>();
            let leasts: Vec<u64> = cells.iter().map(|&i| least.saturating_sub(others(i))).collect();
            let sure = layer.worlds.iter().all(|world| world.rows[row].low > 0);
            for (&i, least) in cells.iter().zip(leasts) {
                let share = &mut shares[i];
                if least > share.least {
                    (share.least, share.why_least) = (least, why);
                } else if sure && share.why_least.cause == Cause::Free {
                    share.why_least = self.demand.least;
                }
                if most < share.most {
                    (share.most, share.why_most) = (most, why);
                }
            }
        }
    }

    /// Whether the pods stay together in one of several zones.
    fn is_split(&self) -> bool {
        self.limits.together.iter().any(|bond| {
            let possible = self.cells.iter().zip(&self.caps).filter(|(_, cap)| cap.0 > 0);
            let mut domains: Vec<_> = possible
                .map(|(cell, _)| match bond.key {
                    Key::Region => (cell.region.as_deref(), None),
                    _ => (cell.region.as_deref(), cell.zone.as_deref()),
                })
                .collect();
            domains.sort_unstable();
            domains.dedup();
            domains.len() > 1
        })
    }

    /// Bounds of all pods, and of each zone.
    pub(super) fn solve(&self) -> (Bounds, BTreeMap<Locality, ZoneBounds>) {
        let Bounds { least, most } = self.demand.bounds;
        let fewest = self.running(least.into());
        let greatest = u64::from(most).min(self.capacity());
        let low = self.bounds(fewest, true);
        let high = self.bounds(greatest, self.running(greatest) >= greatest);
        let mut zones = BTreeMap::new();
        for ((cell, low), high) in self.cells.iter().zip(low).zip(high) {
            let one = ZoneBounds {
                bounds: Bounds { least: narrow(low.least.min(high.most)), most: narrow(high.most) },
                why_least: low.why_least,
                why_most: high.why_most,
            };
            zones
                .entry(cell.locality.clone())
                .and_modify(|zone: &mut ZoneBounds| zone.add(&one))
                .or_insert(one);
        }
        (Bounds { least: narrow(fewest), most: narrow(greatest) }, zones)
    }
}

/// How many pods a cell takes at most.
fn cap(
    cell: &Cell,
    limits: &Limits<'_>,
    demand: &Demand,
    closed: &impl Fn(&Cell) -> Why,
) -> (u64, Why) {
    if cell.eligible.all() == 0 {
        return (0, closed(cell));
    }
    let applies = |bond: &&Bond<'_>| match bond.key {
        Key::Host => !cell.open,
        key => key.domain(cell).is_some(),
    };
    let room = |bond: &Bond<'_>| if bond.key == Key::Host { cell.eligible.all() } else { 1 };
    let bonds = limits.apart.iter().filter(applies);
    bonds
        .map(|b| (room(b), Why::new(Cause::Apart, Some(b.span))))
        .min_by_key(|cap| cap.0)
        .unwrap_or((ANY, demand.most))
}

/// What the others cannot take is here, and what the others surely have is not.
fn tighten(shares: &mut [Share], n: u64, all_run: bool, wanted: Why) {
    let least: u64 = shares.iter().map(|s| s.least).sum();
    let most: u64 = shares.iter().map(|s| s.most).sum();
    let before = shares.to_vec();
    for (i, share) in shares.iter_mut().enumerate() {
        let rest = n.saturating_sub(most - share.most);
        if rest > share.least {
            let others = before.iter().enumerate().filter(|(j, s)| *j != i && s.most < n);
            let held = others.map(|(_, s)| s.why_most).min_by_key(|why| why.cause);
            let held = held.map(|why| match why.cause {
                Cause::Ineligible => Why::new(Cause::Confined, why.span),
                _ => why,
            });
            (share.least, share.why_least) = (rest, held.unwrap_or(wanted));
        }
        let left = n.saturating_sub(least - before[i].least);
        if all_run && left < share.most {
            let why = before.iter().enumerate().find(|(j, s)| *j != i && s.least > 0);
            (share.most, share.why_most) = (left, why.map_or(share.why_most, |(_, s)| s.why_least));
        }
    }
}

//! Shares at least and at most, where there are too many ways to place pods to try each.
//!
//! Each number of endpoints is an interval, and so is each load of a priority and each share within one.
//! What is computed contains all that can be; where hosts are out it may contain more.

use std::collections::{BTreeMap, BTreeSet};

use super::assignment::{Group, Preference, Target};
use super::counts::Interval;
use super::endpoint::Health;
use super::flow::{Failure, Landing, Offer, Terms};
use super::range::Range;
use super::retries::Tried;
use super::supply::{Pool, Supply};
use crate::mesh::{Locality, LocalityPattern};

/// What is in no doubt at all.
const ALL: Interval = Interval { least: 1.0, most: 1.0 };
const NONE: Interval = Interval { least: 0.0, most: 0.0 };
const ANY: Interval = Interval { least: 0.0, most: 1.0 };
/// How much more than its part a locality can get where some of its hosts are out: overprovisioning.
const OVER: f64 = 1.4;

/// No entry of `distribute`: nothing is sent there.
const ELSEWHERE: usize = usize::MAX;

/// Endpoints of a pool, where Envoy has them.
#[derive(Clone, Copy)]
struct Seat<'p, 'm> {
    pool: &'p Pool<'m>,
    level: u32,
    group: usize,
    /// Whether requests to them fail.
    fails: bool,
    /// Whether some of them certainly get none, unready as they are, or may get none, ejected.
    out: Out,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Out {
    Never,
    Maybe,
    Always,
}

/// What the bounds are computed from.
pub struct Ground<'p, 'm> {
    supply: &'p Supply<'m>,
    terms: &'p Terms<'p>,
    /// What the localities of the groups get in per cent, by `distribute`, and the place that says so.
    percents: Option<Vec<(usize, u32)>>,
    seats: Vec<Seat<'p, 'm>>,
}

impl<'p, 'm> Ground<'p, 'm> {
    /// Of groups that are laid out for as many endpoints as can be. `None` where a part of them is behind
    /// a gateway.
    pub fn of(
        supply: &'p Supply<'m>,
        terms: &'p Terms<'p>,
        client: &Locality,
        offers: &[Offer<'p, 'm>],
        groups: &[Group<'_>],
    ) -> Option<Self> {
        let ejects = terms.max_ejection.is_some();
        let mut seats = Vec::new();
        for (group, laid) in groups.iter().enumerate() {
            for member in &laid.members {
                let Target::Endpoint(i) = member.target else { return None };
                let Offer { pool, fails, .. } = offers[i];
                let out = match pool.health {
                    Health::Healthy if fails && ejects => Out::Maybe,
                    Health::Healthy => Out::Never,
                    _ => Out::Always,
                };
                seats.push(Seat { pool, level: laid.priority, group, fails, out });
            }
        }
        Some(Self { supply, terms, percents: percents(&terms.preference, client, groups), seats })
    }

    /// The bounds of all shares.
    pub fn range(&self, retries: u32) -> Range {
        let mut range = Range::default();
        let loads = self.loads();
        for seat in &self.seats {
            let Landing { cluster, zone } = landing(seat.pool);
            let here = |s: &Seat<'_, '_>| {
                !s.fails && s.pool.cluster == cluster && Some(&s.pool.zone) == zone.as_ref()
            };
            if !seat.fails {
                let share = self.share(&loads, here);
                range.arrivals.insert(Landing { cluster, zone: zone.clone() }, share);
            }
        }
        let unanswered = self.unanswered();
        if unanswered.most > 0.0 {
            range.failures.insert(Failure::NoEndpoint, unanswered);
        }
        if self.seats.iter().any(|seat| seat.fails) {
            let lost = self.share(&loads, |seat| seat.fails);
            range.failures.insert(Failure::Lost, lost);
            // The more hosts fail, the likelier a retry finds another one of them.
            let tried = |share, hosts| Tried::of(share, hosts, retries).failing;
            let (fewest, most) = self.failing_hosts();
            let bounds =
                Interval { least: tried(lost.least, fewest), most: tried(lost.most, most) };
            range.lost_at_last = Some(bounds);
        }
        range
    }

    /// How many hosts fail and are not ejected, at least and at most.
    fn failing_hosts(&self) -> (u32, u32) {
        let failing = |seat: &Seat<'p, 'm>| seat.fails && seat.out != Out::Always;
        let certain = |seat: &Seat<'p, 'm>| seat.fails && seat.out == Out::Never;
        let sum = |seats: Vec<&Seat<'p, 'm>>, of: fn(&Pool<'_>) -> u32| {
            seats.iter().fold(0_u32, |sum, seat| sum.saturating_add(of(seat.pool)))
        };
        let least = sum(self.seats.iter().filter(|s| certain(s)).collect(), |p| p.bounds.least);
        (least, sum(self.seats.iter().filter(|s| failing(s)).collect(), |p| p.bounds.most))
    }

    /// What becomes of all loads together, for some of the seats.
    fn share(&self, loads: &[(u32, Interval)], of: impl Fn(&Seat<'p, 'm>) -> bool) -> Interval {
        let mut sum = NONE;
        for (level, load) in loads {
            let within = self.within(*level, &of);
            sum.least += load.least * within.least;
            sum.most += load.most * within.most;
        }
        Interval { least: sum.least, most: sum.most.min(1.0) }
    }

    /// The share of a level that goes to some of its seats, if the level gets anything.
    fn within(&self, level: u32, of: &impl Fn(&Seat<'p, 'm>) -> bool) -> Interval {
        let open = |seat: &Seat<'p, 'm>| seat.level == level && seat.out != Out::Always;
        let own = |seat: &Seat<'p, 'm>| open(seat) && of(seat);
        let others = |seat: &Seat<'p, 'm>| open(seat) && !of(seat);
        let has_out = self.most(|s| s.level == level && s.out != Out::Never) > 0.0;
        if self.most(own) <= 0.0 {
            return NONE;
        }
        if self.most(others) <= 0.0 {
            return ALL;
        }
        match &self.percents {
            _ if has_out && self.terms.panic_threshold > 0 => ANY,
            Some(_) if has_out => ANY,
            Some(percents) => self.weighted(percents, own),
            None => {
                let weighs = self.terms.preference.weighs_localities();
                self.ratio(own, others, if has_out && weighs { OVER } else { 1.0 })
            }
        }
    }

    /// Some seats of all, by number: their own least with the others' most, and the other way round.
    fn ratio(
        &self,
        own: impl Fn(&Seat<'p, 'm>) -> bool + Copy,
        others: impl Fn(&Seat<'p, 'm>) -> bool + Copy,
        over: f64,
    ) -> Interval {
        let (least, against) = self.least_against(own, others);
        let (most, beside) = self.most_beside(own, others);
        let part = |own: f64, others: f64| if own > 0.0 { own / (own + others) } else { 0.0 };
        Interval { least: part(least, over * against), most: part(over * most, beside) }
    }

    /// The same where localities have weights in per cent, each rounded up.
    fn weighted(
        &self,
        percents: &[(usize, u32)],
        own: impl Fn(&Seat<'p, 'm>) -> bool + Copy,
    ) -> Interval {
        let (mut parts, mut rounding) = (Vec::new(), 0.0);
        let places: BTreeSet<usize> =
            percents.iter().map(|p| p.0).filter(|p| *p != ELSEWHERE).collect();
        for place in places {
            let here = |seat: &Seat<'p, 'm>| percents[seat.group].0 == place;
            let percent = percents.iter().find(|p| p.0 == place).map_or(0, |p| p.1);
            if percent == 0 {
                return ANY;
            }
            let (certain, possible) = (self.least(here) > 0.0, self.most(here) > 0.0);
            let mine = |s: &Seat<'p, 'm>| here(s) && own(s);
            let theirs = |s: &Seat<'p, 'm>| here(s) && !own(s);
            let part = match () {
                () if self.most(mine) <= 0.0 => NONE,
                () if self.most(theirs) <= 0.0 => {
                    Interval { least: f64::from(u8::from(certain)), most: 1.0 }
                }
                () => self.ratio(mine, theirs, 1.0),
            };
            let groups = percents.iter().filter(|p| p.0 == place).count();
            rounding += f64::from(u32::try_from(groups).unwrap_or(u32::MAX));
            parts.push((f64::from(percent), part, certain, possible));
        }
        let least: f64 = parts.iter().map(|(percent, part, ..)| percent * part.least).sum();
        let most: f64 = parts.iter().map(|(percent, part, ..)| percent * part.most).sum();
        // Of what is not its own there is at least and at most so much.
        let beside = |(percent, part, certain, _): &(f64, Interval, bool, bool)| {
            if *certain { percent * (1.0 - part.most) } else { 0.0 }
        };
        let against = |(percent, part, _, possible): &(f64, Interval, bool, bool)| {
            if *possible { percent * (1.0 - part.least) } else { 0.0 }
        };
        let beside: f64 = parts.iter().map(beside).sum();
        let against: f64 = parts.iter().map(against).sum();
        let most = most + rounding;
        let lowest = if least > 0.0 { least / (least + against + rounding) } else { 0.0 };
        Interval { least: lowest, most: most / (most + beside) }
    }

    /// The load of each level, as a part of 1. Earlier ones go first, as far as their health allows.
    fn loads(&self) -> Vec<(u32, Interval)> {
        let levels: BTreeSet<u32> = self.seats.iter().map(|s| s.level).collect();
        let healths: Vec<(u32, Interval)> =
            levels.into_iter().map(|level| (level, self.health(level))).collect();
        if self.may_panic() {
            return healths.into_iter().map(|(level, _)| (level, ANY)).collect();
        }
        let certain: f64 = healths.iter().map(|(_, health)| health.least).sum();
        let whole = certain >= 1.0 || self.is_certain();
        let (mut before, mut loads) = (NONE, Vec::new());
        for (i, (level, health)) in healths.iter().enumerate() {
            let mut others = healths.iter().enumerate().filter(|(j, _)| *j != i);
            let alone = others.all(|(_, (_, other))| other.most <= 0.0);
            let room = (1.0 - before.least).max(0.0);
            let load = match () {
                () if health.most <= 0.0 => NONE,
                () if alone && (certain > 0.0 || self.is_certain()) => ALL,
                () => Interval {
                    least: health.least.min((1.0 - before.most).max(0.0)),
                    most: if whole { room.min(health.most) } else { room },
                },
            };
            loads.push((*level, load));
            before.least += health.least;
            before.most += health.most;
        }
        loads
    }

    /// The part of all requests that a level can take, in whole per cents as Envoy counts.
    fn health(&self, level: u32) -> Interval {
        let here = |seat: &Seat<'p, 'm>| seat.level == level;
        let least = self.least(|s| here(s) && s.out == Out::Never);
        let most = self.most(|s| here(s) && s.out != Out::Always);
        let out_most = self.most(|s| here(s) && s.out != Out::Never);
        let out_least = self.least(|s| here(s) && s.out == Out::Always);
        let health = |alive: f64, out: f64| {
            if alive > 0.0 {
                (140.0 * alive / (alive + out)).floor().min(100.0) / 100.0
            } else {
                0.0
            }
        };
        Interval { least: health(least, out_most), most: health(most, out_least) }
    }

    /// Whether there certainly is an endpoint, and none is out.
    fn is_certain(&self) -> bool {
        self.seats.iter().all(|seat| seat.out == Out::Never) && self.least(|_| true) > 0.0
    }

    /// Whether so many may be out that Envoy heeds it no longer.
    fn may_panic(&self) -> bool {
        self.terms.panic_threshold > 0 && self.seats.iter().any(|seat| seat.out != Out::Never)
    }

    fn unanswered(&self) -> Interval {
        if self.may_panic() {
            return ANY;
        }
        let loads: BTreeSet<u32> = self.seats.iter().map(|s| s.level).collect();
        let healths = || loads.iter().map(|level| self.health(*level));
        let some = self.is_certain() || healths().any(|health| health.least > 0.0);
        Interval {
            least: f64::from(u8::from(healths().all(|health| health.most <= 0.0))),
            most: f64::from(u8::from(!some)),
        }
    }
}

/// Sums over workloads, whose pods are in one of their zones or another.
impl<'p, 'm> Ground<'p, 'm> {
    fn least(&self, of: impl Fn(&Seat<'p, 'm>) -> bool) -> f64 {
        self.by_workload(of, |_| false).map(|sums| sums.weight * sums.least()).sum()
    }

    fn most(&self, of: impl Fn(&Seat<'p, 'm>) -> bool) -> f64 {
        self.by_workload(of, |_| false).map(|sums| sums.weight * sums.most()).sum()
    }

    /// The least of some, and the most of others then.
    fn least_against(
        &self,
        of: impl Fn(&Seat<'p, 'm>) -> bool,
        others: impl Fn(&Seat<'p, 'm>) -> bool,
    ) -> (f64, f64) {
        self.by_workload(of, others).fold((0.0, 0.0), |(own, against), sums| {
            let least = sums.least();
            let most = sums.others.1.min((sums.total.1 - least - sums.rest.0).max(0.0));
            let stays = if sums.own_stays { least } else { 0.0 };
            (own + sums.weight * stays, against + sums.weight * most)
        })
    }

    /// The most of some, and the least of others then.
    fn most_beside(
        &self,
        of: impl Fn(&Seat<'p, 'm>) -> bool,
        others: impl Fn(&Seat<'p, 'm>) -> bool,
    ) -> (f64, f64) {
        self.by_workload(of, others).fold((0.0, 0.0), |(own, beside), sums| {
            let most = sums.most();
            let certain = |least| if sums.others_stay { least } else { 0.0 };
            let least = sums.others.0.max(sums.total.0 - most - sums.rest.1);
            (own + sums.weight * most, beside + sums.weight * certain(least))
        })
    }

    fn by_workload(
        &self,
        of: impl Fn(&Seat<'p, 'm>) -> bool,
        others: impl Fn(&Seat<'p, 'm>) -> bool,
    ) -> impl Iterator<Item = Sums> {
        let mut all = BTreeMap::<_, Sums>::new();
        for pool in &self.supply.pools {
            let sums = all.entry((pool.cluster, pool.span)).or_insert_with(|| Sums::of(pool));
            let bounds = (f64::from(pool.bounds.least), f64::from(pool.bounds.most));
            let seat = self.seats.iter().find(|seat| std::ptr::eq(seat.pool, pool));
            let into = match seat {
                Some(seat) if of(seat) => {
                    sums.own_stays &= seat.out == Out::Never;
                    &mut sums.own
                }
                Some(seat) if others(seat) => {
                    sums.others_stay &= seat.out == Out::Never;
                    &mut sums.others
                }
                _ => &mut sums.rest,
            };
            into.0 += bounds.0;
            into.1 += bounds.1;
        }
        all.into_values()
    }
}

/// Numbers of one workload's pods, at least and at most.
struct Sums {
    weight: f64,
    total: (f64, f64),
    own: (f64, f64),
    others: (f64, f64),
    rest: (f64, f64),
    /// Whether none of its own may be ejected.
    own_stays: bool,
    /// Whether none of the others may be ejected.
    others_stay: bool,
}

impl Sums {
    fn of(pool: &Pool<'_>) -> Self {
        let none = (0.0, 0.0);
        let total = (f64::from(pool.total.least), f64::from(pool.total.most));
        let weight = f64::from(pool.weight.max(1));
        Self {
            weight,
            total,
            own: none,
            others: none,
            rest: none,
            own_stays: true,
            others_stay: true,
        }
    }

    fn least(&self) -> f64 {
        self.own.0.max(self.total.0 - self.others.1 - self.rest.1)
    }

    fn most(&self) -> f64 {
        self.own.1.min((self.total.1 - self.others.0 - self.rest.0).max(self.own.0))
    }
}

fn landing(pool: &Pool<'_>) -> Landing {
    Landing { cluster: pool.cluster, zone: Some(pool.zone.clone()) }
}

/// Which entry of `distribute` each group gets its weight from, and how much that is in per cent.
fn percents(
    preference: &Preference<'_>,
    client: &Locality,
    groups: &[Group<'_>],
) -> Option<Vec<(usize, u32)>> {
    let Preference::Distribute(entries) = preference else { return None };
    let entry = entries.iter().find(|entry| {
        entry.from.as_ref().is_some_and(|from| LocalityPattern::parse(from).matches(client))
    })?;
    let to: Vec<_> = entry.to.iter().map(|(to, p)| (LocalityPattern::parse(to), p.value)).collect();
    let of = |group: &Group<'_>| {
        let place = to.iter().position(|(to, _)| to.matches(group.locality));
        place.map_or((ELSEWHERE, 0), |place| (place, to[place].1))
    };
    Some(groups.iter().map(of).collect())
}

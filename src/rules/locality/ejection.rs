//! What outlier detection leaves of a zone that fails as a whole, and how uneven zones are.

use crate::kinds::networking::LocalityLb;
use crate::mesh::{Locality, LocalityPattern};
use crate::placement::{Bounds, Placements};
use crate::source::Span;
use crate::traffic::effective::{EffectivePolicy, Layout};
use crate::traffic::view::View;
use crate::traffic::{Traffic, selection};

/// `maxEjectionPercent` holds to the letter from this minor version on; before, one endpoint could
/// always be ejected. Source: Envoy, pull request 27909.
pub(super) const STRICT_SINCE: u32 = 21;

/// Zones of more endpoints than this are not looked into.
const MANY: u32 = 10_000;

/// A zone that keeps getting requests while all of its endpoints fail.
#[derive(Debug)]
pub(super) struct Stuck {
    /// The zone.
    pub(super) zone: Locality,
    /// Its endpoints.
    here: Bounds,
    /// Endpoints at most, and how many of them can be ejected.
    all: u32,
    most_ejected: u32,
    /// The part that certainly keeps failing, in per cent, of the requests of the zone's clients.
    pub(super) failing: u32,
    /// The least percentage that lets all of the zone go.
    pub(super) wanted: u32,
    /// What says that replicas are there.
    pub(super) at: Option<Span>,
    /// Whether weights give the zone its share.
    by_weight: bool,
}

impl Stuck {
    /// How many can be ejected.
    pub(super) fn ejected(&self) -> String {
        let Self { most_ejected, all, zone, here, .. } = self;
        let ejected =
            if *most_ejected == 0 { "none".to_owned() } else { format!("at most {most_ejected}") };
        format!("{ejected} of {all} endpoints can be ejected, and `{zone}` has {here}")
    }

    /// What clients see.
    pub(super) fn effect(&self) -> String {
        let Self { failing, zone, by_weight, .. } = self;
        let how = if *by_weight { ", by its weight" } else { "" };
        let least = if *failing == 100 { "" } else { "at least " };
        format!("{least}{failing} % of the requests from `{zone}` keep failing{how}")
    }

    /// Its share of the endpoints.
    pub(super) fn share(&self) -> String {
        format!("{} of {} in `{}`", self.here, self.all, self.zone)
    }
}

/// The zones whose clients keep sending requests to endpoints that all fail, although other zones
/// have some.
pub(super) fn stuck<'m>(traffic: &Traffic<'m>, policy: &EffectivePolicy<'m>) -> Vec<Stuck> {
    let Some(outliers) = policy.outliers() else { return Vec::new() };
    let layout = policy.likely_layout();
    if !matches!(layout, Layout::OwnZoneFirst(_) | Layout::Weights(_))
        || outliers.max_ejection() >= 100
    {
        return Vec::new();
    }
    let mut found: Vec<Stuck> = Vec::new();
    for part in policy.views(traffic).iter().filter(|part| part.zoned) {
        for zone in part.zones.keys().filter(|zone| !zone.zone.is_empty()) {
            let weighted = match layout {
                Layout::Weights(setting) => match own_weight(&setting.value, zone) {
                    Some(weight) => Some(weight),
                    None => continue,
                },
                _ => None,
            };
            if found.iter().all(|s| s.zone != *zone) {
                found.extend(stuck_in(
                    part,
                    traffic.placements(),
                    zone,
                    outliers.max_ejection(),
                    weighted,
                ));
            }
        }
    }
    found
}

fn stuck_in<'m>(
    part: &View<'m>,
    placements: &Placements<'m>,
    zone: &Locality,
    percent: u32,
    weight: Option<u32>,
) -> Option<Stuck> {
    let (here, all) = (part.zones[zone], part.most());
    // A gateway of the other network may stand in the same priority.
    let shared = part.remote_zones.contains(zone);
    if shared || !part.client_zones.contains(zone) || here.most > MANY {
        return None;
    }
    let failing = failing(part, zone, percent, weight);
    (failing > 0).then(|| Stuck {
        zone: zone.clone(),
        here,
        all,
        most_ejected: ejectable(all, percent),
        failing,
        wanted: wanted(here, others(part, zone)),
        at: part.why(placements, zone),
        by_weight: weight.is_some(),
    })
}

/// What `distribute` gives to a zone of its own clients, in per cent, where it names just that zone.
fn own_weight(setting: &LocalityLb, zone: &Locality) -> Option<u32> {
    let names = |text: &str| LocalityPattern::parse(text).matches(zone);
    let from =
        |d: &&crate::kinds::networking::Distribute| d.from.as_ref().is_some_and(|f| names(f));
    let entry = setting.distribute.iter().find(from)?;
    let single = |to: &str| LocalityPattern::parse(to).zone().is_some() && names(to);
    let (_, weight) = entry.to.iter().find(|(to, _)| single(to))?;
    Some(weight.value).filter(|w| (1..100).contains(w) && entry.to.len() > 1)
}

/// Endpoints that can be ejected of so many.
fn ejectable(all: u32, percent: u32) -> u32 {
    u32::try_from(selection::ejectable(all.into(), percent)).unwrap_or(u32::MAX)
}

/// What a priority of so many endpoints, all failing, keeps of its requests, in per cent.
fn kept(pods: u32, all: u32, percent: u32) -> u64 {
    let left = pods - ejectable(all, percent).min(pods);
    selection::health(left.into(), pods.into())
}

/// The part of its clients' requests that certainly keeps failing while a zone fails, in per cent; 0
/// where there may be no other endpoint, or where the zone may be left.
fn failing(part: &View<'_>, zone: &Locality, percent: u32, weight: Option<u32>) -> u32 {
    let others = others(part, zone);
    let here = part.zones[zone];
    if here.least == 0 || others.least == 0 {
        return 0;
    }
    let shares = (here.least..=here.most).map(|pods| {
        let all = pods.saturating_add(others.most).min(part.most());
        let healthy = kept(pods, all, percent);
        match weight {
            None => healthy,
            Some(weight) => {
                let own = u64::from(weight) * healthy;
                100 * own / (own + u64::from(100 - weight) * 100)
            }
        }
    });
    shares.min().and_then(|share| u32::try_from(share).ok()).unwrap_or(0)
}

/// Endpoints outside a zone.
fn others(part: &View<'_>, zone: &Locality) -> Bounds {
    let others = part.zones.iter().filter(|(z, _)| *z != zone).map(|(_, b)| *b);
    let sum = others.fold(Bounds::default(), Bounds::plus);
    Bounds { least: sum.least, most: sum.most.saturating_add(part.remote_most) }
}

/// The least percentage that certainly lets all endpoints of a zone go.
fn wanted(here: Bounds, others: Bounds) -> u32 {
    let (here, others) = (u64::from(here.most), u64::from(others.least));
    u32::try_from((here * 100).div_ceil((here + others).max(1))).unwrap_or(100)
}

/// Two zones whose pods get very different load where each zone's clients stay in it.
#[derive(Debug)]
pub(super) struct Uneven {
    /// The zone with few replicas.
    pub(super) small: (Locality, Bounds),
    /// The zone with many.
    pub(super) large: (Locality, Bounds),
    /// How much more a pod of the small zone gets, at least.
    pub(super) ratio: f64,
}

/// The zones that certainly differ by more than the factor.
pub(super) fn uneven(part: &View<'_>, factor: f64) -> Option<Uneven> {
    let mut zones = part.zones.iter().filter(|(zone, b)| !zone.zone.is_empty() && b.least > 0);
    let small = zones.clone().min_by_key(|(_, b)| b.most)?;
    let large = zones.by_ref().max_by_key(|(_, b)| b.least)?;
    let ratio = f64::from(large.1.least) / f64::from(small.1.most);
    let copy = |(zone, bounds): (&Locality, &Bounds)| (zone.clone(), *bounds);
    (part.zoned && part.client_zones.contains(small.0) && ratio > factor).then(|| Uneven {
        small: copy(small),
        large: copy(large),
        ratio,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Endpoints, `maxEjectionPercent`, and how many Envoy 1.38 was seen to eject.
    #[test]
    fn ejects_as_many_as_envoy_does() {
        let seen = [(5, 10, 0), (5, 19, 0), (5, 20, 1), (9, 33, 2), (9, 34, 3), (10, 10, 1)];
        for (all, percent, ejected) in seen {
            assert_eq!(ejectable(all, percent), ejected, "{percent} % of {all}");
        }
    }

    /// Three failing endpoints of nine: the share of requests that Envoy 1.38 was seen to fail.
    #[test]
    fn keeps_the_share_that_envoy_keeps() {
        for (percent, failing) in [(10, 100), (25, 46), (30, 46), (34, 0)] {
            assert_eq!(kept(3, 9, percent), failing, "{percent} %");
        }
    }

    #[test]
    fn a_zone_fails_only_where_every_number_of_replicas_makes_it() {
        let zone = |name: &str| Locality::parse(&format!("r/{name}"));
        let part = |a: (u32, u32), b: (u32, u32)| {
            let bounds = |(least, most)| Bounds { least, most };
            let zones = [(zone("a"), bounds(a)), (zone("b"), bounds(b))].into();
            View { zones, total: bounds(a).plus(bounds(b)), ..View::default() }
        };
        assert_eq!(failing(&part((3, 3), (6, 6)), &zone("a"), 10, None), 100);
        assert_eq!(failing(&part((3, 3), (2, 2)), &zone("a"), 10, Some(80)), 80);
        // One replica here and nine or more there: it may be ejected.
        assert_eq!(failing(&part((1, 3), (6, 9)), &zone("a"), 10, None), 0);
        assert_eq!(failing(&part((0, 3), (6, 6)), &zone("a"), 10, None), 0);
        assert_eq!(failing(&part((3, 3), (0, 6)), &zone("a"), 10, None), 0);
    }
}

//! What outlier detection leaves of a zone that fails as a whole, and how uneven zones are.

use super::choice::{Layout, layout};
use super::endpoints::{Endpoints, of_level};
use super::levels::Level;
use crate::kinds::networking::{LocalityLb, OutlierDetection};
use crate::mesh::{Locality, LocalityPattern, Mesh};
use crate::placement::{Bounds, Placements};
use crate::source::Span;

/// `maxEjectionPercent` holds to the letter from this minor version on; before, one endpoint could
/// always be ejected. Source: Envoy, pull request 27909.
pub(super) const STRICT_SINCE: u32 = 21;

/// Zones of more endpoints than this are not looked into.
const MANY: u32 = 10_000;

/// `maxEjectionPercent`, as Envoy gets it. Source: `cluster_traffic_policy.go`,
/// `applyOutlierDetection`.
pub(super) fn percent(outliers: &OutlierDetection) -> u32 {
    outliers.max_ejection_percent.as_ref().map(|p| p.value).filter(|p| *p > 0).unwrap_or(10)
}

/// A zone that keeps getting requests while all of its endpoints fail.
#[derive(Debug)]
pub(super) struct Stuck<'m> {
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
    /// The weights that give the zone its share, where weights do.
    weighted: Option<&'m LocalityLb>,
}

impl Stuck<'_> {
    /// How many can be ejected.
    pub(super) fn ejected(&self) -> String {
        let Self { most_ejected, all, zone, here, .. } = self;
        let ejected =
            if *most_ejected == 0 { "none".to_owned() } else { format!("at most {most_ejected}") };
        format!("{ejected} of {all} endpoints can be ejected, and `{zone}` has {here}")
    }

    /// What clients see.
    pub(super) fn effect(&self) -> String {
        let Self { failing, zone, weighted, .. } = self;
        let how = if weighted.is_some() { ", by its weight" } else { "" };
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
pub(super) fn stuck<'m>(
    mesh: &'m Mesh,
    placements: &Placements<'m>,
    level: &Level<'m>,
) -> Vec<Stuck<'m>> {
    let Some(outliers) = level.outliers else { return Vec::new() };
    let layout = layout(mesh, level);
    if !matches!(layout, Layout::OwnZoneFirst(_) | Layout::Weights(_)) || percent(outliers) >= 100 {
        return Vec::new();
    }
    let mut found: Vec<Stuck<'m>> = Vec::new();
    for part in of_level(mesh, placements, level).iter().filter(|part| part.zoned) {
        for (zone, here) in part.zones.iter().filter(|(zone, _)| !zone.zone.is_empty()) {
            let weighted = match layout {
                Layout::Weights(setting) => match own_weight(&setting.value, zone) {
                    Some(weight) => Some((&setting.value, weight)),
                    None => continue,
                },
                _ => None,
            };
            // A gateway of the other network may stand in the same priority.
            if part.remote_zones.contains(zone) || here.most > MANY {
                continue;
            }
            let failing = failing(part, zone, percent(outliers), weighted.map(|(_, w)| w));
            if failing > 0 && found.iter().all(|s| s.zone != *zone) {
                let all = part.most();
                found.push(Stuck {
                    zone: zone.clone(),
                    here: *here,
                    all,
                    most_ejected: ejectable(all, percent(outliers)),
                    failing,
                    wanted: wanted(*here, others(part, zone)),
                    at: part.why(placements, zone),
                    weighted: weighted.map(|(setting, _)| setting),
                });
            }
        }
    }
    found
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

/// Endpoints that can be ejected of so many. Source: Envoy, `outlier_detection_impl.cc`, `ejectHost`.
fn ejectable(all: u32, percent: u32) -> u32 {
    let ejectable = u64::from(all) * u64::from(percent) / 100;
    u32::try_from(ejectable).unwrap_or(u32::MAX)
}

/// The part of its clients' requests that certainly keeps failing while a zone fails, in per cent; 0
/// where there may be no other endpoint, or where the zone may be left.
/// Source: Envoy, `load_balancer_impl.cc`: a priority keeps 140 % of its healthy share.
fn failing(part: &Endpoints<'_>, zone: &Locality, percent: u32, weight: Option<u32>) -> u32 {
    let others = others(part, zone);
    let here = part.zones[zone];
    if here.least == 0 || others.least == 0 {
        return 0;
    }
    let shares = (here.least..=here.most).map(|pods| {
        let all = pods.saturating_add(others.most).min(part.most());
        let left = pods - ejectable(all, percent).min(pods);
        let healthy = (u64::from(left) * 140 / u64::from(pods)).min(100);
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
fn others(part: &Endpoints<'_>, zone: &Locality) -> Bounds {
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
pub(super) fn uneven(part: &Endpoints<'_>, factor: f64) -> Option<Uneven> {
    let mut zones = part.zones.iter().filter(|(zone, b)| !zone.zone.is_empty() && b.least > 0);
    let small = zones.clone().min_by_key(|(_, b)| b.most)?;
    let large = zones.by_ref().max_by_key(|(_, b)| b.least)?;
    let ratio = f64::from(large.1.least) / f64::from(small.1.most);
    let copy = |(zone, bounds): (&Locality, &Bounds)| (zone.clone(), *bounds);
    (part.zoned && ratio > factor).then(|| Uneven { small: copy(small), large: copy(large), ratio })
}

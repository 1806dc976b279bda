//! A scheduler that tries everything: whatever it does lies within what was said before.

use std::collections::BTreeMap;

use mesh_lint::traffic::clients::same_zone;
use mesh_lint::traffic::counts::Interval;
use mesh_lint::traffic::flow::Landing;
use mesh_lint::traffic::loss::Phase;
use mesh_lint::traffic::range::Range;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::answers::{Answer, Asked, Engine, Loss, model};
use crate::rules;
use crate::world::{Names, Preference, Run, Where, World};

/// More ends than that are not tried.
const ENDS: usize = 12;

pub fn check(world: &World) -> Result<(), TestCaseError> {
    let names = Names::default();
    let loose = model(&world.files(&names));
    let engine = Engine::of(world, &names, &loose.mesh);
    let said = rules::said(world, &names);
    let ranges = engine.each(|asked, client, at, way, lost| {
        engine.traffic.range(client, at, way, lost, asked.phase)
    });
    // Weights of localities are rounded up, one by one.
    let weighs = matches!(world.hosts[0].policy.preference, Preference::Distribute(_));
    let slack = if weighs { 0.03 } else { 1e-9 };
    for end in ends(world) {
        let exact = model(&end.files(&names));
        let answers = Engine::of(&end, &names, &exact.mesh).answers();
        // What is only sampled says so: many ways to place pods, and gateways.
        for (asked, answer) in answers.iter().filter(|(asked, _)| !ranges[*asked].is_sampled) {
            let outside = outside(&engine, &ranges[asked], answer, slack);
            prop_assert!(outside.is_none(), "{outside:?} for {asked:?} of {answer:?} in {end:?}");
        }
        if !world.networks {
            least_leaks_hold(&engine, &answers, slack)?;
        }
        let all = rules::wanted(&end, &answers);
        for (rule, hosts) in &said {
            let mut wanted = all[rule].clone();
            if *rule == rules::ZONE {
                // What leaves its zone may even leave its region.
                wanted.extend(all[rules::REGION].iter().copied());
            }
            prop_assert!(hosts.is_subset(&wanted), "{rule} speaks of {hosts:?} and not in {end:?}");
        }
    }
    Ok(())
}

/// The first share that is not within its bounds.
fn outside(engine: &Engine<'_>, range: &Range, answer: &Answer, slack: f64) -> Option<String> {
    const NONE: Interval = Interval { least: 0.0, most: 0.0 };
    let beyond =
        |bounds: Interval, share: f64| share < bounds.least - slack || share > bounds.most + slack;
    for (place, share) in &answer.arrivals {
        let known = |landing: &&Landing| engine.number(landing) == *place;
        let bounds = range.arrivals.keys().find(known).map_or(NONE, |l| range.arrivals[l]);
        if beyond(bounds, *share) {
            return Some(format!("{place:?} gets {share}, not {bounds:?}"));
        }
    }
    for (landing, bounds) in &range.arrivals {
        let share = answer.arrivals.get(&engine.number(landing)).copied().unwrap_or(0.0);
        if beyond(*bounds, share) {
            return Some(format!("{landing:?} gets {share}, not {bounds:?}"));
        }
    }
    for (why, share) in &answer.failures {
        let bounds = range.failures.get(why).copied().unwrap_or(NONE);
        if beyond(bounds, *share) {
            return Some(format!("{share} fail by {why}, not {bounds:?}"));
        }
    }
    let at_last = range.lost_at_last.unwrap_or(NONE);
    if beyond(at_last, answer.lost_at_last) {
        return Some(format!("{} fail at last, not {at_last:?}", answer.lost_at_last));
    }
    let fails = |(why, bounds): &(&_, &Interval)| beyond(**bounds, answer.failing(**why));
    range.failures.iter().find(fails).map(|(why, bounds)| format!("{why} not in {bounds:?}"))
}

/// What a departure says to stay at most does, where there is an endpoint for certain.
fn least_leaks_hold(
    loose: &Engine<'_>,
    end: &BTreeMap<Asked, Answer>,
    slack: f64,
) -> Result<(), TestCaseError> {
    for visit in loose.traffic.visits().iter().filter(|v| v.host.short() == "cart.shop") {
        for departure in &visit.departures {
            let at = &departure.at;
            if !visit.has_endpoint(|pool| same_zone(&pool.zone, at)) {
                continue;
            }
            let own = |l: &Landing| l.zone.as_ref().is_some_and(|zone| same_zone(zone, at));
            let most = departure.nearest.arriving(own);
            let from = Landing { cluster: visit.client.cluster, zone: Some(at.clone()) };
            let (cluster, zone) = loose.number(&from);
            let (host, lost, phase) = (0, Loss::Nothing, Phase::Noticed);
            let answer = &end[&Asked { host, cluster, zone: zone.unwrap(), lost, phase }];
            let stays = answer.arriving(|_, z| z == zone);
            prop_assert!(stays <= most + slack, "{stays} stay in {at}, not {most} at most");
        }
    }
    Ok(())
}

/// What can come of a mesh: all pods in a zone.
fn ends(world: &World) -> Vec<World> {
    let mut ends = vec![Vec::new()];
    for run in &world.hosts[0].runs {
        let zones = &world.clusters[run.cluster].zones;
        let ways: Vec<Vec<u32>> = match run.at {
            Where::Zone(_) => {
                ends.iter_mut().for_each(|end: &mut Vec<Run>| end.push(run.clone()));
                continue;
            }
            Where::Free => compositions(run.replicas, zones.len()),
            Where::Spread => {
                let mut all = compositions(run.replicas, zones.len());
                all.retain(|c| c.iter().max().unwrap() - c.iter().min().unwrap() <= 1);
                all
            }
        };
        let placed = |end: &Vec<Run>, way: &Vec<u32>| {
            let one = |(zone, replicas): (&usize, &u32)| Run {
                at: Where::Zone(*zone),
                replicas: *replicas,
                ..run.clone()
            };
            end.iter().cloned().chain(zones.iter().zip(way).map(one)).collect()
        };
        ends = ends.iter().flat_map(|end| ways.iter().map(|way| placed(end, way))).collect();
    }
    // The first and the last are the extremes; of the others every so manieth.
    let step = ends.len().div_ceil(ENDS).max(1);
    let last = ends.len() - 1;
    let kept = ends.into_iter().enumerate().filter(|(i, _)| i % step == 0 || *i == last);
    kept.map(|(_, runs)| {
        let mut end = world.clone();
        end.hosts[0].runs = runs;
        end
    })
    .collect()
}

/// All ways to part a number among so many.
fn compositions(number: u32, among: usize) -> Vec<Vec<u32>> {
    if among == 1 {
        return vec![vec![number]];
    }
    let with = |first: u32| {
        let rest = compositions(number - first, among - 1).into_iter();
        rest.map(move |rest| [vec![first], rest].concat()).collect::<Vec<_>>()
    };
    (0..=number).flat_map(with).collect()
}

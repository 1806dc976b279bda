//! What the rules on shares say, and what they ought to say by the engine's answers.

use std::collections::{BTreeMap, BTreeSet};

use mesh_lint::config::Config;
use mesh_lint::lint;
use mesh_lint::source::{Span, Text};
use mesh_lint::traffic::flow::Failure;
use mesh_lint::traffic::loss::Phase;

use crate::answers::{self, Answer, Asked, Loss};
use crate::oracle;
use crate::world::{
    CLUSTER, File, HOSTS, Host, Names, Preference, REGION_OF, Route, Run, Where, World,
};

/// What a rule takes for rounding.
const LEAST: f64 = 0.005;

pub const ZONE: &str = "locality/cross-zone-leak";
pub const REGION: &str = "locality/cross-region-leak";
const ACROSS: &str = "locality/cross-cluster-leak";
const FAILS: &str = "locality/zone-loss-fails";
const RULES: [&str; 4] = [ZONE, REGION, ACROSS, FAILS];

/// The hosts that each rule speaks of.
pub type Said = BTreeMap<&'static str, BTreeSet<&'static str>>;

pub fn said(world: &World, names: &Names) -> Said {
    said_of(&world.files(names))
}

pub fn said_of(files: &[File]) -> Said {
    let (sources, config) = answers::sources(files);
    let select = RULES.iter().map(|rule| Text::new((*rule).to_owned(), Span::default()));
    let config = Config { select: select.collect(), ..config };
    let mut said = Said::new();
    for found in lint::lint(&sources, &config).findings {
        let rule = RULES.into_iter().find(|rule| *rule == found.rule).unwrap();
        let labels: Vec<&str> =
            found.finding.labels.iter().map(|label| sources.slice(label.span)).collect();
        said.entry(rule).or_default().extend(HOSTS.iter().filter(|host| labels.contains(host)));
    }
    said
}

/// What each rule ought to say.
pub fn wanted(world: &World, answers: &BTreeMap<Asked, Answer>) -> Said {
    let mut wanted: Said = RULES.iter().map(|rule| (*rule, BTreeSet::new())).collect();
    for (asked, answer) in answers {
        let host = &world.hosts[asked.host];
        let mut say = |rule| _ = wanted.entry(rule).or_default().insert(HOSTS[asked.host]);
        if asked.lost == Loss::Nothing {
            let leak = leak(host, *asked, answer);
            leak.into_iter().for_each(&mut say);
        } else if matches!(asked.lost, Loss::Zone(_)) && asked.phase == Phase::Noticed {
            let before = Asked { lost: Loss::Nothing, ..*asked };
            if zone_loss_fails(host, *asked, &answers[&before], answer) {
                say(FAILS);
            }
        }
    }
    wanted
}

/// Pods that requests can go to, by cluster and zone, now.
fn targets(host: &Host) -> impl Iterator<Item = (usize, usize)> {
    host.runs.iter().filter(|run| run.replicas > 0 && is_routed(host, run)).map(|run| {
        let Where::Zone(zone) = run.at else { panic!("it is not known where {run:?} is") };
        (run.cluster, zone)
    })
}

fn is_routed(host: &Host, run: &Run) -> bool {
    match &host.route {
        Route::Plain => true,
        Route::Versions(weights) => weights[run.version - 1] > 0,
        Route::Clusters(weights) => weights.len() == 1 || weights[run.cluster] > 0,
    }
}

/// Whether a subset has a run; without subset all have it.
fn is_in(subset: Option<&str>, run: &Run) -> bool {
    let by_version = || format!("v{}", run.version);
    let by_cluster = || format!("in-{}", run.cluster);
    subset.is_none_or(|subset| subset == by_version() || subset == by_cluster())
}

/// The borders that requests cross although an endpoint on this side, of what they are sent to, could
/// have them.
fn leak(host: &Host, asked: Asked, answer: &Answer) -> Vec<&'static str> {
    let policy = oracle::policy(host, host.route != Route::Plain);
    let outliers = policy.outliers.is_some();
    let unranked = match policy.preference {
        Preference::Nothing | Preference::Bare => !outliers,
        _ => false,
    };
    let ranked = match &policy.preference {
        Preference::Nothing | Preference::Bare | Preference::Failover(_) => outliers,
        Preference::Labels(labels, _) => outliers && !labels.contains(&CLUSTER),
        Preference::SameZone => true,
        Preference::Off | Preference::Distribute(_) => false,
    };
    let region = |zone: usize| REGION_OF[zone] == REGION_OF[asked.zone];
    let crossing = |near: &dyn Fn(usize, usize) -> bool,
                    far: &dyn Fn(usize, Option<usize>) -> bool| {
        let has = |subset: Option<&str>| {
            let mut here = host.runs.iter().filter(|run| run.replicas > 0 && is_in(subset, run));
            here.any(|run| matches!(run.at, Where::Zone(zone) if near(run.cluster, zone)))
        };
        let kept = answer.legs.iter().filter(|(subset, _)| has(subset.as_deref()));
        let all = kept.flat_map(|(_, arrivals)| arrivals);
        let beyond = all.filter(|((cluster, zone), _)| far(*cluster, *zone));
        beyond.map(|(_, share)| share).sum::<f64>()
    };
    let mut borders = Vec::new();
    let out_of_region = crossing(&|_, z| region(z), &|_, z| z.is_some_and(|z| !region(z)));
    if unranked && out_of_region > LEAST {
        borders.push(REGION);
    }
    let out_of_zone = crossing(&|_, z| z == asked.zone, &|_, z| z != Some(asked.zone));
    if unranked && out_of_zone > LEAST && out_of_region <= LEAST {
        borders.push(ZONE);
    }
    let at_home = |cluster, zone| cluster == asked.cluster && zone == asked.zone;
    if ranked && crossing(&at_home, &|cluster, _| cluster != asked.cluster) > LEAST {
        borders.push(ACROSS);
    }
    borders
}

fn zone_loss_fails(host: &Host, asked: Asked, before: &Answer, after: &Answer) -> bool {
    let policy = oracle::policy(host, host.route != Route::Plain);
    let filters = matches!(policy.preference, Preference::Distribute(_))
        || matches!(host.route, Route::Versions(_));
    let Loss::Zone(lost) = asked.lost else { return false };
    let had = targets(host).any(|(_, zone)| zone == lost);
    let left = host.runs.iter().any(|run| run.replicas > 0 && run.at != Where::Zone(lost));
    let more = after.failing(Failure::NoEndpoint) - before.failing(Failure::NoEndpoint);
    filters && had && left && asked.zone != lost && more > LEAST
}

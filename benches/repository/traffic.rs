//! What the traffic model costs: a run with and without the rules that ask it, and how both grow.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use mesh_lint::config::Config;
use mesh_lint::lint::{self, check};
use mesh_lint::rules;
use mesh_lint::source::{self, Span, Text};
use mesh_lint::traffic::Traffic;

use crate::repository::Repository;
use crate::{milliseconds, time};

/// Services in three clusters of three zones.
const SIZES: [usize; 4] = [1000, 2000, 4000, 8000];
const ROUNDS: usize = 3;
/// How much dearer a service may be in the largest mesh than in the smallest.
const GROWTH: f64 = 1.5;
/// How much longer a run may take with the traffic rules than without.
const RATIO: f64 = 2.0;
/// Networks with a gateway each, and services that all of them have.
const NETWORKS: (usize, usize) = (20, 50);

pub fn print() -> Result<(), Box<dyn Error>> {
    println!("best of {ROUNDS} rounds, {} threads", rayon::current_num_threads());
    println!(
        "services  clusters  networks  build ms  without ms  with ms  with/without  visits ms"
    );
    let mut costs = Vec::new();
    for size in SIZES {
        let cost = measure(size, 3, false)?;
        let each = cost.visits.as_secs_f64() / size as f64;
        costs.push((size, each, cost.ratio()));
    }
    measure(NETWORKS.1, NETWORKS.0, true)?;
    let (first, ratio) = (costs[0].1, costs[0].2);
    for (size, each, _) in &costs {
        println!("among {size} services one costs {:.2} times as much to follow", each / first);
    }
    let growth = costs.last().map_or(1.0, |last| last.1 / first);
    if growth > GROWTH {
        return Err(format!("the cost per service grows by more than {GROWTH}").into());
    }
    if ratio > RATIO {
        return Err(format!("the traffic rules take more than {RATIO} times a run without").into());
    }
    Ok(())
}

/// The best of all rounds.
struct Cost {
    build: Duration,
    without: Duration,
    with: Duration,
    /// Only where requests go, which the rules then ask.
    visits: Duration,
}

impl Cost {
    /// How much longer a run takes with the rules that ask where requests go.
    fn ratio(&self) -> f64 {
        (self.build + self.with).as_secs_f64() / (self.build + self.without).as_secs_f64()
    }
}

fn measure(services: usize, clusters: usize, networks: bool) -> Result<Cost, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("traffic-{services}"));
    let repository = Repository::services(&root, services, clusters, networks)?;
    let reading = source::read(std::slice::from_ref(&repository.root))?;
    let sources = &reading.sources;
    let all = Config::default();
    let asking = rules::all().filter(|rule| rule.after == rules::After::Traffic);
    let ignore = asking.map(|rule| Text::new(rule.name.to_owned(), Span::default())).collect();
    let fewer = Config { ignore, ..Config::default() };
    let model = lint::build(sources, &all);
    let most = Duration::MAX;
    let mut cost = Cost { build: most, without: most, with: most, visits: most };
    for _ in 0..ROUNDS {
        cost.build = cost.build.min(time(|| lint::build(sources, &all)));
        cost.without = cost.without.min(time(|| check(&model, sources, &fewer)));
        cost.with = cost.with.min(time(|| check(&model, sources, &all)));
        cost.visits = cost.visits.min(time(|| Traffic::of(&model.mesh).visits().len()));
    }
    println!(
        "{services:8} {clusters:9} {:>9} {:9.0} {:11.0} {:8.0} {:13.2} {:10.0}",
        if networks { clusters } else { 1 },
        milliseconds(cost.build),
        milliseconds(cost.without),
        milliseconds(cost.with),
        cost.ratio(),
        milliseconds(cost.visits),
    );
    std::fs::remove_dir_all(&root)?;
    Ok(cost)
}

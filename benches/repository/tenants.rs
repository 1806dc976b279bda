//! How a run grows with the namespaces of a mesh, each of which has Sidecars, policies, Gateways and routes of
//! its own: what is asked of each of them must not walk through all others.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use mesh_lint::config::Config;
use mesh_lint::lint::lint;
use mesh_lint::source;

use crate::repository::Repository;
use crate::{grows_at_most, milliseconds, parse_all, time};

const SIZES: [usize; 4] = [100, 200, 400, 800];
const ROUNDS: usize = 3;
/// How much dearer a namespace may be in the largest mesh than in the smallest.
const GROWTH: f64 = 2.0;

pub fn print() -> Result<(), Box<dyn Error>> {
    println!("best of {ROUNDS} rounds, {} threads", rayon::current_num_threads());
    println!("namespaces  manifests  parse ms    run ms  run/parse");
    let mut costs = Vec::new();
    for size in SIZES {
        costs.push((size, measure(size)?.as_secs_f64() / size as f64));
    }
    grows_at_most("namespace", &costs, GROWTH)
}

fn measure(tenants: usize) -> Result<Duration, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tenants-{tenants}"));
    let repository = Repository::tenants(&root, tenants)?;
    let reading = source::read(std::slice::from_ref(&repository.root))?;
    let config = Config::default();
    let (mut parse, mut run) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        parse = parse.min(time(|| parse_all(&reading.sources)));
        run = run.min(time(|| lint(&reading.sources, &config)));
    }
    println!(
        "{tenants:10} {:10} {:9.1} {:9.1} {:10.2}",
        repository.manifests,
        milliseconds(parse),
        milliseconds(run),
        run.as_secs_f64() / parse.as_secs_f64(),
    );
    std::fs::remove_dir_all(&root)?;
    Ok(run)
}

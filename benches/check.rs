//! How long a whole run takes, beside merely parsing the same bytes, and how both grow.
//!
//! `cargo bench --bench check` prints a table; `cargo bench --bench check -- 5000` one size of it,
//! `cargo bench --bench check -- traffic` what it costs to compute where requests go,
//! `cargo bench --bench check -- trust` what it costs to find out who accepts whose certificates, and
//! `cargo bench --bench check -- tenants` how a run grows with namespaces.

#![expect(clippy::print_stdout, reason = "a bench prints its measurements")]
#![expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]

mod repository;
#[path = "repository/tenants.rs"]
mod tenants;
#[path = "repository/traffic.rs"]
mod traffic;
#[path = "repository/trust.rs"]
mod trust;

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use mesh_lint::clusters::{self, Fleet};
use mesh_lint::config::Config;
use mesh_lint::lint::{self, Model, lint};
use mesh_lint::source::{self, Sources, Span, Text};
use mesh_lint::yaml;
use rayon::prelude::*;
use repository::Repository;

const SIZES: [usize; 5] = [1000, 2000, 4000, 5000, 8000];
const ROUNDS: usize = 7;
/// How much dearer a manifest may be in the largest repository than in the smallest.
const GROWTH: f64 = 1.5;
/// The share of a whole run that may go into holding resources to their APIs, in per cent.
const FIELDS: f64 = 20.0;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|arg| arg == "traffic") {
        return traffic::print();
    }
    if std::env::args().any(|arg| arg == "tenants") {
        return tenants::print();
    }
    if std::env::args().any(|arg| arg == "trust") {
        return trust::print();
    }
    // cargo itself adds `--bench`.
    let mut sizes: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    if sizes.is_empty() {
        sizes.extend(SIZES);
    }
    println!("best of {ROUNDS} rounds, {} threads", rayon::current_num_threads());
    println!(
        "manifests  files      MB   read ms  parse ms   MB/s    run ms   MB/s   run/parse  fields %"
    );
    let mut costs = Vec::new();
    for size in sizes {
        let run = measure(size)?;
        costs.push((size, run.as_secs_f64() / size as f64));
    }
    grows_at_most("manifest", &costs, GROWTH)
}

/// Says how much dearer one of many is than one of few, by sizes and the cost of one in each; an error where
/// it is more than allowed.
fn grows_at_most(what: &str, costs: &[(usize, f64)], limit: f64) -> Result<(), Box<dyn Error>> {
    if let (Some((small, first)), Some((large, last))) = (costs.first(), costs.last())
        && small < large
    {
        let growth = last / first;
        println!("a {what} costs {growth:.2} times as much among {large} as among {small}");
        if growth > limit {
            return Err(format!("the cost per {what} grows by more than {limit}").into());
        }
    }
    Ok(())
}

/// Measures one size and prints its line; what it returns is the time of the whole run.
fn measure(size: usize) -> Result<Duration, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{size}"));
    let repository = Repository::write(&root, size)?;
    let reading = source::read(std::slice::from_ref(&repository.root))?;
    assert!(reading.failures.is_empty(), "all files were just written: {:?}", reading.failures);
    let sources = &reading.sources;
    let config = Config::default();
    // What is compared takes turns, so that a busy machine is as unkind to one as to the other.
    let (mut read, mut parse, mut run) = (Duration::MAX, Duration::MAX, Duration::MAX);
    let mut fields = Fields::of(sources, &config);
    for _ in 0..ROUNDS {
        read = read.min(time(|| source::read(std::slice::from_ref(&repository.root))));
        parse = parse.min(time(|| parse_all(sources)));
        run = run.min(time(|| lint(sources, &config)));
        fields.measure(sources);
    }
    let share = fields.least.as_secs_f64() / run.as_secs_f64() * 100.0;
    let megabytes = sources.bytes() as f64 / 1e6;
    println!(
        "{:9} {:6} {megabytes:7.2} {:9.1} {:9.1} {:6.0} {:9.1} {:6.0} {:11.2} {share:9.1}",
        repository.manifests,
        repository.files,
        milliseconds(read),
        milliseconds(parse),
        megabytes / parse.as_secs_f64(),
        milliseconds(run),
        megabytes / run.as_secs_f64(),
        run.as_secs_f64() / parse.as_secs_f64(),
    );
    std::fs::remove_dir_all(&root)?;
    if share > FIELDS {
        return Err(format!("`fields/` takes more than {FIELDS} % of a run").into());
    }
    Ok(run)
}

/// What `fields/` costs: holding all resources to their APIs, and running its rules alone. What both do
/// beside that makes it a little dearer than it is.
struct Fields {
    fleet: Fleet,
    model: Model,
    config: Config,
    least: Duration,
}

impl Fields {
    fn of(sources: &Sources, config: &Config) -> Self {
        let fleet = clusters::assign(sources, &lint::parse(sources), config);
        let select = vec![Text::new("fields".to_owned(), Span::default())];
        let model = lint::build(sources, config);
        Self { fleet, model, config: Config { select, ..config.clone() }, least: Duration::MAX }
    }

    fn measure(&mut self, sources: &Sources) {
        let held = time(|| lint::hold_to_api(&self.fleet));
        let said = time(|| lint::check(&self.model, sources, &self.config));
        self.least = self.least.min(held + said);
    }
}

/// Parses every text, on all cores as a run does; returns how many documents there are.
fn parse_all(sources: &Sources) -> usize {
    let files: Vec<_> = sources.files().map(|(_, file)| file).collect();
    files.par_iter().map(|file| yaml::parse(&file.text, file.base).documents.len()).sum()
}

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    let made = black_box(work());
    let elapsed = start.elapsed();
    drop(made);
    elapsed
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

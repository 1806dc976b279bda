//! How long a whole run takes, beside merely parsing the same bytes, and how both grow.
//!
//! `cargo bench --bench check` prints a table; `cargo bench --bench check -- 5000` one size of it,
//! and `cargo bench --bench check -- traffic` what it costs to compute where requests go.

#![expect(clippy::print_stdout, reason = "a bench prints its measurements")]
#![expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]

mod repository;
#[path = "repository/traffic.rs"]
mod traffic;

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use mesh_lint::config::Config;
use mesh_lint::lint::lint;
use mesh_lint::source::{self, Sources};
use mesh_lint::yaml;
use rayon::prelude::*;
use repository::Repository;

const SIZES: [usize; 5] = [1000, 2000, 4000, 5000, 8000];
const ROUNDS: usize = 7;
/// How much dearer a manifest may be in the largest repository than in the smallest.
const GROWTH: f64 = 1.5;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|arg| arg == "traffic") {
        return traffic::print();
    }
    // cargo itself adds `--bench`.
    let mut sizes: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    if sizes.is_empty() {
        sizes.extend(SIZES);
    }
    println!("best of {ROUNDS} rounds, {} threads", rayon::current_num_threads());
    println!("manifests  files      MB   read ms  parse ms   MB/s    run ms   MB/s   run/parse");
    let mut costs = Vec::new();
    for size in sizes {
        let run = measure(size)?;
        costs.push((size, run.as_secs_f64() / size as f64));
    }
    if let (Some((small, first)), Some((large, last))) = (costs.first(), costs.last())
        && small < large
    {
        let growth = last / first;
        println!("a manifest costs {growth:.2} times as much among {large} as among {small}");
        if growth > GROWTH {
            return Err(format!("the cost per manifest grows by more than {GROWTH}").into());
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
    for _ in 0..ROUNDS {
        read = read.min(time(|| source::read(std::slice::from_ref(&repository.root))));
        parse = parse.min(time(|| parse_all(sources)));
        run = run.min(time(|| lint(sources, &config)));
    }
    let megabytes = sources.bytes() as f64 / 1e6;
    println!(
        "{:9} {:6} {megabytes:7.2} {:9.1} {:9.1} {:6.0} {:9.1} {:6.0} {:11.2}",
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
    Ok(run)
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

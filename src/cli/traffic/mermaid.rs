//! Shares as a Mermaid flowchart.

use std::collections::BTreeMap;
use std::io::Write;

use super::super::Failed;
use super::super::graph::escaped;
use super::answer::Answer;
use super::{Asked, path, zone_name};

pub(super) fn print(
    asked: &Asked<'_, '_>,
    host: &str,
    port: u32,
    answers: &[Answer<'_>],
    out: &mut dyn Write,
) -> Result<(), Failed> {
    let text = |text: &str| text.chars().map(escaped).collect::<String>();
    writeln!(out, "flowchart LR")?;
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    let mut edges = Vec::new();
    for (from, answer) in answers.iter().enumerate() {
        let cluster = asked.mesh().cluster_name(answer.client.cluster);
        let name = text(&format!("{cluster} {}", zone_name(&answer.at)));
        writeln!(out, "  c{from}([\"{name}\"])")?;
        // Of several ways the one that is taken without conditions.
        let Some(range) = answer.columns.last().and_then(|c| c.first()?.range.as_ref()) else {
            continue;
        };
        let arrivals = range.arrivals.iter().map(|(landing, share)| {
            let zone = landing.zone.as_ref().map_or_else(|| "any zone".to_owned(), zone_name);
            let cluster = asked.mesh().cluster_name(landing.cluster);
            (format!("{host}:{port}\n{cluster} {zone}"), *share)
        });
        let failures = range.failures.iter().map(|(failure, share)| (failure.to_string(), *share));
        let elsewhere = range.elsewhere.iter().map(|share| ("elsewhere".to_owned(), *share));
        let unseen = range.unseen.iter().map(|share| ("not known".to_owned(), *share));
        let all = arrivals.chain(failures).chain(elsewhere).chain(unseen);
        for (end, share) in all.filter(|(_, s)| s.most > 0.0) {
            let next = ends.len();
            let to = *ends.entry(end).or_insert(next);
            edges.push((from, path::share(range, share), to));
        }
    }
    for (name, i) in &ends {
        writeln!(out, "  e{i}[\"{}\"]", text(name).replace('\n', " "))?;
    }
    for (from, share, to) in edges {
        writeln!(out, "  c{from} -->|{share}| e{to}")?;
    }
    Ok(())
}

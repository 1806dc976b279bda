//! A real Envoy sends requests where the engine says.
//!
//! Envoy comes from `tests/tools.sh`. Where it is missing a test says that it is skipped, except in CI.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and a skipped one says so"
)]

mod client;
mod config;
mod control;
mod draw;
mod fixtures;
#[path = "../traffic/hosts.rs"]
mod hosts;
mod lab;
#[path = "../common/fixtures.rs"]
#[expect(dead_code, reason = "whole folders are read here, not their files")]
mod meshes;
#[path = "../traffic/scene.rs"]
#[expect(dead_code, reason = "the rest is for tests that have shares written down")]
mod scene;
mod tables;
mod topology;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use draw::Draw;
use lab::Lab;
use mesh_lint::traffic::Traffic;
use meshes::FIXTURES;
use topology::{Destination, Shares, TOLERANCE, Topology};
use words::{Given, Told};

const DRAWN: usize = 40;
/// So many topologies of the fixtures are measured at most, one in so many where there are more.
const MEASURED: usize = 100;

fn rows(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter(|line| !line.is_empty())
}

#[test]
fn envoy_sends_requests_where_the_engine_says() {
    let Some(lab) = Lab::open() else { return };
    let mut draw = Draw::seeded(2026);
    let drawn = (0..DRAWN).map(|number| draw.row(number));
    let told: Vec<Told> =
        rows(tables::TOLD).map(Told::read).chain(drawn.map(|r| Told::read(&r))).collect();
    let given: Vec<Given> = rows(tables::GIVEN).map(Given::read).collect();
    let topologies: Vec<Topology<'_>> =
        told.iter().map(Told::topology).chain(given.iter().map(Given::topology)).collect();
    let measured = agree(&lab, &topologies);
    a_naive_prediction_is_refused(&topologies, &measured);
}

/// The project's own meshes. What Envoy is told there is the same for many clients and hosts.
#[test]
fn envoy_sends_requests_of_the_fixtures_where_the_engine_says() {
    let meshes = FIXTURES.map(|name| (name, fixtures::mesh(name)));
    let engines = meshes.each_ref().map(|(name, mesh)| (*name, Traffic::of(mesh)));
    let told: Vec<fixtures::Told<'_>> =
        engines.iter().flat_map(|(name, traffic)| fixtures::told(name, traffic)).collect();
    told.iter().for_each(fixtures::Told::agrees_with_the_flow);
    let mut known = BTreeSet::new();
    let different: Vec<_> = told.iter().filter(|told| known.insert(told.key())).collect();
    let all: Vec<Topology<'_>> = different.iter().map(|told| told.topology()).collect();
    assert!(all.len() > FIXTURES.len(), "only {} are different", all.len());
    let step = all.len().div_ceil(MEASURED);
    let some: Vec<Topology<'_>> = all.into_iter().step_by(step).collect();
    eprintln!("{} questions, {} different, {} measured", told.len(), known.len(), some.len());
    let Some(lab) = Lab::open() else { return };
    agree(&lab, &some);
}

/// Measures, and fails where the engine says something else.
fn agree(lab: &Lab, topologies: &[Topology<'_>]) -> Vec<Shares> {
    let measured = lab.measure(topologies);
    let wrong: Vec<String> = topologies
        .iter()
        .zip(&measured)
        .filter(|(topology, measured)| !topology.predict().agrees(measured))
        .map(|(topology, measured)| {
            let [predicted, measured] = [&topology.predict(), measured].map(|s| topology.show(s));
            format!("{topology}  predicted {predicted}\n  measured  {measured}\n")
        })
        .collect();
    let (of, count) = (topologies.len(), wrong.len());
    assert!(wrong.is_empty(), "{count} of {of} differ, shares in per cent:\n{}", wrong.join("\n"));
    measured
}

/// What was measured tells the engine from a guess.
fn a_naive_prediction_is_refused(topologies: &[Topology<'_>], measured: &[Shares]) {
    let mut refused = 0;
    for (topology, measured) in topologies.iter().zip(measured) {
        let naive = alike(topology).predict();
        if naive.distance(&topology.predict()) > 2.0 * TOLERANCE {
            assert!(!naive.agrees(measured), "all hosts alike passes for {topology}");
            refused += 1;
        }
    }
    assert!(
        refused > topologies.len() / 2,
        "only {refused} topologies tell the engine from a guess"
    );
}

/// The same hosts for a client that knows neither health nor nearness nor weights.
fn alike<'e>(topology: &Topology<'e>) -> Topology<'e> {
    let mut legs = topology.legs.clone();
    for leg in &mut legs {
        leg.choice.by_locality = false;
        leg.max_ejection_percent = None;
        for group in &mut leg.groups {
            group.priority = 0;
            group.members.iter_mut().for_each(|member| member.healthy = true);
        }
    }
    Topology { words: topology.words.clone(), legs }
}

fn shares(of: &[(usize, f64)], unanswered: f64) -> Shares {
    let destination = |group| Destination { leg: 0, group, member: Some(0) };
    let of: BTreeMap<_, _> =
        of.iter().map(|(group, share)| (destination(*group), *share)).collect();
    Shares { of, unanswered }
}

#[test]
fn what_differs_is_refused() {
    let predicted = shares(&[(0, 46.0), (1, 54.0), (2, 0.0)], 0.0);
    for (what, measured, agrees) in [
        ("the same", shares(&[(0, 46.0), (1, 54.0)], 0.0), true),
        ("by chance", shares(&[(0, 43.1), (1, 56.9)], 0.0), true),
        ("too much", shares(&[(0, 42.9), (1, 57.1)], 0.0), false),
        ("the other way round", shares(&[(0, 54.0), (1, 46.0)], 0.0), false),
        ("one gets nothing", shares(&[(1, 100.0)], 0.0), false),
        ("nothing is foreseen for one", shares(&[(0, 46.0), (1, 53.9), (2, 0.1)], 0.0), false),
        ("one is not foreseen", shares(&[(0, 46.0), (1, 53.9), (3, 0.1)], 0.0), false),
        ("some fail", shares(&[(0, 45.9), (1, 53.9)], 0.2), false),
        ("all fail", shares(&[], 100.0), false),
    ] {
        assert_eq!(predicted.agrees(&measured), agrees, "{what}");
    }
}

/// What is predicted for one topology does not pass for another of the same shape.
#[test]
fn predictions_tell_topologies_apart() {
    let told = |pods: &str| Told::read(&format!("x | c1 r1/a | c1 {pods} | outliers 100"));
    let all = ["r1/a:3 r1/b:3", "r1/a:1+2u r1/b:3", "r1/a:3u r1/b:3"].map(told);
    let all = all.each_ref().map(|told| told.topology().predict());
    for (i, one) in all.iter().enumerate() {
        for (j, other) in all.iter().enumerate() {
            assert_eq!(one.agrees(other), i == j, "{one:?} {other:?}");
        }
    }
}

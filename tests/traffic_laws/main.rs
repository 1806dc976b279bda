//! Laws of the traffic model, over whole meshes drawn by chance.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod draw;
mod oracle;
mod rules;
mod scheduler;
mod world;

use std::collections::BTreeMap;

use answers::{Answer, Asked, Engine, Loss, model};
use mesh_lint::traffic::loss::Phase;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use world::{File, Names, Preference, Run, Where, World};

/// So many cases, the same ones on every run. `PROPTEST_CASES` asks for more than its default of 256, and
/// gets as many times more; `PROPTEST_RNG_SEED` for others.
fn config(cases: u32) -> ProptestConfig {
    let told = ProptestConfig::default();
    ProptestConfig {
        cases: (cases * told.cases / 256).max(1),
        failure_persistence: None,
        max_shrink_iters: told.max_shrink_iters.min(200),
        rng_seed: match told.rng_seed {
            RngSeed::Random => RngSeed::Fixed(2026),
            fixed => fixed,
        },
        ..told
    }
}

fn answers(world: &World) -> BTreeMap<Asked, Answer> {
    answers_named(world, &Names::default())
}

fn answers_named(world: &World, names: &Names) -> BTreeMap<Asked, Answer> {
    answers_of(world, names, &world.files(names))
}

fn answers_of(world: &World, names: &Names, files: &[File]) -> BTreeMap<Asked, Answer> {
    let model = model(files);
    Engine::of(world, names, &model.mesh).answers()
}

proptest! {
    #![proptest_config(config(40))]

    /// Every request arrives, fails or leaves, whoever sends it and whatever is lost.
    #[test]
    fn shares_make_a_whole(world in draw::exact()) {
        for (asked, answer) in answers(&world) {
            prop_assert!((answer.sum() - 1.0).abs() < 1e-9, "{asked:?}: {answer:?}");
            prop_assert!(answer.arrivals.values().chain(answer.failures.values()).all(|s| *s > 0.0));
        }
    }

    /// What is lost gets nothing: before that is noticed requests to it fail, afterwards none is sent.
    #[test]
    fn what_is_lost_gets_nothing(world in draw::exact()) {
        for (asked, answer) in answers(&world) {
            let there = answer.arriving(|cluster, zone| asked.lost.takes(cluster, zone));
            prop_assert!(there <= 0.0, "{asked:?}: {answer:?}");
        }
    }

    /// A reference that knows nothing of the engine gives the same parts, which make exactly one.
    #[test]
    fn fractions_say_the_same(world in draw::exact()) {
        let world = World { networks: false, ..world };
        for (asked, answer) in answers(&world) {
            let Some(parts) = oracle::parts(&world, asked) else { continue };
            prop_assert_eq!(oracle::sum(&parts), oracle::Part::ONE);
            let wanted = oracle::answer(&parts);
            prop_assert!(answer.is_near(&wanted), "{asked:?}: {answer:?}, and not {wanted:?}");
        }
    }

    /// Where endpoints are not weighted by hand, one more in the client's zone never sends more away.
    #[test]
    fn an_endpoint_nearby_keeps_requests(world in draw::exact(), at: prop::sample::Index, host: prop::sample::Index) {
        let host = host.index(world.hosts.len());
        prop_assume!(!matches!(world.hosts[host].policy.preference, Preference::Distribute(_)));
        prop_assume!(world.hosts[host].has_any());
        let spots = world.clusters.iter().enumerate();
        let spots: Vec<_> = spots.flat_map(|(c, it)| it.zones.iter().map(move |z| (c, *z))).collect();
        let (cluster, zone) = *at.get(&spots);
        // What a client calls the same: more pods where there are some, or the first there.
        let mut richer = world.clone();
        let runs = &mut richer.hosts[host].runs;
        let version = runs[0].version;
        runs.push(Run { cluster, version, at: Where::Zone(zone), replicas: 1 });
        let (before, after) = (answers(&world), answers(&richer));
        let is_here = |asked: &Asked| {
            (asked.host, asked.cluster, asked.zone) == (host, cluster, zone)
                && asked.phase == Phase::Noticed
                && !asked.lost.takes(cluster, Some(zone))
        };
        for (asked, before) in before.iter().filter(|(asked, _)| is_here(asked)) {
            let away = |answer: &Answer| answer.arriving(|_, at| at != Some(zone));
            let after = &after[asked];
            // What found no endpoint before may now find one, but no further away than here.
            prop_assert!(away(after) <= away(before) + 1e-9, "{asked:?}: {before:?} then {after:?}");
        }
    }

    /// Other names, other answers by the same names only: in one network nothing goes by the alphabet.
    #[test]
    fn names_do_not_matter(world in draw::exact()) {
        let world = World { networks: false, ..world };
        let other = Names {
            regions: ["south", "north", "east"],
            zones: ["5", "east-2", "a", "north-0", "4"],
            clusters: ["zulu", "alpha", "mike"],
        };
        let (before, after) = (answers(&world), answers_named(&world, &other));
        for (asked, before) in before.iter().filter(|(asked, _)| !chance(&world, **asked)) {
            let after = &after[asked];
            prop_assert!(after.is_near(before), "{asked:?}: {before:?} then {after:?}");
        }
        prop_assert_eq!(rules::said(&world, &other), rules::said(&world, &Names::default()));
    }

    /// Behind gateways an address counts where it stands first, so there the order of names has to stay.
    #[test]
    fn names_in_the_same_order_do_not_matter(world in draw::exact()) {
        let other = Names {
            regions: ["eu-1", "eu-2", "us-1"],
            zones: ["1", "2", "3", "4", "5"],
            clusters: ["a", "b", "c"],
        };
        let (before, after) = (answers(&world), answers_named(&world, &other));
        for (asked, before) in before {
            let after = &after[&asked];
            prop_assert!(after.is_near(&before), "{asked:?}: {before:?} then {after:?}");
        }
        prop_assert_eq!(rules::said(&world, &other), rules::said(&world, &Names::default()));
    }

    /// Nor does it matter which manifests share a file, and which file comes first.
    #[test]
    fn layout_does_not_matter(world in draw::exact()) {
        let names = Names::default();
        let files = world.files(&names);
        let mut apart: Vec<File> = files
            .iter()
            .flat_map(|(path, documents)| {
                let named = documents.iter().enumerate().map(move |(i, document)| match i {
                    0 => (path.clone(), vec![document.clone()]),
                    _ => (path.replace(".yaml", &format!("-{i}.yaml")), vec![document.clone()]),
                });
                named.collect::<Vec<_>>()
            })
            .collect();
        apart.reverse();
        let before = answers(&world);
        for layout in [apart, together(&files)] {
            let after = answers_of(&world, &names, &layout);
            for (asked, before) in &before {
                prop_assert!(after[asked].is_near(before), "{asked:?} in {layout:?}");
            }
            prop_assert_eq!(rules::said_of(&layout), rules::said(&world, &names));
        }
    }

    /// The rules speak of the hosts that answers speak of, and of no others.
    #[test]
    fn rules_say_what_answers_say(world in draw::exact()) {
        let said = rules::said(&world, &Names::default());
        for (rule, wanted) in rules::wanted(&world, &answers(&world)) {
            let found = said.get(rule).cloned().unwrap_or_default();
            prop_assert_eq!(found, wanted, "{}", rule);
        }
    }
}

proptest! {
    #![proptest_config(config(24))]

    /// Whatever the scheduler does, the shares are within the bounds, and no rule spoke in vain.
    #[test]
    fn bounds_hold_all_that_can_be(world in draw::loose()) {
        scheduler::check(&world)?;
    }
}

/// Whether only some of the hosts that fail can be ejected, so that the answer tells one of several.
fn chance(world: &World, asked: Asked) -> bool {
    asked.phase == Phase::Unnoticed
        && asked.lost != Loss::Nothing
        && oracle::parts(world, asked).is_none()
}

/// All manifests of a folder in one file.
fn together(files: &[File]) -> Vec<File> {
    let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (path, documents) in files {
        let folder = path.split_once('/').map_or("", |(folder, _)| folder);
        all.entry(folder).or_default().extend(documents.iter().cloned());
    }
    let named = |folder: &str| match folder {
        "" => "mesh-lint.yaml".to_owned(),
        _ => format!("{folder}/all.yaml"),
    };
    all.into_iter().map(|(folder, documents)| (named(folder), documents)).collect()
}

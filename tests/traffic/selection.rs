//! Whom Envoy chooses: what was measured on a real one (4,000 requests each, so within 2.5 points), and
//! the numbers its integer arithmetic gives.

use std::collections::BTreeMap;

use mesh_lint::mesh::Locality;
use mesh_lint::traffic::assignment::Group;
use mesh_lint::traffic::selection::{Choice, Ejected, ZoneAware, eject, select};

use crate::hosts::{Hosts, hosts};

/// Shares in per cent: `0/a` of hosts that work, `0/a!` of hosts that are unready, ejected or fail.
fn shares(text: &str, choice: Choice<'_>, max_ejected: Option<u32>) -> BTreeMap<String, f64> {
    let all = hosts(text);
    let groups: Vec<Group<'_>> = all.iter().map(Hosts::group).collect();
    let ejected = max_ejected
        .map_or_else(Ejected::new, |max| eject(&groups, max, None, |g, m| all[g].failing[m]));
    let selection = select(&groups, &ejected, choice);
    let mut found: BTreeMap<String, f64> = BTreeMap::new();
    let total: f64 = selection.shares.iter().map(|s| s.share).sum::<f64>() + selection.unanswered;
    assert!((total - 1.0).abs() < 1e-9, "{text}: {selection:?}");
    for share in &selection.shares {
        let place = format!("{}/{}", share.priority, all[share.group].locality.zone);
        let bad =
            if all[share.group].failing[share.member] { share.share } else { share.unhealthy };
        *found.entry(format!("{place}!")).or_default() += 100.0 * bad;
        *found.entry(place).or_default() += 100.0 * (share.share - bad);
    }
    found.insert("UH".to_owned(), 100.0 * selection.unanswered);
    found.retain(|_, share| *share > 1e-9);
    found
}

fn agrees(text: &str, found: &BTreeMap<String, f64>, measured: &str) {
    let measured: BTreeMap<&str, f64> = measured
        .split_whitespace()
        .map(|word| word.rsplit_once('=').unwrap())
        .map(|(place, share)| (place, share.parse().unwrap()))
        .collect();
    let names = |place: &&String| measured.contains_key(place.as_str());
    assert!(found.keys().all(|place| names(&place)), "{text}: {found:?}, measured {measured:?}");
    for (place, share) in &measured {
        let computed = found.get(*place).copied().unwrap_or(0.0);
        assert!((computed - share).abs() < 2.5, "{text}: {found:?}, measured {measured:?}");
    }
}

fn panic(percent: u32) -> Choice<'static> {
    Choice { panic_threshold: percent, ..Choice::default() }
}

fn weighted() -> Choice<'static> {
    Choice { by_locality: true, ..Choice::default() }
}

#[test]
fn a_level_keeps_all_down_to_five_sevenths() {
    for (hosts, measured) in [
        ("0/a:4 1/b:4", "0/a=100"),
        ("0/a:3+1u 1/b:4", "0/a=100"),
        ("0/a:2+2u 1/b:4", "0/a=70.9 1/b=29.1"),
        ("0/a:1+3u 1/b:4", "0/a=36.2 1/b=63.8"),
        ("0/a:4u 1/b:4", "1/b=100"),
        ("0/a:5+2u 1/b:2", "0/a=100"),
        ("0/a:2+1u 1/b:2", "0/a=93.2 1/b=6.8"),
        ("0/a:2+2u 1/b:1+3u", "0/a=70 1/b=30"),
        ("0/a:1+4u 1/b:1+4u", "0/a=50.6 1/b=49.4"),
        ("0/a:1+3u 1/b:1+3u 2/c:4", "0/a=35.6 1/b=35 2/c=29.4"),
        ("0/a:1+3u", "0/a=100"),
        ("0/a:2u 1/b:2u", "UH=100"),
        ("0/a: 1/b:2", "1/b=100"),
        ("0/a:2u 2/b:2", "2/b=100"),
        ("0/a:1u*9+1*1 1/b:1", "0/a=68.8 1/b=31.2"),
    ] {
        agrees(hosts, &shares(hosts, panic(0), None), measured);
    }
}

/// The loads themselves, to the per cent.
#[test]
fn loads_are_whole_per_cents() {
    for (hosts, wanted) in [
        ("0/a:2+2u 1/b:4", "70 30"),
        ("0/a:1+2u 1/b:4", "46 54"),
        ("0/a:1+2u 1/b:1+2u 2/c:4", "46 46 8"),
        ("0/a:1+4u 1/b:1+4u", "50 50"),
        ("0/a:2+2u 1/b:1+3u", "70 30"),
        ("0/a:1+4u 1/b:2+3u", "34 66"),
        ("0/a:7+3u 1/b:1", "98 2"),
        ("0/a:1+9u 1/b:1", "14 86"),
    ] {
        let found = shares(hosts, panic(0), None);
        let found: Vec<String> = found.values().map(|share| format!("{share:.0}")).collect();
        assert_eq!(found.join(" "), wanted, "{hosts}");
    }
}

#[test]
fn in_panic_all_hosts_get_their_part() {
    for (hosts, threshold, measured) in [
        ("0/a:1+4u 1/b:1+4u", 50, "0/a=9.6 0/a!=41 1/b=10.2 1/b!=39.2"),
        ("0/a:1+4u 1/b:3+1u", 50, "0/a=27.4 1/b=72.6"),
        ("0/a:1+3u", 50, "0/a=24.1 0/a!=75.9"),
        ("0/a:3u 1/b:1u", 50, "0/a!=74.5 1/b!=25.5"),
        ("0/a:1+4u 1/b:2+3u", 30, "0/a=6.9 0/a!=26 1/b=67"),
    ] {
        agrees(hosts, &shares(hosts, panic(threshold), None), measured);
    }
    let both = Choice { by_locality: true, ..panic(30) };
    let hosts = "0/a=90:1+3u 0/b=10:1+3u";
    agrees(hosts, &shares(hosts, both, None), "0/a=13.2 0/a!=38.1 0/b=12.6 0/b!=36.1");
}

#[test]
fn weights_of_localities_count_where_envoy_is_told_so() {
    for (hosts, measured) in [
        ("0/a=80:2 0/b=20:2", "0/a=80 0/b=20"),
        ("0/a=80:1+1u 0/b=20:2", "0/a=73.7 0/b=26.3"),
        ("0/a=80:2u 0/b=20:2", "0/b=100"),
        ("0/a=80: 0/b=20:2", "0/b=100"),
        ("0/a=80:1 0/b:4", "0/a=100"),
        ("0/a=10:1+1u 0/b=30:2 1/c=99:2", "0/a=18.9 0/b=81.1"),
        ("0/a=80:2u 0/b=20:2 1/c=1:2", "0/b=70.5 1/c=29.5"),
        ("0/a=90:1 0/a=10:1 0/b=10:1", "0/a=50 0/b=50"),
        ("0/a=10:1 0/a=90:1 0/b=10:1", "0/a=90 0/b=10"),
        ("0/=30:1 0/b=10:1", "0/=75 0/b=25"),
        ("0/a=1:3 0/b=1:3", "0/a=50 0/b=50"),
    ] {
        agrees(hosts, &shares(hosts, weighted(), None), measured);
    }
    let hosts = "0/a=80:1 0/b=20:4";
    agrees(hosts, &shares(hosts, panic(0), None), "0/a=19.6 0/b=80.3");
    let hosts = "0/a:1*1 0/b:1*9";
    agrees(hosts, &shares(hosts, panic(0), None), "0/a=10 0/b=90");
}

#[test]
fn an_address_counts_once_where_it_first_stands() {
    for (hosts, choice, measured) in [
        ("1/a=1:g 0/b=1:g+1", panic(0), "0/b=100"),
        ("0/a=90:g 0/b=10:g 0/c=100:1", weighted(), "0/a=47.4 0/c=52.6"),
        ("0/a:g+1 1/b:g", panic(0), "0/a=100"),
        ("1/a:g+1 0/b:g", panic(0), "1/a=100"),
    ] {
        agrees(hosts, &shares(hosts, choice, None), measured);
    }
}

#[test]
fn hosts_that_fail_are_ejected_as_far_as_the_limit_goes() {
    for (hosts, choice, max, measured) in [
        ("0/a:4+1x", panic(0), Some(10), "0/a=80.2 0/a!=19.8"),
        ("0/a:4+1x", panic(0), Some(19), "0/a=80.6 0/a!=19.4"),
        ("0/a:4+1x", panic(0), Some(20), "0/a=100"),
        ("0/a:9+1x", panic(0), Some(10), "0/a=100"),
        ("0/a:1+1x+8u", panic(0), Some(10), "0/a=100"),
        ("0/a:3x 1/b:6", panic(0), Some(10), "0/a!=100"),
        ("0/a:3x 1/b:6", panic(0), Some(30), "0/a!=48 1/b=52"),
        ("0/a:3x 1/b:6", panic(0), Some(33), "0/a!=46.5 1/b=53.5"),
        ("0/a:3x 1/b:6", panic(0), Some(34), "1/b=100"),
        ("0/a:3x 1/b:3", panic(0), Some(50), "1/b=100"),
        ("0/a:3x 0/b:6", panic(0), Some(100), "0/b=100"),
        ("0/a=80:2x 0/b=20:3", weighted(), Some(100), "0/b=100"),
        ("0/a=80:2x 0/b=20:3", weighted(), Some(10), "0/a!=80 0/b=20"),
        ("0/a:2x 1/b:3", panic(0), None, "0/a!=100"),
        ("0/a:3x+1", panic(50), Some(100), "0/a=26.2 0/a!=73.8"),
        ("0/a:3x", panic(0), Some(100), "UH=100"),
    ] {
        agrees(hosts, &shares(hosts, choice, max), measured);
    }
}

#[test]
fn zone_aware_routing_fills_zones_from_their_own() {
    let zone = |zone: &str| Locality { zone: zone.to_owned(), ..Locality::default() };
    let (own, local) = (zone("a"), [(zone("a"), 2), (zone("b"), 2)]);
    let choice = Choice {
        zone_aware: Some(ZoneAware { own: &own, local: &local, min_cluster_size: 6 }),
        ..Choice::default()
    };
    for (hosts, measured) in [
        ("0/a:3 0/b:3", "0/a=100"),
        ("0/a:1 0/b:5", "0/a=33.4 0/b=66.6"),
        ("0/a:2 0/b:3", "0/a=40.7 0/b=59.3"),
    ] {
        agrees(hosts, &shares(hosts, choice, None), measured);
    }
    let weighted = Choice { by_locality: true, ..choice };
    agrees("weights go first", &shares("0/a=1:3 0/b=1:3", weighted, None), "0/a=50 0/b=50");
}

//! Laws that hold for every mesh: what is said depends on what is written, not on how it is laid out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/fixtures.rs"]
mod fixtures;

use fixtures::{FIXTURES, files};
use mesh_lint::config::Config;
use mesh_lint::lint::lint;
use mesh_lint::source::Sources;

/// What is said: rule, message and the texts of the labels, sorted.
fn said(files: &[(String, String)]) -> Vec<String> {
    let mut sources = Sources::default();
    let mut config = Config::default();
    for (name, text) in files {
        let id = sources.add(name.as_str(), text.as_str()).unwrap();
        if name == "mesh-lint.yaml" {
            config = Config::parse(&sources, id, "").unwrap();
        }
    }
    config.now = 1_795_478_400;
    let report = lint(&sources, &config);
    let told = report.findings.iter().map(|f| {
        let mut labels: Vec<&str> =
            f.finding.labels.iter().map(|l| sources.slice(l.span).trim()).collect();
        labels.sort_unstable();
        format!("{} {} {labels:?}", f.severity, f.rule)
    });
    let mut told: Vec<String> = told.collect();
    told.sort();
    told
}

#[test]
fn the_order_of_files_does_not_matter() {
    for fixture in FIXTURES {
        let mut files = files(fixture);
        let before = said(&files);
        files.reverse();
        assert_eq!(said(&files), before, "{fixture}");
    }
}

#[test]
fn line_breaks_and_comments_do_not_matter() {
    for fixture in FIXTURES {
        let plain = files(fixture);
        let dressed = plain.iter().map(|(name, text)| {
            (name.clone(), format!("\u{feff}# a comment\n\n{text}").replace('\n', "\r\n"))
        });
        let without_breaks = |said: Vec<String>| -> Vec<String> {
            said.into_iter().map(|s| s.replace("\\r", "")).collect()
        };
        let dressed: Vec<_> = dressed.collect();
        assert_eq!(without_breaks(said(&dressed)), said(&plain), "{fixture}");
    }
}

#[test]
fn documents_may_stand_in_files_of_their_own() {
    for fixture in FIXTURES {
        let whole = files(fixture);
        let is_kustomized = whole.iter().any(|(name, _)| name.ends_with("kustomization.yaml"));
        if is_kustomized {
            // A kustomization names its files.
            continue;
        }
        let mut parts = Vec::new();
        for (name, text) in &whole {
            for (i, part) in text.split("\n---\n").enumerate() {
                let stem = name.trim_end_matches(".yaml");
                let name = if i == 0 { name.clone() } else { format!("{stem}-{i}.yaml") };
                parts.push((name, format!("{part}\n")));
            }
        }
        assert_eq!(said(&parts), said(&whole), "{fixture}");
    }
}

#[test]
fn a_mesh_seen_in_part_says_no_more_of_what_is_missing() {
    let whole = said(&files("two-primaries"));
    assert!(whole.is_empty());
    for cluster in ["clusters/east/", "clusters/west/"] {
        let part: Vec<_> = files("two-primaries")
            .into_iter()
            .filter(|(name, _)| !name.starts_with(cluster))
            .collect();
        assert_eq!(said(&part), Vec::<String>::new(), "without {cluster}");
    }
}

#[test]
fn a_mesh_without_one_of_its_files_says_no_more() {
    for fixture in [
        "ambient-two-networks",
        "external-control-plane",
        "one-cluster-three-zones",
        "primary-remote",
        "two-primaries",
    ] {
        let all = files(fixture);
        let whole = said(&all);
        let named = |(name, _): &&(String, String)| name != "mesh-lint.yaml";
        for (without, _) in all.iter().filter(named) {
            let part: Vec<_> = all.iter().filter(|(name, _)| name != without).cloned().collect();
            let mut more = said(&part);
            more.retain(|told| !whole.contains(told));
            assert_eq!(more, Vec::<String>::new(), "{fixture} without {without}");
        }
    }
}

//! `mesh-lint trust`: what people see of a rotation, of strangers, and of a hundred clusters.

use std::path::Path;
use std::time::{Duration, Instant};

use mesh_lint::config::Config;
use mesh_lint::lint;
use mesh_lint::mesh::Mesh;
use mesh_lint::source::{self, Sources};
use mesh_lint::trust::{Groups, Trust};
use rcgen::{BasicConstraints, IsCa, date_time_ymd};

use crate::folder::put;
use crate::make::*;
use crate::program;

/// `cacerts` of a cluster and the control plane that tells its name.
fn manifests(name: &str, ca: &Values) -> String {
    let block = |key: &str, text: &str| {
        let lines: Vec<String> = text.lines().map(|line| format!("    {line}")).collect();
        format!("  {key}: |\n{}\n", lines.join("\n"))
    };
    format!(
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {{name: istio, namespace: istio-system}}\n\
         spec:\n  values: {{global: {{meshID: mesh1, network: n-{name}, multiCluster: {{clusterName: {name}}}}}}}\n---\n\
         apiVersion: v1\nkind: Secret\nmetadata: {{name: cacerts, namespace: istio-system}}\nstringData:\n{}{}{}{}",
        block("ca-cert.pem", &ca.cert),
        block("ca-key.pem", &ca.key),
        block("root-cert.pem", &ca.root),
        block("cert-chain.pem", &ca.chain),
    )
}

fn write(folder: &Path, clusters: &[(String, Values)]) {
    for (name, ca) in clusters {
        put(folder, &format!("clusters/{name}/istio.yaml"), &manifests(name, ca));
    }
}

fn run(folder: &Path, more: &[&str]) -> String {
    let args = [&["trust", "clusters", "--now", "2026-06-01"], more].concat();
    let done = program::run(folder, &args);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

fn shown(clusters: &[(&str, &Values)], more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let clusters: Vec<_> =
        clusters.iter().map(|(name, ca)| ((*name).to_owned(), (*ca).clone())).collect();
    write(folder.path(), &clusters);
    run(folder.path(), more)
}

#[test]
fn each_step_of_a_rotation_is_told_with_the_next() {
    let (old, new) = (root(), make("New root", None, |p| p.not_before = date_time_ymd(2026, 2, 1)));
    let both = format!("{}{}", old.pem, new.pem);
    let with = |ca: Values| Values { root: both.clone(), ..ca };
    let of = |root: &Made| values(&signer(root), root);
    let steps = [
        (
            of(&old),
            with(of(&old)),
            "old root only",
            "both roots, old CA",
            "next, in east: add the new root",
        ),
        (
            with(of(&old)),
            with(of(&old)),
            "both roots, old CA",
            "both roots, old CA",
            "next, in east, west: sign the CA",
        ),
        (
            with(of(&new)),
            with(of(&old)),
            "both roots, new CA",
            "both roots, old CA",
            "next, in west: sign the CA",
        ),
        (
            with(of(&new)),
            of(&new),
            "both roots, new CA",
            "new root only",
            "next, in east: when all workloads",
        ),
    ];
    for (east, west, first, second, next) in steps {
        let text = shown(&[("east", &east), ("west", &west)], &[]);
        assert!(text.contains(next), "{next} is not in\n{text}");
        let phases: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("  rotation     ")).collect();
        let wanted = if first == second { vec![first] } else { vec![first, second] };
        assert_eq!(phases, wanted, "{text}");
        assert!(!text.contains("no, "), "a rotation never breaks:\n{text}");
    }
    let done = shown(&[("east", &of(&new)), ("west", &of(&new))], &[]);
    assert!(!done.contains("rotation"), "{done}");
}

#[test]
fn strangers_are_told_apart_and_why() {
    let (a, b) = (root(), root());
    let of = |root: &Made| values(&signer(root), root);
    let text = shown(&[("east", &of(&a)), ("north", &of(&a)), ("west", &of(&b))], &[]);
    let table: Vec<&str> = text.lines().skip(2).take(3).collect();
    assert_eq!(
        table,
        [
            "  presents \\ accepts    1    2",
            "   1 east, north      yes   no",
            "   2 west              no  yes"
        ],
        "{text}"
    );
    assert!(text.contains("no, 1 at 2: the known certificate of the issuer"), "{text}");
    assert!(text.contains("group 1: east, north\n  group 2: west"), "{text}");
}

#[test]
fn a_ca_that_is_broken_at_home_is_accepted_nowhere() {
    let root = make("Root CA", None, |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let (east, west) = (values(&signer(&root), &root), values(&signer(&root), &root));
    let text = shown(&[("east", &east), ("west", &west)], &[]);
    assert!(text.contains("1 east, west        no\n"), "{text}");
    assert!(text.contains("permits 0 CAs below it, and has 1"), "{text}");
}

#[test]
fn what_is_not_seen_is_unknown_and_says_what_would_tell() {
    let ca = root();
    let own = values(&signer(&ca), &ca);
    let blind = Values {
        cert: "ENC[x]".to_owned(),
        key: "ENC[x]".to_owned(),
        root: "ENC[x]".to_owned(),
        chain: "ENC[x]".to_owned(),
    };
    let text = shown(&[("east", &own), ("west", &blind)], &["--format", "json"]);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let accepts = value["meshes"][0]["accepts"].as_array().unwrap();
    let at = |from: &str, to: &str| {
        accepts.iter().find(|a| a["from"][0] == from && a["to"][0] == to).unwrap()
    };
    assert_eq!(at("east", "east")["accepted"], "yes");
    assert_eq!(at("east", "west")["accepted"], "unknown");
    assert!(at("west", "east")["why"].as_str().unwrap().contains("istio-ca-root-cert"), "{text}");
    let root = &value["meshes"][0]["clusters"][0]["accepts"][0];
    assert_eq!(root["publicKeySha256"].as_str().unwrap().len(), 95);
    assert_eq!(root["notAfter"], "2026-12-31");
}

#[test]
fn a_hundred_clusters_fit_on_a_page_and_take_less_than_their_files() {
    let roots = [root(), root()];
    let clusters: Vec<(String, Values)> = (0..100)
        .map(|at| {
            let root = &roots[usize::from(at >= 60)];
            (format!("cluster-{at:03}"), values(&signer(root), root))
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &clusters);
    let text = run(folder.path(), &[]);
    assert!(text.lines().count() < 40 && text.lines().all(|l| l.chars().count() < 220), "{text}");
    assert!(text.contains("and 56 more") && text.contains("and 36 more"), "{text}");

    let source::Reading { sources, .. } = source::read(&[folder.path().to_path_buf()]).unwrap();
    let config = Config { now: NOW.0, ..Config::default() };
    let mesh = lint::build(&sources, &config).mesh;
    let best = |work: &dyn Fn()| (0..5).map(|_| time(work)).min().unwrap();
    let reading = best(&|| parse(&sources));
    let asking = best(&|| ask(&mesh));
    assert!(asking < reading * 10, "{asking:?} for trust, {reading:?} for parsing");
    if !cfg!(debug_assertions) {
        assert!(asking < reading, "{asking:?} for trust, {reading:?} for parsing");
    }
}

fn time(work: &dyn Fn()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn parse(sources: &Sources) {
    assert_eq!(lint::parse(sources).len(), 100);
}

fn ask(mesh: &Mesh) {
    let trust = Trust::of(mesh);
    let ids: Vec<_> = mesh.clusters().iter().map(|c| c.id).collect();
    let groups = Groups::from_matrix(&ids, &trust.matrix(&ids)).groups;
    assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [60, 40]);
    assert!(trust.rotation(&ids).is_none());
}

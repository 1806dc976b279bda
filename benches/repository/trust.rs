//! What certificates cost: who accepts whom among a hundred clusters, beside parsing the same files.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use mesh_lint::clusters::ClusterId;
use mesh_lint::config::Config;
use mesh_lint::lint;
use mesh_lint::source::{self, Span, Text};
use mesh_lint::trust::{Groups, Trust, peer_accepts};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use crate::repository::Repository;
use crate::{milliseconds, parse_all, time};

const CLUSTERS: usize = 100;
/// Services that each cluster has, for something to parse beside the certificates.
const SERVICES: usize = 4;
const ROUNDS: usize = 7;
/// How much longer finding out who accepts whom may take than parsing.
const RATIO: f64 = 1.0;

pub fn print() -> Result<(), Box<dyn Error>> {
    println!("best of {ROUNDS} rounds, {} threads", rayon::current_num_threads());
    println!("clusters  roots  parse ms  build ms  trust ms  trust/parse  rules ms");
    for roots in [1, 2, CLUSTERS] {
        let ratio = measure(roots)?;
        if ratio > RATIO {
            return Err(format!("who accepts whom takes {ratio:.2} times the parsing").into());
        }
    }
    Ok(())
}

/// Measures a mesh whose clusters have so many roots between them, all of one name: that is the dearest,
/// as only signatures tell them apart.
fn measure(roots: usize) -> Result<f64, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("trust-{roots}"));
    let mut repository = Repository::services(&root, SERVICES, CLUSTERS, false)?;
    let authorities =
        (0..roots).map(|_| Made::new("Root CA", None)).collect::<Result<Vec<_>, _>>()?;
    repository.certificates(|number| cacerts(&authorities[number % roots]))?;
    let reading = source::read(std::slice::from_ref(&repository.root))?;
    let sources = &reading.sources;
    let select = vec![Text::new("trust".to_owned(), Span::default())];
    let config = Config { select, now: 1_780_272_000, ..Config::default() };
    let model = lint::build(sources, &config);
    let accepted = accepted(&Trust::of(&model.mesh));
    let expected = (CLUSTERS / roots) * CLUSTERS;
    assert_eq!(accepted, expected, "those with one root accept each other");
    let most = Duration::MAX;
    let (mut parse, mut build, mut trust, mut rules) = (most, most, most, most);
    for _ in 0..ROUNDS {
        parse = parse.min(time(|| parse_all(sources)));
        build = build.min(time(|| lint::build(sources, &config)));
        trust = trust.min(time(|| matrices(&Trust::of(&model.mesh))));
        rules = rules.min(time(|| lint::check(&model, sources, &config)));
    }
    let ratio = trust.as_secs_f64() / parse.as_secs_f64();
    println!(
        "{CLUSTERS:8} {roots:6} {:9.1} {:9.1} {:9.1} {ratio:12.2} {:9.1}",
        milliseconds(parse),
        milliseconds(build),
        milliseconds(trust),
        milliseconds(rules),
    );
    std::fs::remove_dir_all(&root)?;
    Ok(ratio)
}

/// All that `mesh-lint trust` works out.
fn matrices(trust: &Trust<'_>) -> usize {
    let clusters = trust.mesh.meshes().into_iter();
    let of = |mesh: Vec<&mesh_lint::clusters::Cluster>| {
        let ids: Vec<ClusterId> = mesh.iter().map(|c| c.id).collect();
        let groups = Groups::from_matrix(&ids, &trust.matrix(&ids)).groups.len();
        groups + trust.rotation(&ids).map_or(0, |rotation| rotation.phases.len())
    };
    clusters.map(of).sum::<usize>() + accepted(trust)
}

/// How many ordered pairs of clusters there are of which the second accepts the first, today.
fn accepted(trust: &Trust<'_>) -> usize {
    let ids: Vec<ClusterId> = trust.mesh.clusters().iter().map(|c| c.id).collect();
    let accepts = |from: &ClusterId, to: &ClusterId| {
        let ca = trust.ca_of(*from)?;
        peer_accepts(&ca.ca, trust.accepted(*to), None, trust.now())?.ok()
    };
    ids.iter().map(|a| ids.iter().filter(|b| accepts(a, b).is_some()).count()).sum()
}

/// A CA with its key.
struct Made {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

impl Made {
    fn new(name: &str, issuer: Option<&Self>) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 12, 31);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = match issuer {
            Some(by) => params.signed_by(&key, &Issuer::from_params(&by.params, &by.key))?,
            None => params.self_signed(&key)?,
        };
        Ok(Self { pem: certificate.pem(), params, key })
    }
}

/// The Secret of a cluster whose CA is signed by a root.
fn cacerts(root: &Made) -> String {
    let ca = Made::new("Intermediate CA", Some(root)).expect("rcgen signs what it made");
    let mut text = "apiVersion: v1\nkind: Secret\n\
                    metadata: {name: cacerts, namespace: istio-system}\nstringData:\n"
        .to_owned();
    let chain = format!("{}{}", ca.pem, root.pem);
    for (name, pem) in [
        ("ca-cert.pem", &ca.pem),
        ("ca-key.pem", &ca.key.serialize_pem()),
        ("root-cert.pem", &root.pem),
        ("cert-chain.pem", &chain),
    ] {
        text += &format!("  {name}: |\n");
        pem.lines().for_each(|line| text += &format!("    {line}\n"));
    }
    text
}

//! What `istioctl analyze` says of Istio's own analyzer cases, mesh-lint says too.
//!
//! The cases stand beside the project where they are there at all; they are found through
//! `MESH_LINT_SHARED` (`../shared` where unset). A case is one analyzer over some files: here, the rules
//! whose pages have the analyzer's codes, over one cluster that is complete.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a test says what it compared")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use mesh_lint::config::{ClusterConfig, Config};
use mesh_lint::lint;
use mesh_lint::page::Page;
use mesh_lint::rules::{self, Rule};
use mesh_lint::source::{Sources, Span, Text};

/// Istio's analyzers, the codes each gives, and which rules of ours say its IST0101: that code is for
/// whatever is named and not there, so a page's code alone does not tell.
const ANALYZERS: &[(&str, &[&str], &[&str])] = &[
    ("annotations.AlphaAnalyzer", &["IST0136"], &[]),
    ("annotations.K8sAnalyzer", &["IST0107", "IST0108", "IST0125", "IST0135"], &[]),
    ("applicationUID.Analyzer", &["IST0144"], &[]),
    (
        "auth.AuthorizationPoliciesAnalyzer",
        &["IST0127", "IST0101"],
        &["authz/unknown-source-namespace"],
    ),
    ("authn.BlockedCIDRsAnalyzer", &["IST0175"], &[]),
    ("conditions.ConditionAnalyzer", &["IST0171"], &[]),
    ("deployment.MultiServiceAnalyzer", &["IST0116", "IST0137"], &[]),
    ("deprecation.DeprecationAnalyzer", &["IST0002"], &[]),
    ("destinationrule.CaCertificateAnalyzer", &["IST0128", "IST0129"], &[]),
    ("destinationrule.SubsetSelectPodAnalyzer", &["IST0173", "IST0174"], &[]),
    (
        "envoyfilter.EnvoyPatchAnalyzer",
        &["IST0151", "IST0152", "IST0153", "IST0154", "IST0155"],
        &[],
    ),
    ("externalcontrolplane.ExternalControlPlaneAnalyzer", &["IST0163", "IST0164"], &[]),
    ("gateway.CertificateAnalyzer", &["IST0138"], &[]),
    ("gateway.ConflictingGatewayAnalyzer", &["IST0145", "IST0101"], &[]),
    ("gateway.IngressGatewayPortAnalyzer", &["IST0162", "IST0101"], &["gateways/selects-no-pod"]),
    (
        "gateway.SecretAnalyzer",
        &["IST0161", "IST0101"],
        &["gateways/credential-missing", "gateways/selects-no-pod"],
    ),
    ("injection.Analyzer", &["IST0102", "IST0103", "IST0123", "IST0148"], &[]),
    ("injection.ImageAnalyzer", &["IST0158"], &[]),
    ("injection.ImageAutoAnalyzer", &["IST0146", "IST0147"], &[]),
    ("k8sgateway.CRDVersionAnalyzer", &["IST0176"], &[]),
    ("k8sgateway.SelectorAnalyzer", &["IST0166"], &[]),
    ("meshnetworks.MeshNetworksAnalyzer", &["IST0126"], &[]),
    ("schema.ValidationAnalyzer", &["IST0106", "IST0130", "IST0131", "IST0133"], &[]),
    ("service.PortNameAnalyzer", &["IST0118", "IST0150"], &[]),
    ("serviceentry.Analyzer", &["IST0134"], &[]),
    ("serviceentry.ConflictingServiceEntryProtocolAnalyzer", &["IST0177"], &[]),
    ("services.MultiClusterServiceAnalyzer", &["IST0170"], &[]),
    (
        "sidecar.SelectorAnalyzer",
        &["IST0101", "IST0110", "IST0111", "IST0167"],
        &["sidecars/selects-no-workload"],
    ),
    ("telemetry.DefaultSelectorAnalyzer", &["IST0160"], &[]),
    ("telemetry.LightstepAnalyzer", &["IST0002"], &[]),
    ("telemetry.ProviderAnalyzer", &["IST0157"], &[]),
    (
        "telemetry.SelectorAnalyzer",
        &["IST0159", "IST0101"],
        &["extensions/telemetry-selects-no-workload"],
    ),
    ("virtualservice.ConflictingMeshGatewayHostsAnalyzer", &["IST0109"], &[]),
    (
        "virtualservice.DestinationHostAnalyzer",
        &["IST0112", "IST0140", "IST0101"],
        &["routing/unknown-host", "routing/unknown-port"],
    ),
    ("virtualservice.DestinationRuleAnalyzer", &["IST0101"], &["subsets/undefined-subset"]),
    (
        "virtualservice.GatewayAnalyzer",
        &["IST0132", "IST0165", "IST0101"],
        &["routing/unknown-gateway"],
    ),
    ("virtualservice.JWTClaimRouteAnalyzer", &["IST0149"], &[]),
    ("webhook.Analyzer", &["IST0139"], &[]),
];

/// Codes that no page has yet; what cases expect of them is not compared.
const NOT_YET: &[&str] = &[];

/// Cases on which mesh-lint and istioctl do not agree, by test and input, and why.
const KNOWN: &[(&str, &str, &str)] = &[
    (
        "ServiceEntry Addresses Required Uppercase Protocol",
        "serviceentry-address-required-uppercase.yaml",
        "without resolution connections go where they were meant to go; `fields/ignored` says the rest",
    ),
    (
        "dupmatches",
        "virtualservice_overlappingmatches.yaml",
        "a prefix covers an exact path too, which istioctl does not see",
    ),
    (
        "gatewaySecret",
        "gateway-secrets.yaml",
        "the key of its Secret is not that of the certificate, which istioctl does not see",
    ),
    (
        "virtualServiceConflictingMeshGatewayHostsWithExportTo",
        "virtualservice_conflictingmeshgatewayhosts_with_exportto.yaml",
        "of two wildcards the longer one wins, whatever their age",
    ),
    (
        "virtualServiceDestinationHosts",
        "virtualservice_destinationhosts.yaml",
        "a route without a destination is a missing field, and no unknown host",
    ),
];

/// The day on which all cases are read; one of their certificates ended in 2023.
const NOW: i64 = 1_795_478_400;

/// What istioctl adds to the files where the mesh has an ingress: a gateway's pod and its Service.
const INGRESS: &str = "\
apiVersion: v1
kind: Pod
metadata:
  name: istio-ingressgateway-dummypod
  namespace: istio-system
  labels: {istio: ingressgateway}
spec:
  containers:
  - name: istio-proxy
---
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  ports:
  - {name: http2, protocol: TCP, port: 80, targetPort: 80}
  - {name: https, protocol: TCP, port: 443, targetPort: 443}
  - {name: tcp, protocol: TCP, port: 31400, targetPort: 31400}
  - {name: tls, protocol: TCP, port: 15443, targetPort: 15443}
";

/// Where istiod reads the mesh's configuration from; the cases have it in files of their own.
const CONFIG_MAP: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n";

/// A code and the resource it is said of: `Kind namespace/name`.
type Message = (String, String);

/// One analyzer over some files.
#[derive(Debug)]
struct Case {
    test: String,
    input: String,
    mesh: String,
    analyzer: String,
    has_ingress: bool,
    expected: Vec<Message>,
}

/// What a finding can be counted as: one message at least about the resource of its primary label, and
/// one about each labelled place at most, since one finding may tell what istioctl tells of several.
#[derive(Debug)]
struct Said {
    codes: Vec<String>,
    resources: Vec<String>,
    text: String,
}

fn cases() -> Option<(PathBuf, Vec<Case>)> {
    let root = std::env::var_os("MESH_LINT_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let folder = root.join("cases/istio");
    let Ok(table) = std::fs::read_to_string(folder.join("cases.tsv")) else {
        eprintln!("SKIPPED: {} is not there (see MESH_LINT_SHARED)", folder.display());
        return None;
    };
    let mut cases: BTreeMap<(String, String), Case> = BTreeMap::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [test, _, input, mesh, code, resource, options] = cells[..] else { panic!("{line}") };
        if test == "test" {
            continue;
        }
        let option = |name: &str| options.split(';').find_map(|o| o.strip_prefix(name));
        let key = (test.to_owned(), input.to_owned());
        let case = cases.entry(key).or_insert_with(|| Case {
            test: test.to_owned(),
            input: input.to_owned(),
            mesh: mesh.to_owned(),
            analyzer: option("analyzer-name=").unwrap_or_default().to_owned(),
            has_ingress: option("note:needs-default-ingress").is_some(),
            expected: Vec::new(),
        });
        // What istioctl holds for a resource of its own stands in the ConfigMap.
        let resource = match resource {
            "MeshNetworks istio-system/meshnetworks" => "ConfigMap istio-system/istio",
            other => other,
        };
        if code != "NONE" {
            case.expected.push((code.to_owned(), resource.to_owned()));
        }
    }
    Some((folder, cases.into_values().collect()))
}

/// The texts of a case by cluster; none where a file is not there.
fn texts(case: &Case, folder: &Path) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    for (i, input) in case.input.split(',').enumerate() {
        let (cluster, path) = input.split_once('=').unwrap_or(("mesh", input));
        let text = std::fs::read_to_string(folder.join(path)).ok()?;
        // An argument of a container quotes a template, for which the whole file would be taken.
        let text = text.replace("'http://grafana:{{ ", "'http://grafana:(( ");
        found.push((format!("{cluster}/{i}.yaml"), text));
    }
    let mut map = String::new();
    for part in case.mesh.split(',').filter(|part| *part != "-") {
        let (what, path) = part.split_once('=')?;
        let key = if what == "mesh" { "mesh" } else { "meshNetworks" };
        let text = std::fs::read_to_string(folder.join(path)).ok()?;
        let indented = text.replace('\n', "\n    ");
        map.push_str(&format!("  {key}: |\n    {indented}\n"));
    }
    if !map.is_empty() {
        found.push(("mesh/istio.yaml".to_owned(), format!("{CONFIG_MAP}{map}")));
    }
    if case.has_ingress {
        found.push(("mesh/ingress.yaml".to_owned(), INGRESS.to_owned()));
    }
    Some(found)
}

/// The rules that say what an analyzer says, and which of its codes each has.
fn rules_of(analyzer: &str) -> (Vec<(Rule, Vec<String>)>, BTreeSet<&'static str>) {
    let is_of = |(name, ..): &&(&str, &[&str], &[&str])| {
        let kind = analyzer.strip_prefix(name);
        kind.is_some_and(|kind| kind.is_empty() || kind.starts_with('.'))
    };
    let (_, codes, named) = ANALYZERS.iter().find(is_of).unwrap_or_else(|| panic!("{analyzer}"));
    let mut found = Vec::new();
    for rule in rules::all() {
        let page = Page::parse(rule.page).unwrap();
        let said = |code: &String| {
            codes.contains(&code.as_str()) && (code != "IST0101" || named.contains(&rule.name))
        };
        let of_page: Vec<String> = page.istio.into_iter().filter(said).collect();
        if !of_page.is_empty() {
            found.push((rule, of_page));
        }
    }
    let built =
        |code: &&&str| !NOT_YET.contains(*code) && (**code != "IST0101" || !named.is_empty());
    (found, codes.iter().filter(built).copied().collect())
}

fn said(case: &Case, texts: Vec<(String, String)>, rules: &[(Rule, Vec<String>)]) -> Vec<Said> {
    let mut sources = Sources::default();
    let mut folders = BTreeSet::new();
    for (name, text) in texts {
        folders.insert(name.split('/').next().unwrap().to_owned());
        sources.add(&name, text.as_str()).unwrap();
    }
    let clusters = folders.iter().map(|name| {
        let cluster = ClusterConfig::below(name, name).unwrap();
        ClusterConfig { complete: true, ..cluster }
    });
    let select = rules.iter().map(|(rule, _)| Text::new(rule.name.to_owned(), Span::default()));
    let config = Config {
        clusters: clusters.collect(),
        select: select.collect(),
        now: NOW,
        ..Config::default()
    };
    if config.select.is_empty() {
        return Vec::new();
    }
    let model = lint::build(&sources, &config);
    let report = lint::check(&model, &sources, &config);
    let shown = |found: &lint::Reported| {
        let at = |resource: &Option<std::sync::Arc<lint::ResourceName>>| {
            let resource = resource.as_ref()?;
            let namespace = if resource.namespace.is_empty() { "" } else { "/" };
            Some(format!("{} {}{namespace}{}", resource.kind, resource.namespace, resource.name))
        };
        let codes = &rules.iter().find(|(rule, _)| rule.name == found.rule).unwrap().1;
        Said {
            codes: codes.clone(),
            resources: found.resources.iter().filter_map(at).collect(),
            text: format!("{}: {}", found.rule, found.finding.message),
        }
    };
    assert_eq!(report.suppressed, 0, "{}", case.test);
    report.findings.iter().map(shown).collect()
}

/// Whether all of the left find a partner of their own on the right, by augmenting paths.
fn all_find_a_partner(pairs: &[Vec<usize>]) -> Vec<usize> {
    fn find(
        left: usize,
        pairs: &[Vec<usize>],
        taken: &mut BTreeMap<usize, usize>,
        tried: &mut BTreeSet<usize>,
    ) -> bool {
        for &right in &pairs[left] {
            if tried.insert(right) {
                let holder = taken.get(&right).copied();
                if holder.is_none_or(|holder| find(holder, pairs, taken, tried)) {
                    taken.insert(right, left);
                    return true;
                }
            }
        }
        false
    }
    let mut taken = BTreeMap::new();
    let alone = |left: &usize| !find(*left, pairs, &mut taken, &mut BTreeSet::new());
    (0..pairs.len()).filter(alone).collect()
}

/// Messages that nobody says, and findings that istioctl has not.
fn difference(expected: &[Message], said: &[Said]) -> Vec<String> {
    let fits = |(code, resource): &Message, codes: &[String], of: &String| {
        codes.contains(code) && resource == of
    };
    let labels: Vec<(&[String], &String)> =
        said.iter().flat_map(|s| s.resources.iter().map(|r| (s.codes.as_slice(), r))).collect();
    let at_most: Vec<Vec<usize>> = expected
        .iter()
        .map(|m| (0..labels.len()).filter(|&i| fits(m, labels[i].0, labels[i].1)).collect())
        .collect();
    let at_least: Vec<Vec<usize>> = said
        .iter()
        .map(|s| {
            let fits =
                |i: &usize| s.resources.first().is_some_and(|r| fits(&expected[*i], &s.codes, r));
            (0..expected.len()).filter(fits).collect()
        })
        .collect();
    let missing = all_find_a_partner(&at_most);
    let missing = missing.into_iter().map(|i| format!("- {} {}", expected[i].0, expected[i].1));
    let extra = all_find_a_partner(&at_least);
    let extra = extra.into_iter().map(|i| {
        format!("+ {} {:?}: {}", said[i].codes.join("/"), said[i].resources, said[i].text)
    });
    missing.chain(extra).collect()
}

/// How often cases with a code agree: those that do, and all that were compared.
type Table = BTreeMap<String, (usize, usize)>;

#[test]
fn istioctl_and_mesh_lint_agree() {
    let Some((folder, cases)) = cases() else { return };
    let (mut agree, mut compared, mut open, mut without) = (0, 0, 0, 0);
    let mut by_code = Table::new();
    let mut wrong = Vec::new();
    for case in &cases {
        let Some(texts) = texts(case, &folder) else {
            without += 1;
            continue;
        };
        let (rules, built) = rules_of(&case.analyzer);
        let expected: Vec<Message> = case
            .expected
            .iter()
            .filter(|(code, _)| built.contains(code.as_str()))
            .cloned()
            .collect();
        if built.is_empty() || (expected.is_empty() && !case.expected.is_empty()) {
            open += 1;
            continue;
        }
        let differs = difference(&expected, &said(case, texts, &rules));
        let known =
            KNOWN.iter().find(|(test, input, _)| *test == case.test && case.input.ends_with(input));
        compared += 1;
        agree += usize::from(differs.is_empty());
        let codes: BTreeSet<&str> = expected.iter().map(|(code, _)| code.as_str()).collect();
        for code in if codes.is_empty() { built.clone() } else { codes } {
            let row = by_code.entry(code.to_owned()).or_default();
            row.1 += 1;
            row.0 += usize::from(differs.is_empty());
        }
        match (differs.as_slice(), known) {
            ([], Some(_)) => wrong.push(format!("{}: agrees, and is listed", case.test)),
            ([_, ..], None) => {
                wrong.push(format!("{} ({}):\n  {}", case.test, case.input, differs.join("\n  ")));
            }
            _ => {}
        }
    }
    for (code, (agree, all)) in by_code {
        eprintln!("{code}  {agree} of {all}");
    }
    eprintln!(
        "{agree} of {compared} agree; {open} of codes not yet built, {without} without their files"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn codes_that_are_not_yet_built_have_no_page() {
    let pages: Vec<(&str, Vec<String>)> =
        rules::all().map(|rule| (rule.name, Page::parse(rule.page).unwrap().istio)).collect();
    let built = |code: &&&str| pages.iter().any(|(_, codes)| codes.iter().any(|c| c == **code));
    let built: Vec<_> = NOT_YET.iter().filter(built).collect();
    assert!(built.is_empty(), "built, and listed as not yet built: {built:?}");
    for (_, codes, named) in ANALYZERS {
        let missing = codes.iter().filter(|code| !NOT_YET.contains(code) && **code != "IST0101");
        let missing: Vec<_> = missing
            .filter(|code| !pages.iter().any(|(_, of)| of.iter().any(|c| c == **code)))
            .collect();
        assert!(missing.is_empty(), "no page has {missing:?}");
        for rule in *named {
            let page = pages.iter().find(|(name, _)| name == rule);
            let has = page.is_some_and(|(_, codes)| codes.iter().any(|code| code == "IST0101"));
            assert!(has, "`{rule}` has no page with IST0101");
        }
    }
}

#[test]
fn what_is_compared_can_differ() {
    let message = |code: &str, resource: &str| (code.to_owned(), resource.to_owned());
    let said = |codes: &[&str], resources: &[&str]| Said {
        codes: codes.iter().map(|code| (*code).to_owned()).collect(),
        resources: resources.iter().map(|resource| (*resource).to_owned()).collect(),
        text: String::new(),
    };
    let expected = [message("IST0145", "Gateway a"), message("IST0145", "Gateway b")];
    let told = |findings: &[Said]| difference(&expected, findings).len();
    // One finding that labels both, or one for each.
    assert_eq!(told(&[said(&["IST0145"], &["Gateway a", "Gateway b"])]), 0);
    assert_eq!(told(&[said(&["IST0145"], &["Gateway b"]), said(&["IST0145"], &["Gateway a"])]), 0);
    // Too few, too many, of another resource, of another code.
    assert_eq!(told(&[said(&["IST0145"], &["Gateway a"])]), 1);
    let twice =
        [said(&["IST0145"], &["Gateway a", "Gateway b"]), said(&["IST0145"], &["Gateway a"])];
    assert_eq!(told(&twice), 1);
    assert_eq!(told(&[said(&["IST0145"], &["Gateway c", "Gateway a", "Gateway b"])]), 1);
    assert_eq!(told(&[said(&["IST0138"], &["Gateway a", "Gateway b"])]), 3);
    // A rule of two codes says either.
    let either =
        [said(&["IST0128", "IST0145"], &["Gateway a"]), said(&["IST0145"], &["Gateway b"])];
    assert_eq!(told(&either), 0);
}

//! Runs over public manifests, which stand beside the project where they are there at all.
//!
//! They are found through `MESH_LINT_SHARED` (`../shared` where unset).

#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::path::PathBuf;

use mesh_lint::config::Config;
use mesh_lint::lint;
use mesh_lint::source::read;

/// What is said of the corpus: folder, rule, end of the file's name. All of it is true.
const SAID: &[(&str, &str, &str)] = &[
    (
        "Azure-Samples+aks-multi-cluster-service-mesh",
        // `multiCluster.enabled: true`, which no chart reads.
        "clusters/legacy-multicluster-values",
        "yaml/002-multicluster-region-one.yaml",
    ),
    (
        "Azure-Samples+aks-multi-cluster-service-mesh",
        // The same for the other region.
        "clusters/legacy-multicluster-values",
        "yaml/002-multicluster-region-two.yaml",
    ),
    (
        "GoogleCloudPlatform+anthos-service-mesh-samples",
        // The Deployment beside it is called `asm-ingressgateway`.
        "capacity/autoscaler-target-missing",
        "docs/shared/asm-ingress-gateway/autoscaling-v2.yaml",
    ),
    (
        "GoogleCloudPlatform+anthos-service-mesh-samples",
        // Shows what has to be rewritten: a MeshPolicy of `authentication.istio.io`.
        "fields/removed-version",
        "update-authentication-policies/security_auth_meshpolicy.yaml",
    ),
    (
        "GoogleCloudPlatform+anthos-service-mesh-samples",
        // Shows what has to be rewritten: a Policy of `authentication.istio.io`.
        "fields/removed-version",
        "update-authentication-policies/security_auth_policy.yaml",
    ),
    (
        "GoogleCloudPlatform+istio-samples",
        // Mixer's `config.istio.io`, which went with Mixer.
        "fields/removed-version",
        "stackdriver-metrics/istio-stackdriver-metrics.yaml",
    ),
    (
        "GoogleCloudPlatform+anthos-service-mesh-samples",
        // `addonComponents` went with Istio 1.8.
        "fields/deprecated",
        "enabling-optional-features/cloud_trace_addoncomponents.yaml",
    ),
    (
        "GoogleCloudPlatform+anthos-service-mesh-samples",
        // `global` stands beside `values`, not in it.
        "fields/unknown",
        "enabling-optional-features/direct_envoy_stdout_proxy.yaml",
    ),
    (
        "GoogleCloudPlatform+anthos-service-mesh-samples",
        // `global` stands beside `values`, not in it.
        "fields/unknown",
        "enabling-optional-features/mtls_strict_mode.yaml",
    ),
    (
        "GoogleCloudPlatform+istio-samples",
        // Written for Istio 1.4.
        "fields/deprecated",
        "common/default.yaml",
    ),
    (
        "GoogleCloudPlatform+istio-samples",
        // Written for Istio 1.4.
        "fields/unknown",
        "common/default.yaml",
    ),
    (
        "GoogleCloudPlatform+istio-samples",
        // Written for Istio 1.4.
        "fields/deprecated",
        "internal-load-balancer/manifests/install.yaml",
    ),
    (
        "GoogleCloudPlatform+istio-samples",
        // Written for Istio 1.4.
        "fields/unknown",
        "internal-load-balancer/manifests/install.yaml",
    ),
    (
        "GoogleCloudPlatform+istio-samples",
        // A gateway's port 80 without a target.
        "fields/invalid",
        "internal-load-balancer/manifests/install.yaml",
    ),
    (
        "GoogleCloudPlatform+anthos-service-mesh-samples",
        // A gateway's port 80 without a target.
        "fields/invalid",
        "enabling-optional-features/enable_internal_load_balancer.yaml",
    ),
    (
        "GoogleCloudPlatform+anthos-service-mesh-samples",
        // Its port 443 without a target.
        "fields/invalid",
        "enabling-optional-features/enable_internal_load_balancer.yaml",
    ),
    (
        "GoogleCloudPlatform+istio-samples",
        // Written for Istio 1.4.
        "fields/deprecated",
        "mesh-expansion-gce/scripts/install.yaml",
    ),
    (
        "GoogleCloudPlatform+istio-samples",
        // Written for Istio 1.4.
        "fields/unknown",
        "mesh-expansion-gce/scripts/install.yaml",
    ),
    (
        "GoogleCloudPlatform+istio-samples",
        // Written for Istio 1.4.
        "fields/deprecated",
        "dual-control-plane/scripts/install.yaml",
    ),
    (
        "GoogleCloudPlatform+istio-samples",
        // Written for Istio 1.4.
        "fields/deprecated",
        "vm-migration/scripts/install.yaml",
    ),
    (
        "GoogleCloudPlatform+istio-samples",
        // Written for Istio 1.4.
        "fields/unknown",
        "vm-migration/scripts/install.yaml",
    ),
    (
        "istio-samples-upstream",
        // Switches injection off by the annotation.
        "workloads/deprecated-annotation",
        "samples/addons/extras/skywalking.yaml",
    ),
    (
        "GoogleCloudPlatform+anthos-service-mesh-samples",
        // Port 80 without an address and without a protocol.
        "egress/tcp-entry-without-address",
        "docs/migrate-to-managed-asm/service-entry.yaml",
    ),
    (
        "istio-samples-upstream",
        // Older proxies take any certificate of Google's.
        "mtls/server-not-verified",
        "samples/bookinfo/networking/egress-rule-google-apis.yaml",
    ),
    (
        "istio-samples-upstream",
        // Two rules without a match.
        "routing/unreachable-rule",
        "samples/bookinfo/networking/fault-injection-details-v1.yaml",
    ),
    (
        "istio-samples-upstream",
        // Older gateways take any certificate of istiod's.
        "mtls/server-not-verified",
        "samples/multicluster/expose-istiod-https.yaml",
    ),
    (
        "GoogleCloudPlatform+anthos-service-mesh-samples",
        // The demo's key for signing tokens, in base64.
        "trust/private-key-in-git",
        "bank-of-anthos/manifests/jwt-secret.yaml",
    ),
    (
        "istio-samples-upstream",
        // The sample server's TLS key, in base64.
        "trust/private-key-in-git",
        "samples/jwt-server/jwt-server.yaml",
    ),
];

fn shared(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("MESH_LINT_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: {} is not there (see MESH_LINT_SHARED)", path.display());
    None
}

#[test]
fn every_finding_on_public_manifests_is_known_and_true() {
    let Some(corpus) = shared("corpus") else { return };
    let mut said = Vec::new();
    for folder in std::fs::read_dir(corpus).unwrap() {
        let folder = folder.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let reading = read(&[folder]).unwrap();
        assert!(reading.failures.is_empty(), "{:?}", reading.failures);
        let config = Config { now: 1_795_478_400, ..Config::default() };
        let report = lint::lint(&reading.sources, &config);
        assert!(report.resources > 10, "{name}: {} resources", report.resources);
        for found in report.findings {
            let file = reading.sources.file_at(found.finding.span().start).unwrap().1;
            said.push((name.clone(), found.rule, file.name.clone()));
        }
    }
    let known = |(folder, rule, file): &(String, &str, String)| {
        SAID.iter().any(|(f, r, end)| f == folder && r == rule && file.ends_with(end))
    };
    assert!(said.iter().all(known), "{said:#?}");
    assert_eq!(said.len(), SAID.len(), "{said:#?}");
}

#[test]
fn nothing_in_the_cases_makes_it_panic() {
    let Some(cases) = shared("cases") else { return };
    let reading = read(&[cases]).unwrap();
    let report = lint::lint(&reading.sources, &Config::default());
    let broken = report.findings.iter().filter(|f| f.finding.message.contains("failed in itself"));
    assert_eq!(broken.count(), 0);
    assert!(report.resources > 100);
}

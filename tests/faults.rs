//! The healthy mesh with one fault at a time: the fault is found, and nothing else is said.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/fixtures.rs"]
#[expect(dead_code, reason = "faults are put into healthy meshes alone")]
mod fixtures;

use std::collections::BTreeSet;

use fixtures::files;
use mesh_lint::config::Config;
use mesh_lint::lint::lint;
use mesh_lint::source::Sources;

/// A fault: the file, what is replaced there once, by what, and the rules that speak.
type Fault = (&'static str, &'static str, &'static str, &'static [&'static str]);

const FAULTS: &[Fault] = &[
    (
        "clusters/east/inventory/nodes.yaml",
        "    topology.kubernetes.io/zone: us-east-1a\n",
        "",
        // It was the only node of the zone.
        &["capacity/zone-without-replicas", "topology/node-without-zone"],
    ),
    (
        "clusters/west/inventory/nodes.yaml",
        "    topology.kubernetes.io/region: us-west-2\n",
        "",
        &["capacity/zone-without-replicas", "topology/node-without-region"],
    ),
    (
        "clusters/west/inventory/nodes.yaml",
        "topology.kubernetes.io/zone: us-west-2a",
        "failure-domain.beta.kubernetes.io/zone: us-west-2a",
        // Node selectors look at the new label alone.
        &["capacity/zone-without-replicas", "topology/beta-failure-domain-label"],
    ),
    (
        "base/catalog.yaml",
        "        subset: v2",
        "        subset: v3",
        &["subsets/undefined-subset"],
    ),
    (
        "base/catalog.yaml",
        "    labels:\n      version: v2\n",
        "    labels:\n      version: v9\n",
        &["subsets/empty-subset"],
    ),
    (
        "base/catalog.yaml",
        "    labels:\n      version: v2\n",
        "    labels:\n      version: v2\n      topology.istio.io/cluster: north\n",
        &["subsets/mixed-version-and-cluster", "subsets/unknown-cluster-in-subset"],
    ),
    (
        "clusters/east/checkout.yaml",
        "    name: checkout-us-east-1b\n  minReplicas",
        "    name: checkout-us-east-1x\n  minReplicas",
        // Without its autoscaler the Deployment has the one replica that it asks for itself.
        &[
            "capacity/autoscaler-target-missing",
            "capacity/single-replica-zone",
            "capacity/zone-without-autoscaler",
        ],
    ),
    (
        "clusters/east/checkout.yaml",
        "topology.kubernetes.io/zone: us-east-1c",
        "topology.kubernetes.io/zone: us-east-1b",
        &["capacity/zone-without-replicas"],
    ),
    (
        "clusters/east/checkout.yaml",
        "  minReplicas: 2",
        "  minReplicas: 20",
        &["capacity/autoscaler-bounds"],
    ),
    (
        "clusters/east/checkout.yaml",
        "  minReplicas: 2",
        "  minReplicas: 1",
        &["capacity/single-replica-zone"],
    ),
    (
        "clusters/west/istio.yaml",
        "clusterName: west",
        "clusterName: east",
        &["clusters/duplicate-cluster-name"],
    ),
    (
        "base/cart.yaml",
        "kind: Service\n",
        "kind: Service\nkind: Service\n",
        &["yaml/duplicate-key"],
    ),
    ("base/cart.yaml", "  ports:\n", "  ports: [\n", &["yaml/syntax"]),
    (
        "base/checkout.yaml",
        "us-east-1/us-east-1a/*: 80",
        "us-east-1/us-east-1a/*: 70",
        &["locality/distribute-weights"],
    ),
    (
        "base/checkout.yaml",
        "from: us-east-1/us-east-1b/*",
        "from: us-esat-1/us-east-1b/*",
        &["locality/distribute-from-unknown"],
    ),
    (
        "base/checkout.yaml",
        "us-east-1/us-east-1c/*: 10",
        "us-esat-1/us-east-1c/*: 10",
        &["locality/distribute-to-empty-zone"],
    ),
    (
        "base/checkout.yaml",
        "        distribute:\n        - from: us-east-1/us-east-1a/*",
        "        distribute:\n        - from: us-east-1/us-east-1c/*",
        &["locality/distribute-from-shadowed", "locality/distribute-source-missing"],
    ),
    (
        "base/checkout.yaml",
        "            us-east-1/us-east-1a/*: 80\n            us-east-1/us-east-1b/*: 10\n            \
         us-east-1/us-east-1c/*: 10\n",
        "            us-east-1/us-east-1a/*: 100\n",
        &["locality/distribute-only-own-zone"],
    ),
    (
        "base/checkout.yaml",
        "us-east-1/us-east-1c/*: 10",
        "us-east-1/*: 10",
        &["locality/distribute-overlapping"],
    ),
    (
        "base/cart.yaml",
        "          to: us-west-2",
        "          to: us-west-2a",
        &["locality/failover-names-zone"],
    ),
    (
        "base/cart.yaml",
        "        - from: us-west-2\n          to: us-east-1",
        "        - from: us-east-1\n          to: us-west-2",
        &["locality/failover-duplicate-from"],
    ),
    (
        "base/redis.yaml",
        "        - topology.kubernetes.io/region\n        - topology.kubernetes.io/zone",
        "        - topology.kubernetes.io/zone\n        - topology.kubernetes.io/region",
        &["locality/failover-priority-order"],
    ),
    (
        "base/redis.yaml",
        "        - topology.kubernetes.io/zone",
        "        - topology.istio.io/cluster=nroth",
        &["locality/failover-priority-label-absent"],
    ),
    (
        "clusters/west/istio.yaml",
        "    meshConfig:\n",
        "    meshConfig:\n      outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n",
        &["clusters/injector-template-value-drift"],
    ),
];

/// Faults of a remote cluster and its primary.
const OF_REMOTES: &[Fault] = &[
    (
        "infrastructure/main/istiod-gateway.yaml",
        "  - port:\n      number: 15017\n      name: tls-webhook\n      protocol: TLS\n    tls:\n      \
         mode: PASSTHROUGH\n    hosts:\n    - \"*\"\n",
        "",
        &["clusters/istiod-not-exposed"],
    ),
    (
        "infrastructure/main/istio.yaml",
        "  values:\n",
        "  values:\n    revision: 1-30-1\n",
        &["clusters/exposed-istiod-revision-mismatch"],
    ),
    (
        "infrastructure/edge/istio.yaml",
        "      chart: base\n      version: 1.30.1",
        "      chart: base\n      version: 1.28.0",
        &["clusters/control-plane-version-skew"],
    ),
    (
        "infrastructure/edge/istio.yaml",
        "    profile: remote\n    istiodRemote:\n      enabled: true\n",
        "    istiodRemote:\n",
        &["clusters/remote-runs-own-istiod"],
    ),
];

/// Faults of an external control plane.
const OF_EXTERNAL: &[Fault] = &[
    (
        "clusters/platform/external-istiod.yaml",
        "value: shop",
        "value: store",
        &["clusters/external-cp-cluster-id"],
    ),
    (
        "clusters/platform/secrets.yaml",
        "    name: istio-kubeconfig\n    creationPolicy",
        "    name: kubeconfig\n    creationPolicy",
        &["clusters/external-cp-kubeconfig-missing"],
    ),
    (
        "clusters/platform/external-istiod.yaml",
        "LOCAL_CLUSTER_SECRET_WATCHER\n          value: \"true\"",
        "LOCAL_CLUSTER_SECRET_WATCHER\n          value: \"false\"",
        &["clusters/external-cp-secret-in-wrong-cluster"],
    ),
    (
        "clusters/platform/expose.yaml",
        "    - istiod.mesh.example.com\n    tls",
        "    - istiod.mesh.example.org\n    tls",
        &["clusters/external-cp-address-mismatch"],
    ),
    (
        "clusters/shop/external-istiod.yaml",
        "      istioNamespace: external-istiod",
        "      istioNamespace: istio-system",
        &["clusters/external-cp-cluster-id"],
    ),
];

fn said(files: &[(String, String)]) -> BTreeSet<&'static str> {
    let mut sources = Sources::default();
    for (name, text) in files {
        sources.add(name.as_str(), text.as_str()).unwrap();
    }
    let config = Config { now: 1_795_478_400, ..Config::default() };
    lint(&sources, &config).findings.into_iter().map(|f| f.rule).collect()
}

#[test]
fn each_fault_is_found_and_nothing_else_is_said() {
    let mut wrong = Vec::new();
    find("two-primaries", FAULTS, &mut wrong);
    find("primary-remote", OF_REMOTES, &mut wrong);
    find("external-control-plane", OF_EXTERNAL, &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn find(mesh: &str, all: &[Fault], wrong: &mut Vec<String>) {
    let healthy = files(mesh);
    assert!(said(&healthy).is_empty(), "{mesh}: {:?}", said(&healthy));
    for (file, from, to, expected) in all {
        let mut faulty = healthy.clone();
        let (_, text) = faulty.iter_mut().find(|(name, _)| name == file).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}");
        *text = text.replacen(from, to, 1);
        let told = said(&faulty);
        if told != expected.iter().copied().collect() {
            wrong.push(format!("{file}: {from:?} -> {to:?}: {told:?}, not {expected:?}"));
        }
    }
}

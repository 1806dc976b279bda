//! Metrics of istiod that tell how other clusters, and the CA, fare.
//!
//! Sources: `pkg/kube/multicluster/{secretcontroller,cluster}.go`, `pkg/kube/kclient`, and
//! `security/pkg/server/ca/monitoring.go`. None of them says of a running istiod that an API server has
//! fallen silent but the errors of its watches: the status stays `synced` once it was, and clusters are
//! counted by their secrets.

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What to look for.
    pub tells: &'static str,
}

const fn metric(name: &'static str, tells: &'static str) -> Metric {
    Metric { name, tells }
}

/// What tells of other clusters' API servers.
pub const OF_CLUSTERS: [Metric; 4] = [
    metric(
        "controller_sync_errors_total",
        "by cluster: rises where its API server is silent or refuses",
    ),
    metric(
        "istiod_remote_cluster_sync_status",
        "`timeout`: a replica started without that cluster (from 1.29 on)",
    ),
    metric(
        "remote_cluster_sync_timeouts_total",
        "the same counted (`ambient_remote_...` for ambient)",
    ),
    metric(
        "istiod_managed_clusters",
        "clusters it has secrets for, silent or not: falls once one is isolated",
    ),
];

/// What tells of the CA.
pub const OF_CA: [Metric; 3] = [
    metric("citadel_server_authentication_failure_count", "proxies whose tokens it cannot check"),
    metric("citadel_server_root_cert_expiry_seconds", "how long its root lasts"),
    metric("citadel_server_cert_chain_expiry_seconds", "how long its CA's certificate lasts"),
];

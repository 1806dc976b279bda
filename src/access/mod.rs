//! Who may read whose API server: remote secrets, the kubeconfigs in them, their tokens and certificates.
//!
//! Each istiod reads the Secrets with the label `istio/multiCluster: "true"` in its own namespace. Each
//! key of one is the name of a cluster, each value a kubeconfig for its API server. Sources:
//! `pkg/kube/multicluster/secretcontroller.go`, `pkg/kube/util.go`, and Kubernetes' `clientcmd`.

mod credential;
mod edges;
mod metrics;
mod refusal;
mod remote;

pub use credential::{Auth, Expiry, auth, authorities, certificate, claims, expiry, seconds, used};
pub use edges::{Edge, State, edges};
pub use metrics::{Metric, OF_CA, OF_CLUSTERS};
pub use refusal::{Kind, Refusal, is_not_allowed, refusal, server_name, shown, unreachable};
pub use remote::{Access, Entry, Label, Maker, Remote, Target};

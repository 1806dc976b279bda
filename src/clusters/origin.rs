//! Where facts of clusters come from.

use std::fmt;

/// Where a fact comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// `mesh-lint.yaml` or the command line.
    Configuration,
    /// An IstioOperator.
    IstioOperator,
    /// `Istio` of the Sail operator.
    Sail,
    /// Values of a Helm chart, in a file, a HelmRelease or an Application.
    HelmValues,
    /// The Deployment of istiod.
    Istiod,
    /// The `istio` ConfigMap.
    MeshConfig,
    /// The MeshNetworks of a control plane.
    MeshNetworks,
    /// Labels of the control plane's namespace.
    Namespace,
    /// Annotations of the control plane's namespace.
    Annotation,
    /// The injector's webhook.
    Webhook,
    /// The path or URL by which a remote cluster is to find its injector, as values tell it.
    InjectionPath,
    /// A Flux or Argo CD object.
    Delivery,
    /// A kustomization takes it in.
    Kustomize,
    /// The name of a folder.
    Folder,
    /// The name of a file, or what it tells.
    File,
    /// No cluster has it for itself, so all have it.
    Shared,
    /// Nothing: there is no sign of a second cluster.
    Alone,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "configuration",
            Self::IstioOperator => "IstioOperator",
            Self::Sail => "Istio",
            Self::HelmValues => "Helm values",
            Self::Istiod => "istiod Deployment",
            Self::MeshConfig => "MeshConfig",
            Self::MeshNetworks => "MeshNetworks",
            Self::Namespace => "namespace label",
            Self::Annotation => "namespace annotation",
            Self::Webhook => "injector webhook",
            Self::InjectionPath => "path to the injector",
            Self::Delivery => "delivery object",
            Self::Kustomize => "kustomization",
            Self::Folder => "folder",
            Self::File => "file",
            Self::Shared => "shared by all",
            Self::Alone => "no sign of several clusters",
        })
    }
}

//! A typed, tolerant view of each kind of manifest; every scalar keeps its span.

pub mod annotations;
pub mod attachment;
pub mod cidrs;
pub mod control_plane;
pub mod core;
pub mod delivery;
pub mod extensions;
pub mod file;
pub mod gateway_api;
pub mod injector;
pub mod key_text;
pub mod kubeconfig;
pub mod machines;
mod meta;
pub mod monitoring;
pub mod networking;
pub mod networks;
mod object;
pub mod parts;
mod placeholder;
pub mod policy;
mod remote;
mod secret;
pub mod security;
mod template;
pub mod workloads;

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::yaml::{Mismatch, Value};

pub use meta::{Condition, Meta, Owner, Resource};
pub use object::{Object, Unread, objects};
pub use placeholder::{is_placeholder, may_be};

/// Groups of the kinds that a control plane reads from its own cluster only.
pub const ISTIO_GROUPS: &[&str] =
    &["networking.istio.io", "security.istio.io", "telemetry.istio.io", "extensions.istio.io"];

/// Groups that Istio has given up.
pub const RETIRED_GROUPS: &[&str] =
    &["authentication.istio.io", "rbac.istio.io", "config.istio.io"];

macro_rules! views {
    ($($(#[$doc:meta])* $name:ident($view:ty): $root:literal, $groups:expr, $kinds:expr;)*) => {
        /// The view of a resource, by kind.
        #[derive(Clone, Debug)]
        pub enum View {
            $($(#[$doc])* $name(Arc<Resource<$view>>),)*
            /// A kind that no rule reads.
            Other,
        }

        impl View {
            fn meta_mut(&mut self) -> Option<&mut Meta> {
                match self {
                    $(Self::$name(r) => Some(&mut Arc::make_mut(r).meta),)*
                    Self::Other => None,
                }
            }
        }

        fn view(meta: &Meta, root: Value<'_>, mismatches: &mut Vec<Mismatch>) -> View {
            let (group, kind) = (meta.group(), meta.kind.as_str());
            $(
                if $groups.contains(&group) && $kinds.contains(&kind) {
                    let spec = spec::<$view>(root, $root, mismatches);
                    let unread = mismatches.iter().filter(|m| !m.is_read);
                    let unread = unread.map(|m| m.path.clone()).collect();
                    let meta = Meta { unread, ..meta.clone() };
                    return View::$name(Arc::new(Resource { meta, spec }));
                }
            )*
            View::Other
        }
    };
}

views! {
    /// A node.
    Node(core::Node): "", [""], ["Node"];
    /// A namespace.
    Namespace(core::Namespace): "", [""], ["Namespace"];
    /// A service.
    Service(core::Service): "spec", [""], ["Service"];
    /// Endpoints of a service.
    EndpointSlice(core::EndpointSlice): "", ["discovery.k8s.io"], ["EndpointSlice"];
    /// Endpoints of a service, in their old form.
    Endpoints(core::Endpoints): "", [""], ["Endpoints"];
    /// A ConfigMap.
    ConfigMap(core::ConfigMap): "", [""], ["ConfigMap"];
    /// A Secret.
    Secret(core::Secret): "", [""], ["Secret"];
    /// A Secret whose values are made or decrypted in the cluster.
    OpaqueSecret(core::OpaqueSecret): "spec",
        ["bitnami.com", "external-secrets.io", "cert-manager.io", "secrets.hashicorp.com"],
        ["SealedSecret", "ExternalSecret", "Certificate", "VaultStaticSecret"];
    /// An issuer of cert-manager.
    Issuer(core::Issuer): "spec", ["cert-manager.io"], ["Issuer", "ClusterIssuer"];
    /// A registration of SPIRE.
    Spire(core::Spire): "spec", ["spire.spiffe.io"],
        ["ClusterSPIFFEID", "ClusterFederatedTrustDomain"];
    /// A pod.
    Pod(workloads::Pod): "", [""], ["Pod"];
    /// A Deployment, StatefulSet, DaemonSet, ReplicaSet or Argo Rollout.
    Workload(workloads::Workload): "spec", ["apps", "argoproj.io"],
        ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Rollout"];
    /// A HorizontalPodAutoscaler.
    Autoscaler(workloads::Autoscaler): "spec", ["autoscaling"], ["HorizontalPodAutoscaler"];
    /// A KEDA ScaledObject.
    ScaledObject(workloads::ScaledObject): "spec", ["keda.sh"], ["ScaledObject"];
    /// A PodDisruptionBudget.
    DisruptionBudget(workloads::DisruptionBudget): "spec", ["policy"], ["PodDisruptionBudget"];
    /// A DestinationRule.
    DestinationRule(networking::DestinationRule): "spec", ["networking.istio.io"], ["DestinationRule"];
    /// A VirtualService.
    VirtualService(networking::VirtualService): "spec", ["networking.istio.io"], ["VirtualService"];
    /// An Istio Gateway.
    Gateway(networking::Gateway): "spec", ["networking.istio.io"], ["Gateway"];
    /// A ServiceEntry.
    ServiceEntry(networking::ServiceEntry): "spec", ["networking.istio.io"], ["ServiceEntry"];
    /// A Sidecar.
    Sidecar(networking::Sidecar): "spec", ["networking.istio.io"], ["Sidecar"];
    /// A WorkloadEntry.
    WorkloadEntry(networking::WorkloadEntry): "spec", ["networking.istio.io"], ["WorkloadEntry"];
    /// A PeerAuthentication.
    PeerAuthentication(security::PeerAuthentication): "spec", ["security.istio.io"],
        ["PeerAuthentication"];
    /// An IstioOperator.
    IstioOperator(control_plane::Install): "spec", ["install.istio.io"], ["IstioOperator"];
    /// An `Istio` or `IstioRevision` of the Sail operator.
    SailIstio(control_plane::Install): "spec", ["sailoperator.io", "operator.istio.io"],
        ["Istio", "IstioRevision"];
    /// A webhook configuration: the injector's path tells cluster and network.
    Webhook(control_plane::Webhooks): "", ["admissionregistration.k8s.io"],
        ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];
    /// A Job or CronJob.
    Job(workloads::Job): "spec", ["batch"], ["Job", "CronJob"];
    /// An AuthorizationPolicy.
    AuthorizationPolicy(security::AuthorizationPolicy): "spec", ["security.istio.io"],
        ["AuthorizationPolicy"];
    /// A RequestAuthentication.
    RequestAuthentication(security::RequestAuthentication): "spec", ["security.istio.io"],
        ["RequestAuthentication"];
    /// A Telemetry.
    Telemetry(extensions::Telemetry): "spec", ["telemetry.istio.io"], ["Telemetry"];
    /// An EnvoyFilter.
    EnvoyFilter(extensions::EnvoyFilter): "spec", ["networking.istio.io"], ["EnvoyFilter"];
    /// A WasmPlugin or TrafficExtension.
    WasmPlugin(extensions::WasmPlugin): "spec", ["extensions.istio.io"],
        ["WasmPlugin", "TrafficExtension"];
    /// A ProxyConfig.
    ProxyConfig(extensions::ProxyConfig): "spec", ["networking.istio.io"], ["ProxyConfig"];
    /// A Gateway of the Gateway API.
    ApiGateway(gateway_api::Gateway): "spec", ["gateway.networking.k8s.io"], ["Gateway"];
    /// A route of the Gateway API.
    ApiRoute(gateway_api::Route): "spec", ["gateway.networking.k8s.io"],
        ["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute"];
    /// A ReferenceGrant of the Gateway API.
    ApiGrant(gateway_api::Grant): "spec", ["gateway.networking.k8s.io"], ["ReferenceGrant"];
    /// A GatewayClass of the Gateway API.
    ApiClass(gateway_api::Class): "spec", ["gateway.networking.k8s.io"], ["GatewayClass"];
    /// What Prometheus is told to look for.
    AlertRules(monitoring::AlertRules): "spec",
        ["monitoring.coreos.com", "operator.victoriametrics.com"], ["PrometheusRule", "VMRule"];
    /// A CustomResourceDefinition.
    Definition(gateway_api::Definition): "spec", ["apiextensions.k8s.io"],
        ["CustomResourceDefinition"];
    /// A Flux HelmRelease.
    HelmRelease(delivery::HelmRelease): "spec", ["helm.toolkit.fluxcd.io"], ["HelmRelease"];
    /// A Flux Kustomization.
    FluxKustomization(delivery::FluxKustomization): "spec", ["kustomize.toolkit.fluxcd.io"],
        ["Kustomization"];
    /// An Argo CD Application.
    Application(delivery::Application): "spec", ["argoproj.io"], ["Application"];
    /// An Argo CD ApplicationSet.
    ApplicationSet(delivery::ApplicationSet): "spec", ["argoproj.io"], ["ApplicationSet"];
    /// A kustomization file.
    Kustomization(delivery::Kustomization): "", ["kustomize.config.k8s.io"],
        ["Kustomization", "Component"];
    /// A Karpenter NodePool or Provisioner.
    NodePool(machines::NodePool): "spec", ["karpenter.sh"], ["NodePool", "Provisioner"];
    /// An eksctl ClusterConfig.
    Eksctl(machines::Eksctl): "", ["eksctl.io"], ["ClusterConfig"];
    /// A Cluster API MachineDeployment or MachinePool.
    Machines(machines::Machines): "spec", ["cluster.x-k8s.io"], ["MachineDeployment", "MachinePool"];
    /// A kind cluster.
    KindCluster(machines::KindCluster): "", ["kind.x-k8s.io"], ["Cluster"];
    /// A Cluster API Cluster.
    ApiCluster(cidrs::ApiCluster): "spec", ["cluster.x-k8s.io"], ["Cluster"];
    /// kubeadm's configuration of a cluster.
    Kubeadm(cidrs::Kubeadm): "", ["kubeadm.k8s.io"], ["ClusterConfiguration"];
    /// A pool of addresses of Calico.
    IpPool(cidrs::IpPool): "spec", ["crd.projectcalico.org", "projectcalico.org"], ["IPPool"];
    /// An installation of Calico.
    CalicoInstallation(cidrs::CalicoInstallation): "spec", ["operator.tigera.io"], ["Installation"];
}

fn spec<S: DeserializeOwned + Default>(
    root: Value<'_>,
    path: &str,
    mismatches: &mut Vec<Mismatch>,
) -> S {
    let value = if path.is_empty() { Some(root) } else { root.get(path) };
    let Some(value) = value else { return S::default() };
    let (spec, wrong) = value.read_strictly::<S>();
    mismatches.extend(wrong.into_iter().map(|m| match (path, m.path.as_str()) {
        ("", _) => m,
        (_, "") => Mismatch { path: path.to_owned(), ..m },
        (_, inner) => Mismatch { path: format!("{path}.{inner}"), ..m },
    }));
    spec.unwrap_or_default()
}

//! The resources that rules read, by kind.

use std::ops::Deref;
use std::sync::Arc;

use super::{IstioObject, Members};
use crate::clusters::{ClusterId, Member};
use crate::kinds::{
    Meta, Resource, cidrs, control_plane, core, extensions, gateway_api, machines, monitoring,
    networking, security, workloads,
};
use crate::source::Span;

/// A resource in a cluster. One that several clusters share is in each of them, at the same place of
/// the same file.
#[derive(Debug)]
pub struct In<S> {
    /// The cluster.
    pub cluster: ClusterId,
    /// The namespace it has there; empty for cluster-scoped kinds.
    pub namespace: String,
    /// The resource.
    pub resource: Arc<Resource<S>>,
}

impl<S> Deref for In<S> {
    type Target = Resource<S>;

    fn deref(&self) -> &Resource<S> {
        &self.resource
    }
}

impl<S> In<S> {
    /// Its name.
    pub fn name(&self) -> &str {
        self.resource.meta.name.as_str()
    }

    /// Where its name stands; its kind where it has none.
    pub fn named_at(&self) -> Span {
        let meta: &Meta = &self.resource.meta;
        if meta.name.is_empty() { meta.kind.span } else { meta.name.span }
    }

    /// Whether its namespace is told, by itself or by a kustomization, and not just taken for granted.
    pub fn has_namespace(&self) -> bool {
        self.resource.meta.namespace.is_some() || self.namespace != "default"
    }

    /// Whether two members are the same text with the same laid over it.
    pub fn is_same_text(&self, other: &Self) -> bool {
        self.resource.meta.is_same_text(&other.resource.meta)
    }
}

macro_rules! collections {
    ($($(#[$doc:meta])* $field:ident: $view:ident($spec:ty),)*) => {
        /// All resources that rules read, by kind, ordered by cluster and then by place.
        #[derive(Debug, Default)]
        pub struct Objects {
            /// Everything that a control plane reads from its own cluster only, whatever kind it is of.
            pub istio_objects: Members<IstioObject>,
            $($(#[$doc])* pub $field: Members<In<$spec>>,)*
        }

        impl Objects {
            pub(super) fn take(&mut self, member: Member) {
                let Member { cluster, namespace, object } = member;
                let is_istio = crate::kinds::ISTIO_GROUPS.contains(&object.meta.group());
                if is_istio {
                    let (meta, text) = (Arc::clone(&object.meta), object.tree.clone());
                    self.istio_objects.push(IstioObject { cluster, namespace: namespace.clone(), meta, text });
                }
                match &object.view {
                    $(crate::kinds::View::$view(r) => {
                        self.$field.push(In { cluster, namespace, resource: Arc::clone(r) });
                    })*
                    _ => {}
                }
            }

            /// Makes those of a namespace be found.
            pub(super) fn index(&mut self) {
                self.istio_objects.index();
                $(self.$field.index();)*
            }
        }
    };
}

collections! {
    /// Nodes.
    nodes: Node(core::Node),
    /// Namespaces.
    namespaces: Namespace(core::Namespace),
    /// Services.
    services: Service(core::Service),
    /// EndpointSlices.
    endpoint_slices: EndpointSlice(core::EndpointSlice),
    /// Endpoints.
    endpoints: Endpoints(core::Endpoints),
    /// ConfigMaps.
    config_maps: ConfigMap(core::ConfigMap),
    /// Secrets.
    secrets: Secret(core::Secret),
    /// What makes Secrets in the cluster: SealedSecrets, ExternalSecrets, Certificates.
    opaque_secrets: OpaqueSecret(core::OpaqueSecret),
    /// cert-manager's issuers.
    issuers: Issuer(core::Issuer),
    /// Registrations of SPIRE.
    spire: Spire(core::Spire),
    /// Pods.
    pods: Pod(workloads::Pod),
    /// Deployments, StatefulSets, DaemonSets, ReplicaSets, Rollouts.
    workloads: Workload(workloads::Workload),
    /// HorizontalPodAutoscalers.
    autoscalers: Autoscaler(workloads::Autoscaler),
    /// KEDA ScaledObjects.
    scaled_objects: ScaledObject(workloads::ScaledObject),
    /// PodDisruptionBudgets.
    disruption_budgets: DisruptionBudget(workloads::DisruptionBudget),
    /// DestinationRules.
    destination_rules: DestinationRule(networking::DestinationRule),
    /// VirtualServices.
    virtual_services: VirtualService(networking::VirtualService),
    /// Istio Gateways.
    gateways: Gateway(networking::Gateway),
    /// ServiceEntries.
    service_entries: ServiceEntry(networking::ServiceEntry),
    /// Sidecars.
    sidecars: Sidecar(networking::Sidecar),
    /// WorkloadEntries.
    workload_entries: WorkloadEntry(networking::WorkloadEntry),
    /// PeerAuthentications.
    peer_authentications: PeerAuthentication(security::PeerAuthentication),
    /// Jobs and CronJobs.
    jobs: Job(workloads::Job),
    /// Mutating and validating webhook configurations.
    webhooks: Webhook(control_plane::Webhooks),
    /// AuthorizationPolicies.
    authorization_policies: AuthorizationPolicy(security::AuthorizationPolicy),
    /// RequestAuthentications.
    request_authentications: RequestAuthentication(security::RequestAuthentication),
    /// Telemetries.
    telemetries: Telemetry(extensions::Telemetry),
    /// EnvoyFilters.
    envoy_filters: EnvoyFilter(extensions::EnvoyFilter),
    /// WasmPlugins and TrafficExtensions.
    wasm_plugins: WasmPlugin(extensions::WasmPlugin),
    /// ProxyConfigs.
    proxy_configs: ProxyConfig(extensions::ProxyConfig),
    /// Gateways of the Gateway API.
    api_gateways: ApiGateway(gateway_api::Gateway),
    /// Routes of the Gateway API.
    api_routes: ApiRoute(gateway_api::Route),
    /// ReferenceGrants of the Gateway API.
    api_grants: ApiGrant(gateway_api::Grant),
    /// GatewayClasses of the Gateway API.
    api_classes: ApiClass(gateway_api::Class),
    /// PrometheusRules and VMRules.
    alert_rules: AlertRules(monitoring::AlertRules),
    /// CustomResourceDefinitions.
    definitions: Definition(gateway_api::Definition),
    /// Karpenter's NodePools.
    node_pools: NodePool(machines::NodePool),
    /// eksctl's ClusterConfigs.
    eksctl_clusters: Eksctl(machines::Eksctl),
    /// Cluster API's machines.
    machines: Machines(machines::Machines),
    /// kind's clusters.
    kind_clusters: KindCluster(machines::KindCluster),
    /// Cluster API's clusters.
    api_clusters: ApiCluster(cidrs::ApiCluster),
    /// kubeadm's configurations.
    kubeadm: Kubeadm(cidrs::Kubeadm),
    /// Calico's pools of addresses.
    ip_pools: IpPool(cidrs::IpPool),
    /// Installations of Calico.
    calico_installations: CalicoInstallation(cidrs::CalicoInstallation),
}

//! Views of what installs a control plane: IstioOperator, Sail's `Istio`, Helm values, MeshConfig.

use serde::Deserialize;

use super::networks::MeshNetwork;
use super::parts::OutboundTrafficPolicy;
use super::workloads::Selector;
use crate::source::{Spanned, Text};
use crate::yaml::Entries;

/// `spec` of an IstioOperator or of Sail's `Istio`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Install {
    /// `default`, `remote`, `ambient`, ...
    pub profile: Option<Text>,
    /// Where the control plane runs; `istio-system` where absent.
    pub namespace: Option<Text>,
    /// The revision's name.
    pub revision: Option<Text>,
    /// Sail: the version.
    pub version: Option<Text>,
    /// IstioOperator: the image tag, hence the version.
    pub tag: Option<Text>,
    /// IstioOperator: MeshConfig.
    pub mesh_config: Option<MeshConfig>,
    /// Helm values.
    pub values: Values,
    /// IstioOperator: its parts.
    pub components: Components,
}

/// `components` of an IstioOperator.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Components {
    /// istiod.
    pub pilot: Component,
    /// Gateways that take requests in.
    pub ingress_gateways: Vec<GatewayComponent>,
}

/// A gateway that an IstioOperator installs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct GatewayComponent {
    /// Whether it is installed; so where absent.
    pub enabled: Option<Spanned<bool>>,
    /// Labels of its Service and pods.
    pub label: Entries<Text>,
}

/// A part of an IstioOperator.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Component {
    /// What Kubernetes is told of it.
    pub k8s: ComponentSettings,
}

/// `k8s` of a part.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ComponentSettings {
    /// Its environment.
    pub env: Vec<super::parts::EnvVar>,
}

/// Helm values of istiod, base, ztunnel and gateway charts, as far as they tell facts of a cluster.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Values {
    /// Values all charts share.
    pub global: Global,
    /// MeshConfig.
    pub mesh_config: Option<MeshConfig>,
    /// The ztunnel chart has it at the top.
    pub multi_cluster: MultiCluster,
    /// The ztunnel chart has it at the top.
    pub network: Option<Text>,
    /// The gateway chart: this gateway serves a network.
    pub network_gateway: Option<Text>,
    /// Whether the cluster's proxies are served from elsewhere.
    pub istiod_remote: IstiodRemote,
    /// The revision's name.
    pub revision: Option<Text>,
    /// Further names of the revision.
    pub revision_tags: Vec<Text>,
    /// `profile` of a chart.
    pub profile: Option<Text>,
    /// istiod itself.
    pub pilot: Pilot,
    /// The injector.
    pub sidecar_injector_webhook: Injector,
    /// istio-csr: the chart's settings.
    pub app: Option<CsrApp>,
}

/// `sidecarInjectorWebhook`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Injector {
    /// Templates of pods by name.
    pub templates: Entries<Text>,
}

/// `app` of the chart cert-manager-istio-csr.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CsrApp {
    /// How it answers.
    pub server: CsrServer,
    /// Its certificates.
    pub tls: CsrTls,
    /// How it asks cert-manager.
    pub certmanager: CsrIssuing,
}

/// `app.server`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CsrServer {
    /// The name of the cluster whose workloads it knows; `Kubernetes` where absent.
    #[serde(rename = "clusterID")]
    pub cluster_id: Option<Text>,
}

/// `app.tls`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CsrTls {
    /// The trust domain of what it signs; `cluster.local` where absent.
    pub trust_domain: Option<Text>,
    /// The file of the root; what the issuer first answers where absent.
    #[serde(rename = "rootCAFile")]
    pub root_ca_file: Option<Text>,
}

/// `app.certmanager`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CsrIssuing {
    /// The issuer that signs workloads.
    pub issuer: super::parts::IssuerRef,
}

/// `global`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Global {
    /// `clusterName` stands here.
    pub multi_cluster: MultiCluster,
    /// The network of the cluster's pods.
    pub network: Option<Text>,
    /// Proxies.
    pub proxy: ProxyValues,
    /// The mesh's identifier.
    #[serde(rename = "meshID")]
    pub mesh_id: Option<Text>,
    /// Networks by name, as MeshNetworks has them.
    pub mesh_networks: Entries<MeshNetwork>,
    /// Where a remote cluster finds its control plane.
    pub remote_pilot_address: Option<Text>,
    /// This control plane serves other clusters too.
    pub external_istiod: Option<Spanned<bool>>,
    /// The cluster whose configuration an external control plane reads.
    pub config_cluster: Option<Spanned<bool>>,
    /// The namespace of the control plane.
    pub istio_namespace: Option<Text>,
    /// The image tag, hence the version.
    pub tag: Option<Text>,
    /// The CA's address, where it is not istiod.
    pub ca_address: Option<Text>,
    /// A trust domain at a place that no chart reads.
    pub trust_domain: Option<Text>,
    /// Aliases at a place that no chart reads.
    pub trust_domain_aliases: Vec<Text>,
    /// Whether the account and role are made by which other clusters' control planes read this one; so
    /// where absent.
    #[serde(rename = "enableReaderRBAC")]
    pub enable_reader_rbac: Option<Spanned<bool>>,
    /// Given up: gateways of the old way.
    pub mesh_expansion: Option<Ignored>,
    /// Given up.
    #[serde(rename = "centralIstiod")]
    pub central_istiod: Option<Ignored>,
    /// Given up.
    pub control_plane_security_enabled: Option<Ignored>,
}

/// `global.proxy`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProxyValues {
    /// The domain of Services' names; `cluster.local` where absent.
    pub cluster_domain: Option<Text>,
}

/// A value that Istio does not read any more, whatever it is.
pub type Ignored = Spanned<serde::de::IgnoredAny>;

/// `multiCluster`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MultiCluster {
    /// The cluster's name: `CLUSTER_ID` of its control plane.
    pub cluster_name: Option<Text>,
    /// Given up.
    pub enabled: Option<Ignored>,
    /// Given up: the suffix of hosts in other clusters.
    pub global_domain_suffix: Option<Ignored>,
    /// Given up.
    pub include_envoy_filter: Option<Ignored>,
}

/// `istiodRemote`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct IstiodRemote {
    /// Whether this is a remote cluster.
    pub enabled: Option<Spanned<bool>>,
    /// Whether an istiod of its own injects sidecars there.
    pub enabled_local_injector_istiod: Option<Spanned<bool>>,
    /// Path of the injector: names cluster and network.
    pub injection_path: Option<Text>,
    /// URL of the injector.
    #[serde(rename = "injectionURL")]
    pub injection_url: Option<Text>,
}

/// `pilot`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pilot {
    /// Environment of istiod.
    pub env: Entries<Text>,
    /// `false` where the chart only serves a remote cluster.
    pub enabled: Option<Spanned<bool>>,
    /// How many there are, where nothing scales it.
    #[serde(rename = "replicaCount")]
    pub replica_count: Option<Spanned<u32>>,
    /// After which time it ends the connections of proxies; `30m` where absent.
    #[serde(rename = "keepaliveMaxServerConnectionAge")]
    pub connection_age: Option<Text>,
    /// Whether it is scaled; so where absent.
    #[serde(rename = "autoscaleEnabled")]
    pub autoscale_enabled: Option<Spanned<bool>>,
}

/// MeshConfig, as far as the model reads it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MeshConfig {
    /// Trust domain; `cluster.local` where absent.
    pub trust_domain: Option<Text>,
    /// Further names of the trust domain.
    pub trust_domain_aliases: Vec<Text>,
    /// The namespace whose objects are for all; the control plane's where absent.
    pub root_namespace: Option<Text>,
    /// Locality load balancing for hosts whose DestinationRule has none.
    pub locality_lb_setting: Option<Spanned<super::policy::LocalityLb>>,
    /// Envoy's zone-aware routing, likewise.
    pub zone_aware_lb_setting: Option<Spanned<super::policy::ZoneAwareLb>>,
    /// Policy for hosts whose DestinationRule leaves it open; endpoints are not laid out by it.
    pub default_traffic_policy: Option<Spanned<super::policy::TrafficPolicy>>,
    /// What becomes of requests to hosts nobody knows.
    pub outbound_traffic_policy: OutboundTrafficPolicy,
    /// What is tried again where no rule says so.
    pub default_http_retry_policy: Option<super::policy::Retries>,
    /// Whether clients use mTLS wherever the other side can; so where absent.
    pub enable_auto_mtls: Option<Spanned<bool>>,
    /// What leaves a cluster and what does not.
    pub service_settings: Vec<ServiceSettings>,
    /// Further roots.
    pub ca_certificates: Vec<CaCertificate>,
    /// Visibility of DestinationRules without `exportTo`.
    pub default_destination_rule_export_to: Vec<Text>,
    /// Visibility of VirtualServices without `exportTo`.
    pub default_virtual_service_export_to: Vec<Text>,
    /// Visibility of services without an annotation.
    pub default_service_export_to: Vec<Text>,
    /// What proxies get.
    pub default_config: ProxyConfig,
    /// Who can take telemetry and decide on requests, by name.
    pub extension_providers: Vec<ExtensionProvider>,
    /// The file of access logs where no Telemetry says otherwise; none where empty.
    pub access_log_file: Option<Text>,
    /// Who takes telemetry where a Telemetry names nobody.
    pub default_providers: DefaultProviders,
    /// The namespaces that istiod looks at, in all clusters; all where empty.
    pub discovery_selectors: Vec<Spanned<Selector>>,
}

/// An entry of `extensionProviders`: a name, and one of the others.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ExtensionProvider {
    /// What policies call it.
    pub name: Option<Text>,
    /// Decides on requests, asked by HTTP.
    pub envoy_ext_authz_http: Option<ProviderAddress>,
    /// Decides on requests, asked by gRPC.
    pub envoy_ext_authz_grpc: Option<ProviderAddress>,
    /// Takes traces.
    pub zipkin: Option<ProviderAddress>,
    /// Takes traces, for Lightstep, which Envoy has no more.
    pub lightstep: Option<ProviderAddress>,
    /// Takes traces.
    pub datadog: Option<ProviderAddress>,
    /// Takes traces.
    pub opencensus: Option<ProviderAddress>,
    /// Takes traces.
    pub skywalking: Option<ProviderAddress>,
    /// Takes traces.
    pub opentelemetry: Option<ProviderAddress>,
    /// Takes access logs.
    pub envoy_http_als: Option<ProviderAddress>,
    /// Takes access logs.
    pub envoy_tcp_als: Option<ProviderAddress>,
    /// Takes access logs.
    pub envoy_otel_als: Option<ProviderAddress>,
}

/// Where a provider is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ProviderAddress {
    /// A host of the mesh by its full name, perhaps with its namespace and a slash in front.
    pub service: Option<Text>,
    /// Its port.
    pub port: Option<Spanned<u32>>,
}

impl ExtensionProvider {
    /// Where it is, if it decides on requests.
    pub fn authorizer(&self) -> Option<&ProviderAddress> {
        self.envoy_ext_authz_http.as_ref().or(self.envoy_ext_authz_grpc.as_ref())
    }

    /// Where it is, if it takes traces or access logs over the network.
    pub fn collector(&self) -> Option<&ProviderAddress> {
        let traces = [&self.zipkin, &self.lightstep, &self.datadog, &self.opencensus];
        let others = [&self.skywalking, &self.opentelemetry];
        let logs = [&self.envoy_http_als, &self.envoy_tcp_als, &self.envoy_otel_als];
        traces.into_iter().chain(others).chain(logs).find_map(Option::as_ref)
    }
}

/// `defaultProviders`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DefaultProviders {
    /// For access logs.
    pub access_logging: Vec<Text>,
    /// For metrics.
    pub metrics: Vec<Text>,
    /// For traces.
    pub tracing: Vec<Text>,
}

/// `defaultConfig`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProxyConfig {
    /// The mesh's identifier.
    pub mesh_id: Option<Text>,
    /// Where proxies find their control plane.
    pub discovery_address: Option<Text>,
    /// Environment of the proxies.
    pub proxy_metadata: Entries<Text>,
    /// Their image.
    pub image: ProxyImage,
    /// Whether containers wait until their proxy is ready.
    pub hold_application_until_proxy_starts: Option<Spanned<bool>>,
}

/// `image` of a proxy's configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProxyImage {
    /// `default`, `distroless`, `debug`.
    pub image_type: Option<Text>,
}

/// An entry of `serviceSettings`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServiceSettings {
    /// What holds for the hosts.
    pub settings: Settings,
    /// The hosts, with `*` in front or without.
    pub hosts: Vec<Text>,
}

/// `settings` of an entry.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Settings {
    /// Whether requests stay within the client's cluster.
    pub cluster_local: Option<Spanned<bool>>,
}

/// An entry of `caCertificates`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CaCertificate {
    /// Certificates in PEM.
    pub pem: Option<Text>,
    /// Where certificates are fetched.
    pub spiffe_bundle_url: Option<Text>,
    /// Trust domains it is for.
    pub trust_domains: Vec<Text>,
    /// Signers it is for.
    pub cert_signers: Vec<Text>,
}

/// A mutating or validating webhook configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Webhooks {
    /// Its webhooks.
    pub webhooks: Vec<Webhook>,
}

/// A webhook.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Webhook {
    /// Its name.
    pub name: Option<Text>,
    /// Who answers it.
    pub client_config: ClientConfig,
    /// Namespaces it is for; all where absent.
    pub namespace_selector: Option<Selector>,
    /// Objects it is for; all where absent.
    pub object_selector: Option<Selector>,
}

/// Who answers a webhook.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClientConfig {
    /// An address outside.
    pub url: Option<Text>,
    /// A service of the cluster.
    pub service: Option<WebhookService>,
}

/// A service that answers a webhook.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct WebhookService {
    /// Its name.
    pub name: Option<Text>,
    /// Its namespace.
    pub namespace: Option<Text>,
    /// The path: `/inject/cluster/NAME/net/NETWORK` for a remote cluster.
    pub path: Option<Text>,
    /// Its port, 443 where absent.
    pub port: Option<Spanned<u16>>,
}

impl Values {
    /// Whether these are values of an Istio chart of a mesh, and not of something else.
    pub fn tell_a_control_plane(&self) -> bool {
        let g = &self.global;
        let texts = [
            &g.multi_cluster.cluster_name,
            &self.multi_cluster.cluster_name,
            &g.mesh_id,
            &g.remote_pilot_address,
            &self.network_gateway,
            &self.istiod_remote.injection_path,
        ];
        // Copies of a chart's defaults have them empty.
        texts.into_iter().flatten().any(|text| !text.is_empty())
            || self.mesh_config.is_some()
            || self.app.as_ref().is_some_and(CsrApp::is_one)
    }
}

impl CsrApp {
    /// Whether these are settings of istio-csr, and not of some other chart with an `app`.
    pub fn is_one(&self) -> bool {
        self.server.cluster_id.is_some()
            || self.tls.trust_domain.is_some()
            || self.tls.root_ca_file.is_some()
            || self.certmanager.issuer.name.is_some()
    }
}

//! Views of Istio's networking kinds.

use serde::Deserialize;

use super::attachment::Attachment;
use super::parts::{Anything, OutboundTrafficPolicy, PortSelector, TargetRef};
pub use super::policy::{
    ClientTls, Distribute, Failover, LoadBalancer, LocalityLb, OutlierDetection, PortPolicy,
    Retries, TrafficPolicy, ZoneAwareLb,
};
use crate::source::{Spanned, Text};
use crate::yaml::Entries;

/// `spec` of a DestinationRule.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DestinationRule {
    /// The host it is for: full, short, or with a `*` in front.
    pub host: Option<Text>,
    /// Policy for all subsets.
    pub traffic_policy: Option<Spanned<TrafficPolicy>>,
    /// Its subsets.
    pub subsets: Vec<Subset>,
    /// Namespaces that see it; all where empty.
    pub export_to: Vec<Text>,
    /// Only clients with these labels, in the rule's own namespace.
    pub workload_selector: Option<WorkloadSelector>,
}

/// A named part of a host's endpoints.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Subset {
    /// Its name.
    pub name: Option<Text>,
    /// Labels its endpoints have; all endpoints where empty.
    pub labels: Entries<Text>,
    /// Policy that replaces parts of the rule's own.
    pub traffic_policy: Option<Spanned<TrafficPolicy>>,
}

/// Which workloads an object is for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WorkloadSelector {
    /// In a DestinationRule.
    pub match_labels: Entries<Text>,
    /// In a Sidecar or ServiceEntry.
    pub labels: Entries<Text>,
}

/// `spec` of a VirtualService.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VirtualService {
    /// Hosts it is for; a delegate has none.
    pub hosts: Vec<Text>,
    /// Gateways it is bound to; `mesh` where empty.
    pub gateways: Vec<Text>,
    /// Rules for HTTP.
    pub http: Vec<HttpRoute>,
    /// Rules for TLS that is passed through.
    pub tls: Vec<L4Route>,
    /// Rules for TCP.
    pub tcp: Vec<L4Route>,
    /// Namespaces that see it; all where empty.
    pub export_to: Vec<Text>,
    /// The routes of the Gateway API that istiod makes it of; none for one that somebody wrote.
    #[serde(skip)]
    pub attachment: Option<Box<Attachment>>,
}

/// A rule for HTTP.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HttpRoute {
    /// Its name.
    pub name: Option<Text>,
    /// Alternatives; everything where empty.
    #[serde(rename = "match")]
    pub matches: Vec<Spanned<HttpMatch>>,
    /// Where it goes.
    pub route: Vec<Spanned<RouteDestination>>,
    /// The VirtualService that goes on.
    pub delegate: Option<Delegate>,
    /// An answer without any destination.
    pub redirect: Option<Spanned<Anything>>,
    /// An answer without any destination.
    #[serde(rename = "directResponse")]
    pub direct_response: Option<Spanned<DirectResponse>>,
    /// Answers and delays made up by the proxy.
    pub fault: Fault,
    /// What is tried again.
    pub retries: Option<Spanned<Retries>>,
    /// A copy of the traffic.
    pub mirror: Option<Spanned<Destination>>,
    /// Which part of the requests is copied; all where absent.
    #[serde(rename = "mirrorPercentage")]
    pub mirror_percentage: Option<Percent>,
    /// The same in whole per cent, by an older name.
    #[serde(rename = "mirrorPercent")]
    pub mirror_percent: Option<u32>,
    /// Copies of the traffic.
    pub mirrors: Vec<Mirror>,
}

/// `directResponse`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct DirectResponse {
    /// The status.
    pub status: Option<Spanned<u32>>,
}

/// `fault`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Fault {
    /// Requests that are answered with an error.
    pub abort: Option<Spanned<Abort>>,
    /// Requests that are held back for a while.
    pub delay: Option<Anything>,
}

/// `abort` of a fault.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Abort {
    /// Which part of the requests; none where absent.
    pub percentage: Option<Percent>,
    /// The status they get.
    pub http_status: Option<Spanned<u32>>,
}

/// A part in per cent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Percent {
    /// 0 to 100.
    pub value: f64,
}

/// A copy of the traffic.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Mirror {
    /// Where to.
    pub destination: Option<Spanned<Destination>>,
    /// Which part of the requests is copied; all where absent.
    pub percentage: Option<Percent>,
}

/// Which VirtualService goes on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Delegate {
    /// Its name.
    pub name: Option<Text>,
    /// Its namespace; the own one where absent.
    pub namespace: Option<Text>,
}

/// One alternative of a match. All that is set must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpMatch {
    /// Labels of the client.
    pub source_labels: Entries<Text>,
    /// Namespace of the client.
    pub source_namespace: Option<Text>,
    /// Gateways; with these, `sourceLabels` and `sourceNamespace` do not count.
    pub gateways: Vec<Text>,
    /// Whether the case of the path does not count.
    pub ignore_uri_case: bool,
    /// The port that is called.
    pub port: Option<Spanned<u32>>,
    /// The path.
    pub uri: Option<StringMatch>,
    /// Headers.
    pub headers: Entries<StringMatch>,
    /// Headers that must not match.
    pub without_headers: Entries<StringMatch>,
    /// Parameters of the query.
    pub query_params: Entries<StringMatch>,
    /// The method.
    pub method: Option<StringMatch>,
    /// The `Host` header.
    pub authority: Option<StringMatch>,
    /// `http` or `https`.
    pub scheme: Option<StringMatch>,
}

/// How a string is compared.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct StringMatch {
    /// Equal.
    pub exact: Option<Text>,
    /// Begins with.
    pub prefix: Option<Text>,
    /// RE2 over the whole string.
    pub regex: Option<Text>,
    /// Whether the prefix ends where a segment of the path does, as those of the Gateway API.
    #[serde(skip)]
    pub by_segments: bool,
}

impl HttpMatch {
    /// Whether it looks at nothing of the request but where it comes from.
    pub fn is_any_request(&self) -> bool {
        let any_path = match &self.uri {
            None => true,
            Some(uri) => {
                uri.prefix.as_deref().is_some_and(|p| p == "/")
                    || uri.regex.as_deref().is_some_and(|r| r == ".*" || r == "*")
            }
        };
        let others = [&self.method, &self.authority, &self.scheme];
        any_path
            && self.headers.is_empty()
            && self.without_headers.is_empty()
            && self.query_params.is_empty()
            && others.into_iter().all(Option::is_none)
    }
}

/// A weighted destination.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RouteDestination {
    /// Where to.
    pub destination: Option<Spanned<Destination>>,
    /// Its share, relative to the others'.
    pub weight: Option<Spanned<u32>>,
    /// What is done to headers of the requests that come here.
    pub headers: Option<Anything>,
}

/// A host, and perhaps a subset and a port of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Destination {
    /// The host, full or short.
    pub host: Option<Text>,
    /// A subset that some DestinationRule defines.
    pub subset: Option<Text>,
    /// The port.
    pub port: Option<PortSelector>,
}

/// A rule for TCP or TLS.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct L4Route {
    /// Alternatives; everything where empty.
    #[serde(rename = "match")]
    pub matches: Vec<Spanned<L4Match>>,
    /// Where it goes.
    pub route: Vec<Spanned<RouteDestination>>,
}

/// One alternative of a TCP or TLS match. All that is set must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct L4Match {
    /// Server names of the TLS handshake.
    pub sni_hosts: Vec<Text>,
    /// Addresses that are called.
    pub destination_subnets: Vec<Text>,
    /// The port that is called.
    pub port: Option<Spanned<u32>>,
    /// Labels of the client.
    pub source_labels: Entries<Text>,
    /// Namespace of the client.
    pub source_namespace: Option<Text>,
    /// Gateways.
    pub gateways: Vec<Text>,
}

/// `spec` of an Istio Gateway.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Gateway {
    /// Labels of the gateway's pods.
    pub selector: Entries<Text>,
    /// What it listens on.
    pub servers: Vec<Server>,
}

/// A server of a Gateway.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Server {
    /// Its port.
    pub port: Option<ServerPort>,
    /// Hosts it serves.
    pub hosts: Vec<Text>,
    /// The address it listens on; all where absent.
    pub bind: Option<Text>,
    /// How TLS ends there.
    pub tls: Option<ServerTls>,
}

/// Port of a Gateway's server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServerPort {
    /// Its number.
    pub number: Option<Spanned<u32>>,
    /// Its protocol.
    pub protocol: Option<Text>,
    /// Its name.
    pub name: Option<Text>,
}

/// TLS of a Gateway's server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServerTls {
    /// `SIMPLE`, `MUTUAL`, `PASSTHROUGH`, `AUTO_PASSTHROUGH`, `ISTIO_MUTUAL`.
    pub mode: Option<Text>,
    /// The Secret with the certificate.
    pub credential_name: Option<Text>,
    /// Several of them, for several kinds of keys.
    pub credential_names: Vec<Text>,
    /// The Secret with the CA of clients, where it is not that of the certificate.
    pub ca_cert_credential_name: Option<Text>,
    /// The certificate's file in the gateway's pod.
    pub server_certificate: Option<Text>,
    /// The key's file in the gateway's pod.
    pub private_key: Option<Text>,
}

/// `spec` of a ServiceEntry.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceEntry {
    /// Hosts it adds to the registry.
    pub hosts: Vec<Text>,
    /// Its ports.
    pub ports: Vec<ServerPort>,
    /// `MESH_EXTERNAL` where absent, or `MESH_INTERNAL`.
    pub location: Option<Text>,
    /// `NONE` where absent, `STATIC`, `DNS`, `DNS_ROUND_ROBIN`, `DYNAMIC_DNS`.
    pub resolution: Option<Text>,
    /// Its endpoints.
    pub endpoints: Vec<Spanned<WorkloadEntry>>,
    /// Addresses that clients call.
    pub addresses: Vec<Text>,
    /// Pods and WorkloadEntries that are its endpoints.
    pub workload_selector: Option<WorkloadSelector>,
    /// Namespaces that see it; all where empty.
    pub export_to: Vec<Text>,
}

/// `spec` of a WorkloadEntry, or an endpoint of a ServiceEntry.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WorkloadEntry {
    /// An address or a name.
    pub address: Option<Text>,
    /// Its labels.
    pub labels: Entries<Text>,
    /// `region/zone/subzone`.
    pub locality: Option<Text>,
    /// Its network.
    pub network: Option<Text>,
    /// Its share of the traffic.
    pub weight: Option<Spanned<u32>>,
    /// Its identity: with one it takes mTLS.
    pub service_account: Option<Text>,
}

/// `spec` of a Sidecar.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Sidecar {
    /// The workloads it is for; the whole namespace where absent.
    pub workload_selector: Option<WorkloadSelector>,
    /// What they can reach.
    pub egress: Vec<EgressListener>,
    /// What becomes of requests to hosts nobody knows; the mesh's own where absent.
    pub outbound_traffic_policy: Option<Spanned<OutboundTrafficPolicy>>,
}

/// What a sidecar can reach.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct EgressListener {
    /// The only port it is for; all that no other listener has where absent.
    pub port: Option<ServerPort>,
    /// `namespace/host` patterns.
    pub hosts: Vec<Text>,
}

impl TargetRef {
    /// Its name, where there is one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref().map(String::as_str)
    }
}

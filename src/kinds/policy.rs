//! Views of traffic policies: how clients treat a host.

use serde::Deserialize;

use super::parts::{Anything, PortSelector};
use crate::source::{Spanned, Text};
use crate::yaml::Entries;

/// How clients treat a host.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TrafficPolicy {
    /// How an endpoint is chosen.
    pub load_balancer: Option<Spanned<LoadBalancer>>,
    /// When an endpoint is ejected.
    pub outlier_detection: Option<Spanned<OutlierDetection>>,
    /// TLS towards the host.
    pub tls: Option<Spanned<ClientTls>>,
    /// Limits of connections.
    pub connection_pool: Option<Spanned<Anything>>,
    /// A proxy that connections are tunnelled through.
    pub tunnel: Option<Spanned<Anything>>,
    /// The PROXY protocol.
    pub proxy_protocol: Option<Spanned<Anything>>,
    /// How many retries may be under way.
    pub retry_budget: Option<Spanned<Anything>>,
    /// Policy by port: replaces, never adds.
    pub port_level_settings: Vec<PortPolicy>,
}

/// Policy of one port.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PortPolicy {
    /// The service's port.
    pub port: Option<PortSelector>,
    /// How an endpoint is chosen.
    pub load_balancer: Option<Spanned<LoadBalancer>>,
    /// When an endpoint is ejected.
    pub outlier_detection: Option<Spanned<OutlierDetection>>,
    /// TLS towards the host.
    pub tls: Option<Spanned<ClientTls>>,
    /// Limits of connections.
    pub connection_pool: Option<Spanned<Anything>>,
}

/// `loadBalancer`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LoadBalancer {
    /// `ROUND_ROBIN`, `LEAST_REQUEST`, `RANDOM`, `PASSTHROUGH`.
    pub simple: Option<Text>,
    /// An endpoint by a hash of the request.
    pub consistent_hash: Option<Spanned<Anything>>,
    /// Where traffic goes by locality.
    pub locality_lb_setting: Option<Spanned<LocalityLb>>,
    /// Envoy's zone-aware routing.
    pub zone_aware_lb_setting: Option<Spanned<ZoneAwareLb>>,
}

/// `localityLbSetting`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LocalityLb {
    /// `false` switches all of it off.
    pub enabled: Option<Spanned<bool>>,
    /// Weights by locality.
    pub distribute: Vec<Distribute>,
    /// Which region follows which.
    pub failover: Vec<Failover>,
    /// Labels that rank endpoints.
    pub failover_priority: Vec<Text>,
}

/// `zoneAwareLbSetting`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ZoneAwareLb {
    /// `false` switches it off, and `localityLbSetting` with it.
    pub enabled: Option<Spanned<bool>>,
    /// Which region follows which.
    pub failover: Vec<Failover>,
    /// Labels that rank endpoints.
    pub failover_priority: Vec<Text>,
    /// Zones count from so many healthy endpoints on; 6 where absent.
    pub min_cluster_size: Option<Spanned<u64>>,
}

impl LocalityLb {
    /// Whether it is switched on.
    pub fn is_enabled(&self) -> bool {
        is_on(self.enabled.as_ref())
    }
}

impl ZoneAwareLb {
    /// Whether it is switched on.
    pub fn is_enabled(&self) -> bool {
        is_on(self.enabled.as_ref())
    }
}

fn is_on(enabled: Option<&Spanned<bool>>) -> bool {
    enabled.is_none_or(|enabled| enabled.value)
}

/// Where clients of one locality send their traffic.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Distribute {
    /// Locality of the client: `region/zone/*`.
    pub from: Option<Text>,
    /// Locality and weight in per cent.
    pub to: Entries<Spanned<u32>>,
}

/// Which region follows which.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Failover {
    /// A region.
    pub from: Option<Text>,
    /// The region that takes over.
    pub to: Option<Text>,
}

/// `outlierDetection`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OutlierDetection {
    /// 5xx answers in a row; 5 where absent, 0 switches it off.
    pub consecutive_5xx_errors: Option<Spanned<u32>>,
    /// Gateway errors in a row.
    pub consecutive_gateway_errors: Option<Spanned<u32>>,
    /// Errors of the connection in a row, where these are counted apart.
    pub consecutive_local_origin_failures: Option<Spanned<u32>>,
    /// Whether errors of the connection are counted apart from 5xx answers.
    pub split_external_local_origin_errors: Option<Spanned<bool>>,
    /// Share of the endpoints that may be ejected, in per cent; 10 where absent.
    pub max_ejection_percent: Option<Spanned<u32>>,
    /// Below this share of healthy endpoints, in per cent, all get traffic.
    pub min_health_percent: Option<Spanned<u32>>,
}

impl OutlierDetection {
    /// The share of the endpoints that may be ejected, in per cent, as Envoy gets it: 0 counts as not
    /// set. Source: `cluster_traffic_policy.go`, `applyOutlierDetection`.
    pub fn max_ejection(&self) -> u32 {
        let told = self.max_ejection_percent.as_ref().map(|percent| percent.value);
        told.filter(|percent| *percent > 0).unwrap_or(10)
    }
}

/// `tls` of a traffic policy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClientTls {
    /// `DISABLE`, `SIMPLE`, `MUTUAL` or `ISTIO_MUTUAL`.
    pub mode: Option<Text>,
    /// The file with the certificates that vouch for the server's.
    pub ca_certificates: Option<Text>,
    /// The Secret with certificates.
    pub credential_name: Option<Text>,
    /// Names of which the server's certificate has to have one.
    pub subject_alt_names: Vec<Text>,
    /// Whether the server's certificate is not looked at.
    pub insecure_skip_verify: Option<Spanned<bool>>,
}

/// `retries`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Retries {
    /// How often.
    pub attempts: Option<Spanned<u32>>,
    /// After which failures: names and statuses, with commas; those of a connection where absent.
    pub retry_on: Option<Text>,
    /// Whether a retry may leave the priority of the first attempt.
    pub retry_remote_localities: Option<Spanned<bool>>,
}

//! What a control plane is told for the whole mesh, and what it is old enough for.

use crate::clusters::{ClusterId, Fact, Origin, Role};
use crate::kinds::control_plane::MeshConfig;
use crate::kinds::networking::{LocalityLb, TrafficPolicy, ZoneAwareLb};
use crate::mesh::Mesh;
use crate::source::{Span, Spanned, Text};

/// The minor version of Istio that brought `defaultTrafficPolicy`.
const DEFAULT_POLICY_SINCE: u32 = 31;
/// The minor version of Istio that brought `zoneAwareLbSetting`.
const ZONE_AWARE_SINCE: u32 = 31;

/// The minor version of Istio that tells proxies of endpoints that are not ready.
const SEND_UNREADY_SINCE: u32 = 31;

impl Mesh {
    /// MeshConfig of a control plane, wherever it stands: what comes first counts.
    pub fn mesh_configs(&self, control_plane: ClusterId) -> impl Iterator<Item = &MeshConfig> {
        self.cluster(control_plane).facts.mesh_config.iter()
    }

    /// Whether MeshConfig of a control plane is in the input, or what installs it without one.
    pub fn knows_mesh_config(&self, control_plane: ClusterId) -> bool {
        let cluster = self.cluster(control_plane);
        let installed = cluster.facts.role.iter().any(|(role, _)| *role == Role::Primary);
        installed || !cluster.facts.mesh_config.is_empty() || cluster.is_complete()
    }

    /// `localityLbSetting` of a control plane's MeshConfig.
    pub fn mesh_locality(&self, control_plane: ClusterId) -> Option<&Spanned<LocalityLb>> {
        self.mesh_configs(control_plane).find_map(|c| c.locality_lb_setting.as_ref())
    }

    /// `zoneAwareLbSetting` of a control plane's MeshConfig, where it knows that.
    pub fn mesh_zone_aware(&self, control_plane: ClusterId) -> Option<&Spanned<ZoneAwareLb>> {
        let told = self.mesh_configs(control_plane).find_map(|c| c.zone_aware_lb_setting.as_ref());
        told.filter(|_| self.knows_zone_aware(control_plane))
    }

    /// `defaultTrafficPolicy` of a control plane, where it knows that.
    pub fn default_traffic_policy(
        &self,
        control_plane: ClusterId,
    ) -> Option<&Spanned<TrafficPolicy>> {
        let told = self.mesh_configs(control_plane).find_map(|c| c.default_traffic_policy.as_ref());
        told.filter(|_| !self.is_before(control_plane, DEFAULT_POLICY_SINCE))
    }

    /// Takes all control planes for this version, whatever the input tells.
    pub fn take_version(&mut self, version: &str) {
        for cluster in &mut self.clusters {
            let value = Text::new(version.to_owned(), Span::default());
            cluster.facts.version = vec![Fact { value, origin: Origin::Configuration }];
        }
    }

    /// Whether a control plane knows `zoneAwareLbSetting`.
    pub fn knows_zone_aware(&self, control_plane: ClusterId) -> bool {
        !self.is_before(control_plane, ZONE_AWARE_SINCE)
    }

    /// Whether a control plane tells proxies of endpoints that are not ready, so that they know how many
    /// there are: since 1.31 unless `minHealthPercent` asks for a share of healthy ones.
    ///
    /// Source: `pilot/pkg/model/service.go` and `endpoint_builder.go`, `supportsUnhealthyEndpoints`.
    pub fn sends_unready(&self, control_plane: ClusterId, min_health_percent: u32) -> bool {
        let facts = &self.cluster(control_plane).facts;
        let feature = |name| facts.istiod_env(name)?.parse::<bool>().ok();
        let by_itself = feature("PILOT_AUTO_SEND_UNHEALTHY_ENDPOINTS");
        let by_itself = by_itself.unwrap_or(!self.is_before(control_plane, SEND_UNREADY_SINCE));
        feature("PILOT_SEND_UNHEALTHY_ENDPOINTS").unwrap_or(false)
            || by_itself && min_health_percent == 0
    }

    /// Whether a control plane is certainly older than Istio 1.`minor`. One whose version is not told
    /// is taken for a new one, as is one with a new revision beside an old one.
    pub fn is_before(&self, control_plane: ClusterId, minor: u32) -> bool {
        let told = &self.cluster(control_plane).facts.version;
        !told.is_empty() && told.iter().all(|v| is_older(&v.value, minor))
    }

    /// Whether a control plane may be older than Istio 1.`minor`: some version that is told of it is.
    pub fn may_be_before(&self, control_plane: ClusterId, minor: u32) -> bool {
        self.cluster(control_plane).facts.version.iter().any(|v| is_older(&v.value, minor))
    }
}

fn is_older(version: &str, minor: u32) -> bool {
    minor_of(version).is_some_and(|told| told < minor)
}

/// The minor version in `1.29.2`, `v1.29`, `1.29.2-distroless`.
fn minor_of(version: &str) -> Option<u32> {
    let mut numbers = version.strip_prefix('v').unwrap_or(version).split(['.', '-']);
    let major: u32 = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    (major == 1).then_some(minor)
}

//! Which locality setting counts for a policy: the first one there is, whole, never mixed.
//!
//! Source: `pilot/pkg/networking/core/loadbalancer/loadbalancer.go`, `GetEffectiveLbSetting`.

use super::distribution::{self, Asked, Preference};
use super::policy::{Level, Part, Policy};
use crate::clusters::ClusterId;
use crate::kinds::core::Service;
use crate::kinds::networking::{DestinationRule, LocalityLb, ZoneAwareLb};
use crate::mesh::{In, Mesh};
use crate::source::{Spanned, Text};

/// Where a setting comes from.
#[derive(Clone, Copy, Debug)]
pub enum By<'m> {
    /// A DestinationRule, at this level.
    Rule(&'m In<DestinationRule>, Level),
    /// MeshConfig of this control plane.
    Mesh(ClusterId),
}

impl By<'_> {
    /// Whether it is the mesh's own.
    pub fn is_mesh(self) -> bool {
        matches!(self, Self::Mesh(_))
    }
}

/// What decides about localities.
#[derive(Clone, Copy, Debug)]
pub enum Setting<'m> {
    /// Localities do not count: `localityLbSetting` says `enabled: false`. Nothing that would come
    /// after it counts either.
    Off {
        /// What says so.
        enabled: &'m Spanned<bool>,
        /// Where.
        by: By<'m>,
    },
    /// Localities do not count, and Envoy's own zone-aware routing is off too: `zoneAwareLbSetting`
    /// says `enabled: false`.
    ZoneAwareOff {
        /// What says so.
        enabled: &'m Spanned<bool>,
        /// Where.
        by: By<'m>,
    },
    /// `localityLbSetting`. Its failover wants outlier detection; its `distribute` does not.
    Locality {
        /// The setting.
        setting: &'m Spanned<LocalityLb>,
        /// Where it stands.
        by: By<'m>,
    },
    /// `zoneAwareLbSetting`, with or without outlier detection.
    ZoneAware {
        /// The setting.
        setting: &'m Spanned<ZoneAwareLb>,
        /// Where it stands.
        by: By<'m>,
    },
    /// The Service's `trafficDistribution`, with or without outlier detection.
    TrafficDistribution {
        /// What clients prefer.
        prefers: Preference,
        /// What says so: a field or annotation of the Service, or an annotation of its Namespace.
        told: &'m Text,
    },
    /// Nothing is set anywhere, so failover from locality to locality, given outlier detection.
    Default,
    /// A pipeline is still to fill in what decides.
    Unknown(&'m Text),
}

impl<'m> Setting<'m> {
    /// The setting that counts for a policy. The Service is the one whose attributes count: that of
    /// the control plane's own cluster where there is one.
    pub fn of(
        mesh: &'m Mesh,
        control_plane: ClusterId,
        policy: &Policy<'m>,
        service: Option<&'m In<Service>>,
    ) -> Self {
        let zone_aware = mesh.knows_zone_aware(control_plane);
        if let Part::Set { value, level, rule: Some(rule) } = policy.load_balancer {
            let by = By::Rule(rule, level);
            if let Some(setting) = value.zone_aware_lb_setting.as_ref().filter(|_| zone_aware) {
                return Self::zone_aware(setting, by);
            }
            if let Some(setting) = &value.locality_lb_setting {
                return Self::locality(setting, by);
            }
        }
        if let Some(told) = Self::of_service(mesh, control_plane, service) {
            return told;
        }
        Self::of_mesh(mesh, control_plane)
    }

    /// What a Service prefers, if nothing else had a say: a control plane then tells proxies of unready
    /// endpoints too, whatever ranks them.
    pub fn of_service(
        mesh: &'m Mesh,
        control_plane: ClusterId,
        service: Option<&'m In<Service>>,
    ) -> Option<Self> {
        match distribution::asked(mesh, control_plane, service?) {
            Ok(Some(Asked { prefers, told })) => Some(Self::TrafficDistribution { prefers, told }),
            Ok(None) => None,
            Err(told) => Some(Self::Unknown(told)),
        }
    }

    /// The setting of MeshConfig, for all that have none of their own.
    pub fn of_mesh(mesh: &'m Mesh, control_plane: ClusterId) -> Self {
        let by = By::Mesh(control_plane);
        if let Some(setting) = mesh.mesh_zone_aware(control_plane) {
            return Self::zone_aware(setting, by);
        }
        let setting = mesh.mesh_locality(control_plane);
        setting.map_or(Self::Default, |setting| Self::locality(setting, by))
    }

    /// The `localityLbSetting`, where one counts and is switched on.
    pub fn as_locality(self) -> Option<&'m Spanned<LocalityLb>> {
        match self {
            Self::Locality { setting, .. } => Some(setting),
            _ => None,
        }
    }

    /// Whether only MeshConfig has a say in it.
    pub fn is_of_mesh(self) -> bool {
        match self {
            Self::Off { by, .. }
            | Self::ZoneAwareOff { by, .. }
            | Self::Locality { by, .. }
            | Self::ZoneAware { by, .. } => by.is_mesh(),
            Self::Default => true,
            Self::TrafficDistribution { .. } | Self::Unknown(_) => false,
        }
    }

    fn zone_aware(setting: &'m Spanned<ZoneAwareLb>, by: By<'m>) -> Self {
        match setting.enabled.as_ref().filter(|enabled| !enabled.value) {
            Some(enabled) => Self::ZoneAwareOff { enabled, by },
            None => Self::ZoneAware { setting, by },
        }
    }

    fn locality(setting: &'m Spanned<LocalityLb>, by: By<'m>) -> Self {
        match setting.enabled.as_ref().filter(|enabled| !enabled.value) {
            Some(enabled) => Self::Off { enabled, by },
            None => Self::Locality { setting, by },
        }
    }
}

//! Which locality setting counts for a policy: the first one there is, whole, never mixed.
//!
//! Source: `pilot/pkg/networking/core/loadbalancer/loadbalancer.go`, `GetEffectiveLbSetting`, and
//! `pilot/pkg/model/service.go`, `GetTrafficDistribution`.

use super::policy::{Level, Part, Policy};
use crate::clusters::ClusterId;
use crate::kinds::core::Service;
use crate::kinds::is_placeholder;
use crate::kinds::networking::{DestinationRule, LocalityLb, ZoneAwareLb};
use crate::mesh::{In, Mesh, NETWORK_LABEL, REGION_LABEL, SUBZONE_LABEL, ZONE_LABEL};
use crate::source::{Spanned, Text};

/// The annotation for Services that are older than `spec.trafficDistribution`, and for Namespaces.
const ANNOTATION: &str = "networking.istio.io/traffic-distribution";

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

/// What clients of a Service prefer by its `trafficDistribution`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preference {
    /// Endpoints of their zone.
    SameZone,
    /// Endpoints of their subzone, then of their zone: `PreferClose` before Istio 1.27.
    SameSubzone,
    /// Endpoints of their node.
    SameNode,
}

impl Preference {
    /// What istiod makes of it: the same as this `failoverPriority`.
    pub fn keys(self) -> &'static [&'static str] {
        const ALL: [&str; 5] =
            [NETWORK_LABEL, REGION_LABEL, ZONE_LABEL, SUBZONE_LABEL, "kubernetes.io/hostname"];
        match self {
            Self::SameZone => &ALL[..3],
            Self::SameSubzone => &ALL[..4],
            Self::SameNode => &ALL,
        }
    }
}

/// Which values of `trafficDistribution` an istiod knows.
#[derive(Clone, Copy)]
struct Known {
    /// From 1.27 on: `PreferSameZone` and `PreferSameNode`, and `PreferClose` leaves subzones out.
    same_zone: bool,
    /// From 1.29 on: the annotation of a Namespace.
    namespaces: bool,
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
        let by = By::Mesh(control_plane);
        let config = || mesh.mesh_configs(control_plane);
        let setting = config().find_map(|c| c.zone_aware_lb_setting.as_ref());
        if let Some(setting) = setting.filter(|_| zone_aware) {
            return Self::zone_aware(setting, by);
        }
        let setting = config().find_map(|c| c.locality_lb_setting.as_ref());
        setting.map_or(Self::Default, |setting| Self::locality(setting, by))
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

    /// What a Service prefers, if nothing else had a say: a control plane then tells proxies of unready
    /// endpoints too, whatever ranks them.
    pub fn of_service(
        mesh: &'m Mesh,
        control_plane: ClusterId,
        service: Option<&'m In<Service>>,
    ) -> Option<Self> {
        traffic_distribution(mesh, control_plane, service?)
    }

    /// Whether it ranks endpoints without outlier detection too.
    pub fn is_forced(self) -> bool {
        matches!(self, Self::ZoneAware { .. } | Self::TrafficDistribution { .. })
    }
}

/// What a Service tells: its field, its annotation, its Namespace's annotation. An unknown value of
/// the field counts as none, one of an annotation as `Any`.
fn traffic_distribution<'m>(
    mesh: &'m Mesh,
    control_plane: ClusterId,
    service: &'m In<Service>,
) -> Option<Setting<'m>> {
    // Before, only ambient heeded it.
    if mesh.is_before(control_plane, 25) {
        return None;
    }
    let known = Known {
        same_zone: !mesh.is_before(control_plane, 27),
        namespaces: !mesh.is_before(control_plane, 29),
    };
    let found = |told: &'m Text, word: &str| {
        if is_placeholder(told) {
            return Some(Setting::Unknown(told));
        }
        known.preference(word).map(|prefers| Setting::TrafficDistribution { prefers, told })
    };
    let field = service.traffic_distribution.as_ref();
    if let Some(setting) = field.and_then(|told| found(told, told)) {
        return Some(setting);
    }
    let namespace = || {
        let namespace = mesh.namespace(service.cluster, &service.namespace).found()?;
        namespace.meta.annotation(ANNOTATION).filter(|_| known.namespaces)
    };
    let own = service.meta.annotation(ANNOTATION).filter(|told| !told.is_empty());
    let told = own.or_else(namespace)?;
    found(told, spelled(told))
}

/// A value of the annotation as the field spells it.
fn spelled(value: &str) -> &str {
    let all = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    all.into_iter().find(|word| word.eq_ignore_ascii_case(value)).unwrap_or(value)
}

impl Known {
    fn preference(self, word: &str) -> Option<Preference> {
        match word {
            "PreferClose" if !self.same_zone => Some(Preference::SameSubzone),
            "PreferClose" => Some(Preference::SameZone),
            "PreferSameZone" if self.same_zone => Some(Preference::SameZone),
            "PreferSameNode" if self.same_zone => Some(Preference::SameNode),
            _ => None,
        }
    }
}

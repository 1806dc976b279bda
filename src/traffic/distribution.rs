//! What a Service asks for by `trafficDistribution`, and which of its values an istiod knows.
//!
//! Source: `pilot/pkg/model/service.go`, `GetTrafficDistribution`.

use crate::clusters::ClusterId;
use crate::kinds::core::Service;
use crate::kinds::is_placeholder;
use crate::mesh::{In, Mesh, NETWORK_LABEL, REGION_LABEL, SUBZONE_LABEL, ZONE_LABEL};
use crate::source::Text;

/// The annotation for Services that are older than `spec.trafficDistribution`, and for Namespaces.
pub const ANNOTATION: &str = "networking.istio.io/traffic-distribution";

/// All values that some istiod knows.
pub const WORDS: [&str; 3] = ["PreferClose", "PreferSameZone", "PreferSameNode"];

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

    /// The value that asks for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::SameZone => "PreferSameZone",
            Self::SameSubzone => "PreferClose",
            Self::SameNode => "PreferSameNode",
        }
    }
}

/// What a Service asks for, and what says so: a field or annotation of the Service, or an annotation
/// of its Namespace.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'m> {
    /// What clients prefer.
    pub prefers: Preference,
    /// What says so.
    pub told: &'m Text,
}

/// Which values of `trafficDistribution` an istiod knows.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// From 1.27 on: `PreferSameZone` and `PreferSameNode`, and `PreferClose` leaves subzones out.
    same_zone: bool,
    /// From 1.29 on: the annotation of a Namespace.
    namespaces: bool,
}

impl Known {
    /// What a control plane knows.
    pub fn to(mesh: &Mesh, control_plane: ClusterId) -> Self {
        Self {
            same_zone: !mesh.is_before(control_plane, 27),
            namespaces: !mesh.is_before(control_plane, 29),
        }
    }

    /// What a value of the field asks for; `None` where it means nothing.
    pub fn preference(self, word: &str) -> Option<Preference> {
        match word {
            "PreferClose" if !self.same_zone => Some(Preference::SameSubzone),
            "PreferClose" => Some(Preference::SameZone),
            "PreferSameZone" if self.same_zone => Some(Preference::SameZone),
            "PreferSameNode" if self.same_zone => Some(Preference::SameNode),
            _ => None,
        }
    }

    /// Whether a value of the annotation, whose case does not count, means something: it may also ask
    /// for nothing.
    pub fn has_annotation(self, value: &str) -> bool {
        value.is_empty()
            || value.eq_ignore_ascii_case("any")
            || self.preference(spelled(value)).is_some()
    }
}

/// A value of the annotation as the field spells it.
fn spelled(value: &str) -> &str {
    WORDS.into_iter().find(|word| word.eq_ignore_ascii_case(value)).unwrap_or(value)
}

/// What a Service asks for: by its field, its annotation, its Namespace's annotation. An unknown value
/// of the field counts as none, one of an annotation as `Any`. A Namespace that is not in the input is
/// taken to say nothing. Fails with the text where a pipeline is still to fill it in.
pub fn asked<'m>(
    mesh: &'m Mesh,
    control_plane: ClusterId,
    service: &'m In<Service>,
) -> Result<Option<Asked<'m>>, &'m Text> {
    // Before, only ambient heeded it.
    if mesh.is_before(control_plane, 25) {
        return Ok(None);
    }
    let known = Known::to(mesh, control_plane);
    let read = |told: &'m Text, word: &str| {
        let asked = known.preference(word).map(|prefers| Asked { prefers, told });
        if is_placeholder(told) { Err(told) } else { Ok(asked) }
    };
    if let Some(told) = &service.traffic_distribution
        && let Some(asked) = read(told, told)?
    {
        return Ok(Some(asked));
    }
    let own = service.meta.annotation(ANNOTATION).filter(|told| !told.is_empty());
    let told = own.or_else(|| of_namespace(mesh, service).filter(|_| known.namespaces));
    told.map_or(Ok(None), |told| read(told, spelled(told)))
}

fn of_namespace<'m>(mesh: &'m Mesh, service: &'m In<Service>) -> Option<&'m Text> {
    let namespace = mesh.namespace(service.cluster, &service.namespace).found()?;
    namespace.meta.annotation(ANNOTATION)
}

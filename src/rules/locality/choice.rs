//! Which locality setting lays out endpoints: the DestinationRule's, the Service's or the mesh's.

use super::levels::Level;
use crate::clusters::{ClusterId, Role};
use crate::kinds::core::Service;
use crate::kinds::is_placeholder;
use crate::kinds::networking::{LocalityLb, ZoneAwareLb};
use crate::mesh::{Host, In, Lookup, Mesh, NETWORK_LABEL, REGION_LABEL, ZONE_LABEL};
use crate::source::{Spanned, Text};

/// The annotation of Services and Namespaces.
pub(super) const ANNOTATION: &str = "networking.istio.io/traffic-distribution";

/// Unready endpoints are sent to proxies from this minor version on, unless `minHealthPercent` is set.
pub(super) const UNREADY_SENT_SINCE: u32 = 31;

/// What a Service asks for by `trafficDistribution`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Preference<'m> {
    /// Whether it is for the client's node, and not just for its zone.
    pub(super) node: bool,
    /// Where it is written.
    pub(super) at: &'m Text,
}

impl Preference<'_> {
    /// `PreferSameZone` or `PreferSameNode`.
    pub(super) fn name(&self) -> &'static str {
        if self.node { "PreferSameNode" } else { "PreferSameZone" }
    }
}

/// The values that Istio knows.
pub(super) const VALUES: [&str; 3] = ["PreferClose", "PreferSameZone", "PreferSameNode"];

/// Whether a value of the Service's field is for the node and not just for the zone; `None` where Istio does not know it.
pub(super) fn of_field(value: &str) -> Option<bool> {
    match value {
        "PreferClose" | "PreferSameZone" => Some(false),
        "PreferSameNode" => Some(true),
        _ => None,
    }
}

/// The same for a value of the annotation, whose case does not count.
pub(super) fn of_annotation(value: &str) -> Option<bool> {
    let known = VALUES.into_iter().find(|known| known.eq_ignore_ascii_case(value));
    known.and_then(of_field)
}

/// Whether Istio knows a value of the annotation; it may also ask for nothing.
pub(super) fn is_known_annotation(value: &str) -> bool {
    value.is_empty() || value.eq_ignore_ascii_case("any") || of_annotation(value).is_some()
}

/// What a Service asks for: by its field, else by its annotation, else by its namespace's. A namespace
/// that is not in the input is taken to say nothing; `Unseen` where a pipeline fills a value in.
/// Source: `pilot/pkg/model/service.go`, `GetTrafficDistribution`.
pub(super) fn preference<'m>(mesh: &'m Mesh, service: &'m In<Service>) -> Lookup<Preference<'m>> {
    let field = service.traffic_distribution.as_ref();
    let namespace = mesh.namespace(service.cluster, &service.namespace).found();
    let inherited = namespace.and_then(|n| n.meta.annotation(ANNOTATION));
    let annotation = service.meta.annotation(ANNOTATION).or(inherited);
    if field.into_iter().chain(annotation).any(|told| is_placeholder(told)) {
        return Lookup::Unseen;
    }
    let by_field = field.and_then(|at| Some(Preference { node: of_field(at)?, at }));
    let by_annotation =
        || annotation.and_then(|at| Some(Preference { node: of_annotation(at)?, at }));
    match by_field.or_else(by_annotation) {
        Some(asked) => Lookup::Found(asked),
        None => Lookup::Absent { nearest: None },
    }
}

/// The Service whose fields a control plane goes by: that of its own cluster, or else the only one.
/// Source: `aggregate/controller.go`, `mergeService`.
pub(super) fn deciding(host: Host<'_>, control_plane: ClusterId) -> Option<&In<Service>> {
    let own = host.services_of_mesh(control_plane).find(|s| s.cluster == control_plane);
    let mut all = host.services_of_mesh(control_plane);
    match (own, all.next(), all.next()) {
        (Some(own), ..) => Some(own),
        (None, Some(only), None) => Some(only),
        _ => None,
    }
}

/// The mesh-wide setting of a control plane.
#[derive(Clone, Copy, Debug)]
pub(super) enum MeshWide<'m> {
    /// Nothing in the input tells its MeshConfig.
    Unseen,
    /// Locality load balancing is switched off.
    Off,
    /// Zone-aware routing, switched off or not.
    ZoneAware,
    /// A setting that is written down.
    Locality(&'m Spanned<LocalityLb>),
    /// Nothing is written, so `{enabled: true}` holds.
    BuiltIn,
}

/// The zone-aware setting of the mesh.
pub(super) fn mesh_zone_aware(
    mesh: &Mesh,
    control_plane: ClusterId,
) -> Option<&Spanned<ZoneAwareLb>> {
    let mut configs = mesh.mesh_configs(control_plane);
    let told = configs.find_map(|c| c.zone_aware_lb_setting.as_ref());
    told.filter(|_| mesh.knows_zone_aware(control_plane))
}

/// Whether the MeshConfig of a control plane is in the input, or what installs it without one.
pub(super) fn knows_mesh_config(mesh: &Mesh, control_plane: ClusterId) -> bool {
    let cluster = mesh.cluster(control_plane);
    let installed = cluster.facts.role.iter().any(|(role, _)| *role == Role::Primary);
    installed || !cluster.facts.mesh_config.is_empty() || cluster.is_complete()
}

/// The mesh-wide setting. Source: `loadbalancer.go`, `GetEffectiveLbSetting`.
pub(super) fn mesh_wide(mesh: &Mesh, control_plane: ClusterId) -> MeshWide<'_> {
    if !knows_mesh_config(mesh, control_plane) {
        return MeshWide::Unseen;
    }
    if mesh_zone_aware(mesh, control_plane).is_some() {
        return MeshWide::ZoneAware;
    }
    let mut configs = mesh.mesh_configs(control_plane);
    match configs.find_map(|c| c.locality_lb_setting.as_ref()) {
        Some(told) if !told.value.is_enabled() => MeshWide::Off,
        Some(told) => MeshWide::Locality(told),
        None => MeshWide::BuiltIn,
    }
}

/// How the endpoints of a level are laid out for its clients.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layout<'m> {
    /// Nobody can tell.
    Unknown,
    /// Region and zone count for nothing, or for something that is not looked into.
    Other,
    /// The own zone first, then the region: by this setting, or by the built-in one.
    OwnZoneFirst(Option<&'m Spanned<LocalityLb>>),
    /// Weights by locality.
    Weights(&'m Spanned<LocalityLb>),
}

/// How the endpoints of a level are laid out, outlier detection taken into account.
pub(super) fn layout<'m>(mesh: &'m Mesh, level: &Level<'m>) -> Layout<'m> {
    if level.zone_aware().is_some() {
        return Layout::Other;
    }
    if level.locality().is_some() {
        return level.enabled_locality().map_or(Layout::Other, |l| laid_out_by(l, level));
    }
    let Some(service) = level.host(mesh).and_then(|h| deciding(h, level.control_plane())) else {
        return Layout::Unknown;
    };
    match preference(mesh, service) {
        Lookup::Found(asked) if asked.node => return Layout::Other,
        Lookup::Found(_) => return Layout::OwnZoneFirst(None),
        Lookup::Absent { .. } => {}
        Lookup::Unseen => return Layout::Unknown,
    }
    match mesh_wide(mesh, level.control_plane()) {
        MeshWide::Unseen => Layout::Unknown,
        MeshWide::Locality(setting) => laid_out_by(setting, level),
        MeshWide::BuiltIn if level.outliers.is_some() => Layout::OwnZoneFirst(None),
        MeshWide::BuiltIn | MeshWide::Off | MeshWide::ZoneAware => Layout::Other,
    }
}

fn laid_out_by<'m>(setting: &'m Spanned<LocalityLb>, level: &Level<'m>) -> Layout<'m> {
    if !setting.distribute.is_empty() {
        return Layout::Weights(setting);
    }
    let places = [NETWORK_LABEL, REGION_LABEL, ZONE_LABEL];
    let keys = || setting.failover_priority.iter().map(|key| key.as_str());
    let by_zone = setting.failover_priority.is_empty()
        || keys().all(|k| places.contains(&k)) && keys().any(|k| k == ZONE_LABEL);
    match level.outliers {
        Some(_) if by_zone => Layout::OwnZoneFirst(Some(setting)),
        _ => Layout::Other,
    }
}

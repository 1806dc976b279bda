//! What hangs on a gateway between networks: its pods, and the zones they are in.

use super::gateways::passthrough_services;
use crate::finding::Findings;
use crate::kinds::workloads::Workload;
use crate::mesh::{In, Mesh};
use crate::source::Span;
use crate::traffic::Traffic;

/// Where a workload is told to have a single pod, and whether by an autoscaler that may go down to it.
fn single(mesh: &Mesh, workload: &In<Workload>) -> Option<(Span, bool)> {
    let daemon = workload.meta.kind.as_str() == "DaemonSet";
    let open =
        daemon || workload.meta.is_unread("spec.replicas") || mesh.is_assumed(&workload.meta);
    if let Some(scaler) = mesh.scalers_of(workload).first() {
        let (min, at) = scaler.min;
        return (min == 1 && !open).then_some((at.unwrap_or(scaler.span), true));
    }
    let told = workload.replicas.as_ref().filter(|replicas| replicas.value == 1 && !open)?;
    Some((told.span, false))
}

pub(super) fn eastwest_single_replica(traffic: &Traffic<'_>, found: &mut Findings) {
    let mesh = traffic.mesh();
    for service in passthrough_services(mesh).filter(|s| mesh.has_several_networks(s.cluster)) {
        let [workload] = mesh.backends(service)[..] else { continue };
        let Some((at, is_scaled)) = single(mesh, workload) else { continue };
        let may = if is_scaled { "may be" } else { "is" };
        let cluster = mesh.cluster_name(service.cluster);
        found
            .say(
                format!("the gateway `{}` between `{cluster}` and other networks {may} a single pod", service.name()),
                at,
                "when it restarts or its node is drained, all requests from other networks fail",
            )
            .also(service.named_at(), "all that other networks send comes this way")
            .help("run at least two, spread over zones, with a PodDisruptionBudget of `maxUnavailable: 1`");
    }
}

pub(super) fn gateway_single_zone(traffic: &Traffic<'_>, found: &mut Findings) {
    let mesh = traffic.mesh();
    for service in passthrough_services(mesh).filter(|s| mesh.has_several_networks(s.cluster)) {
        let placement = traffic.placements().of_service(service);
        let zones = mesh.zones(service.cluster);
        let mut open = placement.zones.iter().filter(|(_, bounds)| bounds.most > 0);
        let (Some((zone, _)), None) = (open.next(), open.next()) else { continue };
        let Some((workload, _)) = placement.workloads.first() else { continue };
        let few = placement.total.least < 2 || !placement.known || zones.len() < 2;
        if few || mesh.is_assumed(&workload.meta) {
            continue;
        }
        let others = zones.iter().filter(|other| *other != zone).count();
        let cluster = mesh.cluster_name(service.cluster);
        found
            .say(
                format!("all pods of the gateway between `{cluster}` and other networks are in `{}`", zone.zone),
                workload.named_at(),
                format!("in one zone of {}: with it, all requests from other networks are lost", others + 1),
            )
            .also(service.named_at(), "all that other networks send comes this way")
            .help(
                "spread it: `topologySpreadConstraints` with `topologyKey: topology.kubernetes.io/zone` and \
                 `whenUnsatisfiable: DoNotSchedule`, and nothing that pins it to a zone",
            );
    }
}

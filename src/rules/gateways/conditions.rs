//! What controllers say of resources, where a dump of a cluster has that.

use crate::finding::Findings;
use crate::kinds::{Condition, Meta};
use crate::mesh::{In, Mesh, value};

/// Conditions that tell of a fault where they are `False`.
const BOUND: &[&str] = &["istio.io/WaypointBound"];
const ENFORCED: &[&str] = &["ZtunnelAccepted", "WaypointAccepted"];
const ACCEPTED: &[&str] = &["Accepted", "Programmed", "ResolvedRefs"];

pub(super) fn refused_by_controller(mesh: &Mesh, found: &mut Findings) {
    say(&mesh.services, BOUND, found);
    say(&mesh.service_entries, BOUND, found);
    say(&mesh.workload_entries, BOUND, found);
    say(&mesh.authorization_policies, ENFORCED, found);
    say(&mesh.api_gateways, ACCEPTED, found);
    say(&mesh.api_routes, ACCEPTED, found);
}

fn say<S>(resources: &[In<S>], kinds: &[&str], found: &mut Findings) {
    for resource in resources {
        let meta: &Meta = &resource.meta;
        for condition in meta.conditions.iter().filter(|c| is_negative(c, kinds)) {
            let (Some(kind), Some(status)) = (&condition.kind, &condition.status) else { continue };
            let reason = value(condition.reason.as_ref()).unwrap_or("no reason");
            let told = value(condition.message.as_ref()).unwrap_or_default();
            let colon = if told.is_empty() { "" } else { ": " };
            found
                .say(
                    format!(
                        "{} `{}` is not `{kind}` ({reason}){colon}{told}",
                        meta.kind, meta.name
                    ),
                    status.span,
                    "its controller says so: it has no effect, or only in part",
                )
                .also(resource.named_at(), "the resource")
                .help("correct what the condition names: the controller tries again by itself");
        }
    }
}

fn is_negative(condition: &Condition, kinds: &[&str]) -> bool {
    let Some(kind) = value(condition.kind.as_ref()).filter(|kind| kinds.contains(kind)) else {
        return false;
    };
    let partly =
        kind == "WaypointAccepted" && value(condition.reason.as_ref()) == Some("PartiallyInvalid");
    partly || value(condition.status.as_ref()) == Some("False")
}

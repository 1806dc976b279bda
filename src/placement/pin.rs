//! The zones that a pod's own node selector and node affinity confine it to.

use crate::kinds::workloads::Workload;
use crate::kinds::workloads::{Expression, PodSpec};
use crate::mesh::{In, Locality, Mesh, REGION_LABEL, ZONE_LABEL};
use crate::source::{Span, Text};

/// A zone that a pod's own text names, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The zone; its region is empty where neither the pod nor the cluster's places tell it.
    pub zone: Locality,
    /// The value that names the zone.
    pub span: Span,
}

/// The one zone that a workload is confined to by node selector or required node affinity, whatever
/// nodes there are.
pub fn pinned_zone(mesh: &Mesh, workload: &In<Workload>) -> Option<Pin> {
    let spec = &super::demand::template(mesh, workload).spec;
    let [pin] = <[Pin; 1]>::try_from(allowed_zones(spec)?).ok()?;
    if !pin.zone.region.is_empty() {
        return Some(pin);
    }
    let zones = mesh.zones(workload.cluster);
    let mut same = zones.into_iter().filter(|z| z.zone == pin.zone.zone);
    match (same.next(), same.next()) {
        (Some(zone), None) => Some(Pin { zone, ..pin }),
        _ => Some(pin),
    }
}

/// The zones that a pod can be in by its own text; `None` where it does not say.
pub(super) fn allowed_zones(spec: &PodSpec) -> Option<Vec<Pin>> {
    let region = match allowed(spec, REGION_LABEL).as_deref() {
        Some([only]) => only.value.clone(),
        _ => String::new(),
    };
    let pin = |zone: &Text| Pin {
        zone: Locality { region: region.clone(), zone: zone.value.clone(), subzone: String::new() },
        span: zone.span,
    };
    Some(allowed(spec, ZONE_LABEL)?.into_iter().map(pin).collect())
}

/// The values of a label that a pod's nodes can have; `None` where it does not list them.
fn allowed<'s>(spec: &'s PodSpec, key: &str) -> Option<Vec<&'s Text>> {
    let terms = spec.affinity.node_affinity.required.as_ref().map(|r| &r.node_selector_terms);
    let listed = terms.and_then(|terms| {
        let terms =
            terms.iter().filter(|t| !t.match_expressions.is_empty() || !t.match_fields.is_empty());
        let lists: Option<Vec<_>> = terms.map(|t| listed(&t.match_expressions, key)).collect();
        let mut all = lists?.concat();
        all.sort_by(|a, b| a.value.cmp(&b.value));
        all.dedup_by(|a, b| a.value == b.value);
        Some(all)
    });
    match (spec.node_selector.get(key), listed) {
        (Some(only), Some(listed)) if listed.iter().all(|value| *value != only) => Some(Vec::new()),
        (Some(only), _) => Some(vec![only]),
        (None, listed) => listed,
    }
}

fn listed<'s>(conditions: &'s [Expression], key: &str) -> Option<Vec<&'s Text>> {
    let of = || conditions.iter().filter(|e| e.key.as_str() == key);
    let values = of().find(|e| e.operator.as_str() == "In")?.values.iter();
    Some(values.filter(|v| of().all(|e| e.matches(|_| Some(v.as_str())))).collect())
}

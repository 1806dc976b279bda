//! Autoscalers and disruption budgets: is there one for each zone, and can it do its work?

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::{Findings, Fix, Severity};
use crate::kinds::workloads::{DisruptionBudget, Workload};
use crate::mesh::{In, Lookup, Mesh, Scaler};
use crate::placement::{Bounds, pinned_zone, template};
use crate::source::Span;
use crate::traffic::Traffic;
use crate::yaml::IntOrString;

/// The workloads behind each service that are confined to one zone each, by zone.
fn by_zone(
    mesh: &Mesh,
) -> Vec<(&In<crate::kinds::core::Service>, BTreeMap<String, Vec<&In<Workload>>>)> {
    let mut found = Vec::new();
    let mut told: BTreeSet<(crate::clusters::ClusterId, Vec<Span>)> = BTreeSet::new();
    for service in &mesh.services {
        let mut zones: BTreeMap<String, Vec<&In<Workload>>> = BTreeMap::new();
        for workload in mesh.backends(service) {
            if let Some(pin) = pinned_zone(mesh, workload) {
                zones.entry(pin.zone.zone).or_default().push(workload);
            }
        }
        let spans: Vec<Span> = zones.values().flatten().map(|w| w.meta.span).collect();
        // Two services over the same workloads would say the same twice.
        if zones.len() > 1 && told.insert((service.cluster, spans)) {
            found.push((service, zones));
        }
    }
    found
}

pub(super) fn zone_without_autoscaler(mesh: &Mesh, found: &mut Findings) {
    for (service, zones) in by_zone(mesh) {
        let scaler = |workloads: &[&In<Workload>]| -> Option<Scaler> {
            workloads.iter().find_map(|w| mesh.scalers_of(w).first().cloned())
        };
        let Some(example) = zones.values().find_map(|w| scaler(w)) else { continue };
        for (zone, workloads) in zones.iter().filter(|(_, w)| scaler(w).is_none()) {
            let cluster = mesh.cluster_name(service.cluster);
            found
                .say(
                    format!("`{}` is autoscaled in other zones of `{cluster}`, and not in `{zone}`", service.name()),
                    workloads[0].named_at(),
                    format!("in `{zone}`, without an autoscaler: it keeps its replicas when the traffic of a lost zone arrives"),
                )
                .also(example.span, "the autoscaler of another zone")
                .help(format!("add an autoscaler for `{}`", workloads[0].name()));
        }
    }
}

pub(super) fn zone_without_disruption_budget(mesh: &Mesh, found: &mut Findings) {
    for (service, zones) in by_zone(mesh) {
        let budget = |workloads: &[&'_ In<Workload>]| {
            workloads.iter().find_map(|w| mesh.budgets_of(w).first().map(|b| b.named_at()))
        };
        let Some(example) = zones.values().find_map(|w| budget(w)) else { continue };
        for (zone, workloads) in zones.iter().filter(|(_, w)| budget(w).is_none()) {
            found
                .say(
                    format!(
                        "`{}` has a disruption budget in other zones, and none in `{zone}`",
                        service.name()
                    ),
                    workloads[0].named_at(),
                    format!("in `{zone}`: draining its nodes may evict all replicas at once"),
                )
                .also(example, "the budget of another zone")
                .help(format!("add a PodDisruptionBudget for `{}`", workloads[0].name()));
        }
    }
}

pub(super) fn autoscaler_target_missing(mesh: &Mesh, found: &mut Findings) {
    for scaler in mesh.scalers() {
        let Some((kind, name)) = scaler.target() else { continue };
        let known = ["Deployment", "StatefulSet", "ReplicaSet", "Rollout"];
        let Some(kind) = known.into_iter().find(|k| *k == kind) else { continue };
        let near = || {
            mesh.workloads
                .of_namespace(scaler.cluster, &scaler.namespace)
                .filter(|w| w.meta.kind.as_str() == kind)
        };
        let target = scaler.target.as_ref().and_then(|t| t.name.as_ref());
        let Some(at) = target.filter(|_| near().all(|w| w.name() != name)) else { continue };
        // Without a namespace of its own it goes wherever it is applied.
        let anywhere = |w: &&In<Workload>| w.name() == name;
        if !scaler.has_namespace
            && mesh.workloads.of_cluster(scaler.cluster).iter().find(anywhere).is_some()
        {
            continue;
        }
        if !mesh.has_seen(scaler.cluster, kind, &scaler.namespace)
            || crate::kinds::is_placeholder(name)
            || mesh.is_made_for_gateway(scaler.cluster, &scaler.namespace, name)
        {
            continue;
        }
        let nearest = match Lookup::<()>::absent(name, near().map(In::name)) {
            Lookup::Absent { nearest } => nearest,
            _ => None,
        };
        found
            .say(
                format!("`{}` scales {kind} `{name}`, which is not there", scaler.name),
                at.span,
                format!("no {kind} of namespace `{}` has this name", scaler.namespace),
            )
            .help("correct the name, or remove the autoscaler")
            .fix(nearest.map(|n| Fix::unsafe_replace(format!("use `{n}`"), at.span, n)));
    }
}

pub(super) fn autoscaler_bounds(traffic: &Traffic<'_>, found: &mut Findings) {
    for scaler in traffic.mesh().scalers() {
        say_bounds(scaler, found);
    }
    fewer_than_zones(traffic, found);
}

/// Bounds that the API server refuses.
fn say_bounds(scaler: &Scaler, found: &mut Findings) {
    let ((min, min_at), (max, max_at)) = (scaler.min, scaler.max);
    let Some(max) = max else { return };
    if min > max {
        let at = min_at.or(max_at).unwrap_or(scaler.span);
        let finding = found.say(
            format!("`{}` wants at least {min} replicas and at most {max}", scaler.name),
            at,
            "refused by the API server",
        );
        max_at.map(|at| finding.also(at, "less than the minimum"));
        finding.help("raise the maximum or lower the minimum");
    } else if let Some(at) = min_at.filter(|_| min == 0 && !scaler.keda) {
        found
            .say(
                format!(
                    "`{}` may scale to zero, which only clusters with `HPAScaleToZero` permit",
                    scaler.name
                ),
                at,
                "refused without this feature gate, and without an object or external metric",
            )
            .help("set at least 1, or use KEDA to scale to zero")
            .lower(Severity::Warning);
    }
}

/// Autoscalers that cannot fill all zones to which `distribute` sends traffic.
fn fewer_than_zones(traffic: &Traffic<'_>, found: &mut Findings) {
    let (mesh, placements) = (traffic.mesh(), traffic.placements());
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for share in placements.shares().iter().filter(|s| s.zones_wanted > 1) {
        let [(workload, _)] = share.workloads.as_slice() else { continue };
        let Some(scaler) = mesh.scalers_of(workload).first() else { continue };
        let wanted = share.zones_wanted;
        let (Some(max), Some(at)) = scaler.max else { continue };
        if max as usize >= wanted || !told.insert(at) {
            continue;
        }
        found
            .say(
                format!(
                    "`{}` allows fewer replicas ({max}) than the {wanted} zones that traffic is sent to",
                    scaler.name
                ),
                at,
                "fewer replicas than zones: one zone is always empty",
            )
            .also(share.to.span, "one of the zones")
            .help(format!("allow at least {wanted}"));
    }
}

pub(super) fn disruption_budget_blocks_zone(traffic: &Traffic<'_>, found: &mut Findings) {
    let (mesh, placements) = (traffic.mesh(), traffic.placements());
    for budget in &mesh.disruption_budgets {
        let guarded: Vec<&In<Workload>> = mesh
            .workloads
            .of_namespace(budget.cluster, &budget.namespace)
            .filter(|w| !w.is_owned() && w.meta.kind.as_str() != "DaemonSet")
            .filter(|w| {
                let labels = &template(mesh, w).metadata.labels;
                budget.selector.as_ref().is_some_and(|s| s.matches(labels))
            })
            .collect();
        let Some(first) = guarded.first() else { continue };
        // What says no number may get it from something that is not in the input.
        let open = |w: &&In<Workload>| {
            w.replicas.is_none() && mesh.scalers_of(w).is_empty() || mesh.is_assumed(&w.meta)
        };
        let wanted =
            guarded.iter().map(|w| placements.of(w).wanted).fold(Bounds::default(), Bounds::plus);
        if guarded.iter().any(open) || wanted.most == 0 {
            continue;
        }
        let Some((left, at)) = may_go(&budget.resource.spec, wanted) else { continue };
        let name = budget.name();
        if left == 0 {
            found
                .say(
                    format!("disruption budget `{name}` allows no eviction of `{}`", first.name()),
                    at,
                    format!("with {wanted} replicas, no node they run on can be drained"),
                )
                .also(first.named_at(), "the workload")
                .help("allow at least one eviction: `maxUnavailable: 1`, or more replicas");
        } else if let (Some(pin), [only]) = (pinned_zone(mesh, first), guarded.as_slice())
            && wanted.most > 1
            && left >= wanted.most
        {
            found
                .say(
                    format!(
                        "disruption budget `{name}` allows all pods of `{}` to be evicted at once",
                        only.name()
                    ),
                    at,
                    format!("these are all of its pods in `{}`", pin.zone.zone),
                )
                .also(pin.span, "confined to this zone")
                .help("keep at least one: `minAvailable: 1`");
        }
    }
}

/// How many of the pods a budget lets go when all are well, at the most, and what says so. The API
/// server rounds shares up for both fields.
fn may_go(budget: &DisruptionBudget, wanted: Bounds) -> Option<(u32, Span)> {
    let share = |value: &IntOrString, of: u32| match value {
        IntOrString::Int(n) => u32::try_from(*n).ok(),
        IntOrString::Str(text) => {
            let percent: u32 = text.strip_suffix('%')?.parse().ok()?;
            Some(of.checked_mul(percent)?.div_ceil(100))
        }
    };
    if wanted.most == u32::MAX {
        return None;
    }
    match (&budget.min_available, &budget.max_unavailable) {
        (Some(min), None) => {
            Some((wanted.most.saturating_sub(share(&min.value, wanted.most)?), min.span))
        }
        (None, Some(max)) => Some((share(&max.value, wanted.most)?, max.span)),
        _ => None,
    }
}

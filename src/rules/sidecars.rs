//! Sidecars: what proxies get to see.

mod egress;

use std::collections::BTreeSet;

use super::selected::{Selecting, chosen_twice, of_whole_namespaces};
use super::{Rule, rule};
use crate::finding::Findings;
use crate::mesh::{In, Lookup, Mesh, is_ambient_namespace, list};

pub(super) const RULES: &[Rule] = &[
    rule!("sidecars/in-ambient-mode", in_ambient_mode),
    rule!("sidecars/outbound-mode-unset", egress::outbound_mode_unset),
    rule!("sidecars/selects-no-workload", selects_no_workload),
    rule!("sidecars/several-for-namespace", several_for_namespace),
    rule!("sidecars/unknown-egress-host", egress::unknown_egress_host),
    rule!("sidecars/workload-selected-twice", workload_selected_twice),
];

fn all(mesh: &Mesh) -> Vec<Selecting<'_>> {
    let sidecars = mesh.sidecars.iter();
    sidecars.map(|s| Selecting::new(s, s.workload_selector.as_ref().map(|w| &w.labels))).collect()
}

fn selects_no_workload(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for sidecar in all(mesh) {
        let says = [
            "the Sidecar has no effect",
            "; a Sidecar is for workloads of its own namespace alone",
        ];
        sidecar.tell_of_nobody(mesh, found, &mut told, says);
    }
}

fn several_for_namespace(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    let all = all(mesh);
    for group in of_whole_namespaces(mesh, &all) {
        let ambient = mesh.namespace(group[0].cluster, group[0].namespace);
        let ambient = ambient.found().is_some_and(is_ambient_namespace);
        if ambient || !told.insert(group[0].named_at()) {
            continue;
        }
        let finding = found.say(
            format!(
                "namespace `{}` has {} Sidecars for all of its workloads",
                group[0].namespace,
                group.len()
            ),
            group[0].named_at(),
            "istiod uses the oldest of them and ignores the others",
        );
        for other in &group[1..] {
            finding.also(other.named_at(), "without a `workloadSelector` too");
        }
        finding.help("put their `egress` into one, or give each a `workloadSelector`");
    }
}

fn workload_selected_twice(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    let all = all(mesh);
    for (mut pods, sidecars) in chosen_twice(mesh, &all) {
        pods.retain(|p| mesh.is_ambient(p) != Some(true));
        let Some(first) = pods.first() else { continue };
        if !told.insert(sidecars.iter().map(|s| s.named_at()).collect::<Vec<_>>()) {
            continue;
        }
        let names = list(sidecars.iter().map(|s| s.meta.name.as_str()));
        let finding = found.say(
            format!(
                "Sidecars {names} all select {} of namespace `{}`",
                first.called(),
                first.namespace
            ),
            sidecars[0].named_at(),
            "istiod uses the oldest of them and ignores the others",
        );
        for other in &sidecars[1..] {
            finding.also(other.named_at(), "selects the same workload");
        }
        for pod in &pods {
            finding.also(pod.named_at(), "the workload");
        }
        finding.help("let each workload be selected by one Sidecar");
    }
}

fn in_ambient_mode(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    let of_pods = |sidecar: &Selecting<'_>| {
        let pods = sidecar.pods(mesh);
        let ambient: Vec<_> = pods.iter().filter(|p| mesh.is_ambient(p) == Some(true)).collect();
        (ambient.len() == pods.len()).then(|| ambient.first().map(|p| p.named_at())).flatten()
    };
    for sidecar in
        all(mesh).iter().filter(|s| mesh.is_read_in(s.cluster) && !mesh.is_assumed(s.meta))
    {
        let namespace = match mesh.namespace(sidecar.cluster, sidecar.namespace) {
            Lookup::Found(ns) if is_ambient_namespace(ns) && !mesh.is_assumed(&ns.meta) => Some(ns),
            _ => None,
        };
        let some_sidecar = || {
            let pods = mesh.pods_under_in(sidecar.cluster, sidecar.namespace);
            pods.into_iter().any(|p| mesh.has_sidecar(&p) == Some(true))
        };
        let at = match sidecar.labels {
            Some(_) => of_pods(sidecar),
            // In the root namespace it is for all namespaces without one of their own.
            None if sidecar.namespace == mesh.root_namespace(sidecar.cluster) => None,
            None => namespace.filter(|_| !some_sidecar()).map(In::named_at),
        };
        let Some(at) = at.filter(|_| told.insert(sidecar.named_at())) else { continue };
        found
            .say(
                format!("Sidecar `{}` is for workloads that have no sidecar", sidecar.meta.name),
                sidecar.named_at(),
                "they are in ambient mode: ztunnel and waypoints read no Sidecar",
            )
            .also(at, "in ambient mode")
            .help("remove it; what a workload may reach is for AuthorizationPolicies and `exportTo` there");
    }
}

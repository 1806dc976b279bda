//! Telemetries: whom they choose, and whether anybody takes what they tell.

use std::collections::BTreeSet;

use crate::finding::Findings;
use crate::mesh::{Lookup, Mesh, list};
use crate::rules::selected::{Selecting, chosen_twice, of_whole_namespaces};

/// Telemetries that choose workloads, by label or by namespace, and are attached to nothing.
fn all(mesh: &Mesh) -> Vec<Selecting<'_>> {
    let free =
        mesh.telemetries.iter().filter(|t| t.target_ref.is_none() && t.target_refs.is_empty());
    free.map(|t| Selecting::new(t, t.selector.as_ref().map(|s| &s.match_labels))).collect()
}

pub(super) fn telemetry_selects_no_workload(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for telemetry in all(mesh) {
        // In the root namespace it is for workloads of all namespaces.
        if telemetry.namespace == mesh.root_namespace(telemetry.cluster) {
            continue;
        }
        let Some((at, labels)) = telemetry.selects_nothing(mesh) else { continue };
        if told.insert(at) {
            found
                .say(
                    format!(
                        "Telemetry `{}` selects no workload of namespace `{}`",
                        telemetry.meta.name, telemetry.namespace
                    ),
                    at,
                    format!("no pod has `{labels}`: the Telemetry has no effect"),
                )
                .help("correct the labels; a Telemetry is for workloads of its own namespace");
        }
    }
}

pub(super) fn several_telemetries(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    let all = all(mesh);
    for group in of_whole_namespaces(mesh, &all) {
        if !told.insert(group[0].named_at()) {
            continue;
        }
        let finding = found.say(
            format!(
                "namespace `{}` has {} Telemetries for all of its workloads",
                group[0].namespace,
                group.len()
            ),
            group[0].named_at(),
            "one of them counts, the others are passed over: the oldest does",
        );
        for other in &group[1..] {
            finding.also(other.named_at(), "without a `selector`, too");
        }
        finding.help("put metrics, traces and access logs into one Telemetry");
    }
}

pub(super) fn telemetry_selected_twice(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    let all = all(mesh);
    for (pods, telemetries) in chosen_twice(mesh, &all) {
        let Some(first) = pods.first() else { continue };
        if !told.insert(telemetries.iter().map(|t| t.named_at()).collect::<Vec<_>>()) {
            continue;
        }
        let names = list(telemetries.iter().map(|t| t.meta.name.as_str()));
        let finding = found.say(
            format!(
                "Telemetries {names} all select {} of namespace `{}`",
                first.called(),
                first.namespace
            ),
            telemetries[0].named_at(),
            "one of them counts, the others are passed over: the oldest does",
        );
        for other in &telemetries[1..] {
            finding.also(other.named_at(), "selects the same workload");
        }
        for pod in &pods {
            finding.also(pod.named_at(), "the workload");
        }
        finding.help("let each workload be selected by one Telemetry");
    }
}

pub(super) fn access_log_without_provider(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for telemetry in &mesh.telemetries {
        let Lookup::Found(plane) = mesh.config_cluster(telemetry.cluster) else { continue };
        let configs = &mesh.cluster(plane).facts.mesh_config;
        let has_default = configs.iter().any(|c| !c.default_providers.access_logging.is_empty());
        let is_known = !configs.is_empty() || mesh.cluster(plane).is_complete();
        let is_off = |disabled: &Option<crate::source::Spanned<bool>>| {
            disabled.as_ref().is_some_and(|off| off.value)
        };
        let bare = telemetry
            .access_logging
            .iter()
            .any(|entry| entry.providers.is_empty() && !is_off(&entry.disabled));
        let unread = telemetry.meta.unread.iter().any(|path| path.contains("accessLogging"));
        let known =
            bare && is_known && !has_default && !unread && !mesh.is_assumed(&telemetry.meta);
        if known && told.insert(telemetry.named_at()) {
            found
                .say(
                    format!(
                        "Telemetry `{}` asks for access logs, and names nobody who takes them",
                        telemetry.name()
                    ),
                    telemetry.named_at(),
                    "no access log is written: the mesh has no `defaultProviders.accessLogging`",
                )
                .help("add `providers: [{name: envoy}]` to the entry of `accessLogging`");
        }
    }
}

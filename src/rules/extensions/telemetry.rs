//! Telemetries: whom they choose, and whether anybody takes what they tell.

use std::collections::BTreeSet;

use crate::finding::Findings;
use crate::kinds::extensions::{Observed, Telemetry};
use crate::mesh::{In, Lookup, Mesh, list};
use crate::rules::selected::{Selecting, chosen_twice, of_whole_namespaces};
use crate::source::Span;

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
        let says =
            ["the Telemetry has no effect", "; a Telemetry is for workloads of its own namespace"];
        telemetry.tell_of_nobody(mesh, found, &mut told, says);
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
            "only the oldest counts: istiod ignores the others",
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
            "only the oldest counts: istiod ignores the others",
        );
        for other in &telemetries[1..] {
            finding.also(other.named_at(), "selects the same workload");
        }
        for pod in &pods {
            finding.also(pod.named_at(), "the workload");
        }
        finding.help(
            "put metrics, traces and access logs into one Telemetry, or narrow the selectors",
        );
    }
}

/// Whether a Telemetry names who takes its access logs, or may.
fn may_name_logger(telemetry: &In<Telemetry>) -> bool {
    telemetry.access_logging.iter().any(|entry| !entry.providers.is_empty())
        || telemetry.meta.unread.iter().any(|path| path.contains("accessLogging"))
}

/// Whether a Telemetry takes its providers from another: that of the root namespace, and for certain
/// workloads that of their namespace.
fn inherits_logger(mesh: &Mesh, telemetry: &In<Telemetry>) -> bool {
    let root = mesh.root_namespace(telemetry.cluster);
    mesh.telemetries.of_cluster(telemetry.cluster).iter().any(|other| {
        let is_wide = other.selector.is_none() && other.target_refs.is_empty();
        let is_above = other.namespace == root || other.namespace == telemetry.namespace;
        let is_other = other.meta.span != telemetry.meta.span;
        is_wide && is_above && is_other && may_name_logger(other)
    })
}

fn is_on(entry: &Observed) -> bool {
    entry.disabled.as_ref().is_none_or(|off| !off.value)
}

pub(super) fn access_log_without_provider(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    logs_of_nobody(mesh, &mut told, found);
    filters_of_nobody(mesh, &mut told, found);
}

/// A filter counts for the providers beside it, and not for those that the entry inherits.
/// Source: `pilot/pkg/model/telemetry.go`, `mergeLogs`.
fn filters_of_nobody(mesh: &Mesh, told: &mut BTreeSet<Span>, found: &mut Findings) {
    for telemetry in mesh.telemetries.iter().filter(|it| !mesh.is_assumed(&it.meta)) {
        let is_read = !telemetry.meta.unread.iter().any(|path| path.contains("accessLogging"));
        let alone = telemetry
            .access_logging
            .iter()
            .filter(|entry| is_read && is_on(entry) && entry.providers.is_empty())
            .find_map(|entry| entry.filter.as_ref());
        let Some(filter) = alone.filter(|_| told.insert(telemetry.named_at())) else { continue };
        found
            .say(
                format!("a filter of Telemetry `{}` is for no provider", telemetry.name()),
                filter.span,
                "has no effect: a filter counts for the providers named beside it",
            )
            .help("add `providers`, such as `[{name: envoy}]`, to this entry of `accessLogging`");
    }
}

/// Neither a Telemetry, nor what it inherits from, nor MeshConfig says who takes its access logs.
fn logs_of_nobody(mesh: &Mesh, told: &mut BTreeSet<Span>, found: &mut Findings) {
    for telemetry in &mesh.telemetries {
        let Lookup::Found(plane) = mesh.config_cluster(telemetry.cluster) else { continue };
        let configs = &mesh.cluster(plane).facts.mesh_config;
        let has_default = configs.iter().any(|c| !c.default_providers.access_logging.is_empty());
        let is_known = !configs.is_empty() || mesh.cluster(plane).is_complete();
        if !telemetry.access_logging.iter().any(is_on)
            || !is_known
            || has_default
            || mesh.is_assumed(&telemetry.meta)
            || may_name_logger(telemetry)
            || inherits_logger(mesh, telemetry)
            || !told.insert(telemetry.named_at())
        {
            continue;
        }
        let file = configs.iter().find_map(|c| c.access_log_file.as_ref());
        let effect = match file.filter(|file| !file.is_empty()) {
            Some(_) => "has no effect: the `accessLogFile` of MeshConfig goes on for every request",
            None => "no access log is written: MeshConfig has no `defaultProviders.accessLogging`",
        };
        found
            .say(
                format!(
                    "Telemetry `{}` asks for access logs and names no provider",
                    telemetry.name()
                ),
                telemetry.named_at(),
                effect,
            )
            .help("add `providers: [{name: envoy}]` to the entry of `accessLogging`");
    }
}

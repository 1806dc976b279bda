//! Patches of EnvoyFilters: operations that do nothing there, or that depend on the order.

use std::collections::BTreeSet;

use crate::finding::Findings;
use crate::kinds::extensions::{ConfigPatch, EnvoyFilter};
use crate::mesh::{In, Mesh, value};
use crate::source::{Spanned, Text};

/// What a patch applies to, and its operation.
fn words(patch: &ConfigPatch) -> Option<(&Text, &Text)> {
    Some((patch.apply_to.as_ref()?, patch.patch.as_ref()?.operation.as_ref()?))
}

/// Operations that istiod passes over for what they are applied to, and what works instead.
/// Sources: `envoyfilter/rc_patch.go`, `cluster_patch.go` and `listener_patch.go`.
fn without_effect(apply_to: &str, operation: &str) -> Option<&'static str> {
    let merged =
        ["BOOTSTRAP", "CLUSTER", "EXTENSION_CONFIG", "FILTER_CHAIN", "HTTP_ROUTE", "LISTENER"];
    match (apply_to, operation) {
        ("ROUTE_CONFIGURATION", "MERGE") => None,
        ("ROUTE_CONFIGURATION", _) => Some(
            "a route configuration can only be merged: use `MERGE`, or patch its `VIRTUAL_HOST`",
        ),
        (known, "REPLACE") if merged.contains(&known) => {
            Some("use `MERGE`, or `REMOVE` and `ADD` in two patches")
        }
        _ => None,
    }
}

pub(super) fn patch_without_effect(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for filter in &mesh.envoy_filters {
        for patch in &filter.config_patches {
            let Some((apply_to, operation)) = words(&patch.value) else { continue };
            let Some(help) = without_effect(apply_to, operation) else { continue };
            let known =
                ["ADD", "REMOVE", "REPLACE", "INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST"];
            if !known.contains(&operation.as_str()) || !told.insert(operation.span) {
                continue;
            }
            found
                .say(
                    format!("EnvoyFilter `{}` has a patch that does nothing", filter.name()),
                    operation.span,
                    format!("istiod ignores `{operation}` for `{apply_to}`"),
                )
                .help(help);
        }
    }
}

/// Whether an operation finds its place by what is there already.
fn is_relative(apply_to: &str, operation: &str) -> bool {
    match operation {
        "INSERT_BEFORE" | "INSERT_AFTER" => true,
        "REMOVE" => !["ROUTE_CONFIGURATION", "HTTP_ROUTE"].contains(&apply_to),
        "REPLACE" => ["NETWORK_FILTER", "HTTP_FILTER", "VIRTUAL_HOST"].contains(&apply_to),
        _ => false,
    }
}

fn has_priority(filter: &In<EnvoyFilter>) -> bool {
    filter.priority.as_ref().is_some_and(|p| p.value.to_string() != "0")
}

pub(super) fn relative_patch(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for filter in mesh.envoy_filters.iter().filter(|f| !has_priority(f)) {
        let relative = |patch: &&Spanned<ConfigPatch>| {
            words(&patch.value)
                .is_some_and(|(apply_to, operation)| is_relative(apply_to, operation))
        };
        let all: Vec<_> = filter.config_patches.iter().filter(relative).collect();
        let places: Vec<&Text> = all.iter().filter_map(|p| Some(words(&p.value)?.1)).collect();
        let [first, others @ ..] = places.as_slice() else { continue };
        if !told.insert(first.span) {
            continue;
        }
        let by_version =
            all.iter().any(|p| value(p.matches.proxy.proxy_version.as_ref()).is_some());
        let finding = found.say(
            format!(
                "EnvoyFilter `{}` depends on what was applied before it, and has no `priority`",
                filter.name()
            ),
            first.span,
            format!("`{first}` depends on what Istio and older EnvoyFilters have put there"),
        );
        for other in others {
            finding.also(other.span, "and so does this patch");
        }
        if by_version {
            finding.message.push_str("; its patches are for certain versions of the proxy");
        }
        finding.help("set `priority` (higher is later), or use `INSERT_FIRST` or `ADD`");
    }
}

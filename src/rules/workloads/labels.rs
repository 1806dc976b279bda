//! Labels that Istio reads: their names, their values, and what they stand on.

use std::collections::BTreeSet;

use super::annotations::LABELS;
use crate::api::nearest;
use crate::finding::Findings;
use crate::kinds::{Meta, is_placeholder};
use crate::mesh::{
    DATAPLANE_MODE, Enrolment, INJECT, INJECTION, In, Mesh, REVISION, is_ambient_namespace, list,
    takes_in,
};
use crate::source::{Span, Text};
use crate::yaml::Entries;

/// The words that Istio reads in a label, and what comes of any other.
struct Words {
    label: &'static str,
    known: &'static [&'static str],
    otherwise: &'static str,
    ignores_case: bool,
}

/// Sources: the selectors of the injector's webhooks, `injectRequired` of `inject.go`, `PodAmbientEnabled` of
/// istio-cni, and `pilot/pkg/serviceregistry/kube/controller/ambient` for those of waypoints.
const WORDS: &[Words] = &[
    Words {
        label: INJECTION,
        known: &["enabled", "disabled"],
        otherwise: "no webhook selects it: its pods get no sidecar",
        ignores_case: false,
    },
    Words {
        label: DATAPLANE_MODE,
        known: &["ambient", "none"],
        otherwise: "means nothing to Istio: ztunnel does not take the pods in",
        ignores_case: false,
    },
    Words {
        label: INJECT,
        known: &["true", "false"],
        otherwise: "anything but `true` means that there is to be no sidecar",
        ignores_case: true,
    },
    Words {
        label: "istio.io/waypoint-for",
        known: &["service", "workload", "all", "none"],
        otherwise: "means nothing to Istio: the waypoint takes no traffic",
        ignores_case: false,
    },
    Words {
        label: "istio.io/ingress-use-waypoint",
        known: &["true", "false"],
        otherwise: "anything but `true` counts as `false`",
        ignores_case: true,
    },
    Words {
        label: "istio.io/global",
        known: &["true", "false"],
        otherwise: "anything but `true` counts as `false`: it stays in its own network",
        ignores_case: true,
    },
];

/// What carries labels that Istio reads: its kind, its head, and the labels themselves.
type Labelled<'m> = (&'m str, &'m Meta, &'m Entries<Text>);

fn of<S>(object: &In<S>) -> Labelled<'_> {
    (&object.meta.kind, &object.meta, &object.meta.labels)
}

fn all(mesh: &Mesh) -> impl Iterator<Item = Labelled<'_>> {
    let namespaces = mesh.namespaces.iter().map(of);
    let services = mesh.services.iter().map(of).chain(mesh.service_entries.iter().map(of));
    let gateways = mesh.api_gateways.iter().map(of);
    let machines = mesh.workload_entries.iter().map(of);
    let pods = mesh.pod_shapes().map(|pods| (pods.meta.kind.as_str(), pods.meta, pods.labels));
    let all = namespaces.chain(services).chain(gateways).chain(machines).chain(pods);
    all.filter(|(_, meta, _)| !mesh.is_assumed(meta))
}

pub(super) fn unknown_label_value(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for (_, meta, labels) in all(mesh) {
        for words in WORDS {
            let Some(value) = labels.get(words.label) else { continue };
            let lower = value.to_ascii_lowercase();
            let word = if words.ignores_case { lower.as_str() } else { value.as_str() };
            let open = value.is_empty() || is_placeholder(value);
            if open || words.known.contains(&word) || !told.insert(value.span) {
                continue;
            }
            let near = nearest(&lower, words.known.iter().copied());
            found
                .say(
                    format!(
                        "label `{}` of {} `{}` is `{value}`, which Istio does not know",
                        words.label, meta.kind, meta.name
                    ),
                    value.span,
                    words.otherwise,
                )
                .help(match near {
                    Some(near) => format!("write `{near}`"),
                    None => format!("write one of {}", list(words.known.iter().copied())),
                });
        }
    }
}

pub(super) fn unknown_label(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    let known = || LABELS.iter().copied().chain([INJECTION, REVISION, INJECT]);
    for (_, meta, labels) in all(mesh) {
        for (key, _) in labels {
            let domain = key.split_once('/').map_or(key.as_str(), |(domain, _)| domain);
            let of_istio = domain == "istio.io" || domain.ends_with(".istio.io");
            let bare = !key.contains('/') && key.starts_with("istio-");
            let is_known = known().any(|label| label == key.as_str());
            if is_known || !(of_istio || bare) || is_placeholder(key) {
                continue;
            }
            let Some(near) = nearest(key, known()) else { continue };
            if told.insert(key.span) {
                found
                    .say(
                        format!(
                            "Istio has no label `{key}`, which {} `{}` has",
                            meta.kind, meta.name
                        ),
                        key.span,
                        format!("nobody reads it: did you mean `{near}`?"),
                    )
                    .help(format!("write `{near}`"));
            }
        }
    }
}

pub(super) fn misplaced_label(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    on_namespaces(mesh, &mut told, found);
    on_workloads(mesh, &mut told, found);
}

/// What is for pods alone says nothing at a Namespace.
fn on_namespaces(mesh: &Mesh, told: &mut BTreeSet<Span>, found: &mut Findings) {
    for namespace in mesh.namespaces.iter().filter(|ns| !mesh.is_assumed(&ns.meta)) {
        let labels = &namespace.meta.labels;
        let Some((key, value)) = labels.iter().find(|(key, _)| key.as_str() == INJECT) else {
            continue;
        };
        let is_in = takes_in(namespace) && !is_ambient_namespace(namespace);
        let is_moot = match value.as_str() {
            "true" => is_in,
            "false" => !is_in,
            _ => true,
        };
        if is_moot || !told.insert(key.span) {
            continue;
        }
        let instead = if value.as_str() == "true" { "enabled" } else { "disabled" };
        found
            .say(
                format!(
                    "`{INJECT}` is a label of pods, and stands on Namespace `{}`",
                    namespace.name()
                ),
                key.span,
                "nobody reads it here: it has no effect",
            )
            .help(format!("write `{INJECTION}: {instead}`"));
    }
}

/// What is for pods or Namespaces says nothing at what makes the pods, and the other way round.
fn on_workloads(mesh: &Mesh, told: &mut BTreeSet<Span>, found: &mut Findings) {
    for pods in mesh.pod_shapes().filter(|pods| !mesh.is_assumed(pods.meta)) {
        let is_in = mesh.is_injected(&pods);
        let is_moot = |key: &str, value: &str| match (key, value) {
            (INJECT, "true") | (INJECTION, "enabled") => is_in != Some(false),
            (INJECT, "false") | (INJECTION, "disabled") => is_in != Some(true),
            (DATAPLANE_MODE, "ambient") => mesh.is_ambient(&pods) != Some(false),
            ("istio.io/use-waypoint", _) => {
                let place = (pods.cluster, pods.namespace);
                !matches!(mesh.enrolment(pods.labels, place), Enrolment::Without)
            }
            _ => true,
        };
        let of_pods = pods.labels.iter().filter(|(key, _)| key.as_str() == INJECTION);
        let of_maker = pods
            .meta
            .labels
            .iter()
            .filter(|(key, _)| !pods.is_pod() && pods.labels.get(key).is_none());
        for (key, value) in of_pods.chain(of_maker) {
            if is_moot(key, value) || !told.insert(key.span) {
                continue;
            }
            let (read_on, help) = if key.as_str() == INJECTION {
                ("a label of Namespaces", format!("write `{INJECT}` among the labels of the pods"))
            } else {
                ("a label of pods", "move it to `spec.template.metadata.labels`".to_owned())
            };
            found
                .say(
                    format!("`{key}` is {read_on}, and stands on {}", pods.called()),
                    key.span,
                    "nobody reads it here: it has no effect",
                )
                .help(help);
        }
    }
}

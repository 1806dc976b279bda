//! `failoverPriority`: labels that rank endpoints.

use std::collections::{BTreeMap, BTreeSet};

use super::texts::{SettingText, settings};
use crate::finding::{Findings, Fix, Severity};
use crate::kinds::is_placeholder;
use crate::mesh::{
    CLUSTER_LABEL, Host, Lookup, Mesh, NETWORK_LABEL, REGION_LABEL, SUBZONE_LABEL, ZONE_LABEL, list,
};
use crate::rules::SHOWN;
use crate::source::Text;

const HOSTNAME_LABEL: &str = "kubernetes.io/hostname";

/// An entry: a label, and the value endpoints are compared with in place of the client's own.
#[derive(Clone, Copy)]
pub(super) struct Key<'m> {
    pub(super) text: &'m Text,
    pub(super) label: &'m str,
    pub(super) value: Option<&'m str>,
}

/// The entries of a setting, in order. Source: `loadbalancer.go`, `priorityLabelOverrides`.
pub(super) fn keys<'m>(text: &SettingText<'m>) -> Vec<Key<'m>> {
    let entries = text.setting.setting.value.failover_priority.iter();
    let read = |text: &'m Text| {
        let mut parts = text.split('=');
        let label = parts.next().unwrap_or_default();
        let value = parts.next().filter(|_| parts.next().is_none());
        Key { text, label, value }
    };
    entries.map(read).collect()
}

pub(super) fn failover_priority_duplicate_key(mesh: &Mesh, found: &mut Findings) {
    for text in settings(mesh) {
        let keys = keys(&text);
        let mut told = BTreeSet::new();
        for key in &keys {
            let same: Vec<_> = keys.iter().filter(|k| k.label == key.label).collect();
            let values: BTreeSet<_> = same.iter().map(|k| k.value).collect();
            let (Some(last), true) = (same.last(), same.len() > 1 && told.insert(key.label)) else {
                continue;
            };
            let label = key.label;
            let finding = if values.len() == 1 {
                let repeated = format!(
                    "`{label}` stands {} times in failoverPriority of {}, with one value: the first decides all",
                    same.len(),
                    text.subject()
                );
                found.say(repeated, last.text.span, "never decides anything")
            } else {
                let counts = same.iter().rev().find_map(|k| k.value).unwrap_or_default();
                found.say(
                    format!("`{label}` stands {} times in failoverPriority of {}, with one value for all: `{counts}`", same.len(), text.subject()),
                    key.text.span,
                    format!("compared with `{counts}`: the last value is that of each entry for this label"),
                )
            };
            if values.len() == 1 {
                finding.lower(Severity::Warning);
            }
            for other in &same {
                finding.also(other.text.span, "the same label");
            }
            finding
                .help(format!(
                    "name each label once: `{label}` puts the client's own value first, `{label}=value` one \
                     value for all clients; several values cannot be put in order"
                ));
        }
    }
}

pub(super) fn failover_priority_malformed(mesh: &Mesh, found: &mut Findings) {
    for text in settings(mesh) {
        for key in keys(&text).into_iter().filter(|k| !is_placeholder(k.text)) {
            let Some(why) = malformed(&key) else { continue };
            found
                .say(
                    format!(
                        "`{}` in failoverPriority of {} is no label, nor `label=value`",
                        key.text,
                        text.subject()
                    ),
                    key.text.span,
                    why,
                )
                .help("write `label` to compare with the client's own value, or `label=value`");
        }
    }
}

/// What becomes of an entry that is not well formed.
fn malformed(key: &Key<'_>) -> Option<&'static str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if key.text.matches('=').count() > 1 {
        Some("with two `=` the value is dropped: compared with the client's own value")
    } else if key.label.is_empty() || !key.label.chars().all(|c| is_name(c) || c == '/') {
        Some("no label has such a name")
    } else if key.value.is_some_and(str::is_empty) {
        Some("without a value: endpoints that have the label rank behind those that have not")
    } else if key.value.is_some_and(|value| !value.chars().all(is_name)) {
        Some("no label has such a value: no endpoint matches")
    } else {
        None
    }
}

pub(super) fn failover_priority_order(mesh: &Mesh, found: &mut Findings) {
    for text in settings(mesh) {
        let keys = keys(&text);
        let mut pairs = keys.iter().enumerate().filter_map(|(i, wide)| {
            let narrow = keys[..i].iter().find(|narrow| is_within(narrow, wide))?;
            Some((narrow, wide))
        });
        let Some((narrow, wide)) = pairs.next() else { continue };
        let finding = found.say(
            format!(
                "`{}` decides nothing after `{}` in failoverPriority of {}",
                wide.label,
                narrow.label,
                text.subject()
            ),
            wide.text.span,
            "never decides: what differs in the narrower label ranks last before this is looked at",
        );
        finding.also(narrow.text.span, "the narrower label goes first");
        for (_, wide) in pairs {
            finding.also(wide.text.span, "too late as well");
        }
        let mut fix = Fix {
            edits: Vec::new(),
            ..Fix::unsafe_replace("put the wider first", wide.text.span, "")
        };
        let sorted = widest_first(&keys);
        let moved = keys.iter().zip(sorted).filter(|(old, new)| old.text.span != new.text.span);
        fix.edits.extend(moved.map(|(old, new)| (old.text.span, new.text.value.clone())));
        finding
            .help(
                "the first label that differs decides: put the wider place before the narrower one",
            )
            .fix([fix]);
    }
}

/// Labels of places, each within the one before it.
const CHAINS: [&[&str]; 2] =
    [&[NETWORK_LABEL, CLUSTER_LABEL], &[REGION_LABEL, ZONE_LABEL, SUBZONE_LABEL, HOSTNAME_LABEL]];

/// The chain of a label that is compared with the client's own, and its rank there.
fn rank(key: &Key<'_>) -> Option<(usize, usize)> {
    let plain = key.text.value == key.label;
    let place = |chain: &[&str]| chain.iter().position(|label| *label == key.label);
    let mut all = CHAINS.iter().enumerate();
    all.find_map(|(i, chain)| Some((i, place(chain)?))).filter(|_| plain)
}

fn is_within(narrow: &Key<'_>, wide: &Key<'_>) -> bool {
    rank(narrow).zip(rank(wide)).is_some_and(|((a, narrow), (b, wide))| a == b && narrow > wide)
}

/// The same keys with those of each chain in their order; all others stay where they are.
fn widest_first<'m>(keys: &[Key<'m>]) -> Vec<Key<'m>> {
    let mut sorted = keys.to_vec();
    for chain in 0..CHAINS.len() {
        let of = |key: &Key<'_>| rank(key).filter(|(c, _)| *c == chain).map(|(_, rank)| rank);
        let slots: Vec<usize> = (0..keys.len()).filter(|i| of(&keys[*i]).is_some()).collect();
        let mut own: Vec<Key<'_>> = slots.iter().map(|i| keys[*i]).collect();
        own.sort_by_key(of);
        slots.into_iter().zip(own).for_each(|(slot, key)| sorted[slot] = key);
    }
    sorted
}

pub(super) fn failover_priority_label_absent(mesh: &Mesh, found: &mut Findings) {
    for text in settings(mesh).into_iter().filter(|text| text.is_certain(mesh)) {
        for key in keys(&text) {
            if is_placeholder(key.text) || malformed(&key).is_some() {
                continue;
            }
            let Some((why, nearest)) = absent(mesh, &text, &key) else { continue };
            let effect = if key.value.is_some() {
                "no endpoint matches: from here on all rank alike"
            } else {
                "decides nothing: endpoints do not differ in it"
            };
            found
                .say(
                    format!(
                        "failoverPriority of {} ranks by `{}`, and {why}",
                        text.subject(),
                        key.text
                    ),
                    key.text.span,
                    effect,
                )
                .help("correct the label, or drop the entry")
                .fix(nearest.map(|near| {
                    let new = key.text.replacen(near.0, &near.1, 1);
                    Fix::unsafe_replace(format!("use `{}`", near.1), key.text.span, new)
                }));
        }
    }
}

type Near<'m> = Option<(&'m str, String)>;

/// Why no endpoint has the label or the value, and what may be meant: the old word and the new one.
fn absent<'m>(mesh: &'m Mesh, text: &SettingText<'m>, key: &Key<'m>) -> Option<(String, Near<'m>)> {
    let among = |lookup: Lookup<()>, what: &str, value: &'m str| match lookup {
        Lookup::Absent { nearest } => {
            Some((format!("no {what} has this name"), nearest.map(|near| (value, near))))
        }
        _ => None,
    };
    let plane = text.setting.cluster;
    match (key.label, key.value) {
        (CLUSTER_LABEL, Some(value)) => {
            among(mesh.cluster_called(value, plane).map(|_| ()), "cluster of the mesh", value)
        }
        (NETWORK_LABEL, Some(value)) => {
            among(mesh.network_called(value, plane).map(|_| ()), "network of the mesh", value)
        }
        (REGION_LABEL, Some(value)) => {
            among(mesh.whereabouts(&text.planes).find(value), "region of the mesh", value)
        }
        (label, _) if is_given(label) => None,
        (label, value) => {
            let host = text.host(mesh)?;
            let labels = pod_labels(mesh, text, host)?;
            let values = labels.get(label);
            match (values, value) {
                (None, _) => {
                    let Lookup::Absent { nearest } =
                        Lookup::<()>::absent(label, labels.keys().copied())
                    else {
                        return None;
                    };
                    let why = format!("no pod of `{}` has this label", host.short());
                    Some((why, nearest.map(|near| (label, near))))
                }
                (Some(values), Some(value)) if !values.contains(value) => {
                    let known = list(values.iter().copied().take(SHOWN));
                    Some((format!("pods of `{}` have {known}", host.short()), None))
                }
                _ => None,
            }
        }
    }
}

/// Whether Istio or Kubernetes may put a label on pods, so that templates do not show it.
fn is_given(label: &str) -> bool {
    let domain = label.split_once('/').map_or("", |(domain, _)| domain);
    let istio = domain == "istio.io" || domain.ends_with(".istio.io");
    let kubernetes = [
        "kubernetes.io",
        "topology.kubernetes.io",
        "failure-domain.beta.kubernetes.io",
        "apps.kubernetes.io",
        "batch.kubernetes.io",
        "statefulset.kubernetes.io",
    ];
    istio
        || kubernetes.contains(&domain)
        || matches!(label, "pod-template-hash" | "controller-revision-hash" | "job-name")
}

/// Labels of the pods behind a host, with their values; `None` where some pods are not in the input.
fn pod_labels<'m>(
    mesh: &'m Mesh,
    text: &SettingText<'m>,
    host: Host<'m>,
) -> Option<BTreeMap<&'m str, BTreeSet<&'m str>>> {
    let subset = text.subset(mesh, host);
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    if host.entries().next().is_some() {
        return None;
    }
    for service in host.services_of_mesh(text.setting.cluster) {
        let (workloads, pods) = (mesh.backends(service), mesh.pods_of(service));
        if workloads.is_empty() && pods.is_empty() {
            return None;
        }
        let workloads =
            workloads.into_iter().filter(|w| subset.is_none_or(|s| s.may_select(mesh, w)));
        let templates = workloads.map(|w| &w.resource.spec.template.metadata.labels);
        for (label, value) in
            templates.chain(pods.iter().map(|p| &p.resource.meta.labels)).flatten()
        {
            found.entry(label).or_default().insert(value);
        }
    }
    (!found.is_empty()).then_some(found)
}

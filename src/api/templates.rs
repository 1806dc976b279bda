//! What the API server asks of the pods that a workload makes.

use std::collections::BTreeMap;

use super::fault::Faults;
use super::hosts::is_ip;
use super::look::{Look, known_text};
use crate::yaml::{Shape, Value};

/// A workload of `apps` selects the pods that it makes, and pods of Jobs end.
pub(super) fn check(root: Value<'_>, kind: &str, faults: &mut Faults<'_>) {
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Rollout" => {
            selected(root, faults);
        }
        "Job" => ends(root.at(&["spec", "template", "spec"]), faults),
        "CronJob" => {
            ends(root.at(&["spec", "jobTemplate", "spec", "template", "spec"]), faults);
        }
        _ => {}
    }
}

fn selected(root: Value<'_>, faults: &mut Faults<'_>) {
    let labels = root.at(&["spec", "template", "metadata", "labels"]);
    let Some(labels) = labels.filter(|it| it.shape() == Shape::Mapping) else { return };
    let mut own = BTreeMap::new();
    for (key, value) in labels.entries() {
        // What is still to be filled in may be any label.
        let (Some(key), Some(_)) = (known_text(key), value.text()) else { return };
        own.insert(key.into_owned(), value);
    }
    let Some(wanted) = root.at(&["spec", "selector", "matchLabels"]) else { return };
    for (key, value) in wanted.entries() {
        let (Some(key), Some(word)) = (known_text(key), known_text(value)) else { continue };
        let help = "select the pods by labels of their `template`: the API server refuses a selector that does not fit it";
        match own.get(&*key) {
            None => {
                faults.invalid(value, "is no label of the pods in `template`", help);
            }
            Some(label) if known_text(*label).is_some_and(|it| it != word) => {
                let what = "is not what the pods in `template` have there";
                faults.invalid(value, what, help).also =
                    Some((label.span(), "the label of its pods"));
            }
            Some(_) => {}
        }
    }
}

fn ends(pods: Option<Value<'_>>, faults: &mut Faults<'_>) {
    if let Some(policy) = pods.and_then(|pods| pods.field("restartPolicy"))
        && known_text(policy).is_some_and(|it| it == "Always")
    {
        let help = "write `OnFailure` or `Never`";
        faults.invalid(policy, "is `Always`, and pods of a Job end", help);
    }
}

/// Addresses of an `EndpointSlice` are of its one type.
pub(super) fn addresses(root: Value<'_>, faults: &mut Faults<'_>) {
    let (holds, help): (fn(&str) -> bool, _) = match root.text_of("addressType").as_deref() {
        Some("IPv4") => (|it| is_ip(it) && !it.contains(':'), "write one such as `10.0.0.1`"),
        Some("IPv6") => (|it| is_ip(it) && it.contains(':'), "write one such as `2001:db8::1`"),
        _ => return,
    };
    let all = root.list("endpoints").flat_map(|it| it.list("addresses").collect::<Vec<_>>());
    for address in all {
        if known_text(address).is_some_and(|text| !holds(&text)) {
            faults.invalid(address, "is not an address of its `addressType`", help);
        }
    }
}

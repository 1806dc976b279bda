//! What the API server asks of the pods that a workload makes.

use super::fault::Faults;
use super::hosts::is_ip;
use super::look::{Look, is_whole, known_text};
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

/// A workload has to select its own pods. What does not say all of its containers is a patch for one that
/// stands elsewhere.
fn selected(root: Value<'_>, faults: &mut Faults<'_>) {
    let Some(spec) = root.field("spec") else { return };
    let Some(template) = spec.field("template") else { return };
    let is_run = |it: Value<'_>| it.has("name") && it.has("image");
    let mut containers = template.field("spec").into_iter().flat_map(|it| it.list("containers"));
    let labels = template.at(&["metadata", "labels"]).filter(|it| it.shape() == Shape::Mapping);
    let Some(labels) = labels.filter(|_| containers.next().is_some_and(is_run)) else { return };
    if !containers.all(is_run) || !is_whole(spec) || !is_whole(labels) {
        return;
    }
    let Some(selector) = spec.field("selector") else {
        faults.missing(spec, "selector", "add one that the labels of the template match");
        return;
    };
    for (key, value) in selector.map("matchLabels") {
        let (Some(name), Some(wanted)) = (known_text(key), known_text(value)) else { continue };
        let own = labels.field(&name);
        if own.is_none_or(|own| known_text(own).is_some_and(|own| own != wanted)) {
            let help = "write the labels of the template: the API server wants them to match";
            let what = "is a label that the pods of the template do not have";
            faults.invalid(value, what, help).also = Some((labels.span(), "the labels they have"));
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

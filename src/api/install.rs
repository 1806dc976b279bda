//! What installs Istio (IstioOperator, Sail's `Istio`), and what a pod asks of its own proxy.

use super::fault::{Cause, Fault, Faults};
use super::look::Look;
use super::mesh_config::{mesh_config, proxy_config};
use super::table::Version;
use super::walk::{Reader, walk};
use crate::yaml::{Shape, Value};

/// The annotation of a pod that is laid over the mesh's `defaultConfig`.
const PROXY_CONFIG: &str = "proxy.istio.io/config";

/// Components of their own before istiod came with 1.5, some of them a while longer.
const MERGED: &[&str] =
    &["citadel", "galley", "nodeAgent", "policy", "proxy", "sidecarInjector", "telemetry"];

/// What is wrong with an IstioOperator: `istioctl` takes no field that it does not know.
pub(super) fn operator(root: Value<'_>, faults: &mut Faults<'_>) {
    let Some(spec) = root.get("spec").filter(|it| !it.is_null()) else { return };
    walk(spec, "IstioOperator", Reader::ApiServer, faults);
    merged_components(spec, faults);
    within(spec.get("meshConfig"), faults);
    values(root, faults);
}

/// One finding for all of them: they are of one age.
fn merged_components(spec: Value<'_>, faults: &mut Faults<'_>) {
    let is_merged = |key: &Value<'_>| key.text().is_some_and(|it| MERGED.contains(&&*it));
    let mut old = spec.map("components").map(|(key, _)| key).filter(is_merged);
    let Some(first) = old.next() else { return };
    let others: Vec<String> = old.filter_map(|key| Some(format!("`{}`", key.text()?))).collect();
    let and =
        if others.is_empty() { String::new() } else { format!(", nor {}", others.join(", ")) };
    let what = format!("is a component that Istio has not had since 1.6{and}");
    let help = "leave it out: istiod does its work, and a newer `istioctl` refuses the file";
    faults.say(Cause::Unknown, first, what, help).is_mild = true;
}

/// What is wrong with the MeshConfig among the values of Istio's charts.
pub(super) fn values(root: Value<'_>, faults: &mut Faults<'_>) {
    within(root.at(&["spec", "values", "meshConfig"]), faults);
}

/// A MeshConfig that the chart writes into the ConfigMap of the control plane.
fn within(config: Option<Value<'_>>, faults: &mut Faults<'_>) {
    if let Some(config) = config.filter(|it| it.shape() == Shape::Mapping) {
        walk(config, "MeshConfig", Reader::Istiod, faults);
        mesh_config(config, faults);
    }
}

/// What is wrong with the annotation of a pod, or of the template of a workload's pods.
pub(super) fn of_pods(root: Value<'_>, runs: Option<Version>) -> Vec<Fault> {
    let mut found = Vec::new();
    for (path, prefix) in [
        (&["metadata"] as &[&str], "metadata.annotations[proxy.istio.io/config]: "),
        (
            &["spec", "template", "metadata"],
            "spec.template.metadata.annotations[proxy.istio.io/config]: ",
        ),
    ] {
        let Some(text) = root.at(path).and_then(|it| it.at(&["annotations", PROXY_CONFIG])) else {
            continue;
        };
        for document in text.embedded().documents.iter().take(1) {
            let config = document.root();
            let mut faults = Faults::within(config, prefix, runs);
            walk(config, "MeshProxyConfig", Reader::Istiod, &mut faults);
            if config.shape() == Shape::Mapping {
                proxy_config(config, &mut faults);
            }
            found.extend(faults.into_vec());
        }
    }
    found
}

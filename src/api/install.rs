//! What installs Istio (IstioOperator, Sail's `Istio`), and what a pod asks of its own proxy.

use super::fault::{Cause, Fault, Faults};
use super::formats::{PORTS, is_image_tag};
use super::hosts::is_subnet;
use super::look::{Look, known_number, known_text};
use super::mesh_config::{mesh_config, proxy_config};
use super::table::Version;
use super::walk::{Reader, walk};
use crate::kinds::is_placeholder;
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
    charts(spec, faults);
    tag(spec, faults);
    redirection(spec, faults);
    gateway_ports(spec, faults);
}

/// The values of the charts, but for the MeshConfig among them.
fn charts(spec: Value<'_>, faults: &mut Faults<'_>) {
    if let Some(values) = spec.field("values").filter(|it| it.shape() == Shape::Mapping) {
        walk(values, "IstioValues", Reader::Istioctl, faults);
    }
}

/// A tag may be a number: `1.26`.
fn tag(spec: Value<'_>, faults: &mut Faults<'_>) {
    let tag = spec.field("tag").filter(|it| it.shape() == Shape::Scalar);
    if let Some(tag) = tag.filter(|it| it.text().is_some_and(|text| is_bad_tag(&text))) {
        let help = "write 1 to 128 letters, digits, `_`, `-` and `.`";
        faults.invalid(tag, "is not the tag of an image", help);
    }
}

fn is_bad_tag(text: &str) -> bool {
    !is_image_tag(text) && !is_placeholder(text)
}

/// Which addresses and ports go through the proxies, for all pods.
fn redirection(spec: Value<'_>, faults: &mut Faults<'_>) {
    let Some(proxy) = spec.at(&["values", "global", "proxy"]) else { return };
    let is_range = |part: &str| part.contains('/') && is_subnet(part);
    let is_port = |part: &str| {
        matches!(part, "" | "*")
            || part.parse().is_ok_and(|port| port == 0 || PORTS.contains(&port))
    };
    let lists: [(&str, fn(&str) -> bool, &str); 4] = [
        (
            "includeIPRanges",
            is_range,
            "write `*`, or ranges such as `10.0.0.0/8`, with `,` between",
        ),
        ("excludeIPRanges", is_range, "write ranges such as `10.0.0.0/8`, with `,` between"),
        ("includeInboundPorts", is_port, "write `*`, or ports with `,` between"),
        ("excludeInboundPorts", is_port, "write ports with `,` between"),
    ];
    for (key, is_part, help) in lists {
        let Some(value) = proxy.field(key) else { continue };
        let Some(text) = known_text(value).filter(|it| !matches!(&**it, "" | "*")) else {
            continue;
        };
        if let Some(part) = text.split(',').find(|part| !is_part(part)) {
            let what = format!("has `{part}` in its list");
            faults.invalid(value, what, help);
        }
    }
}

/// Gateways do not run as root, unless the values say so, and `istioctl` wants ports that need no root.
fn gateway_ports(spec: Value<'_>, faults: &mut Faults<'_>) {
    for (list, name) in
        [("ingressGateways", "istio-ingressgateway"), ("egressGateways", "istio-egressgateway")]
    {
        let values = spec.at(&["values", "gateways", name]);
        if values.is_some_and(|it| it.is_true("runAsRoot")) {
            continue;
        }
        let gateways = spec.field("components").into_iter().flat_map(|it| it.list(list));
        let services = gateways.filter_map(|it| it.at(&["k8s", "service"]));
        let listed = values.into_iter().flat_map(|it| it.list("ingressPorts"));
        for port in services.flat_map(|it| it.list("ports")).chain(listed) {
            gateway_port(port, name, faults);
        }
    }
}

fn gateway_port(port: Value<'_>, name: &str, faults: &mut Faults<'_>) {
    const ROOT: i64 = 1024;
    let Some(number) = port.number_or_zero("port") else { return };
    let Some(target) = port.field("targetPort").map_or(Some(0), known_number) else { return };
    if target >= ROOT || (target == 0 && number > ROOT) {
        return;
    }
    let at = port.field("targetPort").or(port.field("port")).unwrap_or(port);
    let what = format!("makes the gateway listen below {ROOT}, which needs root");
    let help = format!(
        "set a `targetPort` from {ROOT} on, such as 8080 or 8443, or `values.gateways.{name}.runAsRoot: true`"
    );
    faults.invalid(at, what, help);
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

//! Ambient over several networks: what has to be switched on, and told alike.

use std::collections::BTreeSet;

use crate::clusters::{Cluster, is_on};
use crate::finding::Findings;
use crate::kinds::core::Service;
use crate::kinds::is_placeholder;
use crate::mesh::{In, Mesh, list, value};
use crate::source::{Span, Text};

/// The feature of istiod without which ambient keeps to its own network.
const FEATURE: &str = "AMBIENT_ENABLE_MULTI_NETWORK";
/// The label of Services that ambient calls across networks.
const GLOBAL: &str = "istio.io/global";

fn is_global(service: &In<Service>) -> bool {
    value(service.meta.label(GLOBAL)) == Some("true")
}

/// What asks for ambient over several networks in a mesh.
fn asked(mesh: &Mesh, of: &Cluster) -> Option<Span> {
    let class = |g: &Text| g.as_str() == "istio-east-west";
    let gateways = mesh.api_gateways.iter().filter(|g| mesh.same_mesh(g.cluster, of.id));
    let mut classes = gateways.filter_map(|g| g.gateway_class_name.as_ref()).filter(|c| class(c));
    let services = mesh.services.iter().filter(|s| mesh.same_mesh(s.cluster, of.id));
    let mut labels = services.filter(|s| is_global(s)).filter_map(|s| s.meta.label(GLOBAL));
    classes.next().or_else(|| labels.next()).map(|text| text.span)
}

pub(super) fn ambient_multinetwork_not_enabled(mesh: &Mesh, found: &mut Findings) {
    for clusters in mesh.meshes() {
        let Some(asked) = clusters.first().and_then(|first| asked(mesh, first)) else { continue };
        let planes = clusters.iter().filter(|c| mesh.config_cluster(c.id).found() == Some(c.id));
        let planes: Vec<&&Cluster> = planes.collect();
        let told = |c: &Cluster| c.facts.istiod_env(FEATURE).cloned();
        let on = planes.iter().find(|c| told(c).is_some_and(|told| is_on(&told)));
        let off = |c: &&&&Cluster| match told(c) {
            Some(told) => !is_on(&told) && !told.is_empty() && !is_placeholder(&told),
            None => !c.facts.istiod_env.is_empty() && (on.is_some() || c.is_complete()),
        };
        let without: Vec<&&&Cluster> = planes.iter().filter(off).collect();
        let Some(first) = without.first() else { continue };
        let finding = found.say(
            format!(
                "ambient is to span networks, and `{FEATURE}` is not on in {}",
                list(without.iter().map(|c| c.name.as_str()))
            ),
            asked,
            "counts for nothing there: requests stay in the client's network",
        );
        for plane in &without {
            if let Some(told) = told(plane) {
                finding.also(told.span, format!("off in `{}`", plane.name));
            }
        }
        finding.help(format!(
            "set `pilot.env.{FEATURE}: \"true\"` in `{}`, as in all primaries of the mesh",
            first.name
        ));
    }
}

pub(super) fn ambient_global_label_inconsistent(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for host in mesh.hosts() {
        for service in host.services().filter(|s| !mesh.is_assumed(&s.meta)) {
            let label = service.meta.label(GLOBAL);
            let open = label.is_some_and(|label| is_placeholder(label));
            let near = |s: &&In<Service>| s.cluster != service.cluster && is_global(s);
            let other = host.services_of_mesh(service.cluster).find(near);
            let Some(other) = other.filter(|_| !open && !is_global(service)) else { continue };
            let at = label.map_or(service.named_at(), |label| label.span);
            if !told.insert(at) {
                continue;
            }
            let (a, b) = (mesh.cluster_name(other.cluster), mesh.cluster_name(service.cluster));
            let finding = found.say(
                format!("`{}` is global in `{a}` and not in `{b}`", host.short()),
                at,
                format!("its pods in `{b}` are left out for clients of ambient in other networks"),
            );
            if let Some(label) = other.meta.label(GLOBAL) {
                finding.also(label.span, format!("global in `{a}`"));
            }
            finding.help(format!("label the Service `{GLOBAL}: \"true\"` in all clusters, and its waypoint's Service too"));
        }
    }
}

//! Ports of Services that lead to a port of their pods by its name.

use std::collections::BTreeSet;

use crate::finding::Findings;
use crate::kinds::is_placeholder;
use crate::mesh::{Lookup, Mesh, PodShape, list};
use crate::source::Text;
use crate::yaml::IntOrString;

/// Names of ports of the pods, as far as they are written down.
fn port_names<'m>(pods: &PodShape<'m>) -> impl Iterator<Item = &'m Text> {
    let containers = pods.spec.containers.iter().chain(&pods.spec.init_containers);
    containers.flat_map(|container| &container.ports).filter_map(|port| port.name.as_ref())
}

/// Whether pods are written down as a whole: injected gateways get their ports from a template.
fn is_whole(mesh: &Mesh, pods: &PodShape<'_>) -> bool {
    !mesh.is_assumed(pods.meta)
        && pods.meta.unread.is_empty()
        && !pods.spec.containers.is_empty()
        && !pods.is_injected_as_gateway()
        && !port_names(pods).any(|name| is_placeholder(name))
}

pub(in crate::rules) fn unknown_target_port(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for service in mesh.services.iter().filter(|s| !mesh.is_assumed(&s.meta)) {
        let named = service.ports.iter().filter_map(|port| {
            let target = port.target_port.as_ref()?;
            match &target.value {
                // A number in quotes is refused, as no name is without a letter.
                IntOrString::Str(name) if !is_placeholder(name) => {
                    name.contains(|c: char| c.is_ascii_alphabetic()).then_some((target.span, name))
                }
                _ => None,
            }
        });
        for (at, name) in named {
            let pods: Vec<_> = mesh.shapes_behind(service).collect();
            let [first, ..] = pods.as_slice() else { continue };
            let known: BTreeSet<&str> =
                pods.iter().flat_map(port_names).map(|name| name.as_str()).collect();
            // The proxy brings ports of its own.
            let of_proxy = name.starts_with("http-envoy") || name.starts_with("status-port");
            let whole = pods.iter().all(|pods| is_whole(mesh, pods));
            if known.contains(name.as_str()) || of_proxy || !whole || !told.insert(at) {
                continue;
            }
            let finding = found.say(
                format!("no pod of Service `{}` has a port called `{name}`", service.name()),
                at,
                "the port has no endpoints: requests to it fail",
            );
            finding.also(first.named_at(), "its pods");
            let nearest = Lookup::<()>::absent(name, known.iter().copied());
            finding.help(match nearest {
                Lookup::Absent { nearest: Some(nearest) } => format!("use `{nearest}`"),
                _ if known.is_empty() => {
                    "give the port of the container this name, or use its number".to_owned()
                }
                _ => format!("its pods have {}", list(known)),
            });
        }
    }
}

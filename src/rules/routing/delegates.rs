//! VirtualServices that others go on with.

use std::collections::BTreeSet;

use crate::finding::{Findings, Fix};
use crate::kinds::is_placeholder;
use crate::kinds::networking::VirtualService;
use crate::mesh::{In, Lookup, Mesh};
use crate::source::{Span, Text};

/// The VirtualService that a rule goes on with.
fn delegate<'m>(
    mesh: &'m Mesh,
    name: &str,
    namespace: &str,
    root: &In<VirtualService>,
) -> Lookup<&'m In<VirtualService>> {
    let near = || mesh.virtual_services.of_namespace(root.cluster, namespace);
    if let Some(found) = near().find(|s| s.name() == name) {
        return Lookup::Found(found);
    }
    let elsewhere = |s: &In<VirtualService>| s.name() == name && s.namespace == namespace;
    let complete = mesh.cluster(root.cluster).is_complete();
    let beside = near().any(|s| s.meta.file == root.meta.file && s.meta.span != root.meta.span);
    let unsure = is_placeholder(name)
        || is_placeholder(namespace)
        || mesh.virtual_services.iter().any(elsewhere)
        || !complete && namespace == "default" && !beside
        || !mesh.has_seen(root.cluster, "VirtualService", namespace);
    if unsure {
        return Lookup::Unseen;
    }
    Lookup::absent(name, near().filter(|s| s.hosts.is_empty()).map(In::name))
}

/// What comes of a rule whose delegate istiod does not find.
const LEFT_OUT: &str = "istiod leaves this rule out: requests go on to later ones, or get 404";

pub(super) fn unknown_delegate(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    let all = mesh.virtual_services.iter();
    for root in all.filter(|s| mesh.is_read_in(s.cluster) && !mesh.is_assumed(&s.meta)) {
        for to in root.http.iter().filter_map(|rule| rule.delegate.as_ref()) {
            let Some(name) = to.name.as_ref() else { continue };
            let namespace = to.namespace.as_ref().map_or(root.namespace.as_str(), |ns| ns.as_str());
            let complete = mesh.cluster(root.cluster).is_complete();
            match delegate(mesh, name, namespace, root) {
                Lookup::Absent { nearest }
                    if (complete || nearest.is_some()) && told.insert(name.span) =>
                {
                    say_missing(namespace, name, nearest, found);
                }
                Lookup::Found(it)
                    if !it.hosts.is_empty()
                        && !mesh.is_assumed(&it.meta)
                        && told.insert(name.span) =>
                {
                    say_with_hosts(namespace, name, it, found);
                }
                _ => {}
            }
        }
    }
}

fn say_missing(namespace: &str, name: &Text, nearest: Option<String>, found: &mut Findings) {
    found
        .say(format!("delegate `{namespace}/{name}` is not there"), name.span, LEFT_OUT)
        .help("correct the name and the namespace, or add the VirtualService")
        .fix(nearest.map(|n| Fix::unsafe_replace(format!("use `{n}`"), name.span, n)));
}

fn say_with_hosts(namespace: &str, name: &Text, it: &In<VirtualService>, found: &mut Findings) {
    let message = format!("delegate `{namespace}/{name}` has hosts, and so is none");
    found
        .say(message, name.span, LEFT_OUT)
        .also(it.hosts[0].span, "a delegate has no `hosts`")
        .help("take `hosts` and `gateways` out of the delegate");
}

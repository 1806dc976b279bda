//! Objects that are for namespaces which nobody has.

use std::collections::{BTreeMap, BTreeSet};

use crate::clusters::ClusterId;
use crate::finding::{Findings, Severity};
use crate::kinds::{Meta, is_placeholder};
use crate::mesh::{In, Lookup, Mesh, is_ambient_namespace};
use crate::source::{Span, Text};

/// What is exported, and to whom.
struct Exported<'m> {
    cluster: ClusterId,
    namespace: &'m str,
    meta: &'m Meta,
    to: &'m [Text],
}

impl<'m> Exported<'m> {
    fn of<S>(object: &'m In<S>, to: &'m [Text]) -> Self {
        let (cluster, namespace) = (object.cluster, object.namespace.as_str());
        Self { cluster, namespace, meta: &object.meta, to }
    }
}

fn all(mesh: &Mesh) -> impl Iterator<Item = Exported<'_>> {
    let services = mesh.virtual_services.iter().map(|s| Exported::of(s, &s.export_to));
    let rules = mesh.destination_rules.iter().map(|r| Exported::of(r, &r.export_to));
    let entries = mesh.service_entries.iter().map(|e| Exported::of(e, &e.export_to));
    services.chain(rules).chain(entries).filter(|it| mesh.is_read_in(it.cluster))
}

pub(super) fn exported_to_unknown_namespace(mesh: &Mesh, found: &mut Findings) {
    let mut unknown = Unknown::default();
    for it in all(mesh) {
        // In ambient nothing goes by it.
        let own = mesh.namespace(it.cluster, it.namespace).found();
        if own.is_some_and(is_ambient_namespace) {
            continue;
        }
        let words = it.to.iter().filter(|name| !["*", ".", "~", ""].contains(&name.as_str()));
        for name in words.filter(|name| name.as_str() != it.namespace) {
            let message = format!("{} `{}` is exported to", it.meta.kind, it.meta.name);
            unknown.look_at(mesh, it.cluster, (&message, "nobody there sees it"), name, found);
        }
    }
}

pub(super) fn grant_for_unknown_namespace(mesh: &Mesh, found: &mut Findings) {
    let mut unknown = Unknown::default();
    for grant in mesh.api_grants.iter().filter(|g| mesh.is_read_in(g.cluster)) {
        for name in grant.from.iter().filter_map(|from| from.namespace.as_ref()) {
            let message = format!("ReferenceGrant `{}` is for", grant.name());
            unknown.look_at(mesh, grant.cluster, (&message, "it lets nobody in"), name, found);
        }
    }
}

/// Looks for names of namespaces that no cluster of a mesh has, and says each once.
#[derive(Default)]
struct Unknown<'m> {
    by_mesh: BTreeMap<usize, BTreeSet<&'m str>>,
    told: BTreeSet<Span>,
}

impl<'m> Unknown<'m> {
    fn look_at(
        &mut self,
        mesh: &'m Mesh,
        cluster: ClusterId,
        (message, label): (&str, &str),
        name: &Text,
        found: &mut Findings,
    ) {
        let number = mesh.cluster(cluster).mesh;
        let known = self.by_mesh.entry(number).or_insert_with(|| mesh.namespaces_of_mesh(cluster));
        if is_placeholder(name)
            || known.contains(name.as_str())
            || !mesh.would_show_namespace(name, cluster)
            || !self.told.insert(name.span)
        {
            return;
        }
        let message = format!("{message} namespace `{name}`, which no cluster of the mesh has");
        let finding = found.say(message, name.span, label);
        let nearest = Lookup::<()>::absent(name, known.iter().copied());
        if let Lookup::Absent { nearest: Some(nearest) } = nearest {
            finding.help(format!("use `{nearest}`, or remove it"));
            return;
        }
        if !mesh.is_complete_under(cluster) {
            finding.milder(Severity::Note, ", unless it is created elsewhere");
        }
        finding.help("correct the name, or remove it");
    }
}

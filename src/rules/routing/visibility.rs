//! Objects that are exported to namespaces which nobody has.

use std::collections::{BTreeMap, BTreeSet};

use crate::clusters::ClusterId;
use crate::finding::{Findings, Severity};
use crate::kinds::{Meta, is_placeholder};
use crate::mesh::{In, Lookup, Mesh, is_ambient_namespace};
use crate::source::Text;

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
    let mut told = BTreeSet::new();
    let mut by_mesh: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for it in all(mesh) {
        // In ambient nothing goes by it.
        let own = mesh.namespace(it.cluster, it.namespace).found();
        if own.is_some_and(is_ambient_namespace) {
            continue;
        }
        for name in it.to {
            let word = name.as_str();
            if ["*", ".", "~", ""].contains(&word) || is_placeholder(name) || word == it.namespace {
                continue;
            }
            let number = mesh.cluster(it.cluster).mesh;
            let known =
                by_mesh.entry(number).or_insert_with(|| mesh.namespaces_of_mesh(it.cluster));
            if known.contains(word)
                || !mesh.would_show_namespace(word, it.cluster)
                || !told.insert(name.span)
            {
                continue;
            }
            let finding = found.say(
                format!(
                    "{} `{}` is exported to namespace `{name}`, which no cluster of the mesh has",
                    it.meta.kind, it.meta.name
                ),
                name.span,
                "nobody there sees it",
            );
            let nearest = Lookup::<()>::absent(name, known.iter().copied());
            if let Lookup::Absent { nearest: Some(nearest) } = nearest {
                finding.help(format!("use `{nearest}`, or remove it"));
                continue;
            }
            if !mesh.is_complete_under(it.cluster) {
                finding.milder(Severity::Note, ", unless it is created elsewhere");
            }
            finding.help("correct the name, or remove it");
        }
    }
}

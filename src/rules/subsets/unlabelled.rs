//! Subsets that are no part of their host.

use std::collections::BTreeSet;

use crate::finding::Findings;
use crate::mesh::{Mesh, subsets_of};

pub(super) fn subset_without_labels(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for rule in mesh.destination_rules.iter().filter(|r| !mesh.is_assumed(&r.meta)) {
        let all: Vec<_> = subsets_of(rule).collect();
        let is_whole = |labels: usize| labels == 0 && rule.meta.unread.is_empty();
        let Some(part) = all.iter().find(|s| s.subset.labels.iter().next().is_some()) else {
            continue;
        };
        for subset in all.iter().filter(|s| is_whole(s.subset.labels.iter().count())) {
            if told.insert(subset.name.span) {
                found
                    .say(
                        format!("subset `{}` has no labels", subset.name),
                        subset.name.span,
                        "takes in all endpoints of the host, those of the other subsets too",
                    )
                    .also(part.name.span, "such as this one's")
                    .help("give it labels, or route to the host without a subset");
            }
        }
    }
}

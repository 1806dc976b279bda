//! Which namespaces have Sidecars that may import a host, without asking each Sidecar.

use std::collections::{BTreeMap, BTreeSet};

use super::overlap;
use crate::clusters::ClusterId;
use crate::kinds::networking::Sidecar;
use crate::mesh::In;

/// What stands for all namespaces, and for all hosts.
const ALL: &str = "*";

/// Lines of Sidecars by what they import.
#[derive(Debug, Default)]
pub struct Importers<'m> {
    /// By control plane and the namespace of what is imported; [`ALL`] where it may be any.
    lines: BTreeMap<(ClusterId, &'m str), Vec<Line<'m>>>,
}

#[derive(Debug)]
struct Line<'m> {
    hosts: &'m str,
    /// The namespace of the Sidecar.
    importer: &'m str,
}

impl<'m> Importers<'m> {
    /// Takes the Sidecars of one namespace. Where none is for all its pods, or one has no listeners, some of
    /// its pods may import everything.
    pub(super) fn take(&mut self, plane: ClusterId, importer: &'m str, all: &[&'m In<Sidecar>]) {
        let mut add = |of: &'m str, hosts: &'m str| {
            self.lines.entry((plane, of)).or_default().push(Line { hosts, importer });
        };
        let is_whole = all.iter().any(|s| s.workload_selector.is_none());
        if !is_whole || all.iter().any(|s| s.egress.is_empty()) {
            return add(ALL, ALL);
        }
        let lines = all.iter().flat_map(|s| &s.egress).flat_map(|listener| &listener.hosts);
        for (of, hosts) in lines.filter_map(|line| line.as_str().split_once('/')) {
            match of {
                "." => add(importer, hosts),
                of if of.starts_with('~') => {}
                of => add(of, hosts),
            }
        }
    }

    /// The namespaces with Sidecars that import a host from one of these namespaces, or some of it: lines
    /// that exclude it are not counted.
    pub(super) fn of(
        &self,
        plane: ClusterId,
        host: &str,
        namespaces: &BTreeSet<&'m str>,
    ) -> impl Iterator<Item = &'m str> {
        let near = namespaces.iter().copied().chain([ALL]);
        let lines = near.filter_map(move |ns| self.lines.get(&(plane, ns))).flatten();
        lines.filter(move |line| overlap(line.hosts, host)).map(|line| line.importer)
    }
}

//! Holds every resource to its API, in parallel, as kustomize makes it.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use crate::api::{self, Version};
use crate::clusters::{ClusterId, Fleet, Member};
use crate::mesh::Faulty;

/// What is wrong with the resources of all clusters. One that several clusters share is looked at once.
pub(super) fn of(fleet: &Fleet) -> Vec<Faulty> {
    let mut places = HashMap::new();
    let mut shared: Vec<(&Member, Vec<ClusterId>)> = Vec::new();
    for member in &fleet.members {
        let place =
            *places.entry((Arc::as_ptr(&member.object), &member.namespace)).or_insert(shared.len());
        match shared.get_mut(place) {
            Some((_, clusters)) => clusters.push(member.cluster),
            None => shared.push((member, vec![member.cluster])),
        }
    }
    let check = |(member, clusters): (&Member, Vec<ClusterId>)| -> Vec<Faulty> {
        let root = member.object.tree.value();
        let runs = clusters.iter().filter_map(|id| runs(fleet, *id)).min();
        let faults = api::check(root, &member.object.meta, &member.namespace, runs);
        faults.into_iter().map(|fault| Faulty { clusters: clusters.clone(), fault }).collect()
    };
    shared.into_par_iter().flat_map_iter(check).collect()
}

/// The newest version of Istio that a cluster is known to run.
fn runs(fleet: &Fleet, cluster: ClusterId) -> Option<Version> {
    fleet.clusters.get(cluster.index())?.runs().map(|(version, _)| version)
}

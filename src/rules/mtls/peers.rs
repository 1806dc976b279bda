//! PeerAuthentications that choose nobody, or the same as others do.

use std::collections::BTreeSet;

use crate::finding::Findings;
use crate::mesh::{Mesh, list};
use crate::rules::selected::{Selecting, chosen_twice, of_whole_namespaces};

fn all(mesh: &Mesh) -> Vec<Selecting<'_>> {
    let policies = mesh.peer_authentications.iter();
    policies.map(|p| Selecting::new(p, p.selector.as_ref().map(|s| &s.match_labels))).collect()
}

pub(in crate::rules) fn selects_no_workload(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for policy in all(mesh) {
        let says =
            ["the policy has no effect", "; one with a `selector` is for its own namespace alone"];
        policy.tell_of_nobody(mesh, found, &mut told, says);
    }
}

pub(in crate::rules) fn several_for_namespace(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for group in of_whole_namespaces(mesh, &all(mesh)) {
        let [first, others @ ..] = group.as_slice() else { continue };
        if !told.insert(first.named_at()) {
            continue;
        }
        let whom = if first.namespace == mesh.root_namespace(first.cluster) {
            "the whole mesh".to_owned()
        } else {
            format!("the whole namespace `{}`", first.namespace)
        };
        let finding = found.say(
            format!("{} PeerAuthentications are for {whom}", group.len()),
            first.named_at(),
            "istiod uses the oldest of them and ignores the others",
        );
        for other in others {
            finding.also(other.named_at(), "without a `selector` too");
        }
        finding.help("keep one, or give the others a `selector`");
    }
}

pub(in crate::rules) fn workload_selected_twice(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for (pods, policies) in chosen_twice(mesh, &all(mesh)) {
        let [first, others @ ..] = policies.as_slice() else { continue };
        let Some(pod) = pods.first() else { continue };
        let places: Vec<_> = policies.iter().map(|p| p.named_at()).collect();
        if !told.insert(places) {
            continue;
        }
        let names = list(policies.iter().map(|p| p.meta.name.as_str()));
        let finding = found.say(
            format!(
                "PeerAuthentications {names} all select {} of namespace `{}`",
                pod.called(),
                pod.namespace
            ),
            first.named_at(),
            "istiod uses the oldest of them and ignores the others",
        );
        for other in others {
            finding.also(other.named_at(), "selects the same workload");
        }
        for pod in &pods {
            finding.also(pod.named_at(), "the workload");
        }
        finding.help("let each workload be selected by one PeerAuthentication");
    }
}

//! What a kustomization does to its resources, in kustomize's order: patches, namespace, names, labels,
//! replicas, replacements.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Made, Node, labels, patch};
use crate::clusters::is_cluster_scoped;
use crate::clusters::tree::Tree;
use crate::kinds::delivery::{Replacement, Replicas};
use crate::kinds::parts::TargetRef;
use crate::kinds::{Object, View};
use crate::source::Text;

pub(super) fn apply<'i>(tree: &Tree<'i>, node: &Node<'i>, made: &mut Vec<Made<'i>>) {
    let spec = &node.spec.spec;
    for patch in patch::merges(tree, node) {
        patch.apply(tree, made);
    }
    if let Some(namespace) = spec.namespace.as_ref().filter(|ns| !ns.is_empty()) {
        made.iter_mut().for_each(|made| change(made, |object| set_namespace(object, namespace)));
    }
    let (prefix, suffix) = (text(spec.name_prefix.as_ref()), text(spec.name_suffix.as_ref()));
    if !prefix.is_empty() || !suffix.is_empty() {
        rename(made, prefix, suffix);
    }
    for labels in labels::of(spec) {
        for made in &mut *made {
            change(made, |object| labels.put_on(object));
            made.labels.push(labels);
        }
    }
    for patch in patch::json(tree, node) {
        patch.apply(tree, made);
    }
    for replicas in &spec.replicas {
        set_replicas(made, replicas);
    }
    for replacement in &spec.replacements {
        fill_in(made, replacement);
    }
}

/// Where a replacement puts its values is not followed, only into which resources.
fn fill_in(made: &mut [Made<'_>], replacement: &Replacement) {
    let unknown = replacement.path.is_some();
    for made in made {
        let metas = [&made.object.meta, &made.origin.meta];
        let targets = replacement.targets.iter();
        let is_target = targets
            .map(|target| &target.select)
            .any(|select| metas.iter().any(|meta| patch::matches(select, meta)));
        if unknown || is_target {
            change(made, |object| object.change_meta(|meta| meta.is_filled_in = true));
        }
    }
}

fn text(text: Option<&Text>) -> &str {
    text.map_or("", |t| t.as_str())
}

fn change(made: &mut Made<'_>, with: impl FnOnce(&mut Object)) {
    with(Arc::make_mut(&mut made.object));
}

/// kustomize gives the namespace to all that have one, and its name to the Namespace object.
fn set_namespace(object: &mut Object, namespace: &Text) {
    let kind = object.meta.kind.value.clone();
    if kind == "Namespace" {
        object.change_meta(|meta| meta.name.value.clone_from(&namespace.value));
    } else if !is_cluster_scoped(&kind) {
        object.change_meta(|meta| meta.namespace = Some(namespace.clone()));
    }
}

/// Namespaces and CRDs keep their names; what scales a renamed workload follows it.
fn rename(made: &mut [Made<'_>], prefix: &str, suffix: &str) {
    let renamed: BTreeSet<(String, String)> = made
        .iter()
        .map(|m| &m.object.meta)
        .map(|meta| (meta.kind.value.clone(), meta.name.value.clone()))
        .collect();
    for made in made {
        change(made, |object| {
            if !matches!(object.meta.kind.as_str(), "Namespace" | "CustomResourceDefinition") {
                object.change_meta(|meta| {
                    meta.name.value = format!("{prefix}{}{suffix}", meta.name.value);
                });
            }
            let target = match &mut object.view {
                View::Autoscaler(scaler) => Arc::make_mut(scaler).spec.scale_target_ref.as_mut(),
                View::ScaledObject(scaler) => Arc::make_mut(scaler).spec.scale_target_ref.as_mut(),
                _ => None,
            };
            let Some(TargetRef { kind, name: Some(name), .. }) = target.map(|t| &mut t.value)
            else {
                return;
            };
            let kind = kind.as_ref().map_or("Deployment", |k| k.as_str());
            if renamed.contains(&(kind.to_owned(), name.value.clone())) {
                name.value = format!("{prefix}{}{suffix}", name.value);
            }
        });
    }
}

fn set_replicas(made: &mut [Made<'_>], replicas: &Replicas) {
    let (Some(name), Some(count)) = (&replicas.name, replicas.count) else { return };
    for made in made {
        let is_named = [&made.object.meta, &made.origin.meta].iter().any(|meta| meta.name == *name);
        let scales =
            matches!(made.object.meta.kind.as_str(), "Deployment" | "StatefulSet" | "ReplicaSet");
        if is_named && scales {
            change(made, |object| {
                if let View::Workload(workload) = &mut object.view {
                    Arc::make_mut(workload).spec.replicas = Some(count);
                }
            });
        }
    }
}

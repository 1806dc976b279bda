//! Where remote secrets lead.

use crate::kinds::kubeconfig::{CLUSTER_ANNOTATION, REMOTE_LABEL};
use crate::kinds::{Object, View};
use crate::source::Text;

/// The clusters that a remote secret is for, whether it is written or made in the cluster.
pub(super) fn to(object: &Object) -> Vec<&str> {
    let meta = &object.meta;
    let (labels, annotations) = match &object.view {
        View::OpaqueSecret(made) => {
            let sealed = &made.template.metadata;
            let fetched = &made.target.template.metadata;
            let all = [&sealed.labels, &fetched.labels, &meta.labels];
            (all, [&sealed.annotations, &fetched.annotations, &meta.annotations])
        }
        View::Secret(_) => ([&meta.labels; 3], [&meta.annotations; 3]),
        _ => return Vec::new(),
    };
    let is_read = |label: &Text| label.as_str() == "true";
    if !labels.iter().any(|all| all.get(REMOTE_LABEL).is_some_and(is_read)) {
        return Vec::new();
    }
    let told = annotations.iter().find_map(|all| all.get(CLUSTER_ANNOTATION));
    let mut names: Vec<&str> = told.map(|told| told.as_str()).into_iter().collect();
    match &object.view {
        View::OpaqueSecret(made) => names.extend(made.keys().map(|key| key.as_str())),
        View::Secret(secret) => {
            let keys = secret.data.iter().chain(secret.string_data.iter());
            names.extend(keys.map(|(key, _)| key.as_str()));
        }
        _ => {}
    }
    names
}

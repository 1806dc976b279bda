//! What deliveries give to all they bring from a folder: a namespace, and values.

use std::collections::BTreeMap;

use super::ClusterId;
use super::delivery::Delivery;
use super::substitution::Substitution;
use super::tree::ancestors;

/// What a resource gets from what brings it.
#[derive(Clone, Copy, Default)]
pub(super) struct Gift<'d> {
    /// The namespace that it gets where it names none.
    pub namespace: Option<&'d str>,
    /// What is filled into it.
    pub fill: Option<&'d Substitution>,
}

/// What is given to each folder that is brought to a cluster.
pub(super) struct Given<'d>(BTreeMap<(ClusterId, &'d str), Gift<'d>>);

impl<'d> Given<'d> {
    pub fn of(brought: &[(ClusterId, &'d Delivery)]) -> Self {
        let mut found: BTreeMap<(ClusterId, &str), Gift<'_>> = BTreeMap::new();
        for &(id, delivery) in brought {
            let Some(folder) = delivery.folder.as_deref() else { continue };
            let (namespace, fill) = (delivery.namespace.as_deref(), delivery.substitution.as_ref());
            let known = found.entry((id, folder)).or_insert(Gift { namespace, fill });
            // What is brought twice, and differently, is two texts: which one is meant cannot be told.
            known.namespace = known.namespace.filter(|known| Some(*known) == namespace);
            known.fill = known.fill.filter(|known| Some(*known) == fill);
        }
        Self(found)
    }

    /// What the resources of a folder get in a cluster: what brings the nearest folder decides.
    pub fn get(&self, id: ClusterId, folder: &str) -> Gift<'d> {
        ancestors(folder).find_map(|folder| self.0.get(&(id, folder))).copied().unwrap_or_default()
    }
}

//! Secrets by which istiod reads the API servers of other clusters, written or made in the cluster: what
//! tells that one is meant for this, and for which clusters.

use super::core::{OpaqueSecret, Secret};
use super::kubeconfig::{CLUSTER_ANNOTATION, REMOTE_LABEL};
use super::{Object, Resource, View};
use crate::source::Text;
use crate::yaml::Entries;

impl Resource<Secret> {
    /// The clusters that istiod reads by it, by name: its keys, and what `istioctl` notes. None where its
    /// label does not say that it is for this.
    pub fn clusters(&self) -> Vec<&Text> {
        let keys = self.data.iter().chain(self.string_data.iter()).map(|(key, _)| key);
        read(self.meta.label(REMOTE_LABEL), keys.chain(self.meta.annotation(CLUSTER_ANNOTATION)))
    }
}

impl Resource<OpaqueSecret> {
    /// The labels and annotations that the Secret is made with: those of its template. Without one, External
    /// Secrets hands on its own.
    pub fn made_with(&self) -> (&Entries<Text>, &Entries<Text>) {
        let template = match self.meta.kind.as_str() {
            "SealedSecret" => &self.template,
            _ if self.target.template.is_told() => &self.target.template,
            _ => return (&self.meta.labels, &self.meta.annotations),
        };
        (&template.metadata.labels, &template.metadata.annotations)
    }

    /// The label that says that istiod is to read it: of the Secret, or, though it may not reach that, of
    /// what makes it.
    pub fn remote_label(&self) -> Option<&Text> {
        self.made_with().0.get(REMOTE_LABEL).or_else(|| self.meta.label(REMOTE_LABEL))
    }

    /// Where it leads, by what `istioctl` notes: on the Secret, or on what makes it.
    pub fn cluster_annotation(&self) -> Option<&Text> {
        let noted = self.made_with().1.get(CLUSTER_ANNOTATION);
        noted.or_else(|| self.meta.annotation(CLUSTER_ANNOTATION))
    }

    /// The clusters that istiod reads by it, as of a [`Secret`].
    pub fn clusters(&self) -> Vec<&Text> {
        read(self.remote_label(), self.keys().chain(self.cluster_annotation()))
    }
}

fn read<'s>(label: Option<&Text>, names: impl Iterator<Item = &'s Text>) -> Vec<&'s Text> {
    let is_read = label.is_some_and(|label| label.as_str() == "true");
    names.filter(|_| is_read).collect()
}

impl Object {
    /// The label that says that istiod is to read the API server of another cluster by it.
    pub fn remote_label(&self) -> Option<&Text> {
        match &self.view {
            View::OpaqueSecret(made) => made.remote_label(),
            _ => self.meta.label(REMOTE_LABEL),
        }
    }

    /// The clusters that istiod reads by it, where it is a Secret for this, or makes one.
    pub fn remote_clusters(&self) -> Vec<&Text> {
        match &self.view {
            View::Secret(secret) => secret.clusters(),
            View::OpaqueSecret(made) => made.clusters(),
            _ => Vec::new(),
        }
    }
}

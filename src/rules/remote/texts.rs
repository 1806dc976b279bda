//! What the rules about remote secrets look at, and how they speak of it.

use crate::access::{Access, Remote};
use crate::clusters::ClusterId;
use crate::kinds::kubeconfig::{Content, Held, Kubeconfig};
use crate::mesh::list;
use crate::source::Span;

/// A kubeconfig in a secret that istiod reads, or would read were it not for its label or namespace.
pub(super) struct Kept<'a, 'm> {
    pub remote: &'a Remote<'m>,
    pub held: &'m Held,
    pub config: &'m Kubeconfig,
}

/// Every kubeconfig of the input, each text once.
pub(super) fn kept<'a, 'm>(access: &'a Access<'m>) -> Vec<Kept<'a, 'm>> {
    let texts = access.texts().into_iter();
    let all = texts.flat_map(|(remote, _)| remote.held().map(move |held| (remote, held)));
    all.filter_map(|(remote, held)| match &held.content {
        Content::Kubeconfig(config) => Some(Kept { remote, held, config }),
        _ => None,
    })
    .collect()
}

impl Kept<'_, '_> {
    /// A place within the kubeconfig, or the key where that is not there or covers all.
    pub fn at(&self, place: Option<Span>) -> Span {
        place.filter(|at| !at.is_empty() && *at != self.held.at).unwrap_or(self.held.key.span)
    }

    /// The secret and its key, for people.
    pub fn what(&self) -> String {
        what(self.remote, self.held)
    }
}

/// A key and its secret, for people.
pub(super) fn what(remote: &Remote<'_>, held: &Held) -> String {
    format!("`{}` in Secret `{}`", held.key, remote.name())
}

/// The clusters that have a text, for people.
pub(super) fn holders(access: &Access<'_>, holders: &[ClusterId]) -> String {
    list(holders.iter().map(|id| access.mesh().cluster_name(*id)))
}

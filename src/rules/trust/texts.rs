//! Words that several rules about certificates use.

use crate::clusters::ClusterId;
use crate::mesh::{Mesh, list};
use crate::source::Span;
use crate::trust::Certificate;

/// Places of one thing, with the cluster that has it there.
pub(super) type Places = Vec<(ClusterId, Span)>;

/// What makes a finding milder that goes by the default trust domain.
pub(super) const OR_TOLD_ELSEWHERE: &str = ", unless another text sets `trustDomain`";

/// Name and the first digits of the fingerprint: enough to tell two certificates of one name apart.
pub(super) fn short(certificate: &Certificate) -> String {
    format!("{}, SHA-256 {}…", certificate.subject, certificate.fingerprint.short())
}

/// The clusters of some places, each once: `` `east` and `west` ``.
pub(super) fn clusters(mesh: &Mesh, places: &[(ClusterId, Span)]) -> String {
    let mut ids: Vec<ClusterId> = places.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    list(ids.into_iter().map(|id| mesh.cluster_name(id)))
}

pub(super) fn what(certificate: &Certificate) -> &'static str {
    if certificate.is_self_signed() { "root" } else { "CA" }
}

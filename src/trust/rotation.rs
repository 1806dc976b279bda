//! How far clusters are on their way from an old root to a new one.

use std::fmt;

use super::certificate::Certificate;
use super::matrix::Standing;
use super::verify::in_use;
use super::{CaMaterial, Time};

/// Where one cluster stands between two roots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Accepts the old root alone.
    OldOnly,
    /// Accepts both; its CA is signed by the old one.
    BothOldCa,
    /// Accepts both; nobody sees which one signed its CA.
    Both,
    /// Accepts both; its CA is signed by the new one.
    BothNewCa,
    /// Accepts the new root alone.
    NewOnly,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OldOnly => "old root only",
            Self::BothOldCa => "both roots, old CA",
            Self::Both => "both roots, CA unknown",
            Self::BothNewCa => "both roots, new CA",
            Self::NewOnly => "new root only",
        })
    }
}

/// Two roots among some clusters, and how far each cluster is from the one to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The root that was made first.
    pub old: Certificate,
    /// The root that was made last.
    pub new: Certificate,
    /// By cluster; `None` where nothing of it is seen.
    pub phases: Vec<Option<Phase>>,
}

impl Rotation {
    /// The rotation that clusters are in: their CAs have exactly two roots between them, of which some have
    /// both. Renewed certificates of one name and key are one root. What MeshConfig lists under
    /// `caCertificates` does not count: that is how meshes with roots of their own accept each other for good.
    pub fn of(clusters: &[Option<Standing<'_>>], now: Time) -> Option<Self> {
        let mut anchors: Vec<&Certificate> = Vec::new();
        for root in clusters.iter().flatten().flat_map(|s| &s.ca.roots) {
            if !anchors.iter().any(|known| known.same_anchor(root)) {
                anchors.push(root);
            }
        }
        let [a, b] = anchors[..] else { return None };
        if a.not_before == b.not_before && a.not_after == b.not_after {
            return None;
        }
        let (old, new) =
            if (a.not_before, a.not_after) < (b.not_before, b.not_after) { (a, b) } else { (b, a) };
        let phases: Vec<_> =
            clusters.iter().map(|s| s.as_ref().and_then(|s| phase(s, old, new, now))).collect();
        let both = |phase: &Phase| !matches!(phase, Phase::OldOnly | Phase::NewOnly);
        let begun = phases.iter().flatten().any(both);
        begun.then(|| Self { old: old.clone(), new: new.clone(), phases })
    }

    /// What is safe to do next, for all clusters together; the positions are those of the clusters that it
    /// is to be done in.
    pub fn next(&self) -> (&'static str, Vec<usize>) {
        let at = |wanted: &[Phase]| {
            let is = |at: &usize| self.phases[*at].is_some_and(|p| wanted.contains(&p));
            (0..self.phases.len()).filter(is).collect::<Vec<_>>()
        };
        let steps = [
            (&[Phase::OldOnly][..], "add the new root to root-cert.pem, beside the old one"),
            (&[Phase::Both][..], "look which root signed the CA: the input does not show it"),
            (
                &[Phase::BothOldCa][..],
                "sign the CA with the new root, and keep both in root-cert.pem",
            ),
            (
                &[Phase::BothNewCa][..],
                "when all workloads have certificates of the new CA, drop the old root from root-cert.pem",
            ),
        ];
        let unseen = self.phases.iter().any(Option::is_none);
        for (wanted, step) in steps {
            let clusters = at(wanted);
            if !clusters.is_empty() {
                let blind = unseen && wanted != [Phase::OldOnly];
                let first =
                    "first see that the clusters that are not in the input have both roots too";
                return (if blind { first } else { step }, clusters);
            }
        }
        ("nothing: the old root is gone", Vec::new())
    }
}

fn phase(
    standing: &Standing<'_>,
    old: &Certificate,
    new: &Certificate,
    now: Time,
) -> Option<Phase> {
    let accepts = |root: &Certificate| standing.ca.roots.iter().any(|own| own.same_anchor(root));
    match (accepts(old), accepts(new)) {
        (true, false) => Some(Phase::OldOnly),
        (false, true) => Some(Phase::NewOnly),
        (true, true) => Some(match signed_by(standing.ca, now) {
            Some(root) if root.same_anchor(old) => Phase::BothOldCa,
            Some(root) if root.same_anchor(new) => Phase::BothNewCa,
            _ => Phase::Both,
        }),
        (false, false) => None,
    }
}

/// The root that a CA leads to, where its signer is seen.
pub(super) fn signed_by(ca: &CaMaterial, now: Time) -> Option<Certificate> {
    ca.signer.as_ref()?;
    let last = in_use(ca, now).pop()?;
    ca.roots.contains(&last).then_some(last)
}

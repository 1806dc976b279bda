//! What is shown of one mesh, whatever the format.

use std::collections::BTreeMap;

use crate::clusters::ClusterId;
use crate::mesh::list;
use crate::trust::{Groups, Matrix, Phase, Rotation, Signer, Trust, peer_accepts};

/// One mesh and who accepts whom in it.
pub(super) struct View {
    /// Its clusters, by name.
    pub clusters: Vec<ClusterId>,
    /// Clusters that present and accept the same, as positions in `clusters`.
    pub classes: Vec<Vec<usize>>,
    pub matrix: Matrix,
    pub groups: Groups<ClusterId>,
    pub rotation: Option<Rotation>,
}

/// What tells clusters apart that present and accept the same.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Looks<'t> {
    phase: Option<Phase>,
    domain: Option<&'t str>,
    aliases: Vec<&'t str>,
    signer: Signer,
    /// Whether its own proxies accept its workloads.
    at_home: bool,
}

/// What is known of one cluster's certificates at another.
pub(super) enum Answer {
    Yes,
    No(String),
    /// What would tell, by cluster.
    Unknown(Vec<String>),
}

impl Answer {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No(_) => "no",
            Self::Unknown(_) => "unknown",
        }
    }

    pub fn why(&self) -> Option<String> {
        match self {
            Self::Yes => None,
            Self::No(why) => Some(why.clone()),
            Self::Unknown(what) => Some(what.join("; ")),
        }
    }
}

pub(super) fn views(trust: &Trust<'_>) -> Vec<View> {
    let of = |clusters: Vec<&crate::clusters::Cluster>| {
        let clusters: Vec<ClusterId> = clusters.iter().map(|c| c.id).collect();
        let matrix = trust.matrix(&clusters);
        let groups = Groups::from_matrix(&clusters, &matrix);
        let rotation = trust.rotation(&clusters);
        let mut view = View { classes: Vec::new(), clusters, matrix, groups, rotation };
        view.classes = view.alike(trust);
        view
    };
    trust.mesh.meshes().into_iter().map(of).collect()
}

impl View {
    /// Clusters that nothing in the table tells apart: roots, who takes them, trust domain, phase, signer.
    fn alike(&self, trust: &Trust<'_>) -> Vec<Vec<usize>> {
        let mut classes = Vec::new();
        for class in self.matrix.alike() {
            let mut parts: BTreeMap<Looks<'_>, Vec<usize>> = BTreeMap::new();
            for at in class {
                parts.entry(self.looks(trust, at)).or_default().push(at);
            }
            classes.extend(parts.into_values());
        }
        classes.sort();
        classes
    }

    fn looks<'t>(&self, trust: &Trust<'t>, at: usize) -> Looks<'t> {
        let id = self.clusters[at];
        let signer = match trust.signer(id) {
            // Where a remote's certificates come from is told by its primary.
            Signer::Remote(_) => Signer::Unknown,
            signer => signer,
        };
        Looks {
            phase: self.phase(at),
            domain: trust.domain(id).name(),
            aliases: trust.aliases(id).iter().map(|alias| alias.as_str()).collect(),
            signer,
            at_home: self.verdict(trust, at, at).is_some_and(|verdict| verdict.is_ok()),
        }
    }

    pub fn phase(&self, at: usize) -> Option<Phase> {
        self.rotation.as_ref().and_then(|rotation| rotation.phases[at])
    }

    pub fn name<'t>(&self, trust: &Trust<'t>, at: usize) -> &'t str {
        trust.mesh.cluster_name(self.clusters[at])
    }

    /// Names of some clusters, with a number in the place of many.
    pub fn names(&self, trust: &Trust<'_>, class: &[usize], most: usize) -> String {
        let names: Vec<&str> = class.iter().map(|&at| self.name(trust, at)).collect();
        match names.len().saturating_sub(most) {
            0 => names.join(", "),
            more => format!("{} and {more} more", names[..most].join(", ")),
        }
    }

    /// Whether workloads of the one are accepted by the other.
    pub fn answer(&self, trust: &Trust<'_>, presenter: usize, verifier: usize) -> Answer {
        match self.verdict(trust, presenter, verifier) {
            Some(Err(why)) => Answer::No(why),
            Some(Ok(())) => match self.other_domain(trust, presenter, verifier) {
                Some(why) => Answer::No(why),
                None => Answer::Yes,
            },
            // Whoever it is that signs both, and hands both its roots.
            None if trust
                .share_control_plane(self.clusters[presenter], self.clusters[verifier]) =>
            {
                Answer::Yes
            }
            None => Answer::Unknown(self.what_would_tell(trust, presenter, verifier)),
        }
    }

    /// What the verifier makes of the presenter's chain, dates and all; of its roots where no chain is seen.
    fn verdict(
        &self,
        trust: &Trust<'_>,
        presenter: usize,
        verifier: usize,
    ) -> Option<Result<(), String>> {
        let (from, to) = (self.clusters[presenter], self.clusters[verifier]);
        let whole = trust.ca_of(from).and_then(|found| {
            peer_accepts(&found.ca, trust.accepted(to), trust.domain(from).name(), trust.now())
        });
        match whole {
            Some(verdict) => Some(verdict.map(drop).map_err(|why| why.to_string())),
            None => self.matrix.ask(presenter, verifier).map(|verdict| match verdict {
                Ok(()) => Ok(()),
                Err(why) => Err(why.to_string()),
            }),
        }
    }

    /// Why the verifier's trust domain stands in the way.
    fn other_domain(&self, trust: &Trust<'_>, presenter: usize, verifier: usize) -> Option<String> {
        let (from, to) = (self.clusters[presenter], self.clusters[verifier]);
        let (theirs, own) = (trust.domain(from).name()?, trust.domain(to).name()?);
        let known = theirs == own || trust.aliases(to).iter().any(|alias| alias.as_str() == theirs);
        (!known)
            .then(|| format!("the trust domain `{theirs}` is neither `{own}` nor an alias of it"))
    }

    fn what_would_tell(&self, trust: &Trust<'_>, presenter: usize, verifier: usize) -> Vec<String> {
        let mut blind: Vec<usize> =
            [presenter, verifier].into_iter().filter(|&at| self.is_blind(trust, at)).collect();
        blind.dedup();
        if blind.is_empty() {
            blind.push(presenter);
        }
        blind.into_iter().map(|at| self.blind_spot(trust, at)).collect()
    }

    fn is_blind(&self, trust: &Trust<'_>, at: usize) -> bool {
        trust.ca_of(self.clusters[at]).is_none_or(|f| f.ca.roots.is_empty())
    }

    /// What is not seen of a cluster, and what would show it.
    fn blind_spot(&self, trust: &Trust<'_>, at: usize) -> String {
        let name = self.name(trust, at);
        let map = "its ConfigMap `istio-ca-root-cert`";
        match trust.signer(self.clusters[at]) {
            _ if !self.is_blind(trust, at) => {
                format!("the CA of `{name}` is not seen whole: its Secret `cacerts` would tell")
            }
            Signer::Remote(primary) => {
                let by = list([trust.mesh.cluster_name(primary)]);
                format!("`{name}` has its certificates from {by}, of whose CA nothing is seen")
            }
            Signer::MadeElsewhere => {
                format!("the CA of `{name}` is made in the cluster: {map} would tell")
            }
            Signer::Spire => format!("SPIRE signs in `{name}`: its bundles stand in no manifest"),
            signer if signer.is_foreign() => {
                format!("`{name}` is signed by {signer}: {map} would tell")
            }
            _ => format!(
                "nothing is seen of the CA of `{name}`: its Secret `cacerts` or {map} would tell"
            ),
        }
    }
}

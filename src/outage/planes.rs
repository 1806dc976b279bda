//! The control planes around a lost cluster: what they read of it, and what hangs on it.

use crate::access::{Access, Edge, Remote, Target, edges};
use crate::clusters::{Cluster, ClusterId, Role};
use crate::kinds::is_placeholder;
use crate::source::{Span, Text};

/// The control plane of another cluster.
#[derive(Debug)]
pub struct Plane<'m> {
    /// Its cluster.
    pub cluster: &'m Cluster,
    /// How far it sees the lost one.
    pub sight: Sight<'m>,
    /// How long it waits at its start for clusters that do not answer.
    pub wait: Wait<'m>,
}

/// How far a control plane sees a cluster.
#[derive(Debug)]
pub enum Sight<'m> {
    /// By these secrets.
    By(Vec<Way<'m>>),
    /// Not at all: no secret is in the input, and nothing may be outside.
    Not,
    /// No secret is in the input; one may be made by hand.
    Unseen,
}

/// A secret that leads to the lost cluster.
#[derive(Debug)]
pub struct Way<'m> {
    /// The secret.
    pub remote: Remote<'m>,
    /// Its key for the lost cluster; none where that is made in the cluster.
    pub key: Option<&'m Text>,
    /// Whether it has keys for other clusters too.
    pub is_shared: bool,
    /// How far it holds; none where that is made in the cluster.
    pub edge: Option<Edge<'m>>,
}

impl Way<'_> {
    /// Where it stands.
    pub fn at(&self) -> Span {
        self.key.map_or(self.remote.at, |key| key.span)
    }
}

/// `PILOT_REMOTE_CLUSTER_TIMEOUT`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wait<'m> {
    /// Nothing is set: half a minute.
    Default,
    /// As long as this says.
    Set(&'m Text),
    /// For ever.
    Forever(&'m Text),
    /// A pipeline fills it in.
    Open(&'m Text),
}

impl<'m> Wait<'m> {
    fn of(cluster: &'m Cluster) -> Self {
        let told = cluster.facts.istiod_env("PILOT_REMOTE_CLUSTER_TIMEOUT");
        match told.filter(|told| !told.is_empty()) {
            None => Self::Default,
            Some(told) if is_placeholder(told) => Self::Open(told),
            Some(told) => {
                let is_zero = told.bytes().filter(u8::is_ascii_digit).all(|digit| digit == b'0');
                if is_zero { Self::Forever(told) } else { Self::Set(told) }
            }
        }
    }
}

/// A cluster whose proxies hang on the control plane of the lost one.
#[derive(Debug)]
pub struct Orphan<'m> {
    /// The cluster.
    pub cluster: &'m Cluster,
    /// What says who serves it.
    pub at: Option<Span>,
    /// Whether an istiod of its own injects sidecars.
    pub injects_itself: bool,
    /// Other control planes that read it, and so could take it on.
    pub heirs: Vec<&'m Cluster>,
}

/// The control planes of the other clusters of the mesh.
pub(super) fn planes<'m>(access: &Access<'m>, lost: ClusterId) -> Vec<Plane<'m>> {
    let mesh = access.mesh();
    let edges = edges(access);
    let others = mesh.peers(lost).filter(|c| c.id != lost);
    let has_one = |c: &&Cluster| {
        c.role() == Some(Role::Primary)
            || c.role() == Some(Role::ConfigOfExternal)
            || !access.of_cluster(c.id).is_empty()
    };
    let plane = |cluster: &'m Cluster| Plane {
        cluster,
        sight: sight(access, &edges, cluster, lost),
        wait: Wait::of(cluster),
    };
    others.filter(has_one).map(plane).collect()
}

fn sight<'m>(
    access: &Access<'m>,
    edges: &[Edge<'m>],
    from: &Cluster,
    lost: ClusterId,
) -> Sight<'m> {
    let ways: Vec<Way<'m>> = access
        .of_cluster(from.id)
        .iter()
        .filter_map(|remote| way(access, edges, remote, lost))
        .collect();
    if !ways.is_empty() {
        Sight::By(ways)
    } else if from.is_complete() {
        Sight::Not
    } else {
        Sight::Unseen
    }
}

fn way<'m>(
    access: &Access<'m>,
    edges: &[Edge<'m>],
    remote: &Remote<'m>,
    lost: ClusterId,
) -> Option<Way<'m>> {
    let leads = |name: &'m Text| access.target(remote, name.as_str()) == Target::Cluster(lost);
    let key = remote.entries.iter().map(|entry| entry.key).find(|key| leads(key));
    if key.is_none() && !remote.annotation.is_some_and(leads) {
        return None;
    }
    let is_it =
        |edge: &&Edge<'m>| edge.from == remote.holder && Some(edge.at) == key.map(|key| key.span);
    Some(Way {
        key,
        is_shared: remote
            .entries
            .iter()
            .any(|e| key.is_some_and(|key| e.key.as_str() != key.as_str())),
        edge: edges.iter().find(is_it).cloned(),
        remote: remote.clone(),
    })
}

/// The clusters that a lost one serves.
pub(super) fn orphans<'m>(
    access: &Access<'m>,
    planes: &[Plane<'m>],
    lost: ClusterId,
) -> Vec<Orphan<'m>> {
    let mesh = access.mesh();
    // An external control plane is lost with the cluster that it runs in, not with the one it reads.
    let runs_in = |of: ClusterId| mesh.cluster(of).hosted_in.unwrap_or(of);
    let served = mesh
        .clusters()
        .iter()
        .filter(|c| c.id != lost && mesh.config_cluster(c.id).found().map(runs_in) == Some(lost));
    let orphan = |cluster: &'m Cluster| {
        let served_by = cluster.facts.served_by.first().map(|fact| fact.value.span);
        let local = |v: &crate::clusters::Installed| {
            let enabled = &v.values().istiod_remote.enabled_local_injector_istiod;
            enabled.as_ref().is_some_and(|e| e.value)
        };
        let heirs = planes.iter().map(|p| p.cluster);
        Orphan {
            cluster,
            at: served_by.or(cluster.facts.role.first().map(|(_, at)| *at)),
            injects_itself: cluster.facts.installs.iter().any(local),
            heirs: heirs.filter(|p| access.leads_to(p.id, cluster.id)).collect(),
        }
    };
    served.map(orphan).collect()
}

//! What a mesh is left with when one of its clusters is gone, or its API server is silent.
//!
//! A running istiod keeps what it last saw of an API server that does not answer; one that starts waits
//! for it up to a limit, and then serves without. So a cluster that is lost as a whole stays in the
//! endpoints of all others until somebody takes its remote secrets away. Sources:
//! `pkg/kube/multicluster/{secretcontroller,cluster}.go`, `pilot/pkg/features/pilot.go`.

mod harm;
mod planes;

pub use harm::{Harm, Shares, Stay};
pub use planes::{Orphan, Plane, Sight, Wait, Way};

use crate::access::Access;
use crate::clusters::{Cluster, ClusterId, Role};
use crate::kinds::core::Service;
use crate::kinds::is_placeholder;
use crate::mesh::{In, Mesh};
use crate::source::Text;
use crate::traffic::Traffic;
use crate::trust::Trust;

/// The loss of a cluster, and what comes of it elsewhere.
#[derive(Debug)]
pub struct Outage<'m> {
    /// What is lost.
    pub lost: &'m Cluster,
    /// The control planes of the other clusters, ordered by cluster.
    pub planes: Vec<Plane<'m>>,
    /// The clusters that the lost one serves, ordered by name.
    pub orphans: Vec<Orphan<'m>>,
    /// The hosts with endpoints in it, ordered by name.
    pub harms: Vec<Harm<'m>>,
    /// The hosts that it defines, and of which nobody tells what is behind them there.
    pub unknown: Vec<&'m str>,
    /// Its Services that are called from outside of the mesh.
    pub entrances: Vec<&'m In<Service>>,
    /// The control plane that its own proxies hang on.
    pub served_by: Option<ClusterId>,
    /// After which time istiod ends the connections of its proxies, where that is told. Istio's chart says
    /// 30 minutes (`--keepaliveMaxServerConnectionAge`), istiod by itself never.
    pub connection_age: Option<&'m Text>,
    /// Whether its workloads' certificates come from elsewhere than istiod.
    pub has_foreign_ca: bool,
}

impl<'m> Outage<'m> {
    /// Works out what the loss of a cluster does.
    pub fn of(access: &Access<'m>, traffic: &Traffic<'m>, lost: ClusterId) -> Self {
        let mesh = access.mesh();
        let planes = planes::planes(access, lost);
        let (harms, unknown) = harm::harms(traffic, lost);
        Self {
            lost: mesh.cluster(lost),
            orphans: planes::orphans(access, &planes, lost),
            planes,
            harms,
            unknown,
            entrances: mesh.entrances(lost).collect(),
            served_by: mesh.config_cluster(lost).found(),
            connection_age: connection_age(mesh, lost),
            has_foreign_ca: Trust::of(mesh).signer(lost).is_foreign(),
        }
    }

    /// Whether the lost cluster runs a control plane.
    pub fn is_primary(&self) -> bool {
        let is_served = self.served_by == Some(self.lost.id) && self.lost.hosted_in.is_none();
        self.lost.role() != Some(Role::Remote) && is_served
    }
}

fn connection_age(mesh: &Mesh, of: ClusterId) -> Option<&Text> {
    let plane = mesh.config_cluster(of).found().unwrap_or(of);
    let mut installs = mesh.cluster(plane).facts.installs.iter().rev();
    let told = installs.find_map(|install| install.values().pilot.connection_age.as_ref());
    told.filter(|told| !is_placeholder(told))
}

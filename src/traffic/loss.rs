//! What is lost: zones, regions, clusters.

use std::fmt;

use crate::clusters::ClusterId;
use crate::mesh::{Locality, Mesh, list};

/// A zone, region or cluster that is gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lost {
    /// All pods and gateways of a cluster.
    Cluster(ClusterId),
    /// All pods in a region, in whatever cluster.
    Region(String),
    /// All pods in a zone, in whatever cluster; a region that is empty stands for any.
    Zone(Locality),
}

impl Lost {
    /// What a user means by a name: a cluster, a region, or a zone (`us-east-1a` or
    /// `us-east-1/us-east-1a`) that something of the mesh is in.
    ///
    /// Fails with what there is where nothing is called so.
    pub fn parse(mesh: &Mesh, text: &str) -> Result<Self, String> {
        match mesh.clusters_called(text)[..] {
            [cluster] => return Ok(Self::Cluster(cluster.id)),
            [] => {}
            ref several => {
                let names = list(several.iter().map(|c| c.name.as_str()));
                return Err(format!("`{text}` may be {names}: say which"));
            }
        }
        let mut zones: Vec<Locality> =
            mesh.clusters().iter().flat_map(|c| mesh.zones(c.id)).collect();
        zones.sort();
        zones.dedup();
        if zones.iter().any(|zone| zone.region == text) {
            return Ok(Self::Region(text.to_owned()));
        }
        let called = |zone: &&Locality| zone.zone == text || zone.to_string() == text;
        match zones.iter().filter(called).collect::<Vec<_>>()[..] {
            [zone] => Ok(Self::Zone(zone.clone())),
            [_, _, ..] => {
                let zones = list(
                    zones
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .iter()
                        .map(String::as_str),
                );
                Err(format!("`{text}` is in several regions: {zones}"))
            }
            [] => {
                let names = mesh.clusters().iter().map(|c| c.name.clone());
                let all: Vec<String> = names.chain(zones.iter().map(ToString::to_string)).collect();
                let all = list(all.iter().map(String::as_str));
                Err(format!("no cluster, region or zone is called `{text}`: there are {all}"))
            }
        }
    }

    /// Whether it takes away what is in a cluster and zone.
    pub fn covers(&self, cluster: ClusterId, zone: &Locality) -> bool {
        match self {
            Self::Cluster(lost) => *lost == cluster,
            Self::Region(region) => *region == zone.region,
            Self::Zone(lost) => {
                lost.zone == zone.zone && (lost.region == zone.region || lost.region.is_empty())
            }
        }
    }

    /// Its name, as reports write it.
    pub fn name(&self, mesh: &Mesh) -> String {
        match self {
            Self::Cluster(cluster) => mesh.cluster_name(*cluster).to_owned(),
            Self::Region(region) => region.clone(),
            Self::Zone(zone) => zone.to_string(),
        }
    }
}

/// How far a loss has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Istio does not know yet: what is lost is still listed as ready, and requests to it fail until
    /// outlier detection throws it out. Some 40 s for nodes; as long as it takes where the cluster's API
    /// server is lost too.
    Unnoticed,
    /// Its endpoints are taken out.
    Noticed,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unnoticed => "until it is noticed",
            Self::Noticed => "afterwards",
        })
    }
}

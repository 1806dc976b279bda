//! What `distribute` gives to each zone, and who is there to take it.

use crate::kinds::workloads::Workload;
use crate::mesh::{Host, In, LocalityPattern, LocalitySetting, Mesh, subsets_of};

use crate::source::{Span, Text};

use super::{Bounds, Cause, Placement, Placements};

/// One weight of a `distribute` entry.
#[derive(Debug)]
pub struct ZoneShare<'m> {
    /// The setting it stands in.
    pub setting: LocalitySetting<'m>,
    /// The host.
    pub host: Host<'m>,
    /// Where the entry begins: shares of one entry have the same.
    pub entry: Span,
    /// Locality of the clients.
    pub from: &'m str,
    /// The locality that gets it.
    pub to: &'m Text,
    /// In per cent.
    pub weight: u32,
    /// Replicas in the locality, over all clusters.
    pub bounds: Bounds,
    /// Whether all replicas of the host can be seen.
    pub known: bool,
    /// Whether the locality is a single zone.
    pub one_zone: bool,
    /// How many localities the entry names; with several, weights shift load between them.
    pub parts: usize,
    /// Whether another locality of the entry may have replicas.
    pub others_have_replicas: bool,
    /// How many single zones of a cluster's own the setting names.
    pub zones_wanted: usize,
    /// Workloads behind the host (or subset) that can get it.
    pub workloads: Vec<(&'m In<Workload>, Placement)>,
}

impl<'m> ZoneShare<'m> {
    fn localities(&self) -> LocalityPattern {
        LocalityPattern::parse(self.to)
    }

    /// A workload of a cluster that has the locality, which cannot be there, and the text that keeps it
    /// out.
    pub fn why_most(&self) -> Option<(&'m In<Workload>, Span)> {
        let pattern = self.localities();
        self.workloads.iter().find_map(|(workload, placement)| {
            let mut zones = placement.zones.iter().filter(|(zone, _)| pattern.matches(zone));
            let (_, zone) = zones.next()?;
            Some((*workload, zone.why_most.span.unwrap_or(workload.named_at())))
        })
    }

    /// A workload that can be in the locality, and the text that says how many replicas it has.
    pub fn why_so_many(&self) -> Option<(&'m In<Workload>, Span)> {
        let pattern = self.localities();
        let can = |p: &Placement| {
            p.zones.iter().any(|(zone, z)| pattern.matches(zone) && z.bounds.most > 0)
        };
        let (workload, placement) = self.workloads.iter().find(|(_, p)| can(p))?;
        Some((*workload, placement.why_wanted.0.span.unwrap_or(workload.named_at())))
    }

    /// A workload that may have no replica in the locality, why, and the text that says so.
    pub fn why_least(&self) -> Option<(&'m In<Workload>, Cause, Span)> {
        let pattern = self.localities();
        self.workloads.iter().find_map(|(workload, placement)| {
            let mut zones = placement
                .zones
                .iter()
                .filter(|(zone, z)| pattern.matches(zone) && z.bounds.most > 0);
            let (_, zone) = zones.next()?;
            let span = zone.why_least.span.unwrap_or(workload.named_at());
            Some((*workload, zone.why_least.cause, span))
        })
    }
}

/// Every weight of every `distribute` entry that some known client locality uses.
pub(super) fn all<'m>(placements: &Placements<'m>) -> Vec<ZoneShare<'m>> {
    let mesh = placements.mesh;
    let mut found = Vec::new();
    for setting in mesh.locality_settings() {
        let Some(host) = setting.host().and_then(|name| mesh.host(&name)) else { continue };
        let subset = setting.subset.and_then(|name| {
            let rule = setting.rule?;
            subsets_of(rule).find(|s| s.name.span == name.span)
        });
        let Some(replicas) = placements.of_host(host, setting.cluster, subset) else { continue };
        let zones_wanted = zones_wanted(&setting);
        let somewhere = mesh.whereabouts(&[setting.cluster]);
        for entry in setting.resource_distribute() {
            let Some(from) = &entry.from else { continue };
            if !mesh_has(mesh, &setting, from) {
                continue;
            }
            let first = found.len();
            // A locality that is nowhere in the mesh is a matter of the setting, not of replicas.
            let there = entry.to.iter().filter(|(to, _)| !somewhere.find(to).is_absent());
            for (to, weight) in there {
                let pattern = LocalityPattern::parse(to);
                let bounds = replicas.matching(&pattern);
                found.push(ZoneShare {
                    setting,
                    host,
                    entry: from.span,
                    from,
                    to,
                    weight: weight.value,
                    bounds,
                    known: replicas.known
                        && mesh.knows_locality(&pattern, setting.cluster)
                        && !mesh.may_have_unseen(host, setting.cluster, &pattern),
                    one_zone: LocalityPattern::parse(to).zone().is_some(),
                    parts: entry.to.len(),
                    others_have_replicas: false,
                    zones_wanted,
                    workloads: replicas.workloads.clone(),
                });
            }
            let with_replicas = found[first..].iter().filter(|s| s.bounds.most > 0).count();
            for share in &mut found[first..] {
                share.others_have_replicas = with_replicas > usize::from(share.bounds.most > 0);
            }
        }
    }
    found
}

impl<'m> LocalitySetting<'m> {
    fn resource_distribute(&self) -> &'m [crate::kinds::networking::Distribute] {
        &self.setting.value.distribute
    }
}

/// The most single zones to which one entry of a setting sends something.
fn zones_wanted(setting: &LocalitySetting<'_>) -> usize {
    let zones = |entry: &crate::kinds::networking::Distribute| {
        entry
            .to
            .iter()
            .filter(|(to, weight)| LocalityPattern::parse(to).zone().is_some() && weight.value > 0)
            .count()
    };
    setting.resource_distribute().iter().map(zones).max().unwrap_or_default()
}

/// Whether clients can be in a locality: some cluster that reads the setting has nodes there, or it is
/// not known where its nodes are.
fn mesh_has(mesh: &Mesh, setting: &LocalitySetting<'_>, from: &str) -> bool {
    let pattern = LocalityPattern::parse(from);
    let reads =
        |c: &&crate::clusters::Cluster| mesh.config_cluster(c.id).found() == Some(setting.cluster);
    mesh.peers(setting.cluster).filter(reads).any(|c| {
        let places = mesh.places(c.id);
        places.is_empty() || places.iter().any(|p| pattern.matches(&p.locality))
    })
}

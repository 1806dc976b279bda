//! What `distribute` gives to each zone, and who is there to take it.

use crate::kinds::networking::DestinationRule;
use crate::kinds::workloads::Workload;
use crate::mesh::{
    Host, HostPattern, In, Locality, LocalityPattern, LocalitySetting, Mesh, Subset,
};
use crate::placement::{Bounds, Cause, Placement, Placements};
use crate::source::{Span, Text};

/// One weight of a `distribute` entry.
pub(super) struct Share<'m> {
    /// The setting it stands in.
    pub(super) setting: LocalitySetting<'m>,
    /// The host.
    pub(super) host: Host<'m>,
    /// Where the entry begins: shares of one entry have the same.
    pub(super) entry: Span,
    /// Locality of the clients.
    pub(super) from: &'m str,
    /// The locality that gets it.
    pub(super) to: &'m Text,
    /// In per cent.
    pub(super) weight: u32,
    /// Replicas in the locality, over all clusters.
    pub(super) bounds: Bounds,
    /// Whether all replicas of the host can be seen.
    pub(super) known: bool,
    /// Whether the locality is a single zone.
    pub(super) one_zone: bool,
    /// How many localities the entry names; with several, weights shift load between them.
    pub(super) parts: usize,
    /// Whether another locality of the entry may have replicas.
    pub(super) others_have_replicas: bool,
    /// How many single zones of a cluster's own the setting names.
    pub(super) zones_wanted: usize,
    /// Workloads behind the host (or subset) that can get it.
    pub(super) workloads: Vec<(&'m In<Workload>, Placement)>,
}

impl<'m> Share<'m> {
    fn localities(&self) -> LocalityPattern {
        LocalityPattern::parse(self.to)
    }

    /// A workload of a cluster that has the locality, which cannot be there, and the text that keeps it
    /// out.
    pub(super) fn why_most(&self) -> Option<(&'m In<Workload>, Span)> {
        let pattern = self.localities();
        self.workloads.iter().find_map(|(workload, placement)| {
            let mut zones = placement.zones.iter().filter(|(zone, _)| pattern.matches(zone));
            let (_, zone) = zones.next()?;
            Some((*workload, zone.why_most.span.unwrap_or(workload.named_at())))
        })
    }

    /// A workload that can be in the locality, and the text that says how many replicas it has.
    pub(super) fn why_so_many(&self) -> Option<(&'m In<Workload>, Span)> {
        let pattern = self.localities();
        let can = |p: &Placement| {
            p.zones.iter().any(|(zone, z)| pattern.matches(zone) && z.bounds.most > 0)
        };
        let (workload, placement) = self.workloads.iter().find(|(_, p)| can(p))?;
        Some((*workload, placement.why_wanted.0.span.unwrap_or(workload.named_at())))
    }

    /// A workload that may have no replica in the locality, why, and the text that says so.
    pub(super) fn why_least(&self) -> Option<(&'m In<Workload>, Cause, Span)> {
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
pub(super) fn shares<'m>(mesh: &'m Mesh, placements: &Placements<'m>) -> Vec<Share<'m>> {
    let mut found = Vec::new();
    let settings = mesh.locality_settings();
    for setting in settings.iter().filter(|s| !s.resource_distribute().is_empty()) {
        for host in hosts(mesh, &settings, setting) {
            found.extend(shares_of(mesh, placements, *setting, host));
        }
    }
    found
}

/// The hosts that a setting is for. Of the mesh's own and of a wildcard's, those for which no other rule
/// says anything of it.
fn hosts<'m>(
    mesh: &'m Mesh,
    settings: &[LocalitySetting<'m>],
    setting: &LocalitySetting<'m>,
) -> Vec<Host<'m>> {
    let name = setting.host();
    let pattern = name.as_deref().unwrap_or("*");
    if !HostPattern(pattern).is_wildcard() {
        return mesh.host(pattern).into_iter().collect();
    }
    let has_own = |rule: &In<DestinationRule>| {
        settings.iter().filter_map(|s| s.rule).any(|other| std::ptr::eq(other, rule))
    };
    let overrules = |rule: &In<DestinationRule>| match setting.rule {
        Some(own) => !std::ptr::eq(own, rule),
        None => has_own(rule),
    };
    let is_free = |host: &Host<'_>| {
        let rules = mesh.rules_for(host.name, setting.cluster);
        let mut services = host.services_of_mesh(setting.cluster);
        services.next().is_some() && !rules.into_iter().any(overrules)
    };
    let all = mesh.hosts().filter(|host| HostPattern(pattern).matches(host.name));
    all.filter(is_free).collect()
}

/// The shares of one host by one setting.
fn shares_of<'m>(
    mesh: &'m Mesh,
    placements: &Placements<'m>,
    setting: LocalitySetting<'m>,
    host: Host<'m>,
) -> Vec<Share<'m>> {
    let mut found: Vec<Share<'m>> = Vec::new();
    let subset = setting.subset.and_then(|name| {
        mesh.subsets_of(host.name, setting.cluster).into_iter().find(|s| s.name == name)
    });
    let Some(backends) = backends(mesh, placements, host, setting, subset) else { return found };
    let zones_wanted = zones_wanted(&setting);
    for entry in setting.resource_distribute() {
        let Some(from) = &entry.from else { continue };
        if !mesh_has(mesh, &setting, from) {
            continue;
        }
        let first = found.len();
        for (to, weight) in &entry.to {
            let pattern = LocalityPattern::parse(to);
            found.push(Share {
                setting,
                host,
                entry: from.span,
                from,
                to,
                weight: weight.value,
                bounds: backends.matching(&pattern),
                known: backends.known
                    && is_whole_zone(to)
                    && mesh.knows_locality(&pattern, setting.cluster),
                one_zone: pattern.zone().is_some(),
                parts: entry.to.len(),
                others_have_replicas: false,
                zones_wanted,
                workloads: backends.workloads.clone(),
            });
        }
        let with_replicas = found[first..].iter().filter(|s| s.bounds.most > 0).count();
        for share in &mut found[first..] {
            share.others_have_replicas = with_replicas > usize::from(share.bounds.most > 0);
        }
    }
    found
}

/// Whether a locality goes no deeper than zones: where replicas are within a zone is not known.
fn is_whole_zone(locality: &str) -> bool {
    locality.split('/').nth(2).is_none_or(|subzone| subzone.is_empty() || subzone == "*")
}

impl<'m> LocalitySetting<'m> {
    fn resource_distribute(&self) -> &'m [crate::kinds::networking::Distribute] {
        &self.setting.value.distribute
    }
}

/// The most single zones that one entry of a setting names.
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

/// The replicas behind a host.
struct Backends<'m> {
    clusters: Vec<Here>,
    known: bool,
    workloads: Vec<(&'m In<Workload>, Placement)>,
}

/// The replicas behind a host in one cluster.
struct Here {
    total: Bounds,
    zones: Vec<(Locality, Bounds)>,
    known: bool,
}

impl Backends<'_> {
    fn matching(&self, pattern: &LocalityPattern) -> Bounds {
        let all = self.clusters.iter().map(|here| here.matching(pattern));
        all.fold(Bounds::default(), Bounds::plus)
    }
}

impl Here {
    /// Zones share one number of replicas: what cannot be elsewhere is here, and what is elsewhere is not.
    fn matching(&self, pattern: &LocalityPattern) -> Bounds {
        let sum = |inside: bool| {
            let zones = self.zones.iter().filter(|(zone, _)| pattern.matches(zone) == inside);
            zones.map(|(_, bounds)| *bounds).fold(Bounds::default(), Bounds::plus)
        };
        let (inside, outside, total) = (sum(true), sum(false), self.total);
        if !self.known {
            return inside;
        }
        let most = match total.most {
            u32::MAX => inside.most,
            most => inside.most.min(most.saturating_sub(outside.least)),
        };
        let least = inside.least.max(total.least.saturating_sub(outside.most));
        Bounds { least: least.min(most), most }
    }
}

/// `None` where the host has no workload in the input.
fn backends<'m>(
    mesh: &'m Mesh,
    placements: &Placements<'m>,
    host: Host<'m>,
    setting: LocalitySetting<'m>,
    subset: Option<Subset<'m>>,
) -> Option<Backends<'m>> {
    let sees_all = !host.may_have_more_backends(setting.cluster);
    let mut all = Backends { clusters: Vec::new(), known: sees_all, workloads: Vec::new() };
    for service in host.services_of_mesh(setting.cluster) {
        let here = placements.of_service(service);
        if here.workloads.is_empty() && here.pods.is_empty() {
            // Somewhere else there may be pods of it.
            all.known = false;
            continue;
        }
        // Nodes without a region have none; of pools and selectors it may only be unknown.
        let by_nodes = mesh.places(service.cluster).iter().any(|p| p.nodes.is_some());
        all.known &=
            here.known && (by_nodes || here.zones.keys().all(|zone| !zone.region.is_empty()));
        let in_subset = |w: &In<Workload>| subset.is_none_or(|s| s.may_select(mesh, w));
        let parts = here.workloads.iter().filter(|(w, _)| in_subset(w));
        let (total, zones) = match subset {
            None => (here.total, here.zones.clone().into_iter().collect()),
            Some(_) => {
                all.known &= here.pods.is_empty();
                let total = parts.clone().map(|(_, p)| p.total);
                let zones = parts.flat_map(|(_, p)| &p.zones);
                let zones = zones.map(|(zone, here)| (zone.clone(), here.bounds)).collect();
                (total.fold(Bounds::default(), Bounds::plus), zones)
            }
        };
        all.clusters.push(Here { total, zones, known: here.known });
        all.workloads.extend(here.workloads.into_iter().filter(|(w, _)| in_subset(w)));
    }
    let has_zones = all.clusters.iter().any(|here| !here.zones.is_empty());
    (!all.workloads.is_empty() || has_zones).then_some(all)
}

//! Localities `region/zone/subzone`, and the places nodes can stand in.

use std::fmt;

use super::{Mesh, REGION_LABEL, SUBZONE_LABEL, ZONE_LABEL};
use crate::clusters::ClusterId;
use crate::kinds::Meta;
use crate::kinds::workloads::Expression;
use crate::source::{Span, Text};
use crate::yaml::Entries;

/// `region/zone/subzone`; empty parts are unknown or not set.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locality {
    /// The region.
    pub region: String,
    /// The zone.
    pub zone: String,
    /// The subzone.
    pub subzone: String,
}

impl Locality {
    /// Splits at `/`; parts beyond the third do not count.
    pub fn parse(text: &str) -> Self {
        let mut parts = text.split('/').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Self { region: next(), zone: next(), subzone: next() }
    }

    /// The same place without its subzone.
    pub fn without_subzone(&self) -> Self {
        Self { subzone: String::new(), ..self.clone() }
    }

    /// Whether nothing is known of it.
    pub fn is_empty(&self) -> bool {
        self.region.is_empty() && self.zone.is_empty() && self.subzone.is_empty()
    }
}

impl fmt::Display for Locality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}/{}/{}", self.region, self.zone, self.subzone);
        f.pad(text.trim_end_matches('/'))
    }
}

/// A locality of a `distribute` entry: `*` and absent parts stand for anything.
/// Source: `pkg/util/locality`, `Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalityPattern(Locality, bool);

impl LocalityPattern {
    /// Reads a pattern such as `us-east-1/us-east-1a/*`.
    pub fn parse(text: &str) -> Self {
        Self(Locality::parse(text), text == "*")
    }

    /// Whether it stands for this locality.
    pub fn matches(&self, locality: &Locality) -> bool {
        let part =
            |pattern: &str, part: &str| pattern.is_empty() || pattern == "*" || pattern == part;
        self.1
            || (self.0.region == locality.region || self.0.region == "*")
                && part(&self.0.zone, &locality.zone)
                && part(&self.0.subzone, &locality.subzone)
    }

    /// The region it names, where it names one.
    pub fn region(&self) -> Option<&str> {
        Some(self.0.region.as_str()).filter(|r| !is_any(r))
    }

    /// The zone it names, where it names just one.
    pub fn zone(&self) -> Option<&str> {
        Some(self.0.zone.as_str()).filter(|z| !is_any(z))
    }

    /// The subzone it names, where it names one.
    pub fn subzone(&self) -> Option<&str> {
        Some(self.0.subzone.as_str()).filter(|s| !is_any(s))
    }

    /// Whether it stands for each locality that the other one stands for.
    pub fn covers(&self, other: &Self) -> bool {
        self.compare(other, |own, _| own)
    }

    /// Whether some locality is meant by both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.compare(other, |own, other| own || other)
    }

    /// Compares part by part. `open` is told which of the two parts stand for anything, and says whether
    /// that is enough.
    fn compare(&self, other: &Self, open: fn(bool, bool) -> bool) -> bool {
        let (a, b) = (&self.0, &other.0);
        let any_region = open(a.region == "*", b.region == "*");
        let part = |a: &str, b: &str| a == b || open(is_any(a), is_any(b));
        (any_region || a.region == b.region)
            && part(&a.zone, &b.zone)
            && part(&a.subzone, &b.subzone)
    }
}

/// Whether a zone or subzone of a pattern stands for anything.
fn is_any(part: &str) -> bool {
    part.is_empty() || part == "*"
}

/// Somewhere in a cluster where nodes stand (or may stand), and what tells so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub locality: Locality,
    /// What tells so.
    pub span: Span,
    /// How many nodes are known there; `None` where only a pool or the configuration names it.
    pub nodes: Option<u32>,
}

/// The locality of a node, as Istio reads its labels.
/// Source: `kube/controller/controller.go`, `getPodLocality`.
pub fn locality_of_node(meta: &Meta) -> Locality {
    let label = |names: &[&str]| {
        let values = names.iter().filter_map(|name| meta.label(name));
        values.map(|v| v.value.clone()).find(|v| !v.is_empty()).unwrap_or_default()
    };
    Locality {
        region: label(&[REGION_LABEL, "failure-domain.beta.kubernetes.io/region"]),
        zone: label(&[ZONE_LABEL, "failure-domain.beta.kubernetes.io/zone"]),
        subzone: label(&[SUBZONE_LABEL]),
    }
}

impl Mesh {
    /// Where nodes of a cluster stand, one entry per locality, ordered by locality. Empty where
    /// nothing tells: that is not the same as no zone.
    ///
    /// The first source that speaks is taken: nodes, the configuration, then pools of machines.
    pub fn places(&self, cluster: ClusterId) -> &[Place] {
        self.places.get(cluster.index()).map_or(&[], Vec::as_slice)
    }

    /// Whether all clusters of a mesh that can be in a locality are in the input: no remote secret leads
    /// elsewhere, and one of them has nodes there, or the configuration or remote secrets tell which
    /// clusters there are. Otherwise a locality that no known cluster has may be another's.
    pub fn knows_locality(&self, pattern: &LocalityPattern, of: ClusterId) -> bool {
        let mut places = self.peers(of).flat_map(|c| self.places(c.id));
        self.clusters_elsewhere(of).next().is_none()
            && (self.configured
                || self.has_remote_secrets(of)
                || places.any(|p| pattern.matches(&p.locality)))
    }

    /// The zones of a cluster, without subzones; empty where nothing tells.
    pub fn zones(&self, cluster: ClusterId) -> Vec<Locality> {
        let mut zones: Vec<_> =
            self.places(cluster).iter().map(|p| p.locality.without_subzone()).collect();
        zones.dedup();
        zones.retain(|z| !z.zone.is_empty());
        zones
    }

    /// A zone of a cluster with the subzone that all of its nodes share, where they share one.
    pub fn with_subzone(&self, cluster: ClusterId, zone: &Locality) -> Locality {
        let mut same =
            self.places(cluster).iter().filter(|p| p.locality.without_subzone() == *zone);
        match (same.next(), same.next()) {
            (Some(only), None) => only.locality.clone(),
            _ => zone.clone(),
        }
    }

    pub(super) fn find_places(&self, cluster: ClusterId) -> Vec<Place> {
        let sources: [fn(&Self, ClusterId) -> Vec<(Locality, Span)>; 4] =
            [Self::configured_places, Self::pool_places, Self::eksctl_places, Self::machine_places];
        let nodes = self.node_places(cluster);
        if !nodes.is_empty() {
            return nodes;
        }
        let found = sources.into_iter().map(|source| source(self, cluster)).find(|f| !f.is_empty());
        let mut found = found.unwrap_or_default();
        found.sort();
        found.dedup_by(|a, b| a.0 == b.0);
        found.into_iter().map(|(locality, span)| Place { locality, span, nodes: None }).collect()
    }

    fn node_places(&self, cluster: ClusterId) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        for node in self.nodes.of_cluster(cluster) {
            let locality = locality_of_node(&node.meta);
            match places.iter_mut().find(|p| p.locality == locality) {
                Some(place) => place.nodes = place.nodes.map(|n| n + 1),
                None => places.push(Place { locality, span: node.named_at(), nodes: Some(1) }),
            }
        }
        for kind in self.kind_clusters.of_cluster(cluster) {
            for node in &kind.nodes {
                let label =
                    |name| node.labels.get(name).map(|v| v.value.clone()).unwrap_or_default();
                let locality = Locality {
                    region: label(REGION_LABEL),
                    zone: label(ZONE_LABEL),
                    subzone: label(SUBZONE_LABEL),
                };
                let span = node.labels.get(ZONE_LABEL).map(|z| z.span);
                if let Some(span) = span.filter(|_| places.iter().all(|p| p.locality != locality)) {
                    places.push(Place { locality, span, nodes: None });
                }
            }
        }
        places.sort_by(|a, b| a.locality.cmp(&b.locality));
        places
    }

    fn configured_places(&self, cluster: ClusterId) -> Vec<(Locality, Span)> {
        let told = self.cluster(cluster).config.iter().flat_map(|c| &c.localities);
        told.map(|text| (Locality::parse(text), text.span)).collect()
    }

    fn pool_places(&self, cluster: ClusterId) -> Vec<(Locality, Span)> {
        let mut found = Vec::new();
        for pool in self.node_pools.of_cluster(cluster) {
            let expressions: Vec<&Expression> =
                pool.requirements.iter().chain(&pool.template.spec.requirements).collect();
            let labels = [&pool.labels, &pool.template.metadata.labels];
            let regions = wanted(REGION_LABEL, &expressions, &labels);
            for zone in wanted(ZONE_LABEL, &expressions, &labels) {
                let region = match regions.as_slice() {
                    [one] => one.value.clone(),
                    _ => String::new(),
                };
                let locality =
                    Locality { region, zone: zone.value.clone(), subzone: String::new() };
                found.push((locality, zone.span));
            }
        }
        found
    }

    fn eksctl_places(&self, cluster: ClusterId) -> Vec<(Locality, Span)> {
        let mut found = Vec::new();
        for config in self.eksctl_clusters.of_cluster(cluster) {
            let region = super::value(config.metadata.region.as_ref()).unwrap_or_default();
            let groups = config.managed_node_groups.iter().chain(&config.node_groups);
            let of_groups = groups.flat_map(|g| &g.availability_zones);
            for zone in config.availability_zones.iter().chain(of_groups) {
                found.push((locality(region, zone), zone.span));
            }
        }
        found
    }

    fn machine_places(&self, cluster: ClusterId) -> Vec<(Locality, Span)> {
        let machines = self.machines.of_cluster(cluster).iter();
        machines
            .flat_map(|m| m.failure_domains.iter().chain(&m.template.spec.failure_domain))
            .map(|zone| (locality("", zone), zone.span))
            .collect()
    }
}

fn locality(region: &str, zone: &str) -> Locality {
    Locality { region: region.to_owned(), zone: zone.to_owned(), subzone: String::new() }
}

/// The values of a label that a pool's nodes can have.
fn wanted<'p>(
    label: &str,
    expressions: &[&'p Expression],
    labels: &[&'p Entries<Text>],
) -> Vec<&'p Text> {
    let fixed = labels.iter().filter_map(|labels| labels.get(label));
    let among =
        expressions.iter().filter(|e| e.key.as_str() == label && e.operator.as_str() == "In");
    fixed.chain(among.flat_map(|e| &e.values)).collect()
}

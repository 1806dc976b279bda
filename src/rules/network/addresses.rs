//! Addresses of pods in clusters that call each other without a gateway.

use std::collections::BTreeMap;

use crate::clusters::Cluster;
use crate::finding::{Findings, Severity};
use crate::kinds::is_placeholder;
use crate::mesh::{Mesh, PodRange, list, value};

/// A cluster that has addresses of another's pods, by the ranges that overlap.
struct Clash<'m> {
    cluster: &'m Cluster,
    own: PodRange,
    other: PodRange,
}

fn clash<'m>(first: &[PodRange], second: &[PodRange], cluster: &'m Cluster) -> Option<Clash<'m>> {
    let pairs = first.iter().flat_map(|a| second.iter().map(move |b| (a, b)));
    let mut same = pairs.filter(|(a, b)| a.cidr.overlaps(b.cidr));
    // A text that two clusters share is no word on how they differ.
    let (other, own) = same.find(|(a, b)| a.span != b.span)?;
    Some(Clash { cluster, own: own.clone(), other: other.clone() })
}

/// The clusters of a mesh that call each other's pods directly: those of one network, and those of which
/// all is told but a network.
fn neighbours<'m>(
    mesh: &'m Mesh,
    clusters: &[&'m Cluster],
) -> Vec<(Option<&'m str>, Vec<&'m Cluster>)> {
    let mut found: BTreeMap<Option<&str>, Vec<&Cluster>> = BTreeMap::new();
    let single = clusters.iter().all(|c| c.network().is_none() && !c.facts.name.is_empty());
    let gateways = clusters.iter().any(|c| mesh.gateway_services().any(|s| s.cluster == c.id));
    for &cluster in clusters {
        match value(cluster.network()) {
            Some(network) if !is_placeholder(network) => {
                found.entry(Some(network)).or_default().push(cluster);
            }
            None if single && !gateways => found.entry(None).or_default().push(cluster),
            _ => {}
        }
    }
    found.into_iter().collect()
}

pub(super) fn same_network_overlapping_pod_cidr(mesh: &Mesh, found: &mut Findings) {
    for clusters in mesh.meshes() {
        for (network, inside) in neighbours(mesh, &clusters) {
            let mut rest: Vec<(&Cluster, Vec<PodRange>)> =
                inside.into_iter().map(|c| (c, mesh.pod_ranges(c.id))).collect();
            while !rest.is_empty() {
                let (cluster, ranges) = rest.remove(0);
                let clashes: Vec<Clash<'_>> =
                    rest.iter().filter_map(|(c, other)| clash(&ranges, other, c)).collect();
                rest.retain(|(c, _)| clashes.iter().all(|clash| clash.cluster.id != c.id));
                say(network, cluster, &clashes, found);
            }
        }
    }
}

fn say(network: Option<&str>, cluster: &Cluster, clashes: &[Clash<'_>], found: &mut Findings) {
    let Some(first) = clashes.first() else { return };
    let all = clashes.iter().map(|clash| clash.cluster.name.as_str());
    let names = list(std::iter::once(cluster.name.as_str()).chain(all));
    let sure = clashes.iter().all(|clash| clash.own.is_sure && clash.other.is_sure);
    let place = match network {
        Some(network) => format!("are in network `{network}`"),
        None => "are told no network, which makes them one".to_owned(),
    };
    let unless = if sure { "" } else { ", unless another plugin hands out addresses there" };
    let finding = found.say(
        format!("pods of {names} may have the same addresses, and the clusters {place}{unless}"),
        first.own.span,
        format!(
            "`{}` by {}: `{}` of `{}` overlaps, and what is sent to a pod there ends at a pod here",
            first.own.text, first.own.by, first.other.text, cluster.name
        ),
    );
    finding.also(first.other.span, format!("`{}` by {}", first.other.text, first.other.by));
    for clash in &clashes[1..] {
        let text = format!("`{}` of `{}` by {}", clash.own.text, clash.cluster.name, clash.own.by);
        finding.also(clash.own.span, text);
    }
    if let Some(network) = cluster.network() {
        finding.also(network.span, "one network: pods are called at their own addresses");
    }
    finding.help(format!(
        "give each cluster of a network pods of its own range, or make `{}` a network of its own \
         (`global.network`, the label `topology.istio.io/network`) behind an east-west gateway",
        first.cluster.name
    ));
    if !sure || network.is_none() {
        finding.lower(Severity::Warning);
    }
}

//! What runs beside a control plane and is too old or too new for it.

use std::collections::{BTreeMap, BTreeSet};

use super::installs::is_sure;
use crate::api::version;
use crate::clusters::{Cluster, ClusterId, Installed};
use crate::finding::Findings;
use crate::mesh::Mesh;
use crate::rules::SHOWN;
use crate::source::Span;

/// The bounds of sidecars and gateways.
const OF_PROXIES: (u32, u32) = (2, 0);

/// A part of the data plane, or its definitions, with its version.
struct Part {
    what: String,
    version: (u32, u32),
    at: Span,
    /// How many minor versions it may be behind its istiod, and ahead; none for definitions, which go first.
    /// Source: istio.io, "Upgrade with Helm" and "Install the Istio CNI node agent".
    bounds: Option<(u32, u32)>,
}

/// What stands beside istiod in a cluster by charts of its own.
fn charts(mesh: &Mesh, cluster: &Cluster) -> Vec<Part> {
    let of_chart = |install: &Installed| {
        let name = install.chart_name()?;
        if !["base", "cni", "gateway", "ztunnel"].contains(&name) {
            return None;
        }
        let told = install.chart_version.as_ref()?;
        // Charts of others have these names too.
        let version = version(told).filter(|(major, minor)| *major == 1 && *minor > 9)?;
        let what = format!("chart `{name}`");
        let bounds = match name {
            "base" => None,
            "cni" => Some((1, 1)),
            "ztunnel" => Some((1, 0)),
            _ => Some(OF_PROXIES),
        };
        Some(Part { what, version, at: told.span, bounds })
    };
    cluster.facts.installs.iter().filter(|i| is_sure(mesh, i)).filter_map(of_chart).collect()
}

/// Proxies whose image is written out, by cluster. Of pods themselves another rule speaks, which knows what
/// would be injected.
fn proxies(mesh: &Mesh) -> BTreeMap<ClusterId, Vec<Part>> {
    let mut found: BTreeMap<ClusterId, Vec<Part>> = BTreeMap::new();
    for pods in mesh.pod_shapes().filter(|pods| !pods.is_pod() && !mesh.is_assumed(pods.meta)) {
        let containers = pods.spec.containers.iter().chain(&pods.spec.init_containers);
        let mut images = containers.filter(|c| c.name == "istio-proxy").filter_map(|c| {
            let image = c.image.as_ref()?;
            let (name, tag) = image.rsplit_once(':')?;
            let is_it = name.ends_with("/proxyv2") || name.ends_with("/ztunnel");
            version(tag).filter(|_| is_it).map(|v| (v, image.span, name.ends_with("/ztunnel")))
        });
        if let Some((version, at, is_node_proxy)) = images.next() {
            let bounds = Some(if is_node_proxy { (1, 0) } else { OF_PROXIES });
            let part = Part { what: pods.called(), version, at, bounds };
            found.entry(pods.cluster).or_default().push(part);
        }
    }
    found
}

/// What is wrong with a part beside control planes of a range of versions.
fn skew(part: &Part, (oldest, newest): ((u32, u32), (u32, u32))) -> Option<String> {
    let (has, low, high) = (part.version.1, oldest.1, newest.1);
    let Some((behind, ahead)) = part.bounds else {
        return (has < low)
            .then(|| "fields and kinds that istiod has learnt since are refused".to_owned());
    };
    if has > high + ahead {
        return Some(format!("newer than its istiod by {}: istiod goes first", has - high));
    }
    (low > has + behind).then(|| format!("{} behind its istiod, where {behind} may be", low - has))
}

/// Says what is too old or too new beside the control plane of its cluster.
pub(super) fn data_plane_skew(mesh: &Mesh, found: &mut Findings) {
    let mut said: BTreeSet<Span> = BTreeSet::new();
    let mut proxies = proxies(mesh);
    for cluster in mesh.clusters() {
        let Some(plane) = mesh.config_cluster(cluster.id).found().map(|id| mesh.cluster(id)) else {
            continue;
        };
        let told = plane.facts.version.iter();
        let mut planes: Vec<((u32, u32), Span)> =
            told.filter_map(|fact| Some((version(&fact.value)?, fact.value.span))).collect();
        planes.sort_unstable();
        let (Some((oldest, old_at)), Some((newest, _))) = (planes.first(), planes.last()) else {
            continue;
        };
        let mut wrong: Vec<(Part, String)> = Vec::new();
        let own = proxies.remove(&cluster.id).unwrap_or_default();
        for part in charts(mesh, cluster).into_iter().chain(own) {
            let same_major = part.version.0 == oldest.0 && part.version.0 == newest.0;
            let why = skew(&part, (*oldest, *newest)).filter(|_| same_major);
            if let Some(why) = why.filter(|_| said.insert(part.at)) {
                wrong.push((part, why));
            }
        }
        let [(first, why), more @ ..] = wrong.as_slice() else { continue };
        let (major, minor) = first.version;
        let others = match more.len() {
            0 => String::new(),
            n => format!(" (and {n} more)"),
        };
        let finding = found.say(
            format!(
                "{} in `{}` is of Istio {major}.{minor}, its istiod of {}.{}{others}",
                first.what, cluster.name, oldest.0, oldest.1
            ),
            first.at,
            why.clone(),
        );
        for (part, why) in more.iter().take(SHOWN) {
            finding.also(part.at, format!("{}: {why}", part.what));
        }
        finding.also(*old_at, format!("istiod of `{}`", plane.name));
        finding.help(
            "upgrade `base` first, then istiod, then cni and ztunnel, then gateways and sidecars",
        );
    }
}

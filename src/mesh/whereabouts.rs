//! Where clients and endpoints of a mesh can be, and whether that is known of all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Locality, LocalityPattern, Lookup, Mesh, Role};
use crate::clusters::{Cluster, ClusterId};
use crate::kinds::is_placeholder;
use crate::kinds::kubeconfig::REMOTE_LABEL;
use crate::kinds::networking::{Server, WorkloadEntry};
use crate::source::Text;
use crate::yaml::Entries;

/// Where clients or endpoints can be.
#[derive(Clone, Debug, Default)]
pub struct Whereabouts {
    spots: BTreeSet<Spot>,
    /// Whether nobody is anywhere else.
    pub complete: bool,
}

/// A locality, and whether an empty subzone of it means that there is none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Spot {
    locality: Locality,
    exact: bool,
}

impl Spot {
    /// Whether a pattern may mean it: a part that is not told may be anything.
    fn may_be(&self, pattern: &LocalityPattern) -> bool {
        let Locality { region, zone, subzone } = &self.locality;
        let untold = !self.exact || zone.is_empty();
        let part = |asked: Option<&str>, own: &str, untold: bool| {
            asked.is_none_or(|asked| asked == own || own.is_empty() && untold)
        };
        part(pattern.region(), region, true)
            && part(pattern.zone(), zone, true)
            && part(pattern.subzone(), subzone, untold)
    }
}

impl Whereabouts {
    /// Whether somebody is in a locality of a `distribute` entry, or in a region.
    pub fn find(&self, text: &str) -> Lookup<()> {
        let pattern = LocalityPattern::parse(text);
        if self.spots.iter().any(|spot| spot.may_be(&pattern)) {
            return Lookup::Found(());
        }
        if !self.complete || is_placeholder(text) {
            return Lookup::Unseen;
        }
        Lookup::Absent { nearest: self.nearest(text) }
    }

    /// Whether this is certainly the name of a region.
    pub fn has_region(&self, name: &str) -> bool {
        self.spots.iter().any(|spot| spot.locality.region == name)
    }

    /// The zone of that name, if there is one alone.
    pub fn zone_called(&self, name: &str) -> Option<Locality> {
        let same = self.spots.iter().filter(|s| s.locality.zone == name && !name.is_empty());
        let zones: BTreeSet<Locality> = same.map(|s| s.locality.without_subzone()).collect();
        zones.first().filter(|_| zones.len() == 1).cloned()
    }

    /// The known zones, each with its region where that is known.
    pub fn zones(&self) -> BTreeSet<Locality> {
        let zones = self.spots.iter().map(|s| s.locality.without_subzone());
        zones.filter(|zone| !zone.zone.is_empty()).collect()
    }

    /// The known regions.
    pub fn regions(&self) -> BTreeSet<&str> {
        let regions = self.spots.iter().map(|s| s.locality.region.as_str());
        regions.filter(|region| !region.is_empty()).collect()
    }

    /// A locality in the form of the one asked for that looks like it: the same region or zone, or hardly
    /// any letter differs.
    fn nearest(&self, text: &str) -> Option<String> {
        let asked = Locality::parse(text);
        if let Some(zone) = self.zone_called(&asked.region).filter(|z| !z.region.is_empty()) {
            let tail = if text.ends_with('*') { "/*" } else { "" };
            return Some(format!("{zone}{tail}"));
        }
        let near = self.spots.iter().filter_map(|spot| {
            let like = in_form(text, &spot.locality)?;
            let own = &spot.locality;
            let by_zone = !asked.zone.is_empty() && asked.zone != "*";
            let akin = by_zone && (own.region == asked.region || own.zone == asked.zone);
            let misspelt = is_misspelt(&asked.region, &own.region)
                && (!by_zone || is_misspelt(&asked.zone, &own.zone));
            (akin || misspelt).then(|| (strsim::levenshtein(text, &like), like))
        });
        near.min().map(|(_, like)| like)
    }

    fn extend(&mut self, other: Self) {
        self.spots.extend(other.spots);
        self.complete &= other.complete;
    }
}

/// Whether two names mean the same, but for slips: letters that changed places, one too many, too few or
/// another, other signs between them. `us-east-2` and `us-west-1` are other regions than `us-east-1`,
/// and `us-east-1d` is a zone of it.
fn is_misspelt(asked: &str, known: &str) -> bool {
    let letters = |name: &str| {
        name.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase()
    };
    let digits = |name: &str| name.chars().filter(char::is_ascii_digit).collect::<String>();
    let sorted = |name: &str| {
        let mut all: Vec<char> = letters(name).chars().collect();
        all.sort_unstable();
        all
    };
    digits(asked) == digits(known)
        && !asked.starts_with(known)
        && (sorted(asked) == sorted(known)
            || strsim::levenshtein(&letters(asked), &letters(known)) < 2)
}

/// A locality written with as many parts as a text, and with `*` where the text has it.
fn in_form(text: &str, locality: &Locality) -> Option<String> {
    let own = [&locality.region, &locality.zone, &locality.subzone];
    let parts: Vec<&str> = text
        .split('/')
        .zip(own)
        .map(|(asked, own)| if asked == "*" { "*" } else { own.as_str() })
        .collect();
    parts.iter().all(|part| !part.is_empty()).then(|| parts.join("/"))
}

impl Mesh {
    /// Whether each cluster of a mesh is in the input: the configuration names them, there are several, or
    /// nothing in the only one speaks of others.
    fn knows_all_clusters(&self, of: ClusterId) -> bool {
        self.configured || self.peers(of).count() > 1 || !self.speaks_of_others(of)
    }

    fn speaks_of_others(&self, id: ClusterId) -> bool {
        let facts = &self.cluster(id).facts;
        let told = [&facts.name, &facts.network, &facts.mesh_id, &facts.served_by];
        let mut secrets = self.secrets.of_cluster(id).iter();
        let mut made = self.opaque_secrets.of_cluster(id).iter();
        let mut gateways = self.gateways.of_cluster(id).iter();
        told.iter().any(|facts| !facts.is_empty())
            || self.cluster(id).role() == Some(Role::Remote)
            || secrets.any(|s| s.meta.label(REMOTE_LABEL).is_some())
            || made.any(|s| s.remote_label().is_some())
            || gateways.any(|g| g.servers.iter().any(Server::is_for_other_networks))
    }

    /// Whether [`Mesh::places`] has each locality in which a cluster has nodes: nodes and the
    /// configuration tell of all, pools of machines only of their own.
    fn knows_all_places(&self, cluster: ClusterId) -> bool {
        let places = self.places(cluster);
        let told = self.cluster(cluster);
        let by_nodes = places.iter().any(|p| p.nodes.is_some());
        let mut nodes = self.nodes.of_cluster(cluster).iter();
        let by_kind = !self.kind_clusters.of_cluster(cluster).is_empty();
        let configured = told.config.as_ref().is_some_and(|c| !c.localities.is_empty());
        let virtual_machines = self
            .istio_objects
            .of_cluster(cluster)
            .iter()
            .any(|o| o.meta.kind.as_str() == "WorkloadGroup");
        !places.is_empty()
            && !virtual_machines
            && if by_nodes {
                !nodes.any(|n| self.is_assumed(&n.meta))
            } else {
                by_kind || configured || told.is_complete()
            }
    }

    /// Where clients and endpoints of the meshes of some clusters can be.
    pub fn whereabouts(&self, of: &[ClusterId]) -> Whereabouts {
        let meshes: BTreeSet<usize> = of.iter().map(|id| self.cluster(*id).mesh).collect();
        let mut found = Whereabouts { complete: !meshes.is_empty(), ..Whereabouts::default() };
        let known = meshes.into_iter().filter_map(|mesh| self.whereabouts.get(&mesh));
        known.for_each(|known| found.extend(known.clone()));
        found
    }

    /// By number of the mesh.
    pub(super) fn find_whereabouts(&self) -> BTreeMap<usize, Whereabouts> {
        let mut found: BTreeMap<usize, Whereabouts> = BTreeMap::new();
        for cluster in &self.clusters {
            let all = found.entry(cluster.mesh).or_insert_with(|| Whereabouts {
                complete: self.knows_all_clusters(cluster.id),
                ..Whereabouts::default()
            });
            all.extend(self.whereabouts_in(cluster));
        }
        found
    }

    fn whereabouts_in(&self, cluster: &Cluster) -> Whereabouts {
        let places = self.places(cluster.id).iter();
        let places = places.filter(|p| !p.locality.is_empty());
        let spots = places.map(|p| Spot { locality: p.locality.clone(), exact: p.nodes.is_some() });
        let claimed = self.claimed.iter().filter(|(of, _)| *of == cluster.id);
        let claimed = claimed.map(|(_, l)| Spot { locality: l.clone(), exact: true });
        let complete = self.knows_all_places(cluster.id);
        Whereabouts { spots: spots.chain(claimed).collect(), complete }
    }

    /// Localities that do not come from nodes.
    /// Source: `kube/controller/controller.go`, `getPodLocality`; `serviceentry/conversion.go`.
    pub(super) fn find_claimed(&self) -> Vec<(ClusterId, Locality)> {
        let of_entry = |entry: &WorkloadEntry| match &entry.locality {
            Some(told) if !told.is_empty() => Some(Locality::parse(told)),
            _ => labelled(&entry.labels),
        };
        let entries = self.workload_entries.iter().map(|e| (e.cluster, of_entry(&e.resource.spec)));
        let inline = self
            .service_entries
            .iter()
            .flat_map(|s| s.endpoints.iter().map(move |e| (s.cluster, of_entry(&e.value))));
        let templates = self.workloads.iter();
        let templates = templates.map(|w| (w.cluster, labelled(&w.template.metadata.labels)));
        let pods = self.pods.iter().map(|p| (p.cluster, labelled(&p.meta.labels)));
        let all = entries.chain(inline).chain(templates).chain(pods);
        let found: BTreeSet<_> = all.filter_map(|(id, locality)| Some((id, locality?))).collect();
        found.into_iter().collect()
    }
}

/// The locality that a pod's own labels claim.
fn labelled(labels: &Entries<Text>) -> Option<Locality> {
    let told = ["topology.istio.io/locality", "istio-locality"];
    let told = told.iter().find_map(|key| labels.get(key))?;
    let text = if told.contains('/') { told.value.clone() } else { told.replace('.', "/") };
    Some(Locality::parse(&text)).filter(|locality| !locality.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(texts: &[&str], complete: bool) -> Whereabouts {
        let spot = |text: &&str| Spot { locality: Locality::parse(text), exact: true };
        Whereabouts { spots: texts.iter().map(spot).collect(), complete }
    }

    fn nearest(known: &[&str], asked: &str) -> Option<String> {
        match all(known, true).find(asked) {
            Lookup::Absent { nearest } => nearest,
            other => panic!("{asked}: {other:?}"),
        }
    }

    #[test]
    fn only_what_is_complete_calls_a_locality_absent() {
        let known = ["us-east-1/us-east-1a", "us-west-2/us-west-2a"];
        assert_eq!(all(&known, false).find("eu-west-3/*"), Lookup::Unseen);
        assert!(all(&known, true).find("eu-west-3/*").is_absent());
        assert_eq!(all(&known, true).find("${REGION}/*"), Lookup::Unseen);
        for there in ["*", "us-east-1", "us-east-1/*", "us-east-1/us-east-1a/*", "*/us-west-2a"] {
            assert_eq!(all(&known, true).find(there), Lookup::Found(()), "{there}");
        }
        assert!(all(&known, true).find("us-east-1/us-east-1a/rack-1").is_absent());
    }

    #[test]
    fn a_part_that_is_not_told_may_be_anything() {
        assert_eq!(all(&["/us-east-1a"], true).find("us-east-1/us-east-1a/*"), Lookup::Found(()));
        assert_eq!(all(&["us-east-1"], true).find("us-east-1/us-east-1b/r1"), Lookup::Found(()));
        let mut pools = all(&[], true);
        let locality = Locality::parse("us-east-1/us-east-1a");
        pools.spots.insert(Spot { locality, exact: false });
        assert_eq!(pools.find("us-east-1/us-east-1a/rack-1"), Lookup::Found(()));
    }

    #[test]
    fn the_nearest_has_the_form_of_the_one_asked_for() {
        let known = ["us-east-1/us-east-1a", "us-east-1/us-east-1b", "us-west-2/us-west-2a"];
        let near = |asked| nearest(&known, asked);
        assert_eq!(near("us-esat-1/us-esat-1b/*").as_deref(), Some("us-east-1/us-east-1b/*"));
        assert_eq!(near("us-west-2b/*").as_deref(), None);
        assert_eq!(near("us-west-2a").as_deref(), Some("us-west-2/us-west-2a"));
        assert_eq!(near("us-east1").as_deref(), Some("us-east-1"));
        assert_eq!(near("eu-central-1/eu-central-1a").as_deref(), None);
        assert_eq!(near("us-east-2/us-east-2a/*").as_deref(), None);
        assert_eq!(near("us-east-1/us-east1c/*").as_deref(), Some("us-east-1/us-east-1a/*"));
    }

    const NODE: &str = "{apiVersion: v1, kind: Node, metadata: {name: a, labels: {\
        topology.kubernetes.io/region: us-east-1, topology.kubernetes.io/zone: us-east-1a}}}";
    const POOL: &str = "apiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata: {name: a}\nspec: {\
        template: {spec: {requirements: [{key: topology.kubernetes.io/zone, operator: In, \
        values: [us-east-1a]}]}}}";
    const NETWORK: &str = "{apiVersion: v1, kind: Namespace, metadata: {name: istio-system, \
        labels: {topology.istio.io/network: network-east}}}";
    const MACHINES: &str = "{apiVersion: networking.istio.io/v1, kind: WorkloadGroup, \
        metadata: {name: till, namespace: shop}, spec: {template: {locality: store/a}}}";

    fn complete(text: &str) -> bool {
        let mut sources = crate::source::Sources::default();
        sources.add("all.yaml", text).unwrap();
        let mesh = crate::lint::build(&sources, &crate::config::Config::default()).mesh;
        let ids: Vec<ClusterId> = mesh.clusters().iter().map(|c| c.id).collect();
        mesh.whereabouts(&ids).complete
    }

    #[test]
    fn a_cluster_alone_is_all_unless_it_speaks_of_others() {
        assert!(complete(NODE));
        assert!(!complete(POOL), "a pool tells of its own zones only");
        assert!(!complete(&format!("{NODE}\n---\n{NETWORK}")), "networks are for several clusters");
        assert!(!complete(&format!("{NODE}\n---\n{MACHINES}")), "machines join from anywhere");
    }
}

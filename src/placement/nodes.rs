//! Where pods could stand: nodes, or zones whose nodes are not in the input, and which of them fit.

use std::collections::BTreeMap;

use super::pin;
use crate::clusters::ClusterId;
use crate::kinds::machines::KindNode;
use crate::kinds::workloads::{Expression, NodeSelectorTerm, PodSpec, Toleration};
use crate::mesh::{Locality, Mesh, REGION_LABEL, ZONE_LABEL, locality_of_node, value};
use crate::source::{Span, Text};
use crate::yaml::Entries;

/// The label that every kubelet puts on its node.
pub(super) const HOST_LABEL: &str = "kubernetes.io/hostname";
const ZONES: [&str; 2] = [ZONE_LABEL, "failure-domain.beta.kubernetes.io/zone"];
const REGIONS: [&str; 2] = [REGION_LABEL, "failure-domain.beta.kubernetes.io/region"];
const CORDONED: &str = "node.kubernetes.io/unschedulable";
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
/// Taints that pods of a `DaemonSet` tolerate anyway. Source: `pkg/controller/daemon/util`.
const OF_DAEMONS: [&str; 7] = [
    CORDONED,
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/network-unavailable",
];

/// Whether a pod may stand somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    No,
    Maybe,
    Yes,
}

impl From<bool> for Fit {
    fn from(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }
}

/// What is known of the nodes at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    /// It is one node.
    Node,
    /// It is a zone that has nodes, nobody tells how many.
    Zone,
    /// It is a zone that may have nodes: a pool or the pod's own affinity names it.
    Perhaps,
}

/// A node, or all nodes of a zone that we know by its name only.
#[derive(Clone, Debug)]
pub(super) struct Site<'m> {
    pub locality: Locality,
    name: Option<&'m str>,
    labels: Option<&'m Entries<Text>>,
    taints: Vec<(&'m str, &'m str, &'m str)>,
    stands: Stands,
}

/// A label's value, where it is known whether there is one.
enum Label<'s> {
    Known(Option<&'s str>),
    Unknown,
}

impl Site<'_> {
    /// A node that lacks the label of every kubelet was written by hand and does not say all; a zone
    /// says nothing of its nodes but the zone.
    fn label(&self, key: &str) -> Label<'_> {
        if let Some(found) = self.labels.and_then(|labels| labels.get(key)) {
            return Label::Known(Some(found.as_str()));
        }
        let whole = self.labels.is_some_and(|labels| labels.get(HOST_LABEL).is_some());
        let part = |part: &'_ str| self.labels.is_none() && !part.is_empty();
        match key {
            HOST_LABEL if self.name.is_some() => Label::Known(self.name),
            key if ZONES.contains(&key) && part(&self.locality.zone) => {
                Label::Known(Some(&self.locality.zone))
            }
            key if REGIONS.contains(&key) && part(&self.locality.region) => {
                Label::Known(Some(&self.locality.region))
            }
            key if self.labels.is_some() && (ZONES.contains(&key) || REGIONS.contains(&key)) => {
                Label::Known(None)
            }
            // Proxies run on Linux only.
            "kubernetes.io/os" | "beta.kubernetes.io/os" if !whole => Label::Known(Some("linux")),
            _ if whole => Label::Known(None),
            _ => Label::Unknown,
        }
    }

    fn has(&self, key: &str) -> Fit {
        match self.label(key) {
            Label::Known(value) => value.is_some().into(),
            Label::Unknown if key == HOST_LABEL => Fit::Yes,
            Label::Unknown => Fit::Maybe,
        }
    }

    fn fulfils(&self, expression: &Expression) -> Fit {
        match self.label(expression.key.as_str()) {
            Label::Known(value) => expression.matches(|_| value).into(),
            Label::Unknown => Fit::Maybe,
        }
    }

    fn is_named(&self, expression: &Expression) -> Fit {
        match self.name {
            Some(name) => expression.matches(|_| Some(name)).into(),
            None => Fit::Maybe,
        }
    }

    /// A term without conditions fits no node.
    fn fits_term(&self, term: &NodeSelectorTerm) -> Fit {
        let labels = term.match_expressions.iter().map(|e| self.fulfils(e));
        let fields = term.match_fields.iter().map(|e| self.is_named(e));
        labels.chain(fields).min().unwrap_or(Fit::No)
    }

    fn selected(&self, key: &str, want: &str) -> Fit {
        match self.label(key) {
            Label::Known(value) => (value == Some(want)).into(),
            Label::Unknown => Fit::Maybe,
        }
    }

    /// Whether it fulfils the node selector and the required node affinity.
    fn fits(&self, spec: &PodSpec) -> Fit {
        let selector = spec.node_selector.iter();
        let selected = selector.map(|(key, want)| self.selected(key, want)).min();
        let terms = spec.affinity.node_affinity.required.as_ref().map(|s| &s.node_selector_terms);
        let liked =
            terms.map(|terms| terms.iter().map(|t| self.fits_term(t)).max().unwrap_or(Fit::No));
        selected.unwrap_or(Fit::Yes).min(liked.unwrap_or(Fit::Yes))
    }

    fn tolerated(&self, spec: &PodSpec, daemon: bool) -> bool {
        self.taints
            .iter()
            .filter(|(_, _, effect)| matches!(*effect, "NoSchedule" | "NoExecute"))
            .all(|taint| {
                daemon && OF_DAEMONS.contains(&taint.0)
                    || spec.tolerations.iter().any(|t| tolerates(t, *taint))
            })
    }

    /// What of a pod keeps it away: a selector, an affinity; nothing where it is a taint.
    pub(super) fn kept_away_by(&self, spec: &PodSpec) -> Option<Span> {
        if let Some(name) = &spec.node_name {
            return Some(name.span);
        }
        let mut selector = spec.node_selector.iter();
        if let Some((_, want)) = selector.find(|(key, want)| self.selected(key, want) == Fit::No) {
            return Some(want.span);
        }
        let terms = &spec.affinity.node_affinity.required.as_ref()?.node_selector_terms;
        let conditions = terms.iter().flat_map(|t| t.match_expressions.iter());
        let mut failing = conditions.filter(|e| self.fulfils(e) == Fit::No);
        failing.next().map(|e| e.values.first().map_or(e.key.span, |v| v.span))
    }
}

/// Source: `k8s.io/api/core/v1`, `Toleration.ToleratesTaint`.
fn tolerates(toleration: &Toleration, (key, taint, effect): (&str, &str, &str)) -> bool {
    let given = |text: &Option<Text>| value(text.as_ref()).unwrap_or_default().to_owned();
    let operator = given(&toleration.operator);
    let (own, every) = (given(&toleration.key), given(&toleration.effect));
    (every.is_empty() || every == effect)
        && (own == key || own.is_empty() && operator == "Exists")
        && (operator == "Exists"
            || matches!(operator.as_str(), "" | "Equal") && given(&toleration.value) == taint)
}

/// The sites of a cluster: its nodes; where none is known, the zones that nodes can stand in.
pub(super) fn sites(mesh: &Mesh, cluster: ClusterId) -> Vec<Site<'_>> {
    let mut sites: Vec<Site<'_>> = Vec::new();
    for node in mesh.nodes.of_cluster(cluster) {
        let taints = node.spec.spec.taints.iter().map(|t| {
            let (content, effect) = (t.value.as_deref(), value(t.effect.as_ref()));
            let key = value(t.key.as_ref());
            (key.unwrap_or_default(), content.unwrap_or_default(), effect.unwrap_or_default())
        });
        let cordoned = node.spec.spec.unschedulable.then_some((CORDONED, "", "NoSchedule"));
        sites.push(Site {
            locality: locality_of_node(&node.meta).without_subzone(),
            name: Some(node.name()),
            labels: Some(&node.meta.labels),
            taints: taints.chain(cordoned).collect(),
            stands: Stands::Node,
        });
    }
    sites.extend(kind_nodes(mesh, cluster));
    if sites.is_empty() {
        let told = mesh.cluster(cluster).config.as_ref().is_some_and(|c| !c.localities.is_empty());
        let stands = if told { Stands::Zone } else { Stands::Perhaps };
        for place in mesh.places(cluster) {
            let locality = place.locality.without_subzone();
            if sites.last().is_none_or(|last| last.locality != locality) {
                sites.push(zone(locality, stands));
            }
        }
    }
    sites
}

/// The zones that a pod's own selector or affinity names, for clusters of which nothing else is known.
pub(super) fn sites_named(spec: &PodSpec) -> Vec<Site<'_>> {
    let zones = pin::allowed_zones(spec).unwrap_or_default();
    zones.into_iter().map(|pin| zone(pin.zone, Stands::Perhaps)).collect()
}

fn zone<'m>(locality: Locality, stands: Stands) -> Site<'m> {
    Site { locality, name: None, labels: None, taints: Vec::new(), stands }
}

/// kind's nodes, where they are labelled with zones. A control plane is tainted unless it is alone.
fn kind_nodes(mesh: &Mesh, cluster: ClusterId) -> Vec<Site<'_>> {
    let mut sites = Vec::new();
    for kind in mesh.kind_clusters.of_cluster(cluster) {
        let works = |node: &KindNode| value(node.role.as_ref()) == Some("worker");
        let workers = kind.nodes.iter().any(works);
        if kind.nodes.iter().all(|n| n.labels.get(ZONE_LABEL).is_none()) {
            continue;
        }
        for node in &kind.nodes {
            let label = |name| node.labels.get(name).map(|v| v.value.clone()).unwrap_or_default();
            let (region, zone) = (label(REGION_LABEL), label(ZONE_LABEL));
            let taint = (workers && !works(node)).then_some((CONTROL_PLANE, "", "NoSchedule"));
            sites.push(Site {
                locality: Locality { region, zone, subzone: String::new() },
                name: None,
                labels: Some(&node.labels),
                taints: taint.into_iter().collect(),
                stands: Stands::Node,
            });
        }
    }
    sites
}

/// How many nodes are sure to be so, and how many more may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub sure: u64,
    pub maybe: u64,
}

impl Count {
    fn add(&mut self, fit: Fit) {
        match fit {
            Fit::Yes => self.sure += 1,
            Fit::Maybe => self.maybe += 1,
            Fit::No => {}
        }
    }

    pub(super) fn all(self) -> u64 {
        self.sure + self.maybe
    }
}

/// All sites with the same topology labels, as a pod sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// Region and zone as Istio reads them.
    pub locality: Locality,
    /// The value of the label for zones.
    pub zone: Option<String>,
    /// The value of the label for regions.
    pub region: Option<String>,
    /// Nodes that pods can go to.
    pub eligible: Count,
    /// Nodes that count as domains of a spread constraint, by [`policy`].
    pub counted: [Count; 4],
    /// Nobody knows how many nodes it has.
    pub open: bool,
    /// Open, and any node there would fit.
    pub ready: bool,
    /// Position of the first of its sites.
    pub sample: usize,
}

/// Which nodes count for a spread constraint: position in [`Cell::counted`].
pub(super) fn policy(honours_affinity: bool, honours_taints: bool) -> usize {
    usize::from(honours_affinity) + 2 * usize::from(honours_taints)
}

/// What about a pod decides where it can stand by itself.
pub(super) struct Asks<'m> {
    pub spec: &'m PodSpec,
    pub daemon: bool,
    /// Labels a node needs, or a spread constraint or affinity keeps the pod away.
    pub keys: Vec<&'m str>,
}

impl Asks<'_> {
    /// The same text for pods that ask the same.
    pub(super) fn signature(&self) -> String {
        let mut text = String::from(if self.daemon { "daemon" } else { "" });
        let mut put = |parts: &[&str]| {
            for part in parts {
                text.push_str(part);
                text.push('\u{1}');
            }
            text.push('\u{2}');
        };
        put(&[value(self.spec.node_name.as_ref()).unwrap_or_default()]);
        for (key, want) in &self.spec.node_selector {
            put(&[key, want]);
        }
        for term in
            self.spec.affinity.node_affinity.required.iter().flat_map(|r| &r.node_selector_terms)
        {
            put(&["term"]);
            let fields = term.match_fields.iter().map(|e| ("field", e));
            for (what, e) in term.match_expressions.iter().map(|e| ("label", e)).chain(fields) {
                put(&[what, &e.key, &e.operator]);
                put(&e.values.iter().map(|v| v.as_str()).collect::<Vec<_>>());
            }
        }
        for t in &self.spec.tolerations {
            let parts = [&t.key, &t.operator, &t.value, &t.effect];
            put(&parts.map(|part| value(part.as_ref()).unwrap_or_default()));
        }
        put(&self.keys);
        text
    }
}

/// The sites by topology label, ordered by locality.
pub(super) fn cells(sites: &[Site<'_>], asks: &Asks<'_>) -> Vec<Cell> {
    let mut cells = BTreeMap::new();
    for (sample, site) in sites.iter().enumerate() {
        let raw = |key| match site.label(key) {
            Label::Known(value) => value.map(str::to_owned),
            Label::Unknown => None,
        };
        let (zone, region) = (raw(ZONE_LABEL), raw(REGION_LABEL));
        let key = (site.locality.clone(), zone.clone(), region.clone());
        let cell = cells.entry(key).or_insert_with(|| Cell {
            locality: site.locality.clone(),
            zone,
            region,
            eligible: Count::default(),
            counted: Default::default(),
            open: false,
            ready: false,
            sample,
        });
        judge(site, asks, cell);
    }
    cells.into_values().collect()
}

fn judge(site: &Site<'_>, asks: &Asks<'_>, cell: &mut Cell) {
    let tolerated = Fit::from(site.tolerated(asks.spec, asks.daemon));
    let keys = asks.keys.iter().map(|key| site.has(key)).min().unwrap_or(Fit::Yes);
    let fits = site.fits(asks.spec);
    // A pod with a node name never meets the scheduler.
    let eligible = match &asks.spec.node_name {
        Some(node) => site.name.map_or(Fit::Maybe, |name| (name == node.as_str()).into()),
        None => tolerated.min(keys).min(fits),
    };
    let exists = if site.stands == Stands::Perhaps { Fit::Maybe } else { Fit::Yes };
    cell.eligible.add(eligible.min(exists));
    for (honours_affinity, honours_taints) in
        [(false, false), (true, false), (false, true), (true, true)]
    {
        let fits = if honours_affinity { fits } else { Fit::Yes };
        let tolerated = if honours_taints { tolerated } else { Fit::Yes };
        let counts = keys.min(fits).min(tolerated).min(exists);
        cell.counted[policy(honours_affinity, honours_taints)].add(counts);
    }
    if site.stands != Stands::Node {
        cell.open = true;
        cell.ready = eligible == Fit::Yes;
    }
}

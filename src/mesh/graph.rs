//! The mesh as a graph: clusters, networks, localities, hosts, subsets and workloads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use super::{Mesh, short};

/// What a node of the graph stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Thing {
    /// A cluster.
    Cluster {
        /// Its name.
        name: String,
    },
    /// A network.
    Network {
        /// Its name.
        name: String,
    },
    /// A region and zone (and subzone) of a cluster.
    Locality {
        /// The cluster.
        cluster: String,
        /// `region/zone/subzone`.
        name: String,
    },
    /// A host.
    Host {
        /// Its full name.
        name: String,
    },
    /// A subset of a host.
    Subset {
        /// The host's full name.
        host: String,
        /// The subset's name.
        name: String,
    },
    /// A workload.
    Workload {
        /// The cluster.
        cluster: String,
        /// The namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl Thing {
    /// The word for its sort.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Cluster { .. } => "cluster",
            Self::Network { .. } => "network",
            Self::Locality { .. } => "locality",
            Self::Host { .. } => "host",
            Self::Subset { .. } => "subset",
            Self::Workload { .. } => "workload",
        }
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster { name } | Self::Network { name } | Self::Locality { name, .. } => {
                f.write_str(name)
            }
            Self::Host { name } => f.write_str(short(name)),
            Self::Subset { name, .. } => f.write_str(name),
            Self::Workload { namespace, name, .. } => write!(f, "{namespace}/{name}"),
        }
    }
}

/// What leads from one node to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// A cluster's pods are in a network.
    In,
    /// A cluster has nodes in a locality.
    Spans,
    /// A cluster defines a host.
    Defines,
    /// A cluster runs a workload.
    Runs,
    /// A host has a subset.
    Has,
    /// A host or subset selects a workload.
    Selects,
    /// Requests for a host are routed to another host or a subset.
    Routes,
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "in",
            Self::Spans => "spans",
            Self::Defines => "defines",
            Self::Runs => "runs",
            Self::Has => "has",
            Self::Selects => "selects",
            Self::Routes => "routes to",
        })
    }
}

/// The graph, its nodes and edges in a fixed order.
#[derive(Debug, Default)]
pub struct Graph {
    graph: DiGraph<Thing, Relation>,
    index: BTreeMap<Thing, NodeIndex>,
}

impl Graph {
    fn node(&mut self, thing: Thing) -> NodeIndex {
        if let Some(&known) = self.index.get(&thing) {
            return known;
        }
        let new = self.graph.add_node(thing.clone());
        self.index.insert(thing, new);
        new
    }

    fn edge(&mut self, from: Thing, relation: Relation, to: Thing) {
        let (from, to) = (self.node(from), self.node(to));
        if !self.graph.edges_connecting(from, to).any(|e| *e.weight() == relation) {
            self.graph.add_edge(from, to, relation);
        }
    }

    /// Its nodes.
    pub fn things(&self) -> impl Iterator<Item = (usize, &Thing)> {
        self.graph.node_indices().map(|i| (i.index(), &self.graph[i]))
    }

    /// Its edges, by position of their ends.
    pub fn relations(&self) -> impl Iterator<Item = (usize, Relation, usize)> {
        let edges = self.graph.edge_references();
        edges.map(|e| (e.source().index(), *e.weight(), e.target().index()))
    }

    /// The text for Graphviz.
    pub fn dot(&self) -> String {
        let label = |_: &_, (_, thing): (NodeIndex, &Thing)| format!("shape={}", shape(thing));
        let dot =
            petgraph::dot::Dot::with_attr_getters(&self.graph, &[], &|_, _| String::new(), &label);
        dot.to_string()
    }

    /// Only the nodes from which one of these can be reached, or which one of these reaches.
    fn around(&self, wanted: &BTreeSet<NodeIndex>) -> Self {
        let mut keep = wanted.clone();
        for direction in [Direction::Outgoing, Direction::Incoming] {
            let mut rest: VecDeque<NodeIndex> = wanted.iter().copied().collect();
            let mut seen = wanted.clone();
            while let Some(node) = rest.pop_front() {
                rest.extend(
                    self.graph.neighbors_directed(node, direction).filter(|n| seen.insert(*n)),
                );
            }
            keep.extend(seen);
        }
        self.only(|i| keep.contains(&i))
    }

    fn only(&self, keep: impl Fn(NodeIndex) -> bool) -> Self {
        let mut part = Self::default();
        for i in self.graph.node_indices().filter(|i| keep(*i)) {
            part.node(self.graph[i].clone());
        }
        for e in self.graph.edge_references().filter(|e| keep(e.source()) && keep(e.target())) {
            part.edge(self.graph[e.source()].clone(), *e.weight(), self.graph[e.target()].clone());
        }
        part
    }

    /// Only what belongs to a host: named in full, or by its first parts (`cart.shop`).
    pub fn narrowed_to_host(&self, host: &str) -> Self {
        let is_it = |thing: &Thing| match thing {
            Thing::Host { name } => {
                name == host || name.strip_prefix(host).is_some_and(|rest| rest.starts_with('.'))
            }
            _ => false,
        };
        let wanted = self.graph.node_indices().filter(|i| is_it(&self.graph[*i])).collect();
        let part = self.around(&wanted);
        // A cluster reaches everything; what it reaches is not about this host.
        let reached = part.reached(|thing| is_it(thing));
        part.only(|i| {
            reached.contains(&i)
                || matches!(part.graph[i], Thing::Cluster { .. } | Thing::Network { .. })
        })
    }

    /// Only what belongs to a cluster.
    pub fn narrowed_to_cluster(&self, cluster: &str) -> Self {
        let reached =
            self.reached(|thing| matches!(thing, Thing::Cluster { name } if name == cluster));
        let foreign =
            |thing: &Thing| matches!(thing, Thing::Workload { cluster: c, .. } if c != cluster);
        self.only(|i| reached.contains(&i) && !foreign(&self.graph[i]))
    }

    /// What some nodes reach, themselves included.
    fn reached(&self, from: impl Fn(&Thing) -> bool) -> BTreeSet<NodeIndex> {
        let mut rest: Vec<NodeIndex> =
            self.graph.node_indices().filter(|i| from(&self.graph[*i])).collect();
        let mut seen: BTreeSet<NodeIndex> = rest.iter().copied().collect();
        while let Some(node) = rest.pop() {
            rest.extend(self.graph.neighbors(node).filter(|n| seen.insert(*n)));
        }
        seen
    }
}

fn shape(thing: &Thing) -> &'static str {
    match thing {
        Thing::Cluster { .. } => "box3d",
        Thing::Network { .. } => "hexagon",
        Thing::Locality { .. } => "folder",
        Thing::Host { .. } => "ellipse",
        Thing::Subset { .. } => "octagon",
        Thing::Workload { .. } => "component",
    }
}

impl Mesh {
    /// The mesh as a graph.
    pub fn graph(&self) -> Graph {
        let mut graph = Graph::default();
        for cluster in &self.clusters {
            let this = || Thing::Cluster { name: cluster.name.clone() };
            graph.node(this());
            if let Some(network) = cluster.network() {
                graph.edge(this(), Relation::In, Thing::Network { name: network.value.clone() });
            }
            for place in self.places(cluster.id).iter().filter(|p| !p.locality.is_empty()) {
                let name = place.locality.to_string();
                graph.edge(
                    this(),
                    Relation::Spans,
                    Thing::Locality { cluster: cluster.name.clone(), name },
                );
            }
        }
        for workload in &self.workloads {
            let cluster = Thing::Cluster { name: self.cluster_name(workload.cluster).to_owned() };
            graph.edge(cluster, Relation::Runs, self.workload_thing(workload));
        }
        self.add_hosts(&mut graph);
        self.add_subsets(&mut graph);
        graph
    }

    fn workload_thing(&self, workload: &super::In<crate::kinds::workloads::Workload>) -> Thing {
        Thing::Workload {
            cluster: self.cluster_name(workload.cluster).to_owned(),
            namespace: workload.namespace.clone(),
            name: workload.name().to_owned(),
        }
    }

    fn add_hosts(&self, graph: &mut Graph) {
        for host in self.hosts() {
            let this = || Thing::Host { name: host.name.to_owned() };
            for service in host.services() {
                let cluster =
                    Thing::Cluster { name: self.cluster_name(service.cluster).to_owned() };
                graph.edge(cluster, Relation::Defines, this());
                for workload in self.backends(service) {
                    graph.edge(this(), Relation::Selects, self.workload_thing(workload));
                }
            }
            for entry in host.entries() {
                let cluster = Thing::Cluster { name: self.cluster_name(entry.cluster).to_owned() };
                graph.edge(cluster, Relation::Defines, this());
            }
        }
    }

    fn add_subsets(&self, graph: &mut Graph) {
        for subset in self.subsets() {
            let Some(host) = subset.host() else { continue };
            let this = Thing::Subset { host: host.clone(), name: subset.name.value.clone() };
            graph.edge(Thing::Host { name: host.clone() }, Relation::Has, this.clone());
            let backends = self.host(&host).map(|h| subset.backends(self, h)).unwrap_or_default();
            for workload in backends {
                graph.edge(this.clone(), Relation::Selects, self.workload_thing(workload));
            }
        }
        for route in self.routes().into_iter().chain(self.attached_routes()) {
            let to = match route.subset() {
                Some(name) => Thing::Subset { host: route.host.clone(), name: name.value.clone() },
                None => Thing::Host { name: route.host.clone() },
            };
            for host in &route.service.hosts {
                let from = Thing::Host { name: super::fqdn(host, &route.service.namespace) };
                if from != to {
                    graph.edge(from, Relation::Routes, to.clone());
                }
            }
        }
    }
}

//! The immutable model and its graph: the vocabulary rules are written in, with three-valued answers.

mod addresses;
mod age;
mod attachable;
mod attached;
mod build;
mod client;
mod difference;
mod domain;
mod drift;
mod graph;
mod host;
mod injector;
mod locality;
mod lookup;
mod members;
mod names;
mod network;
mod objects;
mod pods;
mod policy;
mod protocol;
mod registry;
mod route;
mod scaling;
mod service;
mod subset;
mod waypoint;
mod whereabouts;

use crate::kinds::key_text::KeyText;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use crate::api::Fault;
use crate::clusters::{Astray, Cluster, ClusterId, OneServer, Role, Supply};
use crate::config::Options;
use crate::kinds::networking::VirtualService;
use crate::kinds::{Meta, core, is_placeholder};
use crate::source::{FileId, Span, Text};
use crate::yaml::{DuplicateKey, Entries, Mismatch, SyntaxError};

pub use addresses::{Cidr, PodRange};
pub use age::Order;
pub use attachable::{Attachable, Crossing};
pub use build::Input;
pub use client::{Client, LabelValue};
pub use domain::Domain;
pub use drift::{Drift, IstioObject};
pub use graph::{Graph, Relation, Thing};
pub use host::{HostPattern, fqdn, short, without_namespace};
pub use injector::Injector;
pub use locality::{Locality, LocalityPattern, Place, locality_of_node};
pub use lookup::Lookup;
pub use members::Members;
pub use network::{Exposure, GATEWAY_NAME_LABEL, GATEWAY_PORT_LABEL, NETWORK_VIEW};
pub use objects::{In, Objects};
pub use pods::{
    DATAPLANE_MODE, INJECT, INJECTION, PodShape, REVISION, is_ambient_namespace, is_told, takes_in,
};
pub use policy::{AppliedRule, Choice, LocalitySetting};
pub use protocol::{protocol_called, protocol_of};
pub use registry::{BoundGateway, Known, Named, Told};
pub use route::{Route, Share};
pub use scaling::Scaler;
pub use service::Host;
pub use subset::{
    CLUSTER_LABEL, NETWORK_LABEL, REGION_LABEL, SUBZONE_LABEL, Subset, ZONE_LABEL, subsets_of,
};
pub use waypoint::{Asked, BINDING, Enrolment, WAYPOINT_CLASS};
pub use whereabouts::Whereabouts;

/// Text of certificates or keys in a file of its own.
#[derive(Clone, Debug)]
pub struct PemFile {
    /// The file.
    pub file: FileId,
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: Arc<str>,
    /// Where its text begins.
    pub base: u32,
    /// The clusters it belongs to.
    pub clusters: Vec<ClusterId>,
}

/// What could not be read as it was meant.
#[derive(Debug, Default)]
pub struct Problems {
    /// Broken documents.
    pub syntax: Vec<SyntaxError>,
    /// Keys that stand twice.
    pub duplicate_keys: Vec<DuplicateKey>,
    /// Fields with a value of the wrong shape.
    pub mismatches: Vec<Mismatch>,
    /// What the APIs of Istio and Kubernetes refuse, and what they pass over.
    pub faults: Vec<Faulty>,
    /// Resources that stand twice in a file.
    pub duplicates: Vec<Duplicate>,
}

/// A fault of a resource, and the clusters that have the resource.
#[derive(Debug)]
pub struct Faulty {
    /// The clusters.
    pub clusters: Vec<ClusterId>,
    /// What is wrong.
    pub fault: Fault,
}

/// A resource that stands twice in a file.
#[derive(Debug)]
pub struct Duplicate {
    /// What it is.
    pub kind: String,
    /// What it is called.
    pub name: String,
    /// Where it is called so first.
    pub first: Span,
    /// Where it is called so again: this one wins.
    pub again: Span,
}

type Key = (ClusterId, String, String);

/// All clusters that were given, and everything in them.
#[derive(Debug, Default)]
pub struct Mesh {
    clusters: Vec<Cluster>,
    objects: Objects,
    hosts: BTreeMap<String, service::HostIndex>,
    /// Positions of the namespace objects by cluster and name.
    namespaces_called: BTreeMap<(ClusterId, String), usize>,
    service_index: BTreeMap<Key, Vec<usize>>,
    scalers: BTreeMap<Key, Vec<Scaler>>,
    policies: policy::Policies,
    /// The same for the other order; made once somebody asks.
    reversed_policies: OnceLock<policy::Policies>,
    /// What istiod makes of routes that are attached to Services, for both orders; made once somebody asks.
    attached: OnceLock<Vec<In<VirtualService>>>,
    reversed_attached: OnceLock<Vec<In<VirtualService>>>,
    places: Vec<Vec<Place>>,
    /// Localities that pods, WorkloadEntries and ServiceEntries claim for themselves.
    claimed: Vec<(ClusterId, Locality)>,
    /// By number of the mesh.
    whereabouts: BTreeMap<usize, Whereabouts>,
    /// Positions of the workloads behind each Service.
    backends: Vec<Vec<usize>>,
    /// Clusters to which remote secrets lead, each with the cluster that has the secret.
    remote_names: Vec<(ClusterId, String)>,
    /// By cluster: whether labels in it tell who has a waypoint.
    tells_waypoints: Vec<bool>,
    /// Positions of Gateways that have all selectors of Gateways, each once for a cluster.
    gateway_selectors: Vec<usize>,
    /// Positions of the ConfigMaps that injectors read.
    injector_maps: Vec<usize>,
    /// Positions of the Services that lead to gateways between networks.
    gateway_services: Vec<usize>,
    /// Clusters with workloads, by the cluster whose Istio objects their proxies get.
    readers: BTreeMap<ClusterId, Vec<ClusterId>>,
    seen: BTreeSet<(ClusterId, &'static str, String)>,
    /// What brings objects that are not in the input, by cluster.
    supplies: Vec<Vec<Supply>>,
    assumed: BTreeSet<FileId>,
    alternatives: BTreeSet<Span>,
    configured: bool,
    pem_files: Vec<PemFile>,
    key_texts: Vec<Vec<KeyText>>,
    texts: Vec<(u32, Arc<str>)>,
    one_servers: Vec<OneServer>,
    astray: Vec<Astray>,
    problems: Problems,
    options: BTreeMap<String, Options>,
    now: i64,
}

impl Deref for Mesh {
    type Target = Objects;

    fn deref(&self) -> &Objects {
        &self.objects
    }
}

impl Mesh {
    /// All clusters, ordered by name.
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    /// One cluster.
    pub fn cluster(&self, id: ClusterId) -> &Cluster {
        &self.clusters[id.index()]
    }

    /// The name reports give a cluster.
    pub fn cluster_name(&self, id: ClusterId) -> &str {
        &self.cluster(id).name
    }

    /// The cluster that a person names: by the name that reports give it, or by that which Istio does.
    ///
    /// Clusters of several environments are often called alike, so that a name may be that of many.
    pub fn clusters_called(&self, name: &str) -> Vec<&Cluster> {
        match self.clusters.iter().find(|c| c.name == name) {
            Some(exact) => vec![exact],
            None => self.clusters.iter().filter(|c| c.is_called(name)).collect(),
        }
    }

    /// The clusters of the same mesh, the cluster itself among them.
    pub fn peers(&self, id: ClusterId) -> impl Iterator<Item = &Cluster> {
        let mesh = self.cluster(id).mesh;
        self.clusters.iter().filter(move |c| c.mesh == mesh)
    }

    /// Whether two clusters are of one mesh.
    pub fn same_mesh(&self, a: ClusterId, b: ClusterId) -> bool {
        self.cluster(a).mesh == self.cluster(b).mesh
    }

    /// The meshes: groups of clusters, each ordered by name.
    pub fn meshes(&self) -> Vec<Vec<&Cluster>> {
        let mut meshes: BTreeMap<usize, Vec<&Cluster>> = BTreeMap::new();
        for cluster in &self.clusters {
            meshes.entry(cluster.mesh).or_default().push(cluster);
        }
        meshes.into_values().collect()
    }

    /// Those of several clusters.
    pub fn meshes_of_several(&self) -> impl Iterator<Item = Vec<&Cluster>> {
        self.meshes().into_iter().filter(|clusters| clusters.len() > 1)
    }

    /// The cluster whose Istio objects the proxies of a cluster get: its own for a primary, that of
    /// its control plane for a remote. Source: `pilot/pkg/bootstrap/configcontroller.go`.
    pub fn config_cluster(&self, id: ClusterId) -> Lookup<ClusterId> {
        let cluster = self.cluster(id);
        if let Some(told) = cluster.config.as_ref().and_then(|c| c.control_plane.as_ref()) {
            return self.cluster_called(told, id).map(|c| c.id);
        }
        if cluster.role() != Some(Role::Remote) {
            return Lookup::Found(id);
        }
        let names = cluster.facts.served_by.iter().flat_map(|f| f.value.split(','));
        let primaries = || self.peers(id).filter(|c| c.id != id && c.role() != Some(Role::Remote));
        if let Some(primary) =
            names.into_iter().find_map(|name| primaries().find(|c| c.is_called(name)))
        {
            return Lookup::Found(primary.id);
        }
        let mut all = primaries();
        match (all.next(), all.next()) {
            (Some(only), None) => Lookup::Found(only.id),
            _ => Lookup::Unseen,
        }
    }

    /// The clusters whose control planes run in a cluster without being its own.
    pub fn hosted_by(&self, host: ClusterId) -> impl Iterator<Item = &Cluster> {
        self.clusters.iter().filter(move |c| c.hosted_in == Some(host))
    }

    /// The root namespace of a cluster's control plane: its rules are for all namespaces.
    pub fn root_namespace(&self, id: ClusterId) -> &str {
        let facts = &self.cluster(id).facts;
        let told = facts.mesh_config.iter().find_map(|c| c.root_namespace.as_ref());
        told.map_or(facts.system_namespace(), |ns| ns.as_str())
    }

    /// Whether nobody can tell that an object is really so in its cluster: several clusters are there and
    /// nothing says whose its file is, the cluster has several texts for it, of which only one can be
    /// applied at a time, what delivers it patches it on its way, or something fills in values that are not followed. No rule may build on it
    /// that something is missing.
    pub fn is_assumed(&self, meta: &Meta) -> bool {
        meta.is_filled_in
            || meta.file.is_some_and(|file| self.assumed.contains(&file))
            || self.alternatives.contains(&meta.span)
    }

    /// Whether several clusters are near a place and nothing says whose its file is.
    pub fn is_guessed_at(&self, place: Span) -> bool {
        let text = self.text_at(place.start);
        self.assumed.iter().any(|file| Some(file.index()) == text)
    }

    /// Whether a place is in one of several texts that a cluster has for one object.
    pub fn is_alternative_at(&self, place: Span) -> bool {
        self.alternatives.iter().any(|object| object.contains(place))
    }

    /// Whether all objects of a kind that a cluster has in a namespace are in the input: the configuration
    /// says so, or some other is there and nothing is known that may bring more.
    pub fn has_seen(&self, cluster: ClusterId, kind: &'static str, namespace: &str) -> bool {
        self.cluster(cluster).is_complete()
            || self.seen.contains(&(cluster, kind, namespace.to_owned()))
                && !self.may_have_more(cluster, kind, namespace)
    }

    /// Whether something may bring further objects of a kind to a cluster and namespace, of which the
    /// input shows nothing: a chart, a remote base, a template, a broken document. For a `Namespace`, the
    /// namespace is its name.
    pub fn may_have_more(&self, cluster: ClusterId, kind: &str, namespace: &str) -> bool {
        !self.cluster(cluster).is_complete()
            && self.supplies(cluster).iter().any(|supply| supply.may_bring(kind, namespace))
    }

    /// Whether nothing is known that lives outside the input and could matter to a cluster: another
    /// cluster of its mesh, or what is brought to one of them, the machinery of Istio aside.
    pub fn is_whole(&self, id: ClusterId) -> bool {
        let brings =
            |c: &Cluster| !c.is_complete() && self.supplies(c.id).iter().any(|s| !s.is_machinery());
        !self.peers(id).any(brings) && self.clusters_elsewhere(id).next().is_none()
    }

    /// What brings objects to a cluster that are not in the input.
    pub fn supplies(&self, cluster: ClusterId) -> &[Supply] {
        self.supplies.get(cluster.index()).map_or(&[], Vec::as_slice)
    }

    /// The kinds of which all objects of a cluster are in the input, with their namespaces.
    pub fn seen_kinds(&self, cluster: ClusterId) -> BTreeMap<&'static str, Vec<&str>> {
        let mut kinds: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
        let here = self.seen.iter().filter(|(c, ..)| *c == cluster);
        for (_, kind, namespace) in here.filter(|(_, kind, ns)| self.has_seen(cluster, kind, ns)) {
            kinds.entry(kind).or_default().push(namespace);
        }
        kinds
    }

    /// Clusters of different names that ApplicationSets bring to one API server.
    pub fn one_servers(&self) -> &[OneServer] {
        &self.one_servers
    }

    /// Folders of one cluster of a mesh that Flux or Argo CD bring to another too.
    pub fn astray(&self) -> impl Iterator<Item = &Astray> {
        self.astray.iter().filter(|astray| self.same_mesh(astray.of.0, astray.to.0))
    }

    /// Certificates and keys in files of their own.
    pub fn pem_files(&self) -> &[PemFile] {
        &self.pem_files
    }

    /// Private keys in what is neither a Secret nor a ConfigMap, file by file.
    pub fn key_texts(&self) -> &[Vec<KeyText>] {
        &self.key_texts
    }

    /// The text of a span as written; empty where there is none.
    pub fn raw(&self, span: Span) -> &str {
        let text = self.text_at(span.start).and_then(|i| self.texts.get(i));
        text.and_then(|(base, text)| {
            text.get((span.start - base) as usize..(span.end - base) as usize)
        })
        .unwrap_or_default()
    }

    /// Which of all texts has an offset of the address space.
    pub fn text_at(&self, offset: u32) -> Option<usize> {
        self.texts.partition_point(|(base, _)| *base <= offset).checked_sub(1)
    }

    /// The line in which an offset of the address space lies, as written.
    pub fn line_at(&self, offset: u32) -> &str {
        let Some((base, text)) = self.text_at(offset).and_then(|i| self.texts.get(i)) else {
            return "";
        };
        let at = (offset - base) as usize;
        let (Some(before), Some(after)) = (text.get(..at), text.get(at..)) else { return "" };
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let end = after.find('\n').map_or(text.len(), |end| at + end);
        text.get(start..end).unwrap_or_default()
    }

    /// What could not be read as it was meant.
    pub fn problems(&self) -> &Problems {
        &self.problems
    }

    /// The point in time for expiry, in seconds since 1970.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// An option of a rule, as written in the configuration.
    pub fn option(&self, rule: &str, name: &str) -> Option<&str> {
        self.options.get(rule)?.get(name).map(String::as_str)
    }

    /// Whether something in the input makes, or may make, a Secret of that name in the cluster.
    pub fn has_opaque_secret(&self, cluster: ClusterId, namespace: &str, name: &str) -> bool {
        self.makes_secret(cluster, namespace, name)
            || self.makers(cluster, namespace).any(|(made, _)| is_placeholder(made))
            || self.may_have_more(cluster, "Secret", namespace)
    }

    /// Whether something in the input makes a Secret of that name in the cluster.
    pub fn makes_secret(&self, cluster: ClusterId, namespace: &str, name: &str) -> bool {
        self.maker_of_secret(cluster, namespace, name).is_some()
    }

    /// What makes a Secret of that name in the cluster.
    pub fn maker_of_secret(
        &self,
        cluster: ClusterId,
        namespace: &str,
        name: &str,
    ) -> Option<&In<core::OpaqueSecret>> {
        self.makers(cluster, namespace).find(|(made, _)| *made == name).map(|(_, maker)| maker)
    }

    /// All that make a Secret of that name, or add to it.
    pub fn makers_of_secret<'m>(
        &'m self,
        cluster: ClusterId,
        namespace: &str,
        name: &str,
    ) -> impl Iterator<Item = &'m In<core::OpaqueSecret>> {
        self.makers(cluster, namespace).filter(move |(made, _)| *made == name).map(|(_, by)| by)
    }

    /// What makes Secrets in a namespace of a cluster, by the Secret's name. A SealedSecret's own name is
    /// the Secret's, whatever its template says.
    fn makers<'m>(
        &'m self,
        cluster: ClusterId,
        namespace: &str,
    ) -> impl Iterator<Item = (&'m str, &'m In<core::OpaqueSecret>)> {
        self.opaque_secrets.of_namespace(cluster, namespace).map(|s| {
            let told = s.secret_name.as_ref().or(s.target.name.as_ref());
            (told.unwrap_or(&s.meta.name).as_str(), s)
        })
    }

    /// The namespace object of that name in a cluster.
    pub fn namespace(&self, cluster: ClusterId, name: &str) -> Lookup<&In<core::Namespace>> {
        if let Some(&first) = self.namespaces_called.get(&(cluster, name.to_owned())) {
            return Lookup::Found(&self.namespaces[first]);
        }
        // A Service in it, or what is brought to it, shows that it is there.
        if self.seen.contains(&(cluster, "Service", name.to_owned()))
            || !self.has_seen(cluster, "Namespace", "")
            || self.may_have_more(cluster, "Namespace", name)
        {
            return Lookup::Unseen;
        }
        Lookup::absent(name, self.namespaces.of_cluster(cluster).iter().map(In::name))
    }
}

/// Whether labels have all that a selector asks for; an empty one asks for nothing.
pub fn selects(selector: &Entries<Text>, labels: &Entries<Text>) -> bool {
    selector.iter().all(|(key, want)| value(labels.get(key)) == Some(want.as_str()))
}

/// Names for a message: `` `a` ``, `` `a` and `b` ``, `` `a`, `b` and `c` ``.
pub fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|n| format!("`{n}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// A text's value, for fields that may be absent.
pub fn value(text: Option<&Text>) -> Option<&str> {
    text.map(|t| t.value.as_str())
}

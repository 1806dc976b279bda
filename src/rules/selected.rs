//! Objects that choose workloads by labels: whom they choose, and whether another chooses the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::clusters::ClusterId;
use crate::finding::{Finding, Findings, Severity};
use crate::kinds::{Meta, is_placeholder};
use crate::mesh::{In, Lookup, Mesh, PodShape, Told};
use crate::source::{Span, Text};
use crate::yaml::Entries;

/// Labels without a domain that controllers put on the pods they make.
const BY_CONTROLLERS: [&str; 5] = [
    "controller-revision-hash",
    "controller-uid",
    "job-name",
    "pod-template-hash",
    "rollouts-pod-template-hash",
];

/// Whether a label of these may be put on pods as they are made, by a controller, an operator or the
/// injector, so that no template has it: one that no pod of the input has, in a domain of its own.
pub(super) fn may_be_added(mesh: &Mesh, plane: ClusterId, labels: &Entries<Text>) -> bool {
    let has_domain = |key: &str| key.contains('/') && !key.starts_with("app.kubernetes.io/");
    labels.iter().any(|(key, _)| {
        (has_domain(key) || BY_CONTROLLERS.contains(&key.as_str()))
            && mesh.pods_under(plane).all(|pods| pods.labels.get(key).is_none())
    })
}

/// Whether it is known which namespace an object is in: it says so, pods stand in the same file, or the
/// cluster is complete. Else it may be a demo, which somebody applies wherever they are.
pub(super) fn is_placed(mesh: &Mesh, cluster: ClusterId, told: Told<'_>) -> bool {
    let beside = |pods: PodShape<'_>| pods.meta.file == told.meta.file;
    told.is_told || mesh.cluster(cluster).is_complete() || mesh.pod_shapes().any(beside)
}

/// An object that is for the workloads of its namespace with certain labels, or for all of them.
pub(super) struct Selecting<'m> {
    /// The cluster it is read from.
    pub cluster: ClusterId,
    /// Its namespace.
    pub namespace: &'m str,
    /// Its head.
    pub meta: &'m Meta,
    /// Labels of its workloads; none where it is for the whole namespace.
    pub labels: Option<&'m Entries<Text>>,
    told: Told<'m>,
}

impl<'m> Selecting<'m> {
    /// An object with the labels it asks for; none at all is the same as no selector.
    pub fn new<S>(object: &'m In<S>, labels: Option<&'m Entries<Text>>) -> Self {
        let labels = labels.filter(|labels| !labels.is_empty());
        Self {
            cluster: object.cluster,
            namespace: &object.namespace,
            meta: &object.meta,
            labels,
            told: object.told(),
        }
    }

    /// Where it is called by its name.
    pub fn named_at(&self) -> Span {
        if self.meta.name.is_empty() { self.meta.kind.span } else { self.meta.name.span }
    }

    /// The pods it is for, by label; none where it is for the whole namespace.
    pub fn pods(&self, mesh: &'m Mesh) -> Vec<PodShape<'m>> {
        let Some(labels) = self.labels else { return Vec::new() };
        let pods = mesh.pods_under_in(self.cluster, self.namespace);
        pods.filter(|p| p.is_selected_by(labels)).collect()
    }

    /// Says once for each place that no workload of its namespace has its labels, where that is known.
    pub fn tell_of_nobody(
        &self,
        mesh: &Mesh,
        found: &mut Findings,
        told: &mut BTreeSet<Span>,
        [effect, help]: [&str; 2],
    ) {
        let Some((at, labels)) = self.selects_nothing(mesh).filter(|(at, _)| told.insert(*at))
        else {
            return;
        };
        let Meta { kind, name, .. } = self.meta;
        let message =
            format!("{kind} `{name}` selects no workload of namespace `{}`", self.namespace);
        let finding = found.say(message, at, format!("no pod has `{labels}`: {effect}"));
        let correct = self
            .nearest(mesh)
            .map_or_else(|| "correct the labels".to_owned(), |nearest| format!("use `{nearest}`"));
        self.weigh(mesh, finding.help(correct + help));
    }

    /// The value that pods of its namespace have for the first label it asks for and that is nearest.
    fn nearest(&self, mesh: &Mesh) -> Option<String> {
        let (key, want) = self.labels?.iter().next()?;
        let pods = mesh.pods_under_in(self.cluster, self.namespace);
        let values: Vec<&str> = pods.filter_map(|p| Some(p.labels.get(key)?.as_str())).collect();
        match Lookup::<()>::absent(want, values) {
            Lookup::Absent { nearest } => nearest,
            _ => None,
        }
    }

    /// Makes it milder that no pod has its labels where nothing tells that pods of the input are meant:
    /// neither a label that resembles theirs nor their name. They may be made elsewhere.
    pub fn weigh(&self, mesh: &Mesh, finding: &mut Finding) {
        let is_meant = |pods: PodShape<'_>| {
            let mut asked = self.labels.into_iter().flat_map(Entries::iter);
            pods.meta.name == self.meta.name
                || asked.any(|(_, want)| pods.labels.iter().any(|(_, has)| has == want))
        };
        if self.nearest(mesh).is_none()
            && !mesh.is_complete_under(self.cluster)
            && !mesh.pods_under_in(self.cluster, self.namespace).any(is_meant)
        {
            finding.milder(Severity::Note, ", unless its pods are made elsewhere");
        }
    }

    /// The first value it asks for, and all labels as `key=value`, where no workload of its namespace has
    /// them and all that may is in the input.
    fn selects_nothing(&self, mesh: &'m Mesh) -> Option<(Span, String)> {
        let labels = self.labels?;
        let (_, first) = labels.iter().next()?;
        let told = labels.iter().all(|(key, want)| !is_placeholder(key) && !is_placeholder(want));
        let known = told
            && is_placed(mesh, self.cluster, self.told)
            && mesh.is_read_in(self.cluster)
            && !mesh.is_assumed(self.meta)
            && !may_be_added(mesh, self.cluster, labels);
        if !known || !mesh.knows_pods(self.cluster, self.namespace) || !self.pods(mesh).is_empty() {
            return None;
        }
        // What a pipeline is still to fill in may be what is asked for.
        let open = |pods: &PodShape<'_>| {
            labels.iter().all(|(key, want)| {
                pods.labels.get(key).is_some_and(|has| has == want || is_placeholder(has))
            })
        };
        if mesh.pods_under_in(self.cluster, self.namespace).any(|pods| open(&pods)) {
            return None;
        }
        let is_entry = mesh
            .workload_entries
            .iter()
            .filter(|e| mesh.same_mesh(e.cluster, self.cluster) && e.namespace == self.namespace)
            .any(|e| {
                let has = |key: &str| e.labels.get(key).or_else(|| e.meta.labels.get(key));
                labels.iter().all(|(key, want)| has(key) == Some(want))
            });
        let shown: Vec<String> = labels.iter().map(|(key, want)| format!("{key}={want}")).collect();
        (!is_entry).then(|| (first.span, shown.join(",")))
    }
}

/// Groups of objects that can stand side by side in their cluster: of one name, one text counts.
fn grouped<'s, 'm, K: Ord>(
    mesh: &Mesh,
    all: impl Iterator<Item = (K, &'s Selecting<'m>)>,
) -> Vec<(K, Vec<&'s Selecting<'m>>)>
where
    'm: 's,
{
    let mut groups: BTreeMap<K, Vec<&'s Selecting<'m>>> = BTreeMap::new();
    for (key, one) in all {
        if !mesh.is_read_in(one.cluster) || mesh.is_assumed(one.meta) {
            continue;
        }
        let group = groups.entry(key).or_default();
        let is_known = group.iter().any(|other| other.named_at() == one.named_at());
        if !is_known
            && group
                .first()
                .is_none_or(|first| !mesh.may_be_apart(one.cluster, first.told, one.told))
        {
            group.push(one);
        }
    }
    groups.into_iter().filter(|(_, group)| group.len() > 1).collect()
}

/// Objects that are for the whole of one namespace, where there are several.
pub(super) fn of_whole_namespaces<'s, 'm>(
    mesh: &Mesh,
    all: &'s [Selecting<'m>],
) -> Vec<Vec<&'s Selecting<'m>>> {
    let whole = all.iter().filter(|one| one.labels.is_none());
    let keyed = whole.map(|one| ((one.cluster, one.namespace), one));
    grouped(mesh, keyed).into_iter().map(|(_, group)| group).collect()
}

/// Workloads, and the objects that choose them.
type Group<'s, 'm> = (Vec<PodShape<'m>>, Vec<&'s Selecting<'m>>);

/// Workloads that several objects choose by their labels, with these; of the same objects one workload.
pub(super) fn chosen_twice<'s, 'm>(mesh: &'m Mesh, all: &'s [Selecting<'m>]) -> Vec<Group<'s, 'm>> {
    let mut pods: BTreeMap<Span, PodShape<'m>> = BTreeMap::new();
    let mut chosen = Vec::new();
    for one in all {
        for pod in one.pods(mesh) {
            pods.insert(pod.named_at(), pod);
            chosen.push(((one.cluster, pod.cluster, pod.named_at()), one));
        }
    }
    let mut found: BTreeMap<Vec<Span>, Group<'s, 'm>> = BTreeMap::new();
    for ((.., at), group) in grouped(mesh, chosen.into_iter()) {
        let key = group.iter().map(|one| one.named_at()).collect();
        let (known, _) = found.entry(key).or_insert((Vec::new(), group));
        if known.iter().all(|pod| pod.named_at() != at) {
            known.extend(pods.get(&at));
        }
    }
    found.into_values().collect()
}

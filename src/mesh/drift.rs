//! Istio objects of several primaries that should be alike and are not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::difference::{Comparison, Difference, Side};
use super::{Mesh, fqdn, value};
use crate::clusters::{Cluster, ClusterId};
use crate::kinds::Meta;
use crate::source::{Span, Text};
use crate::yaml::{Entries, Subtree, Value};

/// An object that a control plane reads from its own cluster only.
#[derive(Clone, Debug)]
pub struct IstioObject {
    /// The cluster.
    pub cluster: ClusterId,
    /// The namespace it has there.
    pub namespace: String,
    /// Kind, name, labels and so on.
    pub meta: Arc<Meta>,
    /// Its text.
    pub text: Subtree,
}

impl IstioObject {
    fn spec(&self) -> Option<Value<'_>> {
        self.text.value().get("spec")
    }

    /// Where its name stands.
    pub fn named_at(&self) -> Span {
        if self.meta.name.is_empty() { self.meta.kind.span } else { self.meta.name.span }
    }

    /// Whether it is for the proxies of gateways, which are a matter of each cluster: bound to a gateway
    /// other than `mesh`, or in the control plane's namespace.
    fn is_for_gateways(&self) -> bool {
        let gateways = self.spec().and_then(|s| s.get("gateways"));
        let bound = gateways.into_iter().flat_map(Value::items);
        let bound = bound.filter_map(Value::text).any(|name| name != "mesh");
        bound || matches!(self.meta.kind.as_str(), "Gateway" | "EnvoyFilter" | "WorkloadGroup")
    }

    /// Whether two `ServiceEntries` of one name speak of different services: each cluster's own database.
    fn is_another_service(&self, other: &Self) -> bool {
        let hosts = self.hosts();
        self.meta.kind.as_str() == "ServiceEntry"
            && !other.hosts().iter().any(|host| hosts.contains(host))
    }

    /// Whether it is a matter of each cluster: it only tells of requests and leaves them as they are, or is
    /// an endpoint, which stands beside its cluster.
    fn is_of_each_cluster(&self) -> bool {
        matches!(self.meta.kind.as_str(), "Telemetry" | "WorkloadEntry")
    }

    /// Whether it is a policy of the root namespace for all workloads: what else stands there is for the
    /// control plane and gateways of its cluster.
    fn is_for_whole_mesh(&self) -> bool {
        let is_policy = self.meta.group() == "security.istio.io";
        is_policy && self.selected().is_empty() && !self.is_for_services()
    }

    /// Whether it is attached to Services or gateways, which waypoints hold, and not to workloads.
    fn is_for_services(&self) -> bool {
        let attached = |key: &str| self.spec().is_some_and(|spec| spec.get(key).is_some());
        attached("targetRefs") || attached("targetRef")
    }

    /// The labels of the workloads it is for; none where it is for all.
    fn selected(&self) -> Vec<(String, String)> {
        let Some(spec) = self.spec() else { return Vec::new() };
        let paths = [
            ["selector", "matchLabels"],
            ["workloadSelector", "labels"],
            ["workloadSelector", "matchLabels"],
        ];
        let labels = paths.iter().filter_map(|path| spec.at(path)).flat_map(Value::entries);
        labels.filter_map(|(k, v)| Some((k.text()?.into_owned(), v.text()?.into_owned()))).collect()
    }

    /// The full names of the hosts it is for.
    fn hosts(&self) -> Vec<String> {
        let Some(spec) = self.spec() else { return Vec::new() };
        let several = spec.get("hosts").into_iter().flat_map(Value::items);
        let all = spec.get("host").into_iter().chain(several).filter_map(Value::text);
        all.map(|host| fqdn(&host, &self.namespace)).collect()
    }
}

/// How two primaries differ in one object.
#[derive(Debug)]
pub enum Drift<'m> {
    /// Both have it, and they differ.
    Differs {
        /// The object in the one.
        one: &'m IstioObject,
        /// The object in the other.
        other: &'m IstioObject,
        /// What is different first.
        first: Difference<'m>,
        /// Further differences.
        more: Vec<Difference<'m>>,
    },
    /// Only some have it.
    Missing {
        /// The object.
        object: &'m IstioObject,
        /// The primaries that lack it.
        without: Vec<&'m Cluster>,
    },
}

/// Where one side lacks what the other's text, which is its own too, has, a patch took it away: there it
/// stands.
fn removed_by_patch(one: &IstioObject, other: &IstioObject, difference: &mut Difference<'_>) {
    for (here, object) in [one, other].into_iter().enumerate() {
        let there = difference.sides[1 - here];
        let in_base = there.value.is_some() && object.meta.span.contains(there.at);
        if let Some(patch) = object.meta.layers.last()
            && difference.sides[here].value.is_none()
            && in_base
        {
            difference.sides[here].at = *patch;
        }
    }
}

/// What is asked of each object that some primary lacks.
struct Known<'m> {
    /// Hosts that routes of a primary lead to.
    routed: BTreeSet<(ClusterId, String)>,
    /// Kinds of Istio's objects by primary and namespace.
    kinds: BTreeSet<(ClusterId, &'m str, &'m str)>,
}

impl<'m> Known<'m> {
    fn of(mesh: &'m Mesh) -> Self {
        let routes = mesh.routes().into_iter();
        let kind = |o: &'m IstioObject| (o.cluster, o.meta.kind.as_str(), o.namespace.as_str());
        Self {
            routed: routes.map(|route| (route.service.cluster, route.host)).collect(),
            kinds: mesh.istio_objects.iter().map(kind).collect(),
        }
    }
}

type Identity<'m> = (&'m str, &'m str, &'m str, &'m str);

impl Mesh {
    /// The primaries of each mesh that have more than one, ordered by name.
    fn primaries(&self) -> Vec<Vec<&Cluster>> {
        let meshes = self.meshes().into_iter().map(|clusters| {
            let primary = |c: &&Cluster| self.is_read_in(c.id);
            let seen = |c: &&Cluster| !self.istio_objects.of_cluster(c.id).is_empty();
            clusters.into_iter().filter(primary).filter(seen).collect::<Vec<_>>()
        });
        meshes.filter(|primaries| primaries.len() > 1).collect()
    }

    /// Objects that the primaries of a mesh do not have alike, each once.
    pub fn drifts(&self) -> Vec<Drift<'_>> {
        let mut found = Vec::new();
        let known = Known::of(self);
        for primaries in self.primaries() {
            let mut objects: BTreeMap<Identity<'_>, Vec<&IstioObject>> = BTreeMap::new();
            let here = |o: &&IstioObject| primaries.iter().any(|p| p.id == o.cluster);
            for object in self.istio_objects.iter().filter(here) {
                let system = self.cluster(object.cluster).facts.system_namespace();
                let own = object.namespace == system && !object.is_for_whole_mesh();
                if own || object.is_of_each_cluster() {
                    continue;
                }
                let meta = &object.meta;
                let identity = (
                    meta.group(),
                    meta.kind.as_str(),
                    object.namespace.as_str(),
                    meta.name.as_str(),
                );
                objects.entry(identity).or_default().push(object);
            }
            found.extend(
                objects.into_values().filter_map(|same| self.drift(&primaries, &same, &known)),
            );
        }
        found
    }

    fn drift<'m>(
        &'m self,
        primaries: &[&'m Cluster],
        same: &[&'m IstioObject],
        known: &Known<'m>,
    ) -> Option<Drift<'m>> {
        let first = *same.first()?;
        // Two texts of one object in one cluster are alternatives: nobody knows which one counts.
        if same.windows(2).any(|two| two[0].cluster == two[1].cluster) {
            return None;
        }
        for other in same.iter().skip(1).filter(|o| !o.meta.is_same_text(&first.meta)) {
            if first.is_another_service(other) {
                continue;
            }
            let mut differences = self.differences(first, other);
            if !differences.is_empty() {
                return Some(Drift::Differs {
                    one: first,
                    other,
                    first: differences.remove(0),
                    more: differences,
                });
            }
        }
        let system = self.cluster(first.cluster).facts.system_namespace();
        if first.is_for_gateways() || first.namespace == system {
            return None;
        }
        let has = |c: &&&Cluster| same.iter().any(|o| o.cluster == c.id);
        let without: Vec<&Cluster> = primaries
            .iter()
            .filter(|c| !has(c))
            .copied()
            .filter(|c| self.would_have(c, first, known))
            .collect();
        (!without.is_empty()).then_some(Drift::Missing { object: first, without })
    }

    fn differences<'m>(
        &'m self,
        one: &'m IstioObject,
        other: &'m IstioObject,
    ) -> Vec<Difference<'m>> {
        let own = [one, other].map(|object| {
            let cluster = self.cluster(object.cluster);
            let mut names = vec![cluster.name.as_str()];
            names.extend(cluster.istio_name().map(|name| name.as_str()));
            names.extend(cluster.network().map(|name| name.as_str()));
            names
        });
        let domains = [one, other].map(|object| {
            let facts = &self.cluster(object.cluster).facts;
            let told = facts.trust_domain.iter().map(|fact| fact.value.as_str());
            let aliases = facts.mesh_config.iter().flat_map(|c| &c.trust_domain_aliases);
            told.chain(aliases.map(|alias| alias.as_str())).chain(["cluster.local"]).collect()
        });
        let side = |object: &'m IstioObject| Side { value: object.spec(), at: object.named_at() };
        let mut comparison = Comparison { domains, ..Comparison::between(own) };
        if one.meta.kind.as_str() == "ServiceEntry" {
            // Where a service is reached is a matter of each cluster.
            comparison.ignored = &["endpoints", "addresses"];
        }
        let mut found = comparison.differences([side(one), side(other)]);
        for difference in &mut found {
            removed_by_patch(one, other, difference);
        }
        found
    }

    /// Whether an object would be seen in a cluster if it were there, and matters there: others of its
    /// kind and namespace are in the input, and it is for something that the cluster has.
    fn would_have(&self, cluster: &Cluster, object: &IstioObject, known: &Known<'_>) -> bool {
        let (kind, namespace) = (object.meta.kind.as_str(), object.namespace.as_str());
        let has_others = known.kinds.contains(&(cluster.id, kind, namespace));
        let seen =
            cluster.is_complete() || has_others && !self.may_have_more(cluster.id, kind, namespace);
        seen && self.matters(cluster, object, known)
    }

    /// Whether an object is for something that a primary's proxies have: hosts that are defined there or
    /// routed to, workloads it selects, or any workload of its namespace.
    fn matters(&self, primary: &Cluster, object: &IstioObject, known: &Known<'_>) -> bool {
        let hosts = object.hosts();
        if hosts.iter().any(|host| known.routed.contains(&(primary.id, host.clone()))) {
            return true;
        }
        if object.meta.kind.as_str() == "ServiceEntry" {
            return false;
        }
        let labels = object.selected();
        let fits = |carried: &Entries<Text>| {
            labels.iter().all(|(key, want)| value(carried.get(key)) == Some(want.as_str()))
        };
        let runs = || {
            let clusters = self.client_clusters(primary.id).into_iter();
            let mut workloads =
                clusters.flat_map(|c| self.workloads.of_namespace(c.id, &object.namespace));
            workloads.any(|w| fits(&w.template.metadata.labels))
        };
        let serves = |host: &String| match self.host(host) {
            Some(known) => known.services().any(|s| s.cluster == primary.id),
            None => runs(),
        };
        if hosts.is_empty() {
            !object.is_for_services() && runs()
        } else {
            hosts.iter().any(serves)
        }
    }
}

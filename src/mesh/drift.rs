//! Istio objects of several primaries that should be alike and are not.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::difference::{Comparison, Difference, Side};
use super::{Mesh, fqdn};
use crate::clusters::{Cluster, ClusterId};
use crate::kinds::Meta;
use crate::source::Span;
use crate::yaml::{Subtree, Value};

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
        bound
            || matches!(
                self.meta.kind.as_str(),
                "Gateway" | "EnvoyFilter" | "WorkloadEntry" | "WorkloadGroup"
            )
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
    /// Both have it, and they differ: the first difference, and how many more there are.
    Differs {
        /// The object in the one.
        one: &'m IstioObject,
        /// The object in the other.
        other: &'m IstioObject,
        /// What is different first.
        first: Difference<'m>,
        /// How many further differences.
        more: usize,
    },
    /// Only some have it.
    Missing {
        /// The object.
        object: &'m IstioObject,
        /// The primaries that lack it.
        without: Vec<&'m Cluster>,
    },
}

type Identity<'m> = (&'m str, &'m str, &'m str, &'m str);

impl Mesh {
    /// The primaries of each mesh that have more than one, ordered by name.
    fn primaries(&self) -> Vec<Vec<&Cluster>> {
        let meshes = self.meshes().into_iter().map(|clusters| {
            let primary = |c: &&Cluster| self.config_cluster(c.id).found() == Some(c.id);
            let seen = |c: &&Cluster| self.istio_objects.iter().any(|o| o.cluster == c.id);
            clusters.into_iter().filter(primary).filter(seen).collect::<Vec<_>>()
        });
        meshes.filter(|primaries| primaries.len() > 1).collect()
    }

    /// Objects that the primaries of a mesh do not have alike, each once.
    pub fn drifts(&self) -> Vec<Drift<'_>> {
        let mut found = Vec::new();
        for primaries in self.primaries() {
            let mut objects: BTreeMap<Identity<'_>, Vec<&IstioObject>> = BTreeMap::new();
            let here = |o: &&IstioObject| primaries.iter().any(|p| p.id == o.cluster);
            for object in self.istio_objects.iter().filter(here) {
                if object.namespace == self.cluster(object.cluster).facts.system_namespace() {
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
            found.extend(objects.into_values().filter_map(|same| self.drift(&primaries, &same)));
        }
        found
    }

    fn drift<'m>(
        &'m self,
        primaries: &[&'m Cluster],
        same: &[&'m IstioObject],
    ) -> Option<Drift<'m>> {
        let first = *same.first()?;
        // Two texts of one object in one cluster are alternatives: nobody knows which one counts.
        if same.windows(2).any(|two| two[0].cluster == two[1].cluster) {
            return None;
        }
        for other in same.iter().skip(1).filter(|o| o.meta.span != first.meta.span) {
            let mut differences = self.differences(first, other);
            if !differences.is_empty() {
                let more = differences.len() - 1;
                return Some(Drift::Differs {
                    one: first,
                    other,
                    first: differences.swap_remove(0),
                    more,
                });
            }
        }
        if first.is_for_gateways() {
            return None;
        }
        let has = |c: &&&Cluster| same.iter().any(|o| o.cluster == c.id);
        let without: Vec<&Cluster> = primaries
            .iter()
            .filter(|c| !has(c))
            .copied()
            .filter(|c| self.would_have(c, first))
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
        let side = |object: &'m IstioObject| Side { value: object.spec(), at: object.named_at() };
        Comparison::between(own).differences([side(one), side(other)])
    }

    /// Whether an object would be seen in a cluster if it were there, and matters there: others of its
    /// kind and namespace are in the input, and some host it is for is known, or workloads could call it.
    fn would_have(&self, cluster: &Cluster, object: &IstioObject) -> bool {
        let kind = object.meta.kind.as_str();
        let namespace = object.namespace.as_str();
        let seen = cluster.is_complete()
            || self.istio_objects.iter().any(|o| {
                o.cluster == cluster.id && o.meta.kind.as_str() == kind && o.namespace == namespace
            });
        let hosts = object.hosts();
        let defined = |host: &String| {
            self.host(host).is_some_and(|h| h.services().any(|s| s.cluster == cluster.id))
        };
        let serves = hosts.iter().any(defined);
        let calls = self.workloads_in(cluster.id, namespace).next().is_some();
        seen && (serves || calls)
    }
}

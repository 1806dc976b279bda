//! Resources of one kind in all clusters.

use std::cmp::Ordering;
use std::ops::Deref;
use std::slice;

use super::{In, IstioObject};
use crate::clusters::ClusterId;

/// What is in a namespace of a cluster.
pub trait Placed {
    /// The cluster and the namespace; empty for cluster-scoped kinds.
    fn place(&self) -> (ClusterId, &str);
}

impl<S> Placed for In<S> {
    fn place(&self) -> (ClusterId, &str) {
        (self.cluster, &self.namespace)
    }
}

impl Placed for IstioObject {
    fn place(&self) -> (ClusterId, &str) {
        (self.cluster, &self.namespace)
    }
}

/// Resources of one kind, ordered by cluster and then by place. As a slice: all of them.
#[derive(Debug)]
pub struct Members<M> {
    all: Vec<M>,
    /// Positions, ordered by cluster, namespace and place.
    by_namespace: Vec<usize>,
}

impl<M: Placed> Members<M> {
    /// Adds what comes after all others; [`Members::index`] has to follow.
    pub(super) fn push(&mut self, member: M) {
        self.all.push(member);
    }

    /// Makes those of a namespace be found.
    pub(super) fn index(&mut self) {
        self.by_namespace = (0..self.all.len()).collect();
        self.by_namespace.sort_by_key(|&i| self.all[i].place());
    }

    /// Those of a cluster.
    pub fn of_cluster(&self, cluster: ClusterId) -> &[M] {
        run(&self.all, |member| member.place().0.cmp(&cluster))
    }

    /// Those of a namespace of a cluster.
    pub fn of_namespace(
        &self,
        cluster: ClusterId,
        namespace: &str,
    ) -> impl Iterator<Item = &M> + use<'_, M> {
        self.positions(cluster, namespace).iter().map(|&i| &self.all[i])
    }

    /// Where those of a namespace of a cluster stand among all.
    pub(super) fn positions(&self, cluster: ClusterId, namespace: &str) -> &[usize] {
        run(&self.by_namespace, |&i| self.all[i].place().cmp(&(cluster, namespace)))
    }

    /// The namespaces of a cluster that have some, in the order of their names.
    pub fn namespaces(&self, cluster: ClusterId) -> impl Iterator<Item = &str> {
        let place = |i: usize| self.all[i].place();
        let here = run(&self.by_namespace, |&i| place(i).0.cmp(&cluster));
        here.chunk_by(move |&a, &b| place(a) == place(b)).map(move |same| place(same[0]).1)
    }
}

/// The part of an ordered slice that is equal to what is looked for.
fn run<T>(all: &[T], cmp: impl Fn(&T) -> Ordering) -> &[T] {
    let rest = &all[all.partition_point(|it| cmp(it).is_lt())..];
    &rest[..rest.partition_point(|it| cmp(it).is_eq())]
}

impl<M> Default for Members<M> {
    fn default() -> Self {
        Self { all: Vec::new(), by_namespace: Vec::new() }
    }
}

impl<M> Deref for Members<M> {
    type Target = [M];

    fn deref(&self) -> &[M] {
        &self.all
    }
}

impl<'m, M> IntoIterator for &'m Members<M> {
    type Item = &'m M;
    type IntoIter = slice::Iter<'m, M>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.iter()
    }
}

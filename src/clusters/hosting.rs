//! Control planes that run in another cluster than the one whose configuration they read.
//!
//! An external istiod runs in the cluster that hosts it, and calls itself (`CLUSTER_ID`) as the cluster
//! whose API server it reads. What it is told, its Secrets and its CA count for that cluster: its proxies
//! are the ones that are served and signed. The hosting cluster keeps what its own control plane is told.
//! Sources: istio.io, "Install Istio with an External Control Plane"; `pilot/pkg/bootstrap/server.go`,
//! `initKubeClient`; `pkg/kube/multicluster/secretcontroller.go`, `NewController`.

use std::collections::BTreeMap;

use super::away::{Told, text};
use super::facts::{Fact, Facts, Origin};
use super::roster::Seed;
use super::{Cluster, ClusterId, Fleet, Member, Role, SECRET_WATCHER, Supply, is_on};
use crate::kinds::kubeconfig::CONFIG_SECRET;
use crate::kinds::{Object, View, is_placeholder};
use crate::source::Text;

/// The namespaces that host control planes of other clusters, each with what tells so.
pub(super) struct Hosts(BTreeMap<(ClusterId, String), Fact>);

impl Hosts {
    pub fn of(fleet: &Fleet) -> Self {
        let configs = config_names(fleet);
        let fact = |member: &Member, namespace: &str| {
            let value = Text::new(namespace.to_owned(), member.object.meta.name.span);
            let key = (member.cluster, namespace.to_owned());
            (key, Fact { value, origin: Origin::Istiod })
        };
        let kubeconfigs = fleet.members.iter().filter(|m| is_kubeconfig(&m.object));
        let by_secret = kubeconfigs.map(|member| fact(member, &member.namespace));
        let by_install = fleet.members.iter().filter_map(|member| {
            let told = Told::of(&member.object)?;
            let namespace = told.namespace.unwrap_or(&member.namespace);
            let is_config = |(id, name): &(ClusterId, &str)| {
                *id != member.cluster && text(told.name) == Some(*name)
            };
            let is_away = told.is_away() || told.serves_others && configs.iter().any(is_config);
            is_away.then(|| fact(member, namespace))
        });
        Self(by_secret.chain(by_install).collect())
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (ClusterId, &Fact)> {
        self.0.iter().map(|((cluster, _), fact)| (*cluster, fact))
    }

    /// The namespace of the hosted control plane that a member is of, if it is of one.
    pub fn of_member(&self, member: &Member) -> Option<&Fact> {
        let is_config = matches!(&member.object.view, View::ConfigMap(_));
        let told = Told::of(&member.object).map(|told| told.namespace.unwrap_or(&member.namespace));
        let namespace = told.or(is_config.then_some(&*member.namespace))?;
        self.0.get(&(member.cluster, namespace.to_owned()))
    }
}

/// Names of clusters that say that a control plane elsewhere reads their configuration.
fn config_names(fleet: &Fleet) -> Vec<(ClusterId, &str)> {
    let values = fleet.members.iter().filter_map(|m| match &m.object.view {
        View::IstioOperator(r) | View::SailIstio(r) => Some((m.cluster, &r.spec.values)),
        View::HelmRelease(r) => Some((m.cluster, &r.spec.values)),
        _ => None,
    });
    let configs = values.filter(|(_, v)| v.global.config_cluster.as_ref().is_some_and(|c| c.value));
    let named = |(id, _): (ClusterId, _)| (id, fleet.clusters[id.index()].name.as_str());
    let told = configs.clone().filter_map(|(id, values)| {
        Some((id, values.global.multi_cluster.cluster_name.as_ref()?.as_str()))
    });
    configs.clone().map(named).chain(told).collect()
}

/// Whether an object is the Secret by which an external istiod reads its cluster.
fn is_kubeconfig(object: &Object) -> bool {
    is_secret(object)
        && object.meta.name.as_str() == CONFIG_SECRET
        && object.remote_label().is_none()
}

fn is_secret(object: &Object) -> bool {
    matches!(object.view, View::Secret(_) | View::OpaqueSecret(_))
}

/// Gives what is told of hosted control planes to the clusters they are for. One by a name that no cluster
/// has is for the only config cluster that is left without a control plane, if there is but one. Where its
/// cluster is not in the input, the hosting one stands for it.
pub(super) fn settle(fleet: &mut Fleet, seeds: &[Seed]) {
    let mut left = Vec::new();
    for at in 0..fleet.clusters.len() {
        for plane in std::mem::take(&mut fleet.clusters[at].facts.hosted) {
            match config_cluster(&fleet.clusters, seeds, at, &plane) {
                Some(of) => hand_over(fleet, at, of, plane),
                // Of a Secret alone it is not known what it leads to.
                None if plane.is_installed() => left.push((at, plane)),
                None => {}
            }
        }
    }
    let only = only_waiting(&fleet.clusters, |_| true).filter(|_| left.len() == 1);
    for (at, plane) in left {
        match only.filter(|of| *of != at) {
            Some(of) => hand_over(fleet, at, of, plane),
            None => fleet.clusters[at].facts.absorb(plane),
        }
    }
}

/// The only cluster, among some, whose configuration a control plane elsewhere is said to read, and that has
/// none yet.
fn only_waiting(clusters: &[Cluster], among: impl Fn(&Cluster) -> bool) -> Option<usize> {
    let is_read = |c: &Cluster| {
        let mut told = c.facts.installs.iter().map(|i| &i.values().global.config_cluster);
        c.role() == Some(Role::ConfigOfExternal)
            || told.any(|told| told.as_ref().is_some_and(|told| told.value))
    };
    let waits = |c: &&Cluster| c.hosted_in.is_none() && is_read(c) && among(c);
    let mut waiting = clusters.iter().filter(waits).map(|c| c.id.index());
    waiting.next().filter(|_| waiting.next().is_none())
}

/// The cluster whose configuration a hosted control plane reads: the nearest of its name, or, where that is
/// not told, the only one that waits for a control plane in that namespace.
fn config_cluster(
    clusters: &[Cluster],
    seeds: &[Seed],
    host: usize,
    plane: &Facts,
) -> Option<usize> {
    let name = plane.name.first().map(|fact| fact.value.as_str()).filter(|n| !is_placeholder(n));
    let Some(name) = name else {
        let is_beside = |c: &Cluster| c.facts.system_namespace() == plane.system_namespace();
        return only_waiting(clusters, is_beside).filter(|of| *of != host);
    };
    let distance = |i: &usize| {
        let (a, b) = (&seeds[host], &seeds[*i]);
        let is_served = matches!(clusters[*i].role(), Some(Role::ConfigOfExternal | Role::Remote));
        (!is_served, a.collection != b.collection, a.family != b.family)
    };
    (0..clusters.len())
        .filter(|&i| i != host)
        .filter(|&i| clusters[i].is_called(name) || seeds[i].is_called(name))
        .min_by_key(|i| (distance(i), *i))
}

fn hand_over(fleet: &mut Fleet, host: usize, of: usize, mut plane: Facts) {
    let namespace = plane.system_namespace().to_owned();
    let watcher = plane.istiod_env(SECRET_WATCHER);
    let watches_here = watcher.map_or(!plane.is_installed(), |told| is_on(told));
    let (here, there) = (ClusterId::at(host), ClusterId::at(of));
    for member in &mut fleet.members {
        if member.cluster == here
            && member.namespace == namespace
            && is_secret(&member.object)
            && (watches_here || member.object.remote_label().is_none())
        {
            member.cluster = there;
        }
    }
    let may_bring = |(id, supply): &&(ClusterId, Supply)| {
        *id == here && supply.namespace.as_ref().is_none_or(|own| *own == namespace)
    };
    let brought: Vec<Supply> =
        fleet.supplies.iter().filter(may_bring).map(|(_, supply)| supply.clone()).collect();
    let given = |supply| Supply { namespace: Some(namespace.clone()), ..supply };
    fleet.supplies.extend(brought.into_iter().map(|supply| (there, given(supply))));
    plane.installs.iter_mut().for_each(|install| install.is_hosted = true);
    let named = plane.name.first().map(|fact| fact.value.span);
    plane.role = named.into_iter().map(|at| (Role::ConfigOfExternal, at)).collect();
    fleet.clusters[of].facts.absorb(plane);
    fleet.clusters[of].hosted_in = Some(here);
}

impl Facts {
    /// Whether something of the input installs a control plane.
    fn is_installed(&self) -> bool {
        !self.installs.is_empty() || !self.name.is_empty() || !self.istiod_env.is_empty()
    }
}

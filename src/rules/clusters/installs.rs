//! What the texts that install a cluster's control plane tell, and whether they tell all.

use crate::clusters::{Cluster, Installed, Role};
use crate::kinds::control_plane::Values;
use crate::kinds::is_placeholder;
use crate::mesh::{Lookup, Mesh};
use crate::source::Span;

/// The texts that install a cluster's control plane, where these tell all: what they leave out has its
/// default.
pub(super) fn whole<'m>(mesh: &'m Mesh, cluster: &'m Cluster) -> Option<Vec<&'m Installed>> {
    control_plane(cluster)?;
    let is_known = |i: &Installed| i.is_whole && is_sure(mesh, i);
    control_planes(cluster).all(is_known).then(|| cluster.facts.installs.iter().collect())
}

/// Whether a text is a resource that is applied as it stands.
pub(super) fn is_sure(mesh: &Mesh, install: &Installed) -> bool {
    install.meta.as_ref().is_some_and(|meta| !mesh.is_assumed(meta))
}

/// The texts that install the control plane, or several.
pub(super) fn control_planes(cluster: &Cluster) -> impl Iterator<Item = &Installed> {
    cluster.facts.installs.iter().filter(|i| i.is_control_plane())
}

/// The first of them.
pub(super) fn control_plane(cluster: &Cluster) -> Option<&Installed> {
    control_planes(cluster).next()
}

/// What some text of a cluster tells, the first that tells it.
pub(super) fn told<'m, T>(cluster: &'m Cluster, of: impl Fn(&'m Values) -> Option<T>) -> Option<T> {
    cluster.facts.installs.iter().find_map(|i| of(i.values()))
}

/// Whether something is written under a key that could not be read: still to be filled in.
pub(super) fn is_open(cluster: &Cluster, key: &str) -> bool {
    let open = |i: &Installed| {
        i.meta.as_ref().is_some_and(|meta| meta.unread.iter().any(|path| path.contains(key)))
    };
    cluster.facts.installs.iter().any(open)
}

/// Remote clusters: those of which nothing tells that they run a control plane of their own as well, as
/// where the texts of several demos are taken for one cluster's.
pub(super) fn remotes(mesh: &Mesh) -> impl Iterator<Item = &Cluster> {
    let remotes = mesh.clusters().iter().filter(|c| c.role() == Some(Role::Remote));
    remotes.filter(|c| {
        control_planes(c).all(is_of_remote)
            && c.facts.role.iter().all(|(role, _)| *role == Role::Remote)
    })
}

fn is_of_remote(install: &Installed) -> bool {
    let values = install.values();
    install.profile().is_some_and(|p| matches!(p.as_str(), "remote" | "external"))
        || values.global.remote_pilot_address.is_some()
        || values.istiod_remote.enabled.as_ref().is_some_and(|enabled| enabled.value)
}

/// Remote clusters, each with the primary that serves it.
pub(super) fn served(mesh: &Mesh) -> Vec<(&Cluster, &Cluster)> {
    let pairs = remotes(mesh).filter_map(|remote| match mesh.config_cluster(remote.id) {
        Lookup::Found(by) if by != remote.id => Some((remote, mesh.cluster(by))),
        _ => None,
    });
    pairs.collect()
}

/// Clusters that an external control plane reads, each with the one it runs in.
pub(super) fn hosted(mesh: &Mesh) -> impl Iterator<Item = (&Cluster, &Cluster)> {
    mesh.clusters().iter().filter_map(|config| Some((config, mesh.cluster(config.hosted_in?))))
}

/// The name that Istio knows a cluster by, where its control plane tells it.
pub(super) fn istio_name(cluster: &Cluster) -> Option<&str> {
    let name = cluster.istio_name().filter(|n| !is_placeholder(n))?;
    (name.as_str() != crate::clusters::DEFAULT_NAME).then_some(name.as_str())
}

/// Where it is told that a cluster has a control plane.
pub(super) fn primary_at(primary: &Cluster) -> Span {
    let named = primary.istio_name().map(|name| name.span);
    named.or(control_plane(primary).map(Installed::at)).unwrap_or_default()
}

/// Whether an istiod of its own injects sidecars in a remote cluster.
pub(super) fn injects_itself(cluster: &Cluster) -> bool {
    told(cluster, |v| v.istiod_remote.enabled_local_injector_istiod.as_ref())
        .is_some_and(|e| e.value)
}

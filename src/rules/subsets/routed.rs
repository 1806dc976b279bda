//! Where routes send a host's subsets, and whose requests.

use std::collections::BTreeMap;

use super::{clusters_of, is_asked_for, known};
use crate::clusters::Cluster;
use crate::finding::{Findings, Fix, Severity};
use crate::kinds::is_placeholder;
use crate::kinds::networking::{HttpRoute, VirtualService};
use crate::mesh::{CLUSTER_LABEL, In, Lookup, Mesh, Route, Subset, fqdn, list, short, value};
use crate::source::{Span, Text};

/// Routes that lead to a subset of one cluster, with that cluster.
fn pinned_routes(mesh: &Mesh) -> Vec<(Route<'_>, Subset<'_>, &Text)> {
    let routes = mesh.routes().into_iter();
    routes
        .filter_map(|route| {
            let subset =
                mesh.subsets_of_route(&route).into_iter().find(|s| s.cluster_label().is_some())?;
            Some((route, subset, subset.cluster_label()?))
        })
        .collect()
}

pub(super) fn per_cluster_subset_without_failover(mesh: &Mesh, found: &mut Findings) {
    let mut by_service: BTreeMap<(Span, String), Vec<(Route<'_>, Subset<'_>, &Text)>> =
        BTreeMap::new();
    for pinned in pinned_routes(mesh) {
        let (route, ..) = &pinned;
        let Some(host) = mesh.host(&route.host) else { continue };
        if leaves_open(route) {
            continue;
        }
        if mesh.cluster_called(pinned.2, route.service.cluster).is_absent() {
            // Said elsewhere.
            continue;
        }
        if mesh.clusters_with_backends(host, route.service.cluster).len() > 1 {
            by_service
                .entry((route.service.meta.span, route.host.clone()))
                .or_default()
                .push(pinned);
        }
    }
    for ((_, host), pinned) in by_service {
        let (route, subset, cluster) = &pinned[0];
        let finding = found.say(
            format!("requests to `{}` are pinned to single clusters", short(&host)),
            route.subset().map_or(route.destination.span, |s| s.span),
            format!(
                "only endpoints in `{cluster}`: without a healthy one there, these requests fail"
            ),
        );
        for (route, _, cluster) in &pinned[1..] {
            if let Some(name) = route.subset() {
                finding.also(name.span, format!("only endpoints in `{cluster}`"));
            }
        }
        finding.also(subset.name.span, "a subset never fails over, and weights do not move").help(format!(
            "route to the host without a subset, with outlierDetection and \
             failoverPriority on `{CLUSTER_LABEL}`, to prefer a cluster and still leave it when it fails"
        ));
    }
}

/// Whether the caller asks for the cluster, and everybody else takes a rule that leaves it open.
fn leaves_open(route: &Route<'_>) -> bool {
    let open = |r: &HttpRoute| {
        r.is_catch_all()
            && r.route.iter().filter_map(|d| d.destination.as_ref()).any(|d| d.subset.is_none())
    };
    is_asked_for(route) && route.service.http.iter().any(open)
}

pub(super) fn cluster_not_routed(mesh: &Mesh, found: &mut Findings) {
    for service in mesh.virtual_services.iter().filter(|s| s.is_for_mesh() && !s.hosts.is_empty()) {
        let guards: Vec<&Text> =
            service.http.iter().filter_map(HttpRoute::guards).flatten().collect();
        let Some(guard) = guards.first() else { continue };
        // A route of the Gateway API may take those that are left.
        let host = |name: &Text| fqdn(name, &service.namespace);
        if service.hosts.iter().any(|name| mesh.has_attached(service.cluster, &host(name))) {
            continue;
        }
        let clients = mesh.client_clusters(service.cluster);
        for cluster in left_out(mesh, service, &clients, &guards) {
            let matches_some = service.http.iter().any(|r| r.is_for(cluster));
            if matches_some
                && !service.http.iter().any(|r| r.guards().is_some() && r.is_catch_all())
            {
                continue;
            }
            let host = value(service.hosts.first()).unwrap_or_default();
            let (what, why) = if matches_some {
                ("404", "requests that match no rule get 404")
            } else {
                ("the default route", "their requests go to all endpoints of all clusters")
            };
            let finding = found.say(
                format!("clients in `{}` that call `{host}` get {what}", cluster.name),
                guard.span,
                format!("no rule is for `{}`: {why}", cluster.name),
            );
            finding
                .also(
                    service.named_at(),
                    format!("read by clients in {}", list(clients.iter().map(|c| c.name.as_str()))),
                )
                .help("add a rule for this cluster, or a last rule without `sourceLabels`");
            if !matches_some {
                finding.lower(Severity::Warning);
            }
        }
    }
}

/// Clusters for which a VirtualService has no rule that takes every request, and means to have one.
fn left_out<'m>(
    mesh: &Mesh,
    service: &In<VirtualService>,
    clients: &[&'m Cluster],
    guards: &[&Text],
) -> Vec<&'m Cluster> {
    // A cluster whose name nobody tells may be the one that a rule is for.
    let is_routed = |c: &Cluster| {
        let means = |all: Vec<&Text>| all.iter().any(|name| mesh.may_be_called(c, name));
        service.http.iter().any(|r| r.guards().is_none_or(means) && r.is_catch_all())
    };
    let left: Vec<&Cluster> = clients.iter().copied().filter(|c| !is_routed(c)).collect();
    // Where no cluster has a rule for every request, the VirtualService means to be partial.
    let is_known = |guard: &&Text| mesh.cluster_called(guard, service.cluster).found().is_some();
    let is_partial = left.len() == clients.len() && !guards.iter().any(is_known);
    if is_partial { Vec::new() } else { left }
}

pub(super) fn unknown_cluster_in_source_labels(mesh: &Mesh, found: &mut Findings) {
    for service in &mesh.virtual_services {
        for guard in service.http.iter().filter_map(HttpRoute::guards).flatten() {
            let Lookup::Absent { nearest } = mesh.cluster_called(guard, service.cluster) else {
                continue;
            };
            let is_absent = |from| mesh.cluster_called(guard, from).is_absent();
            if !clusters_of(&mesh.virtual_services, service).all(is_absent) {
                continue;
            }
            found
                .say(
                    format!("a rule of `{}` is for clients in cluster `{guard}`, which is not in the mesh", service.name()),
                    guard.span,
                    "no client matches: the rule is dead",
                )
                .help(known(mesh, "cluster", service.cluster))
                .fix(nearest.map(|n| Fix::unsafe_replace(format!("use `{n}`"), guard.span, n)));
        }
    }
}

pub(super) fn routed_to_other_cluster(mesh: &Mesh, found: &mut Findings) {
    for (route, subset, to) in pinned_routes(mesh) {
        let (Some(rule), Some(host)) = (route.rule, mesh.host(&route.host)) else { continue };
        let known = mesh.cluster_called(to, route.service.cluster);
        let is_of_another_mesh =
            known.clone().found().is_none() && !mesh.clusters_called(to).is_empty();
        if known.is_absent() || is_of_another_mesh {
            // `unknown-cluster-in-subset` says it: nobody gets there.
            continue;
        }
        let with_backends = mesh.clusters_with_backends(host, route.service.cluster);
        for guard in rule.guards().unwrap_or_default() {
            let Some(from) = mesh.cluster_called(guard, route.service.cluster).found() else {
                continue;
            };
            let stays = rule.route.iter().filter_map(|r| r.destination.as_ref()).any(|d| {
                let name = d.subset.as_ref();
                let all = mesh.subsets_of(&route.host, route.service.cluster);
                all.iter().any(|s| {
                    Some(s.name) == name
                        && s.cluster_label().is_none_or(|c| mesh.may_be_called(from, c))
                })
            });
            if stays || mesh.may_be_called(from, to) || !with_backends.contains(&from.id) {
                continue;
            }
            found
                .say(
                    format!(
                        "clients in `{}` are sent to `{}` in cluster `{to}`",
                        from.name,
                        host.short()
                    ),
                    route.subset().map_or(route.destination.span, |s| s.span),
                    format!("endpoints in `{to}` only"),
                )
                .also(
                    guard.span,
                    format!("clients in `{}`, which has endpoints of its own", from.name),
                )
                .also(subset.name.span, "the subset")
                .help(format!(
                    "route clients in `{}` to the subset of their own cluster",
                    from.name
                ));
        }
    }
}

pub(super) fn cluster_local_host_routed_across(mesh: &Mesh, found: &mut Findings) {
    for (route, subset, to) in pinned_routes(mesh) {
        let control_plane = route.service.cluster;
        if !mesh.is_cluster_local(&route.host, control_plane) || is_placeholder(to) {
            continue;
        }
        let guards = route.rule.and_then(HttpRoute::guards);
        let clients: Vec<&Cluster> = mesh
            .client_clusters(control_plane)
            .into_iter()
            .filter(|c| !mesh.may_be_called(c, to))
            .filter(|c| guards.as_ref().is_none_or(|g| g.iter().any(|g| c.is_called(g))))
            .collect();
        if clients.is_empty() {
            continue;
        }
        let names = list(clients.iter().map(|c| c.name.as_str()));
        found
            .say(
                format!(
                    "`{}` is cluster-local, and clients in {names} are sent to cluster `{to}`",
                    short(&route.host)
                ),
                route.subset().map_or(route.destination.span, |s| s.span),
                format!("no endpoint for clients outside `{to}`: 503"),
            )
            .also(subset.name.span, "the subset")
            .help("take the host out of `serviceSettings`, or route each cluster to itself");
    }
}

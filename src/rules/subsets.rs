//! Subsets: what a DestinationRule cuts a host into, and where routes send it.

mod routed;
mod undefined;
mod unlabelled;

use std::collections::{BTreeMap, BTreeSet};

use super::{Rule, rule};
use crate::clusters::{Cluster, ClusterId};
use crate::finding::{Findings, Fix, Severity};
use crate::kinds::core::Service;
use crate::kinds::is_placeholder;
use crate::kinds::networking::{HttpMatch, HttpRoute};
use crate::kinds::workloads::Workload;
use crate::mesh::{
    AppliedRule, CLUSTER_LABEL, Host, In, Lookup, Mesh, NETWORK_LABEL, Route, Share, Subset, list,
    short, subsets_of,
};
use crate::source::{Span, Spanned, Text};

pub(super) const RULES: &[Rule] = &[
    rule!("subsets/cluster-local-host-routed-across", routed::cluster_local_host_routed_across),
    rule!("subsets/cluster-not-routed", routed::cluster_not_routed),
    rule!("subsets/cluster-without-subset", cluster_without_subset),
    rule!(
        "subsets/destination-subset-missing-across-clusters",
        undefined::destination_subset_missing_across_clusters
    ),
    rule!("subsets/duplicate-subset", duplicate_subset),
    rule!("subsets/empty-subset", empty_subset),
    rule!("subsets/empty-subset-in-cluster", empty_subset_in_cluster),
    rule!("subsets/mixed-version-and-cluster", mixed_version_and_cluster),
    rule!(
        "subsets/per-cluster-subset-without-failover",
        routed::per_cluster_subset_without_failover
    ),
    rule!("subsets/routed-to-other-cluster", routed::routed_to_other_cluster),
    rule!("subsets/subset-without-labels", unlabelled::subset_without_labels),
    rule!("subsets/undefined-subset", undefined::undefined_subset),
    rule!("subsets/unknown-cluster-in-source-labels", routed::unknown_cluster_in_source_labels),
    rule!("subsets/unknown-cluster-in-subset", unknown_cluster_in_subset),
    rule!("subsets/version-subset-in-one-cluster", version_subset_in_one_cluster),
];

fn mixed_version_and_cluster(mesh: &Mesh, found: &mut Findings) {
    named_for_a_cluster(mesh, found);
    for rule in &mesh.destination_rules {
        let mixed: Vec<(&Text, &Text, &Text)> = subsets_of(rule)
            .filter_map(|s| {
                let (key, _) = s.pod_labels().find(|(key, want)| !is_whole(mesh, s, key, want))?;
                Some((s.name, s.cluster_label()?, key))
            })
            .collect();
        let Some((name, cluster, key)) = mixed.first() else { continue };
        let names = list(mixed.iter().map(|(name, ..)| name.as_str()));
        let verb = if mixed.len() == 1 { "mixes" } else { "mix" };
        let finding = found.say(
            format!("{} {names} {verb} `{key}` and cluster", plural(mixed.len(), "subset")),
            name.span,
            format!("selects by `{key}` and by cluster"),
        );
        for (name, ..) in &mixed[1..] {
            finding.also(name.span, "and so does this one");
        }
        finding.also(cluster.span, "the cluster").help(format!(
            "cut the host by `{key}` alone, and let locality load balancing choose the cluster"
        ));
    }
}

/// Whether a label is one that all pods of the host have, so that it cuts nothing: the Service selects by
/// it, or it says what software it is.
fn is_whole(mesh: &Mesh, subset: Subset<'_>, key: &str, want: &Text) -> bool {
    let software = ["app", "app.kubernetes.io/name", "k8s-app"].contains(&key);
    let host = subset.host().and_then(|name| mesh.host(&name));
    let selects = |s: &In<Service>| s.selector.as_ref().and_then(|s| s.get(key)) == Some(want);
    software || host.is_some_and(|host| host.services().any(selects))
}

/// Subsets whose name promises a cluster that their labels do not hold to.
fn named_for_a_cluster(mesh: &Mesh, found: &mut Findings) {
    for subset in mesh.subsets().filter(|s| s.cluster_label().is_none()) {
        let words: Vec<&str> = subset.name.split(['-', '_', '.']).collect();
        let called = |c: &&Cluster| words.len() > 1 && words.iter().any(|w| c.is_called(w));
        let mut peers = mesh.peers(subset.rule.cluster);
        let several = mesh.peers(subset.rule.cluster).count() > 1;
        let Some(cluster) = peers.find(called).filter(|_| several) else { continue };
        let Some((key, value)) = subset.pod_labels().find(|(_, v)| words.contains(&v.as_str()))
        else {
            continue;
        };
        found
            .say(
                format!(
                    "subset `{}` is named for cluster `{}`, and selects by `{key}` alone",
                    subset.name, cluster.name
                ),
                subset.name.span,
                "its name pairs a version with a cluster",
            )
            .also(value.span, "endpoints of every cluster have this")
            .help(
                "name it for what it selects, and let locality load balancing choose the cluster",
            );
    }
}

fn plural(n: usize, word: &str) -> String {
    if n == 1 { word.to_owned() } else { format!("{word}s") }
}

fn unknown_cluster_in_subset(mesh: &Mesh, found: &mut Findings) {
    for subset in mesh.subsets().filter(|s| !s.rule.meta.is_filled_in) {
        let lookups: [(&str, &str, fn(&Mesh, &str, ClusterId) -> bool); 2] = [
            (CLUSTER_LABEL, "cluster", |m, name, from| m.cluster_called(name, from).is_absent()),
            (NETWORK_LABEL, "network", |m, name, from| m.network_called(name, from).is_absent()),
        ];
        for (key, what, is_absent) in lookups {
            let Some(label) = subset.label(key) else { continue };
            if clusters_of(&mesh.destination_rules, subset.rule)
                .any(|from| !is_absent(mesh, label, from))
            {
                continue;
            }
            let nearest = match mesh.cluster_called(label, subset.rule.cluster) {
                Lookup::Absent { nearest } if what == "cluster" => nearest,
                _ => None,
            };
            found
                .say(
                    format!(
                        "subset `{}` selects {what} `{label}`, which is not in the mesh",
                        subset.name
                    ),
                    label.span,
                    format!("no {what} has this name: the subset is empty"),
                )
                .help(known(mesh, what, subset.rule.cluster))
                .fix(nearest.map(|n| Fix::unsafe_replace(format!("use `{n}`"), label.span, n)));
        }
    }
}

/// The clusters that have the text of a resource, in other meshes too. What a base says for one of them
/// is idle in the others on purpose.
fn clusters_of<S>(all: &[In<S>], one: &In<S>) -> impl Iterator<Item = ClusterId> {
    all.iter().filter(|it| it.meta.span == one.meta.span).map(|it| it.cluster)
}

/// The names that could have been meant.
fn known(mesh: &Mesh, what: &str, from: ClusterId) -> String {
    let names: BTreeSet<&str> = mesh
        .peers(from)
        .filter_map(|c| match what {
            "network" => c.network().map(|n| n.as_str()),
            _ => Some(c.istio_name().map_or(c.name.as_str(), |n| n.as_str())),
        })
        .collect();
    format!("the {what}s of the mesh are {}", list(names))
}

/// A rule of a host with subsets for several clusters, and the clusters these select.
fn cut_by_cluster<'m>(rule: &AppliedRule<'m>) -> Option<(Subset<'m>, BTreeSet<&'m str>)> {
    let all = rule.subsets().into_iter();
    let by_cluster: Vec<_> = all.filter_map(|s| Some((s, s.cluster_label()?.as_str()))).collect();
    let named: BTreeSet<&str> = by_cluster.iter().map(|(_, cluster)| *cluster).collect();
    // What a pipeline fills in may be any cluster.
    let is_told = named.len() > 1 && !named.iter().any(|name| is_placeholder(name));
    let (first, _) = by_cluster.first().filter(|_| is_told)?;
    Some((*first, named))
}

fn cluster_without_subset(mesh: &Mesh, found: &mut Findings) {
    for host in mesh.hosts() {
        for control_plane in mesh.clusters().iter().map(|c| c.id) {
            let rules = mesh.merged_rules(host.name, control_plane);
            // A rule for chosen workloads may well leave something out.
            let rules = rules.iter().filter(|rule| rule.selector().is_none());
            let cut: BTreeMap<Span, _> =
                rules.filter_map(cut_by_cluster).map(|cut| (cut.0.name.span, cut)).collect();
            for (first, named) in cut.into_values() {
                without_subset(mesh, host, (first, &named), found);
            }
        }
    }
}

/// Clusters with workloads behind a host that none of its subsets by cluster selects.
fn without_subset(
    mesh: &Mesh,
    host: Host<'_>,
    (first, named): (Subset<'_>, &BTreeSet<&str>),
    found: &mut Findings,
) {
    for id in mesh.clusters_with_backends(host, first.rule.cluster) {
        let cluster = mesh.cluster(id);
        if named.iter().any(|name| mesh.may_be_called(cluster, name)) {
            continue;
        }
        let at = first.rule.host.as_ref().map_or(first.name.span, |h| h.span);
        let finding = found.say(
            format!(
                "`{}` has a subset for each of {} and none for `{}`",
                host.short(),
                list(named.iter().copied()),
                cluster.name
            ),
            at,
            format!("no subset selects cluster `{}`", cluster.name),
        );
        if let Some(service) = host.services().find(|s| s.cluster == id) {
            finding.also(service.named_at(), format!("has pods behind it in `{}`", cluster.name));
        }
        finding.help(format!(
            "add a subset with `{CLUSTER_LABEL}: {}`, and routes that use it",
            cluster.name
        ));
    }
}

fn duplicate_subset(mesh: &Mesh, found: &mut Findings) {
    for rule in &mesh.destination_rules {
        let mut seen: BTreeMap<&str, Subset<'_>> = BTreeMap::new();
        for subset in subsets_of(rule) {
            if let Some(first) = seen.get(subset.name.as_str()) {
                twice(first, &subset, found);
            } else {
                seen.insert(subset.name.as_str(), subset);
            }
        }
    }
    let mut told = BTreeSet::new();
    for merged in mesh.all_merged_rules() {
        for part in &merged.parts[1..] {
            for subset in subsets_of(part) {
                let Some(first) = merged.subset(subset.name) else { continue };
                // Two texts of one object are alternatives, not two objects.
                let is_other =
                    first.rule.name() != part.name() && first.subset.labels != subset.subset.labels;
                // A rule with a selector is meant to replace what it repeats.
                let same_clients =
                    first.rule.workload_selector.is_some() == part.workload_selector.is_some();
                let key = (part.cluster, first.name.span, subset.name.span);
                if is_other && same_clients && told.insert(key) {
                    twice(&first, &subset, found);
                }
            }
        }
    }
}

/// Says that a subset stands twice.
fn twice(first: &Subset<'_>, subset: &Subset<'_>, found: &mut Findings) {
    let host = subset.host().unwrap_or_default();
    let same_rule = std::ptr::eq(first.rule, subset.rule);
    let rules = if same_rule { "one rule" } else { "two rules that Istio merges" };
    found
        .say(
            format!("subset `{}` of `{}` stands twice, in {rules}", subset.name, short(&host)),
            subset.name.span,
            if same_rule { "refused by Istio's webhook" } else { "dropped: the first one wins" },
        )
        .also(first.name.span, "the first one")
        .help("rename or remove one of them");
}

fn empty_subset(mesh: &Mesh, found: &mut Findings) {
    let routes = mesh.routes_by_host();
    let mut looked_at = BTreeSet::new();
    for subset in mesh.subsets().filter(|s| s.pod_labels().next().is_some()) {
        // One text in many clusters of a mesh is one question.
        let labels: Vec<(&str, &str)> =
            subset.subset.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let question = (subset.name.span, subset.host(), labels);
        if !looked_at.insert((mesh.cluster(subset.rule.cluster).mesh, question)) {
            continue;
        }
        let Some(host) = subset.host().as_deref().and_then(|h| mesh.host(h)) else { continue };
        let unsure = host.entries().next().is_some()
            || mesh.is_assumed(&subset.rule.meta)
            || host.may_have_more_backends(subset.rule.cluster);
        // A cluster that does not exist is said elsewhere; one that is not in the input has its own.
        let nowhere = |c: &Text| mesh.cluster_called(c, subset.rule.cluster).found().is_none();
        if unsure || subset.cluster_label().is_some_and(nowhere) || has_endpoint(mesh, subset, host)
        {
            continue;
        }
        let all = host.backends_of_mesh(subset.rule.cluster);
        let has_pods = || {
            let mut services = host.services_of_mesh(subset.rule.cluster);
            services.any(|s| !mesh.pods_of(s).is_empty())
        };
        let complete = mesh.peers(subset.rule.cluster).all(Cluster::is_complete);
        if all.is_empty() && !complete && !has_pods() {
            continue;
        }
        let leads_here = |r: &&Route<'_>| {
            r.subset() == Some(subset.name)
                && mesh.same_mesh(r.service.cluster, subset.rule.cluster)
        };
        let leading = || routes.get(host.name).into_iter().flatten().filter(leads_here);
        let route = leading().find(|r| r.share != Share::None).or_else(|| leading().next());
        say_empty(subset, host, route, &all, found);
    }
}

fn say_empty(
    subset: Subset<'_>,
    host: Host<'_>,
    route: Option<&Route<'_>>,
    all: &[&In<Workload>],
    found: &mut Findings,
) {
    let bare = all.iter().find(|w| {
        let labels = &w.template.metadata.labels;
        let may_get = |want: &Text| !want.is_empty();
        subset
            .pod_labels()
            .all(|(key, want)| labels.get(key).map_or(may_get(want), |label| label == want))
    });
    let labels: Vec<String> = subset.pod_labels().map(|(k, v)| format!("{k}={v}")).collect();
    let finding = found.say(
        format!("subset `{}` of `{}` selects no workload", subset.name, host.short()),
        subset.name.span,
        format!("no workload behind the host has {}", list(labels.iter().map(String::as_str))),
    );
    if let Some(bare) = bare {
        // A pipeline, or a hand, may label it on its way.
        let unless = format!(", unless `{}` gets its labels elsewhere", bare.name());
        finding.milder(Severity::Warning, &unless);
    }
    let unused = match route {
        Some(route) => {
            let at = route.subset().map_or(route.destination.span, |s| s.span);
            let idle = route.share == Share::None;
            let what =
                if idle { "gets no request yet" } else { "requests that take this route get 503" };
            finding.also(at, what);
            idle.then_some("every route to it has weight 0")
        }
        None => Some("no route uses it"),
    };
    if let Some(unused) = unused {
        let joint = if bare.is_some() { "; " } else { ", and " };
        finding.milder(Severity::Note, &format!("{joint}{unused}"));
    }
    if let Some(near) = all.first() {
        let others = near.template.metadata.labels.iter().next();
        let at = others.map_or(near.named_at(), |(key, _)| key.span);
        finding.also(at, "labels of a workload behind the host");
    }
    finding.help("correct the labels, deploy the workload, or remove the subset");
}

/// Whether some workload, pod or WorkloadEntry of the mesh can be in a subset.
fn has_endpoint(mesh: &Mesh, subset: Subset<'_>, host: Host<'_>) -> bool {
    let pods = || host.services_of_mesh(subset.rule.cluster).flat_map(|s| mesh.pods_of(s));
    let fits = |labels: &crate::yaml::Entries<Text>| {
        subset.pod_labels().all(|(key, want)| labels.get(key.as_str()) == Some(want))
    };
    !subset.backends(mesh, host).is_empty()
        || pods().any(|pod| fits(&pod.meta.labels))
        || mesh.workload_entries.iter().any(|w| fits(&w.labels))
}

/// Hosts whose workloads stand in several clusters, with the subsets routes use and where each exists.
fn routed_version_subsets(
    mesh: &Mesh,
    counts: impl Fn(&Route<'_>) -> bool,
) -> Vec<(Subset<'_>, Host<'_>, Vec<ClusterId>, Vec<ClusterId>)> {
    let mut found = Vec::new();
    let mut told = BTreeSet::new();
    for route in mesh.routes().into_iter().filter(counts) {
        let Some(host) = mesh.host(&route.host) else { continue };
        for subset in mesh.subsets_of_route(&route) {
            let by_pod = subset.pod_labels().next().is_some() && subset.cluster_label().is_none();
            if !by_pod || !told.insert(subset.name.span) {
                continue;
            }
            let all = mesh.clusters_with_backends(host, route.service.cluster);
            let mut has: Vec<ClusterId> =
                subset.backends(mesh, host).iter().map(|w| w.cluster).collect();
            has.dedup();
            let open = host.may_have_more_backends(route.service.cluster);
            if all.len() > 1 && !has.is_empty() && has.len() < all.len() && !open {
                found.push((subset, host, has, all));
            }
        }
    }
    found
}

/// Whether only callers who ask for it, by a header or a parameter, take a route.
fn is_asked_for(route: &Route<'_>) -> bool {
    let asks = |m: &Spanned<HttpMatch>| !m.headers.is_empty() || !m.query_params.is_empty();
    route.rule.is_some_and(|r| !r.matches.is_empty() && r.matches.iter().all(asks))
}

fn version_subset_in_one_cluster(mesh: &Mesh, found: &mut Findings) {
    let is_split = |route: &Route<'_>| {
        !is_asked_for(route) || !route.service.http.iter().any(HttpRoute::is_catch_all)
    };
    for (subset, host, has, all) in routed_version_subsets(mesh, is_split) {
        let [only] = has.as_slice() else { continue };
        let only_name = mesh.cluster_name(*only);
        let others: Vec<&str> =
            all.iter().filter(|c| *c != only).map(|c| mesh.cluster_name(*c)).collect();
        let finding = found.say(
            format!("subset `{}` of `{}` exists in cluster `{only_name}` alone", subset.name, host.short()),
            subset.name.span,
            format!("a share of this subset is a share of cluster `{only_name}`: it fails with the cluster"),
        );
        if let Some(workload) = subset.backends(mesh, host).first() {
            finding.also(workload.named_at(), format!("the only workload, in `{only_name}`"));
        }
        finding.help(format!(
            "deploy it in {} too, or keep it out of routes until it is there",
            list(others)
        ));
    }
}

fn empty_subset_in_cluster(mesh: &Mesh, found: &mut Findings) {
    for (subset, host, has, all) in routed_version_subsets(mesh, |_| true) {
        if has.len() < 2 {
            continue;
        }
        let missing: Vec<&str> =
            all.iter().filter(|c| !has.contains(c)).map(|c| mesh.cluster_name(*c)).collect();
        let there: Vec<&str> = has.iter().map(|c| mesh.cluster_name(*c)).collect();
        found
            .say(
                format!(
                    "subset `{}` of `{}` is empty in {}",
                    subset.name,
                    host.short(),
                    list(missing.iter().copied())
                ),
                subset.name.span,
                format!(
                    "its workloads are in {}: clients elsewhere leave their cluster",
                    list(there)
                ),
            )
            .help("deploy it in each cluster of the host, or accept the way across");
    }
}

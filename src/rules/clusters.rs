//! Clusters: who they are, and where their configuration lives.

mod config;
pub(super) mod containment;
mod exposure;
mod external;
mod identity;
mod injection;
mod installs;
mod ports;
mod remotes;
mod revisions;
mod settings;
mod skew;
mod values;
mod versions;
mod webhooks;

use std::collections::BTreeMap;

use super::{Rule, rule};
use crate::clusters::{Cluster, DEFAULT_NAME};
use crate::finding::Findings;
use crate::mesh::{Drift, Mesh, list};

pub(super) const RULES: &[Rule] = &[
    rule!("clusters/config-drift", config_drift),
    rule!("clusters/duplicate-cluster-name", duplicate_cluster_name),
    rule!("clusters/webhook-address-is-ip", webhooks::webhook_address_is_ip),
    rule!("clusters/webhook-without-address", webhooks::webhook_without_address),
    rule!("clusters/cluster-name-shadowed", identity::cluster_name_shadowed),
    rule!("clusters/control-plane-annotation-missing", remotes::control_plane_annotation_missing),
    rule!("clusters/control-plane-annotation-unknown", remotes::control_plane_annotation_unknown),
    rule!("clusters/control-plane-version-skew", versions::control_plane_version_skew),
    rule!("clusters/default-cluster-name", identity::default_cluster_name),
    rule!("clusters/external-cp-webhook-url", injection::external_cp_webhook_url),
    rule!("clusters/injection-path-wrong", injection::injection_path_wrong),
    rule!("clusters/istio-cr-in-remote", remotes::istio_cr_in_remote),
    rule!(
        "clusters/istiod-single-replica-in-multicluster",
        versions::istiod_single_replica_in_multicluster
    ),
    rule!("clusters/legacy-multicluster-values", values::legacy_multicluster_values),
    rule!(
        "clusters/multi-primary-with-remotes-secret-gap",
        access: remotes::multi_primary_with_remotes_secret_gap
    ),
    rule!("clusters/primary-not-external-istiod", remotes::primary_not_external_istiod),
    rule!("clusters/remote-pilot-hostname-webhook", injection::remote_pilot_hostname_webhook),
    rule!("clusters/remote-timeout-disabled", values::remote_timeout_disabled),
    rule!("clusters/remote-without-primary", remotes::remote_without_primary),
    rule!("clusters/removed-profile-or-chart", values::removed_profile_or_chart),
    rule!("clusters/revision-unknown-in-cluster", revisions::revision_unknown_in_cluster),
    rule!("clusters/single-control-plane", versions::single_control_plane),
    rule!("clusters/system-namespace-differs", remotes::system_namespace_differs),
    rule!(
        "clusters/cr-namespace-missing-in-config-cluster",
        config::cr_namespace_missing_in_config_cluster
    ),
    rule!("clusters/discovery-selectors-hide-remote", config::discovery_selectors_hide_remote),
    rule!("clusters/short-host-in-multicluster-cr", config::short_host_in_multicluster_cr),
    rule!("clusters/exposed-istiod-revision-mismatch", exposure::exposed_istiod_revision_mismatch),
    rule!("clusters/istiod-not-exposed", exposure::istiod_not_exposed),
    rule!("clusters/remote-runs-own-istiod", exposure::remote_runs_own_istiod),
    rule!("clusters/cluster-dir-name-differs", identity::cluster_dir_name_differs),
    rule!("clusters/external-cp-address-mismatch", external::external_cp_address_mismatch),
    rule!("clusters/external-cp-cluster-id", external::external_cp_cluster_id),
    rule!(
        "clusters/external-cp-kubeconfig-missing",
        access: external::external_cp_kubeconfig_missing
    ),
    rule!(
        "clusters/external-cp-secret-in-wrong-cluster",
        access: external::external_cp_secret_in_wrong_cluster
    ),
    rule!("clusters/injector-template-value-drift", settings::injector_template_value_drift),
    rule!("clusters/istiod-endpoints-without-port", ports::istiod_endpoints_without_port),
    rule!("clusters/istiod-service-without-port", ports::istiod_service_without_port),
    rule!("clusters/mesh-id-mismatch", settings::mesh_id_mismatch),
    rule!("clusters/gateway-revision-mismatch", revisions::gateway_revision_mismatch),
    rule!("clusters/revision-tag-points-differently", revisions::revision_tag_points_differently),
];

fn duplicate_cluster_name(mesh: &Mesh, found: &mut Findings) {
    for clusters in mesh.meshes() {
        let mut named: BTreeMap<&str, Vec<&Cluster>> = BTreeMap::new();
        for cluster in clusters {
            // That it has no name of its own is another rule's.
            if let Some(name) = cluster.istio_name().filter(|n| n.as_str() != DEFAULT_NAME) {
                named.entry(name).or_default().push(cluster);
            }
        }
        for (name, clusters) in named.into_iter().filter(|(_, clusters)| clusters.len() > 1) {
            let places: Vec<_> =
                clusters.iter().filter_map(|c| Some((*c, c.istio_name()?.span))).collect();
            let [(first, at), others @ ..] = places.as_slice() else { continue };
            // One text for all of them is a base that each is still to fill in, unless another cluster has
            // got another name out of it.
            let filled =
                |c: &Cluster| c.istio_name().is_some_and(|n| n.span == *at && n.as_str() != name);
            if others.iter().all(|(_, other)| other == at) && !mesh.clusters().iter().any(filled) {
                continue;
            }
            let all = list(clusters.iter().map(|c| c.name.as_str()));
            let finding = found.say(
                format!("clusters {all} all call themselves `{name}`"),
                *at,
                format!("the name of `{}`", first.name),
            );
            for (cluster, at) in others {
                finding.also(
                    *at,
                    format!("and of `{}`: its endpoints never appear in the other", cluster.name),
                );
            }
            finding.help("give each cluster its own `global.multiCluster.clusterName`");
        }
    }
}

/// How many further differences of one object are shown.
const LABELLED: usize = 3;

fn config_drift(mesh: &Mesh, found: &mut Findings) {
    for drift in mesh.drifts() {
        match drift {
            Drift::Missing { object, without } => {
                let (kind, name) = (object.meta.kind.as_str(), object.meta.name.as_str());
                let with = mesh.cluster_name(object.cluster);
                let others = list(without.iter().map(|c| c.name.as_str()));
                found
                    .say(
                        format!("{kind} `{name}` is in `{with}` and not in {others}"),
                        object.named_at(),
                        format!(
                            "proxies in {others} never see it: each primary reads its own cluster"
                        ),
                    )
                    .help(format!(
                        "apply it in {others} too, best from one base for all primaries"
                    ));
            }
            Drift::Differs { one, other, first, more } => {
                let (kind, name) = (one.meta.kind.as_str(), one.meta.name.as_str());
                let (a, b) = (mesh.cluster_name(one.cluster), mesh.cluster_name(other.cluster));
                let nothing = || "nothing".to_owned();
                let [left, right] = first.sides.map(|side| side.shown().unwrap_or_else(nothing));
                let further = more.iter().take(LABELLED).flat_map(|d| d.sides.map(|side| side.at));
                let count = match more.len() {
                    0 => String::new(),
                    1 => " (and in one more field)".to_owned(),
                    n => format!(" (and in {n} more fields)"),
                };
                let path = if first.path.is_empty() { "spec" } else { first.path.as_str() };
                let finding = found.say(
                    format!("{kind} `{name}` differs between `{a}` and `{b}` in `{path}`{count}"),
                    first.sides[1].at,
                    format!("{right} in `{b}`"),
                );
                finding.also(first.sides[0].at, format!("{left} in `{a}`"));
                for at in further {
                    finding.also(at, "differs too");
                }
                finding.help("what a request meets depends on where it comes from: keep one base for all primaries");
            }
        }
    }
}

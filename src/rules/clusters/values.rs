//! Values that Istio does not read any more, or that it takes at its word.

use crate::api::nanoseconds;
use crate::clusters::{Cluster, Installed};
use crate::finding::{Findings, Severity};
use crate::kinds::is_placeholder;
use crate::mesh::{Mesh, list};
use crate::rules::SHOWN;
use crate::source::Span;

/// The version that came without the profile `external` and the chart `istiod-remote`.
const WITHOUT: (u32, u32) = (1, 24);

/// From this version on at the latest no chart reads them.
const UNREAD: (u32, u32) = (1, 20);

/// Whether somebody believes in a value: not in one that is off or empty, as dumps of all defaults have it.
fn sets_something(text: &str) -> bool {
    let text = text.trim();
    let is_mapping = text.contains(':') || text.starts_with('{');
    !matches!(text, "" | "false" | "\"\"" | "''" | "null" | "~" | "{}")
        && (!is_mapping || text.contains("true"))
}

/// Each text that installs something once, with a cluster that has it.
fn texts(mesh: &Mesh) -> Vec<(&Cluster, &Installed)> {
    let mut seen: Vec<Span> = Vec::new();
    let all = mesh.clusters().iter().flat_map(|c| c.facts.installs.iter().map(move |i| (c, i)));
    all.filter(|(_, i)| {
        let span = i.meta.as_ref().map(|meta| meta.span);
        let is_new = span.is_none_or(|span| !seen.contains(&span));
        seen.extend(span);
        is_new
    })
    .collect()
}

pub(super) fn legacy_multicluster_values(mesh: &Mesh, found: &mut Findings) {
    let mut told: Vec<Span> = Vec::new();
    for (cluster, install) in texts(mesh) {
        // Where the version is told, it may be one that still read them.
        let told_version = install.install.tag.as_ref().or(install.values().global.tag.as_ref());
        let version =
            told_version.or(install.chart_version.as_ref()).and_then(|v| crate::api::version(v));
        if version.or(cluster.runs().map(|(version, _)| version)).is_some_and(|v| v < UNREAD) {
            continue;
        }
        let global = &install.values().global;
        let multi = &global.multi_cluster;
        let all = [
            ("global.multiCluster.enabled", &multi.enabled),
            ("global.multiCluster.globalDomainSuffix", &multi.global_domain_suffix),
            ("global.multiCluster.includeEnvoyFilter", &multi.include_envoy_filter),
            ("global.meshExpansion", &global.mesh_expansion),
            ("global.centralIstiod", &global.central_istiod),
            ("global.controlPlaneSecurityEnabled", &global.control_plane_security_enabled),
        ];
        let set = all.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?.span)));
        let mut here = set.filter(|(_, at)| sets_something(mesh.raw(*at)));
        let here: Vec<(&str, Span)> = here.by_ref().filter(|(_, at)| !told.contains(at)).collect();
        told.extend(here.iter().map(|(_, at)| *at));
        let [(_, at), more @ ..] = here.as_slice() else { continue };
        let keys = list(here.iter().map(|(key, _)| *key));
        let (does, is) = if more.is_empty() { ("does", "it is") } else { ("do", "they are") };
        let finding = found.say(
            format!("{keys} {does} nothing any more"),
            *at,
            format!("no chart reads `{}`", here[0].0),
        );
        for (key, at) in more.iter().take(SHOWN) {
            finding.also(*at, format!("nor `{key}`"));
        }
        finding.help(if here.iter().any(|(key, _)| *key == "global.trustDomain") {
            "drop it; the trust domain is `meshConfig.trustDomain`".to_owned()
        } else {
            format!("drop what {is} not to mislead; what clusters need today is remote secrets and east-west gateways")
        });
    }
}

pub(super) fn removed_profile_or_chart(mesh: &Mesh, found: &mut Findings) {
    for (cluster, install) in texts(mesh) {
        let chart_version = install.chart_version.as_ref().and_then(|v| crate::api::version(v));
        let Some(version) = chart_version.or_else(|| cluster.runs().map(|(version, _)| version))
        else {
            continue;
        };
        if version < WITHOUT {
            continue;
        }
        let profile = install.profile().filter(|p| p.as_str() == "external");
        // A chart in Git (`./charts/istiod-remote`) is somebody's own.
        let chart = install.chart.as_ref().filter(|chart| {
            install.chart_name() == Some("istiod-remote") && !chart.starts_with('.')
        });
        let (major, minor) = version;
        let (at, what, instead) = match (profile, chart) {
            (Some(profile), _) => (profile.span, "profile `external`", "profile `remote`"),
            (None, Some(chart)) => {
                (chart.span, "chart `istiod-remote`", "chart `istiod` with `profile: remote`")
            }
            (None, None) => continue,
        };
        let finding = found.say(
            format!("Istio {major}.{minor} has no {what}"),
            at,
            "gone since 1.24: the installation fails, or stays what it was",
        );
        if profile.is_none() {
            finding.milder(Severity::Warning, ", unless it is one of your own");
        }
        finding.help(format!("use {instead}"));
    }
}

/// How long istiod may wait for remote clusters before that is worth a word: two minutes, in nanoseconds.
const LONG: i128 = 120_000_000_000;

pub(super) fn remote_timeout_disabled(mesh: &Mesh, found: &mut Findings) {
    let mut told: Vec<Span> = Vec::new();
    for cluster in mesh.clusters() {
        let Some(value) = cluster.facts.istiod_env("PILOT_REMOTE_CLUSTER_TIMEOUT") else {
            continue;
        };
        if is_placeholder(value) || told.contains(&value.span) {
            continue;
        }
        told.push(value.span);
        let Some(waits) = nanoseconds(value) else { continue };
        let name = &cluster.name;
        if waits <= 0 {
            found
                .say(
                    format!("istiod of `{name}` waits for its remote clusters for ever"),
                    value.span,
                    "one API server that is down, and no istiod gets ready after a restart",
                )
                .help("leave it at its default of 30 seconds");
        } else if waits > LONG {
            found
                .say(
                    format!(
                        "istiod of `{name}` gets ready only after {value} where a remote cluster is down"
                    ),
                    value.span,
                    "longer than two minutes: no new pod gets a sidecar meanwhile",
                )
                .help("leave it at its default of 30 seconds")
                .lower(Severity::Warning);
        }
    }
}

//! What keeps the failure of one cluster from spreading, and lets somebody notice it.

use crate::access::{Access, OF_CLUSTERS};
use crate::finding::Findings;
use crate::kinds::monitoring::AlertRules;
use crate::mesh::{In, Mesh, list};
use crate::rules::{Rule, rule};

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("clusters/gitops-generator-same-destination", gitops_generator_same_destination),
    rule!("clusters/no-remote-sync-alert", access: no_remote_sync_alert),
];

/// How metrics of Istio's control plane and proxies begin.
const OF_ISTIO: [&str; 6] = ["istio_", "istiod_", "pilot_", "citadel_", "galley_", "envoy_"];

/// How many further places one finding points at.
const SHOWN: usize = 5;

fn gitops_generator_same_destination(mesh: &Mesh, found: &mut Findings) {
    for same in mesh.one_servers() {
        let [(first, at), others @ ..] = same.clusters.as_slice() else { continue };
        let names = list(same.clusters.iter().map(|(name, _)| name.as_str()));
        let Some((other, other_at)) = others.iter().find(|(name, _)| name != first) else {
            continue;
        };
        found
            .say(
                format!("ApplicationSet `{}` brings {names} to one API server", same.set.as_str()),
                *other_at,
                format!("`{other}` is the cluster of `{first}`: what comes last is there"),
            )
            .also(*at, format!("`{first}` has the same address"))
            .help("give each element the address of its own cluster, as `argocd cluster list` shows it");
    }
}

fn no_remote_sync_alert(access: &Access<'_>, found: &mut Findings) {
    let mesh = access.mesh();
    for clusters in mesh.meshes().into_iter().filter(|clusters| clusters.len() > 1) {
        let here = |id| clusters.iter().any(|c| c.id == id);
        let reads: Vec<_> = access.remotes().iter().filter(|r| here(r.holder)).collect();
        let rules = || mesh.alert_rules.iter().filter(|rules| here(rules.cluster));
        let is_open = clusters.iter().any(|c| mesh.may_bring(c.id, "PrometheusRule"))
            || rules().any(|rules| mesh.is_assumed(&rules.meta) || !rules.meta.unread.is_empty());
        let watches = |rules: &In<AlertRules>| {
            let mut names = OF_CLUSTERS.iter().map(|metric| metric.name);
            names.any(|name| rules.expressions().any(|expr| expr.contains(name)))
        };
        // Alerts on Istio that are kept elsewhere may have these too.
        let mut of_istio = rules().filter(|rules| is_of_istio(rules));
        let Some(first) = of_istio.next() else { continue };
        if reads.is_empty() || is_open || rules().any(watches) {
            continue;
        }
        let finding = found.say(
            "nothing alerts where istiod loses sight of another cluster",
            first.named_at(),
            "has alerts on Istio, none on the API servers that istiod reads",
        );
        for remote in reads.into_iter().take(SHOWN) {
            finding.also(remote.at, "its endpoints go stale unseen when that API server is silent");
        }
        finding.help(
            "alert on `sum by (cluster) (rate(controller_sync_errors_total[5m])) > 0` and \
             `increase(remote_cluster_sync_timeouts_total[15m]) > 0`, for each istiod",
        );
    }
}

fn is_of_istio(rules: &In<AlertRules>) -> bool {
    let is_word = |text: &str, at: usize| {
        !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
    };
    rules.expressions().any(|expr| {
        let mut begins = OF_ISTIO.iter().flat_map(|word| expr.match_indices(word));
        begins.any(|(at, _)| is_word(expr, at))
    })
}

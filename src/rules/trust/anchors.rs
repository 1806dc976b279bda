//! Do the further roots that MeshConfig lists reach the proxies?

use super::super::{Rule, rule};
use crate::clusters::{Cluster, is_on};
use crate::finding::{Findings, Severity};
use crate::kinds::control_plane::CaCertificate;
use crate::kinds::is_placeholder;
use crate::mesh::Mesh;
use crate::source::{Span, Text};
use crate::trust::{CaMaterial, Fault, Trust, asks_for_roots, certificates_of};

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("trust/ca-certificates-invalid-entry", trust: ca_certificates_invalid_entry),
    rule!("trust/ca-certificates-without-multiroot", trust: ca_certificates_without_multiroot),
    rule!("trust/spiffe-bundle-url-insecure", trust: spiffe_bundle_url_insecure),
];

/// Clusters with `caCertificates` in their MeshConfig, each text once.
fn listed<'m>(trust: &Trust<'m>) -> Vec<(&'m Cluster, Vec<&'m CaCertificate>)> {
    let mut told: Vec<Span> = Vec::new();
    let mut all = Vec::new();
    for cluster in trust.mesh.clusters() {
        let entries: Vec<&CaCertificate> =
            cluster.facts.mesh_config.iter().flat_map(|c| &c.ca_certificates).collect();
        let Some(at) = entries.iter().find_map(|entry| span_of(entry)) else { continue };
        if !told.contains(&at) {
            told.push(at);
            all.push((cluster, entries));
        }
    }
    all
}

fn span_of(entry: &CaCertificate) -> Option<Span> {
    entry.pem.as_ref().or(entry.spiffe_bundle_url.as_ref()).map(|text| text.span)
}

fn ca_certificates_without_multiroot(trust: &Trust<'_>, found: &mut Findings) {
    for (cluster, entries) in listed(trust) {
        // Roots of signers are used by istiod itself.
        let mut plain = entries.iter().filter(|entry| entry.cert_signers.is_empty());
        let Some(at) = plain.find_map(|entry| span_of(entry)) else { continue };
        let facts = &cluster.facts;
        let told = facts.istiod_env("ISTIO_MULTIROOT_MESH");
        let open = told.is_some_and(|told| is_placeholder(told));
        if open || (facts.istiod_env.is_empty() && is_rendered(trust.mesh, cluster, at)) {
            continue;
        }
        let asked = facts.mesh_config.iter().any(asks_for_roots);
        let Some((message, label, help)) = what_lacks(facts.multiple_roots, asked) else {
            continue;
        };
        let message = format!("the `caCertificates` of `{}` are {message}", cluster.name);
        let finding = found.say(message, at, label);
        if let Some(told) = told.filter(|told| !is_on(told)) {
            finding.also(told.span, "switched off here");
        }
        finding.help(help);
    }
}

/// What keeps listed roots from proxies, at which end, and how to mend it.
fn what_lacks(
    handed_out: bool,
    asked_for: bool,
) -> Option<(&'static str, &'static str, &'static str)> {
    Some(match (handed_out, asked_for) {
        (true, true) => return None,
        (false, false) => (
            "neither handed out by istiod nor asked for by proxies",
            "istiod passes this over without `ISTIO_MULTIROOT_MESH`, proxies without `PROXY_CONFIG_XDS_AGENT`",
            "set `pilot.env.ISTIO_MULTIROOT_MESH: \"true\"` and \
             `meshConfig.defaultConfig.proxyMetadata.PROXY_CONFIG_XDS_AGENT: \"true\"`",
        ),
        (false, true) => (
            "not handed out by istiod",
            "istiod passes this over without `ISTIO_MULTIROOT_MESH`",
            "set `pilot.env.ISTIO_MULTIROOT_MESH: \"true\"`",
        ),
        (true, false) => (
            "not asked for by proxies",
            "proxies do not ask for this without `PROXY_CONFIG_XDS_AGENT`",
            "set `meshConfig.defaultConfig.proxyMetadata.PROXY_CONFIG_XDS_AGENT: \"true\"`",
        ),
    })
}

/// Whether it stands in the ConfigMap of a cluster, of whose istiod it tells nothing.
fn is_rendered(mesh: &Mesh, cluster: &Cluster, at: Span) -> bool {
    let mut maps = mesh.config_maps.of_cluster(cluster.id).iter();
    maps.any(|map| map.meta.span.contains(at))
}

fn ca_certificates_invalid_entry(trust: &Trust<'_>, found: &mut Findings) {
    for (cluster, entries) in listed(trust) {
        let pems: Vec<(&Text, CaMaterial)> = entries
            .iter()
            .filter_map(|entry| entry.pem.as_ref())
            .map(|pem| (pem, certificates_of(trust.mesh, pem)))
            .collect();
        let mut bad = pems.iter().filter_map(|(pem, read)| is_no_anchor(pem, read));
        if let Some((at, why)) = bad.next() {
            let finding = found.say(
                format!("istiod takes none of the `caCertificates` of `{}`", cluster.name),
                at,
                format!("{why}: for one bad entry istiod discards all"),
            );
            for (at, why) in bad {
                finding.also(at, why);
            }
            finding.help("let each `pem` begin with the certificate of a CA");
        }
        let expired = pems.iter().flat_map(|(_, read)| &read.roots);
        let mut expired = expired.filter(|root| root.not_after < trust.now());
        if let Some(first) = expired.next() {
            let finding = found.say(
                format!(
                    "`caCertificates` of `{}` list a root that is expired; the others are handed out",
                    cluster.name
                ),
                first.span,
                format!(
                    "`{}` expired on {}: what it signed is refused",
                    first.subject, first.not_after
                ),
            );
            for other in expired {
                finding.also(other.span, format!("expired on {}", other.not_after));
            }
            finding.help("take it out, or list what it was renewed by").lower(Severity::Warning);
        }
    }
}

/// Why istiod refuses an entry; it looks at the first block only.
fn is_no_anchor(pem: &Text, read: &CaMaterial) -> Option<(Span, String)> {
    if read.unseen.contains(&"root-cert.pem") || is_placeholder(pem) {
        return None;
    }
    match (read.roots.first(), read.problems.first()) {
        (None, Some(problem)) => Some((problem.span, problem.fault.to_string())),
        (None, None) => Some((pem.span, Fault::NotPem.to_string())),
        (Some(first), _) if !first.is_ca => {
            Some((first.span, format!("`{}` is not a CA", first.subject)))
        }
        _ => None,
    }
}

fn spiffe_bundle_url_insecure(trust: &Trust<'_>, found: &mut Findings) {
    for (cluster, entries) in listed(trust) {
        for entry in entries {
            let Some(url) = entry.spiffe_bundle_url.as_ref().filter(|url| !is_placeholder(url))
            else {
                continue;
            };
            let plain = url.starts_with("http://");
            if !plain && !entry.trust_domains.is_empty() {
                continue;
            }
            let (why, help) = if plain {
                ("whoever stands between can hand out a root of his own", "serve it by `https`")
            } else {
                (
                    "its roots are taken for every trust domain",
                    "say under `trustDomains` for which they are",
                )
            };
            found
                .say(
                    format!("`{}` fetches roots that anybody may have made", cluster.name),
                    url.span,
                    why,
                )
                .help(help);
        }
    }
}

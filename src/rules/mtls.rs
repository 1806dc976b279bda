//! mTLS: TLS between workloads and towards the outside.

mod peers;
mod refused;

use std::collections::BTreeSet;

use super::{Rule, rule};
use crate::finding::{Finding, Findings, Severity};
use crate::kinds::is_placeholder;
use crate::kinds::networking::{ClientTls, DestinationRule, TrafficPolicy};
use crate::mesh::{HostPattern, In, Mesh, fqdn, value};
use crate::source::{Span, Spanned};

pub(super) const RULES: &[Rule] = &[
    rule!("mtls/refused-by-server", policies: refused::refused_by_server),
    rule!("mtls/selects-no-workload", peers::selects_no_workload),
    rule!("mtls/server-not-verified", server_not_verified),
    rule!("mtls/several-for-namespace", peers::several_for_namespace),
    rule!("mtls/workload-selected-twice", peers::workload_selected_twice),
];

/// From this version on, proxies verify against the certificates of the system where nothing else is told.
const VERIFIES: (u32, u32) = (1, 21);

/// The TLS settings of a policy, for all ports and for single ones.
fn settings(policy: &TrafficPolicy) -> impl Iterator<Item = &Spanned<ClientTls>> {
    let ports = policy.port_level_settings.iter();
    policy.tls.iter().chain(ports.filter_map(|p| p.tls.as_ref()))
}

fn all_settings(rule: &In<DestinationRule>) -> impl Iterator<Item = &Spanned<ClientTls>> {
    let subsets = rule.subsets.iter().filter_map(|s| s.traffic_policy.as_ref());
    rule.traffic_policy.iter().chain(subsets).flat_map(|policy| settings(&policy.value))
}

/// Where a setting keeps a proxy from verifying the server, and whether it says so itself.
fn unverified(tls: &ClientTls) -> Option<(Span, bool)> {
    let mode = tls.mode.as_ref().filter(|m| ["SIMPLE", "MUTUAL"].contains(&m.as_str()))?;
    if let Some(skip) = tls.insecure_skip_verify.as_ref().filter(|skip| skip.value) {
        return Some((skip.span, true));
    }
    let told = |text: Option<&crate::source::Text>| {
        value(text).is_some_and(|text| !text.is_empty() || is_placeholder(text))
    };
    let by_secret = told(tls.credential_name.as_ref());
    (!told(tls.ca_certificates.as_ref()) && !by_secret).then_some((mode.span, false))
}

/// Where a setting has its certificates in a Secret, which sidecars may not read.
/// Source: `cluster_tls.go`, `buildUpstreamClusterTLSContext`.
fn by_secret(tls: &ClientTls) -> Option<Span> {
    let is_of_mode = |mode: &str| ["SIMPLE", "MUTUAL"].contains(&mode);
    value(tls.mode.as_ref()).filter(|mode| is_of_mode(mode))?;
    let name = tls.credential_name.as_ref()?;
    let is_secret = value(Some(name)).is_some_and(|it| !it.is_empty() && !it.contains("://"));
    is_secret.then_some(name.span)
}

/// Without a `workloadSelector` a rule is for all sidecars too, which get no TLS from it.
fn for_gateways_only(mesh: &Mesh, found: &mut Findings) {
    let routes: Vec<_> =
        mesh.routes().into_iter().filter(|r| r.service.is_for_gateways()).collect();
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for rule in mesh.destination_rules.iter().filter(|r| !r.meta.is_filled_in) {
        let Some(host) = value(rule.host.as_ref()).filter(|_| rule.workload_selector.is_none())
        else {
            continue;
        };
        let mut places = all_settings(rule).filter_map(|tls| by_secret(&tls.value));
        let Some(first) = places.next() else { continue };
        let full = fqdn(host, &rule.namespace);
        let is_of_gateways = routes.iter().any(|r| HostPattern(&full).matches(&r.host));
        if is_of_gateways || !told.insert(first) {
            continue;
        }
        let finding = found.say(
            format!(
                "sidecars send plaintext to `{host}`: only gateways read the Secret of its TLS"
            ),
            first,
            "sidecars are not given this Secret",
        );
        for other in places {
            finding.also(other, "nor this one");
        }
        finding.milder(Severity::Note, ", and perhaps only they send there").help(
            "add a `workloadSelector` for the workloads that may read it, or name files in `caCertificates`",
        );
    }
}

fn server_not_verified(mesh: &Mesh, found: &mut Findings) {
    for_gateways_only(mesh, found);
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for rule in mesh.destination_rules.iter().filter(|r| !r.meta.is_filled_in) {
        let runs = mesh.cluster(rule.cluster).runs().map(|(version, _)| version);
        let host = value(rule.host.as_ref()).unwrap_or("its host");
        let all: Vec<(Span, bool)> =
            all_settings(rule).filter_map(|tls| unverified(&tls.value)).collect();
        for explicit in [true, false] {
            let mut places = all.iter().filter(|(_, e)| *e == explicit).map(|(at, _)| *at);
            let Some(first) = places.next().filter(|at| told.insert(*at)) else { continue };
            if !explicit && runs.is_some_and(|version| version >= VERIFIES) {
                continue;
            }
            let finding = say(host, first, explicit, runs.is_some(), found);
            for other in places {
                finding.also(other, "nor by this one");
            }
        }
    }
}

fn say<'f>(
    host: &str,
    at: Span,
    explicit: bool,
    is_old: bool,
    found: &'f mut Findings,
) -> &'f mut Finding {
    let (message, label, help) = if explicit {
        (
            format!("proxies take any certificate from `{host}`"),
            "whoever answers in its place is believed",
            "name the certificates that vouch for it in `caCertificates`, and take this away",
        )
    } else {
        (
            format!("TLS to `{host}` names no `caCertificates`"),
            "the server's certificate is not verified",
            "set `caCertificates`, `system` for those of the image, and `subjectAltNames`",
        )
    };
    let finding = found.say(message, at, label);
    if !explicit && !is_old {
        finding.milder(Severity::Note, ": before Istio 1.21 any certificate is taken");
    }
    finding.help(help)
}

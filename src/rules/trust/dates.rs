//! How long do CAs last, and does what they sign fit into that time?

use std::collections::BTreeMap;

use super::super::{Rule, rule};
use super::texts::{Places, clusters, what};
use crate::api::seconds;
use crate::clusters::{Cluster, ClusterId};
use crate::finding::{Finding, Findings, Severity};
use crate::kinds::core::Secret;
use crate::mesh::{In, Mesh};
use crate::source::Text;
use crate::trust::{Certificate, Digest, Origin, Signer, Time, Trust, in_use};

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("trust/ca-expired", trust: ca_expired),
    rule!("trust/ca-expiring", trust: ca_expiring),
    rule!("trust/ca-outlives-root", trust: ca_outlives_root),
    rule!("trust/workload-ttl-exceeds-ca", trust: workload_ttl_exceeds_ca),
];

/// Days before the end of a root's and of another CA's validity at which to speak.
const ROOT_DAYS: i64 = 365;
const CA_DAYS: i64 = 90;
/// The longest life that istiod gives a workload's certificate where `MAX_WORKLOAD_CERT_TTL` is not set.
const MOST_HOURS: i64 = 2160;
/// The life that proxies ask for where `SECRET_TTL` is not set.
const ASKED_HOURS: i64 = 24;

/// Certificates that a test picks out, each once, with everywhere it stands.
fn certificates_that(
    trust: &Trust<'_>,
    wanted: impl Fn(&Certificate) -> bool,
) -> Vec<(Certificate, Places)> {
    let mut by_print: BTreeMap<Digest, (Certificate, Places)> = BTreeMap::new();
    for found in trust.cas().iter().filter(|f| !trust.is_idle(f)) {
        for certificate in in_use(&found.ca, trust.now()).into_iter().filter(&wanted) {
            let places = &mut by_print
                .entry(certificate.fingerprint)
                .or_insert_with(|| (certificate.clone(), Vec::new()))
                .1;
            places.push((found.cluster, certificate.span));
        }
    }
    by_print.into_values().collect()
}

fn ca_expired(trust: &Trust<'_>, found: &mut Findings) {
    let now = trust.now();
    for (certificate, places) in certificates_that(trust, |c| !c.is_valid_at(now)) {
        let when = if certificate.not_after < now {
            format!("expired on {}", certificate.not_after)
        } else {
            format!("is not valid before {}", certificate.not_before)
        };
        say_dates(trust.mesh, found, &certificate, &places, &when);
    }
}

fn ca_expiring(trust: &Trust<'_>, found: &mut Findings) {
    let now = trust.now();
    let days = |c: &Certificate| if c.is_self_signed() { ROOT_DAYS } else { CA_DAYS };
    let soon = |c: &Certificate| c.is_valid_at(now) && now.days_until(c.not_after) < days(c);
    for (certificate, places) in certificates_that(trust, soon) {
        let left = now.days_until(certificate.not_after);
        let renewed = places.iter().all(|(cluster, _)| renews(trust.mesh, *cluster));
        let when = format!(
            "expires on {}, in {left} days{}",
            certificate.not_after,
            if renewed { ", unless cert-manager renews it" } else { "" }
        );
        if let Some(finding) = say_dates(trust.mesh, found, &certificate, &places, &when)
            && renewed
        {
            finding.lower(Severity::Note);
        }
    }
}

/// Whether cert-manager keeps the Secret `cacerts` of a cluster.
fn renews(mesh: &Mesh, cluster: ClusterId) -> bool {
    let namespace = mesh.cluster(cluster).facts.system_namespace();
    let kept = |s: &&In<Secret>| {
        s.name() == "cacerts" && s.meta.annotation("cert-manager.io/certificate-name").is_some()
    };
    mesh.secrets.of_namespace(cluster, namespace).find(kept).is_some()
}

fn say_dates<'f>(
    mesh: &Mesh,
    found: &'f mut Findings,
    certificate: &Certificate,
    places: &Places,
    when: &str,
) -> Option<&'f mut Finding> {
    let (first, at) = places.first()?;
    let finding = found.say(
        format!("the {} of {} {when}", what(certificate), clusters(mesh, places)),
        *at,
        format!("{} of `{}`", certificate.subject, mesh.cluster_name(*first)),
    );
    for (cluster, span) in &places[1..] {
        finding.also(*span, format!("the same in `{}`", mesh.cluster_name(*cluster)));
    }
    finding.help(if certificate.is_self_signed() {
        "renew it with the same key, or rotate: both roots everywhere, then the new signer, then the old root out"
    } else {
        "let what signed it sign another, and put that into ca-cert.pem and in the place of the old one in \
         cert-chain.pem: roots stay as they are"
    });
    Some(finding)
}

/// Certificates that end before others that they signed, with these and the clusters that use them.
fn outlived(trust: &Trust<'_>) -> Vec<(Certificate, Vec<(ClusterId, Certificate)>)> {
    let mut found: Vec<(Certificate, Vec<(ClusterId, Certificate)>)> = Vec::new();
    for ca in trust.unique() {
        let path = in_use(&ca.ca, trust.now());
        for pair in path.windows(2) {
            let [below, above] = pair else { continue };
            if below.issuer != above.subject || below.not_after <= above.not_after {
                continue;
            }
            let at = found.iter().position(|(known, _)| known == above).unwrap_or_else(|| {
                found.push((above.clone(), Vec::new()));
                found.len() - 1
            });
            if found[at].1.iter().all(|(_, known)| known != below) {
                found[at].1.push((ca.cluster, below.clone()));
            }
        }
    }
    found
}

fn ca_outlives_root(trust: &Trust<'_>, found: &mut Findings) {
    for (above, signed) in outlived(trust) {
        let places: Places = signed.iter().map(|(cluster, c)| (*cluster, c.span)).collect();
        let of = clusters(trust.mesh, &places);
        let what = what(&above);
        let (first, others) = (&signed[0].1, &signed[1..]);
        let message = match others {
            [] => format!("the CA of {of} outlives the {what} that signed it"),
            _ => format!("the CAs of {of} outlive the {what} that signed them"),
        };
        let valid = |c: &Certificate| format!("valid until {}", c.not_after);
        let finding = found.say(message, first.span, valid(first));
        finding.also(above.span, format!("ends on {}, and all below it with it", above.not_after));
        for (_, other) in others {
            finding.also(other.span, valid(other));
        }
        finding.help(format!("renew the {what} first, or plan with its end"));
    }
}

fn workload_ttl_exceeds_ca(trust: &Trust<'_>, found: &mut Findings) {
    for cluster in trust.mesh.clusters() {
        let signer = trust.signer(cluster.id);
        if signer.is_foreign() || matches!(signer, Signer::Remote(_)) {
            continue;
        }
        let env = |name: &str| cluster.facts.istiod_env(name);
        let wishes = asked_by_proxies(cluster);
        match (env("MAX_WORKLOAD_CERT_TTL"), wishes.as_slice()) {
            (Some(most), []) => less_than_a_day(found, &cluster.name, most),
            (most, wishes) => {
                wishes.iter().for_each(|wish| more_than_signed(found, &cluster.name, wish, most));
            }
        }
        let given = env("DEFAULT_WORKLOAD_CERT_TTL").into_iter().chain(wishes);
        given.for_each(|ttl| past_ca(trust, found, cluster.id, ttl));
    }
}

/// `SECRET_TTL` of proxies, wherever a MeshConfig of the cluster sets it.
fn asked_by_proxies(cluster: &Cluster) -> Vec<&Text> {
    let configs = cluster.facts.mesh_config.iter();
    configs.filter_map(|c| c.default_config.proxy_metadata.get("SECRET_TTL")).collect()
}

/// Proxies ask for a day where nothing else is told.
fn less_than_a_day(found: &mut Findings, cluster: &str, most: &Text) {
    if seconds(most).is_none_or(|most| most <= 0 || most >= ASKED_HOURS * 3600) {
        return;
    }
    found
        .say(
            format!("proxies of `{cluster}` ask for certificates that istiod does not sign"),
            most.span,
            format!(
                "at most `{most}` is signed, and proxies ask for `{ASKED_HOURS}h`: they get none"
            ),
        )
        .help("set `SECRET_TTL` in `meshConfig.defaultConfig.proxyMetadata` to no more than that");
}

fn more_than_signed(found: &mut Findings, cluster: &str, wish: &Text, most: Option<&Text>) {
    let limit = most.map_or(Some(MOST_HOURS * 3600), |most| seconds(most));
    if seconds(wish).zip(limit).is_none_or(|(wish, most)| wish <= most) {
        return;
    }
    let told = most.map_or_else(|| format!("{MOST_HOURS}h"), ToString::to_string);
    let finding = found.say(
        format!("proxies of `{cluster}` ask for certificates that istiod does not sign"),
        wish.span,
        format!("`{wish}`, and at most `{told}` is signed: they get none"),
    );
    if let Some(most) = most {
        finding.also(most.span, "the most that istiod signs");
    }
    finding.help("lower `SECRET_TTL`, or raise `MAX_WORKLOAD_CERT_TTL` of istiod");
}

/// A life that reaches past the end of the CA is cut there.
fn past_ca(trust: &Trust<'_>, found: &mut Findings, cluster: ClusterId, ttl: &Text) {
    let Some(ca) = trust.ca_of(cluster).filter(|f| f.ca.origin != Origin::RootConfigMap) else {
        return;
    };
    let Some(life) = seconds(ttl).filter(|life| *life > 0) else { return };
    let path = in_use(&ca.ca, trust.now());
    let Some(first) = path.iter().min_by_key(|c| c.not_after) else { return };
    let now = trust.now();
    if ca.ca.signer.is_none() || first.not_after < now || first.not_after >= Time(now.0 + life) {
        return;
    }
    let name = trust.mesh.cluster_name(cluster);
    found
        .say(
            format!("certificates of `{name}` would outlive its {}", what(first)),
            ttl.span,
            format!("`{ttl}` from now on is past {}: istiod cuts them there", first.not_after),
        )
        .also(first.span, format!("{} ends on {}", first.subject, first.not_after))
        .help("renew the CA, or let workloads' certificates live for a day");
}

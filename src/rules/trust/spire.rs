//! SPIRE beside istiod: does it sign the names that proxies look for?

use std::sync::LazyLock;

use regex::Regex;

use super::super::{Rule, rule};
use super::texts::OR_TOLD_ELSEWHERE;
use crate::clusters::ClusterId;
use crate::finding::{Findings, Severity};
use crate::kinds::{Meta, is_placeholder};
use crate::source::Span;
use crate::trust::{DEFAULT_DOMAIN, Domain, Signer, Trust};

pub(in crate::rules) const RULES: &[Rule] =
    &[rule!("trust/spire-trust-domain", trust: spire_trust_domain)];

/// `trust_domain = "example.org"` of a server's or agent's configuration, as HCL or JSON.
static TRUST_DOMAIN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?m)^\s*"?trust_domain"?\s*[=:]\s*"([^"]*)""#).ok());

/// A trust domain that SPIRE is told.
struct Told<'m> {
    cluster: ClusterId,
    meta: &'m Meta,
    name: String,
    at: Span,
}

fn spire_trust_domain(trust: &Trust<'_>, found: &mut Findings) {
    let mut said: Vec<Span> = Vec::new();
    for told in told(trust) {
        let mesh = trust.mesh;
        let signs = trust.signer(told.cluster) == Signer::Spire;
        let (expected, at) = match trust.domain(told.cluster) {
            Domain::Told(text) if !is_placeholder(text) => (text.as_str(), Some(text.span)),
            Domain::Default => (DEFAULT_DOMAIN, None),
            Domain::Told(_) | Domain::Unknown => continue,
        };
        let is_alias = trust.aliases(told.cluster).iter().any(|a| a.as_str() == told.name);
        let is_open = mesh.is_assumed(told.meta) || is_placeholder(&told.name);
        if !signs || told.name == expected || is_alias || is_open || said.contains(&told.at) {
            continue;
        }
        said.push(told.at);
        let cluster = mesh.cluster_name(told.cluster);
        let finding = found.say(
            format!(
                "SPIRE signs for trust domain `{}`, and the mesh of `{cluster}` has `{expected}`",
                told.name
            ),
            told.at,
            format!("proxies look for `spiffe://{expected}/ns/...`: they refuse each other"),
        );
        if let Some(at) = at {
            finding.also(at, "the mesh's trust domain");
        } else {
            finding.milder(Severity::Warning, OR_TOLD_ELSEWHERE);
        }
        finding.help(format!(
            "set `meshConfig.trustDomain: {}`, or SPIRE's to `{expected}`; to move, list the old one \
             in `trustDomainAliases`",
            told.name
        ));
    }
}

fn told<'m>(trust: &Trust<'m>) -> Vec<Told<'m>> {
    let mesh = trust.mesh;
    let of_ids = mesh.spire.iter().filter_map(|it| {
        let template = it.spiffe_id_template.as_ref()?;
        let name = template.strip_prefix("spiffe://")?.split('/').next()?.to_owned();
        let is_literal = !name.is_empty() && !name.contains("{{");
        let (cluster, meta) = (it.cluster, &it.meta);
        is_literal.then_some(Told { cluster, meta, name, at: template.span })
    });
    let of_configs = mesh.config_maps.iter().flat_map(|map| {
        let files = map.data.iter().filter(|(key, _)| matches!(key.as_str(), "server.conf"));
        files.filter_map(move |(_, text)| {
            let name = TRUST_DOMAIN.as_ref()?.captures(text)?.get(1)?.as_str().to_owned();
            Some(Told { cluster: map.cluster, meta: &map.meta, name, at: text.span })
        })
    });
    of_ids.chain(of_configs).collect()
}

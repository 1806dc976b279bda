//! Do clusters and policies agree on the trust domain?

use std::collections::BTreeMap;

use super::super::{Rule, rule};
use super::texts::OR_TOLD_ELSEWHERE;
use crate::clusters::{ClusterId, Role};
use crate::finding::{Findings, Severity};
use crate::mesh::{IstioObject, list};
use crate::source::{Span, Text};
use crate::trust::{DEFAULT_DOMAIN, Domain, Signer, Trust};
use crate::yaml::Value;

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("trust/principal-of-unknown-trust-domain", trust: principal_of_unknown_trust_domain),
    rule!("trust/trust-domain-alias-too-broad", trust: trust_domain_alias_too_broad),
    rule!("trust/trust-domain-default-multi-org", trust: trust_domain_default_multi_org),
    rule!("trust/trust-domain-in-dead-location", trust: trust_domain_in_dead_location),
    rule!("trust/trust-domain-leftover-remote-mesh-config", trust: trust_domain_leftover_remote_mesh_config),
    rule!("trust/trust-domain-mismatch", trust: trust_domain_mismatch),
];

/// How many aliases are too many, where the configuration does not say.
const MOST_ALIASES: usize = 8;

/// A trust domain, where it stands, and the clusters that have it.
struct Side<'m> {
    name: &'m str,
    told: Option<&'m Text>,
    clusters: Vec<ClusterId>,
}

fn trust_domain_mismatch(trust: &Trust<'_>, found: &mut Findings) {
    for clusters in trust.mesh.meshes() {
        let ids = clusters.iter().map(|c| c.id);
        let ids = ids.filter(|&id| !matches!(trust.signer(id), Signer::Remote(_) | Signer::Spire));
        let sides = sides(trust, ids);
        let missing = missing(trust, &sides);
        let Some((by, of)) = missing.first() else { continue };
        let names =
            |side: &Side<'_>| list(side.clusters.iter().map(|id| trust.mesh.cluster_name(*id)));
        let at = |side: &Side<'_>| side.told.map(|told| told.span);
        let Some(span) = at(&sides[*of]).or_else(|| at(&sides[*by])) else { continue };
        let parts: Vec<String> =
            sides.iter().map(|side| format!("`{}` in {}", side.name, names(side))).collect();
        let ambient = clusters.iter().any(|c| c.facts.ambient);
        let finding = found.say(
            format!("clusters of one mesh have different trust domains: {}", parts.join(", ")),
            span,
            format!(
                "`{}` is not accepted in {}: its clients are refused there, and clients there refuse its servers",
                sides[*of].name,
                names(&sides[*by])
            ),
        );
        for side in sides.iter().filter(|side| side.told.is_some()) {
            if let Some(span) = at(side) {
                finding.also(span, format!("the trust domain of {}", names(side)));
            }
        }
        finding.help(if ambient {
            "give all clusters one trust domain: ambient does not honour `trustDomainAliases` in all versions"
        } else {
            "give all clusters one `trustDomain`, or list each other's under `trustDomainAliases`, in both directions"
        });
        if sides.iter().any(|side| side.told.is_none()) {
            let default =
                format!(" (`{DEFAULT_DOMAIN}` is the default, where nothing else sets one)");
            finding.milder(Severity::Warning, &default);
        }
    }
}

fn sides<'m>(trust: &Trust<'m>, ids: impl Iterator<Item = ClusterId>) -> Vec<Side<'m>> {
    let mut sides: BTreeMap<&str, Side<'m>> = BTreeMap::new();
    for id in ids {
        let domain = trust.domain(id);
        let Some(name) = domain.name() else { continue };
        let told = if let Domain::Told(text) = domain { Some(text) } else { None };
        let side = sides.entry(name).or_insert(Side { name, told: None, clusters: Vec::new() });
        side.told = side.told.or(told);
        side.clusters.push(id);
    }
    sides.into_values().collect()
}

/// Which sides do not take which others for theirs.
fn missing(trust: &Trust<'_>, sides: &[Side<'_>]) -> Vec<(usize, usize)> {
    let knows =
        |id: &ClusterId, name: &str| trust.aliases(*id).iter().any(|alias| alias.as_str() == name);
    let pairs = (0..sides.len()).flat_map(|a| (0..sides.len()).map(move |b| (a, b)));
    pairs
        .filter(|(a, b)| a != b && !sides[*a].clusters.iter().all(|id| knows(id, sides[*b].name)))
        .collect()
}

fn trust_domain_leftover_remote_mesh_config(trust: &Trust<'_>, found: &mut Findings) {
    for map in &trust.mesh.config_maps {
        let cluster = trust.mesh.cluster(map.cluster);
        let Signer::Remote(primary) = trust.signer(cluster.id) else { continue };
        let named = map.name() == "istio" || map.name().starts_with("istio-");
        let of_control_plane = named && map.namespace == cluster.facts.system_namespace();
        let told = map.mesh.as_ref().and_then(|config| config.trust_domain.as_ref());
        let domain = trust.domain(primary);
        let (Some(told), Some(right)) = (told, domain.name()) else { continue };
        let assumed = trust.mesh.is_assumed(&map.meta) || crate::kinds::is_placeholder(told);
        if !of_control_plane || told.as_str() == right || assumed {
            continue;
        }
        let by = trust.mesh.cluster_name(primary);
        let finding = found
            .say(
                format!("the remote cluster `{}` has a MeshConfig with another trust domain", cluster.name),
                told.span,
                format!(
                    "istiod of `{by}` expects identities of `{told}` of this cluster's workloads, and signs those of `{right}`"
                ),
            )
            .help(format!("remove the ConfigMap `{}` from `{}`, or its `trustDomain`", map.name(), cluster.name));
        if let Domain::Told(right) = domain {
            finding.also(right.span, format!("the trust domain of `{by}`"));
        } else {
            finding.milder(Severity::Warning, OR_TOLD_ELSEWHERE);
        }
    }
}

fn trust_domain_in_dead_location(trust: &Trust<'_>, found: &mut Findings) {
    let mut told: Vec<Span> = Vec::new();
    for cluster in trust.mesh.clusters() {
        let idle = &cluster.facts.idle_trust_domain;
        let idle: Vec<&Text> = idle.iter().filter(|domain| !domain.is_empty()).collect();
        let Some(first) = idle.first().filter(|first| !told.contains(&first.span)) else {
            continue;
        };
        // Charts of old read it.
        if cluster.runs().is_some_and(|(version, _)| version < (1, 10)) {
            continue;
        }
        told.push(first.span);
        let same = cluster.facts.trust_domain.iter().find(|fact| fact.value.value == first.value);
        let finding = found.say(
            format!("nothing reads the trust domain `{first}` of `{}` here", cluster.name),
            first.span,
            "`values.global.trustDomain` and `trustDomainAliases` have no effect",
        );
        for other in &idle[1..] {
            finding.also(other.span, "nor this");
        }
        finding.help("set `meshConfig.trustDomain` and `meshConfig.trustDomainAliases`");
        if let Some(same) = same {
            finding.also(same.value.span, "set here too, where it counts");
            finding.milder(Severity::Note, ", and MeshConfig says the same");
        } else if first.as_str() == DEFAULT_DOMAIN && cluster.facts.trust_domain.is_empty() {
            finding.milder(Severity::Note, ", and without it the mesh has the same");
        }
    }
}

fn trust_domain_default_multi_org(trust: &Trust<'_>, found: &mut Findings) {
    let mut told: Vec<Span> = Vec::new();
    for cluster in trust.mesh.clusters() {
        let anchors = cluster.facts.mesh_config.iter().flat_map(|c| &c.ca_certificates);
        let mut foreign = anchors.flat_map(|anchor| &anchor.trust_domains);
        let is_default = trust.domain(cluster.id).name() == Some(DEFAULT_DOMAIN);
        let Some(first) = foreign.find(|domain| domain.as_str() != DEFAULT_DOMAIN) else {
            continue;
        };
        if !is_default || told.contains(&first.span) {
            continue;
        }
        told.push(first.span);
        let finding = found.say(
            format!(
                "`{}` takes in identities of `{first}`, and is itself called `{DEFAULT_DOMAIN}`",
                cluster.name
            ),
            first.span,
            "every mesh is called so that was given no name: its identities mean nothing to others",
        );
        if let Domain::Told(own) = trust.domain(cluster.id) {
            finding.also(own.span, "the trust domain");
        }
        finding.help("set `meshConfig.trustDomain` to a name of your own, with `cluster.local` as alias on the way");
    }
}

fn trust_domain_alias_too_broad(trust: &Trust<'_>, found: &mut Findings) {
    let told = trust.mesh.option("trust/trust-domain-alias-too-broad", "most");
    let most = told.and_then(|most| most.parse().ok()).unwrap_or(MOST_ALIASES);
    let mut seen: Vec<Span> = Vec::new();
    for cluster in trust.mesh.clusters().iter().filter(|c| c.role() != Some(Role::Remote)) {
        let aliases = trust.aliases(cluster.id);
        let Some(at) = aliases.get(most).filter(|at| !seen.contains(&at.span)) else { continue };
        seen.push(at.span);
        let why = "whoever has an identity of an alias counts as the same identity of this mesh in every policy";
        let message = format!("`{}` has {} trust domain aliases", cluster.name, aliases.len());
        found.say(message, at.span, why).help(
            "list only trust domains whose namespaces and service accounts are the same as yours",
        );
    }
}

fn principal_of_unknown_trust_domain(trust: &Trust<'_>, found: &mut Findings) {
    let mut told: Vec<Span> = Vec::new();
    let policies = trust.mesh.istio_objects.iter();
    for policy in policies.filter(|o| o.meta.kind.as_str() == "AuthorizationPolicy") {
        let strange = strange_principals(trust, policy);
        let Some((first, domain)) = strange.first().filter(|(at, _)| !told.contains(at)) else {
            continue;
        };
        told.push(*first);
        let name = trust.mesh.cluster_name(policy.cluster);
        let own = trust.domain(policy.cluster);
        let denies = policy.text.value().at(&["spec", "action"]).and_then(Value::text);
        let effect = match denies.as_deref() {
            Some("DENY") => "nobody is ever denied by it",
            _ => "nobody ever matches it",
        };
        let finding = found.say(
            format!(
                "`{}` names a principal of the trust domain `{domain}`, which `{name}` does not know",
                policy.meta.name
            ),
            *first,
            format!("identities of `{domain}` are refused before policies are asked: {effect}"),
        );
        for (at, _) in &strange[1..] {
            finding.also(*at, "nor this");
        }
        finding.help(format!(
            "write `{DEFAULT_DOMAIN}`, which stands for the mesh's own trust domain, or list `{domain}` under \
             `trustDomainAliases`"
        ));
        match own {
            Domain::Told(text) => {
                finding.also(text.span, format!("the trust domain of `{name}`"));
            }
            _ => {
                finding
                    .message
                    .push_str(&format!(", as nothing sets another than `{DEFAULT_DOMAIN}`"));
                finding.lower(Severity::Warning);
            }
        }
    }
}

/// Principals of a policy with a trust domain that its cluster has no way to accept.
fn strange_principals(trust: &Trust<'_>, policy: &IstioObject) -> Vec<(Span, String)> {
    let cluster = policy.cluster;
    let facts = &trust.mesh.cluster(cluster).facts;
    let Some(own) = trust.domain(cluster).name() else { return Vec::new() };
    let lax = facts
        .istiod_env("PILOT_SKIP_VALIDATE_TRUST_DOMAIN")
        .is_some_and(|on| on.as_str() != "false");
    if lax || trust.signer(cluster) == Signer::Spire || trust.mesh.is_assumed(&policy.meta) {
        return Vec::new();
    }
    let mut known: Vec<&str> = vec![own, DEFAULT_DOMAIN];
    known.extend(trust.aliases(cluster).iter().map(|alias| alias.as_str()));
    let anchors = facts.mesh_config.iter().flat_map(|c| &c.ca_certificates);
    known.extend(anchors.flat_map(|a| &a.trust_domains).map(|domain| domain.as_str()));
    // That of another cluster is told as a mismatch of the clusters.
    known.extend(trust.mesh.peers(cluster).filter_map(|c| trust.domain(c.id).name()));
    let strange = |value: Value<'_>| {
        let text = value.text()?;
        let domain = domain_of(&text).filter(|domain| !known.contains(domain))?;
        Some((value.span(), domain.to_owned()))
    };
    principals(policy.text.value()).into_iter().filter_map(strange).collect()
}

/// The trust domain of `DOMAIN/ns/NAMESPACE/sa/ACCOUNT`, where it is one and no pattern.
fn domain_of(principal: &str) -> Option<&str> {
    let parts: Vec<&str> = principal.split('/').collect();
    let domain = *parts.first().filter(|_| parts.len() == 5)?;
    let plain =
        !domain.is_empty() && !domain.contains('*') && !crate::kinds::is_placeholder(domain);
    plain.then_some(domain)
}

/// All principals that a policy names.
fn principals<'t>(policy: Value<'t>) -> Vec<Value<'t>> {
    let items = |value: Option<Value<'t>>| value.into_iter().flat_map(Value::items);
    let mut all = Vec::new();
    for rule in items(policy.at(&["spec", "rules"])) {
        let sources = items(rule.get("from")).filter_map(|from| from.get("source"));
        for source in sources {
            all.extend(items(source.get("principals")));
            all.extend(items(source.get("notPrincipals")));
        }
        let by_principal = |when: &Value<'_>| {
            when.get("key").and_then(Value::text).is_some_and(|key| key == "source.principal")
        };
        for when in items(rule.get("when")).filter(by_principal) {
            all.extend(items(when.get("values")));
            all.extend(items(when.get("notValues")));
        }
    }
    all
}

//! Revocation lists that are plugged in beside a CA: is there one of each CA that they are asked about, and
//! whom do they revoke?

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Rule, SHOWN, rule};
use crate::clusters::{Cluster, is_on};
use crate::finding::Findings;
use crate::kinds::is_placeholder;
use crate::mesh::list;
use crate::source::Span;
use crate::trust::{CaMaterial, Certificate, Found, Origin, RevocationList, Trust};

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("trust/ca-revoked", trust: ca_revoked),
    rule!("trust/revocation-list-expired", trust: revocation_list_expired),
    rule!("trust/revocation-list-missing", trust: revocation_list_missing),
];

/// The first Istio that hands `ca-crl.pem` to proxies.
const SINCE: (u32, u32) = (1, 27);

/// The CAs beside which lists stand that count.
fn with_lists<'t>(trust: &'t Trust<'_>) -> impl Iterator<Item = (&'t Found, &'t Cluster)> {
    let all = trust.cas().iter().map(|found| (found, trust.mesh.cluster(found.cluster)));
    all.filter(|(found, cluster)| {
        let switch = cluster.facts.istiod_env("PILOT_ENABLE_CA_CRL");
        !found.ca.lists.is_empty()
            && found.ca.origin == Origin::Cacerts
            && !found.assumed
            && !trust.is_idle(found)
            && switch.is_none_or(|told| is_on(told) && !is_placeholder(told))
            && cluster.runs().is_none_or(|(version, _)| version >= SINCE)
    })
}

const HELP_REVOKED: &str = "have the root sign a new CA with a new key, put it into `cacerts` and restart istiod and \
    the proxies there; where it was revoked by mistake, put a list without it into each `ca-crl.pem`";

/// A CA that signs although it is revoked.
struct Revoked<'t> {
    ca: &'t Certificate,
    /// The clusters whose proxies it signs.
    signs_in: BTreeSet<&'t str>,
    /// The clusters whose proxies refuse it, and where the list stands.
    refused_by: BTreeMap<&'t str, Span>,
}

/// Why no list counts as that of a CA.
fn lack(lists: &[RevocationList], ca: &Certificate) -> Option<String> {
    let called = || lists.iter().any(|list| list.is_called_after(ca));
    let name = &ca.subject;
    match () {
        () if lists.iter().any(|list| list.is_of(ca)) => None,
        () if !called() => Some(format!("no list of `{name}`")),
        () if ca.crl_sign == Some(false) => {
            Some(format!("a list of `{name}`, whose key usage does not let it sign lists"))
        }
        () => Some(format!("a list of `{name}` that another key has signed")),
    }
}

/// The first CA of a chain that no list counts for, and why.
fn lacking<'c>(
    lists: &[RevocationList],
    chain: impl IntoIterator<Item = &'c Certificate>,
) -> Option<(&'c Certificate, String)> {
    chain.into_iter().find_map(|ca| Some((ca, lack(lists, ca)?)))
}

/// What a CA sends along with what it signs, and its own certificate.
fn chain(ca: &CaMaterial) -> impl Iterator<Item = &Certificate> {
    ca.signer.iter().chain(&ca.chain)
}

/// Whether two CAs have a root in common.
fn share_root(a: &CaMaterial, b: &CaMaterial) -> bool {
    a.roots.iter().any(|root| b.roots.iter().any(|other| root.same_anchor(other)))
}

/// The list beside a CA by which a certificate in the chain of another is revoked.
fn revoking<'l>(
    own: &'l CaMaterial,
    other: &CaMaterial,
    ca: &Certificate,
) -> Option<&'l RevocationList> {
    let issuers = || own.roots.iter().chain(&own.chain).chain(&other.chain);
    own.lists.iter().find(|list| list.revokes(ca) && issuers().any(|issuer| list.is_of(issuer)))
}

fn ca_revoked(trust: &Trust<'_>, found: &mut Findings) {
    // By certificate: where it signs, and who refuses what it signs.
    let mut all: BTreeMap<(&str, &str), Revoked<'_>> = BTreeMap::new();
    for other in trust.cas().iter().filter(|other| !other.assumed && !trust.is_idle(other)) {
        for (own, cluster) in with_lists(trust) {
            if !trust.mesh.same_mesh(own.cluster, other.cluster) || !share_root(&own.ca, &other.ca)
            {
                continue;
            }
            let by = |ca| Some((ca, revoking(&own.ca, &other.ca, ca)?));
            let Some((ca, list)) = chain(&other.ca).find_map(by) else { continue };
            let key = (ca.issuer.as_str(), ca.serial.as_str());
            let revoked = all.entry(key).or_insert_with(|| Revoked {
                ca,
                signs_in: BTreeSet::new(),
                refused_by: BTreeMap::new(),
            });
            revoked.signs_in.insert(trust.mesh.cluster_name(other.cluster));
            revoked.refused_by.insert(&cluster.name, list.span);
        }
    }
    for Revoked { ca, signs_in, refused_by } in all.values() {
        let (signs_in, refusing) =
            (list(signs_in.iter().copied()), list(refused_by.keys().copied()));
        let finding = found.say(
            format!(
                "proxies of {refusing} refuse those of {signs_in}: `{}` is revoked",
                ca.subject
            ),
            ca.span,
            "revoked, and still signs",
        );
        for (cluster, span) in refused_by.iter().take(SHOWN) {
            finding.also(*span, format!("`{cluster}` asks this list, which names {}", ca.serial));
        }
        finding.help(HELP_REVOKED);
    }
}

fn revocation_list_missing(trust: &Trust<'_>, found: &mut Findings) {
    const HELP: &str = "put a list of each CA of the chain into `ca-crl.pem`, of the other clusters' too, \
                        or none at all";
    let mut said: BTreeSet<(Span, Span)> = BTreeSet::new();
    for (own, cluster) in with_lists(trust) {
        let lists = &own.ca.lists;
        let (name, at) = (&cluster.name, lists[0].span);
        if let Some((ca, why)) = lacking(lists, chain(&own.ca)) {
            if said.insert((at, ca.span)) {
                found
                    .say(
                        format!("the CA of `{name}` is refused for its revocation lists: {why}"),
                        at,
                        "istiod does not start with it, and proxies refuse what it signs",
                    )
                    .also(ca.span, "each CA of the chain needs one as soon as there is any")
                    .help(HELP);
            }
            continue;
        }
        for other in
            trust.cas().iter().filter(|other| trust.mesh.same_mesh(other.cluster, own.cluster))
        {
            let is_seen = !other.assumed && !trust.is_idle(other) && share_root(&own.ca, &other.ca);
            let Some((ca, why)) = lacking(lists, chain(&other.ca)).filter(|_| is_seen) else {
                continue;
            };
            if said.insert((at, ca.span)) {
                let peer = trust.mesh.cluster_name(other.cluster);
                found
                    .say(
                        format!("proxies of `{name}` refuse those of `{peer}`: {why}"),
                        at,
                        format!("what `{name}` asks about every certificate"),
                    )
                    .also(ca.span, format!("signs in `{peer}`"))
                    .help(HELP);
            }
        }
    }
}

fn revocation_list_expired(trust: &Trust<'_>, found: &mut Findings) {
    let now = trust.now();
    let is_past = |list: &RevocationList| list.next_update.is_some_and(|end| end < now);
    let mut said: BTreeSet<Span> = BTreeSet::new();
    for (own, cluster) in with_lists(trust) {
        for ca in chain(&own.ca) {
            let mut lists = own.ca.lists.iter().filter(|list| list.is_of(ca)).peekable();
            let Some(first) = lists.peek().copied() else { continue };
            let end = lists.clone().filter_map(|list| list.next_update).max();
            if !lists.all(is_past) || !said.insert(first.span) {
                continue;
            }
            let Some(end) = end else { continue };
            found
                .say(
                    format!(
                        "the revocation list of `{}` was to be renewed by {end}: proxies of `{}` refuse \
                         every certificate below it",
                        first.issuer, cluster.name
                    ),
                    first.span,
                    format!("counted until {end}"),
                )
                .help("have the CA sign a new one, even if nothing was revoked, and put it into `ca-crl.pem`");
        }
    }
}

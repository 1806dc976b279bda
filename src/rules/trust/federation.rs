//! Several SPIRE servers: do those of one cluster accept what that of another signs?

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::super::{Rule, SHOWN, rule};
use crate::clusters::ClusterId;
use crate::finding::Findings;
use crate::kinds::core::{ConfigMap, Spire};
use crate::kinds::is_placeholder;
use crate::mesh::{In, Mesh, list};
use crate::source::{Span, Text};
use crate::trust::{Signer, Trust};

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("trust/spire-federation-without-bundle", spire_federation_without_bundle),
    rule!("trust/spire-not-federated", trust: spire_not_federated),
];

/// `trust_domain = "example.org"` of a server's configuration, as HCL or JSON.
static TRUST_DOMAIN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#""?\btrust_domain"?\s*[=:]\s*"([^"]*)""#).ok());

/// The texts of servers' configurations in a cluster.
fn configurations(
    mesh: &Mesh,
    cluster: ClusterId,
) -> impl Iterator<Item = (&In<ConfigMap>, &Text)> {
    let maps = mesh.config_maps.of_cluster(cluster).iter();
    maps.filter_map(|map| Some((map, map.data.get("server.conf")?)))
}

/// Registrations of one kind in a cluster.
fn registrations<'m>(
    mesh: &'m Mesh,
    cluster: ClusterId,
    kind: &'static str,
) -> impl Iterator<Item = &'m In<Spire>> {
    let here = mesh.spire.of_cluster(cluster).iter();
    here.filter(move |it| it.meta.kind.as_str() == kind)
}

/// A trust domain without `spiffe://`, which may stand before it.
fn bare(domain: &str) -> &str {
    domain.strip_prefix("spiffe://").unwrap_or(domain).trim_end_matches('/')
}

/// A server that signs itself.
struct Server<'m> {
    cluster: ClusterId,
    domain: String,
    /// Whether it keeps what it knows to itself: servers that share a database share their roots.
    is_alone: bool,
    at: Span,
    /// The registrations of its cluster; none where there may be more.
    ids: Option<Vec<&'m In<Spire>>>,
}

impl<'m> Server<'m> {
    /// The only one of a cluster, where its configuration is in the input.
    fn of(trust: &Trust<'m>, cluster: ClusterId) -> Option<Self> {
        let mesh = trust.mesh;
        let mut all = configurations(mesh, cluster);
        let (map, text) = all.next().filter(|_| trust.signer(cluster) == Signer::Spire)?;
        let domain = TRUST_DOMAIN.as_ref()?.captures(text)?.get(1)?.as_str().to_owned();
        let is_open = mesh.is_assumed(&map.meta) || is_placeholder(text) || is_placeholder(&domain);
        if all.next().is_some() || is_open || text.contains("UpstreamAuthority") {
            return None;
        }
        let ids: Vec<&In<Spire>> = registrations(mesh, cluster, "ClusterSPIFFEID").collect();
        let is_known = |id: &&In<Spire>| {
            let mut names = id.federates_with.iter();
            id.meta.unread.is_empty()
                && !mesh.is_assumed(&id.meta)
                && !names.any(|n| is_placeholder(n))
        };
        let may_have_more = mesh.may_bring(cluster, "ClusterSPIFFEID");
        let is_whole = !ids.is_empty() && !may_have_more && ids.iter().all(is_known);
        let is_alone = text.contains("sqlite3");
        Some(Self { cluster, domain, is_alone, at: text.span, ids: is_whole.then_some(ids) })
    }

    /// Its first registration, where none of them is given the bundle of another.
    fn refuses(&self, other: &Self) -> Option<Span> {
        let ids = self.ids.as_ref()?;
        let mut given = ids.iter().flat_map(|id| &id.federates_with);
        let is_given = given.any(|domain| bare(domain) == other.domain);
        ids.first().filter(|_| !is_given).map(|id| id.named_at())
    }
}

fn spire_not_federated(trust: &Trust<'_>, found: &mut Findings) {
    let mesh = trust.mesh;
    let servers: Vec<Server<'_>> =
        mesh.clusters().iter().filter_map(|c| Server::of(trust, c.id)).collect();
    for (i, one) in servers.iter().enumerate() {
        for other in servers[i + 1..].iter().filter(|s| mesh.same_mesh(s.cluster, one.cluster)) {
            if one.domain != other.domain {
                say_refused(mesh, one, other, found);
            } else if one.is_alone && other.is_alone && one.at != other.at {
                let (a, b) = (mesh.cluster_name(one.cluster), mesh.cluster_name(other.cluster));
                found
                    .say(
                        format!(
                            "SPIRE of `{a}` and of `{b}` have one trust domain, `{}`, and a root each",
                            one.domain
                        ),
                        one.at,
                        "signs itself: nobody hands its root to the other cluster",
                    )
                    .also(other.at, format!("and so does the server of `{b}`"))
                    .help("give both one `UpstreamAuthority`, or each a trust domain of its own and federate them");
            }
        }
    }
}

fn say_refused(mesh: &Mesh, one: &Server<'_>, other: &Server<'_>, found: &mut Findings) {
    let ways = [(one, other), (other, one)];
    let refused = ways.iter().filter_map(|(by, whom)| Some((*by, *whom, by.refuses(whom)?)));
    let refused: Vec<(&Server<'_>, &Server<'_>, Span)> = refused.collect();
    let Some((by, whom, at)) = refused.first() else { return };
    let (a, b) = (mesh.cluster_name(by.cluster), mesh.cluster_name(whom.cluster));
    let finding = found.say(
        format!("pods of `{a}` do not accept those of `{b}`: no bundle of `{}`", whom.domain),
        *at,
        format!("pods that it selects refuse those of `{b}`"),
    );
    for (_, whom, at) in &refused[1..] {
        finding
            .also(*at, format!("and these refuse those of `{}`", mesh.cluster_name(whom.cluster)));
    }
    finding.help(format!(
        "list `{}` in `federatesWith`, with a ClusterFederatedTrustDomain for it{}",
        whom.domain,
        if refused.len() > 1 { ", and the other way round" } else { "" }
    ));
}

fn spire_federation_without_bundle(mesh: &Mesh, found: &mut Findings) {
    let mut said: BTreeSet<Span> = BTreeSet::new();
    for cluster in mesh.clusters() {
        const KIND: &str = "ClusterFederatedTrustDomain";
        let of_kind: Vec<&In<Spire>> = registrations(mesh, cluster.id, KIND).collect();
        let given: Vec<&Text> = of_kind.iter().filter_map(|it| it.trust_domain.as_ref()).collect();
        let is_open = mesh.may_bring(cluster.id, KIND)
            || of_kind.iter().any(|it| mesh.is_assumed(&it.meta))
            || given.iter().any(|domain| is_placeholder(domain));
        if given.is_empty() || is_open {
            continue;
        }
        let asked = registrations(mesh, cluster.id, "ClusterSPIFFEID");
        for domain in
            asked.filter(|id| !mesh.is_assumed(&id.meta)).flat_map(|id| &id.federates_with)
        {
            let name = bare(domain);
            let is_known = is_placeholder(domain)
                || given.iter().any(|known| bare(known) == name)
                || configurations(mesh, cluster.id).any(|(_, text)| text.contains(name));
            if is_known || !said.insert(domain.span) {
                continue;
            }
            let finding = found.say(
                format!("SPIRE of `{}` has no bundle of `{name}`", cluster.name),
                domain.span,
                "no bundle of this: the server refuses the entry, and these pods get no certificates",
            );
            for known in given.iter().take(SHOWN) {
                finding.also(known.span, "the only other ones");
            }
            finding.help(format!(
                "add a {KIND} for `{name}`, or write one of {}",
                list(given.iter().map(|known| bare(known)))
            ));
        }
    }
}

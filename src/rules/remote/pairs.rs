//! Pairs of clusters: which API servers a control plane should read, and does not.

use super::keys::misnamed;
use crate::access::{Access, Remote, Target, claims, used};
use crate::clusters::{Cluster, ClusterId, Role};
use crate::finding::{Findings, Severity};
use crate::kinds::is_placeholder;
use crate::kinds::kubeconfig::Content;
use crate::mesh::{Lookup, list};
use crate::source::Span;

/// Whether all remote secrets of a cluster are in the input, as far as one can tell, and each tells where
/// it leads.
fn is_known(access: &Access<'_>, cluster: &Cluster) -> bool {
    let mesh = access.mesh();
    // Kubeconfigs may lie in files of istiod's pod instead.
    if cluster.facts.istiod_env("PILOT_MULTICLUSTER_KUBECONFIG_PATH").is_some() {
        return false;
    }
    let mut namespaces = access.namespaces(cluster.id).into_iter();
    let may_have_more =
        namespaces.any(|ns| is_placeholder(ns) || mesh.may_have_more(cluster.id, "Secret", ns));
    let leads_on = |remote: &Remote<'_>| {
        let key = |key: &str| {
            access.target(remote, key) == Target::Unseen || misnamed(access, remote, key).is_some()
        };
        remote.may_have_more() || remote.entries.iter().any(|e| key(e.key.as_str()))
    };
    !may_have_more
        && !access.has_unsure_names(cluster.id)
        && !access.of_cluster(cluster.id).iter().any(leads_on)
}

/// A remote secret that surely is in its cluster, and leads to another.
fn evidence<'a, 'm>(access: &'a Access<'m>, of: ClusterId) -> Option<&'a Remote<'m>> {
    access.of_cluster(of).iter().find(|remote| {
        access.is_read(remote)
            && !access.mesh().is_assumed(remote.meta)
            && remote
                .entries
                .iter()
                .any(|e| access.target(remote, e.key.as_str()) != Target::Itself)
    })
}

/// A primary whose remote secrets are known, with what shows that these are kept in the input, and the
/// clusters of the mesh it has none for.
pub(in crate::rules) struct Gap<'a, 'm> {
    pub primary: &'m Cluster,
    pub by: Option<&'a Remote<'m>>,
    pub unread: Vec<&'m Cluster>,
}

impl Gap<'_, '_> {
    /// Where it can be shown: at a remote secret that is there, or where the cluster is called so.
    pub fn at(&self) -> Span {
        let fact = self.primary.istio_name().map(|name| name.span);
        let role = self.primary.facts.role.first().map(|(_, at)| *at);
        let told = self.primary.config.as_ref().map(|c| c.name.span);
        self.by.map(|r| r.at).or(fact).or(role).or(told).unwrap_or_default()
    }
}

/// The gaps in the matrix, of which there is evidence, by primary.
pub(in crate::rules) fn gaps<'a, 'm>(access: &'a Access<'m>) -> Vec<Gap<'a, 'm>> {
    let primaries = access.mesh().clusters().iter().filter(|c| c.role() == Some(Role::Primary));
    let known = primaries.filter(|c| is_known(access, c)).filter_map(|primary| {
        let by = evidence(access, primary.id);
        let unread = access.unread(primary.id);
        let is_told = by.is_some() || primary.is_complete();
        (is_told && !unread.is_empty()).then_some(Gap { primary, by, unread })
    });
    known.collect()
}

/// Whether a cluster is served by some other control plane than a primary's.
pub(in crate::rules) fn is_served_elsewhere(
    access: &Access<'_>,
    cluster: &Cluster,
    primary: &Cluster,
) -> bool {
    cluster.role() == Some(Role::Remote)
        && matches!(access.mesh().config_cluster(cluster.id), Lookup::Found(id) if id != primary.id)
}

pub(super) fn missing_for_pair(access: &Access<'_>, found: &mut Findings) {
    for gap in gaps(access) {
        let primary = gap.primary;
        let missing = gap.unread.iter().filter(|c| !is_served_elsewhere(access, c, primary));
        let names: Vec<&str> = missing.map(|c| c.name.as_str()).collect();
        if names.is_empty() {
            continue;
        }
        let name = &primary.name;
        let others = list(names.iter().copied());
        let label = match gap.by {
            Some(_) => format!("`{name}` reads another cluster by this, and {others} by none"),
            None => format!("nothing lets `{name}` read {others}"),
        };
        let finding = found.say(
            format!(
                "`{name}` has no remote secret for {others}: it sees no endpoints of {}, and refuses \
                 proxies from there",
                if names.len() == 1 { "it" } else { "them" }
            ),
            gap.at(),
            label,
        );
        finding.help(format!(
            "`istioctl create-remote-secret --context={} --name={} | kubectl apply -f - --context={name}`",
            names[0], names[0]
        ));
    }
}

pub(super) fn asymmetric(access: &Access<'_>, found: &mut Findings) {
    let mesh = access.mesh();
    for blind in mesh.clusters().iter().filter(|c| c.role() == Some(Role::Primary)) {
        let is_silent = access.of_cluster(blind.id).is_empty() && !blind.is_complete();
        if !is_silent || !is_known(access, blind) {
            continue;
        }
        let primaries = mesh.peers(blind.id).filter(|c| c.role() == Some(Role::Primary));
        let readers = primaries.filter(|c| c.id != blind.id).filter_map(|c| {
            let own = access
                .of_cluster(c.id)
                .iter()
                .filter(|r| access.is_read(r) && !mesh.is_assumed(r.meta));
            let mut keys = own.flat_map(|r| r.entries.iter().map(move |e| (r, e.key)));
            let (_, key) =
                keys.find(|(r, key)| access.target(r, key.as_str()) == Target::Cluster(blind.id))?;
            Some((c.name.as_str(), key.span))
        });
        let readers: Vec<(&str, Span)> = readers.collect();
        let [(first, at), more @ ..] = readers.as_slice() else { continue };
        let name = &blind.name;
        let others = list(readers.iter().map(|(name, _)| *name));
        let finding = found.say(
            format!(
                "{others} may read `{name}`, but nothing in the input lets `{name}` read {others}"
            ),
            *at,
            format!(
                "`{first}` sees the endpoints of `{name}`; the other way round needs a secret too"
            ),
        );
        for (reader, at) in more {
            finding.also(*at, format!("and `{reader}`"));
        }
        finding.help(format!(
            "add a remote secret for `{first}` in `{name}`, as it is or sealed, if it is not made by hand"
        ));
    }
}

pub(super) fn reader_rbac_missing(access: &Access<'_>, found: &mut Findings) {
    let mut said: Vec<Span> = Vec::new();
    for cluster in access.mesh().clusters() {
        let mut set = cluster.facts.installs.iter();
        let off =
            set.find_map(|i| i.values().global.enable_reader_rbac.as_ref().filter(|r| !r.value));
        let Some(off) = off.filter(|off| !said.contains(&off.span)) else { continue };
        let reads = |remote: &&Remote<'_>| {
            access.is_read(remote)
                && remote
                    .entries
                    .iter()
                    .any(|e| access.target(remote, e.key.as_str()) == Target::Cluster(cluster.id))
                && uses_reader(remote)
        };
        let Some(reader) = access.remotes().iter().find(reads) else { continue };
        said.push(off.span);
        let name = &cluster.name;
        let by = access.mesh().cluster_name(reader.holder);
        let finding = found.say(
            format!("istiod of `{by}` may read nothing in `{name}`"),
            off.span,
            format!("neither account nor role of the reader is made in `{name}`"),
        );
        finding.also(reader.at, format!("`{by}` reads it by the token of that account"));
        finding
            .help("drop `enableReaderRBAC: false`: the reader is what remote secrets are made of");
        if !cluster.is_complete() {
            finding.milder(Severity::Warning, ", unless its role is made elsewhere");
        }
    }
}

/// Whether a secret surely holds the token of the account that Istio's charts make.
fn uses_reader(remote: &Remote<'_>) -> bool {
    remote.held().any(|held| {
        let Content::Kubeconfig(config) = &held.content else { return false };
        let subject = used(config).and_then(|(_, user)| claims(&user.it)?.0.sub.as_deref());
        subject.is_some_and(|s| s.ends_with(":istio-reader-service-account"))
    })
}

//! What several remote secrets say of one cluster.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::{identity, server};
use crate::access::{Access, Target, authorities, server_name, shown};
use crate::clusters::ClusterId;
use crate::finding::{Findings, Severity};
use crate::kinds::kubeconfig::Server;
use crate::source::{Span, Text};
use crate::trust::{Certificate, Time};

/// A kubeconfig for a cluster, with the certificates that its API server is checked by.
struct Known<'m> {
    holder: ClusterId,
    key: &'m Text,
    server: &'m Server,
    authorities: Vec<Certificate>,
}

impl Known<'_> {
    fn shares_authority(&self, other: &Self) -> bool {
        let same = |a: &Certificate| {
            other
                .authorities
                .iter()
                .any(|b| a.fingerprint == b.fingerprint || a.public_key == b.public_key)
        };
        self.authorities.iter().any(same)
    }

    /// When the newest of its authorities was made.
    fn made(&self) -> Option<Time> {
        self.authorities.iter().map(|c| c.not_before).max()
    }

    fn at(&self) -> Span {
        self.key.span
    }
}

/// The kubeconfigs that istiods read, by mesh and by the cluster they lead to.
fn by_cluster<'m>(access: &Access<'m>) -> BTreeMap<(usize, String), Vec<Known<'m>>> {
    let mesh = access.mesh();
    let mut found: BTreeMap<(usize, String), Vec<Known<'m>>> = BTreeMap::new();
    let sure = access.remotes().iter().filter(|r| access.is_read(r) && !mesh.is_assumed(r.meta));
    for (remote, entry) in sure.flat_map(|r| r.entries.iter().map(move |e| (r, e))) {
        let name = match access.target(remote, entry.key.as_str()) {
            Target::Cluster(id) => mesh.cluster_name(id).to_owned(),
            Target::Elsewhere(name) => name.to_owned(),
            Target::Itself | Target::Unseen => continue,
        };
        let Some(server) = server(entry) else { continue };
        let authorities = authorities(server);
        if !authorities.is_empty() {
            let known = Known { holder: remote.holder, key: entry.key, server, authorities };
            found.entry((mesh.cluster(remote.holder).mesh, name)).or_default().push(known);
        }
    }
    found
}

pub(super) fn stale(access: &Access<'_>, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for ((_, name), all) in by_cluster(access) {
        let Some(newest) = all.iter().max_by_key(|known| known.made()) else { continue };
        for old in all.iter().filter(|old| old.made() < newest.made()) {
            if old.shares_authority(newest) || !told.insert(old.at()) {
                continue;
            }
            let same_server = identity(old.server) == identity(newest.server);
            let (holder, other) =
                (access.mesh().cluster_name(old.holder), access.mesh().cluster_name(newest.holder));
            let host = |of: &Known<'_>| shown(server_name(&of.server.server).unwrap_or_default());
            let effect = if same_server {
                format!(
                    "one API server, {}, and no CA in common: `{holder}` cannot read it any more",
                    host(old)
                )
            } else {
                format!(
                    "{} here, {} there, and no CA in common: one of them may be gone",
                    host(old),
                    host(newest)
                )
            };
            let finding = found.say(
                format!("the remote secret of `{holder}` for `{name}` is older than that of `{other}`, and of another CA"),
                old.at(),
                effect,
            );
            finding.also(newest.at(), format!("what `{other}` reads `{name}` by"));
            finding.help(format!(
                "make it anew: `istioctl create-remote-secret --context={name} --name={name} | kubectl apply \
                 -f - --context={holder}`"
            ));
            if !same_server {
                finding.lower(Severity::Note);
            }
        }
    }
}

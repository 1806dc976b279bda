//! Keys of remote secrets: under which names istiod takes clusters in.

use std::collections::BTreeMap;

use super::texts::holders;
use crate::access::{Access, Entry, Label, Remote, Target, server_name, shown, unreachable, used};
use crate::clusters::{ClusterId, letters};
use crate::finding::{Findings, Severity};
use crate::kinds::is_placeholder;
use crate::kinds::kubeconfig::{CONFIG_SECRET, Content, REMOTE_PREFIX, Server};
use crate::mesh::{Mesh, list};
use crate::rules::SHOWN;
use crate::source::{Span, Text};

/// Keys that tools give to a kubeconfig, and nobody to a cluster.
const OF_TOOLS: &[&str] = &[
    "config",
    "kubeconfig",
    "kube-config",
    "value",
    "config.yaml",
    "kubeconfig.yaml",
    "admin.conf",
];

/// Whether its label or namespace keeps istiod from a secret: then that is what is to be said of it.
fn is_passed_over(access: &Access<'_>, remote: &Remote<'_>) -> bool {
    !access.is_read(remote)
}

/// Why a key is surely no cluster's name, and the cluster that is meant.
pub(super) struct Misnamed<'m> {
    pub meant: Option<&'m str>,
    pub why: String,
}

/// Whether a key is surely not the name of the cluster that it is for.
pub(super) fn misnamed<'m>(
    access: &Access<'m>,
    remote: &Remote<'m>,
    key: &'m str,
) -> Option<Misnamed<'m>> {
    let Target::Elsewhere(_) = access.target(remote, key) else { return None };
    let mesh = access.mesh();
    let is_there = |name: &'m str| match access.target(remote, name) {
        Target::Cluster(_) | Target::Itself => Some(name),
        Target::Elsewhere(_) | Target::Unseen => None,
    };
    let takes = format!("istiod takes the cluster in as `{key}`");
    if remote.entries.len() == 1 {
        let annotated = remote.annotation.and_then(|a| is_there(a.as_str()));
        let suffix = remote.name().strip_prefix(REMOTE_PREFIX).and_then(is_there);
        if let Some(meant) = annotated.or(suffix) {
            let why = format!("{takes}; `{meant}`, as it calls itself, stays unknown");
            return Some(Misnamed { meant: Some(meant), why });
        }
    }
    if OF_TOOLS.contains(&key) {
        let why = format!("{takes}: what its proxies call themselves stays unknown");
        return Some(Misnamed { meant: None, why });
    }
    if access.has_unsure_names(remote.holder) {
        return None;
    }
    let told = |c: &&'m crate::clusters::Cluster| c.istio_name().filter(|n| !is_placeholder(n));
    let peers = || mesh.peers(remote.holder).filter(|c| c.id != remote.holder);
    if let Some((folder, name)) =
        peers().filter(|c| c.name == key).find_map(|c| Some((c.name.as_str(), told(&c)?)))
    {
        let why = format!("{takes}; the cluster of `{folder}` calls itself `{name}`");
        return Some(Misnamed { meant: Some(name.as_str()), why });
    }
    // Another cluster reads by the same key, so it is the name of one that is not in the input.
    if access.is_key_of_others(key, remote.holder) {
        return None;
    }
    let missing = peers().filter(|c| !access.leads_to(remote.holder, c.id));
    let name = missing.filter_map(|c| told(&c)).find(|name| is_alike(name, key))?;
    let why = format!("{takes}; `{name}`, which is called alike, has no remote secret here");
    Some(Misnamed { meant: Some(name.as_str()), why })
}

/// Whether two names differ in spelling alone, or one is the end of the other.
fn is_alike(a: &str, b: &str) -> bool {
    let (a, b) = (letters(a), letters(b));
    let (long, short) = if a.len() < b.len() { (&b, &a) } else { (&a, &b) };
    short.len() >= 4 && long.ends_with(short.as_str())
}

pub(super) fn unknown_cluster(access: &Access<'_>, found: &mut Findings) {
    // One name that no cluster has any more is often in the secrets of many.
    let mut by_key: BTreeMap<(usize, &str), Vec<(&Remote<'_>, &Text, Misnamed<'_>)>> =
        BTreeMap::new();
    for (remote, _) in access.texts() {
        if is_passed_over(access, remote) {
            continue;
        }
        for Entry { key, .. } in &remote.entries {
            if let Some(misnamed) = misnamed(access, remote, key.as_str()) {
                let mesh = access.mesh().cluster(remote.holder).mesh;
                by_key.entry((mesh, key.as_str())).or_default().push((remote, key, misnamed));
            }
        }
    }
    for ((_, name), secrets) in by_key {
        let [(remote, key, misnamed), more @ ..] = secrets.as_slice() else { continue };
        let others = match more.len() {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let finding = found.say(
            format!("`{name}` in Secret `{}`{others} is the name of no cluster", remote.name()),
            key.span,
            misnamed.why.clone(),
        );
        if let Some(told) = remote.annotation.filter(|_| misnamed.meant.is_some()) {
            finding.also(told.span, "only people read this: for istiod the key is the name");
        }
        for (_, key, _) in more.iter().take(SHOWN) {
            finding.also(key.span, "nor here");
        }
        finding.help(match misnamed.meant {
            Some(name) => format!("call the key `{name}`"),
            None => "call the key what `global.multiCluster.clusterName` is in that cluster".into(),
        });
    }
}

pub(super) fn names_disagree(access: &Access<'_>, found: &mut Findings) {
    for (remote, _) in access.texts() {
        let [Entry { key, .. }] = remote.entries.as_slice() else { continue };
        if is_passed_over(access, remote)
            || is_placeholder(key)
            || misnamed(access, remote, key.as_str()).is_some()
        {
            continue;
        }
        let suffix = remote.name().strip_prefix(REMOTE_PREFIX);
        let suffix = suffix.filter(|s| !is_placeholder(s) && !is_called(s, key));
        let annotation = remote.annotation.filter(|a| !is_placeholder(a) && *a != *key);
        let others: Vec<&str> = suffix.into_iter().chain(annotation.map(|a| a.as_str())).collect();
        let Some(first) = others.first() else { continue };
        let finding = found.say(
            format!("remote secret `{}` is for `{key}`, and speaks of `{first}`", remote.name()),
            key.span,
            "for istiod the key is the name",
        );
        if let Some(told) = annotation {
            finding.also(told.span, "istiod does not read this");
        }
        if suffix.is_some() {
            finding.also(remote.at, "nor this");
        }
        finding.help(format!("say `{key}` in all places, or mend the key"));
    }
}

/// Names of Secrets have small letters, digits, hyphens and dots only, and `istioctl` makes others so.
fn is_called(suffix: &str, key: &str) -> bool {
    letters(suffix) == letters(key)
}

/// Whether a remote secret stands where an external control plane has no kubeconfig for its own cluster:
/// that this is missing is another rule's.
fn stands_for_kubeconfig(mesh: &Mesh, remote: &Remote<'_>) -> bool {
    let (cluster, namespace) = (remote.holder, remote.namespace);
    mesh.cluster(cluster).hosted_namespace() == Some(namespace)
        && !mesh.secrets.of_namespace(cluster, namespace).any(|s| s.name() == CONFIG_SECRET)
        && !mesh.makes_secret(cluster, namespace, CONFIG_SECRET)
}

pub(super) fn for_self(access: &Access<'_>, found: &mut Findings) {
    for (remote, all) in access.texts() {
        let mesh = access.mesh();
        if is_passed_over(access, remote)
            || mesh.is_assumed(remote.meta)
            || stands_for_kubeconfig(mesh, remote)
        {
            continue;
        }
        let of = |holder: ClusterId| access.of_cluster(holder).iter().find(|r| r.at == remote.at);
        for Entry { key, .. } in &remote.entries {
            let own: Vec<ClusterId> = all
                .iter()
                .copied()
                .filter(|id| {
                    of(*id).is_some_and(|r| access.target(r, key.as_str()) == Target::Itself)
                })
                .collect();
            if own.is_empty() {
                continue;
            }
            let name = holders(access, &own);
            let finding = found.say(
                format!("{name} has a remote secret for itself"),
                key.span,
                format!("the name of {name} itself: its istiod passes over this"),
            );
            finding.help("leave it out there: a cluster needs remote secrets for the others only");
            if all.len() > own.len() {
                finding.milder(Severity::Note, ", as a text for all clusters has it");
            }
        }
    }
}

pub(super) fn duplicate_id(access: &Access<'_>, found: &mut Findings) {
    let mut told: Vec<(Span, Span)> = Vec::new();
    for cluster in access.mesh().clusters() {
        let mut by_key: BTreeMap<&str, Vec<(&Remote<'_>, &Entry<'_>)>> = BTreeMap::new();
        for remote in access.of_cluster(cluster.id).iter().filter(|r| access.is_read(r)) {
            if access.mesh().is_assumed(remote.meta) {
                continue;
            }
            for entry in remote.entries.iter().filter(|e| !is_placeholder(e.key)) {
                let same = by_key.entry(entry.key.as_str()).or_default();
                // A SealedSecret and what it is made from are one Secret.
                let is_new = same
                    .iter()
                    .all(|(r, _)| (r.namespace, r.name()) != (remote.namespace, remote.name()));
                if is_new && access.target(remote, entry.key.as_str()) != Target::Itself {
                    same.push((remote, entry));
                }
            }
        }
        for (key, same) in by_key.into_iter().filter(|(_, same)| same.len() > 1) {
            let (first, second) = (same[0].1.key.span, same[1].1.key.span);
            if told.contains(&(first, second)) {
                continue;
            }
            told.push((first, second));
            say_duplicate(access, found, key, &same);
        }
    }
}

fn say_duplicate(
    access: &Access<'_>,
    found: &mut Findings,
    key: &str,
    same: &[(&Remote<'_>, &Entry<'_>)],
) {
    let names = list(same.iter().map(|(remote, _)| remote.name()));
    let cluster = access.mesh().cluster_name(same[0].0.holder);
    let finding = found.say(
        format!("`{key}` stands in several remote secrets of `{cluster}`: {names}"),
        same[1].1.key.span,
        "istiod takes the one it sees first, after a restart perhaps the other",
    );
    for (remote, entry) in same.iter().filter(|(_, e)| e.key.span != same[1].1.key.span).take(SHOWN)
    {
        finding.also(entry.key.span, format!("in `{}` too", remote.name()));
    }
    finding.help("keep one of them; give each cluster a name of its own");
    let servers: Vec<_> = same.iter().map(|(_, e)| server(e).map(|s| s.server.as_str())).collect();
    if servers[0].is_some() && servers.iter().all(|s| *s == servers[0]) {
        finding.milder(Severity::Warning, ", all for the same server");
    }
}

pub(super) fn server<'m>(entry: &Entry<'m>) -> Option<&'m Server> {
    let Content::Kubeconfig(config) = &entry.held?.content else { return None };
    let (cluster, _) = used(config)?;
    // What cannot be another cluster's API server has its own finding.
    let is_known = server_name(&cluster.it.server).is_some() && unreachable(config).is_none();
    is_known.then_some(&cluster.it)
}

/// What tells one API server from another: its URL, and how it is reached.
pub(super) fn identity(server: &Server) -> (String, Option<&str>, Option<&str>) {
    let url = server.server.trim().trim_end_matches('/').to_ascii_lowercase();
    let url = match url.strip_prefix("https://") {
        Some(rest) if !rest.contains('/') => rest.trim_end_matches(":443").to_owned(),
        _ => url,
    };
    (
        url,
        server.tls_server_name.as_ref().map(|t| t.as_str()),
        server.proxy_url.as_ref().map(|t| t.as_str()),
    )
}

pub(super) fn same_apiserver_two_ids(access: &Access<'_>, found: &mut Findings) {
    let mut told: Vec<(Span, Span)> = Vec::new();
    for cluster in access.mesh().clusters() {
        let read = access.of_cluster(cluster.id).iter().filter(|r| access.is_read(r));
        let mut by_server: BTreeMap<_, Vec<(&Entry<'_>, &Server)>> = BTreeMap::new();
        for entry in read.flat_map(|r| &r.entries) {
            if let Some(server) = server(entry) {
                let same = by_server.entry(identity(server)).or_default();
                if same.iter().all(|(e, _)| e.key != entry.key) {
                    same.push((entry, server));
                }
            }
        }
        for same in by_server.into_values().filter(|same| same.len() > 1) {
            let (one, other) = (same[0], same[1]);
            let ca = |s: &Server| s.certificate_authority_data.as_ref().map(|ca| ca.value.clone());
            let differ = matches!((ca(one.1), ca(other.1)), (Some(a), Some(b)) if a != b);
            let places = (one.0.key.span, other.0.key.span);
            if differ || told.contains(&places) {
                continue;
            }
            told.push(places);
            let names = list(same.iter().map(|(e, _)| e.key.as_str()));
            let host = server_name(&one.1.server).unwrap_or_default();
            found
                .say(
                    format!("{names} are one API server: {}", shown(host)),
                    other.0.key.span,
                    "istiod takes its endpoints in twice, once as another cluster's",
                )
                .also(one.0.key.span, "the same server")
                .help("let each kubeconfig lead to the cluster that its key names");
        }
    }
}

pub(super) fn many_clusters(access: &Access<'_>, found: &mut Findings) {
    for (remote, _) in access.texts() {
        let is_labelled = matches!(remote.label, Label::Right);
        let [first, second, ..] = remote.entries.as_slice() else { continue };
        if !is_labelled || is_passed_over(access, remote) {
            continue;
        }
        found
            .say(
                format!(
                    "remote secret `{}` holds {} clusters",
                    remote.name(),
                    remote.entries.len()
                ),
                second.key.span,
                "to cut off one of them means to edit what holds the others",
            )
            .also(first.key.span, "beside this one")
            .help("make a Secret for each cluster: deleting it cuts that cluster off");
    }
}

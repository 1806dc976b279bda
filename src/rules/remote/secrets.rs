//! Remote secrets as a whole: label, namespace, what stands under their keys.

use super::texts::{kept, what};
use crate::access::{Access, Kind, Label, Maker, Remote, refusal, server_name, shown, unreachable};
use crate::clusters::{Cluster, Role};
use crate::finding::{Findings, Severity};
use crate::kinds::kubeconfig::{Content, Held};
use crate::mesh::list;
use crate::rules::SHOWN;
use crate::source::Span;

pub(super) fn label_missing(access: &Access<'_>, found: &mut Findings) {
    for (remote, _) in access.texts() {
        if access.mesh().is_assumed(remote.meta) {
            continue;
        }
        let name = remote.name();
        let kind = remote.meta.kind.as_str();
        let (at, label) = match remote.label {
            Label::Wrong(told) => (told.span, format!("istiod wants `true`, not `{told}`")),
            Label::Absent => (remote.at, "istiod never looks at it".to_owned()),
            Label::Right | Label::Unseen => continue,
        };
        let of = match remote.maker {
            Maker::Nobody => format!("Secret `{name}`"),
            Maker::Sealed | Maker::External => format!("the Secret that {kind} `{name}` makes"),
        };
        let place = match remote.maker {
            Maker::Nobody => "metadata.labels",
            Maker::Sealed => "spec.template.metadata.labels",
            Maker::External => "spec.target.template.metadata.labels",
        };
        let leads = match remote.entries.first().map(|e| e.key).or(remote.annotation) {
            Some(to) => format!(" for `{to}`"),
            None => String::new(),
        };
        found
            .say(format!("{of}{leads} has no label `istio/multiCluster: \"true\"`"), at, label)
            .help(format!("add `istio/multiCluster: \"true\"` under `{place}`"));
    }
}

pub(super) fn wrong_namespace(access: &Access<'_>, found: &mut Findings) {
    for remote in access.remotes() {
        let mesh = access.mesh();
        let is_labelled = matches!(remote.label, Label::Right | Label::Unseen);
        // That an external control plane does not look for it here is another rule's.
        let hosted = mesh.hosted_by(remote.holder).filter_map(Cluster::hosted_namespace);
        if hosted.into_iter().any(|namespace| namespace == remote.namespace) {
            continue;
        }
        if !is_labelled || !access.is_misplaced(remote) || mesh.is_assumed(remote.meta) {
            continue;
        }
        let cluster = mesh.cluster(remote.holder);
        let namespaces = list(access.namespaces(remote.holder));
        let at = remote.meta.namespace.as_ref().map_or(remote.at, |ns| ns.span);
        let finding = found.say(
            format!(
                "remote secret `{}` is in namespace `{}`, and istiod of `{}` reads those in {namespaces}",
                remote.name(),
                remote.namespace,
                cluster.name
            ),
            at,
            format!("not the namespace of istiod, {namespaces}: nobody reads it"),
        );
        finding.help(format!("put it into {namespaces}"));
        let is_told = cluster.facts.role.iter().any(|(role, _)| *role == Role::Primary)
            || !cluster.facts.system_namespace.is_empty();
        if !is_told {
            finding.milder(Severity::Warning, ", unless its control plane runs elsewhere");
        }
    }
}

pub(super) fn empty(access: &Access<'_>, found: &mut Findings) {
    for (remote, _) in access.texts() {
        for held in remote.held() {
            let (why, help) = match &held.content {
                Content::Empty => ("nothing stands under it", "put the kubeconfig there"),
                Content::Placeholder => (
                    "base64 of a placeholder: nothing fills it in there",
                    "encode the kubeconfig itself, or write the placeholder under `stringData`",
                ),
                Content::NotBase64 => (
                    "no base64: the API server refuses the Secret",
                    "encode it in base64, or move it to `stringData`",
                ),
                Content::Foreign => (
                    "no kubeconfig: YAML with `clusters`, `users` and `contexts`",
                    "make the Secret with `istioctl create-remote-secret --name=CLUSTER`",
                ),
                Content::Unseen | Content::Kubeconfig(_) => continue,
            };
            found
                .say(format!("{} is no kubeconfig", what(remote, held)), held.key.span, why)
                .help(help);
        }
        if remote.maker == Maker::Nobody && remote.entries.is_empty() && !is_filled(access, remote)
        {
            found
                .say(
                    format!("remote secret `{}` has no key", remote.name()),
                    remote.at,
                    "istiod takes each key for the name of a cluster: here is none",
                )
                .help("add the kubeconfig under the name of its cluster");
        }
    }
}

/// Whether something may put keys into a Secret that stands empty in the input.
fn is_filled(access: &Access<'_>, remote: &Remote<'_>) -> bool {
    let mesh = access.mesh();
    let meta = remote.meta;
    let copies =
        |key: &str| ["replicat", "reflect", "inject", "vault"].iter().any(|w| key.contains(w));
    mesh.is_assumed(meta)
        || meta.is_unread("data")
        || meta.is_unread("stringData")
        || meta.annotations.iter().any(|(key, _)| copies(key))
        || mesh.has_opaque_secret(remote.holder, remote.namespace, remote.name())
}

pub(super) fn kubeconfig_broken(access: &Access<'_>, found: &mut Findings) {
    for kept in kept(access) {
        let Some(refusal) = refusal(kept.config).filter(|r| r.kind == Kind::Broken) else {
            continue;
        };
        found
            .say(
                format!("istiod refuses the kubeconfig {}", kept.what()),
                kept.at(refusal.at),
                refusal.why,
            )
            .help(
                "let `current-context` name a context, and that a cluster and a user of the same \
                 kubeconfig; `istioctl create-remote-secret` writes one of each",
            );
    }
}

pub(super) fn server_unreachable(access: &Access<'_>, found: &mut Findings) {
    for kept in kept(access) {
        let Some((cluster, why)) = unreachable(kept.config) else { continue };
        let host = server_name(&cluster.it.server).unwrap_or_default();
        found
            .say(
                format!(
                    "the API server of `{}` is {}, seen from istiod",
                    kept.held.key,
                    shown(host)
                ),
                kept.at(Some(cluster.it.server.span)),
                format!("istiod runs in a pod: there this is {why}"),
            )
            .help(
                "name an address that pods of the other clusters reach: \
                 `istioctl create-remote-secret --server=https://...`",
            );
    }
}

pub(super) fn plaintext_in_git(access: &Access<'_>, found: &mut Findings) {
    for (remote, _) in access.texts() {
        let places = remote.held().filter_map(|held| Some((held, secret_in(held)?)));
        let mut places = places.collect::<Vec<_>>().into_iter();
        let Some((held, (at, what))) = places.next() else { continue };
        if is_snapshot(access, remote) {
            continue;
        }
        let finding = found.say(
            format!("anybody who sees this file may read the API server of `{}`", held.key),
            if at == held.at { held.key.span } else { at },
            format!("{what}, in plain text"),
        );
        for (held, (at, what)) in places.take(SHOWN) {
            let at = if at == held.at { held.key.span } else { at };
            finding.also(at, format!("{what} for `{}`", held.key));
        }
        finding.help(
            "seal it (SealedSecret, SOPS) or fetch it (ExternalSecret), and make a new token: istiod's \
             reader may read every Secret of the cluster, and this one stays in the history",
        );
    }
}

/// A credential that can be read in a kubeconfig, and what it is.
fn secret_in(held: &Held) -> Option<(Span, &'static str)> {
    let Content::Kubeconfig(config) = &held.content else { return None };
    config.users.iter().find_map(|user| {
        let token = user.it.token.as_ref().map(|token| &token.at);
        let ways = [
            (token, "a token"),
            (user.it.client_key_data.as_ref(), "a private key"),
            (user.it.password.as_ref(), "a password"),
        ];
        ways.into_iter().find_map(|(at, what)| {
            let at = at.filter(|at| !at.is_open && !at.is_empty)?;
            Some((at.span, what))
        })
    })
}

/// Whether a text was read from a cluster, where Secrets stand in plain text.
fn is_snapshot(access: &Access<'_>, remote: &Remote<'_>) -> bool {
    let text = access.mesh().raw(remote.meta.span);
    text.contains("resourceVersion:") || text.contains("\"resourceVersion\":")
}

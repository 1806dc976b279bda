//! Why istiod takes a kubeconfig or refuses it.

use super::credential::{holds_certificate, used};
use crate::kinds::is_placeholder;
use crate::kinds::kubeconfig::{Kubeconfig, Named, Server, User};
use crate::source::Span;

/// Why istiod refuses a kubeconfig. It says so in its log, and does not try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where the reason stands; `None` where something is not there.
    pub at: Option<Span>,
    /// The reason, for people.
    pub why: String,
    /// What sort of reason.
    pub kind: Kind,
}

/// What sort of reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It does not fit together: names nothing, or names what is not there.
    Broken,
    /// A way to prove oneself that istiod does not allow, unless it is told to allow this option.
    NotAllowed(&'static str),
    /// Certificates to check the server by, and the word not to check it.
    Contradiction,
}

/// The first reason for which istiod refuses a kubeconfig whatever it is told to allow.
/// Sources: `clientcmd.Validate`, `ConfirmUsable`, `rest.TLSConfigFor`.
pub fn refusal(config: &Kubeconfig) -> Option<Refusal> {
    let broken = |at: Option<Span>, why: String| Some(Refusal { at, why, kind: Kind::Broken });
    let Some(current) = config.current_context.as_ref().filter(|c| !c.is_empty()) else {
        return broken(None, "it has no `current-context`, so none of its contexts is used".into());
    };
    if is_placeholder(current) {
        return None;
    }
    if find(&config.contexts, current).is_none() {
        let why = format!("its `current-context` is {}, which is not there", shown(current));
        return broken(Some(current.span), why);
    }
    for context in &config.contexts {
        let name = shown(&context.name);
        for (what, told, is_there) in [
            ("cluster", &context.it.cluster, find(&config.clusters, &context.it.cluster).is_some()),
            ("user", &context.it.user, find(&config.users, &context.it.user).is_some()),
        ] {
            if told.is_empty() {
                return broken(None, format!("its context {name} names no {what}"));
            }
            if !is_there && !is_placeholder(told) {
                let why = format!(
                    "its context {name} names the {what} {}, which is not there",
                    shown(told)
                );
                return broken(Some(told.span), why);
            }
        }
    }
    let server = config.clusters.iter().find(|c| c.it.server.trim().is_empty());
    if let Some(cluster) = server {
        return broken(None, format!("its cluster {} has no `server`", shown(&cluster.name)));
    }
    config.clusters.iter().find_map(cluster_refusal).or_else(|| config.users.iter().find_map(user))
}

fn cluster_refusal(cluster: &Named<Server>) -> Option<Refusal> {
    let name = shown(&cluster.name);
    let ca = cluster.it.certificate_authority_data.as_ref().filter(|ca| !ca.is_empty());
    let file = cluster.it.certificate_authority.as_ref().filter(|file| !file.is_empty());
    if let (Some(_), Some(file)) = (ca, file) {
        let why = format!(
            "its cluster {name} has both `certificate-authority` and `certificate-authority-data`"
        );
        return Some(Refusal { at: Some(file.span), why, kind: Kind::Broken });
    }
    let skips = cluster.it.insecure_skip_tls_verify.as_ref().filter(|skip| skip.value)?;
    (ca.is_some() || file.is_some()).then(|| Refusal {
        at: Some(skips.span),
        why: format!(
            "its cluster {name} has certificates to check the server by, and `insecure-skip-tls-verify`"
        ),
        kind: Kind::Contradiction,
    })
}

fn user(user: &Named<User>) -> Option<Refusal> {
    let name = shown(&user.name);
    let it = &user.it;
    let has_certificate = it.client_certificate_data.as_ref().is_some_and(|c| !c.is_empty())
        || it.client_certificate.is_some();
    let has_key =
        it.client_key_data.as_ref().is_some_and(|k| !k.is_empty) || it.client_key.is_some();
    if has_certificate && !has_key {
        let why = format!("its user {name} has a certificate without a key");
        return Some(Refusal { at: None, why, kind: Kind::Broken });
    }
    let data = it.client_certificate_data.as_ref();
    let data = data.filter(|data| !data.is_empty() && !is_placeholder(data));
    if let Some(data) = data.filter(|data| !holds_certificate(data)) {
        let why = format!("its user {name} has no certificate in `client-certificate-data`");
        return Some(Refusal { at: Some(data.span), why, kind: Kind::Broken });
    }
    let has_token = it.token.as_ref().is_some_and(|token| !token.at.is_empty);
    let has_password = it.username.as_ref().or(it.password.as_ref()).filter(|p| !p.is_empty);
    let second = has_password.filter(|_| has_token)?;
    let why = format!("its user {name} has a token and a password");
    Some(Refusal { at: Some(second.span), why, kind: Kind::Broken })
}

/// The first way to prove oneself that istiod does not allow by itself: those that run programs or read
/// files of istiod's own. Any user of a kubeconfig counts, used or not. Source: `sanitizeKubeConfig`.
pub fn is_not_allowed(config: &Kubeconfig, allowed: &[&str]) -> Option<Refusal> {
    config.users.iter().find_map(|user| {
        let it = &user.it;
        let text = |t: &Option<crate::source::Text>| t.as_ref().map(|t| t.span);
        let provider = it.auth_provider.as_ref().filter(|p| p.name != "oidc");
        let ways = [
            ("auth-provider", "an `auth-provider` other than `oidc`", provider.map(|p| p.span)),
            ("clientKey", "a file for its key", text(&it.client_key)),
            ("clientCertificate", "a file for its certificate", text(&it.client_certificate)),
            ("tokenFile", "a file for its token", text(&it.token_file)),
            ("exec", "a program for its token", it.exec.as_ref().map(|e| e.span)),
        ];
        let is_allowed = |option: &str| match (option, provider) {
            ("auth-provider", Some(provider)) => allowed.contains(&provider.name.as_str()),
            _ => allowed.contains(&option),
        };
        ways.into_iter().find_map(|(option, what, at)| {
            let at = at.filter(|_| !is_allowed(option))?;
            let why = format!("its user {} has {what}", shown(&user.name));
            Some(Refusal { at: Some(at), why, kind: Kind::NotAllowed(option) })
        })
    })
}

/// Why the API server of a kubeconfig cannot be another cluster's, seen from istiod's pod: its host, and
/// what that leads to.
pub fn unreachable(config: &Kubeconfig) -> Option<(&Named<Server>, &'static str)> {
    let cluster = used(config).map(|(cluster, _)| cluster)?;
    if cluster.it.proxy_url.as_ref().is_some_and(|proxy| !proxy.is_empty()) {
        return None;
    }
    let host = server_name(&cluster.it.server)?;
    let host = host.trim_start_matches('[').split(']').next().unwrap_or_default();
    let name = if host.contains("::") { host } else { host.split(':').next().unwrap_or_default() };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let why = match name.as_str() {
        "localhost" | "::1" | "0.0.0.0" | "::" => "istiod's own pod",
        name if name.starts_with("127.") => "istiod's own pod",
        "kubernetes" | "kubernetes.default" => "the API server of istiod's own cluster",
        name if name.starts_with("kubernetes.default.svc") => {
            "the API server of istiod's own cluster"
        }
        "host.docker.internal" | "gateway.docker.internal" => {
            "a name that only Docker Desktop knows"
        }
        name if name.starts_with("169.254.") => {
            "an address of one link, that no other host reaches"
        }
        _ => return None,
    };
    Some((cluster, why))
}

/// Host and port of a URL, without credentials and path; `None` where it is still to be filled in.
pub fn server_name(url: &str) -> Option<&str> {
    if is_placeholder(url) || url.trim().is_empty() {
        return None;
    }
    let rest = url.trim().split_once("://").map_or(url.trim(), |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    (!host.is_empty()).then_some(host)
}

/// A name from within a kubeconfig as a message shows it: not where it may be a token or a key that got
/// into the wrong field.
pub fn shown(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@[]".contains(c);
    let is_name = name.len() <= 80 && name.chars().all(is_plain) && !name.starts_with("eyJ");
    if is_name { format!("`{name}`") } else { "(name withheld)".to_owned() }
}

fn find<'k, T>(all: &'k [Named<T>], name: &str) -> Option<&'k Named<T>> {
    all.iter().find(|named| named.name.as_str() == name)
}

#[cfg(test)]
mod tests {
    use super::{server_name, shown};

    #[test]
    fn a_server_is_named_without_what_it_must_not_tell() {
        assert_eq!(
            server_name("https://u:p@api.west.example:6443/k8s?x=1"),
            Some("api.west.example:6443")
        );
        assert_eq!(server_name("api.west.example"), Some("api.west.example"));
        assert_eq!(server_name("https://${SERVER}"), None);
        assert_eq!(shown("west"), "`west`");
        assert_eq!(shown("eyJhbGciOiJub25lIn0.e30."), "(name withheld)");
    }
}

//! Which cluster's istiod may read which API server, by what, and whether that holds.

use std::fmt;

use super::credential::{Auth, auth, expiry, used};
use super::refusal::{is_not_allowed, refusal, server_name, unreachable};
use super::remote::{Access, Entry, Label, Remote, Target};
use crate::clusters::ClusterId;
use crate::kinds::kubeconfig::{Content, Held};
use crate::source::Span;
use crate::trust::Time;

/// A way from one cluster's istiod to the API server of another.
#[derive(Clone, Debug)]
pub struct Edge<'m> {
    /// The cluster that has the secret.
    pub from: ClusterId,
    /// The cluster of the input that it leads to.
    pub to: Option<ClusterId>,
    /// What that is called in the secret.
    pub name: &'m str,
    /// Name of the secret.
    pub secret: &'m str,
    /// Where its key stands.
    pub at: Span,
    /// What istiod proves itself with.
    pub auth: Auth,
    /// When that ends.
    pub expires: Option<Time>,
    /// Whether it holds.
    pub state: State,
}

/// Whether an istiod gets to an API server, as far as files tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing speaks against it.
    Ok,
    /// What it proves itself with has ended.
    Expired,
    /// istiod does not use the secret, or cannot.
    Refused(String),
    /// The input does not show enough.
    Unknown(&'static str),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Expired => f.write_str("expired"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}

impl State {
    /// The state in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Expired => "expired",
            Self::Refused(_) => "refused",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Why, where there is more to tell.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Ok | Self::Expired => None,
            Self::Refused(why) => Some(why),
            Self::Unknown(why) => Some(why),
        }
    }
}

/// All ways, ordered by the cluster they start from and then by place. A secret for the cluster itself is
/// none: istiod passes over it.
pub fn edges<'m>(access: &Access<'m>) -> Vec<Edge<'m>> {
    let mut found: Vec<Edge<'m>> = Vec::new();
    for remote in access.remotes() {
        for entry in &remote.entries {
            let to = match access.target(remote, entry.key.as_str()) {
                Target::Itself => continue,
                Target::Cluster(to) => Some(to),
                Target::Elsewhere(_) | Target::Unseen => None,
            };
            found.push(edge(access, remote, entry, to));
        }
    }
    found
}

fn edge<'m>(
    access: &Access<'m>,
    remote: &Remote<'m>,
    entry: &Entry<'m>,
    to: Option<ClusterId>,
) -> Edge<'m> {
    let user = match entry.held.map(|held| &held.content) {
        Some(Content::Kubeconfig(config)) => used(config).map(|(_, user)| &user.it),
        _ => None,
    };
    let expires = user.and_then(expiry).map(|e| e.at);
    let state = unread(access, remote).unwrap_or_else(|| match entry.held {
        Some(held) => of_content(access, remote, held, expires),
        None => State::Unknown("made in the cluster"),
    });
    Edge {
        from: remote.holder,
        to,
        name: entry.key.as_str(),
        secret: remote.name(),
        at: entry.key.span,
        auth: user.map_or(Auth::Unknown, auth),
        expires,
        state,
    }
}

/// Why istiod does not even look at a secret.
fn unread(access: &Access<'_>, remote: &Remote<'_>) -> Option<State> {
    if matches!(remote.label, Label::Absent | Label::Wrong(_)) {
        return Some(State::Refused("no label `istio/multiCluster: \"true\"`".to_owned()));
    }
    access.is_misplaced(remote).then(|| {
        let namespaces = access.namespaces(remote.holder).join(", ");
        State::Refused(format!("in namespace {}, istiod reads {namespaces}", remote.namespace))
    })
}

fn of_content(
    access: &Access<'_>,
    remote: &Remote<'_>,
    held: &Held,
    expires: Option<Time>,
) -> State {
    let refused = |why: &str| State::Refused(why.to_owned());
    let config = match &held.content {
        Content::Unseen => return State::Unknown("encrypted, or filled in elsewhere"),
        Content::Empty => return refused("empty"),
        Content::Placeholder => return refused("a placeholder in base64"),
        Content::NotBase64 => return refused("no base64"),
        Content::Foreign => return refused("no kubeconfig"),
        Content::Kubeconfig(config) => config,
    };
    let allowed = access.allowed(remote.holder);
    let not_allowed = is_not_allowed(config, allowed.as_deref().unwrap_or_default());
    if let Some(refusal) = refusal(config) {
        return State::Refused(refusal.why);
    }
    if let Some(refusal) = not_allowed {
        return match allowed {
            Some(_) => State::Refused(refusal.why),
            None => State::Unknown("istiod may be told to allow it, or not"),
        };
    }
    if let Some((_, why)) = unreachable(config) {
        return State::Refused(format!("its server is {why}"));
    }
    if expires.is_some_and(|end| end <= Time(access.mesh().now())) {
        return State::Expired;
    }
    let Some((cluster, user)) = used(config) else {
        return State::Unknown("filled in elsewhere");
    };
    let is_open = server_name(&cluster.it.server).is_none()
        || user.it.token.as_ref().is_some_and(|t| t.at.is_open && !held.is_encoded);
    if is_open { State::Unknown("filled in elsewhere") } else { State::Ok }
}

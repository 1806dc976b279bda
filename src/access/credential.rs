//! What istiod proves itself with at another cluster's API server, and how long.

use std::fmt;

use crate::kinds::kubeconfig::{Claims, Kubeconfig, Named, Server, User};
use crate::source::{Span, Text};
use crate::trust::{Certificate, Pem, Time, Value};

/// A way to prove oneself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Auth {
    /// A bearer token.
    Token,
    /// A client certificate.
    Certificate,
    /// A program that makes a token.
    Exec,
    /// An `auth-provider`.
    Provider,
    /// A password.
    Password,
    /// None: the API server takes istiod for anybody.
    Nothing,
    /// The input does not show it.
    Unknown,
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Token => "token",
            Self::Certificate => "certificate",
            Self::Exec => "exec",
            Self::Provider => "auth-provider",
            Self::Password => "password",
            Self::Nothing => "nothing",
            Self::Unknown => "unknown",
        })
    }
}

/// When a credential ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// When.
    pub at: Time,
    /// Where the credential stands.
    pub span: Span,
    /// `token` or `client certificate`.
    pub what: &'static str,
}

/// The cluster and the user of the current context.
pub fn used(config: &Kubeconfig) -> Option<(&Named<Server>, &Named<User>)> {
    let current = config.current_context.as_ref()?;
    let context = config.contexts.iter().find(|c| c.name == *current)?;
    let cluster = config.clusters.iter().find(|c| c.name == context.it.cluster)?;
    let user = config.users.iter().find(|u| u.name == context.it.user)?;
    Some((cluster, user))
}

/// What a user proves itself with.
pub fn auth(user: &User) -> Auth {
    let has = |text: &Option<Text>| text.as_ref().is_some_and(|t| !t.is_empty());
    if user.token.as_ref().is_some_and(|t| !t.at.is_empty) || has(&user.token_file) {
        Auth::Token
    } else if user.exec.is_some() {
        Auth::Exec
    } else if user.auth_provider.is_some() {
        Auth::Provider
    } else if has(&user.client_certificate_data) || has(&user.client_certificate) {
        Auth::Certificate
    } else if user.password.is_some() {
        Auth::Password
    } else {
        Auth::Nothing
    }
}

/// What a user's token claims, where it can be read.
pub fn claims(user: &User) -> Option<(&Claims, Span)> {
    let token = user.token.as_ref()?;
    Some((token.claims.as_ref()?, token.at.span))
}

/// The client certificate of a user, where it can be read.
pub fn certificate(user: &User) -> Option<Certificate> {
    let data = user.client_certificate_data.as_ref()?;
    let pem = Pem::read(&Value::base64(data, data.span));
    let block = pem.blocks.iter().find(|block| block.label == "CERTIFICATE")?;
    Certificate::parse(&block.der, block.span).ok()
}

/// Whether what is to be a certificate in base64 is one in PEM, as far as its first and last line tell.
pub fn holds_certificate(data: &Text) -> bool {
    let pem = Pem::read(&Value::base64(data, data.span));
    pem.blocks.iter().any(|block| block.label == "CERTIFICATE")
}

/// The certificates that an API server is checked by; empty where they cannot be read.
pub fn authorities(server: &Server) -> Vec<Certificate> {
    let Some(data) = &server.certificate_authority_data else { return Vec::new() };
    let pem = Pem::read(&Value::base64(data, data.span));
    let blocks = pem.blocks.iter().filter(|block| block.label == "CERTIFICATE");
    blocks.filter_map(|block| Certificate::parse(&block.der, block.span).ok()).collect()
}

/// When what a user proves itself with ends; `None` where it does not, or nobody can tell.
pub fn expiry(user: &User) -> Option<Expiry> {
    if let Some((claims, span)) = claims(user) {
        return claims.exp.map(|exp| Expiry { at: seconds(exp), span, what: "token" });
    }
    // A token goes first: the certificate beside it does not count for the API server's first look.
    if user.token.as_ref().is_some_and(|t| !t.at.is_empty) {
        return None;
    }
    let certificate = certificate(user)?;
    Some(Expiry { at: certificate.not_after, span: certificate.span, what: "client certificate" })
}

/// Seconds of a claim, which may have a fraction.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the cast saturates, and fractions do not count"
)]
pub fn seconds(claim: f64) -> Time {
    Time(claim as i64)
}

//! Kubeconfigs within Secrets, as far as istiod reads them. Keys and passwords are not kept, and of a
//! token only what it claims.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::{Meta, is_placeholder};
use crate::source::{Span, Spanned, Text};
use crate::yaml::{Shape, Stream, Value};

/// The label by which istiod finds the Secrets that lead to other clusters.
pub const REMOTE_LABEL: &str = "istio/multiCluster";

/// The annotation by which `istioctl` notes where such a Secret leads; istiod does not read it.
pub const CLUSTER_ANNOTATION: &str = "networking.istio.io/cluster";

/// What `istioctl create-remote-secret` calls them, with the cluster's name behind it.
pub const REMOTE_PREFIX: &str = "istio-remote-secret-";

/// The Secret through which an external control plane reaches its config cluster, and its key.
pub const CONFIG_SECRET: &str = "istio-kubeconfig";

const DECODING: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, DECODING);
const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, DECODING);

/// What stands under one key of a Secret.
#[derive(Clone, Debug)]
pub struct Held {
    /// The key: the name under which istiod takes the cluster in.
    pub key: Text,
    /// Where the value stands.
    pub at: Span,
    /// Whether it stands under `data`, in base64.
    pub is_encoded: bool,
    /// What it is.
    pub content: Content,
}

/// What a value of a remote secret is.
#[derive(Clone, Debug)]
pub enum Content {
    /// Encrypted, or still to be filled in.
    Unseen,
    /// Nothing.
    Empty,
    /// Base64 of what someone was to fill in: no pipeline finds it there.
    Placeholder,
    /// Under `data`, and not base64.
    NotBase64,
    /// No kubeconfig: not YAML, or without clusters.
    Foreign,
    /// A kubeconfig.
    Kubeconfig(Box<Kubeconfig>),
}

/// A kubeconfig.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Kubeconfig {
    /// The context that is used; without it istiod uses none.
    pub current_context: Option<Text>,
    /// Pairs of cluster and user.
    pub contexts: Vec<Named<Context>>,
    /// API servers.
    pub clusters: Vec<Named<Server>>,
    /// Who asks them.
    pub users: Vec<Named<User>>,
}

/// An entry of a kubeconfig.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Named<T> {
    /// Its name.
    pub name: Text,
    /// What it is.
    #[serde(alias = "context", alias = "cluster", alias = "user")]
    pub it: T,
}

/// `context`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Context {
    /// Name of the cluster.
    pub cluster: Text,
    /// Name of the user.
    pub user: Text,
}

/// `cluster`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Server {
    /// URL of the API server.
    pub server: Text,
    /// Whether anybody may answer.
    pub insecure_skip_tls_verify: Option<Spanned<bool>>,
    /// Base64 of the certificates that it is checked by.
    pub certificate_authority_data: Option<Text>,
    /// A file of these.
    pub certificate_authority: Option<Text>,
    /// The name that its certificate has to have.
    pub tls_server_name: Option<Text>,
    /// A proxy on the way.
    pub proxy_url: Option<Text>,
}

/// `user`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct User {
    /// A bearer token.
    pub token: Option<Token>,
    /// A file with one.
    #[serde(rename = "tokenFile")]
    pub token_file: Option<Text>,
    /// Base64 of a certificate.
    pub client_certificate_data: Option<Text>,
    /// Base64 of its key.
    pub client_key_data: Option<Withheld>,
    /// A file with a certificate.
    pub client_certificate: Option<Text>,
    /// A file with its key.
    pub client_key: Option<Text>,
    /// A program that makes a token.
    pub exec: Option<Spanned<Exec>>,
    /// Some other way to a token.
    pub auth_provider: Option<Spanned<AuthProvider>>,
    /// A name for a password.
    pub username: Option<Withheld>,
    /// A password.
    pub password: Option<Withheld>,
}

/// `exec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Exec {
    /// The program.
    pub command: String,
}

/// `auth-provider`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AuthProvider {
    /// `oidc`, `gcp`, `azure`, ...
    pub name: String,
}

/// A value of which only the place is kept.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Text")]
pub struct Withheld {
    /// Where it stands.
    pub span: Span,
    /// Whether it is still to be filled in, or encrypted.
    pub is_open: bool,
    /// Whether nothing is written.
    pub is_empty: bool,
}

impl From<Text> for Withheld {
    fn from(text: Text) -> Self {
        Self { span: text.span, is_open: is_open(&text), is_empty: text.trim().is_empty() }
    }
}

/// A bearer token, of which only its place and claims are kept.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Text")]
pub struct Token {
    /// Where it stands.
    pub at: Withheld,
    /// What it says of itself, where it is a JWT.
    pub claims: Option<Claims>,
}

/// Claims of a JWT. Times are in seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Claims {
    /// When it ends; tokens of the old kind never do.
    pub exp: Option<f64>,
    /// When it was made.
    pub iat: Option<f64>,
    /// For whom: `system:serviceaccount:NAMESPACE:NAME`.
    pub sub: Option<String>,
}

impl From<Text> for Token {
    fn from(text: Text) -> Self {
        let mut parts = text.trim().split('.');
        let claims = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(_), Some(claims), Some(_), None) => URL.decode(claims).ok(),
            _ => None,
        };
        let claims = claims.and_then(|json| {
            let text = String::from_utf8(json).ok()?;
            crate::yaml::parse(&text.into(), 0).documents.first()?.root().read::<Claims>().0
        });
        Self { at: text.into(), claims }
    }
}

/// Whether a value is still to be filled in, or encrypted.
fn is_open(text: &str) -> bool {
    let text = text.trim();
    let marks = ["ENC[", "vault:", "ref+", "REDACTED", "***"];
    is_placeholder(text) || marks.iter().any(|mark| text.starts_with(mark))
}

/// The kubeconfigs that a Secret holds. `stringData` goes first, as in the API server.
pub(super) fn held(meta: &Meta, root: Value<'_>) -> Vec<Held> {
    let is_meant = meta.label(REMOTE_LABEL).is_some()
        || meta.annotation(CLUSTER_ANNOTATION).is_some()
        || meta.name.starts_with(REMOTE_PREFIX)
        || meta.name.as_str() == CONFIG_SECRET;
    let mut found: Vec<Held> = Vec::new();
    for (field, is_encoded) in [("stringData", false), ("data", true)] {
        let entries = root.get(field).map(Value::entries).into_iter().flatten();
        for (key, value) in entries {
            let (Some(name), Some(text)) = (key.text(), value.text()) else { continue };
            let known = found.iter().any(|held| held.key.as_str() == name);
            if known || !(is_meant || looks_like_kubeconfig(&text, is_encoded)) {
                continue;
            }
            let content = if is_encoded { decoded(value, &text) } else { plain(value, &text) };
            let key = Text::new(name.into_owned(), key.span());
            found.push(Held { key, at: value.span(), is_encoded, content });
        }
    }
    found
}

/// Whether it may be a kubeconfig, by how these begin, in base64 or not.
fn looks_like_kubeconfig(text: &str, is_encoded: bool) -> bool {
    if is_encoded {
        ["YXBpVmVyc2lvbjog", "Y2x1c3RlcnM6"].iter().any(|begin| text.trim().starts_with(begin))
    } else {
        text.contains("clusters:") && text.contains("current-context:")
    }
}

fn plain(value: Value<'_>, text: &str) -> Content {
    if text.trim().is_empty() {
        return if value.is_null() { Content::Unseen } else { Content::Empty };
    }
    match kubeconfig(&value.embedded()) {
        Content::Foreign if is_open(text) => Content::Unseen,
        content => content,
    }
}

fn decoded(value: Value<'_>, text: &str) -> Content {
    if text.trim().is_empty() {
        return if value.is_null() { Content::Unseen } else { Content::Empty };
    }
    if is_open(text) {
        return Content::Unseen;
    }
    let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let Ok(bytes) = PLAIN.decode(compact) else { return Content::NotBase64 };
    let Ok(inner) = String::from_utf8(bytes) else { return Content::Foreign };
    match inner.trim() {
        "" => Content::Empty,
        only => match kubeconfig(&value.embedded_as(&inner)) {
            Content::Foreign if is_placeholder(only) => Content::Placeholder,
            content => content,
        },
    }
}

fn kubeconfig(stream: &Stream) -> Content {
    let root = stream.documents.first().map(|d| d.root());
    let root = root.filter(|r| r.shape() == Shape::Mapping && stream.errors.is_empty());
    let Some(root) = root.filter(|r| r.get("clusters").is_some()) else { return Content::Foreign };
    // What does not fit is not told of: a message could hold a part of a token.
    match root.read::<Kubeconfig>().0 {
        Some(config) => Content::Kubeconfig(Box::new(config)),
        None => Content::Foreign,
    }
}

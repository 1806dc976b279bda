//! How routes of the Gateway API that are attached to a Service come to count like a VirtualService.

use crate::source::{Span, Text};

/// How routes of the Gateway API come to count like a VirtualService: istiod makes one of those that are
/// attached to one host.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// The kind of the routes.
    pub kind: String,
    /// Their names, the one that counts as the oldest first.
    pub names: Vec<String>,
    /// What istiod calls what it makes, which decides between two that are equally old.
    pub key: String,
    /// What they are attached to.
    pub parent: Parent,
    /// Where each rule is from.
    pub rules: Vec<Origin>,
    /// Why nobody can tell what becomes of them.
    pub open: Option<Text>,
    /// Whether two of them ask for the same, so that the older one gets it.
    pub is_tied: bool,
}

/// What routes are attached to that is no gateway.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parent {
    /// Whether it is a Service, and not a ServiceEntry.
    pub is_service: bool,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Where a rule is from that istiod makes.
#[derive(Clone, Debug)]
pub struct Origin {
    /// ``rule 2 of HTTPRoute `cart` ``.
    pub name: String,
    /// Where it begins.
    pub span: Span,
    /// Whether it asks for more than could be read.
    pub has_unread_matches: bool,
    /// Why nobody can tell where it leads to.
    pub open: Option<Text>,
}

impl Attachment {
    /// Whether it is about HTTP, so that only clients of its own namespace have it unless it stands beside
    /// its parent.
    pub fn is_http(&self) -> bool {
        is_http(&self.kind)
    }
}

/// Whether a kind of route is about HTTP.
pub fn is_http(kind: &str) -> bool {
    matches!(kind, "HTTPRoute" | "GRPCRoute")
}

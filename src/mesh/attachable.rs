//! What policies and routes are attached to by its name.

use super::{In, Lookup, Mesh};
use crate::clusters::ClusterId;
use crate::kinds::gateway_api::GROUP;
use crate::kinds::is_placeholder;

/// What an object names as the thing that it is attached to.
#[derive(Clone, Copy, Debug)]
pub struct Attachable<'t> {
    /// Its API group.
    pub group: &'t str,
    /// Its kind.
    pub kind: &'t str,
    /// Its namespace, which proves nothing where nobody tells it.
    pub namespace: Option<&'t str>,
    /// Its name.
    pub name: &'t str,
}

impl Mesh {
    /// Whether a control plane finds a Gateway, a Service or a `ServiceEntry` that is named so; `Unseen` for
    /// other kinds. Another of the kind in its namespace is the evidence that such are in the input.
    pub fn attachable(&self, plane: ClusterId, what: Attachable<'_>) -> Lookup<()> {
        let ((GROUP, kind @ "Gateway")
        | ("" | "core", kind @ "Service")
        | ("networking.istio.io", kind @ "ServiceEntry")) = (what.group, what.kind)
        else {
            return Lookup::Unseen;
        };
        let Some(namespace) = what.namespace else { return Lookup::Unseen };
        if is_placeholder(namespace) || is_placeholder(what.name) {
            return Lookup::Unseen;
        }
        let known = |id: ClusterId| self.names_of_kind(id, namespace, kind);
        let mut having =
            self.clusters.iter().filter(|c| known(c.id).contains(&what.name)).peekable();
        if having.peek().is_some() {
            let found = having.any(|c| self.same_mesh(c.id, plane));
            return if found { Lookup::Found(()) } else { Lookup::Unseen };
        }
        let of_plane = known(plane);
        let seen = self.cluster(plane).is_complete() || !of_plane.is_empty();
        let may_come = |id: ClusterId| {
            let made = self.is_made_for_gateway(id, namespace, what.name)
                || self.may_be_installed(id, namespace, what.name);
            self.may_have_more(id, kind, namespace) || kind == "Service" && made
        };
        if !seen || self.peers(plane).any(|c| may_come(c.id)) {
            return Lookup::Unseen;
        }
        Lookup::absent(what.name, of_plane)
    }

    /// The names of the objects of one of those kinds in a namespace of a cluster.
    fn names_of_kind(&self, cluster: ClusterId, namespace: &str, kind: &str) -> Vec<&str> {
        match kind {
            "Gateway" => self.api_gateways.of_namespace(cluster, namespace).map(In::name).collect(),
            "Service" => self.services.of_namespace(cluster, namespace).map(In::name).collect(),
            _ => self.service_entries.of_namespace(cluster, namespace).map(In::name).collect(),
        }
    }
}

//! What policies and routes are attached to by its name.

use super::{In, Lookup, Mesh};
use crate::clusters::ClusterId;
use crate::kinds::gateway_api::GROUP;
use crate::kinds::{is_placeholder, may_be};
use crate::source::Text;

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

/// Something of a namespace that an object of another one names.
#[derive(Clone, Copy, Debug)]
pub struct Crossing<'t> {
    /// The cluster whose control plane looks for a grant.
    pub plane: ClusterId,
    /// Kind and namespace of what names it, of the group of the Gateway API.
    pub from: (&'t str, &'t str),
    /// Its kind, of the group of Kubernetes itself.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: &'t str,
    /// Its name.
    pub name: &'t str,
}

impl Mesh {
    /// Whether it is certain that no ReferenceGrant is for something, where that is known or likely.
    pub fn lacks_grant(&self, it: Crossing<'_>) -> Option<bool> {
        let Crossing { plane, namespace, .. } = it;
        if namespace == it.from.1 || self.may_be_granted(it) {
            return None;
        }
        let sure = self.has_seen(plane, "ReferenceGrant", namespace);
        let kept_here = !self.api_grants.of_cluster(plane).is_empty()
            && self.has_seen(plane, it.kind, namespace)
            && !self.may_have_more(plane, "ReferenceGrant", namespace);
        (sure || kept_here).then_some(sure)
    }

    fn may_be_granted(&self, it: Crossing<'_>) -> bool {
        let is = |text: Option<&Text>, wanted: &str| text.is_some_and(|text| may_be(text, wanted));
        self.api_grants.of_namespace(it.plane, it.namespace).any(|grant| {
            let from = grant.from.iter().any(|from| {
                is(from.group.as_ref(), GROUP)
                    && is(from.kind.as_ref(), it.from.0)
                    && is(from.namespace.as_ref(), it.from.1)
            });
            let to = grant.to.iter().any(|to| {
                is(to.group.as_ref(), "")
                    && is(to.kind.as_ref(), it.kind)
                    && to.name.as_ref().is_none_or(|name| is(Some(name), it.name))
            });
            from && to || self.is_assumed(&grant.meta) || !grant.meta.unread.is_empty()
        })
    }

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

//! What policies and routes are attached to by its name.

use super::{Lookup, Mesh};
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
        let (kind, all): (&'static str, Vec<(ClusterId, &str, &str)>) =
            match (what.group, what.kind) {
                (GROUP, "Gateway") => {
                    let all = self.api_gateways.iter();
                    ("Gateway", all.map(|g| (g.cluster, g.namespace.as_str(), g.name())).collect())
                }
                ("" | "core", "Service") => {
                    let all = self.services.iter();
                    ("Service", all.map(|s| (s.cluster, s.namespace.as_str(), s.name())).collect())
                }
                ("networking.istio.io", "ServiceEntry") => {
                    let all = self.service_entries.iter();
                    let all = all.map(|e| (e.cluster, e.namespace.as_str(), e.name()));
                    ("ServiceEntry", all.collect())
                }
                _ => return Lookup::Unseen,
            };
        let Some(namespace) = what.namespace else { return Lookup::Unseen };
        if is_placeholder(namespace) || is_placeholder(what.name) {
            return Lookup::Unseen;
        }
        let here = all.iter().filter(|(_, ns, _)| *ns == namespace);
        let mut same = here.clone().filter(|(.., name)| *name == what.name).peekable();
        if same.peek().is_some() {
            let found = same.any(|(cluster, ..)| self.same_mesh(*cluster, plane));
            return if found { Lookup::Found(()) } else { Lookup::Unseen };
        }
        let of_plane = here.filter(|(cluster, ..)| *cluster == plane).map(|(.., name)| *name);
        let seen = self.cluster(plane).is_complete() || of_plane.clone().next().is_some();
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
}

//! Policies that are for workloads by their labels, for a whole namespace, or for what they are attached to.

use crate::clusters::ClusterId;
use crate::kinds::Meta;
use crate::kinds::parts::TargetRef;
use crate::kinds::security::AuthorizationPolicy;
use crate::kinds::workloads::Selector;
use crate::mesh::{In, Mesh};
use crate::source::Text;
use crate::yaml::Entries;

/// An `AuthorizationPolicy`, `RequestAuthentication`, Telemetry, `WasmPlugin` or `TrafficExtension`.
pub(super) struct Policy<'m> {
    /// The cluster it is read from.
    pub cluster: ClusterId,
    /// Its namespace.
    pub namespace: &'m str,
    /// Its head.
    pub meta: &'m Meta,
    /// What it does.
    pub does: Does<'m>,
    /// Labels of its workloads; none where it is for all of them.
    pub labels: Option<&'m Entries<Text>>,
    /// What it is attached to instead.
    pub targets: Vec<&'m TargetRef>,
}

/// What a policy does.
#[derive(Clone, Copy)]
pub(super) enum Does<'m> {
    /// It allows and denies.
    Authorize(&'m AuthorizationPolicy),
    /// It verifies tokens.
    Authenticate,
    /// It reports.
    Observe,
    /// It runs code.
    Extend,
}

impl<'m> Policy<'m> {
    fn of<S>(
        object: &'m In<S>,
        does: Does<'m>,
        selector: Option<&'m Selector>,
        targets: impl Iterator<Item = &'m TargetRef>,
    ) -> Self {
        Self {
            cluster: object.cluster,
            namespace: &object.namespace,
            meta: &object.meta,
            does,
            labels: selector.map(|s| &s.match_labels).filter(|labels| !labels.is_empty()),
            targets: targets.collect(),
        }
    }

    /// ``AuthorizationPolicy `admins` ``.
    pub fn called(&self) -> String {
        format!("{} `{}`", self.meta.kind, self.meta.name)
    }
}

/// Those that a control plane reads as they stand.
pub(super) fn read(mesh: &Mesh) -> impl Iterator<Item = Policy<'_>> {
    macro_rules! all {
        ($objects:ident, $does:expr) => {
            mesh.$objects.iter().map(|object| {
                let targets = object.target_ref.iter().chain(&object.target_refs);
                Policy::of(object, $does(object), object.selector.as_ref(), targets)
            })
        };
    }
    let authorize = all!(authorization_policies, Does::Authorize);
    let authenticate = all!(request_authentications, |_| Does::Authenticate);
    let observe = all!(telemetries, |_| Does::Observe);
    let extend = all!(wasm_plugins, |_| Does::Extend);
    let all = authorize.chain(authenticate).chain(observe).chain(extend);
    all.filter(|p| mesh.is_read_in(p.cluster) && !mesh.is_assumed(p.meta))
}

//! VirtualServices by host, and the Sidecar of a client.
//!
//! Source: `pilot/pkg/model/push_context.go`, `initVirtualServices`, `initSidecarScopes`.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::importers::Importers;
use super::{Definition, Scope, defining};
use crate::clusters::ClusterId;
use crate::kinds::networking::{Sidecar, VirtualService};
use crate::mesh::{Client, HostPattern, In, Mesh, Order, fqdn, value};
use crate::traffic::step::{Condition, Step, Verdict, has_labels};

type Key<'m> = (ClusterId, &'m str);

/// VirtualServices by host and Sidecars by namespace, each in the order in which istiod takes them.
///
/// That order is by creation, then by name and namespace. Manifests do not tell when they were applied,
/// so it is by name and namespace here, or the other way round.
#[derive(Debug)]
pub struct Index<'m> {
    mesh: &'m Mesh,
    order: Order,
    exact: BTreeMap<(ClusterId, String), Vec<&'m In<VirtualService>>>,
    wildcard: BTreeMap<ClusterId, Vec<(String, &'m In<VirtualService>)>>,
    by_name: BTreeMap<(ClusterId, &'m str, &'m str), &'m In<VirtualService>>,
    sidecars: BTreeMap<Key<'m>, Vec<&'m In<Sidecar>>>,
    importers: Importers<'m>,
}

impl<'m> Index<'m> {
    /// The index of a mesh whose objects were created in this order.
    pub fn of(mesh: &'m Mesh, order: Order) -> Self {
        let mut index = Self {
            mesh,
            order,
            exact: BTreeMap::new(),
            wildcard: BTreeMap::new(),
            by_name: BTreeMap::new(),
            sidecars: BTreeMap::new(),
            importers: Importers::default(),
        };
        let written = mesh.virtual_services.iter().filter(|s| s.is_for_mesh());
        let mut services: Vec<_> = written.chain(mesh.attached(order)).collect();
        services.sort_by(|a, b| order.of(made(a).cmp(&made(b))));
        for service in services {
            for host in &service.hosts {
                let host = fqdn(host, &service.namespace);
                if HostPattern(&host).is_wildcard() {
                    index.wildcard.entry(service.cluster).or_default().push((host, service));
                } else {
                    index.exact.entry((service.cluster, host)).or_default().push(service);
                }
            }
        }
        for service in &mesh.virtual_services {
            let name = (service.cluster, service.namespace.as_str(), service.name());
            index.by_name.entry(name).or_insert(service);
        }
        for sidecar in &mesh.sidecars {
            let place = (sidecar.cluster, sidecar.namespace.as_str());
            index.sidecars.entry(place).or_default().push(sidecar);
        }
        for ((plane, namespace), sidecars) in &mut index.sidecars {
            index.importers.take(*plane, namespace, sidecars);
            sidecars.sort_by(|a, b| {
                let general = |s: &In<Sidecar>| s.workload_selector.is_none();
                general(a).cmp(&general(b)).then_with(|| order.of(age(a).cmp(&age(b))))
            });
        }
        index
    }

    /// The mesh.
    pub fn mesh(&self) -> &'m Mesh {
        self.mesh
    }

    /// In which order two VirtualServices were created.
    pub(super) fn older(&self, a: &In<VirtualService>, b: &In<VirtualService>) -> Ordering {
        self.order.of(made(a).cmp(&made(b)))
    }

    /// The namespaces whose clients may get other routes to a host than all others: that of the host, those
    /// that have VirtualServices for it or are named by them, and those with Sidecars that import it.
    pub fn namespaces_with_other_routes(&self, plane: ClusterId, host: &str) -> BTreeSet<&'m str> {
        let wide = self.wildcards(plane).filter(|(h, _)| HostPattern(h).matches(host));
        let exact = self.exact(plane, host).copied();
        let services: Vec<_> = exact.chain(wide.map(|(_, service)| *service)).collect();
        let mut found = self.namespaces_of(plane, host);
        for service in &services {
            found.insert(service.namespace.as_str());
            found.extend(service.attachment.iter().map(|made| made.parent.namespace.as_str()));
        }
        let importers: Vec<&str> = self.importers.of(plane, host, &found).collect();
        found.extend(importers);
        for service in &services {
            found.extend(service.export_to.iter().map(|to| to.as_str()));
            let http = service.http.iter().flat_map(|rule| &rule.matches);
            let l4 = service.tls.iter().chain(&service.tcp).flat_map(|rule| &rule.matches);
            found.extend(http.filter_map(|m| value(m.source_namespace.as_ref())));
            found.extend(l4.filter_map(|m| value(m.source_namespace.as_ref())));
        }
        found
    }

    /// Whether a namespace has Sidecars of its own.
    pub fn has_sidecars(&self, plane: ClusterId, namespace: &str) -> bool {
        let sidecars: &BTreeMap<(ClusterId, &str), _> = &self.sidecars;
        sidecars.contains_key(&(plane, namespace))
    }

    /// The namespaces in which something defines a host.
    fn namespaces_of(&self, plane: ClusterId, host: &str) -> BTreeSet<&'m str> {
        let definitions = defining(self.mesh, host).flat_map(|host| {
            let services = host.services_of_mesh(plane).map(Definition::Service);
            let entries = host.entries().filter(|e| e.cluster == plane);
            services.chain(entries.map(Definition::Entry))
        });
        definitions.map(Definition::namespace).collect()
    }

    pub(super) fn exact(
        &self,
        plane: ClusterId,
        host: &str,
    ) -> impl Iterator<Item = &&'m In<VirtualService>> {
        self.exact.get(&(plane, host.to_owned())).into_iter().flatten()
    }

    pub(super) fn wildcards(
        &self,
        plane: ClusterId,
    ) -> impl Iterator<Item = &(String, &'m In<VirtualService>)> {
        self.wildcard.get(&plane).into_iter().flatten()
    }

    pub(super) fn by_name(
        &self,
        plane: ClusterId,
        namespace: &str,
        name: &str,
    ) -> Option<&'m In<VirtualService>> {
        // The key's lifetime is that of the mesh, which a look-up need not have.
        let names: &BTreeMap<(ClusterId, &str, &str), &'m In<VirtualService>> = &self.by_name;
        names.get(&(plane, namespace, name)).copied()
    }

    /// The scopes that a client can have: the first whose conditions hold. The last has none. There is
    /// more than one only where a Sidecar selects by labels that nobody knows.
    pub fn scopes<'i>(&'i self, client: Client<'m>, plane: ClusterId) -> Vec<Possible<'i, 'm>> {
        let scope = |sidecar| Scope { index: self, plane, client, sidecar };
        let (mut found, mut steps) = (Vec::new(), Vec::new());
        for sidecar in self.sidecars.get(&(plane, client.namespace)).into_iter().flatten() {
            let (name, when) = (sidecar.name(), self.selects(sidecar, &client));
            let (text, span) = match &when {
                Verdict::Yes => (format!("Sidecar `{name}` is for it"), Some(sidecar.named_at())),
                Verdict::No(why) => {
                    (format!("Sidecar `{name}` is not for it: {}", why.text), why.span)
                }
                Verdict::If(_) => {
                    (format!("Sidecar `{name}` may be for it"), Some(sidecar.named_at()))
                }
            };
            steps.push(Step::new(text, span));
            let when = match when {
                Verdict::No(_) => continue,
                Verdict::Yes => Vec::new(),
                Verdict::If(when) => when,
            };
            let ends = when.is_empty();
            found.push(Possible {
                when,
                steps: std::mem::take(&mut steps),
                scope: scope(Some(sidecar)),
            });
            if ends {
                return found;
            }
        }
        let sidecar = self.root_sidecar(plane);
        if let Some(sidecar) = sidecar {
            let text = format!("Sidecar `{}` of the root namespace is for it", sidecar.name());
            steps.push(Step::new(text, sidecar.named_at()));
        }
        found.push(Possible { when: Vec::new(), steps, scope: scope(sidecar) });
        found
    }

    fn selects(&self, sidecar: &In<Sidecar>, client: &Client<'_>) -> Verdict {
        let wanted = sidecar.workload_selector.as_ref();
        wanted.map_or(Verdict::Yes, |wanted| {
            has_labels(self.mesh, client, "`workloadSelector`", &wanted.labels)
        })
    }

    /// The Sidecar for namespaces that have none: the first of the root namespace without a selector.
    fn root_sidecar(&self, plane: ClusterId) -> Option<&'m In<Sidecar>> {
        let root = self.sidecars.get(&(plane, self.mesh.root_namespace(plane)))?;
        root.iter().copied().find(|s| s.workload_selector.is_none())
    }
}

/// Name and namespace, as istiod compares objects that are equally old.
fn age<S>(object: &In<S>) -> String {
    format!("{}.{}", object.name(), object.namespace)
}

/// The same of a VirtualService, which istiod may make under a name of its own.
fn made(service: &In<VirtualService>) -> String {
    let key = service.attachment.as_ref().map(|made| format!("{}.{}", made.key, service.namespace));
    key.unwrap_or_else(|| age(service))
}

/// What a client sees if some conditions hold.
pub struct Possible<'i, 'm> {
    /// What nobody knows of the client and has to hold.
    pub when: Vec<Condition>,
    /// Which Sidecar applies, and why others do not; each is told once, however many scopes follow.
    pub steps: Vec<Step>,
    /// What it sees then.
    pub scope: Scope<'i, 'm>,
}

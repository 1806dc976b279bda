//! Endpoints that are no pods of a Service: of ServiceEntries, by list or by selector, and
//! WorkloadEntries, which a Service can select too.
//!
//! Source: `pilot/pkg/serviceregistry/serviceentry/conversion.go`, `convertEndpoint`.

use core::net::IpAddr;
use std::sync::Arc;

use super::{Pods, Pool, Supply, Unknown, identity, own_locality, plain};
use crate::clusters::ClusterId;
use crate::kinds::core::Service;
use crate::kinds::is_placeholder;
use crate::kinds::networking::{ServiceEntry, WorkloadEntry};
use crate::kinds::parts::Conditions;
use crate::mesh::{In, Locality, Mesh, selects, value};
use crate::placement::{Bounds, Placements};
use crate::source::{Span, Spanned, Text};
use crate::traffic::endpoint::Health;
use crate::traffic::mtls::MODE_LABEL;
use crate::yaml::Entries;

/// An entry, and whose it is.
#[derive(Clone, Copy)]
pub(super) struct Entry<'m> {
    cluster: ClusterId,
    namespace: &'m str,
    spec: &'m WorkloadEntry,
    span: Span,
}

/// The WorkloadEntries of a namespace that a selector takes; none without one.
pub(super) fn entries<'m>(
    mesh: &'m Mesh,
    cluster: ClusterId,
    namespace: &str,
    selector: Option<&Entries<Text>>,
) -> Vec<Entry<'m>> {
    let Some(selector) = selector.filter(|s| !s.is_empty()) else { return Vec::new() };
    let near = mesh.workload_entries.of_namespace(cluster, namespace);
    let found = near.filter(|e| selects(selector, &e.labels));
    let entry = |e: &'m In<WorkloadEntry>| Entry {
        cluster,
        namespace: &e.namespace,
        spec: &e.resource.spec,
        span: e.named_at(),
    };
    found.map(entry).collect()
}

impl<'m> Supply<'m> {
    pub(super) fn take_service_entry(
        &mut self,
        mesh: &'m Mesh,
        placements: &Placements<'m>,
        of: &'m In<ServiceEntry>,
    ) {
        let resolved = value(of.resolution.as_ref()).is_some_and(|r| r.starts_with("DNS"));
        // Only Envoy's DNS clusters have names for addresses. Source: `endpoint_builder.go`.
        let sent = |e: &&Spanned<WorkloadEntry>| resolved || !is_name(value(e.address.as_ref()));
        for entry in of.endpoints.iter().filter(sent) {
            let (cluster, namespace) = (of.cluster, of.namespace.as_str());
            let span = entry.span;
            self.take_entry(mesh, Entry { cluster, namespace, spec: entry, span }, None);
        }
        if let Some(selector) = &of.workload_selector {
            self.take_selected(mesh, placements, of, &selector.labels);
        }
    }

    /// WorkloadEntries that the control plane reads, and pods of all clusters.
    fn take_selected(
        &mut self,
        mesh: &'m Mesh,
        placements: &Placements<'m>,
        of: &'m In<ServiceEntry>,
        selector: &'m Entries<Text>,
    ) {
        let Some((first, _)) = selector.iter().next() else { return };
        let known = self.pools.len() + self.unknown.len();
        let namespace = of.namespace.as_str();
        for entry in entries(mesh, of.cluster, namespace, Some(selector)) {
            self.take_entry(mesh, entry, None);
        }
        for cluster in mesh.peers(of.cluster) {
            let all = mesh.workloads.of_namespace(cluster.id, namespace).filter(|w| !w.is_owned());
            let labels = |w| &placements.template(w).metadata.labels;
            for workload in all.filter(|w| selects(selector, labels(w))) {
                let pods = Pods::of_workload(placements, workload, None);
                self.take_workload(mesh, workload, &pods, &placements.of(workload));
            }
        }
        if known == self.pools.len() + self.unknown.len() {
            self.unknown.push(Unknown::Selected(first.span));
        }
    }

    pub(super) fn take_entry(
        &mut self,
        mesh: &Mesh,
        of: Entry<'m>,
        service: Option<&'m In<Service>>,
    ) {
        let Entry { cluster, namespace, spec: entry, span } = of;
        let one = Bounds { least: 1, most: 1 };
        let told = value(entry.locality.as_ref()).filter(|told| !told.is_empty());
        let locality = told.map(Locality::parse).or_else(|| own_locality(&entry.labels));
        let locality = locality.unwrap_or_default();
        let written = told.map_or_else(|| locality.to_string(), str::to_owned);
        let labels = Arc::new(plain(&entry.labels));
        let mut identity = identity(mesh, cluster, locality.clone(), Arc::clone(&labels));
        identity.network = value(entry.network.as_ref()).unwrap_or_default().into();
        let tls = value(entry.labels.get(MODE_LABEL));
        let address = entry.address.as_ref().filter(|address| !address.is_empty());
        self.pools.push(Pool {
            cluster,
            zone: locality.without_subzone(),
            identity: Arc::new(identity),
            written: written.into(),
            bounds: one,
            total: one,
            pools: 1,
            on_each_node: false,
            weight: entry.weight.as_ref().map_or(1, |w| w.value),
            health: Health::of(Conditions::default(), &labels, service.map(|s| &*s.resource)),
            addressed: address.is_some(),
            mtls: tls.map_or(entry.service_account.is_some(), |mode| mode == "istio"),
            namespace,
            service,
            name: value(address).unwrap_or_default(),
            span: address.map_or(span, |a| a.span),
        });
    }
}

/// Whether an address is a name, which istiod does not send as an endpoint.
fn is_name(address: Option<&str>) -> bool {
    let address = address.unwrap_or_default();
    let is_other = address.is_empty() || address.starts_with("unix://") || is_placeholder(address);
    !is_other && address.parse::<IpAddr>().is_err()
}

//! Where a request goes: route, policy, endpoints, priorities, shares; now, and after a loss.

pub mod assignment;
mod bounds;
pub mod chance;
pub mod clients;
pub mod counts;
pub mod delivery;
pub mod destination;
pub mod distribution;
pub mod effective;
pub mod endpoint;
pub mod flow;
pub mod journey;
pub mod loss;
pub mod mtls;
pub mod network;
pub mod outliers;
pub mod policy;
mod possible;
pub mod protocol;
pub mod range;
pub mod retries;
pub mod route;
pub mod scope;
pub mod selection;
pub mod setting;
pub mod step;
pub mod story;
pub mod supply;
pub mod view;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::clusters::ClusterId;
use crate::mesh::{Client, Host, Locality, Mesh, Order};
use crate::placement::Placements;
use crate::source::Span;
use clients::Visit;
use destination::Destination;
use effective::EffectivePolicy;
use network::Gateway;
use route::Router;
use supply::Supply;

/// Where the requests of a mesh go.
#[derive(Debug)]
pub struct Traffic<'m> {
    mesh: &'m Mesh,
    placements: Placements<'m>,
    router: Router<'m>,
    /// The same for the other order; made once somebody asks.
    reversed_router: OnceLock<Router<'m>>,
    /// By the number of the mesh.
    gateways: BTreeMap<usize, Vec<Gateway<'m>>>,
    /// By host and number of the mesh. Only looked up, never walked, so its order does not show.
    supplies: Mutex<HashMap<(&'m str, usize, Option<ClusterId>), Arc<Supply<'m>>>>,
    /// What gateways have for hosts of their network. Only looked up as well.
    behind: Mutex<HashMap<Behind<'m>, Arc<Destination<'m>>>>,
    /// By cluster.
    localities: Vec<OnceLock<Vec<Locality>>>,
    /// By cluster.
    kinds_of_clients: Vec<OnceLock<Vec<Vec<Client<'m>>>>>,
    visits: OnceLock<Vec<Visit<'m>>>,
    policies: OnceLock<Vec<EffectivePolicy<'m>>>,
}

/// A gateway's Service (by cluster and place), a host, its port and subset, and the order of creation.
type Behind<'m> = (ClusterId, Span, &'m str, u32, Option<&'m str>, Order);

impl<'m> Traffic<'m> {
    /// Ready to tell of a mesh.
    pub fn of(mesh: &'m Mesh) -> Self {
        let gateways = mesh.meshes().into_iter().filter_map(|clusters| {
            let first = clusters.first()?;
            Some((first.mesh, network::gateways(mesh, first.id)))
        });
        Self {
            mesh,
            placements: Placements::new(mesh),
            router: Router::of(mesh),
            reversed_router: OnceLock::new(),
            gateways: gateways.collect(),
            supplies: Mutex::default(),
            behind: Mutex::default(),
            localities: mesh.clusters().iter().map(|_| OnceLock::new()).collect(),
            kinds_of_clients: mesh.clusters().iter().map(|_| OnceLock::new()).collect(),
            visits: OnceLock::new(),
            policies: OnceLock::new(),
        }
    }

    /// The mesh.
    pub fn mesh(&self) -> &'m Mesh {
        self.mesh
    }

    /// Where its pods can be.
    pub fn placements(&self) -> &Placements<'m> {
        &self.placements
    }

    /// The policies that its DestinationRules come to, in the order of the rules.
    pub fn policies(&self) -> &[EffectivePolicy<'m>] {
        self.policies.get_or_init(|| effective::policies(self.mesh))
    }

    /// What routes its requests.
    pub fn router(&self) -> &Router<'m> {
        &self.router
    }

    /// The same if objects were created in this order.
    pub fn router_by(&self, order: Order) -> &Router<'m> {
        match order {
            Order::Names => &self.router,
            Order::Reversed => {
                self.reversed_router.get_or_init(|| Router::by(self.mesh, Order::Reversed))
            }
        }
    }

    /// The gateways between the networks of a cluster's mesh.
    pub fn gateways(&self, cluster: ClusterId) -> &[Gateway<'m>] {
        self.gateways.get(&self.mesh.cluster(cluster).mesh).map_or(&[], Vec::as_slice)
    }

    /// What is behind a host in the clusters of a cluster's mesh, as its control plane sees it.
    pub fn supply(&self, host: Host<'m>, of: ClusterId) -> Arc<Supply<'m>> {
        // Only ServiceEntries are not the same to all of them.
        let plane =
            host.entries().next().map(|_| self.mesh.config_cluster(of).found().unwrap_or(of));
        let key = (host.name, self.mesh.cluster(of).mesh, plane);
        // A panic elsewhere leaves the map as good as it was.
        let known = self.supplies.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        known.unwrap_or_else(|| {
            let made = Arc::new(Supply::of(self.mesh, &self.placements, host, of));
            let mut supplies = self.supplies.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(supplies.entry(key).or_insert(made))
        })
    }

    /// What a gateway has for a destination of its clients, computed once.
    fn once_behind(
        &self,
        (cluster, gateway): (ClusterId, Span),
        of: &Destination<'m>,
        make: impl FnOnce() -> Destination<'m>,
    ) -> Arc<Destination<'m>> {
        let subset = of.subset.map(|subset| subset.as_str());
        let key = (cluster, gateway, of.host.name, of.port, subset, of.order);
        let known = self.behind.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        known.unwrap_or_else(|| {
            let own = Arc::new(make());
            let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(behind.entry(key).or_insert(own))
        })
    }
}

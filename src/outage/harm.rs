//! What becomes of requests to the hosts that have endpoints in a lost cluster.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::clusters::ClusterId;
use crate::mesh::{Client, Host, Locality};
use crate::traffic::Traffic;
use crate::traffic::counts::Interval;
use crate::traffic::delivery::Delivery;
use crate::traffic::journey::{End, Way};
use crate::traffic::loss::{Lost, Phase};
use crate::traffic::route::Request;
use crate::traffic::supply::Unknown;

/// A host with endpoints in a lost cluster.
#[derive(Debug)]
pub struct Harm<'m> {
    /// The host.
    pub host: Host<'m>,
    /// Whether any are left elsewhere.
    pub stay: Stay,
    /// Whether it is headless: clients choose among the pods that DNS tells them, and Envoy does not.
    pub is_headless: bool,
    /// What clients of each other cluster that may be sent there meet at worst.
    pub shares: BTreeMap<ClusterId, Shares>,
}

/// Where endpoints of a host are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stay {
    /// Nowhere: all are in the lost cluster.
    Nowhere,
    /// None that is in the input, but there may be others.
    Unseen,
    /// In other clusters.
    Elsewhere,
}

/// The shares of requests that fail, at least and at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// As things are.
    pub now: Interval,
    /// While the lost endpoints are still listed.
    pub listed: Interval,
    /// Of these, what fails even after it was tried again.
    pub at_last: Interval,
    /// Once they are taken out.
    pub taken_out: Interval,
    /// Whether outlier detection throws endpoints out that fail, on every way.
    pub ejects: bool,
    /// Whether all that decides is in the input.
    pub is_known: bool,
}

/// Hosts with endpoints in a cluster, and names of hosts of which nobody tells whether they have any there.
pub(super) fn harms<'m>(traffic: &Traffic<'m>, lost: ClusterId) -> (Vec<Harm<'m>>, Vec<&'m str>) {
    let mesh = traffic.mesh();
    let hosts: Vec<Host<'m>> = mesh.hosts().filter(|host| is_called(traffic, *host)).collect();
    let harms = hosts.par_iter().filter_map(|host| harm(traffic, *host, lost)).collect();
    let is_unknown = |host: &&Host<'m>| {
        let supply = traffic.supply(**host, lost);
        let of_lost = |unknown: &Unknown<'_>| match unknown {
            Unknown::Pods(service) => service.cluster == lost,
            Unknown::Zones { cluster, .. } => *cluster == lost,
            _ => false,
        };
        supply.unknown.iter().any(of_lost)
    };
    let unknown = hosts.iter().filter(is_unknown).map(|host| host.name).collect();
    (harms, unknown)
}

/// Whether a host is one that clients of the mesh call, and no gateway to it.
fn is_called(traffic: &Traffic<'_>, host: Host<'_>) -> bool {
    !host.services().any(|service| traffic.mesh().is_gateway(service))
}

fn harm<'m>(traffic: &Traffic<'m>, host: Host<'m>, lost: ClusterId) -> Option<Harm<'m>> {
    let mesh = traffic.mesh();
    let supply = traffic.supply(host, lost);
    let has = |here: bool| {
        let mut pools = supply.pools.iter();
        pools.any(|pool| (pool.cluster == lost) == here && pool.bounds.most > 0)
    };
    if !has(true) {
        return None;
    }
    let stay = match (has(false), supply.is_known()) {
        (true, _) => Stay::Elsewhere,
        (false, true) => Stay::Nowhere,
        (false, false) => Stay::Unseen,
    };
    let mut shares: BTreeMap<ClusterId, Shares> = BTreeMap::new();
    let mut known = Outlooks::new();
    for cluster in mesh.peers(lost).filter(|c| c.id != lost) {
        for client in traffic.clients_of(host, cluster.id) {
            for port in host.ports() {
                let Some(found) = of_client(traffic, client, host, port, lost, &mut known) else {
                    continue;
                };
                let worst = shares.entry(cluster.id).or_insert(found);
                *worst = worst.worse(found);
            }
        }
    }
    let is_headless = host.services().any(|s| s.type_name() == "headless");
    Some(Harm { host, stay, is_headless, shares })
}

/// What is known of clients, by what decides where their requests arrive.
type Outlooks = BTreeMap<String, Shares>;

/// What clients of one namespace meet in the worst of their zones; none where they are never sent to the
/// lost cluster.
fn of_client<'m>(
    traffic: &Traffic<'m>,
    client: Client<'m>,
    host: Host<'m>,
    port: u32,
    lost: ClusterId,
    outlooks: &mut Outlooks,
) -> Option<Shares> {
    let journey = traffic.journey(client, host.name, port, &Request::default());
    // Without a request the way that is taken where no condition holds.
    let way = journey.ways.last()?;
    let is_sent = way.destinations().any(|(destination, _)| {
        !(destination.terms.filter.cluster_local)
            && !matches!(destination.delivery, Delivery::OriginalDestination(_))
            && destination.pools().any(|pool| pool.cluster == lost)
    });
    if !is_sent {
        return None;
    }
    let known = traffic.client_localities(client.cluster);
    let nowhere = [Locality::default()];
    let places = if known.is_empty() { &nowhere[..] } else { known };
    let is_known = way.is_known(traffic) && !journey.order_decides() && !known.is_empty();
    let shares = places.iter().map(|at| {
        let outlook = traffic.outlook(&client, at, way);
        let told = outlooks.entry(outlook);
        let shares = *told.or_insert_with(|| of_place(traffic, &client, at, way, lost));
        Shares { is_known, ..shares }
    });
    shares.reduce(Shares::worse)
}

fn of_place<'m>(
    traffic: &Traffic<'m>,
    client: &Client<'m>,
    at: &Locality,
    way: &Way<'m>,
    lost: ClusterId,
) -> Shares {
    let gone = [Lost::Cluster(lost)];
    let of = |lost: &[Lost], phase| traffic.failing(client, at, way, lost, phase);
    let (now, _) = of(&[], Phase::Noticed);
    let (listed, at_last) = of(&gone, Phase::Unnoticed);
    let (taken_out, _) = of(&gone, Phase::Noticed);
    Shares { now, listed, at_last, taken_out, ejects: ejects(way), is_known: true }
}

/// Whether endpoints that fail are thrown out on every part of a way.
fn ejects(way: &Way<'_>) -> bool {
    way.parts.iter().all(|part| match &part.end {
        End::At(destination) => destination.terms.max_ejection.is_some(),
        _ => true,
    })
}

impl Shares {
    /// The worse of each.
    fn worse(self, other: Self) -> Self {
        let most = |a: Interval, b: Interval| Interval {
            least: a.least.max(b.least),
            most: a.most.max(b.most),
        };
        Self {
            now: most(self.now, other.now),
            listed: most(self.listed, other.listed),
            at_last: most(self.at_last, other.at_last),
            taken_out: most(self.taken_out, other.taken_out),
            ejects: self.ejects && other.ejects,
            is_known: self.is_known && other.is_known,
        }
    }
}

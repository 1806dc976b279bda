//! The way of a client's requests from the host that is called to where they arrive.

use std::sync::Arc;

use super::Traffic;
use super::assignment::Preference;
use super::chance::Chance;
use super::counts::favouring;
use super::delivery::Delivery;
use super::destination::{Asked, Destination};
use super::endpoint::{Health, Identity};
use super::flow::{Counted, Failure, Flow, How, Landing, Offer, flow};
use super::loss::{Lost, Phase};
use super::mtls::{Mtls, takes_mtls};
use super::network::Gateway;
use super::route::{Action, Built, Choice, Leg, Request, Routing};
use super::step::Step;
use super::supply::{self, Pool};
use crate::kinds::networking::VirtualService;
use crate::mesh::{Client, In, Locality, Order};

/// Where a client's requests can go, and why.
#[derive(Clone, Debug)]
pub struct Journey<'m> {
    /// Who sends them. Its locality is where it runs, where that is told.
    pub client: Client<'m>,
    /// How routing comes about, in the order in which it is decided.
    pub steps: Vec<Step>,
    /// The first whose conditions hold is taken. The last has none.
    pub ways: Vec<Way<'m>>,
    /// VirtualServices that would have the host instead, were they older than the one that has it.
    pub rivals: Vec<&'m In<VirtualService>>,
    /// Whether the age of routes of the Gateway API decides which of two rules goes first.
    pub is_tied: bool,
}

/// One way that requests can take.
#[derive(Clone, Debug)]
pub struct Way<'m> {
    /// What routing says.
    pub choice: Choice<'m>,
    /// Where it leads to.
    pub parts: Vec<Part<'m>>,
}

/// A part of the requests of a way.
#[derive(Clone, Debug)]
pub struct Part<'m> {
    /// Its share, 0 to 1.
    pub share: f64,
    /// What becomes of it.
    pub end: End<'m>,
}

/// What becomes of requests.
#[derive(Clone, Debug)]
pub enum End<'m> {
    /// They go to a cluster of Envoy.
    At(Box<Destination<'m>>),
    /// They fail.
    Fails(Failure, Option<Step>),
    /// They leave the mesh, or are answered by the proxy itself.
    Leaves(Step),
    /// It depends on what is not in the input.
    Unseen(Step),
}

impl Journey<'_> {
    /// Whether the order in which objects were created, which files do not tell, decides something:
    /// which VirtualService has the host, or which DestinationRule applies.
    pub fn order_decides(&self) -> bool {
        let mut destinations = self.ways.iter().flat_map(Way::destinations);
        !self.rivals.is_empty()
            || self.is_tied
            || destinations.any(|(destination, _)| destination.rule.order_decides)
    }
}

impl<'m> Way<'m> {
    /// The clusters of Envoy it leads to.
    pub fn destinations(&self) -> impl Iterator<Item = (&Destination<'m>, f64)> {
        self.parts.iter().filter_map(|part| match &part.end {
            End::At(destination) => Some((&**destination, part.share)),
            _ => None,
        })
    }

    /// Whether everything is known of it.
    pub fn is_known(&self, traffic: &Traffic<'m>) -> bool {
        self.parts.iter().all(|part| match &part.end {
            End::At(destination) => destination.doubts(traffic.mesh()).is_empty(),
            End::Unseen(_) => false,
            End::Fails(..) | End::Leaves(_) => true,
        })
    }
}

/// Which of what is possible is computed, and after which loss.
#[derive(Clone, Copy)]
pub struct Case<'c> {
    /// Of these endpoints there are as many as can be, of all others as few.
    pub favoured: &'c dyn Fn(&Pool<'_>) -> bool,
    /// What is lost.
    pub lost: &'c [Lost],
    /// How far that has come.
    pub phase: Phase,
    /// Which locality a gateway counts in that leads to endpoints in several.
    pub counted: Counted,
    /// How often a request is tried again that finds no connection.
    pub retries: u32,
    /// Exactly so many endpoints there are of each pool, whatever is favoured, where that is told.
    pub counts: Option<&'c dyn Fn(&Pool<'_>) -> u32>,
    /// What picks the hosts that are ejected; else the first by name are.
    pub chance: Option<&'c Chance>,
}

impl<'c> Case<'c> {
    /// Nothing is lost.
    pub fn now(favoured: &'c dyn Fn(&Pool<'_>) -> bool) -> Self {
        let (phase, counted) = (Phase::Noticed, Counted::First);
        Self { favoured, lost: &[], phase, counted, retries: 0, counts: None, chance: None }
    }

    pub(super) fn takes_away(&self, pool: &Pool<'_>) -> bool {
        self.lost.iter().any(|lost| lost.covers(pool.cluster, &pool.zone))
    }
}

impl<'m> Traffic<'m> {
    /// Where a client's requests to a host (by its full name) and port go.
    pub fn journey(
        &self,
        client: Client<'m>,
        host: &str,
        port: u32,
        request: &Request,
    ) -> Journey<'m> {
        self.journey_by(Order::Names, client, host, port, request)
    }

    /// The same if objects were created in this order, which files do not tell.
    pub fn journey_by(
        &self,
        order: Order,
        client: Client<'m>,
        host: &str,
        port: u32,
        request: &Request,
    ) -> Journey<'m> {
        let routing = self.router_by(order).route(client, host, port, request);
        let Routing { steps, choices, rivals, is_tied } = routing;
        let ways = choices.into_iter().map(|choice| {
            let parts = self.parts(order, &client, &choice);
            Way { choice, parts }
        });
        let ways = ways.collect();
        Journey { client, steps, ways, rivals, is_tied }
    }

    fn parts(&self, order: Order, client: &Client<'m>, choice: &Choice<'m>) -> Vec<Part<'m>> {
        let whole = |end| vec![Part { share: 1.0, end }];
        let step = |text: &str, span| Step::new(text, Some(span));
        let mut parts = match &choice.action {
            Action::Forward(legs) => {
                let part = |leg| Part { share: Leg::share(leg), end: self.end(order, client, leg) };
                legs.iter().map(part).collect()
            }
            Action::Redirect(span) => {
                whole(End::Leaves(step("the proxy answers with a redirect", *span)))
            }
            Action::Respond(Some(500), span) if choice.is_of_gateway_api() => {
                let why = step("none of its backends has a weight", *span);
                whole(End::Fails(Failure::NoBackend, Some(why)))
            }
            Action::Respond(_, span) => {
                whole(End::Leaves(step("the proxy answers by itself", *span)))
            }
            Action::NotFound | Action::Closed => whole(End::Fails(Failure::NoRoute, None)),
            Action::Passthrough(why) => whole(End::Leaves(why.clone())),
            Action::Blocked(why) => whole(End::Fails(Failure::Blocked, Some(why.clone()))),
            Action::Refused(why) => whole(End::Fails(Failure::Refused, Some(why.clone()))),
            Action::Unseen(why) => whole(End::Unseen(why.clone())),
        };
        if choice.is_of_gateway_api() {
            for part in &mut parts {
                if let End::Fails(failure @ Failure::NoCluster, _) = &mut part.end {
                    *failure = Failure::NoBackend;
                }
            }
        }
        if let Some(abort) = choice.abort {
            let share = f64::from(abort.per_million) / 1e6;
            parts.iter_mut().for_each(|part| part.share *= 1.0 - share);
            let why = step("`fault.abort` answers a part of the requests", abort.span);
            parts.push(Part { share, end: End::Fails(Failure::Abort, Some(why)) });
        }
        parts
    }

    fn end(&self, order: Order, client: &Client<'m>, leg: &Leg<'m>) -> End<'m> {
        match &leg.cluster {
            Built::No(why) => return End::Fails(Failure::NoCluster, Some(why.clone())),
            Built::Unknown => {
                let text =
                    format!("`{}` may be defined outside the input", crate::mesh::short(&leg.host));
                return End::Unseen(Step::new(text, leg.span));
            }
            Built::Yes => {}
        }
        let plane = self.mesh().config_cluster(client.cluster).found();
        let Some((plane, host)) = plane.zip(self.mesh().host(&leg.host)) else {
            let text = format!("`{}` is not in the input", crate::mesh::short(&leg.host));
            return End::Unseen(Step::new(text, leg.span));
        };
        let supply = self.supply(host, plane);
        let asked = Asked { host, port: leg.port, subset: leg.subset };
        let destination = Destination::of(self.mesh(), order, client, plane, asked, supply);
        if destination.lacks_subset {
            return without_subset(&destination, leg);
        }
        End::At(Box::new(destination))
    }

    /// Where the requests of a way arrive from a locality.
    pub fn flow(&self, client: &Client<'m>, at: &Locality, way: &Way<'m>, case: Case<'_>) -> Flow {
        let case = Case { retries: way.choice.retries, ..case };
        let mut whole = Flow::default();
        for part in &way.parts {
            match &part.end {
                End::At(destination) => {
                    let there = self.flow_to(client, at, destination, case);
                    whole.add(&there, part.share);
                }
                End::Fails(failure, _) => whole.fail(*failure, part.share),
                End::Leaves(_) | End::Unseen(_) => whole.elsewhere += part.share,
            }
        }
        whole
    }

    /// Where requests to one cluster of Envoy arrive from a locality.
    pub fn flow_to(
        &self,
        client: &Client<'m>,
        at: &Locality,
        destination: &Destination<'m>,
        case: Case<'_>,
    ) -> Flow {
        match destination.delivery {
            Delivery::Balanced => {}
            Delivery::SameNode(_) => return on_same_node(client, at, destination, case),
            _ => return Flow { elsewhere: 1.0, ..Flow::default() },
        }
        let case = Case { retries: destination.retries(case.retries), ..case };
        let identity = supply::client(self.mesh(), client, at);
        let gateways = self.gateways(client.cluster);
        self.spread(&identity, destination, gateways, case)
    }

    /// Where requests of a pod arrive among the endpoints of a destination.
    fn spread(
        &self,
        client: &Identity,
        destination: &Destination<'m>,
        gateways: &[Gateway<'m>],
        case: Case<'_>,
    ) -> Flow {
        let pools: Vec<&Pool<'m>> = destination.pools().collect();
        let flat = matches!(destination.terms.preference, Preference::None);
        let counts = match case.counts {
            Some(counts) => pools.iter().map(|pool| counts(pool)).collect(),
            None => favouring(&pools, flat, |pool| (case.favoured)(pool)),
        };
        let offers = self.offers(destination, pools.into_iter().zip(counts), case);
        let known: Vec<_> = gateways.iter().map(|g| g.known.clone()).collect();
        let Case { counted, retries, chance, .. } = case;
        let how = How { terms: &destination.terms, counted, retries, chance };
        flow(client, &offers, &known, how, |gateway, share, into| {
            let behind = self.behind(&gateways[gateway], destination, &offers, case);
            into.add(&behind, share);
        })
    }

    /// What a client is offered of so many endpoints, after a loss.
    pub(super) fn offers<'o>(
        &self,
        destination: &Destination<'m>,
        pools: impl Iterator<Item = (&'o Pool<'m>, u32)>,
        case: Case<'_>,
    ) -> Vec<Offer<'o, 'm>> {
        let left =
            pools.filter(|(pool, _)| case.phase == Phase::Unnoticed || !case.takes_away(pool));
        let offer = |(pool, count)| {
            let mtls = self.mtls_of(destination, pool);
            Offer { pool, count, mtls, fails: case.takes_away(pool) }
        };
        left.map(offer).collect()
    }

    /// Who takes Istio's mTLS of those behind a destination.
    #[must_use]
    pub fn mtls_of(&self, destination: &Destination<'m>, pool: &Pool<'m>) -> Mtls {
        let label = |key: &str| pool.identity.labels.get(key).map(String::as_str);
        let port = destination.port_of(pool);
        if !pool.mtls {
            Mtls::Unable
        } else if takes_mtls(self.mesh(), destination.plane, pool.namespace, label, port) {
            Mtls::Taken
        } else {
            Mtls::Disabled
        }
    }

    /// Where requests arrive that go to a gateway: from its pods there is a second choice, among the
    /// endpoints of its network, by what its own control plane tells it.
    fn behind(
        &self,
        gateway: &Gateway<'m>,
        destination: &Destination<'m>,
        offers: &[Offer<'_, 'm>],
        case: Case<'_>,
    ) -> Flow {
        // Charts of gateways ask for the endpoints of their network alone; what is in none comes along.
        let sees = |pool: &Pool<'_>| {
            let network = &pool.identity.network;
            network.is_empty() || *network == gateway.known.network
        };
        let zones = gateway.service.map(|service| self.zones_of(service)).unwrap_or_default();
        let total: f64 = zones.iter().map(|(_, weight)| weight).sum();
        let Some(service) = gateway.service.filter(|_| total > 0.0) else {
            return somewhere(offers.iter().filter(|offer| sees(offer.pool)));
        };
        let labels = self.mesh().backends(service).first().map(|w| &w.template.metadata.labels);
        let (cluster, namespace) = (service.cluster, service.namespace.as_str());
        let client = Client { cluster, namespace, labels, locality: None };
        let Some(plane) = self.mesh().config_cluster(cluster).found() else {
            return somewhere(offers.iter().filter(|offer| sees(offer.pool)));
        };
        let second = self.once_behind((cluster, service.meta.span), destination, || {
            let (order, supply) = (destination.order, destination.supply.clone());
            Destination::of(self.mesh(), order, &client, plane, destination.asked(), supply)
        });
        // A gateway hands on connections and tries none again.
        let case = Case { retries: 0, ..case };
        let mut whole = Flow::default();
        if second.lacks_subset {
            // The gateway closes a connection for a name that it has no cluster for.
            whole.fail(Failure::NoCluster, 1.0);
            return whole;
        }
        for (zone, weight) in zones {
            let share = weight / total;
            if case.lost.iter().any(|lost| lost.covers(cluster, &zone)) {
                whole.fail(Failure::Lost, share);
                whole.lost_at_last += share;
                continue;
            }
            let at = self.mesh().with_subzone(cluster, &zone);
            let mut pod = supply::client(self.mesh(), &client, &at);
            pod.proxy.view = vec![Arc::clone(&gateway.known.network)];
            pod.proxy.passthrough = true;
            whole.add(&self.spread(&pod, &second, &[], case), share);
        }
        whole
    }

    /// The zones in which pods of a Service may run, and how many at most.
    fn zones_of(&self, service: &'m In<crate::kinds::core::Service>) -> Vec<(Locality, f64)> {
        let here = self.placements().of_service(service);
        let zones = here.zones.into_iter().filter(|(_, bounds)| bounds.most > 0);
        zones.map(|(zone, bounds)| (zone, f64::from(bounds.most.min(100)))).collect()
    }
}

/// Where requests arrive that stay on the client's node. Which one that is nobody tells: it has an
/// endpoint if each node of the zone has, or if those in the zone are favoured.
fn on_same_node(
    client: &Client<'_>,
    at: &Locality,
    destination: &Destination<'_>,
    case: Case<'_>,
) -> Flow {
    let mut flow = Flow::default();
    let near = destination.pools().filter(|pool| {
        let here =
            pool.cluster == client.cluster && (at.is_empty() || pool.zone == at.without_subzone());
        here && pool.health == Health::Healthy && pool.bounds.most > 0
    });
    let there = |pool: &&Pool<'_>| pool.on_each_node || (case.favoured)(pool);
    match near.into_iter().find(there) {
        Some(pool) if !case.takes_away(pool) => {
            let (cluster, zone) = (pool.cluster, Some(pool.zone.clone()));
            flow.arrive(Landing { cluster, zone }, 1.0);
        }
        Some(_) if case.phase == Phase::Unnoticed => {
            flow.fail(Failure::Lost, 1.0);
            flow.lost_at_last = 1.0;
        }
        _ => flow.fail(Failure::NoEndpoint, 1.0),
    }
    flow
}

/// What becomes of requests to a subset that the rule that applies does not have.
fn without_subset<'m>(destination: &Destination<'m>, leg: &Leg<'m>) -> End<'m> {
    let name = leg.subset.map_or("", |s| s.as_str());
    match destination.applied() {
        Some(rule) if destination.rule.by_labels.is_empty() => {
            let span = rule.parts.first().map(|part| part.named_at());
            let text = format!("the DestinationRule that applies has no subset `{name}`");
            End::Fails(Failure::NoCluster, Some(Step::new(text, span)))
        }
        _ => {
            let text = format!("no DestinationRule in the input has the subset `{name}`");
            End::Unseen(Step::new(text, leg.span))
        }
    }
}

/// In the clusters of some endpoints that are ready, in whatever zone.
fn somewhere<'o, 'm: 'o>(offers: impl Iterator<Item = &'o Offer<'o, 'm>>) -> Flow {
    let is_open = |offer: &&Offer<'_, '_>| offer.count > 0 && offer.pool.health == Health::Healthy;
    let open: Vec<_> = offers.filter(is_open).collect();
    let total: f64 = open.iter().map(|offer| f64::from(offer.count)).sum();
    let mut flow = Flow::default();
    for offer in open {
        let landing = Landing { cluster: offer.pool.cluster, zone: None };
        let share = f64::from(offer.count) / total;
        if offer.fails {
            flow.fail(Failure::Lost, share);
            flow.lost_at_last += share;
        } else {
            flow.arrive(landing, share);
        }
    }
    if total <= 0.0 {
        flow.fail(Failure::NoEndpoint, 1.0);
    }
    flow
}

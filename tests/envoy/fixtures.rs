//! The meshes under `fixtures/`, as the engine hands them to Envoy: every locality of clients, every
//! host, now and after the loss of each zone and cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mesh_lint::config::Config;
use mesh_lint::lint;
use mesh_lint::mesh::{Client, Locality, Mesh};
use mesh_lint::source;
use mesh_lint::traffic::Traffic;
use mesh_lint::traffic::assignment::{self, Filter, Known, Preference, Target};
use mesh_lint::traffic::clients::same_zone;
use mesh_lint::traffic::counts::favouring;
use mesh_lint::traffic::delivery::Delivery;
use mesh_lint::traffic::destination::Destination;
use mesh_lint::traffic::endpoint::{Endpoint, Identity, NetworkGateway};
use mesh_lint::traffic::flow::{Flow, Landing};
use mesh_lint::traffic::journey::{Case, Way};
use mesh_lint::traffic::loss::{Lost, Phase};
use mesh_lint::traffic::route::Request;
use mesh_lint::traffic::selection::{Choice, ejectable};
use mesh_lint::traffic::supply::{self, Pool};

use crate::topology::{Leg, Topology};

/// The mesh of a folder.
pub fn mesh(name: &str) -> Mesh {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    let reading = source::read(&[root]).unwrap();
    assert!(reading.failures.is_empty(), "{:?}", reading.failures);
    let sources = &reading.sources;
    let told = sources.files().find(|(_, file)| file.name.ends_with("mesh-lint.yaml"));
    let config =
        told.map_or_else(Config::default, |(id, _)| Config::parse(sources, id, "").unwrap());
    lint::build(sources, &config).mesh
}

/// One client and where its requests to one host go.
pub struct Told<'m> {
    words: String,
    legs: Vec<ToldLeg<'m>>,
    /// The engine's word on the same.
    flow: Flow,
}

struct ToldLeg<'m> {
    weight: u32,
    client: Identity,
    endpoints: Vec<Endpoint>,
    landings: Vec<Landing>,
    fails: Vec<bool>,
    gateways: Vec<NetworkGateway>,
    preference: Preference<'m>,
    filter: Filter,
    panic_threshold: u32,
    max_ejection_percent: Option<u32>,
}

/// All that can be asked of a mesh.
pub fn told<'m>(name: &str, traffic: &Traffic<'m>) -> Vec<Told<'m>> {
    let mesh = traffic.mesh();
    let mut all = Vec::new();
    for cluster in mesh.clusters() {
        for host in mesh.hosts() {
            let clients = traffic.clients_of(host, cluster.id);
            for (client, port) in
                clients.into_iter().flat_map(|c| host.ports().into_iter().map(move |p| (c, p)))
            {
                let journey = traffic.journey(client, host.name, port, &Request::default());
                for at in traffic.client_localities(cluster.id) {
                    for way in &journey.ways {
                        for (lost, phase) in losses(traffic, way) {
                            let words = format!(
                                "{name}: {} of {} in {at} to {}:{port}, {lost:?} {phase}",
                                client.namespace,
                                cluster.name,
                                host.short()
                            );
                            all.extend(one(traffic, client, at, way, &lost, phase, words));
                        }
                    }
                }
            }
        }
    }
    all
}

/// No loss, and that of each zone and cluster with endpoints.
fn losses(traffic: &Traffic<'_>, way: &Way<'_>) -> Vec<(Vec<Lost>, Phase)> {
    let pools = || way.destinations().flat_map(|(destination, _)| destination.pools());
    let zones = pools().map(|pool| Lost::Zone(pool.zone.clone()));
    let clusters = pools().map(|pool| Lost::Cluster(pool.cluster));
    let all: BTreeSet<Lost> = match traffic.mesh().clusters().len() {
        1 => zones.collect(),
        _ => zones.chain(clusters).collect(),
    };
    let phases = [Phase::Unnoticed, Phase::Noticed];
    let lost = all.into_iter().flat_map(|lost| phases.map(|phase| (vec![lost.clone()], phase)));
    lost.chain([(Vec::new(), Phase::Noticed)]).collect()
}

/// `None` where Envoy does not choose, or chance says which hosts it ejects.
fn one<'m>(
    traffic: &Traffic<'m>,
    client: Client<'m>,
    at: &Locality,
    way: &Way<'m>,
    lost: &[Lost],
    phase: Phase,
    words: String,
) -> Option<Told<'m>> {
    let balanced = |d: &Destination<'_>| d.delivery == Delivery::Balanced;
    let gone = lost.iter().any(|lost| lost.covers(client.cluster, at));
    if gone || way.destinations().count() != way.parts.len() {
        return None;
    }
    if !way.destinations().all(|(d, _)| balanced(d)) {
        return None;
    }
    let near = |pool: &Pool<'_>| same_zone(&pool.zone, at);
    let case = Case { lost, phase, ..Case::now(&near) };
    let legs = way.destinations().map(|(destination, share)| {
        let leg = leg(traffic, client, at, destination, case);
        ToldLeg { weight: thousandths(share), ..leg }
    });
    let legs: Vec<ToldLeg<'m>> = legs.collect();
    let flow = traffic.flow(&client, at, way, case);
    (!legs.is_empty() && legs.iter().all(is_certain)).then_some(Told { words, legs, flow })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is 0 to 1")]
fn thousandths(share: f64) -> u32 {
    (1000.0 * share).round() as u32
}

fn leg<'m>(
    traffic: &Traffic<'m>,
    client: Client<'m>,
    at: &Locality,
    destination: &Destination<'m>,
    case: Case<'_>,
) -> ToldLeg<'m> {
    let mesh = traffic.mesh();
    let pools: Vec<&Pool<'m>> = destination.pools().collect();
    let terms = &destination.terms;
    let flat = matches!(terms.preference, Preference::None);
    let counts = favouring(&pools, flat, |pool| (case.favoured)(pool));
    let (mut endpoints, mut landings, mut fails) = (Vec::new(), Vec::new(), Vec::new());
    for (pool, count) in pools.into_iter().zip(counts) {
        let gone = case.lost.iter().any(|lost| lost.covers(pool.cluster, &pool.zone));
        if gone && case.phase == Phase::Noticed {
            continue;
        }
        endpoints.push(pool.endpoint(count, traffic.mtls_of(destination, pool)));
        landings.push(Landing { cluster: pool.cluster, zone: Some(pool.zone.clone()) });
        fails.push(gone);
    }
    ToldLeg {
        weight: 1,
        client: supply::client(mesh, &client, at),
        endpoints,
        landings,
        fails,
        gateways: traffic.gateways(client.cluster).iter().map(|g| g.known.clone()).collect(),
        preference: terms.preference.clone(),
        filter: terms.filter,
        panic_threshold: terms.panic_threshold,
        max_ejection_percent: terms.max_ejection,
    }
}

/// Whether all hosts that fail are ejected or none.
fn is_certain(leg: &ToldLeg<'_>) -> bool {
    let leg = leg.leg();
    let hosts = || {
        let groups = leg.groups.iter().enumerate();
        groups
            .flat_map(|(g, group)| group.members.iter().enumerate().map(move |(m, it)| (g, m, it)))
    };
    let all: u64 = hosts().map(|(.., member)| u64::from(member.count)).sum();
    let failing = hosts().filter(|(g, m, _)| leg.failing.contains(&(*g, *m)));
    let failing: u64 = failing.map(|(.., member)| u64::from(member.count)).sum();
    let limit = leg.max_ejection_percent.map_or(0, |max| ejectable(all, max));
    limit == 0 || limit >= failing
}

impl ToldLeg<'_> {
    fn leg(&self) -> Leg<'_> {
        let groups = assignment::groups(&self.client, &self.endpoints, &self.gateways, self.filter);
        let known = Known { endpoints: &self.endpoints, gateways: &self.gateways };
        let groups = known.prefer(groups, &self.client, &self.preference);
        let behind = |gateway: usize| {
            let network = &self.gateways[gateway].network;
            let there = |(endpoint, fails): (&Endpoint, &bool)| {
                (endpoint.identity.network == *network).then_some(*fails)
            };
            self.endpoints.iter().zip(&self.fails).filter_map(there).all(|fails| fails)
        };
        let fails = |target: Target| match target {
            Target::Endpoint(i) => self.fails[i],
            Target::Gateway(gateway) => behind(gateway),
        };
        let mut failing = BTreeSet::new();
        for (g, group) in groups.iter().enumerate() {
            let members = group.members.iter().enumerate();
            failing.extend(members.filter(|(_, it)| fails(it.target)).map(|(m, _)| (g, m)));
        }
        Leg {
            weight: self.weight,
            groups,
            choice: Choice {
                by_locality: self.preference.weighs_localities(),
                panic_threshold: self.panic_threshold,
                zone_aware: None,
            },
            max_ejection_percent: self.max_ejection_percent,
            failing,
        }
    }
}

impl Told<'_> {
    pub fn topology(&self) -> Topology<'_> {
        let legs = self.legs.iter().map(ToldLeg::leg).collect();
        Topology { words: self.words.clone(), legs }
    }

    /// All that Envoy would be told, which is the same for many clients.
    pub fn key(&self) -> String {
        Topology { words: String::new(), ..self.topology() }.to_string()
    }

    /// Fails where what Envoy is told is not what the engine's shares come from; second hops are left out.
    pub fn agrees_with_the_flow(&self) {
        let topology = self.topology();
        let mut direct: BTreeMap<&Landing, f64> = BTreeMap::new();
        for (destination, share) in topology.predict().of {
            let leg = &topology.legs[destination.leg];
            let Some(member) = destination.member else { return };
            let target = leg.groups[destination.group].members[member].target;
            if let Target::Endpoint(i) = target
                && !leg.failing.contains(&(destination.group, member))
            {
                let landing = &self.legs[destination.leg].landings[i];
                *direct.entry(landing).or_default() += share;
            }
        }
        for (landing, share) in direct {
            let said = 100.0 * self.flow.arrivals.get(landing).copied().unwrap_or(0.0);
            assert!((said - share).abs() < 0.1, "{}: {landing:?} {share} {said}", self.words);
        }
    }
}

//! What the engine says of a mesh, by numbers of clusters, zones and hosts instead of names.

use std::collections::BTreeMap;

use mesh_lint::clusters::ClusterId;
use mesh_lint::config::Config;
use mesh_lint::lint::{self, Model};
use mesh_lint::mesh::{Client, Locality, Mesh};
use mesh_lint::source::Sources;
use mesh_lint::traffic::Traffic;
use mesh_lint::traffic::flow::{Failure, Flow, Landing};
use mesh_lint::traffic::journey::{Case, Way};
use mesh_lint::traffic::loss::{Lost, Phase};
use mesh_lint::traffic::route::Request;

use crate::world::{File, HOSTS, Names, REGION_OF, REGIONS, World};

/// Who asks, for what, after which loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    pub host: usize,
    pub cluster: usize,
    pub zone: usize,
    pub lost: Loss,
    pub phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    Nothing,
    Zone(usize),
    Region(usize),
    Cluster(usize),
}

impl Loss {
    pub fn takes(self, cluster: usize, zone: Option<usize>) -> bool {
        match self {
            Self::Nothing => false,
            Self::Zone(lost) => zone == Some(lost),
            Self::Region(lost) => zone.is_some_and(|zone| REGION_OF[zone] == lost),
            Self::Cluster(lost) => cluster == lost,
        }
    }
}

/// Shares by cluster and zone.
pub type Arrivals = BTreeMap<(usize, Option<usize>), f64>;

/// Where requests arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// By cluster and zone.
    pub arrivals: Arrivals,
    pub failures: BTreeMap<Failure, f64>,
    pub elsewhere: f64,
    /// What fails even after it was tried again.
    pub lost_at_last: f64,
    /// The parts that go to each subset, if any, by its name; told where nothing is lost.
    pub legs: Vec<(Option<String>, Arrivals)>,
}

impl Answer {
    pub fn arriving(&self, at: impl Fn(usize, Option<usize>) -> bool) -> f64 {
        self.arrivals.iter().filter(|((c, z), _)| at(*c, *z)).map(|(_, share)| share).sum()
    }

    pub fn failing(&self, why: Failure) -> f64 {
        self.failures.get(&why).copied().unwrap_or(0.0)
    }

    /// All shares together.
    pub fn sum(&self) -> f64 {
        self.arriving(|_, _| true) + self.failures.values().sum::<f64>() + self.elsewhere
    }

    /// Whether all shares are the same up to the last digits of a float.
    pub fn is_near(&self, other: &Self) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        let mut landings = self.arrivals.keys().chain(other.arrivals.keys());
        let mut failures = self.failures.keys().chain(other.failures.keys());
        let share = |of: &Self, at| of.arrivals.get(at).copied().unwrap_or(0.0);
        landings.all(|at| near(share(self, at), share(other, at)))
            && failures.all(|why| near(self.failing(*why), other.failing(*why)))
            && near(self.elsewhere, other.elsewhere)
    }
}

pub fn sources(files: &[File]) -> (Sources, Config) {
    let mut sources = Sources::default();
    let mut config = Config::default();
    for (path, documents) in files {
        let id = sources.add(path.as_str(), documents.join("---\n")).unwrap();
        if path == "mesh-lint.yaml" {
            config = Config::parse(&sources, id, "").unwrap();
        }
    }
    (sources, config)
}

pub fn model(files: &[File]) -> Model {
    let (sources, config) = sources(files);
    let model = lint::build(&sources, &config);
    assert_eq!(model.mesh.problems().syntax, [], "{files:#?}");
    assert_eq!(model.mesh.problems().mismatches, [], "{files:#?}");
    model
}

/// The engine with what it is asked about.
pub struct Engine<'m> {
    world: &'m World,
    names: &'m Names,
    pub traffic: Traffic<'m>,
}

impl<'m> Engine<'m> {
    pub fn of(world: &'m World, names: &'m Names, mesh: &'m Mesh) -> Self {
        Self { world, names, traffic: Traffic::of(mesh) }
    }

    /// All clients in all zones of the clusters, without loss and after each.
    pub fn questions(&self) -> Vec<Asked> {
        let zones = (0..REGION_OF.len()).map(Loss::Zone);
        let regions = (0..REGIONS).map(Loss::Region);
        let clusters = (0..self.world.clusters.len()).map(Loss::Cluster);
        let losses: Vec<(Loss, Phase)> = zones
            .chain(regions)
            .chain(clusters)
            .flat_map(|lost| [(lost, Phase::Unnoticed), (lost, Phase::Noticed)])
            .chain([(Loss::Nothing, Phase::Noticed)])
            .collect();
        let mut asked = Vec::new();
        for host in (0..self.world.hosts.len()).filter(|h| self.world.hosts[*h].has_any()) {
            for (cluster, it) in self.world.clusters.iter().enumerate() {
                for zone in &it.zones {
                    let ask = |(lost, phase): &(Loss, Phase)| Asked {
                        host,
                        cluster,
                        zone: *zone,
                        lost: *lost,
                        phase: *phase,
                    };
                    asked.extend(losses.iter().map(ask));
                }
            }
        }
        asked
    }

    pub fn cluster(&self, number: usize) -> ClusterId {
        let clusters = self.traffic.mesh().clusters();
        clusters.iter().find(|c| c.name == self.names.clusters[number]).unwrap().id
    }

    pub fn locality(&self, zone: usize) -> Locality {
        let (region, zone) = (self.names.regions[REGION_OF[zone]], self.names.zones[zone]);
        Locality { region: region.into(), zone: zone.into(), subzone: String::new() }
    }

    pub fn client(&self, cluster: usize) -> Client<'m> {
        let cluster = self.cluster(cluster);
        Client { cluster, namespace: "shop", labels: None, locality: None }
    }

    pub fn way(&self, cluster: usize, host: usize) -> Way<'m> {
        let name = format!("{}.shop.svc.cluster.local", HOSTS[host]);
        let journey = self.traffic.journey(self.client(cluster), &name, 80, &Request::default());
        assert_eq!(journey.ways.len(), 1, "no condition is written anywhere");
        journey.ways.into_iter().next().unwrap()
    }

    pub fn lost(&self, lost: Loss) -> Vec<Lost> {
        match lost {
            Loss::Nothing => vec![],
            Loss::Zone(zone) => vec![Lost::Zone(self.locality(zone))],
            Loss::Region(region) => vec![Lost::Region(self.names.regions[region].to_owned())],
            Loss::Cluster(cluster) => vec![Lost::Cluster(self.cluster(cluster))],
        }
    }

    pub fn answers(&self) -> BTreeMap<Asked, Answer> {
        self.each(|asked, client, at, way, lost| {
            let case = Case { lost, phase: asked.phase, ..Case::now(&|_| true) };
            let mut answer = self.numbered(&self.traffic.flow(client, at, way, case));
            for (leg, share) in way.destinations().filter(|_| asked.lost == Loss::Nothing) {
                let there = self.numbered(&self.traffic.flow_to(client, at, leg, case)).arrivals;
                let there = there.into_iter().map(|(place, part)| (place, share * part));
                answer.legs.push((leg.subset.map(|s| s.as_str().to_owned()), there.collect()));
            }
            answer
        })
    }

    /// Something of each question.
    pub fn each<T>(
        &self,
        of: impl Fn(Asked, &Client<'m>, &Locality, &Way<'m>, &[Lost]) -> T,
    ) -> BTreeMap<Asked, T> {
        let mut ways = BTreeMap::new();
        let mut found = BTreeMap::new();
        for asked in self.questions() {
            let way = ways.entry((asked.cluster, asked.host));
            let way = way.or_insert_with(|| self.way(asked.cluster, asked.host));
            let (client, at) = (self.client(asked.cluster), self.locality(asked.zone));
            found.insert(asked, of(asked, &client, &at, way, &self.lost(asked.lost)));
        }
        found
    }

    /// The number of a place that has a name.
    pub fn number(&self, landing: &Landing) -> (usize, Option<usize>) {
        let name = self.traffic.mesh().cluster_name(landing.cluster);
        let cluster = self.names.clusters.iter().position(|c| *c == name).unwrap();
        let zone = landing.zone.as_ref();
        (cluster, zone.map(|z| self.names.zones.iter().position(|n| *n == z.zone).unwrap()))
    }

    pub fn numbered(&self, flow: &Flow) -> Answer {
        let arrivals = flow.arrivals.iter().map(|(landing, share)| (self.number(landing), *share));
        Answer {
            arrivals: arrivals.collect(),
            failures: flow.failures.clone(),
            elsewhere: flow.elsewhere,
            lost_at_last: flow.lost_at_last,
            legs: Vec::new(),
        }
    }
}

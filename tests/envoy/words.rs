//! Topologies in few words: `name | client | pods; pods | setting; setting`.
//!
//! A client and pods are written as in `scene`. Settings:
//!
//! | words | |
//! |---|---|
//! | `gateways n2/c2/gw2` | ways into networks |
//! | `locality <YAML>` | `localityLbSetting` |
//! | `same-zone` | `trafficDistribution: PreferSameZone` |
//! | `outliers 10` | outlier detection with `maxEjectionPercent` |
//! | `min-health 50` | `minHealthPercent` |
//! | `ready-only` | unready endpoints are not sent |
//! | `plain` | the client uses no mTLS |
//! | `cluster-local` | only endpoints of the client's cluster |
//! | `failing r1/a` | all pods of a locality, or a gateway, answer with 500 |
//! | `split c1=70 c2=30` | a route to subsets by cluster |

use mesh_lint::mesh::CLUSTER_LABEL;
use mesh_lint::traffic::assignment::Target;
use mesh_lint::traffic::endpoint::Endpoint;
use mesh_lint::traffic::selection::Choice;

use crate::hosts::{self, Hosts};
use crate::scene::{Policy, Scene, gateways, identity, pods, read};
use crate::topology::{Leg, Topology};

/// A service of a mesh, and one client of it.
pub struct Told {
    words: String,
    /// The endpoints of each subset, with its weight.
    scenes: Vec<(u32, Scene)>,
    failing: Option<String>,
}

impl Told {
    pub fn read(row: &str) -> Self {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, client, pods, settings] = columns[..] else { panic!("not four columns: {row}") };
        let told = |name: &'static str| {
            let mut settings = settings.split(';').map(str::trim);
            settings.find_map(move |s| Some(s.strip_prefix(name)?.trim()))
        };
        let scene = |subset: Option<&str>| Scene {
            client: identity(client),
            endpoints: endpoints(pods, subset),
            gateways: gateways(told("gateways").unwrap_or_default()),
            policy: policy(&told),
        };
        let scenes = match told("split") {
            None => vec![(1, scene(None))],
            Some(parts) => parts
                .split_whitespace()
                .map(|part| part.split_once('=').unwrap())
                .map(|(cluster, weight)| (weight.parse().unwrap(), scene(Some(cluster))))
                .collect(),
        };
        Self { words: row.to_owned(), scenes, failing: told("failing").map(str::to_owned) }
    }

    /// What istiod makes of it.
    pub fn topology(&self) -> Topology<'_> {
        let legs = self.scenes.iter().map(|(weight, scene)| self.leg(*weight, scene)).collect();
        Topology { words: self.words.clone(), legs }
    }

    fn leg<'s>(&'s self, weight: u32, scene: &'s Scene) -> Leg<'s> {
        let (groups, choice) = scene.assignment();
        let place = |g: usize, m: usize| match groups[g].members[m].target {
            Target::Endpoint(_) => groups[g].locality.to_string(),
            Target::Gateway(i) => scene.gateways[i].address.to_string(),
        };
        let all = (0..groups.len()).flat_map(|g| (0..groups[g].members.len()).map(move |m| (g, m)));
        let fails = |at: &(usize, usize)| self.failing.as_ref() == Some(&place(at.0, at.1));
        let failing = all.filter(fails).collect();
        Leg { weight, groups, choice, max_ejection_percent: scene.policy.outliers, failing }
    }
}

fn endpoints(text: &str, cluster: Option<&str>) -> Vec<Endpoint> {
    let mut all: Vec<Endpoint> =
        text.split(';').filter(|t| !t.trim().is_empty()).flat_map(pods).collect();
    all.retain(|e| cluster.is_none_or(|cluster| e.identity.label(CLUSTER_LABEL) == cluster));
    all
}

fn policy<'t>(told: &impl Fn(&'static str) -> Option<&'t str>) -> Policy {
    let mut policy = Policy {
        locality: told("locality").map(read),
        same_zone: told("same-zone").is_some(),
        outliers: told("outliers").map(|max| max.parse().unwrap()),
        min_health: told("min-health").map_or(0, |percent| percent.parse().unwrap()),
        ..Policy::default()
    };
    policy.filter.send_unhealthy = told("ready-only").is_none();
    policy.filter.mtls = told("plain").map(|_| false);
    policy.filter.cluster_local = told("cluster-local").is_some();
    policy
}

/// An assignment as such: `name | hosts | setting; setting` with `weighted`, `panic 50` and
/// `outliers 10`. For the hosts see there.
pub struct Given {
    words: String,
    hosts: Vec<Hosts>,
    choice: Choice<'static>,
    max_ejection_percent: Option<u32>,
}

impl Given {
    pub fn read(row: &str) -> Self {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, hosts, settings] = columns[..] else { panic!("not three columns: {row}") };
        let told =
            |name| settings.split(';').find_map(|s| Some(s.trim().strip_prefix(name)?.trim()));
        let number = |name| told(name).map(|text: &str| text.parse().unwrap());
        let choice = Choice {
            by_locality: told("weighted").is_some(),
            panic_threshold: number("panic").unwrap_or_default(),
            zone_aware: None,
        };
        let (words, hosts) = (row.to_owned(), hosts::hosts(hosts));
        Self { words, hosts, choice, max_ejection_percent: number("outliers") }
    }

    pub fn topology(&self) -> Topology<'_> {
        let of = |(g, hosts): (usize, &Hosts)| {
            let fails = hosts.failing.iter().enumerate().filter(|(_, fails)| **fails);
            fails.map(|(m, _)| (g, m)).collect::<Vec<_>>()
        };
        let leg = Leg {
            weight: 1,
            groups: self.hosts.iter().map(Hosts::group).collect(),
            choice: self.choice,
            max_ejection_percent: self.max_ejection_percent,
            failing: self.hosts.iter().enumerate().flat_map(of).collect(),
        };
        Topology { words: self.words.clone(), legs: vec![leg] }
    }
}

//! Small meshes in few words, for tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_lint::kinds::networking::{LocalityLb, ZoneAwareLb};
use mesh_lint::mesh::Locality;
use mesh_lint::traffic::assignment::{self, Filter, Group, Known, Preference, Target};
use mesh_lint::traffic::distribution;
use mesh_lint::traffic::endpoint::{Endpoint, Health, Identity, NetworkGateway};
use mesh_lint::traffic::selection::{self, Choice, Ejected, Selection};
use mesh_lint::yaml;

/// Reads a value of YAML.
pub fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
    let stream = yaml::parse(&Arc::from(text), 0);
    let (value, wrong) = stream.documents[0].root().read::<T>();
    assert!(wrong.is_empty(), "{wrong:?}");
    value.unwrap()
}

/// `cluster@network region/zone/subzone key=value ...`; all but the cluster may be left out.
pub fn identity(text: &str) -> Identity {
    let mut words = text.split_whitespace();
    let (cluster, network) = words.next().unwrap().split_once('@').unwrap_or((text, ""));
    let cluster = cluster.split_whitespace().next().unwrap();
    let mut identity =
        Identity { cluster: cluster.into(), network: network.into(), ..Identity::default() };
    let mut labels = BTreeMap::new();
    for word in words {
        match word.split_once('=') {
            Some((key, value)) => _ = labels.insert(key.to_owned(), value.to_owned()),
            None => identity.locality = Locality::parse(word),
        }
    }
    identity.labels = Arc::new(labels);
    identity
}

/// Pods by locality: `c1@n1 key=value r1/a:3 r1/b:1+2u`, where `u` stands for not ready and `t` for
/// terminating. A locality `-` is none at all.
pub fn pods(text: &str) -> Vec<Endpoint> {
    let is_place = |word: &&str| word.contains(':') && !word.contains('=');
    let (places, owner): (Vec<&str>, Vec<&str>) = text.split_whitespace().partition(is_place);
    let owner = owner.join(" ");
    let mut found = Vec::new();
    for word in places {
        let (locality, counts) = word.split_once(':').unwrap();
        let locality = locality.trim_matches('-');
        for count in counts.split('+') {
            let health = match count.chars().last() {
                Some('u') => Health::Unhealthy,
                Some('t') => Health::Terminating,
                _ => Health::Healthy,
            };
            let number = count.trim_end_matches(['u', 't']).parse().unwrap();
            let identity = identity(&format!("{owner} {locality}"));
            found.push(Endpoint { health, ..Endpoint::of_pods(identity, number) });
        }
    }
    found
}

/// `n1/c1/gw1 n2/c2/gw2`: network, cluster, address.
pub fn gateways(text: &str) -> Vec<NetworkGateway> {
    let gateway = |word: &str| {
        let parts: Vec<&str> = word.split('/').collect();
        NetworkGateway::new(parts[2], parts[0], parts[1])
    };
    text.split_whitespace().map(gateway).collect()
}

/// What a client's policy asks for.
#[derive(Default)]
pub struct Policy {
    /// `localityLbSetting` of a DestinationRule or of the mesh.
    pub locality: Option<LocalityLb>,
    /// `zoneAwareLbSetting`.
    pub zone_aware: Option<ZoneAwareLb>,
    /// The Service's `trafficDistribution: PreferSameZone`.
    pub same_zone: bool,
    /// Whether there is outlier detection, and how much it may eject.
    pub outliers: Option<u32>,
    /// `minHealthPercent`.
    pub min_health: u32,
    /// Only endpoints with these labels.
    pub subset: Vec<(&'static str, &'static str)>,
    /// What istiod is told to send.
    pub filter: Filter,
}

impl Policy {
    fn preference(&self) -> Preference<'_> {
        match (&self.zone_aware, &self.locality) {
            (Some(setting), _) => Preference::of_zone_aware(setting),
            (None, Some(setting)) if !setting.is_enabled() => Preference::None,
            (None, Some(setting)) => Preference::of_locality(setting, self.outliers.is_some()),
            (None, None) if self.same_zone => Preference::Failover {
                labels: distribution::Preference::SameZone.keys().to_vec(),
                regions: &[],
            },
            (None, None) => Preference::of_default(self.outliers.is_some()),
        }
    }
}

/// A mesh, a client and its policy.
pub struct Scene {
    pub client: Identity,
    pub endpoints: Vec<Endpoint>,
    pub gateways: Vec<NetworkGateway>,
    pub policy: Policy,
}

impl Scene {
    /// What istiod sends, and how Envoy is told to choose.
    pub fn assignment(&self) -> (Vec<Group<'_>>, Choice<'static>) {
        let preference = self.policy.preference();
        let groups =
            assignment::groups(&self.client, &self.endpoints, &self.gateways, self.policy.filter);
        let known = Known { endpoints: &self.endpoints, gateways: &self.gateways };
        let groups = known.prefer(groups, &self.client, &preference);
        let choice = Choice {
            by_locality: preference.weighs_localities(),
            panic_threshold: self.policy.min_health,
            zone_aware: None,
        };
        (groups, choice)
    }

    /// `r1/a@P0w3[3] r1/b@P1w3[3]`.
    pub fn shown(&self) -> String {
        let groups = self.assignment().0;
        groups.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    /// Whether localities are weighted.
    pub fn weighted(&self) -> bool {
        self.assignment().1.by_locality
    }

    /// Shares in per cent by cluster and locality, gateways by address, `UH` for what fails; hosts of
    /// the locality `failing` always answer with 500.
    pub fn shares(&self, failing: Option<&str>) -> BTreeMap<String, f64> {
        let (groups, choice) = self.assignment();
        let fails = |g: usize, _: usize| failing == Some(groups[g].locality.to_string().as_str());
        let ejected = match (failing, self.policy.outliers) {
            (Some(_), Some(max)) => selection::eject(&groups, max, None, fails),
            _ => Ejected::new(),
        };
        let selection = selection::select(&groups, &ejected, choice);
        by_place(&selection, &self.endpoints, &self.gateways)
    }
}

fn show(group: &Group<'_>) -> String {
    let locality = group.locality.to_string();
    let locality = if locality.is_empty() { "-".to_owned() } else { locality };
    let count: u32 = group.members.iter().map(|m| m.count).sum();
    let weight = group.weight.map_or("-".to_owned(), |w| w.to_string());
    format!("{locality}@P{}w{weight}[{count}]", group.priority)
}

/// Shares in per cent by cluster and locality.
pub fn by_place(
    selection: &Selection,
    endpoints: &[Endpoint],
    gateways: &[NetworkGateway],
) -> BTreeMap<String, f64> {
    let mut places: BTreeMap<String, f64> = BTreeMap::new();
    for share in &selection.shares {
        let place = match share.target {
            Target::Endpoint(i) => {
                let identity = &endpoints[i].identity;
                format!("{}/{}", identity.cluster, identity.locality)
            }
            Target::Gateway(i) => gateways[i].address.to_string(),
        };
        *places.entry(place).or_default() += 100.0 * share.share;
    }
    if selection.unanswered > 0.0 {
        places.insert("UH".to_owned(), 100.0 * selection.unanswered);
    }
    places
}

/// Whether shares are those of a text `c1/r1/a=33.33 UH=10`, to the last digit written.
pub fn same_shares(found: &BTreeMap<String, f64>, wanted: &str) -> bool {
    let wanted: BTreeMap<&str, f64> = wanted
        .split_whitespace()
        .map(|word| word.rsplit_once('=').unwrap())
        .map(|(place, share)| (place, share.parse().unwrap()))
        .collect();
    wanted.len() == found.len()
        && wanted.iter().all(|(place, share)| {
            found.get(*place).is_some_and(|found| (found - share).abs() < 0.006)
        })
}

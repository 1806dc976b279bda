//! A mesh as data, and the manifests of it.

use std::fmt::Write;

/// Each zone is in one of three regions.
pub const REGION_OF: [usize; 5] = [0, 0, 0, 1, 2];
pub const REGIONS: usize = 3;
pub const HOSTS: [&str; 2] = ["cart", "payment"];

/// What regions, zones, clusters are called.
#[derive(Clone, Debug)]
pub struct Names {
    pub regions: [&'static str; REGIONS],
    pub zones: [&'static str; REGION_OF.len()],
    pub clusters: [&'static str; 3],
}

impl Default for Names {
    fn default() -> Self {
        Self {
            regions: ["r1", "r2", "r3"],
            zones: ["za", "zb", "zc", "zd", "ze"],
            clusters: ["east", "mid", "west"],
        }
    }
}

/// Clusters, each its own primary, and hosts that all of them know.
#[derive(Clone, Debug)]
pub struct World {
    pub clusters: Vec<Cluster>,
    /// Whether each cluster has a network of its own, with a gateway.
    pub networks: bool,
    pub hosts: Vec<Host>,
}

#[derive(Clone, Debug)]
pub struct Cluster {
    /// One node in each; clients run in all of them.
    pub zones: Vec<usize>,
    /// The zone of its gateway.
    pub gateway: usize,
}

/// A Service in each cluster that has endpoints of it.
#[derive(Clone, Debug)]
pub struct Host {
    pub runs: Vec<Run>,
    pub policy: Policy,
    pub route: Route,
}

/// A Deployment.
#[derive(Clone, Debug)]
pub struct Run {
    pub cluster: usize,
    /// `v1` or `v2`.
    pub version: usize,
    pub at: Where,
    pub replicas: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// All in one zone.
    Zone(usize),
    /// Wherever the scheduler likes.
    Free,
    /// Evenly over the zones of the cluster.
    Spread,
}

#[derive(Clone, Debug)]
pub struct Policy {
    /// `maxEjectionPercent` of outlier detection.
    pub outliers: Option<u32>,
    pub preference: Preference,
    pub level: Level,
}

/// Where a policy stands in its DestinationRule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Rule,
    Port,
    /// In each subset.
    Subsets,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preference {
    /// Nothing is written.
    Nothing,
    /// `localityLbSetting: {enabled: true}`.
    Bare,
    Off,
    Distribute(Vec<Weights>),
    /// From region to region.
    Failover(Vec<(usize, usize)>),
    /// `failoverPriority`, and `failover` beside it.
    Labels(Vec<&'static str>, Vec<(usize, usize)>),
    /// `trafficDistribution: PreferSameZone` of the Service.
    SameZone,
}

/// An entry of `distribute`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    pub from: Place,
    pub to: Vec<(Place, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Anywhere,
    Region(usize),
    Zone(usize),
}

impl Place {
    pub fn has(self, zone: usize) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Region(region) => REGION_OF[zone] == region,
            Self::Zone(one) => one == zone,
        }
    }

    fn text(self, names: &Names) -> String {
        match self {
            Self::Anywhere => "'*'".to_owned(),
            Self::Region(region) => format!("{}/*", names.regions[region]),
            Self::Zone(zone) => {
                format!("{}/{}/*", names.regions[REGION_OF[zone]], names.zones[zone])
            }
        }
    }
}

/// A VirtualService.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// None.
    Plain,
    /// Weights of `v1` and `v2`.
    Versions([u32; 2]),
    /// Weights of subsets by cluster.
    Clusters(Vec<u32>),
}

pub const CLUSTER: &str = "topology.istio.io/cluster";
const NODE_ZONE: &str = "topology.kubernetes.io/zone";

/// Manifests of one file.
pub type File = (String, Vec<String>);

impl World {
    /// The files, by path; paths of clusters begin with their name.
    pub fn files(&self, names: &Names) -> Vec<File> {
        let mut files = vec![("mesh-lint.yaml".to_owned(), vec![self.config(names)])];
        for (c, cluster) in self.clusters.iter().enumerate() {
            let folder = names.clusters[c];
            let nodes = cluster.zones.iter().map(|zone| node(*zone, names));
            files.push((format!("{folder}/nodes.yaml"), nodes.collect()));
            files.push((format!("{folder}/web.yaml"), vec![deployment("web", "web", 1, 2, "")]));
            if self.networks {
                files.push((format!("{folder}/gateway.yaml"), gateway(c, cluster, names)));
            }
            for (h, host) in self.hosts.iter().enumerate() {
                let here = host.workloads(h, c, names);
                if !here.is_empty() {
                    files.push((format!("{folder}/{}.yaml", HOSTS[h]), here));
                }
            }
        }
        for (h, host) in self.hosts.iter().enumerate() {
            let rules = host.rules(h, self.clusters.len(), names);
            if !rules.is_empty() {
                files.push((format!("base/{}.yaml", HOSTS[h]), rules));
            }
        }
        files
    }

    fn config(&self, names: &Names) -> String {
        let mut text = "clusters:\n".to_owned();
        for c in 0..self.clusters.len() {
            let name = names.clusters[c];
            let network = if self.networks { format!(", network: net-{c}") } else { String::new() };
            writeln!(text, "  {name}: {{paths: [{name}/**, base/**], complete: true{network}}}")
                .unwrap();
        }
        text
    }
}

fn node(zone: usize, names: &Names) -> String {
    let (region, zone) = (names.regions[REGION_OF[zone]], names.zones[zone]);
    format!(
        "apiVersion: v1\nkind: Node\nmetadata:\n  name: n-{zone}\n  labels:\n    \
         topology.kubernetes.io/region: '{region}'\n    {NODE_ZONE}: '{zone}'\n"
    )
}

fn deployment(name: &str, app: &str, version: usize, replicas: u32, pod: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  \
         replicas: {replicas}\n  selector: {{matchLabels: {{app: {app}, run: {name}}}}}\n  template:\n    \
         metadata: {{labels: {{app: {app}, run: {name}, version: v{version}}}}}\n    \
         spec: {{{pod}}}\n"
    )
}

fn gateway(at: usize, cluster: &Cluster, names: &Names) -> Vec<String> {
    let zone = names.zones[cluster.gateway];
    let service = format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: eastwest\n  namespace: shop\n  labels: \
         {{topology.istio.io/network: net-{at}}}\nspec:\n  selector: {{app: eastwest}}\n  \
         ports: [{{name: tls, port: 15443}}]\n"
    );
    vec![service, deployment("eastwest", "eastwest", 1, 1, &selector(zone))]
}

fn selector(zone: &str) -> String {
    format!("nodeSelector: {{{NODE_ZONE}: '{zone}'}}")
}

impl Host {
    /// Whether it has an endpoint, wherever.
    pub fn has_any(&self) -> bool {
        self.runs.iter().any(|run| run.replicas > 0)
    }

    fn workloads(&self, h: usize, cluster: usize, names: &Names) -> Vec<String> {
        let here = self.runs.iter().enumerate().filter(|(_, run)| run.cluster == cluster);
        let mut all: Vec<String> = here
            .map(|(i, run)| {
                let name = format!("{}-{i}", HOSTS[h]);
                let pod = match run.at {
                    Where::Zone(zone) => selector(names.zones[zone]),
                    Where::Free => String::new(),
                    Where::Spread => format!(
                        "topologySpreadConstraints: [{{maxSkew: 1, topologyKey: {NODE_ZONE}, \
                         whenUnsatisfiable: DoNotSchedule, labelSelector: {{matchLabels: {{run: \
                         {name}}}}}}}]"
                    ),
                };
                deployment(&name, HOSTS[h], run.version, run.replicas, &pod)
            })
            .collect();
        if !all.is_empty() {
            all.insert(0, self.service(h));
        }
        all
    }

    fn service(&self, h: usize) -> String {
        let name = HOSTS[h];
        let prefers = match self.policy.preference {
            Preference::SameZone => "  trafficDistribution: PreferSameZone\n",
            _ => "",
        };
        format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  namespace: shop\nspec:\n  \
             selector: {{app: {name}}}\n{prefers}  ports: [{{name: http, port: 80}}]\n"
        )
    }

    fn rules(&self, h: usize, clusters: usize, names: &Names) -> Vec<String> {
        let policy = self.policy.text(names);
        if policy.is_empty() && self.route == Route::Plain {
            return Vec::new();
        }
        let name = HOSTS[h];
        let mut rule = format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: rule-{name}, \
             namespace: shop}}\nspec:\n  host: {name}.shop.svc.cluster.local\n"
        );
        let subset_policy = match self.policy.level {
            _ if policy.is_empty() => String::new(),
            Level::Rule => {
                writeln!(rule, "  trafficPolicy: {{{policy}}}").unwrap();
                String::new()
            }
            Level::Port => {
                writeln!(
                    rule,
                    "  trafficPolicy: {{portLevelSettings: [{{port: {{number: 80}}, {policy}}}]}}"
                )
                .unwrap();
                String::new()
            }
            Level::Subsets => format!(", trafficPolicy: {{{policy}}}"),
        };
        rule.push_str("  subsets:\n");
        for version in 1..=2 {
            let labels = format!("version: v{version}");
            writeln!(rule, "  - {{name: v{version}, labels: {{{labels}}}{subset_policy}}}")
                .unwrap();
        }
        for (c, cluster) in names.clusters.iter().enumerate().take(clusters) {
            let labels = format!("{CLUSTER}: {cluster}");
            writeln!(rule, "  - {{name: in-{c}, labels: {{{labels}}}{subset_policy}}}").unwrap();
        }
        let mut all = vec![rule];
        all.extend(self.virtual_service(name));
        all
    }

    fn virtual_service(&self, name: &str) -> Option<String> {
        let legs: Vec<(String, u32)> = match &self.route {
            Route::Plain => return None,
            Route::Versions([one, two]) => vec![("v1".to_owned(), *one), ("v2".to_owned(), *two)],
            Route::Clusters(weights) => {
                weights.iter().enumerate().map(|(c, w)| (format!("in-{c}"), *w)).collect()
            }
        };
        let mut text = format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: route-{name}, \
             namespace: shop}}\nspec:\n  hosts: [{name}.shop.svc.cluster.local]\n  http:\n  - route:\n"
        );
        for (subset, weight) in legs {
            writeln!(
                text,
                "    - {{destination: {{host: {name}.shop.svc.cluster.local, subset: {subset}}}, \
                 weight: {weight}}}"
            )
            .unwrap();
        }
        Some(text)
    }
}

impl Policy {
    /// The fields of a `trafficPolicy`; empty where there are none.
    fn text(&self, names: &Names) -> String {
        let mut parts = Vec::new();
        if let Some(max) = self.outliers {
            parts.push(format!(
                "outlierDetection: {{consecutive5xxErrors: 5, maxEjectionPercent: {max}}}"
            ));
        }
        if let Some(setting) = self.preference.text(names) {
            parts.push(format!("loadBalancer: {{localityLbSetting: {{{setting}}}}}"));
        }
        parts.join(", ")
    }
}

impl Preference {
    fn text(&self, names: &Names) -> Option<String> {
        let failover = |entries: &[(usize, usize)]| {
            let entry = |(from, to): &(usize, usize)| {
                format!("{{from: {}, to: {}}}", names.regions[*from], names.regions[*to])
            };
            let all: Vec<String> = entries.iter().map(entry).collect();
            format!("failover: [{}]", all.join(", "))
        };
        match self {
            Self::Nothing | Self::SameZone => None,
            Self::Bare => Some("enabled: true".to_owned()),
            Self::Off => Some("enabled: false".to_owned()),
            Self::Distribute(entries) => {
                let all: Vec<String> = entries.iter().map(|entry| entry.text(names)).collect();
                Some(format!("distribute: [{}]", all.join(", ")))
            }
            Self::Failover(entries) => Some(failover(entries)),
            Self::Labels(labels, regions) => {
                let beside = if regions.is_empty() {
                    String::new()
                } else {
                    format!(", {}", failover(regions))
                };
                Some(format!("failoverPriority: [{}]{beside}", labels.join(", ")))
            }
        }
    }
}

impl Weights {
    fn text(&self, names: &Names) -> String {
        let to = self.to.iter().map(|(to, weight)| format!("'{}': {weight}", to.text(names)));
        let to: Vec<String> = to.collect();
        format!("{{from: {}, to: {{{}}}}}", self.from.text(names), to.join(", "))
    }
}

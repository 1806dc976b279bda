//! Whole meshes in few words: clusters with nodes, pods and Services, and where their requests arrive.

use std::collections::BTreeMap;
use std::fmt::Write;

use mesh_lint::mesh::{Client, Locality, Mesh};
use mesh_lint::traffic::Traffic;
use mesh_lint::traffic::destination::Destination;
use mesh_lint::traffic::journey::{Case, Journey};
use mesh_lint::traffic::route::Request;

/// The mesh of some clusters, each by its name and its objects. Their control planes know of each other.
pub fn world(clusters: &[(&str, String)]) -> Mesh {
    let files = files(clusters);
    let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
    super::mesh(&files)
}

/// The same as files, by path and text.
pub fn files(clusters: &[(&str, String)]) -> Vec<(String, String)> {
    clusters
        .iter()
        .map(|(name, objects)| {
            let others = clusters.iter().map(|(other, _)| other).filter(|other| *other != name);
            let secrets: String = others.map(|other| secret(other)).collect();
            (format!("{name}/all.yaml"), format!("{objects}{secrets}{}", install(name)))
        })
        .collect()
}

fn secret(cluster: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: istio-remote-secret-{cluster}, \
         namespace: istio-system, labels: {{istio/multiCluster: 'true'}}, annotations: \
         {{networking.istio.io/cluster: {cluster}}}}}\n"
    )
}

/// What tells a control plane the name of its cluster.
fn install(cluster: &str) -> String {
    let spec =
        format!("spec: {{values: {{global: {{multiCluster: {{clusterName: {cluster}}}}}}}}}");
    object("install.istio.io/v1alpha1/IstioOperator", "istio-system", "install", "", &spec)
}

/// An object: kind with its API version, namespace, name, what else `metadata` has, and its other fields
/// as flow mappings.
pub fn object(kind: &str, namespace: &str, name: &str, meta: &str, fields: &str) -> String {
    let (api, kind) = kind.rsplit_once('/').unwrap();
    format!(
        "---\napiVersion: {api}\nkind: {kind}\n\
         metadata: {{name: {name}, namespace: {namespace}, {meta}}}\n{fields}\n"
    )
}

/// A Service that selects `app: NAME`.
pub fn service(namespace: &str, name: &str, spec: &str) -> String {
    let spec = format!("spec: {{selector: {{app: {name}}}, {spec}}}");
    object("v1/Service", namespace, name, "", &spec)
}

/// A DestinationRule of the host's own namespace.
pub fn rule(namespace: &str, host: &str, spec: &str) -> String {
    let kind = "networking.istio.io/v1/DestinationRule";
    object(kind, namespace, host, "", &format!("spec: {{host: {host}, {spec}}}"))
}

/// `mesh` of the ConfigMap that a control plane reads.
pub fn mesh_config(text: &str) -> String {
    object("v1/ConfigMap", "istio-system", "istio", "", &format!("data:\n  mesh: |\n    {text}"))
}

/// A node of a zone `r1/a`; its name is that with `-` instead.
pub fn node(zone: &str) -> String {
    let (region, name) = zone.split_once('/').unwrap();
    let label = |key: &str, value: &str| match value {
        "" => String::new(),
        value => format!("topology.kubernetes.io/{key}: {value}, "),
    };
    let labels = format!("{}{}", label("region", region), label("zone", name));
    format!(
        "---\napiVersion: v1\nkind: Node\n\
         metadata: {{name: '{}', labels: {{{labels}}}}}\n",
        zone.replace('/', "-")
    )
}

/// A pod of `app: NAME` on a node, with further labels and the rest of its object.
pub fn pod(
    namespace: &str,
    app: &str,
    (name, node): (&str, &str),
    labels: &str,
    rest: &str,
) -> String {
    let meta = format!("labels: {{app: {app}, {labels}}}");
    let fields = format!("spec: {{nodeName: '{node}'}}\n{rest}");
    object("v1/Pod", namespace, name, &meta, &fields)
}

/// Pods of `app: NAME` by zone, with a node for each zone: `r1/a:2+1u r1/b:1`, where `u` stands for not
/// ready and `t` for about to go.
pub fn pods(namespace: &str, app: &str, labels: &str, places: &str) -> String {
    let mut text = String::new();
    for word in places.split_whitespace() {
        let (zone, counts) = word.split_once(':').unwrap();
        text.push_str(&node(zone));
        for count in counts.split('+') {
            let number: u32 = count.trim_end_matches(['u', 't']).parse().unwrap();
            for i in 0..number {
                let name = format!("{app}-{}-{count}-{i}", zone.replace('/', "-"));
                let on = zone.replace('/', "-");
                let rest = match count.chars().last() {
                    Some('u') => "status: {conditions: [{type: Ready, status: 'False'}]}",
                    _ => "status: {conditions: [{type: Ready, status: 'True'}]}",
                };
                let one = pod(namespace, app, (&name, &on), labels, rest);
                let gone = "deletionTimestamp: '2024-01-01T00:00:00Z', labels";
                let one = if count.ends_with('t') { one.replacen("labels", gone, 1) } else { one };
                write!(text, "{one}").unwrap();
            }
        }
    }
    text
}

/// Who asks: a cluster, a zone, and the host and port.
#[derive(Clone, Copy)]
pub struct Asks<'a> {
    pub cluster: &'a str,
    pub at: &'a str,
    pub host: &'a str,
    pub port: u32,
}

impl<'a> Asks<'a> {
    pub fn new(from: &'a str, host: &'a str) -> Self {
        let (cluster, at) = from.split_once(' ').unwrap_or((from, ""));
        Self { cluster, at, host, port: 80 }
    }

    fn client(self, mesh: &Mesh) -> Client<'static> {
        let cluster = mesh.clusters().iter().find(|c| c.is_called(self.cluster)).unwrap();
        Client { cluster: cluster.id, namespace: "shop", labels: None, locality: None }
    }

    /// `cart.shop` stands for the full name; what ends otherwise stands for itself.
    fn full(self) -> String {
        match self.host.rsplit_once('.') {
            Some((_, "example")) | None => self.host.to_owned(),
            _ => format!("{}.svc.cluster.local", self.host),
        }
    }

    /// Does something with the way, and with the cluster of Envoy at its end.
    pub fn with<'m, T>(
        self,
        mesh: &'m Mesh,
        then: impl FnOnce(&Traffic<'m>, &Journey<'m>, &Destination<'m>) -> T,
    ) -> T {
        let traffic = Traffic::of(mesh);
        let host = self.full();
        let client = self.client(mesh);
        let journey = traffic.journey(client, &host, self.port, &Request::default());
        let destinations = journey.ways.last().unwrap().destinations();
        let (destination, _) = destinations.last().expect("there is a cluster of Envoy");
        then(&traffic, &journey, destination)
    }

    /// Shares in per cent by cluster and zone, and by flag of Envoy for what fails.
    pub fn shares(self, mesh: &Mesh) -> BTreeMap<String, f64> {
        let traffic = Traffic::of(mesh);
        let (host, client) = (self.full(), self.client(mesh));
        let journey = traffic.journey(client, &host, self.port, &Request::default());
        let way = journey.ways.last().unwrap();
        let flow = traffic.flow(&client, &Locality::parse(self.at), way, Case::now(&|_| true));
        let mut found = BTreeMap::new();
        for (landing, share) in &flow.arrivals {
            let zone = landing.zone.as_ref().map(ToString::to_string).unwrap_or_default();
            let name = format!("{}/{zone}", mesh.cluster_name(landing.cluster));
            found.insert(name, 100.0 * share);
        }
        for (failure, share) in &flow.failures {
            let name = failure.to_string();
            let flag = name
                .split([' ', ':'])
                .find(|word| !word.is_empty() && word.chars().all(char::is_uppercase));
            found.insert(flag.unwrap_or("502").to_owned(), 100.0 * share);
        }
        if flow.elsewhere > 0.0 {
            found.insert("elsewhere".to_owned(), 100.0 * flow.elsewhere);
        }
        found
    }
}

/// Whether requests arrive as a text `c1/r1/a=33.33 UH=10` says.
#[track_caller]
pub fn assert_arrives(what: &str, mesh: &Mesh, asks: Asks<'_>, wanted: &str) {
    let found = asks.shares(mesh);
    assert!(crate::scene::same_shares(&found, wanted), "{what}: {found:?} is not {wanted}");
}

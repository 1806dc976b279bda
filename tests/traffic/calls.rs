//! Calls in whole meshes, for tables: manifests in, terms and shares out.

use mesh_lint::mesh::{Client, Locality, Mesh, Order};
use mesh_lint::source::{Span, Text};
use mesh_lint::traffic::Traffic;
use mesh_lint::traffic::destination::{Asked, Destination};
use mesh_lint::traffic::flow::Flow;
use mesh_lint::traffic::journey::Case;
use mesh_lint::yaml::Entries;

/// The host that is called.
pub const HOST: &str = "example.ns.svc.cluster.local";

/// A manifest; `rest` is what stands beside `metadata`.
pub fn manifest(kind: &str, metadata: &str, rest: &str) -> String {
    let group = match kind {
        "Deployment" => "apps/v1",
        "DestinationRule" | "ServiceEntry" => "networking.istio.io/v1",
        "PeerAuthentication" => "security.istio.io/v1",
        _ => "v1",
    };
    format!("---\napiVersion: {group}\nkind: {kind}\nmetadata: {{{metadata}}}\n{rest}\n")
}

/// The same in a namespace, with a `spec`.
pub fn object(kind: &str, namespace: &str, name: &str, spec: &str) -> String {
    let metadata = format!("name: {name}, namespace: {namespace}");
    manifest(kind, &metadata, &format!("spec: {{{spec}}}"))
}

/// The Service `example`, port 80 of which leads to port 8080 of its pods.
pub fn service(spec: &str) -> String {
    let ports = "ports: [{name: http, port: 80, targetPort: 8080}]";
    object("Service", "ns", "example", &format!("selector: {{app: example}}, {ports}{spec}"))
}

/// A DestinationRule for `example` with this `trafficPolicy`.
pub fn rule(policy: &str) -> String {
    let spec = format!("host: example, trafficPolicy: {{{policy}}}");
    object("DestinationRule", "ns", "example", &spec)
}

/// The MeshConfig.
pub fn mesh_config(text: &str) -> String {
    let data = format!("data:\n  mesh: |\n    {{{text}}}");
    manifest("ConfigMap", "name: istio, namespace: istio-system", &data)
}

/// Two pods in a zone of `r1`, and a node there. They are called by `labels` and `app: example`.
pub fn pods(name: &str, zone: &str, labels: &str) -> String {
    pods_with(name, zone, &format!("labels: {{app: example{labels}}}"))
}

/// The same with another `metadata`.
pub fn pods_with(name: &str, zone: &str, metadata: &str) -> String {
    let place = format!("topology.kubernetes.io/region: r1, topology.kubernetes.io/zone: {zone}");
    let node = manifest("Node", &format!("name: node-{zone}, labels: {{{place}}}"), "");
    let pod = format!("{{nodeSelector: {{topology.kubernetes.io/zone: {zone}}}}}");
    let template = format!("template: {{metadata: {{{metadata}}}, spec: {pod}}}");
    let spec = format!("replicas: 2, selector: {{matchLabels: {{app: example}}}}, {template}");
    node + &object("Deployment", "ns", name, &spec)
}

/// Two clusters of one mesh, and what each has.
pub fn two_clusters(east: &str, west: &str) -> Mesh {
    let meta = "name: istio-remote-secret-west, namespace: istio-system, \
         labels: {istio/multiCluster: 'true'}, annotations: {networking.istio.io/cluster: west}";
    let secret = manifest("Secret", meta, "");
    super::mesh(&[("east/all.yaml", east), ("east/secret.yaml", &secret), ("west/all.yaml", west)])
}

/// Labels of a client.
pub fn labels(told: &[(&str, &str)]) -> Entries<Text> {
    let text = |value: &str| Text::new(value.to_owned(), Span::default());
    told.iter().map(|(key, value)| (text(key), text(value))).collect()
}

/// Pods of the first cluster of a mesh, in zone `a` of `r1`.
pub struct Caller<'m> {
    traffic: Traffic<'m>,
    client: Client<'m>,
}

impl<'m> Caller<'m> {
    pub fn of(mesh: &'m Mesh, labels: &'m Entries<Text>) -> Self {
        let cluster = mesh.clusters()[0].id;
        let client = Client { cluster, namespace: "ns", labels: Some(labels), locality: None };
        Self { traffic: Traffic::of(mesh), client }
    }

    /// What it has for port 80 of a host, or for the first subset that the host's rules have.
    pub fn destination(&self, host: &str, first_subset: bool) -> Destination<'m> {
        let mesh = self.traffic.mesh();
        let plane = self.client.cluster;
        let host = mesh.host(host).unwrap();
        let mut subsets = mesh.destination_rules.iter().flat_map(|rule| &rule.subsets);
        let subset = subsets.find_map(|s| s.name.as_ref()).filter(|_| first_subset);
        let supply = self.traffic.supply(host, plane);
        let asked = Asked { host, port: 80, subset };
        Destination::of(mesh, Order::Names, &self.client, plane, asked, supply)
    }

    /// Where its requests arrive.
    pub fn flow(&self, destination: &Destination<'m>) -> Flow {
        let at = Locality::parse("r1/a");
        self.traffic.flow_to(&self.client, &at, destination, Case::now(&|_| true))
    }

    /// The shares in per cent by zone, and by cluster where there are two: `west/r1/a=50`.
    pub fn shares(&self, destination: &Destination<'m>) -> String {
        let flow = self.flow(destination);
        let mesh = self.traffic.mesh();
        let arrivals = flow.arrivals.iter().map(|(landing, share)| {
            let cluster = Some(mesh.cluster_name(landing.cluster).to_owned());
            let cluster = cluster.filter(|_| mesh.clusters().len() > 1);
            let place = cluster.into_iter().chain(landing.zone.as_ref().map(ToString::to_string));
            format!("{}={:.0}", place.collect::<Vec<_>>().join("/"), 100.0 * share)
        });
        let failures = flow.failures.iter().map(|(why, share)| format!("{why:?}={share}"));
        let outside = (flow.elsewhere > 0.0).then(|| "outside".to_owned());
        arrivals.chain(failures).chain(outside).collect::<Vec<_>>().join(" ")
    }
}

//! Views of Kubernetes' core kinds: nodes, namespaces, services, endpoints, ConfigMaps and Secrets.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::control_plane::MeshConfig;
use super::injector::InjectorValues;
use super::networks::MeshNetworks;
use super::parts::{Conditions, IssuerRef};
use crate::source::{Spanned, Text};
use crate::yaml::{Entries, IntOrString, Mismatch, Value};

/// A node: its labels say where it stands; of the rest only the taints count.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    /// `spec`.
    pub spec: NodeSpec,
}

/// `spec` of a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    /// The addresses that its pods get, where Kubernetes hands them out.
    #[serde(rename = "podCIDR")]
    pub pod_cidr: Option<Text>,
    /// What keeps pods away.
    pub taints: Vec<Taint>,
    /// Whether the scheduler passes it over.
    pub unschedulable: bool,
}

/// A taint of a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Taint {
    /// Its key.
    pub key: Option<Text>,
    /// Its value.
    pub value: Option<String>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: Option<Text>,
}

/// A namespace: only labels and annotations count.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Namespace {}

/// `spec` of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Service {
    /// `ClusterIP` where absent.
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    /// `None` makes the service headless.
    #[serde(rename = "clusterIP")]
    pub cluster_ip: Option<Text>,
    /// Labels of the pods it selects.
    pub selector: Option<Entries<Text>>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// Target of an `ExternalName` service.
    pub external_name: Option<Text>,
    /// `Local` keeps traffic on the client's node.
    pub internal_traffic_policy: Option<Text>,
    /// `PreferClose`, `PreferSameZone` or `PreferSameNode`.
    pub traffic_distribution: Option<Text>,
    /// Whether unready pods are published too.
    pub publish_not_ready_addresses: bool,
    /// Addresses outside the cluster that lead to it.
    #[serde(rename = "externalIPs")]
    pub external_ips: Vec<Text>,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServicePort {
    /// Its name; Istio matches endpoints by it.
    pub name: Option<Text>,
    /// Its number.
    pub port: Option<Spanned<u16>>,
    /// `TCP` where absent.
    pub protocol: Option<Text>,
    /// The protocol Istio takes it for, where set.
    pub app_protocol: Option<Text>,
    /// The pod's port: a number, or a name.
    pub target_port: Option<Spanned<IntOrString>>,
    /// The port of each node, of type `NodePort`; Kubernetes chooses one where absent.
    pub node_port: Option<Spanned<u16>>,
}

impl ServicePort {
    /// The pod's port, where its number is told.
    pub fn target(&self) -> Option<u16> {
        match self.target_port.as_ref().map(|target| &target.value) {
            Some(IntOrString::Int(number)) => u16::try_from(*number).ok(),
            Some(IntOrString::Str(_)) => None,
            None => self.port.as_ref().map(|port| port.value),
        }
    }
}

impl Service {
    /// `ClusterIP`, `NodePort`, `LoadBalancer`, `ExternalName`, or `headless`.
    pub fn type_name(&self) -> &str {
        match self.cluster_ip.as_deref().map(String::as_str) {
            Some("None") => "headless",
            _ => self.kind.as_deref().map_or("ClusterIP", String::as_str),
        }
    }

    /// Whether it is an alias of a name outside.
    pub fn is_external_name(&self) -> bool {
        self.type_name() == "ExternalName"
    }
}

/// Endpoints of a service, as the cluster (or a person) wrote them down.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct EndpointSlice {
    /// The endpoints.
    pub endpoints: Vec<Endpoint>,
    /// The ports of each.
    pub ports: Vec<EndpointPort>,
}

/// Endpoints of a service as they were written before there were slices.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Endpoints {
    /// Addresses that have the same ports.
    pub subsets: Vec<EndpointSubset>,
}

/// An entry of `subsets`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct EndpointSubset {
    /// The addresses.
    pub addresses: Vec<super::parts::Anything>,
    /// The ports of each.
    pub ports: Vec<EndpointPort>,
}

/// A port of endpoints.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct EndpointPort {
    /// Its name: that of the Service's port that leads to it.
    pub name: Option<Text>,
}

/// An endpoint of a slice.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Endpoint {
    /// IP addresses.
    pub addresses: Vec<Text>,
    /// The pod behind it.
    pub target_ref: Option<super::Owner>,
    /// The node it runs on.
    pub node_name: Option<Text>,
    /// The zone Kubernetes noted; Istio does not read it.
    pub zone: Option<Text>,
    /// Whether it takes traffic.
    pub conditions: Conditions,
}

/// A ConfigMap.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ConfigMap {
    /// Keys and texts.
    pub data: Entries<Text>,
    /// The MeshConfig under the key `mesh`, its spans at their true places.
    #[serde(skip)]
    pub mesh: Option<Box<MeshConfig>>,
    /// The MeshNetworks under the key `meshNetworks`, its spans at their true places.
    #[serde(skip)]
    pub networks: Option<Box<MeshNetworks>>,
    /// What an injector is told under the key `values`, its spans at their true places.
    #[serde(skip)]
    pub injector: Option<Box<InjectorValues>>,
}

impl ConfigMap {
    /// Reads the YAML that Istio keeps under some keys.
    pub(super) fn read_embedded(&mut self, root: Value<'_>, wrong: &mut Vec<Mismatch>) {
        self.mesh = embedded(root, "mesh", wrong);
        self.networks = embedded(root, "meshNetworks", wrong);
        let name = root.at(&["metadata", "name"]).and_then(Value::text);
        if name.is_some_and(|name| name.starts_with("istio-sidecar-injector")) {
            self.injector = embedded(root, "values", &mut Vec::new());
        }
    }
}

/// The YAML that a ConfigMap holds under a key.
fn embedded<T: DeserializeOwned>(
    root: Value<'_>,
    key: &str,
    wrong: &mut Vec<Mismatch>,
) -> Option<Box<T>> {
    let stream = root.at(&["data", key])?.embedded();
    let (read, mismatches) = stream.documents.first()?.root().read::<T>();
    let within = |m: Mismatch| Mismatch { path: format!("data.{key}: {}", m.path), ..m };
    wrong.extend(mismatches.into_iter().map(within));
    read.map(Box::new)
}

/// A Secret. Its values are never shown.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Secret {
    /// `Opaque`, `kubernetes.io/tls`, ...
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    /// Keys and base64 of the values.
    pub data: Entries<Text>,
    /// Keys and values in plain text.
    pub string_data: Entries<Text>,
    /// What it holds for access to API servers, where it seems to be meant for that.
    #[serde(skip)]
    pub kubeconfigs: Vec<super::kubeconfig::Held>,
}

/// What makes a Secret in the cluster: present, content unknown.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OpaqueSecret {
    /// cert-manager: the Secret it writes.
    pub secret_name: Option<Text>,
    /// External Secrets: the Secret it writes.
    pub target: OpaqueTarget,
    /// Sealed Secrets: what the Secret is like.
    pub template: OpaqueTemplate,
    /// Sealed Secrets: its values by key, encrypted.
    pub encrypted_data: Entries<Text>,
    /// External Secrets: its keys, and where their values come from.
    pub data: Vec<OpaqueKey>,
    /// cert-manager: who signs it.
    pub issuer_ref: IssuerRef,
    /// cert-manager: whether it may sign others.
    #[serde(rename = "isCA")]
    pub is_ca: Option<Spanned<bool>>,
    /// cert-manager: how long it is valid, 90 days where absent.
    pub duration: Option<Text>,
    /// cert-manager: how long before its end it is renewed.
    pub renew_before: Option<Text>,
    /// cert-manager: its key usages.
    pub usages: Vec<Text>,
    /// cert-manager: its common name.
    pub common_name: Option<Text>,
}

/// `spec` of a cert-manager `Issuer` or `ClusterIssuer`: what is written says of which sort it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Issuer {
    /// Each certificate signs itself.
    pub self_signed: Option<super::parts::Anything>,
    /// A CA in a Secret signs.
    pub ca: Option<IssuerSecret>,
}

/// `ca` of an issuer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct IssuerSecret {
    /// The Secret with the CA.
    pub secret_name: Option<Text>,
}

/// What the SPIRE controller manager reads.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Spire {
    /// ClusterSPIFFEID: the identities of the pods it selects, a template.
    #[serde(rename = "spiffeIDTemplate")]
    pub spiffe_id_template: Option<Text>,
    /// ClusterSPIFFEID: the trust domains whose bundles these pods get beside their own.
    pub federates_with: Vec<Text>,
    /// ClusterFederatedTrustDomain: the one of which it has the server fetch the bundle.
    pub trust_domain: Option<Text>,
}

/// `target` of an ExternalSecret.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct OpaqueTarget {
    /// The Secret's name.
    pub name: Option<Text>,
    /// What the Secret is like.
    pub template: OpaqueTemplate,
}

/// `template` of a Secret that is made.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OpaqueTemplate {
    /// Its labels and annotations.
    pub metadata: OpaqueMetadata,
    /// External Secrets: its values by key, made of what is fetched.
    pub data: Entries<Text>,
    /// External Secrets: objects whose entries are templates too.
    pub template_from: Vec<super::parts::Anything>,
    /// External Secrets: `Replace` where absent, or `Merge`, which keeps what is fetched too.
    pub merge_policy: Option<Text>,
    /// External Secrets: `v2`.
    pub engine_version: Option<Text>,
    /// The Secret's type.
    #[serde(rename = "type")]
    pub of_type: Option<Text>,
}

impl OpaqueTemplate {
    /// Whether there is one. External Secrets then takes labels and annotations from it alone, even where
    /// it has none. Source: `externalsecret_controller_template.go`, `mergeMetadata`.
    pub fn is_told(&self) -> bool {
        let texts = [&self.merge_policy, &self.engine_version, &self.of_type];
        !self.metadata.labels.is_empty()
            || !self.metadata.annotations.is_empty()
            || !self.data.is_empty()
            || !self.template_from.is_empty()
            || texts.into_iter().any(Option::is_some)
    }
}

impl OpaqueSecret {
    /// The keys of the Secret, as far as they are told. A template of External Secrets replaces the keys
    /// of what is fetched, unless it is merged with them or tells none. Source: the same, `applyTemplate`.
    pub fn keys(&self) -> impl Iterator<Item = &Text> {
        let template = &self.target.template;
        let is_plain = template.data.is_empty() && template.template_from.is_empty();
        let keeps = is_plain || template.merge_policy.as_ref().is_some_and(|p| p.value == "Merge");
        let fetched = self.data.iter().filter_map(|entry| entry.secret_key.as_ref());
        let sealed = self.encrypted_data.iter().map(|(key, _)| key);
        let made = template.data.iter().map(|(key, _)| key);
        sealed.chain(made).chain(fetched.filter(move |_| keeps))
    }
}

/// `metadata` of a Secret that is made.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct OpaqueMetadata {
    /// Labels.
    pub labels: Entries<Text>,
    /// Annotations.
    pub annotations: Entries<Text>,
}

/// An entry of `data` of an ExternalSecret.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OpaqueKey {
    /// The key in the Secret.
    pub secret_key: Option<Text>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys = |entries: &Entries<Text>| -> Vec<String> {
            entries.iter().map(|(key, _)| key.value.clone()).collect()
        };
        f.debug_struct("Secret")
            .field("data", &keys(&self.data))
            .field("string_data", &keys(&self.string_data))
            .finish_non_exhaustive()
    }
}

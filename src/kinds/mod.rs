//! A typed, tolerant view of each kind of manifest; every scalar keeps its span.

pub mod annotations;
pub mod attachment;
pub mod cidrs;
pub mod control_plane;
pub mod core;
pub mod delivery;
pub mod extensions;
pub mod file;
pub mod gateway_api;
pub mod injector;
pub mod kubeconfig;
pub mod machines;
pub mod monitoring;
pub mod networking;
pub mod networks;
mod placeholder;
pub mod policy;
mod secret;
pub mod security;
mod template;
pub mod workloads;

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::source::{FileId, Span, Text};
use crate::yaml::{Document, Entries, Mismatch, Shape, Subtree, Value};

pub use placeholder::is_placeholder;

/// What every resource has: `apiVersion`, `kind` and `metadata`.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// `group/version`, or `v1` for the core group.
    pub api_version: Text,
    /// The kind.
    pub kind: Text,
    /// `metadata.name`.
    pub name: Text,
    /// `metadata.namespace`, where it is written.
    pub namespace: Option<Text>,
    /// `metadata.labels`.
    pub labels: Entries<Text>,
    /// `metadata.annotations`.
    pub annotations: Entries<Text>,
    /// `metadata.ownerReferences`.
    pub owners: Vec<Owner>,
    /// The whole resource.
    pub span: Span,
    /// The file it stands in.
    pub file: Option<FileId>,
    /// Paths of fields whose value could not be read: not absent, but unknown.
    pub unread: Vec<String>,
    /// What deliveries laid over the text, in turn: patches, labels and values that Flux fills in, each
    /// where it stands.
    pub layers: Vec<Span>,
    /// Whether a kustomization fills in fields with values that are not followed.
    pub is_filled_in: bool,
    /// What its controllers say of it, where a dump of a cluster has that: `status.conditions`, and those
    /// of `status.parents`.
    pub conditions: Vec<Condition>,
}

/// What a controller says of a resource.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// What is judged.
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    /// `True`, `False` or `Unknown`.
    pub status: Option<Text>,
    /// The reason, in one word.
    pub reason: Option<Text>,
    /// The reason, in words.
    pub message: Option<Text>,
}

/// `status`, as far as it judges.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Vec<Condition>,
    parents: Vec<Status>,
}

/// What controllers say of a resource; nothing where the status is not of this shape.
fn conditions(root: Value<'_>) -> Vec<Condition> {
    let Some(status) = root.get("status").and_then(|s| s.read::<Status>().0) else {
        return Vec::new();
    };
    let of_parents = status.parents.into_iter().flat_map(|parent| parent.conditions);
    status.conditions.into_iter().chain(of_parents).collect()
}

/// An entry of `metadata.ownerReferences`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Owner {
    /// Kind of the owner.
    pub kind: String,
    /// Name of the owner.
    pub name: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Head {
    api_version: Option<Text>,
    kind: Option<Text>,
    metadata: Option<Metadata>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: Option<Text>,
    generate_name: Option<Text>,
    namespace: Option<Text>,
    labels: Option<Entries<Text>>,
    annotations: Option<Entries<Text>>,
    owner_references: Option<Vec<Owner>>,
}

impl Meta {
    /// The API group; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// The text that it is, and what is laid over it.
    pub fn text(&self) -> (Span, &[Span]) {
        (self.span, &self.layers)
    }

    /// Whether both are one text with the same laid over it, so that what is said of the one holds for
    /// the other.
    pub fn is_same_text(&self, other: &Self) -> bool {
        self.text() == other.text()
    }

    /// Whether something is written in a field that could not be read: `spec.replicas: ${REPLICAS}`.
    pub fn is_unread(&self, path: &str) -> bool {
        self.unread.iter().any(|unread| unread == path)
    }

    /// A label's value and place.
    pub fn label(&self, key: &str) -> Option<&Text> {
        self.labels.get(key)
    }

    /// An annotation's value and place.
    pub fn annotation(&self, key: &str) -> Option<&Text> {
        self.annotations.get(key)
    }
}

/// A resource: what all have, and what this kind has.
#[derive(Clone, Debug, Default)]
pub struct Resource<S> {
    /// Name, labels and so on.
    pub meta: Meta,
    /// The kind's own part.
    pub spec: S,
}

impl<S> Deref for Resource<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.spec
    }
}

/// Why a document of the input is not a resource that we look into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unread {
    /// No `apiVersion` and `kind`: Helm values, CI files and the like.
    NotKubernetes,
    /// A kind that no rule reads.
    UnknownKind,
}

/// A resource of whatever kind, or the reason why it is none.
#[derive(Clone, Debug)]
pub struct Object {
    /// What every resource has.
    pub meta: Arc<Meta>,
    /// The kind's own view.
    pub view: View,
    /// Fields whose value has not the shape Kubernetes wants.
    pub mismatches: Vec<Mismatch>,
    /// The whole text of what Istio's API describes: its own kinds, and what holds a MeshConfig or a
    /// ProxyConfig.
    pub tree: Option<Subtree>,
}

impl Object {
    /// Changes what the resource is called, in its head and in its view alike.
    pub fn change_meta(&mut self, change: impl Fn(&mut Meta)) {
        change(Arc::make_mut(&mut self.meta));
        if let Some(meta) = self.view.meta_mut() {
            change(meta);
        }
    }
}

/// Groups of the kinds that a control plane reads from its own cluster only.
pub const ISTIO_GROUPS: &[&str] =
    &["networking.istio.io", "security.istio.io", "telemetry.istio.io", "extensions.istio.io"];

/// Groups that Istio has given up.
pub const RETIRED_GROUPS: &[&str] =
    &["authentication.istio.io", "rbac.istio.io", "config.istio.io"];

macro_rules! views {
    ($($(#[$doc:meta])* $name:ident($view:ty): $root:literal, $groups:expr, $kinds:expr;)*) => {
        /// The view of a resource, by kind.
        #[derive(Clone, Debug)]
        pub enum View {
            $($(#[$doc])* $name(Arc<Resource<$view>>),)*
            /// A kind that no rule reads.
            Other,
        }

        impl View {
            fn meta_mut(&mut self) -> Option<&mut Meta> {
                match self {
                    $(Self::$name(r) => Some(&mut Arc::make_mut(r).meta),)*
                    Self::Other => None,
                }
            }
        }

        fn view(meta: &Meta, root: Value<'_>, mismatches: &mut Vec<Mismatch>) -> View {
            let (group, kind) = (meta.group(), meta.kind.as_str());
            $(
                if $groups.contains(&group) && $kinds.contains(&kind) {
                    let spec = spec::<$view>(root, $root, mismatches);
                    let unread = mismatches.iter().filter(|m| !m.is_read);
                    let unread = unread.map(|m| m.path.clone()).collect();
                    let meta = Meta { unread, ..meta.clone() };
                    return View::$name(Arc::new(Resource { meta, spec }));
                }
            )*
            View::Other
        }
    };
}

views! {
    /// A node.
    Node(core::Node): "", [""], ["Node"];
    /// A namespace.
    Namespace(core::Namespace): "", [""], ["Namespace"];
    /// A service.
    Service(core::Service): "spec", [""], ["Service"];
    /// Endpoints of a service.
    EndpointSlice(core::EndpointSlice): "", ["discovery.k8s.io"], ["EndpointSlice"];
    /// A ConfigMap.
    ConfigMap(core::ConfigMap): "", [""], ["ConfigMap"];
    /// A Secret.
    Secret(core::Secret): "", [""], ["Secret"];
    /// A Secret whose values are made or decrypted in the cluster.
    OpaqueSecret(core::OpaqueSecret): "spec",
        ["bitnami.com", "external-secrets.io", "cert-manager.io", "secrets.hashicorp.com"],
        ["SealedSecret", "ExternalSecret", "Certificate", "VaultStaticSecret"];
    /// An issuer of cert-manager.
    Issuer(core::Issuer): "spec", ["cert-manager.io"], ["Issuer", "ClusterIssuer"];
    /// A registration of SPIRE.
    Spire(core::Spire): "spec", ["spire.spiffe.io"],
        ["ClusterSPIFFEID", "ClusterFederatedTrustDomain"];
    /// A pod.
    Pod(workloads::Pod): "", [""], ["Pod"];
    /// A Deployment, StatefulSet, DaemonSet, ReplicaSet or Argo Rollout.
    Workload(workloads::Workload): "spec", ["apps", "argoproj.io"],
        ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Rollout"];
    /// A HorizontalPodAutoscaler.
    Autoscaler(workloads::Autoscaler): "spec", ["autoscaling"], ["HorizontalPodAutoscaler"];
    /// A KEDA ScaledObject.
    ScaledObject(workloads::ScaledObject): "spec", ["keda.sh"], ["ScaledObject"];
    /// A PodDisruptionBudget.
    DisruptionBudget(workloads::DisruptionBudget): "spec", ["policy"], ["PodDisruptionBudget"];
    /// A DestinationRule.
    DestinationRule(networking::DestinationRule): "spec", ["networking.istio.io"], ["DestinationRule"];
    /// A VirtualService.
    VirtualService(networking::VirtualService): "spec", ["networking.istio.io"], ["VirtualService"];
    /// An Istio Gateway.
    Gateway(networking::Gateway): "spec", ["networking.istio.io"], ["Gateway"];
    /// A ServiceEntry.
    ServiceEntry(networking::ServiceEntry): "spec", ["networking.istio.io"], ["ServiceEntry"];
    /// A Sidecar.
    Sidecar(networking::Sidecar): "spec", ["networking.istio.io"], ["Sidecar"];
    /// A WorkloadEntry.
    WorkloadEntry(networking::WorkloadEntry): "spec", ["networking.istio.io"], ["WorkloadEntry"];
    /// A PeerAuthentication.
    PeerAuthentication(security::PeerAuthentication): "spec", ["security.istio.io"],
        ["PeerAuthentication"];
    /// An IstioOperator.
    IstioOperator(control_plane::Install): "spec", ["install.istio.io"], ["IstioOperator"];
    /// An `Istio` or `IstioRevision` of the Sail operator.
    SailIstio(control_plane::Install): "spec", ["sailoperator.io", "operator.istio.io"],
        ["Istio", "IstioRevision"];
    /// A webhook configuration: the injector's path tells cluster and network.
    Webhook(control_plane::Webhooks): "", ["admissionregistration.k8s.io"],
        ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];
    /// A Job or CronJob.
    Job(workloads::Job): "spec", ["batch"], ["Job", "CronJob"];
    /// An AuthorizationPolicy.
    AuthorizationPolicy(security::AuthorizationPolicy): "spec", ["security.istio.io"],
        ["AuthorizationPolicy"];
    /// A RequestAuthentication.
    RequestAuthentication(security::RequestAuthentication): "spec", ["security.istio.io"],
        ["RequestAuthentication"];
    /// A Telemetry.
    Telemetry(extensions::Telemetry): "spec", ["telemetry.istio.io"], ["Telemetry"];
    /// An EnvoyFilter.
    EnvoyFilter(extensions::EnvoyFilter): "spec", ["networking.istio.io"], ["EnvoyFilter"];
    /// A WasmPlugin or TrafficExtension.
    WasmPlugin(extensions::WasmPlugin): "spec", ["extensions.istio.io"],
        ["WasmPlugin", "TrafficExtension"];
    /// A ProxyConfig.
    ProxyConfig(extensions::ProxyConfig): "spec", ["networking.istio.io"], ["ProxyConfig"];
    /// A Gateway of the Gateway API.
    ApiGateway(gateway_api::Gateway): "spec", ["gateway.networking.k8s.io"], ["Gateway"];
    /// A route of the Gateway API.
    ApiRoute(gateway_api::Route): "spec", ["gateway.networking.k8s.io"],
        ["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute"];
    /// A ReferenceGrant of the Gateway API.
    ApiGrant(gateway_api::Grant): "spec", ["gateway.networking.k8s.io"], ["ReferenceGrant"];
    /// What Prometheus is told to look for.
    AlertRules(monitoring::AlertRules): "spec",
        ["monitoring.coreos.com", "operator.victoriametrics.com"], ["PrometheusRule", "VMRule"];
    /// A CustomResourceDefinition.
    Definition(gateway_api::Definition): "spec", ["apiextensions.k8s.io"],
        ["CustomResourceDefinition"];
    /// A Flux HelmRelease.
    HelmRelease(delivery::HelmRelease): "spec", ["helm.toolkit.fluxcd.io"], ["HelmRelease"];
    /// A Flux Kustomization.
    FluxKustomization(delivery::FluxKustomization): "spec", ["kustomize.toolkit.fluxcd.io"],
        ["Kustomization"];
    /// An Argo CD Application.
    Application(delivery::Application): "spec", ["argoproj.io"], ["Application"];
    /// An Argo CD ApplicationSet.
    ApplicationSet(delivery::ApplicationSet): "spec", ["argoproj.io"], ["ApplicationSet"];
    /// A kustomization file.
    Kustomization(delivery::Kustomization): "", ["kustomize.config.k8s.io"],
        ["Kustomization", "Component"];
    /// A Karpenter NodePool or Provisioner.
    NodePool(machines::NodePool): "spec", ["karpenter.sh"], ["NodePool", "Provisioner"];
    /// An eksctl ClusterConfig.
    Eksctl(machines::Eksctl): "", ["eksctl.io"], ["ClusterConfig"];
    /// A Cluster API MachineDeployment or MachinePool.
    Machines(machines::Machines): "spec", ["cluster.x-k8s.io"], ["MachineDeployment", "MachinePool"];
    /// A kind cluster.
    KindCluster(machines::KindCluster): "", ["kind.x-k8s.io"], ["Cluster"];
    /// A Cluster API Cluster.
    ApiCluster(cidrs::ApiCluster): "spec", ["cluster.x-k8s.io"], ["Cluster"];
    /// kubeadm's configuration of a cluster.
    Kubeadm(cidrs::Kubeadm): "", ["kubeadm.k8s.io"], ["ClusterConfiguration"];
    /// A pool of addresses of Calico.
    IpPool(cidrs::IpPool): "spec", ["crd.projectcalico.org", "projectcalico.org"], ["IPPool"];
    /// An installation of Calico.
    CalicoInstallation(cidrs::CalicoInstallation): "spec", ["operator.tigera.io"], ["Installation"];
}

fn spec<S: DeserializeOwned + Default>(
    root: Value<'_>,
    path: &str,
    mismatches: &mut Vec<Mismatch>,
) -> S {
    let value = if path.is_empty() { Some(root) } else { root.get(path) };
    let Some(value) = value else { return S::default() };
    let (spec, wrong) = value.read_strictly::<S>();
    mismatches.extend(wrong.into_iter().map(|m| match (path, m.path.as_str()) {
        ("", _) => m,
        (_, "") => Mismatch { path: path.to_owned(), ..m },
        (_, inner) => Mismatch { path: format!("{path}.{inner}"), ..m },
    }));
    spec.unwrap_or_default()
}

/// What a resource is called, without looking into it; `None` where it is no Kubernetes resource.
pub fn head(root: Value<'_>, file: Option<FileId>, mismatches: &mut Vec<Mismatch>) -> Option<Meta> {
    let (head, wrong) = root.read_strictly::<Head>();
    let head = head?;
    let (api_version, kind) = (head.api_version?, head.kind?);
    mismatches.extend(wrong);
    let m = head.metadata.unwrap_or_default();
    Some(Meta {
        api_version,
        kind,
        name: m.name.or(m.generate_name).unwrap_or_default(),
        namespace: m.namespace.filter(|ns| !ns.is_empty()),
        labels: m.labels.unwrap_or_default(),
        annotations: m.annotations.unwrap_or_default(),
        owners: m.owner_references.unwrap_or_default(),
        span: root.span(),
        file,
        conditions: conditions(root),
        ..Meta::default()
    })
}

/// The resources of a document: one, or those of a `List` (nested ones too), or none and why.
pub fn objects(document: &Document, file: Option<FileId>) -> Result<Vec<Object>, Unread> {
    let mut found = Vec::new();
    let mut known = false;
    let mut rest = vec![document.root()];
    let mut kubernetes = false;
    let copy = OnceCell::new();
    // Aliases of one item are one resource, however often lists of lists name it.
    let mut opened = BTreeSet::new();
    while let Some(root) = rest.pop() {
        if !opened.insert(root.target()) {
            continue;
        }
        let mut mismatches = Vec::new();
        let Some(meta) = head(root, file, &mut mismatches) else {
            if let Some(meta) = kustomization_without_kind(root, file) {
                let view = view(&meta, root, &mut mismatches);
                found.push(Object { meta: Arc::new(meta), view, mismatches, tree: None });
                (known, kubernetes) = (true, true);
            }
            continue;
        };
        kubernetes = true;
        if meta.kind.ends_with("List") && meta.group() != "kustomize.config.k8s.io" {
            let items: Vec<_> = root.get("items").into_iter().flat_map(Value::items).collect();
            if !items.is_empty() || meta.kind.as_str() == "List" {
                rest.extend(items.into_iter().rev());
                known = true;
                continue;
            }
        }
        let mut view = view(&meta, root, &mut mismatches);
        match &mut view {
            View::ConfigMap(map) => {
                Arc::make_mut(map).spec.read_embedded(root, &mut mismatches);
            }
            View::Secret(secret) => Arc::make_mut(secret).read_kubeconfigs(root),
            View::Application(app) => Arc::make_mut(app).spec.read_inline_values(root.get("spec")),
            // Definitions of others' kinds are of no interest.
            View::Definition(_)
                if !meta.name.ends_with(".istio.io")
                    && !meta.name.ends_with(".gateway.networking.k8s.io") =>
            {
                view = View::Other;
            }
            _ => {}
        }
        let is_istio = ISTIO_GROUPS.iter().chain(RETIRED_GROUPS).any(|it| *it == meta.group());
        let holds_config = holds_mesh_config(&meta, root) || holds_proxy_config(root);
        let tree = (is_istio || holds_config).then(|| {
            let copy = copy.get_or_init(|| Arc::new(document.clone()));
            Subtree::new(Arc::clone(copy), root)
        });
        // A resource of whatever kind has to have a sound head.
        known |= !matches!(view, View::Other) || is_istio || !mismatches.is_empty();
        found.push(Object { meta: Arc::new(meta), view, mismatches, tree });
    }
    match (kubernetes, known) {
        (false, _) => Err(Unread::NotKubernetes),
        (true, false) => Err(Unread::UnknownKind),
        (true, true) => Ok(found),
    }
}

/// Whether istiod reads a ConfigMap (`istio`, and `istio-REVISION` of a revision), or it is an operator's
/// word.
fn holds_mesh_config(meta: &Meta, root: Value<'_>) -> bool {
    let installs = ["install.istio.io", "sailoperator.io", "operator.istio.io"];
    if installs.contains(&meta.group()) {
        return true;
    }
    meta.kind.as_str() == "ConfigMap"
        && (meta.name.as_str() == "istio" || meta.name.starts_with("istio-"))
        && ["mesh", "meshNetworks"].into_iter().any(|key| root.at(&["data", key]).is_some())
}

/// Whether pods have an annotation that is laid over the mesh's `defaultConfig`.
fn holds_proxy_config(root: Value<'_>) -> bool {
    let at = |path: &[&str]| root.at(path).is_some();
    at(&["metadata", "annotations", "proxy.istio.io/config"])
        || at(&["spec", "template", "metadata", "annotations", "proxy.istio.io/config"])
}

/// kustomize takes a `kustomization.yaml` without `apiVersion` and `kind`.
fn kustomization_without_kind(root: Value<'_>, file: Option<FileId>) -> Option<Meta> {
    let lists =
        ["resources", "bases", "components", "patches", "patchesStrategicMerge", "generators"];
    // A chart's values may have `resources` too, but those are a mapping.
    lists.iter().find(|key| root.get(key).is_some_and(|list| list.shape() == Shape::Sequence))?;
    let named = |text: &str| Text::new(text.to_owned(), root.span());
    Some(Meta {
        api_version: named("kustomize.config.k8s.io/v1beta1"),
        kind: named("Kustomization"),
        span: root.span(),
        file,
        ..Meta::default()
    })
}

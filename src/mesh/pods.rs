//! Pods as one sees them in a repository: written out, or as the template of what makes them.

use super::{Client, In, Lookup, Mesh, selects, value};
use crate::clusters::{Cluster, ClusterId};
use crate::kinds::control_plane::Webhook;
use crate::kinds::core::Namespace;
use crate::kinds::workloads::{Job, Pod, PodSpec, Selector, Template, Workload};
use crate::kinds::{Meta, is_placeholder};
use crate::source::{Span, Text};
use crate::yaml::Entries;

/// Pods that are alike: one that stands in the input itself, or all that a workload makes.
#[derive(Clone, Copy, Debug)]
pub struct PodShape<'m> {
    /// The cluster.
    pub cluster: ClusterId,
    /// The namespace it has there.
    pub namespace: &'m str,
    /// Of the Pod, or of what makes the pods.
    pub meta: &'m Meta,
    /// Labels of the pods.
    pub labels: &'m Entries<Text>,
    /// Annotations of the pods.
    pub annotations: &'m Entries<Text>,
    /// Their `spec`.
    pub spec: &'m PodSpec,
}

impl PodShape<'_> {
    /// Whether this is a pod itself, and not the template of a workload.
    pub fn is_pod(&self) -> bool {
        self.meta.kind.as_str() == "Pod"
    }

    /// Where the Pod or the workload is called by its name.
    pub fn named_at(&self) -> Span {
        if self.meta.name.is_empty() { self.meta.kind.span } else { self.meta.name.span }
    }

    /// ``Deployment `cart` ``.
    pub fn called(&self) -> String {
        format!("{} `{}`", self.meta.kind, self.meta.name)
    }

    /// Whether the pods have all labels that a selector asks for; an empty one asks for nothing.
    pub fn is_selected_by(&self, selector: &Entries<Text>) -> bool {
        selects(selector, self.labels)
    }

    /// Whether the injector makes a gateway of them.
    pub fn is_injected_as_gateway(&self) -> bool {
        let templates = self.annotations.get("inject.istio.io/templates");
        templates.is_some_and(|told| told.contains("gateway"))
    }

    /// Whether labels or annotations say that they are pods of istiod's own making for a Gateway of the
    /// Gateway API, or of a control plane.
    pub fn is_of_istio(&self) -> bool {
        let release = value(self.meta.label("release")) == Some("istio");
        release || self.meta.label("istio").is_some()
    }
}

impl Mesh {
    /// All pods of the input and all templates of pods, but no ReplicaSet that a workload of the input made.
    pub fn pod_shapes(&self) -> impl Iterator<Item = PodShape<'_>> {
        shapes(self.pods.iter(), self.workloads.iter(), self.jobs.iter())
    }

    /// Those of one cluster.
    pub fn pod_shapes_of(&self, cluster: ClusterId) -> impl Iterator<Item = PodShape<'_>> {
        let pods = self.pods.of_cluster(cluster).iter();
        let workloads = self.workloads.of_cluster(cluster).iter();
        shapes(pods, workloads, self.jobs.of_cluster(cluster).iter())
    }

    /// Those of one namespace.
    pub fn pod_shapes_in<'m>(
        &'m self,
        cluster: ClusterId,
        namespace: &str,
    ) -> impl Iterator<Item = PodShape<'m>> + use<'m> {
        let pods = self.pods.of_namespace(cluster, namespace);
        let workloads = self.workloads.of_namespace(cluster, namespace);
        shapes(pods, workloads, self.jobs.of_namespace(cluster, namespace))
    }

    /// Whether pods have a sidecar, written out or injected; `None` where nobody can tell.
    pub fn has_sidecar(&self, pods: &PodShape<'_>) -> Option<bool> {
        let containers = pods.spec.containers.iter().chain(&pods.spec.init_containers);
        let mut proxies = containers.filter(|c| c.name == "istio-proxy");
        let is_written = |image: &Text| !image.is_empty() && image.as_str() != "auto";
        if proxies.any(|c| c.image.as_ref().is_some_and(is_written)) {
            return Some(true);
        }
        self.is_injected(pods)
    }

    /// Whether the injector takes pods when they start; `None` where nobody can tell. Sources:
    /// `inject.go`, `injectRequired`, and the selectors of the injector's webhooks.
    pub fn is_injected(&self, pods: &PodShape<'_>) -> Option<bool> {
        if pods.spec.host_network {
            return Some(false);
        }
        let asks = self.injection_asked_of(pods);
        if let Some(asks) = asks.filter(|asks| !asks.eq_ignore_ascii_case("true")) {
            return (!is_placeholder(asks)).then_some(false);
        }
        let namespace = match self.namespace(pods.cluster, pods.namespace) {
            Lookup::Found(namespace) if self.is_assumed(&namespace.meta) => return None,
            Lookup::Found(namespace) => Some(namespace),
            Lookup::Absent { .. } => None,
            Lookup::Unseen => return asks.map(|_| true),
        };
        match namespace.and_then(injected_by_label) {
            Some(Injection::Unknown) => None,
            Some(Injection::Off) => Some(false),
            Some(Injection::On) => Some(true),
            None if asks.is_some() || pods.labels.get(REVISION).is_some() => Some(true),
            None if self.injects_by_default(pods.cluster) => None,
            None => self.tells_injection(pods.cluster).then_some(false),
        }
    }

    /// Whether pods were made by a workload of the input, so that what is said of its template need not be
    /// said of them.
    pub fn has_maker(&self, pods: &PodShape<'_>) -> bool {
        let made_by = |name: &str, kind: &str| {
            let mut near = self.workloads.of_namespace(pods.cluster, pods.namespace);
            near.any(|workload| {
                let own = workload.name();
                let by_deployment = kind == "ReplicaSet"
                    && name.strip_prefix(own).is_some_and(|rest| rest.starts_with('-'));
                by_deployment || own == name && workload.meta.kind.as_str() == kind
            })
        };
        pods.is_pod() && pods.meta.owners.iter().any(|owner| made_by(&owner.name, &owner.kind))
    }

    /// Whether the namespaces of a cluster tell how their pods get into the mesh: one of them has a label
    /// that takes them in, or nothing lives outside the input. Else people may set these labels by hand.
    pub fn tells_injection(&self, cluster: ClusterId) -> bool {
        let mut here = self.namespaces.of_cluster(cluster).iter();
        self.cluster(cluster).is_complete() || here.any(takes_in)
    }

    /// Whether anything tells that a mesh is here: control planes, objects of Istio's API, namespaces whose pods
    /// get into it. A folder of Deployments alone tells nothing.
    pub fn tells_of_istio(&self, cluster: ClusterId) -> bool {
        let of_facts = |c: &Cluster| {
            let told = [&c.facts.name, &c.facts.network, &c.facts.mesh_id, &c.facts.version];
            told.iter().any(|facts| !facts.is_empty())
                || c.role().is_some()
                || !c.facts.mesh_config.is_empty()
        };
        let is_here = |other| self.same_mesh(other, cluster);
        self.configured
            || self.peers(cluster).any(of_facts)
            || self.namespaces.iter().any(|ns| takes_in(ns) && is_here(ns.cluster))
            || self.destination_rules.iter().any(|rule| is_here(rule.cluster))
            || self.virtual_services.iter().any(|routes| is_here(routes.cluster))
            || self.peer_authentications.iter().any(|policy| is_here(policy.cluster))
            || self
                .pod_shapes()
                .any(|pods| is_here(pods.cluster) && self.has_sidecar(&pods) == Some(true))
    }

    /// Whether a namespace says that its pods stay outside of the mesh.
    pub fn stays_outside(&self, cluster: ClusterId, namespace: &str) -> bool {
        let keeps_out = |ns: &In<Namespace>| {
            let label = |key| value(ns.meta.label(key));
            label(INJECTION) == Some("disabled") || label(DATAPLANE_MODE) == Some("none")
        };
        self.namespace(cluster, namespace).found().is_some_and(|ns| keeps_out(ns) && !takes_in(ns))
    }

    /// `sidecar.istio.io/inject`: the label, or else the annotation.
    pub fn injection_asked_of<'m>(&self, pods: &PodShape<'m>) -> Option<&'m Text> {
        pods.labels.get(INJECT).or_else(|| pods.annotations.get(INJECT))
    }

    /// Whether ztunnel takes the traffic of pods; `None` where nobody can tell.
    pub fn is_ambient(&self, pods: &PodShape<'_>) -> Option<bool> {
        if value(pods.annotations.get("ambient.istio.io/redirection")) == Some("enabled") {
            return Some(true);
        }
        if let Some(mode) = pods.labels.get(DATAPLANE_MODE) {
            return (!is_placeholder(mode)).then(|| mode.as_str() == "ambient");
        }
        match self.namespace(pods.cluster, pods.namespace) {
            Lookup::Found(namespace) if self.is_assumed(&namespace.meta) => None,
            Lookup::Found(namespace) if is_ambient_namespace(namespace) => Some(true),
            Lookup::Found(namespace) if is_told(namespace) => Some(false),
            Lookup::Found(_) => self.tells_injection(pods.cluster).then_some(false),
            Lookup::Absent { .. } => Some(false),
            Lookup::Unseen => None,
        }
    }

    /// What says that ztunnel calls for a client: a label of its pods, or else of its namespace.
    pub fn ambient_client<'m>(&'m self, client: &Client<'m>) -> Option<&'m Text> {
        let own = |key| client.labels.and_then(|labels| labels.get(key));
        if let Some(mode) = own(DATAPLANE_MODE) {
            return Some(mode).filter(|mode| mode.as_str() == "ambient");
        }
        if value(own(INJECT)) == Some("true") {
            return None;
        }
        let namespace = self.namespace(client.cluster, client.namespace).found()?;
        let is_sure = is_ambient_namespace(namespace) && !self.is_assumed(&namespace.meta);
        namespace.meta.label(DATAPLANE_MODE).filter(|_| is_sure)
    }

    /// Whether pods are of the mesh, by a sidecar or by ztunnel; `None` where nobody can tell.
    pub fn is_in_mesh(&self, pods: &PodShape<'_>) -> Option<bool> {
        match (self.has_sidecar(pods), self.is_ambient(pods)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        }
    }

    /// Whether some injector of a cluster takes namespaces without a label, by its values or by its webhook.
    pub fn injects_by_default(&self, cluster: ClusterId) -> bool {
        let takes_all = |selector: &Option<Selector>| {
            selector.as_ref().is_none_or(|selector| selector.takes(|_| None))
        };
        let by_default = |hook: &Webhook| {
            hook.name.as_ref().is_some_and(|name| name.ends_with("istio.io"))
                && takes_all(&hook.namespace_selector)
                && takes_all(&hook.object_selector)
        };
        let all = self.webhooks.of_cluster(cluster).iter();
        let mut mutating = all.filter(|of| of.meta.kind.as_str() == "MutatingWebhookConfiguration");
        self.injectors(cluster).any(|injector| injector.by_default.is_some())
            || mutating.any(|of| of.webhooks.iter().any(by_default))
    }
}

/// What makes a pod have a sidecar, or not have one.
pub const INJECT: &str = "sidecar.istio.io/inject";
/// The revision of the control plane, on a namespace or a pod.
pub const REVISION: &str = "istio.io/rev";
/// `ambient`, or `none`: on a namespace or a pod.
pub const DATAPLANE_MODE: &str = "istio.io/dataplane-mode";
/// `enabled` or `disabled`: on a namespace.
pub const INJECTION: &str = "istio-injection";

/// What labels of a namespace say of sidecars.
enum Injection {
    On,
    Off,
    Unknown,
}

fn injected_by_label(namespace: &In<Namespace>) -> Option<Injection> {
    let label = |key| namespace.meta.label(key).filter(|text| !text.is_empty());
    let told = label(INJECTION).or_else(|| label(REVISION))?;
    Some(if is_placeholder(told) {
        Injection::Unknown
    } else if label(INJECTION).is_some_and(|word| word.as_str() != "enabled") {
        Injection::Off
    } else {
        Injection::On
    })
}

/// Whether a label of a namespace says how its pods get into the mesh, or that they do not.
pub fn is_told(namespace: &In<Namespace>) -> bool {
    [INJECTION, REVISION, DATAPLANE_MODE].iter().any(|key| namespace.meta.label(key).is_some())
}

/// Whether labels of a namespace take its pods into the mesh.
pub fn takes_in(namespace: &In<Namespace>) -> bool {
    let label = |key| value(namespace.meta.label(key)).filter(|text| !text.is_empty());
    let by_revision = label(INJECTION).is_none() && label(REVISION).is_some();
    label(INJECTION) == Some("enabled") || by_revision || label(DATAPLANE_MODE) == Some("ambient")
}

/// Whether a namespace is of ambient: sidecars win where its labels ask for both.
pub fn is_ambient_namespace(namespace: &In<Namespace>) -> bool {
    let label = |key| value(namespace.meta.label(key));
    label(DATAPLANE_MODE) == Some("ambient")
        && label(INJECTION) != Some("enabled")
        && label(REVISION).is_none_or(str::is_empty)
}

fn shapes<'m>(
    pods: impl Iterator<Item = &'m In<Pod>>,
    workloads: impl Iterator<Item = &'m In<Workload>>,
    jobs: impl Iterator<Item = &'m In<Job>>,
) -> impl Iterator<Item = PodShape<'m>> {
    let workloads = workloads.filter(|w| !w.is_owned()).map(|w| of_template(w, &w.template));
    let jobs = jobs.filter(|job| job.meta.owners.is_empty());
    pods.map(of_pod).chain(workloads).chain(jobs.map(|job| of_template(job, job.template())))
}

fn of_pod(pod: &In<Pod>) -> PodShape<'_> {
    PodShape {
        cluster: pod.cluster,
        namespace: &pod.namespace,
        meta: &pod.meta,
        labels: &pod.meta.labels,
        annotations: &pod.meta.annotations,
        spec: &pod.resource.spec.spec,
    }
}

fn of_template<'m, S>(made_by: &'m In<S>, template: &'m Template) -> PodShape<'m> {
    PodShape {
        cluster: made_by.cluster,
        namespace: &made_by.namespace,
        meta: &made_by.meta,
        labels: &template.metadata.labels,
        annotations: &template.metadata.annotations,
        spec: &template.spec,
    }
}

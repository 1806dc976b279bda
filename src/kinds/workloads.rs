//! Views of workloads and of what scales and guards them.

use serde::Deserialize;

use super::parts::{Conditions, EnvVar, TargetRef};
use crate::source::{Spanned, Text};
use crate::yaml::{Entries, IntOrString};

/// `spec` of a Deployment, StatefulSet, DaemonSet, ReplicaSet or Rollout.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Workload {
    /// How many pods; 1 where absent (not for a DaemonSet).
    pub replicas: Option<Spanned<u32>>,
    /// The pods it owns.
    pub selector: Option<Selector>,
    /// What its pods are made from.
    pub template: Template,
    /// A Rollout may take its template from another workload.
    #[serde(rename = "workloadRef")]
    pub workload_ref: Option<TargetRef>,
}

/// A pod template.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Template {
    /// Labels and annotations.
    pub metadata: TemplateMeta,
    /// The pods' `spec`.
    pub spec: PodSpec,
}

/// `metadata` of a pod template.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TemplateMeta {
    /// Labels of the pods.
    pub labels: Entries<Text>,
    /// Annotations of the pods.
    pub annotations: Entries<Text>,
}

/// A pod: what it is asked to be, and how it does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// When it is to go.
    pub metadata: PodMeta,
    /// What it is asked to be.
    pub spec: PodSpec,
    /// How it does.
    pub status: PodStatus,
}

/// `metadata` of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodMeta {
    /// Set once somebody has deleted it.
    pub deletion_timestamp: Option<Text>,
}

/// `status` of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodStatus {
    /// `Running`, `Succeeded`, ...
    pub phase: Option<Text>,
    /// `Ready` among others.
    pub conditions: Vec<PodCondition>,
}

impl PodStatus {
    /// Whether all containers have ended for good, as those of a finished Job.
    pub fn has_ended(&self) -> bool {
        self.phase.as_ref().is_some_and(|phase| ["Succeeded", "Failed"].contains(&phase.as_str()))
    }
}

/// A condition of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodCondition {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    /// `True`, `False` or `Unknown`.
    pub status: Option<Text>,
}

impl std::ops::Deref for Pod {
    type Target = PodSpec;

    fn deref(&self) -> &PodSpec {
        &self.spec
    }
}

impl Pod {
    /// What Kubernetes writes into its endpoints: a pod that is about to go is not ready. Without a
    /// `status` nothing is known, which counts as ready.
    pub fn conditions(&self) -> Conditions {
        let is =
            |text: &Option<Text>, word: &str| text.as_ref().is_some_and(|t| t.as_str() == word);
        let ready = self.status.conditions.iter().find(|c| is(&c.kind, "Ready"));
        let serving = ready.map(|condition| is(&condition.status, "True"));
        let terminating = self.metadata.deletion_timestamp.is_some();
        let ready = if terminating { Some(false) } else { serving };
        Conditions { ready, serving, terminating: Some(terminating) }
    }
}

/// `spec` of a pod, as far as it decides where the pod runs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    /// The node, once it is scheduled (or pinned by hand).
    pub node_name: Option<Text>,
    /// Labels a node must have.
    pub node_selector: Entries<Text>,
    /// Affinity to nodes and pods.
    pub affinity: Affinity,
    /// How evenly it must spread.
    pub topology_spread_constraints: Vec<SpreadConstraint>,
    /// Taints it bears.
    pub tolerations: Vec<Toleration>,
    /// Its identity.
    pub service_account_name: Option<Text>,
    /// Whether it uses the node's network.
    pub host_network: bool,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Containers that run before those, and native sidecars.
    pub init_containers: Vec<Container>,
    /// Who its processes run as.
    pub security_context: SecurityContext,
}

/// `securityContext` of a pod or container, as far as it says who runs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SecurityContext {
    /// The user's number.
    pub run_as_user: Option<Spanned<i64>>,
}

/// `spec` of a Job or CronJob.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Job {
    /// What a Job's pods are made from.
    pub template: Template,
    /// What a CronJob's Jobs are made from.
    pub job_template: Option<JobTemplate>,
}

/// `jobTemplate` of a CronJob.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct JobTemplate {
    /// `spec` of its Jobs.
    pub spec: JobSpec,
}

/// `spec` of a CronJob's Jobs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct JobSpec {
    /// What their pods are made from.
    pub template: Template,
}

impl Job {
    /// What its pods are made from.
    pub fn template(&self) -> &Template {
        self.job_template.as_ref().map_or(&self.template, |job| &job.spec.template)
    }
}

/// A container, as far as it tells control-plane facts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: Option<Text>,
    /// Its arguments.
    pub args: Vec<Text>,
    /// Its environment.
    pub env: Vec<EnvVar>,
    /// ConfigMaps and Secrets that bring more of it.
    #[serde(rename = "envFrom")]
    pub env_from: Vec<serde::de::IgnoredAny>,
    /// Who its processes run as.
    #[serde(rename = "securityContext")]
    pub security_context: SecurityContext,
    /// Ports that have names.
    pub ports: Vec<ContainerPort>,
}

/// A port of a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContainerPort {
    /// The name that a Service may call it by.
    pub name: Option<Text>,
}

/// `affinity` of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Affinity {
    /// To nodes.
    pub node_affinity: NodeAffinity,
    /// To pods.
    pub pod_affinity: PodAffinity,
    /// Away from pods.
    pub pod_anti_affinity: PodAffinity,
}

/// `nodeAffinity`: only the required part binds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeAffinity {
    /// What a node must fulfil.
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Option<NodeSelector>,
}

/// A node selector: one of its terms must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeSelector {
    /// Alternatives.
    pub node_selector_terms: Vec<NodeSelectorTerm>,
}

/// A term: all of its expressions must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeSelectorTerm {
    /// Conditions on labels.
    pub match_expressions: Vec<Expression>,
    /// Conditions on fields (`metadata.name`).
    pub match_fields: Vec<Expression>,
}

/// A condition on a label.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Expression {
    /// The label.
    pub key: Text,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt` or `Lt`.
    pub operator: Text,
    /// What it is compared with.
    pub values: Vec<Text>,
}

/// `podAffinity` or `podAntiAffinity`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodAffinity {
    /// What must hold.
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Vec<PodAffinityTerm>,
}

/// A term of pod affinity.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodAffinityTerm {
    /// The pods it looks at.
    pub label_selector: Option<Selector>,
    /// What makes two nodes the same place.
    pub topology_key: Option<Text>,
    /// The namespaces of those pods; the own one where empty.
    pub namespaces: Vec<String>,
}

/// A label selector.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Selector {
    /// Labels that must be there.
    pub match_labels: Entries<Text>,
    /// Conditions that must hold.
    pub match_expressions: Vec<Expression>,
}

impl Selector {
    /// Whether it selects nothing in particular: an empty selector selects everything.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// Whether labels given by look-up fulfil it; one with an operator that does not exist takes nothing.
    pub fn takes<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        let known = |operator: &str| ["In", "NotIn", "Exists", "DoesNotExist"].contains(&operator);
        let asked = |asked: &Expression| known(asked.operator.as_str()) && asked.matches(&label);
        self.match_labels.iter().all(|(key, want)| label(key.as_str()) == Some(want.as_str()))
            && self.match_expressions.iter().all(asked)
    }

    /// Whether labels fulfil it.
    pub fn matches(&self, labels: &Entries<Text>) -> bool {
        let same = |(key, value): &(Text, Text)| labels.get(key.as_str()) == Some(value);
        self.match_labels.iter().all(same)
            && self
                .match_expressions
                .iter()
                .all(|e| e.matches(|key| labels.get(key).map(|v| v.as_str())))
    }
}

impl Expression {
    /// Whether it holds for labels given by look-up. An operator that does not exist holds.
    pub fn matches<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        let value = label(self.key.as_str());
        let among = || value.is_some_and(|v| self.values.iter().any(|w| w.as_str() == v));
        let number = |text: Option<&str>| text.and_then(|t| t.parse::<i64>().ok());
        let bound = number(self.values.first().map(|v| v.as_str()));
        match self.operator.as_str() {
            "In" => among(),
            "NotIn" => !among(),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            "Gt" => number(value).zip(bound).is_some_and(|(v, b)| v > b),
            "Lt" => number(value).zip(bound).is_some_and(|(v, b)| v < b),
            _ => true,
        }
    }
}

/// An entry of `topologySpreadConstraints`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SpreadConstraint {
    /// The largest allowed difference between two domains.
    pub max_skew: Option<Spanned<u32>>,
    /// The least number of domains.
    pub min_domains: Option<Spanned<u32>>,
    /// The label whose values are the domains.
    pub topology_key: Option<Text>,
    /// `DoNotSchedule` (binding, where absent) or `ScheduleAnyway`.
    pub when_unsatisfiable: Option<Text>,
    /// The pods that are counted.
    pub label_selector: Option<Selector>,
    /// Labels whose values are added to the selector.
    pub match_label_keys: Vec<String>,
    /// Whether nodes outside the pod's node affinity count as domains: `Honor` where absent.
    pub node_affinity_policy: Option<Text>,
    /// Whether tainted nodes count as domains: `Ignore` where absent.
    pub node_taints_policy: Option<Text>,
}

/// A toleration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Toleration {
    /// The taint's key; every key where absent.
    pub key: Option<Text>,
    /// `Equal` (where absent) or `Exists`.
    pub operator: Option<Text>,
    /// The taint's value.
    pub value: Option<Text>,
    /// The taint's effect; every effect where absent.
    pub effect: Option<Text>,
}

/// `spec` of a HorizontalPodAutoscaler.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Autoscaler {
    /// What it scales.
    pub scale_target_ref: Option<Spanned<TargetRef>>,
    /// 1 where absent.
    pub min_replicas: Option<Spanned<u32>>,
    /// The most.
    pub max_replicas: Option<Spanned<u32>>,
}

/// `spec` of a KEDA ScaledObject.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ScaledObject {
    /// What it scales.
    pub scale_target_ref: Option<Spanned<TargetRef>>,
    /// 0 where absent.
    pub min_replica_count: Option<Spanned<u32>>,
    /// 100 where absent.
    pub max_replica_count: Option<Spanned<u32>>,
}

/// `spec` of a PodDisruptionBudget.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DisruptionBudget {
    /// The pods it guards. An empty one guards every pod of the namespace, an absent one none.
    pub selector: Option<Selector>,
    /// How many must stay.
    pub min_available: Option<Spanned<IntOrString>>,
    /// How many may go.
    pub max_unavailable: Option<Spanned<IntOrString>>,
}

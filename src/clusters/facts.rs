//! What control planes and namespaces tell of a cluster, and where each fact stands.

use std::fmt;

use super::Member;
use crate::kinds::View;
use crate::kinds::control_plane::{Install, MeshConfig, Values};
use crate::kinds::core::Namespace;
use crate::kinds::workloads::Workload;
use crate::kinds::{Meta, Resource};
use crate::source::{Span, Text};

/// Where a fact comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// `mesh-lint.yaml` or the command line.
    Configuration,
    /// An IstioOperator.
    IstioOperator,
    /// `Istio` of the Sail operator.
    Sail,
    /// Values of a Helm chart, in a file, a HelmRelease or an Application.
    HelmValues,
    /// The Deployment of istiod.
    Istiod,
    /// The `istio` ConfigMap.
    MeshConfig,
    /// Labels of the control plane's namespace.
    Namespace,
    /// The injector's webhook.
    Webhook,
    /// A Flux or Argo CD object.
    Delivery,
    /// The name of a folder or file.
    Folder,
    /// Nothing: there is no sign of a second cluster.
    Alone,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "configuration",
            Self::IstioOperator => "IstioOperator",
            Self::Sail => "Istio",
            Self::HelmValues => "Helm values",
            Self::Istiod => "istiod Deployment",
            Self::MeshConfig => "MeshConfig",
            Self::Namespace => "namespace label",
            Self::Webhook => "injector webhook",
            Self::Delivery => "delivery object",
            Self::Folder => "folder",
            Self::Alone => "no sign of several clusters",
        })
    }
}

/// What a cluster is in its mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Runs a control plane that serves its own proxies.
    Primary,
    /// Its configuration is read by a control plane that runs elsewhere.
    ConfigOfExternal,
    /// Its proxies are served by another cluster's control plane.
    Remote,
}

impl Role {
    /// `primary`, `remote`, or `config` (`external`).
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "primary" => Some(Self::Primary),
            "remote" => Some(Self::Remote),
            "config" | "external" => Some(Self::ConfigOfExternal),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Primary => "primary",
            Self::ConfigOfExternal => "config cluster",
            Self::Remote => "remote",
        })
    }
}

/// A fact and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What is told.
    pub value: Text,
    /// By what sort of object.
    pub origin: Origin,
}

/// All that is told of a cluster; several entries of one list should agree.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `CLUSTER_ID`.
    pub name: Vec<Fact>,
    /// Network of its pods.
    pub network: Vec<Fact>,
    /// Identifier of the mesh.
    pub mesh_id: Vec<Fact>,
    /// Trust domain.
    pub trust_domain: Vec<Fact>,
    /// Revision of its control plane.
    pub revision: Vec<Fact>,
    /// Version of its control plane.
    pub version: Vec<Fact>,
    /// Clusters whose control planes serve it.
    pub served_by: Vec<Fact>,
    /// Its role, and what tells so.
    pub role: Vec<(Role, Span)>,
    /// Namespace of the control plane.
    pub system_namespace: Vec<Fact>,
    /// What says that certificates come from elsewhere than istiod.
    pub foreign_ca: Vec<Fact>,
    /// Its MeshConfig.
    pub mesh_config: Vec<MeshConfig>,
}

impl Facts {
    /// The namespace of the control plane: `istio-system` unless told otherwise.
    pub fn system_namespace(&self) -> &str {
        self.system_namespace.first().map_or("istio-system", |fact| fact.value.as_str())
    }

    /// Learns what a resource of the cluster tells.
    pub(super) fn learn(&mut self, member: &Member) {
        match &member.object.view {
            View::IstioOperator(r) => self.learn_install(&r.meta, &r.spec, Origin::IstioOperator),
            View::SailIstio(r) => self.learn_install(&r.meta, &r.spec, Origin::Sail),
            View::HelmRelease(r) => self.learn_values(&r.spec.values, Origin::HelmValues),
            View::Application(r) => {
                let sources = r.spec.source.iter().chain(&r.spec.sources);
                for values in sources.filter_map(|s| s.helm.values_object.as_ref()) {
                    self.learn_values(values, Origin::HelmValues);
                }
            }
            View::ConfigMap(r) => {
                if let Some(config) = &r.spec.mesh {
                    self.learn_mesh_config(config, Origin::MeshConfig);
                }
            }
            View::Namespace(r) => self.learn_namespace(r),
            View::Workload(r) => self.learn_istiod(r),
            View::Webhook(r) => {
                for hook in &r.spec.webhooks {
                    let service = hook.client_config.service.as_ref();
                    let path = service.and_then(|s| s.path.as_ref());
                    self.learn_injection(path.or(hook.client_config.url.as_ref()), Origin::Webhook);
                }
            }
            _ => {}
        }
    }

    fn learn_install(&mut self, meta: &Meta, install: &Install, origin: Origin) {
        let remote =
            install.profile.as_ref().filter(|p| matches!(p.as_str(), "remote" | "external"));
        if let Some(profile) = remote {
            let config = install.values.global.config_cluster.as_ref().is_some_and(|c| c.value);
            let role = if config { Role::ConfigOfExternal } else { Role::Remote };
            self.role.push((role, profile.span));
        }
        push(&mut self.version, install.version.as_ref().or(install.tag.as_ref()), origin);
        push(&mut self.revision, install.revision.as_ref(), origin);
        push(&mut self.system_namespace, install.namespace.as_ref(), origin);
        if let Some(config) = &install.mesh_config {
            self.learn_mesh_config(config, origin);
        }
        self.learn_values(&install.values, origin);
        if self.role.is_empty() && install.profile.as_ref().is_none_or(|p| p.as_str() != "empty") {
            self.role.push((Role::Primary, meta.kind.span));
        }
    }

    /// Learns what Helm values tell.
    pub(super) fn learn_values(&mut self, values: &Values, origin: Origin) {
        let global = &values.global;
        push(&mut self.name, global.multi_cluster.cluster_name.as_ref(), origin);
        push(&mut self.name, values.multi_cluster.cluster_name.as_ref(), origin);
        push(&mut self.name, values.pilot.env.get("CLUSTER_ID"), origin);
        push(&mut self.network, global.network.as_ref(), origin);
        push(&mut self.mesh_id, global.mesh_id.as_ref(), origin);
        push(&mut self.version, global.tag.as_ref(), origin);
        push(&mut self.revision, values.revision.as_ref(), origin);
        push(&mut self.foreign_ca, global.ca_address.as_ref(), origin);
        for key in ["EXTERNAL_CA", "ENABLE_CA_SERVER", "PILOT_CERT_PROVIDER"] {
            push(&mut self.foreign_ca, values.pilot.env.get(key), origin);
        }
        push(&mut self.system_namespace, global.istio_namespace.as_ref(), origin);
        self.learn_injection(values.istiod_remote.injection_path.as_ref(), origin);
        self.learn_injection(values.istiod_remote.injection_url.as_ref(), origin);
        let config = global.config_cluster.as_ref().is_some_and(|c| c.value);
        let role = if config { Role::ConfigOfExternal } else { Role::Remote };
        if let Some(address) = &global.remote_pilot_address {
            self.role.push((role, address.span));
        } else if let Some(enabled) = values.istiod_remote.enabled.as_ref().filter(|e| e.value) {
            self.role.push((role, enabled.span));
        }
        if let Some(config) = &values.mesh_config {
            self.learn_mesh_config(config, origin);
        }
    }

    fn learn_mesh_config(&mut self, config: &MeshConfig, origin: Origin) {
        push(&mut self.trust_domain, config.trust_domain.as_ref(), origin);
        push(&mut self.mesh_id, config.default_config.mesh_id.as_ref(), origin);
        self.mesh_config.push(config.clone());
    }

    fn learn_namespace(&mut self, namespace: &Resource<Namespace>) {
        if namespace.meta.name.as_str() == self.system_namespace() {
            push(
                &mut self.network,
                namespace.meta.label("topology.istio.io/network"),
                Origin::Namespace,
            );
            let served_by = namespace.meta.annotation("topology.istio.io/controlPlaneClusters");
            push(&mut self.served_by, served_by, Origin::Namespace);
            if let Some(by) = served_by.filter(|by| !by.is_empty()) {
                self.role.push((Role::Remote, by.span));
            }
        }
    }

    fn learn_istiod(&mut self, deployment: &Resource<Workload>) {
        let containers = &deployment.spec.template.spec.containers;
        let Some(istiod) = containers.iter().find(|c| c.name == "discovery") else { return };
        let env = |name: &str| istiod.env.iter().rev().find(|e| e.name == name)?.value.as_ref();
        push(&mut self.name, env("CLUSTER_ID"), Origin::Istiod);
        push(&mut self.revision, env("REVISION"), Origin::Istiod);
        self.role.push((Role::Primary, deployment.meta.kind.span));
        if let Some(image) = &istiod.image
            && let Some((_, tag)) = image.rsplit_once(':')
        {
            let start = image.span.end - u32::try_from(tag.len()).unwrap_or_default();
            let tag =
                Text::new(tag.to_owned(), Span::new(start.max(image.span.start), image.span.end));
            push(&mut self.version, Some(&tag), Origin::Istiod);
        }
    }

    /// `/inject/cluster/NAME/net/NETWORK`, or the same as `:ENV:cluster=NAME:ENV:net=NETWORK`.
    fn learn_injection(&mut self, path: Option<&Text>, origin: Origin) {
        let Some(path) = path else { return };
        let Some((_, tail)) = path.split_once("/inject") else { return };
        let words: Vec<&str> = if tail.contains(":ENV:") {
            tail.split(":ENV:").flat_map(|pair| pair.split('=')).skip(1).collect()
        } else {
            tail.trim_start_matches('/').split('/').collect()
        };
        for pair in words.chunks_exact(2) {
            let value = Text::new(pair[1].replace("--slash--", "/"), path.span);
            match pair[0] {
                "cluster" => push(&mut self.name, Some(&value), origin),
                "net" => push(&mut self.network, Some(&value), origin),
                _ => {}
            }
        }
    }
}

/// Adds a fact. Empty values and variables that a pipeline fills in tell nothing.
fn push(facts: &mut Vec<Fact>, value: Option<&Text>, origin: Origin) {
    let Some(value) = value.filter(|v| !v.is_empty() && !crate::kinds::is_placeholder(v)) else {
        return;
    };
    let fact = Fact { value: value.clone(), origin };
    if !facts.iter().any(|f| f.value.span == fact.value.span && f.value == fact.value) {
        facts.push(fact);
    }
}

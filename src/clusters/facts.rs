//! What control planes and namespaces tell of a cluster, and where each fact stands.

use std::fmt;

use super::installs::Installed;
pub use super::origin::Origin;
use crate::kinds::View;
use crate::kinds::control_plane::{CsrApp, Install, MeshConfig, Values};
use crate::kinds::core::Namespace;
use crate::kinds::delivery::HelmRelease;
use crate::kinds::networks::MeshNetwork;
use crate::kinds::workloads::{Template, Workload};
use crate::kinds::{Meta, Object, Resource};
use crate::source::{Span, Text};
use crate::yaml::Entries;

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
    /// Networks that its control plane gives to clusters: the network's name, and the cluster's.
    pub networks: Vec<(Text, Text)>,
    /// Networks as its control plane's MeshNetworks have them, by name.
    pub mesh_networks: Vec<(Text, MeshNetwork)>,
    /// Networks to which gateways lead that an IstioOperator or the gateway chart installs here.
    pub network_gateways: Vec<Text>,
    /// Its MeshConfig.
    pub mesh_config: Vec<MeshConfig>,
    /// Whether it is installed for ambient.
    pub ambient: bool,
    /// Whether istiod hands the roots of `caCertificates` to proxies.
    pub multiple_roots: bool,
    /// Environment of istiod: names and values.
    pub istiod_env: Vec<(Text, Text)>,
    /// The texts that install its control plane.
    pub installs: Vec<Installed>,
    /// `global.trustDomain` and `global.trustDomainAliases`, which no chart reads.
    pub idle_trust_domain: Vec<Text>,
    /// What tells that SPIRE signs workloads.
    pub spire: Vec<Span>,
    /// The settings of istio-csr.
    pub istio_csr: Vec<CsrApp>,
    /// Control planes that run here and read other clusters, until these have their facts.
    pub(super) hosted: Vec<Facts>,
}

impl Facts {
    /// The namespace of the control plane: `istio-system` unless told otherwise.
    pub fn system_namespace(&self) -> &str {
        self.system_namespace.first().map_or("istio-system", |fact| fact.value.as_str())
    }

    /// Where proxies are told to look for istiod.
    pub fn discovery_addresses(&self) -> impl Iterator<Item = &Text> {
        self.mesh_config.iter().filter_map(|c| c.default_config.discovery_address.as_ref())
    }

    /// A variable of istiod's environment; empty where a pipeline fills it in.
    pub fn istiod_env(&self, name: &str) -> Option<&Text> {
        self.istiod_env.iter().rev().find(|(key, _)| key.as_str() == name).map(|(_, value)| value)
    }

    /// Learns what a resource of the cluster tells.
    pub(super) fn learn(&mut self, object: &Object) {
        match &object.view {
            View::IstioOperator(r) => self.learn_install(&r.meta, &r.spec, Origin::IstioOperator),
            View::SailIstio(r) => self.learn_install(&r.meta, &r.spec, Origin::Sail),
            View::HelmRelease(r) if r.spec.kube_config.is_none() => {
                self.note(Installed::of_release(&r.meta, &r.spec));
                self.learn_release(&r.spec);
            }
            View::ConfigMap(r) => {
                if let Some(config) = &r.spec.mesh {
                    self.learn_mesh_config(config, Origin::MeshConfig);
                }
                if let Some(told) = &r.spec.networks {
                    self.learn_networks(&told.networks);
                }
            }
            View::Namespace(r) => self.learn_namespace(r),
            View::Workload(r) => {
                self.learn_istiod(r);
                self.learn_spire(&r.spec.template);
            }
            View::Spire(r) => self.spire.push(r.meta.kind.span),
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

    fn learn_release(&mut self, release: &HelmRelease) {
        self.learn_values(&release.values, Origin::HelmValues);
        self.learn_chart(release.chart.spec.chart.as_ref(), release.chart.spec.version.as_ref());
    }

    /// Learns what the chart `istiod` tells: its version is Istio's.
    pub(super) fn learn_chart(&mut self, chart: Option<&Text>, version: Option<&Text>) {
        let Some(chart) = chart.filter(|c| c.rsplit('/').next() == Some("istiod")) else { return };
        push(&mut self.version, version, Origin::HelmValues);
        if self.role.is_empty() {
            self.role.push((Role::Primary, chart.span));
        }
    }

    fn learn_install(&mut self, meta: &Meta, install: &Install, origin: Origin) {
        self.note(Installed::of_install(meta, install, origin));
        let remote =
            install.profile.as_ref().filter(|p| matches!(p.as_str(), "remote" | "external"));
        if let Some(profile) = remote {
            let config = install.values.global.config_cluster.as_ref().is_some_and(|c| c.value);
            let role = if config { Role::ConfigOfExternal } else { Role::Remote };
            self.role.push((role, profile.span));
        }
        self.ambient |= is_ambient(install.profile.as_ref());
        push(&mut self.version, install.version.as_ref().or(install.tag.as_ref()), origin);
        push(&mut self.revision, install.revision.as_ref(), origin);
        push(&mut self.system_namespace, install.namespace.as_ref(), origin);
        if let Some(config) = &install.mesh_config {
            self.learn_mesh_config(config, origin);
        }
        // The operator lays this over what the chart makes of the values.
        let env = &install.components.pilot.k8s.env;
        for named in env.iter().filter(|variable| variable.name == "CLUSTER_ID") {
            push(&mut self.name, named.value.as_ref(), origin);
        }
        self.learn_values(&install.values, origin);
        let gateways = install.components.ingress_gateways.iter();
        let gateways = gateways.filter(|g| g.enabled.as_ref().is_none_or(|enabled| enabled.value));
        let networks = gateways.filter_map(|g| g.label.get("topology.istio.io/network"));
        self.network_gateways.extend(networks.filter(|network| !network.is_empty()).cloned());
        for variable in env {
            self.learn_env(&variable.name, variable.value.as_ref());
        }
        if self.role.is_empty() && install.profile.as_ref().is_none_or(|p| p.as_str() != "empty") {
            self.role.push((Role::Primary, meta.kind.span));
        }
    }

    /// Learns what Helm values tell.
    pub(super) fn learn_values(&mut self, values: &Values, origin: Origin) {
        let global = &values.global;
        self.ambient |= is_ambient(values.profile.as_ref());
        push(&mut self.name, global.multi_cluster.cluster_name.as_ref(), origin);
        push(&mut self.name, values.multi_cluster.cluster_name.as_ref(), origin);
        push(&mut self.name, values.pilot.env.get("CLUSTER_ID"), origin);
        push(&mut self.network, global.network.as_ref(), origin);
        if values.multi_cluster.cluster_name.is_some() {
            push(&mut self.network, values.network.as_ref(), origin);
        }
        push(&mut self.mesh_id, global.mesh_id.as_ref(), origin);
        push(&mut self.version, global.tag.as_ref(), origin);
        push(&mut self.revision, values.revision.as_ref(), origin);
        push(&mut self.foreign_ca, global.ca_address.as_ref(), origin);
        self.learn_networks(&global.mesh_networks);
        let gateway = values.network_gateway.iter().filter(|network| !network.is_empty());
        self.network_gateways.extend(gateway.cloned());
        for key in ["EXTERNAL_CA", "ENABLE_CA_SERVER", "PILOT_CERT_PROVIDER"] {
            push(&mut self.foreign_ca, values.pilot.env.get(key), origin);
        }
        for (name, value) in &values.pilot.env {
            self.learn_env(name, Some(value));
        }
        let idle = global.trust_domain.iter().chain(&global.trust_domain_aliases);
        self.idle_trust_domain.extend(idle.cloned());
        let templates = values.sidecar_injector_webhook.templates.iter();
        let of_spire = templates.filter(|(name, _)| name.contains("spire"));
        self.spire.extend(of_spire.map(|(name, _)| name.span));
        self.istio_csr.extend(values.app.iter().filter(|app| app.is_one()).cloned());
        push(&mut self.system_namespace, global.istio_namespace.as_ref(), origin);
        let remote = &values.istiod_remote;
        self.learn_injection(remote.injection_path.as_ref(), Origin::InjectionPath);
        self.learn_injection(remote.injection_url.as_ref(), Origin::InjectionPath);
        let config = global.config_cluster.as_ref().is_some_and(|c| c.value);
        let role = if config { Role::ConfigOfExternal } else { Role::Remote };
        let profile = values.profile.as_ref().filter(|p| p.as_str() == "remote");
        let address = global.remote_pilot_address.as_ref().filter(|address| !address.is_empty());
        if let Some(address) = address.or(profile) {
            self.role.push((role, address.span));
        } else if let Some(enabled) = values.istiod_remote.enabled.as_ref().filter(|e| e.value) {
            self.role.push((role, enabled.span));
        }
        if let Some(config) = &values.mesh_config {
            self.learn_mesh_config(config, origin);
        }
    }

    /// Notes a text that installs a control plane.
    pub(super) fn note(&mut self, installed: Installed) {
        if !self.installs.iter().any(|known| known.is_same(&installed)) {
            self.installs.push(installed);
        }
    }

    fn learn_networks(&mut self, networks: &Entries<MeshNetwork>) {
        for (name, network) in networks {
            let clusters = network.endpoints.iter().filter_map(|e| e.from_registry.as_ref());
            self.networks.extend(clusters.map(|cluster| (name.clone(), cluster.clone())));
            self.mesh_networks.push((name.clone(), network.clone()));
        }
    }

    /// Learns that a control plane gives it a network. What it says of itself goes first.
    pub(super) fn learn_network(&mut self, network: &Text) {
        push(&mut self.network, Some(network), Origin::MeshNetworks);
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
            push(&mut self.served_by, served_by, Origin::Annotation);
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
        for variable in &istiod.env {
            self.learn_env(&variable.name, variable.value.as_ref());
        }
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

    fn learn_env(&mut self, name: &str, value: Option<&Text>) {
        let Some(value) = value else { return };
        self.multiple_roots |= name == MULTIPLE_ROOTS && is_on(value);
        let name = Text::new(name.to_owned(), value.span);
        self.istiod_env.push((name, value.clone()));
    }

    /// Pods that ask for the template of SPIRE get their certificates from it.
    fn learn_spire(&mut self, pods: &Template) {
        let asked = pods.metadata.annotations.get("inject.istio.io/templates");
        self.spire.extend(asked.filter(|asked| asked.contains("spire")).map(|asked| asked.span));
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

/// The feature of istiod that hands out the roots of `caCertificates`.
const MULTIPLE_ROOTS: &str = "ISTIO_MULTIROOT_MESH";

/// What Go reads as `true`.
pub fn is_on(told: &str) -> bool {
    matches!(told, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

fn is_ambient(profile: Option<&Text>) -> bool {
    profile.is_some_and(|profile| profile.as_str() == "ambient")
}

/// Adds a fact; an empty value tells nothing.
fn push(facts: &mut Vec<Fact>, value: Option<&Text>, origin: Origin) {
    let Some(value) = value.filter(|v| !v.is_empty()) else { return };
    let fact = Fact { value: value.clone(), origin };
    if !facts.iter().any(|f| f.value.span == fact.value.span && f.value == fact.value) {
        facts.push(fact);
    }
}

impl Facts {
    fn lists(&mut self) -> [&mut Vec<Fact>; 9] {
        [
            &mut self.name,
            &mut self.network,
            &mut self.mesh_id,
            &mut self.trust_domain,
            &mut self.revision,
            &mut self.version,
            &mut self.served_by,
            &mut self.system_namespace,
            &mut self.foreign_ca,
        ]
    }

    /// Fills in parameters.
    pub(super) fn change(&mut self, with: &dyn Fn(&str) -> String) {
        self.lists()
            .into_iter()
            .flatten()
            .for_each(|fact| fact.value.value = with(&fact.value.value));
        self.hosted.iter_mut().for_each(|plane| plane.change(with));
    }

    /// Gives every fact one place.
    pub(super) fn stand_at(&mut self, span: Span) {
        self.lists().into_iter().flatten().for_each(|fact| fact.value.span = span);
        self.role.iter_mut().for_each(|(_, at)| *at = span);
        self.hosted.iter_mut().for_each(|plane| plane.stand_at(span));
    }

    /// Drops what a pipeline is still to fill in: it tells nothing.
    pub(super) fn settle(&mut self) {
        for list in self.lists() {
            list.retain(|fact| !crate::kinds::is_placeholder(&fact.value));
        }
        self.hosted.iter_mut().for_each(Self::settle);
    }

    /// Takes in what others tell of the same cluster.
    pub(super) fn absorb(&mut self, mut other: Self) {
        for (own, told) in self.lists().into_iter().zip(other.lists()) {
            for fact in told.drain(..) {
                push(own, Some(&fact.value), fact.origin);
            }
        }
        self.role.append(&mut other.role);
        self.networks.append(&mut other.networks);
        self.mesh_networks.append(&mut other.mesh_networks);
        self.mesh_config.append(&mut other.mesh_config);
        self.installs.append(&mut other.installs);
        self.ambient |= other.ambient;
        self.multiple_roots |= other.multiple_roots;
        other.hosted.drain(..).for_each(|plane| self.take_hosted(plane, Self::absorb));
        self.take_rest(&mut other);
    }

    /// Takes in what values for all clusters tell, where the cluster's own tell nothing.
    pub(super) fn absorb_defaults(&mut self, mut defaults: Self) {
        for (own, told) in self.lists().into_iter().zip(defaults.lists()) {
            if own.is_empty() {
                own.append(told);
            }
        }
        if self.role.is_empty() {
            self.role.append(&mut defaults.role);
        }
        self.mesh_config.append(&mut defaults.mesh_config);
        self.installs.append(&mut defaults.installs);
        self.ambient |= defaults.ambient;
        self.multiple_roots |= defaults.multiple_roots;
        defaults.hosted.drain(..).for_each(|plane| self.take_hosted(plane, Self::absorb_defaults));
        // What stands last counts, so the defaults go first.
        std::mem::swap(&mut self.istiod_env, &mut defaults.istiod_env);
        self.take_rest(&mut defaults);
    }

    fn take_rest(&mut self, other: &mut Self) {
        self.istiod_env.append(&mut other.istiod_env);
        self.network_gateways.append(&mut other.network_gateways);
        self.idle_trust_domain.append(&mut other.idle_trust_domain);
        self.spire.append(&mut other.spire);
        self.istio_csr.append(&mut other.istio_csr);
    }

    /// What is told twice and differently; several revisions and versions may live side by side.
    pub fn contradictions(&self) -> Vec<Contradiction> {
        let lists = [
            ("name", &self.name),
            ("network", &self.network),
            ("mesh ID", &self.mesh_id),
            ("trust domain", &self.trust_domain),
            ("control plane's namespace", &self.system_namespace),
        ];
        let differ = |(what, facts): (&'static str, &Vec<Fact>)| {
            let mut distinct: Vec<Fact> = Vec::new();
            for fact in facts {
                if distinct.iter().all(|f| f.value != fact.value) {
                    distinct.push(fact.clone());
                }
            }
            (distinct.len() > 1).then_some(Contradiction { what, facts: distinct })
        };
        lists.into_iter().filter_map(differ).collect()
    }
}

/// Facts of one cluster that can't all be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// What is told: `name`, `network`, `mesh ID`, ...
    pub what: &'static str,
    /// One fact per value, in the order of the input.
    pub facts: Vec<Fact>,
}

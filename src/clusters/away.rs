//! What tells that an istiod reads another cluster than the one it runs in.

use super::facts::{Fact, Facts, Origin, is_on};
use super::installs::Installed;
use crate::kinds::control_plane::{Install, Values};
use crate::kinds::parts::EnvVar;
use crate::kinds::{Object, View, is_placeholder};
use crate::source::{Span, Text};

/// The variable by which an external istiod looks for remote secrets in the cluster it runs in. Source:
/// `secretcontroller.go`, `NewController`.
pub const SECRET_WATCHER: &str = "LOCAL_CLUSTER_SECRET_WATCHER";

/// The variable by which istiod serves other clusters, which charts set by `global.externalIstiod`.
const SERVES_OTHERS: &str = "EXTERNAL_ISTIOD";

/// What an installation of istiod says of the cluster it is for.
#[derive(Default)]
pub(super) struct Told<'o> {
    /// Whether it is told to serve other clusters.
    pub serves_others: bool,
    /// What it calls itself.
    pub name: Option<&'o Text>,
    /// Where it runs.
    pub namespace: Option<&'o str>,
    env: Vec<(&'o str, &'o Text)>,
}

impl<'o> Told<'o> {
    /// Reads an object; none for what installs no istiod.
    pub fn of(object: &'o Object) -> Option<Self> {
        match &object.view {
            View::IstioOperator(r) | View::SailIstio(r) => Some(Self::by_install(&r.spec)),
            View::HelmRelease(r) => {
                let chart = r.spec.chart.spec.chart.as_ref()?;
                if chart.rsplit('/').next() != Some("istiod") {
                    return None;
                }
                let mut told = Self::by(&r.spec.values);
                told.namespace = told.namespace.or(text(r.spec.target_namespace.as_ref()));
                Some(told)
            }
            View::Workload(r) => {
                let containers = &r.spec.template.spec.containers;
                let istiod = containers.iter().find(|c| c.name == "discovery")?;
                let mut told = Self::default();
                told.read(variables(&istiod.env));
                Some(told)
            }
            _ => None,
        }
    }

    fn by_install(install: &'o Install) -> Self {
        let mut told = Self::by(&install.values);
        told.read(variables(&install.components.pilot.k8s.env));
        told.namespace = text(install.namespace.as_ref()).or(told.namespace);
        told
    }

    fn by(values: &'o Values) -> Self {
        let global = &values.global;
        let mut told = Self {
            serves_others: global.external_istiod.as_ref().is_some_and(|told| told.value),
            name: global.multi_cluster.cluster_name.as_ref(),
            namespace: text(global.istio_namespace.as_ref()),
            env: Vec::new(),
        };
        told.read(values.pilot.env.iter().map(|(name, value)| (name.as_str(), value)));
        told
    }

    /// Reads istiod's environment.
    fn read(&mut self, env: impl Iterator<Item = (&'o str, &'o Text)>) {
        self.env.extend(env);
        self.serves_others |= self.env(SERVES_OTHERS).is_some_and(|told| is_on(told));
        self.name = self.env("CLUSTER_ID").or(self.name);
    }

    fn env(&self, name: &str) -> Option<&'o Text> {
        self.env.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    /// Whether its own settings make sense only where it reads another cluster than the one it runs in.
    pub fn is_away(&self) -> bool {
        let shares = self.env("SHARED_MESH_CONFIG").is_some_and(|map| !map.is_empty());
        let watches_here = self.env(SECRET_WATCHER).is_some_and(|told| is_on(told));
        let no_hook = self.env("INJECTION_WEBHOOK_CONFIG_NAME").is_some_and(|name| name.is_empty());
        self.serves_others && (shares || watches_here || no_hook)
    }
}

/// Variables that have a value.
fn variables(env: &[EnvVar]) -> impl Iterator<Item = (&str, &Text)> {
    env.iter().filter_map(|variable| Some((variable.name.as_str(), variable.value.as_ref()?)))
}

pub(super) fn text(told: Option<&Text>) -> Option<&str> {
    told.map(|text| text.as_str())
}

/// Whether an object installs an istiod that reads another cluster than the one it runs in.
pub(super) fn installs_away(object: &Object) -> bool {
    Told::of(object).is_some_and(|told| told.is_away())
}

impl Installed {
    /// What istiod calls the cluster it reads (`CLUSTER_ID`), as far as this tells.
    pub fn cluster_name(&self) -> Option<&Text> {
        Told::by_install(&self.install).name.filter(|name| !name.is_empty())
    }
}

impl Facts {
    /// Where it is told that its istiod serves other clusters, or left to a pipeline.
    pub fn serves_others(&self) -> Option<Span> {
        let mut values = self.installs.iter().filter_map(|i| i.values().global.external_istiod);
        let by_value = values.find(|told| told.value).map(|told| told.span);
        let env = self.istiod_env(SERVES_OTHERS);
        let env = env.filter(|told| is_on(told) || told.is_empty() || is_placeholder(told));
        by_value.or(env.map(|told| told.span))
    }

    /// What is told of the control plane that runs here, in a namespace, and reads another cluster.
    pub(super) fn hosted_in(&mut self, namespace: Fact) -> &mut Self {
        let is_it = |plane: &Self| plane.system_namespace() == namespace.value.as_str();
        let known = self.hosted.iter().position(is_it);
        let at = known.unwrap_or(self.hosted.len());
        if known.is_none() {
            self.hosted.push(Self { system_namespace: vec![namespace], ..Self::default() });
        }
        &mut self.hosted[at]
    }

    /// Learns what Helm values tell, of the cluster or of a control plane that it hosts.
    pub(super) fn learn_values_of(&mut self, values: &Values, origin: Origin) -> &mut Self {
        let facts = if Told::by(values).is_away() {
            let told = values.global.istio_namespace.clone();
            let value =
                told.unwrap_or_else(|| Text::new("istio-system".to_owned(), Span::default()));
            self.hosted_in(Fact { value, origin })
        } else {
            self
        };
        facts.learn_values(values, origin);
        facts
    }

    /// Takes in what is told of a hosted control plane, one way or another.
    pub(super) fn take_hosted(&mut self, plane: Self, how: impl Fn(&mut Self, Self)) {
        let Some(namespace) = plane.system_namespace.first().cloned() else { return };
        how(self.hosted_in(namespace), plane);
    }
}

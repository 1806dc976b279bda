//! What tells that an istiod reads another cluster than the one it runs in.

use super::facts::{Fact, Facts, Origin};
use super::{SECRET_WATCHER, is_on};
use crate::kinds::control_plane::Values;
use crate::kinds::{Object, View};
use crate::source::{Span, Text};

/// What an installation of istiod says of the cluster it is for.
#[derive(Default)]
pub(super) struct Told<'o> {
    /// Whether it is told to serve other clusters (`EXTERNAL_ISTIOD`).
    pub serves_others: bool,
    /// What it calls itself.
    pub name: Option<&'o str>,
    /// Where it runs.
    pub namespace: Option<&'o str>,
    env: Vec<(&'o str, &'o str)>,
}

impl<'o> Told<'o> {
    /// Reads an object; none for what installs no istiod.
    pub fn of(object: &'o Object) -> Option<Self> {
        match &object.view {
            View::IstioOperator(r) | View::SailIstio(r) => {
                let mut told = Self::by(&r.spec.values);
                let own = r.spec.components.pilot.k8s.env.iter();
                told.read(own.filter_map(|e| Some((e.name.as_str(), e.value.as_ref()?.as_str()))));
                told.namespace = text(r.spec.namespace.as_ref()).or(told.namespace);
                Some(told)
            }
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
                let own = istiod.env.iter();
                told.read(own.filter_map(|e| Some((e.name.as_str(), e.value.as_ref()?.as_str()))));
                Some(told)
            }
            _ => None,
        }
    }

    fn by(values: &'o Values) -> Self {
        let global = &values.global;
        let mut told = Self {
            serves_others: global.external_istiod.as_ref().is_some_and(|told| told.value),
            name: text(global.multi_cluster.cluster_name.as_ref()),
            namespace: text(global.istio_namespace.as_ref()),
            env: Vec::new(),
        };
        told.read(values.pilot.env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        told
    }

    /// Reads istiod's environment.
    fn read(&mut self, env: impl Iterator<Item = (&'o str, &'o str)>) {
        self.env.extend(env);
        self.serves_others |= self.env("EXTERNAL_ISTIOD").is_some_and(is_on);
        self.name = self.env("CLUSTER_ID").or(self.name);
    }

    fn env(&self, name: &str) -> Option<&'o str> {
        self.env.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    /// Whether its own settings make sense only where it reads another cluster than the one it runs in.
    pub fn is_away(&self) -> bool {
        let shares = self.env("SHARED_MESH_CONFIG").is_some_and(|map| !map.is_empty());
        let watches_here = self.env(SECRET_WATCHER).is_some_and(is_on);
        let no_hook = self.env("INJECTION_WEBHOOK_CONFIG_NAME").is_some_and(str::is_empty);
        self.serves_others && (shares || watches_here || no_hook)
    }
}

fn text(told: Option<&Text>) -> Option<&str> {
    told.map(|text| text.as_str())
}

/// Whether an object installs an istiod that reads another cluster than the one it runs in.
pub(super) fn installs_away(object: &Object) -> bool {
    Told::of(object).is_some_and(|told| told.is_away())
}

impl Facts {
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

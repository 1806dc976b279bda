//! What one file shows of clusters: names of control planes, objects that each cluster has once.

use std::collections::BTreeSet;

use super::away;
use super::facts::{Facts, Origin};
use super::tree::Tree;
use super::words::core;
use crate::kinds::control_plane::Values;
use crate::kinds::delivery::{Application, Source};
use crate::kinds::file::is_pem;
use crate::kinds::{Object, View};

/// What a file shows.
#[derive(Default)]
pub(super) struct Signs {
    /// What installs a control plane or a part of it, and the cluster's name it tells.
    pub told: Vec<(String, String)>,
    /// Objects of which a cluster has one: two folders with the same are two clusters.
    pub markers: BTreeSet<String>,
    /// All resources, by kind, namespace and name.
    pub ids: Vec<String>,
    /// Clusters to which its remote secrets lead, without what is no part of a name.
    pub leads_to: BTreeSet<String>,
}

impl Signs {
    pub fn of(tree: &Tree<'_>, file: usize) -> Self {
        let mut signs = Self::default();
        let name = tree.name(file);
        if is_pem(name) {
            let last = name.rsplit('/').next().unwrap_or_default();
            signs.markers.extend((last == "ca-cert.pem").then(|| "cacerts".to_owned()));
        }
        for values in &tree.files[file].values {
            // A values file says of no chart whose values it has: ztunnel's have their own shape.
            let shape =
                if values.multi_cluster.cluster_name.is_some() { "ztunnel" } else { "istiod" };
            signs.tell(&format!("values {shape}"), values);
            signs.ids.push(format!("values {shape}"));
        }
        for object in &tree.files[file].objects {
            signs.look_at(object);
        }
        signs
    }

    /// The names this file tells, if all that it installs tell the same.
    pub fn name(&self) -> Option<&str> {
        let mut names = self.told.iter().map(|(_, name)| name.as_str());
        let first = names.next()?;
        names.all(|name| name == first).then_some(first)
    }

    fn look_at(&mut self, object: &Object) {
        let meta = &object.meta;
        let namespace = meta.namespace.as_ref().map_or("", |ns| ns.as_str());
        let id = format!("{} {namespace} {}", meta.kind, meta.name);
        self.leads_to.extend(object.remote_clusters().into_iter().map(|name| core(name)));
        match &object.view {
            View::IstioOperator(r) | View::SailIstio(r) => {
                // An external control plane tells the name of another cluster.
                if !away::installs_away(object) {
                    self.tell(&id, &r.spec.values);
                }
                self.markers.insert(id.clone());
            }
            View::HelmRelease(r) => {
                self.tell(&id, &r.spec.values);
                let chart = r.spec.chart.spec.chart.as_ref().map_or("", |c| c.as_str());
                self.markers.extend((chart == "istiod").then(|| id.clone()));
            }
            View::Application(r) => {
                values_of(&r.spec).for_each(|values| self.tell(&id, values));
            }
            View::Workload(r)
                if r.spec.template.spec.containers.iter().any(|c| c.name == "discovery") =>
            {
                let mut facts = Facts::default();
                if !away::installs_away(object) {
                    facts.learn(object);
                }
                facts.settle();
                self.told.extend(facts.name.into_iter().map(|f| (id.clone(), f.value.value)));
                self.markers.insert(id.clone());
            }
            View::ConfigMap(r) if r.spec.mesh.is_some() => {
                self.markers.insert(id.clone());
            }
            View::Secret(_) | View::OpaqueSecret(_)
                if meta.name.as_str() == "cacerts" || object.remote_label().is_some() =>
            {
                self.markers.insert(id.clone());
            }
            View::Namespace(_) if meta.name.as_str() == "istio-system" => {
                self.markers.insert(id.clone());
            }
            View::Node(_) => {
                self.markers.insert(id.clone());
            }
            View::Kustomization(_) => return,
            _ => {}
        }
        self.ids.push(id);
    }

    fn tell(&mut self, by: &str, values: &Values) {
        let mut facts = Facts::default();
        facts.learn_values_of(values, Origin::HelmValues);
        facts.settle();
        self.told.extend(facts.name.into_iter().map(|fact| (by.to_owned(), fact.value.value)));
    }
}

/// Values of an Application's charts, as an object or as a text.
pub(super) fn values_of(app: &Application) -> impl Iterator<Item = &Values> {
    app.source.iter().chain(&app.sources).filter_map(Source::values)
}

//! Lists of clusters in ApplicationSets of which two lead to one API server.

use std::collections::BTreeMap;

use super::params::{Params, flatten, render};
use super::tree::Tree;
use crate::kinds::{View, is_placeholder};
use crate::source::{Span, Text};
use crate::yaml::Value;

/// Clusters of different names that an ApplicationSet brings to one API server.
#[derive(Clone, Debug)]
pub struct OneServer {
    /// The ApplicationSet's name.
    pub set: Text,
    /// The address.
    pub server: String,
    /// The clusters' names, and where the address of each stands: two at least.
    pub clusters: Vec<(String, Span)>,
}

/// Keys by which elements name a cluster.
const NAMES: [&str; 3] = ["cluster", "clusterName", "cluster_name"];

/// All such clusters.
pub(super) fn one_server(tree: &Tree<'_>) -> Vec<OneServer> {
    let mut found = Vec::new();
    for file in 0..tree.files.len() {
        for object in &tree.files[file].objects {
            let View::ApplicationSet(set) = &object.view else { continue };
            let destination = &set.spec.template.spec.destination;
            let Some(server) = destination.server.as_ref().filter(|_| destination.name.is_none())
            else {
                continue;
            };
            let lists = object.tree.value().at(&["spec", "generators"]);
            for list in lists.into_iter().flat_map(Value::items).flat_map(|g| elements(g)) {
                found.extend(of_list(&set.meta.name, server, &list));
            }
        }
    }
    found
}

/// The lists of a generator, those within others too.
fn elements(generator: Value<'_>) -> Vec<Vec<Value<'_>>> {
    let list = generator.at(&["list", "elements"]).map(|list| list.items().collect());
    let inner = ["matrix", "merge"].into_iter().filter_map(|n| generator.at(&[n, "generators"]));
    let inner = inner.flat_map(Value::items).flat_map(elements);
    list.into_iter().chain(inner).collect()
}

fn of_list(set: &Text, server: &Text, elements: &[Value<'_>]) -> Vec<OneServer> {
    let mut by_server: BTreeMap<String, Vec<(String, Span)>> = BTreeMap::new();
    for element in elements {
        let mut params = Params::new();
        flatten("", *element, &mut params);
        let address = render(server, &params);
        let Some((_, key)) = server.split_once("{{") else { continue };
        let key = key.split("}}").next().unwrap_or_default().trim().trim_start_matches('.');
        // `name` and `server` are what Argo CD's own generator of clusters calls them.
        let by_argo = (key == "server").then_some("name");
        let mut names = NAMES.into_iter().chain(by_argo);
        let name = names.find_map(|name| params.get(name)).filter(|name| !is_placeholder(name));
        if let (Some(name), false) = (name, address.is_empty() || is_placeholder(&address)) {
            let told = element.get(key).map_or(element.span(), Value::span);
            by_server.entry(address).or_default().push((name.clone(), told));
        }
    }
    let differ = |clusters: &Vec<(String, Span)>| clusters.iter().any(|(n, _)| *n != clusters[0].0);
    let several = by_server.into_iter().filter(|(_, clusters)| differ(clusters));
    several.map(|(server, clusters)| OneServer { set: set.clone(), server, clusters }).collect()
}

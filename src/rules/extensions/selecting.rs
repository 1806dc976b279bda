//! What extends the proxies of chosen workloads, and chooses none.

use std::collections::BTreeSet;

use crate::finding::Findings;
use crate::mesh::Mesh;
use crate::rules::selected::Selecting;

/// EnvoyFilters, WasmPlugins, TrafficExtensions and ProxyConfigs that choose workloads by label.
fn all(mesh: &Mesh) -> impl Iterator<Item = Selecting<'_>> {
    let filters = mesh.envoy_filters.iter().filter(|f| f.target_refs.is_empty());
    let filters =
        filters.map(|f| Selecting::new(f, f.workload_selector.as_ref().map(|s| &s.labels)));
    let plugins = mesh.wasm_plugins.iter();
    let plugins = plugins.filter(|p| p.target_ref.is_none() && p.target_refs.is_empty());
    let plugins = plugins.map(|p| Selecting::new(p, p.selector.as_ref().map(|s| &s.match_labels)));
    let configs = mesh.proxy_configs.iter();
    let configs = configs.map(|c| Selecting::new(c, c.selector.as_ref().map(|s| &s.match_labels)));
    filters.chain(plugins).chain(configs)
}

pub(super) fn selects_no_workload(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for one in all(mesh) {
        // In the root namespace it is for workloads of all namespaces.
        if one.namespace == mesh.root_namespace(one.cluster) {
            continue;
        }
        let says = ["it changes no proxy", "; it is for workloads of its own namespace alone"];
        one.tell_of_nobody(mesh, found, &mut told, says);
    }
}

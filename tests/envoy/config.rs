//! What Envoy is told: one cluster per leg, with assignments as istiod would send them.

use mesh_lint::traffic::assignment::Group;
use serde_json::{Value, json};

use crate::client::HOST;
use crate::lab::{Host, Hosts, Ports};
use crate::topology::{Leg, Topology};

pub fn cluster_name(topology: usize, leg: usize) -> String {
    format!("t{topology}-{leg}")
}

/// Where the requests of a topology enter.
pub fn path(topology: usize) -> String {
    format!("/t{topology}/")
}

/// `ClusterLoadAssignment`.
pub fn assignment(name: &str, at: usize, leg: &Leg<'_>, hosts: &Hosts, ports: Ports) -> Value {
    let groups = leg.groups.iter().enumerate();
    let endpoints: Vec<Value> =
        groups.map(|(g, group)| locality(at, g, group, hosts, ports)).collect();
    json!({
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": name,
        "endpoints": endpoints,
    })
}

fn locality(leg: usize, at: usize, group: &Group<'_>, hosts: &Hosts, ports: Ports) -> Value {
    let place = group.locality;
    let members = group.members.iter().enumerate();
    let endpoints: Vec<Value> = members
        .flat_map(|(m, member)| hosts[&(leg, at, m)].iter().map(move |host| (host, member)))
        .map(|(host, member)| {
            let Host { address, failing, .. } = host;
            let port = if *failing { ports.bad } else { ports.good };
            json!({
                "endpoint": {"address": socket(&address.to_string(), port)},
                "health_status": if member.healthy { "HEALTHY" } else { "UNHEALTHY" },
                "load_balancing_weight": member.weight,
            })
        })
        .collect();
    let mut locality = json!({
        "locality": {"region": place.region, "zone": place.zone, "sub_zone": place.subzone},
        "priority": group.priority,
        "lb_endpoints": endpoints,
    });
    if let Some(weight) = group.weight {
        locality["load_balancing_weight"] = weight.into();
    }
    locality
}

fn socket(address: &str, port: u16) -> Value {
    json!({"socket_address": {"address": address, "port_value": port}})
}

/// `Bootstrap`, with the port that gives assignments.
pub fn bootstrap(topologies: &[Topology<'_>], control: u16, ports: Ports) -> Value {
    let mut clusters = vec![control_plane(control)];
    let mut routes = Vec::new();
    for (i, topology) in topologies.iter().enumerate() {
        let legs = topology.legs.iter().enumerate();
        let weighted: Vec<Value> = legs
            .map(|(l, leg)| {
                let name = cluster_name(i, l);
                clusters.push(cluster(&name, leg));
                json!({"name": name, "weight": leg.weight})
            })
            .collect();
        routes.push(json!({
            "match": {"prefix": path(i)},
            "route": {"weighted_clusters": {"clusters": weighted}},
        }));
    }
    json!({
        "node": {"id": "lab", "cluster": "lab"},
        "static_resources": {
            "clusters": clusters,
            "listeners": [
                listener("entry", "127.0.0.1", ports.entry, &json!(routes)),
                listener("good", "0.0.0.0", ports.good, &answer(200)),
                listener("bad", "0.0.0.0", ports.bad, &answer(500)),
            ],
        },
    })
}

const CONTROL: &str = "control";

fn control_plane(port: u16) -> Value {
    json!({
        "name": CONTROL,
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": CONTROL,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket("127.0.0.1", port)}}]}],
        },
    })
}

fn cluster(name: &str, leg: &Leg<'_>) -> Value {
    assert!(leg.choice.zone_aware.is_none(), "zone-aware routing is not measured");
    let mut common = json!({"healthy_panic_threshold": {"value": leg.choice.panic_threshold}});
    if leg.choice.by_locality {
        common["locality_weighted_lb_config"] = json!({});
    }
    let mut cluster = json!({
        "name": name,
        "type": "EDS",
        "connect_timeout": "5s",
        "lb_policy": "LEAST_REQUEST",
        "common_lb_config": common,
        "eds_cluster_config": {"eds_config": {
            "resource_api_version": "V3",
            "api_config_source": {
                "api_type": "REST",
                "transport_api_version": "V3",
                "cluster_names": [CONTROL],
                // Once is enough.
                "refresh_delay": "3600s",
            },
        }},
    });
    if let Some(percent) = leg.max_ejection_percent {
        cluster["outlier_detection"] = json!({
            "consecutive_5xx": 1,
            "enforcing_consecutive_5xx": 100,
            "enforcing_success_rate": 0,
            "base_ejection_time": "300s",
            "interval": "1s",
            "max_ejection_percent": percent,
        });
    }
    cluster
}

/// A host's route: it says which one it is.
fn answer(status: u16) -> Value {
    json!([{
        "match": {"prefix": "/"},
        "direct_response": {"status": status},
        "response_headers_to_add": [{
            "header": {"key": HOST, "value": "%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%"},
        }],
    }])
}

/// Lets in what comes from this machine; a socket for all of 127.0.0.0/8 has to listen everywhere.
fn listener(name: &str, address: &str, port: u16, routes: &Value) -> Value {
    let extension = |name: &str| format!("type.googleapis.com/envoy.extensions.filters.{name}");
    json!({
        "name": name,
        "address": socket(address, port),
        "filter_chains": [{
            "filter_chain_match": {
                "source_prefix_ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}],
            },
            "filters": [{
                "name": "http",
                "typed_config": {
                    "@type": extension(
                        "network.http_connection_manager.v3.HttpConnectionManager"
                    ),
                    "stat_prefix": name,
                    "generate_request_id": false,
                    "route_config": {
                        "name": name,
                        "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
                    },
                    "http_filters": [{
                        "name": "router",
                        "typed_config": {"@type": extension("http.router.v3.Router")},
                    }],
                },
            }],
        }],
    })
}

//! Istio objects that change their meaning once endpoints of several clusters are one host's.

use super::{Move, Networks, Shape, State, Step};
use crate::kinds::networking::{DestinationRule, TrafficPolicy};
use crate::mesh::{CLUSTER_LABEL, Drift, In, subsets_of};
use crate::source::Text;
use crate::yaml::Value;

/// Full names instead of short ones.
pub(super) fn short_hosts(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "full-host-names",
        "full names of hosts in Istio objects",
        "a short name is completed by the object's namespace in the cluster whose objects count, which need not have the service",
    )
    .how(&["host: cart.shop.svc.cluster.local   # not `cart`"]);
    let is_short = |host: &&Text| !host.contains('.') && host.as_str() != "*" && !host.is_empty();
    let mut found: Vec<(crate::source::Span, String)> = Vec::new();
    for rule in moved.mesh.destination_rules.iter().filter(|r| moved.has(r.cluster)) {
        let hosts = rule.host.iter().filter(is_short);
        found.extend(hosts.map(|h| (h.span, format!("`{h}` in DestinationRule {}", rule.name()))));
    }
    for service in moved.mesh.virtual_services.iter().filter(|v| moved.has(v.cluster)) {
        let hosts = service.hosts.iter().filter(is_short);
        found
            .extend(hosts.map(|h| (h.span, format!("`{h}` in VirtualService {}", service.name()))));
    }
    for route in moved.mesh.routes().iter().filter(|r| moved.has(r.service.cluster)) {
        let host = route.destination.host.as_ref().filter(is_short);
        found.extend(
            host.map(|h| (h.span, format!("`{h}` in VirtualService {}", route.service.name()))),
        );
    }
    found.into_iter().for_each(|(at, text)| step.place(at, text));
    step.state = if step.places.is_empty() { State::Done } else { State::Todo };
    step
}

/// The same Istio objects for all primaries.
pub(super) fn alike(moved: &Move<'_, '_>) -> Option<Step> {
    if moved.target.shape == Shape::PrimaryRemote {
        return None;
    }
    let mut step = Step::new(
        "same-configuration",
        "the same Istio objects in every primary",
        "each control plane reads those of its own cluster only: routes and subsets act for its clients, policies for its servers",
    )
    .how(&["one base for all primaries, applied to each"]);
    for drift in moved.mesh.drifts() {
        match drift {
            Drift::Missing { object, without } if moved.has(object.cluster) => {
                let names: Vec<&str> = without.iter().map(|c| c.name.as_str()).collect();
                let (kind, name) = (&object.meta.kind, &object.meta.name);
                step.place(
                    object.named_at(),
                    format!("{kind} {name} is not in {}", names.join(", ")),
                );
            }
            Drift::Differs { one, other, .. } if moved.has(one.cluster) => {
                let (kind, name) = (&one.meta.kind, &one.meta.name);
                let other = moved.mesh.cluster_name(other.cluster);
                step.place(one.named_at(), format!("{kind} {name} differs in {other}"));
            }
            _ => {}
        }
    }
    step.state = match (step.places.is_empty(), moved.is_single()) {
        (false, _) => State::Todo,
        (true, true) => State::Unknown,
        (true, false) => State::Done,
    };
    Some(step)
}

/// What to look at, because more endpoints change what it does.
pub(super) fn changed(moved: &Move<'_, '_>) -> Vec<Step> {
    let mut steps = vec![subsets(moved), localities(moved), entries(moved)];
    if moved.target.networks == Networks::Several {
        steps.push(addresses(moved));
        steps.push(plaintext(moved));
    }
    for step in &mut steps {
        step.state = if step.places.is_empty() { State::Done } else { State::Look };
        if step.state == State::Done {
            step.title.push_str(": none in the input");
        }
    }
    steps
}

fn rules<'m>(moved: &Move<'_, 'm>) -> Vec<&'m In<DestinationRule>> {
    moved.mesh.destination_rules.iter().filter(|r| moved.has(r.cluster)).collect()
}

fn subsets(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "subsets",
        "subsets that now select pods of all clusters",
        "a subset by labels takes in what has them anywhere, so a canary of one cluster gets requests of all; gateways of other networks need the same subsets",
    )
    .how(&[&format!("labels: {{version: v2, {CLUSTER_LABEL}: east}}   # where one cluster's pods are meant")]);
    for rule in rules(moved) {
        let open: Vec<&str> = subsets_of(rule)
            .filter(|s| s.cluster_label().is_none() && s.pod_labels().next().is_some())
            .map(|s| s.name.as_str())
            .collect();
        if !open.is_empty() {
            step.place(
                rule.named_at(),
                format!("DestinationRule {}: {}", rule.name(), open.join(", ")),
            );
        }
    }
    step
}

/// The policies of a rule: its own, and those of subsets and ports are told by it.
fn policy(rule: &In<DestinationRule>) -> Option<&TrafficPolicy> {
    rule.traffic_policy.as_ref().map(|policy| &policy.value)
}

fn localities(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "locality-settings",
        "locality settings, hashes and outlier detection that now span clusters",
        "weights by zone have no entry for zones of the new cluster; a hash picks among pods of all clusters; without outlier detection nothing prefers the own cluster",
    )
    .how(&[
        "outlierDetection: {consecutive5xxErrors: 5, interval: 10s, baseEjectionTime: 30s}",
        "loadBalancer.localityLbSetting.failoverPriority: [topology.istio.io/network, topology.kubernetes.io/region, topology.kubernetes.io/zone]",
    ]);
    for rule in rules(moved) {
        let name = rule.name();
        let Some(policy) = policy(rule) else {
            step.place(
                rule.named_at(),
                format!("DestinationRule {name}: no policy, so no outlier detection"),
            );
            continue;
        };
        let balancer = policy.load_balancer.as_ref();
        let locality = balancer.and_then(|lb| lb.locality_lb_setting.as_ref());
        if let Some(told) = locality.filter(|l| !l.distribute.is_empty()) {
            step.place(told.span, format!("DestinationRule {name}: `distribute`"));
        }
        if let Some(told) = locality.filter(|l| !l.failover.is_empty()) {
            step.place(told.span, format!("DestinationRule {name}: `failover` between regions"));
        }
        if let Some(hash) = balancer.and_then(|lb| lb.consistent_hash.as_ref()) {
            step.place(hash.span, format!("DestinationRule {name}: `consistentHash`"));
        }
        if policy.outlier_detection.is_none() {
            step.place(rule.named_at(), format!("DestinationRule {name}: no outlier detection"));
        }
    }
    for config in moved.planes().iter().flat_map(|c| &c.facts.mesh_config) {
        if let Some(told) = config.locality_lb_setting.as_ref().filter(|l| !l.distribute.is_empty())
        {
            step.place(told.span, "MeshConfig: `distribute` for all hosts");
        }
    }
    step
}

fn entries(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "service-entries",
        "ServiceEntries for hosts of the mesh",
        "one that stands for a Service elsewhere meets the Service itself once that is seen, and both have endpoints",
    );
    for entry in moved.mesh.service_entries.iter().filter(|e| moved.has(e.cluster)) {
        for host in entry
            .hosts
            .iter()
            .filter(|h| h.ends_with(".svc.cluster.local") || h.ends_with(".global"))
        {
            step.place(host.span, format!("ServiceEntry {}: {host}", entry.name()));
        }
    }
    step
}

fn addresses(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "policies-by-address",
        "AuthorizationPolicies by address",
        "requests of other networks arrive with the address of the east-west gateway",
    )
    .how(&["source: {principals: [cluster.local/ns/shop/sa/cart]}   # instead of ipBlocks"]);
    let policies = moved
        .mesh
        .istio_objects
        .iter()
        .filter(|o| moved.has(o.cluster) && o.meta.kind.as_str() == "AuthorizationPolicy");
    for policy in policies {
        let rules = policy.text.value().at(&["spec", "rules"]);
        let from = rules.into_iter().flat_map(Value::items).filter_map(|rule| rule.get("from"));
        let sources = from.flat_map(Value::items).filter_map(|from| from.get("source"));
        for source in sources {
            for key in ["ipBlocks", "notIpBlocks"] {
                if let Some(blocks) = source.get(key) {
                    step.place(
                        blocks.span(),
                        format!("AuthorizationPolicy {}: `{key}`", policy.meta.name),
                    );
                }
            }
        }
    }
    step
}

fn plaintext(moved: &Move<'_, '_>) -> Step {
    let mut step = Step::new(
        "mtls-between-networks",
        "mTLS for what is called from other networks",
        "the east-west gateway tells services apart by the TLS server name: plain text does not get through",
    )
    .how(&["mode: STRICT   # or PERMISSIVE; and ISTIO_MUTUAL, or nothing, in DestinationRules"]);
    for peer in moved.mesh.peer_authentications.iter().filter(|p| moved.has(p.cluster)) {
        let modes = peer.mtls.iter().chain(peer.port_level_mtls.iter().map(|(_, tls)| tls));
        for mode in modes.filter_map(|tls| tls.mode.as_ref()).filter(|m| m.as_str() == "DISABLE") {
            step.place(mode.span, format!("PeerAuthentication {}", peer.name()));
        }
    }
    for rule in rules(moved) {
        let tls = policy(rule).and_then(|p| p.tls.as_ref());
        let mode = tls.and_then(|tls| tls.mode.as_ref()).filter(|m| m.as_str() == "DISABLE");
        if let Some(mode) = mode {
            step.place(mode.span, format!("DestinationRule {}", rule.name()));
        }
    }
    step
}

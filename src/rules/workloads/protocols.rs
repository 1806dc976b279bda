//! Services that share pods, and disagree on what the pods speak.

use std::collections::BTreeMap;

use crate::finding::Findings;
use crate::kinds::core::{Service, ServicePort};
use crate::mesh::{In, Mesh, PodShape, list, protocol_of, value};

pub(super) fn services_disagree_on_protocol(mesh: &Mesh, found: &mut Findings) {
    for pods in mesh.pod_shapes().filter(|pods| !pods.is_pod() && !pods.meta.name.is_empty()) {
        let by_istio = value(pods.meta.label("gateway.istio.io/managed")).is_some();
        if by_istio || mesh.is_in_mesh(&pods) != Some(true) {
            continue;
        }
        for (target, ports) in ports(mesh, &pods) {
            let mut protocols: Vec<&str> = ports.iter().map(|(.., protocol)| *protocol).collect();
            protocols.sort_unstable();
            protocols.dedup();
            let mut services: Vec<&str> =
                ports.iter().map(|(service, ..)| service.name()).collect();
            services.sort_unstable();
            services.dedup();
            if protocols.len() < 2 || services.len() < 2 {
                continue;
            }
            let finding = found.say(
                format!(
                    "Services {} do not agree on what port {target} of {} speaks",
                    list(services.iter().copied()),
                    pods.called()
                ),
                pods.named_at(),
                format!("the sidecar takes the word of the oldest Service for port {target}"),
            );
            for (service, port, protocol) in ports {
                let at = port.name.as_ref().or(port.app_protocol.as_ref()).map(|text| text.span);
                let at = at.or(port.port.as_ref().map(|p| p.span)).unwrap_or(service.named_at());
                finding.also(at, format!("`{}` says {protocol}", service.name()));
            }
            finding.help("give the port one protocol in all Services that lead to it");
        }
    }
}

/// The ports of Services that lead to a port of pods, by that port, where they tell a protocol of TCP.
fn ports<'m>(
    mesh: &'m Mesh,
    pods: &PodShape<'_>,
) -> BTreeMap<String, Vec<(&'m In<Service>, &'m ServicePort, &'static str)>> {
    let near = mesh.services.of_namespace(pods.cluster, pods.namespace);
    let near = near.filter(|s| !mesh.is_assumed(&s.meta));
    let selecting = near.filter(|s| {
        s.selector.as_ref().is_some_and(|it| !it.is_empty() && pods.is_selected_by(it))
            && !mesh.is_gateway(s)
    });
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for service in selecting {
        for port in &service.ports {
            let (Some(protocol), Some(number)) = (protocol_of(port), &port.port) else { continue };
            let named = port.target_port.as_ref().map(|t| t.value.to_string());
            let target = named.filter(|t| !t.is_empty() && t != "0");
            let target = target.unwrap_or_else(|| number.value.to_string());
            if protocol != "udp" {
                found.entry(target).or_default().push((service, port, protocol));
            }
        }
    }
    found
}

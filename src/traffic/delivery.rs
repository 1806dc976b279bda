//! How requests get to the endpoints of a destination.

use super::policy::Policy;
use super::step::Step;
use crate::kinds::core::Service;
use crate::kinds::networking::ServiceEntry;
use crate::mesh::{In, value};

/// How requests get to the endpoints of a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Envoy chooses an endpoint.
    Balanced,
    /// They go to the address that the client chose: neither policy nor locality counts.
    OriginalDestination(Step),
    /// They go to a name that is resolved outside the mesh.
    External(Step),
    /// They stay on the client's node (`internalTrafficPolicy: Local`): 503 where no endpoint is there.
    SameNode(Step),
}

impl Delivery {
    /// How requests get to the endpoints of a Service, or else of a ServiceEntry.
    ///
    /// Source: `cluster.go`, `convertResolution`; `cluster_traffic_policy.go`, `applyLoadBalancer`.
    pub fn of(
        policy: &Policy<'_>,
        service: Option<&In<Service>>,
        entry: Option<&In<ServiceEntry>>,
    ) -> Self {
        let simple = policy.load_balancer.get().and_then(|lb| lb.simple.as_ref());
        if let Some(simple) = simple.filter(|simple| simple.as_str() == "PASSTHROUGH") {
            return Self::OriginalDestination(Step::new(
                "`PASSTHROUGH` sends a request to the address it was meant for",
                simple.span,
            ));
        }
        if let Some(service) = service {
            if let Some(none) = service.cluster_ip.as_ref().filter(|ip| ip.as_str() == "None") {
                return Self::OriginalDestination(Step::new(
                    "the Service is headless, so that the client chooses the pod",
                    none.span,
                ));
            }
            let local = service.internal_traffic_policy.as_ref();
            if let Some(local) = local.filter(|policy| policy.as_str() == "Local") {
                return Self::SameNode(Step::new("it stays on the client's node", local.span));
            }
            return Self::Balanced;
        }
        let Some(entry) = entry else { return Self::Balanced };
        let resolution = entry.resolution.as_ref();
        match value(resolution).unwrap_or("NONE") {
            "NONE" => Self::OriginalDestination(Step::new(
                "the ServiceEntry resolves nothing (`resolution: NONE`)",
                resolution.map_or(entry.named_at(), |r| r.span),
            )),
            "STATIC" => Self::Balanced,
            _ if entry.endpoints.is_empty() => Self::External(Step::new(
                "the name is resolved outside the mesh",
                resolution.map_or(entry.named_at(), |r| r.span),
            )),
            _ => Self::Balanced,
        }
    }
}

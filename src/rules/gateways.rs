//! Gateways: ports, hosts, certificates and routes at the edge of the mesh.

mod conditions;
mod credentials;
mod listeners;
mod policies;
mod servers;

use super::{Rule, rule};

pub(super) const RULES: &[Rule] = &[
    rule!("gateways/certificate-not-granted", listeners::certificate_not_granted),
    rule!("gateways/client-ca-missing", credentials::client_ca_missing),
    rule!("gateways/conflicting-servers", servers::conflicting_servers),
    rule!("gateways/credential-invalid", credentials::credential_invalid),
    rule!("gateways/credential-missing", credentials::credential_missing),
    rule!("gateways/duplicate-certificate", credentials::duplicate_certificate),
    rule!("gateways/listener-not-accepted", listeners::listener_not_accepted),
    rule!("gateways/listener-twice", listeners::listener_twice),
    rule!("gateways/policy-selects-gateway-pods", policies::policy_selects_gateway_pods),
    rule!("gateways/port-not-on-service", servers::port_not_on_service),
    rule!("gateways/refused-by-controller", conditions::refused_by_controller),
    rule!("gateways/selects-no-pod", servers::selects_no_pod),
    rule!("gateways/unknown-class", listeners::unknown_class),
];

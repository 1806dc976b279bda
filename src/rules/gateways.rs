//! Gateways: ports, hosts, certificates and routes at the edge of the mesh.

mod conditions;

use super::{Rule, rule};

pub(super) const RULES: &[Rule] =
    &[rule!("gateways/refused-by-controller", conditions::refused_by_controller)];

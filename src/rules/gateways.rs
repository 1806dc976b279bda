//! Gateways: ports, hosts, certificates and routes at the edge of the mesh.

use super::Rule;

pub(super) const RULES: &[Rule] = &[];

//! Listeners of Gateways of the Gateway API.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::Findings;
use crate::kinds::is_placeholder;
use crate::mesh::{Mesh, value};

pub(super) fn listener_twice(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for gateway in &mesh.api_gateways {
        let mut known = BTreeMap::new();
        for listener in &gateway.listeners {
            let (Some(name), Some(port)) = (&listener.name, listener.port) else { continue };
            let protocol = value(listener.protocol.as_ref()).unwrap_or_default();
            let host = value(listener.hostname.as_ref()).unwrap_or_default().to_ascii_lowercase();
            if is_placeholder(&host) || is_placeholder(protocol) {
                continue;
            }
            let first = *known.entry((port.value, protocol, host)).or_insert(name.span);
            if first == name.span || !told.insert(name.span) {
                continue;
            }
            found
                .say(
                    format!("two listeners of Gateway `{}` are the same", gateway.name()),
                    name.span,
                    "the same port, protocol and host: the API server refuses the Gateway",
                )
                .also(first, "as this one has")
                .help("keep one of them, or tell them apart by `hostname`");
        }
    }
}

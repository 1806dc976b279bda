//! Shares of a route that are not what they look like.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::Findings;
use crate::kinds::is_placeholder;
use crate::kinds::networking::{Destination, RouteDestination, VirtualService};
use crate::mesh::{In, Mesh, fqdn, short, value};
use crate::source::Spanned;

/// The destinations of each rule of each VirtualService.
fn routes(
    mesh: &Mesh,
) -> impl Iterator<Item = (&In<VirtualService>, &[Spanned<RouteDestination>])> {
    let read = mesh.virtual_services.iter().filter(|s| mesh.is_read_in(s.cluster));
    read.flat_map(|service| {
        let http = service.http.iter().map(|rule| rule.route.as_slice());
        let l4 = service.tcp.iter().chain(&service.tls).map(|rule| rule.route.as_slice());
        http.chain(l4).map(move |route| (service, route))
    })
}

/// Host, subset and port, where all of them are written down.
fn told<'d>(
    to: &'d Destination,
    namespace: &str,
) -> Option<(String, Option<&'d str>, Option<u32>)> {
    let host = fqdn(to.host.as_ref()?, namespace);
    let subset = value(to.subset.as_ref());
    let port = to.port.as_ref().and_then(|port| port.number.as_ref()).map(|number| number.value);
    let open = is_placeholder(&host) || subset.is_some_and(is_placeholder);
    (!open).then_some((host, subset, port))
}

pub(super) fn destination_twice(mesh: &Mesh, found: &mut Findings) {
    let mut said = BTreeSet::new();
    for (service, route) in routes(mesh) {
        let mut known = BTreeMap::new();
        // The same destination with other headers tells its requests apart.
        for share in route.iter().filter(|share| share.headers.is_none()) {
            let Some(to) = &share.destination else { continue };
            let Some(key) = told(to, &service.namespace) else { continue };
            let subset = key.1.map_or_else(String::new, |subset| format!(", subset `{subset}`"));
            let name = format!("`{}`{subset}", short(&key.0));
            let first = *known.entry(key).or_insert(to.span);
            if first == to.span || !said.insert(to.span) {
                continue;
            }
            found
                .say(
                    format!("a route of VirtualService `{}` leads to {name} twice", service.name()),
                    to.span,
                    "the same destination again: it gets both shares",
                )
                .also(first, "named here first")
                .help("name the destination that was meant, or add the weights up");
        }
    }
}

pub(super) fn weight_of_only_destination(mesh: &Mesh, found: &mut Findings) {
    let mut said = BTreeSet::new();
    for (service, route) in routes(mesh) {
        let [only] = route else { continue };
        let Some(weight) = only.weight.filter(|weight| weight.value < 100) else { continue };
        if said.insert(weight.span) {
            found
                .say(
                    format!(
                        "the only destination of a route of VirtualService `{}` has weight {weight}",
                        service.name()
                    ),
                    weight.span,
                    "it gets all requests: weights are relative to each other",
                )
                .help("remove the weight, or add the destination of the rest");
        }
    }
}

//! Egress: hosts outside of the mesh, and how requests get there.

use std::collections::{BTreeMap, BTreeSet};

use super::{Rule, rule};
use crate::clusters::ClusterId;
use crate::finding::{Findings, Severity};
use crate::kinds::is_placeholder;
use crate::kinds::networking::{ServerPort, ServiceEntry};
use crate::mesh::{Client, In, Mesh, value};
use crate::source::Span;

pub(super) const RULES: &[Rule] = &[
    rule!("egress/entries-disagree-on-protocol", entries_disagree_on_protocol),
    rule!("egress/tcp-entry-without-address", tcp_entry_without_address),
];

/// ServiceEntries that a control plane reads as they stand.
fn read(mesh: &Mesh) -> impl Iterator<Item = &In<ServiceEntry>> {
    let all = mesh.service_entries.iter();
    all.filter(|e| mesh.is_read_in(e.cluster) && !mesh.is_assumed(&e.meta))
}

/// The protocol of a port; istiod reads `HTTPS` as `TLS`.
fn protocol(port: &ServerPort) -> String {
    match value(port.protocol.as_ref()).unwrap_or_default().to_ascii_uppercase().as_str() {
        "HTTPS" => "TLS".to_owned(),
        other => other.to_owned(),
    }
}

/// Whether a ServiceEntry has addresses, written or allocated by istiod as a dump shows it.
fn has_address(mesh: &Mesh, entry: &In<ServiceEntry>) -> bool {
    let same = |o: &&crate::mesh::IstioObject| o.meta.span == entry.meta.span;
    let allocated = mesh.istio_objects.iter().find(same).and_then(|o| {
        let all = o.text.value().at(&["status", "addresses"])?;
        all.items().next()
    });
    !entry.addresses.is_empty() || allocated.is_some() || entry.meta.is_unread("spec.addresses")
}

/// Whether some proxy that may use a ServiceEntry is known to answer DNS, so that istiod allocates an
/// address.
fn is_answered(mesh: &Mesh, entry: &In<ServiceEntry>) -> bool {
    let own = Client::of(entry.cluster, &entry.namespace);
    mesh.clients(entry.cluster).chain([own]).any(|client| mesh.answers_dns(&client))
}

fn tcp_entry_without_address(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for entry in read(mesh) {
        // Without resolution a connection goes where it was meant to go in any case.
        let resolution = value(entry.resolution.as_ref()).unwrap_or("NONE");
        let opaque = |p: &&ServerPort| ["", "TCP"].contains(&protocol(p).as_str());
        let ports: Vec<&ServerPort> = entry.ports.iter().filter(opaque).collect();
        let Some(number) = ports.first().and_then(|p| p.number.as_ref()) else { continue };
        if ["NONE", "DYNAMIC_DNS"].contains(&resolution)
            || has_address(mesh, entry)
            || is_answered(mesh, entry)
            || !told.insert(number.span)
        {
            continue;
        }
        let host = entry.hosts.first().map_or("its host", |h| h.as_str());
        // Where no protocol is told, proxies tell HTTP from the first bytes, and route it by its host.
        let guessed = ports.iter().all(|p| protocol(p).is_empty());
        let what =
            if guessed { "all connections that are not HTTP" } else { "all TCP connections" };
        let finding = found.say(
            format!("ServiceEntry `{}` takes {what} to port {}", entry.name(), number.value),
            number.span,
            format!(
                "without an address, every connection to this port that no other service claims goes to `{host}`"
            ),
        );
        let is_known = !mesh.cluster(entry.cluster).facts.mesh_config.is_empty();
        if !is_known {
            finding.message.push_str(", unless the proxies answer DNS");
        }
        if guessed || !is_known {
            finding.lower(Severity::Note);
        }
        for other in ports.iter().skip(1).filter_map(|p| p.number.as_ref()) {
            finding.also(other.span, "and to this port");
        }
        finding.help(
            "add `addresses`, or name the protocol (`TLS`, `HTTP`), or let the proxies answer DNS \
             (`ISTIO_META_DNS_CAPTURE: \"true\"`), so that istiod allocates an address",
        );
    }
}

/// Namespaces that see a ServiceEntry; none where all do.
fn audience(entry: &In<ServiceEntry>) -> Option<BTreeSet<&str>> {
    let to = &entry.export_to;
    if to.is_empty() || to.iter().any(|to| to.as_str() == "*") {
        return None;
    }
    let own = entry.namespace.as_str();
    Some(to.iter().map(|to| if to.as_str() == "." { own } else { to.as_str() }).collect())
}

/// Whether some client sees both, and goes by their age: one for its namespace alone comes before one for
/// all.
fn compete(a: &In<ServiceEntry>, b: &In<ServiceEntry>) -> bool {
    match (audience(a), audience(b)) {
        (Some(a), Some(b)) => !a.is_disjoint(&b),
        (None, None) => true,
        _ => false,
    }
}

fn entries_disagree_on_protocol(mesh: &Mesh, found: &mut Findings) {
    type Said<'m> = (&'m In<ServiceEntry>, String, Span);
    let mut by_port: BTreeMap<(ClusterId, &str, u32), Vec<Said<'_>>> = BTreeMap::new();
    for entry in read(mesh) {
        for host in entry.hosts.iter().filter(|h| !is_placeholder(h)) {
            for port in &entry.ports {
                let Some(number) = port.number.as_ref() else { continue };
                let at = port.protocol.as_ref().map_or(number.span, |p| p.span);
                let key = (entry.cluster, host.as_str(), number.value);
                by_port.entry(key).or_default().push((entry, protocol(port), at));
            }
        }
    }
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for ((cluster, host, number), all) in by_port {
        let apart = |a: &In<ServiceEntry>, b: &In<ServiceEntry>| {
            mesh.may_be_apart(cluster, a.told(), b.told())
        };
        let Some((first, protocol, at)) = all.first() else { continue };
        let others: Vec<&Said<'_>> = all
            .iter()
            .filter(|(e, p, _)| {
                p != protocol && !is_placeholder(p) && compete(first, e) && !apart(first, e)
            })
            .collect();
        let [(_, other, _), ..] = others.as_slice() else { continue };
        if is_placeholder(protocol) || !told.insert(*at) {
            continue;
        }
        let name = |p: &str| {
            if p.is_empty() { "no protocol".to_owned() } else { format!("`{p}`") }
        };
        let (own, theirs) = (name(protocol), name(other));
        let finding = found.say(
            format!("ServiceEntries disagree on the protocol of port {number} of `{host}`: {own} and {theirs}"),
            *at,
            "the older of them counts for clients that see both",
        );
        for (entry, _, at) in others {
            finding
                .also(*at, format!("another protocol in `{}/{}`", entry.namespace, entry.name()));
        }
        finding.help("give the port one protocol in all of them, or define the host once");
    }
}

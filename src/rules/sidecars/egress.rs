//! Hosts that Sidecars import and nobody has.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::{Findings, Severity};
use crate::kinds::is_placeholder;
use crate::kinds::networking::Sidecar;
use crate::mesh::{In, Known, Lookup, Mesh, Named, fqdn, list};
use crate::source::{Span, Text};

/// Why an entry of `egress` imports nothing.
enum Nothing {
    /// The host is no full name; this is the Service that may be meant.
    Short(String),
    /// No namespace of the mesh has this name.
    Namespace(Option<String>),
    /// No host of the mesh has this name.
    Host(Option<String>),
    /// The host is in other namespaces.
    Elsewhere(Vec<String>, Span),
}

pub(super) fn unknown_egress_host(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    let mut by_mesh: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for sidecar in mesh.sidecars.iter().filter(|s| mesh.is_read_in(s.cluster)) {
        if mesh.is_assumed(&sidecar.meta) {
            continue;
        }
        let number = mesh.cluster(sidecar.cluster).mesh;
        let known =
            by_mesh.entry(number).or_insert_with(|| mesh.namespaces_of_mesh(sidecar.cluster));
        for entry in sidecar.egress.iter().flat_map(|listener| &listener.hosts) {
            let Some(nothing) = nothing(mesh, sidecar, entry, known) else { continue };
            if told.insert(entry.span) {
                say(mesh, sidecar, entry, &nothing, found);
            }
        }
    }
}

fn nothing(
    mesh: &Mesh,
    sidecar: &In<Sidecar>,
    entry: &Text,
    known: &BTreeSet<&str>,
) -> Option<Nothing> {
    let (namespace, host) = entry.split_once('/')?;
    if is_placeholder(entry) || namespace.starts_with('~') || host.is_empty() {
        return None;
    }
    let namespace = if namespace == "." { sidecar.namespace.as_str() } else { namespace };
    if namespace != "*"
        && !known.contains(namespace)
        && mesh.would_show_namespace(namespace, sidecar.cluster)
    {
        // Nobody means those that the cluster brings itself.
        let meant = known.iter().copied().filter(|known| !known.starts_with("kube-"));
        let nearest = Lookup::<()>::absent(namespace, meant);
        let Lookup::Absent { nearest } = nearest else { return None };
        return Some(Nothing::Namespace(nearest));
    }
    if host.contains('*') {
        return None;
    }
    if !host.contains('.') {
        let own = if namespace == "*" { &sidecar.namespace } else { namespace };
        let full = fqdn(host, own);
        let known = mesh.host(&full)?.services_of_mesh(sidecar.cluster).next().is_some();
        return known.then_some(Nothing::Short(full));
    }
    let at = Text::new(host.to_owned(), entry.span);
    match mesh.named_host(&at, sidecar, None) {
        Named::Absent { nearest } => Some(Nothing::Host(nearest)),
        Named::Seen(known) if namespace != "*" && !known.is_assumed(mesh) => {
            elsewhere(&known, namespace)
        }
        _ => None,
    }
}

/// The namespaces of a host, where the one it is looked for in is none of them.
fn elsewhere(known: &Known<'_>, namespace: &str) -> Option<Nothing> {
    let services = known.services.iter().map(|s| (&s.namespace, s.named_at()));
    let entries = known.entries.iter().map(|e| (&e.namespace, e.named_at()));
    let all: Vec<_> = services.chain(entries).collect();
    let (_, first) = *all.first()?;
    let mut names: Vec<String> = all.iter().map(|(ns, _)| (*ns).clone()).collect();
    names.sort_unstable();
    names.dedup();
    (!names.iter().any(|ns| ns == namespace)).then_some(Nothing::Elsewhere(names, first))
}

fn say(mesh: &Mesh, sidecar: &In<Sidecar>, entry: &Text, nothing: &Nothing, found: &mut Findings) {
    let (label, help) = match nothing {
        Nothing::Short(full) => (
            "no full name: it is compared with full names, and fits none".to_owned(),
            format!("write `{full}`"),
        ),
        Nothing::Namespace(nearest) => (
            "no cluster of the mesh has this namespace".to_owned(),
            match nearest {
                Some(nearest) => format!("use `{nearest}`, or remove it"),
                None => "correct the namespace, or remove it".to_owned(),
            },
        ),
        Nothing::Host(nearest) => (
            "no Service and no ServiceEntry of the mesh has this host".to_owned(),
            match nearest {
                Some(nearest) => format!("use `{nearest}`, or define the host"),
                None => "correct the host, or define it".to_owned(),
            },
        ),
        Nothing::Elsewhere(namespaces, _) => (
            "the host is in another namespace".to_owned(),
            format!("it is in {}", list(namespaces.iter().map(String::as_str))),
        ),
    };
    let finding = found.say(
        format!("Sidecar `{}` imports nothing by `{entry}`", sidecar.name()),
        entry.span,
        label,
    );
    if let Nothing::Elsewhere(_, at) = nothing {
        finding.also(*at, "defined here");
    }
    let guess = matches!(nothing, Nothing::Namespace(None) | Nothing::Host(None));
    if guess && !mesh.is_complete_under(sidecar.cluster) {
        finding.milder(Severity::Note, ", unless it is made elsewhere");
    }
    finding.help(help);
}

pub(super) fn outbound_mode_unset(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for sidecar in mesh.sidecars.iter().filter(|s| mesh.is_read_in(s.cluster)) {
        let Some(policy) = &sidecar.outbound_traffic_policy else { continue };
        let unread = sidecar.meta.is_unread("spec.outboundTrafficPolicy");
        if policy.value.mode.is_none() && !unread && told.insert(policy.span) {
            found
                .say(
                    format!(
                        "`outboundTrafficPolicy` of Sidecar `{}` has no `mode`",
                        sidecar.name()
                    ),
                    policy.span,
                    "means `REGISTRY_ONLY`, whatever the mesh's own is: unknown hosts get 502",
                )
                .help("write the mode, `REGISTRY_ONLY` or `ALLOW_ANY`");
        }
    }
}

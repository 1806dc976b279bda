//! Where the configuration of several clusters lives: names and namespaces of its objects, and what a
//! control plane looks at.

use std::collections::{BTreeMap, BTreeSet};

use super::installs::served;
use crate::clusters::{Cluster, ClusterId};
use crate::finding::{Findings, Fix};
use crate::kinds::Meta;
use crate::kinds::workloads::Selector;
use crate::kinds::{core::Namespace, core::Service, is_placeholder};
use crate::mesh::{In, Mesh, Named, fqdn, is_ambient_namespace, list, takes_in};
use crate::rules::SHOWN;
use crate::source::{Span, Spanned, Text};

/// A host that an object of a control plane names in short.
struct ShortHost<'m> {
    text: &'m Text,
    meta: &'m Meta,
    namespace: &'m str,
    plane: ClusterId,
    /// Whether the input does not tell if there is such a service: of what is absent another rule speaks.
    is_unseen: bool,
}

/// The short names of hosts in VirtualServices and DestinationRules that control planes of several clusters
/// read, of objects whose namespace is told.
fn short_hosts<'m>(
    mesh: &'m Mesh,
    planes: &BTreeMap<ClusterId, Vec<ClusterId>>,
) -> Vec<ShortHost<'m>> {
    let is_read = |cluster: ClusterId| planes.contains_key(&cluster);
    let mut found = Vec::new();
    let mut take = |text, meta, namespace, plane, named: Named<'_>| {
        let is_unseen = matches!(named, Named::Unseen);
        found.push(ShortHost { text, meta, namespace, plane, is_unseen });
    };
    let is_short = |text: &Text| {
        !text.is_empty() && !text.contains(['.', '*', '/']) && !is_placeholder(text.as_str())
    };
    let rules = mesh.destination_rules.iter().filter(|r| is_read(r.cluster));
    for rule in rules.filter(|r| r.has_namespace()) {
        for host in rule.host.iter().filter(|host| is_short(host)) {
            let named = mesh.named_host(host, rule, None);
            take(host, &rule.meta, &rule.namespace, rule.cluster, named);
        }
    }
    let services = mesh.virtual_services.iter().filter(|s| is_read(s.cluster));
    for service in services.filter(|s| s.is_for_mesh() && s.has_namespace()) {
        for host in service.hosts.iter().filter(|host| is_short(host)) {
            let named = mesh.named_host(host, service, None);
            take(host, &service.meta, &service.namespace, service.cluster, named);
        }
    }
    for route in mesh.routes().into_iter().chain(mesh.mirrors()) {
        let service = route.service;
        let Some(host) = route.destination.host.as_ref().filter(|host| is_short(host)) else {
            continue;
        };
        if service.has_namespace() && is_read(service.cluster) {
            let named = mesh.named_host(host, service, None);
            take(host, &service.meta, &service.namespace, service.cluster, named);
        }
    }
    found
}

/// Whether a namespace has, or may get, services and pods in any cluster of a mesh.
fn may_hold_services(mesh: &Mesh, of: ClusterId, namespace: &str) -> bool {
    mesh.peers(of).any(|c| {
        mesh.services.of_namespace(c.id, namespace).next().is_some()
            || mesh.pod_shapes_in(c.id, namespace).next().is_some()
            || mesh.may_have_more(c.id, "Service", namespace)
    })
}

/// The only Service that a short name may have been meant for: one of a cluster that the control plane
/// serves, in another namespace.
fn meant<'m>(
    mesh: &'m Mesh,
    host: &ShortHost<'_>,
    served: &[ClusterId],
) -> Option<&'m In<Service>> {
    let named = mesh.services.iter().filter(|s| {
        s.name() == host.text.as_str()
            && mesh.same_mesh(s.cluster, host.plane)
            && !mesh.is_assumed(&s.meta)
    });
    let all: Vec<&In<Service>> = named.collect();
    let namespaces: BTreeSet<&str> = all.iter().map(|s| s.namespace.as_str()).collect();
    let is_alone = namespaces.len() == 1 && !namespaces.contains(host.namespace);
    all.into_iter().find(|s| served.contains(&s.cluster)).filter(|_| is_alone)
}

pub(super) fn short_host_in_multicluster_cr(mesh: &Mesh, found: &mut Findings) {
    let mut remotes: BTreeMap<ClusterId, Vec<ClusterId>> = BTreeMap::new();
    for (remote, plane) in served(mesh) {
        remotes.entry(plane.id).or_default().push(remote.id);
    }
    let mut by_name: BTreeMap<(Span, String), Vec<(ShortHost<'_>, &In<Service>)>> = BTreeMap::new();
    if remotes.is_empty() {
        return;
    }
    for host in short_hosts(mesh, &remotes) {
        let Some(served) = remotes.get(&host.plane) else { continue };
        let is_known = !host.is_unseen || may_hold_services(mesh, host.plane, host.namespace);
        if is_known || mesh.is_assumed(host.meta) {
            continue;
        }
        let Some(service) = meant(mesh, &host, served) else { continue };
        let key = (host.meta.span, host.text.value.clone());
        let same = by_name.entry(key).or_default();
        if same.iter().all(|(known, _)| known.text.span != host.text.span) {
            same.push((host, service));
        }
    }
    for mut places in by_name.into_values() {
        places.sort_by_key(|(host, _)| host.text.span);
        say_short(mesh, &places, found);
    }
}

/// Says of one name in one object, in all places where it stands, that it means no service.
fn say_short(mesh: &Mesh, places: &[(ShortHost<'_>, &In<Service>)], found: &mut Findings) {
    let [(host, service), more @ ..] = places else { return };
    let taken = fqdn(host.text, host.namespace);
    let full = fqdn(host.text, &service.namespace);
    let (kind, name) = (&host.meta.kind, &host.meta.name);
    let cluster = mesh.cluster_name(service.cluster);
    let finding = found.say(
        format!(
            "`{}` in {kind} `{name}` means `{}`, where no cluster shows a Service",
            host.text,
            crate::mesh::short(&taken)
        ),
        host.text.span,
        format!("a short name gets the namespace of its object, `{}`", host.namespace),
    );
    for (other, _) in more.iter().take(SHOWN) {
        finding.also(other.text.span, "and so does this");
    }
    finding.also(
        service.named_at(),
        format!("the only one of that name is in `{}` of `{cluster}`", service.namespace),
    );
    finding.help(format!(
        "write the full name, `{full}`: one control plane holds objects for several clusters"
    ));
    finding.fix([Fix {
        title: format!("use `{full}`"),
        edits: places.iter().map(|(host, _)| (host.text.span, full.clone())).collect(),
    }]);
}

/// The namespaces of a remote cluster whose pods are of the mesh, and which its control plane's cluster
/// lacks.
fn lacking<'m>(mesh: &'m Mesh, remote: &Cluster, plane: &Cluster) -> Vec<&'m In<Namespace>> {
    let system = [remote, plane].map(|c| c.facts.system_namespace());
    let of_apps = |ns: &In<Namespace>| !system.contains(&ns.name()) && !mesh.is_assumed(&ns.meta);
    let mut theirs = mesh.namespaces.of_cluster(plane.id).iter().filter(|ns| of_apps(ns));
    if !plane.is_complete() && theirs.next().is_none() {
        return Vec::new();
    }
    let is_used = |ns: &In<Namespace>| {
        let mut pods = mesh.pod_shapes_in(remote.id, ns.name());
        pods.any(|p| !p.is_injected_as_gateway() && mesh.is_in_mesh(&p) == Some(true))
    };
    // Of one that a rule there names a service of, another rule speaks.
    let is_named = |ns: &In<Namespace>| {
        let end = format!(".{}.svc.cluster.local", ns.name());
        let mut rules = mesh.virtual_services.of_cluster(plane.id).iter();
        rules.any(|s| s.hosts.iter().any(|host| host.ends_with(&end)))
    };
    let here = mesh.namespaces.of_cluster(remote.id).iter().filter(|ns| of_apps(ns));
    here.filter(|ns| {
        mesh.namespace(plane.id, ns.name()).is_absent()
            && !mesh.lives_in(plane.id, ns.name())
            && is_used(ns)
            && !is_named(ns)
    })
    .collect()
}

pub(super) fn cr_namespace_missing_in_config_cluster(mesh: &Mesh, found: &mut Findings) {
    for (remote, plane) in served(mesh) {
        let lacking = lacking(mesh, remote, plane);
        let [first, more @ ..] = lacking.as_slice() else { continue };
        let (name, by) = (&remote.name, &plane.name);
        let names = list(lacking.iter().map(|ns| ns.name()));
        let (what, has) =
            if more.is_empty() { ("namespace", "has") } else { ("namespaces", "have") };
        let finding = found.say(
            format!(
                "{what} {names} of `{name}` {has} no place in `{by}`, which configures `{name}`"
            ),
            first.named_at(),
            format!("its pods get their rules from this namespace of `{by}`, and it is not there"),
        );
        for other in more.iter().take(SHOWN) {
            finding.also(other.named_at(), "nor is this");
        }
        finding.help(format!(
            "create the same namespaces in `{by}`, empty of workloads if need be: no rule for a single \
             namespace or its workloads can be applied before"
        ));
    }
}

/// The selectors by which a control plane looks at some namespaces only; none where it looks at all, or
/// where they are not known.
fn selectors(plane: &Cluster) -> Option<Vec<&Spanned<Selector>>> {
    let told = plane.facts.mesh_config.iter().flat_map(|c| &c.discovery_selectors);
    let told: Vec<&Spanned<Selector>> = told.collect();
    let is_open = |text: &Text| is_placeholder(text);
    let open = |s: &Selector| {
        s.match_labels.iter().any(|(key, value)| is_open(key) || is_open(value))
            || s.match_expressions.iter().any(|e| is_open(&e.key) || e.values.iter().any(is_open))
    };
    (!told.is_empty() && !told.iter().any(|s| open(&s.value))).then_some(told)
}

/// Whether one of the selectors takes a namespace. Kubernetes labels each with its name.
fn is_taken(selectors: &[&Spanned<Selector>], namespace: &In<Namespace>) -> bool {
    let label = |key: &str| match key {
        "kubernetes.io/metadata.name" => Some(namespace.name()),
        _ => namespace.meta.label(key).map(|text| text.as_str()),
    };
    selectors.iter().any(|selector| selector.value.takes(label))
}

/// Why a control plane should look at a namespace.
fn use_of(mesh: &Mesh, namespace: &In<Namespace>) -> Option<&'static str> {
    let (cluster, name) = (namespace.cluster, namespace.name());
    let mut gateways = mesh.gateway_services();
    if gateways.any(|s| s.cluster == cluster && s.namespace == name) {
        return Some("the gateway to its network is not found");
    }
    let lives = || {
        let mut pods = mesh.pod_shapes_in(cluster, name);
        pods.next().is_some() || mesh.services.of_namespace(cluster, name).next().is_some()
    };
    let takes_part = takes_in(namespace) || is_ambient_namespace(namespace);
    (takes_part && lives()).then_some("its services and pods are not seen")
}

pub(super) fn discovery_selectors_hide_remote(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for plane in mesh.clusters().iter().filter(|c| mesh.is_read_in(c.id)) {
        let Some(selectors) = selectors(plane).filter(|_| mesh.peers(plane.id).count() > 1) else {
            continue;
        };
        let of_mesh = || mesh.namespaces.iter().filter(|ns| mesh.same_mesh(ns.cluster, plane.id));
        let mut hidden: Vec<(&In<Namespace>, &str)> = Vec::new();
        for namespace in of_mesh() {
            let unsure =
                mesh.is_assumed(&namespace.meta) || namespace.meta.is_unread("metadata.labels");
            if unsure || is_taken(&selectors, namespace) || told.contains(&namespace.meta.span) {
                continue;
            }
            if let Some(why) = use_of(mesh, namespace) {
                told.insert(namespace.meta.span);
                hidden.push((namespace, why));
            }
        }
        let [(first, why), more @ ..] = hidden.as_slice() else { continue };
        let names: BTreeSet<String> = hidden
            .iter()
            .map(|(ns, _)| format!("`{}` of `{}`", ns.name(), mesh.cluster_name(ns.cluster)))
            .collect();
        let names: Vec<String> = names.into_iter().collect();
        let finding = found.say(
            format!("istiod of `{}` does not look at {}", plane.name, names.join(", ")),
            first.named_at(),
            format!("no selector takes its labels: {why}"),
        );
        finding.also(selectors[0].span, "what it looks at, in all clusters that it reads");
        let other = of_mesh().find(|ns| ns.name() == first.name() && is_taken(&selectors, ns));
        if let Some(other) = other {
            let there = mesh.cluster_name(other.cluster);
            finding.also(other.named_at(), format!("in `{there}` it is taken"));
        }
        for (namespace, why) in more.iter().take(SHOWN) {
            finding.also(namespace.named_at(), format!("not taken either: {why}"));
        }
        finding.help("label the namespace alike in all clusters, as the selectors ask for");
    }
}

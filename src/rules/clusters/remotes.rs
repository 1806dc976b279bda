//! Remote clusters, and the primaries that serve them.

use std::collections::BTreeMap;

use super::installs::{
    control_plane, injects_itself, is_open, istio_name, primary_at, remotes, served, told, whole,
};
use crate::access::Access;
use crate::clusters::{Cluster, ClusterId, Role};
use crate::finding::{Findings, Severity};
use crate::mesh::{IstioObject, Lookup, Mesh, list};
use crate::rules::SHOWN;
use crate::rules::remote::pairs;
use crate::source::{Span, Text};

const ANNOTATION: &str = "topology.istio.io/controlPlaneClusters";

pub(super) fn primary_not_external_istiod(mesh: &Mesh, found: &mut Findings) {
    let mut by_primary: BTreeMap<ClusterId, Vec<&Cluster>> = BTreeMap::new();
    for (remote, primary) in served(mesh) {
        by_primary.entry(primary.id).or_default().push(remote);
    }
    for (primary, remotes) in by_primary {
        let primary = mesh.cluster(primary);
        // What a config cluster is told is not what its control plane elsewhere is told.
        let is_away = primary.role() == Some(Role::ConfigOfExternal);
        if is_away || whole(mesh, primary).is_none() || is_open(primary, "externalIstiod") {
            continue;
        }
        if primary.facts.serves_others().is_some() {
            continue;
        }
        let set = told(primary, |v| v.global.external_istiod.as_ref());
        let Some(plane) = control_plane(primary) else { continue };
        let names = list(remotes.iter().map(|c| c.name.as_str()));
        let name = &primary.name;
        let finding = found.say(
            format!("`{name}` serves {names}, but is not told to (`global.externalIstiod`)"),
            set.map_or(plane.at(), |set| set.span),
            format!("istiod of `{name}` leads no other cluster: no root certificate and no injector there"),
        );
        for remote in remotes.iter().take(SHOWN) {
            if let Some((_, at)) = remote.facts.role.first() {
                finding.also(*at, format!("`{}` has no control plane of its own", remote.name));
            }
        }
        finding.help(format!("set `values.global.externalIstiod: true` in `{name}`"));
    }
}

pub(super) fn control_plane_annotation_missing(mesh: &Mesh, found: &mut Findings) {
    for (remote, primary) in served(mesh) {
        let name = remote.facts.system_namespace();
        let Lookup::Found(namespace) = mesh.namespace(remote.id, name) else { continue };
        let meta = &namespace.meta;
        let is_there = meta.annotation(ANNOTATION).is_some()
            || meta.unread.iter().any(|path| path.contains("annotations"));
        if is_there || mesh.is_assumed(meta) || injects_itself(remote) {
            continue;
        }
        let primary = primary.istio_name().map_or(primary.name.as_str(), |n| n.as_str());
        let finding = found.say(
            format!("namespace `{name}` of `{}` names no control plane", remote.name),
            namespace.named_at(),
            format!("istiod of `{primary}` does not take the cluster on: pods wait for its root certificate"),
        );
        finding.help(format!("add the annotation `{ANNOTATION}: {primary}`"));
        if !remote.is_complete() {
            finding.milder(Severity::Warning, ", unless it is annotated by hand");
        }
    }
}

pub(super) fn control_plane_annotation_unknown(mesh: &Mesh, found: &mut Findings) {
    let mut said: Vec<Span> = Vec::new();
    for remote in mesh.clusters() {
        for fact in remote.facts.served_by.iter().map(|f| &f.value) {
            let primaries: Vec<&Cluster> = mesh
                .peers(remote.id)
                .filter(|c| c.id != remote.id && c.role() == Some(Role::Primary))
                .collect();
            let names: Option<Vec<&str>> = primaries.iter().map(|c| istio_name(c)).collect();
            let Some(names) = names.filter(|names| !names.is_empty()) else { continue };
            let mut entries = fact.split(',');
            if said.contains(&fact.span) || entries.any(|e| e == "*" || names.contains(&e)) {
                continue;
            }
            let Some(why) = why_unknown(mesh, remote, &primaries, &names, fact) else { continue };
            said.push(fact.span);
            found
                .say(
                    format!("no control plane manages `{}`: none is called `{fact}`", remote.name),
                    fact.span,
                    why,
                )
                .help(format!("write `{}`, without blanks", names.join(",")));
        }
    }
}

fn why_unknown(
    mesh: &Mesh,
    remote: &Cluster,
    primaries: &[&Cluster],
    names: &[&str],
    value: &str,
) -> Option<String> {
    if let Some(padded) = value.split(',').find(|e| names.contains(&e.trim())) {
        return Some(format!("istiod compares `{padded}` with its name, the blank included"));
    }
    let folder = primaries.iter().find(|c| value.split(',').any(|e| e.trim() == c.name));
    if let Some(folder) = folder {
        let name = istio_name(folder)?;
        return Some(format!("istiod of `{}` calls its cluster `{name}`", folder.name));
    }
    let meant = |e: &str| mesh.cluster_called(e.trim(), remote.id).found();
    let served = |c: &&Cluster| c.role() == Some(Role::Remote);
    if let Some(other) = value.split(',').filter_map(meant).find(served) {
        let name = &other.name;
        return Some(format!(
            "`{name}` is served from elsewhere itself, and runs no control plane"
        ));
    }
    let is_absent = value.split(',').all(|e| mesh.cluster_called(e.trim(), remote.id).is_absent());
    let known = list(names.iter().copied());
    is_absent.then(|| format!("the control planes of the mesh are those of {known}"))
}

pub(super) fn system_namespace_differs(mesh: &Mesh, found: &mut Findings) {
    for (remote, primary) in served(mesh) {
        let (Some((here, at)), Some((there, other))) =
            (system_namespace(mesh, remote), system_namespace(mesh, primary))
        else {
            continue;
        };
        if here == there {
            continue;
        }
        let (name, by) = (&remote.name, &primary.name);
        found
            .say(
                format!(
                    "istiod of `{by}` runs in `{there}`, and `{name}` is installed in `{here}`"
                ),
                at,
                format!("istiod looks for the annotation and the network of `{name}` in `{there}`"),
            )
            .also(other, format!("its certificate is for `istiod.{there}.svc`"))
            .help(format!("install `{name}` in `{there}` too"));
    }
    for clusters in mesh.meshes() {
        let primaries = clusters.iter().filter(|c| c.role() == Some(Role::Primary));
        let told: Vec<(&Cluster, &str, Span)> = primaries
            .filter_map(|c| system_namespace(mesh, c).map(|(ns, at)| (*c, ns, at)))
            .collect();
        let Some((first, common, common_at)) = told.first() else { continue };
        let Some((other, differs, at)) = told.iter().find(|(_, ns, _)| ns != common) else {
            continue;
        };
        found
            .say(
                format!(
                    "control planes run in different namespaces: `{common}` in `{}`, `{differs}` in `{}`, \
                     each of which works by itself",
                    first.name, other.name
                ),
                *at,
                format!("istiod of `{}` looks for the network of `{}` in `{common}`", first.name, other.name),
            )
            .also(*common_at, format!("`{common}` in `{}`", first.name))
            .help("install all control planes in one namespace")
            .lower(Severity::Warning);
    }
}

/// The namespace of a cluster's control plane, where the input tells it, and where.
fn system_namespace<'m>(mesh: &'m Mesh, cluster: &'m Cluster) -> Option<(&'m str, Span)> {
    if let Some(namespace) = cluster.hosted_namespace() {
        let mut told = cluster.facts.system_namespace.iter().map(|fact| &fact.value);
        let at = told.find(|told| told.as_str() == namespace && !told.span.is_empty());
        return Some((namespace, at.map_or(primary_at(cluster), |told| told.span)));
    }
    if let Some(fact) = cluster.facts.system_namespace.first() {
        return Some((fact.value.as_str(), fact.value.span));
    }
    let operator = control_plane(cluster)
        .filter(|plane| plane.chart.is_none() && whole(mesh, cluster).is_some())?;
    let is_default = !is_open(cluster, "namespace") && !is_open(cluster, "istioNamespace");
    is_default.then(|| ("istio-system", operator.at()))
}

pub(super) fn remote_without_primary(mesh: &Mesh, found: &mut Findings) {
    for remote in remotes(mesh) {
        if whole(mesh, remote).is_none() || is_open(remote, "remotePilotAddress") {
            continue;
        }
        let is_addressed = remote.facts.installs.iter().any(|i| {
            let values = i.values();
            let remote = &values.istiod_remote;
            let is_set = |text: &Option<Text>| text.as_ref().is_some_and(|t| !t.is_empty());
            is_set(&values.global.remote_pilot_address) || is_set(&remote.injection_url)
        });
        let Some(plane) = control_plane(remote) else { continue };
        if is_addressed || remote.facts.discovery_addresses().next().is_some() {
            continue;
        }
        let at = plane.profile().map_or(plane.at(), |profile| profile.span);
        let finding = found.say(
            format!("`{}` has no control plane, and no address of one", remote.name),
            at,
            "proxies and injector look for istiod in the cluster itself, where it is not",
        );
        finding.help(
            "set `global.remotePilotAddress` to the address of the primary's east-west gateway",
        );
        if !remote.is_complete() {
            finding.milder(Severity::Warning, ", unless the address is given on the command line");
        }
    }
}

pub(super) fn istio_cr_in_remote(mesh: &Mesh, found: &mut Findings) {
    for (remote, primary) in served(mesh) {
        let of = |cluster: &Cluster| mesh.istio_objects.of_cluster(cluster.id).iter();
        let there: BTreeMap<_, _> = of(primary).rev().map(|o| (identity(o), o)).collect();
        let mut only_here: Vec<&IstioObject> = Vec::new();
        let mut in_both: Vec<&IstioObject> = Vec::new();
        for object in of(remote) {
            if mesh.is_assumed(&object.meta) || object.meta.kind.as_str() == "WorkloadEntry" {
                continue;
            }
            match there.get(&identity(object)) {
                None => only_here.push(object),
                // One text for all clusters: it does what it says, by way of the primary.
                Some(other) if other.meta.is_same_text(&object.meta) => {}
                Some(_) => in_both.push(object),
            }
        }
        say_dead(found, remote, primary, &only_here, false);
        say_dead(found, remote, primary, &in_both, true);
    }
}

/// Kind, namespace and name.
fn identity(object: &IstioObject) -> [&str; 3] {
    [object.meta.kind.as_str(), object.namespace.as_str(), object.meta.name.as_str()]
}

fn say_dead(
    found: &mut Findings,
    remote: &Cluster,
    primary: &Cluster,
    objects: &[&IstioObject],
    in_both: bool,
) {
    let [first, more @ ..] = objects else { return };
    let (name, by) = (&remote.name, &primary.name);
    let what = |o: &IstioObject| format!("{} `{}`", o.meta.kind, o.meta.name);
    let (subject, them) = match more.len() {
        0 => (format!("{} is", what(first)), "it"),
        n => (format!("{} and {n} more Istio objects are", what(first)), "them"),
    };
    let place = if in_both { format!("; those of `{by}` count") } else { String::new() };
    let finding = found.say(
        format!("{subject} applied in `{name}`, where no control plane reads {them}{place}"),
        first.named_at(),
        format!("proxies of `{name}` get their configuration from `{by}`"),
    );
    for object in more.iter().take(SHOWN) {
        finding.also(object.named_at(), format!("nor {}", what(object)));
    }
    finding.help(format!("apply Istio's objects in `{by}`"));
    if in_both {
        finding.lower(Severity::Warning);
    }
}

pub(super) fn multi_primary_with_remotes_secret_gap(access: &Access<'_>, found: &mut Findings) {
    for gap in pairs::gaps(access) {
        let primary = gap.primary;
        let missing: Vec<&Cluster> = gap
            .unread
            .iter()
            .copied()
            .filter(|c| pairs::is_served_elsewhere(access, c, primary))
            .collect();
        if missing.is_empty() {
            continue;
        }
        let name = &primary.name;
        let names = list(missing.iter().map(|c| c.name.as_str()));
        let finding = found.say(
            format!("`{name}` does not read {names}, which another primary of the mesh serves"),
            gap.at(),
            format!(
                "clients of `{name}` see no endpoints of {names}, those of the other primary do"
            ),
        );
        for remote in missing.iter().take(SHOWN) {
            if let Some((_, at)) = remote.facts.role.first() {
                finding.also(*at, format!("`{}` is served from elsewhere", remote.name));
            }
        }
        finding.help(format!(
            "add a remote secret for {names} in `{name}` too: all primaries need one"
        ));
    }
}

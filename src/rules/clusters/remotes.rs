//! Remote clusters, and the primaries that serve them.

use std::collections::BTreeMap;

use super::installs::{control_plane, is_open, remotes, served, told, whole};
use crate::access::Access;
use crate::clusters::{Cluster, ClusterId, Role};
use crate::finding::{Findings, Severity};
use crate::kinds::is_placeholder;
use crate::mesh::{IstioObject, Lookup, Mesh, list};
use crate::rules::remote::pairs;
use crate::source::{Span, Text};

/// How many further places of one cause a finding shows.
const SHOWN: usize = 6;

const ANNOTATION: &str = "topology.istio.io/controlPlaneClusters";

/// Whether an istiod of its own injects sidecars in a remote cluster.
pub(super) fn injects_itself(cluster: &Cluster) -> bool {
    told(cluster, |v| v.istiod_remote.enabled_local_injector_istiod.as_ref())
        .is_some_and(|e| e.value)
}

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
        let set = told(primary, |v| v.global.external_istiod.as_ref());
        let by_env = primary.facts.istiod_env("EXTERNAL_ISTIOD");
        if set.is_some_and(|set| set.value) || by_env.is_some() {
            continue;
        }
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
            finding.message.push_str(", unless it is annotated by hand");
            finding.lower(Severity::Warning);
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

/// The name that Istio knows a cluster by, where its control plane tells it.
fn istio_name(cluster: &Cluster) -> Option<&str> {
    let name = cluster.istio_name().filter(|n| !is_placeholder(n))?;
    (name.as_str() != super::identity::DEFAULT_NAME).then_some(name.as_str())
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

pub(super) fn injection_path_wrong(mesh: &Mesh, found: &mut Findings) {
    let mut said: Vec<Span> = Vec::new();
    let hosted = mesh.clusters().iter().filter_map(|c| Some((c, mesh.cluster(c.hosted_in?))));
    for (remote, primary) in served(mesh).into_iter().chain(hosted) {
        if injects_itself(remote) || is_open(remote, "injection") {
            continue;
        }
        let path = told(remote, |v| {
            v.istiod_remote.injection_url.as_ref().or(v.istiod_remote.injection_path.as_ref())
        });
        let (at, why) = match path {
            Some(path) if is_placeholder(path) => continue,
            Some(path) => match wrong_path(mesh, remote, path) {
                Some(why) => (path.span, why),
                None => continue,
            },
            // An external control plane calls itself as its config cluster is called.
            None if remote.hosted_in.is_some() => continue,
            None => {
                let Some(plane) = control_plane(remote).filter(|_| whole(mesh, remote).is_some())
                else {
                    continue;
                };
                (plane.at(), "no `istiodRemote.injectionPath`: it is `/inject`".to_owned())
            }
        };
        if said.contains(&at) {
            continue;
        }
        said.push(at);
        let name = istio_name(remote).unwrap_or(remote.name.as_str());
        let net = remote.network().map_or("NETWORK", |n| n.as_str());
        let finding = found.say(
            format!(
                "pods of `{}` are injected as if they were of another cluster than `{name}`",
                remote.name
            ),
            at,
            why,
        );
        let by = primary_at(primary);
        if remote.hosted_in.is_none() && !by.is_empty() {
            let text = format!("by istiod of `{}`, which knows only the path", primary.name);
            finding.also(by, text);
        }
        finding.help(format!("set `istiodRemote.injectionPath: /inject/cluster/{name}/net/{net}`"));
    }
}

fn primary_at(primary: &Cluster) -> Span {
    let named = primary.istio_name().map(|name| name.span);
    named.or(control_plane(primary).map(crate::clusters::Installed::at)).unwrap_or_default()
}

/// What is wrong with the path to the injector.
fn wrong_path(mesh: &Mesh, remote: &Cluster, path: &Text) -> Option<String> {
    let Some((_, tail)) = path.split_once("/inject") else {
        return Some("istiod answers below `/inject` only".to_owned());
    };
    let words: Vec<&str> = if tail.contains(":ENV:") {
        tail.split(":ENV:").skip(1).flat_map(|pair| pair.split('=')).collect()
    } else {
        tail.split('/').filter(|word| !word.is_empty()).collect()
    };
    let value = |key: &str| {
        words
            .chunks_exact(2)
            .find(|pair| pair[0] == key)
            .map(|pair| pair[1].replace("--slash--", "/"))
    };
    if words.len() % 2 == 1 {
        let last = words.last().copied().unwrap_or_default();
        return Some(format!("`{last}` is a key without a value: istiod drops it"));
    }
    let Some(cluster) = value("cluster") else {
        return remote.hosted_in.is_none().then(|| {
            "it names no cluster (`/cluster/NAME`): pods get the name of istiod's own".to_owned()
        });
    };
    let named = told(remote, |v| v.global.multi_cluster.cluster_name.as_ref())
        .filter(|n| !n.is_empty() && !is_placeholder(n));
    if let Some(named) = named.filter(|n| n.as_str() != cluster && !is_placeholder(&cluster)) {
        return Some(format!("it says cluster `{cluster}`, and the installation `{named}`"));
    }
    let network =
        told(remote, |v| v.global.network.as_ref()).filter(|n| !n.is_empty() && !is_placeholder(n));
    match (value("net"), network) {
        (Some(net), Some(told)) if net != told.as_str() && !is_placeholder(&net) => {
            Some(format!("it says network `{net}`, and the installation `{told}`"))
        }
        (None, Some(told))
            if remote.hosted_in.is_none()
                && mesh
                    .peers(remote.id)
                    .any(|c| c.network().is_some_and(|other| other.as_str() != told.as_str())) =>
        {
            Some(format!("it names no network (`/net/{told}`): pods get that of istiod's own"))
        }
        _ => None,
    }
}

pub(super) fn remote_pilot_hostname_webhook(mesh: &Mesh, found: &mut Findings) {
    for remote in remotes(mesh) {
        let address = told(remote, |v| v.global.remote_pilot_address.as_ref());
        let Some(address) = address.filter(|a| !a.is_empty() && !is_placeholder(a)) else {
            continue;
        };
        let url = told(remote, |v| v.istiod_remote.injection_url.as_ref());
        let is_ip = crate::api::is_ip(address);
        // What has no dot, or capitals, is still to be replaced.
        let is_name = address.contains('.') && !address.chars().any(|c| c.is_ascii_uppercase());
        if is_ip
            || !is_name
            || url.is_some()
            || injects_itself(remote)
            || is_open(remote, "injectionURL")
        {
            continue;
        }
        let name = istio_name(remote).unwrap_or(remote.name.as_str());
        let finding = found.say(
            format!("the injector of `{}` cannot be called", remote.name),
            address.span,
            "with a name the Service becomes `ExternalName`, which API servers call no webhook by",
        );
        finding.help(format!(
            "give an IP address, or set `istiodRemote.injectionURL: https://{}:15017/inject/cluster/{name}/net/...`",
            address.as_str()
        ));
        if whole(mesh, remote).is_none() {
            finding.message.push_str(", unless `istiodRemote.injectionURL` is set elsewhere");
            finding.lower(Severity::Warning);
        }
    }
}

pub(super) fn remote_without_primary(mesh: &Mesh, found: &mut Findings) {
    for remote in remotes(mesh) {
        if whole(mesh, remote).is_none() || is_open(remote, "remotePilotAddress") {
            continue;
        }
        let is_addressed = remote.facts.installs.iter().any(|i| {
            let values = i.values();
            let configs = [i.install.mesh_config.as_ref(), values.mesh_config.as_ref()];
            let discovery =
                configs.into_iter().flatten().any(|c| c.default_config.discovery_address.is_some());
            let remote = &values.istiod_remote;
            let is_set = |text: &Option<Text>| text.as_ref().is_some_and(|t| !t.is_empty());
            is_set(&values.global.remote_pilot_address)
                || is_set(&remote.injection_url)
                || discovery
        });
        let by_config = remote.facts.mesh_config.iter();
        let mut by_config = by_config.filter(|c| c.default_config.discovery_address.is_some());
        let Some(plane) = control_plane(remote) else { continue };
        if is_addressed || by_config.next().is_some() {
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
            finding.message.push_str(", unless the address is given on the command line");
            finding.lower(Severity::Warning);
        }
    }
}

pub(super) fn istio_cr_in_remote(mesh: &Mesh, found: &mut Findings) {
    for (remote, primary) in served(mesh) {
        let mut only_here: Vec<&IstioObject> = Vec::new();
        let mut in_both: Vec<&IstioObject> = Vec::new();
        for object in mesh.istio_objects.iter().filter(|o| o.cluster == remote.id) {
            if mesh.is_assumed(&object.meta) || object.meta.kind.as_str() == "WorkloadEntry" {
                continue;
            }
            let mut there = mesh.istio_objects.iter().filter(|o| o.cluster == primary.id);
            match there.find(|o| is_same_object(o, object)) {
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

fn is_same_object(a: &IstioObject, b: &IstioObject) -> bool {
    a.meta.kind == b.meta.kind && a.namespace == b.namespace && a.meta.name == b.meta.name
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

pub(super) fn external_cp_webhook_url(mesh: &Mesh, found: &mut Findings) {
    let mut said: Vec<Span> = Vec::new();
    for cluster in mesh.clusters() {
        let url = told(cluster, |v| v.istiod_remote.injection_url.as_ref());
        let Some(url) = url.filter(|u| !u.is_empty() && !is_placeholder(u)) else { continue };
        let Some((why, is_certain)) = wrong_url(url).filter(|_| !said.contains(&url.span)) else {
            continue;
        };
        said.push(url.span);
        let finding = found.say(
            format!("the injector of `{}` cannot be called by its URL", cluster.name),
            url.span,
            why,
        );
        finding.help("write `https://HOST:15017/inject/cluster/NAME/net/NETWORK`, HOST as in istiod's certificate");
        if !is_certain {
            finding.message.push_str(", unless what stands before istiod sees to it");
            finding.lower(Severity::Warning);
        }
    }
}

/// What is wrong with the URL of an injector, and whether nothing can make up for it.
fn wrong_url(url: &str) -> Option<(String, bool)> {
    let Some(rest) = url.strip_prefix("https://") else {
        return Some(("an API server calls webhooks by `https://` only".to_owned(), true));
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let is_bracketed = authority.starts_with('[');
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !port.is_empty() => {
            (host, Some(port))
        }
        _ => (authority, None),
    };
    if is_bracketed || crate::api::is_ip(host) {
        return Some((
            format!("istiod's certificate has names, and not the address `{host}`"),
            false,
        ));
    }
    port.is_none().then(|| ("no port: 443, where istiod itself listens on 15017".to_owned(), false))
}

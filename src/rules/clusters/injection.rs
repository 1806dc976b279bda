//! The way to the injector of a cluster without a control plane of its own: by a path, a name or a URL.

use super::installs::{
    control_plane, hosted, injects_itself, is_open, istio_name, primary_at, remotes, served, told,
    whole,
};
use crate::clusters::Cluster;
use crate::finding::{Findings, Severity};
use crate::kinds::control_plane::Webhook;
use crate::kinds::{is_placeholder, may_be};
use crate::mesh::Mesh;
use crate::source::{Span, Text};

pub(super) fn injection_path_wrong(mesh: &Mesh, found: &mut Findings) {
    let mut said: Vec<Span> = Vec::new();
    for (remote, primary) in served(mesh).into_iter().chain(hosted(mesh)) {
        let Some((at, why)) = wrong_injection(mesh, remote) else { continue };
        if said.contains(&at) {
            continue;
        }
        said.push(at);
        let name = istio_name(remote).unwrap_or(remote.name.as_str());
        let net = remote.network().map_or("NETWORK", |n| n.as_str());
        let finding = found.say(
            format!(
                "pods of `{}` are injected as if they were of another cluster or network",
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

/// Where a remote cluster asks the injector for the proxies of another, and how.
fn wrong_injection(mesh: &Mesh, remote: &Cluster) -> Option<(Span, String)> {
    if injects_itself(remote) || is_open(remote, "injection") {
        return None;
    }
    let path = told(remote, |v| {
        v.istiod_remote.injection_url.as_ref().or(v.istiod_remote.injection_path.as_ref())
    });
    let path = path.or_else(|| by_webhook(mesh, remote));
    match path {
        Some(path) if is_placeholder(path) => None,
        Some(path) => Some((path.span, wrong_path(mesh, remote, path)?)),
        // An external control plane calls itself as its config cluster is called.
        None if remote.hosted_in.is_some() => None,
        None => {
            let plane = control_plane(remote).filter(|_| whole(mesh, remote).is_some())?;
            Some((plane.at(), "no `istiodRemote.injectionPath`: it is `/inject`".to_owned()))
        }
    }
}

/// The path or URL in a webhook of Istio's injector, where a remote cluster has the webhook as it is applied.
fn by_webhook<'m>(mesh: &'m Mesh, remote: &Cluster) -> Option<&'m Text> {
    let is_of_istio = |hook: &&Webhook| {
        hook.name.as_ref().is_some_and(|name| name.ends_with("sidecar-injector.istio.io"))
    };
    let mut workloads = mesh.workloads.of_cluster(remote.id).iter();
    if workloads.any(|w| w.template.spec.containers.iter().any(|c| c.name == "discovery")) {
        return None;
    }
    let own = mesh.webhooks.of_cluster(remote.id).iter().filter(|w| !mesh.is_assumed(&w.meta));
    own.flat_map(|w| w.webhooks.iter().filter(is_of_istio)).find_map(|hook| {
        let service = hook.client_config.service.as_ref();
        hook.client_config.url.as_ref().or(service.and_then(|s| s.path.as_ref()))
    })
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
    if let Some(named) = named.filter(|named| !may_be(named, &cluster)) {
        return Some(format!("it says cluster `{cluster}`, and the installation `{named}`"));
    }
    let network =
        told(remote, |v| v.global.network.as_ref()).filter(|n| !n.is_empty() && !is_placeholder(n));
    match (value("net"), network) {
        (Some(net), Some(told)) if !may_be(&net, told) => {
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
            finding
                .milder(Severity::Warning, ", unless `istiodRemote.injectionURL` is set elsewhere");
        }
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
            finding.milder(Severity::Warning, ", unless what stands before istiod sees to it");
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

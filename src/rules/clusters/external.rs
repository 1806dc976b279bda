//! Control planes that run in another cluster than the one whose configuration they read.

use std::collections::BTreeSet;

use super::installs::{hosted, served};
use crate::access::{Access, Entry, Label, Remote};
use crate::clusters::{Cluster, ClusterId, Installed, Origin, SECRET_WATCHER};
use crate::finding::{Findings, Severity};
use crate::kinds::kubeconfig::CONFIG_SECRET;
use crate::kinds::{Meta, is_placeholder};
use crate::mesh::{HostPattern, In, Mesh, without_namespace};
use crate::source::{Span, Text};

/// An external control plane: the cluster it reads, the one it runs in, and its namespace there.
struct Hosted<'m> {
    config: &'m Cluster,
    host: &'m Cluster,
    namespace: &'m str,
}

fn external(mesh: &Mesh) -> impl Iterator<Item = Hosted<'_>> {
    hosted(mesh).filter_map(|(config, host)| {
        Some(Hosted { config, host, namespace: config.hosted_namespace()? })
    })
}

pub(super) fn external_cp_cluster_id(mesh: &Mesh, found: &mut Findings) {
    for Hosted { config, host, namespace } in external(mesh) {
        let other = config.facts.system_namespace.iter().map(|fact| &fact.value);
        let mut other = other.filter(|told| !told.span.is_empty() && told.as_str() != namespace);
        let Some(told) = other.next() else { continue };
        found
            .say(
                format!(
                    "istiod for `{0}` runs in `{namespace}` of `{1}`, and `{0}` is installed in `{told}`",
                    config.name, host.name
                ),
                told.span,
                format!("istiod looks for what it needs in `{namespace}` of `{}`", config.name),
            )
            .help(format!("install `{}` in namespace `{namespace}` too", config.name));
    }
    for Hosted { config, host, .. } in external(mesh) {
        let facts = &config.facts.name;
        let written = facts.iter().find(|f| f.origin == Origin::Istiod).map(|f| &f.value);
        let mut planes = config.facts.installs.iter().filter(|install| install.is_hosted);
        let Some(name) = planes.find_map(Installed::cluster_name).or(written) else { continue };
        let mut own = facts.iter().map(|fact| &fact.value).filter(|own| *own != name);
        let told: Vec<Span> = names_of_hosted(config).collect();
        let mut known = facts.iter().filter(|f| f.value == *name && f.value.span != name.span);
        let is_known = known.any(|fact| !told.contains(&fact.value.span));
        let Some(own) = own.next().filter(|_| !is_placeholder(name) && !is_known) else {
            continue;
        };
        found
            .say(
                format!(
                    "istiod in `{}` calls the cluster it reads `{name}`, which calls itself `{own}`",
                    host.name
                ),
                name.span,
                format!("it does not know `{own}`: proxies of that name get no certificates"),
            )
            .also(own.span, format!("the name that pods of `{}` carry", config.name))
            .help(format!("set `CLUSTER_ID` of the external istiod to `{own}`"));
    }
}

/// Where the texts that install a cluster's external control plane name the cluster, as values and as
/// `CLUSTER_ID`.
fn names_of_hosted(config: &Cluster) -> impl Iterator<Item = Span> {
    let planes = config.facts.installs.iter().filter(|install| install.is_hosted);
    let names = planes.flat_map(|plane| {
        [plane.cluster_name(), plane.values().global.multi_cluster.cluster_name.as_ref()]
    });
    names.flatten().map(|name| name.span)
}

impl Hosted<'_> {
    /// Whether an object of a cluster and namespace is one that may be meant for it.
    fn may_read(&self, cluster: ClusterId, namespace: &str) -> bool {
        [self.config.id, self.host.id].contains(&cluster) && namespace == self.namespace
    }

    /// A Secret beside it that has a kubeconfig's key, and another name.
    fn misnamed(&self, mesh: &Mesh) -> Option<Span> {
        let plain = mesh.secrets.iter().filter(|s| self.may_read(s.cluster, &s.namespace));
        let mut plain = plain.filter(|s| {
            let mut keys = s.data.iter().chain(&s.string_data).map(|(key, _)| key);
            keys.any(|key| key.as_str() == "config")
        });
        let made = mesh.opaque_secrets.iter();
        let made = made.filter(|s| self.may_read(s.cluster, &s.namespace));
        let mut made = made.filter(|s| s.keys().any(|key| key.as_str() == "config"));
        plain.next().map(In::named_at).or_else(|| made.next().map(In::named_at))
    }

    /// Whether a text is applied in the cluster where it runs.
    fn is_of_host(&self, meta: &Meta) -> bool {
        meta.file.is_some_and(|file| self.host.files.contains(&file))
    }

    /// Whether a remote secret is meant for it. One for its own cluster was meant to be its kubeconfig.
    fn is_meant_to_read(&self, remote: &Remote<'_>) -> bool {
        let is_own = |entry: &Entry<'_>| self.config.is_called(entry.key.as_str());
        self.may_read(remote.holder, remote.namespace)
            && remote.label == Label::Right
            && !remote.entries.iter().any(is_own)
    }

    /// Whether a remote secret is in the cluster where it runs.
    fn is_in_host(&self, remote: &Remote<'_>) -> bool {
        remote.holder == self.host.id || self.is_of_host(remote.meta)
    }

    /// Whether its kubeconfig would be in the input, and nothing there makes it.
    fn lacks_kubeconfig(&self, mesh: &Mesh) -> bool {
        let ids = [self.config.id, self.host.id];
        let makes = |id: &ClusterId| mesh.has_opaque_secret(*id, self.namespace, CONFIG_SECRET);
        let mut plain = mesh.secrets.iter().filter(|s| self.may_read(s.cluster, &s.namespace));
        let made = mesh.opaque_secrets.iter();
        let mut made = made.filter(|s| self.may_read(s.cluster, &s.namespace));
        let is_told = self.host.is_complete()
            || plain.any(|s| self.is_of_host(&s.meta))
            || made.any(|s| self.is_of_host(&s.meta));
        is_told && !ids.iter().any(makes)
    }
}

pub(super) fn external_cp_kubeconfig_missing(access: &Access<'_>, found: &mut Findings) {
    let mesh = access.mesh();
    for it in external(mesh) {
        let mut plain = mesh.secrets.iter().filter(|s| it.may_read(s.cluster, &s.namespace));
        if let Some(secret) = plain.find(|s| s.name() == CONFIG_SECRET) {
            let mut keys = secret.data.iter().chain(&secret.string_data).map(|(key, _)| key);
            let has_none = keys.clone().all(|key| key.as_str() != "config");
            if let Some(key) = keys.next().filter(|_| has_none && !mesh.is_assumed(&secret.meta)) {
                let message =
                    format!("Secret `{CONFIG_SECRET}` of `{}` has no key `config`", it.host.name);
                found.say(message, key.span, no_kubeconfig(&it)).help(HELP);
            }
        } else if it.lacks_kubeconfig(mesh) {
            say_no_kubeconfig(access, &it, found);
        }
    }
}

fn say_no_kubeconfig(access: &Access<'_>, it: &Hosted<'_>, found: &mut Findings) {
    let Some(name) = it.config.istio_name() else { return };
    let finding = found.say(
        format!("istiod in `{}` has no kubeconfig for `{name}`", it.host.name),
        plane_at(it).unwrap_or(name.span),
        no_kubeconfig(it),
    );
    // The other sort of Secret that `istioctl` makes.
    let is_other = |r: &&Remote<'_>| {
        it.may_read(r.holder, r.namespace)
            && r.entries.iter().any(|e| e.key.as_str() == name.as_str())
    };
    if let Some(other) = access.remotes().iter().find(is_other) {
        finding.also(other.at, "made for reading a further cluster, and not for this");
    } else if let Some(at) = it.misnamed(access.mesh()) {
        finding.also(at, format!("has a key `config`, and is not called `{CONFIG_SECRET}`"));
    }
    finding.help(HELP);
    if !it.host.is_complete() {
        finding.milder(Severity::Warning, ", unless it is made by hand");
    }
}

const HELP: &str = "make it with `istioctl create-remote-secret --type=config --service-account=istiod`, in the \
                    namespace of the external istiod";

fn no_kubeconfig(it: &Hosted<'_>) -> String {
    format!(
        "istiod reads `{CONFIG_SECRET}`, key `config`, in `{}`: without it, it reads `{}` itself",
        it.namespace, it.host.name
    )
}

/// Where the external control plane is installed.
fn plane_at(it: &Hosted<'_>) -> Option<Span> {
    let is_hosted = |install: &&Installed| {
        let file = install.meta.as_ref().and_then(|meta| meta.file);
        file.is_some_and(|file| it.host.files.contains(&file) && !it.config.files.contains(&file))
    };
    it.config.facts.installs.iter().find(is_hosted).map(Installed::at)
}

pub(super) fn external_cp_secret_in_wrong_cluster(access: &Access<'_>, found: &mut Findings) {
    let mesh = access.mesh();
    for it in external(mesh) {
        let told = it.config.facts.istiod_env(SECRET_WATCHER);
        // Of an istiod that is not in the input nobody knows where it looks.
        let is_installed = !it.config.facts.istiod_env.is_empty();
        if !is_installed || told.is_some_and(|told| told.is_empty() || is_placeholder(told)) {
            continue;
        }
        let watches_host = it.config.remote_secrets_in() == it.host.id;
        let is_wrong = |remote: &&Remote<'_>| {
            it.is_meant_to_read(remote)
                && it.is_in_host(remote) != watches_host
                && !mesh.is_assumed(remote.meta)
        };
        let wrong: Vec<&Remote<'_>> = access.remotes().iter().filter(is_wrong).collect();
        let [first, more @ ..] = wrong.as_slice() else { continue };
        let (lies, looks) = if watches_host { (it.config, it.host) } else { (it.host, it.config) };
        let finding = found.say(
            format!(
                "remote secret `{}` is in `{}`, and istiod for `{}` looks for it in `{}`",
                first.name(),
                lies.name,
                it.config.name,
                looks.name
            ),
            first.at,
            "nobody reads it: services of that cluster are not seen, and its pods get no certificates",
        );
        for other in more {
            finding.also(other.at, "nor this");
        }
        if let Some(told) = told {
            finding.also(told.span, format!("`{SECRET_WATCHER}`"));
        }
        finding.help(format!(
            "move it to `{}`, or set `{SECRET_WATCHER}: \"{}\"`",
            looks.name, !watches_host
        ));
    }
}

/// A name by which a cluster asks a control plane that runs elsewhere, and the port.
struct Address<'m> {
    host: &'m str,
    port: u32,
    at: Span,
}

/// `host:port`, or a URL with them.
fn parts(text: &Text) -> Option<Address<'_>> {
    let rest = text.strip_prefix("https://").unwrap_or(text);
    let (host, port) = rest.split('/').next()?.rsplit_once(':')?;
    let is_name = host.contains('.') && !crate::api::is_ip(host) && !is_placeholder(text);
    is_name.then_some(Address { host, port: port.parse().ok()?, at: text.span })
}

fn addresses(cluster: &Cluster) -> Vec<Address<'_>> {
    let values = || cluster.facts.installs.iter().map(Installed::values);
    let ca = values().filter_map(|v| v.global.ca_address.as_ref());
    let injector = values().filter_map(|v| v.istiod_remote.injection_url.as_ref());
    // Within the cluster, a Service leads to it, and the name that is asked for is that of the Service.
    let inside = ["svc", "local"];
    let outside =
        |a: &Address<'_>| a.host.rsplit('.').next().is_none_or(|end| !inside.contains(&end));
    cluster
        .facts
        .discovery_addresses()
        .chain(ca)
        .chain(injector)
        .filter_map(parts)
        .filter(outside)
        .collect()
}

/// Hosts that Gateways of a cluster take at a port; none where nothing takes it, or all hosts are taken.
fn taken<'m>(mesh: &'m Mesh, cluster: &Cluster, port: u32) -> Option<Vec<&'m Text>> {
    let mut of_api = mesh.api_gateways.of_cluster(cluster.id).iter();
    let takes =
        |number: Option<&crate::source::Spanned<u32>>| number.is_some_and(|n| n.value == port);
    let gateways = mesh.gateways.of_cluster(cluster.id).iter();
    let servers = gateways.flat_map(|g| g.servers.iter().map(move |s| (g, s)));
    let servers: Vec<_> = servers.filter(|(_, s)| s.port_number() == port).collect();
    let unsure = of_api.any(|g| g.listeners.iter().any(|l| takes(l.port.as_ref())))
        || servers.iter().any(|(g, s)| mesh.is_assumed(&g.meta) || s.hosts.is_empty());
    let hosts: Vec<&Text> = servers.into_iter().flat_map(|(_, s)| &s.hosts).collect();
    let is_open = hosts.iter().any(|host| is_placeholder(host));
    (!hosts.is_empty() && !unsure && !is_open).then_some(hosts)
}

fn matches(pattern: &str, host: &str) -> bool {
    HostPattern(&without_namespace(pattern).to_ascii_lowercase())
        .matches(&host.to_ascii_lowercase())
}

pub(super) fn external_cp_address_mismatch(mesh: &Mesh, found: &mut Findings) {
    let mut said: BTreeSet<Span> = BTreeSet::new();
    let own = external(mesh).map(|it| (it.config, it.config));
    let all: Vec<(&Cluster, &Cluster)> = own.chain(served(mesh)).collect();
    for (cluster, plane) in all {
        let opens = mesh.cluster(plane.hosted_in.unwrap_or(plane.id));
        for address in addresses(cluster) {
            let Some(hosts) = taken(mesh, opens, address.port) else { continue };
            let fits = hosts.iter().any(|host| matches(host, address.host));
            if fits || !said.insert(address.at) {
                continue;
            }
            found
                .say(
                    format!(
                        "`{}` asks for its control plane as `{}`, which no Gateway of `{}` takes",
                        cluster.name, address.host, opens.name
                    ),
                    address.at,
                    format!("at port {} the connection is reset: no server has this name", address.port),
                )
                .also(hosts[0].span, format!("what `{}` takes there", opens.name))
                .help("use one name in `discoveryAddress`, `caAddress`, `injectionURL` and the Gateway before istiod");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{matches, parts};
    use crate::source::{Span, Text};

    #[test]
    fn addresses_are_names_with_ports() {
        let read = |text: &str| {
            let text = Text::new(text.to_owned(), Span::default());
            parts(&text).map(|a| (a.host.to_owned(), a.port))
        };
        let istiod = || Some(("istiod.example.com".to_owned(), 15012));
        assert_eq!(read("istiod.example.com:15012"), istiod());
        assert_eq!(read("https://istiod.example.com:15012/inject/cluster/a"), istiod());
        assert_eq!(read("10.0.0.1:15012"), None);
        assert_eq!(read("istiod.example.com"), None);
        assert_eq!(read("${ISTIOD}.example.com:15012"), None);
    }

    #[test]
    fn hosts_of_gateways_may_name_a_namespace() {
        assert!(matches("*/istiod.example.com", "istiod.example.com"));
        assert!(matches("*.example.com", "ISTIOD.example.com"));
        assert!(matches("*", "istiod.example.com"));
        assert!(!matches("istiod.example.org", "istiod.example.com"));
    }
}

//! Providers of telemetry that the mesh's configuration defines.

use std::collections::BTreeSet;

use crate::clusters::ClusterId;
use crate::finding::{Finding, Findings, Severity};
use crate::kinds::control_plane::{ExtensionProvider, ProviderAddress};
use crate::kinds::{Meta, is_placeholder};
use crate::mesh::{Lookup, Mesh, Named as Host, list, value};
use crate::source::Text;

pub(super) fn lightstep_provider(mesh: &Mesh, found: &mut Findings) {
    for telemetry in &mesh.telemetries {
        let Lookup::Found(plane) = mesh.config_cluster(telemetry.cluster) else { continue };
        let configs = &mesh.cluster(plane).facts.mesh_config;
        let lightstep = |provider: &&ExtensionProvider| provider.lightstep.is_some();
        let defined = configs.iter().flat_map(|c| &c.extension_providers).filter(lightstep);
        let defined: Vec<_> = defined.filter_map(|provider| provider.name.as_ref()).collect();
        let used = telemetry.tracing.iter().flat_map(|entry| &entry.providers);
        for name in used.filter_map(|provider| provider.name.as_ref()) {
            let Some(provider) = defined.iter().find(|d| d.value == name.value) else { continue };
            found
                .say(
                    format!(
                        "traces go to provider `{name}` of type `lightstep`, which is deprecated"
                    ),
                    name.span,
                    "Envoy has no tracer for it any more: it is served as OpenTelemetry",
                )
                .also(provider.span, "defined here")
                .help("define it as `opentelemetry`, with the address of its collector");
        }
    }
}

/// Providers that MeshConfig has by itself. Source: `DefaultMeshConfig` of Istio.
const BUILT_IN: [&str; 3] = ["envoy", "prometheus", "stackdriver"];

/// A provider that a policy, a Telemetry or MeshConfig itself names.
struct Named<'m> {
    cluster: ClusterId,
    by: String,
    name: &'m Text,
    /// Whether it is to decide on requests, and not only to hear of them.
    decides: bool,
}

impl Named<'_> {
    /// Makes a finding milder where requests go on without the provider.
    fn weigh(&self, finding: &mut Finding) {
        if !self.decides {
            finding.milder(Severity::Warning, ", and goes without it");
        }
    }
}

fn named(mesh: &Mesh) -> impl Iterator<Item = Named<'_>> {
    let is_read = |cluster, meta: &Meta| mesh.is_read_in(cluster) && !mesh.is_assumed(meta);
    let called = |meta: &Meta| format!("{} `{}`", meta.kind, meta.name);
    let policies = mesh.authorization_policies.iter().filter(move |p| is_read(p.cluster, &p.meta));
    let custom = policies.filter_map(move |policy| {
        let name = policy.provider.as_ref()?.name.as_ref()?;
        let decides = value(policy.action.as_ref()) == Some("CUSTOM");
        let (cluster, by) = (policy.cluster, called(&policy.meta));
        decides.then_some(Named { cluster, by, name, decides })
    });
    let telemetries = mesh.telemetries.iter().filter(move |t| is_read(t.cluster, &t.meta));
    let heard = telemetries.flat_map(move |it| {
        let all = it.tracing.iter().chain(&it.access_logging).chain(&it.metrics);
        let names = all.flat_map(|entry| &entry.providers).filter_map(|p| p.name.as_ref());
        let (cluster, by) = (it.cluster, called(&it.meta));
        names.map(move |name| Named { cluster, by: by.clone(), name, decides: false })
    });
    let planes = mesh.clusters().iter().filter(|c| mesh.is_read_in(c.id));
    let by_default = planes.flat_map(|cluster| {
        let defaults = cluster.facts.mesh_config.iter().map(|config| &config.default_providers);
        let names =
            defaults.flat_map(|it| it.access_logging.iter().chain(&it.metrics).chain(&it.tracing));
        let by = || "`defaultProviders`".to_owned();
        names.map(move |name| Named { cluster: cluster.id, by: by(), name, decides: false })
    });
    custom.chain(heard).chain(by_default).filter(|named| !named.name.is_empty())
}

/// What the control plane of a cluster defines; none where that may be outside of the input.
fn defined(mesh: &Mesh, plane: ClusterId) -> Vec<&str> {
    let all = mesh.mesh_configs(plane).flat_map(|config| &config.extension_providers);
    let names: Vec<&str> = all.filter_map(|provider| value(provider.name.as_ref())).collect();
    if names.iter().any(|name| is_placeholder(name)) { Vec::new() } else { names }
}

pub(super) fn unknown_provider(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for named in named(mesh) {
        let Named { cluster, by, name, decides } = &named;
        let known = defined(mesh, *cluster);
        let is_there =
            known.is_empty() || known.iter().chain(&BUILT_IN).any(|it| *it == name.as_str());
        if is_there || is_placeholder(name) {
            continue;
        }
        let nearest = match Lookup::<()>::absent(name, known) {
            Lookup::Absent { nearest } => nearest,
            _ => None,
        };
        let is_sure = nearest.is_some() || mesh.cluster(*cluster).is_complete();
        if !is_sure || !told.insert(name.span) {
            continue;
        }
        let effect = if *decides {
            "not defined: istiod denies what the rules fit"
        } else {
            "not defined: nothing is sent there"
        };
        let message = format!("{by} names provider `{name}`, which MeshConfig does not define");
        let finding = found.say(message, name.span, effect);
        named.weigh(finding);
        finding.help(match nearest {
            Some(nearest) => format!("`{nearest}` may be meant"),
            None => "correct the name, or define it in `extensionProviders`".to_owned(),
        });
    }
}

/// The provider that is meant.
fn meant<'m>(mesh: &'m Mesh, named: &Named<'_>) -> Option<&'m ExtensionProvider> {
    let mut all = mesh.mesh_configs(named.cluster).flat_map(|config| &config.extension_providers);
    all.find(|it| value(it.name.as_ref()) == Some(named.name.as_str()))
}

pub(super) fn provider_of_other_kind(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for named in named(mesh) {
        let Some(provider) = meant(mesh, &named) else { continue };
        let wrong = if named.decides { provider.collector() } else { provider.authorizer() };
        if wrong.is_none() || !told.insert(named.name.span) {
            continue;
        }
        let (what, effect, help) = if named.decides {
            (
                "only hears of requests",
                "no external authorizer: istiod denies what the rules fit",
                "name a provider with `envoyExtAuthzGrpc` or `envoyExtAuthzHttp`",
            )
        } else {
            (
                "decides on requests",
                "an external authorizer: nothing is sent there",
                "name a provider for traces, metrics or access logs",
            )
        };
        let message = format!("{} names provider `{}`, which {what}", named.by, named.name);
        let finding = found.say(message, named.name.span, effect);
        if let Some(at) = &provider.name {
            finding.also(at.span, "defined here");
        }
        named.weigh(finding);
        finding.help(help);
    }
}

/// Source: `LookupCluster` of `pilot/pkg/model/telemetry_logging.go`; a port is not looked for there, and Envoy
/// has no cluster for one that the host lacks.
pub(super) fn provider_service_missing(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for named in named(mesh) {
        let Some(provider) = meant(mesh, &named) else { continue };
        let kind = if named.decides { provider.authorizer() } else { provider.collector() };
        let Some(ProviderAddress { service: Some(service), port }) = kind else { continue };
        let host = service.split_once('/').map_or(service.as_str(), |(_, host)| host);
        let (at, message, help) = match mesh.named_in_full(host, named.cluster, None, None) {
            Host::Absent { nearest } => {
                let help = match nearest {
                    Some(nearest) => format!("write `{nearest}`"),
                    None => "correct the name, which has to be a full one, or define the host"
                        .to_owned(),
                };
                let message = format!(
                    "provider `{}` is at `{host}`, which is no host of the mesh",
                    named.name
                );
                (service.span, message, help)
            }
            Host::Seen(known) if !known.is_assumed(mesh) => {
                let (Some(port), Some(ports)) = (port, known.ports()) else { continue };
                let ports: BTreeSet<u32> = ports.concat().into_iter().collect();
                if ports.contains(&port.value) || ports.is_empty() {
                    continue;
                }
                let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
                let help = format!("its ports are {}", list(ports.iter().map(String::as_str)));
                let message = format!(
                    "provider `{}` is at port {port} of `{host}`, which has no such port",
                    named.name
                );
                (port.span, message, help)
            }
            _ => continue,
        };
        if !told.insert(at) {
            continue;
        }
        let effect = if named.decides {
            "nobody is there to decide: what the rules fit is denied"
        } else {
            "nobody is there: nothing is sent"
        };
        let finding = found.say(message, at, effect);
        finding.also(named.name.span, "asked for here").help(help);
        if !named.decides {
            finding.lower(Severity::Warning);
        }
    }
}

//! Providers of telemetry that the mesh's configuration defines.

use std::collections::BTreeSet;

use crate::clusters::ClusterId;
use crate::finding::{Findings, Severity};
use crate::kinds::control_plane::ExtensionProvider;
use crate::kinds::{Meta, is_placeholder};
use crate::mesh::{Lookup, Mesh, value};
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

/// A provider that a policy or a Telemetry names.
struct Named<'m> {
    cluster: ClusterId,
    meta: &'m Meta,
    name: &'m Text,
    /// Whether it is to decide on requests, and not only to hear of them.
    decides: bool,
}

fn named(mesh: &Mesh) -> impl Iterator<Item = Named<'_>> {
    let custom = mesh.authorization_policies.iter().filter_map(|policy| {
        let name = policy.provider.as_ref()?.name.as_ref()?;
        let decides = value(policy.action.as_ref()) == Some("CUSTOM");
        decides.then_some(Named { cluster: policy.cluster, meta: &policy.meta, name, decides })
    });
    let heard = mesh.telemetries.iter().flat_map(|it| {
        let all = it.tracing.iter().chain(&it.access_logging).chain(&it.metrics);
        let names = all.flat_map(|entry| &entry.providers).filter_map(|p| p.name.as_ref());
        names.map(|name| Named { cluster: it.cluster, meta: &it.meta, name, decides: false })
    });
    custom.chain(heard).filter(|named| {
        mesh.is_read_in(named.cluster) && !mesh.is_assumed(named.meta) && !named.name.is_empty()
    })
}

/// What the control plane of a cluster defines; none where that may be outside of the input.
fn defined(mesh: &Mesh, plane: ClusterId) -> Vec<&str> {
    let all = mesh.mesh_configs(plane).flat_map(|config| &config.extension_providers);
    let names: Vec<&str> = all.filter_map(|provider| value(provider.name.as_ref())).collect();
    if names.iter().any(|name| is_placeholder(name)) { Vec::new() } else { names }
}

pub(super) fn unknown_provider(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for Named { cluster, meta, name, decides } in named(mesh) {
        let known = defined(mesh, cluster);
        let is_there =
            known.is_empty() || known.iter().chain(&BUILT_IN).any(|it| *it == name.as_str());
        if is_there || is_placeholder(name) {
            continue;
        }
        let nearest = match Lookup::<()>::absent(name, known) {
            Lookup::Absent { nearest } => nearest,
            _ => None,
        };
        let is_sure = nearest.is_some() || mesh.cluster(cluster).is_complete();
        if !is_sure || !told.insert(name.span) {
            continue;
        }
        let effect = if decides {
            "not defined: istiod denies what the rules fit"
        } else {
            "not defined: nothing is sent there"
        };
        let message = format!(
            "{} `{}` names provider `{name}`, which MeshConfig does not define",
            meta.kind, meta.name
        );
        let finding = found.say(message, name.span, effect);
        if !decides {
            finding.milder(Severity::Warning, ", and goes without it");
        }
        finding.help(match nearest {
            Some(nearest) => format!("`{nearest}` may be meant"),
            None => "correct the name, or define it in `extensionProviders`".to_owned(),
        });
    }
}

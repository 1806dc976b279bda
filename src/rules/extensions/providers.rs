//! Providers of telemetry that the mesh's configuration defines.

use crate::finding::Findings;
use crate::kinds::control_plane::ExtensionProvider;
use crate::mesh::{Lookup, Mesh};

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

//! MeshConfig and MeshNetworks, which stand as texts in ConfigMaps of the control plane.

use std::collections::BTreeMap;

use super::destination_rule::{
    client_tls, connection_pool, locality_setting, outlier_detection, zone_setting,
};
use super::duration::{self, MILLISECOND, SECOND};
use super::fault::{Cause, Fault, Faults};
use super::formats::PORTS;
use super::hosts::{is_dns_label, is_host, is_wildcard_domain};
use super::http::is_status_of_envoy;
use super::look::{Look, known_number, known_text};
use super::table::Version;
use super::urls::is_absolute_path;
use super::virtual_service::retry;
use super::walk::{Reader, walk};
use crate::kinds::Meta;
use crate::yaml::{Shape, Value};

/// Whether istiod reads a ConfigMap: `istio`, and `istio-REVISION` of a revision.
pub(super) fn is_read(meta: &Meta) -> bool {
    meta.name.as_str() == "istio" || meta.name.starts_with("istio-")
}

/// What is wrong with the texts of a ConfigMap.
pub(super) fn check(root: Value<'_>, runs: Option<Version>) -> Vec<Fault> {
    let mut found = Vec::new();
    for (key, block, prefix) in [
        ("mesh", "MeshConfig", "data.mesh: "),
        ("meshNetworks", "MeshNetworks", "data.meshNetworks: "),
    ] {
        let Some(text) = root.at(&["data", key]) else { continue };
        for document in text.embedded().documents.iter().take(1) {
            let config = document.root();
            let mut faults = Faults::within(config, prefix, runs);
            walk(config, block, Reader::Istiod, &mut faults);
            match key {
                "mesh" if config.shape() == Shape::Mapping => mesh_config(config, &mut faults),
                _ => mesh_networks(config, &mut faults),
            }
            found.extend(faults.into_vec());
        }
    }
    found
}

pub(super) fn mesh_config(mesh: Value<'_>, faults: &mut Faults<'_>) {
    times(mesh, faults);
    if let Some(setting) = mesh.field("localityLbSetting") {
        locality_setting(setting, faults);
    }
    if let Some(setting) = mesh.field("zoneAwareLbSetting") {
        zone_setting(setting, faults);
    }
    if let Some(curves) = mesh.field("meshMTLS").and_then(|it| it.set("ecdhCurves")) {
        let help = "leave it out: within the mesh the curves are fixed";
        faults.invalid(curves, "cannot be chosen for the mesh's own TLS", help);
    }
    curves(mesh, faults);
    if let Some(policy) = mesh.field("defaultTrafficPolicy") {
        if let Some(pool) = policy.field("connectionPool") {
            connection_pool(pool, faults);
        }
        if let Some(outlier) = policy.field("outlierDetection") {
            outlier_detection(outlier, faults);
        }
    }
    if let Some(retries) = mesh.field("defaultInboundHttpRetryPolicy") {
        retry(retries, faults);
        let without = retries.number_or_zero("attempts") == Some(0);
        if let Some(backoff) = retries.field("backoff").filter(|_| without) {
            faults.invalid(backoff, "is set although there are no attempts", "set `attempts`");
        }
        for key in ["perTryTimeout", "retryRemoteLocalities", "retryIgnorePreviousHosts"] {
            if let Some(value) = retries.field(key) {
                faults.ignored(value, "has no effect on inbound traffic", "leave it out");
            }
        }
    }
    extension_providers(mesh, faults);
    match mesh.get("defaultConfig") {
        Some(config) if config.shape() == Shape::Mapping => proxy_config(config, faults),
        _ => {}
    }
}

/// Durations that are held to more than the table says.
fn times(mesh: Value<'_>, faults: &mut Faults<'_>) {
    let time = |key: &str| {
        let value = mesh.field(key)?;
        Some((value, duration::nanoseconds(&known_text(value)?)?))
    };
    if let Some((value, _)) = time("connectTimeout").filter(|(_, it)| *it > 3600 * SECOND) {
        faults.invalid(value, "is longer than an hour", "write 1ms to 1h");
    }
    if let Some((value, _)) =
        time("protocolDetectionTimeout").filter(|(_, it)| it % MILLISECOND != 0 || *it < 0)
    {
        faults.invalid(value, "is no whole number of milliseconds", "round it");
    }
}

fn curves(mesh: Value<'_>, faults: &mut Faults<'_>) {
    const KNOWN: &[&str] = &[
        "",
        "P-224",
        "P-256",
        "P-384",
        "P-521",
        "X25519",
        "X25519Kyber768Draft00",
        "X25519MLKEM768",
    ];
    let mut seen = BTreeMap::new();
    for value in mesh.field("tlsDefaults").into_iter().flat_map(|it| it.list("ecdhCurves")) {
        let Some(curve) = known_text(value) else { continue };
        if !KNOWN.contains(&&*curve) {
            let help = "write one such as `P-256` or `X25519`";
            faults.ignored(value, "is a curve that Envoy does not know", help);
        } else if let Some(there) = seen.insert(curve, value.span()) {
            let help = "leave one of them out";
            faults.ignored(value, "stands in the list twice", help).also = Some((there, "here"));
        }
    }
}

/// istiod only writes to its log what is wrong with a provider, and does without it.
fn extension_providers(mesh: Value<'_>, faults: &mut Faults<'_>) {
    let mut names = BTreeMap::new();
    for provider in mesh.list("extensionProviders").filter(|it| it.shape() == Shape::Mapping) {
        match provider.field("name") {
            None => mild(faults.missing(provider, "name", "name the provider")),
            Some(value) => {
                let Some(name) = known_text(value) else { continue };
                if let Some(there) = names.insert(name, value.span()) {
                    let help = "give each provider its own name";
                    faults.ignored(value, "is the name of another provider too", help).also =
                        Some((there, "here"));
                }
            }
        }
        provider_kind(provider, faults);
        if let Some(http) = provider.field("opentelemetry")
            && let (Some(grpc), Some(http)) = (http.field("grpc"), http.field("http"))
        {
            let help = "keep either `grpc` or `http`";
            faults.ignored(grpc, "stands beside `http`, which excludes it", help).also =
                Some((http.span(), "this excludes it"));
        }
        let prefix = provider.field("envoyExtAuthzHttp").and_then(|it| it.field("pathPrefix"));
        if let Some(value) = prefix
            && known_text(value).is_some_and(|it| !it.is_empty() && !is_absolute_path(&it))
        {
            faults.ignored(value, "is not a path from the root", "begin with `/`");
        }
    }
}

/// What a provider is, and where it is reached.
fn provider_kind(provider: Value<'_>, faults: &mut Faults<'_>) {
    let is_kind = |key: Value<'_>| key.text().is_none_or(|it| it != "name");
    let mut kinds = provider.entries().filter(|(key, _)| is_kind(*key)).peekable();
    if kinds.peek().is_none() {
        let help = "say what it is, such as `envoyExtAuthzGrpc`, `opentelemetry` or `prometheus`";
        faults.ignored(provider, "is a provider of no kind, and istiod does without it", help);
    }
    for (key, settings) in kinds.filter(|(_, settings)| settings.shape() == Shape::Mapping) {
        match key.text().as_deref() {
            Some("prometheus" | "stackdriver" | "envoyFileAccessLog") => {}
            Some("sds") => {
                let help = "leave it out: Telemetry and policies cannot name it";
                faults.ignored(key, "is a kind of provider that istiod does not support", help);
            }
            Some("lightstep") if !settings.has("accessToken") => {
                mild(faults.missing(settings, "accessToken", "add the token of the collector"));
                service(settings, faults);
            }
            _ => service(settings, faults),
        }
        status_on_error(settings, faults);
    }
}

/// What Envoy answers where the authorizer does not; it knows statuses by number.
fn status_on_error(settings: Value<'_>, faults: &mut Faults<'_>) {
    let Some(value) = settings.field("statusOnError") else { return };
    let Some(text) = known_text(value).filter(|it| !it.is_empty()) else { return };
    if !text.parse::<u16>().is_ok_and(is_status_of_envoy) {
        let help = "write the number of a status in quotes, such as `\"503\"`";
        faults.ignored(value, "is no status that Envoy knows", help);
    }
}

fn mild(fault: &mut Fault) {
    fault.cause = Cause::Ignored;
}

fn service(settings: Value<'_>, faults: &mut Faults<'_>) {
    let Some(value) = settings.field("service") else { return };
    let Some(text) = known_text(value) else { return };
    let is_service = match text.split_once('/') {
        Some((namespace, host)) => {
            is_dns_label(namespace) && host.contains('.') && is_wildcard_domain(host)
        }
        None => is_host(&text),
    };
    if !is_service {
        let help = "write a host in full, or `namespace/host`";
        faults.ignored(value, "is not a service", help);
    }
    match settings.field("port") {
        Some(port) if known_number(port).is_some_and(|it| !PORTS.contains(&it)) => {
            faults.ignored(port, "is not a port", "write 1 to 65535");
        }
        None => mild(faults.missing(settings, "port", "say on which port it listens")),
        Some(_) => {}
    }
}

pub(super) fn proxy_config(config: Value<'_>, faults: &mut Faults<'_>) {
    if let Some(settings) = config.field("tracing") {
        tracing(settings, faults);
    }
    if let Some(provider) = config.field("privateKeyProvider") {
        private_key_provider(provider, faults);
    }
    if let Some(value) =
        config.field("proxyMetadata").and_then(|it| it.field("ISTIO_META_DNS_AUTO_ALLOCATE"))
    {
        let help = "leave it out: addresses are allocated by istiod now";
        faults.say(Cause::Deprecated, value, "is deprecated", help);
    }
    let settings = config.field("connectionSettings");
    for (key, value) in settings.into_iter().flat_map(Value::entries) {
        let is_time = key.text().is_some_and(|it| it.starts_with("http"));
        if is_time
            && known_text(value).and_then(|it| duration::nanoseconds(&it)).is_some_and(|it| it < 0)
        {
            faults.invalid(value, "is shorter than nothing", "write a duration from 0 on");
        }
    }
}

fn tracing(settings: Value<'_>, faults: &mut Faults<'_>) {
    if let Some(tls) = settings.field("tlsSettings") {
        client_tls(tls, None, faults);
    }
    for (tracer, key) in [
        ("zipkin", "address"),
        ("datadog", "address"),
        ("lightstep", "address"),
        ("lightstep", "accessToken"),
    ] {
        let tracer = settings.field(tracer).filter(|it| it.shape() == Shape::Mapping);
        if let Some(tracer) = tracer.filter(|it| it.field(key).is_none()) {
            faults.missing(tracer, key, "say where spans are sent to");
        }
    }
}

fn private_key_provider(provider: Value<'_>, faults: &mut Faults<'_>) {
    if provider.shape() == Shape::Mapping && provider.entries().next().is_none() {
        faults.missing(provider, "cryptomb", "add `cryptomb` or `qat`, or leave it out");
    }
    for kind in ["cryptomb", "qat"] {
        let settings = provider.field(kind).filter(|it| it.shape() == Shape::Mapping);
        let Some(settings) = settings else { continue };
        match settings.field("pollDelay") {
            None => {
                faults.missing(settings, "pollDelay", "add one, such as `10ms`");
            }
            Some(delay)
                if known_text(delay).and_then(|it| duration::nanoseconds(&it)) == Some(0) =>
            {
                faults.invalid(delay, "is 0", "write one such as `10ms`");
            }
            Some(_) => {}
        }
    }
}

/// What the table does not say of networks: a gateway needs a port.
fn mesh_networks(networks: Value<'_>, faults: &mut Faults<'_>) {
    let gateways = networks.map("networks").flat_map(|(_, network)| network.list("gateways"));
    for gateway in gateways.filter(|it| it.shape() == Shape::Mapping && it.field("port").is_none())
    {
        faults.missing(gateway, "port", "say on which port the gateway listens, mostly 15443");
    }
}

//! Certificates that Gateways serve: the Secrets they come from, and what these hold.

use std::collections::{BTreeMap, BTreeSet};

use super::servers::read;
use crate::clusters::ClusterId;
use crate::finding::{Findings, Severity};
use crate::kinds::core::Secret;
use crate::kinds::networking::{Gateway, Server, ServerTls};
use crate::kinds::{gateway_api, is_placeholder};
use crate::mesh::{In, Lookup, Mesh, selects, value};
use crate::source::{Span, Text};
use crate::trust::{Certificate, Fault, Pem, PrivateKey, Time, Value};

/// The names of Secrets that a server takes its certificates from.
fn names(tls: &ServerTls) -> impl Iterator<Item = &Text> {
    let passes = value(tls.mode.as_ref())
        .is_some_and(|mode| ["PASSTHROUGH", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL"].contains(&mode));
    let all = tls.credential_name.iter().chain(&tls.credential_names);
    // Others than a plain name are found elsewhere than in the gateway's namespace.
    all.filter(move |name| {
        !passes
            && !name.is_empty()
            && !name.contains('/')
            && !name.contains(':')
            && !is_placeholder(name)
    })
}

/// A name of a Secret, and where the gateway's pods look for it.
struct Wanted<'m> {
    name: &'m Text,
    /// Whether clients have to show certificates, which a CA in the Secret or beside it vouches for.
    asks_clients: bool,
    gateway: Holder<'m>,
    places: BTreeSet<(ClusterId, &'m str)>,
}

/// A Gateway, of Istio or of the Gateway API.
#[derive(Clone, Copy)]
struct Holder<'m> {
    cluster: ClusterId,
    namespace: &'m str,
    name: &'m str,
    is_of_api: bool,
}

/// Whether something else may make the Secrets of a Gateway: cert-manager does where an annotation asks for
/// it, and others are like it.
fn may_be_certified(gateway: &In<gateway_api::Gateway>) -> bool {
    gateway.meta.annotations.iter().any(|(key, _)| key.contains("cert"))
}

/// What listeners of the Gateway API take certificates from: Secrets beside the Gateway, or of a namespace
/// that the reference names.
fn of_listeners(mesh: &Mesh) -> Vec<Wanted<'_>> {
    let read = |g: &&In<gateway_api::Gateway>| {
        mesh.is_read_in(g.cluster) && !mesh.is_assumed(&g.meta) && g.has_namespace()
    };
    let mut found = Vec::new();
    for gateway in mesh.api_gateways.iter().filter(read).filter(|g| !may_be_certified(g)) {
        let (cluster, own) = (gateway.cluster, gateway.namespace.as_str());
        let holder = Holder { cluster, namespace: own, name: gateway.name(), is_of_api: true };
        let tls = gateway.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        let ends = tls.filter(|tls| value(tls.mode.as_ref()).is_none_or(|it| it == "Terminate"));
        for told in ends.flat_map(|tls| &tls.certificate_refs) {
            let namespace = value(told.namespace.as_ref()).unwrap_or(own);
            let Some(name) = told.name.as_ref().filter(|name| !name.is_empty()) else { continue };
            let open = is_placeholder(name) || is_placeholder(namespace);
            if told.certificate() == ("", "Secret") && !open {
                let places = BTreeSet::from([(cluster, namespace)]);
                found.push(Wanted { name, asks_clients: false, gateway: holder, places });
            }
        }
    }
    found
}

fn wanted(mesh: &Mesh) -> Vec<Wanted<'_>> {
    let mut found = of_listeners(mesh);
    for gateway in read(mesh).filter(|g| !g.selector.is_empty()) {
        let places: BTreeSet<_> =
            mesh.pods_of_gateway(gateway).iter().map(|p| (p.cluster, p.namespace)).collect();
        let tls = gateway.servers.iter().filter_map(|s| s.tls.as_ref());
        for tls in tls {
            let mode = value(tls.mode.as_ref()).unwrap_or_default();
            let asks_clients = ["MUTUAL", "OPTIONAL_MUTUAL"].contains(&mode)
                && tls.ca_cert_credential_name.is_none();
            let holder = Holder {
                cluster: gateway.cluster,
                namespace: &gateway.namespace,
                name: gateway.name(),
                is_of_api: false,
            };
            let all = names(tls);
            found.extend(all.map(|name| Wanted {
                name,
                asks_clients,
                gateway: holder,
                places: places.clone(),
            }));
        }
    }
    found
}

/// The Secret of a name, in a cluster and namespace.
fn secret<'m>(
    mesh: &'m Mesh,
    (cluster, namespace): (ClusterId, &str),
    name: &str,
) -> Lookup<&'m In<Secret>> {
    let near = || mesh.secrets.of_namespace(cluster, namespace);
    if let Some(found) = near().find(|s| s.name() == name) {
        return Lookup::Found(found);
    }
    let complete = mesh.cluster(cluster).is_complete();
    let of_tls = |s: &In<Secret>| value(s.kind.as_ref()) == Some("kubernetes.io/tls");
    let known = mesh.has_seen(cluster, "Secret", namespace) && near().any(of_tls);
    if mesh.has_opaque_secret(cluster, namespace, name) || !complete && !known {
        return Lookup::Unseen;
    }
    Lookup::absent(name, near().map(In::name))
}

/// The cluster from which alone istiod takes Secrets, whichever one a gateway runs in.
const ONLY_OWN: &str = "PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER";

/// The Secret of a name as istiod looks for it: in the cluster of the pods, and then in its own.
/// Source: `pilot/pkg/credentials/kube/multicluster.go`.
fn looked_up<'m>(
    mesh: &'m Mesh,
    wanted: &Wanted<'_>,
    place: (ClusterId, &str),
    name: &str,
) -> Lookup<&'m In<Secret>> {
    let config = wanted.gateway.cluster;
    let theirs = (config, place.1);
    let only_own = mesh.cluster(config).facts.istiod_env(ONLY_OWN);
    if only_own.is_some_and(|told| told.as_str() == "false") {
        return secret(mesh, theirs, name);
    }
    match secret(mesh, place, name) {
        Lookup::Absent { nearest } if config != place.0 => match secret(mesh, theirs, name) {
            Lookup::Absent { nearest: other } => Lookup::Absent { nearest: nearest.or(other) },
            there => there,
        },
        here => here,
    }
}

/// Where another cluster of the mesh has the Secret for the same gateway, if nothing of the input makes
/// one where a gateway looks for it.
fn only_elsewhere<'m>(
    mesh: &'m Mesh,
    wanted: &Wanted<'m>,
    place: (ClusterId, &str),
) -> Option<(ClusterId, Span)> {
    let (namespace, name) = (place.1, wanted.name.as_str());
    let in_cluster = |cluster: ClusterId| {
        let plain = mesh.secrets.of_namespace(cluster, namespace).find(|s| s.name() == name);
        let made = || mesh.maker_of_secret(cluster, namespace, name).map(In::named_at);
        plain.map(In::named_at).or_else(made)
    };
    let may_be = |cluster: ClusterId| {
        in_cluster(cluster).is_some() || mesh.may_have_more(cluster, "Secret", namespace)
    };
    if may_be(place.0) || may_be(wanted.gateway.cluster) {
        return None;
    }
    // Of a gateway of that name elsewhere, or of pods of this one there.
    let has_gateway = |cluster: ClusterId| {
        wanted.places.iter().any(|other| *other == (cluster, namespace))
            || mesh
                .gateways
                .of_namespace(cluster, wanted.gateway.namespace)
                .any(|g| !wanted.gateway.is_of_api && g.name() == wanted.gateway.name)
            || mesh
                .api_gateways
                .of_namespace(cluster, wanted.gateway.namespace)
                .any(|g| wanted.gateway.is_of_api && g.name() == wanted.gateway.name)
    };
    let mut others = mesh.peers(place.0).map(|c| c.id).filter(|id| has_gateway(*id));
    others.find_map(|id| Some((id, in_cluster(id)?)))
}

pub(super) fn credential_missing(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for wanted in wanted(mesh) {
        for place in &wanted.places {
            let complete = mesh.cluster(place.0).is_complete();
            // Others make Secrets by hand; a name that looks like another is a slip.
            let (nearest, elsewhere) = match looked_up(mesh, &wanted, *place, wanted.name) {
                Lookup::Absent { nearest } if complete || nearest.is_some() => (nearest, None),
                Lookup::Found(_) => continue,
                _ => match only_elsewhere(mesh, &wanted, *place) {
                    Some(elsewhere) => (None, Some(elsewhere)),
                    None => continue,
                },
            };
            if told.insert(wanted.name.span) {
                say_missing(mesh, &wanted, *place, nearest, elsewhere, found);
            }
        }
    }
}

fn say_missing(
    mesh: &Mesh,
    wanted: &Wanted<'_>,
    (cluster, namespace): (ClusterId, &str),
    nearest: Option<String>,
    elsewhere: Option<(ClusterId, Span)>,
    found: &mut Findings,
) {
    let (name, gateway) = (wanted.name, wanted.gateway.name);
    let here = if elsewhere.is_some() {
        format!("namespace `{namespace}` of `{}`", mesh.cluster_name(cluster))
    } else {
        format!("namespace `{namespace}`")
    };
    let finding = found.say(
        format!("Secret `{name}` of Gateway `{gateway}` is not in {here}"),
        name.span,
        "the gateway has no certificate: the TLS handshake fails",
    );
    if let Some((other, at)) = elsewhere {
        finding.also(at, format!("it is there in `{}`", mesh.cluster_name(other)));
    }
    if !mesh.cluster(cluster).is_complete() {
        finding.milder(Severity::Warning, ", unless it is created by hand");
    }
    finding.help(match nearest {
        Some(near) => format!("name `{near}`, which is there, or create the Secret"),
        None if wanted.gateway.is_of_api => format!("create the Secret in `{namespace}`"),
        None => format!(
            "create the Secret in `{namespace}`, the namespace of the gateway's pods; that of the Gateway does not count"
        ),
    });
}

pub(super) fn client_ca_missing(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for wanted in wanted(mesh).into_iter().filter(|wanted| wanted.asks_clients) {
        for place in wanted.places.iter().filter(|place| mesh.cluster(place.0).is_complete()) {
            let Lookup::Found(own) = looked_up(mesh, &wanted, *place, wanted.name) else {
                continue;
            };
            let beside = format!("{}-cacert", wanted.name);
            let has_ca = ["ca.crt", "cacert"].iter().any(|key| part(own, key).is_some());
            let unsure = mesh.is_assumed(&own.meta) || has_unread(own);
            let absent = looked_up(mesh, &wanted, *place, &beside).is_absent();
            if has_ca || unsure || !absent || !told.insert(wanted.name.span) {
                continue;
            }
            found
                .say(
                    format!(
                        "Gateway `{}` asks clients for certificates, and has no CA for them",
                        wanted.gateway.name
                    ),
                    wanted.name.span,
                    "no client is let in: there is no CA to verify its certificate by",
                )
                .also(own.named_at(), "has neither `ca.crt` nor `cacert`")
                .help(format!(
                    "add the CA to the Secret under `ca.crt`, or make a Secret `{beside}` that has it"
                ));
        }
    }
}

pub(super) fn credential_invalid(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<(Span, Span)> = BTreeSet::new();
    for wanted in wanted(mesh) {
        for place in &wanted.places {
            let Lookup::Found(secret) = looked_up(mesh, &wanted, *place, wanted.name) else {
                continue;
            };
            if mesh.is_assumed(&secret.meta) {
                continue;
            }
            let Some((why, at, effect)) = refusal(mesh, secret) else { continue };
            if !told.insert((wanted.name.span, secret.meta.span)) {
                continue;
            }
            found
                .say(
                    format!(
                        "Secret `{}` of Gateway `{}` {why}",
                        wanted.name,
                        wanted.gateway.name
                    ),
                    wanted.name.span,
                    effect,
                )
                .also(at, "here")
                .help(
                    "create the Secret anew: `kubectl create secret tls NAME --cert=FILE --key=FILE`",
                );
        }
    }
}

/// A value of a Secret by its key, plain or encoded.
fn part<'m>(secret: &'m In<Secret>, key: &str) -> Option<(&'m Text, bool)> {
    let plain = secret.string_data.get(key).map(|text| (text, true));
    let coded = secret.data.get(key).map(|text| (text, false));
    plain.or(coded).filter(|(text, _)| !text.is_empty())
}

fn pem(mesh: &Mesh, (text, plain): (&Text, bool)) -> Pem {
    let value = if plain {
        Value::string(text, mesh.raw(text.span), text.span)
    } else {
        Value::base64(text, text.span)
    };
    Pem::read(&value)
}

/// Why a gateway cannot use a Secret, where, and what comes of it. No value is ever told.
fn refusal(mesh: &Mesh, secret: &In<Secret>) -> Option<(String, Span, &'static str)> {
    const NONE: &str = "the gateway has no certificate: the TLS handshake fails";
    let pairs = [("cert", "key"), ("tls.crt", "tls.key")];
    let whole =
        pairs.iter().find_map(|(cert, key)| Some((part(secret, cert)?, part(secret, key)?)));
    let Some((cert, key)) = whole else {
        // What is written into it later cannot be seen.
        let filled = secret.data.is_empty() && secret.string_data.is_empty() || has_unread(secret);
        let why = "has no certificate and key under `tls.crt` and `tls.key`".to_owned();
        return (!filled).then(|| (why, secret.named_at(), NONE));
    };
    let (chain, private) = (pem(mesh, cert), pem(mesh, key));
    let hidden = |pem: &Pem| pem.faults.iter().any(|(fault, _)| *fault == Fault::Placeholder);
    if hidden(&chain) {
        return None;
    }
    let first = chain.blocks.first().map(|b| Certificate::parse(&b.der, b.span));
    let Some(Ok(first)) = first else {
        return Some(("holds no certificate that can be read".to_owned(), secret.named_at(), NONE));
    };
    let now = Time(mesh.now());
    if !first.is_valid_at(now) {
        let facts: &crate::trust::Facts = &first;
        let why = if facts.not_after < now {
            format!("has a certificate that ended on {}", facts.not_after)
        } else {
            format!("has a certificate that begins on {}", facts.not_before)
        };
        return Some((why, secret.named_at(), "clients refuse the certificate"));
    }
    let unreadable = "has a key that cannot be read".to_owned();
    if !hidden(&private) && private.blocks.is_empty() {
        return Some((unreadable, secret.named_at(), NONE));
    }
    let fits = PrivateKey::read(&private)?.matches(&first)?;
    let why = "has a key that is not the key of its certificate".to_owned();
    (!fits).then(|| (why, secret.named_at(), NONE))
}

/// Whether something of what it holds could not be read.
fn has_unread(secret: &In<Secret>) -> bool {
    let holds = |path: &String| path.starts_with("data") || path.starts_with("stringData");
    secret.meta.unread.iter().any(holds)
}

/// What certificate a server serves, as far as two can be told to serve the same.
fn certificate(server: &Server) -> Option<(&Text, Option<&Text>)> {
    let tls = server.tls.as_ref()?;
    if let Some(name) = names(tls).next() {
        return Some((name, None));
    }
    let file = tls.server_certificate.as_ref().filter(|f| !f.is_empty() && !is_placeholder(f))?;
    Some((file, Some(tls.private_key.as_ref().filter(|f| !f.is_empty())?)))
}

pub(super) fn duplicate_certificate(mesh: &Mesh, found: &mut Findings) {
    type Key<'m> = (ClusterId, u32, &'m str, Option<&'m str>);
    type Serves<'m> = (&'m In<Gateway>, &'m Server, &'m Text);
    let mut by_certificate: BTreeMap<Key<'_>, Vec<Serves<'_>>> = BTreeMap::new();
    for gateway in read(mesh) {
        for server in &gateway.servers {
            let Some((name, key)) = certificate(server) else { continue };
            let port = server.port.as_ref().and_then(|p| p.number.as_ref()).map_or(0, |n| n.value);
            let id = (gateway.cluster, port, name.as_str(), key.map(|k| k.as_str()));
            by_certificate.entry(id).or_default().push((gateway, server, name));
        }
    }
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for ((cluster, _, name, _), all) in by_certificate {
        let [(first, served, at), ..] = all.as_slice() else { continue };
        let with_first = |(gateway, server, _): &&Serves<'_>| {
            // Of two servers of one host only one counts, as `conflicting-servers` tells.
            let one_host = server.hosts.iter().any(|host| served.hosts.contains(host));
            let apart = mesh.may_be_apart(cluster, gateway.told(), first.told());
            let pods = selects(&first.selector, &gateway.selector)
                || selects(&gateway.selector, &first.selector);
            gateway.meta.span != first.meta.span && pods && !apart && !one_host
        };
        let others: Vec<_> = all.iter().filter(with_first).collect();
        if others.is_empty() || !told.insert(at.span) {
            continue;
        }
        let finding = found.say(
            format!("several Gateways of the same pods serve the certificate of `{name}`"),
            at.span,
            format!("served by `{}/{}`", first.namespace, first.name()),
        );
        for (other, _, at) in others {
            finding.also(at.span, format!("and by `{}/{}`", other.namespace, other.name()));
        }
        finding.help("put all hosts of the certificate into one server of one Gateway");
    }
}

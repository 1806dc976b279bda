//! Checks of a VirtualService: hosts, and what a route may do at once.

use std::borrow::Cow;

use super::Subject;
use super::fault::{Cause, Faults};
use super::formats::is_gateway_name;
use super::hosts::{self, is_ip};
use super::http::is_claim;
use super::look::{Look, known_text};
use super::visibility;
use crate::kinds::is_placeholder;
use crate::yaml::{Scalar, Shape, Value};

/// Bytes of a body that Envoy still answers with, and from which on Istio warns.
const BODY: (usize, usize) = (1024 * 1024, 100 * 1024);

/// Who routes by a VirtualService.
#[derive(Clone, Copy, PartialEq)]
enum Readers {
    /// Sidecars, since no gateway is named.
    Sidecars,
    /// Gateways and, by the name `mesh`, sidecars.
    Both,
    /// Gateways alone.
    Gateways,
    /// Some name is still to be filled in.
    Unknown,
}

impl Readers {
    fn of(spec: Value<'_>) -> Self {
        let Some(gateways) = spec.set("gateways") else { return Self::Sidecars };
        let names: Option<Vec<_>> = gateways.items().map(known_text).collect();
        match names {
            Some(names) if names.iter().any(|name| name == "mesh") => Self::Both,
            Some(names) if !names.is_empty() => Self::Gateways,
            _ => Self::Unknown,
        }
    }

    fn has_sidecars(self) -> bool {
        matches!(self, Self::Sidecars | Self::Both)
    }
}

/// What a VirtualService is bound to.
struct Bound<'t> {
    /// Its hosts, where all of them are known.
    hosts: Option<Vec<Cow<'t, str>>>,
    /// Without hosts it is a delegate.
    is_delegate: bool,
    readers: Readers,
}

impl<'t> Bound<'t> {
    fn of(spec: Value<'t>) -> Self {
        Self {
            hosts: spec.list("hosts").map(known_text).collect(),
            is_delegate: spec.set("hosts").is_none(),
            readers: Readers::of(spec),
        }
    }
}

pub(super) fn check(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    let spec = subject.spec;
    let bound = Bound::of(spec);
    if bound.is_delegate {
        for key in ["gateways", "tls", "tcp"] {
            if let Some(value) = spec.set(key) {
                let help =
                    "add `hosts`; without them it is a delegate, which has HTTP routes alone";
                faults.invalid(value, "is set although there are no hosts", help);
            }
        }
    }
    if ["http", "tls", "tcp"].into_iter().all(|key| spec.set(key).is_none()) {
        let help = "add `http`, `tls` or `tcp`: a VirtualService without any is refused";
        faults.missing(spec, "http", help);
    }
    hosts(spec, &bound, faults);
    gateway_names(spec, faults);
    visibility::check(subject, false, faults);
    for route in spec.list("http").filter(|route| route.shape() == Shape::Mapping) {
        http_route(route, &bound, faults);
    }
    for route in spec.list("tls") {
        gateways_of_matches(route, faults);
        sni_hosts(route, &bound, faults);
        weights(route, faults);
    }
    for route in spec.list("tcp") {
        gateways_of_matches(route, faults);
        weights(route, faults);
    }
}

fn hosts(spec: Value<'_>, bound: &Bound<'_>, faults: &mut Faults<'_>) {
    let matches = spec.list("tls").flat_map(|route| route.list("match"));
    let by_sni = bound.readers == Readers::Gateways
        && matches.into_iter().any(|it| it.set("sniHosts").is_some());
    let is_host = |host: &str| {
        is_ip(host) || if by_sni { hosts::is_sni(host) } else { hosts::is_wildcard_domain(host) }
    };
    let mut known: Vec<(Cow<'_, str>, Value<'_>)> = Vec::new();
    let mut all_sound = true;
    for value in spec.list("hosts") {
        let Some(host) = known_text(value) else { continue };
        if !is_host(&host) {
            all_sound = false;
            let help = "write a DNS name, perhaps with `*.` in front";
            faults.invalid(value, "is not a host", help);
        } else if host == "*" && bound.readers.has_sidecars() {
            let help = "name the hosts, or bind the VirtualService to a gateway: `*` is for gateways alone";
            faults.invalid(value, "is `*`, which sidecars cannot take", help);
        }
        known.push((host, value));
    }
    if !all_sound {
        return;
    }
    for (i, (host, value)) in known.iter().enumerate() {
        if let Some((other, there)) =
            known[..i].iter().find(|(other, _)| hosts::overlap(host, other))
        {
            let help = "leave one of them out";
            let what = format!("overlaps with `{other}`");
            faults.invalid(*value, what, help).also = Some((there.span(), "with this"));
        }
    }
}

/// Names of gateways. Istio's webhook looks no further than to the first one without a namespace, and what
/// is wrong after that matches no gateway.
fn gateway_names(block: Value<'_>, faults: &mut Faults<'_>) {
    let mut is_unchecked = false;
    for value in block.list("gateways") {
        let Some(name) = known_text(value) else { continue };
        if !is_gateway_name(&name) {
            let cause = if is_unchecked { Cause::Ignored } else { Cause::Invalid };
            let help = "write `namespace/name` or `name`: DNS labels";
            faults.say(cause, value, "is not a gateway", help);
        } else if name.contains('.') && !name.contains('/') {
            // The way to name a gateway of another namespace, `gateway.namespace.svc.cluster.local`.
            let mut parts = name.split('.');
            let (gateway, namespace) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            let help = format!("write `{namespace}/{gateway}`");
            let what = "names a gateway by the older form with dots";
            faults.say(Cause::Deprecated, value, what, help);
        }
        is_unchecked |= !name.contains('/');
    }
}

fn gateways_of_matches(route: Value<'_>, faults: &mut Faults<'_>) {
    route.list("match").for_each(|it| gateway_names(it, faults));
}

fn http_route(route: Value<'_>, bound: &Bound<'_>, faults: &mut Faults<'_>) {
    actions(route, bound, faults);
    for found in route.list("match") {
        claims(found, bound, faults);
    }
    gateways_of_matches(route, faults);
    for origin in route.field("corsPolicy").into_iter().flat_map(|cors| cors.list("allowOrigins")) {
        let is_set = ["exact", "prefix", "regex"].into_iter().any(|key| origin.has(key));
        if !is_set && origin.shape() == Shape::Mapping {
            let help = "write `exact`, `prefix` or `regex` with a value";
            faults.invalid(origin, "matches no origin", help);
        }
    }
    if let Some(fault) = route.field("fault").filter(|it| it.shape() == Shape::Mapping) {
        injected(fault, faults);
    }
    if let Some(redirect) = route.field("redirect").filter(|it| it.shape() == Shape::Mapping) {
        redirection(route, redirect, faults);
    }
    if let Some(rewrite) = route.field("rewrite").filter(|it| it.shape() == Shape::Mapping) {
        rewriting(rewrite, faults);
    }
    if let Some(body) = route.field("directResponse").and_then(|it| it.field("body")) {
        answer(body, faults);
    }
    if let Some(retries) = route.field("retries") {
        retry(retries, faults);
    }
    authority(route, faults);
    weights(route, faults);
}

/// A route redirects, answers itself, sends on, or delegates.
fn actions(route: Value<'_>, bound: &Bound<'_>, faults: &mut Faults<'_>) {
    let delegates = route.field("delegate");
    let key = |name: &'static str| Some((name, route.set(name)?));
    if let Some(delegate) = delegates {
        if bound.is_delegate {
            let help = "route to a destination: a delegate cannot delegate";
            faults.invalid(
                delegate,
                "stands in a VirtualService without hosts, which is a delegate itself",
                help,
            );
        } else {
            for (name, value) in ["redirect", "route"].into_iter().filter_map(key) {
                let help = format!("leave `{name}` out, or `delegate`");
                faults.invalid(value, "stands beside `delegate`, which excludes it", help).also =
                    Some((delegate.span(), "this excludes it"));
            }
            return;
        }
    }
    for (one, others) in [
        ("redirect", &["route", "fault", "rewrite", "directResponse"][..]),
        ("directResponse", &["route", "fault", "rewrite"][..]),
    ] {
        let Some(value) = route.field(one) else { continue };
        for (name, other) in others.iter().copied().filter_map(key) {
            let help = format!("keep either `{one}` or `{name}`");
            faults.invalid(other, format!("stands beside `{one}`, which excludes it"), help).also =
                Some((value.span(), "this excludes it"));
        }
    }
    if ["route", "redirect", "directResponse"].into_iter().all(|name| route.set(name).is_none()) {
        let help = "add `route`, `redirect` or `directResponse`";
        faults.missing(route, "route", help);
    }
    if let (Some(mirror), Some(mirrors)) = (route.field("mirror"), route.set("mirrors")) {
        let help = "write all of them into `mirrors`";
        faults.invalid(mirror, "stands beside `mirrors`, which excludes it", help).also =
            Some((mirrors.span(), "this excludes it"));
    }
}

/// Claims of a token are known at gateways only.
fn claims(found: Value<'_>, bound: &Bound<'_>, faults: &mut Faults<'_>) {
    if !bound.readers.has_sidecars() {
        return;
    }
    for (key, _) in found.map("headers").chain(found.map("withoutHeaders")) {
        if key.text().is_some_and(|name| is_claim(&name)) {
            let help = "bind the VirtualService to gateways, and not to `mesh`";
            faults.invalid(key, "looks at the claims of a token, which only gateways can", help);
        }
    }
}

fn injected(fault: Value<'_>, faults: &mut Faults<'_>) {
    let (abort, delay) = (fault.field("abort"), fault.field("delay"));
    if abort.is_none() && delay.is_none() {
        faults.missing(fault, "abort", "add `abort` or `delay`, or leave `fault` out");
    }
    for part in [abort, delay].into_iter().flatten() {
        let share = part.field("percentage").and_then(|it| it.field("value"));
        let is_small = |value: &Value<'_>| matches!(value.scalar(), Some(Scalar::Float(share)) if share > 0.0 && share < 0.0001);
        if let Some(value) = share.filter(is_small) {
            let help = "write 0, or at least 0.0001";
            faults.invalid(value, "is finer than Envoy can count", help);
        }
    }
    for (part, key) in [(abort, "http2Error"), (delay, "exponentialDelay")] {
        if let Some(value) = part.and_then(|part| part.field(key)) {
            faults.invalid(value, "is not supported by Istio", "leave it out");
        }
    }
    if let Some(abort) = abort.filter(|it| it.shape() == Shape::Mapping)
        && ["httpStatus", "grpcStatus", "http2Error"]
            .into_iter()
            .all(|key| abort.field(key).is_none())
    {
        faults.ignored(abort, "aborts nothing", "add `httpStatus` or `grpcStatus`");
    }
}

fn redirection(route: Value<'_>, redirect: Value<'_>, faults: &mut Faults<'_>) {
    let (uri, prefix) = (redirect.has("uri"), redirect.has("prefixRewrite"));
    let place = |key: &str| redirect.field(key).unwrap_or(redirect);
    if uri && prefix {
        let help = "keep either `uri` or `prefixRewrite`";
        faults.invalid(place("prefixRewrite"), "stands beside `uri`, which excludes it", help);
    }
    let mut matches = route.list("match").filter_map(|it| it.field("uri"));
    let is_otherwise = |uri: Value<'_>| {
        let is_open =
            uri.entries().any(|(key, _)| key.text().is_some_and(|it| is_placeholder(&it)));
        uri.shape() == Shape::Mapping && uri.field("prefix").is_none() && !is_open
    };
    if prefix && matches.any(is_otherwise) {
        let help = "match by `prefix` wherever the prefix is rewritten";
        faults.invalid(
            place("prefixRewrite"),
            "has no prefix to rewrite: a match of this route compares its `uri` otherwise",
            help,
        );
    }
    let does = ["uri", "prefixRewrite", "authority", "port", "derivePort", "scheme"];
    // A `port: 0` is written, and so is an empty text that a pipeline fills in.
    if !does
        .into_iter()
        .any(|key| redirect.has(key) || (key == "port" && redirect.field(key).is_some()))
    {
        let help = "add `uri`, `prefixRewrite`, `authority`, `port`, `derivePort` or `scheme`";
        faults.invalid(redirect, "leads back to where it came from", help);
    }
}

fn rewriting(rewrite: Value<'_>, faults: &mut Faults<'_>) {
    let regex = rewrite.field("uriRegexRewrite");
    if let Some(regex) = regex.filter(|_| rewrite.has("uri")) {
        let help = "keep either `uri` or `uriRegexRewrite`";
        faults.invalid(regex, "stands beside `uri`, which excludes it", help);
    }
    if regex.is_none() && !rewrite.has("uri") && !rewrite.has("authority") {
        let help = "add `uri`, `uriRegexRewrite` or `authority`, or leave `rewrite` out";
        faults.invalid(rewrite, "rewrites nothing", help);
    }
}

fn answer(body: Value<'_>, faults: &mut Faults<'_>) {
    let (refused, large) = BODY;
    for (key, of) in [("string", 1.0), ("bytes", 0.75)] {
        let Some(value) = body.field(key) else { continue };
        #[expect(clippy::cast_precision_loss, reason = "no text has 2^52 bytes")]
        let len = value.text().map_or(0.0, |text| text.len() as f64) * of;
        #[expect(clippy::cast_precision_loss, reason = "small constants")]
        if len > refused as f64 {
            faults.invalid(value, "is longer than 1 MiB", "serve it from a workload");
        } else if len > large as f64 {
            faults.ignored(
                value,
                "is longer than 100 KiB, which every proxy holds in memory",
                "serve it from a workload",
            );
        }
    }
}

/// No attempts, and yet something about them.
pub(super) fn retry(retries: Value<'_>, faults: &mut Faults<'_>) {
    if retries.shape() != Shape::Mapping || retries.number_or_zero("attempts") != Some(0) {
        return;
    }
    let times = ["perTryTimeout", "retryRemoteLocalities"].into_iter();
    let conditions = Some("retryOn").filter(|key| retries.has(key));
    for value in times.chain(conditions).filter_map(|key| retries.field(key)) {
        let help = "set `attempts`, or leave it out";
        faults.invalid(value, "is set although there are no attempts", help);
    }
}

/// The authority can be rewritten in several ways, and only one of them may be used.
fn authority(route: Value<'_>, faults: &mut Faults<'_>) {
    let rewritten = route.field("rewrite").filter(|it| it.has("authority"));
    let rewritten = rewritten.and_then(|it| it.field("authority"));
    let request = route.field("headers").and_then(|it| it.field("request"));
    let set = request.into_iter().flat_map(|it| it.map("set").chain(it.map("add")));
    let keys = set.map(|(key, _)| key).filter(|key| {
        key.text()
            .is_some_and(|it| [":authority", "host"].iter().any(|own| it.eq_ignore_ascii_case(own)))
    });
    let all: Vec<Value<'_>> = rewritten.into_iter().chain(keys).collect();
    if let [first, second, ..] = all.as_slice() {
        let help = "set the authority in one place";
        faults.invalid(*second, "sets the authority again", help).also =
            Some((first.span(), "it is set here"));
    }
}

/// Several destinations need a weight somewhere.
fn weights(route: Value<'_>, faults: &mut Faults<'_>) {
    let Some(list) = route.set("route") else { return };
    let weights: Option<Vec<i64>> = list.items().map(|it| it.number_or_zero("weight")).collect();
    if weights
        .is_some_and(|all| all.len() > 1 && all.iter().map(|&w| i128::from(w)).sum::<i128>() == 0)
    {
        faults.invalid(list, "has several destinations and no weight", "give each its `weight`");
    }
}

fn sni_hosts(route: Value<'_>, bound: &Bound<'_>, faults: &mut Faults<'_>) {
    for value in route.list("match").flat_map(|it| it.list("sniHosts")) {
        let Some(sni) = known_text(value) else { continue };
        let is_sound = match bound.readers {
            Readers::Both => hosts::is_wildcard_domain(&sni),
            _ => hosts::is_sni(&sni),
        };
        if is_ip(&sni) {
            let help = "write a DNS name: clients send no address as server name";
            faults.ignored(value, "is an address, which no client sends as server name", help);
        } else if !is_sound {
            let help = "write a DNS name, perhaps with `*.` in front";
            faults.invalid(value, "is not a server name", help);
        } else if let Some(hosts) = bound.hosts.as_ref().filter(|_| !bound.is_delegate)
            && !hosts.iter().any(|host| hosts::is_covered(&sni, host))
        {
            let help = "add it to `hosts`";
            faults.invalid(value, "is none of the hosts of the VirtualService", help);
        }
    }
}

//! One route as rules of a VirtualService.
//!
//! Source: `pilot/pkg/config/kube/gateway/conversion.go`, `convertHTTPRoute`, `convertGRPCRoute`,
//! `convertTCPRoute`, `convertTLSRoute`, `buildDestination`.

use super::Rule;
use crate::kinds::attachment::Origin;
use crate::kinds::gateway_api::{
    Filter, GrpcMethod, Method, NamedMatch, PathMatch, Reference, Route, RouteMatch, RouteMirror,
    RouteRule,
};
use crate::kinds::is_placeholder;
use crate::kinds::networking::{
    Destination, DirectResponse, HttpMatch, HttpRoute, L4Match, L4Route, Mirror, Percent, Retries,
    RouteDestination, StringMatch,
};
use crate::kinds::parts::{Anything, PortSelector};
use crate::mesh::{HostPattern, In, fqdn, value};
use crate::source::{Span, Spanned, Text};
use crate::yaml::Entries;

/// How often istiod lets a request be tried again where a route says that, but not how often.
const ATTEMPTS: u32 = 2;
/// After which failures that is: statuses that a route adds to these change nothing of connections.
const RETRY_ON: &str = "connect-failure,refused-stream,unavailable,cancelled";

/// A route that is attached to a host.
pub(super) struct Conversion<'r> {
    pub(super) route: &'r In<Route>,
    /// The only port of the parent it is for.
    pub(super) port: Option<&'r Spanned<u32>>,
    /// The full name of the parent.
    pub(super) host: &'r str,
}

/// Why nobody can tell what becomes of a route.
type Open = Text;

fn open<T>(text: impl Into<String>, span: Span) -> Result<T, Open> {
    Err(Text::new(text.into(), span))
}

fn text(value: impl Into<String>, span: Span) -> Text {
    Text::new(value.into(), span)
}

impl Conversion<'_> {
    /// Its rules, each with one match. An error leaves the whole route out; which errors do is a matter of
    /// what istiod supports, and that grows.
    pub(super) fn rules(&self) -> Result<Vec<(Rule, Origin)>, Open> {
        let mut found = Vec::new();
        for (n, rule) in self.route.rules.iter().enumerate() {
            let origin = self.origin(n, rule)?;
            match self.kind() {
                "TCPRoute" | "TLSRoute" => {
                    found.push((Rule::L4(self.connections(rule, &origin)?), origin));
                }
                _ => {
                    let base = self.http(rule, &origin)?;
                    for asks in self.matches(rule)? {
                        let matches = asks.into_iter().collect();
                        let rule = HttpRoute { matches, ..base.clone() };
                        let span = rule.matches.first().map_or(origin.span, |m| m.span);
                        let origin = Origin { span, ..origin.clone() };
                        found.push((Rule::Http(Box::new(rule)), origin));
                    }
                }
            }
        }
        // The API server fills in a rule where an HTTPRoute has none: everything, to nowhere.
        if self.route.rules.is_empty() && self.kind() == "HTTPRoute" {
            let rule = Spanned::new(RouteRule::default(), self.route.named_at());
            let origin = self.origin(0, &rule)?;
            let matches = self.any(rule.span).into_iter().collect();
            let http = HttpRoute { matches, ..self.http(&rule, &origin)? };
            found.push((Rule::Http(Box::new(http)), origin));
        }
        Ok(found)
    }

    fn kind(&self) -> &str {
        self.route.meta.kind.as_str()
    }

    fn origin(&self, n: usize, rule: &Spanned<RouteRule>) -> Result<Origin, Open> {
        let unread = |part: &str| {
            let field = format!("spec.rules[{n}].{part}");
            self.route.meta.unread.iter().any(|path| path.starts_with(&field))
        };
        let name = format!("rule {} of {} `{}`", n + 1, self.kind(), self.route.name());
        if unread("filters") {
            return open(format!("filters of {name} are filled in by a pipeline"), rule.span);
        }
        let unread_backends = unread("backendRefs")
            .then(|| text(format!("backends of {name} are filled in by a pipeline"), rule.span));
        let open = unread_backends.or_else(|| rule.backend_refs.iter().find_map(elsewhere));
        Ok(Origin { name, span: rule.span, has_unread_matches: unread("matches"), open })
    }

    /// All of a rule for HTTP but its match; without backends where nobody can tell which.
    fn http(&self, rule: &Spanned<RouteRule>, origin: &Origin) -> Result<HttpRoute, Open> {
        let mut http = HttpRoute::default();
        for filter in &rule.filters {
            self.filter(filter, &mut http)?;
        }
        http.retries = rule.retry.as_ref().map(|retry| {
            let attempts = retry.attempts.unwrap_or(Spanned::new(ATTEMPTS, retry.span));
            let retry_on = Some(text(RETRY_ON, retry.span));
            let told =
                Retries { attempts: Some(attempts), retry_on, retry_remote_localities: None };
            Spanned::new(told, retry.span)
        });
        if origin.open.is_some() {
            return Ok(http);
        }
        http.route = self.backends(&rule.backend_refs)?;
        if http.route.is_empty() && http.redirect.is_none() {
            let status = Some(Spanned::new(500, rule.span));
            http.direct_response = Some(Spanned::new(DirectResponse { status }, rule.span));
        }
        Ok(http)
    }

    fn filter(&self, filter: &Spanned<Filter>, http: &mut HttpRoute) -> Result<(), Open> {
        let is_http = self.kind() == "HTTPRoute";
        match value(filter.kind.as_ref()).unwrap_or_default() {
            "RequestHeaderModifier" | "ResponseHeaderModifier" => {}
            "URLRewrite" | "CORS" if is_http => {}
            "RequestRedirect" if is_http => {
                let span = filter.request_redirect.as_ref().map_or(filter.span, |r| r.span);
                http.redirect = Some(Spanned::new(Anything {}, span));
            }
            "RequestMirror" => http.mirrors.extend(match &filter.request_mirror {
                Some(told) => self.mirror(told)?,
                None => None,
            }),
            other => {
                let text = format!("what istiod makes of a filter `{other}` is not computed");
                return open(text, filter.kind.as_ref().map_or(filter.span, |kind| kind.span));
            }
        }
        Ok(())
    }

    fn mirror(&self, told: &RouteMirror) -> Result<Option<Mirror>, Open> {
        let Some(to) = &told.backend_ref else { return Ok(None) };
        let percentage = match (&told.fraction, &told.percent) {
            (Some(part), _) => {
                let of = part.denominator.map_or(100, |d| d.value).max(1);
                let many = part.numerator.map_or(0, |n| n.value);
                Some(Percent { value: 100.0 * f64::from(many) / f64::from(of) })
            }
            (None, Some(percent)) => Some(Percent { value: f64::from(percent.value) }),
            (None, None) => None,
        };
        let destination = self.destination(to)?;
        Ok(destination.map(|destination| Mirror { destination: Some(destination), percentage }))
    }

    /// Backends with their weights; those of weight 0 get nothing.
    fn backends(
        &self,
        backends: &[Spanned<Reference>],
    ) -> Result<Vec<Spanned<RouteDestination>>, Open> {
        let weight = |to: &Spanned<Reference>| to.weight.unwrap_or(Spanned::new(1, to.span));
        let mut found = Vec::new();
        for to in backends.iter().filter(|to| weight(to).value > 0) {
            let plain = ["RequestHeaderModifier", "ResponseHeaderModifier"];
            let is_plain = |f: &&Spanned<Filter>| {
                value(f.kind.as_ref()).is_some_and(|kind| plain.contains(&kind))
            };
            if let Some(other) = to.filters.iter().find(|f| !is_plain(f)) {
                let name = value(other.kind.as_ref()).unwrap_or_default();
                let text = format!("what istiod makes of a filter `{name}` is not computed");
                return open(text, other.span);
            }
            let destination = self.destination(to)?;
            let told = RouteDestination { destination, weight: Some(weight(to)), headers: None };
            found.push(Spanned::new(told, to.span));
        }
        Ok(found)
    }

    /// Where a backend stands; none where istiod knows no backend of its kind.
    fn destination(&self, to: &Spanned<Reference>) -> Result<Option<Spanned<Destination>>, Open> {
        let name = to.name.as_ref().map_or_else(|| text("", to.span), Clone::clone);
        let left_out = |why: &str| open(format!("{why}: istiod leaves the route out"), name.span);
        let host = match to.backend() {
            ("", "Service") => {
                if name.contains('.') && !is_placeholder(&name) {
                    return left_out("a backend is called by the name of a Service alone");
                }
                let namespace = value(to.namespace.as_ref()).unwrap_or(&self.route.namespace);
                fqdn(&name, namespace)
            }
            ("networking.istio.io", "Hostname") if to.namespace.is_none() => {
                name.to_ascii_lowercase()
            }
            ("networking.istio.io", "Hostname") => {
                return left_out("a backend that is a `Hostname` has no namespace");
            }
            _ => return Ok(None),
        };
        if to.port.is_none() {
            return left_out("a backend needs a port");
        }
        let port = Some(PortSelector { number: to.port });
        let host = Some(text(host, name.span));
        Ok(Some(Spanned::new(Destination { host, subset: None, port }, to.span)))
    }

    /// Matches, each for a rule of its own; `None` for one that takes everything.
    fn matches(&self, rule: &Spanned<RouteRule>) -> Result<Vec<Option<Spanned<HttpMatch>>>, Open> {
        if rule.matches.is_empty() {
            return Ok(vec![self.any(rule.span)]);
        }
        let all = rule.matches.iter();
        all.map(|m| Ok(Some(Spanned::new(self.match_of(m)?, m.span)))).collect()
    }

    /// What a rule without a match asks for: the API server fills in all paths for an HTTPRoute.
    fn any(&self, span: Span) -> Option<Spanned<HttpMatch>> {
        let uri = (self.kind() == "HTTPRoute").then(|| prefix("/", span));
        let asks = HttpMatch { uri, port: self.port.copied(), ..HttpMatch::default() };
        (asks.uri.is_some() || asks.port.is_some()).then(|| Spanned::new(asks, span))
    }

    fn match_of(&self, told: &Spanned<RouteMatch>) -> Result<HttpMatch, Open> {
        let (uri, method) = match &told.method {
            Some(Method::Grpc(method)) => (Some(grpc_path(method, told.span)?), None),
            _ if self.kind() == "GRPCRoute" => (None, None),
            Some(Method::Http(method)) => (path(told)?, Some(exact(method, told.span))),
            None => (path(told)?, None),
        };
        Ok(HttpMatch {
            uri: uri.or_else(|| (self.kind() == "HTTPRoute").then(|| prefix("/", told.span))),
            method,
            headers: named(&told.headers)?,
            query_params: named(&told.query_params)?,
            port: self.port.copied(),
            ..HttpMatch::default()
        })
    }

    /// A rule for TCP or TLS. Where no backend has a weight, connections are closed.
    fn connections(&self, rule: &Spanned<RouteRule>, origin: &Origin) -> Result<L4Route, Open> {
        let route = match origin.open {
            Some(_) => Vec::new(),
            None => self.backends(&rule.backend_refs)?,
        };
        let is_tls = self.kind() == "TLSRoute";
        let mut asks = L4Match { port: self.port.copied(), ..L4Match::default() };
        if is_tls {
            asks.sni_hosts = self.server_names(rule.span);
        }
        let asks = (is_tls || self.port.is_some()).then(|| Spanned::new(asks, rule.span));
        Ok(L4Route { matches: asks.into_iter().collect(), route })
    }

    /// The server names that a TLSRoute is for: its hosts, or its parent's. Of several hosts those count
    /// that the parent covers. Source: `conversion.go`, `compatibleRoutesForHost`.
    fn server_names(&self, span: Span) -> Vec<Text> {
        match self.route.hostnames.as_slice() {
            [] => vec![text(self.host, span)],
            [only] => vec![only.clone()],
            several => {
                let fits = |host: &&Text| HostPattern(self.host).matches(host);
                several.iter().filter(fits).cloned().collect()
            }
        }
    }
}

/// Why nobody can tell where a backend leads to.
fn elsewhere(to: &Spanned<Reference>) -> Option<Open> {
    let (group, kind) = to.backend();
    let known = match (group, kind) {
        ("multicluster.x-k8s.io", "ServiceImport") | (_, "InferencePool") => false,
        _ => !is_placeholder(kind) && !is_placeholder(group),
    };
    (!known).then(|| {
        text(format!("where a backend of kind `{kind}` leads to is not computed"), to.span)
    })
}

fn exact(wanted: &str, span: Span) -> StringMatch {
    StringMatch { exact: Some(text(wanted, span)), ..StringMatch::default() }
}

/// A prefix by segments; a `/` at its end does not count.
fn prefix(wanted: &str, span: Span) -> StringMatch {
    let wanted = if wanted == "/" { wanted } else { wanted.strip_suffix('/').unwrap_or(wanted) };
    StringMatch {
        prefix: Some(text(wanted, span)),
        by_segments: wanted != "/",
        ..StringMatch::default()
    }
}

fn regex(wanted: impl Into<String>, span: Span) -> StringMatch {
    StringMatch { regex: Some(text(wanted, span)), ..StringMatch::default() }
}

fn path(told: &RouteMatch) -> Result<Option<StringMatch>, Open> {
    let Some(PathMatch { kind, value: path }) = &told.path else { return Ok(None) };
    let span = path.as_ref().or(kind.as_ref()).map_or(Span::default(), |t| t.span);
    let wanted = value(path.as_ref()).unwrap_or("/");
    Ok(Some(match value(kind.as_ref()).unwrap_or("PathPrefix") {
        "PathPrefix" => prefix(wanted, span),
        "Exact" => exact(wanted, span),
        "RegularExpression" => regex(wanted, span),
        other => return unknown_type(other, span),
    }))
}

/// `/service/method`. Source: `conversion.go`, `createGRPCURIMatch`.
fn grpc_path(told: &GrpcMethod, at: Span) -> Result<StringMatch, Open> {
    let GrpcMethod { kind, service, method } = told;
    let span = service.as_ref().or(method.as_ref()).map_or(at, |t| t.span);
    let kind = value(kind.as_ref()).unwrap_or("Exact");
    Ok(match (kind, value(service.as_ref()), value(method.as_ref())) {
        ("Exact", Some(service), None) => prefix(&format!("/{service}/"), span),
        ("Exact", Some(service), Some(method)) => exact(&format!("/{service}/{method}"), span),
        ("Exact" | "RegularExpression", None, Some(method)) => {
            regex(format!("/[^/]+/{method}"), span)
        }
        ("RegularExpression", Some(service), None) => regex(format!("/{service}/.+"), span),
        ("RegularExpression", Some(service), Some(method)) => {
            regex(format!("/{service}/{method}"), span)
        }
        ("Exact" | "RegularExpression", None, None) => {
            return open("a match of gRPC names neither service nor method", at);
        }
        (other, ..) => return unknown_type(other, span),
    })
}

fn named(all: &[NamedMatch]) -> Result<Entries<StringMatch>, Open> {
    let one = |told: &NamedMatch| {
        let Some(name) = &told.name else { return Ok(None) };
        let wanted = value(told.value.as_ref()).unwrap_or_default();
        let span = told.value.as_ref().map_or(name.span, |v| v.span);
        Ok(Some((
            name.clone(),
            match value(told.kind.as_ref()).unwrap_or("Exact") {
                "Exact" => exact(wanted, span),
                "RegularExpression" => regex(wanted, span),
                other => return unknown_type(other, span),
            },
        )))
    };
    all.iter().filter_map(|told| one(told).transpose()).collect()
}

fn unknown_type<T>(name: &str, span: Span) -> Result<T, Open> {
    open(format!("how `{name}` compares is not known"), span)
}

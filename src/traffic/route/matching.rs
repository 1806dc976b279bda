//! Whether a match takes a client and a request.
//!
//! Source: `route.go`, `sourceMatchHTTP`, `TranslateRouteMatch`; Envoy's route matcher.

use super::{Call, Request};
use crate::api::whole_pattern;
use crate::kinds::is_placeholder;
use crate::kinds::networking::{HttpMatch, StringMatch};
use crate::source::{Span, Spanned, Text};
use crate::traffic::step::{Condition, Step, Subject, Verdict, has_labels};
use crate::yaml::Entries;

impl Call<'_, '_, '_> {
    /// The part of an HTTP match that istiod evaluates for each client. Beside `gateways`,
    /// `sourceLabels` and `sourceNamespace` do not count.
    pub(super) fn takes_client(&self, asks: &HttpMatch) -> Verdict {
        self.takes_port(asks.port.as_ref()).and(|| {
            if !asks.gateways.is_empty() {
                return in_mesh(&asks.gateways);
            }
            self.takes_source(&asks.source_labels, asks.source_namespace.as_ref())
        })
    }

    /// Whether a match is for the client's labels and namespace.
    pub(super) fn takes_source(&self, labels: &Entries<Text>, namespace: Option<&Text>) -> Verdict {
        let own = self.scope.client.namespace;
        let from = |wanted: &Text| match wanted.as_str() {
            "" => Verdict::Yes,
            same if same == own => Verdict::Yes,
            open if is_placeholder(open) => Verdict::If(vec![Condition::new(
                Subject::Client,
                format!("`{own}` is what a pipeline fills in for `{open}`"),
                wanted.span,
            )]),
            other => {
                let text =
                    format!("`sourceNamespace` asks for `{other}`, the client is in `{own}`");
                Verdict::No(Step::new(text, wanted.span))
            }
        };
        has_labels(self.mesh(), &self.scope.client, "`sourceLabels`", labels)
            .and(|| namespace.map_or(Verdict::Yes, from))
    }

    /// Whether a match is for the port that is called.
    pub(super) fn takes_port(&self, port: Option<&Spanned<u32>>) -> Verdict {
        match port {
            Some(wanted) if wanted.value != 0 && wanted.value != self.port => {
                let text = format!("`port` asks for {wanted}, the call is to {}", self.port);
                Verdict::No(Step::new(text, wanted.span))
            }
            _ => Verdict::Yes,
        }
    }

    /// The part of an HTTP match that Envoy evaluates for each request.
    pub(super) fn takes_request(&self, asks: &HttpMatch) -> Verdict {
        let request = self.request;
        let path = request.path.as_deref();
        let bare = path.map(|p| p.split(['?', '#']).next().unwrap_or_default());
        let texts = [
            ("`method`", &asks.method, request.method.as_deref()),
            ("`authority`", &asks.authority, request.authority.as_deref()),
            ("`scheme`", &asks.scheme, request.scheme.as_deref()),
        ];
        let uri = asks
            .uri
            .as_ref()
            .filter(|uri| !is_any_path(uri))
            .map(|uri| compare("`uri`", uri, None, Known::told(bare), asks.ignore_uri_case));
        let others = texts.into_iter().filter_map(|(what, wanted, known)| {
            Some(compare(what, wanted.as_ref()?, None, Known::told(known), false))
        });
        let headers = asks.headers.iter().map(|(key, wanted)| header(request, key, wanted));
        let without =
            asks.without_headers.iter().map(|(key, wanted)| no_header(request, key, wanted));
        let query = asks.query_params.iter().map(|(key, wanted)| {
            let known = path.map_or(Known::Nothing, |p| Known::there(parameter(p, key)));
            compare(&format!("query parameter `{key}`"), wanted, Some(key.span), known, false)
        });
        let all = uri.into_iter().chain(others).chain(headers).chain(without).chain(query);
        all.fold(Verdict::Yes, |sum, next| sum.and(|| next))
    }
}

/// Whether `gateways` of a match name the sidecars.
pub(super) fn in_mesh(gateways: &[Text]) -> Verdict {
    match gateways.first() {
        Some(first) if !gateways.iter().any(|g| g.as_str() == "mesh") => {
            Verdict::No(Step::new("`gateways` do not name `mesh`", first.span))
        }
        _ => Verdict::Yes,
    }
}

/// Whether each path fits: what istiod takes for a catch-all, and the empty prefix.
fn is_any_path(uri: &StringMatch) -> bool {
    uri.prefix.as_ref().is_some_and(|p| matches!(p.as_str(), "/" | ""))
        || uri.regex.as_ref().is_some_and(|r| r.as_str() == ".*")
}

/// What is known of a part of a request.
#[derive(Clone, Copy)]
enum Known<'r> {
    Nothing,
    NotThere,
    Is(&'r str),
}

impl<'r> Known<'r> {
    /// A part that each request has.
    fn told(value: Option<&'r str>) -> Self {
        value.map_or(Self::Nothing, Self::Is)
    }

    /// A part that not each request has.
    fn there(value: Option<&'r str>) -> Self {
        value.map_or(Self::NotThere, Self::Is)
    }
}

/// Compares what is asked for with what is known.
fn compare(
    what: &str,
    wanted: &StringMatch,
    key: Option<Span>,
    known: Known<'_>,
    ignore_case: bool,
) -> Verdict {
    let text = format!("{what} {}", describe(wanted));
    let span = place(wanted).or(key);
    let verdict = match known {
        Known::Nothing => None,
        Known::NotThere => Some(false),
        Known::Is(value) => test(wanted, value, ignore_case),
    };
    match verdict {
        Some(true) => Verdict::Yes,
        Some(false) => Verdict::No(Step::new(format!("it asks that {text}"), span)),
        None => Verdict::If(vec![Condition::new(Subject::Request, text, span)]),
    }
}

/// What is known of a header. Claims of a token are written like one, and nobody knows them here.
fn known_header<'r>(request: &'r Request, key: &str) -> Known<'r> {
    match &request.headers {
        Some(headers) if !key.starts_with("@request.auth.claims") => {
            Known::there(headers.get(&key.to_ascii_lowercase()).map(String::as_str))
        }
        _ => Known::Nothing,
    }
}

fn header(request: &Request, key: &Text, wanted: &StringMatch) -> Verdict {
    let known = known_header(request, key);
    compare(&format!("header `{key}`"), wanted, Some(key.span), known, false)
}

fn no_header(request: &Request, key: &Text, wanted: &StringMatch) -> Verdict {
    let there = match known_header(request, key) {
        Known::Nothing => None,
        Known::NotThere if is_presence(wanted) => Some(false),
        // A header that is not there counts as empty.
        Known::NotThere => test(wanted, "", false),
        Known::Is(value) => test(wanted, value, false),
    };
    let text = format!("no header `{key}` {}", describe(wanted));
    let span = place(wanted).unwrap_or(key.span);
    match there {
        Some(false) => Verdict::Yes,
        Some(true) => Verdict::No(Step::new(format!("it asks that {text}"), span)),
        None => Verdict::If(vec![Condition::new(Subject::Request, text, span)]),
    }
}

/// Whether it only asks that something is there.
fn is_presence(wanted: &StringMatch) -> bool {
    let nothing = wanted.exact.is_none() && wanted.prefix.is_none() && wanted.regex.is_none();
    nothing || wanted.regex.as_ref().is_some_and(|r| r.as_str() == "*")
}

/// Whether a value fits; `None` where the pattern is not valid or not known.
fn test(wanted: &StringMatch, value: &str, ignore_case: bool) -> Option<bool> {
    if is_presence(wanted) {
        return Some(true);
    }
    let told = [&wanted.exact, &wanted.prefix, &wanted.regex];
    if told.into_iter().flatten().any(|t| is_placeholder(t)) {
        return None;
    }
    let fold = |text: &str| if ignore_case { text.to_ascii_lowercase() } else { text.to_owned() };
    if let Some(exact) = &wanted.exact {
        return Some(fold(value) == fold(exact));
    }
    if let Some(prefix) = &wanted.prefix {
        let value = fold(value);
        let ends = |rest: &str| !wanted.by_segments || rest.is_empty() || rest.starts_with('/');
        return Some(value.strip_prefix(&fold(prefix)).is_some_and(ends));
    }
    // The case always counts for regular expressions.
    let pattern = wanted.regex.as_ref()?;
    whole_pattern(pattern).map(|whole| whole.is_match(value))
}

fn describe(wanted: &StringMatch) -> String {
    match (&wanted.exact, &wanted.prefix, &wanted.regex) {
        _ if is_presence(wanted) => "is there".to_owned(),
        (Some(exact), ..) => format!("is `{exact}`"),
        (_, Some(prefix), _) if wanted.by_segments => format!("is `{prefix}` or below"),
        (_, Some(prefix), _) => format!("begins with `{prefix}`"),
        (.., Some(regex)) => format!("matches `{regex}`"),
        (None, None, None) => "is there".to_owned(),
    }
}

fn place(wanted: &StringMatch) -> Option<Span> {
    [&wanted.exact, &wanted.prefix, &wanted.regex].into_iter().flatten().map(|t| t.span).next()
}

/// The value of a query parameter in a path.
fn parameter<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    let (_, query) = path.split('#').next()?.split_once('?')?;
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value)
}

//! The HTTP rules of a VirtualService, with those of its delegates put in.
//!
//! Source: `pilot/pkg/model/virtualservice.go`, `mergeHTTPRoutes`, `hasConflict`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::kinds::attachment::Origin;
use crate::kinds::networking::{
    Fault, HttpMatch, HttpRoute, Mirror, Retries, StringMatch, VirtualService,
};
use crate::mesh::{In, value};
use crate::source::{Span, Spanned, Text};
use crate::traffic::scope::{Scope, reach};
use crate::traffic::step::Step;
use crate::yaml::Entries;

/// One alternative of a rule, and its place.
#[derive(Clone)]
pub(super) struct Match<'m> {
    pub(super) asks: Cow<'m, HttpMatch>,
    pub(super) span: Span,
    /// Whether it asks for more than could be read.
    pub(super) is_unread: bool,
}

/// A rule as istiod reads it.
pub(super) struct Rule<'m> {
    /// `rule 2`, or `rule 2 with rule 1 of delegate` and its name.
    pub(super) name: String,
    /// Where it begins.
    pub(super) span: Span,
    /// Alternatives; everything where empty.
    pub(super) matches: Vec<Match<'m>>,
    /// The rule that says where requests go, and the VirtualService it stands in; nothing where that
    /// is a delegate outside the input.
    pub(super) leaf: Option<(&'m HttpRoute, &'m In<VirtualService>)>,
    /// The rule that delegates.
    root: Option<&'m HttpRoute>,
    /// Position of the leaf in its VirtualService, from 0.
    position: usize,
}

impl<'m> Rule<'m> {
    fn own(position: usize, route: &'m HttpRoute, service: &'m In<VirtualService>) -> Self {
        let origin = origin(service, position);
        let name = origin.map(|origin| origin.name.clone());
        let span = origin.map(|origin| origin.span).or_else(|| begin(route));
        Self {
            name: name.unwrap_or_else(|| format!("rule {}", position + 1)),
            span: span.unwrap_or(service.named_at()),
            matches: alternatives(position, route, service),
            leaf: Some((route, service)),
            root: None,
            position,
        }
    }

    /// Errors and delays: the leaf's, or else the root's.
    pub(super) fn fault(&self) -> Option<&'m Fault> {
        let set = |r: &&'m HttpRoute| r.fault.abort.is_some() || r.fault.delay.is_some();
        self.both().find(set).map(|r| &r.fault)
    }

    /// What is tried again: the leaf's, or else the root's.
    pub(super) fn retries(&self) -> Option<&'m Retries> {
        self.both().find_map(|r| r.retries.as_deref())
    }

    /// An answer without destination: the leaf's, or else the root's.
    pub(super) fn response(&self) -> Option<(Option<u32>, Span)> {
        let found = self.both().find_map(|r| r.direct_response.as_ref())?;
        Some((found.status.as_ref().map(|s| s.value), found.span))
    }

    /// The rule with the single mirror, and the list of mirrors: the leaf's, or else the root's.
    pub(super) fn mirrors(&self) -> (Option<&'m HttpRoute>, &'m [Mirror]) {
        let single = self.both().find(|r| r.mirror.is_some());
        let list = self.both().map(|r| r.mirrors.as_slice()).find(|list| !list.is_empty());
        (single, list.unwrap_or_default())
    }

    fn both(&self) -> impl Iterator<Item = &'m HttpRoute> {
        self.leaf.map(|(route, _)| route).into_iter().chain(self.root)
    }

    /// Why nobody can tell where it leads to: weights or the like stand in the text and could not be read,
    /// or a route of the Gateway API names what is not computed.
    pub(super) fn veil(&self) -> Option<Step> {
        let (_, service) = self.leaf?;
        if let Some(origin) = origin(service, self.position) {
            return origin.open.as_ref().map(|why| Step::new(&**why, why.span));
        }
        let text = || format!("destinations of {} are filled in by a pipeline", self.name);
        let unread = is_unread(service, &format!("http[{}].route", self.position));
        unread.then(|| Step::new(text(), self.span))
    }
}

/// Where a rule is from that istiod makes of a route of the Gateway API.
fn origin(service: &In<VirtualService>, position: usize) -> Option<&Origin> {
    service.attachment.as_ref()?.rules.get(position)
}

/// Whether something below a field stands in the text and could not be read.
pub(super) fn is_unread(service: &In<VirtualService>, field: &str) -> bool {
    let below = |path: &String| path.strip_prefix("spec.").is_some_and(|p| p.starts_with(field));
    service.meta.unread.iter().any(below)
}

/// Where a rule begins, as far as something of it has a place.
fn begin(route: &HttpRoute) -> Option<Span> {
    let texts = [&route.name, &route.delegate.as_ref().and_then(|d| d.name.clone())];
    let named = texts.into_iter().flatten().map(|t| t.span);
    named
        .chain(route.matches.iter().map(|m| m.span))
        .chain(route.route.iter().map(|r| r.span))
        .chain(route.redirect.iter().map(|r| r.span))
        .chain(route.direct_response.iter().map(|r| r.span))
        .min()
}

fn alternatives<'m>(
    position: usize,
    route: &'m HttpRoute,
    service: &In<VirtualService>,
) -> Vec<Match<'m>> {
    let one = |(i, m): (usize, &'m Spanned<HttpMatch>)| Match {
        asks: Cow::Borrowed(&m.value),
        span: m.span,
        is_unread: origin(service, position).map_or_else(
            || is_unread(service, &format!("http[{position}].match[{i}]")),
            |origin| origin.has_unread_matches,
        ),
    };
    route.matches.iter().enumerate().map(one).collect()
}

/// The rules of a VirtualService for HTTP, and which are dropped and why.
pub(super) fn rules<'m>(
    scope: &Scope<'_, 'm>,
    service: &'m In<VirtualService>,
) -> (Vec<Rule<'m>>, Vec<Step>) {
    let (mut rules, mut dropped) = (Vec::new(), Vec::new());
    for (position, route) in service.http.iter().enumerate() {
        let own = Rule::own(position, route, service);
        let Some(delegate) = &route.delegate else {
            rules.push(own);
            continue;
        };
        match find(scope, service, delegate) {
            Ok(Some(found)) => merge(&own, route, found, &mut rules, &mut dropped),
            Ok(None) => rules.push(Rule { leaf: None, root: Some(route), ..own }),
            Err(why) => {
                dropped.push(Step::new(format!("{} is dropped: {}", own.name, why.text), why.span));
            }
        }
    }
    (rules, dropped)
}

/// The VirtualService that a rule delegates to; `None` where it may stand outside the input.
fn find<'m>(
    scope: &Scope<'_, 'm>,
    root: &'m In<VirtualService>,
    delegate: &'m crate::kinds::networking::Delegate,
) -> Result<Option<&'m In<VirtualService>>, Step> {
    let mesh = scope.mesh();
    let namespace = value(delegate.namespace.as_ref()).unwrap_or(&root.namespace);
    let name = value(delegate.name.as_ref()).unwrap_or_default();
    let at = delegate.name.as_ref().map_or(root.named_at(), |n| n.span);
    let Some(found) = scope.virtual_service(namespace, name) else {
        if crate::kinds::is_placeholder(name)
            || !mesh.has_seen(root.cluster, "VirtualService", namespace)
        {
            return Ok(None);
        }
        let text = format!("there is no VirtualService `{name}` in `{namespace}` to delegate to");
        return Err(Step::new(text, at));
    };
    if let Some(host) = found.hosts.first() {
        let text = format!("VirtualService `{name}` has hosts, so it is no delegate");
        return Err(Step::new(text, host.span));
    }
    let to: Vec<&str> = found.export_to.iter().map(|t| t.as_str()).collect();
    let default = scope.default_export_of_virtual_services();
    match reach(&to, default, namespace, &root.namespace) {
        Some(_) => Ok(Some(found)),
        None => {
            let text = format!("delegate `{name}` is not exported to `{}`", root.namespace);
            Err(Step::new(text, found.export_to.first().map_or(at, |t| t.span)))
        }
    }
}

/// Puts the rules of a delegate in the place of the rule that delegates.
fn merge<'m>(
    root: &Rule<'m>,
    route: &'m HttpRoute,
    delegate: &'m In<VirtualService>,
    rules: &mut Vec<Rule<'m>>,
    dropped: &mut Vec<Step>,
) {
    for (position, leaf) in delegate.http.iter().enumerate() {
        let name =
            format!("{} with rule {} of delegate `{}`", root.name, position + 1, delegate.name());
        match intersect(&root.matches, &alternatives(position, leaf, delegate)) {
            Ok(matches) => rules.push(Rule {
                name,
                span: begin(leaf).unwrap_or(root.span),
                matches,
                leaf: Some((leaf, delegate)),
                root: Some(route),
                position,
            }),
            Err(why) => {
                dropped.push(Step::new(format!("{name} is dropped: {}", why.text), why.span));
            }
        }
    }
}

/// Each alternative of the leaf, narrowed by each of the root's that it fits. An alternative that fits
/// none of them spoils the rule.
fn intersect<'m>(root: &[Match<'m>], leaf: &[Match<'m>]) -> Result<Vec<Match<'m>>, Step> {
    if root.is_empty() || leaf.is_empty() {
        return Ok(if root.is_empty() { leaf.to_vec() } else { root.to_vec() });
    }
    let mut found = Vec::new();
    for inner in leaf {
        let mut conflict = None;
        let before = found.len();
        for outer in root {
            match conflicting(&outer.asks, &inner.asks) {
                Some(field) => conflict = Some(field),
                None => {
                    let asks = Cow::Owned(narrowed(&outer.asks, &inner.asks));
                    let is_unread = outer.is_unread || inner.is_unread;
                    found.push(Match { asks, span: inner.span, is_unread });
                }
            }
        }
        if let (Some(field), true) = (conflict, found.len() == before) {
            let text = format!("its `{field}` does not fit the match of the rule that delegates");
            return Err(Step::new(text, inner.span));
        }
    }
    Ok(found)
}

/// The field by which two matches conflict.
fn conflicting(root: &HttpMatch, leaf: &HttpMatch) -> Option<&'static str> {
    let texts = [
        ("uri", &root.uri, &leaf.uri),
        ("scheme", &root.scheme, &leaf.scheme),
        ("method", &root.method, &leaf.method),
        ("authority", &root.authority, &leaf.authority),
    ];
    let lists = [
        ("headers", &root.headers, &leaf.headers),
        ("withoutHeaders", &root.without_headers, &leaf.without_headers),
        ("queryParams", &root.query_params, &leaf.query_params),
    ];
    let text = texts.into_iter().find(|(_, r, l)| differ(r.as_ref(), l.as_ref())).map(|t| t.0);
    let list = || {
        let entry = |r: &Entries<StringMatch>, l: &Entries<StringMatch>| {
            l.iter().any(|(key, l)| differ(r.get(key), Some(l)))
        };
        lists.into_iter().find(|(_, r, l)| entry(r, l)).map(|t| t.0)
    };
    let port = || match (&root.port, &leaf.port) {
        (Some(r), Some(l)) if r.value > 0 && l.value > 0 && r != l => Some("port"),
        _ => None,
    };
    text.or_else(list)
        .or_else(|| (root.ignore_uri_case != leaf.ignore_uri_case).then_some("ignoreUriCase"))
        .or_else(port)
        .or_else(|| source_conflict(root, leaf))
}

fn source_conflict(root: &HttpMatch, leaf: &HttpMatch) -> Option<&'static str> {
    let namespace = root.source_namespace.as_ref().filter(|ns| !ns.is_empty());
    if namespace.is_some() && namespace != leaf.source_namespace.as_ref() {
        return Some("sourceNamespace");
    }
    let label = |(key, l): &(Text, Text)| root.source_labels.get(key).is_some_and(|r| r != l);
    if leaf.source_labels.iter().any(label) {
        return Some("sourceLabels");
    }
    let outside = |g: &Text| !root.gateways.contains(g);
    let more = root.gateways.len() < leaf.gateways.len() || leaf.gateways.iter().any(outside);
    (!root.gateways.is_empty() && !leaf.gateways.is_empty() && more).then_some("gateways")
}

/// Whether a leaf's comparison is not surely narrower than the root's.
fn differ(root: Option<&StringMatch>, leaf: Option<&StringMatch>) -> bool {
    let (Some(root), Some(leaf)) = (root, leaf) else { return false };
    let set =
        |text: &Option<Text>| text.as_ref().map(|t| t.value.clone()).filter(|t| !t.is_empty());
    let (exact, prefix) = (set(&leaf.exact), set(&leaf.prefix));
    let leaf_regex = set(&leaf.regex).is_some();
    if set(&root.regex).is_some() && (leaf_regex || exact.is_some() || prefix.is_some()) {
        return true;
    }
    if let Some(root) = set(&root.exact) {
        return leaf_regex || exact != Some(root);
    }
    match (set(&root.prefix), prefix.or(exact)) {
        (Some(root), Some(leaf)) => leaf_regex || !leaf.starts_with(&root),
        _ => true,
    }
}

fn narrowed(root: &HttpMatch, leaf: &HttpMatch) -> HttpMatch {
    let source = leaf.source_namespace.clone().filter(|ns| !ns.is_empty());
    HttpMatch {
        source_labels: union(&root.source_labels, &leaf.source_labels),
        source_namespace: source.or_else(|| root.source_namespace.clone()),
        gateways: if leaf.gateways.is_empty() {
            root.gateways.clone()
        } else {
            leaf.gateways.clone()
        },
        ignore_uri_case: leaf.ignore_uri_case,
        port: leaf.port.filter(|p| p.value > 0).or(root.port),
        uri: leaf.uri.clone().or_else(|| root.uri.clone()),
        headers: union(&root.headers, &leaf.headers),
        without_headers: union(&root.without_headers, &leaf.without_headers),
        query_params: union(&root.query_params, &leaf.query_params),
        method: leaf.method.clone().or_else(|| root.method.clone()),
        authority: leaf.authority.clone().or_else(|| root.authority.clone()),
        scheme: leaf.scheme.clone().or_else(|| root.scheme.clone()),
    }
}

/// The entries of both; the leaf's where both have a key.
fn union<V: Clone>(root: &Entries<V>, leaf: &Entries<V>) -> Entries<V> {
    let own: BTreeSet<&str> = leaf.iter().map(|(key, _)| key.as_str()).collect();
    root.iter().filter(|(key, _)| !own.contains(key.as_str())).chain(leaf).cloned().collect()
}

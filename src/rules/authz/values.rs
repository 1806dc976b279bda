//! Values of policies that are written in a form which no request has.

use std::collections::BTreeSet;

use super::read;
use crate::finding::Findings;
use crate::kinds::is_placeholder;
use crate::kinds::security::{AuthorizationCondition, AuthorizationOperation, AuthorizationSource};
use crate::mesh::Mesh;
use crate::source::{Span, Text};

/// Why no request has a value, and what to write instead.
type Wrong = (&'static str, String);

/// A star counts at one end alone. What is left of a value without that one is taken letter by letter.
fn literal_star(value: &str) -> Option<Wrong> {
    let rest = value.strip_prefix('*').or_else(|| value.strip_suffix('*')).unwrap_or(value);
    rest.contains('*').then(|| {
        let help = "keep one `*`, at the beginning or at the end, or list what is meant";
        ("a `*` counts at one end alone: the other is taken as it stands", help.to_owned())
    })
}

/// Of an identity, without the scheme that istiod puts before it. After a `*` in front it makes a regular
/// expression of the rest. Source: `pilot/pkg/security/authz/matcher/string.go`.
fn of_principal(value: &str) -> Option<Wrong> {
    if let Some(rest) = value.strip_prefix("spiffe://") {
        return Some(("istiod puts `spiffe://` before it by itself", format!("write `{rest}`")));
    }
    if value.starts_with('*') { None } else { literal_star(value) }
}

/// Of a path, which begins with a slash and has no query where policies look at it.
/// Source: `pilot/pkg/security/authz/matcher/path.go`, and `PathMatcher` of Envoy.
fn of_path(value: &str) -> Option<Wrong> {
    // A template counts by its own rules.
    if value.contains('{') {
        return None;
    }
    if let Some((path, _)) = value.split_once('?') {
        let help = format!("write `{path}`: policies cannot look at the query");
        return Some(("the query is no part of the path that is compared", help));
    }
    if !value.starts_with(['/', '*']) {
        return Some(("each path begins with a slash", format!("write `/{value}`")));
    }
    let (why, _) = literal_star(value)?;
    let help = "keep one `*`, at the beginning or at the end; from Istio 1.22 on `{*}` stands for one \
                segment of the path, and `{**}` for several";
    Some((why, help.to_owned()))
}

fn of_source(source: &AuthorizationSource) -> impl Iterator<Item = (&Text, Option<Wrong>)> {
    let principals = source.principals.iter().chain(&source.not_principals);
    principals.map(|told| (told, of_principal(told)))
}

fn of_operation(
    operation: &AuthorizationOperation,
) -> impl Iterator<Item = (&Text, Option<Wrong>)> {
    let paths = operation.paths.iter().chain(&operation.not_paths);
    let hosts = operation.hosts.iter().chain(&operation.not_hosts);
    let hosts = hosts.map(|told| (told, literal_star(told)));
    paths.map(|told| (told, of_path(told))).chain(hosts)
}

pub(in crate::rules) fn impossible_value(mesh: &Mesh, found: &mut Findings) {
    let mut told: BTreeSet<Span> = BTreeSet::new();
    for policy in read(mesh) {
        for rule in policy.rules.iter().flatten() {
            let sources = rule.from.iter().flat_map(|from| of_source(&from.source));
            let when = rule.when.iter().flat_map(AuthorizationCondition::principals);
            let when = when.map(|told| (told, of_principal(told)));
            let all = rule.to.iter().flat_map(|to| of_operation(&to.operation));
            for (value, wrong) in all.chain(sources).chain(when) {
                let Some((why, help)) = wrong.filter(|_| !is_placeholder(value)) else { continue };
                if !told.insert(value.span) {
                    continue;
                }
                let name = policy.name();
                found
                    .say(
                        format!(
                            "no request has `{value}`, which AuthorizationPolicy `{name}` names"
                        ),
                        value.span,
                        why,
                    )
                    .help(help);
            }
        }
    }
}

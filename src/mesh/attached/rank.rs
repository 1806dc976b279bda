//! Which of several rules goes first.

use std::cmp::Reverse;

use super::{Made, Rule};
use crate::kinds::networking::{HttpMatch, HttpRoute, StringMatch};

/// Exact paths, prefixes, regular expressions, none; the longer first; with a method, more headers, more
/// parameters of the query. Source: `conversion.go`, `sortHTTPRoutes`, `getURIRank`, `getURILength`.
type Rank = Reverse<(bool, u8, usize, bool, usize, usize)>;

/// Puts rules in their order; of those that ask for as much, that of the older route comes first. Tells
/// whether the age of routes decides between some.
pub(super) fn sort(made: &mut [Made]) -> bool {
    made.sort_by_key(|made| rank(&made.rule));
    let tied = |(i, a): (usize, &Made)| {
        let equal = made[i + 1..].iter().take_while(|b| rank(&b.rule) == rank(&a.rule));
        equal.filter(|b| b.route != a.route).any(|b| may_both_take(&a.rule, &b.rule))
    };
    made.iter().enumerate().any(tied)
}

fn first_match(rule: &HttpRoute) -> Option<&HttpMatch> {
    rule.matches.first().map(|m| &m.value)
}

fn rank(rule: &Rule) -> Rank {
    let Rule::Http(rule) = rule else { return Reverse((false, 0, 0, false, 0, 0)) };
    let Some(asks) = first_match(rule) else { return Reverse((false, 0, 0, false, 0, 0)) };
    let (kind, long) = match &asks.uri {
        Some(StringMatch { exact: Some(path), .. }) => (3, path.len()),
        Some(StringMatch { prefix: Some(path), .. }) => (2, path.len()),
        Some(StringMatch { regex: Some(path), .. }) => (1, path.len()),
        _ => (0, 0),
    };
    let (headers, query) = (asks.headers.len(), asks.query_params.len());
    Reverse((true, kind, long, asks.method.is_some(), headers, query))
}

/// Whether some request may fit both of two rules that ask for as much.
fn may_both_take(a: &Rule, b: &Rule) -> bool {
    let (Rule::Http(a), Rule::Http(b)) = (a, b) else { return false };
    let (Some(a), Some(b)) = (first_match(a), first_match(b)) else { return true };
    let literal = |uri: &StringMatch| uri.exact.clone().or_else(|| uri.prefix.clone());
    let differ = |a: Option<&StringMatch>, b: Option<&StringMatch>| match (a, b) {
        (Some(a), Some(b)) => match (literal(a), literal(b)) {
            (Some(a), Some(b)) => a != b,
            _ => false,
        },
        _ => false,
    };
    !differ(a.uri.as_ref(), b.uri.as_ref()) && !differ(a.method.as_ref(), b.method.as_ref())
}

//! Whether one match leaves something for another.

use super::patterns::Asked;
use crate::kinds::networking::{HttpMatch, L4Match, StringMatch};
use crate::source::{Spanned, Text};
use crate::yaml::Entries;

/// An alternative of a match, and whether another takes nothing that it does not take.
pub(super) trait Covers {
    /// Whether whatever the other matches is matched by this one too, as far as that can be seen.
    fn covers(&self, other: &Self) -> bool;
}

impl Covers for HttpMatch {
    fn covers(&self, other: &Self) -> bool {
        // Regular expressions look at case whatever is said.
        let by_regex =
            [self, other].iter().any(|it| it.uri.as_ref().is_some_and(|uri| uri.regex.is_some()));
        let case =
            self.ignore_uri_case == other.ignore_uri_case && !(by_regex && self.ignore_uri_case);
        let path =
            self.is_any_path() || case && string_covers(self.uri.as_ref(), other.uri.as_ref());
        let strings = [
            (&self.method, &other.method),
            (&self.authority, &other.authority),
            (&self.scheme, &other.scheme),
        ];
        // Every request has these.
        let is_any =
            |it: &Option<StringMatch>| it.as_ref().is_some_and(|it| Asked::of(it).is_any());
        path && strings.into_iter().all(|(a, b)| is_any(a) || string_covers(a.as_ref(), b.as_ref()))
            && all_covered(&self.headers, &other.headers, string_covers)
            && all_covered(&self.query_params, &other.query_params, string_covers)
            && all_covered(&self.without_headers, &other.without_headers, |a, b| {
                // What must not match may be wider in the other.
                string_covers(b, a)
            })
            && port_covers(self.port.as_ref(), other.port.as_ref())
            && clients_cover(
                (&self.source_labels, self.source_namespace.as_ref(), &self.gateways),
                (&other.source_labels, other.source_namespace.as_ref(), &other.gateways),
            )
    }
}

impl HttpMatch {
    fn is_any_path(&self) -> bool {
        self.uri.as_ref().is_none_or(|uri| match Asked::of(uri) {
            Asked::Prefix(prefix) => matches!(&*prefix, "" | "/"),
            asked => asked.is_any(),
        })
    }
}

impl Covers for L4Match {
    fn covers(&self, other: &Self) -> bool {
        let hosts = self.sni_hosts.is_empty()
            || !other.sni_hosts.is_empty() && all_in(&other.sni_hosts, &self.sni_hosts);
        let subnets = self.destination_subnets.is_empty()
            || !other.destination_subnets.is_empty()
                && all_in(&other.destination_subnets, &self.destination_subnets);
        hosts
            && subnets
            && port_covers(self.port.as_ref(), other.port.as_ref())
            && clients_cover(
                (&self.source_labels, self.source_namespace.as_ref(), &self.gateways),
                (&other.source_labels, other.source_namespace.as_ref(), &other.gateways),
            )
    }
}

fn all_in(some: &[Text], all: &[Text]) -> bool {
    some.iter().all(|text| all.iter().any(|known| known.value == text.value))
}

fn port_covers(a: Option<&Spanned<u32>>, b: Option<&Spanned<u32>>) -> bool {
    a.is_none_or(|a| b.is_some_and(|b| a.value == b.value))
}

type Clients<'m> = (&'m Entries<Text>, Option<&'m Text>, &'m [Text]);

fn clients_cover(a: Clients<'_>, b: Clients<'_>) -> bool {
    let labels = a.0.iter().all(|(key, want)| b.0.get(key.as_str()) == Some(want));
    let namespace = a.1.is_none_or(|want| b.1.is_some_and(|has| has.value == want.value));
    let gateways = a.2.is_empty() || !b.2.is_empty() && all_in(b.2, a.2);
    labels && namespace && gateways
}

/// Whether all that one asks of named values is asked by the other too, and not more narrowly by this one.
fn all_covered(
    a: &Entries<StringMatch>,
    b: &Entries<StringMatch>,
    covers: fn(Option<&StringMatch>, Option<&StringMatch>) -> bool,
) -> bool {
    a.iter().all(|(key, want)| b.get(key.as_str()).is_some_and(|has| covers(Some(want), Some(has))))
}

fn string_covers(a: Option<&StringMatch>, b: Option<&StringMatch>) -> bool {
    let Some(a) = a else { return true };
    let Some(b) = b else { return false };
    Asked::of(a).covers(&Asked::of(b))
}

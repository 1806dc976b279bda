//! Do Services of one host select the same pods?

use super::pairs::pairs;
use crate::clusters::Cluster;
use crate::finding::Findings;
use crate::kinds::core::Service;
use crate::kinds::is_placeholder;
use crate::mesh::{In, Mesh, value};
use crate::source::Text;

/// The first label that two Services do not ask for alike, and what the second asks for; `None` where they
/// select alike, or nobody can tell.
fn difference<'m>(
    mesh: &Mesh,
    one: &'m In<Service>,
    other: &'m In<Service>,
) -> Option<(&'m Text, Option<&'m Text>)> {
    let (left, right) = (one.selector.as_ref()?, other.selector.as_ref()?);
    // Nobody looks at the selector of an alias.
    let alias = one.is_external_name() || other.is_external_name();
    if left.is_empty() || right.is_empty() || alias {
        return None;
    }
    let alike = |here: &str, there: &str| {
        here == there
            || [here, there].iter().any(|text| is_placeholder(text))
            || without_own_name(mesh.cluster(one.cluster), here)
                == without_own_name(mesh.cluster(other.cluster), there)
    };
    let differing = right
        .iter()
        .find(|(key, want)| !value(left.get(key)).is_some_and(|their| alike(their, want)))
        .map(|(key, want)| (key, Some(want)));
    let missing = || left.iter().find(|(key, _)| right.get(key).is_none());
    differing.or_else(|| missing().map(|(key, _)| (key, None)))
}

/// Whether two Services surely select pods of different labels.
pub(super) fn differ(mesh: &Mesh, one: &In<Service>, other: &In<Service>) -> bool {
    difference(mesh, one, other).is_some()
}

pub(super) fn service_selector_differs(mesh: &Mesh, found: &mut Findings) {
    for (host, one, other) in pairs(mesh) {
        let Some((key, want)) = difference(mesh, one, other) else { continue };
        let (a, b) = (mesh.cluster_name(one.cluster), mesh.cluster_name(other.cluster));
        let (at, there) = match want {
            Some(want) => (want.span, format!("`{key}: {want}` in `{b}`")),
            None => (other.named_at(), format!("no `{key}` in `{b}`")),
        };
        let finding = found.say(
            format!("`{}` selects other pods in `{b}` than in `{a}`", host.short()),
            at,
            there,
        );
        match one.selector.as_ref().and_then(|left| left.get(key)) {
            Some(want) => finding.also(want.span, format!("`{key}: {want}` in `{a}`")),
            None => finding.also(one.named_at(), format!("no `{key}` in `{a}`")),
        };
        finding.help("one host is one software: select alike, or give the two their own names");
    }
}

/// A value without the name that a cluster or its network has, where that is a word of it: neither
/// `east` nor `cart-east` is other software than `west` and `cart-west`.
fn without_own_name(cluster: &Cluster, text: &str) -> String {
    let names =
        [Some(cluster.name.as_str()), value(cluster.istio_name()), value(cluster.network())];
    let mut names: Vec<&str> = names.into_iter().flatten().filter(|n| !n.is_empty()).collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let end = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    for name in names {
        for (at, _) in text.match_indices(name) {
            let (before, after) = (&text[..at], &text[at + name.len()..]);
            if end(before.chars().next_back()) && end(after.chars().next()) {
                return format!("{before}*{after}");
            }
        }
    }
    text.to_owned()
}

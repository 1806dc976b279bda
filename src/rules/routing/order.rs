//! Rules and matches that earlier ones leave nothing for.

use std::collections::BTreeSet;

use super::matches::Covers;
use crate::finding::Findings;
use crate::kinds::Meta;
use crate::kinds::networking::{HttpMatch, HttpRoute, L4Match, L4Route, VirtualService};
use crate::mesh::{In, Mesh};
use crate::source::{Span, Spanned};

/// What counts of a rule here.
struct Step<'m, M> {
    /// What it is called.
    name: String,
    /// Where it can be pointed at where it has no match.
    at: Span,
    /// Its alternatives.
    matches: &'m [Spanned<M>],
    /// Whether what it matches may come back to later rules.
    lets_through: bool,
}

fn http(service: &VirtualService) -> Vec<Step<'_, HttpMatch>> {
    let named = |(i, rule): (usize, &'_ HttpRoute)| match &rule.name {
        Some(name) => format!("rule `{name}`"),
        None => format!("HTTP rule {}", i + 1),
    };
    let place = |rule: &HttpRoute| {
        let destination = rule.route.iter().find_map(|r| r.destination.as_ref());
        let host = destination.and_then(|d| d.host.as_ref()).map(|h| h.span);
        let other = [
            &rule.redirect.as_ref().map(|r| r.span),
            &rule.direct_response.as_ref().map(|r| r.span),
        ];
        let delegate = rule.delegate.as_ref().and_then(|d| d.name.as_ref()).map(|n| n.span);
        let name = rule.name.as_ref().map(|n| n.span);
        name.or(host).or(delegate).or(other.into_iter().find_map(|o| *o))
    };
    let all = service.http.iter().enumerate();
    all.filter_map(|(i, rule)| {
        let at = rule.matches.first().map(|m| m.span).or_else(|| place(rule))?;
        let lets_through = rule.delegate.is_some();
        Some(Step { name: named((i, rule)), at, matches: &rule.matches, lets_through })
    })
    .collect()
}

fn l4<'m>(rules: &'m [L4Route], what: &str) -> Vec<Step<'m, L4Match>> {
    let place = |rule: &L4Route| {
        let destination = rule.route.iter().find_map(|r| r.destination.as_ref());
        destination.and_then(|d| d.host.as_ref()).map(|h| h.span)
    };
    let all = rules.iter().enumerate();
    all.filter_map(|(i, rule)| {
        let at = rule.matches.first().map(|m| m.span).or_else(|| place(rule))?;
        let name = format!("{what} rule {}", i + 1);
        Some(Step { name, at, matches: &rule.matches, lets_through: false })
    })
    .collect()
}

/// A match, or a rule without any, that an earlier one leaves nothing for.
struct Shadow {
    /// The place of the match.
    at: Span,
    /// What takes its requests.
    by: (String, Span),
}

/// A rule with what is shadowed of it.
struct Shadowed {
    name: String,
    at: Span,
    shadows: Vec<Shadow>,
    /// Whether nothing is left for the rule.
    whole: bool,
}

fn shadowed<M: Covers>(steps: &[Step<'_, M>]) -> Vec<Shadowed> {
    let mut found = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        let earlier = || steps[..i].iter().filter(|e| !e.lets_through);
        let takes_all = |e: &&Step<'_, M>| e.matches.is_empty();
        if let Some(all) = earlier().find(takes_all) {
            let shadows = vec![Shadow { at: step.at, by: (all.name.clone(), all.at) }];
            found.push(Shadowed { name: step.name.clone(), at: step.at, shadows, whole: true });
            continue;
        }
        let mut shadows = Vec::new();
        for (k, one) in step.matches.iter().enumerate() {
            let taken = earlier().find_map(|e| {
                let by = e.matches.iter().find(|m| m.value.covers(&one.value))?;
                Some((e.name.clone(), by.span))
            });
            let own = || {
                let by = step.matches[..k].iter().find(|m| m.value.covers(&one.value))?;
                Some((step.name.clone(), by.span))
            };
            if let Some(by) = taken.or_else(own) {
                shadows.push(Shadow { at: one.span, by });
            }
        }
        let by_others = |s: &Shadow| s.by.0 != step.name;
        let whole = !shadows.is_empty()
            && shadows.len() == step.matches.len()
            && shadows.iter().any(by_others);
        if !shadows.is_empty() {
            found.push(Shadowed { name: step.name.clone(), at: step.at, shadows, whole });
        }
    }
    found
}

fn all_shadowed(service: &In<VirtualService>) -> Vec<Shadowed> {
    let mut all = shadowed(&http(service));
    all.extend(shadowed(&l4(&service.tls, "TLS")));
    all.extend(shadowed(&l4(&service.tcp, "TCP")));
    all
}

/// Whether nothing of a VirtualService's matches is still to be filled in.
fn is_read_whole(meta: &Meta) -> bool {
    !meta.is_filled_in && !meta.unread.iter().any(|path| path.contains("match"))
}

/// VirtualServices whose text is what is applied, each text once.
fn texts(mesh: &Mesh) -> Vec<&In<VirtualService>> {
    let mut told = BTreeSet::new();
    let services = mesh.virtual_services.iter().filter(|s| is_read_whole(&s.meta));
    services.filter(|s| told.insert(s.meta.text())).collect()
}

pub(super) fn unreachable_rule(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for service in texts(mesh) {
        for rule in all_shadowed(service).into_iter().filter(|rule| rule.whole) {
            if !told.insert(rule.at) {
                continue;
            }
            let by = &rule.shadows[0].by;
            let finding = found.say(
                format!("{} of VirtualService `{}` is never reached", rule.name, service.name()),
                rule.at,
                format!("{} takes these requests before", by.0),
            );
            for shadow in &rule.shadows {
                finding.also(shadow.at, "nothing is left for this one either");
            }
            for shadow in &rule.shadows {
                finding.also(shadow.by.1, "takes what comes first");
            }
            finding.help("the first rule that matches wins: move the narrower rule before the wider one, or remove it");
        }
    }
}

pub(super) fn ineffective_match(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for service in texts(mesh) {
        for rule in all_shadowed(service).into_iter().filter(|rule| !rule.whole) {
            for shadow in rule.shadows.iter().filter(|shadow| told.insert(shadow.at)) {
                let same = shadow.by.0 == rule.name;
                let by = if same { "the rule itself".to_owned() } else { shadow.by.0.clone() };
                found
                    .say(
                        format!(
                            "a match of {} of VirtualService `{}` has no effect",
                            rule.name,
                            service.name()
                        ),
                        shadow.at,
                        format!("{by} matches all of this before"),
                    )
                    .also(shadow.by.1, "takes what comes first")
                    .help("remove it, or move it before the wider one");
            }
        }
    }
}

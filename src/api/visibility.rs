//! `exportTo`: which namespaces see a resource.

use std::collections::BTreeMap;

use super::Subject;
use super::fault::Faults;
use super::hosts::is_dns_label;
use super::look::{Look, known_text};

/// Namespaces, `.` for the own one, `*` for all and, where it is allowed, `~` for none.
pub(super) fn check(subject: &Subject<'_>, none_is_allowed: bool, faults: &mut Faults<'_>) {
    let mut first = BTreeMap::new();
    let all: Vec<_> = subject.spec.list("exportTo").collect();
    for &value in &all {
        let Some(text) = known_text(value) else { continue };
        let is_none = none_is_allowed && text == "~";
        if text != "." && text != "*" && !is_none && !is_dns_label(&text) {
            let help = "write the name of a namespace, `.` for the own one, or `*` for all";
            faults.invalid(value, "is not a namespace", help);
            continue;
        }
        if (text == "*" || is_none) && all.len() > 1 {
            let what = format!("is `{text}`, which cannot stand beside others");
            faults.invalid(value, what, format!("leave the others out, or `{text}`"));
        }
        let namespace = if text == "." { subject.namespace.into() } else { text };
        match first.get(&namespace) {
            None => drop(first.insert(namespace, value.span())),
            Some(&there) => {
                let what = "names a namespace that is named already";
                faults.invalid(value, what, "leave one of them out").also = Some((there, "here"));
            }
        }
    }
}

/// A resource for chosen workloads is for those of its own namespace.
pub(super) fn only_own(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    for value in subject.spec.list("exportTo") {
        if known_text(value).is_some_and(|text| text != "." && text != subject.namespace) {
            let help = "write `.`, or leave `workloadSelector` out";
            faults.invalid(
                value,
                "leaves the own namespace, which a rule with `workloadSelector` cannot",
                help,
            );
        }
    }
}

//! Fields: what the API server or Istio's webhook refuses, and what Istio passes over.

use std::collections::{BTreeMap, BTreeSet};

use super::{Rule, rule};
use crate::api::{Cause, Fault};
use crate::finding::{Findings, Fix, Severity};
use crate::mesh::{Faulty, Mesh};
use crate::rules::SHOWN;
use crate::source::Span;

pub(super) const RULES: &[Rule] = &[
    rule!("fields/deprecated", deprecated),
    rule!("fields/duplicate-resource", duplicate_resource),
    rule!("fields/empty-list", empty_list),
    rule!("fields/ignored", ignored),
    rule!("fields/invalid", invalid),
    rule!("fields/missing", missing),
    rule!("fields/newer-than-istio", newer_than_istio),
    rule!("fields/removed-version", removed_version),
    rule!("fields/unknown", unknown),
    rule!("fields/unknown-value", unknown_value),
    rule!("fields/wrong-type", wrong_type),
];

fn deprecated(mesh: &Mesh, found: &mut Findings) {
    say(mesh, Cause::Deprecated, found);
}

fn empty_list(mesh: &Mesh, found: &mut Findings) {
    say(mesh, Cause::EmptyList, found);
}

fn ignored(mesh: &Mesh, found: &mut Findings) {
    say(mesh, Cause::Ignored, found);
}

fn invalid(mesh: &Mesh, found: &mut Findings) {
    say(mesh, Cause::Invalid, found);
    say(mesh, Cause::Misfit, found);
}

fn missing(mesh: &Mesh, found: &mut Findings) {
    say(mesh, Cause::Missing, found);
}

fn newer_than_istio(mesh: &Mesh, found: &mut Findings) {
    for faulty in of(mesh, Cause::Newer) {
        let fault = &faulty.fault;
        let finding = found.say(&fault.message, fault.span, &fault.label).help(&fault.help);
        let runs = faulty.clusters.iter().filter_map(|id| mesh.cluster(*id).runs()).min();
        if let Some(((major, minor), span)) = runs {
            finding.also(span, format!("the mesh runs {major}.{minor}"));
        }
    }
}

fn removed_version(mesh: &Mesh, found: &mut Findings) {
    // What was written for an old Istio seldom stands alone: of one file it is said once.
    let mut alike: BTreeMap<_, Vec<&Fault>> = BTreeMap::new();
    for Faulty { fault, .. } in of(mesh, Cause::NotServed) {
        let file = mesh.text_at(fault.span.start);
        let key = (file, &fault.message, &fault.label, &fault.help, &fault.instead);
        alike.entry(key).or_default().push(fault);
    }
    for mut faults in alike.into_values() {
        faults.sort_by_key(|fault| fault.span);
        faults.dedup_by_key(|fault| fault.span);
        let fault = faults[0];
        let message = match faults.len() {
            1 => fault.message.clone(),
            n => format!("{}, in {n} resources of this file", fault.message),
        };
        let finding = found.say(message, fault.span, &fault.label).help(&fault.help);
        for other in faults.iter().skip(1).take(SHOWN) {
            finding.also(other.span, "nor is this one");
        }
        if let Some(instead) = &fault.instead {
            let edits = faults.iter().map(|fault| (fault.span, instead.clone())).collect();
            let title = format!("write `{instead}`");
            finding.fix([Fix { title, edits }]);
        }
    }
}

fn unknown(mesh: &Mesh, found: &mut Findings) {
    say(mesh, Cause::Unknown, found);
}

fn unknown_value(mesh: &Mesh, found: &mut Findings) {
    say(mesh, Cause::UnknownValue, found);
}

fn wrong_type(mesh: &Mesh, found: &mut Findings) {
    // The table of fields says more, where it knows the field.
    let told: BTreeSet<Span> = mesh.problems().faults.iter().map(|it| it.fault.span).collect();
    for wrong in mesh.problems().mismatches.iter().filter(|wrong| !told.contains(&wrong.span)) {
        let help = if wrong.is_read {
            "put it in quotes: the API server refuses the resource"
        } else {
            "correct the value: the API server refuses the resource; mesh-lint reads the field as absent"
        };
        let message = format!("`{}` has the wrong type: {}", wrong.path, wrong.message);
        found.say(message, wrong.span, wrong.message.clone()).help(help);
    }
    say(mesh, Cause::WrongType, found);
}

fn of(mesh: &Mesh, cause: Cause) -> impl Iterator<Item = &Faulty> {
    mesh.problems().faults.iter().filter(move |faulty| faulty.fault.cause == cause)
}

/// Says what is wrong in one of the ways.
fn say(mesh: &Mesh, cause: Cause, found: &mut Findings) {
    for Faulty { fault, .. } in of(mesh, cause) {
        let finding = found.say(&fault.message, fault.span, &fault.label).help(&fault.help);
        if let Some((span, text)) = fault.also {
            finding.also(span, text);
        }
        if let Some(instead) = &fault.instead {
            finding.fix([Fix::unsafe_replace(format!("write `{instead}`"), fault.span, instead)]);
        }
        if fault.is_mild {
            let is_warning = cause == Cause::Ignored;
            finding.lower(if is_warning { Severity::Note } else { Severity::Warning });
        }
    }
}

fn duplicate_resource(mesh: &Mesh, found: &mut Findings) {
    for twice in &mesh.problems().duplicates {
        found
            .say(
                format!("the {} `{}` stands twice in this file", twice.kind, twice.name),
                twice.again,
                "this one is applied over the other",
            )
            .also(twice.first, "this one is lost")
            .help("keep one of them, or give them different names");
    }
}

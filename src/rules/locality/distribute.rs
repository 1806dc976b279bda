//! `distribute`: weights by locality.

use std::collections::BTreeMap;

use super::coverage::{distribute_idle_zone, distribute_rounding, distribute_source_missing};
use super::texts::{Entry, SettingText, known_zones, settings};
use crate::finding::{Findings, Fix, Severity};
use crate::mesh::{Locality, LocalityPattern, Lookup, Mesh};
use crate::placement::Placements;
use crate::rules::SHOWN;
use crate::rules::{Rule, rule};
use crate::source::{Span, Text};
use crate::traffic::Traffic;

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("locality/distribute-and-failover", distribute_and_failover),
    rule!("locality/distribute-from-shadowed", distribute_from_shadowed),
    rule!("locality/distribute-from-unknown", distribute_from_unknown),
    rule!("locality/distribute-idle-zone", policies: distribute_idle_zone),
    rule!("locality/distribute-only-own-zone", policies: distribute_only_own_zone),
    rule!("locality/distribute-overlapping", distribute_overlapping),
    rule!("locality/distribute-rounding", policies: distribute_rounding),
    rule!("locality/distribute-source-missing", distribute_source_missing),
    rule!("locality/distribute-to-empty-zone", distribute_to_empty_zone),
    rule!("locality/distribute-weights", distribute_weights),
];

fn distribute_and_failover(mesh: &Mesh, found: &mut Findings) {
    for text in settings(mesh) {
        let Some(entry) = text.entries().next() else { continue };
        let setting = text.setting.setting;
        let failover = setting.failover.first();
        let failover = failover.map(|f| f.from.as_ref().or(f.to.as_ref()).map(|name| name.span));
        let help = "keep `distribute` to split the traffic (an entry with several `to` moves on by \
                    itself), or `failover` to keep it in one place while that is healthy";
        if let Some(span) = failover {
            found
                .say(
                    format!("{} has `distribute` and `failover` at once", text.subject()),
                    span.unwrap_or(setting.span),
                    format!("{}; where it gets in, `failover` does nothing", text.refusal()),
                )
                .also(entry.from.span, "`distribute` goes first")
                .help(help);
        } else if let Some(first) = setting.failover_priority.first() {
            found
                .say(
                    format!(
                        "{} has `distribute` and `failoverPriority` at once: accepted, and the second \
                         does nothing",
                        text.subject()
                    ),
                    first.span,
                    "never looked at",
                )
                .lower(Severity::Warning)
                .also(entry.from.span, "`distribute` goes first")
                .help(help);
        }
    }
}

fn distribute_weights(mesh: &Mesh, found: &mut Findings) {
    for text in settings(mesh).into_iter().filter(|text| text.is_legible(mesh)) {
        let wrong: Vec<(Span, String)> = text.entries().filter_map(Entry::wrong_weights).collect();
        let Some(((span, label), others)) = wrong.split_first() else { continue };
        let finding = found.say(
            format!(
                "weights in `distribute` of {} are not 1 to 100, and 100 in all",
                text.subject()
            ),
            *span,
            label,
        );
        for (span, label) in others.iter().take(SHOWN) {
            finding.also(*span, label);
        }
        finding.help(format!(
            "{}: let the weights of each entry be from 1 to 100 and 100 in all, and leave out a \
             locality that shall get nothing",
            text.refusal()
        ));
    }
}

fn distribute_from_shadowed(mesh: &Mesh, found: &mut Findings) {
    for text in settings(mesh) {
        let entries: Vec<Entry<'_>> = text.entries().collect();
        let shadowed = entries.iter().enumerate().filter_map(|(i, later)| {
            let earlier = entries[..i].iter().find(|e| e.clients().covers(&later.clients()))?;
            Some((later.from, earlier.from))
        });
        let shadowed: Vec<(&Text, &Text)> = shadowed.collect();
        let Some((later, earlier)) = shadowed.first() else { continue };
        let finding = found.say(
            format!("the entry for `{later}` in `distribute` of {} is never used", text.subject()),
            later.span,
            format!("these clients take the entry for `{earlier}`"),
        );
        for (later, earlier) in shadowed.iter().skip(1).take(SHOWN) {
            finding.also(later.span, format!("and these the entry for `{earlier}`"));
        }
        for (_, earlier) in shadowed {
            finding.also(earlier.span, "the first that fits is taken");
        }
        finding.help(format!(
            "let no two entries be for the same clients ({}); only `*` may follow, at the end",
            text.refusal()
        ));
    }
}

fn distribute_from_unknown(mesh: &Mesh, found: &mut Findings) {
    for text in settings(mesh).into_iter().filter(|text| text.is_certain(mesh)) {
        let all = mesh.whereabouts(&text.planes);
        let unknown = text.entries().filter_map(|entry| match all.find(entry.from) {
            Lookup::Absent { nearest } => Some((entry.from, nearest)),
            _ => None,
        });
        let unknown: Vec<(&Text, Option<String>)> = unknown.collect();
        let Some((first, _)) = unknown.first() else { continue };
        let finding = found.say(
            format!(
                "`distribute` of {} has an entry for clients in `{first}`, where nobody is",
                text.subject()
            ),
            first.span,
            "no cluster of the mesh has nodes there: the entry is never used",
        );
        for (from, _) in unknown.iter().skip(1).take(SHOWN) {
            finding.also(from.span, "nor here");
        }
        finding.help(known_zones(&all));
        let taken: Vec<&str> = text.entries().map(|e| e.from.as_str()).collect();
        for (from, nearest) in unknown {
            let free = nearest.filter(|n| !taken.contains(&n.as_str()));
            finding.fix(free.map(|n| Fix::unsafe_replace(format!("use `{n}`"), from.span, n)));
        }
    }
}

fn distribute_to_empty_zone(mesh: &Mesh, found: &mut Findings) {
    for text in settings(mesh).into_iter().filter(|text| text.is_certain(mesh)) {
        let all = mesh.whereabouts(&text.planes);
        let mut nowhere: BTreeMap<&str, Vec<(Entry<'_>, &Text, u32)>> = BTreeMap::new();
        for entry in text.entries().filter(|e| !all.find(e.from).is_absent()) {
            for (to, weight) in entry.to().filter(|(to, _)| all.find(to).is_absent()) {
                nowhere.entry(to.as_str()).or_default().push((entry, to, weight));
            }
        }
        for (name, places) in nowhere {
            let (entry, to, weight) = places[0];
            let effect = if entry.to().all(|(to, _)| all.find(to).is_absent()) {
                "no endpoint can be here, and nothing else is left: 503"
            } else {
                "no endpoint can be here: its share moves to the others"
            };
            let finding = found.say(
                format!(
                    "{} sends {weight} % to `{name}`, which is nowhere in the mesh",
                    text.subject()
                ),
                to.span,
                effect,
            );
            for (entry, to, weight) in places.iter().skip(1).take(SHOWN) {
                finding
                    .also(to.span, format!("and {weight} % of the traffic from `{}`", entry.from));
            }
            finding.help(known_zones(&all));
            let Lookup::Absent { nearest: Some(near) } = all.find(name) else { continue };
            let taken = |e: &Entry<'_>| e.entry.to.iter().any(|(to, _)| to.as_str() == near);
            if !places.iter().any(|(entry, ..)| taken(entry)) {
                let mut fix = Fix::unsafe_replace(format!("use `{near}`"), to.span, near.clone());
                let others = places.iter().skip(1).map(|(_, to, _)| (to.span, near.clone()));
                fix.edits.extend(others);
                finding.fix([fix]);
            }
        }
    }
}

fn distribute_overlapping(mesh: &Mesh, found: &mut Findings) {
    for text in settings(mesh) {
        let pairs: Vec<(&Text, &Text)> = text.entries().flat_map(overlaps).collect();
        let Some((narrow, wide)) = pairs.first() else { continue };
        let finding = found.say(
            format!("`{wide}` and `{narrow}` overlap in one entry of {}", text.subject()),
            narrow.span,
            format!("also of `{wide}`: which weight counts here changes from push to push"),
        );
        let by_chance = pairs.iter().all(|(_, wide)| wide.as_str() == "*");
        for (narrow, wide) in pairs {
            finding.also(wide.span, "overlaps it").also(narrow.span, format!("also of `{wide}`"));
        }
        let by_luck = "Istio's webhook refuses it at some tries and accepts it at others";
        let refusal = if by_chance { by_luck } else { text.refusal() };
        finding.help(format!(
            "name each locality once: write out the zones instead of the wider pattern ({refusal})"
        ));
        if by_chance {
            finding.lower(Severity::Warning);
        }
    }
}

/// Localities of an entry that some endpoint may be in together, the narrower one first.
fn overlaps(entry: Entry<'_>) -> Vec<(&Text, &Text)> {
    let to: Vec<(&Text, LocalityPattern)> =
        entry.to().map(|(to, _)| (to, LocalityPattern::parse(to))).collect();
    let pairs = to.iter().enumerate().filter_map(|(i, (a, pattern))| {
        let (b, other) = to[..i].iter().find(|(_, other)| other.overlaps(pattern))?;
        Some(if other.covers(pattern) { (*a, *b) } else { (*b, *a) })
    });
    pairs.collect()
}

fn distribute_only_own_zone(traffic: &Traffic<'_>, found: &mut Findings) {
    let (mesh, placements) = (traffic.mesh(), traffic.placements());
    for text in settings(mesh) {
        let all = mesh.whereabouts(&text.planes);
        if all.complete && all.zones().len() < 2 {
            continue;
        }
        let pinned = text.entries().filter(|e| !all.find(e.from).is_absent());
        let pinned: Vec<(Entry<'_>, &Text)> =
            pinned.filter_map(|entry| Some((entry, only_own_zone(entry)?))).collect();
        let pinned: Vec<_> = pinned
            .into_iter()
            .filter(|(entry, _)| may_be_elsewhere(mesh, placements, &text, entry))
            .collect();
        let Some((entry, to)) = pinned.first() else { continue };
        let zone = entry.clients();
        let zone = zone.zone().unwrap_or_default();
        let finding = found.say(
            format!(
                "`distribute` of {} keeps requests in the client's own zone, with no way out",
                text.subject()
            ),
            to.span,
            format!("503 for clients in `{zone}` when no endpoint in `{zone}` is healthy, in spite of outlierDetection"),
        );
        for (entry, to) in pinned.iter().skip(1).take(SHOWN) {
            finding.also(to.span, format!("the same for `{}`", entry.from));
        }
        finding.help(
            "drop `distribute`: with `outlierDetection: {maxEjectionPercent: 100}` alone traffic stays \
             in its zone, and leaves it when that fails; or give other zones a share",
        );
    }
}

/// The first of an entry's localities, where all of them are in the one zone its clients are in.
fn only_own_zone(entry: Entry<'_>) -> Option<&Text> {
    let own = entry.clients();
    let zone = own.zone().and(own.region())?;
    let mut to = entry.to().map(|(to, _)| (to, LocalityPattern::parse(to)));
    let inside = |p: &LocalityPattern| p.zone() == own.zone() && p.region() == own.region();
    let (first, pattern) = to.next()?;
    (!zone.is_empty() && inside(&pattern) && to.all(|(_, p)| inside(&p))).then_some(first)
}

/// Whether there may be an endpoint that the entry keeps its clients from. A zone without any replica
/// is said to have none.
fn may_be_elsewhere<'m>(
    mesh: &'m Mesh,
    placements: &Placements<'m>,
    text: &SettingText<'m>,
    entry: &Entry<'m>,
) -> bool {
    let Some(host) = text.host(mesh) else { return true };
    let subset = text.subset(mesh, host);
    let replicas = placements.of_host(host, text.setting.cluster, subset);
    replicas.is_none_or(|replicas| {
        let own = entry.clients();
        let is_own = |zone: &Locality| {
            own.zone() == Some(zone.zone.as_str()) && own.region() == Some(zone.region.as_str())
        };
        let open = |wanted: bool| {
            replicas.zones.iter().any(|(zone, b)| is_own(zone) == wanted && b.most > 0)
        };
        !replicas.known || open(true) && open(false)
    })
}

//! `failover` and `failoverPriority`: which endpoints take over.

use std::collections::BTreeMap;

use super::texts::{SettingText, settings};
use super::{networks, priority};
use crate::finding::{Findings, Fix, Severity};
use crate::kinds::is_placeholder;
use crate::mesh::{LocalityPattern, Lookup, Mesh, Whereabouts, list};
use crate::rules::SHOWN;
use crate::rules::{Rule, rule};
use crate::source::{Span, Text};
use crate::traffic::Traffic;

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!("locality/failover-duplicate-from", failover_duplicate_from),
    rule!("locality/failover-names-zone", failover_names_zone),
    rule!(
        "locality/failover-priority-across-networks",
        policies: networks::failover_priority_across_networks
    ),
    rule!("locality/failover-priority-duplicate-key", priority::failover_priority_duplicate_key),
    rule!("locality/failover-priority-label-absent", priority::failover_priority_label_absent),
    rule!("locality/failover-priority-malformed", priority::failover_priority_malformed),
    rule!("locality/failover-priority-order", priority::failover_priority_order),
    rule!("locality/failover-to-empty-region", policies: failover_to_empty_region),
];

/// The entries of a setting that have both ends.
fn pairs<'m>(text: &SettingText<'m>) -> impl Iterator<Item = (&'m Text, &'m Text)> + use<'m> {
    let entries = text.setting.setting.value.failover.iter();
    entries.filter_map(|entry| Some((entry.from.as_ref()?, entry.to.as_ref()?)))
}

fn failover_duplicate_from(mesh: &Mesh, found: &mut Findings) {
    for text in settings(mesh) {
        let mut first: BTreeMap<&str, (&Text, &Text)> = BTreeMap::new();
        let again = pairs(&text).filter_map(|(from, to)| match first.get(from.as_str()) {
            Some(known) => Some((from, to, *known)),
            None => {
                first.insert(from, (from, to));
                None
            }
        });
        let again: Vec<_> = again.collect();
        let Some((from, to, known)) = again.first() else { continue };
        let finding = found.say(
            format!(
                "`failover` of {} has several targets for `{from}`, of which only `{}` counts",
                text.subject(),
                known.1
            ),
            from.span,
            format!("only the first entry for `{from}` counts: `{to}` is like any other region"),
        );
        for (from, to, _) in again.iter().skip(1).take(SHOWN) {
            finding.also(from.span, format!("nor to `{to}`"));
        }
        finding
            .also(known.0.span, format!("goes to `{}` first", known.1))
            .help("keep one entry per region: all other regions follow together after its target");
    }
}

/// A name in `failover` that is not the name of a region.
struct NoRegion<'m> {
    text: &'m Text,
    /// What it is instead.
    is: String,
    /// The region that is meant.
    meant: Option<String>,
}

fn failover_names_zone(mesh: &Mesh, found: &mut Findings) {
    for text in settings(mesh) {
        let all = mesh.whereabouts(&text.planes);
        let certain = text.is_certain(mesh);
        let mut wrong: Vec<NoRegion<'_>> = Vec::new();
        let mut fixes = Vec::new();
        for (from, to) in pairs(&text) {
            let (a, b) = (no_region(&all, from, certain), no_region(&all, to, certain));
            let meant = |wrong: &Option<NoRegion<'_>>, text: &Text| match wrong {
                Some(wrong) => wrong.meant.clone(),
                None => Some(text.value.clone()),
            };
            // Within one region there is nothing to fail over.
            let differ = meant(&a, from).zip(meant(&b, to)).is_some_and(|(a, b)| a != b);
            for wrong in a.iter().chain(&b).filter(|_| differ) {
                if let Some(region) = &wrong.meant {
                    let title = format!("use `{region}`");
                    fixes.push(Fix::unsafe_replace(title, wrong.text.span, region.clone()));
                }
            }
            wrong.extend(a.into_iter().chain(b));
        }
        let Some(first) = wrong.first() else { continue };
        let finding = found.say(
            format!(
                "`failover` of {} names `{}`, which is {}",
                text.subject(),
                first.text,
                first.is
            ),
            first.text.span,
            if first.text.contains('/') {
                "the API server refuses a `/`; where it gets in, the entry has no effect"
            } else {
                "no region: the entry has no effect"
            },
        );
        for other in wrong.iter().skip(1).take(SHOWN) {
            finding.also(other.text.span, format!("this is {}", other.is));
        }
        if !wrong.iter().any(|wrong| wrong.text.contains('/')) {
            finding.lower(Severity::Warning);
        }
        finding.help(help_for_regions(&all)).fix(fixes);
    }
}

fn help_for_regions(all: &Whereabouts) -> String {
    let regions = all.regions();
    let known = if regions.is_empty() {
        String::new()
    } else {
        format!(" (the known ones are {})", list(regions.into_iter().take(2 * SHOWN)))
    };
    format!(
        "name regions{known}, or drop the entry: with outlierDetection the own zone goes first and the \
         others of the region follow by themselves"
    )
}

/// Why a name is not that of a region. Only where the setting is certain is a name called unknown.
fn no_region<'m>(all: &Whereabouts, text: &'m Text, certain: bool) -> Option<NoRegion<'m>> {
    if is_placeholder(text) || text.contains('*') || all.has_region(text) {
        return None;
    }
    if let Some((region, _)) = text.split_once('/') {
        let meant = Some(region.to_owned()).filter(|region| !region.is_empty());
        return Some(NoRegion { text, is: "more than a region".to_owned(), meant });
    }
    if let Some(zone) = all.zone_called(text) {
        let region = Some(zone.region).filter(|region| !region.is_empty());
        let of = region.as_ref().map(|region| format!(" of `{region}`")).unwrap_or_default();
        return Some(NoRegion { text, is: format!("a zone{of}"), meant: region });
    }
    match all.find(text) {
        Lookup::Absent { nearest } if certain => {
            Some(NoRegion { text, is: "no region of the mesh".to_owned(), meant: nearest })
        }
        _ => None,
    }
}

fn failover_to_empty_region(traffic: &Traffic<'_>, found: &mut Findings) {
    let (mesh, placements) = (traffic.mesh(), traffic.placements());
    for text in settings(mesh).into_iter().filter(|text| text.is_certain(mesh)) {
        let Some(host) = text.host(mesh) else { continue };
        let all = mesh.whereabouts(&text.planes);
        let known = |name: &Text| all.has_region(name);
        let counted: Vec<_> =
            pairs(&text).filter(|(from, to)| known(from) && known(to) && from != to).collect();
        let local = text.planes.iter().any(|plane| mesh.is_cluster_local(host.name, *plane));
        if counted.is_empty() || local {
            continue;
        }
        let subset = text.subset(mesh, host);
        let replicas = placements.of_host(host, text.setting.cluster, subset);
        let Some(replicas) = replicas.filter(|replicas| replicas.known) else { continue };
        let empty = counted.iter().filter(|(_, to)| {
            let region = LocalityPattern::parse(to);
            replicas.matching(&region).most == 0
                && !mesh.may_have_unseen(host, text.setting.cluster, &region)
        });
        let empty: Vec<(&Text, Span)> = empty.map(|(_, to)| (*to, to.span)).collect();
        let Some((to, span)) = empty.first() else { continue };
        let finding = found.say(
            format!("`{}` fails over to `{to}`, where it has no replica", host.short()),
            *span,
            "nobody is there: all other regions follow at once, in no order",
        );
        for (to, span) in empty.iter().skip(1).take(SHOWN) {
            finding.also(*span, format!("nor in `{to}`"));
        }
        for (workload, _) in replicas.workloads.iter().take(SHOWN) {
            finding.also(workload.named_at(), "its replicas are in other regions");
        }
        finding.help("deploy replicas into the region, or fail over to one that has some");
    }
}

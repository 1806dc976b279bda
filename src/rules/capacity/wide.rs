//! Weights that hold for several hosts, the mesh's own and those of a pattern: which hosts have no
//! replica where they send something.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::{Findings, Severity};
use crate::kinds::networking::{Distribute, LocalityLb};
use crate::mesh::{HostPattern, LocalityPattern, fqdn, list, short};
use crate::source::{Span, Spanned, Text};
use crate::traffic::Traffic;
use crate::traffic::clients::Visit;
use crate::traffic::destination::{Delivery, Destination};
use crate::traffic::setting::{By, Setting};

/// How many hosts one finding names.
const SHOWN: usize = 5;

/// What an entry sends to a locality, and hosts that certainly have no replica there.
struct Empty<'m> {
    to: &'m Text,
    weight: u32,
    hosts: BTreeMap<&'m str, Span>,
}

/// An entry of which some part goes nowhere.
struct Entry<'m> {
    from: &'m Text,
    /// Whose weights they are, in words.
    whose: String,
    /// By the place of the weight.
    empty: BTreeMap<Span, Empty<'m>>,
}

/// By the place of the entry, and by whether anything is left for the hosts.
type Entries<'m> = BTreeMap<(Span, bool), Entry<'m>>;

/// Says which hosts have no replica where weights send something that are not for them alone.
pub(super) fn say(traffic: &Traffic<'_>, found: &mut Findings) {
    let mut entries = Entries::new();
    for visit in traffic.visits() {
        for (destination, _) in visit.way.destinations() {
            if let Some((setting, whose)) = wide_setting(traffic, destination) {
                note(traffic, visit, destination, setting, &whose, &mut entries);
            }
        }
    }
    for ((_, is_left), entry) in entries {
        say_of(&entry, is_left, found);
    }
}

/// The weights that count for a destination, where they are not for its host alone, and whose they are.
fn wide_setting<'m>(
    traffic: &Traffic<'m>,
    destination: &Destination<'m>,
) -> Option<(&'m Spanned<LocalityLb>, String)> {
    let Setting::Locality { setting, by } = destination.setting else { return None };
    // Endpoints of other clusters do not count for a host that is local to its cluster.
    let local = destination.terms.filter.cluster_local;
    let gateway = destination.service.is_some_and(|s| traffic.mesh().is_gateway(s));
    let balanced = destination.delivery == Delivery::Balanced;
    if local || gateway || !balanced || destination.subset.is_some() {
        return None;
    }
    match by {
        By::Mesh(_) => Some((setting, "the mesh's `distribute`".to_owned())),
        By::Rule(rule, _) => {
            let host = fqdn(rule.host.as_ref()?, &rule.namespace);
            let wide = HostPattern(&host).is_wildcard();
            wide.then(|| (setting, format!("`distribute` of `{}`", short(&host))))
        }
    }
}

/// Notes what the entries send to localities without a replica of a destination.
fn note<'m>(
    traffic: &Traffic<'m>,
    visit: &Visit<'m>,
    destination: &Destination<'m>,
    setting: &'m Spanned<LocalityLb>,
    whose: &str,
    entries: &mut Entries<'m>,
) {
    let (mesh, plane) = (traffic.mesh(), destination.plane);
    let somewhere = mesh.whereabouts(&[plane]);
    let is_empty = |to: &Text| {
        let pattern = LocalityPattern::parse(to);
        let mut pools = destination.pools();
        let known = pattern.subzone().is_none() && mesh.knows_locality(&pattern, plane);
        known && !pools.any(|p| p.bounds.most > 0 && pattern.matches(&p.identity.locality))
    };
    for entry in used(visit, &setting.distribute) {
        let Some(from) = &entry.from else { continue };
        let to = || entry.to.iter().filter(|(_, weight)| weight.value > 0);
        let empty: Vec<_> = to().filter(|(to, _)| is_empty(to)).collect();
        let is_left = empty.len() < to().count();
        if !is_left && matches!(destination.setting, Setting::Locality { by: By::Mesh(_), .. }) {
            // `locality/mesh-distribute-too-wide` tells that.
            continue;
        }
        // A locality that is nowhere in the mesh is a matter of the setting, not of replicas.
        for (to, weight) in empty.into_iter().filter(|(to, _)| !somewhere.find(to).is_absent()) {
            let known = entries.entry((from.span, is_left)).or_insert_with(|| Entry {
                from,
                whose: whose.to_owned(),
                empty: BTreeMap::new(),
            });
            let part = known.empty.entry(to.span).or_insert_with(|| Empty {
                to,
                weight: weight.value,
                hosts: BTreeMap::new(),
            });
            let at = destination.service.map_or(to.span, crate::mesh::In::named_at);
            part.hosts.entry(destination.host.short()).or_insert(at);
        }
    }
}

/// The entries that clients of a visit take: from each locality the first that fits.
fn used<'m>(visit: &Visit<'m>, entries: &'m [Distribute]) -> Vec<&'m Distribute> {
    let patterns: Vec<Option<LocalityPattern>> =
        entries.iter().map(|e| Some(LocalityPattern::parse(e.from.as_ref()?))).collect();
    let fits = |departure: &crate::traffic::clients::Departure| {
        let matches =
            |p: &Option<LocalityPattern>| p.as_ref().is_some_and(|p| p.matches(&departure.at));
        patterns.iter().position(matches)
    };
    let taken: BTreeSet<usize> = visit.departures.iter().filter_map(fits).collect();
    taken.into_iter().map(|i| &entries[i]).collect()
}

fn say_of(entry: &Entry<'_>, is_left: bool, found: &mut Findings) {
    let mut empty = entry.empty.values();
    let Some(first) = empty.next() else { return };
    let hosts: BTreeMap<&str, Span> =
        entry.empty.values().flat_map(|e| &e.hosts).map(|(host, at)| (*host, *at)).collect();
    let (verb, effect) = if is_left {
        ("have no replica where", "the share moves to the other localities")
    } else {
        ("have no replica in any locality to which", "nothing is left: 503")
    };
    let verb = if hosts.len() == 1 { verb.replacen("have", "has", 1) } else { verb.to_owned() };
    let named = named(hosts.keys().copied());
    let message =
        format!("{named} {verb} {} sends traffic from `{}`: {effect}", entry.whose, entry.from);
    let label = |empty: &Empty<'_>| {
        let hosts = self::named(empty.hosts.keys().copied());
        format!("{} % to `{}`, without a replica of {hosts}", empty.weight, empty.to)
    };
    let finding = found.say(message, first.to.span, label(first));
    for other in empty {
        finding.also(other.to.span, label(other));
    }
    for (host, at) in hosts.iter().take(SHOWN) {
        finding.also(*at, format!("`{host}`"));
    }
    finding.help(
        "deploy replicas into these localities, or give the host a DestinationRule with weights of its own",
    );
    if is_left {
        finding.lower(Severity::Note);
    }
}

/// The first of some hosts, and how many more there are.
fn named<'n>(hosts: impl Iterator<Item = &'n str>) -> String {
    let hosts: Vec<&str> = hosts.collect();
    match hosts.len().saturating_sub(SHOWN) {
        0 => list(hosts),
        more => {
            let shown: Vec<String> = hosts[..SHOWN].iter().map(|h| format!("`{h}`")).collect();
            format!("{} and {more} more", shown.join(", "))
        }
    }
}

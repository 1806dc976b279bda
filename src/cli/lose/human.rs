//! For somebody who has been woken up: what to do first, then what happens and why.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::commands::{self, Command};
use super::{Shown, several, table};
use crate::access::{OF_CA, OF_CLUSTERS, State};
use crate::clusters::Role;
use crate::outage::{Orphan, Plane, Sight, Stay, Wait};

/// Up to so many commands have a line each; more go into one loop.
const SINGLE: usize = 6;
/// How many places a line names.
const PLACES: usize = 3;

pub(super) fn print(shown: &Shown<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    head(shown, out)?;
    isolate(shown, out)?;
    requests(shown, out)?;
    planes(shown, out)?;
    orphans(shown, out)?;
    itself(shown, out)?;
    entrances(shown, out)?;
    watch(shown, out)?;
    unknown(shown, out)
}

fn head(shown: &Shown<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    let lost = shown.outage.lost;
    let guests = shown.mesh.hosted_by(lost.id).map(|c| c.name.as_str());
    let guests: Vec<&str> = guests.collect();
    let role = match (lost.role(), shown.outage.served_by) {
        (Some(Role::Remote), Some(by)) => {
            format!("a remote of `{}`", shown.mesh.cluster_name(by))
        }
        _ if !guests.is_empty() => format!("hosts the control plane of {}", several(guests)),
        (Some(Role::Primary), _) => "a primary".to_owned(),
        (Some(role), _) => format!("a {role}"),
        (None, _) => "a cluster of unknown role".to_owned(),
    };
    let others = shown.mesh.peers(lost.id).filter(|c| c.id != lost.id).map(|c| c.name.as_str());
    let others: Vec<&str> = others.collect();
    if others.is_empty() {
        return writeln!(
            out,
            "{}: {role}, and no other cluster of its mesh is in the input",
            lost.name
        );
    }
    writeln!(out, "if {} is lost: {role} in a mesh with {}", lost.name, several(others))
}

fn title(out: &mut dyn Write, text: &str) -> io::Result<()> {
    writeln!(out, "\n{text}")
}

fn isolate(shown: &Shown<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    let lost = &shown.outage.lost.name;
    let mut groups: BTreeMap<(String, Option<&str>), Vec<(&Plane<'_>, Command, Vec<String>)>> =
        BTreeMap::new();
    for plane in &shown.outage.planes {
        let all = commands::ways(plane)
            .iter()
            .map(|way| (commands::command(shown.context(plane), way), vec![shown.place(way.at())]));
        let unseen = matches!(plane.sight, Sight::Unseen).then(|| {
            let namespace = plane.cluster.facts.system_namespace();
            let name = shown.outage.lost.istio_name().map_or(lost.as_str(), |n| n.as_str());
            (commands::usual(shown.context(plane), namespace, name), Vec::new())
        });
        for (command, places) in all.chain(unseen) {
            let key = (command.pattern.clone(), command.note);
            groups.entry(key).or_default().push((plane, command, places));
        }
    }
    if groups.is_empty() {
        return Ok(());
    }
    title(out, "TO ISOLATE IT (the others keep its endpoints until its secret is gone)")?;
    for ((pattern, note), group) in groups {
        if group.len() > SINGLE {
            let names: Vec<String> =
                group.iter().map(|(plane, ..)| commands::quoted(shown.context(plane))).collect();
            writeln!(out, "  for c in {}; do", names.join(" "))?;
            writeln!(out, "    {pattern}")?;
            writeln!(out, "  done")?;
        } else {
            group.iter().try_for_each(|(_, command, _)| writeln!(out, "  {}", command.text))?;
        }
        if let Some(note) = note {
            writeln!(out, "    ({note})")?;
        }
        let places: Vec<&str> = group.iter().flat_map(|(.., p)| p).map(String::as_str).collect();
        if !places.is_empty() {
            let more = places.len().saturating_sub(PLACES);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let places = places[..places.len().min(PLACES)].join(", ");
            writeln!(
                out,
                "    take it out of the repository too, or delivery brings it back: {places}{more}"
            )?;
        }
    }
    writeln!(
        out,
        "  contexts of kubectl are taken to be called as the clusters are; to undo it, apply the secret again"
    )
}

fn requests(shown: &Shown<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    let outage = shown.outage;
    let others = shown.mesh.peers(outage.lost.id).count() - 1;
    let lines = table::lines(shown.mesh, &outage.harms);
    if others == 0 {
        return Ok(());
    }
    title(out, "REQUESTS THAT FAIL (in the worst zone of the clients)")?;
    let by_dns = outage.harms.iter().filter(|harm| harm.is_headless && harm.shares.is_empty());
    let by_dns: Vec<&str> = by_dns.map(|harm| harm.host.short()).collect();
    match (lines.is_empty(), outage.unknown.is_empty()) {
        (false, _) => shares(shown, &lines, others, out)?,
        (true, true) => {
            writeln!(
                out,
                "  none that is known: no client elsewhere is sent to an endpoint of it"
            )?;
        }
        (true, false) => {
            writeln!(
                out,
                "  NOT KNOWN: the input does not tell enough of its endpoints (see below)"
            )?;
        }
    }
    if by_dns.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "  headless, so clients call its pods for as long as DNS tells them: {}",
        several(by_dns)
    )
}

/// Who is hit, and how hard.
fn shares(
    shown: &Shown<'_, '_>,
    lines: &[table::Line<'_>],
    others: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let outage = shown.outage;
    for row in table::rows(lines, others) {
        writeln!(out, "  {row}")?;
    }
    let hosts = |of: &dyn Fn(&crate::outage::Harm<'_>) -> bool| -> Vec<&str> {
        let found = outage.harms.iter().filter(|harm| !harm.shares.is_empty() && of(harm));
        found.map(|harm| harm.host.short()).collect()
    };
    let mut say = |names: Vec<&str>, text: &str| match names.len() {
        0 => Ok(()),
        _ => writeln!(out, "  {text}: {}", several(names)),
    };
    say(
        hosts(&|h| h.stay == Stay::Nowhere),
        "no endpoint is left elsewhere, 503 UH once taken out",
    )?;
    say(
        hosts(&|h| h.stay == Stay::Unseen),
        "no endpoint elsewhere is in the input, though there may be some",
    )?;
    say(
        hosts(&|h| h.stay != Stay::Nowhere && h.shares.values().any(|s| !s.ejects)),
        "no outlier detection, so nothing throws them out while they are listed",
    )?;
    if lines.iter().any(|line| !line.shares.is_known) {
        writeln!(
            out,
            "  ? not all that decides is in the input: `mesh-lint traffic --to HOST --lose {}` tells what",
            outage.lost.name
        )?;
    }
    writeln!(
        out,
        "  WHILE LISTED lasts some 40 s where its API server sees its nodes go, and until it is isolated where that is silent"
    )
}

/// How long a starting istiod waits, and what then.
fn waits(shown: &Shown<'_, '_>, plane: &Plane<'_>) -> String {
    let lost = &shown.outage.lost.name;
    let then = format!("then serves without {lost}, while replicas that ran before keep it");
    match plane.wait {
        Wait::Default => format!("a new replica waits 30s, {then}"),
        Wait::Set(told) => format!("a new replica waits {told}, {then}"),
        Wait::Forever(told) => {
            format!("a new replica NEVER GETS READY: PILOT_REMOTE_CLUSTER_TIMEOUT is {told}")
        }
        Wait::Open(_) => {
            "how long a new replica waits is filled in elsewhere (PILOT_REMOTE_CLUSTER_TIMEOUT)"
                .to_owned()
        }
    }
}

fn state(shown: &Shown<'_, '_>, plane: &Plane<'_>) -> String {
    let lost = &shown.outage.lost.name;
    let ways = commands::ways(plane);
    match &plane.sight {
        Sight::Not => {
            return format!("does not read {lost}: no secret for it, and the input is complete");
        }
        Sight::Unseen => {
            return format!(
                "no secret for {lost} in the input; if one is made by hand, as all others"
            );
        }
        Sight::By(_) => {}
    }
    let states = || ways.iter().filter_map(|way| way.edge.as_ref().map(|edge| &edge.state));
    let dead = states().find(|s| matches!(s, State::Expired | State::Refused(_)));
    if let Some(dead) = dead.filter(|_| {
        states().count() == ways.len()
            && states().all(|s| !matches!(s, State::Ok | State::Unknown(_)))
    }) {
        return format!("does not read {lost} even now ({dead}): it never had its endpoints");
    }
    format!("keeps what it last saw of {lost}. DO NOT RESTART istiod: {}", waits(shown, plane))
}

fn planes(shown: &Shown<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    let mut alike: BTreeMap<String, Vec<&Plane<'_>>> = BTreeMap::new();
    for plane in &shown.outage.planes {
        alike.entry(state(shown, plane)).or_default().push(plane);
    }
    if alike.is_empty() {
        return Ok(());
    }
    title(out, "CONTROL PLANES OF THE OTHERS")?;
    for (text, planes) in alike {
        let names = several(planes.iter().map(|plane| plane.cluster.name.as_str()));
        let each = if planes.len() > 1 { "each " } else { "" };
        let place = planes.iter().find_map(|plane| match plane.wait {
            Wait::Set(told) | Wait::Forever(told) | Wait::Open(told) => Some(told.span),
            Wait::Default => None,
        });
        let place = place.map(|span| format!(" ({})", shown.place(span))).unwrap_or_default();
        writeln!(out, "  {names}: {each}{text}{place}")?;
    }
    Ok(())
}

fn orphans(shown: &Shown<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    let orphans = &shown.outage.orphans;
    if orphans.is_empty() {
        return Ok(());
    }
    title(
        out,
        "CLUSTERS LEFT WITHOUT A CONTROL PLANE (where its istiod is gone, not just its API server)",
    )?;
    let mut alike: BTreeMap<String, Vec<&Orphan<'_>>> = BTreeMap::new();
    for orphan in orphans {
        alike.entry(heirs(orphan)).or_default().push(orphan);
    }
    for (heirs, orphans) in alike {
        let names = several(orphans.iter().map(|o| o.cluster.name.as_str()));
        let place = orphans.iter().find_map(|o| o.at).map(|at| format!(" ({})", shown.place(at)));
        writeln!(out, "  {names}{}: {heirs}", place.unwrap_or_default())?;
    }
    let injects = orphans.iter().all(|o| o.injects_itself);
    writeln!(
        out,
        "  configuration: running proxies keep theirs; what starts anew gets none and does not become ready"
    )?;
    writeln!(
        out,
        "  injection: {}",
        if injects {
            "goes on, by the istiod of its own that injects"
        } else {
            "new pods of injected namespaces are refused (`failurePolicy: Fail`), so do not restart or scale down"
        }
    )?;
    writeln!(out, "  certificates: {}", lifetime(shown))
}

fn heirs(orphan: &Orphan<'_>) -> String {
    if orphan.heirs.is_empty() {
        return "no other control plane of the input reads it, so none can take it on at once"
            .to_owned();
    }
    let heirs = several(orphan.heirs.iter().map(|c| c.name.as_str()));
    format!(
        "{heirs} could take it on, reading it already: point `remotePilotAddress` and `controlPlaneClusters` there"
    )
}

fn lifetime(shown: &Shown<'_, '_>) -> &'static str {
    if shown.outage.has_foreign_ca {
        "come from elsewhere than istiod, so they are renewed as long as that lasts"
    } else {
        "last 24 h and are renewed at half of that: mTLS fails from 12 h on, all of it after 24 h"
    }
}

fn itself(shown: &Shown<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    let outage = shown.outage;
    title(out, &format!("{} ITSELF, where only its API server is silent", outage.lost.name))?;
    writeln!(
        out,
        "  its pods run and serve; pods that go are listed all the same, new ones are not"
    )?;
    let who = match outage.served_by {
        Some(by) if by != outage.lost.id => format!("istiod of {}", shown.mesh.cluster_name(by)),
        _ => match outage.lost.hosted_in {
            Some(host) => format!("its istiod (in {})", shown.mesh.cluster_name(host)),
            None => "its istiod".to_owned(),
        },
    };
    if outage.is_primary() {
        writeln!(out, "  its istiod serves the configuration it has, and cannot start again")?;
    } else if let Some(host) = outage.lost.hosted_in {
        let host = shown.mesh.cluster_name(host);
        writeln!(
            out,
            "  its istiod runs on in {host}, for all that it serves, with the configuration it has, and cannot start again"
        )?;
    }
    if outage.has_foreign_ca {
        return writeln!(out, "  certificates {}", lifetime(shown));
    }
    writeln!(
        out,
        "  {who} cannot check its proxies' tokens (TokenReview): connections are renewed every {} and fail then, so proxies keep what they have; certificates {}",
        outage.connection_age.map_or("30 min", |told| told.as_str()),
        lifetime(shown)
    )
}

fn entrances(shown: &Shown<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    let entrances = &shown.outage.entrances;
    if entrances.is_empty() {
        return Ok(());
    }
    title(out, "ENTRANCES (take them out of DNS or the global load balancer)")?;
    for service in entrances.iter().take(10) {
        let place = shown.place(service.named_at());
        writeln!(out, "  {}/{} ({place})", service.namespace, service.name())?;
    }
    match entrances.len().saturating_sub(10) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more"),
    }
}

fn watch(shown: &Shown<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    if shown.outage.planes.is_empty() {
        return Ok(());
    }
    title(out, "WATCH (at each istiod of the others)")?;
    for metric in OF_CLUSTERS.iter().chain(&OF_CA) {
        writeln!(out, "  {:44} {}", metric.name, metric.tells)?;
    }
    Ok(())
}

fn unknown(shown: &Shown<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    title(out, "NOT KNOWN FROM FILES")?;
    let outage = shown.outage;
    let unseen = outage.planes.iter().filter(|p| matches!(p.sight, Sight::Unseen));
    let unseen: Vec<&str> = unseen.map(|p| p.cluster.name.as_str()).collect();
    if !unseen.is_empty() {
        writeln!(
            out,
            "  whether {} read it: their secrets for it are not in the input; the shares take it that they do",
            several(unseen)
        )?;
    }
    if !outage.unknown.is_empty() {
        let names = outage.unknown.iter().map(|host| crate::mesh::short(host));
        writeln!(
            out,
            "  what is behind these in {}, or in which zones: {}",
            outage.lost.name,
            several(names)
        )?;
    }
    writeln!(
        out,
        "  whether DNS of the clients has the Service, which replicas of istiod run since when, and who calls whom"
    )
}

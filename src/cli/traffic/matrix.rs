//! Zones against zones: what stays, what leaves, what fails.

use std::collections::BTreeSet;
use std::io::Write;

use serde_json::{Value, json};

use super::super::Failed;
use super::super::args::TrafficFormat;
use super::super::show;
use super::{Asked, path, requests, zone_name};
use crate::clusters::ClusterId;
use crate::mesh::{Host, Locality};
use crate::traffic::clients::same_zone;
use crate::traffic::counts::Interval;
use crate::traffic::flow::Landing;
use crate::traffic::journey::Way;
use crate::traffic::loss::Phase;
use crate::traffic::range::Range;
use crate::traffic::route::Action;
use requests::Requests;

/// What clients of one zone get for a host and port.
struct Line<'m> {
    host: Host<'m>,
    port: u32,
    cluster: ClusterId,
    at: Locality,
    range: Range,
    /// Whether all is known that decides.
    known: bool,
    /// Gigabytes per month from this zone.
    gigabytes: Option<f64>,
}

impl Line<'_> {
    /// The share that arrives where a condition holds.
    fn arriving(&self, at: impl Fn(&Landing) -> bool) -> Interval {
        let here = || self.range.arrivals.iter().filter(|(landing, _)| at(landing));
        let sum = |of: fn(&Interval) -> f64, among: &dyn Fn(&Landing) -> bool| -> f64 {
            self.range.arrivals.iter().filter(|(l, _)| among(l)).map(|(_, share)| of(share)).sum()
        };
        let others = sum(|i| i.least, &|landing| !at(landing));
        let rest: f64 = self.range.failures.values().map(|f| f.least).sum();
        let most = here().map(|(_, share)| share.most).sum::<f64>();
        let least = here().map(|(_, share)| share.least).sum::<f64>();
        // What is not elsewhere has to be here.
        let all = sum(|i| i.most, &|landing| !at(landing))
            + self.range.failures.values().map(|f| f.most).sum::<f64>()
            + self.range.elsewhere.map_or(0.0, |e| e.most)
            + self.range.unseen.map_or(0.0, |e| e.most);
        Interval {
            least: least.max(1.0 - all).max(0.0),
            most: most.min(1.0 - others - rest).max(0.0),
        }
    }

    /// A share; what the input does not tell may be part of any.
    fn shown(&self, share: Interval) -> String {
        match self.range.unseen {
            None => path::share(&self.range, share),
            Some(unseen) if unseen.least >= 1.0 => "?".to_owned(),
            Some(unseen) => {
                let most = (share.most + unseen.most).min(1.0);
                path::share(&self.range, Interval { most, ..share })
            }
        }
    }

    fn stays(&self) -> Interval {
        self.arriving(|l| l.zone.as_ref().is_some_and(|zone| same_zone(zone, &self.at)))
    }

    fn leaves_zone(&self) -> Interval {
        self.arriving(|l| l.zone.as_ref().is_none_or(|zone| !same_zone(zone, &self.at)))
    }

    fn leaves_region(&self) -> Interval {
        self.arriving(|l| l.zone.as_ref().is_some_and(|zone| zone.region != self.at.region))
    }

    fn leaves_cluster(&self) -> Interval {
        self.arriving(|l| l.cluster != self.cluster)
    }

    fn fails(&self) -> Interval {
        let sum = |of: fn(&Interval) -> f64| self.range.failures.values().map(of).sum::<f64>();
        Interval { least: sum(|i| i.least).min(1.0), most: sum(|i| i.most).min(1.0) }
    }
}

pub(super) fn print(asked: &Asked<'_, '_>, out: &mut dyn Write) -> Result<(), Failed> {
    if asked.args.format == TrafficFormat::Mermaid {
        return Err(Failed("a matrix has no drawing: `--format human` or `json`".to_owned()));
    }
    let wanted = wanted(asked)?;
    let mut lines = Vec::new();
    for (host, port, requests) in wanted {
        lines.extend(lines_of(asked, host, port, requests.as_ref())?);
    }
    let gone = lost_clients(asked)?;
    if asked.args.format == TrafficFormat::Json {
        return print_json(asked, &lines, &gone, out);
    }
    let lost: Vec<String> = asked.losses()?.iter().map(|lost| lost.name(asked.mesh())).collect();
    if !lost.is_empty() {
        writeln!(out, "after the loss of {}, once it is noticed", lost.join(" and "))?;
        if !gone.is_empty() {
            let names = gone.iter().map(|(cluster, at)| format!("{cluster} {}", zone_name(at)));
            let names: Vec<String> = names.collect();
            writeln!(out, "left out, since these clients are lost too: {}", names.join(", "))?;
        }
        writeln!(out)?;
    }
    if asked.args.to.is_some() && asked.args.requests.is_none() {
        zones(asked, &lines, out)
    } else {
        summary(asked, &lines, out)
    }
}

/// Hosts and ports that are asked for, with the requests to them where these are told.
fn wanted<'m>(asked: &Asked<'_, 'm>) -> Result<Vec<(Host<'m>, u32, Option<Requests>)>, Failed> {
    if let Some(file) = &asked.args.requests {
        let all = requests::read(file)?.into_iter().map(|told| {
            let (host, port) = asked.host(&told.host)?;
            Ok((host, port, Some(told)))
        });
        return all.collect();
    }
    if let Some(to) = &asked.args.to {
        let (host, port) = asked.host(to)?;
        return Ok(vec![(host, port, None)]);
    }
    // Gateways are called from elsewhere, by no name of theirs.
    let is_gateway = |host: &Host<'m>| host.services().any(|s| asked.mesh().is_gateway(s));
    let all = asked.mesh().hosts().filter(|host| !is_gateway(host));
    Ok(all.flat_map(|host| host.ports().into_iter().map(move |port| (host, port, None))).collect())
}

/// Clients that are asked about and lost themselves, by the name of their cluster.
fn lost_clients<'m>(asked: &Asked<'_, 'm>) -> Result<Vec<(&'m str, Locality)>, Failed> {
    let lost = asked.losses()?;
    let all =
        asked.senders()?.into_iter().flat_map(|(id, all)| all.into_iter().map(move |at| (id, at)));
    let gone = all.filter(|(id, at)| lost.iter().any(|lost| lost.covers(*id, at)));
    Ok(gone.map(|(id, at)| (asked.mesh().cluster_name(id), at)).collect())
}

fn lines_of<'m>(
    asked: &Asked<'_, 'm>,
    host: Host<'m>,
    port: u32,
    requests: Option<&Requests>,
) -> Result<Vec<Line<'m>>, Failed> {
    let lost = asked.losses()?;
    let mut lines = Vec::new();
    for (cluster, mut localities) in asked.senders()? {
        localities.retain(|at| !lost.iter().any(|lost| lost.covers(cluster, at)));
        let client = asked.client(cluster, host)?;
        let journey = asked.traffic.journey(client, host.name, port, &asked.request());
        // Without a request the way that is taken where no condition holds.
        let Some(way) = journey.ways.last() else { continue };
        // Clusters of other meshes do not know it.
        let is_foreign = matches!(way.choice.action, Action::Passthrough(_));
        if is_foreign && asked.args.from.is_none() && asked.args.to.is_none() {
            continue;
        }
        for at in localities {
            let range = asked.traffic.range(&client, &at, way, &lost, Phase::Noticed);
            let known =
                Way::is_known(way, asked.traffic) && !journey.order_decides() && !at.is_empty();
            lines.push(Line { host, port, cluster, at, range, known, gigabytes: None });
        }
    }
    if let Some(requests) = requests {
        #[expect(clippy::cast_precision_loss, reason = "there are few zones")]
        let each = requests.gigabytes() / lines.len().max(1) as f64;
        lines.iter_mut().for_each(|line| line.gigabytes = Some(each));
    }
    Ok(lines)
}

/// A table of cells, columns as wide as their widest; numbers to the right.
fn table(heads: &[String], rows: &[Vec<String>], out: &mut dyn Write) -> Result<(), Failed> {
    let width = |i: usize| {
        let cells = rows.iter().map(|row| row[i].chars().count());
        cells.chain([heads[i].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    for row in std::iter::once(heads).chain(rows.iter().map(Vec::as_slice)) {
        let cells = row.iter().zip(&widths).enumerate().map(|(i, (cell, width))| {
            if i == 0 { format!("{cell:width$}") } else { format!("{cell:>width$}") }
        });
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// One host: zones of clients down, zones of endpoints across.
fn zones(asked: &Asked<'_, '_>, lines: &[Line<'_>], out: &mut dyn Write) -> Result<(), Failed> {
    let Some(first) = lines.first() else { return Ok(()) };
    writeln!(out, "{}:{}: from where (down) to where (across)\n", first.host.short(), first.port)?;
    let places: BTreeSet<&Landing> = lines.iter().flat_map(|l| l.range.arrivals.keys()).collect();
    let name =
        |cluster: ClusterId, zone: &str| format!("{} {zone}", asked.mesh().cluster_name(cluster));
    let mut heads = vec![String::new()];
    heads.extend(places.iter().map(|landing| {
        name(landing.cluster, landing.zone.as_ref().map_or("any zone", |zone| zone.zone.as_str()))
    }));
    heads.push("stays".to_owned());
    heads.push("leaves".to_owned());
    heads.push("fails".to_owned());
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let zone =
                if line.at.zone.is_empty() { zone_name(&line.at) } else { line.at.zone.clone() };
            let mut row = vec![name(line.cluster, &zone)];
            row.extend(places.iter().map(|landing| {
                line.range
                    .arrivals
                    .get(*landing)
                    .map_or_else(|| "-".to_owned(), |share| line.shown(*share))
            }));
            row.extend([line.stays(), line.leaves_zone(), line.fails()].map(|i| line.shown(i)));
            row
        })
        .collect();
    table(&heads, &rows, out)?;
    doubts(lines, out)
}

/// Many hosts: a row for each and each zone of clients.
fn summary(asked: &Asked<'_, '_>, lines: &[Line<'_>], out: &mut dyn Write) -> Result<(), Failed> {
    let with_bytes = lines.iter().any(|line| line.gigabytes.is_some());
    let mut heads: Vec<String> = [
        "host",
        "from",
        "stays in zone",
        "leaves zone",
        "leaves region",
        "leaves cluster",
        "fails",
    ]
    .map(str::to_owned)
    .into();
    if with_bytes {
        heads.push("GB a month out of the zone".to_owned());
    }
    let cells = |line: &Line<'_>| {
        let shares = [
            line.stays(),
            line.leaves_zone(),
            line.leaves_region(),
            line.leaves_cluster(),
            line.fails(),
        ];
        let mut cells: Vec<String> = shares.iter().map(|share| line.shown(*share)).collect();
        if let Some(all) = line.gigabytes {
            cells.push(amount(all * shares[1].least, all * shares[1].most));
        }
        cells
    };
    let mut rows = Vec::new();
    for same in alike(lines, cells) {
        let ports: Vec<String> = same.ports.iter().map(ToString::to_string).collect();
        let doubt = if same.lines.iter().all(|line| line.known) { "" } else { " ?" };
        let mut row = vec![format!("{}:{}{doubt}", same.lines[0].host.short(), ports.join(","))];
        row.push(from(asked, &same.lines));
        row.extend(same.cells);
        rows.push(row);
    }
    let total = |of: fn(&Interval) -> f64| -> f64 {
        lines.iter().filter_map(|line| Some(line.gigabytes? * of(&line.leaves_zone()))).sum()
    };
    let (least, most) = (total(|i| i.least), total(|i| i.most));
    table(&heads, &rows, out)?;
    if with_bytes {
        write!(out, "\nout of their zone: {} GB a month", amount(least, most))?;
        match asked.args.price {
            Some(price) => writeln!(out, ", which costs {}", amount(least * price, most * price))?,
            None => writeln!(out)?,
        }
    }
    doubts(lines, out)
}

/// Lines of one host that say the same.
struct Alike<'l, 'm> {
    ports: Vec<u32>,
    lines: Vec<&'l Line<'m>>,
    cells: Vec<String>,
}

/// Lines with the same cells as one: zones of a port first, then ports with the same lines.
fn alike<'l, 'm>(
    lines: &'l [Line<'m>],
    cells: impl Fn(&Line<'m>) -> Vec<String>,
) -> Vec<Alike<'l, 'm>> {
    let mut found: Vec<Alike<'l, 'm>> = Vec::new();
    let same_port = |a: &Line<'_>, b: &Line<'_>| (a.host.name, a.port) == (b.host.name, b.port);
    for of_port in lines.chunk_by(|a, b| same_port(a, b)) {
        let mut groups: Vec<Alike<'l, 'm>> = Vec::new();
        for line in of_port {
            let cells = cells(line);
            match groups.iter_mut().find(|g| g.cells == cells && g.lines[0].known == line.known) {
                Some(group) => group.lines.push(line),
                None => groups.push(Alike { ports: vec![line.port], lines: vec![line], cells }),
            }
        }
        let same = |a: &Alike<'_, '_>, b: &Alike<'_, '_>| {
            let from = |l: &&Line<'_>| (l.cluster, l.at.clone());
            a.cells == b.cells && a.lines.iter().map(from).eq(b.lines.iter().map(from))
        };
        let before = found.len().checked_sub(groups.len());
        let before = before.filter(|&at| {
            found[at..]
                .iter()
                .zip(&groups)
                .all(|(a, b)| a.lines[0].host.name == b.lines[0].host.name && same(a, b))
        });
        match before {
            Some(at) => found[at..].iter_mut().for_each(|known| known.ports.push(of_port[0].port)),
            None => found.append(&mut groups),
        }
    }
    found
}

/// `east us-east-1/us-east-1a`, `east, 3 zones`, `6 zones of 2 clusters`.
fn from(asked: &Asked<'_, '_>, lines: &[&Line<'_>]) -> String {
    let clusters: BTreeSet<ClusterId> = lines.iter().map(|line| line.cluster).collect();
    let name = asked.mesh().cluster_name(lines[0].cluster);
    match (lines, clusters.len()) {
        ([only], _) => format!("{name} {}", zone_name(&only.at)),
        (several, 1) => format!("{name}, {} zones", several.len()),
        (several, clusters) => format!("{} zones of {clusters} clusters", several.len()),
    }
}

/// `12`, `12 to 15`.
fn amount(least: f64, most: f64) -> String {
    let number =
        |n: f64| if n + 0.0 < 10.0 { format!("{:.2}", n + 0.0) } else { format!("{n:.0}") };
    let (least, most) = (number(least), number(most));
    if least == most { least } else { format!("{least} to {most}") }
}

fn doubts(lines: &[Line<'_>], out: &mut dyn Write) -> Result<(), Failed> {
    if lines.iter().any(|line| !line.known) {
        let told = "?: not all that decides is in the input; --to HOST tells what is missing";
        writeln!(out, "\n{told}")?;
    }
    if lines.iter().any(|line| line.range.is_sampled) {
        writeln!(out, "\n{}", path::SAMPLED)?;
    }
    Ok(())
}

fn print_json(
    asked: &Asked<'_, '_>,
    lines: &[Line<'_>],
    gone: &[(&str, Locality)],
    out: &mut dyn Write,
) -> Result<(), Failed> {
    let lost: Vec<String> = asked.losses()?.iter().map(|lost| lost.name(asked.mesh())).collect();
    // Without a negative zero.
    let interval = |i: Interval| json!({"least": i.least + 0.0, "most": i.most + 0.0});
    let rows: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!({
                "host": line.host.name, "port": line.port, "known": line.known,
                "sampled": line.range.is_sampled,
                "cluster": asked.mesh().cluster_name(line.cluster), "locality": line.at.to_string(),
                "shares": path::shares(asked, &line.range),
                "stays": interval(line.stays()), "leavesZone": interval(line.leaves_zone()),
                "leavesRegion": interval(line.leaves_region()),
                "leavesCluster": interval(line.leaves_cluster()), "fails": interval(line.fails()),
                "gigabytesPerMonth": line.gigabytes,
            })
        })
        .collect();
    let gone =
        gone.iter().map(|(cluster, at)| json!({"cluster": cluster, "locality": at.to_string()}));
    let gone: Vec<Value> = gone.collect();
    show::json(&json!({"version": 1, "lost": lost, "lostClients": gone, "rows": rows}), out)
}

//! `mesh-lint clusters --reach`: who may read whose API server, by what, and whether that holds.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde_json::{Value, json};

use super::show;
use super::{CLEAN, Failed, NOTHING};
use crate::access::{Access, Auth, Edge, State, edges};
use crate::clusters::{Cluster, ClusterId, Role};
use crate::config::Config;
use crate::lint;
use crate::mesh::Mesh;
use crate::source::Sources;
use crate::trust::Time;

/// Up to so many ways have a line each; more are grouped.
const SINGLE: usize = 24;

/// Names that a cell shows before it counts.
const NAMES: usize = 4;

/// Prints the matrix.
pub(super) fn run(
    sources: &Sources,
    config: &Config,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<u8, Failed> {
    let model = lint::build(sources, config);
    let access = Access::of(&model.mesh);
    let edges = edges(&access);
    let without = without(&access, &edges);
    let shown = Shown { mesh: &model.mesh, sources, without, edges };
    if as_json {
        show::json(&shown.json(), out)?;
    } else {
        show::text(|table| shown.table(table), out)?;
    }
    Ok(if model.placed.is_empty() { NOTHING } else { CLEAN })
}

/// Primaries, and the clusters of their mesh that they have no remote secret for. One whose name a secret
/// has, though it calls itself otherwise, is among the ways.
fn without(access: &Access<'_>, edges: &[Edge<'_>]) -> Vec<(ClusterId, Vec<ClusterId>)> {
    let clusters = access.mesh().clusters().iter();
    let primaries = clusters.filter(|c| c.role() == Some(Role::Primary));
    let is_shown = |from: ClusterId, to: &Cluster| {
        edges.iter().any(|e| e.from == from && e.to.is_none() && e.name == to.name)
    };
    let all = primaries.map(|c| {
        let unread = access.unread(c.id).into_iter().filter(|to| !is_shown(c.id, to));
        (c.id, unread.map(|to| to.id).collect())
    });
    all.filter(|(_, unread): &(_, Vec<_>)| !unread.is_empty()).collect()
}

struct Shown<'s, 'm> {
    mesh: &'m Mesh,
    sources: &'s Sources,
    edges: Vec<Edge<'m>>,
    without: Vec<(ClusterId, Vec<ClusterId>)>,
}

/// A line of the table: ways of one sort, from some clusters to some clusters.
struct Row<'e, 'm> {
    from: Vec<ClusterId>,
    to: To<'m>,
    edges: Vec<&'e Edge<'m>>,
}

/// Where the ways of a line lead.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum To<'m> {
    /// To every other cluster of the mesh but these few.
    Others(BTreeSet<&'m str>),
    /// To these.
    Named(BTreeSet<&'m str>),
}

impl To<'_> {
    fn shown(&self) -> String {
        match self {
            Self::Others(but) if but.is_empty() => "all others".to_owned(),
            Self::Others(but) => format!("all others but {}", several(but.iter().copied())),
            Self::Named(names) => several(names.iter().copied()),
        }
    }
}

impl<'m> Shown<'_, 'm> {
    fn table(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.edges.is_empty() {
            writeln!(
                out,
                "no remote secret in the input: nothing tells who reads whose API server"
            )?;
        } else {
            let heads = ["FROM", "TO", "AUTH", "EXPIRES", "STATE", "SECRET"].map(str::to_owned);
            let rows = self.rows();
            let cells = rows.iter().map(|row| self.cells(row));
            print(out, &std::iter::once(heads).chain(cells).collect::<Vec<_>>())?;
            let mut states: BTreeMap<&str, usize> = BTreeMap::new();
            for edge in &self.edges {
                *states.entry(edge.state.word()).or_default() += 1;
            }
            let counted: Vec<String> =
                states.iter().map(|(word, count)| format!("{count} {word}")).collect();
            let many = self.edges.len();
            let ways = if many == 1 { "way" } else { "ways" };
            writeln!(out, "\n{many} {ways}: {}", counted.join(", "))?;
        }
        for (from, to) in self.grouped_without() {
            let from = several(from.iter().map(|id| self.mesh.cluster_name(*id)));
            writeln!(out, "{from}: no remote secret in the input for {}", to.shown())?;
        }
        Ok(())
    }

    /// One line per way, or one per sort of ways where there are many.
    fn rows(&self) -> Vec<Row<'_, 'm>> {
        let single = |edge| {
            let edge: &Edge<'m> = edge;
            let to = To::Named([self.called(edge)].into());
            Row { from: vec![edge.from], to, edges: vec![edge] }
        };
        if self.edges.len() <= SINGLE {
            return self.edges.iter().map(single).collect();
        }
        let mut by_holder: BTreeMap<(ClusterId, Auth, &State), Vec<&Edge<'m>>> = BTreeMap::new();
        for edge in &self.edges {
            by_holder.entry((edge.from, edge.auth, &edge.state)).or_default().push(edge);
        }
        let mut rows: BTreeMap<(Auth, &State, To<'_>), Row<'_, 'm>> = BTreeMap::new();
        for ((from, auth, state), edges) in by_holder {
            let to = self.to(from, edges.iter().map(|e| self.called(e)));
            let row = rows.entry((auth, state, to.clone())).or_insert_with(|| Row {
                from: Vec::new(),
                to,
                edges: Vec::new(),
            });
            row.from.push(from);
            row.edges.extend(edges);
        }
        let mut rows: Vec<Row<'_, 'm>> = rows.into_values().collect();
        rows.sort_by_key(|row| row.from.first().copied());
        rows
    }

    /// What reports call the cluster that a way leads to; what its secret calls it, where it is not known.
    fn called(&self, edge: &Edge<'m>) -> &'m str {
        edge.to.map_or(edge.name, |to| self.mesh.cluster_name(to))
    }

    /// Names of clusters, or how few of the mesh are not among them.
    fn to(&self, from: ClusterId, names: impl Iterator<Item = &'m str>) -> To<'m> {
        let names: BTreeSet<&str> = names.collect();
        let others = self.mesh.peers(from).filter(|c| c.id != from);
        let is_in = |c: &Cluster| {
            names.contains(c.name.as_str())
                || c.istio_name().is_some_and(|n| names.contains(n.as_str()))
        };
        let (there, but): (Vec<_>, Vec<_>) = others.partition(|c| is_in(c));
        let is_rule = there.len() == names.len() && there.len() > NAMES && but.len() <= NAMES;
        if is_rule {
            To::Others(but.iter().map(|c| c.name.as_str()).collect())
        } else {
            To::Named(names)
        }
    }

    fn grouped_without(&self) -> Vec<(Vec<ClusterId>, To<'m>)> {
        let mut groups: BTreeMap<To<'m>, Vec<ClusterId>> = BTreeMap::new();
        for (from, to) in &self.without {
            let to = self.to(*from, to.iter().map(|id| self.mesh.cluster_name(*id)));
            groups.entry(to).or_default().push(*from);
        }
        let mut groups: Vec<_> = groups.into_iter().map(|(to, from)| (from, to)).collect();
        groups.sort_by_key(|(from, _)| from.first().copied());
        groups
    }

    fn cells(&self, row: &Row<'_, 'm>) -> [String; 6] {
        let first = row.edges[0];
        let ends: BTreeSet<Time> = row.edges.iter().filter_map(|e| e.expires).collect();
        let expires = match (ends.first(), ends.len()) {
            (None, _) => "-".to_owned(),
            (Some(end), 1) if row.edges.iter().all(|e| e.expires.is_some()) => end.to_string(),
            (Some(end), _) => format!("from {end}"),
        };
        let more = match row.edges.len() - 1 {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        [
            several(row.from.iter().map(|id| self.mesh.cluster_name(*id))),
            row.to.shown(),
            first.auth.to_string(),
            expires,
            first.state.to_string(),
            format!(
                "{} ({}){more}",
                first.secret,
                self.sources.line_of(first.at).unwrap_or_default()
            ),
        ]
    }

    fn json(&self) -> Value {
        let name = |id: ClusterId| self.mesh.cluster_name(id);
        let ways = self.edges.iter().map(|edge| {
            let place = self.sources.place(edge.at.start);
            let file = self.sources.file_at(edge.at.start).map(|(_, f)| f.name.as_str());
            json!({
                "from": name(edge.from),
                "to": edge.to.map(name),
                "key": edge.name,
                "secret": edge.secret,
                "file": file,
                "line": place.map(|p| p.line),
                "auth": edge.auth.to_string(),
                "expires": edge.expires.map(|end| end.to_string()),
                "state": edge.state.word(),
                "why": edge.state.why(),
            })
        });
        let without = self.without.iter().map(|(from, to)| {
            let to: Vec<&str> = to.iter().map(|id| name(*id)).collect();
            json!({"from": name(*from), "to": to})
        });
        json!({
            "version": 1,
            "ways": ways.collect::<Vec<_>>(),
            "without": without.collect::<Vec<_>>(),
        })
    }
}

/// Some names, the rest counted.
fn several<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.len() {
        n if n > NAMES + 1 => format!("{} and {} more", names[..NAMES].join(", "), n - NAMES),
        _ => names.join(", "),
    }
}

/// Prints lines of cells below each other.
fn print(out: &mut dyn Write, lines: &[[String; 6]]) -> io::Result<()> {
    let width = |i: usize| lines.iter().map(|l| l[i].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..6).map(width).collect();
    for line in lines {
        // Names are words of the input, which may hold line breaks.
        let shown = |cell: &str| cell.replace(char::is_control, "\u{fffd}");
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{:width$}", shown(cell)));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

//! Hosts that fare alike, in one line.

use std::collections::{BTreeMap, BTreeSet};

use super::several;
use crate::mesh::Mesh;
use crate::outage::{Harm, Shares};

/// A line of the table: hosts and clients that fare alike.
pub(super) struct Line<'m> {
    pub(super) hosts: Vec<&'m str>,
    pub(super) from: Vec<&'m str>,
    pub(super) shares: Shares,
}

/// The shares as a reader sees them.
fn cells(shares: &Shares) -> [String; 3] {
    let sure = if shares.is_known { "" } else { " ?" };
    [shares.now, shares.listed, shares.taken_out].map(|share| format!("{share}{sure}"))
}

/// The worst afterwards first, then the worst meanwhile, then by name.
pub(super) fn lines<'m>(mesh: &'m Mesh, harms: &[Harm<'m>]) -> Vec<Line<'m>> {
    let mut lines: BTreeMap<(Vec<&'m str>, [String; 3]), Line<'m>> = BTreeMap::new();
    for harm in harms {
        let mut alike: BTreeMap<[String; 3], (Vec<&'m str>, Shares)> = BTreeMap::new();
        for (cluster, shares) in &harm.shares {
            let entry = alike.entry(cells(shares)).or_insert_with(|| (Vec::new(), *shares));
            entry.0.push(mesh.cluster_name(*cluster));
        }
        for (cells, (from, shares)) in alike {
            let line = Line { hosts: Vec::new(), from: from.clone(), shares };
            lines.entry((from, cells)).or_insert(line).hosts.push(harm.host.short());
        }
    }
    let mut lines: Vec<Line<'m>> = lines.into_values().collect();
    lines.sort_by(|a, b| {
        let worst = |line: &Line<'_>| (line.shares.taken_out.most, line.shares.listed.most);
        let (a_after, a_now) = worst(a);
        let (b_after, b_now) = worst(b);
        b_after.total_cmp(&a_after).then(b_now.total_cmp(&a_now)).then(a.hosts.cmp(&b.hosts))
    });
    lines
}

/// The table as lines of text, without indentation.
pub(super) fn rows(lines: &[Line<'_>], others: usize) -> Vec<String> {
    let heads = ["SERVICE", "FROM", "NOW", "WHILE LISTED", "ONCE TAKEN OUT"].map(str::to_owned);
    let mut all = vec![heads];
    for line in lines {
        let [now, listed, after] = cells(&line.shares);
        let hosts: BTreeSet<&str> = line.hosts.iter().copied().collect();
        let from = match line.from.len() {
            n if n == others && n > 2 => format!("all {n} others"),
            _ => several(line.from.iter().copied()),
        };
        all.push([several(hosts), from, now, listed, after]);
    }
    let width = |i: usize| all.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let row = |row: &[String; 5]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(row).collect()
}

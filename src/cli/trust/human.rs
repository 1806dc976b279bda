//! Tables for people.

use std::io::{self, Write};

use super::view::{Answer, View};
use crate::source::{Sources, Span};
use crate::trust::{Certificate, Domain, Signer, Trust};

/// More columns than these do not fit: groups are listed instead.
const WIDEST: usize = 16;
/// More names than these are counted.
const NAMES: usize = 4;
/// More reasons than these are counted.
const REASONS: usize = 20;

pub(super) fn print(
    trust: &Trust<'_>,
    view: &View,
    sources: &Sources,
    out: &mut dyn Write,
) -> io::Result<()> {
    let all: Vec<usize> = (0..view.clusters.len()).collect();
    let page = Page { trust, view, sources };
    writeln!(out, "mesh of {}", view.names(trust, &all, NAMES))?;
    writeln!(out)?;
    page.matrix(out)?;
    page.groups(out)?;
    page.rotation(out)?;
    for (number, class) in view.classes.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        page.class(number + 1, class, out)?;
    }
    Ok(())
}

struct Page<'p> {
    trust: &'p Trust<'p>,
    view: &'p View,
    sources: &'p Sources,
}

impl Page<'_> {
    /// Rows present their certificates, columns accept them.
    fn matrix(&self, out: &mut dyn Write) -> io::Result<()> {
        let classes = &self.view.classes;
        if classes.len() > WIDEST {
            writeln!(out, "  {} kinds of clusters are too many for a table", classes.len())?;
            return writeln!(out);
        }
        let title = |(at, class): (usize, &Vec<usize>)| {
            format!("{:>2} {}", at + 1, self.view.names(self.trust, class, NAMES))
        };
        let titles: Vec<String> = classes.iter().enumerate().map(title).collect();
        let heading = "presents \\ accepts";
        let width =
            titles.iter().map(|t| t.chars().count()).chain([heading.len()]).max().unwrap_or(0);
        write!(out, "  {heading:<width$}")?;
        for number in 1..=classes.len() {
            write!(out, " {number:>4}")?;
        }
        writeln!(out)?;
        let mut reasons: Vec<String> = Vec::new();
        for (row, title) in titles.iter().enumerate() {
            write!(out, "  {title:<width$}")?;
            for column in 0..classes.len() {
                let answer = self.answer(row, column);
                let word = if let Answer::Unknown(_) = answer { "?" } else { answer.word() };
                write!(out, " {word:>4}")?;
                let told = match answer {
                    Answer::Yes => Vec::new(),
                    Answer::No(why) => vec![format!("no, {} at {}: {why}", row + 1, column + 1)],
                    Answer::Unknown(what) => what.iter().map(|what| format!("?: {what}")).collect(),
                };
                for reason in told {
                    if !reasons.contains(&reason) {
                        reasons.push(reason);
                    }
                }
            }
            writeln!(out)?;
        }
        writeln!(out)?;
        print_reasons(&reasons, out)
    }

    /// A class speaks with the voice of its first member; at itself, of its first two.
    fn answer(&self, row: usize, column: usize) -> Answer {
        let classes = &self.view.classes;
        let (from, to) = (&classes[row], &classes[column]);
        let other = if row == column { to.get(1).unwrap_or(&to[0]) } else { &to[0] };
        self.view.answer(self.trust, from[0], *other)
    }

    fn groups(&self, out: &mut dyn Write) -> io::Result<()> {
        let groups = &self.view.groups;
        if groups.groups.len() < 2 {
            return Ok(());
        }
        for (number, group) in groups.groups.iter().take(REASONS).enumerate() {
            let at = |id: &_| self.view.clusters.iter().position(|c| c == id);
            let class: Vec<usize> = group.iter().filter_map(at).collect();
            let names = self.view.names(self.trust, &class, NAMES);
            writeln!(out, "  group {}: {names}", number + 1)?;
        }
        if let more @ 1.. = groups.groups.len().saturating_sub(REASONS) {
            writeln!(out, "  and {more} groups more")?;
        }
        if self.view.classes.len() > WIDEST {
            let name = |id| self.trust.mesh.cluster_name(id);
            for refused in groups.refused.iter().take(REASONS) {
                let (from, to) = (name(refused.presenter), name(refused.verifier));
                writeln!(out, "  no, {from} at {to}: {}", refused.why)?;
            }
        }
        writeln!(out)
    }

    fn rotation(&self, out: &mut dyn Write) -> io::Result<()> {
        let Some(rotation) = &self.view.rotation else { return Ok(()) };
        let (step, at) = rotation.next();
        writeln!(
            out,
            "  rotation from {} to {}",
            certificate(&rotation.old),
            certificate(&rotation.new)
        )?;
        if at.is_empty() {
            writeln!(out, "  next: {step}")?;
        } else {
            writeln!(out, "  next, in {}: {step}", self.view.names(self.trust, &at, NAMES))?;
        }
        writeln!(out)
    }

    fn class(&self, number: usize, class: &[usize], out: &mut dyn Write) -> io::Result<()> {
        let (trust, view) = (self.trust, self.view);
        writeln!(out, "{number} {}", view.names(trust, class, NAMES))?;
        let mut row = |name: &str, value: &str| writeln!(out, "  {name:<12} {value}");
        let first = view.clusters[class[0]];
        let found = trust.ca_of(first);
        row("signed by", &self.signed_by(class[0]))?;
        for &at in class.iter().take(NAMES) {
            let Some(ca) = trust.ca_of(view.clusters[at]) else { continue };
            if let (Some(signer), false) =
                (&ca.ca.signer, matches!(trust.signer(view.clusters[at]), Signer::Remote(_)))
            {
                row("CA", &format!("{} ({})", certificate(signer), self.place(signer.span)))?;
            }
        }
        if let more @ 1.. = class.len().saturating_sub(NAMES) {
            row("", &format!("and those of {more} more"))?;
        }
        let roots = trust.accepted(first);
        for root in roots {
            let left = trust.now().days_until(root.not_after);
            let left = if left < 0 { "expired".to_owned() } else { format!("{left} days left") };
            let place = self.place(root.span);
            let own = found.is_some_and(|f| f.ca.roots.contains(root));
            let from = if own { "" } else { ", by caCertificates" };
            row("accepts", &format!("{}, {left} ({place}{from})", certificate(root)))?;
        }
        if roots.is_empty() {
            row("accepts", "unknown")?;
        }
        row("trust domain", &self.domain(class[0]))?;
        if let Some(phase) = view.phase(class[0]) {
            row("rotation", &phase.to_string())?;
        }
        Ok(())
    }

    fn signed_by(&self, at: usize) -> String {
        match self.trust.signer(self.view.clusters[at]) {
            Signer::Remote(primary) => {
                format!("the control plane in {}", self.trust.mesh.cluster_name(primary))
            }
            Signer::Unknown => "unknown".to_owned(),
            signer => signer.to_string(),
        }
    }

    fn domain(&self, at: usize) -> String {
        let id = self.view.clusters[at];
        let aliases: Vec<&str> = self.trust.aliases(id).iter().map(|a| a.as_str()).collect();
        let told = match self.trust.domain(id) {
            Domain::Told(text) => format!("{text} ({})", self.place(text.span)),
            Domain::Default => "cluster.local, where nothing else sets one".to_owned(),
            Domain::Unknown => "unknown".to_owned(),
        };
        if aliases.is_empty() { told } else { format!("{told}, alias {}", aliases.join(", ")) }
    }

    fn place(&self, span: Span) -> String {
        self.sources.line_of(span).unwrap_or_default()
    }
}

/// One certificate in a line: name, key and how long.
fn certificate(c: &Certificate) -> String {
    let key = &c.public_key;
    format!(
        "{}, {} key {}, {} to {}",
        c.subject,
        key.kind,
        key.spki.short(),
        c.not_before,
        c.not_after
    )
}

fn print_reasons(reasons: &[String], out: &mut dyn Write) -> io::Result<()> {
    for reason in reasons.iter().take(REASONS) {
        writeln!(out, "  {reason}")?;
    }
    if let more @ 1.. = reasons.len().saturating_sub(REASONS) {
        writeln!(out, "  and {more} reasons more: `--format json` has them all")?;
    }
    if reasons.is_empty() { Ok(()) } else { writeln!(out) }
}

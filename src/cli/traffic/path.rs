//! One path, step by step, and the shares as a table with bars.

use std::collections::BTreeSet;
use std::io::Write;

use serde_json::{Value, json};

use super::super::Failed;
use super::super::show;
use super::answer::{Answer, Column, Otherwise};
use super::{Asked, zone_name};
use crate::source::Span;
use crate::traffic::counts::{Interval, percent};
use crate::traffic::flow::{Failure, Landing};
use crate::traffic::journey::{End, Journey, Part, Way};
use crate::traffic::loss::Phase;
use crate::traffic::range::Range;
use crate::traffic::route::Leg;
use crate::traffic::step::Step;

/// How long a bar of 100 % is.
const BAR: usize = 24;

/// Reasons and tables.
pub(super) fn human(
    asked: &Asked<'_, '_>,
    host: &str,
    port: u32,
    answers: &[Answer<'_>],
    out: &mut dyn Write,
) -> Result<(), Failed> {
    let mut told: Option<String> = None;
    for (i, answer) in answers.iter().enumerate() {
        let cluster = asked.mesh().cluster_name(answer.client.cluster);
        if i > 0 {
            writeln!(out)?;
        }
        let whom = asked.args.client.as_deref().unwrap_or(answer.client.namespace);
        writeln!(out, "{host}:{port} from {} of `{cluster}`, for `{whom}`", zone_name(&answer.at))?;
        let story = story(asked, &answer.journey) + &rivals(asked, &answer.journey);
        // What several zones have in common is told once.
        if told.as_ref() != Some(&story) {
            write!(out, "\n{story}")?;
            told = Some(story);
        }
        for (way, columns) in answer.journey.ways.iter().zip(&answer.columns) {
            if answer.journey.ways.len() > 1 {
                writeln!(out, "\n{}", condition(way))?;
            }
            writeln!(out)?;
            table(asked, way, columns, out)?;
        }
        for other in &answer.otherwise {
            otherwise(asked, answer, other, out)?;
        }
    }
    Ok(())
}

/// What would be other if what files do not tell were otherwise.
fn otherwise(
    asked: &Asked<'_, '_>,
    answer: &Answer<'_>,
    other: &Otherwise<'_>,
    out: &mut dyn Write,
) -> Result<(), Failed> {
    let clause = other.what.clause();
    if other.columns.is_empty() {
        return Ok(writeln!(out, "\n{clause}, the shares would be the same")?);
    }
    writeln!(out, "\n{clause}:")?;
    let known = story(asked, &answer.journey);
    let known: BTreeSet<&str> = known.lines().collect();
    let story = story(asked, &other.journey);
    for (i, line) in story.lines().filter(|line| !known.contains(line)).enumerate() {
        let gap = if i == 0 { "\n" } else { "" };
        writeln!(out, "{gap}{line}")?;
    }
    for (way, columns) in other.journey.ways.iter().zip(&other.columns) {
        if other.journey.ways.len() > 1 {
            writeln!(out, "\n{}", condition(way))?;
        }
        writeln!(out)?;
        table(asked, way, columns, out)?;
    }
    Ok(())
}

/// When a way is taken.
fn condition(way: &Way<'_>) -> String {
    let open: Vec<&str> = way.choice.when.iter().map(|c| c.step.text.as_str()).collect();
    match &open[..] {
        [] => "otherwise".to_owned(),
        _ => format!("if {}", open.join(" and ")),
    }
}

/// A step as a line.
fn line(asked: &Asked<'_, '_>, indent: usize, step: &Step) -> String {
    let place = step.span.and_then(|span| asked.sources.line_of(span));
    let place = place.map(|p| format!("  ({p})")).unwrap_or_default();
    format!("{:indent$}{}{place}\n", "", step.text)
}

fn story(asked: &Asked<'_, '_>, journey: &Journey<'_>) -> String {
    let mut lines: Vec<String> = journey.steps.iter().map(|step| line(asked, 2, step)).collect();
    for way in &journey.ways {
        if journey.ways.len() > 1 {
            lines.push(line(asked, 2, &Step::new(condition(way), None)));
        }
        let legs = way.choice.legs();
        for (i, part) in way.parts.iter().enumerate() {
            lines.push(part_story(asked, part, legs.get(i)));
        }
    }
    lines.concat()
}

/// Where a part of the requests goes, and why.
fn part_story(asked: &Asked<'_, '_>, part: &Part<'_>, leg: Option<&Leg<'_>>) -> String {
    let share = percent(part.share);
    let told = |step: Step| line(asked, 2, &step);
    match &part.end {
        End::At(destination) => {
            let name = leg.map(Leg::cluster_name).unwrap_or_default();
            let span = leg.and_then(|leg| leg.span);
            let mut lines = told(Step::new(format!("{share} to {name}"), span));
            for step in destination.story(asked.mesh()) {
                lines.push_str(&line(asked, 6, &step));
            }
            for doubt in destination.doubts(asked.mesh()) {
                let text = format!("not sure: {}", doubt.text);
                lines.push_str(&line(asked, 6, &Step { text, ..doubt }));
            }
            lines
        }
        End::Fails(failure, why) => {
            let why = why.clone().unwrap_or_else(|| Step::new("", None));
            let text = format!("{share} fails ({failure}): {}", why.text);
            told(Step { text: text.trim_end_matches([':', ' ']).to_owned(), ..why })
        }
        End::Leaves(why) => {
            told(Step { text: format!("{share} leaves: {}", why.text), ..why.clone() })
        }
        End::Unseen(why) => {
            told(Step { text: format!("{share} is not known: {}", why.text), ..why.clone() })
        }
    }
}

/// What would have the host instead.
fn rivals(asked: &Asked<'_, '_>, journey: &Journey<'_>) -> String {
    let told = journey.rivals.iter().map(|rival| {
        let who = if rival.is_several() { "they" } else { "it" };
        let text = format!("were {} older, {who} would have the host", rival.called());
        line(asked, 2, &Step::new(text, rival.named_at()))
    });
    told.collect()
}

/// What a row of the table is about.
enum Row<'r> {
    Place(&'r Landing),
    Failure(Failure),
    AtLast,
    /// Whether some of it goes to pods that the client picks.
    Elsewhere {
        picks: bool,
    },
    Unseen,
}

impl Row<'_> {
    fn name(&self, asked: &Asked<'_, '_>) -> String {
        match self {
            Self::Place(landing) => {
                let cluster = asked.mesh().cluster_name(landing.cluster);
                let zone = landing.zone.as_ref().map_or_else(|| "any zone".to_owned(), zone_name);
                format!("{cluster}  {zone}")
            }
            Self::Failure(failure) => format!("fails  {failure}"),
            Self::AtLast => "fails  even after it is tried again".to_owned(),
            Self::Elsewhere { picks: false } => "leaves the mesh".to_owned(),
            Self::Elsewhere { picks: true } => {
                "goes to the address that the client picks".to_owned()
            }
            Self::Unseen => "not known: the input does not tell where it arrives".to_owned(),
        }
    }

    fn of(&self, range: &Range) -> Interval {
        let found = match self {
            Self::Place(landing) => range.arrivals.get(landing),
            Self::Failure(failure) => range.failures.get(failure),
            Self::AtLast => range.lost_at_last.as_ref(),
            Self::Elsewhere { .. } => range.elsewhere.as_ref(),
            Self::Unseen => range.unseen.as_ref(),
        };
        found.copied().unwrap_or(Interval { least: 0.0, most: 0.0 })
    }
}

/// The rows that some column has something for: places, then what fails, what leaves, what is not known.
fn rows<'r>(way: &Way<'_>, columns: &'r [Column]) -> Vec<Row<'r>> {
    let ranges = || columns.iter().filter_map(|c| c.range.as_ref());
    let places: BTreeSet<&Landing> = ranges().flat_map(|r| r.arrivals.keys()).collect();
    let failures: BTreeSet<Failure> = ranges().flat_map(|r| r.failures.keys().copied()).collect();
    let mut rows: Vec<Row<'_>> = places.into_iter().map(Row::Place).collect();
    for failure in failures {
        rows.push(Row::Failure(failure));
        if failure == Failure::Lost {
            rows.push(Row::AtLast);
        }
    }
    if ranges().any(|r| r.elsewhere.is_some()) {
        rows.push(Row::Elsewhere { picks: way.destinations().next().is_some() });
    }
    if ranges().any(|r| r.unseen.is_some()) {
        rows.push(Row::Unseen);
    }
    rows
}

/// What stands above a column.
fn head(asked: &Asked<'_, '_>, column: &Column) -> String {
    match &column.loss {
        None => "now".to_owned(),
        Some((lost, Phase::Unnoticed)) => format!("{} is lost", lost.name(asked.mesh())),
        Some((_, Phase::Noticed)) => "and noticed".to_owned(),
    }
}

fn cell(row: &Row<'_>, column: &Column) -> String {
    column.range.as_ref().map_or_else(|| "-".to_owned(), |range| share(range, row.of(range)))
}

fn table(
    asked: &Asked<'_, '_>,
    way: &Way<'_>,
    columns: &[Column],
    out: &mut dyn Write,
) -> Result<(), Failed> {
    let rows = rows(way, columns);
    let heads: Vec<String> = columns.iter().map(|column| head(asked, column)).collect();
    let wide = rows.iter().map(|row| row.name(asked).chars().count()).max().unwrap_or(0);
    let width = |(column, head): (&Column, &String)| {
        let cells = rows.iter().map(|row| cell(row, column).chars().count());
        cells.chain([head.chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = columns.iter().zip(&heads).map(width).collect();
    if columns.len() > 1 {
        let mut line = format!("  {:wide$}", "");
        for (i, (head, width)) in heads.iter().zip(&widths).enumerate() {
            let bar = if i == 0 { BAR + 2 } else { 0 };
            line.push_str(&format!("  {head:<width$}{:bar$}", ""));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    for row in &rows {
        let mut line = format!("  {:wide$}", row.name(asked));
        for (i, (column, width)) in columns.iter().zip(&widths).enumerate() {
            line.push_str(&format!("  {:>width$}", cell(row, column)));
            if i == 0 {
                let range = column.range.as_ref();
                let bar = range.map(|r| bar(row.of(r))).unwrap_or_default();
                line.push_str(&format!("  {bar:<BAR$}"));
            }
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    legend(columns, out)
}

/// What the marks in a table mean.
fn legend(columns: &[Column], out: &mut dyn Write) -> Result<(), Failed> {
    if columns.iter().any(|column| column.range.is_none()) {
        writeln!(out, "  -: the client is lost too")?;
    }
    if columns.iter().filter_map(|c| c.range.as_ref()).any(|range| range.is_sampled) {
        writeln!(out, "  {SAMPLED}")?;
    }
    Ok(())
}

/// What the mark of a sample means.
pub(super) const SAMPLED: &str =
    "~: seen among the cases that were tried, of too many; it may be somewhat less or more";

/// A share for people; one that is a sample and not a bound has a mark.
pub(super) fn share(range: &Range, share: Interval) -> String {
    if range.is_sampled { format!("~{share}") } else { share.to_string() }
}

/// `█████░░░`: dark what is sure, light what may be.
fn bar(share: Interval) -> String {
    let long = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a bar has few characters"
        )]
        let long = (share * BAR as f64).round() as usize;
        long.min(BAR)
    };
    let (sure, most) = (long(share.least), long(share.most));
    format!("{}{}", "█".repeat(sure), "░".repeat(most.saturating_sub(sure)))
}

/// The same for programs.
pub(super) fn json(
    asked: &Asked<'_, '_>,
    host: &str,
    port: u32,
    answers: &[Answer<'_>],
    out: &mut dyn Write,
) -> Result<(), Failed> {
    let all: Vec<Value> = answers.iter().map(|a| to_json(asked, a)).collect();
    let whole = json!({"version": 1, "host": host, "port": port, "from": all});
    show::json(&whole, out)
}

fn to_json(asked: &Asked<'_, '_>, answer: &Answer<'_>) -> Value {
    let mesh = asked.mesh();
    let ways = |journey: &Journey<'_>, columns: &[Vec<Column>]| {
        let ways = journey.ways.iter().zip(columns);
        ways.map(|(way, columns)| way_json(asked, way, columns)).collect::<Vec<_>>()
    };
    let otherwise = answer.otherwise.iter().map(|other| {
        json!({
            "if": other.what.clause(),
            "same": other.columns.is_empty(),
            "steps": steps(asked, &other.journey.steps),
            "ways": ways(&other.journey, &other.columns),
        })
    });
    json!({
        "cluster": mesh.cluster_name(answer.client.cluster),
        "locality": answer.at.to_string(),
        "namespace": answer.client.namespace,
        "steps": steps(asked, &answer.journey.steps),
        "ways": ways(&answer.journey, &answer.columns),
        "otherwise": otherwise.collect::<Vec<_>>(),
    })
}

fn steps(asked: &Asked<'_, '_>, all: &[Step]) -> Vec<Value> {
    let place = |span: Span| {
        let (_, file) = asked.sources.file_at(span.start)?;
        Some((file.name.clone(), asked.sources.place(span.start)?))
    };
    let step = |step: &Step| {
        let place = step.span.and_then(place);
        json!({"text": step.text, "file": place.as_ref().map(|p| &p.0), "start": place.map(|p| p.1)})
    };
    all.iter().map(step).collect()
}

fn way_json(asked: &Asked<'_, '_>, way: &Way<'_>, columns: &[Column]) -> Value {
    let mesh = asked.mesh();
    let legs = way.choice.legs();
    let parts = way.parts.iter().enumerate().map(|(i, part)| {
        let (end, story) = match &part.end {
            End::At(d) => ("cluster", [d.story(mesh), d.doubts(mesh)].concat()),
            End::Fails(_, why) => ("fails", why.iter().cloned().collect()),
            End::Leaves(why) => ("leaves", vec![why.clone()]),
            End::Unseen(why) => ("unknown", vec![why.clone()]),
        };
        let name = matches!(part.end, End::At(_)).then(|| legs.get(i).map(Leg::cluster_name));
        json!({"share": part.share, "end": end, "cluster": name.flatten(), "why": steps(asked, &story)})
    });
    let flows = columns.iter().map(|column| {
        let lost = column.loss.as_ref().map(|(lost, _)| lost.name(mesh));
        let phase = column.loss.as_ref().map(|(_, phase)| match phase {
            Phase::Unnoticed => "unnoticed",
            Phase::Noticed => "noticed",
        });
        let range = column.range.as_ref();
        json!({"lost": lost, "phase": phase, "clientLost": range.is_none(),
            "sampled": range.is_some_and(|r| r.is_sampled),
            "shares": range.map(|r| shares(asked, r))})
    });
    let when: Vec<Step> = way.choice.when.iter().map(|c| c.step.clone()).collect();
    json!({
        "when": steps(asked, &when),
        "parts": parts.collect::<Vec<_>>(),
        "flows": flows.collect::<Vec<_>>(),
    })
}

/// Shares as an array of objects: places first, then what fails, what leaves the mesh, and what is not known.
pub(super) fn shares(asked: &Asked<'_, '_>, range: &Range) -> Vec<Value> {
    let arrivals = range.arrivals.iter().map(|(landing, share)| {
        let zone = landing.zone.as_ref().map(ToString::to_string);
        let cluster = asked.mesh().cluster_name(landing.cluster);
        json!({"to": "zone", "cluster": cluster, "zone": zone, "least": share.least, "most": share.most})
    });
    let failures = range.failures.iter().map(|(failure, share)| {
        let last = range.lost_at_last.filter(|_| *failure == Failure::Lost);
        let last = last.map(|share| json!({"least": share.least, "most": share.most}));
        json!({"to": "failure", "failure": failure.to_string(), "least": share.least, "most": share.most,
            "afterRetries": last})
    });
    let elsewhere = range
        .elsewhere
        .iter()
        .map(|share| json!({"to": "elsewhere", "least": share.least, "most": share.most}));
    let unseen = range
        .unseen
        .iter()
        .map(|share| json!({"to": "unknown", "least": share.least, "most": share.most}));
    arrivals.chain(failures).chain(elsewhere).chain(unseen).collect()
}

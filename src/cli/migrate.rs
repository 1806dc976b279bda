//! `mesh-lint migrate`: the ordered way from one cluster to a mesh of several, and how far it is.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::args::{Migrate, NetworksArg, ShapeArg};
use super::show;
use super::{CLEAN, Failed, NOTHING, input, time};
use crate::access::Access;
use crate::lint;
use crate::migration::{Networks, Plan, Shape, State, Step, Wish, plans};
use crate::source::{Sources, Span};

/// How many places of a step are shown.
const SHOWN: usize = 8;

/// Prints the way of each mesh.
pub(super) fn run(args: &Migrate, out: &mut dyn Write) -> Result<u8, Failed> {
    let mut read = input::read(&args.reading)?;
    read.config.now = args.now.unwrap_or_else(time::now);
    let model = lint::build(&read.sources, &read.config);
    if model.placed.is_empty() {
        return Ok(NOTHING);
    }
    let access = Access::of(&model.mesh);
    let wish = Wish {
        shape: args.to.map(|to| match to {
            ShapeArg::MultiPrimary => Shape::MultiPrimary,
            ShapeArg::PrimaryRemote => Shape::PrimaryRemote,
        }),
        networks: args.networks.map(|networks| match networks {
            NetworksArg::One => Networks::One,
            NetworksArg::Several => Networks::Several,
        }),
    };
    let plans = plans(&access, wish);
    if args.writing.is_json() {
        let all: Vec<Value> = plans.iter().map(|plan| to_json(plan, &read.sources)).collect();
        show::json(&json!({"version": 1, "meshes": all}), out)?;
    } else {
        let all = |text: &mut Vec<u8>| {
            for (number, plan) in plans.iter().enumerate() {
                if number > 0 {
                    writeln!(text)?;
                }
                human(plan, &read.sources, text)?;
            }
            Ok(())
        };
        show::text(all, out)?;
    }
    Ok(CLEAN)
}

fn human(plan: &Plan<'_>, sources: &Sources, out: &mut dyn Write) -> io::Result<()> {
    let names: Vec<&str> = plan.clusters.iter().map(|c| c.name.as_str()).collect();
    let names = match names.len() {
        n if n > 6 => format!("{} and {} more", names[..5].join(", "), n - 5),
        _ => names.join(", "),
    };
    let count = |state| plan.steps.iter().filter(|step| step.state == state).count();
    writeln!(out, "{names}: to {}, networks: {}", plan.target.shape, plan.target.networks)?;
    writeln!(
        out,
        "{} steps: {} done, {} to do, {} to look at, {} unknown",
        plan.steps.len(),
        count(State::Done),
        count(State::Todo),
        count(State::Look),
        count(State::Unknown)
    )?;
    for (number, step) in plan.steps.iter().enumerate() {
        writeln!(out, "\n{:2}. {:7}  {}", number + 1, step.state, step.title)?;
        details(step, sources, out)?;
    }
    Ok(())
}

fn details(step: &Step, sources: &Sources, out: &mut dyn Write) -> io::Result<()> {
    let is_done = step.state == State::Done;
    if !is_done {
        writeln!(out, "    {}", step.why)?;
    }
    for place in step.places.iter().take(SHOWN) {
        let at = sources.line_of(place.at).unwrap_or_else(|| "configuration".to_owned());
        writeln!(out, "    - {} ({at})", place.text)?;
    }
    if step.places.len() > SHOWN {
        writeln!(out, "    - and {} more", step.places.len() - SHOWN)?;
    }
    if !is_done {
        step.how.iter().try_for_each(|line| writeln!(out, "      {line}"))?;
    }
    Ok(())
}

fn to_json(plan: &Plan<'_>, sources: &Sources) -> Value {
    let place = |at: Span| {
        let file = sources.file_at(at.start).map(|(_, file)| file.name.as_str());
        (file, sources.place(at.start).map(|place| place.line))
    };
    let step = |step: &Step| {
        let places = step.places.iter().map(|told| {
            let (file, line) = place(told.at);
            json!({"text": told.text, "file": file, "line": line})
        });
        json!({
            "name": step.name,
            "title": step.title,
            "state": step.state.to_string(),
            "why": step.why,
            "places": places.collect::<Vec<_>>(),
            "how": step.how,
        })
    };
    json!({
        "clusters": plan.clusters.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
        "to": plan.target.shape.to_string(),
        "networks": plan.target.networks.to_string(),
        "steps": plan.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

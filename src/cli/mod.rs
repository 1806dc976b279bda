//! What was typed (`args`), and one file per verb.

pub mod args;
mod check;
mod clusters;
mod explain;
mod graph;
mod input;
mod lose;
mod migrate;
mod output;
mod progress;
mod reach;
mod show;
mod time;
mod traffic;
mod trust;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Arguments, Verb};

use crate::mesh::Lookup;

/// Nothing at or above `--fail-on`.
pub const CLEAN: u8 = 0;
/// Findings at or above `--fail-on`.
pub const FINDINGS: u8 = 1;
/// mesh-lint could not do its work.
pub const FAILED: u8 = 2;
/// Nothing to analyse was found.
pub const NOTHING: u8 = 3;

/// Why no work could be done: a message for the user; empty where nobody reads what is printed.
#[derive(Debug)]
pub struct Failed(String);

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        let closed = error.kind() == io::ErrorKind::BrokenPipe;
        Self(if closed { String::new() } else { error.to_string() })
    }
}

impl From<crate::source::TooLarge> for Failed {
    fn from(error: crate::source::TooLarge) -> Self {
        Self(error.to_string())
    }
}

impl Failed {
    /// Says that nothing of a kind is called so, and what may have been meant.
    fn unknown<'n>(kind: &str, name: &str, known: impl Iterator<Item = &'n str>) -> Self {
        let known: Vec<&str> = known.collect();
        let hint = match Lookup::<()>::absent(name, known.iter().copied()) {
            Lookup::Absent { nearest: Some(near) } => format!("do you mean `{near}`?"),
            _ if known.len() > LISTED => {
                "`mesh-lint clusters` and `mesh-lint graph` show all".to_owned()
            }
            _ if known.is_empty() => "there is none".to_owned(),
            _ => format!("there are {}", crate::mesh::list(known)),
        };
        Self(format!("no {kind} is called `{name}`: {hint}"))
    }
}

/// More names than so many are not listed.
const LISTED: usize = 20;

/// What stands where a verb could stand, and is no path either, is taken for a mistyped verb.
fn verb_or_path(check: &args::Check) -> Result<(), Failed> {
    let Some(first) = check.reading.paths.first() else { return Ok(()) };
    if first.as_os_str() == "-" || first.exists() {
        return Ok(());
    }
    let word = first.display().to_string();
    let command = Arguments::command();
    let verbs: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    let hint = match Lookup::<()>::absent(&word, verbs.iter().copied()) {
        Lookup::Absent { nearest: Some(near) } => format!("do you mean `{near}`?"),
        _ => format!("there are {}", crate::mesh::list(verbs)),
    };
    Err(Failed(format!("`{word}` is neither a path nor a command: {hint}")))
}

/// Does what was typed; returns the exit code.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    std::panic::set_hook(Box::new(|panic| {
        // Where, and never what: a message could hold a value of the input.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(io::stderr(), "mesh-lint: internal error at {place}: please report it");
    }));
    let mut out = io::BufWriter::new(io::stdout().lock());
    let says_so = match &arguments.verb {
        Some(Verb::Check(check)) => check::says_nothing(check),
        None => check::says_nothing(&arguments.check),
        _ => false,
    };
    let outcome = perform(&arguments, &mut out);
    let outcome = outcome.and_then(|code| out.flush().map(|()| code).map_err(Failed::from));
    match outcome {
        Ok(code) => {
            if code == NOTHING && !says_so {
                let _ = writeln!(io::stderr(), "mesh-lint: nothing to analyse was found");
            }
            ExitCode::from(code)
        }
        Err(Failed(message)) if message.is_empty() => ExitCode::from(CLEAN),
        Err(Failed(message)) => {
            // Nobody is left to tell when standard error is closed too.
            let _ = writeln!(io::stderr(), "mesh-lint: {}", crate::report::harmless(&message));
            ExitCode::from(FAILED)
        }
    }
}

fn perform(arguments: &Arguments, out: &mut dyn Write) -> Result<u8, Failed> {
    let Some(verb) = &arguments.verb else {
        verb_or_path(&arguments.check)?;
        return check::run(&arguments.check, out);
    };
    match verb {
        Verb::Check(check) => check::run(check, out),
        Verb::Clusters(args) => clusters::run(args, out),
        Verb::Graph(args) => graph::run(args, out),
        Verb::Traffic(args) => traffic::run(args, out),
        Verb::Trust(args) => trust::run(args, out),
        Verb::Migrate(args) => migrate::run(args, out),
        Verb::Explain { rule } => explain::page(rule, out),
        Verb::Rules { only, writing, istio, kiali } => {
            let json = writing.is_json();
            match (istio, kiali) {
                (true, _) => explain::codes(explain::Tool::Istioctl, only, json, out),
                (_, true) => explain::codes(explain::Tool::Kiali, only, json, out),
                _ => explain::list(only, json, out),
            }
        }
        Verb::Completions { shell } => {
            // Into memory first: the generator panics where its output is closed.
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "mesh-lint", &mut text);
            out.write_all(&text).map(|()| CLEAN).map_err(Failed::from)
        }
    }
}

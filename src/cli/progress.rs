//! A sign of life on a terminal, when the work takes longer than a second.

use std::io::IsTerminal;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long the work may take without a word.
const PATIENCE: Duration = Duration::from_secs(1);

/// Shows the step of the work until it is dropped.
pub(super) struct Progress {
    steps: Option<Sender<&'static str>>,
    shown_by: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins to wait; nothing is shown where standard error is no terminal.
    pub(super) fn start() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { steps: None, shown_by: None };
        }
        let (steps, heard) = channel();
        let shown_by = std::thread::spawn(move || {
            let start = Instant::now();
            let mut step = "";
            let bar = loop {
                let Some(left) = PATIENCE.checked_sub(start.elapsed()) else { break bar(step) };
                match heard.recv_timeout(left) {
                    Ok(next) => step = next,
                    Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
                    Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return,
                }
            };
            for next in heard {
                bar.set_message(next);
                bar.inc(1);
            }
            bar.finish_and_clear();
        });
        Self { steps: Some(steps), shown_by: Some(shown_by) }
    }

    /// Names the step that begins.
    pub(super) fn step(&self, name: &'static str) {
        if let Some(steps) = &self.steps {
            // The other end is gone only when nothing is shown any more.
            let _ = steps.send(name);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.steps = None;
        if let Some(shown_by) = self.shown_by.take() {
            let _ = shown_by.join();
        }
    }
}

fn bar(step: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    bar.set_style(style);
    bar.set_message(step);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

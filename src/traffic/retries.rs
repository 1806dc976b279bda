//! What becomes of requests that find no connection and are tried again.
//!
//! A retry is drawn like the first attempt, by the same loads of priorities and the same weights: so it
//! stays in a priority that takes all requests, however many of its hosts fail. Hosts that were tried are
//! passed over as long as a few draws find another.
//!
//! Source: `pilot/pkg/networking/core/route/retry/retry.go`; `previous_hosts` of Envoy.

use crate::kinds::networking::Retries;

/// How often a request is tried again where nobody says how often.
pub const DEFAULT: u32 = 2;
/// How often a host is drawn until one is taken that was tried already.
const DRAWS: i32 = 6;
/// More retries than so many change nothing that a report would show.
const MANY: u32 = 50;

/// How often a request is tried again that finds no connection, as a rule or else the mesh says. Retries
/// that leave the priority, which the first one does not, and those for other failures are not counted.
pub fn times(of_rule: Option<&Retries>, of_mesh: Option<&Retries>) -> u32 {
    let Some(told) = of_rule.or(of_mesh) else { return DEFAULT };
    let leaves = told.retry_remote_localities.as_ref().is_some_and(|leaves| leaves.value);
    let on = told.retry_on.as_ref().map_or("", |on| on.as_str());
    let connects = ["connect-failure", "5xx", "gateway-error", "reset"];
    let fits = on.is_empty() || on.split(',').any(|word| connects.contains(&word.trim()));
    let attempts = told.attempts.as_ref().map_or(0, |attempts| attempts.value);
    let staying = if leaves { attempts.min(1) } else { attempts };
    if fits { staying } else { 0 }
}

/// What becomes of requests to hosts of which some fail, all these being alike.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tried {
    /// The share that fails at last, 0 to 1.
    pub failing: f64,
    /// How many attempts a request takes on average.
    pub attempts: f64,
    /// How many of these fail.
    pub failed_attempts: f64,
}

impl Tried {
    /// Of a share of requests that goes to so many hosts which fail.
    pub fn of(failing: f64, hosts: u32, retries: u32) -> Self {
        let each = failing / f64::from(hosts.max(1));
        let mut tried = Self { failing, attempts: 1.0, failed_attempts: failing };
        // How likely it is that so many hosts were tried, and all failed.
        let mut by_hosts = vec![0.0, failing];
        for _ in 0..retries.min(MANY) {
            tried.attempts += tried.failing;
            let mut next = vec![0.0; by_hosts.len() + 1];
            for (known, likely) in by_hosts.iter().enumerate() {
                let (again, another) = redrawn(each, known, failing);
                next[known] += likely * again;
                next[known + 1] += likely * another;
            }
            tried.failing = next.iter().sum();
            tried.failed_attempts += tried.failing;
            by_hosts = next;
        }
        tried
    }
}

/// How likely a draw ends at a host that was tried, and at another one that fails.
fn redrawn(each: f64, known: usize, failing: f64) -> (f64, f64) {
    let tried = f64::from(u32::try_from(known).unwrap_or(u32::MAX)) * each;
    if tried >= 1.0 {
        return (1.0, 0.0);
    }
    let again = tried.powi(DRAWS);
    let others = (failing - tried).max(0.0);
    (again, others * (1.0 - again) / (1.0 - tried))
}

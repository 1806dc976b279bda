//! Requests by host, as `--requests` has them: what turns shares into bytes.

use std::path::Path;

use super::super::Failed;

/// Seconds of a month of 30.44 days.
const MONTH: f64 = 2_630_016.0;

/// Requests to one host from all zones together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Requests {
    /// `HOST` or `HOST:PORT`, as written.
    pub(super) host: String,
    /// Per second.
    pub(super) rate: f64,
    /// Bytes of one, with its answer.
    pub(super) bytes: f64,
}

impl Requests {
    /// Gigabytes (of 10^9 bytes) per month.
    pub(super) fn gigabytes(&self) -> f64 {
        self.rate * self.bytes * MONTH / 1e9
    }
}

/// Reads lines of `host,requests per second,bytes per request`. Empty lines, comments after `#` and a
/// first line of headings are passed over.
pub(super) fn read(file: &Path) -> Result<Vec<Requests>, Failed> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|e| Failed(format!("{name}: {e}")))?;
    let mut found = Vec::new();
    for (i, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let parts: Vec<&str> = line.split(',').map(str::trim).collect();
        let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
        match parts[..] {
            [""] => {}
            [host, rate, bytes] => match (number(rate), number(bytes)) {
                (Some(rate), Some(bytes)) => {
                    found.push(Requests { host: host.to_owned(), rate, bytes });
                }
                _ if found.is_empty() && number(rate).is_none() && number(bytes).is_none() => {}
                _ => {
                    return Err(Failed(format!(
                        "{name}:{}: expected two numbers after the host",
                        i + 1
                    )));
                }
            },
            _ => {
                let wanted = "expected `host,requests per second,bytes per request`";
                return Err(Failed(format!("{name}:{}: {wanted}", i + 1)));
            }
        }
    }
    Ok(found)
}

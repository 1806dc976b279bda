//! A finding's identity, which stays when lines move.

use std::collections::BTreeMap;

use super::{Reported, ResourceName};
use crate::finding::Finding;
use crate::source::Span;

/// A hash of the rule, the resource and the labelled texts; of no line, column or file name, so that it
/// survives moved lines and moved files.
pub(super) fn of<'s>(
    rule: &str,
    resource: Option<&ResourceName>,
    finding: &Finding,
    text: impl Fn(Span) -> &'s str,
) -> String {
    let mut hash = Fnv::default();
    hash.add(rule);
    if let Some(r) = resource {
        for part in [&r.api_version, &r.kind, &r.namespace, &r.name] {
            hash.add(part);
        }
    }
    for label in &finding.labels {
        hash.add(text(label.span));
    }
    format!("{:016x}", hash.0)
}

/// Numbers findings that are alike, so that no two have the same fingerprint.
pub(super) fn number(findings: &mut [Reported]) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for found in findings {
        let times = seen.entry(found.fingerprint.clone()).or_default();
        *times += 1;
        if *times > 1 {
            found.fingerprint = format!("{}-{times}", found.fingerprint);
        }
    }
}

/// FNV-1a: the same on every machine and version, which the standard library's hasher does not promise.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, text: &str) {
        for byte in text.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

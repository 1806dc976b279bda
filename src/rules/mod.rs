//! The checks, one file per subject, plus `Rule`, `Check`, `rule!` and the list of rooms.

mod authz;
mod capacity;
mod clusters;
mod egress;
mod extensions;
mod fields;
mod gateways;
mod locality;
mod migration;
mod mtls;
mod names;
mod network;
mod remote;
mod routing;
mod selected;
mod services;
mod sidecars;
mod subsets;
mod topology;
mod trust;
mod upgrade;
mod workloads;
mod yaml;

use std::sync::OnceLock;

use crate::access::Access;
use crate::config::suppress::Suppression;
use crate::finding::Findings;
use crate::mesh::Mesh;
use crate::source::Span;
use crate::traffic::Traffic;
use crate::trust::Trust;

pub use names::{Naming, complaint};
pub use yaml::IDLE_SUPPRESSION;

/// What rules may ask: the mesh, and what is worked out from it when the first rule asks for it.
pub struct Evidence<'m> {
    mesh: &'m Mesh,
    traffic: OnceLock<Traffic<'m>>,
    trust: OnceLock<Trust<'m>>,
    access: OnceLock<Access<'m>>,
    /// What suppressions did to the findings of the other rules, when these are done.
    pub suppressions: Vec<Judged<'m>>,
}

/// A suppression after all other rules have spoken.
#[derive(Debug)]
pub struct Judged<'s> {
    /// What it says.
    pub suppression: &'s Suppression,
    /// Words that silence nothing, of those about which that can be told: the whole suppression, where it
    /// is for all rules.
    pub idle: Vec<Span>,
    /// Where a finding begins for which one of these was probably meant.
    pub elsewhere: Option<Span>,
}

impl<'m> Evidence<'m> {
    /// About a mesh.
    pub fn of(mesh: &'m Mesh) -> Self {
        Self {
            mesh,
            traffic: OnceLock::new(),
            trust: OnceLock::new(),
            access: OnceLock::new(),
            suppressions: Vec::new(),
        }
    }

    /// Works out, on all cores, what some of the rules will ask for. Were it left to the first that
    /// asks, a core that helps there could take up another rule that waits for the same.
    pub fn prepare<'r>(&self, rules: impl IntoIterator<Item = &'r Rule>) {
        if rules.into_iter().any(|rule| rule.check.asks_traffic()) {
            self.traffic().visits();
        }
    }

    fn traffic(&self) -> &Traffic<'m> {
        self.traffic.get_or_init(|| Traffic::of(self.mesh))
    }

    fn trust(&self) -> &Trust<'m> {
        self.trust.get_or_init(|| Trust::of(self.mesh))
    }

    fn access(&self) -> &Access<'m> {
        self.access.get_or_init(|| Access::of(self.mesh))
    }
}

/// What a rule does: reads the evidence and says what is wrong with the mesh.
pub trait Check: Sync {
    /// Puts what is wrong with the mesh into `found`.
    fn check(&self, evidence: &Evidence<'_>, found: &mut Findings);

    /// Whether it asks where requests go.
    fn asks_traffic(&self) -> bool {
        false
    }

    /// Whether it asks what suppressions did to what the other rules say.
    fn asks_suppressions(&self) -> bool {
        false
    }
}

impl<F: Fn(&Mesh, &mut Findings) + Sync> Check for F {
    fn check(&self, evidence: &Evidence<'_>, found: &mut Findings) {
        self(evidence.mesh, found);
    }
}

/// A check that asks where requests go.
struct OfTraffic<F>(F);

impl<F: Fn(&Traffic<'_>, &mut Findings) + Sync> Check for OfTraffic<F> {
    fn check(&self, evidence: &Evidence<'_>, found: &mut Findings) {
        (self.0)(evidence.traffic(), found);
    }

    fn asks_traffic(&self) -> bool {
        true
    }
}

/// A check that asks what suppressions did.
struct OfSuppressions<F>(F);

impl<F: Fn(&[Judged<'_>], &mut Findings) + Sync> Check for OfSuppressions<F> {
    fn check(&self, evidence: &Evidence<'_>, found: &mut Findings) {
        (self.0)(&evidence.suppressions, found);
    }

    fn asks_suppressions(&self) -> bool {
        true
    }
}

/// A check that asks which policies are in effect and where pods can be, not where requests go.
struct OfPolicies<F>(F);

impl<F: Fn(&Traffic<'_>, &mut Findings) + Sync> Check for OfPolicies<F> {
    fn check(&self, evidence: &Evidence<'_>, found: &mut Findings) {
        (self.0)(evidence.traffic(), found);
    }
}

/// A check that asks about certificates.
struct OfTrust<F>(F);

impl<F: Fn(&Trust<'_>, &mut Findings) + Sync> Check for OfTrust<F> {
    fn check(&self, evidence: &Evidence<'_>, found: &mut Findings) {
        (self.0)(evidence.trust(), found);
    }
}

/// A check that asks who may read whose API server.
struct OfAccess<F>(F);

impl<F: Fn(&Access<'_>, &mut Findings) + Sync> Check for OfAccess<F> {
    fn check(&self, evidence: &Evidence<'_>, found: &mut Findings) {
        (self.0)(evidence.access(), found);
    }
}

/// A rule: its name, its page and its check.
#[derive(Clone, Copy)]
pub struct Rule {
    /// `room/name`, which is also the path of the page below `rules/`.
    pub name: &'static str,
    /// The text of the page.
    pub page: &'static str,
    /// What it does.
    pub check: &'static dyn Check,
}

macro_rules! rule {
    ($name:literal, traffic: $check:expr) => {
        rule!($name, $crate::rules::OfTraffic($check))
    };
    ($name:literal, suppressions: $check:expr) => {
        rule!($name, $crate::rules::OfSuppressions($check))
    };
    ($name:literal, policies: $check:expr) => {
        rule!($name, $crate::rules::OfPolicies($check))
    };
    ($name:literal, trust: $check:expr) => {
        rule!($name, $crate::rules::OfTrust($check))
    };
    ($name:literal, access: $check:expr) => {
        rule!($name, $crate::rules::OfAccess($check))
    };
    ($name:literal, $check:expr) => {
        $crate::rules::Rule {
            name: $name,
            page: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/rules/", $name, ".md")),
            check: &$check,
        }
    };
}
use rule;

/// All rules, room by room.
pub fn all() -> impl Iterator<Item = Rule> {
    let rooms = [
        authz::RULES,
        capacity::RULES,
        clusters::RULES,
        egress::RULES,
        extensions::RULES,
        fields::RULES,
        gateways::RULES,
        locality::distribute::RULES,
        locality::failover::RULES,
        locality::flows::RULES,
        locality::outliers::RULES,
        locality::reach::RULES,
        locality::replaced::RULES,
        locality::settings::RULES,
        migration::RULES,
        mtls::RULES,
        network::RULES,
        remote::RULES,
        routing::RULES,
        services::RULES,
        sidecars::RULES,
        subsets::RULES,
        topology::RULES,
        trust::anchors::RULES,
        trust::cacerts::RULES,
        trust::chain::RULES,
        trust::dates::RULES,
        trust::domains::RULES,
        trust::issuers::RULES,
        trust::keys::RULES,
        trust::roots::RULES,
        upgrade::RULES,
        workloads::RULES,
        yaml::RULES,
    ];
    rooms.into_iter().flatten().copied()
}

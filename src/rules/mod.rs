//! The checks, one file per subject, plus `Rule`, `rule!` and the list of rooms.

mod ambient;
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
mod policies;
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

/// How many places of one cause a finding shows beside the first.
const SHOWN: usize = 6;

/// Why something that the input lacks may be in the cluster all the same, at the end of a message.
const BY_OTHERS: &str = ", unless something makes it in the cluster";

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
        if rules.into_iter().any(|rule| rule.after == After::Traffic) {
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

/// What has to be done before a rule is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing: what it asks for is worked out when the first asks.
    Nothing,
    /// Where all requests go is worked out, by all cores together.
    Traffic,
    /// All other rules have spoken, and it is known which suppressions silence them.
    Suppressions,
}

/// A rule: its name, its page and its check.
#[derive(Clone, Copy)]
pub struct Rule {
    /// `room/name`, which is also the path of the page below `rules/`.
    pub name: &'static str,
    /// The text of the page.
    pub page: &'static str,
    /// What has to be done before.
    pub after: After,
    /// Reads the evidence and says what is wrong with the mesh.
    pub check: fn(&Evidence<'_>, &mut Findings),
}

macro_rules! rule {
    ($name:literal, traffic: $check:expr) => {
        rule!($name, Traffic, |evidence, found| $check(evidence.traffic(), found))
    };
    ($name:literal, policies: $check:expr) => {
        rule!($name, Nothing, |evidence, found| $check(evidence.traffic(), found))
    };
    ($name:literal, trust: $check:expr) => {
        rule!($name, Nothing, |evidence, found| $check(evidence.trust(), found))
    };
    ($name:literal, access: $check:expr) => {
        rule!($name, Nothing, |evidence, found| $check(evidence.access(), found))
    };
    ($name:literal, access, trust: $check:expr) => {
        rule!($name, Nothing, |evidence, found| {
            $check(evidence.access(), evidence.trust(), found);
        })
    };
    ($name:literal, suppressions: $check:expr) => {
        rule!($name, Suppressions, |evidence, found| $check(&evidence.suppressions, found))
    };
    ($name:literal, $check:expr) => {
        rule!($name, Nothing, |evidence, found| $check(evidence.mesh, found))
    };
    ($name:literal, $after:ident, $check:expr) => {
        $crate::rules::Rule {
            name: $name,
            page: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/rules/", $name, ".md")),
            after: $crate::rules::After::$after,
            check: $check,
        }
    };
}
use rule;

/// All rules, room by room.
pub fn all() -> impl Iterator<Item = Rule> {
    let rooms = [
        ambient::RULES,
        authz::RULES,
        capacity::RULES,
        clusters::RULES,
        clusters::containment::RULES,
        egress::RULES,
        extensions::RULES,
        fields::RULES,
        gateways::RULES,
        locality::distribute::RULES,
        locality::failover::RULES,
        locality::flows::RULES,
        locality::stale::RULES,
        locality::outliers::RULES,
        locality::breadth::RULES,
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
        trust::revocation::RULES,
        trust::roots::RULES,
        trust::federation::RULES,
        trust::spire::RULES,
        upgrade::RULES,
        workloads::RULES,
        yaml::RULES,
    ];
    rooms.into_iter().flatten().copied()
}

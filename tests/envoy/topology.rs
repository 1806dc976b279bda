//! What a lab is given, what is predicted of it, and when a measurement agrees.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use mesh_lint::traffic::assignment::{Group, Member, Target};
use mesh_lint::traffic::selection::{self, Choice, Ejected};

/// How far a measured share may be off, in points: more than three standard deviations where 3,000
/// requests are parted in halves, and more than six where 12,000 are.
pub const TOLERANCE: f64 = 3.0;

/// What one client is told of one service.
pub struct Topology<'e> {
    /// Its description, for people.
    pub words: String,
    /// Destinations of a route (subsets or hosts) with their weights; one where nothing is split.
    pub legs: Vec<Leg<'e>>,
}

/// An assignment, how Envoy is told to choose from it, and what its hosts do.
#[derive(Clone)]
pub struct Leg<'e> {
    /// Counts only beside other legs.
    pub weight: u32,
    /// A gateway is one address wherever it stands; each endpoint has its own.
    pub groups: Vec<Group<'e>>,
    /// Zone-aware routing is not measured.
    pub choice: Choice<'e>,
    /// With outlier detection, which then throws hosts out at the first error.
    pub max_ejection_percent: Option<u32>,
    /// Group and member of hosts that answer all requests with 500.
    pub failing: BTreeSet<(usize, usize)>,
}

/// Where a request can go. A gateway is where it first stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    pub leg: usize,
    pub group: usize,
    /// `None` for a group as a whole: where only some of its failing hosts can be ejected, chance says
    /// which.
    pub member: Option<usize>,
}

/// In per cent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shares {
    pub of: BTreeMap<Destination, f64>,
    /// What found no host.
    pub unanswered: f64,
}

impl Shares {
    /// Of requests that were counted.
    pub fn of_counts(counts: &BTreeMap<Option<Destination>, u32>) -> Self {
        let total: u32 = counts.values().sum();
        let mut shares = Self::default();
        for (destination, count) in counts {
            let share = 100.0 * f64::from(*count) / f64::from(total);
            match destination {
                Some(destination) => _ = shares.of.insert(*destination, share),
                None => shares.unanswered = share,
            }
        }
        shares
    }

    /// Whether a measurement is what these shares predict, as far as chance allows. What is predicted
    /// to get nothing must get nothing.
    pub fn agrees(&self, measured: &Self) -> bool {
        let unforeseen = |(predicted, measured)| predicted <= 1e-9 && measured > 0.0;
        self.distance(measured) <= TOLERANCE && !self.beside(measured).any(unforeseen)
    }

    /// The largest difference at a destination, in points.
    pub fn distance(&self, other: &Self) -> f64 {
        self.beside(other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    fn beside(&self, other: &Self) -> impl Iterator<Item = (f64, f64)> {
        let all: BTreeSet<Destination> = self.of.keys().chain(other.of.keys()).copied().collect();
        let get = |shares: &Self, d| shares.of.get(&d).copied().unwrap_or(0.0);
        let pairs = all.into_iter().map(move |d| (get(self, d), get(other, d)));
        pairs.chain([(self.unanswered, other.unanswered)])
    }
}

impl Topology<'_> {
    /// The engine's word on where requests go.
    pub fn predict(&self) -> Shares {
        let total: u32 = self.legs.iter().map(|l| l.weight).sum();
        let mut shares = Shares::default();
        for (i, leg) in self.legs.iter().enumerate() {
            let part = 100.0 * f64::from(leg.weight) / f64::from(total);
            let selection = selection::select(&leg.groups, &leg.ejected(), leg.choice);
            shares.unanswered += part * selection.unanswered;
            for share in selection.shares {
                let destination = leg.destination(i, share.group, share.member);
                *shares.of.entry(destination).or_default() += part * share.share;
            }
        }
        shares
    }

    /// Whether hosts have to be thrown out before requests go where they will stay.
    pub fn needs_warming(&self) -> bool {
        self.legs.iter().any(|l| l.max_ejection_percent.is_some() && !l.failing.is_empty())
    }

    /// Shares with the names of their destinations.
    pub fn show(&self, shares: &Shares) -> String {
        let name = |d: &Destination| {
            let group = &self.legs[d.leg].groups[d.group];
            let leg = if self.legs.len() > 1 { format!("leg {} ", d.leg) } else { String::new() };
            let member = d.member.map_or(String::new(), |m| format!(" {}", members(group, m)));
            format!("{leg}P{} {}{member}", group.priority, group.locality)
        };
        let mut parts: Vec<String> =
            shares.of.iter().map(|(d, share)| format!("{} = {share:.1}", name(d))).collect();
        if shares.unanswered > 0.0 {
            parts.push(format!("no host = {:.1}", shares.unanswered));
        }
        parts.join(", ")
    }
}

impl fmt::Display for Topology<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.words)?;
        for leg in &self.legs {
            let Choice { by_locality, panic_threshold, .. } = leg.choice;
            write!(f, "  weight {}, weighted localities: {by_locality}", leg.weight)?;
            writeln!(f, ", panic {panic_threshold}, ejects {:?}", leg.max_ejection_percent)?;
            for (g, group) in leg.groups.iter().enumerate() {
                let weight = group.weight.map_or("-".to_owned(), |w| w.to_string());
                write!(f, "    P{} {} weight {weight}:", group.priority, group.locality)?;
                for m in 0..group.members.len() {
                    let fails = if leg.failing.contains(&(g, m)) { " failing" } else { "" };
                    write!(f, " {}{fails}", members(group, m))?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

/// `[3 endpoint#0 unready x2]`: a member in a word.
fn members(group: &Group<'_>, at: usize) -> String {
    let Member { target, count, weight, healthy } = group.members[at];
    let target = match target {
        Target::Endpoint(i) => format!("endpoint#{i}"),
        Target::Gateway(i) => format!("gateway#{i}"),
    };
    let health = if healthy { "" } else { " unready" };
    format!("[{count} {target}{health} x{weight}]")
}

impl Leg<'_> {
    fn ejected(&self) -> Ejected {
        let fails = |g, m| self.failing.contains(&(g, m));
        match self.max_ejection_percent {
            Some(max) => selection::eject(&self.groups, max, None, fails),
            None => Ejected::new(),
        }
    }

    /// What a member counts as.
    pub fn destination(&self, leg: usize, group: usize, member: usize) -> Destination {
        let whole = self.parted_by_chance().contains(&group);
        Destination { leg, group, member: Some(member).filter(|_| !whole) }
    }

    /// Groups with failing hosts, where not all of these can be ejected.
    fn parted_by_chance(&self) -> BTreeSet<usize> {
        let ejected: u32 = self.ejected().values().sum();
        let (mut failing, mut seen) = (0, BTreeSet::new());
        let mut groups = BTreeSet::new();
        for &(g, m) in &self.failing {
            let Member { target, count, healthy, .. } = self.groups[g].members[m];
            if healthy && (matches!(target, Target::Endpoint(_)) || seen.insert(target)) {
                failing += count;
                groups.insert(g);
            }
        }
        if ejected == 0 || ejected == failing {
            return BTreeSet::new();
        }
        assert!(groups.len() == 1, "chance says which of several groups keeps its failing hosts");
        groups
    }
}

//! Assignments in few words, for tables: whatever Envoy may be told, whether istiod does or not.

use mesh_lint::mesh::Locality;
use mesh_lint::traffic::assignment::{Group, Member, Target};

/// Hosts of one locality, as a row writes them: `priority/zone=weight:hosts`, where hosts are numbers
/// with `u` for unready, `x` for such that always fail, `*9` for a weight, and `g` for the one address
/// that stands in several places.
pub struct Hosts {
    pub priority: u32,
    pub locality: Locality,
    pub weight: Option<u32>,
    pub members: Vec<Member>,
    /// By member.
    pub failing: Vec<bool>,
}

impl Hosts {
    pub fn group(&self) -> Group<'_> {
        let Self { priority, ref locality, weight, ref members, .. } = *self;
        Group { locality, priority, weight, members: members.clone() }
    }
}

/// All of a row.
pub fn hosts(text: &str) -> Vec<Hosts> {
    let mut next = 0;
    text.split_whitespace().map(|word| of_one_place(word, &mut next)).collect()
}

fn of_one_place(text: &str, next: &mut usize) -> Hosts {
    let (head, hosts) = text.split_once(':').unwrap();
    let (priority, place) = head.split_once('/').unwrap();
    let (zone, weight) = match place.split_once('=') {
        Some((zone, weight)) => (zone, Some(weight.parse().unwrap())),
        None => (place, None),
    };
    let (mut members, mut failing) = (Vec::new(), Vec::new());
    for part in hosts.split('+').filter(|p| !p.is_empty()) {
        let (number, weight) = part.split_once('*').unwrap_or((part, "1"));
        let target =
            if part.starts_with('g') { Target::Gateway(0) } else { Target::Endpoint(*next) };
        *next += 1;
        members.push(Member {
            target,
            count: number.trim_end_matches(['u', 'x', 'g']).parse().unwrap_or(1),
            weight: weight.parse().unwrap(),
            healthy: !number.ends_with('u'),
        });
        failing.push(number.ends_with('x'));
    }
    let locality = Locality { zone: zone.to_owned(), ..Locality::default() };
    Hosts { priority: priority.parse().unwrap(), locality, weight, members, failing }
}

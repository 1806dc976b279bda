//! From units to clusters: units of one name are parts of one cluster, unless they are alternatives.

use std::collections::{BTreeMap, BTreeSet};

use super::Origin;
use super::signs::Signs;
use super::tree::{Tree, ancestors, folder_of, last_part};
use super::units::{Place, Unit};
use super::words::core;
use crate::config::ClusterConfig;

/// A cluster before it is known what belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Seed {
    /// What reports call it.
    pub name: String,
    /// Names that mean it, in small letters.
    pub aliases: BTreeSet<String>,
    /// Folders and files that are its own.
    pub places: BTreeSet<Place>,
    /// Folders its places stand in.
    pub homes: BTreeSet<String>,
    /// The environment it is of.
    pub environment: Option<&'static str>,
    /// Seeds with one number were found together.
    pub family: usize,
    /// Seeds with different numbers are alternatives of each other.
    pub collection: usize,
    /// Whether something says that it is one of several clusters of a mesh.
    pub is_told: bool,
    /// How we know that it is a cluster.
    pub origin: Origin,
    /// What the configuration says of it.
    pub config: Option<ClusterConfig>,
}

impl Seed {
    pub fn new(name: &str, origin: Origin) -> Self {
        Self {
            name: name.to_owned(),
            aliases: BTreeSet::from([core(name), name.to_ascii_lowercase()]),
            places: BTreeSet::new(),
            homes: BTreeSet::new(),
            environment: None,
            family: 0,
            collection: 0,
            is_told: true,
            origin,
            config: None,
        }
    }

    pub fn is_called(&self, name: &str) -> bool {
        self.aliases.contains(&name.to_ascii_lowercase()) || self.aliases.contains(&core(name))
    }
}

/// What units of one cluster have in common: the collection they are of, environment, name.
type Key = (usize, Option<&'static str>, String);

/// The clusters that the units make.
pub(super) fn seeds(tree: &Tree<'_>, signs: &[Signs], units: &[Unit]) -> Vec<Seed> {
    let collections = collections(tree, signs, units);
    let mut made: BTreeMap<Key, Seed> = BTreeMap::new();
    let mut families = Families::default();
    for unit in units {
        let key = (collections[unit.scope.as_str()], unit.environment, core(&unit.name));
        families.join(&format!("scope {}", unit.scope), &format!("{key:?}"));
        let origin =
            if matches!(unit.place, Place::File(_)) { Origin::File } else { Origin::Folder };
        let seed = made
            .entry(key)
            .or_insert_with(|| Seed { is_told: false, ..Seed::new(&unit.name, origin) });
        seed.collection = collections[unit.scope.as_str()];
        seed.is_told |= unit.is_told;
        seed.environment = unit.environment;
        seed.aliases.insert(unit.name.to_ascii_lowercase());
        seed.homes.insert(home(tree, unit));
        seed.places.insert(unit.place.clone());
    }
    for (key, seed) in &mut made {
        seed.family = families.number(&format!("{key:?}"));
    }
    let mut seeds: Vec<Seed> = made.into_values().collect();
    add_told_names(tree, signs, &mut seeds);
    name_apart(&mut seeds);
    seeds
}

fn home(tree: &Tree<'_>, unit: &Unit) -> String {
    match &unit.place {
        Place::Folder(path) => folder_of(path).to_owned(),
        Place::File(file) => folder_of(tree.name(*file)).to_owned(),
    }
}

/// The resources of a place.
fn ids<'s>(tree: &Tree<'_>, signs: &'s [Signs], place: &Place) -> BTreeSet<&'s str> {
    let of = |file: usize| {
        signs[file].ids.iter().map(String::as_str).filter(|id| !id.starts_with("Namespace "))
    };
    match place {
        Place::Folder(path) => tree.below(path).flat_map(of).collect(),
        Place::File(file) => of(*file).collect(),
    }
}

/// Gives each scope a number. Scopes have one number unless units of one name hold the same resources:
/// then these are alternatives (the samples of a tutorial, say), and each scope stands for itself.
fn collections<'u>(
    tree: &Tree<'_>,
    signs: &[Signs],
    units: &'u [Unit],
) -> BTreeMap<&'u str, usize> {
    let mut by_name: BTreeMap<(Option<&str>, String), BTreeMap<&'u str, BTreeSet<&str>>> =
        BTreeMap::new();
    for unit in units {
        let scopes = by_name.entry((unit.environment, core(&unit.name))).or_default();
        scopes.entry(unit.scope.as_str()).or_default().extend(ids(tree, signs, &unit.place));
    }
    let mut contested: BTreeSet<&str> = BTreeSet::new();
    for scopes in by_name.values().filter(|scopes| scopes.len() > 1) {
        if hold_the_same(scopes) {
            contested.extend(scopes.keys().copied());
        }
    }
    let mut numbers: BTreeMap<&'u str, usize> =
        units.iter().map(|u| (u.scope.as_str(), 0)).collect();
    let mut next = 1;
    for (scope, number) in &mut numbers {
        if contested.contains(scope)
            && !ancestors(folder_of(scope)).any(|above| contested.contains(above))
        {
            *number = next;
            next += 1;
        }
    }
    let inner: Vec<(&str, usize)> = contested
        .iter()
        .filter(|scope| numbers[*scope] == 0)
        .filter_map(|scope| {
            Some((
                *scope,
                *ancestors(folder_of(scope)).find_map(|a| numbers.get(a).filter(|n| **n > 0))?,
            ))
        })
        .collect();
    numbers.extend(inner);
    numbers
}

/// Whether half of what the smaller scope holds is in another one too.
fn hold_the_same(scopes: &BTreeMap<&str, BTreeSet<&str>>) -> bool {
    let mut holders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (scope, ids) in scopes {
        ids.iter().for_each(|id| holders.entry(id).or_default().push(scope));
    }
    let mut shared: BTreeMap<&str, usize> = BTreeMap::new();
    for scopes in holders.values().filter(|s| s.len() > 1) {
        scopes.iter().for_each(|scope| *shared.entry(scope).or_default() += 1);
    }
    shared.iter().any(|(scope, count)| 2 * count >= scopes[scope].len())
}

/// A name that the control plane tells means the cluster too, unless others tell the same.
fn add_told_names(tree: &Tree<'_>, signs: &[Signs], seeds: &mut [Seed]) {
    let told_in = |seed: &Seed| -> BTreeSet<String> {
        let told = |file: usize| signs[file].told.iter().map(|(_, name)| name.to_ascii_lowercase());
        let of = |place: &Place| -> Vec<String> {
            match place {
                Place::Folder(path) => tree.below(path).flat_map(told).collect(),
                Place::File(file) => told(*file).collect(),
            }
        };
        seed.places.iter().flat_map(of).collect()
    };
    let told: Vec<BTreeSet<String>> = seeds.iter().map(told_in).collect();
    let mut holders: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    for (seed, names) in seeds.iter().zip(&told) {
        names.iter().for_each(|name| *holders.entry((seed.family, name)).or_default() += 1);
    }
    let own: Vec<BTreeSet<String>> = seeds.iter().map(|s| s.aliases.clone()).collect();
    for (at, names) in told.iter().enumerate() {
        let family = seeds[at].family;
        let is_free = |name: &&String| {
            holders[&(family, name.as_str())] == 1
                && own.iter().enumerate().all(|(i, aliases)| i == at || !aliases.contains(*name))
        };
        let free: Vec<String> = names.iter().filter(is_free).cloned().collect();
        seeds[at].aliases.extend(free);
    }
}

/// Puts environment or folder before names that stand twice.
fn name_apart(seeds: &mut [Seed]) {
    let by_folder = |seed: &Seed| {
        let home = seed.homes.first().map_or("", String::as_str);
        let telling =
            ancestors(home).find(|f| !f.is_empty() && !super::words::holds_clusters(last_part(f)));
        format!("{}/{}", telling.map_or("", last_part), seed.name)
    };
    let by_path =
        |seed: &Seed| format!("{}/{}", seed.homes.first().map_or("", String::as_str), seed.name);
    let by_environment =
        |seed: &Seed| format!("{}/{}", seed.environment.unwrap_or("other"), seed.name);
    let ways: [&dyn Fn(&Seed) -> String; 3] = [&by_environment, &by_folder, &by_path];
    let twice = |names: &[String]| -> bool {
        let distinct: BTreeSet<&String> = names.iter().collect();
        distinct.len() < names.len()
    };
    let plain: Vec<String> = seeds.iter().map(|s| s.name.clone()).collect();
    if !twice(&plain) {
        return;
    }
    let colliding = |i: usize| plain.iter().filter(|n| **n == plain[i]).count() > 1;
    for way in ways {
        let names: Vec<String> = seeds
            .iter()
            .enumerate()
            .map(|(i, s)| if colliding(i) { way(s) } else { s.name.clone() })
            .collect();
        if !twice(&names) {
            seeds.iter_mut().zip(names).for_each(|(seed, name)| seed.name = name);
            return;
        }
    }
    for (i, seed) in seeds.iter_mut().enumerate() {
        seed.name = format!("{}-{}", seed.name, i + 1);
    }
}

/// Sets that grow together.
#[derive(Default)]
pub(super) struct Families {
    numbers: BTreeMap<String, usize>,
    above: Vec<usize>,
}

impl Families {
    fn at(&mut self, name: &str) -> usize {
        let next = self.above.len();
        let at = *self.numbers.entry(name.to_owned()).or_insert(next);
        if at == next {
            self.above.push(next);
        }
        at
    }

    /// Makes one set of those that have these members.
    pub fn join(&mut self, a: &str, b: &str) {
        let (a, b) = (self.number(a), self.number(b));
        self.above[a.max(b)] = a.min(b);
    }

    /// The number of the set that has this member.
    pub fn number(&mut self, name: &str) -> usize {
        let mut at = self.at(name);
        while self.above[at] != at {
            at = self.above[at];
        }
        at
    }
}

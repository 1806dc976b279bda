//! Which file belongs to which clusters: each by the strongest sign there is of it.

use std::collections::{BTreeMap, BTreeSet};

use super::Origin;
use super::delivery::{Delivery, Target};
use super::kustomize::Graph;
use super::roster::Seed;
use super::signs::Signs;
use super::supply::is_unread;
use super::tree::{Tree, ancestors, folder_of, last_part, stem};
use super::units::Place;
use super::words::{core, environment};
use crate::config::Config;
use crate::kinds::View;

/// How strong a sign is. The strongest wins, those of equal strength add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    /// Nobody claims it.
    Shared,
    /// Where it stands, what it is called, what it tells.
    Place,
    /// A kustomization of the cluster takes it in.
    Use,
    /// Flux or Argo CD bring it.
    Delivery,
    /// The configuration says so.
    Configuration,
}

/// Whose a file is, and how we know.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    strength: Strength,
    pub origin: Origin,
    pub seeds: BTreeSet<usize>,
}

/// The claims on all files.
pub(super) struct Claims<'c, 'i> {
    tree: &'c Tree<'i>,
    graph: &'c Graph<'i>,
    signs: &'c [Signs],
    seeds: &'c [Seed],
    /// By file.
    pub of: Vec<Option<Claim>>,
    folders: BTreeMap<&'c str, usize>,
    files: BTreeMap<usize, usize>,
    /// Clusters that have a place in a folder or below it.
    below: BTreeMap<&'c str, BTreeSet<usize>>,
    called: BTreeMap<&'c str, BTreeSet<usize>>,
}

impl<'c, 'i> Claims<'c, 'i> {
    pub fn new(
        tree: &'c Tree<'i>,
        graph: &'c Graph<'i>,
        signs: &'c [Signs],
        seeds: &'c [Seed],
    ) -> Self {
        let of = vec![None; tree.files.len()];
        let (folders, files, below, called) = Default::default();
        let mut claims = Self { tree, graph, signs, seeds, of, folders, files, below, called };
        for (i, seed) in seeds.iter().enumerate() {
            for place in &seed.places {
                match place {
                    Place::Folder(path) => drop(claims.folders.insert(path, i)),
                    Place::File(file) => drop(claims.files.insert(*file, i)),
                }
            }
            for folder in seed.homes.iter().flat_map(|home| ancestors(home)) {
                claims.below.entry(folder).or_default().insert(i);
            }
            for alias in &seed.aliases {
                claims.called.entry(alias).or_default().insert(i);
            }
        }
        claims
    }

    fn claim(&mut self, file: usize, seed: usize, strength: Strength, origin: Origin) -> bool {
        match &mut self.of[file] {
            Some(claim) if claim.strength > strength => false,
            Some(claim) if claim.strength == strength => claim.seeds.insert(seed),
            claim => {
                *claim = Some(Claim { strength, origin, seeds: BTreeSet::from([seed]) });
                true
            }
        }
    }

    fn seeds_of(&self, file: usize) -> Vec<usize> {
        self.of[file].iter().flat_map(|claim| claim.seeds.iter().copied()).collect()
    }

    /// Everything is the only cluster's, for want of another.
    pub fn all_of_one(&mut self) {
        let seeds = BTreeSet::from([0]);
        let claim = Claim { strength: Strength::Shared, origin: Origin::Alone, seeds };
        self.of.fill(Some(claim));
    }

    /// The globs of the configuration.
    pub fn by_configuration(&mut self) {
        for (name, file) in self.tree.in_order() {
            for (i, seed) in self.seeds.iter().enumerate() {
                if seed.config.as_ref().is_some_and(|c| c.paths.contains(name)) {
                    self.claim(file, i, Strength::Configuration, Origin::Configuration);
                }
            }
        }
    }

    /// What stands in a cluster's folder, or names a cluster in its path, or tells its name.
    pub fn by_place(&mut self) {
        for (name, file) in self.tree.in_order() {
            let folder = folder_of(name);
            let own = || ancestors(folder).find_map(|a| self.folders.get(a));
            let found = if let Some(&seed) = self.files.get(&file) {
                Some((seed, Origin::File))
            } else if let Some(&seed) = own() {
                Some((seed, Origin::Folder))
            } else {
                self.by_name(name, file)
            };
            if let Some((seed, origin)) = found {
                self.claim(file, seed, Strength::Place, origin);
            }
        }
    }

    fn by_name(&self, name: &str, file: usize) -> Option<(usize, Origin)> {
        let nearby = self.nearby(folder_of(name))?;
        let environment = ancestors(folder_of(name)).find_map(|a| environment(last_part(a)));
        let only = |word: &str| {
            let called = [word.to_ascii_lowercase(), core(word)];
            let all = called.iter().find_map(|w| self.called.get(w.as_str()))?;
            let told = |&&i: &&usize| self.seeds[i].is_told && nearby.contains(&i);
            let of_environment =
                |&&i: &&usize| environment.is_none() || self.seeds[i].environment == environment;
            let one = |found: Vec<&usize>| (found.len() == 1).then(|| *found[0]);
            one(all.iter().filter(told).collect())
                .or_else(|| one(all.iter().filter(told).filter(of_environment).collect()))
        };
        let by_folder =
            || ancestors(folder_of(name)).find_map(|a| endings(last_part(a)).find_map(only));
        // A remote secret is called after the cluster it leads to, and belongs to any other.
        let objects = &self.tree.files[file].objects;
        let leads_elsewhere = objects
            .iter()
            .any(|o| matches!(o.view, View::Secret(_)) || o.meta.kind.ends_with("Secret"));
        let by_file = || endings(stem(name)).filter(|_| !leads_elsewhere).find_map(only);
        let by_told = || self.signs[file].name().and_then(only);
        let by_folder = by_folder().map(|seed| (seed, Origin::Folder));
        by_folder.or_else(|| by_told().or_else(by_file).map(|seed| (seed, Origin::File)))
    }

    /// The clusters that have a place near a folder: in the innermost folder above it that has any.
    fn nearby(&self, folder: &str) -> Option<&BTreeSet<usize>> {
        ancestors(folder).find_map(|a| self.below.get(a))
    }

    /// What kustomizations take in, and what is delivered: until nothing new is found.
    pub fn by_use(&mut self, deliveries: &[Delivery]) {
        let roots: Vec<(usize, BTreeSet<usize>)> = self
            .graph
            .roots(|_| true)
            .into_iter()
            .map(|root| (root, self.graph.files(root)))
            .collect();
        let mut changed = true;
        while changed {
            changed = false;
            for (root, files) in &roots {
                let Some(claim) = self.of[self.graph.nodes[*root].file].clone() else { continue };
                let strength = claim.strength.clamp(Strength::Use, Strength::Delivery);
                for &file in files {
                    for &seed in &claim.seeds {
                        changed |= self.claim(file, seed, strength, Origin::Kustomize);
                    }
                }
            }
            for delivery in deliveries {
                changed |= self.deliver(delivery);
            }
        }
    }

    fn deliver(&mut self, delivery: &Delivery) -> bool {
        let mut changed = false;
        for seed in self.targets(delivery) {
            for file in delivery.brought(self.tree, self.graph) {
                changed |= self.claim(file, seed, Strength::Delivery, Origin::Delivery);
            }
        }
        changed
    }

    /// The clusters that a delivery is for.
    pub fn targets(&self, delivery: &Delivery) -> Vec<usize> {
        let name = match &delivery.to {
            Target::Own => return self.own(delivery),
            Target::Every => return (0..self.seeds.len()).collect(),
            Target::Named(name) | Target::Server(name) => name,
        };
        let all: Vec<usize> =
            (0..self.seeds.len()).filter(|&i| self.seeds[i].is_called(name)).collect();
        let near = self.nearby(folder_of(self.tree.name(delivery.from)));
        let nearer: Vec<usize> =
            all.iter().copied().filter(|i| near.is_some_and(|n| n.contains(i))).collect();
        let all = if nearer.is_empty() { all } else { nearer };
        let exact = all.iter().copied().find(|&i| self.seeds[i].name == *name);
        exact.or(all.first().copied()).into_iter().collect()
    }

    /// The cluster of the object that says so. Where it stands beside the clusters, so that it may be any
    /// of them, it is the one in whose folder lies what it brings.
    fn own(&self, delivery: &Delivery) -> Vec<usize> {
        let seeds = self.seeds_of(delivery.from);
        let is_guess =
            self.of[delivery.from].as_ref().is_some_and(|c| c.strength == Strength::Shared);
        let held = || {
            let folder = delivery.folder.as_deref()?;
            ancestors(folder).find_map(|a| self.folders.get(a)).filter(|seed| seeds.contains(seed))
        };
        if is_guess && let Some(&seed) = held() { vec![seed] } else { seeds }
    }

    /// Gives what nobody claims to all clusters nearby. Returns what can't be theirs: the clusters
    /// nearby are alternatives, or what is there is itself a collection of alternatives.
    pub fn share(&mut self) -> Vec<usize> {
        let patches = self.graph.patch_files();
        let mut unclaimed: BTreeMap<Option<&BTreeSet<usize>>, Vec<usize>> = BTreeMap::new();
        for (name, file) in self.tree.in_order() {
            if self.of[file].is_none() && self.tree.counts(file) && !patches.contains(&file) {
                unclaimed.entry(self.nearby(folder_of(name))).or_default().push(file);
            }
        }
        let mut rest = Vec::new();
        let mut shared = Vec::new();
        for (near, files) in unclaimed {
            let near: Vec<usize> = near.into_iter().flatten().copied().collect();
            let collections: BTreeSet<usize> =
                near.iter().map(|&i| self.seeds[i].collection).collect();
            if collections.len() != 1 || self.are_alternatives(&files) {
                rest.extend(files);
            } else {
                shared.extend(files.into_iter().map(|file| (file, near.clone())));
            }
        }
        for (file, seeds) in shared {
            for seed in seeds {
                self.claim(file, seed, Strength::Shared, Origin::Shared);
            }
        }
        rest
    }

    /// Gives what can't be read, and nobody claims, to all clusters nearby, and to the one for the rest if
    /// there is one: it may be of any of them.
    pub fn share_unread(&mut self, rest: Option<usize>) {
        for (name, file) in self.tree.in_order() {
            if self.of[file].is_none() && is_unread(self.tree, file) {
                let near: Vec<usize> =
                    self.nearby(folder_of(name)).into_iter().flatten().copied().collect();
                for seed in near.into_iter().chain(rest) {
                    self.claim(file, seed, Strength::Shared, Origin::Shared);
                }
            }
        }
    }

    /// Whether files hold so many resources twice that nobody can mean to apply all of them.
    fn are_alternatives(&self, files: &[usize]) -> bool {
        let mut holders: BTreeMap<&str, usize> = BTreeMap::new();
        for &file in files {
            let ids: BTreeSet<&str> = self.signs[file].ids.iter().map(String::as_str).collect();
            for id in ids.into_iter().filter(|id| !id.starts_with("Namespace ")) {
                *holders.entry(id).or_default() += 1;
            }
        }
        let twice = holders.values().filter(|count| **count > 1).count();
        twice >= 3 && twice * 10 > holders.len()
    }
}

/// A name and what follows each of its separators: `istio-us-east-1`, `us-east-1`, `east-1`, `1`.
fn endings(name: &str) -> impl Iterator<Item = &str> {
    let after = name.match_indices(['-', '_', '.']).map(|(at, _)| &name[at + 1..]);
    std::iter::once(name).chain(after)
}

/// Adds the clusters that only deliveries name. A cluster by another name is told by what is brought
/// to it: all that is brought to one name lies in one cluster's folder.
pub(super) fn add_delivered(
    tree: &Tree<'_>,
    seeds: &mut Vec<Seed>,
    deliveries: &[Delivery],
    config: &Config,
) {
    let mut named: BTreeMap<&str, Vec<&Delivery>> = BTreeMap::new();
    for delivery in deliveries.iter().filter(|d| !d.is_lost) {
        if let Target::Named(name) | Target::Server(name) = &delivery.to {
            named.entry(name).or_default().push(delivery);
        }
    }
    for seed in seeds.iter_mut() {
        // Whoever has things brought to a cluster tells that it is one.
        seed.is_told |= named.keys().any(|name| seed.is_called(name));
    }
    named.retain(|name, _| !seeds.iter().any(|s| s.is_called(name)));
    let brought_to: BTreeMap<&str, BTreeSet<usize>> = named
        .iter()
        .map(|(name, all)| (*name, all.iter().filter_map(|d| holder(tree, seeds, d)).collect()))
        .collect();
    let family = seeds.iter().map(|s| s.family + 1).max().unwrap_or(0);
    for (name, all) in named {
        let only = brought_to[name].first().filter(|_| brought_to[name].len() == 1).copied();
        let is_free =
            |&seed: &usize| brought_to.values().filter(|all| all.contains(&seed)).count() == 1;
        if let Some(seed) = only.filter(is_free) {
            seeds[seed].aliases.extend([name.to_ascii_lowercase(), core(name)]);
            seeds[seed].is_told = true;
        } else if config.clusters.is_empty() {
            let homes = all.iter().map(|d| folder_of(tree.name(d.from)).to_owned()).collect();
            let environment = environment(name);
            seeds.push(Seed { homes, environment, family, ..Seed::new(name, Origin::Delivery) });
        }
    }
}

/// The cluster in whose folder a delivered folder or values file lies, or whose name its values tell.
fn holder(tree: &Tree<'_>, seeds: &[Seed], delivery: &Delivery) -> Option<usize> {
    let folder = delivery.folder.as_deref();
    let files = delivery.files.iter().map(|file| tree.name(*file));
    let holds = |path: &str| {
        let is = |a: &str| {
            seeds
                .iter()
                .position(|s| s.places.iter().any(|p| matches!(p, Place::Folder(f) if f == a)))
        };
        ancestors(path).find_map(is)
    };
    let is_file = |name: &str| {
        seeds.iter().position(|s| {
            s.places.iter().any(|p| matches!(p, Place::File(f) if tree.name(*f) == name))
        })
    };
    let told = delivery.facts.name.first().map(|fact| fact.value.as_str());
    folder
        .and_then(holds)
        .or_else(|| files.into_iter().find_map(|name| is_file(name).or_else(|| holds(name))))
        .or_else(|| told.and_then(|name| seeds.iter().position(|s| s.is_called(name))))
}

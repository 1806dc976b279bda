//! Folders that were made for one cluster, and are brought to another too.

use std::collections::{BTreeMap, BTreeSet};

use super::away::installs_away;
use super::delivery::{Delivery, Target};
use super::facts::{Fact, Facts};
use super::kustomize::{Graph, Made};
use super::roster::Seed;
use super::tree::{Tree, last_part};
use super::words::letters;
use super::{ClusterId, DEFAULT_NAME};
use crate::kinds::is_placeholder;
use crate::source::{Span, Text};

/// A folder of one cluster that Flux or Argo CD bring to another as well, with nothing changed.
#[derive(Clone, Debug)]
pub struct Astray {
    /// The folder.
    pub folder: String,
    /// The cluster for which it was made, and where it is said that it is brought there.
    pub of: (ClusterId, Span),
    /// The other one, and where it is said that it is brought there.
    pub to: (ClusterId, Span),
    /// What in it is the one cluster's alone.
    pub tells: Telling,
    /// The folder that was made for the other one, which is brought to no cluster.
    pub idle: Option<String>,
}

/// What only one cluster can have.
#[derive(Clone, Debug)]
pub enum Telling {
    /// Its name.
    Name(Text),
    /// Its network, while the folder of the other one has another.
    Network(Text),
    /// A remote secret, by its key, that leads to the other one.
    Remote(Text),
}

/// What a folder tells of the cluster that it is brought to.
#[derive(Default, PartialEq)]
struct Identity {
    names: Vec<Text>,
    networks: Vec<Text>,
    remotes: Vec<Text>,
}

impl Identity {
    fn of(made: &[Made<'_>]) -> Self {
        let mut facts = Facts::default();
        // A control plane of other clusters tells nothing of the one that it runs in.
        let own = || made.iter().map(|made| &made.object).filter(|object| !installs_away(object));
        own().for_each(|object| facts.learn(object));
        facts.settle();
        let told = |facts: Vec<Fact>| -> Vec<Text> {
            let values = facts.into_iter().map(|fact| fact.value);
            values.filter(|v| !is_placeholder(v) && v.as_str() != DEFAULT_NAME).collect()
        };
        let remotes = own().flat_map(|object| object.remote_clusters()).cloned().collect();
        Self { names: told(facts.name), networks: told(facts.network), remotes }
    }
}

/// One that brings a folder to a cluster.
struct Brought<'d> {
    cluster: ClusterId,
    at: Span,
    delivery: &'d Delivery,
}

/// What is needed to tell.
pub(super) struct Search<'s, 'i> {
    pub tree: &'s Tree<'i>,
    pub graph: &'s Graph<'i>,
    /// By cluster.
    pub seeds: &'s [Seed],
    /// Whether the file of a delivery is surely of the clusters it is taken to be of.
    pub is_sure: &'s dyn Fn(usize) -> bool,
    /// Whether something at this place may be patched in ways that are not followed.
    pub is_patched: &'s dyn Fn(Span) -> bool,
}

impl Search<'_, '_> {
    /// All such folders.
    pub fn all(&self, deliveries: &[(ClusterId, &Delivery)]) -> Vec<Astray> {
        let mut by_folder: BTreeMap<(&str, &str), Vec<Brought<'_>>> = BTreeMap::new();
        for &(cluster, delivery) in deliveries {
            let is_of_one = delivery.to != Target::Own || (self.is_sure)(delivery.from);
            if let (Some(folder), Some(at)) = (&delivery.folder, delivery.at)
                && is_of_one
                && !(self.is_patched)(at)
            {
                let brought = Brought { cluster, at, delivery };
                by_folder.entry((folder, &delivery.source)).or_default().push(brought);
            }
        }
        by_folder.retain(|_, all| all.iter().any(|b| b.cluster != all[0].cluster));
        if by_folder.is_empty() {
            return Vec::new();
        }
        let brought: BTreeSet<usize> =
            deliveries.iter().flat_map(|(_, d)| d.brought(self.tree, self.graph)).collect();
        let each = by_folder.into_iter();
        each.flat_map(|((folder, _), all)| self.of_folder(folder, &all, &brought)).collect()
    }

    fn of_folder(
        &self,
        folder: &str,
        all: &[Brought<'_>],
        brought: &BTreeSet<usize>,
    ) -> Vec<Astray> {
        if all.iter().any(|b| b.delivery.is_patched) {
            return Vec::new();
        }
        let told: Vec<Identity> = all.iter().map(|b| self.identity(b.delivery)).collect();
        let mut found: Vec<Astray> = Vec::new();
        for (to, there) in all.iter().zip(&told) {
            let mut others = all.iter().zip(&told).filter(|(of, _)| of.cluster != to.cluster);
            let astray = others.find_map(|(of, here)| {
                // Two texts of one folder: something fills in what differs.
                let is_same = *here == *there && !found.iter().any(|f| f.to.0 == to.cluster);
                let idle = self.idle(folder, of.cluster, to.cluster, brought);
                let tells = is_same.then(|| self.telling(here, of, to, idle.as_deref()))??;
                let folder = folder.to_owned();
                let (of, to) = ((of.cluster, of.at), (to.cluster, to.at));
                Some(Astray { folder, of, to, tells, idle })
            });
            found.extend(astray);
        }
        found
    }

    fn identity(&self, delivery: &Delivery) -> Identity {
        let files = delivery.brought(self.tree, self.graph);
        Identity::of(&delivery.made(self.tree, self.graph, &files))
    }

    /// What in a folder is of one cluster alone, and not of the other.
    fn telling(
        &self,
        told: &Identity,
        of: &Brought<'_>,
        to: &Brought<'_>,
        idle: Option<&str>,
    ) -> Option<Telling> {
        let seed = |brought: &Brought<'_>| &self.seeds[brought.cluster.index()];
        let is_own = |name: &&Text| is_alike(seed(of), name) && !is_alike(seed(to), name);
        if let Some(name) = told.names.iter().find(is_own) {
            return Some(Telling::Name(name.clone()));
        }
        let folder = Some(idle?.to_owned());
        let beside = self.identity(&Delivery { folder, ..Delivery::of_flux(to.delivery.from) });
        let has = |all: &[Text], one: &Text| all.iter().any(|t| t.as_str() == one.as_str());
        let network = told
            .networks
            .first()
            .filter(|network| !beside.networks.is_empty() && !has(&beside.networks, network));
        let leads_back = |key: &&Text| seed(to).is_called(key) && !has(&beside.remotes, key);
        let remote = told.remotes.iter().find(leads_back).filter(|_| !beside.remotes.is_empty());
        let network = network.cloned().map(Telling::Network);
        network.or_else(|| remote.cloned().map(Telling::Remote))
    }

    /// The folder that is called after one cluster as this one is after another, if nothing brings it.
    fn idle(
        &self,
        folder: &str,
        of: ClusterId,
        to: ClusterId,
        brought: &BTreeSet<usize>,
    ) -> Option<String> {
        let (of, to) = (&self.seeds[of.index()], &self.seeds[to.index()]);
        let ends = folder.match_indices('/').map(|(at, _)| at).chain([folder.len()]);
        let mut above = ends.map(|end| (&folder[..end], &folder[end..]));
        let (own, rest) = above
            .find(|(path, _)| of.is_called(last_part(path)) && !to.is_called(last_part(path)))?;
        let parent = super::tree::folder_of(own);
        let child = |file: usize| {
            let name = self.tree.name(file);
            let inside = if parent.is_empty() { name } else { name.get(parent.len() + 1..)? };
            Some(inside.split_once('/')?.0)
        };
        let is_its = |name: &&str| to.is_called(name) && !of.is_called(name);
        let name = self.tree.below(parent).filter_map(child).find(is_its)?;
        let inside = if parent.is_empty() { String::new() } else { format!("{parent}/") };
        let idle = format!("{inside}{name}{rest}");
        let is_idle = |files: Vec<usize>| {
            !files.is_empty() && files.iter().all(|file| !brought.contains(file))
        };
        is_idle(self.tree.below(&idle).collect()).then_some(idle)
    }
}

/// Whether a name means a cluster, or may: `prod-east` in `east` is the same name with more of it.
fn is_alike(seed: &Seed, name: &str) -> bool {
    let (own, told) = (letters(&seed.name), letters(name));
    seed.is_called(name) || own.contains(&told) || told.contains(&own)
}

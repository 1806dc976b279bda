//! The way from files to a fleet: units, deliveries, claims, kustomize's builds, facts, meshes.
//!
//! The configuration goes before everything. Without it, clusters are the folders and files that their
//! names, their control planes or a clash with their siblings tell ([`super::units`]), and those that
//! Flux and Argo CD name. A file belongs to the clusters to which it is delivered, else to those whose
//! kustomizations take it in, else to the one in whose folder it stands or whose name it bears. What
//! nobody claims belongs to all clusters nearby; files beside a kustomization that does not list them
//! are not applied and are passed over.

use std::collections::{BTreeMap, BTreeSet};

use super::astray::{Astray, Search};
use super::chain;
use super::claims::{Claims, add_delivered};
use super::delivery::Delivery;
use super::facts::{Facts, Origin};
use super::generators;
use super::given::{Gift, Given};
use super::hosting::{self, Hosts};
use super::installs::Installed;
use super::kustomize::{Graph, Made, Node, is_kustomization};
use super::roster::{self, Seed};
use super::signs::Signs;
use super::supply::{Supply, is_unread, of_member, of_unread, told};
use super::tree::{Tree, folder_of};
use super::units::{Finder, Place};
use super::{Cluster, ClusterId, Fleet, Member, Placed, is_cluster_scoped, meshes};
use crate::config::Config;
use crate::kinds::file::Manifests;
use crate::kinds::{Meta, Object, View};
use crate::source::{FileId, Skipped, Sources, Span, Text};

/// Finds the clusters and gives each resource to those it belongs to.
pub fn assign(sources: &Sources, files: &[Manifests], config: &Config) -> Fleet {
    let tree = Tree::of(sources, files);
    let graph = Graph::of(&tree);
    let signs: Vec<Signs> = (0..files.len()).map(|file| Signs::of(&tree, file)).collect();
    let deliveries = chain::all(&tree, &graph);
    let mut seeds = if config.clusters.is_empty() {
        roster::seeds(&tree, &signs, &Finder::new(&tree, &graph, &signs).units())
    } else {
        configured(config)
    };
    add_delivered(&tree, &mut seeds, &deliveries, config);
    if seeds.is_empty() {
        seeds.push(alone(&signs));
    }
    let (owners, targets, rest) = owners(&tree, &graph, &signs, &seeds, &deliveries, config);
    if !rest.is_empty() {
        seeds.push(rest_of(&seeds));
    }
    let order = order(&seeds, &owners, &targets, !config.clusters.is_empty());
    Assembly { tree: &tree, graph: &graph, config, owners: &owners }.fleet(
        &seeds,
        &order,
        &deliveries,
        &targets,
    )
}

/// Whose each file is, and how we know.
pub(super) type Owners = Vec<Option<(Vec<usize>, Origin)>>;

/// Owners of files, targets of deliveries, and the files that are left for a cluster of their own.
fn owners(
    tree: &Tree<'_>,
    graph: &Graph<'_>,
    signs: &[Signs],
    seeds: &[Seed],
    deliveries: &[Delivery],
    config: &Config,
) -> (Owners, Vec<Vec<usize>>, Vec<usize>) {
    let mut claims = Claims::new(tree, graph, signs, seeds);
    let mut rest = Vec::new();
    if config.clusters.is_empty() {
        claims.by_place();
        claims.by_use(deliveries);
        if seeds.len() == 1 && seeds[0].origin == Origin::Alone {
            claims.all_of_one();
        } else {
            rest = claims.share();
            claims.share_unread((!rest.is_empty()).then_some(seeds.len()));
        }
    } else {
        claims.by_configuration();
    }
    claims.by_use(deliveries);
    let targets = deliveries.iter().map(|d| claims.targets(d)).collect();
    let mut owners: Owners = claims
        .of
        .into_iter()
        .map(|c| c.map(|c| (c.seeds.into_iter().collect(), c.origin)))
        .collect();
    for &file in &rest {
        owners[file] = Some((vec![seeds.len()], Origin::Alone));
    }
    (owners, targets, rest)
}

fn configured(config: &Config) -> Vec<Seed> {
    let seed = |c: &crate::config::ClusterConfig| Seed {
        config: Some(c.clone()),
        ..Seed::new(&c.name, Origin::Configuration)
    };
    config.clusters.iter().map(seed).collect()
}

/// One cluster for everything, called as its control plane calls it.
fn alone(signs: &[Signs]) -> Seed {
    let told: BTreeSet<&str> =
        signs.iter().flat_map(|s| s.told.iter().map(|(_, name)| name.as_str())).collect();
    let name = if told.len() == 1 { told.first().copied() } else { None };
    Seed {
        places: BTreeSet::from([Place::Folder(String::new())]),
        ..Seed::new(name.unwrap_or("cluster"), Origin::Alone)
    }
}

/// A cluster for what can't belong to the others.
fn rest_of(seeds: &[Seed]) -> Seed {
    let is_free = |name: &&str| seeds.iter().all(|s| s.name != **name);
    let name = ["cluster", "rest"].into_iter().find(is_free).unwrap_or("other manifests");
    let family = seeds.iter().map(|s| s.family + 1).max().unwrap_or(0);
    Seed { family, is_told: false, ..Seed::new(name, Origin::Alone) }
}

/// Seeds by name, those left out that have nothing.
fn order(seeds: &[Seed], owners: &Owners, targets: &[Vec<usize>], configured: bool) -> Vec<usize> {
    let owning: BTreeSet<usize> =
        owners.iter().flatten().flat_map(|(seeds, _)| seeds.iter().copied()).collect();
    let targeted: BTreeSet<usize> = targets.iter().flatten().copied().collect();
    let mut order: Vec<usize> = (0..seeds.len())
        .filter(|i| configured || owning.contains(i) || targeted.contains(i))
        .collect();
    order.sort_by(|&a, &b| seeds[a].name.cmp(&seeds[b].name).then(a.cmp(&b)));
    order
}

/// A cluster of which nothing is known yet but that it is one.
fn unlearned(at: usize, seed: &Seed) -> Cluster {
    Cluster {
        id: ClusterId::at(at),
        name: seed.name.clone(),
        facts: Facts::default(),
        origin: seed.origin,
        mesh: 0,
        hosted_in: None,
        config: seed.config.clone(),
        files: BTreeSet::new(),
    }
}

struct Assembly<'a, 'i> {
    tree: &'a Tree<'i>,
    graph: &'a Graph<'i>,
    config: &'a Config,
    owners: &'a Owners,
}

impl Assembly<'_, '_> {
    fn fleet(
        &self,
        seeds: &[Seed],
        order: &[usize],
        deliveries: &[Delivery],
        targets: &[Vec<usize>],
    ) -> Fleet {
        let seeds: Vec<Seed> = order.iter().map(|&i| seeds[i].clone()).collect();
        let mut fleet = Fleet {
            clusters: seeds.iter().enumerate().map(|(at, seed)| unlearned(at, seed)).collect(),
            missing: self.graph.missing.clone(),
            one_servers: generators::one_server(self.tree),
            ..Fleet::default()
        };
        let ids: BTreeMap<usize, ClusterId> =
            order.iter().enumerate().map(|(at, seed)| (*seed, ClusterId::at(at))).collect();
        let passed = self.passed_over(deliveries);
        let brought = brought(deliveries, targets, &ids);
        let given = Given::of(&brought);
        for (at, own) in self.owned(&ids).into_iter().enumerate() {
            let id = ClusterId::at(at);
            let built = self.add_builds(&mut fleet, id, &own, &given);
            self.add_files(&mut fleet, id, &own, &built, &passed, &given);
        }
        fleet.members.sort_by_key(|m| (m.object.meta.span, m.cluster));
        self.note_files(&mut fleet, &ids, &passed);
        learn(&mut fleet);
        fleet.patched = self.patched(deliveries);
        fleet.astray = self.astray(&seeds, &brought, &fleet.patched);
        for (cluster, delivery) in &brought {
            fleet.clusters[cluster.index()].facts.absorb(delivery.facts.clone());
        }
        self.learn_values(&mut fleet);
        self.note_supplies(&mut fleet, &ids, &brought);
        hosting::settle(&mut fleet, &seeds);
        learn_networks(&mut fleet);
        let configured = !self.config.clusters.is_empty();
        meshes::group(&mut fleet.clusters, &seeds, &fleet.members, configured);
        fleet
    }

    /// The files of each cluster.
    fn owned(&self, ids: &BTreeMap<usize, ClusterId>) -> Vec<BTreeSet<usize>> {
        let mut owned = vec![BTreeSet::new(); ids.len()];
        for (file, owner) in self.owners.iter().enumerate() {
            for seed in owner.iter().flat_map(|(seeds, _)| seeds) {
                owned[ids[seed].index()].insert(file);
            }
        }
        owned
    }

    /// Puts into a cluster what its kustomizations make; returns the files they take in.
    fn add_builds(
        &self,
        fleet: &mut Fleet,
        id: ClusterId,
        own: &BTreeSet<usize>,
        given: &Given<'_>,
    ) -> BTreeSet<usize> {
        let mut built = BTreeSet::new();
        for root in self.graph.roots(|node| own.contains(&node.file)) {
            built.extend(self.graph.files(root));
            let (made, cut) = self.graph.build(self.tree, root);
            fleet.missing.extend(cut.cloned());
            let beside: BTreeSet<String> =
                made.iter().filter_map(|m| namespace(&m.object)).collect();
            for supply in self.graph.supplies(root) {
                fleet.supplies.extend(supply.within(&beside).into_iter().map(|s| (id, s)));
            }
            let gift = given.get(id, self.graph.nodes[root].folder);
            fleet.members.extend(made.into_iter().map(|made| self.member(id, made, gift)));
        }
        built
    }

    /// Puts into a cluster what is in its files that no kustomization takes in, and notes all its files.
    fn add_files(
        &self,
        fleet: &mut Fleet,
        id: ClusterId,
        own: &BTreeSet<usize>,
        built: &BTreeSet<usize>,
        passed: &BTreeMap<usize, &'static str>,
        given: &Given<'_>,
    ) {
        for &file in own.union(built).filter(|f| self.tree.counts(**f)) {
            let is_built = built.contains(&file);
            let is_apart = passed.contains_key(&file) || is_built;
            if !is_apart || is_kustomization(self.tree.name(file)) {
                let gift = given.get(id, folder_of(self.tree.name(file)));
                let objects = self.tree.files[file].objects.iter();
                let made = objects.map(|object| Made::of(file, object));
                fleet.members.extend(made.map(|made| self.member(id, made, gift)));
            }
            if is_built || passed.get(&file) != Some(&PATCH) {
                fleet.clusters[id.index()].files.insert(self.tree.files[file].file);
            }
        }
    }

    /// The resource in a cluster, with what it gets there from what brings it.
    fn member(&self, cluster: ClusterId, mut made: Made<'_>, gift: Gift<'_>) -> Member {
        if let Some(fill) = gift.fill {
            fill.apply(self.tree, &mut made);
        }
        let namespace = namespace_of(&made.object.meta, gift.namespace, self.config);
        Member { cluster, namespace, object: made.object }
    }

    /// Folders of one cluster that are brought to another too.
    fn astray(
        &self,
        seeds: &[Seed],
        brought: &[(ClusterId, &Delivery)],
        patched: &BTreeSet<FileId>,
    ) -> Vec<Astray> {
        let is_sure = |file: usize| {
            let owner = self.owners[file].as_ref();
            owner.is_some_and(|(_, by)| !matches!(by, Origin::Shared | Origin::Alone))
        };
        let is_patched = |at: Span| {
            let file = self.tree.sources.file_at(at.start);
            file.is_none_or(|(file, _)| patched.contains(&file))
        };
        let (tree, graph) = (self.tree, self.graph);
        let search = Search { tree, graph, seeds, is_sure: &is_sure, is_patched: &is_patched };
        search.all(brought)
    }

    /// The files of deliveries that change what they bring.
    fn patched(&self, deliveries: &[Delivery]) -> BTreeSet<FileId> {
        let patched = deliveries.iter().filter(|d| d.is_patched).filter_map(|d| d.folder.as_ref());
        let of = |folder: &String| {
            let roots = self.graph.roots(|node| folder_of(self.tree.name(node.file)) == folder);
            let built = roots.into_iter().flat_map(|root| self.graph.files(root));
            built.chain(self.tree.below(folder)).collect::<Vec<_>>()
        };
        patched.flat_map(of).map(|file| self.tree.files[file].file).collect()
    }

    /// Files that are not applied by themselves, and why.
    fn passed_over(&self, deliveries: &[Delivery]) -> BTreeMap<usize, &'static str> {
        let patches = self.graph.patch_files();
        let mut passed: BTreeMap<usize, &'static str> =
            patches.iter().map(|file| (*file, PATCH)).collect();
        let brought = deliveries.iter().flat_map(|d| d.brought(self.tree, self.graph));
        let brought: BTreeSet<usize> = brought.collect();
        let is_built = |node: &Node<'_>| brought.contains(&node.file);
        for (name, file) in self.tree.in_order() {
            let objects = &self.tree.files[file].objects;
            let delivered = matches!(&self.owners[file], Some((_, Origin::Delivery)));
            let named = self.config.clusters.iter().any(|c| c.paths.name(name));
            if self.graph.leaves_out(self.tree, file, is_built)
                && !objects.is_empty()
                && !delivered
                && !named
                && !objects.iter().any(|o| stands_alone(&o.view))
            {
                let is_beside = self.graph.in_folder(folder_of(name)).is_some();
                passed.insert(file, if is_beside { BESIDE } else { ABOVE });
            }
        }
        passed
    }

    fn note_files(
        &self,
        fleet: &mut Fleet,
        ids: &BTreeMap<usize, ClusterId>,
        passed: &BTreeMap<usize, &'static str>,
    ) {
        for (file, read) in self.tree.files.iter().enumerate() {
            if let Some(reason) = passed.get(&file).filter(|_| read.skipped.is_none()) {
                let name = self.tree.sources.file(read.file).name.clone();
                fleet.skipped.push(Skipped { file: name, reason });
            } else if self.tree.counts(file) {
                let (clusters, origin) = match &self.owners[file] {
                    Some((seeds, origin)) => {
                        (seeds.iter().filter_map(|s| ids.get(s)).copied().collect(), *origin)
                    }
                    None => (Vec::new(), Origin::Configuration),
                };
                fleet.placed.push(Placed { file: read.file, clusters, origin });
            }
        }
        fleet.placed.sort_by_key(|p| p.file);
    }

    /// What is brought to each cluster and not in the input.
    fn note_supplies(
        &self,
        fleet: &mut Fleet,
        ids: &BTreeMap<usize, ClusterId>,
        brought: &[(ClusterId, &Delivery)],
    ) {
        let of_members = fleet.members.iter().filter_map(|m| Some((m.cluster, of_member(m)?)));
        let mut found: Vec<(ClusterId, Supply)> = of_members.collect();
        found.extend(brought.iter().filter_map(|(id, d)| Some((*id, d.unseen.clone()?))));
        let taken = self.graph.taken();
        for file in (0..self.tree.files.len()).filter(|file| is_unread(self.tree, *file)) {
            let folder = folder_of(self.tree.name(file));
            let is_applied = taken.contains(&file) || !self.graph.passes_over(folder);
            let Some(supply) = of_unread(self.tree, file).filter(|_| is_applied) else { continue };
            let seeds = self.owners[file].iter().flat_map(|(seeds, _)| seeds);
            found.extend(seeds.filter_map(|seed| Some((*ids.get(seed)?, supply.clone()))));
        }
        fleet.supplies.extend(found);
        fleet.supplies.sort();
        fleet.supplies.dedup();
    }

    /// Values files: those of the cluster alone, then those it shares, which are overridden.
    fn learn_values(&self, fleet: &mut Fleet) {
        let mut defaults: Vec<Facts> = vec![Facts::default(); fleet.clusters.len()];
        for placed in &fleet.placed {
            let Some(file) = self.tree.find_by_id(placed.file) else { continue };
            for values in &self.tree.files[file].values {
                for cluster in &placed.clusters {
                    let own = placed.clusters.len() == 1 || fleet.clusters.len() == 1;
                    let facts = if own {
                        &mut fleet.clusters[cluster.index()].facts
                    } else {
                        &mut defaults[cluster.index()]
                    };
                    let facts = facts.learn_values_of(values, Origin::HelmValues);
                    facts.note(Installed::of_values(values));
                }
            }
        }
        for (cluster, mut defaults) in fleet.clusters.iter_mut().zip(defaults) {
            defaults.settle();
            cluster.facts.settle();
            cluster.facts.absorb_defaults(defaults);
        }
    }
}

const PATCH: &str = "kustomize patch";
const BESIDE: &str = "not in the kustomization beside it";
const ABOVE: &str = "not in the kustomization above it";

/// Each delivery with each cluster it is brought to.
fn brought<'d>(
    deliveries: &'d [Delivery],
    targets: &[Vec<usize>],
    ids: &BTreeMap<usize, ClusterId>,
) -> Vec<(ClusterId, &'d Delivery)> {
    let each = deliveries.iter().zip(targets);
    let each = each.flat_map(|(delivery, to)| to.iter().map(move |seed| (seed, delivery)));
    each.filter_map(|(seed, delivery)| Some((*ids.get(seed)?, delivery))).collect()
}

/// What nobody applies through the kustomization beside it: descriptions of clusters, and what delivers.
fn stands_alone(view: &View) -> bool {
    matches!(
        view,
        View::Node(_)
            | View::Eksctl(_)
            | View::KindCluster(_)
            | View::ApiCluster(_)
            | View::Kubeadm(_)
            | View::FluxKustomization(_)
            | View::Application(_)
            | View::ApplicationSet(_)
    )
}

/// What the resources tell; namespaces last, when it is known which one is the control plane's.
fn learn(fleet: &mut Fleet) {
    let hosts = Hosts::of(fleet);
    let (namespaces, others): (Vec<&Member>, Vec<&Member>) =
        fleet.members.iter().partition(|m| matches!(m.object.view, View::Namespace(_)));
    for member in others.into_iter().chain(namespaces) {
        let facts = &mut fleet.clusters[member.cluster.index()].facts;
        match hosts.of_member(member) {
            Some(namespace) => facts.hosted_in(namespace.clone()).learn(&member.object),
            None => facts.learn(&member.object),
        }
    }
    for (cluster, namespace) in hosts.all() {
        fleet.clusters[cluster.index()].facts.hosted_in(namespace.clone());
    }
}

/// Gives each cluster the network that some control plane's MeshNetworks have for it.
fn learn_networks(fleet: &mut Fleet) {
    let told: Vec<(Text, Text)> =
        fleet.clusters.iter().flat_map(|c| c.facts.networks.iter().cloned()).collect();
    for (network, name) in told {
        for cluster in fleet.clusters.iter_mut().filter(|c| c.is_called(&name)) {
            cluster.facts.learn_network(&network);
        }
    }
}

/// The namespace that a resource tells: its own, or the one it is.
fn namespace(object: &Object) -> Option<String> {
    let meta = &object.meta;
    let is_one = matches!(object.view, View::Namespace(_));
    if is_one { Some(meta.name.value.clone()) } else { told(meta.namespace.as_ref()) }
}

fn namespace_of(meta: &Meta, given: Option<&str>, config: &Config) -> String {
    if is_cluster_scoped(&meta.kind) {
        return String::new();
    }
    let told = meta.namespace.as_ref().map(|ns| ns.value.clone());
    told.or_else(|| given.map(str::to_owned))
        .or_else(|| config.namespace.clone())
        .unwrap_or_else(|| "default".to_owned())
}

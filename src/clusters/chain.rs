//! Deliveries of deliveries: what brings is itself brought, and patched or filled in on its way.

use std::collections::{BTreeMap, BTreeSet};

use super::delivery::{self, Delivery, Target};
use super::kustomize::{Graph, Made};
use super::tree::Tree;
use super::variables::{Holders, LazyHolders};
use crate::source::Span;

/// A delivery, and the resources on the way to it: its own last, before it those by which this comes. Alone,
/// it is as its file has it.
struct Link {
    delivery: Delivery,
    way: Vec<Span>,
}

/// What brings resources that bring others.
#[derive(Clone, Copy)]
struct Bringer<'l> {
    to: &'l Target,
    /// The file whose cluster [`Target::Own`] is.
    from: usize,
    way: &'l [Span],
}

/// Kustomizations of Flux that bring others stand no deeper than this in any layout that anyone has.
const DEPTH: usize = 4;

/// Everything that is brought anywhere. Of a resource that something changes on its way, each way counts
/// for itself, and its file alone for nothing.
pub(super) fn all(tree: &Tree<'_>, graph: &Graph<'_>) -> Vec<Delivery> {
    let holders = Holders::lazy(tree, graph);
    let mut links: Vec<Link> = Vec::new();
    for (_, file) in tree.in_order() {
        for object in tree.files[file].objects.iter().filter(|o| delivery::delivers(o)) {
            for mut delivery in delivery::of(tree, &Made::of(file, object)) {
                delivery.look_up(tree, &holders);
                links.push(Link { delivery, way: vec![object.meta.span] });
            }
        }
    }
    let mut replaced = BTreeSet::new();
    for _ in 0..DEPTH {
        let more = changed(tree, graph, &holders, &links, &replaced);
        if more.is_empty() {
            break;
        }
        replaced.extend(more.iter().filter_map(|link| link.way.last().copied()));
        links.extend(more);
    }
    let stays = |link: &&Link| !replaced.contains(&link.way[0]);
    let kept: BTreeSet<Span> =
        links.iter().filter(stays).filter_map(|link| link.way.last().copied()).collect();
    // What only comes by way of itself counts as it is written.
    let counts = |link: &Link| {
        stays(&link) || matches!(link.way.as_slice(), [alone] if !kept.contains(alone))
    };
    links.into_iter().filter(counts).map(|link| link.delivery).collect()
}

/// The deliveries, not yet known, of resources that are changed on some way: for each of their ways.
fn changed(
    tree: &Tree<'_>,
    graph: &Graph<'_>,
    holders: &LazyHolders<'_>,
    links: &[Link],
    replaced: &BTreeSet<Span>,
) -> Vec<Link> {
    let mut ways = ways(tree, graph, links, replaced);
    ways.retain(|_, all| all.iter().any(|(_, made)| !made.object.meta.layers.is_empty()));
    let known: BTreeSet<&[Span]> = links.iter().map(|link| link.way.as_slice()).collect();
    let mut found = Vec::new();
    for (resource, all) in &ways {
        for (by, made) in all.iter().filter(|(by, _)| !by.way.contains(resource)) {
            let way: Vec<Span> = by.way.iter().chain([resource]).copied().collect();
            if !known.contains(way.as_slice()) {
                for delivery in delivery::of(tree, made) {
                    let mut delivery = by.passing_on(delivery);
                    delivery.look_up(tree, holders);
                    found.push(Link { delivery, way: way.clone() });
                }
            }
        }
    }
    found
}

/// Each resource that delivers, as everything makes it that brings it: deliveries, and kustomizations that
/// none of them brings.
fn ways<'w>(
    tree: &'w Tree<'w>,
    graph: &'w Graph<'w>,
    links: &'w [Link],
    replaced: &BTreeSet<Span>,
) -> BTreeMap<Span, Vec<(Bringer<'w>, Made<'w>)>> {
    let mut ways: BTreeMap<Span, Vec<(Bringer<'w>, Made<'w>)>> = BTreeMap::new();
    let mut enter = |by: Bringer<'w>, all: Vec<Made<'w>>| {
        for made in all.into_iter().filter(|made| delivery::delivers(&made.object)) {
            ways.entry(made.object.meta.span).or_default().push((by, made));
        }
    };
    let mut brought = BTreeSet::new();
    for link in links.iter().filter(|link| !replaced.contains(&link.way[0])) {
        let files = link.delivery.brought(tree, graph);
        if delivering(tree, &files) {
            let Delivery { to, from, .. } = &link.delivery;
            let made = link.delivery.made(tree, graph, &files);
            enter(Bringer { to, from: *from, way: &link.way }, made);
        }
        brought.extend(files);
    }
    for root in graph.roots(|node| !brought.contains(&node.file)) {
        let node = &graph.nodes[root];
        if delivering(tree, &graph.files(root)) {
            let way = std::slice::from_ref(node.written());
            let made = graph.build(tree, root).0;
            enter(Bringer { to: &Target::Own, from: node.file, way }, made);
        }
    }
    ways
}

fn delivering(tree: &Tree<'_>, files: &BTreeSet<usize>) -> bool {
    files.iter().any(|file| tree.files[*file].objects.iter().any(|o| delivery::delivers(o)))
}

impl Bringer<'_> {
    /// A delivery that it brings: the cluster of its own is the one that this is brought to.
    fn passing_on(&self, mut delivery: Delivery) -> Delivery {
        if delivery.to == Target::Own {
            delivery.to = self.to.clone();
            delivery.from = self.from;
        }
        delivery
    }
}

//! The way from one cluster to a mesh of several: what is to change, in which order, and how far it is.
//!
//! What is risky to do late comes first: as soon as the first remote secret is there, Services of one
//! name merge, whatever else is done or not.

mod identity;
mod joining;
mod networks;
mod policies;
mod services;

pub use services::is_stateful;

use std::fmt;

use crate::access::Access;
use crate::clusters::{Cluster, Role};
use crate::mesh::{Mesh, value};
use crate::source::Span;
use crate::trust::Trust;

/// What the mesh is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Who runs control planes.
    pub shape: Shape,
    /// Whether pods of all clusters reach each other directly.
    pub networks: Networks,
}

/// Who runs control planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Every cluster its own.
    MultiPrimary,
    /// One for all.
    PrimaryRemote,
}

/// How pods of different clusters reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Networks {
    /// Directly.
    One,
    /// Through gateways.
    Several,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::MultiPrimary => "multi-primary",
            Self::PrimaryRemote => "primary-remote",
        })
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::One => "one",
            Self::Several => "several",
        })
    }
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The files show it.
    Done,
    /// The files show that it is not.
    Todo,
    /// Something is there that changes its meaning: somebody has to look at it.
    Look,
    /// The files do not show it.
    Unknown,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Done => "done",
            Self::Todo => "to do",
            Self::Look => "look at",
            Self::Unknown => "unknown",
        })
    }
}

/// A place in the files, and what about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub at: Span,
    /// What is there.
    pub text: String,
}

/// A step of the way.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name for programs.
    pub name: &'static str,
    /// What is to be so.
    pub title: String,
    /// How far it is.
    pub state: State,
    /// What goes wrong without it.
    pub why: String,
    /// Where it is done or not.
    pub places: Vec<Place>,
    /// YAML or commands, line by line.
    pub how: Vec<String>,
}

impl Step {
    fn new(name: &'static str, title: impl Into<String>, why: impl Into<String>) -> Self {
        let (title, why) = (title.into(), why.into());
        Self { name, title, state: State::Unknown, why, places: Vec::new(), how: Vec::new() }
    }

    fn place(&mut self, at: Span, text: impl Into<String>) {
        let place = Place { at, text: text.into() };
        if !self.places.contains(&place) {
            self.places.push(place);
        }
    }

    fn how(mut self, lines: &[&str]) -> Self {
        self.how.extend(lines.iter().map(|line| (*line).to_owned()));
        self
    }
}

/// What is moved, and where to.
struct Move<'a, 'm> {
    mesh: &'m Mesh,
    trust: &'a Trust<'m>,
    access: &'a Access<'m>,
    clusters: &'a [&'m Cluster],
    target: Target,
}

impl<'m> Move<'_, 'm> {
    /// Whether it is still one cluster.
    fn is_single(&self) -> bool {
        self.clusters.len() < 2
    }

    /// The clusters whose Istio objects count.
    fn planes(&self) -> Vec<&'m Cluster> {
        let is_plane = |c: &&&'m Cluster| c.role() != Some(Role::Remote);
        self.clusters.iter().filter(is_plane).copied().collect()
    }

    /// Whether a cluster is one of those that are moved.
    fn has(&self, id: crate::clusters::ClusterId) -> bool {
        self.clusters.iter().any(|c| c.id == id)
    }
}

/// The way of one mesh.
#[derive(Debug)]
pub struct Plan<'m> {
    /// Its clusters.
    pub clusters: Vec<&'m Cluster>,
    /// Where it leads.
    pub target: Target,
    /// The steps, in the order in which they are taken.
    pub steps: Vec<Step>,
}

/// What somebody says of the target; the rest is what the files tell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// Who runs control planes.
    pub shape: Option<Shape>,
    /// How pods reach each other.
    pub networks: Option<Networks>,
}

/// The ways of all meshes of the input.
pub fn plans<'m>(access: &Access<'m>, wish: Wish) -> Vec<Plan<'m>> {
    let mesh = access.mesh();
    let trust = Trust::of(mesh);
    let plan = |clusters: Vec<&'m Cluster>| {
        let target = target(&clusters, wish);
        let moved = Move { mesh, trust: &trust, access, clusters: &clusters, target };
        let mut steps = vec![identity::root(&moved), identity::names(&moved)];
        steps.push(identity::mesh_id(&moved));
        steps.push(identity::trust_domain(&moved));
        steps.extend(networks::steps(&moved));
        steps.extend(joining::control_planes(&moved));
        steps.push(services::local(&moved));
        steps.extend(services::own(&moved));
        steps.push(services::everywhere(&moved));
        steps.push(policies::short_hosts(&moved));
        steps.extend(policies::alike(&moved));
        steps.extend(policies::changed(&moved));
        steps.extend(joining::steps(&moved));
        Plan { clusters, target, steps }
    };
    // A cluster that hosts control planes of others goes nowhere.
    let hosts = |c: &&Cluster| mesh.clusters().iter().any(|other| other.hosted_in == Some(c.id));
    let moves = |clusters: &Vec<&Cluster>| clusters.len() > 1 || !clusters.iter().any(hosts);
    mesh.meshes().into_iter().filter(moves).map(plan).collect()
}

fn target(clusters: &[&Cluster], wish: Wish) -> Target {
    let has_remote = clusters.iter().any(|c| c.role() == Some(Role::Remote));
    let told: Vec<Option<&str>> = clusters.iter().map(|c| value(c.network())).collect();
    let is_one = told.len() > 1 && told.iter().all(|network| *network == told[0]);
    let shape = if has_remote { Shape::PrimaryRemote } else { Shape::MultiPrimary };
    let networks = if is_one { Networks::One } else { Networks::Several };
    Target { shape: wish.shape.unwrap_or(shape), networks: wish.networks.unwrap_or(networks) }
}

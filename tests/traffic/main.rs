//! Where requests go: the facts of Istio's own tests, measurements on Envoy, and whole meshes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod assignment;
mod calls;
mod effective;
mod ends;
#[path = "../common/fixtures.rs"]
mod fixtures;
#[path = "../common/folder.rs"]
mod folder;
mod gateway_api;
mod grouping;
mod health;
mod hosts;
mod networks;
mod order;
mod places;
mod policy;
#[path = "../common/program.rs"]
mod program;
mod retries;
mod route;
mod scene;
mod selection;
mod terms;
mod world;

use mesh_lint::config::Config;
use mesh_lint::lint;
use mesh_lint::mesh::Mesh;
use mesh_lint::source::Sources;

/// The mesh of some files, by path and text. The first folder of a path names the cluster.
fn mesh(files: &[(&str, &str)]) -> Mesh {
    let mut sources = Sources::default();
    for (path, text) in files {
        sources.add(*path, *text).unwrap();
    }
    lint::build(&sources, &Config::default()).mesh
}

//! Where a request goes: route, policy, endpoints, priorities, shares; now, and after a loss.

pub mod assignment;
pub mod endpoint;
pub mod flow;
pub mod loss;
pub mod network;
pub mod protocol;
pub mod route;
pub mod scope;
pub mod selection;
pub mod step;
pub mod supply;
pub mod policy;
pub mod setting;

use crate::mesh::Mesh;

/// Where the requests of a mesh go.
#[derive(Debug)]
pub struct Traffic<'m> {
    mesh: &'m Mesh,
}

impl<'m> Traffic<'m> {
    /// Ready to tell of a mesh.
    pub fn of(mesh: &'m Mesh) -> Self {
        Self { mesh }
    }

    /// The mesh.
    pub fn mesh(&self) -> &'m Mesh {
        self.mesh
    }
}

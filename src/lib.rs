//! # mesh-lint
//!
//! All clusters' manifests become one immutable, indexed model of a mesh; rules are short questions
//! to that model. ARCHITECTURE.md tells which rooms there are and which may know which; a test holds the
//! code to it.

pub mod access;
pub mod api;
pub mod cli;
pub mod clusters;
pub mod config;
pub mod finding;
pub mod kinds;
pub mod lint;
pub mod mesh;
pub mod migration;
pub mod outage;
pub mod page;
pub mod placement;
pub mod report;
pub mod rules;
pub mod source;
pub mod traffic;
pub mod trust;
pub mod yaml;

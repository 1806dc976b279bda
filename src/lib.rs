//! # mesh-lint
//!
//! All clusters' manifests become one immutable, indexed model of a mesh; rules are short questions
//! to that model. The rooms, from left to right; no room knows anything to its right
//! (ARCHITECTURE.md has the table, and a test holds it to the code):
//!
//! `source -> yaml -> kinds -> api -> clusters -> mesh -> placement, traffic, trust -> access -> rules -> lint -> report -> cli`

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

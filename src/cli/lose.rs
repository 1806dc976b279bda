//! `mesh-lint clusters --lose`: what is left of a mesh when a cluster is gone, or its API server is silent.

mod commands;
mod human;
mod json;
mod table;

use std::io::Write;

use super::show;
use super::{CLEAN, Failed, NOTHING};
use crate::access::Access;
use crate::clusters::ClusterId;
use crate::config::Config;
use crate::lint;
use crate::mesh::{Mesh, list};
use crate::outage::{Outage, Plane};
use crate::source::{Sources, Span};
use crate::traffic::Traffic;

/// Prints what the loss of the named cluster does.
pub(super) fn run(
    name: &str,
    sources: &Sources,
    config: &Config,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<u8, Failed> {
    let model = lint::build(sources, config);
    if model.placed.is_empty() {
        return Ok(NOTHING);
    }
    let mesh = &model.mesh;
    let lost = called(mesh, name)?;
    let access = Access::of(mesh);
    let outage = Outage::of(&access, &Traffic::of(mesh), lost);
    let shown = Shown { mesh, sources, outage: &outage };
    if as_json {
        show::json(&json::of(&shown), out)?;
    } else {
        show::text(|text| human::print(&shown, text), out)?;
    }
    Ok(CLEAN)
}

/// What is shown, and of what.
struct Shown<'s, 'm> {
    mesh: &'m Mesh,
    sources: &'s Sources,
    outage: &'s Outage<'m>,
}

impl Shown<'_, '_> {
    /// The cluster whose API server has the secrets by which a control plane reads others.
    fn context(&self, plane: &Plane<'_>) -> &str {
        self.mesh.cluster_name(plane.cluster.remote_secrets_in())
    }

    /// Where something stands.
    fn place(&self, span: Span) -> String {
        self.sources.line_of(span).unwrap_or_else(|| "configuration".to_owned())
    }
}

fn called(mesh: &Mesh, name: &str) -> Result<ClusterId, Failed> {
    match mesh.clusters_called(name)[..] {
        [cluster] => return Ok(cluster.id),
        [] => {}
        ref several => {
            let names = list(several.iter().map(|c| c.name.as_str()));
            return Err(Failed(format!("`{name}` may be {names}: say which")));
        }
    }
    Err(Failed::unknown("cluster", name, mesh.clusters().iter().map(|c| c.name.as_str())))
}

/// Some names, the rest counted.
fn several<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    const SHOWN: usize = 5;
    let names: Vec<&str> = names.into_iter().collect();
    match names.len() {
        n if n > SHOWN + 1 => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
        _ => names.join(", "),
    }
}

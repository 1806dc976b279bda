//! Fields: what the API server would refuse, among the fields that the model reads.

use super::{Rule, rule};
use crate::finding::Findings;
use crate::mesh::Mesh;

pub(super) const RULES: &[Rule] = &[rule!("fields/wrong-type", wrong_type)];

fn wrong_type(mesh: &Mesh, found: &mut Findings) {
    for wrong in &mesh.problems().mismatches {
        found
            .say(format!("`{}` has the wrong type: {}", wrong.path, wrong.message), wrong.span, wrong.message.clone())
            .help("correct the value: the API server refuses the resource; here the field counts as absent");
    }
}

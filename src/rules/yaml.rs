//! The text itself: what no parser can read, and what it reads otherwise than a person does.

use super::{Rule, rule};
use crate::finding::Findings;
use crate::mesh::Mesh;

pub(super) const RULES: &[Rule] =
    &[rule!("yaml/duplicate-key", duplicate_key), rule!("yaml/syntax", syntax)];

fn duplicate_key(mesh: &Mesh, found: &mut Findings) {
    for key in &mesh.problems().duplicate_keys {
        found
            .say(format!("key `{}` stands twice", key.key), key.again, "this one wins")
            .also(key.first, "this one is lost")
            .help("keep one of them");
    }
}

fn syntax(mesh: &Mesh, found: &mut Findings) {
    for error in &mesh.problems().syntax {
        found
            .say("this document is not YAML", error.span, error.message.clone())
            .help("mend it: nothing in this document can be applied or checked");
    }
}

//! The checks, one file per subject, plus `Rule`, `Check`, `rule!` and the list of rooms.

use crate::finding::Findings;
use crate::mesh::Mesh;

/// What a rule does: reads a mesh and says what is wrong with it.
pub trait Check: Sync {
    /// Puts what is wrong with the mesh into `found`.
    fn check(&self, mesh: &Mesh, found: &mut Findings);
}

impl<F: Fn(&Mesh, &mut Findings) + Sync> Check for F {
    fn check(&self, mesh: &Mesh, found: &mut Findings) {
        self(mesh, found);
    }
}

/// A rule: its name, its page and its check.
#[derive(Clone, Copy)]
pub struct Rule {
    /// `room/name`, which is also the path of the page below `rules/`.
    pub name: &'static str,
    /// The text of the page.
    pub page: &'static str,
    /// What it does.
    pub check: &'static dyn Check,
}

macro_rules! rule {
    ($name:literal, $check:expr) => {
        $crate::rules::Rule {
            name: $name,
            page: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/rules/", $name, ".md")),
            check: &$check,
        }
    };
}
use rule;

/// All rules, room by room.
pub fn all() -> impl Iterator<Item = Rule> {
    let rooms: [&[Rule]; 0] = [];
    rooms.into_iter().flatten().copied()
}

//! Which of two objects is older, where that decides.

use std::cmp::Ordering;

/// In which order objects were created. Files do not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// By their names, as istiod takes what is equally old.
    #[default]
    Names,
    /// The other way round.
    Reversed,
}

impl Order {
    /// How two objects compare whose names do.
    pub fn of(self, names: Ordering) -> Ordering {
        match self {
            Self::Names => names,
            Self::Reversed => names.reverse(),
        }
    }
}

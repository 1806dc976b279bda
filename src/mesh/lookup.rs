//! The answer to a look-up: there, not there, or perhaps outside the input.

/// The answer to a look-up. Only `Absent` may be reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// It is there.
    Found(T),
    /// The input is complete enough to know that it is not there.
    Absent {
        /// The name that looks most like the one asked for.
        nearest: Option<String>,
    },
    /// It may live outside the input.
    Unseen,
}

impl<T> Lookup<T> {
    /// Not there, with the nearest of the names that are.
    pub fn absent<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Self {
        let near = known
            .into_iter()
            .map(|known| (strsim::levenshtein(name, known), known))
            .filter(|(distance, known)| *distance <= known.len().max(name.len()).div_ceil(3))
            .min();
        Self::Absent { nearest: near.map(|(_, known)| known.to_owned()) }
    }

    /// What was found.
    pub fn found(self) -> Option<T> {
        match self {
            Self::Found(it) => Some(it),
            Self::Absent { .. } | Self::Unseen => None,
        }
    }

    /// Whether it is certainly not there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }

    /// The same answer about something of what was found.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Lookup<U> {
        match self {
            Self::Found(it) => Lookup::Found(change(it)),
            Self::Absent { nearest } => Lookup::Absent { nearest },
            Self::Unseen => Lookup::Unseen,
        }
    }
}

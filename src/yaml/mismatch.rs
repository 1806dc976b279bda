//! Lenient reading: what can't be read is reported, left out, and the rest is read again.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use super::Mismatch;
use super::de::{Attempt, Reader};
use super::scalar::Scalar;
use super::value::Value;

/// With more mismatches than this a value is given up.
const MAX_MISMATCHES: usize = 32;
/// Visits allowed for each node of the tape, and for any tape: aliases multiply nodes.
const VISITS: (usize, usize) = (10, 100_000);

impl Value<'_> {
    /// Reads the value as `T`, leniently: a field that has not the wanted shape is left out (so it
    /// takes its default) and reported, as is an item of a list, and everything else is still read.
    /// `None` where the value as a whole cannot be a `T`, or with more than 32 mismatches.
    ///
    /// Where a string is wanted any scalar but null will do, and is taken as written. A struct's field
    /// that is null is a field that is not there, as for the API server.
    ///
    /// [`Spanned`](crate::source::Spanned) fields get their places. `flatten`, `untagged` and internal
    /// tags lose them, so views do without.
    pub fn read<T: DeserializeOwned>(self) -> (Option<T>, Vec<Mismatch>) {
        let (read, mut mismatches) = self.read_strictly();
        mismatches.retain(|it| !it.is_read);
        (read, mismatches)
    }

    /// The same, and scalars that were taken as text and are none are reported as well, as
    /// [`is_read`](Mismatch::is_read).
    pub fn read_strictly<T: DeserializeOwned>(self) -> (Option<T>, Vec<Mismatch>) {
        let mut skip = BTreeSet::new();
        let mut mismatches = Vec::new();
        let visits = self.tape.nodes.len() * VISITS.0 + VISITS.1;
        // Each turn leaves out one more node: the one that is wrong, or one that needs what was left out.
        for _ in 0..2 * MAX_MISMATCHES {
            let (budget, loose) = (Cell::new(visits), RefCell::default());
            let attempt = Attempt { tape: self.tape, skip: &skip, budget, loose };
            let error = match T::deserialize(Reader::new(&attempt, self)) {
                Ok(value) => {
                    mismatches.extend(attempt.loose.take().into_iter().map(|at| self.loose(at)));
                    return (Some(value), mismatches);
                }
                Err(error) => error,
            };
            if !error.follows_from(&skip, self) {
                mismatches.push(error.mismatch(self));
            }
            let full = mismatches.len() >= MAX_MISMATCHES;
            match error.field {
                Some(field) if !error.hopeless && !full => skip.insert(field),
                _ => break,
            };
        }
        (None, mismatches)
    }

    /// What is told of a scalar that was taken as text.
    fn loose(self, index: u32) -> Mismatch {
        let value = Value { index, ..self };
        let found = match value.scalar() {
            Some(Scalar::Bool(_)) => "a boolean",
            _ => "a number",
        };
        Mismatch {
            span: value.span(),
            path: self.path_to(value).0,
            message: format!("expected a string, found {found}"),
            is_read: true,
        }
    }
}

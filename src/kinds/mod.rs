//! A typed, tolerant view of each kind of manifest; every scalar keeps its span.

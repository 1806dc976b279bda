//! `mesh-lint.yaml`, suppression comments and annotations; mistakes in them are findings.

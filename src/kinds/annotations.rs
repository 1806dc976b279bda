//! The annotations that Istio reads: on which kinds, how settled each is, and what its value looks like.
//!
//! Source: `annotation/annotations.gen.go` of istio/api, and `resourceannotations` of its webhook.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One annotation a line: `name: kinds; status; deprecated; like format`.
const TABLE: &str = include_str!("annotations.txt");

/// An annotation that Istio reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// Its name.
    pub name: &'static str,
    /// Kinds it is read on; `Any` stands for all.
    pub kinds: Vec<&'static str>,
    /// How settled it is: `alpha`, `beta` or `stable`.
    pub status: &'static str,
    /// Whether a later Istio may not read it.
    pub is_deprecated: bool,
    /// What its value looks like, where Istio checks that.
    pub format: Option<&'static str>,
}

impl Annotation {
    /// Whether it is read on resources of a kind.
    pub fn is_read_on(&self, kind: &str) -> bool {
        self.kinds.iter().any(|known| *known == kind || *known == "Any")
    }
}

static ANNOTATIONS: LazyLock<BTreeMap<&'static str, Annotation>> = LazyLock::new(|| {
    let lines = TABLE.lines().filter_map(|line| line.split_once(": "));
    lines.map(|(name, told)| (name, annotation(name, told))).collect()
});

fn annotation(name: &'static str, told: &'static str) -> Annotation {
    let mut parts = told.split("; ");
    let kinds = parts.next().unwrap_or_default().split(", ").collect();
    let status = parts.next().unwrap_or_default();
    let rest: Vec<&'static str> = parts.collect();
    Annotation {
        name,
        kinds,
        status,
        is_deprecated: rest.contains(&"deprecated"),
        format: rest.iter().find_map(|part| part.strip_prefix("like ")),
    }
}

/// The annotation of that name.
pub fn called(name: &str) -> Option<&'static Annotation> {
    ANNOTATIONS.get(name)
}

/// The names of all annotations, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    ANNOTATIONS.keys().copied()
}

/// Whether an annotation is Istio's to judge: what tools of Istio write for themselves is not.
pub fn is_of_istio(name: &str) -> bool {
    let domain = name.split('/').next().unwrap_or_default();
    let tools = ["operator.istio.io", "install.operator.istio.io", "internal.istio.io"];
    let ours = domain == "istio.io" || domain.ends_with(".istio.io");
    name == "kubernetes.io/ingress.class" || ours && !tools.contains(&domain)
}

/// Whether Istio itself writes an annotation, so that nobody is to be told about it.
pub fn is_written_by_istio(name: &str) -> bool {
    ["sidecar.istio.io/status", "gateway.istio.io/controller-version", "istio.io/rev"]
        .contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_tells_an_annotation() {
        assert_eq!(names().count(), TABLE.lines().count());
        for annotation in names().filter_map(called) {
            assert!(["alpha", "beta", "stable"].contains(&annotation.status), "{annotation:?}");
            assert!(is_of_istio(annotation.name), "{annotation:?}");
            assert!(!annotation.kinds.is_empty(), "{annotation:?}");
        }
    }
}

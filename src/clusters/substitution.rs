//! Values that Flux fills in after a build: `postBuild.substitute`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::kustomize::Made;
use super::tree::Tree;
use crate::kinds::Meta;
use crate::kinds::delivery::PostBuild;
use crate::source::{Span, Text};
use crate::yaml::substituted;

/// What Flux fills into everything that one of its Kustomizations brings. Values of `ConfigMaps` and
/// Secrets are not followed, and yield to those that stand in the Kustomization itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Substitution {
    values: BTreeMap<String, String>,
    /// Whether there are no further values, so that defaults count.
    is_all: bool,
    /// Where they stand.
    at: Span,
}

impl Substitution {
    /// What a Kustomization fills in; `None` where that is nothing, or nothing that is known.
    pub fn of(spec: &PostBuild) -> Option<Self> {
        let values = &spec.substitute;
        let ends = values.iter().map(|(key, value)| (key.span.start, value.span.end));
        let (start, end) = ends.reduce(|(a, b), (c, d)| (a.min(c), b.max(d)))?;
        let of_text = |(key, value): &(Text, Text)| (key.value.clone(), value.value.clone());
        Some(Self {
            values: values.iter().map(of_text).collect(),
            is_all: spec.substitute_from.is_empty(),
            at: Span::new(start, end),
        })
    }

    fn fill(&self, text: &str) -> Option<String> {
        substituted(text, |name, default| {
            let default = default.filter(|_| self.is_all);
            self.values.get(name).map(String::as_str).filter(|v| !v.is_empty()).or(default)
        })
    }

    /// Fills them into a resource.
    pub fn apply(&self, tree: &Tree<'_>, made: &mut Made<'_>) {
        if is_disabled(&made.object.meta) {
            return;
        }
        let text = made.text(tree);
        let filled = text.and_then(|before| Some((before.filled(|t| self.fill(t))?, before)));
        if let Some((after, before)) = filled {
            made.rewrite(tree, &before, Arc::new(after), self.at);
        }
        // The kustomization itself may have variables for these.
        let open = |text: &Text| self.fill(text).is_some();
        let meta = &made.object.meta;
        if open(&meta.name) || meta.namespace.as_ref().is_some_and(open) {
            let fill = |text: &mut Text| {
                if let Some(filled) = self.fill(text) {
                    text.value = filled;
                }
            };
            Arc::make_mut(&mut made.object).change_meta(|meta| {
                fill(&mut meta.name);
                meta.namespace.iter_mut().for_each(fill);
            });
        }
    }
}

/// Whether Flux is told to leave a resource as it is.
fn is_disabled(meta: &Meta) -> bool {
    const SUBSTITUTE: &str = "kustomize.toolkit.fluxcd.io/substitute";
    let told = [meta.label(SUBSTITUTE), meta.annotation(SUBSTITUTE)];
    told.into_iter().flatten().any(|told| told.as_str() == "disabled")
}

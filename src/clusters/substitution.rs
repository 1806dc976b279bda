//! Values that Flux fills in after a build: `postBuild`.

use std::sync::Arc;

use super::kustomize::Made;
use super::tree::Tree;
use super::variables::{Holders, Variables};
use crate::kinds::Meta;
use crate::kinds::delivery::{PostBuild, VariablesRef};
use crate::source::{Span, Text};
use crate::yaml::substituted;

/// What Flux fills into everything that one of its Kustomizations brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Substitution {
    /// Those that stand in the Kustomization itself: they count before all others.
    own: Variables,
    /// Objects that hold further ones, later ones before earlier ones.
    from: Vec<VariablesRef>,
    /// The namespace of these objects.
    namespace: Option<String>,
    /// All together.
    variables: Variables,
    /// Whether there are no further ones, so that defaults count.
    is_all: bool,
    /// Where they are told.
    at: Span,
}

impl Substitution {
    /// What a Kustomization fills in, so far without what objects hold; `None` where that is nothing.
    pub fn of(meta: &Meta, spec: &PostBuild) -> Option<Self> {
        let entries = spec.substitute.iter();
        let of_entry =
            entries.clone().map(|(key, value)| Span::new(key.span.start, value.span.end));
        let named = spec.substitute_from.iter().filter_map(|from| from.name.as_ref());
        let at = of_entry
            .chain(named.map(|name| name.span))
            .reduce(|all, one| Span::new(all.start.min(one.start), all.end.max(one.end)))?;
        let own: Variables =
            entries.map(|(key, value)| (key.value.clone(), Some(value.value.clone()))).collect();
        Some(Self {
            variables: own.clone(),
            own,
            is_all: spec.substitute_from.is_empty(),
            from: spec.substitute_from.clone(),
            namespace: meta.namespace.as_ref().map(|ns| ns.value.clone()),
            at,
        })
    }

    /// Takes in what the objects hold that the Kustomization names, which comes from this folder.
    pub fn look_up(&mut self, holders: &Holders, folder: &str) {
        self.variables.clear();
        self.is_all = true;
        for from in &self.from {
            if let Some(held) = holders.get(from, self.namespace.as_deref(), folder) {
                self.variables.extend(held.clone());
            } else {
                // It may hold others, and other values for those before it.
                self.is_all = false;
                self.variables.values_mut().for_each(|value| *value = None);
            }
        }
        self.variables.extend(self.own.clone());
    }

    /// Whether objects hold some of it.
    pub fn is_held(&self) -> bool {
        !self.from.is_empty()
    }

    /// Flux fills in nothing where there is no variable at all, and strips values of their line ends.
    /// Source: `fluxcd/pkg/kustomize`, `kustomize_varsub.go`, `SubstituteVariables`.
    fn fill(&self, text: &str) -> Option<String> {
        if self.variables.is_empty() {
            return None;
        }
        substituted(text, |name, default| match self.variables.get(name) {
            Some(Some(value)) if value.is_empty() => default.map(Into::into),
            Some(Some(value)) => Some(value.replace('\n', "").into()),
            Some(None) => None,
            None => default.filter(|_| self.is_all).map(Into::into),
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

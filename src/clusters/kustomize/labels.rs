//! Labels that a kustomization puts on its resources, their pods and what selects them.

use std::sync::Arc;

use crate::kinds::delivery::Kustomization;
use crate::kinds::workloads::Selector;
use crate::kinds::{Object, View};
use crate::source::{Span, Text};
use crate::yaml::Entries;

/// Labels of one entry of a kustomization.
#[derive(Clone, Copy)]
pub(super) struct Labels<'i> {
    pairs: &'i Entries<Text>,
    templates: bool,
    selectors: bool,
}

/// All that a kustomization puts on its resources.
pub(super) fn of(spec: &Kustomization) -> impl Iterator<Item = Labels<'_>> {
    let entries = spec.labels.iter().map(|labels| Labels {
        pairs: &labels.pairs,
        templates: labels.include_templates || labels.include_selectors,
        selectors: labels.include_selectors,
    });
    let common = Labels { pairs: &spec.common_labels, templates: true, selectors: true };
    entries.chain([common]).filter(|labels| !labels.pairs.is_empty())
}

impl Labels<'_> {
    /// Where they stand.
    pub fn span(&self) -> Span {
        let ends = self.pairs.iter().map(|(key, value)| (key.span.start, value.span.end));
        let (start, end) = ends.fold((u32::MAX, 0), |(a, b), (c, d)| (a.min(c), b.max(d)));
        Span::new(start.min(end), end)
    }

    /// Puts them on a resource.
    pub fn put_on(&self, object: &mut Object) {
        object.change_meta(|meta| {
            self.put(&mut meta.labels);
            meta.layers.push(self.span());
        });
        match &mut object.view {
            View::Workload(r) => {
                let workload = &mut Arc::make_mut(r).spec;
                if self.templates {
                    self.put(&mut workload.template.metadata.labels);
                }
                if self.selectors {
                    self.put_selector(workload.selector.as_mut());
                    let spreads = &mut workload.template.spec.topology_spread_constraints;
                    spreads.iter_mut().for_each(|s| self.put_selector(s.label_selector.as_mut()));
                }
            }
            View::Service(r) if self.selectors => {
                let service = &mut Arc::make_mut(r).spec;
                if let Some(selector) = service.selector.as_mut().filter(|s| !s.is_empty()) {
                    self.put(selector);
                }
            }
            View::DisruptionBudget(r) if self.selectors => {
                self.put_selector(Arc::make_mut(r).spec.selector.as_mut());
            }
            _ => {}
        }
    }

    fn put_selector(&self, selector: Option<&mut Selector>) {
        if let Some(selector) = selector {
            self.put(&mut selector.match_labels);
        }
    }

    fn put(&self, labels: &mut Entries<Text>) {
        let old = std::mem::take(labels).into_iter();
        let kept = old.filter(|(key, _)| self.pairs.get(key).is_none());
        *labels = kept.chain(self.pairs.iter().cloned()).collect();
    }
}

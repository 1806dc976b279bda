//! The injector's webhooks: who is injected twice, and by whom never.

use std::collections::{BTreeMap, BTreeSet};

use crate::clusters::ClusterId;
use crate::finding::{Findings, Severity};
use crate::kinds::control_plane::{Webhook, Webhooks};
use crate::kinds::workloads::Selector;
use crate::mesh::{INJECT, INJECTION, In, Lookup, Mesh, REVISION, value};
use crate::source::{Span, Text};

/// A webhook of istiod that injects, and the configuration it stands in.
#[derive(Clone, Copy)]
struct Hook<'m> {
    of: &'m In<Webhooks>,
    text: &'m Webhook,
    name: &'m Text,
}

impl<'m> Hook<'m> {
    /// Where its name stands.
    fn at(&self) -> Span {
        self.name.span
    }

    fn called(&self) -> String {
        format!("`{}` (of `{}`)", self.name, self.of.name())
    }

    /// Whether it asks the same istiod as another.
    fn asks(&self, other: &Self) -> bool {
        let whom = |hook: &Self| {
            let asked = &hook.text.client_config;
            let service = asked.service.as_ref().map(|s| (s.name.clone(), s.namespace.clone()));
            let host = asked.url.as_ref().map(|url| url.split('/').nth(2).map(str::to_owned));
            (service.map(|(name, ns)| (name.map(|n| n.value), ns.map(|n| n.value))), host)
        };
        whom(self) == whom(other)
    }

    fn selectors(&self) -> impl Iterator<Item = &'m Selector> {
        [&self.text.namespace_selector, &self.text.object_selector].into_iter().flatten()
    }

    /// Revisions that it speaks of.
    fn revisions(&self) -> impl Iterator<Item = &'m str> {
        let own = self.of.meta.label(REVISION).map(|text| text.as_str());
        let asked = self.selectors().flat_map(|selector| {
            let labels = selector.match_labels.get(REVISION).map(|text| text.as_str());
            let asked = selector.match_expressions.iter().filter(|e| e.key.as_str() == REVISION);
            labels.into_iter().chain(asked.flat_map(|e| e.values.iter().map(|v| v.as_str())))
        });
        own.into_iter().chain(asked)
    }
}

/// The injecting webhooks of istiods in a cluster: others may have selectors of Istio's labels too.
fn hooks(mesh: &Mesh, cluster: ClusterId) -> Vec<Hook<'_>> {
    let here = mesh.webhooks.of_cluster(cluster).iter();
    let mutating = here.filter(|of| of.meta.kind.as_str() == "MutatingWebhookConfiguration");
    mutating
        .filter(|of| !mesh.is_assumed(&of.meta))
        .flat_map(|of| of.webhooks.iter().map(move |hook| (of, hook)))
        .filter_map(|(of, hook)| Some(Hook { of, text: hook, name: hook.name.as_ref()? }))
        .filter(|hook| hook.name.ends_with("istio.io"))
        .collect()
}

pub(super) fn injectors_overlap(mesh: &Mesh, found: &mut Findings) {
    for cluster in mesh.clusters() {
        let hooks = hooks(mesh, cluster.id);
        let mut told: BTreeSet<(Span, Span)> = BTreeSet::new();
        for (namespace, pod) in witnesses(&hooks) {
            let both = |hook: &&Hook<'_>| {
                fits(hook.text.namespace_selector.as_ref(), &namespace)
                    && fits(hook.text.object_selector.as_ref(), &pod)
            };
            let matching: Vec<&Hook<'_>> = hooks.iter().filter(both).collect();
            let [first, others @ ..] = matching.as_slice() else { continue };
            let others: Vec<&&Hook<'_>> = others.iter().filter(|o| o.at() != first.at()).collect();
            let Some(second) = others.first() else { continue };
            if !told.insert((first.of.meta.span, second.of.meta.span)) {
                continue;
            }
            let twice_the_same = others.iter().all(|other| other.asks(first));
            let by = if twice_the_same { ", twice by the same istiod" } else { "" };
            let finding = found.say(
                format!(
                    "webhooks {} and {} inject the same pods{by}: {}",
                    first.called(),
                    second.called(),
                    shown(&namespace, &pod)
                ),
                first.at(),
                "injects them",
            );
            for other in &others {
                finding.also(other.at(), "and so does this one");
            }
            if twice_the_same {
                finding.lower(Severity::Warning);
            }
            finding.help("let one of them take these pods: give each revision its own selectors (`istioctl tag` does), and remove what an old installation has left");
        }
    }
}

type Labels<'m> = BTreeMap<&'m str, &'m str>;

/// Labels of namespaces and pods that tell the webhooks apart.
fn witnesses<'m>(hooks: &[Hook<'m>]) -> Vec<(Labels<'m>, Labels<'m>)> {
    let revisions: BTreeSet<&str> = hooks.iter().flat_map(Hook::revisions).collect();
    let with_revision = |base: Labels<'m>| {
        let with = revisions.iter().map(|revision| {
            let mut labels = base.clone();
            labels.insert(REVISION, revision);
            labels
        });
        let with: Vec<_> = with.collect();
        std::iter::once(base).chain(with).collect::<Vec<_>>()
    };
    let one = |key, word| Labels::from([(key, word)]);
    let namespaces = [Labels::new(), one(INJECTION, "enabled"), one(INJECTION, "disabled")];
    let pods = [Labels::new(), one(INJECT, "true"), one(INJECT, "false")];
    let namespaces: Vec<_> = namespaces.into_iter().flat_map(with_revision).collect();
    let pods: Vec<_> = pods.into_iter().flat_map(with_revision).collect();
    let pairs =
        namespaces.iter().flat_map(|ns| pods.iter().map(move |pod| (ns.clone(), pod.clone())));
    pairs.collect()
}

/// Whether labels fulfil a selector; an absent one asks for nothing.
fn fits(selector: Option<&Selector>, labels: &Labels<'_>) -> bool {
    selector.is_none_or(|selector| selector.takes(|key| labels.get(key).copied()))
}

fn shown(namespace: &Labels<'_>, pod: &Labels<'_>) -> String {
    let part = |what: &str, labels: &Labels<'_>| {
        let labels: Vec<String> =
            labels.iter().map(|(key, value)| format!("`{key}: {value}`")).collect();
        if labels.is_empty() {
            format!("{what} without labels")
        } else {
            format!("{what} with {}", labels.join(" and "))
        }
    };
    format!("{} in {}", part("those", pod), part("namespaces", namespace))
}

pub(super) fn injector_service_missing(mesh: &Mesh, found: &mut Findings) {
    for cluster in mesh.clusters() {
        let mut told = BTreeSet::new();
        for hook in hooks(mesh, cluster.id) {
            let Some(service) = &hook.text.client_config.service else { continue };
            let (Some(name), Some(namespace)) = (&service.name, value(service.namespace.as_ref()))
            else {
                continue;
            };
            let Lookup::Absent { nearest } = mesh.service(cluster.id, namespace, name) else {
                continue;
            };
            if !told.insert((hook.of.meta.span, namespace, name.as_str())) {
                continue;
            }
            let near = nearest.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
            found
                .say(
                    format!("`{}` asks Service `{name}` of `{namespace}`, which is not there", hook.of.name()),
                    name.span,
                    format!("no such Service{near}"),
                )
                .help("name the Service of istiod: as long as the webhook gets no answer, pods that it selects are not created");
        }
    }
}

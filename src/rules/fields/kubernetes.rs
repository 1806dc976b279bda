//! Words and numbers of Kubernetes' own kinds that the API server refuses, as far as views read them.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::api::{PORTS, nearest};
use crate::finding::{Findings, Fix};
use crate::kinds::core::Service;
use crate::kinds::is_placeholder;
use crate::kinds::workloads::{Affinity, Expression, PodAffinityTerm, PodSpec, Selector};
use crate::mesh::Mesh;
use crate::source::{Span, Spanned, Text};
use crate::yaml::IntOrString;

const SELECTOR: &[&str] = &["In", "NotIn", "Exists", "DoesNotExist"];
const NODE_SELECTOR: &[&str] = &["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];
const EFFECT: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
const PROTOCOL: &[&str] = &["TCP", "UDP", "SCTP"];
const NODES: &[&str] = &["Honor", "Ignore"];

/// Where words are put that their fields do not take; each place once, however many clusters have it.
struct Words<'f> {
    found: &'f mut Findings,
    told: BTreeSet<Span>,
}

pub(super) fn words(mesh: &Mesh, found: &mut Findings) {
    let mut words = Words { found, told: BTreeSet::new() };
    mesh.services.iter().for_each(|service| words.service(service));
    for workload in &mesh.workloads {
        let pods = workload.selector.as_ref();
        pods.into_iter().for_each(|selector| words.selector("spec.selector", selector));
        words.pod("spec.template.spec", &workload.template.spec);
    }
    for job in &mesh.jobs {
        let path = match job.job_template {
            Some(_) => "spec.jobTemplate.spec.template.spec",
            None => "spec.template.spec",
        };
        words.pod(path, &job.template().spec);
    }
    mesh.pods.iter().for_each(|pod| words.pod("spec", &pod.resource.spec.spec));
    for budget in &mesh.disruption_budgets {
        let pods = budget.selector.as_ref();
        pods.into_iter().for_each(|selector| words.selector("spec.selector", selector));
    }
    for node in &mesh.nodes {
        for (i, taint) in node.resource.spec.spec.taints.iter().enumerate() {
            words.check(format!("spec.taints[{i}].effect"), taint.effect.as_ref(), EFFECT);
        }
    }
}

impl Words<'_> {
    /// An empty word is the default one.
    fn check(&mut self, path: impl Display, word: Option<&Text>, known: &[&'static str]) {
        let Some(word) = word else { return };
        let is_sound = known.contains(&word.as_str()) || word.is_empty() || is_placeholder(word);
        if is_sound || !self.told.insert(word.span) {
            return;
        }
        let near = nearest(word, known.iter().copied())
            .or_else(|| known.iter().find(|it| it.eq_ignore_ascii_case(word.as_str())).copied());
        let meant = near.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
        let label = format!("does not know `{word}`{meant}");
        let list: Vec<String> = known.iter().map(|it| format!("`{it}`")).collect();
        self.found
            .say(format!("`{path}` {label}"), word.span, label)
            .help(format!("it takes {}", list.join(", ")))
            .fix(near.map(|near| Fix::unsafe_replace(format!("write `{near}`"), word.span, near)));
    }

    fn service(&mut self, service: &Service) {
        let types = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"];
        self.check("spec.type", service.kind.as_ref(), &types);
        let internal = service.internal_traffic_policy.as_ref();
        self.check("spec.internalTrafficPolicy", internal, &["Cluster", "Local"]);
        for (i, port) in service.ports.iter().enumerate() {
            self.check(format_args!("spec.ports[{i}].protocol"), port.protocol.as_ref(), PROTOCOL);
        }
    }

    fn pod(&mut self, path: impl Display, pod: &PodSpec) {
        self.affinity(format_args!("{path}.affinity"), &pod.affinity);
        for (i, toleration) in pod.tolerations.iter().enumerate() {
            let path = format_args!("{path}.tolerations[{i}]");
            // `Lt` and `Gt` came with Kubernetes 1.35.
            let operators = ["Exists", "Equal", "Lt", "Gt"];
            self.check(format_args!("{path}.operator"), toleration.operator.as_ref(), &operators);
            self.check(format_args!("{path}.effect"), toleration.effect.as_ref(), EFFECT);
        }
        for (i, spread) in pod.topology_spread_constraints.iter().enumerate() {
            let path = format_args!("{path}.topologySpreadConstraints[{i}]");
            let when = ["DoNotSchedule", "ScheduleAnyway"];
            let unsatisfiable = spread.when_unsatisfiable.as_ref();
            self.check(format_args!("{path}.whenUnsatisfiable"), unsatisfiable, &when);
            let (affinity, taints) = (&spread.node_affinity_policy, &spread.node_taints_policy);
            self.check(format_args!("{path}.nodeAffinityPolicy"), affinity.as_ref(), NODES);
            self.check(format_args!("{path}.nodeTaintsPolicy"), taints.as_ref(), NODES);
            if let Some(selector) = &spread.label_selector {
                self.selector(format_args!("{path}.labelSelector"), selector);
            }
        }
    }

    fn affinity(&mut self, path: impl Display, affinity: &Affinity) {
        const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
        let terms = affinity.node_affinity.required.iter().flat_map(|it| &it.node_selector_terms);
        for (i, term) in terms.enumerate() {
            let path = format_args!("{path}.nodeAffinity.{REQUIRED}.nodeSelectorTerms[{i}]");
            let labels = format_args!("{path}.matchExpressions");
            self.operators(labels, &term.match_expressions, NODE_SELECTOR);
            self.operators(
                format_args!("{path}.matchFields"),
                &term.match_fields,
                &["In", "NotIn"],
            );
        }
        for (name, pods) in [
            ("podAffinity", &affinity.pod_affinity),
            ("podAntiAffinity", &affinity.pod_anti_affinity),
        ] {
            for (i, PodAffinityTerm { label_selector, .. }) in pods.required.iter().enumerate() {
                if let Some(selector) = label_selector {
                    self.selector(
                        format_args!("{path}.{name}.{REQUIRED}[{i}].labelSelector"),
                        selector,
                    );
                }
            }
        }
    }

    fn selector(&mut self, path: impl Display, selector: &Selector) {
        let path = format_args!("{path}.matchExpressions");
        self.operators(path, &selector.match_expressions, SELECTOR);
    }

    fn operators(&mut self, path: impl Display, all: &[Expression], known: &[&'static str]) {
        for (i, expression) in all.iter().enumerate() {
            self.check(format_args!("{path}[{i}].operator"), Some(&expression.operator), known);
        }
    }
}

/// Where numbers are put that are out of their bounds.
struct Numbers<'f> {
    found: &'f mut Findings,
    told: BTreeSet<Span>,
}

pub(super) fn numbers(mesh: &Mesh, found: &mut Findings) {
    let mut numbers = Numbers { found, told: BTreeSet::new() };
    for service in &mesh.services {
        for (i, port) in service.ports.iter().enumerate() {
            let path = format_args!("spec.ports[{i}]");
            numbers.port(format_args!("{path}.port"), wide(port.port.as_ref()));
            if let Some(Spanned { value: IntOrString::Int(number), span }) = &port.target_port {
                // 0 is no number at all.
                let number = Spanned::new(*number, *span);
                numbers.port(
                    format_args!("{path}.targetPort"),
                    Some(number).filter(|it| it.value != 0),
                );
            }
        }
    }
    for gateway in &mesh.api_gateways {
        for (i, listener) in gateway.listeners.iter().enumerate() {
            numbers.port(format_args!("spec.listeners[{i}].port"), wide(listener.port.as_ref()));
        }
    }
    for route in &mesh.api_routes {
        for (i, rule) in route.rules.iter().enumerate() {
            for (k, to) in rule.backend_refs.iter().enumerate() {
                let path = format_args!("spec.rules[{i}].backendRefs[{k}].port");
                numbers.port(path, wide(to.value.port.as_ref()));
            }
        }
    }
    for budget in &mesh.disruption_budgets {
        numbers.share("spec.minAvailable", budget.min_available.as_ref());
        numbers.share("spec.maxUnavailable", budget.max_unavailable.as_ref());
    }
}

fn wide<N: Copy + Into<i64>>(number: Option<&Spanned<N>>) -> Option<Spanned<i64>> {
    number.map(|it| Spanned::new(it.value.into(), it.span))
}

impl Numbers<'_> {
    fn say(&mut self, path: impl Display, span: Span, what: &str, help: &str) {
        if self.told.insert(span) {
            self.found.say(format!("`{path}` {what}"), span, what).help(help);
        }
    }

    fn port(&mut self, path: impl Display, number: Option<Spanned<i64>>) {
        if let Some(wrong) = number.filter(|it| !PORTS.contains(&it.value)) {
            self.say(&path, wrong.span, "is not a port", "write 1 to 65535");
        }
    }

    /// A number of pods, or a share of them.
    fn share(&mut self, path: impl Display, told: Option<&Spanned<IntOrString>>) {
        let Some(Spanned { value, span }) = told else { return };
        let is_sound = match value {
            IntOrString::Int(number) => *number >= 0,
            IntOrString::Str(text) => {
                let digits = text.strip_suffix('%');
                let is_share = digits.is_some_and(|it| it.bytes().all(|b| b.is_ascii_digit()));
                is_share && text.len() > 1 || is_placeholder(text)
            }
        };
        if !is_sound {
            let help = "write a number from 0 on without quotes, or a share such as `50%`";
            self.say(path, *span, "is neither a number of pods nor a share of them", help);
        }
    }
}

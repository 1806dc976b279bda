//! What brings objects to a cluster that the input does not show: charts, remote bases, templates.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::Member;
use super::tree::Tree;
use crate::kinds::{Meta, View, is_placeholder};
use crate::source::{Span, Text};

/// Something that brings objects to a cluster which are not in the input: of what it may bring, nothing
/// can be called missing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Supply {
    /// The namespace it brings them to; none where it may be any.
    pub namespace: Option<String>,
    /// What it may bring.
    pub kinds: Kinds,
    /// What it is, for people: ``HelmRelease `cart` ``.
    pub what: String,
    /// Where it stands.
    pub at: Span,
}

/// Kinds of objects that something may bring.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kinds {
    /// Nobody knows.
    Any,
    /// These alone.
    Only(BTreeSet<String>),
}

impl Kinds {
    pub(super) fn only(kinds: &[&str]) -> Self {
        Self::Only(kinds.iter().map(|kind| (*kind).to_owned()).collect())
    }

    /// What installs a control plane or a part of it brings no rules, Secrets or services of others.
    fn of_istio() -> Self {
        let machinery = [
            "Deployment",
            "DaemonSet",
            "Service",
            "HorizontalPodAutoscaler",
            "PodDisruptionBudget",
        ];
        Self::only(&[&machinery[..], &["ConfigMap", "Pod"]].concat())
    }

    /// What a chart brings, as far as its name tells.
    pub(super) fn of_chart(chart: Option<&str>) -> Self {
        let parts = ["base", "cni", "istiod", "istiod-remote", "ztunnel", "ambient"];
        match chart.and_then(|chart| chart.rsplit('/').next()) {
            Some(chart) if parts.contains(&chart) => Self::of_istio(),
            _ => Self::Any,
        }
    }
}

impl Supply {
    /// Whether it may bring an object of a kind to a namespace. For a `Namespace`, that is its name: what
    /// is brought to a namespace finds it there, or makes it.
    pub fn may_bring(&self, kind: &str, namespace: &str) -> bool {
        let brings = self.brings(kind);
        match self.namespace.as_deref() {
            Some(own) => own == namespace && (brings || kind == "Namespace"),
            None => brings,
        }
    }

    /// Whether it may bring an object of a kind to some namespace.
    pub fn brings(&self, kind: &str) -> bool {
        match &self.kinds {
            Kinds::Any => true,
            Kinds::Only(kinds) => kinds.contains(kind),
        }
    }

    /// Whether it brings nothing but a control plane or a part of one.
    pub fn is_machinery(&self) -> bool {
        self.kinds == Kinds::of_istio()
    }
}

impl Supply {
    /// What a kustomization fetches lives with what it is fetched for: where its namespace is not told,
    /// in one of the namespaces of the resources beside it, if these tell any.
    pub(super) fn within(self, beside: &BTreeSet<String>) -> Vec<Self> {
        if self.namespace.is_some() || beside.is_empty() {
            return vec![self];
        }
        beside.iter().map(|ns| Self { namespace: Some(ns.clone()), ..self.clone() }).collect()
    }
}

/// The namespace that a text names, where it is not filled in later.
pub(super) fn told(namespace: Option<&Text>) -> Option<String> {
    let told = namespace.filter(|ns| !ns.is_empty() && !is_placeholder(ns));
    told.map(|ns| ns.value.clone())
}

/// A resource that brings others, for people.
pub(super) fn called(meta: &Meta) -> String {
    if meta.name.is_empty() {
        return meta.kind.value.clone();
    }
    format!("{} `{}`", meta.kind, meta.name)
}

/// What a resource of a cluster brings to it: a chart, or a control plane.
pub(super) fn of_member(member: &Member) -> Option<Supply> {
    let meta = &member.object.meta;
    let what = called(meta);
    let own = || told(meta.namespace.as_ref());
    let (namespace, kinds) = match &member.object.view {
        View::HelmRelease(r) if r.spec.kube_config.is_none() => {
            let namespace = match &r.spec.target_namespace {
                Some(target) => told(Some(target)),
                None => own(),
            };
            let chart = r.spec.chart.spec.chart.as_ref().map(|chart| chart.as_str());
            (namespace, Kinds::of_chart(chart))
        }
        View::IstioOperator(r) | View::SailIstio(r) => {
            let namespace = told(r.spec.namespace.as_ref()).or_else(own);
            (Some(namespace.unwrap_or_else(|| "istio-system".to_owned())), Kinds::of_istio())
        }
        _ => return None,
    };
    let at = if meta.name.is_empty() { meta.kind.span } else { meta.name.span };
    Some(Supply { namespace, kinds, what, at })
}

static KIND: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"\bkind["']?\s*:\s*["']?([A-Za-z]+|\{\{)"#).expect("a fixed pattern")
});
static TOP_KIND: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"(?m)^["']?kind["']?\s*:"#).expect("a fixed pattern"));
static NAMESPACE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"\bnamespace["']?\s*:\s*["']?([^\s"',}]+)"#).expect("a fixed pattern")
});

/// Whether a file holds manifests of which at least one can't be read: a template, or broken.
pub(super) fn is_unread(tree: &Tree<'_>, file: usize) -> bool {
    let read = &tree.files[file];
    read.skipped == Some("template") || !read.errors.is_empty()
}

/// What a file may bring that can't be read, by what its text says of kinds and namespaces.
pub(super) fn of_unread(tree: &Tree<'_>, file: usize) -> Option<Supply> {
    let read = &tree.files[file];
    let source = tree.sources.file(read.file);
    let kinds: BTreeSet<String> =
        KIND.captures_iter(&source.text).map(|found| found[1].to_owned()).collect();
    if kinds.is_empty() {
        return None;
    }
    let namespaces: BTreeSet<&str> = NAMESPACE
        .captures_iter(&source.text)
        .filter_map(|found| found.get(1))
        .map(|found| found.as_str())
        .collect();
    let only = namespaces.first().filter(|ns| namespaces.len() == 1 && !is_placeholder(ns));
    let is_single = TOP_KIND.find_iter(&source.text).count() == 1;
    let what = if read.errors.is_empty() { "a template" } else { "a document that is not YAML" };
    let at = read.errors.first().map_or(Span::new(source.base, source.base + 1), |e| e.span);
    Some(Supply {
        namespace: only.filter(|_| is_single).map(|ns| (*ns).to_owned()),
        kinds: if kinds.contains("{{") { Kinds::Any } else { Kinds::Only(kinds) },
        what: what.to_owned(),
        at,
    })
}

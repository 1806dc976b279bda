//! What a kustomization takes in or makes that is not in the input.

use crate::clusters::supply::{Kinds, Supply, told};
use crate::kinds::delivery::{Generated, Kustomization, RenderedChart};
use crate::source::Text;

/// A URL, unless it only brings definitions of kinds.
pub(super) fn remote(path: &Text) -> Option<Supply> {
    let lower = path.to_ascii_lowercase();
    let defines_kinds = lower.contains("crd") || lower.contains("gateway-api");
    (!defines_kinds).then(|| anywhere(format!("`{}`, which kustomize fetches", path.value), path))
}

/// A path that leads nowhere within the input.
pub(super) fn missing(path: &Text) -> Supply {
    anywhere(format!("`{}`, which is not in the input", path.value), path)
}

fn anywhere(what: String, at: &Text) -> Supply {
    Supply { namespace: None, kinds: Kinds::Any, what, at: at.span }
}

/// What its charts and generators make.
pub(super) fn made(spec: &Kustomization) -> Vec<Supply> {
    let charts = spec.helm_charts.iter().chain(&spec.helm_chart_inflation_generator);
    let mut found: Vec<Supply> = charts.filter_map(chart).collect();
    let generators = spec.generators.iter();
    found.extend(generators.map(|g| anywhere(format!("generator `{}`", g.value), g)));
    for (kind, made) in
        [("Secret", &spec.secret_generator), ("ConfigMap", &spec.config_map_generator)]
    {
        found.extend(made.iter().filter_map(|made| generated(kind, made)));
    }
    found
}

fn chart(chart: &RenderedChart) -> Option<Supply> {
    let name = chart.name.as_ref().or(chart.chart_name.as_ref())?;
    Some(Supply {
        namespace: told(chart.namespace.as_ref()),
        kinds: Kinds::of_chart(Some(name)),
        what: format!("chart `{}`", name.value),
        at: name.span,
    })
}

fn generated(kind: &str, made: &Generated) -> Option<Supply> {
    let name = made.name.as_ref()?;
    Some(Supply {
        namespace: told(made.namespace.as_ref()),
        kinds: Kinds::only(&[kind]),
        what: format!("generated {kind} `{}`", name.value),
        at: name.span,
    })
}

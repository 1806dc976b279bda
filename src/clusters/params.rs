//! What generators of ApplicationSets make, and how it is filled into an Application.

use std::collections::BTreeMap;

use super::tree::Tree;
use crate::yaml::Value;

/// What a generator fills in, by name.
pub(super) type Params = BTreeMap<String, String>;

/// `{{name}}`, `{{ .name }}` and `{{ .values.name }}` of Argo CD.
pub(super) fn render(text: &str, params: &Params) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((key, after)) = after.split_once("}}") else { break };
        out.push_str(before);
        match params.get(key.trim().trim_start_matches('.')) {
            Some(value) => out.push_str(value),
            None => out.extend(["{{", key, "}}"]),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// No ApplicationSet that somebody reads makes more.
const MOST: usize = 10_000;

/// What a generator makes: elements of lists, nested keys as `values.name`; folders that git finds; each
/// with each of a matrix.
pub(super) fn made_by(tree: &Tree<'_>, from: usize, generator: Value<'_>) -> Vec<Params> {
    let nested = |key: &str| generator.at(&[key, "generators"]).into_iter().flat_map(Value::items);
    let mut found = Vec::new();
    for element in generator.at(&["list", "elements"]).into_iter().flat_map(Value::items) {
        let mut params = Params::new();
        flatten("", element, &mut params);
        found.push(params);
    }
    found.extend(folders(tree, from, generator));
    found.extend(nested("merge").flat_map(|inner| made_by(tree, from, inner)));
    // What nobody in the input can tell leaves its parameters open.
    let told = nested("matrix").map(|inner| made_by(tree, from, inner)).filter(|m| !m.is_empty());
    found.extend(told.reduce(|all, next| product(&all, &next)).unwrap_or_default());
    found
}

/// Each with each.
fn product(one: &[Params], other: &[Params]) -> Vec<Params> {
    let with = |a: &Params, b: &Params| a.clone().into_iter().chain(b.clone()).collect();
    one.iter().flat_map(|a| other.iter().map(move |b| with(a, b))).take(MOST).collect()
}

/// Keys and texts of an element, nested keys as `values.name`.
pub(super) fn flatten(prefix: &str, value: Value<'_>, params: &mut Params) {
    for (key, value) in value.entries() {
        let key = format!("{prefix}{}", key.text().unwrap_or_default());
        match value.text() {
            Some(text) => drop(params.insert(key, text.into_owned())),
            None => flatten(&format!("{key}."), value, params),
        }
    }
}

/// Folders that a git generator finds: `clusters/*`.
fn folders(tree: &Tree<'_>, from: usize, generator: Value<'_>) -> Vec<Params> {
    let directories = generator.at(&["git", "directories"]).into_iter().flat_map(Value::items);
    let excludes = |d: &Value<'_>| {
        d.get("exclude").and_then(Value::text).is_some_and(|exclude| exclude == "true")
    };
    let globs = directories.filter(|d| !excludes(d)).filter_map(|d| d.get("path")?.text());
    let mut found = Vec::new();
    for glob in globs {
        let Some(parent) = glob.strip_suffix("/*").filter(|p| !p.contains('*')) else { continue };
        let Some(parent) = tree.resolve(from, parent) else { continue };
        let child = |file: usize| {
            let rest = tree.name(file).strip_prefix(parent.as_str())?.strip_prefix('/')?;
            rest.split_once('/').map(|(child, _)| child.to_owned())
        };
        let mut children: Vec<String> = tree.below(&parent).filter_map(child).collect();
        children.dedup();
        for child in children {
            let path = format!("{parent}/{child}");
            let keys = ["path", "path.path", "path.basename", "path.basenameNormalized"];
            let values = [path.clone(), path, child.clone(), child];
            found.push(keys.map(str::to_owned).into_iter().zip(values).collect());
        }
    }
    found
}

/// Whether a generator asks somebody else than the repository: Argo CD for its clusters, a forge.
pub(super) fn asks_outside(generator: Value<'_>) -> bool {
    let inner = ["matrix", "merge"].map(|nested| generator.at(&[nested, "generators"]));
    let is_nested = inner.iter().any(Option::is_some);
    let known = generator.get("list").is_some() || generator.at(&["git", "directories"]).is_some();
    inner.into_iter().flatten().flat_map(Value::items).any(asks_outside) || !is_nested && !known
}

#[cfg(test)]
mod tests {
    use super::{Params, render};

    #[test]
    fn parameters_are_filled_in() {
        let params: Params = [("name", "east"), ("values.net", "n1")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        assert_eq!(render("a-{{name}}-{{ .values.net }}", &params), "a-east-n1");
        assert_eq!(render("{{name}} {{other}} {{", &params), "east {{other}} {{");
    }
}

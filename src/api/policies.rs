//! Kinds that are attached to workloads: selectors, targets, authentication, telemetry, proxies.

use super::Subject;
use super::fault::{Cause, Faults};
use super::look::{Look, known_text};
use crate::yaml::{Scalar, Shape, Value};

/// What a policy is for: at most one of a selector and targets, and targets of known kinds.
pub(super) fn attachment(spec: Value<'_>, faults: &mut Faults<'_>) {
    let written: Vec<(&str, Value<'_>)> = ["selector", "targetRef", "targetRefs"]
        .into_iter()
        .filter_map(|key| Some((key, spec.field(key)?)))
        .collect();
    if let [(first, there), (name, value), ..] = written.as_slice() {
        let help = format!("keep either `{first}` or `{name}`");
        faults.invalid(*value, format!("stands beside `{first}`, which excludes it"), help).also =
            Some((there.span(), "this excludes it"));
    }
    selector(spec, "selector", "matchLabels", faults);
    let targets = spec.field("targetRef").into_iter().chain(spec.list("targetRefs"));
    targets.for_each(|target| target_kind(target, faults));
}

/// A selector without labels selects everything, which its absence does too.
pub(super) fn selector(spec: Value<'_>, key: &str, labels: &str, faults: &mut Faults<'_>) {
    let Some(value) = spec.field(key).filter(|value| value.shape() == Shape::Mapping) else {
        return;
    };
    if value.map(labels).next().is_none() {
        let help = format!("add `{labels}`, or leave `{key}` out if all workloads are meant");
        faults.ignored(value, "selects by nothing, so it is for all workloads", help);
    }
}

fn target_kind(target: Value<'_>, faults: &mut Faults<'_>) {
    const KNOWN: &[(&str, &str)] = &[
        ("", "Service"),
        ("core", "Service"),
        ("networking.istio.io", "ServiceEntry"),
        ("gateway.networking.k8s.io", "Gateway"),
        ("gateway.networking.k8s.io", "GatewayClass"),
    ];
    let (Some(group), Some(kind)) = (target.word_or("group", ""), target.text_of("kind")) else {
        return;
    };
    if !kind.is_empty() && !KNOWN.contains(&(&*group, &*kind)) {
        let what =
            format!("targets a `{kind}` of the group `{group}`, to which nothing can be attached");
        let help = "target a Service, a ServiceEntry (`networking.istio.io`), or a Gateway or GatewayClass (`gateway.networking.k8s.io`)";
        faults.invalid(target, what, help);
    }
}

pub(super) fn check_proxy_config(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    selector(subject.spec, "selector", "matchLabels", faults);
}

pub(super) fn check_peer_authentication(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    let spec = subject.spec;
    selector(spec, "selector", "matchLabels", faults);
    let Some(ports) = spec.field("portLevelMtls").filter(|ports| ports.entries().next().is_some())
    else {
        return;
    };
    let selects = spec.field("selector").is_some_and(|it| match it.field("matchLabels") {
        Some(labels) => labels.shape() != Shape::Mapping || labels.entries().next().is_some(),
        None => it.shape() != Shape::Mapping,
    });
    if !selects {
        let help = "add `selector.matchLabels`: ports mean something for chosen workloads only";
        faults.invalid(ports, "is set without a selector", help);
    }
}

pub(super) fn check_request_authentication(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    attachment(subject.spec, faults);
    for rule in subject.spec.list("jwtRules").filter(|rule| rule.shape() == Shape::Mapping) {
        let uri = rule.field("jwksUri").or_else(|| rule.field("jwks_uri"));
        let sources: Vec<(&str, Value<'_>)> = ["jwksUri", "jwks_uri", "jwks"]
            .into_iter()
            .filter_map(|key| Some((key, rule.field(key)?)))
            .collect();
        if let [(first, there), (name, value), ..] = sources.as_slice() {
            let help = format!("keep either `{first}` or `{name}`");
            let what = format!("stands beside `{first}`, which excludes it");
            faults.invalid(*value, what, help).also = Some((there.span(), "this excludes it"));
        }
        if !rule.has("issuer") && uri.is_none_or(is_empty) {
            let help = "name the issuer, or where its keys are (`jwksUri`)";
            faults.missing(rule, "issuer", help);
        }
        if let Some(keys) = rule.field("jwks") {
            key_set(keys, faults);
        }
    }
}

/// Keys in JSON. Nothing of them is ever shown.
fn key_set(value: Value<'_>, faults: &mut Faults<'_>) {
    let Some(text) = known_text(value).filter(|text| !text.is_empty()) else { return };
    let stream = value.embedded();
    let root = stream.documents.first().map(|document| document.root());
    // Tabs between tokens are sound in JSON, and not always in YAML, as which it is read here.
    if !stream.errors.is_empty() && text.contains('\t') {
        return;
    }
    let is_json = text.trim_start().starts_with('{') && stream.errors.is_empty();
    let keys: Option<Vec<Value<'_>>> = root.filter(|_| is_json).and_then(|root| {
        if root.get("keys").is_some_and(|keys| keys.shape() == Shape::Sequence) {
            return Some(root.list("keys").collect());
        }
        root.get("kty").is_some().then(|| vec![root])
    });
    let known = ["RSA", "EC", "OKP", "oct"];
    let is_key = |key: &Value<'_>| key.text_of("kty").is_some_and(|kind| known.contains(&&*kind));
    match keys {
        Some(keys) if keys.iter().all(is_key) => {
            let private = |key: &Value<'_>| key.field("d").is_some() || key.field("k").is_some();
            if keys.iter().any(private) {
                let help = "leave the private parts out: tokens are checked with public keys, and this one is now known to all who read the policy";
                faults.ignored(value, "holds a private key", help);
            }
        }
        _ => {
            let help = "write a JSON Web Key, or a set of them (`{\"keys\": [...]}`)";
            faults.invalid(value, "is not a key set in JSON", help);
        }
    }
}

pub(super) fn check_telemetry(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    let spec = subject.spec;
    attachment(spec, faults);
    if let Some(second) = spec.list("tracing").nth(1) {
        faults.ignored(second, "is a second entry, and only the first is read", "keep one");
    }
    for tracing in spec.list("tracing") {
        if let Some(second) = tracing.list("providers").nth(1) {
            faults.ignored(second, "is a second provider, and only the first is used", "keep one");
        }
        for (key, _) in tracing.map("customTags").filter(|(key, _)| is_empty(*key)) {
            faults.invalid(key, "is a tag without a name", "name the tag");
        }
    }
    for overrides in spec.list("metrics").flat_map(|metrics| metrics.list("overrides")) {
        for (key, tag) in overrides.map("tagOverrides") {
            if is_empty(key) {
                faults.ignored(key, "is a tag without a name", "name the tag");
            }
            tag_override(tag, faults);
        }
    }
    for logging in spec.list("accessLogging") {
        if let Some(filter) = logging.field("filter").filter(|it| it.shape() == Shape::Mapping)
            && filter.field("expression").is_none_or(is_empty)
        {
            let help = "write an expression in CEL, such as `response.code >= 400`";
            faults.missing(filter, "expression", help);
        }
    }
}

fn is_empty(value: Value<'_>) -> bool {
    value.text().is_some_and(|text| text.is_empty())
}

fn tag_override(tag: Value<'_>, faults: &mut Faults<'_>) {
    if tag.shape() != Shape::Mapping {
        return;
    }
    match tag.word_or("operation", "UPSERT").as_deref() {
        Some("UPSERT") if tag.field("value").is_none_or(is_empty) => {
            faults.missing(tag, "value", "say what the tag is to hold, or set `operation: REMOVE`");
        }
        Some("REMOVE") => {
            if let Some(value) = tag.field("value") {
                let help = "leave it out, or set `operation: UPSERT`";
                faults.invalid(value, "is set although the tag is removed", help);
            }
        }
        _ => {}
    }
}

/// A value that Istio reads, and a newer field has taken over from.
pub(super) fn deprecated_word(
    block: Value<'_>,
    key: &str,
    word: &str,
    help: &str,
    faults: &mut Faults<'_>,
) {
    if let Some(value) = block.field(key)
        && matches!(value.scalar(), Some(Scalar::Str(text)) if text == word)
    {
        faults.say(Cause::Deprecated, value, format!("is the deprecated `{word}`"), help);
    }
}

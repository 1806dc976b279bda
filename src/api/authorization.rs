//! Checks of an AuthorizationPolicy: what an action can look at.

use super::Subject;
use super::fault::{Cause, Faults};
use super::formats::{is_service_account, is_wildcard_at_an_end};
use super::hosts::is_subnet;
use super::look::{Look, known_text};
use super::policies::attachment;
use crate::yaml::{Shape, Value};

/// What an external authorizer is not asked about.
const IDENTITY: &[&str] = &[
    "namespaces",
    "notNamespaces",
    "serviceAccounts",
    "notServiceAccounts",
    "trustDomains",
    "notTrustDomains",
    "principals",
    "notPrincipals",
    "requestPrincipals",
    "notRequestPrincipals",
];
const ADDRESSES: &[&str] = &["ipBlocks", "notIpBlocks", "remoteIpBlocks", "notRemoteIpBlocks"];
const OPERATION: &[&str] =
    &["hosts", "notHosts", "ports", "notPorts", "methods", "notMethods", "paths", "notPaths"];

pub(super) fn check(subject: &Subject<'_>, faults: &mut Faults<'_>) {
    let spec = subject.spec;
    attachment(spec, faults);
    let Some(action) = spec.word_or("action", "ALLOW") else { return };
    let is_custom = action == "CUSTOM";
    if matches!(&*action, "CUSTOM" | "DENY") && spec.set("rules").is_none() {
        let help = format!("add rules: without any, `{action}` is for no request");
        faults.missing(spec, "rules", help);
    }
    match spec.field("provider") {
        Some(provider) if !is_custom => {
            faults.invalid(provider, "is set although the action is not `CUSTOM`", "leave it out");
        }
        Some(provider) if !provider.has("name") && provider.shape() == Shape::Mapping => {
            faults.missing(provider, "name", "name an extension provider of the mesh");
        }
        None if is_custom && spec.set("rules").is_some() => {
            let help = "add `provider.name`: an extension provider of the mesh";
            faults.missing(spec, "provider", help);
        }
        _ => {}
    }
    let is_at_gateway = is_at_gateway(spec);
    for rule in spec.list("rules").filter(|it| it.shape() == Shape::Mapping) {
        empty_lists(rule, &action, faults);
        for from in rule.list("from") {
            if let Some(source) = from.field("source").filter(|it| it.shape() == Shape::Mapping) {
                check_source(source, is_custom, faults);
            }
        }
        for to in rule.list("to") {
            if let Some(operation) = to.field("operation").filter(|it| it.shape() == Shape::Mapping)
                && OPERATION.iter().all(|key| operation.set(key).is_none())
            {
                let help = "add what is asked for, or leave the entry out";
                faults.invalid(operation, "matches nothing", help);
            }
        }
        for when in rule.list("when").filter(|it| it.shape() == Shape::Mapping) {
            condition(when, is_custom, faults);
        }
        if action == "DENY" {
            http_only(rule, is_at_gateway, faults);
        }
    }
}

/// A list without an item is decoded as no list at all: what should hold for nobody holds for everybody.
fn empty_lists(rule: Value<'_>, action: &str, faults: &mut Faults<'_>) {
    let parts = |list, part: &'static str, keys: Vec<&'static str>| {
        let parts = rule.list(list).filter_map(move |it| it.field(part));
        // One that has nothing else is refused, and that is said instead.
        let kept = parts.filter(|it| it.entries().any(|(_, value)| value.items().next().is_some()));
        // A `not...` list without an item leaves nobody out, as one would think.
        let keys: Vec<_> = keys.into_iter().filter(|key| !key.starts_with("not")).collect();
        kept.flat_map(move |it| keys.clone().into_iter().filter_map(move |key| it.field(key)))
    };
    let whole = ["from", "to"].into_iter().filter_map(|key| rule.field(key));
    let sources = parts("from", "source", [IDENTITY, ADDRESSES].concat());
    let empty = whole.chain(sources).chain(parts("to", "operation", OPERATION.to_vec()));
    for list in empty.filter(|it| it.shape() == Shape::Sequence && it.items().next().is_none()) {
        let what = "is empty, which Istio reads as absent: it holds for every request";
        let help = match action {
            "DENY" => "leave it out if the rule is to deny them all, or write whom it is for",
            _ => {
                "leave it out if the rule is for them all, or write whom it is for; a policy without \
                  `rules` allows nobody"
            }
        };
        faults.say(Cause::EmptyList, list, what, help);
    }
}

fn check_source(source: Value<'_>, is_custom: bool, faults: &mut Faults<'_>) {
    if IDENTITY.iter().chain(ADDRESSES).all(|key| source.set(key).is_none()) {
        faults.invalid(source, "matches nobody", "add who asks, or leave the entry out");
    }
    for value in IDENTITY.iter().filter_map(|key| source.set(key)).filter(|_| is_custom) {
        let help = "leave it out: `CUSTOM` asks before the client's identity is looked at";
        faults.invalid(value, "cannot be used with the action `CUSTOM`", help);
    }
    let accounts =
        ["serviceAccounts", "notServiceAccounts"].into_iter().find_map(|key| source.field(key));
    let others = ["principals", "notPrincipals", "namespaces", "notNamespaces"];
    if let Some(accounts) = accounts
        && let Some(other) = others.into_iter().find_map(|key| source.field(key))
    {
        let help = "keep one of them: a service account stands in a namespace, and is a principal";
        faults.invalid(other, "stands beside service accounts, which exclude it", help).also =
            Some((accounts.span(), "these exclude it"));
    }
}

/// What the values of an attribute are.
enum Values {
    Any,
    Addresses,
    Ports,
    ServiceAccounts,
    TrustDomains,
}

fn condition(when: Value<'_>, is_custom: bool, faults: &mut Faults<'_>) {
    if when.set("values").is_none() && when.set("notValues").is_none() {
        faults.missing(when, "values", "add `values` or `notValues`");
    }
    let Some(value) = when.field("key") else { return };
    let Some(key) = known_text(value).filter(|key| !key.is_empty()) else { return };
    let kind = match attribute(&key) {
        Ok(kind) => kind,
        Err(help) => {
            faults.invalid(value, format!("is `{key}`, which no request has"), help);
            return;
        }
    };
    let identity =
        ["source.namespace", "source.serviceAccount", "source.trustDomain", "source.principal"];
    if is_custom && (identity.contains(&&*key) || key.starts_with("request.auth.")) {
        let help = "leave it out: `CUSTOM` asks before the client's identity is looked at";
        faults.invalid(value, "cannot be used with the action `CUSTOM`", help);
    }
    for item in when.list("values").chain(when.list("notValues")) {
        let Some(text) = known_text(item).filter(|text| !text.is_empty()) else { continue };
        let wrong = match kind {
            Values::Any => continue,
            Values::Addresses => (!is_subnet(&text)).then_some("an IP address or a range"),
            Values::Ports => {
                let is_port = text.bytes().all(|b| b.is_ascii_digit())
                    && text.parse::<u32>().is_ok_and(|port| port <= 65535);
                (!is_port).then_some("a port")
            }
            Values::ServiceAccounts => (!is_service_account(&text)).then_some("a service account"),
            Values::TrustDomains => (!is_wildcard_at_an_end(&text)).then_some("a trust domain"),
        };
        if let Some(wanted) = wrong {
            faults.invalid(item, format!("is not {wanted}"), format!("`{key}` is {wanted}"));
        }
    }
}

/// What the values of an attribute are, or what to do instead of asking for it.
fn attribute(key: &str) -> Result<Values, &'static str> {
    let bracketed = |prefix: &str| {
        key.strip_prefix(prefix).is_some_and(|rest| {
            rest.strip_prefix('[')
                .and_then(|it| it.strip_suffix(']'))
                .is_some_and(|it| !it.is_empty())
        })
    };
    Ok(match key {
        "source.ip" | "remote.ip" | "destination.ip" => Values::Addresses,
        "destination.port" => Values::Ports,
        "source.serviceAccount" => Values::ServiceAccounts,
        "source.trustDomain" => Values::TrustDomains,
        "source.namespace"
        | "source.principal"
        | "request.auth.principal"
        | "request.auth.audiences"
        | "request.auth.presenter"
        | "connection.sni" => Values::Any,
        "destination.namespace" => return Err("put the policy into that namespace"),
        "destination.user" => return Err("leave it out: it is not supported any more"),
        "destination.name" => return Err("use `selector`"),
        key if key.starts_with("destination.labels") => return Err("use `selector`"),
        _ if bracketed("request.headers") => Values::Any,
        key if key.starts_with("request.auth.claims[")
            && key.ends_with(']')
            && !key.contains("[]") =>
        {
            Values::Any
        }
        key if key.starts_with("experimental.envoy.filters.")
            && key.ends_with(']')
            && key.find('[').is_some_and(|at| at + 2 < key.len()) =>
        {
            Values::Any
        }
        _ => {
            return Err(
                "see Istio's list of conditions for policies, such as `request.headers[x-id]` or `source.namespace`",
            );
        }
    })
}

/// Whether a policy is, by what it names, for gateways only: these seldom have ports without HTTP.
fn is_at_gateway(spec: Value<'_>) -> bool {
    let is_called_gateway = |(key, value): (Value<'_>, Value<'_>)| {
        [key, value].into_iter().filter_map(known_text).any(|text| text.contains("gateway"))
    };
    let labels = spec.field("selector").and_then(|it| it.field("matchLabels"));
    let mut targets = spec.list("targetRefs").peekable();
    labels.is_some_and(|labels| labels.entries().any(is_called_gateway))
        || targets.peek().is_some()
            && targets.all(|it| it.text_of("kind").as_deref() == Some("Gateway"))
}

/// On ports without HTTP a DENY without anything of TCP in it denies all.
fn http_only(rule: Value<'_>, is_at_gateway: bool, faults: &mut Faults<'_>) {
    const TCP: &[&str] = &[
        "principals",
        "notPrincipals",
        "ipBlocks",
        "notIpBlocks",
        "namespaces",
        "notNamespaces",
        "remoteIpBlocks",
        "notRemoteIpBlocks",
        "serviceAccounts",
        "notServiceAccounts",
    ];
    let asks = |list: &str, inner: &str, keys: &[&str]| {
        rule.list(list)
            .filter_map(|it| it.field(inner))
            .any(|it| keys.iter().any(|key| it.set(key).is_some()))
    };
    let (from, to) = (rule.set("from"), rule.set("to"));
    let only_http = match (from, to) {
        (_, Some(_)) => !asks("to", "operation", &["ports", "notPorts"]),
        (Some(_), None) => !asks("from", "source", TCP),
        (None, None) => false,
    };
    if only_http {
        let help = "add `ports`, so that the rule is for those of HTTP only";
        let what = if is_at_gateway {
            "looks at HTTP alone: on ports of other protocols, where the gateway has such, it denies everything"
        } else {
            "looks at HTTP alone: on other ports it denies everything"
        };
        faults.ignored(rule, what, help).is_mild = is_at_gateway;
    }
}

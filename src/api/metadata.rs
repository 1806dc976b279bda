//! What holds for the head of every resource of Istio's API.

use super::fault::{Cause, Faults};
use super::look::Look;
use super::nearest::{an, nearest};
use super::{KINDS, Kind};
use crate::kinds::Meta;
use crate::yaml::Value;

const TOP: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status"];

/// Version, keys at the top, and annotations.
pub(super) fn check(root: Value<'_>, meta: &Meta, kind: &Kind, faults: &mut Faults<'_>) {
    served(root, meta, kind, faults);
    for (key, _) in root.entries() {
        let Some(name) = key.text().filter(|name| !TOP.contains(&&**name)) else { continue };
        if crate::kinds::is_placeholder(&name) {
            continue;
        }
        let near = nearest(&name, TOP.iter().copied());
        let (what, help) = match near {
            Some(near) => {
                (format!("is unknown: did you mean `{near}`?"), format!("write `{near}`"))
            }
            None => (
                "is unknown at the top".to_owned(),
                "move it into `spec`, or leave it out".to_owned(),
            ),
        };
        faults.say(Cause::Unknown, key, what, help).meant(&name, near);
    }
    annotations(root, kind, faults);
}

fn served(root: Value<'_>, meta: &Meta, kind: &Kind, faults: &mut Faults<'_>) {
    let Some(value) = root.get("apiVersion") else { return };
    let version = meta.api_version.rsplit('/').next().unwrap_or_default();
    match kind.served.iter().find(|(name, _)| *name == version) {
        Some((_, since)) => {
            let older = kind.served.iter().filter(|(_, other)| other < since);
            let older = older.max_by_key(|(_, other)| *other);
            let instead = older.map_or("leave the resource out".to_owned(), |(name, _)| {
                format!("write `{}/{name}`", kind.group)
            });
            faults.since(*since, value, "is served from", &instead);
        }
        None => {
            let best = kind.served.first().map_or("", |(name, _)| name);
            let what = format!("is not served: no Istio has {} in `{version}`", an(kind.name));
            let help = format!("write `{}/{best}`", kind.group);
            let instead = format!("{}/{best}", kind.group);
            faults
                .say(Cause::NotServed, value, what, help)
                .meant(&meta.api_version, Some(&instead));
        }
    }
}

/// A kind that Istio's API groups do not have.
pub(super) fn unknown_kind(root: Value<'_>, meta: &Meta, faults: &mut Faults<'_>) {
    let Some(value) = root.get("kind") else { return };
    let kind = meta.kind.as_str();
    if crate::kinds::is_placeholder(kind) {
        return;
    }
    if let Some(other) = KINDS.iter().find(|it| it.name == kind) {
        let Some(group) = root.get("apiVersion") else { return };
        let best = other.served.first().map_or("", |(name, _)| name);
        let what = format!("is not the API of {}", an(kind));
        faults.say(Cause::NotServed, group, what, format!("write `{}/{best}`", other.group));
        return;
    }
    let of_group = KINDS.iter().filter(|it| it.group == meta.group()).map(|it| it.name);
    match nearest(kind, of_group) {
        Some(near) => {
            let what = format!("does not know `{kind}`: did you mean `{near}`?");
            let help = format!("write `{near}`");
            faults.say(Cause::UnknownValue, value, what, help).meant(kind, Some(near));
        }
        None => {
            let what = format!("is not served: no Istio has {} in `{}`", an(kind), meta.group());
            let help = match kind {
                "EgressRule" => "write a ServiceEntry (`networking.istio.io/v1`)",
                "RouteRule" => "write a VirtualService (`networking.istio.io/v1`)",
                "DestinationPolicy" => "write a DestinationRule (`networking.istio.io/v1`)",
                _ => "remove the resource, or correct its `apiVersion`",
            };
            faults.say(Cause::NotServed, value, what, help);
        }
    }
}

/// A group that Istio has given up.
pub(super) fn retired(root: Value<'_>, meta: &Meta, faults: &mut Faults<'_>) {
    let Some(value) = root.get("apiVersion") else { return };
    let help = match meta.group() {
        "rbac.istio.io" => "write an AuthorizationPolicy (`security.istio.io/v1`)",
        "authentication.istio.io" => {
            "write a PeerAuthentication or a RequestAuthentication (`security.istio.io/v1`)"
        }
        _ => {
            "write a Telemetry (`telemetry.istio.io/v1`) or an AuthorizationPolicy (`security.istio.io/v1`)"
        }
    };
    let what = format!("is not served: Istio has given up `{}`", meta.group());
    faults.say(Cause::NotServed, value, what, help);
}

/// Annotations that Istio keeps for itself or takes on some kinds only.
fn annotations(root: Value<'_>, kind: &Kind, faults: &mut Faults<'_>) {
    let own = ["webhook-always-reject", "parents", "parent-namespace"];
    let Some(metadata) = root.field("metadata") else { return };
    for (key, value) in metadata.map("annotations") {
        let Some(name) = key.text() else { continue };
        if name.strip_prefix("internal.istio.io/").is_some_and(|rest| own.contains(&rest)) {
            faults.invalid(
                key,
                "is an annotation of Istio's own, which users may not set",
                "leave it out",
            );
        }
        if name != "istio.io/dry-run" {
            continue;
        }
        let action = root.get("spec").and_then(|spec| spec.word_or("action", "ALLOW"));
        let action = action.as_deref().unwrap_or("ALLOW");
        let bools =
            ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"];
        if kind.name != "AuthorizationPolicy" {
            let help = "leave it out: only an AuthorizationPolicy can be tried out";
            faults.invalid(key, format!("has no meaning on {}", an(kind.name)), help);
        } else if !matches!(action, "ALLOW" | "DENY") {
            let what = format!("cannot be used with the action `{action}`");
            faults.invalid(key, what, "only `ALLOW` and `DENY` can be tried out");
        } else if super::look::known_text(value).is_some_and(|text| !bools.contains(&&*text)) {
            faults.invalid(value, "is neither true nor false", "write `\"true\"` or `\"false\"`");
        }
    }
}

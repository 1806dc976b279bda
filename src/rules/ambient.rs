//! Ambient: what ztunnel does not do, and the waypoints that do it.

mod policies;
mod routes;

use std::collections::BTreeMap;

use super::{Rule, SHOWN, rule};
use crate::clusters::ClusterId;
use crate::finding::{Findings, Severity};
use crate::kinds::Meta;
use crate::kinds::gateway_api::Gateway;
use crate::mesh::{Asked, BINDING, In, Lookup, Mesh, WAYPOINT_CLASS};
use crate::source::{Span, Text};
use crate::yaml::Entries;

pub(super) const RULES: &[Rule] = &[
    rule!("ambient/policy-needs-waypoint", policies::policy_needs_waypoint),
    rule!("ambient/route-without-waypoint", routes::route_without_waypoint),
    rule!("ambient/target-without-waypoint", policies::target_without_waypoint),
    rule!("ambient/unknown-target", policies::unknown_target),
    rule!("ambient/unknown-waypoint", unknown_waypoint),
];

/// Something with labels that may ask for a waypoint.
struct Asking<'m> {
    cluster: ClusterId,
    namespace: &'m str,
    meta: &'m Meta,
    labels: &'m Entries<Text>,
    /// What traffic it asks for; a namespace asks for whatever is in it.
    traffic: Option<&'static str>,
}

impl<'m> Asking<'m> {
    fn of<S>(object: &'m In<S>, namespace: &'m str, traffic: Option<&'static str>) -> Self {
        let (cluster, meta) = (object.cluster, &object.meta);
        Self { cluster, namespace, meta, labels: &meta.labels, traffic }
    }
}

fn all(mesh: &Mesh) -> impl Iterator<Item = Asking<'_>> {
    let namespaces = mesh.namespaces.iter().map(|ns| Asking::of(ns, ns.name(), None));
    let services = mesh.services.iter().map(|s| Asking::of(s, &s.namespace, Some("service")));
    let entries = mesh.service_entries.iter();
    let entries = entries.map(|e| Asking::of(e, &e.namespace, Some("service")));
    let pods = mesh.pod_shapes().map(|p| Asking {
        cluster: p.cluster,
        namespace: p.namespace,
        meta: p.meta,
        labels: p.labels,
        traffic: Some("workload"),
    });
    namespaces.chain(services).chain(entries).chain(pods)
}

/// A waypoint that is asked for, and is not used.
struct Idle<'m> {
    asking: Asking<'m>,
    asked: Asked<'m>,
    why: Why<'m>,
}

/// Why a waypoint is not used.
enum Why<'m> {
    /// It is not there; this one may be meant.
    Absent(Option<String>),
    /// It takes this instead, as is said there.
    Takes(&'m str, Span),
    /// It lets nothing of that namespace in.
    Refuses(Span),
    /// It is of a class of Istio's that makes no waypoints.
    IsNone(&'m Text),
}

/// Classes of Istio's that make other gateways. Others may make waypoints too.
const OTHER_CLASSES: [&str; 3] = ["istio", "istio-remote", "istio-east-west"];

fn idle<'m>(mesh: &'m Mesh, asking: Asking<'m>) -> Option<Idle<'m>> {
    let asked = mesh.waypoint_asked(asking.labels, asking.namespace)?;
    let why = match mesh.waypoint(asking.cluster, asked) {
        Lookup::Found(gateway) => why_not(mesh, gateway, &asking)?,
        Lookup::Absent { nearest } => Why::Absent(nearest),
        Lookup::Unseen => return None,
    };
    Some(Idle { asking, asked, why })
}

fn why_not<'m>(mesh: &'m Mesh, gateway: &'m In<Gateway>, asking: &Asking<'m>) -> Option<Why<'m>> {
    if mesh.is_assumed(&gateway.meta) {
        return None;
    }
    let fits = |takes: &str| match asking.traffic {
        Some(traffic) => takes == traffic || takes == "all",
        None => takes != "none",
    };
    let at = gateway.named_at();
    if let Some(class) = &gateway.gateway_class_name
        && OTHER_CLASSES.contains(&class.as_str())
        && gateway.meta.annotations.get(BINDING).is_none()
    {
        return Some(Why::IsNone(class));
    }
    match gateway.takes_as_waypoint() {
        Some((takes, told)) if !fits(takes) => {
            Some(Why::Takes(takes, told.map_or(at, |told| told.span)))
        }
        _ if mesh.waypoint_admits(gateway, asking.namespace) == Some(false) => {
            Some(Why::Refuses(at))
        }
        _ => None,
    }
}

fn unknown_waypoint(mesh: &Mesh, found: &mut Findings) {
    let mut by_waypoint: BTreeMap<_, Vec<Idle<'_>>> = BTreeMap::new();
    let asking = all(mesh).filter(|asking| !mesh.is_assumed(asking.meta));
    for idle in asking.filter_map(|asking| idle(mesh, asking)) {
        let key = (idle.message(), idle.asked.namespace);
        let known = by_waypoint.entry(key).or_default();
        if known.iter().all(|other| other.asked.name.span != idle.asked.name.span) {
            known.push(idle);
        }
    }
    for ((message, _), places) in by_waypoint {
        let [first, others @ ..] = places.as_slice() else { continue };
        let at = first.asked.name.span;
        let effect = match first.why {
            Why::IsNone(_) => "no waypoint takes it: its routes and policies do not count",
            _ => "called without a waypoint: past its routes and policies",
        };
        let finding = found.say(message, at, effect);
        if let Why::Absent(_) = first.why
            && !mesh.cluster(first.asking.cluster).is_complete()
        {
            finding.milder(Severity::Warning, ", unless it is made by hand");
        }
        for other in others.iter().take(SHOWN) {
            finding.also(other.asked.name.span, "and so is this");
        }
        match &first.why {
            Why::Absent(_) => {}
            Why::Takes(takes, at) => {
                finding.also(*at, format!("takes `{takes}`"));
            }
            Why::Refuses(at) => {
                finding.also(*at, "`allowedRoutes` of its listener is for its own namespace");
            }
            Why::IsNone(class) => {
                finding.also(class.span, "makes no waypoint of it");
            }
        }
        finding.help(first.help());
    }
}

impl Idle<'_> {
    fn message(&self) -> String {
        let Asked { name, namespace } = self.asked;
        let own = self.asking.namespace;
        match &self.why {
            Why::Absent(_) => format!("there is no waypoint `{name}` in namespace `{namespace}`"),
            Why::Takes(takes, _) => {
                let asks = self.asking.traffic.unwrap_or("all");
                format!(
                    "waypoint `{name}` of `{namespace}` is for `{takes}`, and asked for as `{asks}`"
                )
            }
            Why::Refuses(_) => {
                format!("waypoint `{name}` of `{namespace}` does not let namespace `{own}` in")
            }
            Why::IsNone(class) => format!(
                "Gateway `{name}` of `{namespace}` is of class `{class}`, and asked for as a waypoint"
            ),
        }
    }

    fn help(&self) -> String {
        let Asked { name, namespace } = self.asked;
        match &self.why {
            Why::Absent(Some(nearest)) => format!("use `{nearest}`"),
            Why::Absent(None) => format!(
                "add it: `istioctl waypoint generate --name {name} -n {namespace}` prints its Gateway"
            ),
            Why::Takes(..) => {
                "label its Gateway `istio.io/waypoint-for: all`, or ask for another waypoint"
                    .to_owned()
            }
            Why::Refuses(_) => {
                "set `allowedRoutes: {namespaces: {from: All}}` at its listener, or a \
                                `Selector` that fits the namespace"
                    .to_owned()
            }
            Why::IsNone(_) => format!("set `gatewayClassName: {WAYPOINT_CLASS}`"),
        }
    }
}

//! Waypoints of ambient: who asks for one, and which it takes in.
//!
//! Source: `pilot/pkg/serviceregistry/kube/controller/ambient/waypoints.go`.

use super::{In, Lookup, Mesh, value};
use crate::clusters::{Cluster, ClusterId};
use crate::kinds::gateway_api::{Gateway, Listener};
use crate::kinds::{Meta, is_placeholder};
use crate::source::Text;
use crate::yaml::Entries;

/// The class of the Gateways that istiod makes waypoints of.
pub const WAYPOINT_CLASS: &str = "istio-waypoint";
/// The name of a waypoint, or `none`: on a Service, a ServiceEntry, pods or a namespace.
const WAYPOINT: &str = "istio.io/use-waypoint";
/// The namespace of that waypoint, where it is another.
const NAMESPACE: &str = "istio.io/use-waypoint-namespace";
/// What a waypoint takes: `service`, `workload`, `all` or `none`. On its Gateway.
const TAKES: &str = "istio.io/waypoint-for";
/// What makes a waypoint listen in another way.
pub const BINDING: &str = "ambient.istio.io/waypoint-inbound-binding";

/// Through which waypoint something is called.
#[derive(Clone, Copy, Debug)]
pub enum Enrolment<'m> {
    /// Its label, or that of its namespace, asks for this one.
    Through(Asked<'m>),
    /// Through none.
    Without,
    /// Nothing in the input asks for one, and people may set the labels by hand.
    Untold,
    /// The input does not show what is asked for.
    Unknown,
}

/// A waypoint that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'m> {
    /// Its name, where it is asked for.
    pub name: &'m Text,
    /// The namespace it is looked for in.
    pub namespace: &'m str,
}

impl<'m> Asked<'m> {
    /// What labels of something in a namespace ask for; `Err` where they say that it is to have none.
    fn by(labels: &'m Entries<Text>, namespace: &'m str) -> Option<Result<Self, ()>> {
        let name = labels.get(WAYPOINT)?;
        let namespace = value(labels.get(NAMESPACE)).unwrap_or(namespace);
        Some(if name.as_str() == "none" { Err(()) } else { Ok(Self { name, namespace }) })
    }

    /// Whether a pipeline is still to fill it in.
    fn is_open(&self) -> bool {
        is_placeholder(self.name) || is_placeholder(self.namespace)
    }
}

impl Mesh {
    /// Through which waypoint something with these labels is called: by them, or by its namespace's.
    pub fn enrolment<'m>(
        &'m self,
        labels: &'m Entries<Text>,
        (cluster, namespace): (ClusterId, &'m str),
    ) -> Enrolment<'m> {
        let of_namespace = || match self.namespace(cluster, namespace) {
            Lookup::Found(told) if self.is_assumed(&told.meta) => Enrolment::Unknown,
            Lookup::Found(told) => match Asked::by(&told.meta.labels, namespace) {
                Some(Ok(asked)) if !asked.is_open() => Enrolment::Through(asked),
                Some(Ok(_)) => Enrolment::Unknown,
                Some(Err(())) => Enrolment::Without,
                None if self.tells_waypoints[cluster.index()] => Enrolment::Without,
                None => Enrolment::Untold,
            },
            _ => Enrolment::Unknown,
        };
        match Asked::by(labels, namespace) {
            Some(Ok(asked)) if asked.is_open() => Enrolment::Unknown,
            Some(Ok(asked)) => Enrolment::Through(asked),
            Some(Err(())) => Enrolment::Without,
            None => of_namespace(),
        }
    }

    /// What asks for a waypoint in its own labels.
    pub fn waypoint_asked<'m>(
        &self,
        labels: &'m Entries<Text>,
        namespace: &'m str,
    ) -> Option<Asked<'m>> {
        Asked::by(labels, namespace)?.ok().filter(|asked| !asked.is_open())
    }

    /// The name of the waypoint of a Service or ServiceEntry.
    pub fn waypoint_of<'m>(
        &'m self,
        told: &'m Meta,
        place: (ClusterId, &'m str),
    ) -> Option<&'m Text> {
        match self.enrolment(&told.labels, place) {
            Enrolment::Through(asked) => Some(asked.name),
            _ => None,
        }
    }

    /// Whether labels of a cluster tell who has a waypoint: something in it has one, or nothing lives
    /// outside the input. Else people may set these labels by hand, as `istioctl waypoint` does.
    pub(super) fn says_waypoints(&self, cluster: &Cluster) -> bool {
        let told = |meta: &Meta| meta.label(WAYPOINT).is_some();
        cluster.is_complete()
            || self.namespaces.of_cluster(cluster.id).iter().any(|ns| told(&ns.meta))
            || self.services.of_cluster(cluster.id).iter().any(|s| told(&s.meta))
            || self.service_entries.of_cluster(cluster.id).iter().any(|e| told(&e.meta))
    }

    /// The Gateway of a waypoint that is asked for in a cluster. `Absent` where other waypoints of the
    /// cluster are in the input.
    pub fn waypoint(&self, cluster: ClusterId, asked: Asked<'_>) -> Lookup<&In<Gateway>> {
        let near = || self.api_gateways.of_namespace(cluster, asked.namespace);
        if let Some(found) = near().find(|g| g.name() == asked.name.as_str()) {
            return Lookup::Found(found);
        }
        let mut here = self.api_gateways.of_cluster(cluster).iter();
        let knows = self.cluster(cluster).is_complete() || here.any(In::is_waypoint);
        if !knows || self.may_have_more(cluster, "Gateway", asked.namespace) {
            return Lookup::Unseen;
        }
        Lookup::absent(asked.name, near().map(In::name))
    }

    /// Whether a waypoint lets something of a namespace in; `None` where nobody can tell.
    pub fn waypoint_admits(&self, gateway: &In<Gateway>, namespace: &str) -> Option<bool> {
        if gateway.meta.annotations.get(BINDING).is_some() {
            return None;
        }
        let is_hbone = |l: &&Listener| {
            value(l.protocol.as_ref()) == Some("HBONE")
                && l.port.as_ref().is_some_and(|port| port.value == 15008)
        };
        match gateway.listeners.iter().find(is_hbone) {
            Some(listener) => self.listener_admits(gateway, listener, namespace),
            None => Some(gateway.namespace == namespace),
        }
    }

    /// Whether a listener lets routes of a namespace in; `None` where nobody can tell.
    pub fn listener_admits(
        &self,
        gateway: &In<Gateway>,
        listener: &Listener,
        namespace: &str,
    ) -> Option<bool> {
        let from = &listener.allowed_routes.namespaces;
        match value(from.from.as_ref()).unwrap_or("Same") {
            "Same" => Some(gateway.namespace == namespace),
            "All" => Some(true),
            "None" => Some(false),
            "Selector" => {
                let told = self.namespace(gateway.cluster, namespace).found()?;
                let label = |key: &str| match key {
                    "kubernetes.io/metadata.name" => Some(namespace),
                    _ => value(told.meta.label(key)),
                };
                (!self.is_assumed(&told.meta)).then(|| from.selector.takes(label))
            }
            _ => None,
        }
    }
}

impl In<Gateway> {
    /// Whether istiod makes a waypoint of it.
    pub fn is_waypoint(&self) -> bool {
        value(self.gateway_class_name.as_ref()) == Some(WAYPOINT_CLASS)
    }

    /// What it takes as a waypoint, and where that is said: `service`, `workload`, `all` or `none`. Its class
    /// may say it too, so of one that istiod does not make nothing is known.
    pub fn takes_as_waypoint(&self) -> Option<(&str, Option<&Text>)> {
        match self.meta.label(TAKES) {
            Some(told) if is_placeholder(told) => None,
            Some(told) => Some((told.as_str(), Some(told))),
            None => self.is_waypoint().then_some(("service", None)),
        }
    }
}

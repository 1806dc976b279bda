//! A cluster of Envoy as a client's proxy has it: which rule, policy and setting count for it, and
//! what is behind it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::assignment::{Filter, Preference};
use super::delivery::Delivery;
use super::endpoint::{Health, keeps_sessions};
use super::flow::{Terms, ZoneRouting};
use super::mtls::tells_mtls;
use super::outliers::Counters;
use super::policy::Policy;
use super::setting::Setting;
use super::step::Step;
use super::supply::{Pool, Supply, Unknown};
use crate::clusters::{self, ClusterId};
use crate::kinds::core::Service;
use crate::kinds::is_placeholder;
use crate::kinds::networking::OutlierDetection;
use crate::mesh::{self, AppliedRule, Client, Host, In, Mesh, Order, Subset, value};
use crate::source::{Span, Text};

/// Makes proxies tell Envoy the zones of their own workload.
pub const SELF_DISCOVERY: &str = "ISTIO_META_ENABLE_SELF_DISCOVERY";

/// The minor version of Istio from which on subsets have the rule's `tls` for endpoints too.
const SUBSETS_INHERIT_MTLS_SINCE: u32 = 31;

/// What a cluster of Envoy is for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'m> {
    /// The host.
    pub host: Host<'m>,
    /// The service's port.
    pub port: u32,
    /// The subset.
    pub subset: Option<&'m Text>,
}

/// A cluster of Envoy as some clients have it.
#[derive(Clone, Debug)]
pub struct Destination<'m> {
    /// The host.
    pub host: Host<'m>,
    /// The service's port.
    pub port: u32,
    /// The subset.
    pub subset: Option<&'m Text>,
    /// In which order rules are taken to have been created.
    pub order: Order,
    /// The cluster whose Istio objects count.
    pub plane: ClusterId,
    /// The Service whose attributes count.
    pub service: Option<&'m In<Service>>,
    /// The DestinationRule, and how sure that is.
    pub rule: mesh::Choice<'m>,
    /// The policy that endpoints are laid out by.
    pub policy: Policy<'m>,
    /// The locality setting that counts.
    pub setting: Setting<'m>,
    /// What both ask of Envoy.
    pub terms: Terms<'m>,
    /// How requests get there.
    pub delivery: Delivery,
    /// All that is behind the host.
    pub supply: Arc<Supply<'m>>,
    /// Positions in the supply of what the subset and the port select.
    pub selected: Vec<usize>,
    /// Whether the rule that applies has no such subset, so that Envoy has no such cluster.
    pub lacks_subset: bool,
    /// What a pipeline is still to fill in before anybody knows the subset, or what it selects.
    pub open: Option<&'m Text>,
}

impl<'m> Destination<'m> {
    /// What a client has for a host, port and subset, if rules were created in this order.
    pub fn of(
        mesh: &'m Mesh,
        order: Order,
        client: &Client<'m>,
        plane: ClusterId,
        asked: Asked<'m>,
        supply: Arc<Supply<'m>>,
    ) -> Self {
        let Asked { host, port, subset } = asked;
        let service = host.service_for(plane);
        let entry = host.entries().find(|e| e.cluster == plane);
        let namespace =
            service.map(|s| s.namespace.as_str()).or_else(|| entry.map(|e| e.namespace.as_str()));
        let rule = mesh.choose_rule_by(order, client, host.name, namespace, plane);
        let applied = rule.rule.as_ref();
        let name = subset.map(|s| s.as_str());
        let policy = Policy::of(applied, name, port);
        let of_cluster = Policy::of_cluster(mesh, plane, applied, name, port);
        let setting = Setting::of(mesh, plane, &policy, service);
        let mut terms = terms(&policy, &of_cluster, setting);
        terms.take_health(mesh, plane, &policy, service);
        let inherit = !mesh.is_before(plane, SUBSETS_INHERIT_MTLS_SINCE);
        terms.filter.mtls = applied.and_then(|rule| tells_mtls(rule, name, port, inherit));
        terms.filter.cluster_local = mesh.is_cluster_local(host.name, plane);
        let delivery = Delivery::of(&policy, service, entry);
        let port_name = service.and_then(|s| port_name(s, port));
        let choice = Choice::of(applied, subset);
        let (selected, supply) = selected(supply, choice.subset, service, port_name, port);
        Self {
            host,
            port,
            subset,
            order,
            plane,
            service,
            rule,
            policy,
            setting,
            terms,
            delivery,
            supply,
            selected,
            lacks_subset: choice.is_lacking,
            open: choice.open,
        }
    }

    /// What it is for.
    pub fn asked(&self) -> Asked<'m> {
        Asked { host: self.host, port: self.port, subset: self.subset }
    }

    /// What the subset and the port select.
    pub fn pools(&self) -> impl Iterator<Item = &Pool<'m>> {
        self.selected.iter().map(|&i| &self.supply.pools[i])
    }

    /// The clusters of that.
    pub fn clusters(&self) -> BTreeSet<ClusterId> {
        self.pools().map(|pool| pool.cluster).collect()
    }

    /// Whether none of its endpoints is known, and the input does not tell where they are or whether there
    /// are any: that is not the same as none.
    pub fn is_unseen(&self) -> bool {
        let hides = |unknown: &Unknown<'_>| !matches!(unknown, Unknown::Assumed(_));
        self.delivery == Delivery::Balanced
            && self.pools().next().is_none()
            && self.supply.unknown.iter().any(hides)
    }

    /// How often a request is really tried again: by a hash a retry finds the same host.
    pub(super) fn retries(&self, asked: u32) -> u32 {
        let hashes = self.policy.load_balancer.get().is_some_and(|lb| lb.consistent_hash.is_some());
        if hashes { 0 } else { asked }
    }

    /// Whether there is certainly an endpoint where a condition holds.
    pub fn has_endpoint(&self, at: impl Fn(&Pool<'m>) -> bool) -> bool {
        let certain = |pool: &Pool<'_>| pool.bounds.least > 0 && pool.health == Health::Healthy;
        self.pools().any(|pool| certain(pool) && at(pool))
    }

    /// The port of the pods behind the destination, where its number is told: by the pods' own Service,
    /// whose port has the same name.
    pub fn port_of(&self, pool: &Pool<'m>) -> Option<u16> {
        let own = pool.service?;
        let name = self.service.and_then(|service| port_name(service, self.port));
        let port = own.ports.iter().find(|port| match name {
            Some(name) => value(port.name.as_ref()).unwrap_or_default() == name,
            None => port.port.as_ref().is_some_and(|port| u32::from(port.value) == self.port),
        })?;
        port.target()
    }

    /// The rule that applies.
    pub fn applied(&self) -> Option<&AppliedRule<'m>> {
        self.rule.rule.as_ref()
    }

    /// What may bring a DestinationRule of the host's namespace, where none is known.
    fn unseen_rule<'s>(&self, mesh: &'s Mesh) -> Option<&'s clusters::Supply> {
        let namespace = self.service?.namespace.as_str();
        let none = self.applied().is_none() && !mesh.cluster(self.plane).is_complete();
        let mut supplies = mesh.supplies(self.plane).iter().filter(|_| none);
        supplies.find(|supply| supply.may_bring("DestinationRule", namespace))
    }

    /// Why the shares are not sure; empty where they are.
    pub fn doubts(&self, mesh: &Mesh) -> Vec<Step> {
        let mut doubts: Vec<Step> = self.supply.unknown.iter().map(|u| doubt(mesh, *u)).collect();
        if let Some(supply) = self.unseen_rule(mesh) {
            let text = format!("{} may bring a DestinationRule for it", supply.what);
            doubts.push(Step::new(text, supply.at));
        }
        if !self.rule.by_labels.is_empty() {
            let span = self.rule.by_labels[0].parts.first().map(|part| part.named_at());
            doubts.push(Step::new("clients with certain labels get another DestinationRule", span));
        }
        if self.policy.is_unread {
            let part = self.applied().and_then(|rule| rule.parts.first());
            doubts.push(Step::new(
                "a part of the policy could not be read",
                part.map(|part| part.named_at()),
            ));
        }
        if let Some(told) = self.routes_by_zone(mesh) {
            doubts.push(Step::new("Envoy evens out zones by itself", told.span));
        }
        if let Some(text) = self.open {
            let text_of = format!("a pipeline is still to fill in `{text}`");
            doubts.push(Step::new(text_of, text.span));
        }
        if let Setting::Unknown(text) = self.setting {
            doubts.push(Step::new("a pipeline is still to fill in what decides", text.span));
        }
        let assumed = self.applied().into_iter().flat_map(|rule| &rule.parts);
        if let Some(part) = assumed.copied().find(|part| mesh.is_assumed(&part.meta)) {
            doubts.push(Step::new(
                format!("it is not sure that DestinationRule `{}` is applied", part.name()),
                part.named_at(),
            ));
        }
        doubts
    }
}

impl Destination<'_> {
    /// What makes Envoy even out zones beside all that istiod says: proxies that are told of their own
    /// workload's zones, where a level has several and nothing stops that.
    fn routes_by_zone<'m>(&self, mesh: &'m Mesh) -> Option<&'m Text> {
        let several =
            matches!(self.terms.preference, Preference::None | Preference::ZoneAware { .. });
        let untouched =
            several && self.delivery == Delivery::Balanced && self.terms.zones != ZoneRouting::Off;
        let mut configs = mesh.mesh_configs(self.plane).filter(|_| untouched);
        configs
            .find_map(|config| config.default_config.proxy_metadata.get(SELF_DISCOVERY))
            .filter(|told| told.as_str() == "true")
    }
}

fn doubt(mesh: &Mesh, unknown: Unknown<'_>) -> Step {
    match unknown {
        Unknown::Pods(service) => {
            let cluster = mesh.cluster_name(service.cluster);
            let text =
                format!("no workload of `{}` is in the input for `{cluster}`", service.name());
            Step::new(text, service.named_at())
        }
        Unknown::Zones { name, cluster, span } => {
            let cluster = mesh.cluster_name(cluster);
            Step::new(format!("nobody tells in which zones `{name}` runs in `{cluster}`"), span)
        }
        Unknown::Selected(span) => Step::new(
            "a ServiceEntry takes endpoints by a selector, and none is in the input",
            span,
        ),
        Unknown::Assumed(span) => {
            Step::new("it is not sure that this text is what is applied", span)
        }
    }
}

fn terms<'m>(policy: &Policy<'m>, of_cluster: &Policy<'m>, setting: Setting<'m>) -> Terms<'m> {
    let has_outlier_detection = policy.outlier_detection.get().is_some();
    let preference = match setting {
        Setting::Off { .. } | Setting::ZoneAwareOff { .. } | Setting::Unknown(_) => {
            Preference::None
        }
        Setting::Locality { setting, .. } => {
            Preference::of_locality(setting, has_outlier_detection)
        }
        Setting::ZoneAware { setting, .. } => Preference::of_zone_aware(setting),
        Setting::TrafficDistribution { prefers, .. } => {
            Preference::Failover { labels: prefers.keys().to_vec(), regions: &[] }
        }
        Setting::Default => Preference::of_default(has_outlier_detection),
    };
    let outliers = of_cluster.outlier_detection.get().map(|od| &od.value);
    let min_health = outliers.and_then(|od| od.min_health_percent.as_ref()).map_or(0, |m| m.value);
    let zones = match setting {
        Setting::ZoneAwareOff { .. } => ZoneRouting::Off,
        Setting::ZoneAware { setting, .. } => {
            ZoneRouting::On(setting.min_cluster_size.as_ref().map(|size| size.value))
        }
        _ => ZoneRouting::Untold,
    };
    Terms {
        preference,
        filter: Filter::default(),
        zones,
        panic_threshold: min_health,
        max_ejection: outliers
            .filter(|od| Counters::of(od).ejects_the_silent())
            .map(OutlierDetection::max_ejection),
    }
}

impl Terms<'_> {
    /// Takes in which endpoints that are not ready are sent, and when Envoy no longer heeds that.
    ///
    /// Where it is told of them, only the policy of the rule asks for a share of healthy ones; Envoy's
    /// own half is not to count then.
    fn take_health<'m>(
        &mut self,
        mesh: &'m Mesh,
        plane: ClusterId,
        policy: &Policy<'m>,
        service: Option<&'m In<Service>>,
    ) {
        let forced = Setting::of_service(mesh, plane, service);
        let forced = matches!(forced, Some(Setting::TrafficDistribution { .. }))
            || mesh.sends_unready(plane, u32::MAX);
        let asked = policy.outlier_detection.get().and_then(|od| od.min_health_percent.as_ref());
        let asked = asked.map_or(0, |percent| percent.value);
        self.filter.send_unhealthy = forced || mesh.sends_unready(plane, asked);
        self.filter.send_draining = service.is_some_and(|s| keeps_sessions(&s.meta));
        if forced {
            self.panic_threshold = 0;
        }
    }
}

/// The name of a Service's port; empty where it has none.
fn port_name(service: &In<Service>, port: u32) -> Option<&str> {
    let found =
        service.ports.iter().find(|p| p.port.as_ref().is_some_and(|p| u32::from(p.value) == port));
    found.map(|port| value(port.name.as_ref()).unwrap_or_default())
}

/// The subset that a route names, as far as it is known.
struct Choice<'m> {
    subset: Option<Subset<'m>>,
    /// Whether the rule that applies has certainly no such subset.
    is_lacking: bool,
    /// What is still to be filled in: a name, or what the subset selects.
    open: Option<&'m Text>,
}

impl<'m> Choice<'m> {
    fn of(rule: Option<&AppliedRule<'m>>, name: Option<&'m Text>) -> Self {
        let subset = name.and_then(|name| rule?.subset(name));
        let is_open = |text: &&'m Text| is_placeholder(text);
        let names = || rule.into_iter().flat_map(AppliedRule::subsets).map(|s| s.name);
        let open = match (name, subset) {
            (None, _) => None,
            (Some(name), None) => [name].into_iter().chain(names()).find(is_open),
            (_, Some(subset)) => {
                let labels = subset.subset.labels.iter();
                labels.flat_map(|(key, want)| [key, want]).find(is_open)
            }
        };
        let is_lacking = name.is_some() && subset.is_none() && open.is_none();
        Self { subset, is_lacking, open }
    }
}

/// What a subset and a port select: endpoints of other clusters are matched by the port's name, as
/// their own Service has it. Of what a pipeline may yet make the subset select, there may be none.
/// Source: `endpoint_builder.go`, `BuildClusterLoadAssignment`.
fn selected<'m>(
    mut supply: Arc<Supply<'m>>,
    subset: Option<Subset<'_>>,
    service: Option<&In<Service>>,
    name: Option<&str>,
    port: u32,
) -> (Vec<usize>, Arc<Supply<'m>>) {
    let serves = |pool: &Pool<'_>| match (pool.service, name) {
        (Some(own), Some(name)) if !service.is_some_and(|s| std::ptr::eq(s, own)) => {
            let named = |p: &crate::kinds::core::ServicePort| {
                value(p.name.as_ref()).unwrap_or_default() == name
            };
            // A port without a name stands alone.
            own.ports.iter().any(|p| named(p) && (!name.is_empty() || own.ports.len() == 1))
        }
        (Some(own), None) => port_name(own, port).is_some(),
        _ => true,
    };
    let (mut selected, mut open) = (Vec::new(), Vec::new());
    for (i, pool) in supply.pools.iter().enumerate().filter(|(_, pool)| serves(pool)) {
        match is_in(pool, subset) {
            Some(false) => {}
            Some(true) => selected.push(i),
            None => {
                selected.push(i);
                open.push(i);
            }
        }
    }
    if !open.is_empty() {
        let pools = &mut Arc::make_mut(&mut supply).pools;
        for i in open {
            pools[i].bounds.least = 0;
            pools[i].total.least = 0;
        }
    }
    (selected, supply)
}

/// Whether a subset selects endpoints; `None` where a label is still to be filled in.
fn is_in(pool: &Pool<'_>, subset: Option<Subset<'_>>) -> Option<bool> {
    let mut sure = true;
    for (key, want) in subset.into_iter().flat_map(|s| &s.subset.labels) {
        let has = pool.identity.label(key);
        if [key.as_str(), want, has].into_iter().any(is_placeholder) {
            sure = false;
        } else if has != want.as_str() {
            return Some(false);
        }
    }
    sure.then_some(true)
}

impl Destination<'_> {
    /// The place that decides how localities count, for a report: the setting, or what is missing.
    pub fn decided_at(&self) -> Option<Span> {
        match self.setting {
            Setting::Off { enabled, .. } | Setting::ZoneAwareOff { enabled, .. } => {
                Some(enabled.span)
            }
            Setting::Locality { setting, .. } => Some(setting.span),
            Setting::ZoneAware { setting, .. } => Some(setting.span),
            Setting::TrafficDistribution { told, .. } | Setting::Unknown(told) => Some(told.span),
            Setting::Default => {
                self.applied().and_then(|rule| rule.parts.first()).map(|part| part.named_at())
            }
        }
    }
}

//! The policies that are in effect: for each host that a DestinationRule is for, and each port and
//! subset of it, what is left after all merging and replacing.

use std::collections::{BTreeMap, BTreeSet};

use super::Traffic;
use super::assignment::Preference;
use super::delivery::Delivery;
use super::distribution::{self, Asked};
use super::policy::{Missing, Policy};
use super::setting::Setting;
use super::view::View;
use crate::clusters::ClusterId;
use crate::kinds::core::Service;
use crate::kinds::networking::{
    DestinationRule, LoadBalancer, LocalityLb, OutlierDetection, PortPolicy, TrafficPolicy,
    ZoneAwareLb,
};
use crate::mesh::{
    AppliedRule, Choice, Client, Host, HostPattern, In, Mesh, NETWORK_LABEL, REGION_LABEL, Route,
    Subset, ZONE_LABEL, fqdn, short,
};
use crate::source::{Span, Spanned, Text};

/// What holds for requests to one host, subset and port.
#[derive(Clone, Debug)]
pub struct EffectivePolicy<'m> {
    /// The rule, merged as istiod does it.
    pub rule: AppliedRule<'m>,
    /// The cluster whose control plane reads it.
    pub control_plane: ClusterId,
    /// The host, where the input has it. A rule for a pattern has one policy for each host that gets
    /// it, and one without where there is none.
    pub host: Option<Host<'m>>,
    /// The subset; none for requests to the host itself.
    pub subset: Option<Subset<'m>>,
    /// The port; none for all ports that no policy names.
    pub port: Option<Spanned<u32>>,
    /// What is set, and what is not and why.
    pub policy: Policy<'m>,
    /// The Service whose fields count, where it is known.
    pub service: Option<&'m In<Service>>,
    /// The locality setting that counts; none where nobody can tell.
    pub setting: Option<Setting<'m>>,
    /// How requests get to the endpoints.
    pub delivery: Delivery,
    /// Whether what applies is what is written here, and all of it could be read.
    pub is_certain: bool,
    /// Whether the control plane knows zone-aware routing.
    knows_zone_aware: bool,
}

/// How endpoints are laid out for a client.
#[derive(Clone, Copy, Debug)]
pub enum Layout<'m> {
    /// Nobody can tell.
    Unknown,
    /// Region and zone count for nothing, or for something that is not looked into.
    Other,
    /// The own zone first, then the region: by this setting, or by a Service or the built-in one.
    OwnZoneFirst(Option<&'m Spanned<LocalityLb>>),
    /// Weights by locality.
    Weights(&'m Spanned<LocalityLb>),
}

impl<'m> EffectivePolicy<'m> {
    /// The rule that it stands in: the subset's, else that of the policy for all.
    pub fn written_in(&self) -> &'m In<DestinationRule> {
        let whole = || self.rule.traffic_policy().map(|(rule, _)| rule);
        self.subset.map(|s| s.rule).or_else(whole).unwrap_or(self.rule.parts[0])
    }

    /// Whether it is of the rule that a client gets, and that one is certain.
    pub fn is_of(&self, choice: &Choice<'m>) -> bool {
        let rule = choice.rule.as_ref().filter(|_| !choice.order_decides);
        rule.is_some_and(|rule| std::ptr::eq(rule.parts[0], self.rule.parts[0]))
    }

    /// The full name of the rule's host, or its pattern.
    pub fn pattern(&self) -> String {
        host_of(self.rule.parts[0]).unwrap_or_default()
    }

    /// The full name of the host; the rule's pattern where no host is known.
    pub fn host_name(&self) -> String {
        self.host.map_or_else(|| self.pattern(), |host| host.name.to_owned())
    }

    /// `cart.shop`, and the subset where it is for one; what the rule is for, not just this host.
    pub fn target(&self) -> String {
        self.called(&self.pattern())
    }

    /// The same of this host alone.
    pub fn at_host(&self) -> String {
        self.called(&self.host_name())
    }

    fn called(&self, host: &str) -> String {
        match self.subset {
            Some(subset) => format!("subset `{}` of `{}`", subset.name, short(host)),
            None => format!("`{}`", short(host)),
        }
    }

    /// ` on port 8080`, where it is for one.
    pub fn on_port(&self) -> String {
        self.port.map_or_else(String::new, |port| format!(" on port {port}"))
    }

    /// How an endpoint is chosen.
    pub fn load_balancer(&self) -> Option<&'m Spanned<LoadBalancer>> {
        self.policy.load_balancer.get()
    }

    /// When an endpoint is ejected, as far as endpoints are laid out by it.
    pub fn outliers(&self) -> Option<&'m Spanned<OutlierDetection>> {
        self.policy.outlier_detection.get()
    }

    /// Outlier detection that the port would have if no entry named it.
    pub fn dropped(&self) -> Option<Span> {
        match self.policy.outlier_detection.missing()? {
            Missing::PortReplaces { hidden, .. } => hidden,
            _ => None,
        }
    }

    /// The policy's own zone-aware routing, switched off or not: it goes before all else.
    pub fn zone_aware(&self) -> Option<&'m Spanned<ZoneAwareLb>> {
        let setting = self.load_balancer()?.value.zone_aware_lb_setting.as_ref();
        setting.filter(|_| self.knows_zone_aware)
    }

    /// The policy's own locality setting that counts, switched off or not.
    pub fn locality(&self) -> Option<&'m Spanned<LocalityLb>> {
        let setting = self.load_balancer()?.value.locality_lb_setting.as_ref();
        setting.filter(|_| self.zone_aware().is_none())
    }

    /// The policy's own locality setting that counts and is switched on.
    pub fn enabled_locality(&self) -> Option<&'m Spanned<LocalityLb>> {
        self.locality().filter(|l| l.value.is_enabled())
    }

    /// Whether its own setting does nothing but switch locality load balancing off.
    pub fn is_switched_off(&self) -> bool {
        let off = |s: Setting<'_>| matches!(s, Setting::Off { .. } | Setting::ZoneAwareOff { .. });
        self.setting.is_some_and(|setting| off(setting) && !setting.is_of_mesh())
    }

    /// Whether Envoy chooses an endpoint, so that policy and locality count.
    pub fn is_balanced(&self) -> bool {
        self.delivery == Delivery::Balanced
    }

    /// How the endpoints are laid out, outlier detection taken into account.
    pub fn layout(&self) -> Layout<'m> {
        let ranks = self.outliers().is_some();
        match self.setting {
            None | Some(Setting::Unknown(_)) => Layout::Unknown,
            Some(Setting::Locality { setting, .. }) => {
                match Preference::of_locality(setting, ranks) {
                    Preference::Distribute(_) => Layout::Weights(setting),
                    Preference::Failover { labels, .. } if is_by_zone(&labels) => {
                        Layout::OwnZoneFirst(Some(setting))
                    }
                    _ => Layout::Other,
                }
            }
            Some(Setting::TrafficDistribution { prefers, .. }) if is_by_zone(prefers.keys()) => {
                Layout::OwnZoneFirst(None)
            }
            Some(Setting::Default) if ranks => Layout::OwnZoneFirst(None),
            Some(_) => Layout::Other,
        }
    }

    /// The same, as if a MeshConfig that is not in the input left locality load balancing on.
    pub fn likely_layout(&self) -> Layout<'m> {
        let by_default = self.assumes_mesh_config() && self.outliers().is_some();
        if by_default { Layout::OwnZoneFirst(None) } else { self.layout() }
    }

    /// Whether the likely layout rests on a MeshConfig that is not in the input.
    pub fn assumes_mesh_config(&self) -> bool {
        self.setting.is_none() && self.service.is_some()
    }

    /// What the Service asks for, whether that counts or not; fails where a pipeline decides.
    pub fn asked(&self, mesh: &'m Mesh) -> Result<Option<Asked<'m>>, &'m Text> {
        self.service.map_or(Ok(None), |s| distribution::asked(mesh, self.control_plane, s))
    }

    /// Its endpoints for the clients of each network; nothing where some of them cannot be seen.
    pub fn views(&self, traffic: &Traffic<'m>) -> Vec<View<'m>> {
        let views = self.host.map(|host| traffic.views(host, self.control_plane, self.subset));
        views.unwrap_or_default()
    }
}

/// Whether labels rank endpoints by zone and nothing narrower; without any, nearness does.
fn is_by_zone(labels: &[&str]) -> bool {
    let places = [NETWORK_LABEL, REGION_LABEL, ZONE_LABEL];
    labels.is_empty()
        || labels.iter().all(|key| places.contains(key)) && labels.contains(&ZONE_LABEL)
}

/// The full name of a rule's host, or its pattern.
pub fn host_of(rule: &In<DestinationRule>) -> Option<String> {
    Some(fqdn(rule.host.as_ref()?, &rule.namespace))
}

/// The port an entry is for.
pub fn number(entry: &PortPolicy) -> Option<Spanned<u32>> {
    entry.port.as_ref()?.number
}

/// All policies of all rules. One that no request can meet is left out, as far as the input tells.
pub(super) fn policies(mesh: &Mesh) -> Vec<EffectivePolicy<'_>> {
    let routes = mesh.routes_by_host();
    let backends: BTreeSet<(ClusterId, String)> =
        mesh.attached_routes().map(|route| (route.service.cluster, route.host)).collect();
    let mut found = Vec::new();
    for rule in mesh.applied_rules() {
        let Some(name) = host_of(rule.parts[0]) else { continue };
        let hosts: Vec<Option<Host<'_>>> = if HostPattern(&name).is_wildcard() {
            covered(mesh, &rule, &name).into_iter().map(Some).collect()
        } else {
            vec![mesh.host(&name)]
        };
        let hosts = if hosts.is_empty() { vec![None] } else { hosts };
        for host in hosts {
            let name = host.map_or(name.as_str(), |host| host.name);
            let routes = routes.get(name).map_or(&[][..], Vec::as_slice);
            let ground = Ground::of(mesh, &rule, host);
            let is_backend = backends.contains(&(ground.control_plane, name.to_owned()));
            found.extend(ground.policies(routes, is_backend));
        }
    }
    found
}

/// The hosts for which some client gets a rule for a pattern: one in the namespace of the host, or of
/// the rule.
fn covered<'m>(mesh: &'m Mesh, rule: &AppliedRule<'m>, pattern: &str) -> Vec<Host<'m>> {
    let part = rule.parts[0];
    let gets = |host: &Host<'m>| {
        let entry = host.entries().find(|e| e.cluster == part.cluster);
        let namespace = host.namespace().or(entry.map(|e| e.namespace.as_str()));
        let clients = namespace.into_iter().chain([part.namespace.as_str()]);
        clients.into_iter().any(|namespace_of_client| {
            let client = Client::of(part.cluster, namespace_of_client);
            let choice = mesh.choose_rule(&client, host.name, namespace, part.cluster);
            choice.possible().any(|other| std::ptr::eq(other.parts[0], part))
        })
    };
    let in_mesh = |host: &Host<'m>| {
        host.services_of_mesh(part.cluster).next().is_some()
            || host.entries().any(|e| e.cluster == part.cluster)
    };
    let matching = mesh.hosts().filter(|host| HostPattern(pattern).matches(host.name));
    matching.filter(in_mesh).filter(gets).collect()
}

/// What the policies of a rule for one host have in common.
struct Ground<'r, 'm> {
    mesh: &'m Mesh,
    rule: &'r AppliedRule<'m>,
    control_plane: ClusterId,
    host: Option<Host<'m>>,
    service: Option<&'m In<Service>>,
    is_certain: bool,
}

impl<'r, 'm> Ground<'r, 'm> {
    fn of(mesh: &'m Mesh, rule: &'r AppliedRule<'m>, host: Option<Host<'m>>) -> Self {
        let control_plane = rule.parts[0].cluster;
        let assumed = rule.parts.iter().any(|part| mesh.is_assumed(&part.meta));
        Self {
            mesh,
            rule,
            control_plane,
            host,
            service: host.and_then(|h| h.certain_service_for(control_plane)),
            is_certain: !assumed && !rule.is_order_dependent(),
        }
    }

    /// Its policies. That for the host itself is met by no request where all routes name subsets.
    fn policies(&self, routes: &[Route<'_>], is_backend: bool) -> Vec<EffectivePolicy<'m>> {
        let here: Vec<_> =
            routes.iter().filter(|r| r.service.cluster == self.control_plane).collect();
        let only_subsets = !is_backend
            && here.iter().any(|r| r.service.is_for_mesh())
            && here.iter().all(|r| r.subset().is_some());
        let base = self.rule.traffic_policy();
        let whole = (base.is_some() && !only_subsets).then_some(None).into_iter();
        let ports = self.ports();
        let subsets = whole.chain(self.rule.subsets().into_iter().map(Some));
        subsets.flat_map(|subset| self.of_subset(subset, ports.as_ref())).collect()
    }

    /// The ports of the host; `None` where not all of them are known.
    fn ports(&self) -> Option<BTreeSet<u32>> {
        let host = self.host.filter(|host| host.entries().next().is_none())?;
        let mut found = BTreeSet::new();
        for service in host.services_of_mesh(self.control_plane) {
            if self.mesh.is_assumed(&service.meta) || service.ports.iter().any(|p| p.port.is_none())
            {
                return None;
            }
            let ports = service.ports.iter().filter_map(|p| p.port.as_ref());
            found.extend(ports.map(|p| u32::from(p.value)));
        }
        Some(found).filter(|found| !found.is_empty())
    }

    /// The policies of a subset, or of the host itself: of the ports that have an entry, and of all
    /// others.
    fn of_subset(
        &self,
        subset: Option<Subset<'m>>,
        ports: Option<&BTreeSet<u32>>,
    ) -> Vec<EffectivePolicy<'m>> {
        let base = self.rule.traffic_policy().map(|(_, policy)| policy);
        let own = subset.and_then(|s| s.subset.traffic_policy.as_ref());
        let entries = |policy: &'m Spanned<TrafficPolicy>| policy.port_level_settings.iter();
        let mut named: BTreeMap<u32, Spanned<u32>> = BTreeMap::new();
        for port in own.into_iter().chain(base).flat_map(entries).filter_map(number) {
            named.entry(port.value).or_insert(port);
        }
        let others = ports.is_none_or(|all| all.iter().any(|port| !named.contains_key(port)));
        let named = named.into_values().filter(|n| ports.is_none_or(|all| all.contains(&n.value)));
        let others = others.then_some(None).into_iter();
        others.chain(named.map(Some)).map(|port| self.policy(subset, port)).collect()
    }

    fn policy(
        &self,
        subset: Option<Subset<'m>>,
        port: Option<Spanned<u32>>,
    ) -> EffectivePolicy<'m> {
        let (mesh, control_plane) = (self.mesh, self.control_plane);
        let name = subset.map(|s| s.name.as_str());
        let policy = Policy::of(Some(self.rule), name, port.map(|port| port.value));
        let setting = Setting::of(mesh, control_plane, &policy, self.service);
        let known = self.service.is_some() && mesh.knows_mesh_config(control_plane);
        let entry = self.host.filter(|host| host.services().next().is_none());
        let entry = entry.and_then(|h| h.entries().find(|e| e.cluster == control_plane));
        let unread =
            entry.is_some_and(|e| e.meta.is_unread("spec.resolution") || mesh.is_assumed(&e.meta));
        EffectivePolicy {
            rule: self.rule.clone(),
            control_plane,
            host: self.host,
            subset,
            port,
            service: self.service,
            setting: Some(setting).filter(|setting| known || !setting.is_of_mesh()),
            delivery: Delivery::of(&policy, self.service, entry.filter(|_| !unread)),
            is_certain: self.is_certain && !policy.is_unread && !unread,
            knows_zone_aware: mesh.knows_zone_aware(control_plane),
            policy,
        }
    }
}

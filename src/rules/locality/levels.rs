//! The policies of DestinationRules as clients get them: for the host, each port, each subset, each
//! port of a subset.

use std::collections::{BTreeMap, BTreeSet};

use crate::clusters::ClusterId;
use crate::kinds::networking::{
    DestinationRule, LoadBalancer, LocalityLb, OutlierDetection, TrafficPolicy, ZoneAwareLb,
};
use crate::mesh::{Host, In, Mesh, Route, Subset, fqdn, short, subsets_of};
use crate::source::Spanned;

/// What holds for one port of one subset, after all replacements.
#[derive(Clone, Copy)]
pub(super) struct Level<'m> {
    /// The rule.
    pub(super) rule: &'m In<DestinationRule>,
    /// The subset; none for requests to the host itself.
    pub(super) subset: Option<Subset<'m>>,
    /// The port; none for all ports that no policy names.
    pub(super) port: Option<Spanned<u32>>,
    /// Whether the control plane knows zone-aware routing.
    knows_zone_aware: bool,
    /// How an endpoint is chosen.
    pub(super) load_balancer: Option<&'m Spanned<LoadBalancer>>,
    /// When an endpoint is ejected.
    pub(super) outliers: Option<&'m Spanned<OutlierDetection>>,
    /// Outlier detection that the port would have if no policy named it.
    pub(super) dropped: Option<&'m Spanned<OutlierDetection>>,
}

impl<'m> Level<'m> {
    /// The cluster whose control plane reads it.
    pub(super) fn control_plane(&self) -> ClusterId {
        self.rule.cluster
    }

    /// The full name of the host, or a pattern.
    pub(super) fn host_name(&self) -> String {
        host_of(self.rule).unwrap_or_default()
    }

    /// The host, where the rule is for one alone and the input has it.
    pub(super) fn host(&self, mesh: &'m Mesh) -> Option<Host<'m>> {
        mesh.host(&self.host_name())
    }

    /// `cart.shop`, and the subset where it is for one.
    pub(super) fn target(&self) -> String {
        let host = self.host_name();
        match self.subset {
            Some(subset) => format!("subset `{}` of `{}`", subset.name, short(&host)),
            None => format!("`{}`", short(&host)),
        }
    }

    /// ` on port 8080`, where it is for one.
    pub(super) fn on_port(&self) -> String {
        self.port.map_or_else(String::new, |port| format!(" on port {port}"))
    }

    /// Zone-aware routing, switched off or not: it goes before all else.
    pub(super) fn zone_aware(&self) -> Option<&'m Spanned<ZoneAwareLb>> {
        let setting = self.load_balancer?.value.zone_aware_lb_setting.as_ref();
        setting.filter(|_| self.knows_zone_aware)
    }

    /// The locality setting that counts, switched off or not.
    pub(super) fn locality(&self) -> Option<&'m Spanned<LocalityLb>> {
        let setting = self.load_balancer?.value.locality_lb_setting.as_ref();
        setting.filter(|_| self.zone_aware().is_none())
    }

    /// The locality setting that counts and is switched on.
    pub(super) fn enabled_locality(&self) -> Option<&'m Spanned<LocalityLb>> {
        self.locality().filter(|l| l.value.is_enabled())
    }
}

/// The full name of a rule's host, or its pattern.
pub(super) fn host_of(rule: &In<DestinationRule>) -> Option<String> {
    Some(fqdn(rule.host.as_ref()?, &rule.namespace))
}

/// All levels of all rules. A level that no request can meet is left out, as far as the input tells.
pub(super) fn levels(mesh: &Mesh) -> Vec<Level<'_>> {
    let routes = mesh.routes_by_host();
    let mut siblings: BTreeMap<_, Vec<&In<DestinationRule>>> = BTreeMap::new();
    for rule in &mesh.destination_rules {
        siblings.entry(identity(rule)).or_default().push(rule);
    }
    let mut found = Vec::new();
    for rule in &mesh.destination_rules {
        let Some(host) = host_of(rule) else { continue };
        let same = siblings.get(&identity(rule)).map_or(&[][..], Vec::as_slice);
        let base = base_policy(rule, same);
        let ports = ports(mesh, rule.cluster, &host);
        let routes = routes.get(&host).map_or(&[][..], Vec::as_slice);
        let whole = rule.traffic_policy.is_some() && !is_only_routed_to_subsets(rule, routes);
        let whole = whole.then_some(None).into_iter();
        let knows_zone_aware = mesh.knows_zone_aware(rule.cluster);
        for subset in whole.chain(subsets_of(rule).map(Some)) {
            found.extend(levels_of(rule, base, subset, ports.as_ref(), knows_zone_aware));
        }
    }
    found
}

type Identity = (ClusterId, String, Option<String>);

fn identity(rule: &In<DestinationRule>) -> Identity {
    (rule.cluster, rule.namespace.clone(), host_of(rule))
}

/// The other rules of a control plane and namespace for the same host: Istio may merge them.
pub(super) fn siblings<'m>(
    mesh: &'m Mesh,
    rule: &'m In<DestinationRule>,
) -> impl Iterator<Item = &'m In<DestinationRule>> {
    let same = move |r: &&In<DestinationRule>| {
        r.cluster == rule.cluster
            && r.namespace == rule.namespace
            && !r.is_same_text(rule)
            && host_of(r) == host_of(rule)
    };
    mesh.destination_rules.iter().filter(same)
}

/// The policy for the whole host: the rule's own, or that of the one it is merged with.
/// Source: `destination_rule.go`, `mergeDestinationRule`.
fn base_policy<'m>(
    rule: &'m In<DestinationRule>,
    same: &[&'m In<DestinationRule>],
) -> Option<&'m TrafficPolicy> {
    if let Some(own) = &rule.traffic_policy {
        return Some(&own.value);
    }
    let alike = same.iter().filter(|r| r.workload_selector.is_none());
    let mut policies = alike.filter_map(|r| r.traffic_policy.as_ref());
    match (policies.next(), policies.next()) {
        (Some(only), None) if rule.workload_selector.is_none() => Some(&only.value),
        _ => None,
    }
}

/// Whether VirtualServices lead all requests to subsets.
fn is_only_routed_to_subsets(rule: &In<DestinationRule>, routes: &[Route<'_>]) -> bool {
    let here: Vec<_> = routes.iter().filter(|r| r.service.cluster == rule.cluster).collect();
    here.iter().any(|r| r.service.is_for_mesh()) && here.iter().all(|r| r.subset().is_some())
}

/// The ports of a host; `None` where not all of them are known.
fn ports(mesh: &Mesh, control_plane: ClusterId, host: &str) -> Option<BTreeSet<u32>> {
    let host = mesh.host(host)?;
    if host.entries().next().is_some() {
        return None;
    }
    let mut found = BTreeSet::new();
    for service in host.services_of_mesh(control_plane) {
        if mesh.is_assumed(&service.meta) || service.ports.iter().any(|p| p.port.is_none()) {
            return None;
        }
        found.extend(
            service.ports.iter().filter_map(|p| p.port.as_ref()).map(|p| u32::from(p.value)),
        );
    }
    Some(found).filter(|found| !found.is_empty())
}

/// The two parts of a policy that matter here, and whether they are a port's own.
#[derive(Clone, Copy)]
struct Parts<'m> {
    load_balancer: Option<&'m Spanned<LoadBalancer>>,
    outliers: Option<&'m Spanned<OutlierDetection>>,
    of_port: bool,
}

/// A port's entry replaces the whole policy: what it leaves out is not there.
/// Source: `networking/util/util.go`, `GetPortLevelTrafficPolicy`.
fn parts(policy: &TrafficPolicy, port: Option<u32>) -> Parts<'_> {
    let number = |p: &crate::kinds::networking::PortPolicy| number(p).map(|n| n.value);
    let entry = policy.port_level_settings.iter().find(|p| port.is_some() && number(p) == port);
    match entry {
        Some(entry) => Parts {
            load_balancer: entry.load_balancer.as_ref(),
            outliers: entry.outlier_detection.as_ref(),
            of_port: true,
        },
        None => Parts {
            load_balancer: policy.load_balancer.as_ref(),
            outliers: policy.outlier_detection.as_ref(),
            of_port: false,
        },
    }
}

/// The port an entry is for.
pub(super) fn number(entry: &crate::kinds::networking::PortPolicy) -> Option<Spanned<u32>> {
    entry.port.as_ref()?.number
}

/// The levels of a subset, or of the host itself.
fn levels_of<'m>(
    rule: &'m In<DestinationRule>,
    base: Option<&'m TrafficPolicy>,
    subset: Option<Subset<'m>>,
    ports: Option<&BTreeSet<u32>>,
    knows_zone_aware: bool,
) -> Vec<Level<'m>> {
    let own = subset.and_then(|s| s.subset.traffic_policy.as_ref()).map(|p| &p.value);
    let entries = own.into_iter().chain(base).flat_map(|p| &p.port_level_settings);
    let mut named: Vec<Spanned<u32>> = entries.filter_map(number).collect();
    named.sort_by_key(|n| n.value);
    named.dedup_by_key(|n| n.value);
    let others = ports.is_none_or(|all| all.iter().any(|p| named.iter().all(|n| n.value != *p)));
    named.retain(|n| ports.is_none_or(|all| all.contains(&n.value)));
    let unnamed = merged(base, own, None).outliers;
    let level = |port: Option<Spanned<u32>>| {
        let Parts { load_balancer, outliers, .. } = merged(base, own, port.map(|p| p.value));
        let dropped = unnamed.filter(|_| port.is_some() && outliers.is_none());
        Level { rule, subset, port, knows_zone_aware, load_balancer, outliers, dropped }
    };
    let others = others.then_some(None).into_iter();
    others.chain(named.into_iter().map(Some)).map(level).collect()
}

/// Whole blocks of a subset replace whole blocks.
/// Source: `networking/util/util.go`, `MergeSubsetTrafficPolicy`.
fn merged<'m>(
    base: Option<&'m TrafficPolicy>,
    own: Option<&'m TrafficPolicy>,
    port: Option<u32>,
) -> Parts<'m> {
    match (base.map(|p| parts(p, port)), own.map(|p| parts(p, port))) {
        (None, None) => Parts { load_balancer: None, outliers: None, of_port: false },
        (Some(only), None) | (None, Some(only)) => only,
        (Some(_), Some(own)) if own.of_port => own,
        (Some(base), Some(own)) => Parts {
            load_balancer: own.load_balancer.or(base.load_balancer),
            outliers: own.outliers.or(base.outliers),
            of_port: base.of_port,
        },
    }
}

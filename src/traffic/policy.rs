//! The policy of one port and subset: what is set, at which level, and why not.
//!
//! Source: `pilot/pkg/networking/util/util.go`, `MergeSubsetTrafficPolicy` and
//! `GetPortLevelTrafficPolicy`.

use crate::clusters::ClusterId;
use crate::kinds::networking::{
    ClientTls, DestinationRule, LoadBalancer, OutlierDetection, PortPolicy, TrafficPolicy,
};
use crate::kinds::parts::Anything;
use crate::mesh::{AppliedRule, In, Mesh};
use crate::source::{Span, Spanned};

/// Where a part of a policy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// In `defaultTrafficPolicy` of MeshConfig.
    Mesh,
    /// In the rule's `trafficPolicy`.
    Rule,
    /// In `portLevelSettings` of the rule.
    RulePort,
    /// In the subset's `trafficPolicy`.
    Subset,
    /// In `portLevelSettings` of the subset.
    SubsetPort,
}

impl Level {
    /// Whether it is an entry for one port, which replaces the policy around it.
    pub fn is_port(self) -> bool {
        matches!(self, Self::RulePort | Self::SubsetPort)
    }
}

/// Why a part of a policy is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// No DestinationRule applies.
    NoRule,
    /// The rule, and the subset where there is one, has no policy at all.
    NoPolicy,
    /// A policy is there and does not set it.
    NotSet {
        /// The policy that would have it: of the subset if that has one.
        policy: Span,
        /// Its level.
        level: Level,
    },
    /// An entry for the port replaces the whole policy and does not set it.
    PortReplaces {
        /// The port of that entry.
        port: Span,
        /// The level of that entry.
        level: Level,
        /// What would have counted without the entry.
        hidden: Option<Span>,
    },
}

/// A part of a policy, or why it is not there.
#[derive(Debug)]
pub enum Part<'m, T> {
    /// It is there.
    Set {
        /// What it says.
        value: &'m Spanned<T>,
        /// Where it stands.
        level: Level,
        /// The rule it stands in; none for the mesh's own.
        rule: Option<&'m In<DestinationRule>>,
    },
    /// It is not there.
    Missing(Missing),
}

impl<T> Clone for Part<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Part<'_, T> {}

impl<'m, T> Part<'m, T> {
    /// What it says.
    pub fn get(self) -> Option<&'m Spanned<T>> {
        match self {
            Self::Set { value, .. } => Some(value),
            Self::Missing(_) => None,
        }
    }

    /// Where it stands.
    pub fn level(self) -> Option<Level> {
        match self {
            Self::Set { level, .. } => Some(level),
            Self::Missing(_) => None,
        }
    }

    /// What would count if no entry for the port were there.
    fn counting(self) -> Option<Span> {
        match self {
            Self::Set { value, .. } => Some(value.span),
            Self::Missing(Missing::PortReplaces { hidden, .. }) => hidden,
            Self::Missing(_) => None,
        }
    }

    /// Why it is not there.
    pub fn missing(self) -> Option<Missing> {
        match self {
            Self::Set { .. } => None,
            Self::Missing(why) => Some(why),
        }
    }
}

/// The policy of one port of a host, or of one of its subsets.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'m> {
    /// How an endpoint is chosen.
    pub load_balancer: Part<'m, LoadBalancer>,
    /// When an endpoint is ejected.
    pub outlier_detection: Part<'m, OutlierDetection>,
    /// TLS towards the host.
    pub tls: Part<'m, ClientTls>,
    /// Limits of connections.
    pub connection_pool: Part<'m, Anything>,
    /// A proxy that connections are tunnelled through.
    pub tunnel: Part<'m, Anything>,
    /// The PROXY protocol.
    pub proxy_protocol: Part<'m, Anything>,
    /// How many retries may be under way.
    pub retry_budget: Part<'m, Anything>,
    /// Whether something in the policy could not be read, so that what is missing may be there.
    pub is_unread: bool,
}

impl<'m> Policy<'m> {
    /// The policy that endpoints are laid out by, and that Envoy gets without a mesh-wide default:
    /// of the rule that applies (or none), for a subset of it (or none) and a port of the service (or
    /// none: for all ports that have no entry of their own).
    pub fn of(
        rule: Option<&AppliedRule<'m>>,
        subset: Option<&str>,
        port: impl Into<Option<u32>>,
    ) -> Self {
        Self::with_default(rule, subset, port, None)
    }

    /// The policy of the cluster that Envoy gets: the mesh's default fills in `connectionPool` and
    /// `outlierDetection` where the rule has none for the port, before the subset has its say.
    /// Endpoints are laid out without it. Source: `cluster_traffic_policy.go`,
    /// `applyDefaultTrafficPolicy`.
    pub fn with_default(
        rule: Option<&AppliedRule<'m>>,
        subset: Option<&str>,
        port: impl Into<Option<u32>>,
        default: Option<&'m Spanned<TrafficPolicy>>,
    ) -> Self {
        let port = port.into();
        let subset = subset.and_then(|name| rule?.subset(name));
        let base = rule.and_then(AppliedRule::traffic_policy);
        let base = base.map(|(rule, policy)| Layer::of(rule, policy, port, Level::Rule));
        let own = subset
            .and_then(|s| Some((s.rule, s.subset.traffic_policy.as_ref()?)))
            .map(|(rule, policy)| Layer::of(rule, policy, port, Level::Subset));
        let layers = Layers { has_rule: rule.is_some(), base, own, default };
        Policy {
            load_balancer: layers.part(|f| f.load_balancer),
            outlier_detection: layers.part_or(|f| f.outlier_detection, |p| &p.outlier_detection),
            tls: layers.part(|f| f.tls),
            connection_pool: layers.part_or(|f| f.connection_pool, |p| &p.connection_pool),
            tunnel: layers.kept(|p| &p.tunnel),
            proxy_protocol: layers.kept(|p| &p.proxy_protocol),
            retry_budget: layers.kept(|p| &p.retry_budget),
            is_unread: rule.is_some_and(has_unread),
        }
    }

    /// The policy of the cluster that Envoy gets from a control plane; see [`Self::with_default`].
    pub fn of_cluster(
        mesh: &'m Mesh,
        control_plane: ClusterId,
        rule: Option<&AppliedRule<'m>>,
        subset: Option<&str>,
        port: u32,
    ) -> Self {
        Self::with_default(rule, subset, port, mesh.default_traffic_policy(control_plane))
    }
}

fn has_unread(rule: &AppliedRule<'_>) -> bool {
    let places = ["spec.trafficPolicy", "spec.subsets"];
    let unread = rule.parts.iter().flat_map(|part| &part.meta.unread);
    unread.into_iter().any(|path| path == "spec" || places.iter().any(|p| path.starts_with(p)))
}

/// The parts that an entry for a port replaces.
#[derive(Clone, Copy)]
struct Fields<'m> {
    load_balancer: Option<&'m Spanned<LoadBalancer>>,
    outlier_detection: Option<&'m Spanned<OutlierDetection>>,
    tls: Option<&'m Spanned<ClientTls>>,
    connection_pool: Option<&'m Spanned<Anything>>,
}

impl<'m> Fields<'m> {
    fn of_policy(policy: &'m TrafficPolicy) -> Self {
        Self {
            load_balancer: policy.load_balancer.as_ref(),
            outlier_detection: policy.outlier_detection.as_ref(),
            tls: policy.tls.as_ref(),
            connection_pool: policy.connection_pool.as_ref(),
        }
    }

    fn of_port(policy: &'m PortPolicy) -> Self {
        Self {
            load_balancer: policy.load_balancer.as_ref(),
            outlier_detection: policy.outlier_detection.as_ref(),
            tls: policy.tls.as_ref(),
            connection_pool: policy.connection_pool.as_ref(),
        }
    }
}

/// The policy of a rule or subset as far as it counts for one port.
#[derive(Clone, Copy)]
struct Layer<'m> {
    rule: &'m In<DestinationRule>,
    policy: &'m Spanned<TrafficPolicy>,
    /// The number of the entry for the port, where there is one.
    port: Option<Span>,
    level: Level,
    fields: Fields<'m>,
}

impl<'m> Layer<'m> {
    fn of(
        rule: &'m In<DestinationRule>,
        policy: &'m Spanned<TrafficPolicy>,
        port: Option<u32>,
        level: Level,
    ) -> Self {
        let entry = policy.port_level_settings.iter().find_map(|entry| {
            let number = entry.port.as_ref()?.number.as_ref()?;
            (port == Some(number.value)).then_some((entry, number.span))
        });
        match entry {
            Some((entry, at)) => {
                let level = if level == Level::Rule { Level::RulePort } else { Level::SubsetPort };
                let fields = Fields::of_port(entry);
                Self { rule, policy, port: Some(at), level, fields }
            }
            None => Self { rule, policy, port: None, level, fields: Fields::of_policy(policy) },
        }
    }

    fn part<T>(&self, field: impl Fn(&Fields<'m>) -> Option<&'m Spanned<T>>) -> Part<'m, T> {
        match (field(&self.fields), self.port) {
            (Some(value), _) => Part::Set { value, level: self.level, rule: Some(self.rule) },
            (None, None) => {
                Part::Missing(Missing::NotSet { policy: self.policy.span, level: self.level })
            }
            (None, Some(port)) => {
                let hidden = field(&Fields::of_policy(self.policy)).map(|value| value.span);
                Part::Missing(Missing::PortReplaces { port, level: self.level, hidden })
            }
        }
    }
}

/// All that has a say.
struct Layers<'m> {
    has_rule: bool,
    base: Option<Layer<'m>>,
    own: Option<Layer<'m>>,
    default: Option<&'m Spanned<TrafficPolicy>>,
}

impl<'m> Layers<'m> {
    fn nothing<T>(&self) -> Part<'m, T> {
        Part::Missing(if self.has_rule { Missing::NoPolicy } else { Missing::NoRule })
    }

    /// A part of which the subset's goes first, and an entry of the subset for the port alone counts.
    fn part<T>(&self, field: impl Fn(&Fields<'m>) -> Option<&'m Spanned<T>>) -> Part<'m, T> {
        self.over(self.base.map(|base| base.part(&field)), field)
    }

    /// The same, where the mesh's default fills in what the rule leaves open.
    fn part_or<T>(
        &self,
        field: impl Fn(&Fields<'m>) -> Option<&'m Spanned<T>>,
        of_mesh: impl Fn(&'m TrafficPolicy) -> &'m Option<Spanned<T>>,
    ) -> Part<'m, T> {
        let base = self.base.map(|base| base.part(&field));
        let default = self.default.and_then(|policy| of_mesh(policy).as_ref());
        let base = match (base, default) {
            (None | Some(Part::Missing(_)), Some(value)) => {
                Some(Part::Set { value, level: Level::Mesh, rule: None })
            }
            (base, _) => base,
        };
        self.over(base, field)
    }

    fn over<T>(
        &self,
        base: Option<Part<'m, T>>,
        field: impl Fn(&Fields<'m>) -> Option<&'m Spanned<T>>,
    ) -> Part<'m, T> {
        let Some(own) = self.own else { return base.unwrap_or_else(|| self.nothing()) };
        let part = own.part(&field);
        match (part, base) {
            // Without an entry of its own for the port the subset only adds.
            (Part::Missing(Missing::NotSet { .. }), Some(Part::Set { value, level, rule })) => {
                Part::Set { value, level, rule }
            }
            // What hides the rule's setting says more than that the subset has none.
            (
                Part::Missing(Missing::NotSet { .. }),
                Some(why @ Part::Missing(Missing::PortReplaces { .. })),
            ) => why,
            (Part::Missing(Missing::PortReplaces { port, level, hidden }), base) => {
                let hidden = hidden.or_else(|| base?.counting());
                Part::Missing(Missing::PortReplaces { port, level, hidden })
            }
            _ => part,
        }
    }

    /// A part that entries for a port do not have: the subset's goes first. The rule's is lost where
    /// the rule has an entry for the port, the subset's where only its entry counts.
    fn kept(
        &self,
        field: impl Fn(&'m TrafficPolicy) -> &'m Option<Spanned<Anything>>,
    ) -> Part<'m, Anything> {
        let part = |layer: Layer<'m>| match (field(layer.policy).as_ref(), layer.port) {
            (Some(value), None) => Part::Set { value, level: layer.level, rule: Some(layer.rule) },
            (value, Some(port)) => Part::Missing(Missing::PortReplaces {
                port,
                level: layer.level,
                hidden: value.map(|value| value.span),
            }),
            (None, None) => {
                Part::Missing(Missing::NotSet { policy: layer.policy.span, level: layer.level })
            }
        };
        match (self.base.map(part), self.own.map(part)) {
            (None, None) => self.nothing(),
            (Some(base @ Part::Set { .. }), Some(Part::Missing(_))) | (Some(base), None) => base,
            (_, Some(own)) => own,
        }
    }
}

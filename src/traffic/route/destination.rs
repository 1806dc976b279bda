//! Destinations as clusters of Envoy: `outbound|port|subset|host`, with shares.
//!
//! Source: `route.go`, `GetDestinationCluster`, `applyHTTPRouteDestination`; `networkfilter.go`.

use super::rules::Rule;
use super::{Abort, Action, Built, Call, Leg, MirrorLeg};
use crate::kinds::networking::{Destination, Percent, RouteDestination, VirtualService};
use crate::mesh::{In, fqdn, short, value};
use crate::source::{Span, Spanned};
use crate::traffic::protocol::Protocol;
use crate::traffic::scope::{Definition, Sight};
use crate::traffic::step::Step;

impl<'m> Call<'_, '_, 'm> {
    /// Where the weighted destinations of a rule send requests. A single one gets all, whatever its
    /// weight; of several, those without weight get nothing.
    pub(super) fn forward(
        &self,
        service: &'m In<VirtualService>,
        route: &'m [Spanned<RouteDestination>],
        protocol: Protocol,
        at: Span,
    ) -> Action<'m> {
        let weight = |r: &RouteDestination| r.weight.as_ref().map_or(0, |w| u64::from(w.value));
        let leg = |r: &'m Spanned<RouteDestination>, weight, total| {
            let told = r.destination.as_ref().map(|d| &d.value);
            let at = r.destination.as_ref().map_or(r.span, |d| d.span);
            Leg { weight, total, ..self.leg(service, told, protocol, at) }
        };
        if let [only] = route {
            return Action::Forward(vec![leg(only, 1, 1)]);
        }
        let total = route.iter().map(|r| weight(r)).sum();
        if total == 0 {
            let text = match route.first() {
                Some(_) => "no destination has a weight: Envoy refuses these routes",
                None => "it leads nowhere: Envoy refuses these routes",
            };
            return Action::Refused(Step::new(text, at));
        }
        let weighted = route.iter().filter(|r| weight(r) > 0);
        Action::Forward(weighted.map(|r| leg(r, weight(r), total)).collect())
    }

    /// One destination, with all of the requests.
    fn leg(
        &self,
        service: &'m In<VirtualService>,
        told: Option<&'m Destination>,
        protocol: Protocol,
        at: Span,
    ) -> Leg<'m> {
        let named = told.and_then(|d| value(d.host.as_ref())).unwrap_or_default();
        let host = fqdn(named, &service.namespace);
        let told_port = told.and_then(|d| d.port.as_ref()?.number.as_ref()).map(|n| n.value);
        let sight = self.scope.destination(&host, told_port.unwrap_or(self.port));
        let port = told_port.unwrap_or_else(|| self.implied_port(&sight, protocol));
        // An alias stands for its target.
        let target = match &sight {
            Sight::Seen(Definition::Service(s), _) if s.is_external_name() => {
                s.external_name.as_ref().map(|name| name.to_ascii_lowercase())
            }
            _ => None,
        };
        let span = told.and_then(|d| d.host.as_ref()).map_or(at, |h| h.span);
        let cluster = match &target {
            // Istiod names a cluster that is not there where it knows no backend of a kind.
            None if told.is_none() && service.attachment.is_some() => {
                Built::No(Step::new("istiod knows no backend of this kind", at))
            }
            Some(target) => built(&self.scope.destination(target, port), target, port, span),
            None => built(&sight, &host, port, span),
        };
        let subset = told.and_then(|d| d.subset.as_ref()).filter(|s| !s.is_empty());
        let host = target.unwrap_or(host);
        Leg { weight: 1, total: 1, host, port, subset, span: Some(at), cluster }
    }

    /// The port where a destination tells none: the only one of its service, where istiod looks at all
    /// of it; for HTTP it only looks for the port that is called.
    fn implied_port(&self, sight: &Sight<'m>, protocol: Protocol) -> u32 {
        let Sight::Seen(definition, _) = sight else { return self.port };
        let ports = definition.ports();
        match ports.as_slice() {
            [only] if !protocol.is_http() => only.number,
            _ => self.port,
        }
    }

    /// The default route: all to one host.
    pub(super) fn straight(&self, host: &str, span: Option<Span>) -> Action<'m> {
        let cluster = match self.scope.sight(host, self.port) {
            Sight::Unseen => Built::Unknown,
            _ => Built::Yes,
        };
        let (host, port) = (host.to_owned(), self.port);
        Action::Forward(vec![Leg { weight: 1, total: 1, host, port, subset: None, span, cluster }])
    }

    /// Copies of requests that a rule asks for.
    pub(super) fn mirrors(&self, rule: &Rule<'m>) -> Vec<MirrorLeg<'m>> {
        let Some((_, service)) = rule.leaf else { return Vec::new() };
        let (single, list) = rule.mirrors();
        let single = single.and_then(|r| {
            let per_million = match (&r.mirror_percentage, r.mirror_percent) {
                (Some(part), _) => millionths(part),
                (None, Some(part)) => part.saturating_mul(10_000),
                (None, None) => 1_000_000,
            };
            Some((per_million, r.mirror.as_ref()?))
        });
        let list = list.iter().filter_map(|m| {
            let per_million = m.percentage.as_ref().map_or(1_000_000, millionths);
            Some((per_million, m.destination.as_ref()?))
        });
        let all = single.into_iter().chain(list).filter(|(part, _)| *part > 0);
        all.map(|(per_million, told)| {
            let at = told.host.as_ref().map_or(rule.span, |h| h.span);
            MirrorLeg { per_million, leg: self.leg(service, Some(told), Protocol::Http, at) }
        })
        .collect()
    }
}

/// Whether there is a cluster for what a destination finds.
fn built(sight: &Sight<'_>, host: &str, port: u32, span: Span) -> Built {
    let name = short(host);
    match sight {
        Sight::Seen(definition, _) => {
            let ports = definition.ports();
            let found = ports.iter().find(|p| p.number == port);
            match found {
                Some(found) if found.protocol == Protocol::Udp => {
                    Built::No(Step::new(format!("port {port} of `{name}` is UDP"), span))
                }
                Some(_) => Built::Yes,
                None if definition.has_unread_ports() => Built::Unknown,
                None => Built::No(Step::new(format!("`{name}` has no port {port}"), span)),
            }
        }
        Sight::Hidden(why) => Built::No(why.clone()),
        Sight::Absent => Built::No(Step::new(format!("nothing defines `{name}`"), span)),
        Sight::Unseen => Built::Unknown,
    }
}

/// Requests that a rule answers with an error; none where no percentage is told.
pub(super) fn abort(rule: &Rule<'_>) -> Option<Abort> {
    let abort = rule.fault()?.abort.as_ref()?;
    let per_million = abort.percentage.as_ref().map_or(0, millionths).min(1_000_000);
    let status = abort.http_status.as_ref().map(|s| s.value);
    (per_million > 0).then_some(Abort { per_million, status, span: abort.span })
}

/// A percentage as Envoy gets it: of a million.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a conversion from float to integer stops at both ends"
)]
fn millionths(part: &Percent) -> u32 {
    (part.value * 10_000.0) as u32
}

//! HTTP: which VirtualService has the host, and which of its rules may take the request.
//!
//! Source: `route.go`, `BuildHTTPRoutesForVirtualService`, `separateVSHostsAndServices`.

use super::destination::abort;
use super::rules::{Match, Rule, rules};
use super::{Action, Call, Choice, Draft, RuleAt};
use crate::kinds::networking::VirtualService;
use crate::mesh::{In, fqdn, short};
use crate::source::Span;
use crate::traffic::protocol::Protocol;
use crate::traffic::scope::{Definition, Rank, Sight};
use crate::traffic::step::{Condition, Step, Subject, Verdict};

/// A VirtualService that may have the host; those of one class differ in age alone.
type Candidate<'m> = (Option<Rank>, &'m In<VirtualService>);

/// What a VirtualService makes for a client and port.
enum Exists {
    /// Routes; what they leave gets 404.
    Yes,
    /// No route: it does not exist.
    No,
    /// Routes if the client has one of these sets of labels.
    If(Vec<Vec<Condition>>),
    /// That depends on a delegate which is not in the input.
    Veiled(Step),
    /// Routes, of which one takes all that is left.
    Ended,
}

impl<'m> Call<'_, '_, 'm> {
    /// The way of a request to a service that the client sees.
    pub(super) fn http(&self, definition: Definition<'m>, name: &str, follow: bool) -> Draft<'m> {
        let candidates = self.candidates(name);
        let mut draft = Draft { steps: self.elsewhere(name), ..Draft::default() };
        draft.add(self.decide(&candidates, |draft| {
            let target = match definition {
                Definition::Service(s) if s.is_external_name() => s.external_name.as_ref(),
                _ => None,
            };
            let Some(target) = target.filter(|_| follow) else {
                draft.tell("the default route: all to the service", definition.named_at());
                draft.end(self.straight(name, Some(definition.named_at())));
                return;
            };
            draft.tell(format!("it is another name of `{target}`"), target.span);
            let host = target.to_ascii_lowercase();
            draft.add(Call { host: &host, ..*self }.answer(false));
        }));
        draft
    }

    /// Routes of the Gateway API that would have the host, if the client were of their namespace.
    fn elsewhere(&self, name: &str) -> Vec<Step> {
        let others = self.scope.owners_elsewhere(name);
        let step = |service: &In<VirtualService>| {
            let verb = if service.is_several() { "are" } else { "is" };
            let text = format!(
                "{} of `{}` {verb} attached to `{}` for clients of that namespace alone",
                service.called(),
                service.namespace,
                short(name)
            );
            Step::new(text, service.named_at())
        };
        others.map(step).collect()
    }

    /// VirtualServices that may have a service: those with this very host, in their order; else the
    /// one with the longest wildcard, and no other.
    fn candidates(&self, name: &str) -> Vec<Candidate<'m>> {
        let owners = self.scope.owners(name, self.port);
        if !owners.is_empty() {
            let is_http =
                |s: &In<VirtualService>| s.attachment.as_ref().is_none_or(|made| made.is_http());
            let of_http = owners.into_iter().filter(|(_, s)| is_http(s));
            return of_http.map(|(rank, service)| (Some(rank), service)).collect();
        }
        let covering = self.scope.covering(name, self.port);
        covering.into_iter().take(1).map(|(_, service)| (None, service)).collect()
    }

    /// A host that no service has: VirtualServices may still name it, on port 80 or on a port of a
    /// service that they name too.
    pub(super) fn unregistered(&self, why: Step) -> Draft<'m> {
        let serves = |s: &&'m In<VirtualService>| {
            self.port == 80 || s.hosts.iter().any(|h| self.has_http(&fqdn(h, &s.namespace)))
        };
        // Routes of the Gateway API are for what istiod knows.
        let written = self.all_candidates().into_iter().filter(|(_, s)| s.attachment.is_none());
        let candidates = written.filter(|(_, s)| serves(s));
        let candidates: Vec<_> = candidates.collect();
        self.decide(&candidates, |draft| {
            let action = self.unknown(&why);
            draft.steps.push(why);
            draft.end(action);
        })
    }

    /// A host that something outside the input may define: a VirtualService that names it is taken to
    /// know that.
    pub(super) fn unseen(&self) -> Draft<'m> {
        let why = Step::new(format!("nothing in the input defines `{}`", short(self.host)), None);
        let candidates = self.candidates(self.host);
        let mut draft = Draft { steps: vec![why.clone()], ..Draft::default() };
        draft.add(self.decide(&candidates, |draft| draft.end(Action::Unseen(why))));
        draft
    }

    fn all_candidates(&self) -> Vec<Candidate<'m>> {
        let owners = self.scope.owners(self.host, self.port).into_iter();
        let covering = self.scope.covering(self.host, self.port).into_iter();
        owners.map(|(r, s)| (Some(r), s)).chain(covering.map(|(_, s)| (None, s))).collect()
    }

    fn has_http(&self, host: &str) -> bool {
        let Sight::Seen(definition, _) = self.scope.sight(host, self.port) else { return false };
        definition.ports().iter().any(|p| p.number == self.port && p.protocol.is_http())
    }

    /// The first VirtualService that has a route for the client has the host; else the default.
    fn decide(
        &self,
        candidates: &[Candidate<'m>],
        default: impl FnOnce(&mut Draft<'m>),
    ) -> Draft<'m> {
        let mut draft = Draft::default();
        for (at, (rank, service)) in candidates.iter().enumerate() {
            let part = self.applied(service);
            let ended = !matches!(part.0, Exists::No | Exists::If(_));
            self.take(service, part, &mut draft);
            if ended {
                let equal = candidates[at + 1..].iter().filter(|(r, _)| r.is_some() && r == rank);
                draft.rivals.extend(equal.map(|(_, s)| *s).filter(|s| self.has_route(s)));
                tell_rivals(service, &mut draft);
                return draft;
            }
        }
        default(&mut draft);
        draft
    }

    fn has_route(&self, service: &'m In<VirtualService>) -> bool {
        !matches!(self.applied(service).0, Exists::No)
    }

    /// Adds what a VirtualService makes, with what becomes of the requests that it leaves.
    fn take(
        &self,
        service: &'m In<VirtualService>,
        (exists, part): (Exists, Draft<'m>),
        draft: &mut Draft<'m>,
    ) {
        let (name, at) = (service.called(), service.named_at());
        let has = if service.is_several() { "have" } else { "has" };
        let span = service.hosts.iter().find(|h| self.names(h, service)).map_or(at, |h| h.span);
        let text = match &exists {
            Exists::No => {
                format!("{name} {has} no route for this client: it does not exist for it")
            }
            Exists::If(_) => format!("{name} {has} the host if the client has certain labels"),
            _ => match &service.attachment {
                None => format!("{name} has the host"),
                Some(made) => {
                    let parent = format!("{}.{}", made.parent.name, made.parent.namespace);
                    format!("{name} {has} the host, attached to `{parent}`")
                }
            },
        };
        draft.tell(text, span);
        if service.attachment.as_ref().is_some_and(|made| made.is_tied) {
            draft.is_tied = true;
            let text = "some of its rules ask for the same: that of the older route goes first, \
                        taken to be by name";
            draft.tell(text, None);
        }
        draft.add(part);
        match exists {
            Exists::Yes => draft.end(Action::NotFound),
            Exists::Veiled(why) => draft.end(Action::Unseen(why)),
            Exists::If(sets) => {
                for when in sets {
                    // Where a rule takes all requests of such clients, none is left.
                    if !draft.choices.iter().any(|c| c.when == when) {
                        draft.choices.push(Choice { when, ..Choice::new(Action::NotFound) });
                    }
                }
            }
            Exists::No | Exists::Ended => {}
        }
    }

    fn names(&self, host: &str, service: &In<VirtualService>) -> bool {
        crate::mesh::HostPattern(&fqdn(host, &service.namespace)).matches(self.host)
    }

    /// The routes that a VirtualService makes for the client and port.
    fn applied(&self, service: &'m In<VirtualService>) -> (Exists, Draft<'m>) {
        let mut draft = Draft::default();
        if let Some(why) = self.unattached(service) {
            return (Exists::Veiled(why), draft);
        }
        let (rules, dropped) = rules(&self.scope, service);
        draft.steps.extend(dropped);
        let (mut exists, mut sets, mut veil) = (false, Vec::new(), None);
        for rule in &rules {
            if rule.matches.is_empty() {
                self.add(service, rule, rule.span, Vec::new(), &mut draft);
                return (Exists::Ended, draft);
            }
            for alternative in &rule.matches {
                let Some((client, request)) = self.weigh(rule, alternative, &mut draft) else {
                    continue;
                };
                match (&rule.leaf, client.is_empty()) {
                    (None, _) => veil = Some(veiled(rule)),
                    (Some(_), true) => exists = true,
                    (Some(_), false) => sets.push(client.clone()),
                }
                let Some(request) = request else { continue };
                let when: Vec<Condition> = client.into_iter().chain(request).collect();
                let ends = when.is_empty();
                self.add(service, rule, alternative.span, when, &mut draft);
                if ends {
                    return (Exists::Ended, draft);
                }
            }
        }
        let exists = match (exists, veil) {
            (true, _) => Exists::Yes,
            (false, Some(why)) => Exists::Veiled(why),
            (false, None) if sets.is_empty() => Exists::No,
            (false, None) => Exists::If(sets),
        };
        (exists, draft)
    }

    /// Why nobody can tell whether routes of the Gateway API have their parent.
    pub(super) fn unattached(&self, service: &'m In<VirtualService>) -> Option<Step> {
        let made = service.attachment.as_ref()?;
        if let Some(why) = &made.open {
            return Some(Step::new(&**why, why.span));
        }
        let (parent, plane) = (&made.parent, self.scope.plane);
        let is_absent = || self.mesh().service(plane, &parent.namespace, &parent.name).is_absent();
        (parent.is_service && is_absent()).then(|| {
            let text = format!(
                "istiod attaches {} only where `{}` itself has the Service, which depends on its version",
                service.called(),
                self.mesh().cluster_name(plane)
            );
            Step::new(text, service.named_at())
        })
    }

    /// What an alternative asks of client and request: nothing where it is not for the client, no
    /// second part where it does not take the request.
    fn weigh(
        &self,
        rule: &Rule<'m>,
        alternative: &Match<'m>,
        draft: &mut Draft<'m>,
    ) -> Option<(Vec<Condition>, Option<Vec<Condition>>)> {
        let mut client = match self.takes_client(&alternative.asks) {
            Verdict::Yes => Vec::new(),
            Verdict::If(when) => when,
            Verdict::No(why) => {
                draft.tell(format!("{} does not apply: {}", rule.name, why.text), why.span);
                return None;
            }
        };
        if alternative.is_unread {
            let text = "the part of this match that cannot be read holds";
            client.push(Condition::new(Subject::Client, text, alternative.span));
        }
        let request = match self.takes_request(&alternative.asks) {
            Verdict::Yes => Some(Vec::new()),
            Verdict::If(when) => Some(when),
            Verdict::No(why) => {
                draft.tell(
                    format!("{} does not take the request: {}", rule.name, why.text),
                    why.span,
                );
                None
            }
        };
        Some((client, request))
    }

    /// Adds a choice: what a rule makes of the requests that it takes.
    fn add(
        &self,
        service: &'m In<VirtualService>,
        rule: &Rule<'m>,
        span: Span,
        when: Vec<Condition>,
        draft: &mut Draft<'m>,
    ) {
        let verb = match when.first().map(|c| c.of) {
            None => "takes the request",
            Some(Subject::Request) => "may take the request",
            Some(Subject::Client) => "may be for the client",
        };
        draft.tell(format!("{} {verb}", rule.name), span);
        draft.choices.push(Choice {
            when,
            rule: Some(RuleAt { service, name: rule.name.clone(), span }),
            action: self.action(rule),
            abort: abort(rule),
            mirrors: self.mirrors(rule),
            retries: self.retries(rule.retries()),
        });
    }

    fn action(&self, rule: &Rule<'m>) -> Action<'m> {
        let Some((route, owner)) = rule.leaf else { return Action::Unseen(veiled(rule)) };
        if let Some(redirect) = &route.redirect {
            return Action::Redirect(redirect.span);
        }
        if let Some((status, span)) = rule.response() {
            return Action::Respond(status, span);
        }
        if let Some(why) = rule.veil() {
            return Action::Unseen(why);
        }
        self.forward(owner, &route.route, Protocol::Http, rule.span)
    }
}

fn veiled(rule: &Rule<'_>) -> Step {
    Step::new(
        format!("{} delegates to a VirtualService that is not in the input", rule.name),
        rule.span,
    )
}

fn tell_rivals<'m>(service: &'m In<VirtualService>, draft: &mut Draft<'m>) {
    for rival in draft.rivals.clone() {
        let text = format!(
            "{} {} the host too: the older one counts, taken to be {}",
            rival.called(),
            if rival.is_several() { "name" } else { "names" },
            service.called()
        );
        draft.tell(text, rival.named_at());
    }
}

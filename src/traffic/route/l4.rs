//! TCP, and TLS that is passed through.
//!
//! Here all VirtualServices with a host that fits take part, in their order and however special the
//! host is, and `gateways`, `sourceLabels`, `sourceNamespace` and `port` of a match all have to hold.
//! Source: `tls.go`, `matchTCP`, `matchTLS`, `getConfigsForHost`.

use std::cmp::Reverse;

use super::matching::in_mesh;
use super::rules::is_unread;
use super::{Action, Call, Choice, Draft, RuleAt};
use crate::kinds::networking::{L4Match, L4Route, VirtualService};
use crate::mesh::{HostPattern, In};
use crate::source::Span;
use crate::traffic::protocol::Protocol;
use crate::traffic::scope::{Definition, Rank};
use crate::traffic::step::{Condition, Step, Subject, Verdict};

/// A match of a rule for TLS that fits client and server name.
struct Chain<'m> {
    service: &'m In<VirtualService>,
    rule: &'m L4Route,
    name: String,
    when: Vec<Condition>,
    span: Span,
    /// The server name it was taken for.
    pattern: &'m str,
}

/// Matches for TLS that are for the client, or may be.
struct Chains<'m> {
    /// Those that take the server name.
    fitting: Vec<Chain<'m>>,
    /// What the others ask of the client.
    others: Vec<Vec<Condition>>,
}

impl<'m> Call<'_, '_, 'm> {
    /// The way of a TCP connection.
    pub(super) fn tcp(&self, definition: Definition<'m>, name: &str) -> Draft<'m> {
        let mut draft = Draft::default();
        for service in self.all_with(name) {
            if let Some(why) = self.unattached(service).filter(|_| is_made_of(service, "TCPRoute"))
            {
                draft.end(Action::Unseen(why));
                return draft;
            }
            for (i, rule) in service.tcp.iter().enumerate() {
                let label = label(service, i, "TCP");
                if rule.matches.is_empty() {
                    self.pass(service, rule, (label, service.named_at()), Vec::new(), &mut draft);
                    return draft;
                }
                for asks in &rule.matches {
                    let Some(mut when) = self.weigh_l4(asks, &label, &mut draft) else { continue };
                    when.extend(asks.destination_subnets.first().map(|subnet| {
                        let text = format!("the address that is called is within `{subnet}`");
                        Condition::new(Subject::Request, text, subnet.span)
                    }));
                    let ends = when.is_empty();
                    self.pass(service, rule, (label.clone(), asks.span), when, &mut draft);
                    if ends {
                        return draft;
                    }
                }
            }
        }
        self.end_straight(definition, name, &mut draft);
        draft
    }

    /// The way of a TLS connection. Envoy takes the rule with the most special server name.
    pub(super) fn tls(&self, definition: Definition<'m>, name: &str) -> Draft<'m> {
        let mut draft = Draft::default();
        let mut of_tls = self.all_with(name).into_iter().filter(|s| is_made_of(s, "TLSRoute"));
        if let Some(why) = of_tls.find_map(|service| self.unattached(service)) {
            draft.end(Action::Unseen(why));
            return draft;
        }
        let Chains { mut fitting, others } = self.chains(name, &mut draft);
        let all = fitting.iter().map(|c| &c.when).chain(&others);
        let exists = all.clone().any(Vec::is_empty);
        let open: Vec<_> = all.cloned().collect();
        fitting.sort_by_key(|c| Reverse(HostPattern(c.pattern).specificity()));
        for chain in fitting {
            let ends = chain.when.is_empty();
            self.pass(chain.service, chain.rule, (chain.name, chain.span), chain.when, &mut draft);
            if ends {
                return draft;
            }
        }
        if exists {
            draft.end(Action::Closed);
            return draft;
        }
        for when in open {
            if !draft.choices.iter().any(|c| c.when == when) {
                draft.choices.push(Choice { when, ..Choice::new(Action::Closed) });
            }
        }
        self.end_straight(definition, name, &mut draft);
        draft
    }

    /// The matches for TLS that are for the client, or may be.
    fn chains(&self, name: &str, draft: &mut Draft<'m>) -> Chains<'m> {
        let called = self.request.server_name.as_deref().unwrap_or(self.host);
        let mut found = Chains { fitting: Vec::new(), others: Vec::new() };
        let rules = self.all_with(name).into_iter().flat_map(|s| {
            let numbered = s.tls.iter().enumerate();
            numbered.flat_map(move |(i, rule)| rule.matches.iter().map(move |m| (s, i, rule, m)))
        });
        for (service, i, rule, asks) in rules {
            let name = label(service, i, "TLS");
            let Some(when) = self.weigh_l4(asks, &name, draft) else { continue };
            let wanted = asks.sni_hosts.iter().map(|h| h.as_str());
            let pattern = wanted.filter(|h| HostPattern(h).matches(called));
            let span = asks.span;
            match pattern.max_by_key(|h| HostPattern(h).specificity()) {
                Some(pattern) => {
                    found.fitting.push(Chain { service, rule, name, when, span, pattern });
                }
                None => {
                    let at = asks.sni_hosts.first().map_or(span, |h| h.span);
                    draft.tell(format!("{name} does not take server name `{called}`"), at);
                    found.others.push(when);
                }
            }
        }
        found
    }

    /// All VirtualServices whose hosts fit, in the order in which the client gets them.
    fn all_with(&self, name: &str) -> Vec<&'m In<VirtualService>> {
        let mut all: Vec<(Rank, &'m In<VirtualService>)> = self.scope.owners(name, self.port);
        let known = |all: &[(Rank, &'m In<VirtualService>)], s: &In<VirtualService>| {
            all.iter().any(|(_, other)| other.is_one_with(s))
        };
        for (rank, service) in self.scope.covering(name, self.port) {
            if !known(&all, service) {
                all.push((rank, service));
            }
        }
        all.sort_by(|(a, s), (b, t)| a.cmp(b).then_with(|| self.scope.older(s, t)));
        all.into_iter().map(|(_, service)| service).collect()
    }

    /// What a match asks of the client; nothing where it is not for it.
    fn weigh_l4(
        &self,
        asks: &L4Match,
        label: &str,
        draft: &mut Draft<'m>,
    ) -> Option<Vec<Condition>> {
        let verdict = in_mesh(&asks.gateways)
            .and(|| self.takes_port(asks.port.as_ref()))
            .and(|| self.takes_source(&asks.source_labels, asks.source_namespace.as_ref()));
        match verdict {
            Verdict::Yes => Some(Vec::new()),
            Verdict::If(when) => Some(when),
            Verdict::No(why) => {
                draft.tell(format!("{label} does not apply: {}", why.text), why.span);
                None
            }
        }
    }

    fn pass(
        &self,
        service: &'m In<VirtualService>,
        rule: &'m L4Route,
        (name, span): (String, Span),
        when: Vec<Condition>,
        draft: &mut Draft<'m>,
    ) {
        let verb = if when.is_empty() { "takes" } else { "may take" };
        draft.tell(format!("{name} {verb} the connection"), span);
        let action = match veil(service, rule, &name, span) {
            Some(why) => Action::Unseen(why),
            // No backend of a route has a weight.
            None if service.attachment.is_some() && rule.route.is_empty() => Action::Closed,
            None => self.forward(service, &rule.route, Protocol::Tcp, span),
        };
        let rule = Some(RuleAt { service, name, span });
        draft.choices.push(Choice { when, rule, ..Choice::new(action) });
    }

    fn end_straight(&self, definition: Definition<'m>, name: &str, draft: &mut Draft<'m>) {
        draft.tell("the default: all to the service", definition.named_at());
        draft.end(self.straight(name, Some(definition.named_at())));
    }
}

/// Whether istiod makes it of a route of the Gateway API of this kind.
fn is_made_of(service: &In<VirtualService>, kind: &str) -> bool {
    service.attachment.as_ref().is_some_and(|made| made.kind == kind)
}

/// `rule 2 for TCP of` and the VirtualService's name, or what the rule is made of.
fn label(service: &In<VirtualService>, position: usize, of: &str) -> String {
    let made = service.attachment.as_ref().and_then(|made| made.rules.get(position));
    made.map_or_else(
        || format!("rule {} for {of} of `{}`", position + 1, service.name()),
        |origin| origin.name.clone(),
    )
}

/// Why nobody can tell where a rule leads to.
fn veil(service: &In<VirtualService>, rule: &L4Route, name: &str, span: Span) -> Option<Step> {
    let fields = [("tcp", &service.tcp), ("tls", &service.tls)];
    let found = fields.into_iter().find_map(|(field, rules)| {
        Some((field, rules.iter().position(|r| std::ptr::eq(r, rule))?))
    });
    let (field, position) = found?;
    if let Some(made) = &service.attachment {
        return made.rules.get(position)?.open.as_ref().map(|why| Step::new(&**why, why.span));
    }
    let text = || format!("destinations of {name} are filled in by a pipeline");
    is_unread(service, &format!("{field}[{position}].route")).then(|| Step::new(text(), span))
}

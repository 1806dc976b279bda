//! Where routing sends a client's request: which VirtualService has the host, which of its rules take
//! the request, and to which clusters of Envoy they send it.
//!
//! The answer is a list of [`Choice`]s, of which a request takes the first whose conditions hold. The
//! last has none, so there is always one. Conditions are what nobody knows: labels of the client that
//! are not told, and whatever the [`Request`] leaves open.
//!
//! Source: `pilot/pkg/networking/core/httproute.go`, `route/route.go`, `tls.go`.

mod destination;
mod http;
mod l4;
mod matching;
mod rules;

use std::collections::BTreeMap;

use super::protocol::Protocol;
use super::retries;
use super::scope::{Definition, Index, Scope, Sight};
use super::step::{Condition, Step};
use crate::kinds::networking::{Retries, VirtualService};
use crate::mesh::{Client, In, Lookup, Mesh, Order, short};
use crate::source::{Span, Text};

/// What is known of a request. What is `None` is left open.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Path, and the query after a `?`.
    pub path: Option<String>,
    /// `GET` and the like.
    pub method: Option<String>,
    /// The `Host` header.
    pub authority: Option<String>,
    /// `http` or `https`.
    pub scheme: Option<String>,
    /// All headers, names in lower case.
    pub headers: Option<BTreeMap<String, String>>,
    /// The server name of a TLS handshake; the host that is called where `None`.
    pub server_name: Option<String>,
}

/// Where a request goes, and why.
#[derive(Clone, Debug)]
pub struct Routing<'m> {
    /// How that comes about, in the order in which it is decided.
    pub steps: Vec<Step>,
    /// The first whose conditions hold is taken. The last has none.
    pub choices: Vec<Choice<'m>>,
    /// VirtualServices that would have the host instead, were they created before the one that has it.
    /// Manifests do not tell which is older.
    pub rivals: Vec<&'m In<VirtualService>>,
    /// Whether the age of routes of the Gateway API decides which of two rules goes first.
    pub is_tied: bool,
}

/// One way that requests can take.
#[derive(Clone, Debug)]
pub struct Choice<'m> {
    /// What nobody knows and has to hold.
    pub when: Vec<Condition>,
    /// The rule; `None` for the default route and where no rule has a say.
    pub rule: Option<RuleAt<'m>>,
    /// What becomes of the request.
    pub action: Action<'m>,
    /// Requests that the proxy answers with an error before that.
    pub abort: Option<Abort>,
    /// Copies; what comes back is thrown away.
    pub mirrors: Vec<MirrorLeg<'m>>,
    /// How often a request is tried again that finds no connection; never for what is not HTTP.
    pub retries: u32,
}

impl<'m> Choice<'m> {
    fn new(action: Action<'m>) -> Self {
        Self { when: Vec::new(), rule: None, action, abort: None, mirrors: Vec::new(), retries: 0 }
    }

    /// Whether each request that no earlier choice takes takes this one.
    pub fn is_certain(&self) -> bool {
        self.when.is_empty()
    }

    /// Whether a route of the Gateway API for HTTP takes the requests: what has no cluster gets 500 there.
    pub fn is_of_gateway_api(&self) -> bool {
        let made = self.rule.as_ref().and_then(|rule| rule.service.attachment.as_ref());
        made.is_some_and(|made| made.is_http())
    }

    /// Where requests go; nothing where they go nowhere.
    pub fn legs(&self) -> &[Leg<'m>] {
        match &self.action {
            Action::Forward(legs) => legs,
            _ => &[],
        }
    }
}

/// A rule of a VirtualService.
#[derive(Clone, Debug)]
pub struct RuleAt<'m> {
    /// The VirtualService that has the host.
    pub service: &'m In<VirtualService>,
    /// `rule 2`, or `rule 2 with rule 1 of delegate` and its name.
    pub name: String,
    /// The match that takes the request, or where the rule begins.
    pub span: Span,
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Action<'m> {
    /// It goes to clusters of Envoy, by share.
    Forward(Vec<Leg<'m>>),
    /// The proxy answers with a redirect.
    Redirect(Span),
    /// The proxy answers with a status.
    Respond(Option<u32>, Span),
    /// The VirtualService exists, and none of its rules takes the request: 404, flag NR.
    NotFound,
    /// No filter chain takes the connection: it is closed.
    Closed,
    /// It goes to the address that the client chose; no policy and no locality count.
    Passthrough(Step),
    /// 502 for HTTP, a closed connection else: nobody knows the host, and such are not let out.
    Blocked(Step),
    /// Envoy refuses the configuration that istiod makes of this.
    Refused(Step),
    /// It depends on what is not in the input.
    Unseen(Step),
}

/// A part of the requests that goes to one cluster of Envoy.
#[derive(Clone, Debug)]
pub struct Leg<'m> {
    /// Its share of the requests is `weight` of `total`.
    pub weight: u64,
    /// The weights of all legs of the choice.
    pub total: u64,
    /// The full name of the host.
    pub host: String,
    /// The service's port.
    pub port: u32,
    /// The subset.
    pub subset: Option<&'m Text>,
    /// The destination, or what makes it the default route.
    pub span: Option<Span>,
    /// Whether there is such a cluster, subsets left aside: those are a matter of DestinationRules.
    pub cluster: Built,
}

impl Leg<'_> {
    /// The name of the cluster: `outbound|80|v1|cart.shop.svc.cluster.local`.
    pub fn cluster_name(&self) -> String {
        let subset = self.subset.map_or("", |s| s.as_str());
        format!("outbound|{}|{subset}|{}", self.port, self.host)
    }

    /// Its share, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "weights are 32 bits wide")]
    pub fn share(&self) -> f64 {
        self.weight as f64 / self.total as f64
    }
}

/// Whether a proxy has a cluster of Envoy for a host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Built {
    /// It has.
    Yes,
    /// It has not: each request gets 503, flag NC.
    No(Step),
    /// The host may be defined outside the input.
    Unknown,
}

/// Requests that the proxy answers with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abort {
    /// How many of a million.
    pub per_million: u32,
    /// The status; none where only gRPC's is told.
    pub status: Option<u32>,
    /// Where that is written.
    pub span: Span,
}

/// A copy of requests.
#[derive(Clone, Debug)]
pub struct MirrorLeg<'m> {
    /// How many of a million requests are copied.
    pub per_million: u32,
    /// Where the copies go.
    pub leg: Leg<'m>,
}

/// Tells of a mesh where requests go.
#[derive(Debug)]
pub struct Router<'m> {
    index: Index<'m>,
}

/// A request in a scope.
#[derive(Clone, Copy)]
struct Call<'a, 'i, 'm> {
    scope: Scope<'i, 'm>,
    host: &'a str,
    port: u32,
    request: &'a Request,
}

/// A part of the answer that is being put together.
#[derive(Default)]
struct Draft<'m> {
    steps: Vec<Step>,
    choices: Vec<Choice<'m>>,
    rivals: Vec<&'m In<VirtualService>>,
    is_tied: bool,
}

impl<'m> Draft<'m> {
    fn only(action: Action<'m>) -> Self {
        Self { choices: vec![Choice::new(action)], ..Self::default() }
    }

    fn tell(&mut self, text: impl Into<String>, span: impl Into<Option<Span>>) {
        self.steps.push(Step::new(text, span));
    }

    fn end(&mut self, action: Action<'m>) {
        self.choices.push(Choice::new(action));
    }

    fn add(&mut self, other: Self) {
        self.steps.extend(other.steps);
        self.choices.extend(other.choices);
        self.rivals.extend(other.rivals);
        self.is_tied |= other.is_tied;
    }
}

impl<'m> Router<'m> {
    /// Ready to tell of a mesh.
    pub fn of(mesh: &'m Mesh) -> Self {
        Self::by(mesh, Order::Names)
    }

    /// The same if objects were created in this order.
    pub fn by(mesh: &'m Mesh, order: Order) -> Self {
        Self { index: Index::of(mesh, order) }
    }

    /// What clients see.
    pub fn index(&self) -> &Index<'m> {
        &self.index
    }

    /// Where a client's request to a host (by its full name) and port goes.
    pub fn route(
        &self,
        client: Client<'m>,
        host: &str,
        port: u32,
        request: &Request,
    ) -> Routing<'m> {
        let mesh = self.index.mesh();
        let host = host.to_ascii_lowercase();
        let mut draft = Draft::default();
        let name = mesh.cluster_name(client.cluster);
        let Lookup::Found(plane) = mesh.config_cluster(client.cluster) else {
            let why = format!("it is not known whose Istio objects clients in `{name}` get");
            draft.end(Action::Unseen(Step::new(why, None)));
            return draft.into();
        };
        if plane != client.cluster {
            let text = format!(
                "clients in `{name}` get the Istio objects of `{}`",
                mesh.cluster_name(plane)
            );
            draft.tell(text, None);
        }
        if let Some(mode) = mesh.ambient_client(&client) {
            let named = mesh.host(&host).and_then(|host| host.service_for(plane));
            let waypoint = named.and_then(|s| mesh.waypoint_of(&s.meta, (s.cluster, &s.namespace)));
            let whom = waypoint.map_or_else(String::new, |name| format!(" the waypoint `{name}`"));
            let why = format!(
                "clients in `{}` are in ambient: ztunnel calls{whom} for them, which is not computed",
                client.namespace
            );
            draft.end(Action::Unseen(Step::new(why, mode.span)));
            return draft.into();
        }
        for possible in self.index.scopes(client, plane) {
            let call = Call { scope: possible.scope, host: &host, port, request };
            let mut answer = call.answer(true);
            answer.steps.splice(0..0, possible.steps);
            for choice in &mut answer.choices {
                choice.when.splice(0..0, possible.when.iter().cloned());
            }
            draft.add(answer);
        }
        draft.into()
    }
}

impl<'m> From<Draft<'m>> for Routing<'m> {
    fn from(draft: Draft<'m>) -> Self {
        let Draft { steps, choices, rivals, is_tied } = draft;
        Self { steps, choices, rivals, is_tied }
    }
}

impl<'m> Call<'_, '_, 'm> {
    fn mesh(&self) -> &'m Mesh {
        self.scope.mesh()
    }

    /// Where it goes in this scope. An alias of another host is followed once.
    fn answer(&self, follow: bool) -> Draft<'m> {
        let host = self.host;
        match self.scope.sight(host, self.port) {
            Sight::Seen(definition, name) => self.known(definition, &name, follow),
            Sight::Hidden(why) => self.unregistered(why),
            Sight::Absent => {
                self.unregistered(Step::new(format!("nothing defines `{}`", short(host)), None))
            }
            Sight::Unseen => self.unseen(),
        }
    }

    fn known(&self, definition: Definition<'m>, name: &str, follow: bool) -> Draft<'m> {
        let (mut draft, port) = (Draft::default(), self.port);
        if name != self.host {
            draft.tell(format!("`{name}` covers the host"), definition.named_at());
        }
        if let Ok(Some(line)) = self.scope.imports(definition, name, port) {
            draft.tell(format!("`{line}` of the Sidecar imports it"), line.span);
        }
        if let Some(waypoint) = definition.waypoint(self.mesh()) {
            let text = format!("sidecars call its endpoints, and not its waypoint `{waypoint}`");
            draft.tell(text, waypoint.span);
        }
        let Some(found) = definition.ports().into_iter().find(|p| p.number == port) else {
            let why =
                Step::new(format!("`{}` has no port {port}", short(name)), definition.named_at());
            let unread = definition.has_unread_ports();
            draft.add(if unread {
                Draft::only(Action::Unseen(why))
            } else {
                self.unregistered(why)
            });
            return draft;
        };
        draft.tell(
            format!("{}: rules for `{}` count", found.why.text, found.protocol.field()),
            found.why.span,
        );
        draft.add(match found.protocol {
            Protocol::Http | Protocol::Auto => {
                let mut draft = self.http(definition, name, follow);
                let default = draft.choices.iter_mut().filter(|choice| choice.rule.is_none());
                default.for_each(|choice| choice.retries = self.retries(None));
                draft
            }
            Protocol::Tls => self.tls(definition, name),
            Protocol::Tcp => self.tcp(definition, name),
            Protocol::Udp => Draft {
                choices: vec![Choice::new(Action::Passthrough(found.why))],
                ..Draft::default()
            },
        });
        draft
    }

    /// How often a request is tried again, as a rule or else the mesh says.
    fn retries(&self, of_rule: Option<&Retries>) -> u32 {
        let mut configs = self.mesh().mesh_configs(self.scope.plane);
        let of_mesh = configs.find_map(|config| config.default_http_retry_policy.as_ref());
        retries::times(of_rule, of_mesh)
    }

    /// The way of what no service takes.
    fn unknown(&self, why: &Step) -> Action<'m> {
        let (open, policy) = self.scope.lets_unknown_out();
        let step = Step::new(format!("{}; {}", why.text, policy.text), policy.span.or(why.span));
        if open { Action::Passthrough(step) } else { Action::Blocked(step) }
    }
}

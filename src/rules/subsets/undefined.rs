//! Subsets that routes name and that some clients, or the gateway on their way, do not know.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use super::{clusters_of, plural};
use crate::clusters::{Cluster, ClusterId};
use crate::finding::{Finding, Findings, Fix, Severity};
use crate::kinds::{is_placeholder, may_be};
use crate::mesh::{
    AppliedRule, Choice, Client, Host, Lookup, Mesh, Route, Share, Subset, list, short, subsets_of,
};
use crate::rules::BY_OTHERS;
use crate::source::{Span, Text};

pub(super) fn undefined_subset(mesh: &Mesh, found: &mut Findings) {
    let gateways = LazyCell::new(|| unknown_to_gateways(mesh));
    for lacking in lacking(mesh) {
        let first = lacking.first();
        let name = lacking.name;
        let finding = found.say(lacking.message(mesh), first.name_at(), at_route(first.share()));
        for at in lacking.routes.values().filter(|at| at.name_at() != first.name_at()) {
            finding.also(at.name_at(), at_route(at.share()));
        }
        if first.share() != Share::Some {
            finding.lower(Severity::Warning);
        }
        if lacking.is_of_unseen_host(mesh) {
            finding.milder(Severity::Warning, BY_OTHERS);
        }
        lacking.label_rule(mesh, finding);
        for unknown in gateways.iter().filter(|u| lacking.is_cause_of(u)) {
            let there = list(unknown.to.iter().map(|(to, _)| to.name.as_str()));
            finding.also(
                unknown.defined.name.span,
                format!(
                    "defined for `{}`, whose requests to endpoints in {there} are reset by the gateway there",
                    unknown.from.name
                ),
            );
        }
        lacking.label_elsewhere(mesh, finding);
        finding.help(lacking.help(mesh));
        if let Some(nearest) = lacking.nearest(mesh) {
            let spans = lacking.routes.keys().map(|span| (*span, nearest.clone()));
            let edits = spans.collect();
            finding.fix([Fix {
                edits,
                ..Fix::unsafe_replace(format!("use `{nearest}`"), name.span, "")
            }]);
        }
    }
}

fn at_route(share: Share) -> &'static str {
    match share {
        Share::Some => "no such subset: 503 for every request that comes here",
        Share::None => "no such subset: 503 as soon as it gets a share",
        Share::Copies => "no such subset: nothing is mirrored",
    }
}

/// The text of a route in all clusters whose clients lack its subset.
struct Lacked<'m> {
    /// The route, in each of them.
    routes: Vec<Route<'m>>,
}

impl Lacked<'_> {
    fn name_at(&self) -> Span {
        let route = &self.routes[0];
        route.subset().map_or(route.destination.span, |name| name.span)
    }

    fn share(&self) -> Share {
        self.routes[0].share
    }
}

/// Routes that name one subset of one host, and whose clients lack it for one reason.
struct Lacking<'m> {
    host: String,
    name: &'m Text,
    /// Routes by where they name the subset.
    routes: BTreeMap<Span, Lacked<'m>>,
    without: Without<'m>,
}

/// Clients for whom a route's subset does not exist.
#[derive(Default)]
struct Without<'m> {
    clusters: BTreeSet<ClusterId>,
    namespaces: BTreeSet<&'m str>,
    /// The rule that the first of them get, where there is one.
    rule: Option<AppliedRule<'m>>,
    /// Who these are, where it depends on the workload.
    workload: Option<&'m str>,
}

/// Texts that are laid over each other: the rule's, or the route's own where no rule applies.
type Reason = Vec<(Span, Vec<Span>)>;

/// All that is lacking, in the order of the first route.
fn lacking(mesh: &Mesh) -> Vec<Lacking<'_>> {
    let mut all: BTreeMap<(String, String, Reason), Lacking<'_>> = BTreeMap::new();
    for route in mesh.routes().into_iter().chain(mesh.mirrors()) {
        let Some(name) = named(&route) else { continue };
        let Some(without) = clients_without(mesh, &route, name) else { continue };
        let parts = without.rule.iter().flat_map(|rule| &rule.parts).map(|part| &part.meta);
        let mut reason: Reason = parts.map(|meta| (meta.span, meta.layers.clone())).collect();
        if reason.is_empty() {
            reason.push((route.service.meta.span, Vec::new()));
        }
        let key = (route.host.clone(), name.as_str().to_owned(), reason);
        let one = all.entry(key).or_insert_with(|| Lacking {
            host: route.host.clone(),
            name,
            routes: BTreeMap::new(),
            without: Without {
                rule: without.rule,
                workload: without.workload,
                ..Without::default()
            },
        });
        one.without.clusters.extend(without.clusters);
        one.without.namespaces.extend(without.namespaces);
        one.routes
            .entry(name.span)
            .or_insert_with(|| Lacked { routes: Vec::new() })
            .routes
            .push(route);
    }
    let mut all: Vec<_> = all.into_values().collect();
    all.sort_by_key(|one| one.first().name_at());
    all
}

impl<'m> Lacking<'m> {
    /// The route that does the most harm, and of these the first.
    fn first(&self) -> &Lacked<'m> {
        let harm = |at: &&Lacked<'_>| match at.share() {
            Share::Some => 0,
            Share::None => 1,
            Share::Copies => 2,
        };
        self.routes.values().min_by_key(harm).expect("a route lacks it")
    }

    /// Whether the host is not in the input either, so that its rule may come from where the host does.
    fn is_of_unseen_host(&self, mesh: &Mesh) -> bool {
        self.without.rule.is_none()
            && mesh.host(&self.host).is_none()
            && !self.planes().all(|plane| mesh.is_complete_under(plane))
    }

    fn planes(&self) -> impl Iterator<Item = ClusterId> {
        self.routes.values().flat_map(|at| &at.routes).map(|route| route.service.cluster)
    }

    fn message(&self, mesh: &Mesh) -> String {
        let mut whose = namespaces(&self.without.namespaces);
        let several =
            self.without.clusters.iter().any(|cluster| mesh.peers(*cluster).nth(1).is_some());
        if several {
            whose.push_str(&format!(" of {}", self.clusters(mesh)));
        }
        let harm = match self.first().share() {
            Share::Some => "",
            Share::None => ", and gets no request yet",
            Share::Copies => ", so that nothing is mirrored",
        };
        let (name, host) = (self.name, short(&self.host));
        format!("subset `{name}` of `{host}` is not defined for clients in {whose}{harm}")
    }

    fn clusters(&self, mesh: &Mesh) -> String {
        list(self.without.clusters.iter().map(|cluster| mesh.cluster_name(*cluster)))
    }

    /// The same text in another cluster, where it defines the subset: something is laid over it here.
    fn sibling(&self, mesh: &'m Mesh) -> Option<Subset<'m>> {
        let parts = self.without.rule.iter().flat_map(|rule| &rule.parts);
        let same = parts.flat_map(|part| {
            mesh.destination_rules.iter().filter(|other| other.meta.span == part.meta.span)
        });
        same.flat_map(subsets_of).find(|subset| subset.name == self.name)
    }

    /// What is laid over the rule here, and not where its text defines the subset.
    fn layers(&self, mesh: &'m Mesh) -> Vec<Span> {
        let parts = self.without.rule.iter().flat_map(|rule| &rule.parts);
        let layers = parts.flat_map(|part| part.meta.layers.iter().copied());
        let sibling = self.sibling(mesh);
        let there = |span: &Span| sibling.is_some_and(|s| s.rule.meta.layers.contains(span));
        layers.filter(|span| !there(span)).collect()
    }

    /// Points at the rule that lacks the subset, and at what took it away.
    fn label_rule(&self, mesh: &'m Mesh, finding: &mut Finding) {
        let Some(rule) = &self.without.rule else { return };
        let first = rule.parts[0];
        let text = match (rule.selector(), self.without.workload) {
            (Some(_), Some(workload)) => format!(
                "the rule that applies to `{workload}` does not define it, and adds nothing to others"
            ),
            _ => "the rule that applies does not define it".to_owned(),
        };
        finding.also(first.host.as_ref().map_or(first.named_at(), |h| h.span), text);
        for layer in self.layers(mesh) {
            let what = if self.sibling(mesh).is_some() {
                "takes it away"
            } else {
                "and does not define it"
            };
            finding.also(layer, format!("laid over the rule in {}, {what}", self.clusters(mesh)));
        }
    }

    /// Points at where the subset is defined, and not for these clients.
    fn label_elsewhere(&self, mesh: &'m Mesh, finding: &mut Finding) {
        if let Some(sibling) = self.sibling(mesh) {
            let others = clusters_of(&mesh.destination_rules, sibling.rule)
                .filter(|id| mesh.subsets_of(&self.host, *id).iter().any(|s| s.name == self.name));
            let others = list(others.map(|id| mesh.cluster_name(id)));
            finding.also(sibling.name.span, format!("defined here for {others}"));
        } else if let Some(elsewhere) = self.elsewhere(mesh) {
            finding
                .also(elsewhere.name.span, "defined here, in a rule that does not apply to them");
        }
    }

    /// A subset of the name that the same control planes know for others.
    fn elsewhere(&self, mesh: &'m Mesh) -> Option<Subset<'m>> {
        self.planes().find_map(|plane| {
            mesh.subsets_of(&self.host, plane).into_iter().find(|s| s.name == self.name)
        })
    }

    fn help(&self, mesh: &'m Mesh) -> String {
        match self.sibling(mesh) {
            Some(_) => format!(
                "define it in what is laid over the rule too, or change these routes in {} alike",
                self.clusters(mesh)
            ),
            None => "define it in the DestinationRule that applies to these clients, or correct the name"
                .to_owned(),
        }
    }

    /// A name that was probably meant; none where a route's text holds for clients who have the subset.
    fn nearest(&self, mesh: &'m Mesh) -> Option<String> {
        let is_right_elsewhere = |at: &Lacked<'m>| {
            let lacked: BTreeSet<_> = at.routes.iter().map(|r| r.service.cluster).collect();
            clusters_of(&mesh.virtual_services, at.routes[0].service)
                .any(|id| !lacked.contains(&id))
        };
        if self.elsewhere(mesh).is_some() || self.routes.values().any(is_right_elsewhere) {
            return None;
        }
        let known = self.without.rule.iter().flat_map(AppliedRule::subsets);
        match Lookup::<()>::absent(self.name, known.map(|s| s.name.as_str())) {
            Lookup::Absent { nearest } => nearest,
            _ => None,
        }
    }

    fn is_cause_of(&self, unknown: &Unknown<'_>) -> bool {
        let mut planes = self.planes();
        self.host == unknown.host.name
            && self.name == unknown.name
            && planes.any(|plane| unknown.to.iter().any(|(_, gateway)| *gateway == plane))
    }
}

/// The subset that a route names, where nothing is still to be filled in.
fn named<'m>(route: &Route<'m>) -> Option<&'m Text> {
    route.subset().filter(|name| !is_placeholder(name))
}

/// Whether a rule defines a subset of that name, or may do so once it is applied.
fn may_have(mesh: &Mesh, rule: &AppliedRule<'_>, name: &Text) -> bool {
    rule.subsets().iter().any(|s| may_be(s.name, name))
        || rule.parts.iter().any(|part| mesh.is_assumed(&part.meta))
}

/// The clients whose rule does not define the subset that a route names; none where that is not sure.
fn clients_without<'m>(mesh: &'m Mesh, route: &Route<'m>, name: &Text) -> Option<Without<'m>> {
    let (service, plane) = (route.service, route.service.cluster);
    let host_namespace = mesh.namespace_of_host(&route.host);
    let elsewhere = mesh.subsets_of(&route.host, plane).iter().any(|s| s.name == name);
    let choose = |client: &Client<'m>| mesh.choose_rule(client, &route.host, host_namespace, plane);
    let has_or_may = |choice: &Choice<'m>| {
        choice.order_decides && elsewhere
            || choice.rule.as_ref().is_some_and(|r| may_have(mesh, r, name))
    };
    let mut without = Without::default();
    let mut add = |client: &Client<'m>, choice: &Choice<'m>, workload: Option<&'m str>| {
        // Without any rule in sight, the rule may stand outside the input.
        if choice.rule.is_none() && !mesh.would_show_rules(*client, host_namespace, route) {
            return;
        }
        without.clusters.insert(client.cluster);
        without.namespaces.insert(client.namespace);
        if without.rule.is_none() {
            (without.rule, without.workload) = (choice.rule.clone(), workload);
        }
    };
    let mut apart = mesh.namespaces_with_other_rules(&route.host, plane);
    apart.insert(&service.namespace);
    for first in mesh.clients_apart(service, &apart) {
        let choice = choose(&first);
        if choice.by_labels.is_empty() && has_or_may(&choice) {
            continue;
        }
        for client in mesh.clients_like(&first, service, &apart) {
            if choice.by_labels.is_empty() {
                add(&client, &choice, None);
                continue;
            }
            // Labels decide: each workload is a client of its own.
            for workload in mesh.workloads.of_namespace(client.cluster, client.namespace) {
                let labels = Some(&workload.template.metadata.labels);
                let choice = choose(&Client { labels, ..client });
                if choice.by_labels.is_empty() && !has_or_may(&choice) {
                    add(&client, &choice, Some(workload.name()));
                }
            }
        }
    }
    (!without.namespaces.is_empty()).then_some(without)
}

fn namespaces(names: &BTreeSet<&str>) -> String {
    match names.len() {
        0..=3 => format!("{} {}", plural(names.len(), "namespace"), list(names.iter().copied())),
        n => format!("{n} namespaces"),
    }
}

/// A subset that the gateways of other networks do not know.
struct Unknown<'m> {
    host: Host<'m>,
    name: &'m Text,
    /// Where routes name it.
    routes: BTreeSet<Span>,
    /// Where it is defined, for a cluster that sends requests.
    defined: Subset<'m>,
    from: &'m Cluster,
    /// The clusters that get them, with those whose configuration their gateways have.
    to: Vec<(&'m Cluster, ClusterId)>,
}

pub(super) fn destination_subset_missing_across_clusters(mesh: &Mesh, found: &mut Findings) {
    let said = LazyCell::new(|| lacking(mesh));
    for unknown in unknown_to_gateways(mesh) {
        // That clients there lack it too is worse.
        if said.iter().any(|lacking| lacking.is_cause_of(&unknown)) {
            continue;
        }
        let Unknown { host, name, routes, defined, from, to } = unknown;
        let there = list(to.iter().map(|(to, _)| to.name.as_str()));
        let gateways = plural(to.len(), "gateway");
        let mut routes = routes.into_iter();
        let finding = found.say(
            format!(
                "subset `{name}` of `{}` is unknown to the {gateways} of {there}",
                host.short()
            ),
            routes.next().unwrap_or(name.span),
            format!("requests from `{}` to endpoints in {there} are reset", from.name),
        );
        for route in routes {
            finding.also(route, "and so are these");
        }
        finding.also(defined.name.span, format!("defined for `{}`", from.name));
        for network in to.iter().filter_map(|(to, _)| to.network()) {
            finding.also(network.span, "another network: only the gateway leads there");
        }
        let planes: BTreeSet<_> = to.iter().map(|(_, plane)| mesh.cluster_name(*plane)).collect();
        finding.help(format!(
            "apply the DestinationRule in {} too: a gateway builds a way in for each subset it knows",
            list(planes)
        ));
    }
}

/// The subsets of routes that gateways on the way do not know; each once in a mesh.
fn unknown_to_gateways(mesh: &Mesh) -> Vec<Unknown<'_>> {
    let mut all: BTreeMap<_, Unknown<'_>> = BTreeMap::new();
    let mut without = BTreeMap::new();
    for route in mesh.routes() {
        let (Some(name), Some(host)) = (named(&route), mesh.host(&route.host)) else { continue };
        let here = mesh.cluster(route.service.cluster);
        let key = (here.mesh, host.name, name.as_str());
        let lacking = without.entry(key).or_insert_with(|| {
            let knows =
                |plane| mesh.subsets_of(host.name, plane).iter().any(|s| may_be(s.name, name));
            let all = mesh.clusters_with_backends(host, here.id).into_iter();
            let planes = all.filter_map(|id| Some((id, mesh.config_cluster(id).found()?)));
            planes.filter(|(_, plane)| !knows(*plane)).collect::<Vec<_>>()
        });
        if lacking.is_empty() {
            continue;
        }
        let Some(defined) = mesh.subsets_of_route(&route).into_iter().next() else { continue };
        for &(id, plane) in lacking.iter() {
            let there = mesh.cluster(id);
            let (Some(from), Some(to)) = (here.network(), there.network()) else { continue };
            let seen = mesh.has_seen(plane, "DestinationRule", &defined.rule.namespace);
            let reaches = defined.cluster_label().is_none_or(|c| there.is_called(c));
            if from == to || !seen || !reaches || plane == here.id {
                continue;
            }
            let one = all.entry(key).or_insert_with(|| Unknown {
                host,
                name,
                routes: BTreeSet::new(),
                defined,
                from: here,
                to: Vec::new(),
            });
            one.routes.insert(name.span);
            if !one.to.iter().any(|(known, _)| known.id == id) {
                one.to.push((there, plane));
            }
        }
    }
    let mut all: Vec<_> = all.into_values().collect();
    all.sort_by_key(|one| one.name.span);
    all
}

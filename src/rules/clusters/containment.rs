//! What keeps the failure of one cluster from spreading, and lets somebody notice it.

use crate::access::{Access, OF_CLUSTERS};
use crate::clusters::{Cluster, Origin, Role, Telling};
use crate::finding::Findings;
use crate::kinds::monitoring::AlertRules;
use crate::mesh::{In, Mesh, list};
use crate::rules::{Rule, rule};

pub(in crate::rules) const RULES: &[Rule] = &[
    rule!(
        "clusters/all-primaries-watch-all-blast-radius",
        access: all_primaries_watch_all_blast_radius
    ),
    rule!("clusters/folder-of-another-cluster", folder_of_another_cluster),
    rule!("clusters/gitops-generator-same-destination", gitops_generator_same_destination),
    rule!("clusters/no-remote-sync-alert", access: no_remote_sync_alert),
    rule!(
        "clusters/shared-ingress-without-health-failover",
        shared_ingress_without_health_failover
    ),
];

/// How metrics of Istio's control plane and proxies begin.
const OF_ISTIO: [&str; 6] = ["istio_", "istiod_", "pilot_", "citadel_", "galley_", "envoy_"];

/// How many further places one finding points at.
const SHOWN: usize = 5;

fn gitops_generator_same_destination(mesh: &Mesh, found: &mut Findings) {
    for same in mesh.one_servers() {
        let [(first, at), others @ ..] = same.clusters.as_slice() else { continue };
        let names = list(same.clusters.iter().map(|(name, _)| name.as_str()));
        let Some((other, other_at)) = others.iter().find(|(name, _)| name != first) else {
            continue;
        };
        found
            .say(
                format!("ApplicationSet `{}` brings {names} to one API server", same.set.as_str()),
                *other_at,
                format!("`{other}` is the cluster of `{first}`: what comes last is there"),
            )
            .also(*at, format!("`{first}` has the same address"))
            .help("give each element the address of its own cluster, as `argocd cluster list` shows it");
    }
}

fn folder_of_another_cluster(mesh: &Mesh, found: &mut Findings) {
    for astray in mesh.astray() {
        let (of, to) = (mesh.cluster_name(astray.of.0), mesh.cluster_name(astray.to.0));
        let (is_named, shown, what) = match &astray.tells {
            Telling::Name(name) => (true, name, format!("the name of `{of}`")),
            Telling::Network(network) => (false, network, format!("the network of `{of}`")),
            Telling::Remote(key) => (false, key, format!("leads to `{to}`")),
        };
        let why = match &astray.idle {
            Some(idle) if !is_named => format!(", while `{idle}` is brought to none"),
            _ => format!(", which then passes for `{of}`"),
        };
        let finding = found.say(
            format!("`{to}` is brought `{}`, which was made for `{of}`", astray.folder),
            astray.to.1,
            format!("brings it to `{to}`{why}"),
        );
        if astray.of.1 != astray.to.1 {
            finding.also(astray.of.1, format!("brings it to `{of}`"));
        }
        finding.also(shown.span, what);
        finding.help(match &astray.idle {
            Some(idle) => format!("point `path` at `{idle}`"),
            None => format!("give `{to}` a folder of its own, or let patches or `postBuild.substitute` fill in what differs"),
        });
    }
}

fn no_remote_sync_alert(access: &Access<'_>, found: &mut Findings) {
    let mesh = access.mesh();
    for clusters in mesh.meshes_of_several() {
        let here = |id| clusters.iter().any(|c| c.id == id);
        let reads: Vec<_> = access.remotes().iter().filter(|r| here(r.holder)).collect();
        let rules = || mesh.alert_rules.iter().filter(|rules| here(rules.cluster));
        let is_open = clusters.iter().any(|c| mesh.may_bring(c.id, "PrometheusRule"))
            || rules().any(|rules| mesh.is_assumed(&rules.meta) || !rules.meta.unread.is_empty());
        let watches = |rules: &In<AlertRules>| {
            let mut names = OF_CLUSTERS.iter().map(|metric| metric.name);
            names.any(|name| rules.expressions().any(|expr| expr.contains(name)))
        };
        // Alerts on Istio that are kept elsewhere may have these too.
        let mut of_istio = rules().filter(|rules| is_of_istio(rules));
        let Some(first) = of_istio.next() else { continue };
        if reads.is_empty() || is_open || rules().any(watches) {
            continue;
        }
        let finding = found.say(
            "nothing alerts where istiod loses sight of another cluster",
            first.named_at(),
            "has alerts on Istio, none on the API servers that istiod reads",
        );
        for remote in reads.into_iter().take(SHOWN) {
            finding.also(remote.at, "its endpoints go stale unseen when that API server is silent");
        }
        finding.help(
            "alert on `sum by (cluster) (rate(controller_sync_errors_total[5m])) > 0` and \
             `increase(remote_cluster_sync_timeouts_total[15m]) > 0`, for each istiod",
        );
    }
}

fn is_of_istio(rules: &In<AlertRules>) -> bool {
    let is_word = |text: &str, at: usize| {
        !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
    };
    rules.expressions().any(|expr| {
        let mut begins = OF_ISTIO.iter().flat_map(|word| expr.match_indices(word));
        begins.any(|(at, _)| is_word(expr, at))
    })
}

fn all_primaries_watch_all_blast_radius(access: &Access<'_>, found: &mut Findings) {
    let mesh = access.mesh();
    let option = mesh.option("clusters/all-primaries-watch-all-blast-radius", "clusters");
    let fewest: usize = option.and_then(|told| told.parse().ok()).unwrap_or(5);
    for clusters in mesh.meshes() {
        let planes = clusters.iter().filter(|c| c.role() == Some(Role::Primary));
        let planes: Vec<&&Cluster> = planes.collect();
        let reads_all =
            |a: &&Cluster| planes.iter().all(|b| a.id == b.id || access.leads_to(a.id, b.id));
        if planes.len() < fewest.max(2) || !planes.iter().all(|plane| reads_all(plane)) {
            continue;
        }
        let mut secrets = planes.iter().filter_map(|c| access.of_cluster(c.id).first());
        let Some(first) = secrets.next() else { continue };
        let count = planes.len();
        let finding = found.say(
            format!(
                "{count} control planes read each other's API servers: {} credentials, each for all of a cluster",
                count * (count - 1)
            ),
            first.at,
            "what breaks one API server, or steals one credential store, reaches all clusters",
        );
        for remote in secrets.take(SHOWN) {
            finding.also(remote.at, format!("held by `{}`", mesh.cluster_name(remote.holder)));
        }
        finding.help(
            "join in one mesh what calls each other, and reach the rest through gateways \
             (ServiceEntry, MCS); several data planes may also share a control plane",
        );
    }
}

fn shared_ingress_without_health_failover(mesh: &Mesh, found: &mut Findings) {
    for clusters in mesh.meshes_of_several() {
        let mut entered = clusters.iter().filter_map(|c| Some((*c, mesh.entrances(c.id).next()?)));
        let (Some((only, entrance)), None) = (entered.next(), entered.next()) else { continue };
        let mut others = clusters.iter().filter(|c| c.id != only.id);
        if !others.all(|c| has_no_ingress(mesh, c, &entrance.namespace))
            || mesh.is_assumed(&entrance.meta)
        {
            continue;
        }
        let routed = mesh.routes().into_iter().filter(|route| {
            let here = clusters.iter().any(|c| c.id == route.service.cluster);
            here && route.service.is_for_gateways()
        });
        let mut elsewhere = routed.filter_map(|route| {
            let local = mesh.is_cluster_local(&route.host, route.service.cluster);
            let host = mesh.host(&route.host).filter(|_| !local)?;
            let mut services = host.services().filter(|s| mesh.same_mesh(s.cluster, only.id));
            services.find(|s| s.cluster != only.id)
        });
        let Some(service) = elsewhere.next() else { continue };
        let (name, other) = (&only.name, mesh.cluster_name(service.cluster));
        found
            .say(
                format!("requests from outside enter through `{name}` alone"),
                entrance.named_at(),
                format!("when `{name}` is lost, nobody outside reaches what runs in `{other}`"),
            )
            .also(service.named_at(), format!("goes on in `{other}`, unreachable from outside"))
            .help(format!(
                "run an ingress gateway in `{other}` too, with the same Gateway and certificate, and let DNS \
                 or the global load balancer check the health of both"
            ));
    }
}

/// Whether a cluster certainly has no gateway for the outside: the Services of its namespace are there, and
/// nothing may bring one, a profile with gateways least of all.
fn has_no_ingress(mesh: &Mesh, cluster: &Cluster, namespace: &str) -> bool {
    let bare = ["minimal", "remote", "empty", "ambient", "external"];
    let mut operators = cluster.facts.installs.iter().filter(|i| i.origin == Origin::IstioOperator);
    let brings = operators.any(|install| {
        let is_bare = install.profile().is_some_and(|profile| bare.contains(&profile.as_str()));
        !is_bare || !install.install.components.ingress_gateways.is_empty()
    });
    let of_api = mesh.api_gateways.of_cluster(cluster.id).iter().any(|g| !g.takes_hbone());
    // A chart may be one even where nothing else lives outside the input.
    let mut all = mesh.supplies(cluster.id).iter();
    let supplied = all.any(|supply| !supply.is_machinery() && supply.brings("Service"));
    mesh.has_seen(cluster.id, "Service", namespace) && !brings && !of_api && !supplied
}

//! Ambient over several networks: what has to be switched on, and told alike.

use std::collections::BTreeSet;

use crate::clusters::{Cluster, DEFAULT_NAME, Installed, is_on};
use crate::finding::Findings;
use crate::kinds::core::Service;
use crate::kinds::is_placeholder;
use crate::kinds::workloads::Container;
use crate::mesh::{In, Mesh, NETWORK_LABEL, PodShape, list, value};
use crate::source::{Span, Text};

/// The feature of istiod without which ambient keeps to its own network.
const FEATURE: &str = "AMBIENT_ENABLE_MULTI_NETWORK";
/// The label of Services that ambient calls across networks.
const GLOBAL: &str = "istio.io/global";

fn is_global(service: &In<Service>) -> bool {
    value(service.meta.label(GLOBAL)) == Some("true")
}

/// What asks for ambient over several networks in a mesh.
fn asked(mesh: &Mesh, of: &Cluster) -> Option<Span> {
    let class = |g: &Text| g.as_str() == "istio-east-west";
    let gateways = mesh.api_gateways.iter().filter(|g| mesh.same_mesh(g.cluster, of.id));
    let mut classes = gateways.filter_map(|g| g.gateway_class_name.as_ref()).filter(|c| class(c));
    let services = mesh.services.iter().filter(|s| mesh.same_mesh(s.cluster, of.id));
    let mut labels = services.filter(|s| is_global(s)).filter_map(|s| s.meta.label(GLOBAL));
    classes.next().or_else(|| labels.next()).map(|text| text.span)
}

pub(super) fn ambient_multinetwork_not_enabled(mesh: &Mesh, found: &mut Findings) {
    for clusters in mesh.meshes() {
        let Some(asked) = clusters.first().and_then(|first| asked(mesh, first)) else { continue };
        let planes = clusters.iter().copied().filter(|c| mesh.is_read_in(c.id));
        let planes: Vec<&Cluster> = planes.collect();
        let told = |c: &Cluster| c.facts.istiod_env(FEATURE).cloned();
        let on = planes.iter().find(|c| told(c).is_some_and(|told| is_on(&told)));
        let off = |c: &&&Cluster| match told(c) {
            Some(told) => !is_on(&told) && !told.is_empty() && !is_placeholder(&told),
            None => !c.facts.istiod_env.is_empty() && (on.is_some() || c.is_complete()),
        };
        let without: Vec<&&Cluster> = planes.iter().filter(off).collect();
        let Some(first) = without.first() else { continue };
        let finding = found.say(
            format!(
                "ambient is to span networks, and `{FEATURE}` is not on in {}",
                list(without.iter().map(|c| c.name.as_str()))
            ),
            asked,
            "counts for nothing there: requests stay in the client's network",
        );
        for plane in &without {
            if let Some(told) = told(plane) {
                finding.also(told.span, format!("off in `{}`", plane.name));
            }
        }
        finding.help(format!(
            "set `pilot.env.{FEATURE}: \"true\"` in `{}`, as in all primaries of the mesh",
            first.name
        ));
    }
}

pub(super) fn ambient_global_label_inconsistent(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for host in mesh.hosts() {
        for service in host.services().filter(|s| !mesh.is_assumed(&s.meta)) {
            let label = service.meta.label(GLOBAL);
            let open = label.is_some_and(|label| is_placeholder(label));
            let near = |s: &&In<Service>| s.cluster != service.cluster && is_global(s);
            let other = host.services_of_mesh(service.cluster).find(near);
            let Some(other) = other.filter(|_| !open && !is_global(service)) else { continue };
            let at = label.map_or(service.named_at(), |label| label.span);
            if !told.insert(at) {
                continue;
            }
            let (a, b) = (mesh.cluster_name(other.cluster), mesh.cluster_name(service.cluster));
            let finding = found.say(
                format!("`{}` is global in `{a}` and not in `{b}`", host.short()),
                at,
                format!("its pods in `{b}` are left out for clients of ambient in other networks"),
            );
            if let Some(label) = other.meta.label(GLOBAL) {
                finding.also(label.span, format!("global in `{a}`"));
            }
            finding.help(format!("label the Service `{GLOBAL}: \"true\"` in all clusters, and its waypoint's Service too"));
        }
    }
}

/// The ways into a network that gateways offer, where all of them are known.
struct WaysIn<'m> {
    at: Span,
    mtls: bool,
    hbone: bool,
    gateways: Vec<&'m In<Service>>,
}

fn ways_in<'m>(mesh: &'m Mesh, network: &str, inside: &[&Cluster]) -> Option<WaysIn<'m>> {
    let first = inside.first()?.id;
    let of = |cluster| mesh.same_mesh(cluster, first);
    let leads = |label: Option<&Text>| value(label) == Some(network);
    let services =
        mesh.services.iter().filter(|s| of(s.cluster) && leads(s.meta.label(NETWORK_LABEL)));
    let gateways: Vec<&In<Service>> = services.collect();
    let written = mesh.api_gateways.iter();
    let written =
        || written.clone().filter(|g| of(g.cluster) && leads(g.meta.label(NETWORK_LABEL)));
    let listens = |protocol: &str| {
        written().any(|g| g.listeners.iter().any(|l| value(l.protocol.as_ref()) == Some(protocol)))
    };
    let peers = || mesh.peers(first);
    let by_networks =
        peers().any(|c| c.facts.mesh_networks.iter().any(|(n, _)| n.as_str() == network));
    let installed = peers().any(|c| c.facts.network_gateways.iter().any(|n| n.as_str() == network));
    let open = gateways.iter().any(|s| s.has_unread_ports() || mesh.is_assumed(&s.meta))
        || written().any(|g| mesh.is_assumed(&g.meta))
        || inside.iter().any(|c| mesh.may_bring(c.id, "Service"));
    let labels = gateways.iter().map(|s| &s.meta).chain(written().map(|g| &g.meta));
    let at = labels.filter_map(|meta| meta.label(NETWORK_LABEL)).map(|label| label.span).next()?;
    let mtls = listens("TLS") || gateways.iter().any(|s| s.takes_other_networks());
    let hbone = listens("HBONE") || gateways.iter().any(|s| s.takes_hbone());
    (!open && !by_networks && !installed && (mtls || hbone)).then_some(WaysIn {
        at,
        mtls,
        hbone,
        gateways,
    })
}

pub(super) fn ambient_gateway_mode_mismatch(mesh: &Mesh, found: &mut Findings) {
    for clusters in mesh.meshes() {
        let Some(first) = clusters.first() else { continue };
        for (network, inside) in mesh.networks(first.id) {
            let Some(ways) = ways_in(mesh, network, &inside) else { continue };
            if ways.mtls && ways.hbone {
                continue;
            }
            // Ambient calls other networks for what is global alone.
            let mut there =
                mesh.services.iter().filter(|s| inside.iter().any(|c| c.id == s.cluster));
            let service =
                there.find(|s| (ways.hbone || is_global(s)) && mesh.is_called_across_networks(s));
            let client = mesh.pod_shapes().find(|pods| {
                let here = mesh.cluster(pods.cluster);
                let far = inside.first().is_some_and(|c| mesh.in_different_networks(here, c));
                let in_mesh = mesh.same_mesh(pods.cluster, first.id);
                let own = pods.namespace != here.facts.system_namespace() && !pods.is_of_istio();
                let speaks =
                    || if ways.hbone { mesh.has_sidecar(pods) } else { mesh.is_ambient(pods) };
                far && in_mesh && own && speaks() == Some(true) && !mesh.is_assumed(pods.meta)
            });
            if let Some((service, client)) = service.zip(client) {
                say_mismatch(mesh, network, &ways, service, &client, found);
            }
        }
    }
}

fn say_mismatch(
    mesh: &Mesh,
    network: &str,
    ways: &WaysIn<'_>,
    service: &In<Service>,
    client: &PodShape<'_>,
    found: &mut Findings,
) {
    let from = mesh.cluster_name(client.cluster);
    let (who, label) = if ways.hbone {
        (
            "clients with sidecars",
            "takes HBONE alone, which only ztunnel and waypoints send to other networks",
        )
    } else {
        ("clients in ambient", "takes mTLS of sidecars alone: ztunnel drops what has to go there")
    };
    let finding = found.say(
        format!("{who} in `{from}` have no way into network `{network}`"),
        ways.at,
        label,
    );
    for gateway in ways.gateways.iter().take(1) {
        finding.also(gateway.named_at(), "the gateway's ports");
    }
    finding.also(client.named_at(), format!("a client in `{from}`"));
    finding.also(service.named_at(), "a service that both networks have");
    finding.help(if ways.hbone {
        "give the network a classic east-west gateway too: port 15443, and a Gateway with \
         `AUTO_PASSTHROUGH`"
    } else {
        "give the network a Gateway of class `istio-east-west` too, with a listener of protocol `HBONE` at \
         port 15008"
    });
}

/// What a DaemonSet of ztunnel, or what installs it, says of itself.
struct Said<'m> {
    what: &'static str,
    told: Option<&'m Text>,
    at: Span,
}

/// The cluster's name that ztunnel has: in its environment, or in the values of its chart.
fn names_of_ztunnel<'m>(mesh: &'m Mesh, cluster: &'m Cluster) -> Vec<Said<'m>> {
    let here = mesh.workloads.of_cluster(cluster.id).iter();
    let rendered =
        here.filter(|w| w.meta.kind.as_str() == "DaemonSet" && !mesh.is_assumed(&w.meta));
    let env =
        rendered.flat_map(|w| &w.template.spec.containers).filter(|c| c.name == "istio-proxy");
    let ztunnel = |c: &&Container| c.args.iter().any(|arg| arg.as_str() == "ztunnel");
    let env = env.filter(ztunnel).flat_map(|c| c.env.iter().filter(|e| e.name == "CLUSTER_ID"));
    let env = env.filter_map(|e| e.value.as_ref());
    let env = env.map(|told| Said { what: "`CLUSTER_ID`", told: Some(told), at: told.span });
    let charts = cluster.facts.installs.iter().filter(|i| i.chart_name() == Some("ztunnel"));
    let is_sure = |i: &&Installed| i.meta.as_ref().is_none_or(|meta| !mesh.is_assumed(meta));
    let charts = charts.filter(is_sure).filter_map(|i| {
        let values = i.values();
        let own = values.multi_cluster.cluster_name.as_ref();
        let told = own.or(values.global.multi_cluster.cluster_name.as_ref());
        let at = told.map(|t| t.span).or_else(|| i.chart.as_ref().map(|c| c.span))?;
        let what = "`multiCluster.clusterName`";
        (i.is_whole || told.is_some()).then_some(Said { what, told, at })
    });
    env.chain(charts).collect()
}

pub(super) fn ztunnel_identity_values(mesh: &Mesh, found: &mut Findings) {
    let mut told = BTreeSet::new();
    for cluster in mesh.clusters() {
        let all = names_of_ztunnel(mesh, cluster);
        let own =
            |text: &Text| all.iter().any(|said| said.told.is_some_and(|t| t.span == text.span));
        let mut names = cluster.facts.name.iter().map(|fact| &fact.value);
        let Some(name) = names.find(|name| !own(name) && !is_placeholder(name)) else { continue };
        for Said { what, told: has, at } in &all {
            let has = value(*has).filter(|has| !has.is_empty()).unwrap_or(DEFAULT_NAME);
            if has == name.as_str() || is_placeholder(has) || !told.insert(*at) {
                continue;
            }
            found
                .say(
                    format!("ztunnel of `{}` says that it is in cluster `{has}`, which istiod calls `{name}`", cluster.name),
                    *at,
                    format!("{what} is `{has}`: istiod refuses it certificates, as it knows no such cluster"),
                )
                .also(name.span, format!("`{name}` for istiod"))
                .help(format!(
                    "set `multiCluster.clusterName: {name}` in the values of the ztunnel chart, at the top and \
                     not below `global`"
                ));
        }
    }
}

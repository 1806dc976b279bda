//! The domain in the names of Services: istiod's, that of other istiods, and that of DNS.

use std::collections::BTreeSet;

use crate::clusters::Cluster;
use crate::finding::{Findings, Severity};
use crate::mesh::{Domain, Exposure, HostPattern, Mesh, without_namespace};

const HELP: &str = "use one domain in all clusters of the mesh: `global.proxy.clusterDomain` as the cluster's \
                    DNS has it, which is `cluster.local` where nothing else is needed";

pub(super) fn cluster_domain_mismatch(mesh: &Mesh, found: &mut Findings) {
    for clusters in mesh.meshes() {
        let planes = clusters.iter().filter(|c| mesh.is_read_in(c.id));
        let known: Vec<(&Cluster, Domain<'_>)> =
            planes.filter_map(|c| Some((*c, mesh.istiod_domain(c.id)?))).collect();
        between_planes(mesh, &known, found);
        let mut told = BTreeSet::new();
        for (cluster, domain) in &known {
            let Some(dns) = mesh.dns_domain(cluster.id).filter(|dns| dns.name != domain.name)
            else {
                continue;
            };
            if told.insert((domain.at, dns.at)) {
                with_dns(cluster, domain, &dns, found);
            }
        }
        at_gateways(mesh, &known, found);
    }
}

/// Control planes of one mesh that name the same Service differently.
fn between_planes(mesh: &Mesh, known: &[(&Cluster, Domain<'_>)], found: &mut Findings) {
    let Some((first, domain)) = known.first() else { return };
    let others: Vec<_> = known.iter().filter(|(_, other)| other.name != domain.name).collect();
    let Some((other, differs)) = others.first() else { return };
    let across = others.iter().any(|(c, _)| mesh.in_different_networks(first, c));
    let effect = if across {
        "requests across networks are reset"
    } else {
        "rules that give full names are for one of them alone"
    };
    let finding = found.say(
        format!(
            "Services are called `*.svc.{}` in `{}` and `*.svc.{}` in `{}`: {effect}",
            domain.name, first.name, differs.name, other.name
        ),
        differs.at,
        format!("`{}` by {}, for Services of all clusters", differs.name, differs.by),
    );
    finding.also(domain.at, format!("`{}` by {}", domain.name, domain.by));
    for (cluster, domain) in others.iter().skip(1) {
        finding.also(domain.at, format!("`{}` in `{}`", domain.name, cluster.name));
    }
    finding.help(HELP);
    if !across {
        finding.lower(Severity::Warning);
    }
}

/// A control plane and the DNS of its own cluster.
fn with_dns(cluster: &Cluster, domain: &Domain<'_>, dns: &Domain<'_>, found: &mut Findings) {
    found
        .say(
            format!(
                "istiod of `{}` calls Services `*.svc.{}`, and the cluster's DNS `*.svc.{}`",
                cluster.name, domain.name, dns.name
            ),
            domain.at,
            format!("`{}` by {}: proxies know no full name that resolves", domain.name, domain.by),
        )
        .also(dns.at, format!("`{}` by {}", dns.name, dns.by))
        .help(HELP);
}

/// Gateways between networks whose hosts are of another domain than all Services.
fn at_gateways(mesh: &Mesh, known: &[(&Cluster, Domain<'_>)], found: &mut Findings) {
    let mut told = BTreeSet::new();
    for service in mesh.gateway_services().filter(|s| s.takes_other_networks()) {
        let plane = mesh.config_cluster(service.cluster).found();
        let Some((_, domain)) = known.iter().find(|(c, _)| Some(c.id) == plane) else { continue };
        // Of the usual domain another rule tells which Services are not let in.
        if domain.name == "cluster.local" {
            continue;
        }
        let Exposure::Open(_, server) = mesh.exposure(service) else { continue };
        let name = format!("name.namespace.svc.{}", domain.name);
        let lets_in = |host: &str| {
            let host = without_namespace(host);
            HostPattern(host).matches(&name) || host.ends_with(domain.name)
        };
        // What names single Services of the usual domain is told by another rule.
        let wide = server.hosts.iter().any(|host| host.trim_start_matches("*/").starts_with('*'));
        let Some(first) = server.hosts.first().filter(|_| wide) else { continue };
        if server.hosts.iter().any(|host| lets_in(host)) || !told.insert(first.span) {
            continue;
        }
        found
            .say(
                format!("the gateway `{}` lets other networks in to no Service: all are called `*.svc.{}`", service.name(), domain.name),
                first.span,
                format!("no name of a Service is like `{first}`: what comes is reset"),
            )
            .also(domain.at, format!("`{}` by {}", domain.name, domain.by))
            .help(format!("hosts `[\"*.{}\"]`", domain.name));
    }
}

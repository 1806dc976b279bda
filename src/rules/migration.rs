//! On the way to several clusters: what merges, or joins, before its time.

use std::collections::BTreeMap;

use super::{Rule, rule};
use crate::access::{Access, Target};
use crate::clusters::ClusterId;
use crate::finding::Findings;
use crate::kinds::core::Service;
use crate::kinds::may_be;
use crate::kinds::networking::ServiceEntry;
use crate::mesh::{In, Mesh, list, value};
use crate::migration::is_stateful;
use crate::rules::SHOWN;
use crate::trust::{Signer, Trust};

pub(super) const RULES: &[Rule] = &[
    rule!("migration/join-before-common-ca", access, trust: join_before_common_ca),
    rule!("migration/serviceentry-merge-conflict", serviceentry_merge_conflict),
    rule!("migration/statefulset-same-name-merge", statefulset_same_name_merge),
];

fn join_before_common_ca(access: &Access<'_>, trust: &Trust<'_>, found: &mut Findings) {
    let mesh = access.mesh();
    for clusters in mesh.meshes_of_several() {
        let own = |id: ClusterId| trust.signer(id) == Signer::SelfSigned;
        let is_joined = |a: ClusterId, b: ClusterId| access.leads_to(a, b);
        let mut secrets = Vec::new();
        for remote in clusters.iter().flat_map(|c| access.of_cluster(c.id)) {
            for entry in &remote.entries {
                let Target::Cluster(to) = access.target(remote, entry.key.as_str()) else {
                    continue;
                };
                let both = own(remote.holder) && own(to) && is_joined(remote.holder, to);
                if both && !trust.share_control_plane(remote.holder, to) {
                    secrets.push((entry.key.span, remote.holder, to));
                }
            }
        }
        let [(at, from, to), more @ ..] = secrets.as_slice() else { continue };
        let ends = [*from, *to];
        let [from, to] = [from, to].map(|id| mesh.cluster_name(*id));
        let finding = found.say(
            format!(
                "`{from}` and `{to}` join, and each has a root that its istiod made for itself"
            ),
            *at,
            format!(
                "from here on `{from}` sends requests to `{to}`: its certificates are refused there"
            ),
        );
        for (at, from, to) in more.iter().take(SHOWN) {
            let [from, to] = [from, to].map(|id| mesh.cluster_name(*id));
            finding.also(*at, format!("and `{from}` to `{to}`"));
        }
        for id in ends {
            if let Some(root) = trust.ca_of(id).and_then(|f| f.ca.roots.first()) {
                finding.also(root.span, format!("the root of `{}`", mesh.cluster_name(id)));
            }
        }
        finding.help(
            "plug in a CA first: an intermediate for each cluster under one root, as Secret `cacerts`; \
             bring both roots before the new signer, and keep the remote secret back until then",
        );
    }
}

fn statefulset_same_name_merge(mesh: &Mesh, found: &mut Findings) {
    for host in mesh.hosts() {
        let mut by_mesh: BTreeMap<usize, Vec<&In<Service>>> = BTreeMap::new();
        for service in host.services() {
            if is_stateful(mesh, service) && may_merge(mesh, host.name, service) {
                by_mesh.entry(mesh.cluster(service.cluster).mesh).or_default().push(service);
            }
        }
        for services in by_mesh.into_values().filter(|all| all.len() > 1) {
            let [first, others @ ..] = services.as_slice() else { continue };
            let names = list(services.iter().map(|s| mesh.cluster_name(s.cluster)));
            let finding = found.say(
                format!(
                    "requests to `{}` are spread over the StatefulSets of {names}",
                    host.short()
                ),
                first.named_at(),
                "one service for all clusters: a write here, the read after it there",
            );
            for other in others.iter().filter(|s| !s.is_same_text(first)).take(SHOWN) {
                let cluster = mesh.cluster_name(other.cluster);
                finding.also(other.named_at(), format!("the same name in `{cluster}`"));
            }
            finding.help(format!(
                "keep it within each cluster: `meshConfig.serviceSettings: [{{settings: {{clusterLocal: true}}, hosts: [\"{}\"]}}]`",
                host.name
            ));
        }
    }
}

/// Whether endpoints of a Service are handed to clients of other clusters, and are not spoken to pod by pod.
fn may_merge(mesh: &Mesh, host: &str, service: &In<Service>) -> bool {
    let plane = mesh.config_cluster(service.cluster).found().unwrap_or(service.cluster);
    !mesh.is_cluster_local(host, plane)
        && !mesh.is_assumed(&service.meta)
        && service.type_name() != "headless"
}

fn serviceentry_merge_conflict(mesh: &Mesh, found: &mut Findings) {
    for host in mesh.hosts().filter(|host| !host.name.starts_with('*')) {
        let entries: Vec<&In<ServiceEntry>> =
            host.entries().filter(|e| !mesh.is_assumed(&e.meta) && is_for_all(e)).collect();
        let mut pairs = entries
            .iter()
            .enumerate()
            .flat_map(|(i, one)| entries[i + 1..].iter().map(move |other| (*one, *other)));
        let clash = pairs.find_map(|(one, other)| {
            // Of one name they are the same object, which drifts.
            let apart = (one.name(), &one.namespace) != (other.name(), &other.namespace)
                && one.cluster != other.cluster
                && mesh.same_mesh(one.cluster, other.cluster);
            apart.then(|| difference(one, other)).flatten().map(|what| (one, other, what))
        });
        let Some((one, other, (what, left, right))) = clash else { continue };
        let [a, b] = [one, other].map(|e| mesh.cluster_name(e.cluster));
        found
            .say(
                format!("`{}` is {what} `{left}` in `{a}` and `{right}` in `{b}`", host.short()),
                one.named_at(),
                format!("clients of `{a}` reach it so"),
            )
            .also(other.named_at(), format!("and those of `{b}` otherwise"))
            .help("give all primaries the same ServiceEntry, best from one base");
    }
}

/// Whether an entry is one that clients of all namespaces see.
fn is_for_all(entry: &In<ServiceEntry>) -> bool {
    entry.export_to.iter().all(|to| to.as_str() == "*")
}

/// What differs that decides how a host is reached.
fn difference(one: &ServiceEntry, other: &ServiceEntry) -> Option<(&'static str, String, String)> {
    let or = |text: Option<&str>, default: &str| text.unwrap_or(default).to_owned();
    let resolution = |e: &ServiceEntry| or(value(e.resolution.as_ref()), "NONE");
    let location = |e: &ServiceEntry| or(value(e.location.as_ref()), "MESH_EXTERNAL");
    let pairs = [
        ("resolved by", resolution(one), resolution(other)),
        ("located as", location(one), location(other)),
    ];
    pairs.into_iter().find(|(_, a, b)| !may_be(a, b))
}

//! Workloads: injection, pods, and the labels and annotations that Istio reads.

mod annotations;
mod images;
mod injectors;
mod labels;
mod membership;
mod protocols;

use std::collections::{BTreeMap, BTreeSet};

use super::{Rule, rule};
use crate::clusters::{Cluster, ClusterId};
use crate::finding::Findings;
use crate::kinds::core::Namespace;
use crate::kinds::is_placeholder;
use crate::kinds::workloads::{Container, Pod};
use crate::mesh::{
    DATAPLANE_MODE, INJECTION, In, Lookup, Mesh, PodShape, REVISION, list, takes_in,
};
use crate::source::Text;
use membership::sign_of_membership;

pub(super) const RULES: &[Rule] = &[
    rule!("workloads/alpha-annotation", annotations::alpha_annotation),
    rule!("workloads/deprecated-annotation", annotations::deprecated_annotation),
    rule!("workloads/image-auto-without-injection", images::image_auto_without_injection),
    rule!("workloads/injector-service-missing", injectors::injector_service_missing),
    rule!("workloads/injectors-overlap", injectors::injectors_overlap),
    rule!("workloads/invalid-annotation", annotations::invalid_annotation),
    rule!("workloads/misplaced-annotation", annotations::misplaced_annotation),
    rule!("workloads/misplaced-label", labels::misplaced_label),
    rule!("workloads/namespace-injected-by-default", namespace_injected_by_default),
    rule!("workloads/namespace-not-injected", namespace_not_injected),
    rule!("workloads/pod-without-proxy", pod_without_proxy),
    rule!("workloads/proxy-image-differs", images::proxy_image_differs),
    rule!("workloads/runs-as-proxy-user", runs_as_proxy_user),
    rule!("workloads/services-disagree-on-protocol", protocols::services_disagree_on_protocol),
    rule!("workloads/several-injection-labels", several_injection_labels),
    rule!("workloads/unknown-annotation", annotations::unknown_annotation),
    rule!("workloads/unknown-label", labels::unknown_label),
    rule!("workloads/unknown-label-value", labels::unknown_label_value),
];

/// Labels that decide how the pods of a namespace get into the mesh.
const LABELS: [&str; 3] = [INJECTION, REVISION, DATAPLANE_MODE];

/// Namespaces of a cluster that are for applications, and whose labels are known.
fn namespaces(mesh: &Mesh, cluster: ClusterId) -> impl Iterator<Item = &In<Namespace>> {
    let system = mesh.cluster(cluster).facts.system_namespace();
    let root = mesh.root_namespace(cluster);
    let here = mesh.namespaces.of_cluster(cluster).iter();
    here.filter(move |ns| {
        let is_system = [system, root, "istio-system", "local-path-storage"].contains(&ns.name());
        !is_system && !ns.name().starts_with("kube-") && !mesh.is_assumed(&ns.meta)
    })
}

/// Whether no label of a namespace says how its pods get into the mesh.
fn is_unlabelled(namespace: &In<Namespace>) -> bool {
    let told = |key: &&&str| match namespace.meta.label(key) {
        Some(word) => **key == REVISION || !word.is_empty(),
        None => false,
    };
    !LABELS.iter().any(|key| told(&key)) && !is_placeholder(namespace.name())
}

fn namespace_not_injected(mesh: &Mesh, found: &mut Findings) {
    for cluster in mesh.clusters() {
        let labelled = namespaces(mesh, cluster.id).find(|ns| takes_in(ns));
        let Some(labelled) = labelled.filter(|_| !mesh.injects_by_default(cluster.id)) else {
            continue;
        };
        let outside: Vec<_> = namespaces(mesh, cluster.id)
            .filter(|ns| is_unlabelled(ns) && may_be_forgotten(mesh, cluster, ns))
            .map(|ns| (ns, sign_of_membership(mesh, ns)))
            .filter(|(_, sign)| cluster.is_complete() || sign.is_some())
            .collect();
        let [(first, _), others @ ..] = outside.as_slice() else { continue };
        let names = list(outside.iter().map(|(ns, _)| ns.name()));
        let what = if others.is_empty() { "namespace" } else { "namespaces" };
        let verb = if others.is_empty() { "is" } else { "are" };
        let finding = found.say(
            format!("{what} {names} {verb} not in the mesh: no label asks for it"),
            first.named_at(),
            "its pods get no sidecar",
        );
        for (other, _) in others {
            finding.also(other.named_at(), "and neither do these");
        }
        for (at, why) in outside.iter().filter_map(|(_, sign)| *sign) {
            finding.also(at, why);
        }
        finding.also(labelled.named_at(), "this one is labelled").help(
            "label it as the others are, or `istio-injection: disabled` to say that it stays outside",
        );
    }
}

/// Whether a namespace without a label has pods that could be of the mesh and do not choose for
/// themselves; where the cluster is known to be complete, one without pods counts too.
fn may_be_forgotten(mesh: &Mesh, cluster: &Cluster, namespace: &In<Namespace>) -> bool {
    let mut pods = mesh.pod_shapes_in(cluster.id, namespace.name()).peekable();
    if pods.peek().is_none() {
        return cluster.is_complete();
    }
    let chooses = |p: &PodShape<'_>| {
        mesh.injection_asked_of(p).is_some()
            || [REVISION, DATAPLANE_MODE].iter().any(|key| p.labels.get(key).is_some())
    };
    let mut all = pods.collect::<Vec<_>>();
    let some_choose = all.iter().any(chooses);
    all.retain(|p| !p.spec.host_network && mesh.has_sidecar(p) == Some(false));
    !some_choose && !all.is_empty()
}

fn namespace_injected_by_default(mesh: &Mesh, found: &mut Findings) {
    for cluster in mesh.clusters() {
        let mut injectors = mesh.injectors(cluster.id).filter(|i| i.revision == "default");
        let Some(by_default) = injectors.find_map(|injector| injector.by_default) else { continue };
        let unlabelled: Vec<_> =
            namespaces(mesh, cluster.id).filter(|ns| is_unlabelled(ns)).collect();
        let [first, others @ ..] = unlabelled.as_slice() else { continue };
        let names = list(unlabelled.iter().map(|ns| ns.name()));
        let verb = if others.is_empty() { "is" } else { "are" };
        let finding = found.say(
            format!(
                "{names} {verb} in the mesh without a label: the injector takes all namespaces"
            ),
            first.named_at(),
            "its pods get a sidecar",
        );
        for other in others {
            finding.also(other.named_at(), "and so do these");
        }
        finding.also(by_default.span, "because of this").help(
            "label it `istio-injection: enabled`, or `disabled`, so that it can be seen here",
        );
    }
}

fn several_injection_labels(mesh: &Mesh, found: &mut Findings) {
    for namespace in &mesh.namespaces {
        let is_system =
            namespace.name() == mesh.cluster(namespace.cluster).facts.system_namespace();
        let injection = namespace.meta.label(INJECTION);
        let is_off = injection.is_some_and(|word| word.as_str() != "enabled");
        if is_system || is_off || injection.is_some_and(|word| is_placeholder(word)) {
            continue;
        }
        let asks = |(key, word): &&(Text, Text)| {
            let is_none = key.as_str() == DATAPLANE_MODE && word.as_str() != "ambient";
            LABELS.contains(&key.as_str()) && !is_none && !is_placeholder(word)
        };
        let mut labels: Vec<&(Text, Text)> = namespace.meta.labels.iter().filter(asks).collect();
        labels.sort_by_key(|(key, _)| LABELS.iter().position(|known| *known == key.as_str()));
        let [(first, word), (second, other), ..] = labels.as_slice() else { continue };
        let effect = match (first.as_str(), second.as_str()) {
            (INJECTION, REVISION) => format!("`{second}: {other}` is passed over"),
            _ => "its pods get sidecars, and ztunnel passes over them".to_owned(),
        };
        let finding = found.say(
            format!("namespace `{}` asks for injection in several ways", namespace.name()),
            second.span,
            format!("beside `{first}: {word}`: {effect}"),
        );
        for (key, _) in labels.iter().filter(|(key, _)| key.span != second.span) {
            finding.also(key.span, "this label asks for it too");
        }
        finding.help(format!(
            "keep one of the labels; `kubectl label namespace {} {second}-` takes one away",
            namespace.name()
        ));
    }
}

fn pod_without_proxy(mesh: &Mesh, found: &mut Findings) {
    let mut without: BTreeMap<(ClusterId, &str), Vec<PodShape<'_>>> = BTreeMap::new();
    let dumped: BTreeSet<ClusterId> =
        mesh.pod_shapes().filter(|p| p.is_pod() && has_proxy(p)).map(|p| p.cluster).collect();
    let ended = |pods: &PodShape<'_>| {
        let is_it = |pod: &&In<Pod>| pod.meta.span == pods.meta.span;
        mesh.pods.iter().find(is_it).is_some_and(|pod| pod.status.has_ended())
    };
    for pods in mesh.pod_shapes().filter(|pods| is_running(pods, &dumped)) {
        let system = mesh.cluster(pods.cluster).facts.system_namespace();
        if pods.namespace != system
            && !has_proxy(&pods)
            && mesh.is_injected(&pods) == Some(true)
            && !ended(&pods)
        {
            without.entry((pods.cluster, pods.namespace)).or_default().push(pods);
        }
    }
    for ((cluster, namespace), pods) in without {
        let [first, others @ ..] = pods.as_slice() else { continue };
        let names = list(pods.iter().map(|p| p.meta.name.as_str()));
        let (what, verb) = if others.is_empty() { ("pod", "runs") } else { ("pods", "run") };
        let finding = found.say(
            format!("{what} {names} of `{namespace}` {verb} without a proxy"),
            first.named_at(),
            "no container `istio-proxy`: it is not in the mesh",
        );
        for other in others {
            finding.also(other.named_at(), "and neither is this one");
        }
        if let Lookup::Found(namespace) = mesh.namespace(cluster, namespace) {
            finding.also(namespace.named_at(), "pods that start here now get one");
        }
        finding.help(format!(
            "restart it (`kubectl rollout restart deployment -n {namespace}`); if it comes back without one, look at the events of its ReplicaSet"
        ));
    }
}

/// Whether a pod is one that runs, as a dump of a cluster has them: it is on a node, something made it,
/// or other pods of its cluster have proxies, which nobody writes by hand.
fn is_running(pods: &PodShape<'_>, dumped: &BTreeSet<ClusterId>) -> bool {
    let is_made = pods.spec.node_name.is_some() || !pods.meta.owners.is_empty();
    pods.is_pod() && (is_made || dumped.contains(&pods.cluster))
}

/// Whether pods have a proxy written out, with its image.
fn has_proxy(pods: &PodShape<'_>) -> bool {
    let mut containers = pods.spec.containers.iter().chain(&pods.spec.init_containers);
    let written = |image: &Text| !image.is_empty() && image.as_str() != "auto";
    containers.any(|c| c.name == "istio-proxy" && c.image.as_ref().is_some_and(written))
}

/// The user that Istio's proxies run as; what it sends is not taken to the proxy.
const PROXY_USER: i64 = 1337;

fn runs_as_proxy_user(mesh: &Mesh, found: &mut Findings) {
    for pods in mesh.pod_shapes().filter(|p| !p.is_of_istio() && !mesh.has_maker(p)) {
        let is_proxy =
            |c: &&Container| ["istio-proxy", "istio-operator"].contains(&c.name.as_str());
        let mut apps = pods.spec.containers.iter().filter(|c| !is_proxy(c)).peekable();
        let outside = || {
            let namespace = mesh.namespace(pods.cluster, pods.namespace);
            matches!(namespace, Lookup::Found(_)) && mesh.is_in_mesh(&pods) == Some(false)
        };
        // Neither istiod's own pods nor those of ambient have a sidecar to go past.
        let system = mesh.cluster(pods.cluster).facts.system_namespace();
        let without = pods.namespace == system || mesh.is_ambient(&pods) == Some(true);
        if apps.peek().is_none() && !pods.spec.containers.is_empty() || without || outside() {
            continue;
        }
        let of_pod = pods.spec.security_context.run_as_user.iter();
        let of_apps = apps.filter_map(|c| c.security_context.run_as_user.as_ref());
        let users: Vec<_> = of_pod.chain(of_apps).filter(|user| user.value == PROXY_USER).collect();
        let [first, others @ ..] = users.as_slice() else { continue };
        let finding = found.say(
            format!("{} runs as user 1337, which is the proxy's", pods.called()),
            first.span,
            "its requests go past the sidecar, without mTLS, routes and policies",
        );
        for other in others {
            finding.also(other.span, "and so do these");
        }
        finding.help("run it as another user");
    }
}
